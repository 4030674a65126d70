//! What pages of other places may not do to a server that answers everybody.
//!
//! Without keys, whoever reaches the server may use it, and a browser on this machine reaches it for any
//! page that it shows. So a server without keys answers only to names of this machine (a page whose own
//! name leads here would otherwise be one of ours), and to no page of another origin that it was not
//! told to allow. Programs send no such headers, and are not asked for any.

use axum::body::Body;
use http::{HeaderMap, HeaderName, Method, Request, Uri, header};
use impasto_domain::{Error, ErrorKind};

use crate::ServerOptions;
use crate::hosts;

/// By which browsers say whose page asks.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What browsers say of pages that are not of the same origin.
const OTHER_SITES: [&str; 2] = ["cross-site", "same-site"];
/// Below this an address alone begins work, so that a picture in a page would.
pub(crate) const CALLED_BY_ADDRESS: &str = "/fal/run/";

/// Why a request is not answered that needs no key; none if there is no reason.
pub(crate) fn refusal(request: &Request<Body>, options: &ServerOptions) -> Option<Error> {
    let headers = request.headers();
    let asked = text(headers, &header::HOST)
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    if let Some(asked) = asked.filter(|asked| !is_ours(asked, options)) {
        let message = format!("a server without keys does not answer to the name '{asked}'");
        let hint = "make a key with `impasto keys create`, or call it by localhost or 127.0.0.1";
        return Some(Error::new(ErrorKind::Unauthorized, message).hint(hint));
    }
    let origin = headers.get(header::ORIGIN);
    let is_foreign = match origin.map(|origin| origin.to_str().unwrap_or_default()) {
        Some(origin) if options.allows(origin) => false,
        Some(origin) => !asked.is_some_and(|asked| is_at(origin, asked)),
        None => {
            let of_others =
                text(headers, &FETCH_SITE).is_some_and(|site| OTHER_SITES.contains(&site));
            let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
            let begins = !is_read || request.uri().path().starts_with(CALLED_BY_ADDRESS);
            of_others && begins
        }
    };
    is_foreign.then(|| {
        Error::new(
            ErrorKind::Unauthorized,
            "a server without keys answers no page of another origin",
        )
        .hint("allow the origin with `allow_origins`, or make a key with `impasto keys create`")
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether a name, perhaps with a port, is one of this machine or of this server.
fn is_ours(asked: &str, options: &ServerOptions) -> bool {
    let Ok(authority) = asked.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_public = || {
        let public = options.public_base.parse::<Uri>().ok();
        public.is_some_and(|uri| uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&name)))
    };
    address.parse::<std::net::IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || hosts::is_known(&name)
        || is_public()
}

/// Whether an origin is the place that was asked.
fn is_at(origin: &str, asked: &str) -> bool {
    let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    place.is_some_and(|place| place.eq_ignore_ascii_case(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(call: &str, headers: &[(&str, &str)], is_answered: bool) {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let options = ServerOptions {
            allow_origins: vec!["https://studio.example".to_owned()],
            public_base: "https://media.example/x".to_owned(),
            ..ServerOptions::default()
        };
        let refusal = refusal(&request, &options);
        assert_eq!(refusal.is_none(), is_answered, "{call} {headers:?}: {refusal:?}");
        assert!(refusal.is_none_or(|error| error.hint.is_some()));
    }

    #[test]
    fn only_names_of_this_machine_are_answered_to() {
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8080",
            "queue.fal.localhost:8080",
            "studio.localhost",
            "queue.fal.run",
            "media.example",
            "192.168.0.7:80",
        ] {
            check("POST /v1/runs", &[("host", host)], true);
        }
        for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "a b", ""] {
            check("POST /v1/runs", &[("host", host)], false);
            check("GET /v1/runs", &[("host", host)], false);
        }
        check("GET /v1/runs", &[], true);
        check("GET http://evil.example/v1/runs", &[], false);
    }

    #[test]
    fn pages_of_other_origins_are_not_answered() {
        let here = ("host", "127.0.0.1:8080");
        for call in ["POST /fal/queue/a/b", "GET /fal/run/a/b/realtime", "DELETE /v1/runs/x"] {
            check(call, &[here], true);
            check(call, &[here, ("origin", "http://127.0.0.1:8080")], true);
            check(call, &[here, ("origin", "https://studio.example")], true);
            for origin in ["https://evil.example", "null", "http://127.0.0.1:3000", ""] {
                check(call, &[here, ("origin", origin)], false);
            }
        }
        for site in OTHER_SITES {
            let page = ("sec-fetch-site", site);
            check("GET /docs", &[here, page], true);
            check("GET /files/a.png", &[here, page], true);
            check("GET /fal/run/a/b?prompt=x", &[here, page], false);
            check("POST /fal/run/a/b", &[here, page], false);
        }
        for site in ["none", "same-origin"] {
            check("POST /fal/run/a/b", &[here, ("sec-fetch-site", site)], true);
        }
    }
}
