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

/// The names in the table that stand for this machine.
pub(crate) fn local_names() -> impl Iterator<Item = &'static str> {
    HOSTS.keys().map(String::as_str).filter(|name| name.ends_with(".localhost"))
}

/// Puts the prefix of the host's face before the path.
pub(crate) fn by_host(request: &mut Request<Body>) {
    let asked = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = asked.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let Some(host) = asked.map(|host| host.split(':').next().unwrap_or(host)) else { return };
    let Some(prefix) = HOSTS.get(host) else { return };
    let path = request.uri().path();
    if EVERYWHERE.iter().any(|start| path.starts_with(start)) || path.starts_with(prefix.as_str()) {
        return;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(uri) = format!("{prefix}{path}{query}").parse::<Uri>() {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(ByHost(prefix));
    }
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
        check("queue.fal.localhost", "/files/ab.png", "/files/ab.png");
        check("localhost:8080", "/a/b", "/a/b");
        assert!(HOSTS.len() > 5);
    }
}
