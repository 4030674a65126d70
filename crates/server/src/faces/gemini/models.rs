//! Models, as this dialect lists them.

use axum::response::Response;
use impasto_catalog::{Catalog, Model};
use impasto_dialects::gemini::wire;
use impasto_domain::{MediaKind, Result, Task, TaskId};

use super::error::Failure;
use super::input::{is_of, named_model};
use super::route::Kind;
use super::{Asked, json};
use crate::calls::find_model;
use crate::faces::models::CHOICES;

/// The most models in one page.
const PAGE_MAX: usize = 1_000;
/// Models in a page for those who do not say how many.
const PAGE: usize = 50;

/// `GET models`.
pub(super) fn list(asked: &Asked, kind: Kind) -> Result<Response, Failure> {
    let catalog = asked.app.catalog();
    let choices = CHOICES.iter().map(|choice| choice_of(choice));
    let models = catalog.models.values().map(|model| shown(&catalog, model));
    let number = |name| asked.query(name).and_then(|text| text.parse::<usize>().ok());
    let from = number("pageToken").unwrap_or_default();
    let size = number("pageSize").unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut page: Vec<wire::Model> = choices.chain(models).skip(from).take(size + 1).collect();
    let more = page.len() > size;
    page.truncate(size);
    let mut list = wire::ModelList {
        next_page_token: more.then(|| (from + size).to_string()),
        ..Default::default()
    };
    match kind {
        Kind::Developer => list.models = Some(page),
        Kind::Cloud => list.publisher_models = Some(page),
    }
    json(&list)
}

/// `GET {model}`.
pub(super) fn get(asked: &Asked, name: &str) -> Result<Response, Failure> {
    let catalog = asked.app.catalog();
    let named = named_model(&catalog, name);
    if named.open {
        return json(&choice_of(&named.model));
    }
    let (model, _) = find_model(&catalog, &named.model)?;
    json(&shown(&catalog, model))
}

/// A name that leaves the choice of a model open.
fn choice_of(choice: &str) -> wire::Model {
    wire::Model {
        name: format!("models/{choice}"),
        base_model_id: choice.to_owned(),
        version: "1".to_owned(),
        display_name: format!("Any model ({choice})"),
        description: "Whatever does it best.".to_owned(),
        supported_generation_methods: methods(&[MediaKind::Image, MediaKind::Video]),
    }
}

fn shown(catalog: &Catalog, model: &Model) -> wire::Model {
    let tasks: Vec<&Task> =
        model.tasks.iter().filter_map(|task: &TaskId| catalog.tasks.get(task)).collect();
    let gives = |kind: &MediaKind| {
        tasks.iter().any(|task| task.output.iter().any(|field| is_of(&field.ty, *kind)))
    };
    let kinds = [MediaKind::Image, MediaKind::Audio, MediaKind::Video];
    let kinds: Vec<MediaKind> = kinds.into_iter().filter(gives).collect();
    wire::Model {
        name: format!("models/{}", model.id),
        base_model_id: model.id.to_string(),
        version: model.version.clone(),
        display_name: model.title.clone(),
        description: model.description.clone(),
        supported_generation_methods: methods(&kinds),
    }
}

/// How something can be called that gives media of these kinds.
fn methods(kinds: &[MediaKind]) -> Vec<String> {
    let mut methods = Vec::new();
    if kinds.contains(&MediaKind::Image) {
        methods.extend(["generateContent", "streamGenerateContent", "predict"]);
    } else if kinds.contains(&MediaKind::Audio) {
        methods.extend(["generateContent", "streamGenerateContent"]);
    }
    if kinds.contains(&MediaKind::Video) {
        methods.push("predictLongRunning");
    }
    methods.into_iter().map(str::to_owned).collect()
}
