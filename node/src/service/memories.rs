//! Memories: list, create, show, edit, forget, restore, purge.

use super::past::Moment;
use super::view::{ids, memory, names_id, names_status, summary};
use super::{Failure, Services};
use crate::clock;
use crate::telemetry::{journeys, traces};
use crdt::id::{EventId, MemoryId};
use crdt::memory::{BodyEdit, Content, Edit, Link, MemoryKind, Status};
use crdt::selector::Selector;
use crdt::sidecar::{Sensitivity, SidecarPatch};
use protocol::api::memories::{Link as ApiLink, Memory, NewMemory, Patch, Summary, Written};
use protocol::api::problem::ErrorCode;
use protocol::api::{PAGE_DEFAULT, PAGE_MAX, Page};
use std::collections::BTreeSet;
use storage::records::Facts;
use storage::store::state::State;
use storage::tx::{MemoryEdit, WriteError};

/// The longest title made from the first line of a text, in characters.
const TITLE_CHARS_MAX: usize = 120;

fn bad(title: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::BadRequest, title)
}

fn kind(text: &str) -> Result<MemoryKind, Failure> {
    text.parse().map_err(|error: crdt::memory::ParseWordError| {
        let kinds: Vec<&str> = MemoryKind::ALL.iter().map(|kind| kind.as_str()).collect();
        bad(format!("{error}; there are {}", kinds.join(", ")))
    })
}

fn tags(tags: &[String]) -> Result<BTreeSet<String>, Failure> {
    let clean = tags.iter().map(|tag| {
        let tag = tag.trim().trim_start_matches('#');
        if tag.is_empty() || tag.chars().any(char::is_control) {
            Err(bad(format!("{tag:?} is no tag")))
        } else {
            Ok(tag.to_owned())
        }
    });
    clean.collect()
}

fn first_line(body: &str) -> String {
    let line = body
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    line.trim_start_matches('#')
        .trim()
        .chars()
        .take(TITLE_CHARS_MAX)
        .collect()
}

impl Services {
    /// Lists memories that a selector takes in, newest change first.
    pub fn list_memories(
        &self,
        q: Option<&str>,
        limit: Option<usize>,
        cursor: Option<&str>,
        as_of: Option<&str>,
    ) -> Result<Page<Summary>, Failure> {
        let selector = Selector::parse(q.unwrap_or_default())?;
        let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let after = cursor.map(parse_cursor).transpose()?;
        let lists = lists(&selector);
        if let Some(Moment::Past(moment)) = as_of.map(Moment::read).transpose()? {
            return self.list_past((&selector, &lists), (limit, after), moment);
        }
        let selected = self.select(&selector)?;
        let rows: Vec<Row> = self.store().read(|state| {
            let facts = selected.iter().filter_map(|id| state.memories.get(id));
            let shown = facts.filter(|facts| lists(state, facts));
            shown
                .map(|facts| (facts.updated.0, facts.slot, facts.id))
                .collect()
        });
        let (rows, next_cursor) = paged(rows, (limit, after));
        let mut items = Vec::with_capacity(rows.len());
        for (_, _, id) in rows {
            let title = self
                .store()
                .content(id)?
                .map(|content| content.title)
                .unwrap_or_default();
            items.extend(self.store().read(|state| {
                state
                    .memories
                    .get(&id)
                    .map(|facts| summary(state, facts, title))
            }));
        }
        Ok(Page { items, next_cursor })
    }

    /// Keeps a new memory.
    pub fn create_memory(&self, new: NewMemory) -> Result<Written, Failure> {
        let now = clock::now();
        let kind = new.kind.as_deref().map_or(Ok(MemoryKind::Note), kind)?;
        let mut content = Content::new(kind, now);
        let title = new.title.filter(|title| !title.trim().is_empty());
        content.title = title.unwrap_or_else(|| first_line(&new.body));
        if content.title.is_empty() {
            return Err(
                bad("a memory needs a title or a text").hint("brainctl add \"my first memory\"")
            );
        }
        content.body = new.body;
        content.tags = tags(&new.tags)?;
        content.source = new.source;
        let sidecar = SidecarPatch {
            space: new.space,
            ..SidecarPatch::default()
        };
        check_sidecar(&sidecar)?;
        let step = traces::here();
        let id = self.store().transact::<_, WriteError>(now, |tx| {
            let id = tx.create(&content, &sidecar)?;
            journeys::follow(id, step);
            Ok(id)
        })?;
        self.wrote("memory.created", id.to_string());
        Ok(Written {
            id: id.to_string(),
            heads: vec![id.to_string()],
            merged: false,
            changed: true,
        })
    }

    /// Returns a memory by id or unique prefix.
    pub fn memory(&self, id: &str, as_of: Option<&str>) -> Result<Memory, Failure> {
        let found = self.find(id)?;
        if let Some(Moment::Past(moment)) = as_of.map(Moment::read).transpose()? {
            return self.memory_past(found, moment);
        }
        let content = self
            .store()
            .content(found)?
            .ok_or_else(|| Failure::not_found("memory", id))?;
        let adopted = self.store().adopted(found)?;
        let shown = self.store().read(|state| {
            let facts = state.memories.get(&found)?;
            let mut shown = memory(state, facts, content, self.0.sync.desk());
            shown.adopted = super::view::adopted(state, &adopted);
            Some(shown)
        });
        shown.ok_or_else(|| Failure::not_found("memory", id))
    }

    /// Changes a memory.
    pub fn edit_memory(&self, id: &str, patch: Patch) -> Result<Written, Failure> {
        let found = self.find(id)?;
        let edit = self.read_patch(patch)?;
        self.write(found, &edit, "memory.updated")
    }

    pub(super) fn write(
        &self,
        memory: MemoryId,
        edit: &MemoryEdit,
        event: &str,
    ) -> Result<Written, Failure> {
        let step = traces::here();
        let outcome = self.store().transact::<_, WriteError>(clock::now(), |tx| {
            journeys::follow(memory, step);
            tx.edit(memory, edit)
        })?;
        if outcome.changed {
            self.wrote(event, memory.to_string());
        }
        Ok(Written {
            id: memory.to_string(),
            heads: ids(&outcome.heads),
            merged: outcome.merged,
            changed: outcome.changed,
        })
    }

    fn read_patch(&self, patch: Patch) -> Result<MemoryEdit, Failure> {
        let links = |links: Vec<ApiLink>| -> Result<BTreeSet<Link>, Failure> {
            let read = links.into_iter().map(|link| {
                let to = self.find(&link.to)?;
                Ok(match link.relation {
                    relation if relation.is_empty() => Link::mention(to),
                    relation => Link { to, relation },
                })
            });
            read.collect()
        };
        let content = Edit {
            title: patch.title,
            body: patch.body.map(BodyEdit::Replace),
            add_tags: tags(&patch.add_tags)?,
            remove_tags: tags(&patch.remove_tags)?,
            add_links: links(patch.add_links)?,
            remove_links: links(patch.remove_links)?,
            kind: patch.kind.as_deref().map(kind).transpose()?,
            ..Edit::default()
        };
        let base = patch.base.map(|heads| {
            heads
                .iter()
                .map(|head| head.parse::<EventId>())
                .collect::<Result<Vec<_>, _>>()
        });
        let sensitivity = patch.sensitivity.map(|level| {
            Sensitivity::parse(&level)
                .ok_or_else(|| bad(format!("{level:?} is neither normal nor secret")))
        });
        let set = tags(&patch.add_private_tags)?
            .into_iter()
            .map(|tag| (tag, true));
        let unset = tags(&patch.remove_private_tags)?
            .into_iter()
            .map(|tag| (tag, false));
        let sidecar = SidecarPatch {
            space: patch.space,
            sensitivity: sensitivity.transpose()?,
            hidden: None,
            tags: set.chain(unset).collect(),
        };
        check_sidecar(&sidecar)?;
        Ok(MemoryEdit {
            content,
            base: base.transpose()?,
            sidecar,
        })
    }

    /// Puts a memory aside; it can be restored.
    pub fn forget_memory(&self, id: &str) -> Result<Written, Failure> {
        let found = self.find(id)?;
        self.write(found, &self.set_status(found, true), "memory.trashed")
    }

    /// Brings a memory back.
    pub fn restore_memory(&self, id: &str) -> Result<Written, Failure> {
        let found = self.find(id)?;
        self.write(found, &self.set_status(found, false), "memory.restored")
    }

    /// What someone else owns is only hidden here; what is mine is forgotten wherever it is.
    fn set_status(&self, memory: MemoryId, forgotten: bool) -> MemoryEdit {
        let is_mine = self.store().read(|state| {
            state
                .memories
                .get(&memory)
                .is_some_and(|facts| facts.owner == state.me)
        });
        let status = if forgotten {
            Status::Forgotten
        } else {
            Status::Active
        };
        let mut edit = MemoryEdit::default();
        if is_mine {
            edit.content.status = Some(status);
        } else {
            edit.sidecar.hidden = Some(forgotten);
        }
        edit
    }

    /// Destroys a memory's keys and readable bytes; what someone else owns is given back.
    pub fn purge_memory(&self, id: &str) -> Result<Written, Failure> {
        let found = self.find(id)?;
        let heads = self.store().transact::<_, WriteError>(clock::now(), |tx| {
            let facts = tx.state().memories.get(&found);
            if facts.is_some_and(|facts| facts.owner != tx.state().me) {
                tx.give_back(found).map(|()| Vec::new())
            } else {
                tx.purge(found)
            }
        })?;
        self.wrote("memory.purged", found.to_string());
        self.sweep_blobs();
        Ok(Written {
            id: found.to_string(),
            heads: ids(&heads),
            merged: false,
            changed: true,
        })
    }
}

fn check_sidecar(patch: &SidecarPatch) -> Result<(), Failure> {
    match &patch.space {
        Some(space) if space.trim().is_empty() || space.len() > crdt::sidecar::SPACE_BYTES_MAX => {
            Err(bad(format!("{space:?} is no name for a space")))
        }
        _ => Ok(()),
    }
}

/// The time of the last change of a memory, its slot, and its id.
pub(super) type Row = (u64, u64, MemoryId);
/// How many rows of a list are wanted, and after which.
pub(super) type Stretch = (usize, Option<(u64, u64)>);

/// Returns which memories that a selector takes in are listed: those that are shown, and others
/// only if it names them.
pub(super) fn lists(selector: &Selector) -> impl Fn(&State, &Facts) -> bool + use<> {
    let (by_status, by_id) = (names_status(selector), names_id(selector));
    move |state, facts| {
        state.is_shown(facts)
            || !facts.purged
                && (by_status && !facts.sidecar.is_hidden())
                && (by_id || !state.is_hidden(facts))
    }
}

/// Returns a stretch of the rows, the last changed first, and where the next begins.
pub(super) fn paged(mut rows: Vec<Row>, (limit, after): Stretch) -> (Vec<Row>, Option<String>) {
    rows.sort_unstable_by(|a, b| b.cmp(a));
    if let Some(after) = after {
        rows.retain(|(updated, slot, _)| (*updated, *slot) < after);
    }
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more);
    let next = next.map(|(updated, slot, _)| format!("{updated:016x}{slot:016x}"));
    (rows, next)
}

fn parse_cursor(text: &str) -> Result<(u64, u64), Failure> {
    text.split_at_checked(16)
        .and_then(|(updated, slot)| {
            Some((
                u64::from_str_radix(updated, 16).ok()?,
                u64::from_str_radix(slot, 16).ok()?,
            ))
        })
        .ok_or_else(|| bad("the cursor does not read").hint("start again without it"))
}
