//! Text that comes bit by bit over a socket, and is said bit by bit.
//!
//! What has come is said when it is enough by the client's schedule, or when the client asks for it; each
//! time is a run. The socket is closed when everything has been said: clients wait for that.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use impasto_dialects::elevenlabs::wire::{
    GenerationConfig, SocketAlignment, SocketAnswer, SocketError, SocketRequest, SpeechRequest,
    VoiceSettings,
};
use impasto_dialects::inline::to_json;
use impasto_domain::Error;
use serde::Deserialize;

use super::error::Failure;
use super::{align, caller_of, format, hold, key_of, speech};
use crate::Scope;
use crate::app::App;
use crate::caller::Caller;
use crate::events::Place;
use crate::faces::pieces::Pieces;
use crate::faces::sound::{Flow, Wanted, sound_of};

/// When enough has come, if the client does not say: so many characters.
const SCHEDULE: [u32; 4] = [120, 160, 250, 290];
/// The most text that waits to be said, in bytes.
const WAITING_MAX: usize = 64 << 10;
/// The longest message, in bytes.
const MESSAGE_MAX: usize = 1 << 20;
/// With these codes a socket is closed.
const CLOSED_WELL: u16 = 1000;
const CLOSED_BY_POLICY: u16 = 1008;

/// What the address of the socket may say.
#[derive(Deserialize)]
pub(super) struct Opening {
    model_id: Option<String>,
    output_format: Option<String>,
    language_code: Option<String>,
    seed: Option<u64>,
    authorization: Option<String>,
    sync_alignment: Option<bool>,
}

pub(super) async fn open(
    State(app): State<App>,
    Path(voice): Path<String>,
    Query(opening): Query<Opening>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let bearer = opening.authorization.as_deref();
    let key = key_of(&headers).or(bearer).map(|key| key.trim_start_matches("Bearer ").to_owned());
    let upgrade = upgrade.max_message_size(MESSAGE_MAX);
    let place = Place::take(&app)?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _until_the_end = place;
        let talk = Talk { app, voice, opening, key, socket, settings: None, schedule: Vec::new() };
        talk.hold().await;
    }))
}

/// A socket and what was agreed on it.
struct Talk {
    app: App,
    voice: String,
    opening: Opening,
    key: Option<String>,
    socket: WebSocket,
    settings: Option<VoiceSettings>,
    schedule: Vec<u32>,
}

/// Why nothing more is said.
enum End {
    /// The client is gone.
    Gone,
    /// Something went wrong.
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Talk {
    async fn hold(mut self) {
        let (code, reason) = match self.talk().await {
            Ok(()) => (CLOSED_WELL, String::new()),
            Err(End::Gone) => return,
            Err(End::Failed(failure)) => {
                let detail = failure.detail();
                let error = SocketError {
                    message: detail.message.clone(),
                    error: detail.status,
                    code: CLOSED_BY_POLICY,
                };
                let text = serde_json::to_string(&error).unwrap_or_default();
                if self.socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
                // A reason has 123 bytes at most.
                (CLOSED_BY_POLICY, detail.message.chars().take(30).collect())
            }
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
        let _gone = self.socket.send(Message::Close(Some(frame))).await;
    }

    /// The next message of the client; none at its end.
    async fn heard(&mut self) -> Result<Option<SocketRequest>, End> {
        let idle = std::time::Duration::from_millis(self.app.options().body_idle_timeout_ms);
        loop {
            let next = tokio::time::timeout(idle, self.socket.recv()).await.map_err(|_| {
                Error::invalid("nothing came for too long").hint("send a blank to keep it open")
            })?;
            let Some(Ok(message)) = next else { return Err(End::Gone) };
            let text = match &message {
                Message::Text(text) => text.as_bytes(),
                Message::Binary(bytes) => bytes,
                Message::Close(_) => return Err(End::Gone),
                Message::Ping(_) | Message::Pong(_) => continue,
            };
            let request: SocketRequest = crate::faces::body::parsed(text)?;
            let is_end = request.text.as_deref() == Some("");
            return Ok((!is_end).then_some(request));
        }
    }

    async fn talk(&mut self) -> Result<(), End> {
        let wanted = format::wanted(&self.app, self.opening.output_format.as_deref())?;
        let Some(first) = self.heard().await? else { return Ok(()) };
        let key = self.key.take().or(first.api_key);
        let caller = caller_of(&self.app, key.as_deref(), Scope::Run).await?;
        self.settings = first.voice_settings;
        let GenerationConfig { chunk_length_schedule } =
            first.generation_config.unwrap_or_default();
        self.schedule = chunk_length_schedule.unwrap_or_default();
        if self.schedule.is_empty() {
            self.schedule = SCHEDULE.to_vec();
        }
        let mut waiting = first.text.unwrap_or_default().trim_start().to_owned();
        let mut said = 0;
        while let Some(next) = self.heard().await? {
            waiting.push_str(&next.text.unwrap_or_default());
            if waiting.len() > WAITING_MAX {
                Err(Error::invalid("too much text waits to be said").hint("send `flush`"))?;
            }
            let enough = self.schedule.get(said).or(self.schedule.last()).copied();
            let flush = next.flush == Some(true);
            let most = if flush { 0 } else { enough.unwrap_or_default() as usize };
            if let Some(text) = due(&mut waiting, most, flush) {
                self.say(&caller, wanted, text).await?;
                said += 1;
            }
        }
        if let Some(text) = due(&mut waiting, 0, true) {
            self.say(&caller, wanted, text).await?;
        }
        let last = SocketAnswer { is_final: Some(true), ..SocketAnswer::default() };
        self.tell(&last).await
    }

    async fn tell(&mut self, answer: &SocketAnswer) -> Result<(), End> {
        let json = to_json(answer)?;
        let text = Utf8Bytes::try_from(json).map_err(|_| Error::internal("JSON is text"))?;
        self.socket.send(Message::Text(text)).await.map_err(|_| End::Gone)
    }

    /// Says a stretch of text, while it is made.
    async fn say(&mut self, caller: &Caller, wanted: Wanted, text: String) -> Result<(), End> {
        let request = SpeechRequest {
            text: Some(text.clone()),
            model_id: self.opening.model_id.clone(),
            language_code: self.opening.language_code.clone(),
            voice_settings: self.settings.clone(),
            seed: self.opening.seed,
            ..SpeechRequest::default()
        };
        let mut call = speech::call(&self.app, &self.voice, request)?;
        call.wants_news = true;
        let _or_made_here = wanted.ask_for(&self.app, &mut call);
        let ticket = self.app.submit(caller, call).await?;
        let pieces = Pieces::of(&self.app, caller, ticket, hold(&self.app));
        let mut flow = Flow::new(&self.app, caller, pieces, wanted);
        let mut wants_times = self.opening.sync_alignment != Some(false);
        while let Some(piece) = flow.next().await.map_err(Failure::of_run)? {
            let mut answer = SocketAnswer { audio: Some(piece.into()), ..SocketAnswer::default() };
            if flow.is_made() && wants_times {
                let rest = flow.whole().await.map_err(Failure::of_run)?;
                answer.audio = answer.audio.map(|audio| [audio.0, rest].concat().into());
                answer.alignment = times_of(&text, &flow)?;
                answer.normalized_alignment = answer.alignment.clone();
                wants_times = false;
            }
            self.tell(&answer).await?;
        }
        // All pieces may have come before it was known how long each character takes.
        if let Some(alignment) = times_of(&text, &flow)?.filter(|_| wants_times) {
            let normalized_alignment = Some(alignment.clone());
            let alignment = Some(alignment);
            let answer =
                SocketAnswer { alignment, normalized_alignment, ..SocketAnswer::default() };
            self.tell(&answer).await?;
        }
        Ok(())
    }
}

/// When each character of a text is said, as soon as it is known.
fn times_of(text: &str, flow: &Flow) -> Result<Option<SocketAlignment>, End> {
    let Some(view) = flow.view() else { return Ok(None) };
    let duration_ms = sound_of(&view.outputs)?.facts.duration_ms;
    let duration_s = duration_ms.unwrap_or_default() as f64 / 1e3;
    let times = align::characters(text, &view.outputs, duration_s);
    Ok(Some(align::for_socket(&times)))
}

/// The text that is to be said now: all of it, or up to its last sentence or word if it is enough.
fn due(waiting: &mut String, enough: usize, all: bool) -> Option<String> {
    let said = if all {
        std::mem::take(waiting)
    } else {
        if waiting.chars().count() < enough.max(1) {
            return None;
        }
        let ends = |marks: &[char]| waiting.rfind(marks).filter(|at| *at > 0);
        let at = ends(&['.', '!', '?', '\n']).or_else(|| ends(&[',', ';', ' ']))?;
        let rest = waiting.split_off(at + 1);
        std::mem::replace(waiting, rest)
    };
    Some(said.trim().to_owned()).filter(|said| said.chars().any(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_is_said_up_to_a_sentence_or_a_word() {
        let check = |text: &str, enough, all, said: Option<&str>, rest: &str| {
            let mut waiting = text.to_owned();
            assert_eq!(due(&mut waiting, enough, all).as_deref(), said, "{text}");
            assert_eq!(waiting, rest, "{text}");
        };
        check("one. two", 5, false, Some("one."), " two");
        check("one two thr", 5, false, Some("one two"), "thr");
        check("one", 5, false, None, "one");
        check("one", 5, true, Some("one"), "");
        check(" . ", 0, true, None, "");
    }
}
