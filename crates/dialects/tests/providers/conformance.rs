//! Every failure of the wire, for every wire of every provider.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use impasto_catalog::Offer;
use impasto_dialects::drivers;
use impasto_testkit::wire::{
    FileWire, MakeDriver, MakeWire, Narrowed, Setting, Verdict, cases, check,
};
use tokio::sync::Semaphore;

use crate::{hosted, one_for_each_wire, own};

/// How many cases are under way at the same time.
const AT_ONCE: usize = 24;
/// The dialects whose providers are described by their files alone.
const DIALECTS: [&str; 2] = ["comfyui", "submit-poll"];

/// Every wire of every provider whose dialect is described by the provider's file.
fn settings() -> Vec<Setting> {
    let catalog = own::catalog();
    let wire: MakeWire = Arc::new(|narrowed, url, key| {
        let wire = FileWire::new(narrowed.provider().ok()?, narrowed.offer().ok()?, url, key)?;
        Some(Arc::new(wire))
    });
    let setting = |dialect: &'static str, offer: &Offer| Setting {
        narrowed: Narrowed::new(&catalog, &offer.id).unwrap(),
        wire: Arc::clone(&wire),
        driver: driver_of(dialect),
    };
    let of = |dialect: &'static str| {
        let offers = one_for_each_wire(&catalog, dialect).into_iter();
        offers.map(move |offer| (dialect, offer)).collect::<Vec<_>>()
    };
    let offers = DIALECTS.into_iter().flat_map(of);
    offers.map(|(dialect, offer)| setting(dialect, offer)).collect()
}

/// The driver of a dialect, as the program registers it.
fn driver_of(dialect: &'static str) -> MakeDriver {
    Arc::new(move |settings, door| {
        let hosted = hosted(settings, door);
        let mut all = drivers::all(&hosted);
        all.find(|(name, _)| name == dialect).map(|(_, driver)| driver).unwrap()
    })
}

/// Runs every case in every setting.
pub(crate) async fn verdicts(settings: Vec<Setting>) -> Vec<(String, String, Verdict)> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for setting in settings {
        for case in cases() {
            let (places, setting) = (Arc::clone(&places), setting.clone());
            running.push(tokio::spawn(async move {
                let _place = places.acquire().await.unwrap();
                let failed = |error: impasto_domain::Error| Verdict {
                    case: case.name,
                    applies: true,
                    faults: vec![format!("the case cannot be run: {error}")],
                    seen: String::new(),
                };
                let verdict = check(&setting, &case).await.unwrap_or_else(failed);
                let dialect = setting.narrowed.provider().unwrap().dialect.clone();
                (dialect, setting.narrowed.offer.to_string(), verdict)
            }));
        }
    }
    let mut verdicts = Vec::new();
    for one in running {
        verdicts.push(one.await.unwrap());
    }
    verdicts
}

/// What came of the cases of one dialect.
#[derive(Default)]
struct Tally {
    wires: BTreeSet<String>,
    run: u32,
    wrong: u32,
    skipped: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_on_the_wire_starts_a_job_twice_or_loses_track_of_it() {
    let verdicts = verdicts(settings()).await;
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (dialect, offer, verdict) in &verdicts {
        let tally = tallies.entry(dialect.as_str()).or_default();
        tally.wires.insert(offer.clone());
        match verdict.applies {
            true => tally.run += 1,
            false => tally.skipped += 1,
        }
        if !verdict.faults.is_empty() {
            tally.wrong += 1;
            wrong.push(format!("{offer}: {}: {}", verdict.case, verdict.faults.join("; ")));
        }
    }
    for (dialect, Tally { wires, run, wrong, skipped }) in &tallies {
        let wires = wires.len();
        eprintln!("{dialect}: {wires} wires, {run} cases, {wrong} wrong, {skipped} cannot happen");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let run: u32 = tallies.values().map(|tally| tally.run).sum();
    assert!(tallies.len() >= DIALECTS.len() && run >= 1000);
}
