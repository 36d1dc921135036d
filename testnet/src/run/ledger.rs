//! The check of the ledgers against what each node received.
//!
//! The ledgers of all nodes hold (`ledger verify`). Those of one person, taken together, name for
//! each other person exactly the memories of theirs that the other's nodes hold: a memory that no
//! entry names is a fault at once, an entry whose memory is not there yet is waited for.

use super::{Run, text};
use crate::fault::{Result, broken};
use crate::wait::{self, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// From whom and to whom, and which memories.
type Moved = BTreeMap<(String, String), BTreeSet<String>>;

impl Run<'_> {
    pub(super) fn ledger(&self, within: Duration) -> Result<Option<String>> {
        let what = "each ledger says what left, neither less nor more";
        let entries = wait::until(what, within, || {
            let (sent, entries) = self.sent()?;
            Ok(match self.difference(&sent)? {
                None => Seen::Yes(entries),
                Some(difference) => Seen::NotYet(difference),
            })
        })?;
        Ok(Some(format!("{entries} entries")))
    }

    /// Reads all ledgers, which must hold; returns who was sent what, and how many entries say so.
    fn sent(&self) -> Result<(Moved, usize)> {
        let (mut sent, mut count) = (Moved::new(), 0);
        for who in self.answering() {
            let verdict = self.tell(&who, &["ledger", "verify", "--json"])?;
            let verdict = verdict.json()?;
            if verdict["ok"] != true {
                return broken(format!("the ledger of {who} does not hold: {verdict}"));
            }
            let entries = self.list(&who, &["ledger", "ls"], "items")?;
            // It may have grown since, and nothing else.
            let (listed, total) = (entries.len(), verdict["entries"].as_u64());
            if u64::try_from(listed).ok() < total {
                let total = total.unwrap_or_default();
                return broken(format!("{who} lists {listed} of {total} entries"));
            }
            count += entries.len();
            for entry in entries {
                let ends = (self.person(&who), text(&entry, "to").to_owned());
                let memories = sent.entry(ends).or_default();
                memories.insert(text(&entry, "memory").to_owned());
            }
        }
        Ok((sent, count))
    }

    /// Says which memory was sent and is not there yet, if there is one.
    fn difference(&self, sent: &Moved) -> Result<Option<String>> {
        for receiver in self.active() {
            for giver in self.givers(&receiver)? {
                let ends = (giver.clone(), self.person(&receiver));
                let said = sent.get(&ends).cloned().unwrap_or_default();
                let selector = format!("from:{giver}");
                let listed = self.list(&receiver, &["ls", &selector, "--all"], "items")?;
                let there: BTreeSet<String> = listed
                    .iter()
                    .map(|memory| text(memory, "id").to_owned())
                    .collect();
                if let Some(memory) = there.difference(&said).next() {
                    return broken(format!(
                        "{receiver} holds {memory} of {giver}, and no ledger of {giver} says so"
                    ));
                }
                // A list hides what is not shared any more; by its id it can be seen.
                for memory in said.difference(&there) {
                    if self.ask(&receiver, &["show", memory])?.code != 0 {
                        let words = format!("{giver} sent {memory}, and {receiver} has not got it");
                        return Ok(Some(words));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Returns the persons whom a node knows and all of whose ledgers can be read. A retired device
    /// counts: it may have sent something before.
    fn givers(&self, receiver: &str) -> Result<Vec<String>> {
        let known = self.list(receiver, &["peer", "ls"], "items")?;
        let names = known.iter().map(|peer| text(peer, "alias").to_owned());
        let can_be_read = |name: &String| {
            let nodes = self.persons.iter().filter(|(_, person)| *person == name);
            let mut answers = nodes.map(|(node, _)| self.answers(node)).peekable();
            answers.peek().is_some() && answers.all(|answers| answers)
        };
        Ok(names.filter(can_be_read).collect())
    }
}
