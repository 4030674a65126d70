//! Whether an answer reached whoever asked.
//!
//! A client that sends no idempotency key and tries again after its connection broke means the same
//! wish. So it is noted when an answer was handed over and when its connection ended before: the same
//! request then becomes the run that there is, not a second one.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use impasto_domain::{RunId, TenantId};
use impasto_store::{Claim, ClaimKind, DeliveryState};

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
}

impl Delivery {
    fn end(&mut self, state: DeliveryState) {
        let Some(Open { app, tenant, key, run }) = self.open.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // If it cannot be noted, the delivery stays open: a retry is then a wish of its own.
            let _unknown = app.engine().delivered(tenant, key, run, state).await;
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
