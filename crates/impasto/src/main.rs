//! The command line of Impasto: what was typed becomes a call of the engine, and what the engine
//! says becomes text, tables or JSON.

mod args;
mod ask;
mod catalogue;
mod check;
mod collector;
mod compose;
mod deliver;
mod encoders;
mod fetch;
mod hosted;
mod import;
mod inputs;
mod keys;
mod lint;
mod models;
mod probe;
mod progress;
mod providers;
mod reference;
mod runs;
mod screen;
mod serve;
mod settings;
mod show;
mod systems;
mod vault;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use impasto_domain::{Error, ErrorKind, Result};
use impasto_engine::EngineOptions;
use impasto_net::NetOptions;

use crate::args::{Arguments, CatalogCommand, Command, GlobalFlags, ModelsCommand, Page};
use crate::compose::{House, overlay};
use crate::runs::{Exit, FINE, Session};
use crate::screen::Screen;

/// What was typed cannot be used.
const BAD_INPUT: Exit = 2;

fn main() -> ExitCode {
    // Before anything else: a child that decodes a foreign file does nothing but that.
    if std::env::args_os().nth(1).is_some_and(|first| first == compose::SANDBOX_COMMAND) {
        return ExitCode::from(u8::try_from(impasto_media::sandbox::child_main()).unwrap_or(1));
    }
    let arguments = Arguments::parse();
    let screen = Screen::new(arguments.global.json);
    match obey(arguments, screen) {
        Ok(exit) => ExitCode::from(exit),
        Err(error) => {
            screen.error(&error);
            ExitCode::from(exit_of(&error))
        }
    }
}

fn exit_of(error: &Error) -> Exit {
    match error.kind {
        ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::Conflict => BAD_INPUT,
        ErrorKind::Cancelled => runs::STOPPED,
        _ => runs::RUN_FAILED,
    }
}

fn obey(arguments: Arguments, screen: Screen) -> Result<Exit> {
    let Arguments { global, command } = arguments;
    match command {
        Command::Models { command: Some(ModelsCommand::Import(command)), .. } => {
            waited_for(import::run(&command, &global, screen))
        }
        Command::Catalog(CatalogCommand::Check(command)) => check::run(&command, &global, screen),
        Command::Catalog(CatalogCommand::Probe(command)) => {
            waited_for(probe::run(&command, &global, screen))
        }
        Command::Models { command, filter } => {
            let catalog = catalogue::load(overlay(&global).as_deref(), screen)?;
            let settings = vault::settings(&compose::data_folder(global.data.as_deref())?);
            let shelf = models::Shelf { catalog: &catalog, settings: &settings, screen };
            match command {
                Some(ModelsCommand::Show { id }) => models::show(&shelf, &id)?,
                _ => models::list(&shelf, &filter)?,
            }
            Ok(FINE)
        }
        Command::Providers { command } => {
            let catalog = catalogue::load(overlay(&global).as_deref(), screen)?;
            let data = compose::data_folder(global.data.as_deref())?;
            providers::obey(command.as_ref(), &providers::Desk::new(catalog, &data, screen))
        }
        Command::Tasks { task } => {
            let catalog = catalogue::load(overlay(&global).as_deref(), screen)?;
            match task {
                Some(task) => catalogue::show_task(&catalog, &task, screen)?,
                None => catalogue::list_tasks(&catalog, screen),
            }
            Ok(FINE)
        }
        Command::Lint(command) => {
            let catalog = catalogue::load(overlay(&global).as_deref(), screen)?;
            Ok(lint::run(&command, &catalog, screen))
        }
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "impasto",
                &mut std::io::stdout(),
            );
            Ok(FINE)
        }
        Command::Reference { page } => {
            screen.line(match page {
                Page::Commands => reference::commands().trim_end().to_owned(),
                Page::Tasks => {
                    let catalog = impasto_catalog::Catalog::embedded()?;
                    reference::tasks(&catalog).trim_end().to_owned()
                }
                Page::Systems => {
                    let catalog = impasto_catalog::Catalog::embedded()?;
                    systems::page(&catalog).trim_end().to_owned()
                }
                Page::TaskSchema => indented(&impasto_catalog::schema::task()),
                Page::ProviderSchema => indented(&impasto_catalog::schema::provider()),
                Page::ModelSchema => indented(&impasto_catalog::schema::model()),
            });
            Ok(FINE)
        }
        command => with_engine(&global, command, screen),
    }
}

fn indented(schema: &serde_json::Value) -> String {
    serde_json::to_string_pretty(schema).unwrap_or_default()
}

/// Work that waits for others, on threads of its own.
fn waited_for(work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.map_err(|error| Error::unavailable(format!("no threads: {error}")))?;
    let answer = threads.block_on(work);
    threads.shutdown_background();
    answer
}

/// Commands about runs: they need the engine and its threads.
fn with_engine(global: &GlobalFlags, command: Command, screen: Screen) -> Result<Exit> {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.map_err(|error| Error::unavailable(format!("no threads: {error}")))?;
    let answer = threads.block_on(async {
        match command {
            Command::Serve(command) => return serve::serve(&command, global, screen).await,
            Command::Mcp(command) => return serve::mcp(&command, global, screen).await,
            Command::Keys(command) => return keys::obey(&command, global, screen).await,
            _ => (),
        }
        let House { engine, catalog, .. } =
            compose::house(global, EngineOptions::default(), NetOptions::default(), screen)?;
        let session = Session { engine, catalog, screen };
        match command {
            Command::Run(command) => session.run(command).await,
            Command::Plan(command) => session.plan(&command),
            Command::Resume(command) => session.resume(command).await,
            Command::Approve(command) => session.approve(command).await,
            Command::Runs(command) => session.list(command).await,
            Command::Show { run } => session.show(&run).await,
            Command::Cancel { run } => session.cancel(&run).await,
            Command::Generate(command) => session.generate(command).await,
            _ => Err(Error::internal("this command needs no engine")),
        }
    });
    // Work that was asked to stop and has not yet dies with the process; nothing waits for it.
    threads.shutdown_background();
    answer
}
