//! The curious device: it greets and syncs as it should, and then asks for what it was never given.
//!
//! ```text
//! honest    the real session, over a store that holds nothing -> whom it met, and the salt
//! questions prove, reconcile over everything, want by ids, forged events
//! blobs     each on a stream of its own
//! ```
//!
//! Nothing of it is a fault, so it is let in again and again; every answer is known, and what is no
//! refusal is counted.

mod blobs;
mod forged;
mod honest;
mod questions;

use super::knowledge::Knowledge;
use super::way::{Line, Way};
use crdt::testing::Entropy;
use honest::Honest;
use node::net::Stream;
use std::io;
use std::time::Duration;
use storage::store::Owner;
use tokio_util::sync::CancellationToken;

/// How long one dialogue may take: one that is cut off in the middle is begun again.
const DIALOGUE_MAX: Duration = Duration::from_secs(20);
/// How long until the next one.
const PAUSE: Duration = Duration::from_millis(250);

/// A device that keeps to the rules of the protocol and not to its grants.
#[derive(Debug)]
pub(super) struct Curious {
    way: Way,
    owner: Owner,
    knowledge: Knowledge,
}

impl Curious {
    pub(super) fn new(way: Way, owner: Owner, knowledge: Knowledge) -> Self {
        Self {
            way,
            owner,
            knowledge,
        }
    }

    /// Asks again and again; says when it has had a first look.
    pub(super) async fn attack(&self, first_look: &CancellationToken) {
        let mut entropy = Entropy::new(0);
        loop {
            if let Some(stream) = self.way.open().await {
                let mut nonce = [0; 16];
                entropy.fill(&mut nonce);
                let dialogue = self.dialogue(stream, nonce);
                if let Ok(Ok(())) = tokio::time::timeout(DIALOGUE_MAX, dialogue).await {
                    self.way.counts.note(|tally| tally.dialogues += 1);
                    first_look.cancel();
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Says and asks everything once; an error if the other side did not hear it out.
    async fn dialogue(&self, stream: Stream, nonce: [u8; 16]) -> io::Result<()> {
        let Self {
            way,
            owner,
            knowledge,
        } = self;
        let mut line = Line::of(stream);
        let hello = super::hello(owner, nonce);
        let met = Honest::new(way.victim, hello)
            .sync(&mut line, &way.counts)
            .await?;
        let forged = forged::events(owner, way.victim, met.person, &knowledge.told);
        questions::ask(&mut line, &met, (knowledge, forged), &way.counts).await?;
        blobs::ask(way, &knowledge.blobs).await
    }
}
