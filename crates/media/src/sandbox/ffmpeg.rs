//! The machine's ffmpeg, for formats that our own decoders do not read.
//!
//! It is found and asked for its version and encoders once. It runs inside the sandbox's child, so
//! it inherits that child's limits and empty environment; it gets one file whose name we chose, the
//! one demuxer that the file's first bytes call for, and no protocol but `file`: a playlist, a
//! script or a reference inside the file leads nowhere. No text of a user reaches its arguments.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use impasto_domain::{Error, Result};
use serde::{Deserialize, Serialize};

use super::child::{Normalised, undecodable};
use super::{movies, pictures, sounds};
use crate::limits::Limits;
use crate::sniff::{Kind, Treatment};

/// The oldest version whose options are known to hold.
const OLDEST: (u32, u32) = (5, 1);

/// How long it may take to tell its version.
const PROBE_TIME: Duration = Duration::from_secs(5);

/// An ffmpeg program that has been asked what it can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ffmpeg {
    /// Its absolute path.
    pub program: PathBuf,
    /// Major and minor version; a development build counts as the newest.
    pub version: (u32, u32),
    /// The names of those of its encoders that Impasto has a use for.
    pub encoders: Vec<String>,
}

impl Ffmpeg {
    /// The ffmpeg of this machine, if there is one that is new enough. Looked for once.
    pub fn installed() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<Ffmpeg>> = OnceLock::new();
        FOUND.get_or_init(|| candidates().find_map(|program| Self::probe(&program))).as_ref()
    }

    /// Asks a program at an absolute path what it is; `None` if it is not an ffmpeg that will do.
    pub fn probe(program: &Path) -> Option<Self> {
        if !program.is_absolute() || !program.is_file() {
            return None;
        }
        let version = version_of(&answer(program, "-version")?)?;
        let listed = answer(program, "-encoders")?;
        let names = listed.lines().filter_map(|line| line.split_whitespace().nth(1));
        let useful = ["libx264", "libsvtav1", "libopenh264", "aac", "libopus", "libmp3lame"];
        let encoders = names.filter(|name| useful.contains(name)).map(str::to_owned).collect();
        (version >= OLDEST).then(|| Self { program: program.to_owned(), version, encoders })
    }

    /// Whether it has that encoder.
    pub fn has(&self, encoder: &str) -> bool {
        self.encoders.iter().any(|name| name == encoder)
    }
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    folders.into_iter().chain(usual).map(|folder| folder.join("ffmpeg"))
}

/// What the program says to one option, if it ends in time.
fn answer(program: &Path, option: &str) -> Option<String> {
    let mut child = Command::new(program)
        .args(["-hide_banner", "-nostdin", option])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut output = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.by_ref().take(1 << 20).read_to_string(&mut text).map(|_| text).ok()
    });
    let deadline = Instant::now() + PROBE_TIME;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    reader.join().ok()?
}

/// Reads `ffmpeg version 5.1.6-0+deb12u1 …`; `N-…` is a development build.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let version = text.strip_prefix("ffmpeg version ")?.split_whitespace().next()?;
    if version.starts_with("N-") || version.starts_with("git-") {
        return Some((u32::MAX, 0));
    }
    let mut parts = version.trim_start_matches('n').split(|char: char| !char.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

/// What is made of a file.
enum Target {
    Picture,
    Sound,
    Film,
}

/// Decodes a file and writes it as PNG, WAV or MP4. Runs in the child.
pub(super) fn normalise(
    ffmpeg: &Ffmpeg,
    kind: Kind,
    has_pictures: bool,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Normalised> {
    let target = match (kind, has_pictures) {
        (Kind::Avif, _) => Target::Picture,
        (_, true) => Target::Film,
        (_, false) => Target::Sound,
    };
    let Treatment::Ffmpeg { demuxer, .. } = kind.treatment() else {
        return Err(Error::internal(format!("a {} is not for ffmpeg", kind.name())));
    };
    let failed = |error: std::io::Error| {
        Error::internal(format!("the sandbox's folder cannot be used: {error}"))
    };
    std::fs::write("input", bytes).map_err(failed)?;
    let made = match target {
        Target::Picture => {
            run(
                ffmpeg,
                kind,
                demuxer,
                limits,
                &["-map", "0:v:0", "-frames:v", "1", "-f", "image2", "file:output"],
            )?;
            pictures::normalise(&std::fs::read("output").map_err(failed)?, Kind::Png, limits)?
        }
        Target::Sound => {
            run(
                ffmpeg,
                kind,
                demuxer,
                limits,
                &["-map", "0:a:0", "-c:a", "pcm_s16le", "-f", "wav", "file:output"],
            )?;
            sounds::normalise(&std::fs::read("output").map_err(failed)?, Kind::Wav, limits)?
        }
        Target::Film => film(ffmpeg, kind, demuxer, limits)?,
    };
    Ok(made)
}

fn film(ffmpeg: &Ffmpeg, kind: Kind, demuxer: &str, limits: &Limits) -> Result<Normalised> {
    let video: &[&str] = if ffmpeg.has("libx264") {
        &["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-profile:v", "main"]
    } else if ffmpeg.has("libopenh264") {
        &["-c:v", "libopenh264", "-b:v", "8M"]
    } else {
        return Err(Error::unavailable("this machine's ffmpeg has no H.264 encoder")
            .hint("install one built with libx264, as distributions do"));
    };
    let mut options = vec!["-map", "0:v:0", "-map", "0:a:0?"];
    options.extend_from_slice(video);
    // Both sides even, as 4:2:0 asks for; pixels square.
    options.extend(["-vf", "scale=ceil(iw*sar/2)*2:ceil(ih/2)*2,setsar=1", "-pix_fmt", "yuv420p"]);
    options.extend([
        "-c:a",
        "aac",
        "-b:a",
        "192k",
        "-movflags",
        "+faststart",
        "-f",
        "mp4",
        "file:output",
    ]);
    run(ffmpeg, kind, demuxer, limits, &options)?;
    let bytes = std::fs::read("output").map_err(|error| {
        Error::internal(format!("the sandbox's folder cannot be used: {error}"))
    })?;
    let facts = movies::probe(&bytes, limits)?.facts;
    Ok(Normalised { bytes, media_type: "video/mp4", facts })
}

fn run(ffmpeg: &Ffmpeg, kind: Kind, demuxer: &str, limits: &Limits, output: &[&str]) -> Result<()> {
    let pixels = limits.pixels.to_string();
    // A second more than allowed, so that what is too long shows.
    let seconds = (limits.duration_ms / 1000 + 1).to_string();
    let bytes = limits.output_bytes.to_string();
    let still = if kind == Kind::Avif { "png" } else { "" };
    let log = std::fs::File::create("log").map_err(|error| {
        Error::internal(format!("the sandbox's folder cannot be used: {error}"))
    })?;
    let mut command = Command::new(&ffmpeg.program);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-threads", "2"])
        .args(["-protocol_whitelist", "file", "-format_whitelist", whitelisted(demuxer)])
        .args(["-max_pixels", &pixels, "-t", &seconds, "-f", demuxer, "-i", "file:input"])
        .args([
            "-map_metadata",
            "-1",
            "-map_chapters",
            "-1",
            "-sn",
            "-dn",
            "-threads",
            "2",
            "-fs",
            &bytes,
        ])
        .args((!still.is_empty()).then_some(["-c:v", still]).into_iter().flatten().map(OsStr::new))
        .args(output);
    let status = command.status().map_err(|error| {
        Error::unavailable(format!("ffmpeg cannot be started: {error}")).hint("install it anew")
    })?;
    if status.success() {
        return Ok(());
    }
    let log = std::fs::read("log").unwrap_or_default();
    let reason: String = String::from_utf8_lossy(&log)
        .lines()
        .last()
        .unwrap_or("ffmpeg gave no reason")
        .chars()
        .take(200)
        .collect();
    Err(undecodable(kind.name(), &reason))
}

/// The demuxer's full name, which is what the list of allowed formats is compared with.
fn whitelisted(demuxer: &str) -> &'static str {
    match demuxer {
        "mov" => "mov,mp4,m4a,3gp,3g2,mj2",
        "matroska" => "matroska,webm",
        _ => "ogg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let check = |text: &str, version| assert_eq!(version_of(text), version, "{text}");
        check("ffmpeg version 5.1.6-0+deb12u1 Copyright", Some((5, 1)));
        check("ffmpeg version n7.0 Copyright", Some((7, 0)));
        check("ffmpeg version N-117000-gabc Copyright", Some((u32::MAX, 0)));
        check("avconv version 12", None);
    }

    #[test]
    fn only_an_absolute_path_to_a_program_will_do() {
        assert_eq!(Ffmpeg::probe(Path::new("ffmpeg")), None);
        assert_eq!(Ffmpeg::probe(Path::new("/no/such/ffmpeg")), None);
    }
}
