//! What a provider would publish of an offer, made of the offer.

use impasto_domain::{Field, Type, Value};
use serde_json::{Value as Json, json};

use super::import::CATALOG;
use crate::{Offer, Place, Shape, Verb};

/// What a provider would publish of the endpoint of an offer; nothing where the offer does more with
/// its input than a schema can tell.
pub(super) fn published(offer: &Offer) -> Option<Json> {
    let task = &CATALOG.tasks[&offer.task];
    let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
    for (name, rule) in &offer.map.rules {
        let own = offer.own.iter().find(|field| field.name == *name);
        let field = own.or_else(|| task.input_field(name))?;
        let wire = match rule.to.as_slice() {
            [] => name.clone(),
            [Place::Body(pointer)] if pointer.is_key() => pointer.to_string(),
            _ => return None,
        };
        let narrowing = offer.params.get(name).cloned().unwrap_or_default();
        let narrowed = narrowing.narrow(field);
        let mut schema = shape(&narrowed, &rule.verbs)?;
        let default = narrowing.default.or_else(|| own.and_then(|own| own.default.clone()));
        if let Some(default) = default {
            let default = rule.verbs.iter().fold(default, |default, verb| verb.change(default));
            schema["default"] = default.to_json();
        }
        if field.required || narrowing.required {
            required.push(wire.clone());
        }
        properties.insert(wire, schema);
    }
    if let Some(size) = &offer.map.size {
        let Some(Place::Body(to)) = &size.to else { return None };
        if !size.object || !to.is_key() {
            return None;
        }
        let words: Vec<Json> = size.names.values().map(Value::to_json).collect();
        let free = json!({"type": "object", "title": "ImageSize",
            "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}});
        let schema = json!({"anyOf": [free, {"type": "string", "enum": words}]});
        properties.insert(to.to_string(), schema);
    }
    let mut answer = json!({});
    for rule in &offer.outputs.as_ref()?.rules {
        put(&mut answer, &rule.at.first()?.to_string(), &rule.ty);
    }
    let input = json!({"type": "object", "properties": properties, "required": required});
    Some(json!({"input": input, "output": answer}))
}

/// The schema of what an endpoint takes for a field.
fn shape(field: &Field, verbs: &[Verb]) -> Option<Json> {
    let mut schema = of_type(&field.ty, &field.name);
    let words: Vec<Json> = field.values.iter().map(|word| json!(word)).collect();
    let (mut words, mut text) = (words, false);
    for verb in verbs {
        match verb {
            Verb::Enum(map) => {
                let renamed = |word: &Json| word.as_str().and_then(|word| map.get(word));
                words =
                    words.iter().map(|w| renamed(w).map_or(w.clone(), Value::to_json)).collect();
                if words.is_empty() || words.iter().any(|word| !word.is_string()) {
                    return None;
                }
            }
            Verb::Snap(steps) => words = steps.iter().map(|step| json!(step)).collect(),
            Verb::As(Shape::Text) => {
                text = true;
                words =
                    words.iter().map(|word| json!(word.as_f64().unwrap().to_string())).collect();
            }
            Verb::As(Shape::Integer) => {
                schema["type"] = json!("integer");
                words = words.iter().map(|word| json!(word.as_f64().unwrap() as i64)).collect();
            }
            Verb::Affix(before, after) => {
                text = true;
                let around =
                    |word: &Json| json!(format!("{before}{}{after}", word.as_f64().unwrap()));
                words = words.iter().map(around).collect();
            }
            Verb::First => schema = schema["items"].clone(),
            Verb::List => schema = json!({"type": "array", "items": schema}),
            _ => return None,
        }
    }
    if text {
        schema = json!({"type": "string"});
    }
    if text && words.is_empty() {
        return None;
    }
    let (least, most) =
        if schema["type"] == "array" { ("minItems", "maxItems") } else { ("minimum", "maximum") };
    if !words.is_empty() {
        schema["enum"] = words.into();
    } else if schema["type"] != "string" {
        schema[least] = json!(field.min);
        schema[most] = json!(field.max);
    } else if field.max_chars.is_some() {
        schema["maxLength"] = json!(field.max_chars);
    }
    Some(schema)
}

fn of_type(ty: &Type, name: &str) -> Json {
    match ty {
        Type::Text | Type::Prompt => json!({"type": "string"}),
        Type::Integer => json!({"type": "integer"}),
        Type::Number => json!({"type": "number"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::Media(_) => json!({"type": "string", "description": format!("URL of the {name}")}),
        Type::Json => json!({}),
        Type::List(item) => json!({"type": "array", "items": of_type(item, name)}),
    }
}

/// Puts an output into the schema of an answer.
fn put(answer: &mut Json, place: &str, ty: &Type) {
    let mut at = answer;
    for key in place.split('/').skip(1) {
        if key == "*" {
            at["type"] = json!("array");
            at = &mut at["items"];
        } else {
            at["type"] = json!("object");
            at = &mut at["properties"][key];
        }
    }
    let leaf = match ty {
        Type::List(item) if place.contains('*') => of_type(item, "file"),
        ty => of_type(ty, "file"),
    };
    *at = leaf;
}
