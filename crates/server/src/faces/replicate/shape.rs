//! A run as a prediction.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_dialects::replicate::wire;
use impasto_domain::{Digest, Error, ErrorKind, Result, RunId, TenantId, Value, Values, rfc3339};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::app::App;
use crate::caller::Caller;
use crate::calls::RunView;
use crate::faces::for_clients;
use crate::faces::missing;
use crate::faces::standing::Standing;
use crate::files::Base;

/// What a prediction remembers of how it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    pub(super) version: String,
    pub(super) input: Map<String, Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filter: Option<Vec<wire::WebhookEvent>>,
}

/// How files are named in an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// By their address.
    Addresses,
    /// As the client will take them for files: it does so only with addresses that begin with `https:`
    /// and with data URIs. Without encryption, files that are not too large are data URIs.
    Usable,
}

/// The most bytes of an output that is written as data URIs.
const INLINE_BYTES_MAX: usize = 16 << 20;
/// What the address of a stream is signed for.
const STREAM: &str = "replicate stream";

/// A run as a prediction.
pub(super) async fn prediction(
    app: &App,
    caller: &Caller,
    base: &Base,
    view: RunView,
    files: Files,
) -> Result<wire::Prediction> {
    let facts: Facts = serde_json::from_value(view.origin.extra.clone()).unwrap_or_default();
    let status = status(&view);
    let output = output(app, caller, base, &view.outputs, files).await?;
    let seconds =
        |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?) as f64 / 1000.0);
    let ended_ms = view.ended_ms.filter(|_| status.is_over());
    // What was known already began when it was asked for.
    let started_ms = view.started_ms.or(ended_ms.map(|_| view.created_ms));
    let address = format!("{}/replicate/v1/predictions/{}", base.0, view.id);
    Ok(wire::Prediction {
        model: if view.origin.name.is_empty() {
            view.work.clone()
        } else {
            view.origin.name.clone()
        },
        version: facts.version,
        input: facts.input,
        logs: logs(&view, status),
        output,
        data_removed: false,
        error: told(&view, status),
        source: Some("api".to_owned()),
        status,
        created_at: Some(rfc3339(view.created_ms)),
        started_at: started_ms.map(rfc3339),
        completed_at: ended_ms.map(rfc3339),
        metrics: wire::Metrics {
            predict_time: seconds(started_ms, ended_ms),
            total_time: seconds(Some(view.created_ms), ended_ms),
        },
        urls: wire::PredictionUrls {
            cancel: format!("{address}/cancel"),
            stream: Some(stream_url(app, &address, &caller.tenant, &view.id)),
            get: address,
            web: None,
        },
        webhook: facts.webhook,
        webhook_events_filter: facts.filter,
        id: view.id.to_string(),
    })
}

/// Where a run stands, in the words of this dialect.
pub(super) fn status(view: &RunView) -> wire::Status {
    match Standing::of(view) {
        Standing::Queued => wire::Status::Starting,
        Standing::Working => wire::Status::Processing,
        Standing::Succeeded => wire::Status::Succeeded,
        Standing::Failed(_) => wire::Status::Failed,
        Standing::Cancelled(_) => wire::Status::Canceled,
    }
}

/// Why there is no output.
fn told(view: &RunView, status: wire::Status) -> Option<String> {
    let error = view.error.as_ref()?;
    let late = error.kind == ErrorKind::Timeout;
    (status == wire::Status::Failed || late).then(|| for_clients(error.clone()).to_string())
}

/// The log as one text; of a run under way, how far it is, as clients look for it.
fn logs(view: &RunView, status: wire::Status) -> String {
    let mut text = String::new();
    if let Some(first) = view.logs.first().filter(|first| first.number > 0) {
        text.push_str(&missing(first.number));
        text.push('\n');
    }
    for line in &view.logs {
        text.push_str(&line.message);
        text.push('\n');
    }
    let progress = view.progress.filter(|_| status == wire::Status::Processing);
    if let Some(fraction) = progress.filter(|fraction| *fraction > 0.0) {
        let percent = (fraction * 100.0).clamp(0.0, 100.0) as usize;
        let bar = "#".repeat(percent / 10);
        let _infallible = writeln!(text, "{percent}%|{bar:<10}| {percent}/100");
    }
    text
}

/// What counts of the outputs: the only file or files among them, the only one, or all by name.
pub(super) fn main_output(outputs: &Values) -> Value {
    let mut with_files = outputs.values().filter(|value| !value.assets().is_empty());
    match (with_files.next(), with_files.next()) {
        (Some(only), None) => return only.clone(),
        (None, _) if outputs.len() == 1 => {}
        _ => return Value::Map(outputs.clone()),
    }
    outputs.values().next().cloned().unwrap_or_default()
}

/// The output as JSON.
pub(super) async fn output(
    app: &App,
    caller: &Caller,
    base: &Base,
    outputs: &Values,
    files: Files,
) -> Result<Json> {
    if outputs.is_empty() {
        return Ok(Json::Null);
    }
    let output = main_output(outputs);
    let mut named: BTreeMap<Digest, String> = BTreeMap::new();
    let mut left = INLINE_BYTES_MAX;
    for asset in output.assets() {
        let mut name = app.file_url(base, caller, asset);
        let size = usize::try_from(asset.facts.bytes).unwrap_or(usize::MAX);
        if files == Files::Usable && !name.starts_with("https:") && size <= left {
            let whole = app.whole(caller, asset).await?;
            let bytes = app.bytes(caller, &whole).await?;
            if bytes.len() <= left {
                left -= bytes.len();
                name = data_uri(&whole.media_type, &bytes);
            }
        }
        named.insert(asset.digest, name);
    }
    Ok(json_of(&output, &named))
}

/// The bytes as a data URI, encoded where they will stand.
fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    let head = format!("data:{media_type};base64,");
    let mut uri = String::with_capacity(head.len() + bytes.len().div_ceil(3) * 4);
    uri.push_str(&head);
    STANDARD.encode_string(bytes, &mut uri);
    uri
}

fn json_of(value: &Value, named: &BTreeMap<Digest, String>) -> Json {
    match value {
        Value::Asset(asset) => named.get(&asset.digest).cloned().into(),
        Value::List(items) => items.iter().map(|item| json_of(item, named)).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(name, value)| (name.clone(), json_of(value, named))).collect()
        }
        plain => plain.to_json(),
    }
}

/// The address of a prediction's stream. Clients ask there without a key: the address is the key.
fn stream_url(app: &App, address: &str, tenant: &TenantId, run: &RunId) -> String {
    let signature = app.leave(STREAM, &format!("{tenant}\n{run}"));
    let tenant = utf8_percent_encode(tenant.as_str(), NON_ALPHANUMERIC);
    format!("{address}/stream?tenant={tenant}&signature={signature}")
}

/// Whether the address of a stream was signed by us.
pub(super) fn may_stream(app: &App, tenant: &TenantId, run: &RunId, signature: &str) -> Result<()> {
    if app.is_leave(STREAM, &format!("{tenant}\n{run}"), signature) {
        return Ok(());
    }
    Err(Error::not_found("there is no such stream").hint("ask for the prediction's `urls.stream`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faces::standing::tests::check_all;

    #[test]
    fn where_a_run_stands_in_the_words_of_this_dialect() {
        use wire::Status::{Canceled, Failed, Processing, Starting, Succeeded};
        let expected =
            [Starting, Processing, Processing, Processing, Succeeded, Failed, Failed, Canceled];
        check_all(status, expected);
    }
}
