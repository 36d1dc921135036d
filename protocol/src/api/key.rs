//! The key of the node and its lock: `/v1/node/key`, `/v1/node/lock`, `/v1/node/unlock`.
//!
//! Passphrases travel in bodies over the owner's socket or loopback, never in paths or queries.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// `GET /v1/node/key`: how the master key lies on the disk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KeyState {
    /// `plain`: its file holds it as it is. `passphrase`: it is wrapped under a passphrase.
    /// `file`: it is wrapped under a key in a file elsewhere. `keyring`: under a key in the keyring
    /// of the operating system.
    pub kept: String,
    /// What opens it at the next start, or that someone has to.
    pub next_start: String,
    /// What is left of the way before, for a person to remove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// `PUT /v1/node/key`: keeps the same master key in another way.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// `plain`, `passphrase`, `file` or `keyring`.
    pub kept: String,
    /// The passphrase that opens it now, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The new passphrase, for `passphrase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
    /// Where the new wrapping key is written, for `file`: an absolute path on the node's machine;
    /// the file that holds it now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passphrases stay out of logs.
        f.debug_struct("NewKey")
            .field("kept", &self.kept)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// `POST /v1/node/unlock`: opens a locked node.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlockNode {
    /// The passphrase; what the configuration names opens it if this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
}

impl fmt::Debug for UnlockNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockNode(..)")
    }
}

/// Whether the node has its keys.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LockState {
    /// `locked` or `unlocked`: what the node is about to be, or is already.
    pub state: String,
    /// Who can unlock it, in a sentence.
    pub notice: String,
}
