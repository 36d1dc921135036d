//! Texts that hold nothing secret and look as if they did.

use super::corpus::{ALPHANUMERIC, Draw};
use super::evasions::in_percent;
use super::secrets::{grouped, with_check_digit};

type Family = (&'static str, fn(&mut Draw) -> String);

/// A number that an issuer could give out, with a right check digit.
fn like_card(draw: &mut Draw) -> String {
    let prefix = draw.of(&["4", "51", "4024", "55", "2221"]);
    let rest = draw.digits(15 - prefix.len());
    with_check_digit(&format!("{prefix}{rest}"))
}

fn ean(draw: &mut Draw, prefix: &str) -> String {
    let digits = format!("{prefix}{}", draw.digits(12 - prefix.len()));
    let sum: u32 = digits
        .chars()
        .enumerate()
        .filter_map(|(at, c)| Some(c.to_digit(10)? * if at % 2 == 0 { 1 } else { 3 }))
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn uuid(draw: &mut Draw) -> String {
    let part = |draw: &mut Draw, length| draw.hex(length);
    [8, 4, 4, 4, 12].map(|length| part(draw, length)).join("-")
}

fn prose(draw: &mut Draw) -> String {
    draw.of(&[
        "Feed the starter at eight, fold at ten, and bake on the hot stone until it sounds hollow.",
        "We walked from the harbour to the old town; 12 km, 480 m up, and rain from the second hour on.",
        "Der Teig ruht zwölf Stunden im Kühlschrank, danach bei 250 Grad mit viel Dampf backen.",
        "La réunion du 14 mars est reportée au 21, même salle, et il faut apporter le passeport.",
        "El martes llevamos el coche al taller; la clave es no dejarlo hasta el viernes.",
        "Il treno parte alle 18:42 dal binario 7 e arriva dopo tre ore, se va tutto bene.",
        "Завтра в десять утра собрание жильцов, вход со двора, код домофона знает сосед.",
        "明日の会議は午前十時から、資料は前日までに送ってください。",
        "O segredo da receita é deixar a massa descansar e não mexer depois.",
        "De sleutel ligt onder de mat, de token voor de wasmachine in het blauwe doosje.",
        "The token ring of the old network was secret to nobody; its password was a joke we all knew.",
        "Secret: use less salt than you think. Password managers help with the other kind of secret.",
        "Kennwort vergessen? Am Empfang nachfragen. Das Passwort steht nicht im Wiki.",
        "مفتاح البيت عند الجيران والرقم معروف للجميع",
        "What is the key of this piece? E flat minor, 4/4, 96 beats, and a long bridge before bar 128.",
    ])
    .to_owned()
}

const FAMILIES: [Family; 66] = [
    ("prose", prose),
    ("prose", prose),
    ("prose", prose),
    ("order", |d| {
        format!("Order number {} shipped on Monday", like_card(d))
    }),
    ("order hash", |d| {
        format!("your order #{} is on its way", like_card(d))
    }),
    ("bestellung", |d| format!("Bestellnummer: {}", like_card(d))),
    ("commande", |d| {
        format!("Commande n° {} confirmée", like_card(d))
    }),
    ("tracking", |d| {
        let n = like_card(d);
        format!("Tracking {}", grouped(&n, &[4, 4, 4, 4], " "))
    }),
    ("product id", |d| {
        format!("Product ID {} (blue, size 42)", like_card(d))
    }),
    ("shop address", |d| {
        format!("https://shop.test/item/{}?ref=mail", like_card(d))
    }),
    ("query", |d| {
        format!("https://maps.test/?cid={}&hl=de", like_card(d))
    }),
    ("imei", |d| {
        format!("IMEI {}", with_check_digit(&format!("35{}", d.digits(12))))
    }),
    ("imei solid", |d| {
        with_check_digit(&format!("35{}", d.digits(12)))
    }),
    ("serial", |d| {
        format!("washing machine, serial {}", like_card(d))
    }),
    ("isbn", |d| format!("ISBN {}", ean(d, "978"))),
    ("isbn hyphens", |d| {
        grouped(&ean(d, "979"), &[3, 1, 4, 4, 1], "-")
    }),
    ("ean", |d| format!("EAN {} oat milk", ean(d, "40"))),
    ("uuid", |d| format!("request {} took 31 ms", uuid(d))),
    ("uuid digits", |d| {
        grouped(&d.digits(32), &[8, 4, 4, 4, 12], "-")
    }),
    ("commit", |d| format!("fixed in commit {}", d.hex(40))),
    ("short commits", |d| {
        format!("{}..{} on main", d.hex(7), d.hex(7))
    }),
    ("sha256", |d| format!("sha256:{}  brain.tar.gz", d.hex(64))),
    ("md5", |d| {
        format!("{}  photo_{}.jpg", d.hex(32), d.digits(4))
    }),
    ("integrity", |d| {
        format!("\"integrity\": \"sha512-{}==\"", d.base64(86))
    }),
    ("date", |d| {
        format!(
            "2026-{:02}-{:02}T{:02}:14:59Z",
            d.between(1, 12),
            d.between(1, 28),
            d.below(24)
        )
    }),
    ("stamp", |d| {
        format!("IMG_202611{:02}_{}.HEIC", d.between(1, 30), d.digits(6))
    }),
    ("milliseconds", |d| {
        format!("\"created\": 17{}", d.digits(11))
    }),
    ("nanoseconds", |d| format!("t=17{}", d.digits(17))),
    ("phone", |d| {
        format!("call +49 30 {} {}", d.digits(4), d.digits(4))
    }),
    ("phone us", |d| format!("(415) 555-{}", d.digits(4))),
    ("phone long", |d| {
        format!("0044 20 7946 0{} ext {}", d.digits(3), d.digits(4))
    }),
    ("table", |d| {
        (0..6).map(|_| d.digits(4)).collect::<Vec<_>>().join(" ")
    }),
    ("columns", |d| {
        (0..4)
            .map(|_| {
                (0..5)
                    .map(|_| format!("4{}", d.digits(3)))
                    .collect::<Vec<_>>()
                    .join("  ")
            })
            .collect::<Vec<_>>()
            .join("\n")
    }),
    ("years", |_| "1914 1918 1939 1945 1961 1989".to_owned()),
    ("coordinates", |d| {
        format!("52.{}, 13.{}", d.digits(14), d.digits(14))
    }),
    ("pi", |_| {
        "3.14159265358979323846264338327950288419716939937510".to_owned()
    }),
    ("version", |d| {
        format!(
            "linux 6.{}.{}-generic, rust 1.95.0-nightly.20261122",
            d.below(20),
            d.below(99)
        )
    }),
    ("wrong check", |d| {
        let mut n = like_card(d);
        let last = n.pop().and_then(|c| c.to_digit(10)).unwrap_or(0);
        format!(
            "{n}{}",
            (last + 1 + u32::try_from(d.below(8)).unwrap_or(0)) % 10
        )
    }),
    ("other issuer", |d| {
        with_check_digit(&format!("9{}", d.digits(14)))
    }),
    ("wrong account", |d| {
        format!(
            "DE00 {} {} {} {} 00",
            d.digits(4),
            d.digits(4),
            d.digits(4),
            d.digits(4)
        )
    }),
    ("like account", |d| {
        format!(
            "flight LH{} seat {}A, row {}",
            d.digits(4),
            d.below(40),
            d.digits(2)
        )
    }),
    ("part number", |d| {
        format!("part DE{}-{}-{}X", d.digits(2), d.digits(4), d.digits(4))
    }),
    ("public key", |d| {
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----",
            d.base64(64),
            d.base64(40)
        )
    }),
    ("ssh public", |d| {
        format!(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} ana@laptop",
            d.base64(43)
        )
    }),
    ("age recipient", |d| {
        format!("age1{}", d.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l", 58))
    }),
    ("certificate", |d| {
        format!(
            "-----BEGIN CERTIFICATE-----\nMII{}\n{}\n-----END CERTIFICATE-----",
            d.base64(61),
            d.base64(64)
        )
    }),
    ("mention of pem", |_| {
        "The file begins with -----BEGIN PRIVATE KEY----- and must be readable by root only."
            .to_owned()
    }),
    ("empty pem", |_| {
        "```\n-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----\n```".to_owned()
    }),
    ("fingerprint", |d| {
        format!("SHA256:{} (ED25519)", d.base64(43))
    }),
    ("picture", |d| {
        format!(
            "![x](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{})",
            d.base64(200)
        )
    }),
    ("code env", |_| {
        "let key = std::env::var(\"API_KEY\").expect(\"set API_KEY\");".to_owned()
    }),
    ("code python", |_| {
        "password = getpass.getpass()\ntoken: str = os.environ[\"GITHUB_TOKEN\"]".to_owned()
    }),
    ("code template", |d| {
        format!(
            "api_key: ${{SECRETS_{}}}\nclient_secret: {{{{ vault.client }}}}",
            d.text("ABCDEF", 6)
        )
    }),
    ("placeholder", |d| {
        format!("API_KEY=your_api_key_here_{}", d.digits(4))
    }),
    ("documented", |_| {
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE".to_owned()
    }),
    ("stars", |_| "password: ****************".to_owned()),
    ("password prose", |d| {
        format!(
            "The password is at least {} characters and changes every year.",
            d.between(8, 20)
        )
    }),
    ("code names", |_| {
        "secret_key = settings.production.secret_key_base\ntoken = request.headers.authorization"
            .to_owned()
    }),
    ("css", |d| {
        format!(".card {{ color: #{}; --token-size: 12px; }}", d.hex(6))
    }),
    ("hex dump", |d| {
        let text = format!("hello world {}", d.digits(4));
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    }),
    ("base64 prose", |d| {
        data_encoding::BASE64.encode(prose(d).as_bytes())
    }),
    ("percent prose", |d| in_percent(&prose(d))),
    ("search address", |_| {
        "https://search.test/?q=k%C3%BCche%20g%C3%BCnstig%20kaufen&page=2".to_owned()
    }),
    ("video", |d| {
        format!(
            "https://video.test/watch?v={}&t=42",
            d.text(ALPHANUMERIC, 11)
        )
    }),
    ("log", |d| {
        format!(
            "2026-11-22 10:11:12.{} INFO session={} took={}ms user=ana",
            d.digits(6),
            d.hex(16),
            d.digits(3)
        )
    }),
    ("sequence", |d| d.text("ACGT", 120)),
];

/// Draws a text, sometimes with prose around it.
pub(super) fn draw(draw: &mut Draw) -> (String, String) {
    let (name, family) = FAMILIES[draw.below(FAMILIES.len())];
    let text = family(draw);
    match draw.below(3) {
        0 => (name.to_owned(), text),
        1 => (name.to_owned(), format!("{}\n\n{text}\n", prose(draw))),
        _ => (name.to_owned(), format!("{text}\n\n{}", prose(draw))),
    }
}
