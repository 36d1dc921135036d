//! What people did, as they would write it down: it decides what comes next and what must be there.
//!
//! It never asks the store. [`Act::run`] does something to the store, [`Book::note`] writes down
//! that it was acknowledged.

use super::*;
use crdt::memory::{BodyEdit, Status};
use std::collections::BTreeSet;

/// What grants select by.
pub(super) const TAGS: [&str; 2] = ["t", "u"];
/// Words of texts, far enough from each other that none is a guess for another.
pub(super) const WORDS: [&str; 6] = [
    "harbour",
    "violin",
    "granite",
    "orchard",
    "umbrella",
    "telescope",
];
/// Beyond so many, memories are purged rather than made.
const MEMORIES_MAX: usize = 30;

/// A memory as it must be: none is purged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) content: Option<Content>,
    pub(super) space: String,
}

/// Everything that was acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Book {
    pub(super) peer: PersonId,
    pub(super) memories: BTreeMap<MemoryId, Kept>,
    /// What each grant selects by, and how far it has come.
    pub(super) grants: BTreeMap<GrantId, (String, &'static str)>,
    /// What left, in order.
    pub(super) sent: Vec<MemoryId>,
    texts: u64,
}

/// Something a person or a node does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Create(Content),
    Edit(MemoryId, Edit),
    Space(MemoryId, String),
    Purge(MemoryId),
    Offer(&'static str),
    Revoke(GrantId),
    Disclose(GrantId, MemoryId),
    Flush,
    Embed,
    Rebuild,
}

/// What an act brought into being.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Done {
    Memory(MemoryId),
    Grant(GrantId),
    Nothing,
}

impl Book {
    pub(super) fn new(peer: PersonId) -> Self {
        Self {
            peer,
            memories: BTreeMap::new(),
            grants: BTreeMap::new(),
            sent: Vec::new(),
            texts: 0,
        }
    }

    pub(super) fn answered(&mut self) {
        for (_, state) in self.grants.values_mut() {
            *state = "active";
        }
    }

    /// Draws what is done next, so that it can be done.
    pub(super) fn next(&mut self, random: &mut SplitMix) -> Act {
        let kept: Vec<_> = self
            .memories
            .iter()
            .filter(|(_, kept)| kept.content.is_some())
            .collect();
        let Some((memory, kept)) = drawn(&kept, random) else {
            return Act::Create(self.content(random));
        };
        let (memory, content) = (**memory, kept.content.clone());
        match random.below(40) {
            0..=9 if kept_is_room(self) => Act::Create(self.content(random)),
            0..=11 => Act::Purge(memory),
            12..=22 => Act::Edit(memory, self.edit(content.as_ref(), random)),
            23..=25 => Act::Space(memory, WORDS[pick(random, WORDS.len())].to_owned()),
            26 => Act::Offer(TAGS[pick(random, TAGS.len())]),
            27 => {
                let open: Vec<_> = self
                    .grants
                    .iter()
                    .filter(|(_, (_, state))| *state != "revoked")
                    .collect();
                match drawn(&open, random) {
                    // One stays for what is sent.
                    Some((grant, _)) if open.len() > 2 => Act::Revoke(**grant),
                    _ => Act::Flush,
                }
            }
            28..=32 => self.disclosure(random).unwrap_or(Act::Flush),
            33..=35 => Act::Flush,
            36..=38 => Act::Embed,
            _ => Act::Rebuild,
        }
    }

    fn disclosure(&self, random: &mut SplitMix) -> Option<Act> {
        let active = self
            .grants
            .iter()
            .filter(|(_, (_, state))| *state == "active");
        let all: Vec<_> = active
            .flat_map(|(grant, (tag, _))| {
                self.memories.iter().filter_map(move |(memory, kept)| {
                    let content = kept.content.as_ref()?;
                    let is_in_view = content.tags.contains(tag) && content.status == Status::Active;
                    is_in_view.then_some((*grant, *memory))
                })
            })
            .collect();
        drawn(&all, random).map(|(grant, memory)| Act::Disclose(*grant, *memory))
    }

    fn text(&mut self, random: &mut SplitMix) -> String {
        self.texts += 1;
        let words = [(); 2].map(|()| WORDS[pick(random, WORDS.len())]);
        // A few texts take more than a page of the engine.
        let long = if random.below(12) == 0 { 900 } else { 1 };
        format!("{} {} {}", words[0], words[1], self.texts) + &" and".repeat(long)
    }

    fn title(&mut self, random: &mut SplitMix) -> String {
        self.texts += 1;
        format!("title {} {}", WORDS[pick(random, WORDS.len())], self.texts)
    }

    fn content(&mut self, random: &mut SplitMix) -> Content {
        let mut content = Content::new(MemoryKind::Note, NOW);
        content.body = self.text(random);
        content.title = format!("title {}", self.texts);
        content.tags = TAGS
            .iter()
            .filter(|_| random.coin())
            .map(|&tag| tag.to_owned())
            .collect();
        content
    }

    fn edit(&mut self, content: Option<&Content>, random: &mut SplitMix) -> Edit {
        let status = content.map(|content| content.status);
        let tag: BTreeSet<String> = [TAGS[pick(random, TAGS.len())].to_owned()].into();
        match random.below(6) {
            0 => Edit {
                title: Some(self.title(random)),
                ..Edit::default()
            },
            1 => Edit {
                add_tags: tag,
                ..Edit::default()
            },
            2 => Edit {
                remove_tags: tag,
                ..Edit::default()
            },
            3 => Edit {
                status: Some(match status {
                    Some(Status::Active) => Status::Forgotten,
                    _ => Status::Active,
                }),
                ..Edit::default()
            },
            _ => Edit {
                body: Some(BodyEdit::Replace(self.text(random))),
                ..Edit::default()
            },
        }
    }

    /// Writes down that something was done.
    pub(super) fn note(&mut self, act: &Act, done: Done) {
        match (act, done) {
            (Act::Create(content), Done::Memory(memory)) => {
                let content = Some(content.clone());
                let space = crdt::sidecar::Sidecar::default().space().to_owned();
                self.memories.insert(memory, Kept { content, space });
            }
            (Act::Edit(memory, edit), _) => {
                if let Some(content) = self
                    .memories
                    .get_mut(memory)
                    .and_then(|kept| kept.content.as_mut())
                {
                    apply(content, edit);
                }
            }
            (Act::Space(memory, space), _) => {
                if let Some(kept) = self.memories.get_mut(memory) {
                    kept.space.clone_from(space);
                }
            }
            (Act::Purge(memory), _) => {
                if let Some(kept) = self.memories.get_mut(memory) {
                    kept.content = None;
                }
            }
            (Act::Offer(tag), Done::Grant(grant)) => {
                self.grants.insert(grant, ((*tag).to_owned(), "offered"));
            }
            (Act::Revoke(grant), _) => {
                if let Some((_, state)) = self.grants.get_mut(grant) {
                    *state = "revoked";
                }
            }
            (Act::Disclose(_, memory), _) => self.sent.push(*memory),
            _ => {}
        }
    }
}

fn kept_is_room(book: &Book) -> bool {
    let kept = book.memories.values().filter(|kept| kept.content.is_some());
    kept.count() < MEMORIES_MAX
}

fn apply(content: &mut Content, edit: &Edit) {
    if let Some(title) = &edit.title {
        content.title.clone_from(title);
    }
    if let Some(BodyEdit::Replace(body)) = &edit.body {
        content.body.clone_from(body);
    }
    content.tags.extend(edit.add_tags.iter().cloned());
    content.tags.retain(|tag| !edit.remove_tags.contains(tag));
    if let Some(status) = edit.status {
        content.status = status;
    }
}

fn pick(random: &mut SplitMix, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap_or(1);
    usize::try_from(random.below(limit)).unwrap_or(0)
}

fn drawn<'a, T>(all: &'a [T], random: &mut SplitMix) -> Option<&'a T> {
    all.get(pick(random, all.len().max(1)))
}

impl Act {
    /// Whether the text index is on the disk once it is done.
    pub(super) fn saves_texts(&self) -> bool {
        matches!(self, Self::Flush | Self::Rebuild)
    }

    /// Does it; what comes back without an error is acknowledged.
    pub(super) fn run(&self, store: &Store, book: &Book) -> Result<Done, String> {
        match self {
            Self::Create(content) => {
                let write = |tx: &mut Tx<'_>| tx.create(content, &SidecarPatch::default());
                let made = store.transact::<_, WriteError>(NOW, write);
                made.map(Done::Memory).map_err(|error| said(&error))
            }
            Self::Edit(memory, content) => {
                let edit = MemoryEdit {
                    content: content.clone(),
                    ..MemoryEdit::default()
                };
                nothing(store.transact(NOW, |tx| tx.edit(*memory, &edit)))
            }
            Self::Space(memory, space) => {
                let sidecar = SidecarPatch {
                    space: Some(space.clone()),
                    ..SidecarPatch::default()
                };
                let edit = MemoryEdit {
                    sidecar,
                    ..MemoryEdit::default()
                };
                nothing(store.transact(NOW, |tx| tx.edit(*memory, &edit)))
            }
            Self::Purge(memory) => nothing(store.transact(NOW, |tx| tx.purge(*memory))),
            Self::Offer(tag) => {
                let (terms, selector) = (Terms::of(Access::Write), format!("tag:{tag}"));
                let made = store.transact(NOW, |tx| tx.offer(book.peer, selector, terms));
                made.map(Done::Grant).map_err(|error| said(&error))
            }
            Self::Revoke(grant) => {
                nothing(store.transact(NOW, |tx| tx.revoke(*grant, String::new())))
            }
            Self::Disclose(grant, memory) => {
                let root = [EventId(memory.0)];
                let write = |tx: &mut Tx<'_>| tx.disclose(book.peer, &root, &[(*grant, *memory)]);
                let given = store.transact(NOW, write).map_err(|error| said(&error))?;
                assert_eq!(given.memories.len(), 1, "it is in the view");
                Ok(Done::Nothing)
            }
            Self::Flush => nothing(store.flush()),
            Self::Embed => nothing(oracle::embed(store)),
            Self::Rebuild => nothing(store.rebuild(NOW)),
        }
    }
}

fn nothing<T>(done: Result<T, impl std::error::Error>) -> Result<Done, String> {
    done.map(|_| Done::Nothing).map_err(|error| said(&error))
}

/// An error with its causes.
fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
