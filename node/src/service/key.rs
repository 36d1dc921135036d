//! The key of the node: how it is kept, keeping it in another way, and locking the node.

use super::{Failure, Services};
use crate::config::Unlock;
use crate::identity::IdentityError;
use crate::runtime::Ending;
use crate::unlock::{self, Found, Missing, Secret};
use protocol::api::key::{KeyState, LockState, NewKey};
use protocol::api::problem::ErrorCode;
use std::path::{Path, PathBuf};
use storage::keyring::{Kept, Keyring, KeyringError, Left, OsKeyringError};

const BY_ITSELF: &str = "it opens by itself";
const ASKS: &str = "it stays locked until somebody runs: brainctl node unlock";

impl Services {
    /// Tells how the master key is kept.
    pub fn key(&self) -> Result<KeyState, Failure> {
        let config = &self.0.config.unlock;
        let data = Path::new(&self.0.home);
        let next_start = match unlock::find(config, data) {
            Ok(Found::Ask(Missing::OsKeyring(why))) => format!("{ASKS} ({why})"),
            Ok(Found::Ask(_)) => ASKS.to_owned(),
            Ok(Found::Secret(secret)) => match self.0.identity.keyring().check(secret.key()) {
                Ok(()) => BY_ITSELF.to_owned(),
                Err(error) => refuses(&error, config),
            },
            Err(error) => format!("it refuses to start: {error}"),
        };
        let kept = kept(data)?.to_owned();
        Ok(KeyState {
            kept,
            next_start,
            notice: None,
        })
    }

    /// Keeps the same master key in another way; nothing else is written.
    pub fn change_key(&self, new: NewKey) -> Result<KeyState, Failure> {
        let current = new.current.map(Secret::passphrase);
        if current.is_none() && kept(Path::new(&self.0.home))? == "passphrase" {
            return Err(needs_current());
        }
        let vault = &self.0.identity;
        let file = new.file.map(PathBuf::from).or_else(|| vault.elsewhere());
        let wanted = match (new.kept.as_str(), new.passphrase, file) {
            ("plain", None, _) => Secret::KeyFile,
            ("passphrase", Some(words), _) => Secret::passphrase(words),
            ("file", None, Some(path)) if path.is_absolute() => Secret::Elsewhere(path),
            ("keyring", None, _) => Secret::os_keyring(Path::new(&self.0.home)),
            (kept, ..) => {
                let title = format!("a key cannot be kept {kept:?} like this");
                return Err(Failure::new(ErrorCode::BadRequest, title).because(
                    "it is plain, or under a passphrase that comes with the request, or under a \
                     key in a file with an absolute path or in the OS keyring",
                ));
            }
        };
        let left = vault.rewrap(current, &wanted)?;
        tracing::info!(kept = new.kept, "the master key is kept in another way");
        let mut state = self.key()?;
        state.notice = left_over(&left);
        Ok(state)
    }

    /// Locks the node: it ends in order and begins anew without keys.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn lock(&self) -> Result<LockState, Failure> {
        let state = state_of("locked", &self.0.config.unlock, Path::new(&self.0.home));
        self.0.ending.get_or_init(|| Ending::Locked);
        // The answer still goes out: listeners finish the requests they are at.
        self.0.shutdown.cancel();
        Ok(state)
    }

    /// Tells that the node is open; nothing is checked.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn unlock(&self) -> Result<LockState, Failure> {
        let data = Path::new(&self.0.home);
        Ok(state_of("unlocked", &self.0.config.unlock, data))
    }
}

/// Says of a state who can unlock the node.
pub(crate) fn state_of(state: &str, config: &Unlock, data: &Path) -> LockState {
    let notice = match unlock::find(config, data) {
        Ok(Found::Ask(missing)) => format!("only {} unlocks it", missing.opener()),
        Ok(Found::Secret(Secret::KeyFile)) => {
            "the key lies plain in its folder: whoever may use this API can unlock it".to_owned()
        }
        Ok(Found::Secret(Secret::Elsewhere(path))) => format!(
            "whoever may use this API can unlock it while {} is there",
            path.display()
        ),
        Ok(Found::Secret(Secret::OsKeyring(_))) => {
            "whoever may use this API can unlock it while the OS keyring is open".to_owned()
        }
        Ok(Found::Secret(Secret::Passphrase(_))) => format!(
            "whoever may use this API can unlock it: the passphrase is in {}",
            unlock::place(config)
        ),
        Err(error) => format!("it cannot be unlocked without the passphrase: {error}"),
    };
    let state = state.to_owned();
    LockState { state, notice }
}

fn kept(data: &Path) -> Result<&'static str, KeyringError> {
    Ok(match Keyring::kept(data)? {
        Kept::Plain => "plain",
        Kept::Passphrase => "passphrase",
        Kept::Elsewhere => "file",
        Kept::OsKeyring => "keyring",
    })
}

/// Says what a start would stumble over.
fn refuses(error: &KeyringError, config: &Unlock) -> String {
    let place = unlock::place(config);
    match error {
        KeyringError::WrongPassphrase => {
            format!("it refuses to start until the new passphrase is in {place}")
        }
        KeyringError::PassphraseUnused => {
            format!("it refuses to start while a passphrase is in {place}: take it out of [unlock]")
        }
        KeyringError::WrappingNeeded => {
            "it refuses to start until unlock.key_file names the file".to_owned()
        }
        KeyringError::ItemNeeded => {
            "it refuses to start while [unlock] names something else than the OS keyring".to_owned()
        }
        other => format!("it refuses to start: {other}"),
    }
}

/// Says what of the old way still lies somewhere.
fn left_over(left: &Left) -> Option<String> {
    let (item, why) = left.item.as_ref()?;
    tracing::warn!(%item, %why, "an item is left in the OS keyring");
    Some(format!(
        "the item {item} of brain-node is left in the OS keyring and opens nothing here any more; \
         remove it there ({why})"
    ))
}

fn needs_current() -> Failure {
    let title = "the passphrase that opens the key now is needed";
    Failure::new(ErrorCode::WrongPassphrase, title)
        .because("the master key is under a passphrase; nothing was changed")
        .hint("brainctl node passphrase ... --current-file FILE")
}

fn no_keyring(detail: &str) -> Failure {
    let title = "the OS keyring does not give the key";
    let detail = format!("{detail}; nothing was lost");
    Failure::new(ErrorCode::OsKeyring, title).because(detail)
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        let detail = error.to_string();
        match error {
            KeyringError::WrongPassphrase => {
                Self::new(ErrorCode::WrongPassphrase, "wrong passphrase")
                    .because("it does not open the master key; nothing was changed")
                    .hint("give the passphrase that was set last, on the first line")
            }
            KeyringError::PassphraseNeeded => needs_current(),
            KeyringError::PassphraseUnused => {
                Self::new(ErrorCode::WrongPassphrase, "the node has no passphrase")
                    .because("its key lies plain in its folder; nothing was changed")
                    .hint("brainctl node passphrase set           give it one")
            }
            KeyringError::Exists { .. } => Self::new(ErrorCode::Conflict, detail)
                .because("a file is never overwritten by a key; nothing was changed")
                .hint("name a new file"),
            KeyringError::Inside { .. } => Self::new(ErrorCode::BadRequest, detail)
                .because("who takes the folder would have the key; nothing was changed")
                .hint("name a file on another medium, which is kept apart from this one"),
            KeyringError::Os(why) => no_keyring(&detail).hint(match why {
                OsKeyringError::Unreachable { .. } => {
                    "start the node in the session of a desktop, or: brainctl node key file PATH"
                }
                OsKeyringError::Locked => "unlock the keyring, then try again",
                OsKeyringError::Several { .. } | OsKeyringError::Refused { .. } => {
                    "look at the items of brain-node in the program that lists the keyring's items"
                }
            }),
            KeyringError::ItemMissing { .. }
            | KeyringError::WrongItem { .. }
            | KeyringError::ItemDamaged { .. } => no_keyring(&detail)
                .hint("bring back the keyring that has the item; no other key opens the node"),
            KeyringError::ItemNeeded => no_keyring(&detail)
                .hint("brainctl node unlock                   without a passphrase"),
            KeyringError::PassphraseEmpty => Self::new(ErrorCode::BadRequest, detail)
                .because("the first line is empty; nothing was changed"),
            other => {
                tracing::error!(error = %other, "the key file was not opened or replaced");
                Self::new(ErrorCode::Internal, "the key file cannot be used")
                    .because(detail)
                    .hint("look at master.key in the data folder; nothing was changed")
            }
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Keyring(error) => error.into(),
            other => {
                let hint = other.hint();
                Self::new(ErrorCode::Locked, "the node stays locked")
                    .because(other.to_string())
                    .hint(hint)
            }
        }
    }
}
