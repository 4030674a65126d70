//! Bodies as triangles: surface nets over a grid of distances.
//!
//! Invariants: every normal has length one and comes from the distances themselves; triangles wind
//! counter-clockwise seen from outside; the same body and size of grid give the same mesh.

use impasto_domain::{Result, Workbench};

use crate::material::Material;
use crate::render::rows;
use crate::shape::Body;
use crate::vector::{V3, v3};

/// Triangles of one material or of several, over shared vertices.
#[derive(Default)]
pub(crate) struct Mesh {
    /// Where the vertices are.
    pub(crate) places: Vec<V3>,
    /// Which way the surface faces there.
    pub(crate) normals: Vec<V3>,
    /// Its colour there, linear.
    pub(crate) colors: Vec<V3>,
    /// For each material three vertices for each triangle.
    pub(crate) groups: Vec<(Material, Vec<u32>)>,
}

/// Most cells of a grid.
const MAX_CELLS: f32 = 24e6;
/// Cells along the longest side of the first, coarse grid.
const COARSE: f32 = 40.0;
/// Side of a block of cells that is skipped whole if it is far from the skin.
const BLOCK: usize = 6;

impl Mesh {
    /// How many triangles it has.
    pub(crate) fn triangles(&self) -> usize {
        self.groups.iter().map(|(_, corners)| corners.len() / 3).sum()
    }

    /// A body as about `wanted` triangles.
    pub(crate) fn of_body(body: &Body, wanted: usize, bench: &dyn Workbench) -> Result<Mesh> {
        let longest = (body.high - body.low).most().max(1e-3);
        let mut cell = longest / COARSE;
        let rough = Grid::new(body, cell, bench)?.mesh(body);
        // Triangles grow with the square of the fineness; the second guess corrects the first.
        cell *= (rough.triangles().max(1) as f32 / wanted.max(1) as f32).sqrt();
        Ok(Grid::new(body, cell, bench)?.mesh(body))
    }

    /// Where a wall is thinner than the grid, the nearest skin may be the other one: there the
    /// triangles themselves say which way the surface faces.
    fn agree(&mut self) {
        let mut faces = vec![V3::ZERO; self.places.len()];
        let place = |number: u32| self.places.get(number as usize).copied().unwrap_or_default();
        for corners in self.groups.iter().flat_map(|(_, corners)| corners.chunks_exact(3)) {
            if let [a, b, c] = corners {
                let face = (place(*b) - place(*a)).cross(place(*c) - place(*a));
                for number in corners {
                    if let Some(sum) = faces.get_mut(*number as usize) {
                        *sum += face;
                    }
                }
            }
        }
        for (normal, face) in self.normals.iter_mut().zip(faces) {
            if face.length() > 0.0 && normal.dot(face.unit()) < 0.35 {
                *normal = face.unit();
            }
        }
    }

    /// Adds a quadrilateral of one material, its corners counter-clockwise.
    pub(crate) fn sheet(&mut self, corners: &[[u32; 4]], material: Material) {
        let triangles = corners.iter().flat_map(|[a, b, c, d]| [*a, *b, *c, *a, *c, *d]).collect();
        self.groups.push((material, triangles));
    }

    /// Adds a vertex and gives its number.
    pub(crate) fn vertex(&mut self, place: V3, normal: V3, color: V3) -> u32 {
        self.places.push(place);
        self.normals.push(normal);
        self.colors.push(color);
        self.places.len() as u32 - 1
    }
}

/// Distances at the corners of cells.
struct Grid {
    low: V3,
    cell: f32,
    size: [usize; 3],
    distances: Vec<f32>,
}

impl Grid {
    fn new(body: &Body, cell: f32, bench: &dyn Workbench) -> Result<Self> {
        let span = body.high - body.low;
        let least = (span.x * span.y * span.z / MAX_CELLS).cbrt();
        let cell = cell.max(least).max(span.most() / 700.0);
        let low = body.low - V3::all(1.5 * cell);
        let count = |side: f32| (side / cell).ceil() as usize + 4;
        let size = [count(span.x), count(span.y), count(span.z)];
        let [nx, ny, nz] = size;
        let distances = rows(nx * ny, nz, bench, |z, slice: &mut [f32]| {
            // Blocks of cells far from the skin take the distance of their middle.
            let reach = BLOCK as f32 * cell * 1.3;
            for y0 in (0..ny).step_by(BLOCK) {
                for x0 in (0..nx).step_by(BLOCK) {
                    let middle = low + v3(x0 as f32 + 2.5, y0 as f32 + 2.5, z as f32) * cell;
                    let far = body.distance(middle);
                    for y in y0..(y0 + BLOCK).min(ny) {
                        for x in x0..(x0 + BLOCK).min(nx) {
                            let own =
                                || body.distance(low + v3(x as f32, y as f32, z as f32) * cell);
                            if let Some(value) = slice.get_mut(y * nx + x) {
                                *value = if far.abs() > reach { far } else { own() };
                            }
                        }
                    }
                }
            }
        })?;
        Ok(Self { low, cell, size, distances })
    }

    fn at(&self, x: usize, y: usize, z: usize) -> f32 {
        let [nx, ny, _] = self.size;
        self.distances.get((z * ny + y) * nx + x).copied().unwrap_or(f32::MAX)
    }

    /// The middle of where the skin crosses the edges of a cell, and the way out of the body; `None`
    /// if it does not.
    fn crossing(&self, x: usize, y: usize, z: usize) -> Option<(V3, V3)> {
        let corner = |k: usize| (x + (k & 1), y + (k >> 1 & 1), z + (k >> 2 & 1));
        let values: [f32; 8] = std::array::from_fn(|k| {
            let (x, y, z) = corner(k);
            self.at(x, y, z)
        });
        let inside = values.iter().filter(|value| **value < 0.0).count();
        if inside == 0 || inside == 8 {
            return None;
        }
        let (mut sum, mut count, mut slope) = (V3::ZERO, 0.0, V3::ZERO);
        for (k, a) in values.iter().enumerate() {
            for axis in [1, 2, 4] {
                let other = k | axis;
                let b = values.get(other).copied().unwrap_or_default();
                if other == k || (*a < 0.0) == (b < 0.0) {
                    continue;
                }
                let t = a / (a - b);
                let point = |k: usize| {
                    let (x, y, z) = corner(k);
                    v3(x as f32, y as f32, z as f32)
                };
                sum += point(k).mix(point(other), t);
                slope += (point(other) - point(k)) * (b - a).signum();
                count += 1.0;
            }
        }
        Some((self.low + sum * (self.cell / count), slope.unit()))
    }

    fn mesh(&self, body: &Body) -> Mesh {
        let [nx, ny, nz] = self.size;
        let mut mesh = Mesh::default();
        let mut numbers = vec![u32::MAX; nx * ny * nz];
        let mut kinds = Vec::new();
        for z in 0..nz - 1 {
            for y in 0..ny - 1 {
                for x in 0..nx - 1 {
                    let Some((place, slope)) = self.crossing(x, y, z) else { continue };
                    let (place, normal) = {
                        let corner = self.low + v3(x as f32, y as f32, z as f32) * self.cell;
                        settled(body, (place, slope), (corner, self.cell))
                    };
                    let kind = body.material_index(place).unwrap_or(0);
                    let color = body
                        .materials
                        .get(kind)
                        .map_or(V3::all(0.5), |m| m.look(place, self.cell).color);
                    let number = mesh.vertex(place, normal, color.max(V3::ZERO).min(V3::ONE));
                    kinds.push(kind);
                    if let Some(slot) = numbers.get_mut((z * ny + y) * nx + x) {
                        *slot = number;
                    }
                }
            }
        }
        mesh.groups =
            body.materials.iter().map(|material| (material.clone(), Vec::new())).collect();
        self.join(&mut mesh, &numbers, &kinds);
        mesh.agree();
        mesh.groups.retain(|(_, corners)| !corners.is_empty());
        mesh
    }

    /// Two triangles for each edge of the grid that the skin crosses.
    fn join(&self, mesh: &mut Mesh, numbers: &[u32], kinds: &[usize]) {
        let [nx, ny, nz] = self.size;
        let number = |x: usize, y: usize, z: usize| {
            numbers.get((z * ny + y) * nx + x).copied().unwrap_or(u32::MAX)
        };
        for z in 1..nz - 1 {
            for y in 1..ny - 1 {
                for x in 1..nx - 1 {
                    let here = self.at(x, y, z) < 0.0;
                    let around = [
                        (
                            (x + 1, y, z),
                            [
                                number(x, y - 1, z - 1),
                                number(x, y, z - 1),
                                number(x, y, z),
                                number(x, y - 1, z),
                            ],
                        ),
                        (
                            (x, y + 1, z),
                            [
                                number(x - 1, y, z - 1),
                                number(x - 1, y, z),
                                number(x, y, z),
                                number(x, y, z - 1),
                            ],
                        ),
                        (
                            (x, y, z + 1),
                            [
                                number(x - 1, y - 1, z),
                                number(x, y - 1, z),
                                number(x, y, z),
                                number(x - 1, y, z),
                            ],
                        ),
                    ];
                    for ((ox, oy, oz), [a, b, c, d]) in around {
                        let there = self.at(ox, oy, oz) < 0.0;
                        if here == there || [a, b, c, d].contains(&u32::MAX) {
                            continue;
                        }
                        let corners = if here { [a, b, c, a, c, d] } else { [a, c, b, a, d, c] };
                        let kind = kinds.get(c as usize).copied().unwrap_or(0);
                        if let Some((_, triangles)) = mesh.groups.get_mut(kind) {
                            triangles.extend(corners);
                        }
                    }
                }
            }
        }
    }
}

/// A point near the skin moved onto it, and the normal there. `slope` is the way out as the grid
/// sees it; where the skin itself does not agree the grid is too coarse for it, and is left alone.
fn settled(body: &Body, (mut place, slope): (V3, V3), (corner, cell): (V3, f32)) -> (V3, V3) {
    let mut normal = body.normal(place, 0.25 * cell);
    for _ in 0..2 {
        if normal.dot(slope) < 0.5 {
            return (place, slope);
        }
        // It stays in its own cell, or triangles would fold over each other.
        let moved = place - normal * body.distance(place).clamp(-0.5 * cell, 0.5 * cell);
        place = moved.max(corner).min(corner + V3::all(cell));
        normal = body.normal(place, 0.25 * cell);
    }
    (place, normal)
}
