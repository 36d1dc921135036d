//! The oracle: who may know what, worked out from what people did, and what must hold.
//!
//! It shares no code with the view of the product: grants, answers and revocations are those that
//! the actions made, selectors are [`crate::reference_view::Term`]s, and only the labels of a
//! memory are read from the store of its owner. What crossed is read from the frames, what lies
//! on a disk from its rows.

use super::net::{Pair, way};
use super::plan::NODES;
use super::run::{Day, START};
use crate::node::Node;
use crate::reference_view::{Memory, Term};
use brain_tests::sniffer::Traffic;
use crdt::event::{Kind, Signed};
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use crdt::sidecar::Sensitivity;
use crdt::time::Timestamp;
use protocol::wire::content::Content;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use storage::ledger::{Fault, Witnessed};

/// How near the end of a grant two clocks may see it differently, in milliseconds.
const NEAR_MS: u64 = 600_000;

/// A grant as the actions made it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that was said"
)]
struct Grant {
    owner: usize,
    grantee: usize,
    selector: Term,
    is_write: bool,
    expires: Option<Timestamp>,
    /// Unknown while nobody said that the offer was kept.
    id: Option<GrantId>,
    is_accepted: bool,
    is_answered: bool,
    is_revoked: bool,
}

/// Something that a writer wrote when no grant let them any more.
struct Beyond {
    owner: usize,
    writer: usize,
    event: EventId,
    /// How many grants there were; a later one may let it in.
    grants: usize,
}

pub(super) struct Rules {
    grants: Vec<Grant>,
    /// The number in the text that an event carries, and its memory.
    texts: BTreeMap<EventId, u32>,
    /// Texts by author whose events are not known: writing them was not acknowledged.
    orphans: Vec<BTreeSet<u32>>,
    /// Texts that may lie on each node's disk.
    pub(super) may_know: Vec<BTreeSet<u32>>,
    secret: BTreeSet<MemoryId>,
    pub(super) forged: Vec<EventId>,
    beyond: Vec<Beyond>,
    pub(super) is_restored: [bool; NODES],
    /// Nodes on which writing was cut short: what was not acknowledged may have been kept.
    pub(super) is_troubled: [bool; NODES],
    /// Which grants were revoked when the disk was copied.
    backups: Vec<Option<BTreeSet<usize>>>,
    /// What each node handed to the network.
    left: Vec<Traffic>,
    /// What each node gave to whom.
    given: BTreeSet<(usize, usize, MemoryId)>,
    /// Memories of which a node may know that there is one.
    told: BTreeSet<(usize, MemoryId)>,
    /// Every id by its first bytes: the memory it belongs to and who wrote it.
    ids: HashMap<[u8; 8], (MemoryId, usize)>,
    dids: Vec<String>,
}

impl Rules {
    pub(super) fn new() -> Self {
        let none = || vec![BTreeSet::new(); NODES];
        Self {
            grants: Vec::new(),
            texts: BTreeMap::new(),
            orphans: none(),
            may_know: none(),
            secret: BTreeSet::new(),
            forged: Vec::new(),
            beyond: Vec::new(),
            is_restored: [false; NODES],
            is_troubled: [false; NODES],
            backups: vec![None; NODES],
            left: vec![Traffic::default(); NODES],
            given: BTreeSet::new(),
            told: BTreeSet::new(),
            ids: HashMap::new(),
            dids: (0..NODES).map(|who| format!("node {who}")).collect(),
        }
    }

    pub(super) fn next_purpose(&self) -> String {
        format!("grant {}", self.grants.len())
    }
    pub(super) fn offered(
        &mut self,
        owner: usize,
        grantee: usize,
        selector: Term,
        is_write: bool,
        expires: Option<Timestamp>,
    ) {
        self.grants.push(Grant {
            owner,
            grantee,
            selector,
            is_write,
            expires,
            id: None,
            is_accepted: false,
            is_answered: false,
            is_revoked: false,
        });
    }
    /// Learns the ids of offers from the store of who made them.
    pub(super) fn learn_grants(&mut self, who: usize, node: &Node) {
        let me = node.person();
        node.store().read(|state| {
            for grant in state.authority.grants().filter(|grant| grant.owner == me) {
                let number = grant.terms.purpose.strip_prefix("grant ");
                let number = number.and_then(|number| number.parse::<usize>().ok());
                let known = number.and_then(|number| self.grants.get_mut(number));
                if let Some(known) = known.filter(|known| known.owner == who) {
                    known.id = Some(grant.id);
                }
            }
        });
    }
    pub(super) fn open_offers_to(&self, who: usize) -> Vec<(usize, GrantId)> {
        let grants = self.grants.iter().enumerate();
        let open = grants.filter(|(_, grant)| grant.grantee == who && !grant.is_answered);
        open.filter_map(|(number, grant)| Some((number, grant.id?)))
            .collect()
    }
    pub(super) fn open_grants_of(&self, who: usize) -> Vec<(usize, GrantId)> {
        let grants = self.grants.iter().enumerate();
        let open = grants.filter(|(_, grant)| grant.owner == who && !grant.is_revoked);
        open.filter_map(|(number, grant)| Some((number, grant.id?)))
            .collect()
    }
    pub(super) fn accepted(&mut self, number: usize) {
        self.grants[number].is_accepted = true;
    }
    pub(super) fn answered(&mut self, number: usize) {
        self.grants[number].is_answered = true;
    }
    pub(super) fn revoked(&mut self, number: usize) {
        self.grants[number].is_revoked = true;
    }
    pub(super) fn labelled(&mut self, memory: MemoryId, is_secret: bool) {
        if is_secret {
            self.secret.insert(memory);
        } else {
            self.secret.remove(&memory);
        }
    }
    /// Returns when the grants end that a node is a party of.
    pub(super) fn ends_of(&self, who: usize) -> Vec<Timestamp> {
        let mine = self.grants.iter();
        let mine = mine.filter(|grant| grant.owner == who || grant.grantee == who);
        mine.filter_map(|grant| grant.expires).collect()
    }

    /// Somebody wrote a text; the event is unknown if writing it was not acknowledged.
    pub(super) fn written(&mut self, who: usize, text: u32, event: Option<EventId>) {
        self.may_know[who].insert(text);
        match event {
            Some(event) => {
                self.texts.insert(event, text);
            }
            None => {
                self.orphans[who].insert(text);
            }
        }
    }
    /// Notes which memory an id belongs to.
    pub(super) fn named(&mut self, who: usize, id: EventId, memory: MemoryId) {
        let (first, _) = id.0.split_first_chunk().expect("32 bytes");
        self.ids.insert(*first, (memory, who));
    }
    /// Somebody changed a memory: notes it if no grant lets them at this moment.
    pub(super) fn changed(&mut self, writer: usize, owner: usize, event: EventId) {
        let may = self.grants.iter().any(|grant| {
            (grant.owner, grant.grantee) == (owner, writer)
                && grant.is_write
                && grant.is_accepted
                && !grant.is_revoked
        });
        if writer != owner && !may {
            let grants = self.grants.len();
            self.beyond.push(Beyond {
                owner,
                writer,
                event,
                grants,
            });
        }
    }

    pub(super) fn back_up(&mut self, who: usize) {
        let grants = self.grants.iter().enumerate();
        let revoked = grants.filter(|(_, grant)| grant.owner == who && grant.is_revoked);
        self.backups[who] = Some(revoked.map(|(number, _)| number).collect());
    }
    /// A node goes back to its copy: it does not know any more what it did since.
    pub(super) fn restore(&mut self, who: usize) {
        self.is_restored[who] = true;
        let revoked = self.backups[who].clone().unwrap_or_default();
        for (number, grant) in self.grants.iter_mut().enumerate() {
            if grant.owner == who {
                grant.is_revoked = revoked.contains(&number);
            }
            if grant.grantee == who {
                grant.is_answered = false;
            }
        }
        self.secret.clear();
        self.beyond.retain(|beyond| beyond.owner != who);
    }

    fn is_open(grant: &Grant, way: (usize, usize), now: Timestamp) -> bool {
        (grant.owner, grant.grantee) == way
            && grant.is_accepted
            && !grant.is_revoked
            && grant.expires.is_none_or(|end| now < end)
    }
    /// Tells whether a grant between two nodes ends around now.
    fn is_near_an_end(&self, pair: Pair, clocks: [Timestamp; 2]) -> bool {
        let between = self.grants.iter().filter(|grant| {
            let parties = (grant.owner, grant.grantee);
            parties == pair || parties == (pair.1, pair.0)
        });
        let mut ends = between.filter_map(|grant| grant.expires);
        let first = Timestamp(clocks[0].0.min(clocks[1].0).saturating_sub(NEAR_MS));
        let last = clocks[0].max(clocks[1]).plus_ms(NEAR_MS);
        ends.any(|end| first < end && end < last)
    }

    /// Looks at a frame that an honest node hands to the network: for ids outside the view.
    pub(super) fn frame_left(&mut self, (from, to): (usize, usize), frame: &[u8]) {
        self.left[from].add_frame(&self.dids[to], frame);
        for window in frame.windows(8) {
            let first = window.try_into().expect("eight bytes");
            if let Some((memory, author)) = self.ids.get::<[u8; 8]>(first) {
                let (root, _) = memory.0.split_first_chunk().expect("32 bytes");
                let owner = self.ids.get::<[u8; 8]>(root).map(|(_, owner)| *owner);
                let is_theirs = *author == to || owner == Some(to);
                let may = is_theirs || self.told.contains(&(to, *memory));
                assert!(
                    may,
                    "{from} named a memory to {to} that is outside the view"
                );
            }
        }
    }

    /// What a hostile node names itself, it may be told: that an event was refused, for one.
    pub(super) fn frame_of_hostile(&mut self, from: usize, frame: &[u8]) {
        for window in frame.windows(8) {
            let first = window.try_into().expect("eight bytes");
            if let Some((memory, _)) = self.ids.get::<[u8; 8]>(first) {
                self.told.insert((from, *memory));
            }
        }
    }

    /// What came of ledgers that were shown: no honest one is taken for another.
    pub(super) fn witnessed(
        &mut self,
        (from, to): (usize, usize),
        is_hostile: bool,
        taken: &[Witnessed],
        faults: &[Fault],
    ) {
        if is_hostile {
            return;
        }
        if !self.is_restored[from] {
            assert_eq!(faults, [], "the honest ledger of {from} was doubted");
        }
        if !self.is_restored[to] {
            let is_kept = |taken: &Witnessed| *taken == Witnessed::Kept;
            assert!(
                taken.iter().all(is_kept),
                "{to} showed {from} another ledger: {taken:?}"
            );
        }
    }

    /// What came from a hostile node is known if the event is theirs or the receiver's.
    pub(super) fn content_of_hostile(
        &mut self,
        (from, to): (usize, usize),
        persons: &[PersonId],
        content: &Content,
    ) {
        let events = content.events.iter();
        for event in events.filter_map(|event| Signed::from_bytes(event).ok()) {
            let owner = event.header().owner;
            if owner == persons[from] || owner == persons[to] {
                self.may_hold(to, persons, &event);
            }
        }
    }

    fn may_hold(&mut self, to: usize, persons: &[PersonId], event: &Signed<crdt::event::Event>) {
        if let Some(text) = self.texts.get(&event.id()) {
            self.may_know[to].insert(*text);
        } else {
            let author = persons.iter().position(|who| *who == event.header().person);
            let orphans = author.map(|author| self.orphans[author].clone());
            self.may_know[to].extend(orphans.into_iter().flatten());
        }
    }
}

impl Day {
    pub(super) fn persons(&self) -> Vec<PersonId> {
        self.machines
            .iter()
            .map(|machine| machine.node.person())
            .collect()
    }

    /// Looks at content as it leaves an honest node.
    pub(super) fn check_content(&mut self, way: (usize, usize), content: &Content, now: Timestamp) {
        self.count("content frames");
        let (from, to) = way;
        let persons = self.persons();
        for bytes in &content.events {
            let event = Signed::from_bytes(bytes).expect("an event");
            let header = event.header();
            assert_ne!(header.kind, Kind::Sidecar, "private labels left");
            let memory = event.memory().expect("an event of a memory");
            if header.owner != persons[to] {
                assert_eq!(header.owner, persons[from], "passed on by a grantee");
                self.check_memory(way, memory, now);
            }
            self.rules.told.insert((to, memory));
            self.rules.may_hold(to, &persons, &event);
        }
        for key in &content.keys {
            let facts = self.node(from).facts(key.memory).expect("a known memory");
            let rules = &self.rules;
            let grant = rules
                .grants
                .iter()
                .find(|grant| grant.id == Some(key.grant));
            let grant = grant.expect("a grant that was made");
            if facts.owner == persons[to] {
                // An owner who asks for keys of their own is handed them back.
                let is_given = (grant.owner, grant.grantee) == (to, from) && grant.is_accepted;
                assert!(is_given, "a key that was not given");
            } else {
                assert_eq!(facts.owner, persons[from], "only an owner gives keys");
                assert!(
                    Rules::is_open(grant, way, now),
                    "a key under a closed grant"
                );
                self.check_memory(way, key.memory, now);
            }
            self.rules.told.insert((to, key.memory));
        }
    }

    fn check_memory(&mut self, way: (usize, usize), memory: MemoryId, now: Timestamp) {
        let node = self.node(way.0);
        let facts = node.facts(memory).expect("the owner has its facts");
        let is_secret = facts.sidecar.sensitivity() == Sensitivity::Secret;
        let is_secret = is_secret || self.rules.secret.contains(&memory);
        assert!(!is_secret, "a secret memory left");
        let is_given = self.rules.given.contains(&(way.0, way.1, memory));
        let mut open = self.rules.grants.iter();
        let mut open = open
            .by_ref()
            .filter(|grant| Rules::is_open(grant, way, now));
        if facts.purged {
            // Nobody can read it any more; the news goes where the memory went.
            assert!(is_given && open.next().is_some(), "news of a purge leaked");
            return;
        }
        let tags = super::people::TAGS.into_iter();
        let labels = Memory {
            shared_tags: tags
                .filter(|tag| facts.tags.iter().any(|own| **own == **tag))
                .collect(),
            private_tags: BTreeSet::new(),
            space: "",
            is_secret,
        };
        let is_selected = open.any(|grant| grant.selector.takes_in(memory, &labels));
        assert!(is_selected, "a memory left that no open grant selects");
        self.rules.given.insert((way.0, way.1, memory));
    }

    fn views(&mut self, pair: Pair) -> [protocol::view::Summary; 2] {
        let clocks = [self.clock(pair.0), self.clock(pair.1)];
        [0, 1].map(|side| {
            let (from, to) = way(pair, side);
            let (node, peer) = (self.node(from), self.node(to).person());
            node.view(peer, clocks[side]).0.summary()
        })
    }

    fn is_honest(&self, pair: Pair) -> bool {
        !self.is_hostile(pair.0) && !self.is_hostile(pair.1)
    }

    /// "In sync" is a claim about now: with nothing on the wire it has to be true.
    pub(super) fn compare_if_in_sync(&mut self, pair: Pair) {
        if !self.is_honest(pair) {
            return;
        }
        let Some(link) = self.links.get_mut(&pair) else {
            return;
        };
        let is_busy = link.wires.iter().any(|wire| !wire.queue.is_empty());
        let statuses = [0, 1].map(|side| link.ends[side].session.status());
        let marks = statuses.map(|status| status.mine);
        let is_said = statuses.iter().any(|status| status.in_sync);
        if is_busy || !is_said || link.is_tampered || link.compared == Some(marks) {
            return;
        }
        link.compared = Some(marks);
        let clocks = [self.clock(pair.0), self.clock(pair.1)];
        if !self.rules.is_near_an_end(pair, clocks) {
            self.count("in-sync checked");
            let [one, other] = self.views(pair);
            assert_eq!(one, other, "{pair:?} said that they are in sync");
        }
    }

    /// What must hold once the network has been whole for a while.
    pub(super) fn check_end(&mut self) {
        for who in 0..NODES {
            assert!(self.is_up(who), "node {who} is down at the end of the day");
        }
        for pair in self.dialers.keys().copied().collect::<Vec<_>>() {
            if self.is_honest(pair) {
                self.check_pair(pair);
            }
        }
        for who in 0..NODES {
            if !self.is_hostile(who) {
                self.check_log(who);
                self.check_ledger(who);
                self.check_rebuild(who);
            }
            if !self.is_hostile(who) || self.plan.hostile == 1 {
                self.check_disk(who);
            }
        }
    }

    fn check_pair(&mut self, pair: Pair) {
        let clocks = [self.clock(pair.0), self.clock(pair.1)];
        if self.rules.is_near_an_end(pair, clocks) {
            return;
        }
        let speaks = [pair.0, pair.1].map(|who| self.node(who).speaks);
        if speaks[0].1 < speaks[1].0 || speaks[1].1 < speaks[0].0 {
            return;
        }
        let [one, other] = self.views(pair);
        let link = self.links.get(&pair);
        let link = link.unwrap_or_else(|| panic!("{pair:?} have no session"));
        let statuses = [0, 1].map(|side| link.ends[side].session.status().clone());
        if one != other && self.is_late_work(pair, clocks) {
            assert!(statuses.iter().all(|status| !status.in_sync));
            self.count("pairs with late work");
            return;
        }
        let is_restored = self.rules.is_restored[pair.0] || self.rules.is_restored[pair.1];
        if one != other && is_restored {
            // Who went back to before an offer lost its scope key for good.
            assert!(statuses.iter().all(|status| !status.in_sync));
            self.count("pairs apart after a restore");
            return;
        }
        assert_eq!(one, other, "{pair:?} views differ: {statuses:#?}");
        for status in &statuses {
            assert!(status.in_sync, "{pair:?} do not say in sync: {status:#?}");
        }
        self.count("pairs in sync");
        let nodes = [self.node(pair.0), self.node(pair.1)];
        let mut memories = Vec::new();
        nodes[0].store().read(|state| {
            let person = nodes[1].person();
            state.pair_view(person, clocks[0], &mut |facts, _| memories.push(facts.id));
        });
        for memory in memories {
            let contents = nodes.map(|node| node.content(memory));
            let facts = nodes.map(|node| node.facts(memory).expect("it is in the view"));
            if facts[0].purged == facts[1].purged {
                assert_eq!(contents[0], contents[1], "equal events, unequal content");
            }
            assert_eq!(
                facts[0].heads(),
                facts[1].heads(),
                "equal events, unequal heads"
            );
        }
    }

    /// Tells whether all that differs are changes that a writer made before hearing that a grant
    /// was revoked, and that the owner refuses for that: the one difference that stays.
    fn is_late_work(&self, pair: Pair, clocks: [Timestamp; 2]) -> bool {
        let nodes = [self.node(pair.0), self.node(pair.1)];
        let views = [
            nodes[0].view(nodes[1].person(), clocks[0]).0,
            nodes[1].view(nodes[0].person(), clocks[1]).0,
        ];
        let is_late = |side: usize| {
            let (me, peer) = way(pair, side);
            let is_revoked = self
                .rules
                .grants
                .iter()
                .any(|grant| grant.is_revoked && (grant.owner, grant.grantee) == (peer, me));
            views[side].without(&views[1 - side]).all(|item| {
                let event = nodes[side].store().event(EventId(item.id));
                event.expect("the log reads").is_some_and(|event| {
                    let header = event.header();
                    let is_own = header.person == nodes[side].person();
                    is_own && is_revoked && header.owner == nodes[1 - side].person()
                })
            })
        };
        is_late(0) && is_late(1)
    }

    /// Nothing unverified and nothing beyond a cut is in the log.
    fn check_log(&mut self, who: usize) {
        let store = self.node(who).store();
        for forged in &self.rules.forged {
            let found = store.event(*forged).expect("the log reads");
            assert_eq!(found, None, "a forged event was let in");
        }
        let devices: BTreeMap<_, _> = self
            .machines
            .iter()
            .map(|machine| (machine.node.certificate.device, machine.node.person()))
            .collect();
        if self.plan.hostile > 0 {
            let head = store.read(|state| state.head);
            for number in 1..=head {
                let event = store.event_at(number).expect("the log reads");
                let event = event.expect("no gap in the log");
                let header = event.header();
                assert_eq!(
                    devices.get(&header.author),
                    Some(&header.person),
                    "a stranger's event"
                );
                assert!(is_signed(&event), "an event without a signature was let in");
            }
        }
        for beyond in self
            .rules
            .beyond
            .iter()
            .filter(|beyond| beyond.owner == who)
        {
            let later = self.rules.grants.iter().skip(beyond.grants);
            let is_let = later.into_iter().any(|grant| {
                (grant.owner, grant.grantee) == (who, beyond.writer) && grant.is_write
            });
            let found = store.event(beyond.event).expect("the log reads");
            let is_alone = self.plan.hostile < 2;
            assert!(
                found.is_none() || is_let || !is_alone,
                "a change beyond a cut was taken in"
            );
        }
    }

    fn check_ledger(&self, who: usize) {
        if self.rules.is_restored[who] {
            return;
        }
        let store = self.node(who).store();
        let mut said = Traffic::default();
        for entry in store.ledger(0, usize::MAX).expect("the ledger reads") {
            let to = self
                .persons()
                .iter()
                .position(|person| *person == entry.person);
            let mut entry = protocol::api::ledger::export::entry(&entry, String::new());
            let did = &self.rules.dids[to.expect("one of us")];
            entry.person.clone_from(did);
            said.add_entry(&entry);
        }
        let wire = &self.rules.left[who];
        if self.rules.is_troubled[who] {
            // An entry that was not acknowledged may have been kept, and nothing left.
            assert!(
                wire.beyond(&said).is_empty(),
                "crossed, and not in the ledger"
            );
        } else {
            brain_tests::sniffer::assert_bijection(&said, wire);
        }
        let verdict = store.verify_ledger().expect("the ledger reads");
        assert_eq!(
            verdict.fault, None,
            "the ledger of {who} does not hold together"
        );
    }

    fn check_rebuild(&mut self, who: usize) {
        let now = self.clock(who);
        let node = self.node(who);
        let before = node.snapshot();
        node.store().rebuild(now).expect("the log replays");
        assert!(
            before == node.snapshot(),
            "a rebuild of {who} gave another state"
        );
    }

    /// No text lies on a disk that its person may not know.
    fn check_disk(&self, who: usize) {
        let all = [
            "log", "event", "feed", "consent", "key", "member", "scope", "facts", "content",
            "document", "vector", "ledger", "tree", "line", "witness", "echo", "peer", "invite",
            "tray", "late", "meta",
        ];
        for row in self.node(who).rows(&all) {
            for text in texts_in(&row.value) {
                let may = self.rules.may_know[who].contains(&text);
                assert!(
                    may,
                    "text {text} lies on the disk of {who}, who may not know it"
                );
            }
        }
    }
}

/// Returns the numbers of the texts in some bytes.
fn texts_in(bytes: &[u8]) -> Vec<u32> {
    let starts = bytes.windows(7).enumerate();
    let starts = starts.filter(|(_, window)| *window == b"canary ");
    let number = |(at, _): (usize, _)| {
        let number = bytes.get(at + 7..)?.split(|byte| *byte == b'x').next()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    };
    starts.filter_map(number).collect()
}

/// Checks a signature by the description of the format.
fn is_signed(event: &Signed<crdt::event::Event>) -> bool {
    let id = event.id();
    let hash = crdt::hash::Hash::of("second-brain 2026 v1 event signature", &[id.as_bytes()]);
    let signature = event
        .bytes()
        .last_chunk()
        .expect("it ends with a signature");
    crdt::identity::verify(&event.header().author.0, &hash, signature)
}

/// The day is over long before dates run out.
const _: () = assert!(START.0 > NEAR_MS);
