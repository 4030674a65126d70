//! Files that mean well: they come out normalised.

use std::process::Command;

use impasto_media::sandbox::Imported;
use impasto_media::{Format, Picture, Sound};

use crate::{Check, ffmpeg, files, sandbox, sandbox_without_ffmpeg};

pub(crate) const CHECKS: &[Check] = &[
    ("pictures come out as upright PNG without metadata", pictures),
    ("sounds come out as WAV", sounds),
    ("meshes come out with their triangles", meshes),
    ("what only ffmpeg reads says so without it", without_ffmpeg),
    ("ffmpeg reads AVIF and films", with_ffmpeg),
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

fn with_ffmpeg() {
    let Some(ffmpeg) = ffmpeg() else { return };
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, options: &[&str]| {
        let path = folder.path().join(name);
        let status = Command::new(&ffmpeg.program)
            .args([
                "-nostdin",
                "-loglevel",
                "error",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=s=161x90:r=10:d=1",
            ])
            .args(["-f", "lavfi", "-i", "sine=d=1"])
            .args(options)
            .arg(&path)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "ffmpeg makes {name}");
        std::fs::read(path).unwrap()
    };
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
