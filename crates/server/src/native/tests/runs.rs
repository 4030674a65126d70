//! Runs: the three manners, wishes that come twice, events, ends.

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::house::House;
use crate::ServerOptions;

/// The events of a stream: id, name and data.
fn events(text: &str) -> Vec<(String, String, Json)> {
    let of = |event: &str| {
        let line = |start: &str| {
            event.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned()
        };
        let data = line("data: ");
        let data = if data.is_empty() { Json::Null } else { serde_json::from_str(&data).unwrap() };
        (line("id: "), line("event: "), data)
    };
    let events = text.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':'));
    events.map(of).collect()
}

fn echo(number: i64) -> Json {
    json!({ "task": "echo", "model": "local", "input": { "number": number } })
}

#[tokio::test]
async fn a_run_is_waited_for() {
    let house = House::new().await;
    let run = house.echo(4).await;
    assert_eq!((&run["status"], &run["output"]["number"]), (&json!("succeeded"), &json!(4)));
    assert_eq!((&run["work"], &run["face"]), (&json!("echo"), &json!("native")));
    let again = house.get(&format!("/v1/runs/{}", run["id"].as_str().unwrap())).await;
    assert_eq!(again.json()["output"], run["output"]);
}

#[tokio::test]
async fn a_run_that_takes_longer_goes_on_and_can_be_ended() {
    let house = House::new().await;
    let body = json!({ "model": "spare", "input": { "number": 1 } });
    let reply = house.post("/v1/runs", &["prefer: wait=0"], &body).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
    let place = reply.header("location").to_owned();
    assert_eq!(place, format!("/v1/runs/{}", reply.json()["id"].as_str().unwrap()));
    let cancelled = house.post(&format!("{place}/cancel"), &[], &Json::Null).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED, "{}", cancelled.text());
    let stream = house.get(&format!("{place}/events")).await.text();
    let (_, name, data) = events(&stream).pop().unwrap();
    assert_eq!((name.as_str(), &data["status"]), ("done", &json!("cancelled")));
    assert_eq!(data["error"]["code"], "cancelled");
    // To ask for it again is no mistake; to end what succeeded is one.
    let again = house.post(&format!("{place}/cancel"), &[], &Json::Null).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    let done = house.echo(1).await["id"].as_str().unwrap().to_owned();
    let late = house.post(&format!("/v1/runs/{done}/cancel"), &[], &Json::Null).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::CONFLICT, "conflict"));
    assert!(late.json()["hint"].is_string(), "{}", late.text());
    for (call, body) in [
        ("GET /v1/runs/nope/report", String::new()),
        ("POST /v1/runs/nope/signals", json!({ "signal": "resume" }).to_string()),
        ("POST /v1/runs/nope/cancel", String::new()),
    ] {
        let missing = house.ask(call, &["content-type: application/json"], body).await;
        assert_eq!(missing.code(), "not_found", "{call}");
        assert!(missing.text().contains("check the id"), "{call}: {}", missing.text());
    }
}

#[tokio::test]
async fn a_run_is_streamed_and_resumed_anywhere_without_loss() {
    let house = House::new().await;
    let reply = house.post("/v1/runs", &["accept: text/event-stream"], &echo(2)).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let whole = events(&reply.text());
    let names: Vec<&str> = whole.iter().map(|(_, name, _)| name.as_str()).collect();
    let expected = [
        "queued", "decided", "started", "progress", "log", "partial", "partial", "step", "cost",
        "done",
    ];
    assert_eq!(names, expected);
    let (_, _, picture) = &whole[5];
    assert_eq!(
        (&picture["data"], &picture["media_type"]),
        (&json!("aGFsZg=="), &json!("image/png"))
    );
    assert_eq!(whole[6].2["sample_rate_hz"], 24_000);
    let path = format!("{}/events", reply.header("location"));
    let kept: Vec<(String, String, Json)> = {
        let live = ["progress", "log", "partial"];
        whole.iter().filter(|(_, name, _)| !live.contains(&name.as_str())).cloned().collect()
    };
    let told = events(&house.get(&path).await.text());
    let named = |all: &[(String, String, Json)]| -> Vec<(String, String)> {
        all.iter().map(|(id, name, _)| (id.clone(), name.clone())).collect()
    };
    assert_eq!(named(&told), named(&kept), "what is told later is what was told");
    for (at, (id, ..)) in kept.iter().enumerate().filter(|(_, (id, ..))| !id.is_empty()) {
        let last = format!("last-event-id: {id}");
        let rest = house.ask(&format!("GET {path}"), &[&last], Body::empty()).await;
        assert_eq!(named(&events(&rest.text())), named(&kept[at + 1..]), "after {id}");
        if at + 1 == kept.len() {
            assert_eq!(rest.status, StatusCode::NO_CONTENT, "nothing more will come");
        }
        let asked = house.get(&format!("{path}?after={id}")).await;
        assert_eq!((asked.status, asked.text()), (rest.status, rest.text()), "after {id}");
    }
    for odd in ["x", "-1", "1.end.end", "18446744073709551616", "9000", "9000.end"] {
        let odd = format!("last-event-id: {odd}");
        let bad = house.ask(&format!("GET {path}"), &[&odd], Body::empty()).await;
        assert_eq!(bad.code(), "invalid_input", "{odd} is of no event of this run");
        let asked = house.get(&format!("{path}?after={}", &odd["last-event-id: ".len()..])).await;
        assert_eq!((asked.code(), asked.text()), (bad.code(), bad.text()), "{odd}");
    }
}

#[tokio::test]
async fn what_has_another_shape_is_refused_and_not_read_as_something_else() {
    let house = House::new().await;
    let mut wishes = Vec::new();
    for options in [json!(true), json!("xxxxx"), json!(-1), json!([])] {
        wishes.push(json!({ "task": "echo", "input": { "number": 1, "options": options } }));
    }
    for policy in [json!(["draft"]), json!([])] {
        wishes.push(json!({ "task": "echo", "input": { "number": 1 }, "policy": policy }));
    }
    for wish in wishes {
        for path in ["/v1/runs", "/v1/plan"] {
            let refused = house.post(path, &[], &wish).await;
            assert_eq!(refused.code(), "invalid_input", "{path} {wish}");
            let odd = if wish.get("policy").is_some() { "an object" } else { "`options` is no" };
            assert!(refused.text().contains(odd), "{path} {wish}: {}", refused.text());
        }
    }
    let listed = house.post("/replicate/v1/predictions", &[], &json!(["impasto/local"])).await;
    assert_eq!(listed.status, StatusCode::BAD_REQUEST, "{}", listed.text());
}

#[tokio::test]
async fn whoever_listens_hears_no_more_when_the_key_is_revoked() {
    let options = ServerOptions { key_age_ms: 50, ..ServerOptions::default() };
    let house = House::with(options).await;
    let run = house.hang(1).await;
    let path = format!("/v1/runs/{run}/events");
    let call = format!("GET {path}");
    let listening = house.ask(&call, &[], Body::empty());
    let revoking = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let id = house.own.split('_').nth(1).unwrap();
        let revoke = house.request(&house.admin, &format!("DELETE /v1/keys/{id}"), &[], "");
        house.send(revoke).await.status
    };
    let (heard, revoked) = tokio::join!(listening, revoking);
    assert_eq!(revoked, StatusCode::NO_CONTENT);
    let (_, name, data) = events(&heard.text()).pop().unwrap();
    assert_eq!((name.as_str(), &data["error"]["code"]), ("error", &json!("unauthorized")));
}

#[tokio::test]
async fn the_same_key_and_body_are_the_same_wish() {
    let house = House::new().await;
    let key = "idempotency-key: 5f0c";
    let first = house.post("/v1/runs", &[key], &echo(3)).await;
    let second = house.post("/v1/runs", &[key], &echo(3)).await;
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(first.json()["output"], second.json()["output"]);
    let other = house.post("/v1/runs", &[key], &echo(4)).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert_eq!(other.code(), "idempotency_key_reused");
    let mut body = echo(3);
    body["idempotency_key"] = json!("6");
    let (third, fourth) =
        tokio::join!(house.post("/v1/runs", &[], &body), house.post("/v1/runs", &[], &body));
    assert_eq!(third.json()["id"], fourth.json()["id"], "also while the first is in flight");
    assert_ne!(third.json()["id"], first.json()["id"]);
    let two = ["idempotency-key: 8", "idempotency-key: 9"];
    assert_eq!(house.post("/v1/runs", &two, &echo(3)).await.code(), "invalid_input");
    let differ = house.post("/v1/runs", &["idempotency-key: 7"], &body).await;
    assert_eq!(differ.code(), "invalid_input");
}

#[tokio::test]
async fn the_same_key_while_the_run_goes_on_answers_that_run() {
    let house = House::new().await;
    let body = json!({ "model": "spare", "input": { "number": 1 } });
    let headers = ["idempotency-key: k", "prefer: wait=0"];
    let first = house.post("/v1/runs", &headers, &body).await;
    let second = house.post("/v1/runs", &headers, &body).await;
    assert_eq!((first.status, second.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(first.json()["id"], second.json()["id"]);
}

#[tokio::test]
async fn a_retry_without_a_key_after_a_broken_answer_is_the_same_wish() {
    let house = House::new().await;
    let headers = ["content-type: application/json"];
    let request = || house.request(&house.own, "POST /v1/runs", &headers, echo(5).to_string());
    let broken = house.front.answer(request()).await;
    let place = broken.headers()["location"].clone();
    drop(broken);
    // It is noted behind the back of whoever asked.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let again = house.send(request()).await;
    assert_eq!(again.headers["location"], place, "the answer did not arrive, so it is a retry");
    let third = house.send(request()).await;
    assert_ne!(third.headers["location"], place, "the answer did arrive, so it is a new wish");
}

#[tokio::test]
async fn runs_are_listed_in_pages() {
    let house = House::new().await;
    for number in 0..5 {
        house.echo(number).await;
    }
    let hanging = house.hang(9).await;
    let first = house.get("/v1/runs?limit=4").await.json();
    assert_eq!(first["runs"].as_array().unwrap().len(), 4);
    assert_eq!(first["runs"][0]["id"], hanging.as_str());
    let next = format!("/v1/runs?limit=4&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = house.get(&next).await.json();
    assert_eq!(second["runs"].as_array().unwrap().len(), 2);
    assert!(second["next_cursor"].is_null());
    let count = async |query: &str| {
        let list = house.get(&format!("/v1/runs?{query}")).await.json();
        list["runs"].as_array().unwrap().len()
    };
    assert_eq!(count("status=succeeded").await, 5);
    assert_eq!(count("status=failed,cancelled").await, 0);
    assert_eq!(count("work=echo").await, 6);
    assert_eq!(count("work=add").await, 0);
    assert_eq!(count("created_from_ms=1&created_to_ms=2").await, 0);
    assert_eq!(house.get("/v1/runs?cursor=nothing").await.code(), "invalid_input");
    assert_eq!(house.get("/v1/runs?status=odd").await.code(), "invalid_input");
    assert_eq!(house.get("/v1/runs?limitt=3").await.code(), "invalid_input");
}

#[tokio::test]
async fn pages_of_what_waits_are_full_up_to_the_last() {
    let house = House::new().await;
    // As many as there are places work, the rest waits.
    let mut asked = Vec::new();
    for number in 0..67 {
        asked.push(house.hang(number).await);
    }
    let waiting: Vec<String> = asked.split_off(64).into_iter().rev().collect();
    let page = async |query: String| {
        let page = house.get(&format!("/v1/runs?{query}")).await.json();
        let ids = page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap());
        (ids.map(str::to_owned).collect::<Vec<_>>(), page["next_cursor"].clone())
    };
    let began = std::time::Instant::now();
    while page("status=queued&limit=100".to_owned()).await.0 != waiting {
        assert!(began.elapsed().as_secs() < 20, "three wait");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (first, cursor) = page("status=queued&limit=2".to_owned()).await;
    assert_eq!(first, waiting[..2]);
    let cursor = cursor.as_str().unwrap();
    let (second, cursor) = page(format!("status=queued&limit=2&cursor={cursor}")).await;
    assert_eq!((&second[..], cursor.is_null()), (&waiting[2..], true), "nothing is left");
    assert_eq!(page("status=queued,running&limit=100".to_owned()).await.0.len(), 67);
    assert_eq!(page("status=queued,failed".to_owned()).await.0, waiting);
}

const ASKING: &str = "workflow: look\nversion: 1\nsteps:\n  look: { approve: Is it good? }\n  \
                      make: { task: echo, input: { number: 3 }, when: \"{{ steps.look.approved }}\" }\n\
                      outputs:\n  number: { value: \"{{ steps.make.number }}\" }\n";

#[tokio::test]
async fn a_workflow_is_kept_planned_run_and_answered() {
    let house = House::new().await;
    let put = async |text: &'static str| {
        let headers = ["content-type: application/yaml"];
        house.ask("PUT /v1/workflows/look", &headers, text).await
    };
    let kept = put(ASKING).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.text());
    assert_eq!((&kept.json()["version"], &kept.json()["source"]), (&json!(1), &json!(ASKING)));
    assert_eq!(put(ASKING).await.json()["version"], 1, "the same text is the same version");
    let plan = house.post("/v1/plan", &[], &json!({ "workflow": "look@1" })).await;
    assert_eq!(plan.json()["steps"].as_array().unwrap().len(), 2, "{}", plan.text());
    let run = house.post("/v1/runs", &[], &json!({ "workflow": "look" })).await.json();
    assert_eq!(run["status"], "parked", "{run}");
    assert_eq!(run["asks"][0]["step"], "look");
    let signals = format!("/v1/runs/{}/signals", run["id"].as_str().unwrap());
    let wrong = house.post(&signals, &[], &json!({ "signal": "approve", "step": "make" })).await;
    assert_eq!(wrong.code(), "conflict");
    let said = house.post(&signals, &[], &json!({ "signal": "approve", "step": "look" })).await;
    assert_eq!(said.status, StatusCode::ACCEPTED, "{}", said.text());
    let path = format!("/v1/runs/{}/events", run["id"].as_str().unwrap());
    let (_, name, data) = events(&house.get(&path).await.text()).pop().unwrap();
    assert_eq!((name.as_str(), &data["output"]["number"]), ("done", &json!(3)));
    let bad = put("steps: [").await;
    assert_eq!(bad.code(), "invalid_input");
    assert_eq!(house.get("/v1/workflows").await.json()["workflows"][0]["name"], "look");
    let gone = house.ask("DELETE /v1/workflows/look", &[], Body::empty()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(house.get("/v1/workflows/look").await.code(), "not_found");
}

#[tokio::test]
async fn a_plan_says_what_is_missing_and_who_cannot_be_used_and_runs_nothing() {
    let house = House::new().await;
    let body = json!({ "task": "add", "input": { "number": 1 } });
    let plan = house.post("/v1/plan", &[], &body).await.json();
    let absent = &plan["steps"][0]["decision"]["absent"][0];
    assert_eq!(absent["provider"], "far", "{plan}");
    assert!(absent["reason"].as_str().unwrap().contains("no driver"), "{plan}");
    assert_eq!(house.get("/v1/runs").await.json()["runs"], json!([]));
    let both = house.post("/v1/plan", &[], &json!({ "task": "add", "source": "a" })).await;
    assert_eq!(both.code(), "invalid_input");
    let missing = house.post("/v1/plan", &[], &json!({ "task": "add" })).await.json();
    assert_eq!(missing["missing"], json!(["number"]));
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_a_remedy() {
    let house = House::new().await;
    let check = async |body: Json, code: &str| {
        let reply = house.post("/v1/runs", &[], &body).await;
        assert_eq!(reply.code(), code, "{body}: {}", reply.text());
    };
    check(json!({}), "invalid_input").await;
    check(json!({ "task": "echo", "workflow": "a" }), "invalid_input").await;
    check(json!({ "task": "ecko" }), "not_found").await;
    check(json!({ "model": "nobody" }), "not_found").await;
    check(json!({ "workflow": "none" }), "not_found").await;
    check(json!({ "workflow": "none@x" }), "invalid_input").await;
    check(json!({ "task": "echo", "input": { "numbr": 1 } }), "invalid_input").await;
    check(json!({ "task": "echo", "input": {} }), "invalid_input").await;
    check(json!({ "task": "echo", "input": { "number": 1 }, "priority": 9999 }), "invalid_input")
        .await;
    let webhook = json!({ "url": "ftp://a" });
    check(json!({ "task": "echo", "input": { "number": 1 }, "webhook": webhook }), "invalid_input")
        .await;
    let policy = json!({ "in_doubt": "hope" });
    check(json!({ "task": "echo", "input": { "number": 1 }, "policy": policy }), "invalid_input")
        .await;
}

#[tokio::test]
async fn only_one_thing_can_be_named_and_a_deadline_ends_a_run() {
    let house = House::new().await;
    let all = json!({ "task": "echo", "model": "local", "workflow": "a" });
    let reply = house.post("/v1/runs", &[], &all).await;
    assert!(reply.text().contains("only one of"), "{}", reply.text());
    let late = json!({
        "task": "echo", "model": "spare", "input": { "number": 1 }, "deadline_ms": 150,
    });
    let run = house.post("/v1/runs", &["prefer: wait=15"], &late).await.json();
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("cancelled"), &json!("timeout")),
        "{run}"
    );
    assert!(run["error"]["detail"].as_str().unwrap().contains("did not end in time"), "{run}");
    let early = json!({
        "task": "echo", "model": "local", "input": { "number": 2 }, "deadline_ms": 60_000,
    });
    let run = house.post("/v1/runs", &["prefer: wait=15"], &early).await.json();
    assert_eq!(run["status"], "succeeded", "{run}");
}
