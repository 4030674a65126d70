//! Claims: what keeps one wish from becoming two runs.

use impasto_domain::{Digest, RunId};

use crate::{Durable, Lease};

/// What keeps one wish from becoming two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The wish, among those of its tenant: a key that the caller chose, or a digest of the request.
    pub key: String,
    /// The digest of what was asked for.
    pub body: Digest,
    /// How a wish that comes again is told from a new one.
    pub kind: ClaimKind,
}

/// How a wish that comes again is told from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// The caller says so, by the key: the same key is the same wish, for ever.
    Explicit,
    /// The caller sends no key. The same request is the same wish only if the answer to the one before
    /// did not reach whoever asked, and not too long ago: then it is a retry.
    Delivery,
}

/// Where the answer to a submission under a [`ClaimKind::Delivery`] claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// A living process is about to give it. If that process dies, it counts as broken.
    Open,
    /// It was handed over, and is not known to have been read: it may still turn out to be broken.
    Given,
    /// It was handed over and read.
    Answered,
    /// The connection ended before it was handed over, or read.
    Broken,
    /// It was broken, and nobody came again in time. Of one that was taken up again nothing changes.
    Late,
}

impl DeliveryState {
    /// The state as it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Given => "given",
            Self::Answered => "answered",
            Self::Broken => "broken",
            Self::Late => "late",
        }
    }
}

/// For so long a broken delivery is taken up by the same request, in milliseconds.
pub const RETRY_WINDOW_MS: u64 = 10 * 60 * 1000;

/// What creating a run led to.
#[derive(Debug)]
pub enum Created {
    /// A new run: it is written, and is durable a little later.
    New(Lease, Durable),
    /// The same wish became this run before.
    Known(RunId),
}

impl Created {
    /// The lease on the new run; none if the run was known.
    pub fn lease(self) -> Option<Lease> {
        match self {
            Self::New(lease, _) => Some(lease),
            Self::Known(_) => None,
        }
    }
}
