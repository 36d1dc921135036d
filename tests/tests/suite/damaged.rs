//! Bytes of a stopped node's folder are altered, and the real programs say so: a projection heals, the
//! rest is named, nothing is answered wrongly.

use crate::couple::hits;
use crate::http::{Http, text};
use brain_tests::Node;
use node::config::Unlock;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::blob::Blobs;
use storage::kv::faulty::SplitMix;
use storage::kv::sealed::Sealed;
use storage::kv::{Batch, Durability, Keyspace, Kv as _, Scan};
use storage::store::scrub::is_projection;

/// Starts of a real node with a byte of its store altered.
const STARTS: u64 = 40;
/// How long a node may take to start or to refuse.
const START_MAX: Duration = Duration::from_secs(20);

fn lived_in(name: &str) -> Node {
    let mut node = Node::start(name);
    for number in 0..20 {
        let body = format!("a walk along the harbour {number}");
        let kept = node.json(["add", &body, "--tag", "walks"]);
        if number == 0 {
            let path = node.folder().join("map.txt");
            fs::write(&path, "a map of the harbour ".repeat(200)).expect("a file");
            let path = path.to_str().expect("the path is text");
            node.brainctl(["attachment", "add", &text(&kept, "id"), path])
                .ok();
        }
    }
    node.stop();
    node
}

fn answers(node: &Node) -> Vec<String> {
    let listed = node.json(["ls", "--all"]);
    let items = listed["items"].as_array().expect("a page has items");
    let mut all: Vec<String> = items
        .iter()
        .map(|item| format!("{} {}", item["id"], item["title"]))
        .collect();
    all.sort();
    let ids = items.iter().map(|item| text(item, "id"));
    let bodies =
        ids.map(|id| Http::of(node).memory(&id).expect("it is listed")["body"].to_string());
    let bodies: Vec<String> = bodies.collect();
    let search = node.json(["search", "harbour", "--mode", "text", "--limit", "50"]);
    all.extend(bodies);
    all.extend(hits(&search));
    all.push(node.json(["ledger", "ls"])["items"].to_string());
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.is_file() {
            all.push(path);
        }
    }
    all.sort();
    all
}

fn with_altered<T>(path: &Path, at: usize, mask: u8, look: impl FnOnce() -> T) -> T {
    let whole = fs::read(path).expect("a file");
    let mut bytes = whole.clone();
    bytes[at] ^= mask;
    fs::write(path, bytes).expect("the file is ours");
    let seen = look();
    fs::write(path, whole).expect("the file is ours");
    seen
}

#[test]
fn every_altered_byte_of_keys_and_attachments_is_named() {
    let node = lived_in("keys");
    let home = node.home();
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let identity = || node::identity::open(&home, &Unlock::default());
    let known = identity().expect("it opens").owner.certificate;
    for path in files(&home) {
        let name = path
            .strip_prefix(&home)
            .expect("below it")
            .display()
            .to_string();
        let len = fs::read(&path).expect("a file").len();
        let opens = |at: usize| -> bool {
            if name.starts_with("blobs/") {
                let identity = identity().expect("it opens");
                let master = identity.vault.keyring().master();
                let blobs = Blobs::open(&home.join("blobs"), master);
                return reads_all(&blobs.expect("the folder opens"));
            }
            let Ok(opened) = identity() else {
                return false;
            };
            let found = opened.owner.certificate;
            assert_eq!(found, known, "{name}: byte {at} gives another identity");
            true
        };
        // The store and the text index have tests of their own. A token that was altered is another
        // token, and opens nothing; ports are a wish; locks hold nothing.
        let is_of_others = name.starts_with("store.redb") || name.starts_with("text/");
        let is_free = ["api.token", "network.ports"].contains(&name.as_str());
        let is_lock = path
            .extension()
            .is_some_and(|kind| kind == "lock" || kind == "toml");
        if is_of_others || is_free || is_lock || len == 0 {
            continue;
        }
        let count = counts.entry(name.clone()).or_default();
        for at in 0..len {
            let mask = 1 << (at % 8);
            let is_harmless = with_altered(&path, at, mask, || opens(at));
            *if is_harmless {
                &mut count.1
            } else {
                &mut count.0
            } += 1;
        }
    }
    println!("detected, harmless: {counts:?}");
    for (name, (detected, harmless)) in &counts {
        assert_eq!(*harmless, 0, "{name}: {detected} were detected");
    }
    assert!(counts.len() >= 3, "{counts:?}");
}

/// Reads the one attachment; false if that says it is damaged.
fn reads_all(blobs: &Arc<Blobs>) -> bool {
    let bytes = "a map of the harbour ".repeat(200);
    let hash = crdt::blob::outline_of(bytes.as_bytes()).root();
    let Ok(Some(reader)) = blobs.read(hash) else {
        return false;
    };
    let chunks = 0..reader.outline().chunks();
    let read: Result<Vec<_>, _> = chunks.map(|index| reader.chunk(index)).collect();
    read.is_ok_and(|chunks| {
        assert!(chunks.concat() == bytes.as_bytes(), "another attachment");
        true
    })
}

/// Starts a node that may refuse; says what it said then.
pub(crate) fn starts(node: &mut Node) -> Result<(), String> {
    let mut command = node.command("brain-node");
    let mut child = command
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("brain-node can be started");
    let deadline = Instant::now() + START_MAX;
    let said = loop {
        let ended = child.try_wait().expect("a child can be asked for its end");
        if ended.is_some() {
            let mut said = String::new();
            let errors = child.stderr.as_mut().expect("it is piped");
            errors.read_to_string(&mut said).expect("it is text");
            break Some(said);
        }
        if UnixStream::connect(node.socket()).is_ok() {
            break None;
        }
        assert!(Instant::now() < deadline, "it neither starts nor refuses");
        std::thread::sleep(Duration::from_millis(10));
    };
    child.kill().ok();
    child.wait().expect("a killed process ends");
    if let Some(said) = said {
        return Err(said);
    }
    node.start_again();
    Ok(())
}

#[test]
fn a_node_with_an_altered_store_says_so_or_answers_as_before() {
    let mut node = lived_in("store");
    node.start_again();
    let before = answers(&node);
    node.stop();
    let path = node.home().join("store.redb");
    let whole = fs::read(&path).expect("a store");
    let mut random = SplitMix(crate::number("SEED").unwrap_or(3));
    let (mut refused, mut same) = (0, 0);
    for _ in 0..STARTS * crate::number("SCALE").unwrap_or(1) {
        let len = u64::try_from(whole.len()).expect("a length");
        let at = usize::try_from(random.below(len)).expect("within");
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << random.below(8);
        fs::write(&path, bytes).expect("the store is ours");
        match starts(&mut node) {
            Ok(()) => {
                assert!(before == answers(&node), "byte {at}: other answers");
                node.stop();
                same += 1;
            }
            Err(said) => {
                assert!(said.contains("store file is damaged"), "byte {at}: {said}");
                assert!(said.contains("backup"), "byte {at}: {said}");
                refused += 1;
            }
        }
    }
    fs::write(&path, whole).expect("the store is ours");
    node.start_again();
    assert!(before == answers(&node));
    println!("{refused} starts refused, {same} answered as before");
    assert!(refused > 0);
}

#[test]
fn a_text_index_with_altered_bytes_heals_at_the_next_start() {
    let mut node = lived_in("text");
    node.start_again();
    let before = answers(&node);
    node.stop();
    for path in files(&node.home().join("text")) {
        let len = fs::read(&path).expect("a file").len();
        if len == 0 {
            continue;
        }
        let mut bytes = fs::read(&path).expect("a file");
        bytes[len / 2] ^= 1;
        fs::write(&path, bytes).expect("the file is ours");
        break;
    }
    node.start_again();
    assert!(before == answers(&node));
    assert!(node.log().contains("will be rebuilt"), "{}", node.log());
    node.brainctl(["node", "verify"]).ok();
}

/// Writes nonsense over every row of a keyspace, below the seals, so that the engine finds it sound.
fn spoil(node: &Node, keyspace: Keyspace) {
    let identity = node::identity::open(&node.home(), &Unlock::default());
    let identity = identity.expect("the test's own folder");
    let disk = brain_tests::disk_of(&node.home());
    let disk = Arc::new(disk);
    let sealed = Sealed::new(
        Arc::clone(&disk) as Arc<dyn storage::kv::Kv>,
        identity.vault.keyring().master(),
    );
    let page = sealed.scan(keyspace, &Scan::all()).expect("rows read");
    let mut batch = Batch::new();
    for item in &page.items {
        batch.put(keyspace, item.key.clone(), b"nonsense".to_vec());
    }
    assert!(!page.items.is_empty(), "there are rows of {keyspace}");
    disk.commit(batch, Durability::Durable).expect("written");
    sealed.close().expect("closed");
}

#[test]
fn damage_in_a_projection_is_named_and_heals() {
    let mut node = lived_in("projection");
    node.start_again();
    let before = answers(&node);
    node.brainctl(["node", "verify"]).ok();
    node.stop();
    // Read at each start, so it heals by itself.
    spoil(&node, Keyspace("facts"));
    node.start_again();
    assert!(before == answers(&node));
    node.brainctl(["node", "verify"]).ok();
    node.stop();
    // Read when it is asked for, so the scrub names it.
    assert!(is_projection(Keyspace("content")));
    spoil(&node, Keyspace("content"));
    node.start_again();
    let said = node.brainctl(["node", "verify"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert!(said.stdout.contains("rows of content"), "{}", said.stdout);
    assert!(
        said.stdout.contains("brainctl index rebuild"),
        "{}",
        said.stdout
    );
    node.brainctl(["index", "rebuild"]).ok();
    node.brainctl(["node", "verify"]).ok();
    assert!(before == answers(&node));
}

#[test]
fn damage_in_keys_and_attachments_is_named() {
    let mut node = lived_in("primary");
    spoil(&node, Keyspace("key"));
    let blob = files(&node.home().join("blobs"))
        .pop()
        .expect("an attachment");
    let mut bytes = fs::read(&blob).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, bytes).expect("the file is ours");
    node.start_again();
    let said = node.brainctl(["node", "verify"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert!(said.stdout.contains("rows of key"), "{}", said.stdout);
    assert!(said.stdout.contains("an attachment:"), "{}", said.stdout);
    assert!(said.stdout.contains("backup"), "{}", said.stdout);
}
