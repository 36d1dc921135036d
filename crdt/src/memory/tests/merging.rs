//! Convergence: whatever is edited where, equal sets of changes give equal memories.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Splice(usize, usize, usize, String),
    Replace(usize, String),
    Tag(usize, String, bool),
    Title(usize, String),
    Forget(usize, bool),
    /// One replica takes everything that another has.
    Pull(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0..3usize;
    prop_oneof![
        (replica(), 0..40usize, 0..6usize, "[a-c é]{0,5}")
            .prop_map(|(r, a, d, i)| Step::Splice(r, a, d, i)),
        (replica(), "[a-c .]{0,30}").prop_map(|(r, text)| Step::Replace(r, text)),
        (replica(), "[a-c]", any::<bool>()).prop_map(|(r, tag, add)| Step::Tag(r, tag, add)),
        (replica(), "[a-c ]{0,10}").prop_map(|(r, title)| Step::Title(r, title)),
        (replica(), any::<bool>()).prop_map(|(r, forget)| Step::Forget(r, forget)),
        (replica(), replica()).prop_map(|(to, from)| Step::Pull(to, from)),
    ]
}

/// Three replicas, and every change in the order it was made.
struct World {
    replicas: Vec<Document>,
    log: Vec<(u8, Change)>,
}

impl World {
    fn edit(&mut self, replica: usize, edit: &Edit) {
        let number = u8::try_from(replica).unwrap();
        let document = &mut self.replicas[replica];
        let writer = writer(document, number);
        if let Some(change) = document.edit(&writer, None, edit).unwrap() {
            self.log.push((number, change));
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Splice(replica, at, delete, insert) => {
                let length = self.replicas[replica].content().body.chars().count();
                let at = at.min(length);
                self.edit(replica, &splice(at, delete.min(length - at), &insert));
            }
            Step::Replace(replica, text) => self.edit(replica, &body(&text)),
            Step::Title(replica, title) => {
                let title = Some(title);
                self.edit(
                    replica,
                    &Edit {
                        title,
                        ..Edit::default()
                    },
                );
            }
            Step::Tag(replica, tag, true) => {
                let add_tags = [tag].into();
                self.edit(
                    replica,
                    &Edit {
                        add_tags,
                        ..Edit::default()
                    },
                );
            }
            Step::Tag(replica, tag, false) => {
                let remove_tags = [tag].into();
                self.edit(
                    replica,
                    &Edit {
                        remove_tags,
                        ..Edit::default()
                    },
                );
            }
            Step::Forget(replica, forget) => {
                let status = Some(if forget {
                    Status::Forgotten
                } else {
                    Status::Active
                });
                self.edit(
                    replica,
                    &Edit {
                        status,
                        ..Edit::default()
                    },
                );
            }
            Step::Pull(to, from) => {
                let source = self.replicas[from].clone();
                take(&mut self.replicas[to], &self.log, |change| {
                    source.contains(&change.hash)
                });
            }
        }
    }
}

/// Admits what is missing, in one batch.
fn take(to: &mut Document, log: &[(u8, Change)], wanted: impl Fn(&Change) -> bool) {
    let missing: Vec<_> = log
        .iter()
        .filter(|(_, change)| wanted(change) && !to.contains(&change.hash))
        .map(|(number, change)| Incoming {
            device: device(*number),
            incarnation: INCARNATION,
            bytes: &change.bytes,
        })
        .collect();
    to.admit_batch(&missing).unwrap();
}

/// Admits everything one by one, in a random order that respects parents.
fn shuffled(log: &[(u8, Change)], seed: u64) -> Document {
    let (mut document, mut random) = (document(), Random(seed));
    let mut open: Vec<_> = log.iter().collect();
    while !open.is_empty() {
        let ready: Vec<_> = (0..open.len())
            .filter(|&at| open[at].1.deps.iter().all(|dep| document.contains(dep)))
            .collect();
        let (number, change) = open.remove(ready[random.below(ready.len())]);
        admit(&mut document, *number, change).unwrap();
    }
    document
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn replicas_converge_in_every_order(
        steps in proptest::collection::vec(step(), 1..25),
        seed in any::<u64>(),
    ) {
        let mut world = World { replicas: vec![document(); 3], log: Vec::new() };
        for step in steps {
            world.run(step);
        }
        let World { mut replicas, log } = world;
        for replica in &mut replicas {
            take(replica, &log, |_| true);
        }
        let expect = shuffled(&log, seed);
        for replica in &replicas {
            prop_assert_eq!(replica.content(), expect.content());
            prop_assert_eq!(replica.heads(), expect.heads());
        }
        let restored = Document::restore(MEMORY, &expect.save()).unwrap();
        prop_assert_eq!(restored.content(), expect.content());
        for number in 0..3 {
            let last = restored.last_seq(device(number), &INCARNATION);
            prop_assert_eq!(last, expect.last_seq(device(number), &INCARNATION));
        }
    }
}
