//! Our server, with one provider: the mock. What speaks to it is as small as a driver of that protocol
//! can be; the catalogue's own drivers take its place when there are some.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use impasto_catalog::{Catalog, Layer};
use impasto_dialects::inline::InlineBytes;
use impasto_domain::{Error, ErrorKind, MediaFacts, TenantId, Value, Values};
use impasto_engine::{
    Driver, Ended, Engine, EngineOptions, Failure, Job, NoImporter, Parts, Polled, StartCall,
    Started, SystemClock,
};
use impasto_net::{Client, Grade, NetOptions, Request};
use impasto_server::keys::{NewKey, draw};
use impasto_server::{NoEncoders, NoFetch, Parts as ServerParts, Scopes, Server, ServerOptions};
use impasto_store::{BoxFuture, KeyKind, KeyLimits, KeyStore};
use impasto_store_sql::{FolderBlobs, SqliteOptions, SqliteRuns};
use serde::Deserialize;
use serde_json::json;

const PROVIDER: &str = "id = \"upstream\"\ntitle = \"Upstream\"\ndescription = \"A mock.\"\ndialect = \"mock\"\nconcurrency = 1000\n";

fn model(name: &str) -> (String, String) {
    let text = format!(
        "id = \"{name}\"\ntitle = \"{name}\"\ncompany = \"mock\"\nversion = \"1\"\nlicence = \"none\"\ntraining_data = \"none\"\n\
         description = \"A mock.\"\ntier = \"draft\"\nprompt_style = \"sentence\"\n\n[[offers]]\n\
         provider = \"upstream\"\ntask = \"text-to-image\"\nendpoint = \"{name}\"\nprice = \"free\"\n\
         time = {{ fixed_ms = 10 }}\n"
    );
    (format!("models/mock/{name}.toml"), text)
}

fn catalog() -> Arc<Catalog> {
    let mut files = vec![("providers/upstream.toml".to_owned(), PROVIDER.to_owned())];
    files.extend(["small", "large", "slow"].map(model));
    let layers = [Layer::embedded(), Layer { name: "mock".to_owned(), files }];
    let (catalog, _) = Catalog::load(&layers).unwrap_or_else(|findings| panic!("{findings:?}"));
    Arc::new(catalog)
}

/// Speaks to the mock.
struct Pictures {
    client: Client,
    url: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    b64_json: InlineBytes,
}

impl Pictures {
    async fn ask(&self, call: StartCall) -> Result<Started, Failure> {
        let body = json!({
            "model": call.endpoint, "prompt": call.input.get("prompt").and_then(Value::as_text), "n": 1,
        });
        let request = Request::post(&self.url, Grade::Trusted).map_err(Error::from)?;
        let request = request.body("application/json", body.to_string());
        let mut response = self.client.send(request).await.map_err(Error::from)?;
        let bytes = response.bytes().await.map_err(Error::from)?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|error| Error::new(ErrorKind::ProviderFailed, error.to_string()))?;
        let keep = |picture: Picture| {
            let bytes = picture.b64_json.0.to_vec();
            call.bench.write(bytes, "image/png", MediaFacts::default()).map(Value::from)
        };
        let pictures = answer.data.into_iter().map(keep).collect::<Result<Vec<_>, _>>()?;
        let output = Values::from([("images".to_owned(), Value::List(pictures))]);
        Ok(Started::Done(Ended { output, cost: None }))
    }
}

impl Driver for Pictures {
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(self.ask(call))
    }

    fn poll(&self, _job: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        Box::pin(async { Err(Error::internal("every call is done at once")) })
    }

    fn cancel(&self, _job: Job) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// Serves for ever. The key is written to `data/key`.
pub(crate) async fn serve(port: u16, upstream: &str, data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    let host = upstream.trim_start_matches("http://").to_owned();
    let options = NetOptions {
        trusted_hosts: vec![host],
        idle_connections_max: 256,
        ..NetOptions::default()
    };
    let driver: Arc<dyn Driver> = Arc::new(Pictures {
        client: Client::new(options).unwrap(),
        url: format!("{upstream}/v1/images/generations"),
    });
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
        drivers: [("mock".to_owned(), driver)].into(),
        importer: Arc::new(NoImporter),
        render: Arc::new(|_, _| Err(Error::internal("there are no videos here"))),
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
