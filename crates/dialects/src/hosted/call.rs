//! Requests that a provider's file describes.

use std::collections::BTreeMap;

use impasto_catalog::{Body, Call, Callback};
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

/// Says in a submission whom to tell of the job.
///
/// # Errors
/// There is something else in the place where that is said.
pub fn told_to(address: &str, callback: &Callback, ask: &mut Ask, mut body: Body) -> Result<Body> {
    if let Some(name) = &callback.query {
        ask.query.push((name.clone(), address.to_owned()));
    }
    let address = callback.at.iter().map(|place| (place, Body::from(address)));
    let others = callback.with.iter().map(|(place, value)| (place, Body::from(value.clone())));
    for (place, value) in address.chain(others) {
        place.put(&mut body, value).map_err(Error::internal)?;
    }
    Ok(body)
}
