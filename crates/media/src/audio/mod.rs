//! Tools for sound: cutting, joining, mixing, measuring, and bringing to a loudness.

mod edit;
mod flac;
mod loudness;
mod mix;
mod resample;
mod stream;

#[cfg(test)]
mod tests;

pub use loudness::Loudness;
pub use stream::{OwnCodec, SoundStream};

use impasto_domain::{Operation, Result, Value, Values, Workbench};

use crate::Sound;
use crate::arguments::{Arguments, output};

/// The tools for sound, by endpoint.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "concat-audio", run: edit::concat },
    Operation { name: "fade-audio", run: edit::fade_ends },
    Operation { name: "measure-audio", run: measure },
    Operation { name: "mix-audio", run: mix::mix },
    Operation { name: "normalize-audio", run: normalize },
    Operation { name: "resample-audio", run: edit::resample },
    Operation { name: "trim-audio", run: edit::trim },
];

/// Endpoint `measure-audio`.
fn measure(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let measured = Sound::read(bench, input.asset("audio")?)?.loudness()?;
    Ok(output([
        ("loudness", Value::from(measured.integrated_lufs)),
        ("range", Value::from(measured.range_lu)),
        ("peak", Value::from(measured.peak_dbtp)),
        ("silence", Value::from(measured.silence)),
    ]))
}

/// Endpoint `normalize-audio`.
fn normalize(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let sound = Sound::read(bench, input.asset("audio")?)?;
    let loudness = input.number("loudness").unwrap_or(-16.0);
    let peak = input.number("peak").unwrap_or(-1.5);
    let (sound, measured) = sound.normalized(loudness, peak, bench)?;
    Ok(output([
        ("audio", Value::from(sound.write(bench)?)),
        ("loudness", Value::from(measured.integrated_lufs)),
        ("peak", Value::from(measured.peak_dbtp)),
    ]))
}
