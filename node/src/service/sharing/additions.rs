//! Additions: new matches of selectors that infer, which wait for the owner's word.
//!
//! Words, kinds and dates take in memories that nobody labelled, so a new match of such a grant
//! is held until the owner has looked at it. All that wait for one grant are one request, and
//! its id names exactly this set: if it changes between the look and the yes, the id is gone.

use super::super::{Failure, Services};
use crate::clock;
use crdt::event::body::approval::Subject;
use crdt::grant::authority::Grant as Held;
use crdt::hash::Hash;
use crdt::id::{GrantId, MemoryId};
use protocol::api::sharing::{Request, RequestItem, Resolved};
use storage::store::state::State;

/// The additions that wait for one grant.
struct Waiting {
    id: String,
    grant: GrantId,
    memories: Vec<MemoryId>,
}

fn waiting(state: &State) -> Vec<(Waiting, &Held)> {
    let now = clock::now();
    let grants = state.authority.grants();
    let all = grants.map(|grant| (state.additions(grant, now), grant));
    all.filter(|(memories, _)| !memories.is_empty())
        .map(|(memories, grant)| {
            let mut parts: Vec<&[u8]> = vec![grant.id.as_bytes()];
            parts.extend(memories.iter().map(|memory| memory.as_bytes().as_slice()));
            let hash = Hash::of("second-brain 2026 v1 additions", &parts);
            let id = crdt::id::to_base32(&hash.0);
            let grant_id = grant.id;
            let waiting = Waiting {
                id,
                grant: grant_id,
                memories,
            };
            (waiting, grant)
        })
        .collect()
}

/// Returns what waits for the owner's word, one request per grant.
pub(super) fn requests(state: &State) -> Vec<Request> {
    let show = |(waiting, grant): (Waiting, &Held)| {
        let to = state.petname(grant.grantee);
        let count = waiting.memories.len();
        let matches = if count == 1 { "match" } else { "matches" };
        Request {
            id: waiting.id,
            kind: "addition".to_owned(),
            summary: format!(
                "{count} new {matches} of {} would go to {to}",
                grant.selector
            ),
            from: "me".to_owned(),
            created: grant.offered.wall().to_rfc3339(),
            items: Vec::new(),
        }
    };
    waiting(state).into_iter().map(show).collect()
}

impl Services {
    /// Returns one request with the memories that wait; none if it is no addition.
    pub(super) fn addition(&self, id: &str) -> Result<Option<Request>, Failure> {
        let found = self.store().read(|state| {
            let found = waiting(state)
                .into_iter()
                .find(|(one, _)| is_meant(one, id));
            let (waiting, _) = found?;
            let all = requests(state).into_iter();
            let request = all.into_iter().find(|request| request.id == waiting.id)?;
            Some((request, waiting.memories))
        });
        let Some((mut request, memories)) = found else {
            return Ok(None);
        };
        for memory in memories {
            let content = self.store().content(memory)?;
            request.items.push(RequestItem {
                id: memory.to_string(),
                title: content.map(|content| content.title).unwrap_or_default(),
            });
        }
        Ok(Some(request))
    }

    /// Says yes or no to exactly the additions that an id names; none if it names no additions.
    pub(super) fn resolve_addition(
        &self,
        id: &str,
        approve: bool,
    ) -> Result<Option<Resolved>, Failure> {
        let resolved = self.store().transact::<_, Failure>(clock::now(), |tx| {
            let all = waiting(tx.state()).into_iter().map(|(waiting, _)| waiting);
            let Some(one) = all.into_iter().find(|one| is_meant(one, id)) else {
                return Ok(None);
            };
            let subject = Subject::Addition { grant: one.grant };
            tx.approve(&subject, &one.memories, approve)?;
            Ok(Some(one.id))
        })?;
        let Some(id) = resolved else { return Ok(None) };
        self.wrote("request.resolved", id.clone());
        let state = if approve { "approved" } else { "denied" };
        Ok(Some(Resolved {
            id,
            state: state.to_owned(),
        }))
    }
}

/// A request is named by its id or by a beginning of it that is long enough to be meant.
fn is_meant(waiting: &Waiting, id: &str) -> bool {
    id.len() >= 4 && waiting.id.starts_with(&id.to_lowercase())
}
