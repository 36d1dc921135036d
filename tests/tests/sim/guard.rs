//! A guard of few words: one rule a line, so that a simulated node can change its policy.
//!
//! `hold tag:x`, `deny word` and the like hold what the selector takes in; `accept read`,
//! `max_memories 3`, `max_bytes 100`, `on_revoke keep`, `on_purge ask` and `block` are agreed with every peer; a line that does not
//! read holds everything. The detectors of the real guard are tested where they live.

use crdt::grant::Access;
use crdt::hash::Hash;
use crdt::memory::Content;
use crdt::selector::{self, Selector};
use std::sync::Arc;
use storage::screen::{Finding, Guard, OnPurge, OnRevoke, PeerRules, Screen, Verdict};

/// Holds what lines of the policy such as `hold tag:x` or `hold word` select; a policy line
/// that it cannot read holds everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineGuard;

#[derive(Debug)]
struct Lines {
    version: u64,
    rules: Vec<(Verdict, Selector, String)>,
    peers: PeerRules,
    fault: Option<String>,
}

impl Guard for LineGuard {
    fn compile(&self, policy: Option<&str>) -> Arc<dyn Screen> {
        let text = policy.unwrap_or_default();
        let digest = Hash::of("second-brain 2026 v1 line guard", &[text.as_bytes()]);
        let (first, _) = digest.0.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let mut lines = Lines {
            version: u64::from_le_bytes(*first),
            rules: Vec::new(),
            peers: PeerRules::default(),
            fault: None,
        };
        for line in text.lines() {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match (Verdict::parse(verb), Selector::parse(rest), verb) {
                (Some(verdict), Ok(selector), _) => {
                    lines.rules.push((verdict, selector, rest.to_owned()));
                }
                (None, _, "accept") => lines.peers.accept = Access::parse(rest),
                (None, _, "max_memories") => lines.peers.max_memories = rest.parse().ok(),
                (None, _, "max_bytes") => lines.peers.max_bytes = rest.parse().ok(),
                (None, _, "on_revoke") if rest == "keep" => {
                    lines.peers.on_revoke = OnRevoke::Keep;
                }
                (None, _, "on_purge") if rest == "ask" => lines.peers.on_purge = OnPurge::Ask,
                (None, _, "on_purge") if rest == "refuse" => {
                    lines.peers.on_purge = OnPurge::Refuse;
                }
                (None, _, "on_revoke" | "on_purge") => {}
                (None, _, "block") => lines.peers.block = true,
                _ => lines.fault = Some(format!("{line:?} is no rule")),
            }
        }
        Arc::new(lines)
    }
}

impl Screen for Lines {
    fn version(&self) -> u64 {
        self.version
    }
    fn review(&self, labels: &dyn selector::Facts, content: &Content) -> Vec<Finding> {
        let finding = |verdict, rule: &str| Finding {
            rule: rule.to_owned(),
            verdict,
            reason: "a line of the policy".to_owned(),
            found: Hash::of(
                "second-brain 2026 v1 line finding",
                &[content.body.as_bytes()],
            ),
        };
        if self.fault.is_some() {
            return vec![finding(Verdict::Deny, "policy-unreadable")];
        }
        let rules = self.rules.iter();
        let mut found: Vec<Finding> = rules
            .filter(|(_, selector, _)| selector.matches(labels))
            .map(|(verdict, _, text)| finding(*verdict, text))
            .collect();
        found.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
        found
    }
    fn redact(&self, _: &dyn selector::Facts, content: &Content) -> Content {
        content.clone()
    }
    fn peer_rules(&self, _: &[&str]) -> PeerRules {
        if self.fault.is_some() {
            return PeerRules::closed();
        }
        self.peers
    }
    fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}
