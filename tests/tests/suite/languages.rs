//! Notes in the languages of the people who write, found through the command line.

use brain_tests::Node;
use serde_json::Value;

/// A note, a search, what is to be marked in it, and how it was found.
const FOUND: [(&str, &str, &[&str], &str); 8] = [
    (
        "Die Rechnungen für das Haus sind bezahlt und liegen im Keller.",
        "rechnung",
        &["Rechnungen"],
        "stem",
    ),
    (
        "Les factures du café sont payées et les clés sont chez la voisine.",
        "cafe facture",
        &["factures", "café"],
        "stem",
    ),
    (
        "Las canciones de mi hermana están en el cajón de la cocina.",
        "canción",
        &["canciones"],
        "stem",
    ),
    (
        "Письма от бабушки хранятся в синей коробке на верхней полке.",
        "коробка",
        &["коробке"],
        "stem",
    ),
    (
        "我昨天在北京大学图书馆借了三本关于人工智能的书。",
        "图书馆",
        &["图书馆"],
        "exact",
    ),
    (
        "昨日、東京都庁の近くにあるカレー屋で昼ご飯を食べました。",
        "カレー",
        &["カレー"],
        "exact",
    ),
    (
        "어제 공원에서 친구를 만나서 함께 저녁을 먹었습니다.",
        "\"친구를 만나서\"",
        &["친구를", "만나서"],
        "phrase",
    ),
    (
        "The boiler was serviced in May and is fine; the plumber left a receipt.",
        "boilre",
        &["boiler"],
        "fuzzy",
    ),
];

#[test]
fn a_note_is_found_in_its_language_and_what_was_found_is_marked() {
    let node = Node::start("languages");
    for (text, ..) in FOUND {
        node.json(["add", text]);
    }
    for (text, query, marked, kind) in FOUND {
        // The space: no word is the beginning of a longer one.
        let query = format!("{query} ");
        let found = node.json(["search", &query, "--mode", "text"]);
        let hit = &found["hits"][0];
        assert_eq!(hit["snippet"], text, "{query:?}: {found:#}");
        assert_eq!(marks(hit), marked, "{query:?}: {hit:#}");
        assert_eq!(hit["why"]["matched_by"], kind, "{query:?}: {hit:#}");
    }
}

/// Returns the parts of a snippet that its highlights name, counted in characters.
fn marks(hit: &Value) -> Vec<String> {
    let snippet: Vec<char> = hit["snippet"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .collect();
    let place = |range: &Value, end: usize| {
        let at = range[end].as_u64().unwrap_or_default();
        usize::try_from(at).expect("a place in a snippet")
    };
    let ranges = hit["highlights"].as_array().cloned().unwrap_or_default();
    let marked = ranges
        .iter()
        .map(|range| snippet[place(range, 0)..place(range, 1)].iter().collect());
    marked.collect()
}
