//! Selectors that infer: new matches wait for the owner's word, over stores wired directly.

use crate::node::Node;
use crate::wired::{NOW, insert, nodes, sync, tell};
use crdt::event::body::approval::Subject;
use crdt::grant::{Access, Terms};
use crdt::id::{GrantId, MemoryId};
use crdt::selector::Selector;
use storage::tx::{AppendError, ShareError};

fn offer(owner: &Node, grantee: &Node, selector: &str, live: bool) -> GrantId {
    let selector = Selector::parse(selector).expect("a selector").to_string();
    let terms = Terms::of(Access::Read);
    let offered = owner.store().transact::<_, ShareError>(NOW, |tx| {
        tx.offer_instead(grantee.person(), selector, terms, None, live)
    });
    let grant = offered.expect("offered");
    tell(owner, grantee);
    grantee.answer(NOW, grant, true).expect("accepted");
    sync(owner, grantee);
    grant
}

fn waiting(owner: &Node, grant: GrantId) -> Vec<MemoryId> {
    owner.store().read(|state| {
        let grant = state.authority.grant(grant).expect("known");
        state.additions(grant, NOW)
    })
}

fn say(owner: &Node, grant: GrantId, memory: MemoryId, approved: bool) {
    let subject = Subject::Addition { grant };
    let said = owner
        .store()
        .transact::<_, AppendError>(NOW, |tx| tx.approve(&subject, &[memory], approved));
    said.expect("approved");
}

#[test]
fn a_new_match_of_a_selector_that_infers_waits_for_a_yes() {
    let [mut owner, grantee] = nodes();
    let seen = owner.create(NOW, "A Sourdough to look at", &[]);
    let other = owner.create(NOW, "nothing of the kind", &[]);
    let grant = offer(&owner, &grantee, "\"sourdough\" -tag:private", false);
    assert!(grantee.content(seen).is_some(), "what was looked at goes");
    let new = owner.create(NOW, "another SOURDOUGH", &[]);
    let private = owner.create(NOW, "sourdough, private", &["private"]);
    // An edit can make a match as well.
    owner
        .edit(NOW, other, insert(0, "sourdough: "))
        .expect("edited");
    sync(&owner, &grantee);
    assert!(grantee.facts(new).is_none() && grantee.facts(other).is_none());
    let both = {
        let mut both = vec![new, other];
        both.sort_unstable();
        both
    };
    assert_eq!(waiting(&owner, grant), both);
    // The same after a restart: what texts contain is found again.
    owner.reopen(NOW);
    assert_eq!(waiting(&owner, grant), both);
    say(&owner, grant, new, true);
    say(&owner, grant, other, false);
    sync(&owner, &grantee);
    assert_eq!(waiting(&owner, grant), []);
    assert!(grantee.content(new).is_some());
    for memory in [other, private] {
        assert!(grantee.facts(memory).is_none());
    }
    // What stops matching leaves the view; a no that comes later takes a memory out as well.
    owner.edit(NOW, seen, insert(0, "x")).expect("edited");
    say(&owner, grant, new, false);
    let later = owner.edit(NOW, new, insert(0, "later "));
    later.expect("edited");
    sync(&owner, &grantee);
    let theirs = grantee.content(new).expect("a copy stays");
    assert_eq!(theirs.body, "another SOURDOUGH");
}

#[test]
fn a_live_selector_takes_new_matches_in_at_once() {
    let [owner, grantee] = nodes();
    let grant = offer(&owner, &grantee, "sourdough", true);
    let new = owner.create(NOW, "Sourdough", &[]);
    sync(&owner, &grantee);
    assert!(grantee.content(new).is_some());
    assert_eq!(waiting(&owner, grant), []);
}

#[test]
fn a_preview_of_words_names_what_goes() {
    let [owner, grantee] = nodes();
    let match_of = |selector: &str| {
        let selector = Selector::parse(selector).expect("a selector");
        let preview = owner.store().preview(&selector, NOW);
        let memories = preview.expect("a preview").memories.into_iter();
        memories.map(|(memory, _)| memory).collect::<Vec<_>>()
    };
    let yes = owner.create(NOW, "sourdough", &[]);
    owner.create(NOW, "rye", &[]);
    assert_eq!(match_of("sourdough"), [yes]);
    offer(&owner, &grantee, "sourdough", false);
    assert!(grantee.content(yes).is_some());
}
