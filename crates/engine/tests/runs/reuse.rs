//! Equal work is not done again.

use impasto_domain::{Policy, Values};
use impasto_engine::{Request, RunReport, Source};
use impasto_testkit::Stage;
use impasto_workflow::Status;

use crate::*;

fn reused(report: &RunReport) -> Vec<String> {
    let reused = |step: &&impasto_engine::StepReport| step.status == Status::Done { reused: true };
    report.steps.iter().filter(reused).map(|step| step.key.to_string()).collect()
}

#[tokio::test]
async fn a_changed_input_does_again_only_what_depends_on_it() {
    let stage = Stage::in_memory().unwrap();
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    let (_, first) = run(&engine, &plan, &[]).await;
    assert!(reused(&first).is_empty());
    let (outcome, again) = run(&engine, &plan, &[]).await;
    assert_eq!(reused(&again), ["first", "left", "right", "total"]);
    assert_eq!((output(&outcome, "total"), again.totals.attempts), (12, 0));
    let (outcome, changed) = run(&engine, &plan, &[("other", 20)]).await;
    assert_eq!(reused(&changed), ["first", "left"]);
    assert_eq!(output(&outcome, "total"), 22);
}

#[tokio::test]
async fn work_is_done_again_when_that_is_asked_for() {
    let stage = Stage::in_memory().unwrap();
    let (engine, plan) = (stage.engine(), stage.plan(DIAMOND).unwrap());
    run(&engine, &plan, &[]).await;
    let mut request = Request::new(Source::Workflow(plan), Values::new());
    request.no_cache = true;
    let handle = engine.submit(request).await.unwrap();
    let id = handle.id.clone();
    handle.wait().await.unwrap();
    assert!(reused(&engine.report(local(), id).await.unwrap()).is_empty());
    let plan = stage.plan(&single("    cache: false\n")).unwrap();
    for _ in 0..2 {
        let (_, report) = run(&engine, &plan, &[]).await;
        assert!(reused(&report).is_empty());
    }
}

#[tokio::test]
async fn another_seed_is_other_work() {
    let stage = Stage::in_memory().unwrap();
    let (engine, plan) = (stage.engine(), stage.plan(&single("")).unwrap());
    let seed_of = async |seed: Option<u64>| {
        let request =
            Request { seed, ..Request::new(Source::Workflow(plan.clone()), Values::new()) };
        let handle = engine.submit(request).await.unwrap();
        let id = handle.id.clone();
        handle.wait().await.unwrap();
        let report = engine.report(local(), id).await.unwrap();
        let output = report.steps[0].output.as_ref().unwrap();
        (output["seed"].as_integer().unwrap(), reused(&report).len())
    };
    let (first, second) = (seed_of(None).await, seed_of(Some(5)).await);
    assert_ne!(first.0, second.0, "another seed of the run is another seed of the step");
    assert_eq!(second.1, 0);
    assert_eq!(seed_of(None).await, (first.0, 1), "a workflow without a seed always has the same");
}

#[tokio::test]
async fn another_tenant_has_nothing_to_reuse() {
    let stage = Stage::in_memory().unwrap();
    let (engine, plan) = (stage.engine(), stage.plan(&single("")).unwrap());
    run(&engine, &plan, &[]).await;
    let mut request = Request::new(Source::Workflow(plan), Values::new());
    request.tenant = "somebody-else".into();
    let handle = engine.submit(request).await.unwrap();
    let id = handle.id.clone();
    handle.wait().await.unwrap();
    assert!(engine.report(local(), id.clone()).await.is_err());
    assert!(reused(&engine.report("somebody-else".into(), id).await.unwrap()).is_empty());
}

#[tokio::test]
async fn what_is_asked_for_goes_before_the_policy_at_the_top_of_a_workflow() {
    let stage = Stage::in_memory().unwrap();
    let source = single("").replace("steps:", "policy: { tier: standard }\nsteps:");
    let plan = stage.plan(&source).unwrap();
    let model = async |policy: Policy| {
        let source = Source::Workflow(plan.clone());
        let request = Request { policy, ..Request::new(source, Values::new()) };
        let report = stage.engine().plan(&request).unwrap();
        report.steps[0].decision.as_ref().unwrap().first().unwrap().model.to_string()
    };
    assert_eq!(model(Policy::default()).await, "local");
    let draft = Policy { tier: Some(impasto_domain::Tier::Draft), ..Policy::default() };
    assert_eq!(model(draft).await, "spare");
}
