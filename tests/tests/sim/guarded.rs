//! The guard in the view: what a rule holds is in no view, however it came to be held.

use crate::node::Node;
use crate::wired::{NOW, ask, assert_same_view, disclose, give, nodes, share, sync, tags, tell};
use crdt::event::Kind;
use crdt::grant::Access;
use crdt::grant::authority::State;
use crdt::id::{EventId, MemoryId};
use crdt::memory::{BodyEdit, Edit};
use crdt::sidecar::{Sensitivity, SidecarPatch};
use storage::records::PeerState;
use storage::store::StoreError;
use storage::tx::{AppendError, ReleaseError};

fn body(text: &str) -> Edit {
    Edit {
        body: Some(BodyEdit::Replace(text.to_owned())),
        ..Edit::default()
    }
}

fn says(node: &Node, memory: MemoryId) -> Option<String> {
    node.content(memory).map(|content| content.body)
}

#[test]
fn what_a_rule_holds_is_in_no_view_until_it_is_released() {
    let [owner, grantee] = nodes();
    owner.put_policy(NOW, "hold tag:h");
    let held = owner.create(NOW, "held", &["t", "h"]);
    let open = owner.create(NOW, "open", &["t"]);
    let grant = share(&owner, &grantee, Access::Read);
    assert_eq!(owner.held_by(held).as_deref(), Some("tag:h"));
    assert_eq!(
        (says(&grantee, held), says(&grantee, open)),
        (None, Some("open".into()))
    );
    // Asked for by name, it is withheld, with its keys.
    let asked = ask(&owner, &grantee, &[EventId(held.0)], &[(grant, held)]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 2));

    owner.release(NOW, held, "tag:h", true).expect("released");
    assert_eq!(owner.held_by(held), None);
    sync(&owner, &grantee);
    assert_eq!(says(&grantee, held), Some("held".into()));
    assert!(matches!(
        owner.release(NOW, held, "tag:h", true),
        Err(ReleaseError::NotHeld(_))
    ));
    // What is added later was not released, and does not reach the grantee.
    owner
        .edit(NOW, held, body("held, and more"))
        .expect("edited");
    assert_eq!(owner.held_by(held).as_deref(), Some("tag:h"));
    sync(&owner, &grantee);
    assert_eq!(says(&grantee, held), Some("held".into()));
    // Taking the rule's reason away lets it out again, changes and all.
    owner.edit(NOW, held, tags(&[], &["h"])).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(says(&grantee, held), Some("held, and more".into()));
}

#[test]
fn a_release_can_be_taken_back() {
    let [owner, grantee] = nodes();
    owner.put_policy(NOW, "hold tag:h");
    let held = owner.create(NOW, "held", &["t", "h"]);
    owner.release(NOW, held, "tag:h", true).expect("released");
    share(&owner, &grantee, Access::Read);
    owner
        .release(NOW, held, "tag:h", false)
        .expect("taken back");
    assert_eq!(owner.held_by(held).as_deref(), Some("tag:h"));
    sync(&owner, &grantee);
    owner.edit(NOW, held, tags(&["x"], &[])).expect("edited");
    assert!(disclose(&owner, &grantee).is_empty());
}

#[test]
fn what_is_denied_or_secret_cannot_be_released() {
    let [owner, _] = nodes();
    owner.put_policy(NOW, "deny tag:d\nhold tag:h");
    let denied = owner.create(NOW, "denied", &["d", "h"]);
    let secret = owner.create(NOW, "secret", &["h"]);
    let patch = SidecarPatch {
        sensitivity: Some(Sensitivity::Secret),
        ..SidecarPatch::default()
    };
    owner.label(NOW, secret, patch);
    for (memory, rule) in [(denied, "tag:d"), (secret, "sensitivity-secret")] {
        assert!(matches!(
            owner.release(NOW, memory, rule, true),
            Err(ReleaseError::Denied(_))
        ));
        owner
            .release(NOW, memory, "tag:h", true)
            .expect("for the other rule");
        assert_eq!(owner.held_by(memory).as_deref(), Some(rule));
    }
}

#[test]
fn a_new_policy_holds_at_once_and_lets_go_when_it_has_looked() {
    let [owner, grantee] = nodes();
    let one = owner.create(NOW, "one", &["t"]);
    let other = owner.create(NOW, "other", &["t", "h"]);
    share(&owner, &grantee, Access::Read);
    owner
        .store()
        .transact(NOW, |tx| tx.put_policy("hold tag:h"))
        .expect("in force");
    // Nothing was looked at yet, so nothing leaves.
    assert_eq!(owner.held_by(one).as_deref(), Some("not-screened"));
    let asked = ask(&owner, &grantee, &[EventId(one.0), EventId(other.0)], &[]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 2));
    assert_eq!(owner.store().rescreen(NOW).expect("screened"), 2);
    assert_eq!(owner.store().rescreen(NOW).expect("screened"), 0);
    assert_eq!(
        (owner.held_by(one), owner.held_by(other).as_deref()),
        (None, Some("tag:h"))
    );
    sync(&owner, &grantee);
    owner.edit(NOW, one, body("one more")).expect("edited");
    owner.edit(NOW, other, body("other more")).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(says(&grantee, one), Some("one more".into()));
    assert_eq!(says(&grantee, other), Some("other".into()));
}

#[test]
fn while_the_policy_does_not_read_nothing_leaves_and_nothing_new_comes() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "one", &["t"]);
    let grant = share(&owner, &grantee, Access::Read);
    owner.put_policy(NOW, "gibberish");
    assert_eq!(owner.held_by(memory).as_deref(), Some("policy-unreadable"));
    assert!(
        owner
            .release(NOW, memory, "policy-unreadable", true)
            .is_err()
    );
    let asked = ask(&owner, &grantee, &[EventId(memory.0)], &[(grant, memory)]);
    assert_eq!((asked.memories.len(), asked.withheld), (0, 2));
    owner.put_policy(NOW, "");
    grantee.put_policy(NOW, "gibberish");
    owner.create(NOW, "two", &["t"]);
    sync_refusing(&owner, &grantee, "over_quota");
    grantee.put_policy(NOW, "");
    sync(&owner, &grantee);
    assert_same_view(&owner, &grantee);
}

/// Gives what may be given, all of which is refused for one reason.
fn sync_refusing(from: &Node, to: &Node, code: &str) {
    tell(from, to);
    tell(to, from);
    let refused = give(from, to);
    assert!(
        !refused.is_empty() && refused.iter().all(|found| *found == code),
        "{refused:?}"
    );
}

#[test]
fn offers_are_accepted_without_asking_up_to_the_access_that_is_agreed() {
    let [owner, grantee] = nodes();
    grantee.put_policy(NOW, "accept read");
    let memory = owner.create(NOW, "shared", &["t"]);
    let read = owner.offer(NOW, grantee.person(), "tag:t", Access::Read, None);
    let taken = tell(&owner, &grantee);
    assert!(taken.accepted.contains(&read));
    sync(&owner, &grantee);
    assert_eq!(says(&grantee, memory), Some("shared".into()));
    let write = owner.offer(NOW, grantee.person(), "tag:t", Access::Write, None);
    let taken = tell(&owner, &grantee);
    assert!(taken.grants.contains(&write) && taken.accepted.is_empty());
    let state = grantee
        .store()
        .read(|state| state.authority.grant(write).map(|g| g.state(NOW)));
    assert_eq!(state.map(State::as_str), Some("offered"));
}

#[test]
fn a_quota_bounds_what_is_taken_from_a_peer() {
    let [owner, grantee] = nodes();
    grantee.put_policy(NOW, "max_memories 2");
    let memories: Vec<MemoryId> = (0..5)
        .map(|number| owner.create(NOW, &format!("number {number}"), &["t"]))
        .collect();
    let grant = owner.offer(NOW, grantee.person(), "tag:t", Access::Read, None);
    tell(&owner, &grantee);
    grantee.answer(NOW, grant, true).expect("accepted");
    tell(&grantee, &owner);
    let count = || {
        memories
            .iter()
            .filter(|id| grantee.content(**id).is_some())
            .count()
    };
    assert_eq!(give(&owner, &grantee), ["over_quota"; 3]);
    assert_eq!(count(), 2);
    // What is here already goes on.
    let here = memories
        .iter()
        .find(|id| grantee.content(**id).is_some())
        .expect("two are");
    owner.edit(NOW, *here, body("changed")).expect("edited");
    give(&owner, &grantee);
    assert_eq!(says(&grantee, *here), Some("changed".into()));
    grantee.put_policy(NOW, "");
    sync(&owner, &grantee);
    assert_eq!(count(), 5);
    grantee.put_policy(NOW, "max_bytes 1");
    owner.create(NOW, "one too many", &["t"]);
    assert_eq!(give(&owner, &grantee), ["over_quota"]);
}

#[test]
fn a_peer_that_the_policy_blocks_is_not_spoken_to() {
    let [owner, other] = nodes();
    let is_paired = || owner.store().read(|state| state.is_paired(other.person()));
    assert!(is_paired());
    owner.put_policy(NOW, "block");
    assert!(!is_paired());
    let by_hand = owner
        .store()
        .read(|state| state.peers[&other.person()].state);
    assert_eq!(by_hand, PeerState::Paired, "the pairing itself stays");
    owner.put_policy(NOW, "");
    assert!(is_paired());
}

#[test]
fn policy_verdicts_and_releases_survive_restart_rebuild_and_failure() {
    let [mut owner, grantee] = nodes();
    owner.create(NOW, "before", &["t", "h"]);
    owner.put_policy(NOW, "hold tag:x");
    owner.put_policy(NOW, "hold tag:h\ndeny tag:d");
    let released = owner.create(NOW, "released", &["t", "h"]);
    owner.create(NOW, "denied", &["t", "d"]);
    owner
        .release(NOW, released, "tag:h", true)
        .expect("released");
    share(&owner, &grantee, Access::Read);
    let before = owner.snapshot();
    let failed: Result<(), AppendError> = owner.store().transact(NOW, |tx| {
        tx.put_policy("")?;
        Err(StoreError::Replay(0, "on purpose".to_owned()).into())
    });
    assert!(failed.is_err());
    assert_eq!(owner.snapshot(), before);
    assert_eq!(owner.held_by(released), None);
    owner.reopen(NOW);
    assert_eq!(owner.snapshot(), before);
    assert_eq!(owner.held_by(released), None);
    owner.store().rebuild(NOW).expect("rebuilt");
    assert_eq!(owner.snapshot(), before);
    assert_eq!(owner.held_by(released), None);
    let count = owner.store().read(|state| {
        let held = state
            .memories
            .values()
            .filter(|f| state.held_by(f).is_some());
        held.count()
    });
    assert_eq!(count, 2);
}

#[test]
fn a_peer_can_neither_set_a_policy_nor_release() {
    let [owner, peer] = nodes();
    owner.put_policy(NOW, "hold tag:h");
    let held = owner.create(NOW, "held", &["t", "h"]);
    peer.put_policy(NOW, "accept write");
    let head = peer.store().read(|state| state.head);
    let events: Vec<Vec<u8>> = (1..=head)
        .filter_map(|number| peer.store().event_at(number).expect("reads"))
        .filter(|event| event.header().kind == Kind::Policy)
        .map(|event| event.bytes().to_vec())
        .collect();
    assert_eq!(events.len(), 1);
    let taken = owner.transact(NOW, |tx| tx.take_consent(peer.person(), &events));
    assert_eq!((taken.stored, taken.refused.len()), (0, 1));
    let taken = owner.transact(NOW, |tx| tx.take_content(peer.person(), &events, &[]));
    assert_eq!((taken.stored, taken.refused.len()), (0, 1));
    assert_eq!(owner.held_by(held).as_deref(), Some("tag:h"));
}
