//! The tray: late work of revoked writers, to be looked at, salvaged or dropped.

use super::{Failure, Services};
use crate::clock;
use crdt::id::EventId;
use crdt::memory::Content;
use protocol::api::Page;
use protocol::api::problem::ErrorCode;
use protocol::api::tray::{LateWork, TrayOutcome};
use storage::late::{LateWork as Held, TRAY_KEPT_MS};
use storage::tx::{Merged, TrayError};

/// The fewest characters of a prefix of an id.
const PREFIX_MIN: usize = 4;

impl Services {
    fn show_work(&self, work: &Held) -> Result<LateWork, Failure> {
        let content = self.store().content(work.memory)?;
        let from = self.store().read(|state| state.petname(work.person));
        Ok(LateWork {
            id: work.id.to_string(),
            from,
            device: work.device.to_string(),
            memory: work.memory.to_string(),
            title: content.map(|content| content.title).unwrap_or_default(),
            changes: work.events.len(),
            bytes: work.bytes,
            written: work.written.wall().to_rfc3339(),
            received: work.received.to_rfc3339(),
            until: work.received.plus_ms(TRAY_KEPT_MS).to_rfc3339(),
            reason: work.code.clone(),
            difference: Vec::new(),
        })
    }

    fn held_work(&self) -> Vec<Held> {
        self.store().read(|state| state.late_work(clock::now()))
    }

    /// Lists late work, oldest first.
    pub fn tray(&self) -> Result<Page<LateWork>, Failure> {
        let items = self
            .held_work()
            .iter()
            .map(|work| self.show_work(work))
            .collect::<Result<_, _>>()?;
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    fn find_work(&self, text: &str) -> Result<Held, Failure> {
        let lower = text.to_lowercase();
        let mut found = self.held_work();
        found.retain(|work| lower.len() >= PREFIX_MIN && work.id.to_string().starts_with(&lower));
        match <[Held; 1]>::try_from(found) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => Err(Failure::not_found("late work", text)
                .hint("brainctl tray ls        list what came too late")),
            Err(several) => {
                let title = format!("several pieces of late work begin with {text:?}");
                let failure = Failure::new(ErrorCode::AmbiguousId, title);
                let ids = several.iter().map(|work| work.id.to_string());
                Err(ids.fold(failure, Failure::hint))
            }
        }
    }

    /// Shows late work and what it would change.
    pub fn late_work(&self, id: &str) -> Result<LateWork, Failure> {
        let work = self.find_work(id)?;
        let merged: Merged = self
            .store()
            .transact::<_, TrayError>(clock::now(), |tx| tx.merge_late(work.id))?;
        let mut shown = self.show_work(&work)?;
        shown.difference = difference(&merged);
        Ok(shown)
    }

    /// Writes late work as an own change.
    pub fn salvage(&self, id: &str) -> Result<TrayOutcome, Failure> {
        let work = self.find_work(id)?;
        let (memory, changed) = self
            .store()
            .transact::<_, TrayError>(clock::now(), |tx| tx.salvage(work.id))?;
        self.wrote("memory.updated", memory.to_string());
        Ok(outcome(work.id, memory.to_string(), "salvaged", changed))
    }

    /// Takes late work out of the tray.
    pub fn drop_late(&self, id: &str) -> Result<TrayOutcome, Failure> {
        let work = self.find_work(id)?;
        let memory = self
            .store()
            .transact::<_, TrayError>(clock::now(), |tx| tx.drop_late(work.id))?;
        Ok(outcome(work.id, memory.to_string(), "dropped", false))
    }
}

fn outcome(id: EventId, memory: String, state: &str, changed: bool) -> TrayOutcome {
    TrayOutcome {
        id: id.to_string(),
        memory,
        state: state.to_owned(),
        changed,
    }
}

impl From<TrayError> for Failure {
    fn from(error: TrayError) -> Self {
        let detail = error.to_string();
        match error {
            TrayError::Unknown(id) => Self::not_found("late work", &id.to_string())
                .hint("brainctl tray ls        list what came too late"),
            TrayError::Unusable(_) => {
                Self::new(ErrorCode::Conflict, "the late work cannot be used any more")
                    .because(detail)
                    .hint("brainctl tray drop ID        take it out of the tray")
            }
            TrayError::Write(error) => error.into(),
        }
    }
}

/// Returns what would change, field by field, line by line.
fn difference(merged: &Merged) -> Vec<String> {
    let (now, then) = (&merged.now, &merged.then);
    let mut lines = field("title", &now.title, &then.title);
    lines.extend(field("kind", now.kind.as_str(), then.kind.as_str()));
    lines.extend(field("status", now.status.as_str(), then.status.as_str()));
    let source = |content: &Content| content.source.clone().unwrap_or_default();
    lines.extend(field("source", &source(now), &source(then)));
    let gone = now
        .tags
        .difference(&then.tags)
        .map(|tag| format!("- tag {tag}"));
    lines.extend(gone);
    let new = then
        .tags
        .difference(&now.tags)
        .map(|tag| format!("+ tag {tag}"));
    lines.extend(new);
    let gone = now.links.difference(&then.links);
    lines.extend(gone.map(|link| format!("- link {} {}", link.relation, link.to)));
    let new = then.links.difference(&now.links);
    lines.extend(new.map(|link| format!("+ link {} {}", link.relation, link.to)));
    lines.extend(text(&now.body, &then.body));
    lines
}

fn field(name: &str, now: &str, then: &str) -> Vec<String> {
    if now == then {
        return Vec::new();
    }
    let line = |sign: char, value: &str| format!("{sign} {name} {value}");
    let lines = [('-', now), ('+', then)].into_iter();
    lines
        .filter(|(_, value)| !value.is_empty())
        .map(|(sign, value)| line(sign, value))
        .collect()
}

/// Returns the stretch of lines that differs; what both ends share is left out.
fn text(now: &str, then: &str) -> Vec<String> {
    let (now, then): (Vec<&str>, Vec<&str>) = (now.lines().collect(), then.lines().collect());
    let start = now.iter().zip(&then).take_while(|(a, b)| a == b).count();
    let (now, then) = (&now[start..], &then[start..]);
    let (from_now, from_then) = (now.iter().rev(), then.iter().rev());
    let end = from_now.zip(from_then).take_while(|(a, b)| a == b).count();
    let gone = &now[..now.len() - end];
    let new = &then[..then.len() - end];
    let gone = gone.iter().map(|line| format!("- {line}"));
    gone.chain(new.iter().map(|line| format!("+ {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::memory::MemoryKind;
    use crdt::time::Timestamp;

    #[test]
    fn the_difference_names_what_goes_and_what_comes() {
        let mut now = Content::new(MemoryKind::Note, Timestamp(1));
        now.title = "soup".to_owned();
        now.body = "one\ntwo\nthree\n".to_owned();
        now.tags = ["old".to_owned()].into();
        let mut then = now.clone();
        assert!(
            difference(&Merged {
                now: now.clone(),
                then: then.clone()
            })
            .is_empty()
        );
        then.title = "broth".to_owned();
        then.body = "one\n2\ntwo\nthree\n".to_owned();
        then.tags = ["new".to_owned()].into();
        let found = difference(&Merged { now, then });
        let expected = [
            "- title soup",
            "+ title broth",
            "- tag old",
            "+ tag new",
            "+ 2",
        ];
        assert_eq!(found, expected);
    }
}
