//! What a call of this dialect means: a task, and what it is given.

use impasto_catalog::Catalog;
use impasto_dialects::gemini::wire;
use impasto_domain::{Digest, Error, MediaKind, Result, Task, TaskId, Type};
use serde_json::{Map, Value as Json, json};

use super::Asked;
use crate::calls::find_model;
use crate::faces::models::CHOICES;
use crate::files::named;

/// The call that a name of a model means: the model, and the tasks if the name says them.
pub(super) struct Named {
    /// A model, or a name that leaves the choice open.
    pub(super) model: String,
    /// The task that the name says, as in `text-to-video/hero`.
    pub(super) task: Option<TaskId>,
    /// Whether the choice of a model is left open.
    pub(super) open: bool,
}

/// What a name of a model says.
pub(super) fn named_model(catalog: &Catalog, name: &str) -> Named {
    let (task, model) = match name.split_once('/') {
        Some((task, rest)) if catalog.tasks.contains_key(&TaskId::new(task)) => {
            (Some(TaskId::new(task)), rest)
        }
        Some((_, last)) if CHOICES.contains(&last) => (None, last),
        _ => (None, name),
    };
    let open = CHOICES.contains(&model);
    Named { model: model.to_owned(), task, open }
}

/// Tasks that are what is usually meant, where several would do.
const USUAL: [&str; 4] = ["text-to-image", "edit-image", "text-to-video", "image-to-video"];

/// Tasks that give media of this kind and do something with what is given, the fittest first. What a
/// task gives beside its result, such as the preview of a mesh, does not count.
///
/// Without pictures that is a task that needs none; with pictures, one that takes some. Where the
/// choice of a model is open, it has to be one that follows a prompt too.
pub(super) fn tasks_giving(
    catalog: &Catalog,
    named: &Named,
    kind: MediaKind,
    with_pictures: bool,
) -> Result<Vec<TaskId>> {
    if let Some(task) = &named.task {
        return Ok(vec![task.clone()]);
    }
    let fits = |task: &&Task| {
        let result = task.output.iter().find(|field| is_media(&field.ty));
        let gives = result.is_some_and(|field| is_of(&field.ty, kind));
        let takes = task.input.iter().any(|field| is_of(&field.ty, MediaKind::Image));
        let needs = task.input.iter().any(|field| field.required && is_media(&field.ty));
        let follows = task.input.iter().any(|field| field.ty == Type::Prompt);
        gives && (if with_pictures { takes } else { !needs }) && (follows || !named.open)
    };
    let mut found: Vec<&Task> = catalog.tasks.values().filter(fits).collect();
    let follows = |task: &Task| task.input.iter().any(|field| field.ty == Type::Prompt);
    found.sort_by_key(|task| (!follows(task), !USUAL.contains(&task.id.as_str())));
    if found.is_empty() {
        let what = if with_pictures { "makes it of a picture and a prompt" } else { "makes it" };
        return Err(Error::invalid(format!("nothing in the catalogue {what}"))
            .hint("name a model that does; GET models lists them"));
    }
    Ok(found.into_iter().map(|task| task.id.clone()).collect())
}

/// Whether what a model makes is, first of all, of this kind.
pub(super) fn makes(catalog: &Catalog, named: &Named, kind: MediaKind) -> bool {
    let gives = |task: &TaskId| {
        let task = catalog.tasks.get(task);
        task.is_some_and(|task| task.output.iter().any(|field| is_of(&field.ty, kind)))
    };
    match (&named.task, named.open) {
        (Some(task), _) => gives(task),
        (None, true) => false,
        (None, false) => {
            find_model(catalog, &named.model).is_ok_and(|(model, _)| model.tasks.iter().any(gives))
        }
    }
}

pub(super) fn is_of(ty: &Type, kind: MediaKind) -> bool {
    match ty {
        Type::Media(own) => *own == kind,
        Type::List(item) => is_of(item, kind),
        _ => false,
    }
}

fn is_media(ty: &Type) -> bool {
    match ty {
        Type::Media(_) => true,
        Type::List(item) => is_media(item),
        _ => false,
    }
}

/// The pictures of a call under the name that a task of one or of several takes them by.
pub(super) fn put_pictures(input: &mut Map<String, Json>, mut pictures: Vec<Json>) {
    match pictures.len() {
        0 => {}
        1 => input.extend(pictures.pop().map(|picture| ("image".to_owned(), picture))),
        _ => input.extend([("images".to_owned(), Json::Array(pictures))]),
    }
}

/// The size of a picture by its name: the longer side in pixels; none if it is the usual one.
fn longer_side(size: &str) -> Result<Option<u32>> {
    match size.to_ascii_uppercase().as_str() {
        "1K" => Ok(None),
        "512" | "512PX" | "0.5K" => Ok(Some(512)),
        "2K" => Ok(Some(2048)),
        "4K" => Ok(Some(4096)),
        _ => Err(Error::invalid(format!("`imageSize` is '{size}'; it can be 512, 1K, 2K, 4K"))),
    }
}

/// Puts the shape and the size of a picture in.
pub(super) fn put_size(
    input: &mut Map<String, Json>,
    shape: Option<&str>,
    size: Option<&str>,
) -> Result<()> {
    let side = size.map(longer_side).transpose()?.flatten();
    let Some(side) = side else {
        input.extend(shape.map(|shape| ("aspect_ratio".to_owned(), shape.into())));
        return Ok(());
    };
    let ratio = |shape: &str| {
        let (width, height) = shape.split_once(':')?;
        Some((width.parse::<f64>().ok()?, height.parse::<f64>().ok()?))
    };
    let positive = |(width, height): &(f64, f64)| *width > 0.0 && *height > 0.0;
    let shape = shape.unwrap_or("1:1");
    let (width, height) = ratio(shape).filter(positive).ok_or_else(|| {
        Error::invalid(format!("`aspectRatio` is '{shape}'")).hint("write it as 16:9")
    })?;
    // Models like sides that are multiples of sixteen.
    let scaled =
        |part: f64| ((f64::from(side) * part / width.max(height) / 16.0).round() * 16.0) as u32;
    input.insert("width".to_owned(), scaled(width).max(64).into());
    input.insert("height".to_owned(), scaled(height).max(64).into());
    Ok(())
}

impl Asked {
    /// A file that came with a call, as an input.
    pub(super) async fn blob(&self, blob: wire::Blob) -> Result<Json> {
        let wire::Blob { mime_type, data } = blob;
        let media_type = (!mime_type.is_empty()).then_some(mime_type);
        let asset = self.app.take_in(&self.caller, data.0, media_type.as_deref(), None).await?;
        Ok(named(&asset))
    }

    /// A file of a prediction, as an input.
    pub(super) async fn media(&self, media: wire::Media) -> Result<Json> {
        match media {
            wire::Media { bytes_base64_encoded: Some(data), mime_type, .. } => {
                self.blob(wire::Blob { mime_type: mime_type.unwrap_or_default(), data }).await
            }
            wire::Media { uri: Some(uri), .. } => Ok(by_uri(&uri)),
            _ => Err(Error::invalid("a file has neither bytes nor an address")
                .hint("send it as bytesBase64Encoded, or upload it and send its uri")),
        }
    }
}

/// A file by its address: one of ours by its id, or any other.
pub(super) fn by_uri(uri: &str) -> Json {
    match id_of(uri).and_then(|id| id.parse::<Digest>().ok()) {
        Some(digest) => json!({ "asset": digest }),
        None => uri.into(),
    }
}

/// The id in the name or the address of a file.
pub(super) fn id_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("files/")?;
    rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_size(shape: Option<&str>, size: Option<&str>, expected: &Json) {
        let mut input = Map::new();
        put_size(&mut input, shape, size).unwrap();
        assert_eq!(Json::Object(input), *expected, "{shape:?} {size:?}");
    }

    #[test]
    fn sizes_become_what_tasks_take() {
        check_size(None, None, &json!({}));
        check_size(Some("16:9"), Some("1K"), &json!({"aspect_ratio": "16:9"}));
        check_size(Some("16:9"), Some("2K"), &json!({"width": 2048, "height": 1152}));
        check_size(None, Some("512"), &json!({"width": 512, "height": 512}));
        assert!(put_size(&mut Map::new(), None, Some("9K")).is_err());
        assert!(put_size(&mut Map::new(), Some("0:0"), Some("2K")).is_err());
    }

    #[test]
    fn the_usual_task_comes_first_and_what_is_given_beside_a_result_does_not_count() {
        let catalog = Catalog::embedded().unwrap();
        let check = |kind: MediaKind, with_pictures: bool, first: &str| {
            let named = named_model(&catalog, "auto");
            let tasks = tasks_giving(&catalog, &named, kind, with_pictures).unwrap();
            let tasks: Vec<&str> = tasks.iter().map(TaskId::as_str).collect();
            assert_eq!(tasks.first(), Some(&first), "{tasks:?}");
            let beside = tasks.iter().find(|task| task.ends_with("3d") || task.ends_with("world"));
            assert_eq!(beside, None, "{tasks:?}");
        };
        check(MediaKind::Image, false, "text-to-image");
        check(MediaKind::Image, true, "edit-image");
        check(MediaKind::Video, false, "text-to-video");
        check(MediaKind::Video, true, "image-to-video");
    }

    #[test]
    fn files_of_ours_are_known_by_their_id() {
        let id = "ab".repeat(32);
        for uri in [
            format!("files/{id}"),
            format!("https://here/gemini/v1beta/files/{id}"),
            format!("https://here/gemini/v1beta/files/{id}:download?alt=media"),
            format!("https://here/files/{id}.png?expires=1"),
        ] {
            assert_eq!(by_uri(&uri), json!({ "asset": id }), "{uri}");
        }
        let other = "https://there/files/cat.png";
        assert_eq!(by_uri(other), json!(other));
    }
}
