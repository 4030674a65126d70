//! The list of models.

use axum::Json;
use axum::extract::{Path, State};
use impasto_catalog::Model;
use impasto_dialects::openai::wire;

use super::error::Failure;
use super::{Reader, no_model};
use crate::app::App;
use crate::calls::find_model;
use crate::faces::models::CHOICES;

/// Whose the names are that leave the choice open.
const OURS: &str = "impasto";

pub(super) async fn list(
    State(app): State<App>,
    Reader(_): Reader,
) -> Json<wire::Page<wire::Model>> {
    let catalog = app.catalog();
    let choices = CHOICES.iter().map(|name| named(name, OURS));
    let data: Vec<wire::Model> = choices.chain(catalog.models.values().map(shown)).collect();
    let ends = |model: Option<&wire::Model>| model.map(|model| model.id.clone());
    Json(wire::Page {
        object: "list".to_owned(),
        first_id: ends(data.first()),
        last_id: ends(data.last()),
        data,
        has_more: false,
    })
}

pub(super) async fn one(
    State(app): State<App>,
    Reader(_): Reader,
    Path(id): Path<String>,
) -> Result<Json<wire::Model>, Failure> {
    if CHOICES.contains(&id.as_str()) {
        return Ok(Json(named(&id, OURS)));
    }
    let catalog = app.catalog();
    let (model, _) = find_model(&catalog, &id).map_err(no_model)?;
    Ok(Json(shown(model)))
}

fn shown(model: &Model) -> wire::Model {
    named(model.id.as_str(), &model.company)
}

fn named(id: &str, owner: &str) -> wire::Model {
    wire::Model {
        id: id.to_owned(),
        object: "model".to_owned(),
        created: 0,
        owned_by: owner.to_owned(),
        shutdown_date: None,
    }
}
