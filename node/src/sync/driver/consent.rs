//! Consent as the driver handles it: loading what the peer lacks, taking in what came.

use super::Driver;
use crate::clock;
use crdt::id::PersonId;
use protocol::session::Input;
use protocol::wire::control::FeedTip;
use storage::store::StoreError;

impl Driver {
    pub(super) fn load_consent(&mut self, person: PersonId, tips: &[FeedTip]) -> Input {
        let known = tips
            .iter()
            .map(|tip| ((tip.author, tip.incarnation, tip.feed), tip.next))
            .collect();
        match self.block(|sync| sync.0.store.consent_beyond(person, &known)) {
            Ok(events) => Input::ConsentFor(events),
            Err(error) => Self::fail(&error.to_string()),
        }
    }

    pub(super) fn take_consent(&mut self, person: PersonId, events: &[Vec<u8>]) -> Input {
        let taken = self.block(|sync| {
            let store = &sync.0.store;
            let taken = store
                .transact::<_, StoreError>(clock::now(), |tx| tx.take_consent(person, events))?;
            if taken.stored > 0 && person == store.owner().certificate.person {
                // A policy of mine may have come: what it holds is looked at again.
                store.rescreen(clock::now())?;
            }
            Ok::<_, StoreError>(taken)
        });
        match taken {
            Ok(taken) => {
                for (event, code) in &taken.refused {
                    tracing::info!(code, "a consent event was refused");
                    tracing::debug!(%event, "refused");
                }
                for grant in &taken.grants {
                    let event = if taken.accepted.contains(grant) {
                        "grant.accepted"
                    } else {
                        "request.opened"
                    };
                    self.sync.0.notices.send(event, Some(grant.to_string()));
                }
                if taken.stored > 0 {
                    self.sync.changed();
                }
                Input::ConsentTaken
            }
            Err(error) => Self::fail(&error.to_string()),
        }
    }
}
