//! The consent policy: show it, put it in force, try it, and release what it holds.

use super::{Failure, Services};
use crate::clock;
use crate::egress::guard::EgressGuard;
use crate::egress::policy::{DEFAULT, Policy as Rules, PolicyError};
use crdt::id::{GrantId, MemoryId, PersonId};
use crdt::memory::Content;
use crdt::selector::Selector;
use protocol::api::Page;
use protocol::api::policy::{
    Found, HeldMemory, Lint, Policy, PolicyChange, PolicyTest, PolicyVersion, PutPolicy, Release,
    Released, Remark, Tested,
};
use protocol::api::problem::ErrorCode;
use std::collections::BTreeSet;
use storage::records::Facts;
use storage::screen::{Guard as _, Screen, Verdict};
use storage::store::state::State;
use storage::tx::ReleaseError;

/// The most memories that one test shows.
const TESTED_MAX: usize = 1_000;

fn remark(level: &str, error: PolicyError) -> Remark {
    Remark {
        line: error.line,
        level: level.to_owned(),
        text: error.what,
    }
}

fn bad_policy(error: &PolicyError) -> Failure {
    Failure::new(ErrorCode::BadPolicy, "the policy does not read")
        .because(error.to_string())
        .hint("brainctl policy lint FILE      check it; the policy in force stays")
}

fn is_mine(state: &State, facts: &Facts) -> bool {
    facts.owner == state.me && !facts.purged
}

impl Services {
    /// Shows the policy in force.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn policy(&self) -> Result<Policy, Failure> {
        let (number, text) = self.policy_text();
        Ok(self.store().read(|state| {
            let mine = || state.memories.values().filter(|f| is_mine(state, f));
            Policy {
                number,
                fault: state.screen().fault().map(str::to_owned),
                held: mine().filter(|f| state.held_by(f).is_some()).count(),
                unscreened: mine().filter(|f| !state.is_screened(f)).count(),
                remarks: lint(state, &text).remarks,
                text,
            }
        }))
    }

    /// Returns the number and text of the policy in force.
    fn policy_text(&self) -> (usize, String) {
        self.store().read(|state| {
            let policies = state.authority.policies(state.me);
            let number = policies.map_or(0, |known| known.versions().len());
            let text = policies.and_then(|known| known.current());
            (number, text.unwrap_or(DEFAULT).to_owned())
        })
    }

    /// Checks a policy, or the one in force.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn lint_policy(&self, text: Option<String>) -> Result<Lint, Failure> {
        let text = text.unwrap_or_else(|| self.policy_text().1);
        Ok(self.store().read(|state| lint(state, &text)))
    }

    /// Puts a policy in force and screens everything under it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the edge hands over what it decoded"
    )]
    pub fn put_policy(&self, put: PutPolicy) -> Result<PolicyChange, Failure> {
        Rules::parse(&put.text).map_err(|error| bad_policy(&error))?;
        let (number, _) = self.policy_text();
        let screen = EgressGuard.compile(Some(&put.text));
        let change = self.compare(&*screen)?;
        let remarks = self.store().read(|state| lint(state, &put.text).remarks);
        if !put.dry_run {
            let now = clock::now();
            self.store()
                .transact::<_, Failure>(now, |tx| Ok(tx.put_policy(&put.text)?))?;
            self.store().rescreen(now)?;
            self.end_blocked();
            self.wrote("policy.changed", (number + 1).to_string());
        }
        Ok(PolicyChange {
            number: number + 1,
            in_force: !put.dry_run,
            remarks,
            ..change
        })
    }

    /// Counts what another policy holds, and how that differs from now.
    fn compare(&self, screen: &dyn Screen) -> Result<PolicyChange, Failure> {
        let mut change = PolicyChange {
            number: 0,
            in_force: false,
            held: 0,
            newly_held: 0,
            let_out: 0,
            remarks: Vec::new(),
        };
        for id in self.own() {
            let Some(content) = self.store().content(id)? else {
                continue;
            };
            let held = self.store().read(|state| {
                let facts = state.memories.get(&id)?;
                let verdict = verdict(&findings(state, screen, facts, &content));
                Some((state.held_by(facts).is_some(), verdict > Verdict::Allow))
            });
            let (before, after) = held.unwrap_or_default();
            change.held += usize::from(after);
            change.newly_held += usize::from(after && !before);
            change.let_out += usize::from(before && !after);
        }
        Ok(change)
    }

    fn own(&self) -> Vec<MemoryId> {
        self.store().read(|state| {
            let mine = state.memories.values().filter(|f| is_mine(state, f));
            mine.map(|facts| facts.id).collect()
        })
    }

    /// Ends the sessions with peers whom the policy blocks.
    fn end_blocked(&self) {
        let blocked: Vec<PersonId> = self.store().read(|state| {
            let peers = state.peers.keys().copied();
            peers.filter(|person| !state.is_paired(*person)).collect()
        });
        for person in blocked {
            self.end_session(person);
        }
    }

    /// Lists the versions, newest first.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn policy_versions(&self) -> Result<Page<PolicyVersion>, Failure> {
        let mut items: Vec<PolicyVersion> = self.store().read(|state| {
            let Some(policies) = state.authority.policies(state.me) else {
                return Vec::new();
            };
            let last = policies.versions().len();
            let numbered = (1..).zip(policies.versions());
            let show =
                |(number, (time, _, text)): (usize, (crdt::time::Hybrid, _, &str))| PolicyVersion {
                    number,
                    time: time.wall().to_rfc3339(),
                    bytes: text.len(),
                    in_force: number == last,
                    text: text.to_owned(),
                };
            numbered.map(show).collect()
        });
        items.reverse();
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// Puts an earlier version in force again, as a new one.
    pub fn rollback_policy(&self, number: usize, dry_run: bool) -> Result<PolicyChange, Failure> {
        let text = match number {
            0 => Some(DEFAULT.to_owned()),
            number => self.store().read(|state| {
                let policies = state.authority.policies(state.me)?;
                let text = policies.versions().nth(number - 1).map(|(_, _, text)| text);
                text.map(str::to_owned)
            }),
        };
        let text = text.ok_or_else(|| {
            Failure::not_found("version", &number.to_string())
                .hint("brainctl policy history     list the versions")
        })?;
        self.put_policy(PutPolicy { text, dry_run })
    }

    /// Tells what the policy, or another one, says of memories.
    pub fn test_policy(&self, test: PolicyTest) -> Result<Page<Tested>, Failure> {
        let selector = Selector::parse(&test.selector)?;
        let with = test.with.as_deref().map(|name| self.find_person(name));
        let with = with.transpose()?;
        let (_, mut text) = self.policy_text();
        if let Some(tried) = test.text {
            Rules::parse(&tried).map_err(|error| bad_policy(&error))?;
            text = tried;
        }
        let screen = EgressGuard.compile(Some(&text));
        let now = clock::now();
        let mut items = Vec::new();
        for id in self.select(&selector)?.into_iter().take(TESTED_MAX) {
            let Some(content) = self.store().content(id)? else {
                continue;
            };
            let tested = self.store().read(|state| {
                let facts = state.memories.get(&id).filter(|f| is_mine(state, f))?;
                let mut found = findings(state, &*screen, facts, &content);
                let reaches = with.map(|person| {
                    let grants = state.authority.grants_to(state.me, person, now);
                    let mut grants = grants.filter(|g| g.selects(&state.label(facts, now)));
                    grants.next().is_some() && verdict(&found) == Verdict::Allow
                });
                let strictest = verdict(&found);
                if let Some(rule) = &test.rule {
                    found.retain(|found| found.rule == *rule);
                }
                Some(Tested {
                    id: id.to_string(),
                    title: content.title.clone(),
                    verdict: strictest.as_str().to_owned(),
                    reaches,
                    findings: found,
                })
            });
            items.extend(tested);
        }
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// Lists the memories that do not leave, and why.
    pub fn held(&self) -> Result<Page<HeldMemory>, Failure> {
        let now = clock::now();
        let mut items: Vec<HeldMemory> = self.store().read(|state| {
            let mine = state.memories.values().filter(|f| is_mine(state, f));
            let mut items = Vec::new();
            for facts in mine.filter(|facts| state.held_by(facts).is_some()) {
                let wanted_by = wanted_by(state, facts, now);
                items.extend(state.holds(facts).map(|hold| HeldMemory {
                    id: facts.id.to_string(),
                    title: String::new(),
                    rule: hold.rule.to_owned(),
                    verdict: hold.verdict.as_str().to_owned(),
                    reason: hold.reason.to_owned(),
                    can_release: hold.verdict < Verdict::Deny && state.is_screened(facts),
                    wanted_by: wanted_by.clone(),
                }));
            }
            items
        });
        for item in &mut items {
            if let Ok(id) = item.id.parse()
                && let Some(content) = self.store().content(id)?
            {
                item.title = content.title;
            }
        }
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// Lets a memory out although a rule holds it, or takes that word back.
    pub fn release(&self, id: &str, release: Release) -> Result<Released, Failure> {
        let memory = self.find(id)?;
        let now = clock::now();
        self.store().transact::<_, ReleaseError>(now, |tx| {
            tx.release(memory, &release.rule, !release.undo)
        })?;
        let event = if release.undo {
            "egress.held"
        } else {
            "egress.released"
        };
        self.wrote(event, memory.to_string());
        let still_held_by = self.store().read(|state| {
            let facts = state.memories.get(&memory);
            let holds = facts.into_iter().flat_map(|facts| state.holds(facts));
            let others = holds.filter(|hold| hold.rule != release.rule);
            others.map(|hold| hold.rule.to_owned()).collect()
        });
        let state = if release.undo { "held" } else { "released" };
        Ok(Released {
            id: memory.to_string(),
            rule: release.rule,
            state: state.to_owned(),
            still_held_by,
        })
    }

    /// Says what the guard needs a person for.
    pub(super) fn guard_needs_you(&self) -> Vec<String> {
        let now = clock::now();
        self.store().read(|state| {
            let mut lines = Vec::new();
            if let Some(fault) = state.screen().fault() {
                lines.push(format!(
                    "the policy does not read, so nothing leaves ({fault}): brainctl policy lint"
                ));
                return lines;
            }
            let mine = state.memories.values().filter(|f| is_mine(state, f));
            let waits = mine.filter(|facts| {
                let hold = state.held_by(facts);
                hold.is_some_and(|hold| hold.verdict < Verdict::Deny)
                    && !wanted_by(state, facts, now).is_empty()
            });
            let waits = waits.count();
            if waits > 0 {
                let held = "held back from a share by the egress guard: brainctl policy held";
                lines.push(format!("{waits} memories are {held}"));
            }
            lines
        })
    }
}

/// Reads a policy and names what is wrong with it, or surprising.
fn lint(state: &State, text: &str) -> Lint {
    let policy = match Rules::parse(text) {
        Ok(policy) => policy,
        Err(error) => {
            return Lint {
                ok: false,
                remarks: vec![remark("error", error)],
            };
        }
    };
    let unknown = policy
        .peer_names()
        .filter(|name| state.person(name).is_none())
        .map(|name| PolicyError {
            line: None,
            what: format!("no peer is called {name:?}; the rules wait for one"),
        });
    let remarks: Vec<Remark> = policy
        .remarks
        .iter()
        .cloned()
        .chain(unknown)
        .map(|error| remark("warning", error))
        .collect();
    Lint { ok: true, remarks }
}

/// Returns what a screen says of a memory, with what you released.
fn findings(state: &State, screen: &dyn Screen, facts: &Facts, content: &Content) -> Vec<Found> {
    let labels = state.label(facts, clock::now());
    let found = screen.review(&labels.with_text(&content.title, &content.body), content);
    let mut all: Vec<Found> = found
        .iter()
        .map(|finding| Found {
            rule: finding.rule.clone(),
            verdict: finding.verdict.as_str().to_owned(),
            reason: finding.reason.clone(),
            released: state.is_released(facts.id, finding),
        })
        .collect();
    let secret = state
        .holds(facts)
        .find(|hold| hold.rule == storage::screen::RULE_SECRET);
    all.extend(secret.map(|hold| Found {
        rule: hold.rule.to_owned(),
        verdict: hold.verdict.as_str().to_owned(),
        reason: hold.reason.to_owned(),
        released: false,
    }));
    all
}

/// Returns the strictest verdict that was not released.
fn verdict(findings: &[Found]) -> Verdict {
    let standing = findings.iter().filter(|found| !found.released);
    let verdicts = standing.filter_map(|found| Verdict::parse(&found.verdict));
    verdicts.max().unwrap_or(Verdict::Allow)
}

/// Returns who would receive a memory under a grant of mine if nothing held it.
fn wanted_by(state: &State, facts: &Facts, now: crdt::time::Timestamp) -> Vec<String> {
    use crdt::grant::authority::State as GrantState;
    let labels = state.label(facts, now);
    let grants = state.authority.grants().filter(|grant| {
        grant.owner == state.me
            && matches!(grant.state(now), GrantState::Active | GrantState::Offered)
            && grant.selects(&labels)
    });
    let names: BTreeSet<(String, GrantId)> = grants
        .map(|grant| (state.petname(grant.grantee), grant.id))
        .collect();
    let mut names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names
}
