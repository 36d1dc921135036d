//! A damaged document keeps one memory out of merging; peers, and everything else, go on.

use crate::wired::{
    NOW, assert_same_view, disclose, give, insert, nodes, share, sync, take, title,
};
use crdt::grant::Access;
use storage::tx::{AppendError, WriteError};

#[test]
fn a_damaged_document_is_quarantined_until_a_rebuild() {
    let [mut owner, writer] = nodes();
    let broken = owner.create(NOW, "broken", &["t"]);
    let fine = owner.create(NOW, "fine", &["t"]);
    share(&owner, &writer, Access::Write);
    writer.edit(NOW, broken, title("one")).expect("edited");
    sync(&owner, &writer);
    assert_eq!(owner.damage_documents(), 1, "only one was ever edited");
    // What comes for it is refused by name, once for finding out and then at once.
    writer.edit(NOW, broken, insert(0, "not ")).expect("edited");
    writer.edit(NOW, fine, title("goes on")).expect("edited");
    let codes: Vec<_> = disclose(&writer, &owner)
        .iter()
        .flat_map(|frame| take(&writer, &owner, frame).refused)
        .map(|(_, code)| code)
        .collect();
    assert_eq!(codes, ["quarantined"]);
    assert_eq!(owner.content(fine).expect("content").title, "goes on");
    owner.reopen(NOW);
    assert_eq!(give(&writer, &owner), ["quarantined"]);
    let content = owner.content(broken).expect("content");
    assert_eq!(
        (content.title.as_str(), content.body.as_str()),
        ("one", "broken")
    );
    let refused = owner.edit(NOW, broken, title("mine"));
    assert!(matches!(
        refused,
        Err(WriteError::Append(AppendError::Quarantined(_)))
    ));
    let why = owner
        .store()
        .read(|state| state.is_quarantined(broken).map(|row| row.reason.clone()));
    assert!(
        why.expect("it is").contains("snapshot"),
        "it says what failed"
    );
    // The log is whole: a rebuild makes the document anew, and what was refused comes again.
    owner.store().rebuild(NOW).expect("rebuilt");
    assert_eq!(owner.store().read(|state| state.quarantined().count()), 0);
    sync(&owner, &writer);
    assert_eq!(owner.content(broken).expect("content").body, "not broken");
    assert_same_view(&owner, &writer);
}
