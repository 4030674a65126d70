//! A walk over every offer of the catalogue that is called over the network: what its driver sends for
//! the offer's example is compared with what was sent before.
//!
//! The recordings are `catalog/recordings/PROVIDER.jsonl`, one offer a line. They are written by
//! `IMPASTO_WRITE_RECORDINGS=1 cargo test -p impasto-dialects --test providers walk`, to be looked at in
//! the difference. A dialect that has no driver is recorded as far as the catalogue takes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_catalog::{Catalog, Offer};
use impasto_dialects::drivers;
use impasto_dialects::hosted::Hosted;
use impasto_domain::{Bench, InstanceKey, MediaKind, Money, RunId, Value, Values, Workbench};
use impasto_engine::{Driver, Durable, Slot, StartCall};
use impasto_testkit::wire::{
    Arrived, Manner, PlainDoor, Reply, Server, SettingFn, Wire, example_of, sample_bytes, sample_of,
};
use serde_json::{Value as Json, json};

use crate::hosted;

/// Every kind of file.
const KINDS: [MediaKind; 6] = [
    MediaKind::Image,
    MediaKind::Video,
    MediaKind::Audio,
    MediaKind::Mesh,
    MediaKind::World,
    MediaKind::Other,
];
/// The key of every provider.
const KEY: &str = "key-for-tests-1234567890";
/// Headers that say how a message travels and nothing about what is wanted.
const TRAVEL: [&str; 4] = ["host", "user-agent", "content-length", "connection"];

/// Takes everything down and refuses it.
struct Refusing;

impl Wire for Refusing {
    fn answer(&self, _: &Arrived) -> Reply {
        Reply::json(400, &json!({"detail": "no"})).manner(Manner::Whole)
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog/recordings")
}

/// Everything is at `url`, and takes the same key.
fn settings(url: &str) -> SettingFn {
    let url = url.to_owned();
    Arc::new(move |name| {
        let is_place = name.starts_with("IMPASTO_") && name.ends_with("_URL");
        let is_key = !name.contains("URL");
        if is_place { Some(url.clone()) } else { is_key.then(|| KEY.to_owned()) }
    })
}

/// A call of an offer.
pub(crate) fn call(
    catalog: &Arc<Catalog>,
    offer: &Offer,
    input: Values,
    bench: &Arc<Bench>,
) -> StartCall {
    StartCall {
        run: RunId::new("run"),
        key: InstanceKey::new("step", []),
        attempt: 1,
        task: offer.task.clone(),
        catalog: Arc::clone(catalog),
        offer: offer.id.clone(),
        endpoint: offer.endpoint.clone(),
        input,
        estimate: Money::ZERO,
        timeout_ms: 10_000,
        idempotency_key: "run/step/1".to_owned(),
        bench: Arc::clone(bench) as Arc<dyn Workbench>,
        slot: Slot::new(()),
        durable: Durable::default(),
        callback: None,
    }
}

/// A text in which files are called by their kind instead of being written out.
fn without_files(text: &str) -> String {
    KINDS.iter().fold(text.to_owned(), |text, kind| {
        text.replace(&STANDARD.encode(sample_bytes(*kind, 0)), &format!("<base64 of {kind}>"))
    })
}

fn shown(json: &Json) -> Json {
    match json {
        Json::String(text) => Json::String(without_files(text)),
        Json::Array(items) => items.iter().map(shown).collect(),
        Json::Object(entries) => {
            entries.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
        }
        plain => plain.clone(),
    }
}

/// The parts of a form, in order.
fn parts(arrived: &Arrived) -> Json {
    let boundary = arrived.header("content-type").and_then(|kind| kind.split_once("boundary="));
    let (_, boundary) = boundary.unwrap();
    let text = String::from_utf8_lossy(&arrived.body).into_owned();
    let boundary = format!("--{boundary}");
    let pieces = text.split(&boundary).filter_map(|piece| piece.split_once("\r\n\r\n"));
    let part = |(head, body): (&str, &str)| {
        let quoted =
            |name: &str| Some(head.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0);
        let media_type = head.split_once("Content-Type: ").map(|(_, kind)| kind.trim());
        let value = match media_type {
            Some(kind) => format!("<{kind}>"),
            None => without_files(body.trim_end_matches("\r\n")),
        };
        json!([quoted("name").unwrap_or_default(), value])
    };
    pieces.map(part).collect()
}

fn recorded(arrived: &Arrived, url: &str) -> Json {
    let mut target = arrived.path.clone();
    for (at, (name, value)) in arrived.query.iter().enumerate() {
        target.push_str(&format!("{}{name}={value}", if at == 0 { '?' } else { '&' }));
    }
    let mut request = serde_json::Map::new();
    request.insert(arrived.method.clone(), Json::String(target.replace(KEY, "KEY")));
    let kind = arrived.header("content-type").unwrap_or_default();
    let headers: BTreeMap<&str, String> = arrived
        .headers
        .iter()
        .filter(|(name, _)| !TRAVEL.contains(&name.as_str()) && name != "content-type")
        .map(|(name, value)| (name.as_str(), value.replace(KEY, "KEY")))
        .collect();
    request.insert("headers".to_owned(), json!(headers));
    let body = match arrived.json() {
        Some(body) => Some(("json", shown(&body))),
        None if kind.starts_with("multipart/") => Some(("form", parts(arrived))),
        None if arrived.body.is_empty() => None,
        None => Some(("bytes", json!([kind, arrived.body.len()]))),
    };
    request.extend(body.map(|(name, body)| (name.to_owned(), body)));
    let text = Json::Object(request).to_string().replace(url, "BASE");
    serde_json::from_str(&text).unwrap()
}

/// What a driver sends for the example of an offer.
async fn sent(
    catalog: &Arc<Catalog>,
    offer: &Offer,
    driver: &Arc<dyn Driver>,
    server: &Server,
) -> Json {
    let arrived = arrived(catalog, offer, driver, server, None).await;
    arrived.iter().map(|one| recorded(one, &server.url)).collect()
}

/// What arrives at a server for the example of an offer, when hints may come to that address.
pub(crate) async fn arrived(
    catalog: &Arc<Catalog>,
    offer: &Offer,
    driver: &Arc<dyn Driver>,
    server: &Server,
    callback: Option<&str>,
) -> Vec<Arrived> {
    let bench = Arc::new(Bench::default());
    for kind in KINDS {
        let asset = sample_of(kind, 0);
        bench.write(sample_bytes(kind, 0), &asset.media_type, asset.facts).unwrap();
    }
    let task = catalog.task(&offer.task).unwrap();
    let input = task.admit(example_of(catalog, offer).unwrap()).unwrap();
    let input = input.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let call = call(catalog, offer, input, &bench);
    let refused = driver.start(StartCall { callback: callback.map(str::to_owned), ..call }).await;
    let new = server.take_arrived();
    assert!(!new.is_empty(), "{} sends nothing: {refused:?}", offer.id);
    new
}

/// What the catalogue makes of the example of an offer.
fn mapped(catalog: &Catalog, offer: &Offer) -> Json {
    let request = offer.request(&example_of(catalog, offer).unwrap());
    let file = |part: &impasto_catalog::FilePart| {
        Ok::<_, ()>(json!(format!("<{:?} of {}>", part.form, part.asset.kind())))
    };
    let body = request.body.resolve(&mut { file }).unwrap();
    json!([{"endpoint": offer.endpoint, "query": request.query, "path": request.path, "json": body}])
}

fn remember_files(hosted: &Hosted, catalog: &Catalog) {
    for provider in catalog.providers.keys() {
        for kind in KINDS {
            let name = format!("https://files.example/{kind}");
            hosted.remember(provider, sample_of(kind, 0).digest, &name, 3600);
        }
    }
}

/// Drivers by dialect.
pub(crate) type Drivers = BTreeMap<String, Arc<dyn Driver>>;

/// A server that refuses everything, and drivers to which it is every provider of the catalogue.
pub(crate) async fn refusing(catalog: &Catalog) -> (Server, Drivers) {
    let server = Server::start(|_| Arc::new(Refusing)).await.unwrap();
    let hosted = hosted(settings(&server.url), Arc::new(PlainDoor));
    remember_files(&hosted, catalog);
    let drivers = drivers::all(&hosted).collect();
    (server, drivers)
}

/// The recordings as they are now, by provider.
async fn recordings() -> BTreeMap<String, String> {
    let catalog = Arc::new(Catalog::embedded().unwrap());
    let (server, drivers) = refusing(&catalog).await;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for offer in catalog.offers.values() {
        let provider = &catalog.providers[&offer.provider];
        if provider.is_local() {
            continue;
        }
        let requests = match drivers.get(&provider.dialect) {
            Some(driver) => sent(&catalog, offer, driver, &server).await,
            None => mapped(&catalog, offer),
        };
        let text = files.entry(provider.id.to_string()).or_default();
        text.push_str(&format!("{}\n", json!({"offer": offer.id, "sends": requests})));
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_for_every_offer_is_what_was_sent_before() {
    let files = recordings().await;
    let folder = folder();
    if std::env::var_os("IMPASTO_WRITE_RECORDINGS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (provider, text) in &files {
            std::fs::write(folder.join(format!("{provider}.jsonl")), text).unwrap();
        }
    }
    let mut offers = 0;
    let mut differing = Vec::new();
    for (provider, text) in &files {
        let kept =
            std::fs::read_to_string(folder.join(format!("{provider}.jsonl"))).unwrap_or_default();
        let kept: Vec<&str> = kept.lines().collect();
        for line in text.lines() {
            offers += 1;
            if !kept.contains(&line) {
                differing.push(line.to_owned());
            }
        }
        let gone = kept.len().saturating_sub(text.lines().count());
        assert_eq!(gone, 0, "{provider} has {gone} recordings of offers that are gone");
    }
    eprintln!("{offers} offers of {} providers send what they sent before", files.len());
    assert!(
        differing.is_empty(),
        "{} offers send something else; look at it, then write the recordings anew (see the top of \
         this file):\n{}",
        differing.len(),
        differing.join("\n")
    );
    assert!(offers >= 1000);
}

#[test]
fn no_recording_holds_a_file_or_a_key() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(KEY), "{}", path.display());
        for line in text.lines() {
            assert!(line.len() < 4000, "{}: a line is very long", path.display());
            let json: Json = serde_json::from_str(line).unwrap();
            assert!(Value::from_json(json).is_ok());
        }
    }
}
