//! MP4 files: a writer for one H.264 and one AAC track, and a reader that trusts nothing.
//!
//! Written files start with `moov`, so that a browser can play while it loads. AAC decoders give
//! 1024 samples of silence before the sound; an edit list skips them, so sound and picture start
//! together.

mod read;
mod write;

pub(crate) use read::{Codec, Movie, Track};
pub(crate) use write::{AudioTrack, VideoTrack, write};

/// An encoded frame or packet as it lies in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    /// The bytes; for H.264, each NAL unit after its length in four bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether decoding can begin here.
    pub(crate) key: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(frames: usize) -> VideoTrack {
        let packet = |place: usize| Packet {
            bytes: vec![place as u8; 10 + place % 7],
            key: place.is_multiple_of(5),
        };
        VideoTrack {
            width: 64,
            height: 48,
            fps: 24.0,
            sps: vec![0x67, 100, 0, 31, 1],
            pps: vec![0x68, 2],
            packets: (0..frames).map(packet).collect(),
        }
    }

    fn audio(packets: usize) -> AudioTrack {
        AudioTrack {
            sample_rate: 48_000,
            channels: 2,
            config: vec![0x11, 0x90],
            priming: 1024,
            length: packets as u64 * 1024 - 1100,
            packets: (0..packets).map(|place| vec![200 + (place % 50) as u8; 20]).collect(),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let (video, audio) = (video(53), audio(100));
        let bytes = write(&video, Some(&audio)).unwrap();
        let place = |name: &[u8]| bytes.windows(4).position(|four| four == name).unwrap();
        assert!(place(b"moov") < place(b"mdat"), "faststart");
        let movie = Movie::parse(&bytes).unwrap();
        let (seen, heard) = (movie.video.unwrap(), movie.audio.unwrap());
        assert_eq!((seen.width, seen.height, seen.samples.len()), (64, 48, 53));
        for (sample, packet) in seen.samples.iter().zip(&video.packets) {
            assert_eq!((sample.bytes(&bytes), sample.key), (packet.bytes.as_slice(), packet.key));
        }
        assert!((seen.fps() - 24.0).abs() < 1e-9);
        assert_eq!((heard.sample_rate, heard.channels, heard.start_ticks), (48_000, 2, 1024));
        assert_eq!(heard.length_ticks, Some(audio.length));
        for (sample, packet) in heard.samples.iter().zip(&audio.packets) {
            assert_eq!(sample.bytes(&bytes), packet.as_slice());
        }
    }

    #[test]
    fn broken_files_are_errors_never_panics() {
        let bytes = write(&video(12), Some(&audio(20))).unwrap();
        for length in 0..bytes.len().min(1500) {
            let _ = Movie::parse(&bytes[..length]);
        }
        for place in 0..1400 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = bytes.clone();
                broken[place] = value;
                if let Ok(movie) = Movie::parse(&broken) {
                    for track in movie.video.iter().chain(&movie.audio) {
                        assert!(
                            track
                                .samples
                                .iter()
                                .all(|sample| sample.bytes(&broken).len() <= broken.len())
                        );
                    }
                }
            }
        }
    }
}
