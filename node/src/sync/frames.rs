//! Frames on a stream: one task reads them, one writes them.
//!
//! Nothing here knows what a session is. What was cleared before a revocation is not written
//! after it, however long it waited here. Invariant: only [`Outgoing`] can be written, and content
//! fits into it only as [`Cleared`].

use crate::egress::Cleared;
use crdt::id::PersonId;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use protocol::limits::FRAME_BYTES_MAX;
use protocol::wire::content::Content;
use protocol::wire::control::Control;
use protocol::wire::{FRAME_HEADER_BYTES, content_frame, control_frame, frame_length};
use std::sync::Arc;
use std::time::Duration;
use storage::store::Store;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// Bytes of frames of one session that came and were not worked off: a window of usual frames, or
/// the largest while another is worked off. Then reading stops, and the peer has to wait.
const INBOX_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;
/// What the smallest frame counts, so that many of them are bounded too.
const FRAME_ROOM_MIN: usize = 1 << 10;
/// How long frames may take: the slowest link that is of use brings 8 KiB in a second.
pub(super) const PACE: Pace = Pace {
    time_min: Duration::from_secs(10),
    bytes_per_second_min: 8 << 10,
};
/// What is set aside for a frame before its bytes come.
const CHUNK_BYTES: usize = 16 << 10;
/// How long a frame may take to be written before the peer counts as gone.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// How long a frame may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// From its first byte on, however short it is.
    pub(super) time_min: Duration,
    /// What a long one may take longer.
    pub(super) bytes_per_second_min: usize,
}

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

/// A frame, with the room it takes until it is worked off.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

impl Received {
    /// Returns the message and makes room for the next.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        drop(self.room);
        self.bytes
    }
}

/// Why reading ended although the stream did not: what a peer did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Misread {
    #[error("a frame over the limit")]
    TooLong,
    #[error("a frame that came too slowly")]
    TooSlow,
}

/// Reads frames until the stream ends or one is against the rules, which is the last thing sent.
///
/// Memory follows what has come, not what was announced, and is bounded for all frames that wait.
pub(super) async fn read_all(
    mut reader: impl AsyncRead + Unpin,
    frames: mpsc::Sender<Result<Received, Misread>>,
    pace: Pace,
) {
    let room = Arc::new(Semaphore::new(INBOX_BYTES_MAX));
    loop {
        let read = read_frame(&mut reader, &room, pace).await;
        let is_last = !matches!(read, Some(Ok(_)));
        if let Some(read) = read
            && frames.send(read).await.is_err()
        {
            return;
        }
        if is_last {
            return;
        }
    }
}

/// Reads one frame; none if the stream ended.
async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
    room: &Arc<Semaphore>,
    pace: Pace,
) -> Option<Result<Received, Misread>> {
    let mut header = [0; FRAME_HEADER_BYTES];
    let (first, rest) = header.split_at_mut(1);
    // A live session may be silent for hours; a frame that began may not.
    reader.read_exact(first).await.ok()?;
    match tokio::time::timeout(pace.time_min, reader.read_exact(rest)).await {
        Ok(read) => read.ok()?,
        Err(_) => return Some(Err(Misread::TooSlow)),
    }
    let Some(length) = frame_length(header) else {
        return Some(Err(Misread::TooLong));
    };
    let permits = u32::try_from(length.max(FRAME_ROOM_MIN)).ok()?;
    let room = Arc::clone(room).acquire_many_owned(permits).await.ok()?;
    let mut bytes = Vec::with_capacity(length.min(CHUNK_BYTES));
    let mut body = reader.take(length as u64);
    let slow = Duration::from_secs((length / pace.bytes_per_second_min) as u64);
    match tokio::time::timeout(pace.time_min + slow, body.read_to_end(&mut bytes)).await {
        Ok(read) => read.ok()?,
        Err(_) => return Some(Err(Misread::TooSlow)),
    };
    (bytes.len() == length).then_some(Ok(Received { bytes, room }))
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
pub(super) mod tests {
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
    use storage::entropy::Entropy;
    use storage::kv::memory::MemoryStore;
    use storage::kv::sealed::Sealed;
    use storage::store::query::Frontier;
    use storage::store::{Owner, Parts, StoreError};
    use storage::tx::{ShareError, WriteError};
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

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

    pub(in crate::sync) fn node(seed: u8, text: &std::path::Path) -> Arc<Store> {
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
        let parts = Parts {
            kv,
            master: &master,
            owner,
            guard: Arc::new(storage::screen::open::Open),
            text,
            model: ("none", 4),
            entropy: Entropy::system(),
        };
        Arc::new(Store::open(parts, clock::now()).unwrap())
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
    pub(in crate::sync) fn shared(owner: &Store, other: &Store) -> GrantId {
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

    fn announced(length: usize) -> Vec<u8> {
        u32::try_from(length).unwrap().to_le_bytes().to_vec()
    }

    async fn first(wire: impl AsyncRead + Unpin, pace: Pace) -> Option<Result<Received, Misread>> {
        let (sender, mut frames) = mpsc::channel(8);
        let read = tokio::time::timeout(Duration::from_secs(20), read_all(wire, sender, pace));
        let (_, first) = futures::join!(read, frames.recv());
        first
    }

    #[tokio::test]
    async fn frames_that_are_too_long_or_too_slow_are_against_the_rules() {
        let long = announced(FRAME_BYTES_MAX + 1);
        let misread = first(long.as_slice(), PACE).await.unwrap().unwrap_err();
        assert_eq!(misread, Misread::TooLong);
        let hurried = Pace {
            time_min: Duration::from_millis(20),
            bytes_per_second_min: FRAME_BYTES_MAX * 2,
        };
        // Begun and not ended: in the header, and in the body.
        for begun in [vec![0; 2], [announced(9), vec![0; 8]].concat()] {
            let (wire, other) = tokio::io::duplex(64);
            let (mut wire, mut other) = (wire.compat(), other.compat());
            other.write_all(&begun).await.unwrap();
            other.flush().await.unwrap();
            let misread = first(&mut wire, hurried).await.unwrap().unwrap_err();
            assert_eq!(misread, Misread::TooSlow);
        }
        let whole = [announced(3), vec![1, 2, 3]].concat();
        let read = first(whole.as_slice(), hurried).await.unwrap().unwrap();
        assert_eq!(read.into_bytes(), [1, 2, 3]);
        let cut = [announced(3), vec![1]].concat();
        assert!(first(cut.as_slice(), hurried).await.is_none(), "no fault");
    }

    #[tokio::test]
    async fn reading_stops_while_frames_wait_to_be_worked_off() {
        let frame = [announced(FRAME_BYTES_MAX), vec![0; FRAME_BYTES_MAX]].concat();
        let wire = frame.repeat(4);
        let (sender, mut frames) = mpsc::channel(64);
        let mut read = Box::pin(read_all(wire.as_slice(), sender, PACE));
        let waits = tokio::time::timeout(Duration::from_millis(100), &mut read).await;
        assert!(waits.is_err() && frames.len() == 2, "{}", frames.len());
        drop(frames.recv().await);
        let waits = tokio::time::timeout(Duration::from_millis(100), &mut read).await;
        assert!(waits.is_err() && frames.len() == 2, "one more came");
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
