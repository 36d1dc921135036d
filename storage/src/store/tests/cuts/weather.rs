//! The folder of the text index under power cuts: files that were not saved are lost, kept or torn.
//!
//! It is a real folder, so nothing is lost by itself. What was in it when the index was last saved
//! stays, as fsync promises; of the rest the seed decides.

use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Bytes that a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

pub(super) struct Folder {
    folder: tempfile::TempDir,
    saved: BTreeSet<PathBuf>,
}

impl Folder {
    pub(super) fn copy(from: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for path in files(from) {
            let name = path.file_name().expect("a file has a name");
            fs::copy(&path, folder.path().join(name)).unwrap();
        }
        Self {
            folder,
            saved: BTreeSet::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Notes that the index was saved.
    pub(super) fn saved(&mut self) {
        self.saved = files(self.folder.path());
    }

    /// Decides what became of each file that was not saved.
    pub(super) fn settle(&mut self, random: &mut SplitMix) {
        let fate = random.below(4);
        for path in files(self.folder.path()).difference(&self.saved) {
            // Lists are put in place by a rename after an fsync.
            if path
                .extension()
                .is_some_and(|extension| extension == "json" || extension == "lock")
            {
                continue;
            }
            match fate {
                0 => {}
                1 => fs::remove_file(path).unwrap(),
                _ => tear(path, random),
            }
        }
    }
}

fn tear(path: &Path, random: &mut SplitMix) {
    let mut bytes = fs::read(path).unwrap();
    let sector = usize::try_from(SECTOR_BYTES).expect("small");
    for sector in bytes.chunks_mut(sector) {
        if random.coin() {
            sector.fill(0);
        }
    }
    let whole = u64::try_from(bytes.len()).expect("small");
    let kept = if random.coin() {
        whole
    } else {
        random.below(whole / SECTOR_BYTES + 1) * SECTOR_BYTES
    };
    bytes.truncate(usize::try_from(kept).expect("small"));
    fs::write(path, bytes).unwrap();
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).collect()
}
