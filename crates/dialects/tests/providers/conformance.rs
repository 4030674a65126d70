//! Every failure of the wire, for every wire of every provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use impasto_catalog::Catalog;
use impasto_dialects::submit_poll::SubmitPoll;
use impasto_engine::Driver;
use impasto_testkit::wire::{
    FileWire, MakeDriver, MakeWire, Narrowed, Setting, Verdict, cases, check,
};
use tokio::sync::Semaphore;

use crate::{hosted, one_for_each_wire};

/// How many cases are under way at the same time.
const AT_ONCE: usize = 24;

fn settings() -> Vec<Setting> {
    let catalog = Catalog::embedded().unwrap();
    let wire: MakeWire = Arc::new(|narrowed, url, key| {
        let wire = FileWire::new(narrowed.provider().ok()?, narrowed.offer().ok()?, url, key)?;
        Some(Arc::new(wire))
    });
    let driver: MakeDriver = Arc::new(|settings, door| -> Arc<dyn Driver> {
        Arc::new(SubmitPoll::new(hosted(settings, door)))
    });
    let offers = one_for_each_wire(&catalog, "submit-poll");
    let narrow = |offer: &impasto_catalog::Offer| Narrowed::new(&catalog, &offer.id).unwrap();
    offers
        .into_iter()
        .map(|offer| Setting {
            narrowed: narrow(offer),
            wire: Arc::clone(&wire),
            driver: Arc::clone(&driver),
        })
        .collect()
}

/// Runs every case in every setting.
pub(crate) async fn verdicts(settings: Vec<Setting>) -> BTreeMap<String, Vec<Verdict>> {
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
                (setting.narrowed.offer.to_string(), verdict)
            }));
        }
    }
    let mut verdicts: BTreeMap<String, Vec<Verdict>> = BTreeMap::new();
    for one in running {
        let (offer, verdict) = one.await.unwrap();
        verdicts.entry(offer).or_default().push(verdict);
    }
    verdicts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_on_the_wire_starts_a_job_twice_or_loses_track_of_it() {
    let settings = settings();
    let wires = settings.len();
    let verdicts = verdicts(settings).await;
    let all = || verdicts.iter().flat_map(|(offer, all)| all.iter().map(move |one| (offer, one)));
    let (run, skipped) = all().fold((0, 0), |(run, skipped), (_, one)| match one.applies {
        true => (run + 1, skipped),
        false => (run, skipped + 1),
    });
    let wrong: Vec<String> = all()
        .filter(|(_, one)| !one.faults.is_empty())
        .map(|(offer, one)| format!("{offer}: {}: {}", one.case, one.faults.join("; ")))
        .collect();
    eprintln!(
        "submit-poll: {wires} wires, {run} cases, {} wrong, {skipped} cannot happen",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(wires >= 30 && run >= 500);
}
