//! Domain values as the API shows them.

use super::{Failure, Services};
use crate::sync::Desk;
use crdt::id::{EventId, MemoryId, PersonId};
use crdt::identity::did::to_did;
use crdt::memory::{Attachment, Content};
use crdt::selector::Selector;
use protocol::api::attachments::Attachment as ApiAttachment;
use protocol::api::memories::{Adopted as AdoptedChanges, Link, Memory, Summary};
use protocol::api::problem::ErrorCode;
use storage::records::Facts;
use storage::store::query::Adopted;
use storage::store::state::State;

/// The fewest characters of a prefix of an id.
const PREFIX_MIN: usize = 1;
/// Ids shown of those that an ambiguous prefix fits.
const CANDIDATES_MAX: usize = 5;

/// Returns the ids as text.
pub(super) fn ids(events: &[EventId]) -> Vec<String> {
    events.iter().map(EventId::to_string).collect()
}

pub(super) fn summary(state: &State, facts: &Facts, title: String) -> Summary {
    Summary {
        id: facts.id.to_string(),
        title,
        kind: facts.kind.to_string(),
        tags: facts.tags.iter().map(ToString::to_string).collect(),
        from: state.petname(facts.owner),
        updated: facts.updated.wall().to_rfc3339(),
        status: facts.status.to_string(),
    }
}

pub(super) fn memory(state: &State, facts: &Facts, content: Content, desk: &Desk) -> Memory {
    let link = |link: crdt::memory::Link| Link {
        to: link.to.to_string(),
        relation: link.relation,
    };
    let grants = state
        .members
        .get(&facts.id)
        .filter(|_| facts.owner != state.me);
    Memory {
        id: facts.id.to_string(),
        kind: content.kind.to_string(),
        title: content.title,
        body: content.body,
        tags: content.tags.into_iter().collect(),
        links: content.links.into_iter().map(link).collect(),
        attachments: content
            .attachments
            .iter()
            .map(|file| attachment(file, desk))
            .collect(),
        source: content.source,
        status: content.status.to_string(),
        from: state.petname(facts.owner),
        owner: to_did(&facts.owner),
        created: facts.created.to_rfc3339(),
        updated: facts.updated.wall().to_rfc3339(),
        heads: ids(&facts.heads()),
        grant: grants
            .and_then(|grants| grants.keys().next_back())
            .map(ToString::to_string),
        withdrawn: state
            .withdrawn(facts)
            .and_then(|grant| grant.aftermath.ended())
            .map(|ended| ended.wall().to_rfc3339()),
        quarantined: state.is_quarantined(facts.id).map(|row| row.reason.clone()),
        adopted: Vec::new(),
        space: facts.sidecar.space().to_owned(),
        private_tags: facts.sidecar.tags().map(str::to_owned).collect(),
        sensitivity: facts.sidecar.sensitivity().as_str().to_owned(),
    }
}

pub(super) fn attachment(attachment: &Attachment, desk: &Desk) -> ApiAttachment {
    ApiAttachment {
        name: attachment.name.clone(),
        hash: attachment.hash.to_string(),
        media_type: attachment.media_type.clone(),
        bytes: attachment.bytes,
        bytes_here: desk.bytes_here(attachment),
    }
}

impl Services {
    /// Finds a memory by its id or a unique prefix.
    pub(super) fn find(&self, text: &str) -> Result<MemoryId, Failure> {
        let lower = text.to_lowercase();
        let unknown =
            || Failure::not_found("memory", text).hint("brainctl ls            list what there is");
        let is_known = |id: &MemoryId| {
            self.store()
                .read(|state| state.memories.get(id).is_some_and(|f| !f.purged))
        };
        if let Ok(id) = lower.parse::<MemoryId>() {
            return if is_known(&id) {
                Ok(id)
            } else {
                Err(unknown())
            };
        }
        if lower.len() < PREFIX_MIN {
            return Err(
                Failure::new(ErrorCode::BadRequest, format!("{text:?} is no id")).because(format!(
                    "an id or at least {PREFIX_MIN} characters of it are needed"
                )),
            );
        }
        let found: Vec<MemoryId> = self.store().read(|state| {
            let live = state.memories.values().filter(|facts| !facts.purged);
            let fits = live.filter(|facts| facts.id.to_string().starts_with(&lower));
            fits.map(|facts| facts.id)
                .take(CANDIDATES_MAX + 1)
                .collect()
        });
        match found.as_slice() {
            [] => Err(unknown()),
            [one] => Ok(*one),
            several => {
                let ids = several.iter().take(CANDIDATES_MAX).map(MemoryId::to_string);
                let title = format!("several memories begin with {text:?}");
                let failure = Failure::new(ErrorCode::AmbiguousId, title);
                Err(ids.fold(failure, Failure::hint))
            }
        }
    }

    /// Finds a person by petname, `did:key` or the end of it.
    pub(super) fn find_person(&self, name: &str) -> Result<PersonId, Failure> {
        self.store()
            .read(|state| state.person(name))
            .ok_or_else(|| {
                Failure::not_found("peer", name).hint("brainctl peer ls        list your peers")
            })
    }

    /// Returns the memories that a selector takes in, oldest first.
    pub(super) fn select(&self, selector: &Selector) -> Result<Vec<MemoryId>, Failure> {
        let now = crate::clock::now();
        let with_text = selector.looks_into_texts();
        let ids: Vec<MemoryId> = self.store().read(|state| {
            let live = state.slots.values().filter_map(|id| state.memories.get(id));
            let live = live.filter(|facts| !facts.purged);
            let fits = live.filter(|facts| with_text || selector.matches(&state.label(facts, now)));
            fits.map(|facts| facts.id).collect()
        });
        if !with_text {
            return Ok(ids);
        }
        let mut found = Vec::new();
        for id in ids {
            let Some(content) = self.store().content(id)? else {
                continue;
            };
            let fits = self.store().read(|state| {
                state.memories.get(&id).is_some_and(|facts| {
                    let labels = state.label(facts, now);
                    selector.matches(&labels.with_text(&content.title, &content.body))
                })
            });
            if fits {
                found.push(id);
            }
        }
        Ok(found)
    }
}

/// Counts adopted changes by author and adopter.
pub(super) fn adopted(state: &State, found: &[Adopted]) -> Vec<AdoptedChanges> {
    let mut counts = std::collections::BTreeMap::new();
    for change in found {
        *counts.entry((change.author, change.adopter)).or_insert(0) += 1;
    }
    let show = |((author, adopter), changes)| AdoptedChanges {
        by: state.petname(author),
        adopter: state.petname(adopter),
        changes,
    };
    counts.into_iter().map(show).collect()
}

/// Tells whether a selector names a memory by its id.
pub(super) fn names_id(selector: &Selector) -> bool {
    match selector {
        Selector::Id(_) => true,
        Selector::And(parts) | Selector::Or(parts) => parts.iter().any(names_id),
        _ => false,
    }
}

/// Tells whether a selector asks for a status by itself.
pub(super) fn names_status(selector: &Selector) -> bool {
    match selector {
        Selector::Status(_) | Selector::Id(_) => true,
        Selector::Not(part) => names_status(part),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().any(names_status),
        _ => false,
    }
}
