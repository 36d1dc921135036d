//! Failures: what a use case answers when it does not do what was asked.
//!
//! The sentence is for people and safe to show; causes go to the log.

use crdt::id::ParseIdError;
use crdt::selector::SelectorError;
use protocol::api::problem::ErrorCode;
use storage::kv::KvError;
use storage::store::StoreError;
use storage::tx::{AppendError, ReleaseError, ShareError, WriteError};

/// A refusal, with its name and a next step.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The stable name.
    pub code: ErrorCode,
    /// What, in one sentence.
    pub title: String,
    /// Why, with the values at hand.
    pub detail: String,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// Makes a failure without a reason or a hint.
    pub fn new(code: ErrorCode, title: impl Into<String>) -> Self {
        Self {
            code,
            title: title.into(),
            detail: String::new(),
            hints: Vec::new(),
        }
    }
    /// Says why.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
    pub(super) fn not_found(what: &str, name: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {what} {name:?}"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store refused");
        match error {
            StoreError::Kv(error) => error.into(),
            other => Self::new(ErrorCode::StoreDamaged, "the store is damaged")
                .because(other.to_string())
                .hint("brainctl index rebuild"),
        }
    }
}

impl From<KvError> for Failure {
    fn from(error: KvError) -> Self {
        let detail = error.to_string();
        match error {
            KvError::DiskFull => Self::new(ErrorCode::DiskFull, "the disk is full")
                .because("nothing was stored; what was acknowledged before is safe")
                .hint("free some space and try again; the node needs no restart"),
            KvError::ReadOnly { .. } | KvError::Closed => {
                Self::new(ErrorCode::StoreReadOnly, "the store takes no writes").because(detail)
            }
            KvError::Corrupt { .. } | KvError::Damaged { .. } => {
                Self::new(ErrorCode::StoreDamaged, "the store is damaged")
                    .because(detail)
                    .hint("brainctl index rebuild")
            }
            KvError::TooLarge { .. } => {
                Self::new(ErrorCode::LimitExceeded, "this is too large to store").because(detail)
            }
            _ => Self::new(ErrorCode::StoreReadOnly, "the store takes no writes").because(detail),
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Store(error) => error.into(),
            AppendError::Quarantined(memory) => {
                super::Services::quarantined(memory, "its document failed before")
            }
            AppendError::Broken(memory, why) => super::Services::quarantined(memory, &why),
            other => {
                tracing::error!(error = %other, "an own event was not appended");
                Self::new(
                    ErrorCode::Internal,
                    "the node could not write its own event",
                )
                .because(other.to_string())
            }
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        match error {
            WriteError::Unknown(id) => Self::not_found("memory", &id.to_string()),
            WriteError::Content(_) | WriteError::Edit(_) => {
                Self::new(ErrorCode::LimitExceeded, "the memory was not written").because(detail)
            }
            WriteError::UnknownBase(_) => {
                Self::new(ErrorCode::Conflict, "the base of the edit is unknown").because(detail)
            }
            WriteError::NotOwner | WriteError::IsMine(_) | WriteError::ReadOnly => {
                Self::new(ErrorCode::Forbidden, "this memory belongs to someone else")
                    .because(detail)
            }
            WriteError::Append(error) => error.into(),
        }
    }
}

impl From<ShareError> for Failure {
    fn from(error: ShareError) -> Self {
        let detail = error.to_string();
        match error {
            ShareError::Unknown(id) => Self::not_found("grant", &id.to_string()),
            ShareError::NotPaired => Self::new(ErrorCode::NotFound, detail)
                .hint("brainctl peer invite       pair with them first"),
            ShareError::State(_) => Self::new(ErrorCode::Conflict, detail),
            ShareError::Party(_) => Self::new(ErrorCode::Forbidden, detail),
            ShareError::Append(error) => error.into(),
        }
    }
}

impl From<ReleaseError> for Failure {
    fn from(error: ReleaseError) -> Self {
        let detail = error.to_string();
        match error {
            ReleaseError::Unknown(id) => Self::not_found("memory", &id.to_string()),
            ReleaseError::NotHeld(_) => Self::new(ErrorCode::Conflict, detail)
                .hint("brainctl policy held           list what is held, and by which rule"),
            ReleaseError::Denied(_) => Self::new(ErrorCode::EgressDenied, detail)
                .hint("take the label or the text away, or change the rule: brainctl policy edit"),
            ReleaseError::Append(error) => error.into(),
        }
    }
}

impl From<SelectorError> for Failure {
    fn from(error: SelectorError) -> Self {
        Self::new(
            ErrorCode::BadSelector,
            format!("the selector does not read: {error}"),
        )
        .because(format!("position {}", error.at))
        .hint("brainctl help selectors")
    }
}

impl From<ParseIdError> for Failure {
    fn from(error: ParseIdError) -> Self {
        Self::new(ErrorCode::BadRequest, error.to_string())
    }
}
