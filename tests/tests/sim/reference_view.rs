//! The view, worked out a second time from the rules in the book, to compare the code with.
//!
//! It shares nothing with the code but ids and times: its selectors are a small tree that it
//! prints for the real parser, its memories hold the labels that the test gave them, and its
//! grants know who said what and whether the owner heard it.
//!
//! A grantee may fetch a memory under a grant while the owner heard the yes, did not take the
//! grant back, its time is not over, the selector takes the memory in, and the memory is not
//! secret.

use crdt::id::{GrantId, MemoryId};
use crdt::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A selector.
#[derive(Debug, Clone)]
pub(crate) enum Term {
    Tag(&'static str),
    Space(&'static str),
    Id(String),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, between) = match self {
            Self::Tag(tag) => return write!(f, "tag:{tag}"),
            Self::Space(space) => return write!(f, "space:{space}"),
            Self::Id(prefix) => return write!(f, "id:{prefix}"),
            Self::Not(part) => return write!(f, "-{part}"),
            Self::All(parts) => (parts, " "),
            Self::Any(parts) => (parts, " OR "),
        };
        let parts: Vec<String> = parts.iter().map(Self::to_string).collect();
        write!(f, "({})", parts.join(between))
    }
}

impl Term {
    pub(crate) fn takes_in(&self, id: MemoryId, memory: &Memory) -> bool {
        match self {
            Self::Tag(tag) => {
                let below = format!("{tag}/");
                let mut tags = memory.shared_tags.iter().chain(&memory.private_tags);
                tags.any(|own| own == tag || own.starts_with(&below))
            }
            Self::Space(space) => memory.space == *space,
            Self::Id(prefix) => id.to_string().starts_with(prefix),
            Self::Not(part) => !part.takes_in(id, memory),
            Self::All(parts) => parts.iter().all(|part| part.takes_in(id, memory)),
            Self::Any(parts) => parts.iter().any(|part| part.takes_in(id, memory)),
        }
    }
}

/// A memory of the owner, as the owner labelled it.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) shared_tags: BTreeSet<&'static str>,
    pub(crate) private_tags: BTreeSet<&'static str>,
    pub(crate) space: &'static str,
    pub(crate) is_secret: bool,
}

/// A grant, as both sides made it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) id: GrantId,
    pub(crate) grantee: usize,
    pub(crate) selector: Term,
    pub(crate) is_write: bool,
    pub(crate) expires: Option<Timestamp>,
    /// What the grantee said, and what of it the owner heard.
    pub(crate) answer: Option<bool>,
    pub(crate) heard: Option<bool>,
    pub(crate) is_revoked: bool,
}

impl Grant {
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.heard == Some(true) && !self.is_revoked && self.expires.is_none_or(|end| now < end)
    }
}

/// Everything that the owner said and did.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) memories: BTreeMap<MemoryId, Memory>,
    pub(crate) grants: Vec<Grant>,
}

impl Reference {
    /// Returns what a selector takes in: the memories that may leave, and the secret ones.
    pub(crate) fn selected(&self, selector: &Term) -> [BTreeSet<MemoryId>; 2] {
        [false, true].map(|is_secret| {
            let taken = self.memories.iter().filter(|(id, memory)| {
                memory.is_secret == is_secret && selector.takes_in(**id, memory)
            });
            taken.map(|(id, _)| *id).collect()
        })
    }

    /// Returns what a grant gives at a moment.
    pub(crate) fn given(&self, grant: &Grant, now: Timestamp) -> BTreeSet<MemoryId> {
        if grant.is_open(now) {
            let [open, _] = self.selected(&grant.selector);
            open
        } else {
            BTreeSet::new()
        }
    }

    /// Returns the whole view of a grantee at a moment.
    pub(crate) fn view(&self, grantee: usize, now: Timestamp) -> BTreeSet<MemoryId> {
        let theirs = self.grants.iter().filter(|grant| grant.grantee == grantee);
        theirs.flat_map(|grant| self.given(grant, now)).collect()
    }
}
