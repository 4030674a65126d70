//! `serve` and `mcp`: the server, put together and run until it is asked to stop.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use impasto_domain::{Error, Result};
use impasto_engine::Engine;
use impasto_server::{Handle, Parts, Server, ServerOptions, Tls};
use impasto_store::KeyStore;
use impasto_store_sql::FolderBlobs;
use tracing_subscriber::EnvFilter;

use crate::args::{GlobalFlags, LogFormat, McpCommand, ServeCommand};
use crate::compose::{self, House};
use crate::encoders::SandboxEncoders;
use crate::fetch::Outside;
use crate::inputs::unreadable;
use crate::runs::{Exit, FINE, STOPPED};
use crate::screen::Screen;
use crate::settings::Settings;
use crate::vault::Vault;
use crate::watch::Watch;
use crate::{catalogue, collector};

/// What is logged when `RUST_LOG` does not say.
const LOGGED: &str = "info,rmcp=warn";
/// The file of the data folder by which addresses of files are signed.
const SECRET_FILE: &str = "secret";
/// Bytes of it.
const SECRET_BYTES: usize = 32;
/// The folder of the data folder that keeps the parts of uploads until they are put together.
const PIECES_FOLDER: &str = "uploads";
/// The folder of the data folder that keeps the development authority.
const TLS_FOLDER: &str = "tls";

/// `impasto serve`.
pub(crate) async fn serve(
    command: &ServeCommand,
    global: &GlobalFlags,
    screen: Screen,
) -> Result<Exit> {
    log(command.log)?;
    let mut settings = Settings::read(command.settings.config.as_deref())?;
    settings.server.public_base =
        command.public_base.clone().unwrap_or(settings.server.public_base);
    let traces = collector::traces(&settings.network)?;
    let watch = Duration::from_millis(settings.catalog.watch_every_ms);
    let (house, parts, options) = parts(settings, global, screen)?;
    let is_open = !house.store.has_keys().await?;
    if is_open && !command.listen.ip().is_loopback() {
        let message = format!(
            "'{}' can be reached from other machines, and there is no key",
            command.listen.ip()
        );
        return Err(Error::invalid(message).hint(
            "`impasto keys create NAME` makes one; or listen on 127.0.0.1, for this machine alone",
        ));
    }
    let tls = tls(command, &house.data);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let authority = tls.as_ref().and_then(Tls::authority);
    let mut server = Server::bind(parts, options, command.listen, tls).await?;
    if let Some(traces) = traces {
        server = server.with_traces(traces);
    }
    let address = server.address();
    let log = command.log;
    // Whoever reads the log as data gets nothing else on it.
    let say = move |text: String| match log {
        LogFormat::Json => tracing::info!("{text}"),
        LogFormat::Text => screen.note(text),
    };
    if screen.json {
        screen.json_line(
            &serde_json::json!({ "listening": format!("{scheme}://{address}"), "open": is_open }),
        );
    } else {
        say(format!("Impasto listens on {scheme}://{address}  (API reference: /docs)"));
        if is_open {
            say("There is no key: everybody on this machine is served. `impasto keys create NAME` makes one.".to_owned());
        }
        if let Some(authority) = authority {
            say(format!("Clients must trust '{}'", authority.display()));
        }
    }
    let reader = Reader { engine: house.engine.clone(), flags: global.clone(), screen };
    let told = heed(server.handle(), &reader, say);
    let watched = reader.keep_up(&house.data, watch);
    let left = tokio::select! {
        left = server.run() => left?,
        () = told => return Ok(STOPPED),
        () = watched => return Err(Error::internal("the watch over the catalogue ended")),
    };
    if left > 0 {
        say(format!("{left} run(s) go on when a server starts again, or by `impasto resume`"));
    }
    Ok(FINE)
}

/// `impasto mcp`.
pub(crate) async fn mcp(
    command: &McpCommand,
    global: &GlobalFlags,
    screen: Screen,
) -> Result<Exit> {
    log(LogFormat::Text)?;
    let settings = Settings::read(command.settings.config.as_deref())?;
    let (_, parts, options) = parts(settings, global, screen)?;
    impasto_server::serve_mcp(parts, options).await?;
    Ok(FINE)
}

fn parts(
    settings: Settings,
    global: &GlobalFlags,
    screen: Screen,
) -> Result<(House, Parts, ServerOptions)> {
    let Settings { server, engine, network, catalog: _ } = settings;
    let house = compose::house(global, engine, network.clone(), screen)?;
    let flags = global.clone();
    let parts = Parts {
        engine: house.engine.clone(),
        store: Arc::clone(&house.store) as _,
        blobs: Arc::clone(&house.blobs) as _,
        pieces: Arc::new(FolderBlobs::open(&house.data.join(PIECES_FOLDER))?),
        reload: Some(Arc::new(move || {
            catalogue::load(compose::overlay(&flags).as_deref(), screen)
        })),
        fetch: Arc::new(Outside::new(network, server.upload_bytes_max.saturating_mul(2))?),
        encoders: Arc::new(SandboxEncoders::new(compose::sandbox()?)),
        clock: Arc::clone(&house.clock) as _,
        secret: secret(&house.data.join(SECRET_FILE))?,
    };
    Ok((house, parts, server))
}

fn tls(command: &ServeCommand, data: &Path) -> Option<Tls> {
    if command.tls_self_signed {
        return Some(Tls::Development(data.join(TLS_FOLDER)));
    }
    let (certificate, key) = command.tls_certificate.clone().zip(command.tls_key.clone())?;
    Some(Tls::Files { certificate, key })
}

/// Reads the catalogue again.
struct Reader {
    engine: Engine,
    flags: GlobalFlags,
    screen: Screen,
}

impl Reader {
    /// Reads it again; one that is broken changes nothing, and the log says why.
    fn read_again(&self, because: &str) {
        match catalogue::load(compose::overlay(&self.flags).as_deref(), self.screen) {
            Ok(catalog) => {
                tracing::info!(
                    because,
                    models = catalog.models.len(),
                    "the catalogue was read again"
                );
                self.engine.reload(Arc::new(catalog));
            }
            Err(error) => tracing::error!(because, %error, "the catalogue stays as it was"),
        }
    }

    /// Reads it again whenever a file of the folder on top, or the key store, has changed.
    async fn keep_up(&self, data: &Path, every: Duration) {
        let places = compose::overlay_place(&self.flags).into_iter();
        let places = places.chain([Vault::of(data).file()]).collect();
        if every.is_zero() {
            return std::future::pending().await;
        }
        let mut watch = Watch::new(places);
        loop {
            watch.changed(every).await;
            self.read_again("a changed file");
        }
    }
}

/// Does what this process is told by signals. The first end is a gentle one; the second ends this.
async fn heed(server: Handle, reader: &Reader, say: impl Fn(String)) {
    let Ok(mut signals) = Signals::new() else { return std::future::pending().await };
    let mut is_ending = false;
    loop {
        match signals.next().await {
            Signal::ReadAgain => reader.read_again("a signal"),
            Signal::End if is_ending => return,
            Signal::End => {
                is_ending = true;
                say("Ending: runs under way are waited for; once more ends at once".to_owned());
                server.stop();
            }
        }
    }
}

enum Signal {
    End,
    ReadAgain,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End,
            _ = self.terminate.recv() => Signal::End,
            _ = self.hang_up.recv() => Signal::ReadAgain,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::End
    }
}

fn log(format: LogFormat) -> Result<()> {
    let said = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let said = if said.is_empty() { LOGGED } else { said.as_str() };
    let filter = EnvFilter::try_new(said).map_err(|error| {
        Error::invalid(format!("RUST_LOG: '{said}' says nothing: {error}"))
            .hint("such as RUST_LOG=info, or RUST_LOG=warn,impasto_engine=debug")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| Error::internal(format!("no log: {error}")))
}

/// What is kept in the file, drawn when there is none.
fn secret(file: &Path) -> Result<[u8; SECRET_BYTES]> {
    match std::fs::read(file) {
        Ok(kept) => kept.try_into().map_err(|_| {
            Error::invalid(format!("'{}' does not hold {SECRET_BYTES} bytes", file.display()))
                .hint("delete it; addresses of files that were given out stop working")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut drawn = [0; SECRET_BYTES];
            getrandom::fill(&mut drawn)
                .map_err(|error| Error::internal(format!("no random numbers: {error}")))?;
            write_private(file, &drawn).map_err(|error| {
                Error::unavailable(format!("'{}' cannot be written: {error}", file.display()))
            })?;
            Ok(drawn)
        }
        Err(error) => Err(unreadable(file, &error)),
    }
}

/// Writes a new file that nobody else may read.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_drawn_once_and_one_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(SECRET_FILE);
        let drawn = secret(&file).unwrap();
        assert_eq!(secret(&file).unwrap(), drawn);
        assert_ne!(drawn, [0; SECRET_BYTES]);
        std::fs::write(&file, "short").unwrap();
        assert!(secret(&file).unwrap_err().to_string().contains("32 bytes"));
    }
}
