//! What each verb of the table `input` does, and what holds for all of them.

use impasto_domain::{AssetRef, Digest, MediaFacts, Task, Value, Values};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{HEAD, PROVIDER, layer, shown};
use crate::{Catalog, MaskForm, Offer, Request};

const TASK: &str = r#"id = "make"
title = "Make"
description = "Makes."
[input.prompt]
type = "text"
[input.images]
type = "list<image>"
max = 9
[input.image]
type = "image"
[input.duration]
type = "number"
default = 4
min = 1
max = 60
[input.seed]
type = "integer"
[input.style]
type = "text"
values = ["photo", "drawing", "paint"]
[input.voice]
type = "text"
default = "default"
[input.width]
type = "integer"
[input.height]
type = "integer"
[input.aspect_ratio]
type = "text"
[input.resolution]
type = "text"
[input.options]
type = "json"
[input.passthrough]
type = "json"
[output.image]
type = "image"
"#;

fn load(keys: &str, input: &str) -> Result<(Offer, Task), String> {
    let model = format!(
        "{HEAD}\n[[offers]]\nprovider = \"paper\"\ntask = \"make\"\nendpoint = \"make\"\ntime = {{ fixed_ms = 10 }}\nprice = \"free\"\n{keys}\n[offers.input]\n{input}\n"
    );
    let files = [
        ("tasks/make.toml", TASK),
        ("providers/paper.toml", PROVIDER),
        ("models/acme/pencil.toml", &model),
    ];
    let (catalog, _) = Catalog::load(&[layer("test", &files)]).map_err(|found| shown(&found))?;
    let offer = catalog.offers.values().next().cloned();
    Ok((offer.ok_or("no offer")?, catalog.tasks[&"make".into()].clone()))
}

fn offer(keys: &str, input: &str) -> Offer {
    load(keys, input).unwrap().0
}

fn picture(name: &str) -> AssetRef {
    AssetRef {
        digest: Digest::of(name.as_bytes()),
        media_type: "image/png".into(),
        facts: MediaFacts::default(),
    }
}

/// The body as JSON, a file being the beginning of its digest.
fn json_of(request: &Request) -> Json {
    let written = request.body.resolve::<()>(&mut |file| Ok(json!(file.asset.digest.short())));
    written.unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "what is given is written where it is given")]
fn sent(keys: &str, input: &str, values: Values) -> Json {
    json_of(&offer(keys, input).request(&values))
}

/// Checks what an endpoint is told for an input.
#[expect(clippy::needless_pass_by_value, reason = "what is given is written where it is given")]
fn check(keys: &str, input: &str, given: Json, expected: Json) {
    let values: Values = serde_json::from_value(given.clone()).unwrap();
    assert_eq!(sent(keys, input, values), expected, "{keys} {input} of {given}");
}

#[test]
fn an_input_goes_where_it_is_told_to() {
    check("", "prompt = {}", json!({"prompt": "a", "seed": 3}), json!({"prompt": "a"}));
    check("", "prompt = \"text\"", json!({"prompt": "a"}), json!({"text": "a"}));
    check(
        "",
        "prompt = \"/input/prompt\"",
        json!({"prompt": "a"}),
        json!({"input": {"prompt": "a"}}),
    );
    check(
        "",
        "prompt = \"/instances/0/prompt\"",
        json!({"prompt": "a"}),
        json!({"instances": [{"prompt": "a"}]}),
    );
    let request = offer("", "voice = \"{voice}\"\nstyle = \"?style\"\nprompt = {}").request(
        &serde_json::from_value(json!({"voice": "x", "style": "photo", "prompt": "a"})).unwrap(),
    );
    assert_eq!(request.path["voice"], "x");
    assert_eq!(request.query["style"], "photo");
    assert_eq!(json_of(&request), json!({"prompt": "a"}));
}

#[test]
fn values_are_changed_in_one_order() {
    check("", "style = { enum = { photo = 3 } }", json!({"style": "photo"}), json!({"style": 3}));
    check(
        "",
        "duration = { snap = [5, 10], as = \"text\", suffix = \"s\" }",
        json!({"duration": 7.5}),
        json!({"duration": "10s"}),
    );
    check(
        "",
        "duration = { times = 1000, as = \"integer\", to = \"ms\" }",
        json!({"duration": 1.5}),
        json!({"ms": 1500}),
    );
    check("", "seed = { clamp = { max = 100 } }", json!({"seed": 101}), json!({"seed": 100}));
    check(
        "",
        "seed = { as = \"text\", prefix = \"#\" }",
        json!({"seed": 7}),
        json!({"seed": "#7"}),
    );
    check("", "prompt = { list = true }", json!({"prompt": "a"}), json!({"prompt": ["a"]}));
    check(
        "",
        "prompt = { to = \"/content/-\", wrap = { type = \"text\", text = \"$\" } }",
        json!({"prompt": "a"}),
        json!({"content": [{"type": "text", "text": "a"}]}),
    );
}

#[test]
fn files_stay_files_until_they_are_handed_over() {
    let (a, b) = (picture("a"), picture("b"));
    let both =
        || Values::from([("images".to_owned(), vec![a.clone().into(), b.clone().into()].into())]);
    let [a, b] = [&a, &b].map(|picture| json!(picture.digest.short()));
    assert_eq!(sent("", "images = \"image_urls\"", both()), json!({"image_urls": [a, b]}));
    assert_eq!(
        sent("", "images = { to = \"image_url\", first = true }", both()),
        json!({"image_url": a})
    );
    assert_eq!(
        sent("", "images = { to = [\"one\", \"two\", \"three\"] }", both()),
        json!({"one": a, "two": b})
    );
    let wrapped = "images = { to = \"/parts/-\", wrap = { data = \"$\", mime = \"$type\" } }";
    let part = |data: &Json| json!({"data": data, "mime": "image/png"});
    assert_eq!(sent("", wrapped, both()), json!({"parts": [part(&a), part(&b)]}));
    let forms = offer("", "images = { file = \"base64\" }").request(&both());
    assert!(forms.body.files().iter().all(|file| file.form == crate::FileForm::Base64));
}

#[test]
fn a_size_is_made_of_what_is_said_of_it() {
    let names = "size = { to = \"image_size\", names = { \"16:9\" = \"landscape\", \"1:1\" = \"square\" }, object = true }";
    let (prompt, size) = ("prompt = {}", |size: Json| json!({"image_size": size}));
    check(names, prompt, json!({"aspect_ratio": "16:9"}), size(json!("landscape")));
    check(
        names,
        prompt,
        json!({"width": 800, "height": 600}),
        size(json!({"width": 800, "height": 600})),
    );
    check(
        names,
        prompt,
        json!({"aspect_ratio": "2:1"}),
        size(json!({"width": 1448, "height": 724})),
    );
    check(names, prompt, json!({}), json!({}));
    let known = "size = { to = \"size\", sizes = [\"1024x1024\", \"1536x1024\", \"1024x1536\"] }";
    check(known, prompt, json!({"aspect_ratio": "3:2"}), json!({"size": "1536x1024"}));
    check(known, prompt, json!({"aspect_ratio": "9:16"}), json!({"size": "1024x1536"}));
    let ratio = "size = { to = \"ratio\", sizes = [\"1280x720\", \"1920x1080\", \"720x1280\"], separator = \":\" }";
    check(
        ratio,
        prompt,
        json!({"aspect_ratio": "16:9", "resolution": "1080p"}),
        json!({"ratio": "1920:1080"}),
    );
    let sides = "size = { width = \"w\", height = \"h\", multiple = 32 }";
    check(
        sides,
        prompt,
        json!({"aspect_ratio": "1:1", "resolution": "720p"}),
        json!({"w": 736, "h": 736}),
    );
    let (offer, task) = load(known, prompt).unwrap();
    let exact = serde_json::from_value(json!({"width": 640, "height": 480})).unwrap();
    let problems = offer.problems(&task, &exact);
    assert_eq!(
        problems,
        ["here the size cannot be 640x480; it can be 1024x1024, 1536x1024, 1024x1536"]
    );
}

#[test]
fn constants_and_defaults_are_said_where_they_belong() {
    let keys = "const = { model = \"x\", \"/config/n\" = 1 }\ndefault = { seed = 7, \"?format\" = \"mp3\" }";
    let offer = offer(keys, "seed = {}\nprompt = {}");
    let request = |given: Json| offer.request(&serde_json::from_value(given).unwrap());
    let fixed = json!({"model": "x", "config": {"n": 1}, "seed": 7});
    assert_eq!(json_of(&request(json!({}))), fixed);
    assert_eq!(request(json!({})).query["format"], "mp3");
    assert_eq!(json_of(&request(json!({"seed": 2})))["seed"], 2);
    let passed = request(json!({"passthrough": {"model": "y", "/config/extra": true, "seed": 9}}));
    let expected = json!({"model": "x", "config": {"n": 1, "extra": true}, "seed": 9});
    assert_eq!(json_of(&passed), expected);
}

#[test]
fn what_a_model_does_not_know_is_refused_and_what_it_has_itself_is_taken() {
    let own = "prompt = {}\nacceleration = { type = \"text\", values = [\"none\", \"high\"], to = \"accel\" }\nteeth = { type = \"integer\", required = true }";
    let (offer, task) = load("", own).unwrap();
    let problems = |given: Json| offer.problems(&task, &serde_json::from_value(given).unwrap());
    let good = json!({"prompt": "a", "options": {"acceleration": "high", "teeth": 32}});
    assert_eq!(problems(good.clone()), [] as [&str; 0]);
    let sent = json_of(&offer.request(&serde_json::from_value(good).unwrap()));
    assert_eq!(sent, json!({"prompt": "a", "accel": "high", "teeth": 32}));
    let bad = problems(json!({"seed": 4, "options": {"aceleration": "high", "teeth": "many"}}));
    insta::assert_snapshot!(bad.join("\n"), @r"
    it does not take `seed`
    it has no parameter `aceleration`; did you mean `acceleration`?; `passthrough` sends it as it is
    here `teeth` needs integer, but was given text
    ");
    assert_eq!(problems(json!({"options": {}})), ["it needs the parameter `teeth`"]);
}

#[test]
fn a_default_that_is_not_taken_counts_as_nothing_said() {
    let (offer, task) = load(
        "",
        "duration = { snap = [5, 10] }\nvoice = { values = [\"Ann\", \"Bob\"], required = true }",
    )
    .unwrap();
    let given: Values = serde_json::from_value(json!({"duration": 4, "voice": "default"})).unwrap();
    assert_eq!(json_of(&offer.request(&given)), json!({"duration": 5}));
    assert_eq!(offer.problems(&task, &given), ["it needs `voice`"]);
    let long: Values = serde_json::from_value(json!({"duration": 30, "voice": "Ann"})).unwrap();
    assert_eq!(
        offer.problems(&task, &long),
        ["here `duration` is 30, the most is 10 "].map(str::trim_end)
    );
}

#[test]
fn mistakes_are_told_where_they_are() {
    let said = load(
        "size = { sizes = [\"big\"] }",
        "promt = {}\nseed = { snap = [], colour = 1 }\nprompt = { type = \"text\", to = \"/a/*\" }",
    )
    .unwrap_err();
    insta::assert_snapshot!(said, @r#"
    error: this size goes nowhere
      --> models/acme/pencil.toml:16:8
       |
    16 | size = { sizes = ["big"] }
       |        ^^^^^^^^^^^^^^^^^^^
       = help: say where it goes: `to`, or `width` and `height`

    error: this is not a size such as 1024x1536
      --> models/acme/pencil.toml:16:19
       |
    16 | size = { sizes = ["big"] }
       |                   ^^^^^

    error: the task has no input `promt`
      --> models/acme/pencil.toml:18:1
       |
    18 | promt = {}
       | ^^^^^
       = help: did you mean `prompt`?; a parameter that the task does not have needs a `type`

    error: there is no step to snap to
      --> models/acme/pencil.toml:19:17
       |
    19 | seed = { snap = [], colour = 1 }
       |                 ^^

    error: an input of an offer has no key `colour`
      --> models/acme/pencil.toml:19:21
       |
    19 | seed = { snap = [], colour = 1 }
       |                     ^^^^^^
       = help: there are as, clamp, default, description, enum, file, first, list, mask, max, max_chars, min, prefix, required, snap, suffix, times, to, type, unsaid, values, wrap

    error: `prompt` is an input of the task, which says its type
      --> models/acme/pencil.toml:20:10
       |
    20 | prompt = { type = "text", to = "/a/*" }
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: nothing can be put at '/a/*'
      --> models/acme/pencil.toml:20:32
       |
    20 | prompt = { type = "text", to = "/a/*" }
       |                                ^^^^^^
    "#);
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![1.0..60.0f64, (1..60i32).prop_map(f64::from)]
}

fn steps() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::btree_set(1..60i64, 1..5).prop_map(|steps| steps.into_iter().collect())
}

fn one(input: &str, name: &str, value: Value) -> Json {
    sent("", input, Values::from([(name.to_owned(), value)]))
}

#[test]
fn inputs_go_into_a_template_and_the_rest_of_it_stays() {
    let template = "template = '{\"prompt\": {\"6\": {\"inputs\": {\"text\": \"\", \"clip\": [\"4\", 1]}}, \"9\": 1.5}}'";
    check(
        template,
        "prompt = \"/prompt/6/inputs/text\"\nseed = \"/prompt/6/inputs/seed\"",
        json!({"prompt": "a", "seed": 3}),
        json!({"prompt": {"6": {"inputs": {"text": "a", "clip": ["4", 1], "seed": 3}}, "9": 1.5}}),
    );
    check(
        "template = { a = { b = true } }",
        "prompt = \"/a/c/0/d\"",
        json!({"prompt": "x"}),
        json!({"a": {"b": true, "c": [{"d": "x"}]}}),
    );
    for (bad, why) in [("template = '{'", "not JSON"), ("template = '[1]'", "an object")] {
        let told = load(bad, "prompt = {}").unwrap_err();
        assert!(told.contains(why), "{told}");
    }
    let told = load("map = {}\ntemplate = '{}'", "").unwrap_err();
    assert!(!told.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_template_is_there_unless_something_is_put_over_it(
        key in "[a-z]{1,6}", other in "[A-Z]{1,6}", kept in "[ -~&&[^'\\\\\"]]{0,12}", prompt in "[ -~]{0,12}",
    ) {
        let template = format!("template = '{}'", json!({"x": {&key: 1, &other: kept}}));
        let said = sent(&template, &format!("prompt = \"/x/{key}\""), Values::from([("prompt".to_owned(), prompt.as_str().into())]));
        prop_assert_eq!(said, json!({"x": {&key: prompt, &other: kept}}));
    }

    #[test]
    fn rename_moves_a_value_and_changes_nothing(prompt in "[ -~]{0,30}", to in "[a-z]{1,8}") {
        prop_assert_eq!(one(&format!("prompt = \"{to}\""), "prompt", prompt.as_str().into()), json!({to: prompt}));
    }

    #[test]
    fn enum_says_another_word_or_the_same(style in prop::sample::select(vec!["photo", "drawing", "paint"])) {
        let said = one("style = { enum = { photo = \"P\" } }", "style", style.into());
        prop_assert_eq!(&said["style"], if style == "photo" { "P" } else { style });
    }

    #[test]
    fn snap_takes_the_nearest_step_and_twice_is_once(number in number(), steps in steps()) {
        let input = format!("duration = {{ snap = {steps:?} }}");
        let snapped = one(&input, "duration", number.into())["duration"].as_f64().unwrap();
        let away = |step: &i64| (*step as f64 - number).abs();
        let nearest = steps.iter().map(away).fold(f64::INFINITY, f64::min);
        prop_assert!((away(&(snapped as i64)) - nearest).abs() < 1e-9);
        let again = one(&input, "duration", snapped.into())["duration"].as_f64().unwrap();
        prop_assert!((again - snapped).abs() < f64::EPSILON);
    }

    #[test]
    fn clamp_stays_within(seed in -500..500i64, least in -100..100i64, more in 0..100i64) {
        let input = format!("seed = {{ clamp = {{ min = {least}, max = {} }} }}", least + more);
        let clamped = one(&input, "seed", seed.into())["seed"].as_i64().unwrap();
        prop_assert!((least..=least + more).contains(&clamped));
        prop_assert!(clamped == seed || !(least..=least + more).contains(&seed));
    }

    #[test]
    fn times_and_as_change_the_unit_and_the_shape(number in number()) {
        let said = one("duration = { times = 1000, as = \"integer\" }", "duration", number.into());
        prop_assert_eq!(&said["duration"], &json!((number * 1000.0).round() as i64));
        let text = one("duration = { as = \"text\", suffix = \"s\" }", "duration", number.into());
        let text = text["duration"].as_str().unwrap().to_owned();
        prop_assert_eq!(text.trim_end_matches('s').parse::<f64>().unwrap(), number);
    }

    #[test]
    fn files_are_all_there_or_as_many_as_there_are_places(count in 1..9usize, places in 1..5usize) {
        let pictures: Vec<Value> = (0..count).map(|n| picture(&n.to_string()).into()).collect();
        let whole = offer("", "images = { list = true }").request(&Values::from([("images".to_owned(), pictures.clone().into())]));
        prop_assert_eq!(whole.body.files().len(), count);
        let to: Vec<String> = (0..places).map(|n| format!("p{n}")).collect();
        let spread = offer("", &format!("images = {{ to = {to:?} }}")).request(&Values::from([("images".to_owned(), pictures.clone().into())]));
        // One place takes the whole list.
        prop_assert_eq!(spread.body.files().len(), if places == 1 { count } else { count.min(places) });
        let first = offer("", "images = { first = true }").request(&Values::from([("images".to_owned(), pictures.into())]));
        prop_assert_eq!(first.body.files().len(), 1);
    }

    #[test]
    fn wrap_keeps_the_value(prompt in "[ -~]{0,30}") {
        let said = one("prompt = { wrap = { a = [\"$\"], b = \"B\" } }", "prompt", prompt.as_str().into());
        prop_assert_eq!(said, json!({"prompt": {"a": [prompt], "b": "B"}}));
    }

    #[test]
    fn a_size_has_the_shape_that_was_asked_for(across in 1..30u32, up in 1..30u32, multiple in prop::sample::select(vec![1u32, 8, 16, 64])) {
        let keys = format!("size = {{ width = \"w\", height = \"h\", multiple = {multiple}, megapixels = 4 }}");
        let given = Values::from([("aspect_ratio".to_owned(), format!("{across}:{up}").into())]);
        let said = sent(&keys, "prompt = {}", given);
        let (width, height) = (said["w"].as_u64().unwrap(), said["h"].as_u64().unwrap());
        prop_assert!(width % u64::from(multiple) == 0 && height % u64::from(multiple) == 0);
        let wanted = f64::from(across) / f64::from(up);
        prop_assert!((width as f64 / height as f64 / wanted).ln().abs() < 0.2, "{width}x{height} for {across}:{up}");
    }

    /// Whatever is passed through, what is always said is said.
    #[test]
    fn nothing_displaces_a_constant(place in "[a-z/~*?{}-]{0,8}", value in any::<i64>()) {
        let keys = "const = { model = \"x\" }";
        let passed = Values::from([(place, value.into()), ("model".to_owned(), value.into())]);
        let given = Values::from([("passthrough".to_owned(), passed.into())]);
        prop_assert_eq!(&sent(keys, "prompt = {}", given)["model"], "x");
    }
}

#[test]
fn a_mask_is_a_picture_in_one_of_three_forms() {
    let (offer, _) = load("", "image = { mask = \"transparent\" }\nimages = {}").unwrap();
    let found: Vec<_> = offer.map.other_masks().collect();
    assert_eq!(found, [("image", MaskForm::Transparent)]);
    let own = "outline = { type = \"image\", mask = \"black\" }";
    assert_eq!(load("", own).unwrap().0.map.other_masks().count(), 1);
    for (input, problem) in [
        ("image = { mask = \"grey\" }", "there is no form of a mask 'grey'"),
        ("images = { mask = \"black\" }", "only an input of type image is a mask"),
        ("style = { mask = \"black\" }", "only an input of type image is a mask"),
    ] {
        let told = load("", input).unwrap_err();
        assert!(told.contains(problem), "{input}: {told}");
    }
}
