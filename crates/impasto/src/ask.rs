//! Asks a provider, as its file says, for what costs nothing: schemas, lists, prices, checked requests.

use std::collections::BTreeMap;

use impasto_catalog::{Auth, AuthScheme, Call, Encoding, Provider, Seen};
use impasto_dialects::hosted::Settings;
use impasto_domain::{Error, Result};
use impasto_net::{Client, Grade, Limits, NetOptions, Request};
use serde_json::Value as Json;

/// The largest schema or list, in bytes.
pub(crate) const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// How long an answer may take, in milliseconds.
const ANSWER_MS_MAX: u64 = 30_000;

/// Asks providers.
#[derive(Clone)]
pub(crate) struct Asker {
    client: Client,
    settings: Settings,
}

/// What came back.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Json,
    /// What the status and the body mean, if they are an error.
    pub(crate) error: Option<Error>,
}

impl Asker {
    /// With these limits and exceptions of reaching others.
    pub(crate) fn new(options: NetOptions, settings: Settings) -> Result<Self> {
        Ok(Self { client: Client::new(options)?, settings })
    }

    /// What somebody's address holds, which the user typed.
    pub(crate) async fn document(&self, url: &str) -> Result<Json> {
        let request = Request::get(url, Grade::Trusted)?.limits(self.limits());
        let mut response = self.client.send(request).await?;
        let bytes = response.bytes().await?;
        if !response.is_success() {
            let message = format!("{} answers with status {}", response.place(), response.status());
            return Err(Error::unavailable(message)
                .hint("open the address in a browser, or save the schema to a file"));
        }
        parse(&bytes, url)
    }

    /// What a provider answers to a call; facts fill its places, a body is sent as JSON.
    pub(crate) async fn ask(
        &self,
        provider: &Provider,
        call: &Call,
        facts: &BTreeMap<String, String>,
        body: Option<Json>,
    ) -> Result<Answered> {
        let setting = |name: &str| (self.settings)(name);
        let base = provider.base_url(&call.base, setting)?;
        let path = call.path.fill_path(facts, &Json::Null)?;
        let mut url = if path.starts_with("http") { path } else { format!("{base}{path}") };
        for (name, value) in &call.query {
            add_query(&mut url, name, &value.fill(facts, &Json::Null)?);
        }
        let key = provider.key(setting)?;
        let scheme = provider.auth.as_ref().map(|Auth { scheme, .. }| scheme);
        if let (Some(AuthScheme::Query { name }), Some(key)) = (scheme, &key) {
            add_query(&mut url, name, key);
        }
        let mut request = Request::new(call.method.as_str(), &url, Grade::Trusted)?;
        for (name, value) in provider.headers.iter().chain(&call.headers) {
            request = request.header(name, value)?;
        }
        match (scheme, key) {
            (Some(AuthScheme::Header { name, prefix }), Some(key)) => {
                request = request.header(name, &format!("{prefix}{key}"))?;
            }
            (Some(AuthScheme::Basic), Some(_)) => {
                let message = format!("`{}` is asked with a user and a password", provider.id);
                return Err(Error::unavailable(message + ", which is not done here"));
            }
            _ => {}
        }
        if let (Some(body), Encoding::Json) = (body, call.body) {
            request = request.body("application/json", body.to_string().into_bytes());
        }
        let mut response = self.client.send(request.limits(self.limits())).await?;
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Json::from(String::from_utf8_lossy(&bytes).into_owned()));
        let header = |name: &str| response.header(name).map(str::to_owned);
        let seen = Seen { status: response.status(), header: &header, body: &body };
        let error = provider.errors.read(&seen);
        Ok(Answered { status: response.status(), error, body })
    }

    fn limits(&self) -> Limits {
        let usual = self.client.options().limits;
        Limits {
            body_bytes_max: ANSWER_BYTES_MAX,
            total_ms: usual.total_ms.min(ANSWER_MS_MAX),
            ..usual
        }
    }
}

/// JSON, or what is wrong with it.
pub(crate) fn parse(bytes: &[u8], place: &str) -> Result<Json> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::invalid(format!("'{place}' is not JSON: {error}"))
            .hint("give an OpenAPI file or a JSON schema, written in JSON")
    })
}

fn add_query(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    for (place, text) in [name, value].into_iter().enumerate() {
        if place == 1 {
            url.push('=');
        }
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                url.push(char::from(byte));
            } else {
                url.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_a_query_stays_what_it_is() {
        let mut url = "https://x.example/a".to_owned();
        add_query(&mut url, "endpoint_id", "acme/pixels 2&more=1");
        add_query(&mut url, "key", "ä");
        assert_eq!(url, "https://x.example/a?endpoint_id=acme/pixels%202%26more%3D1&key=%C3%A4");
    }
}
