//! Hints of providers: by an address that was given, and by no other.

use axum::body::Body;
use http::StatusCode;
use impasto_domain::{InstanceKey, RunId};
use impasto_engine::AttemptName;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::house::{House, Reply};
use crate::ServerOptions;

const BASE: &str = "https://media.example";

async fn public() -> House {
    let public_base = format!("{BASE}/");
    let options = ServerOptions { hint_bytes_max: 1_000, hint_wait_ms: 20, ..Default::default() };
    House::with(ServerOptions { public_base, ..options }).await
}

fn name(run: &str, key: &str, attempt: u32) -> AttemptName {
    let key: InstanceKey = key.parse().unwrap();
    AttemptName { run: RunId::new(run), key, attempt }
}

/// What stands for the attempt in its address.
fn ticket(house: &House, name: &AttemptName) -> String {
    let address = house.app.callbacks().unwrap()(name).unwrap();
    address.strip_prefix(&format!("{BASE}/v1/hints/")).unwrap().to_owned()
}

async fn hint(house: &House, ticket: &str, body: impl Into<Body>) -> Reply {
    house.send(house.request("", &format!("POST /v1/hints/{ticket}"), &[], body)).await
}

/// Addresses made of good ones that nobody was given.
fn forged(own: &str, next: &str) -> Vec<String> {
    let (text, signature) = own.split_once('.').unwrap();
    let (other, _) = next.split_once('.').unwrap();
    vec![
        format!("{other}.{signature}"),
        text.to_owned(),
        format!("{text}."),
        format!(".{signature}"),
        format!("{own}00"),
        own.get(1..).unwrap().to_owned(),
        own.get(..own.len() - 2).unwrap().to_owned(),
        "é.ü".to_owned(),
    ]
}

#[tokio::test]
async fn an_address_is_read_back_and_no_other_is() {
    let house = public().await;
    for key in ["one", "film[0,12]", "with/slash", "été"] {
        let name = name("6b01", key, 3);
        let own = ticket(&house, &name);
        assert_eq!(ticket(&house, &name), own, "always the same");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(own.bytes().all(is_plain), "{own}");
        assert_eq!(house.app.hinted(&own), Some(name.clone()));
        let next = ticket(&house, &AttemptName { attempt: 4, ..name });
        for forged in forged(&own, &next) {
            assert_eq!(house.app.hinted(&forged), None, "{forged}");
        }
    }
    assert!(House::new().await.app.callbacks().is_none(), "nobody has said where we are reached");
}

#[tokio::test]
async fn who_has_the_address_is_heard_and_nobody_else() {
    let house = public().await;
    let run = house.hang(1).await;
    let ended = house.echo(2).await["id"].as_str().unwrap().to_owned();
    for name in [name(&run, "echo", 1), name(&ended, "echo", 1), name("gone", "echo", 7)] {
        for body in ["", "{}", "no { json", r#"{"status": "failed"}"#] {
            let reply = hint(&house, &ticket(&house, &name), body).await;
            assert_eq!((reply.status, reply.body.len()), (StatusCode::NO_CONTENT, 0), "{name:?}");
        }
    }
    let (own, next) = (name(&run, "echo", 1), name(&run, "echo", 2));
    let mut told = Vec::new();
    for forged in forged(&ticket(&house, &own), &ticket(&house, &next)) {
        let forged = utf8_percent_encode(&forged, NON_ALPHANUMERIC).to_string();
        let reply = hint(&house, &forged, "{}").await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
        told.push(reply.json()["detail"].clone());
    }
    // Neither a run that there is nor one that there is not makes a difference.
    told.push(hint(&house, "Z29uZS8xL29uZQ.00", "{}").await.json()["detail"].clone());
    assert!(told.iter().all(|one| *one == told[0]) && told[0] != Json::Null, "{told:?}");
    let read = house.request("", &format!("GET /v1/hints/{}", ticket(&house, &own)), &[], "");
    assert_eq!(house.send(read).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let view = house.get(&format!("/v1/runs/{run}")).await.json();
    assert_eq!(view["status"], "running", "what is said is not believed: {view}");
}

#[tokio::test]
async fn a_body_is_neither_read_nor_waited_for_without_end() {
    let house = public().await;
    let own = ticket(&house, &name("6b01", "one", 1));
    let long = hint(&house, &own, vec![b'x'; 100_000]).await;
    assert_eq!(long.status, StatusCode::NO_CONTENT);
    let broken = futures_util::stream::iter([Err::<&str, _>(std::io::Error::other("broken"))]);
    let broken = hint(&house, &own, Body::from_stream(broken)).await;
    assert_eq!(broken.status, StatusCode::NO_CONTENT);
    let silent = futures_util::stream::pending::<Result<&str, std::io::Error>>();
    let silent = hint(&house, &own, Body::from_stream(silent)).await;
    assert_eq!(silent.status, StatusCode::NO_CONTENT);
}
