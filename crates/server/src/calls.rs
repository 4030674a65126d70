//! The engine as every face uses it: a call by any name becomes a run, and a run becomes a view.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use impasto_catalog::{Catalog, Model, similar};
use impasto_domain::{
    Digest, Error, ErrorKind, Field, ModelId, Money, Policy, Result, RunId, TaskId, Tier, Type,
    Value, Values,
};
use impasto_engine::{
    Ask, Engine, Lane, LogLine, Request, RunHandle, RunSummary, Source, Submitted, Updates,
    day_began_ms, overspent,
};
use impasto_store::{Claim, ClaimKind, RunRecord, RunStatus};
use impasto_workflow::Plan;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::app::App;
use crate::caller::Caller;
use crate::delivery::Delivery;
use crate::names;
use crate::traces::Parent;

/// How often it is looked how far a run is that this process does not work on.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What is called.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    /// A task; any model that does it.
    Task(TaskId),
    /// Any id or alias of a model, a provider's name for it, `auto`, or a tier.
    Model(String),
    /// A workflow; without a version, the newest.
    Workflow {
        /// Its name.
        name: String,
        /// Its version.
        version: Option<u32>,
    },
    /// A workflow as text.
    Text(String),
}

/// Whom to tell how a run goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Webhook {
    /// Where.
    pub(crate) url: String,
    /// Of what; empty means of the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) topics: Vec<String>,
}

/// Where a call came from. A face finds its own facts again in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    /// The face, such as `native`.
    pub(crate) face: String,
    /// The path that was called.
    pub(crate) path: String,
    /// The name by which it was called.
    pub(crate) name: String,
    /// Scheme and host as the one who called saw us; for addresses in what is told later.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) base: String,
    /// The id of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// The span of the one who called, for the trace of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Parent>,
    /// What else the face wants to know again.
    #[serde(skip_serializing_if = "Json::is_null")]
    pub(crate) extra: Json,
}

/// Something to be done.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: Name,
    /// What the face means by the call, best first; empty: whatever the model does.
    pub(crate) tasks: Vec<TaskId>,
    /// By canonical names or aliases. A file is a URL, a data URI, one of our own addresses,
    /// `{"asset": digest}`, or what [`crate::files::named`] makes of one that was taken in.
    pub(crate) input: Map<String, Json>,
    pub(crate) policy: Policy,
    pub(crate) seed: Option<u64>,
    pub(crate) priority: i32,
    pub(crate) start_by_ms: Option<u64>,
    pub(crate) end_by_ms: Option<u64>,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) claim: Option<Claim>,
    pub(crate) origin: Origin,
    pub(crate) no_cache: bool,
    /// Whether somebody will listen to what there is of the result before it is done.
    pub(crate) wants_news: bool,
}

impl Call {
    /// A call with nothing special about it.
    pub(crate) fn new(name: Name, input: Map<String, Json>, origin: Origin) -> Self {
        Self {
            name,
            tasks: Vec::new(),
            input,
            policy: Policy::default(),
            seed: None,
            priority: 0,
            start_by_ms: None,
            end_by_ms: None,
            webhook: None,
            claim: None,
            origin,
            no_cache: false,
            wants_news: false,
        }
    }
}

/// What a client calls the header of its key for a wish.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key.
const KEY_CHARS_MAX: usize = 255;
/// What stands before a client's key where claims are kept.
const CLIENTS_KEY: &str = "key ";

/// The key under which a client makes its wish, if its header names one.
pub(crate) fn wish_key(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().map_err(|_| {
        Error::invalid("the header Idempotency-Key is no plain text").hint("send a UUID")
    })?;
    check_wish_key(key)?;
    Ok(Some(key))
}

/// Refuses what can be no key of a wish.
pub(crate) fn check_wish_key(key: &str) -> Result<()> {
    if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
        let message = format!("an idempotency key has 1 to {KEY_CHARS_MAX} characters");
        return Err(Error::invalid(message).hint("send a UUID"));
    }
    Ok(())
}

/// The client's key, if what was refused is that it stands for another request.
fn reused_key<'c>(claim: Option<&'c Claim>, error: &Error) -> Option<&'c str> {
    let claim = claim.filter(|claim| claim.kind == ClaimKind::Explicit)?;
    let is_conflict = error.kind == ErrorKind::Conflict;
    is_conflict.then(|| claim.key.strip_prefix(CLIENTS_KEY)).flatten()
}

/// Whether a call was refused because its key stands for another request.
pub(crate) fn is_reuse(claim: &Claim, error: &Error) -> bool {
    reused_key(Some(claim), error).is_some()
}

/// What keeps a wish from becoming two runs: by the key that the client sent, or else by the request
/// itself, for clients that try again without saying so.
pub(crate) fn claim(key: Option<&str>, route: &str, body: &[u8]) -> Claim {
    let digest = Digest::of(body);
    let (key, kind) = match key {
        Some(key) => (format!("{CLIENTS_KEY}{key}"), ClaimKind::Explicit),
        None => (format!("{route} {digest}"), ClaimKind::Delivery),
    };
    let body = Digest::of(format!("{route} {digest}").as_bytes());
    Claim { key, body, kind }
}

/// A run that was accepted.
pub(crate) struct Ticket {
    /// Its id.
    pub(crate) run: RunId,
    /// The run as this process works on it; absent if the same wish was accepted before.
    pub(crate) handle: Option<RunHandle>,
}

/// Where a run stands, for whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ViewStatus {
    /// No attempt has started yet.
    Queued,
    /// It is worked on.
    Running,
    /// All its outputs are there.
    Succeeded,
    /// A step failed for good.
    Failed,
    /// Somebody gave it up.
    Cancelled,
    /// An attempt is in doubt and a person has to decide.
    Parked,
    /// Nobody works on it and it can go on.
    Interrupted,
}

impl ViewStatus {
    fn of(status: RunStatus, is_queued: bool) -> Self {
        match status {
            RunStatus::Running if is_queued => Self::Queued,
            RunStatus::Running => Self::Running,
            RunStatus::Succeeded => Self::Succeeded,
            RunStatus::Failed => Self::Failed,
            RunStatus::Cancelled => Self::Cancelled,
            RunStatus::Parked => Self::Parked,
            RunStatus::Interrupted => Self::Interrupted,
        }
    }

    /// Whether nothing more will happen unasked.
    pub(crate) fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Interrupted)
    }
}

/// A run as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct RunView {
    pub(crate) id: RunId,
    /// The name of its task or workflow.
    pub(crate) work: String,
    pub(crate) status: ViewStatus,
    pub(crate) queue_position: Option<u32>,
    /// Empty unless it succeeded.
    pub(crate) outputs: Values,
    pub(crate) error: Option<Error>,
    pub(crate) cost: Money,
    pub(crate) created_ms: u64,
    pub(crate) started_ms: Option<u64>,
    pub(crate) ended_ms: Option<u64>,
    pub(crate) origin: Origin,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) progress: Option<f64>,
    pub(crate) last_seq: u64,
    /// What a person is asked.
    pub(crate) asks: Vec<Ask>,
}

impl From<RunSummary> for RunView {
    fn from(summary: RunSummary) -> Self {
        let status = ViewStatus::of(summary.status, summary.is_queued);
        Self {
            id: summary.run,
            work: summary.workflow,
            status,
            queue_position: summary.queue_position,
            outputs: summary.output.unwrap_or_default(),
            error: summary.error,
            cost: summary.cost.unwrap_or_default(),
            created_ms: summary.created_ms,
            started_ms: summary.started_ms,
            ended_ms: summary.ended_ms,
            origin: serde_json::from_str(&summary.origin).unwrap_or_default(),
            logs: summary.logs,
            progress: summary.progress,
            last_seq: summary.last_seq,
            asks: summary.asks,
        }
    }
}

impl RunView {
    /// What is known of a run without its events.
    pub(crate) fn of_record(record: &RunRecord) -> Self {
        let ended = record.status != RunStatus::Running;
        Self {
            id: record.run.id.clone(),
            work: record.run.workflow.clone(),
            status: ViewStatus::of(record.status, false),
            queue_position: None,
            outputs: Values::new(),
            error: None,
            cost: Money::ZERO,
            created_ms: record.run.created_ms,
            started_ms: None,
            ended_ms: ended.then_some(record.updated_ms),
            origin: serde_json::from_str(&record.run.origin).unwrap_or_default(),
            logs: Vec::new(),
            progress: None,
            last_seq: 0,
            asks: Vec::new(),
        }
    }
}

/// What a name stands for.
pub(crate) struct Meant {
    source: Source,
    policy: Policy,
    fields: Vec<Field>,
}

impl Meant {
    fn of(plan: Arc<Plan>, policy: Policy) -> Self {
        let fields = plan.inputs.clone();
        Self { source: Source::Workflow(plan), policy, fields }
    }
}

impl App {
    /// Accepts a call as a run. It is durable when this answers.
    pub(crate) async fn submit(&self, caller: &Caller, call: Call) -> Result<Ticket> {
        self.check_spend(caller).await?;
        let (webhook, claim) = (call.webhook.clone(), call.claim.clone());
        let Call { priority, start_by_ms, end_by_ms, wants_news, .. } = call;
        let lane = Lane {
            id: caller.key.as_ref().map_or(caller.tenant.as_str(), |key| key.0.as_str()).into(),
            limit: caller.limits.concurrent,
        };
        let mut origin = call.origin.clone();
        origin.key = caller.key.as_ref().map(ToString::to_string);
        origin.parent = Parent::current();
        let request = self.request(caller, call).await?;
        let request = Request {
            origin: to_text(&origin)?,
            webhook: webhook.as_ref().map(to_text).transpose()?,
            claim,
            priority,
            start_by_ms,
            end_by_ms,
            lane: Some(lane),
            wants_news,
            ..request
        };
        let claim = request.claim.clone();
        self.accept(caller, request).await.map_err(|error| {
            let Some(key) = reused_key(claim.as_ref(), &error) else { return error };
            let message = format!("the idempotency key '{key}' was used for another request");
            Error { message, ..error }
        })
    }

    /// Accepts it even if whoever asked goes in the middle of it: what has begun to be stored is
    /// either a run that somebody works on or none.
    async fn accept(&self, caller: &Caller, request: Request) -> Result<Ticket> {
        let (app, caller, claim) = (self.clone(), caller.clone(), request.claim.clone());
        let accepting = tokio::spawn(async move {
            let accepted = app.engine().accept(request).await?;
            let nobody = app.delivery(&caller, claim.as_ref(), &accepted.run);
            Ok::<_, Error>((accepted, nobody))
        });
        let ended = accepting.await.map_err(|_| Error::internal("accepting a run panicked"))?;
        let (accepted, delivery): (Submitted, Delivery) = ended?;
        delivery.hand_on();
        Ok(Ticket { run: accepted.run, handle: accepted.handle })
    }

    /// What the engine would be asked for by a call: its files are taken in.
    pub(crate) async fn request(&self, caller: &Caller, call: Call) -> Result<Request> {
        let meant = self.meant(caller, &call).await?;
        let (face, path) = (call.origin.face.as_str(), call.origin.path.as_str());
        let given = names::canonical(face, path, &meant.fields, call.input)?;
        let input = self.values(caller, &meant.fields, given).await?;
        let mut request = Request::new(meant.source, input);
        request.policy = meant.policy;
        request.seed = call.seed;
        request.tenant = caller.tenant.clone();
        request.no_cache = call.no_cache;
        Ok(request)
    }

    async fn meant(&self, caller: &Caller, call: &Call) -> Result<Meant> {
        let catalog = self.catalog();
        let mut policy = call.policy.clone();
        let task = match &call.name {
            Name::Task(task) => task.clone(),
            Name::Model(name) => of_model((&catalog, self.engine()), name, call, &mut policy)?,
            Name::Workflow { name, version } => {
                let plan = self.workflow(caller, name, *version).await?;
                return Ok(Meant::of(plan, policy));
            }
            Name::Text(text) => return Ok(Meant::of(self.compiled(text)?, policy)),
        };
        let fields = catalog.task(&task)?.input.clone();
        Ok(Meant { source: Source::Task(task), policy, fields })
    }

    /// The plan of a workflow of this tenant.
    pub(crate) async fn workflow(
        &self,
        caller: &Caller,
        name: &str,
        version: Option<u32>,
    ) -> Result<Arc<Plan>> {
        let found = self.store().workflow(caller.tenant.clone(), name.to_owned(), version).await?;
        let found = found.ok_or_else(|| {
            let which = version.map(|version| format!(" version {version}")).unwrap_or_default();
            Error::not_found(format!("there is no workflow `{name}`{which}"))
                .hint("PUT /v1/workflows/{name} keeps one")
        })?;
        self.compiled(&found.text)
    }

    /// The plan of a text; what was compiled before is used again.
    pub(crate) fn compiled(&self, text: &str) -> Result<Arc<Plan>> {
        let catalog = self.catalog();
        let key = Digest::of(format!("{}\n{text}", catalog.revision).as_bytes());
        if let Some(plan) = self.known_plan(&key) {
            return Ok(plan);
        }
        let (plan, _) = Plan::compile(text, &catalog.tasks).map_err(|found| {
            let shown: Vec<String> =
                found.iter().map(|one| one.render("the workflow", text)).collect();
            Error::invalid(format!("the workflow has errors\n{}", shown.join("\n")))
                .hint("each error names its line; `impasto lint FILE` checks one before it is sent")
        })?;
        let plan = Arc::new(plan);
        self.note_plan(key, &plan);
        Ok(plan)
    }

    /// Refuses a call with a key that has spent what a day allows: early, for what else was accepted and
    /// not paid for yet is not looked at here. What is spent is held to it by the engine.
    async fn check_spend(&self, caller: &Caller) -> Result<()> {
        let Some((most, key)) = caller.limits.spend_per_day.zip(caller.key.as_ref()) else {
            return Ok(());
        };
        let from_ms = day_began_ms(self.now_ms());
        let spent = self.store().spent_by(caller.tenant.clone(), key.0.clone(), from_ms).await?;
        if spent < most { Ok(()) } else { Err(overspent(spent, Money::ZERO, most)) }
    }

    /// The input with its files taken in.
    async fn values(
        &self,
        caller: &Caller,
        fields: &[Field],
        given: Map<String, Json>,
    ) -> Result<Values> {
        let mut values = Values::new();
        for (name, json) in given {
            let ty = fields.iter().find(|field| field.name == name).map(|field| &field.ty);
            let value = match ty {
                Some(Type::Media(_)) => self.file(caller, json).await,
                Some(Type::List(item)) if matches!(**item, Type::Media(_)) => {
                    self.files(caller, json).await
                }
                _ => self.plain(caller, json).await,
            };
            values.insert(name.clone(), value.map_err(|error| error.context(format!("`{name}`")))?);
        }
        Ok(values)
    }

    async fn files(&self, caller: &Caller, json: Json) -> Result<Value> {
        let Json::Array(items) = json else {
            return Err(Error::invalid("a list of files is needed"));
        };
        let taken = items.into_iter().map(|item| self.file(caller, item));
        Ok(Value::List(futures_util::future::try_join_all(taken).await?))
    }

    /// Plain data. A file that is named in it must be the caller's; what is said of it does not count.
    async fn plain(&self, caller: &Caller, json: Json) -> Result<Value> {
        let mut value = Value::from_json(json).map_err(Error::invalid)?;
        let named: Vec<Digest> = value.assets().iter().map(|asset| asset.digest).collect();
        for digest in named {
            let own = self.asset(&caller.tenant, digest).await?;
            replace_asset(&mut value, digest, &own);
        }
        Ok(value)
    }

    /// Waits for the end of a run, and at most so long; the view says how far it is.
    pub(crate) async fn wait(
        &self,
        caller: &Caller,
        ticket: Ticket,
        at_most: Duration,
    ) -> Result<RunView> {
        let ended = async {
            match ticket.handle {
                Some(handle) => handle.wait().await.map(drop),
                None => self.ended(caller, &ticket.run).await,
            }
        };
        if let Ok(ended) = tokio::time::timeout(at_most, ended).await {
            ended?;
        }
        self.view(caller, &ticket.run).await
    }

    /// Returns when nothing more happens in a run, whoever works on it: this process, which may not
    /// quite have begun to, or another.
    async fn ended(&self, caller: &Caller, run: &RunId) -> Result<()> {
        let mut heard = 0;
        loop {
            let mut updates = self.updates(caller, run, heard);
            while let Some(update) = updates.next().await {
                heard = heard.max(update?.seq);
            }
            let status = self.view(caller, run).await?.status;
            let is_left = status == ViewStatus::Interrupted || !self.engine().is_accepting();
            if status.is_over() || is_left {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Where a run stands.
    pub(crate) async fn view(&self, caller: &Caller, run: &RunId) -> Result<RunView> {
        let summary = self.engine().summary(caller.tenant.clone(), run.clone()).await;
        Ok(summary.map_err(not_there)?.into())
    }

    /// What happens in a run after that event, and what is told of it live.
    pub(crate) fn updates(&self, caller: &Caller, run: &RunId, after: u64) -> Updates {
        self.engine().updates(caller.tenant.clone(), run.clone()).after(after)
    }

    /// Gives a run up for good.
    pub(crate) async fn cancel(&self, caller: &Caller, run: &RunId) -> Result<()> {
        self.engine().cancel(caller.tenant.clone(), run.clone()).await.map_err(not_there)
    }
}

/// What is told of a run that is not there to somebody who has no command line.
fn not_there(error: Error) -> Error {
    match error.kind {
        ErrorKind::NotFound => {
            error.hint("check the id; runs are seen with keys of their own tenant")
        }
        _ => error,
    }
}

fn replace_asset(value: &mut Value, digest: Digest, own: &impasto_domain::AssetRef) {
    match value {
        Value::Asset(asset) if asset.digest == digest => **asset = own.clone(),
        Value::List(items) => items.iter_mut().for_each(|item| replace_asset(item, digest, own)),
        Value::Map(entries) => {
            entries.values_mut().for_each(|entry| replace_asset(entry, digest, own));
        }
        _ => {}
    }
}

/// The name of a model that leaves the choice to the policy.
pub(crate) const ANY_MODEL: &str = "auto";

/// The task that is meant by the name of a model; what the name says of the route goes into the policy.
fn of_model(
    (catalog, engine): (&Catalog, &Engine),
    name: &str,
    call: &Call,
    policy: &mut Policy,
) -> Result<TaskId> {
    let tier = match name {
        ANY_MODEL => Some(None),
        "draft" => Some(Some(Tier::Draft)),
        "standard" => Some(Some(Tier::Standard)),
        "hero" => Some(Some(Tier::Hero)),
        _ => None,
    };
    if let Some(tier) = tier {
        policy.tier = tier.or(policy.tier);
        let (takes, can_do) =
            (|task: &&TaskId| takes(catalog, task, call), |task: &&TaskId| engine.can_do(task));
        let known = |task: &&TaskId| catalog.tasks.contains_key(*task);
        // What is given says most about what is meant: if nobody here does that, this is the error.
        let fitting = call.tasks.iter().filter(takes);
        let task = fitting.clone().find(can_do).or_else(|| fitting.clone().next());
        let task = task.or_else(|| call.tasks.iter().find(can_do));
        return task.or_else(|| call.tasks.iter().find(known)).cloned().ok_or_else(|| {
            Error::invalid(format!("`{name}` does not say what is to be done"))
                .hint("name a task, such as text-to-image")
        });
    }
    let task = TaskId::new(name);
    if catalog.tasks.contains_key(&task) && (call.tasks.is_empty() || call.tasks.contains(&task)) {
        return Ok(task);
    }
    let (model, offered) = find_model(catalog, name)?;
    // One that is gone says what came after it, before anything is said of keys.
    catalog.served_model(model.id.as_str())?;
    policy.models = vec![model.id.clone()];
    let candidates: Vec<&TaskId> = if call.tasks.is_empty() {
        offered.into_iter().chain(&model.tasks).collect()
    } else {
        call.tasks.iter().filter(|task| model.tasks.contains(task)).collect()
    };
    let takes = |task: &&&TaskId| takes(catalog, task, call);
    let task = candidates.iter().find(takes).or_else(|| candidates.first());
    task.map(|task| (**task).clone()).ok_or_else(|| {
        let does: Vec<&str> = model.tasks.iter().map(TaskId::as_str).collect();
        let wanted: Vec<&str> = call.tasks.iter().map(TaskId::as_str).collect();
        Error::invalid(format!("`{name}` does not do {}", wanted.join(" or ")))
            .hint(format!("it does {}", does.join(", ")))
    })
}

/// Whether a task takes what is given and has all that it needs.
fn takes(catalog: &Catalog, task: &TaskId, call: &Call) -> bool {
    let Some(task) = catalog.tasks.get(task) else { return false };
    let (face, path) = (&call.origin.face, &call.origin.path);
    let given = names::canonical(face, path, &task.input, call.input.clone());
    let needs = |given: &Map<String, Json>| {
        task.input.iter().all(|field| {
            !field.required || field.default.is_some() || given.contains_key(&field.name)
        })
    };
    given.is_ok_and(|given| needs(&given))
}

/// The model of that name, and the task of the offer if the name is a provider's for an offer.
pub(crate) fn find_model<'c>(
    catalog: &'c Catalog,
    name: &str,
) -> Result<(&'c Model, Option<&'c TaskId>)> {
    let versionless = name.split_once(':').map_or(name, |(name, _)| name);
    let last = versionless.rsplit('/').next().unwrap_or(versionless);
    for id in [name, versionless, last] {
        if let Some(model) = catalog.model_called(id) {
            return Ok((model, None));
        }
    }
    let called = [name, versionless].into_iter().flat_map(|name| catalog.offers_called(name));
    if let Some(offer) = called.into_iter().next() {
        return Ok((catalog.model(&offer.model)?, Some(&offer.task)));
    }
    let known: Vec<&str> = catalog.models.keys().map(ModelId::as_str).collect();
    let hint = match similar(last, &known) {
        Some(near) => format!("did you mean `{near}`? `{ANY_MODEL}` takes the best there is"),
        None => format!("GET /v1/models lists them; `{ANY_MODEL}` takes the best there is"),
    };
    Err(Error::new(ErrorKind::NotFound, format!("there is no model `{name}`")).hint(hint))
}

pub(crate) fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::internal(format!("it cannot be written: {error}")))
}
