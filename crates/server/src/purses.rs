//! What keys may spend, as the engine asks for it wherever money is about to leave.
//!
//! A limit holds for whatever is done with the key from now on, runs that were accepted under another
//! limit among them.

use impasto_domain::{Error, Money, Result, TenantId};
use impasto_engine::Purses;
use impasto_store::BoxFuture;

use crate::app::{App, WeakApp};

fn there(app: &WeakApp) -> Result<App> {
    app.upgrade().ok_or_else(|| Error::unavailable("the server that knows the keys has ended"))
}

impl Purses for WeakApp {
    fn most_a_day(&self, tenant: TenantId, payer: String) -> BoxFuture<'_, Result<Option<Money>>> {
        Box::pin(async move { Ok(there(self)?.limits(&tenant, &payer).await?.spend_per_day) })
    }

    fn spent_since(
        &self,
        tenant: TenantId,
        payer: String,
        from_ms: u64,
    ) -> BoxFuture<'_, Result<Money>> {
        Box::pin(async move { there(self)?.store().spent_by(tenant, payer, from_ms).await })
    }
}
