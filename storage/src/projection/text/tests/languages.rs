//! Tests of the text index in the languages of the people who write: forms, pairs, folding.

use super::*;

/// One note a language, the slots in this order.
const NOTES: [&str; 9] = [
    "The boiler was serviced in May, and the dates of the next visits are in the calendar.",
    "Die Rechnungen für die Häuser sind bezahlt, und der Vertrag läuft noch bis zum Frühling.",
    "Les factures du café sont payées, et les clés de la maison sont chez la voisine.",
    "Las facturas están pagadas y las canciones de mi hermana están en el cajón de la cocina.",
    "Книги лежат на полке, а письма от бабушки хранятся в синей коробке; ёлка уже куплена.",
    "我昨天在北京大学图书馆借了三本关于人工智能的书，下个星期要还。",
    "昨日、東京都庁の近くにあるカレー屋で友達と昼ご飯を食べました。",
    "어제 학교에서 친구를 만나서 도서관에 갔습니다.",
    "The data were copied to the new disk, and it is in the drawer.",
];

fn notes() -> (tempfile::TempDir, TextIndex) {
    let slots = 1..;
    let docs = slots
        .zip(NOTES)
        .map(|(slot, body)| doc(slot, "", body, &[]));
    index(&docs.collect::<Vec<_>>())
}

fn first(index: &TextIndex, query: &str) -> Option<(u64, MatchKind)> {
    let hits = hits(index, &TextQuery::parse(query), None, 10);
    hits.first().map(|hit| (hit.slot.0, hit.kind))
}

#[test]
fn a_word_is_found_in_its_other_forms_in_the_language_of_the_text() {
    let (_folder, index) = notes();
    let check = |query: &str, expect: (u64, MatchKind)| {
        assert_eq!(first(&index, query), Some(expect), "{query:?}");
    };
    check("visit ", (1, MatchKind::Stem));
    check("Rechnung ", (2, MatchKind::Stem));
    check("Haus ", (2, MatchKind::Stem));
    check("Verträge ", (2, MatchKind::Stem));
    check("facture ", (3, MatchKind::Stem));
    check("maisons ", (3, MatchKind::Stem));
    check("pagada ", (4, MatchKind::Stem));
    check("canción ", (4, MatchKind::Stem));
    check("книга ", (5, MatchKind::Stem));
    check("коробка ", (5, MatchKind::Stem));
    check("письмо ", (5, MatchKind::Stem));
}

#[test]
fn a_form_in_one_language_is_none_in_a_text_of_another() {
    let (_folder, index) = notes();
    // In Spanish both would be forms of the same word.
    assert_eq!(find(&index, "dates "), [1]);
}

#[test]
fn a_form_is_found_in_each_language_in_which_a_text_has_it() {
    let german = "Die Rechnungen sind noch nicht da, und der Vertrag ist auch nicht da.";
    let english = "The word rechnungen is not in the dictionary that we have.";
    for bodies in [[german, english], [english, german]] {
        let [one, other] = bodies;
        let (_folder, index) = index(&[doc(1, "", one, &[]), doc(2, "", other, &[])]);
        let expect = if one == german { 1 } else { 2 };
        assert_eq!(find(&index, "Rechnung "), [expect], "{bodies:?}");
    }
}

#[test]
fn accents_and_widths_are_one() {
    let (_folder, index) = notes();
    let check = |query: &str, slot: u64| {
        assert_eq!(
            first(&index, query),
            Some((slot, MatchKind::Exact)),
            "{query:?}"
        );
    };
    check("cafe ", 3);
    check("CAFÉ ", 3);
    check("fruhling ", 2);
    check("елка ", 5);
    check("ｂｏｉｌｅｒ ", 1);
    check("ｶﾚｰ ", 7);
}

#[test]
fn words_of_scripts_without_spaces_are_found_inside_sentences() {
    let (_folder, index) = notes();
    let check = |query: &str, expect: &[u64]| {
        assert_eq!(find(&index, query), expect, "{query:?}");
    };
    check("图书馆", &[6]);
    check("人工智能", &[6]);
    check("书", &[6]);
    check("\"北京大学\"", &[6]);
    check("\"京大北\"", &[]);
    check("東京", &[7]);
    check("カレー", &[7]);
    check("友達と昼ご飯", &[7]);
    check("학교", &[8]);
    check("도서관", &[8]);
    check("\"친구를 만나서\"", &[8]);
    check("京北", &[]);
}

#[test]
fn a_hit_of_characters_names_them_as_written() {
    let (_folder, index) = notes();
    let hits = hits(&index, &TextQuery::parse("東京都"), None, 10);
    let matched = ["東京都", "東京", "京都"].map(Arc::from);
    assert_eq!(hits[0].matched, matched);
}

#[test]
fn hidden_texts_of_another_language_change_nothing() {
    let seen: SlotSet = [Slot(1), Slot(2)].into_iter().collect();
    let (_folder, all) = notes();
    let (_other, few) = {
        let docs = (1..3)
            .zip(NOTES)
            .map(|(slot, body)| doc(slot, "", body, &[]));
        index(&docs.collect::<Vec<_>>())
    };
    for query in [
        "Rechnung",
        "Haus visit",
        "facture",
        "dates data",
        "коробка",
        "東京",
        "viist ",
    ] {
        let query = TextQuery::parse(query);
        assert_eq!(
            hits(&all, &query, Some(&seen), 10),
            hits(&few, &query, Some(&seen), 10),
        );
    }
}
