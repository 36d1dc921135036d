//! No bytes make the parser panic or exceed its bounds, and what it takes it keeps.

use proptest::prelude::*;

use super::super::limits::{
    ALIASES_MAX, LINK_BYTES_MAX, LINKS_MAX, TAG_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX,
};
use super::*;

const LIMITS: Limits = Limits {
    file_bytes_max: 1 << 20,
    body_bytes_max: 2000,
};

fn check_bounds(bytes: &[u8]) {
    let file = RawFile {
        source: "file:a/b.md",
        bytes,
        modified_ms: 7,
    };
    let Ok(note) = parse(&file, &LIMITS) else {
        return;
    };
    assert!(note.body.len() <= LIMITS.body_bytes_max);
    assert!(!note.body.contains('\r'));
    assert!(!note.title.is_empty() && note.title.len() <= TITLE_BYTES_MAX);
    assert!(!note.title.chars().any(char::is_control));
    assert!(note.tags.len() <= TAGS_MAX);
    assert!(
        note.tags
            .iter()
            .all(|tag| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX)
    );
    assert!(note.aliases.len() <= ALIASES_MAX);
    assert!(note.links.len() <= LINKS_MAX);
    assert!(
        note.links
            .iter()
            .all(|link| link.target.len() <= LINK_BYTES_MAX)
    );
    assert!(note.created_ms <= note.updated_ms);
    // Nothing is lost: fences apart, front matter and body are the file.
    let kept = note.body.len() + note.front_matter.as_ref().map_or(0, String::len);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    assert!(text.ends_with(&note.body));
    if note.front_matter.is_none() {
        assert_eq!(kept, text.len());
    }
    let mut index = LinkIndex::default();
    index.insert(&note);
    for link in &note.links {
        index.resolve(&note.source, link);
    }
}

/// Text out of the marks that mean something to one of the parsers.
fn marks() -> impl Strategy<Value = String> {
    let mark = prop::sample::select(vec![
        "---\n",
        "...\n",
        "title: ",
        "tags: ",
        "date: ",
        "[",
        "]",
        "[[",
        "]]",
        "|",
        "#",
        "# ",
        "\n",
        "\r\n",
        " ",
        "a",
        "b/",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        ": ",
        "- ",
        "{",
        "}",
        "\"",
        "'",
        "`",
        "```\n",
        "(",
        ")",
        "%20",
        "%",
        "\\",
        "..",
        "/",
        "\u{feff}",
        "é",
        "日",
        "\u{202e}",
        "$",
        "<",
        ">",
        "!",
        "2024-01-02",
        "9999999999999",
        "!!str ",
        ".inf",
        "~",
        "\t",
        "x.md",
    ]);
    prop::collection::vec(mark, 0..120).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check_bounds(&bytes);
    }

    #[test]
    fn any_text(text in any::<String>()) {
        check_bounds(text.as_bytes());
    }

    #[test]
    fn any_marks(text in marks()) {
        check_bounds(text.as_bytes());
    }

    #[test]
    fn any_front_matter(yaml in marks(), body in marks()) {
        check_bounds(format!("---\n{yaml}\n---\n{body}").as_bytes());
    }

    #[test]
    fn parsing_is_a_function(text in marks()) {
        let file = RawFile { source: "file:a.md", bytes: text.as_bytes(), modified_ms: 7 };
        prop_assert_eq!(parse(&file, &LIMITS), parse(&file, &LIMITS));
    }
}
