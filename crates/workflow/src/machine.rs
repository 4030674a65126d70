//! The state machine of a run: a fold over events that says what to do next.
//!
//! Invariants:
//! - the state is a function of the plan, the seed and the events alone;
//! - an instance starts only after everything it refers to is done;
//! - attempt numbers of an instance grow by one and are never used twice;
//! - once an instance failed, or somebody asked to stop, nothing new starts: commands that have not
//!   been acted upon (`Decide`, `Wait`, an `Attempt` that has not started) are void, what runs may
//!   finish, and then the run ends;
//! - `Succeeded` and `Cancelled` are final; `Failed`, `Interrupted` and `Parked` can be resumed.

use std::sync::Arc;

use impasto_domain::{
    Decision, Error, ErrorKind, Exclusion, InstanceKey, Policy, Side, Value, Values,
};

use crate::choose::choose;
use crate::fold::{At, Fold};
use crate::program::{Node, NodeWork, Program};
use crate::template::Template;
use crate::{Call, Command, Event, Instance, Outcome, Plan, Status, TaskCall, Work};

/// The most reasons that an error names.
const REASONS_TOLD_MAX: usize = 8;

/// Where an instance lies: the number of its step, and its number in the step.
pub(crate) type Slot = (usize, usize);

/// The state of a run: the fold of its events.
#[derive(Clone, Debug)]
pub struct State {
    plan: Arc<Plan>,
    pub(crate) program: Arc<Program>,
    /// Why the plan cannot run, if it was tampered with.
    broken: Option<String>,
    pub(crate) data: Data,
}

/// All of the state that events change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Data {
    pub(crate) seed: u64,
    pub(crate) started: bool,
    pub(crate) fold: Fold,
    pub(crate) stop: Stop,
    pub(crate) counts: Counts,
    pub(crate) outcome: Option<Outcome>,
}

impl Data {
    fn new(seed: u64, program: &Program) -> Self {
        Self {
            seed,
            started: false,
            fold: Fold::new(program),
            stop: Stop::No,
            counts: Counts::default(),
            outcome: None,
        }
    }
}

/// Whether somebody asked the run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    ForNow,
    ForGood,
}

/// How many instances are in the states that decide whether the run has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Attempts under way.
    pub(crate) running: usize,
    /// Being decided, ready, or backing off.
    pub(crate) active: usize,
    pub(crate) failed: usize,
    pub(crate) parked: usize,
}

impl Counts {
    fn of(&mut self, status: Status) -> Option<&mut usize> {
        match status {
            Status::Running { .. } => Some(&mut self.running),
            Status::Deciding | Status::Ready | Status::BackingOff { .. } => Some(&mut self.active),
            Status::Failed => Some(&mut self.failed),
            Status::Parked | Status::Asking => Some(&mut self.parked),
            Status::Waiting | Status::Done { .. } | Status::Skipped => None,
        }
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan && self.data == other.data
    }
}

impl State {
    /// A run of `plan` to which nothing has happened. `seed` decides the jitter of waits.
    pub fn new(plan: Arc<Plan>, seed: u64) -> Self {
        let (program, broken) = match Program::build(&plan) {
            Ok(program) => (program, None),
            Err(message) => (Program::default(), Some(message)),
        };
        let data = Data::new(seed, &program);
        Self { plan, program: Arc::new(program), broken, data }
    }

    /// Another run of the same plan to which nothing has happened: what was compiled is shared.
    #[must_use]
    pub fn another(&self, seed: u64) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            program: Arc::clone(&self.program),
            broken: self.broken.clone(),
            data: Data::new(seed, &self.program),
        }
    }

    /// Every command that is outstanding, for going on after a restart.
    ///
    /// An attempt that is under way is outstanding too: the engine takes it up again by the handle in
    /// [`Instance::last_attempt`], or says that it is lost.
    pub fn pending(&self) -> Vec<Command> {
        if let Some(outcome) = &self.data.outcome {
            return vec![Command::Finish(outcome.clone())];
        }
        let mut commands = Vec::new();
        for (step, state) in self.data.fold.steps.iter().enumerate() {
            for (at, instance) in state.instances.iter().enumerate() {
                commands.extend(self.command((step, at)));
                if let (Status::Running { attempt }, true) =
                    (instance.status, self.data.stop != Stop::No)
                {
                    commands.push(Command::StopAttempt { key: instance.key.clone(), attempt });
                }
            }
        }
        commands
    }

    /// How the run ended, if it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.data.outcome.as_ref()
    }

    /// Every instance that is known so far, in the order of the plan's steps.
    pub fn instances(&self) -> impl Iterator<Item = (&InstanceKey, &Instance)> {
        let all = self.data.fold.steps.iter().flat_map(|step| &step.instances);
        all.map(|instance| (&instance.key, instance))
    }

    /// The instance of that key.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Instance> {
        self.at(self.slot(key)?)
    }

    /// How many instances a step has; `None` as long as that is not known.
    pub fn instance_count(&self, step: &str) -> Option<usize> {
        let (number, _) = self.program.step(step)?;
        let state = self.data.fold.steps.get(number)?;
        state.expanded.then_some(state.instances.len())
    }

    /// Whether attempt number `attempt` of `key` may be started now. Ask before committing
    /// [`Event::AttemptStarted`]: a command may be void because the run is stopping.
    pub fn may_start(&self, key: &InstanceKey, attempt: u32) -> bool {
        let ready = |i: &Instance| i.status == Status::Ready && i.next_number() == attempt;
        !self.halted() && self.data.outcome.is_none() && self.instance(key).is_some_and(ready)
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.data.seed
    }

    /// The inputs with which the run began.
    pub fn input(&self) -> &Values {
        &self.data.fold.input
    }

    fn slot(&self, key: &InstanceKey) -> Option<Slot> {
        let (step, _) = self.program.step(&key.step)?;
        Some((step, self.data.fold.steps.get(step)?.position(&key.index)?))
    }

    pub(crate) fn at(&self, (step, at): Slot) -> Option<&Instance> {
        self.data.fold.steps.get(step)?.instances.get(at)
    }

    pub(crate) fn at_mut(&mut self, (step, at): Slot) -> Option<&mut Instance> {
        self.data.fold.steps.get_mut(step)?.instances.get_mut(at)
    }

    /// Whether nothing new may start.
    pub(crate) fn halted(&self) -> bool {
        let data = &self.data;
        data.stop != Stop::No || data.counts.failed > 0 || !data.fold.step_errors.is_empty()
    }

    /// The task call that a slot belongs to, and the policy that holds for it.
    pub(crate) fn call_of(&self, slot: Slot) -> Option<(&TaskCall, &Policy)> {
        let Work::Call(call) = &self.plan.steps.get(slot.0)?.work else { return None };
        let NodeWork::Call { policy, .. } = &self.program.steps.get(slot.0)?.work else {
            return None;
        };
        Some((call, policy))
    }

    /// The command that is outstanding for an instance, if there is one.
    pub(crate) fn command(&self, slot: Slot) -> Option<Command> {
        let instance = self.at(slot)?;
        let held = self.halted();
        match instance.status {
            Status::Deciding | Status::Ready | Status::BackingOff { .. } if held => None,
            Status::Deciding => {
                Some(Command::Decide { key: instance.key.clone(), call: self.call(slot)? })
            }
            Status::Ready => self.attempt(slot, instance.next_number()),
            Status::Running { attempt } => self.attempt(slot, attempt),
            Status::BackingOff { attempt } => {
                let ms = instance.wait_ms;
                Some(Command::Wait { key: instance.key.clone(), attempt, ms })
            }
            _ => None,
        }
    }

    fn attempt(&self, slot: Slot, attempt: u32) -> Option<Command> {
        let instance = self.at(slot)?;
        let candidate = instance.decision.as_ref()?.ranked.get(instance.offer)?.clone();
        let (key, call) = (instance.key.clone(), self.call(slot)?);
        Some(Command::Attempt { key, attempt, candidate, call })
    }

    fn call(&self, slot: Slot) -> Option<Call> {
        let (call, policy) = self.call_of(slot)?;
        Some(Call {
            task: call.task.id.clone(),
            input: self.at(slot)?.input.as_deref()?.clone(),
            policy: policy.clone(),
            timeout_ms: call.timeout_ms,
            cache: call.cache,
        })
    }

    /// Gives an instance a status and keeps the counts.
    pub(crate) fn set(&mut self, slot: Slot, status: Status) {
        let Some(instance) = self.at_mut(slot) else { return };
        let before = std::mem::replace(&mut instance.status, status);
        if let Some(count) = self.data.counts.of(before) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.data.counts.of(status) {
            *count += 1;
        }
    }

    /// An instance has its output, or was skipped.
    pub(crate) fn complete(&mut self, slot: Slot, output: Values, status: Status) {
        let program = Arc::clone(&self.program);
        self.set(slot, status);
        if let Some(instance) = self.at_mut(slot) {
            instance.output = Some(Arc::new(output));
            instance.error = None;
        }
        self.data.fold.instance_done(&program, slot.0, slot.1);
    }

    pub(crate) fn fail(&mut self, slot: Slot, error: Error) {
        self.set(slot, Status::Failed);
        if let Some(instance) = self.at_mut(slot) {
            instance.error = Some(error);
        }
    }

    fn begin(&mut self, input: &Values) {
        self.data.started = true;
        self.data.fold.input = input.clone();
        if let Some(message) = &self.broken {
            let key = InstanceKey::new(self.plan.name.clone(), []);
            let error = Error::internal(format!("the plan cannot run: {message}"));
            self.data.outcome = Some(Outcome::Failed { errors: vec![(key, error)] });
            return;
        }
        let program = Arc::clone(&self.program);
        self.data.fold.begin(&program);
    }

    /// Looks at every instance that nothing holds back any more, and at those that it sets free.
    fn proceed(&mut self, commands: &mut Vec<Command>) {
        let program = Arc::clone(&self.program);
        while !self.halted() {
            let Some(slot) = self.data.fold.unblocked.pop() else { return };
            let waiting = self.at(slot).is_some_and(|instance| instance.status == Status::Waiting);
            if let (true, Some(node)) = (waiting, program.steps.get(slot.0)) {
                match self.prepare(slot, node) {
                    Ok(()) => commands.extend(self.command(slot)),
                    Err(error) => self.fail(slot, error),
                }
            }
        }
    }

    /// Works out what an instance is to do, now that everything it refers to is done.
    fn prepare(&mut self, slot: Slot, node: &Node) -> Result<(), Error> {
        let program = Arc::clone(&self.program);
        let index = self.at(slot).map(|instance| instance.key.index.clone()).unwrap_or_default();
        let fold = &self.data.fold;
        let scope = At { fold, program: &program, axes: &node.axes, index: &index };
        let evaluate = |template: &Template, what: &str| {
            template.evaluate(&scope).map_err(|m| Error::invalid(format!("{what}: {m}")))
        };
        if let Some(when) = &node.when
            && !is_true(&evaluate(when, "`when`")?)
        {
            self.complete(slot, Values::new(), Status::Skipped);
            return Ok(());
        }
        match &node.work {
            NodeWork::Pick { of, by, keep } => {
                match choose(fold, &program, (*of, by, *keep), &index)? {
                    Some(output) => self.complete(slot, output, Status::Done { reused: false }),
                    None => self.complete(slot, Values::new(), Status::Skipped),
                }
            }
            NodeWork::Approve { question, show } => {
                let mut shown = Values::new();
                for (name, template) in show {
                    shown.insert(name.clone(), evaluate(template, &format!("`{name}`"))?);
                }
                shown.insert(QUESTION.to_owned(), evaluate(question, "`approve`")?);
                if let Some(instance) = self.at_mut(slot) {
                    instance.input = Some(Arc::new(shown));
                }
                self.set(slot, Status::Asking);
            }
            NodeWork::Call { input, .. } => {
                let mut given = Values::new();
                for (name, template) in input {
                    given.insert(name.clone(), evaluate(template, &format!("`{name}`"))?);
                }
                let Some((call, _)) = self.call_of(slot) else {
                    return Err(Error::internal("the step is not in the plan"));
                };
                let input = call.task.admit(given).map_err(|p| Error::invalid(p.join("; ")))?;
                if let Some(instance) = self.at_mut(slot) {
                    instance.input = Some(Arc::new(input));
                }
                self.set(slot, Status::Deciding);
            }
        }
        Ok(())
    }

    /// Ends the run if nothing is under way and nothing may or can start.
    fn settle(&mut self, commands: &mut Vec<Command>) {
        if self.data.outcome.is_none() && self.data.started {
            self.data.outcome = self.ending();
        }
        if let Some(outcome) = &self.data.outcome {
            commands.retain(|command| matches!(command, Command::StopAttempt { .. }));
            commands.push(Command::Finish(outcome.clone()));
        }
    }

    fn ending(&self) -> Option<Outcome> {
        let Data { counts, stop, fold, .. } = &self.data;
        if counts.running > 0 {
            return None;
        }
        if *stop == Stop::ForGood {
            return Some(Outcome::Cancelled);
        }
        if counts.failed > 0 || !fold.step_errors.is_empty() {
            return Some(Outcome::Failed { errors: self.errors() });
        }
        if fold.steps_left == 0 {
            return Some(self.outputs());
        }
        if *stop == Stop::ForNow {
            return Some(Outcome::Interrupted);
        }
        (counts.active == 0).then(|| self.stuck())
    }

    fn errors(&self) -> Vec<(InstanceKey, Error)> {
        let failed = self.instances().filter(|(_, instance)| instance.status == Status::Failed);
        let errors = failed.filter_map(|(key, i)| Some((key.clone(), i.error.clone()?)));
        errors.chain(self.data.fold.step_errors.iter().cloned()).collect()
    }

    fn stuck(&self) -> Outcome {
        let parked =
            self.instances().filter(|(_, i)| matches!(i.status, Status::Parked | Status::Asking));
        let keys: Vec<InstanceKey> = parked.map(|(key, _)| key.clone()).collect();
        if keys.is_empty() {
            let key = InstanceKey::new(self.plan.name.clone(), []);
            let error = Error::internal("nothing is under way and the run is not done");
            return Outcome::Failed { errors: vec![(key, error)] };
        }
        Outcome::Parked { keys }
    }

    fn outputs(&self) -> Outcome {
        let scope = At { fold: &self.data.fold, program: &self.program, axes: &[], index: &[] };
        let (mut output, mut errors) = (Values::new(), Vec::new());
        for (name, template) in &self.program.outputs {
            match template.evaluate(&scope) {
                Ok(value) => {
                    output.insert(name.clone(), value);
                }
                Err(message) => errors.push((
                    InstanceKey::new("outputs", []),
                    Error::new(ErrorKind::InvalidInput, format!("`{name}`: {message}")),
                )),
            }
        }
        if errors.is_empty() { Outcome::Succeeded { output } } else { Outcome::Failed { errors } }
    }

    fn stop(&mut self, stop: Stop) -> Vec<Command> {
        match (&self.data.outcome, stop) {
            (Some(Outcome::Interrupted | Outcome::Parked { .. }), Stop::ForGood) => {
                self.data.outcome = None;
            }
            (Some(_), _) => return Vec::new(),
            (None, _) => {}
        }
        if self.data.stop == Stop::ForGood || self.data.stop == stop {
            return Vec::new();
        }
        self.data.stop = stop;
        let running = self.instances().filter_map(|(key, instance)| match instance.status {
            Status::Running { attempt } => Some((key.clone(), attempt)),
            _ => None,
        });
        running.map(|(key, attempt)| Command::StopAttempt { key, attempt }).collect()
    }

    /// Makes what failed or was held back ready again.
    fn resume(&mut self) -> Vec<Command> {
        let stopped = self.halted() || self.data.outcome.is_some();
        let last =
            matches!(self.data.outcome, Some(Outcome::Succeeded { .. } | Outcome::Cancelled));
        if !self.data.started || !stopped || last || self.data.stop == Stop::ForGood {
            return Vec::new();
        }
        self.data.outcome = None;
        self.data.stop = Stop::No;
        self.data.fold.step_errors.clear();
        self.data.fold.unblocked.clear();
        let mut slots = Vec::new();
        for (step, state) in self.data.fold.steps.iter().enumerate() {
            slots.extend((0..state.instances.len()).map(|at| (step, at)));
        }
        for slot in &slots {
            self.revive(*slot);
        }
        let program = Arc::clone(&self.program);
        self.data.fold.open_axes(&program);
        let held = slots.into_iter().filter(|slot| {
            let status = self.at(*slot).map(|instance| instance.status);
            !matches!(status, Some(Status::Running { .. }))
        });
        held.filter_map(|slot| self.command(slot)).collect()
    }

    fn revive(&mut self, slot: Slot) {
        if self.at(slot).is_some_and(|instance| instance.status == Status::Failed) {
            self.set(slot, Status::Waiting);
            if let Some(instance) = self.at_mut(slot) {
                (instance.error, instance.decision, instance.input) = (None, None, None);
                (instance.offer, instance.tries) = (0, 0);
            }
        }
        let free = |i: &Instance| i.status == Status::Waiting && i.missing == 0;
        if self.at(slot).is_some_and(free) {
            self.data.fold.unblocked.push(slot);
        }
    }

    fn decided(&mut self, slot: Slot, decision: &Decision) {
        if let Some(instance) = self.at_mut(slot) {
            instance.decision = Some(Arc::new(decision.clone()));
            (instance.offer, instance.tries) = (0, 0);
        }
        if decision.ranked.is_empty() {
            self.fail(slot, no_offer(decision));
        } else {
            self.set(slot, Status::Ready);
        }
    }

    /// Folds an event about one instance; answers whether it fitted.
    fn one(&mut self, slot: Slot, event: &Event) {
        let Some(status) = self.at(slot).map(|instance| instance.status) else { return };
        match (event, status) {
            (Event::Decided { decision, .. }, Status::Deciding) => self.decided(slot, decision),
            (Event::Reused { decision, output, .. }, Status::Deciding) => {
                if let Some(instance) = self.at_mut(slot) {
                    instance.decision = Some(Arc::new(decision.clone()));
                }
                self.complete(slot, output.clone(), Status::Done { reused: true });
            }
            (Event::TimerFired { attempt, .. }, Status::BackingOff { attempt: awaited })
                if *attempt == awaited =>
            {
                self.set(slot, Status::Ready);
            }
            (Event::Settled { again, .. }, Status::Parked) => self.settled(slot, *again),
            (Event::Answered { approved, note, .. }, Status::Asking) => {
                self.answered(slot, *approved, note);
            }
            _ => self.attempt_event(slot, event, status),
        }
    }
}

/// The name under which the question is among what an instance shows.
pub(crate) const QUESTION: &str = "question";

/// Folds `event` into `state` and answers with what is to be done now.
pub fn apply(state: &mut State, event: &Event) -> Vec<Command> {
    let mut commands = match event {
        Event::Started { input } if !state.data.started => {
            state.begin(input);
            Vec::new()
        }
        Event::Interrupted => state.stop(Stop::ForNow),
        Event::CancelRequested => state.stop(Stop::ForGood),
        Event::Resumed => state.resume(),
        _ => return apply_to_instance(state, event),
    };
    if state.data.started {
        let ended = state.data.outcome.is_some() && !matches!(event, Event::Started { .. });
        if ended {
            return Vec::new();
        }
        state.proceed(&mut commands);
        state.settle(&mut commands);
    }
    commands
}

fn apply_to_instance(state: &mut State, event: &Event) -> Vec<Command> {
    let parked = matches!(state.data.outcome, Some(Outcome::Parked { .. }));
    let reopens = parked && matches!(event, Event::Settled { .. } | Event::Answered { .. });
    let Some(slot) = event.key().and_then(|key| state.slot(key)) else { return Vec::new() };
    if state.data.outcome.is_some() && !reopens {
        return Vec::new();
    }
    let before = state.at(slot).map(|instance| instance.status);
    state.one(slot, event);
    let after = state.at(slot).map(|instance| instance.status);
    if before == after {
        return Vec::new();
    }
    state.data.outcome = None;
    let mut commands = Vec::new();
    // A started attempt is outstanding already: its command was given before.
    if !matches!(after, Some(Status::Running { .. })) {
        commands.extend(state.command(slot));
    }
    state.proceed(&mut commands);
    state.settle(&mut commands);
    commands
}

/// Whether a condition holds: like in Jinja, nothing, zero and what is empty are false.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Boolean(truth) => *truth,
        Value::Integer(number) => *number != 0,
        Value::Number(number) => *number != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => !entries.is_empty(),
        Value::Asset(_) => true,
    }
}

/// How it begins that nothing is ranked. What follows is the task, and after a colon each reason.
pub const NO_OFFER: &str = "no offer will do for ";

/// What to say where nothing is ranked. It lies with the call if no offer would take it as it is, and
/// at least one would take another.
fn no_offer(decision: &Decision) -> Error {
    let nearest = [Some(Side::Provider), Some(Side::Ours), Some(Side::Caller), None];
    let mut excluded: Vec<&Exclusion> = decision.excluded.iter().collect();
    excluded.sort_by_key(|exclusion| nearest.iter().position(|side| *side == exclusion.side));
    let side = excluded.first().and_then(|exclusion| exclusion.side);
    let told =
        excluded.iter().map(|exclusion| format!("{}: {}", exclusion.offer, exclusion.reason));
    let absent =
        decision.absent.iter().map(|absence| format!("{}: {}", absence.provider, absence.reason));
    let reasons: Vec<String> = told.chain(absent).collect();
    let more = reasons.len().saturating_sub(REASONS_TOLD_MAX);
    let why = match (reasons.get(..REASONS_TOLD_MAX), more) {
        _ if reasons.is_empty() => "there are none".to_owned(),
        (Some(first), 1..) => format!("{}; and {more} more", first.join("; ")),
        _ => reasons.join("; "),
    };
    let message = format!("{NO_OFFER}{}: {why}", decision.task);
    match side {
        Some(Side::Caller) => Error::invalid(message)
            .hint("change what the reasons name, or ask for less in `policy`"),
        _ => {
            Error::unavailable(message).hint("ask for less in `policy`, or set up another provider")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(excluded: &[(&str, Option<Side>)], kind: ErrorKind, told: &str) {
        let exclusion = |(reason, side): &(&str, Option<Side>)| Exclusion {
            offer: "m@p/t".into(),
            reason: (*reason).to_owned(),
            side: *side,
        };
        let decision = Decision {
            task: "t".into(),
            ranked: Vec::new(),
            excluded: excluded.iter().map(exclusion).collect(),
            absent: Vec::new(),
            catalog_revision: String::new(),
        };
        let error = no_offer(&decision);
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(error.message, format!("no offer will do for t: {told}"));
    }

    #[test]
    fn who_is_told_of_no_offer_depends_on_what_would_help() {
        use ErrorKind::{InvalidInput, Unavailable};
        let (unasked, input) = (("not asked for", None), ("too long", Some(Side::Caller)));
        let (ours, theirs) =
            (("no ffmpeg", Some(Side::Ours)), ("does not answer", Some(Side::Provider)));
        check(&[], Unavailable, "there are none");
        check(&[unasked], Unavailable, "m@p/t: not asked for");
        check(&[unasked, input], InvalidInput, "m@p/t: too long; m@p/t: not asked for");
        check(&[input, ours], Unavailable, "m@p/t: no ffmpeg; m@p/t: too long");
        check(&[ours, theirs], Unavailable, "m@p/t: does not answer; m@p/t: no ffmpeg");
        let nine = "m@p/t: too long; ".repeat(8) + "and 1 more";
        check(&[input; 9], InvalidInput, &nine);
    }
}
