//! Exit codes: the one table from what went wrong to the number a script sees.
//!
//! Invariant: every [`ErrorCode`] of the API has a number here; the compiler checks it.

use protocol::api::problem::ErrorCode;

/// The exit codes and what each of them means, for `help exit-codes`.
pub(crate) const MEANINGS: [(u8, &str); 12] = [
    (0, "done"),
    (1, "failed, or the answer is no"),
    (
        2,
        "the command line is wrong, an id is ambiguous, or --yes is needed",
    ),
    (3, "not found, or nothing matches"),
    (4, "not allowed (scope, policy, egress guard)"),
    (5, "conflict: the set or the count is not what was expected"),
    (6, "the node, or the peer, does not answer"),
    (7, "timed out"),
    (8, "waits for an approval"),
    (9, "the node is locked"),
    (
        75,
        "temporary: busy, disk full, store takes no writes, no OS keyring; try again later",
    ),
    (130, "interrupted"),
];

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Failed, or the answer is no.
    Failed,
    /// The command line is wrong or needs `--yes`.
    Usage,
    /// Nothing has this name.
    NotFound,
    /// Not allowed.
    NotAllowed,
    /// The set or the count is another one.
    Conflict,
    /// The node or the peer does not answer.
    Unreachable,
    /// Waiting took too long.
    TimedOut,
    /// A person has to approve first.
    Pending,
    /// The node is locked.
    Locked,
    /// It may work later.
    Temporary,
}

impl Exit {
    /// Returns the number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::NotAllowed => 4,
            Self::Conflict => 5,
            Self::Unreachable => 6,
            Self::TimedOut => 7,
            Self::Pending => 8,
            Self::Locked => 9,
            Self::Temporary => 75,
        }
    }

    /// Returns how a command ends that the node refused by this code.
    pub(crate) const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::BadRequest
            | ErrorCode::BadSelector
            | ErrorCode::BadPolicy
            | ErrorCode::AmbiguousId
            | ErrorCode::BadTicket
            | ErrorCode::TooLarge
            | ErrorCode::InvalidUtf8
            | ErrorCode::LimitExceeded => Self::Usage,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::Forbidden
            | ErrorCode::WrongHost
            | ErrorCode::Unauthorized
            | ErrorCode::WrongPassphrase
            | ErrorCode::EgressDenied => Self::NotAllowed,
            ErrorCode::Locked => Self::Locked,
            ErrorCode::PreviewChanged | ErrorCode::Conflict => Self::Conflict,
            ErrorCode::PeerUnreachable => Self::Unreachable,
            ErrorCode::Timeout => Self::TimedOut,
            ErrorCode::DiskFull
            | ErrorCode::StoreReadOnly
            | ErrorCode::Busy
            | ErrorCode::OsKeyring
            | ErrorCode::NotHereYet => Self::Temporary,
            ErrorCode::TicketUsed
            | ErrorCode::TicketExpired
            | ErrorCode::TicketUnknown
            | ErrorCode::NoRoute
            | ErrorCode::MethodNotAllowed
            | ErrorCode::UnsupportedMediaType
            | ErrorCode::StoreDamaged
            | ErrorCode::Internal => Self::Failed,
        }
    }

    /// Returns how a command ends by the name of the code; a name that this version does not know
    /// falls back on the HTTP status.
    pub(crate) fn of_name(name: &str, status: u16) -> Self {
        if name == "pending_approval" {
            return Self::Pending;
        }
        let known = serde_json::Value::String(name.to_owned());
        match (serde_json::from_value::<ErrorCode>(known), status) {
            (Ok(code), _) => Self::of(code),
            (Err(_), 400 | 413 | 422) => Self::Usage,
            (Err(_), 401 | 403 | 421) => Self::NotAllowed,
            (Err(_), 404 | 410) => Self::NotFound,
            (Err(_), 409 | 412) => Self::Conflict,
            (Err(_), 408 | 504) => Self::TimedOut,
            (Err(_), 429 | 503 | 507) => Self::Temporary,
            (Err(_), _) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_documented_numbers() {
        let table = [
            ("bad_request", 2),
            ("bad_selector", 2),
            ("ambiguous_id", 2),
            ("bad_ticket", 2),
            ("not_found", 3),
            ("forbidden", 4),
            ("egress_denied", 4),
            ("unauthorized", 4),
            ("wrong_passphrase", 4),
            ("conflict", 5),
            ("preview_changed", 5),
            ("peer_unreachable", 6),
            ("timeout", 7),
            ("pending_approval", 8),
            ("locked", 9),
            ("busy", 75),
            ("disk_full", 75),
            ("not_here_yet", 75),
            ("os_keyring", 75),
            ("store_read_only", 75),
            ("ticket_used", 1),
            ("ticket_expired", 1),
            ("ticket_unknown", 1),
            ("internal", 1),
        ];
        for (name, number) in table {
            assert_eq!(Exit::of_name(name, 0).number(), number, "{name}");
        }
    }

    #[test]
    fn an_unknown_code_falls_back_on_the_status() {
        let table = [(404, 3), (403, 4), (412, 5), (400, 2), (429, 75), (500, 1)];
        for (status, number) in table {
            assert_eq!(
                Exit::of_name("new_in_a_later_version", status).number(),
                number
            );
        }
    }

    #[test]
    fn every_number_has_a_meaning() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NotFound,
            Exit::NotAllowed,
            Exit::Conflict,
            Exit::Unreachable,
            Exit::TimedOut,
            Exit::Pending,
            Exit::Locked,
            Exit::Temporary,
        ];
        for exit in all {
            assert!(
                MEANINGS.iter().any(|(number, _)| *number == exit.number()),
                "{exit:?}"
            );
        }
    }
}
