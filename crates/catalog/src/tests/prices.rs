//! What calls cost, against figures worked out by hand, and what holds for every price.

use impasto_domain::{AssetRef, Digest, MediaFacts, Money, Values};
use proptest::prelude::*;

use super::{TASK, one, pencil, with};
use crate::{Catalog, Offer};

fn offer(lines: &str) -> Offer {
    let price =
        format!("price = {{ as_of = \"2026-11-01\", source = \"page\", lines = [{lines}] }}");
    one(&price).unwrap().offers[&"pencil@paper/draw".into()].clone()
}

fn values(json: &str) -> Values {
    serde_json::from_str(json).unwrap()
}

/// Checks the likely, the lowest and the highest cost of a call, in micro-dollars.
fn check(lines: &str, input: &str, [low, likely, high]: [i64; 3]) {
    let (price, input) = (offer(lines).price, values(input));
    let (least, most) = price.range(&input).into_inner();
    let found = [least, price.estimate(&input), most].map(Money::as_micros);
    assert_eq!(found, [low, likely, high], "{lines} of {input:?}");
}

#[test]
fn each_unit_counts_what_it_says() {
    check(r#"{ per = "request", usd = 0.4 }"#, "{}", [400_000; 3]);
    check(r#"{ per = "image", usd = 0.039 }"#, r#"{"num_images": 3}"#, [117_000; 3]);
    check(r#"{ per = "second", usd = "0.10" }"#, r#"{"duration": 1.1}"#, [110_000; 3]);
    check(
        r#"{ per = "thousand_characters", usd = 0.05 }"#,
        r#"{"prompt": "twelve chars"}"#,
        [600; 3],
    );
    // A line is rounded up to a whole millionth of a dollar, once.
    check(r#"{ per = "second", usd = 0.000001 }"#, r#"{"duration": 1.5}"#, [2; 3]);
    let square = r#"{"num_images": 2, "width": 1024, "height": 1024}"#;
    check(r#"{ per = "megapixel", usd = 0.025 }"#, square, [50_000; 3]);
    // 1.5 megapixels each, charged as 2.
    let wide = r#"{"num_images": 2, "width": 1536, "height": 1024}"#;
    check(r#"{ per = "megapixel", usd = 0.025, round_up = true }"#, wide, [100_000; 3]);
    check(r#"{ per = "megapixel", usd = 0.025 }"#, wide, [75_000; 3]);
}

#[test]
fn what_is_not_known_yet_makes_a_range() {
    check(r#"{ per = "image", usd = 0.04 }"#, "{}", [40_000, 40_000, 160_000]);
    check(r#"{ per = "second", usd = 0.2 }"#, "{}", [200_000, 800_000, 3_000_000]);
    // Between 64 x 64 and 4096 x 4096, one megapixel being usual.
    check(
        r#"{ per = "megapixel", usd = 1 }"#,
        r#"{"num_images": 1}"#,
        [3_907, 1_000_000, 16_000_000],
    );
}

#[test]
fn tiers_go_by_conditions_and_the_first_that_holds_counts() {
    let tiers = r#"{ per = "second", usd = 0.2, tiers = [
        { when = { resolution = "4k", sound = true }, usd = 0.6 },
        { when = { resolution = ["4k", "1080p"] }, usd = 0.4 },
    ] }"#;
    check(tiers, r#"{"duration": 2, "resolution": "4k", "sound": true}"#, [1_200_000; 3]);
    check(tiers, r#"{"duration": 2, "resolution": "1080p", "sound": true}"#, [800_000; 3]);
    check(tiers, r#"{"duration": 2, "resolution": "720p"}"#, [400_000; 3]);
    check(tiers, r#"{"duration": 2, "resolution": "4k"}"#, [800_000, 800_000, 1_200_000]);
    check(tiers, r#"{"duration": 2}"#, [400_000, 400_000, 1_200_000]);
    let long = r#"{ per = "request", usd = 0, tiers = [{ when = { duration = { min = 10 } }, usd = 1 }] }"#;
    check(long, r#"{"duration": 10}"#, [1_000_000; 3]);
    check(long, r#"{"duration": 9.5}"#, [0; 3]);
}

#[test]
fn lines_add_up_and_a_minimum_holds() {
    let lines = r#"{ per = "request", usd = 0.03 }, { per = "second", usd = 0.01 }"#;
    check(lines, r#"{"duration": 3}"#, [60_000; 3]);
    let price = r#"price = { as_of = "2026-11-01", source = "page", minimum = 0.5, lines = [{ per = "second", usd = 0.01 }] }"#;
    let catalog = one(price).unwrap();
    let offer = &catalog.offers[&"pencil@paper/draw".into()];
    assert_eq!(offer.price.estimate(&values(r#"{"duration": 3}"#)), Money::micros(500_000));
    assert_eq!(offer.price.describe(), "$0.01 per second + at least $0.50");
    assert!(!offer.price.is_free());
}

/// Where nothing is said of the size or the length, that of the media that go in counts.
#[test]
fn media_that_go_in_are_measured() {
    let facts = MediaFacts {
        width: Some(2048),
        height: Some(1024),
        duration_ms: Some(2_500),
        ..MediaFacts::default()
    };
    let clip = AssetRef { digest: Digest::of(b"clip"), media_type: "video/mp4".into(), facts };
    let cost = |lines: &str, more: &str| {
        let mut input = values(more);
        input.insert("videos".to_owned(), vec![clip.clone().into(), clip.clone().into()].into());
        offer(lines).price.estimate(&input).as_micros()
    };
    assert_eq!(cost(r#"{ per = "second", usd = 1 }"#, "{}"), 5_000_000);
    let megapixel = r#"{ per = "megapixel", usd = 1 }"#;
    assert_eq!(cost(megapixel, "{}"), 2_000_000);
    assert_eq!(cost(megapixel, r#"{"scale": 2}"#), 8_000_000);
    assert_eq!(cost(megapixel, r#"{"width": 1024, "scale": 2}"#), 500_000);
    // A scale that may be less than one does not enlarge the picture: it is about a part of it.
    let task = TASK.replace("min = 1\nmax = 8", "min = 0.1\nmax = 8");
    let model = pencil(&format!(
        "price = {{ as_of = \"2026-11-01\", source = \"page\", lines = [{megapixel}] }}"
    ));
    let model =
        model.replace("task = ", "assume = { megapixel = { usual = 1, most = 4 } }\ntask = ");
    let files = [("tasks/draw.toml", task.as_str()), ("models/acme/pencil.toml", &model)];
    let (catalog, _) = Catalog::load(&with(&files)).unwrap();
    let mut input = values(r#"{"scale": 0.5}"#);
    input.insert("image".to_owned(), clip.clone().into());
    let price = &catalog.offers[&"pencil@paper/draw".into()].price;
    assert_eq!(price.estimate(&input), Money::micros(2_000_000));
}

fn line() -> impl Strategy<Value = String> {
    let unit = prop::sample::select(vec![
        "request",
        "image",
        "megapixel",
        "second",
        "thousand_characters",
    ]);
    let when = prop::sample::select(vec![
        r#"{ resolution = "4k" }"#,
        r#"{ resolution = ["720p", "1080p"], sound = true }"#,
        r#"{ duration = { min = 5, max = 9 } }"#,
    ]);
    let tier = (when, 0..3_000_000u32).prop_map(|(when, micros)| {
        format!("{{ when = {when}, usd = \"{}\" }}", Money::micros(i64::from(micros)))
    });
    (unit, 0..3_000_000u32, any::<bool>(), prop::collection::vec(tier, 0..3)).prop_map(
        |(unit, micros, round_up, tiers)| {
            let (usd, tiers) = (Money::micros(i64::from(micros)), tiers.join(", "));
            format!(
                "{{ per = \"{unit}\", usd = \"{usd}\", round_up = {round_up}, tiers = [{tiers}] }}"
            )
        },
    )
}

/// An input that the task admits, with everything said.
fn whole_input() -> impl Strategy<Value = Values> {
    let resolution = prop::sample::select(vec!["720p", "1080p", "4k"]);
    (1..=4i64, 64..=4096i64, 64..=4096i64, 1.0..=15.0f64, resolution, any::<bool>(), "[a-z ]{0,40}")
        .prop_map(|(images, width, height, duration, resolution, sound, prompt)| {
            Values::from([
                ("num_images".to_owned(), images.into()),
                ("width".to_owned(), width.into()),
                ("height".to_owned(), height.into()),
                ("duration".to_owned(), duration.into()),
                ("resolution".to_owned(), resolution.into()),
                ("sound".to_owned(), sound.into()),
                ("prompt".to_owned(), prompt.into()),
            ])
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What is unknown at first can turn out in any way: the cost stays within the first range.
    #[test]
    fn a_range_holds_whatever_the_input_turns_out_to_be(
        lines in prop::collection::vec(line(), 1..4), whole in whole_input(), known in any::<u8>(),
    ) {
        let price = offer(&lines.join(", ")).price;
        let partial: Values = whole.iter().enumerate()
            .filter(|(place, _)| known & (1 << place) != 0)
            .map(|(_, (name, value))| (name.clone(), value.clone())).collect();
        let (range, exact) = (price.range(&partial), price.estimate(&whole));
        prop_assert!(range.contains(&exact), "{exact} is not in {range:?} of {partial:?}");
        prop_assert!(range.contains(&price.estimate(&partial)));
        prop_assert_eq!(price.range(&whole), exact..=exact);
    }

    #[test]
    fn more_never_costs_less(line in line(), whole in whole_input(), more in 0..5i64) {
        // Without tiers: a tier may well make the larger call cheaper.
        let flat = line.split("tiers").next().unwrap_or_default().to_owned() + "tiers = [] }";
        let price = offer(&flat).price;
        let mut larger = whole.clone();
        let images = whole["num_images"].as_integer().unwrap_or_default();
        larger.insert("num_images".to_owned(), (images + more).into());
        prop_assert!(price.estimate(&larger) >= price.estimate(&whole));
    }

    #[test]
    fn no_input_breaks_a_price(
        line in line(), names in prop::collection::vec("[a-z_]{1,10}", 0..3), number in any::<f64>(),
    ) {
        let price = offer(&line).price;
        let mut input: Values = names.into_iter().map(|name| (name, number.into())).collect();
        for name in ["num_images", "width", "height", "duration", "scale"] {
            input.insert(name.to_owned(), number.into());
        }
        prop_assert!(price.estimate(&input) >= Money::ZERO);
        prop_assert!(price.range(&input).contains(&price.estimate(&input)));
    }
}
