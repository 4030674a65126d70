//! Endpoint `mix-audio`: music under a voice.
//!
//! Voice and music are brought to one loudness first, so that the gain of the music says how far it
//! stands behind the voice, however loud the files are. The music yields a little before the voice
//! begins and comes back slowly; the whole is brought to the loudness that was asked for.

use impasto_domain::{AssetRef, Error, Result, Value, Values, Workbench};

use super::edit::fade;
use super::loudness::{SILENCE_LUFS, decibels};
use crate::Sound;
use crate::arguments::{Arguments, output};

/// Samples per second of a mix.
const SAMPLE_RATE: u32 = 48_000;

/// The loudness of voice and music before they are mixed.
const STEM_LUFS: f64 = -20.0;

/// The side chain looks at the voice this often.
const STEP_S: f64 = 0.01;

/// The music begins to yield this long before the voice.
const LOOK_AHEAD_S: f64 = 0.25;

/// The music waits this long after the voice.
const HOLD_S: f64 = 0.45;

/// How long yielding and coming back take.
const ATTACK_S: f64 = 0.2;
const RELEASE_S: f64 = 0.7;

/// The voice speaks while it is less than this below its loudest.
const SPEAKING_DB: f64 = -30.0;

pub(super) fn mix(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let stem = |name: &str| input.get(name).and_then(Value::as_asset);
    let voice = stem("voice").map(|asset| load_stem(asset, bench)).transpose()?;
    let music = stem("music").map(|asset| load_stem(asset, bench)).transpose()?;
    let tracks = input.get("tracks").and_then(Value::as_list).unwrap_or_default();
    let tracks: Vec<Sound> = tracks
        .iter()
        .filter_map(Value::as_asset)
        .map(|asset| load(asset, bench))
        .collect::<Result<_>>()?;
    if voice.is_none() && music.is_none() && tracks.is_empty() {
        return Err(
            Error::invalid("there is nothing to mix").hint("give `voice`, `music` or `tracks`")
        );
    }
    bench.progress(0.3, "mixing");
    let delay = samples(input.number("voice_delay").unwrap_or(0.0));
    let longest = voice.iter().map(|voice| voice.len() + delay);
    let longest = longest.chain(music.iter().chain(&tracks).map(Sound::len)).max().unwrap_or(0);
    let length = input.number("duration").map_or(longest, samples).max(1);
    let mut mix = Sound { sample_rate: SAMPLE_RATE, channels: vec![vec![0.0; length]; 2] };
    if let Some(music) = &music {
        let duck_db = input.number("duck").unwrap_or(10.0);
        let yielding = voice.as_ref().map(|voice| side_chain(voice, delay, length, duck_db));
        let gain = decibels(input.number("music_gain").unwrap_or(-6.0));
        add(&mut mix, music, 0, |place| {
            gain * yielding.as_ref().map_or(1.0, |gains| gains.at(place))
        });
    }
    if let Some(voice) = &voice {
        add(&mut mix, voice, delay, |_| 1.0);
    }
    tracks.iter().for_each(|track| add(&mut mix, track, 0, |_| 1.0));
    fade(&mut mix, 0, samples(input.number("fade_out").unwrap_or(1.5)));
    bench.check_cancelled()?;
    bench.progress(0.5, "loudness");
    let loudness = input.number("loudness").unwrap_or(-16.0);
    let peak = input.number("peak").unwrap_or(-1.5);
    let (mixed, measured) = mix.normalized(loudness, peak, bench)?;
    Ok(output([
        ("audio", Value::from(mixed.write(bench)?)),
        ("loudness", Value::from(measured.integrated_lufs)),
        ("peak", Value::from(measured.peak_dbtp)),
    ]))
}

fn samples(seconds: f64) -> usize {
    (seconds.max(0.0) * f64::from(SAMPLE_RATE)).round() as usize
}

fn load(asset: &AssetRef, bench: &dyn Workbench) -> Result<Sound> {
    bench.check_cancelled()?;
    Ok(Sound::read(bench, asset)?.resampled(SAMPLE_RATE)?.with_channels(2))
}

/// A sound at the loudness of stems.
fn load_stem(asset: &AssetRef, bench: &dyn Workbench) -> Result<Sound> {
    let mut sound = load(asset, bench)?;
    let measured = sound.loudness()?.integrated_lufs;
    if measured > SILENCE_LUFS {
        let gain = decibels(STEM_LUFS - measured);
        sound.channels.iter_mut().flatten().for_each(|sample| *sample *= gain);
    }
    Ok(sound)
}

fn add(mix: &mut Sound, sound: &Sound, at: usize, gain: impl Fn(usize) -> f32) {
    for (out, channel) in mix.channels.iter_mut().zip(&sound.channels) {
        let places = out.iter_mut().enumerate().skip(at);
        for ((place, out), sample) in places.zip(channel) {
            *out += sample * gain(place);
        }
    }
}

/// The gain of the music, step by step.
struct Gains {
    step: f32,
    gains: Vec<f32>,
}

impl Gains {
    fn at(&self, place: usize) -> f32 {
        let step = place as f32 / self.step;
        let (first, share) = (step as usize, step.fract());
        let gain = |at: usize| self.gains.get(at).or(self.gains.last()).copied().unwrap_or(1.0);
        gain(first) * (1.0 - share) + gain(first + 1) * share
    }
}

/// How the music yields to a voice that begins after `delay` samples.
fn side_chain(voice: &Sound, delay: usize, length: usize, duck_db: f64) -> Gains {
    let step = samples(STEP_S);
    let count = length.div_ceil(step) + 1;
    let power = |place: usize| {
        let part = |channel: &Vec<f32>| {
            let first = (place * step).checked_sub(delay)?;
            let part = channel.get(first..(first + step).min(channel.len()))?;
            Some(part.iter().map(|sample| sample * sample).sum::<f32>() / step as f32)
        };
        voice.channels.iter().filter_map(part).fold(0.0, f32::max)
    };
    let powers: Vec<f32> = (0..count).map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f32::max);
    let threshold = (loudest * decibels(SPEAKING_DB).powi(2)).max(1e-9);
    let steps = |seconds: f64| (seconds / STEP_S).round() as usize;
    let mut yields = vec![false; count];
    for place in
        powers.iter().enumerate().filter(|(_, power)| **power > threshold).map(|(at, _)| at)
    {
        let last = (place + steps(HOLD_S) + 1).min(count);
        yields[place.saturating_sub(steps(LOOK_AHEAD_S))..last].fill(true);
    }
    // A straight way in decibels sounds even.
    let (down, up) = (duck_db * STEP_S / ATTACK_S, duck_db * STEP_S / RELEASE_S);
    let mut level_db = 0.0_f64;
    let gains = yields.iter().map(|yields| {
        level_db = if *yields { (level_db - down).max(-duck_db) } else { (level_db + up).min(0.0) };
        decibels(level_db)
    });
    Gains { step: step as f32, gains: gains.collect() }
}

#[cfg(test)]
mod tests {
    use impasto_domain::Bench;

    use super::*;
    use crate::audio::resample::tone;

    #[test]
    fn the_music_yields_before_the_voice_and_comes_back() {
        let mut voice = vec![0.0; 48_000];
        voice.extend(tone(48_000, 300.0, 1.0, 0.3));
        let voice = Sound { sample_rate: 48_000, channels: vec![voice.clone(), voice] };
        let gains = side_chain(&voice, 24_000, 48_000 * 6, 10.0);
        let db = |seconds: f64| 20.0 * gains.at(samples(seconds)).log10();
        assert!(db(1.0) > -0.1 && db(5.0) > -0.1, "{} {}", db(1.0), db(5.0));
        assert!(db(1.48) < -9.0 && (db(2.0) + 10.0).abs() < 0.1, "{} {}", db(1.48), db(2.0));
        assert!(db(2.9) < -8.0 && db(3.3) > -8.0, "{} {}", db(2.9), db(3.3));
    }

    #[test]
    fn nothing_to_mix_is_an_error() {
        let error = mix(&Values::new(), &Bench::default()).unwrap_err();
        assert!(error.message.contains("nothing to mix"), "{error}");
    }
}
