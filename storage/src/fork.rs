//! Memories in which a feed forked: which events they have, and whose authors are frozen.
//!
//! A projection of the log: a rebuild finds every fork again. [`crdt::event::fork`] has the rule.

use crdt::codec::{Canonical, DecodeError, Reader, Writer};
use crdt::event::Incarnation;
use crdt::event::fork::Frozen;
use crdt::id::{DeviceId, EventId, MemoryId, PersonId};

/// The most events of one memory, and the most feeds that forked in it.
const LIST_MAX: usize = 1 << 20;

/// A memory in which a feed forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forked {
    pub(crate) memory: MemoryId,
    /// All events of its shared side that the log holds, in the order of the log.
    pub(crate) events: Vec<EventId>,
    /// Those of them that do not count.
    pub(crate) idle: Vec<EventId>,
    pub(crate) frozen: Vec<Frozen>,
}

impl Forked {
    /// Returns where a writer is frozen: the number, and the greater id of the proof.
    pub(crate) fn frozen_at(
        &self,
        author: &DeviceId,
        writer: Incarnation,
    ) -> Option<(u64, EventId)> {
        let is_same = |frozen: &&Frozen| (frozen.device, frozen.incarnation) == (*author, writer);
        let found = self.frozen.iter().find(is_same)?;
        Some((found.number, found.second))
    }
}

fn write_frozen(out: &mut Writer, frozen: &Frozen) {
    frozen.person.encode(out);
    frozen.device.encode(out);
    out.raw(&frozen.incarnation.0);
    out.u64(frozen.number);
    frozen.first.encode(out);
    frozen.second.encode(out);
}

fn read_frozen(input: &mut Reader<'_>) -> Result<Frozen, DecodeError> {
    Ok(Frozen {
        person: PersonId::decode(input)?,
        device: DeviceId::decode(input)?,
        incarnation: Incarnation(input.array("incarnation")?),
        number: input.u64("number")?,
        first: EventId::decode(input)?,
        second: EventId::decode(input)?,
    })
}

impl Canonical for Forked {
    fn encode(&self, out: &mut Writer) {
        self.memory.encode(out);
        out.list(&self.events);
        out.list(&self.idle);
        out.length(self.frozen.len());
        self.frozen
            .iter()
            .for_each(|frozen| write_frozen(out, frozen));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let memory = MemoryId::decode(input)?;
        let events = input.list(LIST_MAX, "events")?;
        let idle = input.list(LIST_MAX, "events that do not count")?;
        let count = input.length(LIST_MAX, "frozen feeds")?;
        let frozen = (0..count)
            .map(|_| read_frozen(input))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            memory,
            events,
            idle,
            frozen,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_it_was_written() {
        let forked = Forked {
            memory: MemoryId([1; 32]),
            events: vec![EventId([2; 32]), EventId([3; 32])],
            idle: vec![EventId([3; 32])],
            frozen: vec![Frozen {
                person: PersonId([4; 32]),
                device: DeviceId([5; 32]),
                incarnation: Incarnation([6; 16]),
                number: 7,
                first: EventId([2; 32]),
                second: EventId([3; 32]),
            }],
        };
        assert_eq!(Forked::from_bytes(&forked.to_bytes()), Ok(forked.clone()));
        let found = forked.frozen_at(&DeviceId([5; 32]), Incarnation([6; 16]));
        assert_eq!(found, Some((7, EventId([3; 32]))));
        assert_eq!(
            forked.frozen_at(&DeviceId([5; 32]), Incarnation([7; 16])),
            None
        );
    }
}
