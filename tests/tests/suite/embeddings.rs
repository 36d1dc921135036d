//! A chosen embedding model behind HTTP, looked at from outside: what is found, by which model,
//! and what the endpoint was told.
//!
//! The endpoint is the harness's own, of real arithmetic: its model knows that `Hund` is a dog,
//! which the one in the binary does not.

use crate::couple::Couple;
use brain_tests::endpoint::{Endpoint, Fault};
use brain_tests::{Node, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// The name of the chosen model in answers.
const CHOSEN: &str = "http:nine-things";

/// Starts a node that chose an endpoint.
fn node_of(url: &str, more: &[(&str, &str)]) -> Node {
    let mut extra = vec![
        ("BRAIN_INDEX__EMBEDDINGS", "http"),
        ("BRAIN_INDEX__URL", url),
        ("BRAIN_INDEX__MODEL", "nine-things"),
    ];
    extra.extend_from_slice(more);
    Node::start_with("ana", &extra)
}

pub(crate) fn add(node: &Node, text: &str) -> String {
    let added = node.brainctl(["add", text, "--ids"]);
    added.ok().stdout.trim().to_owned()
}

pub(crate) fn search(node: &Node, query: &str) -> Value {
    node.json(["search", query])
}

pub(crate) fn generation(answer: &Value) -> &str {
    answer["generation"]
        .as_str()
        .expect("a search names its model")
}

pub(crate) fn found(answer: &Value) -> Vec<&str> {
    let hits = answer["hits"].as_array().expect("a search has hits");
    hits.iter().filter_map(|hit| hit["id"].as_str()).collect()
}

/// What `index status` says of a read model.
pub(crate) fn projection(node: &Node, name: &str) -> Value {
    let status = node.json(["index", "status"]);
    let all = status["projections"].as_array().expect("a list");
    let found = all.iter().find(|projection| projection["name"] == name);
    found.cloned().unwrap_or_default()
}

/// Waits until the chosen model answers and is not behind.
pub(crate) fn wait_until_chosen(node: &Node) {
    eventually("the chosen model answers", || {
        let chosen = projection(node, "chosen vectors");
        (chosen["note"] == "answers" && chosen["lag"] == 0).then_some(())
    });
}

/// Waits until the note on the chosen model has these words.
pub(crate) fn wait_for_note(node: &Node, words: &str) {
    eventually(words, || {
        let chosen = projection(node, "chosen vectors");
        chosen["note"].as_str()?.contains(words).then_some(())
    });
}

#[test]
fn a_chosen_model_takes_over_when_its_vectors_are_complete() {
    for path in ["/api/embed", "/v1/embeddings"] {
        let endpoint = Endpoint::start();
        endpoint.set(Fault::Away);
        let url = format!("http://127.0.0.1:{}{path}", endpoint.port());
        let node = node_of(&url, &[]);
        let hund = add(&node, "Der Hund der Nachbarn bellt");
        add(&node, "Brot backen am Sonntag");
        // Meanwhile the model in the binary answers, and it is said.
        let meanwhile = eventually("the built-in model has caught up", || {
            let answer = search(&node, "neighbours");
            (answer["vector_lag"] == 0).then_some(answer)
        });
        assert!(generation(&meanwhile).starts_with("builtin-"));
        assert_eq!(meanwhile["chosen"]["model"], CHOSEN);
        let reason = meanwhile["chosen"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("being made"), "{reason}");
        wait_for_note(&node, "cannot be reached");
        endpoint.set(Fault::None);
        wait_until_chosen(&node);
        let answer = search(&node, "dog");
        assert_eq!(
            (generation(&answer), &answer["chosen"]),
            (CHOSEN, &Value::Null)
        );
        assert_eq!(found(&answer).first(), Some(&hund.as_str()), "{answer}");
        assert_eq!(answer["hits"][0]["why"]["matched_by"], "meaning");
        assert_eq!(projection(&node, "vectors")["note"], "stands by");
    }
}

#[test]
fn the_first_generation_answers_until_the_second_is_complete() {
    let endpoint = Endpoint::start();
    let mut node = Node::start("ana");
    for n in 0..10 {
        add(&node, &format!("note{n} on bread, {n} loaves"));
    }
    let hund = add(&node, "Der Hund der Nachbarn bellt");
    let before = eventually("the built-in model has caught up", || {
        let answer = search(&node, "loaf of bread");
        (answer["vector_lag"] == 0).then_some(answer)
    });
    node.stop();
    let config = format!(
        "[index]\nembeddings = \"http\"\nurl = \"{}\"\nmodel = \"nine-things\"\n\
         batch_texts = 1\ntexts_per_s = 3\n",
        endpoint.ollama()
    );
    std::fs::write(node.home().join("config.toml"), config).expect("the home takes a file");
    node.start_again();
    let told = || {
        let texts: BTreeSet<String> = endpoint.texts().into_iter().collect();
        let is_note = |text: &&String| text.starts_with("note") || text.starts_with("Der");
        texts.iter().filter(is_note).count()
    };
    let mut halfway = 0;
    let last = eventually("the second generation is complete", || {
        let answer = search(&node, "loaf of bread");
        if generation(&answer) == CHOSEN {
            return Some(answer);
        }
        assert_eq!(found(&answer), found(&before), "as before: {answer}");
        halfway += u32::from((1..11).contains(&told()));
        None
    });
    assert!(halfway > 0, "it answered while the other was being made");
    assert_eq!(told(), 11, "all of it was made before it answered: {last}");
    let answer = search(&node, "dog");
    assert_eq!(found(&answer).first(), Some(&hund.as_str()), "{answer}");
}

#[test]
fn an_endpoint_that_was_not_chosen_is_told_nothing() {
    let endpoint = Endpoint::start();
    let url = endpoint.ollama();
    for embeddings in ["builtin", "off"] {
        let extra = [
            ("BRAIN_INDEX__EMBEDDINGS", embeddings),
            ("BRAIN_INDEX__URL", url.as_str()),
            ("BRAIN_INDEX__MODEL", "nine-things"),
            ("BRAIN_INDEX__ALLOW_REMOTE", "true"),
        ];
        let mut node = Node::start_with("ana", &extra);
        add(&node, "Der Hund bellt");
        eventually("what is embedded here is", || {
            (search(&node, "Hund")["vector_lag"] == 0).then_some(())
        });
        node.stop();
    }
    assert_eq!(endpoint.texts(), Vec::<String>::new());
}

#[test]
fn the_pace_that_was_set_is_kept() {
    let endpoint = Endpoint::start();
    let more = [
        ("BRAIN_INDEX__BATCH_TEXTS", "4"),
        ("BRAIN_INDEX__TEXTS_PER_S", "8"),
    ];
    endpoint.set(Fault::Away);
    let node = node_of(&endpoint.open_ai(), &more);
    for n in 0..20 {
        add(&node, &format!("paced{n}"));
    }
    endpoint.set(Fault::None);
    wait_until_chosen(&node);
    // Twenty texts are five requests; the first four are followed by half a second each.
    let span = endpoint.span("paced");
    assert!(span >= Duration::from_millis(1_900), "{span:?}");
}

#[test]
fn what_others_gave_is_told_to_no_other_machine() {
    let endpoint = Endpoint::start();
    let elsewhere = format!("http://0.0.0.0:{}/api/embed", endpoint.port());
    let couple = Couple::start_with(
        &[],
        &[
            ("BRAIN_INDEX__EMBEDDINGS", "http"),
            ("BRAIN_INDEX__URL", elsewhere.as_str()),
            ("BRAIN_INDEX__MODEL", "nine-things"),
            ("BRAIN_INDEX__ALLOW_REMOTE", "true"),
        ],
    );
    let given = ["add", "The violin of ana", "--tag", "music"];
    couple.ana.brainctl(given).ok();
    couple.share("music");
    eventually("bob has it", || {
        let answer = search(&couple.bob, "violin");
        (found(&answer).len() == 1).then_some(())
    });
    add(&couple.bob, "The kettle of bob");
    wait_until_chosen(&couple.bob);
    let texts = endpoint.texts();
    assert!(
        texts.iter().any(|text| text.contains("kettle")),
        "{texts:?}"
    );
    let told = texts.iter().find(|text| text.contains("of ana"));
    assert_eq!(told, None, "it is not bob's to send on");
}

#[test]
fn an_index_goes_on_where_a_kill_left_it() {
    let endpoint = Endpoint::start();
    let more = [("BRAIN_INDEX__BATCH_TEXTS", "4")];
    let mut node = node_of(&endpoint.ollama(), &more);
    wait_until_chosen(&node);
    endpoint.set(Fault::Away);
    let texts: Vec<String> = (0..160).map(|n| format!("Hund number{n} Brot")).collect();
    for text in &texts {
        add(&node, text);
    }
    // It gets so far and no further; then comes the kill, in the middle of a batch.
    endpoint.set(Fault::None);
    endpoint.allow(Some(30));
    let half = |node: &Node| {
        let chosen = projection(node, "chosen vectors");
        let (cursor, lag) = (chosen["cursor"].as_u64()?, chosen["lag"].as_u64()?);
        (lag > 0 && cursor > 60).then_some(())
    };
    eventually("a part is embedded", || half(&node));
    node.kill();
    let before = endpoint.texts().len();
    endpoint.allow(None);
    node.start_again();
    wait_until_chosen(&node);
    // A note's first line is its title, so a text is there twice.
    let notes = |sent: &[String]| -> BTreeSet<String> {
        let lines = sent.iter().filter_map(|text| text.lines().next());
        let known = |line: &&str| texts.iter().any(|text| text == line);
        lines.filter(known).map(str::to_owned).collect()
    };
    let sent = endpoint.texts();
    assert_eq!(notes(&sent).len(), texts.len(), "all were embedded");
    let again = notes(sent.split_at(before).1);
    assert!(
        again.len() < 120,
        "{} of 160 were embedded after the kill",
        again.len()
    );
    let answer = search(&node, "perro number77");
    assert_eq!(generation(&answer), CHOSEN);
}

#[test]
fn an_endpoint_that_is_away_leaves_words_and_the_built_in_model() {
    let endpoint = Endpoint::start();
    let node = node_of(&endpoint.ollama(), &[]);
    let hund = add(&node, "Der Hund bellt");
    wait_until_chosen(&node);
    for (fault, words) in [
        (Fault::Away, "cannot be reached"),
        (Fault::Status(503), "answered 503"),
        (Fault::Slow(Duration::from_secs(8)), "within 3 s"),
        (Fault::NotANumber, "not usable"),
        (Fault::Ragged, "differ in size"),
        (Fault::TooFew, "number of vectors"),
    ] {
        endpoint.set(fault);
        let answer = eventually("the built-in model answers", || {
            let answer = search(&node, "bellt");
            let reason = answer["chosen"]["reason"].as_str()?;
            reason.contains(words).then(|| answer.clone())
        });
        assert!(generation(&answer).starts_with("builtin-"), "{answer}");
        assert_eq!(found(&answer), [hund.as_str()], "words find it: {answer}");
        endpoint.set(Fault::None);
        eventually("the chosen model answers again", || {
            let answer = search(&node, "dog");
            (generation(&answer) == CHOSEN && found(&answer) == [hund.as_str()]).then_some(())
        });
    }
    // What is written meanwhile is found by words, and by meaning later.
    endpoint.set(Fault::Away);
    let brot = add(&node, "Das Brot geht auf");
    wait_for_note(&node, "cannot be reached");
    assert_eq!(found(&search(&node, "Brot")).first(), Some(&brot.as_str()));
    endpoint.set(Fault::None);
    wait_until_chosen(&node);
    // Queries rest apart from texts, so the first ones may still be answered by the built-in model.
    eventually("its meaning is found", || {
        let answer = search(&node, "bread");
        (found(&answer).first() == Some(&brot.as_str())).then_some(())
    });
    let warned = node
        .log()
        .matches("the chosen embedding model does not answer")
        .count();
    assert!(
        (1..=20).contains(&warned),
        "an outage is said once, not {warned} times"
    );
}

#[test]
fn another_model_behind_the_same_name_is_noticed_and_never_mixed() {
    let endpoint = Endpoint::start();
    let node = node_of(&endpoint.ollama(), &[]);
    let hund = add(&node, "Der Hund bellt");
    wait_until_chosen(&node);
    endpoint.change_model(7);
    let before = endpoint.texts().len();
    // The first query after the change sees it, although nothing was written.
    let answer = search(&node, "dog");
    assert!(generation(&answer).starts_with("builtin-"), "{answer}");
    let reason = answer["chosen"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("another model answers"), "{reason}");
    let answer = eventually("all is made anew", || {
        let answer = search(&node, "dog");
        (generation(&answer) == CHOSEN).then_some(answer)
    });
    assert_eq!(found(&answer), [hund.as_str()]);
    let later = endpoint.texts().split_off(before);
    assert!(
        later.iter().any(|text| text.contains("Der Hund bellt")),
        "{later:?}"
    );
}

#[test]
fn a_text_that_the_model_cannot_take_holds_up_no_other() {
    let endpoint = Endpoint::start();
    endpoint.set(Fault::Poison);
    let node = node_of(&endpoint.open_ai(), &[]);
    let hund = add(&node, "Der Hund bellt");
    add(&node, "poison that nobody may see afterwards");
    let brot = add(&node, "Das Brot geht auf");
    wait_until_chosen(&node);
    for (query, id) in [("dog", &hund), ("bread", &brot)] {
        let answer = search(&node, query);
        assert_eq!(found(&answer).first(), Some(&id.as_str()), "{answer}");
    }
    assert!(node.log().contains("a text is left out"), "{}", node.log());
    assert!(!node.log().contains("nobody may"), "{}", node.log());
}

#[test]
fn nothing_leaves_for_another_machine_unless_that_is_said() {
    let endpoint = Endpoint::start();
    // Reaches this machine, and is no loopback address: it stands for any other machine.
    let elsewhere = format!("http://0.0.0.0:{}/api/embed", endpoint.port());
    let refused = Node::without_process("ana", &[]);
    let mut command = refused.command("brain-node");
    command.arg("check-config").envs([
        ("BRAIN_INDEX__EMBEDDINGS", "http"),
        ("BRAIN_INDEX__URL", elsewhere.as_str()),
        ("BRAIN_INDEX__MODEL", "nine-things"),
    ]);
    let output = command.output().expect("brain-node runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("0.0.0.0 is not this device"), "{errors}");
    assert!(errors.contains("allow_remote = true"), "{errors}");

    // Before it has answered once, nothing but the probe is sent.
    endpoint.set(Fault::Away);
    let node = node_of(&elsewhere, &[("BRAIN_INDEX__ALLOW_REMOTE", "true")]);
    add(&node, "Der Hund bellt");
    let diary = add(&node, "My diary of the winter");
    let secret = ["edit", &diary, "--sensitivity", "secret"];
    node.brainctl(secret).ok();
    add(&node, "The key is postgres://app:hunter2Xk93@db/main");
    endpoint.set(Fault::None);
    wait_until_chosen(&node);
    let texts = endpoint.texts();
    assert!(texts.iter().any(|text| text.contains("Hund")), "{texts:?}");
    let held = ["diary", "hunter2"];
    let told = texts
        .iter()
        .find(|text| held.iter().any(|word| text.contains(word)));
    assert_eq!(told, None, "the guard holds it");
    assert!(node.log().contains("LEAVE THIS DEVICE"), "{}", node.log());
    assert_eq!(
        found(&search(&node, "diary")).first(),
        Some(&diary.as_str()),
        "words find it"
    );
}

#[test]
fn redirects_are_not_followed() {
    let (endpoint, other) = (Endpoint::start(), Endpoint::start());
    endpoint.set(Fault::Elsewhere(other.port()));
    let node = node_of(&endpoint.ollama(), &[]);
    add(&node, "Der Hund bellt");
    wait_for_note(&node, "answered 307: redirects are not followed");
    assert_eq!(other.texts(), Vec::<String>::new());
}

#[test]
fn the_key_is_read_from_its_file_and_stays_out_of_the_log() {
    let endpoint = Endpoint::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-the-key\n").expect("the key is written");
    let more = [
        (
            "BRAIN_INDEX__KEY_FILE",
            file.to_str().expect("a plain path"),
        ),
        ("BRAIN_TELEMETRY__LOG", "trace"),
    ];
    let node = node_of(&endpoint.open_ai(), &more);
    add(&node, "Der Hund bellt");
    wait_until_chosen(&node);
    assert_eq!(
        endpoint.keys().first().map(String::as_str),
        Some("Bearer sk-the-key")
    );
    assert!(!node.log().contains("sk-the-key"));
    assert!(!node.log().contains("Hund"));
}

#[test]
fn embeddings_can_be_off() {
    let mut node = Node::start_with("ana", &[("BRAIN_INDEX__EMBEDDINGS", "off")]);
    let id = add(&node, "Rye bread at the weekend");
    let answer = search(&node, "rye");
    assert_eq!(
        (generation(&answer), found(&answer)),
        ("", vec![id.as_str()])
    );
    let refused = node.brainctl(["search", "rye", "--mode", "vector"]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("words only"), "{}", refused.stderr);
    assert_eq!(projection(&node, "vectors"), Value::Null);
    node.stop();
}
