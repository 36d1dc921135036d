//! Cuts: how far the changes of someone who lost access still count.
//!
//! Not about readers. A cut names the last accepted event of one writer in one memory; a writer
//! and memory without a cut had nothing accepted. Lists of cuts arrive in parts, in any order.

use crate::event::Incarnation;
use crate::event::body::Cut;
use crate::grant::authority::Permit;
use crate::id::{DeviceId, EventId, MemoryId};
use std::collections::BTreeMap;

/// The last accepted events, by writer and memory. Of two for the same place the later counts:
/// what an owner accepted once stays accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cuts(BTreeMap<(DeviceId, Incarnation, MemoryId), (u64, EventId)>);

impl Cuts {
    /// Takes in a list.
    pub fn extend(&mut self, cuts: &[Cut]) {
        for cut in cuts {
            let last = (cut.number, cut.event);
            let place = (cut.device, cut.incarnation, cut.memory);
            let entry = self.0.entry(place).or_insert(last);
            *entry = (*entry).max(last);
        }
    }
    /// Returns what a writer may still do in a memory.
    pub fn permit(&self, writer: (DeviceId, Incarnation), memory: MemoryId) -> Permit {
        let last = self.0.get(&(writer.0, writer.1, memory));
        last.map_or(Permit::Closed, |(number, event)| {
            Permit::UpTo(*number, *event)
        })
    }
}

/// What an owner said about another person's device as a writer, folded in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct Vouched {
    /// The numbers of the last events that opened and that closed it.
    opened: Option<u64>,
    closed: Option<u64>,
    cuts: Cuts,
}

impl Vouched {
    /// Takes in one word of the owner, which has this number in the owner's feed.
    pub(super) fn say(&mut self, number: u64, cuts: Option<&[Cut]>) {
        match cuts {
            None => self.opened = self.opened.max(Some(number)),
            Some(cuts) => {
                self.closed = self.closed.max(Some(number));
                self.cuts.extend(cuts);
            }
        }
    }
    /// Returns what the writer may still do in a memory.
    pub(super) fn permit(&self, writer: (DeviceId, Incarnation), memory: MemoryId) -> Permit {
        if self.opened > self.closed {
            Permit::Open
        } else {
            self.cuts.permit(writer, memory)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(memory: u8, number: u64) -> Cut {
        Cut {
            device: DeviceId([1; 32]),
            incarnation: Incarnation([2; 16]),
            memory: MemoryId([memory; 32]),
            number,
            event: EventId([3; 32]),
        }
    }

    #[test]
    fn parts_add_up_in_any_order_and_never_take_back() {
        let parts = [vec![cut(1, 5)], vec![cut(2, 7)], vec![cut(1, 4)]];
        let writer = (DeviceId([1; 32]), Incarnation([2; 16]));
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut cuts = Cuts::default();
            for at in &order {
                cuts.extend(&parts[*at]);
            }
            let of = |memory: u8| cuts.permit(writer, MemoryId([memory; 32]));
            assert_eq!(of(1), Permit::UpTo(5, EventId([3; 32])));
            assert_eq!(of(2), Permit::UpTo(7, EventId([3; 32])));
            assert_eq!(of(9), Permit::Closed);
        }
    }

    #[test]
    fn the_last_word_of_the_owner_opens_or_closes() {
        let writer = (DeviceId([1; 32]), Incarnation([2; 16]));
        let words = [(0, None), (3, Some(vec![cut(1, 5)])), (6, None)];
        let after = |order: &[usize]| {
            let mut vouched = Vouched::default();
            for at in order {
                vouched.say(words[*at].0, words[*at].1.as_deref());
            }
            [1, 9].map(|memory| vouched.permit(writer, MemoryId([memory; 32])))
        };
        let up_to = Permit::UpTo(5, EventId([3; 32]));
        assert_eq!(after(&[0]), [Permit::Open; 2]);
        assert_eq!(after(&[0, 1]), [up_to, Permit::Closed]);
        assert_eq!(after(&[1, 0]), [up_to, Permit::Closed]);
        assert_eq!(after(&[2, 0, 1]), [Permit::Open; 2]);
    }
}
