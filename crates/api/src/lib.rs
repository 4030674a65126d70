//! The native API: types of requests and answers, and the table of its routes.
//!
//! [`ROUTES`] says of every route its method, path, scope, what it takes and what it answers; the server
//! builds its router over the same table, and [`openapi`] writes it down without a server.
//!
//! Invariants: no logic; every type that is sent or received is here; nothing here knows axum.
//!
//! ```
//! let description = impasto_api::openapi();
//! assert_eq!(description["openapi"], "3.1.0");
//! assert!(description["paths"]["/v1/runs"]["post"].is_object());
//! ```

mod catalogue;
mod desk;
mod files;
mod object;
mod openapi;
mod page;
mod problem;
mod routes;
mod runs;

pub use catalogue::{
    CatalogueView, FieldView, ModelList, ModelView, OfferView, QualityView, TaskList, TaskView,
    WorkflowList, WorkflowPut, WorkflowView,
};
pub use desk::{
    DeliveryList, DeliveryView, EndpointCreated, EndpointList, EndpointRequest, EndpointView,
    Health, KeyCreated, KeyLimitsView, KeyList, KeyRequest, KeyView, Readiness, SecretView,
    UsageRow, UsageView,
};
pub use files::{AssetList, AssetView, LineageEntry, LineageView, UploadRequest, UploadView};
pub use openapi::openapi;
pub use page::reference_page;
pub use problem::Problem;
pub use routes::{Access, Answer, Content, Method, Place, Query, ROUTES, Route, SchemaOf, Takes};
pub use runs::{
    AskView, EventView, LogView, MoneyView, PlanAnswer, PlanRequest, PlannedStepView,
    PolicyRequest, RunList, RunRequest, RunStatusName, RunView, SignalRequest, TierName,
    WebhookRequest,
};
