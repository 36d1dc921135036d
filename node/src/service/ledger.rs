//! The ledger: what left, and whether the record of it is whole.

use super::{Failure, Services};
use crdt::identity::did::to_did;
use protocol::api::ledger::{LedgerEntry, LedgerVerdict};
use protocol::api::{PAGE_DEFAULT, PAGE_MAX, Page};

impl Services {
    /// Lists disclosures after a number, oldest first.
    pub fn ledger(
        &self,
        peer: Option<&str>,
        after: Option<u64>,
        limit: Option<usize>,
    ) -> Result<Page<LedgerEntry>, Failure> {
        let person = peer.map(|name| self.find_person(name)).transpose()?;
        let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let mut items = Vec::new();
        let mut after = after.unwrap_or_default();
        let mut has_more = false;
        'pages: loop {
            let entries = self.store().ledger(after, PAGE_MAX)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                if person.is_some_and(|person| person != entry.person) {
                    after = entry.number;
                    continue;
                }
                if items.len() == limit {
                    has_more = true;
                    break 'pages;
                }
                after = entry.number;
                let to = self.store().read(|state| state.petname(entry.person));
                items.push(LedgerEntry {
                    seq: entry.number,
                    time: entry.time.to_rfc3339(),
                    to,
                    person: to_did(&entry.person),
                    kind: "content".to_owned(),
                    memory: entry.memory.to_string(),
                    events: super::view::ids(&entry.events),
                    bytes: entry.bytes,
                    grant: entry
                        .grant
                        .map(|grant| grant.to_string())
                        .unwrap_or_default(),
                });
            }
        }
        Ok(Page {
            items,
            next_cursor: has_more.then(|| after.to_string()),
        })
    }

    /// Checks every entry against the signed head.
    pub fn verify_ledger(&self) -> Result<LedgerVerdict, Failure> {
        let verdict = self.store().verify_ledger()?;
        Ok(LedgerVerdict {
            entries: verdict.entries,
            ok: verdict.fault.is_none(),
            first_bad: verdict.fault.as_ref().map(|(number, _)| *number),
            reason: verdict.fault.map(|(_, reason)| reason).unwrap_or_default(),
        })
    }
}
