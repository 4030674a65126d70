//! Kills the process that runs workflows, hundreds of times, and asks the provider what it saw.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "this is a test")]

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use impasto_domain::{InstanceKey, Money, TenantId};
use impasto_store::{LedgerKind, RunFilter, RunRecord, RunStatus, RunStore};
use impasto_store_sql::{SqliteOptions, SqliteRuns};
use impasto_testkit::{FAR_PRICE, Oracle};
use impasto_workflow::{Event, Outcome, State, apply};

/// Calls of a run that cost money.
const PRICED_CALLS: usize = 10;

fn spawn(folder: &Path, find: &str) -> Child {
    let program = env!("CARGO_BIN_EXE_crash-worker");
    Command::new(program).arg(folder).arg(find).spawn().unwrap()
}

/// Kills the worker `kills` times at random moments, then lets it finish. Answers with the kills.
fn torment(folder: &Path, find: &str, kills: u64) -> u64 {
    let mut killed = 0;
    while killed < kills {
        let mut worker = spawn(folder, find);
        let drawn = RandomState::new().hash_one(killed) % 90_000;
        std::thread::sleep(Duration::from_micros(10_000 + drawn));
        worker.kill().unwrap();
        if worker.wait().unwrap().success() {
            panic!("the worker ended although it was not told to");
        }
        killed += 1;
    }
    std::fs::write(folder.join("enough"), "").unwrap();
    let status = spawn(folder, find).wait().unwrap();
    let words = std::fs::read_to_string(folder.join("last-words")).unwrap_or_default();
    assert!(status.success(), "the last worker failed: {words}");
    killed
}

struct After {
    oracle: Oracle,
    runs: Vec<RunRecord>,
    events: BTreeMap<String, Vec<Event>>,
    states: BTreeMap<String, State>,
    charged: Money,
    open_intents: usize,
}

async fn look(folder: &Path) -> After {
    let store = SqliteRuns::open(folder, &SqliteOptions::default()).unwrap();
    let local = TenantId::local;
    let runs = store.list(RunFilter::newest(local(), u32::MAX)).await.unwrap();
    let mut after = After {
        oracle: Oracle::read(&folder.join("far")).unwrap(),
        runs: Vec::new(),
        events: BTreeMap::new(),
        states: BTreeMap::new(),
        charged: Money::ZERO,
        open_intents: 0,
    };
    for record in &runs {
        let id = record.run.id.clone();
        let stored = store.load(local(), id.clone(), 0).await.unwrap();
        let plan = serde_json::from_str(&stored.record.run.plan).unwrap();
        let mut state = State::new(std::sync::Arc::new(plan), record.run.seed);
        let events: Vec<Event> =
            stored.events.iter().map(|event| serde_json::from_str(&event.body).unwrap()).collect();
        for event in &events {
            apply(&mut state, event);
        }
        after.events.insert(id.to_string(), events);
        after.states.insert(id.to_string(), state);
        let mut open = 0_isize;
        for entry in store.ledger(local(), id).await.unwrap() {
            match entry.kind {
                LedgerKind::Intent => open += 1,
                LedgerKind::Release => open -= 1,
                LedgerKind::Charge => {
                    open -= 1;
                    after.charged += entry.amount;
                }
            }
        }
        after.open_intents += usize::try_from(open).unwrap();
    }
    after.runs = runs;
    after
}

/// What holds whatever the provider can do.
fn check_never_twice(after: &After) {
    let again: Vec<_> = after.oracle.starts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(again.is_empty(), "attempts that were started twice: {again:?}");
    assert!(after.oracle.twice.is_empty(), "{:?}", after.oracle.twice);
    let mut calls: BTreeMap<&str, u32> = BTreeMap::new();
    for key in &after.oracle.taken {
        *calls.entry(key.rsplit_once('/').unwrap().0).or_default() += 1;
    }
    let paid_twice: Vec<_> = calls.iter().filter(|(_, count)| **count > 1).collect();
    assert!(paid_twice.is_empty(), "calls that were paid twice: {paid_twice:?}");
    for (run, events) in &after.events {
        let mut done: Vec<&InstanceKey> = Vec::new();
        for event in events {
            if let Event::AttemptStarted { key, .. } = event {
                assert!(!done.contains(&key), "{run}: {key} was started after it was done");
            }
            if let Event::AttemptDone { key, .. } = event {
                assert!(!done.contains(&key), "{run}: {key} was done twice");
                done.push(key);
            }
        }
    }
}

fn tell(name: &str, killed: u64, after: &After, began: Instant) {
    let events: usize = after.events.values().map(Vec::len).sum();
    let resumed = after.events.values().flatten().filter(|event| **event == Event::Resumed).count();
    println!(
        "{name}: {killed} kills, {} runs, {resumed} resumptions, {events} events, {} starts, {} jobs, \
         {:.1} s",
        after.runs.len(),
        after.oracle.starts.len(),
        after.oracle.taken.len(),
        began.elapsed().as_secs_f64()
    );
}

#[tokio::test]
async fn nothing_is_lost_or_paid_twice_when_the_process_is_killed() {
    let (folder, began) = (tempfile::tempdir().unwrap(), Instant::now());
    let killed = torment(folder.path(), "find", 200);
    let after = look(folder.path()).await;
    tell("find", killed, &after, began);
    check_never_twice(&after);
    assert!(after.runs.len() > 10, "only {} runs", after.runs.len());
    for record in &after.runs {
        assert_eq!(record.status, RunStatus::Succeeded, "{}", record.run.id);
        let state = &after.states[record.run.id.as_str()];
        let start = state.input()["start"].as_integer().unwrap();
        let Some(Outcome::Succeeded { output }) = state.outcome() else { panic!("no output") };
        assert_eq!(output["total"].as_integer(), Some(6 * (start + 4) + 21));
    }
    let jobs = after.runs.len() * PRICED_CALLS;
    assert_eq!(after.oracle.taken.len(), jobs, "one job for each call, no more and no fewer");
    assert_eq!(after.charged, FAR_PRICE * jobs as i64);
    assert_eq!(after.open_intents, 0);
}

#[tokio::test]
async fn what_is_in_doubt_is_parked_and_never_paid_twice() {
    let (folder, began) = (tempfile::tempdir().unwrap(), Instant::now());
    let killed = torment(folder.path(), "no-find", 50);
    let after = look(folder.path()).await;
    tell("no find", killed, &after, began);
    check_never_twice(&after);
    let parked = after.runs.iter().filter(|record| record.status == RunStatus::Parked).count();
    assert!(parked > 0, "no kill fell between a start and its handle");
    assert!(
        after
            .runs
            .iter()
            .all(|record| { matches!(record.status, RunStatus::Succeeded | RunStatus::Parked) })
    );
    assert!(after.open_intents > 0, "the ledger shows what is in doubt");
    assert!(
        after.open_intents + (after.charged.as_micros() / FAR_PRICE.as_micros()) as usize
            >= after.oracle.taken.len()
    );
}
