//! Attachments: attach, hand out, take away, and how many are here.

use super::view::attachment;
use super::{Failure, Services};
use crate::clock;
use crdt::hash::Hash;
use crdt::id::{MemoryId, PersonId};
use crdt::memory::limits::{ATTACHMENTS_MAX, MEDIA_TYPE_BYTES_MAX, NAME_BYTES_MAX};
use crdt::memory::{Attachment, Edit};
use protocol::api::attachments::{Attached, Attachments};
use protocol::api::memories::Written;
use protocol::api::problem::ErrorCode;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use storage::blob::{BlobError, Kept, Reader, Upload};
use storage::store::state::State;
use storage::tx::MemoryEdit;

/// The fewest characters of a hash that stand for it.
const HASH_CHARS_MIN: usize = 8;
/// How long a request waits for an attachment that is not here.
const ARRIVAL_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// The media type of what nobody said more about.
const MEDIA_TYPE: &str = "application/octet-stream";

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        let detail = error.to_string();
        match error {
            BlobError::DiskFull => Self::new(ErrorCode::DiskFull, "the disk is full")
                .because("nothing was stored; what was acknowledged before is safe")
                .hint("free some space and try again; the node needs no restart"),
            BlobError::TooLarge { limit } => too_large(limit),
            BlobError::Damaged { .. } => {
                tracing::error!(detail, "a blob is damaged");
                Self::new(ErrorCode::StoreDamaged, "the attachment is damaged")
                    .because(detail)
                    .hint("attach the same file again: that mends it")
            }
            other => {
                tracing::error!(error = %other, "a blob could not be used");
                Self::new(
                    ErrorCode::StoreReadOnly,
                    "the attachment could not be stored or read",
                )
                .because(detail)
            }
        }
    }
}

fn too_large(limit: u64) -> Failure {
    Failure::new(ErrorCode::TooLarge, "the file is too large to attach")
        .because(format!("an attachment has at most {limit} bytes here"))
        .hint("raise attachments.max_file_bytes, up to 4 GiB")
}

/// A file on its way in.
#[derive(Debug)]
pub struct Arriving {
    memory: MemoryId,
    name: String,
    media_type: String,
    /// Takes the bytes.
    pub upload: Upload,
}

/// What was found under the name of an attachment.
#[derive(Debug)]
pub struct Found {
    /// The attachment.
    pub attachment: Attachment,
    /// Its bytes.
    pub reader: Reader,
}

impl Services {
    /// Begins to take in a file for a memory; `announced` is its size, if that is known.
    pub fn begin_attachment(
        &self,
        id: &str,
        name: String,
        media_type: Option<String>,
        announced: Option<u64>,
    ) -> Result<Arriving, Failure> {
        let memory = self.find(id)?;
        self.check_may_attach(memory)?;
        let media_type = media_type.unwrap_or_else(|| MEDIA_TYPE.to_owned());
        check_name(&name)?;
        check_media_type(&media_type)?;
        let desk = self.0.sync.desk();
        if announced.is_some_and(|bytes| bytes > desk.bytes_max()) {
            return Err(too_large(desk.bytes_max()));
        }
        Ok(Arriving {
            memory,
            name,
            media_type,
            upload: desk.blobs().upload(desk.bytes_max())?,
        })
    }

    /// Refuses before the bytes come what would be refused after.
    fn check_may_attach(&self, memory: MemoryId) -> Result<(), Failure> {
        let count = self.store().read(|state| state.attachments(memory).len());
        if count >= ATTACHMENTS_MAX {
            let title = "the memory has as many attachments as it can";
            return Err(Failure::new(ErrorCode::LimitExceeded, title)
                .because(format!("{ATTACHMENTS_MAX} are the limit")));
        }
        let may_write = self.store().read(|state| {
            let facts = state.memories.get(&memory)?;
            let is_writer = |access| access == crdt::grant::Access::Write;
            let mut grants = state.held_under(facts, clock::now());
            Some(facts.owner == state.me || grants.any(|grant| is_writer(grant.terms.access)))
        });
        if may_write == Some(true) {
            return Ok(());
        }
        Err(
            Failure::new(ErrorCode::Forbidden, "this memory belongs to someone else")
                .because("the grant under which it is here does not let you write"),
        )
    }

    /// Keeps a file that arrived whole, and attaches it to its memory.
    pub fn attach(&self, arrived: Arriving) -> Result<Attached, Failure> {
        let Arriving {
            memory,
            name,
            media_type,
            upload,
        } = arrived;
        let Kept { hash, bytes, pin } = upload.finish()?;
        let new = Attachment {
            hash,
            name,
            media_type,
            bytes,
        };
        let mut edit = MemoryEdit::default();
        edit.content.add_attachments = vec![new.clone()];
        let written = self.write(memory, &edit, "memory.updated");
        // The memory refers to the blob now, or nothing does.
        drop(pin);
        let written = written.inspect_err(|_| self.sweep_blobs())?;
        let desk = self.0.sync.desk();
        let known = self.store().read(|state| {
            let mut all = state.attachments(memory).iter();
            all.find(|known| known.hash == hash).cloned()
        });
        Ok(Attached {
            written,
            attachment: attachment(&known.unwrap_or(new), desk),
        })
    }

    /// Finds an attachment by its hash, the beginning of it, or its name.
    fn find_attachment(&self, memory: MemoryId, text: &str) -> Result<Attachment, Failure> {
        let all = self
            .store()
            .read(|state| state.attachments(memory).to_vec());
        let lower = text.to_lowercase();
        let is_hash = |file: &&Attachment| {
            lower.len() >= HASH_CHARS_MIN && file.hash.to_string().starts_with(&lower)
        };
        let named: Vec<&Attachment> = all.iter().filter(|file| file.name == text).collect();
        let hashed: Vec<&Attachment> = all.iter().filter(is_hash).collect();
        match (named.as_slice(), hashed.as_slice()) {
            ([one], _) | ([], [one]) => Ok((*one).clone()),
            ([], []) => Err(Failure::not_found("attachment", text)
                .hint(format!("brainctl show {memory}      list what is attached"))),
            (several, others) => {
                let title = format!("several attachments are called {text:?}");
                let failure = Failure::new(ErrorCode::AmbiguousId, title);
                let several = several.iter().chain(others);
                Err(several.fold(failure, |failure, file| failure.hint(file.hash.to_string())))
            }
        }
    }

    /// Opens an attachment. One that is not here is asked for first, and waited for a little.
    pub async fn attachment(&self, id: &str, name: &str) -> Result<Found, Failure> {
        let wanted = tokio::task::block_in_place(|| {
            let memory = self.find(id)?;
            self.find_attachment(memory, name)
        })?;
        let desk = self.0.sync.desk();
        if !desk.blobs().holds(wanted.hash) {
            if wanted.bytes > desk.bytes_max() {
                let limit = desk.bytes_max();
                let title = format!("the attachment {:?} is not fetched", wanted.name);
                return Err(Failure::new(ErrorCode::NotHereYet, title)
                    .because(format!("it has {} bytes of at most {limit}", wanted.bytes))
                    .hint("raise attachments.max_file_bytes, up to 4 GiB"));
            }
            desk.want_now(wanted.hash);
            let deadline = Instant::now() + ARRIVAL_MAX;
            while !desk.blobs().holds(wanted.hash) {
                if Instant::now() >= deadline || self.0.shutdown.is_cancelled() {
                    return Err(not_here(&wanted, desk.bytes_here(&wanted)));
                }
                tokio::time::sleep(POLL).await;
            }
        }
        let reader = tokio::task::block_in_place(|| desk.blobs().read(wanted.hash))?;
        let missing = || not_here(&wanted, 0);
        let reader = reader.ok_or_else(missing)?;
        Ok(Found {
            attachment: wanted,
            reader,
        })
    }

    /// Takes an attachment away; its bytes go with the last memory that refers to them.
    pub fn detach(&self, id: &str, name: &str) -> Result<Written, Failure> {
        let memory = self.find(id)?;
        let wanted = self.find_attachment(memory, name)?;
        let edit = MemoryEdit {
            content: Edit {
                remove_attachments: [wanted.hash].into(),
                ..Edit::default()
            },
            ..MemoryEdit::default()
        };
        let written = self.write(memory, &edit, "memory.updated")?;
        self.sweep_blobs();
        Ok(written)
    }

    /// Removes bytes that no memory refers to any more.
    pub(super) fn sweep_blobs(&self) {
        if let Err(error) = self.0.sync.sweep_blobs() {
            // The memory is gone all the same; the node tries again at its next start.
            tracing::error!(%error, "bytes of attachments could not be removed");
        }
    }

    /// Counts attachments, and what of them is not here.
    pub(super) fn count_attachments(&self) -> Attachments {
        let desk = self.0.sync.desk();
        let all: BTreeMap<Hash, u64> = self.store().read(|state: &State| {
            let all = state.attached().flat_map(|(_, attachments)| attachments);
            all.map(|file| (file.hash, file.bytes)).collect()
        });
        let (missing, bytes_missing) = self.lacking(|_| true);
        Attachments {
            count: all.len() as u64,
            bytes: all.values().sum(),
            missing,
            bytes_missing,
            bytes_max: desk.bytes_max(),
        }
    }

    /// Counts the attachments that are not here, of memories with these owners, and their bytes.
    pub(super) fn lacking(&self, is_meant: impl Fn(PersonId) -> bool) -> (u64, u64) {
        let missing = self.0.sync.missing_blobs().into_iter();
        let missing = missing.filter(|missing| is_meant(missing.owner));
        let by_blob: BTreeMap<Hash, u64> = missing
            .map(|missing| {
                let attachment = &missing.attachment;
                let lacking = attachment.bytes.saturating_sub(missing.bytes_here);
                (attachment.hash, lacking)
            })
            .collect();
        (by_blob.len() as u64, by_blob.values().sum())
    }
}

fn not_here(wanted: &Attachment, bytes_here: u64) -> Failure {
    let title = format!("the attachment {:?} is not here yet", wanted.name);
    Failure::new(ErrorCode::NotHereYet, title)
        .because(format!("{bytes_here} of {} bytes are here", wanted.bytes))
        .hint("it comes when somebody who has it is online: brainctl sync status")
}

fn bad(title: &str) -> Failure {
    Failure::new(ErrorCode::BadRequest, title)
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() > NAME_BYTES_MAX {
        let title = "the name of the file is too long";
        return Err(Failure::new(ErrorCode::LimitExceeded, title)
            .because(format!("it has {} bytes of {NAME_BYTES_MAX}", name.len())));
    }
    if name.is_empty() || name.contains('/') || name.chars().any(char::is_control) {
        return Err(bad("that is no name for a file"));
    }
    Ok(())
}

fn check_media_type(text: &str) -> Result<(), Failure> {
    let is_graphic = |c: char| c.is_ascii_graphic() || c == ' ';
    if text.len() > MEDIA_TYPE_BYTES_MAX || !text.contains('/') || !text.chars().all(is_graphic) {
        return Err(bad("that is no media type"));
    }
    Ok(())
}
