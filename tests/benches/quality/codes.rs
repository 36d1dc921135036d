//! What codes of one byte cost: the built-in model's vectors as the index keeps and compares them,
//! beside the same vectors as the model made them.

use crate::collection::Collection;
use node::embed::builtin::Builtin;
use node::embed::cosine;
use std::collections::BTreeMap;
use storage::projection::vectors::VectorIndex;
use storage::slots::Slot;

const DEPTH: usize = 100;

/// For each query the documents found, best first.
pub(crate) type Rankings = BTreeMap<String, Vec<String>>;

/// Ranks the documents by their vectors as made, and by their codes.
pub(crate) fn rank(collection: &Collection) -> (Rankings, Rankings) {
    let model = Builtin::load().expect("the model in the binary is whole");
    let documents = collection.documents.iter();
    let vectors: Vec<_> = documents.map(|(_, text)| model.embed_one(text)).collect();
    let mut index = VectorIndex::new(vectors.first().map_or(0, Vec::len));
    for (slot, vector) in (0..).map(Slot).zip(&vectors) {
        let put = index.put(slot, std::slice::from_ref(vector));
        put.expect("a vector of this model fits");
    }
    let name = |at: usize| collection.documents.get(at).map(|(name, _)| name.clone());
    let (mut made, mut coded) = (Rankings::new(), Rankings::new());
    for (number, query) in &collection.queries {
        let query = model.embed_one(query);
        let mut exact: Vec<(usize, f32)> = vectors
            .iter()
            .map(|vector| cosine(&query, vector))
            .enumerate()
            .collect();
        exact.sort_by(|left, right| right.1.total_cmp(&left.1));
        let exact = exact.iter().take(DEPTH);
        let exact = exact.filter_map(|(at, _)| name(*at));
        made.insert(number.clone(), exact.collect());
        let found = index.search(&query, None, DEPTH);
        let found = found.expect("the query is of this model");
        let found = found
            .iter()
            .filter_map(|(slot, _)| name(usize::try_from(slot.0).ok()?));
        coded.insert(number.clone(), found.collect());
    }
    (made, coded)
}

/// Returns which part of the ten nearest by one ranking are among the ten by another.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn shared_of_ten(made: &Rankings, coded: &Rankings) -> f64 {
    let (mut shared, mut all) = (0, 0);
    for (query, made) in made {
        let coded: Vec<_> = coded.get(query).into_iter().flatten().take(10).collect();
        let made = made.iter().take(10);
        all += made.len();
        shared += made.filter(|document| coded.contains(document)).count();
    }
    shared as f64 / all as f64
}
