//! A chosen embedding model from a file, looked at from outside: what is found, by which model, and
//! what is left of the node when the file is no good.
//!
//! The file is the tiny model of `node/model/tiny.py`: it knows that `Hund` is a dog, which the model
//! in the binary does not.

use crate::couple::Couple;
use crate::embeddings::{
    add, found, generation, projection, search, wait_for_note, wait_until_chosen,
};
use brain_tests::{Node, eventually, root};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a model and its words.
struct Files(TempDir);

impl Files {
    fn of(model: &str) -> Self {
        let files = Self(tempfile::tempdir().expect("a folder"));
        files.put(model);
        let words = std::fs::copy(fixture("vocab.txt"), files.0.path().join("vocab.txt"));
        words.expect("the fixture is there");
        files
    }

    /// Puts a model into the place of the other.
    fn put(&self, model: &str) {
        std::fs::copy(fixture(model), self.model()).expect("the fixture is there");
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("pets.onnx")
    }

    /// What a node that chose it is started with.
    fn chosen(&self) -> Vec<(&'static str, String)> {
        vec![
            ("BRAIN_INDEX__EMBEDDINGS", "onnx".to_owned()),
            (
                "BRAIN_INDEX__MODEL_FILE",
                self.model().display().to_string(),
            ),
        ]
    }

    fn node(&self) -> Node {
        let chosen = self.chosen();
        let extra: Vec<_> = chosen
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Node::start_with("ana", &extra)
    }
}

fn fixture(name: &str) -> PathBuf {
    root().join("node/src/embed/onnx/fixtures").join(name)
}

fn cursor(node: &Node) -> u64 {
    let cursor = projection(node, "chosen vectors")["cursor"].as_u64();
    cursor.expect("a node that chose a model says how far it is")
}

/// The process that runs the model of a node, if there is one.
fn worker(node: &Node) -> Option<u32> {
    let node = node.pid()?;
    let processes = std::fs::read_dir("/proc").expect("a system with /proc");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |number: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split(' ').nth(2));
        parent == Some(node.to_string().as_str()) && !stat.contains(") Z ")
    };
    numbers.into_iter().find(is_child)
}

/// Waits until the model in the binary answers a search, and returns the answer.
fn built_in(node: &Node, query: &str, words: &str) -> Value {
    eventually("the built-in model answers", || {
        let answer = search(node, query);
        let reason = answer["chosen"]["reason"].as_str()?;
        let is_so = generation(&answer).starts_with("builtin-") && reason.contains(words);
        (is_so && answer["vector_lag"] == 0).then_some(answer)
    })
}

#[test]
fn a_model_from_a_file_takes_over_and_a_kill_costs_one_batch() {
    let files = Files::of("tiny.onnx");
    let mut node = Node::start("ana");
    for n in 0..100 {
        add(&node, &format!("note{n} on bread"));
    }
    let hund = add(&node, "Der Hund");
    let before = eventually("the built-in model has caught up", || {
        let answer = search(&node, "loaf of bread");
        (answer["vector_lag"] == 0).then_some(answer)
    });
    node.stop();
    let config = format!(
        "[index]\nembeddings = \"onnx\"\nmodel_file = {:?}\nbatch_texts = 4\ntexts_per_s = 30\n",
        files.model()
    );
    std::fs::write(node.home().join("config.toml"), config).expect("the home takes a file");
    node.start_again();
    let half = eventually("a part is embedded", || {
        let answer = search(&node, "loaf of bread");
        assert!(generation(&answer).starts_with("builtin-"), "{answer}");
        assert_eq!(found(&answer), found(&before), "as before: {answer}");
        let chosen = projection(&node, "chosen vectors");
        let (at, lag) = (chosen["cursor"].as_u64()?, chosen["lag"].as_u64()?);
        let note = chosen["note"].as_str()?;
        assert!(lag == 0 || note.contains("events to go"), "{chosen}");
        (at > 0 && lag > 0).then_some(at)
    });
    node.kill();
    node.start_again();
    assert!(cursor(&node) >= half, "it began anew");
    wait_until_chosen(&node);
    let answer = search(&node, "dog");
    assert!(generation(&answer).starts_with("onnx:pets-"), "{answer}");
    assert_eq!(answer["chosen"], Value::Null);
    assert_eq!(found(&answer).first(), Some(&hund.as_str()), "{answer}");
    assert_eq!(answer["hits"][0]["why"]["matched_by"], "meaning");
    assert_eq!(projection(&node, "vectors")["note"], "stands by");
}

#[test]
fn another_file_is_another_model_and_never_mixed() {
    let files = Files::of("tiny.onnx");
    let mut node = files.node();
    let hund = add(&node, "Der Hund");
    add(&node, "Brot, pan");
    wait_until_chosen(&node);
    let first = generation(&search(&node, "dog")).to_owned();
    node.stop();
    // Other words: the ids may mean something else, so nothing old is used.
    let words = files.0.path().join("vocab.txt");
    let text = std::fs::read_to_string(&words).expect("it was copied");
    std::fs::write(&words, text.replace("\nun\n", "\nvan\n")).expect("it is replaced");
    node.start_again();
    wait_until_chosen(&node);
    let other = search(&node, "dog");
    assert!(generation(&other).starts_with("onnx:pets-"), "{other}");
    assert_ne!(generation(&other), first);
    assert_eq!(found(&other).first(), Some(&hund.as_str()), "{other}");
    // While the node runs it stays with the file that it began with, or with none.
    std::fs::write(&words, text).expect("it is replaced");
    assert_eq!(generation(&search(&node, "dog")), generation(&other));
    kill(worker(&node).expect("it runs"));
    let answer = built_in(&node, "Hund", "another file than at the start");
    assert_eq!(found(&answer), [hund.as_str()]);
    node.restart();
    wait_until_chosen(&node);
    assert_eq!(generation(&search(&node, "dog")), first);
}

#[test]
fn a_file_that_is_no_good_is_named_and_the_node_goes_on() {
    let files = Files::of("tiny.onnx");
    let mut node = files.node();
    let hund = add(&node, "Der Hund bellt");
    let cases: [(Spoil, &str); 3] = [
        (put_a_page, "it is no ONNX file that can be read"),
        (add_words, "it does not run"),
        (remove, "there is no such file"),
    ];
    for (spoil, words) in cases {
        node.stop();
        spoil(&files);
        node.start_again();
        wait_for_note(&node, words);
        wait_for_note(&node, "start the node again");
        let note = projection(&node, "chosen vectors")["note"].to_string();
        assert!(note.contains("pets.onnx"), "{note}");
        assert!(node.log().contains(words), "{}", node.log());
        // What is said of it does not keep words and the built-in model from answering.
        let answer = built_in(&node, "bellt", "");
        assert_eq!(found(&answer), [hund.as_str()], "{answer}");
        let reason = answer["chosen"]["reason"].as_str();
        assert!(
            reason.is_some_and(|reason| reason.contains(words)),
            "{answer}"
        );
    }
}

/// Makes the files of no use.
type Spoil = fn(&Files);

fn put_a_page(files: &Files) {
    std::fs::write(files.model(), "<html>not found</html>").expect("it is replaced");
}

/// Gives the model more words than it has rows.
fn add_words(files: &Files) {
    files.put("tiny.onnx");
    let words = files.0.path().join("vocab.txt");
    let text = std::fs::read_to_string(&words).expect("it was copied");
    std::fs::write(&words, text + &"more\n".repeat(9)).expect("it is replaced");
}

fn remove(files: &Files) {
    std::fs::remove_file(files.model()).expect("it was there");
}

#[test]
fn vectors_wait_for_a_file_that_is_away() {
    let files = Files::of("tiny.onnx");
    let mut node = files.node();
    let hund = add(&node, "Der Hund");
    wait_until_chosen(&node);
    let first = generation(&search(&node, "dog")).to_owned();
    let at = cursor(&node);
    node.stop();
    let away = files.0.path().join("away.onnx");
    std::fs::rename(files.model(), &away).expect("it is moved");
    node.start_again();
    wait_for_note(&node, "there is no such file");
    built_in(&node, "Hund", "there is no such file");
    assert_eq!(cursor(&node), at, "what was made is kept");
    node.stop();
    std::fs::rename(&away, files.model()).expect("it is moved back");
    node.start_again();
    assert_eq!(cursor(&node), at, "nothing is made anew");
    let answer = eventually("it answers", || {
        let answer = search(&node, "dog");
        (generation(&answer) == first).then_some(answer)
    });
    assert_eq!(found(&answer), [hund.as_str()]);
}

#[test]
fn a_model_that_wants_all_memory_gets_none_of_the_node() {
    let files = Files::of("greedy.onnx");
    let node = files.node();
    let hund = add(&node, "Der Hund bellt");
    wait_for_note(&node, "its process ended (signal: 6");
    wait_for_note(&node, "3 GiB is what it may take");
    let answer = built_in(&node, "bellt", "its process ended");
    assert_eq!(found(&answer), [hund.as_str()], "{answer}");
    let status = std::fs::read_to_string(
        Path::new("/proc").join(format!("{}/status", node.pid().expect("the node runs"))),
    );
    let status = status.expect("a process has a status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = peak
        .and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok())
        .expect("a process has a peak");
    assert!(kib < 1 << 20, "{kib} KiB of the node's own");
}

#[test]
fn a_process_that_is_killed_is_started_again_and_none_outlives_its_node() {
    let files = Files::of("tiny.onnx");
    let mut node = files.node();
    let hund = add(&node, "Der Hund");
    wait_until_chosen(&node);
    let first = worker(&node).expect("it runs");
    kill(first);
    let answer = eventually("the chosen model answers again", || {
        let answer = search(&node, "dog");
        generation(&answer).starts_with("onnx:").then_some(answer)
    });
    assert_eq!(found(&answer), [hund.as_str()]);
    let second = worker(&node).expect("it runs again");
    assert_ne!(first, second);
    node.stop();
    assert!(is_gone(second), "the node ended it");
    node.start_again();
    let third = eventually("it runs", || worker(&node));
    node.kill();
    eventually("it saw that the node is gone", || {
        is_gone(third).then_some(())
    });
}

fn kill(process: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-9", &process.to_string()])
        .status();
    assert!(killed.expect("there is a kill").success());
}

fn is_gone(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn it_embeds_what_the_built_in_model_may_also_what_others_gave() {
    let files = Files::of("tiny.onnx");
    let chosen = files.chosen();
    let of_bob: Vec<_> = chosen
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let couple = Couple::start_with(&[], &of_bob);
    couple
        .ana
        .brainctl(["add", "Der Hund", "--tag", "pets"])
        .ok();
    couple.share("pets");
    eventually("bob has it", || {
        (found(&search(&couple.bob, "Hund")).len() == 1).then_some(())
    });
    let diary = add(&couple.bob, "Winter");
    let secret = ["edit", diary.as_str(), "--sensitivity", "secret"];
    couple.bob.brainctl(secret).ok();
    wait_until_chosen(&couple.bob);
    let given = search(&couple.bob, "perro");
    assert!(generation(&given).starts_with("onnx:pets-"), "{given}");
    assert_eq!(given["hits"][0]["why"]["matched_by"], "meaning", "{given}");
    let own = search(&couple.bob, "invierno");
    assert_eq!(found(&own).first(), Some(&diary.as_str()), "{own}");
}
