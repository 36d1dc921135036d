//! The import as a whole, over real files: every reason for a skip, the order, the bounds.

mod properties;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// Returns what an import yields as lines: `source` for a note, `source code` for a skip.
fn lines(path: &Path, limits: Limits) -> Vec<String> {
    Import::open(path, limits)
        .unwrap()
        .map(|found| match found {
            Found::Note(note) => note.source,
            Found::Skip(skip) if skip.count == 1 => {
                format!("{} {}", skip.source, skip.reason.code())
            }
            Found::Skip(skip) => format!("{} {} x{}", skip.source, skip.reason.code(), skip.count),
        })
        .collect()
}

/// Makes a folder, lets `fill` fill it, and compares what an import of it yields.
fn check(fill: impl FnOnce(&Path), expect: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let limits = Limits {
        file_bytes_max: 4096,
        body_bytes_max: 1024,
    };
    assert_eq!(lines(dir.path(), limits), expect);
}

fn put(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn content_that_is_no_note() {
    let cases: [(&[u8], &str); 14] = [
        (b"text", ""),
        (b"\xef\xbb\xbftext", ""),
        (b"", " empty"),
        (b"\xef\xbb\xbf \r\n", " empty"),
        (b"a\0b", " binary"),
        (b"%PDF-1.7 text", " binary"),
        (b"\x89PNG\r\n", " binary"),
        (b"PK\x03\x04zip", " binary"),
        (b"caf\xe9", " not_utf8"),
        (b"\xed\xa0\x80 lone surrogate", " not_utf8"),
        (b"\xff\xfet\0e\0x\0t\0", " not_utf8"),
        (&[b'a'; 1024], ""),
        (&[b'a'; 1025], " body_too_long"),
        (&[b'a'; 4097], " too_large"),
    ];
    for (bytes, code) in cases {
        check(
            |dir| put(dir, "a.md", bytes),
            &[&format!("file:a.md{code}")],
        );
    }
}

#[test]
fn extensions_are_taken_or_counted() {
    let fill = |dir: &Path| {
        for name in ["a.md", "b.MARKDOWN", "c.txt", "d.text"] {
            put(dir, name, "x");
        }
        for name in ["e.png", "f.PNG", "g/h.png", "i", "j.org", "k.md.bak"] {
            put(dir, name, "x");
        }
    };
    let expect = [
        "file:a.md",
        "file:b.MARKDOWN",
        "file:c.txt",
        "file:d.text",
        "(no extension) unsupported_extension",
        "*.bak unsupported_extension",
        "*.org unsupported_extension",
        "*.png unsupported_extension x3",
    ];
    check(fill, &expect);
}

#[test]
fn hidden_things_are_named_once_and_not_entered() {
    let fill = |dir: &Path| {
        put(dir, ".env", "SECRET=1");
        put(dir, ".draft.md", "x");
        put(dir, ".obsidian/deep/er/x.md", "x");
        put(dir, "sub/.trash/x.md", "x");
        put(dir, "sub/y.md", "x");
    };
    let expect = [
        "file:.draft.md hidden",
        "file:.env hidden",
        "file:.obsidian hidden",
        "file:sub/.trash hidden",
        "file:sub/y.md",
    ];
    check(fill, &expect);
}

#[test]
fn ignore_files_are_not_honoured() {
    let fill = |dir: &Path| {
        put(dir, ".git/config", "x");
        put(dir, ".gitignore", "*.md\n");
        put(dir, ".ignore", "*.md\n");
        put(dir, "a.md", "x");
    };
    let expect = [
        "file:.git hidden",
        "file:.gitignore hidden",
        "file:.ignore hidden",
        "file:a.md",
    ];
    check(fill, &expect);
}

#[test]
fn links_are_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret.md", "secret");
    let fill = |dir: &Path| {
        put(dir, "real/note.md", "x");
        symlink("loop.md", dir.join("loop.md")).unwrap();
        symlink("..", dir.join("real/up")).unwrap();
        symlink(".", dir.join("self")).unwrap();
        symlink("nowhere.md", dir.join("dangling.md")).unwrap();
        symlink(outside.path(), dir.join("out")).unwrap();
        symlink(outside.path().join("secret.md"), dir.join("out.md")).unwrap();
        symlink("/dev/zero", dir.join("zero.md")).unwrap();
        symlink("real/note.md", dir.join("twin.md")).unwrap();
        symlink("real", dir.join("twins")).unwrap();
    };
    let expect = [
        "file:dangling.md symlink_dangling",
        "file:loop.md symlink_loop",
        "file:out symlink_outside",
        "file:out.md symlink_outside",
        "file:real/note.md",
        "file:real/up symlink_loop",
        "file:self symlink_loop",
        "file:twin.md symlink_inside",
        "file:twins symlink_inside",
        "file:zero.md symlink_outside",
    ];
    check(fill, &expect);
}

#[test]
fn pipes_and_sockets_never_block() {
    let mut kept = None;
    let fill = |dir: &Path| {
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("pipe.md"), mode).unwrap();
        kept = Some(std::os::unix::net::UnixListener::bind(dir.join("socket.md")).unwrap());
    };
    let expect = ["file:pipe.md special_file", "file:socket.md special_file"];
    check(fill, &expect);
    drop(kept);
}

#[test]
fn what_may_not_be_read_is_named() {
    // The superuser may read everything, so there is nothing to see as such.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.md", "x");
    put(dir.path(), "shut/b.md", "x");
    let mode = |name: &str, bits| {
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(bits)).unwrap();
    };
    mode("a.md", 0);
    mode("shut", 0);
    let got = lines(dir.path(), Limits::default());
    mode("shut", 0o700);
    assert_eq!(got, ["file:a.md unreadable", "file:shut unreadable"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_not_utf8_has_no_key() {
    use std::os::unix::ffi::OsStrExt as _;
    let fill = |dir: &Path| {
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.md");
        fs::write(dir.join(name), "x").unwrap();
    };
    check(fill, &["file:caf\u{fffd}.md name_not_utf8"]);
}

#[test]
fn the_order_is_that_of_paths() {
    let fill = |dir: &Path| {
        for name in ["b.md", "a/z.md", "a/b/c.md", "a.md", "A.md", "a-b.md"] {
            put(dir, name, "x");
        }
    };
    let expect = [
        "file:A.md",
        "file:a/b/c.md",
        "file:a/z.md",
        "file:a-b.md",
        "file:a.md",
        "file:b.md",
    ];
    check(fill, &expect);
}

#[test]
fn one_file_and_a_hidden_root_are_taken_by_name() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), ".vault/.one.md", "x");
    put(dir.path(), ".vault/two.md", "x");
    put(dir.path(), ".vault/three.png", "x");
    let vault = dir.path().join(".vault");
    let run = |path: &Path| lines(path, Limits::default());
    assert_eq!(run(&vault.join(".one.md")), ["file:.one.md"]);
    assert_eq!(
        run(&vault.join("three.png")),
        ["*.png unsupported_extension"]
    );
    let all = [
        "file:.one.md hidden",
        "file:two.md",
        "*.png unsupported_extension",
    ];
    assert_eq!(run(&vault), all);
    symlink(&vault, dir.path().join("link")).unwrap();
    assert_eq!(run(&dir.path().join("link")), all);
}

#[test]
fn an_import_of_nothing_or_a_device_does_not_start() {
    let open = |path: &str| Import::open(Path::new(path), Limits::default());
    assert!(matches!(
        open("/nowhere/at/all"),
        Err(OpenError::Open { .. })
    ));
    assert!(matches!(open("/dev/null"), Err(OpenError::Special { .. })));
}

#[test]
fn many_extensions_do_not_grow_the_table() {
    let mut counts = BTreeMap::new();
    for n in 0..10_000 {
        count_extension(&mut counts, format!("*.x{n}"));
    }
    assert_eq!(counts.len(), limits::EXTENSIONS_MAX + 1);
    assert_eq!(counts.values().sum::<u64>(), 10_000);
}

#[test]
fn codes_are_distinct_and_match_the_serialised_form() {
    let codes: std::collections::BTreeSet<_> = SkipReason::ALL.iter().map(|r| r.code()).collect();
    assert_eq!(codes.len(), SkipReason::ALL.len());
    for reason in SkipReason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        assert!(reason.sentence().ends_with('.'));
    }
}

fn note(name: &str, text: &str) -> ImportedNote {
    let file = RawFile {
        source: &format!("file:{name}"),
        bytes: text.as_bytes(),
        modified_ms: 1_750_000_000_000,
    };
    parse(&file, &Limits::default()).unwrap()
}

#[test]
fn a_whole_note() {
    let text = "\u{feff}---\r\ntitle: Bread\r\ntags: [baking, \"#food/bread\"]\r\nalias: Loaf\r\n\
                date: 2024-01-02\r\n---\r\n# Not this\r\nSee [[Flour]] #week3\r\n";
    let note = note("a/b.md", text);
    assert_eq!(note.title, "Bread");
    assert_eq!(note.body, "# Not this\nSee [[Flour]] #week3\n");
    let front = "title: Bread\ntags: [baking, \"#food/bread\"]\nalias: Loaf\ndate: 2024-01-02\n";
    assert_eq!(note.front_matter.as_deref(), Some(front));
    assert!(note.tags.iter().eq(["baking", "food/bread", "week3"]));
    assert_eq!(note.aliases, ["Loaf"]);
    assert_eq!(
        (note.created_ms, note.updated_ms),
        (1_704_153_600_000, 1_750_000_000_000)
    );
    assert_eq!(note.links.len(), 1);
    assert_eq!(note.content_hash, *blake3::hash(text.as_bytes()).as_bytes());
    assert_eq!(note.warnings, []);
}

#[test]
fn titles_fall_back() {
    assert_eq!(note("a/My note.v2.md", "x").title, "My note.v2");
    assert_eq!(note("a.md", "# H\n").title, "H");
    assert_eq!(note("a.md", "---\ntitle: \" \"\n---\n# H\n").title, "H");
    assert_eq!(note("a.md", "---\ntitle: [x]\n---\ny").title, "a");
}

#[test]
fn broken_front_matter_stays_in_the_body() {
    let text = "---\ntitle: [\n---\nbody #tag";
    let broken = note("a.md", text);
    assert_eq!(broken.body, text);
    assert_eq!(broken.front_matter, None);
    assert_eq!(broken.title, "a");
    assert!(broken.tags.contains("tag"));
    assert_eq!(broken.warnings[0].code(), "front_matter_broken");
    let odd = note("a.md", "---\ndate: 01/02/2024\n---\nbody");
    assert_eq!(odd.warnings[0].code(), "date_not_understood");
    assert_eq!(odd.created_ms, odd.updated_ms);
}
