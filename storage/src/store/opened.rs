//! Texts that were read or written lately, opened: in the log they are sealed and packed.
//!
//! Vectors are made of a text just after it was written. Whoever types a query is shown the same
//! memories with every key, and whoever works on something comes back to the same ones. Only texts
//! that nobody edited are kept here: a memory is named by the hash of its root, so what that says
//! never changes. Whether it still counts, the caller asks first.

use std::sync::Arc;

use crdt::id::MemoryId;
use crdt::memory::Content;

use crate::bounded::Bounded;

/// The bytes of all texts that are kept: of notes as people write them, some thousands.
const BYTES_MAX: usize = 4 << 20;
/// Longer texts are not kept: they would take the place of many others.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// What a text takes beside its letters, about.
const OVERHEAD_BYTES: usize = 400;

/// The texts used last.
#[derive(Debug)]
pub(super) struct Opened(Bounded<MemoryId, Arc<Content>>);

impl Default for Opened {
    fn default() -> Self {
        Self(Bounded::new(BYTES_MAX))
    }
}

impl Opened {
    /// Returns what the root of a memory says, if it was read or written lately.
    pub(super) fn of(&self, memory: MemoryId) -> Option<Arc<Content>> {
        self.0.get(&memory)
    }

    /// Keeps what the root of a memory says, in place of what was not used for longest.
    pub(super) fn put(&self, memory: MemoryId, content: &Arc<Content>) {
        let bytes = bytes(content);
        if bytes <= TEXT_BYTES_MAX {
            self.0.put(memory, Arc::clone(content), bytes);
        }
    }

    /// Lets go of a memory's text.
    pub(super) fn forget(&self, memory: MemoryId) {
        self.0.forget(&memory);
    }
}

fn bytes(content: &Content) -> usize {
    let tags: usize = content.tags.iter().map(String::len).sum();
    OVERHEAD_BYTES + content.title.len() + content.body.len() + tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::memory::MemoryKind;
    use crdt::time::Timestamp;

    fn text(bytes: usize) -> Arc<Content> {
        let mut content = Content::new(MemoryKind::Note, Timestamp(0));
        content.body = "x".repeat(bytes);
        Arc::new(content)
    }

    #[test]
    fn the_last_ones_are_kept_within_bounds() {
        let opened = Opened::default();
        let memory = |number: u8| MemoryId([number; 32]);
        opened.put(memory(0), &text(TEXT_BYTES_MAX + 1));
        assert!(opened.of(memory(0)).is_none(), "it is too long");
        for number in 0..200 {
            opened.put(memory(number), &text(30_000));
            assert!(opened.0.weight() <= BYTES_MAX);
            assert!(
                opened.of(memory(0)).is_some(),
                "it is asked for again and again"
            );
        }
        assert!(opened.of(memory(1)).is_none() && opened.of(memory(199)).is_some());
        for number in 0..200 {
            opened.forget(memory(number));
        }
        assert_eq!(opened.0.weight(), 0);
    }
}
