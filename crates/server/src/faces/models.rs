//! Names of models, as every face lists and reads them.

use impasto_catalog::{Catalog, Model};
use impasto_domain::{ModelId, Result, TaskId};

use crate::app::App;
use crate::calls::{ANY_MODEL, find_model};

/// Names that leave the choice of a model to the router.
pub(crate) const CHOICES: [&str; 4] = [ANY_MODEL, "draft", "standard", "hero"];

/// The model of that name; none if the name leaves the choice open.
pub(crate) fn chosen(catalog: &Catalog, name: &str) -> Result<Option<ModelId>> {
    if CHOICES.contains(&name) || catalog.tasks.contains_key(&TaskId::new(name)) {
        return Ok(None);
    }
    find_model(catalog, name).map(|(model, _)| Some(model.id.clone()))
}

/// The first of these tasks that somebody does here.
pub(crate) fn first_task(app: &App, names: &[&str]) -> Option<TaskId> {
    names.iter().map(|name| TaskId::new(*name)).find(|task| app.engine().can_do(task))
}

/// The models that do one of these tasks; all models if there are none.
pub(crate) fn doing<'c>(catalog: &'c Catalog, tasks: &[&str]) -> impl Iterator<Item = &'c Model> {
    let wanted: Vec<TaskId> = tasks.iter().map(|task| TaskId::new(*task)).collect();
    let does = move |model: &&Model| {
        wanted.is_empty() || wanted.iter().any(|task| model.tasks.contains(task))
    };
    catalog.models.values().filter(does)
}
