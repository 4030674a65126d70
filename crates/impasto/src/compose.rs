//! The composition root: which stores, which drivers, which catalogue make an engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use impasto_catalog::Catalog;
use impasto_domain::{AssetRef, Error, MediaFacts, Operation, Result, Value, Values, Workbench};
use impasto_engine::{
    Driver, Engine, EngineOptions, Fault, FaultHook, FileTools, Importer, OperationsDriver, Parts,
    SystemClock,
};
use impasto_media::sandbox::Sandbox;
use impasto_net::NetOptions;
use impasto_store_sql::{FolderBlobs, SqliteOptions, SqliteRuns};
use impasto_studio::Misbehaviour;

use crate::args::GlobalFlags;
use crate::catalogue;
use crate::inputs::unreadable;
use crate::screen::Screen;
use crate::vault;

/// The dialect of the tools that run in this process.
const TOOLS_DIALECT: &str = "tools";
/// The dialect of the offline models that run in this process.
const SKETCH_DIALECT: &str = "sketch";
/// Whether this program speaks a dialect.
pub(crate) fn speaks(dialect: &str) -> bool {
    [TOOLS_DIALECT, SKETCH_DIALECT].contains(&dialect)
        || impasto_dialects::drivers::names().any(|name| name == dialect)
}

/// The operation that turns a described video into a file.
const RENDER: &str = "render-video";
/// The operation that writes a mask in another form.
const CONVERT_MASK: &str = "convert-mask";
/// The folder of the data folder that lies on top of the built-in catalogue.
const OVERLAY_FOLDER: &str = "catalog";
/// What a sound is that was written anew.
const SOUND: &str = "audio/wav";
/// The hidden command under which this program decodes a foreign file.
pub(crate) const SANDBOX_COMMAND: &str = "sandbox-child";

/// What this process is made of.
pub(crate) struct House {
    /// Runs everything.
    pub(crate) engine: Engine,
    /// What there is to run.
    pub(crate) catalog: Arc<Catalog>,
    /// Keeps everything but bytes; the engine's.
    pub(crate) store: Arc<SqliteRuns>,
    /// Keeps bytes; the engine's.
    pub(crate) blobs: Arc<FolderBlobs>,
    /// Tells the time; the engine's.
    pub(crate) clock: Arc<SystemClock>,
    /// The folder in which all of it is kept.
    pub(crate) data: PathBuf,
}

/// Puts the parts of this process together.
pub(crate) fn house(
    flags: &GlobalFlags,
    options: EngineOptions,
    network: NetOptions,
    screen: Screen,
) -> Result<House> {
    let catalog = Arc::new(catalogue::load(overlay(flags).as_deref(), screen)?);
    let data = data_folder(flags.data.as_deref())?;
    let store = Arc::new(SqliteRuns::open(&data, &SqliteOptions::default())?);
    let blobs = Arc::new(FolderBlobs::open(&data.join("assets"))?);
    let clock = Arc::new(SystemClock);
    let tools = impasto_media::operations();
    let file_tools = file_tools(&tools)?;
    let mut sketch = OperationsDriver::new(impasto_studio::operations());
    if let Some(spec) = &flags.misbehave {
        sketch = sketch.with_faults(faults(Misbehaviour::parse(spec)?));
    }
    let importer: Arc<dyn Importer> = Arc::new(SandboxImporter { sandbox: sandbox()? });
    let hosted =
        crate::hosted::hosted(network, vault::settings(&data), &catalog, Arc::clone(&importer))?;
    let here: [(&str, Arc<dyn Driver>); 2] = [
        (TOOLS_DIALECT, Arc::new(OperationsDriver::new(tools))),
        (SKETCH_DIALECT, Arc::new(sketch)),
    ];
    let parts = Parts {
        catalog: Arc::clone(&catalog),
        runs: Arc::clone(&store) as _,
        blobs: Arc::clone(&blobs) as _,
        drivers: here
            .into_iter()
            .map(|(dialect, driver)| (dialect.to_owned(), driver))
            .chain(impasto_dialects::drivers::all(&hosted))
            .collect::<BTreeMap<_, _>>(),
        importer,
        tools: file_tools,
        clock: Arc::clone(&clock) as _,
    };
    let engine = Engine::new(parts, options);
    Ok(House { engine, catalog, store, blobs, clock, data })
}

/// Where foreign files are decoded and sound is encoded.
pub(crate) fn sandbox() -> Result<Sandbox> {
    Sandbox::of_this_program(SANDBOX_COMMAND)
}

/// Where everything but bytes is kept, for commands that run nothing.
pub(crate) fn store(flags: &GlobalFlags) -> Result<SqliteRuns> {
    SqliteRuns::open(&data_folder(flags.data.as_deref())?, &SqliteOptions::default())
}

/// Where the folder is that lies on top of the built-in catalogue: the one that was named, or the one
/// of the data folder, which need not be there.
pub(crate) fn overlay_place(flags: &GlobalFlags) -> Result<PathBuf> {
    match &flags.catalog {
        Some(named) => Ok(named.clone()),
        None => Ok(data_folder(flags.data.as_deref())?.join(OVERLAY_FOLDER)),
    }
}

/// The folder that lies on top of the built-in catalogue, if there is one.
pub(crate) fn overlay(flags: &GlobalFlags) -> Option<PathBuf> {
    let place = overlay_place(flags).ok()?;
    (flags.catalog.is_some() || place.is_dir()).then_some(place)
}

/// The folder that was named, or the usual one of this machine.
pub(crate) fn data_folder(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    usual.map(|folder| folder.join("impasto")).ok_or_else(|| {
        Error::unavailable("there is no home folder to keep runs and assets in")
            .hint("name a folder with --data")
    })
}

/// What the engine itself needs done to files, from among the tools.
fn file_tools(tools: &[Operation]) -> Result<FileTools> {
    let named = |name: &str| {
        let tool = tools.iter().find(|operation| operation.name == name).copied();
        tool.ok_or_else(|| Error::internal(format!("'{name}' is not among the tools")))
    };
    let (render, convert) = (named(RENDER)?, named(CONVERT_MASK)?);
    Ok(FileTools {
        render: Arc::new(move |asset, bench| {
            let input = [("video", Value::from(asset.clone())), ("quality", Value::from("good"))];
            one_file(render, input, bench)
        }),
        convert_mask: Arc::new(move |mask, from, to, bench| {
            let (from, to) = (Value::from(from.name()), Value::from(to.name()));
            one_file(
                convert,
                [("mask", Value::from(mask.clone())), ("from", from), ("to", to)],
                bench,
            )
        }),
    })
}

/// The file that an operation makes, which has the name of the one that it was made of.
fn one_file<const INPUTS: usize>(
    operation: Operation,
    input: [(&str, Value); INPUTS],
    bench: &dyn Workbench,
) -> Result<AssetRef> {
    let name = input.first().map(|(name, _)| (*name).to_owned()).unwrap_or_default();
    let input = input.map(|(name, value)| (name.to_owned(), value));
    let output = (operation.run)(&Values::from(input), bench)?;
    let made = output.get(&name).and_then(Value::as_asset).cloned();
    made.ok_or_else(|| Error::internal(format!("'{}' gave no `{name}`", operation.name)))
}

fn faults(misbehaviour: Misbehaviour) -> FaultHook {
    Arc::new(move |endpoint, key, attempt| {
        let misdeed = misbehaviour.decide(endpoint, &key.to_string(), attempt);
        Fault { delay_ms: misdeed.delay_ms, error: misdeed.error, hang: misdeed.hang }
    })
}

/// Decodes foreign files in a child with limits, and keeps what it wrote.
struct SandboxImporter {
    sandbox: Sandbox,
}

impl Importer for SandboxImporter {
    fn import(&self, path: &Path, bench: &dyn Workbench) -> Result<AssetRef> {
        let bytes_max = self.sandbox.limits.bytes;
        let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
        if size > bytes_max {
            let message = format!("'{}' has {size} bytes, the most is {bytes_max}", path.display());
            return Err(Error::invalid(message).hint("make it smaller, or cut it"));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.import_bytes(&bytes, &name, bench)
            .map_err(|error| error.context(format!("'{}'", path.display())))
    }

    fn import_bytes(&self, bytes: &[u8], name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        let imported = self.sandbox.import(bytes, name)?;
        bench.write(imported.bytes, &imported.media_type, imported.facts)
    }

    fn keep(&self, bytes: &[u8], name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        match self.sandbox.film_facts(bytes) {
            Some(facts) => {
                let facts = MediaFacts { foreign: true, ..facts? };
                bench.write(bytes.to_vec(), "video/mp4", facts)
            }
            None => {
                let imported = self.sandbox.import_result(bytes, name)?;
                match Sandbox::sound_type(bytes).filter(|_| imported.media_type == SOUND) {
                    // It was decoded to the end, so it is what it says.
                    Some(media_type) => {
                        let facts = MediaFacts { foreign: true, ..imported.facts };
                        bench.write(bytes.to_vec(), media_type, facts)
                    }
                    None => bench.write(imported.bytes, &imported.media_type, imported.facts),
                }
            }
        }
    }
}
