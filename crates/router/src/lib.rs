//! Which offer serves a call, and why.
//!
//! [`decide`] looks at every offer of a task. An offer that the policy, the input or the state of
//! the world rules out is excluded, with every reason there is; the others are put into one total
//! order, each with what sets it apart from its neighbours. The engine tries them in that order.
//!
//! Invariants: pure; each offer of the task is ranked, excluded, or counted among those of a provider
//! that cannot be used here, exactly once; no
//! candidate violates the policy; a tighter policy never adds a candidate; the answer does not
//! depend on the order in which the catalogue was written.
//!
//! ```
//! use impasto_catalog::Catalog;
//! use impasto_domain::{Policy, Value, Values};
//! use impasto_router::{Health, RouteRequest, decide};
//! let catalog = Catalog::embedded()?;
//! let task = catalog.task(&"text-to-image".into())?;
//! let input = Values::from([("prompt".to_owned(), Value::from("a red mug"))]);
//! let request = RouteRequest { task, input: &input, policy: &Policy::default() };
//! let decision = decide(&request, &catalog, &Health::default());
//! assert!(decision.first().is_some());
//! # Ok::<(), impasto_domain::Error>(())
//! ```

mod exclude;
mod explain;
mod health;
mod rank;
#[cfg(test)]
mod tests;

pub use explain::explain;
pub use health::{Health, ProviderHealth};

use impasto_catalog::{Catalog, Model, Offer, Provider};
use impasto_domain::{
    Absence, Candidate, Decision, Exclusion, ModelId, Money, OfferId, Policy, Side, Task, Values,
};

/// A call that wants an offer.
#[derive(Clone, Copy, Debug)]
pub struct RouteRequest<'a> {
    /// The task to be done.
    pub task: &'a Task,
    /// Its input, admitted by the task: defaults are filled in. Inputs that are not known yet are absent.
    pub input: &'a Values,
    /// What the caller wants.
    pub policy: &'a Policy,
}

/// An offer with everything that is known of it for one call.
struct Choice<'a> {
    offer: &'a Offer,
    model: &'a Model,
    provider: &'a Provider,
    cost: Money,
    time_ms: u64,
}

impl<'a> Choice<'a> {
    fn of(
        offer: &'a Offer,
        request: &RouteRequest<'_>,
        catalog: &'a Catalog,
        health: &Health,
    ) -> Option<Self> {
        let model = catalog.models.get(&offer.model)?;
        let provider = catalog.providers.get(&offer.provider)?;
        let time_ms = health.expected_ms(provider, offer.time.estimate_ms(request.input));
        Some(Self { offer, model, provider, cost: offer.price.estimate(request.input), time_ms })
    }
}

/// The offers that will do for `request`, best first, and those that will not, each with the reason.
pub fn decide(request: &RouteRequest<'_>, catalog: &Catalog, health: &Health) -> Decision {
    let mut choices = Vec::new();
    let mut excluded = Vec::new();
    let mut absent = Vec::new();
    for (provider, offers) in catalog.providers_for(&request.task.id) {
        if let Some(reason) = health.unusable.get(provider) {
            // Who asks for a model by name is told about each offer of it.
            let named = named(offers, request.policy, reason);
            if named.len() < offers.len() {
                let offers = (offers.len() - named.len()) as u32;
                absent.push(Absence { provider: provider.clone(), offers, reason: reason.clone() });
            }
            excluded.extend(named);
            continue;
        }
        for offer in offers.iter().filter_map(|(id, _)| catalog.offers.get(id)) {
            let Some(choice) = Choice::of(offer, request, catalog, health) else { continue };
            match exclude::exclusion(&choice, request, health) {
                None => choices.push(choice),
                Some(exclusion) => excluded.push(exclusion),
            }
        }
    }
    excluded.sort_by(|one, other| one.offer.cmp(&other.offer));
    let order = rank::Order::new(request, health);
    choices.sort_by_cached_key(|choice| order.place(choice));
    let reasons = order.reasons(&choices);
    let ranked = choices.iter().zip(reasons).map(|(choice, reason)| candidate(choice, reason));
    Decision {
        task: request.task.id.clone(),
        ranked: ranked.collect(),
        excluded,
        absent,
        catalog_revision: catalog.revision.clone(),
    }
}

/// Those of a provider's offers that the policy names by their models; for the given reason none will do.
fn named(offers: &[(OfferId, ModelId)], policy: &Policy, reason: &str) -> Vec<Exclusion> {
    if policy.models.is_empty() {
        return Vec::new();
    }
    let named = offers.iter().filter(|(_, model)| policy.models.contains(model));
    let exclusion = |(offer, _): &(OfferId, ModelId)| Exclusion {
        offer: offer.clone(),
        reason: reason.to_owned(),
        side: Some(Side::Ours),
    };
    named.map(exclusion).collect()
}

fn candidate(choice: &Choice<'_>, reason: String) -> Candidate {
    Candidate {
        offer: choice.offer.id.clone(),
        model: choice.offer.model.clone(),
        provider: choice.offer.provider.clone(),
        version: choice.offer.version.clone(),
        tier: choice.model.tier,
        cost: choice.cost,
        is_unpriced: !choice.offer.price.known,
        time_ms: choice.time_ms,
        reason,
    }
}
