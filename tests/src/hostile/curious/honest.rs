//! The honest part: the real session, over a store that holds nothing.
//!
//! Invariant: it says nothing that is against the rules. If something was granted after all, it comes
//! here and is counted.

use super::super::tally::Counts;
use super::super::way::Line;
use crdt::id::{DeviceId, PersonId};
use node::clock;
use protocol::reconcile::{Run, Salt};
use protocol::session::{Admission, Effect, Input, Role, Session};
use protocol::view::View;
use protocol::wire::control::{Control, Hello};
use protocol::wire::{Message, control_frame};
use std::collections::VecDeque;
use std::io;

/// Who answered.
#[derive(Debug)]
pub(super) struct Met {
    /// Whom the device speaks for.
    pub(super) person: PersonId,
    /// What ids are blinded with in this session.
    pub(super) salt: Salt,
}

/// A session that is led as it should be.
#[derive(Debug)]
pub(super) struct Honest {
    session: Session,
    nonce: [u8; 16],
    met: Option<Met>,
    /// Whether both sides hold the same, as both say.
    is_even: bool,
}

impl Honest {
    pub(super) fn new(victim: DeviceId, hello: Hello) -> Self {
        Self {
            nonce: hello.nonce,
            session: Session::new(Role::Initiator, victim, hello),
            met: None,
            is_even: false,
        }
    }

    /// Speaks until both sides are even; returns whom it met.
    pub(super) async fn sync(mut self, line: &mut Line, counts: &Counts) -> io::Result<Met> {
        self.feed(Input::Started, line).await?;
        while !self.is_even {
            let message = Message::from_frame(&line.hear().await?);
            let input = match message.map_err(io::Error::other)? {
                Message::Control(control) => {
                    if let Control::Proof { summary, .. } = &control {
                        counts.note(|tally| tally.items_shown += summary.items);
                    }
                    Input::Message(control)
                }
                Message::Content(content) => {
                    counts.note(|tally| tally.content_frames += 1);
                    Input::Content(content)
                }
            };
            self.feed(input, line).await?;
        }
        self.met
            .ok_or_else(|| io::Error::other("even before anyone greeted"))
    }

    /// Gives an input to the session and does what comes of it, in order.
    async fn feed(&mut self, input: Input, line: &mut Line) -> io::Result<()> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.session.handle(input, clock::now()) {
                match effect {
                    Effect::Send(control) => line.say(&control_frame(&control)).await?,
                    Effect::Close { reason, .. } => return Err(io::Error::other(reason)),
                    other => inputs.extend(self.answer(other)),
                }
            }
        }
        Ok(())
    }

    /// Answers for a store that holds nothing and keeps nothing.
    fn answer(&mut self, effect: Effect) -> Option<Input> {
        let empty = View::default();
        Some(match effect {
            Effect::Admit(theirs) => {
                let person = theirs.certificate.person;
                let salt = Salt::new(&self.nonce, &theirs.nonce);
                self.met = Some(Met { person, salt });
                Input::Admission(Box::new(Admission::Welcome(person)))
            }
            Effect::LoadFrontier => Input::Frontier(Vec::new()),
            Effect::LoadConsent(_) => Input::ConsentFor(Vec::new()),
            Effect::TakeConsent(_) => Input::ConsentTaken,
            Effect::LoadView => Input::View(empty.change_to(&empty)),
            Effect::LoadRun { salt, since } => {
                Input::Run(Run::new(&empty, &salt, since).map(Box::new))
            }
            Effect::LoadHeld => Input::Held(None),
            Effect::Store(_) => Input::Stored {
                stored: 0,
                refused: Vec::new(),
            },
            Effect::Report(status) => {
                self.is_even = status.in_sync;
                return None;
            }
            // It has nothing to offer, and shows nothing of its ledger.
            _ => return None,
        })
    }
}
