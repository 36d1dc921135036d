//! The recovery phrase: 24 words (BIP-39, English) that stand for a person's root key.
//!
//! The words are the key itself. Whoever has them is this person; without them and without a
//! device nobody can be.

use crate::identity::PersonKey;
use bip39::{Language, Mnemonic};
use thiserror::Error;
use zeroize::Zeroizing;

/// The number of words.
pub const WORDS: usize = 24;

/// The reason why text is no recovery phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PhraseError {
    /// There are more or fewer words.
    #[error("there are {0} words, a recovery phrase has {WORDS}")]
    Count(usize),
    /// A word is not on the list.
    #[error("word {0} is not on the list of words")]
    Word(usize),
    /// The words do not belong together.
    #[error("the words do not belong together: one of them is wrong or out of place")]
    Checksum,
}

pub(super) fn of(seed: &[u8; 32]) -> Zeroizing<String> {
    let phrase = Mnemonic::from_entropy_in(Language::English, seed)
        .expect("32 bytes are a length that the list of words takes");
    Zeroizing::new(phrase.to_string())
}

/// Reads the key that a phrase stands for. Numbers, punctuation and capitals do not matter.
pub fn read(text: &str) -> Result<PersonKey, PhraseError> {
    let lower = Zeroizing::new(text.to_lowercase());
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .collect();
    if words.len() != WORDS {
        return Err(PhraseError::Count(words.len()));
    }
    let list = Language::English.word_list();
    if let Some(at) = words.iter().position(|word| !list.contains(word)) {
        return Err(PhraseError::Word(at.saturating_add(1)));
    }
    let joined = Zeroizing::new(words.join(" "));
    let phrase =
        Mnemonic::parse_in_normalized(Language::English, &joined).or(Err(PhraseError::Checksum))?;
    let entropy = Zeroizing::new(phrase.to_entropy());
    let seed: [u8; 32] = entropy
        .as_slice()
        .try_into()
        .or(Err(PhraseError::Checksum))?;
    Ok(PersonKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_stand_for_the_key() {
        let person = PersonKey::from_seed(&[7; 32]);
        let phrase = person.phrase();
        assert_eq!(phrase.split(' ').count(), WORDS);
        assert_eq!(read(&phrase).expect("the same words").id(), person.id());
        let numbered: Vec<String> = phrase
            .split(' ')
            .enumerate()
            .map(|(n, word)| format!("{}. {}", n + 1, word.to_uppercase()))
            .collect();
        let read_again = read(&numbered.join("\n")).expect("as written on paper");
        assert_eq!(read_again.id(), person.id());
    }

    #[test]
    fn wrong_words_are_named() {
        let phrase = PersonKey::from_seed(&[7; 32]).phrase();
        let mut words: Vec<&str> = phrase.split(' ').collect();
        assert_eq!(
            read(&words[..23].join(" ")).expect_err("too few"),
            PhraseError::Count(23)
        );
        words[3] = "sourdough";
        assert_eq!(
            read(&words.join(" ")).expect_err("no such word"),
            PhraseError::Word(4)
        );
        let mut words: Vec<&str> = phrase.split(' ').collect();
        words[0] = if words[0] == "zoo" { "abandon" } else { "zoo" };
        assert_eq!(
            read(&words.join(" ")).expect_err("another word"),
            PhraseError::Checksum
        );
    }
}
