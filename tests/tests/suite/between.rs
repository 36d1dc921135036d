//! A sniffer between two real nodes: it sees what both say in plain bytes, and changes nothing
//! but addresses.
//!
//! The transport encrypts and proves keys, so nobody can listen in without them. This one was
//! given them: it reads the device keys from the folders of both nodes, which are the test's own.
//! Towards Ana it speaks as Bob's device and towards Bob as Ana's; every frame of one is recorded
//! and handed to the other.
//!
//! ```text
//! ana's process <== QUIC ==> [bob's key | recorder | ana's key] <== QUIC ==> bob's process
//! ```
//!
//! The one thing it rewrites is the list of addresses in a greeting, which is not signed:
//! otherwise both nodes would find a way past it.

use brain_tests::{Node, eventually};
use crdt::identity::DeviceKey;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use node::config::Unlock;
use node::net::door::{Door, Guests};
use node::net::{Bytes, Network, Stream};
use protocol::ticket::Ticket;
use protocol::wire::control::Control;
use protocol::wire::{FRAME_HEADER_BYTES, Message, control_frame, frame_length};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The first byte of a message that carries content.
const CONTENT: u8 = 128;
/// The first byte of a request that names a memory and a blob, and how many bytes these have.
const ASK: u8 = 1;
const ASKED_BYTES: usize = 64;

/// Frames as they came, by sender: the first node's, then the second's.
type Recorded = Arc<Mutex<[Vec<Vec<u8>>; 2]>>;

/// A side of the sniffer: it speaks as the device of the node on the other side.
#[derive(Clone)]
struct Side {
    network: Network,
    /// The device of the node that this side talks to.
    talks_to: crdt::id::DeviceId,
    /// Where that node really is.
    addresses: Vec<String>,
}

/// A sniffer that two nodes take for each other.
pub(crate) struct Between {
    runtime: Runtime,
    stop: CancellationToken,
    cut: Arc<Mutex<CancellationToken>>,
    cuts_content: Arc<AtomicBool>,
    recorded: Recorded,
}

pub(crate) fn key(node: &Node) -> DeviceKey {
    let opened = node::identity::open(&node.home(), &Unlock::default());
    opened.expect("the folder is the test's own").owner.device
}

pub(crate) fn addresses(node: &Node) -> Vec<String> {
    let status = node.json(["status"]);
    let listen = status.pointer("/network/listen");
    let listen = listen.and_then(serde_json::Value::as_array);
    let listen = listen.expect("a node says where it listens").iter();
    listen
        .map(|address| address.as_str().expect("text").to_owned())
        .collect()
}

impl Between {
    /// Introduces two nodes to each other with a sniffer in between.
    pub(crate) fn introduce((one, name): (&Node, &str), (other, alias): (&Node, &str)) -> Self {
        let runtime = Runtime::new().expect("threads");
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let cut = Arc::new(Mutex::new(CancellationToken::new()));
        let cuts_content = Arc::new(AtomicBool::new(false));
        let recorded = Recorded::default();
        let folder = one.folder();
        let door = Door::default();
        door.admit(Guests {
            known: BTreeSet::from([key(one).id(), key(other).id()]),
            ..Guests::default()
        });
        let (sides, incoming) = runtime.block_on(async {
            let side = async |poses_as: &Node, talks_to: &Node, number: u8| {
                let ports = folder.join(format!("{alias}.{number}.ports"));
                let listen = ["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()];
                let key_of = key(poses_as);
                let (door, stop) = (door.clone(), stop.clone());
                let started = Network::start(&key_of, &listen, &ports, door, stop);
                let (network, incoming, run) = started.await.expect("loopback has a port");
                tasks.spawn(run);
                let side = Side {
                    network,
                    talks_to: key(talks_to).id(),
                    addresses: addresses(talks_to),
                };
                (side, incoming)
            };
            let (to_one, from_one) = side(other, one, 0).await;
            let (to_other, from_other) = side(one, other, 1).await;
            ([to_one, to_other], [from_one, from_other])
        });
        let [from_one, from_other] = incoming;
        for (number, incoming) in [(0, from_one), (1, from_other)] {
            let relay = Relay {
                sides: sides.clone(),
                number,
                recorded: Arc::clone(&recorded),
                tasks: tasks.clone(),
                cut: Arc::clone(&cut),
                cuts_content: Arc::clone(&cuts_content),
            };
            runtime.spawn(relay.clone().accept(incoming.sessions, What::Session));
            runtime.spawn(relay.accept(incoming.blobs, What::Blob));
        }
        let invited = one.brainctl(["peer", "invite", "--name", alias, "--ids"]);
        let mut ticket: Ticket = invited.ok().stdout.parse().expect("a ticket");
        ticket.addresses = eventually("the sniffer listens", || {
            Some(sides[1].network.listen()).filter(|listen| !listen.is_empty())
        });
        let accept = ["peer", "accept", &ticket.to_string(), "--alias", name];
        other.brainctl(accept).ok();
        Self {
            runtime,
            stop,
            cut,
            cuts_content,
            recorded,
        }
    }

    /// Returns the frames that a node said: 0 for the first, 1 for the second.
    pub(crate) fn said(&self, by: usize) -> Vec<Vec<u8>> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded[by].clone()
    }

    /// Breaks the connection in the middle of the next frame with content: it does not cross.
    pub(crate) fn cut_next_content(&self) {
        self.cuts_content.store(true, Ordering::Relaxed);
    }
    /// Tells whether that frame is still to come.
    pub(crate) fn will_cut(&self) -> bool {
        self.cuts_content.load(Ordering::Relaxed)
    }
    fn break_streams(cut: &Mutex<CancellationToken>) {
        let mut cut = cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cut).cancel();
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.stop.cancel();
        Self::break_streams(&self.cut);
        // What still relays ends with its streams; nobody waits for it.
        let runtime = std::mem::replace(&mut self.runtime, Runtime::new().expect("threads"));
        runtime.shutdown_background();
    }
}

/// Takes streams of one node and relays each to the other.
#[derive(Clone)]
struct Relay {
    sides: [Side; 2],
    /// Which node's streams these are.
    number: usize,
    recorded: Recorded,
    cut: Arc<Mutex<CancellationToken>>,
    cuts_content: Arc<AtomicBool>,
    tasks: TaskTracker,
}

/// What a stream carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Session,
    Blob,
}

/// What is recorded of one stream: whole frames, and for blobs who asked for what.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// Notes what is asked for, and returns a message of the answer with that in front; none for
    /// what is no answer.
    fn tagged(&self, is_request: bool, message: &[u8]) -> Option<Vec<u8>> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_request {
            if message.first() == Some(&ASK) {
                *asked = message[1..=ASKED_BYTES].to_vec();
            }
            return None;
        }
        Some(brain_tests::sniffer::blob_record(&asked, message))
    }
}

impl Relay {
    async fn accept(self, mut incoming: Receiver<Stream>, what: What) {
        while let Some(stream) = incoming.recv().await {
            self.tasks.spawn(self.clone().relay(stream, what));
        }
    }

    async fn relay(self, from: Stream, what: What) {
        let here = self.number;
        let side = &self.sides[1 - here];
        let opened = match what {
            What::Session => side.network.open(side.talks_to, &side.addresses).await,
            What::Blob => side.network.open_blob(side.talks_to).await,
        };
        let Ok(to) = opened else { return };
        let heard = Heard::default();
        let cut = {
            let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
            cut.clone()
        };
        let (from_reads, from_writes) = from.stream.split();
        let (to_reads, to_writes) = to.stream.split();
        let both = futures::future::join(
            self.pump(here, from_reads, to_writes, (what, heard.clone())),
            self.pump(1 - here, to_reads, from_writes, (what, heard)),
        );
        tokio::select! {
            () = cut.cancelled() => {}
            ((), ()) = both => {}
        }
    }

    /// Records what a node says and hands it to the other, until the stream ends.
    async fn pump(
        &self,
        said_by: usize,
        mut from: ReadHalf<Bytes>,
        mut to: WriteHalf<Bytes>,
        (what, heard): (What, Heard),
    ) {
        loop {
            let mut header = [0; FRAME_HEADER_BYTES];
            if from.read_exact(&mut header).await.is_err() {
                break;
            }
            let length = frame_length(header).expect("an honest node keeps to the limit");
            let mut message = vec![0; length];
            let (kind, rest) = message.split_at_mut(1);
            if from.read_exact(kind).await.is_err() {
                break;
            }
            let is_content = what == What::Session && kind == [CONTENT];
            if is_content && self.cuts_content.swap(false, Ordering::Relaxed) {
                Between::break_streams(&self.cut);
                return;
            }
            if from.read_exact(rest).await.is_err() {
                break;
            }
            let frame = [header.as_slice(), &message].concat();
            let record = match what {
                What::Session => Some(frame.clone()),
                What::Blob => heard.tagged(said_by == self.number, &message),
            };
            if let Some(record) = record {
                let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
                recorded[said_by].push(record);
            }
            let readdressed = (what == What::Session)
                .then(|| self.readdressed(said_by, &message))
                .flatten();
            let frame = readdressed.unwrap_or(frame);
            let written = async {
                to.write_all(&frame).await?;
                to.flush().await
            };
            if written.await.is_err() {
                break;
            }
        }
        // A node that ended in order must not find its last words cut off; one that is gone does
        // not mind.
        to.close().await.ok();
    }

    /// Returns a greeting with the sniffer's addresses in it; none if it is no greeting.
    fn readdressed(&self, said_by: usize, message: &[u8]) -> Option<Vec<u8>> {
        match Message::from_frame(message) {
            Ok(Message::Control(Control::Hello(mut hello))) => {
                hello.addresses = self.sides[1 - said_by].network.listen();
                Some(control_frame(&Control::Hello(hello)))
            }
            _ => None,
        }
    }
}
