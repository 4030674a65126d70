//! Workflows that are kept under a name.

use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use impasto_api::{WorkflowList, WorkflowPut, WorkflowView};
use impasto_domain::{Error, Severity};
use impasto_store::WorkflowRecord;
use impasto_workflow::Plan;
use serde::Deserialize;

use super::catalogue::field;
use super::extract::{Asked, Named, media_type, read_json};
use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::whole::whole;

/// The longest text of a workflow, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// The longest name.
const NAME_CHARS_MAX: usize = 100;
/// What a text may be sent as.
const YAML: [&str; 4] = ["application/yaml", "application/x-yaml", "text/yaml", "text/plain"];

/// How a workflow is shown in a list.
fn listed(record: WorkflowRecord) -> WorkflowView {
    WorkflowView {
        name: record.name,
        version: record.version,
        created_ms: record.created_ms,
        input: None,
        source: None,
        warnings: Vec::new(),
    }
}

/// A workflow with its text. One that does not fit the catalogue any more is shown too.
fn shown(app: &App, record: WorkflowRecord, warnings: Vec<String>) -> WorkflowView {
    let (input, warnings) = match app.compiled(&record.text) {
        Ok(plan) => (Some(plan.inputs.iter().map(field).collect()), warnings),
        Err(error) => (None, vec![error.message]),
    };
    let source = Some(record.text.clone());
    WorkflowView { input, source, warnings, ..listed(record) }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("there is no workflow `{name}`"))
        .hint("PUT /v1/workflows/{name} keeps one")
}

/// There is no such version, or nothing of that name at all.
async fn no_version(app: &App, caller: &Caller, name: &str, version: u32) -> Result<Error, Error> {
    let newest = app.store().workflow(caller.tenant.clone(), name.to_owned(), None).await?;
    Ok(newest.map_or_else(
        || missing(name),
        |newest| {
            let message = format!("the workflow `{name}` has no version {version}");
            let hint =
                format!("the newest is {}; GET /v1/workflows/{name}/versions", newest.version);
            Error::not_found(message).hint(hint)
        },
    ))
}

fn check_name(name: &str) -> Result<(), Error> {
    let usable = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
    let begins = name.starts_with(|sign: char| sign.is_ascii_alphanumeric());
    if begins && name.len() <= NAME_CHARS_MAX && name.chars().all(usable) {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
    Err(Error::invalid(format!("'{shown}' is no name of a workflow")).hint(format!(
        "use letters, digits, `-`, `_` and `.`, a letter or digit first, at most {NAME_CHARS_MAX}"
    )))
}

/// `GET /v1/workflows`
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<axum::Json<WorkflowList>, Problem> {
    let workflows = app.store().workflows(caller.tenant).await?;
    Ok(axum::Json(WorkflowList { workflows: workflows.into_iter().map(listed).collect() }))
}

/// Which version is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionQuery {
    version: Option<u32>,
}

/// `GET /v1/workflows/{name}`
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
    Asked(query): Asked<VersionQuery>,
) -> Result<axum::Json<WorkflowView>, Problem> {
    let tenant = caller.tenant.clone();
    let found = app.store().workflow(tenant, name.clone(), query.version).await?;
    let record = match (found, query.version) {
        (Some(record), _) => record,
        (None, Some(version)) => {
            return Err(no_version(&app, &caller, &name, version).await?.into());
        }
        (None, None) => return Err(missing(&name).into()),
    };
    Ok(axum::Json(shown(&app, record, Vec::new())))
}

/// `PUT /v1/workflows/{name}`
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<axum::Json<WorkflowView>, Problem> {
    check_name(&name)?;
    let given = media_type(&headers).unwrap_or_default();
    let body = whole(body, TEXT_BYTES_MAX).await?;
    let text = if YAML.contains(&given.as_str()) {
        String::from_utf8(body.into())
            .map_err(|_| Error::invalid("the workflow is no text").hint("send UTF-8"))?
    } else if given == "application/json" {
        read_json::<WorkflowPut>(&body)?.source
    } else {
        let takes = "application/json or application/yaml";
        return Err(Problem::unsupported_media_type(&given, takes));
    };
    let catalog = app.catalog();
    let warnings = match Plan::compile(&text, &catalog.tasks) {
        Ok((_, found)) => found
            .iter()
            .filter(|one| one.severity == Severity::Warning)
            .map(|one| one.render(&name, &text))
            .collect(),
        // Says the same, in the words in which it is said everywhere.
        Err(_) => app.compiled(&text).map(|_| Vec::new())?,
    };
    let (tenant, now_ms) = (caller.tenant.clone(), app.now_ms());
    let version = app.store().put_workflow(tenant, name.clone(), text, now_ms).await?;
    let found = app.store().workflow(caller.tenant, name.clone(), Some(version)).await?;
    let record = found.ok_or_else(|| missing(&name))?;
    Ok(axum::Json(shown(&app, record, warnings)))
}

/// `GET /v1/workflows/{name}/versions`
pub(super) async fn versions(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<axum::Json<WorkflowList>, Problem> {
    let found = app.store().workflow_versions(caller.tenant, name.clone()).await?;
    if found.is_empty() {
        return Err(missing(&name).into());
    }
    Ok(axum::Json(WorkflowList { workflows: found.into_iter().map(listed).collect() }))
}

/// `DELETE /v1/workflows/{name}`
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    match app.store().remove_workflow(caller.tenant, name.clone()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(missing(&name).into()),
    }
}
