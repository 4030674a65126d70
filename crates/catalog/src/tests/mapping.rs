//! What the mapping verbs do.

use impasto_domain::{Value, Values};
use proptest::prelude::*;

use super::one;
use crate::Mapping;

fn mapping(verbs: &str) -> Mapping {
    let catalog = one(&format!("price = \"free\"\n[offers.map]\n{verbs}")).unwrap();
    catalog.offers[&"pencil@paper/draw".into()].map.clone()
}

fn check(verbs: &str, input: &str, expected: &str) {
    let values = |json: &str| -> Values { serde_json::from_str(json).unwrap() };
    assert_eq!(mapping(verbs).apply(values(input)), values(expected), "{verbs} of {input}");
}

#[test]
fn each_verb_does_what_it_says() {
    check(
        r#"rename = { prompt = "text" }"#,
        r#"{"prompt": "a", "sound": true}"#,
        r#"{"text": "a", "sound": true}"#,
    );
    check(r#"const = { model = "x" }"#, r#"{"prompt": "a"}"#, r#"{"prompt": "a", "model": "x"}"#);
    check(r#"default = { steps = 30 }"#, r#"{"steps": null}"#, r#"{"steps": 30}"#);
    check(r#"default = { steps = 30 }"#, r#"{"steps": 4}"#, r#"{"steps": 4}"#);
    check(
        r#"enum = { resolution = { "4k" = 2160 } }"#,
        r#"{"resolution": "4k"}"#,
        r#"{"resolution": 2160}"#,
    );
    check(
        r#"enum = { resolution = { "4k" = 2160 } }"#,
        r#"{"resolution": "720p"}"#,
        r#"{"resolution": "720p"}"#,
    );
    check(
        r#"clamp = { duration = { max = 10 } }"#,
        r#"{"duration": 12.5}"#,
        r#"{"duration": 10.0}"#,
    );
    check(r#"clamp = { width = { min = 99.5 } }"#, r#"{"width": 64}"#, r#"{"width": 100}"#);
    check(r#"clamp = { width = { min = 99.5 } }"#, r#"{"width": "64"}"#, r#"{"width": "64"}"#);
}

#[test]
fn verbs_follow_each_other_in_one_order() {
    let verbs = r#"
const = { quality = "best" }
default = { quality = "good", size = 1, model = "x" }
rename = { width = "size", prompt = "text" }
clamp = { width = { max = 512 } }"#;
    let expected = r#"{"size": 512, "text": "a", "quality": "best", "model": "x"}"#;
    check(verbs, r#"{"width": 4000, "prompt": "a"}"#, expected);
}

#[test]
fn two_names_may_be_swapped() {
    let input = r#"{"width": 3, "height": 4}"#;
    check(
        r#"rename = { width = "height", height = "width" }"#,
        input,
        r#"{"width": 4, "height": 3}"#,
    );
}

fn input() -> impl Strategy<Value = Values> {
    let name =
        prop::sample::select(vec!["prompt", "num_images", "width", "height", "duration", "sound"]);
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(Value::from),
        "[a-z]{0,5}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    prop::collection::btree_map(name.prop_map(str::to_owned), value, 0..6)
}

proptest! {
    #[test]
    fn an_empty_mapping_changes_nothing(input in input()) {
        prop_assert!(Mapping::default().is_identity());
        prop_assert_eq!(Mapping::default().apply(input.clone()), input);
    }

    #[test]
    fn renaming_loses_and_changes_nothing(input in input()) {
        let renamed = mapping(r#"rename = { prompt = "text", width = "height", height = "w" }"#).apply(input.clone());
        prop_assert_eq!(renamed.len(), input.len());
        let original = |name: &str| match name {
            "text" => "prompt".to_owned(),
            "height" => "width".to_owned(),
            "w" => "height".to_owned(),
            other => other.to_owned(),
        };
        let back: Values = renamed.into_iter().map(|(name, value)| (original(&name), value)).collect();
        prop_assert_eq!(back, input);
    }

    #[test]
    fn a_clamped_number_lies_within_and_clamping_twice_changes_nothing(input in input()) {
        let clamp = mapping("clamp = { width = { min = 64.5, max = 99.5 }, duration = { max = 7.5 } }");
        let once = clamp.apply(input.clone());
        prop_assert_eq!(clamp.apply(once.clone()), once.clone());
        if let Some(width) = once.get("width").and_then(Value::as_number) {
            prop_assert!((64.5..=99.5).contains(&width));
        }
        prop_assert_eq!(once.get("prompt"), input.get("prompt"));
        let whole = |values: &Values| matches!(values.get("width"), Some(Value::Integer(_)));
        prop_assert_eq!(whole(&once), whole(&input));
    }

    #[test]
    fn a_constant_always_stands_and_a_default_only_where_nothing_was_said(input in input()) {
        let mapped = mapping("const = { width = 7 }\ndefault = { height = 8 }").apply(input.clone());
        prop_assert_eq!(&mapped["width"], &Value::from(7));
        prop_assert_eq!(mapped["height"].clone(), input.get("height").cloned().unwrap_or(Value::from(8)));
    }
}
