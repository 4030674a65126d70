//! Reads providers and models.

use impasto_domain::{ModelId, ProviderId, TaskId, Tier};

use super::offer;
use crate::catalog::Catalog;
use crate::model::{
    Concurrency, Lifecycle, LifecycleStatus, Model, Need, Offer, PromptStyle, Provider, Quality,
};
use crate::read::{Node, Table};

const TIERS: [(&str, Tier); 3] =
    [("draft", Tier::Draft), ("standard", Tier::Standard), ("hero", Tier::Hero)];
const PROMPT_STYLES: [(&str, PromptStyle); 2] =
    [("sentence", PromptStyle::Sentence), ("tags", PromptStyle::Tags)];
const STATUSES: [(&str, LifecycleStatus); 3] = [
    ("active", LifecycleStatus::Active),
    ("deprecated", LifecycleStatus::Deprecated),
    ("retired", LifecycleStatus::Retired),
];

/// Reads a provider. What cannot be read is reported and left out.
pub(super) fn read_provider(mut table: Table<'_>, id: &str) -> Provider {
    let words = |node: Option<Node<'_>>| node.and_then(|node| node.words()).unwrap_or_default();
    let title = words(table.need("title"));
    let description = words(table.need("description"));
    let dialect = words(table.need("dialect"));
    let concurrency = table.need("concurrency").and_then(read_concurrency);
    let needs = table.get("needs").map(read_needs).unwrap_or_default();
    table.finish("a provider");
    let concurrency = concurrency.unwrap_or(Concurrency::Limit(1));
    Provider { id: ProviderId::new(id), title, description, dialect, concurrency, needs }
}

fn read_concurrency(node: Node<'_>) -> Option<Concurrency> {
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
        training_data: words(table.need("training_data")),
        description: words(table.need("description")),
        note: table.get("note").and_then(|node| node.text()).unwrap_or_default(),
        tier: table.need("tier").and_then(|node| node.one_of("tier", &TIERS)).unwrap_or_default(),
        prompt_style: table
            .get("prompt_style")
            .and_then(|node| node.one_of("prompt style", &PROMPT_STYLES))
            .unwrap_or(PromptStyle::Sentence),
        tasks: Vec::new(),
        quality: quality.into_iter().filter_map(read_quality).collect(),
        lifecycle,
        offers: Vec::new(),
    };
    let listed = table.need("offers");
    let items = listed.map(|node| node.items()).unwrap_or_default();
    if let (Some(node), true) = (listed, items.is_empty()) {
        let hint = "a model that nobody offers cannot be used; add an [[offers]] table";
        node.problem(format!("the model `{id}` has no offers"), Some(hint.to_owned()));
    }
    table.finish("a model");
    let offers = read_offers(&model, &items, catalog);
    model.offers = offers.iter().map(|offer| offer.id.clone()).collect();
    model.tasks = tasks_of(&offers);
    (model, offers)
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
            let hint = "a model has one offer for each task at each provider";
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
    table.finish("a quality figure");
    Some(Quality { name: name?, value: value?, source: source?, date: date? })
}

fn read_lifecycle(node: Node<'_>) -> Option<Lifecycle> {
    let mut table = node.table()?;
    let status = table.need("status").and_then(|node| node.one_of("status", &STATUSES));
    let ends = table.get("ends").and_then(read_date);
    let replacement = table.get("replacement").and_then(|node| node.words());
    table.finish("a lifecycle");
    Some(Lifecycle { status: status?, ends, replacement: replacement.map(ModelId::new) })
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
