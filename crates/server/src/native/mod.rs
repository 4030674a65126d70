//! The native API: a handler for each route of [`impasto_api::ROUTES`].
//!
//! Invariants
//! - Method, path and who may are the table's; a handler is found by the id of its route.
//! - A caller is known and allowed before a handler runs: [`guard`] sees to it, not the handler.

mod admin;
mod assets;
mod catalogue;
mod errors;
mod extract;
mod hints;
mod plan;
mod runs;
mod show;
#[cfg(test)]
mod tests;
mod uploads;
mod webhooks;
mod workflows;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use impasto_api::{Access, Method, ROUTES, Route};

use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::problem::Problem;

pub(crate) use catalogue::page_of;
pub(crate) use extract::page;
pub(crate) use show::{Viewer, error as error_view, run_view};
pub(crate) use uploads::sweep as sweep_uploads;

/// Every route of the table, and pages for people.
pub(crate) fn routes(app: &App) -> Router<App> {
    let pages = Router::new()
        .route("/", get(|| async { Redirect::temporary("/docs") }))
        .route("/docs/errors/{code}", get(errors::page));
    ROUTES.iter().fold(pages, |router, route| match handler(route) {
        Some(handler) => router.route(route.path, guarded(app, route, handler)),
        None => router,
    })
}

/// What answers a route.
fn handler(route: &Route) -> Option<MethodRouter<App>> {
    let method = match route.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    };
    Some(match route.id {
        "createRun" => on(method, runs::create),
        "listRuns" => on(method, runs::list),
        "getRun" => on(method, runs::get),
        "getRunReport" => on(method, runs::report),
        "streamRun" => on(method, runs::stream),
        "cancelRun" => on(method, runs::cancel),
        "signalRun" => on(method, runs::signal),
        "plan" => on(method, plan::plan),
        "listModels" => on(method, catalogue::models),
        "getModel" => on(method, catalogue::model),
        "listTasks" => on(method, catalogue::tasks),
        "getTask" => on(method, catalogue::task),
        "reloadCatalogue" => on(method, catalogue::reload),
        "listWorkflows" => on(method, workflows::list),
        "getWorkflow" => on(method, workflows::get),
        "putWorkflow" => on(method, workflows::put),
        "listWorkflowVersions" => on(method, workflows::versions),
        "deleteWorkflow" => on(method, workflows::remove),
        "createAsset" => on(method, assets::create),
        "listAssets" => on(method, assets::list),
        "getAsset" => on(method, assets::get),
        "getAssetContent" => on(method, assets::content),
        "getAssetLineage" => on(method, assets::lineage),
        "deleteAsset" => on(method, assets::forget),
        "getFile" => on(method, assets::file),
        "beginUpload" => on(method, uploads::begin),
        "getUpload" => on(method, uploads::get),
        "putUploadPart" => on(method, uploads::put_part),
        "completeUpload" => on(method, uploads::complete),
        "abortUpload" => on(method, uploads::abort),
        _ => return desk_handler(route, method),
    })
}

/// What answers a route about whoever calls, or about the server.
fn desk_handler(route: &Route, method: MethodFilter) -> Option<MethodRouter<App>> {
    Some(match route.id {
        "createWebhook" => on(method, webhooks::create),
        "listWebhooks" => on(method, webhooks::list),
        "getWebhook" => on(method, webhooks::get),
        "updateWebhook" => on(method, webhooks::update),
        "rotateWebhookSecret" => on(method, webhooks::rotate),
        "deleteWebhook" => on(method, webhooks::remove),
        "getWebhookSecret" => on(method, webhooks::secret),
        "listDeliveries" => on(method, webhooks::deliveries),
        "redeliver" => on(method, webhooks::redeliver),
        "takeHint" => on(method, hints::take),
        "getUsage" => on(method, admin::usage),
        "createKey" => on(method, admin::create_key),
        "listKeys" => on(method, admin::keys),
        "revokeKey" => on(method, admin::revoke_key),
        "getHealth" => on(method, admin::health),
        "getReadiness" => on(method, admin::ready),
        "getMetrics" => on(method, admin::metrics),
        "getDescription" => on(method, admin::description),
        "getReference" => on(method, admin::reference),
        _ => return None,
    })
}

fn guarded(app: &App, route: &'static Route, handler: MethodRouter<App>) -> MethodRouter<App> {
    match route.access {
        Access::Open | Access::Signed => handler,
        _ => handler.route_layer(from_fn_with_state((app.clone(), route), guard)),
    }
}

/// Lets a request pass whose caller may, and that asks for nothing that is not known.
async fn guard(
    State((app, route)): State<(App, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match Caller::from_request_parts(&mut parts, &app).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let allowed = may(&caller, route.access);
    if let Err(problem) = allowed.and_then(|()| extract::check_query(route, &parts.uri)) {
        return problem.into_response();
    }
    parts.extensions.insert(caller);
    next.run(Request::from_parts(parts, body)).await
}

fn may(caller: &Caller, access: Access) -> Result<(), Problem> {
    match access {
        Access::Open | Access::Signed => Ok(()),
        Access::Read => caller.may(Scope::Read),
        Access::Run => caller.may(Scope::Run),
        Access::Write => caller.may(Scope::Write),
        Access::Admin => caller.may_run_the_server(),
    }
}
