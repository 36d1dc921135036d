//! `attachment`: attaches files to a memory, writes them out again, takes them away.
//!
//! Files pass through in pieces; the node keeps them sealed, and fetches those that others attached.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::{bytes, count, one_line, short};
use protocol::api::attachments::{Attached, Attachment};
use protocol::api::memories::{Memory, Written};
use protocol::api::status::NodeStatus;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The fewest characters of a hash that stand for it.
const HASH_CHARS_MIN: usize = 8;
/// Media types by the ending of the name. It is a hint for whoever opens the file, nothing else.
const MEDIA_TYPES: [(&str, &str); 24] = [
    ("avif", "image/avif"),
    ("csv", "text/csv"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("epub", "application/epub+zip"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webp", "image/webp"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("zip", "application/zip"),
];

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Attach files to a memory
    Add {
        /// The memory
        id: String,
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Say what media type they have; guessed from the name if absent
        #[arg(long = "type", value_name = "MEDIA-TYPE")]
        media_type: Option<String>,
    },
    /// Write an attachment to a file
    Get {
        /// The memory
        id: String,
        /// The attachment: its name, or 8 characters of its hash
        attachment: String,
        /// Where to write it; its name, in this folder, if absent
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Take an attachment away from a memory
    Rm {
        /// The memory
        id: String,
        /// The attachment: its name, or 8 characters of its hash
        attachment: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Add {
            id,
            files,
            media_type,
        } => add(client, id, files, media_type.as_deref()),
        Verb::Get {
            id,
            attachment,
            output,
            force,
        } => get(client, (id, attachment), output.as_deref(), *force),
        Verb::Rm { id, attachment } => rm(client, id, attachment),
    }
}

fn add(
    client: &Client,
    id: &str,
    files: &[PathBuf],
    media_type: Option<&str>,
) -> Result<Report, CommandError> {
    let files = open_all(client, files)?;
    let attached = attach(client, id, files, media_type)?;
    let Some(last) = attached.last() else {
        return Err(CommandError::usage(
            "There is no file",
            "brainctl attachment add ID FILE",
        ));
    };
    let total = attached.iter().map(|one| one.attachment.bytes).sum();
    let many = count(attached.len(), "file", "files");
    let memory = last.written.id.clone();
    let text = format!(
        "✓ Attached {many} ({}) to {}\n",
        bytes(total),
        short(&memory)
    );
    let all: Vec<&Attachment> = attached.iter().map(|one| &one.attachment).collect();
    let report = Report::new("attachment.add", &last.written);
    let report = report.with("attachments", serde_json::json!(all));
    Ok(report.confirmation(text).ids([memory]))
}

/// A file that can be sent.
pub(super) struct Opened {
    name: String,
    media_type: &'static str,
    file: File,
    length: u64,
}

/// Opens files and looks whether they fit, before anything is written.
pub(super) fn open_all(client: &Client, files: &[PathBuf]) -> Result<Vec<Opened>, CommandError> {
    let status: NodeStatus = client.get(&["v1", "node"], &[])?;
    let limit = status.attachments.bytes_max;
    let opened = files.iter().map(|path| {
        let (file, length) = open(path)?;
        if length > limit {
            return Err(too_large(path, length, limit));
        }
        let name = path.file_name().unwrap_or_default();
        Ok(Opened {
            name: name.to_string_lossy().into_owned(),
            media_type: guess(path),
            file,
            length,
        })
    });
    opened.collect()
}

/// Attaches files, one after the other.
pub(super) fn attach(
    client: &Client,
    id: &str,
    files: Vec<Opened>,
    media_type: Option<&str>,
) -> Result<Vec<Attached>, CommandError> {
    let send = |opened: Opened| {
        let place = ["v1", "memories", id, "attachments"];
        let query = [("name", opened.name.as_str())];
        let media_type = media_type.unwrap_or(opened.media_type);
        client.upload(&place, &query, (opened.file, opened.length), media_type)
    };
    files.into_iter().map(send).collect()
}

fn open(path: &Path) -> Result<(File, u64), CommandError> {
    let failed = |source| CommandError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("it is no file")));
    }
    Ok((file, metadata.len()))
}

/// The node would close the connection while the file is sent, and its answer would be lost.
fn too_large(path: &Path, length: u64, limit: u64) -> CommandError {
    CommandError::Refused(Box::new(crate::error::Refusal {
        title: format!("{} is too large to attach", path.display()),
        detail: format!("it has {length} bytes; an attachment has at most {limit} here"),
        code: "too_large".to_owned(),
        hints: vec!["raise attachments.max_file_bytes, up to 4 GiB".to_owned()],
        status: 413,
        trace_id: None,
    }))
}

fn guess(path: &Path) -> &'static str {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let ending = ending.to_lowercase();
    let known = MEDIA_TYPES.iter().find(|(known, _)| *known == ending);
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

fn get(
    client: &Client,
    (id, wanted): (&str, &str),
    output: Option<&Path>,
    force: bool,
) -> Result<Report, CommandError> {
    let (memory, attachment) = find(client, id, wanted)?;
    let own = PathBuf::from(file_name(&attachment));
    let path = output.unwrap_or(&own);
    let failed = |source| CommandError::File {
        path: path.to_owned(),
        source,
    };
    if path.exists() && !force {
        let taken = format!("{} is there already", path.display());
        return Err(CommandError::usage(
            taken,
            "--force replaces it, -o FILE names another",
        ));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Beside its place first: a file that broke off never looks like a whole one.
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    let place = ["v1", "memories", &memory, "attachments", &attachment.hash];
    client.download(&place, file.as_file_mut())?;
    let kept = if force {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    kept.map_err(|error| failed(error.error))?;
    let size = bytes(attachment.bytes);
    let text = format!("✓ Wrote {} ({size})\n", path.display());
    let report = Report::new("attachment.get", &attachment);
    let report = report.with("path", path.display().to_string());
    Ok(report.confirmation(text).ids([attachment.hash]))
}

fn rm(client: &Client, id: &str, wanted: &str) -> Result<Report, CommandError> {
    let (memory, attachment) = find(client, id, wanted)?;
    let place = ["v1", "memories", &memory, "attachments", &attachment.hash];
    let written: Written = client.delete(&place)?;
    let name = one_line(&attachment.name, 60);
    let text = format!("✓ Took {name} away from {}\n", short(&memory));
    Ok(Report::new("attachment.rm", &written)
        .confirmation(text)
        .ids([written.id]))
}

/// Finds an attachment by its name or the beginning of its hash.
fn find(client: &Client, id: &str, wanted: &str) -> Result<(String, Attachment), CommandError> {
    let memory: Memory = client.get(&["v1", "memories", id], &[])?;
    let lower = wanted.to_lowercase();
    let is_hash =
        |one: &&Attachment| wanted.len() >= HASH_CHARS_MIN && one.hash.starts_with(&lower);
    let all = memory.attachments.iter();
    let named: Vec<&Attachment> = all.clone().filter(|one| one.name == wanted).collect();
    let hashed: Vec<&Attachment> = all.filter(is_hash).collect();
    match (named.as_slice(), hashed.as_slice()) {
        ([one], _) | ([], [one]) => Ok((memory.id, (*one).clone())),
        ([], []) => Err(CommandError::NothingMatches(wanted.to_owned())),
        _ => Err(CommandError::usage(
            format!("Several attachments are called {wanted:?}"),
            "brainctl show ID --json      name one by its hash",
        )),
    }
}

/// Returns a name that stays in this folder and is seen there: the name is what someone wrote.
fn file_name(attachment: &Attachment) -> String {
    let last = attachment
        .name
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let kept: String = last.chars().filter(|c| !c.is_control()).collect();
    let kept = kept.trim_start_matches(['.', '-', ' ']);
    if kept.is_empty() {
        short(&attachment.hash)
    } else {
        kept.to_owned()
    }
}

/// Returns how an attachment is shown in a line.
pub(super) fn line(attachment: &Attachment) -> String {
    let size = if attachment.bytes_here == attachment.bytes {
        bytes(attachment.bytes)
    } else {
        format!(
            "{} of {} here",
            bytes(attachment.bytes_here),
            bytes(attachment.bytes)
        )
    };
    let name = one_line(&attachment.name, 80);
    format!("{name} ({size}) {}", short(&attachment.hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str) -> Attachment {
        Attachment {
            name: name.to_owned(),
            hash: "0123456789abcdef".repeat(4),
            media_type: "a/b".to_owned(),
            bytes: 20_000_000,
            bytes_here: 20_000_000,
        }
    }

    #[test]
    fn a_name_from_elsewhere_stays_in_this_folder() {
        let table = [
            ("photo.jpg", "photo.jpg"),
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("..\\evil", "evil"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("..", "0123456789ab"),
            ("a\u{1b}[2Jb", "a[2Jb"),
        ];
        for (name, expect) in table {
            assert_eq!(file_name(&called(name)), expect, "{name:?}");
        }
    }

    #[test]
    fn what_is_not_here_yet_is_shown_as_that() {
        let mut attachment = called("a.bin");
        assert_eq!(line(&attachment), "a.bin (20.0 MB) 0123456789ab");
        attachment.bytes_here = 5_000_000;
        assert_eq!(
            line(&attachment),
            "a.bin (5.0 MB of 20.0 MB here) 0123456789ab"
        );
    }

    #[test]
    fn the_media_type_follows_the_name() {
        assert_eq!(guess(Path::new("/x/A.PNG")), "image/png");
        assert_eq!(guess(Path::new("core")), "application/octet-stream");
    }
}
