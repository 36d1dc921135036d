//! Every verb of every surface that changes a memory, and what the other person sees of it.
//!
//! ```text
//! table: a memory of the view -> verb on ana -> bob's copy shows the effect
//! private verbs               -> bob's copy shows nothing of them
//! ```
//!
//! Invariant: a route, a field of a change, or a command that neither the table nor a list of
//! exceptions names fails the test, so a new verb cannot be forgotten here.

mod table;

use crate::couple::{Couple, notes};
use crate::http::{Http, text};
use brain_tests::{eventually, root};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use table::{Act, COMMANDS_ELSEWHERE, FIELDS_PRIVATE, ROUTES_ELSEWHERE, VERBS};

/// Does something to a memory on Ana's node.
fn act(couple: &Couple, act: &Act, id: &str, other: &str) {
    let fill = |word: &str| word.replace("ID", id).replace("OTHER", other);
    match act {
        Act::Cli(line) => {
            let words: Vec<String> = line.split(' ').map(fill).collect();
            couple.ana.brainctl(words).ok();
        }
        Act::Http(method, path, body) => {
            let body = (!body.is_empty()).then(|| {
                let text = fill(body);
                serde_json::from_str::<Value>(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
            });
            Http::of(&couple.ana).ok(method, &fill(path), body.as_ref());
        }
    }
}

#[test]
fn every_verb_replicates() {
    let couple = Couple::start();
    couple.share("shared");
    let (ana, bob) = (Http::of(&couple.ana), Http::of(&couple.bob));
    let other = ana.add("Where links lead", "shared");
    for verb in &VERBS {
        let id = ana.add(&format!("For {:?}", verb.act), "shared");
        eventually("the memory arrives", || bob.memory(&id));
        if let Some(first) = &verb.first {
            act(&couple, first, &id, &other);
            let heads = ana.memory(&id).map(|memory| memory["heads"].clone());
            eventually("what comes before arrives", || {
                (bob.memory(&id)?["heads"] == *heads.as_ref()?).then_some(())
            });
        }
        let is_seen = || (verb.seen)(bob.memory(&id).as_ref(), &other);
        assert!(!is_seen(), "{:?} would prove nothing", verb.act);
        act(&couple, &verb.act, &id, &other);
        eventually(&format!("bob sees {:?}", verb.act), || {
            is_seen().then_some(())
        });
    }
    couple.prove();
}

/// The verbs that make memories have no memory to begin with.
#[test]
fn what_is_new_or_imported_replicates() {
    let couple = Couple::start();
    couple.share("shared");
    let Couple { ana, bob } = &couple;
    let titles = || -> BTreeSet<String> {
        let page = bob.json(["ls", "tag:shared", "--all"]);
        let items = page["items"].as_array().expect("a page has items").clone();
        items.iter().map(|item| text(item, "title")).collect()
    };
    let arrives = |title: &str| {
        eventually(title, || titles().contains(title).then_some(()));
    };
    ana.brainctl(["add", "Said to the shell", "-t", "shared"])
        .ok();
    arrives("Said to the shell");
    ana.brainctl(["note", "Noted in the shell", "-t", "shared"])
        .ok();
    arrives("Noted in the shell");
    Http::of(ana).add("Posted", "shared");
    arrives("Posted");
    let folder = notes(ana, "imported", 1);
    let path = folder.to_str().expect("the path is text");
    ana.brainctl(["import", path, "--tag", "shared"]).ok();
    arrives("imported note 0");
    std::fs::write(folder.join("0000.md"), "# changed note\n").expect("the file can be written");
    ana.brainctl(["import", path, "--tag", "shared"]).ok();
    arrives("changed note");
    std::fs::write(folder.join("more.md"), "# posted note\n").expect("the file can be written");
    let import = json!({"path": path, "tags": ["shared"]});
    Http::of(ana).ok("POST", "/v1/imports", Some(&import));
    arrives("posted note");
    couple.prove();
}

#[test]
fn private_verbs_stay_private() {
    let couple = Couple::start();
    couple.share("shared");
    let (ana, bob) = (Http::of(&couple.ana), Http::of(&couple.bob));
    let private = [
        Act::Cli("edit ID --space attic-hidden"),
        Act::Http("PATCH", "/v1/memories/ID", r#"{"space": "cellar-hidden"}"#),
        Act::Http(
            "PATCH",
            "/v1/memories/ID",
            r#"{"add_private_tags": ["own-hidden", "gone-hidden"]}"#,
        ),
        Act::Http(
            "PATCH",
            "/v1/memories/ID",
            r#"{"remove_private_tags": ["gone-hidden"]}"#,
        ),
    ];
    for deed in private {
        let id = ana.add("Both can read this", "shared");
        let before = eventually("the memory arrives", || bob.memory(&id));
        act(&couple, &deed, &id, "");
        // What is written after it arrives after it.
        act(&couple, &Act::Cli("edit ID --title canary"), &id, "");
        let seen = eventually("the change after it arrives", || {
            bob.memory(&id).filter(|memory| memory["title"] == "canary")
        });
        assert!(!seen.to_string().contains("hidden"), "{deed:?}: {seen:#}");
        assert_eq!(seen["space"], before["space"], "{deed:?}");
    }
    for deed in [
        Act::Cli("edit ID --sensitivity secret"),
        Act::Http("PATCH", "/v1/memories/ID", r#"{"sensitivity": "secret"}"#),
    ] {
        a_secret_leaves_the_view(&couple, &deed);
    }
}

fn a_secret_leaves_the_view(couple: &Couple, deed: &Act) {
    let (ana, bob) = (Http::of(&couple.ana), Http::of(&couple.bob));
    let id = ana.add("Read by both, then by one", "shared");
    eventually("the memory arrives", || bob.memory(&id));
    act(couple, deed, &id, "");
    let later = Act::Http("PATCH", "/v1/memories/ID", r#"{"body": "Only mine now"}"#);
    act(couple, &later, &id, "");
    let canary = ana.add("Comes after the secret", "shared");
    eventually("the canary arrives", || bob.memory(&canary));
    couple.prove();
    let copy = bob.memory(&id);
    let leaked = copy.is_some_and(|memory| text(&memory, "body").contains("Only mine"));
    assert!(!leaked, "{deed:?}: what was written after it reached bob");
}

#[test]
fn no_route_field_or_command_is_forgotten() {
    let api = std::fs::read_to_string(root().join("docs/openapi.json"));
    let api: Value = serde_json::from_str(&api.expect("there is a description"))
        .expect("the description is JSON");
    let paths = api["paths"].as_object().expect("it has paths");
    let routes: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path has methods").keys();
            let changing = methods.filter(|method| *method != "get");
            changing.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let in_table = VERBS.iter().filter_map(|verb| match verb.act {
        Act::Http(method, path, _) => {
            let path = path
                .replace("ID", "{id}")
                .replace("unnamed", "{attachment}");
            Some(format!("{method} {path}"))
        }
        Act::Cli(_) => None,
    });
    let made = ["POST /v1/memories", "POST /v1/imports"].map(str::to_owned);
    let elsewhere = ROUTES_ELSEWHERE.map(str::to_owned);
    let named: BTreeSet<String> = in_table.chain(made).chain(elsewhere).collect();
    assert_eq!(routes, named);

    let fields = api["components"]["schemas"]["Patch"]["properties"].as_object();
    let fields: BTreeSet<&str> = fields
        .expect("a change has fields")
        .keys()
        .map(String::as_str)
        .collect();
    let mut tried: BTreeSet<String> = FIELDS_PRIVATE.map(str::to_owned).into();
    for verb in &VERBS {
        if let Act::Http("PATCH", _, body) = verb.act {
            let body: Value = serde_json::from_str(body).expect("the table has JSON");
            tried.extend(body.as_object().expect("a change").keys().cloned());
        }
    }
    assert_eq!(fields, tried.iter().map(String::as_str).collect());
}

#[test]
fn no_command_is_forgotten() {
    let node = brain_tests::Node::without_process("nobody", &[]);
    let help = node.brainctl(["--help"]).ok().stdout.clone();
    let listed = help.split("Commands:").nth(1).expect("help lists commands");
    let commands: BTreeSet<&str> = listed
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let in_table = VERBS.iter().filter_map(|verb| match verb.act {
        Act::Cli(line) => line.split(' ').find(|word| *word != "--yes"),
        Act::Http(..) => None,
    });
    let named: BTreeSet<&str> = in_table
        .chain(["add", "import"])
        .chain(COMMANDS_ELSEWHERE)
        .collect();
    assert_eq!(commands, named);
}
