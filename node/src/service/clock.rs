//! The clock: what is said when it was set back, and the person's word that it is right.

use super::{Failure, Services};
use crate::clock;
use protocol::api::status::ClockAccepted;
use storage::store::StoreError;

const DAY_S: u64 = 86_400;

impl Services {
    /// Tells that the clock was set back, if it was.
    pub(super) fn clock_needs_you() -> Vec<String> {
        let Some(behind) = clock::set_back() else {
            return Vec::new();
        };
        let (days, hours) = (behind.as_secs() / DAY_S, behind.as_secs() % DAY_S / 3_600);
        vec![format!(
            "the clock is {days} days and {hours} hours behind what this node has seen; grants \
             end by the later time. Set it right, or if it is: brainctl node accept-clock"
        )]
    }

    /// Takes the system clock as right although this node has seen a later time.
    pub fn accept_clock(&self) -> Result<ClockAccepted, Failure> {
        let now = clock::accept();
        self.store().transact::<_, StoreError>(now, |tx| {
            tx.accept_clock();
            Ok(())
        })?;
        Ok(ClockAccepted {
            time: now.to_rfc3339(),
        })
    }
}
