//! Video: described lazily by timelines, rendered in one pass.
//!
//! The tools that trim, join, caption, scale and mux change a [`timeline`], a small document. Pixels
//! are touched by `render-video`, `extract-frame` and `measure-video` only, so a chain of tools costs
//! one encoding and loses nothing on the way.

mod aac;
mod camera;
mod caption;
mod clip;
mod edit;
mod foreign;
mod h264;
mod measure;
mod mp4;
mod render;
mod sound;
mod stage;
mod timeline;
mod warp;
mod yuv;

#[cfg(test)]
mod tests;

pub use foreign::{VideoLimits, decode_foreign_mp4};
pub use h264::Quality;
pub use render::encode_mp4;

use impasto_domain::{AssetRef, Error, MediaFacts, Operation, Result, Value, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::{Picture, Sound};
use stage::Stage;
use timeline::{Source, Timeline};

/// The tools for video, by endpoint.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "caption-video", run: edit::caption },
    Operation { name: "extract-frame", run: extract_frame },
    Operation { name: "image-to-video", run: edit::image_to_video },
    Operation { name: "measure-video", run: measure::measure },
    Operation { name: "mux-video", run: edit::mux },
    Operation { name: "render-video", run: render_video },
    Operation { name: "scale-video", run: edit::scale },
    Operation { name: "stitch-video", run: edit::stitch },
    Operation { name: "trim-video", run: edit::trim },
];

/// The facts of an MP4 file, from its tables; nothing is decoded.
pub fn mp4_facts(file: &[u8]) -> Result<MediaFacts> {
    clip::facts(file)
}

/// The assets that a timeline is made of, in the order in which it names them.
pub fn timeline_assets(bench: &dyn Workbench, asset: &AssetRef) -> Result<Vec<AssetRef>> {
    Ok(Timeline::read(bench, asset)?.assets().cloned().collect())
}

/// The sound of an MP4 file that Impasto has written.
pub fn mp4_sound(bench: &dyn Workbench, asset: &AssetRef) -> Result<Sound> {
    sound::load(bench, asset)
}

/// Endpoint `render-video`.
fn render_video(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let asset = input.asset("video")?;
    // A file is rendered already, whoever wrote it.
    if !asset.is_timeline() {
        return Ok(output([("video", Value::from(asset.clone()))]));
    }
    let timeline = Timeline::read(bench, asset).map_err(|error| error.context("`video`"))?;
    if let Some(file) = as_is(&timeline) {
        return Ok(output([("video", Value::from(file))]));
    }
    let quality = match input.text("quality", "good") {
        "fast" => Quality::Fast,
        _ => Quality::Good,
    };
    let (bytes, facts) = render::render(&timeline, quality, bench)?;
    Ok(output([("video", Value::from(bench.write(bytes, "video/mp4", facts)?))]))
}

/// The file that a timeline consists of, if it is one whole file and nothing else.
fn as_is(timeline: &Timeline) -> Option<AssetRef> {
    let [shot] = timeline.shots.as_slice() else { return None };
    let Source::Clip { video } = &shot.source else { return None };
    let clip = AssetRef { facts: MediaFacts { bytes: 0, ..video.facts.clone() }, ..video.clone() };
    let same_facts = clip.facts
        == MediaFacts {
            channels: clip.facts.channels,
            sample_rate: clip.facts.sample_rate,
            ..timeline.facts()
        };
    let whole =
        shot.origin_s == 0.0 && shot.from_s == 0.0 && shot.place == timeline::Area::default();
    let sound = match timeline.sounds.as_slice() {
        [] => video.facts.channels.is_none(),
        [cue] => cue.asset.digest == video.digest && cue.origin_s == 0.0 && cue.fade_out_s == 0.0,
        _ => false,
    };
    (whole && same_facts && sound && timeline.captions.is_empty()).then(|| video.clone())
}

/// Endpoint `extract-frame`.
fn extract_frame(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let timeline = Timeline::read(bench, input.asset("video")?)?;
    let last = timeline.frames() - 1;
    let number = match input.text("at", "first") {
        "middle" => timeline.frames() / 2,
        "last" => last,
        "time" => {
            let missing = || Error::invalid("`time` is missing").hint("say when, in seconds");
            let time_s = input.number("time").ok_or_else(missing)?;
            if time_s > timeline.duration_s {
                return Err(Error::invalid(format!(
                    "`time` is {time_s} s, but the video ends at {} s",
                    timeline.duration_s
                )));
            }
            ((time_s * timeline.fps + 1e-6).floor() as u64).min(last)
        }
        _ => 0,
    };
    let frame = frame(&timeline, number, bench)?;
    Ok(output([("image", Value::from(frame.write(bench)?))]))
}

fn frame(timeline: &Timeline, number: u64, bench: &dyn Workbench) -> Result<Picture> {
    let at_s = number as f64 / timeline.fps;
    let mut timeline = timeline.clone();
    timeline.captions.retain(|caption| caption.from_s <= at_s + 1.0 && caption.to_s >= at_s - 1.0);
    let overlays = caption::Overlay::all(&timeline, bench)?;
    Stage::new(&timeline, &overlays, bench).frame(number)
}
