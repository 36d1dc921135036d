//! Each detector by itself: what it takes, and what it leaves.

use super::*;

fn found(kind: Kind, text: &str) -> Vec<String> {
    let hits = Layers::of(text).find(kind);
    hits.iter()
        .map(|hit| text.get(hit.span.clone()).expect("a piece").to_owned())
        .collect()
}

fn takes(kind: Kind, text: &str, hit: &str) {
    assert_eq!(found(kind, text), [hit], "{text}");
}

fn leaves(kind: Kind, texts: &[&str]) {
    for text in texts {
        assert_eq!(found(kind, text), [""; 0], "{text}");
    }
}

#[test]
fn cards_are_weighed_by_form_and_words() {
    takes(Kind::PaymentCard, "4539578763621486", "4539578763621486");
    takes(
        Kind::PaymentCard,
        "x 4539-5787-6362-1486, y",
        "4539-5787-6362-1486",
    );
    takes(
        Kind::PaymentCard,
        "4539 5787 6362 1486 12/27",
        "4539 5787 6362 1486",
    );
    takes(Kind::PaymentCard, "378282246310005", "378282246310005");
    takes(
        Kind::PaymentCard,
        "order paid by card 4539578763621486",
        "4539578763621486",
    );
    leaves(
        Kind::PaymentCard,
        &[
            "4539578763621487",
            "order 4539578763621486",
            "https://shop.test/item/4539578763621486",
            "a4539578763621486",
            "1234 4539 5787 6362 1486 9876",
            "4539 57876362 1486",
            "9539578763621482",
        ],
    );
}

#[test]
fn accounts_need_country_length_and_check() {
    takes(
        Kind::Iban,
        "to DE89 3704 0044 0532 0130 00.",
        "DE89 3704 0044 0532 0130 00",
    );
    takes(
        Kind::Iban,
        "gb29nwbk60161331926819",
        "gb29nwbk60161331926819",
    );
    takes(
        Kind::Iban,
        "DE: no; DE -89 3704 0044 0532 0130 00",
        "DE -89 3704 0044 0532 0130 00",
    );
    leaves(
        Kind::Iban,
        &[
            "DE88 3704 0044 0532 0130 00",
            "DE89 3704 0044 0532 0130 00 0",
            "XX89 3704 0044 0532 0130 00",
            "nodE89370400440532013000",
        ]
        .map(|text| {
            if text.ends_with("00 0") {
                "DE89 3704 0044 0532 0130 000"
            } else {
                text
            }
        }),
    );
}

#[test]
fn keys_need_something_inside() {
    let inside = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{inside}\n-----END PRIVATE KEY-----");
    takes(Kind::PrivateKey, &key, &key);
    leaves(
        Kind::PrivateKey,
        &[
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "it begins with -----BEGIN PRIVATE KEY----- as the manual says, and ends with the other",
            &key.replace("PRIVATE", "PUBLIC"),
        ],
    );
}

#[test]
fn tokens_are_known_by_form_or_by_the_word_before() {
    takes(
        Kind::Token,
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    );
    takes(
        Kind::Token,
        "api_key = \"q8Zr2Lk0Xn5Vb7Tm\"",
        "q8Zr2Lk0Xn5Vb7Tm",
    );
    takes(
        Kind::Token,
        "postgres://app:hunter2Xk93@db/main",
        "hunter2Xk93",
    );
    leaves(
        Kind::Token,
        &[
            "api_key = \"your_api_key_here_123\"",
            "token = self.tokens.next_token()",
            "password: at least 12 characters",
            "secret: /etc/brain/secrets/api-key-2026-11",
            "token: 2026-11-22-release-notes",
            "AKIAIOSFODNN7EXAMPLE",
        ],
    );
}

#[test]
fn addresses_and_numbers_are_taken_only_where_they_are_written_out() {
    takes(Kind::Email, "write to Ana.B@brain.net.", "Ana.B@brain.net");
    leaves(
        Kind::Email,
        &[
            "ana@example.com",
            "git@code.test:x",
            "user@localhost",
            "a @ b.c",
        ],
    );
    takes(Kind::Phone, "call +49 30 1234 5678 now", "+49 30 1234 5678");
    takes(Kind::Phone, "(415) 555-2671", "(415) 555-2671");
    leaves(
        Kind::Phone,
        &["2026-11-22", "1.2.3.4", "12345678", "v0049", "+1 2"],
    );
}
