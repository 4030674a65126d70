//! What a call costs and how long it takes, computed from its input before it is made.
//!
//! A tariff is a sum of lines. A line counts a unit and has an amount for each; where the amount
//! depends on an input (a resolution, a switch), the first tier whose condition holds says it.
//! Amounts are whole (micro-dollars, milliseconds); a line is rounded up once, at its end.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use impasto_domain::{Money, Value, Values};
use serde::Serialize;

use crate::count::{Assumed, ONE, Unit};

/// A sum of lines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Tariff {
    pub(crate) fixed: i64,
    pub(crate) lines: Vec<Line>,
    pub(crate) minimum: i64,
    pub(crate) assumed: Assumed,
}

/// An amount for each of a unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) unit: Unit,
    pub(crate) round_up: bool,
    pub(crate) each: i64,
    pub(crate) tiers: Vec<LineTier>,
}

/// Another amount, under a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LineTier {
    pub(crate) when: Condition,
    pub(crate) each: i64,
}

/// A condition on the input: every named input passes its test.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Condition(pub(crate) BTreeMap<String, Test>);

/// A test of one value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) enum Test {
    OneOf(Vec<Value>),
    Between { min: Option<f64>, max: Option<f64> },
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|wanted| {
                let both = wanted.as_number().zip(value.as_number());
                wanted == value || both.is_some_and(|(wanted, given)| wanted == given)
            }),
            Self::Between { min, max } => value.as_number().is_some_and(|number| {
                min.is_none_or(|least| number >= least) && max.is_none_or(|most| number <= most)
            }),
        }
    }
}

impl Condition {
    /// Whether it holds; unknown (`None`) if an input that it needs is absent and none fails.
    fn holds(&self, input: &Values) -> Option<bool> {
        let mut known = true;
        for (name, test) in &self.0 {
            match input.get(name).filter(|value| !value.is_null()) {
                Some(value) if !test.passes(value) => return Some(false),
                Some(_) => {}
                None => known = false,
            }
        }
        known.then_some(true)
    }
}

impl Line {
    /// The amount for each, an absent input counting as not given.
    fn likely(&self, input: &Values) -> i64 {
        let tier = self.tiers.iter().find(|tier| tier.when.holds(input) == Some(true));
        tier.map_or(self.each, |tier| tier.each)
    }

    /// The least and the most for each, an absent input counting as unknown.
    fn range(&self, input: &Values) -> (i64, i64) {
        let mut possible = Vec::new();
        let mut settled = false;
        for tier in &self.tiers {
            match tier.when.holds(input) {
                Some(false) => continue,
                None => possible.push(tier.each),
                Some(true) => {
                    possible.push(tier.each);
                    settled = true;
                    break;
                }
            }
        }
        if !settled {
            possible.push(self.each);
        }
        let least = possible.iter().min().copied().unwrap_or(self.each);
        (least, possible.iter().max().copied().unwrap_or(self.each))
    }
}

/// `each` times `millionths`, rounded up to a whole amount; the largest amount if it is too large.
fn times(each: i64, millionths: u64) -> i64 {
    let product = i128::from(each) * i128::from(millionths);
    let one = i128::from(ONE);
    let whole = (product + one - 1).div_euclid(one);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

impl Tariff {
    fn is_nothing(&self) -> bool {
        let nothing = |line: &Line| line.each == 0 && line.tiers.iter().all(|tier| tier.each == 0);
        self.fixed == 0 && self.minimum == 0 && self.lines.iter().all(nothing)
    }

    fn sum(&self, amounts: impl Iterator<Item = i64>) -> i64 {
        amounts.fold(self.fixed, i64::saturating_add).max(self.minimum)
    }

    fn likely(&self, input: &Values) -> i64 {
        self.sum(self.lines.iter().map(|line| {
            let count = self.assumed.count(line.unit, line.round_up, input);
            times(line.likely(input), count.likely)
        }))
    }

    fn range(&self, input: &Values) -> (i64, i64) {
        let counts = self.lines.iter().map(|line| {
            let count = self.assumed.count(line.unit, line.round_up, input);
            (line, line.range(input), count)
        });
        let low = self.sum(counts.clone().map(|(_, (least, _), count)| times(least, count.low)));
        let high = self.sum(counts.map(|(line, (_, most), count)| {
            // Amounts are never below zero, so an unlimited count is only a bound that is not known:
            // the likely count stands for it. A price always has bounds; a time may have none.
            times(most.max(line.likely(input)), count.high.unwrap_or(count.likely))
        }));
        (low, high)
    }
}

/// What a call costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Price {
    pub(crate) tariff: Tariff,
    /// When the price was read, as a date such as `2026-11-01`.
    pub as_of: Option<String>,
    /// Where the price was read.
    pub source: Option<String>,
}

impl Price {
    /// Whether no call ever costs anything.
    pub fn is_free(&self) -> bool {
        self.tariff.is_nothing()
    }

    /// What a call with `input` is expected to cost. Exact if the input tells everything that the
    /// price depends on; an absent input counts as not given.
    pub fn estimate(&self, input: &Values) -> Money {
        Money::micros(self.tariff.likely(input))
    }

    /// The least and the most that a call can cost, where inputs that are absent are not yet known.
    /// Both are the estimate when the input tells everything.
    pub fn range(&self, input: &Values) -> RangeInclusive<Money> {
        let (low, high) = self.tariff.range(input);
        Money::micros(low)..=Money::micros(high)
    }

    /// The price in words, such as `$0.04 per image`.
    pub fn describe(&self) -> String {
        if self.is_free() {
            return "free".to_owned();
        }
        let line = |line: &Line| {
            let tiers = if line.tiers.is_empty() { "" } else { ", other amounts by input" };
            let unit = line.unit.as_str().replace('_', " ");
            format!("{} per {unit}{tiers}", Money::micros(line.each))
        };
        let mut parts: Vec<String> = self.tariff.lines.iter().map(line).collect();
        if self.tariff.minimum > 0 {
            parts.push(format!("at least {}", Money::micros(self.tariff.minimum)));
        }
        parts.join(" + ")
    }
}

/// How long a call is expected to take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeEstimate {
    pub(crate) tariff: Tariff,
}

impl TimeEstimate {
    /// The expected time of a call with `input`, in milliseconds.
    pub fn estimate_ms(&self, input: &Values) -> u64 {
        u64::try_from(self.tariff.likely(input)).unwrap_or(0)
    }

    /// The shortest and the longest expected time in milliseconds, where absent inputs are not yet
    /// known. Times are expectations: the range holds what the input leaves open, not a slow day.
    pub fn range_ms(&self, input: &Values) -> RangeInclusive<u64> {
        let (low, high) = self.tariff.range(input);
        u64::try_from(low).unwrap_or(0)..=u64::try_from(high).unwrap_or(0)
    }
}
