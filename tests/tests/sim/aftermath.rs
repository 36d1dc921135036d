//! After a revocation on the receiver's side: hiding, purging, receipts, and giving back.

use crate::node::Node;
use crate::wired::{NOW, assert_same_view, disclose, nodes, share, sync, take, tell, title};
use crdt::envelope::Epoch;
use crdt::event::body::Outcome;
use crdt::grant::Access;
use crdt::grant::authority::State;
use crdt::id::{GrantId, MemoryId};
use crdt::sidecar::SidecarPatch;
use crdt::time::Hybrid;
use storage::projection::text::TextQuery;
use storage::search::fusion::Fusion;
use storage::search::{SearchMode, SearchRequest};
use storage::store::generations::{Generation, Span};
use storage::tx::AppendError;
use storage::tx::{GivenBack, ShareError, WriteError};

fn is_shown(node: &Node, memory: MemoryId) -> bool {
    let facts = node.facts(memory).expect("facts");
    node.store().read(|state| state.is_shown(&facts))
}

fn is_indexed(node: &Node, words: &str, vector: Option<&[f32]>) -> bool {
    let query = TextQuery::parse(words);
    let request = SearchRequest {
        query: &query,
        vector,
        allowed: None,
        mode: SearchMode::Hybrid,
        limit: 10,
        fusion: Fusion::default(),
    };
    !node
        .store()
        .search(Generation::BuiltIn, &request)
        .expect("it searches")
        .is_empty()
}

fn has_key(node: &Node, memory: MemoryId) -> bool {
    node.transact(NOW, |tx| tx.holds_key(memory, Epoch(0)))
}

fn policy(node: &Node, text: &str) {
    let put = node
        .store()
        .transact::<_, AppendError>(NOW, |tx| tx.put_policy(text));
    put.expect("the policy is kept");
}

fn purge(owner: &Node, grant: GrantId) {
    owner
        .store()
        .transact(NOW, |tx| tx.revoke_and_purge(grant, String::new()))
        .expect("revoked");
}

/// What the owner's node was told: outcome, memories, passed on.
fn receipt(owner: &Node, grantee: &Node, grant: GrantId) -> Option<(Outcome, u32, u32)> {
    owner.store().read(|state| {
        let grant = state.authority.grant(grant)?;
        let (_, receipt) = grant.aftermath.receipt(&grantee.certificate.device)?;
        Some((receipt.outcome, receipt.memories, receipt.passed_on))
    })
}

fn waits(node: &Node, grant: GrantId) -> bool {
    node.store().read(|state| {
        let grant = state.authority.grant(grant).expect("known");
        state.purge_waits(grant, &node.certificate.device)
    })
}

fn assert_gone(node: &Node, memory: MemoryId, words: &str) {
    assert_eq!(node.content(memory), None);
    assert!(!has_key(node, memory));
    assert!(!is_indexed(node, words, Some(&[1.0, 0.0, 0.0, 0.0])));
    let facts = node.facts(memory).expect("facts");
    assert!(facts.purged && facts.tags.is_empty() && facts.bytes == 0);
}

/// Gives a memory a vector, as the indexer does.
fn embed(node: &Node, memory: MemoryId) {
    let vector = vec![vec![1.0, 0.0, 0.0, 0.0]];
    let until = node.store().read(|state| state.head);
    let from = node.store().vector_cursor(Generation::BuiltIn);
    let from = from.expect("the cursor reads");
    let put = node.store().put_vectors(
        Generation::BuiltIn,
        &[(memory, vector)],
        Span { from, until },
    );
    assert!(put.expect("vectors are stored"));
}

#[test]
fn after_a_revocation_the_copy_is_hidden_unless_the_person_wants_it() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "harbour", &["t"]);
    let grant = share(&owner, &grantee, Access::Read);
    assert!(is_shown(&grantee, memory));
    owner.revoke(NOW, grant).expect("revoked");
    tell(&owner, &grantee);
    assert!(!is_shown(&grantee, memory));
    let facts = grantee.facts(memory).expect("facts");
    let (found, since) = grantee.store().read(|state| {
        let grant = state.withdrawn(&facts).expect("withdrawn");
        (grant.id, grant.aftermath.ended())
    });
    assert_eq!((found, since.map(Hybrid::wall)), (grant, Some(NOW)));
    assert!(grantee.content(memory).is_some(), "hidden, not purged");
    policy(&grantee, "on_revoke keep\non_purge comply");
    assert!(is_shown(&grantee, memory));
    policy(&grantee, "on_revoke hide\non_purge comply");
    grantee.store().rebuild(NOW).expect("rebuilt");
    assert!(!is_shown(&grantee, memory));
    // Shared again, it is there again.
    share(&owner, &grantee, Access::Read);
    assert!(is_shown(&grantee, memory));
}

#[test]
fn what_another_grant_covers_stays() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "harbour", &["t"]);
    let grant = share(&owner, &grantee, Access::Read);
    share(&owner, &grantee, Access::Read);
    purge(&owner, grant);
    sync(&owner, &grantee);
    assert!(is_shown(&grantee, memory) && is_indexed(&grantee, "harbour", None));
    assert_eq!(
        receipt(&owner, &grantee, grant),
        Some((Outcome::Complied, 0, 0))
    );
    owner.edit(NOW, memory, title("still")).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(grantee.content(memory).expect("content").title, "still");
}

#[test]
fn a_purge_is_followed_answered_and_forgets_everything() {
    let [owner, mut grantee] = nodes();
    let memory = owner.create(NOW, "harbour", &["t"]);
    let grant = share(&owner, &grantee, Access::Write);
    grantee
        .edit(NOW, memory, title("edited there"))
        .expect("edited");
    sync(&owner, &grantee);
    embed(&grantee, memory);
    assert!(is_indexed(&grantee, "", Some(&[1.0, 0.0, 0.0, 0.0])));
    assert!(is_indexed(&grantee, "harbour", None) && has_key(&grantee, memory));
    purge(&owner, grant);
    assert_eq!(receipt(&owner, &grantee, grant), None, "no answer yet");
    sync(&owner, &grantee);
    assert_gone(&grantee, memory, "harbour");
    assert_eq!(
        receipt(&owner, &grantee, grant),
        Some((Outcome::Complied, 1, 0))
    );
    let before = grantee.snapshot();
    grantee.store().rebuild(NOW).expect("rebuilt");
    assert_eq!(before, grantee.snapshot());
    grantee.reopen(NOW);
    assert_eq!(before, grantee.snapshot());
    assert_gone(&grantee, memory, "harbour");
    // A new grant brings all of it again, and it replays.
    owner.edit(NOW, memory, title("again")).expect("edited");
    share(&owner, &grantee, Access::Read);
    assert_eq!(grantee.content(memory), owner.content(memory));
    assert!(is_shown(&grantee, memory) && is_indexed(&grantee, "harbour", None));
    let before = grantee.snapshot();
    grantee.store().rebuild(NOW).expect("rebuilt");
    assert_eq!(before, grantee.snapshot());
}

#[test]
fn a_purge_can_be_refused_or_wait_for_the_person() {
    let [owner, refuses, waiting] = nodes();
    let memory = owner.create(NOW, "harbour", &["t"]);
    policy(&refuses, "on_revoke keep\non_purge refuse");
    policy(&waiting, "on_revoke hide\non_purge ask");
    let one = share(&owner, &refuses, Access::Read);
    let two = share(&owner, &waiting, Access::Read);
    purge(&owner, one);
    purge(&owner, two);
    sync(&owner, &refuses);
    sync(&owner, &waiting);
    assert_eq!(
        receipt(&owner, &refuses, one),
        Some((Outcome::Refused, 1, 0))
    );
    assert!(is_shown(&refuses, memory));
    assert_eq!(
        receipt(&owner, &waiting, two),
        Some((Outcome::Waiting, 1, 0))
    );
    assert!(waits(&waiting, two) && !is_shown(&waiting, memory));
    let answered = waiting
        .store()
        .transact(NOW, |tx| tx.answer_purge(two, true));
    answered.expect("answered");
    assert_gone(&waiting, memory, "harbour");
    let again: Result<(), ShareError> = waiting
        .store()
        .transact(NOW, |tx| tx.answer_purge(two, true));
    assert!(matches!(again, Err(ShareError::State(_))));
    sync(&owner, &waiting);
    assert_eq!(
        receipt(&owner, &waiting, two),
        Some((Outcome::Complied, 1, 0))
    );
}

#[test]
fn a_purge_can_be_asked_for_after_a_plain_revocation() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "harbour", &["t"]);
    let grant = share(&owner, &grantee, Access::Read);
    owner.revoke(NOW, grant).expect("revoked");
    sync(&owner, &grantee);
    assert!(grantee.content(memory).is_some());
    purge(&owner, grant);
    sync(&owner, &grantee);
    assert_gone(&grantee, memory, "harbour");
    let again = owner
        .store()
        .transact(NOW, |tx| tx.revoke_and_purge(grant, String::new()));
    assert!(matches!(again, Err(ShareError::State("revoked"))));
}

#[test]
fn a_receiver_gives_one_memory_back_while_the_sender_is_gone() {
    let [owner, mut grantee] = nodes();
    let kept = owner.create(NOW, "kept", &["t"]);
    let given = owner.create(NOW, "harbour", &["t"]);
    share(&owner, &grantee, Access::Write);
    embed(&grantee, given);
    // The sender is not even paired any more.
    grantee.transact(NOW, |tx| {
        tx.unpair(owner.person());
        Ok(())
    });
    grantee
        .store()
        .transact(NOW, |tx| tx.give_back(given))
        .expect("given back");
    assert_gone(&grantee, given, "harbour");
    grantee.reopen(NOW);
    assert_gone(&grantee, given, "harbour");
    assert!(is_shown(&grantee, kept));
    // They meet again: it is out of both views and does not come back, however it changes.
    grantee.pair(&owner, NOW);
    sync(&owner, &grantee);
    owner.edit(NOW, given, title("changed")).expect("edited");
    owner.edit(NOW, kept, title("changed")).expect("edited");
    sync(&owner, &grantee);
    assert_eq!(grantee.content(given), None);
    assert_eq!(grantee.content(kept), owner.content(kept));
    // Not even a sender that pushes it brings it back.
    let twice = grantee.store().transact(NOW, |tx| tx.give_back(given));
    assert!(matches!(twice, Err(WriteError::Unknown(_))));
    let mine = owner.store().transact(NOW, |tx| tx.give_back(given));
    assert!(matches!(mine, Err(WriteError::IsMine(_))));
    share(&owner, &grantee, Access::Read);
    assert_eq!(grantee.content(given), owner.content(given));
    assert!(is_shown(&grantee, given) && is_indexed(&grantee, "harbour", None));
}

#[test]
fn a_pushed_memory_that_was_given_back_is_not_taken() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "harbour", &["t"]);
    let grant = owner.offer(NOW, grantee.person(), "tag:t", Access::Read, None);
    tell(&owner, &grantee);
    grantee.answer(NOW, grant, true).expect("accepted");
    tell(&grantee, &owner);
    let content = disclose(&owner, &grantee);
    for frame in &content {
        take(&owner, &grantee, frame);
    }
    let given = grantee.store().transact(NOW, |tx| tx.give_back(memory));
    given.expect("given back");
    for frame in &content {
        let taken = take(&owner, &grantee, frame);
        assert_eq!((taken.stored, taken.members), (0, 0));
    }
    assert_gone(&grantee, memory, "harbour");
    tell(&grantee, &owner);
    assert_same_view(&owner, &grantee);
    assert!(disclose(&owner, &grantee).is_empty());
}

#[test]
fn a_whole_grant_can_be_given_back() {
    let [owner, grantee] = nodes();
    let both = owner.create(NOW, "both", &["t", "u"]);
    let one = owner.create(NOW, "harbour", &["t"]);
    let grant = share(&owner, &grantee, Access::Read);
    let other = owner.offer(NOW, grantee.person(), "tag:u", Access::Read, None);
    tell(&owner, &grantee);
    grantee.answer(NOW, other, true).expect("accepted");
    sync(&owner, &grantee);
    let by_owner = owner.store().transact(NOW, |tx| tx.return_grant(grant));
    assert!(matches!(by_owner, Err(ShareError::Party(_))));
    let given = grantee.store().transact(NOW, |tx| tx.return_grant(grant));
    let expected = GivenBack {
        memories: 1,
        kept: 1,
    };
    assert_eq!(given.expect("given back"), expected);
    assert_gone(&grantee, one, "harbour");
    assert!(is_shown(&grantee, both));
    sync(&owner, &grantee);
    let state = |node: &Node| {
        node.store()
            .read(|state| state.authority.grant(grant).expect("known").state(NOW))
    };
    assert_eq!(
        (state(&owner), state(&grantee)),
        (State::Returned, State::Returned)
    );
    let later = owner.create(NOW, "later", &["t"]);
    sync(&owner, &grantee);
    assert_eq!(grantee.facts(later), None);
    let again = grantee.store().transact(NOW, |tx| tx.return_grant(grant));
    assert!(matches!(again, Err(ShareError::State("returned"))));
    // What the grantee wrote under it stays written, and a new key is taken for what follows.
    owner.edit(NOW, one, title("after")).expect("edited");
    assert!(owner.facts(one).expect("facts").epoch > Epoch(0));
}

#[test]
fn own_labels_survive_giving_back_and_sharing_again() {
    let [owner, grantee] = nodes();
    let memory = owner.create(NOW, "harbour", &["t"]);
    share(&owner, &grantee, Access::Read);
    let mine = SidecarPatch {
        tags: [("mine".to_owned(), true)].into(),
        ..SidecarPatch::default()
    };
    grantee.label(NOW, memory, mine);
    let given = grantee.store().transact(NOW, |tx| tx.give_back(memory));
    given.expect("given back");
    sync(&owner, &grantee);
    share(&owner, &grantee, Access::Read);
    let facts = grantee.facts(memory).expect("facts");
    assert!(facts.sidecar.tags().any(|tag| tag == "mine") && is_shown(&grantee, memory));
}
