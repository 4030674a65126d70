//! Inputs as they are typed (`name=value`, `name=@file`), read by the types that are asked for.
//!
//! Everything that is wrong is told at once. A file is imported through the engine, so that what a
//! step later reads has been decoded once, in a sandbox.

use std::path::Path;

use impasto_catalog::{OPTIONS, similar};
use impasto_domain::{AssetRef, Error, Field, Result, Type, Value, Values};

/// The largest text file that is taken as an input, in bytes.
const TEXT_BYTES_MAX: u64 = 1_000_000;

/// Takes a file in as an asset.
pub(crate) type Import<'a> = &'a dyn Fn(&Path) -> Result<AssetRef>;

/// Reads what was typed by the types of `fields`; all that is wrong comes back at once.
pub(crate) fn read(
    typed: &[String],
    fields: &[Field],
    import: Import,
) -> Result<Values, Vec<Error>> {
    let mut values = Values::new();
    let mut errors = Vec::new();
    for item in typed {
        match read_one(item, fields, import) {
            Ok((field, value)) => put(&mut values, field, value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

fn read_one<'a>(item: &str, fields: &'a [Field], import: Import) -> Result<(&'a Field, Value)> {
    let (name, text) = item.split_once('=').ok_or_else(|| {
        Error::invalid(format!("'-i {item}' has no value"))
            .hint("write -i name=value or -i name=@file")
    })?;
    let field = fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let near = similar(name, &known).map(|near| format!("did you mean `{near}`? "));
        // Tasks of models take what only some of them have in an input of its own.
        let own = known.contains(&OPTIONS).then(|| {
            format!("what only some models have is given by -i {OPTIONS}='{{\"{name}\": …}}'; ")
        });
        let (near, own) = (near.unwrap_or_default(), own.unwrap_or_default());
        Error::invalid(format!("there is no input `{name}`"))
            .hint(format!("{near}{own}the inputs are {}", known.join(", ")))
    })?;
    let value = value_of(&field.ty, text, import)
        .map_err(|error| error.context(format!("input `{name}`")))?;
    Ok((field, value))
}

/// A list may be given item by item, by repeating the flag.
fn put(values: &mut Values, field: &Field, value: Value) {
    match (values.get_mut(&field.name), value) {
        (Some(Value::List(items)), Value::List(more)) => items.extend(more),
        (_, value) => {
            values.insert(field.name.clone(), value);
        }
    }
}

fn value_of(ty: &Type, text: &str, import: Import) -> Result<Value> {
    match ty {
        Type::Media(_) => asset_of(ty, text, import),
        Type::Text | Type::Prompt => Ok(Value::Text(text_of(text)?)),
        Type::Integer => parsed(text, "a whole number", |t| t.parse::<i64>().ok().map(Value::from)),
        Type::Number => {
            let finite = |t: &str| t.parse::<f64>().ok().filter(|number| number.is_finite());
            parsed(text, "a number", |t| finite(t).map(Value::from))
        }
        Type::Boolean => parsed(text, "true or false", |t| match t {
            "true" | "yes" | "1" => Some(Value::from(true)),
            "false" | "no" | "0" => Some(Value::from(false)),
            _ => None,
        }),
        Type::List(item) => {
            if text.trim_start().starts_with('[') || matches!(**item, Type::Json) {
                return json_of(&text_of(text)?);
            }
            Ok(Value::List(vec![value_of(item, text, import)?]))
        }
        Type::Json => match text.strip_prefix('@').map(Path::new) {
            Some(path) if path.extension().is_none_or(|extension| extension != "json") => {
                import(path).map(Value::from)
            }
            _ => json_of(&text_of(text)?),
        },
    }
}

fn asset_of(ty: &Type, text: &str, import: Import) -> Result<Value> {
    let asset = import(Path::new(text.strip_prefix('@').unwrap_or(text)))?;
    let value = Value::from(asset);
    if ty.admits(&value) {
        return Ok(value);
    }
    Err(Error::invalid(format!("'{text}' is {}, not {ty}", value.type_name()))
        .hint(format!("give {ty}")))
}

fn parsed(text: &str, wanted: &str, parse: impl Fn(&str) -> Option<Value>) -> Result<Value> {
    parse(text.trim()).ok_or_else(|| Error::invalid(format!("'{text}' is not {wanted}")))
}

fn json_of(text: &str) -> Result<Value> {
    let json = serde_json::from_str(text).map_err(|error| {
        Error::invalid(format!("it is not JSON: {error}"))
            .hint("write JSON, such as '[{\"name\": \"morning\"}]', or name a file with @file.json")
    })?;
    Value::from_json(json).map_err(Error::invalid)
}

/// The text itself, or with a leading `@` the text of a file; `@@` stands for a plain `@`.
fn text_of(text: &str) -> Result<String> {
    let Some(rest) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    if rest.starts_with('@') {
        return Ok(rest.to_owned());
    }
    let path = Path::new(rest);
    let hint = "write @@ if the text is meant to begin with @";
    let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error).hint(hint))?.len();
    if size > TEXT_BYTES_MAX {
        let message = format!("'{rest}' has {size} bytes, the most for a text is {TEXT_BYTES_MAX}");
        return Err(Error::invalid(message));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

/// The error for a file that cannot be read, with the remedy.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::not_found(format!("there is no file '{shown}'")).hint("check the path")
        }
        std::io::ErrorKind::PermissionDenied => {
            Error::unavailable(format!("'{shown}' may not be read"))
                .hint("check the permissions of the file")
        }
        _ => Error::unavailable(format!("'{shown}' cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<Field> {
        let fields = serde_json::json!([
            {"name": "photo", "type": "image"},
            {"name": "product", "type": "text"},
            {"name": "n", "type": "integer"},
            {"name": "share", "type": "number"},
            {"name": "loud", "type": "boolean"},
            {"name": "names", "type": "list<text>"},
            {"name": "scenes", "type": "list<json>"},
        ]);
        serde_json::from_value(fields).unwrap()
    }

    fn refuse(_: &Path) -> Result<AssetRef> {
        Err(Error::not_found("no file here"))
    }

    fn check(typed: &[&str], expected: Result<&str, &str>) {
        let typed: Vec<String> = typed.iter().map(|&t| t.to_owned()).collect();
        let shown = read(&typed, &fields(), &refuse)
            .map(|values| Value::from(values).to_json().to_string())
            .map_err(|errors| {
                errors.iter().map(|e| e.message.clone()).collect::<Vec<_>>().join(" | ")
            });
        assert_eq!(shown, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn reads_by_type() {
        check(&["product=a=b", "n=3", "share=0.5"], Ok(r#"{"n":3,"product":"a=b","share":0.5}"#));
        check(&["loud=yes", "product=@@home"], Ok(r#"{"loud":true,"product":"@home"}"#));
        check(&["names=a", "names=b"], Ok(r#"{"names":["a","b"]}"#));
        check(&[r#"scenes=[{"name":"x"}]"#], Ok(r#"{"scenes":[{"name":"x"}]}"#));
    }

    #[test]
    fn tells_everything_that_is_wrong() {
        check(
            &["n=three", "colour=red", "product", "photo=@x.png"],
            Err("input `n`: 'three' is not a whole number | there is no input `colour` | \
                 '-i product' has no value | input `photo`: no file here"),
        );
        check(&["share=inf"], Err("input `share`: 'inf' is not a number"));
    }
}
