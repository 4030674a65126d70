//! The page of every model and provider of the catalogue.
//!
//! Invariant: equal catalogues print equal text; nothing of the machine goes into it.

use std::collections::{BTreeMap, BTreeSet};

use impasto_catalog::{Catalog, Model, Offer};
use impasto_dialects::drivers;

const INTRO: &str = "# Systems\n\nWritten by `cargo xtask generate` from `catalog/`. A model that is served is called through any of \
its providers; which of them this program can reach, and with which key, `impasto models show MODEL` says.\n\n\
Each row: the model, what it makes, its tasks, where it can be called (with the number of offers), its state, its successor.\n";

/// The page.
pub(crate) fn page(catalog: &Catalog) -> String {
    let mut companies: BTreeMap<String, Vec<&Model>> = BTreeMap::new();
    for model in catalog.models.values() {
        companies.entry(model.company.clone()).or_default().push(model);
    }
    let mut page = INTRO.to_owned();
    page.push_str(&providers(catalog));
    for (company, models) in companies {
        page.push_str(&format!(
            "\n## {company}\n\n| system | what | tasks | where | state | successor |\n|---|---|---|---|---|---|\n"
        ));
        models.iter().for_each(|model| page.push_str(&row(catalog, model)));
    }
    page
}

fn providers(catalog: &Catalog) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for offer in catalog.offers.values() {
        *counts.entry(offer.provider.as_str()).or_default() += 1;
    }
    let mut table =
        "\n## Providers\n\n| provider | dialect | offers | key |\n|---|---|---|---|\n".to_owned();
    for provider in catalog.providers.values() {
        let keys = provider.auth.as_ref().map(|auth| auth.env.join("` or `"));
        let keys = keys.map(|keys| format!("`{keys}`")).unwrap_or_default();
        let offers = counts.get(provider.id.as_str()).copied().unwrap_or_default();
        let spoken = if is_spoken(&provider.dialect) { "" } else { ": not called yet" };
        table.push_str(&format!(
            "| {} (`{}`) | `{}`{spoken} | {offers} | {keys} |\n",
            provider.title, provider.id, provider.dialect
        ));
    }
    table.push_str(UNSPOKEN);
    table
}

/// What the page says of dialects that nothing here speaks.
const UNSPOKEN: &str = "\n*Not called yet*: the catalogue describes what these providers serve and what it costs, \
and no driver of this program speaks their dialect, so no call goes there. A model that is served only there cannot be called.\n";

/// Whether a driver speaks a dialect: one for hosted providers, or one of this process.
fn is_spoken(dialect: &str) -> bool {
    drivers::names().chain(["tools", "sketch"]).any(|spoken| spoken == dialect)
}

fn row(catalog: &Catalog, model: &Model) -> String {
    let offers: Vec<&Offer> = model.offers.iter().filter_map(|id| catalog.offers.get(id)).collect();
    let tasks: Vec<&str> = model.tasks.iter().map(impasto_domain::TaskId::as_str).collect();
    let providers: BTreeSet<&str> = offers.iter().map(|offer| offer.provider.as_str()).collect();
    let places = providers.into_iter().map(|provider| {
        let served = |offer: &&&Offer| {
            offer.provider.as_str() == provider && offer.lifecycle.status.is_served()
        };
        let dialect = catalog.providers.values().find(|known| known.id.as_str() == provider);
        match offers.iter().filter(served).count() {
            0 => format!("{provider} (no more)"),
            _ if dialect.is_some_and(|known| !is_spoken(&known.dialect)) => {
                format!("{provider} (not called yet)")
            }
            1 => provider.to_owned(),
            count => format!("{provider} ({count})"),
        }
    });
    let places: Vec<String> = places.collect();
    let ends = model.lifecycle.ends.as_ref().map(|day| format!(", {day}")).unwrap_or_default();
    let state = format!("{}{ends}", model.lifecycle.status.as_str().replace('_', " "));
    let successor = model.lifecycle.replacement.as_ref().map(|id| format!("`{id}`"));
    format!(
        "| {} (`{}`) | {} | {} | {} | {state} | {} |\n",
        model.title.replace('|', "/"),
        model.id,
        model.description.trim_end_matches('.'),
        tasks.join(", "),
        places.join(", "),
        successor.unwrap_or_default()
    )
}
