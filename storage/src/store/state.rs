//! What the store holds in memory: facts of every memory, who may do what, and the clock.
//!
//! Derived from the rows at start and kept in step by transactions; never the only copy.

use crate::records::{Facts, Invite, Member, Peer, PeerState};
use crdt::codec::Canonical as _;
use crdt::envelope::Epoch;
use crdt::event::admit::Verified;
use crdt::event::body::{Cut, Vouch};
use crdt::event::{Event, Incarnation, Kind, Signed};
use crdt::grant::Access;
use crdt::grant::authority::{Authority, Grant, State as GrantState, parties};
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::memory::Status;
use crdt::selector;
use crdt::sidecar::Sensitivity;
use crdt::time::{Hybrid, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The state of a store as of its last commit.
#[derive(Debug, Clone)]
pub struct State {
    /// Whose store it is.
    pub me: PersonId,
    pub(crate) incarnation: Incarnation,
    /// The number of the last log entry.
    pub head: u64,
    /// The latest time that was seen.
    pub clock: Hybrid,
    /// How often something was revoked: the floor of new key epochs.
    pub rotation: u32,
    /// Who speaks for whom and who may do what.
    pub authority: Authority,
    /// Every memory.
    pub memories: BTreeMap<MemoryId, Facts>,
    /// Memories by slot.
    pub slots: BTreeMap<u64, MemoryId>,
    /// Memories by the source they came from.
    pub sources: BTreeMap<String, MemoryId>,
    /// Under which grants a memory was given, and with the keys of which epochs.
    pub members: BTreeMap<MemoryId, BTreeMap<GrantId, Vec<Epoch>>>,
    /// The persons this node is paired with.
    pub peers: BTreeMap<PersonId, Peer>,
    /// The tickets that were given out.
    pub invites: Vec<Invite>,
    /// The consent events between this person and another, by the other.
    pub(crate) consent: BTreeMap<PersonId, Consent>,
}

/// The consent events between two persons.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consent {
    /// Those without successors.
    pub(crate) heads: BTreeSet<EventId>,
    /// How many events of each writer are known.
    pub(crate) feeds: BTreeMap<(DeviceId, Incarnation), u64>,
    /// All of them in log order: place in the log, writer, number.
    pub(crate) entries: Vec<(u64, (DeviceId, Incarnation), u64)>,
    /// The writers that I vouched for to the other person, and how far, as last said.
    pub(crate) vouched: BTreeMap<DeviceId, Option<Vec<Cut>>>,
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
    /// Tells whether a person is paired and not blocked.
    pub fn is_paired(&self, person: PersonId) -> bool {
        self.peers
            .get(&person)
            .is_some_and(|peer| peer.state == PeerState::Paired)
    }
    /// Returns the answers that a selector asks of a memory.
    pub fn label<'a>(&'a self, facts: &'a Facts, now: Timestamp) -> Labels<'a> {
        Labels {
            state: self,
            facts,
            now,
            text: None,
        }
    }
    /// Returns whether the egress guard lets a memory out at all, or the rule that holds it.
    pub fn held_by(facts: &Facts) -> Option<&'static str> {
        (facts.sidecar.sensitivity() == Sensitivity::Secret).then_some("sensitivity-secret")
    }

    /// Returns the grants under which a peer may fetch one of my memories now.
    ///
    /// The one function behind preview, reconciliation and the guard before the wire.
    pub fn grants_over<'a>(
        &'a self,
        facts: &'a Facts,
        peer: PersonId,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Grant> {
        let open = facts.owner == self.me && Self::held_by(facts).is_none();
        self.authority
            .grants_to(self.me, peer, now)
            .filter(move |grant| {
                // A purged memory goes on only where it was given, to carry the news.
                open && if facts.purged {
                    self.is_member(facts.id, grant.id)
                } else {
                    grant.selects(&self.label(facts, now))
                }
            })
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
        let gives = self
            .authority
            .grants_to(self.me, peer, now)
            .next()
            .is_some();
        let takes = self
            .authority
            .grants_to(peer, self.me, now)
            .next()
            .is_some();
        if !gives && !takes {
            return;
        }
        for facts in self.memories.values() {
            let grants: Vec<GrantId> = if facts.owner == self.me && gives {
                self.grants_over(facts, peer, now)
                    .map(|grant| grant.id)
                    .collect()
            } else if facts.owner == peer && takes {
                self.held_under(facts, now).map(|grant| grant.id).collect()
            } else {
                continue;
            };
            if !grants.is_empty() {
                visit(facts, &grants);
            }
        }
    }

    /// Returns the epochs whose keys someone holds who may no longer receive the memory.
    pub(crate) fn needs_rotation(&self, facts: &Facts, now: Timestamp) -> bool {
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
        let Some((one, other)) = parties(event.event()) else {
            return;
        };
        let other = if one == self.me { other } else { one };
        let header = event.header();
        let consent = self.consent.entry(other).or_default();
        for parent in &header.parents {
            consent.heads.remove(parent);
        }
        consent.heads.insert(event.id());
        let writer = (header.author, header.incarnation);
        consent.feeds.insert(writer, header.number + 1);
        consent.entries.push((number, writer, header.number));
        if header.kind == Kind::Writer
            && header.person == self.me
            && let Ok(vouch) = Vouch::from_bytes(&event.event().body)
        {
            consent.vouched.insert(vouch.certificate.device, vouch.cuts);
        }
    }
    /// Takes in a consent event from this node's own log at start.
    pub(crate) fn replay_consent(&mut self, number: u64, event: Signed<Event>) {
        self.clock = self.clock.max(event.header().time);
        self.take_consent(number, &Verified::from_own_log(event));
    }

    /// Returns how far I vouched for a writer to a person, if I did.
    pub(crate) fn vouched(&self, person: PersonId, writer: DeviceId) -> Option<&Option<Vec<Cut>>> {
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
    /// Tells whether a memory was ever given to a person.
    pub(crate) fn was_given(&self, memory: MemoryId, person: PersonId) -> bool {
        let grants = self.members.get(&memory);
        let grants = grants.into_iter().flat_map(BTreeMap::keys);
        grants
            .filter_map(|grant| self.authority.grant(*grant))
            .any(|grant| grant.grantee == person)
    }

    pub(crate) fn add_member(&mut self, member: &Member) {
        self.members
            .entry(member.memory)
            .or_default()
            .insert(member.grant, member.epochs.clone());
    }

    pub(crate) fn put_facts(&mut self, facts: Facts) {
        self.slots.insert(facts.slot, facts.id);
        let before = self.memories.get(&facts.id);
        if let Some(source) = before.and_then(|before| before.source.as_deref()) {
            let key = source_key(source);
            if self.sources.get(key) == Some(&facts.id) {
                self.sources.remove(key);
            }
        }
        if let Some(source) = facts.source.as_deref().filter(|_| facts.owner == self.me) {
            self.sources.insert(source_key(source).to_owned(), facts.id);
        }
        self.memories.insert(facts.id, facts);
    }
}

/// Splits a source into its stable key and the digest of what was imported from there.
pub fn source_key(source: &str) -> &str {
    source.split_once("#b3:").map_or(source, |(key, _)| key)
}

/// A memory's answers to a selector.
pub struct Labels<'a> {
    state: &'a State,
    facts: &'a Facts,
    now: Timestamp,
    /// Lower-case title and body, where the caller loaded them.
    text: Option<String>,
}

impl std::fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Labels({:?})", self.facts.id)
    }
}

impl Labels<'_> {
    /// Adds the text, for selectors that look into it.
    #[must_use]
    pub fn with_text(mut self, title: &str, body: &str) -> Self {
        self.text = Some(format!("{title}\n{body}").to_lowercase());
        self
    }
}

impl selector::Facts for Labels<'_> {
    fn id_starts_with(&self, prefix: &str) -> bool {
        self.facts.id.to_string().starts_with(prefix)
    }
    fn has_tag(&self, tag: &str) -> bool {
        let is_under = |own: &str| {
            own == tag
                || own
                    .strip_prefix(tag)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        self.facts.tags.iter().any(|own| is_under(own)) || self.facts.sidecar.tags().any(is_under)
    }
    fn space(&self) -> &str {
        self.facts.sidecar.space()
    }
    fn kind(&self) -> &str {
        self.facts.kind.as_str()
    }
    fn is_from(&self, origin: &str) -> bool {
        self.state.petname(self.facts.owner) == origin
            || self
                .facts
                .source
                .as_deref()
                .is_some_and(|source| source.split(':').next() == Some(origin))
    }
    fn status(&self) -> &str {
        self.facts.status.as_str()
    }
    fn created(&self) -> Timestamp {
        self.facts.created
    }
    fn updated(&self) -> Timestamp {
        self.facts.updated.wall()
    }
    fn is_shared_with(&self, petname: &str) -> bool {
        self.state.person(petname).is_some_and(|person| {
            self.state
                .grants_over(self.facts, person, self.now)
                .next()
                .is_some()
        })
    }
    fn contains(&self, lower: &str) -> bool {
        self.text.as_ref().is_some_and(|text| text.contains(lower))
    }
}

/// Tells whether a memory is listed and found: not purged, not hidden, not forgotten.
pub fn is_listed(facts: &Facts) -> bool {
    !facts.purged && !facts.sidecar.is_hidden() && facts.status == Status::Active
}
