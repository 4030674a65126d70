//! The other end: a server whose faces are spoken to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use impasto_catalog::{Catalog, Finding, Layer};
use impasto_domain::{AssetRef, Result, TenantId, Workbench};
use impasto_engine::{
    Driver, Engine, EngineOptions, FileTools, Importer, OperationsDriver, Parts as EngineParts,
    SystemClock,
};
use impasto_media::sandbox::{Ffmpeg, Sandbox};
use impasto_server::{Handle, NoEncoders, NoFetch, Parts, Server, ServerOptions};
use impasto_store::{MemoryBlobs, MemoryRuns, RunFilter, RunRecord, RunStore};

use crate::work;

const PROVIDER: &str = "id = \"there\"\ntitle = \"There\"\ndescription = \"In the process of the \
                        server.\"\ndialect = \"there\"\nconcurrency = 16\n";

/// A server and what it keeps.
pub(crate) struct There {
    /// Scheme and host.
    pub(crate) url: String,
    /// Host and port.
    pub(crate) host: String,
    runs: Arc<MemoryRuns>,
    handle: Handle,
}

impl Drop for There {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

/// A catalogue of the built-in one and these files.
pub(crate) fn catalog(files: Vec<(String, String)>) -> Catalog {
    let layer = Layer { name: "test".to_owned(), files };
    let shown = |findings: Vec<Finding>| findings.iter().map(Finding::render).collect::<String>();
    Catalog::load(&[Layer::embedded(), layer]).map_err(shown).unwrap().0
}

/// A model of the server: its file's path, its id, other names, and what it does by which endpoint.
pub(crate) fn model(
    path: &str,
    aliases: &[&str],
    offers: &[(&str, &str, &str)],
) -> (String, String) {
    let mut text = format!(
        "id = \"{}\"\ntitle = \"Stand-in\"\ncompany = \"test\"\nversion = \"1\"\nlicence = \
         \"MIT\"\ntraining_data = \"none\"\ndescription = \"Stands in.\"\ntier = \"hero\"\n\
         aliases = {aliases:?}\n",
        path.rsplit('/').next().unwrap()
    );
    for (provider, task, endpoint) in offers {
        text.push_str(&format!(
            "[[offers]]\nprovider = \"{provider}\"\ntask = \"{task}\"\nendpoint = \"{endpoint}\"\n\
             time = {{ fixed_ms = 1 }}\nprice = \"free\"\n"
        ));
    }
    (format!("models/{path}.toml"), text)
}

/// Decodes in a child of the real binary.
pub(crate) struct Door {
    sandbox: Sandbox,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            sandbox: Sandbox {
                program: env!("CARGO_BIN_EXE_impasto").into(),
                args: vec!["sandbox-child".to_owned()],
                limits: Default::default(),
                ffmpeg: Ffmpeg::installed().cloned(),
            },
        }
    }
}

impl Importer for Door {
    fn import(&self, path: &Path, bench: &dyn Workbench) -> Result<AssetRef> {
        self.import_bytes(&std::fs::read(path).unwrap(), "", bench)
    }

    fn import_bytes(&self, bytes: &[u8], name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        let imported = self.sandbox.import(bytes, name)?;
        bench.write(imported.bytes, &imported.media_type, imported.facts)
    }
}

/// The engine's parts, which differ in their catalogue and drivers only.
pub(crate) fn parts(
    catalog: Catalog,
    runs: &Arc<MemoryRuns>,
    blobs: &Arc<MemoryBlobs>,
    drivers: BTreeMap<String, Arc<dyn Driver>>,
) -> EngineParts {
    EngineParts {
        catalog: Arc::new(catalog),
        runs: Arc::clone(runs) as _,
        blobs: Arc::clone(blobs) as _,
        drivers,
        importer: Arc::new(Door::new()),
        tools: FileTools::none(),
        clock: Arc::new(SystemClock),
    }
}

impl There {
    /// A server with these models.
    pub(crate) async fn new(mut models: Vec<(String, String)>) -> Self {
        models.push(("providers/there.toml".to_owned(), PROVIDER.to_owned()));
        let (runs, blobs) = (Arc::new(MemoryRuns::default()), Arc::new(MemoryBlobs::default()));
        let drivers: [(&str, Arc<dyn Driver>); 2] = [
            ("there", Arc::new(OperationsDriver::new(work::operations()))),
            ("sketch", Arc::new(OperationsDriver::new(impasto_studio::operations()))),
        ];
        let drivers = drivers.map(|(dialect, driver)| (dialect.to_owned(), driver)).into();
        let parts = parts(catalog(models), &runs, &blobs, drivers);
        let parts = Parts {
            engine: Engine::new(parts, EngineOptions::default()),
            store: Arc::clone(&runs) as _,
            blobs,
            pieces: Arc::new(MemoryBlobs::default()),
            reload: None,
            fetch: Arc::new(NoFetch),
            encoders: Arc::new(NoEncoders),
            clock: Arc::new(SystemClock),
            secret: [7; 32],
        };
        let options = ServerOptions { drain_ms: 0, ..ServerOptions::default() };
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(parts, options, address, None).await.unwrap();
        let host = server.address().to_string();
        let handle = server.handle();
        tokio::spawn(server.run());
        Self { url: format!("http://{host}"), host, runs, handle }
    }

    /// The runs that it was asked for, the newest first.
    pub(crate) async fn runs(&self) -> Vec<RunRecord> {
        self.runs.list(RunFilter::newest(TenantId::local(), 1_000)).await.unwrap()
    }
}
