//! `SQLite` with FTS5, through Python: the text search that everybody has.

use crate::texts::Notes;
use std::io::Write as _;
use std::process::{Command, Stdio};

const SCRIPT: &str = r#"
import glob, os, resource, sqlite3, sys, tempfile, time
folder, queries = sys.argv[1], [line.strip() for line in sys.stdin]
home = tempfile.mkdtemp()
base = sqlite3.connect(os.path.join(home, "notes.db"))
base.execute("pragma journal_mode = wal"); base.execute("pragma synchronous = full")
base.execute("create virtual table note using fts5(body, tokenize = 'porter')")
def cpu():
    return time.process_time()
wall, spent, count = time.time(), cpu(), 0
for path in glob.iglob(folder + "/*/*.md"):
    with open(path) as note:
        base.execute("insert into note(body) values (?)", (note.read(),))
    count += 1
    if count % 256 == 0:
        base.commit()
base.commit()
print(f"| taking in | {time.time() - wall:.1f} s wall, {count / (cpu() - spent):.0f} notes per CPU second |")
took, spent, hits = [], cpu(), 0
ask = "select rowid, snippet(note, 0, '[', ']', '..', 30) from note where note match ? order by rank limit 10"
for query in queries:
    begun = time.time()
    any_word = " or ".join('"' + word + '"' for word in query.split())
    hits += len(base.execute(ask, (any_word,)).fetchall())
    took.append((time.time() - begun) * 1000)
spent = (cpu() - spent) * 1000 / len(queries)
took.sort()
print(f"| words, in process | {spent:.2f} ms CPU, p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms, {hits / len(queries):.1f} hits |")
size = sum(os.path.getsize(os.path.join(home, name)) for name in os.listdir(home))
print(f"| disk | {size / 1e6:.0f} MB; memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB |")
"#;

/// Returns what the script prints; none where it cannot run.
pub(crate) fn measure(notes: &Notes, queries: usize) -> Option<String> {
    let mut child = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(&notes.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let asked = notes.queries(queries, 3).join("\n");
    child.stdin.take()?.write_all(asked.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let told = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(told)
}
