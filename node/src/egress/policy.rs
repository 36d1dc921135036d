//! The consent policy: a text in TOML, and what it means.
//!
//! ```toml
//! [screen]                      # what the built-in detectors do: allow | redact | hold | deny
//! payment-card = "hold"
//! [[rule]]                      # selector, detector and pattern; all that are given must match
//! name = "no-health-data"
//! when = "tag:health"
//! do   = "deny"
//! [default]                     # what is agreed to with every peer without asking
//! accept = "ask"
//! [peer."bob"]                  # and with one
//! accept = "read"
//! ```
//!
//! An unknown key, verdict or selector is an error with its line: nothing is guessed.
//!
//! Start at [`Policy::parse`].

use super::detect::Kind;
use crdt::event::body::approval::RULE_BYTES_MAX;
use crdt::event::body::policy::POLICY_BYTES_MAX;
use crdt::grant::Access;
use crdt::selector::Selector;
use regex::Regex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use storage::screen::{
    OnPurge, OnRevoke, PeerRules, RULE_HALTED, RULE_SECRET, RULE_UNSCREENED, Verdict,
};
use thiserror::Error;
use toml::Spanned;

/// The policy of a node on which none was put in force.
pub const DEFAULT: &str = include_str!("policy/default.toml");
/// The rule that holds everything while the policy does not read.
pub const RULE_UNREADABLE: &str = "policy-unreadable";
/// The most rules: each is one look at each text.
const RULES_MAX: usize = 64;
/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_024;
/// The memory that one compiled pattern may take, in bytes.
const PATTERN_COMPILED_MAX: usize = 1 << 20;

/// The reason why a text is no policy, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct PolicyError {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub what: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// A rule over labels and content. Everything that it names must match.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it does.
    pub verdict: Verdict,
    /// Which memories it is about; all if absent.
    pub when: Option<Selector>,
    /// What a detector must find.
    pub detect: Option<Kind>,
    /// What a pattern must find.
    pub pattern: Option<Regex>,
    /// Why, in the words of the person.
    pub reason: Option<String>,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The rules, those of the built-in detectors first. Rules that allow are left out.
    pub rules: Vec<Rule>,
    default: PeerRules,
    peers: BTreeMap<String, PeerRules>,
    /// Things that are right and yet surprising.
    pub remarks: Vec<PolicyError>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    screen: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleText>>,
    #[serde(default)]
    default: Option<Spanned<PeerText>>,
    #[serde(default)]
    peer: BTreeMap<String, Spanned<PeerText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: String,
    when: Option<String>,
    detect: Option<String>,
    pattern: Option<String>,
    #[serde(rename = "do")]
    verdict: String,
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerText {
    accept: Option<String>,
    max_memories: Option<u64>,
    max_bytes: Option<u64>,
    auto_renew: Option<bool>,
    on_revoke: Option<String>,
    on_purge: Option<String>,
    block: Option<bool>,
}

/// What can be wrong, before its line is known.
type Checked<T> = Result<T, String>;

impl Policy {
    /// Reads a policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let nowhere = |what: String| PolicyError { line: None, what };
        if text.len() > POLICY_BYTES_MAX {
            let what = format!("a policy has at most {POLICY_BYTES_MAX} bytes");
            return Err(nowhere(what));
        }
        let line = |at: usize| text.get(..at).map(|text| 1 + text.matches('\n').count());
        let read: Text = toml::from_str(text).map_err(|error| PolicyError {
            line: error.span().and_then(|span| line(span.start)),
            what: error.message().to_owned(),
        })?;
        let at = |start: usize| {
            move |what: String| PolicyError {
                line: line(start),
                what,
            }
        };
        let mut rules = screen_rules(&read.screen).map_err(|(start, what)| at(start)(what))?;
        let mut names: BTreeSet<String> = Kind::ALL.map(|kind| kind.as_str().to_owned()).into();
        names.extend(
            [RULE_HALTED, RULE_SECRET, RULE_UNSCREENED, RULE_UNREADABLE].map(str::to_owned),
        );
        let mut remarks = Vec::new();
        if read.rule.len() > RULES_MAX {
            return Err(nowhere(format!("there are at most {RULES_MAX} rules")));
        }
        for spanned in read.rule {
            let start = spanned.span().start;
            let rule = rule(spanned.into_inner()).map_err(at(start))?;
            if !names.insert(rule.name.clone()) {
                let what = format!("there is another rule {:?}", rule.name);
                return Err(at(start)(what));
            }
            if rule.verdict == Verdict::Allow {
                let what = format!(
                    "rule {:?} allows, which changes nothing: the strictest rule counts",
                    rule.name
                );
                remarks.push(at(start)(what));
            }
            rules.push(rule);
        }
        rules.retain(|rule| rule.verdict > Verdict::Allow);
        let mut default = PeerRules::default();
        if let Some(spanned) = read.default {
            let start = spanned.span().start;
            default = peer(default, &spanned.into_inner()).map_err(at(start))?;
        }
        let mut peers = BTreeMap::new();
        for (name, spanned) in read.peer {
            let start = spanned.span().start;
            let rules = peer(default, &spanned.into_inner()).map_err(at(start))?;
            peers.insert(name, rules);
        }
        Ok(Self {
            rules,
            default,
            peers,
            remarks,
        })
    }

    /// Returns what is agreed to with a peer who is known by these names.
    pub fn for_peer(&self, names: &[&str]) -> PeerRules {
        let named = names.iter().find_map(|name| self.peers.get(*name));
        named.copied().unwrap_or(self.default)
    }
    /// Returns the names that the policy gives rules for.
    pub fn peer_names(&self) -> impl Iterator<Item = &str> {
        self.peers.keys().map(String::as_str)
    }
}

/// Returns the rules of the built-in detectors.
fn screen_rules(screen: &BTreeMap<String, Spanned<String>>) -> Result<Vec<Rule>, (usize, String)> {
    let known = || Kind::ALL.map(Kind::as_str).join(", ");
    let unknown = screen.iter().find(|(name, _)| Kind::parse(name).is_none());
    if let Some((name, value)) = unknown {
        let what = format!("there is no detector {name:?}; there are {}", known());
        return Err((value.span().start, what));
    }
    let mut rules = Vec::new();
    for kind in Kind::ALL {
        let verdict = match screen.get(kind.as_str()) {
            Some(value) => verdict(value.get_ref()).map_err(|what| (value.span().start, what))?,
            None => usual(kind),
        };
        rules.push(Rule {
            name: kind.as_str().to_owned(),
            verdict,
            when: None,
            detect: Some(kind),
            pattern: None,
            reason: None,
        });
    }
    Ok(rules)
}

/// What a built-in detector does if the policy does not say: secrets and money are held, the
/// addresses that notes are full of are not.
fn usual(kind: Kind) -> Verdict {
    match kind {
        Kind::PrivateKey | Kind::Token | Kind::PaymentCard | Kind::Iban => Verdict::Hold,
        Kind::Email | Kind::Phone => Verdict::Allow,
    }
}

fn verdict(text: &str) -> Checked<Verdict> {
    Verdict::parse(text)
        .ok_or_else(|| format!("{text:?} is no verdict; there are allow, redact, hold, deny"))
}

fn rule(text: RuleText) -> Checked<Rule> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.name.is_empty() || text.name.len() > RULE_BYTES_MAX || !text.name.chars().all(is_name) {
        return Err(format!(
            "the name of a rule has 1 to {RULE_BYTES_MAX} letters, digits, '-', '_' and '.'"
        ));
    }
    if text.when.is_none() && text.detect.is_none() && text.pattern.is_none() {
        return Err("a rule needs when, detect or pattern".to_owned());
    }
    let when = text.when.as_deref().map(selector).transpose()?;
    let detect = text.detect.as_deref().map(|name| {
        let known = || Kind::ALL.map(Kind::as_str).join(", ");
        Kind::parse(name)
            .ok_or_else(|| format!("there is no detector {name:?}; there are {}", known()))
    });
    let pattern = text.pattern.as_deref().map(pattern).transpose()?;
    Ok(Rule {
        verdict: verdict(&text.verdict)?,
        when,
        detect: detect.transpose()?,
        pattern,
        reason: text.reason,
        name: text.name,
    })
}

/// Reads a selector that asks only what the memory itself says, so that its answer changes only
/// when the memory does.
fn selector(text: &str) -> Checked<Selector> {
    let selector = Selector::parse(text).map_err(|error| format!("when: {error}"))?;
    if selector == Selector::All {
        return Err("when: an empty selector would hold everything".to_owned());
    }
    if depends_on_others(&selector) {
        return Err(
            "when: a rule asks for id:, tag:, space:, kind:, status:, created: and words"
                .to_owned(),
        );
    }
    Ok(selector)
}

fn depends_on_others(selector: &Selector) -> bool {
    match selector {
        Selector::From(_) | Selector::SharedWith(_) | Selector::Updated(_) => true,
        Selector::Not(part) => depends_on_others(part),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().any(depends_on_others),
        _ => false,
    }
}

fn pattern(text: &str) -> Checked<Regex> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"));
    }
    let pattern = regex::RegexBuilder::new(text)
        .size_limit(PATTERN_COMPILED_MAX)
        .dfa_size_limit(PATTERN_COMPILED_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("the pattern does not read: {}", last.trim())
        })?;
    if pattern.is_match("") {
        return Err("the pattern matches nothing at all, and so everything".to_owned());
    }
    Ok(pattern)
}

fn peer(mut rules: PeerRules, text: &PeerText) -> Checked<PeerRules> {
    if let Some(accept) = &text.accept {
        rules.accept = match accept.as_str() {
            "ask" => None,
            "read" => Some(Access::Read),
            "write" => Some(Access::Write),
            other => return Err(format!("accept is ask, read or write, not {other:?}")),
        };
    }
    if let Some(on_revoke) = &text.on_revoke {
        rules.on_revoke = match on_revoke.as_str() {
            "hide" => OnRevoke::Hide,
            "keep" => OnRevoke::Keep,
            other => return Err(format!("on_revoke is hide or keep, not {other:?}")),
        };
    }
    if let Some(on_purge) = &text.on_purge {
        rules.on_purge = match on_purge.as_str() {
            "comply" => OnPurge::Comply,
            "ask" => OnPurge::Ask,
            "refuse" => OnPurge::Refuse,
            other => return Err(format!("on_purge is comply, ask or refuse, not {other:?}")),
        };
    }
    rules.max_memories = text.max_memories.or(rules.max_memories);
    rules.max_bytes = text.max_bytes.or(rules.max_bytes);
    rules.auto_renew = text.auto_renew.unwrap_or(rules.auto_renew);
    rules.block = text.block.unwrap_or(rules.block);
    Ok(rules)
}

#[cfg(test)]
mod tests;
