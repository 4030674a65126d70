//! What an input goes through before a driver sees it: prompts become the words of the model,
//! described videos become files where the task needs files, foreign files become files of ours where
//! a tool of this process is to read them, and names become those of the endpoint.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use impasto_catalog::{Catalog, Mapping, MaskForm, PromptStyle};
use impasto_domain::{
    AssetRef, Digest, Error, OfferId, Result, Task, Type, Value, Values, Workbench,
};
use impasto_prompt::PromptSpec;

use crate::bench::KnownFiles;
use crate::driver::StartCall;
use crate::hints::{AttemptName, Callbacks};
use crate::parts::{FileTools, Importer};

/// How the input of a call is made ready.
#[derive(Clone)]
pub(crate) struct Prepare {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) tools: FileTools,
    pub(crate) importer: Arc<dyn Importer>,
    pub(crate) imported: Arc<Imported>,
    /// The files that whoever does the work may fetch.
    pub(crate) known: Arc<KnownFiles>,
    /// Where those who do the work elsewhere can hint that something happened to it.
    pub(crate) callbacks: Option<Callbacks>,
}

/// Foreign files, and what was made of them lately.
#[derive(Default)]
pub(crate) struct Imported {
    known: Mutex<VecDeque<(Digest, AssetRef)>>,
}

/// The most foreign files of which it is remembered what was made of them.
const IMPORTED_KNOWN_MAX: usize = 1_000;

impl Imported {
    fn of(&self, foreign: &Digest) -> Option<AssetRef> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(digest, _)| digest == foreign).map(|(_, asset)| asset.clone())
    }

    fn note(&self, foreign: Digest, asset: AssetRef) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_front((foreign, asset));
        known.truncate(IMPORTED_KNOWN_MAX);
    }
}

impl Prepare {
    /// The call as the driver is to see it.
    pub(crate) async fn call(&self, mut call: StartCall) -> Result<StartCall> {
        let task = self.catalog.task(&call.task)?;
        let offer = self.catalog.offer(&call.offer)?;
        let style = self.catalog.model(&offer.model)?.prompt_style;
        let mut input = with_prompts(task, style, std::mem::take(&mut call.input))?;
        // Whoever speaks to a provider elsewhere makes the request from the input of the task.
        let local = self.catalog.provider(&offer.provider)?.is_local();
        let (renders, imports) = (!task.lazy_video, local && !task.foreign_files);
        let is_another = move |asset: &AssetRef| {
            renders && asset.is_timeline() || imports && asset.facts.foreign
        };
        if input.values().flat_map(Value::assets).any(&is_another) {
            let (prepare, bench) = (self.clone(), Arc::clone(&call.bench));
            let other = move |asset: &AssetRef| match is_another(asset) {
                true => prepare.other(asset, &*bench).map(Some),
                false => Ok(None),
            };
            let working = tokio::task::spawn_blocking(move || replaced_all(input, &other));
            input = working.await.map_err(|_| Error::internal("preparing a file panicked"))??;
            self.known.add(&input);
        }
        if masks(&offer.map, &input).next().is_some() {
            let (prepare, bench, offer) = (self.clone(), Arc::clone(&call.bench), offer.id.clone());
            let working =
                tokio::task::spawn_blocking(move || prepare.with_masks(input, &offer, &*bench));
            input = working.await.map_err(|_| Error::internal("converting a mask panicked"))??;
            self.known.add(&input);
        }
        if !local {
            call.callback = self.callback(&call);
        }
        call.input = if local { offer.map.apply(input) } else { input };
        Ok(call)
    }

    fn callback(&self, call: &StartCall) -> Option<String> {
        let callbacks = self.callbacks.as_ref()?;
        let (run, key) = (call.run.clone(), call.key.clone());
        callbacks(&AttemptName { run, key, attempt: call.attempt })
    }

    /// The input with its masks in the form that the endpoint knows.
    fn with_masks(
        &self,
        mut input: Values,
        offer: &OfferId,
        bench: &dyn Workbench,
    ) -> Result<Values> {
        let map = &self.catalog.offer(offer)?.map;
        let found: Vec<(String, AssetRef, MaskForm)> = masks(map, &input)
            .map(|(name, mask, form)| (name.to_owned(), mask.clone(), form))
            .collect();
        for (name, mask, form) in found {
            let converted = (self.tools.convert_mask)(&mask, MaskForm::White, form, bench)?;
            input.insert(name, Value::from(converted));
        }
        Ok(input)
    }

    /// The file of a described video, or a file of ours for a foreign one.
    fn other(&self, asset: &AssetRef, bench: &dyn Workbench) -> Result<AssetRef> {
        if asset.is_timeline() {
            return (self.tools.render)(asset, bench);
        }
        if let Some(known) = self.imported.of(&asset.digest) {
            return Ok(known);
        }
        let own = self.importer.import_bytes(&bench.read(asset)?, "a result", bench)?;
        self.imported.note(asset.digest, own.clone());
        Ok(own)
    }
}

/// The masks of an input that mean something else to the endpoint.
fn masks<'a>(
    map: &'a Mapping,
    input: &'a Values,
) -> impl Iterator<Item = (&'a str, &'a AssetRef, MaskForm)> {
    let mask = |(name, form)| Some((name, input.get(name)?.as_asset()?, form));
    map.other_masks().filter_map(mask)
}

/// What an asset is replaced by, if by anything.
type Other = dyn Fn(&AssetRef) -> Result<Option<AssetRef>>;

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

fn replaced_all(input: Values, other: &Other) -> Result<Values> {
    input.into_iter().map(|(name, value)| Ok((name, replaced(value, other)?))).collect()
}

fn replaced(value: Value, other: &Other) -> Result<Value> {
    Ok(match value {
        Value::Asset(asset) => match other(&asset)? {
            Some(another) => Value::from(another),
            None => Value::Asset(asset),
        },
        Value::List(items) => {
            Value::List(items.into_iter().map(|item| replaced(item, other)).collect::<Result<_>>()?)
        }
        Value::Map(entries) => Value::Map(replaced_all(entries, other)?),
        plain => plain,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use impasto_catalog::Offer;
    use impasto_domain::{Bench, MediaFacts, Money, RunId, TaskId};

    use super::*;
    use crate::Durable;
    use crate::driver::Slot;

    /// Writes every foreign file anew as the same text.
    #[derive(Default)]
    struct Rewriter(AtomicUsize);

    impl Importer for Rewriter {
        fn import(&self, path: &Path, _bench: &dyn Workbench) -> Result<AssetRef> {
            Err(Error::internal(path.display().to_string()))
        }

        fn import_bytes(&self, _: &[u8], _: &str, bench: &dyn Workbench) -> Result<AssetRef> {
            self.0.fetch_add(1, Ordering::Relaxed);
            bench.write(b"ours".to_vec(), "video/mp4", MediaFacts::default())
        }
    }

    fn prepare(catalog: Arc<Catalog>, importer: Arc<Rewriter>) -> Prepare {
        Prepare {
            catalog,
            tools: FileTools::none(),
            importer,
            imported: Arc::default(),
            known: Arc::default(),
            callbacks: None,
        }
    }

    /// A call of an offer with one file.
    fn call(
        catalog: &Arc<Catalog>,
        offer: &Offer,
        bench: &Arc<Bench>,
        (name, file): (&str, AssetRef),
    ) -> StartCall {
        StartCall {
            run: RunId::new("r"),
            key: impasto_domain::InstanceKey { step: "s".into(), index: Vec::new() },
            attempt: 1,
            task: offer.task.clone(),
            catalog: Arc::clone(catalog),
            offer: offer.id.clone(),
            endpoint: offer.endpoint.clone(),
            input: Values::from([(name.to_owned(), Value::from(file))]),
            estimate: Money::ZERO,
            timeout_ms: 1_000,
            idempotency_key: "r/s/1".to_owned(),
            bench: Arc::clone(bench) as _,
            slot: Slot::new(()),
            durable: Durable::default(),
            callback: None,
        }
    }

    /// The video that the offer of a task which is done here, or elsewhere, gets for a foreign one.
    async fn given(prepare: &Prepare, bench: &Arc<Bench>, task: &str, here: bool) -> Vec<u8> {
        let facts = MediaFacts { foreign: true, ..MediaFacts::default() };
        let video = bench.write(b"theirs".to_vec(), "video/mp4", facts).unwrap();
        let catalog = &prepare.catalog;
        let is_here =
            |offer: &&Offer| catalog.provider(&offer.provider).unwrap().is_local() == here;
        let offer = catalog.offers_for(&TaskId::new(task)).find(is_here).unwrap();
        let call = prepare.call(call(catalog, offer, bench, ("video", video))).await.unwrap();
        let video = call.input.values().flat_map(Value::assets).next().unwrap().clone();
        bench.read(&video).unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_mask_arrives_in_the_form_that_the_endpoint_knows() {
        let catalog = Arc::new(Catalog::embedded().unwrap());
        let prepare = Prepare {
            tools: FileTools {
                convert_mask: Arc::new(|_, from, to, bench| {
                    assert_eq!(from, MaskForm::White, "as tasks have it");
                    bench.write(to.name().into(), "image/png", MediaFacts::default())
                }),
                ..FileTools::none()
            },
            ..prepare(Arc::clone(&catalog), Arc::new(Rewriter::default()))
        };
        let bench = Arc::new(Bench::default());
        let task = TaskId::new("edit-image");
        let takes = |offer: &&Offer| offer.map.takes("mask");
        let [mut white, mut other] = [0, 0];
        for offer in catalog.offers_for(&task).filter(takes) {
            let mask = bench.write(b"white".to_vec(), "image/png", MediaFacts::default()).unwrap();
            let call = prepare.call(call(&catalog, offer, &bench, ("mask", mask))).await.unwrap();
            let arrived = bench.read(call.input["mask"].as_asset().unwrap()).unwrap();
            let form = offer.map.other_masks().find(|(name, _)| *name == "mask");
            match form {
                Some((_, form)) => {
                    other += 1;
                    assert_eq!(&*arrived, form.name().as_bytes(), "{}", offer.id);
                }
                None => {
                    white += 1;
                    assert_eq!(&*arrived, b"white", "{}", offer.id);
                }
            }
        }
        assert!(white > 0 && other > 0, "{white} offers know white masks, {other} others");
    }

    #[tokio::test]
    async fn a_tool_of_this_process_reads_no_foreign_film() {
        let importer = Arc::new(Rewriter::default());
        let catalog = Arc::new(Catalog::embedded().unwrap());
        let prepare = prepare(catalog, Arc::clone(&importer));
        let bench = Arc::new(Bench::default());
        assert_eq!(given(&prepare, &bench, "trim-video", true).await, b"ours");
        assert_eq!(given(&prepare, &bench, "trim-video", true).await, b"ours");
        assert_eq!(importer.0.load(Ordering::Relaxed), 1, "what was made of it is remembered");
        assert_eq!(given(&prepare, &bench, "render-video", true).await, b"theirs");
        assert_eq!(given(&prepare, &bench, "upscale-video", false).await, b"theirs");
    }
}
