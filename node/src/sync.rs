//! Sync: which peers to talk to, and how far each one is.
//!
//! One session per person. [`Sync`] keeps their handles, accepts and dials, and wakes sessions
//! when something changed here. The dialogue itself is `protocol::session`; [`driver`] runs it.

mod dialer;
mod driver;
mod frames;
mod pair;

pub use dialer::run as run_dialer;
pub use driver::{Introduction, Outcome};
pub(crate) use pair::load as load_pair;

use crate::net::{Network, Stream};
use crate::notices::Notices;
use crdt::id::{DeviceId, PersonId};
use protocol::session::{Role, Status};
use protocol::wire::control::FeedTip;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use storage::store::Store;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Two sessions with one person that began this close together are the two ends dialling at once.
///
/// Long enough for the handshakes of a slow link. It is also how long a peer that crashed right
/// after a session began, and came back, may be taken for the second dial and turned away.
const SIMULTANEOUS: Duration = Duration::from_secs(2);

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
}

#[derive(Debug, Default)]
struct Table {
    sessions: BTreeMap<PersonId, Handle>,
    records: BTreeMap<PersonId, Record>,
    next: u64,
}

/// All sessions of a node.
#[derive(Debug, Clone)]
pub struct Sync(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    network: Network,
    notices: Notices,
    alias: String,
    table: Mutex<Table>,
    changes: watch::Sender<u64>,
    wake: watch::Sender<u64>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Sync {
    /// Prepares the sessions of a node.
    pub fn new(
        store: Arc<Store>,
        network: Network,
        notices: Notices,
        alias: String,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            network,
            notices,
            alias,
            table: Mutex::default(),
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
    /// Has the dialler try all peers at once.
    pub fn dial_now(&self) {
        self.0.wake.send_modify(|count| *count += 1);
    }
    /// Returns the session with a person.
    pub fn session(&self, person: PersonId) -> Option<Handle> {
        self.table().sessions.get(&person).cloned()
    }
    /// Returns what is remembered of a person.
    pub fn record(&self, person: PersonId) -> Record {
        self.table()
            .records
            .get(&person)
            .cloned()
            .unwrap_or_default()
    }
    /// Returns the network.
    pub fn network(&self) -> &Network {
        &self.0.network
    }
    /// Ends the session with a person.
    pub async fn close(&self, person: PersonId) {
        if let Some(handle) = self.session(person)
            && handle.commands.send(Command::Close).await.is_err()
        {
            tracing::debug!("the session was over already");
        }
    }

    /// Runs a session on a stream, as a task of its own.
    pub fn spawn(&self, stream: Stream, role: Role, introduction: Option<Introduction>) {
        let sync = self.clone();
        self.0
            .tasks
            .spawn(async move { driver::run(sync, stream, role, introduction).await });
    }

    /// Accepts incoming streams until the node stops.
    pub async fn accept(self, mut incoming: mpsc::Receiver<Stream>) {
        loop {
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                stream = incoming.recv() => match stream {
                    Some(stream) => self.spawn(stream, Role::Responder, None),
                    None => return,
                },
            }
        }
    }

    /// Enters a session whose peer is known now. None if another one with this person stays.
    ///
    /// When both ends dial at once, both keep the one that the smaller device began.
    fn register(&self, person: PersonId, mut handle: Handle) -> Option<u64> {
        let mine = self.0.store.owner().device.id();
        let begun_by = |handle: &Handle| match handle.role {
            Role::Initiator => mine,
            Role::Responder => handle.device,
        };
        let mut table = self.table();
        if let Some(old) = table.sessions.get(&person) {
            let at_once = old.device == handle.device && old.opened.elapsed() < SIMULTANEOUS;
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
        table.sessions.insert(person, handle);
        Some(number)
    }

    fn deregister(&self, person: PersonId, number: u64, last: Status) {
        let mut table = self.table();
        if table
            .sessions
            .get(&person)
            .is_some_and(|handle| handle.number == number)
        {
            table.sessions.remove(&person);
        }
        table.records.entry(person).or_default().last = Status {
            in_sync: false,
            ..last
        };
    }

    fn count(&self, person: PersonId, bytes_in: u64, bytes_out: u64) {
        let mut table = self.table();
        let record = table.records.entry(person).or_default();
        record.bytes_in += bytes_in;
        record.bytes_out += bytes_out;
    }

    fn note_error(&self, person: PersonId, error: Option<String>) {
        self.table().records.entry(person).or_default().last_error = error;
    }
}
