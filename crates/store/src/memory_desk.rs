//! What a server keeps beside runs, in memory.

use std::collections::BTreeMap;

use impasto_domain::{Digest, Error, ErrorKind, Money, Result, TenantId};

use crate::memory::{MemoryRuns, Shared};
use crate::{
    AssetEntry, AssetRecord, AssetStore, Batch, BoxFuture, DeliveryFilter, DeliveryRecord,
    EndpointRecord, Expired, KeyRecord, KeyStore, LedgerEntry, LedgerKind, STARTED, TellState,
    Told, UploadPart, UploadRecord, UploadStore, UsageLine, UsageStore, WebhookStore,
    WorkflowRecord, WorkflowStore, topic_of,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What is kept beside runs. A row begins with its tenant.
#[derive(Default)]
pub(crate) struct Desk {
    keys: BTreeMap<String, KeyRecord>,
    workflows: Vec<(TenantId, WorkflowRecord)>,
    /// The last version of each workflow, also of those that were forgotten.
    last_versions: BTreeMap<(TenantId, String), u32>,
    assets: Vec<(TenantId, AssetRecord)>,
    uploads: BTreeMap<(TenantId, String), UploadRecord>,
    endpoints: Vec<EndpointRecord>,
    deliveries: Vec<DeliveryRecord>,
    /// The last number given to a file or a delivery.
    number: u64,
}

impl Desk {
    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn record(&mut self, tenant: &TenantId, entry: AssetEntry) {
        let same = |known: &AssetEntry| {
            known.digest == entry.digest
                && known.role == entry.role
                && known.run == entry.run
                && known.step == entry.step
                && known.name == entry.name
        };
        if !self.assets.iter().any(|(owner, known)| owner == tenant && same(&known.first)) {
            let number = self.next();
            self.assets.push((tenant.clone(), AssetRecord { number, first: entry }));
        }
    }

    /// Ends an upload; answers its parts that are parts of no other.
    fn end(&mut self, key: &(TenantId, String)) -> Option<Vec<Digest>> {
        let ended = self.uploads.remove(key)?;
        let mut parts: Vec<Digest> = ended.parts.iter().map(|part| part.digest).collect();
        parts.sort_unstable();
        parts.dedup();
        let is_used = |digest: &Digest| {
            self.uploads.values().flat_map(|other| &other.parts).any(|part| part.digest == *digest)
        };
        parts.retain(|digest| !is_used(digest));
        Some(parts)
    }

    fn known<'a>(
        &'a self,
        tenant: &'a TenantId,
        digest: Digest,
    ) -> impl Iterator<Item = &'a AssetRecord> {
        let own = self.assets.iter().filter(move |(owner, _)| owner == tenant);
        own.map(|(_, known)| known).filter(move |known| known.first.digest == digest)
    }
}

/// What a batch says of files, and whom it makes be told.
pub(crate) fn take(shared: &mut Shared, tenant: &TenantId, batch: &Batch, has_webhook: bool) {
    for entry in &batch.assets {
        shared.desk.record(tenant, entry.clone());
    }
    let began = batch.events.first().is_some_and(|event| event.seq == 1).then_some(STARTED);
    for topic in began.into_iter().chain(batch.status.and_then(topic_of)) {
        let wants = |endpoint: &&EndpointRecord| {
            endpoint.tenant == *tenant
                && endpoint.enabled
                && (endpoint.topics.is_empty() || endpoint.topics.iter().any(|own| own == topic))
        };
        let listed = shared.desk.endpoints.iter().filter(wants);
        let listed: Vec<_> = listed.map(|endpoint| Some(endpoint.id.clone())).collect();
        for endpoint in has_webhook.then_some(None).into_iter().chain(listed) {
            let delivery = DeliveryRecord {
                number: shared.desk.next(),
                tenant: tenant.clone(),
                run: batch.run.clone(),
                endpoint,
                topic: topic.to_owned(),
                state: TellState::Pending,
                attempts: 0,
                due_ms: batch.at_ms,
                last_status: 0,
                last_error: String::new(),
                created_ms: batch.at_ms,
            };
            shared.desk.deliveries.push(delivery);
        }
    }
}

impl MemoryRuns {
    /// What `act` answers, as a store would: later.
    fn at_desk<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut Shared) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T>> {
        Box::pin(async move { Ok(act(&mut self.shared())) })
    }
}

impl KeyStore for MemoryRuns {
    fn add_key(&self, key: KeyRecord) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let keys = &mut self.shared().desk.keys;
            if keys.contains_key(&key.id) {
                let message = format!("there is a key {} already", key.id);
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            keys.insert(key.id.clone(), key);
            Ok(())
        })
    }

    fn key(&self, id: String) -> BoxFuture<'_, Result<Option<KeyRecord>>> {
        self.at_desk(move |shared| shared.desk.keys.get(&id).cloned())
    }

    fn keys(&self, tenant: Option<TenantId>) -> BoxFuture<'_, Result<Vec<KeyRecord>>> {
        self.at_desk(move |shared| {
            let own = |key: &&KeyRecord| tenant.as_ref().is_none_or(|own| key.tenant == *own);
            let mut keys: Vec<_> = shared.desk.keys.values().filter(own).cloned().collect();
            keys.sort_by_key(|key| key.created_ms);
            keys
        })
    }

    fn has_keys(&self) -> BoxFuture<'_, Result<bool>> {
        self.at_desk(|shared| !shared.desk.keys.is_empty())
    }

    fn revoke_key(&self, id: String, at_ms: u64) -> BoxFuture<'_, Result<bool>> {
        self.at_desk(move |shared| {
            let key = shared.desk.keys.get_mut(&id);
            key.map(|key| key.revoked_ms.get_or_insert(at_ms)).is_some()
        })
    }

    fn key_used(&self, id: String, at_ms: u64) -> BoxFuture<'_, Result<()>> {
        self.at_desk(move |shared| {
            if let Some(key) = shared.desk.keys.get_mut(&id) {
                key.last_used_ms = Some(at_ms);
            }
        })
    }
}

impl Desk {
    /// What is kept of a workflow, newest first.
    fn versions(&self, tenant: &TenantId, name: &str) -> impl Iterator<Item = &WorkflowRecord> {
        let own = self.workflows.iter().rev();
        own.filter(move |(owner, kept)| owner == tenant && kept.name == name).map(|(_, kept)| kept)
    }
}

impl WorkflowStore for MemoryRuns {
    fn put_workflow(
        &self,
        tenant: TenantId,
        name: String,
        text: String,
        at_ms: u64,
    ) -> BoxFuture<'_, Result<u32>> {
        self.at_desk(move |shared| {
            let desk = &mut shared.desk;
            if let Some(newest) = desk.versions(&tenant, &name).next()
                && newest.text == text
            {
                return newest.version;
            }
            let version = desk.last_versions.entry((tenant.clone(), name.clone())).or_default();
            *version += 1;
            let kept = WorkflowRecord { name, version: *version, text, created_ms: at_ms };
            let version = kept.version;
            desk.workflows.push((tenant, kept));
            version
        })
    }

    fn workflow(
        &self,
        tenant: TenantId,
        name: String,
        version: Option<u32>,
    ) -> BoxFuture<'_, Result<Option<WorkflowRecord>>> {
        self.at_desk(move |shared| {
            let mut versions = shared.desk.versions(&tenant, &name);
            versions.find(|kept| version.is_none_or(|version| kept.version == version)).cloned()
        })
    }

    fn workflows(&self, tenant: TenantId) -> BoxFuture<'_, Result<Vec<WorkflowRecord>>> {
        self.at_desk(move |shared| {
            let own = shared.desk.workflows.iter().filter(|(owner, _)| *owner == tenant);
            let newest: BTreeMap<_, _> = own.map(|(_, kept)| (&kept.name, kept)).collect();
            newest.into_values().cloned().collect()
        })
    }

    fn workflow_versions(
        &self,
        tenant: TenantId,
        name: String,
    ) -> BoxFuture<'_, Result<Vec<WorkflowRecord>>> {
        self.at_desk(move |shared| shared.desk.versions(&tenant, &name).cloned().collect())
    }

    fn remove_workflow(&self, tenant: TenantId, name: String) -> BoxFuture<'_, Result<bool>> {
        self.at_desk(move |shared| {
            let before = shared.desk.workflows.len();
            shared.desk.workflows.retain(|(owner, kept)| *owner != tenant || kept.name != name);
            shared.desk.workflows.len() < before
        })
    }
}

impl AssetStore for MemoryRuns {
    fn record_assets(
        &self,
        tenant: TenantId,
        entries: Vec<AssetEntry>,
    ) -> BoxFuture<'_, Result<()>> {
        self.at_desk(move |shared| {
            entries.into_iter().for_each(|entry| shared.desk.record(&tenant, entry));
        })
    }

    fn asset(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> BoxFuture<'_, Result<Option<AssetRecord>>> {
        self.at_desk(move |shared| shared.desk.known(&tenant, digest).next().cloned())
    }

    fn assets(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<AssetRecord>>> {
        self.at_desk(move |shared| {
            let desk = &shared.desk;
            let is_first = |kept: &AssetRecord| {
                let mut known = desk.known(&tenant, kept.first.digest);
                known.next().is_some_and(|first| first.number == kept.number)
            };
            let own = desk.assets.iter().rev().filter(|(owner, _)| *owner == tenant);
            let below = |number: u64| before.is_none_or(|before| number < before);
            own.map(|(_, kept)| kept)
                .filter(|kept| below(kept.number) && is_first(kept))
                .take(limit as usize)
                .cloned()
                .collect()
        })
    }

    fn asset_origins(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> BoxFuture<'_, Result<Vec<AssetEntry>>> {
        self.at_desk(move |shared| {
            shared.desk.known(&tenant, digest).map(|kept| kept.first.clone()).collect()
        })
    }

    fn forget_asset(&self, tenant: TenantId, digest: Digest) -> BoxFuture<'_, Result<bool>> {
        self.at_desk(move |shared| {
            let before = shared.desk.assets.len();
            let other = |owner: &TenantId, kept: &AssetRecord| {
                *owner != tenant || kept.first.digest != digest
            };
            shared.desk.assets.retain(|(owner, kept)| other(owner, kept));
            shared.desk.assets.len() < before
        })
    }
}

impl UploadStore for MemoryRuns {
    fn begin_upload(&self, tenant: TenantId, upload: UploadRecord) -> BoxFuture<'_, Result<()>> {
        self.at_desk(move |shared| {
            shared.desk.uploads.insert((tenant, upload.id.clone()), upload);
        })
    }

    fn put_part(
        &self,
        tenant: TenantId,
        id: String,
        part: UploadPart,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let missing = Error::not_found(format!("there is no upload {id}"));
            let uploads = &mut self.shared().desk.uploads;
            let parts = &mut uploads.get_mut(&(tenant, id)).ok_or(missing)?.parts;
            parts.retain(|other| other.number != part.number);
            parts.push(part);
            parts.sort_by_key(|part| part.number);
            Ok(())
        })
    }

    fn upload(&self, tenant: TenantId, id: String) -> BoxFuture<'_, Result<Option<UploadRecord>>> {
        self.at_desk(move |shared| shared.desk.uploads.get(&(tenant, id)).cloned())
    }

    fn end_upload(
        &self,
        tenant: TenantId,
        id: String,
    ) -> BoxFuture<'_, Result<Option<Vec<Digest>>>> {
        self.at_desk(move |shared| shared.desk.end(&(tenant, id)))
    }

    fn end_expired_uploads(&self, now_ms: u64, limit: u32) -> BoxFuture<'_, Result<Expired>> {
        self.at_desk(move |shared| {
            let all = shared.desk.uploads.iter();
            let over = all.filter(|(_, upload)| upload.expires_ms <= now_ms);
            let over: Vec<_> = over.map(|(key, _)| key.clone()).take(limit as usize).collect();
            let mut expired = Expired { uploads: over.len(), parts: Vec::new() };
            for key in over {
                expired.parts.extend(shared.desk.end(&key).unwrap_or_default());
            }
            expired
        })
    }
}

impl WebhookStore for MemoryRuns {
    fn put_endpoint(&self, endpoint: EndpointRecord) -> BoxFuture<'_, Result<()>> {
        self.at_desk(move |shared| {
            let all = &mut shared.desk.endpoints;
            all.retain(|other| other.tenant != endpoint.tenant || other.id != endpoint.id);
            all.push(endpoint);
            all.sort_by_key(|endpoint| endpoint.created_ms);
        })
    }

    fn endpoints(&self, tenant: TenantId) -> BoxFuture<'_, Result<Vec<EndpointRecord>>> {
        self.at_desk(move |shared| {
            let all = shared.desk.endpoints.iter();
            all.filter(|endpoint| endpoint.tenant == tenant).cloned().collect()
        })
    }

    fn remove_endpoint(&self, tenant: TenantId, id: String) -> BoxFuture<'_, Result<bool>> {
        self.at_desk(move |shared| {
            let before = shared.desk.endpoints.len();
            shared.desk.endpoints.retain(|other| other.tenant != tenant || other.id != id);
            shared.desk.endpoints.len() < before
        })
    }

    fn due_deliveries(
        &self,
        now_ms: u64,
        until_ms: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>> {
        self.at_desk(move |shared| {
            let all = shared.desk.deliveries.iter_mut();
            let due = all.filter(|it| it.state == TellState::Pending && it.due_ms <= now_ms);
            due.take(limit as usize)
                .map(|delivery| {
                    delivery.due_ms = until_ms;
                    delivery.clone()
                })
                .collect()
        })
    }

    fn told(&self, number: u64, told: Told) -> BoxFuture<'_, Result<()>> {
        self.at_desk(move |shared| {
            let mut all = shared.desk.deliveries.iter_mut();
            if let Some(delivery) = all.find(|delivery| delivery.number == number) {
                delivery.attempts += 1;
                (delivery.state, delivery.due_ms) = (told.state, told.due_ms);
                (delivery.last_status, delivery.last_error) = (told.status, told.error);
            }
        })
    }

    fn deliveries(&self, filter: DeliveryFilter) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>> {
        self.at_desk(move |shared| {
            let wanted = |it: &&DeliveryRecord| {
                it.tenant == filter.tenant
                    && filter.run.as_ref().is_none_or(|run| it.run == *run)
                    && (filter.endpoint.is_none() || it.endpoint == filter.endpoint)
                    && filter.state.is_none_or(|state| it.state == state)
                    && filter.before.is_none_or(|before| it.number < before)
            };
            let newest_first = shared.desk.deliveries.iter().rev();
            newest_first.filter(wanted).take(filter.limit as usize).cloned().collect()
        })
    }

    fn pending_deliveries(&self) -> BoxFuture<'_, Result<u64>> {
        self.at_desk(|shared| {
            let all = shared.desk.deliveries.iter();
            all.filter(|delivery| delivery.state == TellState::Pending).count() as u64
        })
    }

    fn redeliver(&self, tenant: TenantId, number: u64, now_ms: u64) -> BoxFuture<'_, Result<bool>> {
        self.at_desk(move |shared| {
            let mut all = shared.desk.deliveries.iter_mut();
            let found = all.find(|it| it.number == number && it.tenant == tenant);
            found
                .map(|delivery| {
                    delivery.state = TellState::Pending;
                    (delivery.due_ms, delivery.attempts) = (now_ms, 0);
                })
                .is_some()
        })
    }
}

/// What the entries of one run add up to: charges, and intents that nothing has come of yet.
fn spent(ledger: &[LedgerEntry], from_ms: u64) -> Money {
    let is_open = |it: &LedgerEntry| {
        let closes = |end: &LedgerEntry| {
            end.kind != LedgerKind::Intent && end.step == it.step && end.attempt == it.attempt
        };
        it.kind == LedgerKind::Intent && !ledger.iter().any(closes)
    };
    let counts =
        |it: &&LedgerEntry| it.at_ms >= from_ms && (it.kind == LedgerKind::Charge || is_open(it));
    ledger.iter().filter(counts).map(|entry| entry.amount).sum()
}

impl UsageStore for MemoryRuns {
    fn usage(
        &self,
        tenant: TenantId,
        from_ms: u64,
        to_ms: u64,
    ) -> BoxFuture<'_, Result<Vec<UsageLine>>> {
        self.at_desk(move |shared| {
            let mut lines = BTreeMap::new();
            let charged = |entry: &&LedgerEntry| {
                entry.kind == LedgerKind::Charge && (from_ms..to_ms).contains(&entry.at_ms)
            };
            for entry in shared.runs_of(&tenant).flat_map(|(_, ledger)| ledger).filter(charged) {
                let (day, offer) = (entry.at_ms / DAY_MS, entry.offer.clone());
                let nothing =
                    UsageLine { day, offer: offer.clone(), charges: 0, amount: Money::ZERO };
                let line = lines.entry((day, offer)).or_insert(nothing);
                line.charges += 1;
                line.amount += entry.amount;
            }
            lines.into_values().collect()
        })
    }

    fn spent_since(&self, tenant: TenantId, from_ms: u64) -> BoxFuture<'_, Result<Money>> {
        self.at_desk(move |shared| {
            shared.runs_of(&tenant).map(|(_, ledger)| spent(ledger, from_ms)).sum()
        })
    }

    fn spent_by(
        &self,
        tenant: TenantId,
        payer: String,
        from_ms: u64,
    ) -> BoxFuture<'_, Result<Money>> {
        self.at_desk(move |shared| {
            let own = shared.runs_of(&tenant).filter(|(run, _)| run.payer == payer);
            own.map(|(_, ledger)| spent(ledger, from_ms)).sum()
        })
    }
}
