//! The disclosure ledger: what peers hold of it, proofs, and an exported file.

use super::persons::{certified, device, person};
use super::{Subject, Target, slow, target};
use crdt::codec::{Canonical as _, Reader, Writer};
use crdt::envelope::Epoch;
use crdt::hash::Hash;
use crdt::id::{EventId, GrantId, MemoryId, PersonId};
use crdt::identity::did::to_did;
use crdt::ledger::tree::{PROOF_MAX, consistency, includes, inclusion, is_consistent};
use crdt::ledger::{BlobSent, Checkpoint, Entry, KeySent, Note, SignedTree, Tree};
use crdt::testing::Entropy;
use crdt::time::Timestamp;
use protocol::api::ledger::export::{self, Line};
use protocol::api::ledger::{LedgerHead, LedgerWitness};
use std::collections::BTreeMap;

/// The targets.
pub(super) const TARGETS: [Target; 6] = [
    slow("exported ledger", 100_000, exported),
    slow("checkpoint", 200_000, checkpoint),
    slow("signed head of a ledger", 200_000, signed_tree),
    target("entry of a ledger", entry),
    target("consistency proof", consistency_proof),
    target("inclusion proof", inclusion_proof),
];

fn made(number: u64) -> Entry {
    let byte = u8::try_from(number).unwrap_or(0);
    Entry {
        number,
        time: Timestamp(1_800_000_000_000 + number),
        person: person(if number.is_multiple_of(2) { 3 } else { 4 }).id(),
        memory: MemoryId([byte; 32]),
        events: vec![EventId([byte; 32]), EventId([9; 32])],
        keys: vec![KeySent {
            grant: GrantId([4; 32]),
            epoch: Epoch(1),
        }],
        bytes: 100 + number,
        grant: Some(GrantId([4; 32])),
        blob: number.is_multiple_of(3).then_some(BlobSent {
            blob: Hash([byte; 32]),
            from: 0,
            bytes: number,
        }),
    }
}

/// A tree over some entries, with all of its complete subtrees.
fn grown(count: u64) -> (Tree, BTreeMap<(u8, u64), Hash>) {
    let mut tree = Tree::default();
    let mut kept = BTreeMap::new();
    for number in 1..=count {
        let complete = tree.push(&made(number).to_bytes());
        kept.extend(
            complete
                .into_iter()
                .map(|(level, at, hash)| ((level, at), hash)),
        );
    }
    (tree, kept)
}

/// A checkpoint of the line to a person, by the device 1.
pub(super) fn signed_checkpoint(to: PersonId) -> Checkpoint {
    let mut line = Tree::default();
    for number in [2, 4] {
        let in_line = made(number).in_line(line.size() + 1);
        line.push(&in_line.to_bytes());
    }
    let (tree, _) = grown(5);
    let note = Note {
        entries: 5,
        root: tree.root(),
        log: 9,
    };
    let (pair, time) = ((person(1).id(), to), Timestamp(7));
    Checkpoint::sign(&line, pair, &note, time, &device(1), &mut Entropy::new(1))
}

fn checkpoint() -> Subject {
    let genuine = signed_checkpoint(person(3).id());
    let (mine, seeds) = (device(1), [genuine.clone()]);
    Subject::canonical(&seeds, move |read: Checkpoint| {
        assert_eq!(read.is_genuine(), read == genuine, "a forged one holds");
        std::hint::black_box(read.note(&mine));
    })
}

fn signed_tree() -> Subject {
    let id = device(1).id();
    let seeds: Vec<SignedTree> = [0, 1, 5, 40]
        .map(|count| grown(count).0.sign(&device(1)))
        .into();
    let genuine = seeds.clone();
    Subject::canonical(&seeds, move |read: SignedTree| {
        // The signature is over the head: the peaks behind it are whatever leads to that root.
        let same_head = |one: &SignedTree| {
            (one.tree.size(), one.tree.root()) == (read.tree.size(), read.tree.root())
        };
        let is_known = genuine.iter().any(same_head);
        assert!(!read.is_signed_by(&id) || is_known, "a forged head holds");
    })
}

fn entry() -> Subject {
    let mut bare = made(70_000);
    bare.keys.clear();
    bare.grant = None;
    Subject::canonical(&[made(1), made(2), bare], drop)
}

/// What a proof is about: two numbers and two hashes; then the proof.
type Claim = ((u64, Hash), (u64, Hash), Vec<Hash>);

fn write_claim(claim: &Claim) -> Vec<u8> {
    let ((one, first), (other, second), proof) = claim;
    let mut out = Writer::default();
    out.u64(*one);
    first.encode(&mut out);
    out.u64(*other);
    second.encode(&mut out);
    out.list(proof);
    out.into_bytes()
}

fn read_claim(bytes: &[u8]) -> Option<Claim> {
    let mut input = Reader::new(bytes);
    let one = (input.u64("size").ok()?, Hash::decode(&mut input).ok()?);
    let other = (input.u64("size").ok()?, Hash::decode(&mut input).ok()?);
    let proof = input.list(PROOF_MAX, "proof").ok()?;
    input.finish().ok()?;
    Some((one, other, proof))
}

fn subtree_of(kept: &BTreeMap<(u8, u64), Hash>) -> impl FnMut(u8, u64) -> Result<Hash, ()> {
    move |level, at| kept.get(&(level, at)).copied().ok_or(())
}

fn consistency_proof() -> Subject {
    let (whole, kept) = grown(100);
    let claim = |old: u64| {
        let (before, _) = grown(old);
        let proof = consistency(old, 100, &mut subtree_of(&kept)).expect("all subtrees are kept");
        ((old, before.root()), (100, whole.root()), proof)
    };
    let claims: Vec<Claim> = [0, 1, 37, 64, 99, 100].map(claim).into();
    let seeds = claims.iter().map(write_claim).collect();
    Subject::new(seeds, move |bytes| {
        let Some(claim) = read_claim(bytes) else {
            return false;
        };
        let holds = is_consistent(claim.0, claim.1, &claim.2);
        // Equal sizes and roots need no tree, and an empty one continues to anything. Sizes only
        // say on which side each hash stands: others may say the same.
        let trivial = claim.0 == claim.1 || claim.0.0 == 0;
        let same = |one: &Claim| (one.0.1, one.1.1, &one.2) == (claim.0.1, claim.1.1, &claim.2);
        assert!(!holds || trivial || claims.iter().any(same), "forged");
        true
    })
}

fn inclusion_proof() -> Subject {
    let (whole, kept) = grown(100);
    let claim = |index: u64| {
        let leaf = crdt::ledger::tree::leaf(&made(index + 1).to_bytes());
        let proof = inclusion(index, 100, &mut subtree_of(&kept)).expect("all subtrees are kept");
        ((index, leaf), (100, whole.root()), proof)
    };
    let claims: Vec<Claim> = [0, 1, 37, 63, 64, 99].map(claim).into();
    let seeds = claims.iter().map(write_claim).collect();
    Subject::new(seeds, move |bytes| {
        let Some(((index, leaf), (size, root), proof)) = read_claim(bytes) else {
            return false;
        };
        let holds = includes(&leaf, index, size, &root, &proof);
        let same = |claim: &Claim| (claim.0.1, claim.1.1, &claim.2) == (leaf, root, &proof);
        // Index and size only say on which side each hash stands: others may say the same.
        let lone = proof.is_empty() && leaf == root;
        assert!(!holds || lone || claims.iter().any(same), "forged");
        true
    })
}

/// Five entries and one witness, as `brainctl ledger export` writes them.
fn export_lines() -> Vec<Line> {
    let (tree, _) = grown(5);
    let mut lines = vec![Line::Head(Box::new(LedgerHead {
        person: to_did(&person(1).id()),
        device: device(1).id().to_string(),
        certificate: export::to_base64(&certified(1).to_bytes()),
        entries: 5,
        root: export::root_text(&tree.root()),
        signed: export::to_base64(&tree.sign(&device(1)).to_bytes()),
        witnesses: Vec::new(),
    }))];
    let entries = (1..=5).map(|number| export::entry(&made(number), "bob".to_owned()));
    lines.extend(entries.map(|entry| Line::Entry(Box::new(entry))));
    let held = signed_checkpoint(person(3).id());
    lines.push(Line::Witness(Box::new(LedgerWitness {
        who: "bob".to_owned(),
        person: to_did(&held.to),
        device: "d".to_owned(),
        entries: 5,
        root: export::root_text(&tree.root()),
        line: held.size,
        time: held.time.to_rfc3339(),
        shown: held.time.to_rfc3339(),
        ok: true,
        fault: None,
        checkpoint: export::to_base64(&held.to_bytes()),
    })));
    lines
}

fn exported() -> Subject {
    let write = |line: &Line| serde_json::to_string(line).expect("lines are JSON");
    let lines: Vec<String> = export_lines().iter().map(write).collect();
    let whole = lines.join("\n");
    let found = export::check(whole.lines());
    assert_eq!((found.entries, found.witnesses, found.fault), (5, 1, None));
    let root = found.root;
    let words = &["\n", "\"part\":\"entry\"", "{", "[", "\\u0000", "null", ","];
    Subject::text(&[&whole], words, move |text| {
        let found = export::check(text.lines());
        if found.fault.is_none() {
            // What is only shown may differ; what was signed may not.
            assert_eq!((found.entries, &found.root), (5, &root), "a bent one fits");
        }
        found.entries > 0
    })
}
