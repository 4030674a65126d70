//! Rooms: a box whose far wall is hung with things, lit by a window or by lamps.
//!
//! Invariant: all that chance decides is decided in [`Interior::new`]; painting only looks.

use crate::noise::{Dice, fractal, noise};
use crate::scene::{Place, Scene};
use crate::vector::{V3, mix, smooth, v3};

/// A room around the scene.
pub(super) struct Interior {
    wall: V3,
    floor: V3,
    items: Vec<Item>,
    pools: Vec<Pool>,
    window: Option<Window>,
    daylight: f32,
    light_side: f32,
    seed: u32,
}

/// A thing on or before the far wall.
struct Item {
    at: (f32, f32),
    half: (f32, f32),
    color: V3,
    form: ItemForm,
}

#[derive(Clone, Copy)]
enum ItemForm {
    Panel,
    Round,
    Turned,
    Leafy,
    Shade,
}

/// Light of a lamp on the wall.
struct Pool {
    at: (f32, f32),
    width: f32,
    color: V3,
}

/// A window in the far wall.
struct Window {
    at: f32,
    half: f32,
    low: f32,
    high: f32,
    panes: (f32, f32),
    curtain: f32,
    sky: V3,
    leaves: f32,
}

/// Where the walls are: half width, floor, ceiling, far wall, wall behind the viewer.
const HALF_WIDTH: f32 = 11.0;
const FLOOR: f32 = -5.0;
const CEILING: f32 = 7.0;
const FAR: f32 = -9.0;
const BEHIND: f32 = 13.0;

impl Interior {
    pub(super) fn new(scene: &Scene, dice: &mut Dice) -> Self {
        let first = scene.palette.first().copied().unwrap_or(V3::all(0.6));
        let second = scene.palette.get(1).copied().unwrap_or(first);
        let mut room = Self {
            wall: first,
            floor: v3(0.20, 0.13, 0.08),
            items: Vec::new(),
            pools: Vec::new(),
            window: None,
            daylight: 1.0,
            light_side: scene.light.azimuth_deg.signum(),
            seed: dice.next() as u32,
        };
        if scene.place == Place::Kitchen {
            room.furnish_kitchen(first, second, dice);
        } else {
            room.furnish_dim_room(first, second, dice);
        }
        room
    }

    fn furnish_kitchen(&mut self, first: V3, second: V3, dice: &mut Dice) {
        let white = v3(0.82, 0.80, 0.76);
        self.wall = white.mix(first, 0.6) * v3(0.92, 0.86, 0.77);
        let at = self.light_side * dice.between(-0.6, 3.0);
        let half = dice.between(1.9, 2.9);
        let window = Window {
            at,
            half,
            low: dice.between(-0.75, -0.25),
            high: dice.between(3.4, 5.2),
            panes: (if dice.chance(0.6) { 2.0 } else { 3.0 }, 2.0 + dice.below(2) as f32),
            curtain: if dice.chance(0.7) { dice.sign() } else { 0.0 },
            sky: v3(5.6, 6.2, 7.0) * dice.between(0.8, 1.1),
            leaves: dice.between(-0.1, 0.45),
        };
        // Counter and cupboards below the window, the length of the wall.
        let cupboard = white.mix(second, 0.75) * 0.55;
        self.panel((0.0, -3.4), (HALF_WIDTH, 1.75), cupboard);
        for door in 0..7 {
            let x = -10.2 + 3.2 * door as f32 + dice.between(-0.1, 0.1);
            self.panel((x, -3.3), (0.035, 1.6), cupboard * 0.55);
        }
        self.panel((0.0, -1.52), (HALF_WIDTH, 0.13), v3(0.60, 0.52, 0.42));
        self.put_vessels((at, -1.39), half + 1.0, &[second, first, white], dice);
        for side in [-1.0, 1.0] {
            let centre = at + side * (half + dice.between(2.2, 2.9));
            let wood = v3(0.42, 0.27, 0.15);
            for level in 0..2 {
                let shelf = 0.15 + 1.45 * level as f32 + dice.between(-0.1, 0.1);
                self.panel((centre, shelf), (1.6, 0.07), wood);
                self.put_vessels((centre, shelf + 0.07), 1.4, &[second, white, first], dice);
            }
        }
        for _ in 0..1 + dice.below(2) {
            let x = at + dice.between(-0.85, 0.85) * half;
            self.panel((x, window.low + 0.26), (0.22, 0.24), v3(0.52, 0.25, 0.14));
            let high = dice.between(0.35, 0.7);
            let green = v3(0.085, 0.15, 0.05) * dice.between(0.8, 1.5);
            self.item((x, window.low + 0.45 + high), (high * 0.85, high), green, ItemForm::Leafy);
        }
        self.window = Some(window);
    }

    fn furnish_dim_room(&mut self, first: V3, second: V3, dice: &mut Dice) {
        self.daylight = 0.0;
        let dark = if first.luminance() < second.luminance() { first } else { second };
        let warm = if first.luminance() < second.luminance() { second } else { first };
        self.wall = dark.mix(v3(0.16, 0.09, 0.05), 0.5) * 0.9;
        self.floor = v3(0.05, 0.03, 0.02);
        let glow = v3(1.0, 0.56, 0.20).mix(warm * (0.6 / warm.luminance().max(0.05)), 0.25);
        // A sideboard and a bookcase, hardly lit.
        let wood = v3(0.11, 0.055, 0.028);
        let bookcase = dice.sign() * dice.between(3.0, 5.5);
        self.panel((bookcase, 0.9), (1.7, 2.9), wood * 0.6);
        for level in 0..5 {
            let shelf = -1.6 + 1.1 * level as f32;
            let mut x = bookcase - 1.5;
            while x < bookcase + 1.35 {
                let half = dice.between(0.05, 0.12);
                let high = dice.between(0.30, 0.46);
                let tints = [
                    v3(0.22, 0.06, 0.04),
                    v3(0.05, 0.09, 0.12),
                    v3(0.24, 0.16, 0.08),
                    v3(0.08, 0.10, 0.05),
                ];
                let tint = tints.get(dice.below(4)).copied().unwrap_or_default();
                self.panel(
                    (x + half, shelf + high),
                    (half * 0.9, high),
                    tint * dice.between(0.4, 1.1),
                );
                x += half * 2.0;
            }
        }
        self.panel((-bookcase * 0.6, -2.6), (2.8, 1.1), wood);
        for _ in 0..2 {
            let frame = (-bookcase * dice.between(0.2, 0.9), dice.between(1.0, 2.0));
            let half = (dice.between(0.4, 0.7), dice.between(0.5, 0.8));
            self.panel(frame, half, v3(0.25, 0.15, 0.06));
            self.panel(frame, (half.0 * 0.82, half.1 * 0.85), dark * 0.8);
        }
        let lamps = 2 + dice.below(3);
        for lamp in 0..lamps {
            let spread = (lamp as f32 + dice.between(0.15, 0.85)) / lamps as f32;
            let x = mix(-5.6, 5.6, spread);
            let y = dice.between(-0.4, 1.6);
            self.lamp((x, y), dice.between(0.30, 0.62), glow * dice.between(1.7, 2.8), dice);
        }
        // A string of small lights, and a few candles.
        let (left, right) = (dice.between(-7.0, -2.0), dice.between(1.0, 7.0));
        let (high, sag) = (dice.between(1.2, 2.6), dice.between(0.4, 1.4));
        let count = 9 + dice.below(10);
        for light in 0..count + 6 {
            let t = light as f32 / (count - 1) as f32;
            let hung =
                (mix(left, right, t), high - sag * 4.0 * t * (1.0 - t) + dice.between(-0.1, 0.1));
            let loose = (dice.between(-6.5, 6.5), dice.between(-1.6, 0.6));
            let half = dice.between(0.045, 0.065);
            let tint = glow.mix(v3(1.0, 0.8, 0.55), 0.5 * dice.unit());
            self.item(
                if light < count { hung } else { loose },
                (half, half),
                tint * dice.between(4.2, 15.0),
                ItemForm::Round,
            );
        }
    }

    fn lamp(&mut self, at: (f32, f32), size: f32, color: V3, dice: &mut Dice) {
        let hanging = dice.chance(0.35);
        let rod = if hanging { (at.1 + 4.0, 4.0) } else { (at.1 - size - 0.9, 0.9) };
        self.panel((at.0, rod.0), (0.03, rod.1), v3(0.05, 0.03, 0.02));
        self.item(at, (size, size * 0.85), color, ItemForm::Shade);
        self.pools.push(Pool { at, width: size * 3.2, color: color * 0.55 });
    }

    /// Jars, bowls and bottles along a board.
    fn put_vessels(&mut self, at: (f32, f32), half: f32, tints: &[V3], dice: &mut Dice) {
        let mut x = at.0 - half;
        while x < at.0 + half {
            let tint = tints.get(dice.below(tints.len())).copied().unwrap_or(V3::all(0.5));
            let tint = tint.mix(v3(0.45, 0.28, 0.16), 0.5 * dice.unit()) * dice.between(0.35, 0.85);
            let (wide, high) = (dice.between(0.12, 0.26), dice.between(0.16, 0.46));
            match dice.below(5) {
                0 | 1 => self.item((x + wide, at.1 + high), (wide, high), tint, ItemForm::Turned),
                2 => self.item(
                    (x + wide, at.1 + wide * 0.7),
                    (wide * 1.3, wide * 0.7),
                    tint,
                    ItemForm::Round,
                ),
                3 => {
                    self.item((x + wide, at.1 + high), (wide * 0.7, high), tint, ItemForm::Turned);
                    self.item(
                        (x + wide, at.1 + high * 2.2),
                        (wide * 0.28, high * 0.35),
                        tint,
                        ItemForm::Turned,
                    );
                }
                _ => {}
            }
            x += wide * 2.0 + dice.between(0.05, 0.6);
        }
    }

    fn panel(&mut self, at: (f32, f32), half: (f32, f32), color: V3) {
        self.item(at, half, color, ItemForm::Panel);
    }

    fn item(&mut self, at: (f32, f32), half: (f32, f32), color: V3, form: ItemForm) {
        self.items.push(Item { at, half, color, form });
    }

    /// How far the walls are in a direction.
    pub(super) fn reach(&self, from: V3, to: V3) -> f32 {
        let [tx, ty, tz] = walls(from, to);
        tx.min(ty).min(tz)
    }

    pub(super) fn paint(&self, from: V3, to: V3) -> V3 {
        let [tx, ty, tz] = walls(from, to);
        let p = from + to * tx.min(ty).min(tz);
        if tz <= tx && tz <= ty {
            return if to.z < 0.0 { self.far_wall(p.x, p.y) } else { self.plain(p) };
        }
        if ty <= tx {
            return if to.y < 0.0 { self.floor_light(p) } else { self.wall * self.even(p) * 1.1 };
        }
        self.side_wall(p)
    }

    /// Light on a plain wall.
    fn even(&self, p: V3) -> f32 {
        let lamp = mix(0.24, 0.95, self.daylight);
        lamp * (1.0 + 0.25 * (p.x / HALF_WIDTH) * self.light_side)
    }

    fn plain(&self, p: V3) -> V3 {
        let lift = smooth(FLOOR, CEILING, p.y);
        self.wall * self.even(p) * mix(0.6, 1.0, lift)
    }

    fn floor_light(&self, p: V3) -> V3 {
        let near = smooth(-HALF_WIDTH, 0.0, p.z);
        let sheen = self
            .window
            .as_ref()
            .map_or(0.0, |w| (-(p.x - w.at).powi(2) * 0.06).exp() * (1.0 - near));
        let board = (p.z / 0.9).floor();
        let seam = smooth(0.05, 0.02, p.z - board * 0.9);
        let grain = fractal(p.x * 0.5 + board * 7.0, p.z * 4.0, 4, 0.0, self.seed + 60)
            + 0.5 * noise(board * 3.7, 0.5, self.seed);
        let wood = self.floor * (1.0 + 0.5 * grain) * (1.0 - 0.6 * seam);
        wood * mix(0.9, 1.3, self.daylight) * (0.8 + 3.0 * sheen)
    }

    fn side_wall(&self, p: V3) -> V3 {
        let base = self.plain(p);
        let lit = (p.x > 0.0) == (self.light_side > 0.0);
        if !lit {
            return base;
        }
        // The light of the scene comes from this side: a window by day, a lamp by night.
        let (z, y) = (p.z - 0.5, p.y - 2.6);
        let inside = smooth(3.1, 2.9, z.abs()) * smooth(2.7, 2.5, y.abs());
        let bars = smooth(0.07, 0.12, z.abs()) * smooth(0.07, 0.12, (y - 0.4).abs());
        let glass = v3(3.4, 3.7, 4.1) * self.daylight
            + v3(2.6, 1.35, 0.5) * (1.0 - self.daylight) * (-(z * z + y * y) * 0.16).exp();
        base.mix(glass, inside * mix(0.2, 1.0, bars))
    }

    fn far_wall(&self, x: f32, y: f32) -> V3 {
        let mut color = self.wall
            * self.even(v3(x, y, FAR))
            * (1.0 + 0.08 * fractal(x * 0.4, y * 0.4, 3, 0.0, self.seed));
        if let Some(window) = &self.window {
            // Daylight spills on the wall around the window.
            let far = ((x - window.at).abs() - window.half).max(0.0);
            color *= 1.0 + 0.7 * (-far * 0.9).exp();
            let sill =
                (x - window.at).abs() < window.half + 0.25 && (y - window.low + 0.05).abs() < 0.09;
            color = if sill {
                v3(1.25, 1.22, 1.15)
            } else {
                window.paint(x, y, self.seed).unwrap_or(color)
            };
        }
        for pool in &self.pools {
            let (dx, dy) = ((x - pool.at.0) / pool.width, (y - pool.at.1) / (pool.width * 1.3));
            color += self.wall * pool.color * (2.6 * (-(dx * dx + dy * dy) * 1.1).exp());
        }
        for item in &self.items {
            if let Some(own) = item.paint(x, y, self) {
                color = own;
            }
        }
        color
    }
}

/// How far the side wall, the floor or ceiling, and the far or near wall are along a ray.
fn walls(from: V3, to: V3) -> [f32; 3] {
    let reach =
        |at: f32, o: f32, d: f32| if d.abs() < 1e-6 { f32::MAX } else { ((at - o) / d).max(0.0) };
    [
        reach(if to.x > 0.0 { HALF_WIDTH } else { -HALF_WIDTH }, from.x, to.x),
        reach(if to.y > 0.0 { CEILING } else { FLOOR }, from.y, to.y),
        reach(if to.z > 0.0 { BEHIND } else { FAR }, from.z, to.z),
    ]
}

impl Window {
    /// What is seen through it; `None` beside it.
    fn paint(&self, x: f32, y: f32, seed: u32) -> Option<V3> {
        let frame = 0.14;
        let side = (x - self.at).abs();
        let curtain_edge = self.half + 0.5;
        if self.curtain != 0.0 {
            let inner = self.at + self.curtain * (self.half * 0.62);
            let outer = self.at + self.curtain * curtain_edge;
            let drawn = (x > inner.min(outer)) && (x < inner.max(outer)) && y > -1.0;
            if drawn {
                let fold = 0.5 + 0.5 * (x * 13.0 + 1.2 * noise(x * 2.0, y * 0.5, seed)).sin();
                let behind = if side < self.half { 2.3 } else { 0.9 };
                return Some(v3(1.0, 0.96, 0.90) * behind * mix(0.62, 1.0, fold));
            }
        }
        if side > self.half + frame || y < self.low || y > self.high {
            return None;
        }
        let across = (x - self.at + self.half) / (2.0 * self.half) * self.panes.0;
        let up = (y - self.low) / (self.high - self.low) * self.panes.1;
        let bar = |share: f32, count: f32, width: f32| {
            (share - share.round()).abs() * width / count < 0.055
        };
        let barred = bar(across, self.panes.0, 2.0 * self.half)
            || bar(up, self.panes.1, self.high - self.low);
        if side > self.half || barred {
            return Some(v3(0.95, 0.94, 0.92) * 0.9);
        }
        Some(self.outside(x, y, seed))
    }

    fn outside(&self, x: f32, y: f32, seed: u32) -> V3 {
        let sky = self.sky * mix(0.8, 1.05, smooth(self.low, self.high, y));
        let crown = fractal(x * 0.55 + 4.0, y * 0.55, 5, 0.0, seed + 3)
            + fractal(x * 3.2, y * 3.2, 3, 0.0, seed + 9) * 0.5;
        let cover = smooth(-0.05, 0.10, crown + self.leaves - 0.42 * (y - self.low - 0.9));
        let sun = 0.5 + 0.5 * fractal(x * 1.7, y * 1.7, 3, 0.0, seed + 5);
        let green = v3(0.45, 0.80, 0.26).mix(v3(2.9, 3.1, 1.3), sun * sun);
        sky.mix(green, 0.9 * cover)
    }
}

impl Item {
    fn paint(&self, x: f32, y: f32, room: &Interior) -> Option<V3> {
        let (u, v) = ((x - self.at.0) / self.half.0, (y - self.at.1) / self.half.1);
        if u.abs() > 1.0 || v.abs() > 1.0 {
            return None;
        }
        let lamp = mix(0.55, 1.0, room.daylight);
        let towards = room.window.as_ref().map_or(room.light_side, |w| (w.at - x).clamp(-1.0, 1.0));
        let turned = 0.65 + 0.45 * u * towards - 0.35 * u * u;
        match self.form {
            ItemForm::Panel => Some(self.color * lamp),
            ItemForm::Round => {
                let glows = self.color.most() > 4.0;
                (u * u + v * v <= 1.0).then(|| {
                    if glows { self.color } else { self.color * lamp * (turned + 0.25 * v) }
                })
            }
            ItemForm::Turned => Some(self.color * lamp * turned),
            ItemForm::Leafy => {
                let leaf = noise(x * 6.0, y * 6.0, room.seed + 40)
                    + 0.5 * noise(x * 14.0, y * 14.0, room.seed + 41);
                let shade = 1.0 + 0.9 * noise(x * 9.0, y * 9.0, room.seed + 42) + 0.5 * v;
                (u * u + v * v + 0.9 * leaf < 0.75)
                    .then(|| self.color * lamp * shade.max(0.25) * 2.0)
            }
            ItemForm::Shade => {
                let wide = mix(1.0, 0.62, 0.5 + 0.5 * v);
                let core = 1.0 - 0.45 * (u / wide) * (u / wide) - 0.25 * v * v;
                (u.abs() < wide).then(|| self.color * core)
            }
        }
    }
}
