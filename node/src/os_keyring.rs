//! The keyring of the operating system: one item with the wrapping key of a data folder.
//!
//! It is not what is in the item, which is `storage::keyring`. Start at [`SystemKeyring`]; each
//! system has a file of its own, and only that one names the system's library.
//!
//! Invariant: every call returns within a bounded time, and nothing is taken at a guess: an item is
//! found by its whole name, once, or not at all.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

use std::path::Path;
#[cfg(any(target_os = "linux", target_os = "macos"))]
use std::time::Duration;
use storage::keyring::{ItemName, OsKeyring, OsKeyringError};
use zeroize::Zeroizing;

/// What marks our items among those of other programs.
#[cfg(any(target_os = "linux", target_os = "macos"))]
const APPLICATION: &str = "brain-node";
/// How long the keyring may take for one answer. A healthy one takes milliseconds; one that asks a
/// person who is not there takes for ever.
#[cfg(any(target_os = "linux", target_os = "macos"))]
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The keyring of the person who runs this process.
#[derive(Debug, Clone)]
pub struct SystemKeyring {
    /// What a person reads beside the item in the program that lists them.
    label: String,
    /// The address of a bus; the one of the session if none is named.
    #[cfg(target_os = "linux")]
    bus: Option<String>,
}

impl SystemKeyring {
    /// Returns the keyring that keeps the key of a data folder.
    pub fn of(data: &Path) -> Self {
        Self {
            label: format!("Key of the brain-node in {}", data.display()),
            #[cfg(target_os = "linux")]
            bus: None,
        }
    }

    /// Has it be reached over the bus at this address.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn on_bus(mut self, address: &str) -> Self {
        self.bus = Some(address.to_owned());
        self
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
impl OsKeyring for SystemKeyring {
    fn has(&self, item: &ItemName) -> Result<bool, OsKeyringError> {
        system::has(self, item)
    }

    fn read(&self, item: &ItemName) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError> {
        system::read(self, item)
    }

    fn write(&self, item: &ItemName, bytes: &[u8]) -> Result<(), OsKeyringError> {
        system::write(self, item, bytes)
    }

    fn remove(&self, item: &ItemName) -> Result<(), OsKeyringError> {
        system::remove(self, item)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl OsKeyring for SystemKeyring {
    fn has(&self, _item: &ItemName) -> Result<bool, OsKeyringError> {
        Err(self.none())
    }

    fn read(&self, _item: &ItemName) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError> {
        Err(self.none())
    }

    fn write(&self, _item: &ItemName, _bytes: &[u8]) -> Result<(), OsKeyringError> {
        Err(self.none())
    }

    fn remove(&self, _item: &ItemName) -> Result<(), OsKeyringError> {
        Err(self.none())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl SystemKeyring {
    fn none(&self) -> OsKeyringError {
        let reason = format!("none is known on this system: {}", self.label);
        OsKeyringError::Unreachable { reason }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bus_that_is_not_there_is_away_also_from_within_a_runtime() {
        let item = ItemName::draw().unwrap();
        for address in ["unix:path=/nonexistent/bus", "no address", ""] {
            let keyring = SystemKeyring::of(Path::new("/data")).on_bus(address);
            assert!(keyring.has(&item).is_err_and(|why| why.is_away()));
            assert!(keyring.read(&item).is_err_and(|why| why.is_away()));
            assert!(keyring.write(&item, b"key").is_err_and(|why| why.is_away()));
            assert!(keyring.remove(&item).is_err_and(|why| why.is_away()));
        }
    }
}
