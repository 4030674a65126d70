//! The tools through their endpoints, and the files they make in the eyes of others.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use impasto_domain::{
    AssetRef, Bench, Error, ErrorKind, MediaFacts, Result, Value, Values, Workbench,
};

use super::camera::{Camera, View};
use super::clip::Clip;
use super::h264::Quality;
use super::timeline::Timeline;
use super::{VideoLimits, decode_foreign_mp4, encode_mp4, warp};
use crate::{Picture, Sound};

fn try_run(name: &str, input: &[(&str, Value)], bench: &dyn Workbench) -> Result<Values> {
    let operations = crate::operations();
    let operation = operations.iter().find(|operation| operation.name == name).unwrap();
    let input = input.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    (operation.run)(&input, bench)
}

fn run(name: &str, input: &[(&str, Value)], bench: &dyn Workbench) -> Values {
    try_run(name, input, bench).unwrap()
}

fn video(output: &Values) -> AssetRef {
    output["video"].as_asset().unwrap().clone()
}

/// A picture with gradients, edges and a fine pattern.
fn scene(width: u32, height: u32, shade: u8) -> Picture {
    Picture::from_fn(width, height, |x, y| {
        let (across, down) = (x as f32 / width as f32, y as f32 / height as f32);
        let disc = (across - 0.5).hypot(down - 0.5) < 0.2;
        let weave = ((x / 6 + y / 6) % 2) as f32 * 18.0;
        let light = across * 110.0 + down * 60.0 + weave + if disc { 60.0 } else { 0.0 };
        [(light * 0.9) as u8, light as u8, shade.saturating_add((light * 0.2) as u8), 255]
    })
}

fn shot(bench: &dyn Workbench, shade: u8, more: &[(&str, Value)]) -> AssetRef {
    let picture = scene(480, 270, shade).write(bench).unwrap();
    let mut input = vec![
        ("image", picture.into()),
        ("width", 320.into()),
        ("height", 180.into()),
        ("duration", 1.5.into()),
    ];
    input.extend(more.iter().cloned());
    video(&run("image-to-video", &input, bench))
}

fn stitched(bench: &dyn Workbench, transition: &str) -> Values {
    let shots: Vec<Value> = [20, 120, 220].map(|shade| shot(bench, shade, &[]).into()).to_vec();
    let input = [
        ("videos", Value::from(shots)),
        ("transition", transition.into()),
        ("transition_duration", 0.5.into()),
    ];
    run("stitch-video", &input, bench)
}

fn beep(seconds: f64) -> Sound {
    let count = (seconds * 48_000.0) as usize;
    let tone = |place: usize| (place as f32 * 0.0576).sin() * 0.2;
    Sound { sample_rate: 48_000, channels: vec![(0..count).map(tone).collect(); 2] }
}

/// What ffprobe says of a file, `None` where it is not installed.
fn ffprobe(file: &[u8], entries: &str) -> Option<Vec<String>> {
    let path = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(path.path(), file).unwrap();
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-of",
            "default=nk=1:nw=1",
            "-show_entries",
            entries,
        ])
        .arg(path.path())
        .output()
        .ok()?;
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[test]
fn a_chain_of_tools_costs_one_encode_and_plays_elsewhere() {
    let bench = Bench::default();
    let film = video(&stitched(&bench, "crossfade"));
    // 3 × 1.5 s, overlapping twice by 0.5 s.
    assert_eq!(film.facts.duration_ms, Some(3500));
    assert!(film.is_timeline() && film.facts.bytes < 10_000, "{film:?}");
    let cues = Values::from([
        ("start".to_owned(), 0.4.into()),
        ("end".to_owned(), 1.9.into()),
        ("text".to_owned(), "Good mornings begin quietly, one cup at a time".into()),
    ]);
    let film = video(&run(
        "caption-video",
        &[("video", film.into()), ("cues", vec![Value::from(cues)].into())],
        &bench,
    ));
    let sound = beep(3.2).write(&bench).unwrap();
    let film = video(&run("mux-video", &[("video", film.into()), ("audio", sound.into())], &bench));
    assert!(film.is_timeline());
    let rendered = video(&run("render-video", &[("video", film.clone().into())], &bench));
    let facts = MediaFacts { bytes: rendered.facts.bytes, ..film.facts.clone() };
    assert_eq!((rendered.media_type.as_str(), &rendered.facts), ("video/mp4", &facts));
    let file = bench.read(&rendered).unwrap();
    assert_eq!(super::mp4_facts(&file).unwrap(), facts);
    let again = video(&run("render-video", &[("video", film.into())], &bench));
    assert_eq!(again.digest, rendered.digest, "the same timeline gives the same bytes");
    let same = video(&run("render-video", &[("video", rendered.clone().into())], &bench));
    assert_eq!(same, rendered, "a file is rendered already");
    let entries = "stream=codec_name,profile,width,height,pix_fmt,color_range,color_space,\
                   nb_read_frames,has_b_frames:format=duration";
    let Some(told) = ffprobe(&file, entries) else {
        println!("ffprobe is not installed: nobody else has looked at the file");
        return;
    };
    for word in ["h264", "High", "320", "180", "yuv420p", "tv", "bt709", "84", "aac", "LC"] {
        assert!(told.iter().any(|line| line == word), "{word} is not in {told:?}");
    }
    assert!(told.iter().any(|line| line.starts_with("3.50")), "{told:?}");
}

#[test]
fn decoded_frames_are_the_frames_that_were_drawn() {
    let bench = Bench::default();
    let film = video(&stitched(&bench, "wipe-left"));
    let rendered = video(&run("render-video", &[("video", film.clone().into())], &bench));
    let timeline = Timeline::read(&bench, &film).unwrap();
    let mut clip = Clip::open(&bench, &rendered).unwrap();
    // Forwards, backwards and far away: every way to a frame leads to the same one.
    for number in [0, 1, 40, 30, 31, 83, 0, 83] {
        let drawn = super::frame(&timeline, number, &bench).unwrap();
        let seen = clip.at(number as f64 / 24.0).unwrap();
        let psnr = psnr(&drawn, seen);
        assert!(psnr > 34.0, "frame {number}: {psnr} dB");
    }
    let last = run("extract-frame", &[("video", rendered.into()), ("at", "last".into())], &bench);
    let last = Picture::read(&bench, last["image"].as_asset().unwrap()).unwrap();
    assert!(psnr(&last, clip.at(3.4999).unwrap()) > 60.0);
}

fn psnr(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let squares: f64 = a
        .pixels
        .as_raw()
        .iter()
        .zip(b.pixels.as_raw())
        .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2))
        .sum();
    let mean = squares / a.pixels.as_raw().len() as f64;
    10.0 * (255.0_f64.powi(2) / mean.max(1e-9)).log10()
}

#[test]
fn every_transition_keeps_the_sum_of_the_durations_less_the_overlaps() {
    let bench = Bench::default();
    for transition in ["cut", "crossfade", "fade-black", "wipe-left", "slide-left"] {
        let joined = stitched(&bench, transition);
        let overlap = if transition == "cut" { 0.0 } else { 0.5 };
        let expected_ms = ((4.5 - 2.0 * overlap) * 1000.0) as u64;
        assert_eq!(video(&joined).facts.duration_ms, Some(expected_ms), "{transition}");
        let cuts: Vec<f64> =
            joined["cuts"].as_list().unwrap().iter().filter_map(Value::as_number).collect();
        assert_eq!(cuts, [0.0, 1.5 - overlap, 3.0 - 2.0 * overlap], "{transition}");
        let timeline = Timeline::read(&bench, &video(&joined)).unwrap();
        // In the middle of a transition the picture is neither of the two.
        let frame = |number| super::frame(&timeline, number, &bench).unwrap();
        if overlap > 0.0 {
            let middle = ((1.5 - overlap / 2.0) * 24.0) as u64;
            for other in [middle - 12, middle + 12] {
                assert!(psnr(&frame(middle), &frame(other)) < 34.0, "{transition}");
            }
        }
    }
}

#[test]
fn trimming_and_nesting_change_no_frame() {
    let bench = Bench::default();
    let film = video(&stitched(&bench, "crossfade"));
    let part = run(
        "trim-video",
        &[("video", film.clone().into()), ("start", 1.25.into()), ("duration", 1.5.into())],
        &bench,
    );
    let part = video(&part);
    assert_eq!(part.facts.duration_ms, Some(1500));
    let nested = run(
        "stitch-video",
        &[
            ("videos", vec![Value::from(part.clone()), part.clone().into()].into()),
            ("transition", "cut".into()),
        ],
        &bench,
    );
    let whole = Timeline::read(&bench, &film).unwrap();
    let part = Timeline::read(&bench, &part).unwrap();
    let nested = Timeline::read(&bench, &video(&nested)).unwrap();
    assert_eq!(nested.frames(), 72);
    for number in [0, 7, 35] {
        let original = super::frame(&whole, number + 30, &bench).unwrap();
        let trimmed = super::frame(&part, number, &bench).unwrap();
        let second = super::frame(&nested, number + 36, &bench).unwrap();
        assert!(psnr(&original, &trimmed) > 50.0 && psnr(&original, &second) > 50.0, "{number}");
    }
}

#[test]
fn scaling_fits_covers_and_stretches() {
    let bench = Bench::default();
    let film = shot(&bench, 200, &[("camera", "static".into())]);
    for (fit, corner_is_black) in [("contain", true), ("cover", false), ("stretch", false)] {
        let input = [
            ("video", film.clone().into()),
            ("width", 180.into()),
            ("height", 180.into()),
            ("fps", 12.into()),
            ("fit", fit.into()),
        ];
        let scaled = video(&run("scale-video", &input, &bench));
        let facts = &scaled.facts;
        assert_eq!((facts.width, facts.height, facts.fps), (Some(180), Some(180), Some(12.0)));
        assert_eq!(facts.duration_ms, Some(1500));
        let timeline = Timeline::read(&bench, &scaled).unwrap();
        let frame = super::frame(&timeline, 3, &bench).unwrap();
        let [_, _, blue, _] = frame.pixels.get_pixel(90, 4).0;
        assert_eq!(blue < 20, corner_is_black, "{fit}: {blue}");
        let [_, _, blue, _] = frame.pixels.get_pixel(90, 90).0;
        assert!(blue > 150, "{fit}");
    }
}

#[test]
fn camera_moves_are_smooth_to_a_fraction_of_a_pixel() {
    // A soft bright line in the middle third; where is it in each frame?
    let picture = Picture::from_fn(960, 540, |x, _| {
        let away = (x as f32 - 300.3) / 4.0;
        let light = (255.0 * (-away * away).exp()) as u8;
        [light, light, light, 255]
    });
    for camera in [Camera::PanLeft, Camera::PushIn, Camera::PullOut, Camera::Orbit] {
        let mut warp = warp::Warp::new();
        let mut places = Vec::new();
        for step in 0..48 {
            let progress = f64::from(step) / 48.0;
            let view = View::of(camera, 0.1, progress, (960.0, 540.0), (640.0, 360.0));
            let frame = warp.frame(&picture, &view, (640, 360)).unwrap();
            let row =
                (0..640).map(|x| (f64::from(x), f64::from(frame.pixels.get_pixel(x, 180).0[0])));
            let (sum, weight) =
                row.fold((0.0, 0.0), |(sum, weight), (x, light)| (sum + x * light, weight + light));
            places.push(sum / weight);
        }
        // The way is nearly straight over five frames: what departs from it is judder.
        let judder: f64 = places
            .windows(5)
            .map(|five| (five[2] - (five[1] + five[3]) / 1.5 + (five[0] + five[4]) / 6.0).powi(2))
            .sum::<f64>()
            / (places.len() - 4) as f64;
        let judder_px = judder.sqrt();
        assert!(judder_px < 0.05, "{camera:?}: {judder_px} px");
        assert!((places[47] - places[0]).abs() > 3.0, "{camera:?} moves");
    }
}

#[test]
fn sound_and_picture_start_together() {
    let bench = Bench::default();
    let frames = |count: usize| {
        (0..count)
            .map(|at| Ok(Picture::filled(64, 64, if at == 12 { [255; 4] } else { [0, 0, 0, 255] })))
    };
    let mut sound = beep(1.0);
    for channel in &mut sound.channels {
        channel.fill(0.0);
        channel[24_000..24_400].fill(0.7);
    }
    let (file, facts) = encode_mp4(&mut frames(24), 24.0, Some(&sound), &bench).unwrap();
    assert_eq!((facts.duration_ms, facts.channels), (Some(1000), Some(2)));
    let asset = bench.write(file, "video/mp4", facts).unwrap();
    let heard = super::mp4_sound(&bench, &asset).unwrap();
    assert_eq!(heard.len(), 48_000);
    let loud = heard.channels[0].iter().position(|sample| sample.abs() > 0.35).unwrap();
    assert!(loud.abs_diff(24_000) < 96, "the sound begins at sample {loud}");
    let mut clip = Clip::open(&bench, &asset).unwrap();
    let bright = (0..24)
        .find(|at| clip.at(f64::from(*at) / 24.0).unwrap().pixels.get_pixel(32, 32).0[0] > 128);
    assert_eq!(bright, Some(12));
}

#[test]
fn clips_are_videos_like_others() {
    let bench = Bench::default();
    let mut frames = (0..36).map(|at| Ok(scene(160, 90, at as u8 * 5)));
    let (file, facts) = encode_mp4(&mut frames, 12.0, Some(&beep(3.0)), &bench).unwrap();
    let clip = bench.write(file, "video/mp4", facts).unwrap();
    let both = vec![Value::from(clip), shot(&bench, 90, &[]).into()];
    let joined = run(
        "stitch-video",
        &[("videos", both.into()), ("transition_duration", 0.5.into())],
        &bench,
    );
    let joined = video(&joined);
    assert_eq!((joined.facts.duration_ms, joined.facts.channels), (Some(4000), Some(2)));
    let rendered = video(&run(
        "render-video",
        &[("video", joined.into()), ("quality", "fast".into())],
        &bench,
    ));
    let heard = super::mp4_sound(&bench, &rendered).unwrap();
    let power =
        |from: usize, to: usize| heard.channels[0][from..to].iter().map(|s| s * s).sum::<f32>();
    assert!(power(20_000, 40_000) > 100.0 && power(150_000, 170_000) < 1.0);
    let measured = run("measure-video", &[("video", rendered.into())], &bench);
    let number = |name: &str| measured[name].as_number().unwrap();
    assert!(number("consistency") > 0.8 && number("black") == 0.0, "{measured:?}");
    assert!(number("motion") > 0.001 && number("frozen") < 0.5, "{measured:?}");
}

#[test]
fn foreign_files_are_written_again_or_refused_by_name() {
    let bench = Bench::default();
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, codec: &[&str]| {
        let path = folder.path().join(name);
        let done = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=192x108:rate=25:duration=2"])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:duration=2"])
            .args(codec)
            .arg(&path)
            .output()
            .ok()?;
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(path).ok()
    };
    let limits = VideoLimits::default();
    let Some(foreign) =
        make("a.mp4", &["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac"])
    else {
        println!("ffmpeg is not installed: there is no foreign file to read");
        return;
    };
    let (file, facts) = decode_foreign_mp4(&foreign, &limits, &bench).unwrap();
    assert_eq!((facts.duration_ms, facts.fps, facts.width), (Some(2000), Some(25.0), Some(192)));
    assert_eq!(facts.channels, Some(2));
    let asset = bench.write(file, "video/mp4", facts).unwrap();
    // The pattern counts: its frames follow each other in the order in which they are shown.
    let mut clip = Clip::open(&bench, &asset).unwrap();
    let frames: Vec<Picture> =
        (0..50).map(|at| clip.at(f64::from(at) / 25.0).unwrap().clone()).collect();
    for (at, pair) in frames.windows(3).enumerate() {
        assert!(psnr(&pair[0], &pair[1]) > psnr(&pair[0], &pair[2]) - 3.0, "frame {at}");
    }
    // A file that is taken as it is has the same frames, though they lie in another order.
    let facts = super::mp4_facts(&foreign).unwrap();
    let taken = bench.write(foreign.clone(), "video/mp4", facts).unwrap();
    let mut taken = Clip::open(&bench, &taken).unwrap();
    for at in [0, 1, 2, 3, 4, 30, 29, 49, 7] {
        let seen = taken.at(f64::from(at) / 25.0).unwrap();
        assert!(psnr(seen, &frames[at as usize]) > 30.0, "frame {at}");
    }
    let other = make("b.mp4", &["-c:v", "mpeg4", "-an"]).unwrap();
    let error = decode_foreign_mp4(&other, &limits, &bench).unwrap_err();
    assert!(error.message.contains("mp4v"), "{error}");
    assert!(error.to_string().contains("ffmpeg"), "{error}");
    let small = VideoLimits { pixels: 1000, ..limits };
    assert!(decode_foreign_mp4(&foreign, &small, &bench).is_err());
    for length in (0..foreign.len()).step_by(997) {
        let _ = decode_foreign_mp4(&foreign[..length], &limits, &bench);
    }
}

/// A bench that wants to stop after some questions.
struct Impatient {
    inner: Bench,
    asked: AtomicUsize,
}

impl Workbench for Impatient {
    fn read(&self, asset: &AssetRef) -> Result<std::sync::Arc<[u8]>> {
        self.inner.read(asset)
    }

    fn write(&self, bytes: Vec<u8>, media_type: &str, facts: MediaFacts) -> Result<AssetRef> {
        self.inner.write(bytes, media_type, facts)
    }

    fn progress(&self, fraction: f64, _note: &str) {
        assert!((0.0..=1.0).contains(&fraction));
    }

    fn cancelled(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) > 10
    }
}

#[test]
fn rendering_stops_when_asked() {
    let bench = Impatient { inner: Bench::default(), asked: AtomicUsize::new(0) };
    let film = shot(&bench, 10, &[("duration", 4.into())]);
    let error = try_run("render-video", &[("video", film.into())], &bench).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert!(bench.asked.load(Ordering::Relaxed) < 20);
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let bench = Bench::default();
    let film = || Value::from(shot(&bench, 10, &[]));
    let check = |name: &str, input: &[(&str, Value)], part: &str| {
        let error: Error = try_run(name, input, &bench).unwrap_err();
        assert!(error.message.contains(part), "{name}: {error}");
        assert_ne!(error.kind, ErrorKind::Internal, "{name}: {error}");
    };
    check("trim-video", &[("video", film()), ("start", 9.into())], "ends at 1.5 s");
    check("stitch-video", &[("videos", Value::List(vec![]))], "`videos` is empty");
    check("extract-frame", &[("video", film()), ("at", "time".into())], "`time` is missing");
    let cue = Values::from([("start".to_owned(), 1.into()), ("text".to_owned(), "x".into())]);
    check(
        "caption-video",
        &[("video", film()), ("cues", vec![Value::from(cue)].into())],
        "cues[0]",
    );
    let broken = bench.write(
        b"no timeline".to_vec(),
        impasto_domain::TIMELINE_MEDIA_TYPE,
        MediaFacts::default(),
    );
    check("render-video", &[("video", broken.unwrap().into())], "cannot be read");
    let mp4 = bench.write(vec![0; 64], "video/mp4", MediaFacts::default()).unwrap();
    check("trim-video", &[("video", mp4.into())], "cannot be read");
    assert_eq!(Quality::default(), Quality::Good);
}
