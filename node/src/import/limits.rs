//! How much of anything one import takes: each number with its unit and its reason.

/// The limits of one import that a configuration may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file; default 50 MiB. The whole file is held in memory while it is parsed,
    /// so raising this raises the peak by the same amount.
    pub file_bytes_max: u64,
    /// Bytes of one body after normalising line ends; default 256 KiB, which is as much text as
    /// a memory's document takes. Raising it above that makes storing refuse the note instead.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: 50 * 1024 * 1024,
            body_bytes_max: 256 * 1024,
        }
    }
}

/// Bytes of front matter that are handed to the YAML parser; the largest seen in the wild are
/// a few KiB.
pub(super) const FRONT_MATTER_BYTES_MAX: usize = 64 * 1024;
/// Keys of one front matter that are kept.
pub(super) const FIELDS_MAX: usize = 256;
/// Items of one list in the front matter that are kept.
pub(super) const LIST_ITEMS_MAX: usize = 1024;
/// Bytes of a title; longer ones are cut at a character.
pub(super) const TITLE_BYTES_MAX: usize = 512;
/// Bytes of one tag; a longer one is a mistake, not a tag.
pub(super) const TAG_BYTES_MAX: usize = 128;
/// Tags of one note.
pub(super) const TAGS_MAX: usize = 256;
/// Other names of one note.
pub(super) const ALIASES_MAX: usize = 64;
/// Bytes of one link target or heading; file systems allow 4096 for a whole path.
pub(super) const LINK_BYTES_MAX: usize = 4096;
/// Different links of one note.
pub(super) const LINKS_MAX: usize = 4096;
/// Bytes of a quoted value or parser message inside a warning.
pub(super) const QUOTE_BYTES_MAX: usize = 160;
/// Times that the Markdown parser may ask to go on. It asks every 256 steps; no body of
/// 256 KiB in the tests of `markdown`, each of one repeated mark, comes this far.
pub(super) const MARKDOWN_TURNS_MAX: u32 = 20_000;
/// Different unsupported extensions that are counted apart.
pub(super) const EXTENSIONS_MAX: usize = 256;
/// Lines of one kind that a report lists; the counts beside them stay exact.
pub(super) const REPORT_LINES_MAX: usize = 10_000;

/// Returns the longest prefix of `text` within `bytes_max` that ends at a character.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or(text)
}
