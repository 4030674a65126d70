//! The tools that a language model is given.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_domain::{AssetRef, Error, Result, RunId, TaskId, Values};
use impasto_engine::{Answer, PlanReport, UpdateKind};
use impasto_workflow::Event;
use rmcp::model::ContentBlock;
use serde_json::{Map, Value as Json, json};

use super::Asked;
use crate::caller::Scope;
use crate::calls::{Call, Name, Origin, RunView, ViewStatus};
use crate::native::{page, page_of};

type Answering = Pin<Box<dyn Future<Output = Result<Vec<ContentBlock>>> + Send>>;

/// A tool.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What a model is told of it.
    pub(crate) about: &'static str,
    /// Its arguments: name, JSON type, whether it is required, what it is.
    arguments: &'static [(&'static str, &'static str, bool, &'static str)],
    pub(crate) run: fn(Asked) -> Answering,
}

impl Row {
    /// The JSON Schema of its arguments.
    pub(crate) fn schema(&self) -> Map<String, Json> {
        let property = |(name, ty, _, about): &(&str, &str, bool, &str)| {
            ((*name).to_owned(), json!({"type": ty, "description": about}))
        };
        let properties: Map<String, Json> = self.arguments.iter().map(property).collect();
        let required = self.arguments.iter().filter(|(_, _, required, _)| *required);
        let required: Vec<&str> = required.map(|(name, ..)| *name).collect();
        Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("properties".to_owned(), Json::Object(properties)),
            ("required".to_owned(), json!(required)),
            ("additionalProperties".to_owned(), json!(false)),
        ])
    }
}

const INPUT: (&str, &str, bool, &str) = (
    "input",
    "object",
    false,
    "Inputs by name; a file is a URL, a data URI or {\"asset\": digest}. describe_task lists them.",
);
const WAIT: (&str, &str, bool, &str) =
    ("wait_s", "number", false, "How long to wait for the end, in seconds; 60 if it is not said.");

/// Every tool.
pub(crate) const TOOLS: &[Row] = &[
    Row {
        name: "list_tasks",
        about: "Lists what can be done: every task with a sentence about it.",
        arguments: &[],
        run: |asked| Box::pin(list_tasks(asked)),
    },
    Row {
        name: "describe_task",
        about: "Tells what a task takes and gives, with types, units, limits and defaults.",
        arguments: &[("task", "string", true, "The task, such as text-to-image.")],
        run: |asked| Box::pin(describe_task(asked)),
    },
    Row {
        name: "list_models",
        about: "Lists models with their offers, prices and what is known of their quality.",
        arguments: &[
            ("task", "string", false, "Only models that do this task."),
            ("search", "string", false, "Only models whose id, title or company has this text."),
            ("cursor", "string", false, "Where to go on: next_cursor of the page before."),
            ("limit", "integer", false, "The most to list; 50 if it is not said."),
        ],
        run: |asked| Box::pin(list_models(asked)),
    },
    Row {
        name: "plan",
        about: "Tells which models a call or workflow would use and why, what it would cost and how long it \
                would take. Nothing is done and nothing is paid.",
        arguments: &[
            ("task", "string", false, "A task; or name a workflow."),
            ("workflow", "string", false, "The name of a kept workflow."),
            INPUT,
        ],
        run: |asked| Box::pin(plan(asked)),
    },
    Row {
        name: "generate",
        about: "Does one task, by a model that is named or by the best one for it. Answers with the run and, \
                when it is done in time, with its results.",
        arguments: &[
            ("task", "string", true, "The task, such as text-to-image."),
            ("model", "string", false, "A model, `auto`, or a tier: draft, standard, hero."),
            INPUT,
            WAIT,
        ],
        run: |asked| Box::pin(generate(asked)),
    },
    Row {
        name: "run_workflow",
        about: "Runs a kept workflow. Answers like generate.",
        arguments: &[
            ("workflow", "string", true, "Its name."),
            ("version", "integer", false, "Its version; the newest if it is not said."),
            INPUT,
            WAIT,
        ],
        run: |asked| Box::pin(run_workflow(asked)),
    },
    Row {
        name: "get_run",
        about: "Tells where a run stands, what it has cost, why it failed, or what a person is asked.",
        arguments: &[("run", "string", true, "Its id.")],
        run: |asked| Box::pin(get_run(asked)),
    },
    Row {
        name: "answer",
        about: "Says yes or no to a step of a run that waits for a person. Ask the person first.",
        arguments: &[
            ("run", "string", true, "The run's id."),
            ("step", "string", true, "The step that waits."),
            ("approved", "boolean", true, "Whether it may go on."),
            ("note", "string", false, "What the person said."),
        ],
        run: |asked| Box::pin(answer(asked)),
    },
    Row {
        name: "cancel_run",
        about: "Gives a run up for good, at the provider too.",
        arguments: &[("run", "string", true, "Its id.")],
        run: |asked| Box::pin(cancel_run(asked)),
    },
    Row {
        name: "fetch_result",
        about: "Gives the files of a run: small pictures and sounds in the answer itself, and all of them in a \
                folder of this machine if one is named.",
        arguments: &[
            ("run", "string", true, "Its id."),
            ("folder", "string", false, "Where to write the files, on a server that runs here."),
        ],
        run: |asked| Box::pin(fetch_result(asked)),
    },
];

/// The largest file that is put into an answer, in bytes.
const INLINE_MAX: u64 = 1 << 20;
/// How long an answer waits for a run if nothing is said, in seconds.
const WAIT_S: f64 = 60.0;
/// The longest that it may wait, in seconds.
const WAIT_MOST_S: f64 = 600.0;

impl Asked {
    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.arguments.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(Error::invalid(format!("`{name}` is {other}, it has to be text"))),
        }
    }

    fn need(&self, name: &str) -> Result<String> {
        let missing = || Error::invalid(format!("`{name}` is missing"));
        self.text(name)?.ok_or_else(missing)
    }

    fn run(&self) -> Result<RunId> {
        self.need("run").map(RunId::new)
    }

    fn input(&self) -> Result<Map<String, Json>> {
        match self.arguments.get("input") {
            None | Some(Json::Null) => Ok(Map::new()),
            Some(Json::Object(input)) => Ok(input.clone()),
            // Some clients send objects as text.
            Some(Json::String(text)) => serde_json::from_str(text)
                .map_err(|error| Error::invalid(format!("`input` is no JSON object: {error}"))),
            Some(other) => {
                Err(Error::invalid(format!("`input` is {other}, it has to be an object")))
            }
        }
    }

    fn patience(&self) -> Duration {
        let seconds = self.arguments.get("wait_s").and_then(Json::as_f64).unwrap_or(WAIT_S);
        Duration::from_secs_f64(seconds.clamp(0.0, WAIT_MOST_S))
    }

    fn call(&self, name: Name, said: &str) -> Result<Call> {
        let origin = Origin {
            face: "mcp".to_owned(),
            path: "/mcp".to_owned(),
            name: said.to_owned(),
            ..Origin::default()
        };
        Ok(Call::new(name, self.input()?, origin))
    }
}

fn said(json: &Json) -> Result<Vec<ContentBlock>> {
    let text = serde_json::to_string_pretty(json)
        .map_err(|error| Error::internal(format!("the answer cannot be written: {error}")))?;
    Ok(vec![ContentBlock::text(text)])
}

async fn list_tasks(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Read)?;
    let catalog = asked.app.catalog();
    let row = |task: &impasto_domain::Task| {
        let offers = catalog.offers_for(&task.id).count();
        json!({"task": task.id, "about": task.description, "offers": offers})
    };
    said(&catalog.tasks.values().map(row).collect())
}

async fn describe_task(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Read)?;
    let catalog = asked.app.catalog();
    let task = catalog.task(&TaskId::new(asked.need("task")?))?;
    said(
        &json!({"task": task.id, "about": task.description, "takes": task.input, "gives": task.output}),
    )
}

async fn list_models(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Read)?;
    let catalog = asked.app.catalog();
    let (task, search) = (asked.text("task")?.map(TaskId::new), asked.text("search")?);
    let search = search.unwrap_or_default().to_lowercase();
    let wanted = |model: &impasto_catalog::Model| {
        let text = format!("{} {} {}", model.id, model.title, model.company).to_lowercase();
        task.as_ref().is_none_or(|task| model.tasks.contains(task)) && text.contains(&search)
    };
    let row = |model: &impasto_catalog::Model| {
        let offers = model.offers.iter().filter_map(|id| catalog.offers.get(id));
        let offers: Vec<Json> = offers
            .map(|it| json!({"provider": it.provider, "task": it.task, "price": it.price.describe()}))
            .collect();
        json!({"model": model.id, "about": model.description, "note": model.note, "tier": model.tier,
               "licence": model.licence, "offers": offers})
    };
    let limit = asked.arguments.get("limit").and_then(Json::as_u64);
    let limit = page(&asked.app, limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))?;
    let (models, next) = page_of(&catalog, wanted, asked.text("cursor")?, limit)?;
    let models: Vec<Json> = models.into_iter().map(row).collect();
    let mut list = json!({ "models": models });
    if let Some(next) = next {
        list["next_cursor"] = next.into();
    }
    said(&list)
}

async fn plan(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Read)?;
    let name = match (asked.text("task")?, asked.text("workflow")?) {
        (Some(task), None) => Name::Task(TaskId::new(task)),
        (None, Some(name)) => Name::Workflow { name, version: None },
        _ => return Err(Error::invalid("name either a `task` or a `workflow`")),
    };
    let call = asked.call(name, "plan")?;
    let request = asked.app.request(&asked.caller, call).await?;
    let report: PlanReport = asked.app.engine().plan(&request)?;
    said(&serde_json::to_value(&report).unwrap_or_default())
}

async fn generate(asked: Asked) -> Result<Vec<ContentBlock>> {
    let task = TaskId::new(asked.need("task")?);
    let (name, spoken) = match asked.text("model")? {
        Some(model) => (Name::Model(model.clone()), model),
        None => (Name::Task(task.clone()), task.to_string()),
    };
    let call = Call { tasks: vec![task], ..asked.call(name, &spoken)? };
    carry_out(asked, call).await
}

async fn run_workflow(asked: Asked) -> Result<Vec<ContentBlock>> {
    let name = asked.need("workflow")?;
    let version = asked.arguments.get("version").and_then(Json::as_u64);
    let version = version.map(|version| u32::try_from(version).unwrap_or(u32::MAX));
    let call = asked.call(Name::Workflow { name: name.clone(), version }, &name)?;
    carry_out(asked, call).await
}

/// Submits a call and waits for it, telling how far it is.
async fn carry_out(asked: Asked, call: Call) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Run)?;
    let patience = asked.patience();
    let ticket = asked.app.submit(&asked.caller, call).await?;
    let run = ticket.run.clone();
    let following = follow(&asked, &run);
    tokio::select! {
        () = following => {}
        () = tokio::time::sleep(patience) => {}
    }
    let view = asked.app.view(&asked.caller, &run).await?;
    results(&asked, &view).await
}

/// Tells how far a run is until it has ended.
async fn follow(asked: &Asked, run: &RunId) {
    let mut updates = asked.app.updates(&asked.caller, run, 0);
    let (mut done, mut told) = (0.0_f64, 0.0_f64);
    while let Some(Ok(update)) = updates.next().await {
        let (fraction, note) = match &update.kind {
            UpdateKind::Event(Event::AttemptDone { key, .. } | Event::Reused { key, .. }) => {
                done += 1.0;
                // The number of steps is not known before; this grows and never reaches the end.
                (done / (done + 1.0), format!("{key} is done"))
            }
            UpdateKind::Progress { key, fraction, note } => {
                ((done + fraction) / (done + 2.0), format!("{key}: {note}"))
            }
            _ => continue,
        };
        if fraction > told {
            told = fraction;
            asked.progress(fraction, &note).await;
        }
    }
}

async fn get_run(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Read)?;
    let summary = asked.app.engine().summary(asked.caller.tenant.clone(), asked.run()?).await?;
    let mut shown = serde_json::to_value(&summary).unwrap_or_default();
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("origin");
    }
    said(&shown)
}

async fn answer(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Run)?;
    let approved = asked.arguments.get("approved").and_then(Json::as_bool);
    let approved = approved.ok_or_else(|| Error::invalid("`approved` has to be true or false"))?;
    let note = asked.text("note")?.unwrap_or_default();
    let answer = Answer { key: asked.need("step")?.parse()?, approved, note };
    let (tenant, run) = (asked.caller.tenant.clone(), asked.run()?);
    asked.app.engine().answer(tenant, run.clone(), answer).await?;
    said(&json!({"run": run, "answered": true}))
}

async fn cancel_run(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Run)?;
    let run = asked.run()?;
    asked.app.cancel(&asked.caller, &run).await?;
    said(&json!({"run": run, "cancelled": true}))
}

async fn fetch_result(asked: Asked) -> Result<Vec<ContentBlock>> {
    asked.caller.allow(Scope::Read)?;
    let view = asked.app.view(&asked.caller, &asked.run()?).await?;
    let Some(folder) = asked.text("folder")? else { return results(&asked, &view).await };
    if !asked.is_local {
        return Err(Error::invalid("files are written only for a client on this machine")
            .hint("leave `folder` out; the answer has the files, or where they are"));
    }
    let mut written = Vec::new();
    for (name, asset) in files(&view.outputs) {
        let bytes = asked.app.bytes(&asked.caller, &asset).await?;
        let extension = if asset.is_timeline() { "mp4" } else { asset.extension() };
        let path = Path::new(&folder).join(format!("{name}.{extension}"));
        written.push(write(path, bytes).await?);
    }
    said(&json!({"run": view.id, "files": written}))
}

async fn write(path: PathBuf, bytes: bytes::Bytes) -> Result<String> {
    let failed = |error: std::io::Error| {
        Error::unavailable(format!("'{}' cannot be written: {error}", path.display()))
    };
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    }
    tokio::fs::write(&path, &bytes).await.map_err(failed)?;
    Ok(path.display().to_string())
}

/// The files among the outputs of a run, each with a name of its own.
fn files(outputs: &Values) -> Vec<(String, AssetRef)> {
    let mut files = Vec::new();
    for (name, value) in outputs {
        let assets = value.assets();
        let many = assets.len() > 1;
        for (index, asset) in assets.into_iter().enumerate() {
            let name = if many { format!("{name}-{}", index + 1) } else { name.clone() };
            files.push((name, asset.clone()));
        }
    }
    files
}

/// What came of a run: its state in words, and what can be looked at or listened to.
async fn results(asked: &Asked, view: &RunView) -> Result<Vec<ContentBlock>> {
    if view.status == ViewStatus::Failed || view.status == ViewStatus::Cancelled {
        let error = view.error.clone().unwrap_or_else(Error::cancelled);
        return Err(error.context(format!("run {}", view.id)));
    }
    let plain = view.outputs.iter().filter(|(_, value)| value.assets().is_empty());
    let plain: Map<String, Json> =
        plain.map(|(name, value)| (name.clone(), value.to_json())).collect();
    let all = files(&view.outputs);
    let listed: Vec<Json> = all
        .iter()
        .map(|(name, it)| json!({"name": name, "asset": it.digest, "type": it.media_type, "facts": it.facts}))
        .collect();
    let mut content = said(&json!({
        "run": view.id, "status": view.status, "cost": view.cost.to_string(),
        "outputs": plain, "files": listed, "error": view.error,
    }))?;
    for (_, asset) in &all {
        let kind = asset.media_type.split('/').next().unwrap_or_default();
        if asset.facts.bytes > INLINE_MAX || !matches!(kind, "image" | "audio") {
            continue;
        }
        let data = STANDARD.encode(asked.app.bytes(&asked.caller, asset).await?);
        content.push(match kind {
            "image" => ContentBlock::image(data, asset.media_type.clone()),
            _ => ContentBlock::audio(data, asset.media_type.clone()),
        });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use impasto_domain::Value;

    use super::*;

    #[test]
    fn every_tool_has_a_schema_of_its_own() {
        let mut names: Vec<&str> = TOOLS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TOOLS.len());
        for row in TOOLS {
            let schema = row.schema();
            let properties = schema["properties"].as_object().unwrap();
            assert_eq!(properties.len(), row.arguments.len(), "{}", row.name);
            let required = schema["required"].as_array().unwrap();
            assert!(required.iter().all(|name| properties.contains_key(name.as_str().unwrap())));
        }
    }

    #[test]
    fn files_are_named_after_their_outputs() {
        let asset = || AssetRef {
            digest: impasto_domain::Digest::of(b"a"),
            media_type: "image/png".into(),
            facts: impasto_domain::MediaFacts::default(),
        };
        let two = Value::List(vec![Value::from(asset()), Value::from(asset())]);
        let outputs = Values::from([
            ("image".to_owned(), Value::from(asset())),
            ("images".to_owned(), two),
            ("seed".to_owned(), Value::Integer(1)),
        ]);
        let names: Vec<String> = files(&outputs).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["image", "images-1", "images-2"]);
    }
}
