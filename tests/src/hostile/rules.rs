//! Those who break the rules of the protocol, each one rule, again and again.

use super::tally::count;
use super::way::Way;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use node::net::Stream;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::wire::control::{Control, Hello};
use protocol::wire::control_frame;
use std::io;
use std::time::Duration;

/// How long those wait whose faults shut the door: the slow ones are in by then.
const HEAD_START: Duration = Duration::from_millis(500);
/// How long until the next attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// What a hostile device does on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// A frame of noise.
    Garbage,
    /// A frame longer than any may be.
    Oversized,
    /// The longest frame, at a byte a second.
    Slow,
    /// A greeting, and nothing is ever read.
    Deaf,
}

impl Rule {
    /// Who attacks at the same time.
    pub(super) const ALL: [Self; 6] = [
        Self::Slow,
        Self::Slow,
        Self::Deaf,
        Self::Deaf,
        Self::Garbage,
        Self::Oversized,
    ];

    /// Tells whether the first bytes are a fault already.
    fn is_fault(self) -> bool {
        matches!(self, Self::Garbage | Self::Oversized)
    }
}

/// A device that breaks a rule.
#[derive(Debug)]
pub(super) struct Attacker {
    pub(super) way: Way,
    pub(super) hello: Hello,
}

impl Attacker {
    /// Breaks a rule again and again, as long as it may.
    pub(super) async fn attack(&self, rule: Rule) {
        if rule.is_fault() {
            tokio::time::sleep(HEAD_START).await;
        }
        loop {
            if let Some(stream) = self.way.open().await {
                if rule.is_fault() && !self.way.is_stranger && !self.may_err() {
                    return;
                }
                let heard = self.break_rule(stream, rule).await.unwrap_or(0);
                if self.way.is_stranger {
                    let counts = &self.way.counts;
                    counts.note(|tally| tally.stranger_heard_bytes += count(heard));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes one of the faults that are left; false if none is.
    fn may_err(&self) -> bool {
        let mut may = false;
        self.way.counts.note(|tally| {
            may = tally.faults_left > 0;
            tally.faults_left = tally.faults_left.saturating_sub(1);
        });
        may
    }

    /// Breaks a rule on a stream until that ends; returns how many bytes were said to it.
    async fn break_rule(&self, opened: Stream, rule: Rule) -> io::Result<usize> {
        let (mut reads, mut writes) = opened.stream.split();
        match rule {
            Rule::Garbage => {
                let noise = [&1_024_u32.to_le_bytes()[..], &[0xa5; 1_024]].concat();
                writes.write_all(&noise).await?;
            }
            Rule::Oversized => {
                let length = u32::try_from(FRAME_BYTES_MAX + 1).expect("it fits");
                writes.write_all(&length.to_le_bytes()).await?;
            }
            Rule::Slow => {
                let length = u32::try_from(FRAME_BYTES_MAX).expect("it fits");
                writes.write_all(&length.to_le_bytes()).await?;
                for _ in 0..FRAME_BYTES_MAX {
                    writes.write_all(&[0]).await?;
                    writes.flush().await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Rule::Deaf => {
                let greeting = Control::Hello(Box::new(self.hello.clone()));
                writes.write_all(&control_frame(&greeting)).await?;
                writes.flush().await?;
                // It hears nothing, so there is nothing to count; the other side has to give up.
                tokio::time::sleep(Duration::from_mins(1)).await;
                return Ok(0);
            }
        }
        writes.flush().await?;
        let mut heard = Vec::new();
        reads.read_to_end(&mut heard).await?;
        Ok(heard.len())
    }
}
