//! What people and browsers write: tickets, selectors, and the JSON of the local API.

use super::persons::{device, person};
use super::{Subject, Target, target};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use crdt::id::to_base32;
use crdt::selector::Selector;
use crdt::time::Timestamp;
use protocol::api;
use protocol::ticket::{Purpose, Ticket};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The targets.
pub(super) const TARGETS: [Target; 5] = [
    target("ticket, letters", ticket_letters),
    target("ticket, inside", ticket_inside),
    target("selector", selector),
    target("JSON about memories", json_memories),
    target("JSON about people", json_people),
];

fn ticket(purpose: Purpose) -> Ticket {
    Ticket {
        purpose,
        person: person(1).id(),
        device: device(1).id(),
        secret: [3; 16],
        expires: Timestamp(1_800_000_000_000),
        addresses: vec!["/ip4/127.0.0.1/udp/5/quic-v1".to_owned()],
    }
}

fn read_ticket(text: &str) -> bool {
    match text.parse::<Ticket>() {
        Ok(ticket) => {
            let again = ticket.to_string();
            let (given, again) = (text.trim().to_lowercase(), again.to_lowercase());
            assert_eq!(given, again, "two texts of one ticket");
            true
        }
        Err(error) => error.to_string().is_empty(),
    }
}

fn ticket_letters() -> Subject {
    let seeds = [Purpose::Invite, Purpose::Device].map(|purpose| ticket(purpose).to_string());
    let words = &["brain:invite/1/", "brain:device/1/", "/2/", "a", " ", "\n"];
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    Subject::text(&seeds, words, read_ticket)
}

/// The inside is bent, and the checksum right again.
fn ticket_inside() -> Subject {
    let seeds = [Purpose::Invite, Purpose::Device].map(|purpose| ticket(purpose).to_bytes());
    let feed = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(read_ticket);
    Subject::new(seeds.into(), feed).wrapped(|inside| {
        let sum = Hash::of("second-brain 2026 v1 ticket checksum", &[inside]);
        let sum = sum.0.get(..4).unwrap_or_default();
        let letters = to_base32(&[inside, sum].concat());
        let purpose = match inside.first() {
            Some(1) => "device",
            _ => "invite",
        };
        format!("brain:{purpose}/1/{letters}").into_bytes()
    })
}

fn selector() -> Subject {
    let seeds = [
        "tag:trip OR (space:home -kind:task)",
        "created:>=2026-01-01 updated:<2026-12-31T10:00:00Z \"a phrase\"",
        "-(from:me shared-with:bob) status:active id:abc tag:\"with space\"",
        "((((word))))",
    ];
    let words = &[
        "tag:",
        "space:",
        "id:",
        "kind:note",
        " OR ",
        "-",
        "(",
        ")",
        "\"",
        "\\",
        "created:>",
        "OR",
        "status:forgotten",
        ":",
        "É",
        "--",
        "((((((((",
    ];
    Subject::text(&seeds, words, |text| match Selector::parse(text) {
        Ok(selector) => {
            let printed = selector.to_string();
            // A printed one may be longer than the limit; otherwise it reads as the same.
            if printed.len() <= crdt::selector::SELECTOR_BYTES_MAX {
                let again = Selector::parse(&printed);
                assert_eq!(again.as_ref(), Ok(&selector), "{printed:?} is another one");
            }
            std::hint::black_box(selector.is_explicit());
            true
        }
        Err(error) => error.to_string().is_empty(),
    })
}

/// Reads bytes as a type; what reads is written and read again as the same.
fn reads<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> bool {
    match serde_json::from_slice::<T>(bytes) {
        Ok(value) => {
            let written = serde_json::to_string(&value).expect("it came from JSON");
            let again: T = serde_json::from_str(&written).expect("it reads again");
            let rewritten = serde_json::to_string(&again).expect("it came from JSON");
            assert_eq!(written, rewritten, "it changes when it is written");
            true
        }
        Err(error) => error.to_string().is_empty(),
    }
}

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "1e999",
    "-1",
    "\\",
    "[[[[[[[[",
    "{\"a\":",
    "\"title\":",
    "18446744073709551616",
    "0.5",
];

fn json(seeds: &[&str], feed: impl Fn(&[u8]) -> bool + 'static) -> Subject {
    let seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    Subject {
        words: JSON,
        ..Subject::new(seeds, feed)
    }
}

fn json_memories() -> Subject {
    use api::{imports, memories, search};
    let seeds = [
        r#"{"title":"Rain","body":"It rained.","kind":"note","tags":["a","b"],"space":"home"}"#,
        r#"{"base":["abc"],"title":"x","body":"y","add_tags":["t"],"add_links":[{"to":"a","relation":"b"}],"sensitivity":"secret"}"#,
        r#"{"query":"rain \"at noon\"","selector":"tag:a","mode":"text","limit":5}"#,
        r#"{"path":"/home/ana/notes","dry_run":true,"tags":["t"],"max_file_bytes":1000}"#,
    ];
    json(&seeds, |bytes| {
        let kinds = [
            reads::<memories::NewMemory>(bytes),
            reads::<memories::Patch>(bytes),
            reads::<search::SearchRequest>(bytes),
            reads::<imports::NewImport>(bytes),
            serde_json::from_slice::<serde_json::Value>(bytes).is_ok(),
        ];
        kinds.contains(&true)
    })
}

fn json_people() -> Subject {
    use api::{circles, devices, peers, policy, sharing};
    let seeds = [
        r#"{"with":"bob","grant":{"selector":"tag:a","access":"read","expires_in_s":90,"live":true},"digest":"d","expect":3}"#,
        r#"{"selector":"tag:a","access":"write","purpose":"trip"}"#,
        r#"{"reason":"over","purge":true}"#,
        r#"{"ticket":"brain:invite/1/aa","alias":"bob"}"#,
        r#"{"alias":"bob","state":"blocked"}"#,
        r#"{"name":"family","members":["bob","eve"]}"#,
        r#"{"add_members":["bob"],"remove_members":[]}"#,
        r#"{"text":"[screen]","dry_run":true}"#,
        r#"{"phrase":"abandon abandon"}"#,
    ];
    json(&seeds, |bytes| {
        let kinds = [
            reads::<sharing::NewGrant>(bytes),
            reads::<sharing::ReplaceRequest>(bytes),
            reads::<sharing::RevokeRequest>(bytes),
            reads::<peers::AcceptInvite>(bytes),
            reads::<peers::PeerPatch>(bytes),
            reads::<circles::NewCircle>(bytes),
            reads::<circles::CirclePatch>(bytes),
            reads::<policy::PutPolicy>(bytes),
            reads::<devices::RetireDevice>(bytes),
        ];
        kinds.contains(&true)
    })
}
