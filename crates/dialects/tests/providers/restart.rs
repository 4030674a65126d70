//! A job is taken up by another process that has nothing but its handle.

use std::sync::Arc;
use std::time::Duration;

use impasto_dialects::drivers;
use impasto_domain::{Bench, InstanceKey, Money, RunId, Workbench};
use impasto_engine::{Driver, Durable, Job, Polled, Slot, StartCall, Started};

use impasto_testkit::wire::{
    FileWire, Files, Honest, Mischief, Narrowed, Naughty, PlainDoor, Role, Server, SettingFn,
    example_of, sample_bytes, sample_of,
};

use crate::{hosted, one_for_each_wire, own};

const KEY: &str = "key-for-tests-1234567890";

/// A driver as a process has it that has just begun.
fn fresh(narrowed: &Narrowed, url: &str) -> Arc<dyn Driver> {
    let settings: SettingFn = Arc::new(narrowed.settings(url, KEY).unwrap());
    let hosted = hosted(settings, Arc::new(PlainDoor));
    let dialect = &narrowed.provider().unwrap().dialect;
    let mut all = drivers::all(&hosted);
    all.find(|(name, _)| name == dialect).map(|(_, driver)| driver).unwrap()
}

fn call(narrowed: &Narrowed, bench: &Arc<dyn Workbench>) -> StartCall {
    let offer = narrowed.offer().unwrap();
    let input = example_of(&narrowed.catalog, offer).unwrap();
    let assets = input.values().flat_map(impasto_domain::Value::assets);
    for asset in assets {
        let kind = asset.kind();
        bench.write(sample_bytes(kind, 0), &asset.media_type, sample_of(kind, 0).facts).unwrap();
    }
    StartCall {
        run: RunId::new("run"),
        key: InstanceKey::new("step", []),
        attempt: 1,
        task: offer.task.clone(),
        catalog: Arc::clone(&narrowed.catalog),
        offer: offer.id.clone(),
        endpoint: offer.endpoint.clone(),
        input,
        estimate: Money::micros(40_000),
        timeout_ms: 10_000,
        idempotency_key: "run/step/1".to_owned(),
        bench: Arc::clone(bench),
        slot: Slot::new(()),
        durable: Durable::default(),
        callback: None,
    }
}

/// Starts with one driver and goes on with a new one for every question. Whether there was a handle.
async fn survives(narrowed: &Narrowed) -> bool {
    let files = Server::start(|_| Arc::new(Files::new(None))).await.unwrap();
    let mut wire = None;
    let server = Server::start(|url| {
        let (provider, offer) = (narrowed.provider().unwrap(), narrowed.offer().unwrap());
        let honest: Arc<dyn Honest> = Arc::new(FileWire::new(provider, offer, url, KEY).unwrap());
        honest.set_files(&files.url);
        let naughty = Arc::new(Naughty::new(honest, Mischief::default()));
        wire = Some(Arc::clone(&naughty));
        naughty
    })
    .await
    .unwrap();
    let wire = wire.unwrap();
    let bench: Arc<dyn Workbench> = Arc::new(Bench::default());
    let call = call(narrowed, &bench);
    let started = fresh(narrowed, &server.url).start(call.clone()).await.unwrap();
    let Started::Running(handle) = started else { return false };
    assert!(!handle.contains(KEY) && handle.len() < 20_000, "{handle}");
    for _ in 0..20 {
        let job = Job {
            catalog: Arc::clone(&call.catalog),
            offer: call.offer.clone(),
            endpoint: call.endpoint.clone(),
            handle: handle.clone(),
            bench: Arc::clone(&bench),
        };
        match fresh(narrowed, &server.url).poll(job).await.unwrap() {
            Polled::Done(ended) => {
                assert!(!ended.output.is_empty() && ended.cost.is_some(), "{}", call.offer);
                assert_eq!(wire.count(Role::Start), 1, "{}", call.offer);
                assert_eq!(wire.honest().complaints(), [] as [&str; 0], "{}", call.offer);
                return true;
            }
            Polled::Running { after_ms } => {
                tokio::time::sleep(Duration::from_millis(after_ms.unwrap_or(1))).await;
            }
            Polled::Failed(failure) => panic!("{}: {failure:?}", call.offer),
        }
    }
    panic!("{} is never done", call.offer);
}

#[tokio::test]
async fn a_handle_is_all_that_another_process_needs() {
    let catalog = own::catalog();
    let (mut kept, mut at_once) = (0, 0);
    for dialect in ["comfyui", "submit-poll"] {
        for offer in one_for_each_wire(&catalog, dialect) {
            let narrowed = Narrowed::new(&catalog, &offer.id).unwrap();
            if survives(&narrowed).await { kept += 1 } else { at_once += 1 }
        }
    }
    assert!(kept >= 30 && at_once >= 3, "{kept} kept, {at_once} done at once");
}
