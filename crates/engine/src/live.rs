//! What an engine holds between calls: the runs under way here, plans run lately, places, health, the
//! catalogue as it is now.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use impasto_catalog::Catalog;
use impasto_domain::{Error, ErrorKind, ProviderId, Result, RunId, TenantId};
use impasto_router::Health;
use impasto_workflow::{Event, Plan, State};
use tokio::sync::broadcast;

use crate::bench::Addresses;
use crate::engine::{Left, from_text, to_text};
use crate::figures::Counter;
use crate::health::HealthWatch;
use crate::hints::Callbacks;
use crate::places::Places;
use crate::prepare::Imported;
use crate::runner::{Inbox, Message};
use crate::spending::Spending;
use crate::summary::RunSummary;
use crate::updates::{Hub, LogLine};
use crate::{Driver, EngineOptions, Parts};

/// Endings that a listener may be behind.
const ENDINGS: usize = 4_096;

/// What an engine holds.
pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) options: Arc<EngineOptions>,
    pub(crate) places: Places,
    pub(crate) watch: HealthWatch,
    pub(crate) counter: Counter,
    pub(crate) spending: Spending,
    pub(crate) imported: Arc<Imported>,
    cores: u32,
    catalog: RwLock<Arc<Catalog>>,
    plans: Mutex<Plans>,
    live: Mutex<LiveRuns>,
    draining: AtomicBool,
    endings: broadcast::Sender<Left>,
    /// Where others fetch files, once somebody listens.
    pub(crate) addresses: OnceLock<Addresses>,
    /// Where others hint that something happened to a job, once somebody listens.
    pub(crate) callbacks: OnceLock<Callbacks>,
}

/// Plans that were run lately.
#[derive(Default)]
struct Plans {
    known: VecDeque<KnownPlan>,
    /// Plans of one step, by task and policy.
    single: HashMap<String, Arc<Plan>>,
}

/// A plan that was run lately: what is worked out of it is shared by all its runs.
#[derive(Clone)]
pub(crate) struct KnownPlan {
    pub(crate) plan: Arc<Plan>,
    /// A run to which nothing has happened.
    pub(crate) blank: State,
    pub(crate) text: Arc<str>,
}

/// A run that this process works on.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) tenant: TenantId,
    pub(crate) inbox: Inbox,
    pub(crate) hub: Arc<Hub>,
}

impl Live {
    /// Whether no attempt of it has started yet.
    pub(crate) fn is_queued(&self) -> bool {
        self.hub.started_ms().is_none()
    }
}

#[derive(Default)]
struct LiveRuns {
    runs: HashMap<RunId, Live>,
    /// Those that are about to leave while somebody goes on with their run already.
    leaving: Vec<Live>,
    by_tenant: HashMap<TenantId, usize>,
    /// Whether somebody passes on the wishes of other processes.
    is_watched: bool,
    /// Runs that have ended, the newest first.
    ended: VecDeque<EndedRun>,
}

impl LiveRuns {
    /// Takes out the one with this inbox.
    fn take(&mut self, run: &RunId, inbox: &Inbox) -> Option<Live> {
        if self.runs.get(run).is_some_and(|live| live.inbox.is(inbox)) {
            return self.runs.remove(run);
        }
        let at = self.leaving.iter().position(|live| live.inbox.is(inbox))?;
        Some(self.leaving.swap_remove(at))
    }
}

/// What is still known of a run that has ended here.
struct EndedRun {
    tenant: TenantId,
    run: RunId,
    logs: Vec<LogLine>,
    /// Where it stands, if that can never change.
    summary: Option<Box<RunSummary>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(crate) fn new(parts: Parts, options: EngineOptions) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let catalog = Arc::clone(&parts.catalog);
        Self {
            options: Arc::new(options),
            places: Places::new(limits(&catalog, cores)),
            watch: HealthWatch::new(fixed_health(&catalog, &parts.drivers, cores)),
            counter: Counter::default(),
            spending: Spending::default(),
            imported: Arc::default(),
            cores,
            catalog: RwLock::new(catalog),
            plans: Mutex::default(),
            live: Mutex::default(),
            draining: AtomicBool::new(false),
            endings: broadcast::Sender::new(ENDINGS),
            addresses: OnceLock::new(),
            callbacks: OnceLock::new(),
            parts,
        }
    }

    /// The catalogue as it is now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another catalogue from now on; runs under way keep theirs.
    pub(crate) fn reload(&self, catalog: Arc<Catalog>) {
        self.places.set_limits(limits(&catalog, self.cores));
        self.watch.set_fixed(fixed_health(&catalog, &self.parts.drivers, self.cores));
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
        lock(&self.plans).single.clear();
    }

    /// What is known of the providers now.
    pub(crate) fn health(&self) -> Arc<Health> {
        self.watch.now(&self.places, self.parts.clock.now_ms(), self.options.health_age_ms)
    }

    /// What speaks to a provider.
    pub(crate) fn driver(
        &self,
        catalog: &Catalog,
        provider: &ProviderId,
    ) -> Result<Arc<dyn Driver>> {
        let dialect = &catalog.provider(provider)?.dialect;
        self.parts.drivers.get(dialect).cloned().ok_or_else(|| {
            Error::unavailable(format!(
                "this program does not speak the dialect '{dialect}' of {provider}"
            ))
        })
    }

    /// What is known of a plan; it is worked out if it was not run lately.
    pub(crate) fn known_plan(&self, plan: &Arc<Plan>) -> Result<KnownPlan> {
        let find = |plans: &Plans| {
            plans.known.iter().find(|known| Arc::ptr_eq(&known.plan, plan)).cloned()
        };
        if let Some(known) = find(&lock(&self.plans)) {
            return Ok(known);
        }
        Ok(self.know(Arc::clone(plan), to_text(&**plan)?.into()))
    }

    /// What is known of a plan that was stored.
    pub(crate) fn stored_plan(&self, text: &str) -> Result<KnownPlan> {
        let same = |known: &&KnownPlan| *known.text == *text;
        let known = lock(&self.plans).known.iter().find(same).cloned();
        match known {
            Some(known) => Ok(known),
            None => Ok(self.know(Arc::new(from_text(text)?), text.into())),
        }
    }

    fn know(&self, plan: Arc<Plan>, text: Arc<str>) -> KnownPlan {
        let blank = State::new(Arc::clone(&plan), 0);
        let known = KnownPlan { plan, blank, text };
        let mut plans = lock(&self.plans);
        plans.known.push_front(known.clone());
        plans.known.truncate(self.options.known_plans);
        known
    }

    /// The plan under a name, made by `make` if it was not run lately.
    pub(crate) fn single_plan(
        &self,
        name: String,
        make: impl FnOnce() -> Result<Plan>,
    ) -> Result<Arc<Plan>> {
        if let Some(plan) = lock(&self.plans).single.get(&name) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(make()?);
        let mut plans = lock(&self.plans);
        if plans.single.len() >= self.options.known_plans {
            plans.single.clear();
        }
        plans.single.insert(name, Arc::clone(&plan));
        Ok(plan)
    }

    /// Whether one more run of this tenant may begin or wait.
    pub(crate) fn check_room(&self, tenant: &TenantId) -> Result<()> {
        if self.is_draining() {
            let message = "this server is shutting down and takes no new runs";
            return Err(Error::unavailable(message).retry_after(self.options.come_again_ms));
        }
        let live = lock(&self.live);
        let own = live.by_tenant.get(tenant).copied().unwrap_or_default();
        let (count, most, whose) = match live.runs.len() >= self.options.runs_max {
            true => (live.runs.len(), self.options.runs_max, ""),
            false => (own, self.options.runs_per_tenant_max, " of yours"),
        };
        if count < most {
            return Ok(());
        }
        let message = format!("{count} runs{whose} are under way or waiting, the most is {most}");
        Err(Error::new(ErrorKind::RateLimited, message)
            .retry_after(self.options.come_again_ms)
            .hint("wait for some of them to end"))
    }

    pub(crate) fn live(&self, run: &RunId) -> Option<Live> {
        lock(&self.live).runs.get(run).cloned()
    }

    /// How many runs are under way or wait here.
    pub(crate) fn live_count(&self) -> usize {
        lock(&self.live).runs.len()
    }

    pub(crate) fn queued_count(&self) -> usize {
        let live = lock(&self.live);
        live.runs.values().filter(|live| live.is_queued()).count()
    }

    /// A run begins here; answers whether somebody has to begin to pass on the wishes of others.
    pub(crate) fn enter(&self, run: RunId, live: Live) -> bool {
        let mut all = lock(&self.live);
        *all.by_tenant.entry(live.tenant.clone()).or_default() += 1;
        let before = all.runs.insert(run, live);
        all.leaving.extend(before);
        !std::mem::replace(&mut all.is_watched, true)
    }

    /// A run is worked on here no more; unless somebody goes on with it already, who has another inbox.
    pub(crate) fn leave(&self, run: &RunId, inbox: &Inbox) {
        self.places.forget(run, inbox);
        let mut all = lock(&self.live);
        let Some(live) = all.take(run, inbox) else { return };
        // Nobody may be listening.
        let _unheard = self.endings.send(Left { tenant: live.tenant.clone(), run: run.clone() });
        if let Some(count) = all.by_tenant.get_mut(&live.tenant) {
            *count -= 1;
            if *count == 0 {
                all.by_tenant.remove(&live.tenant);
            }
        }
    }

    /// Keeps what is asked for most after a run has ended.
    pub(crate) fn note_ended(
        &self,
        (tenant, run): (&TenantId, &RunId),
        logs: Vec<LogLine>,
        summary: Option<RunSummary>,
    ) {
        if logs.is_empty() && summary.is_none() {
            return;
        }
        let (tenant, run) = (tenant.clone(), run.clone());
        let mut all = lock(&self.live);
        all.ended.push_front(EndedRun { tenant, run, logs, summary: summary.map(Box::new) });
        all.ended.truncate(self.options.ended_known);
    }

    /// The log of a run that ended here not long ago.
    pub(crate) fn log_of_ended(&self, run: &RunId) -> Vec<LogLine> {
        let all = lock(&self.live);
        let found = all.ended.iter().find(|ended| ended.run == *run);
        found.map(|ended| ended.logs.clone()).unwrap_or_default()
    }

    /// Where a run stands that ended here not long ago, for good.
    pub(crate) fn summary_of_ended(&self, tenant: &TenantId, run: &RunId) -> Option<RunSummary> {
        let all = lock(&self.live);
        let found = all.ended.iter().find(|ended| ended.run == *run && ended.tenant == *tenant)?;
        found.summary.as_deref().cloned()
    }

    pub(crate) fn endings(&self) -> broadcast::Receiver<Left> {
        self.endings.subscribe()
    }

    /// From now on no run begins here.
    pub(crate) fn begin_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Lets go of every run of which no attempt has started, and answers how many those are.
    pub(crate) fn let_go_of_waiting(&self) -> usize {
        let live = lock(&self.live);
        let waiting = live.runs.values().filter(|live| live.is_queued());
        waiting.map(|live| live.inbox.send(Message::LetGo)).count()
    }

    /// Lets go of every run under way: whoever starts next goes on with them.
    pub(crate) fn let_go(&self) {
        for live in lock(&self.live).runs.values() {
            live.inbox.send(Message::LetGo);
        }
    }

    /// Passes on the wishes of other processes, as long as a run is under way here.
    pub(crate) async fn watch_for_cancels(self: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_millis(self.options.cancel_watch_ms.max(10))).await;
            let asked = self.parts.runs.cancel_requests().await.unwrap_or_default();
            for live in asked.iter().filter_map(|run| self.live(run)) {
                live.inbox.send(Message::Event(Event::CancelRequested));
            }
            let mut all = lock(&self.live);
            if all.runs.is_empty() {
                all.is_watched = false;
                return;
            }
        }
    }
}

/// How many calls each provider does at once.
fn limits(catalog: &Catalog, cores: u32) -> Vec<(ProviderId, u32)> {
    let providers = catalog.providers.values();
    providers.map(|provider| (provider.id.clone(), provider.concurrency.slots(cores))).collect()
}

/// Drivers by the dialect that they speak.
type Drivers = BTreeMap<String, Arc<dyn Driver>>;

fn fixed_health(catalog: &Catalog, drivers: &Drivers, cores: u32) -> Health {
    let providers = BTreeMap::new();
    let unusable = catalog.providers.values().filter_map(|provider| {
        let reason = match drivers.get(&provider.dialect) {
            Some(driver) => driver.unusable(provider)?,
            None => format!("there is no driver for its dialect `{}` yet", provider.dialect),
        };
        Some((provider.id.clone(), reason))
    });
    let unusable = unusable.collect();
    Health { missing_programs: missing_programs(catalog), unusable, cores, providers }
}

/// Programs that some offer needs and that are not on the search path.
fn missing_programs(catalog: &Catalog) -> BTreeSet<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let there = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let needed = catalog.programs().into_iter();
    needed.filter(|program| !there(program)).map(str::to_owned).collect()
}
