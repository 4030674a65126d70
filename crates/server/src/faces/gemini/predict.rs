//! Predictions: pictures at once, videos as work that takes long.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use impasto_dialects::gemini::wire;
use impasto_dialects::inline::InlineBytes;
use impasto_domain::{Error, ErrorKind, MediaKind, Result, TaskId, Value};
use serde_json::{Map, Value as Json, json as value};

use super::error::Failure;
use super::input::{named_model, put_pictures, put_size, tasks_giving};
use super::route::Kind;
use super::{Asked, json};
use crate::calls::{Call, Name, RunView, claim, wish_key};
use crate::faces::body::parsed;
use crate::faces::pieces::Pieces;
use crate::faces::sound::succeeded;

const UPSCALE: &str = "upscale-image";

/// `POST {model}:predict`.
pub(super) async fn predict(asked: Asked, model: String, body: Body) -> Result<Response, Failure> {
    let bytes = asked.body(body).await?;
    let request: wire::PredictRequest = parsed(&bytes)?;
    let mut call = asked.predicted(&model, request, MediaKind::Image).await?;
    let claim = claim(wish_key(&asked.headers)?, &asked.path, &bytes);
    drop(bytes);
    call.claim = Some(claim.clone());
    let ticket = asked.app.submit(&asked.caller, call).await?;
    let delivery = asked.app.delivery(&asked.caller, Some(&claim), &ticket.run);
    let mut pieces = Pieces::of(&asked.app, &asked.caller, ticket, asked.patience());
    let view = pieces.end().await?;
    let response = match succeeded(view) {
        Ok(view) => json(&pictures(&asked, &view).await?)?,
        Err(error) if error.kind == ErrorKind::Refused => json(&refused(&error))?,
        Err(error) => return Ok(delivery.over(Failure::from(error).into_response())),
    };
    Ok(delivery.over(response))
}

async fn pictures(asked: &Asked, view: &RunView) -> Result<wire::PredictResponse> {
    let mut predictions = Vec::new();
    for asset in view.outputs.values().flat_map(Value::assets) {
        if asset.kind() == MediaKind::Image {
            let bytes = asked.app.bytes(&asked.caller, asset).await?;
            predictions.push(wire::ImagePrediction {
                mime_type: Some(asset.media_type.clone()),
                bytes_base64_encoded: Some(InlineBytes(bytes)),
                rai_filtered_reason: None,
            });
        }
    }
    Ok(wire::PredictResponse { predictions })
}

fn refused(error: &Error) -> wire::PredictResponse {
    let why = wire::ImagePrediction {
        rai_filtered_reason: Some(error.message.clone()),
        ..wire::ImagePrediction::default()
    };
    wire::PredictResponse { predictions: vec![why] }
}

/// `POST {model}:predictLongRunning`.
pub(super) async fn begin(
    asked: Asked,
    model: String,
    resource: String,
    kind: Kind,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = asked.body(body).await?;
    let request: wire::PredictRequest = parsed(&bytes)?;
    let mut call = asked.predicted(&model, request, MediaKind::Video).await?;
    call.origin.extra = value!({ "resource": resource, "cloud": kind == Kind::Cloud });
    let claim = claim(wish_key(&asked.headers)?, &asked.path, &bytes);
    call.claim = Some(claim.clone());
    let ticket = asked.app.submit(&asked.caller, call).await?;
    let delivery = asked.app.delivery(&asked.caller, Some(&claim), &ticket.run);
    let name = format!("{resource}/operations/{}", ticket.run);
    let operation = wire::Operation { name, ..wire::Operation::default() };
    Ok(delivery.over(json(&operation)?))
}

impl Asked {
    /// The call that a prediction means.
    async fn predicted(
        &self,
        model: &str,
        request: wire::PredictRequest,
        kind: MediaKind,
    ) -> Result<Call> {
        let wire::PredictRequest { mut instances, mut parameters } = request;
        let (instance, others) = (instances.pop(), instances.len());
        let instance = instance.filter(|_| others == 0).ok_or_else(|| {
            Error::invalid("`instances` needs one, no more and no fewer")
                .hint("ask for several results by `parameters.sampleCount`")
        })?;
        let mut input = Map::new();
        let with_pictures = instance.image.is_some() || !instance.reference_images.is_empty();
        self.put_instance(&mut input, instance).await?;
        let catalog = self.app.catalog();
        let named = named_model(&catalog, model);
        let tasks = if text(&mut parameters, "mode").as_deref() == Some("upscale") {
            put_scale(&mut input, &mut parameters)?;
            vec![TaskId::new(UPSCALE)]
        } else {
            tasks_giving(&catalog, &named, kind, with_pictures)?
        };
        put_count(&mut parameters);
        let shape = text(&mut parameters, "aspectRatio");
        let size = text(&mut parameters, "sampleImageSize");
        put_size(&mut input, shape.as_deref(), size.as_deref())?;
        input.extend(parameters);
        let mut call = Call::new(Name::Model(named.model), input, self.origin(model));
        call.tasks = tasks;
        Ok(call)
    }

    async fn put_instance(
        &self,
        input: &mut Map<String, Json>,
        instance: wire::Instance,
    ) -> Result<()> {
        let prompt = instance.prompt.filter(|prompt| !prompt.is_empty());
        input.extend(prompt.map(|prompt| ("prompt".to_owned(), prompt.into())));
        let mut pictures = Vec::new();
        if let Some(media) = instance.image {
            pictures.push(self.media(media).await?);
        }
        let mut references = Vec::new();
        for reference in instance.reference_images {
            references.push(self.media(reference.image).await?);
        }
        if pictures.is_empty() {
            put_pictures(input, references);
        } else {
            put_pictures(input, pictures);
            if !references.is_empty() {
                input.insert("reference_images".to_owned(), Json::Array(references));
            }
        }
        for (name, media) in [("last_frame", instance.last_frame), ("video", instance.video)] {
            if let Some(media) = media {
                input.insert(name.to_owned(), self.media(media).await?);
            }
        }
        Ok(())
    }
}

/// Takes a parameter that is a text.
fn text(parameters: &mut Map<String, Json>, name: &str) -> Option<String> {
    match parameters.remove(name)? {
        Json::String(text) => Some(text),
        other => {
            parameters.insert(name.to_owned(), other);
            None
        }
    }
}

/// What asks for what is given anyway is left out: not every task has a name for it.
fn put_count(parameters: &mut Map<String, Json>) {
    for name in ["sampleCount", "numberOfVideos"] {
        if parameters.get(name).and_then(Json::as_u64) == Some(1) {
            parameters.remove(name);
        }
    }
    if parameters.get("generateAudio") == Some(&Json::Bool(false)) {
        parameters.remove("generateAudio");
    }
}

/// `upscaleConfig.upscaleFactor`, such as `x2`, is the scale.
fn put_scale(input: &mut Map<String, Json>, parameters: &mut Map<String, Json>) -> Result<()> {
    // There is no prompt: clients send an empty one.
    input.remove("prompt");
    let Some(config) = parameters.remove("upscaleConfig") else { return Ok(()) };
    let factor = config.get("upscaleFactor").and_then(Json::as_str).unwrap_or("x2");
    let scale: f64 = factor.trim_start_matches('x').parse().map_err(|_| {
        Error::invalid(format!("`upscaleFactor` is '{factor}'")).hint("write x2 or x4")
    })?;
    input.insert("scale".to_owned(), scale.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_one_result_is_left_out() {
        let check = |given: Json, expected: Json| {
            let Json::Object(mut given) = given else { panic!("an object is needed") };
            put_count(&mut given);
            assert_eq!(Json::Object(given), expected);
        };
        check(value!({"sampleCount": 1, "generateAudio": false}), value!({}));
        check(
            value!({"sampleCount": 2, "generateAudio": true}),
            value!({"sampleCount": 2, "generateAudio": true}),
        );
    }

    #[test]
    fn a_factor_becomes_a_scale() {
        let check = |config: Json, expected: Option<f64>| {
            let mut parameters = Map::from_iter([("upscaleConfig".to_owned(), config)]);
            let mut input = Map::new();
            let put = put_scale(&mut input, &mut parameters);
            assert_eq!(put.ok().and_then(|()| input.get("scale")?.as_f64()), expected);
        };
        check(value!({"upscaleFactor": "x4"}), Some(4.0));
        check(value!({}), Some(2.0));
        check(value!({"upscaleFactor": "much"}), None);
    }
}
