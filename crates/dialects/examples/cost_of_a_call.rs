//! What a driver adds to a call: making a request from an input, and reading an answer; and what the
//! catalogue takes that it goes by.
//!
//! `cargo run --release -p impasto-dialects --example cost_of_a_call` prints one JSON object a line. The
//! floor is what cannot be left out: writing and reading the same JSON, base64 of the same file, reading
//! the same files as TOML, and the bytes of these files.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use impasto_catalog::{Catalog, Encoding, FileForm, FileSource, Layer, Offer, Provider, Seen};
use impasto_dialects::hosted::{Answer, ByFile, Hosted, HostedOptions, Settings, ask_for, sent_by};
use impasto_dialects::inline;
use impasto_domain::{AssetRef, Bench, Error, MediaFacts, MediaKind, Result, Values, Workbench};
use impasto_engine::NoImporter;
use impasto_net::{Client, NetOptions, Request};
use impasto_testkit::wire::{answer_of, example_of};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

/// How often each thing is done, and how often that is repeated; the quickest repetition counts.
const REPETITIONS: usize = 15;
const SMALL_BYTES: usize = 1 << 10;
const LARGE_BYTES: usize = 1 << 20;

/// Nanoseconds of one of `times`, in the quickest repetition.
fn nanoseconds<T>(times: usize, mut work: impl FnMut() -> T) -> f64 {
    let mut quickest = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let began = Instant::now();
        for _ in 0..times {
            black_box(work());
        }
        quickest = quickest.min(began.elapsed().as_nanos() as f64 / times as f64);
    }
    quickest
}

fn figure(name: &str, ours: f64, floor: f64) -> String {
    let micros = |nanoseconds: f64| (nanoseconds / 10.0).round() / 100.0;
    let line = json!({
        "figure": name, "unit": "µs", "ours": micros(ours), "peer": micros(floor),
        "peer_name": "floor",
    });
    line.to_string()
}

/// The first offer of a task whose answer is asked for and links to its files.
fn find<'c>(catalog: &'c Catalog, task: &str) -> Result<(&'c Offer, &'c Provider)> {
    let found = catalog.offers_for(&task.into()).find_map(|offer| {
        let provider = catalog.providers.get(&offer.provider)?;
        let wire = provider.wires.get(offer.wire.as_ref()?)?;
        (wire.poll.is_some() && wire.result.is_none()).then_some((offer, provider))
    });
    found.ok_or_else(|| Error::internal(format!("nobody is asked for {task}")))
}

/// Makes requests as a driver does, up to what would be sent.
struct Maker {
    hosted: Hosted,
    bench: Arc<dyn Workbench>,
    runtime: Runtime,
}

impl Maker {
    fn new(file: &[u8]) -> Result<(Self, AssetRef)> {
        let settings: Settings = Arc::new(|_| Some("https://provider.example".to_owned()));
        let client = Client::new(NetOptions::default())?;
        let hosted = Hosted::new(client, settings, Arc::new(NoImporter), HostedOptions::default());
        let bench: Arc<dyn Workbench> = Arc::new(Bench::default());
        let asset = bench.write(file.to_vec(), "image/png", MediaFacts::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::internal(error.to_string()))?;
        Ok((Self { hosted, bench, runtime }, asset))
    }

    fn make(&self, offer: &Offer, provider: &Provider, input: &Values) -> Result<Request> {
        let wire = offer.wire.as_ref().and_then(|name| provider.wires.get(name));
        let call = &wire.ok_or_else(|| Error::internal("it has no wire"))?.submit;
        let account = self.hosted.account(provider)?;
        let facts = [("endpoint".to_owned(), offer.endpoint.clone())].into();
        let mut ask = ask_for(call, &facts, &Json::Null)?;
        let body = sent_by(call, &facts, &Json::Null, offer.request(input).body)?;
        let payload = account.payload(call.body, &body, &ByFile, &self.bench);
        ask.payload = self.runtime.block_on(payload)?;
        account.request(&ask)
    }
}

fn building(catalog: &Catalog) -> Result<Vec<String>> {
    let file = vec![7_u8; LARGE_BYTES];
    let (maker, asset) = Maker::new(&file)?;
    let (offer, provider) = find(catalog, "text-to-image")?;
    let mut input = example_of(catalog, offer)?;
    input.insert("prompt".to_owned(), "a red mug on a table, ".repeat(SMALL_BYTES / 22).into());
    maker.make(offer, provider, &input)?;
    let plain = offer.request(&input).body.plain().unwrap_or_default();
    let small = nanoseconds(2_000, || maker.make(offer, provider, &input).is_ok());
    let small_floor = nanoseconds(2_000, || plain.to_string());
    let (offer, provider) = find_inline(catalog)?;
    let mut input = example_of(catalog, offer)?;
    input.insert("image".to_owned(), asset.into());
    maker.make(offer, provider, &input)?;
    let plain = json!({ "image": STANDARD.encode(&file) });
    let large = nanoseconds(20, || maker.make(offer, provider, &input).is_ok());
    let large_floor = nanoseconds(20, || (STANDARD.encode(&file), plain.to_string()));
    Ok(vec![
        figure("a request with 1 KB of words", small, small_floor),
        figure("a request with a file of 1 MB in it", large, large_floor),
    ])
}

/// An offer that takes a picture inside of its request.
fn find_inline(catalog: &Catalog) -> Result<(&Offer, &Provider)> {
    let found = catalog.offers_for(&"image-to-video".into()).find_map(|offer| {
        let provider = catalog.providers.get(&offer.provider)?;
        let wire = provider.wires.get(offer.wire.as_ref()?)?;
        let inline = matches!(provider.files?, FileForm::DataUri | FileForm::Base64);
        (inline && wire.submit.body == Encoding::Json).then_some((offer, provider))
    });
    found.ok_or_else(|| Error::internal("nobody takes a picture inside"))
}

/// Reads an answer as a driver does: errors, state, cost, outputs.
fn read(offer: &Offer, provider: &Provider, body: &Bytes) -> Option<usize> {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let answer = Answer::new(200, headers, body.clone(), String::new());
    let header = |_: &str| None;
    let seen = Seen { status: 200, header: &header, body: &answer.json };
    let error = provider.errors.read(&seen);
    let wire = offer.wire.as_ref().and_then(|name| provider.wires.get(name));
    let state = wire.and_then(|wire| Some(wire.state.as_ref()?.read(200, &answer.json)));
    let cost = wire.and_then(|wire| wire.cost.as_ref()?.read(&answer.json));
    black_box((error, state, cost));
    let read = offer.outputs.as_ref()?.read(&answer.json).ok()?;
    let bytes = read.files.iter().map(|file| match &file.source {
        FileSource::Base64(text) => inline::decode(text).map_or(0, |bytes| bytes.len()),
        _ => 0,
    });
    Some(bytes.sum())
}

fn parsing(catalog: &Catalog) -> Result<Vec<String>> {
    let (offer, provider) = find(catalog, "text-to-image")?;
    let outputs = offer.outputs.as_ref().ok_or_else(|| Error::internal("it has no output"))?;
    let mut small = answer_of(outputs, "https://files.example");
    small["more"] = Json::from("x".repeat(SMALL_BYTES));
    let small = Bytes::from(small.to_string());
    let ours = nanoseconds(2_000, || read(offer, provider, &small));
    let floor = nanoseconds(2_000, || serde_json::from_slice::<Json>(&small));
    let (offer, provider, place) = with_files_inside(catalog)?;
    let text = STANDARD.encode(vec![7_u8; LARGE_BYTES * 3 / 4]);
    let mut large = impasto_catalog::Body::Null;
    place.put(&mut large, text.as_str().into()).map_err(Error::internal)?;
    let large = Bytes::from(large.plain().unwrap_or_default().to_string());
    if read(offer, provider, &large).is_none_or(|bytes| bytes == 0) {
        return Err(Error::internal("the picture inside was not read"));
    }
    let ours_large = nanoseconds(20, || read(offer, provider, &large));
    let floor_large =
        nanoseconds(20, || (serde_json::from_slice::<Json>(&large).is_ok(), inline::decode(&text)));
    Ok(vec![
        figure("an answer of 1 KB", ours, floor),
        figure("an answer of 1 MB with a file in it", ours_large, floor_large),
    ])
}

/// An offer whose answer has a picture in it, and where.
fn with_files_inside(catalog: &Catalog) -> Result<(&Offer, &Provider, impasto_catalog::Pointer)> {
    let found = catalog.offers.values().find_map(|offer| {
        let rules = offer.outputs.iter().flat_map(|outputs| &outputs.rules);
        let mut inside = rules.filter(|rule| {
            let kind = impasto_domain::Type::Media(MediaKind::Image);
            let is_picture =
                rule.ty == kind || rule.ty == impasto_domain::Type::List(Box::new(kind));
            is_picture && rule.file == impasto_catalog::FileIn::Base64
        });
        let place = inside.next()?.at.first()?.to_string().replace("/*", "/0");
        Some((offer, catalog.providers.get(&offer.provider)?, place.parse().ok()?))
    });
    found.ok_or_else(|| Error::internal("nobody answers with a picture inside"))
}

/// How many catalogues are held at once, to tell what one takes.
const HELD: usize = 8;

/// How long the catalogue takes to be loaded, and what one that is loaded takes of memory.
fn catalogue() -> Result<Vec<String>> {
    let layer = Layer::embedded();
    let text_bytes: usize = layer.files.iter().map(|(_, text)| text.len()).sum();
    let load = nanoseconds(1, || Catalog::load(std::slice::from_ref(&layer)).is_ok());
    let floor = nanoseconds(1, || {
        let read = |(_, text): &(String, String)| text.parse::<toml::Table>().map(drop).is_ok();
        layer.files.iter().filter(|file| read(file)).count()
    });
    // What was freed is used again first, so the first catalogues fill that up.
    let mut held = Vec::new();
    let mut resident = [0.0; 2];
    for bytes in &mut resident {
        for _ in 0..HELD {
            held.push(Catalog::embedded()?);
        }
        *bytes = resident_bytes();
    }
    let [before, after] = resident;
    black_box(&held);
    let memory = json!({
        "figure": "memory of the loaded catalogue", "unit": "bytes",
        "ours": ((after - before) / HELD as f64).round(), "peer": text_bytes,
        "peer_name": "the text of its files",
    });
    Ok(vec![figure("loading the catalogue", load, floor), memory.to_string()])
}

fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) * 1024.0
}

#[expect(clippy::print_stdout, reason = "this program prints what it measures")]
fn main() -> Result<()> {
    let catalog = Catalog::embedded()?;
    let lines = [building(&catalog)?, parsing(&catalog)?, catalogue()?].concat();
    println!("{}", lines.join("\n"));
    Ok(())
}
