//! The content of a memory as a plain value, with its encoding and its limits.
//!
//! It is what a root event carries and what projections read. It is not what merges: that is
//! [`Document`](super::Document).
//!
//! Invariant: what decodes also passes [`Content::check`], and the reverse.

use super::limits::{
    ATTACHMENTS_MAX, BODY_BYTES_MAX, LINKS_MAX, MEDIA_TYPE_BYTES_MAX, NAME_BYTES_MAX,
    RELATION_BYTES_MAX, SOURCE_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX,
};
use super::{MemoryKind, Status};
use crate::codec::{Canonical, DecodeError, Reader, Writer, ascending};
use crate::hash::Hash;
use crate::id::MemoryId;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use thiserror::Error;

/// The first byte of every encoding.
const VERSION: u8 = 1;

/// The reason why a content is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentError {
    /// A text has too many bytes.
    #[error("the {what} has {found} bytes, the limit is {limit}")]
    TooLong {
        /// The field.
        what: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The limit of the field.
        limit: usize,
    },
    /// There are too many of something.
    #[error("there are {found} {what}, the limit is {limit}")]
    TooMany {
        /// The field.
        what: &'static str,
        /// The number of items.
        found: usize,
        /// The limit of the field.
        limit: usize,
    },
    /// A text that must not be empty is empty.
    #[error("a {0} is empty")]
    Empty(&'static str),
    /// Two attachments have the same hash.
    #[error("{0:?} is attached twice")]
    AttachedTwice(Hash),
    /// The time of creation is beyond what a document can hold.
    #[error("the time of creation is out of range")]
    CreatedOutOfRange,
}

/// A file that belongs to a memory, named by the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    /// The hash of the bytes.
    pub hash: Hash,
    /// The name of the file.
    pub name: String,
    /// The media type, such as `image/png`.
    pub media_type: String,
    /// The number of bytes.
    pub bytes: u64,
}

/// A named relation to another memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The other memory.
    pub to: MemoryId,
    /// What it is to this one, such as `answers`.
    pub relation: String,
}

impl Link {
    /// What a memory is to one that merely names it.
    pub const MENTIONED: &str = "mentions";

    /// Returns a link to a memory that is merely named.
    pub fn mention(to: MemoryId) -> Self {
        let relation = Self::MENTIONED.to_owned();
        Self { to, relation }
    }
}

/// What a memory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What sort of thing it is.
    pub kind: MemoryKind,
    /// One line.
    pub title: String,
    /// The text.
    pub body: String,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// Relations to other memories.
    pub links: BTreeSet<Link>,
    /// Where it came from, usually an address.
    pub source: Option<String>,
    /// Files that belong to it, each at most once.
    pub attachments: Vec<Attachment>,
    /// Whether it was put aside.
    pub status: Status,
    /// When it was created, as its author says.
    pub created: Timestamp,
}

impl Content {
    /// Returns a content with a kind and a time, and nothing else.
    pub fn new(kind: MemoryKind, created: Timestamp) -> Self {
        Self {
            kind,
            title: String::new(),
            body: String::new(),
            tags: BTreeSet::new(),
            links: BTreeSet::new(),
            source: None,
            attachments: Vec::new(),
            status: Status::Active,
            created,
        }
    }

    /// Checks the limits; what fails here must not be encoded.
    pub fn check(&self) -> Result<(), ContentError> {
        fits("title", &self.title, TITLE_BYTES_MAX)?;
        fits("body", &self.body, BODY_BYTES_MAX)?;
        count("tags", self.tags.len(), TAGS_MAX)?;
        for tag in &self.tags {
            check_tag(tag)?;
        }
        count("links", self.links.len(), LINKS_MAX)?;
        for link in &self.links {
            check_link(link)?;
        }
        if let Some(source) = &self.source {
            fits("source", source, SOURCE_BYTES_MAX)?;
        }
        count("attachments", self.attachments.len(), ATTACHMENTS_MAX)?;
        let mut seen = BTreeSet::new();
        for attachment in &self.attachments {
            check_attachment(attachment)?;
            if !seen.insert(attachment.hash) {
                return Err(ContentError::AttachedTwice(attachment.hash));
            }
        }
        match i64::try_from(self.created.0) {
            Ok(_) => Ok(()),
            Err(_) => Err(ContentError::CreatedOutOfRange),
        }
    }
}

/// Checks one tag.
pub(super) fn check_tag(tag: &str) -> Result<(), ContentError> {
    filled("tag", tag, TAG_BYTES_MAX)
}

/// Checks one link.
pub(super) fn check_link(link: &Link) -> Result<(), ContentError> {
    filled("relation", &link.relation, RELATION_BYTES_MAX)
}

/// Checks one attachment by itself.
pub(super) fn check_attachment(attachment: &Attachment) -> Result<(), ContentError> {
    fits("attachment name", &attachment.name, NAME_BYTES_MAX)?;
    fits("media type", &attachment.media_type, MEDIA_TYPE_BYTES_MAX)
}

/// Checks the length of a text.
pub(super) fn fits(what: &'static str, text: &str, limit: usize) -> Result<(), ContentError> {
    let found = text.len();
    if found > limit {
        return Err(ContentError::TooLong { what, found, limit });
    }
    Ok(())
}

/// Checks the number of items.
pub(super) fn count(what: &'static str, found: usize, limit: usize) -> Result<(), ContentError> {
    if found > limit {
        return Err(ContentError::TooMany { what, found, limit });
    }
    Ok(())
}

fn filled(what: &'static str, text: &str, limit: usize) -> Result<(), ContentError> {
    if text.is_empty() {
        return Err(ContentError::Empty(what));
    }
    fits(what, text, limit)
}

impl Canonical for Attachment {
    fn encode(&self, out: &mut Writer) {
        self.hash.encode(out);
        out.text(&self.name);
        out.text(&self.media_type);
        out.u64(self.bytes);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            hash: Hash::decode(input)?,
            name: input.text(NAME_BYTES_MAX, "attachment name")?,
            media_type: input.text(MEDIA_TYPE_BYTES_MAX, "media type")?,
            bytes: input.u64("attachment bytes")?,
        })
    }
}

impl Canonical for Link {
    fn encode(&self, out: &mut Writer) {
        self.to.encode(out);
        out.text(&self.relation);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            to: MemoryId::decode(input)?,
            relation: input.text(RELATION_BYTES_MAX, "relation")?,
        })
    }
}

impl Canonical for Content {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.kind.encode(out);
        out.text(&self.title);
        out.text(&self.body);
        out.length(self.tags.len());
        for tag in &self.tags {
            out.text(tag);
        }
        out.length(self.links.len());
        for link in &self.links {
            link.encode(out);
        }
        out.option(self.source.as_ref(), |out, source| out.text(source));
        out.list(&self.attachments);
        self.status.encode(out);
        self.created.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = input.u8("content version")?;
        if found != VERSION {
            let what = "content version";
            return Err(DecodeError::Unknown { what, found });
        }
        let content = Self {
            kind: MemoryKind::decode(input)?,
            title: input.text(TITLE_BYTES_MAX, "title")?,
            body: input.text(BODY_BYTES_MAX, "body")?,
            tags: tags(input)?,
            links: links(input)?,
            source: input.option("source", |input| input.text(SOURCE_BYTES_MAX, "source"))?,
            attachments: input.list(ATTACHMENTS_MAX, "attachments")?,
            status: Status::decode(input)?,
            created: Timestamp::decode(input)?,
        };
        match content.check() {
            Ok(()) => Ok(content),
            Err(_) => Err(DecodeError::NotCanonical("content")),
        }
    }
}

fn tags(input: &mut Reader<'_>) -> Result<BTreeSet<String>, DecodeError> {
    let tags = (0..input.length(TAGS_MAX, "tags")?)
        .map(|_| input.text(TAG_BYTES_MAX, "tag"))
        .collect::<Result<Vec<_>, _>>()?;
    ascending(&tags, "tags")?;
    Ok(tags.into_iter().collect())
}

fn links(input: &mut Reader<'_>) -> Result<BTreeSet<Link>, DecodeError> {
    let links = input.list::<Link>(LINKS_MAX, "links")?;
    ascending(&links, "links")?;
    Ok(links.into_iter().collect())
}
