//! Parses the bytes of one file into a note.
//!
//! A pure function: the same bytes, name and time give the same note on every device. The body
//! is kept as written, apart from line ends (LF) and a leading byte order mark; front matter that
//! was understood stands beside it, also as written. What could not be understood is a
//! [`Warning`], never an error: the only errors are the reasons for which there is no note.

use std::collections::BTreeSet;

use super::dates;
use super::front_matter::{self, Field, Fields, FrontMatterError};
use super::limits::{ALIASES_MAX, Limits, QUOTE_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX, cut};
use super::links::LinkTarget;
use super::markdown::{self, Outline};
use super::skip::SkipReason;
use super::tags;

const CREATED: [&str; 7] = [
    "created",
    "date",
    "created_at",
    "created-at",
    "date created",
    "creation_date",
    "ctime",
];
const UPDATED: [&str; 9] = [
    "updated",
    "modified",
    "updated_at",
    "updated-at",
    "last_modified",
    "lastmod",
    "date modified",
    "date updated",
    "mtime",
];
const ALIASES: [&str; 2] = ["aliases", "alias"];
const TAGS: [&str; 3] = ["tags", "tag", "keywords"];

/// A file as it was read.
#[derive(Debug, Clone, Copy)]
pub struct RawFile<'a> {
    /// The stable key: `file:` and the relative path with `/` between names.
    pub source: &'a str,
    /// The whole content.
    pub bytes: &'a [u8],
    /// When the file last changed, in milliseconds since 1970.
    pub modified_ms: u64,
}

/// A note that was read from a file and is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedNote {
    /// The stable key, by which a later import finds the note again.
    pub source: String,
    /// BLAKE3 of the file's bytes; equal means that nothing has changed.
    pub content_hash: [u8; 32],
    /// From the front matter, else the first top heading, else the file name. Never empty.
    pub title: String,
    /// The text, with LF line ends, without front matter that was understood.
    pub body: String,
    /// The front matter between its fences, as written.
    pub front_matter: Option<String>,
    /// Tags from the front matter and the text.
    pub tags: BTreeSet<String>,
    /// Other names that links may use.
    pub aliases: Vec<String>,
    /// When it was made: from the front matter, else the file's time. At most `updated_ms`.
    pub created_ms: u64,
    /// When it last changed: from the front matter, else the file's time.
    pub updated_ms: u64,
    /// Links to other notes as written, each once, in order.
    pub links: Vec<LinkTarget>,
    /// What was not understood or left out.
    pub warnings: Vec<Warning>,
}

/// A reservation about a note that was imported all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The front matter is not YAML with fields; it stays in the body.
    #[error("the front matter was not understood and stays in the text: {detail}")]
    FrontMatterBroken {
        /// What the YAML parser said.
        detail: String,
    },
    /// The front matter is longer than any person writes; it stays in the body.
    #[error("the front matter is too long and stays in the text")]
    FrontMatterTooLong,
    /// A date is in no form that can be read without guessing.
    #[error("the date in \"{field}\" was not understood: {value}")]
    DateNotUnderstood {
        /// The field of the front matter.
        field: &'static str,
        /// What it says, cut to a readable length.
        value: String,
    },
    /// There were more tags than one note may have.
    #[error("{count} more tags were left out; they are still in the text")]
    TagsLeftOut {
        /// How many.
        count: usize,
    },
    /// There were more links than one note may have.
    #[error("{count} more links were left out; they are still in the text")]
    LinksLeftOut {
        /// How many.
        count: usize,
    },
    /// There were more aliases than one note may have.
    #[error("{count} more aliases were left out")]
    AliasesLeftOut {
        /// How many.
        count: usize,
    },
    /// The text takes too long to read as Markdown.
    #[error("the text is too intricate to look for links and tags")]
    TooIntricate,
}

impl Warning {
    /// Returns the stable name of the warning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FrontMatterBroken { .. } => "front_matter_broken",
            Self::FrontMatterTooLong => "front_matter_too_long",
            Self::DateNotUnderstood { .. } => "date_not_understood",
            Self::TagsLeftOut { .. } => "tags_left_out",
            Self::LinksLeftOut { .. } => "links_left_out",
            Self::AliasesLeftOut { .. } => "aliases_left_out",
            Self::TooIntricate => "too_intricate",
        }
    }
}

/// Parses one file, or says why it is no note.
pub fn parse(file: &RawFile<'_>, limits: &Limits) -> Result<ImportedNote, SkipReason> {
    let text = text_of(file.bytes)?;
    let mut warnings = Vec::new();
    let (front_matter, fields, body) = parted(&text, &mut warnings);
    if body.len() > limits.body_bytes_max {
        return Err(SkipReason::BodyTooLong);
    }
    let outline = markdown::outline(body);
    let (created_ms, updated_ms) = times(&fields, file.modified_ms, &mut warnings);
    let title = title(&fields, &outline, file.source);
    let aliases = aliases(&fields, &mut warnings);
    let front_matter = front_matter.map(str::to_owned);
    let body = body.to_owned();
    let links_left_out = outline.links_left_out;
    if outline.stopped {
        warnings.push(Warning::TooIntricate);
    }
    if links_left_out > 0 {
        warnings.push(Warning::LinksLeftOut {
            count: links_left_out,
        });
    }
    Ok(ImportedNote {
        source: file.source.to_owned(),
        content_hash: *blake3::hash(file.bytes).as_bytes(),
        title,
        body,
        front_matter,
        tags: all_tags(&fields, outline.tags, outline.tags_left_out, &mut warnings),
        aliases,
        created_ms,
        updated_ms,
        links: outline.links,
        warnings,
    })
}

/// Signs at the start of a file that is not text although it might hold no NUL byte.
const MAGIC: [&[u8]; 11] = [
    b"%PDF-",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x7fELF",
    b"\xd0\xcf\x11\xe0",
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
];

/// Returns the text of a file with LF line ends and without byte order mark.
fn text_of(bytes: &[u8]) -> Result<String, SkipReason> {
    // UTF-16 is full of NUL bytes, but telling people that it is not text helps no one.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(SkipReason::NotUtf8);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) || MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(SkipReason::Binary);
    }
    let text = std::str::from_utf8(bytes).ok().ok_or(SkipReason::NotUtf8)?;
    if text.trim().is_empty() {
        return Err(SkipReason::Empty);
    }
    if text.contains('\r') {
        return Ok(text.replace("\r\n", "\n").replace('\r', "\n"));
    }
    Ok(text.to_owned())
}

/// Parts front matter from body; front matter that is not understood stays in the body.
fn parted<'t>(text: &'t str, warnings: &mut Vec<Warning>) -> (Option<&'t str>, Fields, &'t str) {
    let Some((yaml, body)) = front_matter::split(text) else {
        return (None, Fields::default(), text);
    };
    match Fields::parse(yaml) {
        Ok(fields) => (Some(yaml), fields, body),
        Err(error) => {
            warnings.push(match error {
                FrontMatterError::TooLong => Warning::FrontMatterTooLong,
                FrontMatterError::Broken(detail) => Warning::FrontMatterBroken { detail },
            });
            (None, Fields::default(), text)
        }
    }
}

fn title(fields: &Fields, outline: &Outline, source: &str) -> String {
    let written = fields.text(&["title"]).map(|(_, text)| text);
    let name = source.rsplit(['/', ':']).next().unwrap_or(source);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    [written, outline.heading.as_deref(), Some(stem)]
        .into_iter()
        .flatten()
        .map(one_line)
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| source.to_owned())
}

/// Brings text to one line of bounded length without control characters.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = cut(text, TITLE_BYTES_MAX)
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

fn all_tags(
    fields: &Fields,
    in_text: BTreeSet<String>,
    mut left_out: usize,
    warnings: &mut Vec<Warning>,
) -> BTreeSet<String> {
    // The person listed those of the front matter one by one, so they come before the limit.
    let named = TAGS.iter().filter_map(|name| fields.get(name));
    let mut all = BTreeSet::new();
    for tag in named.flat_map(tags::in_field).chain(in_text) {
        if all.len() < TAGS_MAX {
            all.insert(tag);
        } else if !all.contains(&tag) {
            left_out += 1;
        }
    }
    if left_out > 0 {
        warnings.push(Warning::TagsLeftOut { count: left_out });
    }
    all
}

fn aliases(fields: &Fields, warnings: &mut Vec<Warning>) -> Vec<String> {
    let mut all = Vec::new();
    for field in ALIASES.iter().filter_map(|name| fields.get(name)) {
        match field {
            Field::List(items) => all.extend(items.iter().map(|item| one_line(item))),
            Field::Text(text) => all.extend(text.split(',').map(one_line)),
            Field::Other => {}
        }
    }
    all.retain(|alias| !alias.is_empty());
    if all.len() > ALIASES_MAX {
        warnings.push(Warning::AliasesLeftOut {
            count: all.len() - ALIASES_MAX,
        });
        all.truncate(ALIASES_MAX);
    }
    all
}

/// Returns when the note was made and last changed, in this order of time.
fn times(fields: &Fields, modified_ms: u64, warnings: &mut Vec<Warning>) -> (u64, u64) {
    let created = time(fields, &CREATED, warnings);
    let updated = time(fields, &UPDATED, warnings);
    match (created, updated) {
        (Some(created), Some(updated)) => (created.min(updated), updated),
        (Some(created), None) => (created, modified_ms.max(created)),
        (None, Some(updated)) => (modified_ms.min(updated), updated),
        (None, None) => (modified_ms, modified_ms),
    }
}

fn time(fields: &Fields, names: &[&'static str], warnings: &mut Vec<Warning>) -> Option<u64> {
    let (field, text) = fields.text(names)?;
    let time = dates::parse(text);
    if time.is_none() {
        warnings.push(Warning::DateNotUnderstood {
            field,
            value: cut(text, QUOTE_BYTES_MAX).to_owned(),
        });
    }
    time
}
