//! Addresses at which providers hint that something happened to a job.
//!
//! An address names one attempt and proves by its signature that we gave it to somebody. It holds for
//! as long as the server's secret does, so it outlives this process, and who has it can do no more
//! than make us ask the provider.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use impasto_domain::RunId;
use impasto_engine::{AttemptName, Callbacks};

use crate::app::App;

/// Where hints arrive; what stands for the attempt follows.
pub(crate) const HINTS: &str = "/v1/hints/";
/// What the signature of such an address is for.
const PURPOSE: &str = "hint";

impl App {
    /// Where providers hint that something happened to a job; nothing where nobody has said at which
    /// address others reach us.
    pub(crate) fn callbacks(&self) -> Option<Callbacks> {
        let base = self.public_base()?;
        let app = self.downgrade();
        Some(Arc::new(move |name| Some(format!("{base}{HINTS}{}", app.upgrade()?.ticket(name)))))
    }

    /// What stands for an attempt in an address.
    fn ticket(&self, name: &AttemptName) -> String {
        let AttemptName { run, key, attempt } = name;
        let text = format!("{run}/{attempt}/{key}");
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&text), self.leave(PURPOSE, &text))
    }

    /// The attempt that stands in an address of ours.
    pub(crate) fn hinted(&self, ticket: &str) -> Option<AttemptName> {
        let (text, signature) = ticket.split_once('.')?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        if !self.is_leave(PURPOSE, &text, signature) {
            return None;
        }
        let mut parts = text.splitn(3, '/');
        let run = RunId::new(parts.next()?);
        let attempt = parts.next()?.parse().ok()?;
        Some(AttemptName { run, key: parts.next()?.parse().ok()?, attempt })
    }
}
