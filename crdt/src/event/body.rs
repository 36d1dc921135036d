//! The records inside the events that are not sealed: devices and consent.
//!
//! A sealed body is a [`crate::memory::Content`] (root), an Automerge change, or a
//! [`crate::sidecar::SidecarPatch`]; those have their own modules.

pub mod approval;
pub mod circle;
mod receipt;

pub use receipt::{Outcome, RETURN_MAX, Receipt, Return};
pub mod own;
pub mod policy;

use crate::codec::{Canonical, DecodeError, Reader, Writer, ascending};
use crate::envelope::wrap::Wrap;
use crate::event::Incarnation;
use crate::grant::Terms;
use crate::id::{DeviceId, EventId, GrantId, MemoryId, PersonId};
use crate::identity::DeviceCertificate;
use crate::time::Timestamp;

/// The longest reason a person can give for a revocation or a decline, in bytes.
pub const REASON_BYTES_MAX: usize = 1_024;
/// The longest selector, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 4_096;
/// The most cuts in one event; more of them go into further events.
pub const CUTS_MAX: usize = 4_096;
/// The most memories in one scope event.
pub const SCOPE_MAX: usize = 4_096;
/// The most devices a scope key is wrapped to in one event.
pub const WRAPS_MAX: usize = 64;

/// Opens a grant: who may see what, how, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The person it is for.
    pub grantee: PersonId,
    /// The selector over the owner's memories, in canonical text.
    pub selector: String,
    /// Access and terms.
    pub terms: Terms,
    /// The grant to the same person that this one takes the place of.
    pub supersedes: Option<GrantId>,
    /// Whether new matches of a selector that infers come in without the owner's word.
    pub live: bool,
}

/// Moves the end of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// The grant.
    pub grant: GrantId,
    /// When it ends by itself from now on.
    pub expires: Timestamp,
}

/// Answers a grant: the body of an acceptance and of a decline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The grant.
    pub grant: GrantId,
}

/// The last event of a writer in a memory that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// The device.
    pub device: DeviceId,
    /// The writer on it.
    pub incarnation: Incarnation,
    /// The memory.
    pub memory: MemoryId,
    /// The number of the last accepted event.
    pub number: u64,
    /// Its id.
    pub event: EventId,
}

/// Ends a grant for good. A writer and memory without a cut had nothing accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The grant.
    pub grant: GrantId,
    /// The last accepted events of the grantee's writers, ascending.
    pub cuts: Vec<Cut>,
    /// The revocation whose cuts did not all fit, if this only carries more of them.
    pub continues: Option<EventId>,
    /// What the owner says about it.
    pub reason: String,
    /// Whether the grantee is asked to purge what they hold under this grant only.
    pub purge: bool,
}

/// The scope key of a grant, wrapped to the grantee's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The grant.
    pub grant: GrantId,
    /// The generation of the scope key.
    pub epoch: u32,
    /// One wrap per device.
    pub wraps: Vec<Wrap>,
}

/// A memory that left the view of a grant, or came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    /// The memory.
    pub memory: MemoryId,
    /// Whether it is in the view from now on.
    pub included: bool,
}

/// Changes the set of memories that a grant selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The grant.
    pub grant: GrantId,
    /// The memories, ascending.
    pub memberships: Vec<Membership>,
}

/// Vouches for another person's device as a writer of the author's memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouch {
    /// The writer's certificate.
    pub certificate: DeviceCertificate,
    /// Once the writer lost access: more of the last events that count, ascending. They add to
    /// those that were named before.
    pub cuts: Option<Vec<Cut>>,
}

impl Canonical for Offer {
    fn encode(&self, out: &mut Writer) {
        self.grantee.encode(out);
        out.text(&self.selector);
        self.terms.encode(out);
        out.option(self.supersedes.as_ref(), |out, grant| grant.encode(out));
        out.bool(self.live);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grantee: PersonId::decode(input)?,
            selector: input.text(SELECTOR_BYTES_MAX, "selector")?,
            terms: Terms::decode(input)?,
            supersedes: input.option("superseded grant", GrantId::decode)?,
            live: input.bool("live")?,
        })
    }
}

impl Canonical for Renewal {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        self.expires.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
            expires: Timestamp::decode(input)?,
        })
    }
}

impl Canonical for Answer {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
        })
    }
}

impl Canonical for Cut {
    fn encode(&self, out: &mut Writer) {
        self.device.encode(out);
        out.raw(&self.incarnation.0);
        self.memory.encode(out);
        out.u64(self.number);
        self.event.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            device: DeviceId::decode(input)?,
            incarnation: Incarnation(input.array("incarnation")?),
            memory: MemoryId::decode(input)?,
            number: input.u64("number")?,
            event: EventId::decode(input)?,
        })
    }
}

fn read_cuts(input: &mut Reader<'_>) -> Result<Vec<Cut>, DecodeError> {
    let cuts = input.list(CUTS_MAX, "cuts")?;
    ascending(&cuts, "cuts")?;
    Ok(cuts)
}

impl Canonical for Revocation {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        out.list(&self.cuts);
        out.option(self.continues.as_ref(), |out, first| first.encode(out));
        out.text(&self.reason);
        out.bool(self.purge);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
            cuts: read_cuts(input)?,
            continues: input.option("continued revocation", EventId::decode)?,
            reason: input.text(REASON_BYTES_MAX, "reason")?,
            purge: input.bool("purge")?,
        })
    }
}

impl Canonical for Keys {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        out.u32(self.epoch);
        out.list(&self.wraps);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            grant: GrantId::decode(input)?,
            epoch: input.u32("scope key epoch")?,
            wraps: input.list(WRAPS_MAX, "wraps")?,
        })
    }
}

impl Canonical for Membership {
    fn encode(&self, out: &mut Writer) {
        self.memory.encode(out);
        out.bool(self.included);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            memory: MemoryId::decode(input)?,
            included: input.bool("included")?,
        })
    }
}

impl Canonical for Scope {
    fn encode(&self, out: &mut Writer) {
        self.grant.encode(out);
        out.list(&self.memberships);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let grant = GrantId::decode(input)?;
        let memberships: Vec<Membership> = input.list(SCOPE_MAX, "memberships")?;
        let by_memory = memberships.is_sorted_by(|a, b| a.memory < b.memory);
        if by_memory {
            Ok(Self { grant, memberships })
        } else {
            Err(DecodeError::NotCanonical("memberships"))
        }
    }
}

impl Canonical for Vouch {
    fn encode(&self, out: &mut Writer) {
        self.certificate.encode(out);
        out.option(self.cuts.as_ref(), |out, cuts| out.list(cuts));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            certificate: DeviceCertificate::decode(input)?,
            cuts: input.option("cuts", read_cuts)?,
        })
    }
}
