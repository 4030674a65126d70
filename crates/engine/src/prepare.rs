//! What an input goes through before a driver sees it: prompts become the words of the model,
//! described videos become files where the task needs files, and names become those of the endpoint.

use std::sync::Arc;

use impasto_catalog::{Catalog, PromptStyle};
use impasto_domain::{Error, Result, Task, Type, Value, Values, Workbench};
use impasto_prompt::PromptSpec;

use crate::driver::StartCall;
use crate::parts::Render;

/// How the input of a call is made ready.
#[derive(Clone)]
pub(crate) struct Prepare {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) render: Render,
}

impl Prepare {
    /// The call as the driver is to see it.
    pub(crate) async fn call(&self, mut call: StartCall) -> Result<StartCall> {
        let task = self.catalog.task(&call.task)?;
        let offer = self.catalog.offer(&call.offer)?;
        let style = self.catalog.model(&offer.model)?.prompt_style;
        let mut input = with_prompts(task, style, std::mem::take(&mut call.input))?;
        let described = |value: &Value| value.assets().iter().any(|asset| asset.is_timeline());
        if !task.lazy_video && input.values().any(described) {
            let (render, bench) = (Arc::clone(&self.render), Arc::clone(&call.bench));
            let working =
                tokio::task::spawn_blocking(move || rendered_all(input, &render, &*bench));
            input = working.await.map_err(|_| Error::internal("the renderer panicked"))??;
        }
        // Whoever speaks to a provider elsewhere makes the request from the input of the task.
        let local = self.catalog.provider(&offer.provider)?.is_local();
        call.input = if local { offer.map.apply(input) } else { input };
        Ok(call)
    }
}

/// The input with its prompts in the words that the model likes.
fn with_prompts(task: &Task, style: PromptStyle, mut input: Values) -> Result<Values> {
    let style = match style {
        PromptStyle::Sentence => impasto_prompt::PromptStyle::Sentence,
        PromptStyle::Tags => impasto_prompt::PromptStyle::Tags,
    };
    for field in task.input.iter().filter(|field| field.ty == Type::Prompt) {
        let Some(value) = input.get_mut(&field.name) else { continue };
        let spec = PromptSpec::from_value(value)
            .map_err(|error| error.context(format!("`{}`", field.name)))?;
        *value = Value::Text(impasto_prompt::compile(&spec, style));
        let negative = task.input_field("negative_prompt").filter(|_| !spec.negative.is_empty());
        if let Some(field) = negative {
            input.entry(field.name.clone()).or_insert_with(|| Value::from(spec.negative.as_str()));
        }
    }
    Ok(input)
}

fn rendered_all(input: Values, render: &Render, bench: &dyn Workbench) -> Result<Values> {
    input.into_iter().map(|(name, value)| Ok((name, rendered(value, render, bench)?))).collect()
}

fn rendered(value: Value, render: &Render, bench: &dyn Workbench) -> Result<Value> {
    Ok(match value {
        Value::Asset(asset) if asset.is_timeline() => Value::from(render(&asset, bench)?),
        Value::List(items) => Value::List(
            items.into_iter().map(|item| rendered(item, render, bench)).collect::<Result<_>>()?,
        ),
        Value::Map(entries) => Value::Map(rendered_all(entries, render, bench)?),
        plain => plain,
    })
}
