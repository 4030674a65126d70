//! The order of the offers that will do.
//!
//! What the caller asked for by name comes first; then providers that work before those that fail;
//! then offers whose price is known before those whose is not; then the distance to the tier asked for, the price, the time, and last the id, so that no two
//! offers ever share a place.

use impasto_domain::{Money, OfferId, Tier};

use crate::exclude::seconds;
use crate::{Choice, Health, RouteRequest};

/// The order for one call.
pub(crate) struct Order<'a> {
    request: &'a RouteRequest<'a>,
    health: &'a Health,
    /// The tier to aim at; the default tier where the policy names none.
    tier: Tier,
}

/// Where an offer stands: the smaller, the earlier. The fields are compared in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    asked: usize,
    failing: bool,
    unpriced: bool,
    distance: u8,
    /// Of two tiers equally far from the one asked for, the higher comes first.
    below: bool,
    cost: Money,
    time_ms: u64,
    id: OfferId,
}

impl<'a> Order<'a> {
    pub(crate) fn new(request: &'a RouteRequest<'a>, health: &'a Health) -> Self {
        Self { request, health, tier: request.policy.tier.unwrap_or_default() }
    }

    pub(crate) fn place(&self, choice: &Choice<'_>) -> Place {
        let asked = &self.request.policy.models;
        let tier = choice.model.tier;
        Place {
            asked: asked.iter().position(|id| *id == choice.model.id).unwrap_or(asked.len()),
            failing: self.health.is_failing(&choice.provider.id),
            unpriced: !choice.offer.price.known,
            distance: (tier as u8).abs_diff(self.tier as u8),
            below: tier < self.tier,
            cost: choice.cost,
            time_ms: choice.time_ms,
            id: choice.offer.id.clone(),
        }
    }

    /// For each choice in turn, what sets it apart from the ones before and after it.
    pub(crate) fn reasons(&self, choices: &[Choice<'_>]) -> Vec<String> {
        let mut reasons = Vec::new();
        for (index, choice) in choices.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| choices.get(before));
            let after = choices.get(index + 1);
            let mut parts = Vec::new();
            if let Some(before) = before {
                parts.push(format!("after {}: {}", before.offer.id, self.behind(choice, before)));
            }
            if let Some(after) = after {
                parts.push(format!("before {}: {}", after.offer.id, self.ahead(choice, after)));
            }
            if parts.is_empty() {
                parts.push("the only offer that will do".to_owned());
            }
            let ignored = choice.offer.without_effect(self.request.task, self.request.input);
            if !ignored.is_empty() {
                parts.push(format!("here `{}` has no effect", ignored.join("`, `")));
            }
            reasons.push(parts.join("; "));
        }
        reasons
    }

    /// Why `choice` comes after `other`, which is placed before it.
    fn behind(&self, choice: &Choice<'_>, other: &Choice<'_>) -> String {
        match self.difference(other, choice) {
            Difference::Asked => "asked for later".to_owned(),
            Difference::Failing => self.failures(choice),
            Difference::Unpriced => "its price is not known".to_owned(),
            Difference::Tier => format!("{} is further from {}", choice.model.tier, self.aim()),
            Difference::Below => {
                format!("{} is as far from {}, but below it", choice.model.tier, self.aim())
            }
            Difference::Cost => format!("dearer, {} to {}", choice.cost, other.cost),
            Difference::Time => {
                format!("slower, {} to {}", seconds(choice.time_ms), seconds(other.time_ms))
            }
            Difference::Id => "as good in everything, and later in the alphabet".to_owned(),
        }
    }

    /// Why `choice` comes before `other`, which is placed after it.
    fn ahead(&self, choice: &Choice<'_>, other: &Choice<'_>) -> String {
        match self.difference(choice, other) {
            Difference::Asked => "asked for earlier".to_owned(),
            Difference::Failing => format!("it works, and of the other {}", self.failures(other)),
            Difference::Unpriced => "its price is known".to_owned(),
            Difference::Tier if choice.model.tier == self.tier => format!("it is {}", self.aim()),
            Difference::Tier => format!("{} is nearer to {}", choice.model.tier, self.aim()),
            Difference::Below => {
                format!("{} is as far from {}, but above it", choice.model.tier, self.aim())
            }
            Difference::Cost => format!("cheaper, {} to {}", choice.cost, other.cost),
            Difference::Time => {
                format!("faster, {} to {}", seconds(choice.time_ms), seconds(other.time_ms))
            }
            Difference::Id => "as good in everything, and earlier in the alphabet".to_owned(),
        }
    }

    /// The tier to aim at, and whose wish it is.
    fn aim(&self) -> String {
        let whose = if self.request.policy.tier.is_some() { "wanted" } else { "usual" };
        format!("the {whose} tier, {}", self.tier)
    }

    fn failures(&self, choice: &Choice<'_>) -> String {
        let rate = self.health.provider(&choice.provider.id).failure_rate;
        format!("{:.0} % of the recent attempts failed", rate * 100.0)
    }

    /// The first thing in which two places differ.
    fn difference(&self, first: &Choice<'_>, second: &Choice<'_>) -> Difference {
        let (a, b) = (self.place(first), self.place(second));
        let differing = [
            (a.asked != b.asked, Difference::Asked),
            (a.failing != b.failing, Difference::Failing),
            (a.unpriced != b.unpriced, Difference::Unpriced),
            (a.distance != b.distance, Difference::Tier),
            (a.below != b.below, Difference::Below),
            (a.cost != b.cost, Difference::Cost),
            (a.time_ms != b.time_ms, Difference::Time),
        ];
        let found = differing.into_iter().find(|(differs, _)| *differs);
        found.map_or(Difference::Id, |(_, difference)| difference)
    }
}

/// What sets two neighbours apart.
#[derive(Clone, Copy)]
enum Difference {
    Asked,
    Failing,
    Unpriced,
    Tier,
    Below,
    Cost,
    Time,
    Id,
}
