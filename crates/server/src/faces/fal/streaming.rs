//! Calls that are told while they are worked on: what there is of a result before it is done, and of a
//! workflow also what its steps do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use impasto_dialects::fal::wire::{File, WorkflowEvent};
use impasto_domain::{InstanceKey, News, OfferId, Result, RunId, Values};
use impasto_engine::{RunHandle, Update, UpdateKind, Updates};
use impasto_workflow::Event;
use serde_json::{Value as Json, json};

use super::call::{Asking, input, is_inline};
use super::endpoint::Endpoint;
use super::error::{Fault, request_id};
use super::output::{Shown, data_uri};
use super::queue::has_ended;
use super::sse;
use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::events::Place;
use crate::files::Base;

/// The name of this way to call.
const WAY: &str = "stream";
/// How often it is looked how far a run is that another process works on.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn stream(
    app: &App,
    asking: &Asking,
    endpoint: &Endpoint,
    body: Body,
) -> Result<Response, Fault> {
    let caller = asking.runner(app, endpoint).await?;
    caller.allow(Scope::Run)?;
    let (bytes, input) = input(app, body).await?;
    let mut call = asking.call(app, endpoint, WAY, input)?;
    let claim = asking.claim(endpoint, WAY, &bytes)?;
    call.claim = Some(claim.clone());
    call.wants_news = !endpoint.is_workflow();
    let inline = is_inline(&call.origin);
    let place = Place::take(app)?;
    let mut ticket = app.submit(&caller, call).await?;
    let delivery = app.delivery(&caller, Some(&claim), &ticket.run);
    let heard = ticket.handle.as_mut().and_then(RunHandle::updates);
    let mut told = Told {
        updates: heard.unwrap_or_else(|| app.updates(&caller, &ticket.run, 0)),
        app: app.clone(),
        caller,
        base: asking.base.clone(),
        run: ticket.run.clone(),
        inline,
        is_workflow: endpoint.is_workflow(),
        nodes: BTreeMap::new(),
        seq: 0,
        ended: false,
    };
    let keep_alive = Duration::from_millis(app.options().keep_alive_ms.max(10));
    // As long as nothing was told, a failure can still be an answer with a status.
    let first = match tokio::time::timeout(keep_alive, told.next()).await {
        Ok(Some(Err(fault))) => return Ok(delivery.over(fault.into_response())),
        Ok(first) => first.and_then(Result::ok),
        Err(_) => Some(sse::silence()),
    };
    let rest = stream::unfold(told, move |mut told| async move {
        let piece = match tokio::time::timeout(keep_alive, told.next()).await {
            Ok(piece) => piece?.unwrap_or_else(|fault| failure(&fault)),
            Err(_) => sse::silence(),
        };
        Some((piece, told))
    });
    let pieces = stream::iter(first).chain(rest).map(Ok::<Bytes, Infallible>);
    let headers = request_id(&ticket.run).into_iter().collect();
    Ok(delivery.over(sse::response(place, headers, pieces)))
}

/// A failure that comes after something was told.
fn failure(fault: &Fault) -> Bytes {
    sse::data(&WorkflowEvent::Error {
        node_id: None,
        message: fault.message(),
        error: fault.event_error(),
    })
}

/// What is told of a run.
struct Told {
    app: App,
    caller: Caller,
    base: Base,
    run: RunId,
    updates: Updates,
    inline: bool,
    is_workflow: bool,
    /// What does the work of each node.
    nodes: BTreeMap<InstanceKey, String>,
    seq: u64,
    ended: bool,
}

impl Told {
    /// The next event, or why there is no result; none after the end.
    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        loop {
            if self.ended {
                return None;
            }
            let told = match self.updates.next().await {
                Some(Ok(update)) => self.tell(update).await,
                Some(Err(error)) => Err(error.into()),
                None => self.end().await,
            };
            match told {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(fault) => {
                    self.ended = true;
                    return Some(Err(fault));
                }
            }
        }
    }

    /// The result, if there is one; otherwise others work on it.
    async fn end(&mut self) -> Result<Option<Bytes>, Fault> {
        let view = self.app.view(&self.caller, &self.run).await?;
        if !has_ended(&view) {
            tokio::time::sleep(LOOK_AGAIN).await;
            self.updates = self.app.updates(&self.caller, &self.run, self.seq);
            return Ok(None);
        }
        if let Some(fault) = Fault::of_run(&view) {
            return Err(fault);
        }
        self.ended = true;
        let output = self.shown(&view.outputs).await?;
        Ok(Some(match self.is_workflow {
            true => sse::data(&WorkflowEvent::Output { output }),
            false => sse::data(&output),
        }))
    }

    async fn shown(&self, values: &Values) -> Result<Json> {
        let Self { app, caller, base, inline, .. } = self;
        Shown { app, caller, base, inline: *inline }.outputs(values).await
    }

    async fn tell(&mut self, update: Update) -> Result<Option<Bytes>, Fault> {
        self.seq = self.seq.max(update.seq);
        Ok(match update.kind {
            // Those who listen to a workflow know its steps by what they say, and pieces say nothing.
            UpdateKind::News { news, part, .. } if !self.is_workflow => {
                partial(&news, part).map(|told| sse::data(&told))
            }
            UpdateKind::Event(event) if self.is_workflow => self.step(event).await?,
            _ => None,
        })
    }

    /// What a step of a workflow does. One that was done before is begun and done at once.
    async fn step(&mut self, event: Event) -> Result<Option<Bytes>> {
        let (begun, key, output) = match event {
            Event::AttemptStarted { key, offer, .. } => {
                return Ok(Some(self.begin(key, app_of(&offer))));
            }
            Event::AttemptDone { key, output, .. } => (Bytes::new(), key, output),
            Event::Reused { key, decision, output } => {
                let app = decision.first().map(|first| app_of(&first.offer));
                (self.begin(key.clone(), app.unwrap_or_default()), key, output)
            }
            _ => return Ok(None),
        };
        let app_id = self.nodes.get(&key).cloned().unwrap_or_default();
        let output = self.shown(&output).await?;
        let done = WorkflowEvent::Completion { node_id: key.to_string(), app_id, output };
        Ok(Some([begun, sse::data(&done)].concat().into()))
    }

    /// A node is begun; notes what does its work.
    fn begin(&mut self, key: InstanceKey, app_id: String) -> Bytes {
        let node_id = key.to_string();
        self.nodes.insert(key, app_id.clone());
        sse::data(&WorkflowEvent::Submit { node_id, app_id, request_id: self.run.to_string() })
    }
}

/// The name under which what an offer offers can be called here.
fn app_of(offer: &OfferId) -> String {
    let (model, place) = offer.as_str().split_once('@').unwrap_or((offer.as_str(), ""));
    match place.rsplit_once('/') {
        Some((_, task)) => format!("impasto/{model}/{task}"),
        None => format!("impasto/{model}"),
    }
}

/// What there is of a result before it is done.
fn partial(news: &News, part: u64) -> Option<Json> {
    Some(match news {
        News::Log { .. } => return None,
        News::Picture { name, index, bytes, media_type } => {
            let picture = File {
                url: data_uri(media_type, bytes),
                content_type: Some(media_type.clone()),
                file_size: Some(bytes.len() as u64),
                ..File::default()
            };
            let named = if name == "images" { json!([picture]) } else { json!(picture) };
            json!({ name: named, "partial": true, "index": index })
        }
        News::Sound { name, format, bytes } => {
            let mut sound = json!({
                "content": STANDARD.encode(bytes), "content_type": format.media_type,
            });
            if format.sample_rate_hz > 0 {
                sound["sample_rate"] = format.sample_rate_hz.into();
                sound["channels"] = format.channels.into();
            }
            json!({ name: sound, "partial": true, "index": part })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_can_be_called_by_its_name() {
        let offer = OfferId::new("a-model@a-place/text-to-image");
        assert_eq!(app_of(&offer), "impasto/a-model/text-to-image");
    }

    #[test]
    fn what_there_is_of_a_result_stands_where_the_result_will() {
        let picture = |name: &str| News::Picture {
            name: name.to_owned(),
            index: 2,
            bytes: b"abc".to_vec(),
            media_type: "image/png".to_owned(),
        };
        let file = json!({
            "url": "data:image/png;base64,YWJj", "content_type": "image/png", "file_size": 3,
        });
        let told = partial(&picture("images"), 0);
        assert_eq!(told, Some(json!({ "images": [file], "partial": true, "index": 2 })));
        let told = partial(&picture("image"), 0);
        assert_eq!(told, Some(json!({ "image": file, "partial": true, "index": 2 })));
        let format = impasto_domain::SoundFormat {
            media_type: "audio/pcm".to_owned(),
            sample_rate_hz: 24_000,
            channels: 1,
        };
        let sound = News::Sound { name: "audio".to_owned(), format, bytes: b"abc".to_vec() };
        let content = json!({
            "content": "YWJj", "content_type": "audio/pcm", "sample_rate": 24_000, "channels": 1,
        });
        let told = partial(&sound, 7);
        assert_eq!(told, Some(json!({ "audio": content, "partial": true, "index": 7 })));
    }
}
