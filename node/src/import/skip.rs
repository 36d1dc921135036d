//! The reasons for leaving something out of an import: a stable code and a sentence for each.

use serde::Serialize;

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// The source key (`file:` and the relative path), or `*.ext` for a total by extension.
    pub source: String,
    /// Why it was left out.
    pub reason: SkipReason,
    /// How many files this stands for; 1 except for totals. A folder counts as one.
    pub count: u64,
}

impl Skip {
    pub(super) fn one(source: String, reason: SkipReason) -> Self {
        Self {
            source,
            reason,
            count: 1,
        }
    }
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// A name that begins with a dot: settings, caches, secrets.
    Hidden,
    /// A symbolic link that leads to itself or to a folder around it.
    SymlinkLoop,
    /// A symbolic link that leads out of the imported folder.
    SymlinkOutside,
    /// A symbolic link to nothing.
    SymlinkDangling,
    /// A symbolic link to something in the imported folder, which is met under its own name.
    SymlinkInside,
    /// A pipe, socket or device.
    SpecialFile,
    /// An extension that holds neither Markdown nor plain text.
    UnsupportedExtension,
    /// Nothing but white space.
    Empty,
    /// A file above the limit for files.
    TooLarge,
    /// A text above the limit for the body of a memory.
    BodyTooLong,
    /// Not text.
    Binary,
    /// Text in another encoding than UTF-8.
    NotUtf8,
    /// A file name that is not UTF-8, so no stable key can be made of it.
    NameNotUtf8,
    /// No permission to read it.
    Unreadable,
    /// The system could not read it.
    ReadError,
    /// It was written to while it was read.
    ChangedWhileReading,
}

impl SkipReason {
    /// Every reason, for tables and documents.
    pub const ALL: [Self; 16] = [
        Self::Hidden,
        Self::SymlinkLoop,
        Self::SymlinkOutside,
        Self::SymlinkDangling,
        Self::SymlinkInside,
        Self::SpecialFile,
        Self::UnsupportedExtension,
        Self::Empty,
        Self::TooLarge,
        Self::BodyTooLong,
        Self::Binary,
        Self::NotUtf8,
        Self::NameNotUtf8,
        Self::Unreadable,
        Self::ReadError,
        Self::ChangedWhileReading,
    ];

    /// Returns the stable name of the reason.
    pub fn code(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::SymlinkLoop => "symlink_loop",
            Self::SymlinkOutside => "symlink_outside",
            Self::SymlinkDangling => "symlink_dangling",
            Self::SymlinkInside => "symlink_inside",
            Self::SpecialFile => "special_file",
            Self::UnsupportedExtension => "unsupported_extension",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::BodyTooLong => "body_too_long",
            Self::Binary => "binary",
            Self::NotUtf8 => "not_utf8",
            Self::NameNotUtf8 => "name_not_utf8",
            Self::Unreadable => "unreadable",
            Self::ReadError => "read_error",
            Self::ChangedWhileReading => "changed_while_reading",
        }
    }

    /// Returns the reason as a sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Hidden => "The name begins with a dot; hidden files and folders stay out.",
            Self::SymlinkLoop => "A link that leads back to itself or to a folder around it.",
            Self::SymlinkOutside => "A link that leads out of the imported folder.",
            Self::SymlinkDangling => "A link to something that does not exist.",
            Self::SymlinkInside => {
                "A link to something in the imported folder, which is met under its own name."
            }
            Self::SpecialFile => "A pipe, socket or device, not a file.",
            Self::UnsupportedExtension => "Neither Markdown nor plain text by its extension.",
            Self::Empty => "There is no text in it.",
            Self::TooLarge => "The file is larger than the limit for imported files.",
            Self::BodyTooLong => "The text is longer than one memory can hold; split the file.",
            Self::Binary => "The file is not text.",
            Self::NotUtf8 => "The text is not UTF-8; save it as UTF-8 and import again.",
            Self::NameNotUtf8 => "The file name is not UTF-8; rename it and import again.",
            Self::Unreadable => "There is no permission to read it.",
            Self::ReadError => "The system could not read it.",
            Self::ChangedWhileReading => "It was changed while being read; import again.",
        }
    }

    /// Returns whether a person would miss it: a note was there and could not be taken.
    ///
    /// Reports list these as failed; the others are left out on purpose.
    pub fn is_loss(self) -> bool {
        match self {
            Self::TooLarge
            | Self::BodyTooLong
            | Self::Binary
            | Self::NotUtf8
            | Self::NameNotUtf8
            | Self::Unreadable
            | Self::ReadError
            | Self::ChangedWhileReading => true,
            Self::Hidden
            | Self::SymlinkLoop
            | Self::SymlinkOutside
            | Self::SymlinkDangling
            | Self::SymlinkInside
            | Self::SpecialFile
            | Self::UnsupportedExtension
            | Self::Empty => false,
        }
    }
}
