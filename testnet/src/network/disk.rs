//! A small disk for a node: a file system in memory with a size, made from outside.

use super::undertaker::Undertaker;
use crate::command;
use crate::fault::{Fault, Result, broken};
use std::io::Write as _;
use std::path::Path;

/// The file that fills it.
const FILLING: &str = "filling";
/// How much is written at once.
const PIECE: [u8; 4096] = [0x5a; 4096];

/// Makes a disk at this path, for whoever is `uid`.
pub(crate) fn make(path: &Path, mib: u64, uid: &str, undertaker: &mut Undertaker) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Fault::Folder {
        path: path.to_owned(),
        source,
    })?;
    let place = path.display().to_string();
    let options = format!("size={mib}m,mode=0700,uid={uid}");
    command::run(&[
        "mount",
        "-t",
        "tmpfs",
        "-o",
        &options,
        "brain-testnet",
        &place,
    ])?
    .ok()?;
    undertaker.will(&["umount", "--lazy", &place])
}

/// Writes until nothing more goes.
pub(crate) fn fill(disk: &Path) -> Result<()> {
    let path = disk.join(FILLING);
    let fault = |source| Fault::Folder {
        path: path.clone(),
        source,
    };
    let mut file = std::fs::File::create(&path).map_err(fault)?;
    loop {
        match file.write_all(&PIECE) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(fault(error)),
        }
    }
}

/// Takes away what filled it.
pub(crate) fn free(disk: &Path) -> Result<()> {
    let path = disk.join(FILLING);
    std::fs::remove_file(&path).map_err(|source| Fault::Folder { path, source })
}

/// Tells why no disk can be made here, if none can.
pub(crate) fn lacks() -> Option<String> {
    match tried() {
        Ok(()) => None,
        Err(fault) => Some(format!("no small disk can be mounted ({fault})")),
    }
}

fn tried() -> Result<()> {
    let mut undertaker = Undertaker::new()?;
    let folder = undertaker.folder("brain-testnet-disk")?;
    make(&folder, 1, "0", &mut undertaker)?;
    fill(&folder)?;
    let filled = std::fs::metadata(folder.join(FILLING));
    drop(undertaker);
    match filled {
        Ok(file) if file.len() > 0 => Ok(()),
        _ => broken("it took no file"),
    }
}
