//! What a webhook of this dialect is told: the prediction as it stands, signed.

use impasto_dialects::replicate::wire::WebhookEvent;
use impasto_domain::{Error, Result};
use impasto_store::STARTED;

use super::shape::{Facts, Files, prediction};
use crate::webhooks::{Composing, Message, Notice, signed};

/// What is told of something that happened to a prediction.
pub(crate) fn compose(notice: Notice) -> Composing {
    Box::pin(composed(notice))
}

async fn composed(notice: Notice) -> Result<Option<Message>> {
    let Notice { run, topic, id, at_ms, viewer } = notice;
    let facts: Facts = serde_json::from_value(run.origin.extra.clone()).unwrap_or_default();
    if !wants(facts.filter.as_deref(), &topic) {
        return Ok(None);
    }
    let (app, caller, base) = (&viewer.app, &viewer.caller, &viewer.base);
    let shown = prediction(app, caller, base, run, Files::Addresses).await?;
    let body = serde_json::to_vec(&shown)
        .map_err(|error| Error::internal(format!("it cannot be written: {error}")))?;
    let secret = app.webhook_secret(&caller.tenant);
    Ok(Some(Message { headers: signed(&id, at_ms, &body, &[secret])?, body }))
}

/// Whether a client that asked for these events wants to be told of it. There is neither output nor a
/// log before the end.
fn wants(filter: Option<&[WebhookEvent]>, topic: &str) -> bool {
    let Some(filter) = filter else { return true };
    if topic == STARTED {
        return filter.contains(&WebhookEvent::Start);
    }
    filter.iter().any(|event| *event != WebhookEvent::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_is_not_told() {
        use WebhookEvent::{Completed, Start};
        let check = |filter: Option<&[WebhookEvent]>, started, ended| {
            assert_eq!(wants(filter, STARTED), started, "{filter:?}");
            assert_eq!(wants(filter, "run.failed"), ended, "{filter:?}");
        };
        check(None, true, true);
        check(Some(&[Start]), true, false);
        check(Some(&[Completed]), false, true);
        check(Some(&[Start, Completed]), true, true);
        check(Some(&[]), false, false);
    }
}
