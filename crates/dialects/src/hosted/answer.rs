//! An answer that was read to its end.

use std::time::SystemTime;

use bytes::Bytes;
use impasto_catalog::{Offer, Provider, Seen};
use impasto_domain::Money;
use impasto_net::retry_after_ms;
use serde_json::Value as Json;

/// The most characters of an answer that is not JSON which are looked at for a message.
const TEXT_BYTES_MAX: usize = 2048;

/// An answer that was read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its headers, with names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub bytes: Bytes,
    /// Its body as JSON; what is not JSON is a short text.
    pub json: Json,
    /// Whether its body is JSON.
    pub is_json: bool,
    /// Where it came from, for messages.
    pub place: String,
}

impl Answer {
    /// An answer with this body; it is read as JSON unless it says that it is a file.
    pub fn new(status: u16, headers: Vec<(String, String)>, bytes: Bytes, place: String) -> Self {
        let told = headers.iter().find(|(name, _)| name == "content-type");
        let is_media = told.is_some_and(|(_, value)| {
            ["image/", "video/", "audio/", "model/"].iter().any(|kind| value.starts_with(kind))
        });
        let parsed = if is_media { None } else { serde_json::from_slice(&bytes).ok() };
        let is_json = parsed.is_some();
        let json = parsed.unwrap_or_else(|| if is_media { Json::Null } else { text_of(&bytes) });
        Self { status, headers, bytes, json, is_json, place }
    }

    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The media type without its parameters, in small letters.
    pub fn media_type(&self) -> Option<String> {
        let essence = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        (!essence.is_empty()).then_some(essence)
    }

    /// Whether the status says that it went well.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How long to wait before asking again, where the answer says so.
    pub fn retry_after_ms(&self) -> Option<u64> {
        retry_after_ms(self.header("retry-after")?, SystemTime::now())
    }

    /// The same with the headers of another answer that it does not have, for an answer that was put
    /// together here of what another said.
    #[must_use]
    pub(crate) fn told_by(mut self, headers: Vec<(String, String)>) -> Self {
        let further = headers.into_iter().filter(|(name, _)| self.header(name).is_none());
        let further: Vec<_> = further.filter(|(name, _)| !name.starts_with("content-")).collect();
        self.headers.extend(further);
        self
    }

    /// What the provider counted, as money, where it says and the price leaves no doubt.
    pub(crate) fn counted(&self, offer: &Offer, provider: &Provider) -> Option<Money> {
        self.seen(|seen| offer.counted(provider, seen))
    }

    /// Lets the provider's table of errors look at it.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen<'_>) -> T) -> T {
        let header = |name: &str| self.header(name).map(str::to_owned);
        look(&Seen { status: self.status, header: &header, body: &self.json })
    }
}

fn text_of(bytes: &[u8]) -> Json {
    let head = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    let text: String =
        String::from_utf8_lossy(head).chars().filter(|char| !char.is_control()).collect();
    if text.trim().is_empty() { Json::Null } else { Json::String(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(media_type: &str, body: &'static [u8]) -> Answer {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Answer::new(200, headers, Bytes::from_static(body), "a.test".to_owned())
    }

    #[test]
    fn a_body_is_json_a_text_or_a_file() {
        let json = answer("text/plain", b"{\"a\": 1}");
        assert!(json.is_json && json.json["a"] == 1);
        let page = answer("text/html; charset=utf-8", b"<html>\nno</html>");
        assert!(!page.is_json && page.json == "<html>no</html>");
        assert_eq!(page.media_type().as_deref(), Some("text/html"));
        let file = answer("image/png", b"7");
        assert!(!file.is_json && file.json.is_null());
        assert!(!answer("application/json", b"{\"a\": ").is_json);
    }
}
