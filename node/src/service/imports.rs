//! Imports: a folder becomes memories, once, however often it is imported.
//!
//! A memory remembers the file it came from and the hash of what was read. A file that did not
//! change is left alone even if the memory was edited meanwhile; a file that changed is written
//! as an edit, so both sides merge.

use super::{Failure, Services};
use crate::clock;
use crate::import::{Found, Import, ImportedNote, Limits, LinkIndex, Report};
use crdt::id::{MemoryId, to_base32};
use crdt::memory::{BodyEdit, Content, Edit, Link, MemoryKind, SourceEdit};
use crdt::sidecar::SidecarPatch;
use crdt::time::Timestamp;
use protocol::api::imports::{Failure as Failed, ImportReport, Job, NewImport, Skip};
use protocol::api::problem::ErrorCode;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use storage::store::state::source_key;
use storage::tx::{MemoryEdit, WriteError};
use tokio_util::sync::CancellationToken;

/// Notes written in one commit.
const BATCH_NOTES: usize = 128;
/// Bytes of notes written in one commit.
const BATCH_BYTES: usize = 4 << 20;
/// Jobs that are remembered.
const JOBS_MAX: usize = 64;

/// The jobs of this node since it started.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Mutex<BTreeMap<u64, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    job: Job,
    cancel: CancellationToken,
}

impl Jobs {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<u64, Entry>) -> T) -> T {
        f(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
    fn update(&self, number: u64, change: impl FnOnce(&mut Job)) {
        self.with(|jobs| {
            if let Some(entry) = jobs.get_mut(&number) {
                change(&mut entry.job);
            }
        });
    }
}

struct Plan {
    path: PathBuf,
    dry_run: bool,
    tags: Vec<String>,
    space: Option<String>,
    limits: Limits,
    /// Tells imports of different folders with equal file names apart.
    root: String,
}

impl Services {
    /// Starts an import and returns its job.
    pub fn start_import(&self, new: NewImport) -> Result<Job, Failure> {
        let path = PathBuf::from(&new.path);
        if !path.is_absolute() {
            let title = format!("{:?} is no absolute path", new.path);
            return Err(Failure::new(ErrorCode::BadRequest, title));
        }
        let limits = Limits {
            file_bytes_max: new
                .max_file_bytes
                .unwrap_or(self.0.config.import.max_file_bytes),
            ..Limits::default()
        };
        let import = Import::open(&path, limits).map_err(|error| {
            Failure::new(
                ErrorCode::NotFound,
                format!("{} cannot be imported", path.display()),
            )
            .because(error.to_string())
        })?;
        let root = root_name(&path);
        let plan = Plan {
            path,
            dry_run: new.dry_run,
            tags: new.tags,
            space: new.space,
            limits,
            root,
        };
        let cancel = self.0.shutdown.child_token();
        let (number, job) = self.0.jobs.with(|jobs| {
            let number = jobs.last_key_value().map_or(1, |(last, _)| last + 1);
            while jobs.len() >= JOBS_MAX {
                jobs.pop_first();
            }
            let job = Job {
                id: format!("j_{number}"),
                state: "running".to_owned(),
                phase: "scan".to_owned(),
                done: 0,
                total: 0,
                report: None,
                error: None,
            };
            jobs.insert(
                number,
                Entry {
                    job: job.clone(),
                    cancel: cancel.clone(),
                },
            );
            (number, job)
        });
        let services = self.clone();
        drop(import);
        self.0
            .tasks
            .spawn_blocking(move || services.run_import(number, &plan, &cancel));
        Ok(job)
    }

    /// Returns a job.
    pub fn job(&self, id: &str) -> Result<Job, Failure> {
        let number = id.strip_prefix("j_").and_then(|number| number.parse().ok());
        let job = number.and_then(|number: u64| {
            self.0
                .jobs
                .with(|jobs| jobs.get(&number).map(|entry| entry.job.clone()))
        });
        job.ok_or_else(|| Failure::not_found("job", id))
    }

    /// Asks a job to stop; what it wrote stays.
    pub fn cancel_job(&self, id: &str) -> Result<Job, Failure> {
        let job = self.job(id)?;
        let number: u64 = id.trim_start_matches("j_").parse().unwrap_or_default();
        self.0.jobs.with(|jobs| {
            if let Some(entry) = jobs.get(&number) {
                entry.cancel.cancel();
            }
        });
        Ok(job)
    }

    fn run_import(&self, number: u64, plan: &Plan, cancel: &CancellationToken) {
        let started = Instant::now();
        let outcome = self.import(number, plan, cancel);
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.jobs.update(number, |job| match outcome {
            Ok(report) => {
                "done".clone_into(&mut job.state);
                job.report = Some(show(report, plan.dry_run, took_ms));
            }
            Err(failure) => {
                "failed".clone_into(&mut job.state);
                job.error = Some(format!("{}: {}", failure.title, failure.detail));
            }
        });
        self.0.notices.send("job.done", Some(format!("j_{number}")));
    }

    fn import(
        &self,
        number: u64,
        plan: &Plan,
        cancel: &CancellationToken,
    ) -> Result<Report, Failure> {
        let open = || {
            Import::open(&plan.path, plan.limits).map_err(|error| {
                Failure::new(ErrorCode::NotFound, "the folder is gone").because(error.to_string())
            })
        };
        // The first pass learns names, so that links can lead to notes that come later.
        let mut index = LinkIndex::default();
        let mut total = 0;
        for found in open()? {
            if let Found::Note(note) = found {
                index.insert(&note);
                total += 1;
                self.0.jobs.update(number, |job| job.total = total);
            }
            if cancel.is_cancelled() {
                return Err(Failure::new(ErrorCode::Busy, "the import was stopped"));
            }
        }
        let mut report = Report::default();
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut links = Vec::new();
        self.0
            .jobs
            .update(number, |job| "import".clone_into(&mut job.phase));
        for found in open()? {
            match found {
                Found::Skip(skip) => report.add_skip(skip),
                Found::Note(note) => {
                    bytes += note.body.len();
                    batch.push(*note);
                }
            }
            if batch.len() >= BATCH_NOTES || bytes >= BATCH_BYTES {
                self.write_batch(number, plan, &mut batch, &mut report, &mut links)?;
                bytes = 0;
            }
            if cancel.is_cancelled() {
                return Err(Failure::new(ErrorCode::Busy, "the import was stopped"));
            }
        }
        self.write_batch(number, plan, &mut batch, &mut report, &mut links)?;
        if !plan.dry_run {
            self.write_links(number, plan, &index, &links)?;
        }
        Ok(report)
    }

    /// Writes notes in one commit: all of them or none.
    fn write_batch(
        &self,
        number: u64,
        plan: &Plan,
        batch: &mut Vec<ImportedNote>,
        report: &mut Report,
        links: &mut Vec<ImportedNote>,
    ) -> Result<(), Failure> {
        let notes = std::mem::take(batch);
        let count = notes.len() as u64;
        let mut done = Counts::default();
        if plan.dry_run {
            for note in &notes {
                let key = key_of(plan, note);
                let known = self.store().read(|state| known(state, &key));
                done.count(known.as_ref(), note);
            }
        } else {
            done = self.store().transact::<_, Failure>(clock::now(), |tx| {
                let mut done = Counts::default();
                for note in &notes {
                    let found = known(tx.state(), &key_of(plan, note));
                    let is_new = done.count(found.as_ref(), note);
                    if is_new {
                        let written = write_note(tx, plan, note, found.as_ref().map(|k| k.0));
                        if let Err(error) = written {
                            match error {
                                WriteError::Append(error) => return Err(error.into()),
                                other => done.failed.push((note.source.clone(), other.to_string())),
                            }
                        }
                    }
                }
                Ok(done)
            })?;
            self.0.sync.changed();
        }
        report.new += done.new;
        report.changed += done.changed;
        report.same += done.same;
        for (source, reason) in done.failed {
            report.add_failure(source, "not_stored", &reason);
        }
        for note in notes {
            report.add_warnings(&note);
            if !note.links.is_empty() {
                links.push(ImportedNote {
                    body: String::new(),
                    front_matter: None,
                    ..note
                });
            }
        }
        self.0.jobs.update(number, |job| job.done += count);
        Ok(())
    }

    /// Writes the links between notes, once all notes have ids.
    fn write_links(
        &self,
        number: u64,
        plan: &Plan,
        index: &LinkIndex,
        notes: &[ImportedNote],
    ) -> Result<(), Failure> {
        self.0
            .jobs
            .update(number, |job| "link".clone_into(&mut job.phase));
        for chunk in notes.chunks(BATCH_NOTES) {
            self.store().transact::<_, Failure>(clock::now(), |tx| {
                for note in chunk {
                    let id = tx.state().sources.get(&key_of(plan, note));
                    let Some(id) = id else { continue };
                    let targets = note.links.iter().filter_map(|link| {
                        let source = index.resolve(&note.source, link)?;
                        tx.state().sources.get(&source_in(plan, source))
                    });
                    let add_links: std::collections::BTreeSet<Link> = targets
                        .filter(|to| *to != id)
                        .map(Link::mention)
                        .take(crdt::memory::limits::LINKS_MAX)
                        .collect();
                    if add_links.is_empty() {
                        continue;
                    }
                    let content = Edit {
                        add_links,
                        ..Edit::default()
                    };
                    match tx.edit(
                        id,
                        &MemoryEdit {
                            content,
                            ..MemoryEdit::default()
                        },
                    ) {
                        Ok(_) => {}
                        Err(WriteError::Append(error)) => return Err(error.into()),
                        Err(error) => tracing::warn!(%error, "the links of a note were left out"),
                    }
                }
                Ok(())
            })?;
        }
        self.0.sync.changed();
        Ok(())
    }
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
    fn count(&mut self, known: Option<&(MemoryId, String)>, note: &ImportedNote) -> bool {
        match known {
            None => self.new += 1,
            Some((_, digest)) if *digest == digest_of(note) => {
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

fn key_of(plan: &Plan, note: &ImportedNote) -> String {
    source_in(plan, &note.source)
}

fn root_name(path: &Path) -> String {
    let folder = if path.is_file() {
        path.parent().unwrap_or(path)
    } else {
        path
    };
    let hash = blake3::hash(folder.as_os_str().as_encoded_bytes());
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "{name}~{}",
        to_base32(hash.as_bytes().get(..5).unwrap_or_default())
    )
}

/// Returns the memory of a file and the digest of what was imported last.
fn known(state: &storage::store::state::State, key: &str) -> Option<(MemoryId, String)> {
    let id = state.sources.get(key)?;
    let source = state.memories.get(&id)?.source.as_deref()?;
    debug_assert_eq!(source_key(source), key);
    let digest = source.split_once("#b3:").map_or("", |(_, digest)| digest);
    Some((id, digest.to_owned()))
}

fn write_note(
    tx: &mut storage::tx::Tx<'_>,
    plan: &Plan,
    note: &ImportedNote,
    known: Option<MemoryId>,
) -> Result<(), WriteError> {
    let source = format!("{}#b3:{}", key_of(plan, note), digest_of(note));
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
    tx.create(&content, &sidecar)?;
    Ok(())
}

fn show(report: Report, dry_run: bool, took_ms: u64) -> ImportReport {
    let failed = report.failed.into_iter();
    let skips = report.skips.into_iter();
    let warnings = report.warnings.into_iter();
    ImportReport {
        new: report.new,
        changed: report.changed,
        same: report.same,
        skipped: report.skipped,
        failed: failed
            .map(|f| Failed {
                source: f.source,
                reason: f.reason,
            })
            .collect(),
        skips: skips
            .map(|skip| Skip {
                source: skip.source,
                code: skip.code.to_owned(),
                reason: skip.reason.to_owned(),
                count: skip.count,
            })
            .collect(),
        warnings: warnings
            .map(|w| Failed {
                source: w.source,
                reason: w.message,
            })
            .collect(),
        dry_run,
        took_ms,
    }
}
