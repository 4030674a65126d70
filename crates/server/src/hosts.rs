//! Faces by host name: a request for `queue.fal.localhost` is one for `/fal/queue`. The table is data:
//! `data/hosts.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Body;
use http::{Request, Uri, header};

static HOSTS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| toml::from_str(include_str!("../data/hosts.toml")).unwrap_or_default());

/// Put on a request that came by a host name of a face: the prefix that its path was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByHost(pub(crate) &'static str);

/// What is the same under every host.
const EVERYWHERE: [&str; 2] = ["/files/", "/health"];
/// What a face has below what is the same under every host.
const OF_A_FACE: &str = "/files/upload";
/// Where a client sends requests that it means for other hosts, which it names in a header.
const PROXIES: [&str; 2] = ["/fal/proxy", "/api/fal/proxy"];
const TARGET_URL: &str = "x-fal-target-url";

/// The names in the table that stand for this machine.
pub(crate) fn local_names() -> impl Iterator<Item = &'static str> {
    HOSTS.keys().map(String::as_str).filter(|name| name.ends_with(".localhost"))
}

/// Whether a face is reached by that name of a host.
pub(crate) fn is_known(name: &str) -> bool {
    HOSTS.contains_key(name)
}

/// Puts the prefix of the host's face before the path.
pub(crate) fn by_host(request: &mut Request<Body>) {
    let asked = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = asked.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let Some(host) = asked.map(|host| host.split(':').next().unwrap_or(host)) else { return };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let Some(prefix) = HOSTS.get(&host) else { return };
    let path = request.uri().path();
    let everywhere = EVERYWHERE.iter().any(|start| path.starts_with(start));
    if (everywhere && !path.starts_with(OF_A_FACE)) || path.starts_with(prefix.as_str()) {
        return;
    }
    if let Some(uri) = below(prefix, request.uri()) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(ByHost(prefix));
    }
}

/// Sends a request on that came to the proxy: to the face of the host that it was meant for. What was
/// meant for any other host stays with the proxy, which refuses it.
pub(crate) fn by_target(request: &mut Request<Body>) {
    if !PROXIES.contains(&request.uri().path()) {
        return;
    }
    let target = request.headers().get(TARGET_URL).and_then(|target| target.to_str().ok());
    let target = target.and_then(|target| target.parse::<Uri>().ok());
    let known = target.as_ref().and_then(|target| {
        let prefix = HOSTS.get(target.host()?).filter(|prefix| prefix.starts_with("/fal/"))?;
        below(prefix, target)
    });
    *request.uri_mut() = known.unwrap_or(Uri::from_static("/fal/proxy"));
}

/// The path and query of an address below a prefix.
fn below(prefix: &str, uri: &Uri) -> Option<Uri> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{prefix}{}{query}", uri.path()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, path: &str, expected: &str) {
        let mut request = Request::builder().uri(path).header("host", host);
        let mut request = std::mem::take(&mut request).body(Body::empty()).unwrap();
        by_host(&mut request);
        assert_eq!(request.uri().to_string(), expected, "{host} {path}");
    }

    #[test]
    fn the_host_names_the_face() {
        check("queue.fal.localhost:8080", "/a/b?logs=1", "/fal/queue/a/b?logs=1");
        check("Queue.FAL.localhost.:8080", "/a/b", "/fal/queue/a/b");
        check("queue.fal.localhost", "/files/ab.png", "/files/ab.png");
        check("v3.fal.media", "/files/upload/multipart", "/fal/cdn/files/upload/multipart");
        check("localhost:8080", "/a/b", "/a/b");
        assert!(HOSTS.len() > 5);
    }

    #[test]
    fn the_proxy_sends_on_what_is_meant_for_a_face() {
        let check = |path: &str, target: &str, expected: &str| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = path.parse().unwrap();
            request.headers_mut().insert(TARGET_URL, target.parse().unwrap());
            by_target(&mut request);
            assert_eq!(request.uri().to_string(), expected, "{target}");
        };
        check("/fal/proxy", "https://queue.fal.run/a/b?x=1", "/fal/queue/a/b?x=1");
        check("/api/fal/proxy", "https://rest.fal.ai/tokens/", "/fal/rest/tokens/");
        check("/fal/proxy", "https://evil.example/a", "/fal/proxy");
        check("/fal/proxy", "https://api.openai.com/v1/models", "/fal/proxy");
        check("/fal/proxy", "nonsense", "/fal/proxy");
        check("/fal/other", "https://fal.run/a/b", "/fal/other");
    }
}
