//! Money in micro-dollars. Whole numbers only: a sum of a million calls is still exact.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in micro-dollars (1 USD = 1,000,000).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount given in micro-dollars.
    pub const fn micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The amount in micro-dollars.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whether it is nothing at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The amount times `factor`, rounded up to a whole micro-dollar so that an estimate never
    /// falls short. A factor that is not finite counts as the largest amount.
    pub fn scaled(self, factor: f64) -> Self {
        let product = (self.0 as f64 * factor).ceil();
        if product.is_finite() { Self(product as i64) } else { Self(i64::MAX) }
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<i64> for Money {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// Dollars with as many decimals as the amount needs, at least two: `$0.00`, `$0.0125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, micros) =
            if self.0 < 0 { ("-", self.0.unsigned_abs()) } else { ("", self.0 as u64) };
        let decimals = format!("{:06}", micros % 1_000_000);
        let kept = decimals.trim_end_matches('0').len().max(2);
        let shown = decimals.get(..kept).unwrap_or(&decimals);
        f.pad(&format!("{sign}${}.{shown}", micros / 1_000_000))
    }
}

impl FromStr for Money {
    type Err = String;

    /// Reads dollars written in decimals, with or without `$`: `0.025`, `$1.50`. Exact.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is not an amount of dollars, such as 0.025");
        let digits = text.trim().trim_start_matches('$');
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) || decimals.len() > 6 {
            return Err(bad());
        }
        let micros: i64 = format!("{decimals:0<6}").parse().map_err(|_| bad())?;
        let dollars: i64 = whole.parse().map_err(|_| bad())?;
        dollars.checked_mul(1_000_000).and_then(|d| d.checked_add(micros)).map(Self).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_dollars() {
        for (text, micros, shown) in
            [("0.025", 25_000, "$0.025"), ("$1.5", 1_500_000, "$1.50"), ("0", 0, "$0.00")]
        {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.as_micros(), money.to_string()), (micros, shown.to_owned()));
        }
        for bad in ["", "-1", "1.0000001", "1e3", "dollar", "."] {
            assert!(bad.parse::<Money>().is_err(), "{bad} should be refused");
        }
    }

    #[test]
    fn rounds_an_estimate_up_and_never_overflows() {
        assert_eq!(Money::micros(3).scaled(0.5), Money::micros(2));
        assert_eq!(Money::micros(i64::MAX) + Money::micros(1), Money::micros(i64::MAX));
        assert_eq!(Money::micros(5).scaled(f64::INFINITY), Money::micros(i64::MAX));
    }
}
