//! Which call an offer means, and under which path.
//!
//! Invariant: what an offer means is told by the shape of its body and by what it gives.

use impasto_catalog::Body;
use impasto_domain::{MediaKind, Result};
use impasto_engine::{Failure, Job, Polled, StartCall, Started, Stopped};

use super::{content, operations};
use crate::drive::{Begun, Running, output_of_kind};
use crate::hosted::{Ask, Hosted};
use crate::remote::Dialect;

/// Where the models are that are named without their publisher.
const USUAL_PUBLISHER: &str = "publishers/google";
/// What says which project of the cloud account, and where.
const PROJECT: &str = "GOOGLE_CLOUD_PROJECT";
const LOCATION: &str = "GOOGLE_CLOUD_LOCATION";
const USUAL_LOCATION: &str = "global";

/// Which of the two ways it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// With a key of the developers' API.
    Developer,
    /// In a project of a cloud account.
    Cloud,
}

/// The driver.
#[derive(Clone)]
pub struct Gemini {
    hosted: Hosted,
    side: Side,
}

impl Gemini {
    /// A driver for keys of the developers' API, which goes out by `hosted`.
    pub fn new(hosted: Hosted) -> Self {
        Self { hosted, side: Side::Developer }
    }

    /// A driver for projects of a cloud account, which goes out by `hosted`.
    pub fn cloud(hosted: Hosted) -> Self {
        Self { hosted, side: Side::Cloud }
    }

    /// The path of a model.
    fn model(&self, name: &str) -> String {
        match self.side {
            Side::Developer => format!("{}/models/{name}", root(self.side)),
            Side::Cloud => {
                let project = self.hosted.setting(PROJECT).filter(|project| !project.is_empty());
                let location = self.hosted.setting(LOCATION).filter(|place| !place.is_empty());
                let location = location.unwrap_or_else(|| USUAL_LOCATION.to_owned());
                let within =
                    project.map(|project| format!("/projects/{project}/locations/{location}"));
                let within = within.unwrap_or_default();
                let (publisher, name) = match name.split_once('/') {
                    Some((publisher, name)) => (format!("publishers/{publisher}"), name),
                    None => (USUAL_PUBLISHER.to_owned(), name),
                };
                format!("{}{within}/{publisher}/models/{name}", root(self.side))
            }
        }
    }
}

impl Dialect for Gemini {
    fn hosted(&self) -> &Hosted {
        &self.hosted
    }

    async fn begin(&self, call: &StartCall) -> Result<Started, Failure> {
        let begun = Begun::new(&self.hosted, call)?;
        let model = self.model(&call.endpoint);
        if has(&begun.request.body, "contents") {
            return content::generate(&begun, self.side, &model).await;
        }
        if output_of_kind(begun.offer, MediaKind::Video).is_some() {
            return operations::begin(&begun, &model).await;
        }
        let body = begun.json().await?;
        let answer =
            begun.call(begun.with_query(Ask::post(format!("{model}:predict"), body))).await?;
        begun.done(answer, None).await
    }

    async fn look(&self, job: &Job) -> Result<Polled> {
        let running = Running::new(&self.hosted, job)?;
        match running.kept().await {
            Some(kept) => kept,
            None => operations::look(&running, self.side).await,
        }
    }

    async fn give_up(&self, job: &Job) -> Result<Stopped> {
        let running = Running::new(&self.hosted, job)?;
        if running.is_kept() {
            return Ok(Stopped::WasOver);
        }
        let path = format!("{}/{}:cancel", root(self.side), running.id()?);
        running.stop(&Ask::post(path, serde_json::json!({}))).await
    }
}

/// The version under which everything is.
pub(super) fn root(side: Side) -> &'static str {
    match side {
        Side::Developer => "/v1beta",
        Side::Cloud => "/v1beta1",
    }
}

fn has(body: &Body, name: &str) -> bool {
    matches!(body, Body::Map(entries) if entries.contains_key(name))
}
