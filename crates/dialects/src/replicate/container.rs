//! A container that serves one model. It knows no predictions but the one that it is busy with, so it
//! is waited for; the name of the prediction is ours, so that it can be given up meanwhile.

use std::time::Duration;

use impasto_domain::{Digest, Error, ErrorKind, Workbench};
use impasto_engine::{Failure, Started};
use serde::Deserialize;
use serde_json::Value as Json;

use super::driver::lines_of;
use super::wire::{Prediction, Status};
use crate::drive::Begun;
use crate::hosted::{Ask, Payload, Purpose};

/// The endpoint of the model of a container, which needs no other name.
const ENDPOINT: &str = "predictions";
/// How often it is looked whether somebody wants it to stop.
const LOOK: Duration = Duration::from_millis(200);

/// Whether that is the model of a container.
pub(super) fn is_one(endpoint: &str) -> bool {
    endpoint == ENDPOINT
}

pub(super) async fn predict(begun: &Begun<'_>, body: Json) -> Result<Started, Failure> {
    let id = Digest::of(begun.call.idempotency_key.as_bytes());
    let path = format!("/{ENDPOINT}/{id}");
    let ask = Ask { payload: Payload::Json(body), ..Ask::of("PUT", path.clone()) };
    let calling = begun.call(begun.with_query(ask));
    tokio::pin!(calling);
    let answer = tokio::select! {
        answer = &mut calling => answer?,
        () = wished_to_stop(&*begun.call.bench) => {
            let stop = Ask::of("POST", format!("{path}/cancel"));
            let _either_way_it_answers = begun.account.ask_any(&stop, Purpose::Ask).await;
            calling.await?
        }
    };
    let read = Prediction::deserialize(&answer.json);
    let prediction = read.map_err(|error| {
        let what = format!("that is no prediction: {error}");
        begun.account.garbled(&answer, Purpose::Start, &what)
    })?;
    let bench: &dyn Workbench = &*begun.call.bench;
    begun.account.tell_lines(&path, &lines_of(&prediction.logs), bench);
    begun.account.forget_lines(&path);
    match prediction.status {
        Status::Succeeded => begun.done(answer, None).await,
        Status::Canceled => Err(Error::cancelled().into()),
        Status::Failed => {
            let errors = &begun.account.provider.errors;
            Err(errors.of_job(ErrorKind::ProviderFailed, &answer.json).into())
        }
        Status::Starting | Status::Processing => {
            let what = "it answered before it was done";
            Err(begun.account.garbled(&answer, Purpose::Start, what).into())
        }
    }
}

async fn wished_to_stop(bench: &dyn Workbench) {
    while !bench.cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}
