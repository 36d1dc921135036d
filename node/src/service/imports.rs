//! Imports: a folder becomes memories, once, however often it is imported.
//!
//! A memory remembers the file it came from and the hash of what was read. A file that did not
//! change is left alone even if the memory was edited meanwhile; a file that changed is written
//! as an edit, so both sides merge.

use super::{Failure, Services};
use crate::import::{Import, Limits, Report};
use crate::telemetry::traces::Span;
use crdt::id::to_base32;
use protocol::api::imports::{Failure as Failed, ImportReport, Job, NewImport, Skip};
use protocol::api::problem::ErrorCode;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

mod pipeline;

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
    /// Tells whether a job runs.
    pub(super) fn is_busy(&self) -> bool {
        self.with(|jobs| jobs.values().any(|entry| entry.job.state == "running"))
    }
    fn update(&self, number: u64, change: impl FnOnce(&mut Job)) {
        self.with(|jobs| {
            if let Some(entry) = jobs.get_mut(&number) {
                change(&mut entry.job);
            }
        });
    }
}

/// What is to be imported, and how.
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
        let span = Span::begin("import");
        self.0
            .tasks
            .spawn_blocking(move || services.run_import(number, &plan, &cancel, &span));
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

    fn run_import(&self, number: u64, plan: &Plan, cancel: &CancellationToken, span: &Span) {
        let started = Instant::now();
        let _step = span.enter();
        let outcome = self.import(number, plan, cancel);
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.jobs.update(number, |job| match outcome {
            Ok(report) => {
                span.count("brain.memories", report.new + report.changed);
                "done".clone_into(&mut job.state);
                job.report = Some(show(report, plan.dry_run, took_ms));
            }
            Err(failure) => {
                span.fail();
                "failed".clone_into(&mut job.state);
                job.error = Some(format!("{}: {}", failure.title, failure.detail));
            }
        });
        self.0.notices.send("job.done", Some(format!("j_{number}")));
    }
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
