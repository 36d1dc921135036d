//! The node itself: status, identity, readiness, rebuild.

use super::{Failure, Services};
use crate::clock;
use crdt::identity::did::to_did;
use crdt::identity::words::safety_words;
use protocol::api::status::{Health, Identity, Network, NodeStatus, Projection, Rebuilt};
use std::time::Instant;
use storage::kv::Health as StoreHealth;

impl Services {
    /// Tells how the node is.
    pub fn status(&self) -> Result<NodeStatus, Failure> {
        let identity = self.identity()?;
        let (memories, forgotten) = self.counts();
        let head = self.store().read(|state| state.head);
        // The text index has taken in every commit; its cursor tells what is durable of it.
        let projection = |name: &str, cursor: u64, lag: u64| Projection {
            name: name.to_owned(),
            cursor,
            lag,
            model: None,
            note: None,
        };
        let mut projections = vec![projection("memories", head, 0), projection("text", head, 0)];
        projections.extend(self.generations(head)?);
        Ok(NodeStatus {
            person: identity.person,
            words: identity.words,
            device: identity.device,
            alias: identity.alias,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            memories,
            forgotten,
            attachments: self.count_attachments(),
            api: self.0.listeners.borrow().clone(),
            network: Network {
                listen: self.0.sync.network().listen(),
            },
            peers: self.peer_states()?,
            projections,
            needs_you: [
                Self::clock_needs_you(),
                self.needs_you(),
                self.ledger_needs_you()?,
                self.integrity_needs_you(),
            ]
            .concat(),
            store: self.store_health(),
            uptime_s: self.0.started.elapsed().as_secs(),
            home: self.0.home.clone(),
        })
    }

    fn store_health(&self) -> String {
        match self.store().health() {
            StoreHealth::Writable => "ok".to_owned(),
            StoreHealth::ReadOnly { reason } => format!("read-only: {reason}"),
            StoreHealth::Closed => "closed".to_owned(),
        }
    }

    /// Tells who this node is.
    #[expect(clippy::unnecessary_wraps, reason = "every use case answers alike")]
    pub fn identity(&self) -> Result<Identity, Failure> {
        let owner = self.store().owner();
        let person = owner.certificate.person;
        Ok(Identity {
            person: to_did(&person),
            words: safety_words(&person),
            device: owner.device.id().to_string(),
            alias: self.0.alias.clone(),
        })
    }

    /// Tells whether the node can do its work.
    pub fn ready(&self) -> Health {
        let reason = self.store_health();
        let is_ready = reason == "ok" && !self.0.shutdown.is_cancelled();
        Health {
            status: if is_ready { "ok" } else { "unready" }.to_owned(),
            reason: if is_ready { String::new() } else { reason },
        }
    }

    /// Makes all projections anew from the log.
    pub fn rebuild(&self) -> Result<Rebuilt, Failure> {
        let started = Instant::now();
        let events = self.store().rebuild(clock::now())?;
        self.0.sync.changed();
        let (memories, forgotten) = self.counts();
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Rebuilt {
            events,
            memories: memories + forgotten,
            took_ms,
        })
    }
}
