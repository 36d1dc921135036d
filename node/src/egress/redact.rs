//! Redacting: a content with everything blacked out that a rule redacts.
//!
//! For snapshots only. A live memory leaves as it was signed or not at all.

use super::guard::Look;
use super::policy::{Policy, Rule};
use crdt::memory::Content;
use crdt::memory::limits::{BODY_BYTES_MAX, TITLE_BYTES_MAX};
use crdt::selector;
use std::ops::Range;
use storage::screen::Verdict;

/// What stands where something was blacked out.
pub(super) const MARK: &str = "[redacted]";
/// How often what is left is looked at again: what stood around a piece may match on its own.
const ROUNDS_MAX: usize = 4;

/// Blacks out what the policy redacts in a content.
pub(super) fn redact(policy: &Policy, labels: &dyn selector::Facts, content: &Content) -> Content {
    let rules = policy.rules.iter().filter(|rule| {
        rule.verdict == Verdict::Redact
            && rule.when.as_ref().is_none_or(|when| when.matches(labels))
    });
    let rules: Vec<&Rule> = rules.collect();
    let is_whole = |rule: &&&Rule| rule.detect.is_none() && rule.pattern.is_none();
    if rules.iter().any(|rule| is_whole(&rule)) {
        return emptied(content);
    }
    let mut content = content.clone();
    for _ in 0..ROUNDS_MAX {
        if !round(&rules, &mut content) {
            return content;
        }
    }
    emptied(&content)
}

fn emptied(content: &Content) -> Content {
    let mut empty = Content::new(content.kind, content.created);
    MARK.clone_into(&mut empty.title);
    MARK.clone_into(&mut empty.body);
    empty
}

/// Blacks out what the rules find; false if they find nothing.
fn round(rules: &[&Rule], content: &mut Content) -> bool {
    let seen = content.clone();
    let mut look = Look::at(&seen);
    let mut found = false;
    for rule in rules {
        let Some(hits) = look.hits(rule) else {
            continue;
        };
        found = true;
        for (field, hits) in hits {
            let spans: Vec<Range<usize>> = hits.iter().map(|hit| hit.span.clone()).collect();
            match field {
                "the title" => blacken(&seen.title, &mut content.title, &spans, TITLE_BYTES_MAX),
                "the body" => blacken(&seen.body, &mut content.body, &spans, BODY_BYTES_MAX),
                "a tag" => content.tags.retain(|tag| !is_hit(rule, tag)),
                "the source" => content.source = None,
                "a link" => content.links.retain(|link| !is_hit(rule, &link.relation)),
                _ => content.attachments.retain(|file| !is_hit(rule, &file.name)),
            }
        }
    }
    found
}

/// Tells whether a rule finds anything in a short field.
fn is_hit(rule: &Rule, text: &str) -> bool {
    let mut alone = Content::new(crdt::memory::MemoryKind::Note, crdt::time::Timestamp(0));
    text.clone_into(&mut alone.title);
    Look::at(&alone).hits(rule).is_some()
}

/// Puts marks where the spans of what was seen lie. What another rule blackened stays so: spans
/// of both are looked for again in the next round.
fn blacken(seen: &str, now: &mut String, spans: &[Range<usize>], bytes_max: usize) {
    if now != seen {
        return;
    }
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| span.start);
    let mut out = String::with_capacity(seen.len());
    let mut at = 0;
    for span in spans {
        if span.end <= at {
            continue;
        }
        if span.start >= at {
            out.push_str(seen.get(at..span.start).unwrap_or_default());
            out.push_str(MARK);
        }
        at = span.end;
    }
    out.push_str(seen.get(at..).unwrap_or_default());
    while out.len() > bytes_max {
        out.pop();
    }
    *now = out;
}
