//! Prices as they are found in public price lists, each against a figure worked out by hand.

use impasto_domain::{AssetRef, Digest, MediaFacts, Money, Value, Values};

use super::{HEAD, PROVIDER, layer};
use crate::{BilledOn, Catalog, Measured, Meter, Offer, Price, Seen, Unit};

const TASK: &str = r#"id = "make"
title = "Make"
description = "Makes."
[input.prompt]
type = "text"
max_chars = 5000
[input.images]
type = "list<image>"
max = 16
[input.video]
type = "video"
[input.num_images]
type = "integer"
default = 1
min = 1
max = 4
[input.width]
type = "integer"
min = 64
max = 4096
[input.height]
type = "integer"
min = 64
max = 4096
[input.duration]
type = "number"
default = 5
min = 1
max = 600
[input.num_frames]
type = "integer"
[input.resolution]
type = "text"
values = ["480p", "720p", "1080p", "4k"]
[input.aspect_ratio]
type = "text"
[input.quality]
type = "text"
values = ["low", "medium", "high"]
[input.generate_audio]
type = "boolean"
[input.texture]
type = "boolean"
[input.train_steps]
type = "integer"
[input.options]
type = "json"
[output.image]
type = "image"
"#;

/// An offer with that price; `extra` are further keys of it.
fn offer(price: &str, extra: &str) -> Offer {
    let input = "[offers.input]\nprompt = {}\nimages = {}\nvideo = {}\nnum_images = {}\nwidth = {}\nheight = {}\nduration = {}\nnum_frames = {}\nresolution = {}\naspect_ratio = {}\nquality = {}\ngenerate_audio = {}\ntexture = {}\ntrain_steps = {}\ntier = { type = \"text\", values = [\"Regular\", \"Extreme\"], default = \"Regular\" }\naddons = { type = \"list<text>\" }\nservice_tier = { type = \"text\" }";
    let model = format!(
        "{HEAD}\n[[offers]]\nprovider = \"paper\"\ntask = \"make\"\nendpoint = \"make\"\ntime = {{ fixed_ms = 10 }}\nprice = {{ as_of = \"2026-11-01\", source = \"page\", {price} }}\n{extra}\n{input}\n"
    );
    let files = [
        ("tasks/make.toml", TASK),
        ("providers/paper.toml", PROVIDER),
        ("models/acme/pencil.toml", &model),
    ];
    let loaded = Catalog::load(&[layer("test", &files)]);
    let (catalog, _) = loaded.map_err(|findings| super::shown(&findings)).unwrap();
    catalog.offers.values().next().unwrap().clone()
}

fn price(price: &str, extra: &str) -> Price {
    offer(price, extra).price
}

fn media(media_type: &str, width: u32, height: u32, ms: u64) -> AssetRef {
    let facts = MediaFacts {
        width: Some(width),
        height: Some(height),
        duration_ms: (ms > 0).then_some(ms),
        fps: (ms > 0).then_some(25.0),
        ..MediaFacts::default()
    };
    AssetRef { digest: Digest::of(media_type.as_bytes()), media_type: media_type.into(), facts }
}

fn values(json: &str) -> Values {
    let mut values: Values = serde_json::from_str(json).unwrap();
    if let Some(count) = values.remove("pictures").and_then(|count| count.as_integer()) {
        let picture = Value::from(media("image/png", 1024, 1024, 0));
        values.insert("images".to_owned(), vec![picture; count as usize].into());
    }
    if let Some(ms) = values.remove("video_ms").and_then(|ms| ms.as_integer()) {
        values.insert("video".to_owned(), media("video/mp4", 1280, 720, ms as u64).into());
    }
    values
}

/// Checks what a call costs, in micro-dollars.
fn check(lines: &str, extra: &str, input: &str, micros: i64) {
    let price = price(lines, extra);
    let input = values(input);
    assert_eq!(price.estimate(&input).as_micros(), micros, "{lines} of {input:?}");
    assert!(price.range(&input).contains(&Money::micros(micros)), "{lines} of {input:?}");
}

const TOKENS: &str =
    "assume = { frames = { \"480p 16:9\" = \"864x496\", \"720p 16:9\" = \"1280x720\" }, fps = 24 }";

#[test]
fn pictures() {
    check("lines = [{ per = \"image\", usd = 0.039 }]", "", r#"{"num_images": 3}"#, 117_000);
    let table = r#"lines = [{ per = "image", usd = 0.211, tiers = [
        { when = { quality = "low", width = 1024, height = 1536 }, usd = 0.005 },
        { when = { quality = "medium" }, usd = 0.053 },
    ] }]"#;
    check(table, "", r#"{"quality": "low", "width": 1024, "height": 1536}"#, 5_000);
    check(table, "", r#"{"quality": "high", "width": 1024, "height": 1024}"#, 211_000);
    // Each picture is rounded up to whole megapixels.
    let rounded = "lines = [{ per = \"megapixel\", usd = 0.025, round_up = true }]";
    check(rounded, "", r#"{"num_images": 2, "width": 1536, "height": 1024}"#, 100_000);
    // The first megapixel, and each further one, of what goes in and what comes out.
    let further = r#"lines = [{ per = "request", usd = 0.03 },
        { per = "total_megapixel", usd = 0.015, round_up = true, free = 1 }]"#;
    check(further, "", r#"{"width": 1024, "height": 1024, "pictures": 2}"#, 60_000);
    let inputs = "lines = [{ per = \"input_image\", usd = 0.04, free = 5 }]";
    check(inputs, "", r#"{"pictures": 7}"#, 80_000);
    check(inputs, "", r#"{"pictures": 3}"#, 0);
}

#[test]
fn seconds() {
    let by_sound = r#"lines = [{ per = "second", usd = 0.40, tiers = [
        { when = { resolution = "4k", generate_audio = true }, usd = 0.60 },
        { when = { resolution = ["720p", "1080p"], generate_audio = false }, usd = 0.20 },
    ] }]"#;
    check(
        by_sound,
        "",
        r#"{"duration": 8, "resolution": "1080p", "generate_audio": true}"#,
        3_200_000,
    );
    check(
        by_sound,
        "",
        r#"{"duration": 8, "resolution": "720p", "generate_audio": false}"#,
        1_600_000,
    );
    check(
        by_sound,
        "",
        r#"{"duration": 8, "resolution": "4k", "generate_audio": true}"#,
        4_800_000,
    );
    // A clip of five seconds has a price, and a longer one is charged as two.
    let clip = "lines = [{ per = \"second\", usd = 0.06, block = 5 }]";
    check(clip, "", r#"{"duration": 5}"#, 300_000);
    check(clip, "", r#"{"duration": 9}"#, 600_000);
    let base =
        "lines = [{ per = \"request\", usd = 1.40 }, { per = \"second\", usd = 0.28, free = 5 }]";
    check(base, "", r#"{"duration": 8}"#, 2_240_000);
    let free =
        "lines = [{ per = \"request\", usd = 0.20 }, { per = \"second\", usd = 0.005, free = 40 }]";
    check(free, "", r#"{"duration": 50}"#, 250_000);
    check(free, "", r#"{"duration": 30}"#, 200_000);
    let going_in = "lines = [{ per = \"input_second\", usd = 0.014, block = 5 }]";
    let limits = "assume = { input_second = { usual = 10, most = 60 } }";
    check(going_in, limits, r#"{"video_ms": 7200}"#, 140_000);
    check(
        "lines = [{ per = \"input_frame\", usd = 0.001 }]",
        "assume = { input_frame = { usual = 100, most = 9000 } }",
        r#"{"video_ms": 4000}"#,
        100_000,
    );
    check("lines = [{ per = \"minute\", usd = 8 }]", "", r#"{"duration": 90}"#, 12_000_000);
    check(
        "lines = [{ per = \"minute\", usd = 0.60, round_up = true }]",
        "",
        r#"{"duration": 61}"#,
        1_200_000,
    );
    check("lines = [{ per = \"second\", usd = 0.0000611 }]", "", r#"{"duration": 100}"#, 6_110);
    check(
        "minimum = 0.56, lines = [{ per = \"second\", usd = 0.15 }]",
        "",
        r#"{"duration": 2}"#,
        560_000,
    );
}

#[test]
fn tokens() {
    let video = "lines = [{ per = \"million_video_tokens\", usd = 14, tiers = [{ when = { resolution = \"4k\" }, usd = 8 }] }]";
    check(
        video,
        TOKENS,
        r#"{"duration": 5, "resolution": "720p", "aspect_ratio": "16:9"}"#,
        1_512_000,
    );
    // The frame that is really made is not the nominal one.
    check(
        video,
        TOKENS,
        r#"{"duration": 5, "resolution": "480p", "aspect_ratio": "16:9"}"#,
        703_080,
    );
    check(video, TOKENS, r#"{"duration": 1, "resolution": "4k"}"#, 1_555_200);
    let older = "lines = [{ per = \"million_video_tokens\", usd = 2.5 }]";
    check(older, TOKENS, r#"{"duration": 5, "width": 1920, "height": 1080}"#, 607_500);
    let megapixels = "lines = [{ per = \"video_megapixel\", usd = 0.0024 }]";
    check(megapixels, "", r#"{"width": 1280, "height": 720, "num_frames": 121}"#, 267_633);
    let text = format!(r#"{{"prompt": "{}"}}"#, "x".repeat(1500));
    check("lines = [{ per = \"thousand_characters\", usd = 0.06 }]", "", &text, 90_000);
    // What only the answer tells is assumed before and charged afterwards.
    let price = price(
        r#"lines = [{ per = "million_text_tokens_in", usd = 5 },
            { per = "million_image_tokens_in", usd = 8 }, { per = "million_image_tokens_out", usd = 30 }]"#,
        "assume = { million_image_tokens_in = { usual = 0.001, most = 0.02 }, million_image_tokens_out = { usual = 0.001, most = 0.01 } }",
    );
    let measured = Measured::from([
        (Unit::MillionTextTokensIn, 0.0001),
        (Unit::MillionImageTokensIn, 0.001),
        (Unit::MillionImageTokensOut, 0.001056),
    ]);
    let input = values(r#"{"prompt": "a red mug"}"#);
    assert_eq!(price.charge(&input, &measured), Money::micros(40_180));
    assert!(price.range(&input).contains(&Money::micros(40_180)));
}

#[test]
fn switches_and_machines() {
    let tiers = r#"lines = [{ per = "request", usd = 0.40, tiers = [{ when = { tier = "Extreme" }, usd = 0.80 }] },
        { per = "request", usd = 0.80, when = { addons = "HighPack" } }]"#;
    check(tiers, "", "{}", 400_000);
    check(tiers, "", r#"{"options": {"tier": "Extreme", "addons": ["HighPack"]}}"#, 1_600_000);
    let tripled = "multipliers = [{ when = { texture = true }, by = 3 }], lines = [{ per = \"request\", usd = 0.16 }]";
    check(tripled, "", r#"{"texture": true}"#, 480_000);
    check(tripled, "", r#"{"texture": false}"#, 160_000);
    let halved = "multipliers = [{ when = { service_tier = \"batch\" }, by = 0.5 }], lines = [{ per = \"image\", usd = 0.039 }]";
    check(halved, "", r#"{"num_images": 1, "options": {"service_tier": "batch"}}"#, 19_500);
    check(
        "lines = [{ per = \"step\", usd = 0.0064 }]",
        "assume = { step = { usual = 1000, most = 9000 } }",
        r#"{"train_steps": 1000}"#,
        6_400_000,
    );
    let machine = price(
        "lines = [{ per = \"gpu_second\", usd = 0.000975 }]",
        "assume = { gpu_second = { usual = 5, most = 60 } }",
    );
    assert_eq!(
        machine.charge(&Values::new(), &Measured::from([(Unit::GpuSecond, 3.2)])),
        Money::micros(3_120)
    );
    check(
        "lines = [{ per = \"session_second\", usd = 0.01 }]",
        "assume = { session_second = { usual = 120, most = 3600 } }",
        "{}",
        1_200_000,
    );
    // Money of a provider's own, and of another country.
    check(
        "credits_per_usd = 1250, lines = [{ per = \"request\", credits = 1580 }]",
        "",
        "{}",
        1_264_000,
    );
    check(
        "credits_per_usd = 7, lines = [{ per = \"million_video_tokens\", credits = 46 }]",
        TOKENS,
        r#"{"duration": 5, "resolution": "720p"}"#,
        709_715,
    );
    let always = price("billed_on = \"always\", lines = [{ per = \"request\", usd = 0.02 }]", "");
    assert_eq!(always.billed_on, BilledOn::Always);
}

#[test]
fn what_nobody_knows_is_said_to_be_unknown() {
    let offer = super::one("price = \"unknown\"").unwrap();
    let price = &offer.offers.values().next().unwrap().price;
    assert!(!price.known && !price.is_free());
    assert_eq!(price.describe(), "not known");
}

/// Checks what a call cost by what its answer counted, in micro-dollars.
fn check_counted(lines: &str, meters: (&str, &str), told: &str, micros: Option<i64>) {
    let offer = offer(lines, meters.1);
    let mut provider = Catalog::embedded().unwrap().providers.values().next().unwrap().clone();
    provider.count = toml::from_str::<Meters>(meters.0).unwrap().count;
    let header = |name: &str| (name == "x-counted").then(|| told.to_owned());
    let body = serde_json::json!({ "usage": { "seconds": 8 } });
    let seen = Seen { status: 200, header: &header, body: &body };
    let counted = offer.counted(&provider, &seen);
    assert_eq!(counted, micros.map(Money::micros), "{lines} {meters:?} {told}");
}

#[derive(serde::Deserialize)]
struct Meters {
    count: Option<Meter>,
}

#[test]
fn what_the_provider_counts_settles_a_plain_price() {
    let header = "count = { header = \"X-Counted\" }";
    let any = (header, "count = { unit = \"second\" }");
    let second = "lines = [{ per = \"second\", usd = 0.1 }]";
    check_counted(second, any, "5.5", Some(550_000));
    for silent in ["", "five", "-1", "0", "inf", "NaN"] {
        check_counted(second, any, silent, None);
    }
    check_counted(second, ("", ""), "5.5", None);
    // However far it is from what was expected,
    check_counted(second, any, "160", Some(16_000_000));
    check_counted(second, any, "0.1", Some(10_000));
    // and not, however near, where it counts something else or nobody knows what it counts.
    check_counted(second, (header, ""), "4", None);
    check_counted(second, (header, "count = { unit = \"request\" }"), "4", None);
    check_counted(second, (header, "count = { unit = \"input_second\" }"), "4", None);
    // Only one plain line leaves no doubt.
    for doubtful in [
        "lines = [{ per = \"second\", usd = 0.1, tiers = [{ when = { resolution = \"4k\" }, usd = 0.3 }] }]",
        "lines = [{ per = \"second\", usd = 0.1 }, { per = \"request\", usd = 0.1 }]",
        "lines = [{ per = \"second\", usd = 0.1, free = 1 }]",
        "lines = [{ per = \"second\", usd = 0.1, when = { texture = true } }]",
        "multipliers = [{ when = { texture = true }, by = 3 }], lines = [{ per = \"second\", usd = 0.1 }]",
    ] {
        check_counted(doubtful, any, "5.5", None);
    }
    // Credits: one for a character, or half a one, as the offer says.
    let speech = "lines = [{ per = \"thousand_characters\", usd = 0.08 }]";
    let credits =
        "count = { header = \"x-counted\", unit = \"thousand_characters\", each = 0.001 }";
    let halves = "count = { header = \"x-counted\", unit = \"thousand_characters\", each = 0.002 }";
    check_counted(speech, (credits, ""), "5000", Some(400_000));
    check_counted(speech, (credits, halves), "2500", Some(400_000));
    check_counted(second, (credits, ""), "5000", None);
    let inside = "count = { at = \"/usage/seconds\", unit = \"second\" }";
    check_counted(second, (inside, ""), "", Some(800_000));
}

#[test]
fn a_count_is_in_one_place() {
    for bad in ["{}", "{ header = \"a\", at = \"/b\" }", "{ header = \"a\", each = 0 }"] {
        let price = format!("price = \"unknown\"\ncount = {bad}");
        assert!(super::one(&price).is_err(), "{bad}");
    }
    assert!(
        super::one("price = \"unknown\"\ncount = { header = \"a\", unit = \"smile\" }").is_err()
    );
}
