//! The projection of a document to a content: total, flat, and deaf to hostile shapes.
//!
//! Only the known keys of the root and the items right below are read, so nothing recurses. Where
//! writers conflict, Automerge's winner is taken. A value of the wrong type counts as absent;
//! what is beyond a limit is cut or left out, the same on every node.

use super::content::{check_attachment, check_link, check_tag};
use super::limits::{
    ATTACHMENTS_MAX, BODY_BYTES_MAX, LINKS_MAX, SOURCE_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX,
};
use super::{Attachment, Content, Link, MemoryKind, Status};
use crate::codec::Canonical as _;
use crate::time::Timestamp;
use automerge::{Automerge, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value};
use std::collections::BTreeSet;

pub(super) const KIND: &str = "kind";
pub(super) const STATUS: &str = "status";
pub(super) const CREATED: &str = "created";
pub(super) const SOURCE: &str = "source";
pub(super) const TITLE: &str = "title";
pub(super) const BODY: &str = "body";
pub(super) const TAGS: &str = "tags";
pub(super) const LINKS: &str = "links";
pub(super) const ATTACHMENTS: &str = "attachments";

/// What the projection asks of a document.
pub(super) trait Look {
    /// Returns the value at a key of the root.
    fn at_root(&self, key: &str) -> Option<(Value<'_>, ObjId)>;
    /// Returns the text of a text.
    fn text_of(&self, text: &ObjId) -> Option<String>;
    /// Returns the keys of a map.
    fn keys_of(&self, map: &ObjId) -> Vec<String>;
    /// Returns the values of a list.
    fn values_of(&self, list: &ObjId) -> Vec<Value<'_>>;
}

impl<T: ReadDoc> Look for T {
    fn at_root(&self, key: &str) -> Option<(Value<'_>, ObjId)> {
        self.get(ROOT, key).ok().flatten()
    }
    fn text_of(&self, text: &ObjId) -> Option<String> {
        self.text(text).ok()
    }
    fn keys_of(&self, map: &ObjId) -> Vec<String> {
        self.keys(map).collect()
    }
    fn values_of(&self, list: &ObjId) -> Vec<Value<'_>> {
        self.values(list).map(|(value, _)| value).collect()
    }
}

/// A document as it stood at these heads, which are all in it.
pub(super) struct Before<'a> {
    pub(super) document: &'a Automerge,
    pub(super) heads: &'a [ChangeHash],
}

impl Look for Before<'_> {
    fn at_root(&self, key: &str) -> Option<(Value<'_>, ObjId)> {
        self.document.get_at(ROOT, key, self.heads).ok().flatten()
    }
    fn text_of(&self, text: &ObjId) -> Option<String> {
        self.document.text_at(text, self.heads).ok()
    }
    fn keys_of(&self, map: &ObjId) -> Vec<String> {
        self.document.keys_at(map, self.heads).collect()
    }
    fn values_of(&self, list: &ObjId) -> Vec<Value<'_>> {
        let values = self.document.values_at(list, self.heads);
        values.map(|(value, _)| value).collect()
    }
}

/// Reads the content out of a document.
pub(super) fn content(from: &impl Look) -> Content {
    Content {
        kind: word(from, KIND).unwrap_or(MemoryKind::Note),
        title: text(from, TITLE, TITLE_BYTES_MAX),
        body: text(from, BODY, BODY_BYTES_MAX),
        tags: keys(from, TAGS)
            .filter(|tag| check_tag(tag).is_ok())
            .take(TAGS_MAX)
            .collect(),
        links: keys(from, LINKS)
            .filter_map(|key| link_of(&key))
            .take(LINKS_MAX)
            .collect(),
        source: string(from, SOURCE).map(|source| cut(source, SOURCE_BYTES_MAX)),
        attachments: attachments(from),
        status: word(from, STATUS).unwrap_or(Status::Active),
        created: created(from),
    }
}

/// Returns the key that stands for a link.
pub(super) fn link_key(link: &Link) -> String {
    format!("{} {}", link.to, link.relation)
}

/// Returns the object of a type at a key of the root.
pub(super) fn object(from: &impl Look, key: &str, expect: ObjType) -> Option<ObjId> {
    match from.at_root(key) {
        Some((Value::Object(found), id)) if found == expect => Some(id),
        _ => None,
    }
}

/// Returns the whole text at a key of the root, without a limit.
pub(super) fn full_text(from: &impl Look, key: &str) -> String {
    object(from, key, ObjType::Text)
        .and_then(|id| from.text_of(&id))
        .unwrap_or_default()
}

/// Returns the text scalar at a key of the root.
pub(super) fn string(from: &impl Look, key: &str) -> Option<String> {
    match scalar(from, key)? {
        ScalarValue::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Returns each attachment with its place in the list, well-formed ones only.
pub(super) fn attachment_places(from: &impl Look) -> Vec<(usize, Attachment)> {
    let Some(list) = object(from, ATTACHMENTS, ObjType::List) else {
        return Vec::new();
    };
    from.values_of(&list)
        .into_iter()
        .enumerate()
        .filter_map(|(at, value)| match value {
            Value::Scalar(scalar) => Some((at, attachment_of(&scalar)?)),
            Value::Object(_) => None,
        })
        .collect()
}

fn attachment_of(scalar: &ScalarValue) -> Option<Attachment> {
    let ScalarValue::Bytes(bytes) = scalar else {
        return None;
    };
    Attachment::from_bytes(bytes)
        .ok()
        .filter(|attachment| check_attachment(attachment).is_ok())
}

fn attachments(from: &impl Look) -> Vec<Attachment> {
    let mut seen = BTreeSet::new();
    attachment_places(from)
        .into_iter()
        .map(|(_, attachment)| attachment)
        .filter(|attachment| seen.insert(attachment.hash))
        .take(ATTACHMENTS_MAX)
        .collect()
}

fn scalar(from: &impl Look, key: &str) -> Option<ScalarValue> {
    match from.at_root(key) {
        Some((Value::Scalar(scalar), _)) => Some(scalar.into_owned()),
        _ => None,
    }
}

fn word<T: std::str::FromStr>(from: &impl Look, key: &str) -> Option<T> {
    string(from, key)?.parse().ok()
}

fn text(from: &impl Look, key: &str, limit: usize) -> String {
    cut(full_text(from, key), limit)
}

fn keys(from: &impl Look, key: &str) -> impl Iterator<Item = String> {
    object(from, key, ObjType::Map)
        .into_iter()
        .flat_map(|map| from.keys_of(&map))
}

fn link_of(key: &str) -> Option<Link> {
    let (to, relation) = key.split_once(' ')?;
    let link = Link {
        to: to.parse().ok()?,
        relation: relation.to_owned(),
    };
    // Ids read in either case: only the key that we would write stands for the link.
    (check_link(&link).is_ok() && link_key(&link) == key).then_some(link)
}

fn created(from: &impl Look) -> Timestamp {
    match scalar(from, CREATED) {
        Some(ScalarValue::Uint(ms)) if i64::try_from(ms).is_ok() => Timestamp(ms),
        _ => Timestamp::default(),
    }
}

/// Cuts a text to a number of bytes, between characters.
fn cut(mut text: String, limit: usize) -> String {
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text.truncate(end);
    text
}
