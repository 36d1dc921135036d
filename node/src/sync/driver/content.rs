//! Content as the driver handles it: offering what the guard clears, storing what came.

use super::super::budget::{Cost, REFUSED_COSTS};
use super::super::frames::Outgoing;
use super::Driver;
use crate::clock;
use crate::egress;
use crate::telemetry::journeys;
use crate::telemetry::traces::Span;
use crdt::id::{EventId, PersonId};
use protocol::session::Input;
use protocol::trace::TraceContext;
use protocol::view::Item;
use protocol::wire::content::Content;
use protocol::wire::control::{Control, RefusedEvent};
use std::time::Instant;
use storage::store::StoreError;
use storage::tx::OVER_QUOTA;

/// Notes that memories were offered, in the trace that brought each.
fn note_offer(steps: Vec<TraceContext>, frames: usize, began: Instant) -> Vec<Span> {
    let steps = steps.into_iter().map(|step| {
        let span = Span::since("sync offer", step, began);
        span.count("brain.frames", frames);
        span
    });
    steps.collect()
}

impl Driver {
    /// Sends what the guard lets out of the items, with the trace it belongs to where that is allowed.
    pub(super) async fn offer(&mut self, person: PersonId, items: &[Item]) -> Input {
        let began = Instant::now();
        let memberships = self.ask_view(person, |pair| pair.memberships(items));
        let cut = self.sync.0.store.read(|state| state.revocations(person));
        let reviewed = {
            let _turn = self.sync.0.turns.remote().await;
            self.block(|sync| egress::review(&sync.0.store, person, items, &memberships))
        };
        match reviewed {
            Ok(review) => {
                let withheld = u64::from(review.withheld);
                let sent = (items.len() as u64).saturating_sub(withheld);
                self.sync.0.counts.egress(sent, withheld);
                // Vouching for another writer is consent too, and consent goes first.
                Box::pin(self.look_at_consent(person)).await;
                let frames = review.frames.len();
                if frames > 0 {
                    self.sync.disclosed();
                }
                let spans = note_offer(journeys::of(review.memories), frames, began);
                let step = spans.last().and_then(Span::context);
                let step = step.filter(|step| step.is_recorded() && self.session.is_traced());
                for frame in review.frames {
                    if step.is_some() {
                        self.send(Outgoing::Control(Control::Trace(step))).await;
                    }
                    self.send(Outgoing::Content { frame, person, cut }).await;
                }
                Input::Offered {
                    frames,
                    withheld: review.withheld,
                }
            }
            Err(error) => Self::fail(&error.to_string()),
        }
    }

    /// Takes content in, as a step of the trace that the peer named.
    pub(super) fn store(&mut self, person: PersonId, content: &Content) -> Input {
        let span = Span::below("sync take", self.step.take());
        let _step = span.enter();
        let taken = self.block(|sync| {
            sync.0.store.transact::<_, StoreError>(clock::now(), |tx| {
                let taken = tx.take_content(person, &content.events, &content.keys)?;
                for memory in &taken.memories {
                    journeys::follow(*memory, span.context());
                }
                Ok(taken)
            })
        });
        match taken {
            Ok(taken) => {
                span.count("brain.memories", taken.memories.len());
                span.count("brain.refused", taken.refused.len());
                for memory in &taken.memories {
                    self.sync
                        .0
                        .notices
                        .send("memory.updated", Some(memory.to_string()));
                }
                if taken.stored + taken.members > 0 {
                    self.sync.changed();
                }
                if taken.late > 0 {
                    let from = crdt::identity::did::to_did(&person);
                    self.sync.0.notices.send("tray.filled", Some(from));
                }
                let wasted = taken.refused.len() * REFUSED_COSTS as usize;
                let cost = Cost {
                    bytes: 0,
                    events: wasted,
                    checks: wasted,
                };
                // It is felt at the next frame.
                self.sync.charge(self.device, cost);
                if taken.refused.iter().any(|(_, code)| *code == OVER_QUOTA) {
                    self.note_quota(person);
                }
                let refused = taken.refused.into_iter().map(|(event, code)| {
                    tracing::info!(code, "an event was refused");
                    RefusedEvent {
                        event,
                        code: code.to_owned(),
                    }
                });
                Input::Stored {
                    stored: taken.stored + taken.members,
                    refused: refused.collect(),
                }
            }
            Err(error) => Self::fail(&error.to_string()),
        }
    }

    /// Settles own changes that the owner did not take.
    pub(super) fn settle_late(&self, person: PersonId, events: &[EventId]) -> Option<Input> {
        let settled = self.block(|sync| {
            sync.0.store.transact::<_, StoreError>(clock::now(), |tx| {
                tx.settle_late(person, events);
                Ok(())
            })
        });
        settled.err().map(|error| Self::fail(&error.to_string()))
    }

    /// Says that the policy takes no more from a peer.
    fn note_quota(&self, person: PersonId) {
        let why = self.sync.0.store.read(|state| {
            let rules = state.peer_rules(person);
            let limit = |name: &str, limit: Option<u64>| limit.map(|n| format!("{name} = {n}"));
            let limits = [
                limit("max_memories", rules.max_memories),
                limit("max_bytes", rules.max_bytes),
            ];
            let limits: Vec<String> = limits.into_iter().flatten().collect();
            match state.screen().fault() {
                Some(_) => "the policy does not read, so nothing new is taken".to_owned(),
                None => format!("over your quota for this peer ({})", limits.join(", ")),
            }
        });
        tracing::warn!(why, "memories of a peer were not taken");
        let party = self.sync.party(person, self.device);
        self.sync.note_error(party, Some(why));
    }
}
