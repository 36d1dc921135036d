//! The ledger: what left, to whom, and whether the record of it is whole.

mod receipt;
mod verdict;

use super::{Failure, Services};
use crate::clock;
use crdt::codec::Canonical as _;
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use crdt::identity::did::to_did;
use crdt::ledger::tree;
use protocol::api::ledger::export::{self, root_text, to_base64};
use protocol::api::ledger::{Holder, HolderGrant, Holders, LedgerEntry, LedgerHead, LedgerProof};
use protocol::api::problem::ErrorCode;
use protocol::api::{PAGE_DEFAULT, PAGE_MAX, Page};
use std::collections::{BTreeMap, BTreeSet};
use storage::ledger::Entry;

/// What no list of holders can say.
const NOTICE: &str = "This is what was sent, and to whom. Copies that were sent can be kept, also \
    after a revocation, and passed on by other ways; this list does not see that.";

impl Services {
    fn show_entry(&self, entry: &Entry) -> LedgerEntry {
        let to = self.store().read(|state| state.petname(entry.person));
        export::entry(entry, to)
    }

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
                items.push(self.show_entry(&entry));
            }
        }
        Ok(Page {
            items,
            next_cursor: has_more.then(|| after.to_string()),
        })
    }

    /// Returns an entry with the proof that it is in the ledger.
    pub fn ledger_entry(&self, number: &str) -> Result<LedgerProof, Failure> {
        let unknown =
            || Failure::not_found("entry", number).hint("brainctl ledger ls        list what left");
        let number: u64 = number.parse().ok().ok_or_else(unknown)?;
        let proven = self.store().ledger_entry(number)?.ok_or_else(unknown)?;
        let (entries, root) = proven.head;
        let leaf = tree::leaf(&proven.entry.to_bytes());
        let index = number.saturating_sub(1);
        let witnesses: BTreeSet<String> =
            self.store()
                .witnesses()?
                .into_iter()
                .fold(BTreeSet::new(), |mut names, witness| {
                    let covers = witness.note.is_some_and(|note| note.entries >= number);
                    if covers && witness.fault.is_none() {
                        let person = witness.echo.person;
                        names.insert(self.store().read(|state| state.petname(person)));
                    }
                    names
                });
        Ok(LedgerProof {
            entry: self.show_entry(&proven.entry),
            entries,
            root: root_text(&root),
            ok: tree::includes(&leaf, index, entries, &root, &proven.proof),
            proof: proven.proof.iter().map(root_text).collect(),
            witnesses: witnesses.into_iter().collect(),
        })
    }

    /// Tells how the ledger stands, for an export.
    pub fn ledger_head(&self) -> Result<LedgerHead, Failure> {
        let owner = self.store().owner();
        let head = self.store().ledger_head()?;
        let (entries, root) = head.as_ref().map_or_else(
            || (0, tree::empty()),
            |head| (head.tree.size(), head.tree.root()),
        );
        let witnesses = self.store().witnesses()?;
        Ok(LedgerHead {
            person: to_did(&owner.certificate.person),
            device: owner.device.id().to_string(),
            certificate: to_base64(&owner.certificate.to_bytes()),
            entries,
            root: root_text(&root),
            signed: head.map_or_else(String::new, |head| to_base64(&head.to_bytes())),
            witnesses: witnesses
                .iter()
                .map(|witness| self.show_witness(witness))
                .collect(),
        })
    }

    /// Finds a memory by a prefix of its id, also one that was purged: its copies may live on.
    fn find_disclosed(&self, text: &str) -> Result<MemoryId, Failure> {
        let lower = text.to_lowercase();
        let found: Vec<MemoryId> = self.store().read(|state| {
            let ids = state.memories.keys().copied();
            ids.filter(|id| !lower.is_empty() && id.to_string().starts_with(&lower))
                .take(2)
                .collect()
        });
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::not_found("memory", text)
                .hint("brainctl ls            list what there is")),
            _ => {
                let title = format!("several memories begin with {text:?}");
                Err(Failure::new(ErrorCode::AmbiguousId, title)
                    .hint("use more characters of the id"))
            }
        }
    }

    /// Tells who was sent a memory.
    pub fn holders(&self, memory: &str) -> Result<Holders, Failure> {
        let memory = self.find_disclosed(memory)?;
        let mut by_person: BTreeMap<PersonId, Vec<Entry>> = BTreeMap::new();
        for entry in self.store().ledger_of(memory)? {
            by_person.entry(entry.person).or_default().push(entry);
        }
        let mut items = Vec::new();
        for (person, entries) in by_person {
            items.push(self.holder(memory, person, &entries)?);
        }
        Ok(Holders {
            memory: memory.to_string(),
            items,
            notice: NOTICE.to_owned(),
        })
    }

    fn holder(
        &self,
        memory: MemoryId,
        person: PersonId,
        entries: &[Entry],
    ) -> Result<Holder, Failure> {
        let sent: BTreeSet<EventId> = entries
            .iter()
            .flat_map(|entry| entry.events.iter().copied())
            .collect();
        let mut heads = sent.clone();
        for event in &sent {
            if let Some(event) = self.store().event(*event)? {
                for parent in &event.header().parents {
                    heads.remove(parent);
                }
            }
        }
        let under = entries.iter().flat_map(|entry| {
            let keys = entry.keys.iter().map(|key| key.grant);
            entry.grant.into_iter().chain(keys)
        });
        let under: BTreeSet<GrantId> = under.collect();
        let now = clock::now();
        let mut shown = self.store().read(|state| {
            let facts = state.memories.get(&memory);
            let grants = under.iter().map(|id| HolderGrant {
                id: id.to_string(),
                state: state
                    .authority
                    .grant(*id)
                    .map_or("unknown", |grant| grant.state(now).as_str())
                    .to_owned(),
            });
            let is_mine = facts.is_some_and(|facts| facts.owner == state.me);
            Holder {
                who: state.petname(person),
                person: to_did(&person),
                first: String::new(),
                last: String::new(),
                entries: entries.iter().map(|entry| entry.number).collect(),
                events: sent.len() as u64,
                bytes: entries.iter().map(|entry| entry.bytes).sum(),
                heads: super::view::ids(&heads.iter().copied().collect::<Vec<_>>()),
                current: facts.is_some_and(|facts| {
                    facts.heads().into_iter().collect::<BTreeSet<_>>() == heads
                }),
                grants: grants.collect(),
                granted: facts.is_some_and(|facts| {
                    if is_mine {
                        state.grants_over(facts, person, now).next().is_some()
                    } else {
                        facts.owner == person
                    }
                }),
            }
        });
        let time = |entry: Option<&Entry>| entry.map(|entry| entry.time.to_rfc3339());
        shown.first = time(entries.first()).unwrap_or_default();
        shown.last = time(entries.last()).unwrap_or_default();
        Ok(shown)
    }
}
