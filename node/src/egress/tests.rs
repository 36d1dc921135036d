//! How well the built-in policy tells secrets from what looks like one, and that it costs little.
//!
//! The corpus is drawn by a seed: half of it benign, a quarter plain secrets, a quarter secrets
//! that are written another way. Its families of texts are dealt out into a half for development
//! and a half that nothing was tuned on; failures are shown for the first one only.

mod benign;
mod corpus;
mod evasions;
mod secrets;

use super::guard::EgressGuard;
use corpus::{Case, Half, corpus};
use crdt::memory::{Content, MemoryKind};
use crdt::selector::Selector;
use crdt::time::Timestamp;
use proptest::prelude::*;
use std::time::{Duration, Instant};
use storage::screen::{Finding, Guard as _, Screen, Verdict};

/// Labels of a memory that has none but tags.
pub(super) struct Tags(pub(super) &'static [&'static str]);

impl crdt::selector::Facts for Tags {
    fn id_starts_with(&self, _: &str) -> bool {
        false
    }
    fn has_tag(&self, tag: &str) -> bool {
        self.0.contains(&tag)
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

pub(super) fn note(body: &str) -> Content {
    let mut content = Content::new(MemoryKind::Note, Timestamp(0));
    body.clone_into(&mut content.body);
    content
}

fn review(policy: Option<&str>, body: &str) -> Vec<Finding> {
    EgressGuard
        .compile(policy)
        .review(&Tags(&["health"]), &note(body))
}

/// What became of the cases of a half.
#[derive(Debug, Default)]
struct Tally {
    caught: u32,
    missed: u32,
    false_alarms: u32,
    quiet: u32,
    caught_evasions: u32,
    evasions: u32,
}

impl Tally {
    fn precision(&self) -> f64 {
        ratio(self.caught, self.caught + self.false_alarms)
    }
    fn recall(&self) -> f64 {
        ratio(self.caught, self.caught + self.missed)
    }
    fn recall_of_evasions(&self) -> f64 {
        ratio(self.caught_evasions, self.evasions)
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

fn judge(screen: &dyn Screen, cases: &[Case], half: Half) -> Tally {
    let mut tally = Tally::default();
    for case in cases.iter().filter(|case| case.half == half) {
        let findings = screen.review(&Tags(&[]), &note(&case.text));
        let is_held = findings.iter().any(|found| found.verdict > Verdict::Allow);
        let counter = match (case.is_secret, is_held) {
            (true, true) => &mut tally.caught,
            (true, false) => &mut tally.missed,
            (false, true) => &mut tally.false_alarms,
            (false, false) => &mut tally.quiet,
        };
        *counter += 1;
        tally.evasions += u32::from(case.is_evasion);
        tally.caught_evasions += u32::from(case.is_evasion && is_held);
        if half == Half::Development && case.is_secret != is_held {
            let rules: Vec<&str> = findings.iter().map(|found| found.rule.as_str()).collect();
            println!("  {} {rules:?}: {:?}", case.family, case.text);
        }
    }
    tally
}

#[test]
fn secrets_are_told_from_what_looks_like_one() {
    let cases = corpus(1, 2_400);
    let (secrets, evasions) = (
        cases.iter().filter(|case| case.is_secret).count(),
        cases.iter().filter(|case| case.is_evasion).count(),
    );
    assert_eq!((secrets, evasions), (1_200, 600));
    let screen = EgressGuard.compile(None);
    for half in [Half::Development, Half::HeldOut] {
        let tally = judge(&*screen, &cases, half);
        println!(
            "{half:?}: precision {:.3}, recall {:.3} (evasions {:.3}); {tally:?}",
            tally.precision(),
            tally.recall(),
            tally.recall_of_evasions()
        );
        assert!(tally.caught + tally.missed >= 300 && tally.quiet >= 300);
        assert!(tally.precision() >= 0.95, "{half:?}: too many false alarms");
        assert!(tally.recall() >= 0.95, "{half:?}: too many are missed");
        assert!(
            tally.recall_of_evasions() >= 0.90,
            "{half:?}: too many evade"
        );
    }
}

#[test]
fn a_policy_that_does_not_read_holds_everything() {
    for policy in [
        "[screen",
        "[screen]\ntokne = \"hold\"",
        "x = 1",
        "[[rule]]\nname = \"a\"",
    ] {
        let screen = EgressGuard.compile(Some(policy));
        assert!(screen.fault().is_some(), "{policy}");
        let found = screen.review(&Tags(&[]), &note("milk and bread"));
        assert_eq!(found.len(), 1, "{policy}");
        assert_eq!(found[0].rule, "policy-unreadable");
        assert_eq!(found[0].verdict, Verdict::Deny);
        assert_eq!(screen.peer_rules(&["bob"]).max_memories, Some(0));
    }
    assert_eq!(review(None, "milk and bread"), []);
}

#[test]
fn rules_ask_for_labels_detectors_and_patterns_together() {
    let policy = r#"
        [[rule]]
        name = "no-health-data"
        when = "tag:health"
        do = "deny"
        [[rule]]
        name = "addresses-at-work"
        when = "tag:work"
        detect = "email"
        do = "hold"
        [[rule]]
        name = "nightjar"
        pattern = '(?i)\bproject\s+nightjar\b'
        do = "redact"
        reason = "not announced yet"
    "#;
    let rules = |tags, body: &str| -> Vec<(String, Verdict)> {
        let found = EgressGuard
            .compile(Some(policy))
            .review(&Tags(tags), &note(body));
        found
            .into_iter()
            .map(|found| (found.rule, found.verdict))
            .collect()
    };
    let named = |name: &str, verdict| vec![(name.to_owned(), verdict)];
    assert_eq!(
        rules(&["health"], "x"),
        named("no-health-data", Verdict::Deny)
    );
    assert_eq!(rules(&["home"], "ana@brain.net"), []);
    assert_eq!(rules(&["work"], "no address"), []);
    let at_work = named("addresses-at-work", Verdict::Hold);
    assert_eq!(rules(&["work"], "ana@brain.net"), at_work);
    let hidden = named("nightjar", Verdict::Redact);
    assert_eq!(rules(&[], "about Project\u{a0}Nightjar"), hidden);
    assert_eq!(rules(&[], "about Prоject Nightjar"), hidden, "a Cyrillic o");
}

#[test]
fn a_finding_says_what_and_where_and_never_the_thing_itself() {
    let secret = "4539 5787 6362 1486";
    let mut content = note(&format!("pay with {secret} please"));
    content.title = format!("card {secret}");
    content.tags.insert(secret.to_owned());
    let found = EgressGuard.compile(None).review(&Tags(&[]), &content);
    assert_eq!(found.len(), 1);
    let reason = &found[0].reason;
    assert_eq!(
        reason,
        "a payment card number in a tag and the body and the title"
    );
    assert!(!format!("{found:?}").contains("4539"));
    // The same card, written another way, is the same finding; another card is another one.
    let digest = |body: &str| review(None, body)[0].found;
    let same = digest("card 4539-5787-6362-1486");
    assert_eq!(digest("card ４５３９ 5787 6362 1486, and more text"), same);
    assert_ne!(
        digest("cards 4539-5787-6362-1486 and 4111 1111 1111 1111"),
        same
    );
}

#[test]
fn redacting_leaves_nothing_of_what_a_rule_redacts() {
    let policy = "[screen]\npayment-card = \"redact\"\ntoken = \"redact\"\nemail = \"redact\"\n";
    let screen = EgressGuard.compile(Some(policy));
    let base64 = data_encoding::BASE64.encode(b"the card is 4539 5787 6362 1486, thank you");
    let mut content = note(&format!(
        "Ünïcode ana@brain.net paid with 4539 5787 6362 1486.\n{base64}\npassword = \"hunter2-Xk93-Qz71\""
    ));
    content.title = "for ana@brain.net".to_owned();
    content.tags.insert("bob@brain.net".to_owned());
    content.tags.insert("bread".to_owned());
    let clean = screen.redact(&Tags(&[]), &content);
    assert_eq!(screen.review(&Tags(&[]), &clean), []);
    assert_eq!(clean.title, "for [redacted]");
    assert_eq!(
        clean.body,
        "Ünïcode [redacted] paid with [redacted].\n[redacted]\npassword = \"[redacted]\""
    );
    assert_eq!(clean.tags.into_iter().collect::<Vec<_>>(), ["bread"]);
    let all = "[[rule]]\nname = \"h\"\nwhen = \"tag:health\"\ndo = \"redact\"\n";
    let clean = EgressGuard
        .compile(Some(all))
        .redact(&Tags(&["health"]), &content);
    assert_eq!((clean.body.as_str(), clean.tags.len()), ("[redacted]", 0));
}

/// Texts made to cost much: long runs, encodings within encodings, what nearly matches.
fn adversarial() -> Vec<String> {
    const BYTES: usize = 256 << 10;
    let fill = |piece: &str| piece.repeat(BYTES / piece.len());
    let mut nested = "4539 5787 6362 1486 ".repeat(40);
    for _ in 0..8 {
        nested = data_encoding::BASE64.encode(nested.as_bytes());
    }
    nested.truncate(BYTES);
    let hex = data_encoding::HEXLOWER.encode(
        fill("%34%31")
            .get(..BYTES / 2)
            .unwrap_or_default()
            .as_bytes(),
    );
    vec![
        fill("a"),
        fill("4"),
        fill("4 "),
        fill("4539 "),
        fill("DE"),
        fill("DE89 "),
        fill("password="),
        fill("eyJhbGciOi."),
        fill("eyJ"),
        fill("%41"),
        fill("%%4"),
        fill("-----BEGIN PRIVATE KEY-----\n"),
        fill("-----BEGIN PRIVATE KEY-----\nAAAA"),
        fill("a@"),
        fill("a.a@b."),
        fill("+49 1"),
        fill("\u{200b}"),
        fill("４"),
        fill("ﷺ"),
        fill("e\u{301}\u{302}"),
        data_encoding::BASE64.encode(
            fill("word ")
                .get(..BYTES * 3 / 4)
                .unwrap_or_default()
                .as_bytes(),
        ),
        nested,
        hex,
    ]
}

#[test]
fn no_text_costs_more_than_its_length_allows() {
    let policy = "[screen]\nemail = \"hold\"\nphone = \"hold\"\n[[rule]]\nname = \"p\"\n\
        pattern = '(a|aa|aaa)+b'\ndo = \"hold\"\n";
    let screen = EgressGuard.compile(Some(policy));
    let mut slowest = (Duration::ZERO, String::new());
    for text in adversarial() {
        let started = Instant::now();
        let found = screen.review(&Tags(&[]), &note(&text));
        let took = started.elapsed();
        drop(found);
        let start: String = text.chars().take(20).collect();
        slowest = slowest.max((took, start));
    }
    println!("slowest of the largest bodies: {slowest:?}");
    // A bound against hanging, not a measurement: that is in the benchmarks.
    assert!(slowest.0 < Duration::from_mins(1), "{slowest:?}");
}

proptest! {
    #[test]
    fn no_text_makes_the_guard_panic(text in "\\PC{0,200}") {
        drop(review(None, &text));
    }
    #[test]
    fn no_mixture_of_pieces_makes_the_guard_panic(
        pieces in proptest::collection::vec(proptest::sample::select(&[
            "4539", " ", "5787-6362", "1486", "DE89", "3704 0044 0532 0130 00", "-----BEGIN ",
            "PRIVATE KEY-----", "\n", "%34%31", "NDUzOSA1Nzg3IDYzNjIgMTQ4Ng==", "\u{200b}", "４",
            "password", " = ", "aB3$xyZ9kLm0pQrS", "é", "\\x34\\x35", "eyJhbGciOiJIUzI1NiJ9", ".",
        ][..]), 0..24)
    ) {
        let text = pieces.concat();
        let policy = "[screen]\npayment-card = \"redact\"\niban = \"redact\"\ntoken = \"redact\"\n\
            private-key = \"redact\"\nemail = \"redact\"\nphone = \"redact\"\n";
        let screen = EgressGuard.compile(Some(policy));
        let clean = screen.redact(&Tags(&[]), &note(&text));
        prop_assert_eq!(screen.review(&Tags(&[]), &clean), Vec::new());
    }
    #[test]
    fn no_text_makes_the_policy_panic(text in "\\PC{0,200}") {
        let screen = EgressGuard.compile(Some(&text));
        let is_empty = text.trim().is_empty() || text.trim().starts_with('#');
        prop_assert!(is_empty || screen.fault().is_some() || Selector::parse(&text).is_ok() || text.contains('='));
    }
}
