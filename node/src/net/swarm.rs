//! The swarm task: owns the connections, takes commands, tells the listen addresses.

use super::Stream;
use super::addresses::{device_of, is_dialable, peer_of, port_of, with_port};
use super::door::{Door, Standing};
use super::gate::Gate;
use super::silence::{Heard, PING_EVERY, SILENCE_MAX};
use super::waiting::{HANDSHAKE, QUIC, TCP, WaitingRoom};
use crdt::id::DeviceId;
use crdt::identity::DeviceKey;
use futures::StreamExt as _;
use libp2p::connection_limits::{Behaviour as Limits, ConnectionLimits};
use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::upgrade::Version;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, noise, ping, quic, tcp, yamux};
use libp2p_stream as streams;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

const SESSIONS: StreamProtocol = StreamProtocol::new(protocol::wire::PROTOCOL);
const BLOBS: StreamProtocol = StreamProtocol::new(protocol::blob::PROTOCOL);
/// Connections that have not finished their handshake: two waiting rooms, and those on their way
/// out of them. The rooms make room; this would lock everyone out, so it must never be reached.
const PENDING_INCOMING_MAX: u32 = 2_048;
/// Connections that we are making.
const PENDING_OUTGOING_MAX: u32 = 64;
/// Connections from outside.
const ESTABLISHED_INCOMING_MAX: u32 = 256;
/// Connections that we made.
const ESTABLISHED_OUTGOING_MAX: u32 = 256;
/// Connections of one device; the gate closes older ones before there are so many.
const ESTABLISHED_PER_PEER_MAX: u32 = 12;
/// All connections.
const ESTABLISHED_MAX: u32 = 512;
/// Streams of one connection: a session, the one that replaces it, and attachments.
const STREAMS_MAX: u32 = 16;
/// Streams of one connection that have not agreed on a protocol.
const STREAMS_NEGOTIATING_MAX: usize = 8;
/// A connection without streams is closed after this.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes on their way per stream and per connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// How long dialling and the handshake may take.
const DIAL: Duration = Duration::from_secs(8);
/// How long an address may be taken by the life of the node before this one.
const RELEASE_MAX: Duration = Duration::from_secs(5);
const RELEASE_LOOK: Duration = Duration::from_millis(50);
const COMMANDS_MAX: usize = 64;
const INCOMING_MAX: usize = 64;

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: Limits,
    gate: Gate,
    /// Has something come on every connection that stands; see [`super::silence`].
    ping: ping::Behaviour,
    streams: streams::Behaviour,
}

enum Command {
    Dial {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        done: oneshot::Sender<Result<(), String>>,
    },
    Disconnect(PeerId),
}

/// The reason why the network did not do something.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// An address to listen on is not one, or is taken.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The transport cannot be set up.
    #[error("the transport cannot be set up: {0}")]
    Transport(String),
    /// The device does not answer at any known address.
    #[error("the peer does not answer: {0}")]
    Unreachable(String),
}

/// The streams that peers open.
#[derive(Debug)]
pub struct Incoming {
    /// Those that want a session.
    pub sessions: mpsc::Receiver<Stream>,
    /// Those that want a blob.
    pub blobs: mpsc::Receiver<Stream>,
}

/// The handle of the network.
#[derive(Clone)]
pub struct Network {
    commands: mpsc::Sender<Command>,
    control: streams::Control,
    listen: watch::Receiver<Vec<String>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({:?})", *self.listen.borrow())
    }
}

impl Network {
    /// Starts listening. Returns the handle, the incoming streams, and the task to supervise.
    pub async fn start(
        device: &DeviceKey,
        listen: &[String],
        ports: &Path,
        door: Door,
        shutdown: CancellationToken,
    ) -> Result<(Self, Incoming, impl Future<Output = ()> + Send + use<>), NetworkError> {
        let mut swarm = build(device, door.clone())?;
        let last = read_ports(ports);
        for text in listen {
            listen_on(&mut swarm, text, last).await?;
        }
        let mut control = swarm.behaviour().streams.new_control();
        let mut accept_all = |protocol: StreamProtocol| {
            let incoming = control.accept(protocol);
            incoming.map_err(|error| NetworkError::Transport(error.to_string()))
        };
        let (sessions_in, blobs_in) = (accept_all(SESSIONS)?, accept_all(BLOBS)?);
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (addresses, listen) = watch::channel(Vec::new());
        let (accepted, sessions) = mpsc::channel(INCOMING_MAX);
        let (accepted_blobs, blobs) = mpsc::channel(INCOMING_MAX);
        let task = Task {
            swarm,
            inbox,
            addresses,
            ports: ports.to_owned(),
            dials: BTreeMap::new(),
        };
        let run = async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = task.run() => {}
                () = accept(sessions_in, accepted, door.clone()) => {}
                () = accept(blobs_in, accepted_blobs, door.clone()) => {}
            }
        };
        Ok((
            Self {
                commands,
                control,
                listen,
            },
            Incoming { sessions, blobs },
            run,
        ))
    }

    /// Opens a stream for a session, dialling the device if there is no connection.
    pub async fn open(
        &self,
        device: DeviceId,
        addresses: &[String],
    ) -> Result<Stream, NetworkError> {
        self.open_for(SESSIONS, device, addresses).await
    }

    /// Opens a stream for a blob to a device that is connected.
    pub async fn open_blob(&self, device: DeviceId) -> Result<Stream, NetworkError> {
        self.open_for(BLOBS, device, &[]).await
    }

    async fn open_for(
        &self,
        protocol: StreamProtocol,
        device: DeviceId,
        addresses: &[String],
    ) -> Result<Stream, NetworkError> {
        let unreachable = |reason: String| NetworkError::Unreachable(reason);
        let peer = peer_of(&device).ok_or_else(|| unreachable("its id is no key".to_owned()))?;
        let addresses: Vec<Multiaddr> = addresses.iter().filter_map(|a| a.parse().ok()).collect();
        let (done, answer) = oneshot::channel();
        let command = Command::Dial {
            peer,
            addresses,
            done,
        };
        self.commands
            .send(command)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        match tokio::time::timeout(DIAL, answer).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(reason))) => return Err(unreachable(reason)),
            Ok(Err(_)) => return Err(unreachable("stopping".to_owned())),
            Err(_) => return Err(unreachable("no answer in time".to_owned())),
        }
        let mut control = self.control.clone();
        let stream = control.open_stream(peer, protocol);
        match tokio::time::timeout(DIAL, stream).await {
            Ok(Ok(stream)) => Ok(Stream { device, stream }),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable("no stream in time".to_owned())),
        }
    }

    /// Closes all connections of a device, with everything that runs on them.
    pub fn disconnect(&self, device: DeviceId) {
        if let Some(peer) = peer_of(&device)
            && self.commands.try_send(Command::Disconnect(peer)).is_err()
        {
            tracing::debug!("the network is busy or stopping; a connection stays");
        }
    }

    /// Returns where this node can be reached.
    pub fn listen(&self) -> Vec<String> {
        self.listen.borrow().clone()
    }
}

fn build(device: &DeviceKey, door: Door) -> Result<Swarm<Behaviour>, NetworkError> {
    let failed = |error: String| NetworkError::Transport(error);
    let mut secret = zeroize::Zeroizing::new(*device.transport_secret());
    let key = libp2p::identity::Keypair::ed25519_from_bytes(&mut *secret)
        .map_err(|error| failed(error.to_string()))?;
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_INCOMING_MAX))
        .with_max_pending_outgoing(Some(PENDING_OUTGOING_MAX))
        .with_max_established_incoming(Some(ESTABLISHED_INCOMING_MAX))
        .with_max_established_outgoing(Some(ESTABLISHED_OUTGOING_MAX))
        .with_max_established_per_peer(Some(ESTABLISHED_PER_PEER_MAX))
        .with_max_established(Some(ESTABLISHED_MAX));
    let mut quic = quic::Config::new(&key);
    quic.max_stream_data = STREAM_WINDOW;
    quic.max_connection_data = CONNECTION_WINDOW;
    quic.max_concurrent_stream_limit = STREAMS_MAX;
    quic.handshake_timeout = HANDSHAKE;
    let quic = quic::tokio::Transport::new(quic)
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    let mut multiplexed = yamux::Config::default();
    multiplexed.set_max_num_streams(STREAMS_MAX as usize);
    let noise = noise::Config::new(&key).map_err(|error| failed(error.to_string()))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|stream, _| Heard::new(stream, SILENCE_MAX))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(multiplexed)
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    // A room each: silent TCP connections must not show out those who shake hands over QUIC.
    let both = WaitingRoom::new(quic.boxed(), QUIC)
        .or_transport(WaitingRoom::new(tcp.boxed(), TCP))
        .map(|either, _| either.into_inner());
    let behaviour = Behaviour {
        limits: Limits::new(limits),
        gate: Gate::new(door),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY)),
        streams: streams::Behaviour::new(),
    };
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE)
        .with_max_negotiating_inbound_streams(STREAMS_NEGOTIATING_MAX);
    let me = key.public().to_peer_id();
    Ok(Swarm::new(both.boxed(), behaviour, me, config))
}

type Ports = (Option<u16>, Option<u16>);

/// Reads the ports of the last start: peers know this node by them.
fn read_ports(path: &Path) -> Ports {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
    (numbers.next().flatten(), numbers.next().flatten())
}

async fn listen_on(
    swarm: &mut Swarm<Behaviour>,
    text: &str,
    last: Ports,
) -> Result<(), NetworkError> {
    let failed = |reason: String| NetworkError::Listen {
        address: text.to_owned(),
        reason,
    };
    let address: Multiaddr = text.parse().map_err(|error: libp2p::multiaddr::Error| {
        failed(format!(
            "it is no multiaddr such as /ip4/0.0.0.0/udp/0/quic-v1: {error}"
        ))
    })?;
    let Some((is_udp, port)) = port_of(&address) else {
        return Err(failed("it names no port".to_owned()));
    };
    let known = if is_udp { last.0 } else { last.1 };
    let wanted = known.filter(|_| port == 0);
    let wanted = wanted.map_or_else(|| address.clone(), |port| with_port(&address, is_udp, port));
    let since = Instant::now();
    // The life before this one lets go of its port when its last connection has ended.
    let refused = loop {
        match swarm.listen_on(wanted.clone()) {
            Ok(_) => return Ok(()),
            Err(error) if since.elapsed() >= RELEASE_MAX => break error,
            Err(_) => tokio::time::sleep(RELEASE_LOOK).await,
        }
    };
    // Nothing was asked for, and somebody else has the port of the last start.
    if wanted != address && swarm.listen_on(address).is_ok() {
        return Ok(());
    }
    let mut reason = refused.to_string();
    let mut cause = std::error::Error::source(&refused);
    while let Some(error) = cause {
        reason = error.to_string();
        cause = error.source();
    }
    Err(failed(reason))
}

/// Hands incoming streams on and does nothing else: a lagging acceptor loses streams.
async fn accept(
    mut incoming: streams::IncomingStreams,
    accepted: mpsc::Sender<Stream>,
    door: Door,
) {
    while let Some((peer, stream)) = incoming.next().await {
        // It may have been shown the door since it connected.
        let welcome = |device: &DeviceId| door.standing(device) != Standing::Unwelcome;
        let Some(device) = device_of(&peer).filter(welcome) else {
            continue;
        };
        if accepted.try_send(Stream { device, stream }).is_err() {
            tracing::warn!("too many incoming streams at once: one was dropped");
        }
    }
}

struct Task {
    swarm: Swarm<Behaviour>,
    inbox: mpsc::Receiver<Command>,
    addresses: watch::Sender<Vec<String>>,
    ports: PathBuf,
    dials: BTreeMap<PeerId, Vec<oneshot::Sender<Result<(), String>>>>,
}

impl Task {
    async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.handle(event),
                command = self.inbox.recv() => match command {
                    Some(Command::Dial { peer, addresses, done }) => {
                        self.dial(peer, addresses, done);
                    }
                    Some(Command::Disconnect(peer)) => {
                        if self.swarm.disconnect_peer_id(peer).is_err() {
                            tracing::debug!("there was no connection to close");
                        }
                    }
                    None => return,
                },
            }
        }
    }

    fn dial(
        &mut self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        done: oneshot::Sender<Result<(), String>>,
    ) {
        if self.swarm.is_connected(&peer) {
            answer(done, Ok(()));
            return;
        }
        if addresses.is_empty() {
            answer(done, Err("no address of it is known".to_owned()));
            return;
        }
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::NotDialing)
            .addresses(addresses)
            .build();
        if let Err(error) = self.swarm.dial(options)
            && !self.dials.contains_key(&peer)
        {
            answer(done, Err(error.to_string()));
            return;
        }
        self.dials.entry(peer).or_default().push(done);
    }

    fn handle(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                self.tell_addresses();
            }
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                for done in self.dials.remove(&peer_id).unwrap_or_default() {
                    answer(done, Ok(()));
                }
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                for done in self.dials.remove(&peer).unwrap_or_default() {
                    answer(done, Err(error.to_string()));
                }
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener failed");
            }
            _ => {}
        }
    }

    fn tell_addresses(&self) {
        let all: Vec<&Multiaddr> = self.swarm.listeners().collect();
        let port = |udp: bool| {
            let port = all
                .iter()
                .filter_map(|address| port_of(address))
                .find(|p| p.0 == udp);
            port.map_or(0, |(_, port)| port)
        };
        let text = format!("{} {}\n", port(true), port(false));
        if let Err(error) = std::fs::write(&self.ports, text) {
            tracing::warn!(%error, "the ports could not be noted");
        }
        let addresses = all.into_iter().filter(|address| is_dialable(address));
        self.addresses
            .send_replace(addresses.map(Multiaddr::to_string).collect());
    }
}

fn answer(done: oneshot::Sender<Result<(), String>>, result: Result<(), String>) {
    if done.send(result).is_err() {
        tracing::debug!("whoever dialled has given up");
    }
}
