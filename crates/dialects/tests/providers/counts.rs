//! What a provider counts settles what a call costs.

use std::sync::Arc;

use impasto_catalog::{Catalog, Offer, Provider, Seen};
use impasto_dialects::drivers;
use impasto_domain::{Bench, MediaKind, Money};
use impasto_engine::{Driver, Ended, Job, Polled, StartCall, Started};
use impasto_testkit::wire::{
    Arrived, Files, PlainDoor, Reply, Server, SettingFn, Wire, answer_of, example_of, sample_bytes,
};
use serde_json::json;

use crate::hosted;
use crate::walk::call;

/// A provider that is done at once, and tells in a header what it counted.
struct Counting {
    offer: Offer,
    header: String,
    count: &'static str,
    files: String,
}

impl Wire for Counting {
    fn answer(&self, arrived: &Arrived) -> Reply {
        let is_whole = self.offer.outputs.as_ref().unwrap().is_whole_body();
        let reply = match (arrived.method.as_str(), arrived.path.as_str()) {
            ("POST", _) if is_whole => {
                Reply::of(200, "audio/wav", sample_bytes(MediaKind::Audio, 1))
            }
            ("POST", _) => return Reply::json(200, &json!({ "request_id": "job-1" })),
            (_, path) if path.ends_with("/status") => {
                return Reply::json(200, &json!({ "status": "COMPLETED", "logs": [] }));
            }
            _ => {
                let outputs = self.offer.outputs.as_ref().unwrap();
                Reply::json(200, &answer_of(outputs, &self.files))
            }
        };
        if self.count.is_empty() { reply } else { reply.header(&self.header, self.count) }
    }
}

/// What a call is by the count of its answer.
fn counted(offer: &Offer, provider: &Provider, count: &str) -> Option<Money> {
    let header = |_: &str| Some(count.to_owned());
    let seen = Seen { status: 200, header: &header, body: &json!({}) };
    offer.counted(provider, &seen)
}

/// The end of a call of an offer whose provider counts so much.
async fn ended(catalog: &Arc<Catalog>, offer: &Offer, count: &'static str) -> Ended {
    let provider = &catalog.providers[&offer.provider];
    let files = Server::start(|_| Arc::new(Files::new(None))).await.unwrap();
    let header = provider.count.as_ref().unwrap().header.clone().unwrap();
    let wire = Counting { offer: offer.clone(), header, count, files: files.url.clone() };
    let server = Server::start(|_| Arc::new(wire)).await.unwrap();
    let url = server.url.clone();
    let settings: SettingFn = Arc::new(move |_| Some(url.clone()));
    let hosted = hosted(settings, Arc::new(PlainDoor));
    let mut all = drivers::all(&hosted);
    let driver: Arc<dyn Driver> = all.find(|(name, _)| *name == provider.dialect).unwrap().1;
    let input = example_of(catalog, offer).unwrap();
    let bench = Arc::new(Bench::default());
    let estimate = offer.price.estimate(&input);
    let call = StartCall { estimate, ..call(catalog, offer, input, &bench) };
    let (catalog, endpoint) = (Arc::clone(catalog), offer.endpoint.clone());
    match driver.start(call).await.unwrap() {
        Started::Done(ended) => ended,
        Started::Running(handle) => {
            let job = Job { catalog, offer: offer.id.clone(), endpoint, handle, bench };
            match driver.poll(job).await.unwrap() {
                Polled::Done(ended) => ended,
                other => panic!("{}: {other:?}", offer.id),
            }
        }
    }
}

#[tokio::test]
async fn what_is_paid_is_what_was_counted() {
    let catalog = Arc::new(Catalog::embedded().unwrap());
    for (dialect, task, count) in
        [("fal", "text-to-image", "2"), ("elevenlabs", "text-to-speech", "40")]
    {
        let mut found = 0;
        for offer in catalog.offers_for(&task.into()) {
            let provider = &catalog.providers[&offer.provider];
            let expected = offer.price.estimate(&example_of(&catalog, offer).unwrap());
            let cost = counted(offer, provider, count);
            if provider.dialect != dialect || cost.is_none_or(|cost| cost == expected) {
                continue;
            }
            let told = ended(&catalog, offer, count).await;
            assert_eq!(told.cost, cost, "{}", offer.id);
            let silent = ended(&catalog, offer, "").await;
            assert!(silent.cost.is_none_or(|cost| cost == expected), "{}", offer.id);
            found += 1;
        }
        assert!(found > 0, "nobody of {dialect} counts for {task}");
    }
}
