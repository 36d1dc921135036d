//! What is wrong and is contained: frozen authors, quarantined memories, and what a scrub finds. Each
//! line says whose, and what to do.

use super::{Failure, Services};
use crate::salvage::{halt_line, name_of};
use crdt::event::fork::Frozen;
use crdt::id::{EventId, MemoryId};
use protocol::api::problem::ErrorCode;
use protocol::api::status::{Damage, NodeVerdict};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use storage::blob::{BlobError, Blobs};
use storage::gaps::{Gaps, Waits};
use storage::store::scrub::{Scrub, is_projection};
use storage::store::state::State;

/// Characters of an id in a line; enough for `brainctl show`.
const ID_CHARS: usize = 12;
/// Memories that are named in one line; the number is always whole.
const NAMED_MAX: usize = 3;
/// Lost entries that are named one by one; the number is always whole.
const LOST_MAX: usize = 20;

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

/// Says what a scrub of the store found.
fn damage_of(found: &Scrub) -> Vec<Damage> {
    let heals = |what: String| Damage {
        what,
        heals: true,
        hint: "brainctl index rebuild: it is made anew from the log".to_owned(),
    };
    let lost = |what: String| Damage {
        what,
        heals: false,
        hint:
            "stop the node, keep a copy of the data folder, restore it from a backup; what a peer \
               was given comes back from them by brainctl id recover"
                .to_owned(),
    };
    let mut damage = Vec::new();
    damage.extend(
        found
            .file
            .as_ref()
            .map(|error| lost(format!("store.redb: {error}"))),
    );
    for (keyspace, rows) in &found.damaged {
        let what = format!("{rows} rows of {keyspace} are not what was written");
        damage.push(if is_projection(*keyspace) {
            heals(what)
        } else {
            lost(what)
        });
    }
    if let Some(first) = found.bad_events.first() {
        let count = found.bad_events.len();
        damage.push(lost(format!(
            "{count} log entries do not read, the first is {first}"
        )));
    }
    if !found.without_text.is_empty() {
        damage.push(heals(format!(
            "memories without their text: {}",
            named(&found.without_text)
        )));
    }
    damage.extend(found.ledger.map(|fault| {
        let (what, first) = (fault.kind.as_str(), fault.first);
        lost(format!(
            "the ledger is {what} from entry {first}: brainctl ledger verify"
        ))
    }));
    for file in &found.bad_text {
        damage.push(heals(format!(
            "the text index: {} does not read",
            file.display()
        )));
    }
    if found.bad_vectors > 0 {
        damage.push(heals(format!("{} vectors do not read", found.bad_vectors)));
    }
    damage.extend(gaps_of(&found.gaps));
    damage
}

/// What to do once nothing that is missing can come back any more.
const RESUME_HINT: &str = "look at who has access (brainctl share ls, brainctl device ls, brainctl \
                           policy show), end what should be over, then stop the node and run: \
                           brain-node salvage --resume";

/// Names what a salvage could not take over and nobody brought back since.
fn gaps_of(gaps: &Gaps) -> Vec<Damage> {
    let missing = |what: String, hint: &str| Damage {
        what,
        heals: false,
        hint: hint.to_owned(),
    };
    let mut damage: Vec<Damage> = gaps
        .lost()
        .take(LOST_MAX)
        .map(|lost| {
            missing(
                format!("lost with a damaged store: {}", name_of(lost)),
                "it comes back by itself from a peer that has it: brainctl sync now",
            )
        })
        .collect();
    let more = gaps.lost().count().saturating_sub(LOST_MAX);
    if more > 0 {
        let what = format!("lost with a damaged store: {more} entries more");
        damage.push(missing(what, "brainctl sync now"));
    }
    let (keyless, apart): (Vec<_>, Vec<_>) =
        gaps.apart().partition(|(id, waits)| waits.need == *id);
    let ids = |waiting: &[(EventId, Waits)]| {
        let ids: BTreeSet<MemoryId> = waiting.iter().filter_map(|(_, w)| w.memory).collect();
        named(&ids.into_iter().collect::<Vec<_>>())
    };
    if !keyless.is_empty() {
        damage.push(missing(
            format!(
                "{} entries whose keys are lost, in memories {}",
                keyless.len(),
                ids(&keyless)
            ),
            "a peer that was given them gives the keys again: brainctl sync now",
        ));
    }
    if !apart.is_empty() {
        damage.push(missing(
            format!(
                "{} entries are kept apart until what they build on is back, in memories {}",
                apart.len(),
                ids(&apart)
            ),
            "nothing: they are safe, and count again by themselves",
        ));
    }
    damage.extend(halt_line(gaps.halt()).map(|why| missing(why.to_owned(), RESUME_HINT)));
    damage
}

/// Reads an attachment whole; tells whether it was here.
fn read_blob(blobs: &Arc<Blobs>, blob: crdt::hash::Hash) -> Result<bool, BlobError> {
    let Some(reader) = blobs.read(blob)? else {
        return Ok(false);
    };
    for index in 0..reader.outline().chunks() {
        reader.chunk(index)?;
    }
    Ok(true)
}

impl Services {
    /// Reads everything that is kept and names what is damaged.
    pub fn verify(&self) -> Result<NodeVerdict, Failure> {
        let found = self.store().scrub()?;
        let mut damage = damage_of(&found);
        let mut attachments = 0;
        let blobs = self.0.sync.desk().blobs();
        for blob in self.store().read(State::blobs) {
            match read_blob(blobs, blob) {
                Ok(is_here) => attachments += u64::from(is_here),
                Err(error) => damage.push(Damage {
                    what: format!("an attachment: {error}"),
                    heals: false,
                    hint: "detach and attach the file again, or restore the folder blobs"
                        .to_owned(),
                }),
            }
        }
        Ok(NodeVerdict {
            ok: damage.is_empty() && found.is_sound(),
            rows: found.rows,
            events: found.events,
            text_files: found.text_files,
            attachments,
            damage,
        })
    }

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
            if let Some(why) = halt_line(state.gaps.halt()) {
                lines.push(format!("{why}: brainctl node verify"));
            } else if !state.gaps.is_empty() {
                let lost = state.gaps.lost().count();
                let apart = state.gaps.apart().count();
                lines.push(format!(
                    "{lost} log entries were lost with a damaged store and are not back, {apart} wait \
                     for them or for their keys: brainctl node verify"
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
