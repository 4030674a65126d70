//! A server keeps up with its catalogue by itself, and what it publishes can be imported.

use std::time::{Duration, Instant};

use impasto_catalog::{Catalog, Layer};
use impasto_domain::Values;
use serde_json::json;

use crate::client::{PATIENCE, get, post};
use crate::harness::{Place, Setup};

/// A provider of the test: another Impasto, by one of its faces.
const OTHER: &str = r#"id = "other-house"
title = "Another house"
description = "Another Impasto."
dialect = "replicate"
concurrency = 4
files = "url"
[base]
default = { env = ["OTHER_HOUSE_URL"] }
"#;

fn wait(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "it took too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_server_publishes_of_a_model_is_imported_as_it_is_and_seen_without_a_restart() {
    let place = Place::new(Setup::default());
    let server = place.serve();
    let settings = format!(
        "[network]\ntrusted_hosts = [\"{}\"]\n[catalog]\nwatch_every_ms = 30\n",
        server.address
    );
    std::fs::write(place.path("impasto.toml"), settings).unwrap();
    std::fs::write(place.path("catalog/providers/other-house.toml"), OTHER).unwrap();
    let second = place.serve();
    let embedded = Catalog::embedded().unwrap();
    let known = embedded
        .offers
        .values()
        .find(|offer| offer.provider.as_str() == "studio" && offer.task.as_str() == "text-to-image")
        .unwrap();
    let name = format!("text-to-image/{}", known.model);
    let url = format!("http://{}/replicate/v1/models/{name}", server.address);
    let import = [
        "models",
        "import",
        &url,
        "--provider",
        "other-house",
        "--endpoint",
        &name,
        "--task",
        "text-to-image",
        "--model",
        "borrowed",
        "--company",
        "acme",
    ];
    let told = place.run(&import);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    wait(|| get(second.address, "/replicate/v1/models/text-to-image/borrowed").status == 200);

    // The request is the catalogue's, in the envelope of that protocol.
    let text = |path: &str| std::fs::read_to_string(place.path(path)).unwrap();
    let files = [
        ("providers/other-house.toml", OTHER.to_owned()),
        ("models/acme/borrowed.toml", text("catalog/models/acme/borrowed.toml")),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text)).to_vec();
    let own = Layer { name: "own".to_owned(), files };
    let (catalog, _) = Catalog::load(&[Layer::embedded(), own]).unwrap();
    let borrowed =
        catalog.offers.values().find(|offer| offer.model.as_str() == "borrowed").unwrap();
    let task = &catalog.tasks[&borrowed.task];
    for input in [
        json!({"prompt": "a mug"}),
        json!({"prompt": "a mug", "seed": 7, "num_images": 3, "aspect_ratio": "16:9"}),
        json!({"prompt": {"subject": "a mug"}, "width": 640, "height": 480}),
    ] {
        let input: Values = serde_json::from_value(input).unwrap();
        let input = task.admit(input).unwrap();
        let ours = known.request(&input).body.plain().unwrap();
        let theirs = borrowed.request(&input).body.plain().unwrap();
        assert_eq!(theirs, json!({"input": ours}));
        assert_eq!(borrowed.problems(task, &input), [] as [&str; 0]);
    }

    // A broken file changes nothing, and the log says what is wrong with it.
    std::fs::write(place.path("catalog/models/acme/broken.toml"), "id = \"other\"\n").unwrap();
    wait(|| second.log().contains("the catalogue stays as it was"));
    assert!(second.log().contains("models/acme/broken.toml"), "{}", second.log());
    assert_eq!(get(second.address, "/replicate/v1/models/text-to-image/borrowed").status, 200);
    std::fs::remove_file(place.path("catalog/models/acme/broken.toml")).unwrap();
    std::fs::remove_file(place.path("catalog/models/acme/borrowed.toml")).unwrap();
    wait(|| get(second.address, "/replicate/v1/models/text-to-image/borrowed").status == 404);
}

#[test]
fn a_model_that_is_gone_says_what_came_after_it() {
    let place = Place::new(Setup::default());
    let server = place.serve();
    for model in ["veo-2", "fal-ai/veo2"] {
        let input = json!({ "prompt": "a red mug" });
        let body = json!({ "task": "text-to-video", "model": model, "input": input });
        let reply = post(server.address, "/v1/runs", &[], &body);
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{}", reply.text());
        assert!(reply.text().contains("the model `veo-2` is retired since 2026-06-30"));
        assert!(reply.text().contains("use `veo-3.1`"), "{}", reply.text());
    }
}
