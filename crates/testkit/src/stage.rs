//! A small catalogue and what is needed to run it.

use std::collections::BTreeMap;
use std::sync::Arc;

use impasto_catalog::{Catalog, Finding, Layer};
use impasto_domain::{Error, Operation, Result, Value, Values};
use impasto_engine::{
    Driver, Engine, EngineOptions, FaultHook, FileTools, NoImporter, OperationsDriver, Parts,
    SystemClock,
};
use impasto_store::{BlobStore, MemoryBlobs, MemoryRuns, RunStore};
use impasto_workflow::Plan;

const ADD: &str = r#"id = "add"
title = "Add"
description = "Adds a number to another, somewhere else, for money."
[input.number]
type = "integer"
required = true
[input.by]
type = "integer"
default = 1
[output.number]
type = "integer"
"#;

const ECHO: &str = r#"id = "echo"
title = "Echo"
description = "Gives back what it is given."
[input.number]
type = "integer"
required = true
[input.seed]
type = "integer"
[output.number]
type = "integer"
[output.seed]
type = "integer"
"#;

const TOTAL: &str = r#"id = "total"
title = "Total"
description = "Adds numbers up."
[input.numbers]
type = "list<integer>"
required = true
[output.number]
type = "integer"
"#;

const DESCRIBE: &str = r#"id = "describe"
title = "Describe"
description = "Gives back a prompt as the model is told it."
[input.prompt]
type = "prompt"
required = true
[output.text]
type = "text"
"#;

const FAR: &str = r#"id = "far"
title = "Far"
description = "Somewhere else."
dialect = "far"
concurrency = 100000
"#;

const HERE: &str = r#"id = "here"
title = "Here"
description = "In this process."
dialect = "here"
concurrency = 64
"#;

/// A model for a test: where its file is and what is in it, of which `offers` is all that matters.
pub fn model_file(id: &str, offers: &str) -> (String, String) {
    let head = format!(
        "id = \"{id}\"\ntitle = \"Stand-in\"\ncompany = \"test\"\nversion = \"1\"\nlicence = \
         \"MIT\"\ntraining_data = \"none\"\ndescription = \"Stands in.\"\ntier = \"hero\"\n"
    );
    (format!("models/test/{id}.toml"), head + offers)
}

const ADDER: &str = r#"id = "adder"
title = "Adder"
company = "test"
version = "1"
licence = "MIT"
training_data = "none"
description = "Adds."
tier = "standard"
[[offers]]
provider = "far"
task = "add"
endpoint = "add"
time = { fixed_ms = 10 }
price = { as_of = "2026-11-01", source = "test", lines = [{ per = "request", usd = 0.01 }] }
"#;

const LOCAL: &str = r#"id = "local"
title = "Local"
aliases = ["Homely"]
company = "test"
version = "1"
licence = "MIT"
training_data = "none"
description = "Does what can be done here."
tier = "standard"
[[offers]]
provider = "here"
task = "echo"
endpoint = "echo"
time = { fixed_ms = 1 }
price = "free"
[[offers]]
provider = "here"
task = "total"
endpoint = "total"
time = { fixed_ms = 1 }
price = "free"
[[offers]]
provider = "here"
task = "describe"
endpoint = "describe"
time = { fixed_ms = 1 }
price = "free"
"#;

const SPARE: &str = r#"id = "spare"
title = "Spare"
company = "test"
version = "1"
licence = "MIT"
training_data = "none"
description = "Stands in."
tier = "draft"
[[offers]]
provider = "here"
task = "echo"
endpoint = "spare-echo"
time = { fixed_ms = 1 }
price = "free"
"#;

/// A catalogue of four tasks: `add` costs a cent at a provider far away (dialect `far`); `echo`,
/// `total` and `describe` are free and done here (dialect `here`), `echo` by two models.
///
/// # Errors
/// A defect of this file.
pub fn catalog() -> Result<Catalog> {
    let files = [
        ("tasks/add.toml", ADD),
        ("tasks/echo.toml", ECHO),
        ("tasks/total.toml", TOTAL),
        ("tasks/describe.toml", DESCRIBE),
        ("providers/far.toml", FAR),
        ("providers/here.toml", HERE),
        ("models/test/adder.toml", ADDER),
        ("models/test/local.toml", LOCAL),
        ("models/test/spare.toml", SPARE),
    ];
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let layer = Layer { name: "test".to_owned(), files: files.collect() };
    let shown = |findings: Vec<Finding>| findings.iter().map(Finding::render).collect::<String>();
    Catalog::load(&[layer])
        .map(|(catalog, _)| catalog)
        .map_err(|findings| Error::internal(shown(findings)))
}

/// The plan of a workflow over the tasks of `catalog`.
///
/// # Errors
/// Everything that is wrong with the workflow.
pub fn compile(source: &str, catalog: &Catalog) -> Result<Arc<Plan>> {
    Plan::compile(source, &catalog.tasks).map(|(plan, _)| Arc::new(plan)).map_err(|found| {
        let shown: Vec<String> = found.iter().map(|one| one.render("test.yaml", source)).collect();
        Error::invalid(shown.join("\n"))
    })
}

/// What the offers of the dialect `here` name.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation {
            name: "echo",
            run: |input, bench| {
                bench.progress(0.5, "echoing");
                bench.check_cancelled()?;
                Ok(input.clone())
            },
        },
        Operation { name: "spare-echo", run: |input, _| Ok(input.clone()) },
        Operation {
            name: "total",
            run: |input, _| {
                let numbers = input.get("numbers").and_then(Value::as_list).unwrap_or_default();
                let total: i64 = numbers.iter().filter_map(Value::as_integer).sum();
                Ok(Values::from([("number".to_owned(), Value::from(total))]))
            },
        },
        Operation {
            name: "describe",
            run: |input, _| {
                let text = input.get("prompt").cloned().unwrap_or_default();
                Ok(Values::from([("text".to_owned(), text)]))
            },
        },
    ]
}

/// What an engine is put together from, each part to be replaced at will.
pub struct Stage {
    /// The parts.
    pub parts: Parts,
    /// The limits.
    pub options: EngineOptions,
}

impl Stage {
    /// Everything in memory, with the operations of this crate and nobody far away.
    ///
    /// # Errors
    /// A defect of this crate.
    pub fn in_memory() -> Result<Self> {
        Self::over(Arc::new(MemoryRuns::default()), Arc::new(MemoryBlobs::default()))
    }

    /// Over these stores, with the operations of this crate and nobody far away.
    ///
    /// # Errors
    /// A defect of this crate.
    pub fn over(runs: Arc<dyn RunStore>, blobs: Arc<dyn BlobStore>) -> Result<Self> {
        let here: Arc<dyn Driver> = Arc::new(OperationsDriver::new(operations()));
        let parts = Parts {
            catalog: Arc::new(catalog()?),
            runs,
            blobs,
            drivers: BTreeMap::from([("here".to_owned(), here)]),
            importer: Arc::new(NoImporter),
            tools: FileTools::none(),
            clock: Arc::new(SystemClock),
        };
        let options = EngineOptions {
            poll_first_ms: 2,
            poll_slowest_ms: 20,
            stop_grace_ms: 100,
            cancel_watch_ms: 20,
            ..EngineOptions::default()
        };
        Ok(Self { parts, options })
    }

    /// Another driver for a dialect.
    #[must_use]
    pub fn driver(mut self, dialect: &str, driver: Arc<dyn Driver>) -> Self {
        self.parts.drivers.insert(dialect.to_owned(), driver);
        self
    }

    /// Lets the work that is done here misbehave as `hook` says.
    #[must_use]
    pub fn faults(self, hook: FaultHook) -> Self {
        let driver = OperationsDriver::new(operations()).with_faults(hook);
        self.driver("here", Arc::new(driver))
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        Engine::new(self.parts.clone(), self.options.clone())
    }

    /// The plan of a workflow over the tasks of the catalogue.
    ///
    /// # Errors
    /// Everything that is wrong with the workflow.
    pub fn plan(&self, source: &str) -> Result<Arc<Plan>> {
        compile(source, &self.parts.catalog)
    }
}
