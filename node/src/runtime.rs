//! The runtime: builds everything, supervises the tasks, and ends them in order.
//!
//! Start: folder and lock, keys, store, indexer, network, sessions, API. Stop: the API takes no
//! more requests, sessions say goodbye, jobs and the indexer end, the store is flushed and
//! closed. Within five seconds, whatever happens.

use crate::config::{API_LISTEN_DEFAULT, Config, Places};
use crate::egress::guard::EgressGuard;
use crate::embed::Embedder;
use crate::embed::builtin::Builtin;
use crate::http::{self, Edge, Transport};
use crate::identity::Identity;
use crate::net::door::Door;
use crate::net::{Network, NetworkError};
use crate::notices::Notices;
use crate::service::{Parts, Services};
use crate::sync::{Desk, Sync};
use crate::{clock, identity, index};
use crdt::identity::words::safety_words;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::blob::{BlobError, Blobs};
use storage::entropy::Entropy;
use storage::kv::KvError;
use storage::kv::disk::DiskStore;
use storage::kv::group::GroupCommit;
use storage::kv::sealed::Sealed;
use storage::store::{self, Store, StoreError};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the tasks may take to end.
const STOP_MAX: Duration = Duration::from_secs(3);

/// The reason why a node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}: {reason}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another process has the store open.
    #[error("the data folder {path} is in use{by}")]
    Locked {
        /// The folder.
        path: PathBuf,
        /// By whom.
        by: String,
    },
    /// The identity cannot be opened.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// The store cannot be opened.
    #[error("cannot open the store: {0}")]
    Store(#[from] StoreError),
    /// The folder of attachments cannot be used.
    #[error("cannot open the attachments: {0}")]
    Blobs(#[from] BlobError),
    /// The embedding model does not read.
    #[error("the built-in model does not read: {0}")]
    Model(#[from] crate::embed::EmbedError),
    /// The network cannot start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The API cannot listen.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
}

impl StartError {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Folder { .. } => {
                "make it writable for you, or name another: BRAIN_HOME=/some/dir"
            }
            Self::Locked { .. } => "stop the other node, or give this one its own BRAIN_HOME",
            Self::Identity(_) => {
                "nothing was changed; chmod 700 a folder that is open to others, or restore the file"
            }
            Self::Store(_) => "nothing was changed; restore the data folder from a backup",
            Self::Blobs(_) => "make the folder `blobs` in the data folder writable for you",
            Self::Model(_) => "this build is damaged: install it again",
            Self::Network(_) => "set network.listen, or BRAIN_NETWORK__LISTEN, to free addresses",
            Self::Listen { .. } => {
                "set api.listen, or BRAIN_API__LISTEN, to a free loopback address"
            }
        }
    }
    /// Returns the exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Locked { .. } | Self::Listen { .. } | Self::Network(_) => 75,
            _ => 1,
        }
    }
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was told to stop.
    Stopped,
    /// It has another identity now and has to start again.
    Again,
}

impl Ending {
    fn of(again: &AtomicBool) -> Self {
        if again.load(Ordering::Acquire) {
            Self::Again
        } else {
            Self::Stopped
        }
    }
}

/// Runs a node until `shutdown` is cancelled or it takes another identity.
pub async fn run(
    places: &Places,
    config: &Config,
    shutdown: &CancellationToken,
    ready: impl FnOnce(&Services),
) -> Result<Ending, StartError> {
    prepare_folder(&places.data)?;
    let embedder: Arc<dyn Embedder> = Arc::new(Builtin::load()?);
    let (store, identity) = open_store(&places.data, config, &*embedder)?;
    let blobs = Blobs::open(&places.data.join("blobs"), identity.keyring().master())?;
    let desk = Arc::new(Desk::new(blobs, &config.attachments));
    let store = Arc::new(store);
    let shutdown = shutdown.child_token();
    let again = Arc::new(AtomicBool::new(false));
    let tasks = TaskTracker::new();
    let notices = Notices::new(clock::now().0);
    let alias = alias_of(config, &store);
    let ports = places.data.join("network.ports");
    let door = Door::default();
    let (network, incoming, swarm) = Network::start(
        &store.owner().device,
        &config.network.listen,
        &ports,
        door.clone(),
        shutdown.clone(),
    )?;
    let sync = Sync::new(
        Arc::clone(&store),
        desk,
        (network, door),
        notices.clone(),
        alias.clone(),
        tasks.clone(),
        shutdown.clone(),
    );
    sync.start(incoming);
    tasks.spawn(swarm);
    {
        let (store, embedder, stop) = (Arc::clone(&store), Arc::clone(&embedder), shutdown.clone());
        tasks.spawn_blocking(move || index::run(&store, &embedder, &stop));
    }
    let (listening, listeners) = watch::channel(Vec::new());
    let services = Services::new(Parts {
        store: Arc::clone(&store),
        sync,
        notices,
        embedder,
        alias,
        home: places.data.display().to_string(),
        listeners,
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
        config: config.clone(),
        identity,
        again: Arc::clone(&again),
    });
    let bound = serve(places, config, &services, &tasks, &shutdown).await;
    let started = bound.map(|addresses| {
        listening.send_replace(addresses);
        ready(&services);
    });
    if started.is_ok() {
        shutdown.cancelled().await;
    }
    shutdown.cancel();
    wind_down(&tasks).await;
    drop(services);
    // While the store's lock is held: the next node's socket must not be taken for ours.
    remove_socket(&places.socket);
    if let Err(error) = store.close() {
        tracing::error!(%error, "the store did not close");
    }
    started.map(|()| Ending::of(&again))
}

/// Waits for all tasks to end, within bounds.
async fn wind_down(tasks: &TaskTracker) {
    tasks.close();
    if tokio::time::timeout(STOP_MAX, tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
}

fn alias_of(config: &Config, store: &Store) -> String {
    if config.node.alias.is_empty() {
        let words = safety_words(&store.owner().certificate.person);
        format!("brain-{}", words.split(' ').next().unwrap_or("new"))
    } else {
        config.node.alias.clone()
    }
}

fn prepare_folder(data: &Path) -> Result<(), StartError> {
    let failed = |error: std::io::Error| StartError::Folder {
        path: data.to_owned(),
        reason: error.to_string(),
    };
    if !data.exists() {
        std::fs::create_dir_all(data).map_err(failed)?;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(data, private).map_err(failed)?;
    }
    // A folder that looks writable may lie on a medium that is not.
    let probe = data.join(".probe");
    std::fs::write(&probe, b"").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}

fn open_store(
    data: &Path,
    config: &Config,
    embedder: &dyn Embedder,
) -> Result<(Store, identity::Vault), StartError> {
    let (store, identity) = open_as(data, config, embedder)?;
    let (store, identity) = if identity.vault.has_next() {
        // What was written since the other identity was asked for must not be lost.
        let is_empty = store.read(|state| state.memories.is_empty() && state.peers.is_empty());
        store.close()?;
        drop(store);
        if is_empty {
            identity.vault.take_next()?;
        } else {
            tracing::error!("this node has memories of its own: it stays who it is");
            identity.vault.drop_next()?;
        }
        drop(identity);
        open_as(data, config, embedder)?
    } else {
        (store, identity)
    };
    let knows_others = store.read(|state| state.own.contact.is_some());
    if let Some(host) = identity.host.filter(|_| !knows_others) {
        store.transact::<_, StoreError>(clock::now(), |tx| {
            tx.greet_own(&host.certificate, host.addresses);
            Ok(())
        })?;
    }
    Ok((store, identity.vault))
}

fn open_as(
    data: &Path,
    config: &Config,
    embedder: &dyn Embedder,
) -> Result<(Store, Opened), StartError> {
    let from_kv = |error: KvError| match error {
        KvError::Locked { pid } => StartError::Locked {
            path: data.to_owned(),
            by: pid
                .map(|pid| format!(" by process {pid}"))
                .unwrap_or_default(),
        },
        other => StartError::Store(other.into()),
    };
    // An existing store is locked before anything else is touched.
    let path = data.join("store.redb");
    let locked = if path.exists() {
        Some(DiskStore::open(&path).map_err(from_kv)?)
    } else {
        None
    };
    let Identity { owner, host, vault } = identity::open(data, &config.unlock)?;
    let disk = match locked {
        Some(disk) => disk,
        None => DiskStore::open(&path).map_err(from_kv)?,
    };
    let group = GroupCommit::new(Arc::new(disk)).map_err(from_kv)?;
    let sealed = Sealed::new(Arc::new(group), vault.keyring().master());
    let parts = store::Parts {
        kv: Arc::new(sealed),
        master: vault.keyring().master(),
        owner,
        guard: Arc::new(EgressGuard),
        text: &data.join("text"),
        model: (embedder.name(), embedder.dimensions()),
        entropy: Entropy::system(),
    };
    let store = Store::open(parts, clock::now())?;
    clock::learn(store.read(|state| state.wall));
    Ok((store, Opened { host, vault }))
}

/// What is left of an identity once the store has its keys.
struct Opened {
    host: Option<identity::Host>,
    vault: identity::Vault,
}

/// Binds the socket and the loopback listeners and serves them.
async fn serve(
    places: &Places,
    config: &Config,
    services: &Services,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Vec<String>, StartError> {
    let token: Arc<str> = api_token(&places.data)?.into();
    let allowed_hosts = config.api.allowed_hosts.clone();
    let mut addresses = Vec::new();
    let unix = bind_unix(&places.socket)?;
    addresses.push(format!("unix:{}", places.socket.display()));
    let edge = Edge {
        transport: Transport::UnixSocket,
        token: Arc::clone(&token),
        allowed_hosts: allowed_hosts.clone(),
    };
    let router = http::router(services.clone(), edge);
    tasks.spawn(http::serve_unix(unix, router, shutdown.clone()));
    for address in &config.api.listen {
        let listener = bind_loopback(address).await?;
        let local = listener.local_addr().map_err(|error| StartError::Listen {
            address: address.clone(),
            reason: error.to_string(),
        })?;
        addresses.push(format!("http://{local}"));
        let edge = Edge {
            transport: Transport::Loopback { port: local.port() },
            token: Arc::clone(&token),
            allowed_hosts: allowed_hosts.clone(),
        };
        let router = http::router(services.clone(), edge);
        tasks.spawn(http::serve_tcp(listener, router, shutdown.clone()));
    }
    Ok(addresses)
}

fn bind_unix(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |error: std::io::Error| StartError::Listen {
        address: format!("unix:{}", path.display()),
        reason: error.to_string(),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // The store's lock is held: whoever left this socket is gone.
    remove_socket(path);
    let listener = UnixListener::bind(path).map_err(failed)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(failed)?;
    Ok(listener)
}

fn remove_socket(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the socket could not be removed");
    }
}

async fn bind_loopback(address: &str) -> Result<TcpListener, StartError> {
    let failed = |reason: String| StartError::Listen {
        address: address.to_owned(),
        reason,
    };
    let parsed: std::net::SocketAddr =
        address.parse().map_err(|error: std::net::AddrParseError| {
            failed(format!("it is no address such as 127.0.0.1:7420: {error}"))
        })?;
    if !parsed.ip().is_loopback() {
        let reason = "it is not a loopback address, and this version has no TLS for others";
        return Err(failed(reason.to_owned()));
    }
    match TcpListener::bind(parsed).await {
        Ok(listener) => Ok(listener),
        // Nothing was asked for: any free port will do, and `status` tells it.
        Err(error)
            if address == API_LISTEN_DEFAULT && error.kind() == std::io::ErrorKind::AddrInUse =>
        {
            tracing::info!("port 7420 is taken; taking another");
            TcpListener::bind((parsed.ip(), 0))
                .await
                .map_err(|error| failed(error.to_string()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Returns the bearer token of the loopback listeners, made at first start in a 0600 file.
fn api_token(data: &Path) -> Result<String, StartError> {
    let path = data.join("api.token");
    let failed = |reason: String| StartError::Folder {
        path: path.clone(),
        reason,
    };
    if let Ok(text) = std::fs::read_to_string(&path)
        && text.trim().len() >= 32
    {
        return Ok(text.trim().to_owned());
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| failed(error.to_string()))?;
    let token = format!("brn_{}", crdt::id::to_base32(&secret));
    let write = || -> std::io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| failed(error.to_string()))?;
    Ok(token)
}
