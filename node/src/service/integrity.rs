//! What is wrong and is contained: frozen authors, quarantined memories. Each line says whose, and
//! what to do.

use super::{Failure, Services};
use crdt::event::fork::Frozen;
use crdt::id::MemoryId;
use protocol::api::problem::ErrorCode;
use std::collections::BTreeMap;
use storage::store::state::State;

/// Characters of an id in a line; enough for `brainctl show`.
const ID_CHARS: usize = 12;
/// Memories that are named in one line; the number is always whole.
const NAMED_MAX: usize = 3;

fn short(id: &str) -> &str {
    id.get(..ID_CHARS).unwrap_or(id)
}

fn named(memories: &[MemoryId]) -> String {
    let ids: Vec<String> = memories
        .iter()
        .take(NAMED_MAX)
        .map(MemoryId::to_string)
        .collect();
    let ids: Vec<&str> = ids.iter().map(|id| short(id)).collect();
    let rest = memories.len().saturating_sub(NAMED_MAX);
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!("{}{more}", ids.join(", "))
}

/// Says that a device is frozen in some memories, and what that usually means.
fn frozen_line(state: &State, frozen: &Frozen, memories: &[MemoryId]) -> String {
    let device = frozen.device.to_string();
    let (whose, what) = if frozen.person == state.me {
        let name = state.device_name(&frozen.device);
        let what = "it was put back to an older state; what it wrote after that and nobody built \
                    on does not count: look at the memory and write it again";
        (format!("your device {name}"), what)
    } else {
        let name = state.petname(frozen.person);
        let what = "a restored backup, or someone who writes two versions: ask them; brainctl \
                    share ls shows the grant to revoke";
        (format!("{name}'s device {}", short(&device)), what)
    };
    format!(
        "{whose} signed two versions of one change and is frozen in {} ({what})",
        named(memories)
    )
}

impl Services {
    /// Says what is contained and needs a person.
    pub(super) fn integrity_needs_you(&self) -> Vec<String> {
        self.store().read(|state| {
            let mut by_device: BTreeMap<_, (Frozen, Vec<MemoryId>)> = BTreeMap::new();
            for (memory, frozen) in state.frozen() {
                let entry = by_device.entry((frozen.person, frozen.device));
                let (_, memories) = entry.or_insert((*frozen, Vec::new()));
                if memories.last() != Some(&memory) {
                    memories.push(memory);
                }
            }
            let frozen = by_device.values();
            let mut lines: Vec<String> = frozen
                .map(|(frozen, memories)| frozen_line(state, frozen, memories))
                .collect();
            let broken: Vec<MemoryId> = state.quarantined().map(|row| row.memory).collect();
            if !broken.is_empty() {
                lines.push(format!(
                    "{} quarantined, shown as they last stood: {}: brainctl index rebuild",
                    broken.len(),
                    named(&broken)
                ));
            }
            lines
        })
    }

    /// Returns why a memory is not written, and when it will be.
    pub(super) fn quarantined(memory: MemoryId, why: &str) -> Failure {
        let id = memory.to_string();
        let title = format!("the memory {} is quarantined", short(&id));
        Failure::new(ErrorCode::StoreDamaged, title)
            .because(format!(
                "{why}; it is shown as it last stood, everything else goes on"
            ))
            .hint("brainctl index rebuild         make it anew from the log")
    }
}
