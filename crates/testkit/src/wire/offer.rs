//! One offer, alone in a catalogue: so that a run can go nowhere else.

use std::sync::Arc;

use impasto_catalog::{Catalog, Offer, Provider};
use impasto_domain::{OfferId, Policy, Result, Value, Values};
use impasto_store::BlobStore;
use impasto_workflow::{Plan, Retry, Work};

use super::door::{sample_bytes, sample_of};

/// A catalogue in which one offer is the only one.
#[derive(Clone)]
pub struct Narrowed {
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    /// The offer.
    pub offer: OfferId,
}

impl Narrowed {
    /// Leaves only one offer of a catalogue; its jobs are asked for as often as can be.
    ///
    /// # Errors
    /// There is no such offer.
    pub fn new(catalog: &Catalog, offer: &OfferId) -> Result<Self> {
        let provider = catalog.offer(offer)?.provider.clone();
        let mut catalog = catalog.clone();
        catalog.offers.retain(|id, _| id == offer);
        if let Some(provider) = catalog.providers.get_mut(&provider) {
            for wire in provider.wires.values_mut() {
                wire.poll_every_ms = Some(2);
            }
            provider.rate = None;
        }
        Ok(Self { catalog: Arc::new(catalog), offer: offer.clone() })
    }

    /// The offer itself.
    ///
    /// # Errors
    /// It is gone.
    pub fn offer(&self) -> Result<&Offer> {
        self.catalog.offer(&self.offer)
    }

    /// Who makes it.
    ///
    /// # Errors
    /// It is gone.
    pub fn provider(&self) -> Result<&Provider> {
        self.catalog.provider(&self.offer()?.provider)
    }

    /// What a setting says when the provider is at `url` and takes the key `key`.
    ///
    /// # Errors
    /// The provider is gone.
    pub fn settings(
        &self,
        url: &str,
        key: &str,
    ) -> Result<impl Fn(&str) -> Option<String> + Send + Sync + use<>> {
        let provider = self.provider()?;
        let place = provider.base_variable("default");
        let keys: Vec<String> =
            provider.auth.iter().flat_map(|auth| auth.env.iter().cloned()).collect();
        let (url, key) = (url.to_owned(), key.to_owned());
        Ok(move |name: &str| {
            if name == place {
                Some(url.clone())
            } else {
                keys.iter().any(|known| known == name).then(|| key.clone())
            }
        })
    }

    /// One call of it, as a workflow.
    ///
    /// # Errors
    /// The task is gone.
    pub fn plan(&self, attempts: u32, timeout_ms: u64) -> Result<Arc<Plan>> {
        let task = self.catalog.task(&self.offer()?.task)?;
        let mut plan = Plan::single(task, Policy::default());
        for step in &mut plan.steps {
            if let Work::Call(call) = &mut step.work {
                call.retry = Retry { attempts, backoff_ms: 1, max_backoff_ms: 2 };
                call.timeout_ms = timeout_ms;
            }
        }
        Ok(Arc::new(plan))
    }

    /// Its example, with files that `blobs` has.
    ///
    /// # Errors
    /// The task is gone, or the files cannot be kept.
    pub fn input(&self, blobs: &dyn BlobStore) -> Result<Values> {
        let example = example_of(&self.catalog, self.offer()?)?;
        for asset in example.values().flat_map(Value::assets) {
            blobs.put(&sample_bytes(asset.kind(), 0))?;
        }
        Ok(example)
    }
}

/// The example of an offer, with files for tests.
///
/// # Errors
/// The task is gone.
pub fn example_of(catalog: &Catalog, offer: &Offer) -> Result<Values> {
    let task = catalog.task(&offer.task)?;
    Ok(offer.example(task, &|kind| sample_of(kind, 0)))
}
