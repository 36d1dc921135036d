//! Traces: one goes from a command through two nodes to a friend's search, and none says anything
//! of what it was about.
//!
//! ```text
//! brainctl add -> POST -> embed, sync offer -> [bob] sync take -> embed, search hit
//! ```

use crate::couple::{Couple, has};
use crate::http::{Http, text};
use brain_tests::collector::{Collected, Collector};
use brain_tests::{Node, eventually, root};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// Part of every word that no span, line of a log or metric may have: letters only, and in no word
/// of ours.
const CANARY: &str = "qzxjtrace";
const SOON: Duration = Duration::from_secs(10);

/// What both nodes are told: to trace, to each other too, and to say so soon.
fn traced(endpoint: &str) -> [(&str, &str); 3] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("BRAIN_TELEMETRY__TRACE_PEERS", "true"),
    ]
}

/// Returns the spans with this name that are below another one.
fn below<'a>(spans: &'a [Collected], parent: &Collected, name: &str) -> Vec<&'a Collected> {
    let is_below = |span: &&Collected| span.parent == parent.span && span.trace == parent.trace;
    let named = spans.iter().filter(|span| span.name == name);
    named.filter(is_below).collect()
}

/// Returns the one span with this name that is below another one, once it is there.
fn one_below(collector: &Collector, parent: &Collected, name: &str) -> Collected {
    eventually(name, || {
        let spans = collector.spans();
        let found = below(&spans, parent, name);
        assert!(found.len() < 2, "{name} is there twice: {found:#?}");
        found.first().map(|span| (*span).clone())
    })
}

/// Returns the names of spans that the documentation has.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/traces.md")).expect("the list of spans");
    let (_, spans) = text.split_once("\n## Spans\n").expect("a list of spans");
    let rows = spans.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// Returns how the documentation calls a span: commands and routes have a row together.
fn row(span: &Collected) -> String {
    if span.service == "brainctl" {
        "brainctl COMMAND".to_owned()
    } else if span.attributes.contains_key("http.route") {
        "METHOD ROUTE".to_owned()
    } else {
        span.name.clone()
    }
}

#[test]
fn one_trace_goes_from_a_save_to_the_search_of_a_friend() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let mut couple = Couple::start_with(&traced(&endpoint), &traced(&endpoint));
    couple.share("shared");
    couple.prove();
    let added = couple
        .ana
        .json(["add", "Rye bread rises", "--tag", "shared"]);
    let id = text(&added, "id");
    eventually("it arrives", || has(&couple.bob, &id).then_some(()));
    let found = couple.bob.json(["search", "rye bread"]);
    assert!(found.to_string().contains(&id), "{found:#}");

    let root = eventually("the command", || {
        let spans = collector.spans();
        spans.into_iter().find(|span| span.name == "brainctl add")
    });
    assert_eq!(
        (root.service.as_str(), root.parent.as_str()),
        ("brainctl", "")
    );
    assert_eq!(root.attributes["process.exit.code"], "0");
    let save = one_below(&collector, &root, "POST /v1/memories");
    assert_eq!(save.attributes["http.response.status_code"], "201");
    let offer = one_below(&collector, &save, "sync offer");
    let take = one_below(&collector, &offer, "sync take");
    let hit = one_below(&collector, &take, "search hit");
    let embeds = [&save, &take].map(|parent| one_below(&collector, parent, "embed"));
    for (span, beside) in [
        (&offer, &save),
        (&embeds[0], &save),
        (&hit, &take),
        (&embeds[1], &take),
    ] {
        assert_eq!(span.instance, beside.instance, "{}", span.name);
    }
    assert_ne!(save.instance, take.instance, "they are of two nodes");
    let search = eventually("the search", || {
        let spans = collector.spans();
        let searches = spans
            .into_iter()
            .filter(|span| span.name == "POST /v1/search");
        searches
            .into_iter()
            .find(|span| hit.links.contains(&span.trace))
    });
    assert_eq!(search.instance, take.instance);

    // What there is, is what the documentation has; and the other way round.
    let folder = couple.ana.folder().join("notes");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("one.md"), "# One\n\nNote.").expect("a file");
    couple
        .ana
        .brainctl(["import".as_ref(), folder.as_os_str()])
        .ok();
    couple.bob.stop();
    couple.ana.stop();
    let spans = collector.spans();
    let names: BTreeSet<String> = spans.iter().map(row).collect();
    assert_eq!(names, documented());
}

#[test]
fn a_line_of_the_log_and_a_refusal_name_their_trace() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let extra = [
        &traced(&endpoint)[..],
        &[
            ("BRAIN_TELEMETRY__LOG", "debug"),
            ("BRAIN_TELEMETRY__LOG_FORMAT", "json"),
        ],
    ]
    .concat();
    let node = Node::start_with("ana", &extra);
    let refused = node.brainctl(["show", "zzzz", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&refused.stderr).expect("JSON");
    let trace = text(&error, "trace_id");
    eventually("the refused command", || {
        let spans = collector.spans();
        let found = spans.into_iter().find(|span| span.name == "brainctl show");
        found.filter(|span| span.trace == trace)
    });
    let log = node.log();
    let line = log.lines().find(|line| line.contains(&trace));
    let line = line.unwrap_or_else(|| panic!("no line of the trace {trace}:\n{log}"));
    let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    assert_eq!(line["trace_id"], trace.as_str());
    // Whoever asks over HTTP has it in a header, below what they named.
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let below = [("TRACEPARENT", parent)];
    let mut command = node.command("brainctl");
    let shown = command.args(["show", "zzzz", "--json"]).envs(below);
    let shown = brain_tests::process::run(shown, b"", SOON);
    assert!(
        shown.stderr.contains("4bf92f3577b34da6a3ce929d0e0e4736"),
        "{}",
        shown.stderr
    );
}

#[test]
fn a_peer_that_does_not_want_traces_is_told_of_none() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let alone = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let mut couple = Couple::start_with(&traced(&endpoint), &alone);
    couple.share("shared");
    let id = Http::of(&couple.ana).add("Rye bread", "shared");
    eventually("it arrives", || has(&couple.bob, &id).then_some(()));
    couple.ana.stop();
    couple.bob.stop();
    let spans = collector.spans();
    let named = |name: &str| {
        spans
            .iter()
            .filter(|span| span.name == name)
            .collect::<Vec<_>>()
    };
    let (offers, takes) = (named("sync offer"), named("sync take"));
    assert!(!offers.is_empty() && !takes.is_empty(), "{spans:#?}");
    let traces: BTreeSet<&str> = offers.iter().map(|span| span.trace.as_str()).collect();
    for take in takes {
        assert_eq!(take.parent, "", "it is below nothing of another node's");
        assert!(!traces.contains(take.trace.as_str()));
    }
}

/// Words that stand for what a person has: each is looked for by itself.
fn word(of: &str) -> String {
    format!("{CANARY}{of}")
}

/// Does everything that people do with memories, with a canary in whatever they can name.
fn live(couple: &Couple, alias: &str) -> BTreeSet<String> {
    let (ana, bob) = (&couple.ana, &couple.bob);
    let http = Http::of(ana);
    let new = json!({
        "title": word("title"), "body": format!("{} rises in the tin", word("body")),
        "tags": ["shared", word("tag")],
    });
    let shared = text(&http.ok("POST", "/v1/memories", Some(&new)), "id");
    let private = http.add(&word("private"), &word("othertag"));
    let attached = ana.folder().join(format!("{}.txt", word("file")));
    fs::write(&attached, word("attachment")).expect("a file");
    ana.brainctl([
        "attachment".as_ref(),
        "add".as_ref(),
        shared.as_ref(),
        attached.as_os_str(),
    ])
    .ok();
    let folder = ana.folder().join(word("folder"));
    fs::create_dir_all(&folder).expect("a folder");
    let note = format!("# {}\n\n{}", word("note"), word("noteberry"));
    fs::write(folder.join(format!("{}.md", word("note"))), note).expect("a file");
    ana.brainctl(["import".as_ref(), folder.as_os_str()]).ok();
    eventually("it arrives", || has(bob, &shared).then_some(()));
    for mode in ["text", "vector", "hybrid"] {
        for node in [ana, bob] {
            node.brainctl(["search", &word("body"), "--mode", mode])
                .ok();
        }
    }
    http.call("GET", &format!("/v1/memories/{}", word("id")), None);
    ana.brainctl(["search", &format!("tag:{}(", word("query"))]);
    let space = ["edit", &private, "--space", &word("space")];
    ana.brainctl(space).ok();
    bob.brainctl(["edit", &shared, "--body", &word("edited")])
        .ok();
    eventually("the edit arrives", || {
        let found = http.memory(&shared)?;
        (text(&found, "body") == word("edited")).then_some(())
    });
    let circle = word("circle");
    ana.brainctl(["circle", "create", &circle, alias]).ok();
    ana.brainctl(["rm", &private, "--yes"]).ok();
    ana.brainctl(["purge", &private, "--yes"]).ok();
    ana.brainctl(["revoke", alias, "--yes"]);
    ana.brainctl(["ledger", "verify"]).ok();
    BTreeSet::from([shared, private])
}

#[test]
fn no_span_no_line_and_no_metric_says_what_it_was_about() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let names = [word("ana"), word("bob")];
    let start = |name: &str| {
        let own = if name == "ana" { &names[0] } else { &names[1] };
        let extra = [
            &traced(&endpoint)[..],
            &[
                ("BRAIN_TELEMETRY__LOG", "trace"),
                ("BRAIN_TELEMETRY__LOG_FORMAT", "json"),
                ("BRAIN_NODE__ALIAS", own.as_str()),
            ],
        ]
        .concat();
        Node::start_with(name, &extra)
    };
    let mut couple = Couple::of(start);
    let alias = word("petname");
    couple.ana.brainctl(["peer", "rename", "bob", &alias]).ok();
    let offer = [
        "share",
        "tag:shared",
        "--with",
        &alias,
        "--as",
        "write",
        "--yes",
    ];
    let grant = text(&couple.ana.json(offer), "grant");
    eventually("bob is asked", || {
        let requests = couple.bob.json(["request", "ls"]).to_string();
        requests.contains(&grant).then_some(())
    });
    couple.bob.brainctl(["request", "approve", &grant]).ok();
    let memories = live(&couple, &alias);
    let mut persons = BTreeSet::new();
    let mut pages = Vec::new();
    for node in [&couple.ana, &couple.bob] {
        persons.insert(text(&node.json(["status"]), "person"));
        pages.push(node.brainctl(["node", "metrics"]).ok().stdout.clone());
    }
    couple.bob.stop();
    couple.ana.stop();
    let spans = collector.bytes();
    let logs = [couple.ana.log(), couple.bob.log()];
    assert!(collector.spans().len() > 40, "spans were recorded");
    assert!(logs.iter().all(|log| log.contains("\"level\":\"TRACE\"")));
    let mut forbidden: Vec<String> = vec![CANARY.to_owned(), CANARY.to_uppercase()];
    forbidden.extend(memories);
    forbidden.extend(persons);
    for secret in &forbidden {
        let places = logs.iter().chain(&pages).map(String::as_bytes);
        for place in places.chain([spans.as_slice()]) {
            let found = place
                .windows(secret.len())
                .position(|part| part == secret.as_bytes());
            let around = found.map(|at| {
                let from = at.saturating_sub(300);
                String::from_utf8_lossy(&place[from..place.len().min(at + 100)]).into_owned()
            });
            assert_eq!(around, None, "{secret} is in it");
        }
    }
}
