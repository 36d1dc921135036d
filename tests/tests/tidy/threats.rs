//! The threat model: `docs/threat-model.md` is written from `docs/threat-model.toml`, and a row
//! that names a test which does not exist fails.

use std::fmt::Write as _;
use std::path::Path;
use toml::{Table, Value};

const HEAD: &str = "# Threat model\n\nWritten from [`threat-model.toml`](threat-model.toml) by \
    `SNAPSHOTS=overwrite cargo test --workspace --test tidy`.\nA row without a test is not a \
    control, and a row whose test does not exist fails the build.\n";

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    let value = row.get(field).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("a row has no {field}: {row}"))
}

fn list<'a>(table: &'a Value, field: &str) -> &'a [Value] {
    let value = table.get(field).and_then(Value::as_array);
    value.unwrap_or_else(|| panic!("{field} is missing: {table}"))
}

/// Tells what is wrong with a test that a row names, if something is.
fn fault(root: &Path, name: &str) -> Option<String> {
    let (file, test) = name.split_once("::")?;
    let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    let is_there = source.contains(&format!("fn {test}("));
    (!is_there).then(|| format!("{name} does not exist"))
}

fn write(root: &Path, table: &Value, faults: &mut Vec<String>) -> String {
    let mut page = HEAD.to_owned();
    for group in list(table, "group") {
        write!(
            page,
            "\n## {}\n\n| threat | control | what is left | shown by |\n| --- | --- | --- | --- |\n",
            text(group, "name")
        )
        .expect("a string takes text");
        for row in list(group, "row") {
            let tests = list(row, "tests");
            if tests.is_empty() {
                faults.push(format!("no test shows: {}", text(row, "threat")));
            }
            let names = tests.iter().map(|test| {
                let name = test.as_str().expect("a test is text");
                faults.extend(fault(root, name));
                let (file, test) = name.split_once("::").expect("file::test");
                format!("[`{test}`](../{file})")
            });
            let shown = names.collect::<Vec<_>>().join("<br>");
            let cells = ["threat", "control", "residual"].map(|field| text(row, field));
            writeln!(page, "| {} | {shown} |", cells.join(" | ")).expect("a string takes text");
        }
    }
    page
}

#[test]
fn every_threat_names_tests_that_exist() {
    let root = brain_tests::root();
    let source = std::fs::read_to_string(root.join("docs/threat-model.toml")).expect("the table");
    let table: Table = source.parse().expect("the table is TOML");
    let mut faults = Vec::new();
    let page = write(&root, &Value::Table(table), &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let path = root.join("docs/threat-model.md");
    if std::env::var_os("SNAPSHOTS").is_some_and(|mode| mode == "overwrite") {
        std::fs::write(&path, &page).expect("the page is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "run with SNAPSHOTS=overwrite and read the diff"
    );
}
