//! The inside of the child process.

use std::io::{Read, Write};
use std::panic;

use impasto_domain::{Error, ErrorKind, MediaFacts, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::exchange::{Heading, Request};
use super::{drawings, encoder, fences, ffmpeg, meshes, movies, pictures, sounds};
use crate::limits::Limits;
use crate::sniff::Kind;

/// A normalised file.
pub(super) struct Normalised {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
    pub(super) facts: MediaFacts,
}

/// What the hidden subcommand does. The request is the last argument of the program. Gives the exit
/// status: 0 if an answer was written, be it an error.
pub fn child_main() -> i32 {
    // What a panic says travels in the answer.
    panic::set_hook(Box::new(|_| {}));
    let mut missing_fences = Vec::new();
    let answer = std::env::args()
        .next_back()
        .ok_or_else(|| Error::internal("no request"))
        .and_then(|text| {
            let request: Request = serde_json::from_str(&text)
                .map_err(|error| Error::internal(format!("the request cannot be read: {error}")))?;
            lower_limits(&request)?;
            let program = request.ffmpeg.as_ref().map(|ffmpeg| ffmpeg.program.as_path());
            missing_fences = fences::raise(program);
            if let (Some(encoding), Some(ffmpeg)) = (request.encoding, &request.ffmpeg) {
                return Err(encoder::become_ffmpeg(ffmpeg, encoding));
            }
            let bytes = read_input(&request.limits)?;
            without_panic(|| normalised(&bytes, &request))
        });
    i32::from(write_answer(answer, missing_fences).is_err())
}

/// Tells the parent that the file, by its header, takes longer than others do.
pub(super) fn ask_for_time(wall_ms: u64) -> Result<()> {
    let told = write_line(&mut std::io::stdout().lock(), &Heading::Takes { wall_ms });
    told.map_err(|error| Error::internal(format!("the parent does not listen: {error}")))
}

fn lower_limits(request: &Request) -> Result<()> {
    // Two threads of a decoder may use the time of the clock twice over.
    let processor_s = (request.most_wall_ms() / 1000).max(1) * 2;
    // Counted over all of the user's processes, so it says something only where one may be started.
    let processes =
        request.ffmpeg.as_ref().map(|_| (Resource::Nproc, request.limits.user_processes));
    let limits = [
        (Resource::As, request.memory_bytes()),
        (Resource::Cpu, processor_s),
        (Resource::Fsize, request.limits.output_bytes.max(request.limits.bytes)),
        (Resource::Nofile, 64),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits.into_iter().chain(processes) {
        // What is set lower already stays so.
        let most = getrlimit(resource).maximum.map_or(most, |set| set.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| {
            Error::internal(format!("the limit of {resource:?} cannot be set: {error}"))
        })?;
    }
    Ok(())
}

fn read_input(limits: &Limits) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(limits.bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Error::internal(format!("the file did not arrive: {error}")))?;
    limits.check_count("bytes", bytes.len() as u64, limits.bytes)?;
    Ok(bytes)
}

/// A decoder that panics on a file is a file that cannot be decoded.
fn without_panic<T>(work: impl FnOnce() -> Result<T> + panic::UnwindSafe) -> Result<T> {
    panic::catch_unwind(work).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Error::invalid(format!("the file made its decoder give up ({text})"))
            .hint("write the file anew with another program and try again"))
    })
}

fn normalised(bytes: &[u8], request: &Request) -> Result<Normalised> {
    let limits = &request.limits;
    let kind = if request.drawing { Kind::Xml } else { Kind::admitted(bytes)? };
    let made = match (kind, &request.ffmpeg) {
        (Kind::Xml, _) => drawings::normalise(bytes, limits)?,
        (Kind::Mp4, None) => movies::normalise(bytes, limits)?,
        (Kind::Mp4, Some(program)) => {
            let film = movies::probe(bytes, limits)?;
            ffmpeg::normalise(program, kind, film.has_pictures, bytes, limits)?
        }
        (Kind::Avif | Kind::Matroska | Kind::Opus, Some(program)) => {
            ffmpeg::normalise(program, kind, kind != Kind::Opus, bytes, limits)?
        }
        (Kind::Wav | Kind::Mp3 | Kind::Flac | Kind::Ogg, _) => {
            sounds::normalise(bytes, kind, limits)?
        }
        (Kind::Glb, _) => meshes::normalise(bytes, limits)?,
        _ => pictures::normalise(bytes, kind, limits)?,
    };
    limits.check_count("bytes once it is decoded", made.bytes.len() as u64, limits.output_bytes)?;
    Ok(Normalised { facts: MediaFacts { bytes: made.bytes.len() as u64, ..made.facts }, ..made })
}

fn write_answer(
    answer: Result<Normalised>,
    missing_fences: Vec<String>,
) -> Result<(), std::io::Error> {
    let (heading, bytes) = match answer {
        Ok(Normalised { bytes, media_type, facts }) => {
            (Heading::Done { media_type: media_type.to_owned(), facts, missing_fences }, bytes)
        }
        Err(error) => (Heading::Failed(error), Vec::new()),
    };
    let mut output = std::io::stdout().lock();
    write_line(&mut output, &heading)?;
    output.write_all(&bytes)?;
    output.flush()
}

fn write_line(output: &mut impl Write, heading: &Heading) -> Result<(), std::io::Error> {
    serde_json::to_writer(&mut *output, heading)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// A file that cannot be decoded.
pub(super) fn undecodable(kind: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the {kind} cannot be decoded: {error}"))
        .hint("the file is damaged or not what it says it is; write it anew and try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_reason() {
        let error = without_panic::<()>(|| panic!("tile {} is missing", 7)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains("tile 7 is missing"), "{error}");
        assert_eq!(without_panic(|| Ok(5)), Ok(5));
    }
}
