//! The other forms of words that were asked for, read off the dictionaries of a segment once.
//!
//! A dictionary knows words as they are written, so each word near the one that is asked for has its
//! stems compared in many languages. People ask for the same words again, with every key
//! they press; a segment never changes, so what was found in it holds.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use tantivy::postings::TermInfo;
use tantivy::schema::Field;

/// How many words are kept for a segment, the last ones asked for; most have fewer than ten
/// forms, of fifty bytes.
const WORDS_MAX: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");

/// A form of a word.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Where its documents are.
    pub(super) term: TermInfo,
    /// The languages in which it is one.
    pub(super) languages: u64,
}

/// A word in a field.
type Word = (Field, Box<str>);

/// The forms of words in a segment.
#[derive(Debug)]
pub(super) struct Forms(Mutex<LruCache<Word, Arc<[Form]>>>);

impl Default for Forms {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(WORDS_MAX)))
    }
}

impl Forms {
    /// Returns the forms of a word in a field, looked up if they are not known.
    pub(super) fn of(
        &self,
        field: Field,
        word: &str,
        look_up: impl FnOnce() -> tantivy::Result<Vec<Form>>,
    ) -> tantivy::Result<Arc<[Form]>> {
        let key: Word = (field, word.into());
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forms) = known().get(&key) {
            return Ok(Arc::clone(forms));
        }
        let forms: Arc<[Form]> = look_up()?.into();
        known().put(key, Arc::clone(&forms));
        Ok(forms)
    }
}
