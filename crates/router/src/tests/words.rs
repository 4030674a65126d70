//! What a decision says.

use impasto_domain::{Money, Policy, Tier, Value, Values};
use insta::assert_snapshot;

use super::{Entry, files, load};
use crate::{Health, ProviderHealth, RouteRequest, decide, explain};

fn entries() -> Vec<Entry> {
    let entry = |provider: &str, tier, licence, price, time_ms, extra| Entry {
        provider: provider.to_owned(),
        tier,
        licence,
        price,
        time_ms,
        extra,
    };
    vec![
        entry("p0", "standard", "MIT", 40_000, 900, ""),
        entry("p1", "standard", "MIT", 40_000, 300, "ignored = [\"seed\"]"),
        entry("p0", "standard", "MIT", 5_000, 2_500, ""),
        entry("p0", "draft", "Apache-2.0", 0, 40, ""),
        entry("p0", "hero", "MIT", 0, 240_000, "unsupported = [\"seed\"]"),
        entry("p1", "draft", "MIT", 0, 40, "needs = [{ program = \"brush\", hint = \"buy one\" }]"),
    ]
}

fn told(policy: &Policy, health: &Health) -> String {
    let catalog = load(files(&entries())).unwrap();
    let input = Values::from([("seed".to_owned(), Value::from(3))]);
    let task = &catalog.tasks[&"draw".into()];
    let decision = decide(&RouteRequest { task, input: &input, policy }, &catalog, health);
    explain(&decision).replace(&catalog.revision, "REVISION")
}

#[test]
fn without_a_wish_the_default_tier_comes_first_then_the_price() {
    let health = Health { missing_programs: ["brush".to_owned()].into(), ..Health::default() };
    assert_snapshot!(told(&Policy::default(), &health), @"
    draw (catalogue REVISION)
      1. m2@p0/draw  standard  $0.005  about 2.5 s
         before m1@p1/draw: cheaper, $0.005 to $0.04
      2. m1@p1/draw  standard  $0.04  about 300 ms
         after m2@p0/draw: dearer, $0.04 to $0.005; before m0@p0/draw: faster, 300 ms to 900 ms; here `seed` has no effect
      3. m0@p0/draw  standard  $0.04  about 900 ms
         after m1@p1/draw: slower, 900 ms to 300 ms; before m3@p0/draw: it is the usual tier, standard
      4. m3@p0/draw  draft  $0.00  about 40 ms
         after m0@p0/draw: draft is further from the usual tier, standard
      x  m4@p0/draw
         it does not take `seed`
      x  m5@p1/draw
         it needs the program `brush`, which is not on this machine: buy one
    ");
}

#[test]
fn the_models_asked_for_keep_their_order_and_every_reason_against_one_is_told() {
    let policy = Policy {
        models: ["m1", "m3", "m0"].map(Into::into).to_vec(),
        max_cost: Some(Money::micros(10_000)),
        max_latency_ms: Some(500),
        min_tier: Some(Tier::Draft),
        licences: vec!["Apache-2.0".to_owned()],
        ..Policy::default()
    };
    assert_snapshot!(told(&policy, &Health::default()), @"
    draw (catalogue REVISION)
      1. m3@p0/draw  draft  $0.00  about 40 ms
         the only offer that will do
      x  m0@p0/draw
         it would cost $0.04, the most is $0.01; it would take about 900 ms, the longest is 500 ms; its licence is MIT, allowed are Apache-2.0
      x  m1@p1/draw
         it would cost $0.04, the most is $0.01; its licence is MIT, allowed are Apache-2.0
      x  m2@p0/draw
         the model `m2` is not one of those asked for: m1, m3, m0; it would take about 2.5 s, the longest is 500 ms; its licence is MIT, allowed are Apache-2.0
      x  m4@p0/draw
         the model `m4` is not one of those asked for: m1, m3, m0; it would take about 4 min, the longest is 500 ms; its licence is MIT, allowed are Apache-2.0; it does not take `seed`
      x  m5@p1/draw
         the model `m5` is not one of those asked for: m1, m3, m0; its licence is MIT, allowed are Apache-2.0
    ");
}

#[test]
fn a_provider_that_fails_ranks_behind_and_a_busy_one_is_slower() {
    let mut health = Health::default();
    let failing = ProviderHealth { failure_rate: 0.6, ..ProviderHealth::default() };
    health.providers.insert("p1".into(), failing);
    let busy = ProviderHealth { busy: 2, waiting: 3, ..ProviderHealth::default() };
    health.providers.insert("p0".into(), busy);
    let policy = Policy { models: vec!["m0".into(), "m2".into()], ..Policy::default() };
    assert_snapshot!(told(&policy, &health), @"
    draw (catalogue REVISION)
      1. m0@p0/draw  standard  $0.04  about 2.7 s
         before m2@p0/draw: asked for earlier
      2. m2@p0/draw  standard  $0.005  about 7.5 s
         after m0@p0/draw: asked for later
      x  m1@p1/draw
         the model `m1` is not one of those asked for: m0, m2
      x  m3@p0/draw
         the model `m3` is not one of those asked for: m0, m2
      x  m4@p0/draw
         the model `m4` is not one of those asked for: m0, m2; it does not take `seed`
      x  m5@p1/draw
         the model `m5` is not one of those asked for: m0, m2
    ");
    let policy = Policy { tier: Some(Tier::Draft), ..Policy::default() };
    assert_snapshot!(told(&policy, &health), @"
    draw (catalogue REVISION)
      1. m3@p0/draw  draft  $0.00  about 120 ms
         before m2@p0/draw: it is the wanted tier, draft
      2. m2@p0/draw  standard  $0.005  about 7.5 s
         after m3@p0/draw: standard is further from the wanted tier, draft; before m0@p0/draw: cheaper, $0.005 to $0.04
      3. m0@p0/draw  standard  $0.04  about 2.7 s
         after m2@p0/draw: dearer, $0.04 to $0.005; before m5@p1/draw: it works, and of the other 60 % of the recent attempts failed
      4. m5@p1/draw  draft  $0.00  about 100 ms
         after m0@p0/draw: 60 % of the recent attempts failed; before m1@p1/draw: it is the wanted tier, draft
      5. m1@p1/draw  standard  $0.04  about 750 ms
         after m5@p1/draw: standard is further from the wanted tier, draft; here `seed` has no effect
      x  m4@p0/draw
         it does not take `seed`
    ");
}

#[test]
fn of_two_tiers_equally_far_the_higher_comes_first() {
    let catalog = load(files(&entries())).unwrap();
    let task = &catalog.tasks[&"draw".into()];
    let policy =
        Policy { tier: Some(Tier::Standard), max_cost: Some(Money::ZERO), ..Policy::default() };
    let request = RouteRequest { task, input: &Values::new(), policy: &policy };
    let decision = decide(&request, &catalog, &Health::default());
    let order: Vec<&str> = decision.ranked.iter().map(|c| c.model.as_str()).collect();
    assert_eq!(order[..2], ["m4", "m3"], "{}", explain(&decision));
    assert!(decision.ranked[0].reason.contains("but above it"), "{}", decision.ranked[0].reason);
}

#[test]
fn nothing_to_choose_from_is_said() {
    let down = ProviderHealth { reachable: false, ..ProviderHealth::default() };
    let providers = [("p0".into(), down), ("p1".into(), down)].into();
    let policy = Policy { models: vec!["m0".into(), "m1".into()], ..Policy::default() };
    assert_snapshot!(told(&policy, &Health { providers, ..Health::default() }), @"
    draw (catalogue REVISION)
      no offer will do
      x  m0@p0/draw
         the provider `p0` does not answer
      x  m1@p1/draw
         the provider `p1` does not answer
      x  m2@p0/draw
         the model `m2` is not one of those asked for: m0, m1; the provider `p0` does not answer
      x  m3@p0/draw
         the model `m3` is not one of those asked for: m0, m1; the provider `p0` does not answer
      x  m4@p0/draw
         the model `m4` is not one of those asked for: m0, m1; it does not take `seed`; the provider `p0` does not answer
      x  m5@p1/draw
         the model `m5` is not one of those asked for: m0, m1; the provider `p1` does not answer
    ");
}
