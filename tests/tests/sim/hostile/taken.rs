//! What the owner's store says to each attack: a name, and the memory stays as it was.

use super::{Attack, all, back_dated, orphans};
use crate::node::Node;
use crate::wired::{NOW, nodes, share, sync, take, title};
use crdt::grant::Access;
use crdt::id::MemoryId;
use protocol::limits::FRAME_EVENTS_MAX;

fn scene() -> ([Node; 2], MemoryId) {
    let [owner, hostile] = nodes();
    let memory = owner.create(NOW, "the text", &["t"]);
    share(&owner, &hostile, Access::Write);
    hostile.edit(NOW, memory, title("in time")).expect("edited");
    sync(&owner, &hostile);
    ([owner, hostile], memory)
}

fn frozen(node: &Node) -> usize {
    node.store().read(|state| state.frozen().count())
}

#[test]
fn every_attack_is_refused_by_name_and_leaves_the_memory_as_it_was() {
    let ([owner, hostile], memory) = scene();
    let attacks = all(&hostile, memory);
    assert!(attacks.len() > 30, "{} attacks", attacks.len());
    let mut other = Vec::new();
    for Attack {
        name,
        code,
        content,
    } in attacks
    {
        let before = owner.content(memory);
        let taken = take(&hostile, &owner, &content);
        let mut codes: Vec<&str> = taken.refused.iter().map(|(_, code)| *code).collect();
        let mut stored = taken.stored as usize;
        if code == "fork" && frozen(&owner) == 1 {
            // Both are kept, as a proof, and neither counts.
            codes.push("fork");
            stored -= 1;
        }
        let is_last = stored == content.events.len() - 1;
        let is_same = before == owner.content(memory) || code == "wrong_parents";
        if codes != [code] || !is_last || !is_same {
            other.push((name, code, codes, taken.stored));
        }
    }
    assert_eq!(other, []);
    // Nothing of it is in the way: the memory is read, written and synced as before.
    owner.edit(NOW, memory, title("after")).expect("edited");
    sync(&owner, &hostile);
    let before = owner.snapshot();
    owner.store().rebuild(NOW).expect("rebuilt");
    assert_eq!(before, owner.snapshot());
}

#[test]
fn what_claims_to_be_old_stays_beyond_the_cut() {
    let ([owner, hostile], memory) = scene();
    let grants = owner.store().read(|state| {
        let grants = state.authority.grants();
        grants.map(|grant| grant.id).collect::<Vec<_>>()
    });
    owner.revoke(NOW, grants[0]).expect("revoked");
    let before = owner.content(memory);
    let taken = take(&hostile, &owner, &back_dated(&hostile, memory));
    assert_eq!((taken.stored, taken.refused[0].1), (0, "beyond_cut"));
    assert_eq!(before, owner.content(memory));
}

#[test]
fn orphans_are_refused_for_what_they_miss() {
    let ([owner, hostile], memory) = scene();
    let before = (owner.content(memory), owner.snapshot());
    let count = u32::try_from(FRAME_EVENTS_MAX).expect("small");
    let taken = take(&hostile, &owner, &orphans(&hostile, memory, count));
    assert_eq!((taken.stored, taken.refused.len()), (0, FRAME_EVENTS_MAX));
    assert!(
        taken
            .refused
            .iter()
            .all(|(_, code)| *code == "missing_parent")
    );
    assert_eq!(before, (owner.content(memory), owner.snapshot()));
}
