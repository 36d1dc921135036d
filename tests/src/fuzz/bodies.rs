//! The bodies of events that are not sealed: everything about consent and devices.

use super::persons::{certified, person, sealed, wrapped};
use super::{Subject, Target, slow, target};
use crdt::event::Incarnation;
use crdt::event::body::approval::{Approval, Subject as About};
use crdt::event::body::circle::{CircleChange, CirclePart};
use crdt::event::body::own::{DeviceName, FeedCut, Keyring, Peering, Retirement, Standing};
use crdt::event::body::policy::{read_policy, write_policy};
use crdt::event::body::{
    Answer, Cut, Keys, Membership, Offer, Outcome, Receipt, Renewal, Return, Revocation, Scope,
    Vouch,
};
use crdt::grant::{Access, History, Terms};
use crdt::hash::Hash;
use crdt::id::{DeviceId, EventId, GrantId, MemoryId};
use crdt::identity::is_retired_by_root;
use crdt::selector::Selector;
use crdt::time::Timestamp;

/// The targets.
pub(super) const TARGETS: [Target; 16] = [
    slow("body of a vouching", 200_000, || {
        Subject::canonical(&vouches(), drop)
    }),
    target("body of a peering", || {
        Subject::canonical(&peerings(), drop)
    }),
    target("body of a retirement", retirement),
    target("body of an offer", offer),
    target("body of an answer", || Subject::canonical(&answers(), drop)),
    target("body of a renewal", || {
        Subject::canonical(&renewals(), drop)
    }),
    target("body of a revocation", || {
        Subject::canonical(&revocations(), drop)
    }),
    target("body of keys", || Subject::canonical(&keys(), drop)),
    target("body of a scope", || Subject::canonical(&scopes(), drop)),
    target("body of a receipt", || {
        Subject::canonical(&receipts(), drop)
    }),
    target("body of a return", || Subject::canonical(&returns(), drop)),
    target("body of an approval", || {
        Subject::canonical(&approvals(), drop)
    }),
    target("body of a circle's change", circle),
    target("body of a keyring", || {
        Subject::canonical(&keyrings(), drop)
    }),
    target("body of a device's name", || {
        Subject::canonical(&names(), drop)
    }),
    target("body of a policy", policy),
];

const GRANT: GrantId = GrantId([4; 32]);

fn memories(count: u8) -> Vec<MemoryId> {
    (1..=count).map(|n| MemoryId([n; 32])).collect()
}

fn terms() -> [Terms; 2] {
    let full = Terms {
        expires: Some(Timestamp(1_900_000_000_000)),
        lease_ms: Some(86_400_000),
        purpose: "for the trip".to_owned(),
        reshare: true,
        history: History::None,
        ..Terms::of(Access::Write)
    };
    [Terms::of(Access::Read), full]
}

pub(super) fn offers() -> Vec<Offer> {
    let of = |terms, selector: &str, supersedes, live| Offer {
        grantee: person(2).id(),
        selector: selector.to_owned(),
        terms,
        supersedes,
        live,
    };
    let [plain, full] = terms();
    vec![
        of(plain, "tag:t", None, false),
        of(
            full,
            "tag:trip OR (space:home -kind:task)",
            Some(GRANT),
            true,
        ),
    ]
}

pub(super) fn answers() -> Vec<Answer> {
    vec![Answer { grant: GRANT }]
}

fn renewals() -> Vec<Renewal> {
    let expires = Timestamp(1_900_000_000_000);
    vec![Renewal {
        grant: GRANT,
        expires,
    }]
}

fn cuts(count: u8) -> Vec<Cut> {
    let cut = |memory| Cut {
        device: DeviceId([3; 32]),
        incarnation: Incarnation([1; 16]),
        memory,
        number: 7,
        event: EventId([9; 32]),
    };
    memories(count).into_iter().map(cut).collect()
}

fn revocations() -> Vec<Revocation> {
    let of = |count, continues| Revocation {
        grant: GRANT,
        cuts: cuts(count),
        continues,
        reason: "it is over".to_owned(),
        purge: count > 2,
    };
    vec![of(0, None), of(5, Some(EventId([8; 32])))]
}

fn keys() -> Vec<Keys> {
    vec![Keys {
        grant: GRANT,
        epoch: 1,
        wraps: vec![wrapped(1), wrapped(2)],
    }]
}

fn scopes() -> Vec<Scope> {
    let membership = |memory: MemoryId| Membership {
        memory,
        included: memory.0.first().is_some_and(|byte| byte % 2 == 0),
    };
    vec![Scope {
        grant: GRANT,
        memberships: memories(6).into_iter().map(membership).collect(),
    }]
}

fn vouches() -> Vec<Vouch> {
    let of = |cuts| Vouch {
        certificate: certified(2),
        cuts,
    };
    vec![of(None), of(Some(cuts(3)))]
}

fn receipts() -> Vec<Receipt> {
    let of = |outcome| Receipt {
        grant: GRANT,
        outcome,
        memories: 3,
        passed_on: 1,
    };
    [Outcome::Complied, Outcome::Refused, Outcome::Waiting]
        .map(of)
        .into()
}

fn returns() -> Vec<Return> {
    let grant = GRANT;
    [None, Some(Vec::new()), Some(memories(4))]
        .map(|memories| Return { grant, memories })
        .into()
}

fn approvals() -> Vec<Approval> {
    let of = |subject| Approval {
        subject,
        memories: memories(4),
        approved: true,
    };
    let hold = About::Hold {
        rule: "payment-card".to_owned(),
        found: Hash([9; 32]),
    };
    vec![of(About::Addition { grant: GRANT }), of(hold)]
}

fn circles() -> Vec<CircleChange> {
    let [plain, full] = terms();
    let bob = person(2).id();
    let parts = [
        CirclePart::Exists(true),
        CirclePart::Member(bob, false),
        CirclePart::Share("tag:t".to_owned(), Some(plain)),
        CirclePart::Share("space:home".to_owned(), Some(full)),
        CirclePart::Share("tag:t".to_owned(), None),
        CirclePart::Gave(bob, "tag:t".to_owned(), GRANT),
        CirclePart::Took(GRANT),
    ];
    let named = |what| CircleChange {
        name: "family".to_owned(),
        what,
    };
    parts.map(named).into()
}

fn keyrings() -> Vec<Keyring> {
    vec![Keyring {
        scope: GRANT,
        wraps: vec![wrapped(1)],
        keys: vec![sealed(1), sealed(2)],
    }]
}

fn peerings() -> Vec<Peering> {
    let address = "/ip4/127.0.0.1/udp/1/quic-v1".to_owned();
    let of = |standing, certificates| Peering {
        person: person(2).id(),
        petname: "bob".to_owned(),
        standing,
        certificates,
        addresses: vec![(DeviceId([3; 32]), vec![address.clone()])],
    };
    vec![
        of(Standing::Paired, vec![certified(2)]),
        of(Standing::Blocked, Vec::new()),
        of(Standing::Removed, Vec::new()),
    ]
}

fn names() -> Vec<DeviceName> {
    vec![DeviceName {
        device: DeviceId([3; 32]),
        name: "phone \u{1f4f1}".to_owned(),
    }]
}

fn retirement() -> Subject {
    let cut = |number| FeedCut {
        incarnation: Incarnation([3; 16]),
        feed: Hash([4; 32]),
        number,
        event: EventId([5; 32]),
    };
    let device = DeviceId([3; 32]);
    let of = |proof, cuts| Retirement {
        device,
        cuts,
        proof,
    };
    let (root, genuine) = (person(1).id(), person(1).retire(device));
    let seeds = [
        of(None, vec![cut(1), cut(2)]),
        of(Some(genuine), vec![cut(1)]),
    ];
    Subject::canonical(&seeds, move |retirement: Retirement| {
        let Some(proof) = retirement.proof else {
            return;
        };
        let by_root = is_retired_by_root(root, retirement.device, &proof);
        let expected = (retirement.device, proof) == (device, genuine);
        assert_eq!(by_root, expected, "a forged proof holds");
    })
}

fn offer() -> Subject {
    let of_text = |offer: Offer| {
        if let Ok(selector) = Selector::parse(&offer.selector) {
            assert!(offer.terms.is_within(&offer.terms));
            std::hint::black_box(selector.is_explicit());
        }
    };
    Subject::canonical(&offers(), of_text)
}

fn circle() -> Subject {
    Subject::canonical(&circles(), |change: CircleChange| {
        if let CirclePart::Share(selector, _) = change.what {
            std::hint::black_box(Selector::parse(&selector).is_ok());
        }
    })
}

fn policy() -> Subject {
    let texts = ["[screen]\ntoken = \"hold\"\n", ""];
    let seeds = texts.map(write_policy).into();
    Subject::new(seeds, |body| {
        read_policy(body).is_ok_and(|text| write_policy(&text) == body)
    })
}
