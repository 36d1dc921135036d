//! Attachments between two real nodes: they arrive in pieces, survive crashes, end with consent.
//!
//! The senders are slowed down by their own setting, so that there is a middle to cut into.

use crate::couple::{Couple, has};
use crate::http::{Http, text};
use brain_tests::{Node, eventually};
use crdt::hash::Hash;
use crdt::id::MemoryId;
use crdt::identity::DeviceKey;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use node::net::Network;
use node::net::door::Door;
use protocol::blob::{Request, frame};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Bytes of the large attachment.
const LARGE: usize = 20_000_000;
/// Bytes that one entry of the ledger can be about.
const PART: u64 = 4 << 20;
/// What every attachment of these tests holds in plain.
const CANARY: &[u8] = b"quetzal-in-the-canyon";
/// The pace of the sender: the large attachment takes four seconds.
const PACE: (&str, &str) = ("BRAIN_ATTACHMENTS__MAX_BYTES_PER_S", "5000000");

/// Writes a file whose bytes can be found and repeat nowhere.
fn file(node: &Node, name: &str, bytes: usize) -> (PathBuf, Vec<u8>) {
    let mut data = Vec::with_capacity(bytes + 64);
    let mut number = 0_u64;
    while data.len() < bytes {
        data.extend(CANARY);
        data.extend(format!(" {number}\n").as_bytes());
        number += 1;
    }
    data.truncate(bytes);
    let path = node.folder().join(name);
    std::fs::write(&path, &data).expect("the folder takes a file");
    (path, data)
}

fn keep(node: &Node, tag: &str, path: &Path) -> String {
    let path = path.to_str().expect("the path is text");
    text(
        &node.json(["add", "A recording", "-t", tag, "--attach", path]),
        "id",
    )
}

/// Returns how many bytes of a memory's only attachment a node has; none without the memory.
fn here(node: &Node, id: &str) -> Option<u64> {
    let memory = Http::of(node).memory(id)?;
    memory.pointer("/attachments/0/bytes_here")?.as_u64()
}

/// Waits for the middle of a transfer.
fn some(node: &Node, id: &str, more_than: u64) -> u64 {
    eventually("a part of the attachment is there", || {
        here(node, id).filter(|bytes| *bytes > more_than)
    })
}

/// Returns the parts that left of attachments, as the ledger says.
fn parts(node: &Node) -> Vec<(u64, u64)> {
    let page = node.json(["ledger", "ls"]);
    let items = page["items"].as_array().expect("a page has items");
    let parts = items.iter().filter_map(|entry| entry.get("blob"));
    let number = |part: &Value, field: &str| part[field].as_u64().expect("a number");
    parts
        .map(|part| (number(part, "from"), number(part, "bytes")))
        .collect()
}

/// Returns the files in a node's folder of blobs.
fn blobs(node: &Node) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(node.home().join("blobs")).expect("there is a folder");
    folder
        .map(|item| item.expect("it can be listed").path())
        .collect()
}

/// Panics if any file of a node's data folder holds the canary.
fn assert_sealed(folder: &Path) {
    for item in std::fs::read_dir(folder).expect("a folder") {
        let path = item.expect("it can be listed").path();
        if path.is_dir() {
            assert_sealed(&path);
        } else if path.is_file() {
            let bytes = std::fs::read(&path).expect("it can be read");
            let is_plain = bytes.windows(CANARY.len()).any(|window| window == CANARY);
            assert!(!is_plain, "{} holds plain text", path.display());
        }
    }
}

fn get(node: &Node, id: &str, to: &str) -> Vec<u8> {
    let path = node.folder().join(to);
    let output = path.to_str().expect("the path is text");
    let name = "recording.bin";
    node.brainctl(["attachment", "get", id, name, "-o", output])
        .ok();
    std::fs::read(path).expect("it was written")
}

#[test]
fn a_large_attachment_arrives_although_both_sides_are_killed() {
    let mut couple = Couple::start_with(&[PACE], &[]);
    let (path, data) = file(&couple.ana, "recording.bin", LARGE);
    let id = keep(&couple.ana, "shared", &path);
    couple.share("shared");
    let start = Instant::now();
    let seen = some(&couple.bob, &id, 0);
    assert!(seen < LARGE as u64, "it is not whole yet");
    couple.prove();
    let status = couple.bob.json(["sync", "prove", "ana"]);
    assert_eq!(status["in_sync"], true, "events are one thing: {status:#}");
    assert_eq!(
        status["attachments_missing"], 1,
        "files another: {status:#}"
    );
    let said = couple.bob.brainctl(["status"]).ok().stdout.clone();
    assert!(said.contains("1 not here yet"), "{said}");

    let before = some(&couple.bob, &id, seen);
    couple.bob.crash();
    let after = here(&couple.bob, &id).expect("bob keeps the memory");
    assert!(
        after >= before,
        "{after} bytes after a crash, {before} before"
    );
    let before = some(&couple.bob, &id, after);
    couple.ana.crash();
    assert!(here(&couple.bob, &id) >= Some(before));
    eventually("all of it arrives", || {
        (here(&couple.bob, &id)? == LARGE as u64).then_some(())
    });
    println!(
        "{LARGE} bytes in {:?}, with a crash of either side",
        start.elapsed()
    );
    assert!(
        get(&couple.bob, &id, "copy.bin") == data,
        "the copy is another file"
    );

    let parts = parts(&couple.ana);
    let total: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    println!("{} parts, {total} bytes in the ledger", parts.len());
    assert!(total >= LARGE as u64, "all of it is in the ledger");
    // What broke off says up to one part too much, twice; it never starts over.
    assert!(
        total <= LARGE as u64 + 3 * PART,
        "{total} bytes left: it started over"
    );
    let verdict = couple.ana.json(["ledger", "verify"]);
    assert_eq!(verdict["ok"], true, "{verdict:#}");
    for node in [&couple.ana, &couple.bob] {
        assert_eq!(blobs(node).len(), 1);
        assert_sealed(&node.home());
    }
    couple.ana.brainctl(["--yes", "purge", &id]).ok();
    assert!(
        blobs(&couple.ana).is_empty(),
        "a purge destroys the bytes at once"
    );
    eventually("the purge reaches bob", || {
        (!has(&couple.bob, &id)).then_some(())
    });
    eventually("and the bytes there", || {
        blobs(&couple.bob).is_empty().then_some(())
    });
}

#[test]
fn a_revocation_stops_an_attachment_in_the_middle() {
    let couple = Couple::start_with(&[PACE], &[]);
    let Couple { ana, bob } = &couple;
    let (path, _) = file(ana, "recording.bin", LARGE);
    let id = keep(ana, "shared", &path);
    let grant = couple.share("shared");
    some(bob, &id, 0);
    ana.brainctl(["revoke", &grant, "--yes"]).ok();
    let written = parts(ana);
    eventually("bob hears of it", || {
        let grants = bob.json(["share", "ls"]);
        let items = grants["items"].as_array()?;
        let same = items.iter().find(|item| item["id"] == grant)?;
        (same["state"] == "revoked").then_some(())
    });
    let stopped = here(bob, &id).expect("bob keeps the memory");
    assert!(stopped < LARGE as u64, "it was over before the revocation");
    // Something that is shared arrives after it, also its file; the first goes no further.
    let (small, data) = file(ana, "recording.bin", 300_000);
    let other = keep(ana, "fence", &small);
    couple.share("fence");
    eventually("the second file arrives", || {
        (here(bob, &other)? == 300_000).then_some(())
    });
    assert!(
        get(bob, &other, "second.bin") == data,
        "the copy is another file"
    );
    assert_eq!(
        here(bob, &id),
        Some(stopped),
        "bytes arrived after the revocation"
    );
    let of_second = parts(ana).split_off(written.len());
    assert_eq!(
        of_second,
        [(0, 300_000)],
        "only the second file left after it"
    );
    let refused = bob.brainctl([
        "--timeout",
        "30s",
        "attachment",
        "get",
        &id,
        "recording.bin",
    ]);
    assert_eq!(refused.code, 75, "{refused:?}");
    assert!(refused.stderr.contains("not_here_yet"), "{refused:?}");
}

#[test]
fn what_a_writer_attaches_reaches_the_owner_and_goes_when_it_is_taken_away() {
    let couple = Couple::start();
    let Couple { ana, bob } = &couple;
    couple.share("shared");
    let id = Http::of(ana).add("Minutes", "shared");
    eventually("the memory arrives", || Http::of(bob).memory(&id));
    let (path, data) = file(bob, "recording.bin", 700_000);
    let path = path.to_str().expect("the path is text");
    bob.brainctl(["attachment", "add", &id, path]).ok();
    eventually("ana has bob's file", || {
        (here(ana, &id)? == 700_000).then_some(())
    });
    assert!(
        get(ana, &id, "copy.bin") == data,
        "the copy is another file"
    );
    assert_eq!(parts(bob), [(0, 700_000)], "it is in bob's ledger");
    // The same bytes in another memory lie there once.
    let second = keep(ana, "own", &ana.folder().join("copy.bin"));
    assert_eq!(blobs(ana).len(), 1);
    ana.brainctl(["attachment", "rm", &id, "recording.bin"])
        .ok();
    eventually("bob's goes", || blobs(bob).is_empty().then_some(()));
    assert_eq!(
        here(ana, &second),
        Some(700_000),
        "another memory still has it"
    );
    ana.brainctl(["--yes", "purge", &second]).ok();
    assert!(blobs(ana).is_empty());
}

/// Asks a node for a blob as a device that nobody knows, and returns all bytes of the answer.
async fn ask(network: &Network, node: &Value, request: &Request) -> Vec<u8> {
    let device = text(node, "device").parse().expect("a device");
    let addresses = node["network"]["listen"].as_array().expect("addresses");
    let address = |one: &Value| one.as_str().expect("an address is text").to_owned();
    let addresses: Vec<String> = addresses.iter().map(address).collect();
    // The stream of a session brings the connection about.
    let session = network
        .open(device, &addresses)
        .await
        .expect("it can be reached");
    let opened = network.open_blob(device).await.expect("a stream");
    let mut stream = opened.stream;
    stream
        .write_all(&frame(request))
        .await
        .expect("it is written");
    stream.flush().await.expect("it is written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it ends");
    drop(session);
    answer
}

#[test]
fn a_stranger_hears_the_same_of_what_is_there_and_what_is_not() {
    let ana = Node::start("ana");
    let (path, data) = file(&ana, "recording.bin", 100_000);
    let id = keep(&ana, "own", &path);
    // Without an open ticket a stranger gets no connection at all.
    ana.brainctl(["peer", "invite", "--name", "somebody", "--ids"])
        .ok();
    let status = ana.json(["status"]);
    let memory: MemoryId = id.parse().expect("an id");
    let blob = crdt::blob::outline_of(&data).root();
    let requests = [
        Request::Ask {
            memory,
            blob,
            keys: BTreeSet::new(),
        },
        Request::Ask {
            memory,
            blob: Hash([7; 32]),
            keys: BTreeSet::new(),
        },
        Request::Ask {
            memory: MemoryId([7; 32]),
            blob,
            keys: BTreeSet::from([Hash([1; 32])]),
        },
        Request::From(0),
    ];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let ports = ana.folder().join("stranger.ports");
        let listen = ["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()];
        let key = DeviceKey::from_seed(&[42; 32]);
        let started = Network::start(&key, &listen, &ports, Door::default(), shutdown.clone());
        let (network, _incoming, run) = started.await.expect("the network starts");
        let running = runtime.spawn(run);
        for request in requests {
            let answer = ask(&network, &status, &request).await;
            assert_eq!(answer, [1, 0, 0, 0, 1], "{request:?}");
        }
        shutdown.cancel();
        running.await.expect("the network ends");
    });
    assert!(parts(&ana).is_empty(), "nothing left");
}

#[test]
fn the_routes_refuse_early_and_hand_out_downloads_only() {
    let ana = Node::start_with("ana", &[("BRAIN_ATTACHMENTS__MAX_FILE_BYTES", "1000000")]);
    let id = Http::of(&ana).add("With a page", "own");
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .unix_socket(ana.socket());
    let client = client.build().expect("a client can be made");
    let post = |path: &str, bytes: Vec<u8>| {
        let url = format!("http://localhost/v1/memories/{path}");
        let request = client
            .post(url)
            .header("content-type", "text/html")
            .body(bytes);
        let answer = request.send().expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().expect("a document"))
    };
    let page = b"<script>alert(1)</script>".to_vec();
    let at = |name: &str| format!("{id}/attachments?name={name}");
    let (status, kept) = post(&at("a%22b.html"), page.clone());
    assert_eq!(
        (status, kept["attachment"]["bytes"].as_u64()),
        (201, Some(25)),
        "{kept:#}"
    );
    let refusals = [
        (at("..%2Fx"), page.clone(), 400),
        (at(""), page.clone(), 400),
        (at(&"x".repeat(256)), page.clone(), 422),
        ("7777777/attachments".to_owned(), page.clone(), 404),
        (at("large"), vec![7; 1_000_001], 413),
    ];
    for (path, bytes, expect) in refusals {
        let (status, problem) = post(&path, bytes);
        assert_eq!(status, expect, "{path}: {problem:#}");
    }
    assert_eq!(blobs(&ana).len(), 1, "what was refused left nothing");
    let hash = text(&kept["attachment"], "hash");
    for name in ["a%22b.html", &hash, hash.get(..8).expect("a hash is long")] {
        let url = format!("http://localhost/v1/memories/{id}/attachments/{name}");
        let answer = client.get(url).send().expect("an answer");
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("content-type"), "application/octet-stream");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(
            header("content-disposition"),
            "attachment; filename*=UTF-8''a%22b.html"
        );
        assert_eq!(header("content-length"), "25");
        assert!(header("content-security-policy").contains("default-src 'none'"));
        assert_eq!(answer.bytes().expect("the bytes").as_ref(), page);
    }
    // A damaged byte at rest is named, not handed out.
    let [path] = blobs(&ana).try_into().expect("one file");
    let mut bytes = std::fs::read(&path).expect("it can be read");
    bytes[30] ^= 1;
    std::fs::write(&path, bytes).expect("it can be written");
    let never = ana.folder().join("never");
    let output = never.to_str().expect("the path is text");
    let refused = ana.brainctl(["attachment", "get", &id, &hash, "-o", output]);
    assert!(refused.stderr.contains("store_damaged"), "{refused:?}");
    assert!(!never.exists(), "a part of a file was written");
}

#[test]
fn own_devices_have_every_file_until_one_is_retired() {
    let (phone, laptop) = (Node::start("phone"), Node::start("laptop"));
    let (path, data) = file(&phone, "recording.bin", 600_000);
    let id = keep(&phone, "own", &path);
    let ticket = phone.brainctl(["device", "add", "--name", "laptop", "--ids"]);
    let ticket = ticket.ok().stdout.trim().to_owned();
    laptop.brainctl(["device", "join", &ticket]).ok();
    eventually("the file arrives", || {
        (here(&laptop, &id)? == 600_000).then_some(())
    });
    assert!(get(&laptop, &id, "copy.bin") == data, "another file");
    assert_eq!(
        parts(&phone),
        [(0, 600_000)],
        "own devices are in the ledger too"
    );
    let (second, _) = file(&laptop, "second.bin", 300_000);
    let other = keep(&laptop, "own", &second);
    eventually("the other way too", || {
        (here(&phone, &other)? == 300_000).then_some(())
    });
    phone.brainctl(["--yes", "device", "revoke", "laptop"]).ok();
    let (third, _) = file(&phone, "third.bin", 200_000);
    keep(&phone, "own", &third);
    let last = laptop.brainctl(["sync", "now"]);
    assert_eq!(last.code, 0, "{last:?}");
    assert_eq!(blobs(&laptop).len(), 2, "a retired device was sent a file");
    assert_eq!(parts(&phone), [(0, 600_000)]);
}
