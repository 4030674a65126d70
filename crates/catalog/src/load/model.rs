//! Reads models.

use impasto_domain::{ModelId, TaskId, Tier};

use super::{capability, offer};
use crate::catalog::Catalog;
use crate::model::{
    Commercial, Lifecycle, LifecycleStatus, Model, Need, Offer, PromptStyle, Quality,
};
use crate::provider::Concurrency;
use crate::read::{Node, Table};

const TIERS: [(&str, Tier); 3] =
    [("draft", Tier::Draft), ("standard", Tier::Standard), ("hero", Tier::Hero)];
const PROMPT_STYLES: [(&str, PromptStyle); 2] =
    [("sentence", PromptStyle::Sentence), ("tags", PromptStyle::Tags)];
const STATUSES: [(&str, LifecycleStatus); 5] = [
    ("active", LifecycleStatus::Active),
    ("preview", LifecycleStatus::Preview),
    ("deprecated", LifecycleStatus::Deprecated),
    ("retired", LifecycleStatus::Retired),
    ("no_api", LifecycleStatus::NoApi),
];
const COMMERCIAL: [(&str, Commercial); 4] = [
    ("unknown", Commercial::Unknown),
    ("allowed", Commercial::Allowed),
    ("conditions", Commercial::Conditions),
    ("forbidden", Commercial::Forbidden),
];

/// Reads how many calls are made at the same time.
pub(super) fn read_concurrency(node: Node<'_>) -> Option<Concurrency> {
    if node.as_text() == Some("cores") {
        return Some(Concurrency::Cores);
    }
    let limit = node.data().and_then(|value| u32::try_from(value.as_integer()?).ok());
    let limit = limit.filter(|limit| *limit > 0);
    if limit.is_none() {
        let hint = "write a whole number from 1, or \"cores\" for one call on each core".to_owned();
        node.problem("this is not a number of calls at the same time", Some(hint));
    }
    limit.map(Concurrency::Limit)
}

/// Reads the programs that something needs.
pub(super) fn read_needs(node: Node<'_>) -> Vec<Need> {
    let read = |item: &Node<'_>| {
        let mut table = item.table()?;
        let program = table.need("program").and_then(|node| node.words());
        let hint = table.need("hint").and_then(|node| node.words());
        table.finish("a need");
        Some(Need { program: program?, hint: hint? })
    };
    node.items().iter().filter_map(read).collect()
}

/// Reads a model with its offers. What cannot be read is reported and left out.
pub(super) fn read_model(mut table: Table<'_>, id: &str, catalog: &Catalog) -> (Model, Vec<Offer>) {
    let words = |node: Option<Node<'_>>| node.and_then(|node| node.words()).unwrap_or_default();
    let lifecycle = table.get("lifecycle").and_then(read_lifecycle).unwrap_or_default();
    let quality = table.get("quality").map(|node| node.items()).unwrap_or_default();
    let mut model = Model {
        id: ModelId::new(id),
        title: words(table.need("title")),
        company: words(table.need("company")),
        version: words(table.need("version")),
        licence: words(table.need("licence")),
        commercial: table
            .get("commercial")
            .and_then(|node| node.one_of("rule for commercial use", &COMMERCIAL))
            .unwrap_or_default(),
        terms: table.get("terms").and_then(|node| node.text()).unwrap_or_default(),
        training_data: words(table.need("training_data")),
        aliases: table.get("aliases").map(|node| read_aliases(node, catalog)).unwrap_or_default(),
        description: words(table.need("description")),
        note: table.get("note").and_then(|node| node.text()).unwrap_or_default(),
        tier: table.need("tier").and_then(|node| node.one_of("tier", &TIERS)).unwrap_or_default(),
        prompt_style: table
            .get("prompt_style")
            .and_then(|node| node.one_of("prompt style", &PROMPT_STYLES))
            .unwrap_or(PromptStyle::Sentence),
        capabilities: table.get("capabilities").map(capability::read).unwrap_or_default(),
        tasks: Vec::new(),
        quality: quality.into_iter().filter_map(read_quality).collect(),
        lifecycle,
        offers: Vec::new(),
    };
    let listed = table.need("offers");
    let items = listed.map(|node| node.items()).unwrap_or_default();
    let is_served = model.lifecycle.status.is_served();
    if let (Some(node), true, true) = (listed, items.is_empty(), is_served) {
        let hint = "a model that nobody offers cannot be used; add an [[offers]] table";
        node.problem(format!("the model `{id}` has no offers"), Some(hint.to_owned()));
    }
    table.finish("a model");
    let offers = read_offers(&model, &items, catalog);
    model.offers = offers.iter().map(|offer| offer.id.clone()).collect();
    model.tasks = tasks_of(&offers);
    let found = offers.iter().flat_map(|offer| offer.capabilities.iter().cloned());
    model.capabilities.extend(found);
    model.capabilities.sort();
    model.capabilities.dedup();
    (model, offers)
}

/// Other names of a model. The name of a task leaves the choice of the model open, so it is none.
fn read_aliases(node: Node<'_>, catalog: &Catalog) -> Vec<String> {
    let alias = |item: &Node<'_>| {
        let alias = item.text()?;
        if catalog.tasks.contains_key(&TaskId::new(&alias)) {
            let hint = "it means any model that performs it; take the alias out";
            item.problem(format!("`{alias}` is the name of a task"), Some(hint.to_owned()));
            return None;
        }
        Some(alias)
    };
    node.items().iter().filter_map(alias).collect()
}

fn read_offers(model: &Model, items: &[Node<'_>], catalog: &Catalog) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for item in items {
        let Some(offer) = item.table().and_then(|table| offer::read_offer(table, model, catalog))
        else {
            continue;
        };
        if offers.iter().any(|other| other.id == offer.id) {
            let message = format!("the offer `{}` is there already", offer.id);
            let hint = "tell them apart by a `variant`";
            item.problem(message, Some(hint.to_owned()));
            continue;
        }
        offers.push(offer);
    }
    offers
}

/// The tasks of some offers, each once, by id.
fn tasks_of(offers: &[Offer]) -> Vec<TaskId> {
    let mut tasks: Vec<TaskId> = offers.iter().map(|offer| offer.task.clone()).collect();
    tasks.sort();
    tasks.dedup();
    tasks
}

fn read_quality(node: Node<'_>) -> Option<Quality> {
    let mut table = node.table()?;
    let name = table.need("name").and_then(|node| node.words());
    let value = table.need("value").and_then(|node| node.number());
    let source = table.need("source").and_then(|node| node.words());
    let date = table.need("date").and_then(read_date);
    let rank = table.get("rank").and_then(|node| node.length());
    let rank = rank.and_then(|rank| u32::try_from(rank).ok());
    let votes = table.get("votes").and_then(|node| node.length()).map(|votes| votes as u64);
    table.finish("a quality figure");
    Some(Quality { name: name?, value: value?, source: source?, date: date?, rank, votes })
}

/// Reads where a model or an offer is in its life.
pub(super) fn read_lifecycle(node: Node<'_>) -> Option<Lifecycle> {
    let mut table = node.table()?;
    let status = table.need("status").and_then(|node| node.one_of("status", &STATUSES));
    let ends = table.get("ends").and_then(read_date);
    let replacement = table.get("replacement").and_then(|node| node.words());
    let as_of = table.get("as_of").and_then(read_date);
    let source = table.get("source").and_then(|node| node.words());
    table.finish("a lifecycle");
    let replacement = replacement.map(ModelId::new);
    Some(Lifecycle { status: status?, ends, replacement, as_of, source })
}

/// A day, written `2026-07-10` in quotes.
pub(super) fn read_date(node: Node<'_>) -> Option<String> {
    let text = node.text()?;
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape != "0000-00-00" {
        let hint = "write year, month and day: \"2026-07-10\"".to_owned();
        node.problem(format!("'{text}' is not a date"), Some(hint));
        return None;
    }
    Some(text)
}
