//! Files that mean well: they come out normalised.

use std::io::{Read as _, Write as _};
use std::process::Command;

use impasto_domain::{Bench, Value, Workbench as _};
use impasto_media::limits::Limits;
use impasto_media::sandbox::{EncoderChild, Encoding, Ffmpeg, ForeignCodec, Imported, Sandbox};
use impasto_media::{Format, OwnCodec, Picture, Sound, SoundStream};

use crate::{Check, ffmpeg, files, sandbox, sandbox_without_ffmpeg};

pub(crate) const CHECKS: &[Check] = &[
    ("pictures come out as upright PNG without metadata", pictures),
    ("sounds come out as WAV", sounds),
    ("drawings come out as plain SVG", drawings),
    ("meshes come out with their triangles", meshes),
    ("what only ffmpeg reads says so without it", without_ffmpeg),
    ("films are written anew without ffmpeg", own_films),
    ("films of other encoders are written anew without ffmpeg", foreign_films),
    ("ffmpeg reads AVIF and films", with_ffmpeg),
    ("many at once wait for each other", crowd),
    ("FLAC that is written here reads back without loss", own_flac),
    ("ffmpeg encodes sound while it comes", encoders),
];

fn imported(bytes: &[u8], name: &str) -> Imported {
    let made = sandbox().import(bytes, name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(made.facts.bytes, made.bytes.len() as u64, "{name}");
    made
}

fn pictures() {
    let picture = files::picture(60, 40);
    for format in [Format::Png, Format::Jpeg, Format::Webp] {
        let made = imported(&picture.encode(format, 90).unwrap(), "anything.txt");
        assert_eq!((made.media_type.as_str(), made.facts.width), ("image/png", Some(60)));
        let read = Picture::decode(&made.bytes).unwrap();
        assert!(read.pixels.get_pixel(30, 20).0[0].abs_diff(150) < 16);
    }
    let turned = imported(&files::turned_jpeg(60, 40, 6), "phone.jpg");
    assert_eq!((turned.facts.width, turned.facts.height), (Some(40), Some(60)));
    assert_eq!(imported(&files::gif(3), "three.gif").facts.width, Some(1));
    let told = files::png(8, 8, &files::chunk(b"tEXt", b"GPS\0 51.5 north"));
    let made = imported(&told, "told.png");
    assert!(!made.bytes.windows(3).any(|three| three == b"GPS"));
}

fn sounds() {
    let made = imported(&files::wav(16_000, None), "tone.wav");
    assert_eq!((made.media_type.as_str(), made.facts.duration_ms), ("audio/wav", Some(2_000)));
    assert_eq!(Sound::from_wav(&made.bytes).unwrap().len(), 16_000);
    // A program that wrote into a pipe did not know the length.
    assert_eq!(
        imported(&files::wav(8_000, Some(u32::MAX)), "piped.wav").facts.duration_ms,
        Some(1_000)
    );
}

fn drawings() {
    let svg = r##"<?xml version="1.0"?>
        <!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
        <svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
             xmlns:tool="https://tool.example" viewBox="0 0 640 479.5" tool:id="7">
        <style>.a { fill: <![CDATA[#0f0]]> }</style>
        <defs><linearGradient id="b"><stop offset="0" stop-color="#f00"/></linearGradient></defs>
        <path class="a" d="M0 0h10v10z"/><use xlink:href="#c" x="9"/><g id="c"><circle r="5"/></g>
        <text x="1">Tom &amp; Jerry</text></svg>"##;
    let made = sandbox().import_result(svg.as_bytes(), "a result").unwrap();
    assert_eq!(made.media_type, "image/svg+xml");
    assert_eq!((made.facts.width, made.facts.height), (Some(640), Some(480)));
    assert_eq!(made.facts.bytes, made.bytes.len() as u64);
    let text = String::from_utf8(made.bytes).unwrap();
    for kept in [
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 479.5\">",
        "<style>.a { fill: #0f0 }</style>",
        "<path class=\"a\" d=\"M0 0h10v10z\"/><use href=\"#c\" x=\"9\"/>",
        "<stop offset=\"0\" stop-color=\"#f00\"/>",
        "Tom &amp; Jerry",
    ] {
        assert!(text.contains(kept), "{kept} is not in {text}");
    }
    assert!(!text.contains("tool") && !text.contains("DOCTYPE"), "{text}");
    for (size, pixels) in [("width='2in' height='1in'", (192, 96)), ("", (300, 150))] {
        let made =
            sandbox().import_result(format!("<svg {size}/>").as_bytes(), "a result").unwrap();
        assert_eq!((made.facts.width, made.facts.height), (Some(pixels.0), Some(pixels.1)));
    }
    // What else a provider makes comes in as from anybody.
    let picture = files::picture(60, 40).to_png().unwrap();
    assert_eq!(sandbox().import_result(&picture, "a result").unwrap().media_type, "image/png");
}

fn meshes() {
    let bytes = files::glb(&files::triangle(3, 36, ""), &[1; 36]);
    let made = imported(&bytes, "triangle.glb");
    assert_eq!((made.media_type.as_str(), made.facts.triangles), ("model/gltf-binary", Some(1)));
    assert_eq!(
        imported(&made.bytes, "again.glb").bytes,
        made.bytes,
        "normalising twice changes nothing"
    );
}

fn without_ffmpeg() {
    let avif = files::picture(32, 32).encode(Format::Avif, 60).unwrap();
    let error = sandbox_without_ffmpeg().import(&avif, "new.avif").expect_err("no decoder");
    assert!(
        error.message.contains("AVIF") && error.hint.unwrap_or_default().contains("install ffmpeg")
    );
}

/// The last frame of a film, as the tools see it.
fn last_frame(film: &Imported) -> Picture {
    let bench = Bench::default();
    let asset = bench.write(film.bytes.clone(), &film.media_type, film.facts.clone()).unwrap();
    let input = [("video".to_owned(), Value::from(asset)), ("at".to_owned(), Value::from("last"))];
    let tool =
        impasto_media::operations().into_iter().find(|tool| tool.name == "extract-frame").unwrap();
    let output = (tool.run)(&input.into(), &bench).unwrap();
    Picture::decode(&bench.read(output["image"].as_asset().unwrap()).unwrap()).unwrap()
}

fn own_films() {
    let bytes = files::film(2);
    let made = sandbox_without_ffmpeg().import(&bytes, "film.mp4").unwrap();
    assert_eq!(made.media_type, "video/mp4");
    assert_eq!((made.facts.width, made.facts.height), (Some(96), Some(64)));
    assert_eq!((made.facts.fps, made.facts.duration_ms), (Some(10.0), Some(2_000)));
    assert_eq!(made.facts.channels, Some(2));
    let stranger = |bytes: &[u8]| bytes.windows(8).any(|eight| eight == b"stranger");
    assert!(stranger(&bytes) && !stranger(&made.bytes), "nothing is passed on as it came");
    // The twentieth frame: three steps for each row, four for each frame.
    let green = last_frame(&made).pixels.get_pixel(48, 20).0[1];
    assert!(green.abs_diff(136) < 16, "{green}");
    let turned = sandbox_without_ffmpeg().import(&files::turned_film(2), "phone.mp4").unwrap();
    assert_eq!((turned.facts.width, turned.facts.height), (Some(64), Some(96)));
    // What was in the row 20 is now in the column 64 - 1 - 20.
    let green = last_frame(&turned).pixels.get_pixel(43, 48).0[1];
    assert!(green.abs_diff(136) < 16, "{green}");
}

/// Films by another encoder: with frames that are stored before those they follow, turned, uneven.
fn foreign_films() {
    let Some(ffmpeg) = ffmpeg().filter(|ffmpeg| ffmpeg.has("libx264")) else { return };
    let sandbox = sandbox_without_ffmpeg();
    let check = |name: &str, options: &[&str], size: (u32, u32)| {
        let bytes = by_ffmpeg(ffmpeg, name, options);
        let made = sandbox.import(&bytes, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((made.facts.width, made.facts.height), (Some(size.0), Some(size.1)), "{name}");
        let duration_ms = made.facts.duration_ms.unwrap();
        assert!(duration_ms.abs_diff(1_000) <= 100, "{name}: {duration_ms} ms");
        assert_eq!(made.facts.sample_rate, Some(48_000), "{name}");
        last_frame(&made)
    };
    let film = |profile: &'static str| {
        ["-c:v", "libx264", "-profile:v", profile, "-pix_fmt", "yuv420p", "-c:a", "aac"]
    };
    let main = check("main.mp4", &film("main"), (160, 90));
    let high = check("high.mp4", &film("high"), (160, 90));
    let simple = check("simple.mp4", &film("baseline"), (160, 90));
    for other in [high, simple] {
        let pairs = main.pixels.as_raw().iter().zip(other.pixels.as_raw());
        let sum: u64 = pairs.map(|(one, two)| u64::from(one.abs_diff(*two))).sum();
        assert!(sum < main.pixels.as_raw().len() as u64 * 6, "the same last frame: {sum}");
    }
    let uneven = ["-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "vfr"];
    check("uneven.mp4", &[film("main").as_slice(), &uneven].concat(), (160, 90));
}

/// A second of moving pictures and a tone, as ffmpeg writes them.
fn by_ffmpeg(ffmpeg: &Ffmpeg, name: &str, options: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let width = if options.contains(&"libx264") { 160 } else { 161 };
    let status = Command::new(&ffmpeg.program)
        .args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i"])
        .arg(format!("testsrc2=s={width}x90:r=10:d=1"))
        .args(["-f", "lavfi", "-i", "sine=d=1"])
        .args(options)
        .arg(&path)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "ffmpeg makes {name}");
    std::fs::read(path).unwrap()
}

fn crowd() {
    let bytes = files::picture(300, 200).to_png().unwrap();
    let limits = Limits { imports_at_once: 1, imports_waiting: 6, ..Limits::default() };
    let sandbox = Sandbox { limits, ..sandbox() };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| sandbox.import(&bytes, "one of many.png").unwrap());
        }
    });
}

fn with_ffmpeg() {
    let Some(ffmpeg) = ffmpeg() else { return };
    let made = |name: &str, options: &[&str]| by_ffmpeg(ffmpeg, name, options);
    for (name, options) in [
        ("film.mp4", ["-c:v", "mpeg4", "-c:a", "aac"]),
        ("film.mkv", ["-c:v", "mpeg4", "-c:a", "flac"]),
    ] {
        let film = imported(&made(name, &options), name);
        assert_eq!((film.media_type.as_str(), film.facts.height), ("video/mp4", Some(90)));
        // An odd width becomes even.
        assert!(film.facts.width.is_some_and(|width| width % 2 == 0 && width.abs_diff(161) == 1));
        assert!(
            film.facts.duration_ms.is_some_and(|duration| (950..1_100).contains(&duration)),
            "{:?}",
            film.facts
        );
        assert!(film.facts.fps.is_some_and(|fps| (fps - 10.0).abs() < 0.1), "{:?}", film.facts);
    }
    let sound = imported(&made("sound.m4a", &["-vn", "-c:a", "aac"]), "sound.m4a");
    assert_eq!(sound.media_type, "audio/wav");
    let without =
        sandbox_without_ffmpeg().import(&made("own.m4a", &["-vn", "-c:a", "aac"]), "own.m4a");
    assert_eq!(without.map(|sound| sound.media_type), Ok("audio/wav".to_owned()));
    if ffmpeg.version >= (6, 1) {
        let avif = files::picture(32, 20).encode(Format::Avif, 60).unwrap();
        assert_eq!(imported(&avif, "new.avif").facts.height, Some(20));
    }
}

/// Two channels: a tone beside noise, then silence, then full scale.
fn samples() -> Vec<u8> {
    let mut noise = 1_u32;
    let samples = (0..20_000_u32).flat_map(|at| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let tone = ((f64::from(at) * 0.02).sin() * 12_000.0) as i16;
        match at {
            8_000..12_000 => [0, 0],
            12_000..14_000 => [if at % 7 < 3 { i16::MAX } else { i16::MIN }, tone],
            _ => [tone, (noise >> 18) as i16],
        }
    });
    samples.flat_map(i16::to_le_bytes).collect()
}

fn own_flac() {
    let pcm = samples();
    let mut stream = SoundStream::new(OwnCodec::Flac, 24_000, 2).unwrap();
    let mut file = Vec::new();
    for piece in pcm.chunks(4_801) {
        file.extend(stream.push(piece).unwrap());
    }
    file.extend(stream.finish().unwrap());
    assert!(file.len() < pcm.len(), "{} of {}", file.len(), pcm.len());
    let made = imported(&file, "own.flac");
    assert_eq!((made.facts.sample_rate, made.facts.channels), (Some(24_000), Some(2)));
    assert!(made.bytes.ends_with(&pcm), "without loss");
}

fn encoders() {
    let wanted = |codec| Encoding { codec, sample_rate: 24_000, channels: 2, bits_per_s: None };
    assert!(sandbox_without_ffmpeg().encoder(wanted(ForeignCodec::Mp3)).is_err());
    for (codec, name) in [(ForeignCodec::Mp3, "a.mp3"), (ForeignCodec::Opus, "a.opus")] {
        if !sandbox().can_encode(codec) {
            continue;
        }
        let EncoderChild { mut command, folder } = sandbox().encoder(wanted(codec)).unwrap();
        let mut child = command.spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        input.write_all(&samples()).unwrap();
        // Something comes before the end is there.
        let mut file = vec![0; 64];
        output.read_exact(&mut file).unwrap();
        drop(input);
        output.read_to_end(&mut file).unwrap();
        assert!(child.wait().unwrap().success(), "{name}");
        drop(folder);
        let made = imported(&file, name);
        let length_ms = made.facts.duration_ms.unwrap();
        assert!(length_ms.abs_diff(833) < 80, "{name}: {length_ms} ms");
    }
}
