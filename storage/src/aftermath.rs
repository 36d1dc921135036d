//! What this node does when someone takes a grant back: a person's own rules, never synced.
//!
//! The store is given them and asks nobody else.

/// What happens to memories that were given under a revoked grant only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRevoke {
    /// They are listed and found no more; `show` by id says why.
    #[default]
    Hide,
    /// They stay as they are.
    Keep,
}

/// What happens when the owner asks that they be purged here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnPurge {
    /// They are purged at once.
    #[default]
    Comply,
    /// The person is asked.
    Ask,
    /// They are not.
    Refuse,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aftermath {
    /// What follows a revocation.
    pub on_revoke: OnRevoke,
    /// What follows a revocation that asks for a purge.
    pub on_purge: OnPurge,
}
