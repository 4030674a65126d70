//! Which call an offer means, and what all calls have in common.
//!
//! Invariant: what an offer means is told by what it gives and what goes in, not by its name.

use impasto_catalog::Body;
use impasto_domain::{MediaKind, Result};
use impasto_engine::{Failure, Job, Polled, StartCall, Started, Stopped};
use serde_json::Value as Json;

use super::{images, sounds, videos};
use crate::drive::{Begun, Running, output_of_kind};
use crate::hosted::{ByFile, Hosted, Part};
use crate::remote::Dialect;

/// What streams are.
pub(super) const EVENTS: &str = "text/event-stream";
/// Fields of forms that are lists even where there is one entry only.
const LISTS: [&str; 5] = [
    "include",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
    "timestamp_granularities",
];

/// The driver.
#[derive(Clone)]
pub struct OpenAi {
    hosted: Hosted,
}

impl OpenAi {
    /// A driver that goes out by `hosted`.
    pub fn new(hosted: Hosted) -> Self {
        Self { hosted }
    }
}

impl Dialect for OpenAi {
    fn hosted(&self) -> &Hosted {
        &self.hosted
    }

    async fn begin(&self, call: &StartCall) -> Result<Started, Failure> {
        let begun = Begun::new(&self.hosted, call)?;
        let gives = |kind| output_of_kind(begun.offer, kind);
        if gives(MediaKind::Video).is_some() {
            videos::begin(&begun).await
        } else if let Some(name) = gives(MediaKind::Audio) {
            sounds::speak(&begun, name).await
        } else if let Some(name) = gives(MediaKind::Image) {
            images::draw(&begun, name).await
        } else {
            sounds::transcribe(&begun).await
        }
    }

    async fn look(&self, job: &Job) -> Result<Polled> {
        let running = Running::new(&self.hosted, job)?;
        match running.kept().await {
            Some(kept) => kept,
            None => videos::look(&running).await,
        }
    }

    async fn give_up(&self, job: &Job) -> Result<Stopped> {
        let running = Running::new(&self.hosted, job)?;
        if running.is_kept() { Ok(Stopped::WasOver) } else { videos::give_up(&running).await }
    }
}

/// The body as JSON, with the model in it.
pub(super) async fn json_of(begun: &Begun<'_>) -> Result<Json> {
    let mut body = begun.json().await?;
    if let Some(body) = body.as_object_mut() {
        body.entry("model").or_insert_with(|| begun.call.endpoint.as_str().into());
    }
    Ok(body)
}

/// The body as a form, with the model in it. Lists of several have names that end with `[]`.
pub(super) async fn form_of(begun: &Begun<'_>) -> Result<Vec<Part>> {
    let body = &begun.request.body;
    let mut parts = begun.account.form(body, &ByFile, &begun.call.bench).await?;
    let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    let many = |name: &str| names.iter().filter(|known| *known == name).count() > 1;
    for part in &mut parts {
        if LISTS.contains(&part.name.as_str()) || many(&part.name) {
            part.name.push_str("[]");
        }
    }
    if !names.iter().any(|name| name == "model") {
        parts.push(Part::text("model", begun.call.endpoint.as_str()));
    }
    Ok(parts)
}

/// A field of the body that is text.
pub(super) fn said<'b>(begun: &'b Begun<'_>, name: &str) -> Option<&'b str> {
    match &begun.request.body {
        Body::Map(entries) => match entries.get(name) {
            Some(Body::Text(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
