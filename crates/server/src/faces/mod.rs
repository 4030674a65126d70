//! The faces: each says in its own dialect what the server does. One line for each.

mod elevenlabs;
mod fal;
mod gemini;
mod openai;
mod replicate;

use axum::Router;

use crate::app::App;

/// Every face below its prefix.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .nest("/fal", fal::routes())
        .nest("/replicate", replicate::routes())
        .nest("/openai", openai::routes())
        .nest("/gemini", gemini::routes())
        .nest("/elevenlabs", elevenlabs::routes())
}
