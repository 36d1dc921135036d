//! What the store holds in memory: facts of every memory, who may do what, and the clock.
//!
//! Derived from the rows at start and kept in step by transactions; never the only copy.

pub(crate) mod changes;
mod ended;
mod integrity;
mod labels;
pub(crate) mod names;
pub(crate) mod sources;
pub(crate) mod texts;

pub use changes::{Mark, Since};
pub use labels::Labels;
pub use sources::Sources;

use super::own::{Own, ToldKeys};
use super::query::FeedWriter;
use crate::fork::Forked;
use crate::gaps::Gaps;
use crate::late::Late;
use crate::quarantine::Quarantined;
use crate::records::{Facts, Invite, Member, Peer, PeerState};
use crate::screen::{
    Finding, Guard, PeerRules, RULE_HALTED, RULE_SECRET, RULE_UNSCREENED, Screen, Verdict,
};
use crate::waiting::Waiting;
use crdt::codec::Canonical as _;
use crdt::envelope::Epoch;
use crdt::event::admit::Verified;
use crdt::event::body::approval::Subject;
use crdt::event::body::{Cut, Vouch};
use crdt::event::{Event, Feed, Incarnation, Kind, Signed};
use crdt::grant::Access;
use crdt::grant::authority::{Authority, Grant, State as GrantState, parties};
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::memory::{Attachment, Status};
use crdt::selector;
use crdt::sidecar::Sensitivity;
use crdt::time::{Hybrid, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The state of a store as of its last commit.
#[derive(Debug, Clone)]
pub struct State {
    /// Whose store it is.
    pub me: PersonId,
    /// The writer of this opening.
    pub(crate) incarnation: Incarnation,
    /// The number of the last log entry.
    pub head: u64,
    /// The latest time on this node's own clock at which something was written, to a minute.
    pub wall: Timestamp,
    /// The latest time that was seen.
    pub clock: Hybrid,
    /// How often something was revoked: the floor of new key epochs.
    pub rotation: u32,
    /// The epoch below which no change is written any more: a retired device knows those keys.
    pub(crate) floor: u32,
    /// What the person's own devices know of each other.
    pub own: Own,
    /// Who speaks for whom and who may do what.
    pub authority: Authority,
    /// Every memory.
    pub memories: BTreeMap<MemoryId, Arc<Facts>>,
    /// Memories by slot.
    pub slots: BTreeMap<u64, MemoryId>,
    /// The tags and origins of memories.
    pub(crate) names: names::Names,
    /// Memories by the source they came from.
    pub sources: Sources,
    /// What is attached to memories.
    pub(crate) attached: BTreeMap<MemoryId, Vec<Attachment>>,
    /// Under which grants a memory was given, and with the keys of which epochs.
    pub members: BTreeMap<MemoryId, BTreeMap<GrantId, Vec<Epoch>>>,
    /// The persons this node is paired with.
    pub peers: BTreeMap<PersonId, Peer>,
    /// The tickets that were given out.
    pub invites: Vec<Invite>,
    /// What contains the words that grants of mine select by.
    pub(crate) texts: texts::Texts,
    /// Changes that a revocation cut off.
    pub(crate) late: Late,
    /// Memories in which a feed forked.
    pub(crate) forks: BTreeMap<MemoryId, Forked>,
    /// Memories that are kept out of editing and merging.
    pub(crate) quarantined: BTreeMap<MemoryId, Quarantined>,
    /// Events that cannot be admitted yet.
    pub(crate) waiting: Waiting,
    /// What is missing from the log.
    pub gaps: Gaps,
    /// The consent events between this person and another, by the other.
    pub(crate) consent: BTreeMap<PersonId, Consent>,
    pub(crate) guard: Arc<dyn Guard>,
    /// The policy in force.
    pub(crate) screen: Arc<dyn Screen>,
    /// What changed, for views that are kept up to date.
    pub(crate) changes: changes::Changes,
}

/// Why a memory does not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold<'a> {
    /// The name of the rule.
    pub rule: &'a str,
    /// What kind of thing matched, and where.
    pub reason: &'a str,
    /// What the rule does.
    pub verdict: Verdict,
}

/// How a memory stands to a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// It is not selected.
    Outside,
    /// It is selected, and this rule holds it back.
    Held(Hold<'a>),
    /// It is selected and may leave.
    Inside,
}

/// The consent events between two persons.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consent {
    /// Those without successors.
    pub(crate) heads: BTreeSet<EventId>,
    /// How many events of each writer are known.
    pub(crate) feeds: BTreeMap<FeedWriter, u64>,
    /// All of them in log order: place in the log, writer, number.
    pub(crate) entries: Vec<(u64, FeedWriter, u64)>,
    /// What devices of this person said about keys and devices.
    pub(crate) told: ToldKeys,
    /// The writers that I vouched for to the other person.
    pub(crate) vouched: BTreeMap<DeviceId, Told>,
}

/// What I last said about a writer to another person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Whether everything the writer writes counts.
    pub(crate) is_open: bool,
    /// If not: how far I said since that it counts.
    pub(crate) cuts: BTreeSet<Cut>,
}

impl State {
    /// Returns the petname of a person: `me`, the name they were given, or a short form.
    pub fn petname(&self, person: PersonId) -> String {
        if person == self.me {
            return "me".to_owned();
        }
        self.peers.get(&person).map_or_else(
            || {
                crdt::identity::did::to_did(&person)
                    .chars()
                    .rev()
                    .take(8)
                    .collect()
            },
            |peer| peer.petname.clone(),
        )
    }
    /// Returns a paired or blocked person by petname, `did:key`, or the end of it.
    pub fn person(&self, name: &str) -> Option<PersonId> {
        let by_name = self.peers.values().find(|peer| peer.petname == name);
        by_name.map(|peer| peer.person).or_else(|| {
            let found: Vec<PersonId> = self
                .peers
                .keys()
                .copied()
                .filter(|person| {
                    let did = crdt::identity::did::to_did(person);
                    did == name || (name.len() >= 8 && did.ends_with(name))
                })
                .collect();
            <[PersonId; 1]>::try_from(found).ok().map(|[person]| person)
        })
    }
    /// Tells whether a person is paired and not blocked, by hand or by the policy.
    pub fn is_paired(&self, person: PersonId) -> bool {
        self.peers
            .get(&person)
            .is_some_and(|peer| peer.state == PeerState::Paired && !self.peer_rules(person).block)
    }
    /// Returns the answers that a selector asks of a memory.
    pub fn label<'a>(&'a self, facts: &'a Facts, now: Timestamp) -> Labels<'a> {
        Labels::new(self, facts, now)
    }
    /// Returns the policy in force.
    pub fn screen(&self) -> &dyn Screen {
        &*self.screen
    }
    /// Returns what is agreed to with a person without asking.
    pub fn peer_rules(&self, person: PersonId) -> PeerRules {
        let did = crdt::identity::did::to_did(&person);
        self.screen.peer_rules(&[&self.petname(person), &did])
    }
    /// Puts the latest policy in force. Memories that were screened under another are held from
    /// now on, until they are screened again.
    pub(crate) fn adopt_policy(&mut self) {
        let policies = self.authority.policies(self.me);
        self.screen = self
            .guard
            .compile(policies.and_then(|known| known.current()));
    }
    /// Tells whether a memory was screened under the policy in force.
    pub fn is_screened(&self, facts: &Facts) -> bool {
        facts.screening.version == self.screen.version()
    }

    /// Returns every reason why the egress guard does not let a memory out, strictest first.
    ///
    /// None of them is there once a person released the memory for that rule and finding.
    pub fn holds<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = Hold<'a>> {
        let halted = self.gaps.is_halted().then_some(Hold {
            rule: RULE_HALTED,
            reason: "consent may be lost from the damaged store: brainctl node verify",
            verdict: Verdict::Hold,
        });
        let secret = facts.sidecar.sensitivity() == Sensitivity::Secret;
        let secret = secret.then_some(Hold {
            rule: RULE_SECRET,
            reason: "you labelled it secret",
            verdict: Verdict::Deny,
        });
        let unscreened = (!self.is_screened(facts)).then_some(Hold {
            rule: RULE_UNSCREENED,
            reason: "the policy changed and it was not looked at again yet",
            verdict: Verdict::Hold,
        });
        let findings = facts.screening.findings.iter();
        let findings = findings.filter(|finding| {
            finding.verdict > Verdict::Allow && !self.is_released(facts.id, finding)
        });
        let findings = findings.map(|finding| Hold {
            rule: &finding.rule,
            reason: &finding.reason,
            verdict: finding.verdict,
        });
        let halted = halted.into_iter();
        halted.chain(secret).chain(unscreened).chain(findings)
    }
    /// Tells whether a person released a memory for what a rule found; what a rule denies cannot
    /// be released.
    pub fn is_released(&self, memory: MemoryId, finding: &Finding) -> bool {
        let subject = || Subject::Hold {
            rule: finding.rule.clone(),
            found: finding.found,
        };
        let approvals = self.authority.approvals(self.me);
        finding.verdict < Verdict::Deny
            && approvals.is_some_and(|known| known.is_approved(&subject(), memory))
    }
    /// Returns why the egress guard does not let a memory out as it is, if it does not.
    pub fn held_by<'a>(&'a self, facts: &'a Facts) -> Option<Hold<'a>> {
        self.holds(facts).next()
    }
    /// Returns why not even a snapshot of a memory may leave, with everything blacked out that a
    /// rule redacts; see [`Screen::redact`].
    pub fn held_from_snapshot<'a>(&'a self, facts: &'a Facts) -> Option<Hold<'a>> {
        self.holds(facts)
            .find(|hold| hold.verdict != Verdict::Redact)
    }

    /// Returns how one of my memories stands to a selector: held back, let out, or not selected.
    ///
    /// The one function behind preview, reconciliation and the guard before the wire.
    pub(super) fn stands<'a>(
        &'a self,
        facts: &'a Facts,
        now: Timestamp,
        selects: impl FnOnce(&dyn selector::Facts) -> bool,
    ) -> Standing<'a> {
        if facts.owner != self.me || !selects(&self.label(facts, now)) {
            return Standing::Outside;
        }
        self.held_by(facts).map_or(Standing::Inside, Standing::Held)
    }

    /// Returns the grants under which a peer may fetch one of my memories now.
    pub fn grants_over<'a>(
        &'a self,
        facts: &'a Facts,
        peer: PersonId,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Grant> {
        self.authority
            .grants_to(self.me, peer, now)
            .filter(move |grant| {
                let standing = self.stands(facts, now, |labels| {
                    // A purged memory goes on only where it was given, to carry the news.
                    if facts.purged {
                        self.is_member(facts.id, grant.id)
                    } else {
                        self.selects(grant, facts, labels)
                    }
                });
                !grant.aftermath.has_returned(facts.id) && standing == Standing::Inside
            })
    }
    /// Tells whether one of my grants takes a memory in: the selector matches, and where it
    /// infers, I said yes.
    fn selects(&self, grant: &Grant, facts: &Facts, labels: &dyn selector::Facts) -> bool {
        grant.selects(labels)
            && (!grant.holds_additions() || self.ruling(grant.id, facts.id) == Some(true))
    }
    /// Returns what I said about a memory that a grant's selector infers.
    fn ruling(&self, grant: GrantId, memory: MemoryId) -> Option<bool> {
        let approvals = self.authority.approvals(self.me)?;
        let ruling = approvals.of(&Subject::Addition { grant }, memory)?;
        Some(ruling.approved)
    }
    /// Returns the memories that wait for my word to enter the view of a grant of mine.
    pub fn additions(&self, grant: &Grant, now: Timestamp) -> Vec<MemoryId> {
        let is_open = matches!(grant.state(now), GrantState::Offered | GrantState::Active);
        if grant.owner != self.me || !is_open || !grant.holds_additions() {
            return Vec::new();
        }
        let waits = |facts: &&Arc<Facts>| {
            facts.owner == self.me
                && is_listed(facts)
                && self.held_by(facts).is_none()
                && grant.selects(&self.label(facts, now))
                && self.ruling(grant.id, facts.id).is_none()
        };
        let waiting = self.memories.values().filter(waits);
        waiting.map(|facts| facts.id).collect()
    }

    /// Returns the grants under which I hold one of a peer's memories now.
    pub fn held_under<'a>(
        &'a self,
        facts: &'a Facts,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Grant> {
        let members = self.members.get(&facts.id);
        let grants = members.into_iter().flat_map(BTreeMap::keys);
        grants
            .filter_map(|grant| self.authority.grant(*grant))
            .filter(move |grant| {
                grant.owner == facts.owner
                    && grant.grantee == self.me
                    && grant.state(now) == GrantState::Active
                    && !grant.excludes(facts.id)
            })
    }
    fn is_member(&self, memory: MemoryId, grant: GrantId) -> bool {
        self.members
            .get(&memory)
            .is_some_and(|grants| grants.contains_key(&grant))
    }

    /// Calls `visit` for every memory in the view that this node and a peer share, with the
    /// grants that put it there.
    pub fn pair_view(
        &self,
        peer: PersonId,
        now: Timestamp,
        visit: &mut dyn FnMut(&Facts, &[GrantId]),
    ) {
        if !self.shares_with(peer, now) {
            return;
        }
        for facts in self.memories.values() {
            self.visit_shared(facts, peer, now, visit);
        }
    }
    /// Calls `visit` as [`State::pair_view`] does, if this memory is in that view.
    pub fn pair_view_of(
        &self,
        memory: MemoryId,
        peer: PersonId,
        now: Timestamp,
        visit: &mut dyn FnMut(&Facts, &[GrantId]),
    ) {
        if let Some(facts) = self.memories.get(&memory) {
            self.visit_shared(facts, peer, now, visit);
        }
    }
    fn visit_shared(
        &self,
        facts: &Facts,
        peer: PersonId,
        now: Timestamp,
        visit: &mut dyn FnMut(&Facts, &[GrantId]),
    ) {
        let grants: Vec<GrantId> = if facts.owner == self.me {
            self.grants_over(facts, peer, now)
                .map(|grant| grant.id)
                .collect()
        } else if facts.owner == peer {
            self.held_under(facts, now).map(|grant| grant.id).collect()
        } else {
            return;
        };
        if grants.is_empty() {
            return;
        }
        match self.without_late(facts) {
            Some(facts) => visit(&facts, &grants),
            None => visit(facts, &grants),
        }
    }
    /// Tells whether a grant is open between this person and a peer, either way.
    fn shares_with(&self, peer: PersonId, now: Timestamp) -> bool {
        let ways = [(self.me, peer), (peer, self.me)];
        ways.into_iter().any(|(owner, grantee)| {
            let mut grants = self.authority.grants_to(owner, grantee, now);
            grants.next().is_some()
        })
    }
    /// Returns when the next grant between this person and a peer ends by itself.
    pub fn next_expiry(&self, peer: PersonId, now: Timestamp) -> Option<Timestamp> {
        let is_between = |grant: &&Grant| {
            (grant.owner == self.me && grant.grantee == peer)
                || (grant.owner == peer && grant.grantee == self.me)
        };
        let grants = self.authority.grants().filter(is_between);
        let ends = grants.filter_map(Grant::expires);
        ends.filter(|end| *end > now).min()
    }

    /// Tells whether someone holds the current key who may no longer receive the memory.
    pub(crate) fn needs_rotation(&self, facts: &Facts, now: Timestamp) -> bool {
        if facts.epoch.0 < self.floor {
            return true;
        }
        self.members.get(&facts.id).is_some_and(|grants| {
            grants.iter().any(|(grant, epochs)| {
                epochs.contains(&facts.epoch)
                    && self.authority.grant(*grant).is_some_and(|grant| {
                        let open = self
                            .grants_over(facts, grant.grantee, now)
                            .any(|other| other.grantee == grant.grantee);
                        !open
                    })
            })
        })
    }

    /// Takes in a consent or identity event that the log holds.
    pub(crate) fn take_consent(&mut self, number: u64, event: &Verified<Event>) {
        if let Err(error) = self.authority.apply(event) {
            tracing::error!(%error, "an admitted consent event does not read");
        }
        let header = event.header();
        let other = match parties(event.event()) {
            Some((one, other)) if one == self.me => other,
            Some((one, _)) => one,
            None => self.me,
        };
        let consent = self.consent.entry(other).or_default();
        if header.feed == Feed::Own {
            self.own.take(number, event);
        } else {
            for parent in &header.parents {
                consent.heads.remove(parent);
            }
            consent.heads.insert(event.id());
        }
        let writer = (header.author, header.incarnation, header.feed.name());
        consent.feeds.insert(writer, header.number + 1);
        consent.entries.push((number, writer, header.number));
        if header.person == self.me {
            consent.told.take(event);
        }
        if header.kind == Kind::Writer
            && header.person == self.me
            && let Ok(vouch) = Vouch::from_bytes(&event.event().body)
        {
            let told = consent.vouched.entry(vouch.certificate.device).or_default();
            told.is_open = vouch.cuts.is_none();
            match vouch.cuts {
                None => told.cuts.clear(),
                Some(cuts) => told.cuts.extend(cuts),
            }
        }
    }
    /// Takes in a consent event from this node's own log at start.
    pub(crate) fn replay_consent(&mut self, number: u64, event: Signed<Event>) {
        self.clock = self.clock.max(event.header().time);
        self.take_consent(number, &Verified::from_own_log(event));
    }

    /// Returns the consent events with a person; with everyone for the person's own devices.
    pub(crate) fn consent_of(&self, person: PersonId) -> impl Iterator<Item = &Consent> {
        let all = person == self.me;
        let known = self.consent.iter();
        known
            .filter(move |(other, _)| all || **other == person)
            .map(|(_, known)| known)
    }

    /// Returns what I said about a writer to a person, if I did.
    pub(crate) fn vouched(&self, person: PersonId, writer: DeviceId) -> Option<&Told> {
        self.consent.get(&person)?.vouched.get(&writer)
    }
    /// Tells whether any grant of mine lets a person write.
    pub(crate) fn is_writer(&self, person: PersonId) -> bool {
        self.authority.grants().any(|grant| {
            grant.owner == self.me
                && grant.grantee == person
                && grant.accepted.is_some()
                && grant.revoked.is_none()
                && grant.terms.access == Access::Write
        })
    }
    pub(crate) fn add_member(&mut self, member: &Member) {
        self.members
            .entry(member.memory)
            .or_default()
            .insert(member.grant, member.epochs.clone());
    }

    /// Has facts hold the tags and origins that others hold as well.
    pub(crate) fn share_names(&mut self, facts: &mut Facts) {
        let origin = facts.source.as_mut().map(|source| &mut source.origin);
        let names = facts.tags.iter_mut().chain(origin);
        names.for_each(|name| self.names.share(name));
    }
    /// Takes in the facts of all memories, which leaves less room unused than one by one.
    pub(crate) fn put_all_facts(&mut self, all: Vec<Arc<Facts>>) {
        let slots = all.iter().map(|facts| (facts.slot, facts.id));
        self.slots = slots.collect();
        let mine = all.iter().filter(|facts| facts.owner == self.me);
        let sources = mine.filter_map(|facts| Some((facts.source.as_ref()?.key(), facts.id)));
        self.sources = sources.collect();
        let memories = all.into_iter().map(|facts| (facts.id, facts));
        self.memories = memories.collect();
    }
    pub(crate) fn put_facts(&mut self, facts: Arc<Facts>) {
        self.slots.insert(facts.slot, facts.id);
        let before = self.memories.get(&facts.id);
        if let Some(source) = before.and_then(|before| before.source.as_ref())
            && self.sources.at(source.key()) == Some(facts.id)
        {
            self.sources.remove(source.key());
        }
        if let Some(source) = facts.source.as_ref().filter(|_| facts.owner == self.me) {
            self.sources.insert(source.key(), facts.id);
        }
        self.memories.insert(facts.id, facts);
    }
}

/// Tells whether a memory is listed and found: not purged, not hidden, not forgotten.
pub fn is_listed(facts: &Facts) -> bool {
    !facts.purged && !facts.sidecar.is_hidden() && facts.status == Status::Active
}
