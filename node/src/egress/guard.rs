//! The guard that a store is opened with: it makes screens out of policies.
//!
//! Invariant: what does not read holds everything. No error on the way ends in "allow".

use super::detect::{Hit, Kind, Layers};
use super::policy::{DEFAULT, Policy, RULE_UNREADABLE, Rule};
use super::redact;
use crdt::hash::Hash;
use crdt::memory::Content;
use crdt::selector;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use storage::screen::{Finding, Guard, PeerRules, Screen, Verdict};

/// Raised when detectors change, so that everything is screened again.
const DETECTORS_VERSION: u8 = 1;

/// The guard of a node.
#[derive(Debug, Clone, Copy, Default)]
pub struct EgressGuard;

impl Guard for EgressGuard {
    fn compile(&self, policy: Option<&str>) -> Arc<dyn Screen> {
        match Policy::parse(policy.unwrap_or(DEFAULT)) {
            Ok(policy) => Arc::new(InForce {
                version: version(&policy.rules),
                policy,
            }),
            Err(error) => Arc::new(Unreadable(error.to_string())),
        }
    }
}

/// Names a set of rules and the detectors that carry them out.
fn version(rules: &[Rule]) -> u64 {
    let rules = format!("{rules:?}");
    let parts: [&[u8]; 2] = [&[DETECTORS_VERSION], rules.as_bytes()];
    number(Hash::of("second-brain 2026 v1 screen", &parts))
}

fn number(hash: Hash) -> u64 {
    let (first, _) = hash.0.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*first)
}

/// A policy that does not read, and why.
#[derive(Debug)]
struct Unreadable(String);

impl Screen for Unreadable {
    fn version(&self) -> u64 {
        number(Hash::of("second-brain 2026 v1 no screen", &[]))
    }
    fn review(&self, _: &dyn selector::Facts, _: &Content) -> Vec<Finding> {
        vec![Finding {
            rule: RULE_UNREADABLE.to_owned(),
            verdict: Verdict::Deny,
            reason: "the policy does not read, so nothing leaves".to_owned(),
            found: Hash::of("second-brain 2026 v1 no screen", &[]),
        }]
    }
    fn redact(&self, _: &dyn selector::Facts, content: &Content) -> Content {
        Content::new(content.kind, content.created)
    }
    fn peer_rules(&self, _: &[&str]) -> PeerRules {
        PeerRules::closed()
    }
    fn fault(&self) -> Option<&str> {
        Some(&self.0)
    }
}

/// A policy that reads.
#[derive(Debug)]
struct InForce {
    version: u64,
    policy: Policy,
}

/// A field of a content.
pub(super) struct Field<'a> {
    /// What it is called in a sentence.
    pub(super) name: &'static str,
    /// What it says.
    pub(super) text: &'a str,
}

/// Returns the fields of a content that leave with it.
pub(super) fn fields(content: &Content) -> Vec<Field<'_>> {
    let field = |name, text| Field { name, text };
    let mut fields = vec![
        field("the title", content.title.as_str()),
        field("the body", content.body.as_str()),
    ];
    fields.extend(content.tags.iter().map(|tag| field("a tag", tag.as_str())));
    fields.extend(
        content
            .source
            .iter()
            .map(|text| field("the source", text.as_str())),
    );
    let files = content.attachments.iter();
    fields.extend(files.map(|file| field("a file name", file.name.as_str())));
    let links = content.links.iter();
    fields.extend(links.map(|link| field("a link", link.relation.as_str())));
    fields.retain(|field| !field.text.is_empty());
    fields
}

/// Looks into one content, once for each detector however many rules ask.
pub(super) struct Look<'a> {
    fields: Vec<(Field<'a>, Layers<'a>)>,
    known: BTreeMap<Kind, Vec<Vec<Hit>>>,
}

impl<'a> Look<'a> {
    pub(super) fn at(content: &'a Content) -> Self {
        let fields = fields(content).into_iter();
        Self {
            fields: fields
                .map(|field| (Layers::of(field.text), field))
                .map(|(l, f)| (f, l))
                .collect(),
            known: BTreeMap::new(),
        }
    }

    /// Returns what a rule finds in each field; none if it does not match.
    pub(super) fn hits(&mut self, rule: &Rule) -> Option<Vec<(&'static str, Vec<Hit>)>> {
        let mut hits: Vec<(&'static str, Vec<Hit>)> = Vec::new();
        if let Some(kind) = rule.detect {
            let fields = &self.fields;
            let found = self
                .known
                .entry(kind)
                .or_insert_with(|| fields.iter().map(|(_, layers)| layers.find(kind)).collect());
            if found.iter().all(Vec::is_empty) {
                return None;
            }
            let named = fields.iter().zip(found.iter());
            hits.extend(named.map(|((field, _), found)| (field.name, found.clone())));
        }
        if let Some(pattern) = &rule.pattern {
            let found = self.fields.iter().map(|(field, layers)| {
                let mut found = layers.matches(pattern);
                // As it is written, too: a pattern may ask for what normalising takes away.
                let plain = pattern.find_iter(field.text).filter(|at| !at.is_empty());
                found.extend(plain.map(|at| Hit {
                    span: at.range(),
                    value: at.as_str().to_lowercase(),
                    encoding: None,
                }));
                (field.name, found)
            });
            let found: Vec<_> = found.collect();
            if found.iter().all(|(_, found)| found.is_empty()) {
                return None;
            }
            hits.extend(found);
        }
        hits.retain(|(_, found)| !found.is_empty());
        Some(hits)
    }
}

/// Says what a rule found and where, and never the thing itself.
fn finding(rule: &Rule, hits: &[(&'static str, Vec<Hit>)]) -> Finding {
    let places: Vec<String> = hits
        .iter()
        .flat_map(|(field, found)| found.iter().map(move |hit| (field, hit.encoding)))
        .map(|(field, encoding)| match encoding {
            Some(encoding) => format!("{field}, in {encoding}"),
            None => (*field).to_owned(),
        })
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let what = match (rule.detect, &rule.pattern, &rule.when) {
        (Some(kind), ..) => kind.phrase().to_owned(),
        (None, Some(_), _) => "its pattern".to_owned(),
        (None, None, Some(selector)) => format!("it is {selector}"),
        (None, None, None) => "everything".to_owned(),
    };
    let mut reason = match places.as_slice() {
        [] => what,
        places => format!("{what} in {}", places.join(" and ")),
    };
    if let Some(words) = &rule.reason {
        reason = format!("{reason}: {words}");
    }
    let values: BTreeSet<&str> = hits
        .iter()
        .flat_map(|(_, found)| found.iter().map(|hit| hit.value.as_str()))
        .collect();
    let selector = rule
        .when
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut parts: Vec<&[u8]> = vec![rule.name.as_bytes(), selector.as_bytes()];
    parts.extend(values.iter().map(|value| value.as_bytes()));
    Finding {
        rule: rule.name.clone(),
        verdict: rule.verdict,
        reason,
        found: Hash::of("second-brain 2026 v1 finding", &parts),
    }
}

impl Screen for InForce {
    fn version(&self) -> u64 {
        self.version
    }
    fn review(&self, labels: &dyn selector::Facts, content: &Content) -> Vec<Finding> {
        let mut look = None;
        let mut findings = Vec::new();
        for rule in &self.policy.rules {
            if rule.when.as_ref().is_some_and(|when| !when.matches(labels)) {
                continue;
            }
            if rule.detect.is_none() && rule.pattern.is_none() {
                findings.push(finding(rule, &[]));
                continue;
            }
            let look = look.get_or_insert_with(|| Look::at(content));
            if let Some(hits) = look.hits(rule) {
                findings.push(finding(rule, &hits));
            }
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
        findings
    }
    fn redact(&self, labels: &dyn selector::Facts, content: &Content) -> Content {
        redact::redact(&self.policy, labels, content)
    }
    fn peer_rules(&self, names: &[&str]) -> PeerRules {
        self.policy.for_peer(names)
    }
    fn fault(&self) -> Option<&str> {
        None
    }
}
