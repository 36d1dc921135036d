//! The view that this node and one person share, as a session compares it.

use crate::clock;
use crate::egress::Memberships;
use crdt::id::PersonId;
use protocol::view::{Item, View, given_id, membership_id};
use std::sync::Arc;
use storage::store::Store;
use storage::store::state::State;

/// The view of a pair, and what its memberships stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct PairView {
    pub(crate) view: Arc<View>,
    pub(crate) memberships: Arc<Memberships>,
}

/// Computes the view as it stands.
pub(crate) fn load(store: &Store, person: PersonId) -> PairView {
    let mut items = Vec::new();
    let mut memberships = Memberships::new();
    let mut events = 0;
    store.read(|state| {
        if person == state.me {
            events = own(state, &mut items, &mut memberships);
            return;
        }
        state.pair_view(person, clock::now(), &mut |facts, grants| {
            let born = facts.events.first().map_or(0, |(time, _)| time.0);
            for grant in grants {
                let id = membership_id(*grant, facts.id);
                memberships.insert(id, (*grant, facts.id));
                items.push(Item { time: born, id });
            }
            for (time, event) in &facts.events {
                events += 1;
                items.push(Item {
                    time: time.0,
                    id: event.0,
                });
            }
        });
    });
    PairView {
        view: Arc::new(View::new(items, events)),
        memberships: Arc::new(memberships),
    }
}

/// Lists everything: what the devices of one person compare. Returns how many are events.
fn own(state: &State, items: &mut Vec<Item>, memberships: &mut Memberships) -> u64 {
    let mut events = 0;
    state.own_view(&mut |facts, given| {
        let born = facts.events.first().map_or(0, |(time, _)| time.0);
        for (grant, epochs) in given {
            for epoch in epochs {
                let id = given_id(*grant, facts.id, *epoch);
                memberships.insert(id, (*grant, facts.id));
                items.push(Item { time: born, id });
            }
        }
        for (time, event) in facts.events.iter().chain(&facts.sidecar_events) {
            events += 1;
            items.push(Item {
                time: time.0,
                id: event.0,
            });
        }
    });
    events
}
