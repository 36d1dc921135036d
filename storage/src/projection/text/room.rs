//! Room to count in, kept from one search to the next.
//!
//! A search counts by the place of a document, in lists as long as a segment has documents. Making and
//! clearing megabytes for each search cost more than many of the searches, so whoever used a room
//! leaves it clear.
//!
//! Invariant: a room that nobody uses says nothing of any document. One whose search failed is thrown away.

use std::sync::{Mutex, PoisonError};

use super::gather::{Sheet, place};
use super::plan::Tallies;
use super::view::View;

/// How many searches at a time find rooms that are ready; each takes 14 bytes a document.
const KEPT_MAX: usize = 2;

/// Where one search counts the documents of a segment.
#[derive(Default)]
pub(super) struct Room {
    pub(super) sheet: Sheet,
    pub(super) tallies: Tallies,
    /// Whether a document is a hit, by its place.
    pub(super) is_hit: Vec<bool>,
}

/// The rooms that nobody uses, for a search each.
#[derive(Default)]
pub(super) struct Rooms(Mutex<Vec<Vec<Room>>>);

impl Rooms {
    /// Returns a clear room for each segment of a view.
    pub(super) fn take(&self, view: &View<'_>) -> Vec<Room> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut rooms = kept.unwrap_or_default();
        rooms.resize_with(view.segments.len(), Room::default);
        for (room, segment) in rooms.iter_mut().zip(&view.segments) {
            let documents = place(segment.reader.max_doc());
            room.sheet.make_room(documents);
            room.tallies.make_room(documents);
            room.is_hit.resize(documents.max(room.is_hit.len()), false);
        }
        rooms
    }

    /// Takes rooms back, left clear.
    pub(super) fn give_back(&self, rooms: Vec<Room>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(rooms);
        }
    }
}
