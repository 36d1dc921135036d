//! Leases, narrower and wider grants, and circles, over stores wired directly.

use crate::node::Node;
use crate::wired::{NOW, give, insert, nodes, share, sync, tell};
use crdt::event::body::circle::CirclePart;
use crdt::grant::authority::State;
use crdt::grant::{Access, Terms};
use crdt::id::GrantId;
use crdt::time::Timestamp;
use storage::tx::{Followed, ShareError};

const DAY_MS: u64 = 86_400_000;

fn state(node: &Node, grant: GrantId, now: Timestamp) -> State {
    let state = node
        .store()
        .read(|state| state.authority.grant(grant).map(|grant| grant.state(now)));
    state.expect("the grant is known")
}

fn lease(days: u64) -> Terms {
    Terms {
        expires: Some(NOW.plus_ms(days * DAY_MS)),
        lease_ms: Some(days * DAY_MS),
        ..Terms::of(Access::Read)
    }
}

fn replace(owner: &Node, grant: GrantId, selector: &str, access: Access) -> GrantId {
    let terms = Terms {
        purpose: "a test".to_owned(),
        ..Terms::of(access)
    };
    let selector = selector.to_owned();
    let next = owner
        .store()
        .transact(NOW, |tx| tx.replace(grant, selector, terms, false));
    next.expect("the grant is replaced")
}

#[test]
fn a_lease_is_renewed_near_its_end_and_not_after_it() {
    let [owner, grantee] = nodes();
    let offer = |tx: &mut storage::tx::Tx<'_>| tx.offer(grantee.person(), "tag:t".into(), lease(9));
    let grant = owner.store().transact(NOW, offer).expect("offered");
    tell(&owner, &grantee);
    grantee.answer(NOW, grant, true).expect("accepted");
    tell(&grantee, &owner);
    let renew = |days: u64| {
        let now = NOW.plus_ms(days * DAY_MS);
        let renewed = owner
            .store()
            .transact::<_, ShareError>(now, |tx| tx.renew_due(grantee.person()));
        renewed.expect("renewal is possible")
    };
    assert_eq!(renew(1), []);
    assert_eq!(renew(7), [grant]);
    tell(&owner, &grantee);
    let later = |days: u64| NOW.plus_ms(days * DAY_MS);
    for node in [&owner, &grantee] {
        assert_eq!(state(node, grant, later(15)), State::Active);
        assert_eq!(state(node, grant, later(16)), State::Expired);
    }
    // A lease that ended does not come back, by itself or by hand.
    assert_eq!(renew(17), []);
    let by_hand = owner
        .store()
        .transact(later(17), |tx| tx.renew(grant, later(30)));
    assert!(matches!(by_hand, Err(ShareError::State("expired"))));
    let not_owner = grantee
        .store()
        .transact(NOW, |tx| tx.renew(grant, later(30)));
    assert!(matches!(not_owner, Err(ShareError::Party(_))));
}

#[test]
fn a_narrower_grant_takes_the_place_of_the_wider_one_at_once() {
    let [owner, grantee] = nodes();
    let both = owner.create(NOW, "both", &["t", "u"]);
    let one = owner.create(NOW, "one", &["t"]);
    let grant = share(&owner, &grantee, Access::Write);
    // Written before the grantee knows better, and after.
    let next = replace(&owner, grant, "tag:t tag:u", Access::Read);
    grantee
        .edit(NOW, both, insert(0, "late "))
        .expect("not known yet");
    tell(&owner, &grantee);
    for node in [&owner, &grantee] {
        assert_eq!(state(node, grant, NOW), State::Revoked);
        assert_eq!(state(node, next, NOW), State::Active);
    }
    assert!(grantee.edit(NOW, both, insert(0, "later ")).is_err());
    give(&owner, &grantee);
    give(&grantee, &owner);
    assert_eq!(owner.content(both).expect("content").body, "both");
    // What is written now reaches them where the narrower grant selects it, and only there.
    owner.edit(NOW, both, insert(0, "new ")).expect("edited");
    owner.edit(NOW, one, insert(0, "new ")).expect("edited");
    let refused = give(&owner, &grantee);
    assert_eq!(refused, [""; 0]);
    assert_eq!(grantee.content(one).expect("content").body, "one");
    let theirs = grantee.facts(both).expect("facts");
    let newest = owner.facts(both).expect("facts").heads();
    assert!(theirs.events().any(|(_, event)| newest.contains(&event)));
}

#[test]
fn a_wider_grant_waits_for_a_yes_and_the_old_one_goes_on_until_then() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "body", &["t"]);
    let grant = share(&owner, &grantee, Access::Read);
    let next = replace(&owner, grant, "tag:t", Access::Write);
    tell(&owner, &grantee);
    assert_eq!(state(&grantee, grant, NOW), State::Active);
    assert_eq!(state(&grantee, next, NOW), State::Offered);
    assert!(grantee.edit(NOW, memory, insert(0, "too soon ")).is_err());
    grantee.answer(NOW, next, true).expect("accepted");
    sync(&owner, &grantee);
    for node in [&owner, &grantee] {
        assert_eq!(state(node, grant, NOW), State::Superseded);
    }
    grantee
        .edit(NOW, memory, insert(0, "now "))
        .expect("allowed");
    sync(&owner, &grantee);
    assert_eq!(owner.content(memory).expect("content").body, "now body");
    // Revoking what took its place does not bring the old one back.
    let revoked = owner
        .store()
        .transact(NOW, |tx| tx.revoke(next, String::new()));
    revoked.expect("revoked");
    for grant in [grant, next] {
        assert_eq!(state(&owner, grant, NOW), State::Revoked);
    }
    owner
        .edit(NOW, memory, insert(0, "after "))
        .expect("edited");
    sync(&owner, &grantee);
    assert_eq!(grantee.content(memory).expect("content").body, "now body");
}

#[test]
fn revoking_a_grant_takes_back_the_wider_offer_that_was_to_follow_it() {
    let [owner, grantee] = nodes();
    let grant = share(&owner, &grantee, Access::Read);
    let next = replace(&owner, grant, "tag:t OR tag:u", Access::Write);
    let revoked = owner
        .store()
        .transact(NOW, |tx| tx.revoke(grant, String::new()));
    revoked.expect("revoked");
    tell(&owner, &grantee);
    assert_eq!(state(&grantee, next, NOW), State::Revoked);
    assert!(grantee.answer(NOW, next, true).is_err());
}

fn change(owner: &Node, changes: Vec<CirclePart>) -> Followed {
    let changed = owner
        .store()
        .transact::<_, ShareError>(NOW, |tx| tx.change_circle("family", changes));
    changed.expect("the circle changes")
}

fn share_with_circle(owner: &Node) -> Followed {
    let selector = "tag:t".to_owned();
    let shared = owner.store().transact::<_, ShareError>(NOW, |tx| {
        tx.share_with_circle("family", selector, lease(90))
    });
    shared.expect("the circle is given")
}

#[test]
fn the_grants_of_a_circle_follow_its_members() {
    let [owner, bob, mum] = nodes();
    let (bob_in, mum_in) = (
        |is_in| CirclePart::Member(bob.person(), is_in),
        |is_in| CirclePart::Member(mum.person(), is_in),
    );
    change(&owner, vec![CirclePart::Exists(true), bob_in(true)]);
    let followed = share_with_circle(&owner);
    let to: Vec<_> = followed.offered.iter().map(|(person, _)| *person).collect();
    assert_eq!(to, [bob.person()]);
    let bobs = followed.offered[0].1;
    let followed = change(&owner, vec![mum_in(true)]);
    assert_eq!(followed.offered[0].0, mum.person());
    assert_eq!((followed.offered.len(), followed.revoked.len()), (1, 0));
    // A no stays a no, until the same is shared again.
    tell(&owner, &bob);
    bob.answer(NOW, bobs, false).expect("declined");
    tell(&bob, &owner);
    assert_eq!(change(&owner, vec![]), Followed::default());
    let again = share_with_circle(&owner).offered;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].0, bob.person());
    // Who leaves loses it, who comes back is offered it anew.
    let left = change(&owner, vec![bob_in(false)]);
    assert_eq!(left.revoked, [again[0].1]);
    let back = change(&owner, vec![bob_in(true)]);
    assert_eq!(back.offered.len(), 1);
    // Nothing of the circle goes to anybody.
    tell(&owner, &mum);
    let circles = mum.store().read(|state| state.authority.circles().count());
    assert_eq!(circles, 0);
    let gone = change(&owner, vec![CirclePart::Exists(false)]);
    assert_eq!((gone.offered.len(), gone.revoked.len()), (0, 2));
}
