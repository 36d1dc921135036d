//! Where a memory came from, as far as anything is looked up by it.
//!
//! The text, a path or an address, stands in the content. It may end in a digest of what was
//! imported: `file:notes/a.md#b3:DIGEST`. What comes before that is its stable key.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::hash::Hash;
use std::sync::Arc;

const DOMAIN: &str = "second-brain 2026 v1 source";
const ORIGIN_MAX: usize = 1 << 16;

/// The stable key of a source: sixteen bytes of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceKey([u8; 16]);

/// Where a memory came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What stands before the first colon: `file`, or a program's name.
    pub origin: Arc<str>,
    key: SourceKey,
    /// Sixteen bytes of the hash of the whole text, with the digest of what was imported.
    whole: [u8; 16],
}

impl Source {
    /// Returns the source with this text.
    pub fn of(text: &str) -> Self {
        let key = text.split_once("#b3:").map_or(text, |(key, _)| key);
        let origin = text.split(':').next().unwrap_or_default();
        Self {
            origin: Arc::from(origin),
            key: SourceKey(digest(key)),
            whole: digest(text),
        }
    }
    /// Returns the stable key.
    pub fn key(&self) -> SourceKey {
        self.key
    }
}

fn digest(text: &str) -> [u8; 16] {
    let Hash(hash) = Hash::of(DOMAIN, &[text.as_bytes()]);
    hash.first_chunk().copied().unwrap_or_default()
}

impl Canonical for Source {
    fn encode(&self, out: &mut Writer) {
        out.text(&self.origin);
        out.raw(&self.key.0);
        out.raw(&self.whole);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            origin: input.text(ORIGIN_MAX, "origin")?.into(),
            key: SourceKey(input.array("source")?),
            whole: input.array("source")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_keeps_its_key_whatever_is_imported() {
        let (one, other) = (Source::of("file:a#b3:1"), Source::of("file:a#b3:2"));
        assert_ne!(one, other);
        assert_eq!(one.key(), other.key());
        assert_eq!(one.key(), Source::of("file:a").key());
        assert_ne!(one.key(), Source::of("file:b#b3:1").key());
        assert_eq!(&*one.origin, "file");
        assert_eq!(&*Source::of("assistant").origin, "assistant");
        assert_eq!(Source::from_bytes(&one.to_bytes()).unwrap(), one);
    }
}
