//! What a hostile program says of itself: what it tried, and what it achieved.

use serde::Deserialize;
use std::fmt;

/// A line of what it says.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Tally {
    let_in: u64,
    turned_away: u64,
    faults_left: u64,
    stranger_tries: u64,
    stranger_heard_bytes: u64,
    dialogues: u64,
    ids_asked: u64,
    blobs_asked: u64,
    blobs_asked_with_keys: u64,
    forged_sent: u64,
    items_shown: u64,
    content_frames: u64,
    blob_bytes: u64,
    forged_taken: u64,
}

impl Tally {
    /// Names what has to be tried or to happen and was not: an attack that does nothing, or that is
    /// never turned away, shows nothing.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let needed = [
            (self.let_in, "was let in"),
            (self.turned_away, "was turned away"),
            (self.stranger_tries, "tried with a key that nobody knows"),
            (self.dialogues, "heard an answer to all questions"),
            (self.ids_asked, "asked for items"),
            (self.blobs_asked, "asked for blobs"),
            (self.forged_sent, "offered forged events"),
        ];
        let missing = needed.into_iter().filter(|(count, _)| *count == 0);
        missing.map(|(_, what)| what).collect()
    }

    /// Tells whether it broke the protocol as often as it was to: it was let in again in between.
    pub(super) fn is_spent(&self) -> bool {
        self.faults_left == 0
    }

    /// Names what it got and must not get.
    pub(super) fn achieved(&self) -> Vec<String> {
        let forbidden = [
            (self.stranger_heard_bytes, "bytes that were told a stranger"),
            (self.items_shown, "items that were shown"),
            (self.content_frames, "frames with content"),
            (self.blob_bytes, "bytes of blobs"),
            (self.forged_taken, "forged events that were taken"),
        ];
        let achieved = forbidden.into_iter().filter(|(count, _)| *count > 0);
        achieved
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "let in {} times, turned away {} times; a stranger tried {} times; \
             {} dialogues, {} ids, {} blobs ({} with keys), {} forged events",
            self.let_in,
            self.turned_away,
            self.stranger_tries,
            self.dialogues,
            self.ids_asked,
            self.blobs_asked,
            self.blobs_asked_with_keys,
            self.forged_sent,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(change: impl FnOnce(&mut Tally)) -> Tally {
        let mut tally = Tally {
            let_in: 1,
            turned_away: 1,
            stranger_tries: 1,
            dialogues: 1,
            ids_asked: 1,
            blobs_asked: 1,
            forged_sent: 1,
            ..Tally::default()
        };
        change(&mut tally);
        tally
    }

    #[test]
    fn an_attack_that_did_everything_and_got_nothing_is_fine() {
        let fine = tally(|_| {});
        assert!(fine.missing().is_empty() && fine.achieved().is_empty());
        assert_eq!(Tally::default().missing().len(), 7);
    }

    #[test]
    fn what_it_got_is_named() {
        let changes: [fn(&mut Tally); 5] = [
            |tally| tally.stranger_heard_bytes = 2,
            |tally| tally.items_shown = 2,
            |tally| tally.content_frames = 2,
            |tally| tally.blob_bytes = 2,
            |tally| tally.forged_taken = 2,
        ];
        for change in changes {
            let achieved = tally(change).achieved();
            assert!(
                matches!(achieved.as_slice(), [one] if one.starts_with("2 ")),
                "{achieved:?}"
            );
        }
    }

    #[test]
    fn a_line_reads_only_with_all_that_is_judged() {
        let line = r#"{"let_in":1,"turned_away":2}"#;
        assert!(serde_json::from_str::<Tally>(line).is_err());
    }
}
