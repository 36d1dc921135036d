//! Steps that look at one or two nodes: what is found, held and listed, and who is in reach.
//!
//! What must be there is waited for. What must not be there is looked for once: a scenario lets
//! something else arrive first, so that there was time for it.

use super::{Run, text};
use crate::fault::{Result, broken};
use crate::scenario::Action;
use crate::wait::{self, Seen};
use std::time::Duration;

/// The exit code of `brainctl` where nothing has that name.
const NOT_FOUND: i32 = 3;

impl Run<'_> {
    pub(super) fn check(&self, action: &Action, within: Duration) -> Result<Option<String>> {
        let what = action.to_string();
        match action {
            Action::InSync { between } => self.in_sync(&what, between, within)?,
            Action::OutOfReach { who, peer } => wait::until(&what, within, || {
                let peers = self.list(who, &["sync", "status"], "peers")?;
                let peer = peers.iter().find(|found| text(found, "alias") == peer);
                let online = peer.is_some_and(|found| found["online"] == true);
                Ok(Seen::of(!online, || "a session is open".to_owned()))
            })?,
            Action::Finds { who, words, count } => wait::until(&what, within, || {
                let found = self.found(who, words)?;
                let is_right = count.map_or(found > 0, |count| count == found);
                Ok(Seen::of(is_right, || format!("{found} found")))
            })?,
            Action::Lacks { who, words } => match self.found(who, words)? {
                0 => {}
                found => return broken(format!("{who} finds {words:?} ({found} memories)")),
            },
            Action::Holds { who, memory } => {
                let id = self.memory(memory)?;
                wait::until(&what, within, || {
                    let shown = self.ask(who, &["show", &id])?;
                    Ok(Seen::of(shown.code == 0, || shown.stderr.trim().to_owned()))
                })?;
            }
            Action::HoldsNot { who, memory } => {
                let shown = self.ask(who, &["show", &self.memory(memory)?])?;
                match shown.code {
                    NOT_FOUND => {}
                    0 => return broken(format!("{who} holds {memory}:\n{}", shown.stdout)),
                    _ => return Err(shown.refusal()),
                }
            }
            Action::Lists {
                who,
                what: selector,
                count,
            } => wait::until(&what, within, || {
                let listed = self
                    .list(who, &["ls", "--all", "--", selector], "items")?
                    .len();
                Ok(Seen::of(listed == *count, || format!("{listed} listed")))
            })?,
            _ => {}
        }
        Ok(None)
    }

    /// Counts the memories of a node that have these words.
    pub(super) fn found(&self, who: &str, words: &str) -> Result<usize> {
        let search = ["search", "--mode", "text", "--limit", "100", "--", words];
        Ok(self.list(who, &search, "hits")?.len())
    }

    fn in_sync(&self, what: &str, between: &[String; 2], within: Duration) -> Result<()> {
        let [one, other] = between;
        for (who, peer) in [(one, self.person(other)), (other, self.person(one))] {
            wait::until(what, within, || {
                let peers = self.list(who, &["sync", "status"], "peers")?;
                let found = peers.iter().find(|found| text(found, "alias") == peer);
                let is_so = found.is_some_and(|found| found["in_sync"] == true);
                let state = found.map_or("unknown", |found| text(found, "state"));
                Ok(Seen::of(is_so, || format!("{who}: {peer} is {state}")))
            })?;
        }
        Ok(())
    }
}
