//! Who may have a blob, as both sides' stores and the guard decide it, without sockets.

use crate::clock;
use crate::egress::blob::{Passage, may_have, review};
use crate::sync::frames::tests::{node, shared};
use crdt::blob::seal::BlobKey;
use crdt::blob::{CHUNK_BYTES, outline_of};
use crdt::envelope::ContentKey;
use crdt::id::{DeviceId, MemoryId};
use crdt::memory::{Attachment, Edit};
use protocol::blob::serving::Part;
use std::sync::Arc;
use storage::store::{Store, StoreError};
use storage::tx::{MemoryEdit, ShareError, WriteError};

const BYTES: &[u8] = &[7; 2 * CHUNK_BYTES];

/// An owner whose one shared memory has a file, a reader, and a stranger.
struct Scene {
    owner: Arc<Store>,
    reader: DeviceId,
    stranger: DeviceId,
    grant: crdt::id::GrantId,
    memory: MemoryId,
    part: Part,
    _folders: [tempfile::TempDir; 3],
}

fn edit(store: &Store, memory: MemoryId, content: Edit) {
    let edit = MemoryEdit {
        content,
        ..MemoryEdit::default()
    };
    store
        .transact::<_, WriteError>(clock::now(), |tx| tx.edit(memory, &edit))
        .unwrap();
}

impl Scene {
    fn new() -> Self {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let [owner, reader, stranger] =
            [1, 2, 3].map(|seed: u8| node(seed, folders[usize::from(seed) - 1].path()));
        let grant = shared(&owner, &reader);
        let memory = owner.read(|state| *state.memories.keys().next().unwrap());
        let blob = outline_of(BYTES).root();
        let file = Attachment {
            hash: blob,
            name: "file".to_owned(),
            media_type: "a/b".to_owned(),
            bytes: BYTES.len() as u64,
        };
        edit(
            &owner,
            memory,
            Edit {
                add_attachments: vec![file],
                ..Edit::default()
            },
        );
        let part = Part {
            memory,
            blob,
            first: 0,
            chunks: 1,
            from: 0,
            bytes: CHUNK_BYTES as u64,
        };
        Self {
            reader: reader.owner().device.id(),
            stranger: stranger.owner().device.id(),
            owner,
            grant,
            memory,
            part,
            _folders: folders,
        }
    }

    fn may(&self, device: DeviceId) -> bool {
        may_have(&self.owner, device, self.memory, self.part.blob).is_some()
    }
    fn review(&self, device: DeviceId, part: Part) -> Result<Option<Passage>, StoreError> {
        let key = BlobKey::of(&ContentKey::from_bytes([5; 32]), part.blob);
        review(&self.owner, device, part, &key)
    }
    fn entries(&self) -> usize {
        let all = self.owner.ledger(0, 100).unwrap();
        all.iter().filter(|entry| entry.blob.is_some()).count()
    }

    /// A part was cleared and waits; after `change` nothing of it leaves, and no other part does.
    fn ends_with(&self, change: impl FnOnce(&Self)) {
        assert!(self.may(self.reader) && !self.may(self.stranger));
        let passage = self.review(self.reader, self.part).unwrap().unwrap();
        let chunk = vec![7; CHUNK_BYTES];
        assert!(passage.clear(&self.owner, 0, &chunk).is_some());
        assert!(
            passage.clear(&self.owner, 1, &chunk).is_none(),
            "not of this part"
        );
        assert_eq!(self.entries(), 1);
        change(self);
        assert!(
            passage.clear(&self.owner, 0, &chunk).is_none(),
            "what waited left"
        );
        assert!(!self.may(self.reader));
        assert!(self.review(self.reader, self.part).unwrap().is_none());
        assert_eq!(self.entries(), 1, "what did not leave is not in the ledger");
    }
}

#[test]
fn a_revocation_holds_back_what_waits() {
    Scene::new().ends_with(|scene| {
        let revoked = scene
            .owner
            .transact::<_, ShareError>(clock::now(), |tx| tx.revoke(scene.grant, String::new()));
        revoked.unwrap();
    });
}

#[test]
fn leaving_the_view_holds_back_what_waits() {
    Scene::new().ends_with(|scene| {
        let remove_tags = ["t".to_owned()].into();
        edit(
            &scene.owner,
            scene.memory,
            Edit {
                remove_tags,
                ..Edit::default()
            },
        );
    });
}

#[test]
fn taking_the_file_away_holds_back_what_waits() {
    Scene::new().ends_with(|scene| {
        let remove_attachments = [scene.part.blob].into();
        edit(
            &scene.owner,
            scene.memory,
            Edit {
                remove_attachments,
                ..Edit::default()
            },
        );
    });
}

#[test]
fn a_purge_holds_back_what_waits() {
    Scene::new().ends_with(|scene| {
        let purged = scene
            .owner
            .transact::<_, WriteError>(clock::now(), |tx| tx.purge(scene.memory));
        purged.unwrap();
    });
}

#[test]
fn a_stranger_is_not_reviewed() {
    let scene = Scene::new();
    let refused = scene.review(scene.stranger, scene.part).unwrap();
    assert!(refused.is_none());
    let mut other = scene.part;
    other.blob = outline_of(b"not attached").root();
    assert!(scene.review(scene.reader, other).unwrap().is_none());
    assert_eq!(scene.entries(), 0);
}
