//! The tools that describe videos: each takes timelines or files and answers with a timeline.
//! None touches a pixel.

use impasto_domain::{AssetRef, Error, Result, Value, Values, Workbench};

use super::timeline::{
    Area, Caption, CaptionLook, Entry, Fit, INSTANT_S, Shot, SoundCue, Source, Timeline,
    Transition, even,
};
use crate::arguments::{Arguments, output};

/// Endpoint `image-to-video`: a camera moves over the picture. Words cannot be followed here, so
/// `prompt` is for other makers of shots.
pub(super) fn image_to_video(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let picture = input.asset("image")?.clone();
    let fps = input.number("fps").unwrap_or(24.0);
    let wanted = input.number("duration").unwrap_or(4.0);
    let duration_s = (wanted * fps).round().max(1.0) / fps;
    let size =
        (even(input.count("width").unwrap_or(1280)), even(input.count("height").unwrap_or(720)));
    let shot = Shot {
        source: Source::Still {
            picture,
            frame: size,
            camera: input.text("camera", "push-in").parse()?,
            easing: input.text("easing", "smooth").parse()?,
            amount: input.number("amount").unwrap_or(0.12),
            span_s: duration_s,
        },
        place: Area::default(),
        window: Area::default(),
        origin_s: 0.0,
        from_s: 0.0,
        to_s: duration_s,
        entry: None,
    };
    let timeline = Timeline {
        width: size.0,
        height: size.1,
        fps,
        duration_s,
        shots: vec![shot],
        captions: Vec::new(),
        sounds: Vec::new(),
    };
    answer(&timeline, bench)
}

/// Endpoint `trim-video`.
pub(super) fn trim(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut timeline = read(input, bench)?;
    let start_s = input.number("start").unwrap_or(0.0);
    let whole = timeline.duration_s;
    if start_s >= whole - INSTANT_S {
        return Err(Error::invalid(format!(
            "`start` is {start_s} s, but the video ends at {whole} s"
        ))
        .hint("start before the end"));
    }
    let rest = whole - start_s;
    let duration_s = input.number("duration").unwrap_or(rest).min(rest);
    timeline.clip(start_s, start_s + duration_s);
    timeline.shift(-start_s);
    timeline.duration_s = (duration_s * timeline.fps).round().max(1.0) / timeline.fps;
    answer(&timeline, bench)
}

/// Endpoint `stitch-video`.
///
/// Neighbours overlap by the transition; an overlap never takes more than half of either, so that
/// no more than two videos are ever seen at once.
pub(super) fn stitch(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let transition = match input.text("transition", "crossfade") {
        "cut" => Transition::Cut,
        "crossfade" => Transition::Crossfade,
        "fade-black" => Transition::FadeBlack,
        "wipe-left" => Transition::WipeLeft,
        "slide-left" => Transition::SlideLeft,
        other => return Err(Error::invalid(format!("'{other}' is not a transition"))),
    };
    let overlap_s = match transition {
        Transition::Cut => 0.0,
        _ => input.number("transition_duration").unwrap_or(0.5),
    };
    let videos = input.get("videos").and_then(Value::as_list).unwrap_or_default();
    let videos: Vec<&AssetRef> = videos.iter().filter_map(Value::as_asset).collect();
    let mut parts = Vec::with_capacity(videos.len());
    for (place, video) in videos.iter().enumerate() {
        let part = Timeline::read(bench, video);
        parts.push(part.map_err(|error| error.context(format!("`videos[{place}]`")))?);
    }
    let Some(first) = parts.first() else {
        return Err(Error::invalid("`videos` is empty").hint("give at least one video"));
    };
    let size = (
        even(input.count("width").unwrap_or(first.width)),
        even(input.count("height").unwrap_or(first.height)),
    );
    let fps = input.number("fps").unwrap_or(first.fps);
    let mut joined = Timeline {
        width: size.0,
        height: size.1,
        fps,
        duration_s: 0.0,
        shots: Vec::new(),
        captions: Vec::new(),
        sounds: Vec::new(),
    };
    let mut cuts = Vec::with_capacity(parts.len());
    let mut before_s = f64::INFINITY;
    for part in parts {
        let half = (before_s.min(part.duration_s) / 2.0 * fps).floor() / fps;
        let overlap_s = if cuts.is_empty() { 0.0 } else { overlap_s.min(half) };
        before_s = part.duration_s;
        cuts.push(Value::from(joined.duration_s - overlap_s));
        append(&mut joined, part, transition, overlap_s);
    }
    joined.duration_s = (joined.duration_s * fps).round().max(1.0) / fps;
    let video = joined.write(bench)?;
    Ok(output([("video", Value::from(video)), ("cuts", Value::from(cuts))]))
}

fn append(joined: &mut Timeline, mut part: Timeline, transition: Transition, overlap_s: f64) {
    let at_s = joined.duration_s - overlap_s;
    let length_s = part.duration_s;
    if (part.width, part.height) != (joined.width, joined.height) {
        part.reframe((joined.width, joined.height), Fit::Contain);
    }
    part.shift(at_s);
    if overlap_s > INSTANT_S {
        let entry = Entry { transition, from_s: at_s, to_s: at_s + overlap_s };
        // Whatever is seen during the overlap comes in with the transition.
        for shot in part.shots.iter_mut().filter(|shot| shot.from_s < entry.to_s - INSTANT_S) {
            shot.entry.get_or_insert(entry.clone());
        }
        let ends = |to_s: f64| to_s > at_s + overlap_s - INSTANT_S;
        for cue in joined.sounds.iter_mut().filter(|cue| ends(cue.to_s)) {
            cue.fade_out_s = cue.fade_out_s.max(overlap_s);
        }
        for cue in part.sounds.iter_mut().filter(|cue| cue.from_s <= at_s + INSTANT_S) {
            cue.fade_in_s = cue.fade_in_s.max(overlap_s);
        }
    }
    joined.shots.append(&mut part.shots);
    joined.captions.append(&mut part.captions);
    joined.sounds.append(&mut part.sounds);
    joined.duration_s = at_s + length_s;
}

/// Endpoint `caption-video`.
pub(super) fn caption(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut timeline = read(input, bench)?;
    let offset_s = input.number("offset").unwrap_or(0.0);
    let look = match input.text("style", "plain") {
        "boxed" => CaptionLook::Boxed,
        "bold" => CaptionLook::Bold,
        _ => CaptionLook::Plain,
    };
    let size = input.number("size").unwrap_or(0.055);
    let cues = input.get("cues").and_then(Value::as_list).unwrap_or_default();
    for (place, cue) in cues.iter().enumerate() {
        let bad = |what: &str| {
            Error::invalid(format!("`cues[{place}]` {what}"))
                .hint("a cue looks like {\"start\": 0.5, \"end\": 2.0, \"text\": \"Good morning\"}")
        };
        let cue = cue.as_map().ok_or_else(|| bad("is not a map"))?;
        let time = |name: &str| cue.get(name).and_then(Value::as_number).filter(|t| t.is_finite());
        let (Some(start), Some(end)) = (time("start"), time("end")) else {
            return Err(bad("has no `start` and `end` in seconds"));
        };
        let Some(text) = cue.get("text").and_then(Value::as_text) else {
            return Err(bad("has no `text`"));
        };
        if end <= start {
            return Err(bad("ends before it starts"));
        }
        if text.trim().is_empty() {
            continue;
        }
        timeline.captions.push(Caption {
            text: text.trim().to_owned(),
            from_s: start + offset_s,
            to_s: end + offset_s,
            look,
            size,
        });
    }
    timeline.captions.retain(|caption| caption.to_s > 0.0 && caption.from_s < timeline.duration_s);
    answer(&timeline, bench)
}

/// Endpoint `scale-video`.
pub(super) fn scale(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut timeline = read(input, bench)?;
    let fit = match input.text("fit", "contain") {
        "cover" => Fit::Cover,
        "stretch" => Fit::Stretch,
        _ => Fit::Contain,
    };
    let (old_width, old_height) = (f64::from(timeline.width), f64::from(timeline.height));
    let side = |length: f64| even(length.round().clamp(2.0, 8192.0) as u32);
    let size = match (input.count("width"), input.count("height")) {
        (Some(width), Some(height)) => (even(width), even(height)),
        (Some(width), None) => (even(width), side(f64::from(width) * old_height / old_width)),
        (None, Some(height)) => (side(f64::from(height) * old_width / old_height), even(height)),
        (None, None) => (timeline.width, timeline.height),
    };
    timeline.reframe(size, fit);
    if let Some(fps) = input.number("fps") {
        timeline.fps = fps;
        timeline.duration_s = (timeline.duration_s * fps).round().max(1.0) / fps;
    }
    answer(&timeline, bench)
}

/// Endpoint `mux-video`.
pub(super) fn mux(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut timeline = read(input, bench)?;
    let audio = input.asset("audio")?.clone();
    let heard_s = match audio.facts.duration_ms {
        Some(duration_ms) => duration_ms as f64 / 1000.0,
        None => super::sound::load(bench, &audio)?.duration_s(),
    };
    let end_s = match input.text("end", "video") {
        "shortest" => timeline.duration_s.min(heard_s),
        "longest" => timeline.duration_s.max(heard_s),
        _ => timeline.duration_s,
    };
    let end_s = (end_s * timeline.fps).round().max(1.0) / timeline.fps;
    if end_s > timeline.duration_s {
        // The last picture stays.
        let old_s = timeline.duration_s;
        for shot in timeline.shots.iter_mut().filter(|shot| shot.to_s > old_s - INSTANT_S) {
            shot.to_s = end_s;
        }
    }
    timeline.clip(0.0, end_s);
    timeline.duration_s = end_s;
    timeline.sounds = vec![SoundCue {
        asset: audio,
        origin_s: 0.0,
        from_s: 0.0,
        to_s: heard_s.min(end_s),
        fade_in_s: 0.0,
        fade_out_s: 0.0,
    }];
    answer(&timeline, bench)
}

fn read(input: &Values, bench: &dyn Workbench) -> Result<Timeline> {
    Timeline::read(bench, input.asset("video")?).map_err(|error| error.context("`video`"))
}

fn answer(timeline: &Timeline, bench: &dyn Workbench) -> Result<Values> {
    Ok(output([("video", Value::from(timeline.write(bench)?))]))
}
