//! What is told of the end of a request, and the signature by which it is known to be ours.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use impasto_dialects::fal::wire::WebhookBody;
use impasto_domain::{Digest, Error, Result};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value as Json, json};

use super::call::is_inline;
use super::error::Fault;
use super::output::Shown;
use crate::app::App;
use crate::calls::ViewStatus;
use crate::webhooks::{Composing, Message, Notice};

/// What the signing key is derived for.
const PURPOSE: &str = "fal webhooks";

/// What is told of something that happened; only ends are told here.
pub(crate) fn compose(notice: Notice) -> Composing {
    Box::pin(async move {
        let Some(body) = body(&notice).await? else { return Ok(None) };
        let body = serde_json::to_vec(&body)
            .map_err(|error| Error::internal(format!("it cannot be written: {error}")))?;
        let app = &notice.viewer.app;
        let user = notice.viewer.caller.tenant.to_string();
        let at_s = (notice.at_ms / 1_000).to_string();
        let request = notice.run.id.to_string();
        let signed = format!("{request}\n{user}\n{at_s}\n{}", Digest::of(&body));
        let signature = key(app)?.sign(signed.as_bytes());
        let signature = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = [
            ("x-fal-webhook-request-id", request),
            ("x-fal-webhook-user-id", user),
            ("x-fal-webhook-timestamp", at_s),
            ("x-fal-webhook-signature", signature),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(Some(Message { headers, body }))
    })
}

async fn body(notice: &Notice) -> Result<Option<WebhookBody>> {
    let (run, viewer) = (&notice.run, &notice.viewer);
    let told = |status: &str, payload, error| WebhookBody {
        request_id: run.id.to_string(),
        gateway_request_id: run.id.to_string(),
        status: status.to_owned(),
        payload,
        error,
        payload_error: None,
    };
    if run.status == ViewStatus::Parked {
        // It may yet end, and an end is told once.
        return Ok(None);
    }
    if let Some(fault) = Fault::of_run(run) {
        let payload = serde_json::to_value(fault.body()).unwrap_or_default();
        let error = format!("Invalid status code: {}", fault.status());
        return Ok(Some(told("ERROR", payload, Some(error))));
    }
    if run.status != ViewStatus::Succeeded {
        return Ok(None);
    }
    let (app, caller, base) = (&viewer.app, &viewer.caller, &viewer.base);
    let shown = Shown { app, caller, base, inline: is_inline(&run.origin) };
    Ok(Some(told("OK", shown.outputs(&run.outputs).await?, None)))
}

/// The key that signs.
fn key(app: &App) -> Result<Ed25519KeyPair> {
    let seed = app.derive(PURPOSE, "").finalize().into_bytes();
    Ed25519KeyPair::from_seed_unchecked(&seed)
        .map_err(|error| Error::internal(format!("no key can be made: {error}")))
}

/// The keys by which receivers know what is ours.
pub(super) fn key_set(app: &App) -> Result<Json> {
    let x = URL_SAFE_NO_PAD.encode(key(app)?.public_key());
    let id = Digest::of(x.as_bytes()).short();
    let key =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "alg": "EdDSA", "use": "sig" });
    Ok(json!({ "keys": [key] }))
}
