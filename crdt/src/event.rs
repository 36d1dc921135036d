//! Events: the only way anything changes.
//!
//! An event is a [`Header`] and a body, signed by the author's device and addressed by the hash
//! of its canonical bytes. Events of one author line up in a [`Feed`]: contiguous numbers, each
//! naming the event before it. A feed belongs to one memory, to one pair of persons, or to the
//! author's own devices, so that a peer who may see one feed learns nothing of the others, not
//! even from a gap in the numbers.
//!
//! ```text
//! Draft --sign--> Signed<Event> --admit::admit--> Verified<Event> --> the log
//! bytes --decode--> Signed<Event>
//! ```
//!
//! Layout, all integers little-endian: version (2 if the sealed body is packed, otherwise 1), kind,
//! author, incarnation, person, owner, feed, number, previous, time, parents, authority, epoch,
//! commitment, body, signature. The id is the hash of everything before the signature; the
//! signature covers the id.
//!
//! Invariant: a [`Signed`] holds the very bytes that were read or made; nothing is re-encoded.

pub mod admit;
pub mod adopt;
pub mod body;
pub mod fork;

use crate::codec::{Canonical, DecodeError, Reader, Writer, ascending};
use crate::envelope::pack::{Packing, pack, unpack};
use crate::envelope::{ContentKey, Epoch, OpenError};
use crate::hash::Hash;
use crate::id::{DeviceId, EventId, MemoryId, PersonId};
use crate::identity::{DeviceKey, SIGNATURE_BYTES, verify};
use crate::time::Hybrid;
use rand_core::CryptoRng;

/// The version of the event layout.
pub const VERSION: u8 = 1;
/// The version of the event layout if the body is packed under its seal.
pub const VERSION_PACKED: u8 = 2;
/// The most parents an event can name.
pub const PARENTS_MAX: usize = 16;
/// The most authority heads an event can name.
pub const AUTHORITY_HEADS_MAX: usize = 8;
/// The largest body, in bytes, as it travels and unpacked.
pub const BODY_BYTES_MAX: usize = 1 << 19;

const ID_DOMAIN: &str = "second-brain 2026 v1 event id";
const SIGNATURE_DOMAIN: &str = "second-brain 2026 v1 event signature";

/// A random name for one uninterrupted writer: a restored backup takes a new one before it
/// writes, so it can never reuse a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What an event does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Canonical for Kind {
            fn encode(&self, out: &mut Writer) {
                out.u8(*self as u8);
            }
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match input.u8("event kind")? {
                    $($number => Ok(Self::$name),)*
                    found => Err(DecodeError::Unknown { what: "event kind", found }),
                }
            }
        }
    };
}

kinds! {
    /// Opens a memory; the sealed body is its whole content.
    Root = 1,
    /// Changes a memory; the sealed body is an Automerge change.
    Change = 2,
    /// Changes the holder's private side of a memory; for the person's own devices only.
    Sidecar = 3,
    /// Destroys a memory: keys and readable bytes go, the chain stays.
    Purge = 4,
    /// Carries the certificate of a device.
    Device = 16,
    /// Retires a device.
    Retirement = 17,
    /// Changes a circle of the author's.
    Circle = 19,
    /// Puts a consent policy in force, as text.
    Policy = 18,
    /// Says yes or no for memories that wait for the person's word.
    Approval = 20,
    /// Brings keys to the person's own devices.
    Keyring = 21,
    /// Says how a peer stands, to the person's own devices.
    Peering = 22,
    /// Names a device.
    DeviceName = 23,
    /// Offers a grant.
    Offer = 32,
    /// Accepts a grant.
    Acceptance = 33,
    /// Declines a grant.
    Decline = 34,
    /// Revokes a grant.
    Revocation = 35,
    /// Wraps the scope key of a grant to the grantee's devices.
    Keys = 36,
    /// Names memories that left a grant's view, or came back.
    Scope = 37,
    /// Vouches for someone else's device as a writer of the owner's memories.
    Writer = 38,
    /// Moves the end of a grant.
    Renewal = 39,
    /// Answers a revocation that asks for a purge.
    Receipt = 40,
    /// Gives memories of a grant back.
    Return = 41,
    /// Hands the scope key of a grant back to a device that its owner certified later.
    Handback = 25,
}

impl Kind {
    /// Tells whether the body is sealed under a content key.
    pub fn is_sealed(self) -> bool {
        matches!(self, Self::Root | Self::Change | Self::Sidecar)
    }
}

/// The line of events that an event continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// A new memory; the event's own id becomes the memory's.
    Root,
    /// The shared side of a memory.
    Memory(MemoryId),
    /// The private side of a memory.
    Sidecar(MemoryId),
    /// Consent between the author's person and another one.
    Pair(PersonId),
    /// The author's person alone: their devices.
    Own,
}

impl Feed {
    /// Returns a name that tells nothing to those who do not know the feed.
    pub fn name(&self) -> Hash {
        Hash::of("second-brain 2026 v1 feed name", &[&self.to_bytes()])
    }
}

impl Canonical for Feed {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Root => out.u8(0),
            Self::Memory(memory) => {
                out.u8(1);
                memory.encode(out);
            }
            Self::Sidecar(memory) => {
                out.u8(2);
                memory.encode(out);
            }
            Self::Pair(person) => {
                out.u8(3);
                person.encode(out);
            }
            Self::Own => out.u8(4),
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("feed")? {
            0 => Ok(Self::Root),
            1 => MemoryId::decode(input).map(Self::Memory),
            2 => MemoryId::decode(input).map(Self::Sidecar),
            3 => PersonId::decode(input).map(Self::Pair),
            4 => Ok(Self::Own),
            found => Err(DecodeError::Unknown {
                what: "feed",
                found,
            }),
        }
    }
}

/// Everything about an event but its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What it does.
    pub kind: Kind,
    /// The device that signs.
    pub author: DeviceId,
    /// The writer on that device.
    pub incarnation: Incarnation,
    /// The person the device speaks for.
    pub person: PersonId,
    /// The owner of the memory, or the person whose authority it is about.
    pub owner: PersonId,
    /// The line it continues.
    pub feed: Feed,
    /// Its number in that line, from 0.
    pub number: u64,
    /// The event before it in that line.
    pub previous: Option<EventId>,
    /// When, in hybrid logical time; never decides what is admitted.
    pub time: Hybrid,
    /// The events it builds on, ascending.
    pub parents: Vec<EventId>,
    /// The consent that its author knew, blinded per memory, ascending.
    pub authority: Vec<Hash>,
    /// The generation of the content key.
    pub epoch: Epoch,
    /// The commitment to the content key, if the body is sealed.
    pub commitment: Option<Hash>,
    /// How the body is written under its seal.
    pub packing: Packing,
}

impl Canonical for Header {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self.packing {
            Packing::Plain => VERSION,
            Packing::Deflate => VERSION_PACKED,
        });
        self.kind.encode(out);
        self.author.encode(out);
        out.raw(&self.incarnation.0);
        self.person.encode(out);
        self.owner.encode(out);
        self.feed.encode(out);
        out.u64(self.number);
        out.option(self.previous.as_ref(), |out, id| id.encode(out));
        self.time.encode(out);
        out.list(&self.parents);
        out.list(&self.authority);
        self.epoch.encode(out);
        out.option(self.commitment.as_ref(), |out, hash| hash.encode(out));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = input.u8("event version")?;
        let kind = Kind::decode(input)?;
        let packing = match found {
            VERSION => Packing::Plain,
            VERSION_PACKED if kind.is_sealed() => Packing::Deflate,
            found => {
                return Err(DecodeError::Unknown {
                    what: "event version",
                    found,
                });
            }
        };
        let header = Self {
            kind,
            author: DeviceId::decode(input)?,
            incarnation: Incarnation(input.array("incarnation")?),
            person: PersonId::decode(input)?,
            owner: PersonId::decode(input)?,
            feed: Feed::decode(input)?,
            number: input.u64("number")?,
            previous: input.option("previous", EventId::decode)?,
            time: Hybrid::decode(input)?,
            parents: input.list(PARENTS_MAX, "parents")?,
            authority: input.list(AUTHORITY_HEADS_MAX, "authority heads")?,
            epoch: Epoch::decode(input)?,
            commitment: input.option("commitment", Hash::decode)?,
            packing,
        };
        ascending(&header.parents, "parents")?;
        ascending(&header.authority, "authority heads")?;
        Ok(header)
    }
}

/// A header and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Everything but the body.
    pub header: Header,
    /// Sealed bytes for a memory's events, a canonical record for the others.
    pub body: Vec<u8>,
}

impl Event {
    /// Packs and seals a body under a content key; sets the header's commitment and packing.
    pub fn sealed(
        mut header: Header,
        body: &[u8],
        key: &ContentKey,
        rng: &mut impl CryptoRng,
    ) -> Self {
        header.commitment = Some(key.commitment());
        let packed = pack(body).filter(|_| body.len() <= BODY_BYTES_MAX);
        header.packing = packed.as_ref().map_or(Packing::Plain, |_| Packing::Deflate);
        let body = key.seal(&header.to_bytes(), packed.as_deref().unwrap_or(body), rng);
        Self { header, body }
    }

    /// Opens the body with the content key of its epoch.
    pub fn open(&self, key: &ContentKey) -> Result<Vec<u8>, OpenError> {
        let commitment = self.header.commitment.ok_or(OpenError::NotAuthentic)?;
        let body = key.open(&self.header.to_bytes(), &commitment, &self.body)?;
        match self.header.packing {
            Packing::Plain => Ok(body),
            Packing::Deflate => Ok(unpack(&body, BODY_BYTES_MAX)?),
        }
    }

    /// Signs the event with the device it names as author.
    pub fn sign(self, device: &DeviceKey) -> Signed<Self> {
        let mut out = Writer::default();
        self.header.encode(&mut out);
        out.bytes(&self.body);
        let id = event_id(out.as_slice());
        let hash = signature_hash(id);
        let signature = device.sign(&hash);
        out.raw(&signature);
        Signed {
            is_checked: self.header.author == device.id() && device.has_signed(&hash, &signature),
            value: self,
            id,
            bytes: out.into_bytes(),
        }
    }
}

fn event_id(unsigned: &[u8]) -> EventId {
    Hash::of(ID_DOMAIN, &[unsigned]).into()
}

fn signature_hash(id: EventId) -> Hash {
    Hash::of(SIGNATURE_DOMAIN, &[id.as_bytes()])
}

/// A value with its signature and its very bytes; the signature has not been checked but by the
/// device that made it.
#[derive(Debug, Clone)]
pub struct Signed<T> {
    value: T,
    id: EventId,
    bytes: Vec<u8>,
    /// Whether the author checked it, with the very key that it is checked by.
    is_checked: bool,
}

impl<T> PartialEq for Signed<T> {
    /// The bytes say everything.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Signed<T> {}

impl Signed<Event> {
    /// Reads an event; the bytes are kept as they are.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let header = Header::decode(&mut input)?;
        let body = input.bytes(BODY_BYTES_MAX, "body")?.to_vec();
        let unsigned = bytes.len() - input.remaining();
        let _signature: [u8; SIGNATURE_BYTES] = input.array("signature")?;
        input.finish()?;
        let id = event_id(bytes.get(..unsigned).unwrap_or_default());
        Ok(Self {
            value: Event { header, body },
            id,
            bytes: bytes.to_vec(),
            is_checked: false,
        })
    }

    /// Returns the event's id.
    pub fn id(&self) -> EventId {
        self.id
    }
    /// Returns the bytes that were signed, with the signature.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Returns the header.
    pub fn header(&self) -> &Header {
        &self.value.header
    }
    /// Returns the event.
    pub fn event(&self) -> &Event {
        &self.value
    }
    /// Returns the memory that the event belongs to, on either side.
    pub fn memory(&self) -> Option<MemoryId> {
        match self.value.header.feed {
            Feed::Root => Some(self.id.as_memory()),
            Feed::Memory(memory) | Feed::Sidecar(memory) => Some(memory),
            Feed::Pair(_) | Feed::Own => None,
        }
    }
    /// Returns the line that the author's next event continues: a root opens its memory's.
    pub fn feed(&self) -> Feed {
        match self.value.header.feed {
            Feed::Root => Feed::Memory(self.id.as_memory()),
            feed => feed,
        }
    }
    /// Tells whether the device that the event names as author signed it.
    pub fn signature_holds(&self) -> bool {
        let at = self.bytes.len().saturating_sub(SIGNATURE_BYTES);
        let signature = || self.bytes.get(at..)?.try_into().ok();
        let author = &self.value.header.author.0;
        self.is_checked
            || signature()
                .is_some_and(|signature| verify(author, &signature_hash(self.id), signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Entropy;
    use proptest::prelude::*;

    fn root(seed: u8) -> (Signed<Event>, ContentKey, DeviceKey) {
        let device = DeviceKey::from_seed(&[seed; 32]);
        let rng = &mut Entropy::new(seed.into());
        let key = ContentKey::random(rng);
        let header = Header {
            kind: Kind::Root,
            author: device.id(),
            incarnation: Incarnation([1; 16]),
            person: PersonId([2; 32]),
            owner: PersonId([2; 32]),
            feed: Feed::Root,
            number: 0,
            previous: None,
            time: Hybrid(9 << 16),
            parents: vec![],
            authority: vec![],
            epoch: Epoch(0),
            commitment: None,
            packing: Packing::Plain,
        };
        (
            Event::sealed(header, b"content", &key, rng).sign(&device),
            key,
            device,
        )
    }

    #[test]
    fn an_event_reads_as_the_bytes_that_were_signed() {
        let (event, key, _) = root(1);
        let read = Signed::from_bytes(event.bytes()).expect("reads");
        assert_eq!(read, event);
        assert!(read.signature_holds());
        assert_eq!(read.event().open(&key), Ok(b"content".to_vec()));
    }

    #[test]
    fn only_the_author_vouches_for_a_signature() {
        let (event, ..) = root(5);
        let stranger = DeviceKey::from_seed(&[6; 32]);
        let forged = event.event().clone().sign(&stranger);
        assert!(!forged.signature_holds(), "another device signed it");
        let (hash, other) = (signature_hash(event.id()), signature_hash(forged.id()));
        let signature = stranger.sign(&hash);
        assert!(stranger.has_signed(&hash, &signature));
        let mut wrong = signature;
        wrong[0] ^= 1;
        assert!(!stranger.has_signed(&hash, &wrong));
        assert_eq!(hash, other, "the same words, whoever signs them");
    }

    #[test]
    fn a_long_body_is_packed_and_only_a_sealed_one_can_be() {
        let (event, key, device) = root(4);
        let body = b"the same words again and again, ".repeat(20);
        let header = event.header().clone();
        let packed = Event::sealed(header, &body, &key, &mut Entropy::new(4)).sign(&device);
        assert!(
            packed.bytes().len() < body.len(),
            "packed before it was sealed"
        );
        let read = Signed::from_bytes(packed.bytes()).expect("reads");
        assert_eq!(read.header().packing, Packing::Deflate);
        assert_eq!(read.event().open(&key), Ok(body));
        let mut bytes = packed.bytes().to_vec();
        bytes[1] = Kind::Offer as u8;
        assert!(Signed::from_bytes(&bytes).is_err());
    }

    #[test]
    fn no_changed_byte_keeps_both_id_and_signature() {
        let (event, ..) = root(2);
        for at in 0..event.bytes().len() {
            let mut changed = event.bytes().to_vec();
            changed[at] ^= 1;
            if let Ok(read) = Signed::from_bytes(&changed) {
                assert!(
                    !read.signature_holds(),
                    "byte {at} changed and nobody noticed"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_decodes_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(header) = Header::from_bytes(&bytes) {
                prop_assert_eq!(header.to_bytes(), bytes);
            }
        }
        #[test]
        fn mutants_that_decode_re_encode_to_themselves(at in 0_usize..300, byte in any::<u8>()) {
            let (event, ..) = root(3);
            let mut bytes = event.bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(read) = Signed::from_bytes(&bytes) {
                let mut out = Writer::default();
                read.header().encode(&mut out);
                out.bytes(&read.event().body);
                prop_assert!(bytes.starts_with(&out.into_bytes()));
            }
        }
    }
}
