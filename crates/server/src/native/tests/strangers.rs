//! What is a tenant's is another's by no route of any face.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use impasto_domain::TenantId;
use serde_json::{Map, json};

use super::house::{House, Reply};
use crate::caller::Caller;
use crate::calls::{Call, Name, Origin};

/// The routes of each face as its router has them: below which prefix, and in what text they stand.
const ROUTERS: [(&str, &str); 5] = [
    ("/fal", include_str!("../../faces/fal/mod.rs")),
    ("/replicate", include_str!("../../faces/replicate/mod.rs")),
    ("/openai/v1", include_str!("../../faces/openai/mod.rs")),
    ("/gemini", include_str!("../../faces/gemini/mod.rs")),
    ("/elevenlabs", include_str!("../../faces/elevenlabs/mod.rs")),
];

/// Routes whose parameters name nothing of a tenant's: models, voices, and what is called by them.
const OF_NOBODY: [&str; 11] = [
    "/fal/run/{*path}",
    "/replicate/v1/models/{owner}/{name}",
    "/replicate/v1/models/{owner}/{name}/versions",
    "/replicate/v1/models/{owner}/{name}/versions/{version}",
    "/replicate/v1/models/{owner}/{name}/predictions",
    "/replicate/v1/deployments/{owner}/{name}/predictions",
    "/replicate/v1/collections/{slug}",
    "/openai/v1/models/{*id}",
    "/elevenlabs/v1/voices/{voice}",
    "/elevenlabs/v1/text-to-speech/{voice}",
    "/elevenlabs/v1/text-to-speech/{voice}/",
];

/// What names something of the tenant `acme`, with a body where one is needed; `{…}` is a thing of it.
/// What takes things away comes last.
const BY_ID: &[(&str, &str)] = &[
    ("GET /fal/queue/any/echo/requests/{run}", ""),
    ("GET /fal/queue/any/echo/requests/{run}/status?logs=1", ""),
    ("GET /fal/queue/any/echo/requests/{run}/status/stream", ""),
    ("GET /fal/queue/workflows/acme/own/requests/{run}", ""),
    ("PUT /fal/queue/any/echo/requests/{hang-1}/cancel", ""),
    ("PUT /fal/rest/storage/u/acme/{upload-1}/a.txt", "bytes"),
    ("PUT /fal/rest/storage/u/acme/{upload-2}/a.txt/1", "bytes"),
    ("POST /fal/rest/storage/u/acme/{upload-2}/a.txt/complete", "{}"),
    ("PUT /fal/cdn/storage/u/acme/{upload-3}/a.txt/multipart/{upload-3}/1", "bytes"),
    ("GET /replicate/v1/predictions/{run}", ""),
    ("POST /replicate/v1/predictions/{hang-2}/cancel", ""),
    ("GET /replicate/v1/files/{digest-1}", ""),
    ("GET /openai/v1/videos/video_{video}", ""),
    ("GET /openai/v1/videos/video_{video}/content", ""),
    ("GET /openai/v1/videos/video_{video}/content?variant=thumbnail", ""),
    ("POST /openai/v1/videos/video_{video}/remix", r#"{"prompt": "with rain"}"#),
    ("GET /openai/v1/webhook_endpoints/{endpoint}", ""),
    ("POST /openai/v1/webhook_endpoints/{endpoint}", r#"{"name": "mine now"}"#),
    ("POST /openai/v1/webhook_endpoints/{endpoint}/rotate_secret", "{}"),
    ("POST /openai/v1/webhook_endpoints/{endpoint}/test", r#"{"event_type": "video.completed"}"#),
    ("GET /gemini/v1beta/models/any/operations/{hang-3}", ""),
    ("GET /gemini/v1/operations/{hang-3}", ""),
    ("POST /gemini/v1beta1/publishers/google/models/any:fetchPredictOperation", OPERATION),
    ("POST /gemini/v1beta/models/any/operations/{hang-3}:cancel", "{}"),
    ("GET /gemini/v1beta/files/{digest-2}", ""),
    ("GET /gemini/v1beta/files/{digest-2}:download?alt=media", ""),
    ("DELETE /replicate/v1/files/{digest-1}", ""),
    ("DELETE /gemini/v1beta/files/{digest-2}", ""),
    ("DELETE /openai/v1/videos/video_{hang-4}", ""),
    ("DELETE /openai/v1/webhook_endpoints/{endpoint}", ""),
];

const OPERATION: &str = r#"{"operationName": "publishers/google/models/any/operations/{hang-3}"}"#;

/// Addresses that prove themselves: without what they were given with they lead nowhere, for anybody.
const BY_PROOF: [&str; 3] = [
    "GET /replicate/v1/predictions/{run}/stream?tenant=acme&signature=00",
    "PUT /fal/rest/storage/u/acme/{upload-1}/a.txt?grant=acme.00",
    "POST /gemini/upload/v1beta/files?upload_id={upload-1}&tenant=acme&signature=00",
];

/// Lists and summaries, which show whose they are only.
const LISTS: [&str; 9] = [
    "GET /replicate/v1/predictions",
    "GET /replicate/v1/files",
    "GET /replicate/v1/account",
    "GET /replicate/v1/webhooks/default/secret",
    "GET /openai/v1/videos?order=asc",
    "GET /openai/v1/videos?limit=100",
    "GET /openai/v1/webhook_endpoints",
    "GET /gemini/v1beta/files",
    "GET /elevenlabs/v1/voices",
];

/// A run of the tenant as a video of the face that has them; it succeeds, or never ends.
async fn video(house: &House, model: &str) -> String {
    let origin = Origin { face: "openai".into(), path: "videos".into(), ..Origin::default() };
    let input = Map::from_iter([("number".to_owned(), json!(9))]);
    let mut call = Call::new(Name::Model(model.to_owned()), input, origin);
    call.tasks = vec![impasto_domain::TaskId::new("echo")];
    let caller = Caller::reader(TenantId::new("acme"));
    let ticket = house.app.submit(&caller, call).await.unwrap();
    let run = ticket.run.to_string();
    if model == "local" {
        house.app.wait(&caller, ticket, std::time::Duration::from_secs(10)).await.unwrap();
    }
    run
}

/// Things of the tenant `acme`, by name.
async fn things(house: &House) -> BTreeMap<String, String> {
    let mut things = BTreeMap::new();
    let mut put = |name: &str, thing: String| drop(things.insert(name.to_owned(), thing));
    put("run", house.echo(1).await["id"].as_str().unwrap().to_owned());
    for number in 1..=3 {
        put(&format!("hang-{number}"), house.hang(number).await);
        let wish = json!({ "file_name": "a.txt", "content_type": "text/plain" });
        let begun = house.post("/fal/rest/storage/upload/initiate", &[], &wish).await.json();
        let address = begun["file_url"].as_str().unwrap().to_owned();
        put(&format!("upload-{number}"), address.rsplit('/').nth(1).unwrap().to_owned());
    }
    put("hang-4", video(house, "spare").await);
    put("video", video(house, "local").await);
    put("digest-1", house.upload(b"one of acme").await);
    put("digest-2", house.upload(b"two of acme").await);
    let wish = json!({
        "url": "https://hooks.example/a", "name": "of acme", "event_types": ["video.completed"],
    });
    let endpoint = house.post("/openai/v1/webhook_endpoints", &[], &wish).await.json();
    put("endpoint", endpoint["id"].as_str().unwrap().to_owned());
    things
}

fn filled(text: &str, things: &BTreeMap<String, String>) -> String {
    things
        .iter()
        .fold(text.to_owned(), |text, (name, thing)| text.replace(&format!("{{{name}}}"), thing))
}

async fn ask(house: &House, key: &str, call: &str, body: &str) -> Reply {
    let media = if body.starts_with('{') { "application/json" } else { "text/plain" };
    let header = format!("content-type: {media}");
    let headers: Vec<&str> = (!body.is_empty()).then_some(header.as_str()).into_iter().collect();
    house.send(house.request(key, call, &headers, body.to_owned())).await
}

#[tokio::test]
async fn what_is_anothers_is_not_found_by_any_face() {
    let house = House::new().await;
    let things = things(&house).await;
    for (call, body) in BY_ID {
        let (call, body) = (filled(call, &things), filled(body, &things));
        assert!(!call.contains('{'), "{call} has something that there is not");
        let foreign = ask(&house, &house.foreign, &call, &body).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{call}: {}", foreign.text());
        let nobody = ask(&house, "", &call, &body).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{call}: {}", nobody.text());
        let own = ask(&house, &house.own, &call, &body).await;
        let found = own.status != StatusCode::NOT_FOUND && !own.status.is_server_error();
        assert!(found, "{call} as its owner: {} {}", own.status, own.text());
    }
    for call in BY_PROOF {
        let call = filled(call, &things);
        for key in [&house.foreign, &house.own, &String::new()] {
            let reply = ask(&house, key, &call, "").await;
            let refused = matches!(reply.status.as_u16(), 401 | 403 | 404);
            assert!(refused, "{call}: {} {}", reply.status, reply.text());
        }
    }
}

#[tokio::test]
async fn no_list_of_a_face_shows_what_is_anothers() {
    let house = House::new().await;
    let mut things = things(&house).await;
    let own = ask(&house, &house.own, "GET /replicate/v1/webhooks/default/secret", "").await.json();
    things.insert("secret".to_owned(), own["key"].as_str().unwrap().to_owned());
    for call in LISTS {
        let foreign = ask(&house, &house.foreign, call, "").await;
        assert_eq!(foreign.status, StatusCode::OK, "{call}: {}", foreign.text());
        for (name, thing) in &things {
            assert!(!foreign.text().contains(thing), "{call} shows the {name} of another tenant");
        }
        assert!(!foreign.text().contains("acme"), "{call} names the other tenant");
    }
}

/// A path whose parameters are without names; what is behind the question mark does not count.
fn nameless(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let part = |part: &str| if part.contains('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_of_a_face_that_names_something_is_tried() {
    let tried: BTreeSet<String> = BY_ID
        .iter()
        .map(|(call, _)| *call)
        .chain(BY_PROOF)
        .filter_map(|call| call.split_once(' ').map(|(_, path)| nameless(path)))
        .collect();
    let mut seen = 0;
    for (prefix, text) in ROUTERS {
        for piece in text.split("route(").skip(1) {
            let Some(path) = piece.split('"').nth(1).filter(|path| path.starts_with('/')) else {
                continue;
            };
            seen += 1;
            let path = format!("{prefix}{path}");
            let is_free =
                |free: &str| path == free || (free.ends_with('/') && path.starts_with(free));
            if !path.contains('{') || OF_NOBODY.into_iter().any(is_free) {
                continue;
            }
            let has = match path.split_once("{*") {
                // Uploads are below a prefix more.
                Some((before, _)) => {
                    let end = before.strip_prefix("/fal").unwrap_or(before);
                    tried.iter().any(|tried| tried.contains(end))
                }
                None => tried.contains(&nameless(&path)),
            };
            assert!(has, "{path} is not tried with what is another's");
        }
    }
    assert!(seen >= 50, "{seen} routes were seen");
}
