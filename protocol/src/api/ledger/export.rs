//! The ledger as a file: JSON Lines, and how anyone checks one without a node or a key.
//!
//! ```text
//! {"part": "head", ...}       who signs it, the signed head
//! {"part": "entry", ...}      every entry, with the bytes that the tree is made of
//! {"part": "witness", ...}    what peers hold of it, signed
//! ```
//!
//! [`check`] computes the trees anew from the entries and compares what is said in plain words
//! with the bytes. What it cannot see: entries that were never written, and a ledger that nobody
//! witnessed and that was rewritten with the device's key.

use super::{LedgerBlob, LedgerEntry, LedgerHead, LedgerKey, LedgerWitness};
use crdt::codec::Canonical as _;
use crdt::hash::Hash;
use crdt::id::{PersonId, to_base32};
use crdt::identity::DeviceCertificate;
use crdt::identity::did::to_did;
use crdt::ledger::{Checkpoint, Entry, SignedTree, Tree};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Head(Box<LedgerHead>),
    /// One entry.
    Entry(Box<LedgerEntry>),
    /// One witness.
    Witness(Box<LedgerWitness>),
}

/// What checking a file found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many entries were read.
    pub entries: u64,
    /// The root over them.
    pub root: String,
    /// How many witnesses fit.
    pub witnesses: u64,
    /// The number of the first entry that does not fit, if it is one, and why.
    pub fault: Option<(Option<u64>, String)>,
}

/// Writes an entry as the file has it. The petname stays out of the tree: it is private.
pub fn entry(entry: &Entry, to: String) -> LedgerEntry {
    let key = |key: &crdt::ledger::KeySent| LedgerKey {
        grant: key.grant.to_string(),
        epoch: key.epoch.0,
    };
    let blob = |sent: &crdt::ledger::BlobSent| LedgerBlob {
        hash: sent.blob.to_string(),
        from: sent.from,
        bytes: sent.bytes,
    };
    let kind = if entry.blob.is_some() {
        "attachment"
    } else {
        "content"
    };
    LedgerEntry {
        seq: entry.number,
        time: entry.time.to_rfc3339(),
        to,
        person: to_did(&entry.person),
        kind: kind.to_owned(),
        memory: entry.memory.to_string(),
        events: entry.events.iter().map(ToString::to_string).collect(),
        keys: entry.keys.iter().map(key).collect(),
        blob: entry.blob.as_ref().map(blob),
        bytes: entry.bytes,
        grant: entry
            .grant
            .map(|grant| grant.to_string())
            .unwrap_or_default(),
        raw: BASE64.encode(&entry.to_bytes()),
    }
}

/// Returns bytes as base64.
pub fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Returns a root as text.
pub fn root_text(root: &Hash) -> String {
    to_base32(&root.0)
}

fn read<T: crdt::codec::Canonical>(text: &str) -> Option<T> {
    T::from_bytes(&BASE64.decode(text.as_bytes()).ok()?).ok()
}

/// A tree that remembers the root of every size.
#[derive(Debug)]
struct Grown {
    tree: Tree,
    roots: Vec<Hash>,
}

impl Default for Grown {
    fn default() -> Self {
        let tree = Tree::default();
        let roots = vec![tree.root()];
        Self { tree, roots }
    }
}

impl Grown {
    fn push(&mut self, bytes: &[u8]) {
        self.tree.push(bytes);
        self.roots.push(self.tree.root());
    }
    fn root_at(&self, size: u64) -> Option<String> {
        let size = usize::try_from(size).ok()?;
        self.roots.get(size).map(root_text)
    }
}

#[derive(Debug, Default)]
struct Check {
    head: Option<LedgerHead>,
    all: Grown,
    lines: BTreeMap<PersonId, Grown>,
    is_closed: bool,
    witnesses: u64,
}

type Fault = (Option<u64>, String);

fn fault(at: Option<u64>, what: &str) -> Result<(), Fault> {
    Err((at, what.to_owned()))
}

impl Check {
    fn take(&mut self, line: Line) -> Result<(), Fault> {
        match (line, &self.head) {
            (Line::Head(head), None) => {
                self.head = Some(*head);
                Ok(())
            }
            (Line::Head(_), Some(_)) => fault(None, "there are two heads"),
            (_, None) => fault(None, "the first line is no head"),
            (Line::Entry(entry), Some(_)) => self.take_entry(&entry),
            (Line::Witness(witness), Some(_)) => self.take_witness(&witness),
        }
    }

    fn take_entry(&mut self, shown: &LedgerEntry) -> Result<(), Fault> {
        let number = self.all.tree.size() + 1;
        let at = Some(number);
        let Some(real) = read::<Entry>(&shown.raw).filter(|_| !self.is_closed) else {
            return fault(at, "an entry does not read or is out of place");
        };
        if real.number != number {
            return fault(at, "an entry is missing or out of place");
        }
        if entry(&real, shown.to.clone()) != *shown {
            return fault(at, "an entry says something else than its bytes");
        }
        let line = self.lines.entry(real.person).or_default();
        line.push(&real.in_line(line.tree.size() + 1).to_bytes());
        self.all.push(&real.to_bytes());
        Ok(())
    }

    /// All entries are there: they must be what the device signed.
    fn close(&mut self) -> Result<(), Fault> {
        let Some(head) = self.head.as_ref().filter(|_| !self.is_closed) else {
            return Ok(());
        };
        self.is_closed = true;
        let certificate = read::<DeviceCertificate>(&head.certificate);
        let Some(certificate) = certificate.filter(|certificate| {
            to_did(&certificate.person) == head.person
                && certificate.device.to_string() == head.device
        }) else {
            return fault(None, "the device is not certified by the person");
        };
        if head.signed.is_empty() && self.all.tree.size() == 0 {
            return Ok(());
        }
        let Some(signed) = read::<SignedTree>(&head.signed) else {
            return fault(None, "the head does not read");
        };
        if !signed.is_signed_by(&certificate.device) {
            return fault(None, "the head is not signed by the device");
        }
        let (found, expected) = (self.all.tree.size(), signed.tree.size());
        if found != expected {
            let at = found.min(expected) + 1;
            return fault(Some(at), "entries are missing or were added");
        }
        if signed.tree != self.all.tree || head.root != root_text(&signed.tree.root()) {
            return fault(Some(1), "the entries are not what was signed");
        }
        Ok(())
    }

    fn take_witness(&mut self, shown: &LedgerWitness) -> Result<(), Fault> {
        self.close()?;
        let device = self.head.as_ref().map(|head| head.device.clone());
        let Some(held) = read::<Checkpoint>(&shown.checkpoint)
            .filter(|held| held.is_genuine() && Some(held.device.to_string()) == device)
        else {
            return fault(None, "a witness shows what this device did not sign");
        };
        let line = self.lines.entry(held.to).or_default();
        let fits_line = line.root_at(held.size) == Some(root_text(&held.root));
        let fits_all = self.all.root_at(shown.entries).as_ref() == Some(&shown.root);
        if to_did(&held.to) != shown.person || held.size != shown.line || !fits_line || !fits_all {
            let known = self.all.tree.size();
            let at = if shown.entries > known { known + 1 } else { 1 };
            let what = format!("{} witnessed other entries", shown.who);
            return fault(Some(at), &what);
        }
        self.witnesses += 1;
        Ok(())
    }
}

/// Checks the lines of an exported ledger.
pub fn check<'a>(lines: impl IntoIterator<Item = &'a str>) -> Checked {
    let mut check = Check::default();
    let mut outcome = Ok(());
    for (number, line) in lines.into_iter().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        outcome = match serde_json::from_str::<Line>(line) {
            Ok(line) => check.take(line),
            Err(error) => fault(None, &format!("line {} does not read: {error}", number + 1)),
        };
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() && check.head.is_none() {
        outcome = fault(None, "there is no head: this is no exported ledger");
    }
    let outcome = outcome.and_then(|()| check.close());
    Checked {
        entries: check.all.tree.size(),
        root: root_text(&check.all.tree.root()),
        witnesses: check.witnesses,
        fault: outcome.err(),
    }
}

#[cfg(test)]
mod tests;
