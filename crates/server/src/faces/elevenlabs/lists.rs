//! Voices and models as lists.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use impasto_catalog::Catalog;
use impasto_dialects::elevenlabs::wire::{Language, Model, Voice, Voices};
use impasto_domain::{Error, TaskId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Reader;
use super::error::Failure;
use crate::app::App;
use crate::faces::models::{CHOICES, doing};
use crate::faces::voices::{self, SPEAK};

/// The most voices in a page, and how many if nothing is said.
const PAGE_MAX: usize = 100;
const PAGE: usize = 10;

fn all(catalog: &Catalog) -> Vec<Voice> {
    let names = voices::known(catalog, None).unwrap_or_default();
    let voice = |name: String| {
        let models = doing(catalog, &[SPEAK]);
        let speaks = models.filter(|model| {
            let known = voices::known(catalog, Some(&model.id));
            known.is_none_or(|known| known.contains(&name))
        });
        Voice {
            high_quality_base_model_ids: speaks.map(|model| model.id.to_string()).collect(),
            voice_id: name.clone(),
            name,
            category: "premade".to_owned(),
            ..Voice::default()
        }
    };
    names.into_iter().map(voice).collect()
}

pub(super) async fn voices(State(app): State<App>, _: Reader) -> Json<Value> {
    Json(json!({ "voices": all(&app.catalog()) }))
}

/// Which page of the voices is wanted, and of which voices.
#[derive(Deserialize)]
pub(super) struct PageAsked {
    page_size: Option<usize>,
    next_page_token: Option<String>,
    search: Option<String>,
}

pub(super) async fn voices_in_pages(
    State(app): State<App>,
    _: Reader,
    Query(asked): Query<PageAsked>,
) -> Json<Voices> {
    let mut voices = all(&app.catalog());
    if let Some(search) = asked.search.as_deref().map(str::to_lowercase) {
        voices.retain(|voice| voice.name.to_lowercase().contains(&search));
    }
    let total_count = voices.len();
    if let Some(last) = asked.next_page_token.filter(|token| !token.is_empty()) {
        voices.retain(|voice| voice.voice_id > last);
    }
    let size = asked.page_size.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let has_more = voices.len() > size;
    voices.truncate(size);
    let last = voices.last().map(|voice| voice.voice_id.clone());
    let next_page_token = last.filter(|_| has_more);
    Json(Voices { voices, has_more, total_count, next_page_token })
}

pub(super) async fn voice(
    State(app): State<App>,
    _: Reader,
    Path(id): Path<String>,
) -> Result<Json<Voice>, Failure> {
    let voices = all(&app.catalog());
    let found = voices.into_iter().find(|voice| voice.voice_id == id);
    let missing = || {
        let error = Error::not_found(format!("there is no voice '{id}'"));
        Failure::from(error.hint("the list of voices has all"))
            .said(StatusCode::NOT_FOUND, "voice_not_found")
    };
    found.map(Json).ok_or_else(missing)
}

pub(super) async fn models(State(app): State<App>, _: Reader) -> Json<Vec<Model>> {
    let catalog = app.catalog();
    let task = TaskId::new(SPEAK);
    let longest = catalog.tasks.get(&task).and_then(|task| task.input_field("text")?.max_chars);
    let open = CHOICES.iter().map(|name| Model {
        model_id: (*name).to_owned(),
        name: (*name).to_owned(),
        description: "Leaves the choice of a model to the router.".to_owned(),
        can_do_text_to_speech: true,
        maximum_text_length_per_request: longest.map(|chars| chars as u64),
        ..Model::default()
    });
    let models = doing(&catalog, &[SPEAK]).map(|model| {
        let offers = catalog.offers_for(&task).filter(|offer| offer.model == model.id);
        let codes = offers.filter_map(|offer| offer.params.get("language"));
        let mut codes: Vec<&String> = codes.flat_map(|language| &language.values).collect();
        codes.sort();
        codes.dedup();
        let languages = codes
            .into_iter()
            .map(|code| Language { language_id: code.clone(), name: code.clone() });
        Model {
            model_id: model.id.to_string(),
            name: model.title.clone(),
            description: model.description.clone(),
            can_do_text_to_speech: true,
            maximum_text_length_per_request: longest.map(|chars| chars as u64),
            languages: languages.collect(),
            ..Model::default()
        }
    });
    Json(open.chain(models).collect())
}
