//! What a call costs and how long it takes, computed from its input before it is made.
//!
//! A tariff is a sum of lines. A line counts a unit and has an amount for each; where the amount
//! depends on an input (a resolution, a switch), the first tier whose condition holds says it. A
//! line may itself have a condition, a number of units that are free, and a block to which the rest is
//! rounded up. The sum may be multiplied under conditions, and is never below the minimum.
//! Amounts are whole: thousandths of a micro-dollar or of a millisecond. The sum is rounded up once,
//! at its end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use impasto_domain::{Money, Value, Values};
use serde::Serialize;

use crate::count::{Assumed, Count, Measured, ONE, Unit, millionths};
use crate::mapping::{OPTIONS, Verb};

/// Thousandths of the amounts that are told: of a micro-dollar, of a millisecond.
pub(crate) const THOUSAND: i64 = 1000;

/// A sum of lines.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Tariff {
    pub(crate) fixed: i64,
    pub(crate) lines: Vec<Line>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) multipliers: Vec<Multiplier>,
    pub(crate) minimum: i64,
    #[serde(skip)]
    pub(crate) assumed: Arc<Assumed>,
    #[serde(skip)]
    pub(crate) view: Arc<View>,
}

/// An amount for each of a unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) unit: Unit,
    pub(crate) each: i64,
    /// So many are free, in millionths.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) free: u64,
    /// The number is rounded up to a multiple of this, in millionths; zero for not at all.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) block: u64,
    #[serde(skip_serializing_if = "Condition::is_empty")]
    pub(crate) when: Condition,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tiers: Vec<LineTier>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Another amount, under a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LineTier {
    pub(crate) when: Condition,
    pub(crate) each: i64,
}

/// The sum is so many times as much, under a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Multiplier {
    pub(crate) when: Condition,
    /// In millionths.
    pub(crate) by: u64,
}

/// A condition on the input: every named input passes its test.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Condition(pub(crate) BTreeMap<String, Test>);

/// A test of one value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Test {
    /// It is one of these, or has one of these in it.
    OneOf(Vec<Value>),
    /// It is a number between these.
    Between { min: Option<f64>, max: Option<f64> },
    /// There is something, or nothing.
    Given { given: bool },
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(values) => {
                let is = |value: &Value| {
                    values.iter().any(|wanted| {
                        let both = wanted.as_number().zip(value.as_number());
                        wanted == value || both.is_some_and(|(wanted, given)| wanted == given)
                    })
                };
                is(value) || value.as_list().is_some_and(|items| items.iter().any(is))
            }
            Self::Between { min, max } => value.as_number().is_some_and(|number| {
                min.is_none_or(|least| number >= least) && max.is_none_or(|most| number <= most)
            }),
            Self::Given { given } => *given,
        }
    }
}

impl Condition {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

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

    /// Whether it holds, an absent input counting as not given.
    fn holds_now(&self, input: &Values) -> bool {
        let there = |name: &str| input.get(name).filter(|value| !value.is_null());
        self.0.iter().all(|(name, test)| match (there(name), test) {
            (None, Test::Given { given }) => !given,
            (None, _) => false,
            (Some(value), test) => test.passes(value),
        })
    }
}

/// How an offer sees an input: with its own limits and defaults, before it is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    /// Limits of numbers, as the mapping has them.
    pub(crate) limits: BTreeMap<String, Vec<Verb>>,
    /// Values that count as nothing said.
    pub(crate) unsaid: Values,
    /// What the endpoint takes where nothing is said.
    pub(crate) defaults: Values,
}

impl View {
    fn of<'v>(&self, input: &'v Values) -> Cow<'v, Values> {
        let options = input.get(OPTIONS).and_then(Value::as_map);
        let plain = self.limits.is_empty() && self.unsaid.is_empty() && self.defaults.is_empty();
        if plain && options.is_none() {
            return Cow::Borrowed(input);
        }
        let mut seen = input.clone();
        seen.extend(options.cloned().unwrap_or_default());
        seen.retain(|name, value| self.unsaid.get(name) != Some(value));
        for (name, verbs) in &self.limits {
            if let Some(value) = seen.get_mut(name) {
                *value = verbs.iter().fold(std::mem::take(value), |value, verb| verb.change(value));
            }
        }
        for (name, default) in &self.defaults {
            seen.entry(name.clone()).or_insert_with(|| default.clone());
        }
        Cow::Owned(seen)
    }
}

impl Line {
    /// The amount for each, an absent input counting as not given.
    fn likely(&self, input: &Values) -> i64 {
        if !self.when.holds_now(input) {
            return 0;
        }
        let tier = self.tiers.iter().find(|tier| tier.when.holds_now(input));
        tier.map_or(self.each, |tier| tier.each)
    }

    /// The least and the most for each, an absent input counting as unknown.
    fn range(&self, input: &Values) -> (i64, i64) {
        let applies = self.when.holds(input);
        if applies == Some(false) {
            return (0, 0);
        }
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
        let least = if applies.is_none() { least.min(0) } else { least };
        (least, possible.iter().max().copied().unwrap_or(self.each))
    }

    /// How many are charged for.
    fn count(&self, assumed: &Assumed, input: &Values, measured: &Measured) -> Count {
        let round = |count: u64| {
            if self.block == 0 {
                count
            } else {
                count.div_ceil(self.block).saturating_mul(self.block)
            }
        };
        let counted = match measured.get(&self.unit) {
            Some(number) => Count::exactly(millionths(number.max(0.0))).each(round),
            // Each picture is rounded up for itself, as it is charged.
            None if self.unit == Unit::Megapixel => assumed.megapixels_each(input, round),
            None => assumed.count(self.unit, input).each(round),
        };
        counted.each(|count| count.saturating_sub(self.free))
    }
}

/// An amount in millionths of the amounts of a tariff: exact.
type Exact = i128;

fn times(each: i64, millionths: u64) -> Exact {
    Exact::from(each) * Exact::from(millionths)
}

impl Tariff {
    fn is_nothing(&self) -> bool {
        let nothing = |line: &Line| line.each == 0 && line.tiers.iter().all(|tier| tier.each == 0);
        self.fixed == 0 && self.minimum == 0 && self.lines.iter().all(nothing)
    }

    /// The sum of the lines, multiplied, at least the minimum, in whole amounts.
    fn total(&self, lines: impl Iterator<Item = Exact>, multipliers: &[u64]) -> i64 {
        let fixed = times(self.fixed, ONE);
        let sum = lines.fold(fixed, Exact::saturating_add);
        let sum = multipliers
            .iter()
            .fold(sum, |sum, by| sum.saturating_mul(Exact::from(*by)).div_euclid(Exact::from(ONE)));
        let sum = sum.max(times(self.minimum, ONE));
        let whole = Exact::from(ONE) * Exact::from(THOUSAND);
        i64::try_from((sum.saturating_add(whole - 1)).div_euclid(whole)).unwrap_or(i64::MAX)
    }

    fn likely(&self, input: &Values, measured: &Measured) -> i64 {
        let input = &*self.view.of(input);
        let lines = self.lines.iter().map(|line| {
            times(line.likely(input), line.count(&self.assumed, input, measured).likely)
        });
        let by = self.multipliers.iter().filter(|it| it.when.holds_now(input)).map(|it| it.by);
        self.total(lines, &by.collect::<Vec<_>>())
    }

    fn range(&self, input: &Values) -> (i64, i64) {
        let measured = Measured::new();
        let input = &*self.view.of(input);
        let counts = self
            .lines
            .iter()
            .map(|line| (line, line.range(input), line.count(&self.assumed, input, &measured)));
        let possible = |it: &Multiplier| match it.when.holds(input) {
            Some(true) => (it.by, it.by),
            Some(false) => (ONE, ONE),
            None => (it.by.min(ONE), it.by.max(ONE)),
        };
        let (least, most): (Vec<u64>, Vec<u64>) = self.multipliers.iter().map(possible).unzip();
        let lows = counts.clone().map(|(_, (least, _), count)| times(least, count.low));
        let highs = counts.map(|(line, (_, most), count)| {
            // Amounts are never below zero, so an unlimited count is only a bound that is not known:
            // the likely count stands for it. A price always has bounds; a time may have none.
            times(most.max(line.likely(input)), count.high.unwrap_or(count.likely))
        });
        (self.total(lows, &least), self.total(highs, &most))
    }
}

/// When a call is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BilledOn {
    /// When it succeeds.
    #[default]
    Success,
    /// Whatever becomes of it, even if it is refused.
    Always,
}

/// How sure a figure is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Read at its source.
    #[default]
    Verified,
    /// Told by somebody else.
    ThirdParty,
    /// From memory.
    Memory,
}

/// What a call costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Price {
    #[serde(flatten)]
    pub(crate) tariff: Tariff,
    /// Whether anybody has said what it costs.
    pub known: bool,
    /// When the price was read, as a date such as `2026-11-01`.
    pub as_of: Option<String>,
    /// Where the price was read.
    pub source: Option<String>,
    /// How sure it is.
    pub confidence: Confidence,
    /// When a call is charged.
    pub billed_on: BilledOn,
    /// What is to be known about it; empty if nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Price {
    /// Whether it is known that no call ever costs anything.
    pub fn is_free(&self) -> bool {
        self.known && self.tariff.is_nothing()
    }

    /// What a call with `input` is expected to cost. Exact if the input tells everything that the
    /// price depends on; an absent input counts as not given. Nothing if the price is not
    /// [`known`](Price::known).
    pub fn estimate(&self, input: &Values) -> Money {
        Money::micros(self.tariff.likely(input, &Measured::new()))
    }

    /// What a call with `input` has cost, where `measured` says what was counted when it was done.
    pub fn charge(&self, input: &Values, measured: &Measured) -> Money {
        Money::micros(self.tariff.likely(input, measured))
    }

    /// What so many of a unit cost, where the price is one plain amount for each of it.
    pub(crate) fn of_count(&self, unit: Unit, count: f64) -> Option<Money> {
        let tariff = &self.tariff;
        let [line] = &*tariff.lines else { return None };
        let is_plain = line.when.is_empty() && line.tiers.is_empty() && line.free == 0;
        let is_all = tariff.fixed == 0 && tariff.multipliers.is_empty();
        let is_it = unit == line.unit;
        let sum = || tariff.total([times(line.each, millionths(count))].into_iter(), &[]);
        (self.known && is_plain && is_all && is_it).then(|| Money::micros(sum()))
    }

    /// The least and the most that a call can cost, where inputs that are absent are not yet known.
    /// Both are the estimate when the input tells everything.
    pub fn range(&self, input: &Values) -> RangeInclusive<Money> {
        let (low, high) = self.tariff.range(input);
        Money::micros(low)..=Money::micros(high)
    }

    /// The price in words, such as `$0.04 per image`.
    pub fn describe(&self) -> String {
        if !self.known {
            return "not known".to_owned();
        }
        if self.is_free() {
            return "free".to_owned();
        }
        let line = |line: &Line| {
            let tiers = if line.tiers.is_empty() { "" } else { ", other amounts by input" };
            let unit = line.unit.as_str().replace('_', " ");
            let when = if line.when.is_empty() { "" } else { ", where it applies" };
            let free = match line.free {
                0 => String::new(),
                free => format!(" after the first {}", free as f64 / ONE as f64),
            };
            format!("{} per {unit}{free}{when}{tiers}", dollars(line.each))
        };
        let mut parts: Vec<String> = self.tariff.lines.iter().map(line).collect();
        if self.tariff.minimum > 0 {
            parts.push(format!("at least {}", dollars(self.tariff.minimum)));
        }
        let times = if self.tariff.multipliers.is_empty() { "" } else { ", multiplied by input" };
        parts.join(" + ") + times
    }
}

/// Thousandths of a micro-dollar as dollars, with as many decimals as it needs.
fn dollars(thousandths: i64) -> String {
    if thousandths % THOUSAND == 0 {
        return Money::micros(thousandths / THOUSAND).to_string();
    }
    let decimals = format!("{:09}", thousandths.unsigned_abs() % 1_000_000_000);
    format!("${}.{}", thousandths / 1_000_000_000, decimals.trim_end_matches('0'))
}

/// How long a call is expected to take.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimeEstimate {
    #[serde(flatten)]
    pub(crate) tariff: Tariff,
    /// Where the time was read or measured; absent if it is what such work usually takes.
    pub source: Option<String>,
    /// When, as a date.
    pub as_of: Option<String>,
}

impl TimeEstimate {
    /// The expected time of a call with `input`, in milliseconds.
    pub fn estimate_ms(&self, input: &Values) -> u64 {
        u64::try_from(self.tariff.likely(input, &Measured::new())).unwrap_or(0)
    }

    /// The shortest and the longest expected time in milliseconds, where absent inputs are not yet
    /// known. Times are expectations: the range holds what the input leaves open, not a slow day.
    pub fn range_ms(&self, input: &Values) -> RangeInclusive<u64> {
        let (low, high) = self.tariff.range(input);
        u64::try_from(low).unwrap_or(0)..=u64::try_from(high).unwrap_or(0)
    }
}
