//! Requests for blobs, each on a stream of its own, as far as anything comes.

use super::super::tally::count;
use super::super::way::{Line, Way};
use crdt::codec::Canonical as _;
use protocol::blob::{Answer, Request, frame};
use std::io;
use std::time::Duration;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks for each; an error if one is not answered at all.
pub(super) async fn ask(way: &Way, requests: &[Request]) -> io::Result<()> {
    for request in requests {
        let opened = way.network.open_blob(way.victim).await;
        let mut line = Line::of(opened.map_err(io::Error::other)?);
        let has_keys = matches!(request, Request::Ask { keys, .. } if !keys.is_empty());
        way.counts.note(|tally| {
            tally.blobs_asked += 1;
            tally.blobs_asked_with_keys += u64::from(has_keys);
        });
        let answered = tokio::time::timeout(ANSWER_MAX, take(&mut line, request, way));
        answered.await??;
    }
    Ok(())
}

/// Takes all that comes until it is refused, and counts it.
async fn take(line: &mut Line, request: &Request, way: &Way) -> io::Result<()> {
    line.say(&frame(request)).await?;
    loop {
        let message = line.hear().await?;
        let answer = Answer::from_bytes(&message).map_err(io::Error::other)?;
        if answer == Answer::Refused {
            return Ok(());
        }
        let bytes = count(message.len());
        way.counts.note(|tally| tally.blob_bytes += bytes);
        if let Answer::Outline { .. } = answer {
            line.say(&frame(&Request::From(0))).await?;
        }
    }
}
