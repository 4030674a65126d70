// tidy:words
//! Which call a path means: `/{version}/{resource}[:{verb}]`, below `/upload` for uploads.

use http::Method;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `POST {model}:generateContent`, or the same as a stream.
    Generate { model: String, stream: bool },
    /// `POST {model}:predict`.
    Predict { model: String },
    /// `POST {model}:predictLongRunning`.
    Begin { model: String, resource: String, kind: Kind },
    /// `POST {model}:fetchPredictOperation`; the body names the operation.
    FetchOperation,
    /// `GET {anything}/operations/{id}`.
    Operation { name: String, kind: Kind },
    /// `POST {anything}/operations/{id}:cancel`.
    CancelOperation { name: String },
    /// `GET models`.
    Models(Kind),
    /// `GET {model}`.
    Model { model: String },
    /// `POST /upload/{version}/files`.
    Upload { version: String },
    /// `GET files`.
    Files { version: String },
    /// `GET files/{id}`.
    File { version: String, id: String },
    /// `DELETE files/{id}`.
    DeleteFile { id: String },
    /// `GET files/{id}:download`.
    Download { id: String },
}

/// Which kind of client: one with a key of the developers' API, or one of the cloud's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Developer,
    Cloud,
}

/// The call that a method and a path below the prefix of the face mean; none if they mean none.
pub(super) fn parse(method: &Method, path: &str) -> Option<Route> {
    let path = path.trim_matches('/');
    let (is_upload, path) = match path.strip_prefix("upload/") {
        Some(rest) => (true, rest),
        None => (false, path),
    };
    let (version, resource) = path.split_once('/')?;
    let version = Some(version).filter(|version| version.starts_with("v1"))?.to_owned();
    if is_upload {
        let begins = *method == Method::POST && resource == "files";
        return begins.then_some(Route::Upload { version });
    }
    let (before, last) = resource.rsplit_once('/').map_or(("", resource), |(a, b)| (a, b));
    let (resource, verb) = match last.split_once(':') {
        Some((last, verb)) if before.is_empty() => (last.to_owned(), Some(verb)),
        Some((last, verb)) => (format!("{before}/{last}"), Some(verb)),
        None => (resource.to_owned(), None),
    };
    match (method, verb) {
        (&Method::POST, Some(verb)) => call(resource, verb),
        (&Method::GET, Some("download")) => Some(Route::Download { id: file(&resource)? }),
        (&Method::GET, None) => read(version, resource),
        (&Method::DELETE, None) => Some(Route::DeleteFile { id: file(&resource)? }),
        _ => None,
    }
}

fn call(resource: String, verb: &str) -> Option<Route> {
    let kind = kind(&resource);
    if verb == "cancel" {
        return is_operation(&resource).then_some(Route::CancelOperation { name: resource });
    }
    let model = model(&resource)?;
    Some(match verb {
        "generateContent" => Route::Generate { model, stream: false },
        "streamGenerateContent" => Route::Generate { model, stream: true },
        "predict" => Route::Predict { model },
        "predictLongRunning" => Route::Begin { model, resource, kind },
        "fetchPredictOperation" => Route::FetchOperation,
        _ => return None,
    })
}

fn read(version: String, resource: String) -> Option<Route> {
    let kind = kind(&resource);
    if is_operation(&resource) {
        return Some(Route::Operation { name: resource, kind });
    }
    match resource.as_str() {
        "models" => Some(Route::Models(kind)),
        "files" => Some(Route::Files { version }),
        _ if resource.ends_with("publishers/google/models") => Some(Route::Models(Kind::Cloud)),
        _ => match file(&resource) {
            Some(id) => Some(Route::File { version, id }),
            None => Some(Route::Model { model: model(&resource)? }),
        },
    }
}

fn is_operation(resource: &str) -> bool {
    resource.starts_with("operations/") || resource.contains("/operations/")
}

fn kind(resource: &str) -> Kind {
    let cloud = resource.starts_with("projects/") || resource.starts_with("publishers/");
    if cloud { Kind::Cloud } else { Kind::Developer }
}

fn file(resource: &str) -> Option<String> {
    resource.strip_prefix("files/").filter(|id| !id.contains('/')).map(str::to_owned)
}

/// Whose models are named without their publisher.
const OWN: &str = "google";

/// The model's name: what follows `models/`, with the publisher before it if that is not the usual one.
fn model(resource: &str) -> Option<String> {
    let name = match resource.split_once("publishers/") {
        Some((_, named)) => {
            let (publisher, name) = named.split_once("/models/")?;
            if publisher == OWN { name.to_owned() } else { format!("{publisher}/{name}") }
        }
        None => {
            let named = resource.strip_prefix("models/");
            named.or_else(|| resource.strip_prefix("tunedModels/"))?.to_owned()
        }
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, expected: impl Into<Option<Route>>) {
        assert_eq!(parse(method, path), expected.into(), "{method} {path}");
    }

    #[test]
    fn every_version_and_every_way_to_name_a_model_is_understood() {
        let generate =
            |model: &str, stream| Some(Route::Generate { model: model.to_owned(), stream });
        for version in ["v1", "v1beta", "v1beta1", "v1alpha"] {
            let path = format!("/{version}/models/hero:generateContent");
            check(&Method::POST, &path, generate("hero", false));
        }
        let path = "/v1/models/a/b:streamGenerateContent";
        check(&Method::POST, path, generate("a/b", true));
        let path = "/v1beta1/publishers/google/models/hero:generateContent";
        check(&Method::POST, path, generate("hero", false));
        let path = "/v1beta1/projects/p/locations/l/publishers/acme/models/m:generateContent";
        check(&Method::POST, path, generate("acme/m", false));
        check(&Method::POST, "/v2/models/hero:generateContent", None);
        check(&Method::POST, "/v1/models/hero:embedContent", None);
        check(&Method::POST, "/v1/models/:predict", None);
        check(&Method::GET, "/v1/models/hero:generateContent", None);
        check(&Method::POST, "/v1", None);
    }

    #[test]
    fn operations_are_found_under_any_name() {
        let resource = "publishers/google/models/veo".to_owned();
        let begin = Route::Begin { model: "veo".to_owned(), resource, kind: Kind::Cloud };
        let path = "/v1beta1/publishers/google/models/veo:predictLongRunning";
        check(&Method::POST, path, Some(begin));
        let path = "/v1beta1/publishers/google/models/veo:fetchPredictOperation";
        check(&Method::POST, path, Some(Route::FetchOperation));
        let name = "models/veo/operations/r1".to_owned();
        let operation = Route::Operation { name: name.clone(), kind: Kind::Developer };
        check(&Method::GET, "/v1beta/models/veo/operations/r1", Some(operation));
        let path = "/v1beta/models/veo/operations/r1:cancel";
        check(&Method::POST, path, Some(Route::CancelOperation { name }));
        check(&Method::POST, "/v1beta/models/veo:cancel", None);
    }

    #[test]
    fn files_are_told_from_models() {
        let (version, id) = ("v1beta".to_owned(), "ab12".to_owned());
        check(
            &Method::GET,
            "/v1beta/files/ab12",
            Some(Route::File { version: version.clone(), id: id.clone() }),
        );
        check(
            &Method::GET,
            "/v1beta/files/ab12:download",
            Some(Route::Download { id: id.clone() }),
        );
        check(&Method::DELETE, "/v1beta/files/ab12", Some(Route::DeleteFile { id }));
        check(&Method::GET, "/v1beta/files", Some(Route::Files { version: version.clone() }));
        check(&Method::POST, "/upload/v1beta/files", Some(Route::Upload { version }));
        check(&Method::GET, "/upload/v1beta/files", None);
        check(&Method::GET, "/v1/models/hero", Some(Route::Model { model: "hero".to_owned() }));
        check(&Method::GET, "/v1/models", Some(Route::Models(Kind::Developer)));
        check(&Method::GET, "/v1beta1/publishers/google/models", Some(Route::Models(Kind::Cloud)));
        check(&Method::GET, "/v1/caches", None);
    }
}
