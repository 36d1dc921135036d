//! Notices: the live feed of what happened, for `GET /v1/events`.

use protocol::api::status::Notice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::broadcast;

/// Notices a slow reader may lag behind before it is cut.
const LAG_MAX: usize = 1_024;

/// The sender of notices.
#[derive(Debug, Clone)]
pub struct Notices {
    sender: broadcast::Sender<Notice>,
    epoch: u64,
    number: Arc<AtomicU64>,
}

impl Notices {
    /// Starts a feed; `epoch` tells feeds of different starts of the node apart.
    pub fn new(epoch: u64) -> Self {
        Self {
            sender: broadcast::channel(LAG_MAX).0,
            epoch,
            number: Arc::default(),
        }
    }
    /// Tells everyone who listens.
    pub fn send(&self, event: &str, subject: Option<String>) {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let notice = Notice {
            id: format!("{}-{number}", self.epoch),
            event: event.to_owned(),
            subject,
        };
        if self.sender.send(notice).is_err() {
            tracing::trace!("nobody listens");
        }
    }
    /// Starts listening.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.sender.subscribe()
    }
}
