//! Webhooks, keys, usage, health.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{MoneyView, object};

/// Somewhere that is to be told what happens to runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointRequest {
    /// Where to post to.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// What to be told of, such as `run.succeeded`; empty means everything.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Whether it is told at all. An endpoint that answers 410 is told no more until it is enabled again.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// The secret that signs what is told to webhooks that come with runs, `whsec_…`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretView {
    /// The secret.
    pub secret: String,
}

/// Somewhere that is told what happens to runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointView {
    /// Its id.
    pub id: String,
    /// Where is posted to.
    pub url: String,
    /// What it is told of; empty means everything.
    pub topics: Vec<String>,
    /// Whether it is told at all.
    pub enabled: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// An endpoint with the secret that signs what is sent. It is shown only here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointCreated {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// The secret, `whsec_…`, by the Standard Webhooks specification.
    pub secret: String,
}

/// The endpoints of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointList {
    /// Oldest first.
    pub endpoints: Vec<EndpointView>,
}

/// A message to an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Its id, which is also the header `webhook-id`, however often it is sent.
    pub id: String,
    /// The run that it is about.
    pub run: String,
    /// The endpoint; absent for the webhook that came with the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What happened.
    pub topic: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, if it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// The HTTP status of the last answer; 0 if there was none.
    pub last_status: u16,
    /// Why the last attempt failed; empty if it did not.
    pub last_error: String,
    /// When it happened, in milliseconds since 1970.
    pub created_ms: u64,
}

/// A page of messages, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryList {
    /// The messages.
    pub deliveries: Vec<DeliveryView>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The limits of a key. Absent means none of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimitsView {
    /// Attempts at once, over all providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// Calls a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u32>,
    /// What may be spent in a day, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_per_day: Option<i64>,
}

fn unnamed() -> String {
    "unnamed".to_owned()
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// In whose name it calls: letters, digits, `-`, `_` and `.`, a letter or digit first.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub tenant: String,
    /// What people call it.
    #[serde(default = "unnamed")]
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Whether it is for running the server: such a key manages keys and makes no calls.
    #[serde(default)]
    pub admin: bool,
    /// What it may do: `read`, `run`, `write`; empty means everything.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What it may use up.
    #[serde(default, deserialize_with = "object::object")]
    pub limits: KeyLimitsView,
    /// After how long it is refused, in milliseconds.
    #[serde(default)]
    pub expires_in_ms: Option<u64>,
}

/// A key, without what proves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// In whose name it calls.
    pub tenant: String,
    /// What people call it.
    pub name: String,
    /// Whether it is for running the server.
    pub admin: bool,
    /// What it may do; empty means everything.
    pub scopes: Vec<String>,
    /// What it may use up.
    pub limits: KeyLimitsView,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Since when it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
    /// When it was used last, to the minute or so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_ms: Option<u64>,
}

/// A key that was made. The key itself is shown only here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyCreated {
    /// What is kept of it.
    #[serde(flatten)]
    pub record: KeyView,
    /// The key.
    pub key: String,
}

/// Keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyList {
    /// Oldest first.
    pub keys: Vec<KeyView>,
}

/// What was spent in a day at one offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRow {
    /// The day, such as `2026-11-21`, in UTC.
    pub day: String,
    /// The offer.
    pub offer: String,
    /// Calls that were charged.
    pub calls: u64,
    /// What they cost together.
    pub cost: MoneyView,
}

/// What was spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageView {
    /// From when, in milliseconds since 1970.
    pub from_ms: u64,
    /// Until when.
    pub to_ms: u64,
    /// By day and offer.
    pub rows: Vec<UsageRow>,
    /// All of it.
    pub total: MoneyView,
}

/// That the process lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// The version of the program.
    pub version: String,
}

/// Whether new runs are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Whether they are.
    pub ready: bool,
    /// Runs under way or waiting in this process.
    pub runs: u64,
}
