//! The attackers: [`Silent`] opens connections and says no more; [`Hostile`] shakes hands and
//! breaks the rules, once with the key of a paired device and once with a key nobody knows.
//!
//! All of it goes to loopback and ends when the value is dropped.

use brain_tests::Node;
use crdt::id::DeviceId;
use crdt::identity::DeviceKey;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use node::net::door::Door;
use node::net::{Network, Stream};
use protocol::limits::FRAME_BYTES_MAX;
use protocol::wire::control::{Control, Hello};
use protocol::wire::{VERSION_MAX, VERSION_MIN, control_frame};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls::{ClientConfig, RootCertStore};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Connecting, Endpoint, EndpointConfig, Runtime as _, TokioRuntime};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// A socket that sends and hears nothing: its handshakes stay where they began.
#[derive(Debug)]
struct Deaf(Arc<dyn AsyncUdpSocket>);

impl AsyncUdpSocket for Deaf {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn quinn::UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)
    }
    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Connections that were begun and are held open.
pub(super) struct Silent {
    quic: Vec<Connecting>,
    tcp: Vec<TcpStream>,
    /// Sends what QUIC sends again and again.
    _runtime: Runtime,
}

impl Silent {
    /// Opens so many connections of each kind, and throws bytes that are no protocol after them.
    pub(super) fn open(quic: SocketAddr, tcp: SocketAddr, count: usize) -> Self {
        allow_files();
        let runtime = Runtime::new().expect("threads");
        let connecting = {
            let _entered = runtime.enter();
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a port");
            let noise = socket.try_clone().expect("a handle can be doubled");
            let socket = TokioRuntime.wrap_udp_socket(socket).expect("it is bound");
            let config = EndpointConfig::default();
            let runtime = Arc::new(TokioRuntime);
            let deaf = Arc::new(Deaf(socket));
            let endpoint = Endpoint::new_with_abstract_socket(config, None, deaf, runtime);
            let (endpoint, config) = (endpoint.expect("it is bound"), client());
            let connect = |number: usize| {
                let bytes = [u8::try_from(number % 251).expect("a byte"); 1_200];
                // What does not go out does not matter.
                noise.send_to(&bytes, quic).ok();
                endpoint.connect_with(config.clone(), quic, "l")
            };
            let begun: Result<Vec<_>, _> = (0..count).map(connect).collect();
            begun.expect("a handshake begins")
        };
        let open = |number: usize| {
            let stream = TcpStream::connect_timeout(&tcp, Duration::from_secs(2)).ok()?;
            if number.is_multiple_of(4) {
                use std::io::Write as _;
                (&stream).write_all(&[0xff; 64]).ok();
            }
            Some(stream)
        };
        Self {
            quic: connecting,
            tcp: (0..count).filter_map(open).collect(),
            _runtime: runtime,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.quic.len() + self.tcp.len()
    }
}

/// Makes room for a socket per connection where the system allows more than it gives at first.
fn allow_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the maximum it may be raised");
}

/// Returns how a client of the peer network begins a handshake.
fn client() -> quinn::ClientConfig {
    let provider = Arc::new(quinn::rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let versions = builder.with_protocol_versions(&[&quinn::rustls::version::TLS13]);
    let roots = RootCertStore::empty();
    let mut config = versions
        .expect("the provider has TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"libp2p".to_vec()];
    let quic = QuicClientConfig::try_from(config).expect("it has the suite of QUIC");
    quinn::ClientConfig::new(Arc::new(quic))
}

#[derive(Debug, Default)]
struct Counts {
    let_in: AtomicUsize,
    turned_away: AtomicUsize,
    stranger_tries: AtomicUsize,
    stranger_heard: AtomicUsize,
}

/// Devices that shake hands and break the rules.
pub(super) struct Hostile {
    counts: Arc<Counts>,
    stop: CancellationToken,
    _runtime: Runtime,
}

/// What a hostile device does on a stream.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// A frame of noise.
    Garbage,
    /// A frame longer than any may be.
    Oversized,
    /// The longest frame, at a byte a second.
    Slow,
    /// A greeting, and nothing is ever read.
    Deaf,
}

impl Hostile {
    /// Takes the place of a node that is paired, and that of a stranger beside it.
    pub(super) fn start(paired: &Node, victim: DeviceId, addresses: &[String]) -> Self {
        let runtime = Runtime::new().expect("threads");
        let (counts, stop) = (Arc::<Counts>::default(), CancellationToken::new());
        let opened = node::identity::open(&paired.home(), &node::config::Unlock::default());
        let owner = opened.expect("the folder is the test's own").owner;
        let greeting = Control::Hello(Box::new(Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            certificate: owner.certificate,
            nonce: [7; 16],
            alias: "mallory".to_owned(),
            addresses: Vec::new(),
            ticket: None,
        }));
        let stranger = DeviceKey::from_seed(&[99; 32]);
        for (key, is_stranger) in [(&owner.device, false), (&stranger, true)] {
            let ports = paired.folder().join(format!("hostile.{is_stranger}.ports"));
            let network = {
                let door = Door::default();
                let started = Network::start(key, &[], &ports, door, stop.clone());
                let started = runtime.block_on(started);
                let (network, _incoming, run) = started.expect("it listens nowhere");
                runtime.spawn(run);
                network
            };
            // The slow ones are in before the first fault shuts the door.
            let rules = [Rule::Slow, Rule::Slow, Rule::Deaf, Rule::Deaf];
            for rule in rules.into_iter().chain([Rule::Garbage, Rule::Oversized]) {
                let attacker = Attacker {
                    network: network.clone(),
                    victim,
                    addresses: addresses.to_vec(),
                    greeting: control_frame(&greeting),
                    counts: Arc::clone(&counts),
                    is_stranger,
                };
                let stop = stop.clone();
                runtime.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = attacker.attack(rule) => {}
                    }
                });
            }
        }
        Self {
            counts,
            stop,
            _runtime: runtime,
        }
    }

    pub(super) fn let_in(&self) -> usize {
        self.counts.let_in.load(Ordering::Relaxed)
    }
    pub(super) fn turned_away(&self) -> usize {
        self.counts.turned_away.load(Ordering::Relaxed)
    }
    pub(super) fn stranger_tries(&self) -> usize {
        self.counts.stranger_tries.load(Ordering::Relaxed)
    }
    pub(super) fn stranger_heard(&self) -> usize {
        self.counts.stranger_heard.load(Ordering::Relaxed)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Attacker {
    network: Network,
    victim: DeviceId,
    addresses: Vec<String>,
    greeting: Vec<u8>,
    counts: Arc<Counts>,
    is_stranger: bool,
}

impl Attacker {
    /// Breaks a rule again and again.
    async fn attack(&self, rule: Rule) {
        if matches!(rule, Rule::Garbage | Rule::Oversized) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        loop {
            let opened = self.network.open(self.victim, &self.addresses).await;
            let counted = match (&opened, self.is_stranger) {
                (_, true) => &self.counts.stranger_tries,
                (Ok(_), false) => &self.counts.let_in,
                (Err(_), false) => &self.counts.turned_away,
            };
            counted.fetch_add(1, Ordering::Relaxed);
            if let Ok(stream) = opened {
                let heard = self.break_rule(stream, rule).await.unwrap_or(0);
                if self.is_stranger {
                    self.counts
                        .stranger_heard
                        .fetch_add(heard, Ordering::Relaxed);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Breaks a rule on a stream until that ends; returns how many bytes were said to it.
    async fn break_rule(&self, opened: Stream, rule: Rule) -> io::Result<usize> {
        let (mut reads, mut writes) = opened.stream.split();
        match rule {
            Rule::Garbage => {
                let noise = [&1_024_u32.to_le_bytes()[..], &[0xa5; 1_024]].concat();
                writes.write_all(&noise).await?;
            }
            Rule::Oversized => {
                let length = u32::try_from(FRAME_BYTES_MAX + 1).expect("it fits");
                writes.write_all(&length.to_le_bytes()).await?;
            }
            Rule::Slow => {
                let length = u32::try_from(FRAME_BYTES_MAX).expect("it fits");
                writes.write_all(&length.to_le_bytes()).await?;
                for _ in 0..FRAME_BYTES_MAX {
                    writes.write_all(&[0]).await?;
                    writes.flush().await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Rule::Deaf => {
                writes.write_all(&self.greeting).await?;
                writes.flush().await?;
                // It hears nothing, so there is nothing to count; the other side has to give up.
                tokio::time::sleep(Duration::from_mins(1)).await;
                return Ok(0);
            }
        }
        writes.flush().await?;
        let mut heard = Vec::new();
        reads.read_to_end(&mut heard).await?;
        Ok(heard.len())
    }
}
