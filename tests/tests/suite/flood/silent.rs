//! Connections that are opened and say no more: their handshakes never end.
//!
//! All of it goes to loopback and ends when the value is dropped.

use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls::{ClientConfig, RootCertStore};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Connecting, Endpoint, EndpointConfig, Runtime as _, TokioRuntime};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Runtime;

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
