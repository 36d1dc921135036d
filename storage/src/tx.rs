//! A transaction: events are admitted, sealed, projected, and committed together.
//!
//! ```text
//! draft -> sign -> admit -> open -> gate -> facts and content -> one batch
//! ```
//!
//! The state in memory is changed in place and put back if the transaction fails: nobody else
//! sees it meanwhile. Rows are staged and read through.
//!
//! Invariant: nothing is appended that is not [`Verified`](crdt::event::admit::Verified); a refused event stages nothing.

mod aftermath;
mod append;
mod approve;
mod blob;
mod circle;
mod disclose;
mod edit;
mod fork;
mod gaps;
mod keyring;
mod keys;
mod late;
mod lease;
mod own;
mod peers;
mod policy;
mod project;
pub(crate) mod quarantine;
mod quota;
mod retire;
mod share;
mod take;
mod tray;
mod wait;

pub use aftermath::GivenBack;
pub use append::AppendError;
pub use circle::Followed;
pub use disclose::{DisclosedMemory, Disclosure};
pub use edit::{EditOutcome, MemoryEdit, WriteError};
pub use keyring::EnrolError;
pub use peers::TicketUse;
pub use policy::ReleaseError;
pub(crate) use project::describe;
pub use quota::OVER_QUOTA;
pub use retire::RetireError;
pub use share::ShareError;
pub use take::Taken;
pub use tray::{Merged, TrayError};

use crate::content;
use crate::entropy::Entropy;
use crate::fork::Forked;
use crate::gaps::Gaps;
use crate::kv::sealed::OpaqueKey;
use crate::kv::{Batch, Durability, Keyspace, Kv, KvError};
use crate::late::Late;
use crate::layout::{self, meta};
use crate::quarantine::Quarantined;
use crate::records::{Facts, Invite, Peer, PeerState, SourceKey};
use crate::screen::Screen;
use crate::store::own::Own;
use crate::store::state::texts::Texts;
use crate::store::state::{Consent, State};
use crate::store::{Owner, StoreError};
use crate::waiting::Waiting;
use crdt::envelope::Epoch;
use crdt::event::Incarnation;
use crdt::grant::authority::Authority;
use crdt::id::{GrantId, MemoryId, PersonId};
use crdt::memory::{Attachment, Content};
use crdt::time::{Hybrid, Timestamp};
use rand_core::UnwrapErr;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far the clock goes before the latest time is written down again.
const WALL_STEP_MS: u64 = 60_000;

/// One transaction.
pub struct Tx<'a> {
    state: &'a mut State,
    kv: &'a dyn Kv,
    opaque: &'a OpaqueKey,
    owner: &'a Owner,
    entropy: &'a Entropy,
    now: Timestamp,
    batch: Batch,
    /// Rows of the batch, to be read before they are committed.
    staged: BTreeMap<(Keyspace, Vec<u8>), Option<Vec<u8>>>,
    saved: Saved,
    /// Memories that changed, with their new content where it is at hand.
    touched: BTreeMap<MemoryId, Option<Content>>,
    /// Memories that left the view of a grant or came back.
    moved: BTreeMap<GrantId, BTreeMap<MemoryId, bool>>,
    /// Memories whose purge is among the events that are being taken in.
    doomed: BTreeSet<MemoryId>,
    /// Peers of whom something changed that the other own devices should know.
    met: BTreeSet<PersonId>,
    /// Peers who may not know all devices of this person.
    unaware: BTreeSet<PersonId>,
    /// Forked memories of which it is not certain any more what counts.
    unsettled: BTreeSet<MemoryId>,
    /// A memory whose document failed, and why.
    broken: RefCell<Option<(MemoryId, String)>>,
    /// A failure of the engine inside a question that cannot return one.
    failure: RefCell<Option<KvError>>,
    is_committed: bool,
    /// Whether the log is being replayed to rebuild the projections.
    pub(crate) is_replaying: bool,
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tx({} operations)", self.batch.ops.len())
    }
}

/// Authority, consent, and the policy in force.
type SavedAuthority = (Authority, BTreeMap<PersonId, Consent>, Arc<dyn Screen>, Own);

/// What to put back if the transaction fails.
#[derive(Debug, Default)]
struct Saved {
    scalars: (u64, Hybrid, u32, u32, Timestamp),
    authority: Option<SavedAuthority>,
    /// Whether who may see what changed: that concerns every memory.
    is_far_reaching: bool,
    peers: Option<BTreeMap<PersonId, Peer>>,
    invites: Option<Vec<Invite>>,
    texts: Option<Texts>,
    late: Option<Late>,
    forks: Option<BTreeMap<MemoryId, Forked>>,
    quarantined: Option<BTreeMap<MemoryId, Quarantined>>,
    waiting: Option<Waiting>,
    gaps: Option<Gaps>,
    incarnation: Option<Incarnation>,
    facts: BTreeMap<MemoryId, Option<Arc<Facts>>>,
    sources: BTreeMap<SourceKey, Option<MemoryId>>,
    members: BTreeMap<MemoryId, Option<BTreeMap<GrantId, Vec<Epoch>>>>,
    attached: BTreeMap<MemoryId, Option<Vec<Attachment>>>,
}

/// What a commit did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) touched: BTreeMap<MemoryId, Option<Content>>,
    saved: Saved,
}

impl Done {
    /// Puts the state back to what it was before the transaction, when those after it are taken
    /// back already.
    pub(crate) fn take_back(self, state: &mut State) {
        self.saved.put_back(state);
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        state: &'a mut State,
        kv: &'a dyn Kv,
        opaque: &'a OpaqueKey,
        (owner, entropy): (&'a Owner, &'a Entropy),
        now: Timestamp,
    ) -> Self {
        let scalars = (
            state.head,
            state.clock,
            state.rotation,
            state.floor,
            state.wall,
        );
        Self {
            state,
            kv,
            opaque,
            owner,
            entropy,
            now,
            batch: Batch::new(),
            staged: BTreeMap::new(),
            saved: Saved {
                scalars,
                ..Saved::default()
            },
            touched: BTreeMap::new(),
            moved: BTreeMap::new(),
            doomed: BTreeSet::new(),
            met: BTreeSet::new(),
            unaware: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            broken: RefCell::new(None),
            failure: RefCell::new(None),
            is_committed: false,
            is_replaying: false,
        }
    }

    /// Returns the state, with what this transaction has done so far.
    pub fn state(&self) -> &State {
        self.state
    }
    /// Returns whose store it is.
    pub fn owner(&self) -> &Owner {
        self.owner
    }
    /// Returns the time of the transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn commit(mut self, durability: Durability) -> Result<Done, StoreError> {
        self.settle_forks()?;
        self.follow_moves()?;
        self.follow_peers()?;
        if !self.batch.is_empty() && self.now > self.state.wall.plus_ms(WALL_STEP_MS) {
            self.note_wall();
        }
        if !self.batch.is_empty() {
            self.kv
                .commit(std::mem::take(&mut self.batch), durability)?;
        }
        self.is_committed = true;
        let saved = &self.saved;
        let everything = saved.is_far_reaching
            || saved.late.is_some()
            || saved.forks.is_some()
            || self.has_other_company();
        let memories = saved.facts.keys().chain(saved.members.keys()).copied();
        self.state.changes.note(memories, everything);
        Ok(Done {
            touched: std::mem::take(&mut self.touched),
            saved: std::mem::take(&mut self.saved),
        })
    }

    fn note_wall(&mut self) {
        self.state.wall = self.now;
        let wall = self.now.0.to_le_bytes().to_vec();
        self.put(layout::META, meta::WALL.to_vec(), wall);
    }
    /// Takes the time of this transaction as right, although a later one was seen.
    pub fn accept_clock(&mut self) {
        self.note_wall();
    }

    fn rng(&self) -> UnwrapErr<Entropy> {
        self.entropy.rng()
    }
    fn next_time(&self) -> Hybrid {
        self.state.clock.tick(self.now, Hybrid::default())
    }

    pub(crate) fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.staged.get(&(keyspace, key.to_vec())) {
            Some(staged) => Ok(staged.clone()),
            None => self.kv.get(keyspace, key),
        }
    }
    /// Returns the content of a memory, with what this transaction staged.
    pub(crate) fn content(&self, memory: MemoryId) -> Result<Option<Content>, StoreError> {
        match self.touched.get(&memory) {
            Some(Some(content)) => Ok(Some(content.clone())),
            _ => content::content(self, memory),
        }
    }
    /// Reads a row where the caller cannot return a failure; the failure is noted.
    fn get_or_note(&self, keyspace: Keyspace, key: &[u8]) -> Option<Vec<u8>> {
        self.get(keyspace, key).unwrap_or_else(|error| {
            self.failure.replace(Some(error));
            None
        })
    }
    fn check_failure(&self) -> Result<(), StoreError> {
        match self.failure.take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
    fn put(&mut self, keyspace: Keyspace, key: Vec<u8>, value: Vec<u8>) {
        self.staged
            .insert((keyspace, key.clone()), Some(value.clone()));
        self.batch.put(keyspace, key, value);
    }
    fn delete(&mut self, keyspace: Keyspace, key: Vec<u8>) {
        self.staged.insert((keyspace, key.clone()), None);
        self.batch.delete(keyspace, key);
    }

    pub(crate) fn memory_key(&self, memory: MemoryId) -> Vec<u8> {
        self.opaque.opaque(memory.as_bytes()).to_vec()
    }
    /// Tells whether a content key of a memory and epoch is here.
    pub fn holds_key(&self, memory: MemoryId, epoch: Epoch) -> Result<bool, StoreError> {
        Ok(self.epochs_of(memory)?.contains(&epoch))
    }

    /// Notes what the state holds of a memory before `next` takes its place.
    fn save_facts(&mut self, next: &Facts) {
        let before = self.state.memories.get(&next.id);
        let facts = [before.map(Arc::as_ref), Some(next)];
        let sources = facts.into_iter().flatten();
        for source in sources.filter_map(|facts| facts.source.as_ref()) {
            let key = source.key();
            let known = self.state.sources.at(key);
            self.saved.sources.entry(key).or_insert(known);
        }
        let before = || before.cloned();
        self.saved.facts.entry(next.id).or_insert_with(before);
    }
    fn save_members(&mut self, memory: MemoryId) {
        let before = || self.state.members.get(&memory).cloned();
        self.saved.members.entry(memory).or_insert_with(before);
    }
    fn save_authority(&mut self) {
        self.saved.is_far_reaching = true;
        self.save_contact();
    }
    /// Saves what [`Tx::save_authority`] saves, for a change that no view depends on.
    fn save_contact(&mut self) {
        let state = &self.state;
        let before = || {
            let (authority, consent) = (state.authority.clone(), state.consent.clone());
            (
                authority,
                consent,
                Arc::clone(&state.screen),
                state.own.clone(),
            )
        };
        self.saved.authority.get_or_insert_with(before);
    }
    fn save_peers(&mut self) {
        let before = || self.state.peers.clone();
        self.saved.peers.get_or_insert_with(before);
    }
    /// Tells whether other persons are paired than before, or the same under other names.
    fn has_other_company(&self) -> bool {
        let company = |peers: &BTreeMap<PersonId, Peer>| -> Vec<(PersonId, String, PeerState)> {
            let peers = peers.values();
            peers
                .map(|peer| (peer.person, peer.petname.clone(), peer.state))
                .collect()
        };
        let before = self.saved.peers.as_ref();
        before.is_some_and(|before| company(before) != company(&self.state.peers))
    }
    fn save_texts(&mut self) {
        let before = || self.state.texts.clone();
        self.saved.texts.get_or_insert_with(before);
    }
    fn save_invites(&mut self) {
        let before = || self.state.invites.clone();
        self.saved.invites.get_or_insert_with(before);
    }

    fn save_late(&mut self) {
        let before = || self.state.late.clone();
        self.saved.late.get_or_insert_with(before);
    }

    fn save_forks(&mut self) {
        let before = || self.state.forks.clone();
        self.saved.forks.get_or_insert_with(before);
    }
    fn save_quarantined(&mut self) {
        let before = || self.state.quarantined.clone();
        self.saved.quarantined.get_or_insert_with(before);
    }
    fn save_waiting(&mut self) {
        let before = || self.state.waiting.clone();
        self.saved.waiting.get_or_insert_with(before);
    }
}

impl Saved {
    fn put_back(self, state: &mut State) {
        let saved = self;
        let (head, clock, rotation, floor, wall) = saved.scalars;
        state.head = head;
        state.clock = clock;
        state.rotation = rotation;
        state.floor = floor;
        state.wall = wall;
        if let Some((authority, consent, screen, own)) = saved.authority {
            state.screen = screen;
            state.authority = authority;
            state.consent = consent;
            state.own = own;
        }
        if let Some(peers) = saved.peers {
            state.peers = peers;
        }
        if let Some(texts) = saved.texts {
            state.texts = texts;
        }
        if let Some(invites) = saved.invites {
            state.invites = invites;
        }
        if let Some(late) = saved.late {
            state.late = late;
        }
        if let Some(forks) = saved.forks {
            state.forks = forks;
        }
        if let Some(quarantined) = saved.quarantined {
            state.quarantined = quarantined;
        }
        if let Some(waiting) = saved.waiting {
            state.waiting = waiting;
        }
        if let Some(gaps) = saved.gaps {
            state.gaps = gaps;
        }
        if let Some(incarnation) = saved.incarnation {
            state.incarnation = incarnation;
        }
        for (memory, grants) in saved.members {
            match grants {
                Some(grants) => state.members.insert(memory, grants),
                None => state.members.remove(&memory),
            };
        }
        for (memory, attachments) in saved.attached {
            match attachments {
                Some(attachments) => state.attached.insert(memory, attachments),
                None => state.attached.remove(&memory),
            };
        }
        for (memory, facts) in saved.facts {
            if let Some(now) = state.memories.remove(&memory) {
                state.slots.remove(&now.slot);
            }
            if let Some(facts) = facts {
                state.put_facts(facts);
            }
        }
        for (source, memory) in saved.sources {
            match memory {
                Some(memory) => state.sources.insert(source, memory),
                None => state.sources.remove(source),
            }
        }
    }
}

impl content::Rows for Tx<'_> {
    fn row(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.get(keyspace, key)
    }
    fn names(&self) -> &OpaqueKey {
        self.opaque
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if !self.is_committed {
            std::mem::take(&mut self.saved).put_back(self.state);
        }
    }
}
