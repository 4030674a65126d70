//! Files: taken in whole, by form and in parts; fetched whole, in part and by signed addresses.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value as Json, json};

use super::house::House;
use crate::ServerOptions;

#[tokio::test]
async fn a_file_is_taken_in_and_fetched_whole_and_in_part() {
    let house = House::new().await;
    let digest = house.upload(b"0123456789").await;
    let path = format!("/v1/assets/{digest}/content");
    let whole = house.get(&path).await;
    assert_eq!((whole.text().as_str(), whole.header("accept-ranges")), ("0123456789", "bytes"));
    let part = house.ask(&format!("GET {path}"), &["range: bytes=2-4"], Body::empty()).await;
    assert_eq!((part.status, part.text().as_str()), (StatusCode::PARTIAL_CONTENT, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    let beyond = house.ask(&format!("GET {path}"), &["range: bytes=10-"], Body::empty()).await;
    assert_eq!(beyond.code(), "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), "bytes */10");
    let tag = format!("if-none-match: {}", whole.header("etag"));
    let same = house.ask(&format!("GET {path}"), &[&tag], Body::empty()).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    let head = house.ask(&format!("HEAD {path}"), &[], Body::empty()).await;
    assert_eq!((head.header("content-length"), head.body.len()), ("10", 0));
}

#[tokio::test]
async fn a_signed_address_works_without_a_key_for_a_while() {
    let house = House::new().await;
    let digest = house.upload(b"signed").await;
    let view = house.get(&format!("/v1/assets/{digest}")).await.json();
    let url = view["url"].as_str().unwrap().to_owned();
    let fetch = async |house: &House, url: &str| {
        let path = url.strip_prefix("http://here").unwrap();
        let request = Request::get(path).header("host", "here").body(Body::empty()).unwrap();
        house.send(request).await
    };
    assert_eq!(fetch(&house, &url).await.text(), "signed");
    let forged = url.replace("tenant=acme", "tenant=other");
    assert_eq!(fetch(&house, &forged).await.code(), "not_found");
    let later = url.replace("expires=", "expires=9");
    assert_eq!(fetch(&house, &later).await.code(), "not_found");
    let short = House::with(ServerOptions { file_url_ms: 0, ..ServerOptions::default() }).await;
    let digest = short.upload(b"short").await;
    let url = short.get(&format!("/v1/assets/{digest}")).await.json()["url"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(fetch(&short, url.as_str().unwrap()).await.code(), "not_found");
}

#[tokio::test]
async fn who_is_reached_from_elsewhere_lends_its_files() {
    let private = House::new().await;
    assert!(private.app.addresses().is_none());
    let public_base = "https://media.example/".to_owned();
    let house = House::with(ServerOptions { public_base, ..ServerOptions::default() }).await;
    let digest = house.upload(b"lent").await.parse().unwrap();
    let tenant = impasto_domain::TenantId::new("acme");
    let asset = house.app.asset(&tenant, digest).await.unwrap();
    let addresses = house.app.addresses().unwrap();
    let fetch = async |url: String| {
        let path = url.strip_prefix("https://media.example").unwrap().to_owned();
        let request = Request::get(path).header("host", "here").body(Body::empty()).unwrap();
        house.send(request).await
    };
    assert_eq!(fetch(addresses(&tenant, &asset).unwrap()).await.text(), "lent");
    let base = crate::files::Base("https://media.example".to_owned());
    let stranger = crate::caller::Caller::reader(impasto_domain::TenantId::new("other"));
    let unlent = house.app.file_url(&base, &stranger, &asset);
    assert_eq!(fetch(unlent).await.code(), "not_found", "it is another's");
}

#[tokio::test]
async fn a_form_with_a_file_is_taken_in() {
    let house = House::new().await;
    let body = "--x\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x\r\n\
                content-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
                content-type: text/plain\r\n\r\nfrom a form\r\n--x--\r\n";
    let headers = ["content-type: multipart/form-data; boundary=x"];
    let reply = house.ask("POST /v1/assets", &headers, body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let digest = reply.json()["digest"].as_str().unwrap().to_owned();
    let lineage = house.get(&format!("/v1/assets/{digest}/lineage")).await.json();
    assert_eq!(lineage["origins"][0]["name"], "a.txt");
    assert_eq!(lineage["origins"][0]["role"], "upload");
    for broken in
        ["", "--x\r\n", "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--"]
    {
        let reply = house.ask("POST /v1/assets", &headers, broken).await;
        assert_eq!(reply.code(), "invalid_input", "{broken:?}");
    }
    let reply = house.ask("POST /v1/assets", &["content-type: multipart/form-data"], body).await;
    assert_eq!(reply.code(), "invalid_input");
}

#[tokio::test]
async fn what_is_no_file_or_too_much_is_refused() {
    let options = ServerOptions { upload_bytes_max: 20, ..ServerOptions::default() };
    let house = House::with(options).await;
    let headers = ["content-type: image/png"];
    let bad = house.ask("POST /v1/assets", &headers, "bad bytes").await;
    assert_eq!(bad.code(), "invalid_input");
    assert!(!bad.text().contains("impasto-upload"), "where it lay is nobody's business");
    assert_eq!(bad.json()["detail"], "the file: the file is no file that can be used");
    let empty = house.ask("POST /v1/assets", &headers, "").await;
    assert_eq!(empty.code(), "invalid_input");
    let large = house.ask("POST /v1/assets", &headers, "x".repeat(21)).await;
    assert_eq!((large.status, large.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
}

#[tokio::test]
async fn an_upload_in_parts_comes_in_any_order_and_again() {
    let house = House::new().await;
    let begun = house.post("/v1/uploads", &[], &json!({ "name": "film.txt" })).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let path = format!("/v1/uploads/{}", begun.json()["id"].as_str().unwrap());
    let put = async |number: &str, bytes: &'static str| {
        house.ask(&format!("PUT {path}/parts/{number}"), &[], bytes).await
    };
    assert_eq!(put("2", "world").await.json()["parts"], json!([2]));
    let early = house.post(&format!("{path}/complete"), &[], &Json::Null).await;
    assert_eq!(early.code(), "conflict");
    put("1", "wrong ").await;
    assert_eq!(put("1", "hello ").await.json()["bytes"], 11);
    assert_eq!(put("0", "x").await.code(), "invalid_input");
    assert_eq!(put("x", "x").await.code(), "invalid_input");
    let done = house.post(&format!("{path}/complete"), &[], &Json::Null).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.text());
    let digest = done.json()["digest"].as_str().unwrap().to_owned();
    let content = house.get(&format!("/v1/assets/{digest}/content")).await;
    assert_eq!(content.text(), "hello world");
    assert_eq!(house.get(&path).await.code(), "not_found", "it is over");
    let again = house.post(&format!("{path}/complete"), &[], &Json::Null).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text());
    assert_eq!(again.json()["digest"], done.json()["digest"], "whoever did not hear it asks again");
    let headers = ["content-type: application/json"];
    let foreign = house.request(&house.foreign, &format!("POST {path}/complete"), &headers, "null");
    assert_eq!(house.send(foreign).await.code(), "not_found", "it is another's");
    let listed = house.get("/v1/assets?limit=1").await.json();
    assert_eq!(listed["assets"][0]["digest"], digest.as_str());
    let gone = house.ask(&format!("DELETE /v1/assets/{digest}"), &[], Body::empty()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(house.get(&format!("/v1/assets/{digest}")).await.code(), "not_found");
}

#[tokio::test]
async fn a_form_with_two_files_is_refused_and_neither_is_kept() {
    let house = House::new().await;
    let part = |name: &str, file: &str, text: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n{text}\r\n"
        )
    };
    for second in ["file", "other"] {
        let form = part("file", "a.txt", "one") + &part(second, "b.txt", "two") + "--b--\r\n";
        let headers = ["content-type: multipart/form-data; boundary=b"];
        let reply = house.ask("POST /v1/assets", &headers, form).await;
        assert_eq!(reply.code(), "invalid_input", "{second}");
        assert!(reply.text().contains("more than one file"), "{}", reply.text());
    }
    assert_eq!(house.get("/v1/assets").await.json()["assets"], json!([]));
}
