//! The folder of the index as tantivy sees it: every file sealed, and saved when we say so.
//!
//! What tantivy commits can be searched at once, and is durable after [`SealedDirectory::save`]:
//! until then, the lists that name the files of the index (`meta.json`) are replaced in memory
//! only, new files are not synced, and files that are no longer needed stay. So a commit costs no
//! fsync, and whatever the power does, the folder holds the index as it was saved last.
//!
//! ```text
//! commit:  new files -> disk, not synced     lists -> memory      deleted files -> noted
//! save:    sync new files -> replace the lists, the one that counts last -> delete what was noted
//! ```
//!
//! Locks are the kernel's and end with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

use crate::bounded::Bounded;
use crate::cipher::Cipher;
use crate::pages::{PAGE_BYTES, PageFile, PageWriter};

/// The list that makes the others count.
const META: &str = "meta.json";
/// Ends the name of a list that is being written.
const NEW: &str = "new";
/// Bytes of opened pages kept in memory.
const CACHE_BYTES: usize = 32 << 20;

/// A sealed folder; clones are the same folder.
#[derive(Clone)]
pub(super) struct SealedDirectory(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    cipher: Arc<Cipher>,
    names: Mutex<Names>,
    /// Held while saving, so that one ends before the next begins.
    saving: Mutex<()>,
    /// Files that are open, so that a file has one place in the cache.
    open: Mutex<HashMap<PathBuf, Weak<SealedFile>>>,
    opened: AtomicU64,
    /// Opened parts of files, so that what is read often is opened once.
    cache: Bounded<Part, OwnedBytes>,
}

/// How the index stands, and how it differs from the saved one.
#[derive(Debug, Clone, Default)]
struct Names {
    /// The lists that were read or written: what is in memory is not read back.
    lists: BTreeMap<PathBuf, Arc<[u8]>>,
    /// Lists that are not saved yet.
    replaced: BTreeSet<PathBuf>,
    /// Files that are not synced yet.
    fresh: BTreeSet<PathBuf>,
    /// Files that are not needed any more.
    gone: BTreeSet<PathBuf>,
}

impl SealedDirectory {
    pub(super) fn new(folder: &Path, cipher: Arc<Cipher>) -> Self {
        Self(Arc::new(Shared {
            folder: folder.to_owned(),
            cipher,
            names: Mutex::default(),
            saving: Mutex::default(),
            open: Mutex::default(),
            opened: AtomicU64::new(0),
            cache: Bounded::new(CACHE_BYTES),
        }))
    }

    /// Makes the folder again, should somebody have deleted it.
    pub(super) fn make_folder(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0.folder)
    }

    /// Makes what was committed before this call durable.
    pub(super) fn save(&self) -> io::Result<()> {
        let _one = lock(&self.0.saving);
        let next = lock(&self.0.names).clone();
        if next.replaced.is_empty() {
            return Ok(());
        }
        for name in next.fresh.difference(&next.gone) {
            match File::open(self.path(name)) {
                Ok(file) => file.sync_data()?,
                // tantivy may finish a file after it was deleted: what a rollback left behind.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // The new files are in the folder before a list names them.
        File::open(&self.0.folder)?.sync_all()?;
        let (meta, others): (Vec<_>, Vec<_>) = next.replaced.iter().partition(|name| is_meta(name));
        for name in others.into_iter().chain(meta) {
            let content = next.lists.get(name).ok_or(io::ErrorKind::NotFound)?;
            self.replace(name, content)?;
        }
        File::open(&self.0.folder)?.sync_all()?;
        for name in &next.gone {
            remove(&self.path(name))?;
        }
        let mut names = lock(&self.0.names);
        let Names {
            lists,
            replaced,
            fresh,
            gone,
        } = &mut *names;
        fresh.retain(|name| !next.fresh.contains(name));
        gone.retain(|name| !next.gone.contains(name));
        replaced.retain(|name| match (lists.get(name), next.lists.get(name)) {
            (Some(now), Some(saved)) => !Arc::ptr_eq(now, saved),
            _ => true,
        });
        Ok(())
    }

    /// Deletes what a crash left behind: all but the files that are named, lists and locks.
    pub(super) fn sweep(&self, living: &HashSet<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(&self.0.folder)? {
            let path = entry?.path();
            let extension = path.extension().unwrap_or_default();
            let is_kept = extension == "json" || extension == "lock";
            let is_living = path
                .file_name()
                .is_some_and(|name| living.contains(Path::new(name)));
            if !is_kept && !is_living {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Reads these files and the saved lists past the cache; returns how many are here, and those
    /// that do not read.
    pub(super) fn scrub(&self, files: &HashSet<PathBuf>) -> io::Result<(u64, Vec<PathBuf>)> {
        // Neither saved nor swept meanwhile.
        let _one = lock(&self.0.saving);
        let (mut read, mut bad) = (0, Vec::new());
        let lists = fs::read_dir(&self.0.folder)?
            .map(|entry| Ok(PathBuf::from(entry?.file_name())))
            .collect::<io::Result<Vec<_>>>()?;
        let is_list = |name: &PathBuf| name.extension().is_some_and(|kind| kind == "json");
        let lists = lists.into_iter().filter(is_list);
        for name in files.iter().cloned().chain(lists) {
            let file = match File::open(self.path(&name)) {
                Ok(file) => file,
                // A segment has not every file that it may have, and one that was merged goes.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            read += 1;
            let pages = PageFile::open(Arc::clone(&self.0.cipher), bytes_of(&name), file);
            if pages.and_then(|pages| pages.check()).is_err() {
                bad.push(name);
            }
        }
        Ok((read, bad))
    }

    fn path(&self, name: &Path) -> PathBuf {
        self.0.folder.join(name)
    }

    fn create(&self, path: &Path, name: &Path) -> io::Result<PageWriter> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let cipher = Arc::clone(&self.0.cipher);
        PageWriter::begin(cipher, bytes_of(name), options.open(path)?)
    }

    /// Writes a list beside its place, syncs it, and renames it there.
    fn replace(&self, name: &Path, content: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let beside = path.with_extension(NEW);
        remove(&beside)?;
        let mut writer = self.create(&beside, name)?;
        writer.write_all(content)?;
        writer.finish()?.sync_all()?;
        fs::rename(&beside, &path)
    }

    fn open(&self, name: &Path) -> Result<Arc<SealedFile>, OpenReadError> {
        if lock(&self.0.names).gone.contains(name) {
            return Err(OpenReadError::FileDoesNotExist(name.to_owned()));
        }
        let mut open = lock(&self.0.open);
        if let Some(file) = open.get(name).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let opened = File::open(self.path(name)).and_then(|file| {
            let cipher = Arc::clone(&self.0.cipher);
            PageFile::open(cipher, bytes_of(name), file)
        });
        let pages = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(name.to_owned()),
            _ => OpenReadError::wrap_io_error(error, name.to_owned()),
        })?;
        let file = Arc::new(SealedFile {
            number: self.0.opened.fetch_add(1, Ordering::Relaxed),
            pages,
            directory: self.clone(),
        });
        open.retain(|_, file| file.strong_count() > 0);
        open.insert(name.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }
}

impl Directory for SealedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(self.open(path)?)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        if !self.exists(path).unwrap_or(false) {
            return Err(DeleteError::FileDoesNotExist(path.to_owned()));
        }
        let mut names = lock(&self.0.names);
        names.lists.remove(path);
        names.replaced.remove(path);
        names.gone.insert(path.to_owned());
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let names = lock(&self.0.names);
        if names.lists.contains_key(path) {
            return Ok(true);
        }
        let exists = !names.gone.contains(path) && self.path(path).try_exists().unwrap_or(false);
        Ok(exists)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let writer = self.create(&self.path(path), path);
        let writer = writer.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
        })?;
        let writing = Writing {
            writer,
            name: path.to_owned(),
            directory: self.clone(),
        };
        Ok(io::BufWriter::new(Box::new(writing)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let known = lock(&self.0.names).lists.get(path).cloned();
        if let Some(list) = known {
            return Ok(list.to_vec());
        }
        let file = self.open(path)?;
        let bytes = file.pages.read(0..file.pages.len());
        let bytes = bytes.map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        let mut names = lock(&self.0.names);
        names
            .lists
            .entry(path.to_owned())
            .or_insert_with(|| bytes.clone().into());
        Ok(bytes)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let mut names = lock(&self.0.names);
        names.gone.remove(path);
        names.lists.insert(path.to_owned(), data.into());
        names.replaced.insert(path.to_owned());
        Ok(())
    }

    /// Does nothing: [`SealedDirectory::save`] does.
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        let path = self.path(&lock.filepath);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(LockError::wrap_io_error)?;
        if lock.is_blocking {
            file.lock().map_err(LockError::wrap_io_error)?;
        } else {
            file.try_lock().map_err(|error| match error {
                fs::TryLockError::WouldBlock => LockError::LockBusy,
                fs::TryLockError::Error(error) => LockError::wrap_io_error(error),
            })?;
        }
        Ok(DirectoryLock::from(Box::new(file)))
    }

    /// Never calls: readers are told by hand.
    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

impl fmt::Debug for SealedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealedDirectory")
            .field(&self.0.folder)
            .finish()
    }
}

/// A part of a file: which file, from where, to where.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Part {
    file: u64,
    start: usize,
    end: usize,
}

/// A file open for reading, through the cache.
struct SealedFile {
    number: u64,
    pages: PageFile,
    directory: SealedDirectory,
}

impl SealedFile {
    fn part(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let part = Part {
            file: self.number,
            start: range.start,
            end: range.end,
        };
        let cache = &self.directory.0.cache;
        if let Some(kept) = cache.get(&part) {
            return Ok(kept);
        }
        let bytes = OwnedBytes::new(self.pages.read(range)?);
        cache.put(part, bytes.clone(), bytes.len());
        Ok(bytes)
    }
}

impl FileHandle for SealedFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.is_empty() {
            return Ok(OwnedBytes::empty());
        }
        let first = range.start - range.start % PAGE_BYTES;
        if range.end > first + PAGE_BYTES || range.end > self.pages.len() {
            return self.part(range);
        }
        let page = self.part(first..self.pages.len().min(first + PAGE_BYTES))?;
        Ok(page.slice(range.start - first..range.end - first))
    }
}

impl HasLen for SealedFile {
    fn len(&self) -> usize {
        self.pages.len()
    }
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealedFile").field(&self.number).finish()
    }
}

/// A file that is being written. It counts as fresh once it is whole: syncing half of it is not
/// enough.
struct Writing {
    writer: PageWriter,
    name: PathBuf,
    directory: SealedDirectory,
}

impl Write for Writing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl TerminatingWrite for Writing {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.writer.finish()?;
        let mut names = lock(&self.directory.0.names);
        names.fresh.insert(self.name.clone());
        Ok(())
    }
}

fn is_meta(name: &Path) -> bool {
    name == Path::new(META)
}

fn bytes_of(name: &Path) -> &[u8] {
    name.as_os_str().as_encoded_bytes()
}

/// Deletes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is behind these locks is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
