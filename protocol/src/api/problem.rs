//! Errors: one problem document for every refusal of every surface.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, by name. The name is the contract: scripts match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is not well-formed.
    BadRequest,
    /// A selector does not parse; the message says where.
    BadSelector,
    /// A policy does not read; the message says where.
    BadPolicy,
    /// Nothing has this id.
    NotFound,
    /// Several ids begin with this prefix.
    AmbiguousId,
    /// There is no such route.
    NoRoute,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The body is larger than the limit.
    TooLarge,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// A value is over its limit.
    LimitExceeded,
    /// The set that was confirmed is not the set that stands.
    PreviewChanged,
    /// The count is another one than was expected.
    Conflict,
    /// The caller may not do this.
    Forbidden,
    /// The request names another host than this node answers to.
    WrongHost,
    /// A bearer token is needed.
    Unauthorized,
    /// The node is locked: its keys are not in memory.
    Locked,
    /// The passphrase does not open the master key.
    WrongPassphrase,
    /// The keyring of the operating system does not give or take the key.
    OsKeyring,
    /// The egress guard holds it back.
    EgressDenied,
    /// The ticket does not read.
    BadTicket,
    /// The ticket was used already.
    TicketUsed,
    /// The ticket is past its time.
    TicketExpired,
    /// The inviter does not know the ticket.
    TicketUnknown,
    /// The peer does not answer.
    PeerUnreachable,
    /// The bytes of an attachment are not here yet.
    NotHereYet,
    /// The disk is full.
    DiskFull,
    /// The store takes no writes.
    StoreReadOnly,
    /// The store is damaged.
    StoreDamaged,
    /// Waiting took too long.
    Timeout,
    /// Too many requests at once.
    Busy,
    /// A fault of the node itself.
    Internal,
}

impl ErrorCode {
    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadSelector => "bad_selector",
            Self::BadPolicy => "bad_policy",
            Self::NotFound => "not_found",
            Self::AmbiguousId => "ambiguous_id",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooLarge => "too_large",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::LimitExceeded => "limit_exceeded",
            Self::PreviewChanged => "preview_changed",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::WrongHost => "wrong_host",
            Self::Unauthorized => "unauthorized",
            Self::Locked => "locked",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::OsKeyring => "os_keyring",
            Self::EgressDenied => "egress_denied",
            Self::BadTicket => "bad_ticket",
            Self::TicketUsed => "ticket_used",
            Self::TicketExpired => "ticket_expired",
            Self::TicketUnknown => "ticket_unknown",
            Self::PeerUnreachable => "peer_unreachable",
            Self::NotHereYet => "not_here_yet",
            Self::DiskFull => "disk_full",
            Self::StoreReadOnly => "store_read_only",
            Self::StoreDamaged => "store_damaged",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }
}

/// A problem document, `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where the error is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence: what.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Why, with the values at hand.
    #[serde(default)]
    pub detail: String,
    /// The stable name.
    pub code: ErrorCode,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The trace that the request was a step of, where traces are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}
