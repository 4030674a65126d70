//! What a provider counts itself, and what that costs.
//!
//! Some answers say how many units were billed. Such a count stands for the one that was expected,
//! where the offer's price leaves no doubt about what one costs.

use impasto_domain::Money;
use serde::{Deserialize, Serialize};

use crate::count::Unit;
use crate::faults::Seen;
use crate::model::Offer;
use crate::pointer::Pointer;
use crate::provider::Provider;
use crate::wire::scalar_text;

/// How many times more or less than expected a count may come to. What is further off counts
/// something else than the price does: pieces of five seconds, say, or single tokens.
const FAR: i64 = 4;

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
    /// What is counted; absent means whatever the offer's price is for.
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
    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.header.is_some() == self.at.is_some() {
            return Some("a count is in one place: `header` or `at`");
        }
        let is_sound = self.each.is_finite() && self.each > 0.0;
        (!is_sound).then_some("`each` is a number above zero")
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
    /// What a call cost by what the provider counted; nothing where it does not say, where the price
    /// is not one plain amount for each of that unit, or where the count cannot be of that unit
    /// because it is far from what was expected.
    pub fn counted(&self, provider: &Provider, seen: &Seen<'_>, expected: Money) -> Option<Money> {
        let meter = self.count.as_ref().or(provider.count.as_ref())?;
        let cost = self.price.of_count(meter.unit, meter.read(seen)?)?;
        let (cost_micros, expected_micros) = (cost.as_micros(), expected.as_micros());
        let is_near = cost_micros <= expected_micros.saturating_mul(FAR)
            && expected_micros <= cost_micros.saturating_mul(FAR);
        is_near.then_some(cost)
    }
}
