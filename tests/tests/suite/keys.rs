//! What opens a node: a passphrase, a credential, a key in a file elsewhere; and changing them.
//!
//! ```text
//! change over the API of a running node -> the store's file is the same -> the next start
//! kill -9 in the middle of a change -> exactly one of two passphrases opens
//! ```

use crate::crash::Dice;
use crate::http::Http;
use brain_tests::node::LOCKED;
use brain_tests::{Node, eventually, process};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A start that is refused ends by itself.
const REFUSAL_MAX: Duration = Duration::from_secs(30);
const ROUNDS: u64 = 20;
/// The latest moment of a kill: a change reads and wraps under Argon2id, within about this time.
const MOMENT_MAX_MS: u64 = 1_200;
/// The exit code of a command that is not allowed.
const NOT_ALLOWED: i32 = 4;

/// Writes a file beside the node's folder that only we read, and returns its path.
fn secret(node: &Node, name: &str, words: &str) -> String {
    let path = node.folder().join(name);
    fs::write(&path, format!("{words}\n")).expect("a file");
    path.to_str().expect("the path is text").to_owned()
}

pub(crate) fn configure(node: &Node, unlock: &str) {
    let text = format!("[unlock]\n{unlock}\n");
    fs::write(node.home().join("config.toml"), text).expect("the folder takes a file");
}

fn master_file(node: &Node) -> PathBuf {
    node.home().join("master.key")
}

/// Starts a node that refuses to, and returns what it says.
pub(crate) fn refused(node: &Node) -> String {
    let mut command = node.command("brain-node");
    let said = process::run(command.arg("serve"), b"", REFUSAL_MAX);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    said.stderr
}

/// The bytes of the store once nothing is being written to it any more.
fn store(node: &Node) -> Vec<u8> {
    eventually("the indexes are up to date", || {
        let status = node.json(["status"]);
        let all = status["projections"].as_array()?;
        all.iter().all(|one| one["lag"] == 0).then_some(())
    });
    fs::read(node.home().join("store.redb")).expect("the store")
}

pub(crate) fn title(node: &Node, id: &str) -> String {
    node.brainctl(["show", id]).ok().stdout.clone()
}

#[test]
fn a_passphrase_is_set_changed_and_taken_away_while_the_store_stays() {
    let mut node = Node::start("words");
    let id = Http::of(&node).add("What only I read", "t");
    let before = store(&node);
    let set = ["node", "passphrase", "set", "--passphrase-file", "-"];
    let said = node
        .brainctl_with(set, b"correct horse\n")
        .ok()
        .stdout
        .clone();
    assert!(said.contains("brainctl node unlock"), "{said}");
    assert!(store(&node) == before, "the store was written anew");

    // Without a place for the passphrase the next start waits for a person.
    node.stop();
    node.start_locked();
    let wrong = secret(&node, "wrong", "battery staple");
    let said = node.brainctl(["node", "unlock", "--passphrase-file", &wrong]);
    assert_eq!(said.code, NOT_ALLOWED, "{}", said.stderr);
    assert!(said.stderr.contains("wrong_passphrase"), "{}", said.stderr);
    assert_eq!(node.brainctl(["node", "unlock"]).code, LOCKED);
    assert_eq!(node.brainctl(["status"]).code, LOCKED);
    let unlock = ["node", "unlock", "--passphrase-file", "-"];
    node.brainctl_with(unlock, b"correct horse\n").ok();
    assert!(title(&node, &id).contains("What only I read"));

    // A change asks for the present one.
    let new = secret(&node, "new", "new words");
    let change = ["node", "passphrase", "set", "--passphrase-file", &new];
    let none = node.brainctl(change);
    assert_eq!(none.code, 2, "{}", none.stderr);
    let with =
        |current: &str| node.brainctl([&change[..], &["--current-file", current][..]].concat());
    assert_eq!(with(&wrong).code, NOT_ALLOWED);
    let old = secret(&node, "old", "correct horse");
    with(&old).ok();

    node.stop();
    configure(&node, &format!("passphrase_file = {old:?}"));
    let said = refused(&node);
    assert!(said.contains("wrong passphrase"), "{said}");
    assert!(said.contains("that was set last"), "{said}");
    configure(&node, &format!("passphrase_file = {new:?}"));
    node.start_again();
    assert!(title(&node, &id).contains("What only I read"));
    let shown = node.json(["node", "key", "show"]);
    assert_eq!(shown["kept"], "passphrase");
    assert_eq!(shown["next_start"], "it opens by itself");

    let remove = [
        "--yes",
        "node",
        "passphrase",
        "remove",
        "--current-file",
        &new,
    ];
    let said = node.brainctl(remove).ok().stdout.clone();
    assert!(
        said.contains("refuses to start while a passphrase is in"),
        "{said}"
    );
    node.stop();
    assert!(refused(&node).contains("without unlock.passphrase_file"));
    configure(&node, "");
    node.start_again();
    assert!(title(&node, &id).contains("What only I read"));
}

#[test]
fn a_change_that_is_killed_leaves_one_passphrase_that_opens() {
    let seed = crate::number("SEED").unwrap_or(20_261_127);
    let mut dice = Dice::of(seed);
    let mut node = Node::start("killed");
    let id = Http::of(&node).add("Still here", "t");
    let files = ["one", "two"].map(|name| secret(&node, name, name));
    node.brainctl(["node", "passphrase", "set", "--passphrase-file", &files[0]])
        .ok();
    let (mut now, mut changed) = (0, 0);
    for round in 0..ROUNDS * crate::number("SCALE").unwrap_or(1) {
        let moment = Duration::from_millis(dice.roll(MOMENT_MAX_MS));
        let (old, new) = (&files[now], &files[1 - now]);
        let acknowledged = std::thread::scope(|scope| {
            let change = scope.spawn(|| {
                let words = ["--passphrase-file", new, "--current-file", old];
                node.brainctl([&["node", "passphrase", "set"][..], &words[..]].concat())
            });
            std::thread::sleep(moment);
            node.kill_now();
            change.join().expect("the command ends").code == 0
        });
        node.kill();
        node.start_locked();
        let opens = |file: &str| {
            let said = node.brainctl(["node", "unlock", "--passphrase-file", file]);
            let known = matches!(said.code, 0 | NOT_ALLOWED);
            assert!(known, "SEED={seed} round {round}: {}", said.stderr);
            said.code == 0
        };
        if opens(new) {
            (now, changed) = (1 - now, changed + 1);
        } else {
            assert!(
                !acknowledged,
                "SEED={seed} round {round}: a change was lost"
            );
            assert!(opens(old), "SEED={seed} round {round}: nothing opens");
        }
        assert!(title(&node, &id).contains("Still here"));
    }
    println!("{changed} changes came before their kill");
}

#[test]
fn a_systemd_credential_opens_a_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("the path is text");
    let credential = |name: &str, words: &str| {
        fs::write(folder.path().join(name), format!("{words}\n")).expect("a file");
    };
    credential("brain-node.passphrase", "from the service manager");
    let mut node = Node::start_with("creds", &[("CREDENTIALS_DIRECTORY", path)]);
    let id = Http::of(&node).add("Opened by a credential", "t");
    assert_eq!(node.json(["node", "key", "show"])["kept"], "passphrase");
    node.restart();
    assert!(title(&node, &id).contains("Opened by a credential"));
    node.stop();

    credential("brain-node.passphrase", "another one");
    assert!(refused(&node).contains("wrong passphrase"));
    // Another name, and no fallback if the method is set.
    credential("mine", "from the service manager");
    configure(&node, "method = \"systemd-creds\"\ncredential = \"mine\"");
    node.start_again();
    assert!(title(&node, &id).contains("Opened by a credential"));
    node.stop();
    fs::remove_file(folder.path().join("mine")).expect("it was there");
    let said = refused(&node);
    assert!(
        said.contains("cannot read") && said.contains("mine"),
        "{said}"
    );
}

#[test]
fn a_wrapping_key_elsewhere_opens_a_node_and_is_replaced() {
    let mut node = Node::start("stick");
    let id = Http::of(&node).add("Locked with a stick", "t");
    let before = store(&node);
    let stick = node.folder().join("stick.key");
    let path = stick.to_str().expect("the path is text").to_owned();
    let inside = node.home().join("stick.key");
    let inside = inside.to_str().expect("the path is text").to_owned();
    assert_eq!(node.brainctl(["node", "key", "rotate"]).code, 2);
    assert_eq!(node.brainctl(["node", "key", "file", &inside]).code, 2);
    let said = node
        .brainctl(["node", "key", "file", &path])
        .ok()
        .stdout
        .clone();
    assert!(
        said.contains("until unlock.key_file names the file"),
        "{said}"
    );
    let (first_stick, first_master) = (fs::read(&stick), fs::read(master_file(&node)));
    node.brainctl(["node", "key", "rotate"]).ok();
    assert_ne!(fs::read(&stick).ok(), first_stick.as_ref().ok().cloned());
    assert!(store(&node) == before, "the store was written anew");

    node.stop();
    assert!(refused(&node).contains("unlock.key_file = "));
    configure(&node, &format!("key_file = {path:?}"));
    node.start_again();
    assert!(title(&node, &id).contains("Locked with a stick"));

    // Without the stick it waits for it; with the old one it is told.
    node.stop();
    let pocket = node.folder().join("pocket");
    fs::rename(&stick, &pocket).expect("it was there");
    node.start_locked();
    assert_eq!(node.brainctl(["node", "unlock"]).code, LOCKED);
    fs::rename(&pocket, &stick).expect("it was there");
    node.brainctl(["node", "unlock"]).ok();
    assert!(title(&node, &id).contains("Locked with a stick"));
    node.stop();
    let second_stick = fs::read(&stick).expect("a file");
    fs::write(&stick, first_stick.expect("a file")).expect("a file");
    assert!(refused(&node).contains("does not open the master key"));

    // What the documents say: the old stick opens the old file, and with it everything.
    let second_master = fs::read(master_file(&node)).expect("a file");
    fs::write(master_file(&node), first_master.expect("a file")).expect("a file");
    node.start_again();
    assert!(title(&node, &id).contains("Locked with a stick"));
    node.stop();
    fs::write(&stick, second_stick).expect("a file");
    fs::write(master_file(&node), second_master).expect("a file");
    node.start_again();
}
