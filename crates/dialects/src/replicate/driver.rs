//! Asks for predictions, looks at them or listens to them, gives them up.
//!
//! Invariants
//! - A prediction is asked for without waiting for it: what names it is kept first.
//! - Where a prediction is found is made of its id, never read from an answer. The address of its
//!   stream is a secret of its own, which needs no key and is not kept.

use std::collections::BTreeMap;
use std::time::Duration;

use impasto_catalog::{Measured, Unit};
use impasto_domain::{Error, ErrorKind, Money, Result};
use impasto_engine::{Failure, Job, Polled, StartCall, Started, Stopped};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::container;
use super::wire::{Prediction, Status, WEBHOOK, WEBHOOK_EVENTS, WebhookEvent};
use crate::drive::{Begun, Running};
use crate::hosted::{Answer, Ask, Hosted, Purpose};
use crate::remote::Dialect;

/// Where predictions are.
const PREDICTIONS: &str = "/v1/predictions";
/// How the endpoint of a deployment begins.
const DEPLOYMENTS: &str = "deployments/";
/// How often the log is read at the most while somebody listens.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// What streams are.
const EVENTS: &str = "text/event-stream";

/// The driver.
#[derive(Clone)]
pub struct Replicate {
    hosted: Hosted,
}

impl Replicate {
    /// A driver that goes out by `hosted`.
    pub fn new(hosted: Hosted) -> Self {
        Self { hosted }
    }
}

impl Dialect for Replicate {
    fn hosted(&self) -> &Hosted {
        &self.hosted
    }

    async fn begin(&self, call: &StartCall) -> Result<Started, Failure> {
        let begun = Begun::new(&self.hosted, call)?;
        let mut body = begun.json().await?;
        if container::is_one(&call.endpoint) {
            return container::predict(&begun, body).await;
        }
        if let (Some(address), Some(body)) = (begun.callback(), body.as_object_mut()) {
            body.insert(WEBHOOK.to_owned(), json!(address));
            body.insert(WEBHOOK_EVENTS.to_owned(), json!([WebhookEvent::Completed]));
        }
        let ask = begun.with_query(creation(&call.endpoint, body));
        let answer = begun.submit(&ask).await?;
        let prediction: Option<Prediction> = Prediction::deserialize(&answer.json).ok();
        begun.running(&answer, prediction.as_ref().map(|prediction| prediction.id.as_str()))
    }

    async fn look(&self, job: &Job) -> Result<Polled> {
        let running = Running::new(&self.hosted, job)?;
        if let Some(kept) = running.kept().await {
            return kept;
        }
        let mut found = match seen(&running).await? {
            Ok(found) => found,
            Err(ended) => return Ok(ended),
        };
        let stream = found.1.urls.stream.take().filter(|_| !found.1.status.is_over());
        if let Some(stream) = stream.filter(|_| running.is_heard())
            && listen(&running, &stream).await
        {
            found = match seen(&running).await? {
                Ok(found) => found,
                Err(ended) => return Ok(ended),
            };
        }
        let (answer, prediction) = found;
        match prediction.status {
            Status::Starting | Status::Processing => Ok(Polled::Running { after_ms: None }),
            Status::Succeeded => running.done(&answer, charge(&running, &prediction)).await,
            Status::Failed => {
                let failed = running.failed_by(ErrorKind::ProviderFailed, &answer.json);
                Ok(at_cost(failed, charge(&running, &prediction)))
            }
            Status::Canceled => Ok(running.failed(Error::cancelled())),
        }
    }

    async fn give_up(&self, job: &Job) -> Result<Stopped> {
        let running = Running::new(&self.hosted, job)?;
        if running.is_kept() {
            return Ok(Stopped::WasOver);
        }
        running.stop(&Ask::of("POST", format!("{PREDICTIONS}/{}/cancel", running.id()?))).await
    }
}

/// The request for a prediction: of a model by its owner and name, of one of its versions, or of a
/// deployment.
fn creation(endpoint: &str, mut body: Json) -> Ask {
    if let Some(deployment) = endpoint.strip_prefix(DEPLOYMENTS) {
        return Ask::post(format!("/v1/deployments/{deployment}/predictions"), body);
    }
    let version = endpoint.rsplit_once(':').map_or(endpoint, |(_, version)| version);
    if endpoint.contains(':') || !endpoint.contains('/') {
        if let Some(body) = body.as_object_mut() {
            body.insert("version".to_owned(), json!(version));
        }
        return Ask::post(PREDICTIONS, body);
    }
    Ask::post(format!("/v1/models/{endpoint}/predictions"), body)
}

/// The prediction as it is now, with what was logged told; or its end.
async fn seen(running: &Running<'_>) -> Result<Result<(Answer, Prediction), Polled>> {
    let ask = Ask::get(format!("{PREDICTIONS}/{}", running.id()?));
    let answer = match running.look(&ask).await? {
        Ok(answer) => answer,
        Err(ended) => return Ok(Err(ended)),
    };
    let prediction = Prediction::deserialize(&answer.json).map_err(|error| {
        let what = format!("that is no prediction: {error}");
        running.account.garbled(&answer, Purpose::Ask, &what)
    })?;
    running.tell(&lines_of(&prediction.logs));
    Ok(Ok((answer, prediction)))
}

pub(super) fn lines_of(logs: &str) -> Vec<String> {
    logs.lines().map(str::to_owned).collect()
}

/// What the time on the machine cost, where that is what is paid.
fn charge(running: &Running<'_>, prediction: &Prediction) -> Option<Money> {
    let seconds = prediction.metrics.predict_time?;
    let price = &running.offer.price;
    let of = |seconds| {
        let measured: Measured = BTreeMap::from([(Unit::GpuSecond, seconds)]);
        price.charge(&Default::default(), &measured)
    };
    // Other prices do not change with the time.
    (price.known && of(0.0) != of(3_600.0)).then(|| of(seconds))
}

fn at_cost(polled: Polled, cost: Option<Money>) -> Polled {
    match (polled, cost) {
        (Polled::Failed(failure), Some(cost)) => Polled::Failed(Failure { cost, ..failure }),
        (polled, _) => polled,
    }
}

/// Listens until nothing more happens; whether it is over. What is logged is read from the prediction,
/// which has all of it, as often as something is told of it.
async fn listen(running: &Running<'_>, stream: &str) -> bool {
    let Ok(request) = running.account.foreign("GET", stream) else { return false };
    let limits = impasto_net::Limits {
        total_ms: running.account.hosted.options().ask_timeout_ms,
        bytes_per_second_min: 0,
        ..running.account.hosted.usual_limits()
    };
    let Ok(request) = request.limits(limits).header("accept", EVENTS) else { return false };
    // What cannot be listened to, or breaks, is asked for in the plain way.
    let Ok(client) = running.account.way_out().await else { return false };
    let Ok(response) = client.send(request).await else { return false };
    if !response.is_success() || response.media_type().as_deref() != Some(EVENTS) {
        return false;
    }
    let mut events = response.events();
    let mut looked: Option<Instant> = None;
    while let Ok(Some(event)) = events.next().await {
        match event.event.as_str() {
            "logs" if looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) => {
                looked = Some(Instant::now());
                if !matches!(seen(running).await, Ok(Ok(_))) {
                    return true;
                }
            }
            "done" | "error" => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, path: &str, version: Option<&str>) {
        let ask = creation(endpoint, json!({"input": {}}));
        assert_eq!(ask.path, path);
        let expected = match version {
            Some(version) => json!({"input": {}, "version": version}),
            None => json!({"input": {}}),
        };
        assert_eq!(ask.payload, crate::hosted::Payload::Json(expected), "{endpoint}");
    }

    #[test]
    fn a_model_a_version_and_a_deployment_are_asked_each_in_its_way() {
        check("acme/mug", "/v1/models/acme/mug/predictions", None);
        check("acme/mug:ab12", "/v1/predictions", Some("ab12"));
        check("ab12", "/v1/predictions", Some("ab12"));
        check("deployments/acme/mug", "/v1/deployments/acme/mug/predictions", None);
    }

    #[test]
    fn what_is_nothing_and_what_is_new_is_read() {
        let text = r#"{"id": "p", "logs": null, "metrics": null, "urls": {"get": null}, "input": null,
            "error": {"code": 1}, "status": "aborted", "version": null, "new": 1}"#;
        let prediction: Prediction = serde_json::from_str(text).unwrap();
        assert_eq!(prediction.status, Status::Canceled);
        assert_eq!(prediction.error.as_deref(), Some(r#"{"code":1}"#));
    }
}
