//! The past, against the only judge there is: a store that never got the later events.
//!
//! The judge is made of the log up to a moment and of the keys that are left today, rebuilt; what
//! was purged since has no key there either. Both are asked the same, by words and by a toy model
//! of four dimensions, and must give the same hits in the same order with the same scores.

use super::*;
use crate::kv::faulty::SplitMix;
use crate::search::{Aside, Hit};
use crate::store::past::{AsItWas, Bounds, Past, PastError, Wanted};
use crdt::memory::{BodyEdit, Status};
use crdt::sidecar::Sensitivity;
use std::collections::BTreeSet;

const STEPS: u64 = 220;
const MOMENTS: u64 = 12;
const WORDS: [&str; 8] = [
    "harbour", "harbours", "canal", "rye", "bread", "violin", "granite", "orchard",
];
const QUERIES: [&str; 6] = [
    "harbour",
    "rye bread",
    "\"rye bread\"",
    "viol",
    "granit orchard",
    "topic",
];
const SELECTORS: [&str; 9] = [
    "",
    "tag:topic",
    "-tag:topic",
    "tag:mine",
    "space:work",
    "kind:task",
    "canal",
    "\"rye bread\" OR kind:note",
    "updated:>1970-01-01 from:me",
];

fn word(random: &mut SplitMix) -> &'static str {
    WORDS[usize::try_from(random.below(WORDS.len() as u64)).unwrap()]
}

fn sentence(random: &mut SplitMix) -> String {
    let count = random.below(12) + 1;
    let words: Vec<_> = (0..count).map(|_| word(random)).collect();
    words.join(" ")
}

/// A vector that depends on nothing but the text.
fn embed(title: &str, body: &str) -> Vec<Vec<f32>> {
    let mut vector = vec![0.0_f32; 4];
    for word in title.split(' ').chain(body.split(' ')) {
        let at = WORDS.iter().position(|known| *known == word);
        if let Some(at) = at {
            vector[at % 4] += 1.0;
        }
    }
    if vector.iter().all(|part| *part == 0.0) {
        return Vec::new();
    }
    vec![vector]
}

fn embed_all(store: &Store) {
    let (due, span) = store.due(Generation::BuiltIn, u64::MAX).unwrap();
    let made = due.into_iter().map(|due| {
        let vectors = due.content.as_ref();
        let vectors = vectors.map(|content| embed(&content.title, &content.body));
        (due.memory, vectors.unwrap_or_default())
    });
    let made: Vec<_> = made.collect();
    assert!(store.put_vectors(Generation::BuiltIn, &made, span).unwrap());
}

/// One random thing that a person does to a memory.
fn an_edit(bench: &Bench, memory: MemoryId, random: &mut SplitMix) -> MemoryEdit {
    let tags = BTreeSet::from(["topic".to_owned()]);
    let mut edit = MemoryEdit::default();
    match random.below(8) {
        0 => edit.content.body = Some(BodyEdit::Replace(sentence(random))),
        1 => edit.content.title = Some(sentence(random)),
        2 => edit.content.add_tags = tags,
        3 => edit.content.remove_tags = tags,
        4 => edit.content.kind = Some([MemoryKind::Task, MemoryKind::Note][pick(random)]),
        5 => edit.content.status = Some([Status::Forgotten, Status::Active][pick(random)]),
        6 => {
            edit.sidecar.space = Some(["work", "home"][pick(random)].to_owned());
            edit.sidecar.tags = [("mine".to_owned(), random.below(2) == 0)].into();
        }
        _ => {
            edit.sidecar.hidden = Some(random.below(3) == 0);
            edit.sidecar.sensitivity = Some(Sensitivity::Secret);
        }
    }
    // Sometimes on what it was at first, so that changes stand side by side and merge.
    if random.below(4) == 0 && bench.store().read(|state| !state.memories[&memory].purged) {
        edit.base = Some(vec![EventId(memory.0)]);
    }
    edit
}

fn pick(random: &mut SplitMix) -> usize {
    usize::from(random.below(2) == 0)
}

/// Writes a random life; returns the time after it.
fn live(bench: &Bench, random: &mut SplitMix) -> Timestamp {
    let mut memories: Vec<MemoryId> = Vec::new();
    let mut now = NOW;
    for _ in 0..STEPS {
        // Often several things in one millisecond.
        now = now.plus_ms(random.below(3));
        let at = usize::try_from(random.below(1_000)).unwrap() % memories.len().max(1);
        match (random.below(10), memories.get(at).copied()) {
            (0 | 1, _) | (_, None) => {
                let mut content = Content::new(MemoryKind::Note, now);
                (content.title, content.body) = (sentence(random), sentence(random));
                let sidecar = SidecarPatch::default();
                let made = bench
                    .store()
                    .transact(now, |tx| tx.create(&content, &sidecar));
                memories.push(made.unwrap());
            }
            (2, Some(memory)) if random.below(4) == 0 => {
                bench.store().transact(now, |tx| tx.purge(memory)).unwrap();
                memories.remove(at);
            }
            (_, Some(memory)) => {
                let edit = an_edit(bench, memory, random);
                let edited = bench.store().transact(now, |tx| tx.edit(memory, &edit));
                edited.unwrap();
            }
        }
    }
    now.plus_ms(1)
}

/// Opens a store that has the keys of another and its log up to a moment.
fn judge(bench: &Bench, moment: Timestamp, text: &Path) -> Store {
    let inner = MemoryStore::open(&MemoryDisk::new()).unwrap();
    let kv: Arc<dyn Kv> = Arc::new(Sealed::new(Arc::new(inner), &bench.master));
    let mut batch = Batch::new();
    for keyspace in [layout::LOG, layout::KEY, layout::META] {
        let mut copy = |key: &[u8], value: &[u8]| {
            let is_late = keyspace == layout::LOG && {
                let event: Signed<Event> = Signed::from_bytes(value).unwrap();
                event.header().time.wall() > moment
            };
            if !is_late {
                batch.put(keyspace, key.to_vec(), value.to_vec());
            }
            Ok(true)
        };
        open::each_row(&*bench.kv, keyspace, None, &mut copy).unwrap();
    }
    batch.put(layout::META, layout::meta::FORMAT, vec![1, 0]);
    kv.commit(batch, Durability::Durable).unwrap();
    let store = Store::open(bench.parts(kv, &bench.master, text), NOW).unwrap();
    store.rebuild(NOW).unwrap();
    embed_all(&store);
    store
}

/// A hit with all that is shown of it.
type Shown = (MemoryId, u32, String, Content, Vec<String>, String);

fn shown(hit: &Hit, facts: &Facts, content: Content) -> Shown {
    let tags = facts.sidecar.tags().map(str::to_owned).collect();
    let labels = format!(
        "{} {:?} {} {} {:?}",
        facts.kind,
        facts.tags,
        facts.updated.wall().0,
        facts.sidecar.space(),
        facts.heads(),
    );
    let why = format!("{:?}", hit.why);
    (
        facts.id,
        hit.score.to_bits(),
        why + &labels,
        content,
        tags,
        facts.status.to_string(),
    )
}

fn request<'a>(query: &'a TextQuery, vector: &'a [f32], limit: usize) -> SearchRequest<'a> {
    SearchRequest {
        query,
        vector: Some(vector),
        allowed: None,
        mode: SearchMode::Hybrid,
        limit,
        fusion: Fusion::default(),
    }
}

fn asked_of_the_past(store: &Store, (past, aside): (&Past, &Aside), query: &str) -> Vec<Shown> {
    let vector = embed("", query).pop().unwrap_or_else(|| vec![1.0; 4]);
    let query = TextQuery::parse(query);
    let hits = store.search_past((past, aside), &request(&query, &vector, 30));
    let of_now = |slot: Slot| {
        let facts = store.read(|state| Facts::clone(&state.memories[&state.slots[&slot.0]]));
        let content = store.content(facts.id).unwrap().unwrap();
        AsItWas { facts, content }
    };
    let hits = hits.unwrap();
    let all = hits.iter().map(|hit| {
        let was = past.changed.get(&hit.slot).cloned();
        let AsItWas { facts, content } = was.unwrap_or_else(|| of_now(hit.slot));
        shown(hit, &facts, content)
    });
    all.collect()
}

fn asked_of_the_judge(store: &Store, selector: &Selector, query: &str) -> Vec<Shown> {
    let vector = embed("", query).pop().unwrap_or_else(|| vec![1.0; 4]);
    let query = TextQuery::parse(query);
    let allowed: SlotSet = store
        .read(|state| state.memories.values().cloned().collect::<Vec<_>>())
        .into_iter()
        .filter(|facts| {
            let content = store.content(facts.id).unwrap();
            let content = content.unwrap_or_else(|| Content::new(MemoryKind::Note, NOW));
            store.read(|state| {
                let labels = state.label(facts, NOW);
                let labels = labels.with_text(&content.title, &content.body);
                state.is_shown(facts) && selector.matches(&labels)
            })
        })
        .map(|facts| Slot(facts.slot))
        .collect();
    let mut asked = request(&query, &vector, 30);
    // Without a filter the index itself counts what there is.
    asked.allowed = (*selector != Selector::All).then_some(&allowed);
    let hits = store.search(Generation::BuiltIn, &asked).unwrap();
    let all = hits.iter().map(|hit| {
        let facts = store.read(|state| Facts::clone(&state.memories[&state.slots[&hit.slot.0]]));
        let content = store.content(facts.id).unwrap().unwrap();
        shown(hit, &facts, content)
    });
    all.collect()
}

fn wanted(selector: &Selector) -> Wanted<'_> {
    Wanted {
        selector,
        shows: &State::is_shown,
        now: NOW,
    }
}

fn look(bench: &Bench, moment: Timestamp, selector: &Selector) -> (Past, Aside) {
    let past = bench.store().past(moment, wanted(selector)).unwrap();
    let aside = bench.store().aside(&past, &embed).unwrap();
    (past, aside)
}

#[test]
fn the_past_is_what_a_store_without_the_later_events_says() {
    let (mut hits, mut changed, mut gone) = (0, 0, 0);
    for seed in 1..=3 {
        let mut random = SplitMix(20_261_128 + seed);
        let bench = Bench::new(u8::try_from(seed).unwrap());
        let end = live(&bench, &mut random);
        embed_all(bench.store());
        for _ in 0..MOMENTS {
            let moment = NOW.plus_ms(random.below(end.0 - NOW.0));
            let folder = tempfile::tempdir().unwrap();
            let judge = judge(&bench, moment, folder.path());
            for selector in SELECTORS {
                let selector = Selector::parse(selector).unwrap();
                let (past, aside) = look(&bench, moment, &selector);
                changed += past.changed.len();
                gone += past.gone;
                for query in QUERIES {
                    let ours = asked_of_the_past(bench.store(), (&past, &aside), query);
                    let theirs = asked_of_the_judge(&judge, &selector, query);
                    let at = moment.0 - NOW.0;
                    assert_eq!(ours, theirs, "seed {seed}, {at} ms, {selector}: {query}");
                    hits += ours.len();
                }
            }
        }
    }
    assert!(
        hits > 1_000 && changed > 1_000 && gone > 100,
        "{hits} {changed} {gone}"
    );
}

#[test]
fn a_memory_of_then_is_shown_as_it_was_and_a_purged_one_is_counted() {
    let bench = Bench::new(1);
    let (memory, purged) = (bench.create("rye"), bench.create("rye too"));
    let then = bench.store().read(|state| state.clock.wall());
    let later = then.plus_ms(5);
    let edit = MemoryEdit {
        content: Edit {
            body: Some(BodyEdit::Replace("canal".to_owned())),
            ..Edit::default()
        },
        ..MemoryEdit::default()
    };
    let edited = bench.store().transact(later, |tx| tx.edit(memory, &edit));
    assert!(edited.unwrap().changed);
    let done = bench.store().transact(later, |tx| tx.purge(purged));
    done.unwrap();
    let (past, _) = look(&bench, then, &Selector::All);
    let bodies: Vec<_> = past
        .changed
        .values()
        .map(|was| was.content.body.as_str())
        .collect();
    assert_eq!((bodies, past.gone), (vec!["rye"], 1));
    assert!(past.unchanged.is_empty());
    let at = |moment| bench.store().memory_at(memory, moment).unwrap();
    assert_eq!(at(then).unwrap().content.body, "rye");
    assert_eq!(at(then).unwrap().facts.heads(), [EventId(memory.0)]);
    assert_eq!(at(later).unwrap().content.body, "canal");
    assert!(at(Timestamp(1)).is_none(), "it was not there yet");
    let gone = bench.store().memory_at(purged, then).unwrap();
    assert!(gone.is_none());
    let (past, _) = look(&bench, Timestamp(1), &Selector::All);
    assert_eq!((past.changed.len(), past.gone), (0, 0));
}

#[test]
fn what_was_looked_at_stands_until_something_of_then_is_changed() {
    let bench = Bench::new(1);
    let memory = bench.create("rye");
    let then = bench.store().read(|state| state.clock.wall());
    let later = then.plus_ms(5);
    let (past, _) = look(&bench, then, &Selector::All);
    let content = Content::new(MemoryKind::Note, later);
    let made = bench
        .store()
        .transact(later, |tx| tx.create(&content, &SidecarPatch::default()));
    made.unwrap();
    assert!(
        bench.store().still_stands(&past),
        "what is new was not there"
    );
    let patch = MemoryEdit {
        sidecar: SidecarPatch {
            hidden: Some(true),
            ..SidecarPatch::default()
        },
        ..MemoryEdit::default()
    };
    let hidden = bench.store().transact(later, |tx| tx.edit(memory, &patch));
    assert!(hidden.unwrap().changed);
    assert!(!bench.store().still_stands(&past));
    let (past, _) = look(&bench, then, &Selector::All);
    assert_eq!(past.changed.len(), 1, "it was put aside after that");
}

#[test]
fn an_answer_about_the_past_is_bounded() {
    let bench = Bench::new(1);
    let memories = [bench.create("rye"), bench.create("a canal")];
    let then = bench.store().read(|state| state.clock.wall());
    for memory in memories {
        let mut edit = MemoryEdit::default();
        edit.content.body = Some(BodyEdit::Replace("longer than it was".to_owned()));
        let edited = bench
            .store()
            .transact(then.plus_ms(5), |tx| tx.edit(memory, &edit));
        assert!(edited.unwrap().changed);
    }
    let all = Selector::All;
    let rye = Selector::parse("rye").unwrap();
    let look = |selector, changed, bytes| {
        let bounds = Bounds { changed, bytes };
        bench.store().past_within(then, wanted(selector), bounds)
    };
    assert_eq!(look(&all, 2, 10).unwrap().changed.len(), 2);
    assert!(matches!(look(&all, 1, 10), Err(PastError::TooMany(2))));
    assert!(matches!(look(&all, 2, 9), Err(PastError::TooLarge)));
    assert_eq!(
        look(&rye, 2, 9).unwrap().changed.len(),
        1,
        "only what is wanted is held"
    );
}
