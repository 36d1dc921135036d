//! A memory as it was: its content out of the document's history, its labels out of the log.

use super::AsItWas;
use crate::content;
use crate::layout::{self, meta};
use crate::records::{Dated, DocumentRow, Facts};
use crate::store::{Store, StoreError};
use crate::tx::describe;
use crdt::codec::Canonical as _;
use crdt::envelope::ContentKey;
use crdt::id::EventId;
use crdt::memory::{Content, Document};
use crdt::sidecar::{Sidecar, SidecarPatch};
use crdt::time::Timestamp;
use std::collections::BTreeSet;

impl Store {
    /// Returns a memory without what was written after a moment; none if it cannot be read.
    pub(super) fn as_it_was(
        &self,
        facts: &Facts,
        moment: Timestamp,
    ) -> Result<Option<AsItWas>, StoreError> {
        let Some(sidecar) = self.sidecar_at(facts, moment)? else {
            return Ok(None);
        };
        let until = |(time, _): &Dated| time.wall() <= moment;
        let known = facts.events().filter(until).map(|(_, event)| event);
        let known: BTreeSet<EventId> = known.collect();
        let Some((content, heads)) = self.content_at(facts, &known)? else {
            return Ok(None);
        };
        let mut facts = facts.clone();
        facts.rewrite(|parts| {
            parts.events.retain(until);
            parts.sidecar_events.retain(until);
            parts.heads = heads;
        });
        let times = facts.events().map(|(time, _)| time);
        facts.updated = times.max().unwrap_or_default();
        facts.sidecar = sidecar;
        describe(&mut facts, &content);
        Ok(Some(AsItWas { facts, content }))
    }

    /// Returns what those events of a memory make of it, and those without successors.
    fn content_at(
        &self,
        facts: &Facts,
        known: &BTreeSet<EventId>,
    ) -> Result<Option<(Content, Vec<EventId>)>, StoreError> {
        if known.len() == facts.events().count() || facts.is_unedited() {
            let content = self.content(facts.id)?;
            return Ok(content.map(|content| (content, facts.heads())));
        }
        let root = facts.root();
        if known.len() == 1 && known.contains(&root) {
            let content = content::of_root(self, facts.id, facts.slot)?;
            return Ok(content.map(|content| (content, vec![root])));
        }
        let key = self.opaque.opaque(facts.id.as_bytes());
        let Some(bytes) = self.kv.get(layout::DOCUMENT, &key)? else {
            return Ok(None);
        };
        match of_document(facts, &bytes, known) {
            Ok(found) => Ok(Some(found)),
            Err(error) => {
                tracing::warn!(memory = %facts.id, error, "a memory does not read as it was");
                Ok(None)
            }
        }
    }

    /// Returns the labels as they were; none if one of their events does not open.
    fn sidecar_at(&self, facts: &Facts, moment: Timestamp) -> Result<Option<Sidecar>, StoreError> {
        let all = facts.sidecar_events();
        if all.iter().all(|(time, _)| time.wall() <= moment) {
            return Ok(Some(facts.sidecar.clone()));
        }
        let mut sidecar = Sidecar::default();
        for (time, event) in all.iter().filter(|(time, _)| time.wall() <= moment) {
            let Some(patch) = self.patch_of(*event)? else {
                tracing::warn!(memory = %facts.id, %event, "a label does not read any more");
                return Ok(None);
            };
            sidecar.apply(*time, *event, &patch);
        }
        Ok(Some(sidecar))
    }

    fn patch_of(&self, event: EventId) -> Result<Option<SidecarPatch>, StoreError> {
        let Some(event) = self.event(event)? else {
            return Ok(None);
        };
        let Some(commitment) = event.header().commitment else {
            return Ok(None);
        };
        let row = [meta::SIDECAR_KEYS, &commitment.0].concat();
        let Some(key) = self.kv.get(layout::META, &row)?.and_then(content::key_of) else {
            return Ok(None);
        };
        let body = event.event().open(&ContentKey::from_bytes(key));
        Ok(body
            .ok()
            .and_then(|body| SidecarPatch::from_bytes(&body).ok()))
    }
}

/// Reads a part of a document's history.
fn of_document(
    facts: &Facts,
    row: &[u8],
    known: &BTreeSet<EventId>,
) -> Result<(Content, Vec<EventId>), String> {
    let row = DocumentRow::from_bytes(row).map_err(|error| error.to_string())?;
    let document = Document::restore(facts.id, &row.snapshot);
    let document = document.map_err(|error| error.to_string())?;
    let of_known = row
        .changes
        .iter()
        .filter(|(event, _)| known.contains(event));
    let counted: BTreeSet<[u8; 32]> = of_known.map(|(_, change)| *change).collect();
    let found = document.of_changes(|change| counted.contains(&change.0));
    let (content, heads) = found.map_err(|error| error.to_string())?;
    let is_head = |change: &[u8; 32]| heads.iter().any(|head| head.0 == *change);
    let heads = row.changes.iter().filter(|(_, change)| is_head(change));
    let mut heads: Vec<EventId> = heads.map(|(event, _)| *event).collect();
    heads.sort_unstable();
    Ok((content, heads))
}
