//! The feed: `GET /v1/events`, server-sent events of what changes while the caller listens.
//!
//! Flow: each notice of the services becomes one event with its id, its name and its JSON. A reader
//! that is too slow gets `feed.lagged` and is cut: nothing is buffered for it without bound.
//! It is not a log: what happened before the call is not told, and a caller that says where it
//! stopped (`Last-Event-ID`) first gets `feed.gap`, and reads anew what it cares about.
//! Invariant: a notice is told once, in order, or the reader is told that some are missing.

use crate::http::error::{Problems, Refusal};
use crate::service::Services;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::stream::{self, Stream, StreamExt as _};
use protocol::api::problem::ErrorCode;
use protocol::api::status::Notice;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How often a silent feed says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The most feeds that are open at once in this process; each holds a connection.
const FEEDS_MAX: usize = 32;
/// Where a caller stopped that listened before.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

static FEEDS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(FEEDS_MAX)));

/// Tells what changes, as it changes.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, description = "Where the caller stopped.")),
    responses(
        (status = 200, description = "The feed.", content_type = "text/event-stream",
            body = Notice),
        Problems,
    ))]
pub(crate) async fn events(
    State(services): State<Services>,
    shutdown: Option<Extension<CancellationToken>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, Refusal> {
    let place = Arc::clone(&FEEDS)
        .try_acquire_owned()
        .map_err(|_full_or_closed| {
            let detail = format!("{FEEDS_MAX} feeds are open");
            Refusal::new(ErrorCode::Busy, "too many feeds at once", detail)
        })?;
    let stopped_at = headers.get(LAST_EVENT_ID).map(|id| {
        let id = id.to_str().unwrap_or_default().to_owned();
        Notice {
            id,
            event: "feed.gap".to_owned(),
            subject: None,
        }
    });
    let shutdown = shutdown.map_or_else(CancellationToken::new, |Extension(token)| token);
    let feed = stream::iter(stopped_at)
        .chain(notices(services.subscribe(), place))
        .map(|notice| event(&notice))
        .take_until(shutdown.cancelled_owned());
    Ok(Sse::new(feed).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Returns the notices until there are no more, or until the reader has missed some.
fn notices(
    receiver: Receiver<Notice>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Notice> + Send {
    let open = Some((receiver, String::new(), place));
    stream::unfold(open, async |open| {
        let (mut receiver, last, place) = open?;
        match receiver.recv().await {
            Ok(notice) => {
                let id = notice.id.clone();
                Some((notice, Some((receiver, id, place))))
            }
            Err(RecvError::Lagged(_)) => {
                let lagged = Notice {
                    id: last,
                    event: "feed.lagged".to_owned(),
                    subject: None,
                };
                Some((lagged, None))
            }
            Err(RecvError::Closed) => None,
        }
    })
}

/// Writes a notice as an event; those about the feed itself do not move the reader's place.
fn event(notice: &Notice) -> Result<Event, axum::Error> {
    let event = Event::default().event(&notice.event).json_data(notice)?;
    Ok(if notice.event.starts_with("feed.") {
        event
    } else {
        event.id(&notice.id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast;

    fn notice(number: u32) -> Notice {
        let event = "memory.created".to_owned();
        Notice {
            id: format!("1-{number}"),
            event,
            subject: None,
        }
    }

    async fn feed(told: u32, room: usize) -> Vec<String> {
        let (sender, receiver) = broadcast::channel(room);
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        for number in 0..told {
            sender.send(notice(number)).unwrap();
        }
        drop(sender);
        let told = notices(receiver, place).collect::<Vec<_>>().await;
        told.into_iter()
            .map(|notice| format!("{} {}", notice.event, notice.id))
            .collect()
    }

    #[tokio::test]
    async fn notices_are_told_in_order() {
        assert_eq!(
            feed(2, 4).await,
            ["memory.created 1-0", "memory.created 1-1"]
        );
    }

    #[tokio::test]
    async fn a_reader_that_lags_is_told_and_cut() {
        assert_eq!(feed(9, 4).await, ["feed.lagged "]);
    }
}
