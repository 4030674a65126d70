//! `models`: which there are, where each is offered, what it costs there, and whether it can be used.

use std::collections::BTreeSet;

use impasto_catalog::{CAPABILITIES, Catalog, LifecycleStatus, Model, Offer, short_side, similar};
use impasto_dialects::hosted::Settings;
use impasto_domain::{Error, Money, Result, TaskId, Values};
use serde_json::json;

use crate::args::{ModelFilter, ModelOrder};
use crate::progress::seconds;
use crate::providers::unusable;
use crate::screen::{Screen, Style};

/// A model with what is shown of it in a list.
struct Listed<'c> {
    model: &'c Model,
    offers: Vec<&'c Offer>,
    price: Option<Money>,
    quality: Option<f64>,
}

/// What is shown, and how it is known what can be used.
pub(crate) struct Shelf<'c> {
    pub(crate) catalog: &'c Catalog,
    pub(crate) settings: &'c Settings,
    pub(crate) screen: Screen,
}

/// `impasto models`.
pub(crate) fn list(shelf: &Shelf<'_>, filter: &ModelFilter) -> Result<()> {
    let (catalog, screen) = (shelf.catalog, shelf.screen);
    let mut listed = found(catalog, filter)?;
    match filter.sort {
        ModelOrder::Name => {}
        ModelOrder::Price => listed.sort_by_key(|one| (one.price.is_none(), one.price)),
        ModelOrder::Quality => listed.sort_by(|a, b| {
            let figure = |one: &Listed<'_>| one.quality.unwrap_or(f64::NEG_INFINITY);
            figure(b).total_cmp(&figure(a))
        }),
    }
    if screen.json {
        let models: Vec<&Model> = listed.iter().map(|one| one.model).collect();
        screen.json_block(&models);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = listed.iter().map(|one| row(shelf, one)).collect();
    let headings =
        ["model", "tier", "from", "quality", "company", "licence", "providers", "state", "what"];
    screen.table(&headings, &rows);
    if !filter.all {
        let hidden = catalog.models.values().filter(|model| !model.lifecycle.status.is_served());
        screen.note(screen.paint(
            &format!("{} shown; {} retired or without an API (--all)", rows.len(), hidden.count()),
            Style::Dim,
        ));
    }
    Ok(())
}

/// The models that a filter leaves, by id.
fn found<'c>(catalog: &'c Catalog, filter: &ModelFilter) -> Result<Vec<Listed<'c>>> {
    let task = filter.task.as_deref().map(|task| catalog.task(&TaskId::new(task))).transpose()?;
    if let Some(provider) = &filter.provider {
        catalog.provider(&provider.as_str().into())?;
    }
    for capability in &filter.can {
        check_capability(capability)?;
    }
    let wanted = |offer: &&Offer| {
        task.is_none_or(|task| offer.task == task.id)
            && filter.provider.as_ref().is_none_or(|id| offer.provider.as_str() == id)
            && filter.can.iter().all(|word| offer.capabilities.contains(word))
    };
    let narrowed = task.is_some() || filter.provider.is_some();
    let models = catalog.models.values().filter(|model| {
        (filter.all || model.lifecycle.status.is_served())
            && filter.company.as_ref().is_none_or(|company| contains(&model.company, company))
            && filter.words.iter().all(|word| mentions(model, word))
            && filter.can.iter().all(|word| model.capabilities.contains(word))
    });
    let listed = models.map(|model| {
        let offers: Vec<&Offer> = offers_of(catalog, model).filter(wanted).collect();
        let known =
            offers.iter().filter(|offer| offer.price.known && offer.lifecycle.status.is_served());
        let price = known.map(|offer| offer.price.estimate(&Values::new())).min();
        let quality = model.quality.iter().map(|figure| figure.value).reduce(f64::max);
        Listed { model, offers, price, quality }
    });
    Ok(listed.filter(|one| !narrowed || !one.offers.is_empty()).collect())
}

fn check_capability(word: &str) -> Result<()> {
    let known: Vec<&str> = CAPABILITIES.iter().map(|(word, _)| *word).collect();
    if known.contains(&word) {
        return Ok(());
    }
    let hint = match similar(word, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Err(Error::not_found(format!("there is no capability `{word}`")).hint(hint))
}

fn contains(text: &str, word: &str) -> bool {
    text.to_lowercase().contains(&word.to_lowercase())
}

/// Whether a word is anywhere in what is known of a model.
fn mentions(model: &Model, word: &str) -> bool {
    let texts =
        [model.id.as_str(), &model.title, &model.company, &model.licence, &model.description];
    texts
        .into_iter()
        .chain(model.aliases.iter().map(String::as_str))
        .any(|text| contains(text, word))
        || model.tasks.iter().any(|task| contains(task.as_str(), word))
}

fn row(shelf: &Shelf<'_>, one: &Listed<'_>) -> Vec<String> {
    let model = one.model;
    let providers: BTreeSet<&str> =
        one.offers.iter().map(|offer| offer.provider.as_str()).collect();
    let ready = one.offers.iter().any(|offer| {
        let provider = shelf.catalog.providers.get(&offer.provider);
        provider.is_some_and(|provider| unusable(provider, shelf.settings).is_none())
    });
    let state = match model.lifecycle.status {
        LifecycleStatus::Active if ready => "ready",
        LifecycleStatus::Active => "",
        other => other.as_str(),
    };
    vec![
        model.id.to_string(),
        model.tier.to_string(),
        one.price.map(|price| price.to_string()).unwrap_or_default(),
        one.quality.map(|quality| format!("{quality:.0}")).unwrap_or_default(),
        model.company.clone(),
        model.licence.clone(),
        providers.into_iter().collect::<Vec<_>>().join(", "),
        state.to_owned(),
        model.title.clone(),
    ]
}

fn offers_of<'a>(catalog: &'a Catalog, model: &'a Model) -> impl Iterator<Item = &'a Offer> {
    model.offers.iter().filter_map(|id| catalog.offers.get(id))
}

/// `impasto models show NAME`.
pub(crate) fn show(shelf: &Shelf<'_>, name: &str) -> Result<()> {
    let (catalog, screen) = (shelf.catalog, shelf.screen);
    let model = catalog.model_named(name)?;
    let mut offers: Vec<&Offer> = offers_of(catalog, model).collect();
    offers.sort_by_key(|offer| (&offer.task, &offer.provider, &offer.id));
    if screen.json {
        screen.json_block(&json!({ "model": model, "offers": offers }));
        return Ok(());
    }
    screen.line(format!("{}  {}", screen.paint(model.id.as_str(), Style::Bold), model.title));
    screen.line(&model.description);
    for warning in warnings(model) {
        screen.line(screen.paint(&warning, Style::Yellow));
    }
    for (name, fact) in facts(model).into_iter().filter(|(_, fact)| !fact.is_empty()) {
        screen.line(format!("  {name:<14} {fact}"));
    }
    for (name, fact) in reach(&offers) {
        screen.line(format!("  {name:<14} {fact}"));
    }
    for figure in &model.quality {
        let rank = figure.rank.map(|rank| format!(", place {rank}")).unwrap_or_default();
        screen.line(format!(
            "  {:<14} {} on {}{rank}, {}",
            "quality", figure.value, figure.name, figure.date
        ));
    }
    screen.line("");
    let rows: Vec<Vec<String>> = offers.iter().map(|offer| offer_row(shelf, offer)).collect();
    let headings = ["task", "provider", "endpoint", "usual call", "time", "price", "read", "state"];
    screen.table(&headings, &rows);
    Ok(())
}

fn warnings(model: &Model) -> Vec<String> {
    let mut warnings = Vec::new();
    if !model.note.is_empty() {
        warnings.push(model.note.clone());
    }
    let instead = model.lifecycle.replacement.as_ref();
    let instead = instead.map(|next| format!("; use `{next}`")).unwrap_or_default();
    if let Some(unserved) = model.unserved() {
        warnings.push(format!("{unserved}{instead}"));
    } else if let Some(day) = &model.lifecycle.ends {
        warnings.push(format!("it ends on {day}{instead}"));
    }
    warnings
}

fn facts(model: &Model) -> [(&'static str, String); 9] {
    [
        ("company", model.company.clone()),
        ("version", model.version.clone()),
        ("licence", model.licence.clone()),
        ("terms", model.terms.clone()),
        ("training data", model.training_data.clone()),
        ("tier", model.tier.to_string()),
        ("state", model.lifecycle.status.as_str().to_owned()),
        ("also called", model.aliases.join(", ")),
        ("can", model.capabilities.join(", ")),
    ]
}

/// How long, how large and with how many references it can be, at one provider or another, where a
/// provider says it.
fn reach(offers: &[&Offer]) -> Vec<(&'static str, String)> {
    let said = |name: &'static str| {
        let served = offers.iter().filter(|offer| offer.lifecycle.status.is_served());
        served.filter_map(move |offer| offer.params.get(name))
    };
    let most = |name| said(name).filter_map(|said| said.max).max_by(f64::total_cmp);
    let words = said("resolution").flat_map(|said| &said.values);
    let lines = |word: &String| short_side(word).unwrap_or_default();
    let named = words.max_by(|a, b| lines(a).total_cmp(&lines(b))).cloned();
    let side = || most("width").zip(most("height")).map(|(w, h)| format!("{w} × {h}"));
    let facts = [
        ("longest", most("duration").map(|seconds| format!("{seconds} s"))),
        ("largest", named.or_else(side)),
        ("references", most("reference_images").map(|many| format!("up to {many} pictures"))),
    ];
    facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))).collect()
}

/// How long a usual call takes; in brackets where nobody measured it.
fn usual_time(offer: &Offer) -> String {
    let time = seconds(offer.time.estimate_ms(&Values::new()));
    if offer.time.source.is_some() { time } else { format!("({time})") }
}

fn offer_row(shelf: &Shelf<'_>, offer: &Offer) -> Vec<String> {
    let needs: Vec<String> =
        offer.needs.iter().map(|need| format!("needs {}", need.program)).collect();
    let provider = shelf.catalog.providers.get(&offer.provider);
    // What its model is, it is too.
    let whole = shelf.catalog.models.get(&offer.model).map(|model| model.lifecycle.status);
    let mut lives = [Some(offer.lifecycle.status), whole].into_iter().flatten();
    let state = match lives.find(|life| !life.is_served()) {
        Some(gone) => gone.as_str().to_owned(),
        None => {
            let unusable = provider.and_then(|provider| unusable(provider, shelf.settings));
            unusable.unwrap_or_else(|| "ready".to_owned())
        }
    };
    let usual = if offer.price.known {
        offer.price.estimate(&Values::new()).to_string()
    } else {
        String::new()
    };
    vec![
        offer.task.to_string(),
        offer.provider.to_string(),
        offer.endpoint.clone(),
        usual,
        usual_time(offer),
        offer.price.describe(),
        offer.price.as_of.clone().unwrap_or_default(),
        [state].into_iter().chain(needs).collect::<Vec<_>>().join(", "),
    ]
}
