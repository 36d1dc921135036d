//! The runtime: builds everything, supervises the tasks, and ends them in order.
//!
//! Start: folder and lock, keys, store, indexer, network, sessions, API. Stop: the API takes no
//! more requests, sessions say goodbye, jobs and the indexer end, the store is flushed and
//! closed. Within five seconds, whatever happens.
//!
//! [`live`] goes from one life to the next: locked, open, open as someone else. An open node that
//! is locked ends for good; `main` then has the system replace the program in memory, so nothing
//! that was opened is left there (decision 14).

mod life;
mod listen;
mod locked;

pub use life::{Life, Said, live};

use crate::config::{Config, Places};
use crate::egress::guard::EgressGuard;
use crate::embed::Embedder as _;
use crate::embed::models::Models;
use crate::http;
use crate::identity::Identity;
use crate::net::door::Door;
use crate::net::{Network, NetworkError};
use crate::notices::Notices;
use crate::service::{Parts, Services};
use crate::sync::{Desk, Sync};
use crate::tasks::Tasks;
use crate::unlock::Secret;
use crate::{clock, identity, index};
use crdt::identity::words::safety_words;
use std::mem::ManuallyDrop;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::blob::{BlobError, Blobs};
use storage::entropy::Entropy;
use storage::kv::KvError;
use storage::kv::disk::DiskStore;
use storage::kv::group::GroupCommit;
use storage::kv::sealed::Sealed;
use storage::store::{self, Store, StoreError};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The file of the rows.
pub(crate) const STORE_FILE: &str = "store.redb";
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
    /// An embedding model cannot be used.
    #[error("{0}")]
    Model(#[from] crate::embed::EmbedError),
    /// The network cannot start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The page of metrics cannot be served.
    #[error("cannot serve metrics on {address}: {reason}")]
    Metrics {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// There is nothing to salvage.
    #[error("there is no store in {path}")]
    NoStore {
        /// The data folder.
        path: PathBuf,
    },
    /// There is no room for a second store.
    #[error("the disk is full: a salvage needs as much room as the store in {path} takes")]
    Full {
        /// The data folder.
        path: PathBuf,
    },
    /// The threads of the API cannot start.
    #[error("cannot start the threads of the API: {reason}")]
    Threads {
        /// Why.
        reason: String,
    },
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
            Self::NoStore { .. } => {
                "nothing was changed; name the data folder: BRAIN_HOME=/some/dir"
            }
            Self::Full { .. } => "nothing was changed; make room on the disk, then do it again",
            Self::Locked { .. } => "stop the other node, or give this one its own BRAIN_HOME",
            Self::Identity(error) => error.hint(),
            Self::Store(error) if is_damage(error) => {
                "nothing was changed; restore the data folder from a backup, or take over what is \
                 whole: brain-node salvage"
            }
            Self::Store(_) => "nothing was changed; restore the data folder from a backup",
            Self::Blobs(_) => "make the folder `blobs` in the data folder writable for you",
            Self::Model(_) => {
                "set index.key_file to a file that you can read, or index.embeddings to builtin"
            }
            Self::Network(_) => "set network.listen, or BRAIN_NETWORK__LISTEN, to free addresses",
            Self::Metrics { .. } => {
                "set telemetry.metrics_listen to a free address such as 127.0.0.1:9464, or to nothing"
            }
            Self::Threads { .. } => "let this user have more threads (ulimit -u), or end others",
            Self::Listen { .. } => {
                "set api.listen, or BRAIN_API__LISTEN, to a free loopback address"
            }
        }
    }

    /// Returns the exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Locked { .. } | Self::Listen { .. } | Self::Metrics { .. } | Self::Network(_) => {
                75
            }
            _ => 1,
        }
    }
}

/// Tells whether a salvage helps.
fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Row { .. }
            | StoreError::Replay(..)
            | StoreError::Kv(KvError::Damaged { .. } | KvError::Corrupt { .. })
    )
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was told to stop.
    Stopped,
    /// It has another identity now and has to start again.
    Again,
    /// It was told to lock: its keys must leave the memory.
    Locked,
}

/// A node that ended.
#[derive(Debug)]
struct Ended {
    ending: Ending,
    /// Where its API listened.
    api: Vec<String>,
}

/// Runs an open node until `shutdown` is cancelled, it takes another identity, or it is locked.
async fn run(
    places: &Places,
    config: &Config,
    secret: &Secret,
    shutdown: &CancellationToken,
    ready: impl FnOnce(&Services),
) -> Result<Ended, StartError> {
    prepare_folder(&places.data)?;
    let shutdown = shutdown.child_token();
    let models = Arc::new(Models::new(&config.index, shutdown.clone())?);
    let (store, identity) = open_store(&places.data, secret, &models)?;
    models.settle(&store)?;
    let blobs = Blobs::open(&places.data.join("blobs"), identity.keyring().master())?;
    let desk = Arc::new(Desk::new(blobs, &config.attachments));
    let store = Arc::new(store);
    let ending = Arc::new(OnceLock::new());
    let tasks = Tasks::here();
    let notices = Notices::new(clock::now().0);
    let alias = alias_of(config, &store);
    let door = Door::default();
    let (network, incoming, swarm) = Network::start(
        &store.owner().device,
        &config.network.listen,
        &places.data.join("network.ports"),
        door.clone(),
        shutdown.clone(),
    )
    .await?;
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
    index::start(&store, &models, &tasks, &shutdown);
    let (listening, listeners) = watch::channel(Vec::new());
    let services = Services::new(Parts {
        store: Arc::clone(&store),
        sync,
        notices,
        models,
        alias,
        home: places.data.display().to_string(),
        listeners,
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
        config: config.clone(),
        identity,
        ending: Arc::clone(&ending),
    });
    lock_by_itself(config, &services, &tasks);
    let router = |edge| http::router(services.clone(), edge);
    let served = (router, http::metrics_router(services.clone()));
    let bound = listen::serve(places, config, served, &tasks, &shutdown).await;
    let started = bound.inspect(|addresses| {
        listening.send_replace(addresses.clone());
        ready(&services);
    });
    match &started {
        Ok(_) => shutdown.cancelled().await,
        Err(_) => shutdown.cancel(),
    }
    wind_down(&tasks).await;
    drop(services);
    // While the store's lock is held: the next node's socket must not be taken for ours.
    listen::remove_socket(&places.socket);
    close(store, ending.get().is_none());
    started.map(|api| Ended {
        ending: ending.get().copied().unwrap_or(Ending::Stopped),
        api,
    })
}

/// Has the node lock itself when nobody uses it, if it was told to.
fn lock_by_itself(config: &Config, services: &Services, tasks: &Tasks) {
    let Ok(Some(after)) = config.unlock.auto_lock() else {
        return;
    };
    let services = services.clone();
    tasks.spawn(async move {
        if let Err(failure) = services.lock_when_idle(after).await {
            tracing::error!(why = failure.title, "the node could not lock itself");
        }
    });
}

/// Flushes and closes the store. If the process ends with it, the system takes its memory back: a
/// million memories, freed one by one, take seconds.
fn close(store: Arc<Store>, is_last: bool) {
    if let Err(error) = store.close() {
        tracing::error!(%error, "the store did not close");
    }
    if is_last {
        let _kept = ManuallyDrop::new(store);
    }
}

/// Waits for all tasks to end, within bounds.
async fn wind_down(tasks: &Tasks) {
    if !tasks.end(STOP_MAX).await {
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
    secret: &Secret,
    models: &Models,
) -> Result<(Store, identity::Vault), StartError> {
    let (store, identity) = open_as(data, secret, models)?;
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
        open_as(data, secret, models)?
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

fn open_as(data: &Path, secret: &Secret, models: &Models) -> Result<(Store, Opened), StartError> {
    // An existing store is locked before anything else is touched.
    let locked = hold_store(data)?;
    let Identity { owner, host, vault } = identity::open_with(data, secret)?;
    let disk = match locked {
        Some(disk) => disk,
        None => open_disk(data)?,
    };
    let group = GroupCommit::new(Arc::new(disk)).map_err(|error| from_kv(data, error))?;
    let sealed = Sealed::new(Arc::new(group), vault.keyring().master());
    let parts = store::Parts {
        kv: Arc::new(sealed),
        master: vault.keyring().master(),
        owner,
        guard: Arc::new(EgressGuard),
        text: &data.join("text"),
        model: (models.built_in.name(), models.built_in.dimensions()),
        entropy: Entropy::system(),
    };
    let store = Store::open(parts, clock::now())?;
    clock::learn(store.read(|state| state.wall));
    Ok((store, Opened { host, vault }))
}

/// Opens the rows, sealed as they are, if there are any; nobody else can from then on.
fn hold_store(data: &Path) -> Result<Option<DiskStore>, StartError> {
    let is_there = data.join(STORE_FILE).exists();
    is_there.then(|| open_disk(data)).transpose()
}

fn open_disk(data: &Path) -> Result<DiskStore, StartError> {
    DiskStore::open(&data.join(STORE_FILE)).map_err(|error| from_kv(data, error))
}

fn from_kv(data: &Path, error: KvError) -> StartError {
    match error {
        KvError::Locked { pid } => StartError::Locked {
            path: data.to_owned(),
            by: pid
                .map(|pid| format!(" by process {pid}"))
                .unwrap_or_default(),
        },
        other => StartError::Store(other.into()),
    }
}

/// What is left of an identity once the store has its keys.
struct Opened {
    host: Option<identity::Host>,
    vault: identity::Vault,
}
