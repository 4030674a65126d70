//! Content: a picture or speech of what was said, whole or as a stream.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use impasto_dialects::gemini::wire;
use impasto_dialects::inline::{InlineBytes, to_json};
use impasto_domain::{Error, ErrorKind, MediaKind, Result, RunId, TaskId, Value};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::error::Failure;
use super::input::{Named, by_uri, makes, named_model, put_pictures, put_size, tasks_giving};
use super::{Asked, json};
use crate::calls::{Call, Name, RunView, claim, wish_key};
use crate::delivery::Delivery;
use crate::events::Place;
use crate::faces::body::parsed;
use crate::faces::pieces::{Piece, Pieces};
use crate::faces::sound::{Encoding, Flow, Wanted, succeeded};

const SPEECH: &str = "text-to-speech";
/// How speech is given: bare samples of 16 bits, little-endian, of one channel.
const SPEECH_RATE_HZ: u32 = 24_000;
const SPEECH_MEDIA_TYPE: &str = "audio/L16;codec=pcm;rate=24000";

/// `POST {model}:generateContent` and `:streamGenerateContent`.
pub(super) async fn generate(
    asked: Asked,
    model: String,
    stream: bool,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = asked.body(body).await?;
    let request: wire::GenerateContentRequest = parsed(&bytes)?;
    let many = request.generation_config.candidate_count.is_some_and(|count| count > 1);
    let (mut call, kind) = asked.call(&model, request).await?;
    let claim = claim(wish_key(&asked.headers)?, &asked.path, &bytes);
    drop(bytes);
    call.claim = Some(claim.clone());
    call.wants_news = stream;
    let place = stream.then(|| Place::take(&asked.app)).transpose()?;
    let ticket = asked.app.submit(&asked.caller, call).await?;
    let delivery = asked.app.delivery(&asked.caller, Some(&claim), &ticket.run);
    let id = ticket.run.to_string();
    let pieces = Pieces::of(&asked.app, &asked.caller, ticket, asked.patience()).told_in(place);
    let answer = Answer { model, id, many };
    let source = if kind == MediaKind::Audio {
        let wanted = Wanted {
            sample_rate_hz: Some(SPEECH_RATE_HZ),
            channels: Some(1),
            ..Wanted::natural(Encoding::Pcm)
        };
        Source::Speech(Box::new(Flow::new(&asked.app, &asked.caller, pieces, wanted)))
    } else {
        Source::Pictures(Box::new(pieces))
    };
    let telling = Telling { asked, answer, source, over: false };
    match stream {
        true => telling.stream(delivery).await,
        false => telling.whole(delivery).await,
    }
}

impl Asked {
    /// The call that a request means, and the kind of media that it gives.
    async fn call(
        &self,
        model: &str,
        request: wire::GenerateContentRequest,
    ) -> Result<(Call, MediaKind)> {
        if !request.tools.is_empty() {
            return Err(Error::invalid("`tools` are not there for models that make media")
                .hint("leave `tools` out"));
        }
        let catalog = self.app.catalog();
        let named = named_model(&catalog, model);
        let wire::GenerateContentRequest {
            contents, system_instruction, generation_config, ..
        } = request;
        let speaks =
            makes(&catalog, &named, MediaKind::Audio) && !makes(&catalog, &named, MediaKind::Image);
        let kind = wanted(&generation_config.response_modalities, speaks)?;
        let (prompt, pictures) = self.said(contents, system_instruction).await?;
        let mut input = Map::new();
        let tasks = if kind == MediaKind::Audio {
            put_speech(&mut input, prompt, &generation_config);
            vec![named.task.clone().unwrap_or_else(|| TaskId::new(SPEECH))]
        } else {
            let tasks = tasks_giving(&catalog, &named, kind, !pictures.is_empty())?;
            if !prompt.is_empty() {
                input.insert("prompt".to_owned(), prompt.into());
            }
            put_pictures(&mut input, pictures);
            let look = generation_config.image_config.unwrap_or_default();
            put_size(&mut input, look.aspect_ratio.as_deref(), look.image_size.as_deref())?;
            if let Some(count) = generation_config.candidate_count.filter(|count| *count > 1) {
                input.insert("num_images".to_owned(), count.into());
            }
            input.extend(generation_config.seed.map(|seed| ("seed".to_owned(), seed.into())));
            tasks
        };
        input.extend(generation_config.extra);
        let Named { model: chosen, .. } = named;
        let mut call = Call::new(Name::Model(chosen), input, self.origin(model));
        call.tasks = tasks;
        Ok((call, kind))
    }

    /// What the last one who asked said, and the pictures that it is about: those that came with it, or
    /// the last that the model gave.
    async fn said(
        &self,
        contents: Vec<wire::Content>,
        system: Option<wire::Content>,
    ) -> Result<(String, Vec<Json>)> {
        let is_model = |content: &wire::Content| content.role.as_deref() == Some("model");
        let last = contents.iter().rposition(|content| !is_model(content)).ok_or_else(|| {
            Error::invalid("`contents` says nothing").hint("say in a part what is wanted")
        })?;
        let mut texts: Vec<String> = Vec::new();
        let system = system.into_iter().flat_map(|system| system.parts);
        texts.extend(system.filter_map(|part| part.text));
        let (mut asked, mut given) = (Vec::new(), Vec::new());
        for (place, content) in contents.into_iter().enumerate() {
            if place == last {
                asked = content.parts;
            } else if place < last && is_model(&content) {
                let files = content.parts.into_iter().filter(|part| part.thought != Some(true));
                let files: Vec<_> = files.filter(|part| part.text.is_none()).collect();
                given = if files.is_empty() { given } else { files };
            }
        }
        let has_file = |part: &wire::Part| part.inline_data.is_some() || part.file_data.is_some();
        let about = if asked.iter().any(has_file) { Vec::new() } else { given };
        let mut pictures = Vec::new();
        for part in about.into_iter().chain(asked) {
            texts.extend(part.text.filter(|text| !text.is_empty()));
            if let Some(blob) = part.inline_data {
                pictures.push(self.blob(blob).await?);
            } else if let Some(file) = part.file_data {
                pictures.push(by_uri(&file.file_uri));
            }
        }
        Ok((texts.join("\n"), pictures))
    }
}

/// The kind of media that is wanted.
fn wanted(modalities: &[String], speaks: bool) -> Result<MediaKind> {
    let has = |wish: &str| modalities.iter().any(|one| one.eq_ignore_ascii_case(wish));
    if has("IMAGE") {
        return Ok(MediaKind::Image);
    }
    if has("AUDIO") || (modalities.is_empty() && speaks) {
        return Ok(MediaKind::Audio);
    }
    if modalities.is_empty() || has("MODALITY_UNSPECIFIED") {
        return Ok(MediaKind::Image);
    }
    let message = format!("no model here answers with {} alone", modalities.join(" and "));
    Err(Error::invalid(message).hint("ask for IMAGE or AUDIO in `responseModalities`"))
}

fn put_speech(input: &mut Map<String, Json>, text: String, config: &wire::GenerationConfig) {
    input.insert("text".to_owned(), text.into());
    let Some(speech) = &config.speech_config else { return };
    let voice = speech.voice_config.as_ref().and_then(|voice| voice.prebuilt_voice_config.as_ref());
    let voice = voice.and_then(|voice| voice.voice_name.clone());
    input.extend(voice.map(|voice| ("voice".to_owned(), voice.into())));
    let language = speech.language_code.as_deref().and_then(|code| code.split('-').next());
    input.extend(language.map(|language| ("language".to_owned(), language.into())));
}

/// What every answer to one call has in common.
struct Answer {
    model: String,
    id: String,
    /// Whether each picture is an answer of its own.
    many: bool,
}

impl Answer {
    fn of(&self, candidates: Vec<wire::Candidate>) -> wire::GenerateContentResponse {
        wire::GenerateContentResponse {
            candidates,
            model_version: self.model.clone(),
            response_id: self.id.clone(),
            ..Default::default()
        }
    }

    /// An answer of these parts; the last one says so.
    fn parts(&self, parts: Vec<wire::Part>, is_last: bool) -> wire::GenerateContentResponse {
        let groups = if self.many && is_last {
            parts.into_iter().map(|part| vec![part]).collect()
        } else {
            vec![parts]
        };
        let candidate = |(index, parts): (u32, Vec<wire::Part>)| wire::Candidate {
            content: wire::Content { role: Some("model".to_owned()), parts },
            finish_reason: is_last.then(|| "STOP".to_owned()),
            index,
        };
        self.of((0..).zip(groups).map(candidate).collect())
    }

    /// That it was refused for its content.
    fn refused(&self, error: &Error) -> wire::GenerateContentResponse {
        let feedback = wire::PromptFeedback {
            block_reason: "PROHIBITED_CONTENT".to_owned(),
            block_reason_message: Some(error.message.clone()),
        };
        wire::GenerateContentResponse { prompt_feedback: Some(feedback), ..self.of(Vec::new()) }
    }
}

fn file(bytes: Bytes, media_type: &str, thought: Option<bool>) -> wire::Part {
    let blob = wire::Blob { mime_type: media_type.to_owned(), data: InlineBytes(bytes) };
    wire::Part { inline_data: Some(blob), thought, ..wire::Part::default() }
}

/// Where an answer comes from.
enum Source {
    Pictures(Box<Pieces>),
    Speech(Box<Flow>),
}

/// An answer that is given.
struct Telling {
    asked: Asked,
    answer: Answer,
    source: Source,
    over: bool,
}

impl Telling {
    async fn whole(mut self, delivery: Delivery) -> Result<Response, Failure> {
        let response = match self.all().await {
            Ok(response) => json(&response)?,
            Err(error) => return self.failed(error, delivery).await,
        };
        Ok(delivery.over(response))
    }

    async fn all(&mut self) -> Result<wire::GenerateContentResponse> {
        let parts = match &mut self.source {
            Source::Speech(flow) => flow.whole().await.map(|sound| {
                let sound = file(sound, SPEECH_MEDIA_TYPE, None);
                vec![sound]
            }),
            Source::Pictures(pieces) => match pieces.end().await.and_then(succeeded) {
                Ok(view) => pictures(&self.asked, &view).await,
                Err(error) => Err(error),
            },
        };
        match parts {
            Ok(parts) => Ok(self.answer.parts(parts, true)),
            Err(error) if error.kind == ErrorKind::Refused => Ok(self.answer.refused(&error)),
            Err(error) => Err(error),
        }
    }

    /// The next part of the answer; none after the last.
    async fn next(&mut self) -> Result<Option<wire::GenerateContentResponse>> {
        if self.over {
            return Ok(None);
        }
        match self.piece().await {
            Ok(piece) => Ok(Some(piece)),
            Err(error) if error.kind == ErrorKind::Refused => {
                self.over = true;
                Ok(Some(self.answer.refused(&error)))
            }
            Err(error) => Err(error),
        }
    }

    async fn piece(&mut self) -> Result<wire::GenerateContentResponse> {
        match &mut self.source {
            Source::Pictures(pieces) => {
                while let Some(piece) = pieces.next().await? {
                    if let Piece::Picture { bytes, media_type } = piece {
                        let preview = file(bytes.into(), &media_type, Some(true));
                        return Ok(self.answer.parts(vec![preview], false));
                    }
                }
                let view = succeeded(pieces.end().await?)?;
                self.over = true;
                Ok(self.answer.parts(pictures(&self.asked, &view).await?, true))
            }
            Source::Speech(flow) => match flow.next().await? {
                Some(sound) => {
                    Ok(self.answer.parts(vec![file(sound, SPEECH_MEDIA_TYPE, None)], false))
                }
                None => {
                    self.over = true;
                    Ok(self.answer.parts(Vec::new(), true))
                }
            },
        }
    }

    /// The answer part by part. It begins when the first part is there, so that what fails before is an
    /// error as any other.
    async fn stream(mut self, delivery: Delivery) -> Result<Response, Failure> {
        let first = match self.next().await {
            Ok(first) => first,
            Err(error) => return self.failed(error, delivery).await,
        };
        let as_events = self.asked.query("alt").as_deref() == Some("sse");
        let form = if as_events { EVENTS } else { LIST };
        let parts = stream::unfold(Some((self, first, form.start)), move |state| async move {
            let (mut telling, ready, before) = state?;
            let part = match ready {
                Some(part) => Ok(Some(part)),
                None => telling.next().await,
            };
            let written = match part {
                Ok(Some(part)) => {
                    let piece = form.written(before, &part);
                    return Some((Ok::<_, Infallible>(piece), Some((telling, None, form.between))));
                }
                Ok(None) => Bytes::from_static(form.end.as_bytes()),
                Err(error) => {
                    let told = form.written(before, &Failure::from(error).problem());
                    [&told, form.end.as_bytes()].concat().into()
                }
            };
            Some((Ok(written), None))
        });
        let mut response = Body::from_stream(parts).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(delivery.over(response))
    }

    /// Tells an error. If the run goes on, the same request finds it again: its answer is not given.
    async fn failed(&self, error: Error, delivery: Delivery) -> Result<Response, Failure> {
        let run = RunId::new(self.answer.id.clone());
        let view = self.asked.app.view(&self.asked.caller, &run).await;
        if view.is_ok_and(|view| view.status.is_over()) {
            return Ok(delivery.over(Failure::from(error).into_response()));
        }
        drop(delivery);
        Err(error.into())
    }
}

/// How the parts of an answer follow one another.
#[derive(Clone, Copy)]
struct Form {
    media_type: &'static str,
    start: &'static str,
    between: &'static str,
    after: &'static str,
    end: &'static str,
}

const EVENTS: Form = Form {
    media_type: "text/event-stream",
    start: "data: ",
    between: "data: ",
    after: "\r\n\r\n",
    end: "",
};
const LIST: Form =
    Form { media_type: "application/json", start: "[", between: ",\n", after: "", end: "]" };

impl Form {
    fn written(&self, before: &str, part: &impl Serialize) -> Bytes {
        let json = to_json(part).unwrap_or_default();
        [before.as_bytes(), &json, self.after.as_bytes()].concat().into()
    }
}

/// The pictures that a run gave, as parts.
async fn pictures(asked: &Asked, view: &RunView) -> Result<Vec<wire::Part>> {
    let mut parts = Vec::new();
    for asset in view.outputs.values().flat_map(Value::assets) {
        if asset.kind() == MediaKind::Image {
            let bytes = asked.app.bytes(&asked.caller, asset).await?;
            parts.push(file(bytes, &asset.media_type, None));
        }
    }
    if parts.is_empty() {
        return Err(Error::internal("the run gave no picture"));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_wanted(modalities: &[&str], speaks: bool, expected: Option<MediaKind>) {
        let modalities: Vec<String> = modalities.iter().map(|one| (*one).to_owned()).collect();
        assert_eq!(wanted(&modalities, speaks).ok(), expected, "{modalities:?}");
    }

    #[test]
    fn what_is_wanted_is_said_or_follows_from_the_model() {
        check_wanted(&[], false, Some(MediaKind::Image));
        check_wanted(&[], true, Some(MediaKind::Audio));
        check_wanted(&["TEXT", "IMAGE"], true, Some(MediaKind::Image));
        check_wanted(&["audio"], false, Some(MediaKind::Audio));
        check_wanted(&["TEXT"], false, None);
    }

    #[test]
    fn parts_follow_one_another_as_events_and_as_a_list() {
        let check = |form: Form, expected: &str| {
            let pieces = [form.written(form.start, &1), form.written(form.between, &2)].concat();
            assert_eq!(String::from_utf8(pieces).unwrap() + form.end, expected);
        };
        check(EVENTS, "data: 1\r\n\r\ndata: 2\r\n\r\n");
        check(LIST, "[1,\n2]");
    }
}
