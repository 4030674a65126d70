//! What the router promises of every catalogue, policy and state of the world.

use std::collections::BTreeSet;

use impasto_catalog::Catalog;
use impasto_domain::{Decision, ModelId, Money, Policy, Side, Tier, Value, Values};
use proptest::prelude::*;

use super::{Entry, files, load};
use crate::{Health, ProviderHealth, RouteRequest, decide};

fn entry() -> impl Strategy<Value = Entry> {
    let extra = prop_oneof![
        4 => Just(""),
        1 => Just("unsupported = [\"seed\"]"),
        1 => Just("params = { size = { max = 3 } }"),
        1 => Just("needs = [{ program = \"brush\", hint = \"buy one\" }]"),
    ];
    let tier = prop::sample::select(vec!["draft", "standard", "hero"]);
    let licence = prop::sample::select(vec!["MIT", "Apache-2.0", "MIT OR GPL-3.0-only"]);
    // Few values, so that ties are common.
    (0..2u8, tier, licence, 0..4i64, 0..4u64, extra).prop_map(
        |(provider, tier, licence, price, time, extra)| Entry {
            provider: format!("p{provider}"),
            tier,
            licence,
            price: price * 10_000,
            time_ms: time * 100,
            extra,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let tier =
        || prop::option::of(prop::sample::select(vec![Tier::Draft, Tier::Standard, Tier::Hero]));
    let models = prop::collection::vec((0..9u8).prop_map(|n| ModelId::new(format!("m{n}"))), 0..3);
    let providers =
        prop::collection::vec((0..2u8).prop_map(|n| format!("p{n}").as_str().into()), 0..2);
    let licences = prop::collection::vec(prop::sample::select(vec!["MIT", "Apache-2.0"]), 0..2);
    let most = (prop::option::of(0..40_000i64), prop::option::of(0..400u64));
    (tier(), tier(), models, providers, licences, most).prop_map(
        |(tier, min_tier, models, providers, licences, (cost, time))| Policy {
            tier,
            min_tier,
            models,
            providers,
            licences: licences.into_iter().map(str::to_owned).collect(),
            max_cost: cost.map(Money::micros),
            max_latency_ms: time,
            in_doubt: None,
        },
    )
}

fn health() -> impl Strategy<Value = Health> {
    let state = (any::<bool>(), 0.0..=1.0, 0..5u32, 0..5u32).prop_map(
        |(reachable, failure_rate, busy, waiting)| ProviderHealth {
            reachable,
            failure_rate,
            busy,
            waiting,
        },
    );
    (prop::option::of(state), any::<bool>(), any::<bool>()).prop_map(|(state, brush, closed)| {
        Health {
            unusable: closed
                .then(|| ("p0".into(), "it is closed".to_owned()))
                .into_iter()
                .collect(),
            providers: state.into_iter().map(|state| ("p1".into(), state)).collect(),
            missing_programs: if brush { ["brush".to_owned()].into() } else { BTreeSet::new() },
            cores: 2,
        }
    })
}

fn input() -> impl Strategy<Value = Values> {
    (1..=9i64, prop::option::of(0..5i64)).prop_map(|(size, seed)| {
        let mut input = Values::from([("size".to_owned(), Value::from(size))]);
        input.extend(seed.map(|seed| ("seed".to_owned(), Value::from(seed))));
        input
    })
}

fn decided(catalog: &Catalog, input: &Values, policy: &Policy, health: &Health) -> Decision {
    let task = &catalog.tasks[&"draw".into()];
    decide(&RouteRequest { task, input, policy }, catalog, health)
}

fn ranked(decision: &Decision) -> Vec<&str> {
    decision.ranked.iter().map(|candidate| candidate.offer.as_str()).collect()
}

fn violates(catalog: &Catalog, policy: &Policy, decision: &Decision) -> Option<String> {
    decision.ranked.iter().find_map(|candidate| {
        let model = &catalog.models[&candidate.model];
        let licensed = |allowed: &String| model.licence.split(" OR ").any(|one| one == allowed);
        let kept = policy.max_cost.is_none_or(|most| candidate.cost <= most)
            && policy.max_latency_ms.is_none_or(|longest| candidate.time_ms <= longest)
            && policy.min_tier.is_none_or(|least| candidate.tier >= least)
            && (policy.models.is_empty() || policy.models.contains(&candidate.model))
            && (policy.providers.is_empty() || policy.providers.contains(&candidate.provider))
            && (policy.licences.is_empty() || policy.licences.iter().any(licensed));
        (!kept).then(|| format!("{} violates {policy:?}", candidate.offer))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_offer_has_its_place_once_and_none_violates_the_policy(
        entries in prop::collection::vec(entry(), 0..8),
        policy in policy(), health in health(), input in input(),
    ) {
        let catalog = load(files(&entries)).unwrap();
        let decision = decided(&catalog, &input, &policy, &health);
        let mut seen: Vec<&str> = ranked(&decision);
        seen.extend(decision.excluded.iter().map(|exclusion| exclusion.offer.as_str()));
        let absent = |offer: &&impasto_catalog::Offer| {
            health.unusable.contains_key(&offer.provider) && !policy.models.contains(&offer.model)
        };
        let absent: Vec<&str> =
            catalog.offers.values().filter(absent).map(|offer| offer.id.as_str()).collect();
        let counted: u32 = decision.absent.iter().map(|one| one.offers).sum();
        prop_assert_eq!(counted as usize, absent.len());
        seen.extend(absent);
        seen.sort_unstable();
        let all: Vec<&str> = catalog.offers.keys().map(impasto_domain::OfferId::as_str).collect();
        prop_assert_eq!(seen, all);
        prop_assert_eq!(violates(&catalog, &policy, &decision), None);
        prop_assert!(decision.ranked.iter().all(|candidate| !candidate.reason.is_empty()));
        prop_assert!(decision.excluded.iter().all(|exclusion| !exclusion.reason.is_empty()));
    }

    #[test]
    fn what_is_not_the_callers_doing_is_well_again_when_the_world_is(
        entries in prop::collection::vec(entry(), 0..8),
        policy in policy(), health in health(), input in input(),
    ) {
        let catalog = load(files(&entries)).unwrap();
        let decision = decided(&catalog, &input, &policy, &health);
        let well = decided(&catalog, &input, &policy, &Health { cores: 2, ..Health::default() });
        for exclusion in &decision.excluded {
            let is_ranked = ranked(&well).contains(&exclusion.offer.as_str());
            let offer = catalog.offer(&exclusion.offer).unwrap();
            let named = health.unusable.contains_key(&offer.provider);
            match exclusion.side {
                None => prop_assert!(!is_ranked, "{exclusion:?}"),
                // A busy provider takes longer than a caller may want to wait.
                Some(Side::Caller) => {}
                Some(Side::Ours | Side::Provider) => prop_assert!(is_ranked || named, "{exclusion:?}"),
            }
        }
    }

    #[test]
    fn the_order_of_the_files_does_not_matter(
        (given, shuffled) in prop::collection::vec(entry(), 0..8).prop_map(|entries| files(&entries))
            .prop_flat_map(|files| (Just(files.clone()), Just(files).prop_shuffle())),
        policy in policy(), health in health(), input in input(),
    ) {
        let (given, shuffled) = (load(given).unwrap(), load(shuffled).unwrap());
        prop_assert_eq!(&given.revision, &shuffled.revision);
        let decisions = [&given, &shuffled].map(|catalog| decided(catalog, &input, &policy, &health));
        prop_assert_eq!(&decisions[0], &decisions[1]);
    }

    /// Any two offers stand in the same order whatever else is there: the order is one of the
    /// offers, and not of the list.
    #[test]
    fn the_order_of_two_does_not_depend_on_a_third(
        entries in prop::collection::vec(entry(), 3..8),
        policy in policy(), health in health(), input in input(),
    ) {
        let catalog = load(files(&entries)).unwrap();
        let whole = decided(&catalog, &input, &policy, &health);
        let mut fewer = files(&entries);
        fewer.pop();
        let fewer = load(fewer).unwrap();
        let part = decided(&fewer, &input, &policy, &health);
        let last = format!("m{}", entries.len() - 1);
        let without: Vec<&str> = whole.ranked.iter()
            .filter(|candidate| candidate.model.as_str() != last)
            .map(|candidate| candidate.offer.as_str()).collect();
        prop_assert_eq!(ranked(&part), without);
    }

    #[test]
    fn a_tighter_policy_never_adds_a_candidate(
        entries in prop::collection::vec(entry(), 0..8),
        policy in policy(), other in policy(), health in health(), input in input(),
    ) {
        let catalog = load(files(&entries)).unwrap();
        let Some(tighter) = both(&policy, &other) else { return Ok(()) };
        let loose = decided(&catalog, &input, &policy, &health);
        let tight = decided(&catalog, &input, &tighter, &health);
        let loose: BTreeSet<&str> = ranked(&loose).into_iter().collect();
        prop_assert!(ranked(&tight).iter().all(|offer| loose.contains(offer)));
    }
}

/// A policy that asks for what both ask for; none where their lists have nothing in common.
fn both(a: &Policy, b: &Policy) -> Option<Policy> {
    fn shared<T: Clone + PartialEq>(a: &[T], b: &[T]) -> Option<Vec<T>> {
        match (a, b) {
            ([], other) | (other, []) => Some(other.to_vec()),
            _ => Some(a.iter().filter(|one| b.contains(one)).cloned().collect())
                .filter(|shared: &Vec<T>| !shared.is_empty()),
        }
    }
    fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
        a.into_iter().chain(b).min()
    }
    Some(Policy {
        tier: b.tier,
        max_cost: least(a.max_cost, b.max_cost),
        max_latency_ms: least(a.max_latency_ms, b.max_latency_ms),
        min_tier: a.min_tier.max(b.min_tier),
        licences: shared(&a.licences, &b.licences)?,
        models: shared(&a.models, &b.models)?,
        providers: shared(&a.providers, &b.providers)?,
        in_doubt: None,
    })
}
