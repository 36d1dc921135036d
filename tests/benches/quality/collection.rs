//! A test collection in TREC's format: documents, queries, and which document answers which.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

/// A test collection.
pub(crate) struct Collection {
    /// Number and text.
    pub(crate) documents: Vec<(String, String)>,
    /// Number and text, in lower case: this collection shouts.
    pub(crate) queries: Vec<(String, String)>,
    /// The documents that answer a query.
    pub(crate) relevant: BTreeMap<String, BTreeSet<String>>,
}

impl Collection {
    /// Reads a collection; none where there is none.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let packed = std::fs::File::open(folder.join("documents.trec.gz")).ok()?;
        let mut documents = String::new();
        let mut unpacked = flate2::read::GzDecoder::new(packed);
        unpacked.read_to_string(&mut documents).ok()?;
        let queries = std::fs::read_to_string(folder.join("queries.trec")).ok()?;
        let judged = std::fs::read_to_string(folder.join("qrels")).ok()?;
        let mut relevant: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in judged.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [query, _, document, "1"] = fields[..] {
                let answers = relevant.entry(query.to_owned()).or_default();
                answers.insert(document.to_owned());
            }
        }
        let documents = entries(&documents, "<DOC>", "DOCNO");
        let queries = entries(&queries, "<top>", "num").into_iter();
        let queries = queries.filter(|(number, _)| relevant.contains_key(number));
        Some(Self {
            documents,
            queries: queries.map(|(n, text)| (n, text.to_lowercase())).collect(),
            relevant,
        })
    }
}

/// Returns number and text of each entry; the texts hold no marks besides these few.
fn entries(text: &str, begin: &str, number: &str) -> Vec<(String, String)> {
    let (open, close) = (format!("<{number}>"), format!("</{number}>"));
    let read = |entry: &str| {
        let (_, entry) = entry.split_once(&open)?;
        let (number, entry) = entry.split_once(&close)?;
        let text = entry.replace("<title>", " ");
        let text = text.split("</").next().unwrap_or_default().trim();
        Some((number.trim().to_owned(), text.to_owned()))
    };
    text.split(begin).filter_map(read).collect()
}
