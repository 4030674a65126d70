//! Why an offer will not do.

use impasto_domain::{Exclusion, Side};

use crate::{Choice, Health, RouteRequest};

/// Why `choice` is excluded, with every reason that there is; none if it will do.
pub(crate) fn exclusion(
    choice: &Choice<'_>,
    request: &RouteRequest<'_>,
    health: &Health,
) -> Option<Exclusion> {
    let unasked = by_choice(choice, request);
    let mut of_call = by_policy(choice, request);
    of_call.extend(by_lifecycle(choice));
    of_call.extend(choice.offer.problems(request.task, request.input));
    let (ours, theirs) = by_health(choice, health);
    let side = match () {
        () if !unasked.is_empty() => None,
        () if !of_call.is_empty() => Some(Side::Caller),
        () if !ours.is_empty() => Some(Side::Ours),
        () => Some(Side::Provider),
    };
    let reasons = [unasked, of_call, ours, theirs].concat();
    if reasons.is_empty() {
        return None;
    }
    Some(Exclusion { offer: choice.offer.id.clone(), reason: reasons.join("; "), side })
}

/// What is missing here, and what is amiss there.
fn by_health(choice: &Choice<'_>, health: &Health) -> (Vec<String>, Vec<String>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let needs = choice.offer.needs.iter().chain(&choice.provider.needs);
    for need in needs.filter(|need| health.lacks(&need.program)) {
        ours.push(format!(
            "it needs the program `{}`, which is not on this machine: {}",
            need.program, need.hint
        ));
    }
    if !health.provider(&choice.provider.id).reachable {
        theirs.push(format!("the provider `{}` does not answer", choice.provider.id));
    }
    (ours, theirs)
}

/// Whether it is among the models and providers that were asked for.
fn by_choice(choice: &Choice<'_>, request: &RouteRequest<'_>) -> Vec<String> {
    let (policy, model) = (request.policy, choice.model);
    let mut reasons = Vec::new();
    if !policy.models.is_empty() && !policy.models.contains(&model.id) {
        let allowed = listed(policy.models.iter());
        reasons.push(format!("the model `{}` is not one of those asked for: {allowed}", model.id));
    }
    let provider = &choice.provider.id;
    if !policy.providers.is_empty() && !policy.providers.contains(provider) {
        let allowed = listed(policy.providers.iter());
        reasons.push(format!("the provider `{provider}` is not one of those allowed: {allowed}"));
    }
    reasons
}

/// What the policy wants and it is not.
fn by_policy(choice: &Choice<'_>, request: &RouteRequest<'_>) -> Vec<String> {
    let (policy, model) = (request.policy, choice.model);
    let mut reasons = Vec::new();
    if let Some(least) = policy.min_tier.filter(|least| model.tier < *least) {
        reasons.push(format!("its tier is {}, the lowest that will do is {least}", model.tier));
    }
    if let (Some(most), false) = (policy.max_cost, choice.offer.price.known) {
        reasons.push(format!("its price is not known, and the most is {most}"));
    }
    if let Some(most) = policy.max_cost.filter(|most| choice.cost > *most) {
        reasons.push(format!("it would cost {}, the most is {most}", choice.cost));
    }
    if let Some(longest) = policy.max_latency_ms.filter(|longest| choice.time_ms > *longest) {
        let (time, longest) = (seconds(choice.time_ms), seconds(longest));
        reasons.push(format!("it would take about {time}, the longest is {longest}"));
    }
    if !policy.licences.is_empty() && !is_licensed(&model.licence, &policy.licences) {
        let allowed = listed(policy.licences.iter());
        reasons.push(format!("its licence is {}, allowed are {allowed}", model.licence));
    }
    reasons
}

fn by_lifecycle(choice: &Choice<'_>) -> Option<String> {
    if let Some(unserved) = choice.model.unserved() {
        let instead = choice.model.lifecycle.replacement.as_ref();
        let instead = instead.map(|model| format!("; `{model}` is its replacement"));
        return Some(unserved + &instead.unwrap_or_default());
    }
    let own = &choice.offer.lifecycle;
    if own.status.is_served() {
        return None;
    }
    let since = own.ends.as_ref().map(|day| format!(" since {day}")).unwrap_or_default();
    Some(format!("the provider `{}` does not serve it any more{since}", choice.provider.id))
}

/// Whether a licence is among those allowed. Of `A OR B` one is enough.
fn is_licensed(licence: &str, allowed: &[String]) -> bool {
    let is_allowed =
        |choice: &str| allowed.iter().any(|one| one.eq_ignore_ascii_case(choice.trim()));
    is_allowed(licence) || licence.split(" OR ").any(is_allowed)
}

fn listed(names: impl Iterator<Item = impl std::fmt::Display>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// A time for people: `40 ms`, `2.5 s`, `3 min`.
pub(crate) fn seconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => format!("{:.0} min", ms as f64 / 60_000.0),
    }
}
