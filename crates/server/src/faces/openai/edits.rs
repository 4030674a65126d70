//! Pictures from pictures and words.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use impasto_catalog::{Catalog, MaskForm};
use impasto_dialects::openai::wire::ImageRequest;
use impasto_domain::{AssetRef, Error, Field, MediaKind, TaskId, Type};
use serde_json::{Map, Value as Json};

use super::error::Failure;
use super::images::Drawing;
use super::{Asking, Runner};
use crate::app::App;
use crate::caller::Caller;
use crate::faces::body::{Form, Part};
use crate::files::{Base, named};

const ROUTE: &str = "images/edits";
/// Tasks that change a picture as words say, best first.
const BY_WORDS: [&str; 2] = ["edit-image", "inpaint-image"];
/// The most pictures in one call.
const PICTURES_MAX: usize = 16;

pub(super) async fn edit(
    State(app): State<App>,
    Runner(caller): Runner,
    base: Base,
    asking: Asking,
    body: Body,
) -> Result<Response, Failure> {
    let form = Form::read(&app, &asking.headers, body).await?;
    let wish = form.fingerprint();
    let (request, files) = read(&app, &caller, form).await?;
    let tasks = tasks(&app.catalog());
    let drawing = Drawing { app, caller, base, asking, event: "image_edit" };
    drawing.answer(request, files, ROUTE, tasks, &wish).await
}

/// The fields of a form, and its files taken in.
async fn read(
    app: &App,
    caller: &Caller,
    form: Form,
) -> Result<(ImageRequest, Map<String, Json>), Failure> {
    let (mut fields, mut pictures, mut files) = (Map::new(), Vec::new(), Map::new());
    for part in form.0 {
        match part.name.as_str() {
            "image" | "image[]" => pictures.push(part),
            "mask" => {
                files.insert("mask".to_owned(), mask_of(app, caller, &part).await?);
            }
            _ => {
                let text = part.text()?;
                let value = scalar(&part.name, text);
                fields.insert(part.name, value);
            }
        }
    }
    if pictures.is_empty() || pictures.len() > PICTURES_MAX {
        let message = format!("`image` holds {} pictures", pictures.len());
        return Err(Error::invalid(message).hint(format!("send 1 to {PICTURES_MAX}")).into());
    }
    let mut taken = Vec::new();
    for picture in &pictures {
        taken.push(taken_in(app, caller, picture).await?);
    }
    let (name, pictures) = match taken.len() {
        1 => ("image", taken.pop().unwrap_or_default()),
        _ => ("images", Json::Array(taken)),
    };
    files.insert(name.to_owned(), pictures);
    let request = serde_json::from_value(Json::Object(fields))
        .map_err(|error| Error::invalid(format!("the form is not what is needed: {error}")))?;
    Ok((request, files))
}

async fn taken_in(app: &App, caller: &Caller, part: &Part) -> Result<Json, Failure> {
    Ok(named(&file(app, caller, part).await?))
}

async fn file(app: &App, caller: &Caller, part: &Part) -> Result<AssetRef, Failure> {
    let asset = part.taken_in(app, caller).await;
    Ok(asset.map_err(|error| error.context(format!("`{}`", part.name)))?)
}

/// A mask of ours for one of theirs, which is transparent where the picture may change.
async fn mask_of(app: &App, caller: &Caller, part: &Part) -> Result<Json, Failure> {
    let theirs = file(app, caller, part).await?;
    Ok(named(&app.own_mask(caller, theirs, MaskForm::Transparent).await?))
}

/// What a field of a form says: forms know text only. Inputs of the task are read as the task has them.
fn scalar(name: &str, text: String) -> Json {
    let known = match name {
        "n" | "output_compression" | "partial_images" => text.parse::<u32>().ok().map(Json::from),
        "stream" => text.parse::<bool>().ok().map(Json::from),
        _ => None,
    };
    known.unwrap_or(Json::String(text))
}

/// The tasks that make a picture of pictures: those that do so by words first.
fn tasks(catalog: &Catalog) -> Vec<TaskId> {
    let shows = |field: &Field| match &field.ty {
        Type::Media(kind) => *kind == MediaKind::Image,
        Type::List(item) => matches!(**item, Type::Media(MediaKind::Image)),
        _ => false,
    };
    let by_words = BY_WORDS.map(TaskId::new);
    let known = by_words.iter().filter(|task| catalog.tasks.contains_key(*task)).cloned();
    let others = catalog.tasks.values().filter(|task| {
        !by_words.contains(&task.id)
            && task.input.iter().any(|field| field.required && shows(field))
            && task.output.iter().any(shows)
    });
    known.chain(others.map(|task| task.id.clone())).collect()
}
