//! What a request would do, before a cent is spent: the graph, the offers it would take and why,
//! what it would cost and how long it would take.

use impasto_catalog::{Catalog, Offer};
use impasto_domain::{Decision, Error, Money, OfferId, Result, TaskId, Values};
use impasto_router::{Health, RouteRequest, decide};
use impasto_workflow::{Plan, Work};
use serde::Serialize;

/// What a request would do.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// The name of the workflow, or of the task.
    pub workflow: String,
    /// Its steps, in an order in which they can run.
    pub steps: Vec<PlannedStep>,
    /// Inputs that are required and not given.
    pub missing: Vec<String>,
    /// The least that it is expected to cost, going by what is known before.
    pub cost_low: Money,
    /// The most that it is expected to cost, if every step succeeds with the first offer.
    pub cost_high: Money,
    /// How long its work is expected to take at least, in milliseconds, one step after the other.
    pub time_low_ms: u64,
    /// How long its work is expected to take at most.
    pub time_high_ms: u64,
}

/// What a step would do.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep {
    /// Its name.
    pub name: String,
    /// What it does; absent for a step that chooses.
    pub task: Option<TaskId>,
    /// The steps that it waits for.
    pub needs: Vec<String>,
    /// How many instances it has; absent if that is known only during the run.
    pub instances: Option<usize>,
    /// The ranking of its offers for its first instance.
    pub decision: Option<Decision>,
    /// Instances that would go elsewhere than the first, by where they would go.
    pub others: Vec<OtherDecision>,
    /// The least that all its instances are expected to cost.
    pub cost_low: Money,
    /// The most that all its instances are expected to cost.
    pub cost_high: Money,
    /// How long its instances are expected to take together at least, in milliseconds.
    pub time_low_ms: u64,
    /// How long its instances are expected to take together at most.
    pub time_high_ms: u64,
}

/// Instances of a step that would go elsewhere than its first one.
#[derive(Clone, Debug, Serialize)]
pub struct OtherDecision {
    /// How many there are.
    pub instances: usize,
    /// The ranking of the offers for one of them.
    pub decision: Decision,
}

pub(crate) fn plan_report(
    plan: &Plan,
    input: &Values,
    catalog: &Catalog,
    health: &Health,
) -> Result<PlanReport> {
    let missing: Vec<String> = plan
        .inputs
        .iter()
        .filter(|field| {
            field.required && field.default.is_none() && !input.contains_key(&field.name)
        })
        .map(|field| field.name.clone())
        .collect();
    let wrong = plan.inputs.iter().filter_map(|field| field.problem(input.get(&field.name)?));
    let wrong: Vec<String> = wrong.collect();
    if !wrong.is_empty() {
        return Err(Error::invalid(wrong.join("; ")));
    }
    let calls = plan.dry_run(input);
    let steps: Vec<PlannedStep> = plan
        .steps
        .iter()
        .map(|step| {
            let mut planned = PlannedStep {
                name: step.name.clone(),
                task: None,
                needs: step.needs.clone(),
                instances: None,
                decision: None,
                others: Vec::new(),
                cost_low: Money::ZERO,
                cost_high: Money::ZERO,
                time_low_ms: 0,
                time_high_ms: 0,
            };
            if let Work::Call(call) = &step.work {
                planned.task = Some(call.task.id.clone());
                let own = calls.iter().filter(|call| call.key.step == step.name);
                for one in own {
                    let request =
                        RouteRequest { task: &call.task, input: &one.input, policy: &one.policy };
                    planned.add(decide(&request, catalog, health), catalog, &one.input);
                }
            }
            planned
        })
        .collect();
    Ok(PlanReport {
        workflow: plan.name.clone(),
        missing,
        cost_low: steps.iter().map(|step| step.cost_low).sum(),
        cost_high: steps.iter().map(|step| step.cost_high).sum(),
        time_low_ms: steps.iter().map(|step| step.time_low_ms).sum(),
        time_high_ms: steps.iter().map(|step| step.time_high_ms).sum(),
        steps,
    })
}

impl PlannedStep {
    /// One more instance, with its decision.
    fn add(&mut self, decision: Decision, catalog: &Catalog, input: &Values) {
        self.instances = Some(self.instances.unwrap_or_default() + 1);
        let offer: Option<&Offer> =
            decision.first().and_then(|first| catalog.offers.get(&first.offer));
        if let Some(offer) = offer {
            let (cost, time) = (offer.price.range(input), offer.time.range_ms(input));
            self.cost_low += *cost.start();
            self.cost_high += *cost.end();
            self.time_low_ms = self.time_low_ms.saturating_add(*time.start());
            self.time_high_ms = self.time_high_ms.saturating_add(*time.end());
        }
        self.note(decision);
    }

    fn note(&mut self, decision: Decision) {
        let Some(first) = &self.decision else {
            self.decision = Some(decision);
            return;
        };
        if taken(first) == taken(&decision) {
            return;
        }
        let other = self.others.iter_mut().find(|other| taken(&other.decision) == taken(&decision));
        match other {
            Some(other) => other.instances += 1,
            None => self.others.push(OtherDecision { instances: 1, decision }),
        }
    }
}

/// The offer that a decision takes, if one will do.
fn taken(decision: &Decision) -> Option<&OfferId> {
    decision.first().map(|first| &first.offer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_domain::{Candidate, ModelId, ProviderId, Tier};

    fn decision(offer: Option<&str>) -> Decision {
        let candidate = |offer: &str| Candidate {
            offer: OfferId::new(offer),
            model: ModelId::new(offer),
            provider: ProviderId::new("p"),
            version: String::new(),
            tier: Tier::Draft,
            cost: Money::ZERO,
            is_unpriced: false,
            time_ms: 0,
            reason: String::new(),
        };
        Decision {
            task: TaskId::new("t"),
            ranked: offer.map(candidate).into_iter().collect(),
            excluded: Vec::new(),
            absent: Vec::new(),
            catalog_revision: String::new(),
        }
    }

    #[test]
    fn instances_that_go_elsewhere_are_told_apart_and_counted() {
        let mut step = PlannedStep {
            name: "s".into(),
            task: None,
            needs: Vec::new(),
            instances: None,
            decision: None,
            others: Vec::new(),
            cost_low: Money::ZERO,
            cost_high: Money::ZERO,
            time_low_ms: 0,
            time_high_ms: 0,
        };
        for offer in [Some("a"), Some("b"), Some("a"), None, Some("b"), None, None] {
            step.note(decision(offer));
        }
        assert_eq!(taken(step.decision.as_ref().unwrap()), Some(&OfferId::new("a")));
        let others = step.others.iter().map(|other| (other.instances, taken(&other.decision)));
        assert_eq!(others.collect::<Vec<_>>(), [(2, Some(&OfferId::new("b"))), (3, None)]);
    }
}
