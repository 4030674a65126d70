//! From files to a checked catalogue.
//!
//! Where a file lies says what it is: `tasks/ID.toml`, `providers/ID.toml`, `models/COMPANY/ID.toml`.
//! First the layers are laid over each other by id, then what is left is read: tasks and providers
//! before the models that name them.

pub(crate) mod capability;
mod field;
mod mapping;
mod model;
mod offer;
mod output;
mod provider;
mod rates;

use std::collections::BTreeMap;

use impasto_domain::{Diagnostic, Digest, Field, ModelId, Severity, Task};
use toml::de::DeTable;

use crate::catalog::{Catalog, Finding, Layer};
use crate::index::Index;
use crate::model::{Model, Offer};
use crate::provider::Provider;
use crate::read::{Key, Problems, Table, suggestion};

/// What a file describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Task,
    Provider,
    Model,
}

impl Kind {
    /// What the file at `path` describes, and the id that it must have.
    fn of(path: &str) -> Option<(Self, &str)> {
        let (folder, rest) = path.split_once('/')?;
        let stem = rest.rsplit('/').next()?.strip_suffix(".toml")?;
        let kind = match folder {
            "tasks" => Self::Task,
            "providers" => Self::Provider,
            "models" => Self::Model,
            _ => return None,
        };
        Some((kind, stem))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Provider => "provider",
            Self::Model => "model",
        }
    }
}

/// A file that counts, because no later layer lies over it.
#[derive(Clone, Copy)]
struct Source<'a> {
    layer: &'a str,
    path: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn finding(&self, diagnostic: Diagnostic) -> Finding {
        Finding {
            layer: self.layer.to_owned(),
            path: self.path.to_owned(),
            text: self.text.to_owned(),
            diagnostic,
        }
    }
}

type Sources<'a> = BTreeMap<(Kind, &'a str), Source<'a>>;

/// What a file describes, once it is read.
enum Entry {
    Task(Task),
    Provider(Box<Provider>),
    Model(Box<Model>, Vec<Offer>),
}

/// A file that is read, and what is to be said about it.
type Read = (Entry, Vec<Diagnostic>);

/// See [`Catalog::load`].
pub(crate) fn load(layers: &[Layer]) -> Result<(Catalog, Vec<Finding>), Vec<Finding>> {
    let mut findings = Vec::new();
    let sources = overlay(layers, &mut findings);
    let mut catalog = Catalog { revision: revision(&sources), ..Catalog::default() };
    // Tasks come first, then providers, then the models that name them.
    for ((kind, id), source) in &sources {
        let read = read_entry(&catalog, source, *kind, id);
        keep(&mut catalog, source, read, &mut findings);
    }
    for offer in catalog.offers.values() {
        catalog.by_task.entry(offer.task.clone()).or_default().push(offer.id.clone());
        let of_task = catalog.by_provider.entry(offer.task.clone()).or_default();
        let of_provider = of_task.entry(offer.provider.clone()).or_default();
        of_provider.push((offer.id.clone(), offer.model.clone()));
    }
    catalog.index = Index::of(&catalog);
    check_whole(&catalog, &sources, &mut findings);
    if findings.iter().any(|finding| finding.diagnostic.severity == Severity::Error) {
        findings.retain(|finding| finding.diagnostic.severity == Severity::Error);
        return Err(findings);
    }
    Ok((catalog, findings))
}

/// Reads one file. What could be read counts even with problems, so that its users are not blamed too.
fn read_entry(catalog: &Catalog, source: &Source<'_>, kind: Kind, id: &str) -> Read {
    let problems = Problems::default();
    let (parsed, errors) = DeTable::parse_recoverable(source.text);
    if errors.is_empty() {
        let mut table = Table::root(parsed.get_ref(), &problems);
        check_id(&mut table, kind, id);
        return (read_table(catalog, table, kind, id), problems.into_sorted());
    }
    // What is left of it is read in silence, so that those who name it are not blamed.
    let silence = Problems::default();
    let entry = read_table(catalog, Table::root(parsed.get_ref(), &silence), kind, id);
    for error in errors {
        let span = error.span().unwrap_or_default();
        problems.add(Diagnostic::error(span, error.message().replace('\n', "; ")));
    }
    (entry, problems.into_sorted())
}

fn read_table(catalog: &Catalog, table: Table<'_>, kind: Kind, id: &str) -> Entry {
    match kind {
        Kind::Task => Entry::Task(field::read_task(table, id)),
        Kind::Provider => Entry::Provider(Box::new(provider::read_provider(table, id, catalog))),
        Kind::Model => {
            let (model, offers) = model::read_model(table, id, catalog);
            Entry::Model(Box::new(model), offers)
        }
    }
}

fn keep(
    catalog: &mut Catalog,
    source: &Source<'_>,
    (entry, diagnostics): Read,
    findings: &mut Vec<Finding>,
) {
    findings.extend(diagnostics.into_iter().map(|diagnostic| source.finding(diagnostic)));
    match entry {
        Entry::Task(task) => {
            catalog.tasks.insert(task.id.clone(), task);
        }
        Entry::Provider(provider) => {
            catalog.providers.insert(provider.id.clone(), *provider);
        }
        Entry::Model(model, offers) => {
            catalog.models.insert(model.id.clone(), *model);
            catalog.offers.extend(offers.into_iter().map(|offer| (offer.id.clone(), offer)));
        }
    }
}

/// Lays the layers over each other. Within one layer an id may be used once.
fn overlay<'a>(layers: &'a [Layer], findings: &mut Vec<Finding>) -> Sources<'a> {
    let mut sources = Sources::new();
    for layer in layers {
        let mut own = Sources::new();
        let mut files: Vec<&(String, String)> = layer.files.iter().collect();
        files.sort();
        for (path, text) in files {
            let source = Source { layer: &layer.name, path, text };
            let Some((kind, id)) = Kind::of(path) else {
                let message = "this file is not read, because it is in none of the known folders";
                let hint = "put it into tasks/, providers/ or models/COMPANY/, and end it in .toml";
                findings.push(source.finding(Diagnostic::warning(0..0, message).hint(hint)));
                continue;
            };
            if let Some(first) = own.insert((kind, id), source) {
                let message = format!("there is another {} `{id}`, in {}", kind.word(), first.path);
                let hint = "an id is used once in a folder; rename one of them";
                findings.push(source.finding(Diagnostic::error(0..0, message).hint(hint)));
            }
        }
        sources.extend(own);
    }
    sources
}

/// A digest of everything that counts. The layers it came from do not matter.
fn revision(sources: &Sources<'_>) -> String {
    let mut bytes = Vec::new();
    for ((kind, id), source) in sources {
        for part in [kind.word(), id, source.text] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
    }
    Digest::of(&bytes).short()
}

/// Checks that the entry says the id that its file name says, and that it can be one.
fn check_id(table: &mut Table<'_>, kind: Kind, stem: &str) {
    let Some((node, id)) = table.need("id").and_then(|node| Some((node, node.text()?))) else {
        return;
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let begins_well = id.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !begins_well || !id.chars().all(allowed) {
        let hint = "use small letters, digits, '-', '.' and '_', beginning with a letter or digit";
        node.problem(format!("'{id}' cannot be the id of a {}", kind.word()), Some(hint.into()));
    } else if id != stem {
        let hint = format!("name the file {id}.toml, or write id = \"{stem}\"");
        let message = format!("the file is called {stem}.toml, but the id is `{id}`");
        node.problem(message, Some(hint));
    }
}

/// What can only be seen when everything has been read.
fn check_whole(catalog: &Catalog, sources: &Sources<'_>, findings: &mut Vec<Finding>) {
    for task in catalog.tasks.keys().filter(|task| !catalog.by_task.contains_key(*task)) {
        if let Some(source) = sources.get(&(Kind::Task, task.as_str())) {
            let warning = Diagnostic::warning(0..0, format!("nothing performs the task `{task}`"))
                .hint("add an offer for it to a model");
            findings.push(source.finding(warning));
        }
    }
    check_aliases(catalog, sources, findings);
    for model in catalog.models.values() {
        let Some(replacement) = &model.lifecycle.replacement else { continue };
        let source = sources.get(&(Kind::Model, model.id.as_str()));
        if let (None, Some(source)) = (catalog.models.get(replacement), source) {
            let span = source
                .text
                .find(replacement.as_str())
                .map_or(0..0, |at| at..at + replacement.as_str().len());
            let message = format!("the replacement `{replacement}` is not in the catalogue");
            findings.push(source.finding(Diagnostic::warning(span, message)));
        }
    }
}

/// A name stands for one model.
fn check_aliases(catalog: &Catalog, sources: &Sources<'_>, findings: &mut Vec<Finding>) {
    let mut named: BTreeMap<String, &ModelId> =
        catalog.models.keys().map(|id| (id.as_str().to_lowercase(), id)).collect();
    for model in catalog.models.values() {
        for alias in &model.aliases {
            let other = *named.entry(alias.to_lowercase()).or_insert(&model.id);
            let source = sources.get(&(Kind::Model, model.id.as_str()));
            let (true, Some(source)) = (*other != model.id, source) else { continue };
            let quoted = format!("\"{alias}\"");
            let begin = source.text.find("aliases").unwrap_or_default();
            let found = source.text.get(begin..).and_then(|rest| rest.find(&quoted));
            let span = found.map_or(0..0, |at| begin + at..begin + at + quoted.len());
            let message = format!("`{alias}` is the name of the model `{other}` already");
            let error = Diagnostic::error(span, message).hint("take the alias out of one of them");
            findings.push(source.finding(error));
        }
    }
}

/// The input of `task` that a key names; reports it if there is none.
fn input_named<'t>(task: &'t Task, key: Key<'_>, problems: &Problems) -> Option<&'t Field> {
    let field = task.input_field(key.name);
    if field.is_none() {
        let known: Vec<&str> = task.input.iter().map(|field| field.name.as_str()).collect();
        let message = format!("the task `{}` has no input `{}`", task.id, key.name);
        let hint = suggestion(key.name, &known);
        problems.add(Diagnostic::error(key.span, message).hint(hint));
    }
    field
}
