//! What a timeline shows at a time: its shots, their transitions, its captions, as one picture.

use std::collections::HashMap;

use impasto_domain::{Result, Workbench};

use super::camera::{Camera, View};
use super::caption::Overlay;
use super::clip::Clip;
use super::timeline::{Area, INSTANT_S, Shot, Source, Timeline, Transition};
use super::warp::Warp;
use crate::Picture;
use crate::resize::check_size;

/// The most pixels of a picture for one pixel of the frame, at the closest the camera comes. More
/// is scaled away once, rather than for every frame.
const MOST_DENSITY: f64 = 1.5;

/// The same for a view from the side, whose filter does not widen.
const MOST_DENSITY_ASIDE: f64 = 1.05;

/// Draws the frames of a timeline. Not shared: each thread has its own.
pub(crate) struct Stage<'a> {
    timeline: &'a Timeline,
    overlays: &'a [Overlay],
    bench: &'a dyn Workbench,
    warp: Warp,
    open: HashMap<usize, Open>,
}

/// A source that is ready to give frames.
enum Open {
    Still(Picture),
    /// A picture that nothing moves over, as it is seen.
    Ready(Picture),
    Clip(Box<Clip>),
}

impl<'a> Stage<'a> {
    pub(crate) fn new(
        timeline: &'a Timeline,
        overlays: &'a [Overlay],
        bench: &'a dyn Workbench,
    ) -> Self {
        Self { timeline, overlays, bench, warp: Warp::new(), open: HashMap::new() }
    }

    /// The frame of that number.
    pub(crate) fn frame(&mut self, number: u64) -> Result<Picture> {
        let timeline = self.timeline;
        let at_s = number as f64 / timeline.fps;
        let shown = |shot: &Shot| shot.from_s <= at_s + INSTANT_S && shot.to_s > at_s + INSTANT_S;
        self.open.retain(|place, _| timeline.shots.get(*place).is_some_and(shown));
        let mut frame: Option<Picture> = None;
        for (place, shot) in timeline.shots.iter().enumerate().filter(|(_, shot)| shown(shot)) {
            let entry = shot.entry.as_ref().filter(|entry| entry.to_s > at_s + INSTANT_S);
            let over = self.shot(place, shot, at_s)?;
            frame = Some(match entry {
                None => over,
                Some(entry) => {
                    let under = frame.unwrap_or_else(|| self.black());
                    let share = (at_s - entry.from_s) / (entry.to_s - entry.from_s).max(INSTANT_S);
                    blend(entry.transition, under, &over, share.clamp(0.0, 1.0))
                }
            });
        }
        let mut frame = frame.unwrap_or_else(|| self.black());
        self.overlays.iter().for_each(|overlay| overlay.lay(&mut frame, at_s + INSTANT_S));
        Ok(frame)
    }

    fn black(&self) -> Picture {
        Picture::filled(self.timeline.width, self.timeline.height, [0, 0, 0, 255])
    }

    fn shot(&mut self, place: usize, shot: &Shot, at_s: f64) -> Result<Picture> {
        let size = (self.timeline.width, self.timeline.height);
        let (left, top, width, height) = pixels(&shot.place, size);
        // A narrow strip that covers a wide frame is a huge picture of which little is seen.
        check_size(width, height)?;
        let drawn = self.draw(place, shot, at_s - shot.origin_s, (width, height))?;
        if (left, top) == (0, 0) && (width, height) == size && shot.window == Area::default() {
            return Ok(drawn);
        }
        let mut frame = self.black();
        paste(&mut frame, &drawn, (left, top), pixels(&shot.window, size));
        Ok(frame)
    }

    /// The picture of a shot at a time of its own, in the size in which it is seen.
    fn draw(&mut self, place: usize, shot: &Shot, own_s: f64, size: (u32, u32)) -> Result<Picture> {
        let open = match self.open.remove(&place) {
            Some(open) => open,
            None => open(shot, size, self.bench)?,
        };
        let (drawn, open) = match (open, &shot.source) {
            (Open::Ready(picture), _) => (picture.clone(), Open::Ready(picture)),
            (Open::Still(picture), Source::Still { frame, camera, easing, amount, span_s, .. }) => {
                let progress = easing.at(own_s / span_s.max(INSTANT_S));
                let aspect = (f64::from(frame.0.max(1)), f64::from(frame.1.max(1)));
                let view = View::of(*camera, *amount, progress, extent(&picture), aspect);
                let drawn = self.warp.frame(&picture, &view, size)?;
                let ready = *camera == Camera::Static;
                let open = if ready { Open::Ready(drawn.clone()) } else { Open::Still(picture) };
                (drawn, open)
            }
            (Open::Clip(mut clip), _) => {
                let picture = clip.at(own_s)?;
                let drawn = if (picture.width(), picture.height()) == size {
                    picture.clone()
                } else {
                    self.warp.frame(picture, &View::whole(extent(picture)), size)?
                };
                (drawn, Open::Clip(clip))
            }
            (open @ Open::Still(_), _) => (self.black(), open),
        };
        self.open.insert(place, open);
        Ok(drawn)
    }
}

/// Width and height.
fn extent(picture: &Picture) -> (f64, f64) {
    (f64::from(picture.width()), f64::from(picture.height()))
}

/// An area in whole pixels: left, top, width, height.
fn pixels(area: &Area, (width, height): (u32, u32)) -> (i64, i64, u32, u32) {
    let side = |start: f64, length: f64, whole: u32| {
        let first = (start * f64::from(whole)).round();
        let last = ((start + length) * f64::from(whole)).round();
        (first as i64, (last - first).max(1.0) as u32)
    };
    let (left, wide) = side(area.x, area.width, width);
    let (top, tall) = side(area.y, area.height, height);
    (left, top, wide, tall)
}

/// Copies `from` to a place that may lie partly outside, but only within the window.
fn paste(to: &mut Picture, from: &Picture, (left, top): (i64, i64), window: (i64, i64, u32, u32)) {
    let (window_left, window_top, wide, tall) = window;
    let first_x = left.max(window_left).max(0);
    let last_x = (left + i64::from(from.width()))
        .min(window_left + i64::from(wide))
        .min(i64::from(to.width()));
    let first_y = top.max(window_top).max(0);
    let last_y = (top + i64::from(from.height()))
        .min(window_top + i64::from(tall))
        .min(i64::from(to.height()));
    if last_x <= first_x {
        return;
    }
    let (to_stride, from_stride) = (to.width() as usize * 4, from.width() as usize * 4);
    let length = (last_x - first_x) as usize * 4;
    let target = to.pixels.as_flat_samples_mut().samples;
    for y in first_y..last_y {
        let start = y as usize * to_stride + first_x as usize * 4;
        let source = (y - top) as usize * from_stride + (first_x - left) as usize * 4;
        let row = &from.pixels.as_raw()[source..source + length];
        target[start..start + length].copy_from_slice(row);
    }
}

fn open(shot: &Shot, size: (u32, u32), bench: &dyn Workbench) -> Result<Open> {
    let (picture, frame, camera, amount) = match &shot.source {
        Source::Clip { video } => return Ok(Open::Clip(Box::new(Clip::open(bench, video)?))),
        Source::Still { picture, frame, camera, amount, .. } => (picture, frame, *camera, *amount),
    };
    let picture = Picture::read(bench, picture)?.flattened([0; 3]);
    let whole = extent(&picture);
    let aspect = (f64::from(frame.0.max(1)), f64::from(frame.1.max(1)));
    let narrowest = [0.0, 1.0]
        .map(|progress| View::of(camera, amount, progress, whole, aspect).size.0)
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    let most = if camera == Camera::Orbit { MOST_DENSITY_ASIDE } else { MOST_DENSITY };
    let spare = narrowest / f64::from(size.0) / most;
    if spare <= 1.0 || camera == Camera::Static {
        return Ok(Open::Still(picture));
    }
    let side = |length: f64| (length / spare).round().max(1.0) as u32;
    Ok(Open::Still(picture.resized(side(whole.0), side(whole.1))?))
}

/// A picture on the way to another.
fn blend(transition: Transition, mut under: Picture, over: &Picture, share: f64) -> Picture {
    let smooth = share * share * (3.0 - 2.0 * share);
    match transition {
        Transition::Cut => over.clone(),
        Transition::Crossfade => {
            mix(&mut under, over, share);
            under
        }
        Transition::FadeBlack if share < 0.5 => {
            dim(&mut under, 1.0 - 2.0 * share);
            under
        }
        Transition::FadeBlack => {
            let mut over = over.clone();
            dim(&mut over, 2.0 * share - 1.0);
            over
        }
        Transition::WipeLeft => {
            wipe(&mut under, over, smooth);
            under
        }
        Transition::SlideLeft => {
            slide(&mut under, over, smooth);
            under
        }
    }
}

fn mix(under: &mut Picture, over: &Picture, share: f64) {
    let over_share = (share * 256.0).round() as u32;
    let under_share = 256 - over_share;
    let below = under.pixels.as_flat_samples_mut().samples;
    for (under, over) in below.iter_mut().zip(over.pixels.as_raw()) {
        let sum = u32::from(*under) * under_share + u32::from(*over) * over_share;
        *under = ((sum + 128) >> 8) as u8;
    }
}

fn dim(picture: &mut Picture, share: f64) {
    let share = (share * 256.0).round() as u32;
    for pixel in picture.pixels.as_flat_samples_mut().samples.chunks_exact_mut(4) {
        for value in &mut pixel[..3] {
            *value = ((u32::from(*value) * share + 128) >> 8) as u8;
        }
    }
}

/// An edge, soft by a twentieth of the width, runs from right to left.
fn wipe(under: &mut Picture, over: &Picture, share: f64) {
    let width = f64::from(under.width());
    let soft = width / 20.0;
    let edge = (width + soft) * (1.0 - share) - soft;
    let shares: Vec<u32> = (0..under.width())
        .map(|x| (((f64::from(x) + 0.5 - edge) / soft).clamp(0.0, 1.0) * 256.0) as u32)
        .collect();
    let stride = under.width() as usize * 4;
    let below = under.pixels.as_flat_samples_mut().samples;
    for (below, above) in
        below.chunks_exact_mut(stride).zip(over.pixels.as_raw().chunks_exact(stride))
    {
        let pairs = below.chunks_exact_mut(4).zip(above.chunks_exact(4));
        for ((under, over), share) in pairs.zip(&shares) {
            for (under, over) in under.iter_mut().zip(over) {
                let sum = u32::from(*under) * (256 - share) + u32::from(*over) * share;
                *under = ((sum + 128) >> 8) as u8;
            }
        }
    }
}

/// The new picture pushes the old one out to the left, by whole pixels.
fn slide(under: &mut Picture, over: &Picture, share: f64) {
    let stride = under.width() as usize * 4;
    let pushed = (f64::from(under.width()) * share).round() as usize * 4;
    let below = under.pixels.as_flat_samples_mut().samples;
    for (below, above) in
        below.chunks_exact_mut(stride).zip(over.pixels.as_raw().chunks_exact(stride))
    {
        below.copy_within(pushed.., 0);
        let (_, fresh) = below.split_at_mut(stride - pushed);
        fresh.copy_from_slice(above.get(..pushed).unwrap_or_default());
    }
}
