//! Requests that a provider's file describes.

use std::collections::BTreeMap;

use impasto_catalog::{Body, Call};
use impasto_domain::{Error, Result};
use serde_json::Value as Json;

use super::Ask;

/// The request of a call, without what it sends: `facts` fill the names of its templates, and
/// `answer` is the answer at hand.
///
/// # Errors
/// Something that a template needs is not there.
pub fn ask_for(call: &Call, facts: &BTreeMap<String, String>, answer: &Json) -> Result<Ask> {
    let mut ask =
        Ask::of(call.method.as_str(), call.path.fill_path(facts, answer)?).base(&call.base);
    for (name, template) in &call.query {
        ask = ask.query(name, template.fill(facts, answer)?);
    }
    for (name, value) in &call.headers {
        ask = ask.header(name, value);
    }
    Ok(ask)
}

/// What a call sends of its own, added to `body`.
///
/// # Errors
/// Something that a template needs is not there, or there is something else in its place.
pub fn sent_by(
    call: &Call,
    facts: &BTreeMap<String, String>,
    answer: &Json,
    mut body: Body,
) -> Result<Body> {
    for (place, template) in &call.send {
        let text = Body::Text(template.fill(facts, answer)?);
        place.put(&mut body, text).map_err(Error::internal)?;
    }
    Ok(body)
}
