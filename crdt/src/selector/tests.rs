//! Tests of the selector grammar.

use super::*;
use proptest::prelude::*;

fn check(text: &str, printed: &str) {
    let selector = Selector::parse(text).expect("parses");
    assert_eq!(selector.to_string(), printed, "{text}");
    assert_eq!(
        Selector::parse(printed),
        Ok(selector),
        "{printed} reads back"
    );
}

fn check_error(text: &str, at: usize, what: &str) {
    let error = Selector::parse(text).expect_err("no selector");
    assert_eq!(error.at, at, "{text}: {error}");
    assert!(error.what.contains(what), "{text}: {error}");
}

#[test]
fn one_grammar() {
    check("tag:recipes", "tag:recipes");
    check("tag:a -tag:b", "tag:a -tag:b");
    check("tag:a OR tag:b kind:note", "tag:a OR (tag:b kind:note)");
    check("(tag:a OR tag:b) kind:note", "(tag:a OR tag:b) kind:note");
    check("-(tag:a OR tag:b)", "-(tag:a OR tag:b)");
    check("space:\"two words\"", "space:\"two words\"");
    check("\"Free Text\"", "\"free text\"");
    check("created:2026-11-01", "created:2026-11-01");
    check("updated:>2026-11-01", "updated:>=2026-11-02T00:00:00Z");
    check("", "");
}

#[test]
fn errors_point_at_the_place() {
    check_error("tag:a OR", 9, "missing");
    check_error("tag:a color:red", 7, "no key");
    check_error("tag:", 5, "needs a value");
    check_error("(tag:a", 1, "never closed");
    check_error("tag:a)", 6, "closes nothing");
    check_error("kind:poem", 6, "no kind");
    check_error("updated:>soon", 9, "no date");
    check_error("tag:a \"open", 7, "never closed");
    check_error("- tag:a", 2, "right after");
    check_error(&"(".repeat(200), DEPTH_MAX + 2, "deep");
}

#[test]
fn labels_are_explicit_and_the_rest_infers() {
    let is_explicit = |text| Selector::parse(text).expect("parses").is_explicit();
    assert!(is_explicit("tag:a -tag:b OR space:c id:abc"));
    assert!(!is_explicit("tag:a kind:note"));
    assert!(!is_explicit("bread"));
    assert!(!is_explicit(""));
    let is_open = |text| Selector::parse(text).expect("parses").is_open_ended();
    assert!(
        is_open("-tag:private"),
        "it would take in whatever nobody labelled"
    );
    assert!(!is_open("tag:a -tag:private"));
}

proptest! {
    #[test]
    fn any_text_parses_or_says_where(text in "\\PC{0,60}") {
        match Selector::parse(&text) {
            Ok(selector) => {
                let printed = selector.to_string();
                prop_assert_eq!(Selector::parse(&printed), Ok(selector), "{}", printed);
            }
            Err(error) => prop_assert!(error.at <= text.chars().count() + 1),
        }
    }
    #[test]
    fn what_is_printed_reads_back(text in "(tag:[a-c]|-tag:[a-c]|\\(| OR |\\)| |kind:note|w){1,12}") {
        if let Ok(selector) = Selector::parse(&text) {
            let printed = selector.to_string();
            prop_assert_eq!(Selector::parse(&printed), Ok(selector), "{}", printed);
        }
    }
}
