//! Secret words: each is made up for one memory that is not shared, and looked for everywhere else.
//!
//! A node that may not know it must not find it, must not have it in its log, and must not have it
//! in the bytes of its data folder. No log may have it, not even its owner's.

use super::Run;
use crate::command;
use crate::fault::{Result, broken};
use std::collections::BTreeSet;

/// A word, and the nodes that may know it.
#[derive(Debug)]
pub(super) struct Canary {
    word: String,
    about: String,
    person: String,
    may_know: BTreeSet<String>,
}

impl Run<'_> {
    /// Makes a word up for a memory of this node. The person's other devices may have it.
    pub(super) fn new_canary(&mut self, who: &str, about: &str) -> String {
        let person = self.person(who);
        let is_own = |node: &&String| self.person(node) == person && !self.retired.contains(*node);
        let number = self.canaries.len();
        let word = word(&format!("{}-{}-{number}", self.name, self.scenario.name));
        self.canaries.push(Canary {
            word: word.clone(),
            about: about.to_owned(),
            may_know: self.scenario.nodes.iter().filter(is_own).cloned().collect(),
            person,
        });
        word
    }

    /// Lets a node that became a device of a person know what that person keeps secret.
    pub(super) fn may_know(&mut self, person: &str, who: &str) {
        for canary in self
            .canaries
            .iter_mut()
            .filter(|canary| canary.person == person)
        {
            canary.may_know.insert(who.to_owned());
        }
    }

    pub(super) fn no_canary_escaped(&self) -> Result<Option<String>> {
        if self.canaries.is_empty() {
            return broken("nothing was kept as secret");
        }
        let mut bytes = 0;
        for who in &self.scenario.nodes {
            let log = self.network.log(who)?;
            if let Some(canary) = self
                .canaries
                .iter()
                .find(|canary| log.contains(&canary.word))
            {
                return broken(format!("the log of {who} has {:?}", canary.about));
            }
            let secrets = self
                .canaries
                .iter()
                .filter(|canary| !canary.may_know.contains(who));
            let secrets: Vec<&Canary> = secrets.collect();
            for canary in &secrets {
                if self.answers(who) && self.found(who, &canary.word)? > 0 {
                    return broken(format!(
                        "{who} finds {:?} of {}",
                        canary.about, canary.person
                    ));
                }
            }
            bytes += self.scan(who, &secrets)?;
        }
        let count = self.canaries.len();
        Ok(Some(format!(
            "secrets: {count}, data folders: {} KiB",
            bytes / 1024
        )))
    }

    /// Looks for secrets in the data folder of a node; returns how many bytes it has.
    fn scan(&self, who: &str, secrets: &[&Canary]) -> Result<u64> {
        let words = secrets.iter().map(|canary| canary.word.as_bytes());
        let mut scan = Scan::new(words);
        command::stream(&mut self.network.data(who)?, |piece| scan.read(piece))?;
        if let Some(place) = scan.found {
            let about = secrets.get(place).map_or("", |canary| &canary.about);
            return broken(format!(
                "the data folder of {who} has {about:?} as plain text"
            ));
        }
        match scan.bytes {
            // A folder of a node is larger than an empty archive: there was nothing to look at.
            0..20_480 => broken(format!("the data folder of {who} cannot be read")),
            bytes => Ok(bytes),
        }
    }
}

/// Looks for words in a stream that comes in pieces.
#[derive(Debug)]
struct Scan<'a> {
    words: Vec<&'a [u8]>,
    kept: Vec<u8>,
    bytes: u64,
    found: Option<usize>,
}

impl<'a> Scan<'a> {
    fn new(words: impl Iterator<Item = &'a [u8]>) -> Self {
        Self {
            words: words.collect(),
            kept: Vec::new(),
            bytes: 0,
            found: None,
        }
    }

    /// Reads on. The end of the last piece is kept: a word may begin in it.
    fn read(&mut self, piece: &[u8]) {
        self.bytes += u64::try_from(piece.len()).unwrap_or_default();
        self.kept.extend_from_slice(piece);
        let has = |word: &&[u8]| self.kept.windows(word.len()).any(|part| part == *word);
        let found = self.words.iter().position(has);
        self.found = self.found.or(found);
        let longest = self.words.iter().map(|word| word.len()).max();
        let rest = self.kept.len().saturating_sub(longest.unwrap_or_default());
        self.kept.drain(..rest);
    }
}

/// Makes a word of letters that nobody writes and no index splits or stems.
fn word(seed: &str) -> String {
    let mut hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let letters = (0..12).map(|_| {
        let letter = u8::try_from(hash % 20).unwrap_or_default();
        hash /= 20;
        char::from(
            b"bcdfghjklmnpqrtvwxzk"
                .get(usize::from(letter))
                .copied()
                .unwrap_or(b'q'),
        )
    });
    format!("canary{}", letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_seen_across_pieces() {
        let words = [&b"needle"[..], b"pin"];
        let mut scan = Scan::new(words.into_iter());
        scan.read(b"hay hay nee");
        assert_eq!(scan.found, None);
        scan.read(b"dle hay");
        assert_eq!((scan.found, scan.bytes), (Some(0), 18));
        let mut scan = Scan::new(words.into_iter());
        scan.read(b"need not");
        scan.read(b"le");
        assert_eq!(scan.found, None);
    }

    #[test]
    fn words_differ() {
        assert_ne!(word("a-0"), word("a-1"));
        assert!(word("a").chars().all(|letter| letter.is_ascii_lowercase()));
    }
}
