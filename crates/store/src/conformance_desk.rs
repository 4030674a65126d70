//! What every implementation of the ports beside runs has to pass. Public as
//! [`crate::conformance::desk`].

use std::sync::Arc;

use impasto_domain::{Digest, ErrorKind, Money, OfferId, Result, RunId, TenantId};

use crate::conformance::{create, ensure, kind, new_run, tenant};
use crate::{
    AssetEntry, AssetRole, Batch, DeliveryFilter, EndpointRecord, Expired, KeyKind, KeyLimits,
    KeyRecord, LedgerEntry, LedgerKind, NewRun, RunStatus, Store, StoredEvent, TellState, Told,
    UploadPart, UploadRecord,
};

/// Opens the same store once more, as another process would.
pub type OpenDesk<'a> = &'a (dyn Fn() -> Arc<dyn Store> + Sync);

fn foreign() -> TenantId {
    TenantId::new("somebody-else")
}

/// Checks the ports beside runs; an error says what the store does wrong.
pub async fn desk(open: OpenDesk<'_>) -> Result<()> {
    keys(open).await?;
    workflows(open).await?;
    assets(open).await?;
    uploads(open).await?;
    webhooks(open).await?;
    usage(open).await
}

async fn keys(open: OpenDesk<'_>) -> Result<()> {
    let store = open();
    let key = KeyRecord {
        id: "conformance".into(),
        tenant: tenant(),
        name: "a key".into(),
        kind: KeyKind::User,
        secret_sha256: Digest::of(b"secret"),
        scopes: vec!["runs".into()],
        limits: KeyLimits { calls_per_minute: Some(3), ..KeyLimits::default() },
        created_ms: 1,
        expires_ms: Some(9),
        revoked_ms: None,
        last_used_ms: None,
    };
    store.add_key(key.clone()).await?;
    ensure(store.has_keys().await?, "that there are keys is known")?;
    let second = store.add_key(key.clone()).await.err();
    ensure(kind(second.as_ref()) == Some(ErrorKind::Conflict), "a key's id is used once")?;
    store.key_used(key.id.clone(), 5).await?;
    ensure(store.revoke_key(key.id.clone(), 6).await?, "a key can be revoked")?;
    store.revoke_key(key.id.clone(), 7).await?;
    let known = open().key(key.id.clone()).await?;
    let wanted = KeyRecord { revoked_ms: Some(6), last_used_ms: Some(5), ..key.clone() };
    ensure(known.as_ref() == Some(&wanted), "a key reads back, revoked when it first was")?;
    ensure(store.keys(Some(tenant())).await? == [wanted.clone()], "keys of a tenant")?;
    ensure(store.keys(None).await?.contains(&wanted), "keys of all tenants")?;
    ensure(store.keys(Some(foreign())).await?.is_empty(), "foreign keys are not listed")?;
    ensure(!store.revoke_key("absent".into(), 1).await?, "an absent key cannot be revoked")?;
    ensure(store.key("absent".into()).await?.is_none(), "an absent key is not found")
}

async fn workflows(open: OpenDesk<'_>) -> Result<()> {
    let store = open();
    let put = |text: &str| store.put_workflow(tenant(), "film".into(), text.into(), 1);
    ensure(put("a").await? == 1, "versions begin with 1")?;
    ensure(put("a").await? == 1, "an equal text is the same version")?;
    ensure(put("b").await? == 2, "another text is the next version")?;
    let get = |tenant, version| store.workflow(tenant, "film".into(), version);
    let text = |found: Option<crate::WorkflowRecord>| found.map(|found| found.text);
    ensure(text(get(tenant(), None).await?).as_deref() == Some("b"), "the newest version")?;
    ensure(text(get(tenant(), Some(1)).await?).as_deref() == Some("a"), "a version by number")?;
    ensure(get(tenant(), Some(3)).await?.is_none(), "an absent version is not found")?;
    ensure(get(foreign(), None).await?.is_none(), "a foreign workflow is not found")?;
    let versions = open().workflow_versions(tenant(), "film".into()).await?;
    let versions: Vec<u32> = versions.iter().map(|version| version.version).collect();
    ensure(versions == [2, 1], "versions, newest first")?;
    ensure(store.workflows(tenant()).await?.len() == 1, "each workflow is listed once")?;
    let remove = |tenant| store.remove_workflow(tenant, "film".into());
    ensure(!remove(foreign()).await?, "a foreign workflow cannot be removed")?;
    ensure(remove(tenant()).await?, "a workflow can be removed")?;
    ensure(!remove(tenant()).await?, "once")?;
    ensure(store.workflows(tenant()).await?.is_empty(), "what was removed is gone")?;
    ensure(get(tenant(), None).await?.is_none(), "its newest version too")?;
    ensure(get(tenant(), Some(1)).await?.is_none(), "and the others")?;
    ensure(put("b").await? == 3, "a version never stands for two texts")?;
    ensure(remove(tenant()).await?, "what came back can be removed again")
}

fn asset(bytes: &str, role: AssetRole, run: Option<&str>) -> AssetEntry {
    AssetEntry {
        digest: Digest::of(bytes.as_bytes()),
        body: format!("{{\"of\":\"{bytes}\"}}"),
        role,
        run: run.map(|run| RunId::new(format!("conformance-{run}"))),
        step: String::new(),
        name: "image".into(),
        at_ms: 7,
    }
}

async fn assets(open: OpenDesk<'_>) -> Result<()> {
    let store = open();
    let lease = create(&*store, new_run("assets")).await?;
    let upload = asset("a", AssetRole::Upload, None);
    store.record_assets(tenant(), vec![upload.clone(), upload.clone()]).await?;
    let mut batch = Batch::new(lease.run.clone(), lease.epoch, 7);
    let input = asset("a", AssetRole::Input, Some("assets"));
    let output = asset("b", AssetRole::Output, Some("assets"));
    batch.assets = vec![input.clone(), output.clone()];
    store.commit(batch).await?;
    let (a, b) = (upload.digest, output.digest);
    let origins = open().asset_origins(tenant(), a).await?;
    ensure(origins == [upload.clone(), input], "every way in which a file is known, each once")?;
    let found = store.asset(tenant(), a).await?.map(|record| record.first);
    ensure(found.as_ref() == Some(&upload), "a file is shown as it was known first")?;
    ensure(store.asset(foreign(), a).await?.is_none(), "a foreign file is not found")?;
    ensure(store.asset_origins(foreign(), a).await?.is_empty(), "nor where it came from")?;
    let newest = store.assets(tenant(), None, 1).await?;
    let first = |records: &[crate::AssetRecord]| records.first().map(|record| record.first.digest);
    ensure(first(&newest) == Some(b), "files are listed newest first")?;
    let before = newest.first().map(|record| record.number);
    let older = store.assets(tenant(), before, 10).await?;
    ensure(first(&older) == Some(a) && older.len() == 1, "and each once, from a number on")?;
    ensure(!store.forget_asset(foreign(), a).await?, "a foreign file cannot be forgotten")?;
    ensure(store.forget_asset(tenant(), a).await?, "a file can be forgotten")?;
    ensure(store.asset(tenant(), a).await?.is_none(), "what was forgotten is gone")
}

async fn uploads(open: OpenDesk<'_>) -> Result<()> {
    let store = open();
    let begun = UploadRecord {
        id: "u".into(),
        name: "a.png".into(),
        media_type: "image/png".into(),
        origin: "{}".into(),
        created_ms: 1,
        expires_ms: 50,
        parts: Vec::new(),
    };
    store.begin_upload(tenant(), begun.clone()).await?;
    let part = |number, bytes: &str| UploadPart {
        number,
        digest: Digest::of(bytes.as_bytes()),
        bytes: bytes.len() as u64,
    };
    for part in [part(2, "b"), part(1, "old"), part(1, "a")] {
        store.put_part(tenant(), "u".into(), part).await?;
    }
    let error = store.put_part(foreign(), "u".into(), part(1, "x")).await.err();
    ensure(kind(error.as_ref()) == Some(ErrorKind::NotFound), "a foreign upload is not found")?;
    let found = open().upload(tenant(), "u".into()).await?;
    let wanted = UploadRecord { parts: vec![part(1, "a"), part(2, "b")], ..begun.clone() };
    ensure(found == Some(wanted), "parts are in order, a later one replaces an earlier")?;
    ensure(store.upload(foreign(), "u".into()).await?.is_none(), "nor can it be read")?;
    uploads_end(&*store, &begun).await
}

async fn uploads_end(store: &dyn Store, first: &UploadRecord) -> Result<()> {
    let begun = |id: &str, expires_ms| UploadRecord { id: id.into(), expires_ms, ..first.clone() };
    let end = |tenant, id: &str| store.end_upload(tenant, id.into());
    let b = UploadPart { number: 1, digest: Digest::of(b"b"), bytes: 1 };
    store.begin_upload(tenant(), begun("shares", 100)).await?;
    store.put_part(tenant(), "shares".into(), b.clone()).await?;
    ensure(end(foreign(), "u").await?.is_none(), "a foreign upload cannot be ended")?;
    let early = store.end_expired_uploads(49, 10).await?;
    ensure(early == Expired::default(), "what has time left stays")?;
    let over = store.end_expired_uploads(50, 10).await?;
    ensure(over.uploads == 1, "what has none ends")?;
    ensure(over.parts == [Digest::of(b"a")], "parts of no other upload are told")?;
    ensure(end(tenant(), "u").await?.is_none(), "what has ended is gone")?;
    let last = end(tenant(), "shares").await?;
    ensure(last == Some(vec![b.digest]), "the last upload with a part lets go of it")?;
    for (id, expires_ms) in [("late", 202), ("early", 201)] {
        store.begin_upload(foreign(), begun(id, expires_ms)).await?;
    }
    ensure(store.end_expired_uploads(300, 1).await?.uploads == 1, "no more than the limit")?;
    ensure(store.end_expired_uploads(300, 9).await?.uploads == 1, "the rest later, of all tenants")
}

async fn webhooks(open: OpenDesk<'_>) -> Result<()> {
    let store = open();
    let endpoint = EndpointRecord {
        id: "e".into(),
        tenant: tenant(),
        url: "https://example.com/hook".into(),
        topics: vec!["run.succeeded".into()],
        secret: "s".into(),
        old_secret: Some(("o".into(), 9)),
        enabled: true,
        created_ms: 1,
    };
    store.put_endpoint(endpoint.clone()).await?;
    store
        .put_endpoint(EndpointRecord { id: "off".into(), enabled: false, ..endpoint.clone() })
        .await?;
    ensure(open().endpoints(tenant()).await?.first() == Some(&endpoint), "an endpoint reads back")?;
    ensure(store.endpoints(foreign()).await?.is_empty(), "foreign endpoints are not listed")?;
    let lease = create(&*store, new_run("webhooks")).await?;
    let mut first = Batch::new(lease.run.clone(), lease.epoch, 100);
    first.events = vec![StoredEvent { seq: 1, at_ms: 100, body: "{}".into() }];
    store.commit(first).await?;
    let mut last = Batch::new(lease.run.clone(), lease.epoch, 200);
    last.status = Some(RunStatus::Succeeded);
    store.commit(last).await?;
    let filter = DeliveryFilter {
        tenant: tenant(),
        run: Some(lease.run.clone()),
        endpoint: None,
        state: None,
        before: None,
        limit: 10,
    };
    let listed = store.deliveries(filter.clone()).await?;
    let told: Vec<_> =
        listed.iter().rev().map(|it| (it.topic.as_str(), it.endpoint.as_deref())).collect();
    let wanted = [("run.started", None), ("run.succeeded", None), ("run.succeeded", Some("e"))];
    ensure(told == wanted, "what happens is to be told to the run's webhook and to who wants it")?;
    let only = DeliveryFilter { endpoint: Some("e".into()), ..filter.clone() };
    ensure(store.deliveries(only).await?.len() == 1, "deliveries of one endpoint")?;
    let theirs = DeliveryFilter { tenant: foreign(), ..filter.clone() };
    ensure(store.deliveries(theirs).await?.is_empty(), "foreign deliveries are not listed")?;
    deliveries_are_leased(&*store, &lease.run).await?;
    ensure(!store.remove_endpoint(foreign(), "e".into()).await?, "nor removed")?;
    ensure(store.remove_endpoint(tenant(), "e".into()).await?, "an endpoint can be removed")
}

async fn deliveries_are_leased(store: &dyn Store, run: &RunId) -> Result<()> {
    let due = |now, until| async move {
        let due = store.due_deliveries(now, until, 1_000).await?;
        Ok::<_, impasto_domain::Error>(
            due.into_iter().filter(|it| it.run == *run).collect::<Vec<_>>(),
        )
    };
    let taken = due(200, 300).await?;
    ensure(taken.len() == 3, "what is due is given")?;
    let pending = store.pending_deliveries().await?;
    ensure(pending >= 3, "what is being told is still to be told")?;
    ensure(due(299, 400).await?.is_empty(), "and not given again before its time")?;
    let number = taken.first().map_or(0, |taken| taken.number);
    let told = |state, due_ms| Told { state, due_ms, status: 500, error: "no".into() };
    store.told(number, told(TellState::Pending, 1_000)).await?;
    for other in taken.iter().skip(1) {
        store.told(other.number, told(TellState::Delivered, 0)).await?;
    }
    ensure(due(999, 2_000).await?.is_empty(), "what was told is not due, what failed is later")?;
    let again = due(1_000, 2_000).await?;
    let seen = again.first().map(|it| (it.attempts, it.last_status, it.last_error.as_str()));
    ensure(seen == Some((1, 500, "no")), "how the attempt went is kept")?;
    store.told(number, told(TellState::Failed, 0)).await?;
    let left = store.pending_deliveries().await?;
    ensure(left == pending - 3, "what was told or given up is not")?;
    ensure(!store.redeliver(foreign(), number, 3_000).await?, "not by others")?;
    ensure(store.redeliver(tenant(), number, 3_000).await?, "what was given up can be told again")?;
    ensure(due(3_000, 4_000).await?.len() == 1, "at once")
}

async fn usage(open: OpenDesk<'_>) -> Result<()> {
    let store = open();
    let lease = create(&*store, NewRun { payer: "usage-key".into(), ..new_run("usage") }).await?;
    let entry = |kind, step: &str, at_ms, amount| LedgerEntry {
        at_ms,
        kind,
        step: step.into(),
        attempt: 1,
        offer: OfferId::new("usage@p/t"),
        amount: Money::micros(amount),
    };
    let day = 24 * 60 * 60 * 1000;
    let base = 1_000 * day;
    let mut batch = Batch::new(lease.run.clone(), lease.epoch, 1);
    batch.ledger = vec![
        entry(LedgerKind::Intent, "charged", base, 10),
        entry(LedgerKind::Charge, "charged", base, 8),
        entry(LedgerKind::Intent, "released", base, 20),
        entry(LedgerKind::Release, "released", base, 20),
        entry(LedgerKind::Intent, "open", base + day, 5),
        entry(LedgerKind::Charge, "later", base + day, 3),
    ];
    store.commit(batch).await?;
    let spent = |tenant, from| store.spent_since(tenant, from);
    ensure(spent(tenant(), base).await? == Money::micros(16), "charges and open intents")?;
    ensure(spent(tenant(), base + 1).await? == Money::micros(8), "from a time on")?;
    ensure(spent(foreign(), 0).await? == Money::ZERO, "not those of others")?;
    let by = |payer: &str| store.spent_by(tenant(), payer.into(), base);
    ensure(by("usage-key").await? == Money::micros(16), "what a payer spent")?;
    ensure(by("another").await? == Money::ZERO, "not what others did")?;
    let mut later = Batch::new(lease.run.clone(), lease.epoch, 2);
    later.ledger = vec![
        entry(LedgerKind::Charge, "open", base + day, 4),
        entry(LedgerKind::Intent, "last", base + day, 70),
        entry(LedgerKind::Intent, "early", base - 1, 1_000),
    ];
    store.commit(later).await?;
    ensure(spent(tenant(), base).await? == Money::micros(85), "what came since, and no more")?;
    ensure(by("usage-key").await? == Money::micros(85), "for a payer too")?;
    let mut end = Batch::new(lease.run.clone(), lease.epoch, 3);
    end.ledger = vec![
        entry(LedgerKind::Release, "last", base + day, 70),
        entry(LedgerKind::Charge, "early", base, 900),
    ];
    store.commit(end).await?;
    ensure(spent(tenant(), base).await? == Money::micros(915), "whenever its intent was")?;
    ensure(open().spent_since(tenant(), base).await? == Money::micros(915), "for all processes")?;
    let lines = open().usage(tenant(), base, base + 2 * day).await?;
    let lines: Vec<_> = lines.iter().map(|it| (it.day, it.charges, it.amount)).collect();
    let wanted = [(1_000, 2, Money::micros(908)), (1_001, 2, Money::micros(7))];
    ensure(lines == wanted, "charges by day and offer")
}
