//! A real embedder of arithmetic, whose answers fail on demand.

use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Embeds a text as the counts of its bytes in four classes; fails while told to.
#[derive(Clone, Default)]
struct Counting {
    asked: Arc<Mutex<Vec<Vec<String>>>>,
    failures: Arc<AtomicUsize>,
}

impl Embedder for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let texts = texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>();
        self.asked.lock().unwrap().push(texts.clone());
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(EmbedError::Refused {
                status: 429,
                hint: "wait",
                wait: Some(Duration::from_secs(40)),
            });
        }
        let count = |text: &String, class: u8| text.bytes().filter(|b| b % 4 == class).count();
        let number = |count: usize| f32::from(u16::try_from(count).unwrap());
        let vector = |text| (0..4).map(|class| number(count(text, class))).collect();
        Ok(texts.iter().map(vector).collect())
    }
}

fn chosen(counting: &Counting, index: &Index) -> Chosen {
    Chosen::new(Box::new(counting.clone()), index, true)
}

#[test]
fn every_request_carries_the_probe_and_the_prefixes() {
    let counting = Counting::default();
    let index = Index {
        text_prefix: "text: ".to_owned(),
        query_prefix: "query: ".to_owned(),
        ..Index::default()
    };
    let chosen = chosen(&counting, &index);
    let texts = chosen.ask(&["a", "b"], Purpose::Text).expect("answers");
    let query = chosen.ask(&["a"], Purpose::Query).expect("answers");
    assert_eq!((texts.vectors.len(), query.vectors.len()), (2, 1));
    // The probe is a text also beside a query, or it would seem to be of another model.
    assert_eq!(texts.probe, query.probe);
    let probe = format!("text: {PROBE}");
    let asked = counting.asked.lock().unwrap();
    assert_eq!(asked[0], [&*probe, "text: a", "text: b"]);
    assert_eq!(asked[1], [&*probe, "query: a"]);
}

#[test]
fn after_a_failure_it_rests_as_long_as_it_asked_and_queries_apart() {
    let counting = Counting::default();
    let chosen = chosen(&counting, &Index::default());
    counting.failures.store(1, Ordering::Relaxed);
    assert!(chosen.ask(&["a"], Purpose::Text).is_err());
    let Err(EmbedError::Resting { again_in, reason }) = chosen.ask(&["a"], Purpose::Text) else {
        panic!("it rests");
    };
    assert!(again_in > Duration::from_secs(30), "{again_in:?}");
    assert!(reason.contains("429"), "{reason}");
    assert_eq!(counting.asked.lock().unwrap().len(), 1);
    assert!(chosen.ask(&["a"], Purpose::Query).is_ok());
    chosen.recovered();
    assert!(chosen.ask(&["a"], Purpose::Text).is_ok());
    assert!(chosen.problem().is_none());
}

#[test]
fn rests_grow_to_a_minute() {
    let mut reach = Reach::default();
    let error = EmbedError::Answer { what: "no" };
    let mut rests = Vec::new();
    for _ in 0..9 {
        reach.failed(&error);
        let rest = reach.rests_until.expect("it rests");
        rests.push(rest.duration_since(Instant::now()).as_secs_f64().round());
    }
    assert_eq!(rests, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
}

#[test]
fn the_background_leaves_half_of_the_time_or_keeps_its_pace() {
    let counting = Counting::default();
    let index = Index {
        texts_per_s: 10,
        ..Index::default()
    };
    let second = Duration::from_secs(1);
    assert_eq!(chosen(&counting, &index).pause(50, second), second * 4);
    let free = chosen(&counting, &Index::default());
    assert_eq!(free.pause(50, second), second);
}
