//! When what was written outlasts a loss of power.

use std::fmt;

use futures_util::FutureExt;
use futures_util::future::Shared;
use impasto_domain::Result;

use crate::BoxFuture;

/// The moment from which on something that was written outlasts a loss of power, and not only the death
/// of the process. It comes a little after the writing: whoever has something to make ready does so
/// meanwhile. Clones are the same moment; the default has come already.
#[derive(Clone, Default)]
pub struct Durable(Option<Shared<BoxFuture<'static, Result<()>>>>);

impl Durable {
    /// The moment in which a future ends.
    pub fn when(settled: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        let settled: BoxFuture<'static, _> = Box::pin(settled);
        Self(Some(settled.shared()))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// The disk refuses: what was written may not outlast a loss of power.
    pub async fn wait(&self) -> Result<()> {
        match self.0.clone() {
            Some(settled) => settled.await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.as_ref().map(Shared::peek);
        f.debug_tuple("Durable").field(&known).finish()
    }
}
