//! Labels: what a selector asks of a memory, answered from what the store holds in memory.

use super::{State, texts};
use crate::records::Facts;
use crdt::selector;
use crdt::time::Timestamp;

/// A memory's answers to a selector.
pub struct Labels<'a> {
    state: &'a State,
    facts: &'a Facts,
    now: Timestamp,
    /// Lower-case title and body, where the caller loaded them; without them, only words that
    /// grants select by are known.
    text: Option<String>,
    texts: &'a texts::Texts,
}

impl std::fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Labels({:?})", self.facts.id)
    }
}

impl<'a> Labels<'a> {
    pub(super) fn new(state: &'a State, facts: &'a Facts, now: Timestamp) -> Self {
        Self {
            state,
            facts,
            now,
            text: None,
            texts: &state.texts,
        }
    }
    /// Looks for words in these texts instead of those that grants select by.
    pub(in crate::store) fn looking_into(mut self, texts: &'a texts::Texts) -> Self {
        self.texts = texts;
        self
    }
    /// Adds the text, for selectors that look into it.
    #[must_use]
    pub fn with_text(mut self, title: &str, body: &str) -> Self {
        self.text = Some(texts::lower(title, body));
        self
    }
}

impl selector::Facts for Labels<'_> {
    fn id_starts_with(&self, prefix: &str) -> bool {
        self.facts.id.to_string().starts_with(prefix)
    }
    fn has_tag(&self, tag: &str) -> bool {
        let is_under = |own: &str| {
            own == tag
                || own
                    .strip_prefix(tag)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        self.facts.tags.iter().any(|own| is_under(own)) || self.facts.sidecar.tags().any(is_under)
    }
    fn space(&self) -> &str {
        self.facts.sidecar.space()
    }
    fn kind(&self) -> &str {
        self.facts.kind.as_str()
    }
    fn is_from(&self, origin: &str) -> bool {
        self.state.petname(self.facts.owner) == origin
            || self
                .facts
                .source
                .as_ref()
                .is_some_and(|source| &*source.origin == origin)
    }
    fn status(&self) -> &str {
        self.facts.status.as_str()
    }
    fn created(&self) -> Timestamp {
        self.facts.created
    }
    fn updated(&self) -> Timestamp {
        self.facts.updated.wall()
    }
    fn is_shared_with(&self, petname: &str) -> bool {
        self.state.person(petname).is_some_and(|person| {
            self.state
                .grants_over(self.facts, person, self.now)
                .next()
                .is_some()
        })
    }
    fn contains(&self, lower: &str) -> bool {
        match &self.text {
            Some(text) => text.contains(lower),
            None => self.texts.contains(lower, self.facts.id),
        }
    }
}
