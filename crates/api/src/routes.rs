//! The table of routes.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    AssetList, AssetView, CatalogueView, DeliveryList, DeliveryView, EndpointCreated, EndpointList,
    EndpointRequest, EndpointView, Health, KeyCreated, KeyList, KeyRequest, LineageView, ModelList,
    ModelView, PlanAnswer, PlanRequest, Readiness, RunList, RunRequest, RunView, SecretView,
    SignalRequest, TaskList, TaskView, UploadRequest, UploadView, UsageView, WorkflowList,
    WorkflowPut, WorkflowView,
};

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or does.
    Post,
    /// Puts in place.
    Put,
    /// Takes away.
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// A key with the scope `read`.
    Read,
    /// A key with the scope `run`.
    Run,
    /// A key with the scope `write`.
    Write,
    /// A key for running the server.
    Admin,
    /// Whoever has the signed address.
    Signed,
}

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind the question mark.
    Query,
    /// In a header.
    Header,
}

/// A parameter that is not part of the path.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub place: Place,
    /// Its type: `string` or `integer`.
    pub ty: &'static str,
    /// What it means.
    pub summary: &'static str,
}

/// The schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a route takes as its body.
#[derive(Clone, Copy)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(SchemaOf),
    /// The bytes of a file, or a form with files.
    File,
    /// The bytes of a part of a file.
    Bytes,
}

/// What an answer holds.
#[derive(Clone, Copy)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(SchemaOf),
    /// Server-sent events.
    Events,
    /// The bytes of a file.
    File,
    /// Text of this media type.
    Text(&'static str),
}

/// An answer.
#[derive(Clone, Copy)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What it means.
    pub summary: &'static str,
    /// What it holds.
    pub content: Content,
}

/// A route.
#[derive(Clone, Copy)]
pub struct Route {
    /// Its name in clients that are made from the description.
    pub id: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path; parts in braces are parameters.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Who may.
    pub access: Access,
    /// Parameters that are not part of the path.
    pub query: &'static [Query],
    /// What it takes.
    pub takes: Takes,
    /// What it answers when all is well.
    pub answers: &'static [Answer],
    /// The codes of the errors that are its own, besides those that every route has.
    pub errors: &'static [&'static str],
}

const fn text(name: &'static str, summary: &'static str) -> Query {
    Query { name, place: Place::Query, ty: "string", summary }
}

const fn number(name: &'static str, summary: &'static str) -> Query {
    Query { name, place: Place::Query, ty: "integer", summary }
}

const fn header(name: &'static str, summary: &'static str) -> Query {
    Query { name, place: Place::Header, ty: "string", summary }
}

const fn ok<T: JsonSchema>(summary: &'static str) -> Answer {
    Answer { status: 200, summary, content: Content::Json(schema::<T>) }
}

const fn created<T: JsonSchema>(summary: &'static str) -> Answer {
    Answer { status: 201, summary, content: Content::Json(schema::<T>) }
}

const GONE: Answer = Answer { status: 204, summary: "It is done.", content: Content::Nothing };
const STREAM: Answer =
    Answer { status: 200, summary: "What happens, as it happens.", content: Content::Events };

const SAME: Answer =
    Answer { status: 304, summary: "They are known already.", content: Content::Nothing };

const CURSOR: Query = text("cursor", "Where to go on: `next_cursor` of the page before.");
const LIMIT: Query =
    number("limit", "The most to list; at least 1, and no more than the server gives at a time.");

/// A route that reads, with nothing special about it.
const fn reads(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    answers: &'static [Answer],
) -> Route {
    Route {
        id,
        method: Method::Get,
        path,
        summary,
        access: Access::Read,
        query: &[],
        takes: Takes::Nothing,
        answers,
        errors: &["not_found"],
    }
}

/// Every route of the native API, in the order of the reference.
pub const ROUTES: &[Route] = &[
    Route {
        id: "createRun",
        method: Method::Post,
        path: "/v1/runs",
        summary: "Begins a run. It is durable before the answer. By default the answer waits for the end; \
                  `Prefer: respond-async` answers at once, `Accept: text/event-stream` streams.",
        access: Access::Run,
        query: &[
            header("Prefer", "`wait=<seconds>` or `respond-async`."),
            header("Idempotency-Key", "The same key and body give the same run."),
            header("Accept", "`text/event-stream` to be told what happens."),
        ],
        takes: Takes::Json(schema::<RunRequest>),
        answers: &[
            ok::<RunView>("The run ended: it succeeded, or its `error` says why not."),
            STREAM,
            Answer {
                status: 202,
                summary: "The run goes on; `location` says where to ask.",
                content: Content::Json(schema::<RunView>),
            },
        ],
        errors: &[
            "not_found",
            "conflict",
            "idempotency_key_reused",
            "budget_exceeded",
            "unsupported_media_type",
        ],
    },
    Route {
        query: &[
            text("status", "Only those in one of these states, with commas between."),
            text("work", "Only those of the workflow or task of this name."),
            number(
                "created_from_ms",
                "Only those created then or later, in milliseconds since 1970.",
            ),
            number("created_to_ms", "Only those created before then."),
            CURSOR,
            LIMIT,
        ],
        errors: &[],
        ..reads("listRuns", "/v1/runs", "Lists runs, newest first.", &[ok::<RunList>("A page.")])
    },
    reads("getRun", "/v1/runs/{run}", "Where a run stands.", &[ok::<RunView>("The run.")]),
    reads(
        "getRunReport",
        "/v1/runs/{run}/report",
        "Everything about a run: every step, decision, attempt and cost.",
        &[Answer {
            status: 200,
            summary: "The report.",
            content: Content::Text("application/json"),
        }],
    ),
    Route {
        query: &[
            header("Last-Event-ID", "The id of the last event that was received."),
            text("after", "The same, for clients that cannot send the header."),
        ],
        ..reads(
            "streamRun",
            "/v1/runs/{run}/events",
            "What happens in a run, from its first event or from the one after the last that was received. \
             Events with an id are kept and never lost; progress and partial results are told live only.",
            &[
                STREAM,
                Answer {
                    status: 204,
                    summary: "Everything was heard, its end too.",
                    content: Content::Nothing,
                },
            ],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Run,
        errors: &["not_found", "conflict"],
        ..reads(
            "cancelRun",
            "/v1/runs/{run}/cancel",
            "Gives a run up for good; the provider is told.",
            &[Answer {
                status: 202,
                summary: "The wish is kept.",
                content: Content::Json(schema::<RunView>),
            }],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Run,
        takes: Takes::Json(schema::<SignalRequest>),
        errors: &["not_found", "conflict"],
        ..reads(
            "signalRun",
            "/v1/runs/{run}/signals",
            "Says something to a run that waits for a person.",
            &[Answer {
                status: 202,
                summary: "The run goes on.",
                content: Content::Json(schema::<RunView>),
            }],
        )
    },
    Route {
        method: Method::Post,
        takes: Takes::Json(schema::<PlanRequest>),
        ..reads(
            "plan",
            "/v1/plan",
            "What a run would do, cost and take. Nothing is run.",
            &[ok::<PlanAnswer>("The plan.")],
        )
    },
    Route {
        query: &[text("task", "Only models that do this task."), CURSOR, LIMIT],
        ..reads("listModels", "/v1/models", "Lists models.", &[ok::<ModelList>("The models.")])
    },
    reads("getModel", "/v1/models/{model}", "One model.", &[ok::<ModelView>("The model.")]),
    Route {
        errors: &[],
        ..reads("listTasks", "/v1/tasks", "Lists tasks.", &[ok::<TaskList>("The tasks.")])
    },
    reads("getTask", "/v1/tasks/{task}", "One task.", &[ok::<TaskView>("The task.")]),
    Route {
        errors: &[],
        ..reads(
            "listWorkflows",
            "/v1/workflows",
            "Lists workflows.",
            &[ok::<WorkflowList>("The newest version of each.")],
        )
    },
    Route {
        query: &[number("version", "Which version; the newest if absent.")],
        ..reads(
            "getWorkflow",
            "/v1/workflows/{name}",
            "One workflow with its text.",
            &[ok::<WorkflowView>("The workflow.")],
        )
    },
    Route {
        method: Method::Put,
        access: Access::Write,
        takes: Takes::Json(schema::<WorkflowPut>),
        errors: &["unsupported_media_type"],
        ..reads(
            "putWorkflow",
            "/v1/workflows/{name}",
            "Keeps a workflow as the next version. A text that equals the newest version makes none.",
            &[ok::<WorkflowView>("The version that it is.")],
        )
    },
    reads(
        "listWorkflowVersions",
        "/v1/workflows/{name}/versions",
        "Lists the versions of a workflow, newest first.",
        &[ok::<WorkflowList>("The versions.")],
    ),
    Route {
        method: Method::Delete,
        access: Access::Write,
        ..reads(
            "deleteWorkflow",
            "/v1/workflows/{name}",
            "Forgets a workflow with all its versions; runs of it are not touched.",
            &[GONE],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Run,
        query: &[
            header("Content-Type", "The media type of the file, or `multipart/form-data`."),
            header("X-File-Name", "The name of the file."),
        ],
        takes: Takes::File,
        errors: &["too_large"],
        ..reads(
            "createAsset",
            "/v1/assets",
            "Uploads a file. It is decoded where it can do no harm before anything else reads it.",
            &[created::<AssetView>("The file.")],
        )
    },
    Route {
        query: &[CURSOR, LIMIT],
        errors: &[],
        ..reads(
            "listAssets",
            "/v1/assets",
            "Lists files, newest first.",
            &[ok::<AssetList>("A page.")],
        )
    },
    reads(
        "getAsset",
        "/v1/assets/{digest}",
        "What is known of a file.",
        &[ok::<AssetView>("The file.")],
    ),
    Route {
        query: &[header("Range", "Which bytes.")],
        errors: &["not_found", "range_not_satisfiable"],
        ..reads(
            "getAssetContent",
            "/v1/assets/{digest}/content",
            "The bytes of a file. A video that has been described is rendered.",
            &[
                Answer { status: 200, summary: "The bytes.", content: Content::File },
                Answer { status: 206, summary: "The bytes asked for.", content: Content::File },
                SAME,
            ],
        )
    },
    reads(
        "getAssetLineage",
        "/v1/assets/{digest}/lineage",
        "Where a file comes from and what became of it.",
        &[ok::<LineageView>("Every way in which it is known.")],
    ),
    Route {
        method: Method::Delete,
        access: Access::Write,
        ..reads("deleteAsset", "/v1/assets/{digest}", "Knows a file no more.", &[GONE])
    },
    Route {
        access: Access::Signed,
        query: &[
            text("expires", "Until when, in seconds since 1970."),
            text("tenant", "Whose."),
            text("signature", "Proves the rest."),
            header("Range", "Which bytes."),
        ],
        errors: &["not_found", "range_not_satisfiable"],
        ..reads(
            "getFile",
            "/files/{file}",
            "The bytes of a file, by the address that an answer gave.",
            &[
                Answer { status: 200, summary: "The bytes.", content: Content::File },
                Answer { status: 206, summary: "The bytes asked for.", content: Content::File },
                SAME,
            ],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Run,
        takes: Takes::Json(schema::<UploadRequest>),
        errors: &[],
        ..reads(
            "beginUpload",
            "/v1/uploads",
            "Begins an upload in parts, which can be resumed.",
            &[created::<UploadView>("The upload.")],
        )
    },
    reads(
        "getUpload",
        "/v1/uploads/{upload}",
        "Which parts of an upload are there.",
        &[ok::<UploadView>("The upload.")],
    ),
    Route {
        method: Method::Put,
        access: Access::Run,
        takes: Takes::Bytes,
        errors: &["not_found", "too_large"],
        ..reads(
            "putUploadPart",
            "/v1/uploads/{upload}/parts/{number}",
            "Puts a part of an upload; parts may come in any order and again.",
            &[ok::<UploadView>("The upload.")],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Run,
        errors: &["not_found", "conflict"],
        ..reads(
            "completeUpload",
            "/v1/uploads/{upload}/complete",
            "Puts the parts together, in the order of their numbers.",
            &[created::<AssetView>("The file.")],
        )
    },
    Route {
        method: Method::Delete,
        access: Access::Run,
        ..reads("abortUpload", "/v1/uploads/{upload}", "Gives an upload up.", &[GONE])
    },
    Route {
        method: Method::Post,
        access: Access::Write,
        takes: Takes::Json(schema::<EndpointRequest>),
        errors: &[],
        ..reads(
            "createWebhook",
            "/v1/webhooks",
            "Names an endpoint that is told what happens to runs.",
            &[created::<EndpointCreated>("The endpoint, and its secret this once.")],
        )
    },
    Route {
        errors: &[],
        ..reads("listWebhooks", "/v1/webhooks", "Lists endpoints.", &[ok::<EndpointList>("They.")])
    },
    reads(
        "getWebhook",
        "/v1/webhooks/{endpoint}",
        "One endpoint.",
        &[ok::<EndpointView>("The endpoint.")],
    ),
    Route {
        method: Method::Put,
        access: Access::Write,
        takes: Takes::Json(schema::<EndpointRequest>),
        ..reads(
            "updateWebhook",
            "/v1/webhooks/{endpoint}",
            "Changes an endpoint; its secret stays.",
            &[ok::<EndpointView>("The endpoint.")],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Write,
        ..reads(
            "rotateWebhookSecret",
            "/v1/webhooks/{endpoint}/rotate",
            "Makes a new secret. For a day what is sent is signed with both.",
            &[ok::<EndpointCreated>("The endpoint, and its new secret this once.")],
        )
    },
    Route {
        method: Method::Delete,
        access: Access::Write,
        ..reads("deleteWebhook", "/v1/webhooks/{endpoint}", "Forgets an endpoint.", &[GONE])
    },
    Route {
        access: Access::Write,
        errors: &[],
        ..reads(
            "getWebhookSecret",
            "/v1/webhook-secret",
            "The secret that signs what is told to webhooks that come with runs.",
            &[ok::<SecretView>("The secret.")],
        )
    },
    Route {
        query: &[
            text("run", "Only those about this run."),
            text("endpoint", "Only those to this endpoint."),
            text("state", "Only those in this state."),
            CURSOR,
            LIMIT,
        ],
        errors: &[],
        ..reads(
            "listDeliveries",
            "/v1/deliveries",
            "Lists messages to endpoints, newest first.",
            &[ok::<DeliveryList>("A page.")],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Write,
        errors: &["not_found", "conflict"],
        ..reads(
            "redeliver",
            "/v1/deliveries/{delivery}/redeliver",
            "Sends a message again, whatever became of it, if its endpoint is still told.",
            &[Answer {
                status: 202,
                summary: "It is due now.",
                content: Content::Json(schema::<DeliveryView>),
            }],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Signed,
        takes: Takes::Bytes,
        ..reads(
            "takeHint",
            "/v1/hints/{hint}",
            "Says that something happened to a job, by the address that its provider was given: it is asked for \
             now instead of later. What is sent is not read.",
            &[Answer {
                status: 204,
                summary: "It was heard, also where the job is long over.",
                content: Content::Nothing,
            }],
        )
    },
    Route {
        query: &[
            number("from_ms", "From when, in milliseconds since 1970; 30 days ago if absent."),
            number("to_ms", "Until when; now if absent."),
        ],
        errors: &[],
        ..reads(
            "getUsage",
            "/v1/usage",
            "What was spent, by day and offer.",
            &[ok::<UsageView>("It.")],
        )
    },
    Route {
        method: Method::Post,
        access: Access::Admin,
        takes: Takes::Json(schema::<KeyRequest>),
        errors: &[],
        ..reads(
            "createKey",
            "/v1/keys",
            "Makes a key.",
            &[created::<KeyCreated>("The key, shown this once.")],
        )
    },
    Route {
        access: Access::Admin,
        query: &[text("tenant", "Only those of this tenant.")],
        errors: &[],
        ..reads("listKeys", "/v1/keys", "Lists keys.", &[ok::<KeyList>("The keys.")])
    },
    Route {
        method: Method::Delete,
        access: Access::Admin,
        ..reads("revokeKey", "/v1/keys/{key}", "Refuses a key from now on.", &[GONE])
    },
    Route {
        method: Method::Post,
        access: Access::Admin,
        errors: &["unavailable"],
        ..reads(
            "reloadCatalogue",
            "/v1/catalogue/reload",
            "Reads the catalogue again; runs under way keep theirs.",
            &[ok::<CatalogueView>("What it holds now.")],
        )
    },
    Route {
        access: Access::Open,
        errors: &[],
        ..reads("getHealth", "/health", "That the process lives.", &[ok::<Health>("It does.")])
    },
    Route {
        access: Access::Open,
        errors: &["unavailable"],
        ..reads(
            "getReadiness",
            "/ready",
            "Whether new runs are taken; 503 while the server is about to end.",
            &[ok::<Readiness>("They are.")],
        )
    },
    Route {
        access: Access::Admin,
        errors: &[],
        ..reads(
            "getMetrics",
            "/metrics",
            "Figures, in the text format of Prometheus.",
            &[Answer {
                status: 200,
                summary: "The figures.",
                content: Content::Text("text/plain; version=0.0.4"),
            }],
        )
    },
    Route {
        access: Access::Open,
        errors: &[],
        ..reads(
            "getDescription",
            "/openapi.json",
            "This description.",
            &[Answer {
                status: 200,
                summary: "The description.",
                content: Content::Text("application/json"),
            }],
        )
    },
    Route {
        access: Access::Open,
        errors: &[],
        ..reads(
            "getReference",
            "/docs",
            "This description, for people.",
            &[Answer { status: 200, summary: "A page.", content: Content::Text("text/html") }],
        )
    },
];

impl Route {
    /// The names of the parameters in its path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_route_and_no_id_is_there_twice() {
        let ids: BTreeSet<_> = ROUTES.iter().map(|route| route.id).collect();
        let places: BTreeSet<_> =
            ROUTES.iter().map(|route| (route.method.as_str(), route.path)).collect();
        assert_eq!((ids.len(), places.len()), (ROUTES.len(), ROUTES.len()));
    }

    #[test]
    fn a_path_names_its_parameters() {
        let part = ROUTES.iter().find(|route| route.id == "putUploadPart").unwrap();
        assert_eq!(part.path_parameters().collect::<Vec<_>>(), ["upload", "number"]);
    }
}
