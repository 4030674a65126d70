//! H.264: one access unit out for each frame in, no reordering, and decoding.
//!
//! The encoder is a young one: what it is asked for is kept narrow (no look-ahead, no B-frames, so
//! that every call gives exactly one access unit), and its parameter set is completed here with what
//! players want to know: colours, clock, and that frames come in the order in which they are shown.

use impasto_domain::{Error, Result};
use rusty_h264::{EncoderConfig, Preset, YuvFrame};

use super::mp4::{Codec, Packet};

/// The trade between size and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// Small and quick, for looking at.
    Fast,
    /// For keeping: about the quality of a widely used encoder's usual setting.
    #[default]
    Good,
}

/// Frames in, packets out. The first frame can be decoded on its own; the others need those before.
pub(crate) struct Encoder {
    inner: rusty_h264::Encoder,
    parameter_sets: Option<(Vec<u8>, Vec<u8>)>,
    fps: f64,
}

impl Encoder {
    /// An encoder for frames of an even size.
    pub(crate) fn new((width, height): (u32, u32), fps: f64, quality: Quality) -> Result<Self> {
        let mut config = EncoderConfig::new(width as usize, height as usize);
        config.lookahead = 0;
        config.mbtree = false;
        config.bframes = 0;
        config.scenecut = 0;
        config.gop_size = 1_000_000;
        config.num_ref_frames = 1;
        config.framerate = fps as f32;
        // The encoder's quicker preset lacks motion between pixels: slow camera moves come out a
        // quarter larger *and* worse, for a fifth of the time. Coarser steps are the better trade.
        config.preset = Preset::Balanced;
        config.qp = match quality {
            Quality::Fast => 30,
            Quality::Good => 25,
        };
        let inner = rusty_h264::Encoder::new(config).map_err(|error| {
            Error::invalid(format!("video of {width}×{height} pixels cannot be encoded: {error}"))
        })?;
        Ok(Self { inner, parameter_sets: None, fps })
    }

    /// The packet of the next frame.
    pub(crate) fn encode(&mut self, frame: &YuvFrame) -> Result<Packet> {
        let failed = |what: &str| Error::internal(format!("the video encoder failed: {what}"));
        let stream = self.inner.try_encode(frame).map_err(|error| failed(&error.to_string()))?;
        let mut packet = Packet { bytes: Vec::with_capacity(stream.len()), key: false };
        for unit in nal_units(&stream) {
            match unit.first().map(|head| head & 0x1f) {
                Some(7) => {
                    let sps = with_usability(unit, self.fps);
                    self.parameter_sets.get_or_insert_default().0 = sps;
                }
                Some(8) => self.parameter_sets.get_or_insert_default().1 = unit.to_vec(),
                Some(kind) => {
                    packet.key |= kind == 5;
                    packet.bytes.extend((unit.len() as u32).to_be_bytes());
                    packet.bytes.extend(unit);
                }
                None => {}
            }
        }
        if packet.bytes.is_empty() {
            Err(failed("it gave no data for a frame"))
        } else {
            Ok(packet)
        }
    }

    /// Sequence and picture parameter sets; there are none before the first frame.
    pub(crate) fn parameter_sets(&self) -> Option<&(Vec<u8>, Vec<u8>)> {
        self.parameter_sets.as_ref()
    }
}

/// Packets in, frames out, in decoding order.
pub(crate) struct Decoder {
    inner: rusty_h264::Decoder,
    parameter_sets: Vec<u8>,
    length_bytes: usize,
}

impl Decoder {
    /// A decoder for a track.
    pub(crate) fn new(codec: &Codec) -> Result<Self> {
        let Codec::Avc { parameter_sets, length_bytes } = codec else {
            return Err(Error::invalid("only H.264 video can be decoded here"));
        };
        let mut sets = Vec::new();
        parameter_sets.iter().for_each(|unit| push_unit(&mut sets, unit));
        Ok(Self {
            inner: rusty_h264::Decoder::new(),
            parameter_sets: sets,
            length_bytes: *length_bytes,
        })
    }

    /// The frame of a packet, if it has one.
    pub(crate) fn decode(&mut self, packet: &[u8]) -> Result<Option<YuvFrame>> {
        let mut stream = std::mem::take(&mut self.parameter_sets);
        let mut rest = packet;
        while let Some((head, tail)) = rest.split_at_checked(self.length_bytes) {
            let length = head.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            let Some((unit, tail)) = tail.split_at_checked(length) else { break };
            push_unit(&mut stream, unit);
            rest = tail;
        }
        let failed = |error| Error::invalid(format!("the video cannot be decoded: {error}"));
        self.inner.decode(&stream).map_err(failed)
    }
}

fn push_unit(stream: &mut Vec<u8>, unit: &[u8]) {
    stream.extend([0, 0, 0, 1]);
    stream.extend(unit);
}

/// The NAL units of a stream with start codes.
fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts = Vec::new();
    let mut place = 0;
    while let Some(three) = stream.get(place..place + 3) {
        if three == [0, 0, 1] {
            starts.push(place + 3);
            place += 3;
        } else {
            place += 1;
        }
    }
    let ends: Vec<usize> =
        starts.iter().skip(1).map(|start| start - 3).chain([stream.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| {
        let unit = &stream[start..end];
        // A start code may have any number of leading zeros; they belong to no unit.
        let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &unit[..length]
    })
}

/// The sequence parameter set with video usability information (H.264 annex E): BT.709 in limited
/// range, the clock, and that no frame is held back.
fn with_usability(unit: &[u8], fps: f64) -> Vec<u8> {
    let mut bits = Bits::of(&without_escapes(unit));
    // The set ends with "no usability information", a stop bit, and zeros.
    while bits.0.last() == Some(&false) {
        bits.0.pop();
    }
    bits.0.truncate(bits.0.len().saturating_sub(2));
    bits.put(1, 1);
    // Square pixels; no overscan; video signal: unspecified format, limited, described, BT.709.
    bits.put(0b1_0000_0001, 9);
    bits.put(0b011_0101, 7);
    bits.put(0x01_01_01, 24);
    // No chroma location; clock: ticks are half frames; frames come evenly.
    bits.put(0b0_1, 2);
    bits.put(1000, 32);
    bits.put((fps * 2000.0).round() as u64, 32);
    bits.put(0b1_0_0_0, 4);
    // Restrictions: vectors may cross the edge; no limits; no reordering, one frame kept.
    bits.put(0b1_1, 2);
    for value in [0, 0, 15, 15, 0, 1] {
        bits.put_exp_golomb(value);
    }
    bits.put(1, 1);
    with_escapes(&bits.bytes())
}

/// Bits in order.
struct Bits(Vec<bool>);

impl Bits {
    fn of(bytes: &[u8]) -> Self {
        Self(
            bytes
                .iter()
                .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
                .collect(),
        )
    }

    fn put(&mut self, value: u64, count: usize) {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    fn put_exp_golomb(&mut self, value: u64) {
        let count = (value + 1).ilog2() as usize;
        self.put(value + 1, 2 * count + 1);
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let whole = bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            whole << (8 - bits.len())
        };
        self.0.chunks(8).map(byte).collect()
    }
}

fn without_escapes(unit: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for byte in unit {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        bytes.push(*byte);
    }
    bytes
}

fn with_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut unit: Vec<u8> = Vec::with_capacity(bytes.len() + 4);
    let mut zeros = 0;
    for byte in bytes {
        if zeros >= 2 && *byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        unit.push(*byte);
    }
    unit
}
