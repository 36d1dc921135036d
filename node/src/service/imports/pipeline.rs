//! The pipeline of an import: one thread reads and parses, another seals, signs and commits.
//!
//! ```text
//! walk, count -> read, parse -> batches, few ahead -> commit each -> commit the links
//! ```
//!
//! Links come last, once every note has an id; until then only their names are kept. A batch is
//! written whole or not at all, and an import that ends early leaves what it wrote: the next one
//! goes on from there.

use super::{Plan, Services};
use crate::clock;
use crate::import::{Found, Import, ImportedNote, LinkIndex, LinkTarget, OpenError, Report, Skip};
use crate::service::Failure;
use crate::telemetry::{journeys, traces};
use crdt::id::{MemoryId, to_base32};
use crdt::memory::{BodyEdit, Content, Edit, Link, MemoryKind, SourceEdit};
use crdt::sidecar::SidecarPatch;
use crdt::time::Timestamp;
use protocol::api::problem::ErrorCode;
use std::collections::BTreeSet;
use std::sync::mpsc::{SyncSender, sync_channel};
use storage::records::Source;
use storage::store::state::State;
use storage::tx::{MemoryEdit, Tx, WriteError};
use tokio_util::sync::CancellationToken;

/// Notes written in one commit.
const BATCH_NOTES: usize = 128;
/// Bytes of notes written in one commit.
const BATCH_BYTES: usize = 4 << 20;
/// Batches that are read and wait to be written.
const BATCHES_AHEAD: usize = 2;

/// What was read together.
#[derive(Default)]
struct Batch {
    notes: Vec<ImportedNote>,
    skips: Vec<Skip>,
}

/// What is remembered of the notes that were written, until their links are.
#[derive(Default)]
struct Written {
    report: Report,
    index: LinkIndex,
    links: Vec<Linking>,
}

/// A note with links to others.
struct Linking {
    source: String,
    links: Vec<LinkTarget>,
}

impl Services {
    pub(super) fn import(
        &self,
        number: u64,
        plan: &Plan,
        cancel: &CancellationToken,
    ) -> Result<Report, Failure> {
        let open = || Import::open(&plan.path, plan.limits).map_err(|error| gone(&error));
        let total = open()?.files();
        self.0.jobs.update(number, |job| {
            job.total = total;
            "import".clone_into(&mut job.phase);
        });
        let import = open()?;
        let mut written = Written::default();
        std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(BATCHES_AHEAD);
            scope.spawn(move || read(import, &sender));
            for batch in batches {
                if cancel.is_cancelled() {
                    return Err(Failure::new(ErrorCode::Busy, "the import was stopped"));
                }
                self.write_batch(number, plan, batch, &mut written)?;
            }
            Ok(())
        })?;
        // Some files turned out to be no notes.
        self.0.jobs.update(number, |job| job.total = job.done);
        if !plan.dry_run {
            self.write_links(number, plan, &written)?;
        }
        Ok(written.report)
    }

    /// Writes notes in one commit: all of them or none.
    fn write_batch(
        &self,
        number: u64,
        plan: &Plan,
        batch: Batch,
        written: &mut Written,
    ) -> Result<(), Failure> {
        let notes = batch.notes;
        let mut done = Counts::default();
        if plan.dry_run {
            for note in &notes {
                let known = self.store().read(|state| known(state, plan, note));
                done.count(known.as_ref());
            }
        } else {
            done = self
                .store()
                .transact(clock::now(), |tx| write_notes(tx, plan, &notes))?;
            self.0.sync.changed();
        }
        let report = &mut written.report;
        report.new += done.new;
        report.changed += done.changed;
        report.same += done.same;
        for (source, reason) in done.failed {
            report.add_failure(source, "not_stored", &reason);
        }
        for skip in batch.skips {
            report.add_skip(skip);
        }
        let count = notes.len() as u64;
        for note in notes {
            report.add_warnings(&note);
            written.index.insert(&note);
            if !note.links.is_empty() {
                let ImportedNote { source, links, .. } = note;
                written.links.push(Linking { source, links });
            }
        }
        self.0.jobs.update(number, |job| job.done += count);
        Ok(())
    }

    /// Writes the links between notes, once all notes have ids.
    fn write_links(&self, number: u64, plan: &Plan, written: &Written) -> Result<(), Failure> {
        self.0
            .jobs
            .update(number, |job| "link".clone_into(&mut job.phase));
        for notes in written.links.chunks(BATCH_NOTES) {
            self.store().transact(clock::now(), |tx| {
                notes
                    .iter()
                    .try_for_each(|note| link(tx, plan, &written.index, note))
            })?;
        }
        self.0.sync.changed();
        Ok(())
    }
}

/// Reads and parses the files and hands them over in batches; ends early if nobody takes them.
fn read(import: Import, batches: &SyncSender<Batch>) {
    let (mut batch, mut bytes) = (Batch::default(), 0);
    for found in import {
        match found {
            Found::Skip(skip) => batch.skips.push(skip),
            Found::Note(note) => {
                bytes += note.body.len();
                batch.notes.push(*note);
            }
        }
        let is_full = batch.notes.len() + batch.skips.len() >= BATCH_NOTES || bytes >= BATCH_BYTES;
        if is_full {
            bytes = 0;
            if batches.send(std::mem::take(&mut batch)).is_err() {
                return;
            }
        }
    }
    // Without a receiver the import has ended already and says why.
    batches.send(batch).unwrap_or_default();
}

fn gone(error: &OpenError) -> Failure {
    Failure::new(ErrorCode::NotFound, "the folder is gone").because(error.to_string())
}

#[derive(Default)]
struct Counts {
    new: u64,
    changed: u64,
    same: u64,
    failed: Vec<(String, String)>,
}

impl Counts {
    /// Counts a note; tells whether it has to be written.
    fn count(&mut self, known: Option<&Known>) -> bool {
        match known {
            None => self.new += 1,
            Some(known) if known.is_same => {
                self.same += 1;
                return false;
            }
            Some(_) => self.changed += 1,
        }
        true
    }
}

fn digest_of(note: &ImportedNote) -> String {
    to_base32(note.content_hash.get(..16).unwrap_or_default())
}

/// The stable key of a file: the folder that was imported, and the path in it.
fn source_in(plan: &Plan, source: &str) -> String {
    format!(
        "file:{}/{}",
        plan.root,
        source.strip_prefix("file:").unwrap_or(source)
    )
}

/// The source of a note: its stable key, and the digest of what is imported.
fn source_of(plan: &Plan, note: &ImportedNote) -> String {
    format!("{}#b3:{}", source_in(plan, &note.source), digest_of(note))
}

fn write_notes(tx: &mut Tx<'_>, plan: &Plan, notes: &[ImportedNote]) -> Result<Counts, Failure> {
    let mut done = Counts::default();
    for note in notes {
        let found = known(tx.state(), plan, note);
        let is_new = done.count(found.as_ref());
        if is_new {
            match write_note(tx, plan, note, found.map(|known| known.id)) {
                Ok(()) => {}
                Err(WriteError::Append(error)) => return Err(error.into()),
                Err(other) => done.failed.push((note.source.clone(), other.to_string())),
            }
        }
    }
    Ok(done)
}

/// Links a note to those that its links lead to.
fn link(tx: &mut Tx<'_>, plan: &Plan, index: &LinkIndex, note: &Linking) -> Result<(), Failure> {
    let Some(id) = tx.state().sources.get(&source_in(plan, &note.source)) else {
        return Ok(());
    };
    let targets = note.links.iter().filter_map(|link| {
        let source = index.resolve(&note.source, link)?;
        tx.state().sources.get(&source_in(plan, source))
    });
    let add_links: BTreeSet<Link> = targets
        .filter(|to| *to != id)
        .map(Link::mention)
        .take(crdt::memory::limits::LINKS_MAX)
        .collect();
    if add_links.is_empty() {
        return Ok(());
    }
    let edit = MemoryEdit {
        content: Edit {
            add_links,
            ..Edit::default()
        },
        ..MemoryEdit::default()
    };
    match tx.edit(id, &edit) {
        Ok(_) => Ok(()),
        Err(WriteError::Append(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "the links of a note were left out");
            Ok(())
        }
    }
}

/// The memory of a file that was imported before.
struct Known {
    id: MemoryId,
    /// Whether the file is as it was then.
    is_same: bool,
}

fn known(state: &State, plan: &Plan, note: &ImportedNote) -> Option<Known> {
    let source = source_of(plan, note);
    let id = state.sources.get(&source)?;
    let known = state.memories.get(&id)?.source.as_ref()?;
    let is_same = *known == Source::of(&source);
    Some(Known { id, is_same })
}

fn write_note(
    tx: &mut Tx<'_>,
    plan: &Plan,
    note: &ImportedNote,
    known: Option<MemoryId>,
) -> Result<(), WriteError> {
    let source = source_of(plan, note);
    let tags = note.tags.iter().chain(&plan.tags).cloned().collect();
    if let Some(id) = known {
        let content = Edit {
            title: Some(note.title.clone()),
            body: Some(BodyEdit::Replace(note.body.clone())),
            add_tags: tags,
            source: Some(SourceEdit::Set(source)),
            ..Edit::default()
        };
        tx.edit(
            id,
            &MemoryEdit {
                content,
                ..MemoryEdit::default()
            },
        )?;
        journeys::follow(id, traces::here());
        return Ok(());
    }
    let mut content = Content::new(MemoryKind::Document, Timestamp(note.created_ms));
    content.title.clone_from(&note.title);
    content.body.clone_from(&note.body);
    content.tags = tags;
    content.source = Some(source);
    let sidecar = SidecarPatch {
        space: plan.space.clone(),
        ..SidecarPatch::default()
    };
    let id = tx.create(&content, &sidecar)?;
    journeys::follow(id, traces::here());
    Ok(())
}
