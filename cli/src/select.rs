//! Finds the memories that a selector, an id or the beginning of an id names.

use crate::client::Client;
use crate::error::CommandError;
use protocol::api::memories::{Memory, Summary};

/// The fewest characters that are taken for the beginning of an id where a selector can stand too.
const PREFIX_CHARS_MIN: usize = 6;
/// The characters of an id.
const ID_CHARS: usize = 52;

/// Which memories are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Those that are not forgotten.
    Active,
    /// Those that are.
    Forgotten,
    /// All.
    Any,
}

/// Reads a selector that must not be empty: nothing would mean everything.
pub(crate) fn parse_selector(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the selector is empty; that would mean every memory".to_owned()),
        selector => Ok(selector.to_owned()),
    }
}

/// Returns the memories that are named, at least one.
pub(crate) fn matching(
    client: &Client,
    selector: &str,
    standing: Standing,
) -> Result<Vec<Summary>, CommandError> {
    if let Some(memory) = by_id(client, selector)? {
        return Ok(vec![summary(memory)]);
    }
    let statuses: &[&str] = match standing {
        Standing::Active => &["active"],
        Standing::Forgotten => &["forgotten"],
        Standing::Any => &["active", "forgotten"],
    };
    let mut found = Vec::new();
    for status in statuses {
        let narrowed = format!("({selector}) status:{status}");
        found.extend(
            client
                .list(&["v1", "memories"], &[("q", &narrowed)], None)?
                .items,
        );
    }
    if found.is_empty() {
        return Err(CommandError::NothingMatches(selector.to_owned()));
    }
    Ok(found)
}

/// Returns the selector that the API understands: an id becomes `id:...`.
pub(crate) fn as_selector(client: &Client, text: &str) -> Result<String, CommandError> {
    let memory = by_id(client, text)?;
    Ok(memory.map_or_else(|| text.to_owned(), |memory| format!("id:{}", memory.id)))
}

/// Refuses if another number was expected.
pub(crate) fn check_count(
    selector: &str,
    found: usize,
    expected: Option<usize>,
) -> Result<(), CommandError> {
    match expected {
        Some(expected) if expected != found => Err(CommandError::Count {
            selector: selector.to_owned(),
            found,
            expected,
        }),
        _ => Ok(()),
    }
}

fn by_id(client: &Client, text: &str) -> Result<Option<Memory>, CommandError> {
    if !looks_like_id(text) {
        return Ok(None);
    }
    match client.get(&["v1", "memories", text], &[]) {
        Ok(memory) => Ok(Some(memory)),
        // A word of six letters can be just a word.
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn looks_like_id(text: &str) -> bool {
    let fits = (PREFIX_CHARS_MIN..=ID_CHARS).contains(&text.len());
    fits && text
        .chars()
        .all(|c| c.is_ascii_alphabetic() || ('2'..='7').contains(&c))
}

fn summary(memory: Memory) -> Summary {
    Summary {
        id: memory.id,
        title: memory.title,
        kind: memory.kind,
        tags: memory.tags,
        from: memory.from,
        updated: memory.updated,
        status: memory.status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_ids_are_told_from_selectors() {
        for text in ["abcdef", "a2b3c4d5", &"a".repeat(52)] {
            assert!(looks_like_id(text), "{text}");
        }
        for text in [
            "abcde",
            "tag:recipes",
            "two words",
            "abcde1",
            &"a".repeat(53),
            "\u{e4}bcdefg",
        ] {
            assert!(!looks_like_id(text), "{text}");
        }
    }

    #[test]
    fn a_count_must_be_the_expected_one() {
        assert!(check_count("x", 2, None).is_ok());
        assert!(check_count("x", 2, Some(2)).is_ok());
        assert_eq!(check_count("x", 2, Some(3)).unwrap_err().exit().number(), 5);
    }

    #[test]
    fn an_empty_selector_is_refused() {
        assert!(parse_selector("  ").is_err());
        assert_eq!(parse_selector(" tag:a "), Ok("tag:a".to_owned()));
    }
}
