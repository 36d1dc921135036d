//! What follows the end of a grant: several revocations as one, receipts, returns.
//!
//! Invariant: the outcome is the same in whatever order the events arrive.

use crate::event::body::{Receipt, Return, Revocation};
use crate::id::{DeviceId, EventId, MemoryId};
use crate::time::Hybrid;
use std::collections::{BTreeMap, BTreeSet};

/// What the grantee said about their copies, and when the grant ended.
#[derive(Debug, Clone, Default)]
pub struct Aftermath {
    ended: Option<Hybrid>,
    receipts: BTreeMap<DeviceId, ((Hybrid, EventId), Receipt)>,
    is_returned: bool,
    returned: BTreeSet<MemoryId>,
}

impl Aftermath {
    /// Returns when the owner revoked the grant, as the owner says.
    pub fn ended(&self) -> Option<Hybrid> {
        self.ended
    }
    /// Returns the last receipt of a device and when it was written.
    pub fn receipt(&self, device: &DeviceId) -> Option<(Hybrid, &Receipt)> {
        let ((time, _), receipt) = self.receipts.get(device)?;
        Some((*time, receipt))
    }
    /// Returns the devices that gave a receipt.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.receipts.keys().copied()
    }
    /// Tells whether the grantee gave the whole grant back.
    pub fn is_returned(&self) -> bool {
        self.is_returned
    }
    /// Tells whether the grantee gave a memory back.
    pub fn has_returned(&self, memory: MemoryId) -> bool {
        self.is_returned || self.returned.contains(&memory)
    }

    pub(super) fn note_end(&mut self, time: Hybrid) {
        self.ended = Some(self.ended.map_or(time, |known| known.min(time)));
    }
    pub(super) fn note_receipt(
        &mut self,
        device: DeviceId,
        when: (Hybrid, EventId),
        receipt: Receipt,
    ) {
        let known = self.receipts.get(&device);
        if known.is_none_or(|(known, _)| *known < when) {
            self.receipts.insert(device, (when, receipt));
        }
    }
    pub(super) fn note_return(&mut self, given: Return) {
        match given.memories {
            Some(memories) => self.returned.extend(memories),
            None => self.is_returned = true,
        }
    }
}

/// Combines two revocations of one grant: a purge that either asks for is asked for. The words
/// are those of the lesser id; how far changes count is folded beside it.
pub(super) fn combine(
    one: (EventId, Revocation),
    other: (EventId, Revocation),
) -> (EventId, Revocation) {
    let purge = one.1.purge || other.1.purge;
    let (id, body) = if one.0 <= other.0 { one } else { other };
    (id, Revocation { purge, ..body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::GrantId;

    fn revocation(id: u8, purge: bool) -> (EventId, Revocation) {
        let body = Revocation {
            grant: GrantId([5; 32]),
            cuts: Vec::new(),
            continues: None,
            reason: format!("{id}"),
            purge,
        };
        (EventId([id; 32]), body)
    }

    #[test]
    fn revocations_combine_in_any_order() {
        let all = [(1, false), (2, true), (3, false)].map(|(id, purge)| revocation(id, purge));
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let [one, two, three] = order.map(|at| all[at].clone());
            let (id, body) = combine(combine(one, two), three);
            assert_eq!(
                (id, body.reason.as_str(), body.purge),
                (EventId([1; 32]), "1", true)
            );
        }
    }
}
