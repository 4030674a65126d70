//! Writing MP4 (ISO/IEC 14496-12, -14, -15).

use impasto_domain::{Error, Result};

use super::Packet;

/// Ticks per second of the movie's own clock.
const MOVIE_TICKS: u64 = 48_000;

/// Ticks of one frame in the clock of the video track.
const FRAME_TICKS: u32 = 1000;

/// Samples of one AAC packet.
const PACKET_SAMPLES: u32 = 1024;

/// Seconds of each track that lie together in the file.
const CHUNK_S: f64 = 0.5;

/// Rows and columns of the identity: nothing is turned.
const UPRIGHT: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// The pictures of a file.
pub(crate) struct VideoTrack {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: f64,
    /// The sequence parameter set, a NAL unit.
    pub(crate) sps: Vec<u8>,
    /// The picture parameter set, a NAL unit.
    pub(crate) pps: Vec<u8>,
    pub(crate) packets: Vec<Packet>,
}

/// The sound of a file.
pub(crate) struct AudioTrack {
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    /// The `AudioSpecificConfig`.
    pub(crate) config: Vec<u8>,
    /// Samples to skip at the start.
    pub(crate) priming: u32,
    /// Samples to play.
    pub(crate) length: u64,
    pub(crate) packets: Vec<Vec<u8>>,
}

/// The file, `moov` first.
pub(crate) fn write(video: &VideoTrack, audio: Option<&AudioTrack>) -> Result<Vec<u8>> {
    let plan = Plan::new(video, audio);
    let file_type = boxed(b"ftyp", |b| {
        b.extend(b"isom");
        put32(b, 0x200);
        b.extend(b"isomiso2avc1mp41");
    });
    // The offsets have a fixed width, so the length of `moov` does not depend on them.
    let head = file_type.len() + movie(video, audio, &plan, 0).len() + 8;
    let total = head as u64 + plan.bytes;
    if total > u64::from(u32::MAX) {
        return Err(Error::invalid(format!(
            "the video would have {total} bytes; the most is 4 GiB"
        ))
        .hint("render it in parts, or at a smaller size"));
    }
    let mut file = Vec::with_capacity(total as usize);
    file.extend(file_type);
    file.extend(movie(video, audio, &plan, head as u64));
    put32(&mut file, (plan.bytes + 8) as u32);
    file.extend(b"mdat");
    for chunk in &plan.chunks {
        match (chunk.is_video, audio) {
            (true, _) => {
                let packets = video.packets.get(chunk.first..chunk.last).unwrap_or_default();
                packets.iter().for_each(|packet| file.extend(&packet.bytes));
            }
            (false, Some(audio)) => {
                let packets = audio.packets.get(chunk.first..chunk.last).unwrap_or_default();
                packets.iter().for_each(|packet| file.extend(packet));
            }
            (false, None) => {}
        }
    }
    Ok(file)
}

/// A run of packets of one track that lie together.
struct Chunk {
    is_video: bool,
    first: usize,
    last: usize,
    offset: u64,
}

/// Where everything lies, from the first byte of the data.
struct Plan {
    chunks: Vec<Chunk>,
    bytes: u64,
}

impl Plan {
    fn new(video: &VideoTrack, audio: Option<&AudioTrack>) -> Self {
        let mut plan = Self { chunks: Vec::new(), bytes: 0 };
        let frames = ((CHUNK_S * video.fps).round() as usize).max(1);
        let rate = audio.map_or(0.0, |audio| f64::from(audio.sample_rate) * CHUNK_S);
        let packets = ((rate / f64::from(PACKET_SAMPLES)).round() as usize).max(1);
        let heard = audio.map_or(&[][..], |audio| &audio.packets);
        let (mut frame, mut packet) = (0, 0);
        while frame < video.packets.len() || packet < heard.len() {
            let sizes = video.packets.iter().map(|packet| packet.bytes.len());
            frame = plan.add(true, frame, frames, sizes);
            packet = plan.add(false, packet, packets, heard.iter().map(Vec::len));
        }
        plan
    }

    fn add(
        &mut self,
        is_video: bool,
        first: usize,
        count: usize,
        sizes: impl ExactSizeIterator<Item = usize>,
    ) -> usize {
        let last = sizes.len().min(first + count);
        if last > first {
            self.chunks.push(Chunk { is_video, first, last, offset: self.bytes });
            self.bytes += sizes.skip(first).take(last - first).map(|size| size as u64).sum::<u64>();
        }
        last
    }
}

fn video_clock(fps: f64) -> u32 {
    (fps * f64::from(FRAME_TICKS)).round() as u32
}

fn movie(video: &VideoTrack, audio: Option<&AudioTrack>, plan: &Plan, base: u64) -> Vec<u8> {
    let clock = u64::from(video_clock(video.fps).max(1));
    let seen = video.packets.len() as u64 * u64::from(FRAME_TICKS) * MOVIE_TICKS / clock;
    let heard =
        audio.map_or(0, |audio| audio.length * MOVIE_TICKS / u64::from(audio.sample_rate.max(1)));
    boxed(b"moov", |b| {
        b.extend(full(b"mvhd", 0, |b| {
            put_all(b, &[0, 0, MOVIE_TICKS as u32, seen.max(heard) as u32, 0x1_0000]);
            b.extend([1, 0, 0, 0]);
            put_all(b, &[0, 0]);
            put_all(b, &UPRIGHT);
            put_all(b, &[0; 6]);
            put32(b, 3);
        }));
        b.extend(boxed(b"trak", |b| {
            b.extend(track_head(1, seen, (video.width, video.height)));
            b.extend(video_media(video, plan, base));
        }));
        if let Some(audio) = audio {
            b.extend(boxed(b"trak", |b| {
                b.extend(track_head(2, heard, (0, 0)));
                b.extend(boxed(b"edts", |b| {
                    b.extend(full(b"elst", 0, |b| {
                        put_all(b, &[1, heard as u32, audio.priming, 0x1_0000]);
                    }));
                }));
                b.extend(audio_media(audio, plan, base));
            }));
        }
    })
}

fn track_head(id: u32, duration: u64, (width, height): (u32, u32)) -> Vec<u8> {
    // Enabled and in the movie.
    full(b"tkhd", 3, |b| {
        put_all(b, &[0, 0, id, 0, duration as u32, 0, 0, 0]);
        put16(b, if id == 1 { 0 } else { 0x100 });
        put16(b, 0);
        put_all(b, &UPRIGHT);
        put_all(b, &[width << 16, height << 16]);
    })
}

/// What every track has; `head` is the media-specific header, `table` the sample table.
fn media(clock: u32, ticks: u64, handler: (&[u8; 4], &str), head: &[u8], table: &[u8]) -> Vec<u8> {
    boxed(b"mdia", |b| {
        b.extend(full(b"mdhd", 0, |b| {
            put_all(b, &[0, 0, clock, ticks as u32]);
            // Undetermined language.
            put16(b, 0x55c4);
            put16(b, 0);
        }));
        b.extend(full(b"hdlr", 0, |b| {
            put32(b, 0);
            b.extend(handler.0);
            put_all(b, &[0; 3]);
            b.extend(handler.1.as_bytes());
            b.push(0);
        }));
        b.extend(boxed(b"minf", |b| {
            b.extend(head);
            b.extend(boxed(b"dinf", |b| {
                b.extend(full(b"dref", 0, |b| {
                    put32(b, 1);
                    b.extend(full(b"url ", 1, |_| {}));
                }));
            }));
            b.extend(boxed(b"stbl", |b| b.extend(table)));
        }));
    })
}

fn video_media(video: &VideoTrack, plan: &Plan, base: u64) -> Vec<u8> {
    let head = full(b"vmhd", 1, |b| b.extend([0; 8]));
    let sizes: Vec<usize> = video.packets.iter().map(|packet| packet.bytes.len()).collect();
    let mut table = full(b"stsd", 0, |b| {
        put32(b, 1);
        b.extend(avc_entry(video));
    });
    table.extend(full(b"stss", 0, |b| {
        let keys = video.packets.iter().zip(1..).filter(|(packet, _)| packet.key);
        let places: Vec<u32> = keys.map(|(_, place)| place).collect();
        put32(b, places.len() as u32);
        put_all(b, &places);
    }));
    table.extend(layout(&sizes, FRAME_TICKS, plan, true, base));
    let ticks = sizes.len() as u64 * u64::from(FRAME_TICKS);
    media(video_clock(video.fps), ticks, (b"vide", "Video"), &head, &table)
}

fn audio_media(audio: &AudioTrack, plan: &Plan, base: u64) -> Vec<u8> {
    let head = full(b"smhd", 0, |b| b.extend([0; 4]));
    let sizes: Vec<usize> = audio.packets.iter().map(Vec::len).collect();
    let mut table = full(b"stsd", 0, |b| {
        put32(b, 1);
        b.extend(aac_entry(audio));
    });
    table.extend(layout(&sizes, PACKET_SAMPLES, plan, false, base));
    let ticks = sizes.len() as u64 * u64::from(PACKET_SAMPLES);
    media(audio.sample_rate, ticks, (b"soun", "Sound"), &head, &table)
}

/// When, how large and where the samples of a track are.
fn layout(sizes: &[usize], ticks: u32, plan: &Plan, is_video: bool, base: u64) -> Vec<u8> {
    let chunks = || plan.chunks.iter().filter(|chunk| chunk.is_video == is_video);
    let mut table = full(b"stts", 0, |b| put_all(b, &[1, sizes.len() as u32, ticks]));
    table.extend(full(b"stsc", 0, |b| {
        let counts: Vec<u32> = chunks().map(|chunk| (chunk.last - chunk.first) as u32).collect();
        let changes: Vec<(u32, u32)> = (1..)
            .zip(&counts)
            .filter(|(place, count)| *place == 1 || counts.get(*place as usize - 2) != Some(*count))
            .map(|(place, count)| (place, *count))
            .collect();
        put32(b, changes.len() as u32);
        changes.iter().for_each(|(place, count)| put_all(b, &[*place, *count, 1]));
    }));
    table.extend(full(b"stsz", 0, |b| {
        put_all(b, &[0, sizes.len() as u32]);
        sizes.iter().for_each(|size| put32(b, *size as u32));
    }));
    table.extend(full(b"stco", 0, |b| {
        put32(b, chunks().count() as u32);
        chunks().for_each(|chunk| put32(b, (base + chunk.offset) as u32));
    }));
    table
}

fn avc_entry(video: &VideoTrack) -> Vec<u8> {
    boxed(b"avc1", |b| {
        b.extend([0; 6]);
        put16(b, 1);
        b.extend([0; 16]);
        put16(b, video.width as u16);
        put16(b, video.height as u16);
        // 72 dots per inch, one frame a sample, no name, 24 bits of colour.
        put_all(b, &[0x48_0000, 0x48_0000, 0]);
        put16(b, 1);
        b.extend([0; 32]);
        put16(b, 0x18);
        put16(b, 0xffff);
        b.extend(boxed(b"avcC", |b| {
            let profile = |place: usize| video.sps.get(place).copied().unwrap_or_default();
            b.extend([1, profile(1), profile(2), profile(3), 0xff, 0xe1]);
            put16(b, video.sps.len() as u16);
            b.extend(&video.sps);
            b.push(1);
            put16(b, video.pps.len() as u16);
            b.extend(&video.pps);
            if profile(1) >= 100 {
                // 4:2:0, eight bits of luma and of chroma, no extensions.
                b.extend([0xfd, 0xf8, 0xf8, 0]);
            }
        }));
        // BT.709 primaries, transfer and matrix; limited range.
        b.extend(boxed(b"colr", |b| b.extend(b"nclx\0\x01\0\x01\0\x01\0")));
        b.extend(boxed(b"pasp", |b| put_all(b, &[1, 1])));
    })
}

fn aac_entry(audio: &AudioTrack) -> Vec<u8> {
    let bytes: u64 = audio.packets.iter().map(|packet| packet.len() as u64).sum();
    let samples = (audio.packets.len() as u64 * u64::from(PACKET_SAMPLES)).max(1);
    let bits_per_s = (bytes * 8 * u64::from(audio.sample_rate) / samples) as u32;
    boxed(b"mp4a", |b| {
        b.extend([0; 6]);
        put16(b, 1);
        b.extend([0; 8]);
        put16(b, audio.channels);
        put16(b, 16);
        put32(b, 0);
        put32(b, audio.sample_rate << 16);
        b.extend(full(b"esds", 0, |b| {
            let mut decoder = vec![0x40, 0x15, 0, 0, 0];
            put_all(&mut decoder, &[bits_per_s, bits_per_s]);
            decoder.extend(descriptor(5, &audio.config));
            let mut stream = vec![0, 2, 0];
            stream.extend(descriptor(4, &decoder));
            stream.extend(descriptor(6, &[2]));
            b.extend(descriptor(3, &stream));
        }));
    })
}

/// An MPEG-4 descriptor; its body has fewer than 128 bytes.
fn descriptor(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag, body.len() as u8];
    bytes.extend(body);
    bytes
}

fn boxed(name: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(name);
    fill(&mut bytes);
    let length = (bytes.len() as u32).to_be_bytes();
    bytes.splice(..4, length);
    bytes
}

/// A box with a version (0) and flags.
fn full(name: &[u8; 4], flags: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    boxed(name, |b| {
        put32(b, flags);
        fill(b);
    })
}

fn put16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend(value.to_be_bytes());
}

fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_be_bytes());
}

fn put_all(bytes: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| put32(bytes, *value));
}
