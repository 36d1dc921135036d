//! Steps that do something to a node or between nodes from outside.

use super::Run;
use crate::fault::{Fault, Result, broken};
use crate::network::disk;
use crate::network::links::Slow;
use crate::scenario::Action;
use std::path::PathBuf;

impl Run<'_> {
    /// Does it; returns what this machine cannot do of it.
    pub(super) fn fault(&mut self, action: &Action) -> Result<Option<String>> {
        let network = self.network.as_mut();
        match action {
            Action::Cut { between } => self.links.cut(network, between)?,
            Action::Heal { between } => self.links.heal(network, between)?,
            Action::Slow {
                who,
                delay_ms,
                loss_percent,
                rate_kbit,
            } => {
                let slow = Slow {
                    delay_ms: *delay_ms,
                    loss_percent: *loss_percent,
                    rate_kbit: *rate_kbit,
                };
                return self.links.slow(network, who, slow);
            }
            Action::Fast { who } => self.links.fast(network, who)?,
            Action::Kill { who } => {
                network.kill(who)?;
                self.ended(who);
            }
            Action::Stop { who } => {
                network.stop(who)?;
                self.ended(who);
            }
            Action::Start { who, clock } => {
                self.launch(who, clock.as_deref())?;
                self.wait_ready(who)?;
            }
            Action::Pause { who } => {
                network.pause(who)?;
                self.paused.insert(who.clone());
            }
            Action::Unpause { who } => {
                if self.attacks.contains_key(who) {
                    return broken(format!("the attack of {who} was not called off"));
                }
                network.unpause(who)?;
                self.paused.remove(who);
            }
            Action::FillDisk { who } => disk::fill(&self.disk(who)?)?,
            Action::FreeDisk { who } => disk::free(&self.disk(who)?)?,
            Action::Upgrade { who } => self.upgrade(who)?,
            _ => {}
        }
        Ok(None)
    }

    fn ended(&mut self, who: &str) {
        self.running.remove(who);
        self.paused.remove(who);
    }

    fn disk(&self, who: &str) -> Result<PathBuf> {
        let unknown = || Fault::Broken(format!("{who} has no small disk: disk_mib = {{..}}"));
        self.network.disk(who).ok_or_else(unknown)
    }

    fn upgrade(&mut self, who: &str) -> Result<()> {
        if !self.older.remove(who) {
            return broken(format!("{who} has no older binaries: older = [..]"));
        }
        if self.running.contains(who) {
            self.network.stop(who)?;
            self.ended(who);
        }
        self.launch(who, None)?;
        self.wait_ready(who)
    }
}
