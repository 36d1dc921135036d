//! The documents one search may see, and the statistics over exactly those.
//!
//! BM25 weighs a word by how rare it is and a text by how long texts are. Were these counted over
//! all documents, a hidden one would shift the order of visible ones; so under a filter they are
//! counted over the allowed documents only. Without a filter the index's own totals serve.
//!
//! Invariant: nothing computed here depends on a document outside the view.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::query::{Bm25StatisticsProvider, EnableScoring, Query};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocId, DocSet as _, Score, Searcher, SegmentReader, TERMINATED, Term};

use super::schema::SLOT;
use crate::slots::{Slot, SlotSet};

/// The searcher, narrowed to the allowed documents.
pub(super) struct View<'a> {
    pub(super) searcher: &'a Searcher,
    with_length: &'a [Field],
    filter: Option<Filter>,
}

struct Filter {
    /// The allowed documents of each segment, a bitmap over document numbers.
    documents: Vec<Arc<SlotSet>>,
    count: u64,
    tokens: HashMap<Field, u64>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        searcher: &'a Searcher,
        allowed: Option<&SlotSet>,
        with_length: &'a [Field],
    ) -> tantivy::Result<Self> {
        let Some(allowed) = allowed else {
            return Ok(Self {
                searcher,
                with_length,
                filter: None,
            });
        };
        let mut documents = Vec::new();
        let mut tokens = HashMap::new();
        for segment in searcher.segment_readers() {
            let slots = segment.fast_fields().u64(SLOT)?;
            let seen = |doc: &DocId| slots.first(*doc).is_some_and(|s| allowed.contains(Slot(s)));
            let inside: Vec<DocId> = segment.doc_ids_alive().filter(seen).collect();
            for &field in with_length {
                let lengths = segment.get_fieldnorms_reader(field)?;
                let sum: u64 = inside
                    .iter()
                    .map(|doc| u64::from(lengths.fieldnorm(*doc)))
                    .sum();
                *tokens.entry(field).or_default() += sum;
            }
            let inside = inside.into_iter().map(|doc| Slot(u64::from(doc)));
            documents.push(Arc::new(inside.collect::<SlotSet>()));
        }
        let count = documents.iter().map(|documents| documents.len()).sum();
        Ok(Self {
            searcher,
            with_length,
            filter: Some(Filter {
                documents,
                count,
                tokens,
            }),
        })
    }

    /// Returns whether no document can be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.filter
            .as_ref()
            .map_or_else(|| self.searcher.num_docs(), |filter| filter.count)
            == 0
    }

    /// Returns whether any visible document matches.
    pub(super) fn any(&self, query: &dyn Query) -> tantivy::Result<bool> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(self.searcher))?;
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let inside = self.segment(ordinal);
            let mut matching = weight.scorer(segment, 1.0)?;
            while matching.doc() != TERMINATED {
                let doc = matching.doc();
                let allowed = inside
                    .as_ref()
                    .is_none_or(|set| set.contains(Slot(doc.into())));
                if allowed && !segment.is_deleted(doc) {
                    return Ok(true);
                }
                matching.advance();
            }
        }
        Ok(false)
    }

    /// Returns the `limit` best visible documents, best first, equals by slot.
    pub(super) fn best(&self, query: &dyn Query, limit: usize) -> tantivy::Result<Vec<Ranked>> {
        let collector = Best {
            view: self.filter.as_ref().map(|f| f.documents.clone()),
            limit,
        };
        self.searcher
            .search_with_statistics_provider(query, &collector, self)
    }

    fn segment(&self, ordinal: usize) -> Option<Arc<SlotSet>> {
        self.filter
            .as_ref()
            .and_then(|filter| filter.documents.get(ordinal).cloned())
    }
}

impl Bm25StatisticsProvider for View<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        if !self.with_length.contains(&field) {
            // An average of one, which is also the length every text of such a field is given.
            return self.total_num_docs();
        }
        match &self.filter {
            None => self.searcher.total_num_tokens(field),
            Some(filter) => Ok(filter.tokens.get(&field).copied().unwrap_or(0)),
        }
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        self.filter
            .as_ref()
            .map_or_else(|| self.searcher.total_num_docs(), |f| Ok(f.count))
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let Some(filter) = &self.filter else {
            return self.searcher.doc_freq(term);
        };
        let mut count = 0;
        for (segment, inside) in self
            .searcher
            .segment_readers()
            .iter()
            .zip(&filter.documents)
        {
            let inverted = segment.inverted_index(term.field())?;
            let postings = inverted.read_postings(term, IndexRecordOption::Basic)?;
            if let Some(mut postings) = postings {
                while postings.doc() != TERMINATED {
                    count += u64::from(inside.contains(Slot(postings.doc().into())));
                    postings.advance();
                }
            }
        }
        Ok(count)
    }
}

/// A document with its score; greater is better, and of equals the smaller slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked {
    pub(super) score: Score,
    pub(super) slot: Slot,
    pub(super) address: DocAddress,
}

/// Collects the best documents of the view.
struct Best {
    view: Option<Vec<Arc<SlotSet>>>,
    limit: usize,
}

struct BestOfSegment {
    ordinal: u32,
    slots: Column<u64>,
    inside: Option<Arc<SlotSet>>,
    limit: usize,
    heap: BinaryHeap<Reverse<Ranked>>,
}

impl Collector for Best {
    type Fruit = Vec<Ranked>;
    type Child = BestOfSegment;

    fn for_segment(
        &self,
        segment_local_id: u32,
        segment: &SegmentReader,
    ) -> tantivy::Result<BestOfSegment> {
        let place = usize::try_from(segment_local_id).unwrap_or(usize::MAX);
        Ok(BestOfSegment {
            ordinal: segment_local_id,
            slots: segment.fast_fields().u64(SLOT)?,
            inside: self.view.as_ref().and_then(|view| view.get(place).cloned()),
            limit: self.limit,
            heap: BinaryHeap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segment_fruits: Vec<Vec<Ranked>>) -> tantivy::Result<Vec<Ranked>> {
        let mut all: Vec<Ranked> = segment_fruits.into_iter().flatten().collect();
        all.sort_by(|left, right| right.cmp(left));
        all.truncate(self.limit);
        Ok(all)
    }
}

impl SegmentCollector for BestOfSegment {
    type Fruit = Vec<Ranked>;

    fn collect(&mut self, doc: DocId, score: Score) {
        if self
            .inside
            .as_ref()
            .is_some_and(|inside| !inside.contains(Slot(doc.into())))
        {
            return;
        }
        let Some(slot) = self.slots.first(doc) else {
            return;
        };
        let address = DocAddress::new(self.ordinal, doc);
        let ranked = Ranked {
            score,
            slot: Slot(slot),
            address,
        };
        if self.heap.len() < self.limit {
            self.heap.push(Reverse(ranked));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && worst.0 < ranked
        {
            *worst = Reverse(ranked);
        }
    }

    fn harvest(self) -> Vec<Ranked> {
        self.heap
            .into_iter()
            .map(|Reverse(ranked)| ranked)
            .collect()
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score
            .total_cmp(&other.score)
            .then(other.slot.cmp(&self.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
