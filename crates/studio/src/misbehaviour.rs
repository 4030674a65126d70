//! Misbehaviour on demand, so that retries, fallbacks and timeouts can be seen and tested with the
//! real engine.
//!
//! A spec is a list of rules with `;` between them, each a list of `name=value` with `,` between:
//! `latency_ms=200,fail=rate_limited,rate=0.3` or `fail=timeout,endpoint=scene-picture,attempt=1` or
//! `hang`. What happens follows from the step and the attempt alone: the same run misbehaves alike.

use impasto_domain::{Digest, Error, ErrorKind, Result};

/// The longest that a rule may delay an attempt, in milliseconds.
const LATENCY_MAX_MS: u64 = 3_600_000;

/// How the offline models are to misbehave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misbehaviour {
    rules: Vec<Rule>,
}

/// How one attempt misbehaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misdeed {
    /// Milliseconds to wait before the work.
    pub delay_ms: u64,
    /// The error to fail with instead of doing the work.
    pub error: Option<Error>,
    /// Whether it never ends by itself.
    pub hang: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    latency_ms: u64,
    fail: Option<ErrorKind>,
    hang: bool,
    rate: f64,
    endpoint: Option<String>,
    attempt: Option<u32>,
}

impl Misbehaviour {
    /// Reads a spec.
    ///
    /// # Errors
    /// The part that cannot be read, and what there is.
    pub fn parse(spec: &str) -> Result<Self> {
        let rules = spec.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        Ok(Self { rules: rules.map(parse_rule).collect::<Result<_>>()? })
    }

    /// How attempt number `attempt` of `key` (a run's step, as text) at `endpoint` misbehaves.
    pub fn decide(&self, endpoint: &str, key: &str, attempt: u32) -> Misdeed {
        let mut misdeed = Misdeed::default();
        for (number, rule) in self.rules.iter().enumerate() {
            let meant = rule.endpoint.as_deref().is_none_or(|wanted| wanted == endpoint)
                && rule.attempt.is_none_or(|wanted| wanted == attempt);
            if !meant || chance(number, endpoint, key, attempt) >= rule.rate {
                continue;
            }
            misdeed.delay_ms = misdeed.delay_ms.saturating_add(rule.latency_ms);
            misdeed.hang |= rule.hang;
            misdeed.error = misdeed.error.or_else(|| rule.fail.map(failure));
        }
        misdeed
    }
}

fn parse_rule(text: &str) -> Result<Rule> {
    let mut rule =
        Rule { latency_ms: 0, fail: None, hang: false, rate: 1.0, endpoint: None, attempt: None };
    for part in text.split(',').map(str::trim) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let wrong = |wanted: &str| {
            Error::invalid(format!("'{part}' is not a misbehaviour"))
                .hint(format!("{name} is {wanted}"))
        };
        match name {
            "hang" if value.is_empty() => rule.hang = true,
            "latency_ms" => {
                let latency = value.parse().ok().filter(|ms| *ms <= LATENCY_MAX_MS);
                rule.latency_ms =
                    latency.ok_or_else(|| wrong("a number of milliseconds, up to an hour"))?;
            }
            "fail" => {
                let kinds = || ErrorKind::ALL.map(ErrorKind::as_str).join(", ");
                let kind = ErrorKind::parse(value);
                rule.fail = Some(kind.ok_or_else(|| wrong(&format!("one of {}", kinds())))?);
            }
            "rate" => {
                let rate = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
                rule.rate = rate.ok_or_else(|| wrong("a share from 0 to 1"))?;
            }
            "attempt" => {
                let attempt = value.parse().ok().filter(|number| *number >= 1);
                rule.attempt =
                    Some(attempt.ok_or_else(|| wrong("the number of an attempt, from 1"))?);
            }
            "endpoint" if !value.is_empty() => rule.endpoint = Some(value.to_owned()),
            _ => {
                let hint = "there are latency_ms, fail, hang, rate, attempt and endpoint";
                return Err(Error::invalid(format!("'{part}' is not a misbehaviour")).hint(hint));
            }
        }
    }
    if rule.latency_ms == 0 && rule.fail.is_none() && !rule.hang {
        let error = Error::invalid(format!("'{text}' says when to misbehave, not how"));
        return Err(error.hint("add latency_ms, fail or hang"));
    }
    Ok(rule)
}

/// A number from 0 up to 1 that looks drawn and follows from its arguments.
fn chance(rule: usize, endpoint: &str, key: &str, attempt: u32) -> f64 {
    let digits = Digest::of(format!("{rule}/{endpoint}/{key}/{attempt}").as_bytes()).short();
    let number = u64::from_str_radix(&digits, 16).unwrap_or_default();
    number as f64 / (1_u64 << 48) as f64
}

fn failure(kind: ErrorKind) -> Error {
    let error = Error::new(kind, "the offline model was told to misbehave");
    match kind {
        ErrorKind::RateLimited
        | ErrorKind::ProviderFailed
        | ErrorKind::Timeout
        | ErrorKind::Unavailable => error.retryable(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_to_what_they_name() {
        let misbehaviour =
            Misbehaviour::parse("fail=timeout,endpoint=compose,attempt=1; latency_ms=20").unwrap();
        let first = misbehaviour.decide("compose", "music", 1);
        assert_eq!(
            (first.delay_ms, first.error.map(|e| (e.kind, e.retry))),
            (20, Some((ErrorKind::Timeout, true)))
        );
        assert_eq!(misbehaviour.decide("compose", "music", 2).error, None);
        assert_eq!(misbehaviour.decide("speak", "voice", 1).error, None);
        assert!(Misbehaviour::parse("hang").unwrap().decide("speak", "voice", 1).hang);
    }

    #[test]
    fn a_rate_is_met_and_follows_from_the_attempt() {
        let misbehaviour = Misbehaviour::parse("fail=refused,rate=0.3").unwrap();
        let failed = |key: usize| misbehaviour.decide("x", &key.to_string(), 1).error.is_some();
        let count = (0..1000).filter(|key| failed(*key)).count();
        assert!((250..350).contains(&count), "{count}");
        assert_eq!(
            (0..50).map(failed).collect::<Vec<_>>(),
            (0..50).map(failed).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (spec, part) in [
            ("fail=sometimes", "rate_limited"),
            ("rate=2", "0 to 1"),
            ("latency_ms=soon", "milliseconds"),
            ("explode", "latency_ms"),
            ("fail=timeout,attempt=0", "from 1"),
            ("rate=0.5,endpoint=compose", "add latency_ms"),
        ] {
            let error = Misbehaviour::parse(spec).unwrap_err();
            assert!(error.hint.as_deref().is_some_and(|hint| hint.contains(part)), "{error}");
        }
    }
}
