//! Who someone is: certificates, their keys, and the text forms of both.

use super::{Subject, Target, slow, target};
use crdt::codec::Canonical as _;
use crdt::envelope::wrap::{DeviceSecret, Wrap};
use crdt::envelope::{Epoch, ScopeKey, SealedKey};
use crdt::id::{DeviceId, GrantId, MemoryId, PersonId, from_base32, to_base32};
use crdt::identity::{DeviceCertificate, DeviceKey, PersonKey, did, phrase};
use crdt::testing::Entropy;
use crdt::time::Timestamp;

/// The targets.
pub(super) const TARGETS: [Target; 8] = [
    slow("wrapped scope key", 50_000, wrap),
    slow("device certificate", 200_000, certificate),
    target("recovery phrase", recovery_phrase),
    target("did:key, letters", did_letters),
    target("did:key, inside", did_inside),
    target("id, letters", id_letters),
    target("sealed content key", sealed_key),
    target("time, letters", time_letters),
];

/// A person whose keys are the same in every run.
pub(super) fn person(seed: u8) -> PersonKey {
    PersonKey::from_seed(&[seed; 32])
}

/// A device whose keys are the same in every run.
pub(super) fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&[seed + 100; 32])
}

/// A device's certificate by the person of the same seed.
pub(super) fn certified(seed: u8) -> DeviceCertificate {
    person(seed).certify(&device(seed), Timestamp(1_800_000_000_000))
}

/// A scope key, wrapped to the device of a seed.
pub(super) fn wrapped(seed: u8) -> Wrap {
    let rng = &mut Entropy::new(seed.into());
    let key = ScopeKey::random(rng);
    let public = DeviceSecret::from_seed(&[seed; 32]).public();
    public
        .wrap_key(DeviceId([seed; 32]), GrantId([4; 32]), 0, &key, rng)
        .expect("a key that was made here takes a wrap")
}

/// A content key, sealed under the scope key of a seed.
pub(super) fn sealed(seed: u8) -> SealedKey {
    let rng = &mut Entropy::new(seed.into());
    let scope = ScopeKey::from_bytes([seed; 32]);
    let key = crdt::envelope::ContentKey::random(rng);
    scope.seal_key(
        GrantId([seed; 32]),
        MemoryId([2; 32]),
        Epoch(seed.into()),
        &key,
        rng,
    )
}

fn certificate() -> Subject {
    let known = [certified(1), certified(2)];
    Subject::canonical(&known.clone(), move |certificate| {
        // Only these can have been signed: whatever else reads would be a forgery.
        assert!(known.contains(&certificate), "a forged certificate reads");
    })
}

fn wrap() -> Subject {
    let secret = DeviceSecret::from_seed(&[1; 32]);
    let (mine, other) = (wrapped(1), wrapped(2));
    Subject::canonical(&[mine.clone(), other], move |wrap: Wrap| {
        let opened = secret.unwrap_key(GrantId([4; 32]), 0, &wrap);
        let genuine = wrap == mine;
        assert_eq!(opened.is_ok(), genuine, "a bent wrap opens");
    })
}

fn sealed_key() -> Subject {
    let scope = ScopeKey::from_bytes([1; 32]);
    let (mine, other) = (sealed(1), sealed(2));
    Subject::canonical(&[mine.clone(), other], move |key: SealedKey| {
        let genuine = key == mine;
        assert_eq!(scope.open_key(&key).is_ok(), genuine, "a bent key opens");
    })
}

fn recovery_phrase() -> Subject {
    let (one, other) = (person(1).phrase(), person(2).phrase());
    let words = &["zoo ", "abandon ", " ", "12. ", "\n", "É", "ABLE "];
    Subject::text(&[&one, &other], words, |text| {
        phrase::read(text).is_ok_and(|key| key.phrase().split(' ').count() == phrase::WORDS)
    })
}

fn read_did(text: &str) -> bool {
    match did::from_did(text) {
        Ok(person) => {
            assert_eq!(did::to_did(&person), text, "two texts of one person");
            true
        }
        Err(error) => error.to_string().is_empty(),
    }
}

fn did_letters() -> Subject {
    let (one, other) = (did::to_did(&person(1).id()), did::to_did(&person(2).id()));
    let words = &["did:key:z", "6Mk", "1", "z", "did:web:"];
    Subject::text(&[&one, &other], words, read_did)
}

fn did_inside() -> Subject {
    let inside = |seed| [&[0xed, 0x01], person(seed).id().as_bytes().as_slice()].concat();
    let feed = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(read_did);
    Subject::new(vec![inside(1), inside(2)], feed)
        .wrapped(|inside| format!("did:key:z{}", base58(inside)).into_bytes())
}

/// Writes bytes in base 58; long ones shortened, so that writing costs less than reading.
fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<usize> = Vec::new();
    for byte in bytes.iter().take(60) {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(60);
    let digits = std::iter::repeat_n(0, zeros).chain(digits.into_iter().rev());
    let letters = digits.filter_map(|digit| ALPHABET.get(digit));
    letters.map(|letter| char::from(*letter)).collect()
}

fn id_letters() -> Subject {
    let (one, other) = (MemoryId([7; 32]), MemoryId([0xfe; 32]));
    let words = &["a", "7", "A", "="];
    let seeds = [one.to_string(), other.to_string(), to_base32(&[3; 20])];
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    Subject::text(&seeds, words, |text| {
        let ids = (text.parse::<MemoryId>(), text.parse::<PersonId>());
        if let Ok(id) = ids.0 {
            assert_eq!(id.to_string(), text.to_lowercase(), "two texts of one id");
        }
        assert_eq!(ids.0.is_ok(), ids.1.is_ok());
        from_base32(text).is_some()
    })
}

fn time_letters() -> Subject {
    let seeds = [
        "2026-11-22",
        "2026-11-22T10:20:30Z",
        "2026-11-22T10:20:30.5+01:00[Europe/Berlin]",
        "9999-12-31T23:59:59.999999999Z",
        "-009999-01-01",
    ];
    let words = &["T", "Z", "+", "-", ":", "[UTC]", "99", "00", "."];
    Subject::text(&seeds, words, |text| {
        let Some(time) = Timestamp::parse(text) else {
            return false;
        };
        assert_eq!(Timestamp::parse(&time.to_rfc3339()), Some(time));
        assert_eq!(Timestamp::from_bytes(&time.to_bytes()), Ok(time));
        true
    })
}
