//! A memory: what it holds, how it changes, and what is let into it.
//!
//! This is the only module that uses Automerge, and nothing of Automerge shows in its API. It is
//! not the event around a change: signatures, grants and keys are elsewhere.
//!
//! Start at [`Content`], the value that people see, then [`Document`], which merges:
//!
//! - a root event carries a [`Content`] in full; [`Document::materialise`] turns it into the same
//!   bytes on every node, when somebody first edits it;
//! - [`Document::edit`] makes a [`Change`] to put into an event;
//! - [`Document::admit`] is the gate for changes from outside, with a named [`Refusal`];
//! - [`Document::content`] projects the merged state back.
//!
//! Invariant: equal sets of admitted changes give equal content, in whatever order they came, and
//! no bytes from outside can panic, exhaust memory or damage a document.

mod content;
mod diff;
mod document;
mod edit;
mod gate;
mod history;
pub mod limits;
mod project;

pub use content::{Attachment, Content, ContentError, Link};
pub use document::{ChangeHash, Document, RestoreError, contained};
pub use edit::{BodyEdit, Change, Edit, EditError, SourceEdit, Writer};
pub use gate::{BatchRefusal, Incoming, Refusal};

use thiserror::Error;

/// The reason why text names no kind or status.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no {what}")]
pub struct ParseWordError {
    /// What was expected.
    pub what: &'static str,
    /// The text that was read.
    pub text: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }
        impl $name {
            /// All values, in the order of their codes in the encoding.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the text form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = ParseWordError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(ParseWordError { what: $what, text: text.to_owned() }),
                }
            }
        }
        impl crate::codec::Canonical for $name {
            fn encode(&self, out: &mut crate::codec::Writer) {
                out.u8(*self as u8);
            }
            fn decode(input: &mut crate::codec::Reader<'_>) -> Result<Self, crate::codec::DecodeError> {
                let found = input.u8($what)?;
                Self::ALL
                    .get(usize::from(found))
                    .copied()
                    .ok_or(crate::codec::DecodeError::Unknown { what: $what, found })
            }
        }
    };
}

words!(
    /// What sort of thing a memory is.
    MemoryKind,
    "memory kind",
    /// A note that a person wrote.
    Note = "note",
    /// A text that was taken in from a file.
    Document = "document",
    /// A page elsewhere, with its address as the source.
    Bookmark = "bookmark",
    /// Something to be done.
    Task = "task",
    /// A conversation that was kept.
    Conversation = "conversation",
    /// Something that an assistant observed.
    Observation = "observation",
);
words!(
    /// Whether a memory is in use or was put aside.
    Status,
    "status",
    /// In use.
    Active = "active",
    /// Hidden; can be brought back.
    Forgotten = "forgotten",
);

#[cfg(test)]
mod tests;
