//! Differences between what a provider says and what a file says are found, and only those.

use serde_json::{Value as Json, json};

use super::walk::sample;
use crate::import::{Drift, Wish, describe, drift, import};
use crate::probe::{PriceProbe, Probe};
use crate::{Catalog, Layer};

const QUEUE: &str = include_str!("schemas/queue.json");
const ENDPOINT: &str = "acme-labs/lumen-3/image-to-video";
const INPUT: &str = "/components/schemas/Lumen3ImageToVideoInput";

/// What is found when the provider's schema has changed so since the import.
fn found(change: impl Fn(&mut Json)) -> Vec<Drift> {
    let mut document: Json = serde_json::from_str(QUEUE).unwrap();
    let catalog = Catalog::embedded().unwrap();
    let wish =
        Wish { provider: "fal".to_owned(), endpoint: ENDPOINT.to_owned(), ..Wish::default() };
    let imported = import(&document, &wish, &catalog).unwrap();
    let own = Layer { name: "own".to_owned(), files: vec![(imported.path, imported.text)] };
    let (catalog, _) = Catalog::load(&[Layer::embedded(), own]).unwrap();
    let offer = catalog.offers.values().find(|offer| offer.endpoint == ENDPOINT).unwrap();
    change(&mut document);
    let described = describe(&document, ENDPOINT).unwrap();
    drift(&described, offer, &offer.example(&catalog.tasks[&offer.task], &sample))
}

fn check(change: impl Fn(&mut Json), expected: &[(bool, &str)]) {
    let shown = found(change);
    let shown: Vec<(bool, &str)> =
        shown.iter().map(|drift| (drift.breaks, drift.message.as_str())).collect();
    assert_eq!(shown, expected);
}

#[test]
fn a_schema_that_is_as_it_was_says_nothing_new() {
    // A word that the task has none for is not in the file, so it looks new.
    check(|_| (), &[(false, "`aspect_ratio` can also be \"auto\"")]);
}

#[test]
fn changes_of_a_schema_are_told_by_what_they_break() {
    let auto = (false, "`aspect_ratio` can also be \"auto\"");
    let parameter = |document: &mut Json, name: &str, schema: Json| {
        document.pointer_mut(INPUT).unwrap()["properties"][name] = schema;
    };
    check(
        |document| parameter(document, "glow", json!({"type": "number"})),
        &[auto, (false, "the endpoint has a new parameter `glow`")],
    );
    check(
        |document| {
            parameter(document, "glow", json!({"type": "number"}));
            document.pointer_mut(INPUT).unwrap()["required"] =
                json!(["image_url", "prompt", "glow"]);
        },
        &[
            auto,
            (true, "the endpoint needs a new parameter `glow`"),
            (true, "the cheapest call does not say `glow`, which is needed"),
        ],
    );
    check(
        |document| {
            let input = document.pointer_mut(INPUT).unwrap();
            input["properties"].as_object_mut().unwrap().remove("shimmer");
        },
        &[(true, "the endpoint has no parameter `shimmer` any more"), auto],
    );
    check(
        |document| {
            parameter(document, "resolution", json!({"type": "string", "enum": ["720p", "1440p"]}));
        },
        &[
            auto,
            (true, "`resolution` can no longer be '1080p', '4k'"),
            (false, "`resolution` can also be \"1440p\""),
        ],
    );
    check(
        |document| parameter(document, "motion_bucket", json!({"type": "integer", "maximum": 100})),
        &[auto, (true, "the most of `motion_bucket` is 100, not 255")],
    );
    check(
        |document| {
            let output = "/components/schemas/Lumen3ImageToVideoOutput/properties";
            let output = document.pointer_mut(output).unwrap();
            *output =
                json!({"clip": {"type": "object", "properties": {"url": {"type": "string"}}}});
        },
        &[auto, (true, "the answer has nothing at /video/url any more")],
    );
    check(
        |document| {
            document["paths"][format!("/{ENDPOINT}")]["post"]["deprecated"] = json!(true);
        },
        &[(true, "the provider says that this endpoint will go"), auto],
    );
}

#[test]
fn a_price_is_compared_where_it_is_one_amount_for_one_unit() {
    let priced = |price: &str| super::one(&format!("price = {price}")).unwrap();
    let drift = |price: &str, usd: f64, unit: &str| {
        let catalog = priced(price);
        let offer = catalog.offers.values().next().unwrap();
        offer.price.drift(usd, unit).map(|drift| (drift.breaks, drift.message))
    };
    let line = r#"{ as_of = "2026-11-01", source = "x", lines = [{ per = "image", usd = 0.04 }] }"#;
    assert_eq!(drift(line, 0.04, "image"), None);
    let told = "the provider says $0.05 per image; the file says $0.04 per image";
    assert_eq!(drift(line, 0.05, "image"), Some((true, told.to_owned())));
    assert!(!drift(line, 0.04, "second").unwrap().0);
    assert!(!drift("\"unknown\"", 0.04, "image").unwrap().0);
}

#[test]
fn answers_are_read_where_the_file_says() {
    let price: PriceProbe = serde_json::from_value(json!({
        "call": {"method": "GET", "path": "/prices"}, "usd_at": "/prices/0/each", "unit_at": "/prices/0/unit",
        "units": {"videos": "request"},
    }))
    .unwrap();
    let answer = |unit: &str| json!({"prices": [{"each": "0.5", "unit": unit}]});
    assert_eq!(price.read(&answer("Videos")), Some((0.5, "request".to_owned())));
    assert_eq!(price.read(&answer("moons")), Some((0.5, "moons".to_owned())));
    assert_eq!(price.read(&json!({"prices": []})), None);
    let probe: Probe = serde_json::from_value(json!({
        "models": {"method": "GET", "path": "/models"}, "model_at": "/models/*/name",
        "model_prefix": "models/", "model_like": ["eye-"],
    }))
    .unwrap();
    assert_eq!(probe.models_in(&json!({"models": [{"name": "models/eye-1"}]})), ["eye-1"]);
    let keyed = json!({"models": [{"name": {"models/eye-1": {"most": 3}, "eye-2": null}}]});
    assert_eq!(probe.models_in(&keyed), ["eye-2", "eye-1"]);
    assert!(probe.lists("eye-1") && !probe.lists("ear-1"));
    assert!(probe.says_gone(404) && !probe.says_gone(500));
}

#[test]
fn what_is_wrong_with_a_probe_is_told_at_its_place() {
    let provider = |probe: &str| {
        let text = format!(
            "{}\n[base]\ndefault = {{ url = \"https://x.example\" }}\n{probe}",
            super::PROVIDER
        );
        match Catalog::load(&super::with(&[("providers/paper.toml", &text)])) {
            Ok(_) => String::new(),
            Err(findings) => super::shown(&findings),
        }
    };
    let check = |probe: &str, part: &str| {
        let told = provider(probe);
        assert!(told.contains(part), "{probe}: {told}");
    };
    check("[probe]\nmodels = { method = \"GET\", path = \"/m\" }", "`model_at` does not say");
    check("[probe]\nschema = { method = \"GET\", path = \"/{id}\" }", "nobody says what {id} is");
    check(
        "[probe]\nschema = { method = \"GET\", base = \"other\", path = \"/x\" }",
        "no base URL `other`",
    );
    check("[probe]\nshema = 1", "shema");
    let price = "[probe.price]\ncall = { method = \"GET\", path = \"/p\" }\nusd_at = \"/u\"\nunits = { s = \"moon\" }";
    check(price, "no unit `moon`");
}
