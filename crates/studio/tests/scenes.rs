//! What a description says is what is seen: pictures, meshes and worlds of one scene.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

use impasto_domain::{Bench, Value, Values, Workbench};
use impasto_media::Picture;
use impasto_studio::{Place, Scene, SubjectKind, Substance, SurfaceForm};
use proptest::prelude::*;

fn call(endpoint: &str, bench: &Bench, input: Vec<(&str, Value)>) -> Values {
    let models = impasto_studio::operations();
    let model = models.iter().find(|model| model.name == endpoint).expect("the model is listed");
    let input = input.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    (model.run)(&input, bench).expect("the model runs")
}

/// The picture of a description, small, and its bytes.
fn picture(text: &str, seed: i64, width: i64, height: i64) -> (Picture, Vec<u8>) {
    let bench = Bench::default();
    let input = vec![
        ("prompt", Value::from(text)),
        ("seed", seed.into()),
        ("width", width.into()),
        ("height", height.into()),
    ];
    let output = call("scene-picture", &bench, input);
    let image = output["images"].as_list().and_then(|list| list[0].as_asset()).expect("a picture");
    let bytes = bench.read(image).expect("its bytes").to_vec();
    (Picture::decode(&bytes).expect("it decodes"), bytes)
}

/// Mean colour of a part of a picture given in shares: left, top, right, bottom.
fn mean(picture: &Picture, [left, top, right, bottom]: [f64; 4]) -> [f64; 3] {
    let (w, h) = (f64::from(picture.width()), f64::from(picture.height()));
    let inside = picture.pixels.enumerate_pixels().filter(|(x, y, _)| {
        let (u, v) = ((f64::from(*x) + 0.5) / w, (f64::from(*y) + 0.5) / h);
        (left..right).contains(&u) && (top..bottom).contains(&v)
    });
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for (_, _, pixel) in inside {
        (0..3).for_each(|part| sum[part] += f64::from(pixel.0[part]));
        count += 1.0;
    }
    sum.map(|part| part / count)
}

fn bright(color: [f64; 3]) -> f64 {
    color[0] * 0.3 + color[1] * 0.6 + color[2] * 0.1
}

/// The gist of a scene in a line.
fn told(text: &str, seed: u64) -> String {
    let scene = Scene::from_description(text, seed);
    let subjects: Vec<String> = scene
        .subjects
        .iter()
        .map(|s| {
            format!(
                "{:?} of {:?} ({:.2} {:.2} {:.2})",
                s.kind, s.make, s.color.x, s.color.y, s.color.z
            )
        })
        .collect();
    let side = if scene.light.azimuth_deg < 0.0 { "left" } else { "right" };
    format!(
        "{subjects:?} on {:?} {:?} in {:?}; light from the {side} at {:.0} through {:?}; pitch {:.0}, blur {:.2}; {:?}; {} colours",
        scene.surface.substance,
        scene.surface.form,
        scene.place,
        scene.light.elevation_deg,
        scene.light.gobo,
        scene.camera.pitch_deg,
        scene.camera.blur,
        scene.finish,
        scene.palette.len(),
    )
}

#[test]
fn words_become_scenes() {
    insta::assert_snapshot!(told("a red mug on marble, soft window light from the left", 7), @r#"["Mug of Usual (0.45 0.01 0.01)"] on Marble Table in Kitchen; light from the left at 33 through Window; pitch 18, blur 0.75; Photograph; 2 colours"#);
    insta::assert_snapshot!(told("an empty walnut table in a dim room with warm lamps far behind, lighting: warm golden light from the right, perspective: eye level, palette: amber, dark brown", 11), @r#"[] on DarkWood Table in DimRoom; light from the right at 26 through Open; pitch 18, blur 0.90; Photograph; 2 colours"#);
    insta::assert_snapshot!(told("an empty round stone plinth in a seamless studio, palette: terracotta, sand", 11), @r#"[] on Stone Plinth in Studio; light from the right at 45 through Open; pitch 20, blur 0.90; Photograph; 2 colours"#);
    insta::assert_snapshot!(told("watercolour of an orange cat in a forest, from above", 3), @r#"["Cat of Usual (0.81 0.19 0.01)"] on Grass Ground in Forest; light from the right at 46 through Open; pitch 48, blur 0.75; Watercolour; 2 colours"#);
    insta::assert_snapshot!(told("a perfume bottle and a golden watch, #ff8800, neon city at night", 3), @r#"["Perfume of Usual (0.46 0.09 0.03)", "Watch of Metal (0.69 0.39 0.06)"] on DarkWood Table in CityNight; light from the left at 24 through Open; pitch 15, blur 0.75; Photograph; 2 colours"#);
    insta::assert_snapshot!(told("qwertz uiop", 3), @r#"["Abstract of Usual (0.46 0.09 0.03)"] on Paper Sweep in Studio; light from the left at 47 through Open; pitch 13, blur 0.75; Photograph; 2 colours"#);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let text = "a blue bowl on oak, window light";
    let (first, first_bytes) = picture(text, 4, 160, 96);
    assert_eq!(first_bytes, picture(text, 4, 160, 96).1);
    let (other, _) = picture(text, 5, 160, 96);
    let pairs = first.pixels.pixels().zip(other.pixels.pixels());
    let changed =
        pairs.filter(|(a, b)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 24)).count();
    assert!(changed > 160 * 96 / 5, "only {changed} pixels differ");
}

#[test]
fn light_comes_from_the_side_that_was_asked_for() {
    for (words, lit, dark) in [("left", 0.40..0.48, 0.54..0.62), ("right", 0.54..0.62, 0.40..0.48)]
    {
        let text = format!(
            "a matte white sphere, hard light from the {words}, white background, no props"
        );
        let (picture, _) = picture(&text, 9, 240, 160);
        let side = |across: std::ops::Range<f64>| {
            bright(mean(&picture, [across.start, 0.42, across.end, 0.62]))
        };
        assert!(
            side(lit.clone()) > 1.25 * side(dark.clone()),
            "{words}: {} {}",
            side(lit),
            side(dark)
        );
    }
}

#[test]
fn the_camera_stands_where_it_was_asked_to() {
    let height = |words: &str| {
        let camera = Scene::from_description(&format!("a mug on a table, {words}"), 1).camera;
        camera.aim + camera.pitch_deg.to_radians().sin() * camera.distance
    };
    assert!(height("low angle") < height("eye level"));
    assert!(height("eye level") < height("high angle"));
    assert!(height("high angle") < height("top-down"));
}

#[test]
fn the_palette_is_what_one_sees() {
    for (palette, strongest) in [("crimson", 0), ("dark green", 1), ("royal blue", 2)] {
        let text = format!("an empty plinth in a seamless studio, palette: {palette}");
        let color = mean(&picture(&text, 2, 160, 96).0, [0.0, 0.0, 1.0, 0.5]);
        let others =
            (0..3).filter(|part| *part != strongest).map(|part| color[part]).fold(0.0, f64::max);
        assert!(color[strongest] > others, "{palette}: {color:?}");
    }
}

#[test]
fn pictures_have_the_asked_number_and_shape() {
    let bench = Bench::default();
    let input = vec![
        ("prompt", Value::from("a candle")),
        ("width", 96.into()),
        ("height", 64.into()),
        ("num_images", 3.into()),
        ("seed", 5.into()),
    ];
    let output = call("scene-picture", &bench, input);
    let images = output["images"].as_list().expect("a list");
    assert_eq!((images.len(), output["seed"].as_integer()), (3, Some(5)));
    let (_, second) = picture("a candle", 6, 96, 64);
    let image = images[1].as_asset().expect("a picture");
    assert_eq!(bench.read(image).expect("its bytes").to_vec(), second, "seeds go up by one");
    assert_eq!((image.facts.width, image.facts.height), (Some(96), Some(64)));
}

#[test]
fn a_clip_has_the_asked_size_and_length() {
    let clip = || {
        let bench = Bench::default();
        let input = vec![
            ("prompt", Value::from("a green vase, push in")),
            ("aspect_ratio", "1:1".into()),
            ("resolution", "240p".into()),
            ("duration", 1.0.into()),
            ("fps", 8.0.into()),
            ("seed", 2.into()),
        ];
        let output = call("scene-clip", &bench, input);
        output["video"].as_asset().expect("a clip").clone()
    };
    let first = clip();
    let facts = &first.facts;
    assert_eq!((facts.width, facts.height, facts.fps), (Some(240), Some(240), Some(8.0)));
    assert_eq!((first.media_type.as_str(), facts.duration_ms), ("video/mp4", Some(1000)));
    assert_eq!(first.digest, clip().digest, "the same input gives the same bytes");
}

/// Checks a GLB file as a whole and gives the number of its triangles. Where walls are thinner than
/// the grid a few triangles may fold over, so not all have to face outwards.
fn check_glb(bytes: &[u8], outward_percent: usize) -> usize {
    let glb = gltf::Gltf::from_slice(bytes).expect("it parses and validates");
    let blob = glb.blob.as_deref().expect("it has a binary part");
    let mut triangles = 0;
    for primitive in glb.meshes().flat_map(|mesh| mesh.primitives().collect::<Vec<_>>()) {
        let reader = primitive.reader(|_| Some(blob));
        let places: Vec<[f32; 3]> = reader.read_positions().expect("places").collect();
        let normals: Vec<[f32; 3]> = reader.read_normals().expect("normals").collect();
        assert_eq!(places.len(), normals.len());
        for n in &normals {
            let length = n.iter().map(|part| part * part).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-3, "a normal of length {length}");
        }
        let corners: Vec<usize> = reader
            .read_indices()
            .expect("corners")
            .into_u32()
            .map(|corner| corner as usize)
            .collect();
        let outward = corners.chunks(3).filter(|c| {
            let [a, b, d] = [places[c[0]], places[c[1]], places[c[2]]];
            let (u, v) = ([0, 1, 2].map(|k| b[k] - a[k]), [0, 1, 2].map(|k| d[k] - a[k]));
            let face =
                [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
            (0..3)
                .map(|k| face[k] * (normals[c[0]][k] + normals[c[1]][k] + normals[c[2]][k]))
                .sum::<f32>()
                >= 0.0
        });
        let (outward, all) = (outward.count(), corners.len() / 3);
        assert!(
            outward * 100 >= all * outward_percent,
            "{outward} of {all} triangles face outwards"
        );
        triangles += all;
    }
    triangles
}

#[test]
fn a_mesh_has_about_the_asked_number_of_triangles() {
    for (text, wanted) in
        [("a red mug", 12_000_i64), ("a robot", 5000), ("an empty stone plinth", 500)]
    {
        let bench = Bench::default();
        let input = vec![
            ("prompt", Value::from(text)),
            ("target_polycount", wanted.into()),
            ("seed", 1.into()),
        ];
        let output = call("scene-mesh", &bench, input);
        let mesh = output["mesh"].as_asset().expect("a mesh");
        let triangles = check_glb(&bench.read(mesh).expect("its bytes"), 97);
        assert_eq!(mesh.facts.triangles, Some(triangles as u64));
        let share = triangles as f64 / wanted as f64;
        assert!((0.6..1.6).contains(&share), "{text}: {triangles} of {wanted}");
        assert!(output["preview"].as_asset().is_some_and(|asset| asset.facts.width == Some(640)));
    }
}

#[test]
fn a_world_names_its_mesh_and_its_panorama() {
    for text in ["a cabin in snowy mountains", "a red mug on a walnut table in a dim room"] {
        let bench = Bench::default();
        let output =
            call("scene-world", &bench, vec![("prompt", Value::from(text)), ("seed", 2.into())]);
        let asset = |name: &str| output[name].as_asset().expect("an asset").clone();
        let (world, mesh, panorama) = (asset("world"), asset("mesh"), asset("panorama"));
        let document: serde_json::Value =
            serde_json::from_slice(&bench.read(&world).expect("its bytes")).expect("it is JSON");
        assert_eq!(world.media_type, "application/vnd.impasto.world+json");
        assert_eq!(document["mesh"]["digest"], mesh.digest.to_string());
        assert_eq!(document["panorama"]["digest"], panorama.digest.to_string());
        assert_eq!(panorama.facts.width, panorama.facts.height.map(|height| 2 * height));
        assert!(check_glb(&bench.read(&mesh).expect("its bytes"), 95) > 10_000);
        check_walkable(&document);
    }
}

/// One can stand where one begins: within the bounds and clear of all that is in the way.
fn check_walkable(document: &serde_json::Value) {
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let (x, z) =
        (number(&document["spawn"]["position"][0]), number(&document["spawn"]["position"][2]));
    let corners = document["walkable"]["polygon"].as_array().expect("a polygon");
    let mut inside = false;
    for (k, a) in corners.iter().enumerate() {
        let b = &corners[(k + 1) % corners.len()];
        let (ax, az, bx, bz) = (number(&a[0]), number(&a[1]), number(&b[0]), number(&b[1]));
        if (az > z) != (bz > z) && x < (bx - ax) * (z - az) / (bz - az) + ax {
            inside = !inside;
        }
    }
    assert!(inside, "{x} {z} is out of bounds");
    for obstacle in document["walkable"]["obstacles"].as_array().expect("a list") {
        let away = (x - number(&obstacle["centre"][0])).hypot(z - number(&obstacle["centre"][1]));
        assert!(away > number(&obstacle["radius"]), "{obstacle} is in the way at the start");
    }
}

#[test]
fn words_name_what_they_mean() {
    let scene =
        Scene::from_description("a bowl of fruit on a linen tablecloth on the beach at sunset", 1);
    assert_eq!(scene.subjects.len(), 1);
    assert_eq!(scene.subjects[0].kind, SubjectKind::Bowl);
    assert_eq!(scene.surface.substance, Substance::Linen);
    let scene = Scene::from_description("", 1);
    assert_eq!(scene.subjects[0].kind, SubjectKind::Abstract);
    assert_eq!((scene.place, scene.surface.form), (Place::Studio, SurfaceForm::Sweep));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_gives_a_scene(text in "\\PC{0,200}", seed: u64) {
        let scene = Scene::from_description(&text, seed);
        prop_assert!(!scene.palette.is_empty());
        prop_assert_eq!(&scene, &Scene::from_description(&text, seed));
    }

    #[test]
    fn any_words_give_a_scene_that_stands(
        words in proptest::collection::vec(
            prop_oneof![
                Just("red"), Just("mug"), Just("on"), Just("empty"), Just("marble"), Just("palette:"), Just("lighting:"),
                Just("left"), Just("top-down"), Just("#12"), Just("#ff00gg"), Just("orange"), Just("of"), Just(","), Just("beach"),
            ],
            0..24,
        ),
        seed: u64,
    ) {
        let scene = Scene::from_description(&words.join(" "), seed);
        prop_assert!(scene.camera.distance > 0.5 && scene.camera.distance < 20.0);
        prop_assert!(scene.subjects.len() <= 3);
        prop_assert!(scene.light.color.x.is_finite() && scene.light.color.x > 0.0);
    }
}
