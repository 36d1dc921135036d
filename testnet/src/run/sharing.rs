//! Steps between persons and between devices: pair, share, approve, revoke, circles, join, retire.

use super::{Run, text};
use crate::fault::Result;
use crate::scenario::{Access, Action};
use crate::wait::{self, Seen};
use std::time::Duration;

impl Run<'_> {
    pub(super) fn sharing(&mut self, action: &Action, within: Duration) -> Result<Option<String>> {
        match action {
            Action::Pair {
                between: [one, other],
            } => self.pair(one, other, within)?,
            Action::Share {
                who,
                what,
                with,
                access,
                period,
            } => self.share(who, what, with, *access, period.as_deref())?,
            Action::Approve { who, from, offers } => {
                let offers = self.offers(who, from, offers.unwrap_or(1), within)?;
                self.answer(who, "approve", &offers)?;
            }
            Action::Decline { who, from } => {
                let offers = self.offers(who, from, 1, within)?;
                self.answer(who, "deny", &offers)?;
            }
            Action::Revoke { who, from, purge } => {
                let purge = purge.then_some("--purge");
                let args = ["revoke", from, "--yes"].into_iter().chain(purge);
                self.tell(who, &args.collect::<Vec<_>>())?;
            }
            Action::Circle { who, name, members } => self.circle(who, "create", name, members)?,
            Action::CircleAdd { who, name, members } => self.circle(who, "add", name, members)?,
            Action::CircleRemove { who, name, members } => {
                self.circle(who, "remove", name, members)?;
            }
            Action::DeviceJoin { who, to } => self.join(who, to)?,
            Action::DeviceRetire { who, device } => {
                self.tell(who, &["device", "revoke", device, "--yes"])?;
                self.retired.insert(device.clone());
            }
            _ => {}
        }
        Ok(None)
    }

    /// Everybody is called like the node with which they began.
    fn pair(&self, one: &str, other: &str, within: Duration) -> Result<()> {
        let (inviter, guest) = (self.person(one), self.person(other));
        let ticket = self
            .tell(one, &["peer", "invite", "--name", &guest, "--ids"])?
            .word()?;
        self.tell(other, &["peer", "accept", &ticket, "--alias", &inviter])?;
        for (who, peer) in [(one, &guest), (other, &inviter)] {
            wait::until(&format!("{who} is paired with {peer}"), within, || {
                let peers = self.list(who, &["peer", "ls"], "items")?;
                let found = peers.iter().find(|found| text(found, "alias") == peer);
                let state = found.map_or("unknown", |found| text(found, "state"));
                Ok(Seen::of(state == "paired", || format!("{peer} is {state}")))
            })?;
        }
        Ok(())
    }

    fn share(
        &self,
        who: &str,
        what: &str,
        with: &str,
        access: Option<Access>,
        period: Option<&str>,
    ) -> Result<()> {
        let mut args = vec!["share", what, "--with", with, "--yes"];
        args.extend(access.iter().flat_map(|access| ["--as", access.word()]));
        args.extend(period.iter().flat_map(|period| ["--for", *period]));
        self.tell(who, &args).map(drop)
    }

    /// Waits until a person offers so much, and returns all of it.
    fn offers(&self, who: &str, from: &str, count: usize, within: Duration) -> Result<Vec<String>> {
        let from = self.person(from);
        let what = format!("{who} is asked by {from}");
        wait::until(&what, within, || {
            let all = self.list(who, &["request", "ls"], "items")?;
            let is_offer = |request: &&serde_json::Value| {
                text(request, "kind") == "grant" && text(request, "from") == from
            };
            let offers = all.iter().filter(is_offer).map(|offer| text(offer, "id"));
            let offers: Vec<String> = offers.map(str::to_owned).collect();
            Ok(if offers.len() < count {
                Seen::NotYet(format!("{} of {count} offers", offers.len()))
            } else {
                Seen::Yes(offers)
            })
        })
    }

    fn answer(&self, who: &str, verb: &str, offers: &[String]) -> Result<()> {
        for offer in offers {
            self.tell(who, &["request", verb, offer])?;
        }
        Ok(())
    }

    fn circle(&self, who: &str, verb: &str, name: &str, members: &[String]) -> Result<()> {
        let mut args = vec!["circle", verb, name, "--yes"];
        args.extend(members.iter().map(String::as_str));
        self.tell(who, &args).map(drop)
    }

    fn join(&mut self, who: &str, to: &str) -> Result<()> {
        let ticket = self
            .tell(to, &["device", "add", "--name", who, "--ids"])?
            .word()?;
        self.tell(who, &["device", "join", &ticket])?;
        let person = self.person(to);
        self.may_know(&person, who);
        self.persons.insert(who.to_owned(), person);
        self.wait_ready(who)
    }
}
