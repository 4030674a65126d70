//! Files made by hand, byte by byte.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use impasto_domain::Bench;
use impasto_media::{Format, Picture, Sound, encode_mp4};

/// Zlib-packed zeros.
pub(crate) fn packed_zeros(count: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    let mut left = count;
    while left > 0 {
        let part = left.min(zeros.len());
        encoder.write_all(&zeros[..part]).unwrap();
        left -= part;
    }
    encoder.finish().unwrap()
}

/// A PNG chunk.
pub(crate) fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let named = [name, content].concat();
    let check = crc32fast::hash(&named);
    [&(content.len() as u32).to_be_bytes(), named.as_slice(), &check.to_be_bytes()].concat()
}

/// A PNG that says it is of that size, with those chunks before pixels that are too few.
pub(crate) fn png(width: u32, height: u32, extra: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &chunk(b"IHDR", &header),
        extra,
        &chunk(b"IDAT", &packed_zeros(((width.min(64) * 3 + 1) * height.min(64)) as usize)),
        &chunk(b"IEND", &[]),
    ]
    .concat()
}

/// A picture with something to see.
pub(crate) fn picture(width: u32, height: u32) -> Picture {
    Picture::from_fn(width, height, |x, y| [(x * 5) as u8, (y * 3) as u8, 90, 255])
}

/// A JPEG whose header claims another size.
pub(crate) fn lying_jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = picture(64, 48).encode(Format::Jpeg, 80).unwrap();
    let start = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[start + 5..start + 7].copy_from_slice(&height.to_be_bytes());
    bytes[start + 7..start + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A JPEG with an EXIF segment that says how the camera was held.
pub(crate) fn turned_jpeg(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let bytes = picture(width, height).encode(Format::Jpeg, 90).unwrap();
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.push(orientation);
    exif.extend([0, 0, 0, 0, 0, 0]);
    let segment = [&[0xff, 0xe1], (exif.len() as u16 + 2).to_be_bytes().as_slice(), &exif].concat();
    [&bytes[..2], &segment, &bytes[2..]].concat()
}

/// A GIF of one pixel and that many frames.
pub(crate) fn gif(frames: usize) -> Vec<u8> {
    let mut bytes = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    for _ in 0..frames {
        bytes.extend(b"!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    bytes.push(b';');
    bytes
}

/// A WAV of that many samples, whose data chunk claims another length if one is given.
pub(crate) fn wav(samples: usize, claimed: Option<u32>) -> Vec<u8> {
    let tone = |place: usize| (place as f32 * 0.05).sin() * 0.5;
    let sound = Sound { sample_rate: 8_000, channels: vec![(0..samples).map(tone).collect()] };
    let mut bytes = sound.to_wav().unwrap();
    if let Some(claimed) = claimed {
        let data = bytes.windows(4).position(|four| four == b"data").unwrap();
        bytes[data + 4..data + 8].copy_from_slice(&claimed.to_le_bytes());
    }
    bytes
}

/// A GLB of a description and a buffer.
pub(crate) fn glb(json: &str, binary: &[u8]) -> Vec<u8> {
    let mut json = json.as_bytes().to_vec();
    json.resize(json.len().next_multiple_of(4), b' ');
    let mut binary = binary.to_vec();
    binary.resize(binary.len().next_multiple_of(4), 0);
    let total = (28 + json.len() + binary.len()) as u32;
    [
        b"glTF\x02\0\0\0".as_slice(),
        &total.to_le_bytes(),
        &(json.len() as u32).to_le_bytes(),
        b"JSON",
        &json,
        &(binary.len() as u32).to_le_bytes(),
        b"BIN\0",
        &binary,
    ]
    .concat()
}

/// The description of a mesh of one triangle, with counts to play with.
pub(crate) fn triangle(count: u64, buffer_bytes: u64, extra: &str) -> String {
    format!(
        r#"{{"asset":{{"version":"2.0"}},"buffers":[{{"byteLength":{buffer_bytes}}}],
        "bufferViews":[{{"buffer":0,"byteLength":36}}],
        "accessors":[{{"bufferView":0,"componentType":5126,"type":"VEC3","count":{count}}}],
        "meshes":[{{"primitives":[{{"attributes":{{"POSITION":0}}}}]}}]{extra}}}"#
    )
}

/// An MP4 box.
pub(crate) fn mp4_box(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [(content.len() as u32 + 8).to_be_bytes().as_slice(), name, content].concat()
}

/// An MP4 with one film track of no real data: its size, seconds, and the reference to its data.
pub(crate) fn mp4(width: u16, height: u16, seconds: u32, data_reference: &[u8]) -> Vec<u8> {
    let media_header =
        [&[0; 12], 1000_u32.to_be_bytes().as_slice(), &(seconds * 1000).to_be_bytes(), &[0; 4]]
            .concat();
    let mut entry = vec![0; 78];
    entry[24..26].copy_from_slice(&width.to_be_bytes());
    entry[26..28].copy_from_slice(&height.to_be_bytes());
    let listed = |items: &[u8]| [&[0, 0, 0, 0, 0, 0, 0, 1], items].concat();
    let table = [
        mp4_box(b"stsd", &listed(&mp4_box(b"avc1", &entry))),
        mp4_box(b"stts", &listed(&[0, 0, 0, 24, 0, 0, 0, 40])),
    ]
    .concat();
    let information =
        [mp4_box(b"dinf", &mp4_box(b"dref", &listed(data_reference))), mp4_box(b"stbl", &table)]
            .concat();
    let media = [
        mp4_box(b"mdhd", &media_header),
        mp4_box(b"hdlr", &[&[0; 8], b"vide".as_slice(), &[0; 13]].concat()),
        mp4_box(b"minf", &information),
    ]
    .concat();
    [
        mp4_box(b"ftyp", b"isom\0\0\0\0isommp42"),
        mp4_box(b"moov", &mp4_box(b"trak", &mp4_box(b"mdia", &media))),
        mp4_box(b"mdat", &[0; 64]),
    ]
    .concat()
}

/// The reference that says: the data are in this file.
pub(crate) const IN_THIS_FILE: &[u8] = b"\0\0\0\x0curl \0\0\0\x01";

/// A film of our own making, with sound, and with a box that does not belong there.
pub(crate) fn film(seconds: u32) -> Vec<u8> {
    let frame = |number: u32| {
        Picture::from_fn(96, 64, |x, y| [(x * 2) as u8, (y * 3 + number * 4) as u8, 90, 255])
    };
    let mut frames = (0..seconds * 10).map(|number| Ok(frame(number)));
    let tone = |place: u32| (place as f32 * 0.05).sin() * 0.5;
    let sound =
        Sound { sample_rate: 48_000, channels: vec![(0..seconds * 48_000).map(tone).collect()] };
    let (mut bytes, _) = encode_mp4(&mut frames, 10.0, Some(&sound), &Bench::default()).unwrap();
    bytes.extend(mp4_box(b"free", b"what a stranger left here"));
    bytes
}

/// The same film, held in another way by the matrix in the head of its pictures' track: to be turned
/// by 90 degrees clockwise.
pub(crate) fn turned_film(seconds: u32) -> Vec<u8> {
    let mut bytes = film(seconds);
    let head = bytes.windows(4).position(|four| four == b"tkhd").unwrap() + 4;
    let numbers: [i32; 9] = [0, 0x1_0000, 0, -0x1_0000, 0, 0, 0, 0, 0x4000_0000];
    let matrix: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    bytes[head + 40..head + 76].copy_from_slice(&matrix);
    bytes
}
