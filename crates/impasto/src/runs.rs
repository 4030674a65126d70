//! Runs: begin one, go on with one, look at some.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use impasto_catalog::Catalog;
use impasto_domain::{
    Error, ErrorKind, ModelId, Policy, Result, RunId, TaskId, TenantId, Tier, Type, Value, Values,
};
use impasto_engine::{Answer, Engine, Request, RunHandle, RunReport, Source};
use impasto_store::{RunFilter, RunStatus};
use impasto_workflow::{Outcome, Plan, Status};

use crate::args::{
    ApproveCommand, GenerateCommand, OutputFlags, PlanCommand, PolicyFlags, ResumeCommand,
    RunCommand, RunsCommand, StatusName, TierName,
};
use crate::deliver::{deliver, try_folder};
use crate::progress::Progress;
use crate::screen::{Screen, Style};
use crate::{inputs, lint, show};

/// Where results go if nobody says.
const OUTPUT_FOLDER: &str = "out";

/// How a command ended, for the shell.
pub(crate) type Exit = u8;

/// A person has to decide before it can go on.
pub(crate) const WAITS: Exit = 3;
/// It did what it was asked to.
pub(crate) const FINE: Exit = 0;
/// The run did not succeed.
pub(crate) const RUN_FAILED: Exit = 1;
/// The run was stopped by the one who watched.
pub(crate) const STOPPED: Exit = 130;

/// What every command about runs needs.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) engine: Engine,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) screen: Screen,
}

impl Session {
    /// `impasto run`.
    pub(crate) async fn run(&self, command: RunCommand) -> Result<Exit> {
        let plan = Arc::new(lint::compile(&command.workflow, &self.catalog, self.screen)?);
        prepare_output(&command.output)?;
        let input = self.inputs(&command.inputs.inputs, &plan)?;
        let request = Request {
            policy: policy(&command.policy, &self.catalog)?,
            no_cache: command.output.no_cache,
            ..Request::new(Source::Workflow(Arc::clone(&plan)), input)
        };
        self.submit(request, &plan, &command.output).await
    }

    /// `impasto plan`.
    pub(crate) fn plan(&self, command: &PlanCommand) -> Result<Exit> {
        let plan = Arc::new(lint::compile(&command.workflow, &self.catalog, self.screen)?);
        let input = self.inputs(&command.inputs.inputs, &plan)?;
        let request = Request {
            policy: policy(&command.policy, &self.catalog)?,
            ..Request::new(Source::Workflow(plan), input)
        };
        let report = self.engine.plan(&request)?;
        show::plan(&report, self.screen);
        let undecided = report
            .steps
            .iter()
            .flat_map(show::decisions)
            .any(|(_, decision)| decision.ranked.is_empty());
        Ok(if undecided { RUN_FAILED } else { FINE })
    }

    /// `impasto generate`.
    pub(crate) async fn generate(&self, command: GenerateCommand) -> Result<Exit> {
        let task = self.catalog.task(&TaskId::new(command.task.as_str()))?;
        let plan = Plan::single(task, Policy::default());
        let mut input = self.inputs(&command.inputs.inputs, &plan)?;
        if let Some(prompt) = command.prompt {
            let spoken = task
                .input
                .iter()
                .find(|field| field.required && matches!(field.ty, Type::Prompt | Type::Text));
            let field = spoken.ok_or_else(|| {
                Error::invalid(format!("{} takes no prompt", task.id))
                    .hint(format!("`impasto tasks {}` says what it takes", task.id))
            })?;
            input.insert(field.name.clone(), Value::Text(prompt));
        }
        if let Some(count) = command.count {
            if task.input_field("num_images").is_none() {
                return Err(
                    Error::invalid(format!("{} makes one at a time", task.id)).hint("leave -n out")
                );
            }
            input.insert("num_images".to_owned(), Value::from(count));
        }
        if let Some(seed) = command.seed.filter(|_| task.input_field("seed").is_some()) {
            input.insert("seed".to_owned(), Value::from(seed));
        }
        prepare_output(&command.output)?;
        let request = Request {
            policy: policy(&command.policy, &self.catalog)?,
            seed: command.seed.map(u64::from),
            no_cache: command.output.no_cache,
            ..Request::new(Source::Task(task.id.clone()), input)
        };
        self.submit(request, &plan, &command.output).await
    }

    /// `impasto resume`.
    pub(crate) async fn resume(&self, command: ResumeCommand) -> Result<Exit> {
        prepare_output(&command.output)?;
        let run = match &command.run {
            Some(run) => self.find(run).await?,
            None => self.newest_unfinished().await?,
        };
        let plan = self.engine.run_plan(TenantId::local(), run.clone()).await?;
        let report = self.engine.report(TenantId::local(), run.clone()).await?;
        if report.status == RunStatus::Succeeded {
            // It is done; what may be missing are the files.
            return self
                .conclude(
                    run,
                    &plan,
                    &command.output,
                    &Outcome::Succeeded { output: Values::new() },
                )
                .await;
        }
        let handle = self.engine.resume(TenantId::local(), run).await?;
        self.follow(handle, &plan, &command.output).await
    }

    /// `impasto approve`.
    pub(crate) async fn approve(&self, command: ApproveCommand) -> Result<Exit> {
        prepare_output(&command.output)?;
        let run = self.find(&command.run).await?;
        let (key, approved) = (command.step.parse()?, !command.reject);
        let answer = Answer { key, approved, note: command.note };
        let plan = self.engine.run_plan(TenantId::local(), run.clone()).await?;
        match self.engine.answer(TenantId::local(), run.clone(), answer).await? {
            Some(handle) => self.follow(handle, &plan, &command.output).await,
            None => Err(Error::internal(format!("run {run} is under way in this process"))),
        }
    }

    async fn newest_unfinished(&self) -> Result<RunId> {
        let statuses = vec![RunStatus::Interrupted, RunStatus::Failed, RunStatus::Parked];
        let filter = RunFilter { statuses, ..RunFilter::newest(TenantId::local(), 1) };
        let newest = self.engine.runs(filter).await?.into_iter().next();
        newest.map(|record| record.run.id).ok_or_else(|| {
            Error::not_found("there is no unfinished run").hint("`impasto runs` lists all of them")
        })
    }

    /// `impasto runs`.
    pub(crate) async fn list(&self, command: RunsCommand) -> Result<Exit> {
        let statuses = command.status.map(status).into_iter().collect();
        let filter = RunFilter { statuses, ..RunFilter::newest(TenantId::local(), command.limit) };
        show::runs(&self.engine.runs(filter).await?, self.screen);
        Ok(FINE)
    }

    /// `impasto show RUN`.
    pub(crate) async fn show(&self, run: &str) -> Result<Exit> {
        let run = self.find(run).await?;
        let report = self.engine.report(TenantId::local(), run).await?;
        show::run(&report, self.screen);
        Ok(FINE)
    }

    /// `impasto cancel RUN`.
    pub(crate) async fn cancel(&self, run: &str) -> Result<Exit> {
        let run = self.find(run).await?;
        self.engine.cancel(TenantId::local(), run.clone()).await?;
        if self.screen.json {
            self.screen.json_line(&serde_json::json!({"run": run, "cancelled": true}));
        } else {
            self.screen.note(format!("run {run} is cancelled"));
        }
        Ok(FINE)
    }

    /// The run whose id begins so, if there is exactly one.
    async fn find(&self, prefix: &str) -> Result<RunId> {
        let filter =
            RunFilter { id_prefix: prefix.to_owned(), ..RunFilter::newest(TenantId::local(), 2) };
        let found = self.engine.runs(filter).await?;
        match found.as_slice() {
            [one] => Ok(one.run.id.clone()),
            [] => Err(Error::not_found(format!("there is no run {prefix}"))
                .hint("`impasto runs` lists them")),
            _ => Err(Error::invalid(format!("more than one run begins with {prefix}"))
                .hint("write more of it")),
        }
    }

    fn inputs(&self, typed: &[String], plan: &Plan) -> Result<Values> {
        let import = |path: &Path| self.engine.import(path);
        inputs::read(typed, &plan.inputs, &import).map_err(|mut errors| {
            let last = errors.pop().unwrap_or_else(|| Error::internal("no error"));
            errors.iter().for_each(|error| self.screen.error(error));
            last
        })
    }

    async fn submit(&self, request: Request, plan: &Plan, output: &OutputFlags) -> Result<Exit> {
        let handle = self.engine.submit(request).await?;
        self.follow(handle, plan, output).await
    }

    /// Shows a run until it has ended. The first Ctrl-C asks it to stop, the second ends the process.
    async fn follow(
        &self,
        mut handle: RunHandle,
        plan: &Plan,
        output: &OutputFlags,
    ) -> Result<Exit> {
        let run = handle.id.clone();
        let mut progress = Progress::of(self.screen, plan, output.quiet);
        let mut asked = false;
        if let Some(mut updates) = handle.updates() {
            loop {
                tokio::select! {
                    update = updates.next() => match update {
                        Some(update) => progress.show(&update?),
                        None => break,
                    },
                    () = interrupted() => {
                        if asked {
                            progress.end();
                            return Err(Error::cancelled().hint(format!("`impasto resume {run}` goes on")));
                        }
                        asked = true;
                        progress.say(self.screen, "stopping; press Ctrl-C again to stop at once");
                        self.engine.interrupt(&run);
                    }
                }
            }
        }
        let outcome = handle.wait().await;
        progress.end();
        self.conclude(run, plan, output, &outcome?).await
    }

    /// Delivers what there is and says how it went.
    async fn conclude(
        &self,
        run: RunId,
        plan: &Plan,
        output: &OutputFlags,
        outcome: &Outcome,
    ) -> Result<Exit> {
        let report = self.engine.report(TenantId::local(), run.clone()).await?;
        let usual = || Path::new(OUTPUT_FOLDER).join(run.as_str());
        let folder: PathBuf = output.output.clone().unwrap_or_else(usual);
        let succeeded = matches!(outcome, Outcome::Succeeded { .. });
        let mut delivered = Vec::new();
        if succeeded || output.output.is_some() {
            delivered = deliver(&self.engine, plan, &report, &folder)?;
        }
        if self.screen.json {
            let files: Vec<String> =
                delivered.iter().map(|file| file.path.display().to_string()).collect();
            self.screen.json_line(&serde_json::json!({
                "event": "ended", "run": run, "status": report.status, "output": report.output,
                "errors": report.errors, "totals": report.totals, "files": files,
            }));
        } else {
            show::ending(&report, output.quiet, self.screen);
            for file in &delivered {
                self.screen.line(format!("{}  {}", file.path.display(), show::size(file.bytes)));
            }
        }
        Ok(self.exit(&report))
    }

    fn exit(&self, report: &RunReport) -> Exit {
        let hint = |text: String| {
            if !self.screen.json {
                self.screen.note(self.screen.paint(&text, Style::Dim));
            }
        };
        match report.status {
            RunStatus::Succeeded => FINE,
            RunStatus::Interrupted => {
                hint(format!("`impasto resume {}` goes on where it stopped", report.run));
                STOPPED
            }
            RunStatus::Failed => {
                hint(format!(
                    "`impasto resume {}` tries again what failed; what is done stays done",
                    report.run
                ));
                RUN_FAILED
            }
            RunStatus::Parked => {
                let asking = report.steps.iter().filter(|step| step.status == Status::Asking);
                for step in asking {
                    let asked = step.input.as_ref().and_then(|input| input.get("question"));
                    let question = asked.and_then(Value::as_text).unwrap_or_default();
                    hint(format!(
                        "{} asks: {question}\n`impasto show {run}` shows what it is about, \
                         `impasto approve {run} {}` says yes, with --reject no",
                        step.key,
                        step.key,
                        run = report.run
                    ));
                }
                WAITS
            }
            _ => RUN_FAILED,
        }
    }
}

/// Waits for Ctrl-C, or for the wish of the system that the process ends.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

fn prepare_output(flags: &OutputFlags) -> Result<()> {
    flags.output.as_deref().map_or(Ok(()), try_folder)
}

fn policy(flags: &PolicyFlags, catalog: &Catalog) -> Result<Policy> {
    let max_cost = flags
        .max_cost
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|message: String| Error::invalid(format!("--max-cost: {message}")))?;
    let models = flags.models.iter().map(|name| Ok(catalog.served_model(name)?.id.clone()));
    let models = models.collect::<Result<Vec<ModelId>>>()?;
    if flags.max_latency.is_some_and(|seconds| !seconds.is_finite() || seconds < 0.0) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "--max-latency is a number of seconds, from 0",
        ));
    }
    Ok(Policy {
        tier: flags.tier.map(tier),
        max_cost,
        max_latency_ms: flags.max_latency.map(|seconds| (seconds * 1000.0) as u64),
        models,
        ..Policy::default()
    })
}

fn tier(name: TierName) -> Tier {
    match name {
        TierName::Draft => Tier::Draft,
        TierName::Standard => Tier::Standard,
        TierName::Hero => Tier::Hero,
    }
}

fn status(name: StatusName) -> RunStatus {
    match name {
        StatusName::Running => RunStatus::Running,
        StatusName::Succeeded => RunStatus::Succeeded,
        StatusName::Failed => RunStatus::Failed,
        StatusName::Interrupted => RunStatus::Interrupted,
        StatusName::Cancelled => RunStatus::Cancelled,
        StatusName::Parked => RunStatus::Parked,
    }
}
