//! JSON schemas of the catalogue's files, for editors that complete and underline.
//!
//! They are made of the same words by which the files are read, so they cannot know a unit or a
//! capability that the reader does not. What depends on other files (whether a task has an input of
//! that name) only loading can tell.

use serde_json::{Map, Value as Json, json};

use crate::count::Unit;
use crate::load::capability::CAPABILITIES;
use crate::mapping::MaskForm;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const DATE: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const ID: &str = "^[a-z0-9][a-z0-9._-]*$";
const FILE_FORMS: [&str; 5] = ["url", "upload", "base64", "data_uri", "part"];

fn object(properties: Json, required: &[&str]) -> Json {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), json!(required));
    schema.insert("additionalProperties".to_owned(), json!(false));
    Json::Object(schema)
}

fn file(title: &str, properties: Json, required: &[&str]) -> Json {
    let mut schema = object(properties, required);
    if let Some(entries) = schema.as_object_mut() {
        entries.insert("$schema".to_owned(), json!(DIALECT));
        entries.insert("title".to_owned(), json!(title));
    }
    schema
}

fn text() -> Json {
    json!({ "type": "string", "minLength": 1 })
}

fn texts() -> Json {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn date() -> Json {
    json!({ "type": "string", "pattern": DATE })
}

fn amount() -> Json {
    json!({ "type": ["number", "string", "integer"] })
}

fn needs() -> Json {
    json!({ "type": "array", "items": object(json!({ "program": text(), "hint": text() }), &["program", "hint"]) })
}

fn lifecycle() -> Json {
    let status = json!({ "enum": ["active", "preview", "deprecated", "retired", "no_api"] });
    object(
        json!({
            "status": status,
            "ends": date(),
            "replacement": { "type": "string", "pattern": ID },
            "as_of": date(),
            "source": text(),
        }),
        &["status"],
    )
}

fn capabilities() -> Json {
    let words: Vec<&str> = CAPABILITIES.iter().map(|(word, _)| *word).collect();
    json!({ "type": "array", "items": { "enum": words } })
}

/// The schema of a task's file.
pub fn task() -> Json {
    let field = object(
        json!({
            "type": text(), "description": { "type": "string" }, "required": { "type": "boolean" },
            "default": true, "min": { "type": "number" }, "max": { "type": "number" },
            "max_chars": { "type": "integer" }, "values": texts(), "unit": text(),
        }),
        &["type"],
    );
    let output = object(json!({ "type": text(), "description": { "type": "string" } }), &["type"]);
    file(
        "A kind of work",
        json!({
            "id": { "type": "string", "pattern": ID }, "title": text(), "description": text(), "words": texts(),
            "lazy_video": { "type": "boolean" },
            "foreign_files": { "type": "boolean" },
            "input": { "type": "object", "additionalProperties": field },
            "output": { "type": "object", "additionalProperties": output },
        }),
        &["id", "title", "description", "output"],
    )
}

fn call() -> Json {
    object(
        json!({
            "method": { "enum": ["GET", "POST", "PUT", "PATCH", "DELETE"] },
            "base": text(), "path": text(), "query": { "type": "object" },
            "headers": { "type": "object" },
            "body": { "enum": ["none", "json", "multipart", "form", "raw"] },
            "send": { "type": "object" },
            "answer": { "enum": ["json", "bytes", "empty"] },
        }),
        &["method", "path"],
    )
}

fn wire() -> Json {
    let words = || json!({ "type": "array" });
    let state = object(
        json!({
            "at": text(), "http": { "type": "boolean" }, "queued": words(), "running": words(),
            "succeeded": words(), "failed": words(), "refused": words(), "cancelled": words(),
            "failed_if": text(), "absent": { "enum": ["queued", "running", "succeeded"] },
        }),
        &[],
    );
    let progress =
        json!({ "at": text(), "of": { "type": "number" }, "place": text(), "log": text() });
    let callback = json!({ "at": text(), "query": text(), "with": { "type": "object" } });
    object(
        json!({
            "submit": call(), "handle": { "type": "object" }, "callback": object(callback, &[]),
            "poll": call(), "state": state,
            "progress": object(progress, &[]), "result": call(), "item": call(), "cancel": call(),
            "cost": object(json!({ "at": text(), "usd_each": { "type": "number" } }), &["at", "usd_each"]),
            "poll_every_ms": { "type": "integer", "minimum": 0 },
        }),
        &["submit"],
    )
}

fn errors() -> Json {
    let kinds: Vec<&str> =
        impasto_domain::ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let row = object(
        json!({
            "status": { "type": "array", "items": { "type": "integer" } }, "at": text(),
            "is": { "type": "array" }, "not": { "type": "array" }, "contains": texts(),
            "kind": { "enum": kinds }, "retry": { "type": "boolean" }, "hint": text(),
        }),
        &["kind"],
    );
    let wait = json!({ "header": text(), "at": text(), "unit_ms": { "type": "number" } });
    object(
        json!({
            "message": texts(), "code": texts(), "retry_after": object(wait, &[]),
            "rows": { "type": "array", "items": row },
        }),
        &[],
    )
}

fn probe() -> Json {
    let units: Vec<&str> = Unit::WORDS.iter().map(|(word, _)| *word).collect();
    let price = json!({
        "call": call(), "usd_at": text(), "unit_at": text(),
        "units": { "type": "object", "additionalProperties": { "enum": units } },
    });
    let dry = object(json!({ "call": call(), "at": text(), "like": texts() }), &["call"]);
    object(
        json!({
            "schema": call(), "schema_at": text(),
            "gone": { "type": "array", "items": { "type": "integer" } },
            "models": call(), "model_at": text(), "model_prefix": { "type": "string" }, "model_like": texts(),
            "price": object(price, &["call", "usd_at"]), "dry": dry,
        }),
        &[],
    )
}

/// The schema of a provider's file.
pub fn provider() -> Json {
    let auth = object(
        json!({
            "env": texts(), "optional": { "type": "boolean" }, "header": text(),
            "prefix": { "type": "string" }, "query": text(), "basic": { "type": "boolean" },
        }),
        &["env"],
    );
    let base = object(json!({ "url": text(), "env": texts(), "also": texts() }), &[]);
    let put = json!({
        "url": text(), "method": { "enum": ["POST", "PUT"] }, "body": { "enum": ["raw", "multipart"] },
        "fields": text(),
    });
    let upload = object(
        json!({
            "start": call(), "field": text(), "put": object(put, &["url", "method", "body"]),
            "url": text(), "url_is": text(), "bytes_max": { "type": "integer" },
            "kept_s": { "type": "integer" },
        }),
        &["start"],
    );
    let rate = json!({ "calls": { "type": "integer" }, "per_s": { "type": "number" } });
    file(
        "A place that serves models",
        json!({
            "id": { "type": "string", "pattern": ID }, "title": text(), "description": text(),
            "dialect": text(), "schemas": { "type": "string" }, "site": text(), "needs": needs(),
            "concurrency": { "oneOf": [{ "type": "integer", "minimum": 1 }, { "const": "cores" }] },
            "base": { "type": "object", "additionalProperties": base }, "auth": auth,
            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
            "rate": object(rate, &["calls", "per_s"]), "errors": errors(),
            "wires": { "type": "object", "additionalProperties": wire() }, "upload": upload,
            "count": count(), "files": { "enum": FILE_FORMS }, "idempotency_header": text(),
            "probe": probe(), "categories": { "type": "object", "additionalProperties": texts() },
        }),
        &["id", "title", "description", "dialect", "concurrency"],
    )
}

fn count() -> Json {
    let units: Vec<&str> = Unit::WORDS.iter().map(|(word, _)| *word).collect();
    let count = json!({
        "header": text(), "at": text(), "unit": { "enum": units }, "each": { "type": "number" },
    });
    object(count, &[])
}

fn line(amount_key: &str) -> Json {
    let units: Vec<&str> = Unit::WORDS.iter().map(|(word, _)| *word).collect();
    let tier = object(
        json!({ "when": { "type": "object" }, "usd": amount(), "credits": amount(), "ms": amount() }),
        &["when"],
    );
    object(
        json!({
            "per": { "enum": units }, "usd": amount(), "credits": amount(), "ms": amount(),
            "round_up": { "type": "boolean" }, "block": { "type": "number" },
            "free": { "type": "number" }, "when": { "type": "object" },
            "tiers": { "type": "array", "items": tier },
        }),
        &["per"].into_iter().chain((amount_key == "ms").then_some("ms")).collect::<Vec<_>>(),
    )
}

fn price() -> Json {
    let multiplier = object(
        json!({ "when": { "type": "object" }, "by": { "type": "number" } }),
        &["when", "by"],
    );
    let table = object(
        json!({
            "lines": { "type": "array", "items": line("usd"), "minItems": 1 },
            "multipliers": { "type": "array", "items": multiplier }, "minimum": amount(),
            "credits_per_usd": amount(), "as_of": date(), "source": text(),
            "confidence": { "enum": ["verified", "third_party", "memory"] },
            "billed_on": { "enum": ["success", "always"] }, "note": { "type": "string" },
        }),
        &["lines", "as_of", "source"],
    );
    json!({ "oneOf": [{ "enum": ["free", "unknown"] }, table] })
}

fn parameter() -> Json {
    let place = json!({ "oneOf": [text(), texts()] });
    let clamp = object(json!({ "min": { "type": "number" }, "max": { "type": "number" } }), &[]);
    let table = object(
        json!({
            "to": place, "type": text(), "description": { "type": "string" },
            "required": { "type": "boolean" }, "default": true, "unsaid": true,
            "min": { "type": "number" }, "max": { "type": "number" },
            "max_chars": { "type": "integer" }, "values": texts(),
            "file": { "enum": FILE_FORMS }, "mask": { "enum": MaskForm::ALL.map(|(name, _)| name) },
            "enum": { "type": "object" },
            "snap": { "type": "array", "items": { "type": "number" } }, "clamp": clamp,
            "times": { "type": "number" }, "as": { "enum": ["text", "integer", "number"] },
            "prefix": { "type": "string" }, "suffix": { "type": "string" },
            "first": { "type": "boolean" }, "list": { "type": "boolean" }, "wrap": true,
        }),
        &[],
    );
    json!({ "oneOf": [text(), table] })
}

fn output() -> Json {
    let place = json!({ "oneOf": [{ "type": "string" }, texts()] });
    let table = object(
        json!({
            "at": place, "file": { "enum": ["url", "base64", "hex", "body", "item"] },
            "all": { "type": "boolean" }, "media_type": text(), "times": { "type": "number" },
            "ending": text(),
        }),
        &[],
    );
    json!({ "oneOf": [{ "type": "string" }, texts(), table] })
}

fn offer() -> Json {
    let size = json!({
        "to": text(), "width": text(), "height": text(), "names": { "type": "object" },
        "sizes": texts(), "separator": text(), "object": { "type": "boolean" },
        "multiple": { "type": "integer" }, "megapixels": { "type": "number" },
    });
    let time = json!({
        "fixed_ms": { "type": "integer" }, "lines": { "type": "array", "items": line("ms") },
        "source": text(), "as_of": date(),
    });
    let map = json!({
        "enum": { "type": "object" }, "clamp": { "type": "object" }, "rename": { "type": "object" },
        "default": { "type": "object" }, "const": { "type": "object" },
    });
    object(
        json!({
            "provider": text(), "task": text(), "endpoint": text(), "variant": text(),
            "wire": text(), "version": text(), "needs": needs(), "lifecycle": lifecycle(),
            "source": { "type": "string" }, "verified": { "type": "boolean" },
            "capabilities": capabilities(), "price": price(), "count": count(),
            "time": object(time, &["fixed_ms"]),
            "assume": { "type": "object" }, "params": { "type": "object" },
            "map": object(map, &[]), "size": object(size, &[]),
            "input": { "type": "object", "additionalProperties": parameter() },
            "output": { "type": "object", "additionalProperties": output() },
            "const": { "type": "object" }, "default": { "type": "object" },
            "template": { "type": ["string", "object"] },
            "unsupported": texts(), "ignored": texts(),
        }),
        &["provider", "task", "endpoint", "price"],
    )
}

/// The schema of a model's file.
pub fn model() -> Json {
    let figure = json!({
        "name": text(), "value": { "type": "number" }, "source": text(), "date": date(),
        "rank": { "type": "integer" }, "votes": { "type": "integer" },
    });
    let figure = object(figure, &["name", "value", "source", "date"]);
    file(
        "A model and where it is offered",
        json!({
            "id": { "type": "string", "pattern": ID }, "title": text(), "company": text(),
            "version": text(), "licence": text(), "terms": { "type": "string" },
            "commercial": { "enum": ["unknown", "allowed", "conditions", "forbidden"] },
            "training_data": text(), "description": text(), "note": { "type": "string" },
            "tier": { "enum": ["draft", "standard", "hero"] },
            "prompt_style": { "enum": ["sentence", "tags"] }, "aliases": texts(),
            "capabilities": capabilities(), "lifecycle": lifecycle(),
            "quality": { "type": "array", "items": figure },
            "offers": { "type": "array", "items": offer() },
        }),
        &[
            "id",
            "title",
            "company",
            "version",
            "licence",
            "training_data",
            "description",
            "tier",
            "offers",
        ],
    )
}
