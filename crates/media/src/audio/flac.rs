//! FLAC, written while the samples come: fixed predictors and Rice codes, as RFC 9639 has them.

/// Samples of a channel in a frame: short, so that little is held back.
const BLOCK: usize = 2_048;
/// The residual of a whole frame is coded in two to the power of this many partitions.
const PARTITION_ORDER: u32 = 3;
/// The highest order of a fixed predictor.
const ORDER_MAX: usize = 4;
/// The largest parameter of a Rice code in the short form.
const RICE_MAX: u32 = 14;
/// The most channels of a file.
pub(super) const CHANNELS_MAX: usize = 8;
/// The highest sample rate that the head of a file can tell.
pub(super) const RATE_MAX: u32 = 655_350;

/// Writes a file of samples of 16 bits, frame by frame.
pub(super) struct Flac {
    sample_rate: u32,
    channels: Vec<Vec<i32>>,
    frames: u32,
    begun: bool,
}

impl Flac {
    /// A file with at most [`CHANNELS_MAX`] channels.
    pub(super) fn new(sample_rate: u32, channels: usize) -> Self {
        let channels = vec![Vec::new(); channels.clamp(1, CHANNELS_MAX)];
        Self { sample_rate, channels, frames: 0, begun: false }
    }

    /// Takes interleaved samples in, and gives the frames that are full.
    pub(super) fn push(&mut self, samples: &[i16]) -> Vec<u8> {
        let mut out = self.head();
        let count = self.channels.len();
        for frame in samples.chunks_exact(count) {
            for (channel, sample) in self.channels.iter_mut().zip(frame) {
                channel.push(i32::from(*sample));
            }
        }
        let whole = self.channels.first().map_or(0, Vec::len) / BLOCK;
        for _ in 0..whole {
            self.frame(BLOCK, &mut out);
        }
        out
    }

    /// The last frame.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = self.head();
        let left = self.channels.first().map_or(0, Vec::len);
        if left > 0 {
            self.frame(left, &mut out);
        }
        out
    }

    /// The head of the file, once. How long it is and what its digest is are not known yet.
    fn head(&mut self) -> Vec<u8> {
        if std::mem::replace(&mut self.begun, true) {
            return Vec::new();
        }
        let mut bits = Bits(b"fLaC\x80\0\0\x22".to_vec(), 0);
        bits.put(BLOCK as u64, 16);
        bits.put(BLOCK as u64, 16);
        bits.put(0, 48);
        bits.put(u64::from(self.sample_rate), 20);
        bits.put(self.channels.len() as u64 - 1, 3);
        bits.put(15, 5);
        bits.put(0, 36);
        let mut head = bits.0;
        head.extend([0; 16]);
        head
    }

    fn frame(&mut self, length: usize, out: &mut Vec<u8>) {
        let mut bits = Bits(vec![0xff, 0xf8], 0);
        // The length of the block follows in 16 bits, the rate is that of the head.
        bits.put(0b0111_0000, 8);
        bits.put(self.channels.len() as u64 - 1, 4);
        bits.put(0b1000, 4);
        let number = char::from_u32(self.frames).filter(|_| self.frames < 0xd800);
        match number {
            Some(number) => bits.0.extend(number.encode_utf8(&mut [0; 4]).as_bytes()),
            None => long_number(self.frames, &mut bits.0),
        }
        bits.put(length as u64 - 1, 16);
        let check = crc8(&bits.0);
        bits.0.push(check);
        for channel in &mut self.channels {
            let rest = channel.split_off(length.min(channel.len()));
            let block = std::mem::replace(channel, rest);
            subframe(&block, &mut bits);
        }
        bits.align();
        let check = crc16(&bits.0);
        bits.put(u64::from(check), 16);
        out.extend(bits.0);
        self.frames = (self.frames + 1) & 0x7fff_ffff;
    }
}

/// A number of more than 15 bits, in the manner of UTF-8.
fn long_number(number: u32, out: &mut Vec<u8>) {
    let (rests, mark): (u32, u32) = match number {
        0..=0xffff => (2, 0xe0),
        0x1_0000..=0x1f_ffff => (3, 0xf0),
        0x20_0000..=0x3ff_ffff => (4, 0xf8),
        _ => (5, 0xfc),
    };
    out.push((mark | number >> (rests * 6)) as u8);
    out.extend((0..rests).rev().map(|rest| (0x80 | number >> (rest * 6) & 0x3f) as u8));
}

/// One channel of a frame: a constant, or the fixed predictor whose residual is the smallest.
fn subframe(block: &[i32], bits: &mut Bits) {
    let first = block.first().copied().unwrap_or_default();
    if block.iter().all(|sample| *sample == first) {
        bits.put(0, 8);
        bits.put_signed(first, 16);
        return;
    }
    let mut best = block.to_vec();
    let (mut order, mut cost) = (0, size(&best));
    let mut residual = best.clone();
    for next in 1..=ORDER_MAX.min(block.len().saturating_sub(1)) {
        residual = residual.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let next_cost = size(&residual);
        if next_cost < cost {
            (order, cost) = (next, next_cost);
            best.clone_from(&residual);
        }
    }
    bits.put(0b001_000 << 1 | (order as u64) << 1, 8);
    for sample in block.iter().take(order) {
        bits.put_signed(*sample, 16);
    }
    let partition_order = if block.len() == BLOCK { PARTITION_ORDER } else { 0 };
    bits.put(u64::from(partition_order), 6);
    let length = block.len() >> partition_order;
    let (head, tail) = best.split_at(length.saturating_sub(order).min(best.len()));
    for part in std::iter::once(head).chain(tail.chunks(length.max(1))) {
        rice(part, bits);
    }
}

/// About how much a residual says.
fn size(residual: &[i32]) -> u64 {
    residual.iter().map(|value| u64::from(value.unsigned_abs())).sum()
}

fn folded(value: i32) -> u32 {
    (value << 1 ^ value >> 31) as u32
}

fn rice(part: &[i32], bits: &mut Bits) {
    let cost = |parameter: u32| -> u64 {
        let fixed = part.len() as u64 * u64::from(parameter + 1);
        fixed + part.iter().map(|value| u64::from(folded(*value) >> parameter)).sum::<u64>()
    };
    let parameter = (0..=RICE_MAX).min_by_key(|parameter| cost(*parameter)).unwrap_or_default();
    bits.put(u64::from(parameter), 4);
    for value in part {
        let value = folded(*value);
        let mut zeros = value >> parameter;
        while zeros > 0 {
            let now = zeros.min(32);
            bits.put(0, now);
            zeros -= now;
        }
        bits.put(1, 1);
        bits.put(u64::from(value) & ((1 << parameter) - 1), parameter);
    }
}

/// Bytes that are written by the bit, and how many bits of the last one are free.
struct Bits(Vec<u8>, u32);

impl Bits {
    fn put(&mut self, value: u64, mut count: u32) {
        while count > 0 {
            if self.1 == 0 {
                self.0.push(0);
                self.1 = 8;
            }
            let now = count.min(self.1);
            let part = (value >> (count - now)) & ((1 << now) - 1);
            if let Some(last) = self.0.last_mut() {
                *last |= (part << (self.1 - now)) as u8;
            }
            self.1 -= now;
            count -= now;
        }
    }

    fn put_signed(&mut self, value: i32, count: u32) {
        self.put(u64::from(value as u32) & ((1 << count) - 1), count);
    }

    fn align(&mut self) {
        self.1 = 0;
    }
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |check, byte| {
        (0..8).fold(check ^ byte, |check, _| check << 1 ^ if check & 0x80 == 0 { 0 } else { 0x07 })
    })
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |check, byte| {
        (0..8).fold(check ^ u16::from(*byte) << 8, |check, _| {
            check << 1 ^ if check & 0x8000 == 0 { 0 } else { 0x8005 }
        })
    })
}
