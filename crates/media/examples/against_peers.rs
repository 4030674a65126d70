//! What the built-in tools cost beside programs that do the same: pictures beside libvips, clips and
//! a film beside ffmpeg.
//!
//! `cargo run --release -p impasto-media --example against_peers [picture|clip|film]` prints one JSON
//! object a line: `{"figure", "ours": {"wall_s", "cpu_s", "bytes"}, "peer": {...} | null, "peer_name"}`.
//! Both sides do the work in turn, several times, in this one process and its children; the medians
//! are printed. A peer that is not installed is told as `null`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use impasto_domain::{AssetRef, Bench, Error, Result, Value, Values, Workbench};
use impasto_media::{Format, Picture, Sound, operations};
use serde_json::{Value as Json, json};

/// How often each side does its work.
const ROUNDS: usize = 5;
/// The photograph is enlarged to this, as large as a camera's.
const PHOTO_PX: (u32, u32) = (4000, 2668);
const THUMBNAIL_PX: (u32, u32) = (1024, 768);
const CLIP_S: f64 = 6.0;
const SHOTS: usize = 3;
const FADE_S: f64 = 0.5;

/// What a piece of work took.
#[derive(Clone, Copy)]
struct Cost {
    wall_s: f64,
    cpu_s: f64,
    bytes: usize,
}

impl Cost {
    fn json(self) -> Json {
        let round = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        json!({"wall_s": round(self.wall_s), "cpu_s": round(self.cpu_s), "bytes": self.bytes})
    }
}

/// Processor seconds of this process and of the children that it has waited for.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(4);
    // The kernel counts hundredths of a second here, on every machine.
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn measured(work: impl FnOnce() -> Result<usize>) -> Result<Cost> {
    let (began, cpu) = (Instant::now(), cpu_s());
    let bytes = work()?;
    Ok(Cost { wall_s: began.elapsed().as_secs_f64(), cpu_s: cpu_s() - cpu, bytes })
}

fn median(mut costs: Vec<Cost>) -> Option<Cost> {
    let middle = costs.len() / 2;
    costs.sort_by(|a, b| a.wall_s.total_cmp(&b.wall_s));
    let wall_s = costs.get(middle)?.wall_s;
    costs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    costs.get(middle).map(|cost| Cost { wall_s, ..*cost })
}

/// A program that does the same.
struct Peer {
    name: &'static str,
    arguments: Vec<String>,
    output: PathBuf,
}

impl Peer {
    fn is_there(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(self.name).is_file())
    }

    fn run(&self) -> Result<usize> {
        let failed = |error: std::io::Error| Error::unavailable(format!("{}: {error}", self.name));
        let output = Command::new(self.name)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(Error::unavailable(format!("{} failed: {words}", self.name)));
        }
        Ok(std::fs::metadata(&self.output).map_err(failed)?.len() as usize)
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn compare(figure: &str, ours: impl Fn() -> Result<usize>, peer: &Peer) -> Result<()> {
    let there = peer.is_there();
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(measured(&ours)?);
        if there {
            others.push(measured(|| peer.run())?);
        }
    }
    let line = json!({
        "figure": figure,
        "ours": median(own).map(Cost::json),
        "peer": median(others).map(Cost::json),
        "peer_name": peer.name,
    });
    println!("{line}");
    Ok(())
}

fn work(name: &str, input: &[(&str, Value)], bench: &dyn Workbench) -> Result<Values> {
    let operation = operations().into_iter().find(|operation| operation.name == name);
    let operation = operation.ok_or_else(|| Error::internal(format!("there is no {name}")))?;
    let input = input.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    (operation.run)(&input, bench)
}

fn asset(output: &Values, name: &str) -> Result<AssetRef> {
    let asset = output.get(name).and_then(Value::as_asset).cloned();
    asset.ok_or_else(|| Error::internal(format!("the tool gave no {name}")))
}

fn photograph() -> Result<Picture> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/coffee.png");
    let bytes = std::fs::read(&path)
        .map_err(|error| Error::unavailable(format!("{}: {error}", path.display())))?;
    Picture::decode(&bytes)?.resized(PHOTO_PX.0, PHOTO_PX.1)
}

/// A sound as long as the film.
fn tone() -> Sound {
    let sample = |index: usize| (index as f32 * 0.0576).sin() * 0.3;
    let length = (48_000.0 * (CLIP_S * SHOTS as f64 - FADE_S * (SHOTS - 1) as f64)) as usize;
    let channel: Vec<f32> = (0..length).map(sample).collect();
    Sound { sample_rate: 48_000, channels: vec![channel.clone(), channel] }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).map_err(|error| Error::unavailable(error.to_string()))?;
    Ok(path)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn pictures(folder: &Path) -> Result<()> {
    let jpeg = photograph()?.encode(Format::Jpeg, 90)?;
    let path = write(folder, "photo.jpg", &jpeg)?;
    for (format, end) in [(Format::Jpeg, "jpg"), (Format::Webp, "webp")] {
        let output = folder.join(format!("thumbnail.{end}"));
        let size = format!("{}x{}", THUMBNAIL_PX.0, THUMBNAIL_PX.1);
        let arguments = vec![
            path.display().to_string(),
            "-s".to_owned(),
            size,
            "-o".to_owned(),
            format!("{}[Q=85]", output.display()),
        ];
        let peer = Peer { name: "vipsthumbnail", arguments, output };
        let ours = || {
            let picture = Picture::decode(&jpeg)?.fitted(THUMBNAIL_PX.0, THUMBNAIL_PX.1)?;
            Ok(picture.encode(format, 85)?.len())
        };
        compare(&format!("10.7 MP JPEG to 1024x768 {end}"), ours, &peer)?;
    }
    Ok(())
}

/// A still of 1600x900 that differs from the others.
fn still(photo: &Picture, index: usize) -> Result<Picture> {
    photo.cropped(200 * index as u32, 100 * index as u32, 3200, 1800).resized(1600, 900)
}

fn shot(bench: &dyn Workbench, picture: &Picture, seconds: f64) -> Result<AssetRef> {
    let image = picture.write(bench)?;
    let input = [
        ("image", Value::from(image)),
        ("camera", Value::from("push-in")),
        ("amount", Value::Number(0.12)),
        ("easing", Value::from("linear")),
        ("duration", Value::Number(seconds)),
        ("fps", Value::Number(24.0)),
        ("width", Value::Integer(1280)),
        ("height", Value::Integer(720)),
    ];
    asset(&work("image-to-video", &input, bench)?, "video")
}

fn rendered(bench: &dyn Workbench, video: AssetRef) -> Result<usize> {
    let input = [("video", Value::from(video)), ("quality", Value::from("good"))];
    let video = asset(&work("render-video", &input, bench)?, "video")?;
    Ok(bench.read(&video)?.len())
}

/// The move of the camera, in the words of the peer.
fn zoompan(seconds: f64) -> String {
    let frames = seconds * 24.0;
    format!(
        "zoompan=z='1+0.12*on/{frames}':x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':d={frames}:s=1280x720:fps=24"
    )
}

fn clip(folder: &Path) -> Result<()> {
    let picture = still(&photograph()?, 0)?;
    let path = write(folder, "still.png", &picture.to_png()?)?;
    let output = folder.join("clip.mp4");
    let mut arguments = words("-y -v error -i");
    arguments.extend([path.display().to_string(), "-vf".to_owned(), zoompan(CLIP_S)]);
    arguments.extend(words("-c:v libx264 -preset veryfast -pix_fmt yuv420p"));
    arguments.push(output.display().to_string());
    let peer = Peer { name: "ffmpeg", arguments, output };
    let ours = || {
        let bench = Bench::default();
        let video = shot(&bench, &picture, CLIP_S)?;
        rendered(&bench, video)
    };
    compare("a clip of 6 s at 720p24 from a picture", ours, &peer)
}

/// Three shots, crossfaded, over a sound.
fn film(folder: &Path) -> Result<()> {
    let photo = photograph()?;
    let stills: Vec<Picture> =
        (0..SHOTS).map(|index| still(&photo, index)).collect::<Result<_>>()?;
    let tone = tone();
    let sound = write(folder, "tone.wav", &tone.to_wav()?)?;
    let output = folder.join("film.mp4");
    let mut arguments = words("-y -v error");
    let mut graph = String::new();
    for (index, picture) in stills.iter().enumerate() {
        let path = write(folder, &format!("still-{index}.png"), &picture.to_png()?)?;
        arguments.extend(["-i".to_owned(), path.display().to_string()]);
        graph += &format!("[{index}:v]{},format=yuv420p[v{index}];", zoompan(CLIP_S));
    }
    graph += &format!(
        "[v0][v1]xfade=transition=fade:duration={FADE_S}:offset={}[w];\
         [w][v2]xfade=transition=fade:duration={FADE_S}:offset={}[v]",
        CLIP_S - FADE_S,
        2.0 * (CLIP_S - FADE_S),
    );
    arguments.extend(["-i".to_owned(), sound.display().to_string(), "-filter_complex".to_owned()]);
    arguments.push(graph);
    arguments.extend(words(&format!("-map [v] -map {SHOTS}:a -shortest -c:v libx264")));
    arguments.extend(words("-preset veryfast -c:a aac -b:a 128k"));
    arguments.push(output.display().to_string());
    let peer = Peer { name: "ffmpeg", arguments, output };
    let ours = || {
        let bench = Bench::default();
        let shots: Result<Vec<Value>> =
            stills.iter().map(|picture| shot(&bench, picture, CLIP_S).map(Value::from)).collect();
        let stitched = work(
            "stitch-video",
            &[
                ("videos", Value::List(shots?)),
                ("transition", Value::from("crossfade")),
                ("transition_duration", Value::Number(FADE_S)),
            ],
            &bench,
        )?;
        let audio = tone.write(&bench)?;
        let input =
            [("video", Value::from(asset(&stitched, "video")?)), ("audio", Value::from(audio))];
        let muxed = work("mux-video", &input, &bench)?;
        rendered(&bench, asset(&muxed, "video")?)
    };
    compare("a film of three such shots, crossfaded, with sound", ours, &peer)
}

fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let failed = |error: std::io::Error| Error::unavailable(error.to_string());
    let folder = tempfile::tempdir().map_err(failed)?;
    type Figure = fn(&Path) -> Result<()>;
    let figures: [(&str, Figure); 3] = [("picture", pictures), ("clip", clip), ("film", film)];
    for (name, figure) in figures {
        if name.contains(&wanted) {
            figure(folder.path())?;
        }
    }
    Ok(())
}
