//! The built-in model against the script that made it, and against common sense.

use super::*;
use crate::embed::cosine;

#[derive(serde::Deserialize)]
struct Golden {
    text: String,
    tokens: Vec<String>,
    vector: Vec<f32>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("../../../assets/builtin-256.golden.json")).unwrap()
}

#[test]
fn tokens_agree_with_the_reference_tokenizer() {
    let matrix = Builtin::load().unwrap().matrix;
    for case in golden() {
        let mut found = Vec::new();
        tokens(&case.text, matrix, |token| {
            let word = token.and_then(|token| matrix.word(token));
            found.extend(word.map(|word| String::from_utf8(word).unwrap()));
        });
        assert_eq!(found, case.tokens, "{:?}", case.text);
    }
}

#[test]
fn vectors_agree_with_the_script() {
    let model = Builtin::load().unwrap();
    for case in golden() {
        let vector = model.embed_one(&case.text);
        assert_eq!(vector.len(), 256);
        for (ours, theirs) in vector.iter().zip(&case.vector) {
            assert!(
                (ours - theirs).abs() < 1e-5,
                "{:?}: {ours} and {theirs}",
                case.text
            );
        }
    }
}

#[test]
fn a_vector_has_length_one_or_is_all_zeros() {
    let model = Builtin::load().unwrap();
    let unit = model.embed_one("A note about tomatoes");
    assert!((cosine(&unit, &unit) - 1.0).abs() < 1e-5);
    for nothing in ["", "   ", "\u{1F642}\u{1F643}", &"x".repeat(101)] {
        assert!(
            model.embed_one(nothing).iter().all(|value| *value == 0.0),
            "{nothing:?}"
        );
    }
}

#[test]
fn related_texts_score_above_unrelated_ones() {
    let model = Builtin::load().unwrap();
    let check = |text: &str, near: &str, far: &str| {
        let texts = model.embed(&[text, near, far], Purpose::Text).unwrap();
        let (close, apart) = (cosine(&texts[0], &texts[1]), cosine(&texts[0], &texts[2]));
        assert!(
            close > apart + 0.2,
            "{text:?}: {close} for {near:?}, {apart} for {far:?}"
        );
    };
    check(
        "A man is playing the guitar",
        "someone plays an instrument",
        "shares fell sharply today",
    );
    check(
        "buy milk and bread",
        "grocery shopping list",
        "the parser rejects trailing bytes",
    );
    check(
        "my cat is ill",
        "take the kitten to the vet",
        "quarterly tax report",
    );
    check(
        "the server crashed at night",
        "an outage of the database",
        "recipe for apple pie",
    );
    check(
        "flight to Berlin on Monday",
        "travel plans for Germany",
        "how to sharpen a knife",
    );
}

#[test]
fn the_name_tells_the_model_and_its_version() {
    let model = Builtin::load().unwrap();
    assert!(model.name().starts_with("builtin-256-"), "{}", model.name());
    assert_eq!(model.dimensions(), 256);
    assert!(
        ASSET.len() < 8_000_000,
        "the asset has {} bytes",
        ASSET.len()
    );
}
