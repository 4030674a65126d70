//! Models as this dialect names them: `owner/name`, with versions and what each takes.
//!
//! Every model of the catalogue is one, under its company's name; any owner is taken. `impasto/auto` and
//! `impasto/draft`, `standard`, `hero` leave the choice to the router and make pictures;
//! `<task>/auto`, `<task>/hero` or `<task>/<model>` say what is to be done; `workflows/<name>` is a
//! workflow that was put here.

use impasto_catalog::{Catalog, Model};
use impasto_dialects::replicate::wire;
use impasto_domain::{Digest, Error, Field, Result, Task, TaskId, Type};
use serde_json::{Map, Value as Json, json};

use crate::calls::{ANY_MODEL, Name, find_model};

/// The owner of names that are no model's, and the owner of workflows.
const OWN: &str = "impasto";
const WORKFLOWS: &str = "workflows";
/// Names that leave the choice to the router, and what each says of itself.
const CHOICES: [(&str, &str); 4] = [
    (ANY_MODEL, "Whatever does it best."),
    ("draft", "Whatever shows soon and cheaply whether the idea works."),
    ("standard", "Whatever is good enough to use."),
    ("hero", "Whatever does it as well as can be had."),
];
/// What a name means that says nothing of what is to be done.
const USUAL_TASK: &str = "text-to-image";
/// The version of what has none.
const NO_VERSION: &str = "hidden";
/// The version of the packing that the schemas follow.
const COG_VERSION: &str = "0.16.0";
/// Catalogues have no dates of models; clients insist on one.
const CREATED_AT: &str = "2026-01-01T00:00:00.000Z";

/// What `owner/name` stands for.
pub(super) struct Meant {
    pub(super) name: Name,
    pub(super) tasks: Vec<TaskId>,
    pub(super) version: String,
}

/// What a model of this dialect is of ours.
enum Entry<'c> {
    Model(&'c Model, Option<&'c Task>),
    Choice { task: &'c Task, choice: &'static str, about: &'static str },
}

impl Entry<'_> {
    fn version(&self) -> String {
        let what = match self {
            Self::Model(model, None) => format!("{}\n{}", model.id, model.version),
            Self::Model(model, Some(task)) => {
                format!("{}\n{}\n{}", model.id, model.version, task.id)
            }
            Self::Choice { task, choice, .. } => format!("{}\n{choice}", task.id),
        };
        Digest::of(what.as_bytes()).to_string()
    }
}

/// What `owner/name` stands for; the choice of the tasks is left to what the input says.
pub(super) fn meant(catalog: &Catalog, owner: &str, name: &str) -> Result<Meant> {
    if owner == WORKFLOWS {
        let name = Name::Workflow { name: name.to_owned(), version: None };
        return Ok(Meant { name, tasks: Vec::new(), version: NO_VERSION.to_owned() });
    }
    if let Some(task) = catalog.tasks.get(&TaskId::new(name)) {
        let tasks = vec![task.id.clone()];
        return Ok(Meant { name: Name::Task(task.id.clone()), tasks, version: NO_VERSION.into() });
    }
    let entry = entry(catalog, owner, name)?;
    let version = entry.version();
    Ok(match entry {
        Entry::Model(model, task) => Meant {
            name: Name::Model(if task.is_some() {
                model.id.to_string()
            } else {
                format!("{owner}/{name}")
            }),
            tasks: task.map(|task| task.id.clone()).into_iter().collect(),
            version,
        },
        Entry::Choice { task, choice, .. } => {
            Meant { name: Name::Model(choice.to_owned()), tasks: vec![task.id.clone()], version }
        }
    })
}

fn entry<'c>(catalog: &'c Catalog, owner: &str, name: &str) -> Result<Entry<'c>> {
    let said = catalog.tasks.get(&TaskId::new(owner));
    if let Some((choice, about)) = CHOICES.iter().find(|(choice, _)| *choice == name) {
        let task = match said {
            Some(task) => task,
            None => catalog.task(&TaskId::new(USUAL_TASK))?,
        };
        return Ok(Entry::Choice { task, choice, about });
    }
    let (model, _) = match said {
        Some(_) => find_model(catalog, name)?,
        None => find_model(catalog, &format!("{owner}/{name}"))?,
    };
    Ok(Entry::Model(model, said))
}

/// `owner/name` of the version of that id; a name is taken too, with a version or without.
pub(super) fn of_version(catalog: &Catalog, version: &str) -> Result<(String, String)> {
    let named = version.split(':').next().unwrap_or(version);
    if let Some((owner, name)) = named.split_once('/') {
        return Ok((owner.to_owned(), name.to_owned()));
    }
    let found = every(catalog).find(|(.., entry)| entry.version() == version);
    found.map(|(owner, name, _)| (owner, name)).ok_or_else(|| {
        Error::invalid("the version does not exist, or this server does not have it")
            .hint("GET /v1/models lists models with their versions; `owner/name` is taken too")
    })
}

/// Everything that can be called, by owner and name.
fn every(catalog: &Catalog) -> impl Iterator<Item = (String, String, Entry<'_>)> {
    let models = catalog.models.values();
    let models =
        models.map(|model| (slug(&model.company), model.id.to_string(), Entry::Model(model, None)));
    let usual = catalog.tasks.get(&TaskId::new(USUAL_TASK)).map(|task| (OWN.to_owned(), task));
    let tasks = catalog.tasks.values().map(|task| (task.id.to_string(), task));
    let choices = usual.into_iter().chain(tasks).flat_map(|(owner, task)| {
        CHOICES.iter().map(move |(choice, about)| {
            (owner.clone(), (*choice).to_owned(), Entry::Choice { task, choice, about })
        })
    });
    let of_tasks = catalog.models.values().flat_map(|model| {
        let tasks = model.tasks.iter().filter_map(|task| catalog.tasks.get(task));
        tasks.map(|task| {
            (task.id.to_string(), model.id.to_string(), Entry::Model(model, Some(task)))
        })
    });
    models.chain(choices).chain(of_tasks)
}

/// A part of the list of models, and whether there is more.
pub(super) fn page(catalog: &Catalog, from: usize, most: usize) -> (Vec<wire::Model>, bool) {
    let listed = every(catalog).skip(from).take(most + 1);
    let mut models: Vec<_> =
        listed.map(|(owner, name, one)| shown(catalog, owner, name, &one)).collect();
    let more = models.len() > most;
    models.truncate(most);
    (models, more)
}

/// Models that have every word of a question in their name, title or description.
pub(super) fn found(catalog: &Catalog, question: &str, most: usize) -> Vec<wire::Model> {
    let question = question.to_lowercase();
    let words: Vec<&str> = question.split_whitespace().collect();
    let listed = every(catalog).map(|(owner, name, one)| shown(catalog, owner, name, &one));
    let fits = |model: &wire::Model| {
        let about = model.description.as_deref().unwrap_or_default();
        let text = format!("{}/{} {about}", model.owner, model.name).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    listed.filter(fits).take(most).collect()
}

/// The model under a name.
pub(super) fn model(catalog: &Catalog, owner: &str, name: &str) -> Result<wire::Model> {
    let entry = entry(catalog, owner, name)?;
    Ok(shown(catalog, owner.to_owned(), name.to_owned(), &entry))
}

/// Tasks as collections.
pub(super) fn collections(catalog: &Catalog) -> Vec<wire::Collection> {
    catalog.tasks.values().map(collection).collect()
}

/// A task with the models that do it.
pub(super) fn collection_of(catalog: &Catalog, slug: &str) -> Result<wire::Collection> {
    let task = catalog.task(&TaskId::new(slug))?;
    let able = catalog.models.values().filter(|model| model.tasks.contains(&task.id));
    let able = able.map(|model| {
        shown(catalog, slug.to_owned(), model.id.to_string(), &Entry::Model(model, Some(task)))
    });
    Ok(wire::Collection { models: Some(able.collect()), ..collection(task) })
}

fn collection(task: &Task) -> wire::Collection {
    wire::Collection {
        slug: task.id.to_string(),
        name: task.title.clone(),
        description: task.description.clone(),
        models: None,
    }
}

fn shown(catalog: &Catalog, owner: String, name: String, entry: &Entry<'_>) -> wire::Model {
    let (description, tasks) = match entry {
        Entry::Model(model, Some(task)) => (model.description.clone(), vec![*task]),
        Entry::Model(model, None) => {
            let tasks = model.tasks.iter().filter_map(|task| catalog.tasks.get(task));
            (model.description.clone(), tasks.collect())
        }
        Entry::Choice { task, about, .. } => (format!("{} {about}", task.description), vec![*task]),
    };
    let version = wire::Version {
        id: entry.version(),
        created_at: CREATED_AT.to_owned(),
        cog_version: COG_VERSION.to_owned(),
        openapi_schema: schema(&format!("{owner}/{name}"), &tasks),
    };
    wire::Model {
        url: format!("urn:impasto:model:{owner}/{name}"),
        owner,
        name,
        description: Some(description),
        visibility: "public".to_owned(),
        latest_version: Some(version),
        ..wire::Model::default()
    }
}

/// What one who makes models is called in addresses.
fn slug(company: &str) -> String {
    let words = company.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<String> =
        words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    if words.is_empty() { OWN.to_owned() } else { words.join("-") }
}

/// What it takes and gives. Of several tasks, what any of them takes; needed is what all of them need.
fn schema(title: &str, tasks: &[&Task]) -> Json {
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    for field in tasks.iter().flat_map(|task| &task.input) {
        if !properties.contains_key(&field.name) {
            let order = properties.len();
            properties.insert(field.name.clone(), property(field, order));
            let needs =
                |task: &&Task| task.input.iter().any(|own| own.name == field.name && own.required);
            if tasks.iter().all(needs) {
                required.push(&field.name);
            }
        }
    }
    let output = tasks.first().map_or_else(|| json!({}), |task| output(&task.output));
    json!({
        "openapi": "3.0.2",
        "info": {"title": title, "version": COG_VERSION},
        "paths": {},
        "components": {"schemas": {
            "Input": {"type": "object", "title": "Input", "required": required, "properties": properties},
            "Output": output,
        }},
    })
}

/// The schema of what [`super::shape::main_output`] gives.
fn output(fields: &[Field]) -> Json {
    let files: Vec<&Field> = fields.iter().filter(|field| is_media(&field.ty)).collect();
    let all: Vec<&Field> = fields.iter().collect();
    match (files.as_slice(), all.as_slice()) {
        ([one], _) | ([], [one]) => titled(of_type(&one.ty), "Output"),
        _ => {
            let properties: Map<String, Json> =
                fields.iter().map(|field| (field.name.clone(), of_type(&field.ty))).collect();
            json!({"type": "object", "title": "Output", "properties": properties})
        }
    }
}

fn is_media(ty: &Type) -> bool {
    match ty {
        Type::Media(_) => true,
        Type::List(item) => is_media(item),
        _ => false,
    }
}

fn titled(mut schema: Json, title: &str) -> Json {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), title.into());
    }
    schema
}

fn of_type(ty: &Type) -> Json {
    match ty {
        Type::Text | Type::Prompt => json!({"type": "string"}),
        Type::Integer => json!({"type": "integer"}),
        Type::Number => json!({"type": "number"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::Media(_) => json!({"type": "string", "format": "uri"}),
        Type::Json => json!({}),
        Type::List(item) => json!({"type": "array", "items": of_type(item)}),
    }
}

fn property(field: &Field, order: usize) -> Json {
    let mut schema = of_type(&field.ty);
    let Some(object) = schema.as_object_mut() else { return schema };
    let (least, most) = match field.ty {
        Type::List(_) => ("minItems", "maxItems"),
        _ => ("minimum", "maximum"),
    };
    let title = field.name.replace('_', " ");
    let facts = [
        ("title", Some(title.into())),
        ("description", Some(field.description.as_str().into())),
        ("default", field.default.as_ref().map(impasto_domain::Value::to_json)),
        (least, field.min.map(number)),
        (most, field.max.map(number)),
        ("maxLength", field.max_chars.map(Json::from)),
        ("enum", (!field.values.is_empty()).then(|| field.values.as_slice().into())),
        ("x-order", Some(order.into())),
    ];
    for (name, fact) in facts {
        object.extend(fact.map(|fact| (name.to_owned(), fact)));
    }
    schema
}

/// A whole number as one.
fn number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Json::from(number as i64)
    } else {
        Json::from(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_leads_back_to_its_name() {
        let catalog = impasto_testkit::catalog().unwrap();
        let mut seen = 0;
        for (owner, name, entry) in every(&catalog) {
            let version = entry.version();
            let found = of_version(&catalog, &version).unwrap();
            assert_eq!(found, (owner.clone(), name.clone()), "{version}");
            assert_eq!(meant(&catalog, &owner, &name).unwrap().version, version);
            seen += 1;
        }
        assert!(seen > 10);
        assert!(of_version(&catalog, &"0".repeat(64)).is_err());
        let named = of_version(&catalog, "any/adder:latest").unwrap();
        assert_eq!(named, ("any".to_owned(), "adder".to_owned()));
    }

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let catalog = impasto_testkit::catalog().unwrap();
        let all = every(&catalog).count();
        let (mut from, mut listed) = (0, 0);
        loop {
            let (models, more) = page(&catalog, from, 3);
            (from, listed) = (from + 3, listed + models.len());
            if !more {
                break;
            }
        }
        assert_eq!(listed, all);
    }

    #[test]
    fn companies_become_owners() {
        let check = |company, expected| assert_eq!(slug(company), expected);
        check("Black Forest Labs", "black-forest-labs");
        check("Größer & Söhne", "gr-er-s-hne");
        check("画", OWN);
    }

    #[test]
    fn a_schema_tells_what_is_needed_and_what_comes() {
        let catalog = impasto_testkit::catalog().unwrap();
        let adder = model(&catalog, "any", "adder").unwrap().latest_version.unwrap();
        let schemas = &adder.openapi_schema["components"]["schemas"];
        assert_eq!(schemas["Input"]["required"], json!(["number"]));
        assert_eq!(schemas["Input"]["properties"]["by"]["default"], 1);
        assert_eq!(schemas["Output"], json!({"type": "integer", "title": "Output"}));
    }
}
