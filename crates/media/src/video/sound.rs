//! The sound of a timeline: its cues, cut, faded and added up.

use impasto_domain::{AssetRef, Error, Result, Workbench};

use super::aac;
use super::mp4::Movie;
use super::timeline::{SoundCue, Timeline};
use crate::Sound;

/// The sound of an audio asset, or of the sound track of a video file.
pub(crate) fn load(bench: &dyn Workbench, asset: &AssetRef) -> Result<Sound> {
    if asset.media_type != "video/mp4" && asset.media_type != "audio/mp4" {
        return Sound::read(bench, asset);
    }
    let file = bench.read(asset)?;
    let track = Movie::parse(&file)?.audio;
    let track = track.ok_or_else(|| Error::invalid("the video has no sound"))?;
    aac::decode(&file, &track)
}

/// What is heard, from the first to the last frame; `None` if there is no sound.
pub(crate) fn mix_down(timeline: &Timeline, bench: &dyn Workbench) -> Result<Option<Sound>> {
    if timeline.sounds.is_empty() {
        return Ok(None);
    }
    let seconds = timeline.frames() as f64 / timeline.fps;
    let length = samples(seconds);
    let mut mix = Sound { sample_rate: aac::SAMPLE_RATE, channels: vec![vec![0.0; length]; 2] };
    for cue in &timeline.sounds {
        bench.check_cancelled()?;
        let sound = load(bench, &cue.asset)?.resampled(aac::SAMPLE_RATE)?.with_channels(2);
        add(&mut mix, &sound, cue);
    }
    Ok(Some(mix))
}

fn samples(seconds: f64) -> usize {
    (seconds.max(0.0) * f64::from(aac::SAMPLE_RATE)).round() as usize
}

fn add(mix: &mut Sound, sound: &Sound, cue: &SoundCue) {
    let (first, last) = (samples(cue.from_s), samples(cue.to_s).min(mix.len()));
    let origin = (cue.origin_s * f64::from(aac::SAMPLE_RATE)).round() as i64;
    let (rise, fall) = (samples(cue.fade_in_s).max(1), samples(cue.fade_out_s).max(1));
    for (out, channel) in mix.channels.iter_mut().zip(&sound.channels) {
        for (place, out) in out.iter_mut().enumerate().take(last).skip(first) {
            let heard = usize::try_from(place as i64 - origin).ok();
            let Some(sample) = heard.and_then(|heard| channel.get(heard)) else { continue };
            let share = |done: usize, of: usize| ((done as f32 + 0.5) / of as f32).min(1.0);
            // Fades of equal power, as the sounds on both sides have nothing in common.
            let gain = share(place - first, rise).sqrt() * share(last - 1 - place, fall).sqrt();
            *out += sample * if gain > 0.999 { 1.0 } else { gain };
        }
    }
}
