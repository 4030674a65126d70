//! A body as bytes, and why there is none.

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use impasto_domain::{Error, ErrorKind};

use crate::front::StoodStill;

/// Why there is no body.
#[derive(Debug, PartialEq)]
pub(crate) enum Spoilt {
    /// It has more bytes than may be.
    TooLarge(u64),
    /// Nothing came for too long.
    StoodStill,
    /// The connection broke, or it is not what HTTP says it should be.
    Broken,
}

/// All of a body, of at most so many bytes.
pub(crate) async fn whole(body: Body, bytes_max: u64) -> Result<Bytes, Spoilt> {
    let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Spoilt::TooLarge(bytes_max)),
        Err(error) => Err(Spoilt::of(&*error)),
    }
}

impl Spoilt {
    /// What a body's error stands for, wherever in its causes that is said.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(one) = cause {
            if one.is::<StoodStill>() {
                return Self::StoodStill;
            }
            cause = one.source();
        }
        Self::Broken
    }

    /// The status that says so.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::StoodStill => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// The same as an error that a caller can act on.
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::TooLarge(most) => {
                Error::invalid(format!("the body is too large, the most is {most} bytes"))
                    .hint("upload files first and name them in the call")
            }
            Self::StoodStill => Error::new(ErrorKind::Timeout, "the body stood still for too long")
                .hint("send it again")
                .retryable(),
            Self::Broken => Error::invalid("the body broke off").hint("send it again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let read = |most| whole(Body::from("12345"), most);
        assert_eq!(read(5).await.as_deref(), Ok(&b"12345"[..]));
        assert_eq!(read(4).await, Err(Spoilt::TooLarge(4)));
    }

    #[test]
    fn a_cause_is_found_however_deep() {
        let deep = axum::Error::new(axum::Error::new(StoodStill));
        assert_eq!(Spoilt::of(&deep), Spoilt::StoodStill);
        assert_eq!(Spoilt::of(&std::fmt::Error), Spoilt::Broken);
    }
}
