//! Frames on a stream: one task reads them, one writes them.
//!
//! Nothing here knows what a session is. What was cleared before a revocation is not written
//! after it, however long it waited here. Invariant: only [`Outgoing`] can be written, and content
//! fits into it only as [`Cleared`].

use crate::egress::Cleared;
use crate::net::Bytes;
use crdt::id::PersonId;
use futures::io::ReadHalf;
use futures::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use protocol::wire::content::Content;
use protocol::wire::control::Control;
use protocol::wire::{FRAME_HEADER_BYTES, content_frame, control_frame, frame_length};
use std::sync::Arc;
use std::time::Duration;
use storage::store::Store;
use tokio::sync::{mpsc, watch};

/// How long a frame may take to be written before the peer counts as gone.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// What is written to a peer: control, or content that the guard cleared. Nothing else fits.
pub(super) enum Outgoing {
    Control(Control),
    Content {
        frame: Cleared<Content>,
        /// Who it was cleared for.
        person: PersonId,
        /// How many revocations towards them were known then.
        cut: usize,
    },
}

/// Reads frames until the stream ends or one is over the limit.
pub(super) async fn read_all(mut reader: ReadHalf<Bytes>, frames: mpsc::Sender<Vec<u8>>) {
    loop {
        let mut header = [0; FRAME_HEADER_BYTES];
        if reader.read_exact(&mut header).await.is_err() {
            return;
        }
        let Some(length) = frame_length(header) else {
            tracing::info!("a peer announced a frame over the limit; the session ends");
            return;
        };
        let mut frame = vec![0; length];
        if reader.read_exact(&mut frame).await.is_err() || frames.send(frame).await.is_err() {
            return;
        }
    }
}

/// Writes messages until there are no more or the peer is gone.
pub(super) async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Outgoing>,
    written: watch::Sender<u64>,
    store: Arc<Store>,
) {
    while let Some(message) = outgoing.recv().await {
        let frame = match message {
            Outgoing::Control(control) => control_frame(&control),
            Outgoing::Content { frame, person, cut } => {
                if store.read(|state| state.revocations(person)) != cut {
                    // Cleared before a revocation that is known now: it stays here. The session
                    // ends, and the next one begins with the news.
                    tracing::info!("content was held back: a grant was revoked meanwhile");
                    break;
                }
                content_frame(&frame.into_inner())
            }
        };
        let write = async {
            writer.write_all(&frame).await?;
            writer.flush().await
        };
        match tokio::time::timeout(WRITE_MAX, write).await {
            Ok(Ok(())) => written.send_modify(|bytes| *bytes += frame.len() as u64),
            Ok(Err(_)) | Err(_) => return,
        }
    }
    if let Err(error) = writer.close().await {
        tracing::debug!(%error, "the stream was gone already");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::pair::Pair;
    use crate::{clock, egress};
    use crdt::grant::{Access, History, Terms};
    use crdt::id::GrantId;
    use crdt::identity::{DeviceKey, PersonKey};
    use crdt::memory::{Content as Text, MemoryKind};
    use crdt::sidecar::SidecarPatch;
    use std::sync::Mutex;
    use storage::cipher::MasterKey;
    use storage::kv::memory::MemoryStore;
    use storage::kv::sealed::{OpaqueKey, Sealed};
    use storage::store::query::Frontier;
    use storage::store::{Owner, StoreError};
    use storage::tx::{ShareError, WriteError};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Wire(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Wire {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(buf);
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn node(seed: u8, text: &std::path::Path) -> Arc<Store> {
        let device = DeviceKey::from_seed(&[seed + 100; 32]);
        let person = PersonKey::from_seed(&[seed; 32]);
        let certificate = person.certify(&device, clock::now());
        let master = MasterKey::generate().unwrap();
        let kv = Arc::new(Sealed::new(Arc::new(MemoryStore::new()), &master));
        let owner = Owner {
            certificate,
            device,
            root: None,
        };
        let opaque = OpaqueKey::new(&master);
        let store = {
            let guard = Arc::new(storage::screen::open::Open);
            Store::open(kv, opaque, owner, guard, text, ("none", 4), clock::now())
        };
        Arc::new(store.unwrap())
    }

    fn tell(from: &Store, to: &Store) {
        let (me, you) = (
            from.owner().certificate.person,
            to.owner().certificate.person,
        );
        let events = from.consent_beyond(you, &Frontier::new()).unwrap();
        to.transact::<_, StoreError>(clock::now(), |tx| tx.take_consent(me, &events))
            .unwrap();
    }

    /// An owner who shares one memory, and the grant.
    fn shared(owner: &Store, other: &Store) -> GrantId {
        for (one, two) in [(owner, other), (other, owner)] {
            one.transact::<_, StoreError>(clock::now(), |tx| {
                tx.pair(&two.owner().certificate, "friend", Vec::new());
                Ok(())
            })
            .unwrap();
        }
        let mut text = Text::new(MemoryKind::Note, clock::now());
        text.title = "shared".to_owned();
        text.tags = ["t".to_owned()].into();
        let terms = Terms {
            access: Access::Read,
            expires: None,
            purpose: String::new(),
            reshare: false,
            history: History::Full,
            lease_ms: None,
        };
        let to = other.owner().certificate.person;
        owner
            .transact::<_, WriteError>(clock::now(), |tx| {
                tx.create(&text, &SidecarPatch::default())
            })
            .unwrap();
        let grant = owner
            .transact::<_, ShareError>(clock::now(), |tx| tx.offer(to, "tag:t".to_owned(), terms))
            .unwrap();
        tell(owner, other);
        other
            .transact::<_, ShareError>(clock::now(), |tx| tx.answer(grant, true))
            .unwrap();
        tell(other, owner);
        grant
    }

    #[tokio::test]
    async fn what_waits_to_be_written_is_not_written_after_a_revocation() {
        for is_revoked in [false, true] {
            let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let [owner, other] = [node(1, folders[0].path()), node(2, folders[1].path())];
            let grant = shared(&owner, &other);
            let person = other.owner().certificate.person;
            let mut pair = Pair::new(person);
            pair.refresh(&owner, clock::now());
            let items: Vec<_> = pair.view().items().copied().collect();
            let cut = owner.read(|state| state.revocations(person));
            let review = egress::review(&owner, person, &items, &pair.memberships(&items)).unwrap();
            assert_eq!(review.frames.len(), 1);
            let (outbox, outgoing) = mpsc::channel(8);
            for frame in review.frames {
                let content = Outgoing::Content { frame, person, cut };
                assert!(outbox.send(content).await.is_ok());
            }
            if is_revoked {
                owner
                    .transact::<_, ShareError>(clock::now(), |tx| tx.revoke(grant, String::new()))
                    .unwrap();
            }
            assert!(outbox.send(Outgoing::Control(Control::Bye)).await.is_ok());
            drop(outbox);
            let (wire, (written, _seen)) = (Wire::default(), watch::channel(0));
            let writer = futures::io::AllowStdIo::new(wire.clone());
            write_all(writer, outgoing, written, owner).await;
            let bytes = wire.0.lock().unwrap().len();
            assert_eq!(bytes == 0, is_revoked, "{bytes} bytes were written");
        }
    }
}
