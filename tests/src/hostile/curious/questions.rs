//! The questions: a proof, a reconciliation over everything, items by their ids; and forged events,
//! offered as if they were wanted.

use super::super::knowledge::Knowledge;
use super::super::tally::{Counts, count};
use super::super::way::Line;
use super::honest::Met;
use protocol::reconcile::{Blinded, Run};
use protocol::view::View;
use protocol::wire::content::Content;
use protocol::wire::control::Control;
use protocol::wire::{Message, content_frame, control_frame};
use std::io;

/// What was not answered yet.
#[derive(Debug)]
struct Open {
    proof: bool,
    /// The reconciliation, while it goes on.
    run: Option<Run>,
    /// Items that were asked for and neither came nor were withheld.
    wanted: u64,
    forged: bool,
}

impl Open {
    fn is_over(&self) -> bool {
        !self.proof && self.run.is_none() && self.wanted == 0 && !self.forged
    }
}

/// Asks everything and hears all answers; an error if they do not come.
pub(super) async fn ask(
    line: &mut Line,
    met: &Met,
    (knowledge, forged): (&Knowledge, Vec<Vec<u8>>),
    counts: &Counts,
) -> io::Result<()> {
    let empty = View::default();
    let mut run = Run::new(&empty, &met.salt, None).map_err(io::Error::other)?;
    let ids = knowledge.ids.iter().map(|id| met.salt.blind(id));
    let ids: Vec<Blinded> = ids.collect();
    let (asked, offered) = (count(ids.len()), count(forged.len()));
    let questions = [
        Control::Proof {
            summary: empty.summary(),
            wants_answer: true,
        },
        Control::Reconcile {
            first: true,
            bytes: run.initiate().map_err(io::Error::other)?,
        },
        Control::Want(ids),
    ];
    for question in &questions {
        line.say(&control_frame(question)).await?;
    }
    let content = Content {
        events: forged,
        keys: Vec::new(),
    };
    line.say(&content_frame(&content)).await?;
    counts.note(|tally| {
        tally.ids_asked += asked;
        tally.forged_sent += offered;
    });
    let mut open = Open {
        proof: true,
        run: Some(run),
        wanted: asked,
        forged: true,
    };
    while !open.is_over() {
        let message = Message::from_frame(&line.hear().await?);
        let message = message.map_err(io::Error::other)?;
        hear(message, &mut open, line, counts).await?;
    }
    line.say(&control_frame(&Control::Bye)).await
}

/// Takes in an answer, and asks on where it names something.
async fn hear(
    message: Message,
    open: &mut Open,
    line: &mut Line,
    counts: &Counts,
) -> io::Result<()> {
    match message {
        Message::Content(content) => {
            counts.note(|tally| tally.content_frames += 1);
            let came = count(content.events.len() + content.keys.len());
            open.wanted = open.wanted.saturating_sub(came);
        }
        Message::Control(Control::Proof { summary, .. }) => {
            open.proof = false;
            counts.note(|tally| tally.items_shown += summary.items);
        }
        Message::Control(Control::Reconcile { bytes, .. }) => {
            let Some(mut run) = open.run.take() else {
                return Ok(());
            };
            let step = run.step(&bytes).map_err(io::Error::other)?;
            let named = count(step.need.len());
            counts.note(|tally| tally.items_shown += named);
            if named > 0 {
                open.wanted += named;
                line.say(&control_frame(&Control::Want(step.need))).await?;
            }
            if let Some(bytes) = step.next {
                let first = false;
                let next = Control::Reconcile { first, bytes };
                line.say(&control_frame(&next)).await?;
                open.run = Some(run);
            }
        }
        Message::Control(Control::Withheld(number)) => {
            open.wanted = open.wanted.saturating_sub(number.into());
        }
        Message::Control(Control::Stored { stored, .. }) => {
            open.forged = false;
            counts.note(|tally| tally.forged_taken += u64::from(stored));
        }
        Message::Control(Control::Bye) => {
            return Err(io::Error::other("goodbye before all was answered"));
        }
        // What a session says by itself meanwhile.
        Message::Control(_) => {}
    }
    Ok(())
}
