//! Policies: every version that a person put in force, oldest first.
//!
//! Ordered by time, then by event id; the last is in force, in whatever order they arrived.

use crate::id::EventId;
use crate::time::Hybrid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All versions.
#[derive(Debug, Clone, Default)]
pub struct Policies(BTreeMap<(Hybrid, EventId), Arc<str>>);

impl Policies {
    /// Takes in a version.
    pub fn apply(&mut self, time: Hybrid, event: EventId, text: String) {
        self.0.entry((time, event)).or_insert_with(|| text.into());
    }
    /// Returns the text in force; none if there was never one.
    pub fn current(&self) -> Option<&str> {
        self.0.last_key_value().map(|(_, text)| &**text)
    }
    /// Returns the versions, oldest first.
    pub fn versions(&self) -> impl ExactSizeIterator<Item = (Hybrid, EventId, &str)> {
        self.0
            .iter()
            .map(|((time, event), text)| (*time, *event, &**text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_is_in_force_in_any_order_of_arrival() {
        let mut forth = Policies::default();
        let mut back = Policies::default();
        let said = [(1, 9, "a"), (2, 1, "b"), (2, 2, "c")];
        for (time, event, text) in said {
            forth.apply(Hybrid(time), EventId([event; 32]), text.to_owned());
        }
        for (time, event, text) in said.into_iter().rev() {
            back.apply(Hybrid(time), EventId([event; 32]), text.to_owned());
        }
        for policies in [forth, back] {
            assert_eq!(policies.current(), Some("c"));
            let texts: Vec<&str> = policies.versions().map(|(_, _, text)| text).collect();
            assert_eq!(texts, ["a", "b", "c"]);
        }
        assert_eq!(Policies::default().current(), None);
    }
}
