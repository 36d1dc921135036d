//! Conditional requests: the version of a memory, and whether the caller's is the same.
//!
//! A version is the hash of the memory as it is shown: its heads, and with them what is private
//! to this node and has no heads (drawer, private tags, petnames). It is not a cache.
//! Invariant: two answers with one tag have the same bytes (RFC 9110, strong validator).

use axum::http::{HeaderMap, HeaderName};
use protocol::api::memories::Memory;

/// The tag of a JSON answer: a strong entity tag, quotes included.
pub(crate) fn of(memory: &Memory) -> String {
    let shown = serde_json::to_vec(memory).unwrap_or_default();
    format!("\"{}\"", blake3::hash(&shown).to_hex())
}

/// The tag of the same memory as Markdown, whose bytes are others.
pub(crate) fn of_markdown(memory: &Memory) -> String {
    format!("\"md-{}", of(memory).trim_start_matches('"'))
}

/// Returns whether the header lists one of the tags, or `*`; `None` without the header.
pub(crate) fn listed(headers: &HeaderMap, name: &HeaderName, tags: &[&str]) -> Option<bool> {
    headers.contains_key(name).then(|| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut given = values.flat_map(|value| value.split(',')).map(str::trim);
        given.any(|tag| tag == "*" || tags.contains(&tag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::IF_MATCH;

    #[test]
    fn listed_compares_whole_tags() {
        let mut headers = HeaderMap::new();
        assert_eq!(listed(&headers, &IF_MATCH, &["\"a\""]), None);
        headers.insert(IF_MATCH, "\"b\", \"a\"".parse().unwrap());
        assert_eq!(listed(&headers, &IF_MATCH, &["\"a\""]), Some(true));
        assert_eq!(listed(&headers, &IF_MATCH, &["\"aa\""]), Some(false));
        headers.insert(IF_MATCH, "W/\"a\"".parse().unwrap());
        assert_eq!(
            listed(&headers, &IF_MATCH, &["\"a\""]),
            Some(false),
            "weak tags are no proof"
        );
        headers.insert(IF_MATCH, "*".parse().unwrap());
        assert_eq!(listed(&headers, &IF_MATCH, &["\"a\""]), Some(true));
    }
}
