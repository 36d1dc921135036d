//! Every byte of the files of a text index, altered in turn: the index is never used as it is then.
//!
//! What cannot be used is emptied and made anew from the log, which other tests show.

use super::*;
use crate::cipher::{Context, tests::cipher};
use std::collections::BTreeMap;
use std::fs;

#[test]
fn an_index_with_any_altered_byte_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let index = TextIndex::open(folder.path(), cipher(Context::TextIndex)).unwrap();
    for slot in 1..=12 {
        let doc = TextDoc {
            slot: Slot(slot),
            title: format!("title {slot}"),
            body: "a walk along the harbour".to_owned(),
            tags: vec!["walks".to_owned()],
        };
        index.apply(&[doc], &[], slot).unwrap();
    }
    index.flush().unwrap();
    drop(index);
    let (schema, _) = Fields::build();
    let cipher = Arc::new(cipher(Context::TextIndex));
    let is_used = || {
        // A new handle each time: a handle remembers what it read.
        let directory = SealedDirectory::new(folder.path(), Arc::clone(&cipher));
        folder::usable(&directory, &schema).is_some()
    };
    assert!(is_used(), "as it was written");
    let mut altered: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            // Each byte another bit, so that all bits are altered somewhere.
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            assert!(!is_used(), "{} with byte {at} altered", path.display());
        }
        fs::write(&path, &whole).unwrap();
        *altered.entry(path).or_default() += whole.len();
    }
    assert!(is_used(), "as it was written, again");
    let bytes: usize = altered.values().sum();
    println!(
        "text index: {bytes} bytes in {} files, each found out",
        altered.len()
    );
    assert!(bytes > 1_000);
}
