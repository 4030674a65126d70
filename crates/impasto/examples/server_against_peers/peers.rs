//! The gateways: how each is started, and how it is called.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{free_port, myself, start};

/// What is called.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) port: u16,
    /// What comes before `/images/generations` and `/audio/speech`.
    base: String,
    headers: Vec<(String, String)>,
}

impl Target {
    /// The mock itself.
    pub(crate) fn direct(port: u16) -> Self {
        Self { port, base: "/v1".to_owned(), headers: Vec::new() }
    }

    /// A call as it goes over the wire. No two are the same.
    pub(crate) fn request(&self, model: &str, number: u64) -> String {
        let nonce = std::process::id();
        let (path, body) = match model {
            "speech" => (
                "audio/speech",
                format!(
                    r#"{{"model":"{model}","input":"a red mug {nonce} {number}","voice":"any","response_format":"mp3"}}"#
                ),
            ),
            _ => (
                "images/generations",
                format!(r#"{{"model":"{model}","prompt":"a red mug {nonce} {number}","n":1}}"#),
            ),
        };
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!(
            "POST {}/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{body}",
            self.base,
            headers.collect::<String>(),
            body.len()
        )
    }
}

/// A gateway that may be there.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// How it is started; absent if it is not installed.
    pub(crate) command: Option<Vec<String>>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) target: Target,
}

/// Ours first, then the others.
pub(crate) fn all(upstream: &str, folder: &Path) -> Vec<Peer> {
    vec![ours(upstream, folder), litellm(upstream, folder), portkey(upstream)]
}

fn ours(upstream: &str, folder: &Path) -> Peer {
    // It is started once to draw a key, which the load has to know before.
    let (data, port) = (folder.join("data"), free_port());
    let command = || myself(&["gateway", &port.to_string(), upstream, &data.display().to_string()]);
    drop(start(command(), &[], port));
    let deadline = Instant::now() + Duration::from_secs(10);
    let key = loop {
        match std::fs::read_to_string(data.join("key")) {
            Ok(key) if !key.is_empty() => break key,
            _ if Instant::now() > deadline => panic!("our own server does not start"),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let target = Target {
        port,
        base: "/openai/v1".to_owned(),
        headers: vec![("authorization".to_owned(), format!("Bearer {key}"))],
    };
    // The first process is gone; the second draws another key, and the first one works still.
    Peer { name: "ours", command: Some(command()), environment: Vec::new(), target }
}

fn installed(path: &str) -> Option<PathBuf> {
    let path = Path::new("target/bench").join(path);
    path.canonicalize().ok()
}

fn litellm(upstream: &str, folder: &Path) -> Peer {
    let port = free_port();
    let model = |name: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{ model: openai/{name}, api_base: \"{upstream}/v1\", api_key: none }}\n"
        )
    };
    let models: String = ["small", "large", "slow", "speech"].map(model).concat();
    let config = folder.join("litellm.yaml");
    let text = format!(
        "model_list:\n{models}litellm_settings: {{ num_retries: 0, telemetry: false }}\ngeneral_settings: {{ master_key: sk-bench }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let program = installed("python/bin/litellm");
    let command = program.map(|program| {
        let words = [
            "--config",
            &config.display().to_string(),
            "--port",
            &port.to_string(),
            "--host",
            "127.0.0.1",
        ]
        .map(str::to_owned);
        std::iter::once(program.display().to_string()).chain(words).collect()
    });
    let headers = vec![("authorization".to_owned(), "Bearer sk-bench".to_owned())];
    let environment = vec![("LITELLM_LOCAL_MODEL_COST_MAP", "True".to_owned())];
    Peer {
        name: "LiteLLM (no database)",
        command,
        environment,
        target: Target { port, base: "/v1".to_owned(), headers },
    }
}

fn portkey(upstream: &str) -> Peer {
    let port = free_port();
    let program = installed("javascript/node_modules/@portkey-ai/gateway/build/start-server.js");
    let command = program.map(|program| {
        [
            "node".to_owned(),
            program.display().to_string(),
            format!("--port={port}"),
            "--headless".to_owned(),
        ]
        .into()
    });
    let headers = [
        ("x-portkey-provider", "openai"),
        ("authorization", "Bearer none"),
        ("x-portkey-custom-host", &format!("{upstream}/v1")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let target = Target { port, base: "/v1".to_owned(), headers: headers.into() };
    let environment = vec![("TRUSTED_CUSTOM_HOSTS", "127.0.0.1,localhost".to_owned())];
    Peer { name: "Portkey (no ledger)", command, environment, target }
}
