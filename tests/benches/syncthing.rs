//! The same notes with Syncthing and with two of our nodes, in one run, on loopback.
//!
//! ```sh
//! apt-get install syncthing
//! cargo bench --workspace --bench syncthing        # NOTES=500 EDITS=5 for a quick look
//! ```
//!
//! What is compared: taking 10,000 small notes in, the first sync, one edit, a new connection when
//! nothing changed, and memory. Our side counts as synced when both have proved the same view and
//! the last note is found by a search on the other side. Syncthing copies files: it keeps no text
//! index, no signatures and no ledger.
//!
//! It says so and ends where Syncthing is not installed; all processes end with it.

#[path = "syncthing/figures.rs"]
mod figures;
#[path = "syncthing/notes.rs"]
mod notes;
#[path = "syncthing/ours.rs"]
mod ours;
#[path = "syncthing/theirs.rs"]
mod theirs;

use brain_tests::measure::number;

#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
fn main() {
    let Some(version) = theirs::version() else {
        println!("skipped: Syncthing is not installed; on Debian: apt-get install syncthing");
        return;
    };
    let (count, edits) = (number("NOTES", 10_000), number("EDITS", 20));
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let notes = notes::write(folder.path(), count);
    println!("{count} notes, {} bytes; {version}", notes.bytes);
    let theirs = theirs::measure(&notes, edits);
    println!("{}", figures::table(&notes, &[("Syncthing", &theirs)]));
    let ours = ours::measure(&notes, edits);
    let both = [("Second Brain", &ours), ("Syncthing", &theirs)];
    println!("{}", figures::table(&notes, &both));
}
