//! Links from one note to another, as written; `resolve` finds what they mean.

use super::limits::{LINK_BYTES_MAX, cut};

/// How a link was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// `[[Target]]`: a name or path, looked up in the whole import.
    Wiki,
    /// `![[Target]]`: the same, to be shown in place.
    Embed,
    /// `[text](target.md)`: a path from the folder of the note.
    Markdown,
}

/// A link to another note, as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkTarget {
    /// How it was written, which decides how it is looked up.
    pub kind: LinkKind,
    /// The path, file name, title or alias; empty for a heading of the same note.
    pub target: String,
    /// The heading or block after `#`.
    pub heading: Option<String>,
}

impl LinkTarget {
    /// Takes the target of a wiki link; none if it is empty or leads out to the web.
    pub(super) fn wiki(raw: &str, embed: bool) -> Option<Self> {
        let kind = if embed {
            LinkKind::Embed
        } else {
            LinkKind::Wiki
        };
        let (target, heading) = part(raw);
        (!has_scheme(raw)).then(|| Self::new(kind, target, heading))?
    }

    /// Takes the destination of a Markdown link; none if it leads out to the web or stays here.
    pub(super) fn markdown(url: &str) -> Option<Self> {
        if has_scheme(url) || url.starts_with("//") {
            return None;
        }
        let (path, heading) = part(url);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        if path.is_empty() {
            return None;
        }
        let heading = heading.map(percent_decoded);
        Self::new(
            LinkKind::Markdown,
            &percent_decoded(path),
            heading.as_deref(),
        )
    }

    fn new(kind: LinkKind, target: &str, heading: Option<&str>) -> Option<Self> {
        let heading = heading.map(str::trim).filter(|text| !text.is_empty());
        let target = target.trim();
        (!target.is_empty() || heading.is_some()).then(|| Self {
            kind,
            target: cut(target, LINK_BYTES_MAX).to_owned(),
            heading: heading.map(|text| cut(text, LINK_BYTES_MAX).to_owned()),
        })
    }
}

fn part(raw: &str) -> (&str, Option<&str>) {
    match raw.split_once('#') {
        Some((target, heading)) => (target, Some(heading)),
        None => (raw, None),
    }
}

/// Returns whether a link names a scheme; one letter is a drive or a title such as `C: notes`.
fn has_scheme(link: &str) -> bool {
    let Some((scheme, rest)) = link.split_once(':') else {
        return false;
    };
    scheme.len() > 1
        && !rest.starts_with(' ')
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Decodes `%20` and its like; text that is not UTF-8 afterwards stays as written.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let decoded = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(h, l)| h * 16 + l),
            _ => None,
        };
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let cases = [
            ("a.md", Some(("a.md", None))),
            (
                "../b%20c/d.md#Top%20part",
                Some(("../b c/d.md", Some("Top part"))),
            ),
            ("a.md?x=1#h", Some(("a.md", Some("h")))),
            ("%ff%zz%", Some(("%ff%zz%", None))),
            ("https://x.y/a.md", None),
            ("mailto:a@b.c", None),
            ("//x.y/a.md", None),
            ("#here", None),
            ("", None),
        ];
        for (url, expect) in cases {
            let link = LinkTarget::markdown(url);
            let got = link
                .as_ref()
                .map(|l| (l.target.as_str(), l.heading.as_deref()));
            assert_eq!(got, expect, "{url}");
        }
        assert_eq!(LinkTarget::wiki("https://x.y", false), None);
        assert_eq!(LinkTarget::wiki(" # ", false), None);
        let here = LinkTarget::wiki("#Top", false).unwrap();
        assert_eq!(
            (here.target.as_str(), here.heading.as_deref()),
            ("", Some("Top"))
        );
        assert_eq!(
            LinkTarget::wiki("Plan: next", true).unwrap().target,
            "Plan: next"
        );
    }
}
