//! The smallest cut between subject and background, in its continuous form.
//!
//! Minimises the length of the outline, weighted low along edges of the picture, plus what each
//! pixel costs where it is put. The relaxed problem is convex, so the start does not matter; its
//! solution is nearly 0 or 1 everywhere. Unlike a cut on a grid of links it has no preference for
//! horizontal and vertical outlines.
//!
//! Source: A. Chambolle, T. Pock, "A first-order primal-dual algorithm for convex problems", 2011.

use crate::Plane;

/// How well subject (above 0.5) and background part, given for each pixel what it costs to call it
/// subject (positive) rather than background (negative), and how dear an outline is there.
pub(super) fn smallest_cut(costs: &Plane, edges: &Plane, start: &Plane, rounds: usize) -> Plane {
    const STEP: f32 = 0.35;
    let (width, height) = (costs.width(), costs.height());
    let count = width * height;
    let mut share = start.values().to_vec();
    let mut ahead = share.clone();
    let (mut across, mut down) = (vec![0.0_f32; count], vec![0.0_f32; count]);
    for _ in 0..rounds {
        for y in 0..height {
            for x in 0..width {
                let at = y * width + x;
                let right = if x + 1 < width { ahead[at + 1] - ahead[at] } else { 0.0 };
                let below = if y + 1 < height { ahead[at + width] - ahead[at] } else { 0.0 };
                let (p, q) = (across[at] + STEP * right, down[at] + STEP * below);
                let most = edges.values()[at];
                let shrink = (p.hypot(q) / most).max(1.0);
                (across[at], down[at]) = (p / shrink, q / shrink);
            }
        }
        for y in 0..height {
            for x in 0..width {
                let at = y * width + x;
                let left = if x > 0 { across[at - 1] } else { 0.0 };
                let above = if y > 0 { down[at - width] } else { 0.0 };
                let divergence = across[at] - left + down[at] - above;
                let moved = (share[at] + STEP * (divergence - costs.values()[at])).clamp(0.0, 1.0);
                ahead[at] = 2.0 * moved - share[at];
                share[at] = moved;
            }
        }
    }
    Plane::from_fn(width, height, |x, y| share[y * width + x])
}

/// The connected areas where the plane exceeds 0.5: a label for each pixel (0 is none) and the number
/// of pixels of each label.
pub(super) fn areas(mask: &Plane) -> (Vec<usize>, Vec<usize>) {
    let (width, height) = (mask.width(), mask.height());
    let mut labels = vec![0; width * height];
    let mut sizes = vec![0];
    let mut open = Vec::new();
    for first in 0..labels.len() {
        if labels[first] != 0 || mask.values()[first] <= 0.5 {
            continue;
        }
        let label = sizes.len();
        sizes.push(0);
        labels[first] = label;
        open.push(first);
        while let Some(at) = open.pop() {
            sizes[label] += 1;
            let (x, y) = (at % width, at / width);
            let around = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then_some(at + 1),
                (y > 0).then(|| at - width),
                (y + 1 < height).then_some(at + width),
            ];
            for next in around.into_iter().flatten() {
                if labels[next] == 0 && mask.values()[next] > 0.5 {
                    labels[next] = label;
                    open.push(next);
                }
            }
        }
    }
    (labels, sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_finds_a_disc_in_noise() {
        let inside = |x: usize, y: usize| (x as f32 - 30.0).hypot(y as f32 - 30.0) < 15.0;
        let costs = Plane::from_fn(60, 60, |x, y| {
            let noise = ((x * 31 + y * 17) % 13) as f32 / 6.5 - 1.0;
            if inside(x, y) { -0.5 + noise } else { 0.5 + noise }
        });
        let edges = Plane::from_fn(60, 60, |_, _| 1.0);
        let cut = smallest_cut(&costs, &edges, &Plane::new(60, 60), 150);
        let right =
            (0..3600).filter(|at| (cut.values()[*at] > 0.5) == inside(at % 60, at / 60)).count();
        assert!(right > 3500, "{right}");
    }

    #[test]
    fn areas_are_counted() {
        let mask = Plane::from_fn(10, 4, |x, _| if (3..=7).contains(&x) { 0.0 } else { 1.0 });
        let (labels, sizes) = areas(&mask);
        assert_eq!(sizes, [0, 12, 8]);
        assert_eq!((labels[0], labels[5], labels[9]), (1, 0, 2));
    }
}
