//! A scene as a place to walk in: its mesh, what is seen all around, and where one may go.
//!
//! Invariants: the mesh, the panorama and the document are of one scene; the document names the two
//! files by digest; lengths in it are metres, y is up.

use std::f32::consts::TAU;

use impasto_domain::{AssetRef, Digest, MediaFacts, Result, Workbench};
use serde_json::{Value as Json, json};

use crate::glb::{Glb, Standing};
use crate::material::Material;
use crate::mesh::Mesh;
use crate::noise::{Dice, fractal};
use crate::render::{Lens, Stage, TABLE, panorama, tone};
use crate::scene::{Make, Place, Scene, Subject, SubjectKind, SurfaceForm};
use crate::shape::Placed;
use crate::subject;
use crate::vector::{V3, hypot, mix, smooth, v3};

/// Media type of the document.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.impasto.world+json";
/// Rows of the panorama, in pixels.
const PANORAMA_ROWS: u32 = 768;
/// Triangles of the main body and of each other one.
const BODY_TRIANGLES: (usize, usize) = (16_000, 5_000);
/// Metres for a unit of the scene, indoors, where the surface is a table top.
const INDOOR_SCALE: f32 = 0.25;
/// How far the floor of a room lies below its table top, in units of the scene.
const FLOOR: f32 = 5.0;
/// Half the side of the ground outdoors, in metres.
const LAND: f32 = 48.0;

/// The three files of a world.
pub(crate) struct World {
    pub(crate) document: AssetRef,
    pub(crate) mesh: AssetRef,
    pub(crate) panorama: AssetRef,
}

/// How the scene lies in the world.
struct Layout {
    indoors: bool,
    scale: f32,
    lift: f32,
    spawn: V3,
    reach: f32,
}

impl Layout {
    fn of(scene: &Scene) -> Self {
        let indoors = matches!(scene.place, Place::Kitchen | Place::DimRoom);
        if indoors {
            return Self {
                indoors,
                scale: INDOOR_SCALE,
                lift: FLOOR * INDOOR_SCALE,
                spawn: v3(0.0, 1.65, 1.9),
                reach: 2.2,
            };
        }
        // On a plinth or a table outdoors the ground is lower than what one looks at.
        let lift = match scene.surface.form {
            SurfaceForm::Plinth => 1.0,
            SurfaceForm::Table => FLOOR * INDOOR_SCALE,
            SurfaceForm::Ground | SurfaceForm::Sweep => 0.0,
        };
        let scale = match scene.surface.form {
            SurfaceForm::Plinth => 0.5,
            SurfaceForm::Table => INDOOR_SCALE,
            SurfaceForm::Ground | SurfaceForm::Sweep => {
                scene.subjects.first().map_or(1.0, |subject| match subject.kind {
                    SubjectKind::House => 3.4,
                    SubjectKind::Tree | SubjectKind::Rocket => 4.0,
                    SubjectKind::Car => 1.5,
                    _ => 1.0,
                })
            }
        };
        Self { indoors, scale, lift, spawn: v3(0.0, 1.65, 4.0 + 1.6 * scale), reach: 14.0 }
    }

    fn world(&self, p: V3) -> V3 {
        p * self.scale + v3(0.0, self.lift, 0.0)
    }

    fn scene(&self, p: V3) -> V3 {
        (p - v3(0.0, self.lift, 0.0)) / self.scale
    }
}

/// Makes the world of `scene` and keeps its files.
pub(crate) fn make(scene: &Scene, text: &str, bench: &dyn Workbench) -> Result<World> {
    let layout = Layout::of(scene);
    let lens = Lens::new(scene, 16.0 / 9.0);
    let mut stage = Stage::furnished(scene, &lens);
    let obstacles = scatter(scene, &layout, &mut stage);
    bench.progress(0.1, "meshing");
    let (glb, triangles) = build(scene, &layout, &stage, bench)?;
    let facts = MediaFacts { triangles: Some(triangles), ..MediaFacts::default() };
    let mesh = bench.write(glb, "model/gltf-binary", facts)?;
    bench.progress(0.5, "looking around");
    let panorama =
        panorama(scene, &stage, layout.scene(layout.spawn), PANORAMA_ROWS, bench)?.write(bench)?;
    let document = document(scene, (text, &layout), (&mesh, &panorama), &obstacles);
    let bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    let document = bench.write(
        bytes,
        MEDIA_TYPE,
        MediaFacts { triangles: Some(triangles), ..MediaFacts::default() },
    )?;
    Ok(World { document, mesh, panorama })
}

/// Trees or stones around, where there is land; gives what one cannot walk through: x, z, radius.
fn scatter(scene: &Scene, layout: &Layout, stage: &mut Stage) -> Vec<[f32; 3]> {
    let mut blocked: Vec<[f32; 3]> = Vec::new();
    if matches!(scene.surface.form, SurfaceForm::Table) {
        blocked.push([0.0, 0.0, TABLE.0 * layout.scale]);
    }
    for placed in &stage.bodies {
        let wide =
            (placed.body.high.x - placed.body.low.x).max(placed.body.high.z - placed.body.low.z);
        let at = layout.world(placed.at);
        blocked.push([at.x, at.z, wide * placed.scale * layout.scale * 0.5 + 0.15]);
    }
    let kind = match scene.place {
        Place::Forest | Place::Sky | Place::Mountains => SubjectKind::Tree,
        Place::Sunset | Place::Beach | Place::Space => SubjectKind::Ball,
        _ => return blocked,
    };
    if scene.surface.form != SurfaceForm::Ground {
        return blocked;
    }
    let mut dice = Dice::new(scene.seed, "scatter");
    let kinds: Vec<Subject> = (0..2)
        .map(|_| Subject {
            kind,
            color: if kind == SubjectKind::Tree {
                v3(0.07, 0.17, 0.05) * dice.between(0.7, 1.5)
            } else {
                v3(0.25, 0.22, 0.19)
            },
            make: if kind == SubjectKind::Tree { Make::Usual } else { Make::Stone },
            seed: dice.next(),
        })
        .collect();
    let bodies: Vec<_> = kinds.iter().map(subject::body).collect();
    let count = if scene.place == Place::Forest { 16 } else { 8 };
    for _ in 0..count {
        let (around, away) = (dice.between(0.0, TAU), dice.between(5.5, 17.0));
        let (x, z) = (around.sin() * away, around.cos() * away);
        let scale =
            if kind == SubjectKind::Tree { dice.between(2.6, 5.2) } else { dice.between(0.3, 1.1) };
        let before_spawn = x.abs() < 1.6 && z > 0.0;
        let crowded = blocked.iter().any(|[bx, bz, _]| hypot(bx - x, bz - z) < 1.8);
        let body = bodies.get(dice.below(bodies.len()));
        if let (false, false, Some(body)) = (before_spawn, crowded, body) {
            blocked.push([x, z, 0.12 * scale + 0.2]);
            let sunk = if kind == SubjectKind::Tree { 0.0 } else { -0.35 * scale };
            let (at, scale) = (layout.scene(v3(x, sunk, z)), scale / layout.scale);
            stage.bodies.push(Placed::new(body.clone(), at, scale, dice.between(0.0, TAU)));
        }
    }
    blocked
}

fn build(
    scene: &Scene,
    layout: &Layout,
    stage: &Stage,
    bench: &dyn Workbench,
) -> Result<(Vec<u8>, u64)> {
    let mut glb = Glb::default();
    let mut known: Vec<(V3, V3, usize)> = Vec::new();
    for (index, placed) in stage.bodies.iter().enumerate() {
        // Equal bodies (by their boxes) share one mesh.
        let shared = known
            .iter()
            .find(|(low, high, _)| *low == placed.body.low && *high == placed.body.high);
        let number = match shared {
            Some((_, _, number)) => *number,
            None => {
                let wanted = if index == 0 { BODY_TRIANGLES.0 } else { BODY_TRIANGLES.1 };
                let number = glb.mesh(&Mesh::of_body(&placed.body, wanted, bench)?, false);
                known.push((placed.body.low, placed.body.high, number));
                number
            }
        };
        let standing = Standing {
            name: "body",
            at: layout.world(placed.at),
            yaw: placed.yaw,
            scale: placed.scale * layout.scale,
        };
        glb.stand(number, &standing);
    }
    if scene.surface.form == SurfaceForm::Plinth {
        let number =
            glb.mesh(&Mesh::of_body(&subject::empty_stage(scene), BODY_TRIANGLES.1, bench)?, false);
        glb.stand(number, &Standing { name: "plinth", at: V3::ZERO, yaw: 0.0, scale: 1.0 });
    }
    let origin = Standing { name: "surroundings", at: V3::ZERO, yaw: 0.0, scale: 1.0 };
    if !layout.indoors {
        let land = land(scene, stage);
        let number = glb.mesh(&land, false);
        glb.stand(number, &Standing { name: "ground", ..origin });
    }
    let around = surroundings(scene, layout, stage);
    let number = glb.mesh(&around, true);
    glb.stand(number, &Standing { name: "surroundings", at: V3::ZERO, yaw: 0.0, scale: 1.0 });
    let triangles = glb.triangles();
    Ok((glb.finish()?, triangles))
}

/// The ground outdoors: flat where one walks, rolling beyond.
fn land(scene: &Scene, stage: &Stage) -> Mesh {
    const SIDE: u32 = 96;
    let seed = scene.seed as u32 ^ 77;
    let rolling =
        !matches!(scene.place, Place::Studio | Place::Plain | Place::CityNight | Place::Beach);
    let material = if scene.surface.form == SurfaceForm::Ground {
        &stage.ground_material
    } else {
        &stage.floor_material
    };
    let height = |x: f32, z: f32| {
        let far = smooth(16.0, LAND, hypot(x, z)) * if rolling { 1.0 } else { 0.0 };
        far * (2.2 + 5.0 * fractal(x * 0.05, z * 0.05, 4, 0.0, seed))
    };
    let mut mesh = Mesh::default();
    for row in 0..=SIDE {
        for column in 0..=SIDE {
            // Finer in the middle, where one is.
            let spread = |step: u32| {
                let t = step as f32 / SIDE as f32 * 2.0 - 1.0;
                t * mix(0.25, 1.0, t * t) * LAND
            };
            let (x, z) = (spread(column), spread(row));
            let y = height(x, z);
            let n = v3(
                height(x - 0.3, z) - height(x + 0.3, z),
                0.6,
                height(x, z - 0.3) - height(x, z + 0.3),
            )
            .unit();
            let look = material.look(v3(x, 0.0, z), 0.12);
            mesh.vertex(v3(x, y, z), n, look.color.max(V3::ZERO).min(V3::ONE));
        }
    }
    let at = |column: u32, row: u32| row * (SIDE + 1) + column;
    let cells = (0..SIDE * SIDE).map(|k| (k % SIDE, k / SIDE));
    let corners: Vec<_> =
        cells.map(|(x, z)| [at(x, z), at(x, z + 1), at(x + 1, z + 1), at(x + 1, z)]).collect();
    mesh.sheet(&corners, Material::paint(material.color, material.rough));
    mesh
}

/// The sky, or the walls of the room, as a shell that carries its own light.
fn surroundings(scene: &Scene, layout: &Layout, stage: &Stage) -> Mesh {
    const COLUMNS: u32 = 192;
    const ROWS: u32 = 96;
    let eye = v3(0.0, 1.0, 0.0);
    let mut mesh = Mesh::default();
    for row in 0..=ROWS {
        for column in 0..=COLUMNS {
            let to = crate::backdrop::direction(
                column as f32 / COLUMNS as f32,
                row as f32 / ROWS as f32,
            );
            let light = stage.backdrop.paint(eye, to);
            // Indoors the shell is the box of the room, outdoors a dome far away.
            let place = if layout.indoors {
                layout.world(eye + to * stage.backdrop.room_reach(eye, to))
            } else {
                to * (LAND * 1.3)
            };
            mesh.vertex(place, -to, tone(light, scene));
        }
    }
    let at = |column: u32, row: u32| row * (COLUMNS + 1) + column;
    let cells = (0..ROWS * COLUMNS).map(|k| (k % COLUMNS, k / COLUMNS));
    let corners: Vec<_> =
        cells.map(|(x, y)| [at(x, y), at(x, y + 1), at(x + 1, y + 1), at(x + 1, y)]).collect();
    mesh.sheet(&corners, Material::paint(V3::ONE, 1.0));
    mesh
}

fn document(
    scene: &Scene,
    (text, layout): (&str, &Layout),
    files: (&AssetRef, &AssetRef),
    obstacles: &[[f32; 3]],
) -> Json {
    let (mesh, panorama) = files;
    let target = layout.world(v3(0.0, 0.5, 0.0));
    let edge: Vec<[f32; 2]> = if layout.indoors {
        vec![[-2.6, -2.0], [2.6, -2.0], [2.6, 3.1], [-2.6, 3.1]]
    } else {
        (0..16)
            .map(|k| (k as f32 / 16.0 * TAU).sin_cos())
            .map(|(s, c)| [s * layout.reach, c * layout.reach])
            .collect()
    };
    let file =
        |asset: &AssetRef| json!({"digest": digest(&asset.digest), "media_type": asset.media_type});
    let mut seen = file(panorama);
    if let Some(seen) = seen.as_object_mut() {
        seen.insert("projection".to_owned(), json!("equirectangular"));
        seen.insert("position".to_owned(), list(layout.spawn));
    }
    json!({
        "format": "impasto-world",
        "version": 1,
        "units": "metres",
        "up": "y",
        "generator": "procedural",
        "description": text,
        "seed": scene.seed,
        "mesh": file(mesh),
        "panorama": seen,
        "spawn": {"position": list(layout.spawn), "look_at": list(target), "eye_height": 1.65},
        "walkable": {
            "polygon": edge,
            "obstacles": obstacles.iter().map(|[x, z, r]| json!({"centre": [x, z], "radius": r})).collect::<Vec<_>>(),
        },
        "light": {
            "towards": list(crate::backdrop::towards_light(scene)),
            "color": list(scene.light.color),
            "strength": scene.light.strength,
        },
        "cameras": cameras(layout, target),
    })
}

/// Paths for a camera: around what the world is about, up to it, and past it.
fn cameras(layout: &Layout, target: V3) -> Json {
    let away = (layout.spawn - target).length().min(layout.reach * 0.8);
    let around: Vec<Json> = (0..=12)
        .map(|k| {
            let (sin, cos) = (k as f32 / 12.0 * TAU).sin_cos();
            let place = v3(target.x + sin * away, layout.spawn.y, target.z + cos * away);
            json!({"time_s": k, "position": list(place), "look_at": list(target)})
        })
        .collect();
    let near = target + (layout.spawn - target) * 0.45;
    let (left, right) =
        (layout.spawn - v3(away * 0.5, 0.0, 0.0), layout.spawn + v3(away * 0.5, 0.0, 0.0));
    let key = |time: f32, place: V3| json!({"time_s": time, "position": list(place), "look_at": list(target)});
    json!([
        {"name": "orbit", "loop": true, "keyframes": around},
        {"name": "push-in", "loop": false, "keyframes": [key(0.0, layout.spawn), key(6.0, near)]},
        {"name": "pass-by", "loop": false, "keyframes": [key(0.0, left), key(8.0, right)]},
    ])
}

fn list(p: V3) -> Json {
    json!([p.x, p.y, p.z])
}

fn digest(digest: &Digest) -> String {
    digest.to_string()
}
