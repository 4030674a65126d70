//! Who may: keys that are made, used and revoked while a server runs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::{Reply, ask, picture};
use crate::harness::{Place, Setup};

fn as_key(address: SocketAddr, key: &str, method: &str, path: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("prefer", "respond-async"),
    ];
    ask(address, method, path, &headers, body.as_bytes()).unwrap()
}

#[test]
fn without_a_key_nobody_but_this_machine_is_served() {
    let place = Place::new(Setup::default());
    let refused = place.run(&["serve", "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("0.0.0.0") && said.contains("impasto keys create"), "{said}");
    let (_, key) = place.key(&["ada"]);
    let server = place.serve_at("0.0.0.0:0".parse().unwrap());
    let address = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    assert_eq!(as_key(address, &key, "GET", "/v1/runs", "").status, 200);
    let refused = ask(address, "GET", "/v1/runs", &[], b"").unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
}

#[test]
fn a_server_without_keys_answers_no_page_of_another_origin() {
    let place = Place::new(Setup::default());
    let server = place.serve();
    let begin = |headers: &[(&str, &str)]| {
        ask(server.address, "POST", "/fal/queue/impasto/text-to-image", headers, b"{}").unwrap()
    };
    let refused = begin(&[("origin", "https://evil.example")]);
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.header("x-fal-request-id").is_some(), "it is told as the face tells errors");
    assert_eq!(begin(&[]).status, 422, "whoever is no page is heard, and told what is missing");
    let (_, key) = place.key(&["ada"]);
    let server = place.serve();
    let bearer = format!("Bearer {key}");
    let headers = [("origin", "https://evil.example"), ("authorization", bearer.as_str())];
    let path = "/fal/queue/impasto/text-to-image";
    let heard = ask(server.address, "POST", path, &headers, b"{}").unwrap();
    assert_eq!(heard.status, 422, "whoever has a key may be a page: {}", heard.text());
}

#[test]
fn a_certificate_that_cannot_be_used_is_said_before_anything_is() {
    let place = Place::new(Setup::default());
    std::fs::write(place.path("bad.pem"), "paint").unwrap();
    let files = ["--tls-certificate", "bad.pem", "--tls-key", "bad.pem"];
    let refused = place.run(&[&["serve", "--listen", "127.0.0.1:0"], &files[..]].concat());
    let (out, said) =
        (String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("bad.pem") && !said.contains("listens") && out.is_empty(), "{out}{said}");
}

#[test]
fn a_key_works_as_soon_as_it_is_made_and_no_longer_than_it_is_good() {
    let place =
        Place::new(Setup { settings: "[server]\nkey_age_ms = 300\n".into(), ..Setup::default() });
    let server = place.serve();
    let address = server.address;
    assert_eq!(ask(address, "GET", "/v1/runs", &[], b"").unwrap().status, 200, "it is open");
    let (id, key) = place.key(&["ada"]);
    assert_eq!(as_key(address, &key, "GET", "/v1/runs", "").status, 200);
    let until = |wanted: u16, ask: &dyn Fn() -> Reply| {
        let began = Instant::now();
        while ask().status != wanted {
            assert!(began.elapsed() < Duration::from_secs(5), "{wanted}: {}", ask().text());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until(401, &|| ask(address, "GET", "/v1/runs", &[], b"").unwrap());
    let listed = place.run(&["--json", "keys", "list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let secret = key.rsplit('_').next().unwrap();
    assert!(listed.contains(&id) && !listed.contains(secret), "{listed}");
    assert!(place.run(&["keys", "revoke", &id]).status.success());
    until(401, &|| as_key(address, &key, "GET", "/v1/runs", ""));
    let refused = as_key(address, &key, "GET", "/v1/runs", "");
    assert!(refused.text().contains("revoked"), "{}", refused.text());
    let (_, brief) = place.key(&["brief", "--expires", "1s"]);
    assert_eq!(as_key(address, &brief, "GET", "/v1/runs", "").status, 200);
    until(401, &|| as_key(address, &brief, "GET", "/v1/runs", ""));
    let bytes = std::fs::read(place.path("data/impasto.db")).unwrap_or_default();
    let is_kept = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!is_kept, "only a digest of the secret is kept");
}

#[test]
fn a_key_does_what_its_scopes_say() {
    let place = Place::new(Setup::default());
    let (_, reads) = place.key(&["reader", "--scope", "read"]);
    let (_, runs) = place.key(&["runner", "--scope", "run"]);
    let (_, writes) = place.key(&["writer", "--scope", "write"]);
    let (_, rules) = place.key(&["ruler", "--admin"]);
    let (_, other) = place.key(&["other", "--tenant", "acme"]);
    let server = place.serve();
    let address = server.address;
    let picture = picture(1).to_string();
    let check = |key: &str, method: &str, path: &str, body: &str, expected: u16| {
        let reply = as_key(address, key, method, path, body);
        assert_eq!(reply.status, expected, "{method} {path}: {}", reply.text());
        reply
    };
    let made = check(&runs, "POST", "/v1/runs", &picture, 202).json();
    let run = format!("/v1/runs/{}", made["id"].as_str().unwrap());
    check(&reads, "POST", "/v1/runs", &picture, 403);
    check(&writes, "POST", "/v1/runs", &picture, 403);
    check(&rules, "POST", "/v1/runs", &picture, 403);
    check(&reads, "GET", &run, "", 200);
    check(&runs, "GET", &run, "", 403);
    check(&rules, "GET", &run, "", 403);
    check(&other, "GET", &run, "", 404);
    check(&other, "POST", &format!("{run}/cancel"), "", 404);
    let flow = r#"{"source": "workflow: a\nversion: 1\nsteps:\n  b: { task: text-to-image, input: { prompt: x } }\noutputs:\n  c: { value: \"{{ steps.b.images[0] }}\" }\n"}"#;
    check(&runs, "PUT", "/v1/workflows/a", flow, 403);
    check(&writes, "PUT", "/v1/workflows/a", flow, 200);
    check(&other, "GET", "/v1/workflows/a", "", 404);
    check(&reads, "GET", "/v1/workflows/a", "", 200);
    check(&reads, "GET", "/v1/keys", "", 403);
    check(&rules, "GET", "/v1/keys", "", 200);
    check(&reads, "GET", "/metrics", "", 403);
    check(&rules, "GET", "/metrics", "", 200);
}

#[test]
fn a_key_that_calls_too_often_is_told_when_to_come_again() {
    let place = Place::new(Setup::default());
    let (_, key) = place.key(&["web", "--calls-per-minute", "30"]);
    let (_, free) = place.key(&["free"]);
    let server = place.serve();
    let mut refused = None;
    for _ in 0..40 {
        let reply = as_key(server.address, &key, "GET", "/v1/runs", "");
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&after), "{after}");
    assert_eq!(as_key(server.address, &free, "GET", "/v1/runs", "").status, 200);
    std::thread::sleep(Duration::from_secs(after));
    assert_eq!(as_key(server.address, &key, "GET", "/v1/runs", "").status, 200);
}
