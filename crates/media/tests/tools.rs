//! Every tool for still pictures, run the way the engine runs it: named by its task, fed with what
//! the task's file admits, and held to the outputs that the file declares.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::path::Path;

use impasto_domain::{AssetRef, Bench, ErrorKind, Result, Value, Values};
use impasto_media::Picture;
use serde_json::json;

fn samples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples")
}

fn asset(bench: &Bench, picture: &Picture) -> serde_json::Value {
    json!({ "$asset": picture.write(bench).unwrap() })
}

fn coffee(bench: &Bench) -> serde_json::Value {
    let bytes = std::fs::read(samples().join("coffee.png")).unwrap();
    asset(bench, &Picture::decode(&bytes).unwrap())
}

/// Runs a tool and checks that it gives outputs that its task declares, and no others.
fn run(bench: &Bench, name: &str, input: serde_json::Value) -> Result<Values> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../catalog/tasks/{name}.toml"));
    let task: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let fields = |side: &str| task[side].as_table().unwrap().clone();
    let mut values: Values = serde_json::from_value(input).unwrap();
    assert!(values.keys().all(|key| fields("input").contains_key(key)), "{name} takes {values:?}");
    for (field, definition) in fields("input") {
        if let Some(default) = definition.get("default") {
            let default = Value::from_json(serde_json::to_value(default).unwrap()).unwrap();
            values.entry(field).or_insert(default);
        }
    }
    let operations = impasto_media::operations();
    let operation = operations.iter().find(|operation| operation.name == name).unwrap();
    let output = (operation.run)(&values, bench)?;
    assert!(output.keys().all(|key| fields("output").contains_key(key)), "{name} gives {output:?}");
    Ok(output)
}

fn image(output: &Values) -> &AssetRef {
    output["image"].as_asset().unwrap()
}

fn check_size(name: &str, input: serde_json::Value, bench: &Bench, size: (u32, u32)) {
    let output = run(bench, name, input).unwrap_or_else(|error| panic!("{name}: {error}"));
    let facts = &image(&output).facts;
    assert_eq!((facts.width, facts.height), (Some(size.0), Some(size.1)), "{name}");
}

#[test]
fn sizes_come_out_as_asked() {
    let bench = Bench::default();
    let photo = coffee(&bench);
    let case = |name: &str, rest: serde_json::Value, size| {
        let mut input = json!({ "image": photo });
        input.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        check_size(name, input, &bench, size);
    };
    case("resize-image", json!({"width": 300}), (300, 200));
    case("resize-image", json!({"width": 300, "height": 300}), (300, 200));
    case("resize-image", json!({"width": 300, "height": 300, "fit": "cover"}), (300, 300));
    case("resize-image", json!({"width": 50, "height": 300, "fit": "stretch"}), (50, 300));
    case("crop-image", json!({"x": 100, "width": 200, "height": 100}), (200, 100));
    case("crop-image", json!({"x": 100, "y": 50}), (500, 350));
    case("crop-image", json!({"aspect_ratio": "1:1"}), (400, 400));
    case("pad-image", json!({"margin": 10}), (620, 420));
    case("pad-image", json!({"height": 600, "color": "#fff"}), (600, 600));
    case("upscale-image", json!({"scale": 1.5}), (900, 600));
    case("upscale-image", json!({"width": 1200}), (1200, 800));
    case("grade-image", json!({"look": "teal-orange", "grain": 0.5}), (600, 400));
    case("draw-text", json!({"text": "Good morning", "position": "top-left"}), (600, 400));
    for format in ["png", "jpeg", "webp", "avif"] {
        case("convert-image", json!({"output_format": format, "quality": 60}), (600, 400));
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let bench = Bench::default();
    let photo = coffee(&bench);
    for (name, rest) in [
        ("resize-image", json!({})),
        ("resize-image", json!({"width": 16384})),
        ("crop-image", json!({"x": 600})),
        ("crop-image", json!({"x": 500, "width": 200})),
        ("crop-image", json!({"aspect_ratio": "wide"})),
        ("pad-image", json!({"width": 10})),
        ("pad-image", json!({"margin": 8192})),
        ("upscale-image", json!({"scale": 8, "width": 16000})),
        ("draw-text", json!({"text": "x", "color": "red"})),
        ("remove-background", json!({"subject_box": [0.5, 0.5, 0.4, 0.9]})),
    ] {
        let mut input = json!({ "image": photo });
        input.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let error = run(&bench, name, input).expect_err(name);
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{name} {rest}: {error}");
    }
}

/// A ramp from nothing may change, on the left, to all may change, on the right.
const RAMP: u32 = 256;

#[test]
fn a_mask_means_the_same_in_every_form() {
    let bench = Bench::default();
    let forms = ["white", "black", "transparent"];
    let converted = |mask: &AssetRef, from: &str, to: &str| {
        let input = json!({ "mask": { "$asset": mask }, "from": from, "to": to });
        run(&bench, "convert-mask", input).unwrap()["mask"].as_asset().unwrap().clone()
    };
    let ramp = Picture::from_fn(RAMP, 1, |x, _| [x as u8, x as u8, x as u8, 255]);
    let white = ramp.write(&bench).unwrap();
    for (first, second) in forms.iter().flat_map(|first| forms.map(|second| (first, second))) {
        let there = converted(&converted(&white, "white", first), first, second);
        let back = converted(&there, second, "white");
        assert!(Picture::read(&bench, &back).unwrap() == ramp, "{first}, {second}");
    }
    let pixels = |form| Picture::read(&bench, &converted(&white, "white", form)).unwrap().pixels;
    for change in [0, 77, 255] {
        let other = 255 - change;
        let pixel = |form| pixels(form).get_pixel(u32::from(change), 0).0;
        assert_eq!(pixel("black"), [other, other, other, 255]);
        assert_eq!(pixel("transparent")[3], other);
    }
}

#[test]
fn a_mask_that_is_opaque_everywhere_lets_nothing_change() {
    let bench = Bench::default();
    let mask = asset(&bench, &Picture::filled(9, 9, [0, 0, 0, 255]));
    let error = run(&bench, "convert-mask", json!({ "mask": mask })).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.to_string().contains("opaque everywhere"), "{error}");
}

#[test]
fn where_a_mask_of_colours_is_transparent_nothing_may_change() {
    let bench = Bench::default();
    let pixels = [[255; 4], [255, 255, 255, 0], [0, 0, 0, 255], [0, 0, 0, 0]];
    let mask = Picture::from_fn(4, 1, |x, _| pixels[x as usize]);
    for (from, expected) in [("white", [255, 0, 0, 0]), ("black", [0, 0, 255, 0])] {
        let input = json!({ "mask": asset(&bench, &mask), "from": from });
        let output = run(&bench, "convert-mask", input).unwrap();
        let white = Picture::read(&bench, output["mask"].as_asset().unwrap()).unwrap();
        let found: Vec<u8> = white.pixels.pixels().map(|pixel| pixel.0[0]).collect();
        assert_eq!(found, expected, "{from}");
    }
}

#[test]
fn enlarging_and_shrinking_gives_the_picture_back() {
    let bench = Bench::default();
    let output =
        run(&bench, "upscale-image", json!({"image": coffee(&bench), "scale": 2})).unwrap();
    let large = Picture::read(&bench, image(&output)).unwrap();
    let photo = Picture::decode(&std::fs::read(samples().join("coffee.png")).unwrap()).unwrap();
    let small = large.resized(600, 400).unwrap();
    let off: f64 =
        photo.pixels.iter().zip(small.pixels.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    assert!(off / (600.0 * 400.0 * 4.0) < 1.0, "{off}");
}

#[test]
fn the_cup_is_cut_out_of_its_table() {
    let bench = Bench::default();
    let output =
        run(&bench, "remove-background", json!({"image": coffee(&bench), "crop": false})).unwrap();
    let cut = Picture::read(&bench, image(&output)).unwrap();
    let alpha = |x, y| cut.pixels.get_pixel(x, y).0[3];
    for (x, y, what) in [
        (290, 150, "coffee"),
        (120, 200, "saucer"),
        (440, 250, "saucer"),
        (360, 290, "spoon"),
        (290, 30, "rim"),
    ] {
        assert!(alpha(x, y) > 240, "the {what} at {x}, {y} is there");
    }
    for (x, y) in [(20, 20), (30, 300), (580, 20), (560, 380), (60, 380), (250, 8)] {
        assert!(alpha(x, y) < 16, "the table at {x}, {y} is gone");
    }
    assert!(output["confidence"].as_number().unwrap() > 0.6);
    let cropped = run(&bench, "remove-background", json!({"image": coffee(&bench)})).unwrap();
    assert!(image(&cropped).facts.width.unwrap() < 440);
}

#[test]
fn what_cannot_be_cut_out_well_is_not_trusted() {
    let bench = Bench::default();
    for photo in ["rocket.jpg", "chelsea.png"] {
        let picture = Picture::decode(&std::fs::read(samples().join(photo)).unwrap()).unwrap();
        // The same photograph is no better for being larger, even where the cut then is another.
        let larger = picture.resized(picture.width() * 3 / 2, picture.height() * 3 / 2).unwrap();
        for picture in [picture, larger] {
            let input = json!({"image": asset(&bench, &picture)});
            let output = run(&bench, "remove-background", input).unwrap();
            let confidence = output["confidence"].as_number().unwrap();
            assert!(confidence < 0.35, "{photo}: {confidence}");
        }
    }
}

#[test]
fn a_plain_backdrop_is_cut_away_cleanly_and_a_wall_gives_no_confidence() {
    let bench = Bench::default();
    let inside = |x: u32, y: u32| (f64::from(x) - 200.0).hypot(f64::from(y) - 160.0) < 90.0;
    let scene = Picture::from_fn(400, 300, |x, y| {
        let paper = 205 + (y / 12) as u8;
        if inside(x, y) { [40, 90, 160, 255] } else { [paper, paper, paper - 6, 255] }
    });
    let output =
        run(&bench, "remove-background", json!({"image": asset(&bench, &scene), "crop": false}))
            .unwrap();
    let mask = Picture::read(&bench, output["mask"].as_asset().unwrap()).unwrap();
    let right =
        mask.pixels.enumerate_pixels().filter(|(x, y, p)| (p.0[0] > 127) == inside(*x, *y)).count();
    assert!(right > 400 * 300 * 995 / 1000, "{right}");
    let wall = Picture::filled(200, 200, [120, 120, 120, 255]);
    let output = run(&bench, "remove-background", json!({"image": asset(&bench, &wall)})).unwrap();
    assert!(output["confidence"].as_number().unwrap() < 0.3, "{:?}", output["confidence"]);
}

#[test]
fn sheets_and_scores() {
    let bench = Bench::default();
    let photo = coffee(&bench);
    let sheet = json!({"images": [photo, photo, photo], "labels": ["one", "two"], "marked": [1], "title": "Cups", "columns": 2});
    let output = run(&bench, "contact-sheet", sheet).unwrap();
    assert!(
        image(&output).facts.width.unwrap() > 640 && image(&output).facts.height.unwrap() > 426
    );
    let scored = json!({"image": photo, "free_area": [0.1, 0.1, 0.4, 0.4], "against": photo});
    let output = run(&bench, "score-image", scored).unwrap();
    for name in ["score", "sharpness", "exposure", "contrast", "colourfulness", "calm"] {
        assert!(
            (0.0..=1.0).contains(&output[name].as_number().unwrap()),
            "{name}: {:?}",
            output[name]
        );
    }
    assert!(output["ssim"].as_number().unwrap() > 0.999);
    assert_eq!(output["hash_distance"].as_integer(), Some(0));
    let probed = run(&bench, "probe-media", json!({"file": photo})).unwrap();
    assert_eq!(probed["facts"].as_map().unwrap()["width"].as_integer(), Some(600));
}
