//! Model Context Protocol: the server's work as tools for language models, over standard input and
//! output or over HTTP at `/mcp`.
//!
//! Invariants
//! - A tool is a row of [`tools::TOOLS`]: its name, what it is told to a model, the schema of its
//!   arguments, and the function that does it.
//! - What goes wrong in a tool is its answer (`isError`), with what to do about it, so that the model
//!   can mend it; only an unknown tool is an error of the protocol.
//! - A model sees what its key's tenant sees, and nothing else.

mod check;
mod tools;

use std::sync::Arc;

use axum::Router;
use http::request::Parts;
use impasto_domain::{Error, Result};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProgressToken,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{Peer, RequestContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Map, Value as Json};

use crate::app::App;
use crate::caller::{Caller, authorization};
use crate::{Parts as ServerParts, ServerOptions};

const INSTRUCTIONS: &str = "Impasto makes pictures, videos, speech, music, meshes and worlds with many models. Look with \
     list_tasks and describe_task what can be done and what it takes; plan tells what a call would \
     cost before anything is paid; generate does one task; run_workflow does many steps; get_run \
     says how far a run is; fetch_result gives its files.";

/// Answers one client.
#[derive(Clone)]
pub(crate) struct Tools {
    app: App,
    /// Who calls, where that is known before a request comes: on standard input.
    caller: Option<Caller>,
}

/// Who calls a tool, and whom to tell how far it is.
pub(crate) struct Asked {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) arguments: Map<String, Json>,
    /// Whether the client runs on this machine, so that files may be written for it.
    pub(crate) is_local: bool,
    progress: Option<(Peer<RoleServer>, ProgressToken)>,
}

impl Asked {
    /// Tells how far it is, if anybody wants to know.
    pub(crate) async fn progress(&self, fraction: f64, note: &str) {
        if let Some((peer, token)) = &self.progress {
            let told = ProgressNotificationParam::new(token.clone(), fraction);
            // A client that is gone needs no progress.
            let _gone = peer.notify_progress(told.with_total(1.0).with_message(note)).await;
        }
    }
}

impl Tools {
    async fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Caller> {
        if let Some(caller) = &self.caller {
            return Ok(caller.clone());
        }
        let headers = context.extensions.get::<Parts>().map(|parts| &parts.headers);
        let secret = headers.and_then(|headers| authorization(headers, &["bearer", "key"]));
        self.app.caller(secret).await
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<Vec<ContentBlock>> {
        let row = tools::TOOLS.iter().find(|row| row.name == request.name);
        let row = row.ok_or_else(|| Error::not_found(format!("no tool `{}`", request.name)))?;
        let caller = self.caller(&context).await?;
        let token = context.meta.get_progress_token();
        let asked = Asked {
            app: self.app.clone(),
            caller,
            arguments: request.arguments.unwrap_or_default(),
            is_local: self.caller.is_some(),
            progress: token.map(|token| (context.peer.clone(), token)),
        };
        tokio::select! {
            answer = (row.run)(asked) => answer,
            () = context.ct.cancelled() => Err(Error::cancelled()),
        }
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("impasto", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = tools::TOOLS.iter();
        let tools = tools.map(|row| Tool::new(row.name, row.about, Arc::new(row.schema())));
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !tools::TOOLS.iter().any(|row| row.name == request.name) {
            let message = format!("there is no tool `{}`", request.name);
            return Err(ErrorData::invalid_params(message, None));
        }
        let answer = self.call(request, context).await;
        Ok(answer.map_or_else(|error| refused(&error), CallToolResult::success).into())
    }
}

fn refused(error: &Error) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(error.to_string())])
}

/// The route of the protocol over HTTP. Its clients are programs: hosts are checked by the listener
/// and keys by the tools, so any host by which this server is reached will do.
pub(crate) fn routes(app: App) -> Router<App> {
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = false;
    config.json_response = true;
    config.allowed_hosts = Vec::new();
    let tools = Tools { app: app.clone(), caller: None };
    let make = move || Ok(tools.clone());
    let service =
        StreamableHttpService::new(make, Arc::new(LocalSessionManager::default()), config);
    Router::new()
        .nest_service("/mcp", service)
        .layer(axum::middleware::from_fn_with_state(app, check::check))
}

/// Serves one client on standard input and output until it goes. Runs that a process before left
/// behind are taken up first.
///
/// # Errors
/// The store cannot be read, or the client does not speak the protocol.
pub async fn serve_mcp(parts: ServerParts, options: ServerOptions) -> Result<()> {
    parts.engine.resume_orphans().await?;
    let tools = Tools { app: App::new(parts, options), caller: Some(Caller::local()) };
    let said = |error: &dyn std::fmt::Display| {
        Error::invalid(format!("the client does not speak the Model Context Protocol: {error}"))
            .hint("`impasto mcp` is started by a client such as an editor or an agent")
    };
    let running = tools.serve(stdio()).await.map_err(|error| said(&error))?;
    running.waiting().await.map(drop).map_err(|error| said(&error))
}
