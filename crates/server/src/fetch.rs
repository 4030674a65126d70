//! What the server asks of others over the network: foreign files, and telling of webhooks.
//!
//! Nothing in this crate opens a connection to anybody: the composition root hands in who does.

use bytes::Bytes;
use impasto_domain::{Error, Result};
use impasto_store::BoxFuture;

/// A file from elsewhere.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Bytes,
    /// What the other side says it is, such as `image/png`.
    pub media_type: Option<String>,
}

/// A message to somebody's server.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where it goes.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
    /// How long the other side may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What somebody's server said to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its status, whatever it is.
    pub status: u16,
    /// How long it wants to be left alone, in milliseconds, if it says so.
    pub retry_after_ms: Option<u64>,
}

/// Reaches others. Whoever implements it sees to it that no address inside is reached.
pub trait Fetch: Send + Sync {
    /// The file at `url`, of at most `bytes_max` bytes.
    fn get(&self, url: String, bytes_max: u64) -> BoxFuture<'_, Result<Fetched>>;

    /// Refuses an address to which no message can ever be sent, as far as the address itself says so.
    ///
    /// # Errors
    /// It is no address, or it leads to where nobody is reached.
    fn check(&self, url: &str) -> Result<()>;

    /// Sends a message. Answers with what the other side says, whatever it is.
    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted>>;
}

/// Reaches nobody.
pub struct NoFetch;

fn unreachable(url: &str) -> Error {
    Error::unavailable(format!("'{url}' cannot be fetched: this program reaches nobody"))
        .hint("upload the file, or send it as a data URI")
}

impl Fetch for NoFetch {
    fn get(&self, url: String, _bytes_max: u64) -> BoxFuture<'_, Result<Fetched>> {
        Box::pin(async move { Err(unreachable(&url)) })
    }

    fn check(&self, _url: &str) -> Result<()> {
        Ok(())
    }

    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted>> {
        Box::pin(async move { Err(unreachable(&post.url)) })
    }
}
