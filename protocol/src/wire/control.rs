//! Control: everything a session says by itself. No variant holds what is in a memory.

use crate::limits::{
    ALIAS_BYTES_MAX, CONSENT_EVENTS_MAX, FRAME_BYTES_MAX, FRAME_EVENTS_MAX, FRONTIER_FEEDS_MAX,
    RECONCILE_BYTES_MAX, WANT_MAX,
};
use crate::reconcile::Blinded;
use crate::ticket::{read_addresses, write_addresses};
use crate::trace::TraceContext;
use crate::view::Summary;
use crate::wire::brief::{Again, Digest, Recent, Topic};
use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::event::Incarnation;
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId};
use crdt::identity::DeviceCertificate;
use crdt::ledger::Checkpoint;
use crdt::ledger::tree::PROOF_MAX;

/// Who is speaking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The oldest session version it understands.
    pub version_min: u16,
    /// The newest session version it understands.
    pub version_max: u16,
    /// Its device, certified by its person.
    pub certificate: DeviceCertificate,
    /// Its half of the session's salt.
    pub nonce: [u8; 16],
    /// What it calls itself.
    pub alias: String,
    /// Where it can be reached.
    pub addresses: Vec<String>,
    /// The secret of a ticket, from a stranger.
    pub ticket: Option<[u8; 16]>,
}

/// Why a greeting was not answered. Without a ticket there is one answer only, so that a
/// stranger, a blocked and a revoked person cannot tell which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBecause {
    /// Nothing is said.
    NotPaired = 0,
    /// No session version is understood by both.
    Version = 1,
    /// Nobody knows this ticket.
    TicketUnknown = 2,
    /// Someone else used this ticket.
    TicketUsed = 3,
    /// The ticket is past its time.
    TicketExpired = 4,
}

/// How far a feed of consent events is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedTip {
    /// The device.
    pub author: DeviceId,
    /// The writer on it.
    pub incarnation: Incarnation,
    /// The name of the feed: two persons share one for each direction, the devices of one person
    /// all.
    pub feed: Hash,
    /// How many of its events are known.
    pub next: u64,
}

/// An event that the receiver did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEvent {
    /// The event.
    pub event: EventId,
    /// The name of the reason.
    pub code: String,
}

/// A message about the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Greets.
    Hello(Box<Hello>),
    /// Does not answer a greeting.
    Refused(RefusedBecause),
    /// Tells which consent events of the pair are known.
    Frontier(Vec<FeedTip>),
    /// Carries consent events of the pair; the last message of a batch says so.
    Consent {
        /// Signed bytes.
        events: Vec<Vec<u8>>,
        /// Whether more follow at once.
        last: bool,
    },
    /// Tells count and fingerprint of the view.
    Proof {
        /// The view as it stands.
        summary: Summary,
        /// Whether the same is asked of the other side.
        wants_answer: bool,
    },
    /// Carries a reconciliation message.
    Reconcile {
        /// Whether the initiator starts a new run with it.
        first: bool,
        /// The engine's bytes.
        bytes: Vec<u8>,
    },
    /// Asks for items.
    Want(Vec<Blinded>),
    /// Answers a content frame once all of it is durable.
    Stored {
        /// Events that are in the log now.
        stored: u32,
        /// Events that are not, and why.
        refused: Vec<RefusedEvent>,
    },
    /// Tells the number of wanted items that will not come.
    Withheld(u32),
    /// Ends the session.
    Bye,
    /// Shows the checkpoint of the receiver's ledger that the sender last held; none if it holds
    /// none.
    Echo(Option<Box<Checkpoint>>),
    /// Shows how the sender's line to the receiver stands, with the proof that it continues what
    /// the receiver held.
    Checkpoint {
        /// The line, signed.
        checkpoint: Box<Checkpoint>,
        /// The consistency proof.
        proof: Vec<Hash>,
    },
    /// Makes a machine that showed a ticket one of the inviter's own devices.
    Enrolled(Box<Enrolled>),
    /// Greets a peer that knows the rest from an earlier session.
    Again(Again),
    /// Asks for what the other side said by its digest only.
    Tell(Topic),
    /// Tells by a digest which consent events of the pair are known.
    FrontierIs(Digest),
    /// Shows by a digest which checkpoint of the receiver's ledger the sender last held.
    EchoIs(Digest),
    /// The initiator starts a new run over what is new since both sides were equal.
    Recent(Recent),
    /// Tells by a digest how the view stands: as it did when both sides were last equal.
    ProofIs(Digest),
    /// Says that trace contexts are taken; or names the step that the next content frame is of, to
    /// whoever said so.
    Trace(Option<TraceContext>),
}

/// What a machine gets that becomes one of a person's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Its certificate, by the person's root.
    pub certificate: DeviceCertificate,
    /// The certificate of the device that lets it in.
    pub host: DeviceCertificate,
}

/// Writes the oldest and the newest session version that is understood.
fn write_versions(out: &mut Writer, (oldest, newest): (u16, u16)) {
    out.u32(u32::from(oldest) << 16 | u32::from(newest));
}

fn read_versions(input: &mut Reader<'_>) -> Result<(u16, u16), DecodeError> {
    let [max_low, max_high, min_low, min_high] = input.array("versions")?;
    let oldest = u16::from_le_bytes([min_low, min_high]);
    let newest = u16::from_le_bytes([max_low, max_high]);
    Ok((oldest, newest))
}

impl Canonical for Hello {
    fn encode(&self, out: &mut Writer) {
        write_versions(out, (self.version_min, self.version_max));
        self.certificate.encode(out);
        out.raw(&self.nonce);
        out.text(&self.alias);
        write_addresses(out, &self.addresses);
        out.option(self.ticket.as_ref(), |out, secret| out.raw(secret));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (version_min, version_max) = read_versions(input)?;
        Ok(Self {
            version_min,
            version_max,
            certificate: DeviceCertificate::decode(input)?,
            nonce: input.array("nonce")?,
            alias: input.text(ALIAS_BYTES_MAX, "alias")?,
            addresses: read_addresses(input)?,
            ticket: input.option("ticket", |input| input.array("ticket secret"))?,
        })
    }
}

impl Canonical for Enrolled {
    fn encode(&self, out: &mut Writer) {
        self.certificate.encode(out);
        self.host.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            certificate: DeviceCertificate::decode(input)?,
            host: DeviceCertificate::decode(input)?,
        })
    }
}

impl Canonical for FeedTip {
    fn encode(&self, out: &mut Writer) {
        self.author.encode(out);
        out.raw(&self.incarnation.0);
        self.feed.encode(out);
        out.u64(self.next);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            author: DeviceId::decode(input)?,
            incarnation: Incarnation(input.array("incarnation")?),
            feed: Hash::decode(input)?,
            next: input.u64("next")?,
        })
    }
}

impl Canonical for RefusedEvent {
    fn encode(&self, out: &mut Writer) {
        self.event.encode(out);
        out.text(&self.code);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            event: EventId::decode(input)?,
            code: input.text(64, "refusal")?,
        })
    }
}

impl Canonical for Summary {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.events);
        out.u64(self.items);
        self.fingerprint.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            events: input.u64("events")?,
            items: input.u64("items")?,
            fingerprint: Hash::decode(input)?,
        })
    }
}

impl Canonical for Control {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Hello(hello) => {
                out.u8(1);
                hello.encode(out);
            }
            Self::Refused(because) => {
                out.u8(2);
                out.u8(*because as u8);
            }
            Self::Frontier(tips) => {
                out.u8(3);
                out.list(tips);
            }
            Self::Consent { events, last } => {
                out.u8(4);
                out.length(events.len());
                for event in events {
                    out.bytes(event);
                }
                out.bool(*last);
            }
            Self::Proof {
                summary,
                wants_answer,
            } => {
                out.u8(5);
                summary.encode(out);
                out.bool(*wants_answer);
            }
            Self::Reconcile { first, bytes } => {
                out.u8(6);
                out.bool(*first);
                out.bytes(bytes);
            }
            Self::Want(ids) => {
                out.u8(7);
                out.length(ids.len());
                for id in ids {
                    out.raw(id);
                }
            }
            Self::Stored { stored, refused } => {
                out.u8(8);
                out.u32(*stored);
                out.list(refused);
            }
            Self::Withheld(count) => {
                out.u8(9);
                out.u32(*count);
            }
            Self::Bye => out.u8(10),
            Self::Echo(held) => {
                out.u8(11);
                out.option(held.as_ref(), |out, held| held.encode(out));
            }
            Self::Checkpoint { checkpoint, proof } => {
                out.u8(12);
                checkpoint.encode(out);
                out.list(proof);
            }
            Self::Enrolled(enrolled) => {
                out.u8(13);
                enrolled.encode(out);
            }
            brief => brief.encode_brief(out),
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8("message")? {
            1 => Self::Hello(Box::new(Hello::decode(input)?)),
            2 => Self::Refused(read_refused(input)?),
            3 => Self::Frontier(input.list(FRONTIER_FEEDS_MAX, "frontier")?),
            4 => {
                let count = input.length(CONSENT_EVENTS_MAX, "consent events")?;
                let events = (0..count)
                    .map(|_| {
                        input
                            .bytes(FRAME_BYTES_MAX, "consent event")
                            .map(<[u8]>::to_vec)
                    })
                    .collect::<Result<_, _>>()?;
                Self::Consent {
                    events,
                    last: input.bool("last")?,
                }
            }
            5 => Self::Proof {
                summary: Summary::decode(input)?,
                wants_answer: input.bool("wants answer")?,
            },
            6 => Self::Reconcile {
                first: input.bool("first")?,
                // The engine may exceed its limit by one range.
                bytes: input
                    .bytes(2 * RECONCILE_BYTES_MAX, "reconciliation")?
                    .to_vec(),
            },
            7 => {
                let count = input.length(WANT_MAX, "wanted ids")?;
                let ids = (0..count).map(|_| input.array("wanted id"));
                Self::Want(ids.collect::<Result<_, _>>()?)
            }
            8 => Self::Stored {
                stored: input.u32("stored")?,
                refused: input.list(FRAME_EVENTS_MAX, "refused events")?,
            },
            9 => Self::Withheld(input.u32("withheld")?),
            10 => Self::Bye,
            11 => {
                let held = input.option("held checkpoint", Checkpoint::decode)?;
                Self::Echo(held.map(Box::new))
            }
            12 => Self::Checkpoint {
                checkpoint: Box::new(Checkpoint::decode(input)?),
                proof: input.list(PROOF_MAX, "consistency proof")?,
            },
            13 => Self::Enrolled(Box::new(Enrolled::decode(input)?)),
            tag => Self::decode_brief(tag, input)?,
        })
    }
}

impl Control {
    /// Writes what session versions 3 and 4 brought.
    fn encode_brief(&self, out: &mut Writer) {
        match self {
            Self::Again(again) => {
                out.u8(14);
                again.encode(out);
            }
            Self::Tell(topic) => {
                out.u8(15);
                topic.encode(out);
            }
            Self::FrontierIs(digest) => {
                out.u8(16);
                digest.encode(out);
            }
            Self::EchoIs(digest) => {
                out.u8(17);
                digest.encode(out);
            }
            Self::Recent(recent) => {
                out.u8(18);
                recent.encode(out);
            }
            Self::ProofIs(digest) => {
                out.u8(19);
                digest.encode(out);
            }
            Self::Trace(step) => {
                out.u8(20);
                out.option(step.as_ref(), |out, step| step.encode(out));
            }
            _ => {}
        }
    }
    fn decode_brief(tag: u8, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match tag {
            14 => Self::Again(Again::decode(input)?),
            15 => Self::Tell(Topic::decode(input)?),
            16 => Self::FrontierIs(Digest::decode(input)?),
            17 => Self::EchoIs(Digest::decode(input)?),
            18 => Self::Recent(Recent::decode(input)?),
            19 => Self::ProofIs(Digest::decode(input)?),
            20 => Self::Trace(input.option("trace context", TraceContext::decode)?),
            found => {
                return Err(DecodeError::Unknown {
                    what: "message",
                    found,
                });
            }
        })
    }
}

fn read_refused(input: &mut Reader<'_>) -> Result<RefusedBecause, DecodeError> {
    Ok(match input.u8("refusal")? {
        0 => RefusedBecause::NotPaired,
        1 => RefusedBecause::Version,
        2 => RefusedBecause::TicketUnknown,
        3 => RefusedBecause::TicketUsed,
        4 => RefusedBecause::TicketExpired,
        found => {
            return Err(DecodeError::Unknown {
                what: "refusal",
                found,
            });
        }
    })
}
