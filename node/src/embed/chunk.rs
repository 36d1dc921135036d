//! Long texts in overlapping pieces, so that each vector speaks of one thing.
//!
//! Not a Markdown parser: borders are blank lines, then ends of sentences, then spaces. The flow:
//! take up to [`CHUNK_BYTES_MAX`], step back to the best border in its second half, go on from a
//! word some [`OVERLAP_BYTES`] before that border. Each piece has the title in front, because a
//! paragraph rarely names its own subject.
//!
//! Invariant: pieces cover the text in order from its start, never cut a character, and are at
//! most [`CHUNKS_MAX`]; text beyond the last piece is found by text search only.

use super::builtin::Builtin;

/// The most bytes of text in a piece, title aside: about 200 English words, what MiniLM-like
/// models read at once. Raising it blurs several subjects into one vector.
pub const CHUNK_BYTES_MAX: usize = 1_200;
/// The bytes that a piece repeats of the one before, so that no sentence loses its context.
pub const OVERLAP_BYTES: usize = 150;
/// The most pieces per text; it bounds the vectors that one memory can cost.
pub const CHUNKS_MAX: usize = 64;
/// The most bytes of the title that are put in front of each piece.
pub const TITLE_BYTES_MAX: usize = 200;

/// Splits a text into pieces with the title in front; a short text is one piece, and a text
/// without any word gives the title alone, or nothing without a title.
pub fn split(title: &str, text: &str) -> Vec<String> {
    let title = head(title.trim(), TITLE_BYTES_MAX).trim_end();
    let mut rest = text.trim();
    let mut pieces = Vec::new();
    while !rest.is_empty() && pieces.len() < CHUNKS_MAX {
        let piece = head(rest, border(rest));
        pieces.push(titled(title, piece.trim()));
        if piece.len() == rest.len() {
            break;
        }
        rest = rest.get(resume(piece)..).unwrap_or_default().trim_start();
    }
    if pieces.is_empty() && !title.is_empty() {
        pieces.push(title.to_owned());
    }
    pieces
}

/// Returns the vectors of the pieces of a text; none for a piece without any known word.
pub fn embedded(model: Builtin, title: &str, text: &str) -> Vec<Vec<f32>> {
    let pieces = split(title, text);
    let vectors = pieces.iter().map(|piece| model.embed_one(piece));
    vectors
        .filter(|vector| vector.iter().any(|part| *part != 0.0))
        .collect()
}

fn titled(title: &str, piece: &str) -> String {
    if title.is_empty() {
        piece.to_owned()
    } else {
        format!("{title}\n{piece}")
    }
}

/// Returns the start of a text, at most so many bytes and whole characters.
fn head(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or_default()
}

/// Returns where the first piece of a text ends: the last paragraph, sentence or word border in
/// the second half of what fits.
fn border(text: &str) -> usize {
    if text.len() <= CHUNK_BYTES_MAX {
        return text.len();
    }
    let window = head(text, CHUNK_BYTES_MAX);
    let half = window.floor_char_boundary(CHUNK_BYTES_MAX / 2);
    let late = window.get(half..).unwrap_or_default();
    let paragraph = late.rfind("\n\n").map(|at| at + 2);
    paragraph
        .or_else(|| sentence_end(late))
        .or_else(|| {
            late.rfind(char::is_whitespace)
                .map(|at| late.ceil_char_boundary(at + 1))
        })
        .map_or(window.len(), |at| half + at)
}

/// Returns the place after the last sentence; CJK full stops need no space after them.
fn sentence_end(text: &str) -> Option<usize> {
    let mut end = None;
    let mut last = ' ';
    for (at, c) in text.char_indices() {
        if c.is_whitespace() && matches!(last, '.' | '!' | '?' | '…') {
            end = Some(at);
        }
        if matches!(c, '。' | '！' | '？') {
            end = Some(at + c.len_utf8());
        }
        last = c;
    }
    end
}

/// Returns where the next piece starts: at a word inside the last [`OVERLAP_BYTES`].
fn resume(piece: &str) -> usize {
    let from = piece.ceil_char_boundary(piece.len().saturating_sub(OVERLAP_BYTES));
    let tail = piece.get(from..).unwrap_or_default().trim_end();
    match tail.find(char::is_whitespace) {
        Some(at) => from + at,
        None => piece.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize, mark: &str) -> String {
        (0..count)
            .map(|at| format!("w\u{f6}rd{at}{mark}"))
            .collect::<Vec<_>>()
            .concat()
    }

    #[test]
    fn a_short_text_is_one_piece_and_an_empty_one_its_title() {
        assert_eq!(split("Title", " a text \n"), ["Title\na text"]);
        assert_eq!(split("", "a text"), ["a text"]);
        assert_eq!(split("Title", " \n"), ["Title"]);
        assert!(split(" ", "").is_empty());
    }

    #[test]
    fn every_word_of_a_long_text_is_in_some_piece() {
        for mark in [" ", ". ", "\n\n", "\u{3002}"] {
            let text = words(900, mark);
            let pieces = split("T", &text);
            assert!(pieces.len() > 5, "{mark:?}");
            for word in words(900, " ").split_whitespace() {
                assert!(
                    pieces.iter().any(|piece| piece.contains(word)),
                    "{word} {mark:?}"
                );
            }
            for piece in &pieces {
                assert!(piece.starts_with("T\n") && piece.len() <= CHUNK_BYTES_MAX + 2);
            }
        }
    }

    #[test]
    fn neighbours_overlap() {
        let pieces = split("", &words(900, ". "));
        for pair in pieces.windows(2) {
            let first = pair[1].split_whitespace().next().unwrap();
            assert!(pair[0].contains(first), "{first}");
        }
    }

    #[test]
    fn a_paragraph_border_is_preferred_to_a_sentence() {
        let text = format!("{}\n\n{}", words(80, ". "), words(80, ". "));
        let pieces = split("", &text);
        assert!(pieces[0].ends_with("w\u{f6}rd79."), "{}", pieces[0]);
    }

    #[test]
    fn text_without_any_border_is_cut_between_characters_and_bounded() {
        let pieces = split("", &"\u{1F642}".repeat(100_000));
        assert_eq!(pieces.len(), CHUNKS_MAX);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.chars().all(|c| c == '\u{1F642}'))
        );
    }
}
