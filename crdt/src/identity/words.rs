//! Safety words: four words (44 bits) that two people compare aloud.
//!
//! They are derived from the person's key, so each person has the same words everywhere. They
//! guard against a swapped ticket, not against someone who can search 2^44 keys for a match.

use crate::hash::Hash;
use crate::id::PersonId;

/// Returns the four safety words of a person, from the BIP-39 English list.
pub fn safety_words(person: &PersonId) -> String {
    let hash = Hash::of("second-brain 2026 v1 safety words", &[person.as_bytes()]);
    let list = bip39::Language::English.word_list();
    let mut words = Vec::with_capacity(4);
    for pair in hash.0.chunks_exact(2).take(4) {
        let number = pair
            .iter()
            .fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        words.extend(list.get(number % list.len()).copied());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_four_and_stable() {
        let words = safety_words(&PersonId([1; 32]));
        assert_eq!(words.split(' ').count(), 4);
        assert_eq!(words, safety_words(&PersonId([1; 32])));
        assert_ne!(words, safety_words(&PersonId([2; 32])));
    }
}
