//! The file that says which process has a store open.
//!
//! The lock is the kernel's and goes with the process, however it ends; the number in the file
//! only serves to name the holder.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::kv::KvError;

use super::medium::open_private;

/// Longest content read from a lock file: the digits of a process id.
const PID_BYTES_MAX: u64 = 16;

/// Holds the lock as long as it lives.
#[derive(Debug)]
pub(super) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock or says who has it.
    pub(super) fn take(path: &Path) -> Result<Self, KvError> {
        let mut file = open_private(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(KvError::Locked {
                    pid: holder(&mut file),
                });
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
