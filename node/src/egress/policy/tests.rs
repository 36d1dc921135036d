//! What is a policy, and what is said of what is none.

use super::*;

fn wrong(text: &str) -> PolicyError {
    Policy::parse(text).expect_err(text)
}

#[test]
fn the_policy_that_every_node_begins_with_reads() {
    let policy = Policy::parse(DEFAULT).expect("it reads");
    let held: Vec<&str> = policy.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(held, ["private-key", "token", "payment-card", "iban"]);
    assert_eq!(policy.for_peer(&["anyone"]), PeerRules::default());
    // A policy that says nothing is no weaker.
    let empty = Policy::parse("").expect("it reads");
    assert_eq!(empty.rules.len(), policy.rules.len());
    assert_eq!(empty.for_peer(&["anyone"]), PeerRules::default());
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("\n[screen]\ntokne = \"hold\"", 3, "tokne"),
        ("[screen]\ntoken = \"hodl\"", 2, "hodl"),
        (
            "[[rule]]\nname = \"a\"\ndo = \"hold\"",
            1,
            "when, detect or pattern",
        ),
        (
            "\n\n[[rule]]\nname = \"token\"\nwhen = \"tag:x\"\ndo = \"hold\"",
            3,
            "another rule",
        ),
        (
            "[[rule]]\nname = \"a\"\nwhen = \"tag:\"\ndo = \"hold\"",
            1,
            "when",
        ),
        (
            "[[rule]]\nname = \"a\"\nwhen = \"from:bob\"\ndo = \"hold\"",
            1,
            "a rule asks for",
        ),
        (
            "[[rule]]\nname = \"a\"\npattern = \"(\"\ndo = \"hold\"",
            1,
            "pattern",
        ),
        (
            "[[rule]]\nname = \"a\"\npattern = \"x*\"\ndo = \"hold\"",
            1,
            "everything",
        ),
        (
            "[[rule]]\nname = \"a b\"\nwhen = \"tag:x\"\ndo = \"hold\"",
            1,
            "name",
        ),
        ("[default]\naccept = \"all\"", 1, "accept"),
        ("[peer.\"bob\"]\non_purge = \"never\"", 1, "on_purge"),
        ("[peer.\"bob\"]\nmax_memory = 3", 2, "max_memories"),
        ("screen = 3", 1, "expected"),
        ("[screen", 1, ""),
    ];
    for (text, line, words) in cases {
        let error = wrong(text);
        assert_eq!(error.line, Some(line), "{text}: {error}");
        assert!(error.what.contains(words), "{text}: {error}");
    }
    let many = "[[rule]]\nname = \"a\"\nwhen = \"tag:x\"\ndo = \"hold\"\n".repeat(RULES_MAX + 1);
    assert!(wrong(&many).what.contains("at most"));
    let huge = "[[rule]]\nname = \"a\"\npattern = '(a{1000}){1000}'\ndo = \"hold\"";
    assert!(wrong(huge).what.contains("pattern"), "{}", wrong(huge));
}

#[test]
fn what_is_agreed_with_a_peer_builds_on_the_default() {
    let text = "[default]\naccept = \"read\"\nmax_memories = 10\nauto_renew = false\n\
        [peer.\"bob\"]\naccept = \"write\"\non_revoke = \"keep\"\non_purge = \"ask\"\n\
        [peer.\"did:key:z6Mk\"]\nblock = true\nmax_bytes = 5\n";
    let policy = Policy::parse(text).expect("it reads");
    let anyone = policy.for_peer(&["carol", "did:key:other"]);
    assert_eq!(anyone.accept, Some(Access::Read));
    assert_eq!((anyone.max_memories, anyone.auto_renew), (Some(10), false));
    let bob = policy.for_peer(&["bob", "did:key:other"]);
    assert_eq!(bob.accept, Some(Access::Write));
    assert_eq!((bob.max_memories, bob.auto_renew), (Some(10), false));
    assert_eq!(
        (bob.on_revoke, bob.on_purge),
        (OnRevoke::Keep, OnPurge::Ask)
    );
    let blocked = policy.for_peer(&["dave", "did:key:z6Mk"]);
    assert_eq!((blocked.block, blocked.max_bytes), (true, Some(5)));
    assert!(!anyone.block && !bob.block);
}

#[test]
fn a_rule_that_allows_is_remarked_upon() {
    let text = "\n[[rule]]\nname = \"open\"\nwhen = \"tag:x\"\ndo = \"allow\"";
    let policy = Policy::parse(text).expect("it reads");
    assert_eq!(policy.remarks.len(), 1);
    assert_eq!(policy.remarks[0].line, Some(2));
    assert!(policy.rules.iter().all(|rule| rule.name != "open"));
}
