//! `remove-background`: a classical cut-out, without trained weights.
//!
//! 1. On a copy of 400 px: fit a smooth backdrop to the border. If it fits well, distance from it
//!    (with shadows forgiven) tells the subject. If not, colours of the border make a mixture model,
//!    and what it explains badly, near the middle, is the first guess.
//! 2. In turns: fit colour mixtures to guess and ground, find the smallest cut.
//! 3. Keep the main area, close its holes, and fit soft edges at full size.
//!
//! Where it fails: hair, glass, smoke; a subject of the ground's colours; several subjects (the
//! largest wins, and what lies close to it); a subject that fills the border on all sides (a face
//! without its ears); thin things such as the handle of a spoon. A `subject_box` helps in each of
//! these. The confidence says how well colours and outline bear the cut out: an outline that runs
//! through one and the same surface for a good part is a guess, and so is a mask in several pieces.
//! Below about 0.5 a person should look at it.

mod backdrop;
mod cut;
mod matting;
mod mixture;
mod working;

use impasto_domain::{Result, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::{Picture, Plane};
use backdrop::Backdrop;
use mixture::{Look, Mixture};
use working::Working;

/// A backdrop whose border colours lie this near (OKLab) to a smooth surface counts as plain.
const PLAIN_RESIDUAL: f32 = 0.022;

/// One whose border colours lie this far from it is no surface at all.
const PATTERNED_RESIDUAL: f32 = 0.07;

/// What one pixel can weigh at most, either way, against the length of the outline.
const MOST_COST: f32 = 1.6;

/// What being enclosed by the subject is worth.
const HULL_BONUS: f32 = 0.7;

/// The result of a cut.
pub(crate) struct Cutout {
    /// The subject on transparency, as large as the picture.
    pub(crate) subject: Picture,
    /// The alpha.
    pub(crate) alpha: Plane,
    /// How sure the cut is, from 0 to 1.
    pub(crate) confidence: f32,
}

/// `remove-background`.
pub(super) fn remove_background(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let picture = input.picture("image", bench)?;
    let cutout = cut_out(&picture, input.shares("subject_box")?, bench)?;
    let crop = input.get("crop").and_then(impasto_domain::Value::as_boolean).unwrap_or(true);
    let subject = if crop { cropped_to_subject(&cutout.subject) } else { cutout.subject };
    let confidence = (f64::from(cutout.confidence) * 1000.0).round() / 1000.0;
    Ok(output([
        ("image", subject.write(bench)?.into()),
        ("mask", cutout.alpha.to_picture().write(bench)?.into()),
        ("confidence", confidence.into()),
    ]))
}

/// Cuts the subject out of a picture.
pub(crate) fn cut_out(
    picture: &Picture,
    subject_box: Option<[f32; 4]>,
    bench: &dyn Workbench,
) -> Result<Cutout> {
    let working = Working::of(picture)?;
    bench.progress(0.1, "looking at the background");
    let region = Region::new(&working, subject_box);
    let backdrop = Backdrop::fit(&working, |x, y| region.is_border(x, y));
    // From 1 for a seamless backdrop to 0 for one that says nothing.
    let trust = ((PATTERNED_RESIDUAL - backdrop.residual) / (PATTERNED_RESIDUAL - PLAIN_RESIDUAL))
        .clamp(0.0, 1.0);
    let by_backdrop = from_backdrop(&working, &region, &backdrop);
    let by_colors = from_border_colors(&working, &region);
    let guess =
        by_colors.zip(&by_backdrop, |colors, backdrop| colors * (1.0 - trust) + backdrop * trust);
    let (mask, costs) = refined(&working, &region, &guess, trust, bench)?;
    bench.progress(0.6, "softening the edges");
    let mask = cleaned(&mask, &costs, trust > 0.9);
    let confidence = confidence(&working, &region, &mask, &costs);
    let alpha = matting::alpha(picture, &mask)?;
    bench.check_cancelled()?;
    let scale = picture.width() as f32 / working.width as f32;
    let subject = matting::cut_out(picture, &alpha, (2.0 * scale).max(2.0));
    Ok(Cutout { subject, alpha, confidence })
}

/// Where the subject may be.
struct Region {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
    given: bool,
}

impl Region {
    fn new(working: &Working, subject_box: Option<[f32; 4]>) -> Self {
        let (width, height) = (working.width as f32, working.height as f32);
        let [left, top, right, bottom] = subject_box.unwrap_or([0.0, 0.0, 1.0, 1.0]);
        Self {
            left: left * width,
            top: top * height,
            right: right * width,
            bottom: bottom * height,
            given: subject_box.is_some(),
        }
    }

    /// Outside of the given box; nothing is outside if none was given.
    fn is_outside(&self, x: usize, y: usize) -> bool {
        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
        x < self.left || x > self.right || y < self.top || y > self.bottom
    }

    /// Taken for background when models are fitted: outside of the box, or along its rim.
    fn is_border(&self, x: usize, y: usize) -> bool {
        self.is_outside(x, y) || self.depth(x, y) < if self.given { 0.0 } else { 0.045 }
    }

    /// How far from the rim of the box, as a share of its shorter side.
    fn depth(&self, x: usize, y: usize) -> f32 {
        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
        let near = (x - self.left).min(self.right - x).min(y - self.top).min(self.bottom - y);
        near / (self.right - self.left).min(self.bottom - self.top).max(1.0)
    }

    /// From 0 in the middle of the box to 1 at the middle of its sides and more in its corners.
    fn eccentricity(&self, x: usize, y: usize) -> f32 {
        let across = (x as f32 + 0.5 - (self.left + self.right) / 2.0)
            / (self.right - self.left).max(1.0)
            * 2.0;
        let down = (y as f32 + 0.5 - (self.top + self.bottom) / 2.0)
            / (self.bottom - self.top).max(1.0)
            * 2.0;
        across.hypot(down)
    }

    /// What calling a pixel subject costs for its place alone: nothing in the middle.
    fn prior(&self, x: usize, y: usize) -> f32 {
        if self.is_outside(x, y) {
            return 8.0;
        }
        let weight = if self.given { 0.15 } else { 0.4 };
        let rim = if self.depth(x, y) < 0.025 { weight } else { 0.0 };
        rim + weight * (self.eccentricity(x, y) - 0.4).clamp(0.0, 1.0)
    }
}

fn from_backdrop(working: &Working, region: &Region, backdrop: &Backdrop) -> Plane {
    let scale = (backdrop.residual * 3.5).max(0.028).powi(2);
    Plane::from_fn(working.width, working.height, |x, y| {
        if region.is_outside(x, y) {
            return 0.0;
        }
        let far = backdrop.distance(working, x, y) / scale;
        (far / (1.0 + far)).clamp(0.0, 1.0)
    })
}

fn from_border_colors(working: &Working, region: &Region) -> Plane {
    let (mut border, mut middle) = (Vec::new(), Vec::new());
    for y in 0..working.height {
        for x in 0..working.width {
            let look = working.smooth[y * working.width + x];
            if region.is_border(x, y) {
                border.push((look, 1.0));
            } else {
                middle.push((look, (-3.0 * region.eccentricity(x, y).powi(2)).exp()));
            }
        }
    }
    let (ground, subject) = (Mixture::fit(&border, 6), Mixture::fit(&middle, 6));
    let strangeness = |look: Look| shaded_cost(&ground, look) - subject.cost(look);
    let mut usual: Vec<f32> = border.iter().map(|(look, _)| strangeness(*look)).collect();
    usual.sort_by(f32::total_cmp);
    let (middle, high) = (at_share(&usual, 0.5), at_share(&usual, 0.9));
    let spread = (high - middle).max(0.5);
    Plane::from_fn(working.width, working.height, |x, y| {
        if region.is_outside(x, y) {
            return 0.0;
        }
        let strange = (strangeness(working.smooth[y * working.width + x]) - middle) / spread;
        let place = 0.35 - 0.5 * region.eccentricity(x, y);
        (0.5 + 0.4 * (strange - 1.0).clamp(-1.0, 1.0) + place).clamp(0.0, 1.0)
    })
}

fn at_share(sorted: &[f32], share: f32) -> f32 {
    sorted.get((sorted.len() as f32 * share) as usize).copied().unwrap_or(0.0)
}

/// Colour models and cuts in turns. Gives the last cut and the costs it was made from.
fn refined(
    working: &Working,
    region: &Region,
    guess: &Plane,
    trust: f32,
    bench: &dyn Workbench,
) -> Result<(Plane, Plane)> {
    const TURNS: usize = 5;
    let mut mask = guess.clone();
    let mut costs = Plane::new(working.width, working.height);
    for turn in 0..TURNS {
        bench.check_cancelled()?;
        bench.progress(0.15 + 0.09 * turn as f64, "finding the subject");
        let least = if turn == 0 { clear_share(&mask) } else { 0.5 };
        let (subject, ground) = models(working, region, &mask, least);
        let hull = closed(&mask);
        costs = Plane::from_fn(working.width, working.height, |x, y| {
            let at = y * working.width + x;
            let color = |looks: &[Look]| subject.cost(looks[at]) - shaded_cost(&ground, looks[at]);
            // Texture averaged and single pixels both have a say.
            let difference = 0.16 * color(&working.smooth) + 0.08 * color(&working.colors);
            let backdrop = 1.5 * trust * (0.45 - guess.values()[at]);
            // In the dark, colours say little.
            let lit = ((working.smooth[at][0] - 0.1) / 0.22).clamp(0.25, 1.0);
            let enclosed = if turn > 1 {
                HULL_BONUS * (hull.values()[at] - mask.values()[at]).max(0.0)
            } else {
                0.0
            };
            (difference * lit + backdrop).clamp(-MOST_COST, MOST_COST) - enclosed
                + region.prior(x, y)
        });
        mask = cut::smallest_cut(&costs, &working.edges.map(|edge| 1.6 * edge), &mask, 120);
    }
    Ok((mask, costs))
}

/// What a look costs as ground, if need be as ground in the subject's shadow: the same colour under
/// less light, whose OKLab coordinates are all smaller by one factor.
fn shaded_cost(ground: &Mixture, look: Look) -> f32 {
    let [lightness, a, b, texture] = look;
    let brightened =
        |factor: f32| ground.cost([lightness * factor, a * factor, b * factor, texture]);
    let plain = ground.cost(look);
    [(1.2, 1.0), (1.45, 1.5), (1.75, 2.0)]
        .into_iter()
        .filter(|(factor, _)| lightness * factor < 0.75)
        .map(|(factor, penalty)| brightened(factor) + penalty)
        .fold(plain, f32::min)
}

/// From what share on a first guess is clear enough to learn the subject's colours from: high, so that
/// a sky that is a little unlike the border does not count, unless that leaves next to nothing.
fn clear_share(guess: &Plane) -> f32 {
    const CLEAR: f32 = 0.7;
    const NEXT_TO_NOTHING: f32 = 0.003;
    let count = guess.values().iter().filter(|share| **share >= CLEAR).count() as f32;
    if count >= NEXT_TO_NOTHING * guess.values().len() as f32 { CLEAR } else { 0.5 }
}

fn models(working: &Working, region: &Region, mask: &Plane, least: f32) -> (Mixture, Mixture) {
    let mut subject = Vec::new();
    let mut ground = Vec::new();
    for y in 0..working.height {
        for x in 0..working.width {
            let at = y * working.width + x;
            let share = mask.values()[at];
            let color = working.smooth[at];
            if region.is_outside(x, y) || share < least {
                ground.push((color, (1.0 - share).max(0.05)));
            } else {
                subject.push((color, share));
            }
        }
    }
    (Mixture::fit(&subject, 6), Mixture::fit(&ground, 6))
}

/// The mask with its narrow bays and holes filled: most things are compact.
fn closed(mask: &Plane) -> Plane {
    let closed = dilated_and_eroded(mask, 9);
    filled(&closed, |_, _| true, &closed)
}

/// The mask with cracks closed, and then without whiskers.
fn bridged(mask: &Plane) -> Plane {
    let bridged = dilated_and_eroded(mask, 5);
    dilated_and_eroded(&bridged.map(|share| 1.0 - share), 1).map(|share| 1.0 - share)
}

/// Grows the mask by about `reach` pixels and shrinks it back.
fn dilated_and_eroded(mask: &Plane, reach: usize) -> Plane {
    let side = (2 * reach + 1) as f32;
    let hard = |plane: &Plane, least: f32| plane.map(|share| f32::from(u8::from(share > least)));
    // Half a row of the window must be set: round enough, and blind to single pixels.
    let some = 0.5 / side;
    let grown = hard(&hard(mask, 0.5).box_blurred(reach), some);
    let back = hard(&grown.box_blurred(reach), 1.0 - some);
    // At the rim the window sees itself repeated: nothing is known there.
    let inside = |at: usize, side: usize| at >= reach && at + reach < side;
    Plane::from_fn(mask.width(), mask.height(), |x, y| {
        let known = inside(x, mask.width()) && inside(y, mask.height());
        let source = if known { &back } else { mask };
        f32::from(u8::from(source.at(x as isize, y as isize) > 0.5))
    })
}

/// The main area, with the ones that are large or close enough to belong to it, and without holes.
fn cleaned(mask: &Plane, costs: &Plane, plain: bool) -> Plane {
    let mask = &bridged(mask);
    let (labels, sizes) = cut::areas(mask);
    let largest = sizes.iter().copied().max().unwrap_or(0);
    let kept = Plane::from_fn(mask.width(), mask.height(), |x, y| {
        let label = labels[y * mask.width() + x];
        if label != 0 && sizes[label] * 5 >= largest { 1.0 } else { 0.0 }
    });
    // Before a plain backdrop, a hole that is clearly ground (the inside of a handle) stays open.
    let whole = filled(
        &kept,
        |size, cost| !(plain && cost > 0.8 * size as f32 && size * 300 > largest),
        costs,
    );
    // Rounds off what a cut on a small copy leaves of notches.
    whole.blurred(1.8).map(|share| f32::from(u8::from(share > 0.5)))
}

/// Fills the holes (areas that do not reach the rim) for which `close` holds, given their size and
/// the sum of their costs.
fn filled(mask: &Plane, close: impl Fn(usize, f32) -> bool, costs: &Plane) -> Plane {
    let (holes, sizes) = cut::areas(&mask.map(|share| 1.0 - share));
    let mut reaches_rim = vec![false; sizes.len()];
    let mut cost = vec![0.0_f32; sizes.len()];
    for y in 0..mask.height() {
        for x in 0..mask.width() {
            let hole = holes[y * mask.width() + x];
            reaches_rim[hole] |=
                x == 0 || y == 0 || x + 1 == mask.width() || y + 1 == mask.height();
            cost[hole] += costs.values()[y * mask.width() + x];
        }
    }
    Plane::from_fn(mask.width(), mask.height(), |x, y| {
        let hole = holes[y * mask.width() + x];
        let fill = hole == 0 || (!reaches_rim[hole] && close(sizes[hole], cost[hole]));
        f32::from(u8::from(fill))
    })
}

/// How well colours and outline bear the mask out.
fn confidence(working: &Working, region: &Region, mask: &Plane, costs: &Plane) -> f32 {
    let count = mask.values().len() as f32;
    let inside = mask.values().iter().filter(|share| **share > 0.5).count() as f32;
    let area = inside / count;
    if inside < 16.0 || area > 0.97 {
        return 0.0;
    }
    // Colours: the share of pixels whose own cost agrees with where they were put.
    let margin = |share: &f32, cost: &f32| if *share > 0.5 { -cost } else { *cost };
    let agreeing = mask
        .values()
        .iter()
        .zip(costs.values())
        .map(|(s, c)| (margin(s, c) * 1.2).clamp(-1.0, 1.0));
    let colors = (agreeing.sum::<f32>() / count).clamp(0.0, 1.0);
    let outline = Outline::of(working, region, mask);
    let whole = 1.0 - 0.7 * outline.on_rim;
    let size = (area / 0.03).min(1.0) * ((1.0 - area) / 0.15).min(1.0);
    let edges = (outline.on_edge * 1.25).min(1.0);
    let sure = colors.sqrt() * edges * outline.borne_out() * whole * size * oneness(mask, inside);
    sure.clamp(0.0, 1.0)
}

/// From nearly 0 to 1: how far the mask, of so many pixels, is one piece. What lies beside the
/// largest piece may be a part of the subject, and mostly is something of the ground that shines.
fn oneness(mask: &Plane, inside: f32) -> f32 {
    let (_, sizes) = cut::areas(mask);
    let largest = sizes.iter().copied().max().unwrap_or(0) as f32;
    (1.0 - 2.5 * (1.0 - largest / inside)).clamp(0.1, 1.0)
}

/// What is seen along the outline of a mask. All are shares of it.
struct Outline {
    /// How much lies on an edge of the picture.
    on_edge: f32,
    /// How much has the same colour inside as outside.
    blind: f32,
    /// How much more lies on the picture's rim, where nothing can be seen.
    on_rim: f32,
}

impl Outline {
    fn of(working: &Working, region: &Region, mask: &Plane) -> Self {
        let (width, height) = (mask.width() as isize, mask.height() as isize);
        let slope = mask.blurred(2.5);
        let (mut outline, mut on_edge, mut blind, mut on_rim) = (0.0_f32, 0.0_f32, 0.0, 0.0_f32);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            if mask.at(x, y) <= 0.5 {
                continue;
            }
            let beside = [(1, 0), (0, 1), (-1, 0), (0, -1)];
            if beside.iter().any(|(dx, dy)| mask.at(x + dx, y + dy) <= 0.5) {
                outline += 1.0;
                on_edge += 1.0 - working.edges.at(x, y).min(1.0);
                let inwards = (
                    slope.at(x + 1, y) - slope.at(x - 1, y),
                    slope.at(x, y + 1) - slope.at(x, y - 1),
                );
                blind += f32::from(u8::from(!differs_across(working, (x, y), inwards)));
            } else if !region.given && (x == 0 || y == 0 || x + 1 == width || y + 1 == height) {
                on_rim += 1.0;
            }
        }
        Self {
            on_edge: on_edge / outline.max(1.0),
            blind: blind / outline.max(1.0),
            on_rim: on_rim / (outline + on_rim).max(1.0),
        }
    }

    /// An outline that runs through one and the same surface is a guess: a few places of it may be
    /// soft, a third of it makes the rest worthless.
    fn borne_out(&self) -> f32 {
        (1.0 - 3.0 * (self.blind - 0.03)).clamp(0.05, 1.0)
    }
}

/// Whether the picture differs a few pixels to either side of the outline.
fn differs_across(working: &Working, (x, y): (isize, isize), (dx, dy): (f32, f32)) -> bool {
    const REACH: f32 = 4.0;
    /// Squared OKLab distance that can be told without looking closely.
    const SEEN: f32 = 0.035 * 0.035;
    let length = dx.hypot(dy).max(1e-6);
    let look = |side: f32| {
        let across = |at: isize, step: f32, most: usize| {
            let moved = at as f32 + side * REACH * step / length;
            (moved.round().max(0.0) as usize).min(most - 1)
        };
        let (x, y) = (across(x, dx, working.width), across(y, dy, working.height));
        working.smooth[y * working.width + x]
    };
    let (inside, outside) = (look(1.0), look(-1.0));
    (0..3).map(|axis| (inside[axis] - outside[axis]).powi(2)).sum::<f32>() > SEEN
}

/// The subject with a margin of two pixels.
fn cropped_to_subject(subject: &Picture) -> Picture {
    const SEEN: u8 = 8;
    let seen = subject.pixels.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[3] >= SEEN);
    let bounds = seen.fold(None, |bounds: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x), bottom.max(y)])
    });
    let Some([left, top, right, bottom]) = bounds else { return subject.clone() };
    let (left, top) = (left.saturating_sub(2), top.saturating_sub(2));
    subject.cropped(left, top, right + 3 - left, bottom + 3 - top)
}
