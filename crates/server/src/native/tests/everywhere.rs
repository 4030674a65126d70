//! What is true of every route, whatever routes there are.

use std::collections::BTreeMap;

use http::StatusCode;
use impasto_api::{Access, ROUTES, Route, Takes};
use impasto_domain::ErrorKind;
use serde_json::{Value as Json, json};

use super::house::{House, Reply};
use crate::native::handler;
use crate::problem::code;

/// A body that a route takes.
fn good_body(route: &Route) -> (&'static str, String) {
    let json = match route.id {
        "createRun" | "plan" => json!({ "task": "echo", "input": { "number": 1 } }),
        "signalRun" => json!({ "signal": "approve", "step": "echo" }),
        "putWorkflow" => json!({ "source": WORKFLOW }),
        "createWebhook" | "updateWebhook" => json!({ "url": "https://hooks.example/x" }),
        "createKey" => json!({ "tenant": "acme" }),
        _ => json!({}),
    };
    match route.takes {
        Takes::Nothing => ("", String::new()),
        Takes::Json(_) => ("content-type: application/json", json.to_string()),
        Takes::File | Takes::Bytes => ("content-type: text/plain", "bytes".to_owned()),
    }
}

const WORKFLOW: &str = "workflow: own\nversion: 1\nsteps:\n  make: { task: echo, input: { number: 3 } }\n\
                        outputs:\n  number: { value: \"{{ steps.make.number }}\" }\n";

/// Things of the tenant `acme`, by the name of the parameter that stands for them.
async fn things(house: &House) -> BTreeMap<&'static str, String> {
    let run = house.echo(1).await["id"].as_str().unwrap().to_owned();
    let digest = house.upload(b"of acme").await;
    let upload = house.post("/v1/uploads", &[], &json!({})).await.json();
    let hook = json!({ "url": "https://hooks.example/a" });
    let endpoint = house.post("/v1/webhooks", &[], &hook).await.json();
    house.echo(2).await;
    let delivery = house.get("/v1/deliveries").await.json()["deliveries"][0].clone();
    let yaml = ["content-type: application/yaml"];
    let kept = house.ask("PUT /v1/workflows/own", &yaml, WORKFLOW).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.text());
    let text = |json: &Json| json["id"].as_str().unwrap().to_owned();
    BTreeMap::from([
        ("run", run),
        ("digest", digest),
        ("upload", text(&upload)),
        ("endpoint", text(&endpoint)),
        ("delivery", text(&delivery)),
        ("name", "own".to_owned()),
        ("number", "1".to_owned()),
        ("model", "local".to_owned()),
        ("task", "echo".to_owned()),
        ("key", "none".to_owned()),
        ("file", "none.png".to_owned()),
        ("hint", "NmIwMS8xL29uZQ.00".to_owned()),
    ])
}

fn path_of(route: &Route, things: &BTreeMap<&str, String>) -> String {
    route.path_parameters().fold(route.path.to_owned(), |path, name| {
        path.replace(&format!("{{{name}}}"), &things[name])
    })
}

async fn ask(
    house: &House,
    route: &Route,
    key: &str,
    path: &str,
    header: &str,
    body: String,
) -> Reply {
    let call = format!("{} {path}", route.method.as_str());
    let headers: Vec<&str> = (!header.is_empty()).then_some(header).into_iter().collect();
    house.send(house.request(key, &call, &headers, body)).await
}

#[test]
fn every_route_of_the_table_is_answered() {
    let missing: Vec<&str> =
        ROUTES.iter().filter(|route| handler(route).is_none()).map(|route| route.id).collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn nobody_gets_in_without_a_key_or_with_a_wrong_one() {
    let house = House::new().await;
    let things = things(&house).await;
    for route in ROUTES {
        let path = path_of(route, &things);
        for key in ["", "imp_000000000000_0000", "nonsense"] {
            let (header, body) = good_body(route);
            let reply = ask(&house, route, key, &path, header, body).await;
            let id = route.id;
            match route.access {
                Access::Open => assert_eq!(reply.status, StatusCode::OK, "{id}"),
                Access::Signed => assert_eq!(reply.code(), "not_found", "{id}"),
                _ => assert_eq!(reply.code(), "unauthorized", "{id}"),
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_asked_for_in_vain() {
    let house = House::new().await;
    let things = things(&house).await;
    for route in
        ROUTES.iter().filter(|route| !matches!(route.access, Access::Open | Access::Signed))
    {
        let key = if route.access == Access::Admin { &house.admin } else { &house.own };
        let (header, body) = good_body(route);
        let path = format!("{}?wait=5", path_of(route, &things));
        let reply = ask(&house, route, key, &path, header, body).await;
        assert_eq!(reply.code(), "invalid_input", "{}: {}", route.id, reply.text());
        assert!(reply.text().contains("`wait`"), "{}: {}", route.id, reply.text());
    }
}

#[tokio::test]
async fn a_key_does_no_more_than_it_may() {
    let house = House::new().await;
    let things = things(&house).await;
    for route in ROUTES {
        let path = path_of(route, &things);
        let check = async |key: &str, may: bool| {
            let (header, body) = good_body(route);
            let reply = ask(&house, route, key, &path, header, body).await;
            let refused = reply.status == StatusCode::FORBIDDEN;
            if refused && route.access == Access::Admin {
                assert!(reply.text().contains("--admin"), "{}: {}", route.id, reply.text());
            }
            assert_eq!(refused, !may, "{}: {} {}", route.id, reply.status, reply.text());
        };
        let open = matches!(route.access, Access::Open | Access::Signed);
        // What changes nothing first: `own` deletes things.
        check(&house.reader, open || route.access == Access::Read).await;
        check(&house.admin, open || route.access == Access::Admin).await;
    }
}

#[tokio::test]
async fn what_is_anothers_is_not_found_by_any_route() {
    let house = House::new().await;
    let things = things(&house).await;
    let of_a_tenant = ["run", "digest", "upload", "endpoint", "delivery", "name"];
    let mut tried = 0;
    for route in ROUTES {
        let names: Vec<&str> = route.path_parameters().collect();
        let path = path_of(route, &things);
        let (header, body) = good_body(route);
        let reply = ask(&house, route, &house.foreign, &path, header, body).await;
        if route.access == Access::Admin || matches!(route.access, Access::Open | Access::Signed) {
            continue;
        }
        if route.id == "putWorkflow" {
            // The name is free for the other tenant: it gets a workflow of its own.
            assert_eq!(reply.json()["version"], 1);
            let gone = house.request(&house.foreign, &format!("DELETE {path}"), &[], "");
            house.send(gone).await;
        } else if names.iter().any(|name| of_a_tenant.contains(name)) {
            assert_eq!(reply.code(), "not_found", "{}", route.id);
            tried += 1;
        } else {
            // A list, or something new: nothing in it is of the other tenant.
            for name in of_a_tenant {
                let quoted = format!("\"{}\"", things[name]);
                let shown = name != "name" && reply.text().contains(&quoted);
                assert!(!shown, "{} shows the {name} of another tenant", route.id);
            }
        }
    }
    assert!(tried >= 20, "{tried} routes were tried");
    let mine = house.get(&format!("/v1/runs/{}", things["run"])).await;
    assert_eq!(mine.status, StatusCode::OK, "the owner has everything still");
    assert_eq!(house.get("/v1/workflows/own").await.status, StatusCode::OK);
    assert_eq!(house.get(&format!("/v1/assets/{}", things["digest"])).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_tenants_file_is_no_input() {
    let house = House::new().await;
    let things = things(&house).await;
    let yaml = "workflow: read\nversion: 1\ninputs:\n  picture: { type: file, required: true }\nsteps:\n  \
                make: { task: echo, input: { number: 3 } }\noutputs:\n  \
                number: { value: \"{{ steps.make.number }}\" }\n";
    let headers = ["content-type: application/yaml"];
    let put = house.request(&house.foreign, "PUT /v1/workflows/read", &headers, yaml);
    let put = house.send(put).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    let own = house.get(&format!("/v1/assets/{}", things["digest"])).await.json();
    for picture in [json!({ "asset": things["digest"] }), own["url"].clone()] {
        let body = json!({ "workflow": "read", "input": { "picture": picture } }).to_string();
        let headers = ["content-type: application/json"];
        let run = house.request(&house.foreign, "POST /v1/runs", &headers, body);
        let reply = house.send(run).await;
        assert_eq!(reply.code(), "not_found", "{picture}");
    }
}

/// Whether it is a refusal that says what is wrong, and no failure of the server.
fn refused(reply: &Reply, what: &str) {
    assert!(reply.status.is_client_error(), "{what}: {} {}", reply.status, reply.text());
    reply.code();
}

#[tokio::test]
async fn whatever_is_sent_is_answered_with_a_problem() {
    let house = House::new().await;
    let things = things(&house).await;
    let deep = "[".repeat(10_000);
    let json_bodies =
        ["", "{", "null", "[]", "{\"\\u0000\": 1}", "{\"a\": 1}", "\u{feff}{}", &deep];
    for route in ROUTES.iter().filter(|route| matches!(route.takes, Takes::Json(_))) {
        let key = if route.access == Access::Admin { &house.admin } else { &house.own };
        let path = path_of(route, &things);
        let json = "content-type: application/json";
        for body in json_bodies {
            let what = format!("{} with {:.20}", route.id, body);
            refused(&ask(&house, route, key, &path, json, body.to_owned()).await, &what);
        }
        for header in
            ["", "content-type: text/html", "content-type: x", "content-type: application/xml"]
        {
            let (_, body) = good_body(route);
            let reply = ask(&house, route, key, &path, header, body).await;
            assert_eq!(reply.code(), "unsupported_media_type", "{} with {header}", route.id);
        }
    }
    for route in ROUTES {
        let key = if route.access == Access::Admin { &house.admin } else { &house.own };
        for odd in ["%00", "%ff%fe", "..", "%2e%2e%2f", "'%20OR%201=1", &"9".repeat(400)] {
            let path = route.path_parameters().fold(route.path.to_owned(), |path, name| {
                path.replace(&format!("{{{name}}}"), odd)
            });
            let (header, body) = good_body(route);
            let reply = ask(&house, route, key, &path, header, body).await;
            assert!(!reply.status.is_server_error(), "{} {path}: {}", route.id, reply.text());
        }
        for query in route.query.iter().filter(|query| query.ty == "integer") {
            let path = format!("{}?{}=x", path_of(route, &things), query.name);
            let (header, body) = good_body(route);
            refused(&ask(&house, route, key, &path, header, body).await, &path);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_everywhere() {
    let options = crate::ServerOptions {
        body_bytes_max: 1_000,
        upload_bytes_max: 1_000,
        part_bytes_max: 1_000,
        ..crate::ServerOptions::default()
    };
    let house = House::with(options).await;
    let things = things(&house).await;
    // What comes to a signed address is read by nobody.
    let reads =
        |route: &&Route| !matches!(route.takes, Takes::Nothing) && route.access != Access::Signed;
    for route in ROUTES.iter().filter(reads) {
        let key = if route.access == Access::Admin { &house.admin } else { &house.own };
        let (header, _) = good_body(route);
        let size = if route.id == "putWorkflow" { 2 << 20 } else { 1_001 };
        let body = format!("\"{}\"", "x".repeat(size));
        let reply = ask(&house, route, key, &path_of(route, &things), header, body).await;
        assert_eq!(reply.code(), "too_large", "{}", route.id);
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_refused_with_a_problem() {
    let house = House::new().await;
    let reply = house.ask("PATCH /v1/runs", &[], "").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
    );
    assert_eq!(house.get("/v1/nothing").await.code(), "not_found");
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
    let kinds = ErrorKind::ALL.iter().map(|kind| kind.as_str());
    let mut codes: Vec<String> = kinds.chain(code::ALL).map(str::to_owned).collect();
    codes.sort();
    let mut pages: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    pages.sort();
    assert_eq!(pages, codes);
    for route in ROUTES {
        for own in route.errors {
            assert!(codes.iter().any(|code| code == own), "{}: {own}", route.id);
        }
    }
}

#[tokio::test]
async fn an_error_names_a_page_that_is_there_and_a_browser_finds_the_reference() {
    let house = House::new().await;
    for code in ErrorKind::ALL.iter().map(|kind| kind.as_str()).chain(code::ALL) {
        let page = house.get(&format!("/docs/errors/{code}")).await;
        assert_eq!(page.status, StatusCode::OK, "{code}");
        assert!(page.text().contains(&format!("`{code}`")), "{code}");
    }
    let missing = house.get("/v1/runs/none").await;
    assert!(!missing.text().contains("impasto runs"), "{}", missing.text());
    let page = missing.json()["type"].as_str().unwrap().to_owned();
    assert_eq!(house.get(&page).await.status, StatusCode::OK, "{page}");
    assert_eq!(house.get("/docs/errors/none").await.code(), "not_found");
    let front = house.get("/").await;
    assert_eq!((front.status.is_redirection(), front.header("location")), (true, "/docs"));
}
