//! The check that all who are paired prove to hold the same: `sync prove`, on both sides.
//!
//! A pair counts if a packet can go between the two and neither is retired. Between persons who
//! have one device each, the two sides' own fingerprints are compared too, so that the proof does
//! not rest on what one side says of the other.

use super::{Run, text};
use crate::fault::{Result, broken};
use crate::wait::{self, Seen};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Two nodes, and the name that the first has for the second.
#[derive(Debug)]
struct Pair {
    who: String,
    alias: String,
    peer: String,
}

impl Run<'_> {
    pub(super) fn proved(&self, within: Duration) -> Result<Option<String>> {
        let pairs = self.pairs()?;
        if pairs.is_empty() {
            return broken("nobody is paired with anybody in reach");
        }
        let what = "all pairs prove to hold the same";
        let count = pairs.len();
        wait::until(what, within, || self.all_equal(&pairs))?;
        Ok(Some(format!("{count} proofs")))
    }

    /// Lists who has to prove something to whom.
    fn pairs(&self) -> Result<Vec<Pair>> {
        let active = self.active();
        let mut pairs = Vec::new();
        for who in &active {
            let status = self.tell(who, &["status", "--json"])?.json()?;
            for row in self.list(who, &["sync", "status"], "peers")? {
                let alias = text(&row, "alias").to_owned();
                let is_own = text(&row, "person") == text(&status, "person");
                let person = if is_own {
                    self.person(who)
                } else {
                    alias.clone()
                };
                let is_peer = |peer: &&String| {
                    let is_named = !is_own || **peer == alias || self.persons_nodes(&person) == 2;
                    *peer != who && self.person(peer) == person && is_named && self.reach(who, peer)
                };
                let peer = active.iter().find(is_peer).cloned();
                pairs.extend(peer.map(|peer| Pair {
                    who: who.clone(),
                    alias,
                    peer,
                }));
            }
        }
        Ok(pairs)
    }

    fn persons_nodes(&self, person: &str) -> usize {
        self.persons.values().filter(|one| *one == person).count()
    }

    /// Looks at all pairs at once, so that what changes meanwhile is not taken for equal.
    fn all_equal(&self, pairs: &[Pair]) -> Result<Seen<()>> {
        let mut proofs: BTreeMap<(&str, &str), Value> = BTreeMap::new();
        for Pair { who, alias, peer } in pairs {
            let proof = self.ask(who, &["sync", "prove", alias, "--json"])?;
            if proof.code != 0 {
                let said = (proof.stdout + &proof.stderr).trim().to_owned();
                return Ok(Seen::NotYet(format!(
                    "{who} and {alias}: exit {}: {said}",
                    proof.code
                )));
            }
            proofs.insert((who, peer), proof.json()?);
        }
        for ((who, peer), ours) in &proofs {
            let are_single = [who, peer].map(|one| self.persons_nodes(&self.person(one)));
            let Some(theirs) = proofs.get(&(*peer, *who)).filter(|_| are_single == [1, 1]) else {
                continue;
            };
            let is_same = ["fingerprint", "mine"].map(|field| ours[field] == theirs[field]);
            let is_crossed = ours["fingerprint"] == theirs["their_fingerprint"];
            if is_same != [true, true] || !is_crossed {
                return Ok(Seen::NotYet(format!(
                    "{who} and {peer} differ: {ours} {theirs}"
                )));
            }
        }
        Ok(Seen::Yes(()))
    }
}
