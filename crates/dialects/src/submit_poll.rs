//! The dialect `submit-poll`: jobs of providers that differ only in paths, names of fields and words
//! for states, all of which the provider's file says.
//!
//! Invariants
//! - Nothing here knows a provider: what a provider needs is in its file.
//! - What the provider made is fetched before the attempt is over; an answer that has only links is
//!   kept with the handle first.
//! - A job is called failed only when the provider says so of the job. What goes wrong with asking
//!   is retryable, so an attempt of which nothing more can be learnt ends in doubt.

mod items;
mod job;
mod start;

pub(crate) use start::attempt_name;

use impasto_catalog::{Offer, Outputs, Provider, Wire};
use impasto_domain::{Error, ErrorKind, Result};
use impasto_engine::{Failure, Job, Polled, StartCall, Started, Stopped};

use crate::hosted::Hosted;
use crate::remote::Dialect;

/// The driver.
#[derive(Clone)]
pub struct SubmitPoll {
    hosted: Hosted,
}

impl SubmitPoll {
    /// A driver that goes out by `hosted`.
    pub fn new(hosted: Hosted) -> Self {
        Self { hosted }
    }
}

impl Dialect for SubmitPoll {
    fn hosted(&self) -> &Hosted {
        &self.hosted
    }

    async fn begin(&self, call: &StartCall) -> Result<Started, Failure> {
        self.submission(call).await?.send(call).await
    }

    async fn look(&self, job: &Job) -> Result<Polled> {
        self.running(job)?.poll().await
    }

    async fn give_up(&self, job: &Job) -> Result<Stopped> {
        self.running(job)?.cancel().await
    }
}

/// How the jobs of an offer are spoken to.
fn wire_of<'c>(offer: &Offer, provider: &'c Provider) -> Result<&'c Wire> {
    provider.wire(offer.wire.as_deref()).ok_or_else(|| {
        let message = format!("`{}` does not say how `{}` is called", provider.id, offer.id);
        Error::new(ErrorKind::Internal, message).hint("name one of the provider's wires")
    })
}

/// Where an offer's answer has its output.
fn outputs_of(offer: &Offer) -> Result<&Outputs> {
    let outputs = offer.outputs.as_ref();
    outputs
        .ok_or_else(|| Error::internal(format!("`{}` does not say where its output is", offer.id)))
}
