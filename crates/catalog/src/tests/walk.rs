//! A walk over every offer of the embedded catalogue: it can be called with its own example, what is
//! sent has everything that was said, and an answer of the shape that it names is read.

use impasto_domain::{AssetRef, Digest, MediaFacts, MediaKind, Type, Values};
use serde_json::{Value as Json, json};

use crate::{Catalog, FileIn, Offer, Outputs, Place, Pointer};

pub(super) fn sample(kind: MediaKind) -> AssetRef {
    let media_type = match kind {
        MediaKind::Image => "image/png",
        MediaKind::Video => "video/mp4",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Mesh => "model/gltf-binary",
        MediaKind::World => "application/vnd.impasto.world+json",
        MediaKind::Other => "application/zip",
    };
    let facts = MediaFacts { width: Some(1024), height: Some(1024), ..MediaFacts::default() };
    AssetRef { digest: Digest::of(media_type.as_bytes()), media_type: media_type.into(), facts }
}

fn wired(catalog: &Catalog) -> impl Iterator<Item = &Offer> {
    catalog.offers.values().filter(|offer| !catalog.providers[&offer.provider].is_local())
}

#[test]
fn every_offer_takes_its_own_example_and_says_all_of_it() {
    let catalog = Catalog::embedded().unwrap();
    for offer in wired(&catalog) {
        let task = &catalog.tasks[&offer.task];
        let example = offer.example(task, &sample);
        let admitted =
            task.admit(example.clone()).unwrap_or_else(|why| panic!("{}: {why:?}", offer.id));
        assert_eq!(offer.problems(task, &admitted), [] as [&str; 0], "{}", offer.id);
        let request = offer.request(&admitted);
        let files = |values: &Values| values.values().flat_map(|value| value.assets()).count();
        assert_eq!(request.body.files().len(), files(&example), "{}", offer.id);
        assert!(request.body.resolve::<()>(&mut |_| Ok(json!("file"))).is_ok());
        assert!(offer.price.range(&admitted).contains(&offer.price.estimate(&admitted)));
    }
}

/// An answer that has something at the first place of every rule.
fn answer(outputs: &Outputs) -> Json {
    let mut body = crate::Body::default();
    for rule in outputs.rules.iter().filter(|rule| rule.file != FileIn::Body) {
        let Some(at) = rule.at.first() else { continue };
        let there: Pointer = at.to_string().replace('*', "0").parse().unwrap();
        let value = match rule.ty {
            Type::Integer | Type::Number => crate::Body::Integer(7),
            _ => crate::Body::from("https://files.example/a"),
        };
        if there.is_whole() {
            body = value;
        } else {
            there.put(&mut body, value).unwrap();
        }
    }
    body.plain().unwrap()
}

#[test]
fn every_offer_reads_an_answer_of_the_shape_that_it_names() {
    let catalog = Catalog::embedded().unwrap();
    for offer in wired(&catalog) {
        let outputs =
            offer.outputs.as_ref().unwrap_or_else(|| panic!("{} has no output", offer.id));
        let read =
            outputs.read(&answer(outputs)).unwrap_or_else(|why| panic!("{}: {why}", offer.id));
        assert!(!read.files.is_empty() || !read.values.is_empty(), "{}", offer.id);
    }
}

#[test]
fn whoever_submits_and_polls_has_a_wire_and_a_way_to_show_who_one_is() {
    let catalog = Catalog::embedded().unwrap();
    for offer in wired(&catalog) {
        let provider = &catalog.providers[&offer.provider];
        assert!(provider.auth.is_some(), "{}", provider.id);
        assert!(provider.missing(|_| None).is_some(), "{} needs something", provider.id);
        assert_eq!(provider.missing(|_| Some("https://x.example".into())), None, "{}", provider.id);
        if provider.dialect == "submit-poll" {
            let wire = offer.wire.as_ref().unwrap_or_else(|| panic!("{} has no wire", offer.id));
            let facts = [("endpoint".to_owned(), offer.endpoint.clone())].into();
            let call = &provider.wires[wire].submit;
            let path = call.path.fill_path(&facts, &Json::Null).unwrap();
            assert!(path.starts_with('/') && !path.contains(' '), "{}: {path}", offer.id);
        }
    }
}

#[test]
fn there_is_as_much_as_there_was_found() {
    let catalog = Catalog::embedded().unwrap();
    let served = catalog.models.values().filter(|model| model.lifecycle.status.is_served());
    assert!(wired(&catalog).count() >= 1000);
    assert!(served.count() >= 300);
    assert!(catalog.providers.len() >= 15);
}

#[test]
fn who_is_retired_names_a_successor_that_is_served() {
    let catalog = Catalog::embedded().unwrap();
    let retired = catalog.models.values().filter(|model| model.lifecycle.replacement.is_some());
    let mut count = 0;
    for model in retired {
        let next = model.lifecycle.replacement.as_ref().unwrap();
        assert!(catalog.models[next].unserved().is_none(), "{} -> {next}", model.id);
        count += 1;
        if let Some(why) = model.unserved() {
            let error = catalog.served_model(model.id.as_str()).unwrap_err();
            assert_eq!(error.message, why);
            assert!(error.hint.unwrap().contains(next.as_str()));
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn names_are_found_by_id_alias_and_endpoint() {
    let catalog = Catalog::embedded().unwrap();
    for model in catalog.models.values() {
        assert_eq!(catalog.model_named(&model.id.as_str().to_uppercase()).unwrap().id, model.id);
        for alias in &model.aliases {
            assert_eq!(catalog.model_named(alias).unwrap().id, model.id, "{alias}");
        }
    }
    for offer in wired(&catalog) {
        assert!(catalog.offers_called(&offer.endpoint).any(|found| found.id == offer.id));
        for capability in &offer.capabilities {
            assert!(catalog.offers_with(capability).any(|found| found.id == offer.id));
        }
    }
    assert!(catalog.model_named("no such model at all").is_err());
}

#[test]
fn the_places_of_inputs_do_not_stand_in_each_others_way() {
    let catalog = Catalog::embedded().unwrap();
    for offer in wired(&catalog) {
        let whole = |place: &Place| matches!(place, Place::Body(at) if !at.appends());
        let rules = offer.map.rules.values().flat_map(|rule| &rule.to).filter(|to| whole(to));
        let mut places: Vec<String> = rules.map(ToString::to_string).collect();
        let count = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), count, "{}", offer.id);
    }
}
