//! Where traces are sent, by the environment variables that every OpenTelemetry program reads.

use std::sync::Arc;

use bytes::Bytes;
use impasto_domain::{Error, Result};
use impasto_net::{BoxFuture, Client, Grade, NetOptions, Request};
use impasto_server::{TraceSink, Traces};

/// The collector's address, to which the path of traces is added; or that address whole.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Headers, as `name=value,name=value`.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const TRACES_PATH: &str = "v1/traces";

/// Where traces go, if the environment says so.
pub(crate) fn traces(network: &NetOptions) -> Result<Option<Traces>> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let whole = set(TRACES_ENDPOINT);
    let Some(url) = whole.or_else(|| set(ENDPOINT).map(|base| under(&base))) else {
        return Ok(None);
    };
    let collector = Collector::new(url, &set(HEADERS).unwrap_or_default(), network)?;
    let service = set(SERVICE).unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
    Ok(Some(Traces { sink: Arc::new(collector), service }))
}

fn under(base: &str) -> String {
    format!("{}/{TRACES_PATH}", base.trim_end_matches('/'))
}

/// A collector that takes OTLP as JSON over HTTP.
struct Collector {
    client: Client,
    url: String,
    headers: Vec<(String, String)>,
}

impl Collector {
    fn new(url: String, headers: &str, network: &NetOptions) -> Result<Self> {
        let mut options = network.clone();
        options.trusted_hosts.push(host(&url)?);
        let headers = headers.split(',').filter_map(|pair| pair.split_once('='));
        let headers =
            headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        Ok(Self { client: Client::new(options)?, url, headers: headers.collect() })
    }

    async fn take(&self, body: Bytes) -> Result<()> {
        let mut request = Request::post(&self.url, Grade::Trusted)?.body("application/json", body);
        for (name, value) in &self.headers {
            request = request.header(name, value)?;
        }
        let response = self.client.send(request).await?;
        if response.is_success() {
            return Ok(());
        }
        Err(Error::unavailable(format!("the collector answers with {}", response.status())))
    }
}

impl TraceSink for Collector {
    fn send(&self, body: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.take(body))
    }
}

/// Host and port of a URL: the operator names the collector, so it may be on this machine.
fn host(url: &str) -> Result<String> {
    let rest = url.split_once("://").map(|(_, rest)| rest);
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let host = host.map(|host| host.rsplit('@').next().unwrap_or(host));
    host.filter(|host| !host.is_empty()).map(str::to_owned).ok_or_else(|| {
        Error::invalid(format!("{ENDPOINT}: '{url}' is no URL"))
            .hint("such as http://localhost:4318")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_and_the_host_is_found() {
        assert_eq!(under("http://localhost:4318/"), "http://localhost:4318/v1/traces");
        assert_eq!(host("http://localhost:4318/v1/traces").unwrap(), "localhost:4318");
        assert_eq!(host("https://collector.example").unwrap(), "collector.example");
        assert!(host("collector").is_err());
    }
}
