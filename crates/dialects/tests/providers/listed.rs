//! Every system of a list of well-known ones can be called: an offer of it is among those whose requests
//! are recorded, over a dialect that a driver speaks; or its file says that nobody serves it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use impasto_catalog::{Catalog, Model};
use impasto_dialects::drivers;
use serde_json::Value as Json;

/// The list, a name a line.
const LIST: &str = include_str!("listed.txt");

/// The offers whose requests are recorded.
fn recorded() -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog/recordings");
    let files = std::fs::read_dir(folder).unwrap();
    let texts = files.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let ids = |text: String| -> Vec<String> {
        let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        lines.map(|line| line["offer"].as_str().unwrap().to_owned()).collect()
    };
    texts.flat_map(ids).collect()
}

/// Why a model cannot be called, if it cannot.
fn problem(catalog: &Catalog, model: &Model, recorded: &BTreeSet<String>) -> Option<String> {
    let spoken: Vec<&str> = drivers::names().collect();
    let is_called = |id: &&impasto_domain::OfferId| {
        let offer = &catalog.offers[*id];
        let dialect = &catalog.providers[&offer.provider].dialect;
        offer.lifecycle.status.is_served()
            && spoken.contains(&dialect.as_str())
            && recorded.contains(id.as_str())
    };
    if model.offers.iter().any(|id| is_called(&id)) {
        return None;
    }
    let lifecycle = &model.lifecycle;
    let dialect = |id| &catalog.providers[&catalog.offers[id].provider].dialect;
    let is_unspoken = model.offers.iter().all(|id| !spoken.contains(&dialect(id).as_str()));
    match lifecycle.status.is_served() {
        // What is served in a way that nothing here speaks says so to whoever looks at the model.
        true if is_unspoken && model.note.contains("nothing here") => None,
        true => Some(format!("{} has no offer that is recorded and called", model.id)),
        // Whoever says that it cannot be called says how that is known, or since when.
        false if lifecycle.source.is_none() && lifecycle.ends.is_none() => {
            Some(format!("{} does not say why", model.id))
        }
        false => None,
    }
}

#[test]
fn every_system_of_the_list_is_called_or_says_why_not() {
    let catalog = Catalog::embedded().unwrap();
    let recorded = recorded();
    let mut problems = Vec::new();
    let mut count = 0;
    for name in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match catalog.models.values().find(|model| model.id.as_str() == name) {
            Some(model) => problems.extend(problem(&catalog, model, &recorded)),
            None => problems.push(format!("{name} is no model of the catalogue")),
        }
        count += 1;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 40, "{count} systems are listed");
}
