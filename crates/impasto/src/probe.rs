//! `catalog probe`: whether the providers still say what the catalogue says, asked without paying.
//!
//! Nothing here starts work. Where a provider publishes a schema, it is compared with the offer and the
//! cheapest valid request is held against it; where it lists its models, an offer that is not listed is
//! told; where it has a price or a way to check a request, that is asked. A provider that has none of
//! these is said to be one that cannot be probed without paying.

use std::collections::BTreeMap;
use std::sync::Arc;

use impasto_catalog::import::{Drift, describe, drift};
use impasto_catalog::{Body, Catalog, FileForm, FilePart, Offer, Provider, dry_drift, retirement};
use impasto_dialects::hosted;
use impasto_domain::{AssetRef, Digest, Error, MediaFacts, MediaKind, Result, Values};
use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::args::{GlobalFlags, ProbeCommand};
use crate::ask::Asker;
use crate::import::facts;
use crate::runs::{Exit, FINE, RUN_FAILED};
use crate::screen::{Screen, Style};
use crate::settings::Settings;
use crate::{catalogue, compose, vault};

/// How many offers are probed at the same time.
const PROBES_AT_ONCE: usize = 6;
/// The smallest picture there is, for a request that is only checked: one white dot as PNG.
const DOT_PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==";

/// What was learned of one offer.
#[derive(Debug, Serialize)]
struct Report {
    offer: String,
    provider: String,
    endpoint: String,
    /// What was asked for: `schema`, `models`, `price`, `dry`.
    asked: Vec<&'static str>,
    drift: Vec<Drift>,
    /// Why something could not be learned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

/// A provider of which nothing can be learned, and why.
#[derive(Debug, Serialize)]
struct Unprobed {
    provider: String,
    offers: usize,
    why: String,
}

/// `impasto catalog probe`.
pub(crate) async fn run(
    command: &ProbeCommand,
    global: &GlobalFlags,
    screen: Screen,
) -> Result<Exit> {
    let catalog = Arc::new(catalogue::load(compose::overlay(global).as_deref(), screen)?);
    let network = Settings::read(command.settings.config.as_deref())?.network;
    let settings = vault::settings(&compose::data_folder(global.data.as_deref())?);
    let wanted = wanted(command, &catalog)?;
    let asker = Asker::new(network, Arc::clone(&settings))?;
    let (mut reports, mut unprobed) = (Vec::new(), Vec::new());
    for (id, offers) in wanted {
        let provider = catalog.provider(&id.as_str().into())?;
        match reason(provider, &settings) {
            Some(why) => unprobed.push(Unprobed { provider: id, offers: offers.len(), why }),
            None => reports.extend(probe_all(&catalog, provider, offers, &asker).await),
        }
    }
    reports.sort_by(|a, b| a.offer.cmp(&b.offer));
    show(&reports, &unprobed, screen);
    let broken = reports.iter().flat_map(|report| &report.drift).any(|drift| drift.breaks);
    let unknown = reports.iter().any(|report| !report.unknown.is_empty());
    Ok(if broken || unknown { RUN_FAILED } else { FINE })
}

/// The offers that are to be probed, by provider.
fn wanted(command: &ProbeCommand, catalog: &Catalog) -> Result<BTreeMap<String, Vec<Offer>>> {
    if let Some(provider) = &command.provider {
        catalog.provider(&provider.as_str().into())?;
    }
    let model = command.model.as_deref().map(|name| catalog.model_named(name)).transpose()?;
    let mut wanted: BTreeMap<String, Vec<Offer>> = BTreeMap::new();
    for offer in catalog.offers.values() {
        let local = catalog.providers.get(&offer.provider).is_none_or(Provider::is_local);
        let served = offer.lifecycle.status.is_served()
            && catalog
                .models
                .get(&offer.model)
                .is_some_and(|model| model.lifecycle.status.is_served());
        let here = command.provider.as_ref().is_none_or(|id| offer.provider.as_str() == id);
        let this = model.is_none_or(|model| offer.model == model.id);
        if !local && here && this && (served || model.is_some()) {
            wanted.entry(offer.provider.to_string()).or_default().push(offer.clone());
        }
    }
    if wanted.is_empty() {
        return Err(Error::not_found("no offer of a hosted provider is meant")
            .hint("`impasto models` lists models and their providers"));
    }
    Ok(wanted)
}

/// Why nothing can be learned of a provider, if nothing can.
fn reason(provider: &Provider, settings: &hosted::Settings) -> Option<String> {
    if provider.probe.is_empty() {
        return Some(
            "it cannot be probed without paying: it publishes neither schemas nor a list of models"
                .to_owned(),
        );
    }
    provider.missing(|name| settings(name)).map(|set| format!("set {set}"))
}

async fn probe_all(
    catalog: &Arc<Catalog>,
    provider: &Provider,
    offers: Vec<Offer>,
    asker: &Asker,
) -> Vec<Report> {
    let names = Arc::new(names(provider, asker).await);
    let places = Arc::new(Semaphore::new(PROBES_AT_ONCE));
    let mut under_way = JoinSet::new();
    for offer in offers {
        let (catalog, names) = (Arc::clone(catalog), Arc::clone(&names));
        let (provider, asker, places) = (provider.clone(), asker.clone(), Arc::clone(&places));
        under_way.spawn(async move {
            let _place = places.acquire().await;
            probe_one(&catalog, &provider, &offer, &asker, &names).await
        });
    }
    under_way.join_all().await
}

/// The names of all models, if the provider lists them.
async fn names(provider: &Provider, asker: &Asker) -> Option<Result<Vec<String>>> {
    let call = provider.probe.models.as_ref()?;
    let answered = match asker.ask(provider, call, &BTreeMap::new(), None).await {
        Ok(answered) => answered,
        Err(error) => return Some(Err(error)),
    };
    Some(match answered.error {
        Some(error) => Err(error),
        None => Ok(provider.probe.models_in(&answered.body)),
    })
}

async fn probe_one(
    catalog: &Catalog,
    provider: &Provider,
    offer: &Offer,
    asker: &Asker,
    names: &Option<Result<Vec<String>>>,
) -> Report {
    let mut report = Report {
        offer: offer.id.to_string(),
        provider: provider.id.to_string(),
        endpoint: offer.endpoint.clone(),
        asked: Vec::new(),
        drift: Vec::new(),
        unknown: Vec::new(),
    };
    let Ok(task) = catalog.task(&offer.task) else { return report };
    let cheapest = offer.example(task, &sample);
    if provider.probe.lists(&offer.endpoint)
        && let Some(names) = names
    {
        report.asked.push("models");
        match names {
            Ok(names) => report.drift.extend(retirement(offer, names)),
            Err(error) => report.unknown.push(format!("models: {}", error.message)),
        }
    }
    ask_schema(provider, offer, (asker, &cheapest), &mut report).await;
    ask_price(provider, offer, asker, &mut report).await;
    ask_dry(provider, offer, (asker, &cheapest), &mut report).await;
    if report.asked.is_empty() {
        report.unknown.push("nothing that the provider tells is about this endpoint".to_owned());
    }
    report
}

async fn ask_schema(
    provider: &Provider,
    offer: &Offer,
    (asker, cheapest): (&Asker, &Values),
    report: &mut Report,
) {
    let Some(call) = &provider.probe.schema else { return };
    report.asked.push("schema");
    match asker.ask(provider, call, &facts(&offer.endpoint), None).await {
        Err(error) => report.unknown.push(format!("schema: {}", error.message)),
        Ok(answered) if provider.probe.says_gone(answered.status) => {
            let message = format!(
                "the provider has no `{}` any more (status {})",
                offer.endpoint, answered.status
            );
            report.drift.push(Drift::breaking("lifecycle", message));
        }
        Ok(answered) => match answered.error {
            Some(error) => report.unknown.push(format!("schema: {}", error.message)),
            None => match describe(provider.probe.schema_in(&answered.body), &offer.endpoint) {
                Ok(described) => report.drift.extend(drift(&described, offer, cheapest)),
                Err(error) => report.unknown.push(format!("schema: {}", error.message)),
            },
        },
    }
}

async fn ask_price(provider: &Provider, offer: &Offer, asker: &Asker, report: &mut Report) {
    let Some(probe) = &provider.probe.price else { return };
    report.asked.push("price");
    match asker.ask(provider, &probe.call, &facts(&offer.endpoint), None).await {
        Ok(answered) if answered.error.is_none() => match probe.read(&answered.body) {
            Some((usd, unit)) => report.drift.extend(offer.price.drift(usd, &unit)),
            None => report.unknown.push("price: the answer has none".to_owned()),
        },
        Ok(answered) => {
            let why = answered.error.map(|error| error.message).unwrap_or_default();
            report.unknown.push(format!("price: {why}"));
        }
        Err(error) => report.unknown.push(format!("price: {}", error.message)),
    }
}

/// Has the cheapest valid request checked by the provider, where it checks without doing.
async fn ask_dry(
    provider: &Provider,
    offer: &Offer,
    (asker, cheapest): (&Asker, &Values),
    report: &mut Report,
) {
    let Some(dry) = provider.probe.dry_run(&offer.endpoint) else { return };
    let request = offer.request(cheapest).body.resolve(&mut dot);
    let Ok(body) = request else {
        report.unknown.push("dry: its cheapest call has a file that is no picture".to_owned());
        return;
    };
    report.asked.push("dry");
    let facts = facts(&offer.endpoint);
    let mut whole = Body::default();
    let put = match &dry.at {
        Some(at) => at.put(&mut whole, Body::from(body)),
        None => {
            whole = Body::from(body);
            Ok(())
        }
    };
    let said = dry.call.send.iter().try_for_each(|(place, text)| {
        let text = text.fill(&facts, &Json::Null).map_err(|error| error.message)?;
        place.put(&mut whole, Body::from(text.as_str()))
    });
    let body = match put.and(said) {
        Ok(()) => whole.plain(),
        Err(why) => return report.unknown.push(format!("dry: {why}")),
    };
    match asker.ask(provider, &dry.call, &facts, body).await {
        Ok(answered) => {
            let error = answered.error.as_ref();
            let told = error.map(|error| error.message.as_str());
            report.drift.extend(dry_drift(answered.status, told, error.map(|error| error.kind)));
        }
        Err(error) => report.unknown.push(format!("dry: {}", error.message)),
    }
}

/// A picture of one dot in the place of a file.
fn dot(part: &FilePart) -> std::result::Result<Json, ()> {
    match (part.asset.kind(), part.form) {
        (MediaKind::Image, FileForm::Base64) => Ok(DOT_PNG.into()),
        (MediaKind::Image, _) => Ok(format!("data:image/png;base64,{DOT_PNG}").into()),
        _ => Err(()),
    }
}

/// What stands for a file in the cheapest request; it is compared by its place, never opened.
fn sample(kind: MediaKind) -> AssetRef {
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

fn show(reports: &[Report], unprobed: &[Unprobed], screen: Screen) {
    if screen.json {
        reports.iter().for_each(|report| screen.json_line(report));
        unprobed.iter().for_each(|one| screen.json_line(one));
        return;
    }
    let mut quiet = 0;
    for report in reports {
        if report.drift.is_empty() && report.unknown.is_empty() {
            quiet += 1;
            continue;
        }
        screen.line(screen.paint(&report.offer, Style::Bold));
        for drift in &report.drift {
            let (word, style) =
                if drift.breaks { ("breaks", Style::Red) } else { ("news  ", Style::Green) };
            screen.line(format!("  {}  {}", screen.paint(word, style), drift.message));
        }
        for why in &report.unknown {
            screen.line(format!("  {}  {why}", screen.paint("unknown", Style::Yellow)));
        }
    }
    for one in unprobed {
        screen.line(format!(
            "{}  {} offer(s) not probed: {}",
            screen.paint(&one.provider, Style::Bold),
            one.offers,
            one.why
        ));
    }
    screen
        .note(format!("{} offer(s) probed, {quiet} of them as the catalogue says", reports.len()));
}
