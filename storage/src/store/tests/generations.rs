//! Generations: one model each, and nothing comes back through a slow one.

use super::writers::Scene;
use super::*;
use crate::layout::{CHOSEN, VECTOR};
use crate::store::generations::Span;

const HUND: [f32; 3] = [1.0, 0.0, 0.5];

impl Bench {
    fn put(&self, generation: Generation, memory: MemoryId, span: Span) -> bool {
        let size = if generation == Generation::Chosen {
            3
        } else {
            4
        };
        let vectors = [(memory, vec![vec![0.5; size]])];
        self.store()
            .put_vectors(generation, &vectors, span)
            .unwrap()
    }
    fn due(&self, generation: Generation) -> Span {
        self.store().due(generation, 1_000).unwrap().1
    }
    fn near(&self, generation: Generation) -> usize {
        let size = if generation == Generation::Chosen {
            3
        } else {
            4
        };
        let request = SearchRequest {
            query: &TextQuery::parse("x"),
            vector: Some(&vec![0.5; size]),
            allowed: None,
            mode: SearchMode::Vector,
            limit: 10,
            fusion: Fusion::default(),
        };
        self.store().search(generation, &request).unwrap().len()
    }
    /// A bench with one memory that both generations know.
    fn embedded(seed: u8) -> (Self, MemoryId) {
        let bench = Self::new(seed);
        let memory = bench.create("the dog");
        bench.store().choose(Some("m")).unwrap();
        assert!(!bench.store().agree(&HUND).unwrap());
        for generation in [Generation::BuiltIn, Generation::Chosen] {
            assert!(bench.put(generation, memory, bench.due(generation)));
            assert_eq!(bench.near(generation), 1);
        }
        assert!(bench.store().is_complete().unwrap());
        (bench, memory)
    }
}

#[test]
fn generations_go_on_after_a_restart_and_go_with_their_model() {
    let (mut bench, _) = Bench::embedded(1);
    // Vectors are written with less care than memories: this makes them durable too.
    bench.create("the cat");
    bench.reopen();
    assert_eq!(
        (bench.near(Generation::BuiltIn), bench.rows(CHOSEN)),
        (1, 1)
    );
    bench.store().choose(Some("m")).unwrap();
    assert_eq!(bench.near(Generation::Chosen), 1);
    assert!(bench.store().is_complete().unwrap());
    // Another processor rounds differently; that is the same model.
    assert!(bench.store().agree(&[1.0, 0.001, 0.499]).unwrap());
    assert_eq!(bench.near(Generation::Chosen), 1);
    bench.store().choose(Some("another")).unwrap();
    assert_eq!((bench.rows(CHOSEN), bench.rows(VECTOR)), (0, 1));
    assert!(!bench.store().is_complete().unwrap());
    assert_eq!(bench.store().vector_cursor(Generation::Chosen).unwrap(), 0);
}

#[test]
fn another_model_under_the_same_name_begins_anew() {
    for other in [&[0.0, 1.0, 0.5][..], &[1.0, 0.0], &[-1.0, 0.0, -0.5]] {
        let (bench, _) = Bench::embedded(2);
        assert!(!bench.store().is_agreed(other).unwrap());
        assert!(!bench.store().agree(other).unwrap());
        assert_eq!((bench.rows(CHOSEN), bench.rows(VECTOR)), (0, 1));
        assert!(!bench.store().is_complete().unwrap());
        assert!(bench.store().is_agreed(other).unwrap());
    }
    let (bench, _) = Bench::embedded(2);
    for useless in [&[][..], &[f32::NAN, 1.0, 1.0]] {
        assert!(bench.store().agree(useless).is_err());
    }
    assert_eq!(bench.near(Generation::Chosen), 1);
}

#[test]
fn what_is_gone_does_not_come_back_through_a_slow_model() {
    let (bench, memory) = Bench::embedded(3);
    bench.change(
        memory,
        Edit {
            title: Some("the cat".to_owned()),
            ..Edit::default()
        },
    );
    let slow = bench.due(Generation::Chosen);
    bench.purge(memory);
    assert_eq!((bench.rows(CHOSEN), bench.rows(VECTOR)), (0, 0));
    assert!(bench.put(Generation::Chosen, memory, slow));
    assert_eq!((bench.near(Generation::Chosen), bench.rows(CHOSEN)), (0, 0));
}

#[test]
fn what_was_made_before_a_rebuild_does_not_count_after_it() {
    for generation in [Generation::BuiltIn, Generation::Chosen] {
        let (bench, memory) = Bench::embedded(4);
        let other = bench.create("the cat");
        let slow = bench.due(generation);
        bench.store().rebuild(NOW).unwrap();
        assert_eq!((bench.rows(CHOSEN), bench.rows(VECTOR)), (0, 0));
        assert!(!bench.put(generation, other, slow));
        assert_eq!(bench.near(generation), 0);
        assert_eq!(bench.due(generation).from, 0, "all of the log is due again");
        assert!(bench.put(generation, memory, bench.due(generation)));
    }
}

#[test]
fn vectors_are_found_before_the_cursor_says_so() {
    let scene = Scene::new();
    let memory = scene.keep("the dog").unwrap();
    let (_, span) = scene.store.due(Generation::BuiltIn, 1_000).unwrap();
    scene.watched.refuses.store(true, Ordering::SeqCst);
    let vectors = [(memory, vec![vec![0.5; 4]])];
    let put = || scene.store.put_vectors(Generation::BuiltIn, &vectors, span);
    assert!(put().is_err());
    let cursor = || scene.store.vector_cursor(Generation::BuiltIn).unwrap();
    assert_eq!((cursor(), scene.store.indexed().1), (span.from, 1));
    scene.watched.refuses.store(false, Ordering::SeqCst);
    assert!(put().unwrap(), "it is made again");
    assert_eq!((cursor(), scene.store.indexed().1), (span.until, 1));
}

#[test]
fn without_a_model_no_vectors_are_kept() {
    let (bench, _) = Bench::embedded(5);
    bench.store().choose(None).unwrap();
    bench.store().drop_built_in().unwrap();
    assert_eq!((bench.rows(CHOSEN), bench.rows(VECTOR)), (0, 0));
    assert_eq!(bench.near(Generation::BuiltIn), 0);
}
