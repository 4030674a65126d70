//! The task of one run: takes events one after the other, folds them, decides what they ask for,
//! commits all of it at once, and then sets attempts and timers going.
//!
//! Invariants
//! - What a driver does follows a commit, never precedes it.
//! - A chain of steps costs one commit a step: the end of one and the beginning of the next are the
//!   same transaction.
//! - If a commit fails for good, every attempt is abandoned and the run ends here with the error; what was
//!   committed before stands, and the run can be resumed. Jobs at providers are left alone: they may
//!   be paid for, and whoever resumes finds them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use impasto_catalog::Catalog;
use impasto_domain::{
    Candidate, Decision, Digest, Error, ErrorKind, InstanceKey, Money, OfferId, ProviderId, Result,
    RunId, Task, TenantId, Value, Values,
};
use impasto_router::{RouteRequest, decide};
use impasto_store::{
    AssetEntry, AssetRole, Batch, Durable, Lease, LedgerEntry, LedgerKind, OutputEntry, Receipt,
    RunStatus, StoredEvent,
};
use impasto_workflow::{Call, Command, Event, Outcome, State, Status, apply};
use tokio::sync::mpsc;

use crate::attempt::{AttemptTask, Begin, idempotency_key};
use crate::bench::{EngineBench, KnownFiles, Lent, Listener, ProgressTo, Stop};
use crate::driver::{Slot, StartCall};
use crate::identity::{output_key, takes_seed, with_seed};
use crate::live::Inner;
use crate::places::Asker;
use crate::prepare::Prepare;
use crate::request::Lane;
use crate::spending::Spends;
use crate::summary::RunSummary;
use crate::updates::{Hub, Update, UpdateKind};

/// How a run is let go of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LettingGo {
    /// As soon as it is known which jobs the providers have taken.
    Soon,
    /// Now.
    Now,
}

/// Something for the task of a run.
pub(crate) enum Message {
    /// An event.
    Event(Event),
    /// An attempt got a place under its provider's limit.
    Slot(Box<Claim>, Slot),
    /// Somebody says that something happened to an attempt.
    Hint { key: InstanceKey, attempt: u32 },
    /// The process ends: nothing is written any more, and whoever starts next goes on with the run.
    LetGo,
}

/// The way to the task of a run. At most one message is under way for each attempt and each caller.
/// Messages are boxed, since a channel keeps room for dozens of them and most runs wait.
#[derive(Clone)]
pub(crate) struct Inbox(pub(crate) mpsc::UnboundedSender<Box<Message>>);

impl Inbox {
    /// Sends a message; a run that has ended needs none.
    pub(crate) fn send(&self, message: Message) {
        let _ended = self.0.send(Box::new(message));
    }

    /// Whether it leads to the same run.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

/// An attempt that is to be made. What else it needs is in the state when its turn comes.
pub(crate) struct Claim {
    pub(crate) key: InstanceKey,
    pub(crate) attempt: u32,
    pub(crate) offer: OfferId,
    pub(crate) timeout_ms: u64,
}

/// How a run stands among others, and what was asked of all of it.
pub(crate) struct Standing {
    pub(crate) lane: Arc<Lane>,
    pub(crate) priority: i32,
    pub(crate) no_cache: bool,
    /// Whether the seed was drawn for this run: what depends on it was never made before, and hardly
    /// ever will be again.
    pub(crate) draws_seed: bool,
    pub(crate) wants_news: bool,
}

/// The task of one run.
pub(crate) struct Runner {
    pub(crate) inner: Arc<Inner>,
    /// The catalogue that it began with here.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    pub(crate) epoch: u64,
    /// None until the run is created.
    pub(crate) lease: Option<Lease>,
    pub(crate) state: State,
    pub(crate) hub: Arc<Hub>,
    pub(crate) inbox: Inbox,
    pub(crate) messages: mpsc::UnboundedReceiver<Box<Message>>,
    pub(crate) standing: Standing,
    pub(crate) stops: HashMap<InstanceKey, Arc<Stop>>,
    pub(crate) seq: u64,
    /// Whether the wish to cancel has been passed on already.
    pub(crate) cancelling: bool,
    /// Whether the run is to stop for now.
    pub(crate) interrupting: bool,
    /// Whether the process ends.
    pub(crate) let_go: Option<LettingGo>,
}

/// What a turn of the loop has gathered: to be written, and to be done once it is written.
struct Turn {
    batch: Batch,
    then: Then,
}

/// What is left of a turn for when it is written.
pub(crate) struct Written {
    status: Option<RunStatus>,
    at_ms: u64,
    then: Then,
}

/// What is done once a turn is written.
#[derive(Default)]
struct Then {
    told: Vec<Update>,
    tasks: Vec<(Box<AttemptTask>, Begin)>,
    waits: Vec<(InstanceKey, u32, u64)>,
    stops: Vec<InstanceKey>,
    outcome: Option<Outcome>,
    spends: Spends,
}

impl Written {
    /// What is to be done is held back until what leads to it is durable.
    pub(crate) fn hold(&mut self, until: &Durable) {
        self.then.tasks.iter_mut().for_each(|(task, _)| task.call.durable = until.clone());
    }
}

/// How the work on a run begins.
pub(crate) enum Opening {
    /// It was created, with what happens first. In a box, since a run has room for it as long as it waits.
    Created(Box<Written>),
    /// It was taken over: this happens, and commands may be outstanding from before.
    Taken { first: Vec<Event>, outstanding: bool },
}

impl Turn {
    /// A line for the ledger. Calls that cost nothing leave no trace there.
    fn enter(&mut self, of: (&InstanceKey, u32, &OfferId), kind: LedgerKind, amount: Money) {
        if amount.is_zero() {
            return;
        }
        let (key, attempt, offer) = of;
        let (at_ms, step, offer) = (self.batch.at_ms, key.to_string(), offer.clone());
        self.batch.ledger.push(LedgerEntry { at_ms, kind, step, attempt, offer, amount });
        self.batch.durable = true;
    }

    /// An attempt for which money was meant to be spent came to cost this, or nothing.
    fn settle(&mut self, of: (&InstanceKey, u32, &OfferId), estimate: Money, cost: Money) {
        match cost.is_zero() {
            true => self.enter(of, LedgerKind::Release, estimate),
            false => self.enter(of, LedgerKind::Charge, cost),
        }
        self.then.spends.settle(estimate, cost);
    }
}

impl Turn {
    /// Notes the files among the outputs of an instance, or among the inputs of the run.
    fn note_assets(&mut self, run: &RunId, key: Option<&InstanceKey>, values: &Values) {
        let role = if key.is_some() { AssetRole::Output } else { AssetRole::Input };
        for (name, value) in values {
            for asset in value.assets() {
                let Ok(body) = serde_json::to_string(asset) else { continue };
                self.batch.assets.push(AssetEntry {
                    digest: asset.digest,
                    body,
                    role,
                    run: Some(run.clone()),
                    step: key.map(ToString::to_string).unwrap_or_default(),
                    name: name.clone(),
                    at_ms: self.batch.at_ms,
                });
            }
        }
    }
}

impl Runner {
    /// What is written with the creation of a run, and what is done once it is.
    pub(crate) async fn open(&mut self, input: Values) -> Result<(Batch, Written)> {
        let mut turn = self.turn();
        self.absorb(Event::Started { input }, &mut turn).await?;
        Ok(self.close_turn(turn))
    }

    /// Works until the run has ended.
    ///
    /// What is not needed to wait is boxed: thousands of runs may wait for hours. So is the runner,
    /// since a future keeps room for what it is given besides what it makes of it.
    pub(crate) async fn work(mut self: Box<Self>, opening: Opening) -> Result<Outcome> {
        let mut ended = Box::pin(self.begin(opening)).await;
        while let Ok(None) = ended {
            ended = match self.messages.recv().await {
                Some(message) => Box::pin(self.take_turn(message)).await,
                None => Err(Error::internal("nobody can speak to the run any more")),
            };
        }
        self.stops.values().for_each(|stop| stop.abandon());
        let summary = RunSummary::of_success(self.run.clone(), &self.hub, &self.state);
        self.inner.note_ended((&self.tenant, &self.run), self.hub.logs(), summary);
        self.hub.close();
        let (inner, run, inbox) = (Arc::clone(&self.inner), self.run.clone(), self.inbox.clone());
        // Only who holds a run no more leaves it.
        drop(self);
        inner.leave(&run, &inbox);
        ended.map(|outcome| outcome.unwrap_or(Outcome::Interrupted))
    }

    async fn begin(&mut self, opening: Opening) -> Result<Option<Outcome>> {
        let (first, outstanding) = match opening {
            Opening::Created(written) => return Ok(self.go_on_from(*written, Receipt::default())),
            Opening::Taken { first, outstanding } => (first, outstanding),
        };
        let mut turn = self.turn();
        for event in first {
            // A job that is outstanding is then stopped where it is, not waited for.
            self.cancelling |= event == Event::CancelRequested;
            self.absorb(event, &mut turn).await?;
        }
        if outstanding {
            let commands = self.state.pending();
            self.obey(commands, &mut turn).await?;
        }
        self.finish(turn).await
    }

    /// Takes a message, and those that have come in the meantime.
    async fn take_turn(&mut self, message: Box<Message>) -> Result<Option<Outcome>> {
        let mut turn = self.turn();
        self.take(*message, &mut turn).await?;
        while turn.batch.events.len() < self.inner.options.batch_events {
            let Ok(message) = self.messages.try_recv() else { break };
            self.take(*message, &mut turn).await?;
        }
        self.finish(turn).await
    }

    fn turn(&self) -> Turn {
        let now_ms = self.inner.parts.clock.now_ms();
        Turn { batch: Batch::new(self.run.clone(), self.epoch, now_ms), then: Then::default() }
    }

    async fn take(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        match message {
            Message::Event(Event::CancelRequested) if self.cancelling => Ok(()),
            Message::Event(event) => {
                self.cancelling |= event == Event::CancelRequested;
                self.interrupting |= event == Event::Interrupted;
                self.absorb(event, turn).await
            }
            Message::Slot(claim, slot) => self.start(*claim, slot, turn).await,
            Message::Hint { key, attempt } => {
                self.hint(&key, attempt);
                Ok(())
            }
            Message::LetGo => {
                self.let_go = Some(self.let_go.map_or(LettingGo::Soon, |_| LettingGo::Now));
                self.say_again_later(Message::LetGo);
                Ok(())
            }
        }
    }

    /// Passes a hint on to the attempt, if it is the one under way.
    fn hint(&self, key: &InstanceKey, attempt: u32) {
        let running = self.state.instance(key).map(|instance| instance.status);
        if running == Some(Status::Running { attempt })
            && let Some(stop) = self.stops.get(key)
        {
            stop.hint();
        }
    }

    /// Folds an event, writes it down, and does what follows from it.
    async fn absorb(&mut self, event: Event, turn: &mut Turn) -> Result<()> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.account(&event, turn);
            let commands = apply(&mut self.state, &event);
            self.write_down(event, turn)?;
            for command in commands {
                events.extend(self.do_one(command, turn).await?);
            }
        }
        Ok(())
    }

    async fn obey(&mut self, commands: Vec<Command>, turn: &mut Turn) -> Result<()> {
        for command in commands {
            for event in self.do_one(command, turn).await? {
                self.absorb(event, turn).await?;
            }
        }
        Ok(())
    }

    fn write_down(&mut self, event: Event, turn: &mut Turn) -> Result<()> {
        self.seq += 1;
        let body = serde_json::to_string(&event)
            .map_err(|error| Error::internal(format!("an event cannot be written: {error}")))?;
        let at_ms = turn.batch.at_ms;
        turn.batch.events.push(StoredEvent { seq: self.seq, at_ms, body });
        // Whether somebody listens is known when it is told: one who comes before the commit finds
        // nothing of it in the store.
        turn.then.told.push(Update { seq: self.seq, at_ms, kind: UpdateKind::Event(event) });
        Ok(())
    }

    /// Does what a command asks for, as far as it can be done before the commit; answers with the
    /// events that settle it, if there are any.
    async fn do_one(&mut self, command: Command, turn: &mut Turn) -> Result<Vec<Event>> {
        match command {
            Command::Decide { key, call } => return Ok(vec![self.decide(key, call).await?]),
            Command::Attempt { key, attempt, candidate, call } => {
                let timeout_ms = call.timeout_ms;
                let claim = Claim { key, attempt, offer: candidate.offer, timeout_ms };
                return self.claim(claim, &candidate.provider, turn).await;
            }
            Command::Wait { key, attempt, ms } => turn.then.waits.push((key, attempt, ms)),
            Command::StopAttempt { key, .. } => turn.then.stops.push(key),
            Command::Finish(outcome) => turn.then.outcome = Some(outcome),
        }
        Ok(Vec::new())
    }

    /// Ranks the offers; if an equal call was done before, its output settles the instance.
    async fn decide(&self, key: InstanceKey, call: Call) -> Result<Event> {
        let Ok(task) = self.catalog.task(&call.task) else {
            let catalog_revision = self.catalog.revision.clone();
            let (ranked, excluded) = (Vec::new(), Vec::new());
            let absent = Vec::new();
            let decision = Decision { task: call.task, ranked, excluded, absent, catalog_revision };
            return Ok(Event::Decided { key, decision });
        };
        let request = RouteRequest { task, input: &call.input, policy: &call.policy };
        let mut decision = decide(&request, &self.catalog, &self.inner.health());
        if !decision.ranked.is_empty() {
            // What this machine has no key for says nothing about the choice, and every run would keep it.
            decision.absent.clear();
        }
        let may_be_known =
            call.cache && !self.standing.no_cache && !self.is_singular(task, &call.input);
        let first = decision.first().filter(|_| may_be_known);
        if let Some(first) = first {
            let input = with_seed(task, call.input, self.state.seed(), &key);
            let output = self.known_output(output_key(&task.id, first, &input)).await?;
            if let Some(output) = output {
                return Ok(Event::Reused { key, decision, output });
            }
        }
        Ok(Event::Decided { key, decision })
    }

    /// Whether the result depends on a seed that was drawn for this run.
    fn is_singular(&self, task: &Task, input: &Values) -> bool {
        self.standing.draws_seed && takes_seed(task, input)
    }

    /// The output kept under a key, if its files are still there.
    async fn known_output(&self, key: Digest) -> Result<Option<Values>> {
        let found = self.inner.parts.runs.find_output(self.tenant.clone(), key).await?;
        let Some(output) = found.and_then(|body| serde_json::from_str::<Values>(&body).ok()) else {
            return Ok(None);
        };
        let blobs = &self.inner.parts.blobs;
        let there =
            output.values().flat_map(Value::assets).all(|asset| blobs.contains(&asset.digest));
        Ok(there.then_some(output))
    }

    /// Goes on with an attempt that was started before, or gets a place for one that was not: at
    /// once if there is one, otherwise a message will come.
    async fn claim(
        &mut self,
        claim: Claim,
        provider: &ProviderId,
        turn: &mut Turn,
    ) -> Result<Vec<Event>> {
        let running = self.state.instance(&claim.key).map(|instance| instance.status);
        if let Some(Status::Running { attempt }) = running {
            if attempt == claim.attempt && !self.stops.contains_key(&claim.key) {
                self.go_on(claim, turn);
            }
            return Ok(Vec::new());
        }
        let asker = Asker {
            run: self.run.clone(),
            lane: Arc::clone(&self.standing.lane),
            priority: self.standing.priority,
            inbox: self.inbox.clone(),
        };
        match self.inner.places.claim(provider, asker, claim) {
            Some((claim, slot)) => self.started(claim, slot, turn).await,
            None => Ok(Vec::new()),
        }
    }

    async fn start(&mut self, claim: Claim, slot: Slot, turn: &mut Turn) -> Result<()> {
        for event in self.started(claim, slot, turn).await? {
            self.absorb(event, turn).await?;
        }
        Ok(())
    }

    /// The event that starts an attempt, unless the run is stopping; the attempt waits for the commit.
    /// One that cannot be paid for has failed already.
    async fn started(&mut self, claim: Claim, slot: Slot, turn: &mut Turn) -> Result<Vec<Event>> {
        if self.let_go.is_some() || !self.state.may_start(&claim.key, claim.attempt) {
            return Ok(Vec::new());
        }
        let (key, attempt, offer) = (claim.key.clone(), claim.attempt, claim.offer.clone());
        let mut events = vec![Event::AttemptStarted { key: key.clone(), attempt, offer }];
        match self.refusal(&claim, &mut turn.then.spends).await? {
            Some(error) => {
                let (cost, time_ms) = (Money::ZERO, 0);
                events.push(Event::AttemptFailed { key, attempt, error, cost, time_ms });
            }
            None => self.prepare_task(claim, slot, Begin::Start, turn),
        }
        Ok(events)
    }

    fn go_on(&mut self, claim: Claim, turn: &mut Turn) {
        let last = self.state.instance(&claim.key).and_then(|instance| instance.last_attempt());
        let begin = match last.and_then(|attempt| attempt.handle.clone()) {
            Some(handle) => Begin::Poll(handle),
            None => Begin::Find,
        };
        self.prepare_task(claim, Slot::new(()), begin, turn);
    }

    fn prepare_task(&mut self, claim: Claim, slot: Slot, begin: Begin, turn: &mut Turn) {
        let key = claim.key.clone();
        match self.task(claim, slot) {
            Ok(task) => turn.then.tasks.push((Box::new(task), begin)),
            // It was begun, and nobody here can ask what became of it.
            Err((attempt, _)) if !matches!(begin, Begin::Start) => {
                self.inbox.send(Message::Event(Event::AttemptLost { key, attempt }));
            }
            Err((attempt, error)) => {
                let (cost, time_ms) = (Money::ZERO, 0);
                self.inbox.send(Message::Event(Event::AttemptFailed {
                    key,
                    attempt,
                    error,
                    cost,
                    time_ms,
                }));
            }
        }
    }

    /// Which files of an input others can fetch.
    fn lent(&self, known: &Arc<KnownFiles>) -> Option<Lent> {
        let (addresses, known) = (Arc::clone(self.inner.addresses.get()?), Arc::clone(known));
        Some(Lent { tenant: self.tenant.clone(), addresses, known })
    }

    fn task(&mut self, claim: Claim, slot: Slot) -> Result<AttemptTask, (u32, Error)> {
        let Claim { key, attempt, offer, timeout_ms } = claim;
        let parts = &self.inner.parts;
        let failed = |error: Error| (attempt, error.at(&offer));
        let estimate = self.estimate(&key, &offer);
        let offer = self.catalog.offer(&offer).map_err(failed)?;
        let task = self.catalog.task(&offer.task).map_err(failed)?;
        let driver = self.inner.driver(&self.catalog, &offer.provider).map_err(failed)?;
        let stop = Arc::new(Stop::default());
        self.stops.insert(key.clone(), Arc::clone(&stop));
        let input = self.state.instance(&key).and_then(|instance| instance.input.as_deref());
        let input = input.cloned().unwrap_or_default();
        let known = Arc::<KnownFiles>::default();
        known.add(&input);
        let bench =
            EngineBench::new(Arc::clone(&parts.blobs), Arc::clone(&stop), self.listener(&key))
                .lending(self.lent(&known));
        let input = with_seed(task, input, self.state.seed(), &key);
        let prepare = Prepare {
            catalog: Arc::clone(&self.catalog),
            tools: parts.tools.clone(),
            importer: Arc::clone(&parts.importer),
            imported: Arc::clone(&self.inner.imported),
            known,
            callbacks: self.inner.callbacks.get().cloned(),
        };
        let call = StartCall {
            run: self.run.clone(),
            idempotency_key: idempotency_key(&self.run, &key, attempt),
            key,
            attempt,
            task: task.id.clone(),
            catalog: Arc::clone(&self.catalog),
            offer: offer.id.clone(),
            endpoint: offer.endpoint.clone(),
            input,
            estimate,
            timeout_ms,
            bench: Arc::new(bench),
            slot,
            durable: Durable::default(),
            // Given where it is needed, since most of the time nobody looks at it.
            callback: None,
        };
        let options = Arc::clone(&self.inner.options);
        Ok(AttemptTask { driver, call, prepare, stop, inbox: self.inbox.clone(), options })
    }

    fn listener(&self, key: &InstanceKey) -> Listener {
        let clock = Arc::clone(&self.inner.parts.clock);
        Listener::Run(ProgressTo {
            hub: Arc::clone(&self.hub),
            key: key.clone(),
            interval: Duration::from_millis(self.inner.options.progress_interval_ms),
            wants_news: self.standing.wants_news,
            now_ms: Box::new(move || clock.now_ms()),
        })
    }

    /// Writes what an event means for the ledger and for later equal calls, before it is folded.
    fn account(&mut self, event: &Event, turn: &mut Turn) {
        self.observe(event);
        match event {
            Event::Started { input } => turn.note_assets(&self.run, None, input),
            Event::Reused { key, output, .. } => turn.note_assets(&self.run, Some(key), output),
            Event::AttemptStarted { key, attempt, offer } => {
                self.hub.started(turn.batch.at_ms);
                if turn.then.spends.has_refused(key, *attempt) {
                    return;
                }
                let estimate = self.estimate(key, offer);
                turn.enter((key, *attempt, offer), LedgerKind::Intent, estimate);
                // What nobody knows the price of may cost something: it leaves as what is priced does.
                turn.batch.durable |=
                    self.candidate(key, offer).is_some_and(|candidate| candidate.is_unpriced);
            }
            Event::AttemptDone { key, attempt, output, cost, .. } => {
                let Some(offer) = self.close(key, *attempt) else { return };
                turn.settle((key, *attempt, &offer), self.estimate(key, &offer), *cost);
                self.keep_output((key, &offer), output, turn);
                turn.note_assets(&self.run, Some(key), output);
            }
            Event::AttemptFailed { key, attempt, .. }
                if turn.then.spends.has_refused(key, *attempt) =>
            {
                self.close(key, *attempt);
            }
            Event::AttemptFailed { key, attempt, cost, .. } => {
                let Some(offer) = self.close(key, *attempt) else { return };
                turn.settle((key, *attempt, &offer), self.estimate(key, &offer), *cost);
            }
            Event::AttemptVoid { key, attempt } => {
                let Some(offer) = self.close(key, *attempt) else { return };
                turn.settle((key, *attempt, &offer), self.estimate(key, &offer), Money::ZERO);
            }
            // The intent stays open: that is what being in doubt means.
            Event::AttemptLost { key, attempt } => {
                self.close(key, *attempt);
            }
            _ => {}
        }
    }

    /// Counts how an attempt that is under way ended, and tells whoever watches the providers' health.
    fn observe(&self, event: &Event) {
        let (key, attempt, error, time_ms, cost) = match event {
            Event::AttemptDone { key, attempt, cost, time_ms, .. } => {
                (key, *attempt, None, *time_ms, *cost)
            }
            Event::AttemptFailed { key, attempt, error, cost, time_ms } => {
                (key, *attempt, Some(error), *time_ms, *cost)
            }
            _ => return,
        };
        let instance = self.state.instance(key);
        let running = instance.filter(|it| it.status == (Status::Running { attempt }));
        let offer = running.and_then(|instance| instance.last_attempt()).map(|last| &last.offer);
        if let Some(offer) = offer.and_then(|offer| self.catalog.offers.get(offer)) {
            self.inner.counter.attempt(&offer.id, error.is_none(), time_ms, cost);
            self.inner.watch.ended(&offer.provider, error, self.inner.parts.clock.now_ms());
        }
    }

    /// The offer of the attempt if it is the one under way; it is so no more.
    fn close(&mut self, key: &InstanceKey, attempt: u32) -> Option<OfferId> {
        let instance = self.state.instance(key)?;
        if instance.status != (Status::Running { attempt }) {
            return None;
        }
        self.stops.remove(key);
        instance.last_attempt().map(|last| last.offer.clone())
    }

    /// What is known of an offer in the ranking of an instance.
    pub(crate) fn candidate(&self, key: &InstanceKey, offer: &OfferId) -> Option<&Candidate> {
        let decision = self.state.instance(key)?.decision.as_ref()?;
        decision.ranked.iter().find(|candidate| candidate.offer == *offer)
    }

    fn estimate(&self, key: &InstanceKey, offer: &OfferId) -> Money {
        self.candidate(key, offer).map_or(Money::ZERO, |candidate| candidate.cost)
    }

    fn keep_output(&self, of: (&InstanceKey, &OfferId), output: &Values, turn: &mut Turn) {
        let (key, offer) = of;
        let instance = self.state.instance(key);
        let Some((candidate, instance)) = self.candidate(key, offer).zip(instance) else { return };
        let Some((input, decision)) = instance.input.as_deref().zip(instance.decision.as_deref())
        else {
            return;
        };
        let Ok(task) = self.catalog.task(&decision.task) else { return };
        if self.is_singular(task, input) {
            return;
        }
        let input = with_seed(task, input.clone(), self.state.seed(), key);
        if let Ok(body) = serde_json::to_string(output) {
            let key = output_key(&task.id, candidate, &input);
            turn.batch.outputs.push(OutputEntry { key, body });
        }
    }

    /// Commits what the turn gathered, and only then tells, starts, waits and stops.
    async fn finish(&mut self, turn: Turn) -> Result<Option<Outcome>> {
        let (batch, written) = self.close_turn(turn);
        let is_written = batch.status.is_some();
        let receipt = match batch.events.is_empty() && batch.status.is_none() {
            true => Receipt::default(),
            false => self.commit(batch).await?,
        };
        let is_given_up = receipt.cancel_requested && !self.cancelling;
        match self.go_on_from(written, receipt) {
            Some(ended @ (Outcome::Parked { .. } | Outcome::Interrupted))
                if is_written && is_given_up =>
            {
                Box::pin(self.take_back(ended)).await
            }
            ended => Ok(ended),
        }
    }

    /// Goes on with a run that stands still from now on, but that somebody gave up before it did: who
    /// asked was told that it would be ended here.
    async fn take_back(&mut self, ended: Outcome) -> Result<Option<Outcome>> {
        let lease = self.inner.parts.runs.acquire(self.tenant.clone(), self.run.clone()).await;
        let lease = match lease {
            // Whoever has it now finds the wish.
            Err(error) if error.kind == ErrorKind::Conflict => return Ok(Some(ended)),
            lease => lease?,
        };
        self.epoch = lease.epoch;
        self.lease = Some(lease);
        self.cancelling = true;
        let mut turn = self.turn();
        self.absorb(Event::CancelRequested, &mut turn).await?;
        self.finish(turn).await
    }

    /// What a turn has for the store, and what is left of it.
    fn close_turn(&self, turn: Turn) -> (Batch, Written) {
        let Turn { mut batch, mut then } = turn;
        if self.is_detached() {
            then.outcome.get_or_insert(Outcome::Interrupted);
        }
        batch.status = then.outcome.as_ref().map(status_of);
        let (status, at_ms) = (batch.status, batch.at_ms);
        (batch, Written { status, at_ms, then })
    }

    /// Tells, starts, waits and stops: what is to follow is committed.
    fn go_on_from(&mut self, written: Written, receipt: Receipt) -> Option<Outcome> {
        let Written { status, at_ms, then } = written;
        let Then { told, tasks, waits, stops, outcome, spends } = then;
        // Others of the same payer find it in the ledger now.
        drop(spends);
        self.hub.committed(self.seq);
        if let Some(status) = status {
            self.hub.end(at_ms);
            self.inner.counter.run(status);
        }
        if receipt.cancel_requested && outcome.is_none() && !self.cancelling {
            self.inbox.send(Message::Event(Event::CancelRequested));
        }
        told.into_iter().for_each(|update| self.hub.tell(update));
        for (task, begin) in tasks {
            tokio::spawn(task.run(begin));
        }
        for (key, attempt, ms) in waits {
            let inbox = self.inbox.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                inbox.send(Message::Event(Event::TimerFired { key, attempt }));
            });
        }
        for stop in stops.iter().filter_map(|key| self.stops.get(key)) {
            if self.cancelling { stop.ask() } else { stop.ask_work() }
        }
        outcome.or_else(|| self.is_let_go().then_some(Outcome::Interrupted))
    }

    /// Whether nothing is waited for any more because the process ends. Nothing is written of it: to
    /// whoever starts next, the run is one whose process ended.
    fn is_let_go(&self) -> bool {
        match self.let_go {
            None => false,
            Some(LettingGo::Soon) => self.has_only_jobs(),
            Some(LettingGo::Now) => true,
        }
    }

    fn say_again_later(&self, message: Message) {
        let (inbox, grace_ms) = (self.inbox.clone(), self.inner.options.stop_grace_ms);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(grace_ms)).await;
            inbox.send(message);
        });
    }

    /// Whether a run that is to stop for now waits for nothing but jobs that providers have taken.
    fn is_detached(&self) -> bool {
        self.interrupting && !self.cancelling && !self.stops.is_empty() && self.has_only_jobs()
    }

    /// Whether every attempt under way is a job that a provider has taken.
    fn has_only_jobs(&self) -> bool {
        let taken = |key| {
            let attempt = self.state.instance(key).and_then(|instance| instance.last_attempt());
            attempt.is_some_and(|attempt| attempt.handle.is_some())
        };
        self.stops.keys().all(taken)
    }
}

fn status_of(outcome: &Outcome) -> RunStatus {
    match outcome {
        Outcome::Succeeded { .. } => RunStatus::Succeeded,
        Outcome::Failed { .. } => RunStatus::Failed,
        Outcome::Parked { .. } => RunStatus::Parked,
        Outcome::Interrupted => RunStatus::Interrupted,
        Outcome::Cancelled => RunStatus::Cancelled,
    }
}
