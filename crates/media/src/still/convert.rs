//! File formats and facts: convert, probe.

use impasto_domain::{Error, Result, Value, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::encode::Format;

/// `convert-image`.
pub(super) fn convert(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let picture = input.picture("image", bench)?;
    let format: Format = input.text("output_format", "png").parse()?;
    let quality = input.count("quality").unwrap_or(85).clamp(1, 100) as u8;
    Ok(output([("image", picture.write_as(bench, format, quality)?.into())]))
}

/// `probe-media`: the facts of a file. Whatever is in the store has been probed when it came in or
/// was made, so nothing is decoded here.
pub(super) fn probe(input: &Values, _bench: &dyn Workbench) -> Result<Values> {
    let asset = input.asset("file")?;
    let facts = serde_json::to_value(&asset.facts)
        .map_err(|error| Error::internal(format!("the facts cannot be written: {error}")))?;
    let Value::Map(mut facts) = Value::from_json(facts).map_err(Error::internal)? else {
        return Err(Error::internal("the facts are not a map"));
    };
    facts.insert("kind".into(), Value::from(asset.kind().to_string()));
    facts.insert("media_type".into(), Value::from(asset.media_type.as_str()));
    facts.insert("digest".into(), Value::from(asset.digest.to_string()));
    Ok(output([("facts", facts.into())]))
}
