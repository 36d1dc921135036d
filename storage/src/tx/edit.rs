//! Writing memories: create, edit, label, purge. One's own side of [`super::append`].

use super::Tx;
use super::append::{AppendError, Draft};
use super::project::Prepared;
use crate::records::Facts;
use crate::store::StoreError;
use crdt::codec::Canonical as _;
use crdt::envelope::{ContentKey, Epoch};
use crdt::event::{Feed, Kind};
use crdt::id::{EventId, MemoryId};
use crdt::memory::{Content, ContentError, Edit, EditError, Writer};
use crdt::sidecar::SidecarPatch;
use thiserror::Error;

/// The reason why a memory was not written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// There is no such memory, or it was purged.
    #[error("there is no memory {0}")]
    Unknown(MemoryId),
    /// A value is over its limit.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The edit does not fit the memory.
    #[error(transparent)]
    Edit(EditError),
    /// The heads that the edit was made on are unknown.
    #[error("the memory has no event {0} to base an edit on")]
    UnknownBase(EventId),
    /// Only the owner can do this.
    #[error("only the owner of a memory can purge it")]
    NotOwner,
    /// One's own memory is purged, not given back.
    #[error("the memory {0} is yours: there is nobody to give it back to")]
    IsMine(MemoryId),
    /// No grant lets this person write here.
    #[error("the grant under which this memory is here does not let you write")]
    ReadOnly,
    /// The event was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}

/// A change of a memory: its shared content, and its holder's labels.
#[derive(Debug, Clone, Default)]
pub struct MemoryEdit {
    /// The shared side.
    pub content: Edit,
    /// The heads it was made on; the current ones if absent.
    pub base: Option<Vec<EventId>>,
    /// The private side.
    pub sidecar: SidecarPatch,
}

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditOutcome {
    /// The heads after it.
    pub heads: Vec<EventId>,
    /// Whether it was made on older heads.
    pub merged: bool,
    /// Whether anything changed.
    pub changed: bool,
}

impl Tx<'_> {
    /// Keeps a new memory.
    pub fn create(
        &mut self,
        content: &Content,
        sidecar: &SidecarPatch,
    ) -> Result<MemoryId, WriteError> {
        content.check()?;
        let key = ContentKey::random(&mut self.rng());
        let draft = Draft {
            kind: Kind::Root,
            owner: self.state.me,
            feed: Feed::Root,
            parents: Vec::new(),
            epoch: Epoch(0),
        };
        let event = self.seal(draft, &content.to_bytes(), &key)?;
        let memory = event.id().as_memory();
        self.put_first_key(memory, &key);
        self.append(event, None)?;
        self.label(memory, sidecar)?;
        Ok(memory)
    }

    /// Changes a memory.
    pub fn edit(&mut self, memory: MemoryId, edit: &MemoryEdit) -> Result<EditOutcome, WriteError> {
        let facts = self.live_facts(memory)?;
        let is_behind = |base: &Vec<EventId>| {
            let mut base = base.clone();
            base.sort_unstable();
            base != facts.heads()
        };
        let merged = edit.base.as_ref().is_some_and(is_behind);
        let mut changed = false;
        if edit.content != Edit::default() {
            changed = self.edit_content(&facts, edit)?;
        }
        changed |= self.label(memory, &edit.sidecar)?;
        let heads = self.live_facts(memory)?.heads();
        Ok(EditOutcome {
            heads,
            merged,
            changed,
        })
    }

    fn edit_content(&mut self, facts: &Facts, edit: &MemoryEdit) -> Result<bool, WriteError> {
        let memory = facts.id;
        if facts.owner != self.state.me && !self.may_write(facts) {
            return Err(WriteError::ReadOnly);
        }
        if self.state.quarantined.contains_key(&memory) {
            return Err(AppendError::Quarantined(memory).into());
        }
        let mut known = self.document(memory)?;
        let base = match &edit.base {
            None => None,
            Some(base) => {
                let changes = base.iter().map(|event| {
                    known
                        .change_of(*event)
                        .ok_or(WriteError::UnknownBase(*event))
                });
                Some(changes.collect::<Result<Vec<_>, _>>()?)
            }
        };
        let (device, incarnation) = (self.owner.device.id(), self.state.incarnation.0);
        let last_seq = known.document.last_seq(device, &incarnation);
        let writer = Writer {
            device,
            incarnation,
            last_seq,
        };
        let change = self.contained(memory, || {
            match known.document.edit(&writer, base.as_deref(), &edit.content) {
                Err(EditError::Panicked) => {
                    let reason = "automerge panicked over an edit".to_owned();
                    Err(AppendError::Broken(memory, reason))
                }
                change => Ok(change),
            }
        })?;
        let Some(change) = change.map_err(WriteError::Edit)? else {
            return Ok(false);
        };
        let (epoch, key) = self.writing_key(facts)?;
        let draft = Draft {
            kind: Kind::Change,
            owner: facts.owner,
            feed: Feed::Memory(memory),
            parents: known.events_of(&change.deps),
            epoch,
        };
        let event = self.seal(draft, &change.bytes, &key)?;
        self.append(
            event,
            Some(Prepared {
                known,
                hash: change.hash,
            }),
        )?;
        Ok(true)
    }

    fn may_write(&self, facts: &Facts) -> bool {
        self.state
            .held_under(facts, self.now)
            .any(|grant| grant.terms.access == crdt::grant::Access::Write)
    }

    /// Returns the key for the next change: a new one if someone lost access since the last.
    fn writing_key(&mut self, facts: &Facts) -> Result<(Epoch, ContentKey), WriteError> {
        let is_mine = facts.owner == self.state.me;
        if is_mine && self.state.needs_rotation(facts, self.now) {
            let epoch = Epoch(self.state.rotation.max(facts.epoch.0.saturating_add(1)));
            let key = ContentKey::random(&mut self.rng());
            self.put_content_key(facts.id, epoch, &key)?;
            return Ok((epoch, key));
        }
        let key = self.content_keys(facts.id, facts.epoch)?.pop();
        Ok((facts.epoch, key.ok_or(AppendError::NoKey)?))
    }

    /// Changes the holder's own labels; tells whether there was anything to change.
    pub(super) fn label(
        &mut self,
        memory: MemoryId,
        patch: &SidecarPatch,
    ) -> Result<bool, WriteError> {
        let facts = self.live_facts(memory)?;
        if !changes_anything(&facts, patch) {
            return Ok(false);
        }
        let key = self.sidecar_key()?;
        self.keep_keyring()?;
        let draft = Draft {
            kind: Kind::Sidecar,
            owner: facts.owner,
            feed: Feed::Sidecar(memory),
            parents: Vec::new(),
            epoch: Epoch(0),
        };
        let event = self.seal(draft, &patch.to_bytes(), &key)?;
        self.append(event, None)?;
        Ok(true)
    }

    /// Destroys a memory's keys and readable bytes, here and, by asking, where it was given.
    pub fn purge(&mut self, memory: MemoryId) -> Result<Vec<EventId>, WriteError> {
        let facts = self.live_facts(memory)?;
        if facts.owner != self.state.me {
            return Err(WriteError::NotOwner);
        }
        let draft = Draft {
            kind: Kind::Purge,
            owner: facts.owner,
            feed: Feed::Memory(memory),
            parents: {
                let mut heads = facts.heads();
                heads.truncate(crdt::event::PARENTS_MAX);
                heads
            },
            epoch: facts.epoch,
        };
        let event = self.write_plain(draft, Vec::new())?;
        Ok(vec![event.id()])
    }

    pub(super) fn live_facts(&self, memory: MemoryId) -> Result<Facts, WriteError> {
        let facts = self
            .state
            .memories
            .get(&memory)
            .filter(|facts| !facts.purged);
        let facts = facts.map(|facts| Facts::clone(facts));
        facts.ok_or(WriteError::Unknown(memory))
    }
}

fn changes_anything(facts: &Facts, patch: &SidecarPatch) -> bool {
    let sidecar = &facts.sidecar;
    let has_tag = |tag: &str| sidecar.tags().any(|own| own == tag);
    patch
        .space
        .as_ref()
        .is_some_and(|space| space != sidecar.space())
        || patch
            .sensitivity
            .is_some_and(|level| level != sidecar.sensitivity())
        || patch
            .hidden
            .is_some_and(|hidden| hidden != sidecar.is_hidden())
        || patch.tags.iter().any(|(tag, set)| has_tag(tag) != *set)
}
