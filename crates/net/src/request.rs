//! What is asked of somebody.

use std::fmt;
use std::net::IpAddr;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::{Host, Url};

use crate::options::Limits;
use crate::{AddressClass, Body, Cause, Multipart, NetError, classify};

/// How far a URL is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grade {
    /// It is written in the operator's files.
    Trusted,
    /// It came from a user or from somebody's answer.
    Foreign,
}

/// What is asked of somebody. `Debug` shows neither header values nor queries.
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) grade: Grade,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) limits: Option<Limits>,
}

impl Request {
    /// A request with this method.
    ///
    /// # Errors
    /// The URL is none, or is not one of http, https, ws or wss, or carries user information.
    pub fn new(method: &str, url: &str, grade: Grade) -> Result<Self, NetError> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| NetError::unsent(Cause::BadUrl, format!("'{method}' is not a method")))?;
        let (headers, body) = (HeaderMap::new(), Body::empty());
        Ok(Self { method, url: parse(url)?, grade, headers, body, limits: None })
    }

    /// A request to read.
    ///
    /// # Errors
    /// As [`Request::new`].
    pub fn get(url: &str, grade: Grade) -> Result<Self, NetError> {
        Self::new("GET", url, grade)
    }

    /// A request to do something.
    ///
    /// # Errors
    /// As [`Request::new`].
    pub fn post(url: &str, grade: Grade) -> Result<Self, NetError> {
        Self::new("POST", url, grade)
    }

    /// Sets a header. A value that no header can hold is an error.
    ///
    /// # Errors
    /// The name or the value holds what a header may not hold. The message does not show the value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, NetError> {
        let bad = |what| {
            let message = format!("the {what} of header '{name}' cannot be sent");
            NetError::unsent(Cause::BadUrl, message)
        };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("name"))?;
        let mut held = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad("value"))?;
        held.set_sensitive(true);
        self.headers.insert(key, held);
        Ok(self)
    }

    /// Sends bytes of a media type.
    #[must_use]
    pub fn body(mut self, media_type: &'static str, body: impl Into<Body>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        self.body = body.into();
        self
    }

    /// Sends a form with files.
    #[must_use]
    pub fn multipart(mut self, form: Multipart) -> Self {
        self.headers.insert(CONTENT_TYPE, form.content_type());
        self.body = form.into_body();
        self
    }

    /// Other limits than the client's.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The URL's host with its port, if it is not the usual one; for messages.
    pub fn place(&self) -> String {
        place(&self.url)
    }

    /// The class of the address in the URL; `None` if there is a name instead. What a name leads to
    /// is known only when it is dialled.
    pub fn address_class(&self) -> Option<AddressClass> {
        written_address(&self.url).map(classify)
    }

    /// Whether asking twice does no more than asking once.
    pub(crate) fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    /// The request that follows a redirect to `url`. What was meant for one place alone stays there,
    /// and a place that an answer named is foreign.
    pub(crate) fn redirected(&self, url: Url) -> Self {
        let same = self.url.origin() == url.origin();
        let mut headers = self.headers.clone();
        if !same {
            headers.clear();
        }
        headers.remove(CONTENT_TYPE);
        let grade = if same { self.grade } else { Grade::Foreign };
        let (method, body) = (self.method.clone(), Body::empty());
        Self { method, url, grade, headers, body, limits: self.limits }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("place", &self.place())
            .field("path", &self.url.path())
            .field("grade", &self.grade)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// The address that stands in a URL in place of a name, however it is spelled.
pub(crate) fn written_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Whether a URL's scheme says that the connection is encrypted.
pub(crate) fn is_encrypted(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "wss")
}

/// A host with its port, if it is not the usual one.
pub(crate) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A URL that can be asked.
pub(crate) fn parse(text: &str) -> Result<Url, NetError> {
    let bad = |why: &str| NetError::unsent(Cause::BadUrl, format!("{} {why}", shown(text)));
    let url = Url::parse(text).map_err(|error| bad(&format!("is not a URL: {error}")))?;
    check(&url)?;
    Ok(url)
}

/// Refuses what this client does not speak.
pub(crate) fn check(url: &Url) -> Result<(), NetError> {
    let bad =
        |why: &str| Err(NetError::unsent(Cause::BadUrl, format!("{} {why}", shown(url.as_str()))));
    if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
        return bad("is neither http nor https");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return bad("names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("carries a name or a password, which is not taken from a URL");
    }
    Ok(())
}

/// A URL as it may stand in a message: short, without what could be a credential.
fn shown(text: &str) -> String {
    let bare = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_once("//").unwrap_or(("", bare));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    let name: String = rest.chars().filter(|char| !char.is_control()).take(120).collect();
    if scheme.is_empty() { format!("'{name}'") } else { format!("'{scheme}//{name}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_refused_without_showing_a_credential() {
        let table = [
            ("", "is not a URL"),
            ("file:///etc/passwd", "neither http nor https"),
            ("gopher://a.test/", "neither http nor https"),
            ("data:text/plain,a", "neither http nor https"),
            ("http://", "is not a URL"),
            ("http://user:hunter2@a.test/", "carries a name or a password"),
            ("https://hunter2@a.test/?k=hunter2", "carries a name or a password"),
            ("http://[::1", "is not a URL"),
            ("http://a b/", "is not a URL"),
            ("http://1.2.3.4.5/?hunter2", "is not a URL"),
        ];
        for (text, wanted) in table {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(wanted), "{text}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn a_request_shows_no_secret() {
        let request = Request::get("https://a.test/x?key=hunter2", Grade::Trusted).unwrap();
        let request = request.header("authorization", "Key hunter2").unwrap();
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        let error = request.header("x-key", "hunter2\n").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_redirect_elsewhere_takes_no_credential_along() {
        let request = Request::get("https://a.test/x", Grade::Trusted).unwrap();
        let request = request.header("authorization", "Key hunter2").unwrap();
        let same = request.redirected(Url::parse("https://a.test/y").unwrap());
        assert!(
            same.headers.contains_key(http::header::AUTHORIZATION) && same.grade == Grade::Trusted
        );
        for other in ["https://b.test/", "http://a.test/", "https://a.test:444/"] {
            let other = request.redirected(Url::parse(other).unwrap());
            assert!(other.headers.is_empty() && other.grade == Grade::Foreign);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_parsing_fall_over(text in "(https?|ws|file)?:?/{0,3}[ -~\u{0}-\u{ff}\u{3002}\u{ff10}-\u{ff19}]{0,40}") {
            if let Ok(url) = parse(&text) {
                proptest::prop_assert!(matches!(url.scheme(), "http" | "https" | "ws" | "wss"));
                proptest::prop_assert!(url.host_str().is_some_and(|host| !host.is_empty()));
                proptest::prop_assert!(url.username().is_empty() && url.password().is_none());
            }
        }
    }
}
