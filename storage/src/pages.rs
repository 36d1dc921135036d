//! Files sealed in pages: written once from front to back, then read anywhere.
//!
//! ```text
//! version (1) id (16) | sealed page | sealed page | .. | sealed last page
//! ```
//!
//! Every page but the last holds [`PAGE_BYTES`]; an empty file has one page without content. The id
//! is random.
//!
//! Invariant: what is read is what was written to the file of that name: a page opens only under
//! the file's name and id, at its place, and as the last one only if it is, so neither pages nor
//! files can be exchanged, repeated or cut off.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::cipher::{Cipher, CipherError, SEAL_BYTES, fill_random};

/// Bytes of content in a page.
pub(crate) const PAGE_BYTES: usize = 16 * 1024;

const VERSION: u8 = 1;
const ID_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + ID_BYTES;
/// Bytes that a full page takes in the file.
const SLOT_BYTES: usize = PAGE_BYTES + SEAL_BYTES;

/// What binds a page to its file.
#[derive(Debug, Clone)]
struct Binding {
    id: [u8; ID_BYTES],
    name: Vec<u8>,
}

impl Binding {
    fn of_page(&self, number: u64, is_last: bool) -> Vec<u8> {
        let last = [u8::from(is_last)];
        [&self.id[..], &number.to_le_bytes(), &last, &self.name].concat()
    }
}

/// Writes a sealed file. Nothing may be read before [`PageWriter::finish`].
#[derive(Debug)]
pub(crate) struct PageWriter {
    cipher: Arc<Cipher>,
    binding: Binding,
    file: File,
    /// Content that is not sealed yet: at most a page, so that the last one is known as such.
    rest: Vec<u8>,
    number: u64,
}

impl PageWriter {
    /// Begins an empty file, which was just created.
    pub(crate) fn begin(cipher: Arc<Cipher>, name: &[u8], mut file: File) -> io::Result<Self> {
        let mut id = [0; ID_BYTES];
        fill_random(&mut id).map_err(io::Error::other)?;
        file.write_all(&[&[VERSION][..], &id].concat())?;
        let name = name.to_vec();
        Ok(Self {
            cipher,
            binding: Binding { id, name },
            file,
            rest: Vec::with_capacity(PAGE_BYTES),
            number: 0,
        })
    }

    /// Writes the last page. The file is in the hands of the system, not yet durable.
    pub(crate) fn finish(&mut self) -> io::Result<&File> {
        self.seal(true)?;
        Ok(&self.file)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let bound = self.binding.of_page(self.number, is_last);
        let sealed = self.cipher.seal(&bound, &self.rest);
        self.file.write_all(&sealed.map_err(io::Error::other)?)?;
        self.number += 1;
        self.rest.clear();
        Ok(())
    }
}

impl Write for PageWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.rest.len() == PAGE_BYTES {
            self.seal(false)?;
        }
        let taken = buf.len().min(PAGE_BYTES - self.rest.len());
        self.rest.extend(buf.iter().take(taken));
        Ok(taken)
    }

    /// Does nothing: half a page cannot be sealed and written on.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sealed file, open for reading.
#[derive(Debug)]
pub(crate) struct PageFile {
    cipher: Arc<Cipher>,
    binding: Binding,
    file: File,
    bytes: usize,
    pages: u64,
}

impl PageFile {
    /// Opens a file under its name. Its length is checked here, its other pages as they are read.
    pub(crate) fn open(cipher: Arc<Cipher>, name: &[u8], mut file: File) -> io::Result<Self> {
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head).map_err(|_short| damaged())?;
        let [VERSION, id @ ..] = head else {
            return Err(damaged());
        };
        let sealed = usize::try_from(file.metadata()?.len()).map_err(|_narrow| damaged())?;
        let sealed = sealed.checked_sub(HEAD_BYTES).ok_or_else(damaged)?;
        let pages = sealed.div_ceil(SLOT_BYTES);
        let bytes = sealed.checked_sub(pages * SEAL_BYTES).ok_or_else(damaged)?;
        let name = name.to_vec();
        let opened = Self {
            cipher,
            binding: Binding { id, name },
            file,
            bytes,
            pages: u64::try_from(pages).map_err(|_wide| damaged())?,
        };
        opened.page(opened.pages.checked_sub(1).ok_or_else(damaged)?)?;
        Ok(opened)
    }

    /// Returns the bytes of content.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Returns the content at a range within the file.
    pub(crate) fn read(&self, range: Range<usize>) -> io::Result<Vec<u8>> {
        if range.end > self.bytes || range.start > range.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut content = Vec::with_capacity(range.len());
        let mut at = range.start;
        while at < range.end {
            let (number, offset) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let page = self.page(number.try_into().map_err(|_wide| damaged())?)?;
            let end = page.len().min(range.end - number * PAGE_BYTES);
            let part = page.get(offset..end).ok_or_else(damaged)?;
            content.extend_from_slice(part);
            at = number * PAGE_BYTES + end;
        }
        Ok(content)
    }

    /// Opens every page, one after the other.
    pub(crate) fn check(&self) -> io::Result<()> {
        (0..self.pages).try_for_each(|number| self.page(number).map(drop))
    }

    fn page(&self, number: u64) -> io::Result<Vec<u8>> {
        let is_last = number + 1 == self.pages;
        let before = usize::try_from(number).map_err(|_narrow| damaged())? * PAGE_BYTES;
        let content = if is_last {
            self.bytes - before
        } else {
            PAGE_BYTES
        };
        let mut sealed = vec![0; content + SEAL_BYTES];
        let place = HEAD_BYTES as u64 + number * SLOT_BYTES as u64;
        self.file.read_exact_at(&mut sealed, place)?;
        let opened = self
            .cipher
            .open(&self.binding.of_page(number, is_last), &sealed);
        opened.map_err(|error| match error {
            CipherError::Refused => damaged(),
            CipherError::Entropy(error) => error,
        })
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a sealed page is damaged or not of this file",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::{Context, tests};
    use std::fs;
    use std::path::Path;

    fn cipher() -> Arc<Cipher> {
        Arc::new(tests::cipher(Context::TextIndex))
    }

    fn content(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at % 251).to_le_bytes()[0]).collect()
    }

    fn written(path: &Path, name: &[u8], content: &[u8]) {
        let file = File::create(path).unwrap();
        let mut writer = PageWriter::begin(cipher(), name, file).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap();
    }

    fn read(path: &Path, name: &[u8]) -> io::Result<Vec<u8>> {
        let file = PageFile::open(cipher(), name, File::open(path)?)?;
        file.read(0..file.len())
    }

    #[test]
    fn reads_what_was_written_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let near = [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1];
        for bytes in near.into_iter().chain([3 * PAGE_BYTES, 50_000]) {
            let content = content(bytes);
            written(&path, b"file", &content);
            assert_eq!(read(&path, b"file").unwrap(), content, "{bytes} bytes");
            let file = PageFile::open(cipher(), b"file", File::open(&path).unwrap()).unwrap();
            for start in (0..=bytes).step_by(997) {
                for end in [
                    start,
                    bytes.min(start + 1),
                    bytes.min(start + 20_000),
                    bytes,
                ] {
                    assert_eq!(file.read(start..end).unwrap(), content[start..end]);
                }
            }
            assert!(file.read(bytes..bytes + 1).is_err());
        }
    }

    #[test]
    fn refuses_changed_cut_and_exchanged_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        written(&path, b"file", &content(PAGE_BYTES + 100));
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(61).chain(0..HEAD_BYTES) {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            assert!(read(&path, b"file").is_err(), "a flip at {at}");
        }
        for length in (0..whole.len()).step_by(97) {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path, b"file").is_err(), "cut to {length}");
        }
        let slot = HEAD_BYTES + SLOT_BYTES;
        let (first, second) = (&whole[..slot], &whole[slot..]);
        fs::write(&path, [first, &first[HEAD_BYTES..], second].concat()).unwrap();
        assert!(read(&path, b"file").is_err(), "a page twice");
        fs::write(&path, &whole).unwrap();
        assert!(read(&path, b"other").is_err(), "another name");
        written(&path, b"file", &content(PAGE_BYTES + 100));
        let again = fs::read(&path).unwrap();
        fs::write(&path, [&again[..slot], second].concat()).unwrap();
        assert!(read(&path, b"file").is_err(), "a page of its older self");
    }
}
