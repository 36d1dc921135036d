//! Runs the guides and examples as they are printed, with real nodes, and compares what is said.
//!
//! ```text
//! document -> steps -> sh -c, as the person of the prompt -> stdout, then stderr, then the code
//! ```
//!
//! Each document has its own nodes, one per prompt name, started at the first use of the name,
//! and one folder that all its commands run in. Variables that a command sets live on in the
//! whole document. `CHECKOUT` is the folder of the source. `eventually 'cmd'` repeats a command until it succeeds. `SNAPSHOTS=overwrite`
//! writes what was said into the document; patterns that matched stay. `DOC=name` picks one.

use brain_tests::console::{Document, Step};
use brain_tests::{Node, process, root};
use snapbox::Data;
use snapbox::filter::{NormalizeToExpected, Redactions};
use snapbox::report::{Palette, write_diff};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long one step may take.
const STEP_MAX: Duration = Duration::from_mins(2);

/// What every command sees: variables live on, and `eventually` waits without a fixed sleep.
const PRELUDE: &str = r#"set -a
eventually() {
  _left=600
  until _said=$(eval "$1" 2>&1); do
    _left=$((_left - 1))
    [ "$_left" -gt 0 ] || { printf '%s\n' "$_said"; return 1; }
    sleep 0.1
  done
  [ -z "$_said" ] || printf '%s\n' "$_said"
}
trap 'env -0 >"$TRANSCRIPT_ENV"' EXIT
"#;

/// Variables that belong to a process or a person, not to the document.
const NOT_CARRIED: [&str; 9] = [
    "PWD",
    "OLDPWD",
    "SHLVL",
    "PATH",
    "HOME",
    "NODE_PID",
    "TRANSCRIPT_ENV",
    "PPID",
    "IFS",
];

#[test]
fn every_guide_says_what_it_prints() {
    let wanted = std::env::var_os("DOC");
    let overwrite = std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite");
    let mut report = Vec::new();
    let mut commands = 0;
    for path in documents() {
        if wanted
            .as_ref()
            .is_some_and(|name| path.file_stem() != Some(name))
        {
            continue;
        }
        let document = Document::read(&path);
        commands += document.steps.len();
        let mut world = World::new(&document);
        let changes = world.play(&mut report);
        if overwrite && !changes.is_empty() {
            std::fs::write(&path, document.rewritten(&changes)).expect("a document is writable");
        }
    }
    assert!(commands > 0, "no document with a command was found");
    assert!(
        overwrite || report.is_empty(),
        "the documents and the programs differ:\n\n{}",
        report.join("\n")
    );
}

#[test]
fn every_guide_has_commands() {
    for path in documents() {
        let document = Document::read(&path);
        let persons: BTreeMap<_, _> = document
            .steps
            .iter()
            .map(|step| (&step.person, step.line))
            .collect();
        assert!(
            !persons.is_empty(),
            "{}: nothing is executed",
            path.display()
        );
        let strangers: Vec<_> = document.without_node.iter().collect();
        let used = strangers.iter().all(|name| persons.contains_key(name));
        assert!(used, "{}: {strangers:?} say nothing", path.display());
    }
}

#[test]
fn the_runner_carries_variables_matches_patterns_and_tells_differences() {
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let path = folder.path().join("self.md");
    let text = "<!-- no node: me, ana -->\n```console\n\
        $ NAME=$(echo a value); touch here\n\
        ana$ ls here; echo $NAME of $RANDOM$$ >&2\nhere\na value of [..]\n\
        $ eventually 'echo x >>tries; test $(wc -l <tries) -gt 2 && cat tries'\n...\nx\n\
        $ echo one; echo two; exit 3\none\nthree\n? 4\n```\n\
        <!-- if: false -->\n```console\n$ exit 9\n```\n";
    std::fs::write(&path, text).expect("the folder takes a file");
    let document = Document::read(&path);
    let mut report = Vec::new();
    let changes = World::new(&document).play(&mut report);
    assert_eq!(report.len(), 1, "one step differs:\n{}", report.join("\n"));
    assert!(
        report[0].contains("exit code 3, 4 is printed"),
        "{}",
        report[0]
    );
    let expected = text.replace("one\nthree\n? 4", "one\ntwo\n? 3");
    assert_eq!(document.rewritten(&changes), expected);
}

/// Returns the executed documents, in the order of their paths.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["docs/guide", "examples"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(root().join(folder)).ok())
        .flatten()
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    found.sort();
    found
}

/// The nodes, the folder and the variables of one document.
struct World<'a> {
    document: &'a Document,
    folder: TempDir,
    nodes: BTreeMap<String, Node>,
    variables: BTreeMap<String, String>,
    left_behind: Vec<u32>,
}

impl<'a> World<'a> {
    fn new(document: &'a Document) -> Self {
        let folder = tempfile::Builder::new().prefix("brain-doc-").tempdir();
        Self {
            document,
            folder: folder.expect("the temporary folder takes a folder"),
            nodes: BTreeMap::new(),
            variables: BTreeMap::new(),
            left_behind: Vec::new(),
        }
    }

    /// Runs all steps, adds differences to the report and returns what to write instead.
    fn play(&mut self, report: &mut Vec<String>) -> Vec<(usize, String, i32)> {
        let mut changes = Vec::new();
        for (place, step) in self.document.steps.iter().enumerate() {
            if step
                .condition
                .as_ref()
                .is_some_and(|test| !self.holds(step, test))
            {
                continue;
            }
            let (actual, code) = self.run(step);
            let expected = Data::text(&step.expected);
            let redactions = self.redactions(step);
            let filter = NormalizeToExpected::new().redact_with(&redactions);
            let actual = filter.normalize(Data::text(actual), &expected);
            let text = actual.render().unwrap_or_default();
            if text != step.expected || code != step.code {
                report.push(self.describe(step, &expected, &actual, code));
                changes.push((place, text, code));
            }
        }
        changes
    }

    /// Says what was printed and what was said, by line of the document.
    fn describe(&self, step: &Step, expected: &Data, actual: &Data, code: i32) -> String {
        let path = &self.document.path;
        let path = path.strip_prefix(root()).unwrap_or(path);
        let names: [&dyn std::fmt::Display; 2] = [&"printed", &"said"];
        let mut diff = String::new();
        let [printed, said] = names.map(Some);
        write_diff(&mut diff, expected, actual, printed, said, Palette::plain())
            .expect("text can be written");
        let place = format!("{}:{}", path.display(), step.line);
        let codes = if code == step.code {
            String::new()
        } else {
            format!("exit code {code}, {} is printed\n", step.code)
        };
        let what = format!("{place}  {}$ {}", step.person, step.command);
        format!("{what}\n{diff}\n{codes}")
    }

    fn holds(&mut self, step: &Step, test: &str) -> bool {
        let mut condition = step.clone();
        condition.command = format!("{{ {test}; }} >/dev/null 2>&1");
        self.run(&condition).1 == 0
    }

    /// Runs the command of a step and returns output and exit code.
    fn run(&mut self, step: &Step) -> (String, i32) {
        let variables_file = self.folder.path().join(".variables");
        let is_offline = self.document.without_node.contains(&step.person);
        let node = self.nodes.entry(step.person.clone()).or_insert_with(|| {
            if is_offline {
                Node::without_process(&step.person, &[])
            } else {
                Node::start(&step.person)
            }
        });
        let mut command = node.command("sh");
        command
            .arg("-c")
            .arg(format!("{PRELUDE}{}\n", step.command))
            .current_dir(self.folder.path())
            .envs(&self.variables)
            .env("PATH", path())
            .env("HOME", self.folder.path())
            .env("CHECKOUT", root())
            .env("TRANSCRIPT_ENV", &variables_file)
            .env("TERM", "dumb")
            .env("COLUMNS", "100")
            .env(
                "NODE_PID",
                node.pid().map(|pid| pid.to_string()).unwrap_or_default(),
            );
        let given: BTreeMap<String, String> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?.into(), value?.to_str()?.into())))
            .collect();
        let said = process::run(&mut command, b"", STEP_MAX);
        self.carry(&variables_file, &given);
        let mut text = said.stdout;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&said.stderr);
        (text.trim_end().to_owned(), said.code)
    }

    /// Keeps the variables that a command set, and notes the process it left behind (`PID=$!`).
    fn carry(&mut self, file: &Path, given: &BTreeMap<String, String>) {
        let written = std::fs::read(file).unwrap_or_default();
        for pair in written.split(|byte| *byte == 0) {
            let pair = String::from_utf8_lossy(pair);
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let is_inherited = std::env::var_os(name).is_some_and(|outer| outer == *value);
            let is_given = given.get(name).is_some_and(|before| before == value);
            let is_own = !name.starts_with('_') && !NOT_CARRIED.contains(&name);
            if is_name && is_own && !is_inherited && !is_given {
                if name.ends_with("PID") {
                    self.left_behind.extend(value.parse::<u32>());
                }
                self.variables.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn redactions(&self, step: &Step) -> Redactions {
        let mut redactions = Redactions::new();
        let home = self
            .nodes
            .get(&step.person)
            .map(Node::home)
            .unwrap_or_default();
        let pairs = [("[HOME]", home), ("[DIR]", self.folder.path().to_owned())];
        for (name, path) in pairs {
            redactions
                .insert(name, path)
                .expect("the names stand in brackets");
        }
        redactions
    }
}

impl Drop for World<'_> {
    /// Ends what commands left behind; they are children of shells that ended.
    fn drop(&mut self) {
        for pid in &self.left_behind {
            let script = format!("kill -KILL {pid} 2>/dev/null");
            std::process::Command::new("sh")
                .args(["-c", &script])
                .status()
                .ok();
        }
    }
}

/// Returns the search path: the programs under test, then what the machine has.
fn path() -> std::ffi::OsString {
    let outer = std::env::var_os("PATH").unwrap_or_default();
    let own = std::iter::once(brain_tests::binaries::dir().to_owned());
    let all = own.chain(std::env::split_paths(&outer));
    std::env::join_paths(all).expect("no folder of the path contains a colon")
}
