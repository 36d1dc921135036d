//! Splits YAML front matter off a text and reads its fields.
//!
//! It does not know what the fields mean; `note` asks for them by name. Nothing in front matter
//! is fatal: text that does not parse stays in the body. Size, depth, aliases and nodes are
//! bounded before the parser builds anything, so a YAML bomb costs no more than a long note.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::limits::{FIELDS_MAX, FRONT_MATTER_BYTES_MAX, LIST_ITEMS_MAX, QUOTE_BYTES_MAX, cut};

/// The fields of one front matter, by name in lower case.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, Field>);

/// The value of one field: text, a flat list of texts, or something that is neither.
#[derive(Debug)]
pub(super) enum Field {
    Text(String),
    List(Vec<String>),
    Other,
}

/// Why front matter was left in the body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrontMatterError {
    TooLong,
    /// What the YAML parser said.
    Broken(String),
}

/// Returns the front matter, between its fences, and the text after it.
///
/// The first line is `---`; a line of `---` or `...` ends it. Without an end there is none.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next()?;
    if first.trim_end() != "---" {
        return None;
    }
    let start = first.len();
    let mut end = start;
    for line in lines {
        let fence = line.trim_end();
        if fence == "---" || fence == "..." {
            return Some((text.get(start..end)?, text.get(end + line.len()..)?));
        }
        end += line.len();
    }
    None
}

impl Fields {
    /// Reads the fields; front matter without any is well-formed.
    pub(super) fn parse(yaml: &str) -> Result<Self, FrontMatterError> {
        if yaml.len() > FRONT_MATTER_BYTES_MAX {
            return Err(FrontMatterError::TooLong);
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_events: 20_000,
                max_nodes: 10_000,
                max_aliases: 64,
                max_anchors: 64,
                max_depth: 32,
                max_documents: 1,
                max_merge_keys: 64,
                max_recorded_anchor_events: 10_000,
                max_recorded_anchor_bytes: 256 * 1024,
                max_total_scalar_bytes: 256 * 1024,
            },
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: 10_000,
                max_replay_stack_depth: 8,
            },
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options::<Option<Self>>(yaml, options)
            .map(Option::unwrap_or_default)
            .map_err(|error| {
                let said = error.to_string();
                let line = said.lines().next().unwrap_or_default();
                FrontMatterError::Broken(cut(line, QUOTE_BYTES_MAX).to_owned())
            })
    }

    /// Returns the first of the named fields that holds text, with its name.
    pub(super) fn text<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| match self.0.get(*name) {
            Some(Field::Text(text)) if !text.trim().is_empty() => Some((*name, text.trim())),
            _ => None,
        })
    }

    /// Returns the named field, whatever it holds.
    pub(super) fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("fields with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(Loose(key)) = map.next_key()? {
            let Loose(value) = map.next_value()?;
            if let Field::Text(name) = key
                && fields.len() < FIELDS_MAX
            {
                fields.insert(name.to_lowercase(), value);
            }
        }
        Ok(Fields(fields))
    }
}

/// A value of any shape; numbers and truth values become the text that says them.
struct Loose(Field);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor).map(Self)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Field;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_str<E>(self, v: &str) -> Result<Field, E> {
        Ok(Field::Text(v.to_owned()))
    }

    fn visit_bool<E>(self, v: bool) -> Result<Field, E> {
        Ok(Field::Text(v.to_string()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Field, E> {
        Ok(Field::Text(v.to_string()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Field, E> {
        Ok(Field::Text(v.to_string()))
    }

    fn visit_i128<E>(self, v: i128) -> Result<Field, E> {
        Ok(Field::Text(v.to_string()))
    }

    fn visit_u128<E>(self, v: u128) -> Result<Field, E> {
        Ok(Field::Text(v.to_string()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Field, E> {
        Ok(Field::Text(v.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_none<E>(self) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
        let mut items = Vec::new();
        while let Some(Loose(item)) = seq.next_element()? {
            if let Field::Text(text) = item
                && items.len() < LIST_ITEMS_MAX
            {
                items.push(text);
            }
        }
        Ok(Field::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn splits_only_what_is_fenced() {
        let cases = [
            ("---\na: 1\n---\nbody", Some(("a: 1\n", "body"))),
            ("--- \na: 1\n...\nbody", Some(("a: 1\n", "body"))),
            ("---\n---\n", Some(("", ""))),
            ("---\na: 1\n---", Some(("a: 1\n", ""))),
            ("---\na: 1\n", None),
            ("text\n---\na: 1\n---\n", None),
            ("----\na: 1\n---\n", None),
            ("", None),
        ];
        for (text, expect) in cases {
            assert_eq!(split(text), expect, "{text:?}");
        }
    }

    fn text_of(yaml: &str, name: &'static str) -> Option<String> {
        let fields = Fields::parse(yaml).unwrap();
        fields.text(&[name]).map(|(_, text)| text.to_owned())
    }

    #[test]
    fn scalars_keep_how_they_were_written() {
        assert_eq!(text_of("title: 007", "title").unwrap(), "007");
        assert_eq!(text_of("Title: No", "title").unwrap(), "No");
        assert_eq!(text_of("title: 2024-01-02", "title").unwrap(), "2024-01-02");
        assert_eq!(text_of("title: \"a: b\"", "title").unwrap(), "a: b");
        assert_eq!(
            text_of("title: 20240102030405", "title").unwrap(),
            "20240102030405"
        );
        assert_eq!(text_of("title:\n", "title"), None);
        assert_eq!(text_of("x: .nan\ntitle: t", "title").unwrap(), "t");
        assert_eq!(text_of("title: a\ntitle: b", "title").unwrap(), "b");
        assert_eq!(
            text_of("a: {b: [c, {d: e}]}\n? [k]\n: v\ntitle: t", "title").unwrap(),
            "t"
        );
    }

    #[test]
    fn what_is_not_a_set_of_fields_is_refused() {
        for yaml in ["just text", "- a\n- b", "a: [", "a: b: c", "\t- x: y"] {
            assert!(Fields::parse(yaml).is_err(), "{yaml:?}");
        }
        for yaml in ["", "\n", "# only a comment\n", "{{ title }}"] {
            assert!(Fields::parse(yaml).is_ok(), "{yaml:?}");
        }
        let long = format!("a: {}", "x".repeat(FRONT_MATTER_BYTES_MAX));
        assert_eq!(Fields::parse(&long).unwrap_err(), FrontMatterError::TooLong);
    }

    #[test]
    fn bombs_are_bounded() {
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let prior = format!("*a{}", n - 1);
            writeln!(laughs, "a{n}: &a{n} [{}]", vec![prior; 10].join(",")).unwrap();
        }
        let deep = format!("a: {}", "[".repeat(30_000));
        let deep_closed = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
        let block: Vec<String> = (0..200).map(|n| format!("{}- ", " ".repeat(n))).collect();
        let block = block.join(
            "
",
        );
        let aliases = format!("a: &a x\nb: [{}]", "*a,".repeat(10_000));
        let itself = "a: &a [*a]".to_owned();
        for yaml in [
            laughs,
            deep,
            deep_closed,
            format!("a:\n{block}"),
            aliases,
            itself,
        ] {
            let started = std::time::Instant::now();
            assert!(Fields::parse(&yaml).is_err());
            assert!(started.elapsed().as_secs() < 5);
        }
    }
}
