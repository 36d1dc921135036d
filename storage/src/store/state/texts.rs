//! Which memories contain the words that grants select by.
//!
//! A view must be answered without reading every text again, so for each word or phrase in a
//! selector of mine the set of memories that contain it is kept, and followed as texts change.

use crdt::grant::authority::Authority;
use crdt::id::{MemoryId, PersonId};
use crdt::memory::Content;
use crdt::selector::Selector;
use std::collections::{BTreeMap, BTreeSet};

/// Words and phrases, each with the memories that contain it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts(BTreeMap<String, BTreeSet<MemoryId>>);

impl Texts {
    /// Returns the words and phrases of a person's grants that are not followed yet.
    pub(crate) fn missing(&self, authority: &Authority, owner: PersonId) -> Vec<String> {
        let grants = authority
            .grants()
            .filter(|grant| grant.owner == owner && grant.revoked.is_none());
        let texts = grants
            .filter_map(|grant| grant.parsed())
            .flat_map(Selector::texts);
        let texts: BTreeSet<&str> = texts.filter(|text| !self.0.contains_key(*text)).collect();
        texts.into_iter().map(str::to_owned).collect()
    }
    /// Begins anew with the words and phrases of one selector.
    pub(crate) fn of(selector: &Selector) -> Self {
        let texts = selector.texts().into_iter();
        Self(
            texts
                .map(|text| (text.to_owned(), BTreeSet::new()))
                .collect(),
        )
    }
    /// Tells whether anything is followed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Begins to follow words or phrases; what contains them is told by [`Self::note`].
    pub(crate) fn follow(&mut self, texts: &[String]) {
        for text in texts {
            self.0.entry(text.clone()).or_default();
        }
    }
    /// Notes what a memory contains now; none if its text is gone.
    pub(crate) fn note(&mut self, memory: MemoryId, content: Option<&Content>) {
        let lower = content.map(|content| lower(&content.title, &content.body));
        for (text, memories) in &mut self.0 {
            if lower.as_ref().is_some_and(|lower| lower.contains(text)) {
                memories.insert(memory);
            } else {
                memories.remove(&memory);
            }
        }
    }
    /// Tells whether a memory contains one of the texts that are followed.
    pub(super) fn contains(&self, text: &str, memory: MemoryId) -> bool {
        self.0
            .get(text)
            .is_some_and(|memories| memories.contains(&memory))
    }
}

/// What selectors look into.
pub(super) fn lower(title: &str, body: &str) -> String {
    format!("{title}\n{body}").to_lowercase()
}
