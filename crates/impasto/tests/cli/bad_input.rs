//! Bad input: each a clear error with what to do, and nothing lost.

use crate::harness::{Place, repository_text, small_photo};

#[test]
fn a_file_that_is_not_there() {
    let place = Place::new();
    place.refuse(&["run", "no-such.yaml"], &["no-such.yaml", "= help:"]);
    let film = repository_text("workflows/product-film.yaml");
    place.refuse(
        &["run", &film, "-i", "photo=@missing.png", "-i", "product=x"],
        &["missing.png", "photo", "= help: check the path"],
    );
}

#[test]
fn inputs_of_the_wrong_type_or_name() {
    let place = Place::new();
    let film = repository_text("workflows/product-film.yaml");
    place.refuse(&["run", &film, "-i", "colour=red"], &["there is no input `colour`", "photo"]);
    place.refuse(&["run", &film, "-i", "product=x"], &["`photo` is missing"]);
    let text = place.write("notes.png", "this is no picture");
    let photo = format!("photo=@{}", text.display());
    place.refuse(&["run", &film, "-i", &photo, "-i", "product=x"], &["photo"]);
    place.refuse(
        &["generate", "text-to-image", "a mug", "-i", "width=wide"],
        &["width", "whole number"],
    );
    place.refuse(&["generate", "text-to-image", "a mug", "-n", "99"], &["num_images", "16"]);
    place.refuse(&["generate", "text-to-imag", "a mug"], &["text-to-imag", "text-to-image"]);
}

/// A PNG whose header promises `width` × `height` and whose data is nearly nothing.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(png_chunk(b"IHDR", &[&size[..], &[8, 6, 0, 0, 0]].concat()));
    png.extend(png_chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]));
    png.extend(png_chunk(b"IEND", &[]));
    png
}

fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&kind[..], data].concat();
    let crc = body.iter().fold(!0_u32, |crc, byte| {
        let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(*byte), step)
    });
    [&(data.len() as u32).to_be_bytes()[..], &body, &(!crc).to_be_bytes()].concat()
}

#[test]
fn files_that_are_broken_or_too_large() {
    let place = Place::new();
    let whole = small_photo();
    let check = |name: &str, bytes: &[u8], parts: &[&str]| {
        let path = place.write(name, bytes);
        let image = format!("image=@{}", path.display());
        place.refuse(&["generate", "resize-image", "-i", &image, "-i", "width=10"], parts);
    };
    check("truncated.png", &whole[..whole.len() / 2], &["image"]);
    check("huge.png", &png_header(60_000, 60_000), &["60000"]);
    check("empty.png", b"", &["image"]);
    let video = place.write("not-a-video.mp4", "#EXTM3U\n#EXTINF:1,\nsecret.ts\n");
    let video = format!("video=@{}", video.display());
    place.refuse(&["generate", "trim-video", "-i", &video, "-i", "duration=1"], &["video"]);
}

#[test]
fn workflows_that_cannot_be_run() {
    let place = Place::new();
    let check = |name: &str, text: &str, parts: &[&str]| {
        let path = place.write(name, text);
        place.refuse(&["run", &path.to_string_lossy()], parts);
        place.refuse(&["lint", &path.to_string_lossy()], parts);
    };
    let step = |lines: &str| {
        format!("workflow: w\nversion: 1\ninputs:\n  photo: {{ type: image }}\nsteps:\n{lines}")
    };
    check(
        "cycle.yaml",
        &step(
            "  a:\n    task: resize-image\n    input: { image: \"{{ steps.b.image }}\", width: 9 }\n  b:\n    task: resize-image\n    input: { image: \"{{ steps.a.image }}\", width: 9 }\n",
        ),
        &["cycle.yaml:", "a", "b"],
    );
    check(
        "missing.yaml",
        &step(
            "  a:\n    task: resize-image\n    input: { image: \"{{ steps.phot.image }}\", width: 9 }\n",
        ),
        &["missing.yaml:8:", "phot", "^"],
    );
    check(
        "expression.yaml",
        &step(
            "  a:\n    task: resize-image\n    input: { image: \"{{ inputs.photo + }}\", width: 9 }\n",
        ),
        &["expression.yaml:8:"],
    );
    check(
        "types.yaml",
        &step(
            "  a:\n    task: resize-image\n    input: { image: \"{{ inputs.photo }}\", width: wide, heigth: 3 }\n",
        ),
        &["types.yaml:8:", "width", "heigth", "height"],
    );
    check("nothing.yaml", "", &["nothing.yaml"]);
    check("broken.yaml", "workflow: [", &["broken.yaml:1:"]);
}

#[test]
fn a_policy_that_nothing_fits() {
    let place = Place::new();
    place.refuse(
        &["generate", "text-to-image", "a red mug on marble", "--model", "no-such-model"],
        &["no-such-model"],
    );
    let path = place.write(
        "policy.yaml",
        "workflow: w\nversion: 1\npolicy: { min_tier: hero }\nsteps:\n  a:\n    task: text-to-image\n    input: { prompt: a red mug on marble }\noutputs:\n  picture: { value: \"{{ steps.a.images[0] }}\" }\n",
    );
    place.refuse(&["run", &path.to_string_lossy()], &["a", "tier"]);
}

#[test]
fn folders_that_cannot_be_written() {
    let place = Place::new();
    let photo = place.write("photo.png", small_photo());
    let image = format!("image=@{}", photo.display());
    let blocked = place.write("blocked", "a file where a folder should be");
    let blocked = blocked.to_string_lossy().into_owned();
    let arguments = ["generate", "resize-image", "-i", &image, "-i", "width=10"];
    place.refuse(&[&arguments[..], &["-o", &blocked]].concat(), &["blocked", "= help:"]);
    place.refuse(&[&arguments[..], &["--data", &blocked]].concat(), &["blocked"]);
    // The result is not lost: a second call finds it and writes it where that is possible.
    place.succeed(&[&arguments[..], &["-o", "fine"]].concat());
    assert!(place.path("fine").join("run.json").exists());
}

#[test]
fn a_misbehaviour_that_is_none() {
    let place = Place::new();
    place.refuse(
        &["generate", "text-to-image", "a mug", "--misbehave", "fail=sometimes"],
        &["sometimes", "rate_limited"],
    );
}
