//! Tasks and models, and the catalogue read again.

use std::ops::Bound;

use axum::extract::State;
use impasto_api::{
    CatalogueView, FieldView, ModelList, ModelView, OfferView, QualityView, TaskList, TaskView,
};
use impasto_catalog::{Catalog, Model, Offer};
use impasto_domain::{Error, Field, ModelId, Result, Task, TaskId};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::extract::{Asked, Named, cursor, page};
use crate::app::App;
use crate::calls::find_model;
use crate::problem::Problem;

pub(super) fn field(field: &Field) -> FieldView {
    FieldView {
        name: field.name.clone(),
        ty: field.ty.to_string(),
        description: field.description.clone(),
        required: field.required,
        default: field.default.as_ref().map(impasto_domain::Value::to_json),
        min: field.min,
        max: field.max,
        max_chars: field.max_chars.map(|most| most as u64),
        values: field.values.clone(),
        unit: field.unit.clone(),
    }
}

fn task_view(catalog: &Catalog, task: &Task) -> TaskView {
    let does = |model: &&Model| model.tasks.contains(&task.id);
    TaskView {
        id: task.id.to_string(),
        title: task.title.clone(),
        description: task.description.clone(),
        input: task.input.iter().map(field).collect(),
        output: task.output.iter().map(field).collect(),
        models: catalog.models.values().filter(does).map(|model| model.id.to_string()).collect(),
    }
}

fn offer_view(offer: &Offer) -> OfferView {
    let mut price = serde_json::to_value(&offer.price).unwrap_or_default();
    match &mut price {
        Json::Object(price) => drop(price.insert("shown".into(), offer.price.describe().into())),
        other => *other = json!({ "shown": offer.price.describe() }),
    }
    OfferView {
        id: offer.id.to_string(),
        task: offer.task.to_string(),
        provider: offer.provider.to_string(),
        endpoint: offer.endpoint.clone(),
        version: offer.version.clone(),
        price,
        unsupported: offer.unsupported.clone(),
    }
}

fn model_view(catalog: &Catalog, model: &Model) -> ModelView {
    let offers = model.offers.iter().filter_map(|id| catalog.offers.get(id));
    let quality = model.quality.iter().map(|quality| QualityView {
        name: quality.name.clone(),
        value: quality.value,
        source: quality.source.clone(),
        date: quality.date.clone(),
    });
    ModelView {
        id: model.id.to_string(),
        title: model.title.clone(),
        company: model.company.clone(),
        version: model.version.clone(),
        licence: model.licence.clone(),
        training_data: model.training_data.clone(),
        description: model.description.clone(),
        note: model.note.clone(),
        tier: model.tier.to_string(),
        tasks: model.tasks.iter().map(TaskId::to_string).collect(),
        quality: quality.collect(),
        status: model.lifecycle.status.as_str().to_owned(),
        offers: offers.map(offer_view).collect(),
    }
}

/// Which models to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelsQuery {
    task: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// A page of the models that are wanted, by id, and where the next one goes on if there is one.
pub(crate) fn page_of(
    catalog: &Catalog,
    wanted: impl Fn(&Model) -> bool,
    cursor: Option<String>,
    limit: u32,
) -> Result<(Vec<&Model>, Option<String>)> {
    let known = |id: &str| Some(ModelId::new(id)).filter(|id| catalog.models.contains_key(id));
    let after = self::cursor(cursor, known)?.map_or(Bound::Unbounded, Bound::Excluded);
    let after = catalog.models.range((after, Bound::Unbounded)).map(|(_, model)| model);
    let mut wanted = after.filter(|model| wanted(model));
    let page: Vec<&Model> = wanted.by_ref().take(limit as usize).collect();
    let next = wanted.next().and(page.last()).map(|last| last.id.to_string());
    Ok((page, next))
}

/// `GET /v1/models`
pub(super) async fn models(
    State(app): State<App>,
    Asked(query): Asked<ModelsQuery>,
) -> Result<axum::Json<ModelList>, Problem> {
    let catalog = app.catalog();
    let task = query.task.map(TaskId::new);
    if let Some(task) = &task {
        catalog.task(task)?;
    }
    let wanted = |model: &Model| task.as_ref().is_none_or(|task| model.tasks.contains(task));
    let limit = page(&app, query.limit)?;
    let (models, next_cursor) = page_of(&catalog, wanted, query.cursor, limit)?;
    let models = models.into_iter().map(|model| model_view(&catalog, model)).collect();
    Ok(axum::Json(ModelList { models, next_cursor }))
}

/// `GET /v1/models/{model}`
pub(super) async fn model(
    State(app): State<App>,
    Named(name): Named<String>,
) -> Result<axum::Json<ModelView>, Problem> {
    let catalog = app.catalog();
    let (model, _) = find_model(&catalog, &name)?;
    Ok(axum::Json(model_view(&catalog, model)))
}

/// `GET /v1/tasks`
pub(super) async fn tasks(State(app): State<App>) -> axum::Json<TaskList> {
    let catalog = app.catalog();
    let tasks = catalog.tasks.values().map(|task| task_view(&catalog, task)).collect();
    axum::Json(TaskList { tasks })
}

/// `GET /v1/tasks/{task}`
pub(super) async fn task(
    State(app): State<App>,
    Named(name): Named<String>,
) -> Result<axum::Json<TaskView>, Problem> {
    let catalog = app.catalog();
    let task = catalog.task(&TaskId::new(name))?;
    Ok(axum::Json(task_view(&catalog, task)))
}

/// `POST /v1/catalogue/reload`
pub(super) async fn reload(State(app): State<App>) -> Result<axum::Json<CatalogueView>, Problem> {
    let reload = app.reload().ok_or_else(|| {
        Error::unavailable("this program keeps the catalogue that it began with")
            .hint("start it again for another one")
    })?;
    let reading = tokio::task::spawn_blocking(move || reload());
    let catalog =
        reading.await.map_err(|_| Error::internal("reading the catalogue panicked"))??;
    app.engine().reload(catalog.into());
    let catalog = app.catalog();
    tracing::info!(revision = catalog.revision, "the catalogue was read again");
    Ok(axum::Json(CatalogueView {
        revision: catalog.revision.clone(),
        tasks: catalog.tasks.len() as u64,
        models: catalog.models.len() as u64,
        offers: catalog.offers.len() as u64,
    }))
}
