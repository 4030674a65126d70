//! The span of whoever called, by its header `traceparent`: the run that the call becomes is below it.
//!
//! Source: W3C Trace Context.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The header that names the span of whoever called.
const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    /// The span below which the call is that this task answers.
    static PARENT: Option<Parent>;
}

/// A span of somebody else, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    /// The id of its trace.
    pub(crate) trace: String,
    /// Its own id.
    pub(crate) span: String,
}

impl Parent {
    /// What the headers of a request say, if it can be read.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(TRACEPARENT)?.to_str().ok()?;
        let mut parts = text.trim().split('-');
        let mut id = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            part.bytes().all(is_hex).then(|| part.to_owned())
        };
        let version = id(2).filter(|version| version != "ff")?;
        let is_some = |id: &String| id.bytes().any(|byte| byte != b'0');
        let (trace, span) = (id(32).filter(is_some)?, id(16).filter(is_some)?);
        id(2)?;
        // Later versions may say more, this one does not.
        (version != "00" || parts.next().is_none()).then_some(Self { trace, span })
    }

    /// Answers a call in the name of that span.
    pub(crate) async fn hold<T>(parent: Option<Self>, answering: impl Future<Output = T>) -> T {
        PARENT.scope(parent, answering).await
    }

    /// The span below which this task answers a call.
    pub(crate) fn current() -> Option<Self> {
        PARENT.try_with(Clone::clone).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_header_is_read_as_the_standard_has_it() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(TRACEPARENT),
                text.parse().unwrap(),
            )]);
            Parent::of(&headers)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = read(good).unwrap();
        assert_eq!(parent.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span, "00f067aa0ba902b7");
        assert!(read(&good.replace("00-4", "cc-4").replace("-01", "-01-later")).is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(Parent::current(), None);
        let seen = Parent::hold(Some(parent.clone()), async { Parent::current() }).await;
        assert_eq!(seen, Some(parent));
    }
}
