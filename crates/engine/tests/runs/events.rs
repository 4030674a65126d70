//! What listeners hear.

use impasto_engine::{EngineOptions, UpdateKind, Updates};
use impasto_testkit::Stage;
use impasto_workflow::{Event, Outcome};

use crate::*;

/// The numbers of the events that are heard.
async fn heard(mut updates: Updates) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(update) = updates.next().await {
        let update = update.unwrap();
        if matches!(update.kind, UpdateKind::Event(_)) {
            numbers.push(update.seq);
        }
    }
    numbers
}

#[tokio::test]
async fn every_listener_hears_every_event_once_and_in_order() {
    let mut stage = Stage::in_memory().unwrap();
    stage.options = EngineOptions { update_backlog: 2, ..stage.options };
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    let mut handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    let slow = handle.updates().unwrap();
    assert!(handle.updates().is_none());
    let live = tokio::spawn(heard(engine.updates(local(), id.clone())));
    handle.wait().await.unwrap();
    let late = engine.updates(local(), id.clone());
    let all: Vec<u64> = (1..=13).collect();
    assert_eq!(heard(late).await, all, "someone who comes when it is over");
    assert_eq!(live.await.unwrap(), all, "someone who keeps up");
    assert_eq!(heard(slow).await, all, "someone whose backlog overflowed");
    assert_eq!(heard(engine.updates(local(), id).after(11)).await, [12, 13]);
}

#[tokio::test]
async fn progress_is_told_while_it_happens() {
    let stage = Stage::in_memory().unwrap();
    let hook = faults(|_, _, _| impasto_engine::Fault { delay_ms: 30, ..fine() });
    let stage = stage.faults(hook);
    let (engine, plan) = (stage.engine(), stage.plan(&single("")).unwrap());
    let mut handle = submit(&engine, &plan, &[]).await;
    let mut updates = handle.updates().unwrap();
    let mut notes = Vec::new();
    while let Some(update) = updates.next().await {
        if let UpdateKind::Progress { key, fraction, note } = update.unwrap().kind {
            notes.push((key.to_string(), fraction, note));
        }
    }
    assert_eq!(notes, [("one".to_owned(), 0.5, "echoing".to_owned())]);
}

#[tokio::test]
async fn folding_the_events_again_gives_the_same_outcome() {
    let stage = Stage::in_memory().unwrap();
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    let handle = submit(&engine, &plan, &[]).await;
    let id = handle.id.clone();
    let outcome = handle.wait().await.unwrap();
    let mut updates = engine.updates(local(), id);
    // The seed decides how long waits are; nothing waits here.
    let mut state = impasto_workflow::State::new(plan, 7);
    let mut folded: Option<Outcome> = None;
    while let Some(update) = updates.next().await {
        if let UpdateKind::Event(event) = update.unwrap().kind {
            let event: Event =
                serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
            impasto_workflow::apply(&mut state, &event);
            folded = state.outcome().cloned();
        }
    }
    assert_eq!(folded, Some(outcome));
}
