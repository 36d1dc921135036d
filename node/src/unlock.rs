//! What opens the master key: where the configuration says that the secret is, and what it is.
//!
//! Flow: [`find`] at every start and at every `unlock` without a passphrase; [`Secret`] is what
//! the keyring is opened with. It is not how the key is wrapped, which is `storage::keyring`.
//!
//! Invariant: a secret comes from a file, a credential, the OS keyring or the API's body, never from an argument
//! or a value of the configuration.

use crate::config::{Method, Unlock};
use crate::identity::IdentityError;
use crate::os_keyring::SystemKeyring;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::keyring::{
    Kept, Keyring, KeyringError, MASTER_FILE, OsKeyring, OsKeyringError, Unlock as Key,
};
use zeroize::Zeroizing;

/// What opens the master key.
#[derive(Clone)]
pub enum Secret {
    /// Nothing: the key file has it plain.
    KeyFile,
    /// A passphrase.
    Passphrase(Zeroizing<String>),
    /// The wrapping key in a file elsewhere.
    Elsewhere(PathBuf),
    /// The wrapping key in the OS keyring.
    OsKeyring(Arc<dyn OsKeyring>),
}

impl Secret {
    /// Returns what the keyring takes.
    pub fn key(&self) -> Key<'_> {
        match self {
            Self::KeyFile => Key::KeyFile,
            Self::Passphrase(words) => Key::passphrase(words),
            Self::Elsewhere(path) => Key::WrappingFile(path),
            Self::OsKeyring(os) => Key::OsKeyring(&**os),
        }
    }

    /// Returns what the node goes on holding: all but a passphrase, which a person says again.
    #[must_use]
    pub fn held(&self) -> Self {
        match self {
            Self::KeyFile | Self::Passphrase(_) => Self::KeyFile,
            other => other.clone(),
        }
    }

    /// Takes the OS keyring that keeps the key of a data folder.
    pub fn os_keyring(data: &Path) -> Self {
        Self::OsKeyring(Arc::new(SystemKeyring::of(data)))
    }

    /// Takes a passphrase that came with a request.
    pub fn passphrase(words: String) -> Self {
        Self::Passphrase(Zeroizing::new(words))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyFile => "KeyFile",
            Self::Passphrase(_) => "Passphrase",
            Self::Elsewhere(_) => "Elsewhere",
            Self::OsKeyring(_) => "OsKeyring",
        })
    }
}

/// Where the secret is.
#[derive(Debug)]
pub enum Found {
    /// Here.
    Secret(Secret),
    /// Not here: the node stays locked until somebody brings it.
    Ask(Missing),
}

/// What somebody has to bring.
#[derive(Debug)]
pub enum Missing {
    /// The passphrase.
    Passphrase,
    /// The file with the wrapping key, such as its stick.
    KeyFile(PathBuf),
    /// The OS keyring: by logging in, or by unlocking it.
    OsKeyring(OsKeyringError),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase => {
                f.write_str("its master key is under a passphrase, and none was given")
            }
            Self::KeyFile(path) => write!(f, "{} is not there", path.display()),
            Self::OsKeyring(why) => write!(f, "{why}"),
        }
    }
}

impl Missing {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Passphrase => "brainctl node unlock --passphrase-file FILE",
            Self::KeyFile(_) => "bring the file there, then: brainctl node unlock",
            Self::OsKeyring(_) => {
                "log in to the desktop or unlock its keyring, then: brainctl node unlock"
            }
        }
    }

    /// Says what unlocks the node, before a verb.
    pub fn opener(&self) -> String {
        match self {
            Self::Passphrase => "the passphrase".to_owned(),
            Self::KeyFile(path) => format!("{} or the passphrase", path.display()),
            Self::OsKeyring(_) => "the OS keyring".to_owned(),
        }
    }
}

/// Looks where the configuration says.
pub fn find(unlock: &Unlock, data: &Path) -> Result<Found, IdentityError> {
    let credential = unlock.credential_path();
    match unlock.method {
        Method::Auto => {
            if let Some(path) = &unlock.passphrase_file {
                return first_line(path);
            }
            if let Some(path) = credential.filter(|path| path.exists()) {
                return first_line(&path);
            }
            match (kept(data)?, &unlock.key_file) {
                (Some(Kept::Passphrase), _) => Ok(Found::Ask(Missing::Passphrase)),
                // The key's own file names the item: nothing is guessed.
                (Some(Kept::OsKeyring), None) => os_keyring(data),
                (kept, _) => Ok(key_file(unlock, kept.is_some())),
            }
        }
        Method::File => Ok(key_file(unlock, data.join(MASTER_FILE).exists())),
        Method::Passphrase => unlock
            .passphrase_file
            .as_deref()
            .map_or(Ok(Found::Ask(Missing::Passphrase)), first_line),
        Method::Keyring => os_keyring(data),
        Method::SystemdCreds => match credential {
            Some(path) => first_line(&path),
            None => Err(IdentityError::NoCredentials),
        },
    }
}

/// A stick that is not there is waited for, not made anew.
fn key_file(unlock: &Unlock, has_key: bool) -> Found {
    match &unlock.key_file {
        None => Found::Secret(Secret::KeyFile),
        Some(path) if has_key && !path.exists() => Found::Ask(Missing::KeyFile(path.clone())),
        Some(path) => Found::Secret(Secret::Elsewhere(path.clone())),
    }
}

/// A keyring that is locked, or not there, is waited for; one that is there and has not the item is
/// an error when it is opened. A new folder gets a new item.
fn os_keyring(data: &Path) -> Result<Found, IdentityError> {
    let secret = Secret::os_keyring(data);
    if kept(data)? == Some(Kept::OsKeyring)
        && let Secret::OsKeyring(os) = &secret
        && let Some(item) = Keyring::item(data)?
        && let Err(error) = os.has(&item)
        && error.is_away()
    {
        return Ok(Found::Ask(Missing::OsKeyring(error)));
    }
    Ok(Found::Secret(secret))
}

/// Says how the master key lies in its file, if there is one.
fn kept(data: &Path) -> Result<Option<Kept>, KeyringError> {
    let has_key = data.join(MASTER_FILE).exists();
    has_key.then(|| Keyring::kept(data)).transpose()
}

fn first_line(path: &Path) -> Result<Found, IdentityError> {
    let text = std::fs::read_to_string(path).map_err(|source| IdentityError::Passphrase {
        path: path.display().to_string(),
        source,
    })?;
    let text = Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default().to_owned();
    Ok(Found::Secret(Secret::passphrase(line)))
}

/// Says in words where a start looks for the passphrase.
pub fn place(unlock: &Unlock) -> String {
    match (&unlock.passphrase_file, unlock.credential_path()) {
        (Some(path), _) if unlock.method != Method::SystemdCreds => {
            format!("the file {}", path.display())
        }
        (_, Some(path)) => format!("the credential {}", path.display()),
        (_, None) => "the file that unlock.passphrase_file names".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::keyring::ItemName;

    /// What is found: `plain`, `elsewhere`, `keyring`, `ask`, or the passphrase.
    fn found(unlock: &Unlock, data: &Path) -> String {
        match find(unlock, data) {
            Ok(Found::Ask(_)) => "ask".to_owned(),
            Ok(Found::Secret(Secret::OsKeyring(_))) => "keyring".to_owned(),
            Ok(Found::Secret(Secret::KeyFile)) => "plain".to_owned(),
            Ok(Found::Secret(Secret::Elsewhere(_))) => "elsewhere".to_owned(),
            Ok(Found::Secret(Secret::Passphrase(words))) => words.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_first_place_that_is_there_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let data = at("data");
        Keyring::create(&data, Key::passphrase("words")).unwrap();
        std::fs::write(at("file"), "from a file\nnot this\n").unwrap();
        std::fs::write(at("cred"), "from systemd").unwrap();
        let mut unlock = Unlock {
            credential: "cred".to_owned(),
            ..Unlock::default()
        };
        assert_eq!(found(&unlock, &data), "ask");
        assert_eq!(found(&unlock, &at("new")), "plain");
        // A stick that is not there is waited for; for a new folder it is made.
        unlock.key_file = Some(at("stick"));
        let shut = at("shut");
        Keyring::create(&shut, Key::WrappingFile(&at("other"))).unwrap();
        assert_eq!(found(&unlock, &shut), "ask");
        assert_eq!(found(&unlock, &at("new")), "elsewhere");
        unlock.credentials_directory = Some(folder.path().to_owned());
        assert_eq!(found(&unlock, &data), "from systemd");
        unlock.passphrase_file = Some(at("file"));
        assert_eq!(found(&unlock, &data), "from a file");
    }

    /// A keyring with room for one item.
    #[derive(Debug, Default)]
    struct OneItem(std::sync::Mutex<Option<Vec<u8>>>);

    impl OsKeyring for OneItem {
        fn has(&self, _item: &ItemName) -> Result<bool, OsKeyringError> {
            Ok(self.0.lock().unwrap().is_some())
        }

        fn read(&self, _item: &ItemName) -> Result<Option<Zeroizing<Vec<u8>>>, OsKeyringError> {
            Ok(self.0.lock().unwrap().clone().map(Zeroizing::new))
        }

        fn write(&self, _item: &ItemName, bytes: &[u8]) -> Result<(), OsKeyringError> {
            *self.0.lock().unwrap() = Some(bytes.to_vec());
            Ok(())
        }

        fn remove(&self, _item: &ItemName) -> Result<(), OsKeyringError> {
            *self.0.lock().unwrap() = None;
            Ok(())
        }
    }

    #[test]
    fn a_key_file_that_names_an_item_leads_to_the_keyring_unless_another_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let data = at("data");
        Keyring::create(&data, Key::OsKeyring(&OneItem::default())).unwrap();
        let mut unlock = Unlock::default();
        // Whether somebody is logged in where this runs is not ours to say.
        let asked = ["ask", "keyring"];
        assert!(asked.contains(&found(&unlock, &data).as_str()));
        unlock.method = Method::Keyring;
        assert!(asked.contains(&found(&unlock, &data).as_str()));
        assert_eq!(found(&unlock, &at("new")), "keyring");
        // What is named goes first, as everywhere, and is then refused by name.
        std::fs::write(at("stick"), "letters").unwrap();
        unlock.method = Method::Auto;
        unlock.key_file = Some(at("stick"));
        assert_eq!(found(&unlock, &data), "elsewhere");
        let opened = Keyring::open(&data, Key::WrappingFile(&at("stick")));
        assert!(matches!(opened, Err(KeyringError::ItemNeeded)));
        unlock.key_file = None;
        unlock.method = Method::File;
        assert_eq!(found(&unlock, &data), "plain");
    }

    #[test]
    fn a_method_takes_one_place_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::write(folder.path().join("file"), "from a file\n").unwrap();
        let mut unlock = Unlock {
            method: Method::SystemdCreds,
            passphrase_file: Some(folder.path().join("file")),
            ..Unlock::default()
        };
        assert!(found(&unlock, &data).contains("CREDENTIALS_DIRECTORY"));
        unlock.credentials_directory = Some(folder.path().to_owned());
        assert!(found(&unlock, &data).contains("brain-node.passphrase"));
        unlock.method = Method::File;
        assert_eq!(found(&unlock, &data), "plain");
        unlock.method = Method::Passphrase;
        assert_eq!(found(&unlock, &data), "from a file");
        unlock.passphrase_file = None;
        assert_eq!(found(&unlock, &data), "ask");
    }
}
