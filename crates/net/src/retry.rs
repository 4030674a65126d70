//! How long an answer says to wait before asking again.

use std::time::SystemTime;

/// How long a `retry-after` says to wait, in milliseconds: a number of seconds, perhaps with a fraction, or
/// a date (RFC 9110, 10.2.3). A date that is over says nothing.
pub fn retry_after_ms(text: &str, now: SystemTime) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1000.0).ceil() as u64);
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let left = until.duration_since(now).ok()?;
    Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wait_is_a_number_of_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(retry_after_ms(text, now), expected, "{text}");
        };
        check("120", Some(120_000));
        check(" 0 ", Some(0));
        check("0.25", Some(250));
        check("99999999999999999999", Some(u64::MAX));
        check("1e400", None);
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(77_000));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(77_000));
        check("Sun Nov  6 08:49:37 1994", Some(77_000));
        check("Sun, 06 Nov 1994 08:48:19 GMT", None);
        check("Sun, 99 Nov 1994 08:49:37 GMT", None);
        check("-5", None);
        check("soon", None);
    }
}
