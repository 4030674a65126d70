//! What a run would do.

use axum::extract::State;
use impasto_api::{PlanAnswer, PlanRequest, PlannedStepView};
use impasto_domain::Error;
use impasto_engine::{PlanReport, PlannedStep};

use super::extract::Sent;
use super::runs::{Wish, check_options, policy};
use super::show::money;
use crate::app::App;
use crate::caller::Caller;
use crate::calls::{Call, Name, Origin};
use crate::problem::Problem;

/// `POST /v1/plan`
pub(super) async fn plan(
    State(app): State<App>,
    caller: Caller,
    sent: Sent<PlanRequest>,
) -> Result<axum::Json<PlanAnswer>, Problem> {
    let PlanRequest { task, model, workflow, source, input, policy: wanted } = sent.value;
    let wish = Wish { task, model, workflow };
    let (name, tasks) = match source {
        Some(source) if wish.is_empty() => (Name::Text(source), Vec::new()),
        Some(_) => {
            let message = "`source` is a workflow: no `task`, `model` or `workflow` goes with it";
            return Err(Error::invalid(message).into());
        }
        None => check_options(&wish, &input)
            .and_then(|()| wish.name())
            .map(|(name, tasks, _)| (name, tasks))?,
    };
    let origin = Origin { face: "native".to_owned(), ..Origin::default() };
    let policy = wanted.map(policy).transpose()?.unwrap_or_default();
    let call = Call { tasks, policy, ..Call::new(name, input, origin) };
    let request = app.request(&caller, call).await?;
    Ok(axum::Json(answer(app.engine().plan(&request)?)))
}

fn answer(report: PlanReport) -> PlanAnswer {
    PlanAnswer {
        work: report.workflow,
        steps: report.steps.into_iter().map(step).collect(),
        missing: report.missing,
        cost_low: money(report.cost_low),
        cost_high: money(report.cost_high),
        time_low_ms: report.time_low_ms,
        time_high_ms: report.time_high_ms,
    }
}

fn step(step: PlannedStep) -> PlannedStepView {
    PlannedStepView {
        name: step.name,
        task: step.task.map(|task| task.to_string()),
        needs: step.needs,
        instances: step.instances.map(|instances| instances as u64),
        decision: step.decision.and_then(|decision| serde_json::to_value(decision).ok()),
        cost_low: money(step.cost_low),
        cost_high: money(step.cost_high),
    }
}
