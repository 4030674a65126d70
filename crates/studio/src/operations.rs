//! The offline models of the eye, as operations: picture, clip, mesh, world.
//!
//! Invariant: an operation gives the seed that it used, and the same input with that seed gives the
//! same bytes.

use impasto_domain::{Error, MediaFacts, News, Operation, Result, Value, Values, Workbench};
use impasto_media::{Format, encode_mp4};

use crate::clip::{self, MAX_FRAMES, Move, Plan};
use crate::glb::{Glb, Standing};
use crate::mesh::Mesh;
use crate::render::{self, MAX_PIXELS, Quality};
use crate::scene::{Place, Scene, Substance, Surface, SurfaceForm};
use crate::shape::Placed;
use crate::subject;
use crate::vector::V3;
use crate::world;

/// The models of this family, by the endpoint under which the catalogue names them.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "scene-picture", run: scene_picture },
    Operation { name: "scene-clip", run: scene_clip },
    Operation { name: "scene-mesh", run: scene_mesh },
    Operation { name: "scene-world", run: scene_world },
];

/// The seed when none is given: not chance, so that a call without one can be repeated too.
const USUAL_SEED: i64 = 1;

/// Longer side of a picture when only its shape is asked for, in pixels.
const USUAL_LONGER_SIDE: f32 = 1280.0;

/// A picture of what a text describes.
fn scene_picture(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let prompt = prompt(input)?;
    let seed = seed(input);
    let size = size(input)?;
    let count = input.get("num_images").and_then(Value::as_integer).unwrap_or(1).clamp(1, 16);
    let mut images = Vec::new();
    let mut previews = 0;
    for index in 0..count {
        bench.progress(index as f64 / count as f64, "rendering");
        let scene = Scene::from_description(&prompt, seed.wrapping_add(index) as u64);
        if bench.wants_news() {
            tell_previews(&scene, size, &mut previews, bench)?;
        }
        let picture = render::picture(&scene, size, Quality::Still, bench)?;
        images.push(Value::from(picture.write(bench)?));
    }
    bench.progress(1.0, "rendered");
    Ok(Values::from([
        ("images".to_owned(), Value::from(images)),
        ("seed".to_owned(), Value::from(seed)),
    ]))
}

/// How much smaller than the picture its previews are rendered.
const PREVIEW_PARTS: [u32; 2] = [8, 4];

/// How well previews are kept: nobody keeps them, and they go over a wire.
const PREVIEW_QUALITY: u8 = 70;

/// Tells coarse renders of a picture that is about to be made, as large as it will be. They take
/// about a tenth of the time that the picture does.
fn tell_previews(
    scene: &Scene,
    (width, height): (u32, u32),
    told: &mut u32,
    bench: &dyn Workbench,
) -> Result<()> {
    for part in PREVIEW_PARTS {
        let size = ((width / part).max(2), (height / part).max(2));
        let coarse = render::picture(scene, size, Quality::Frame, bench)?;
        bench.tell(News::Picture {
            name: "images".to_owned(),
            index: *told,
            bytes: coarse.resized(width, height)?.encode(Format::Jpeg, PREVIEW_QUALITY)?,
            media_type: Format::Jpeg.media_type().to_owned(),
        });
        *told += 1;
    }
    Ok(())
}

/// A clip of what a text describes, with a camera that moves through it.
fn scene_clip(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let (prompt, seed) = (prompt(input)?, seed(input));
    let scene = Scene::from_description(&prompt, seed as u64);
    let plan = clip_plan(input, &prompt, seed)?;
    let mut frames = clip::frames(&scene, &plan, bench)?;
    let (bytes, facts) = encode_mp4(&mut frames, plan.fps, None, bench)?;
    bench.progress(1.0, "rendered");
    let video = bench.write(bytes, "video/mp4", facts)?;
    Ok(Values::from([
        ("video".to_owned(), Value::from(video)),
        ("seed".to_owned(), Value::from(seed)),
    ]))
}

/// What a clip is to be, from its input.
fn clip_plan(input: &Values, prompt: &str, seed: i64) -> Result<Plan> {
    let text = |name: &str| input.get(name).and_then(Value::as_text);
    let number =
        |name: &str, usual: f64| input.get(name).and_then(Value::as_number).unwrap_or(usual);
    let (across, upward) = shape(text("aspect_ratio").unwrap_or("16:9"))?;
    let resolution = text("resolution").unwrap_or("360p");
    let shorter = resolution.trim_end_matches('p').parse::<f32>().ok();
    let shorter = shorter.filter(|side| (120.0..=1080.0).contains(side)).ok_or_else(|| {
        Error::invalid(format!("`resolution` is '{resolution}'"))
            .hint("use 240p, 360p, 480p or 720p")
    })?;
    let scale = shorter / across.min(upward);
    let even = |side: f32| (side * scale / 2.0).round() as u32 * 2;
    let (fps, duration) = (number("fps", 24.0).clamp(1.0, 60.0), number("duration", 4.0));
    let count = (fps * duration).round();
    if !(1.0..=MAX_FRAMES as f64).contains(&count) {
        return Err(Error::invalid(format!(
            "a clip of {count} frames cannot be made, the most is {MAX_FRAMES}"
        ))
        .hint("ask for a shorter `duration` or a lower `fps`"));
    }
    let motion = Move::of(text("camera").unwrap_or("auto"), prompt, seed as u64);
    Ok(Plan { size: (even(across), even(upward)), fps, count: count as usize, motion })
}

/// A mesh of what a text is about.
fn scene_mesh(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let scene = Scene::from_description(&prompt(input)?, seed(input) as u64);
    let wanted = input
        .get("target_polycount")
        .and_then(Value::as_integer)
        .unwrap_or(20_000)
        .clamp(100, 500_000);
    let subjects: Vec<Placed> = if scene.subjects.is_empty() {
        vec![Placed::new(subject::empty_stage(&scene), V3::ZERO, 1.0, 0.0)]
    } else {
        subject::bodies(&scene).into_iter().take(scene.subjects.len()).collect()
    };
    let mut glb = Glb::default();
    let each = wanted as usize / subjects.len().max(1);
    for (index, placed) in subjects.iter().enumerate() {
        bench.progress(0.6 * index as f64 / subjects.len() as f64, "meshing");
        let mesh = glb.mesh(&Mesh::of_body(&placed.body, each, bench)?, false);
        glb.stand(
            mesh,
            &Standing { name: "subject", at: placed.at, yaw: placed.yaw, scale: placed.scale },
        );
    }
    let facts = MediaFacts { triangles: Some(glb.triangles()), ..MediaFacts::default() };
    let mesh = bench.write(glb.finish()?, "model/gltf-binary", facts)?;
    bench.progress(0.7, "rendering");
    let preview =
        render::picture(&posed(scene), (PREVIEW_SIDE, PREVIEW_SIDE), Quality::Still, bench)?
            .write(bench)?;
    Ok(Values::from([
        ("mesh".to_owned(), Value::from(mesh)),
        ("preview".to_owned(), Value::from(preview)),
    ]))
}

/// Side of the preview of a mesh, in pixels.
const PREVIEW_SIDE: u32 = 640;

/// The scene with nothing but its subjects, on a plain sweep.
fn posed(mut scene: Scene) -> Scene {
    scene.props.clear();
    scene.camera.blur = 0.0;
    scene.camera.pitch_deg = scene.camera.pitch_deg.clamp(12.0, 30.0);
    if !scene.subjects.is_empty() {
        scene.place = Place::Plain;
        scene.palette = vec![V3::all(0.62), V3::all(0.5)];
        scene.surface =
            Surface { form: SurfaceForm::Sweep, substance: Substance::Paper, color: V3::all(0.62) };
    }
    scene
}

/// A world to walk in.
fn scene_world(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let prompt = prompt(input)?;
    let scene = Scene::from_description(&prompt, seed(input) as u64);
    let world = world::make(&scene, &prompt, bench)?;
    Ok(Values::from([
        ("world".to_owned(), Value::from(world.document)),
        ("mesh".to_owned(), Value::from(world.mesh)),
        ("panorama".to_owned(), Value::from(world.panorama)),
    ]))
}

/// The description: text, with what to leave out taken as said.
pub(crate) fn prompt(input: &Values) -> Result<String> {
    match input.get("prompt").and_then(Value::as_text) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::invalid("`prompt` is missing or not text")
            .hint("give a description, such as \"a red mug on marble\"")),
    }
}

/// The seed that was asked for, or the usual one.
pub(crate) fn seed(input: &Values) -> i64 {
    input.get("seed").and_then(Value::as_integer).unwrap_or(USUAL_SEED).max(0)
}

/// Width and height, or the shape at the usual size; both even.
fn size(input: &Values) -> Result<(u32, u32)> {
    let side = |name: &str| input.get(name).and_then(Value::as_integer);
    if let (Some(width), Some(height)) = (side("width"), side("height")) {
        let fits = |side: i64| (16..=4096).contains(&side);
        if !fits(width) || !fits(height) || width as u64 * height as u64 > MAX_PIXELS {
            return Err(Error::invalid(format!(
                "a picture of {width} × {height} pixels cannot be made"
            ))
            .hint("give `width` and `height` from 64 to 4096"));
        }
        return Ok((width as u32, height as u32));
    }
    let (across, upward) =
        shape(input.get("aspect_ratio").and_then(Value::as_text).unwrap_or("1:1"))?;
    let longer = if across == upward { 1024.0 } else { USUAL_LONGER_SIDE };
    let scale = longer / across.max(upward);
    let even = |side: f32| ((side * scale / 2.0).round() as u32 * 2).max(16);
    Ok((even(across), even(upward)))
}

/// The two numbers of a shape such as `16:9`.
pub(crate) fn shape(text: &str) -> Result<(f32, f32)> {
    let bad = || Error::invalid(format!("`aspect_ratio` is '{text}'")).hint("write it as 16:9");
    let (across, upward) = text.split_once(':').ok_or_else(bad)?;
    let side =
        |text: &str| text.trim().parse::<f32>().ok().filter(|side| (1.0..=100.0).contains(side));
    let (across, upward) = side(across).zip(side(upward)).ok_or_else(bad)?;
    if across / upward > 4.0 || upward / across > 4.0 {
        return Err(bad());
    }
    Ok((across, upward))
}

#[cfg(test)]
mod tests {
    use impasto_domain::Bench;
    use impasto_media::Picture;

    use super::*;
    use crate::listener::Listener;

    #[test]
    fn who_listens_sees_it_early_and_gets_the_same() {
        let input = [
            ("prompt".to_owned(), Value::from("a red mug on a wooden table, morning light")),
            ("width".to_owned(), Value::from(320)),
            ("height".to_owned(), Value::from(192)),
        ]
        .into();
        let (quiet, listener) = (Bench::default(), Listener::default());
        let expected = scene_picture(&input, &quiet).unwrap();
        assert_eq!(scene_picture(&input, &listener).unwrap(), expected, "the output is the same");
        let image = expected["images"].assets()[0].clone();
        let done = Picture::read(&quiet, &image).unwrap();
        let mut far_off = Vec::new();
        for (place, news) in listener.news().iter().enumerate() {
            let News::Picture { name, index, bytes, media_type } = news else {
                panic!("no picture: {news:?}")
            };
            assert_eq!(
                (name.as_str(), *index, media_type.as_str()),
                ("images", place as u32, "image/jpeg")
            );
            assert!(bytes.len() < 20_000, "small enough for a wire: {}", bytes.len());
            let preview = Picture::decode(bytes).unwrap();
            assert_eq!((preview.width(), preview.height()), (320, 192));
            let pairs = preview.pixels.as_raw().iter().zip(done.pixels.as_raw());
            far_off.push(pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>());
        }
        // Each shows more, and none is the picture itself.
        assert_eq!(far_off.len(), 2);
        assert!(far_off[0] > far_off[1] && far_off[1] > 0, "{far_off:?}");
        assert!(far_off[0] < done.pixels.as_raw().len() as u64 * 20, "it is of the same scene");
    }
}
