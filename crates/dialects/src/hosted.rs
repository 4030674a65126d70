//! What every driver of a hosted provider needs: requests with the provider's credential, a policy for
//! what went wrong, files that go there and files that come back.
//!
//! A driver of a dialect says what to ask and how to read the answer; everything else is here, so
//! that it is the same for all:
//! [`Account`] makes requests and judges answers, [`Account::hand_over`] brings files to the
//! provider, [`Account::take_in`] brings files home, [`Handle`] is what is kept of a job.
//!
//! Invariants
//! - A start that the provider may have taken is never an error that invites another start: it is
//!   `in_doubt`.
//! - The credential goes to the provider's own hosts and nowhere else, and into no message.
//! - What a URL of an answer may reach is what [`impasto_net::Grade::Foreign`] may reach, unless it
//!   leads to the very place that the operator configured.
//! - Bytes from outside become assets in one function of this module.

mod account;
mod answer;
mod ask;
mod call;
mod deliver;
mod handle;
mod lines;
mod pace;
mod receive;
mod remembered;

use std::sync::Arc;
use std::time::Duration;

use impasto_catalog::Provider;
use impasto_domain::{Digest, ProviderId, Result};
use impasto_engine::Importer;
use impasto_net::{Client, Limits};
use serde::{Deserialize, Serialize};

pub use account::{Account, Purpose};
pub use answer::Answer;
pub use ask::{Ask, Part, PartContent, Payload, USUAL_BASE};
pub use call::{ask_for, sent_by, told_to};
pub use deliver::{ByFile, Delivered, OutgoingFile, Uploads};
pub use handle::Handle;
pub use receive::{FetchItem, Fetched, NoItems};

use lines::Lines;
use pace::Pace;
use remembered::Remembered;

/// What the configuration or the environment says under a name.
pub type Settings = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The limits of what goes to providers and comes from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostedOptions {
    /// The most bytes of an answer that is not a file.
    pub answer_bytes_max: u64,
    /// The most bytes of a file that comes back.
    pub file_bytes_max: u64,
    /// The most bytes of a file that goes out.
    pub outgoing_bytes_max: u64,
    /// The most bytes of a file that goes out inside the request.
    pub inline_bytes_max: u64,
    /// The longest that a request may take that starts nothing, in milliseconds.
    pub ask_timeout_ms: u64,
    /// The longest that a file may take to come or go, in milliseconds.
    pub file_timeout_ms: u64,
    /// How often a file is asked for before it counts as gone.
    pub fetch_tries: u32,
    /// How long to wait before a file is asked for again; each time twice as long.
    pub fetch_wait_ms: u64,
    /// How many files of one answer are fetched at the same time.
    pub fetches_at_once: usize,
    /// How often a start is sent to a provider that does nothing twice under one name.
    pub start_tries: u32,
    /// The most files of which it is remembered where a provider has them.
    pub remembered_files_max: usize,
    /// How long a provider keeps an uploaded file, in seconds, where nobody says.
    pub upload_kept_s: u64,
    /// How long a file may be named by the URL under which a provider gave it to us, in seconds.
    pub own_link_kept_s: u64,
    /// The largest answer that is kept with the handle, so that its files can be fetched later.
    pub kept_answer_bytes_max: usize,
}

impl Default for HostedOptions {
    fn default() -> Self {
        Self {
            answer_bytes_max: 128 << 20,
            file_bytes_max: 512 << 20,
            outgoing_bytes_max: 512 << 20,
            inline_bytes_max: 20 << 20,
            ask_timeout_ms: 60_000,
            file_timeout_ms: 600_000,
            fetch_tries: 3,
            fetch_wait_ms: 250,
            fetches_at_once: 4,
            start_tries: 3,
            remembered_files_max: 4096,
            upload_kept_s: 3600,
            own_link_kept_s: 600,
            kept_answer_bytes_max: 16 << 10,
        }
    }
}

/// What all drivers of hosted providers share. A clone shares everything.
#[derive(Clone)]
pub struct Hosted {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    settings: Settings,
    door: Arc<dyn Importer>,
    options: HostedOptions,
    remembered: Remembered,
    lines: Lines,
    pace: Pace,
}

impl Hosted {
    /// What drivers share: the way out, where keys and addresses are said, and the door by which
    /// files come in.
    pub fn new(
        client: Client,
        settings: Settings,
        door: Arc<dyn Importer>,
        options: HostedOptions,
    ) -> Self {
        let remembered = Remembered::new(options.remembered_files_max);
        let (lines, pace) = (Lines::default(), Pace::default());
        let inner = Inner { client, settings, door, options, remembered, lines, pace };
        Self { inner: Arc::new(inner) }
    }

    /// The limits of a request that says nothing of its own.
    pub fn usual_limits(&self) -> Limits {
        self.inner.client.options().limits
    }

    /// The limits.
    pub fn options(&self) -> &HostedOptions {
        &self.inner.options
    }

    /// What is said under a name.
    pub fn setting(&self, name: &str) -> Option<String> {
        (self.inner.settings)(name)
    }

    /// Why a provider cannot be used now, and what to do about it; nothing if it can.
    pub fn unusable(&self, provider: &Provider) -> Option<String> {
        provider.unusable(|name| self.setting(name))
    }

    /// Remembers what names a file at a provider that keeps it for `kept_s` seconds: it is not brought
    /// there again.
    pub fn remember(&self, provider: &ProviderId, file: Digest, name: &str, kept_s: u64) {
        let kept = Duration::from_secs(kept_s);
        self.inner.remembered.keep(provider, file, name.to_owned(), kept);
    }

    /// The account with a provider.
    ///
    /// # Errors
    /// It needs a key, and nobody has said it.
    pub fn account<'a>(&'a self, provider: &'a Provider) -> Result<Account<'a>> {
        Account::open(self, provider)
    }
}
