//! The engine: what can be asked of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use impasto_domain::{
    AssetRef, Error, ErrorKind, InstanceKey, Policy, ProviderId, Result, RunId, TenantId, Values,
};
use impasto_router::Health;
use impasto_store::{Lease, NewRun, RunFilter, RunRecord, StoredRun};
use impasto_workflow::{Event, Outcome, Plan, State, apply};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::bench::{EngineBench, Listener, ProgressFn, Stop};
use crate::identity::workflow_seed;
use crate::planning::{PlanReport, plan_report};
use crate::report::{RunReport, run_report};
use crate::runner::{Inbox, Message, Runner};
use crate::updates::{Hub, Updates, read_event};
use crate::{Driver, EngineOptions, Parts, Request, Source};

/// Runs workflows. A clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) options: Arc<EngineOptions>,
    pub(crate) health: Health,
    places: BTreeMap<ProviderId, Arc<Semaphore>>,
    known_plans: Mutex<VecDeque<KnownPlan>>,
    live: Mutex<HashMap<RunId, Live>>,
}

/// A plan that was run lately: what is worked out of it is shared by all its runs.
#[derive(Clone)]
struct KnownPlan {
    plan: Arc<Plan>,
    /// A run to which nothing has happened.
    blank: State,
    text: Arc<str>,
}

/// A run that this process works on.
#[derive(Clone)]
struct Live {
    inbox: Inbox,
    hub: Arc<Hub>,
}

/// What a run was asked for, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRequest {
    input: Values,
    no_cache: bool,
}

impl Inner {
    /// The places under the limit of a provider.
    pub(crate) fn places(&self, provider: &ProviderId) -> Arc<Semaphore> {
        let limit = self.options.provider_concurrency as usize;
        self.places.get(provider).cloned().unwrap_or_else(|| Arc::new(Semaphore::new(limit.max(1))))
    }

    /// What speaks to a provider.
    pub(crate) fn driver(&self, provider: &ProviderId) -> Result<Arc<dyn Driver>> {
        let dialect = &self.parts.catalog.provider(provider)?.dialect;
        self.parts.drivers.get(dialect).cloned().ok_or_else(|| {
            Error::unavailable(format!(
                "this program does not speak the dialect '{dialect}' of {provider}"
            ))
        })
    }

    /// What is known of a plan; it is worked out if it was not run lately.
    fn known_plan(&self, plan: &Arc<Plan>) -> Result<KnownPlan> {
        let lock = || self.known_plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().iter().find(|known| Arc::ptr_eq(&known.plan, plan)) {
            return Ok(known.clone());
        }
        let blank = State::new(Arc::clone(plan), 0);
        let known = KnownPlan { plan: Arc::clone(plan), blank, text: to_text(&**plan)?.into() };
        let mut all = lock();
        all.push_front(known.clone());
        all.truncate(self.options.known_plans);
        Ok(known)
    }

    fn live(&self, run: &RunId) -> Option<Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }
}

/// A run that this process works on.
pub struct RunHandle {
    /// Its id.
    pub id: RunId,
    tenant: TenantId,
    inner: Arc<Inner>,
    hub: Option<Arc<Hub>>,
    begun_at: u64,
    ending: JoinHandle<Result<Outcome>>,
}

impl RunHandle {
    /// What happens in the run since this handle was given out; once.
    pub fn updates(&mut self) -> Option<Updates> {
        let live = self.hub.take()?.listen(self.inner.options.update_backlog);
        let runs = Arc::clone(&self.inner.parts.runs);
        let updates = Updates::new(runs, self.tenant.clone(), self.id.clone(), live);
        Some(updates.after(self.begun_at))
    }

    /// How the run ended.
    ///
    /// # Errors
    /// What happened could not be written down; what was written before stands.
    pub async fn wait(self) -> Result<Outcome> {
        self.ending
            .await
            .map_err(|error| Error::internal(format!("the run's task ended: {error}")))?
    }
}

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: Parts, options: EngineOptions) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let health =
            Health { missing_programs: missing_programs(&parts), cores, ..Health::default() };
        let places = parts.catalog.providers.values().map(|provider| {
            let slots = provider.concurrency.slots(cores) as usize;
            (provider.id.clone(), Arc::new(Semaphore::new(slots)))
        });
        let places = places.collect();
        let options = Arc::new(options);
        let (known_plans, live) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { parts, options, health, places, known_plans, live }) }
    }

    /// Begins a run. It is stored before this answers.
    ///
    /// # Errors
    /// The input does not fit (all that is wrong with it, in one message), or the store refuses.
    pub async fn submit(&self, request: Request) -> Result<RunHandle> {
        let plan = self.plan_of(&request)?;
        let input = admit(&plan, request.input)?;
        let seed = match (request.seed, &request.source) {
            (Some(seed), _) => seed,
            (None, Source::Workflow(plan)) => workflow_seed(&plan.name),
            (None, Source::Task(_)) => drawn()?,
        };
        let known = self.inner.known_plan(&plan)?;
        let stored = StoredRequest { input: input.clone(), no_cache: request.no_cache };
        let new = NewRun {
            id: new_id(self.inner.parts.clock.now_ms())?,
            tenant: request.tenant.clone(),
            workflow: plan.name.clone(),
            plan: known.text.to_string(),
            request: to_text(&stored)?,
            seed,
            catalog_revision: self.inner.parts.catalog.revision.clone(),
            created_ms: self.inner.parts.clock.now_ms(),
        };
        let lease = self.create(new).await?;
        let state = known.blank.another(seed);
        let begun =
            Begun { tenant: request.tenant, lease, state, seq: 0, no_cache: request.no_cache };
        Ok(self.begin(begun, vec![Event::Started { input }], false))
    }

    /// Creates the run; another id is drawn where that one is taken.
    async fn create(&self, mut new: NewRun) -> Result<Lease> {
        for _ in 1..ID_DRAWS {
            match self.inner.parts.runs.create(new.clone()).await {
                Err(error) if error.kind == ErrorKind::Conflict => {
                    new.id = new_id(new.created_ms)?;
                }
                answer => return answer,
            }
        }
        self.inner.parts.runs.create(new).await
    }

    /// Goes on with a run that was interrupted, killed, failed or parked.
    ///
    /// # Errors
    /// There is no such run, somebody works on it, or it has ended for good.
    pub async fn resume(&self, tenant: TenantId, run: RunId) -> Result<RunHandle> {
        self.take_over(tenant, run, Event::Resumed).await
    }

    /// Decides about an attempt in doubt of a parked run, and goes on with it: another attempt is made,
    /// or the step fails.
    ///
    /// # Errors
    /// As for [`Engine::resume`].
    pub async fn settle(
        &self,
        tenant: TenantId,
        run: RunId,
        key: InstanceKey,
        again: bool,
    ) -> Result<RunHandle> {
        self.take_over(tenant, run, Event::Settled { key, again }).await
    }

    async fn take_over(&self, tenant: TenantId, run: RunId, event: Event) -> Result<RunHandle> {
        let known = self.inner.parts.runs.load(tenant.clone(), run.clone(), 0).await?;
        let status = known.record.status;
        if status.is_final() {
            let message = format!("run {run} has ended: {}", status.as_str());
            return Err(Error::new(ErrorKind::Conflict, message).hint("start a new run"));
        }
        let lease = self.inner.parts.runs.acquire(tenant.clone(), run.clone()).await?;
        // Read again: the owner before may have written until the lease changed hands.
        let stored = self.inner.parts.runs.load(tenant.clone(), run, 0).await?;
        let request: StoredRequest = from_text(&stored.record.run.request)?;
        let (state, seq) = fold(&stored)?;
        let first = match seq {
            0 => vec![Event::Started { input: request.input }],
            _ => vec![event],
        };
        let begun = Begun { tenant, lease, state, seq, no_cache: request.no_cache };
        Ok(self.begin(begun, first, seq > 0))
    }

    fn begin(&self, begun: Begun, first: Vec<Event>, outstanding: bool) -> RunHandle {
        let (sender, messages) = mpsc::unbounded_channel();
        let run = begun.lease.run.clone();
        let (inbox, hub) = (Inbox(sender), Arc::new(Hub::new(begun.seq)));
        let (tenant, told) = (begun.tenant.clone(), Some(Arc::clone(&hub)));
        let runner = Runner {
            inner: Arc::clone(&self.inner),
            tenant: begun.tenant,
            run: run.clone(),
            lease: begun.lease,
            state: begun.state,
            hub: Arc::clone(&hub),
            inbox: inbox.clone(),
            messages,
            no_cache: begun.no_cache,
            stops: HashMap::new(),
            seq: begun.seq,
            cancelling: false,
            interrupting: false,
        };
        let mut all = self.inner.live.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            tokio::spawn(watch_for_cancels(Arc::clone(&self.inner)));
        }
        all.insert(run.clone(), Live { inbox, hub });
        drop(all);
        let (inner, id) = (Arc::clone(&self.inner), run.clone());
        let working = runner.work(first, outstanding);
        let ending = tokio::spawn(async move {
            let ended = working.await;
            inner.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            ended
        });
        RunHandle {
            id: run,
            tenant,
            inner: Arc::clone(&self.inner),
            hub: told,
            begun_at: begun.seq,
            ending,
        }
    }

    /// Asks a run of this process to stop for now; it can be resumed.
    pub fn interrupt(&self, run: &RunId) {
        if let Some(live) = self.inner.live(run) {
            live.inbox.send(Message::Event(Event::Interrupted));
        }
    }

    /// Ends a run for good, whoever works on it. Answers when the wish is stored, or when it is done
    /// if nobody works on it.
    ///
    /// # Errors
    /// There is no such run, or it has ended.
    pub async fn cancel(&self, tenant: TenantId, run: RunId) -> Result<()> {
        let status = self.record(tenant.clone(), run.clone()).await?.record.status;
        if status.is_final() {
            let message = format!("run {run} has ended: {}", status.as_str());
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let held = self.inner.parts.runs.request_cancel(tenant.clone(), run.clone()).await?;
        if held {
            return Ok(());
        }
        self.take_over(tenant, run, Event::CancelRequested).await?.wait().await.map(drop)
    }

    /// What happens in a run, from its first event on, whoever works on it.
    pub fn updates(&self, tenant: TenantId, run: RunId) -> Updates {
        let live = self
            .inner
            .live(&run)
            .and_then(|live| live.hub.listen(self.inner.options.update_backlog));
        Updates::new(Arc::clone(&self.inner.parts.runs), tenant, run, live)
    }

    /// Runs that pass the filter, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRecord>> {
        self.inner.parts.runs.list(filter).await
    }

    /// Everything about a run.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn report(&self, tenant: TenantId, run: RunId) -> Result<RunReport> {
        let stored = self.record(tenant, run).await?;
        let (state, _) = fold(&stored)?;
        Ok(run_report(&stored, &state))
    }

    /// The plan that a run follows.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn run_plan(&self, tenant: TenantId, run: RunId) -> Result<Plan> {
        from_text(&self.record(tenant, run).await?.record.run.plan)
    }

    async fn record(&self, tenant: TenantId, run: RunId) -> Result<StoredRun> {
        self.inner.parts.runs.load(tenant, run, 0).await
    }

    /// What a request would do: nothing is executed and nothing is paid.
    ///
    /// # Errors
    /// The input that is given does not fit. Input that is missing is no error here.
    pub fn plan(&self, request: &Request) -> Result<PlanReport> {
        let plan = self.plan_of(request)?;
        plan_report(&plan, &request.input, &self.inner.parts.catalog, &self.inner.health)
    }

    /// Takes a foreign file in as an asset. It blocks.
    ///
    /// # Errors
    /// The file cannot be read, or is none that can be used.
    pub fn import(&self, path: &Path) -> Result<AssetRef> {
        self.inner.parts.importer.import(path, &self.quiet_bench(Listener::Nobody))
    }

    /// A file that holds the asset's bytes; a video that has been described is rendered. It blocks.
    ///
    /// # Errors
    /// The asset is not there, or cannot be rendered.
    pub fn bytes(&self, asset: &AssetRef, progress: ProgressFn) -> Result<Arc<[u8]>> {
        let bench = self.quiet_bench(Listener::Function(progress));
        let asset = match asset.is_timeline() {
            true => &(self.inner.parts.render)(asset, &bench)?,
            false => asset,
        };
        self.inner.parts.blobs.get(&asset.digest)
    }

    /// The file in which the store keeps an asset, if it keeps files.
    pub fn stored_file(&self, asset: &AssetRef) -> Option<PathBuf> {
        self.inner.parts.blobs.path(&asset.digest)
    }

    fn quiet_bench(&self, listener: Listener) -> EngineBench {
        EngineBench::new(Arc::clone(&self.inner.parts.blobs), Arc::new(Stop::default()), listener)
    }

    /// The plan of a request, with what it wants of every route.
    fn plan_of(&self, request: &Request) -> Result<Arc<Plan>> {
        Ok(match &request.source {
            Source::Workflow(plan) if request.policy == Policy::default() => Arc::clone(plan),
            Source::Workflow(plan) => {
                let mut plan = Plan::clone(plan);
                plan.policy = filled(request.policy.clone(), &plan.policy);
                Arc::new(plan)
            }
            Source::Task(task) => {
                let task = self.inner.parts.catalog.task(task)?;
                Arc::new(Plan::single(task, request.policy.clone()))
            }
        })
    }
}

/// How many ids are drawn for a run before giving up.
const ID_DRAWS: u32 = 8;

/// An id that sorts by time, to the second, and is hardly ever drawn twice.
fn new_id(now_ms: u64) -> Result<RunId> {
    Ok(RunId::new(format!("{:x}{:06x}", now_ms / 1000, drawn()? & 0xff_ffff)))
}

/// A run that is about to begin or to go on.
struct Begun {
    tenant: TenantId,
    lease: Lease,
    state: State,
    seq: u64,
    no_cache: bool,
}

/// The first policy, its gaps filled from the second.
fn filled(first: Policy, second: &Policy) -> Policy {
    let second = second.clone();
    let or = |first: Vec<_>, second| if first.is_empty() { second } else { first };
    Policy {
        tier: first.tier.or(second.tier),
        max_cost: first.max_cost.or(second.max_cost),
        max_latency_ms: first.max_latency_ms.or(second.max_latency_ms),
        min_tier: first.min_tier.or(second.min_tier),
        licences: or(first.licences, second.licences),
        models: if first.models.is_empty() { second.models } else { first.models },
        providers: if first.providers.is_empty() { second.providers } else { first.providers },
        in_doubt: first.in_doubt.or(second.in_doubt),
    }
}

fn admit(plan: &Plan, input: Values) -> Result<Values> {
    plan.admit(input).map_err(|problems| {
        Error::invalid(problems.join("; ")).hint(format!("`{}` says what it takes", plan.name))
    })
}

/// The state that the events of a run make, and the number of the last one.
fn fold(stored: &StoredRun) -> Result<(State, u64)> {
    let run = &stored.record.run;
    let mut state = State::new(Arc::new(from_text(&run.plan)?), run.seed);
    for event in &stored.events {
        apply(&mut state, &read_event(&run.id, event)?);
    }
    Ok((state, stored.events.last().map_or(0, |event| event.seq)))
}

/// Passes on the wishes of other processes, as long as a run is under way here.
async fn watch_for_cancels(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(Duration::from_millis(inner.options.cancel_watch_ms.max(10))).await;
        let asked = inner.parts.runs.cancel_requests().await.unwrap_or_default();
        for live in asked.iter().filter_map(|run| inner.live(run)) {
            live.inbox.send(Message::Event(Event::CancelRequested));
        }
        if inner.live.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
    }
}

/// Programs that some offer needs and that are not on the search path.
fn missing_programs(parts: &Parts) -> BTreeSet<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let there = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let needed = parts.catalog.programs().into_iter();
    needed.filter(|program| !there(program)).map(str::to_owned).collect()
}

fn drawn() -> Result<u64> {
    getrandom::u64()
        .map(|number| number >> 33)
        .map_err(|error| Error::internal(format!("this machine gives no random numbers: {error}")))
}

fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::internal(format!("it cannot be written: {error}")))
}

fn from_text<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::internal(format!("what is stored of the run cannot be read: {error}"))
            .hint("it was written by another version of this program; use that one")
    })
}
