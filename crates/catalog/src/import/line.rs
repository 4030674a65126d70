//! One parameter of an endpoint, as the line of an offer's file that says it.

use impasto_domain::{Field, MediaKind, Type, Value};
use serde_json::Value as Json;

use super::known::{Known, is_file};
use super::types::{Kind, Parameter};
use crate::mapping::Place;
use crate::size::short_side;

/// Numbers beyond this are no limits that anybody means.
const LIMIT_MAX: f64 = 9e15;

/// A line of the table `input`: a key, where it goes, and what else is to be said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Line {
    pub(crate) key: String,
    pub(crate) to: Vec<String>,
    pub(crate) pairs: Vec<(&'static str, String)>,
}

impl Line {
    fn say(&mut self, key: &'static str, value: impl Into<Json>) {
        self.pairs.push((key, toml(&value.into())));
    }

    /// The line itself.
    pub(crate) fn text(&self) -> String {
        let key = key(&self.key);
        let to = match self.to.as_slice() {
            [] => None,
            [one] if *one == self.key => None,
            [one] => Some(quoted(one)),
            many => Some(toml(&many.into())),
        };
        if self.pairs.is_empty() && self.to.len() < 2 {
            return format!("{key} = {}", to.unwrap_or_else(|| "{}".to_owned()));
        }
        let to = to.map(|to| format!("to = {to}"));
        let pairs = self.pairs.iter().map(|(name, value)| format!("{name} = {value}"));
        format!("{key} = {{ {} }}", to.into_iter().chain(pairs).collect::<Vec<_>>().join(", "))
    }
}

/// A key of TOML.
pub(crate) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A text of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A value of TOML, on one line. TOML has no null: it is left out of lists and tables.
pub(crate) fn toml(value: &Json) -> String {
    match value {
        Json::Null => quoted(""),
        Json::Bool(truth) => truth.to_string(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.to_string(),
            None => format!("{:?}", number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => quoted(text),
        Json::Array(items) => {
            let items: Vec<String> =
                items.iter().filter(|item| !item.is_null()).map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(object) if object.is_empty() => "{}".to_owned(),
        Json::Object(object) => {
            let entries = object.iter().filter(|(_, value)| !value.is_null());
            let entries = entries.map(|(name, value)| format!("{} = {}", key(name), toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A number as it is written: whole if it is.
pub(crate) fn number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < LIMIT_MAX {
        Json::from(number as i64)
    } else {
        Json::from(number)
    }
}

/// Where a parameter of that name goes below `prefix`; nothing if no place can be called so.
pub(crate) fn place(name: &str, prefix: &str) -> Option<String> {
    if matches!(name, "" | "-" | "*") {
        return None;
    }
    let is_plain = prefix.is_empty() && !name.starts_with(['/', '?', '{']);
    let escaped = || name.replace('~', "~0").replace('/', "~1");
    let place = if is_plain { name.to_owned() } else { format!("{prefix}/{}", escaped()) };
    matches!(place.parse(), Ok(Place::Body(_))).then_some(place)
}

/// A parameter as an input of the task, and what of it cannot be said so; nothing if it is none.
pub(crate) fn mapped(
    field: &Field,
    parameter: &Parameter,
    known: &Known<'_>,
    to: String,
) -> Option<(Line, Vec<String>)> {
    let mut line = Line { key: field.name.clone(), to: vec![to], pairs: Vec::new() };
    let mut lost = Vec::new();
    if parameter.required && !field.required {
        line.say("required", true);
    }
    match &field.ty {
        Type::Text | Type::Prompt => text(field, parameter, known, &mut line, &mut lost)?,
        Type::Integer | Type::Number => numeric(field, parameter, &mut line, &mut lost)?,
        Type::Boolean => {
            (parameter.kind == Kind::Boolean).then_some(())?;
            say_default(&mut line, parameter.default.clone().filter(Json::is_boolean));
        }
        Type::Json => {}
        ty if is_file(ty) => file(ty, field, parameter, &mut line)?,
        Type::List(_) => {
            matches!(parameter.kind, Kind::List(_) | Kind::Any).then_some(())?;
        }
        Type::Media(_) => {}
    }
    Some((line, lost))
}

fn say_default(line: &mut Line, default: Option<Json>) {
    if let Some(default) = default {
        line.say("default", default);
    }
}

fn text(
    field: &Field,
    parameter: &Parameter,
    known: &Known<'_>,
    line: &mut Line,
    lost: &mut Vec<String>,
) -> Option<()> {
    let item = match &parameter.kind {
        Kind::List(item) => {
            line.say("list", true);
            item.as_ref()
        }
        kind => kind,
    };
    let is_text = matches!(item, Kind::Text | Kind::Any);
    (is_text && parameter.file.is_none() && parameter.words.iter().all(Json::is_string))
        .then_some(())?;
    let theirs: Vec<&str> = parameter.words.iter().filter_map(Json::as_str).collect();
    let ours = |word: &str| ours(field, known, word);
    if theirs.is_empty() {
        let length =
            parameter.max_chars.filter(|most| field.max_chars.is_none_or(|own| *most < own));
        length.into_iter().for_each(|most| line.say("max_chars", most));
    } else {
        let (mut values, mut words) = (Vec::new(), serde_json::Map::new());
        for word in theirs {
            match ours(word) {
                Some(own) if !values.contains(&own) => {
                    if own != word {
                        words.insert(own.clone(), word.into());
                    }
                    values.push(own);
                }
                _ => lost.push(format!("'{word}'")),
            }
        }
        (!values.is_empty()).then_some(())?;
        if !words.is_empty() {
            line.say("enum", words);
        }
        line.say("values", values);
    }
    let default = parameter.default.as_ref().and_then(Json::as_str);
    let default = match parameter.words.is_empty() {
        true => {
            default.filter(|text| field.problem(&Value::from(*text)).is_none()).map(str::to_owned)
        }
        false => default.and_then(ours),
    };
    let usual = field.default.as_ref().and_then(Value::as_text);
    if let Some(usual) = usual
        && field.values.is_empty()
        && parameter.words.is_empty()
        && default.as_deref() != Some(usual)
    {
        // The task's default is a word for "whatever is usual"; the endpoint has its own.
        line.say("unsaid", usual);
    }
    say_default(line, default.filter(|text| !text.is_empty()).map(Json::from));
    Some(())
}

/// The task's word for a word of the endpoint.
fn ours(field: &Field, known: &Known<'_>, theirs: &str) -> Option<String> {
    let admits = |word: &str| field.problem(&Value::from(word)).is_none();
    let known = known.word(&field.name, theirs).filter(|word| admits(word));
    if field.values.is_empty() {
        return Some(known.unwrap_or(theirs).to_owned()).filter(|word| admits(word));
    }
    let exact = field.values.iter().find(|word| word.as_str() == theirs);
    let near = || field.values.iter().find(|word| word.eq_ignore_ascii_case(theirs));
    let sized = || {
        let lines = short_side(theirs)?;
        field.values.iter().find(|word| short_side(word) == Some(lines))
    };
    let shape = || {
        let ratio = crate::size::ratio(theirs.replace(['_', '/', 'x'], ":").as_str())?;
        field.values.iter().find(|word| crate::size::ratio(word) == Some(ratio))
    };
    let found = exact.map(String::as_str).or(known);
    found.or_else(|| near().or_else(sized).or_else(shape).map(String::as_str)).map(str::to_owned)
}

fn numeric(
    field: &Field,
    parameter: &Parameter,
    line: &mut Line,
    lost: &mut Vec<String>,
) -> Option<()> {
    let scale = if parameter.name.ends_with("_ms") && field.unit.as_deref() != Some("ms") {
        line.say("times", 1000);
        1000.0
    } else {
        1.0
    };
    let read = |json: &Json| figure(json).map(|(figure, ..)| figure / scale);
    let is_text = matches!(parameter.kind, Kind::Text);
    (is_text || matches!(parameter.kind, Kind::Integer | Kind::Number)).then_some(())?;
    if parameter.words.is_empty() {
        limits(field, parameter, scale, line)?;
        match parameter.kind {
            Kind::Text => {
                // Only a text that is known to be a number may be given one.
                parameter.default.as_ref().and_then(figure)?;
                affix(line, &parameter.default.iter().cloned().collect::<Vec<_>>());
            }
            Kind::Integer if field.ty == Type::Number => line.say("as", "integer"),
            _ => {}
        }
    } else {
        let (steps, others): (Vec<&Json>, Vec<&Json>) =
            parameter.words.iter().partition(|word| figure(word).is_some());
        let admitted = |step: &f64| {
            field.min.is_none_or(|min| *step >= min) && field.max.is_none_or(|max| *step <= max)
        };
        let figures: Vec<f64> =
            steps.iter().filter_map(|step| read(step)).filter(admitted).collect();
        (!figures.is_empty()).then_some(())?;
        line.say("snap", figures.into_iter().map(number).collect::<Vec<_>>());
        lost.extend(others.iter().map(|word| word.to_string().replace('"', "'")));
        if is_text {
            affix(line, &steps.into_iter().cloned().collect::<Vec<_>>());
        } else if field.ty == Type::Number && parameter.kind == Kind::Integer {
            line.say("as", "integer");
        }
    }
    let default = parameter.default.as_ref().and_then(read).map(number);
    let admitted = |json: &Json| {
        Value::from_json(json.clone()).is_ok_and(|value| field.problem(&value).is_none())
    };
    say_default(line, default.filter(admitted));
    Some(())
}

/// What stands before and after the number of each word, or that it is a text.
fn affix(line: &mut Line, words: &[Json]) {
    let parts: Vec<(f64, String, String)> = words.iter().filter_map(figure).collect();
    let Some((_, before, after)) = parts.first() else { return };
    let same = parts.iter().all(|(_, b, a)| b == before && a == after);
    if !same || (before.is_empty() && after.is_empty()) {
        return line.say("as", "text");
    }
    if !before.is_empty() {
        line.say("prefix", before.as_str());
    }
    if !after.is_empty() {
        line.say("suffix", after.as_str());
    }
}

/// A number, and what stands around it: `5`, `"5"`, `"8s"`, `"x2"`.
fn figure(json: &Json) -> Option<(f64, String, String)> {
    if let Some(number) = json.as_f64() {
        return Some((number, String::new(), String::new()));
    }
    let text = json.as_str()?.trim();
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    let begin = text.find(|c: char| c.is_ascii_digit())?;
    let (before, rest) = text.split_at_checked(begin)?;
    let end = rest.find(|c: char| !is_digit(c)).unwrap_or(rest.len());
    let (digits, after) = rest.split_at_checked(end)?;
    let short = before.len() <= 1 && after.len() <= 4 && !after.chars().any(|c| c.is_ascii_digit());
    short.then_some((digits.parse().ok()?, before.to_owned(), after.to_owned()))
}

/// Limits that are tighter than the task's; nothing if nothing is left between them.
fn limits(field: &Field, parameter: &Parameter, scale: f64, line: &mut Line) -> Option<()> {
    let sane = |limit: &f64| limit.abs() < LIMIT_MAX;
    let min = parameter.min.map(|min| min / scale).filter(sane);
    let max = parameter.max.map(|max| max / scale).filter(sane);
    let (least, most) = (min.or(field.min), max.or(field.max));
    if least.zip(field.max).is_some_and(|(least, most)| least > most)
        || most.zip(field.min).is_some_and(|(most, least)| most < least)
    {
        return None;
    }
    if let Some(min) = min.filter(|min| field.min.is_none_or(|own| *min > own)) {
        line.say("min", number(min));
    }
    if let Some(max) = max.filter(|max| field.max.is_none_or(|own| *max < own)) {
        line.say("max", number(max));
    }
    Some(())
}

fn file(ty: &Type, field: &Field, parameter: &Parameter, line: &mut Line) -> Option<()> {
    let (wanted, takes_many) = match ty {
        Type::Media(kind) => (*kind, false),
        Type::List(item) => match item.as_ref() {
            Type::Media(kind) => (*kind, true),
            _ => return None,
        },
        _ => return None,
    };
    let (is_text, gives_many) = match &parameter.kind {
        Kind::Text | Kind::Any => (parameter.words.is_empty(), false),
        Kind::List(item) => (matches!(item.as_ref(), Kind::Text), true),
        _ => (false, false),
    };
    let other = parameter.file.flatten().filter(|kind| *kind != wanted);
    let contradicts = other.is_some() && !matches!(wanted, MediaKind::Other | MediaKind::World);
    (is_text && !contradicts).then_some(())?;
    match (takes_many, gives_many) {
        (true, true) => {
            let min = parameter.min.filter(|min| *min > field.min.unwrap_or(0.0).max(1.0));
            min.into_iter().for_each(|min| line.say("min", number(min)));
            let max = parameter.max.filter(|max| field.max.is_none_or(|own| *max < own));
            max.into_iter().for_each(|max| line.say("max", number(max)));
        }
        (true, false) => {
            line.say("first", true);
            line.say("max", 1);
        }
        (false, true) => line.say("list", true),
        (false, false) => {}
    }
    Some(())
}

/// A parameter that the task does not have: it keeps its name, unless the task uses it otherwise.
pub(crate) fn own(parameter: &Parameter, key: String, to: String) -> Line {
    let mut line = Line { key, to: vec![to], pairs: Vec::new() };
    line.say("type", own_type(parameter));
    if parameter.required {
        line.say("required", true);
    }
    let is_number = matches!(parameter.kind, Kind::Integer | Kind::Number);
    let figures = parameter.words.iter().filter_map(Json::as_f64);
    let (least, most) = (figures.clone().reduce(f64::min), figures.reduce(f64::max));
    if is_number || matches!(parameter.kind, Kind::List(_)) {
        let sane = |limit: &f64| limit.abs() < LIMIT_MAX;
        let min = parameter.min.or(least).filter(sane);
        let max = parameter.max.or(most).filter(sane);
        let has_room = min.zip(max).is_none_or(|(min, max)| min <= max);
        if let Some(min) = min.filter(|_| has_room) {
            line.say("min", number(min));
        }
        if let Some(max) = max.filter(|_| has_room) {
            line.say("max", number(max));
        }
    }
    if parameter.kind == Kind::Text && parameter.file.is_none() {
        let words: Vec<&str> = parameter.words.iter().filter_map(Json::as_str).collect();
        if !words.is_empty() && words.len() == parameter.words.len() {
            line.say("values", words);
        }
        if let Some(most) = parameter.max_chars {
            line.say("max_chars", most);
        }
    }
    let is_small = |default: &Json| default.to_string().len() <= 400 && !has_null(default);
    let default = parameter.default.clone().filter(is_small).filter(|_| parameter.file.is_none());
    say_default(&mut line, default.filter(|default| is_of(&parameter.kind, default)));
    let mut about = parameter.about.clone();
    if is_number && !parameter.words.is_empty() {
        about =
            format!("{about} One of {}.", Json::from(parameter.words.clone())).trim().to_owned();
    }
    if !about.is_empty() {
        line.say("description", about);
    }
    line
}

fn has_null(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().any(has_null),
        Json::Object(object) => object.values().any(has_null),
        _ => false,
    }
}

fn is_of(kind: &Kind, default: &Json) -> bool {
    match kind {
        Kind::Text => default.is_string(),
        Kind::Integer => default.as_f64().is_some_and(|number| number.fract() == 0.0),
        Kind::Number => default.is_number(),
        Kind::Boolean => default.is_boolean(),
        Kind::List(_) => default.is_array(),
        Kind::Size | Kind::Any => true,
    }
}

fn own_type(parameter: &Parameter) -> String {
    let of = |kind: &Kind| match (kind, parameter.file) {
        (Kind::Text | Kind::Any, Some(Some(media))) => Type::Media(media).to_string(),
        (Kind::Text, Some(None)) => "text".to_owned(),
        (Kind::Text, None) => "text".to_owned(),
        (Kind::Integer, _) => "integer".to_owned(),
        (Kind::Number, _) => "number".to_owned(),
        (Kind::Boolean, _) => "boolean".to_owned(),
        _ => "json".to_owned(),
    };
    match &parameter.kind {
        Kind::List(item) if !matches!(item.as_ref(), Kind::List(_)) => {
            format!("list<{}>", of(item))
        }
        kind => of(kind),
    }
}
