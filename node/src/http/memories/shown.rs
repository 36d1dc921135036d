//! How a memory is shown: as JSON, or as Markdown to whoever prefers it; or not again.
//!
//! It is not a renderer: Markdown goes out as text, never as a page.
//! Invariant: each form has its own tag, so that a cache never takes one for the other.

use crate::http::etag;
use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use protocol::api::memories::Memory;

/// Answers with the memory in the form that the caller prefers.
pub(crate) fn answer(headers: &HeaderMap, memory: &Memory) -> Response {
    let as_markdown = prefers_markdown(headers);
    let tag = if as_markdown {
        etag::of_markdown(memory)
    } else {
        etag::of(memory)
    };
    // A weak tag is good enough to say "the same".
    let weak = format!("W/{tag}");
    let known = etag::listed(headers, &header::IF_NONE_MATCH, &[&tag, &weak]);
    let always = [(header::ETAG, tag), (header::VARY, "Accept".to_owned())];
    if known == Some(true) {
        (StatusCode::NOT_MODIFIED, always).into_response()
    } else if as_markdown {
        let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
        (always, kind, markdown(memory)).into_response()
    } else {
        (always, Json(memory)).into_response()
    }
}

/// Returns whether the caller would rather have Markdown than JSON.
fn prefers_markdown(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let (mut markdown, mut json) = (0.0, 0.0);
    for range in accepted.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        let weight: f32 = weight.unwrap_or(1.0);
        match kind.as_str() {
            "text/markdown" => markdown = weight,
            "application/json" | "application/*" | "*/*" => json = weight.max(json),
            _ => {}
        }
    }
    // `text/markdown, */*` is what callers send that want Markdown and would take anything.
    markdown > 0.0 && markdown >= json
}

/// Writes a memory as Markdown: its title as the first heading, unless the text begins with it.
fn markdown(memory: &Memory) -> String {
    let title = memory
        .title
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let heading = format!("# {title}");
    let body = memory.body.trim_end();
    if title.is_empty() || body.lines().next() == Some(heading.as_str()) {
        format!("{body}\n")
    } else {
        format!("{heading}\n\n{body}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(title: &str, body: &str) -> Memory {
        serde_json::from_value(serde_json::json!({
            "id": "m", "kind": "note", "title": title, "body": body, "tags": [], "links": [],
            "status": "active", "from": "me", "owner": "did:key:z", "created": "", "updated": "",
            "heads": ["h1"], "space": "default", "private_tags": [], "sensitivity": "normal",
        }))
        .unwrap()
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn markdown_is_for_those_who_prefer_it() {
        for (accept, expected) in [
            ("text/markdown", true),
            ("text/markdown, */*;q=0.1", true),
            ("text/markdown, */*", true),
            ("application/json, text/markdown;q=0.5", false),
            ("text/markdown;q=0", false),
            ("*/*", false),
            ("text/html", false),
        ] {
            assert_eq!(
                prefers_markdown(&headers(header::ACCEPT, accept)),
                expected,
                "{accept}"
            );
        }
    }

    #[test]
    fn the_title_is_the_first_heading_once() {
        assert_eq!(markdown(&memory("A\nb", "text")), "# A b\n\ntext\n");
        assert_eq!(markdown(&memory("A", "# A\n\ntext\n")), "# A\n\ntext\n");
        assert_eq!(markdown(&memory("", "text")), "text\n");
    }

    #[test]
    fn a_known_version_is_not_sent_again() {
        let memory = memory("A", "text");
        let tag = etag::of(&memory);
        let status = |given: &str| answer(&headers(header::IF_NONE_MATCH, given), &memory).status();
        assert_eq!(status(&tag), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&format!("\"x\", W/{tag}")), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&etag::of_markdown(&memory)), StatusCode::OK);
        assert_eq!(status("\"x\""), StatusCode::OK);
    }

    #[test]
    fn the_version_covers_heads_and_what_is_private() {
        let before = memory("A", "text");
        let (mut moved, mut edited) = (before.clone(), before.clone());
        moved.space = "attic".to_owned();
        edited.heads = vec!["h2".to_owned()];
        assert_ne!(etag::of(&before), etag::of(&moved));
        assert_ne!(etag::of(&before), etag::of(&edited));
    }
}
