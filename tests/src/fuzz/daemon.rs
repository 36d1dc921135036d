//! What the daemon reads: files to import, policies, texts to screen and to search.

use super::memory::full;
use super::{Subject, Target, slow};
use crdt::selector::Facts;
use crdt::time::Timestamp;
use node::egress::guard::EgressGuard;
use node::egress::policy::{DEFAULT, Policy};
use node::embed::chunk;
use node::import::{Limits, LinkIndex, RawFile, parse};
use storage::projection::text::TextQuery;
use storage::screen::Guard as _;
use storage::search::snippet::snippet;

/// The targets.
pub(super) const TARGETS: [Target; 5] = [
    slow("imported file", 200_000, imported),
    slow("policy", 200_000, policy),
    slow("text to screen", 200_000, screened),
    slow("text to embed", 200_000, embedded),
    slow("query and snippet", 200_000, searched),
];

const MARKS: &[&str] = &[
    "---\n",
    "title: ",
    "tags: ",
    "date: ",
    "[[",
    "]]",
    "|",
    "#",
    "# ",
    "\n",
    "\r\n",
    "&a ",
    "*a",
    "<<: ",
    "? ",
    "- ",
    "{",
    "}",
    "```\n",
    "(",
    ")",
    "%20",
    "\\",
    "../",
    "\u{feff}",
    "\u{202e}",
    "$",
    "<",
    ">",
    "![",
    "](",
    "~~",
    "**",
    "_",
    "| a | b |\n|---|---|\n",
    "> > > ",
    "!!str ",
    ".inf",
];

fn imported() -> Subject {
    let seeds = [
        "---\ntitle: Rain\ntags: [a, b/c]\ndate: 2024-01-02\naliases: x\n---\n# Rain\n\nIt #rained, see [[Other|there]] and [this](a%20b.md).\n",
        "# A list\n\n- one\n- two `code` **bold** _it_\n\n> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        "---\na: &x [1, 2]\nb: *x\nc: {d: {e: f}}\n...\nplain text with a #tag/below and https://example.org\n",
    ];
    let limits = Limits::default();
    Subject::text(&seeds, MARKS, move |text| {
        let file = RawFile {
            source: "file:a/b.md",
            bytes: text.as_bytes(),
            modified_ms: 7,
        };
        let Ok(note) = parse(&file, &limits) else {
            return false;
        };
        assert!(!note.title.is_empty(), "no title");
        assert!(note.created_ms <= note.updated_ms, "changed before made");
        let mut index = LinkIndex::default();
        index.insert(&note);
        for link in &note.links {
            std::hint::black_box(index.resolve(&note.source, link));
        }
        true
    })
}

fn policy() -> Subject {
    let rules = "[screen]\npayment-card = \"hold\"\n[[rule]]\nname = \"health\"\nwhen = \"tag:health\"\ndo = \"deny\"\n[[rule]]\nname = \"p\"\npattern = '(?i)project\\s+x+'\ndo = \"hold\"\nreason = \"why\"\n[default]\naccept = \"ask\"\n[peer.\"bob\"]\naccept = \"read\"\nmax_memories = 5\n";
    let words = &[
        "[screen]\n",
        "[[rule]]\n",
        "pattern = '",
        "(a+)+",
        "\\w{1,50}",
        ".*",
        "when = \"",
        "\"\n",
        "do = \"hold\"\n",
        "(?:",
        ")",
        "*",
        "{9,99}",
        "[peer.x]\n",
        "[a",
        "]",
        "\\p{L}",
    ];
    Subject::text(&[DEFAULT, rules], words, |text| match Policy::parse(text) {
        Ok(policy) => {
            std::hint::black_box(policy.for_peer(&["bob"]));
            true
        }
        Err(error) => error.to_string().is_empty(),
    })
}

/// Labels of a memory that has none.
struct Bare;

impl Facts for Bare {
    fn id_starts_with(&self, _: &str) -> bool {
        false
    }
    fn has_tag(&self, _: &str) -> bool {
        false
    }
    fn space(&self) -> &'static str {
        ""
    }
    fn kind(&self) -> &'static str {
        "note"
    }
    fn is_from(&self, _: &str) -> bool {
        false
    }
    fn status(&self) -> &'static str {
        "active"
    }
    fn created(&self) -> Timestamp {
        Timestamp(0)
    }
    fn updated(&self) -> Timestamp {
        Timestamp(0)
    }
    fn is_shared_with(&self, _: &str) -> bool {
        false
    }
    fn contains(&self, _: &str) -> bool {
        false
    }
}

/// A text that a peer wrote into a memory, under the usual rules.
fn screened() -> Subject {
    let seeds = [
        "My card is 4111 1111 1111 1111, my account DE89 3704 0044 0532 0130 00.",
        "token ghp_0123456789abcdefghijABCDEFGHIJ012345 and mail ana@example.org, +49 30 123456",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----",
        "c2VjcmV0IHRva2VuIGdocF8wMTIzNDU2Nzg5YWJjZGVmZ2hpag== %34%31%31%31 &#52;111",
    ];
    let words = &[
        "4111",
        " ",
        "-",
        "DE89",
        "ghp_",
        "@",
        "==",
        "%34",
        "&#52;",
        "\u{200b}",
        "\u{ff14}",
        "AKIA",
        "-----BEGIN ",
        "\\x34",
        "QUFB",
    ];
    let screen = EgressGuard.compile(None);
    Subject::text(&seeds, words, move |text| {
        let mut content = full();
        text.clone_into(&mut content.body);
        if content.check().is_err() {
            return false;
        }
        std::hint::black_box(screen.review(&Bare, &content));
        let black = screen.redact(&Bare, &content);
        assert_eq!(black.kind, content.kind);
        true
    })
}

const PROSE: [&str; 3] = [
    "We went out at noon. It rained; nobody minded.\n\nThe second paragraph is about a foo-bar.",
    "Straße, naïve, 東京タワー, \u{1F327}\u{FE0F}, don't, e\u{301}tude, ﬁne",
    "word",
];

fn embedded() -> Subject {
    let words = &[
        "\n\n",
        ". ",
        "\u{301}",
        "日",
        "\u{200d}",
        "a-b",
        "\u{1F327}",
    ];
    Subject::text(&PROSE, words, |text| {
        std::hint::black_box(chunk::split("A title", text));
        true
    })
}

fn searched() -> Subject {
    let words = &[
        "\"", "*", "-", "\u{201c}", "\u{301}", "日本", "~", " ", "the ",
    ];
    Subject::text(&PROSE, words, |text| {
        let query = TextQuery::parse(text);
        std::hint::black_box(query.is_empty());
        let terms: Vec<String> = text.split(' ').take(8).map(str::to_owned).collect();
        let shown = snippet(text, &terms, 200);
        for range in &shown.highlights {
            assert!(
                shown.text.get(range.clone()).is_some(),
                "cut inside a letter"
            );
        }
        true
    })
}
