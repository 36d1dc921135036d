//! The driver: runs one session's effects against the store, the guard and the stream.
//!
//! ```text
//! frame -> Input -> Session::handle -> Effect -> store | guard | stream -> Input
//! ```
//!
//! Reading, writing and thinking are separate: a writer task owns the sending half, so a slow
//! peer never stops this side from reading.

mod consent;
mod content;
mod witness;

use super::budget::Cost;
use super::counts::Ending;
use super::frames::{Misread, Outgoing, PACE, Received, read_all, write_all};
use super::pair::{self, Pair, Seen};
use super::welcome::Welcome;
use super::{Command, Handle, Sync};
use crate::clock;
use crate::net::Stream;
use crate::telemetry::traces::{self, Span};
use crdt::id::{DeviceId, EventId, PersonId};
use futures::AsyncReadExt as _;
use protocol::reconcile::Run;
use protocol::session::{Admission, Effect, Input, Role, Session, Status, Timer};
use protocol::ticket::Ticket;
use protocol::trace::TraceContext;
use protocol::view::Change;
use protocol::wire::control::{Control, Enrolled, FeedTip, Hello, RefusedBecause};
use protocol::wire::{FRAME_HEADER_BYTES, Message, VERSION_MAX, VERSION_MIN};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Messages that wait to be written; the windows of the session keep it far below.
const OUTBOX_MAX: usize = 64;
const COMMANDS_MAX: usize = 16;
/// The shortest time between two looks at the view: a burst of writes is one look.
const VIEW_PAUSE: Duration = Duration::from_millis(5);
/// The longest time between two looks: grants expire without anything being written.
const VIEW_IDLE: Duration = Duration::from_secs(20);

/// How a session with a stranger begins: with the ticket they gave.
#[derive(Debug)]
pub struct Introduction {
    /// The ticket.
    pub ticket: Ticket,
    /// My name for the inviter; theirs for themselves if absent.
    pub petname: Option<String>,
    /// Where to say how it went.
    pub outcome: oneshot::Sender<Outcome>,
}

/// How an introduction went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Paired.
    Paired(PersonId),
    /// This machine is an own device of the inviter now.
    Enrolled(Box<Enrolled>),
    /// The inviter said no.
    Refused(RefusedBecause),
    /// The stream ended before an answer.
    Broken,
}

pub(super) struct Driver {
    pub(super) sync: Sync,
    session: Session,
    pub(super) role: Role,
    pub(super) device: DeviceId,
    pub(super) introduction: Option<Introduction>,
    peer: Option<(PersonId, u64)>,
    outbox: mpsc::Sender<Outgoing>,
    commands: mpsc::Sender<Command>,
    status: watch::Sender<Status>,
    known: watch::Sender<Vec<FeedTip>>,
    /// When this session last looked at the view.
    seen: Option<Seen>,
    /// Consent events that the session was last told of.
    consent_seen: usize,
    /// Own late changes that this session was given to hand over.
    handed: BTreeSet<EventId>,
    timers: BTreeMap<Timer, Instant>,
    fault: Option<String>,
    /// From the greeting until both are equal for the first time.
    catching_up: Option<Span>,
    /// The step that the next content is of, as the peer named it.
    step: Option<TraceContext>,
    opened: Instant,
    counted_out: u64,
}

/// Runs a session until it ends.
pub(super) async fn run(
    sync: Sync,
    stream: Stream,
    role: Role,
    introduction: Option<Introduction>,
) {
    let (reader, writer) = stream.stream.split();
    let (outbox, outgoing) = mpsc::channel(OUTBOX_MAX);
    let (frames_in, frames) = mpsc::channel(OUTBOX_MAX);
    let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
    let (written, mut bytes_out) = watch::channel(0_u64);
    let hello = hello(&sync, introduction.as_ref());
    let known = sync.acquaintance(stream.device);
    let mut driver = Driver {
        session: Session::new(role, stream.device, hello)
            .knowing(known)
            .taking_traces(traces::goes_to_peers()),
        device: stream.device,
        introduction,
        peer: None,
        outbox,
        commands,
        status: watch::channel(Status::default()).0,
        known: watch::channel(Vec::new()).0,
        seen: None,
        consent_seen: 0,
        handed: BTreeSet::new(),
        timers: BTreeMap::new(),
        fault: None,
        catching_up: Some(Span::below("sync session", None)),
        step: None,
        opened: Instant::now(),
        counted_out: 0,
        role,
        sync,
    };
    let tasks = &driver.sync.0.tasks;
    let store = Arc::clone(&driver.sync.0.store);
    let write = tasks.spawn(write_all(writer, outgoing, written, store));
    let read = tasks.spawn(read_all(reader, frames_in, PACE));
    let mut wires = Wires {
        frames,
        inbox,
        changes: driver.sync.0.changes.subscribe(),
        shutdown: driver.sync.0.shutdown.clone(),
        outbox: driver.outbox.clone(),
        looked: Instant::now(),
    };
    driver.feed(Input::Started).await;
    while !driver.session.is_closed() {
        if let Some(input) = wires.next(&mut driver).await {
            driver.feed(input).await;
        } else {
            driver.look().await;
            wires.looked = Instant::now();
        }
        driver.hand_over().await;
        if bytes_out.has_changed().unwrap_or(false) {
            driver.count_out(*bytes_out.borrow_and_update());
        }
    }
    driver.end();
    // The writer ends when nobody can send any more.
    drop((driver, wires));
    read.abort();
    if write.await.is_err() {
        tracing::debug!("the writer was cut off");
    }
}

/// Everything that a session waits for.
struct Wires {
    frames: mpsc::Receiver<Result<Received, Misread>>,
    inbox: mpsc::Receiver<Command>,
    changes: watch::Receiver<u64>,
    shutdown: CancellationToken,
    /// Where messages go; it closes when the peer does not take them.
    outbox: mpsc::Sender<Outgoing>,
    looked: Instant,
}

impl Wires {
    /// Waits for the next input; none means that it is time to look at consent and view.
    async fn next(&mut self, driver: &mut Driver) -> Option<Input> {
        let timers = driver.timers.iter();
        let timer = timers
            .min_by_key(|(_, at)| **at)
            .map(|(timer, at)| (*timer, *at));
        // However much happens meanwhile: a session that is asked for proofs all the time looks too.
        let idle = VIEW_IDLE.saturating_sub(self.looked.elapsed());
        let wait = timer.map_or(idle, |(_, at)| {
            at.saturating_duration_since(Instant::now()).min(idle)
        });
        tokio::select! {
            () = self.shutdown.cancelled() => Some(driver.say_goodbye().await),
            () = self.outbox.closed() => Some(Input::Disconnected),
            frame = self.frames.recv() => Some(driver.receive(frame).await),
            command = self.inbox.recv() => match command {
                Some(Command::Prove) => {
                    // What is proved is how it stands now, not when it was last looked at.
                    driver.look().await;
                    Some(Input::ProveAsked)
                }
                Some(Command::Close) | None => Some(driver.say_goodbye().await),
            },
            changed = self.changes.changed() => {
                if changed.is_err() {
                    return Some(driver.say_goodbye().await);
                }
                tokio::time::sleep(VIEW_PAUSE.saturating_sub(self.looked.elapsed())).await;
                self.changes.borrow_and_update();
                None
            }
            () = tokio::time::sleep(wait) => {
                let (timer, _) = timer.filter(|(_, at)| *at <= Instant::now())?;
                driver.timers.remove(&timer);
                Some(Input::Fired(timer))
            }
        }
    }
}

fn hello(sync: &Sync, introduction: Option<&Introduction>) -> Hello {
    let mut nonce = [0; 16];
    if let Err(error) = getrandom::fill(&mut nonce) {
        tracing::error!(%error, "the system gives no randomness");
    }
    let mut addresses = sync.0.network.listen();
    addresses.truncate(protocol::limits::ADDRESSES_MAX);
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        certificate: sync.0.store.owner().certificate.clone(),
        nonce,
        alias: sync.0.alias.clone(),
        addresses,
        ticket: introduction.map(|introduction| introduction.ticket.secret),
    }
}

impl Driver {
    async fn send(&self, message: Outgoing) {
        if self.outbox.send(message).await.is_err() {
            tracing::debug!("the peer is gone; a message was not sent");
        }
    }

    async fn say_goodbye(&self) -> Input {
        self.send(Outgoing::Control(Control::Bye)).await;
        Input::Disconnected
    }

    fn count_out(&mut self, total: u64) {
        if let Some((person, _)) = self.peer {
            let party = self.sync.party(person, self.device);
            self.sync
                .count(party, 0, total.saturating_sub(self.counted_out));
            self.counted_out = total;
        }
    }

    async fn receive(&mut self, frame: Option<Result<Received, Misread>>) -> Input {
        let frame = match frame {
            Some(Ok(frame)) => frame.into_bytes(),
            Some(Err(misread)) => {
                self.fault = Some(misread.to_string());
                return Input::Disconnected;
            }
            None => return Input::Disconnected,
        };
        if let Some((person, _)) = self.peer {
            let party = self.sync.party(person, self.device);
            self.sync
                .count(party, frame.len() as u64 + FRAME_HEADER_BYTES as u64, 0);
        }
        let message = Message::from_frame(&frame);
        let items = self.session.status().mine.map_or(0, |view| view.items);
        let cost = Cost::of(frame.len(), message.as_ref().ok(), items);
        drop(frame);
        let wait = self.sync.charge(self.device, cost);
        if !wait.is_zero() {
            tracing::debug!(?wait, "a peer is over its budget");
            tokio::time::sleep(wait).await;
        }
        match message {
            // Both dialled at once and the peer keeps the other session: no fault of anybody's.
            Ok(Message::Control(Control::Refused(_))) if self.peer.is_some() => Input::Disconnected,
            Ok(Message::Control(message)) => Input::Message(message),
            Ok(Message::Content(content)) => Input::Content(content),
            Err(error) => {
                tracing::debug!(%error, "a frame does not read");
                self.fault = Some("bytes that do not read".to_owned());
                Input::Disconnected
            }
        }
    }

    /// Gives an input to the session and runs what comes of it, in order.
    async fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.session.handle(input, clock::now()) {
                inputs.extend(self.run(effect).await);
            }
        }
    }

    /// Looks whether consent or the view changed.
    async fn look(&mut self) {
        let Some((person, _)) = self.peer else { return };
        if self
            .sync
            .0
            .store
            .read(|state| state.is_retired(&self.device))
        {
            let goodbye = self.say_goodbye().await;
            self.feed(goodbye).await;
            return;
        }
        self.look_at_consent(person).await;
        if self.status.borrow().is_open {
            let told = self.status.borrow().mine;
            let (change, seen) = self.look_at_view(person);
            if Some(change.summary) != told {
                self.seen = Some(seen);
                self.feed(Input::View(change)).await;
            }
        }
    }

    /// Brings the view with a person up to date and returns what this session has not seen.
    fn look_at_view(&self, person: PersonId) -> (Change, Seen) {
        self.block(|sync| {
            let pair = sync.0.pairs.with(person);
            let mut pair = pair::lock(&pair);
            pair.refresh(&sync.0.store, clock::now());
            pair.since(self.seen)
        })
    }
    /// Asks the view with a person, as it was last brought up to date.
    fn ask_view<T>(&self, person: PersonId, ask: impl FnOnce(&Pair) -> T) -> T {
        self.block(|sync| {
            let pair = sync.0.pairs.with(person);
            let pair = pair::lock(&pair);
            ask(&pair)
        })
    }

    /// Hands own changes that a revocation cut off to the owner, once in a session.
    async fn hand_over(&mut self) {
        let Some((person, _)) = self.peer else { return };
        if !self.status.borrow().is_open {
            return;
        }
        let mut late = self.sync.0.store.late_for(person);
        late.retain(|(_, event)| self.handed.insert(*event));
        if !late.is_empty() {
            let items = late
                .into_iter()
                .map(|(time, event)| protocol::view::event_item(time.0, event));
            self.feed(Input::Late(items.collect())).await;
        }
    }

    async fn look_at_consent(&mut self, person: PersonId) {
        let feeds = self.sync.0.store.consent_frontier(person);
        let consent = usize::try_from(feeds.values().sum::<u64>()).unwrap_or(usize::MAX);
        if consent != self.consent_seen {
            self.consent_seen = consent;
            self.feed(Input::ConsentChanged).await;
        }
    }

    /// Runs blocking work of the store without stopping the other tasks of this thread.
    fn block<T>(&self, work: impl FnOnce(&Sync) -> T) -> T {
        tokio::task::block_in_place(|| work(&self.sync))
    }

    async fn run(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Send(control) => {
                self.send(Outgoing::Control(control)).await;
                None
            }
            Effect::Admit(hello) => Some(Input::Admission(Box::new(self.admit(&hello)))),
            Effect::Refused(because) => {
                self.tell(Outcome::Refused(because));
                None
            }
            Effect::Enrolled(enrolled) => {
                self.tell(Outcome::Enrolled(enrolled));
                None
            }
            Effect::SetTimer(timer, ms) => {
                self.timers
                    .insert(timer, Instant::now() + Duration::from_millis(ms));
                None
            }
            Effect::Report(status) => {
                self.report(status);
                None
            }
            Effect::Close { reason, fault } => {
                if fault {
                    self.fault = Some(reason.to_owned());
                }
                tracing::debug!(reason, "a session ends");
                None
            }
            other => {
                let (person, _) = self.peer?;
                self.run_for(person, other).await
            }
        }
    }

    /// Runs an effect that needs a peer who was welcomed.
    async fn run_for(&mut self, person: PersonId, effect: Effect) -> Option<Input> {
        match effect {
            Effect::LoadFrontier => {
                let feeds = self.sync.0.store.consent_frontier(person);
                let tip = |((author, incarnation, feed), next)| FeedTip {
                    author,
                    incarnation,
                    feed,
                    next,
                };
                Some(Input::Frontier(feeds.into_iter().map(tip).collect()))
            }
            Effect::LoadConsent(tips) => Some(self.load_consent(person, &tips)),
            Effect::TakeConsent(events) => {
                let sync = self.sync.clone();
                let _turn = sync.0.turns.remote().await;
                Some(self.take_consent(person, &events))
            }
            Effect::PeerKnows(tips) => {
                self.known.send_replace(tips);
                None
            }
            Effect::LoadView => {
                let sync = self.sync.clone();
                let _turn = sync.0.turns.remote().await;
                let (change, seen) = self.look_at_view(person);
                self.seen = Some(seen);
                Some(Input::View(change))
            }
            Effect::LoadRun { salt, since } => {
                let run = self.ask_view(person, |pair| Run::new(pair.view(), &salt, since));
                Some(Input::Run(run.map(Box::new)))
            }
            Effect::Offer(items) => Some(self.offer(person, &items).await),
            Effect::Trace(step) => {
                self.step = Some(step);
                None
            }
            Effect::Store(content) => {
                let sync = self.sync.clone();
                let _turn = sync.0.turns.remote().await;
                Some(self.store(person, &content))
            }
            Effect::RefusedThere(events) => self.settle_late(person, &events),
            other => self.witness(person, other),
        }
    }

    /// The store failed: ends the session rather than say something that is not so.
    fn fail(error: &str) -> Input {
        tracing::error!(error, "the store failed during a session");
        Input::Disconnected
    }

    fn report(&mut self, status: Status) {
        if status.in_sync
            && let Some(span) = self.catching_up.take()
        {
            span.word("brain.ending", "in_sync");
        }
        if let Some((person, _)) = self.peer {
            let was = self.status.borrow().in_sync;
            if was || status.in_sync {
                self.sync.note_equal(self.sync.party(person, self.device));
            }
            if status.in_sync && !was {
                let did = crdt::identity::did::to_did(&person);
                self.sync.0.notices.send("sync.done", Some(did));
            }
        }
        self.status.send_replace(status);
    }

    fn tell(&mut self, outcome: Outcome) {
        if let Some(introduction) = self.introduction.take()
            && introduction.outcome.send(outcome).is_err()
        {
            tracing::debug!("whoever accepted the ticket has given up");
        }
    }

    /// Decides whether the peer is welcome, pairs where a ticket says so, and enters the session.
    fn admit(&mut self, hello: &Hello) -> Admission {
        let person = hello.certificate.person;
        let admitted = self.block(|_| self.is_welcome(hello));
        match admitted {
            Ok(Welcome::In) => {}
            Ok(Welcome::Enrolled(enrolled)) => {
                self.block(Sync::mind_the_door);
                self.sync.changed();
                return Admission::Enrol(enrolled);
            }
            Ok(Welcome::Refused(because)) => return Admission::Refuse(because),
            Err(error) => {
                tracing::error!(error, "the store failed during a greeting");
                return Admission::Refuse(RefusedBecause::NotPaired);
            }
        }
        let handle = Handle {
            device: self.device,
            role: self.role,
            number: 0,
            opened: self.opened,
            commands: self.commands.clone(),
            status: self.status.subscribe(),
            known: self.known.subscribe(),
        };
        let Some(number) = self.sync.register(person, handle) else {
            return Admission::Refuse(RefusedBecause::NotPaired);
        };
        self.peer = Some((person, number));
        // Its other connections need not wait for the door to be looked after.
        self.block(Sync::mind_the_door);
        self.sync.note_reached(self.sync.party(person, self.device));
        let did = crdt::identity::did::to_did(&person);
        self.sync.0.notices.send("peer.online", Some(did));
        self.tell(Outcome::Paired(person));
        Admission::Welcome(person)
    }

    fn end(&mut self) {
        self.tell(Outcome::Broken);
        let known = self.session.acquaintance();
        self.sync.remember(self.device, known);
        if let Some((person, number)) = self.peer {
            let last = self.status.borrow().clone();
            self.sync.deregister(person, self.device, number, last);
            let did = crdt::identity::did::to_did(&person);
            self.sync.0.notices.send("peer.offline", Some(did));
        }
        let ending = match (&self.fault, self.peer) {
            (Some(_), _) => Ending::Fault,
            (None, Some(_)) => Ending::Ended,
            (None, None) => Ending::Refused,
        };
        if let Some(span) = self.catching_up.take() {
            span.word("brain.ending", ending.word());
            span.fail();
        }
        self.sync.0.counts.session(ending);
        if let Some(reason) = self.fault.take() {
            let person = self.peer.map(|(person, _)| person);
            self.sync.note_fault(self.device, person, &reason);
        }
    }
}
