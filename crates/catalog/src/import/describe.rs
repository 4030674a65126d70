//! What a document says that an endpoint takes and gives.

use impasto_domain::{Error, MediaKind, Result};
use serde_json::Value as Json;

use super::types::{Kind, Parameter, Root, file_of, kind, media_kind, resolved, words_of};

/// How deep outputs are looked for.
const DEPTH_MAX: usize = 5;
/// The most parameters and outputs of an endpoint.
const PARAMETERS_MAX: usize = 400;

/// Something in an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    /// The keys that lead to it; `*` stands for every item.
    pub(crate) path: Vec<String>,
    /// What it is.
    pub(crate) kind: Kind,
    /// Whether it is a file, and of which kind if that can be told.
    pub(crate) file: Option<Option<MediaKind>>,
}

impl Given {
    /// The name that says what it is: the first that is not a place.
    pub(crate) fn name(&self) -> &str {
        self.path.iter().map(String::as_str).find(|key| *key != "*").unwrap_or_default()
    }

    /// The place, as a pointer below `prefix`.
    pub(crate) fn pointer(&self, prefix: &str) -> String {
        let keys = self.path.iter().map(|key| key.replace('~', "~0").replace('/', "~1"));
        keys.fold(prefix.to_owned(), |pointer, key| format!("{pointer}/{key}"))
    }

    /// Whether it may be there more than once.
    pub(crate) fn is_many(&self) -> bool {
        self.path.iter().any(|key| key == "*")
    }
}

/// What a document says that an endpoint takes and gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    /// The name for people.
    pub title: Option<String>,
    /// What it does.
    pub about: Option<String>,
    /// Who made it.
    pub company: Option<String>,
    /// What the document says that the endpoint is for.
    pub category: Option<String>,
    /// The parameters, in the order in which the document wants them shown.
    pub inputs: Vec<Parameter>,
    pub(crate) outputs: Vec<Given>,
    /// Whether the document says what comes out at all.
    pub(crate) tells_outputs: bool,
    /// Whether parameters and outputs are those of a container: below `input` and `output`.
    pub(crate) is_wrapped: bool,
    /// Whether the document says that the endpoint is going or gone.
    pub deprecated: bool,
}

/// Reads what `document` says of an endpoint.
///
/// # Errors
/// It is no schema, or it describes several endpoints and none of that name.
pub fn describe(document: &Json, endpoint: &str) -> Result<Described> {
    let root = within(document);
    let mut described = Described::default();
    about(document, &mut described);
    about(root, &mut described);
    let (input, output) = parts(root, endpoint, &mut described)?;
    let root = Root::of(root);
    if let Some(input) = input {
        described.inputs = parameters(&root, input);
    }
    if let Some(output) = output {
        described.tells_outputs = true;
        find(&root, output, Vec::new(), &mut described.outputs);
        described.outputs.truncate(PARAMETERS_MAX);
    }
    Ok(described)
}

/// The schema in what a provider answers about a model.
fn within(document: &Json) -> &Json {
    const PLACES: [&str; 6] = [
        "/openapi_schema",
        "/latest_version/openapi_schema",
        "/results/0/openapi_schema",
        "/openapi",
        "/models/0/openapi",
        "/schema",
    ];
    let found = PLACES.iter().filter_map(|place| document.pointer(place));
    found.into_iter().find(|found| found.is_object()).unwrap_or(document)
}

fn about(document: &Json, described: &mut Described) {
    let said = |keys: &[&str]| {
        let texts = keys.iter().map(|key| words_of(document, key));
        let info = document.get("info").into_iter();
        let inner = info.flat_map(|info| keys.iter().map(move |key| words_of(info, key)));
        texts.chain(inner).find(|text| !text.is_empty())
    };
    let vendors = document.get("info").and_then(Json::as_object).into_iter().flatten();
    let mut vendors = vendors.filter(|(key, value)| key.starts_with("x-") && value.is_object());
    let category =
        vendors.find_map(|(_, value)| value.get("category")?.as_str().map(str::to_owned));
    described.category = described.category.take().or(category);
    let named = document.get("name").and_then(Json::as_str).map(str::to_owned);
    let outer = document.get("openapi").is_none();
    described.title = described.title.take().or(named).or_else(|| said(&["title"]));
    described.about = described.about.take().or_else(|| said(&["description"]));
    let owner = document.get("owner").and_then(Json::as_str).filter(|_| outer);
    described.company = described.company.take().or(owner.map(str::to_owned));
}

type Parts<'j> = (Option<&'j Json>, Option<&'j Json>);

/// The schemas of what goes in and of what comes out.
fn parts<'j>(root: &'j Json, endpoint: &str, described: &mut Described) -> Result<Parts<'j>> {
    let component = |name: &str| root.pointer(&format!("/components/schemas/{name}"));
    if let Some(input) = component("Input") {
        described.is_wrapped = true;
        return Ok((Some(input), component("Output")));
    }
    if root.get("paths").is_some_and(Json::is_object) {
        return operation(root, endpoint, described);
    }
    let named = |keys: [&str; 3]| {
        keys.iter().filter_map(|key| root.get(*key)).find(|found| found.get("properties").is_some())
    };
    let input = named(["input", "input_schema", "inputSchema"]);
    if let Some(input) = input {
        return Ok((Some(input), named(["output", "output_schema", "outputSchema"])));
    }
    if root.get("properties").is_some_and(Json::is_object) || root.get("$ref").is_some() {
        return Ok((Some(root), None));
    }
    let hint = "give an OpenAPI file, or a JSON schema with `properties`";
    Err(Error::invalid("this document describes no endpoint").hint(hint))
}

/// The operation of an OpenAPI file by which the endpoint is called.
fn operation<'j>(root: &'j Json, endpoint: &str, described: &mut Described) -> Result<Parts<'j>> {
    let paths = root.get("paths").and_then(Json::as_object).into_iter().flatten();
    let posts: Vec<(&str, &Json)> =
        paths.filter_map(|(path, item)| Some((path.as_str(), item.get("post")?))).collect();
    let takes: Vec<_> = posts.iter().filter(|(_, post)| body_of(post).is_some()).collect();
    let wanted = format!("/{}", endpoint.trim_matches('/'));
    let exact = takes.iter().find(|(path, _)| path.trim_end_matches('/') == wanted);
    let ending = || takes.iter().find(|(path, _)| path.trim_end_matches('/').ends_with(&wanted));
    let only = || takes.first().filter(|_| takes.len() == 1);
    let Some((path, post)) = exact.or_else(ending).or_else(only) else {
        let known: Vec<&str> = takes.iter().map(|(path, _)| *path).take(20).collect();
        let message = format!("the document has no call `{wanted}`");
        return Err(Error::invalid(message).hint(match known.is_empty() {
            true => "no call of it has a body in JSON".to_owned(),
            false => format!("--endpoint is one of its calls: {}", known.join(", ")),
        }));
    };
    described.deprecated = post.get("deprecated") == Some(&Json::Bool(true));
    let output = result(root, path).or_else(|| answer_of(post));
    Ok((body_of(post), output))
}

/// Where a job is fetched that a call began: a path that goes on with its name and nothing else.
fn result<'j>(root: &'j Json, path: &str) -> Option<&'j Json> {
    let paths = root.get("paths")?.as_object()?;
    let mut later = paths.iter().filter(|(other, _)| {
        other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/') && rest.ends_with('}'))
    });
    later.find_map(|(_, item)| answer_of(item.get("get")?))
}

fn body_of(operation: &Json) -> Option<&Json> {
    let content = operation.pointer("/requestBody/content")?;
    let kinds = ["application/json", "multipart/form-data", "application/x-www-form-urlencoded"];
    kinds.iter().find_map(|kind| content.get(*kind)?.get("schema"))
}

fn answer_of(operation: &Json) -> Option<&Json> {
    let responses = operation.get("responses")?.as_object()?;
    let good = responses.iter().find(|(status, _)| status.starts_with('2'))?.1;
    good.pointer("/content")?.get("application/json")?.get("schema")
}

/// The parameters, in the order in which the document wants them shown.
fn parameters(root: &Root<'_>, schema: &Json) -> Vec<Parameter> {
    let schema = resolved(root, schema, 0);
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
        return Vec::new();
    };
    let required = schema.get("required").and_then(Json::as_array);
    let is_required = |name: &str| {
        required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)))
    };
    let listed = schema.as_object().into_iter().flatten();
    let mut listed = listed.filter(|(key, _)| key.ends_with("order-properties"));
    let order: Vec<&str> = listed
        .find_map(|(_, names)| names.as_array())
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let place = |name: &str, property: &Json| {
        let listed = order.iter().position(|one| *one == name).map(|place| place as u64);
        listed.or_else(|| property.get("x-order")?.as_u64()).unwrap_or(u64::MAX)
    };
    let mut named: Vec<(&String, &Json)> = properties.iter().collect();
    named.sort_by_key(|(name, property)| place(name, property));
    named.truncate(PARAMETERS_MAX);
    let one = |(name, property): (&String, &Json)| {
        let parameter = Parameter::of(root, name, property, is_required(name));
        // What has a default need not be given, whatever else is said.
        let required = parameter.required && parameter.default.is_none();
        Parameter { required, ..parameter }
    };
    named.into_iter().map(one).collect()
}

/// Finds what an answer holds: files, and values at its top.
fn find(root: &Root<'_>, schema: &Json, path: Vec<String>, found: &mut Vec<Given>) {
    if path.len() > DEPTH_MAX || found.len() > PARAMETERS_MAX {
        return;
    }
    let schema = resolved(root, schema, 0);
    let name = path.iter().rev().find(|key| *key != "*").cloned().unwrap_or_default();
    let about = words_of(&schema, "description");
    let kind = kind(&schema);
    if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
        if let Some(url) = properties.get("url") {
            let texts = [name.as_str(), &words_of(&schema, "title"), &about];
            let kind =
                media_of(&texts, &[&schema, &resolved(root, url, 0), &typed(root, properties)]);
            found.push(Given { path: with(path, "url"), kind: Kind::Text, file: Some(kind) });
            return;
        }
        for (key, property) in properties {
            find(root, property, with(path.clone(), key), found);
        }
        return;
    }
    if let (Kind::List(_), Some(items)) = (&kind, schema.get("items")) {
        let before = found.len();
        let inside = with(path.clone(), "*");
        let item = resolved(root, items, 0);
        if item.get("properties").is_some() || super::types::kind(&item) == Kind::Text {
            find(root, items, inside, found);
        }
        // A list of objects without a file is something by itself too.
        if found.iter().skip(before).all(|given| given.file.is_none()) {
            found.truncate(before);
            found.push(Given { path, kind, file: None });
        }
        return;
    }
    let file = file_of(&name, &about, &schema).filter(|_| kind == Kind::Text);
    let file = file.map(|_| media_of(&[&name, &about], &[&schema]));
    found.push(Given { path, kind, file });
}

fn with(mut path: Vec<String>, key: &str) -> Vec<String> {
    path.push(key.to_owned());
    path
}

fn typed(root: &Root<'_>, properties: &serde_json::Map<String, Json>) -> Json {
    properties.get("content_type").map(|schema| resolved(root, schema, 0)).unwrap_or_default()
}

/// The kind of a file: by an example of its media type or of its name, or by the words around it.
fn media_of(texts: &[&str], schemas: &[&Json]) -> Option<MediaKind> {
    let examples = schemas.iter().flat_map(|schema| {
        let one = ["default", "example", "contentMediaType"].map(|key| schema.get(key));
        let many = schema.get("examples").and_then(Json::as_array).into_iter().flatten();
        one.into_iter().flatten().chain(many).filter_map(Json::as_str).map(str::to_owned)
    });
    let examples: Vec<String> = examples.collect();
    let by_type = examples.iter().filter(|text| text.contains('/') && !text.contains("://"));
    let by_type = by_type.map(|text| MediaKind::of_media_type(text));
    let known = by_type.into_iter().find(|kind| *kind != MediaKind::Other);
    let lower: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let examples: Vec<&str> = examples.iter().map(String::as_str).collect();
    known.or_else(|| media_kind(&words)).or_else(|| media_kind(&examples))
}
