//! Talks HTTP with the node: paths and JSON in, types of `protocol::api` or a refusal out.
//!
//! It knows no command. Path segments are given one by one and encoded here, so an id or a
//! petname cannot reach another route. Lists are followed page by page.

use crate::address::NodeAddress;
use crate::error::{CommandError, Refusal};
use protocol::api::memories::BODY_BYTES_MAX;
use protocol::api::{PAGE_MAX, Page};
use protocol::trace::{self, TraceContext};
use reqwest::blocking::{Body, Client as Http, ClientBuilder, RequestBuilder, Response};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error as _;
use std::fs::File;
use std::time::Duration;

/// How long a request may take if nothing else is said.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How long a request may take that rebuilds or destroys much.
const LONG_TIMEOUT: Duration = Duration::from_hours(1);

/// A connection to a node.
#[derive(Debug)]
pub(crate) struct Client {
    http: Http,
    base: Url,
    address: NodeAddress,
    timeout: Option<Duration>,
}

/// The parameters of a list.
pub(crate) type Query<'a> = [(&'a str, &'a str)];

impl Client {
    /// Makes a client; it connects when the first request goes out. Its requests are below a step of
    /// a trace, if there is one.
    pub(crate) fn new(
        address: NodeAddress,
        timeout: Option<Duration>,
        step: Option<TraceContext>,
    ) -> Result<Self, CommandError> {
        let mut headers = HeaderMap::new();
        let step = step.and_then(|step| HeaderValue::from_str(&step.to_string()).ok());
        headers.extend(step.map(|step| (HeaderName::from_static(trace::HEADER), step)));
        // A proxy of the environment must not see what is said to the own node.
        let builder = ClientBuilder::new().no_proxy().default_headers(headers);
        let (builder, base) = match &address {
            NodeAddress::Socket(path) => {
                let base = Url::parse("http://localhost").expect("this is a URL");
                (builder.unix_socket(path.as_path()), base)
            }
            NodeAddress::Http(url) => (builder, url.clone()),
        };
        let unreachable = |error: reqwest::Error| CommandError::Unreachable {
            address: address.to_string(),
            reason: root_cause(&error),
        };
        let http = builder.build().map_err(unreachable)?;
        Ok(Self {
            http,
            base,
            address,
            timeout,
        })
    }

    /// Returns how long a request may take.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// Returns what stands there.
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<T, CommandError> {
        read(&self.send(self.request(&Method::GET, path, query)?)?)
    }

    /// Returns what stands there; may take long.
    pub(crate) fn get_long<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<T, CommandError> {
        let request = self.request(&Method::GET, path, query)?;
        read(&self.send(request.timeout(self.timeout.unwrap_or(LONG_TIMEOUT)))?)
    }

    /// Returns what stands there as text.
    pub(crate) fn text(&self, path: &[&str]) -> Result<String, CommandError> {
        let answer = self.send(self.request(&Method::GET, path, &[])?)?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Sends a body and returns the answer.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, CommandError> {
        read(&self.send(carry(self.request(&Method::POST, path, &[])?, body)?)?)
    }

    /// Does something that needs no body, such as `:restore`.
    pub(crate) fn act<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, CommandError> {
        read(&self.send(self.request(&Method::POST, path, &[])?)?)
    }

    /// Does something that may take long and needs no body.
    pub(crate) fn act_long<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, CommandError> {
        let request = self.request(&Method::POST, path, &[])?;
        read(&self.send(request.timeout(self.timeout.unwrap_or(LONG_TIMEOUT)))?)
    }

    /// Sends a body that may take long to answer.
    pub(crate) fn post_long<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, CommandError> {
        let request = carry(self.request(&Method::POST, path, &[])?, body)?;
        read(&self.send(request.timeout(self.timeout.unwrap_or(LONG_TIMEOUT)))?)
    }

    /// Puts something in the place of what stands there; may take long.
    pub(crate) fn put_long<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, CommandError> {
        let request = self.request(&Method::PUT, path, &[])?;
        let request = request.timeout(self.timeout.unwrap_or(LONG_TIMEOUT));
        read(&self.send(carry(request, body)?)?)
    }

    /// Sends a file in pieces and returns the answer.
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
        (file, length): (File, u64),
        media_type: &str,
    ) -> Result<T, CommandError> {
        let request = self.request(&Method::POST, path, query)?;
        let request = request.timeout(self.timeout.unwrap_or(LONG_TIMEOUT));
        let request = request
            .header(CONTENT_TYPE, media_type)
            .body(Body::sized(file, length));
        read(&self.send(request)?)
    }

    /// Writes what stands there to a file, in pieces; one that breaks off is an error.
    pub(crate) fn download(&self, path: &[&str], file: &mut File) -> Result<(), CommandError> {
        let request = self.request(&Method::GET, path, &[])?;
        let request = request.timeout(self.timeout.unwrap_or(LONG_TIMEOUT));
        let mut response = request.send().map_err(|error| self.explain(&error))?;
        let status = response.status();
        if status.is_success() {
            let copied = response.copy_to(file);
            return copied.map(drop).map_err(|error| self.explain(&error));
        }
        let body = body(response).map_err(|error| self.explain(&error))?;
        Err(CommandError::Refused(Box::new(refusal(status, &body))))
    }

    /// Changes what stands there.
    pub(crate) fn patch<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, CommandError> {
        read(&self.send(carry(self.request(&Method::PATCH, path, &[])?, body)?)?)
    }

    /// Takes away what stands there and returns the answer.
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, CommandError> {
        read(&self.send(self.request(&Method::DELETE, path, &[])?)?)
    }

    /// Takes away what stands there; the answer has no body.
    pub(crate) fn delete_silently(&self, path: &[&str]) -> Result<(), CommandError> {
        self.send(self.request(&Method::DELETE, path, &[])?)
            .map(drop)
    }

    /// Tells whether something stands there, such as `/readyz`.
    pub(crate) fn is_ok(&self, path: &[&str]) -> Result<bool, CommandError> {
        match self.send(self.request(&Method::GET, path, &[])?) {
            Ok(_) => Ok(true),
            Err(CommandError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns a list, page after page, up to a number of items.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
        limit: Option<usize>,
    ) -> Result<Page<T>, CommandError> {
        self.list_by("cursor", path, query, limit)
    }

    /// Returns a list whose next page is asked for by the parameter `place`.
    pub(crate) fn list_by<T: DeserializeOwned>(
        &self,
        place: &str,
        path: &[&str],
        query: &Query<'_>,
        limit: Option<usize>,
    ) -> Result<Page<T>, CommandError> {
        let start = query
            .iter()
            .find(|(name, _)| *name == place)
            .map(|(_, at)| (*at).to_owned());
        let mut all = Page {
            items: Vec::new(),
            next_cursor: start,
        };
        loop {
            let left = limit.map_or(PAGE_MAX, |limit| limit.saturating_sub(all.items.len()));
            let count = left.min(PAGE_MAX).to_string();
            let mut parameters = query.to_vec();
            parameters.retain(|(name, _)| *name != place);
            parameters.push(("limit", &count));
            if let Some(cursor) = &all.next_cursor {
                parameters.push((place, cursor));
            }
            let page: Page<T> = self.get(path, &parameters)?;
            let is_stuck = page.items.is_empty() || page.next_cursor == all.next_cursor;
            all.items.extend(page.items);
            all.next_cursor = page.next_cursor;
            let is_full = limit.is_some_and(|limit| all.items.len() >= limit);
            // A cursor that does not move would make this loop endless.
            if all.next_cursor.is_none() || is_stuck || is_full {
                return Ok(all);
            }
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<RequestBuilder, CommandError> {
        let url = address(&self.base, path, query)?;
        Ok(self
            .http
            .request(method.clone(), url)
            .timeout(self.patience()))
    }

    fn send(&self, request: RequestBuilder) -> Result<Answer, CommandError> {
        let response = request.send().map_err(|error| self.explain(&error))?;
        let status = response.status();
        let body = body(response).map_err(|error| self.explain(&error))?;
        if status.is_success() {
            return Ok(Answer { body });
        }
        Err(CommandError::Refused(Box::new(refusal(status, &body))))
    }

    fn explain(&self, error: &reqwest::Error) -> CommandError {
        if error.is_timeout() {
            let what = "The answer of the node".to_owned();
            return CommandError::TimedOut {
                what,
                after: self.patience(),
            };
        }
        CommandError::Unreachable {
            address: self.address.to_string(),
            reason: root_cause(error),
        }
    }
}

/// The body of a good answer.
#[derive(Debug)]
struct Answer {
    body: Vec<u8>,
}

fn body(response: Response) -> Result<Vec<u8>, reqwest::Error> {
    Ok(response.bytes()?.to_vec())
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, CommandError> {
    serde_json::from_slice(&answer.body).map_err(|error| CommandError::Unreadable {
        reason: error.to_string(),
    })
}

/// Returns the URL of a path. A segment that means another place (`.`, `..`, nothing) is refused.
fn address(base: &Url, path: &[&str], query: &Query<'_>) -> Result<Url, CommandError> {
    let mut url = base.clone();
    let mut segments = Vec::with_capacity(path.len());
    for segment in path {
        let name = segment.split(':').next().unwrap_or(segment);
        if matches!(name, "" | "." | "..") {
            let what = format!("{segment:?} is no id and no name");
            return Err(CommandError::usage(
                what,
                "brainctl ls, or brainctl peer ls",
            ));
        }
        segments.push(*segment);
    }
    if let Ok(mut place) = url.path_segments_mut() {
        place.clear().extend(segments);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// Reads a problem document; a body that is none still tells the status.
/// Puts a body into a request. One that the node would refuse is refused here: the node closes
/// the connection while it is still being sent, and its answer would be lost.
fn carry(request: RequestBuilder, body: &impl Serialize) -> Result<RequestBuilder, CommandError> {
    let length = serde_json::to_vec(body).map_or(0, |bytes| bytes.len());
    if length > BODY_BYTES_MAX {
        return Err(CommandError::Refused(Box::new(Refusal {
            title: format!("{length} bytes are too large for one memory"),
            detail: format!("a request carries at most {BODY_BYTES_MAX} bytes"),
            code: "too_large".to_owned(),
            hints: vec!["split the text, or keep the file and add its path".to_owned()],
            status: StatusCode::PAYLOAD_TOO_LARGE.as_u16(),
            trace_id: None,
        })));
    }
    Ok(request.json(body))
}

fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    let hints = document.get("hints").and_then(Value::as_array);
    let hints = hints
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned);
    Refusal {
        title: text("title").unwrap_or_else(|| format!("The node answered {status}")),
        detail: text("detail").unwrap_or_default(),
        code: text("code").unwrap_or_else(|| format!("http_{}", status.as_u16())),
        hints: hints.collect(),
        status: status.as_u16(),
        trace_id: text("trace_id"),
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
