//! Preview: what a person would see under a grant that is not made yet.
//!
//! Not a list of its own: it asks the function that the view and the guard before the wire ask,
//! so what was confirmed is what leaves.

use super::state::texts::Texts;
use super::state::{Standing, State};
use super::{Store, StoreError};
use crate::tx::Tx;
use crdt::id::MemoryId;
use crdt::memory::Content;
use crdt::selector::Selector;
use crdt::time::Timestamp;

/// What a selector takes in at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// The memories that would leave, with the bytes of title and body; ascending.
    pub memories: Vec<(MemoryId, u64)>,
    /// The memories that are held back, with the rule that holds them; ascending.
    pub held: Vec<(MemoryId, Held)>,
}

/// Why a memory is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The name of the rule.
    pub rule: String,
    /// What kind of thing matched, and where.
    pub reason: String,
}

impl State {
    /// Returns what a person would see under a grant with this selector; of words and phrases,
    /// only those that grants select by are known here.
    pub fn preview(&self, selector: &Selector, now: Timestamp) -> Preview {
        self.preview_in(selector, now, &self.texts)
    }

    fn preview_in(&self, selector: &Selector, now: Timestamp, texts: &Texts) -> Preview {
        let mut preview = Preview::default();
        for facts in self.memories.values().filter(|facts| !facts.purged) {
            let labels = self.label(facts, now).looking_into(texts);
            match self.stands(facts, now, |_| selector.matches(&labels)) {
                Standing::Outside => {}
                Standing::Held(hold) => {
                    let (rule, reason) = (hold.rule.to_owned(), hold.reason.to_owned());
                    preview.held.push((facts.id, Held { rule, reason }));
                }
                Standing::Inside => preview.memories.push((facts.id, facts.bytes)),
            }
        }
        preview
    }
}

/// Finds which of my memories contain the words of a selector.
fn texts_of(
    state: &State,
    selector: &Selector,
    content: impl Fn(MemoryId) -> Result<Option<Content>, StoreError>,
) -> Result<Texts, StoreError> {
    let mut texts = Texts::of(selector);
    if !texts.is_empty() {
        let mine = state.memories.values();
        for facts in mine.filter(|facts| facts.owner == state.me && !facts.purged) {
            texts.note(facts.id, content(facts.id)?.as_ref());
        }
    }
    Ok(texts)
}

impl Store {
    /// Returns what a person would see under a grant with this selector.
    pub fn preview(&self, selector: &Selector, now: Timestamp) -> Result<Preview, StoreError> {
        self.read(|state| {
            let texts = texts_of(state, selector, |memory| self.content(memory))?;
            Ok(state.preview_in(selector, now, &texts))
        })
    }
}

impl Tx<'_> {
    /// Returns what a person would see under a grant with this selector, at this point of the
    /// transaction.
    pub fn preview(&self, selector: &Selector) -> Result<Preview, StoreError> {
        let texts = texts_of(self.state(), selector, |memory| self.content(memory))?;
        Ok(self.state().preview_in(selector, self.now(), &texts))
    }
}
