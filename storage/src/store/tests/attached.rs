//! What is attached follows the contents, through edits, purges, failures, restarts and rebuilds.

use super::*;
use crate::attached::Leave;
use crate::tx::AppendError;
use crdt::hash::Hash;
use crdt::ledger::BlobSent;
use crdt::memory::Attachment;
use std::collections::BTreeSet;

fn file(byte: u8) -> Attachment {
    Attachment {
        hash: Hash([byte; 32]),
        name: format!("file {byte}"),
        media_type: "a/b".to_owned(),
        bytes: u64::from(byte) * 1_000,
    }
}

fn attached(bench: &Bench, memory: MemoryId) -> Vec<u8> {
    let all = |state: &State| {
        let all = state.attachments(memory).iter();
        all.map(|file| file.hash.0[0]).collect()
    };
    bench.store().read(all)
}

fn referred(bench: &Bench) -> BTreeSet<u8> {
    let blobs = bench.store().read(State::blobs);
    blobs.into_iter().map(|hash| hash.0[0]).collect()
}

#[test]
fn what_is_attached_follows_the_content() {
    let mut bench = Bench::new(1);
    let memory = bench.keep(|content| content.attachments = vec![file(1)]);
    let other = bench.keep(|content| content.attachments = vec![file(1), file(2)]);
    let plain = bench.create("without a file");
    bench.change(
        memory,
        Edit {
            add_attachments: vec![file(3)],
            ..Edit::default()
        },
    );
    assert_eq!(attached(&bench, memory), [1, 3]);
    assert!(attached(&bench, plain).is_empty());
    bench.change(
        memory,
        Edit {
            remove_attachments: [Hash([1; 32])].into(),
            ..Edit::default()
        },
    );
    let check = |bench: &Bench| {
        assert_eq!(attached(bench, memory), [3]);
        assert_eq!(referred(bench), [1, 2, 3].into());
        assert_eq!(bench.rows(layout::ATTACHED), 2);
    };
    check(&bench);
    bench.reopen();
    check(&bench);
    bench.store().rebuild(NOW).unwrap();
    check(&bench);
    // A transaction that fails leaves it as it was.
    let failed = bench.store().transact(NOW, |tx| {
        tx.purge(memory)?;
        Err::<(), _>(WriteError::NotOwner)
    });
    assert!(failed.is_err());
    check(&bench);
    bench.purge(other);
    assert_eq!(
        (attached(&bench, other), referred(&bench)),
        (vec![], [3].into())
    );
    bench.purge(memory);
    bench.reopen();
    assert_eq!(
        (referred(&bench), bench.rows(layout::ATTACHED)),
        (BTreeSet::new(), 0)
    );
    bench.store().rebuild(NOW).unwrap();
    assert_eq!(referred(&bench), BTreeSet::new());
}

#[test]
fn a_part_that_may_leave_is_in_the_ledger_and_one_that_may_not_is_not() {
    let bench = Bench::new(1);
    let memory = bench.keep(|content| content.attachments = vec![file(1)]);
    let disclose = |person: PersonId, blob: u8| {
        let part = BlobSent {
            blob: Hash([blob; 32]),
            from: 0,
            bytes: 1_000,
        };
        let done = bench
            .store()
            .transact::<_, AppendError>(NOW, |tx| Ok(tx.disclose_blob(person, memory, part)?));
        done.unwrap()
    };
    let stranger = PersonId([9; 32]);
    assert_eq!(disclose(stranger, 1), None, "nothing was granted");
    assert_eq!(disclose(bench.me(), 2), None, "it is not attached");
    assert_eq!(disclose(bench.me(), 1), Some(1), "to an own device");
    let entries = bench.store().ledger(0, 10).unwrap();
    assert_eq!(entries.len(), 1);
    let [entry] = entries.as_slice() else {
        unreachable!("one")
    };
    let sent = entry.blob.unwrap();
    assert_eq!(
        (sent.blob, sent.bytes, entry.bytes),
        (Hash([1; 32]), 1_000, 1_000)
    );
    let verdict = bench.store().verify_ledger().unwrap();
    assert_eq!(verdict.fault, None);
    let leave = |person| {
        bench
            .store()
            .read(|state| state.blob_grant(person, memory, Hash([1; 32]), NOW))
    };
    assert_eq!(
        (leave(bench.me()), leave(stranger)),
        (Some(Leave::Own), None)
    );
    bench.purge(memory);
    assert_eq!(disclose(bench.me(), 1), None, "it was purged");
}
