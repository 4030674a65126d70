//! Colour models: mixtures of Gaussians over colour and texture.

/// What a pixel looks like: OKLab, and how much happens around it.
pub(super) type Look = [f32; AXES];

/// Lightness, green–red, blue–yellow, texture.
pub(super) const AXES: usize = 4;

/// The least variance of a component, so that a flat area does not become a needle.
const LEAST_VARIANCE: f32 = 2e-4;

/// A mixture of Gaussians with full covariance.
#[derive(Clone, Debug)]
pub(super) struct Mixture {
    components: Vec<Component>,
}

#[derive(Clone, Debug)]
struct Component {
    mean: Look,
    /// The inverse covariance, in rows.
    inverse: [Look; AXES],
    /// The logarithm of weight over normalising factor.
    scale: f32,
}

impl Mixture {
    /// Fits `count` components to weighted colours: k-means++ with fixed draws, then Lloyd's steps.
    pub(super) fn fit(samples: &[(Look, f32)], count: usize) -> Self {
        const ROUNDS: usize = 8;
        let mut means = starting_means(samples, count);
        for _ in 0..ROUNDS {
            let mut sums = vec![([0.0_f32; AXES], 0.0_f32); means.len()];
            for (color, weight) in samples {
                let (sum, total) = &mut sums[nearest(&means, *color)];
                (0..AXES).for_each(|axis| sum[axis] += color[axis] * weight);
                *total += weight;
            }
            for (mean, (sum, total)) in means.iter_mut().zip(sums) {
                if total > 0.0 {
                    *mean = sum.map(|value| value / total);
                }
            }
        }
        Self { components: components(samples, &means) }
    }

    /// The negative logarithm of the density at a colour.
    pub(super) fn cost(&self, color: Look) -> f32 {
        let logs = self.components.iter().map(|component| component.log_density(color));
        let (best, sum) = logs.fold((f32::NEG_INFINITY, 0.0_f32), |(best, sum), log| {
            if log > best {
                (log, sum * (best - log).exp() + 1.0)
            } else {
                (best, sum + (log - best).exp())
            }
        });
        if sum > 0.0 { -(best + sum.ln()) } else { 50.0 }
    }
}

impl Component {
    fn log_density(&self, color: Look) -> f32 {
        let offset: Look = std::array::from_fn(|axis| color[axis] - self.mean[axis]);
        let row = |row: &Look| row.iter().zip(&offset).map(|(a, b)| a * b).sum::<f32>();
        let distance: f32 = self.inverse.iter().zip(&offset).map(|(r, o)| row(r) * o).sum();
        self.scale - distance / 2.0
    }
}

fn starting_means(samples: &[(Look, f32)], count: usize) -> Vec<Look> {
    let Some((first, _)) = samples.get(samples.len() / 2) else { return vec![[0.0; AXES]] };
    let mut means = vec![*first];
    // The golden ratio spreads the draws evenly; the same picture always gives the same model.
    let mut draw = 0.5_f64;
    while means.len() < count {
        let far: Vec<f64> = samples
            .iter()
            .map(|(color, weight)| {
                f64::from(distance(means[nearest(&means, *color)], *color) * weight)
            })
            .collect();
        let total: f64 = far.iter().sum();
        if total <= 1e-9 {
            break;
        }
        draw = (draw + 0.618_033_988_749_895).fract();
        let mut left = draw * total;
        let chosen = far.iter().position(|share| {
            left -= share;
            left <= 0.0
        });
        means.push(samples[chosen.unwrap_or(samples.len() - 1)].0);
    }
    means
}

fn nearest(means: &[Look], color: Look) -> usize {
    let by_distance =
        |a: &usize, b: &usize| distance(means[*a], color).total_cmp(&distance(means[*b], color));
    (0..means.len()).min_by(by_distance).unwrap_or(0)
}

pub(super) fn distance(a: Look, b: Look) -> f32 {
    a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum()
}

fn components(samples: &[(Look, f32)], means: &[Look]) -> Vec<Component> {
    let mut moments = vec![([[0.0_f32; AXES]; AXES], 0.0_f32); means.len()];
    for (color, weight) in samples {
        let own = nearest(means, *color);
        let (matrix, total) = &mut moments[own];
        let offset: Look = std::array::from_fn(|axis| color[axis] - means[own][axis]);
        for (row, left) in matrix.iter_mut().zip(&offset) {
            row.iter_mut().zip(&offset).for_each(|(cell, right)| *cell += left * right * weight);
        }
        *total += weight;
    }
    let all: f32 = moments.iter().map(|(_, total)| total).sum();
    let some = moments.into_iter().zip(means).filter(|((_, total), _)| *total > 0.0);
    some.map(|((matrix, total), mean)| {
        let mut covariance = matrix.map(|row| row.map(|cell| cell / total));
        (0..AXES).for_each(|axis| covariance[axis][axis] += LEAST_VARIANCE);
        let (inverse, determinant) = inverted(covariance);
        let scale = (total / all).ln()
            - 0.5 * determinant.ln()
            - 0.5 * AXES as f32 * std::f32::consts::TAU.ln();
        Component { mean: *mean, inverse, scale }
    })
    .collect()
}

/// The inverse and the determinant of a symmetric, positive definite matrix (Gauss–Jordan).
fn inverted(mut matrix: [Look; AXES]) -> ([Look; AXES], f32) {
    let mut inverse = [[0.0; AXES]; AXES];
    (0..AXES).for_each(|axis| inverse[axis][axis] = 1.0);
    let mut determinant = 1.0;
    for pivot in 0..AXES {
        let value = matrix[pivot][pivot].max(1e-9);
        determinant *= value;
        let own = matrix[pivot].map(|cell| cell / value);
        let own_inverse = inverse[pivot].map(|cell| cell / value);
        (matrix[pivot], inverse[pivot]) = (own, own_inverse);
        for row in (0..AXES).filter(|row| *row != pivot) {
            let factor = matrix[row][pivot];
            (0..AXES).for_each(|column| {
                matrix[row][column] -= factor * own[column];
                inverse[row][column] -= factor * own_inverse[column];
            });
        }
    }
    (inverse, determinant.max(1e-20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_two_clouds_apart() {
        let cloud = |middle: Look| {
            (0..200).map(move |n| {
                let off = |k: usize| ((n * k % 17) as f32 / 17.0 - 0.5) * 0.1;
                (
                    [
                        middle[0] + off(3),
                        middle[1] + off(5),
                        middle[2] + off(7),
                        middle[3] + off(11),
                    ],
                    1.0,
                )
            })
        };
        let (red, blue) = ([0.6, 0.2, 0.1, 0.0], [0.4, 0.0, -0.2, 0.0]);
        let mixture = Mixture::fit(&cloud(red).collect::<Vec<_>>(), 3);
        assert!(mixture.cost(red) + 5.0 < mixture.cost(blue));
        assert!(Mixture::fit(&[], 4).cost(red).is_finite());
    }

    #[test]
    fn inverts() {
        let matrix = [
            [2.0, 0.5, 0.0, 0.1],
            [0.5, 1.0, 0.2, 0.0],
            [0.0, 0.2, 3.0, 0.3],
            [0.1, 0.0, 0.3, 1.5],
        ];
        let (inverse, determinant) = inverted(matrix);
        for (at, row) in matrix.iter().enumerate() {
            let product: Look =
                std::array::from_fn(|column| (0..AXES).map(|k| row[k] * inverse[k][column]).sum());
            assert!(
                product
                    .iter()
                    .enumerate()
                    .all(|(k, cell)| (cell - f32::from(u8::from(at == k))).abs() < 1e-5)
            );
        }
        assert!(determinant > 0.0);
    }
}
