//! The description of the API by OpenAPI 3.1, made of the table of routes.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use crate::routes::{Access, Answer, Content, Place, ROUTES, Route, Takes};
use crate::{EventView, Problem};

/// Codes and statuses of the errors that every route with a key can have.
const EVERYWHERE: [(u16, &str); 5] = [
    (401, "unauthorized"),
    (403, "forbidden"),
    (429, "rate_limited"),
    (500, "internal"),
    (503, "unavailable"),
];

/// The status under which a code is told.
fn status_of(code: &str) -> u16 {
    match code {
        "invalid_input" => 400,
        "unauthorized" => 401,
        "budget_exceeded" => 402,
        "forbidden" => 403,
        "not_found" => 404,
        "method_not_allowed" => 405,
        "request_timeout" => 408,
        "conflict" | "idempotency_key_reused" | "cancelled" | "in_doubt" => 409,
        "too_large" => 413,
        "unsupported_media_type" => 415,
        "range_not_satisfiable" => 416,
        "refused" => 422,
        "rate_limited" => 429,
        "provider_failed" => 502,
        "unavailable" => 503,
        "timeout" => 504,
        _ => 500,
    }
}

/// The description of the native API.
pub fn openapi() -> Json {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    generator.subschema_for::<EventView>();
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator, problem.as_value());
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Impasto",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One API and durable workflows over every generative media model.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Json) -> Json {
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses(route, generator, problem),
        "security": match route.access {
            Access::Open | Access::Signed => json!([]),
            _ => json!([{ "key": [] }]),
        },
    });
    if let Some(body) = body(route.takes, generator) {
        operation["requestBody"] = body;
    }
    operation
}

fn parameters(route: &Route) -> Vec<Json> {
    let in_path = route.path_parameters().map(|name| {
        let ty = if name == "number" || name == "delivery" { "integer" } else { "string" };
        let minimum = (ty == "integer").then_some(1);
        let mut schema = json!({ "type": ty });
        match minimum {
            Some(minimum) => schema["minimum"] = minimum.into(),
            None => schema["minLength"] = 1.into(),
        }
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    // The description's own rules: these headers are described by other means.
    let described = |name: &str| !matches!(name, "Accept" | "Content-Type" | "Authorization");
    let others = route.query.iter().filter(|query| described(query.name)).map(|query| {
        let place = if query.place == Place::Query { "query" } else { "header" };
        let mut schema = json!({ "type": query.ty });
        if query.ty == "integer" {
            schema["minimum"] = u8::from(query.name == "limit").into();
        }
        json!({
            "name": query.name, "in": place, "description": query.summary, "required": false,
            "schema": schema,
        })
    });
    in_path.chain(others).collect()
}

fn body(takes: Takes, generator: &mut SchemaGenerator) -> Option<Json> {
    let content = match takes {
        Takes::Nothing => return None,
        Takes::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Takes::Bytes => json!({ "application/octet-stream": {} }),
        Takes::File => json!({
            "application/octet-stream": {},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": { "file": { "type": "string", "format": "binary" } },
                    "required": ["file"],
                },
            },
        }),
    };
    Some(json!({ "required": true, "content": content }))
}

fn responses(route: &Route, generator: &mut SchemaGenerator, problem: &Json) -> Json {
    let mut responses = Map::new();
    for answer in route.answers {
        let status = answer.status.to_string();
        let made = response(answer, generator);
        match responses.get_mut(&status).and_then(|known| known["content"].as_object_mut()) {
            // The same status in another form.
            Some(known) => known.extend(made["content"].as_object().cloned().unwrap_or_default()),
            None => drop(responses.insert(status, made)),
        }
    }
    let everywhere = EVERYWHERE.iter().filter(|_| route.access != Access::Open);
    let takes_body = !matches!(route.takes, Takes::Nothing);
    let own = route.errors.iter().map(|code| (status_of(code), *code));
    let with_body = [(408, "request_timeout"), (413, "too_large"), (415, "unsupported_media_type")];
    let of_body = with_body.into_iter().filter(|_| takes_body);
    let bad = (400, "invalid_input");
    for (status, code) in own.chain([bad]).chain(of_body).chain(everywhere.copied()) {
        responses.entry(status.to_string()).or_insert_with(|| {
            json!({
                "description": code,
                "content": { "application/problem+json": { "schema": problem } },
            })
        });
    }
    Json::Object(responses)
}

fn response(answer: &Answer, generator: &mut SchemaGenerator) -> Json {
    let content = match answer.content {
        Content::Nothing => return json!({ "description": answer.summary }),
        Content::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Content::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        Content::File => json!({ "*/*": {} }),
        Content::Text(media_type) => json!({ media_type: {} }),
    };
    json!({ "description": answer.summary, "content": content })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The description as it is kept.
    const KEPT: &str = include_str!("../../../docs/reference/openapi.json");

    #[test]
    fn the_description_is_the_one_that_is_kept() {
        let now = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
        assert!(now == KEPT, "docs/reference/openapi.json is stale: run `cargo xtask generate`");
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let description = openapi();
        let schemas = &description["components"]["schemas"];
        let text = description.to_string();
        for reference in text.split("\"$ref\":\"").skip(1) {
            let reference = reference.split('"').next().unwrap_or_default();
            let name = reference.rsplit('/').next().unwrap_or_default();
            assert_eq!(reference, format!("#/components/schemas/{name}"));
            assert!(schemas[name].is_object(), "{name}");
        }
    }
}
