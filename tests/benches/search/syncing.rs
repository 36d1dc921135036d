//! A second node, of another person: memories stream both ways while ours is searched.

use crate::asking;
use brain_tests::measure::api::{Api, until};
use brain_tests::measure::side::{Side, keep};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(20);
/// Each side writes ten shared memories a second.
const WRITE_EVERY: Duration = Duration::from_millis(100);
const CLIENTS: usize = 8;
/// What both share, tagged on either side.
const SHARED: &str = "streamed";

/// Pairs a new node with ours and asks all queries while both write what they share; returns how the
/// searches went and what was synced meanwhile.
///
/// Panics unless everything that was written is proved to be at both in the end.
pub(crate) fn find(ours: &Side, queries: &[String]) -> (String, String) {
    let theirs = Side::start("peer");
    share(ours, &theirs);
    let (before, writing) = (ours.bytes(), AtomicBool::new(true));
    let (found, written) = std::thread::scope(|scope| {
        let write = |side: &Side, texts: usize| {
            let (api, writing) = (Api::on(&side.node.socket()), &writing);
            let text = move |number: usize| queries.get((texts + number) % queries.len());
            scope.spawn(move || {
                let mut count = 0;
                while writing.load(Ordering::Relaxed) {
                    let text = text(count).map_or("", String::as_str);
                    keep(&api, &format!("streamed {count}: {text}"), &[SHARED]);
                    count += 1;
                    std::thread::sleep(WRITE_EVERY);
                }
                count
            })
        };
        let writers = [write(ours, 0), write(&theirs, queries.len() / 2)];
        let found = asking::find(&ours.node, queries, CLIENTS, &Value::Null);
        writing.store(false, Ordering::Relaxed);
        (
            found,
            writers.map(|writer| writer.join().expect("a writer ends")),
        )
    });
    let count: usize = written.iter().sum();
    let late = until("both hold what was written", LOOK, || {
        [ours, &theirs].iter().all(|side| side.shares(count as u64))
    });
    let bytes = ours.bytes() - before;
    let [sent, taken] = written;
    let synced =
        format!("{sent} sent, {taken} taken in, {bytes} B, all there {late:.2} s after the last");
    (found, synced)
}

/// Pairs both, and has each offer what it tags and agree to the other's offer.
fn share(ours: &Side, theirs: &Side) {
    ours.pair(theirs, ["ours", "theirs"]);
    let selector = format!("tag:{SHARED}");
    let grant = ours.offer(theirs, "theirs", &selector);
    theirs.approve(&grant);
    let grant = theirs.offer(ours, "ours", &selector);
    ours.approve(&grant);
    until("both are in sync", LOOK, || {
        ours.is_in_sync() && theirs.is_in_sync()
    });
}
