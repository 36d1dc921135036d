//! Reads a selector: one pass over the characters, errors with their position.

use super::{Bound, DAY_MS, DEPTH_MAX, SELECTOR_BYTES_MAX, Selector, SelectorError};
use crate::time::Timestamp;

const KEYS: &str = "id, tag, space, kind, from, status, created, updated, shared-with";
const KINDS: [&str; 6] = [
    "note",
    "document",
    "bookmark",
    "task",
    "conversation",
    "observation",
];

/// Tells whether a character can stand in a word without quotes.
pub(super) fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '"' | '(' | ')' | '\\')
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

pub(super) fn parse(text: &str) -> Result<Selector, SelectorError> {
    if text.len() > SELECTOR_BYTES_MAX {
        let what = format!("a selector has at most {SELECTOR_BYTES_MAX} bytes; it is too long");
        return Err(SelectorError {
            what,
            at: SELECTOR_BYTES_MAX,
        });
    }
    let mut parser = Parser {
        chars: text.chars().collect(),
        at: 0,
    };
    parser.skip_space();
    if parser.peek().is_none() {
        return Ok(Selector::All);
    }
    let selector = parser.any(0)?;
    match parser.peek() {
        None => Ok(selector),
        Some(_) => Err(parser.error("this \")\" closes nothing")),
    }
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }
    fn error(&self, what: impl Into<String>) -> SelectorError {
        SelectorError {
            what: what.into(),
            at: self.at + 1,
        }
    }
    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }
    /// Takes the word OR if it stands here alone.
    fn takes_or(&mut self) -> bool {
        let word: String = self
            .chars
            .iter()
            .skip(self.at)
            .take_while(|c| is_plain(**c))
            .collect();
        if word == "OR" {
            self.at += 2;
            self.skip_space();
        }
        word == "OR"
    }

    fn any(&mut self, depth: usize) -> Result<Selector, SelectorError> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("a selector nests at most {DEPTH_MAX} deep")));
        }
        let mut parts = vec![self.all(depth)?];
        while self.takes_or() {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Selector::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Selector, SelectorError> {
        let mut parts = Vec::new();
        loop {
            let before = self.at;
            match self.peek() {
                None | Some(')') => break,
                Some(_) if self.takes_or() => {
                    self.at = before;
                    break;
                }
                Some(_) => parts.push(self.one(depth)?),
            }
            self.skip_space();
        }
        if parts.is_empty() {
            return Err(self.error("something to select is missing"));
        }
        Ok(one_or(parts, Selector::And))
    }

    fn one(&mut self, depth: usize) -> Result<Selector, SelectorError> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("a selector nests at most {DEPTH_MAX} deep")));
        }
        match self.peek() {
            Some('-') => {
                self.at += 1;
                if self.peek().is_none_or(char::is_whitespace) {
                    return Err(self.error("\"-\" needs something right after it to leave out"));
                }
                Ok(Selector::Not(Box::new(self.one(depth + 1)?)))
            }
            Some('(') => {
                let open = self.error("this \"(\" is never closed");
                self.at += 1;
                self.skip_space();
                let inner = self.any(depth + 1)?;
                if self.peek() != Some(')') {
                    return Err(open);
                }
                self.at += 1;
                self.skip_space();
                Ok(inner)
            }
            Some('"') => Ok(Selector::Text(self.quoted()?.to_lowercase())),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Selector, SelectorError> {
        let start = self.at;
        let mut key = String::new();
        while let Some(c) = self.peek().filter(|c| is_plain(*c)) {
            self.at += 1;
            if c == ':' {
                return self.pair(&key, start);
            }
            key.push(c);
        }
        if key.is_empty() {
            return Err(self.error("a quote or a word is expected"));
        }
        Ok(Selector::Text(key.to_lowercase()))
    }

    fn pair(&mut self, key: &str, start: usize) -> Result<Selector, SelectorError> {
        let value_at = self.at;
        let value = if self.peek() == Some('"') {
            self.quoted()?
        } else {
            let value: String = self
                .chars
                .iter()
                .skip(self.at)
                .take_while(|c| is_plain(**c))
                .collect();
            self.at += value.chars().count();
            value
        };
        let error = |what: String, at: usize| SelectorError { what, at: at + 1 };
        if value.is_empty() {
            return Err(error(
                format!("\"{key}:\" needs a value right after it"),
                value_at,
            ));
        }
        let selector = match key {
            "id" => Selector::Id(value.to_lowercase()),
            "tag" => Selector::Tag(value.trim_start_matches('#').to_owned()),
            "space" => Selector::Space(value),
            "kind" if KINDS.contains(&value.as_str()) => Selector::Kind(value),
            "kind" => {
                let what = format!("{value:?} is no kind; there are {}", KINDS.join(", "));
                return Err(error(what, value_at));
            }
            "from" => Selector::From(value),
            "status" if matches!(value.as_str(), "active" | "forgotten") => Selector::Status(value),
            "status" => {
                return Err(error(
                    "a status is active or forgotten".to_owned(),
                    value_at,
                ));
            }
            "shared-with" => Selector::SharedWith(value),
            "created" | "updated" => {
                let bound = bound(&value).ok_or_else(|| {
                    let what = format!("{value:?} is no date such as >2026-11-01 or <=2026-12-31");
                    error(what, value_at)
                })?;
                if key == "created" {
                    Selector::Created(bound)
                } else {
                    Selector::Updated(bound)
                }
            }
            _ => return Err(error(format!("{key:?} is no key; there are {KEYS}"), start)),
        };
        Ok(selector)
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        let open = self.error("this quote is never closed");
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '"' if text.is_empty() => {
                    return Err(SelectorError {
                        what: "the quotes are empty".into(),
                        ..open
                    });
                }
                '"' => return Ok(text),
                '\\' => {
                    text.extend(self.peek());
                    self.at += 1;
                }
                c => text.push(c),
            }
        }
        Err(open)
    }
}

fn one_or(mut parts: Vec<Selector>, many: impl FnOnce(Vec<Selector>) -> Selector) -> Selector {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

/// Reads `>DATE`, `>=DATE`, `<DATE`, `<=DATE` or `DATE`. `>` a plain date means after that day.
fn bound(value: &str) -> Option<Bound> {
    let is_date = |text: &str| !text.contains('T');
    let next = |text: &str, time: Timestamp| time.plus_ms(if is_date(text) { DAY_MS } else { 1 });
    if let Some(text) = value.strip_prefix(">=") {
        return Timestamp::parse(text).map(Bound::From);
    }
    if let Some(text) = value.strip_prefix("<=") {
        return Timestamp::parse(text).map(|time| Bound::Until(next(text, time)));
    }
    if let Some(text) = value.strip_prefix('>') {
        return Timestamp::parse(text).map(|time| Bound::From(next(text, time)));
    }
    if let Some(text) = value.strip_prefix('<') {
        return Timestamp::parse(text).map(Bound::Until);
    }
    is_date(value)
        .then(|| Timestamp::parse(value).map(Bound::Day))
        .flatten()
}
