//! Tools that cut, join, fade and convert sounds.

use impasto_domain::{Error, Result, Value, Values, Workbench};

use crate::Sound;
use crate::arguments::{Arguments, output};

/// The longest sound that tools make, in samples of one channel: an hour at 192 kHz.
const MOST_SAMPLES: usize = 192_000 * 3600;

/// Endpoint `trim-audio`.
pub(super) fn trim(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let sound = read(input, bench)?;
    let start_s = input.number("start").unwrap_or(0.0);
    let start = samples(start_s, sound.sample_rate);
    if start >= sound.len() {
        let message =
            format!("`start` is {start_s} s, but the sound ends at {:.3} s", sound.duration_s());
        return Err(Error::invalid(message).hint("start before the end"));
    }
    let rest = sound.len() - start;
    let length = input.number("duration").map_or(rest, |d| samples(d, sound.sample_rate).max(1));
    let end = start + length.min(rest);
    let part = |channel: &Vec<f32>| channel.get(start..end).unwrap_or_default().to_vec();
    let channels = sound.channels.iter().map(part).collect();
    answer(&Sound { channels, ..sound }, bench)
}

/// Endpoint `concat-audio`.
pub(super) fn concat(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let audios = input.get("audios").and_then(Value::as_list).unwrap_or_default();
    let mut sounds = Vec::with_capacity(audios.len());
    for (place, audio) in audios.iter().filter_map(Value::as_asset).enumerate() {
        let sound = Sound::read(bench, audio);
        sounds.push(sound.map_err(|error| error.context(format!("`audios[{place}]`")))?);
    }
    let Some(first) = sounds.first() else {
        return Err(Error::invalid("`audios` is empty").hint("give at least one sound"));
    };
    let sample_rate = first.sample_rate;
    let count = sounds.iter().map(|sound| sound.channels.len()).max().unwrap_or(1).min(2);
    let gap_s = input.number("gap").unwrap_or(0.0);
    let mut joined = Sound { sample_rate, channels: vec![Vec::new(); count] };
    for (place, sound) in sounds.iter().enumerate() {
        bench.check_cancelled()?;
        let mut next = sound.resampled(sample_rate)?.with_channels(count as u16);
        let apart = samples(gap_s.abs(), sample_rate);
        let overlap = match place {
            0 => 0,
            _ if gap_s < 0.0 => apart.min(joined.len() / 2).min(next.len() / 2),
            _ => {
                joined.channels.iter_mut().for_each(|channel| channel.extend(vec![0.0; apart]));
                0
            }
        };
        if joined.len() + next.len() > MOST_SAMPLES {
            return Err(Error::invalid("the joined sound would be longer than an hour"));
        }
        if overlap > 0 {
            fade(&mut joined, 0, overlap);
            fade(&mut next, overlap, 0);
        }
        let start = joined.len() - overlap;
        for (channel, next) in joined.channels.iter_mut().zip(&next.channels) {
            channel.resize(start + next.len(), 0.0);
            channel.iter_mut().skip(start).zip(next).for_each(|(out, sample)| *out += sample);
        }
    }
    answer(&joined, bench)
}

/// Endpoint `fade-audio`.
pub(super) fn fade_ends(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut sound = read(input, bench)?;
    let length = |name: &str| samples(input.number(name).unwrap_or(0.0), sound.sample_rate);
    let (rise, fall) = (length("fade_in"), length("fade_out"));
    fade(&mut sound, rise, fall);
    answer(&sound, bench)
}

/// Endpoint `resample-audio`.
pub(super) fn resample(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut sound = read(input, bench)?;
    if let Some(count) = input.count("channels") {
        sound = sound.with_channels(count.clamp(1, 2) as u16);
    }
    answer(&sound.resampled(input.count("sample_rate").unwrap_or(48_000))?, bench)
}

/// Fades the first `rise` and the last `fall` samples, with equal power.
pub(super) fn fade(sound: &mut Sound, rise: usize, fall: usize) {
    let length = sound.len();
    let curve = |done: usize, of: usize| {
        let share = (done as f32 + 0.5) / of as f32;
        (share.min(1.0) * std::f32::consts::FRAC_PI_2).sin()
    };
    for channel in &mut sound.channels {
        for (place, sample) in channel.iter_mut().enumerate().take(rise) {
            *sample *= curve(place, rise);
        }
        for (place, sample) in channel.iter_mut().enumerate().skip(length.saturating_sub(fall)) {
            *sample *= curve(length - 1 - place, fall);
        }
    }
}

fn samples(seconds: f64, sample_rate: u32) -> usize {
    (seconds.max(0.0) * f64::from(sample_rate)).round() as usize
}

fn read(input: &Values, bench: &dyn Workbench) -> Result<Sound> {
    Sound::read(bench, input.asset("audio")?).map_err(|error| error.context("`audio`"))
}

fn answer(sound: &Sound, bench: &dyn Workbench) -> Result<Values> {
    Ok(output([("audio", Value::from(sound.write(bench)?))]))
}
