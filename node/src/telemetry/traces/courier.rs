//! The courier: carries spans to the endpoint, for an exporter that runs on a thread of its own.
//!
//! It follows no redirect and asks nobody but the endpoint. That spans are not taken is said in the
//! log once, and once when they are taken again.

use crate::client::{self, Client};
use futures::future::BoxFuture;
use http_body_util::Full;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use url::Url;

/// How long the endpoint may take for a batch.
const SEND_MAX: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// See above.
#[derive(Debug)]
pub(super) struct Courier {
    client: Client,
    runtime: Handle,
    is_away: AtomicBool,
}

impl Courier {
    pub(super) fn new(endpoint: &Url, runtime: Handle) -> Result<Self, String> {
        Ok(Self {
            client: Client::new(endpoint)?,
            runtime,
            is_away: AtomicBool::new(false),
        })
    }

    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let client = self.client.clone();
        // This thread has no runtime: timers and sockets belong to the task.
        let send = async move {
            let answer = client.send(request.map(Full::new)).await?;
            let status = answer.status();
            let body = client::read(answer, ANSWER_BYTES_MAX).await;
            let mut answer = Response::new(body.unwrap_or_default());
            *answer.status_mut() = status;
            Ok(answer)
        };
        let sent = self
            .runtime
            .spawn(async { tokio::time::timeout(SEND_MAX, send).await });
        let sent = sent.await.map_err(|error| error.to_string())?;
        let answer = sent.map_err(|late| late.to_string())?;
        answer.and_then(|answer: Response<Bytes>| {
            if answer.status().is_success() {
                Ok(answer)
            } else {
                Err(format!("it answered {}", answer.status()))
            }
        })
    }
}

impl HttpClient for Courier {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> BoxFuture<'b, Result<Response<Bytes>, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async {
            let carried = self.carry(request).await;
            let was_away = self.is_away.swap(carried.is_err(), Ordering::Relaxed);
            match &carried {
                Err(reason) if !was_away => {
                    tracing::info!(reason, "the endpoint takes no traces; they are dropped");
                }
                Ok(_) if was_away => tracing::info!("the endpoint takes traces again"),
                _ => {}
            }
            carried.map_err(HttpError::from)
        })
    }
}
