//! The book of events: each is signed once, and a log is a set of their numbers.

use super::{Grantee, Memory, Number, State};
use crdt::codec::Canonical as _;
use crdt::envelope::Epoch;
use crdt::envelope::pack::Packing;
use crdt::event::admit::{Holdings, Refusal, Verified, admit};
use crdt::event::body::{Answer, Cut, Offer, Revocation, Vouch};
use crdt::event::{Event, Feed, Header, Incarnation, Kind, Signed};
use crdt::grant::authority::{Authority, State as GrantState};
use crdt::grant::{Access, Terms};
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crdt::identity::{DeviceCertificate, DeviceKey, PersonKey};
use crdt::time::{Hybrid, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// When the second grant ends.
pub(super) const END: Timestamp = Timestamp(1_800_000_001_000);
/// The owner among the persons; the grantees follow.
pub(super) const OWNER: usize = 0;

pub(super) struct Person {
    device: DeviceKey,
    pub(super) certificate: DeviceCertificate,
}

/// What an event says, and where it stands in its feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    Root(Memory),
    Change(Memory, u8),
    Offer(Grantee),
    Accept(Grantee),
    Decline(Grantee),
    Revoke(Grantee, Vec<Number>),
    /// About a grantee as a writer, to the other one; none if everything counts.
    Vouch(Grantee, Option<Vec<Number>>),
}

pub(super) struct Book {
    pub(super) persons: [Person; 3],
    pub(super) events: Vec<Signed<Event>>,
    pub(super) words: Vec<Word>,
    numbers: BTreeMap<(usize, Word, Vec<Number>), Number>,
    folded: BTreeMap<(usize, Vec<Number>), Arc<Authority>>,
    pub(super) roots: [Option<Number>; 2],
    pub(super) offers: [Option<Number>; 2],
}

impl Default for Book {
    fn default() -> Self {
        let persons = [0_u8, 1, 2].map(|number| {
            let person = PersonKey::from_seed(&[2 * number + 41; 32]);
            let device = DeviceKey::from_seed(&[2 * number + 42; 32]);
            let certificate = person.certify(&device, NOW);
            Person {
                device,
                certificate,
            }
        });
        Self {
            persons,
            events: Vec::new(),
            words: Vec::new(),
            numbers: BTreeMap::new(),
            folded: BTreeMap::new(),
            roots: [None; 2],
            offers: [None; 2],
        }
    }
}

impl Book {
    pub(super) fn person(&self, who: usize) -> PersonId {
        self.persons[who].certificate.person
    }
    pub(super) fn device(&self, who: usize) -> DeviceId {
        self.persons[who].certificate.device
    }
    pub(super) fn event(&self, number: Number) -> &Signed<Event> {
        &self.events[usize::from(number)]
    }
    pub(super) fn word(&self, number: Number) -> &Word {
        &self.words[usize::from(number)]
    }
    pub(super) fn grant(&self, grantee: Grantee) -> Option<GrantId> {
        let offer = self.offers[grantee]?;
        Some(self.event(offer).id().as_grant())
    }
    pub(super) fn memory(&self, memory: Memory) -> Option<MemoryId> {
        Some(self.event(self.roots[memory]?).id().as_memory())
    }

    /// Returns the events of a memory in a log, in the order they were signed.
    pub(super) fn of_memory(&self, log: &[Number], memory: Memory) -> Vec<Number> {
        let is_of = |number: &Number| matches!(self.word(*number), Word::Root(m) | Word::Change(m, _) if *m == memory);
        let mut events: Vec<Number> = log.iter().copied().filter(is_of).collect();
        events.sort_by_key(|number| {
            let header = self.event(*number).header();
            (header.author, header.kind != Kind::Root, header.number)
        });
        events.sort_by_key(|number| self.roots[memory] != Some(*number));
        events
    }
    /// Returns the events between the owner and a grantee in a log, each feed in its order.
    pub(super) fn between(&self, log: &[Number], grantee: Grantee) -> Vec<Number> {
        let pair = [self.person(OWNER), self.person(grantee + 1)];
        let is_of = |number: &Number| {
            let header = self.event(*number).header();
            matches!(header.feed, Feed::Pair(other) if pair.contains(&other))
                && pair.contains(&header.person)
        };
        let mut events: Vec<Number> = log.iter().copied().filter(is_of).collect();
        events.sort_by_key(|number| {
            let header = self.event(*number).header();
            (header.person != pair[0], header.number)
        });
        events
    }
    pub(super) fn author(&self, number: Number) -> usize {
        let author = self.event(number).header().author;
        let is_them = |who: &usize| self.device(*who) == author;
        (0..3).find(is_them).expect("one of three")
    }

    /// Signs the root of a memory.
    pub(super) fn root(&mut self, memory: Memory) -> Number {
        let root = self.sign(OWNER, Word::Root(memory), &[]);
        self.roots[memory] = Some(root);
        root
    }

    /// Signs an event that goes on after what its author has in `log`; the same once and for all.
    pub(super) fn sign(&mut self, who: usize, word: Word, log: &[Number]) -> Number {
        let (feed, kind) = self.place(who, &word);
        let mut before: Vec<Number> = log
            .iter()
            .copied()
            .filter(|number| {
                let header = self.event(*number).header();
                header.author == self.device(who) && header.feed == feed && feed != Feed::Root
            })
            .collect();
        before.sort_by_key(|number| self.event(*number).header().number);
        let key = (who, word.clone(), before.clone());
        if let Some(known) = self.numbers.get(&key) {
            return *known;
        }
        let is_content = matches!(word, Word::Root(_) | Word::Change(..));
        let parents = match word {
            Word::Change(memory, _) => {
                vec![EventId(self.memory(memory).expect("it exists").0)]
            }
            _ => Vec::new(),
        };
        let header = Header {
            kind,
            author: self.device(who),
            incarnation: Incarnation([9; 16]),
            person: self.person(who),
            owner: self.person(OWNER),
            feed,
            number: before.len() as u64,
            previous: before.last().map(|number| self.event(*number).id()),
            time: Hybrid((NOW.0 << 16) + before.len() as u64),
            parents,
            authority: Vec::new(),
            epoch: match word {
                Word::Change(_, epoch) => Epoch(u32::from(epoch)),
                _ => Epoch(0),
            },
            commitment: is_content.then_some(Hash([7; 32])),
            packing: Packing::Plain,
        };
        let body = self.body(&word);
        let signed = Event { header, body }.sign(&self.persons[who].device);
        let number = Number::try_from(self.events.len()).expect("few events");
        self.events.push(signed);
        self.words.push(word);
        self.numbers.insert(key, number);
        number
    }

    fn place(&self, who: usize, word: &Word) -> (Feed, Kind) {
        let pair = |other: usize| Feed::Pair(self.person(other));
        match word {
            Word::Root(_) => (Feed::Root, Kind::Root),
            Word::Change(memory, _) => {
                let memory = self.memory(*memory).expect("it exists");
                (Feed::Memory(memory), Kind::Change)
            }
            Word::Offer(grantee) => (pair(grantee + 1), Kind::Offer),
            Word::Accept(_) => (pair(OWNER), Kind::Acceptance),
            Word::Decline(_) => (pair(OWNER), Kind::Decline),
            Word::Revoke(grantee, _) => (pair(grantee + 1), Kind::Revocation),
            Word::Vouch(about, _) => {
                assert_eq!(who, OWNER, "only the owner vouches");
                (pair(2 - about), Kind::Writer)
            }
        }
    }

    fn body(&self, word: &Word) -> Vec<u8> {
        let grant = |grantee: &Grantee| self.grant(*grantee).expect("it was offered");
        match word {
            Word::Root(memory) => vec![u8::try_from(*memory).expect("two"); 48],
            Word::Change(..) => vec![1; 48],
            Word::Offer(grantee) => Offer {
                grantee: self.person(grantee + 1),
                selector: "tag:t".to_owned(),
                terms: Terms {
                    expires: (*grantee == 1).then_some(END),
                    ..Terms::of(Access::Write)
                },
                supersedes: None,
                live: false,
            }
            .to_bytes(),
            Word::Accept(grantee) | Word::Decline(grantee) => Answer {
                grant: grant(grantee),
            }
            .to_bytes(),
            Word::Revoke(grantee, last) => Revocation {
                purge: false,
                grant: grant(grantee),
                cuts: self.cuts(last),
                continues: None,
                reason: String::new(),
            }
            .to_bytes(),
            Word::Vouch(about, last) => Vouch {
                certificate: self.persons[about + 1].certificate.clone(),
                cuts: last.as_ref().map(|last| self.cuts(last)),
            }
            .to_bytes(),
        }
    }

    fn cuts(&self, last: &[Number]) -> Vec<Cut> {
        let cut = |number: &Number| {
            let event = self.event(*number);
            Cut {
                device: event.header().author,
                incarnation: event.header().incarnation,
                memory: event.memory().expect("a change"),
                number: event.header().number,
                event: event.id(),
            }
        };
        let mut cuts: Vec<Cut> = last.iter().map(cut).collect();
        cuts.sort_unstable();
        cuts
    }

    /// Folds the consent events of a log, with the certificates of those who met.
    pub(super) fn authority(&mut self, who: usize, log: &[Number]) -> Arc<Authority> {
        let is_consent =
            |number: &Number| matches!(self.event(*number).header().feed, Feed::Pair(_));
        let mut consent: Vec<Number> = log.iter().copied().filter(is_consent).collect();
        // Offers first, then answers, revocations, and what was said of writers.
        consent.sort_by_key(|number| {
            let header = self.event(*number).header();
            (header.kind, header.author, header.number)
        });
        let key = (who, consent);
        if let Some(known) = self.folded.get(&key) {
            return Arc::clone(known);
        }
        let mut authority = Authority::default();
        for (number, person) in self.persons.iter().enumerate() {
            if who == OWNER || number == OWNER || number == who {
                authority.enrol(person.certificate.clone());
            }
        }
        for number in &key.1 {
            let event = Verified::from_own_log(self.event(*number).clone());
            authority.apply(&event).expect("it was admitted");
        }
        let authority = Arc::new(authority);
        self.folded.insert(key, Arc::clone(&authority));
        authority
    }

    /// Runs the real admission of an event into a log.
    pub(super) fn admit(
        &mut self,
        who: usize,
        log: &mut Vec<Number>,
        given: &[BTreeSet<GrantId>; 2],
        number: Number,
    ) -> Result<(), Refusal> {
        let authority = self.authority(who, log);
        let held = Held {
            book: self,
            log,
            authority: &authority,
            given,
        };
        let outcome = admit(self.event(number).clone(), &held).map(|_| ());
        if outcome.is_ok() {
            let at = log.binary_search(&number).expect_err("it is new");
            log.insert(at, number);
        }
        outcome
    }

    /// Whoever holds a revocation or a decline sees the grant ended, at any time.
    pub(super) fn ends_are_final(&mut self, state: &State) -> bool {
        let logs = [&state.owner, &state.sides[0].log, &state.sides[1].log];
        for (who, log) in logs.into_iter().enumerate() {
            let authority = self.authority(who, log);
            for number in log {
                let (grantee, is_revoked) = match self.word(*number) {
                    Word::Revoke(grantee, _) => (*grantee, true),
                    Word::Decline(grantee) => (*grantee, false),
                    _ => continue,
                };
                let grant = self.grant(grantee).and_then(|id| authority.grant(id));
                let grant = grant.expect("it is in the log");
                for now in [NOW, END] {
                    let state = grant.state(now);
                    let is_final = match state {
                        GrantState::Revoked => true,
                        GrantState::Declined | GrantState::Expired => !is_revoked,
                        _ => false,
                    };
                    if !is_final {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Tells whether a grantee has a change by the other.
    pub(super) fn passed_on(&self, state: &State) -> bool {
        let by_other = |grantee: Grantee| {
            let mut log = state.sides[grantee].log.iter();
            log.any(|number| self.author(*number) == 2 - grantee)
        };
        by_other(0) || by_other(1)
    }
}

/// What one person holds, as admission asks.
struct Held<'a> {
    book: &'a Book,
    log: &'a [Number],
    authority: &'a Authority,
    given: &'a [BTreeSet<GrantId>; 2],
}

impl Held<'_> {
    fn feed(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
    ) -> impl Iterator<Item = (u64, EventId)> {
        let events = self.log.iter().map(|number| self.book.event(*number));
        let of_feed = events.filter(move |event| {
            let header = event.header();
            (header.author, header.incarnation, header.feed) == (*author, writer, feed)
        });
        of_feed.map(|event| (event.header().number, event.id()))
    }
}

impl Holdings for Held<'_> {
    fn authority(&self) -> &Authority {
        self.authority
    }
    fn feed_tip(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
    ) -> Option<(u64, EventId)> {
        self.feed(author, writer, feed).max()
    }
    fn feed_event(
        &self,
        author: &DeviceId,
        writer: Incarnation,
        feed: Feed,
        number: u64,
    ) -> Option<EventId> {
        let mut events = self.feed(author, writer, feed);
        events.find(|event| event.0 == number).map(|event| event.1)
    }
    fn owner_of(&self, memory: MemoryId) -> Option<PersonId> {
        self.holds(EventId(memory.0))
            .then(|| self.book.person(OWNER))
    }
    fn holds(&self, event: EventId) -> bool {
        self.log
            .iter()
            .any(|number| self.book.event(*number).id() == event)
    }
    fn delivered_under(&self, memory: MemoryId) -> BTreeSet<GrantId> {
        let at = (0..2).find(|at| self.book.memory(*at) == Some(memory));
        at.map(|at| self.given[at].clone()).unwrap_or_default()
    }
}
