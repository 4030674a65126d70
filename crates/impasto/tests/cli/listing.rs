//! What there is: tasks, models, plans, completions; and that machines can read it.

use crate::harness::{Place, repository_text};

#[test]
fn models_and_tasks_are_listed_for_people_and_machines() {
    let place = Place::new();
    assert!(place.succeed(&["tasks"]).stdout.contains("text-to-image"));
    assert!(place.succeed(&["tasks", "stitch-video"]).stdout.contains("transition_duration"));
    let models = place.succeed(&["models", "--task", "text-to-image", "--json"]).json();
    let models = models.as_array().unwrap();
    assert!(models.len() > 50, "{}", models.len());
    for model in models.iter().take(2) {
        let shown = place.succeed(&["models", "show", model["id"].as_str().unwrap()]);
        assert!(shown.stdout.contains("licence") && shown.stdout.contains("text-to-image"));
    }
    place.refuse(&["models", "show", "no-such-model"], &["no-such-model"]);
    place.refuse(&["models", "--task", "text-to-imag"], &["did you mean"]);
}

#[test]
fn models_are_searched_sorted_and_told_what_they_lack() {
    let place = Place::new();
    let listed = |words: &[&str]| -> Vec<serde_json::Value> {
        let words: Vec<&str> = ["models", "--json"].iter().chain(words).copied().collect();
        place.succeed(&words).json().as_array().unwrap().clone()
    };
    let all = listed(&["--all"]);
    let served = listed(&[]);
    assert!(served.len() >= 300 && all.len() > served.len());
    let frames = listed(&["--task", "image-to-video", "--can", "last_frame"]);
    assert!(!frames.is_empty() && frames.len() < served.len());
    place.refuse(&["models", "--can", "last_fram"], &["did you mean `last_frame`"]);
    let retired = all.iter().find(|model| {
        model["lifecycle"]["status"] == "retired" && !model["lifecycle"]["replacement"].is_null()
    });
    let retired = retired.unwrap();
    let (id, next) = (&retired["id"], &retired["lifecycle"]["replacement"]);
    let (id, next) = (id.as_str().unwrap(), next.as_str().unwrap());
    let shown = place.succeed(&["models", "show", id]).stdout;
    assert!(shown.contains("retired") && shown.contains(next), "{shown}");
    let asked = ["generate", "text-to-image", "a mug", "--model", id];
    place.refuse(&asked, &["is retired", next]);
    let hosted = served.iter().find(|model| {
        model["tasks"].as_array().is_some_and(|tasks| tasks.contains(&"text-to-image".into()))
            && model["company"] != "impasto"
    });
    let hosted = hosted.unwrap()["id"].as_str().unwrap();
    let shown = place.succeed(&["models", "show", hosted]).stdout;
    assert!(shown.contains("no driver for") || shown.contains("set "), "{shown}");
}

#[test]
fn every_offer_names_an_operation_of_this_program() {
    let catalog = impasto_catalog::Catalog::embedded().unwrap();
    let tools = impasto_media::operations();
    let sketches = impasto_studio::operations();
    for offer in catalog.offers.values() {
        let provider = catalog.provider(&offer.provider).unwrap();
        if !provider.is_local() {
            continue;
        }
        let dialect = &provider.dialect;
        let operations = if dialect == "tools" { &tools } else { &sketches };
        assert!(
            operations.iter().any(|operation| operation.name == offer.endpoint),
            "{}",
            offer.id
        );
    }
}

#[test]
fn a_plan_says_what_would_be_done_and_does_nothing() {
    let place = Place::new();
    let film = repository_text("workflows/product-film.yaml");
    let plan = place.succeed(&["plan", &film, "--json"]).json();
    let steps = plan["steps"].as_array().unwrap();
    let background = steps.iter().find(|step| step["name"] == "background").unwrap();
    assert_eq!(background["instances"], 9);
    assert!(
        background["decision"]["ranked"][0]["reason"].as_str().is_some_and(|why| !why.is_empty())
    );
    assert_eq!(plan["missing"], serde_json::json!(["photo", "product"]));
    assert_eq!(place.succeed(&["runs", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn a_model_is_shown_with_all_that_is_known_of_it() {
    let place = Place::new();
    let shown = place.succeed(&["models", "show", "veo-3.1"]).stdout;
    for fact in [
        "training data",
        "licence",
        "can            first_frame, last_frame, native_audio",
        "longest        8 s",
        "largest        4k",
        "references     up to 3 pictures",
        "on Artificial Analysis",
        "usual call",
        "fal-ai/veo3.1/reference-to-video",
    ] {
        assert!(shown.contains(fact), "{fact} in {shown}");
    }
    // A time that somebody measured is told from one that such work usually takes.
    let shown = place.succeed(&["models", "show", "flux-2-pro"]).stdout;
    let row = shown.lines().find(|line| line.contains(" fal-ai/flux-2-pro ")).unwrap();
    assert!(row.contains(" 10.4 s "), "{row}");
    let told = place.succeed(&["--json", "models", "show", "flux-2-pro"]).json();
    let offers = told["offers"].as_array().unwrap();
    assert!(offers.iter().any(|offer| offer["time"]["source"].is_string()), "{told}");
    let gone = place.succeed(&["models", "show", "veo-2"]).stdout;
    assert!(gone.contains("is retired since 2026-06-30; use `veo-3.1`"), "{gone}");
    assert!(
        gone.lines().filter(|line| line.contains("fal-ai/veo2")).all(|row| row.contains("retired"))
    );
    let gone = place.run(&["models", "show", "sora"]);
    assert!(gone.stderr.contains("did you mean `sora-2`"), "{}", gone.stderr);
}

#[test]
fn a_folder_of_the_users_lies_on_top() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("mine/models/acme")).unwrap();
    place.write("mine/models/acme/broken.toml", "id = \"broken\"\ncolour = 3\n");
    let folder = place.path("mine").to_string_lossy().into_owned();
    place.refuse(&["models", "--catalog", &folder], &["broken.toml:2:1", "colour"]);
}

#[test]
fn vague_prompts_are_told_what_they_lack() {
    let place = Place::new();
    let answer = place.succeed(&["lint", "--prompt", "a nice mug"]);
    assert!(answer.stderr.contains("light") && answer.stderr.contains("for instance"));
    let strict = place.run(&["lint", "--strict", "--prompt", "a nice mug"]);
    assert_eq!(strict.code, 1);
    place.succeed(&["lint", &repository_text("workflows/product-film.yaml")]);
}

#[test]
fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(Place::new().succeed(&["completions", shell]).stdout.contains("impasto"));
    }
}
