//! The engine: what can be asked of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use impasto_catalog::{Catalog, MaskForm};
use impasto_domain::{
    AssetRef, Error, ErrorKind, InstanceKey, Policy, ProviderId, Result, RunId, TaskId, TenantId,
    Values,
};
use impasto_store::{
    Created, DeliveryState, FIRST_EPOCH, Lease, NewRun, RunFilter, RunRecord, RunStatus, StoredRun,
};
use impasto_workflow::{Event, Outcome, Plan, State, Status, apply};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use crate::bench::{Addresses, EngineBench, Listener, ProgressFn, Stop};
use crate::figures::EngineFigures;
use crate::hints::{AttemptName, Callbacks};
use crate::identity::{drawn, new_id, workflow_seed};
use crate::live::{Inner, Live};
use crate::planning::{PlanReport, plan_report};
use crate::report::{RunReport, run_report};
use crate::request::Lane;
use crate::runner::{Inbox, Message, Opening, Runner, Standing};
use crate::summary::{RunSummary, asks_of, first_start_ms, run_summary};
use crate::updates::{Head, Hub, LiveUpdates, Updates, read_event};
use crate::{EngineOptions, Parts, Request, Source};

/// Runs workflows. A clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What a run was asked for, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRequest {
    input: Values,
    no_cache: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<(String, Option<u32>)>,
    #[serde(default)]
    wants_news: bool,
    /// [`crate::deadline`] reads it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_by_ms: Option<u64>,
}

impl StoredRequest {
    fn lane(&self, tenant: &TenantId) -> Arc<Lane> {
        let (id, limit) = self.lane.clone().unwrap_or((tenant.as_str().to_owned(), None));
        Arc::new(Lane { id: id.into(), limit })
    }
}

/// What a person says to a step that waits for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The step instance.
    pub key: InstanceKey,
    /// Whether it may go on; otherwise it fails.
    pub approved: bool,
    /// What else there is to say.
    pub note: String,
}

/// A run that was accepted.
pub struct Submitted {
    /// Its id.
    pub run: RunId,
    /// The run as this process works on it; absent if the same wish was accepted before.
    pub handle: Option<RunHandle>,
}

/// A run that this process works on no more: it ended, or stopped for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whose run it is.
    pub tenant: TenantId,
    /// Its id.
    pub run: RunId,
}

/// A run that this process works on.
pub struct RunHandle {
    /// Its id.
    pub id: RunId,
    pub(crate) tenant: TenantId,
    inner: Arc<Inner>,
    hub: Option<Arc<Hub>>,
    /// What is told from the very beginning, where somebody will listen to what is told live only.
    live: Option<LiveUpdates>,
    begun_at: u64,
    pub(crate) ending: JoinHandle<Result<Outcome>>,
}

impl RunHandle {
    /// What happens in the run since this handle was given out; once.
    pub fn updates(&mut self) -> Option<Updates> {
        let (hub, heard) = (self.hub.take()?, self.live.take());
        let listen = || LiveUpdates::listen(hub, self.inner.options.update_backlog);
        let live = heard.or_else(listen);
        let runs = Arc::clone(&self.inner.parts.runs);
        let updates = Updates::new(runs, self.tenant.clone(), self.id.clone(), live);
        Some(updates.after(self.begun_at))
    }

    /// How the run ended.
    ///
    /// # Errors
    /// What happened could not be written down; what was written before stands.
    pub async fn wait(mut self) -> Result<Outcome> {
        // Nobody listens.
        drop(self.live.take());
        self.ending
            .await
            .map_err(|error| Error::internal(format!("the run's task ended: {error}")))?
    }
}

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: Parts, options: EngineOptions) -> Self {
        Self { inner: Arc::new(Inner::new(parts, options)) }
    }

    /// The catalogue as it is now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog()
    }

    /// Says where others fetch files from now on; once.
    pub fn lend(&self, addresses: Addresses) {
        // Who comes later serves the same files.
        let _ = self.inner.addresses.set(addresses);
    }

    /// Says where others hint from now on that something happened to an attempt; once. Who comes there
    /// is passed on by [`Engine::hint`].
    pub fn listen_at(&self, callbacks: Callbacks) {
        // Who comes later listens at the same places.
        let _ = self.inner.callbacks.set(callbacks);
    }

    /// Somebody says that something happened to an attempt: if it is a job that is under way here, it is
    /// looked at now, or soon where it was just looked at for that. Anything else means nothing.
    pub fn hint(&self, name: AttemptName) {
        let AttemptName { run, key, attempt } = name;
        if let Some(live) = self.inner.live(&run) {
            live.inbox.send(Message::Hint { key, attempt });
        }
    }

    /// Whether somebody who can be used here does this task.
    pub fn can_do(&self, task: &TaskId) -> bool {
        let health = self.inner.health();
        let catalog = self.catalog();
        catalog.offers_for(task).any(|offer| !health.unusable.contains_key(&offer.provider))
    }

    /// Whether a provider can be used here.
    pub fn can_use(&self, provider: &ProviderId) -> bool {
        !self.inner.health().unusable.contains_key(provider)
    }

    /// Uses another catalogue from now on; runs under way keep the one that they began with.
    pub fn reload(&self, catalog: Arc<Catalog>) {
        self.inner.reload(catalog);
    }

    /// Tells of every run that this process works on no more, from now on. A listener that is too far
    /// behind misses some.
    pub fn endings(&self) -> broadcast::Receiver<Left> {
        self.inner.endings()
    }

    /// Begins a run. It is stored before this answers.
    ///
    /// # Errors
    /// The input does not fit (all that is wrong with it, in one message), the same wish was accepted
    /// before, or the store refuses.
    pub async fn submit(&self, request: Request) -> Result<RunHandle> {
        let Submitted { run, handle } = self.accept(request).await?;
        handle.ok_or_else(|| {
            Error::new(ErrorKind::Conflict, format!("it was accepted before, as run {run}"))
        })
    }

    /// Accepts a run and begins it, or says which run the same wish became before. It is stored before
    /// this answers.
    ///
    /// # Errors
    /// The input does not fit, too many runs wait (`rate_limited`, with a time), the claim is taken by
    /// another request, or the store refuses.
    pub async fn accept(&self, request: Request) -> Result<Submitted> {
        self.inner.check_room(&request.tenant)?;
        let catalog = self.inner.catalog();
        let plan = self.plan_of(&request, &catalog)?;
        let input = admit(&plan, request.input)?;
        let (seed, draws_seed) = match (request.seed, &request.source) {
            (Some(seed), _) => (seed, false),
            (None, Source::Workflow(plan)) => (workflow_seed(&plan.name), false),
            (None, Source::Task(_)) => (drawn()?, true),
        };
        let known = self.inner.known_plan(&plan)?;
        let lane = request.lane.map(|lane| (lane.id.to_string(), lane.limit));
        let stored = StoredRequest {
            input: input.clone(),
            no_cache: request.no_cache,
            lane,
            wants_news: request.wants_news,
            end_by_ms: request.end_by_ms,
        };
        let now_ms = self.inner.parts.clock.now_ms();
        let new = NewRun {
            id: new_id(now_ms)?,
            tenant: request.tenant.clone(),
            workflow: plan.name.clone(),
            plan: known.text.to_string(),
            request: to_text(&stored)?,
            seed,
            catalog_revision: catalog.revision.clone(),
            created_ms: now_ms,
            origin: request.origin,
            priority: request.priority,
            start_by_ms: request.start_by_ms,
            webhook: request.webhook,
            payer: stored.lane.as_ref().map(|(id, _)| id.clone()).unwrap_or_default(),
            claim: request.claim,
        };
        let lane = stored.lane(&request.tenant);
        let begun = |new: &NewRun| Begun {
            run: new.id.clone(),
            epoch: FIRST_EPOCH,
            lease: None,
            state: known.blank.another(seed),
            seq: 0,
            standing: Standing {
                lane: Arc::clone(&lane),
                priority: request.priority,
                no_cache: request.no_cache,
                draws_seed,
                wants_news: request.wants_news,
            },
            started_ms: None,
            tenant: request.tenant.clone(),
            head: Head::of(new),
        };
        let submitted = self.create(new, begun, input).await?;
        self.end_handle_by(submitted.handle.as_ref(), request.end_by_ms);
        Ok(submitted)
    }

    /// Creates the run and begins it; another id is drawn where that one is taken.
    async fn create(
        &self,
        mut new: NewRun,
        begun: impl Fn(&NewRun) -> Begun,
        input: Values,
    ) -> Result<Submitted> {
        for _ in 1..ID_DRAWS {
            match self.create_once(new.clone(), begun(&new), input.clone()).await {
                // Under a key that was used for another request this comes back, and is answered.
                Err(error) if error.kind == ErrorKind::Conflict => {
                    new.id = new_id(new.created_ms)?;
                }
                answer => return answer,
            }
        }
        let begun = begun(&new);
        self.create_once(new, begun, input).await
    }

    /// Stores the run and what happens in it first, and begins it; unless the same wish became a run
    /// before.
    async fn create_once(&self, new: NewRun, begun: Begun, input: Values) -> Result<Submitted> {
        let (run, start_by_ms) = (new.id.clone(), new.start_by_ms);
        let mut runner = self.runner(begun);
        let inbox = runner.inbox.clone();
        let (first, mut written) = runner.open(input).await?;
        match self.inner.parts.runs.create(new, Some(first)).await {
            Ok(Created::New(lease, durable)) => {
                runner.lease = Some(lease);
                written.hold(&durable);
                let handle = self.begin(runner, Opening::Created(Box::new(written)), start_by_ms);
                // Calls are made ready meanwhile; whoever asked is answered after that.
                durable.wait().await?;
                // They waited for the same, and go first.
                tokio::task::yield_now().await;
                Ok(Submitted { run, handle: Some(handle) })
            }
            unmade => {
                // The place that it has, or waits for, is free for others.
                drop(written);
                self.inner.places.forget(&run, &inbox);
                let Created::Known(run) = unmade? else { return Err(Error::internal("no run")) };
                Ok(Submitted { run, handle: None })
            }
        }
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

    /// Passes on what a person said to a step that waits for one. Answers with the run if it stood
    /// still for it and goes on now; none if it was under way here anyway.
    ///
    /// # Errors
    /// There is no such run, or no such instance waits for a person.
    pub async fn answer(
        &self,
        tenant: TenantId,
        run: RunId,
        answer: Answer,
    ) -> Result<Option<RunHandle>> {
        let stored = self.record(tenant.clone(), run.clone()).await?;
        let (state, _) = self.fold(&stored)?;
        let Answer { key, approved, note } = answer;
        if state.instance(&key).is_none_or(|instance| instance.status != Status::Asking) {
            let asking = asks_of(&state).into_iter().map(|ask| ask.key.to_string());
            let asking: Vec<String> = asking.collect();
            let hint = match asking.is_empty() {
                true => "nothing in this run waits for a person".to_owned(),
                false => format!("these wait: {}", asking.join(", ")),
            };
            let message = format!("{key} of run {run} does not wait for a person");
            return Err(Error::new(ErrorKind::Conflict, message).hint(hint));
        }
        let event = Event::Answered { key, approved, note };
        if let Some(live) = self.inner.live(&run).filter(|live| live.tenant == tenant) {
            live.inbox.send(Message::Event(event));
            return Ok(None);
        }
        self.take_over(tenant, run, event).await.map(Some)
    }

    async fn take_over(&self, tenant: TenantId, run: RunId, event: Event) -> Result<RunHandle> {
        let known = self.inner.parts.runs.load(tenant.clone(), run.clone(), 0).await?;
        refuse_ended(&known.record, event == Event::CancelRequested)
            .map_err(|error| error.hint("start a new run"))?;
        if event == Event::Resumed {
            self.refuse_late(&known)?;
        }
        let lease = self.inner.parts.runs.acquire(tenant.clone(), run.clone()).await?;
        // Read again: the owner before may have written until the lease changed hands.
        let stored = self.inner.parts.runs.load(tenant.clone(), run, 0).await?;
        let request: StoredRequest = from_text(&stored.record.run.request)?;
        let (state, seq) = self.fold(&stored)?;
        let lane = request.lane(&tenant);
        let (run, started_ms) = (&stored.record.run, first_start_ms(&stored));
        let is_late = self.is_late(run, started_ms);
        let first = match seq {
            0 => vec![Event::Started { input: request.input }],
            // Its time came while nobody worked on it.
            _ if is_late && event == Event::Resumed => vec![Event::CancelRequested],
            _ => vec![event],
        };
        let begun = Begun {
            run: lease.run.clone(),
            epoch: lease.epoch,
            lease: Some(lease),
            state,
            seq,
            standing: Standing {
                lane,
                priority: run.priority,
                no_cache: request.no_cache,
                draws_seed: false,
                wants_news: request.wants_news,
            },
            started_ms,
            tenant,
            head: Head::of(run),
        };
        let opening = Opening::Taken { first, outstanding: seq > 0 };
        let handle = self.begin(self.runner(begun), opening, run.start_by_ms);
        self.end_handle_by(Some(&handle), request.end_by_ms);
        Ok(handle)
    }

    fn runner(&self, begun: Begun) -> Box<Runner> {
        let Begun { run, epoch, lease, tenant, head, state, seq, standing, started_ms } = begun;
        let (sender, messages) = mpsc::unbounded_channel();
        let hub = Arc::new(Hub::new(head, seq, self.inner.options.log_lines));
        if let Some(at_ms) = started_ms {
            hub.started(at_ms);
        }
        Box::new(Runner {
            inner: Arc::clone(&self.inner),
            catalog: self.inner.catalog(),
            tenant,
            run,
            epoch,
            lease,
            state,
            hub,
            inbox: Inbox(sender),
            messages,
            standing,
            stops: HashMap::new(),
            seq,
            cancelling: false,
            interrupting: false,
            let_go: None,
        })
    }

    fn begin(&self, runner: Box<Runner>, opening: Opening, start_by_ms: Option<u64>) -> RunHandle {
        let (run, tenant) = (runner.run.clone(), runner.tenant.clone());
        let (inbox, hub) = (runner.inbox.clone(), Arc::clone(&runner.hub));
        let live = Live { tenant: tenant.clone(), inbox, hub: Arc::clone(&hub) };
        if let Some(start_by_ms) = start_by_ms {
            let left_ms = start_by_ms.saturating_sub(self.inner.parts.clock.now_ms());
            tokio::spawn(give_up_late(live.clone(), left_ms));
        }
        if self.inner.enter(run.clone(), live) {
            tokio::spawn(Arc::clone(&self.inner).watch_for_cancels());
        }
        let backlog = self.inner.options.update_backlog;
        let listen = || LiveUpdates::listen(Arc::clone(&hub), backlog);
        let heard = runner.standing.wants_news.then(listen).flatten();
        // Who listens from the creation on hears what happened in it.
        let begun_at = if matches!(opening, Opening::Created(_)) { 0 } else { runner.seq };
        let ending = tokio::spawn(runner.work(opening));
        let inner = Arc::clone(&self.inner);
        RunHandle { id: run, tenant, inner, hub: Some(hub), live: heard, begun_at, ending }
    }

    /// Goes on with runs that nobody works on because their process ended. Answers how many.
    ///
    /// # Errors
    /// The store cannot be read. A run that cannot be taken over is left to others.
    pub async fn resume_orphans(&self) -> Result<usize> {
        let mut resumed = 0;
        loop {
            let orphans = self.inner.parts.runs.orphans(ORPHANS_AT_ONCE).await?;
            let before = resumed;
            for (tenant, run) in orphans {
                resumed += usize::from(self.resume(tenant, run).await.is_ok());
            }
            if resumed == before {
                return Ok(resumed);
            }
        }
    }

    /// Takes no new runs, lets go of those that have not begun, waits up to `grace` for those under way,
    /// and then lets go of the rest: whoever starts next goes on with them. Answers how many those are.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.inner.begin_draining();
        // What has not begun would not end in time either, and others wait for an answer about it.
        let waiting = self.inner.let_go_of_waiting();
        let deadline = tokio::time::Instant::now() + grace;
        while self.inner.live_count() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        let left = waiting.max(self.inner.live_count());
        self.inner.let_go();
        for _ in 0..LET_GO_LOOKS {
            if self.inner.live_count() == 0 {
                break;
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        left
    }

    /// Whether new runs are taken.
    pub fn is_accepting(&self) -> bool {
        !self.inner.is_draining()
    }

    /// How many runs are under way or wait in this process.
    pub fn live_runs(&self) -> usize {
        self.inner.live_count()
    }

    /// How many of them have begun no attempt yet.
    pub fn queued_runs(&self) -> usize {
        self.inner.queued_count()
    }

    /// Attempts under way and waiting, by provider.
    pub fn load(&self) -> Vec<(ProviderId, u32, u32)> {
        self.inner.places.load()
    }

    /// What was counted since this process began.
    pub fn figures(&self) -> EngineFigures {
        self.inner.counter.read()
    }

    /// How many attempts of others will be made before the next one of this run; none if it waits for
    /// no place.
    pub fn queue_position(&self, run: &RunId) -> Option<u32> {
        self.inner.places.position(run)
    }

    /// Where a run stands, in short.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn summary(&self, tenant: TenantId, run: RunId) -> Result<RunSummary> {
        if let Some(known) = self.inner.summary_of_ended(&tenant, &run) {
            return Ok(known);
        }
        let live = self.inner.live(&run).filter(|live| live.tenant == tenant);
        if let Some(live) = live.filter(|live| live.hub.ended_ms().is_none()) {
            let position = self.queue_position(&run);
            return Ok(RunSummary::of_live(run, &live.hub, position));
        }
        let stored = self.record(tenant, run.clone()).await?;
        let (state, _) = self.fold(&stored)?;
        Ok(run_summary(&stored, &state, self.inner.log_of_ended(&run)))
    }

    /// Marks whether the answer to a submission under a [`impasto_store::ClaimKind::Delivery`] claim
    /// reached whoever submitted it.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn delivered(
        &self,
        tenant: TenantId,
        key: String,
        run: RunId,
        state: DeliveryState,
    ) -> Result<()> {
        self.inner.parts.runs.delivery(tenant, key, run, state).await
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
        refuse_ended(&self.record(tenant.clone(), run.clone()).await?.record, true)?;
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
            .and_then(|live| LiveUpdates::listen(live.hub, self.inner.options.update_backlog));
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
        let (state, _) = self.fold(&stored)?;
        Ok(run_report(&stored, &state))
    }

    /// The plan that a run follows.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn run_plan(&self, tenant: TenantId, run: RunId) -> Result<Plan> {
        from_text(&self.record(tenant, run).await?.record.run.plan)
    }

    /// The state that the events of a run make, and the number of the last one.
    fn fold(&self, stored: &StoredRun) -> Result<(State, u64)> {
        let run = &stored.record.run;
        let mut state = self.inner.stored_plan(&run.plan)?.blank.another(run.seed);
        for event in &stored.events {
            apply(&mut state, &read_event(&run.id, event)?);
        }
        Ok((state, stored.events.last().map_or(0, |event| event.seq)))
    }

    pub(crate) async fn record(&self, tenant: TenantId, run: RunId) -> Result<StoredRun> {
        self.inner.parts.runs.load(tenant, run, 0).await
    }

    /// What a request would do: nothing is executed and nothing is paid.
    ///
    /// # Errors
    /// The input that is given does not fit. Input that is missing is no error here.
    pub fn plan(&self, request: &Request) -> Result<PlanReport> {
        let catalog = self.inner.catalog();
        let plan = self.plan_of(request, &catalog)?;
        plan_report(&plan, &request.input, &catalog, &self.inner.health())
    }

    /// Takes a foreign file in as an asset. It blocks.
    ///
    /// # Errors
    /// The file cannot be read, or is none that can be used.
    pub fn import(&self, path: &Path) -> Result<AssetRef> {
        self.inner.parts.importer.import(path, &self.quiet_bench(Listener::Nobody))
    }

    /// A mask in another form; see [`MaskForm`]. It blocks.
    ///
    /// # Errors
    /// It cannot be read, or says that nothing may change.
    pub fn convert_mask(&self, mask: &AssetRef, from: MaskForm, to: MaskForm) -> Result<AssetRef> {
        let bench = self.quiet_bench(Listener::Nobody);
        (self.inner.parts.tools.convert_mask)(mask, from, to, &bench)
    }

    /// A file that holds the asset's bytes; a video that has been described is rendered. It blocks.
    ///
    /// # Errors
    /// The asset is not there, or cannot be rendered.
    pub fn bytes(&self, asset: &AssetRef, progress: ProgressFn) -> Result<Arc<[u8]>> {
        let bench = self.quiet_bench(Listener::Function(progress));
        let asset = match asset.is_timeline() {
            true => &(self.inner.parts.tools.render)(asset, &bench)?,
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
    fn plan_of(&self, request: &Request, catalog: &Catalog) -> Result<Arc<Plan>> {
        Ok(match &request.source {
            Source::Workflow(plan) if request.policy == Policy::default() => Arc::clone(plan),
            Source::Workflow(plan) => {
                let mut plan = Plan::clone(plan);
                plan.policy = filled(request.policy.clone(), &plan.policy);
                Arc::new(plan)
            }
            Source::Task(task) => {
                let name = format!("{task}\n{}", to_text(&request.policy)?);
                let make = || Ok(Plan::single(catalog.task(task)?, request.policy.clone()));
                self.inner.single_plan(name, make)?
            }
        })
    }
}

/// Runs taken over at once after a start.
const ORPHANS_AT_ONCE: u32 = 1_000;
/// How often it is looked whether runs have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// How often, once they have been let go of.
const LET_GO_LOOKS: u32 = 500;

/// Gives a run up whose time has come without an attempt.
async fn give_up_late(live: Live, left_ms: u64) {
    tokio::time::sleep(Duration::from_millis(left_ms)).await;
    if live.is_queued() {
        live.inbox.send(Message::Event(Event::CancelRequested));
    }
}

/// Refuses to go on with a run that has ended for good; or to give one up that has ended at all.
fn refuse_ended(record: &RunRecord, gives_up: bool) -> Result<()> {
    let status = record.status;
    if status.is_final() || gives_up && status == RunStatus::Failed {
        let message = format!("run {} has ended: {}", record.run.id, status.as_str());
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    Ok(())
}

/// How many ids are drawn for a run before giving up.
const ID_DRAWS: u32 = 8;

/// A run that is about to begin or to go on.
struct Begun {
    tenant: TenantId,
    run: RunId,
    epoch: u64,
    lease: Option<Lease>,
    head: Head,
    state: State,
    seq: u64,
    standing: Standing,
    /// When its first attempt started, if one has.
    started_ms: Option<u64>,
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

pub(crate) fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::internal(format!("it cannot be written: {error}")))
}

pub(crate) fn from_text<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::internal(format!("what is stored of the run cannot be read: {error}"))
            .hint("it was written by another version of this program; use that one")
    })
}
