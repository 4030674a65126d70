//! What can be typed: the commands, their flags and their examples. What it means is decided elsewhere.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

/// One API and durable workflows over every generative media model.
#[derive(Parser, Debug)]
#[command(
    name = "impasto",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  impasto generate text-to-image \"a red mug on marble, soft window light\" -n 4
  impasto plan workflows/product-film.yaml -i photo=@mug.png -i product=\"Red mug\"
  impasto run  workflows/product-film.yaml -i photo=@mug.png -i product=\"Red mug\" -o out/
  impasto resume            # go on with the newest unfinished run"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct GlobalFlags {
    /// Where runs and assets are kept [default: $XDG_DATA_HOME/impasto or ~/.local/share/impasto]
    #[arg(long, global = true, env = "IMPASTO_DATA", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
    /// A folder of tasks, providers and models on top of the built-in catalogue [default: `catalog` in
    /// the data folder, if it is there]
    #[arg(long, global = true, env = "IMPASTO_CATALOG", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) catalog: Option<PathBuf>,
    /// Answer in JSON, for machines; events of a run come as one object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Make offline models misbehave, such as "fail=rate_limited,rate=0.3;latency_ms=200"
    #[arg(
        long,
        global = true,
        env = "IMPASTO_MISBEHAVE",
        value_name = "SPEC",
        hide_short_help = true
    )]
    pub(crate) misbehave: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a workflow and write its outputs to a folder
    #[command(after_help = "\
Examples:
  impasto run workflows/product-film.yaml -i photo=@mug.png -i product=\"Red mug\" -o out/
  impasto run film.yaml -i scenes=@scenes.json -i look=noir --tier draft --json
Ctrl-C stops cleanly and the run can be resumed; a second Ctrl-C stops at once.")]
    Run(RunCommand),
    /// Show what a workflow would do: its graph, the offers it would take and why, cost and time
    #[command(after_help = "\
Examples:
  impasto plan workflows/product-film.yaml
  impasto plan workflows/product-film.yaml -i photo=@mug.png -i product=\"Red mug\" --json
Nothing is executed and nothing is paid.")]
    Plan(PlanCommand),
    /// Go on with a run that was interrupted, killed or failed; finished steps are not done again
    #[command(after_help = "\
Examples:
  impasto resume                 # the newest unfinished run
  impasto resume run-1a2b -o out/")]
    Resume(ResumeCommand),
    /// List runs, newest first
    Runs(RunsCommand),
    /// Show a run: every step, attempt, decision, cost and asset
    Show {
        /// The run's id, or the beginning of it
        run: String,
    },
    /// Cancel a run for good, also one that another process is working on
    Cancel {
        /// The run's id, or the beginning of it
        run: String,
    },
    /// Say yes or no to a step that waits for a person, and go on with the run
    #[command(after_help = "\
Examples:
  impasto approve 6a1f look
  impasto approve 6a1f look --reject --note \"too dark\"")]
    Approve(ApproveCommand),
    /// Do one task without a workflow
    #[command(after_help = "\
Examples:
  impasto generate text-to-image \"a red mug on marble, soft window light\" -n 4
  impasto generate text-to-speech \"Good morning.\" -o out/
  impasto generate remove-background -i image=@mug.png
  impasto generate image-to-video -i image=@mug.png -i camera=orbit -i duration=3
`impasto tasks TASK` lists what a task takes and gives.")]
    Generate(GenerateCommand),
    /// List models, show one, or import one from a provider's schema
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "\
Examples:
  impasto models --task text-to-image --sort price
  impasto models --task image-to-video --can last_frame
  impasto models kling
  impasto models show sketch-scene
  impasto models import --provider fal --endpoint acme/lumen-3/image-to-video"
    )]
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
        #[command(flatten)]
        filter: ModelFilter,
    },
    /// List providers: which can be used, and what the others lack; keep their keys
    #[command(after_help = "\
Examples:
  impasto providers
  impasto providers set-key fal             # asks for the key, and shows nothing of it
  impasto providers set-key fal < key.txt
  impasto providers remove-key fal
A key in the environment comes before one that is kept. Kept keys are encrypted in the data folder:
with the passphrase in IMPASTO_MASTER_KEY, or else with a key file that only you may read.")]
    Providers {
        #[command(subcommand)]
        command: Option<ProvidersCommand>,
    },
    /// Check a catalogue of one's own, and ask providers what has changed
    #[command(
        subcommand,
        after_help = "\
Examples:
  impasto catalog check my-catalog
  impasto catalog check --json --strict
  impasto catalog probe --provider fal
  impasto catalog probe --model flux-2 --json
`check` ends with 1 if something is wrong; `probe` if calls would fail or something could not be learned."
    )]
    Catalog(CatalogCommand),
    /// List tasks, or show what one takes and gives
    Tasks {
        /// A task to show
        task: Option<String>,
    },
    /// Check workflows, and prompts for what they leave open
    #[command(after_help = "\
Examples:
  impasto lint workflows/product-film.yaml
  impasto lint --prompt \"a nice mug\"")]
    Lint(LintCommand),
    /// Serve the API, and the SDKs that people already have, over HTTP
    #[command(after_help = "\
Examples:
  impasto serve
  impasto serve --tls-self-signed
  impasto serve --listen 0.0.0.0:8100 --tls-certificate cert.pem --tls-key key.pem
  impasto serve --config impasto.toml
Without a key it serves this machine only, and everybody on it: `impasto keys create NAME` makes one.
Ctrl-C or SIGTERM takes nothing new, waits for runs under way and ends; SIGHUP reads the catalogue again.")]
    Serve(ServeCommand),
    /// Make, list and revoke the keys by which a server is called
    #[command(
        subcommand,
        after_help = "\
Examples:
  impasto keys create ada
  impasto keys create web --tenant acme --scope read --scope run --calls-per-minute 600 --expires 90d
  impasto keys create root --admin
  impasto keys list
  impasto keys revoke 3f1c2a9b0d4e"
    )]
    Keys(KeysCommand),
    /// Serve one client of the Model Context Protocol on standard input and output
    #[command(after_help = "\
Example, as a client's configuration:
  { \"mcpServers\": { \"impasto\": { \"command\": \"impasto\", \"args\": [\"mcp\"] } } }")]
    Mcp(McpCommand),
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  impasto completions bash > ~/.local/share/bash-completion/completions/impasto")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a reference page
    #[command(hide = true)]
    Reference {
        /// Which page
        page: Page,
    },
}

/// Which models are listed, and in which order.
#[derive(Args, Debug)]
pub(crate) struct ModelFilter {
    /// Words that the name, company, licence, tasks or description must have
    pub(crate) words: Vec<String>,
    /// Only models that do this task
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Only models that this provider offers
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) provider: Option<String>,
    /// Only models of this company
    #[arg(long, value_name = "NAME")]
    pub(crate) company: Option<String>,
    /// Only models that can do this, such as seed, lora or last_frame (may be repeated)
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) can: Vec<String>,
    /// The order
    #[arg(long, value_enum, default_value_t = ModelOrder::Name)]
    pub(crate) sort: ModelOrder,
    /// Also models that are retired or have no API
    #[arg(long)]
    pub(crate) all: bool,
}

/// The order of listed models.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModelOrder {
    /// By id
    Name,
    /// The cheapest usual call first
    Price,
    /// The best public figure first
    Quality,
}

/// A page that the program writes about itself.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Page {
    /// Every command with its help.
    Commands,
    /// Every task with its inputs and outputs.
    Tasks,
    /// Every model and provider of the catalogue.
    Systems,
    /// The JSON schema of a task's file.
    TaskSchema,
    /// The JSON schema of a provider's file.
    ProviderSchema,
    /// The JSON schema of a model's file.
    ModelSchema,
}

#[derive(Args, Debug)]
pub(crate) struct RunCommand {
    /// The workflow file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) workflow: PathBuf,
    #[command(flatten)]
    pub(crate) inputs: InputFlags,
    #[command(flatten)]
    pub(crate) policy: PolicyFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Args, Debug)]
pub(crate) struct PlanCommand {
    /// The workflow file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) workflow: PathBuf,
    #[command(flatten)]
    pub(crate) inputs: InputFlags,
    #[command(flatten)]
    pub(crate) policy: PolicyFlags,
}

#[derive(Args, Debug)]
pub(crate) struct ResumeCommand {
    /// The run's id, or the beginning of it [default: the newest unfinished run]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Args, Debug)]
pub(crate) struct ApproveCommand {
    /// The run's id, or the beginning of it
    pub(crate) run: String,
    /// The step that waits, as `impasto show` writes it
    pub(crate) step: String,
    /// Say no: the step fails
    #[arg(long)]
    pub(crate) reject: bool,
    /// What else there is to say; later steps can use it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Args, Debug)]
pub(crate) struct RunsCommand {
    /// Only runs in this state
    #[arg(long)]
    pub(crate) status: Option<StatusName>,
    /// The most runs to list
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

#[derive(Args, Debug)]
pub(crate) struct GenerateCommand {
    /// The task, such as text-to-image
    pub(crate) task: String,
    /// The prompt or text; what is not given as -i
    pub(crate) prompt: Option<String>,
    /// How many (for tasks that take num_images)
    #[arg(short = 'n', long = "count", value_name = "N")]
    pub(crate) count: Option<u32>,
    /// The seed; without one, one is drawn and shown
    #[arg(long)]
    pub(crate) seed: Option<u32>,
    #[command(flatten)]
    pub(crate) inputs: InputFlags,
    #[command(flatten)]
    pub(crate) policy: PolicyFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Args, Debug)]
pub(crate) struct ServeCommand {
    /// Where to listen
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "IMPASTO_LISTEN",
        default_value = "127.0.0.1:8100"
    )]
    pub(crate) listen: SocketAddr,
    /// Scheme and host at which others reach this server, such as https://media.example: providers that
    /// take files only by an address fetch them there
    #[arg(long, value_name = "URL", env = "IMPASTO_PUBLIC_BASE", value_parser = public_base)]
    pub(crate) public_base: Option<String>,
    #[command(flatten)]
    pub(crate) settings: SettingsFlags,
    /// Speak TLS too, with a certificate for this machine's own names that is made for development
    #[arg(long, conflicts_with_all = ["tls_certificate", "tls_key"])]
    pub(crate) tls_self_signed: bool,
    /// Speak TLS too, with this certificate and those above it (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Option<PathBuf>,
    /// How the log is written; RUST_LOG says how much of it
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) log: LogFormat,
}

/// An address that begins as addresses do and has nothing after the host and a path.
fn public_base(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_sound = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', ' '])
    });
    let wrong = || "this is no address of a server, such as https://media.example".to_owned();
    is_sound.then(|| text.trim_end_matches('/').to_owned()).ok_or_else(wrong)
}

#[derive(Args, Debug)]
pub(crate) struct McpCommand {
    #[command(flatten)]
    pub(crate) settings: SettingsFlags,
}

/// Where settings that are rarely changed come from.
#[derive(Args, Debug, Default)]
pub(crate) struct SettingsFlags {
    /// A TOML file with [server], [engine], [network] and [catalog]: every limit by its name
    #[arg(long, value_name = "FILE", env = "IMPASTO_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people.
    Text,
    /// An object in each line, for machines.
    Json,
}

#[derive(Subcommand, Debug)]
pub(crate) enum KeysCommand {
    /// Make a key; it is shown this once
    Create(NewKeyCommand),
    /// List keys, oldest first
    List {
        /// Only keys of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Refuse a key from now on
    Revoke {
        /// The key's id, as `impasto keys list` shows it
        id: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct NewKeyCommand {
    /// What people call it
    pub(crate) name: String,
    /// In whose name it calls
    #[arg(long, default_value = "local", conflicts_with = "admin")]
    pub(crate) tenant: String,
    /// A key for running the server: it manages keys and reads figures, and makes no calls
    #[arg(long)]
    pub(crate) admin: bool,
    /// What it may do: read, run, write (may be repeated) [default: all]
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "admin")]
    pub(crate) scopes: Vec<String>,
    /// When it stops working, such as 90d or 12h [default: never]
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// The most attempts at once
    #[arg(long, value_name = "N")]
    pub(crate) concurrent: Option<u32>,
    /// The most calls a minute
    #[arg(long, value_name = "N")]
    pub(crate) calls_per_minute: Option<u32>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ModelsCommand {
    /// Show one model: what it does, where it is offered, prices, licence
    Show {
        /// The model's id, another name of it, or what a provider calls it
        id: String,
    },
    /// Make a model's file of a provider's schema; it can be used at once
    #[command(after_help = "\
Examples:
  impasto models import --provider fal --endpoint acme/lumen-3/image-to-video
  impasto models import openapi.json --provider fal --endpoint acme/lumen-3/image-to-video --price 0.2/second
  impasto models import https://schemas.example/inkwell.json --provider replicate --endpoint acme/inkwell
  impasto models import schema.json --provider fal --endpoint acme/lumen-3/edit --model lumen-3 --task edit-image
The document is an OpenAPI file, the answer of a provider about a model, or a JSON schema of the input.
Without one the provider is asked, where its file says how. A running server sees the file by itself.")]
    Import(Box<ImportCommand>),
}

#[derive(Args, Debug)]
pub(crate) struct ImportCommand {
    /// A file or an address with the schema, or - for standard input [default: ask the provider]
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) source: Option<String>,
    /// The provider that serves it
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) provider: String,
    /// What the provider calls it
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) endpoint: String,
    /// What it does [default: guessed from the schema]
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// The model's id; one that is there gets one offer more [default: made of the endpoint]
    #[arg(long, value_name = "ID")]
    pub(crate) model: Option<String>,
    /// What tells the offer from others of the model for the same task
    #[arg(long, value_name = "WORD")]
    pub(crate) variant: Option<String>,
    /// Which of the provider's wires it goes over, where there are several
    #[arg(long, value_name = "WIRE")]
    pub(crate) wire: Option<String>,
    /// What a call costs: 0.04/image, 0.2/second, free [default: the provider's word, else unknown]
    #[arg(long, value_name = "USD/UNIT")]
    pub(crate) price: Option<String>,
    /// The name for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Who made it
    #[arg(long, value_name = "NAME")]
    pub(crate) company: Option<String>,
    /// Its licence, as an SPDX expression where there is one
    #[arg(long, value_name = "LICENCE")]
    pub(crate) licence: Option<String>,
    /// How good its results are
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<TierName>,
    /// Write a model that is there anew
    #[arg(long)]
    pub(crate) replace: bool,
    /// Show the file, and write nothing
    #[arg(long)]
    pub(crate) print: bool,
    #[command(flatten)]
    pub(crate) settings: SettingsFlags,
}

#[derive(Subcommand, Debug)]
pub(crate) enum CatalogCommand {
    /// Check a folder of tasks, providers and models: every problem with its line and remedy
    Check(CheckCommand),
    /// Ask the providers whether they still say what the catalogue says, without paying
    Probe(ProbeCommand),
}

#[derive(Args, Debug)]
pub(crate) struct CheckCommand {
    /// The folder [default: the one on top of the built-in catalogue]
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
    /// Count warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ProbeCommand {
    /// Only offers of this provider
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) provider: Option<String>,
    /// Only offers of this model
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) settings: SettingsFlags,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ProvidersCommand {
    /// Keep the key of a provider, encrypted; it is read from standard input or asked for
    SetKey {
        /// The provider's id
        provider: String,
    },
    /// Forget the key of a provider
    RemoveKey {
        /// The provider's id
        provider: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct LintCommand {
    /// Workflow files
    #[arg(value_hint = ValueHint::FilePath, required_unless_present = "prompt")]
    pub(crate) workflows: Vec<PathBuf>,
    /// A prompt instead of a file
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Count warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Flags that give inputs.
#[derive(Args, Debug, Default)]
pub(crate) struct InputFlags {
    /// An input: name=value, or name=@file
    #[arg(short = 'i', long = "input", value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
}

/// Flags that say what is wanted of the route.
#[derive(Args, Debug, Default)]
pub(crate) struct PolicyFlags {
    /// The tier to aim at
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<TierName>,
    /// The most that one call may cost, in dollars
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<String>,
    /// The longest that one call may be expected to take, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_latency: Option<f64>,
    /// Take only these models, in this order (may be repeated)
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<String>,
}

/// Flags that say where the results go.
#[derive(Args, Debug, Default)]
pub(crate) struct OutputFlags {
    /// Write the outputs and run.json to this folder
    #[arg(short = 'o', long = "output", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
    /// Do every step again, even if an equal one has been done before
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// No progress, only the result
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TierName {
    Draft,
    Standard,
    Hero,
}

impl TierName {
    /// The word that files have for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Standard => "standard",
            Self::Hero => "hero",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StatusName {
    Running,
    Succeeded,
    Failed,
    Interrupted,
    Cancelled,
    Parked,
}
