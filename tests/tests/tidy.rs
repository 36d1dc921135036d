//! What must never be in the tree, and a machine can see: each rule is one test.
//!
//! Not a matter of taste or size; those are for the reader. The rules: the direction of
//! dependencies, the one home of each heavy crate, headers, no forgotten file, documents whose
//! links and tables lead somewhere, and an explanation for every error code.

#[path = "tidy/threats.rs"]
mod threats;

use brain_tests::root;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The top-level folders, all of them.
const FOLDERS: [&str; 10] = [
    ".ci", "cli", "crdt", "docs", "examples", "node", "protocol", "storage", "testnet", "tests",
];

/// Which of our crates a crate may see.
const MAY_SEE: [(&str, &[&str]); 7] = [
    ("crdt", &[]),
    ("protocol", &["crdt"]),
    ("storage", &["crdt"]),
    ("brainctl", &["protocol"]),
    ("brain-node", &["crdt", "protocol", "storage"]),
    ("brain-testnet", &[]),
    (
        "brain-tests",
        &["crdt", "protocol", "storage", "brain-node", "brainctl"],
    ),
];

/// Where a heavy crate lives: files whose path begins like this, as a file or a folder.
const HOMES: [(&str, &[&str]); 25] = [
    ("automerge", &["crdt/src/memory"]),
    ("hpke", &["crdt/src/envelope/wrap"]),
    ("negentropy", &["protocol/src/reconcile"]),
    ("redb", &["storage/src/kv"]),
    ("twox_hash", &["storage/src/kv/disk/remains"]),
    ("tantivy", &["storage/src/projection/text"]),
    ("tantivy_fst", &["storage/src/projection/text"]),
    ("libp2p", &["node/src/net"]),
    ("libp2p_stream", &["node/src/net"]),
    ("axum", &["node/src/http"]),
    ("prometheus_client", &["node/src/telemetry"]),
    ("comrak", &["node/src/import"]),
    ("serde_saphyr", &["node/src/import"]),
    (
        "clap",
        &["cli/src", "node/src/main", "node/examples", "testnet/src"],
    ),
    ("rten", &["node/src/embed/onnx/engine"]),
    ("hyper_rustls", &["node/src/client"]),
    ("opentelemetry", &["node/src/telemetry", "cli/src/trace"]),
    (
        "opentelemetry_http",
        &["node/src/telemetry", "cli/src/trace"],
    ),
    (
        "opentelemetry_otlp",
        &["node/src/telemetry", "cli/src/trace"],
    ),
    (
        "opentelemetry_sdk",
        &["node/src/telemetry", "cli/src/trace"],
    ),
    ("opentelemetry_proto", &["tests/src/collector"]),
    ("secret_service", &["node/src/os_keyring/linux"]),
    ("security_framework", &["node/src/os_keyring/macos"]),
    ("zbus", &["node/src/os_keyring/linux"]),
    ("reqwest", &["cli/src", "tests"]),
];

/// What we must not say of copies that lie elsewhere.
const NEVER_SAID: [&str; 4] = [
    "deleted remotely",
    "remotely deleted",
    "remote wipe",
    "deleted everywhere",
];

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let packages = metadata["packages"]
        .as_array()
        .expect("metadata lists packages");
    let names: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let known: BTreeSet<&str> = MAY_SEE.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names, known,
        "the crates of the workspace are those of the table"
    );
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let (_, allowed) = MAY_SEE
            .iter()
            .find(|(known, _)| *known == name)
            .expect("checked above");
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let seen = dependency["name"]
                .as_str()
                .expect("a dependency has a name");
            let is_fine = !names.contains(seen) || allowed.contains(&seen);
            assert!(is_fine, "{name} must not depend on {seen}");
        }
    }
}

#[test]
fn heavy_crates_stay_at_home() {
    let mut strays = Vec::new();
    for file in sources() {
        let text = read(&file);
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (name, homes) in HOMES {
                let is_home = homes.iter().any(|home| lies_in(&file, home));
                if !is_home && names_crate(code, name) {
                    strays.push(format!("{}:{} {name}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(
        strays.is_empty(),
        "outside its home:\n{}",
        strays.join("\n")
    );
}

#[test]
fn the_image_is_built_from_every_crate() {
    let kept = read(Path::new("testnet/Containerfile.dockerignore"));
    let kept: BTreeSet<&str> = kept
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    for package in packages {
        let manifest = package["manifest_path"].as_str().expect("a path");
        let folder = Path::new(manifest).parent().and_then(Path::file_name);
        let folder = folder.and_then(|name| name.to_str()).expect("a folder");
        let parts = ["Cargo.toml", "src"].map(|part| format!("{folder}/{part}"));
        let is_kept =
            kept.contains(folder) || parts.iter().all(|part| kept.contains(part.as_str()));
        assert!(is_kept, "{folder} is left out of the context of the image");
    }
}

#[test]
fn a_crate_is_told_from_a_word() {
    let yes = [
        "use web::Router;",
        "web::serve(x)",
        "use web as axle;",
        "fn f(a: web::Body)",
    ];
    let no = [
        "let web = 1;",
        "crate::web::x()",
        "my_web::x()",
        "use web_extra::Query;",
    ];
    assert!(yes.iter().all(|code| names_crate(code, "web")));
    assert!(!no.iter().any(|code| names_crate(code, "web")));
    assert!(lies_in(Path::new("node/src/net.rs"), "node/src/net"));
    assert!(lies_in(Path::new("node/src/net/dial.rs"), "node/src/net"));
    assert!(!lies_in(Path::new("node/src/network.rs"), "node/src/net"));
}

#[test]
fn every_source_file_has_a_header() {
    let bare: Vec<_> = sources()
        .into_iter()
        .filter(|f| !read(f).starts_with("//!"))
        .collect();
    assert!(bare.is_empty(), "without a //! header: {bare:?}");
}

#[test]
fn no_source_file_is_forgotten() {
    for file in sources() {
        let name = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("names are text");
        assert!(
            name != "mod",
            "{}: foo.rs beside foo/, never mod.rs",
            file.display()
        );
        let folder = file.parent().expect("a source file lies in a crate");
        if is_crate_root(&file) {
            continue;
        }
        let parents = [
            folder.with_extension("rs"),
            folder.join("lib.rs"),
            folder.join("main.rs"),
        ];
        let is_declared = parents.iter().any(|parent| {
            let text = std::fs::read_to_string(root().join(parent)).unwrap_or_default();
            text.lines().any(|line| declares(line, name))
        });
        assert!(is_declared, "{} is compiled by nobody", file.display());
    }
}

#[test]
fn top_level_folders_are_the_list() {
    let entries = std::fs::read_dir(root()).expect("the root can be listed");
    let ignored = read(Path::new(".gitignore"));
    let is_ignored = |name: &String| {
        ignored
            .lines()
            .any(|line| line.trim_matches('/') == name.as_str())
    };
    let found: BTreeSet<String> = entries
        .map(|entry| entry.expect("the root can be listed"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !is_ignored(name) && name != ".git")
        .collect();
    assert_eq!(found, FOLDERS.map(str::to_owned).into());
}

#[test]
fn deliberate_bugs_still_apply() {
    let folder = root().join("tests/bugs");
    let entries = std::fs::read_dir(&folder).expect("the folder can be listed");
    let patches: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "patch"))
        .collect();
    assert!(patches.len() >= 5, "{patches:?}");
    for patch in patches {
        let mut git = Command::new("git");
        let checked = git.arg("apply").arg("--check").arg(&patch);
        let checked = checked.current_dir(root()).output().expect("git runs");
        let why = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{}: {why}", patch.display());
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut dead = Vec::new();
    let root_path = PathBuf::new();
    for document in documents() {
        let text = read(&document);
        for target in links(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = document.parent().unwrap_or(&root_path);
            let place = if path.is_empty() {
                document.clone()
            } else {
                folder.join(path)
            };
            let is_there = root().join(&place).exists();
            let is_text = place.extension().is_some_and(|ending| ending == "md");
            if !is_there || (is_text && !anchor.is_empty() && !anchors(&place).contains(anchor)) {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn the_where_is_table_leads_to_files() {
    let text = read(Path::new("docs/architecture.md"));
    let (_, table) = text
        .split_once("## Where is ...?")
        .expect("the table has its heading");
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert!(
        rows.len() > 20,
        "the table was found, but only {} rows",
        rows.len()
    );
    let missing: Vec<_> = rows
        .iter()
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|path| path.contains('/') && !root().join(path).exists())
        .collect();
    assert!(
        missing.is_empty(),
        "the table names what is not there: {missing:?}"
    );
}

#[test]
fn every_error_code_is_explained() {
    let source = read(Path::new("protocol/src/api/problem.rs"));
    let codes: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.split_once("=> \"")?.1.split_once('"'))
        .map(|(code, _)| code)
        .collect();
    assert!(
        codes.len() > 20,
        "the codes were found in the source: {codes:?}"
    );
    let text = read(Path::new("docs/errors.md"));
    let sections: BTreeMap<&str, &str> = text
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .filter(|(title, _)| !title.contains(' '))
        .collect();
    assert_eq!(
        codes,
        sections.keys().copied().collect(),
        "codes and sections are the same"
    );
    for (code, section) in sections {
        for part in ["**What.**", "**Why.**", "**Do.**", "Exit code "] {
            assert!(
                section.contains(part),
                "docs/errors.md, {code}: {part} is missing"
            );
        }
    }
}

#[test]
fn nothing_claims_to_delete_what_others_hold() {
    for file in sources().into_iter().filter(|file| !lies_in(file, "tests")) {
        let text = read(&file).to_lowercase();
        for claim in NEVER_SAID {
            assert!(!text.contains(claim), "{} says \"{claim}\"", file.display());
        }
    }
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Tells whether a line of code uses an external crate by its name.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default();
        let after = code.get(at + name.len()..).unwrap_or_default();
        let starts = !before.ends_with(|c: char| c.is_alphanumeric() || "_:\".".contains(c));
        let is_use = before.trim_end().ends_with("use");
        let ends = after.starts_with("::") || (is_use && after.starts_with([' ', ';']));
        starts && ends
    })
}

fn lies_in(file: &Path, home: &str) -> bool {
    file.starts_with(home) || file == Path::new(home).with_extension("rs")
}

/// Tells whether cargo compiles a file by itself: crate roots, programs, test suites and examples.
fn is_crate_root(file: &Path) -> bool {
    let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).collect();
    matches!(
        parts.as_slice(),
        [_, "src", "lib.rs" | "main.rs"]
            | [_, "src", "bin", _]
            | [_, "tests" | "benches" | "examples", _]
            | [_, "tests", _, "main.rs"]
            | ["tests", "fuzz", _]
            | [_, "build.rs"]
            | ["examples", _]
    )
}

fn declares(line: &str, name: &str) -> bool {
    let Some(rest) = line.trim().strip_suffix(';') else {
        return false;
    };
    rest.split_whitespace().rev().take(2).eq([name, "mod"])
}

/// Returns every source file, relative to the root.
fn sources() -> Vec<PathBuf> {
    files("rs")
}

/// Returns every document, relative to the root.
fn documents() -> Vec<PathBuf> {
    files("md")
}

fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    folders.push(PathBuf::new());
    while let Some(folder) = folders.pop() {
        let is_root = folder.as_os_str().is_empty();
        for entry in std::fs::read_dir(root().join(&folder))
            .into_iter()
            .flatten()
        {
            let entry = entry.expect("a folder can be listed");
            let path = folder.join(entry.file_name());
            let is_built = entry.file_name() == "target";
            if entry.path().is_dir() && !is_root && !is_built {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no *.{ending} was found");
    found
}

fn read(file: &Path) -> String {
    let text = std::fs::read_to_string(root().join(file));
    text.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Returns the relative targets of a document's links, outside of code blocks.
fn links(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2);
    outside
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// Returns the anchors of a document's headings, as code forges make them.
fn anchors(document: &Path) -> BTreeSet<String> {
    let heading = |line: &str| Some(line.strip_prefix('#')?.trim_start_matches('#').to_owned());
    let slug = |title: String| {
        let kept = title.trim().to_lowercase().replace(' ', "-");
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            .collect()
    };
    read(document)
        .lines()
        .filter_map(heading)
        .map(slug)
        .collect()
}
