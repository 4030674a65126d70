//! Layers lie over each other, entry by entry.

use super::{PROVIDER, TASK, layer, pencil, with};
use crate::{Catalog, Layer};

fn load(layers: &[Layer]) -> Catalog {
    Catalog::load(layers).unwrap().0
}

#[test]
fn a_later_layer_replaces_a_whole_entry_wherever_its_file_lies() {
    let first = pencil("price = \"free\"\nversion = \"7\"");
    let second = pencil("price = \"free\"").replace("Draws with lines.", "Mine.");
    let mut layers = with(&[("models/acme/pencil.toml", &first)]);
    layers.push(layer("yours", &[("models/me/pencil.toml", &second)]));
    let catalog = load(&layers);
    let offer = catalog.offer(&"pencil@paper/draw".into()).unwrap();
    assert_eq!(catalog.models.len(), 1);
    assert_eq!(catalog.models[&"pencil".into()].description, "Mine.");
    assert_eq!(offer.version, "2", "the version of the replaced offer must not shine through");
}

#[test]
fn the_revision_depends_on_the_contents_and_on_nothing_else() {
    let model = pencil("price = \"free\"");
    let model = ("models/acme/pencil.toml", model.as_str());
    let (task, provider) = (("tasks/draw.toml", TASK), ("providers/paper.toml", PROVIDER));
    let whole = load(&[layer("a", &[task, provider, model])]);
    let turned = load(&[layer("b", &[model, provider, task])]);
    let split = load(&[layer("a", &[task]), layer("b", &[provider, model])]);
    assert_eq!(whole, turned);
    assert_eq!(whole.revision, split.revision);
    let other = load(&[layer("a", &[task, model, (provider.0, &PROVIDER.replace('2', "3"))])]);
    assert_ne!(whole.revision, other.revision);
    assert_eq!(whole.revision.len(), 12);
}

#[test]
fn what_is_not_there_is_named_with_what_was_meant() {
    let catalog = Catalog::embedded().unwrap();
    let error = catalog.task(&"resize-imgae".into()).unwrap_err();
    assert_eq!(error.message, "there is no task `resize-imgae`");
    assert_eq!(error.hint.unwrap(), "did you mean `resize-image`?");
}

#[test]
fn an_offer_says_what_it_cannot_take() {
    let extra = r#"price = "free"
unsupported = ["sound"]
ignored = ["width"]
[offers.params.duration]
max = 5
[offers.params.resolution]
values = ["720p"]"#;
    let catalog = super::one(extra).unwrap();
    let (offer, task) =
        (&catalog.offers[&"pencil@paper/draw".into()], &catalog.tasks[&"draw".into()]);
    let admit = |json: &str| task.admit(serde_json::from_str(json).unwrap()).unwrap();
    let plain = admit(r#"{"prompt": "a mug"}"#);
    assert!(
        offer.problems(task, &plain).is_empty() && offer.without_effect(task, &plain).is_empty()
    );
    let much = admit(
        r#"{"prompt": "a mug", "sound": true, "width": 64, "duration": 9, "resolution": "4k"}"#,
    );
    assert_eq!(
        offer.problems(task, &much),
        [
            "it does not take `sound`",
            "here `duration` is 9, the most is 5",
            "here `resolution` is '4k'; it can be 720p"
        ]
    );
    assert_eq!(offer.without_effect(task, &much), ["width"]);
}
