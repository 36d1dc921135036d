//! What a curious device knows: all that the store of its node holds, and ids that somebody told it.
//!
//! Ids are no secret, and who was given something once has them, with the keys. So it asks for what
//! there really is, under the names and with the keys that it really has; nothing but a missing
//! grant is left to refuse it.

use crdt::envelope::ContentKey;
use crdt::hash::Hash;
use crdt::id::MemoryId;
use node::clock;
use node::config::Unlock;
use protocol::blob::Request;
use protocol::limits::{BLOB_KEYS_MAX, WANT_MAX};
use protocol::view::membership_id;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use storage::entropy::Entropy;
use storage::kv::sealed::Sealed;
use storage::screen::open::Open;
use storage::store::{Parts, Store, StoreError};

/// What a curious device knows.
#[derive(Debug, Clone)]
pub struct Knowledge {
    /// Memories that it was told of.
    pub(super) told: Vec<MemoryId>,
    /// Ids of items of a view.
    pub(super) ids: BTreeSet<[u8; 32]>,
    /// Requests for blobs.
    pub(super) blobs: Vec<Request>,
}

/// A blob of a memory, and the commitments to the keys that open it.
type Blob = (MemoryId, Hash, BTreeSet<Hash>);

impl Knowledge {
    /// Reads the data folder of a node, which must be a copy of the caller's own: opening it may
    /// write in it. These memories it was told of besides.
    pub fn read(home: &Path, told: &[MemoryId]) -> Self {
        let store = open(home);
        // A memory has the id of its root.
        let mut ids: BTreeSet<[u8; 32]> = told.iter().map(|memory| memory.0).collect();
        store.read(|state| {
            for facts in state.memories.values() {
                ids.extend(facts.events().map(|(_, event)| event.0));
            }
            for (memory, grants) in &state.members {
                ids.extend(grants.keys().map(|grant| membership_id(*grant, *memory)));
            }
        });
        Self {
            told: told.to_vec(),
            ids: ids.into_iter().take(WANT_MAX).collect(),
            blobs: requests(&blobs(&store), told),
        }
    }
}

/// Opens the store of a node that does not run.
fn open(home: &Path) -> Store {
    let identity = node::identity::open(home, &Unlock::default());
    let identity = identity.expect("the folder is the caller's own");
    let disk = crate::disk_of(home);
    let master = identity.vault.keyring().master();
    let parts = Parts {
        kv: Arc::new(Sealed::new(Arc::new(disk), master)),
        master,
        owner: identity.owner,
        guard: Arc::new(Open),
        text: &home.join("text"),
        model: ("none", 4),
        entropy: Entropy::system(),
    };
    Store::open(parts, clock::now()).expect("a copy opens as the folder does")
}

/// Returns the blobs of all memories that are held.
fn blobs(store: &Store) -> Vec<Blob> {
    let attached: Vec<(MemoryId, Hash)> = store.read(|state| {
        let all = state.attached();
        let named = all.flat_map(|(memory, attachments)| {
            attachments.iter().map(move |found| (memory, found.hash))
        });
        named.collect()
    });
    let with_keys = attached.into_iter().map(|(memory, blob)| {
        let keys = store.transact::<_, StoreError>(clock::now(), |tx| tx.blob_keys(memory));
        let keys = keys.expect("keys are read");
        let keys = keys.iter().take(BLOB_KEYS_MAX).map(ContentKey::commitment);
        (memory, blob, keys.collect())
    });
    with_keys.collect()
}

/// Returns requests for what is known, for the same as if it were in the memories that it was told
/// of, and for what there is not.
fn requests(known: &[Blob], told: &[MemoryId]) -> Vec<Request> {
    let elsewhere = told.iter().flat_map(|memory| {
        let moved = known
            .iter()
            .map(|(_, blob, keys)| (*memory, *blob, keys.clone()));
        moved.chain([(*memory, Hash([7; 32]), BTreeSet::new())])
    });
    let all = known.iter().cloned().chain(elsewhere);
    let asks = all.map(|(memory, blob, keys)| Request::Ask { memory, blob, keys });
    asks.collect()
}
