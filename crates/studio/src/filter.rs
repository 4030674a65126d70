//! Small filters for sound at the studio's one sample rate.
//!
//! The second-order sections follow the well-known audio equaliser cookbook of R. Bristow-Johnson.

/// Samples per second of everything that the studio plays and says.
pub(crate) const SAMPLE_RATE: u32 = 48_000;

/// Fades the first and last samples so that nothing clicks.
pub(crate) fn round_edges(samples: &mut [f32], rise_s: f32, fall_s: f32) {
    let rise = (rise_s * SAMPLE_RATE as f32).max(1.0);
    let fall = (fall_s * SAMPLE_RATE as f32).max(1.0);
    for (place, sample) in samples.iter_mut().take(rise as usize).enumerate() {
        *sample *= place as f32 / rise;
    }
    for (place, sample) in samples.iter_mut().rev().take(fall as usize).enumerate() {
        *sample *= place as f32 / fall;
    }
}

/// A first-order filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnePole {
    share: f32,
    state: f32,
}

impl OnePole {
    /// Lets pass what is below `hz`.
    pub(crate) fn low_pass(hz: f32) -> Self {
        let share = 1.0 - (-std::f32::consts::TAU * hz / SAMPLE_RATE as f32).exp();
        Self { share, state: 0.0 }
    }

    /// A follower that needs `seconds` to come near its input.
    pub(crate) fn over(seconds: f32) -> Self {
        let share = 1.0 - (-1.0 / (seconds * SAMPLE_RATE as f32).max(1.0)).exp();
        Self { share, state: 0.0 }
    }

    pub(crate) fn next(&mut self, sample: f32) -> f32 {
        self.state += self.share * (sample - self.state);
        self.state
    }
}

/// A second-order filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Biquad {
    forward: [f32; 3],
    back: [f32; 2],
    held: [f32; 2],
}

impl Biquad {
    fn new(forward: [f32; 3], back: [f32; 3]) -> Self {
        let [scale, one, two] = back;
        Self {
            forward: forward.map(|f| f / scale),
            back: [one / scale, two / scale],
            held: [0.0; 2],
        }
    }

    /// Cosine and half-width of the pole angle for a corner at `hz`.
    fn angle(hz: f32, q: f32) -> (f32, f32) {
        let w = std::f32::consts::TAU * hz.min(SAMPLE_RATE as f32 * 0.45) / SAMPLE_RATE as f32;
        (w.cos(), w.sin() / (2.0 * q))
    }

    pub(crate) fn low_pass(hz: f32, q: f32) -> Self {
        let (c, a) = Self::angle(hz, q);
        Self::new([(1.0 - c) / 2.0, 1.0 - c, (1.0 - c) / 2.0], [1.0 + a, -2.0 * c, 1.0 - a])
    }

    pub(crate) fn high_pass(hz: f32, q: f32) -> Self {
        let (c, a) = Self::angle(hz, q);
        Self::new([(1.0 + c) / 2.0, -1.0 - c, (1.0 + c) / 2.0], [1.0 + a, -2.0 * c, 1.0 - a])
    }

    pub(crate) fn band_pass(hz: f32, q: f32) -> Self {
        let (c, a) = Self::angle(hz, q);
        Self::new([a, 0.0, -a], [1.0 + a, -2.0 * c, 1.0 - a])
    }

    /// Raises or lowers what is around `hz` by `gain_db`.
    pub(crate) fn peak(hz: f32, q: f32, gain_db: f32) -> Self {
        let (c, a) = Self::angle(hz, q);
        let g = 10.0_f32.powf(gain_db / 40.0);
        Self::new([1.0 + a * g, -2.0 * c, 1.0 - a * g], [1.0 + a / g, -2.0 * c, 1.0 - a / g])
    }

    /// Raises or lowers what is above `hz` by `gain_db`.
    pub(crate) fn high_shelf(hz: f32, gain_db: f32) -> Self {
        let (c, a) = Self::angle(hz, std::f32::consts::FRAC_1_SQRT_2);
        let g = 10.0_f32.powf(gain_db / 40.0);
        let r = 2.0 * g.sqrt() * a;
        let (p, m) = (g + 1.0, g - 1.0);
        Self::new(
            [g * (p + m * c + r), -2.0 * g * (m + p * c), g * (p + m * c - r)],
            [p - m * c + r, 2.0 * (m - p * c), p - m * c - r],
        )
    }

    pub(crate) fn next(&mut self, sample: f32) -> f32 {
        let [f0, f1, f2] = self.forward;
        let out = f0 * sample + self.held[0];
        self.held[0] = f1 * sample - self.back[0] * out + self.held[1];
        self.held[1] = f2 * sample - self.back[1] * out;
        out
    }
}
