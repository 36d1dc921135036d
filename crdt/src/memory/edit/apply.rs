//! An edit as operations of one Automerge transaction.
//!
//! Values that are already as wished give no operation. Limits refuse what grows beyond them; an
//! edit that makes something smaller is always possible.
//!
//! Places in a text count in the state that the editor saw. When the transaction stands on more
//! than that (the writer's own newer changes), each place is carried over by the identity of the
//! character it names.

use super::super::content::{self, ContentError};
use super::super::diff::{Splice, diff};
use super::super::limits::{
    ATTACHMENTS_MAX, BODY_BYTES_MAX, LINKS_MAX, SOURCE_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX,
};
use super::super::project::{self, ATTACHMENTS, BODY, KIND, LINKS, SOURCE, STATUS, TAGS, TITLE};
use super::{BodyEdit, Edit, EditError, SourceEdit};
use crate::codec::Canonical as _;
use automerge::transaction::{Transactable as _, Transaction};
use automerge::{
    Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc as _, ScalarValue,
};
use std::collections::BTreeSet;

/// The state that the editor saw.
pub(super) struct Seen<'a> {
    /// The whole document.
    pub(super) present: &'a Automerge,
    /// The heads that were seen, if the transaction stands on more.
    pub(super) base: Option<Vec<ChangeHash>>,
}

/// Writes an edit into a transaction.
pub(super) fn apply(
    to: &mut Transaction<'_>,
    seen: &Seen<'_>,
    edit: &Edit,
) -> Result<(), EditError> {
    if let Some(kind) = edit.kind {
        put_word(to, KIND, kind.as_str())?;
    }
    if let Some(status) = edit.status {
        put_word(to, STATUS, status.as_str())?;
    }
    match &edit.source {
        Some(SourceEdit::Set(source)) => {
            content::fits("source", source, SOURCE_BYTES_MAX)?;
            put_word(to, SOURCE, source)?;
        }
        Some(SourceEdit::Clear) if to.get(ROOT, SOURCE)?.is_some() => to.delete(ROOT, SOURCE)?,
        _ => {}
    }
    if let Some(title) = &edit.title {
        let field = Field {
            key: TITLE,
            limit: TITLE_BYTES_MAX,
        };
        field.write(to, seen, |old| Ok(diff(old, title)))?;
    }
    if let Some(body) = &edit.body {
        let field = Field {
            key: BODY,
            limit: BODY_BYTES_MAX,
        };
        field.write(to, seen, |old| body_splices(old, body))?;
    }
    apply_sets(to, edit)?;
    apply_attachments(to, edit)
}

fn put_word(to: &mut Transaction<'_>, key: &str, word: &str) -> Result<(), AutomergeError> {
    if project::string(to, key).as_deref() == Some(word) {
        return Ok(());
    }
    to.put(ROOT, key, word)
}

fn apply_sets(to: &mut Transaction<'_>, edit: &Edit) -> Result<(), EditError> {
    for tag in &edit.add_tags {
        content::check_tag(tag)?;
    }
    for link in &edit.add_links {
        content::check_link(link)?;
    }
    let key_of = project::link_key;
    put_keys(
        to,
        (TAGS, TAGS_MAX),
        edit.add_tags.iter().cloned(),
        edit.remove_tags.iter().cloned(),
    )?;
    put_keys(
        to,
        (LINKS, LINKS_MAX),
        edit.add_links.iter().map(key_of),
        edit.remove_links.iter().map(key_of),
    )
}

fn put_keys(
    to: &mut Transaction<'_>,
    (what, limit): (&'static str, usize),
    add: impl Iterator<Item = String>,
    remove: impl Iterator<Item = String>,
) -> Result<(), EditError> {
    let mut map = project::object(to, what, ObjType::Map);
    for key in remove {
        if let Some(map) = &map
            && to.get(map, key.as_str())?.is_some()
        {
            to.delete(map, key.as_str())?;
        }
    }
    for key in add {
        let map = match &map {
            Some(map) => map.clone(),
            None => map.insert(to.put_object(ROOT, what, ObjType::Map)?).clone(),
        };
        if to.get(&map, key.as_str())?.is_none() {
            content::count(what, to.length(&map) + 1, limit)?;
            to.put(&map, key, true)?;
        }
    }
    Ok(())
}

fn apply_attachments(to: &mut Transaction<'_>, edit: &Edit) -> Result<(), EditError> {
    if edit.add_attachments.is_empty() && edit.remove_attachments.is_empty() {
        return Ok(());
    }
    let list = match project::object(to, ATTACHMENTS, ObjType::List) {
        Some(list) => list,
        None if edit.add_attachments.is_empty() => return Ok(()),
        None => to.put_object(ROOT, ATTACHMENTS, ObjType::List)?,
    };
    let mut present = BTreeSet::new();
    for (at, attachment) in project::attachment_places(to).into_iter().rev() {
        if edit.remove_attachments.contains(&attachment.hash) {
            to.delete(&list, at)?;
        } else {
            present.insert(attachment.hash);
        }
    }
    for attachment in &edit.add_attachments {
        content::check_attachment(attachment)?;
        if present.insert(attachment.hash) {
            content::count("attachments", present.len(), ATTACHMENTS_MAX)?;
            let end = to.length(&list);
            to.insert(&list, end, ScalarValue::Bytes(attachment.to_bytes()))?;
        }
    }
    Ok(())
}

fn body_splices(old: &str, body: &BodyEdit) -> Result<Vec<Splice>, EditError> {
    match body {
        BodyEdit::Replace(new) => Ok(diff(old, new)),
        BodyEdit::Splice { at, delete, insert } => {
            let (at, delete, length) = (*at, *delete, old.chars().count());
            let end = at.saturating_add(delete);
            if end > length {
                return Err(EditError::OutOfRange { at, end, length });
            }
            let insert = insert.clone();
            Ok(vec![Splice { at, delete, insert }])
        }
    }
}

/// A text at a key of the root.
struct Field {
    key: &'static str,
    limit: usize,
}

impl Field {
    fn write(
        &self,
        to: &mut Transaction<'_>,
        seen: &Seen<'_>,
        splices: impl FnOnce(&str) -> Result<Vec<Splice>, EditError>,
    ) -> Result<(), EditError> {
        let text = match project::object(to, self.key, ObjType::Text) {
            Some(text) => text,
            None => to.put_object(ROOT, self.key, ObjType::Text)?,
        };
        let before = to.text(&text)?;
        // A text object that the base does not have is read as it is now.
        let old = match &seen.base {
            Some(base) => seen.present.text_at(&text, base).ok(),
            None => None,
        };
        let carry = seen.base.as_deref().filter(|_| old.is_some());
        for splice in splices(old.as_deref().unwrap_or(&before))?.iter().rev() {
            match carry {
                Some(base) => carried(to, seen.present, &text, base, splice)?,
                None => to.splice_text(&text, splice.at, signed(splice.delete), &splice.insert)?,
            }
        }
        let found = to.text(&text)?.len();
        if found > self.limit && found > before.len() {
            let (what, limit) = (self.key, self.limit);
            return Err(ContentError::TooLong { what, found, limit }.into());
        }
        Ok(())
    }
}

fn signed(delete: usize) -> isize {
    isize::try_from(delete).unwrap_or(isize::MAX)
}

/// Makes a splice whose places count at `base`, from the back so that earlier places stay valid.
fn carried(
    to: &mut Transaction<'_>,
    present: &Automerge,
    text: &ObjId,
    base: &[ChangeHash],
    splice: &Splice,
) -> Result<(), EditError> {
    for at in (splice.at..splice.at + splice.delete).rev() {
        let (place, there) = place(to, present, text, base, at)?;
        if there {
            to.splice_text(text, place, 1, "")?;
        }
    }
    if !splice.insert.is_empty() {
        let at = match splice.at.checked_sub(1) {
            Some(before) => {
                let (place, there) = place(to, present, text, base, before)?;
                place + usize::from(there)
            }
            None => 0,
        };
        to.splice_text(text, at, 0, &splice.insert)?;
    }
    Ok(())
}

/// Returns where a character of the base is now, and whether it is still there.
fn place(
    to: &Transaction<'_>,
    present: &Automerge,
    text: &ObjId,
    base: &[ChangeHash],
    at: usize,
) -> Result<(usize, bool), AutomergeError> {
    let cursor = present.get_cursor(text, at, Some(base))?;
    let place = to.get_cursor_position(text, &cursor, None)?;
    let there = place < to.length(text) && to.get_cursor(text, place, None)? == cursor;
    Ok((place, there))
}
