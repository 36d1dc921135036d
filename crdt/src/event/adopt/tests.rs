//! What stands is a function of the set: every order of arrival ends with the same events.

use super::*;
use crate::codec::Canonical as _;
use crate::event::admit::admit;
use crate::event::admit::tests::{Log, Someone};
use crate::event::body::{Revocation, Vouch};
use crate::grant::known::blinded;

/// An owner, a writer who is cut off with nothing accepted, and another writer.
struct Scene {
    owner: Someone,
    writer: Someone,
    other: Someone,
    root: Signed<Event>,
    consent: Vec<Signed<Event>>,
    delivered: BTreeSet<GrantId>,
    /// What the other writer knew before and after they heard of the cut.
    before: EventId,
    after: EventId,
}

impl Scene {
    fn new() -> Self {
        let [owner, writer, other] = [1, 2, 3].map(Someone::new);
        let root = owner.root(0);
        let one = owner.offer(&writer);
        let two = owner.offer(&other);
        let grant = one.id().as_grant();
        let accepted = other.accept(&owner, &two);
        let revocation = Revocation {
            grant,
            cuts: Vec::new(),
            continues: None,
            reason: String::new(),
            purge: false,
        };
        let revocation = owner.consent(Kind::Revocation, &writer, &owner, revocation.to_bytes());
        let vouch = Vouch {
            certificate: writer.certificate(),
            cuts: Some(Vec::new()),
        };
        let vouch = owner.consent(Kind::Writer, &other, &owner, vouch.to_bytes());
        let vouch = owner.follows(&two, &vouch);
        Self {
            before: accepted.id(),
            after: vouch.id(),
            delivered: [grant, two.id().as_grant()].into(),
            consent: vec![
                one.clone(),
                writer.accept(&owner, &one),
                two,
                accepted,
                owner.follows(&one, &revocation),
                vouch,
            ],
            root,
            owner,
            writer,
            other,
        }
    }
    fn memory(&self) -> MemoryId {
        self.root.id().as_memory()
    }
    fn late(&self, after: &Signed<Event>) -> Signed<Event> {
        self.writer.change(&self.owner, self.memory(), after)
    }
    /// A change of the other writer who knew consent up to `head`.
    fn built(&self, on: &Signed<Event>, head: EventId) -> Signed<Event> {
        let event = self.other.change(&self.owner, self.memory(), on);
        let mut header = event.header().clone();
        header.authority = vec![blinded(head, self.memory())];
        self.other.sign(header, event.event().body.clone())
    }
    fn log(&self) -> Log {
        let mut log = Log::of(&[&self.owner, &self.writer, &self.other]);
        log.delivered.clone_from(&self.delivered);
        log.take(&self.root).unwrap();
        for event in &self.consent {
            log.take(event).unwrap();
        }
        log
    }
    fn standing(&self, events: &[Signed<Event>]) -> Standing {
        let all: Vec<_> = [&self.root].into_iter().chain(events).cloned().collect();
        let log = self.log();
        standing(&all, self.memory(), &log.authority, &self.delivered)
    }
    /// Lets events arrive in an order, again and again until nothing more comes in.
    fn arrive(&self, events: &[Signed<Event>], order: &[usize]) -> BTreeSet<EventId> {
        let mut log = self.log();
        let mut tray: BTreeMap<EventId, Signed<Event>> = BTreeMap::new();
        loop {
            let before = (log.held.len(), tray.len());
            for at in order {
                self.take(&mut log, &mut tray, &events[*at]);
            }
            if (log.held.len(), tray.len()) == before {
                let ids = events.iter().map(Signed::id);
                return ids.filter(|id| log.holds(*id)).collect();
            }
        }
    }
    fn take(
        &self,
        log: &mut Log,
        tray: &mut BTreeMap<EventId, Signed<Event>>,
        event: &Signed<Event>,
    ) {
        let late = |id: EventId| tray.get(&id).cloned();
        let adopted = adopted_by(event, self.memory(), log, &late).unwrap_or_default();
        for late in adopted {
            tray.remove(&late.id());
            let late = admit_adopted(late, self.owner.person.id(), log).unwrap();
            log.enter(&late).unwrap();
        }
        match admit(event.clone(), log) {
            Ok(event) => log.enter(&event).unwrap(),
            Err(Refusal::BeyondCut | Refusal::NotPermitted(_)) => {
                tray.insert(event.id(), event.clone());
            }
            Err(Refusal::MissingPrevious) => {
                let is_after = |id: EventId| tray.contains_key(&id);
                if event.header().previous.is_some_and(is_after) {
                    tray.insert(event.id(), event.clone());
                }
            }
            Err(_) => {}
        }
    }
    fn ids(events: &[&Signed<Event>]) -> BTreeSet<EventId> {
        events.iter().map(|event| event.id()).collect()
    }
    /// Checks that every order of arrival ends with `expected`, and that the rule says the same.
    fn check(&self, events: &[&Signed<Event>], expected: &[&Signed<Event>]) -> Standing {
        let owned: Vec<Signed<Event>> = events.iter().map(|event| (*event).clone()).collect();
        let expected = Self::ids(expected);
        let rule = self.standing(&owned);
        let ruled: BTreeSet<EventId> = rule
            .standing
            .iter()
            .copied()
            .filter(|id| *id != self.root.id())
            .collect();
        assert_eq!(ruled, expected);
        for order in orders(owned.len()) {
            assert_eq!(
                self.arrive(&owned, &order),
                expected,
                "in the order {order:?}"
            );
        }
        rule
    }
}

/// Returns all orders of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let shorter = orders(last);
    let with = |order: Vec<usize>| {
        (0..=order.len()).map(move |at| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        })
    };
    shorter.into_iter().flat_map(with).collect()
}

#[test]
fn late_work_that_nobody_built_on_does_not_stand() {
    let scene = Scene::new();
    let one = scene.late(&scene.root);
    let two = scene.late(&one);
    scene.check(&[&one, &two], &[]);
}

#[test]
fn a_writer_who_had_not_heard_adopts_what_they_built_on_and_no_more() {
    let scene = Scene::new();
    let one = scene.late(&scene.root);
    let two = scene.late(&one);
    let three = scene.late(&two);
    let built = scene.built(&two, scene.before);
    let rule = scene.check(&[&one, &two, &three, &built], &[&one, &two, &built]);
    let adopted: Vec<_> = rule.adopted.into_iter().collect();
    let mut expected = [(one.id(), built.id()), (two.id(), built.id())];
    expected.sort_unstable();
    assert_eq!(adopted, expected);
}

#[test]
fn a_writer_who_had_heard_adopts_nothing() {
    let scene = Scene::new();
    let one = scene.late(&scene.root);
    let built = scene.built(&one, scene.after);
    scene.check(&[&one, &built], &[]);
    // Neither does one who names nothing, or what nobody here knows.
    let unknown = scene.built(&one, EventId([9; 32]));
    scene.check(&[&one, &unknown], &[]);
    let mut header = built.header().clone();
    header.authority.clear();
    let silent = scene.other.sign(header, vec![2]);
    scene.check(&[&one, &silent], &[]);
}

#[test]
fn the_owner_adopts_whatever_any_device_of_theirs_built_on() {
    let scene = Scene::new();
    let one = scene.late(&scene.root);
    let two = scene.late(&one);
    let built = scene
        .owner
        .change(&scene.owner, scene.memory(), &scene.root);
    let mut header = built.header().clone();
    header.parents = vec![two.id()];
    let built = scene.owner.sign(header, vec![3]);
    scene.check(&[&one, &two, &built], &[&one, &two, &built]);
}

#[test]
fn nobody_adopts_their_own_late_work_or_that_of_a_stranger() {
    let scene = Scene::new();
    let one = scene.late(&scene.root);
    let mine = scene.late(&one);
    scene.check(&[&one, &mine], &[]);
    let stranger = Someone::new(7);
    let alien = stranger.change(&scene.owner, scene.memory(), &scene.root);
    let mut log = scene.log();
    log.authority.enrol(stranger.certificate());
    let refused = admit_adopted(alien, scene.owner.person.id(), &log);
    assert!(matches!(refused, Err(Refusal::NotPermitted(_))));
}

#[test]
fn the_rule_does_not_depend_on_the_order_of_the_set_or_of_consent() {
    let scene = Scene::new();
    let one = scene.late(&scene.root);
    let built = scene.built(&one, scene.before);
    let set = [scene.root.clone(), one, built];
    let expected = standing(
        &set,
        scene.memory(),
        &scene.log().authority,
        &scene.delivered,
    );
    assert_eq!(expected.adopted.len(), 1);
    for order in orders(scene.consent.len()) {
        let mut log = Log::of(&[&scene.owner, &scene.writer, &scene.other]);
        // Consent that comes too early comes again.
        for _ in 0..scene.consent.len() {
            for at in &order {
                let _known_or_early = log.take(&scene.consent[*at]);
            }
        }
        for order in orders(set.len()) {
            let set: Vec<_> = order.iter().map(|at| set[*at].clone()).collect();
            let found = standing(&set, scene.memory(), &log.authority, &scene.delivered);
            assert_eq!(found, expected);
        }
    }
}
