//! Who may speak to the API: the checks on a request's head, before anything else looks at it.
//!
//! Flow: [`admit`] checks the `Host`, then where a browser says the request comes from, then the
//! bearer token; the first objection ends it. It is not authorisation: whoever passes is the owner.
//! Invariant: on TCP no route but the two health probes answers without the token, and no route
//! at all answers a request made by another site's page.

use crate::http::error::Refusal;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use protocol::api::problem::ErrorCode;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// What a browser tells of the relation between the page that asks and this node.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The routes that need no token, so that a supervisor can probe them.
const OPEN_ROUTES: [&str; 2] = ["/healthz", "/readyz"];
/// The names under which a loopback listener answers.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// The port that clients leave out of the `Host`.
const HTTP_PORT: u16 = 80;

/// How requests reach the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A Unix socket; the kernel says who is at the other end.
    UnixSocket,
    /// A TCP listener on a loopback address; anyone on this machine, or a web page, may be.
    Loopback {
        /// The port it is bound to.
        port: u16,
    },
}

/// What one listener of the API asks of a request.
#[derive(Clone)]
pub struct Edge {
    /// How requests arrive.
    pub transport: Transport,
    /// The bearer token that TCP needs.
    pub token: Arc<str>,
    /// More values of `Host` to answer to, with or without a port (`api.allowed_hosts`).
    pub allowed_hosts: Vec<String>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out of logs.
        f.debug_struct("Edge")
            .field("transport", &self.transport)
            .field("allowed_hosts", &self.allowed_hosts)
            .finish_non_exhaustive()
    }
}

/// Admits a request by its head, or says why not.
pub(crate) fn admit(edge: &Edge, head: &Parts) -> Result<(), Refusal> {
    admit_without_token(edge, head)?;
    match edge.transport {
        Transport::UnixSocket => Ok(()),
        Transport::Loopback { .. } if OPEN_ROUTES.contains(&head.uri.path()) => Ok(()),
        Transport::Loopback { .. } => bearer(edge, &head.headers),
    }
}

/// Admits a request to what needs no token: only a page of another site is kept out.
pub(crate) fn admit_without_token(edge: &Edge, head: &Parts) -> Result<(), Refusal> {
    let host = match edge.transport {
        Transport::UnixSocket => None,
        Transport::Loopback { port } => Some(host(edge, port, head)?),
    };
    same_origin(&head.headers, host)
}

/// Returns the one header of this name; `Err` if there are several or it is not visible ASCII.
fn single(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.to_owned())),
        _ => Err(()),
    }
}

/// Returns the host that the request names, if this node answers to it.
fn host(edge: &Edge, port: u16, head: &Parts) -> Result<String, Refusal> {
    let refused = |detail: String| {
        Refusal::new(
            ErrorCode::WrongHost,
            "this node does not answer to that host",
            detail,
        )
        .hint("to answer to another name, add it to the setting api.allowed_hosts")
    };
    let host = single(&head.headers, &header::HOST)
        .map_err(|()| refused("the Host header is there twice, or is not text".to_owned()))?
        .ok_or_else(|| refused("the Host header is missing".to_owned()))?;
    // `GET http://elsewhere/ HTTP/1.1` names a host too.
    let targets_other = head
        .uri
        .authority()
        .is_some_and(|target| target.as_str() != host);
    if targets_other || !answers_to(edge, port, &host) {
        return Err(refused(format!(
            "the request is for {host:?}; the port here is {port}"
        )));
    }
    Ok(host)
}

/// Returns whether `host` is, byte for byte, a name of this node.
fn answers_to(edge: &Edge, port: u16, host: &str) -> bool {
    let named = |name: &str| {
        let without_port = host.strip_prefix(name);
        without_port.is_some_and(|rest| rest == format!(":{port}"))
            || (port == HTTP_PORT && host == name)
    };
    LOOPBACK_NAMES.into_iter().any(named)
        || edge
            .allowed_hosts
            .iter()
            .any(|allowed| host == allowed || named(allowed))
}

/// Refuses what a page of another site made a browser send.
fn same_origin(headers: &HeaderMap, host: Option<String>) -> Result<(), Refusal> {
    let refused = |detail: String| {
        Refusal::new(
            ErrorCode::Forbidden,
            "requests from web pages elsewhere are refused",
            detail,
        )
    };
    let site = single(headers, &SEC_FETCH_SITE);
    if !matches!(
        site.as_ref().map(Option::as_deref),
        Ok(None | Some("none" | "same-origin"))
    ) {
        return Err(refused("Sec-Fetch-Site names another site".to_owned()));
    }
    let own = host.map(|host| format!("http://{host}"));
    match single(headers, &header::ORIGIN) {
        Ok(None) => Ok(()),
        Ok(Some(origin)) if own.as_ref() == Some(&origin) => Ok(()),
        Ok(Some(origin)) => Err(refused(format!("the Origin is {origin:?}"))),
        Err(()) => Err(refused(
            "the Origin is there twice, or is not text".to_owned(),
        )),
    }
}

/// Checks the bearer token.
fn bearer(edge: &Edge, headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |detail: &str| {
        Refusal::new(ErrorCode::Unauthorized, "a bearer token is needed", detail)
            .hint("send `Authorization: Bearer` with the token from the node's data folder")
            .hint("or use the Unix socket, which needs none")
    };
    let given = single(headers, &header::AUTHORIZATION)
        .map_err(|()| refused("the Authorization header is there twice, or is not text"))?
        .ok_or_else(|| refused("the Authorization header is missing"))?;
    let token = given
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token)
        .ok_or_else(|| refused("the Authorization header carries no bearer token"))?;
    // Hashes have one length, so that not even the length of the token can be timed.
    let (given, own) = (
        blake3::hash(token.as_bytes()),
        blake3::hash(edge.token.as_bytes()),
    );
    if !edge.token.is_empty() && bool::from(given.as_bytes().ct_eq(own.as_bytes())) {
        Ok(())
    } else {
        Err(refused("the token is another one"))
    }
}
