//! The selector: one grammar for naming memories, in every command, grant and rule.
//!
//! ```text
//! any    = all ( "OR" all )*
//! all    = one one*                     side by side means AND
//! one    = "-" one | "(" any ")" | key ":" value | word | "\"" phrase "\""
//! key    = id | tag | space | kind | from | status | created | updated | shared-with
//! value  = word | "\"" phrase "\"" ; created and updated take >DATE, >=DATE, <DATE, <=DATE or DATE
//! ```
//!
//! Bare words and phrases look into title and body. Selectors made of `id:`, `tag:` and `space:`
//! only are *explicit*: they select by labels that a person set. All others infer.
//!
//! Invariant: `parse(print(selector)) == selector`.

mod parse;

use crate::time::Timestamp;
use thiserror::Error;

/// The longest selector, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 4_096;
/// The deepest nesting of parentheses and negations.
pub const DEPTH_MAX: usize = 32;

/// The reason why text is no selector, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} at position {at}")]
pub struct SelectorError {
    /// What is wrong and what would be right.
    pub what: String,
    /// The character at which it is wrong, from 1.
    pub at: usize,
}

/// A date comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// At or after.
    From(Timestamp),
    /// Before.
    Until(Timestamp),
    /// On the day that begins then (UTC).
    Day(Timestamp),
}

/// One day in milliseconds.
const DAY_MS: u64 = 86_400_000;

impl Bound {
    fn holds(self, time: Timestamp) -> bool {
        match self {
            Self::From(start) => time >= start,
            Self::Until(end) => time < end,
            Self::Day(start) => time >= start && time < start.plus_ms(DAY_MS),
        }
    }
}

/// A parsed selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Everything; the empty selector.
    All,
    /// All parts select it.
    And(Vec<Self>),
    /// At least one part selects it.
    Or(Vec<Self>),
    /// The part does not select it.
    Not(Box<Self>),
    /// The id begins with this.
    Id(String),
    /// It has this tag, shared or private, or one below it (`a` takes in `a/b`).
    Tag(String),
    /// It lies in this space.
    Space(String),
    /// It is of this kind.
    Kind(String),
    /// It came from here: `me`, a petname, or the scheme of its source.
    From(String),
    /// It has this status: `active` or `forgotten`.
    Status(String),
    /// It was created then.
    Created(Bound),
    /// It was last changed then.
    Updated(Bound),
    /// It is in the view of the person with this petname.
    SharedWith(String),
    /// Title or body contain this, whatever the case.
    Text(String),
}

/// What a selector asks of a memory. Strings come in the case they were written in.
pub trait Facts {
    /// Tells whether the id begins with lower-case text.
    fn id_starts_with(&self, prefix: &str) -> bool;
    /// Tells whether the memory has a tag, or one below it.
    fn has_tag(&self, tag: &str) -> bool;
    /// Returns the space.
    fn space(&self) -> &str;
    /// Returns the word for the kind.
    fn kind(&self) -> &str;
    /// Tells whether the memory came from there.
    fn is_from(&self, origin: &str) -> bool;
    /// Returns the word for the status.
    fn status(&self) -> &str;
    /// Returns when it was created.
    fn created(&self) -> Timestamp;
    /// Returns when it was last changed.
    fn updated(&self) -> Timestamp;
    /// Tells whether the person with this petname may fetch it.
    fn is_shared_with(&self, petname: &str) -> bool;
    /// Tells whether title or body contain lower-case text.
    fn contains(&self, lower: &str) -> bool;
}

impl Selector {
    /// Reads a selector.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::parse(text)
    }

    /// Tells whether it selects a memory.
    pub fn matches(&self, facts: &dyn Facts) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.matches(facts)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(facts)),
            Self::Not(part) => !part.matches(facts),
            Self::Id(prefix) => facts.id_starts_with(prefix),
            Self::Tag(tag) => facts.has_tag(tag),
            Self::Space(space) => facts.space() == space,
            Self::Kind(kind) => facts.kind() == kind,
            Self::From(origin) => facts.is_from(origin),
            Self::Status(status) => facts.status() == status,
            Self::Created(bound) => bound.holds(facts.created()),
            Self::Updated(bound) => bound.holds(facts.updated()),
            Self::SharedWith(petname) => facts.is_shared_with(petname),
            Self::Text(text) => facts.contains(text),
        }
    }

    /// Tells whether it selects by labels only, so that it may take new matches in at once.
    pub fn is_explicit(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().all(Self::is_explicit),
            Self::Not(part) => part.is_explicit(),
            Self::Id(_) | Self::Tag(_) | Self::Space(_) => true,
            _ => false,
        }
    }

    /// Tells whether it says everything that `other` says, and perhaps more, so that it selects
    /// nothing that `other` does not. Compares what is written, so it may miss a case.
    pub fn narrows(&self, other: &Self) -> bool {
        let parts = |selector: &Self| match selector {
            Self::And(parts) => parts.clone(),
            Self::All => Vec::new(),
            one => vec![one.clone()],
        };
        let mine = parts(self);
        parts(other).iter().all(|part| mine.contains(part))
    }

    /// Returns the words and phrases it looks for.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::texts).collect(),
            Self::Not(part) => part.texts(),
            Self::Text(text) => vec![text],
            _ => Vec::new(),
        }
    }

    /// Tells whether it asks what others may see, so that a grant of it would ask about itself.
    pub fn asks_about_grants(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::asks_about_grants),
            Self::Not(part) => part.asks_about_grants(),
            Self::SharedWith(_) => true,
            _ => false,
        }
    }

    /// Tells whether it looks into texts, which have to be loaded for it.
    pub fn looks_into_texts(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::looks_into_texts),
            Self::Not(part) => part.looks_into_texts(),
            Self::Text(_) => true,
            _ => false,
        }
    }

    /// Tells whether only negations hold it back: it would select what nobody labelled.
    pub fn is_open_ended(&self) -> bool {
        match self {
            Self::All | Self::Not(_) => true,
            Self::And(parts) => parts.iter().all(Self::is_open_ended),
            Self::Or(parts) => parts.iter().any(Self::is_open_ended),
            _ => false,
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::And(parts) => write_joined(f, parts, " ", |part| matches!(part, Self::Or(_))),
            Self::Or(parts) => write_joined(f, parts, " OR ", |part| {
                matches!(part, Self::And(_) | Self::Or(_))
            }),
            Self::Not(part) if matches!(**part, Self::And(_) | Self::Or(_)) => {
                write!(f, "-({part})")
            }
            Self::Not(part) => write!(f, "-{part}"),
            Self::Id(value) => write_pair(f, "id", value),
            Self::Tag(value) => write_pair(f, "tag", value),
            Self::Space(value) => write_pair(f, "space", value),
            Self::Kind(value) => write_pair(f, "kind", value),
            Self::From(value) => write_pair(f, "from", value),
            Self::Status(value) => write_pair(f, "status", value),
            Self::SharedWith(value) => write_pair(f, "shared-with", value),
            Self::Created(bound) => write_bound(f, "created", *bound),
            Self::Updated(bound) => write_bound(f, "updated", *bound),
            Self::Text(value) => write!(f, "\"{}\"", escape(value)),
        }
    }
}

fn write_joined(
    f: &mut std::fmt::Formatter<'_>,
    parts: &[Selector],
    between: &str,
    needs_group: impl Fn(&Selector) -> bool,
) -> std::fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            f.write_str(between)?;
        }
        if needs_group(part) || matches!((part, between), (Selector::And(_), " ")) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

fn write_pair(f: &mut std::fmt::Formatter<'_>, key: &str, value: &str) -> std::fmt::Result {
    let plain = !value.is_empty() && value.chars().all(parse::is_plain);
    if plain {
        write!(f, "{key}:{value}")
    } else {
        write!(f, "{key}:\"{}\"", escape(value))
    }
}

fn write_bound(f: &mut std::fmt::Formatter<'_>, key: &str, bound: Bound) -> std::fmt::Result {
    match bound {
        Bound::From(time) => write!(f, "{key}:>={}", time.to_rfc3339()),
        Bound::Until(time) => write!(f, "{key}:<{}", time.to_rfc3339()),
        Bound::Day(time) => {
            let text = time.to_rfc3339();
            write!(f, "{key}:{}", text.split('T').next().unwrap_or_default())
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;
