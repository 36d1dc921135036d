//! Screening: what the egress guard says of each memory, and where the store asks it.
//!
//! ```text
//! policy event -> Guard::compile -> Screen -> review of each memory -> Screening in its facts
//!                                                                   -> State::held_by
//! ```
//!
//! The store knows no rule by itself. Who opens it installs a [`Guard`]; what the guard finds is
//! kept with the facts, so the view is one function of facts, consent and approvals.
//!
//! Invariant: a memory that was screened under another policy than the current one is held.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::event::body::approval::RULE_BYTES_MAX;
use crdt::grant::Access;
use crdt::hash::Hash;
use crdt::memory::Content;
use crdt::selector;
use std::fmt::Debug;
use std::sync::Arc;

/// The rule that holds what was labelled secret.
pub const RULE_SECRET: &str = "sensitivity-secret";
/// The rule that holds what was not screened under the current policy yet.
pub const RULE_UNSCREENED: &str = "not-screened";
/// The rule that holds everything while consent may be lost from a damaged store.
pub const RULE_HALTED: &str = "halted";
/// The most findings of one memory; a further one replaces none.
pub const FINDINGS_MAX: usize = 64;
const REASON_BYTES_MAX: usize = 256;

/// What a rule does with a memory that it matches. The strictest rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It may leave.
    Allow = 0,
    /// What matched is blacked out in a snapshot. A live memory is signed and cannot be blacked
    /// out: it is held.
    Redact = 1,
    /// It stays until a person releases it.
    Hold = 2,
    /// It stays, and nobody can release it.
    Deny = 3,
}

impl Verdict {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Redact => "redact",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
    /// Reads the word for it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allow, Self::Redact, Self::Hold, Self::Deny]
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
    }
}

/// What a rule found in a memory: never the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the rule.
    pub rule: String,
    /// What the rule does.
    pub verdict: Verdict,
    /// What kind of thing matched, and where.
    pub reason: String,
    /// The digest of what matched: a release covers this and nothing that is added later.
    pub found: Hash,
}

/// What the guard said of a memory, and under which policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Screening {
    /// The policy and the detectors, as one number; see [`Screen::version`].
    pub version: u64,
    /// What was found, strictest first.
    pub findings: Vec<Finding>,
}

/// What makes a screen out of a policy.
pub trait Guard: Debug + Send + Sync {
    /// Returns the screen of a policy, or of no policy. A policy that does not read gives a
    /// screen that holds everything.
    fn compile(&self, policy: Option<&str>) -> Arc<dyn Screen>;
}

/// A policy that is in force.
pub trait Screen: Debug + Send + Sync {
    /// Returns a number that differs whenever another review of a memory could differ.
    fn version(&self) -> u64;
    /// Returns what the rules find in a memory, strictest first.
    fn review(&self, labels: &dyn selector::Facts, content: &Content) -> Vec<Finding>;
    /// Returns the content with everything blacked out that a rule redacts.
    fn redact(&self, labels: &dyn selector::Facts, content: &Content) -> Content;
    /// Returns what is agreed to with a peer who is known by these names.
    fn peer_rules(&self, names: &[&str]) -> PeerRules;
    /// Returns why the policy does not read, if it does not.
    fn fault(&self) -> Option<&str>;
}

/// What happens with the copies of a grant that its owner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRevoke {
    /// They are hidden.
    Hide,
    /// They stay readable here.
    Keep,
}

/// What happens when an owner asks to destroy the copies of a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPurge {
    /// They are destroyed.
    Comply,
    /// The person is asked.
    Ask,
    /// They stay.
    Refuse,
}

/// What is agreed to with a peer without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerRules {
    /// Offers up to this access are accepted without asking; none if every offer is asked about.
    pub accept: Option<Access>,
    /// The most memories that are taken from them.
    pub max_memories: Option<u64>,
    /// The most bytes of text that are taken from them.
    pub max_bytes: Option<u64>,
    /// Whether a grant of theirs is renewed without asking.
    pub auto_renew: bool,
    /// What happens with their memories when they revoke.
    pub on_revoke: OnRevoke,
    /// What happens when they ask to destroy a copy.
    pub on_purge: OnPurge,
    /// Whether nothing is said to them or heard from them.
    pub block: bool,
}

impl Default for PeerRules {
    fn default() -> Self {
        Self {
            accept: None,
            max_memories: None,
            max_bytes: None,
            auto_renew: true,
            on_revoke: OnRevoke::Hide,
            on_purge: OnPurge::Comply,
            block: false,
        }
    }
}

impl PeerRules {
    /// Returns the rules while no policy reads: nothing is agreed to and nothing new is taken.
    pub fn closed() -> Self {
        Self {
            accept: None,
            max_memories: Some(0),
            max_bytes: None,
            auto_renew: false,
            on_revoke: OnRevoke::Hide,
            on_purge: OnPurge::Ask,
            block: false,
        }
    }
}

/// Cuts text to a number of bytes, between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl Screening {
    /// Returns what is kept of a review: the strictest findings, each within its limits.
    pub(crate) fn of(version: u64, mut findings: Vec<Finding>) -> Self {
        findings.truncate(FINDINGS_MAX);
        for finding in &mut findings {
            finding.rule = cut(&finding.rule, RULE_BYTES_MAX).to_owned();
            finding.reason = cut(&finding.reason, REASON_BYTES_MAX).to_owned();
        }
        Self { version, findings }
    }
}

impl Canonical for Finding {
    fn encode(&self, out: &mut Writer) {
        out.text(&self.rule);
        out.u8(self.verdict as u8);
        out.text(&self.reason);
        self.found.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            rule: input.text(RULE_BYTES_MAX, "rule")?,
            verdict: match input.u8("verdict")? {
                0 => Verdict::Allow,
                1 => Verdict::Redact,
                2 => Verdict::Hold,
                3 => Verdict::Deny,
                found => {
                    return Err(DecodeError::Unknown {
                        what: "verdict",
                        found,
                    });
                }
            },
            reason: input.text(REASON_BYTES_MAX, "reason")?,
            found: Hash::decode(input)?,
        })
    }
}

impl Canonical for Screening {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.version);
        out.list(&self.findings);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: input.u64("version of the screen")?,
            findings: input.list(FINDINGS_MAX, "findings")?,
        })
    }
}

pub mod open {
    //! A guard without rules, for tests and benchmarks in which the guard is not the question.
    use super::{Arc, Content, Finding, Guard, PeerRules, Screen, selector};

    /// Lets everything out. Never for a node.
    #[derive(Debug, Clone, Copy)]
    pub struct Open;

    impl Guard for Open {
        fn compile(&self, _: Option<&str>) -> Arc<dyn Screen> {
            Arc::new(*self)
        }
    }

    impl Screen for Open {
        fn version(&self) -> u64 {
            1
        }
        fn review(&self, _: &dyn selector::Facts, _: &Content) -> Vec<Finding> {
            Vec::new()
        }
        fn redact(&self, _: &dyn selector::Facts, content: &Content) -> Content {
            content.clone()
        }
        fn peer_rules(&self, _: &[&str]) -> PeerRules {
            PeerRules::default()
        }
        fn fault(&self) -> Option<&str> {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screening_reads_as_it_was_written() {
        let finding = |verdict| Finding {
            rule: "token".to_owned(),
            verdict,
            reason: "a token in the body".to_owned(),
            found: Hash([3; 32]),
        };
        let all = [
            Verdict::Deny,
            Verdict::Hold,
            Verdict::Redact,
            Verdict::Allow,
        ];
        let screening = Screening::of(9, all.map(finding).to_vec());
        assert_eq!(Screening::from_bytes(&screening.to_bytes()), Ok(screening));
    }

    #[test]
    fn what_is_kept_of_a_review_is_bounded() {
        let long = Finding {
            rule: "é".repeat(100),
            verdict: Verdict::Hold,
            reason: "x".repeat(1_000),
            found: Hash([3; 32]),
        };
        let screening = Screening::of(1, vec![long; FINDINGS_MAX + 5]);
        assert_eq!(screening.findings.len(), FINDINGS_MAX);
        assert_eq!(Screening::from_bytes(&screening.to_bytes()), Ok(screening));
    }
}
