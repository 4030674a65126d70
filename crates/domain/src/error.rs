//! Errors that a caller can act on: what kind, whose side, whether to try again, and what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::OfferId;

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// What was given cannot be used; the message names the field and the remedy.
    InvalidInput,
    /// No credential, or one that is not allowed to do this.
    Unauthorized,
    /// There is no such thing, or not for this tenant.
    NotFound,
    /// It clashes with what is already there or under way.
    Conflict,
    /// It would cost more than the budget or the policy allows.
    BudgetExceeded,
    /// Asked too often; try again after the given time.
    RateLimited,
    /// Refused for its content.
    Refused,
    /// The provider tried and failed.
    ProviderFailed,
    /// It took longer than it was allowed to.
    Timeout,
    /// Somebody asked for it to stop.
    Cancelled,
    /// It may or may not have been started; nobody may start it again unasked.
    InDoubt,
    /// What is needed is not there now: a program, a disk, a service.
    Unavailable,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    /// The kind as it is written in events and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::BudgetExceeded => "budget_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::ProviderFailed => "provider_failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::InDoubt => "in_doubt",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Every kind there is.
    pub const ALL: [Self; 13] = [
        Self::InvalidInput,
        Self::Unauthorized,
        Self::NotFound,
        Self::Conflict,
        Self::BudgetExceeded,
        Self::RateLimited,
        Self::Refused,
        Self::ProviderFailed,
        Self::Timeout,
        Self::Cancelled,
        Self::InDoubt,
        Self::Unavailable,
        Self::Internal,
    ];

    fn side(self) -> Side {
        match self {
            Self::RateLimited
            | Self::Refused
            | Self::ProviderFailed
            | Self::Timeout
            | Self::InDoubt => Side::Provider,
            Self::Unavailable | Self::Internal => Side::Ours,
            _ => Side::Caller,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whose side an error lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// This machine or this program.
    Ours,
    /// Whoever made the call.
    Caller,
    /// The provider that was asked.
    Provider,
}

/// An error with a kind, a side, a sentence, and a remedy.
///
/// Not retryable unless stated: [`Error::retryable`] says that a retry may help and
/// `retry_after_ms` when.
///
/// ```
/// use impasto_domain::{Error, ErrorKind};
/// let error = Error::invalid("`num_images` is 99, the most is 16").hint("ask for 16 or fewer");
/// assert_eq!(error.kind, ErrorKind::InvalidInput);
/// assert!(!error.retry);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// What a caller can act on.
    pub kind: ErrorKind,
    /// Whose side it lies on.
    pub side: Side,
    /// Whether a retry of the same call may help.
    pub retry: bool,
    /// When to try again, in milliseconds, if the other side said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What went wrong, as a sentence without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The offer that was being tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferId>,
}

/// The result of anything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; its side follows from the kind, and it is not retryable.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            side: kind.side(),
            retry: false,
            retry_after_ms: None,
            message: message.into(),
            hint: None,
            offer: None,
        }
    }

    /// What was given cannot be used.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// What is needed is not there now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A defect of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Somebody asked for it to stop.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that trying the same call again may help.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retry = true;
        self
    }

    /// Says that trying again may help, and not before `after_ms` milliseconds.
    #[must_use]
    pub fn retry_after(mut self, after_ms: u64) -> Self {
        self.retry_after_ms = Some(after_ms);
        self.retryable()
    }

    /// Names the offer that was being tried.
    #[must_use]
    pub fn at(mut self, offer: &OfferId) -> Self {
        self.offer = Some(offer.clone());
        self
    }

    /// Puts what was being done before the message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.kind)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_that_reads_back() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
