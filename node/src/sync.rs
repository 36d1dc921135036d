//! Sync: which peers to talk to, and how far each one is.
//!
//! One session per device. [`Sync`] keeps their handles, accepts and dials, and wakes sessions
//! when something changed here. The dialogue itself is `protocol::session`; [`driver`] runs it.

mod blobs;
mod budget;
mod counts;
mod dialer;
mod driver;
mod fair;
mod frames;
mod guests;
mod outage;
mod pair;
mod patience;
mod welcome;

pub use blobs::{Desk, Missing as MissingBlob};
pub use counts::Counts;
pub use driver::{Introduction, Outcome};
pub use fair::Writing;
pub use outage::Outage;

use crate::net::door::{Door, Standing};
use crate::net::{Incoming, Network, Stream};
use crate::notices::Notices;
use crate::tasks::Tasks;
use budget::{Budget, Cost};
use counts::Ending;
use crdt::id::{DeviceId, PersonId};
use crdt::time::Timestamp;
use fair::Turns;
use futures::FutureExt as _;
use pair::Pairs;
use patience::Patience;
use protocol::session::{Acquaintance, Role, Status};
use protocol::view::Summary;
use protocol::wire::control::FeedTip;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use storage::store::Store;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Two sessions with one person that began this close together are the two ends dialling at once.
///
/// Long enough for the handshakes of a slow link. It is also how long a peer that crashed right
/// after a session began, and came back, may be taken for the second dial and turned away.
const SIMULTANEOUS: Duration = Duration::from_secs(2);

/// Session tasks of one device: one, the one that replaces it, and some that a crash there left.
const SESSIONS_PER_DEVICE_MAX: usize = 8;

/// What a session can be told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Prove now.
    Prove,
    /// End.
    Close,
}

/// A session with a person, seen from outside.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The device on the other side.
    pub device: DeviceId,
    role: Role,
    number: u64,
    opened: Instant,
    commands: mpsc::Sender<Command>,
    /// How far both sides are.
    pub status: watch::Receiver<Status>,
    /// The consent events that the other side knows.
    pub known: watch::Receiver<Vec<FeedTip>>,
}

impl Handle {
    /// Asks the session for a proof; false if it is over.
    pub async fn prove(&self) -> bool {
        self.commands.send(Command::Prove).await.is_ok()
    }
}

/// What is remembered of a person between sessions.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Bytes received since the node started.
    pub bytes_in: u64,
    /// Bytes sent since the node started.
    pub bytes_out: u64,
    /// How far both were when the last session ended.
    pub last: Status,
    /// Why the last attempt to reach them did not work.
    pub last_error: Option<String>,
    /// Since when they cannot be reached.
    pub outage: Option<Outage>,
    /// When both were last equal, since the node started.
    pub last_equal: Option<Timestamp>,
    /// Until when they have to wait after they broke the protocol.
    pub waits_until: Option<Instant>,
}

/// Whom this node talks to: another person, whichever of their devices it is, or one of this
/// person's own devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Party {
    /// The person.
    pub person: PersonId,
    /// The device, if it is an own one.
    pub device: Option<DeviceId>,
}

impl From<PersonId> for Party {
    fn from(person: PersonId) -> Self {
        let device = None;
        Self { person, device }
    }
}

#[derive(Debug, Default)]
struct Table {
    sessions: BTreeMap<(PersonId, DeviceId), Handle>,
    records: BTreeMap<Party, Record>,
    /// What the last session with a device learnt; for devices that are welcome.
    met: BTreeMap<DeviceId, Acquaintance>,
    patience: Patience,
    /// How many tasks each device keeps busy, with those that are ending.
    busy: BTreeMap<DeviceId, usize>,
    budgets: BTreeMap<DeviceId, Budget>,
    next: u64,
}

/// A session task of a device, counted until it is dropped.
struct Busy(Sync, DeviceId);

impl Busy {
    /// Counts one more, if the device has not got too many.
    fn begin(sync: &Sync, device: DeviceId) -> Option<Self> {
        let mut table = sync.table();
        let count = table.busy.entry(device).or_default();
        (*count < SESSIONS_PER_DEVICE_MAX).then(|| {
            *count += 1;
            Self(sync.clone(), device)
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut table = self.0.table();
        let left = table.busy.get(&self.1).map_or(0, |count| count - 1);
        if left == 0 {
            table.busy.remove(&self.1);
        } else {
            table.busy.insert(self.1, left);
        }
    }
}

/// All sessions of a node.
#[derive(Debug, Clone)]
pub struct Sync(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    desk: Arc<Desk>,
    network: Network,
    door: Door,
    notices: Notices,
    alias: String,
    table: Mutex<Table>,
    pairs: Pairs,
    turns: Turns,
    counts: Counts,
    changes: watch::Sender<u64>,
    wake: watch::Sender<u64>,
    tasks: Tasks,
    shutdown: CancellationToken,
}

impl Sync {
    /// Prepares the sessions of a node.
    #[expect(
        clippy::too_many_arguments,
        reason = "all of it is given once, where a node starts"
    )]
    pub fn new(
        store: Arc<Store>,
        desk: Arc<Desk>,
        (network, door): (Network, Door),
        notices: Notices,
        alias: String,
        tasks: Tasks,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            desk,
            network,
            door,
            notices,
            alias,
            table: Mutex::default(),
            pairs: Pairs::default(),
            turns: Turns::default(),
            counts: Counts::default(),
            changes: watch::channel(0).0,
            wake: watch::channel(0).0,
            tasks,
            shutdown,
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the sessions: something was written here.
    pub fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }
    /// Has own devices hear of what left for a person: what was given is in their view.
    fn disclosed(&self) {
        let me = self.0.store.owner().certificate.person;
        let has_company = {
            let table = self.table();
            table.sessions.keys().any(|(person, _)| *person == me)
        };
        if has_company {
            self.changed();
        }
    }
    /// Has the dialler try all peers at once.
    pub fn dial_now(&self) {
        self.0.wake.send_modify(|count| *count += 1);
    }
    /// Returns the party that a device of a person belongs to.
    pub fn party(&self, person: PersonId, device: DeviceId) -> Party {
        let is_own = person == self.0.store.owner().certificate.person;
        let device = is_own.then_some(device);
        Party { person, device }
    }
    /// Returns a session with a party: one that is open, if there are several.
    pub fn session(&self, party: impl Into<Party>) -> Option<Handle> {
        let party = party.into();
        let table = self.table();
        let sessions = table.sessions.iter().filter(|((person, device), _)| {
            *person == party.person && party.device.is_none_or(|wanted| wanted == *device)
        });
        let best = sessions.max_by_key(|(_, handle)| handle.status.borrow().is_open);
        best.map(|(_, handle)| handle.clone())
    }
    /// Returns what is remembered of a party.
    pub fn record(&self, party: impl Into<Party>) -> Record {
        let table = self.table();
        table
            .records
            .get(&party.into())
            .cloned()
            .unwrap_or_default()
    }
    /// Returns how the view with a person stands now.
    pub fn view(&self, person: PersonId) -> Summary {
        let pair = self.0.pairs.with(person);
        let mut pair = pair::lock(&pair);
        pair.refresh(&self.0.store, crate::clock::now());
        pair.summary()
    }
    /// Returns what an earlier session with a device learnt, if the device is welcome.
    fn acquaintance(&self, device: DeviceId) -> Option<Acquaintance> {
        let is_welcome = self.0.store.read(|state| {
            let person = state.authority.person_of(&device);
            person.is_some_and(|person| person == state.me || state.is_paired(person))
        });
        let table = self.table();
        table.met.get(&device).filter(|_| is_welcome).cloned()
    }
    /// Remembers what a session learnt; nothing, if it did not get as far as greeting.
    fn remember(&self, device: DeviceId, known: Option<Acquaintance>) {
        let mut table = self.table();
        match known {
            Some(known) => table.met.insert(device, known),
            None => table.met.remove(&device),
        };
    }
    /// Returns the network.
    pub fn network(&self) -> &Network {
        &self.0.network
    }
    /// Ends the sessions with a party.
    pub async fn close(&self, party: impl Into<Party>) {
        let party = party.into();
        let is_meant = |(person, device): &(PersonId, DeviceId)| {
            *person == party.person && party.device.is_none_or(|wanted| wanted == *device)
        };
        let handles: Vec<Handle> = {
            let table = self.table();
            let meant = table.sessions.iter().filter(|(key, _)| is_meant(key));
            meant.map(|(_, handle)| handle.clone()).collect()
        };
        for handle in handles {
            if handle.commands.send(Command::Close).await.is_err() {
                tracing::debug!("the session was over already");
            }
        }
    }

    /// Runs a session on a stream, as a task of its own. A panic in it ends this session only.
    pub fn spawn(&self, stream: Stream, role: Role, introduction: Option<Introduction>) {
        let (sync, device) = (self.clone(), stream.device);
        let Some(busy) = Busy::begin(self, device) else {
            tracing::debug!("a stream was turned away: its device has too many");
            return;
        };
        self.0.tasks.spawn(async move {
            let _busy = busy;
            let session = driver::run(sync.clone(), stream, role, introduction);
            let ended = std::panic::AssertUnwindSafe(session).catch_unwind().await;
            if ended.is_err() {
                tracing::error!("a session panicked; its peer is dialled again");
                sync.0.counts.session(Ending::Panicked);
                sync.sweep(device);
            }
        });
    }

    /// Takes sessions out of the table that are gone without a word.
    fn sweep(&self, device: DeviceId) {
        let mut table = self.table();
        table
            .sessions
            .retain(|(_, of), handle| *of != device || !handle.commands.is_closed());
    }

    /// Names the guests and starts the tasks that run until the node stops.
    pub fn start(&self, incoming: Incoming) {
        self.mind_the_door();
        let tasks = &self.0.tasks;
        tasks.spawn(self.clone().keep_the_door());
        tasks.spawn(self.clone().accept(incoming.sessions));
        tasks.spawn(blobs::run_server(self.clone(), incoming.blobs));
        tasks.spawn(blobs::run_fetcher(self.clone()));
        tasks.spawn(dialer::run(self.clone()));
    }

    /// Accepts incoming streams until the node stops.
    async fn accept(self, mut incoming: mpsc::Receiver<Stream>) {
        loop {
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                stream = incoming.recv() => match stream {
                    Some(stream) if self.is_paused(&stream.device) => {
                        tracing::debug!("a stream was turned away: its device has to wait");
                    }
                    Some(stream) => self.spawn(stream, Role::Responder, None),
                    None => return,
                },
            }
        }
    }

    /// Enters a session whose peer is known now. None if another one with this device stays.
    ///
    /// When both ends dial at once, both keep the one that the smaller device began.
    fn register(&self, person: PersonId, mut handle: Handle) -> Option<u64> {
        let mine = self.0.store.owner().device.id();
        let begun_by = |handle: &Handle| match handle.role {
            Role::Initiator => mine,
            Role::Responder => handle.device,
        };
        let mut table = self.table();
        let key = (person, handle.device);
        if let Some(old) = table.sessions.get(&key) {
            let at_once = old.opened.elapsed() < SIMULTANEOUS;
            if at_once && old.role != handle.role && begun_by(old) < begun_by(&handle) {
                return None;
            }
            if old.commands.try_send(Command::Close).is_err() {
                tracing::debug!("the older session was over already");
            }
        }
        table.next += 1;
        handle.number = table.next;
        let number = handle.number;
        table.sessions.insert(key, handle);
        Some(number)
    }

    fn deregister(&self, person: PersonId, device: DeviceId, number: u64, last: Status) {
        let party = self.party(person, device);
        let mut table = self.table();
        let key = (person, device);
        if table
            .sessions
            .get(&key)
            .is_some_and(|handle| handle.number == number)
        {
            table.sessions.remove(&key);
        }
        table.records.entry(party).or_default().last = Status {
            in_sync: false,
            ..last
        };
    }

    fn count(&self, party: Party, bytes_in: u64, bytes_out: u64) {
        let mut table = self.table();
        let record = table.records.entry(party).or_default();
        record.bytes_in += bytes_in;
        record.bytes_out += bytes_out;
        drop(table);
        self.0.counts.bytes(bytes_in, bytes_out);
    }

    /// Charges a device for what it had this node do; returns how long it has to wait for more.
    fn charge(&self, device: DeviceId, cost: Cost) -> Duration {
        let now = Instant::now();
        let mut table = self.table();
        table
            .budgets
            .retain(|of, budget| *of == device || !budget.is_full(now));
        let fresh = || Budget::new(now);
        let budget = table.budgets.entry(device).or_insert_with(fresh);
        budget.charge(cost, now)
    }

    /// Notes that both sides were equal just now.
    fn note_equal(&self, party: Party) {
        let record = Some(crate::clock::now());
        self.table().records.entry(party).or_default().last_equal = record;
    }

    /// Says that someone here writes, until the guard is dropped: peers stand back for it.
    pub fn writing(&self) -> Writing {
        self.0.turns.local()
    }

    /// Returns what sync has done since the node started.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Notes that a device broke the protocol: it has to wait, and `status` says why.
    fn note_fault(&self, device: DeviceId, person: Option<PersonId>, reason: &str) {
        if self.0.door.standing(&device) != Standing::Known {
            return;
        }
        let pause = self.table().patience.note(device, reason, Instant::now());
        tracing::warn!(reason, ?pause, "a peer broke the protocol; it has to wait");
        let person = person.or_else(|| self.0.store.read(|s| s.authority.person_of(&device)));
        if let Some(person) = person {
            let error = format!("it broke the protocol: {reason}");
            let party = self.party(person, device);
            self.note_error(party, Some(error));
            let until = Some(Instant::now() + pause);
            self.table().records.entry(party).or_default().waits_until = until;
        }
        self.mind_the_door();
        self.0.network.disconnect(device);
    }

    /// Tells whether a device has to wait after it broke the protocol.
    fn is_paused(&self, device: &DeviceId) -> bool {
        self.table()
            .patience
            .pause(device, Instant::now())
            .is_some()
    }

    fn note_error(&self, party: Party, error: Option<String>) {
        self.table().records.entry(party).or_default().last_error = error;
    }
}
