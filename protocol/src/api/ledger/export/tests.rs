//! An exported ledger, whole and bent in every way we know.

use super::*;
use crdt::id::{EventId, GrantId, MemoryId};
use crdt::identity::{DeviceKey, PersonKey};
use crdt::ledger::Note;
use crdt::testing::Entropy;
use crdt::time::Timestamp;

fn made(number: u64) -> Entry {
    let to = if number.is_multiple_of(2) { 3 } else { 4 };
    let byte = u8::try_from(number).expect("small");
    Entry {
        number,
        time: Timestamp(1_800_000_000_000 + number),
        person: PersonId([to; 32]),
        memory: MemoryId([byte; 32]),
        events: vec![EventId([byte; 32])],
        keys: Vec::new(),
        bytes: 100 + number,
        grant: Some(GrantId([9; 32])),
        blob: None,
    }
}

/// Five entries and one witness.
fn exported() -> Vec<Line> {
    let (person, device) = (
        PersonKey::from_seed(&[1; 32]),
        DeviceKey::from_seed(&[2; 32]),
    );
    let (mut all, mut line) = (Tree::default(), Tree::default());
    let mut lines = Vec::new();
    for number in 1..=5 {
        let one = made(number);
        all.push(&one.to_bytes());
        if one.person == PersonId([3; 32]) {
            line.push(&one.in_line(line.size() + 1).to_bytes());
        }
        lines.push(Line::Entry(Box::new(entry(&one, "bob".to_owned()))));
    }
    let note = Note {
        entries: 5,
        root: all.root(),
        log: 9,
    };
    let (pair, time) = ((person.id(), PersonId([3; 32])), Timestamp(7));
    let held = Checkpoint::sign(&line, pair, &note, time, &device, &mut Entropy::new(1));
    let witness = LedgerWitness {
        who: "bob".to_owned(),
        person: to_did(&PersonId([3; 32])),
        device: "d".to_owned(),
        entries: 5,
        root: root_text(&all.root()),
        line: line.size(),
        time: time.to_rfc3339(),
        shown: time.to_rfc3339(),
        ok: true,
        fault: None,
        checkpoint: to_base64(&held.to_bytes()),
    };
    let head = LedgerHead {
        person: to_did(&person.id()),
        device: device.id().to_string(),
        certificate: to_base64(&person.certify(&device, Timestamp(1)).to_bytes()),
        entries: 5,
        root: root_text(&all.root()),
        signed: to_base64(&all.sign(&device).to_bytes()),
        witnesses: Vec::new(),
    };
    lines.insert(0, Line::Head(Box::new(head)));
    lines.push(Line::Witness(Box::new(witness)));
    lines
}

fn checked(lines: &[Line]) -> Checked {
    let text: Vec<String> = lines
        .iter()
        .map(|line| serde_json::to_string(line).expect("lines are JSON"))
        .collect();
    check(text.iter().map(String::as_str))
}

fn first_bad(lines: &[Line]) -> Option<u64> {
    let fault = checked(lines).fault;
    fault.expect("it is noticed").0
}

#[test]
fn a_whole_export_fits() {
    let found = checked(&exported());
    assert_eq!((found.entries, found.witnesses, found.fault), (5, 1, None));
}

#[test]
fn every_change_of_an_export_is_noticed() {
    let whole = exported();
    let bend = |change: &dyn Fn(&mut Vec<Line>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        first_bad(&lines)
    };
    assert_eq!(bend(&|lines| drop(lines.remove(2))), Some(2), "removed");
    assert_eq!(bend(&|lines| drop(lines.remove(5))), Some(5), "cut off");
    assert_eq!(bend(&|lines| lines.swap(2, 3)), Some(2), "moved");
    let say = |lines: &mut Vec<Line>, change: &dyn Fn(&mut LedgerEntry)| {
        if let Some(Line::Entry(entry)) = lines.get_mut(3) {
            change(entry);
        }
    };
    assert_eq!(
        bend(&|lines| say(lines, &|entry| entry.bytes += 1)),
        Some(3)
    );
    assert_eq!(
        bend(&|lines| say(lines, &|entry| entry.events.clear())),
        Some(3)
    );
    let other = |lines: &mut Vec<Line>| {
        say(lines, &|shown| {
            let mut real = made(3);
            real.bytes = 1;
            *shown = entry(&real, shown.to.clone());
        });
    };
    assert_eq!(bend(&other), Some(1), "bytes and words changed together");
    bend(&|lines| drop(lines.remove(0)));
    bend(&|lines| lines.clear());
}

/// Whoever has the device's key can sign another history; the witness does not follow.
#[test]
fn a_rewritten_export_is_not_what_was_witnessed() {
    let mut lines = exported();
    let device = DeviceKey::from_seed(&[2; 32]);
    let mut all = Tree::default();
    for (number, line) in (1..=5).zip(lines.iter_mut().skip(1)) {
        let mut real = made(number);
        // An entry to someone else than the witness.
        real.bytes += u64::from(number == 3);
        all.push(&real.to_bytes());
        *line = Line::Entry(Box::new(entry(&real, "bob".to_owned())));
    }
    if let Some(Line::Head(head)) = lines.first_mut() {
        head.signed = to_base64(&all.sign(&device).to_bytes());
        head.root = root_text(&all.root());
    }
    assert_eq!(first_bad(&lines), Some(1));
    lines.pop();
    assert_eq!(checked(&lines).fault, None, "without a witness it fits");
}
