//! Foreign files come in here, and only here.
//!
//! [`Sandbox::import`] hands the bytes to a short-lived child: this same program, started again with
//! a hidden subcommand that calls [`child_main`]. The child lowers its own limits first (address
//! space, processor time, file size, open files, no core), then checks the header against
//! [`Limits`], decodes, and writes a *normalised* file: PNG, WAV, MP4 or GLB, and SVG of what a provider drew. So nothing foreign is
//! ever decoded in the engine's process, a crash of a decoder is an error with a reason, and
//! whatever is in the store was written by Impasto.
//!
//! The child has an empty environment, an empty folder of its own, and a process group that is
//! killed when the clock runs out. On Linux it also fences itself in before it reads a byte: where
//! our own decoders work, no file can be opened, no socket made and no program started; ffmpeg sees
//! its folder and the system's libraries, and no network. What a kernel lacks of this is told in
//! [`Imported::missing_fences`], and is no reason to fail. On any system, no decoder opens a name
//! found in a file: formats that do so are refused, and ffmpeg gets one demuxer and no protocol but
//! `file`.
//!
//! So many files are decoded at once as [`Limits::imports_at_once`] says; more wait, up to a limit.
//!
//! ```no_run
//! use impasto_media::sandbox::Sandbox;
//! # fn main() -> impasto_domain::Result<()> {
//! let sandbox = Sandbox::of_this_program("sandbox-child")?;
//! let imported = sandbox.import(&[0xff, 0xd8, 0xff], "photo.jpg");
//! assert!(imported.is_err());
//! # Ok(())
//! # }
//! ```

mod child;
mod drawings;
mod encoder;
mod exchange;
mod fences;
mod ffmpeg;
mod gate;
mod meshes;
mod movies;
mod pictures;
mod sounds;

use std::path::PathBuf;

use impasto_domain::{Error, MediaFacts, Result};

use crate::limits::Limits;
use crate::sniff::{Kind, Treatment};

pub use child::child_main;
pub use encoder::{EncoderChild, Encoding, ForeignCodec};
pub use ffmpeg::Ffmpeg;

/// A file made from a foreign one.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The normalised file.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub media_type: String,
    /// Its facts.
    pub facts: MediaFacts,
    /// The fences that this machine's kernel could not raise around the decoder, in words.
    pub missing_fences: Vec<String>,
}

/// Where foreign files are decoded.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The program to start: usually this one.
    pub program: PathBuf,
    /// Its arguments, up to the hidden subcommand; the request follows as one more.
    pub args: Vec<String>,
    /// What is put up with.
    pub limits: Limits,
    /// The ffmpeg of this machine, if it has one that will do.
    pub ffmpeg: Option<Ffmpeg>,
}

impl Sandbox {
    /// A sandbox that starts the running program with that hidden subcommand, with default limits
    /// and the machine's ffmpeg.
    pub fn of_this_program(subcommand: &str) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| {
            Error::internal(format!("the path of this program is unknown: {error}"))
        })?;
        let args = vec![subcommand.to_owned()];
        Ok(Self { program, args, limits: Limits::default(), ffmpeg: Ffmpeg::installed().cloned() })
    }

    /// Checks, decodes and normalises a foreign file. `declared_name` is for messages only.
    ///
    /// Blocks until the child is done, or while others are: call it on a thread that may wait.
    pub fn import(&self, bytes: &[u8], declared_name: &str) -> Result<Imported> {
        self.import_some(bytes, declared_name, false)
    }

    /// The same for what a provider made, which may be a drawing: an SVG is written anew with shapes,
    /// colours and words alone. The tools read no drawings, so nobody else may send one.
    pub fn import_result(&self, bytes: &[u8], declared_name: &str) -> Result<Imported> {
        let drawing = Kind::sniff(bytes) == Kind::Xml && drawings::is_drawing(bytes);
        self.import_some(bytes, declared_name, drawing)
    }

    fn import_some(&self, bytes: &[u8], declared_name: &str, drawing: bool) -> Result<Imported> {
        let named = |error: Error| error.context(shown(declared_name));
        let size = bytes.len() as u64;
        if size > self.limits.bytes {
            let message = format!("the file has {size} bytes, the most is {}", self.limits.bytes);
            return Err(named(Error::invalid(message).hint("send a smaller file")));
        }
        let kind = if drawing { Ok(Kind::Xml) } else { Kind::admitted(bytes) }.map_err(named)?;
        let ffmpeg = self.ffmpeg_for(kind).map_err(named)?;
        let own_film = kind == Kind::Mp4 && ffmpeg.is_none();
        let limits = self.limits.clone();
        let request = exchange::Request { limits, ffmpeg, own_film, drawing, encoding: None };
        let _pass = gate::GATE.pass(&self.limits).map_err(named)?;
        exchange::call(self, &request, bytes).map_err(named)
    }

    /// What the boxes of an MP4 film say, held against the limits; nothing for anything else. No frame
    /// is decoded.
    pub fn film_facts(&self, bytes: &[u8]) -> Option<Result<MediaFacts>> {
        Kind::admitted(bytes).ok().filter(|kind| *kind == Kind::Mp4)?;
        let film = movies::probe(bytes, &self.limits);
        film.map(|film| film.has_pictures.then_some(film.facts)).transpose()
    }

    /// The media type of a compressed sound that clients are sent as it is; nothing for anything else.
    pub fn sound_type(bytes: &[u8]) -> Option<&'static str> {
        match Kind::admitted(bytes).ok()? {
            Kind::Mp3 => Some("audio/mpeg"),
            Kind::Opus => Some("audio/ogg"),
            Kind::Flac => Some("audio/flac"),
            _ => None,
        }
    }

    /// The ffmpeg that decodes this kind of file, if that is not for us to do.
    fn ffmpeg_for(&self, kind: Kind) -> Result<Option<Ffmpeg>> {
        match (kind.treatment(), &self.ffmpeg) {
            (Treatment::Ffmpeg { .. }, Some(ffmpeg)) => Ok(Some(ffmpeg.clone())),
            (Treatment::Ffmpeg { or_own: false, .. }, None) => {
                Err(Error::unavailable(format!("a {} can be read only with ffmpeg, which is not installed", kind.name()))
                    .hint("install ffmpeg 5.1 or later (on Debian: apt-get install ffmpeg), or send another format"))
            }
            _ => Ok(None),
        }
    }
}

/// A name as it may stand in a message: short, and without control characters.
fn shown(name: &str) -> String {
    let shown: String = name.chars().filter(|char| !char.is_control()).take(80).collect();
    if shown.is_empty() { "the file".into() } else { format!("'{shown}'") }
}
