//! The engine against onnxruntime, over a tiny model that `node/model/tiny.py` wrote.

use super::Shape::{Rows, Vector};
use super::*;
use crate::embed::cosine;
use std::path::Path;

const MODEL: &[u8] = include_bytes!("../fixtures/tiny.onnx");
const WORDS: &str = include_str!("../fixtures/vocab.txt");

#[derive(serde::Deserialize)]
struct Golden {
    text: String,
    ids: Vec<i32>,
    vector: Vec<f32>,
}

fn open(model: &[u8], words: &str) -> Result<Engine, Unusable> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("tiny.onnx"), model).unwrap();
    std::fs::write(at("vocab.txt"), words).unwrap();
    Engine::read(&ModelFiles {
        model: at("tiny.onnx"),
        vocabulary: at("vocab.txt"),
    })
}

fn refused(model: &[u8], words: &str) -> String {
    open(model, words).expect_err("it is refused").to_string()
}

/// Replaces bytes by others of the same number, wherever they are.
fn renamed(model: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "lengths are written before names");
    let mut model = model.to_vec();
    let mut count = 0;
    for at in 0..model.len() - from.len() {
        if model[at..].starts_with(from.as_bytes()) {
            model[at..at + from.len()].copy_from_slice(to.as_bytes());
            count += 1;
        }
    }
    assert!(count > 0, "{from} is not there");
    model
}

#[test]
fn tokens_and_vectors_are_those_of_the_reference() {
    let engine = open(MODEL, WORDS).unwrap();
    let golden: Vec<Golden> =
        serde_json::from_str(include_str!("../fixtures/golden.json")).unwrap();
    assert!(golden.len() > 5);
    for case in golden {
        assert_eq!(
            engine.vocabulary.ids(&case.text),
            case.ids,
            "{:?}",
            case.text
        );
        let ours = engine.embed_one(&case.text).unwrap();
        let length = case.vector.iter().map(|part| part * part).sum::<f32>();
        assert_eq!(ours.len(), case.vector.len());
        for (ours, theirs) in ours.iter().zip(&case.vector) {
            let theirs = theirs / length.sqrt();
            assert!(
                (ours - theirs).abs() < 1e-5,
                "{:?}: {ours} and {theirs}",
                case.text
            );
        }
    }
}

#[test]
fn words_for_one_thing_are_near_and_a_text_without_words_is_like_nothing() {
    let engine = open(MODEL, WORDS).unwrap();
    let [dog, hund, winter, nothing] =
        ["dog", "der Hund", "winter", " \n"].map(|text| engine.embed_one(text).unwrap());
    let (near, far) = (cosine(&dog, &hund), cosine(&dog, &winter));
    assert!(near > far + 0.1, "{near} and {far}");
    assert!((cosine(&dog, &dog) - 1.0).abs() < 1e-5);
    assert_eq!(nothing, [0.0; 16]);
}

#[test]
fn a_text_longer_than_the_model_reads_is_cut() {
    let engine = open(MODEL, WORDS).unwrap();
    let (long, longer) = ("dog ".repeat(254), "dog ".repeat(3_000));
    assert_eq!(engine.embed_one(&long), engine.embed_one(&longer));
}

#[test]
fn what_is_no_model_is_refused_with_its_file_and_a_reason() {
    for end in [1, 100, MODEL.len() / 2, MODEL.len() - 1] {
        let error = refused(&MODEL[..end], WORDS);
        assert!(error.contains("tiny.onnx: it "), "{end}: {error}");
    }
    let error = refused(b"<html>not found</html>", WORDS);
    assert!(error.contains("tiny.onnx: it is no ONNX file"), "{error}");
    let error = refused(MODEL, "dog\n");
    assert!(error.contains("vocab.txt: it has no line [CLS]"), "{error}");
    // More words than the model has rows: the last of them has none.
    let error = refused(MODEL, &format!("{WORDS}{}", "word\n".repeat(9)));
    assert!(error.contains("tiny.onnx: it does not run"), "{error}");
}

#[test]
fn a_model_of_something_else_is_refused_by_its_inputs_and_outputs() {
    let error = refused(&renamed(MODEL, "input_ids", "pixels_in"), WORDS);
    assert!(error.contains("an input \"pixels_in\""), "{error}");
    // Two masks and no words.
    let error = refused(&renamed(MODEL, "input_ids", "kinds_ids"), WORDS);
    assert!(error.contains("kinds_ids"), "{error}");
    assert_eq!(pooled_of(&[1, 3, 2], Rows, 3).unwrap(), [2.0, 3.0]);
    assert_eq!(pooled_of(&[1, 6], Vector, 3).unwrap().len(), 6);
    for (numbers, shape, tokens) in [
        (&[1, 3, 2][..], Rows, 2),
        (&[2, 3, 2], Rows, 3),
        (&[2, 3], Vector, 3),
        (&[6], Vector, 3),
        (&[1, 3, 2], Vector, 3),
    ] {
        pooled_of(numbers, shape, tokens).expect_err("another shape");
    }
    let whole = Value::from_shape::<i32>([1, 2], vec![1, 2]).unwrap();
    assert!(
        pooled(whole, Vector, 1).is_err(),
        "whole numbers are no vector"
    );
}

/// Pools the numbers from zero on in a shape.
fn pooled_of(numbers: &[usize], shape: Shape, tokens: usize) -> Result<Vec<f32>, String> {
    let count = u16::try_from(numbers.iter().product::<usize>()).unwrap();
    let value = Value::from_shape::<f32>(numbers, (0..count).map(f32::from).collect());
    pooled(value.unwrap(), shape, tokens)
}

#[test]
fn a_vector_of_no_length_is_none() {
    assert_eq!(unit(vec![0.0, 0.0]), None);
    assert_eq!(unit(Vec::new()), None);
    assert_eq!(unit(vec![f32::NAN, 1.0]), None);
    assert_eq!(unit(vec![3.0, 4.0]), Some(vec![0.6, 0.8]));
}

#[test]
fn files_beside_the_model_are_out_of_reach() {
    assert!(
        Path::new("/etc/passwd").exists(),
        "something to be reached for"
    );
    // TensorProto: data_location = EXTERNAL (field 14), external_data = {location: /etc/passwd}.
    let entry = [&b"\x0a\x08location\x12\x0b/etc/passwd"[..]].concat();
    let tensor = [
        &b"\x08\x04\x10\x01\x42\x01w"[..],
        &[0x6A, u8::try_from(entry.len()).unwrap()],
        &entry,
        b"\x70\x01",
    ]
    .concat();
    let graph = [&[0x2A, u8::try_from(tensor.len()).unwrap()][..], &tensor].concat();
    let model = [
        &b"\x08\x09"[..],
        &[0x3A, u8::try_from(graph.len()).unwrap()],
        &graph,
    ]
    .concat();
    let error = refused(&model, WORDS);
    assert!(
        error.contains("it is no ONNX file that can be read"),
        "{error}"
    );
}
