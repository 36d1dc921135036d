//! Reads what a body says about itself: its first heading, its tags and its links.
//!
//! The body is read, never changed. The parser is asked to stop after a bounded number of steps,
//! so a body made to be slow costs its note the links and tags, not the import its time.

use std::collections::BTreeSet;

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, try_parse_document};

use super::limits::{LINKS_MAX, MARKDOWN_TURNS_MAX, TAGS_MAX, TITLE_BYTES_MAX};
use super::links::LinkTarget;
use super::tags;

/// What was found in a body.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) heading: Option<String>,
    pub(super) tags: BTreeSet<String>,
    pub(super) links: Vec<LinkTarget>,
    /// How many further tags and links there were beyond the limits.
    pub(super) tags_left_out: usize,
    pub(super) links_left_out: usize,
    /// Whether the parser was stopped, so that nothing was found.
    pub(super) stopped: bool,
}

/// Reads a body.
pub(super) fn outline(body: &str) -> Outline {
    let arena = Arena::new();
    let turns = std::cell::Cell::new(0_u32);
    let too_long = || {
        turns.set(turns.get().saturating_add(1));
        turns.get() > MARKDOWN_TURNS_MAX
    };
    let mut outline = Outline::default();
    let Ok(root) = try_parse_document(&arena, body, &options(), &too_long) else {
        outline.stopped = true;
        return outline;
    };
    let mut links = BTreeSet::new();
    for node in root.descendants() {
        match &node.data().value {
            NodeValue::Heading(heading) if heading.level == 1 && outline.heading.is_none() => {
                outline.heading = heading_text(node);
            }
            NodeValue::Text(text) if !is_escaped_or_label(node) => {
                tags::in_text(text, |tag| outline.add_tag(tag));
            }
            NodeValue::WikiLink(link) => {
                outline.add_link(LinkTarget::wiki(&link.url, link.embed), &mut links);
            }
            NodeValue::Link(link) => {
                outline.add_link(LinkTarget::markdown(&link.url), &mut links);
            }
            _ => {}
        }
    }
    outline
}

impl Outline {
    fn add_tag(&mut self, tag: String) {
        if self.tags.len() < TAGS_MAX {
            self.tags.insert(tag);
        } else if !self.tags.contains(&tag) {
            self.tags_left_out += 1;
        }
    }

    fn add_link(&mut self, link: Option<LinkTarget>, seen: &mut BTreeSet<LinkTarget>) {
        let Some(link) = link else { return };
        if seen.contains(&link) {
            return;
        }
        if self.links.len() < LINKS_MAX {
            seen.insert(link.clone());
            self.links.push(link);
        } else {
            self.links_left_out += 1;
        }
    }
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.wikilinks_title_after_pipe = true;
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.autolink = true;
    options.extension.math_dollars = true;
    // Keeps `\#word` apart from the text around it: an escaped mark is not a tag.
    options.parse.escaped_char_spans = true;
    options
}

/// Returns whether text stands in an escape, or is the label of a link.
fn is_escaped_or_label<'a>(node: &'a AstNode<'a>) -> bool {
    let escaped_before = node
        .previous_sibling()
        .is_some_and(|prior| matches!(prior.data().value, NodeValue::Escaped));
    let within = node.parent().is_some_and(|parent| {
        matches!(
            parent.data().value,
            NodeValue::Escaped | NodeValue::Link(_) | NodeValue::WikiLink(_) | NodeValue::Image(_)
        )
    });
    // After `\x` the text goes on in the middle of a word, where no tag begins unless a space
    // comes first; `tags` cannot see that, so the run is given up rather than misread.
    within || (escaped_before && starts_with_mark(node))
}

fn starts_with_mark<'a>(node: &'a AstNode<'a>) -> bool {
    matches!(&node.data().value, NodeValue::Text(text) if text.starts_with('#'))
}

fn heading_text<'a>(heading: &'a AstNode<'a>) -> Option<String> {
    let mut text = String::new();
    for node in heading.descendants() {
        match &node.data().value {
            NodeValue::Text(part) => text.push_str(part),
            NodeValue::Code(code) => text.push_str(&code.literal),
            NodeValue::Math(math) => text.push_str(&math.literal),
            NodeValue::SoftBreak | NodeValue::LineBreak => text.push(' '),
            _ => {}
        }
        if text.len() > TITLE_BYTES_MAX {
            break;
        }
    }
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(body: &str) -> Vec<String> {
        outline(body).tags.into_iter().collect()
    }

    #[test]
    fn tags_only_from_text() {
        let cases: [(&str, &[&str]); 12] = [
            ("one #two\n#three four", &["three", "two"]),
            ("# x\n## #y z", &["y"]),
            ("`#no` and ``#no``", &[]),
            ("```\n#no\n```\n\n    #no\n", &[]),
            (
                "[#no](https://a.b/#no) <https://a.b/#no> https://a.b/ #yes",
                &["yes"],
            ),
            ("\\#no \\* #yes", &["yes"]),
            ("*#yes* **#also**", &["also", "yes"]),
            (
                "- #a\n- [ ] #b\n> #c\n\n| #d |\n|---|\n| #e |",
                &["a", "b", "c", "d", "e"],
            ),
            ("<div>#no</div>", &[]),
            ("<!-- #no -->", &[]),
            ("$x #no$ color: #fff;", &[]),
            ("#snake_case #kebab-case", &["kebab-case", "snake_case"]),
        ];
        for (body, expect) in cases {
            assert_eq!(tags(body), expect, "{body:?}");
        }
    }

    #[test]
    fn links_of_all_kinds_once_each() {
        let body = "[[A|text]] [[A]] [[B#Head]] ![[C]] [d](d%20e.md) [x](https://x.y) `[[no]]`\n\n\
                    | t |\n|---|\n| [[E\\|e]] |\n";
        let links = outline(body).links;
        let flat: Vec<_> = links
            .iter()
            .map(|link| (link.kind, link.target.as_str(), link.heading.as_deref()))
            .collect();
        let expect = [
            (LinkKind::Wiki, "A", None),
            (LinkKind::Wiki, "B", Some("Head")),
            (LinkKind::Embed, "C", None),
            (LinkKind::Markdown, "d e.md", None),
            (LinkKind::Wiki, "E", None),
        ];
        assert_eq!(flat, expect);
    }

    #[test]
    fn the_first_top_heading_is_the_title() {
        let heading = |body: &str| outline(body).heading;
        assert_eq!(heading("## b\n# A `c` *d*\n# E").unwrap(), "A c d");
        assert_eq!(heading("Set\n===").unwrap(), "Set");
        assert_eq!(heading("#no\n## b"), None);
        assert_eq!(heading("#\n# B").unwrap(), "B");
    }

    #[test]
    fn numbers_of_tags_and_links_are_bounded() {
        use std::fmt::Write as _;
        let mut body = String::new();
        for n in 0..5_000 {
            write!(body, "#t{n} [[l{n}]] ").unwrap();
        }
        let found = outline(&body);
        assert_eq!(
            (found.tags.len(), found.tags_left_out),
            (TAGS_MAX, 5_000 - TAGS_MAX)
        );
        assert_eq!(
            (found.links.len(), found.links_left_out),
            (LINKS_MAX, 5_000 - LINKS_MAX)
        );
    }

    use super::super::links::LinkKind;

    #[test]
    fn bodies_made_to_be_slow_end() {
        let size = 256 * 1024;
        for unit in [
            "[",
            "![",
            "[[",
            "[[a|",
            "*a_",
            "`",
            "`a``",
            ">",
            "> > ",
            "- ",
            "* a\n ",
            "<",
            "<a ",
            "<!--",
            "|a",
            "|-",
            "\\",
            "&",
            "#",
            "# a\n",
            "$",
            "$$",
            "~",
            "a\n",
            "[a](",
            "[^a]",
            "[^a]: b\n",
            "[a]: b\n",
            "**a ",
            "_ ",
            "www.",
            "a@",
            "http://a",
            "\t",
            "1. ",
            "---\n",
            "|x\n|-\n",
            "\u{0}",
            "é",
            "<?",
            "<![CDATA[",
            "[a][",
            "((",
            "](",
            "_*",
            "a**b",
        ] {
            let started = std::time::Instant::now();
            let found = outline(&unit.repeat(size / unit.len()));
            let took = started.elapsed();
            if took.as_millis() > 300 {
                println!("{unit:?} {took:?} stopped: {}", found.stopped);
            }
            assert!(!found.stopped, "{unit:?}");
            assert!(took.as_secs() < 30, "{unit:?} took {took:?}");
        }
    }
}
