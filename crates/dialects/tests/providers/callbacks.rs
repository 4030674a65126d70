//! Where a submission says whom to tell of the job: the address is where the wire or the protocol has it,
//! and nothing else of the request changes for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use impasto_catalog::{Catalog, Layer, Offer, Wire};
use impasto_domain::{Bench, Values};
use impasto_engine::StartCall;
use impasto_testkit::model_file;
use impasto_testkit::wire::{Arrived, PlainDoor, Server, SettingFn};
use serde_json::{Value as Json, json};

use crate::walk::{self, Drivers, refusing};
use crate::{hosted, one_for_each_wire, own};

const ADDRESS: &str = "https://media.example/v1/hints/NmIwMS8xL29uZQ.12ab";

/// What is added to a request for an address.
#[derive(Debug, Default, PartialEq)]
struct Added {
    query: BTreeMap<String, String>,
    body: BTreeMap<String, Json>,
}

impl Added {
    fn query(name: &str) -> Self {
        Self { query: [(name.to_owned(), ADDRESS.to_owned())].into(), ..Self::default() }
    }

    fn body(entries: &[(&str, Json)]) -> Self {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Self { body: entries.collect(), ..Self::default() }
    }
}

/// What the second request has and the first does not, where what both have is the same.
fn added(without: &Arrived, with: &Arrived) -> Added {
    assert_eq!((&without.method, &without.path), (&with.method, &with.path));
    let query = with.query.iter().filter(|pair| !without.query.contains(pair)).cloned();
    let mut added = Added { query: query.collect(), ..Added::default() };
    assert_eq!(with.query.len(), without.query.len() + added.query.len());
    let (Some(Json::Object(without)), Some(Json::Object(mut with))) = (without.json(), with.json())
    else {
        return added;
    };
    for (name, value) in &without {
        assert_eq!(with.remove(name).as_ref(), Some(value), "{name}");
    }
    added.body.extend(with);
    added
}

/// What is added to each request that is sent for an offer.
async fn told(
    catalog: &Arc<Catalog>,
    offer: &Offer,
    drivers: &Drivers,
    server: &Server,
) -> Vec<Added> {
    let driver = &drivers[&catalog.providers[&offer.provider].dialect];
    let without = walk::arrived(catalog, offer, driver, server, None).await;
    let with = walk::arrived(catalog, offer, driver, server, Some(ADDRESS)).await;
    assert_eq!(without.len(), with.len(), "{}", offer.id);
    without.iter().zip(&with).map(|(without, with)| added(without, with)).collect()
}

/// What a wire says of whom to tell.
fn said(wire: &Wire) -> Added {
    let Some(callback) = &wire.callback else { return Added::default() };
    let mut added = callback.query.as_deref().map(Added::query).unwrap_or_default();
    let key = |place: &impasto_catalog::Pointer| place.to_string().replace('/', "");
    added.body.extend(callback.at.iter().map(|place| (key(place), json!(ADDRESS))));
    added.body.extend(callback.with.iter().map(|(place, value)| (key(place), value.clone())));
    added
}

fn wire_of<'c>(catalog: &'c Catalog, offer: &Offer) -> &'c Wire {
    let wires = &catalog.providers[&offer.provider].wires;
    offer.wire.as_ref().map_or_else(|| wires.values().next(), |name| wires.get(name)).unwrap()
}

#[tokio::test]
async fn the_address_is_where_the_wire_says_and_nothing_else_changes() {
    let catalog = Arc::new(own::catalog());
    let (server, drivers) = refusing(&catalog).await;
    let mut telling = BTreeSet::new();
    for offer in one_for_each_wire(&catalog, "submit-poll") {
        let expected = said(wire_of(&catalog, offer));
        let told = told(&catalog, offer, &drivers, &server).await;
        let (last, before) = told.split_last().unwrap();
        assert_eq!(*last, expected, "{}", offer.id);
        // A file that is brought there is no job.
        assert!(before.iter().all(|one| *one == Added::default()), "{}", offer.id);
        if expected != Added::default() {
            telling.insert(offer.provider.to_string());
        }
    }
    assert!(telling.len() >= 3, "{telling:?}");
}

#[tokio::test]
async fn protocols_that_are_known_by_name_say_it_in_their_own_way() {
    let container = model_file(
        "own-box",
        "[[offers]]\nprovider = \"cog\"\ntask = \"text-to-image\"\nendpoint = \"predictions\"\nprice = \
         \"free\"\n[offers.input]\nprompt = \"/input/prompt\"\n[offers.output]\nimages = \"/output\"\n",
    );
    let own = Layer { name: "own".to_owned(), files: vec![container] };
    let (catalog, _) = Catalog::load(&[Layer::embedded(), own]).unwrap();
    let catalog = Arc::new(catalog);
    let (server, drivers) = refusing(&catalog).await;
    let webhook = [("webhook", json!(ADDRESS)), ("webhook_events_filter", json!(["completed"]))];
    let known = [
        ("fal", Added::query("fal_webhook")),
        ("replicate", Added::body(&webhook)),
        ("gemini", Added::default()),
        ("openai", Added::default()),
        ("elevenlabs", Added::default()),
        ("comfyui", Added::default()),
    ];
    for (dialect, expected) in known {
        for offer in one_for_each_wire(&catalog, dialect) {
            // A container with one model is waited for.
            let is_waited_for = offer.endpoint == "predictions";
            let expected = if is_waited_for { &Added::default() } else { &expected };
            let told = told(&catalog, offer, &drivers, &server).await;
            assert_eq!(told.last(), Some(expected), "{}", offer.id);
        }
    }
}

#[test]
fn who_is_reached_over_tls_is_told_of_no_place_that_is_not() {
    let catalog = Arc::new(Catalog::embedded().unwrap());
    let offer = catalog.offers.values().find(|offer| {
        let provider = &catalog.providers[&offer.provider];
        provider.auth.is_some() && provider.base.contains_key("default")
    });
    let offer = offer.unwrap();
    let check = |base: &'static str, address: &str, told: bool| {
        let settings: SettingFn = Arc::new(move |_| Some(base.to_owned()));
        let hosted = hosted(settings, Arc::new(PlainDoor));
        let account = hosted.account(&catalog.providers[&offer.provider]).unwrap();
        let call = walk::call(&catalog, offer, Values::new(), &Arc::new(Bench::default()));
        assert_eq!(account.callback(&call, "default"), None);
        let call = StartCall { callback: Some(address.to_owned()), ..call };
        let expected = told.then_some(address);
        assert_eq!(account.callback(&call, "default"), expected, "{base} of {address}");
    };
    check("https://far.example", "https://media.example/x", true);
    check("https://far.example", "http://media.example/x", false);
    check("http://127.0.0.1:5000", "http://127.0.0.1:8100/x", true);
    check("http://127.0.0.1:5000", "https://media.example/x", true);
}
