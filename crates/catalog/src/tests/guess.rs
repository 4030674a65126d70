//! The task of an endpoint that the catalogue has never seen.

use serde_json::{Value as Json, json};

use super::import::{CATALOG, wish};
use super::published::published;
use crate::import::{Imported, import};
use crate::{Catalog, Offer};

/// The catalogue is large: so many offers are passed over for one that is looked at.
const EVERY: usize = 8;

/// What offers of one family share: the owner and the name of the app.
fn family(endpoint: &str) -> String {
    endpoint.split('/').take(2).collect::<Vec<_>>().join("/")
}

/// The catalogue as it was before the model and the family of the offer were in it.
fn before(offer: &Offer) -> Catalog {
    let mut catalog = CATALOG.clone();
    let own = family(&offer.endpoint);
    catalog.offers.retain(|_, other| other.model != offer.model && family(&other.endpoint) != own);
    catalog
}

/// Whether a call can be made with the inputs of the task.
fn is_whole(imported: &Imported) -> bool {
    !imported.warnings.iter().any(|warning| warning.contains("no call can be made"))
}

#[test]
fn an_endpoint_of_an_unknown_family_is_imported_without_being_asked_for_its_task() {
    let provider = &CATALOG.providers[&"fal".into()];
    let (mut right, mut whole, mut all, mut wrong) = (0, 0, 0, Vec::new());
    let offers = CATALOG.offers.values().filter(|offer| offer.provider == provider.id);
    for offer in offers.step_by(EVERY) {
        let Some(mut document) = published(offer) else { continue };
        let mut sorted = provider.categories.iter();
        let category = sorted.find(|(_, tasks)| tasks.contains(&offer.task)).map(|(word, _)| word);
        document["info"] = json!({ "x-fal-metadata": { "category": category } });
        let found = import(&document, &wish("fal", &offer.endpoint), &before(offer)).unwrap();
        all += 1;
        whole += usize::from(is_whole(&found));
        if found.task == offer.task {
            right += 1;
        } else {
            wrong.push(format!("{}: {} for {}", offer.endpoint, found.task, offer.task));
        }
    }
    println!("{right} of {all} are right, a call can be made of {whole}\n{}", wrong.join("\n"));
    assert!(all > 80 && right * 10 >= all * 9, "{right} of {all}: {wrong:?}");
    assert_eq!(whole, all, "every input that a task needs has a parameter");
}

/// A document of an endpoint with these parameters (a `!` says that one must be given) and this output.
fn document(category: &str, inputs: &[&str], output: &str) -> Json {
    let file = |name: &str| json!({"type": "string", "description": format!("URL of the {name}")});
    let mut properties = serde_json::Map::new();
    for name in inputs {
        let name = name.trim_end_matches('!');
        let schema = match name {
            name if name.ends_with("_url") => file(name),
            name if name.ends_with("_urls") => json!({"type": "array", "items": file(name)}),
            _ => json!({"type": "string"}),
        };
        properties.insert(name.to_owned(), schema);
    }
    let required = inputs.iter().filter_map(|name| name.strip_suffix('!'));
    json!({
        "info": {"x-vendor": {"category": category}},
        "input": {"type": "object", "properties": properties, "required": required.collect::<Vec<_>>()},
        "output": {"type": "object", "properties": {output: {"type": "object", "properties": {"url": {"type": "string"}}}}},
    })
}

#[track_caller]
fn check(endpoint: &str, document: &Json, task: &str, expected: &[(&str, &str)]) -> Imported {
    let found = import(document, &wish("fal", endpoint), &CATALOG).unwrap();
    assert_eq!(found.task.as_str(), task, "{endpoint}: {:?}", found.why);
    for (theirs, ours) in expected {
        let pair = ((*theirs).to_owned(), (*ours).to_owned());
        assert!(found.mapped.contains(&pair), "{endpoint}: {theirs} in {:?}", found.mapped);
    }
    assert!(is_whole(&found), "{endpoint}: {:?}", found.warnings);
    super::import::loaded(&found);
    found
}

#[test]
fn what_no_name_tells_is_told_by_the_category_the_words_and_the_kinds_of_things() {
    // Nothing but the category.
    let body = document("video-to-video", &["clip_url!", "wish!"], "result");
    check("acme/qux", &body, "edit-video", &[("clip_url", "video")]);
    // Nothing but words of the name.
    let body = document("", &["thing_url!"], "result");
    check("acme/qux/upscaler", &body, "upscale-image", &[("thing_url", "image")]);
    let body = document("", &["person_url!", "garment_picture_url!"], "out_image");
    let expected = [("person_url", "image"), ("garment_picture_url", "garment")];
    check("acme/qux/virtual-tryon", &body, "try-on-image", &expected);
    // Nothing but words of the description.
    let mut body = document("", &["sentence!", "mood"], "sound_file");
    body["description"] = json!("A fast text to speech model.");
    check("acme/qux", &body, "text-to-speech", &[("sentence", "text")]);
    // Only what goes in and comes out.
    let body = document("", &["words!"], "movie_video");
    let told = check("acme/qux", &body, "text-to-video", &[("words", "prompt")]);
    assert!(told.why.iter().any(|why| why == "it takes text and gives video"), "{:?}", told.why);
}

#[test]
fn a_guess_is_told_as_one_and_only_what_fits_nothing_is_asked_for() {
    let body = document("", &["a_image_url!", "words"], "image");
    let told = import(&body, &wish("fal", "acme/qux"), &CATALOG).unwrap();
    let doubt = told.warnings.iter().find(|warning| warning.contains("is a guess")).unwrap();
    assert!(doubt.contains("--task says which it is"), "{doubt}");
    assert!(doubt.contains("it takes image and text and gives image"), "{doubt}");
    let body = json!({
        "input": {"type": "object", "properties": {"q": {"type": "string"}}},
        "output": {"type": "object", "properties": {"wide": {"type": "integer"}, "high": {"type": "integer"}}},
    });
    let error = import(&body, &wish("fal", "acme/qux"), &CATALOG).unwrap_err();
    assert!(error.message.contains("no task of the catalogue fits this schema"), "{error:?}");
    assert!(error.message.contains("it takes text and gives no file"), "{error:?}");
}
