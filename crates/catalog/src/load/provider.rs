//! Reads providers.

use std::collections::BTreeMap;

use impasto_domain::{ProviderId, TaskId};
use serde::de::DeserializeOwned;

use super::model::{read_concurrency, read_needs};
use super::offer::find_task;
use crate::body::FileForm;
use crate::catalog::Catalog;
use crate::meter::Meter;
use crate::provider::{Auth, AuthScheme, Concurrency, Provider};
use crate::read::{Node, Table, suggestion};
use crate::wire::Call;

const FORMS: [(&str, FileForm); 5] = [
    ("url", FileForm::Url),
    ("upload", FileForm::Upload),
    ("base64", FileForm::Base64),
    ("data_uri", FileForm::DataUri),
    ("part", FileForm::Part),
];

/// Reads a provider. What cannot be read is reported and left out.
pub(super) fn read_provider(mut table: Table<'_>, id: &str, catalog: &Catalog) -> Provider {
    let words = |node: Option<Node<'_>>| node.and_then(|node| node.words()).unwrap_or_default();
    let title = words(table.need("title"));
    let description = words(table.need("description"));
    let dialect = words(table.need("dialect"));
    let concurrency = table.need("concurrency").and_then(read_concurrency);
    let needs = table.get("needs").map(read_needs).unwrap_or_default();
    let base = table.get("base").and_then(|node| told(node)).unwrap_or_default();
    let auth = table.get("auth").and_then(read_auth);
    let headers = table.get("headers").and_then(|node| told(node)).unwrap_or_default();
    let rate = table.get("rate").and_then(|node| told(node));
    let errors = table.get("errors").and_then(|node| told(node)).unwrap_or_default();
    let wires = table.get("wires");
    let count = table.get("count").and_then(|node| read_meter(node, true));
    let upload = table.get("upload").and_then(|node| told(node));
    let files = table.get("files").and_then(|node| node.one_of("way for a file", &FORMS));
    let idempotency_header = table.get("idempotency_header").and_then(|node| node.words());
    let categories = table.get("categories").map(|node| read_categories(node, catalog));
    let probe = table.get("probe");
    let schemas = table.get("schemas").and_then(|node| node.text()).unwrap_or_default();
    let site = table.get("site").and_then(|node| node.words());
    table.finish("a provider");
    let provider = Provider {
        id: ProviderId::new(id),
        title,
        description,
        dialect,
        concurrency: concurrency.unwrap_or(Concurrency::Limit(1)),
        needs,
        base,
        auth,
        headers,
        rate,
        errors,
        wires: wires.and_then(|node| told(node)).unwrap_or_default(),
        count,
        upload,
        files,
        idempotency_header,
        categories: categories.unwrap_or_default(),
        probe: probe.and_then(|node| told(node)).unwrap_or_default(),
        schemas,
        site,
    };
    if let Some(node) = wires {
        check_wires(&provider, node);
    }
    if let Some(node) = probe {
        check_bases(&provider, &provider.probe.calls(), node);
        if let Some(problem) = provider.probe.problem() {
            node.problem(problem, None);
        }
    }
    provider
}

/// Reads which tasks the provider's words for kinds of work stand for.
fn read_categories(node: Node<'_>, catalog: &Catalog) -> BTreeMap<String, Vec<TaskId>> {
    let tasks = |node: Node<'_>| {
        let items = node.items().into_iter();
        items.filter_map(|item| Some(find_task(item, catalog)?.id.clone())).collect()
    };
    node.entries().into_iter().map(|(key, node)| (key.name.to_owned(), tasks(node))).collect()
}

/// Something that says of itself how it is read; what is wrong with it is told where it is.
fn told<T: DeserializeOwned>(node: Node<'_>) -> Option<T> {
    node.told()
}

/// Reads where an answer says how much was billed; not `is_whole` where the provider's file says where.
pub(super) fn read_meter(node: Node<'_>, is_whole: bool) -> Option<Meter> {
    let meter: Meter = node.told()?;
    if let Some(problem) = meter.problem(is_whole) {
        node.problem(problem, Some("header = \"x-billed-units\"".to_owned()));
    }
    Some(meter)
}

fn read_auth(node: Node<'_>) -> Option<Auth> {
    let mut table = node.table()?;
    let env = table.need("env").map(|node| node.texts()).unwrap_or_default();
    let optional = table.get("optional").and_then(|node| node.boolean()).unwrap_or_default();
    let header = table.get("header").and_then(|node| node.words());
    let prefix = table.get("prefix").and_then(|node| node.text()).unwrap_or_default();
    let query = table.get("query").and_then(|node| node.words());
    let basic = table.get("basic").and_then(|node| node.boolean()).unwrap_or_default();
    table.finish("the way to show a key");
    if env.is_empty() {
        node.problem("no environment variable is named that may hold the key", None);
    }
    let scheme = match (header, query, basic) {
        (Some(name), None, false) => AuthScheme::Header { name, prefix },
        (None, Some(name), false) => AuthScheme::Query { name },
        (None, None, true) => AuthScheme::Basic,
        _ => {
            let hint = "header = \"authorization\", query = \"key\", or basic = true".to_owned();
            node.problem("a key goes to one place", Some(hint));
            return None;
        }
    };
    Some(Auth { scheme, env, optional })
}

/// Names that a driver can fill in at a submission, and at every later request.
const FACTS: [&str; 7] =
    ["endpoint", "model", "file_name", "media_type", "bytes", "task", "attempt"];

fn check_wires(provider: &Provider, node: Node<'_>) {
    let nodes = node.entries();
    for (name, wire) in &provider.wires {
        let Some((_, node)) = nodes.iter().find(|(key, _)| key.name == name) else { continue };
        check_bases(provider, &wire.calls(), *node);
        if let Some(problem) = wire.problem(&FACTS) {
            node.problem(problem, None);
        }
    }
}

fn check_bases(provider: &Provider, calls: &[&Call], node: Node<'_>) {
    for base in calls.iter().map(|call| call.base.as_str()) {
        if !provider.base.contains_key(base) {
            let known: Vec<&str> = provider.base.keys().map(String::as_str).collect();
            let message = format!("the provider has no base URL `{base}`");
            node.problem(message, Some(suggestion(base, &known)));
        }
    }
}
