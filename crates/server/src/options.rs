//! Every limit of the server, by name.

use serde::{Deserialize, Serialize};

/// Every limit of the server, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerOptions {
    /// The largest body of a call, in bytes. Files go by upload or by reference.
    pub body_bytes_max: usize,
    /// The largest file that is taken in, in bytes.
    pub upload_bytes_max: u64,
    /// The largest part of a resumable upload, in bytes.
    pub part_bytes_max: usize,
    /// How long a client may take to send its headers, in milliseconds.
    pub header_timeout_ms: u64,
    /// How long a body may stand still between two pieces, in milliseconds.
    pub body_idle_timeout_ms: u64,
    /// The most calls that are worked on at once, those that wait for a run with them. Looking and
    /// cancelling have as many places of their own; listeners and probes of health do not count.
    pub calls_max: usize,
    /// The most open connections.
    pub connections_max: usize,
    /// The most listeners at once: to events, and to what is streamed while it is made.
    pub listeners_max: usize,
    /// How long a call that waits is held when it does not say how long, in milliseconds.
    pub wait_ms: u64,
    /// The longest that a call is held, in milliseconds.
    pub wait_max_ms: u64,
    /// How often something is sent to a listener to whom nothing happens, in milliseconds.
    pub keep_alive_ms: u64,
    /// How long the address of a file works, in milliseconds.
    pub file_url_ms: u64,
    /// For how long what is known of a key is used before it is looked up again, in milliseconds.
    pub key_age_ms: u64,
    /// Keys of which something is known at once.
    pub known_keys: usize,
    /// The most runs in one page of a list.
    pub page_max: u32,
    /// How long runs under way may go on after the server was asked to stop, in milliseconds.
    pub drain_ms: u64,
    /// How long connections may stay open after that, in milliseconds.
    pub close_ms: u64,
    /// Pages of other origins that may call; empty means none, `*` means any.
    pub allow_origins: Vec<String>,
    /// Whether the scheme and host that a proxy before this server reports are believed.
    pub trust_proxy: bool,
    /// Scheme and host at which others reach this server, such as `https://media.example`, for
    /// addresses in what webhooks are told; empty means: as whoever submitted the run saw it. Where it is
    /// said, files are lent to providers, and providers hint that a job is over.
    pub public_base: String,
    /// Files taken in at once: each may need a process of its own.
    pub intakes_at_once: usize,
    /// Files of which it is remembered what they became when they were taken in or rendered.
    pub known_renders: usize,
    /// Uploads in parts of which it is remembered what they became, for a client that did not hear it.
    pub known_uploads: usize,
    /// Workflows of which the compiled form is kept.
    pub known_plans: usize,
    /// How much of a hint of a provider is waited for, in bytes. None of it is looked at.
    pub hint_bytes_max: u64,
    /// How long it is waited for, in milliseconds.
    pub hint_wait_ms: u64,
    /// Deliveries of webhooks at once.
    pub deliveries_at_once: usize,
    /// How long a receiver of a webhook may take, in milliseconds.
    pub delivery_timeout_ms: u64,
}

impl ServerOptions {
    /// Whether pages of that origin may call.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        self.allow_origins.iter().any(|one| one == "*" || one == origin)
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            upload_bytes_max: 512 << 20,
            part_bytes_max: 64 << 20,
            header_timeout_ms: 15_000,
            body_idle_timeout_ms: 30_000,
            calls_max: 4_096,
            connections_max: 16_384,
            listeners_max: 12_000,
            wait_ms: 60_000,
            wait_max_ms: 600_000,
            keep_alive_ms: 15_000,
            file_url_ms: 24 * 3_600_000,
            key_age_ms: 2_000,
            known_keys: 10_000,
            page_max: 200,
            drain_ms: 20_000,
            close_ms: 3_000,
            allow_origins: Vec::new(),
            trust_proxy: false,
            public_base: String::new(),
            intakes_at_once: 4,
            known_renders: 1_000,
            known_uploads: 1_000,
            known_plans: 64,
            hint_bytes_max: 16 << 20,
            hint_wait_ms: 5_000,
            deliveries_at_once: 16,
            delivery_timeout_ms: 15_000,
        }
    }
}
