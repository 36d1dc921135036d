//! The merging form of a memory: an Automerge document, hidden.
//!
//! It is not kept for memories that nobody edited: a root event's content is materialised when it
//! is first needed, and given back as a snapshot afterwards. Changes come in through
//! [`Document::edit`] (our own) and [`Document::admit`] (everyone's).
//!
//! Shape: the root map holds `title` and `body` (text), `tags` and `links` (maps whose keys are
//! the items), `attachments` (a list of encoded values), and the scalars `kind`, `status`,
//! `source`, `created`.
//!
//! Invariant: the same memory and content materialise to the same bytes on every node, so first
//! edits made apart build on one change and merge.

use super::Content;
use super::content::ContentError;
use super::history::History;
use super::project::{self, ATTACHMENTS, BODY, CREATED, KIND, LINKS, SOURCE, STATUS, TAGS, TITLE};
use crate::codec::Canonical as _;
use crate::hash::Hash;
use crate::id::{DeviceId, MemoryId, to_base32};
use automerge::transaction::{CommitOptions, Transactable as _, Transaction};
use automerge::{Automerge, AutomergeError, LoadOptions, ObjType, ROOT, ScalarValue, TextEncoding};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;

/// The 16 bytes that name a writer inside one document.
pub(super) type ActorId = [u8; 16];

/// The hash of a change, which its children name it by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeHash(pub [u8; 32]);

impl std::fmt::Debug for ChangeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ChangeHash({}..)",
            to_base32(self.0.get(..5).unwrap_or(&[]))
        )
    }
}

/// The reason why a snapshot gives no document.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Automerge does not read it.
    #[error("the snapshot does not load: {0}")]
    Unreadable(String),
    /// It is not a snapshot of this memory.
    #[error("the snapshot belongs to another memory")]
    OtherMemory,
}

/// A memory that merges.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) memory: MemoryId,
    pub(super) automerge: Automerge,
    pub(super) history: History,
}

impl Document {
    /// Makes the document of a root, the same on every node.
    ///
    /// The content must pass [`Content::check`], as every decoded one does.
    ///
    /// # Panics
    ///
    /// Never: a fresh document takes every content that passes the check.
    pub fn materialise(memory: MemoryId, content: &Content) -> Result<Self, ContentError> {
        content.check()?;
        let mut automerge = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint)
            .with_actor(automerge::ActorId::from(root_actor(memory)));
        let mut transaction = automerge.transaction();
        write_root(&mut transaction, content)
            .expect("a fresh document takes every value within the limits");
        transaction.commit_with(CommitOptions::default().with_time(0));
        let history = History::of(&automerge).expect("its only actor has 16 bytes");
        Ok(Self {
            memory,
            automerge,
            history,
        })
    }

    /// Returns the memory this is the document of.
    pub fn memory(&self) -> MemoryId {
        self.memory
    }

    /// Returns the merged content; values beyond the limits are cut or left out.
    pub fn content(&self) -> Content {
        project::content(&self.automerge)
    }

    /// Returns the content of those changes that `counts` names and that build on nothing else,
    /// with their heads, ascending: what the document was before the others came.
    pub fn of_changes(
        &self,
        counts: impl Fn(&ChangeHash) -> bool,
    ) -> Result<(Content, Vec<ChangeHash>), RestoreError> {
        let mut inside = BTreeSet::new();
        let mut heads = BTreeSet::new();
        // They come in an order in which each stands after those that it builds on.
        for change in self.automerge.get_changes_meta(&[]) {
            let hash = ChangeHash(change.hash.0);
            let is_whole = change.deps.iter().all(|deps| inside.contains(&deps.0));
            if is_whole && counts(&hash) {
                inside.insert(hash.0);
                heads.insert(hash);
                for deps in &change.deps {
                    heads.remove(&ChangeHash(deps.0));
                }
            }
        }
        let heads: Vec<ChangeHash> = heads.into_iter().collect();
        if inside.len() == self.history.len() {
            return Ok((self.content(), heads));
        }
        let named: Vec<_> = heads
            .iter()
            .map(|head| automerge::ChangeHash(head.0))
            .collect();
        let before = project::Before {
            document: &self.automerge,
            heads: &named,
        };
        let content = contained(|| project::content(&before));
        let panicked = || RestoreError::Unreadable("automerge panicked".to_owned());
        Ok((content.ok_or_else(panicked)?, heads))
    }

    /// Returns the changes that no other change builds on, ascending.
    pub fn heads(&self) -> Vec<ChangeHash> {
        let heads = self.automerge.get_heads();
        let mut heads: Vec<_> = heads.into_iter().map(|head| ChangeHash(head.0)).collect();
        heads.sort_unstable();
        heads
    }

    /// Returns whether a change is part of the document.
    pub fn contains(&self, hash: &ChangeHash) -> bool {
        self.history.get(hash).is_some()
    }

    /// Returns the number of changes, the root's included.
    pub fn changes(&self) -> usize {
        self.history.len()
    }

    /// Returns the sequence number of the newest change of a device in one incarnation, 0 if none.
    pub fn last_seq(&self, device: DeviceId, incarnation: &[u8; 16]) -> u64 {
        let actor = actor(device, self.memory, incarnation);
        self.history.last(&actor).map_or(0, |(seq, _)| seq)
    }

    /// Returns a compact snapshot, to be kept at home and given to [`Document::restore`] only.
    pub fn save(&self) -> Vec<u8> {
        self.automerge.save()
    }

    /// Reads a snapshot of our own; never for bytes from outside.
    pub fn restore(memory: MemoryId, snapshot: &[u8]) -> Result<Self, RestoreError> {
        // A disk can lie: damaged bytes must not take the node down.
        let automerge = catch_unwind(|| load(snapshot))
            .unwrap_or_else(|_| Err(AutomergeError::Fail))
            .map_err(|error| RestoreError::Unreadable(error.to_string()))?;
        let history = History::of(&automerge).ok_or(RestoreError::OtherMemory)?;
        if !history.knows(&root_actor(memory)) {
            return Err(RestoreError::OtherMemory);
        }
        Ok(Self {
            memory,
            automerge,
            history,
        })
    }

    /// Runs work on Automerge; `None` if it panicked.
    pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
        contained(work)
    }
}

/// Runs work on documents; `None` if it panicked. Whatever the work was changing is not to be
/// used any more.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Loads bytes that this module saved.
pub(super) fn load(snapshot: &[u8]) -> Result<Automerge, AutomergeError> {
    let options = LoadOptions::new().text_encoding(TextEncoding::UnicodeCodePoint);
    Automerge::load_with_options(snapshot, options)
}

/// Returns the actor of the change that a root materialises to.
pub(super) fn root_actor(memory: MemoryId) -> ActorId {
    short(Hash::of(
        "second-brain 2026 memory root actor",
        &[memory.as_bytes()],
    ))
}

/// Returns the actor of a device in one incarnation.
pub(super) fn actor(device: DeviceId, memory: MemoryId, incarnation: &[u8; 16]) -> ActorId {
    short(Hash::of(
        "second-brain 2026 memory actor",
        &[device.as_bytes(), memory.as_bytes(), incarnation],
    ))
}

fn short(hash: Hash) -> ActorId {
    *hash
        .0
        .first_chunk()
        .expect("32 bytes have 16 at their start")
}

/// Writes a content into an empty document. The order of these lines is part of the format.
fn write_root(to: &mut Transaction<'_>, content: &Content) -> Result<(), AutomergeError> {
    to.put(ROOT, KIND, content.kind.as_str())?;
    to.put(ROOT, STATUS, content.status.as_str())?;
    to.put(ROOT, CREATED, ScalarValue::Uint(content.created.0))?;
    if let Some(source) = &content.source {
        to.put(ROOT, SOURCE, source.as_str())?;
    }
    let title = to.put_object(ROOT, TITLE, ObjType::Text)?;
    to.splice_text(&title, 0, 0, &content.title)?;
    let body = to.put_object(ROOT, BODY, ObjType::Text)?;
    to.splice_text(&body, 0, 0, &content.body)?;
    let tags = to.put_object(ROOT, TAGS, ObjType::Map)?;
    for tag in &content.tags {
        to.put(&tags, tag.as_str(), true)?;
    }
    let links = to.put_object(ROOT, LINKS, ObjType::Map)?;
    for link in &content.links {
        to.put(&links, project::link_key(link), true)?;
    }
    let attachments = to.put_object(ROOT, ATTACHMENTS, ObjType::List)?;
    for (at, attachment) in content.attachments.iter().enumerate() {
        to.insert(&attachments, at, ScalarValue::Bytes(attachment.to_bytes()))?;
    }
    Ok(())
}
