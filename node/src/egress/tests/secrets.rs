//! Secrets as they are written by accident, and the sentences around them.

use super::corpus::{ALPHANUMERIC, Draw};

/// What a secret is, so that an evasion can be chosen that leaves it usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Card,
    Account,
    Key,
    Token,
    /// A value that only the word before it makes a secret.
    Assigned,
}

#[derive(Debug)]
pub(super) struct Secret {
    pub(super) sort: Sort,
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// Appends the check digit of a card.
pub(super) fn with_check_digit(digits: &str) -> String {
    let sum: u32 = digits
        .chars()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = digit.to_digit(10).expect("a digit");
            match (at % 2, digit * 2) {
                (0, doubled) if doubled > 9 => doubled - 9,
                (0, doubled) => doubled,
                _ => digit,
            }
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

pub(super) fn grouped(digits: &str, groups: &[usize], between: &str) -> String {
    let mut rest = digits;
    let mut parts = Vec::new();
    for length in groups {
        let (part, more) = rest.split_at((*length).min(rest.len()));
        parts.push(part);
        rest = more;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts.join(between)
}

pub(super) fn card(draw: &mut Draw) -> String {
    let (prefix, length): (&str, usize) = match draw.below(8) {
        0..=2 => (draw.of(&["4", "4539", "4916", "4532"]), 16),
        3 | 4 => (draw.of(&["51", "55", "5425", "2221", "2720"]), 16),
        5 => (draw.of(&["34", "37"]), 15),
        6 => (draw.of(&["6011", "65"]), 16),
        _ => ("3530", 16),
    };
    let rest = draw.digits(length - 1 - prefix.len());
    with_check_digit(&format!("{prefix}{rest}"))
}

pub(super) fn account(draw: &mut Draw) -> String {
    let (country, bban) = match draw.below(8) {
        0 | 1 => ("DE", draw.digits(18)),
        2 => ("FR", draw.digits(23)),
        3 => (
            "NL",
            format!("{}{}", draw.of(&["ABNA", "INGB", "RABO"]), draw.digits(10)),
        ),
        4 => (
            "GB",
            format!("{}{}", draw.of(&["NWBK", "BARC", "MIDL"]), draw.digits(14)),
        ),
        5 => ("ES", draw.digits(20)),
        6 => ("PL", draw.digits(24)),
        _ => ("NO", draw.digits(11)),
    };
    let mut rest = 0_u32;
    for c in format!("{bban}{country}00").chars() {
        let number = c.to_digit(36).expect("letters and digits");
        rest = (rest * if number > 9 { 100 } else { 10 } + number) % 97;
    }
    format!("{country}{:02}{bban}", 98 - rest)
}

fn armoured(draw: &mut Draw, name: &str, header: &str) -> String {
    let mut lines = vec![format!("-----BEGIN {name}-----")];
    if !header.is_empty() {
        lines.push(format!("{header}\n"));
    }
    for _ in 0..draw.between(3, 10) {
        lines.push(draw.base64(64));
    }
    lines.push(format!("{}==", draw.base64(22)));
    lines.push(format!("-----END {name}-----"));
    lines.join("\n")
}

fn key(draw: &mut Draw) -> (&'static str, String) {
    match draw.below(8) {
        0 => ("rsa key", armoured(draw, "RSA PRIVATE KEY", "")),
        1 => ("pkcs8 key", armoured(draw, "PRIVATE KEY", "")),
        2 => ("ssh key", armoured(draw, "OPENSSH PRIVATE KEY", "")),
        3 => ("ec key", armoured(draw, "EC PRIVATE KEY", "")),
        4 => (
            "sealed key",
            armoured(
                draw,
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,6F1E",
            ),
        ),
        5 => (
            "pgp key",
            armoured(draw, "PGP PRIVATE KEY BLOCK", "Version: GnuPG v2"),
        ),
        6 => {
            let key = draw.text("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58);
            ("age key", format!("AGE-SECRET-KEY-1{key}"))
        }
        _ => {
            let pem = armoured(draw, "PRIVATE KEY", "").replace('\n', "\\n");
            (
                "key in json",
                format!("{{\"type\": \"service_account\", \"key\": \"{pem}\"}}"),
            )
        }
    }
}

fn token(draw: &mut Draw) -> (&'static str, String) {
    match draw.below(11) {
        0 => (
            "aws",
            format!(
                "AKIA{}7Q",
                draw.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 14)
            ),
        ),
        1 => ("github", format!("ghp_{}", draw.text(ALPHANUMERIC, 36))),
        2 => (
            "github fine",
            format!(
                "github_pat_{}_{}",
                draw.text(ALPHANUMERIC, 22),
                draw.text(ALPHANUMERIC, 59)
            ),
        ),
        3 => (
            "slack",
            format!(
                "xoxb-{}-{}-{}",
                draw.digits(12),
                draw.digits(12),
                draw.text(ALPHANUMERIC, 24)
            ),
        ),
        4 => (
            "slack hook",
            format!(
                "https://hooks.slack.com/services/T{}/B{}/{}",
                draw.text("ABCDEF0123456789", 8),
                draw.text("ABCDEF0123456789", 8),
                draw.text(ALPHANUMERIC, 24)
            ),
        ),
        5 => {
            let head = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
            let claims = format!(
                r#"{{"sub":"{}","name":"Ana","iat":15{}}}"#,
                draw.digits(10),
                draw.digits(8)
            );
            let claims = data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes());
            (
                "jwt",
                format!("{head}.{claims}.{}", draw.text(ALPHANUMERIC, 43)),
            )
        }
        6 => ("gitlab", format!("glpat-{}", draw.text(ALPHANUMERIC, 20))),
        7 => ("stripe", format!("sk_live_{}", draw.text(ALPHANUMERIC, 32))),
        8 => ("google", format!("AIza{}", draw.text(ALPHANUMERIC, 35))),
        9 => ("npm", format!("npm_{}", draw.text(ALPHANUMERIC, 36))),
        _ => ("model", format!("sk-proj-{}", draw.text(ALPHANUMERIC, 48))),
    }
}

fn assigned(draw: &mut Draw) -> (&'static str, String) {
    let value = draw.text(ALPHANUMERIC, 32);
    let strong = format!(
        "{}#{}!{}",
        draw.text(ALPHANUMERIC, 7),
        draw.digits(3),
        draw.text(ALPHANUMERIC, 5)
    );
    match draw.below(10) {
        0 => ("env", format!("API_KEY={value}")),
        1 => ("yaml", format!("  client_secret: {value}")),
        2 => ("json value", format!("\"access_token\": \"{value}\"")),
        3 => ("code", format!("const apiKey = '{value}';")),
        4 => ("bearer", format!("Authorization: Bearer {value}")),
        5 => ("password", format!("password: a{strong}B")),
        6 => (
            "address",
            format!("postgres://app:{value}@db.internal:5432/main"),
        ),
        7 => (
            "aws secret",
            format!("aws_secret_access_key = {}", draw.base64(40)),
        ),
        8 => ("toml", format!("secret_key = \"{}\"", draw.hex(64))),
        _ => ("passwort", format!("Passwort: x{strong}Q")),
    }
}

pub(super) fn draw(draw: &mut Draw) -> Secret {
    match draw.below(10) {
        0..=2 => {
            let card = card(draw);
            let is_amex = card.len() == 15;
            let groups: &[usize] = if is_amex { &[4, 6, 5] } else { &[4, 4, 4, 4] };
            let (name, text) = match draw.below(3) {
                0 => ("card", card),
                1 => ("card with spaces", grouped(&card, groups, " ")),
                _ => ("card with hyphens", grouped(&card, groups, "-")),
            };
            Secret {
                sort: Sort::Card,
                name,
                text,
            }
        }
        3 | 4 => {
            let account = account(draw);
            let (name, text) = match draw.below(2) {
                0 => ("account", account),
                _ => ("account with spaces", grouped(&account, &[4; 7], " ")),
            };
            Secret {
                sort: Sort::Account,
                name,
                text,
            }
        }
        5 => {
            let (name, text) = key(draw);
            Secret {
                sort: Sort::Key,
                name,
                text,
            }
        }
        6 | 7 => {
            let (name, text) = token(draw);
            Secret {
                sort: Sort::Token,
                name,
                text,
            }
        }
        _ => {
            let (name, text) = assigned(draw);
            Secret {
                sort: Sort::Assigned,
                name,
                text,
            }
        }
    }
}

/// Puts a secret where people leave them.
pub(super) fn in_context(draw: &mut Draw, secret: &Secret, written: &str) -> (String, String) {
    let contexts: &[(&str, &str)] = match secret.sort {
        Sort::Card => &[
            ("alone", "{}"),
            (
                "booking",
                "Hotel in Porto, paid with {} exp 04/29, breakfast included",
            ),
            ("dictated", "mum's visa is {} and the code is on the back"),
            ("german", "Meine Kreditkarte: {} (gültig bis 03/28)"),
            ("french", "Carte bancaire {} pour le péage"),
            (
                "list",
                "- passport in the drawer\n- {}\n- spare keys at Tom's",
            ),
            ("csv", "2026-03-04;Ana;{};12.40"),
            ("spanish", "Paga con la tarjeta {} cuando llegues"),
        ],
        Sort::Account => &[
            ("alone", "{}"),
            ("rent", "Rent goes to {}, due on the first"),
            ("german", "IBAN: {} BIC: COBADEFFXXX"),
            ("table", "| plumber | {} | 120 € |"),
            ("dutch", "Overmaken naar {} t.n.v. J. de Vries"),
        ],
        _ => &[
            ("alone", "{}"),
            ("note", "for the deploy script, do not lose:\n{}\n"),
            ("fence", "```\n{}\n```\nthen run `make deploy`"),
            ("mail", "Hi Tom,\nhere is what you asked for.\n\n{}\n\nAna"),
            (
                "steps",
                "1. open the console\n2. paste this\n\n    {}\n\n3. wait",
            ),
        ],
    };
    let (context, form) = contexts[draw.below(contexts.len())];
    (
        format!("{} / {context}", secret.name),
        form.replace("{}", written),
    )
}
