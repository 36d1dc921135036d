//! Brief messages (session version 3): a digest of what the peer may know already, in place of it.
//!
//! Two nodes that met before and have nothing new to say need four of them each way. Whoever does
//! not recognise a digest asks for the whole with [`Topic`]; nothing is taken on a digest alone
//! that was not checked in full when it was first said.

use super::control::{FeedTip, Hello};
use crate::limits::RECONCILE_BYTES_MAX;
use crate::view::Summary;
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::hash::Hash;
use crdt::ledger::Checkpoint;

/// The first half of a hash: enough for nobody to find another message with the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    fn of(domain: &'static str, bytes: &[u8]) -> Self {
        let (half, _) = Hash::of(domain, &[bytes])
            .0
            .split_first_chunk()
            .map_or(([0; 16], &[][..]), |(half, rest)| (*half, rest));
        Self(half)
    }
    /// Names a greeting: all of it but what is drawn anew for each session.
    pub fn of_hello(hello: &Hello) -> Self {
        Self::of("second-brain 2026 v2 hello", &lasting(hello).to_bytes())
    }
    /// Names the greetings of both sides, as the speaker knows them.
    pub fn of_greetings(mine: &Hello, yours: &Hello) -> Self {
        let mut out = Writer::default();
        lasting(mine).encode(&mut out);
        lasting(yours).encode(&mut out);
        Self::of("second-brain 2026 v3 greetings", &out.into_bytes())
    }
    /// Names a view.
    pub fn of_view(summary: &Summary) -> Self {
        Self::of("second-brain 2026 v3 view", &summary.to_bytes())
    }
    /// Names how far consent events are known.
    pub fn of_frontier(tips: &[FeedTip]) -> Self {
        let mut tips = tips.to_vec();
        tips.sort_unstable();
        let mut out = Writer::default();
        out.list(&tips);
        Self::of("second-brain 2026 v2 frontier", &out.into_bytes())
    }
    /// Names what is held of a ledger; nothing has a name too.
    pub fn of_held(held: Option<&Checkpoint>) -> Self {
        let bytes = held.map(Canonical::to_bytes).unwrap_or_default();
        Self::of("second-brain 2026 v2 held", &bytes)
    }
}

fn lasting(hello: &Hello) -> Hello {
    Hello {
        nonce: [0; 16],
        ticket: None,
        ..hello.clone()
    }
}

/// Greets a peer that knows the greeting from an earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// The sender's half of the session's salt.
    pub nonce: [u8; 16],
    /// The sender's greeting, as it would be in full, and the receiver's, as the sender knows it.
    pub both: Digest,
}

/// What was said by its digest and is asked for in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The greeting.
    Hello = 0,
    /// What is held of the asking side's ledger.
    Held = 1,
    /// The view, in a reconciliation that began with what is new in it.
    Whole = 2,
    /// How the view stands.
    Proof = 3,
}

/// Begins a reconciliation over what is new, where both sides were equal once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// The time from which on items are compared.
    pub since: u64,
    /// The fingerprint of what is older.
    pub before: Hash,
    /// The engine's bytes.
    pub bytes: Vec<u8>,
}

impl Canonical for Digest {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.0);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array("digest")?))
    }
}

impl Canonical for Again {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.nonce);
        self.both.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            nonce: input.array("nonce")?,
            both: Digest::decode(input)?,
        })
    }
}

impl Canonical for Recent {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.since);
        self.before.encode(out);
        out.bytes(&self.bytes);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            since: input.u64("since")?,
            before: Hash::decode(input)?,
            bytes: input
                .bytes(2 * RECONCILE_BYTES_MAX, "reconciliation")?
                .to_vec(),
        })
    }
}

impl Canonical for Topic {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8("topic")? {
            0 => Ok(Self::Hello),
            1 => Ok(Self::Held),
            2 => Ok(Self::Whole),
            3 => Ok(Self::Proof),
            found => Err(DecodeError::Unknown {
                what: "topic",
                found,
            }),
        }
    }
}
