//! The roster: which devices speak for whom, and what still counts of those that were retired.
//!
//! A retirement is a statement by a device. It begins to hold if the root signed it or if its
//! author is older than the device it names (the root sets the time in a certificate), so no two
//! devices can retire each other without the words. A device that is not retired, or what counts
//! of one that is, can add cuts; cuts combine by union.
//!
//! Invariant: who is retired and what counts is a function of the set of certificates and
//! statements, whatever their order; a device never has a say about itself.

use crate::event::body::own::{FeedCut, Retirement};
use crate::event::{Feed, Header, Incarnation};
use crate::hash::Hash;
use crate::id::{DeviceId, EventId, PersonId};
use crate::identity::{DeviceCertificate, SIGNATURE_BYTES, is_retired_by_root};
use crate::time::{Hybrid, Timestamp};
use std::collections::BTreeMap;

/// The last event that counts, by writer and name of the feed.
pub type Cuts = BTreeMap<(Incarnation, Hash), (u64, EventId)>;

/// A device as it stands.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// Its certificate.
    pub certificate: DeviceCertificate,
    /// Whether its person retired it.
    pub retired: bool,
    /// What counts of it, once it is retired.
    pub cuts: Cuts,
}

/// What a device said about another one.
#[derive(Debug, Clone)]
struct Statement {
    author: DeviceId,
    incarnation: Incarnation,
    feed: Hash,
    number: u64,
    person: PersonId,
    time: Hybrid,
    retirement: Retirement,
}

/// All devices that are known.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    devices: BTreeMap<DeviceId, Enrolment>,
    statements: BTreeMap<EventId, Statement>,
}

impl Roster {
    /// Learns a device from its certificate, which was checked when it was read.
    pub fn enrol(&mut self, certificate: DeviceCertificate) {
        let device = certificate.device;
        if self.devices.contains_key(&device) {
            return;
        }
        let enrolment = Enrolment {
            certificate,
            retired: false,
            cuts: Cuts::new(),
        };
        self.devices.insert(device, enrolment);
        let concerns = |said: &Statement| said.retirement.device == device || said.author == device;
        if self.statements.values().any(concerns) {
            self.settle();
        }
    }

    /// Takes in a statement of retirement.
    pub fn retire(&mut self, id: EventId, header: &Header, retirement: Retirement) {
        let statement = Statement {
            author: header.author,
            incarnation: header.incarnation,
            feed: header.feed.name(),
            number: header.number,
            person: header.person,
            time: header.time,
            retirement,
        };
        self.statements.insert(id, statement);
        self.settle();
    }

    /// Returns a device, if it was ever certified.
    pub fn get(&self, device: &DeviceId) -> Option<&Enrolment> {
        self.devices.get(device)
    }
    /// Returns every device.
    pub fn devices(&self) -> impl Iterator<Item = &Enrolment> {
        self.devices.values()
    }
    /// Tells whether an event at this place of a device's feed counts.
    pub fn counts(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        feed: Feed,
        number: u64,
        event: EventId,
    ) -> bool {
        self.devices
            .get(device)
            .is_none_or(|found| is_within(found, (incarnation, feed.name()), number, event))
    }

    /// Returns the root's signature under a retirement, if one was shown.
    pub fn proof(&self, device: &DeviceId) -> Option<[u8; SIGNATURE_BYTES]> {
        let about = |said: &&Statement| said.retirement.device == *device;
        self.statements.values().filter(about).find_map(|said| {
            let proof = said.retirement.proof?;
            is_retired_by_root(said.person, *device, &proof).then_some(proof)
        })
    }
    /// Returns when a device was first said to be retired, if it is.
    pub fn retired_at(&self, device: &DeviceId) -> Option<Hybrid> {
        self.get(device).filter(|found| found.retired)?;
        let about = |said: &&Statement| said.retirement.device == *device && self.begins(said);
        let said = self.statements.values().filter(about);
        said.map(|said| said.time).min()
    }

    fn age(&self, device: &DeviceId) -> Option<(Timestamp, DeviceId)> {
        let found = self.devices.get(device)?;
        Some((found.certificate.issued, *device))
    }

    /// Tells whether a statement can retire its device by itself.
    fn begins(&self, statement: &Statement) -> bool {
        let device = statement.retirement.device;
        let by_root = statement
            .retirement
            .proof
            .is_some_and(|proof| is_retired_by_root(statement.person, device, &proof));
        by_root || self.age(&statement.author) < self.age(&device)
    }

    /// Folds all statements anew, those of older devices first.
    fn settle(&mut self) {
        for found in self.devices.values_mut() {
            found.retired = false;
            found.cuts.clear();
        }
        let mut order: Vec<_> = self
            .statements
            .iter()
            .filter(|(_, said)| self.is_about_own(said))
            .map(|(id, said)| {
                let by_root = said.retirement.proof.is_some() && self.begins(said);
                (!by_root, self.age(&said.author), *id)
            })
            .collect();
        order.sort_unstable();
        // A statement that did not count may count once its author's cuts have grown.
        let mut left: Vec<EventId> = order.into_iter().map(|(_, _, id)| id).collect();
        loop {
            let before = left.len();
            left.retain(|id| !self.apply(*id));
            if left.len() == before {
                return;
            }
        }
    }

    fn is_about_own(&self, said: &Statement) -> bool {
        let is_theirs = |device: &DeviceId| {
            self.devices
                .get(device)
                .is_some_and(|found| found.certificate.person == said.person)
        };
        said.author != said.retirement.device
            && is_theirs(&said.author)
            && is_theirs(&said.retirement.device)
    }

    /// Lets a statement take effect; false if it does not count.
    fn apply(&mut self, id: EventId) -> bool {
        let Some(said) = self.statements.get(&id) else {
            return true;
        };
        let place = (said.incarnation, said.feed);
        let author = self.devices.get(&said.author);
        if !author.is_some_and(|author| is_within(author, place, said.number, id)) {
            return false;
        }
        let begins = self.begins(said);
        if let Some(found) = self.devices.get_mut(&said.retirement.device) {
            found.retired |= begins;
            for cut in &said.retirement.cuts {
                widen(&mut found.cuts, cut);
            }
        }
        true
    }
}

fn is_within(found: &Enrolment, place: (Incarnation, Hash), number: u64, event: EventId) -> bool {
    !found.retired
        || found
            .cuts
            .get(&place)
            .is_some_and(|(last, id)| number < *last || (number == *last && event == *id))
}

fn widen(cuts: &mut Cuts, cut: &FeedCut) {
    let key = (cut.incarnation, cut.feed);
    let entry = cuts.entry(key).or_insert((cut.number, cut.event));
    *entry = (*entry).max((cut.number, cut.event));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Epoch;
    use crate::envelope::pack::Packing;
    use crate::event::Kind;
    use crate::identity::{DeviceKey, PersonKey};

    fn device(seed: u8) -> DeviceKey {
        DeviceKey::from_seed(&[seed; 32])
    }
    fn header(person: PersonId, author: &DeviceKey, number: u64) -> Header {
        Header {
            kind: Kind::Retirement,
            author: author.id(),
            incarnation: Incarnation([0; 16]),
            person,
            owner: person,
            feed: Feed::Own,
            number,
            previous: None,
            time: Hybrid(1),
            parents: Vec::new(),
            authority: Vec::new(),
            epoch: Epoch(0),
            commitment: None,
            packing: Packing::Plain,
        }
    }
    fn cut(number: u64) -> FeedCut {
        FeedCut {
            incarnation: Incarnation([0; 16]),
            feed: Feed::Own.name(),
            number,
            event: EventId([number.to_le_bytes()[0]; 32]),
        }
    }

    type Said = (EventId, Header, Retirement);

    /// All orders of a few statements and certificates give one answer.
    fn in_all_orders(certificates: &[DeviceCertificate], said: &[Said]) -> Vec<(bool, Cuts)> {
        let mut answers = Vec::new();
        let count = certificates.len() + said.len();
        let mut places: Vec<usize> = (0..count).collect();
        permute(&mut places, 0, &mut |order| {
            let mut roster = Roster::default();
            for place in order {
                if let Some(certificate) = certificates.get(*place) {
                    roster.enrol(certificate.clone());
                    continue;
                }
                let (id, header, retirement) = &said[*place - certificates.len()];
                roster.retire(*id, header, retirement.clone());
            }
            let state = certificates.iter().map(|certificate| {
                let found = roster.get(&certificate.device).expect("enrolled");
                (found.retired, found.cuts.clone())
            });
            answers.push(state.collect::<Vec<_>>());
        });
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
        answers.pop().expect("an order")
    }

    fn permute(places: &mut Vec<usize>, from: usize, visit: &mut dyn FnMut(&[usize])) {
        if from == places.len() {
            visit(places);
        }
        for at in from..places.len() {
            places.swap(from, at);
            permute(places, from + 1, visit);
            places.swap(from, at);
        }
    }

    #[test]
    fn statements_combine_by_union_in_any_order() {
        let person = PersonKey::from_seed(&[9; 32]);
        let devices = [device(1), device(2), device(3)];
        let certificates: Vec<_> = (1..)
            .zip(&devices)
            .map(|(age, device)| person.certify(device, Timestamp(age)))
            .collect();
        let say = |id: u8, by: usize, cuts: Vec<FeedCut>| {
            let retirement = Retirement {
                device: devices[2].id(),
                cuts,
                proof: None,
            };
            let header = header(person.id(), &devices[by], u64::from(id));
            (EventId([id; 32]), header, retirement)
        };
        // Two honest devices, and the retired one on its own behalf.
        let said = [
            say(1, 0, vec![cut(3)]),
            say(2, 1, vec![cut(5)]),
            say(7, 2, vec![cut(200)]),
        ];
        let answer = in_all_orders(&certificates, &said);
        assert!(!answer[0].0 && !answer[1].0 && answer[2].0);
        let last = answer[2].1.values().next().copied();
        assert_eq!(last, Some((5, EventId([5; 32]))));
    }

    #[test]
    fn a_younger_device_needs_the_root_and_an_older_one_wins() {
        let person = PersonKey::from_seed(&[9; 32]);
        let devices = [device(1), device(2)];
        let certificates: Vec<_> = (1..)
            .zip(&devices)
            .map(|(age, device)| person.certify(device, Timestamp(age)))
            .collect();
        let say = |by: usize, about: usize, proof| {
            let id = EventId([u8::try_from(by).expect("few") + 50; 32]);
            let device = devices[about].id();
            let cuts = Vec::new();
            let retirement = Retirement {
                device,
                cuts,
                proof,
            };
            (id, header(person.id(), &devices[by], 4), retirement)
        };
        let both = [say(0, 1, None), say(1, 0, None)];
        let answer = in_all_orders(&certificates, &both);
        assert_eq!((answer[0].0, answer[1].0), (false, true));
        let alone = in_all_orders(&certificates, &[say(1, 0, None)]);
        assert_eq!((alone[0].0, alone[1].0), (false, false));
        let proof = Some(person.retire(devices[0].id()));
        let rooted = in_all_orders(&certificates, &[say(1, 0, proof)]);
        assert_eq!((rooted[0].0, rooted[1].0), (true, false));
        let other = Some(PersonKey::from_seed(&[8; 32]).retire(devices[0].id()));
        let forged = in_all_orders(&certificates, &[say(1, 0, other)]);
        assert_eq!((forged[0].0, forged[1].0), (false, false));
    }
}
