//! What it costs two nodes to find out how far they are: bytes, rounds and time of whole sessions.
//!
//! ```sh
//! cargo bench --workspace --bench session
//! ```
//!
//! Two sessions in memory over views of 10,000 and 100,000 items, from the greeting to "in sync".
//! The nodes met before, when they were equal. What came since lies at the end in time ("recent") or
//! anywhere ("scattered"); half of it on either side. Content is counted as one byte an item, so that the figures are of
//! the dialogue alone. Beside it: what sending all ids would take.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the time and prints a table"
)]

use crdt::codec::Canonical as _;
use crdt::envelope::{Epoch, SealedKey};
use crdt::id::{GrantId, MemoryId};
use crdt::identity::{DeviceKey, PersonKey};
use crdt::ledger::{Checkpoint, Note, Tree};
use crdt::testing::Entropy;
use crdt::time::Timestamp;
use protocol::reconcile::Run;
use protocol::session::{Acquaintance, Admission, Effect, Input, Role, Session};
use protocol::view::{Change, Item, View, membership_id};
use protocol::wire::content::Content;
use protocol::wire::control::{Control, Hello};
use protocol::wire::{VERSION_MAX, VERSION_MIN, control_frame};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ROUNDS: usize = 5;

fn hello(seed: u8) -> Hello {
    let device = DeviceKey::from_seed(&[seed + 100; 32]);
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        certificate: PersonKey::from_seed(&[seed; 32]).certify(&device, NOW),
        nonce: [seed; 16],
        alias: "a laptop".to_owned(),
        addresses: vec!["/ip4/192.0.2.1/udp/4001/quic-v1".to_owned()],
        ticket: None,
    }
}

/// The number of an item as a memory: what its key stands for.
fn memory(number: u32) -> MemoryId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_le_bytes());
    MemoryId(id)
}

fn item(number: u32) -> Item {
    let id = membership_id(GrantId([1; 32]), memory(number));
    // A write every few seconds.
    let time = (NOW.0 + u64::from(number) * 7_000) << 16;
    Item { time, id }
}

fn checkpoint(own: u8) -> Box<Checkpoint> {
    let device = DeviceKey::from_seed(&[own + 100; 32]);
    let persons = [own, 3 - own].map(|seed| hello(seed).certificate.person);
    let line = Tree::default();
    let note = Note {
        entries: 0,
        root: line.root(),
        log: 0,
    };
    let rng = &mut Entropy::new(1);
    let pair = (persons[0], persons[1]);
    Box::new(Checkpoint::sign(&line, pair, &note, NOW, &device, rng))
}

struct Side {
    session: Session,
    view: View,
    /// Items that came since the session was last told.
    new: Vec<Item>,
    ids: BTreeMap<[u8; 32], u32>,
    held: Option<Box<Checkpoint>>,
    /// What is shown of the own ledger, which does not grow here.
    shown: Box<Checkpoint>,
    own: u8,
    out: VecDeque<Effect>,
}

impl Side {
    fn new(role: Role, own: u8, view: View, ids: BTreeMap<[u8; 32], u32>) -> Self {
        let peer = hello(3 - own).certificate.device;
        Self {
            session: Session::new(role, peer, hello(own)),
            view,
            new: Vec::new(),
            ids,
            held: None,
            shown: checkpoint(own),
            own,
            out: VecDeque::new(),
        }
    }
    fn again(&mut self, role: Role, known: Option<Acquaintance>) {
        let peer = hello(3 - self.own).certificate.device;
        self.session = Session::new(role, peer, hello(self.own)).knowing(known);
        self.new.clear();
    }
    fn look(&mut self) {
        let change = Change {
            summary: self.view.summary(),
            newest: self.view.newest(),
            new: std::mem::take(&mut self.new),
        };
        self.handle(Input::View(change));
    }
    fn handle(&mut self, input: Input) {
        for effect in self.session.handle(input, NOW) {
            match effect {
                Effect::Send(_) => self.out.push_back(effect),
                Effect::Admit(hello) => {
                    let welcome = Admission::Welcome(hello.certificate.person);
                    self.handle(Input::Admission(Box::new(welcome)));
                }
                Effect::LoadFrontier => self.handle(Input::Frontier(Vec::new())),
                Effect::LoadConsent(_) => self.handle(Input::ConsentFor(Vec::new())),
                Effect::TakeConsent(_) => self.handle(Input::ConsentTaken),
                Effect::LoadView => self.look(),
                Effect::LoadRun { salt, since } => {
                    let run = Run::new(&self.view, &salt, since).map(Box::new);
                    self.handle(Input::Run(run));
                }
                Effect::Offer(items) => {
                    self.out.push_back(Effect::Offer(items));
                    self.handle(Input::Offered {
                        frames: 1,
                        withheld: 0,
                    });
                }
                Effect::Store(content) => self.store(&content),
                Effect::LoadHeld => self.handle(Input::Held(self.held.clone())),
                Effect::LoadCheckpoint { .. } => {
                    let checkpoint = self.shown.clone();
                    let proof = Vec::new();
                    self.handle(Input::Checkpoint { checkpoint, proof });
                }
                Effect::TakeCheckpoint { checkpoint, .. } => {
                    self.held = Some(checkpoint);
                    self.handle(Input::Held(self.held.clone()));
                }
                Effect::Close { reason, .. } => panic!("the session ended: {reason}"),
                _ => {}
            }
        }
    }
    fn store(&mut self, content: &Content) {
        for key in &content.keys {
            let bytes = key.memory.0;
            let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            self.ids.insert(item(number).id, number);
            if self.view.insert(item(number)) {
                self.new.push(item(number));
            }
        }
        let stored = u32::try_from(content.keys.len()).expect("a frame is small");
        let refused = Vec::new();
        self.handle(Input::Stored { stored, refused });
    }
    fn content(&self, items: &[Item]) -> Content {
        let keys = items.iter().filter_map(|item| self.ids.get(&item.id));
        let keys = keys.map(|number| SealedKey {
            grant: GrantId([1; 32]),
            memory: memory(*number),
            epoch: Epoch(0),
            sealed: Vec::new(),
        });
        Content {
            events: Vec::new(),
            keys: keys.collect(),
        }
    }
}

/// What a session cost.
#[derive(Debug, Default, Clone)]
struct Cost {
    bytes: usize,
    reconciling: usize,
    rounds: usize,
    time: Duration,
}

fn pass(from: &mut Side, to: &mut Side, cost: &mut Cost) -> bool {
    let Some(effect) = from.out.pop_front() else {
        return false;
    };
    match effect {
        Effect::Send(control) => {
            let bytes = control_frame(&control).len();
            cost.bytes += bytes;
            match &control {
                Control::Reconcile { .. } | Control::Recent(_) => {
                    cost.rounds += usize::from(from.own == 1);
                    cost.reconciling += bytes;
                }
                Control::Want(_) => cost.reconciling += bytes,
                _ => {}
            }
            to.handle(Input::Message(control));
        }
        Effect::Offer(items) => {
            cost.bytes += items.len();
            to.handle(Input::Content(from.content(&items)));
        }
        _ => {}
    }
    true
}

fn meet(one: &mut Side, other: &mut Side) -> Cost {
    let mut cost = Cost::default();
    let start = Instant::now();
    one.handle(Input::Started);
    other.handle(Input::Started);
    while pass(one, other, &mut cost) | pass(other, one, &mut cost) {
        // Until both are quiet.
    }
    cost.time = start.elapsed();
    assert!(one.session.status().in_sync && other.session.status().in_sync);
    assert_eq!(one.view.summary(), other.view.summary());
    cost
}

/// Which of `count` items only one side has.
fn lacking(count: u32, differences: u32, is_recent: bool) -> Vec<u32> {
    if is_recent {
        return (count - differences..count).collect();
    }
    let mut rng = Entropy::new(7);
    let mut chosen = std::collections::BTreeSet::new();
    while chosen.len() < differences as usize {
        let number = u32::try_from(rng.below(u64::from(count))).expect("below count");
        chosen.insert(number);
    }
    chosen.into_iter().collect()
}

fn measure(count: u32, differences: u32, is_recent: bool) -> Cost {
    let all: BTreeMap<[u8; 32], u32> = (0..count).map(|n| (item(n).id, n)).collect();
    let mut base = View::new((0..count).map(item), 0);
    let lacking = lacking(count, differences, is_recent);
    for number in &lacking {
        base.remove(&item(*number));
    }
    let mut views = [base.clone(), base.clone()];
    for (at, number) in lacking.into_iter().enumerate() {
        views[at % 2].insert(item(number));
    }
    let [mut mine, mut theirs] = [
        Side::new(Role::Initiator, 1, base.clone(), all.clone()),
        Side::new(Role::Responder, 2, base, all),
    ];
    meet(&mut mine, &mut theirs);
    let known = [mine.session.acquaintance(), theirs.session.acquaintance()];
    let mut best: Option<Cost> = None;
    for _ in 0..ROUNDS {
        let [one, other] = known.clone();
        mine.again(Role::Initiator, one);
        theirs.again(Role::Responder, other);
        [mine.view, theirs.view] = views.clone();
        let cost = meet(&mut mine, &mut theirs);
        if best.as_ref().is_none_or(|best| cost.time < best.time) {
            best = Some(cost);
        }
    }
    best.unwrap_or_default()
}

fn main() {
    println!(
        "| items | differences | bytes in all | of them to find the difference | round trips | time of both sides | all ids |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for count in [10_000, 100_000] {
        for (differences, is_recent) in [
            (0, true),
            (1, true),
            (10, true),
            (1_000, true),
            (10, false),
            (1_000, false),
        ] {
            let cost = measure(count, differences, is_recent);
            let place = match (differences, is_recent) {
                (0, _) => "",
                (_, true) => " recent",
                (_, false) => " scattered",
            };
            println!(
                "| {count} | {differences}{place} | {} | {} | {} | {:.2} ms | {} |",
                cost.bytes,
                cost.reconciling,
                cost.rounds,
                cost.time.as_secs_f64() * 1_000.0,
                count * 32,
            );
        }
    }
    let hello = Control::Hello(Box::new(hello(1)));
    println!(
        "\nA greeting in full takes {} bytes.",
        hello.to_bytes().len()
    );
}
