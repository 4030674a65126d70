//! What can go wrong, and whether anything was sent before it did.

use std::fmt;

use impasto_domain::{Error, ErrorKind, Side};

/// How far an exchange got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was sent: the other side knows nothing of it, and it is safe to try again.
    NotSent,
    /// Something was sent and nothing came back: nobody here can tell what became of it.
    Unanswered,
    /// The head of an answer came with this status, but not the whole body.
    Answered(u16),
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The URL cannot be used.
    BadUrl,
    /// The address may not be reached.
    Refused,
    /// The name has no address.
    NoAddress,
    /// Nobody answered at the address.
    NoConnection,
    /// The two sides could not agree on encryption, or the certificate is not to be trusted.
    Encryption,
    /// A time limit ran out.
    TooSlow,
    /// The answer is larger than the limit.
    TooLarge,
    /// Too many redirects, or one that cannot be followed.
    Redirects,
    /// The connection broke.
    Broken,
    /// What came is not the protocol that was spoken.
    Garbled,
}

/// An exchange that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetError {
    /// How far it got.
    pub stage: Stage,
    /// Why it failed.
    pub cause: Cause,
    message: String,
    hint: Option<String>,
}

impl NetError {
    pub(crate) fn new(stage: Stage, cause: Cause, message: impl Into<String>) -> Self {
        Self { stage, cause, message: message.into(), hint: None }
    }

    pub(crate) fn unsent(cause: Cause, message: impl Into<String>) -> Self {
        Self::new(Stage::NotSent, cause, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the other side certainly knows nothing of it.
    pub fn is_unsent(&self) -> bool {
        self.stage == Stage::NotSent
    }

    /// Whether the same exchange may go well at another time.
    pub fn is_transient(&self) -> bool {
        match self.cause {
            Cause::NoAddress | Cause::NoConnection | Cause::TooSlow | Cause::Broken => true,
            Cause::BadUrl
            | Cause::Refused
            | Cause::Encryption
            | Cause::TooLarge
            | Cause::Redirects
            | Cause::Garbled => false,
        }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NetError {}

impl From<NetError> for Error {
    /// As an error about asking: whether what was asked for happened is for the caller to say.
    fn from(error: NetError) -> Self {
        let transient = error.is_transient();
        let (kind, side) = match error.cause {
            Cause::BadUrl | Cause::Refused => (ErrorKind::InvalidInput, Side::Caller),
            Cause::NoAddress | Cause::NoConnection => (ErrorKind::Unavailable, Side::Provider),
            Cause::TooSlow => (ErrorKind::Timeout, Side::Provider),
            _ => (ErrorKind::ProviderFailed, Side::Provider),
        };
        let mut told = Self::new(kind, error.message);
        told.side = side;
        told.retry = transient;
        told.hint = error.hint;
        told
    }
}
