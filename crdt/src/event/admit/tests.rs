//! Every refusal by its name, and the independence of order.

use super::*;
use crate::codec::Writer;
use crate::envelope::Epoch;
use crate::envelope::pack::Packing;
use crate::event::body::approval::Subject;
use crate::event::body::own::FeedCut;
use crate::event::body::{Cut, Membership};
use crate::grant::{Access, Terms};
use crate::hash::Hash;
use crate::identity::{DeviceKey, PersonKey};
use crate::testing::Entropy;
use crate::time::Timestamp;
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp(1_000);

/// A person with one device.
pub(in crate::event) struct Someone {
    pub(in crate::event) person: PersonKey,
    pub(in crate::event) device: DeviceKey,
}

impl Someone {
    pub(in crate::event) fn new(seed: u8) -> Self {
        Self {
            person: PersonKey::from_seed(&[seed; 32]),
            device: DeviceKey::from_seed(&[seed + 100; 32]),
        }
    }
    pub(in crate::event) fn certificate(&self) -> DeviceCertificate {
        self.person.certify(&self.device, NOW)
    }
    fn header(&self, kind: Kind, feed: Feed) -> Header {
        Header {
            kind,
            author: self.device.id(),
            incarnation: Incarnation([1; 16]),
            person: self.person.id(),
            owner: self.person.id(),
            feed,
            number: 0,
            previous: None,
            time: Hybrid(1 << 20),
            parents: Vec::new(),
            authority: Vec::new(),
            epoch: Epoch(0),
            commitment: kind.is_sealed().then_some(Hash([3; 32])),
            packing: Packing::Plain,
        }
    }
    pub(in crate::event) fn sign(&self, header: Header, body: Vec<u8>) -> Signed<Event> {
        Event { header, body }.sign(&self.device)
    }
    pub(in crate::event) fn root(&self, salt: u8) -> Signed<Event> {
        self.sign(self.header(Kind::Root, Feed::Root), vec![salt])
    }
    pub(in crate::event) fn change(
        &self,
        owner: &Self,
        memory: MemoryId,
        after: &Signed<Event>,
    ) -> Signed<Event> {
        let continues = after.header().author == self.device.id();
        let mut header = self.header(Kind::Change, Feed::Memory(memory));
        header.owner = owner.person.id();
        header.parents = vec![after.id()];
        if continues {
            header.number = after.header().number + 1;
            header.previous = Some(after.id());
        }
        self.sign(header, vec![1])
    }
    pub(in crate::event) fn consent(
        &self,
        kind: Kind,
        to: &Self,
        owner: &Self,
        body: Vec<u8>,
    ) -> Signed<Event> {
        let mut header = self.header(kind, Feed::Pair(to.person.id()));
        header.owner = owner.person.id();
        self.sign(header, body)
    }
    pub(in crate::event) fn follows(
        &self,
        before: &Signed<Event>,
        event: &Signed<Event>,
    ) -> Signed<Event> {
        let mut header = event.header().clone();
        header.number = before.header().number + 1;
        header.previous = Some(before.id());
        self.sign(header, event.event().body.clone())
    }
    pub(in crate::event) fn offer(&self, to: &Self) -> Signed<Event> {
        let body = Offer {
            grantee: to.person.id(),
            selector: "tag:t".to_owned(),
            terms: Terms::of(Access::Write),
            supersedes: None,
            live: false,
        };
        self.consent(Kind::Offer, to, self, body.to_bytes())
    }
    pub(in crate::event) fn accept(&self, owner: &Self, offer: &Signed<Event>) -> Signed<Event> {
        let grant = offer.id().as_grant();
        self.consent(Kind::Acceptance, owner, owner, Answer { grant }.to_bytes())
    }
}

/// A log in memory.
#[derive(Default)]
pub(in crate::event) struct Log {
    pub(in crate::event) authority: Authority,
    feeds: BTreeMap<(DeviceId, Incarnation, Feed), Vec<EventId>>,
    owners: BTreeMap<MemoryId, PersonId>,
    pub(in crate::event) held: BTreeSet<EventId>,
    /// The grants under which every memory counts as given.
    pub(in crate::event) delivered: BTreeSet<GrantId>,
}

impl Log {
    pub(in crate::event) fn of(people: &[&Someone]) -> Self {
        let mut log = Self::default();
        for someone in people {
            log.authority.enrol(someone.certificate());
        }
        log
    }
    pub(in crate::event) fn take(&mut self, event: &Signed<Event>) -> Result<(), Refusal> {
        let event = admit(event.clone(), self)?;
        self.enter(&event)
    }
    pub(in crate::event) fn enter(&mut self, event: &Verified<Event>) -> Result<(), Refusal> {
        self.authority.apply(event)?;
        let header = event.header();
        let feed = (header.author, header.incarnation, event.feed());
        self.feeds.entry(feed).or_default().push(event.id());
        if header.kind == Kind::Root {
            self.owners.insert(event.id().as_memory(), header.owner);
        }
        self.held.insert(event.id());
        Ok(())
    }
}

impl Holdings for Log {
    fn authority(&self) -> &Authority {
        &self.authority
    }
    fn feed_tip(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
    ) -> Option<(u64, EventId)> {
        let events = self.feeds.get(&(*author, writer, feed))?;
        Some((events.len() as u64 - 1, *events.last()?))
    }
    fn feed_event(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
        number: u64,
    ) -> Option<EventId> {
        let events = self.feeds.get(&(*author, writer, feed))?;
        events.get(usize::try_from(number).ok()?).copied()
    }
    fn owner_of(&self, memory: MemoryId) -> Option<PersonId> {
        self.owners.get(&memory).copied()
    }
    fn holds(&self, event: EventId) -> bool {
        self.held.contains(&event)
    }
    fn delivered_under(&self, _: MemoryId) -> BTreeSet<GrantId> {
        self.delivered.clone()
    }
}

/// An owner with a memory and a log that holds it.
fn with_memory() -> (Someone, Signed<Event>, MemoryId, Log) {
    let owner = Someone::new(1);
    let root = owner.root(0);
    let mut log = Log::of(&[&owner]);
    log.take(&root).unwrap();
    let memory = root.id().as_memory();
    (owner, root, memory, log)
}

fn code(log: &mut Log, event: &Signed<Event>) -> &'static str {
    let held = log.held.len();
    let refusal = log.take(event).expect_err("must be refused");
    assert_eq!(log.held.len(), held);
    refusal.code()
}

#[test]
fn a_known_event_is_known() {
    let (_, root, _, mut log) = with_memory();
    assert_eq!(code(&mut log, &root), "known");
}

#[test]
fn a_device_without_certificate_is_refused() {
    let (_, _, _, mut log) = with_memory();
    let stranger = Someone::new(9);
    assert_eq!(code(&mut log, &stranger.root(0)), "unknown_device");
    // A device of one person cannot speak for another.
    let other = Someone::new(2);
    log.authority.enrol(other.certificate());
    let mut header = other.header(Kind::Root, Feed::Root);
    (header.person, header.owner) = (stranger.person.id(), stranger.person.id());
    assert_eq!(
        code(&mut log, &other.sign(header, vec![])),
        "unknown_device"
    );
}

#[test]
fn a_retired_device_writes_no_more() {
    let (owner, root, memory, mut log) = with_memory();
    let younger = Someone {
        person: PersonKey::from_seed(&[1; 32]),
        device: DeviceKey::from_seed(&[77; 32]),
    };
    let certificate = younger.person.certify(&younger.device, Timestamp(2_000));
    log.authority.enrol(certificate);
    let first = younger.change(&owner, memory, &root);
    log.take(&first).unwrap();
    let cut = FeedCut {
        incarnation: Incarnation([1; 16]),
        feed: Feed::Memory(memory).name(),
        number: 0,
        event: first.id(),
    };
    let retirement = Retirement {
        device: younger.device.id(),
        cuts: vec![cut],
        proof: None,
    };
    let header = owner.header(Kind::Retirement, Feed::Own);
    log.take(&owner.sign(header, retirement.to_bytes()))
        .unwrap();
    // Whatever time it claims, and whatever it opens anew.
    let mut early = younger.header(Kind::Change, Feed::Memory(memory));
    (early.number, early.previous) = (1, Some(first.id()));
    (early.parents, early.time) = (vec![first.id()], Hybrid(1));
    let late = younger.sign(early, vec![1]);
    assert_eq!(code(&mut log, &late), "retired_device");
    assert_eq!(code(&mut log, &younger.root(9)), "retired_device");
    assert_eq!(code(&mut log, &first), "known");
}

#[test]
fn an_approval_is_read_before_it_counts() {
    let (owner, _, memory, mut log) = with_memory();
    let header = owner.header(Kind::Approval, Feed::Own);
    let garbage = owner.sign(header.clone(), vec![1]);
    assert_eq!(code(&mut log, &garbage), "malformed");
    let subject = Subject::Hold {
        rule: "token".to_owned(),
        found: Hash([5; 32]),
    };
    let approval = Approval {
        subject: subject.clone(),
        memories: vec![memory],
        approved: true,
    };
    log.take(&owner.sign(header, approval.to_bytes())).unwrap();
    let approvals = log.authority.approvals(owner.person.id()).unwrap();
    assert!(approvals.is_approved(&subject, memory));
}

#[test]
fn a_device_brings_its_own_certificate_and_no_other() {
    let mut log = Log::default();
    let one = Someone::new(1);
    let header = one.header(Kind::Device, Feed::Own);
    let foreign = Someone::new(2).certificate().to_bytes();
    assert_eq!(
        code(&mut log, &one.sign(header.clone(), foreign)),
        "unknown_device"
    );
    let garbage = one.sign(header.clone(), vec![1]);
    assert_eq!(code(&mut log, &garbage), "malformed");
    log.take(&one.sign(header, one.certificate().to_bytes()))
        .unwrap();
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let (owner, root, memory, mut log) = with_memory();
    let forger = Someone::new(2);
    let event = owner.change(&owner, memory, &root).event().clone();
    assert_eq!(code(&mut log, &event.sign(&forger.device)), "bad_signature");
}

#[test]
fn a_second_event_with_one_number_is_a_fork() {
    let (owner, root, memory, mut log) = with_memory();
    let first = owner.change(&owner, memory, &root);
    log.take(&first).unwrap();
    let second = owner.sign(first.header().clone(), vec![2]);
    let refusal = log.take(&second).unwrap_err();
    let (number, first) = (1, first.id());
    assert_eq!(refusal, Refusal::Fork { number, first });
    // So is a next event that names another one before it.
    let mut header = second.header().clone();
    (header.number, header.previous) = (2, Some(second.id()));
    assert_eq!(code(&mut log, &owner.sign(header, vec![])), "fork");
}

#[test]
fn what_comes_too_early_is_missing_something() {
    let (owner, root, memory, mut log) = with_memory();
    let one = owner.change(&owner, memory, &root);
    let two = owner.change(&owner, memory, &one);
    assert_eq!(code(&mut log, &two), "missing_previous");
    let mut header = one.header().clone();
    header.parents = vec![EventId([8; 32])];
    assert_eq!(
        code(&mut log, &owner.sign(header, vec![])),
        "missing_parent"
    );
    let unknown = owner.change(&owner, MemoryId([8; 32]), &one);
    let mut header = unknown.header().clone();
    (header.number, header.previous, header.parents) = (0, None, vec![root.id()]);
    assert_eq!(
        code(&mut log, &owner.sign(header, vec![])),
        "unknown_memory"
    );
    log.take(&one).unwrap();
    log.take(&two).unwrap();
}

#[test]
fn nobody_else_can_say_who_owns_a_memory() {
    let (_, root, memory, mut log) = with_memory();
    let thief = Someone::new(2);
    log.authority.enrol(thief.certificate());
    assert_eq!(
        code(&mut log, &thief.change(&thief, memory, &root)),
        "wrong_owner"
    );
}

#[test]
fn without_a_grant_nobody_else_writes_or_purges() {
    let (owner, root, memory, mut log) = with_memory();
    let other = Someone::new(2);
    log.authority.enrol(other.certificate());
    let change = other.change(&owner, memory, &root);
    assert_eq!(code(&mut log, &change), "not_permitted");
    let mut header = change.header().clone();
    (header.kind, header.commitment) = (Kind::Purge, None);
    assert_eq!(code(&mut log, &other.sign(header, vec![])), "not_permitted");
}

#[test]
fn a_revocation_cuts_a_writer_off_where_it_says() {
    let (owner, root, memory, mut log) = with_memory();
    let writer = Someone::new(2);
    log.authority.enrol(writer.certificate());
    let offer = owner.offer(&writer);
    let grant = offer.id().as_grant();
    log.take(&offer).unwrap();
    let change = writer.change(&owner, memory, &root);
    log.delivered.insert(grant);
    assert_eq!(code(&mut log, &change), "not_permitted");
    log.take(&writer.accept(&owner, &offer)).unwrap();
    log.delivered.clear();
    assert_eq!(code(&mut log, &change), "not_permitted");
    log.delivered.insert(grant);
    let revocation = Revocation {
        grant,
        cuts: vec![Cut {
            device: writer.device.id(),
            incarnation: Incarnation([1; 16]),
            memory,
            number: 0,
            event: change.id(),
        }],
        continues: None,
        reason: String::new(),
        purge: false,
    };
    let revocation = owner.consent(Kind::Revocation, &writer, &owner, revocation.to_bytes());
    log.take(&owner.follows(&offer, &revocation)).unwrap();
    // The cut holds whatever arrived first: what it names still comes in, what follows does not.
    let other = writer.sign(change.header().clone(), vec![7]);
    assert_eq!(code(&mut log, &other), "beyond_cut");
    log.take(&change).unwrap();
    let late = writer.change(&owner, memory, &change);
    assert_eq!(code(&mut log, &late), "beyond_cut");
    // Without a cut for a writer, nothing of theirs counts.
    let mut header = change.header().clone();
    header.incarnation = Incarnation([2; 16]);
    assert_eq!(
        code(&mut log, &writer.sign(header, vec![])),
        "not_permitted"
    );
}

#[test]
fn consent_is_taken_from_its_party_only() {
    let [owner, grantee, third] = [1, 2, 3].map(Someone::new);
    let mut log = Log::of(&[&owner, &grantee, &third]);
    let offer = owner.offer(&grantee);
    let grant = offer.id().as_grant();
    assert_eq!(
        code(&mut log, &grantee.accept(&owner, &offer)),
        "missing_parent"
    );
    log.take(&offer).unwrap();
    assert_eq!(
        code(&mut log, &third.accept(&owner, &offer)),
        "not_permitted"
    );
    let own = owner.consent(
        Kind::Acceptance,
        &grantee,
        &owner,
        Answer { grant }.to_bytes(),
    );
    assert_eq!(
        code(&mut log, &owner.follows(&offer, &own)),
        "not_permitted"
    );
    let revocation = Revocation {
        grant,
        cuts: vec![],
        continues: None,
        reason: String::new(),
        purge: false,
    };
    let by_grantee = grantee.consent(Kind::Revocation, &owner, &owner, revocation.to_bytes());
    assert_eq!(code(&mut log, &by_grantee), "not_permitted");
    let scope = Scope {
        grant,
        memberships: vec![Membership {
            memory: MemoryId([1; 32]),
            included: true,
        }],
    };
    let by_grantee = grantee.consent(Kind::Scope, &owner, &owner, scope.to_bytes());
    assert_eq!(code(&mut log, &by_grantee), "not_permitted");
    let vouch = Vouch {
        certificate: third.certificate(),
        cuts: None,
    };
    let for_another = grantee.consent(Kind::Writer, &owner, &owner, vouch.to_bytes());
    assert_eq!(code(&mut log, &for_another), "not_permitted");
    let to_nobody = owner.consent(Kind::Offer, &third, &owner, offer.event().body.clone());
    assert_eq!(code(&mut log, &to_nobody), "not_permitted");
}

#[test]
fn kinds_feeds_and_seals_belong_together() {
    let (owner, root, memory, mut log) = with_memory();
    let other = Someone::new(2).person.id();
    let base = |kind, feed| owner.header(kind, feed);
    let mut wrong = vec![
        base(Kind::Root, Feed::Memory(memory)),
        base(Kind::Change, Feed::Sidecar(memory)),
        base(Kind::Change, Feed::Memory(memory)),
        base(Kind::Sidecar, Feed::Memory(memory)),
        base(Kind::Purge, Feed::Pair(other)),
        base(Kind::Approval, Feed::Pair(other)),
        base(Kind::Policy, Feed::Pair(other)),
        base(Kind::Retirement, Feed::Memory(memory)),
        base(Kind::Keyring, Feed::Pair(other)),
        base(Kind::Handback, Feed::Own),
        base(Kind::Offer, Feed::Own),
        base(Kind::Offer, Feed::Pair(owner.person.id())),
    ];
    let mut unsealed = base(Kind::Root, Feed::Root);
    unsealed.commitment = None;
    let mut sealed = base(Kind::Offer, Feed::Pair(other));
    sealed.commitment = Some(Hash([1; 32]));
    let mut given = base(Kind::Root, Feed::Root);
    given.owner = other;
    let mut second = base(Kind::Root, Feed::Root);
    (second.number, second.previous) = (1, Some(root.id()));
    let mut headless = base(Kind::Sidecar, Feed::Sidecar(memory));
    headless.previous = Some(root.id());
    wrong.extend([unsealed, sealed, given, second, headless]);
    for header in wrong {
        let event = owner.sign(header, vec![]);
        assert_eq!(
            code(&mut log, &event),
            "not_permitted",
            "{:?}",
            event.header()
        );
    }
    let mut future = base(Kind::Root, Feed::Root);
    future.time = Hybrid(u64::MAX);
    assert_eq!(
        code(&mut log, &owner.sign(future, vec![])),
        "from_the_future"
    );
    let garbage = owner.consent(Kind::Offer, &Someone::new(2), &owner, vec![9]);
    assert_eq!(code(&mut log, &garbage), "malformed");
}

/// A history of two persons: grants, changes by both, a fork's worth of numbers, a revocation.
fn history() -> (Someone, Someone, Vec<Signed<Event>>, GrantId) {
    let (owner, writer) = (Someone::new(1), Someone::new(2));
    let root = owner.root(0);
    let memory = root.id().as_memory();
    let offer = owner.offer(&writer);
    let grant = offer.id().as_grant();
    let accepted = writer.accept(&owner, &offer);
    let by_owner = owner.change(&owner, memory, &root);
    let by_writer = writer.change(&owner, memory, &by_owner);
    let by_writer_again = writer.change(&owner, memory, &by_writer);
    let late = writer.change(&owner, memory, &by_writer_again);
    let merged = owner.change(&owner, memory, &by_owner);
    let revocation = Revocation {
        grant,
        cuts: vec![Cut {
            device: writer.device.id(),
            incarnation: Incarnation([1; 16]),
            memory,
            number: 1,
            event: by_writer_again.id(),
        }],
        continues: None,
        reason: String::new(),
        purge: false,
    };
    let revocation = owner.consent(Kind::Revocation, &writer, &owner, revocation.to_bytes());
    let revocation = owner.follows(&offer, &revocation);
    let events = vec![
        root,
        offer,
        accepted,
        by_owner,
        by_writer,
        by_writer_again,
        merged,
        revocation,
        late,
    ];
    (owner, writer, events, grant)
}

/// Offers events in an order, again and again while that brings anything; consent goes first, as
/// in every session.
fn settle(log: &mut Log, events: &[Signed<Event>]) {
    let is_consent = |event: &&Signed<Event>| matches!(event.header().feed, Feed::Pair(_));
    for consent in [true, false] {
        let events: Vec<_> = events
            .iter()
            .filter(|event| is_consent(event) == consent)
            .collect();
        loop {
            let before = log.held.len();
            for event in &events {
                drop(log.take(event));
            }
            if log.held.len() == before {
                break;
            }
        }
    }
}

#[test]
fn any_order_ends_with_the_same_events() {
    let (owner, writer, events, grant) = history();
    let mut expected = BTreeSet::new();
    for seed in 0..300 {
        let mut rng = Entropy::new(seed);
        let mut order = events.clone();
        for at in (1..order.len()).rev() {
            let with = usize::try_from(rng.below(at as u64 + 1)).unwrap();
            order.swap(at, with);
        }
        let mut log = Log::of(&[&owner, &writer]);
        log.delivered.insert(grant);
        settle(&mut log, &order);
        if expected.is_empty() {
            expected.clone_from(&log.held);
            assert_eq!(expected.len(), events.len() - 1, "all but the late change");
        }
        assert_eq!(log.held, expected, "seed {seed}");
    }
}

#[test]
fn no_bytes_make_admission_panic() {
    let (owner, _, events, _) = history();
    let mut rng = Entropy::new(7);
    let mut log = Log::of(&[&owner]);
    for event in &events {
        for _ in 0..200 {
            let mut bytes = event.bytes().to_vec();
            let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            bytes[at] = u8::try_from(rng.below(256)).unwrap();
            if bytes == event.bytes() {
                continue;
            }
            if let Ok(mutant) = Signed::from_bytes(&bytes) {
                assert!(log.take(&mutant).is_err(), "a mutant was admitted");
            }
        }
    }
    let mut out = Writer::default();
    out.u8(1);
    assert!(Signed::from_bytes(out.as_slice()).is_err());
}
