//! Whether an answer reached whoever asked.
//!
//! A client that sends no idempotency key and tries again after its connection broke means the same
//! wish. So it is noted when an answer was handed over and when its connection ended before: the same
//! request then becomes the run that there is, not a second one.
//!
//! That an answer was handed over does not say that it was read. What becomes of its connection says more
//! ([`Ear`]): a system resets a connection that is closed while something in it is unread, and clients
//! that keep their connections do not end one at once. So an answer counts as read when the connection is
//! used again or closed in good order, and as broken when it is reset before that.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use impasto_domain::{RunId, TenantId};
use impasto_store::{Claim, ClaimKind, DeliveryState};
use serde::Deserialize;
use tokio::sync::watch;

use crate::app::App;
use crate::caller::Caller;

/// An answer that is about to be given. Dropped before it was handed over, it counts as broken.
pub(crate) struct Delivery {
    open: Option<Open>,
}

struct Open {
    app: App,
    tenant: TenantId,
    key: String,
    run: RunId,
    /// What tells whether it was read.
    ear: Option<Ear>,
}

/// How long a connection stays open, at least, whose client keeps it, got an answer and has nothing else
/// to ask.
const KEPT: Duration = Duration::from_secs(1);
/// For so long it is watched what becomes of a connection.
const WATCHED: Duration = Duration::from_secs(60);
/// For so long the same request is the same wish after its connection was reset: longer than programs
/// wait before they try again, and shorter than somebody does who had the answer and wants another.
const AFTER_RESET: Duration = Duration::from_secs(30);

/// Clients that keep their connections and try again by themselves. The table is data:
/// `data/clients.toml`.
static CLIENTS: LazyLock<Vec<Client>> = LazyLock::new(|| {
    let table: Result<BTreeMap<String, Vec<Client>>, _> =
        toml::from_str(include_str!("../data/clients.toml"));
    table.ok().and_then(|mut table| table.remove("clients")).unwrap_or_default()
});

/// A client that keeps its connections and tries again by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    /// The header by which it is known, and how its value begins.
    header: String,
    value: String,
    /// How long it takes at most until it tries for the first time, with the time that messages need.
    again_ms: u64,
}

/// What is seen of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Requests so far.
    requests: u64,
    /// Whether it ended other than in good order.
    is_reset: bool,
}

/// Tells what is seen of a connection, and by its end that the connection has ended.
#[derive(Debug)]
pub(crate) struct Watch(watch::Sender<Seen>);

impl Watch {
    /// A new connection.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::default())
    }

    /// The connection, as those see it who answer requests on it.
    pub(crate) fn line(&self) -> Line {
        Line(self.0.subscribe())
    }

    /// A request has come.
    pub(crate) fn asked(&self) {
        self.0.send_modify(|seen| seen.requests += 1);
    }

    /// The connection was reset.
    pub(crate) fn reset(&self) {
        self.0.send_modify(|seen| seen.is_reset = true);
    }
}

/// A connection, on each of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Line(watch::Receiver<Seen>);

/// What became of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was used again.
    Used,
    /// It ended in good order.
    Closed,
    /// It was reset.
    Reset,
}

impl Line {
    /// What becomes of the connection next.
    async fn fate(&mut self) -> Fate {
        let ended = self.0.changed().await.is_err();
        match *self.0.borrow() {
            Seen { is_reset: true, .. } => Fate::Reset,
            _ if ended => Fate::Closed,
            _ => Fate::Used,
        }
    }
}

tokio::task_local! {
    /// The connection on which this task gives an answer.
    static EAR: Option<Ear>;
}

/// What tells whether an answer is read: its connection, and what is known of the client.
#[derive(Clone, Debug)]
pub(crate) struct Ear {
    line: Line,
    /// If the client keeps its connections: how long it takes until it tries again.
    again: Option<Duration>,
}

impl Ear {
    /// The ear of whoever sent a request; none if the connection ends with the answer anyway.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let line = request.extensions().get::<Line>()?.clone();
        let headers = request.headers();
        let ends = headers.get(header::CONNECTION).and_then(|wish| wish.to_str().ok());
        if ends.is_some_and(|wish| wish.eq_ignore_ascii_case("close")) {
            return None;
        }
        Some(Self { line, again: tries_again(headers) })
    }

    /// Answers a request on that connection.
    pub(crate) async fn hold<T>(ear: Option<Self>, answering: impl Future<Output = T>) -> T {
        EAR.scope(ear, answering).await
    }

    /// Who hears what this task answers.
    fn current() -> Option<Self> {
        EAR.try_with(Clone::clone).ok().flatten()
    }
}

/// How long a client takes until it tries again, if it is known to keep its connections and to do that.
fn tries_again(headers: &HeaderMap) -> Option<Duration> {
    let known = CLIENTS.iter().find(|client| {
        let value = headers.get(client.header.as_str()).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.starts_with(&client.value))
    })?;
    Some(Duration::from_millis(known.again_ms))
}

impl Open {
    /// Notes that the answer was given when it is known that it was read.
    async fn hear(&self, mut ear: Ear) {
        let again = match tokio::time::timeout(KEPT, ear.line.fate()).await {
            Ok(Fate::Used) => None,
            Ok(Fate::Closed) => ear.again,
            Ok(Fate::Reset) => Some(AFTER_RESET),
            Err(_) => {
                self.note(DeliveryState::Given).await;
                let fate = tokio::time::timeout(WATCHED, ear.line.fate()).await;
                (fate == Ok(Fate::Reset)).then_some(AFTER_RESET)
            }
        };
        let Some(again) = again else { return self.note(DeliveryState::Answered).await };
        self.note(DeliveryState::Broken).await;
        tokio::time::sleep(again).await;
        self.note(DeliveryState::Late).await;
    }

    async fn note(&self, state: DeliveryState) {
        let Self { app, tenant, key, run, .. } = self;
        let noted = app.engine().delivered(tenant.clone(), key.clone(), run.clone(), state);
        // If it cannot be noted, the delivery stays open: a retry is then a wish of its own.
        let _unknown = noted.await;
    }
}

impl Delivery {
    fn end(&mut self, state: DeliveryState) {
        let Some(mut open) = self.open.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut ear = open.ear.take().filter(|_| state == DeliveryState::Answered);
        if let Some(ear) = &mut ear {
            // What comes from here on comes after the answer.
            ear.line.0.mark_unchanged();
        }
        runtime.spawn(async move {
            match ear {
                Some(ear) => open.hear(ear).await,
                None => open.note(state).await,
            }
        });
    }

    /// Lets another delivery of the same answer take over: nothing is noted.
    pub(crate) fn hand_on(mut self) {
        self.open = None;
    }

    /// The response, watched until it is handed over.
    pub(crate) fn over(self, response: Response) -> Response {
        if self.open.is_none() {
            return response;
        }
        response.map(|body| Body::new(Watched { body, delivery: self }))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.end(DeliveryState::Broken);
    }
}

impl App {
    /// Watches over the answer to a call that became this run under this claim.
    pub(crate) fn delivery(&self, caller: &Caller, claim: Option<&Claim>, run: &RunId) -> Delivery {
        let open = claim.filter(|claim| claim.kind == ClaimKind::Delivery).map(|claim| Open {
            app: self.clone(),
            tenant: caller.tenant.clone(),
            key: claim.key.clone(),
            run: run.clone(),
            ear: Ear::current(),
        });
        Delivery { open }
    }
}

struct Watched {
    body: Body,
    delivery: Delivery,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Err(_))) => self.delivery.end(DeliveryState::Broken),
            Poll::Ready(None) => self.delivery.end(DeliveryState::Answered),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => {
                self.delivery.end(DeliveryState::Answered);
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_says_what_became_of_it() {
        async fn check(expected: Fate, then: impl FnOnce(Watch) -> Option<Watch>) {
            let watch = Watch::new();
            watch.asked();
            let mut line = watch.line();
            line.0.mark_unchanged();
            let _open = then(watch);
            assert_eq!(line.fate().await, expected);
        }
        check(Fate::Used, |watch| {
            watch.asked();
            Some(watch)
        })
        .await;
        check(Fate::Closed, |_| None).await;
        check(Fate::Reset, |watch| {
            watch.reset();
            None
        })
        .await;
    }

    #[test]
    fn clients_are_known_by_a_header() {
        let check = |name: &'static str, value: &'static str, expected: bool| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )]);
            assert_eq!(tries_again(&headers).is_some(), expected, "{name}: {value}");
        };
        assert!(CLIENTS.len() > 2);
        for client in &*CLIENTS {
            assert!((500..5_000).contains(&client.again_ms), "{client:?}");
        }
        check("x-stainless-retry-count", "0", true);
        check("user-agent", "curl/8", false);
    }
}
