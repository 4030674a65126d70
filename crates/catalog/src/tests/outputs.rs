//! What is found in answers.

use impasto_domain::{AssetRef, Digest, MediaFacts, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{HEAD, PROVIDER, layer, shown};
use crate::{Catalog, FileSource, Outputs, Read};

const TASK: &str = r#"id = "make"
title = "Make"
description = "Makes."
[input.prompt]
type = "text"
[output.images]
type = "list<image>"
[output.audio]
type = "audio"
[output.seed]
type = "integer"
[output.text]
type = "text"
[output.length]
type = "number"
"#;

fn outputs(output: &str) -> Outputs {
    let model = format!(
        "{HEAD}\n[[offers]]\nprovider = \"paper\"\ntask = \"make\"\nendpoint = \"make\"\ntime = {{ fixed_ms = 10 }}\nprice = \"free\"\n[offers.input]\nprompt = {{}}\n[offers.output]\n{output}\n"
    );
    let files = [
        ("tasks/make.toml", TASK),
        ("providers/paper.toml", PROVIDER),
        ("models/acme/pencil.toml", &model),
    ];
    let loaded = Catalog::load(&[layer("test", &files)]).map_err(|found| shown(&found));
    loaded.unwrap().0.offers.values().next().unwrap().outputs.clone().unwrap()
}

fn read(output: &str, answer: &Json) -> Read {
    outputs(output).read(answer).unwrap()
}

#[test]
fn files_are_found_however_they_are_carried() {
    let urls = |output: &str, answer: Json| -> Vec<FileSource> {
        read(output, &answer).files.into_iter().map(|file| file.source).collect()
    };
    let url = |text: &str| FileSource::Url(text.to_owned());
    let listed = json!({"images": [{"url": "a"}, {"url": "b"}]});
    assert_eq!(urls("images = \"/images/*/url\"", listed.clone()), [url("a"), url("b")]);
    assert_eq!(urls("images = \"/images/*\"", listed), [url("a"), url("b")]);
    let either = "images = [\"/output/*\", \"/output\"]";
    assert_eq!(urls(either, json!({"output": "a"})), [url("a")]);
    assert_eq!(urls(either, json!({"output": ["a", "b"]})), [url("a"), url("b")]);
    let all = "images = { at = [\"/front\", \"/back\"], all = true }";
    assert_eq!(urls(all, json!({"front": "a", "back": "b"})), [url("a"), url("b")]);
    let base64 = "images = { at = \"/data/*/b64\", file = \"base64\" }";
    assert_eq!(
        urls(base64, json!({"data": [{"b64": "AA=="}]})),
        [FileSource::Base64("AA==".into())]
    );
    let hex = "audio = { at = \"/data/audio\", file = \"hex\" }";
    assert_eq!(urls(hex, json!({"data": {"audio": "00ff"}})), [FileSource::Hex("00ff".into())]);
    assert_eq!(urls("audio = \"body\"", Json::Null), [FileSource::Body]);
    assert!(outputs("audio = \"body\"").is_whole_body());
}

#[test]
fn values_are_taken_if_they_are_what_the_task_says() {
    let output = "images = \"/images\"\nseed = \"/seed\"\nlength = { at = \"/ms\", times = 0.001 }\ntext = \"/text\"";
    let answer = json!({"images": [], "seed": "no number", "ms": 1500, "text": "said"});
    let error = outputs(output).read(&answer).unwrap_err();
    assert!(error.message.contains("`images` is not a file"), "{}", error.message);
    let error = outputs(output).read(&json!({"text": "said"})).unwrap_err();
    assert!(error.message.contains("nothing at `images`"), "{}", error.message);
    let answer = json!({"images": "a", "seed": "no number", "ms": 1500, "text": "said"});
    let values = read(output, &answer).values;
    assert_eq!(values.get("seed"), None);
    assert_eq!(values["length"], Value::from(1.5));
    assert_eq!(values["text"], Value::from("said"));
}

#[test]
fn a_hostile_answer_is_an_error_and_never_a_panic() {
    let output = "images = \"/images/*/url\"\nseed = \"/seed\"";
    for answer in
        [json!(null), json!([]), json!({"images": [{"url": 4}]}), json!({"images": {"url": {}}})]
    {
        assert!(outputs(output).read(&answer).is_err(), "{answer}");
    }
    let many: Vec<Json> = (0..1000).map(|n| json!({"url": n.to_string()})).collect();
    assert!(outputs(output).read(&json!({"images": many})).is_err());
}

#[test]
fn fetched_files_become_the_output() {
    let asset = |name: &str| AssetRef {
        digest: Digest::of(name.as_bytes()),
        media_type: "image/png".into(),
        facts: MediaFacts::default(),
    };
    let answer = json!({"images": [{"url": "a"}, {"url": "b"}], "seed": 7});
    let read = read("images = \"/images/*/url\"\nseed = \"/seed\"", &answer);
    let values = read.into_values(vec![asset("a"), asset("b")]);
    assert_eq!(values["seed"], Value::from(7));
    assert_eq!(values["images"].as_list().map(<[Value]>::len), Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_ending_chooses_and_never_loses_all(names in prop::collection::vec("[a-z]{1,4}\\.(GLB|glb|png|zip)(\\?[a-z.]{0,5})?", 1..6)) {
        let urls: Vec<Json> = names.iter().map(|name| json!({"url": format!("https://x/{name}")})).collect();
        let answer = json!({ "list": urls });
        let read = read("images = { at = \"/list/*\", ending = \".glb\" }", &answer);
        let wanted = |name: &&String| name.split('?').next().unwrap().to_lowercase().ends_with(".glb");
        let ending = names.iter().filter(wanted).count();
        prop_assert_eq!(read.files.len(), if ending == 0 { names.len() } else { ending });
    }
}
