//! What a provider counts itself, and what that costs.
//!
//! Some answers say how many units were billed. Such a count stands for the one that was expected,
//! where its unit is known and is the one that the offer's price is for: a count of seconds says nothing
//! about what is paid for by the picture, however near the sum would come to the estimate.

use impasto_domain::Money;
use serde::{Deserialize, Serialize};

use crate::count::Unit;
use crate::faults::Seen;
use crate::model::Offer;
use crate::pointer::Pointer;
use crate::provider::Provider;
use crate::wire::scalar_text;

/// Where an answer says how much was billed, in units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meter {
    /// The header that has the figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Where the figure is in the body, if in no header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// What is counted. Absent, in a provider's file, where it is another thing for each endpoint: the
    /// offers of which it is known say it, and the count of no other is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// How many units one of it is: 0.001 thousand characters for a character.
    #[serde(default = "one")]
    pub each: f64,
}

fn one() -> f64 {
    1.0
}

impl Meter {
    /// What is wrong with it, if anything. One that is not `is_whole` adds to that of the provider.
    pub(crate) fn problem(&self, is_whole: bool) -> Option<&'static str> {
        let has_place = self.header.is_some() || self.at.is_some();
        if self.header.is_some() && self.at.is_some() || is_whole && !has_place {
            return Some("a count is in one place: `header` or `at`");
        }
        if !is_whole && !has_place && self.unit.is_none() {
            return Some("the count of an offer says its `unit`, or where it is");
        }
        let is_sound = self.each.is_finite() && self.each > 0.0;
        (!is_sound).then_some("`each` is a number above zero")
    }

    /// What an offer says of its count, with what the provider's file says of all counts.
    fn over(&self, usual: &Self) -> Self {
        if self.header.is_some() || self.at.is_some() {
            return self.clone();
        }
        Self { unit: self.unit, ..usual.clone() }
    }

    /// How many units the answer says.
    pub fn read(&self, seen: &Seen<'_>) -> Option<f64> {
        let told = match (&self.header, &self.at) {
            (Some(header), _) => (seen.header)(&header.to_ascii_lowercase()),
            (None, Some(at)) => at.first(seen.body).and_then(scalar_text),
            (None, None) => None,
        };
        let count: f64 = told?.trim().parse().ok()?;
        Some(count * self.each).filter(|count| count.is_finite() && *count > 0.0)
    }
}

impl Offer {
    /// What a call cost by what the provider counted; nothing where it does not say how many of what, or
    /// where the price is not one plain amount for each of that unit.
    pub fn counted(&self, provider: &Provider, seen: &Seen<'_>) -> Option<Money> {
        let meter = match (&self.count, &provider.count) {
            (Some(own), Some(usual)) => own.over(usual),
            (one, other) => one.as_ref().or(other.as_ref())?.clone(),
        };
        self.price.of_count(meter.unit?, meter.read(seen)?)
    }
}
