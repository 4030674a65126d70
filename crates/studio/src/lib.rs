//! The offline models: a scene from words, as picture, clip, mesh and world; voice; music.

use impasto_domain::Operation;

/// Every offline model, by the endpoint under which the catalogue names it.
pub fn operations() -> Vec<Operation> {
    Vec::new()
}
