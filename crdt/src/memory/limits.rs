//! The limits of a memory: what it may hold, and what one change may cost.
//!
//! Numbers with a measurement behind them name it. A limit of the content is part of the format:
//! raising it needs a new version of the encoding.

/// Bytes of a title: a long headline, not a text.
pub const TITLE_BYTES_MAX: usize = 1024;
/// Bytes of a body. A megabyte in the CRDT costs 3.6 s and 537 MiB: longer texts are attachments.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Tags of one memory.
pub const TAGS_MAX: usize = 256;
/// Bytes of one tag.
pub const TAG_BYTES_MAX: usize = 128;
/// Links of one memory.
pub const LINKS_MAX: usize = 256;
/// Bytes of the relation of a link.
pub const RELATION_BYTES_MAX: usize = 64;
/// Bytes of a source: browsers take addresses of about this length.
pub const SOURCE_BYTES_MAX: usize = 4096;
/// Attachments of one memory.
pub const ATTACHMENTS_MAX: usize = 64;
/// Bytes of the name of an attachment: the limit of common file systems.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a media type: RFC 6838 allows 127 on each side of the slash.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// Bytes of one change: a full body (256 KiB) and its columns.
pub const CHANGE_BYTES_MAX: usize = 512 * 1024;
/// Operations of one change that add something: one per character of a full body, and some more.
pub const INSERTS_MAX: u64 = 300_000;
/// Operations of one change that delete: one per character of a full body, and some more.
pub const DELETES_MAX: u64 = 300_000;
/// Bytes of all changes of one batch; the caller splits longer ones.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Operations of all changes of one batch: about the cost of one change with the full number.
pub const BATCH_OPERATIONS_MAX: u64 = INSERTS_MAX + DELETES_MAX;
/// Changes that one change may directly build on.
pub const DEPENDENCIES_MAX: usize = 16;
/// Writers whose operations one change may refer to: the root and everyone in the document.
pub const CHANGE_ACTORS_MAX: usize = ACTORS_MAX;
/// Writers (a device in one incarnation each) of one document.
pub const ACTORS_MAX: usize = 256;
/// Columns of one change; the format knows about a dozen.
pub const COLUMNS_MAX: usize = 32;
/// The operation counter, far below 2^32 where Automerge panics.
pub const COUNTER_MAX: u64 = 1 << 31;
/// Bytes of a key in a map: the longest is that of a link (52 + 1 + 64).
pub const KEY_BYTES_MAX: usize = 128;
/// Bytes of one value: the source is the longest, an attachment is shorter.
pub const VALUE_BYTES_MAX: usize = SOURCE_BYTES_MAX;
