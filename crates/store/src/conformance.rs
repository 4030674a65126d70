//! What every implementation of the ports has to pass.
//!
//! Each check works on runs of its own, so a store with other runs in it may be given too.

use std::io::{Read, SeekFrom};
use std::sync::Arc;

use impasto_domain::{Digest, Error, ErrorKind, Money, OfferId, Result, RunId, TenantId};

use crate::{
    Batch, BlobStore, BlobStoreExt, Claim, ClaimKind, Created, DeliveryState, FIRST_EPOCH, Lease,
    LedgerEntry, LedgerKind, NewRun, OutputEntry, RETRY_WINDOW_MS, RunFilter, RunRecord, RunStatus,
    RunStore, StoredEvent,
};

pub use crate::conformance_desk::{OpenDesk, desk};

/// Opens the same store once more, as another process would.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn RunStore> + Sync);

/// Checks a store of runs; an error says what it does wrong.
pub async fn runs(open: Open<'_>) -> Result<()> {
    keeps_what_is_committed(open).await?;
    writes_what_happens_first_with_the_run(open).await?;
    refuses_wrong_numbers(open).await?;
    writes_all_or_nothing(open).await?;
    leases_are_exclusive(open).await?;
    old_epochs_are_fenced(open).await?;
    tenants_see_nothing_of_each_other(open).await?;
    cancel_marks_reach_the_owner(open).await?;
    explicit_claims_are_one_run_for_ever(open).await?;
    delivery_claims_tell_retries_from_new_wishes(open).await?;
    a_dead_process_delivers_nothing(open).await?;
    orphans_are_found(open).await?;
    lists_newest_first(open).await?;
    lists_what_a_filter_says(open).await
}

/// Checks a store of files; an error says what it does wrong.
pub fn blobs(store: &dyn BlobStore) -> Result<()> {
    let digest = store.put(b"conformance")?;
    ensure(digest == Digest::of(b"conformance"), "put answers the digest of the bytes")?;
    ensure(store.put(b"conformance")? == digest, "putting the same bytes again is fine")?;
    ensure(&*store.get(&digest)? == b"conformance", "get gives the bytes back")?;
    ensure(store.contains(&digest), "contains knows what was put")?;
    if let Some(path) = store.path(&digest) {
        let read = std::fs::read(path).map_err(|error| Error::internal(error.to_string()))?;
        ensure(read == b"conformance", "the file holds the bytes")?;
    }
    let empty = store.put(b"")?;
    ensure(store.get(&empty)?.is_empty(), "an empty file can be kept")?;
    let absent = Digest::of(b"never put");
    ensure(!store.contains(&absent), "contains does not know what was never put")?;
    let errors = [store.get(&absent).err(), store.open(&absent).err(), store.size(&absent).err()];
    let all = errors.iter().all(|error| kind(error.as_ref()) == Some(ErrorKind::NotFound));
    ensure(all, "what was never put is not found")?;
    blobs_piece_by_piece(store).and_then(|()| blobs_go(store))
}

/// More than any buffer holds.
const LARGE_BYTES: u64 = 700_000;

fn blobs_piece_by_piece(store: &dyn BlobStore) -> Result<()> {
    let failed = |error: std::io::Error| Error::internal(format!("a reader failed: {error}"));
    let part = |byte: u8| std::io::repeat(byte).take(LARGE_BYTES);
    let (a, b) = (store.put_from(&mut part(b'a'))?, store.put_from(&mut part(b'b'))?);
    let bytes = vec![b'a'; LARGE_BYTES as usize];
    ensure(a == Digest::of(&bytes), "put_from answers the digest of the bytes")?;
    ensure(store.put(&bytes)? == a && *store.get(&a)? == bytes, "it is the same file")?;
    ensure(store.size(&a)? == LARGE_BYTES, "size tells how many bytes there are")?;
    let empty = store.put_from(&mut std::io::empty())?;
    ensure(empty == Digest::of(b"") && store.size(&empty)? == 0, "nothing at all is a file too")?;
    let joined = store.join(store, &[a, empty, b])?;
    ensure(store.size(&joined)? == 2 * LARGE_BYTES, "files can be joined")?;
    let mut reader = store.open(&joined)?;
    reader.seek(SeekFrom::Start(LARGE_BYTES - 1)).map_err(failed)?;
    let mut seam = [0; 2];
    reader.read_exact(&mut seam).map_err(failed)?;
    ensure(&seam == b"ab", "in their order, and read from any place")?;
    let missing = store.join(store, &[a, Digest::of(b"never put")]).err();
    let missing = kind(missing.as_ref()) == Some(ErrorKind::NotFound);
    ensure(missing, "a part that is not there is not found")?;
    ensure(store.join(store, &[])? == empty, "no files at all join to an empty one")
}

fn blobs_go(store: &dyn BlobStore) -> Result<()> {
    let digest = store.put(b"conformance: to be removed")?;
    let mut opened = store.open(&digest)?;
    ensure(store.remove(&digest)?, "a file can be removed")?;
    ensure(!store.remove(&digest)?, "once")?;
    ensure(!store.contains(&digest) && store.path(&digest).is_none(), "then it is gone")?;
    let gone = store.get(&digest).err();
    ensure(kind(gone.as_ref()) == Some(ErrorKind::NotFound), "and not found")?;
    let mut text = String::new();
    opened.read_to_string(&mut text).map_err(|error| Error::internal(error.to_string()))?;
    ensure(text.ends_with("to be removed"), "who has opened it reads on")?;
    ensure(store.put(b"conformance: to be removed")? == digest, "it can be put again")?;
    ensure(store.contains(&digest), "and is there again")
}

pub(crate) fn ensure(holds: bool, rule: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::internal(format!("the store breaks a rule: {rule}"))) }
}

pub(crate) fn kind(error: Option<&Error>) -> Option<ErrorKind> {
    error.map(|error| error.kind)
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("conformance")
}

pub(crate) fn new_run(id: &str) -> NewRun {
    NewRun {
        id: RunId::new(format!("conformance-{id}")),
        tenant: tenant(),
        workflow: "w".into(),
        plan: "{}".into(),
        request: "{\"input\":{}}".into(),
        seed: u64::MAX - 1,
        catalog_revision: "r1".into(),
        created_ms: 1_000,
        origin: "{\"face\":\"test\"}".into(),
        priority: 3,
        start_by_ms: Some(9_000),
        webhook: Some("{}".into()),
        payer: "a-key".into(),
        claim: None,
    }
}

/// Creates a run that nobody asked for before; it becomes durable with nothing in it too.
pub(crate) async fn create(store: &dyn RunStore, run: NewRun) -> Result<Lease> {
    let Created::New(lease, durable) = store.create(run, None).await? else {
        return Err(Error::internal("the store knows a run that was never asked for"));
    };
    durable.wait().await.map(|()| lease)
}

/// The run that a wish became before, if it did.
async fn known(store: &dyn RunStore, run: NewRun) -> Result<Option<RunId>> {
    Ok(match store.create(run, None).await? {
        Created::New(..) => None,
        Created::Known(run) => Some(run),
    })
}

fn wish(id: &str, kind: ClaimKind, key: &str, body: &str) -> NewRun {
    let claim = Claim { key: key.to_owned(), body: Digest::of(body.as_bytes()), kind };
    NewRun { claim: Some(claim), ..new_run(id) }
}

async fn explicit_claims_are_one_run_for_ever(open: Open<'_>) -> Result<()> {
    let store = open();
    let wish = |id: &str, body: &str| wish(id, ClaimKind::Explicit, "explicit", body);
    ensure(known(&*store, wish("claim-1", "a")).await?.is_none(), "the first wish is a new run")?;
    let first = Some(RunId::new("conformance-claim-1"));
    ensure(known(&*store, wish("claim-2", "a")).await? == first, "the same key is the same run")?;
    ensure(known(&*open(), wish("claim-2", "a")).await? == first, "for other processes too")?;
    let error = store.create(wish("claim-2", "b"), None).await.err();
    ensure(kind(error.as_ref()) == Some(ErrorKind::Conflict), "a key stands for one body")?;
    let foreign = NewRun { tenant: TenantId::new("somebody-else"), ..wish("claim-3", "b") };
    ensure(known(&*store, foreign).await?.is_none(), "keys are each tenant's own")
}

async fn delivery_claims_tell_retries_from_new_wishes(open: Open<'_>) -> Result<()> {
    let store = open();
    let wish = |id: &str| wish(id, ClaimKind::Delivery, "delivery", "a");
    let id = |id: &str| RunId::new(format!("conformance-{id}"));
    let mark = |run: &str, state| store.delivery(tenant(), "delivery".into(), id(run), state);
    ensure(known(&*store, wish("d-1")).await?.is_none(), "the first wish is a new run")?;
    let second = known(&*store, wish("d-2")).await?;
    ensure(second.is_none(), "while its answer is on its way, another equal one is a new run")?;
    mark("d-1", DeliveryState::Broken).await?;
    ensure(known(&*store, wish("d-3")).await?.is_none(), "the claim stands for the last run only")?;
    mark("d-3", DeliveryState::Broken).await?;
    ensure(known(&*store, wish("d-4")).await? == Some(id("d-3")), "a retry is the same run")?;
    mark("d-3", DeliveryState::Late).await?;
    mark("d-3", DeliveryState::Broken).await?;
    ensure(known(&*store, wish("d-4")).await? == Some(id("d-3")), "who came in time is not late")?;
    mark("d-3", DeliveryState::Answered).await?;
    ensure(known(&*store, wish("d-4")).await?.is_none(), "what was answered is over")?;
    mark("d-4", DeliveryState::Given).await?;
    ensure(known(&*store, wish("d-6")).await?.is_none(), "what may have been read is not broken")?;
    mark("d-6", DeliveryState::Given).await?;
    mark("d-6", DeliveryState::Broken).await?;
    ensure(known(&*store, wish("d-7")).await? == Some(id("d-6")), "unless it turns out to be")?;
    mark("d-6", DeliveryState::Broken).await?;
    mark("d-6", DeliveryState::Late).await?;
    ensure(known(&*store, wish("d-8")).await?.is_none(), "after that it is a new wish")?;
    mark("d-8", DeliveryState::Broken).await?;
    let late = NewRun { created_ms: 1_001 + RETRY_WINDOW_MS, ..wish("d-5") };
    ensure(known(&*store, late).await?.is_none(), "after a long time it is a new wish")?;
    let at = |id: &str| NewRun { created_ms: 2_000 + RETRY_WINDOW_MS, ..wish(id) };
    let lease = create(&*store, at("d-9")).await?;
    mark("d-9", DeliveryState::Broken).await?;
    let mut end = Batch::new(id("d-9"), lease.epoch, 3_000 + RETRY_WINDOW_MS);
    end.status = Some(RunStatus::Cancelled);
    store.commit(end).await?;
    ensure(known(&*store, at("d-10")).await?.is_none(), "what was given up is wished anew")
}

async fn a_dead_process_delivers_nothing(open: Open<'_>) -> Result<()> {
    let dead = open();
    let wish = |id: &str| wish(id, ClaimKind::Delivery, "dead", "a");
    ensure(known(&*dead, wish("dead-1")).await?.is_none(), "the first wish is a new run")?;
    drop(dead);
    let retried = known(&*open(), wish("dead-2")).await?;
    let first = Some(RunId::new("conformance-dead-1"));
    ensure(retried == first, "an answer that died with its process was not delivered")
}

async fn orphans_are_found(open: Open<'_>) -> Result<()> {
    let (store, watcher) = (open(), open());
    let mut leases = Vec::new();
    for (id, priority) in [("orphan-a", 0), ("orphan-b", 7), ("orphan-c", 0), ("orphan-held", 0)] {
        leases.push(create(&*store, NewRun { priority, ..new_run(id) }).await?);
    }
    let held = leases.pop();
    let mut ended = Batch::new(leases[2].run.clone(), leases[2].epoch, 1);
    ended.status = Some(RunStatus::Interrupted);
    store.commit(ended).await?;
    leases.clear();
    for id in ["orphan-a", "orphan-b"] {
        status_soon(&*watcher, &RunId::new(format!("conformance-{id}")), RunStatus::Interrupted)
            .await?;
    }
    let found = watcher.orphans(1_000).await?;
    let short = |(_, run): &(TenantId, RunId)| {
        run.as_str().strip_prefix("conformance-orphan-").map(str::to_owned)
    };
    let found: Vec<String> = found.iter().filter_map(short).collect();
    ensure(found == ["b", "a"], "what a process left behind is found, and nothing else")?;
    drop(held);
    Ok(())
}

fn event(seq: u64) -> StoredEvent {
    StoredEvent { seq, at_ms: 2_000 + seq, body: format!("{{\"n\":{seq}}}") }
}

fn ledger_entry(kind: LedgerKind, amount: i64) -> LedgerEntry {
    LedgerEntry {
        at_ms: 5,
        kind,
        step: "a[1]".into(),
        attempt: 1,
        offer: OfferId::new("m@p/t"),
        amount: Money::micros(amount),
    }
}

fn output(name: &str) -> OutputEntry {
    OutputEntry { key: Digest::of(name.as_bytes()), body: format!("{{\"name\":\"{name}\"}}") }
}

async fn writes_what_happens_first_with_the_run(open: Open<'_>) -> Result<()> {
    let store = open();
    let wish = |id: &str| wish(id, ClaimKind::Explicit, "first", "a");
    let first = |id: &str| {
        let mut first = Batch::new(wish(id).id, FIRST_EPOCH, 3_000);
        first.events = vec![event(1), event(2)];
        first.ledger = vec![ledger_entry(LedgerKind::Intent, 7)];
        first.durable = true;
        first
    };
    let created = store.create(wish("first-1"), Some(first("first-1"))).await?;
    let lease = created.lease().ok_or_else(|| Error::internal("the wish is known"))?;
    ensure(lease.epoch == FIRST_EPOCH, "the first lease has the first epoch")?;
    let loaded = open().load(tenant(), lease.run.clone(), 0).await?;
    ensure(loaded.events == first("first-1").events, "what happened first is there at once")?;
    let ledger = store.ledger(tenant(), lease.run.clone()).await?;
    ensure(ledger == first("first-1").ledger, "and what it cost")?;
    let mut next = Batch::new(lease.run.clone(), lease.epoch, 4_000);
    next.events = vec![event(3)];
    store.commit(next).await?;
    let again = store.create(wish("first-2"), Some(first("first-2"))).await?;
    ensure(again.lease().is_none(), "the same wish is the same run")?;
    let unmade = store.load(tenant(), wish("first-2").id, 0).await.err();
    ensure(
        kind(unmade.as_ref()) == Some(ErrorKind::NotFound),
        "of a known wish nothing is written",
    )?;
    let taken = NewRun { claim: None, ..wish("first-1") };
    let taken = store.create(taken, Some(first("first-1"))).await.err();
    ensure(kind(taken.as_ref()) == Some(ErrorKind::Conflict), "an id is one run's")?;
    let events = store.load(tenant(), lease.run, 0).await?.events.len();
    ensure(events == 3, "and nothing is written to it by another")
}

async fn keeps_what_is_committed(open: Open<'_>) -> Result<()> {
    let store = open();
    let run = new_run("keeps");
    let lease = create(&*store, run.clone()).await?;
    let mut batch = Batch::new(run.id.clone(), lease.epoch, 3_000);
    batch.events = vec![event(1), event(2)];
    batch.ledger = vec![ledger_entry(LedgerKind::Intent, 7), ledger_entry(LedgerKind::Charge, 6)];
    batch.outputs = vec![output("keeps")];
    batch.durable = true;
    store.commit(batch.clone()).await?;
    let loaded = open().load(tenant(), run.id.clone(), 0).await?;
    ensure(loaded.record.run == run, "a run reads back as it was created")?;
    ensure(loaded.events == batch.events, "events read back in order")?;
    ensure(loaded.record.status == RunStatus::Running, "a run that is held is running")?;
    let later = store.load(tenant(), run.id.clone(), 1).await?;
    ensure(later.events == [event(2)], "events after a number")?;
    ensure(store.ledger(tenant(), run.id.clone()).await? == batch.ledger, "the ledger reads back")?;
    let found = store.find_output(tenant(), output("keeps").key).await?;
    ensure(found.as_deref() == Some("{\"name\":\"keeps\"}"), "an output is found by its key")?;
    let absent = store.find_output(tenant(), Digest::of(b"absent")).await?;
    ensure(absent.is_none(), "an output that was never kept is not found")?;
    let mut last = Batch::new(run.id.clone(), lease.epoch, 4_000);
    last.status = Some(RunStatus::Succeeded);
    last.outputs = vec![output("keeps")];
    store.commit(last).await?;
    let record = store.load(tenant(), run.id, 2).await?.record;
    ensure(record.status == RunStatus::Succeeded, "the status changes with the batch")?;
    ensure(record.updated_ms == 4_000, "the time of the last change is kept")
}

async fn refuses_wrong_numbers(open: Open<'_>) -> Result<()> {
    let store = open();
    let run = new_run("numbers");
    let lease = create(&*store, run.clone()).await?;
    for wrong in [vec![event(2)], vec![event(1), event(1)], vec![event(1), event(3)]] {
        let mut batch = Batch::new(run.id.clone(), lease.epoch, 1);
        batch.events = wrong;
        let error = store.commit(batch).await.err();
        ensure(
            kind(error.as_ref()) == Some(ErrorKind::Conflict),
            "events are numbered without gaps",
        )?;
    }
    let second = store.create(run, None).await.err();
    ensure(kind(second.as_ref()) == Some(ErrorKind::Conflict), "an id is used once")
}

async fn writes_all_or_nothing(open: Open<'_>) -> Result<()> {
    let store = open();
    let run = new_run("atomic");
    let lease = create(&*store, run.clone()).await?;
    let mut good = Batch::new(run.id.clone(), lease.epoch, 1);
    good.events = vec![event(1)];
    let mut bad = Batch::new(run.id.clone(), lease.epoch, 1);
    bad.events = vec![event(2), event(2)];
    bad.ledger = vec![ledger_entry(LedgerKind::Charge, 1)];
    bad.outputs = vec![output("atomic")];
    bad.status = Some(RunStatus::Failed);
    let good = store.commit(good);
    let bad = store.commit(bad);
    good.await?;
    ensure(bad.await.is_err(), "a batch with a wrong number is refused")?;
    let loaded = store.load(tenant(), run.id.clone(), 0).await?;
    ensure(loaded.events == [event(1)], "a refused batch leaves no event, its neighbour stays")?;
    ensure(loaded.record.status == RunStatus::Running, "a refused batch changes no status")?;
    ensure(
        store.ledger(tenant(), run.id).await?.is_empty(),
        "a refused batch leaves no ledger entry",
    )?;
    let found = store.find_output(tenant(), output("atomic").key).await?;
    ensure(found.is_none(), "a refused batch leaves no output")
}

async fn leases_are_exclusive(open: Open<'_>) -> Result<()> {
    let (first, second) = (open(), open());
    let run = new_run("leases");
    let lease = create(&*first, run.clone()).await?;
    for store in [&first, &second] {
        let error = store.acquire(tenant(), run.id.clone()).await.err();
        ensure(
            kind(error.as_ref()) == Some(ErrorKind::Conflict),
            "a run that is held cannot be taken",
        )?;
    }
    drop(lease);
    let shown = status_soon(&*second, &run.id, RunStatus::Interrupted).await?;
    ensure(
        shown == RunStatus::Interrupted,
        "a running run that nobody holds shows as interrupted",
    )?;
    let lease = second.acquire(tenant(), run.id.clone()).await?;
    ensure(lease.epoch >= 2, "each owner has a higher epoch")?;
    let mut last = Batch::new(run.id.clone(), lease.epoch, 1);
    last.status = Some(RunStatus::Failed);
    second.commit(last).await?;
    let third = first.acquire(tenant(), run.id.clone()).await?;
    ensure(third.epoch > lease.epoch, "a batch that ends a run gives the lease back")?;
    drop(lease);
    let error = second.acquire(tenant(), run.id.clone()).await.err();
    ensure(
        kind(error.as_ref()) == Some(ErrorKind::Conflict),
        "an old lease does not free a newer one",
    )?;
    drop(third);
    let shown = status_soon(&*second, &run.id, RunStatus::Interrupted).await?;
    ensure(
        shown == RunStatus::Interrupted,
        "a running run that nobody holds shows as interrupted",
    )?;
    let absent = first.acquire(tenant(), RunId::new("conformance-absent")).await.err();
    ensure(kind(absent.as_ref()) == Some(ErrorKind::NotFound), "an unknown run cannot be taken")
}

async fn old_epochs_are_fenced(open: Open<'_>) -> Result<()> {
    let (first, second) = (open(), open());
    let run = new_run("fenced");
    let old = create(&*first, run.clone()).await?;
    let old_epoch = old.epoch;
    drop(old);
    let new = acquire_soon(&*second, &run.id).await?;
    let mut late = Batch::new(run.id.clone(), old_epoch, 1);
    late.events = vec![event(1)];
    let error = first.commit(late).await.err();
    ensure(kind(error.as_ref()) == Some(ErrorKind::Conflict), "an old epoch cannot write")?;
    let mut current = Batch::new(run.id.clone(), new.epoch, 1);
    current.events = vec![event(1)];
    second.commit(current).await?;
    // An owner that dies without a word frees its runs.
    drop(first);
    let third = open();
    drop((new, second));
    acquire_soon(&*third, &run.id).await.map(drop)
}

/// A lease is given back soon after it was dropped, not at once.
const PATIENCE: usize = 2_000;

fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(1));
}

async fn acquire_soon(store: &dyn RunStore, run: &RunId) -> Result<Lease> {
    for _ in 1..PATIENCE {
        match store.acquire(tenant(), run.clone()).await {
            Err(error) if error.kind == ErrorKind::Conflict => pause(),
            answer => return answer,
        }
    }
    store.acquire(tenant(), run.clone()).await
}

async fn status_soon(store: &dyn RunStore, run: &RunId, wanted: RunStatus) -> Result<RunStatus> {
    for _ in 1..PATIENCE {
        if store.load(tenant(), run.clone(), 0).await?.record.status == wanted {
            return Ok(wanted);
        }
        pause();
    }
    Ok(store.load(tenant(), run.clone(), 0).await?.record.status)
}

async fn tenants_see_nothing_of_each_other(open: Open<'_>) -> Result<()> {
    let store = open();
    let run = new_run("tenants");
    let lease = create(&*store, run.clone()).await?;
    let mut batch = Batch::new(run.id.clone(), lease.epoch, 1);
    batch.outputs = vec![output("tenants")];
    store.commit(batch).await?;
    let foreign = || TenantId::new("somebody-else");
    let id = || run.id.clone();
    let errors = [
        store.load(foreign(), id(), 0).await.err(),
        store.ledger(foreign(), id()).await.err(),
        store.acquire(foreign(), id()).await.err(),
        store.request_cancel(foreign(), id()).await.err(),
    ];
    for error in errors {
        ensure(kind(error.as_ref()) == Some(ErrorKind::NotFound), "a foreign run is not found")?;
    }
    let found = store.find_output(foreign(), output("tenants").key).await?;
    ensure(found.is_none(), "a foreign output is not found")?;
    let listed = store.list(RunFilter::newest(foreign(), 1_000)).await?;
    ensure(listed.iter().all(|record| record.run.id != run.id), "a foreign run is not listed")
}

async fn cancel_marks_reach_the_owner(open: Open<'_>) -> Result<()> {
    let (owner, other) = (open(), open());
    let run = new_run("cancel");
    let lease = create(&*owner, run.clone()).await?;
    let before = owner.commit(Batch::new(run.id.clone(), lease.epoch, 1)).await?;
    ensure(!before.cancel_requested, "a run is not cancelled by itself")?;
    ensure(
        other.request_cancel(tenant(), run.id.clone()).await?,
        "a held run has an owner to tell",
    )?;
    let after = owner.commit(Batch::new(run.id.clone(), lease.epoch, 1)).await?;
    ensure(after.cancel_requested, "the owner learns it with its next commit")?;
    ensure(owner.cancel_requests().await?.contains(&run.id), "the owner learns it when it asks")?;
    ensure(!other.cancel_requests().await?.contains(&run.id), "only the owner is told")?;
    drop(lease);
    status_soon(&*other, &run.id, RunStatus::Interrupted).await?;
    ensure(!other.request_cancel(tenant(), run.id).await?, "a run that nobody holds has no owner")
}

async fn lists_newest_first(open: Open<'_>) -> Result<()> {
    let store = open();
    let mut leases = Vec::new();
    for (place, id) in ["list-a", "list-b", "list-c_", "list-cx"].into_iter().enumerate() {
        let run = NewRun { created_ms: 10_000 + place as u64, ..new_run(id) };
        leases.push(create(&*store, run).await?);
    }
    let ids = |filter: RunFilter| {
        let store = Arc::clone(&store);
        async move {
            let listed = store.list(filter).await?;
            let short = |id: &RunId| id.as_str().trim_start_matches("conformance-list-").to_owned();
            Ok::<_, Error>(listed.iter().map(|record| short(&record.run.id)).collect::<Vec<_>>())
        }
    };
    let prefixed = |prefix: &str, limit: u32| RunFilter {
        id_prefix: format!("conformance-list-{prefix}"),
        ..RunFilter::newest(tenant(), limit)
    };
    ensure(ids(prefixed("", 10)).await? == ["cx", "c_", "b", "a"], "the newest run comes first")?;
    ensure(ids(prefixed("", 2)).await? == ["cx", "c_"], "no more than the limit")?;
    ensure(ids(prefixed("c_", 10)).await? == ["c_"], "a prefix is taken literally")?;
    ensure(ids(prefixed("%", 10)).await?.is_empty(), "a prefix has no wildcards")?;
    let first = leases.remove(0).run.clone();
    status_soon(&*store, &first, RunStatus::Interrupted).await?;
    let stopped = RunFilter { statuses: vec![RunStatus::Interrupted], ..prefixed("", 10) };
    ensure(ids(stopped).await? == ["a"], "runs can be listed by where they stand")?;
    let running = RunFilter { statuses: vec![RunStatus::Running], ..prefixed("", 10) };
    ensure(ids(running).await? == ["cx", "c_", "b"], "what nobody holds is not running")
}

async fn lists_what_a_filter_says(open: Open<'_>) -> Result<()> {
    let store = open();
    let mut leases = Vec::new();
    // Two were created at the same time; the last one was not the latest.
    for (id, at_ms, workflow) in [
        ("a", 20_000, "filter-film"),
        ("b", 20_010, "filter-shots"),
        ("c", 20_010, "filter-film"),
        ("d", 20_030, "filter-film"),
        ("e", 20_005, "filter-film"),
    ] {
        let name = format!("filter-{id}");
        let run = NewRun { created_ms: at_ms, workflow: workflow.into(), ..new_run(&name) };
        leases.push(create(&*store, run).await?);
    }
    let end = |place: usize, status| {
        let mut last = Batch::new(leases[place].run.clone(), leases[place].epoch, 1);
        last.status = Some(status);
        store.commit(last)
    };
    end(0, RunStatus::Succeeded).await?;
    end(2, RunStatus::Parked).await?;
    let id = |id: &str| RunId::new(format!("conformance-filter-{id}"));
    let any = || RunFilter {
        created_from_ms: Some(20_000),
        created_to_ms: Some(21_000),
        ..RunFilter::newest(tenant(), 10)
    };
    let film = || RunFilter { workflow: Some("filter-film".into()), ..any() };
    let ended = vec![RunStatus::Succeeded, RunStatus::Parked];
    let parked = vec![RunStatus::Parked];
    let cases = [
        ("by time, then in the order of their creation", any(), "dcbea"),
        ("of one workflow", film(), "dcea"),
        ("of one workflow, in one state", RunFilter { statuses: parked.clone(), ..film() }, "c"),
        ("in one state", RunFilter { statuses: parked, ..any() }, "c"),
        ("in one of two", RunFilter { statuses: ended, ..any() }, "ca"),
        ("from a time on", RunFilter { created_from_ms: Some(20_010), ..any() }, "dcb"),
        ("up to a time", RunFilter { created_to_ms: Some(20_010), ..any() }, "ea"),
        ("behind one", RunFilter { before: Some(id("c")), ..any() }, "bea"),
        ("behind one of another workflow", RunFilter { before: Some(id("b")), ..film() }, "ea"),
        ("behind the last", RunFilter { before: Some(id("a")), ..any() }, ""),
        ("a page", RunFilter { before: Some(id("d")), limit: 2, ..film() }, "ce"),
        ("none", RunFilter { limit: 0, ..any() }, ""),
        (
            "with a prefix",
            RunFilter { id_prefix: "conformance-filter-".into(), before: Some(id("d")), ..film() },
            "cea",
        ),
    ];
    for (rule, filter, wanted) in cases {
        let listed = store.list(filter).await?;
        let ids = listed.iter().map(|record| record.run.id.as_str());
        let ids: String = ids.filter_map(|id| id.strip_prefix("conformance-filter-")).collect();
        ensure(ids == wanted, &format!("lists runs {rule}: {ids} instead of {wanted}"))?;
    }
    let listed = store.list(any()).await?;
    let has_origin = |record: &RunRecord| record.run.origin == new_run("").origin;
    ensure(listed.iter().all(has_origin), "listed runs carry their origin")?;
    for (tenant, run) in [(TenantId::new("somebody-else"), "a"), (tenant(), "absent")] {
        let filter = RunFilter { tenant, before: Some(id(run)), ..any() };
        let error = store.list(filter).await.err();
        ensure(kind(error.as_ref()) == Some(ErrorKind::NotFound), "a foreign place is not found")?;
    }
    Ok(())
}
