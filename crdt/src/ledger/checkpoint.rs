//! A checkpoint: what a peer witnesses of a ledger, signed by the device that keeps the ledger.
//!
//! It says how the *line* to the witness stands, which holds only what the witness was sent, and
//! carries a [`Note`]: how the whole ledger stands, sealed under a key that only the signing
//! device has. The note has one length whatever it says and another nonce each time, so a witness
//! learns nothing about what goes to others, not even whether anything does. Whoever signed can
//! open it again when the witness shows it, even if the whole store was lost meanwhile.
//!
//! Invariant: a note opens only with the key of the device that signed the checkpoint, and only as
//! part of the line it was made for.

use super::tree::Tree;
use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::envelope::{ContentKey, OVERHEAD_BYTES};
use crate::hash::Hash;
use crate::id::{DeviceId, PersonId};
use crate::identity::{DeviceKey, SIGNATURE_BYTES, verify};
use crate::time::Timestamp;
use rand_core::CryptoRng;

const DOMAIN: &str = "second-brain 2026 v1 ledger checkpoint";
const NOTE_KEY: &str = "second-brain 2026 v1 ledger note key";
const NOTE_PLAIN_BYTES: usize = 8 + 32 + 8;
/// The length of every sealed note.
pub const NOTE_BYTES: usize = NOTE_PLAIN_BYTES + OVERHEAD_BYTES;

/// How the whole ledger stood when a checkpoint was made; for its owner's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// How many entries it had.
    pub entries: u64,
    /// The root over them.
    pub root: Hash,
    /// The number of the last event in the log: an older copy of a whole store shows in it.
    pub log: u64,
}

/// How a line stands, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose ledger it is.
    pub person: PersonId,
    /// The device that keeps and signs it.
    pub device: DeviceId,
    /// To whom the line goes: who witnesses it.
    pub to: PersonId,
    /// How many entries the line has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// When it was made; for display.
    pub time: Timestamp,
    note: [u8; NOTE_BYTES],
    signature: [u8; SIGNATURE_BYTES],
}

fn note_key(device: &DeviceKey) -> ContentKey {
    let key = blake3::derive_key(NOTE_KEY, device.transport_secret());
    ContentKey::from_bytes(key)
}

impl Checkpoint {
    /// Makes and signs the checkpoint of a line.
    pub fn sign(
        line: &Tree,
        (person, to): (PersonId, PersonId),
        note: &Note,
        time: Timestamp,
        device: &DeviceKey,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut checkpoint = Self {
            person,
            device: device.id(),
            to,
            size: line.size(),
            root: line.root(),
            time,
            note: [0; NOTE_BYTES],
            signature: [0; SIGNATURE_BYTES],
        };
        let sealed = note_key(device).seal(&checkpoint.context(), &note.to_bytes(), rng);
        if let Ok(sealed) = sealed.try_into() {
            checkpoint.note = sealed;
        }
        checkpoint.signature = device.sign(&checkpoint.signed_hash());
        checkpoint
    }
    /// Tells whether the device it names signed it.
    pub fn is_genuine(&self) -> bool {
        verify(&self.device.0, &self.signed_hash(), &self.signature)
    }
    /// Opens the note, if this device made it.
    pub fn note(&self, device: &DeviceKey) -> Option<Note> {
        let key = note_key(device);
        let plain = key.open(&self.context(), &key.commitment(), &self.note);
        Note::from_bytes(&plain.ok()?).ok()
    }
    fn context(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(NOTE_KEY);
        self.person.encode(&mut out);
        self.device.encode(&mut out);
        self.to.encode(&mut out);
        out.u64(self.size);
        self.root.encode(&mut out);
        out.into_bytes()
    }
    fn write_signed(&self, out: &mut Writer) {
        self.person.encode(out);
        self.device.encode(out);
        self.to.encode(out);
        out.u64(self.size);
        self.root.encode(out);
        self.time.encode(out);
        out.raw(&self.note);
    }
    fn signed_hash(&self) -> Hash {
        let mut out = Writer::default();
        self.write_signed(&mut out);
        Hash::of(DOMAIN, &[&out.into_bytes()])
    }
}

impl Canonical for Note {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.entries);
        self.root.encode(out);
        out.u64(self.log);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            entries: input.u64("entries")?,
            root: Hash::decode(input)?,
            log: input.u64("log")?,
        })
    }
}

impl Canonical for Checkpoint {
    fn encode(&self, out: &mut Writer) {
        self.write_signed(out);
        out.raw(&self.signature);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            person: PersonId::decode(input)?,
            device: DeviceId::decode(input)?,
            to: PersonId::decode(input)?,
            size: input.u64("size")?,
            root: Hash::decode(input)?,
            time: Timestamp::decode(input)?,
            note: input.array("note")?,
            signature: input.array("signature")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Entropy;

    fn made(entries: u64, rng: &mut Entropy) -> (Checkpoint, Note, DeviceKey) {
        let device = DeviceKey::from_seed(&[7; 32]);
        let mut line = Tree::default();
        line.push(b"one");
        let note = Note {
            entries,
            root: Hash([9; 32]),
            log: 4,
        };
        let pair = (PersonId([1; 32]), PersonId([2; 32]));
        let made = Checkpoint::sign(&line, pair, &note, Timestamp(5), &device, rng);
        (made, note, device)
    }

    #[test]
    fn a_checkpoint_is_bound_to_all_it_says() {
        let (made, note, device) = made(1, &mut Entropy::new(1));
        assert!(made.is_genuine());
        assert_eq!(made.note(&device), Some(note));
        let bytes = made.to_bytes();
        assert_eq!(Checkpoint::from_bytes(&bytes), Ok(made));
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            let read = Checkpoint::from_bytes(&bent).expect("any bytes of this length read");
            assert!(!read.is_genuine(), "byte {at} changed");
        }
    }

    #[test]
    fn a_witness_cannot_tell_how_much_goes_to_others() {
        let mut rng = Entropy::new(2);
        let (one, ..) = made(1, &mut rng);
        let (same, ..) = made(1, &mut rng);
        let (many, _, device) = made(u64::MAX, &mut rng);
        assert_eq!(one.to_bytes().len(), many.to_bytes().len());
        assert_ne!(one.note, same.note, "nor whether anything does");
        assert_ne!(one.note, many.note);
        let stranger = DeviceKey::from_seed(&[8; 32]);
        assert_eq!(many.note(&stranger), None);
        let mut moved = one;
        moved.note = many.note;
        moved.size += 1;
        assert_eq!(moved.note(&device), None, "a note belongs to its line");
    }
}
