//! Our server as `impasto serve` makes it, with one provider: the mock, spoken to by the driver of the
//! `openai` dialect. Files are taken in as they are: what looking into a picture costs is another figure.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use impasto_catalog::{Catalog, Layer};
use impasto_dialects::drivers;
use impasto_dialects::hosted::{Hosted, HostedOptions};
use impasto_domain::{AssetRef, Error, MediaFacts, Result, TenantId, Workbench};
use impasto_engine::{Engine, EngineOptions, FileTools, Importer, Parts, SystemClock};
use impasto_net::{Client, NetOptions};
use impasto_server::keys::{NewKey, draw};
use impasto_server::{NoEncoders, NoFetch, Parts as ServerParts, Scopes, Server, ServerOptions};
use impasto_store::{KeyKind, KeyLimits, KeyStore};
use impasto_store_sql::{FolderBlobs, SqliteOptions, SqliteRuns};

use crate::mock::MP3;

const PROVIDER: &str = r#"
id = "upstream"
title = "Upstream"
description = "A mock."
dialect = "openai"
concurrency = 1000

[base]
default = { env = ["UPSTREAM_URL"] }

[errors]
message = ["/error/message"]
"#;

const PICTURES: &str = r#"
task = "text-to-image"
price = { as_of = "2026-11-01", source = "the mock", lines = [{ per = "image", usd = 0.01 }] }
[offers.input]
prompt = {}
num_images = { to = "n", max = 10 }
[offers.output]
images = { at = "/data/*/b64_json", file = "base64", media_type = "image/png" }
"#;

const SPEECH: &str = r#"
task = "text-to-speech"
price = { as_of = "2026-11-01", source = "the mock", lines = [{ per = "thousand_characters", usd = 0.01 }] }
[offers.input]
text = { to = "input" }
voice = {}
output_format = { to = "response_format", values = ["mp3"] }
[offers.output]
audio = { file = "body", media_type = "audio/mpeg" }
"#;

fn model((name, offer): (&str, &str)) -> (String, String) {
    let text = format!(
        "id = \"{name}\"\ntitle = \"{name}\"\ncompany = \"mock\"\nversion = \"1\"\nlicence = \"none\"\ntraining_data = \"none\"\n\
         description = \"A mock.\"\ntier = \"draft\"\nprompt_style = \"sentence\"\n\n[[offers]]\n\
         provider = \"upstream\"\nendpoint = \"{name}\"\ntime = {{ fixed_ms = 10 }}\n{}",
        offer.trim_start()
    );
    (format!("models/mock/{name}.toml"), text)
}

fn catalog() -> Arc<Catalog> {
    let mut files = vec![("providers/upstream.toml".to_owned(), PROVIDER.to_owned())];
    let pictures = ["small", "large", "slow"].map(|name| (name, PICTURES));
    files.extend(pictures.into_iter().chain([("speech", SPEECH)]).map(model));
    let layers = [Layer::embedded(), Layer { name: "mock".to_owned(), files }];
    let (catalog, _) = Catalog::load(&layers).unwrap_or_else(|findings| panic!("{findings:?}"));
    Arc::new(catalog)
}

/// Takes every file in as what it seems to be.
struct AsItIs;

impl Importer for AsItIs {
    fn import(&self, path: &Path, _bench: &dyn Workbench) -> Result<AssetRef> {
        Err(Error::unavailable(format!("'{}' is not for figures", path.display())))
    }

    fn import_bytes(&self, bytes: &[u8], _name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        let media_type = if bytes.starts_with(&MP3) { "audio/mpeg" } else { "image/png" };
        bench.write(bytes.to_vec(), media_type, MediaFacts::default())
    }
}

/// The way to the mock.
fn hosted(upstream: &str) -> Hosted {
    let host = upstream.trim_start_matches("http://").to_owned();
    let options = NetOptions {
        trusted_hosts: vec![host],
        idle_connections_max: 256,
        ..NetOptions::default()
    };
    let url = format!("{upstream}/v1");
    let settings = move |name: &str| (name == "UPSTREAM_URL").then(|| url.clone());
    let client = Client::new(options).unwrap();
    Hosted::new(client, Arc::new(settings), Arc::new(AsItIs), HostedOptions::default())
}

/// Serves for ever. The key is written to `data/key`.
pub(crate) async fn serve(port: u16, upstream: &str, data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    let store = Arc::new(SqliteRuns::open(data, &SqliteOptions::default()).unwrap());
    let blobs = Arc::new(FolderBlobs::open(&data.join("assets")).unwrap());
    let clock = Arc::new(SystemClock);
    let new = NewKey {
        tenant: TenantId::local(),
        name: "bench".to_owned(),
        kind: KeyKind::User,
        scopes: Scopes::new(),
        limits: KeyLimits::default(),
        expires_ms: None,
    };
    let (record, key) = draw(new, 1).unwrap();
    store.add_key(record).await.unwrap();
    std::fs::write(data.join("key"), key).unwrap();
    let parts = Parts {
        catalog: catalog(),
        runs: Arc::clone(&store) as _,
        blobs: Arc::clone(&blobs) as _,
        drivers: drivers::all(&hosted(upstream)).collect(),
        importer: Arc::new(AsItIs),
        tools: FileTools::none(),
        clock: Arc::clone(&clock) as _,
    };
    let engine = Engine::new(parts, EngineOptions::default());
    let parts = ServerParts {
        engine,
        store,
        pieces: Arc::clone(&blobs) as _,
        blobs,
        reload: None,
        fetch: Arc::new(NoFetch),
        encoders: Arc::new(NoEncoders),
        clock,
        secret: [7; 32],
    };
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let server = Server::bind(parts, ServerOptions::default(), address, None).await.unwrap();
    server.run().await.unwrap();
}
