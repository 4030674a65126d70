//! One connection, many calls: each message is an input, each answer a result, in order.
//!
//! Messages are MessagePack, or JSON where they are text; a result is MessagePack. Whoever sends faster
//! than can be worked loses the oldest messages that wait, as they asked for.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use impasto_dialects::fal::packed;
use impasto_domain::{Error, ErrorKind, Result};
use serde_json::{Map, Value as Json, json};

use super::call::{Asking, is_inline};
use super::endpoint::Endpoint;
use super::error::Fault;
use super::output::Shown;
use super::run::ended;
use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::calls::ViewStatus;
use crate::events::Place;

/// The name of this way to call.
const WAY: &str = "realtime";
/// Messages that wait at most, if nobody says how many.
const WAITING: usize = 60;
/// The parameter that says how many messages may wait.
const MAX_BUFFERING: &str = "max_buffering";
/// How long nothing may be said.
const IDLE: Duration = Duration::from_secs(300);
/// The most bytes of a picture that stands in a result itself.
const CONTENT_BYTES_MAX: u64 = 4 << 20;

pub(super) async fn connect(
    app: &App,
    asking: Asking,
    endpoint: Endpoint,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Fault> {
    let caller = asking.runner(app, &endpoint).await;
    let has_token = asking.query.contains_key(impasto_dialects::fal::wire::TOKEN);
    let caller = match caller.and_then(|caller| caller.allow(Scope::Run).map(|()| caller)) {
        Ok(caller) => Some(caller),
        // A page never sees with what status a connection was refused: it is told inside.
        Err(error) if has_token && error.kind == ErrorKind::Unauthorized => None,
        Err(error) => return Err(error.into()),
    };
    endpoint.meant(&app.catalog())?;
    let place = Place::take(app)?;
    let most = app.options().body_bytes_max;
    let app = app.clone();
    let response = upgrade.max_message_size(most).max_frame_size(most).on_upgrade(
        move |mut socket| async move {
            let _kept_until_the_end = place;
            let Some(caller) = caller else {
                let refused = json!({ "status": "error", "error": "Unauthorized" });
                let _gone = socket.send(Message::text(refused.to_string())).await;
                return close(socket, close_code::POLICY).await;
            };
            Connection { app, caller, asking, endpoint, socket, waiting: VecDeque::new() }
                .serve()
                .await;
        },
    );
    Ok(response.into_response())
}

async fn close(mut socket: WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: "".into() };
    let _gone = socket.send(Message::Close(Some(frame))).await;
}

struct Connection {
    app: App,
    caller: Caller,
    asking: Asking,
    endpoint: Endpoint,
    socket: WebSocket,
    waiting: VecDeque<Message>,
}

impl Connection {
    async fn serve(mut self) {
        let most = self.asking.query.get(MAX_BUFFERING).and_then(|most| most.parse().ok());
        let most = most.unwrap_or(WAITING).clamp(1, WAITING);
        loop {
            let Some(message) = self.message().await else { return };
            let answering = answer(&self.app, &self.caller, &self.asking, &self.endpoint, message);
            let mut answering = std::pin::pin!(answering);
            let answer = loop {
                tokio::select! {
                    answer = &mut answering => break answer,
                    heard = self.socket.recv() => match heard {
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                        Some(Ok(message)) => {
                            if self.waiting.len() >= most {
                                self.waiting.pop_front();
                            }
                            self.waiting.push_back(message);
                        }
                    },
                }
            };
            if self.socket.send(answer).await.is_err() {
                return;
            }
        }
    }

    /// The next message with something in it; none when nobody is there any more.
    async fn message(&mut self) -> Option<Message> {
        loop {
            let message = match self.waiting.pop_front() {
                Some(message) => message,
                None => match tokio::time::timeout(IDLE, self.socket.recv()).await {
                    Ok(message) => message?.ok()?,
                    Err(_) => {
                        self.say_good_bye().await;
                        return None;
                    }
                },
            };
            match message {
                Message::Close(_) => return None,
                Message::Text(_) | Message::Binary(_) => return Some(message),
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    async fn say_good_bye(&mut self) {
        let reason = format!("nothing was said for {} seconds", IDLE.as_secs());
        let idle = json!({ "type": "x-fal-error", "error": "TIMEOUT", "reason": reason });
        let frame = CloseFrame { code: close_code::NORMAL, reason: "".into() };
        for message in [Message::text(idle.to_string()), Message::Close(Some(frame))] {
            if self.socket.send(message).await.is_err() {
                return;
            }
        }
    }
}

/// What one message is answered.
async fn answer(
    app: &App,
    caller: &Caller,
    asking: &Asking,
    endpoint: &Endpoint,
    message: Message,
) -> Message {
    let done = async {
        let input = input(&message)?;
        let call = asking.call(app, endpoint, WAY, input)?;
        let inline = is_inline(&call.origin);
        let ticket = app.submit(caller, call).await?;
        let view = ended(app, caller, ticket).await?;
        if let Some(fault) = Fault::of_run(&view) {
            return Err(fault);
        }
        if view.status != ViewStatus::Succeeded {
            return Err(Fault::too_long(&view.id));
        }
        let shown = Shown { app, caller, base: &asking.base, inline };
        let mut output = shown.outputs(&view.outputs).await?;
        if let Json::Object(output) = &mut output {
            output.insert("request_id".to_owned(), view.id.as_str().into());
        }
        let pictures = match inline {
            true => Vec::new(),
            false => contents(app, caller, &view.outputs).await?,
        };
        Ok(packed::write(&output, &pictures)?)
    };
    match done.await {
        Ok(packed) => Message::binary(packed),
        Err(fault) => {
            let error = json!({
                "type": "x-fal-error",
                "error": fault.kind(),
                "reason": fault.message(),
                "status": fault.status(),
            });
            Message::text(error.to_string())
        }
    }
}

fn input(message: &Message) -> Result<Map<String, Json>> {
    let input = match message {
        Message::Text(text) => serde_json::from_str(text.as_str())
            .map_err(|error| Error::invalid(format!("the message is no JSON: {error}")))?,
        Message::Binary(bytes) => packed::read(bytes)?,
        _ => Json::Null,
    };
    match input {
        Json::Object(input) => Ok(input),
        _ => Err(Error::invalid("the message is no map").hint("send the input as a map")),
    }
}

/// The bytes of small pictures in an output, each with the address of the place where it stands.
async fn contents(
    app: &App,
    caller: &Caller,
    outputs: &impasto_domain::Values,
) -> Result<Vec<packed::Content>> {
    let mut contents = Vec::new();
    for (name, value) in outputs {
        let is_list = value.as_list().is_some();
        for (place, asset) in value.assets().into_iter().enumerate() {
            let is_picture = asset.kind() == impasto_domain::MediaKind::Image;
            if !is_picture || asset.facts.bytes > CONTENT_BYTES_MAX {
                continue;
            }
            let bytes = app.bytes(caller, asset).await?;
            let place = is_list.then_some(place);
            contents.push(packed::Content { name: name.clone(), place, bytes });
        }
    }
    Ok(contents)
}
