//! What a provider's errors mean, as data.
//!
//! A table of rows, read from top to bottom: the first that fits says the kind of the error and
//! whether a retry may help. What no row fits is told by the HTTP status alone.

use impasto_domain::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::pointer::Pointer;
use crate::wire::scalar_text;

/// The longest text of a provider that goes into a message of ours, in characters.
const MESSAGE_CHARS_MAX: usize = 400;

/// What a provider's errors mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorTable {
    /// Where the message for people is; the first place that has one counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub message: Vec<Pointer>,
    /// Where the provider's own code is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<Pointer>,
    /// Where the time to wait before a retry is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfter>,
    /// The rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<ErrorRow>,
}

/// Where the time to wait before a retry is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryAfter {
    /// A header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A place in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// How many milliseconds one of it is; 1000 if absent.
    pub unit_ms: Option<f64>,
}

/// One row: every test that it has must pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRow {
    /// HTTP statuses; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// A place in the body, for `is` and `not`. A row without a place never fits a good status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// Something at the place is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<Json>,
    /// There is something at the place, and it is none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<Json>,
    /// The message or the code has one of these words, whatever their case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// What it means.
    pub kind: ErrorKind,
    /// Whether a retry may help.
    #[serde(default)]
    pub retry: bool,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// An answer that may be an error.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Its HTTP status.
    pub status: u16,
    /// A header of it, by its name in small letters.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// Its body; a body that is not JSON is a text.
    pub body: &'a Json,
}

impl ErrorTable {
    /// Whether a row of the table says what the answer means, rather than its HTTP status alone.
    pub fn knows(&self, seen: &Seen<'_>) -> bool {
        self.row(seen).is_some()
    }

    fn code_in(&self, body: &Json) -> Option<String> {
        self.code.iter().find_map(|place| scalar_text(place.first(body)?))
    }

    fn row(&self, seen: &Seen<'_>) -> Option<&ErrorRow> {
        let good = (200..300).contains(&seen.status);
        let message = self.message_in(seen.body).unwrap_or_default();
        let code = self.code_in(seen.body).unwrap_or_default();
        let words = format!("{message} {code}").to_lowercase();
        self.rows.iter().find(|row| row.fits(seen, good, &words))
    }

    /// What the answer means, if it is an error: a bad HTTP status, or a row that fits it.
    pub fn read(&self, seen: &Seen<'_>) -> Option<Error> {
        let good = (200..300).contains(&seen.status);
        let message = self.message_in(seen.body);
        let code = self.code_in(seen.body);
        let row = self.row(seen);
        if good && row.is_none() {
            return None;
        }
        let (kind, retry) = row.map_or_else(|| by_status(seen.status), |row| (row.kind, row.retry));
        let told = message.or(code).unwrap_or_else(|| "it did not say why".to_owned());
        let status = if good { String::new() } else { format!(" {}", seen.status) };
        let mut error = Error::new(kind, format!("the provider answered{status}: {told}"));
        error.retry = retry;
        if retry {
            error.retry_after_ms = self.wait_ms(seen);
        }
        error.hint = row.and_then(|row| row.hint.clone());
        Some(error)
    }

    /// The error of a job that ended badly, by the body of the answer that says so.
    pub fn of_job(&self, kind: ErrorKind, body: &Json) -> Error {
        let header = |_: &str| None;
        let seen = Seen { status: 200, header: &header, body };
        if kind == ErrorKind::ProviderFailed
            && let Some(error) = self.read(&seen)
        {
            return error;
        }
        let told = self.message_in(body).unwrap_or_else(|| "it did not say why".to_owned());
        Error::new(kind, format!("the job ended: {told}"))
    }

    /// The message for people in a body, shortened.
    pub fn message_in(&self, body: &Json) -> Option<String> {
        let text = |json: &Json| match json {
            Json::String(text) => Some(text.clone()),
            Json::Null => None,
            other => Some(other.to_string()),
        };
        let found = self.message.iter().find_map(|place| text(place.first(body)?));
        let plain = || body.as_str().map(str::to_owned);
        let message = found.or_else(plain)?;
        let message: String = message.trim().chars().take(MESSAGE_CHARS_MAX).collect();
        Some(message).filter(|message| !message.is_empty())
    }

    fn wait_ms(&self, seen: &Seen<'_>) -> Option<u64> {
        let table = self.retry_after.as_ref();
        let name = table.and_then(|table| table.header.as_deref()).unwrap_or("retry-after");
        let from_header = || (seen.header)(name);
        let place = table.and_then(|table| table.at.as_ref());
        let told =
            place.and_then(|place| scalar_text(place.first(seen.body)?)).or_else(from_header)?;
        let unit_ms = table.and_then(|table| table.unit_ms).unwrap_or(1000.0);
        let wait_ms = told.trim().parse::<f64>().ok()? * unit_ms;
        (wait_ms.is_finite() && wait_ms >= 0.0).then_some(wait_ms.ceil() as u64)
    }
}

impl ErrorRow {
    fn fits(&self, seen: &Seen<'_>, good: bool, words: &str) -> bool {
        if good && self.at.is_none() {
            return false;
        }
        if !self.status.is_empty() && !self.status.contains(&seen.status) {
            return false;
        }
        if let Some(place) = &self.at {
            let found: Vec<String> =
                place.all(seen.body).into_iter().filter_map(scalar_text).collect();
            let among = |words: &[Json]| {
                let words: Vec<String> = words.iter().filter_map(scalar_text).collect();
                found.iter().any(|found| words.contains(found))
            };
            if found.is_empty() || (!self.is.is_empty() && !among(&self.is)) || among(&self.not) {
                return false;
            }
        }
        self.contains.is_empty()
            || self.contains.iter().any(|word| words.contains(&word.to_lowercase()))
    }
}

/// What an HTTP status alone tells.
fn by_status(status: u16) -> (ErrorKind, bool) {
    match status {
        401 | 403 => (ErrorKind::Unauthorized, false),
        402 => (ErrorKind::BudgetExceeded, false),
        404 | 410 => (ErrorKind::NotFound, false),
        408 | 504 => (ErrorKind::Timeout, true),
        409 => (ErrorKind::Conflict, false),
        429 => (ErrorKind::RateLimited, true),
        451 => (ErrorKind::Refused, false),
        400..=499 => (ErrorKind::InvalidInput, false),
        503 => (ErrorKind::Unavailable, true),
        500..=599 => (ErrorKind::ProviderFailed, true),
        _ => (ErrorKind::ProviderFailed, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> ErrorTable {
        serde_json::from_value(json!({
            "message": ["/base_resp/status_msg", "/error/message"],
            "code": ["/error/code"],
            "rows": [
                {"at": "/base_resp/status_code", "is": [1002], "kind": "rate_limited", "retry": true},
                {"at": "/base_resp/status_code", "not": [0], "kind": "provider_failed"},
                {"status": [400], "contains": ["moderat"], "kind": "refused"},
            ],
        }))
        .unwrap()
    }

    fn check(status: u16, body: &Json, expected: Option<(ErrorKind, bool)>) {
        let header = |name: &str| (name == "retry-after").then(|| "2".to_owned());
        let error = table().read(&Seen { status, header: &header, body });
        assert_eq!(error.as_ref().map(|e| (e.kind, e.retry)), expected, "{status} {body}");
        let waits = error.filter(|error| error.retry).and_then(|error| error.retry_after_ms);
        assert_eq!(waits, expected.filter(|(_, retry)| *retry).map(|_| 2000));
    }

    #[test]
    fn rows_come_first_and_then_the_status() {
        check(200, &json!({"base_resp": {"status_code": 0}}), None);
        check(
            200,
            &json!({"base_resp": {"status_code": 1002}}),
            Some((ErrorKind::RateLimited, true)),
        );
        check(
            200,
            &json!({"base_resp": {"status_code": 7}}),
            Some((ErrorKind::ProviderFailed, false)),
        );
        check(200, &json!({"error": {"message": "moderated"}}), None);
        check(400, &json!({"error": {"message": "Moderated!"}}), Some((ErrorKind::Refused, false)));
        check(400, &json!({"error": {"code": "moderation"}}), Some((ErrorKind::Refused, false)));
        check(400, &json!({}), Some((ErrorKind::InvalidInput, false)));
        check(503, &json!("<html>"), Some((ErrorKind::Unavailable, true)));
        check(429, &json!(null), Some((ErrorKind::RateLimited, true)));
    }
}
