//! The node's side against processes that do what no model should: `sh` is one that answers nothing,
//! garbage, or dies. The real one is looked at from outside, in `tests/tests/suite/onnx.rs`.

use super::*;
use std::time::Instant;
use tokio::runtime::Runtime;

const MODEL: &[u8] = include_bytes!("fixtures/tiny.onnx");

/// An embedder whose process is a script, and what must outlive it.
struct Bench {
    embedder: OnnxEmbedder,
    stop: CancellationToken,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

fn bench(script: &str) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let files = ModelFiles {
        model: folder.path().join("tiny.onnx"),
        vocabulary: folder.path().join("vocab.txt"),
    };
    std::fs::write(&files.model, MODEL).unwrap();
    std::fs::write(&files.vocabulary, include_str!("fixtures/vocab.txt")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let index = Index {
        timeout_s: 1,
        ..Index::default()
    };
    let mut embedder = {
        let _inside = runtime.enter();
        OnnxEmbedder::new(files, &index, stop.clone())
    };
    let hash = embedder.identity.unwrap().0;
    let octal = hash.map(|byte| format!("\\{byte:03o}")).concat();
    embedder.program = "/bin/sh".into();
    // `ready` greets with the hash of the files that are there; words go back over the socket.
    let ready = format!("ready() {{ printf '\\000\\040\\000\\000\\000{octal}' >&0; }}; {script}");
    embedder.args = vec!["-c".into(), ready.into()];
    Bench {
        embedder,
        stop,
        runtime,
        folder,
    }
}

fn texts(bench: &Bench) -> EmbedError {
    let answer = bench.embedder.embed(&["dog"], Purpose::Text);
    answer.expect_err("no model answers")
}

/// A vector of one number, one half.
const VECTOR: &str = r"printf '\001\004\000\000\000\000\000\000\077' >&0";

#[test]
fn another_file_is_another_model_and_one_that_is_missing_is_of_no_identity() {
    let bench = bench("");
    let name = bench.embedder.name().to_owned();
    assert!(name.starts_with("onnx:tiny-") && name.len() == 26, "{name}");
    assert_eq!(bench.embedder.identity(), Some(name.as_str()));
    let open = |model: &str| {
        let _inside = bench.runtime.enter();
        let files = ModelFiles {
            model: bench.folder.path().join(model),
            vocabulary: bench.folder.path().join("vocab.txt"),
        };
        OnnxEmbedder::new(files, &Index::default(), bench.stop.clone())
    };
    assert_eq!(open("tiny.onnx").name(), name);
    let missing = open("tinier.onnx");
    assert_eq!((missing.name(), missing.identity()), ("onnx:tinier", None));
    let error = missing.embed(&[], Purpose::Query).expect_err("no file");
    assert!(
        error
            .to_string()
            .contains("tinier.onnx: there is no such file")
    );
    let more = bench.folder.path().join("vocab.txt");
    std::fs::write(&more, "more\n").unwrap();
    assert_ne!(open("tiny.onnx").name(), name);
}

#[test]
fn a_process_that_ends_is_told_and_started_again() {
    let bench = bench("exit 7");
    for _ in 0..2 {
        let error = texts(&bench).to_string();
        assert!(
            error.contains("its process ended (exit status: 7)"),
            "{error}"
        );
    }
    let killed = self::bench("ready; kill -9 $$");
    let error = texts(&killed).to_string();
    assert!(error.contains("signal: 9"), "{error}");
    let mut none = self::bench("");
    none.embedder.program = "/nowhere/brain-node".into();
    assert!(texts(&none).to_string().contains("cannot start"));
}

#[test]
fn a_process_that_says_nothing_or_nonsense_is_ended() {
    let bench = bench("ready; sleep 60");
    let began = Instant::now();
    let error = texts(&bench);
    assert!(matches!(error, EmbedError::Overdue { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30));
    let place = bench.embedder.process.try_lock().unwrap();
    assert!(place.is_none(), "it was ended");
    for nonsense in ["printf 'HTTP/1.1 200 OK' >&0", "ready; ready", VECTOR] {
        let error = texts(&self::bench(&format!("{nonsense}; sleep 60")));
        assert!(
            error.to_string().contains("no answer"),
            "{nonsense}: {error}"
        );
    }
}

#[test]
fn a_process_that_read_other_files_is_not_used() {
    let bench = bench(r"printf '\000\040\000\000\000%032d' 0 >&0; sleep 60");
    for _ in 0..2 {
        let error = texts(&bench).to_string();
        assert!(error.contains("another file than at the start"), "{error}");
    }
}

#[test]
fn a_query_waits_for_no_start_and_takes_no_answer_of_another() {
    let bench = bench(&format!("ready; {VECTOR}; {VECTOR}; sleep 60"));
    let query = bench.embedder.embed(&["dog"], Purpose::Query);
    assert!(matches!(query, Err(EmbedError::Asleep)), "{query:?}");
    let text = bench.embedder.embed(&["dog"], Purpose::Text).unwrap();
    assert_eq!(text, [[0.5]]);
    let query = bench.embedder.embed(&["dog"], Purpose::Query).unwrap();
    assert_eq!(query, [[0.5]]);
    // This one is given up; what comes later is the answer to it, not to the next.
    let query = bench.embedder.embed(&["dog"], Purpose::Query);
    assert!(
        matches!(query, Err(EmbedError::Overdue { .. })),
        "{query:?}"
    );
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_that_of_the_next() {
    // The first answer takes longer than a query waits, and is another than the second.
    let late = r"printf '\001\004\000\000\000\000\000\000\100' >&0";
    let bench = bench(&format!("ready; sleep 0.3; {late}; {VECTOR}; sleep 60"));
    let embedder = &bench.embedder;
    bench.runtime.block_on(async {
        let mut process = embedder.start().await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(50), process.ask("dog")).await;
        assert!(given_up.is_err(), "it is late");
        assert_eq!(process.ask("cat").await.unwrap(), Answer::Vector(vec![0.5]));
    });
}

#[test]
fn a_stop_does_not_wait_for_a_text() {
    let bench = bench("ready; sleep 60");
    bench.stop.cancel();
    let stopped = bench.embedder.embed(&["dog"], Purpose::Text);
    assert!(matches!(stopped, Err(EmbedError::Stopping)), "{stopped:?}");
}
