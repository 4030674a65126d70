//! Work that takes long: begun, looked at, its files fetched.

use impasto_domain::{Error, ErrorKind, Result};
use impasto_engine::{Failure, Polled, Started};
use serde_json::{Value as Json, json};

use super::driver::{Side, root};
use crate::drive::{Begun, Running, text_at};
use crate::hosted::Ask;

/// Where an answer says how many of its files were held back, and why.
const HELD_BACK: [&str; 2] = ["/response/generateVideoResponse", "/response"];

pub(super) async fn begin(begun: &Begun<'_>, model: &str) -> Result<Started, Failure> {
    let body = begun.json().await?;
    let ask = begun.with_query(Ask::post(format!("{model}:predictLongRunning"), body));
    let answer = begun.submit(&ask).await?;
    begun.running(&answer, text_at(&answer.json, "/name"))
}

pub(super) async fn look(running: &Running<'_>, side: Side) -> Result<Polled> {
    let name = running.id()?;
    let ask = match side {
        Side::Developer => Ask::get(format!("{}/{name}", root(side))),
        Side::Cloud => {
            let model = name.split_once("/operations/").map_or(name, |(model, _)| model);
            let path = format!("{}/{model}:fetchPredictOperation", root(side));
            Ask::post(path, json!({ "operationName": name }))
        }
    };
    let mut answer = match running.look(&ask).await? {
        Ok(answer) => answer,
        Err(ended) => return Ok(ended),
    };
    if answer.json.get("done") != Some(&Json::Bool(true)) {
        let percent = answer.json.pointer("/metadata/progressPercent").and_then(Json::as_f64);
        running.bench().progress(percent.unwrap_or_default() / 100.0, "at the provider");
        return Ok(Polled::Running { after_ms: None });
    }
    if let Some(code) = answer.json.pointer("/error/code").and_then(Json::as_u64) {
        let (kind, retry) = meant(code);
        let error = running.account.provider.errors.of_job(kind, &answer.json);
        return Ok(running.failed(Error { retry, ..error }));
    }
    if let Some(refused) = held_back(&answer.json) {
        return Ok(running.failed(refused));
    }
    let base = running.account.base_url("default")?;
    at_home(&mut answer.json, &format!("{base}{}", root(side)));
    running.done(&answer, None).await
}

/// What the number of an error means, and whether trying again may help.
fn meant(code: u64) -> (ErrorKind, bool) {
    match code {
        1 => (ErrorKind::Cancelled, false),
        3 | 9 | 11 => (ErrorKind::InvalidInput, false),
        4 => (ErrorKind::Timeout, true),
        7 | 16 => (ErrorKind::Unauthorized, false),
        8 => (ErrorKind::RateLimited, true),
        14 => (ErrorKind::Unavailable, true),
        _ => (ErrorKind::ProviderFailed, false),
    }
}

/// That everything which was made was held back for what it shows.
fn held_back(answer: &Json) -> Option<Error> {
    let mut about = HELD_BACK.iter().filter_map(|place| answer.pointer(place));
    let is_filtered = |about: &&Json| {
        about.get("raiMediaFilteredCount").and_then(Json::as_u64).unwrap_or_default() > 0
    };
    let about = about.rfind(is_filtered)?;
    let has_some = ["generatedSamples", "videos"]
        .iter()
        .any(|name| about.get(name).and_then(Json::as_array).is_some_and(|made| !made.is_empty()));
    if has_some {
        return None;
    }
    let reasons = about.get("raiMediaFilteredReasons").and_then(Json::as_array);
    let reasons: Vec<&str> = reasons.into_iter().flatten().filter_map(Json::as_str).collect();
    let why = if reasons.is_empty() { "it did not say why".to_owned() } else { reasons.join("; ") };
    let message = format!("the provider held back what it made: {why}");
    Some(
        Error::new(ErrorKind::Refused, message).hint("say it in other words, or use another model"),
    )
}

/// Files that are told by their name are where everything else is.
fn at_home(answer: &mut Json, root: &str) {
    let samples = answer.pointer_mut("/response/generateVideoResponse/generatedSamples");
    for sample in samples.and_then(Json::as_array_mut).into_iter().flatten() {
        let Some(Json::String(uri)) = sample.pointer_mut("/video/uri") else { continue };
        let named = uri.strip_prefix("files/").map(|id| id.split([':', '?']).next().unwrap_or(id));
        if let Some(id) = named.filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            *uri = format!("{root}/files/{id}:download?alt=media");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_by_its_name_is_fetched_where_the_key_is_known() {
        let check = |uri: &str, expected: &str| {
            let mut answer = json!({"response": {"generateVideoResponse": {
                "generatedSamples": [{"video": {"uri": uri}}]}}});
            at_home(&mut answer, "https://a.test/v1beta");
            let got =
                answer.pointer("/response/generateVideoResponse/generatedSamples/0/video/uri");
            assert_eq!(got.unwrap(), expected);
        };
        check("files/ab12", "https://a.test/v1beta/files/ab12:download?alt=media");
        check("files/ab12:download", "https://a.test/v1beta/files/ab12:download?alt=media");
        check("https://b.test/files/ab12", "https://b.test/files/ab12");
        check("files/../x", "files/../x");
    }

    #[test]
    fn what_is_held_back_is_told_unless_there_is_some() {
        let with = |about: Json| held_back(&json!({"response": {"generateVideoResponse": about}}));
        let error =
            with(json!({"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["no faces"]}));
        let error = error.unwrap();
        assert!(error.kind == ErrorKind::Refused && error.message.contains("no faces"), "{error}");
        assert_eq!(with(json!({"raiMediaFilteredCount": 1, "generatedSamples": [{}]})), None);
        assert_eq!(with(json!({"generatedSamples": []})), None);
    }
}
