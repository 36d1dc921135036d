//! What one operation does.

use super::book::{Book, END, NOW, OWNER, Word};
use super::{Action, Grantee, Memories, Memory, Number, Sent, State, WRITES_MAX};
use crdt::event::admit::Refusal;
use crdt::grant::Access;
use crdt::grant::authority::State as GrantState;
use crdt::id::GrantId;
use crdt::selector::{Facts, Selector};
use crdt::time::Timestamp;
use std::collections::BTreeSet;

/// The labels of a memory, as the owner set them.
struct Labels {
    is_tagged: bool,
}

impl Facts for Labels {
    fn id_starts_with(&self, _: &str) -> bool {
        false
    }
    fn has_tag(&self, tag: &str) -> bool {
        self.is_tagged && tag == "t"
    }
    fn space(&self) -> &'static str {
        "default"
    }
    fn kind(&self) -> &'static str {
        "note"
    }
    fn is_from(&self, _: &str) -> bool {
        false
    }
    fn status(&self) -> &'static str {
        "active"
    }
    fn created(&self) -> Timestamp {
        NOW
    }
    fn updated(&self) -> Timestamp {
        NOW
    }
    fn is_shared_with(&self, _: &str) -> bool {
        false
    }
    fn contains(&self, _: &str) -> bool {
        false
    }
}

fn now(state: &State) -> Timestamp {
    if state.is_expired { END } else { NOW }
}

fn bits(takes: impl Fn(Memory) -> bool) -> Memories {
    u8::from(takes(0)) | u8::from(takes(1)) << 1
}

/// The view of a grantee as the owner's node computes it.
pub(super) fn view(book: &mut Book, state: &State, grantee: Grantee) -> Memories {
    let authority = book.authority(OWNER, &state.owner);
    let (owner, peer) = (book.person(OWNER), book.person(grantee + 1));
    bits(|memory| {
        let is_tagged = state.is_tagged[memory];
        let labels = Labels { is_tagged };
        let grant = authority.view(owner, peer, &labels, now(state));
        state.exists[memory] && grant.is_some()
    })
}

/// Under which grants each memory was given, as one person knows it.
fn given(book: &Book, state: &State, to: &[Grantee]) -> [BTreeSet<GrantId>; 2] {
    [0, 1].map(|memory| {
        let has = to
            .iter()
            .filter(|at| state.sides[**at].given & 1 << memory != 0);
        has.filter_map(|at| book.grant(*at)).collect()
    })
}

/// Does an operation; tells whether it can be done at all.
pub(super) fn step(book: &mut Book, state: &mut State, action: Action) -> bool {
    match action {
        Action::Create if !state.exists[1] => {
            state.exists[1] = true;
            let root = book.root(1);
            add(&mut state.owner, root);
        }
        Action::Tag(memory) => state.is_tagged[memory] = state.exists[memory],
        Action::Untag(memory) => state.is_tagged[memory] = false,
        Action::Edit(memory) if state.exists[memory] => edit(book, state, memory),
        Action::Offer(grantee) if !state.sides[grantee].is_offered => {
            let offer = book.sign(OWNER, Word::Offer(grantee), &state.owner);
            book.offers[grantee] = Some(offer);
            add(&mut state.owner, offer);
            state.sides[grantee].is_offered = true;
        }
        Action::Accept(grantee) => return answer(book, state, grantee, true),
        Action::Decline(grantee) => return answer(book, state, grantee, false),
        Action::Contradict(grantee) => return contradict(book, state, grantee),
        Action::Revoke(grantee) if state.sides[grantee].is_offered => {
            return revoke(book, state, grantee);
        }
        Action::Expire => state.is_expired = true,
        Action::ConsentTo(grantee) => tell(book, state, grantee),
        Action::ConsentFrom(grantee) => hear(book, state, grantee),
        Action::ContentTo(grantee) => send(book, state, grantee),
        Action::ContentFrom(grantee) => take(book, state, grantee),
        Action::Write(grantee, memory) => return write(book, state, grantee, memory),
        _ => return false,
    }
    true
}

fn add(log: &mut Vec<Number>, event: Number) {
    if let Err(at) = log.binary_search(&event) {
        log.insert(at, event);
    }
}

/// The owner changes a memory, under a new key if someone holds the last who may not read on.
fn edit(book: &mut Book, state: &mut State, memory: Memory) {
    let held = 1 << state.epoch[memory];
    let is_shut = (0..2).any(|grantee| {
        let has_key = state.sides[grantee].epochs[memory] & held != 0;
        has_key && view(book, state, grantee) & 1 << memory == 0
    });
    if is_shut {
        state.epoch[memory] += 1;
    }
    let epoch = state.epoch[memory];
    let change = book.sign(OWNER, Word::Change(memory, epoch), &state.owner);
    add(&mut state.owner, change);
    for side in state.sides.iter_mut().filter(|side| side.is_revoked) {
        if !side.since.contains(&(memory, epoch)) {
            side.since.push((memory, epoch));
        }
    }
}

fn answer(book: &mut Book, state: &mut State, grantee: Grantee, yes: bool) -> bool {
    let authority = book.authority(grantee + 1, &state.sides[grantee].log);
    let grant = book.grant(grantee).and_then(|id| authority.grant(id));
    if grant.is_none_or(|grant| grant.state(now(state)) != GrantState::Offered) {
        return false;
    }
    say(book, state, grantee, yes);
    true
}

fn say(book: &mut Book, state: &mut State, grantee: Grantee, yes: bool) {
    let word = if yes {
        Word::Accept(grantee)
    } else {
        Word::Decline(grantee)
    };
    let side = &mut state.sides[grantee];
    let event = book.sign(grantee + 1, word, &side.log);
    add(&mut side.log, event);
    side.said |= if yes { 1 } else { 2 };
}

fn contradict(book: &mut Book, state: &mut State, grantee: Grantee) -> bool {
    let said = state.sides[grantee].said;
    if said != 1 && said != 2 {
        return false;
    }
    say(book, state, grantee, said == 2);
    true
}

fn revoke(book: &mut Book, state: &mut State, grantee: Grantee) -> bool {
    if state.sides[grantee].is_revoked {
        return false;
    }
    let last = last_by(book, &state.owner, grantee + 1, &[0, 1]);
    let event = book.sign(OWNER, Word::Revoke(grantee, last), &state.owner);
    add(&mut state.owner, event);
    let side = &mut state.sides[grantee];
    side.is_revoked = true;
    let theirs = side.log.iter().copied();
    let late = theirs.filter(|event| {
        let is_change = matches!(book.word(*event), Word::Change(..));
        is_change && book.author(*event) == grantee + 1 && !state.owner.contains(event)
    });
    side.late = late.collect();
    // Whoever was told that they write is told that they do no more.
    let said = book.between(&state.owner, 1 - grantee);
    let is_about =
        |event: &Number| matches!(book.word(*event), Word::Vouch(about, _) if *about == grantee);
    if said.iter().any(is_about) {
        let closed = Word::Vouch(grantee, Some(Vec::new()));
        let closed = book.sign(OWNER, closed, &state.owner);
        add(&mut state.owner, closed);
    }
    true
}

/// The last changes by someone in some memories of a log.
fn last_by(book: &Book, log: &[Number], who: usize, memories: &[Memory]) -> Vec<Number> {
    let last = |memory: &Memory| {
        let mut events = book.of_memory(log, *memory).into_iter();
        events.rfind(|event| book.author(*event) == who)
    };
    memories.iter().filter_map(last).collect()
}

fn tell(book: &mut Book, state: &mut State, grantee: Grantee) {
    let none = [BTreeSet::new(), BTreeSet::new()];
    let mut log = std::mem::take(&mut state.sides[grantee].log);
    for event in book.between(&state.owner, grantee) {
        match book.admit(grantee + 1, &mut log, &none, event) {
            Ok(()) | Err(Refusal::Known) => {}
            Err(refusal) => panic!("consent was refused: {refusal}"),
        }
    }
    state.sides[grantee].log = log;
}

fn hear(book: &mut Book, state: &mut State, grantee: Grantee) {
    let none = [BTreeSet::new(), BTreeSet::new()];
    for event in book.between(&state.sides[grantee].log, grantee) {
        match book.admit(OWNER, &mut state.owner, &none, event) {
            Ok(()) | Err(Refusal::Known) => {}
            Err(refusal) => panic!("consent was refused: {refusal}"),
        }
    }
    state.sides[grantee].heard = state.sides[grantee].said;
}

/// Says to a grantee how far the other's changes of what leaves count, where they need a word.
fn vouch(book: &mut Book, state: &mut State, grantee: Grantee, leaves: Memories) {
    let other = 1 - grantee;
    let memories: Vec<Memory> = (0..2).filter(|memory| leaves & 1 << memory != 0).collect();
    let last = last_by(book, &state.owner, other + 1, &memories);
    if last.is_empty() {
        return;
    }
    let said = book.between(&state.owner, grantee);
    let said = said.into_iter().filter_map(|event| match book.word(event) {
        Word::Vouch(_, cuts) => Some(cuts.clone()),
        _ => None,
    });
    let said: Vec<Option<Vec<Number>>> = said.collect();
    let authority = book.authority(OWNER, &state.owner);
    let grant = book.grant(other).and_then(|id| authority.grant(id));
    let is_writer = grant.is_some_and(|grant| {
        grant.accepted.is_some() && grant.revoked.is_none() && grant.terms.access == Access::Write
    });
    let word = if is_writer {
        (said.last() != Some(&None)).then_some(None)
    } else {
        let closed = said.iter().rev().map_while(Option::as_ref).flatten();
        let told: Vec<Number> = closed.copied().collect();
        let new: Vec<Number> = last
            .into_iter()
            .filter(|event| !told.contains(event))
            .collect();
        (!new.is_empty()).then_some(Some(new))
    };
    if let Some(cuts) = word {
        let event = book.sign(OWNER, Word::Vouch(other, cuts), &state.owner);
        add(&mut state.owner, event);
    }
}

/// The owner sends a grantee what they may have: consent first, then keys and events.
fn send(book: &mut Book, state: &mut State, grantee: Grantee) {
    let left = view(book, state, grantee);
    let selector = Selector::parse("tag:t").expect("a selector");
    let preview = bits(|memory| {
        let is_tagged = state.is_tagged[memory];
        state.exists[memory] && selector.matches(&Labels { is_tagged })
    });
    let allowed = state.allowed(grantee);
    let side = &state.sides[grantee];
    let is_over = grantee == 1 && state.is_expired;
    let is_open = side.heard == 1 && !side.is_revoked && !is_over;
    vouch(book, state, grantee, left);
    tell(book, state, grantee);
    let mut is_refused = false;
    for memory in (0..2).filter(|memory| left & 1 << memory != 0) {
        let events = book.of_memory(&state.owner, memory);
        let side = &mut state.sides[grantee];
        side.given |= 1 << memory;
        side.epochs[memory] |= 1;
        for event in &events {
            if let Word::Change(_, epoch) = book.word(*event) {
                side.epochs[memory] |= 1 << epoch;
            }
        }
        let given = given(book, state, &[grantee]);
        let mut log = std::mem::take(&mut state.sides[grantee].log);
        for event in events {
            let outcome = book.admit(grantee + 1, &mut log, &given, event);
            is_refused |= !matches!(outcome, Ok(()) | Err(Refusal::Known));
        }
        state.sides[grantee].log = log;
    }
    state.sent = Some(Sent {
        preview,
        left,
        allowed,
        is_open,
        is_refused,
    });
}

/// The owner takes what a grantee wrote, as far as it is admitted.
fn take(book: &mut Book, state: &mut State, grantee: Grantee) {
    let given = given(book, state, &[0, 1]);
    for memory in 0..2 {
        for event in book.of_memory(&state.sides[grantee].log, memory) {
            if book.author(event) != grantee + 1 {
                continue;
            }
            let outcome = book.admit(OWNER, &mut state.owner, &given, event);
            let is_late = state.sides[grantee].late.contains(&event);
            state.is_late_refused |= is_late && outcome.is_err();
        }
    }
}

fn write(book: &mut Book, state: &mut State, grantee: Grantee, memory: Memory) -> bool {
    let side = &mut state.sides[grantee];
    if side.given & 1 << memory == 0 {
        return false;
    }
    let epoch = side.epochs[memory].ilog2();
    let epoch = u8::try_from(epoch).expect("they have a key");
    let theirs = book.of_memory(&side.log, memory);
    let count = theirs
        .iter()
        .filter(|event| book.author(**event) == grantee + 1)
        .count();
    if count == WRITES_MAX {
        return false;
    }
    let event = book.sign(grantee + 1, Word::Change(memory, epoch), &side.log);
    add(&mut side.log, event);
    if side.is_revoked {
        side.late.push(event);
    }
    true
}
