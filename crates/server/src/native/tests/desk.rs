//! Webhooks, keys, usage, figures, descriptions.

use std::sync::Arc;

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value as Json, json};
use tokio::sync::Semaphore;

use super::house::{FORBIDDEN_PLACE, House, Reply};
use crate::ServerOptions;
use crate::webhooks::{deliver_due, signed};

/// Tells everything that is due.
async fn tell(house: &House) {
    let places = Arc::new(Semaphore::new(4));
    while deliver_due(&house.app, &places).await.unwrap() > 0 {
        // All places free again: everything that was begun is noted.
        drop(places.acquire_many(4).await.unwrap());
    }
}

async fn deliveries(house: &House, query: &str) -> Vec<Json> {
    let list = house.get(&format!("/v1/deliveries?{query}")).await.json();
    list["deliveries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_endpoint_is_told_with_a_signature_that_can_be_checked() {
    let house = House::new().await;
    let body = json!({ "url": "https://hooks.example/a", "topics": ["run.succeeded"] });
    let made = house.post("/v1/webhooks", &[], &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let (id, secret) = (made.json()["id"].clone(), made.json()["secret"].clone());
    let run = house.echo(1).await;
    tell(&house).await;
    let post = house.receiver.posts.lock().unwrap().pop().unwrap();
    assert!(house.receiver.posts.lock().unwrap().is_empty(), "told once");
    let header = |name: &str| {
        post.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .unwrap()
    };
    let at_ms = header("webhook-timestamp").parse::<u64>().unwrap() * 1_000;
    let secret = secret.as_str().unwrap().to_owned();
    let expected = signed(&header("webhook-id"), at_ms, &post.body, &[secret]).unwrap();
    assert_eq!(expected[2].1, header("webhook-signature"));
    let told: Json = serde_json::from_slice(&post.body).unwrap();
    assert_eq!((&told["type"], &told["data"]["id"]), (&json!("run.succeeded"), &run["id"]));
    let listed = deliveries(&house, &format!("endpoint={}", id.as_str().unwrap())).await;
    assert_eq!(
        (&listed[0]["state"], &listed[0]["last_status"]),
        (&json!("delivered"), &json!(204))
    );
    assert_eq!(listed[0]["id"], header("webhook-id"));
    let rotate = format!("/v1/webhooks/{}/rotate", id.as_str().unwrap());
    let rotated = house.post(&rotate, &[], &Json::Null).await;
    assert_ne!(rotated.json()["secret"], made.json()["secret"]);
    let again = format!("/v1/deliveries/{}/redeliver", header("webhook-id"));
    assert_eq!(house.post(&again, &[], &Json::Null).await.status, StatusCode::ACCEPTED);
    tell(&house).await;
    let posts = house.receiver.posts.lock().unwrap();
    let find =
        |name: &str| posts[0].headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(find("webhook-id"), header("webhook-id"), "the message is the same");
    assert_eq!(find("webhook-signature").split(' ').count(), 2, "signed with both secrets");
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_later_and_one_that_is_gone_no_more() {
    let house = House::new().await;
    let made = house.post("/v1/webhooks", &[], &json!({ "url": "https://hooks.example/a" })).await;
    let path = format!("/v1/webhooks/{}", made.json()["id"].as_str().unwrap());
    house.receiver.answers.lock().unwrap().extend([500, 410]);
    house.echo(1).await;
    tell(&house).await;
    let states: Vec<Json> = deliveries(&house, "").await;
    let state = |topic: &str| states.iter().find(|one| one["topic"] == topic).unwrap().clone();
    let told = (state("run.started"), state("run.succeeded"));
    let mut found = [told.0["last_status"].clone(), told.1["last_status"].clone()];
    found.sort_by_key(Json::as_u64);
    assert_eq!(found, [json!(410), json!(500)]);
    let pending = deliveries(&house, "state=pending").await;
    assert_eq!(pending.len(), 1);
    // The receiver wants to be left alone for longer than we would have waited.
    assert!(pending[0]["due_ms"].as_u64() > Some(house.app.now_ms() + 8_000_000), "{pending:?}");
    let metrics = house.send(house.request(&house.admin, "GET /metrics", &[], "")).await.text();
    assert!(metrics.contains("\nimpasto_webhook_deliveries_pending 1\n"), "{metrics}");
    assert_eq!(house.get(&path).await.json()["enabled"], false);
    let body = json!({ "url": "https://hooks.example/b" });
    let headers = ["content-type: application/json"];
    let changed = house.ask(&format!("PUT {path}"), &headers, body.to_string()).await.json();
    assert_eq!((&changed["enabled"], &changed["url"]), (&json!(true), &body["url"]));
    let gone = house.ask(&format!("DELETE {path}"), &[], Body::empty()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_receiver_that_may_not_be_reached_is_given_up_at_once() {
    let house = House::new().await;
    let webhook = json!({ "url": "https://hooks.example/run" });
    let body =
        json!({ "task": "echo", "input": { "number": 1 }, "model": "local", "webhook": webhook });
    house.receiver.answers.lock().unwrap().push_back(FORBIDDEN_PLACE);
    house.post("/v1/runs", &[], &body).await;
    tell(&house).await;
    let given_up = deliveries(&house, "state=failed").await;
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0]["last_error"].as_str().unwrap().contains("may not be reached"));
}

#[tokio::test]
async fn a_webhook_that_comes_with_a_run_is_told_of_its_end() {
    let house = House::new().await;
    let webhook = json!({ "url": "https://hooks.example/run" });
    let body =
        json!({ "task": "echo", "input": { "number": 1 }, "model": "local", "webhook": webhook });
    house.post("/v1/runs", &[], &body).await;
    tell(&house).await;
    let posts = std::mem::take(&mut *house.receiver.posts.lock().unwrap());
    assert_eq!(posts.len(), 1, "of its end, not of its beginning");
    let told: Json = serde_json::from_slice(&posts[0].body).unwrap();
    assert_eq!(told["type"], "run.succeeded");
    let listed = deliveries(&house, "").await;
    assert_eq!(listed.len(), 1, "what nobody wanted to be told of was never sent: {listed:?}");
    assert_eq!(listed[0]["topic"], "run.succeeded");
    let metrics = house.send(house.request(&house.admin, "GET /metrics", &[], "")).await.text();
    let delivered = "\nimpasto_webhook_deliveries_total{outcome=\"delivered\"} 1\n";
    assert!(metrics.contains(delivered), "{metrics}");
    let secret = house.get("/v1/webhook-secret").await.json();
    assert!(secret["secret"].as_str().unwrap().starts_with("whsec_"));
    let bad = house.post("/v1/webhooks", &[], &json!({ "url": "not one" })).await;
    assert_eq!(bad.code(), "invalid_input");
    let inside = json!({ "url": "http://10.0.0.1/" });
    assert_eq!(house.post("/v1/webhooks", &[], &inside).await.code(), "invalid_input");
    let mut of_run = body.clone();
    of_run["webhook"] = inside.clone();
    assert_eq!(house.post("/v1/runs", &[], &of_run).await.code(), "invalid_input");
    for (path, wish) in [
        ("/fal/queue/impasto/local/echo?fal_webhook=http://10.0.0.1/", json!({ "number": 1 })),
        (
            "/openai/v1/webhook_endpoints",
            json!({
                "url": "http://10.0.0.1/", "name": "inside", "event_types": ["video.completed"],
            }),
        ),
    ] {
        let refused = house.post(path, &[], &wish).await;
        assert!(refused.status.is_client_error(), "{path}: {} {}", refused.status, refused.text());
        assert!(refused.text().contains("may not be reached"), "{path}: {}", refused.text());
    }
    let odd = json!({ "url": "https://a.example", "topics": ["run.exploded"] });
    assert_eq!(house.post("/v1/webhooks", &[], &odd).await.code(), "invalid_input");
}

#[tokio::test]
async fn what_an_endpoint_heard_stays_known_when_the_endpoint_is_gone() {
    let house = House::new().await;
    let made = house.post("/v1/webhooks", &[], &json!({ "url": "https://hooks.example/a" })).await;
    house.echo(1).await;
    tell(&house).await;
    let before = deliveries(&house, "limit=1").await;
    let path = format!("/v1/webhooks/{}", made.json()["id"].as_str().unwrap());
    house.ask(&format!("DELETE {path}"), &[], Body::empty()).await;
    let again = format!("/v1/deliveries/{}/redeliver", before[0]["id"].as_str().unwrap());
    let refused = house.post(&again, &[], &Json::Null).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "conflict".to_owned()));
    tell(&house).await;
    assert_eq!(before[0]["state"], "delivered");
    assert_eq!(deliveries(&house, "limit=1").await, before, "nothing of it changed");
}

#[tokio::test]
async fn keys_are_made_shown_once_and_revoked() {
    let house = House::new().await;
    let headers = ["content-type: application/json"];
    let as_admin = async |call: &str, body: String| {
        house.send(house.request(&house.admin, call, &headers, body)).await
    };
    let body = json!({ "tenant": "acme", "name": "ci", "scopes": ["read"] }).to_string();
    let made = as_admin("POST /v1/keys", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let (key, id) = (made.json()["key"].clone(), made.json()["id"].clone());
    let with = async |call: &str| {
        house.send(house.request(key.as_str().unwrap(), call, &headers, "{}")).await
    };
    assert_eq!(with("GET /v1/runs").await.status, StatusCode::OK);
    assert_eq!(with("POST /v1/runs").await.code(), "forbidden", "it may only read");
    let listed = as_admin("GET /v1/keys?tenant=acme", String::new()).await;
    assert!(!listed.text().contains(key.as_str().unwrap()), "it is never shown again");
    let revoke = format!("DELETE /v1/keys/{}", id.as_str().unwrap());
    assert_eq!(as_admin(&revoke, String::new()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(with("GET /v1/runs").await.code(), "unauthorized");
    let odd = json!({ "tenant": "acme", "scopes": ["everything"] }).to_string();
    assert_eq!(as_admin("POST /v1/keys", odd).await.code(), "invalid_input");
    for odd in [
        json!({ "tenant": "../../etc", "name": "ci" }),
        json!({ "tenant": "acme", "name": "" }),
        json!({ "tenant": "acme", "limits": { "calls_per_minute": 0 } }),
    ] {
        let refused = as_admin("POST /v1/keys", odd.to_string()).await;
        assert_eq!(refused.code(), "invalid_input", "{odd}");
    }
    let missing = as_admin("DELETE /v1/keys/none", String::new()).await;
    assert_eq!(missing.code(), "not_found");
}

#[tokio::test]
async fn a_key_spends_no_more_than_it_may_whatever_others_of_its_tenant_spend() {
    let house = House::new().await;
    let headers = ["content-type: application/json"];
    let limited = async |spend: i64| {
        let body = json!({ "tenant": "acme", "limits": { "spend_per_day": spend } }).to_string();
        let made = house.send(house.request(&house.admin, "POST /v1/keys", &headers, body)).await;
        made.json()["key"].as_str().unwrap().to_owned()
    };
    let run = async |key: &str| {
        let body =
            json!({ "task": "echo", "model": "local", "input": { "number": 1 } }).to_string();
        house.send(house.request(key, "POST /v1/runs", &headers, body)).await
    };
    assert_eq!(run(&limited(0).await).await.code(), "budget_exceeded");
    assert_eq!(run(&limited(1).await).await.status, StatusCode::OK);
}

#[tokio::test]
async fn calls_that_come_at_once_spend_no_more_than_their_key_may() {
    use impasto_testkit::{FarOptions, FarProvider, Oracle};

    let folder = tempfile::tempdir().unwrap();
    let options = FarOptions { dawdle_ms: 0, job_ms: (20, 20), can_find: true };
    let far = FarProvider::open(folder.path(), options).unwrap();
    let house =
        House::on(ServerOptions::default(), |stage| stage.driver("far", Arc::new(far))).await;
    let headers = ["content-type: application/json"];
    let body = json!({ "tenant": "acme", "limits": { "spend_per_day": 20_000 } }).to_string();
    let made = house.send(house.request(&house.admin, "POST /v1/keys", &headers, body)).await;
    let key = made.json()["key"].as_str().unwrap().to_owned();
    let ask = |number: i64| {
        let body = json!({ "task": "add", "input": { "number": number } }).to_string();
        house.send(house.request(&key, "POST /v1/runs", &headers, body))
    };
    let replies = futures_util::future::join_all((0..20).map(ask)).await;
    let (done, rest): (Vec<_>, Vec<_>) =
        replies.iter().map(Reply::json).partition(|reply| reply["status"] == "succeeded");
    assert_eq!((done.len(), rest.len()), (2, 18));
    for reply in rest {
        // Who comes when all is spent is refused at once; who came before finds the run failed.
        let code =
            if reply["status"] == "failed" { &reply["error"]["code"] } else { &reply["code"] };
        assert_eq!(code, "budget_exceeded", "{reply}");
    }
    assert_eq!(Oracle::read(folder.path()).unwrap().starts.len(), 2, "nothing else has left");
    assert_eq!(house.get("/v1/usage").await.json()["total"]["micros"], 20_000);
}

#[tokio::test]
async fn figures_usage_and_descriptions_are_there() {
    let house = House::new().await;
    house.echo(1).await;
    let metrics = house.send(house.request(&house.admin, "GET /metrics", &[], "")).await.text();
    for line in [
        "impasto_runs{state=\"queued\"} 0",
        "impasto_runs_total{status=\"succeeded\"} 1",
        "impasto_offer_attempts_total{offer=\"local@here/echo\",outcome=\"done\"} 1",
        "impasto_offer_duration_seconds_count{offer=\"local@here/echo\"} 1",
        "impasto_webhook_deliveries_total{outcome=\"delivered\"} 0",
        "impasto_attempts{provider=\"here\",state=\"waiting\"} 0",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is not in\n{metrics}");
    }
    let usage = house.get("/v1/usage").await.json();
    assert_eq!(usage["total"]["micros"], 0, "{usage}");
    assert_eq!(house.get("/v1/usage?from_ms=5&to_ms=1").await.code(), "invalid_input");
    assert_eq!(house.get("/openapi.json").await.json()["openapi"], "3.1.0");
    assert!(house.get("/docs").await.text().contains("/v1/runs"));
    assert_eq!(house.get("/ready").await.json()["ready"], true);
    let reload = house.request(&house.admin, "POST /v1/catalogue/reload", &[], "");
    assert_eq!(house.send(reload).await.json()["tasks"], 4);
    assert_eq!(
        house.get("/v1/models?task=echo").await.json()["models"].as_array().unwrap().len(),
        2
    );
    let first = house.get("/v1/models?task=echo&limit=1").await.json();
    assert_eq!(
        (&first["models"][0]["id"], &first["next_cursor"]),
        (&json!("local"), &json!("local"))
    );
    let second = house.get("/v1/models?task=echo&limit=1&cursor=local").await.json();
    assert_eq!(second["models"][0]["id"], "spare");
    assert_eq!(second.get("next_cursor"), None, "nothing is left");
    assert_eq!(house.get("/v1/models/echo").await.json()["id"], "local", "by a provider's name");
    assert_eq!(house.get("/v1/models/homely").await.json()["id"], "local", "by an alias");
    assert_eq!(house.get("/v1/tasks/echo").await.json()["models"], json!(["local", "spare"]));
}

#[tokio::test]
async fn the_id_of_a_message_says_nothing_of_how_many_there_are() {
    use impasto_domain::TenantId;

    let house = House::new().await;
    let (own, other) = (TenantId::new("acme"), TenantId::new("other"));
    let mut seen = std::collections::BTreeSet::new();
    for number in [0, 1, 2, 3, 1 << 40, u64::MAX >> 1] {
        let id = house.app.message_id(&own, number);
        assert_eq!(house.app.message_number(&own, &id), Some(number), "{id}");
        assert_ne!(house.app.message_number(&other, &id), Some(number), "{id}");
        assert!(seen.insert(id.get(..8).unwrap().to_owned()), "they do not count: {id}");
    }
    for odd in ["1", "msg_1", "msg_", "msg_zzzzzzzzzzzzzzzz", "msg_0000000000000001ff"] {
        assert_eq!(house.app.message_number(&own, odd), None, "{odd}");
    }
    for list in ["runs", "models", "assets", "deliveries"] {
        for odd in ["cursor=zzzz", "cursor=-1", "cursor=", "limit=0", "limit=-1", "limit=x"] {
            let refused = house.get(&format!("/v1/{list}?{odd}")).await;
            assert_eq!(refused.code(), "invalid_input", "{list}?{odd}");
        }
    }
}
