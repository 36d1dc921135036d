//! Circles: sets of persons who are given the same, folded from the owner's own events.
//!
//! Every field is last-writer-wins in hybrid logical time, ties broken by event id, so all own
//! devices see the same circle in any order of arrival. A circle gives nothing by itself: for
//! each member and each share there is an ordinary grant, and [`Circle::owed`] and
//! [`Circle::surplus`] say which are missing and which are to end.

use crate::event::body::circle::{CircleChange, CirclePart};
use crate::grant::Terms;
use crate::id::{EventId, GrantId, PersonId};
use crate::time::Hybrid;
use std::collections::{BTreeMap, BTreeSet};

/// Orders writes of a field.
type Stamp = (Hybrid, EventId);

/// A circle as it stands.
#[derive(Debug, Clone, Default)]
pub struct Circle {
    exists: Option<(Stamp, bool)>,
    members: BTreeMap<PersonId, (Stamp, bool)>,
    shares: BTreeMap<String, (Stamp, Option<Terms>)>,
    gave: BTreeSet<(PersonId, String, GrantId)>,
    took: BTreeSet<GrantId>,
}

impl Circle {
    /// Takes in a change that `event` wrote at `time`.
    pub(crate) fn apply(&mut self, time: Hybrid, event: EventId, change: CircleChange) {
        let stamp = (time, event);
        match change.what {
            CirclePart::Exists(exists) => {
                if self.exists.is_none_or(|(last, _)| last < stamp) {
                    self.exists = Some((stamp, exists));
                }
            }
            CirclePart::Member(person, is_in) => put(&mut self.members, person, stamp, is_in),
            CirclePart::Share(selector, terms) => put(&mut self.shares, selector, stamp, terms),
            CirclePart::Gave(person, selector, grant) => {
                self.gave.insert((person, selector, grant));
            }
            CirclePart::Took(grant) => {
                self.took.insert(grant);
            }
        }
    }
    /// Tells whether there is such a circle.
    pub fn exists(&self) -> bool {
        self.exists.is_some_and(|(_, exists)| exists)
    }
    /// Returns who is in it.
    pub fn members(&self) -> impl Iterator<Item = PersonId> {
        let is_in = self.exists();
        let members = self
            .members
            .iter()
            .filter(move |(_, (_, member))| is_in && *member);
        members.map(|(person, _)| *person)
    }
    /// Returns what its members are given.
    pub fn shares(&self) -> impl Iterator<Item = (&str, &Terms)> {
        let exists = self.exists();
        let shares = self.shares.iter().filter(move |_| exists);
        shares.filter_map(|(selector, (_, terms))| Some((selector.as_str(), terms.as_ref()?)))
    }
    /// Returns the grants that were made for it and count.
    pub fn gave(&self) -> impl Iterator<Item = &(PersonId, String, GrantId)> {
        let gave = self.gave.iter();
        gave.filter(|(_, _, grant)| !self.took.contains(grant))
    }
    /// Returns the grants that are missing.
    pub fn owed(&self) -> Vec<(PersonId, String, Terms)> {
        let has = |person: PersonId, share: &str| {
            self.gave()
                .any(|(to, selector, _)| *to == person && selector == share)
        };
        let mut owed = Vec::new();
        for person in self.members() {
            let missing = self.shares().filter(|(share, _)| !has(person, share));
            owed.extend(missing.map(|(share, terms)| (person, share.to_owned(), terms.clone())));
        }
        owed
    }
    /// Returns the grants that no member and share call for any more.
    pub fn surplus(&self) -> Vec<GrantId> {
        let members: BTreeSet<PersonId> = self.members().collect();
        let is_given = |share: &str| self.shares().any(|(selector, _)| selector == share);
        let surplus = self
            .gave()
            .filter(|(person, share, _)| !members.contains(person) || !is_given(share));
        surplus.map(|(_, _, grant)| *grant).collect()
    }
}

fn put<K: Ord, T>(fields: &mut BTreeMap<K, (Stamp, T)>, key: K, stamp: Stamp, value: T) {
    if fields.get(&key).is_none_or(|(last, _)| *last < stamp) {
        fields.insert(key, (stamp, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Access;

    const ANA: PersonId = PersonId([1; 32]);
    const BOB: PersonId = PersonId([2; 32]);

    fn fold(changes: &[(u64, CirclePart)]) -> Circle {
        let mut circle = Circle::default();
        for (time, what) in changes {
            let event = EventId([u8::try_from(*time).expect("few"); 32]);
            let name = "family".to_owned();
            let what = what.clone();
            circle.apply(Hybrid(*time), event, CircleChange { name, what });
        }
        circle
    }

    #[test]
    fn a_circle_owes_each_member_each_share_and_takes_back_the_rest() {
        let share = || CirclePart::Share("tag:t".into(), Some(Terms::of(Access::Read)));
        let given = GrantId([9; 32]);
        let mut changes = vec![
            (1, CirclePart::Exists(true)),
            (2, CirclePart::Member(ANA, true)),
            (3, CirclePart::Member(BOB, true)),
            (4, share()),
            (5, CirclePart::Gave(ANA, "tag:t".into(), given)),
        ];
        let owed = |circle: &Circle| {
            let owed = circle.owed();
            owed.into_iter()
                .map(|(person, ..)| person)
                .collect::<Vec<_>>()
        };
        let circle = fold(&changes);
        assert_eq!((owed(&circle), circle.surplus()), (vec![BOB], vec![]));
        changes.push((6, CirclePart::Member(ANA, false)));
        let circle = fold(&changes);
        assert_eq!(circle.surplus(), [given]);
        changes.reverse();
        let reversed = fold(&changes);
        assert_eq!(reversed.surplus(), [given]);
        assert_eq!(owed(&reversed), [BOB]);
        // Whoever comes back is owed a new grant: one that was taken does not count.
        changes.push((7, CirclePart::Took(given)));
        changes.push((8, CirclePart::Member(ANA, true)));
        let back = fold(&changes);
        assert_eq!((owed(&back), back.surplus()), (vec![ANA, BOB], vec![]));
        changes.push((9, CirclePart::Gave(ANA, "tag:t".into(), GrantId([8; 32]))));
        changes.push((10, CirclePart::Exists(false)));
        let gone = fold(&changes);
        assert_eq!(
            (owed(&gone), gone.surplus()),
            (vec![], vec![GrantId([8; 32])])
        );
    }
}
