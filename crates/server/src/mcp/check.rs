//! What is no message of the protocol is refused as the protocol says, before its library sees it, which
//! tells of it without the protocol's codes.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use rmcp::model::ErrorCode;
use serde_json::{Value as Json, json};

use crate::app::App;
use crate::problem::Problem;
use crate::whole::whole;

/// The longest message, in bytes, as the library has it: nobody has shown a key yet.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Lets a message pass that is one.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let media_type = request.headers().get(header::CONTENT_TYPE);
    let is_json = media_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("application/json"));
    if request.method() != Method::POST || !is_json {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let most = app.options().body_bytes_max.min(MESSAGE_BYTES_MAX);
    let bytes = match whole(body, most as u64).await {
        Ok(bytes) => bytes,
        Err(spoilt) => return Problem::from(spoilt).into_response(),
    };
    match wrong(&bytes) {
        Some((code, id, why)) => {
            let error = json!({ "code": code.0, "message": why });
            let told = json!({ "jsonrpc": "2.0", "id": id, "error": error });
            (StatusCode::BAD_REQUEST, axum::Json(told)).into_response()
        }
        None => next.run(Request::from_parts(parts, Body::from(bytes))).await,
    }
}

/// What is wrong with a message: the code, the id that it is answered by, and why.
fn wrong(bytes: &[u8]) -> Option<(ErrorCode, Json, &'static str)> {
    let Ok(message) = serde_json::from_slice::<Json>(bytes) else {
        return Some((ErrorCode::PARSE_ERROR, Json::Null, "the body is no JSON"));
    };
    let id = match &message["id"] {
        id @ (Json::String(_) | Json::Number(_)) => id.clone(),
        _ => Json::Null,
    };
    let is_told = ["result", "error"].iter().any(|name| message.get(name).is_some());
    if message["jsonrpc"] != "2.0" || !(message["method"].is_string() || is_told) {
        let why = "the body is no message of JSON-RPC 2.0: an object with `jsonrpc` and `method`";
        return Some((ErrorCode::INVALID_REQUEST, id, why));
    }
    let params = &message["params"];
    if !matches!(params, Json::Object(_) | Json::Null) {
        return Some((ErrorCode::INVALID_PARAMS, id, "`params` is no object"));
    }
    if message["method"] == "tools/call" {
        if !params["name"].is_string() {
            return Some((ErrorCode::INVALID_PARAMS, id, "`params.name` is no name of a tool"));
        }
        if !matches!(&params["arguments"], Json::Object(_) | Json::Null) {
            return Some((ErrorCode::INVALID_PARAMS, id, "`params.arguments` is no object"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_has_its_code() {
        let check = |body: &str, expected: Option<(i32, Json)>| {
            let found = wrong(body.as_bytes()).map(|(code, id, _)| (code.0, id));
            assert_eq!(found, expected, "{body}");
        };
        check("{", Some((-32700, Json::Null)));
        check("", Some((-32700, Json::Null)));
        for body in ["[]", "null", r#"{"jsonrpc":"1.0"}"#, r#"{"jsonrpc":"2.0"}"#] {
            check(body, Some((-32600, Json::Null)));
        }
        check(r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, Some((-32600, json!(7))));
        let call = |params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{params}}}"#)
        };
        for params in ["[]", "5", "{}", r#"{"name":5}"#, r#"{"name":"plan","arguments":[]}"#] {
            check(&call(params), Some((-32602, json!("a"))));
        }
        check(&call(r#"{"name":"plan","arguments":{}}"#), None);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, None);
        check(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, None);
        check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, None);
    }
}
