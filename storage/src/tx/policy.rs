//! The policy and its verdicts: put in force, kept with the facts, released by a person.

use super::Tx;
use super::append::{AppendError, Draft};
use crate::records::Facts;
use crate::screen::{RULE_SECRET, RULE_UNSCREENED, Screening, Verdict};
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::envelope::Epoch;
use crdt::event::admit::Verified;
use crdt::event::body::approval::{Approval, Subject};
use crdt::event::body::policy::write_policy;
use crdt::event::{Event, Feed, Kind};
use crdt::id::{EventId, MemoryId};
use crdt::memory::Content;
use thiserror::Error;

/// The reason why a memory was not released.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// There is no such memory, or it was purged.
    #[error("there is no memory {0}")]
    Unknown(MemoryId),
    /// The rule does not hold it.
    #[error("rule {0:?} does not hold this memory")]
    NotHeld(String),
    /// The rule denies, which nobody can release.
    #[error("rule {0:?} denies; what it denies cannot be released")]
    Denied(String),
    /// The event was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StoreError> for ReleaseError {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}

impl Tx<'_> {
    fn own_draft(&self, kind: Kind) -> Draft {
        Draft {
            kind,
            owner: self.state.me,
            feed: Feed::Own,
            parents: Vec::new(),
            epoch: Epoch(0),
        }
    }

    /// Puts a policy in force. Screen again afterwards: see [`crate::store::Store::rescreen`].
    pub fn put_policy(&mut self, text: &str) -> Result<EventId, AppendError> {
        let draft = self.own_draft(Kind::Policy);
        self.write_plain(draft, write_policy(text))
            .map(|event| event.id())
    }

    /// Lets a memory out although a rule holds it, or takes that word back.
    ///
    /// It covers what the rule found, and nothing that is added to the memory later.
    pub fn release(
        &mut self,
        memory: MemoryId,
        rule: &str,
        approved: bool,
    ) -> Result<(), ReleaseError> {
        let facts = self.state.memories.get(&memory).filter(|f| !f.purged);
        let facts = facts.ok_or(ReleaseError::Unknown(memory))?;
        let is_held = self.state.holds(facts).any(|hold| hold.rule == rule);
        if rule == RULE_SECRET && is_held {
            return Err(ReleaseError::Denied(rule.to_owned()));
        }
        let mut findings = facts.screening.findings.iter();
        let finding = findings.find(|finding| finding.rule == rule);
        let finding = finding.filter(|_| rule != RULE_UNSCREENED && self.state.is_screened(facts));
        let finding = finding.ok_or_else(|| ReleaseError::NotHeld(rule.to_owned()))?;
        match finding.verdict {
            Verdict::Deny => return Err(ReleaseError::Denied(rule.to_owned())),
            Verdict::Allow => return Err(ReleaseError::NotHeld(rule.to_owned())),
            // A word that was said already is not said again.
            Verdict::Redact | Verdict::Hold if is_held != approved => {
                return Err(ReleaseError::NotHeld(rule.to_owned()));
            }
            Verdict::Redact | Verdict::Hold => {}
        }
        let subject = Subject::Hold {
            rule: finding.rule.clone(),
            found: finding.found,
        };
        let body = Approval {
            subject,
            memories: vec![memory],
            approved,
        };
        let draft = self.own_draft(Kind::Approval);
        self.write_plain(draft, body.to_bytes())?;
        Ok(())
    }

    /// Does what follows when a policy or an approval entered the log.
    pub(super) fn follow_policy(&mut self, event: &Verified<Event>) -> Result<(), AppendError> {
        match event.header().kind {
            Kind::Policy => self.state.adopt_policy(),
            Kind::Approval => {
                let approval = Approval::from_bytes(&event.event().body)
                    .map_err(|error| AppendError::Unreadable(error.to_string()))?;
                for memory in approval.memories {
                    self.note_moves(memory);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns what the guard says of a memory with these facts; `content` if it is at hand.
    pub(super) fn screen(
        &self,
        facts: &Facts,
        content: Option<&Content>,
    ) -> Result<Screening, StoreError> {
        let screen = &self.state.screen;
        let stored: Option<Content> = match content {
            None if !facts.purged => self.content(facts.id)?,
            _ => None,
        };
        let findings = content.or(stored.as_ref()).map(|content| {
            let labels = self.state.label(facts, self.now);
            screen.review(&labels.with_text(&content.title, &content.body), content)
        });
        Ok(Screening::of(
            screen.version(),
            findings.unwrap_or_default(),
        ))
    }

    /// Screens a memory under the policy in force.
    pub(crate) fn screen_again(&mut self, memory: MemoryId) -> Result<(), StoreError> {
        let Ok(mut facts) = self.facts(memory) else {
            return Ok(());
        };
        if !self.state.is_screened(&facts) {
            facts.screening = self.screen(&facts, None)?;
            self.restate_facts(facts);
        }
        Ok(())
    }
}
