//! The use cases, one file per noun, below every edge: no HTTP and no libp2p types here.
//!
//! All of it blocks on the store, what is `async` too, for moments; edges put it on threads of its own
//! or among the node's tasks.
//!
//! Start at [`Services`]. Every refusal is a [`Failure`] with a stable code and a next step.

mod alike;
mod attachments;
mod circles;
mod clock;
mod devices;
mod facets;
mod failure;
mod idle;
mod imports;
mod integrity;
mod key;
mod ledger;
mod meaning;
mod memories;
mod metrics;
mod past;
mod peers;
mod policy;
mod receipts;
mod search;
mod sharing;
mod status;
mod sync;
mod tray;
mod view;

pub use attachments::{Arriving, Found};
pub use failure::Failure;
pub use idle::Use;
pub(crate) use key::state_of;

use crate::config::Config;
use crate::embed::models::Models;
use crate::identity::Vault;
use crate::notices::Notices;
use crate::runtime::Ending;
use crate::sync::Sync;
use crate::tasks::Tasks;
use crate::telemetry::metrics::Metrics;
use idle::Idle;
use imports::Jobs;
use protocol::api::status::Notice;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use storage::store::Store;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// The context that every edge is handed.
#[derive(Clone)]
pub struct Services(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<Store>,
    pub(crate) sync: Sync,
    pub(crate) notices: Notices,
    pub(crate) models: Arc<Models>,
    pub(crate) config: Config,
    pub(crate) alias: String,
    pub(crate) home: String,
    /// The listeners of the API, once they are bound.
    pub(crate) listeners: watch::Receiver<Vec<String>>,
    pub(crate) jobs: Jobs,
    pub(crate) idle: Idle,
    pub(crate) started: Instant,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    pub(crate) shutdown: CancellationToken,
    pub(crate) identity: Vault,
    pub(crate) ending: Arc<OnceLock<Ending>>,
}

/// What the services are made of.
pub struct Parts {
    /// The store.
    pub store: Arc<Store>,
    /// The sessions.
    pub sync: Sync,
    /// The feed.
    pub notices: Notices,
    /// The embedding models.
    pub models: Arc<Models>,
    /// The configuration.
    pub config: Config,
    /// What peers see as this node's name.
    pub alias: String,
    /// The data folder.
    pub home: String,
    /// The listeners of the API.
    pub listeners: watch::Receiver<Vec<String>>,
    /// Who joins background work.
    pub tasks: Tasks,
    /// Who ends it.
    pub shutdown: CancellationToken,
    /// The way to another identity.
    pub identity: Vault,
    /// How the node is to end, if not by being told to stop.
    pub ending: Arc<OnceLock<Ending>>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Services(..)")
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts(..)")
    }
}

impl Services {
    /// Puts the services together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            store: parts.store,
            sync: parts.sync,
            notices: parts.notices,
            models: parts.models,
            config: parts.config,
            alias: parts.alias,
            home: parts.home,
            listeners: parts.listeners,
            jobs: Jobs::default(),
            idle: Idle::default(),
            started: Instant::now(),
            metrics: Metrics::default(),
            tasks: parts.tasks,
            shutdown: parts.shutdown,
            identity: parts.identity,
            ending: parts.ending,
        }))
    }

    /// Starts listening to what happens.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.0.notices.subscribe()
    }

    /// Returns what is counted while the node works.
    pub(crate) fn counting(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Says that a request writes, until the guard is dropped: peers stand back for it.
    pub fn writing(&self) -> crate::sync::Writing {
        self.0.sync.writing()
    }

    /// Returns what the node works on beside requests.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// Tells whether a reader would wait for somebody who writes.
    pub fn is_busy(&self) -> bool {
        self.store().is_busy()
    }

    fn store(&self) -> &Store {
        &self.0.store
    }
    /// Tells sessions and listeners that something was written.
    fn wrote(&self, event: &str, subject: String) {
        self.0.sync.changed();
        self.0.notices.send(event, Some(subject));
    }
}
