//! What opens the master key: where the configuration says that the secret is, and what it is.
//!
//! Flow: [`find`] at every start and at every `unlock` without a passphrase; [`Secret`] is what
//! the keyring is opened with. It is not how the key is wrapped, which is `storage::keyring`.
//!
//! Invariant: a secret comes from a file, a credential or the API's body, never from an argument
//! or a value of the configuration.

use crate::config::{Method, Unlock};
use crate::identity::IdentityError;
use std::fmt;
use std::path::{Path, PathBuf};
use storage::keyring::{Kept, Keyring, MASTER_FILE, Unlock as Key};
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
}

impl Secret {
    /// Returns what the keyring takes.
    pub fn key(&self) -> Key<'_> {
        match self {
            Self::KeyFile => Key::KeyFile,
            Self::Passphrase(words) => Key::passphrase(words),
            Self::Elsewhere(path) => Key::WrappingFile(path),
        }
    }

    /// Returns the file with the wrapping key, if that is the secret.
    pub fn elsewhere(&self) -> Option<PathBuf> {
        match self {
            Self::Elsewhere(path) => Some(path.clone()),
            Self::KeyFile | Self::Passphrase(_) => None,
        }
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
        })
    }
}

/// Where the secret is.
#[derive(Debug)]
pub enum Found {
    /// Here.
    Secret(Secret),
    /// With a person: the node stays locked until they come.
    Ask,
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
            let has_key = data.join(MASTER_FILE).exists();
            if has_key && Keyring::kept(data)? == Kept::Passphrase {
                return Ok(Found::Ask);
            }
            Ok(key_file(unlock, has_key))
        }
        Method::File => Ok(key_file(unlock, data.join(MASTER_FILE).exists())),
        Method::Passphrase => unlock
            .passphrase_file
            .as_deref()
            .map_or(Ok(Found::Ask), first_line),
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
        Some(path) if has_key && !path.exists() => Found::Ask,
        Some(path) => Found::Secret(Secret::Elsewhere(path.clone())),
    }
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

    /// What is found: `plain`, `elsewhere`, `ask`, or the passphrase.
    fn found(unlock: &Unlock, data: &Path) -> String {
        match find(unlock, data) {
            Ok(Found::Ask) => "ask".to_owned(),
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
