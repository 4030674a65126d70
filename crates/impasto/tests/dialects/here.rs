//! This end: an engine to which the server is a hosted provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use impasto_catalog::Catalog;
use impasto_dialects::hosted::{Hosted, HostedOptions};
use impasto_domain::{
    AssetRef, Error, ErrorKind, ModelId, Money, News, ProviderId, RunId, TaskId, TenantId, Value,
    Values,
};
use impasto_engine::{Engine, EngineOptions, Request, RunHandle, Source, UpdateKind};
use impasto_net::{Client, NetOptions};
use impasto_store::{BlobStore, MemoryBlobs, MemoryRuns, RunStatus};
use impasto_workflow::{Event, Outcome};

use crate::there::{Door, There, catalog, parts};
use crate::work;

/// An engine and what it keeps.
pub(crate) struct Here {
    pub(crate) engine: Engine,
    blobs: Arc<MemoryBlobs>,
    provider: String,
}

/// How a run went.
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    pub(crate) news: Vec<News>,
    pub(crate) events: Vec<Event>,
    pub(crate) cost: Money,
    pub(crate) status: RunStatus,
}

impl Here {
    /// An engine that has nobody but the server, as the provider `provider` whose base URL is the
    /// server's with this path behind; `models` are files beside those of the catalogue.
    pub(crate) fn new(there: &There, provider: &str, path: &str) -> Self {
        Self::with(there, (provider, path), Vec::new())
    }

    /// The same with files beside those of the catalogue.
    pub(crate) fn with(there: &There, way: (&str, &str), files: Vec<(String, String)>) -> Self {
        Self::limited(there, way, files, HostedOptions::default())
    }

    /// The same with other limits.
    pub(crate) fn limited(
        there: &There,
        (provider, path): (&str, &str),
        files: Vec<(String, String)>,
        options: HostedOptions,
    ) -> Self {
        let limits = options;
        let catalog: Catalog = catalog(files);
        let known = &catalog.providers[&ProviderId::new(provider)];
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        for (name, rest) in parts_of(path) {
            said.insert(known.base_variable(name), format!("{}{rest}", there.url));
        }
        for key in known.auth.iter().flat_map(|auth| &auth.env) {
            said.insert(key.clone(), "any key".to_owned());
        }
        let trusted_hosts = vec![there.host.clone()];
        let options = NetOptions { trusted_hosts, ..NetOptions::default() };
        let hosted = Hosted::new(
            Client::new(options).unwrap(),
            Arc::new(move |name| said.get(name).cloned()),
            Arc::new(Door::new()),
            limits,
        );
        let drivers = impasto_dialects::drivers::all(&hosted).collect();
        let (runs, blobs) = (Arc::new(MemoryRuns::default()), Arc::new(MemoryBlobs::default()));
        let parts = parts(catalog, &runs, &blobs, drivers);
        let options = EngineOptions { poll_first_ms: 20, ..EngineOptions::default() };
        Self { engine: Engine::new(parts, options), blobs, provider: provider.to_owned() }
    }

    /// A file of this engine's.
    pub(crate) fn file(&self, bytes: &[u8], media_type: &str) -> AssetRef {
        let digest = self.blobs.put(bytes).unwrap();
        let facts = impasto_domain::MediaFacts { bytes: bytes.len() as u64, ..Default::default() };
        AssetRef { digest, media_type: media_type.to_owned(), facts }
    }

    /// Begins a task with one model; `news` says whether somebody listens.
    pub(crate) async fn begin(
        &self,
        (model, task): (&str, &str),
        input: Values,
        news: bool,
    ) -> RunHandle {
        let mut request = Request::new(Source::Task(TaskId::new(task)), input);
        request.policy.models = vec![ModelId::new(model)];
        request.policy.providers = vec![ProviderId::new(self.provider.as_str())];
        request.wants_news = news;
        request.no_cache = true;
        self.engine.submit(request).await.unwrap_or_else(|error| panic!("{model} {task}: {error}"))
    }

    /// Expects that whoever listens hears each line of the log once, those of before and after a gate.
    pub(crate) async fn check_log_is_heard_once(&self, wish: (&str, &str), gate: &str) -> Told {
        let asked = input([("prompt", format!("gate {gate}").into())]);
        let handle = self.begin(wish, asked, true).await;
        until(|| work::is_reached(gate)).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        work::open(gate);
        let told = self.end(handle).await;
        for line in ["mixing the colours", "painting"] {
            let count = told.logs().iter().filter(|told| **told == line).count();
            assert_eq!(count, 1, "{line}: {:?}", told.logs());
        }
        told
    }

    /// Listens to a run until its end.
    pub(crate) async fn end(&self, mut handle: RunHandle) -> Told {
        let run = handle.id.clone();
        let mut updates = handle.updates().unwrap();
        let (mut news, mut events) = (Vec::new(), Vec::new());
        let heard = async {
            while let Some(update) = updates.next().await {
                match update.unwrap().kind {
                    UpdateKind::News { news: told, .. } => news.push(told),
                    UpdateKind::Event(event) => events.push(event),
                    UpdateKind::Progress { .. } => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), heard).await.expect("an end in time");
        let outcome = handle.wait().await.unwrap();
        let summary = self.engine.summary(TenantId::local(), run).await.unwrap();
        let (cost, status) = (summary.cost.unwrap_or_default(), summary.status);
        Told { outcome, news, events, cost, status }
    }

    /// Runs a task to its end.
    pub(crate) async fn run(&self, what: (&str, &str), input: Values, news: bool) -> Told {
        let handle = self.begin(what, input, news).await;
        self.end(handle).await
    }

    pub(crate) fn bytes(&self, asset: &AssetRef) -> Vec<u8> {
        self.blobs.get(&asset.digest).unwrap().to_vec()
    }

    pub(crate) async fn cancel(&self, run: RunId) {
        self.engine.cancel(TenantId::local(), run).await.unwrap();
    }
}

/// Paths by the name of a base: `/a` is that of the default, `run=/b` that of another.
fn parts_of(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.split(' ').map(|part| part.split_once('=').unwrap_or(("default", part)))
}

impl Told {
    pub(crate) fn output(&self) -> &Values {
        match &self.outcome {
            Outcome::Succeeded { output } => output,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn error(&self) -> &Error {
        match &self.outcome {
            Outcome::Failed { errors } => &errors[0].1,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn assets(&self) -> Vec<&AssetRef> {
        self.output().values().flat_map(Value::assets).collect()
    }

    pub(crate) fn logs(&self) -> Vec<&str> {
        let lines = self.news.iter().filter_map(|news| match news {
            News::Log { message, .. } => Some(message.as_str()),
            _ => None,
        });
        lines.collect()
    }

    pub(crate) fn pictures(&self) -> Vec<&[u8]> {
        let pictures = self.news.iter().filter_map(|news| match news {
            News::Picture { bytes, .. } => Some(bytes.as_slice()),
            _ => None,
        });
        pictures.collect()
    }

    /// The sound that was told piece by piece, and in how many.
    pub(crate) fn sound(&self) -> (Vec<u8>, usize) {
        let pieces = self.news.iter().filter_map(|news| match news {
            News::Sound { bytes, .. } => Some(bytes.as_slice()),
            _ => None,
        });
        let pieces: Vec<&[u8]> = pieces.collect();
        (pieces.concat(), pieces.len())
    }

    pub(crate) fn handles(&self) -> Vec<&str> {
        let handles = self.events.iter().filter_map(|event| match event {
            Event::AttemptAccepted { handle, .. } => Some(handle.as_str()),
            _ => None,
        });
        handles.collect()
    }

    /// Expects an error of this kind.
    pub(crate) fn check_failed(&self, kind: ErrorKind) {
        assert_eq!(self.error().kind, kind, "{}", self.error());
    }
}

/// An input of these values.
pub(crate) fn input<const N: usize>(values: [(&str, Value); N]) -> Values {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it came to pass");
}
