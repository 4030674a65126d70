//! What a payer may spend in a day, wherever money is about to leave.

use std::sync::atomic::{AtomicI64, Ordering};

use impasto_domain::{ErrorKind, Money, Result};
use impasto_engine::{Lane, Purses, day_began_ms};
use impasto_store::{BoxFuture, LedgerKind, MemoryBlobs, MemoryRuns, RunStore, UsageStore};
use impasto_testkit::Oracle;

use crate::*;

/// One call for a cent, then five side by side.
const CHAIN: &str = r#"
workflow: chain
version: 1
steps:
  one: { task: add, cache: false, input: { number: 0 } }
  many: { each: "{{ range(5) | list }}", task: add, cache: false, input: { number: "{{ steps.one.number + item }}" } }
outputs:
  number: { value: "{{ steps.many.number | sum }}" }
"#;

/// `alice` may spend so much; nobody else has a limit.
struct Alice(Arc<MemoryRuns>, AtomicI64);

impl Purses for Alice {
    fn most_a_day(&self, _: TenantId, payer: String) -> BoxFuture<'_, Result<Option<Money>>> {
        let most = (payer == "alice").then(|| Money::micros(self.1.load(Ordering::SeqCst)));
        Box::pin(async move { Ok(most) })
    }

    fn spent_since(
        &self,
        tenant: TenantId,
        payer: String,
        from_ms: u64,
    ) -> BoxFuture<'_, Result<Money>> {
        self.0.spent_by(tenant, payer, from_ms)
    }
}

struct Purse {
    stage: Stage,
    engine: Engine,
    store: Arc<MemoryRuns>,
    alice: Arc<Alice>,
    folder: tempfile::TempDir,
}

impl Purse {
    fn with(cents: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryRuns::default());
        let stage = Stage::over(store.clone(), Arc::new(MemoryBlobs::default())).unwrap();
        let stage = far_stage(stage, folder.path(), 1);
        let (engine, alice) =
            (stage.engine(), Arc::new(Alice(store.clone(), AtomicI64::new(cents * 10_000))));
        engine.spend_from(alice.clone());
        Self { stage, engine, store, alice, folder }
    }

    async fn submit(&self, plan: &str, payer: &str) -> RunHandle {
        let source = Source::Workflow(self.stage.plan(plan).unwrap());
        let lane = Some(Lane { id: payer.into(), limit: None });
        let request = Request { lane, ..Request::new(source, values(&[])) };
        self.engine.submit(request).await.unwrap()
    }

    /// What left, and what alice spent, in cents.
    async fn left(&self) -> (usize, i64) {
        let day_ms = day_began_ms(self.stage.parts.clock.now_ms());
        let spent = self.store.spent_by(local(), "alice".to_owned(), day_ms).await.unwrap();
        let oracle = Oracle::read(self.folder.path()).unwrap();
        (oracle.starts.len(), spent.as_micros() / 10_000)
    }
}

#[tokio::test]
async fn a_step_that_cannot_be_paid_for_fails_before_anything_leaves() {
    let purse = Purse::with(3);
    let handle = purse.submit(CHAIN, "alice").await;
    let id = handle.id.clone();
    let error = error(&handle.wait().await.unwrap());
    assert_eq!((error.kind, error.retry), (ErrorKind::BudgetExceeded, false), "{error}");
    assert!(error.message.contains("may spend $0.03 a day"), "{error}");
    assert_eq!(purse.left().await, (3, 3), "one, and two of the five");
    let ledger = purse.store.ledger(local(), id.clone()).await.unwrap();
    let intents = ledger.iter().filter(|entry| entry.kind == LedgerKind::Intent).count();
    assert_eq!((intents, ledger.len()), (3, 6), "what was not let through is not in it");
    // The limit holds for who goes on, too; and so does a higher one.
    let outcome = purse.engine.resume(local(), id.clone()).await.unwrap().wait().await.unwrap();
    assert_eq!(crate::error(&outcome).kind, ErrorKind::BudgetExceeded);
    assert_eq!(purse.left().await, (3, 3));
    purse.alice.1.store(60_000, Ordering::SeqCst);
    let outcome = purse.engine.resume(local(), id).await.unwrap().wait().await.unwrap();
    assert_eq!(output(&outcome, "number"), 20);
    assert_eq!(purse.left().await, (6, 6));
    let others = purse.submit(CHAIN, "bob").await.wait().await.unwrap();
    assert_eq!(output(&others, "number"), 20, "what others may spend is theirs");
}

#[tokio::test]
async fn those_who_ask_at_once_spend_no_more_than_they_may_together() {
    let purse = Purse::with(2);
    let single = "workflow: single\nversion: 1\nsteps:\n  one: { task: add, cache: false, input: { \
                  number: 1 } }\noutputs: {}\n";
    let purse = Arc::new(purse);
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let purse = Arc::clone(&purse);
        asked.spawn(async move { purse.submit(single, "alice").await.wait().await.unwrap() });
    }
    let ended = asked.join_all().await;
    let failed = ended.iter().filter(|outcome| {
        matches!(outcome, Outcome::Failed { .. })
            && error(outcome).kind == ErrorKind::BudgetExceeded
    });
    assert_eq!(failed.count(), 18);
    assert_eq!(purse.left().await, (2, 2));
}
