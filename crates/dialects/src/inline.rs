//! Files inside JSON: base64 in a string, read and written without a second copy of the text.
//!
//! Invariant: what holds [`InlineBytes`] is written by [`to_json`]; another serializer would write a
//! list of numbers.
//!
//! ```
//! use impasto_dialects::inline::{InlineBytes, to_json};
//! let json = to_json(&InlineBytes::from(b"abc".to_vec())).unwrap();
//! assert_eq!(json, br#""YWJj""#);
//! let back: InlineBytes = serde_json::from_slice(&json).unwrap();
//! assert_eq!(&back.0[..], b"abc");
//! ```

use std::io;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64_simd::AsOut as _;
use bytes::Bytes;
use impasto_domain::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

/// The bytes of a file that stands in JSON as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InlineBytes(pub Bytes);

impl From<Vec<u8>> for InlineBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for InlineBytes {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Serialize for InlineBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for InlineBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = InlineBytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a file as base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<InlineBytes, E> {
                decode(text).map(InlineBytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text).map_err(D::Error::custom)
    }
}

/// Both alphabets are in use; padding is left out by some.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const EITHER: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&alphabet::STANDARD, LENIENT),
    GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT),
];

/// The bytes that base64 text stands for, in either alphabet, with padding or without.
///
/// # Errors
/// It is not base64.
pub fn decode(text: &str) -> Result<Bytes> {
    if let Ok(decoded) = base64_simd::STANDARD.decode_to_vec(text) {
        return Ok(decoded.into());
    }
    let [standard, url_safe] = &EITHER;
    let decoded = standard.decode(text).or_else(|error| match error {
        base64::DecodeError::InvalidByte(_, b'-' | b'_') => url_safe.decode(text),
        error => Err(error),
    });
    let bad = |error| Error::invalid(format!("that is not base64: {error}"));
    decoded.map(Bytes::from).map_err(bad)
}

/// The JSON of a value in which files stand as base64.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, Base64Formatter);
    value
        .serialize(&mut serializer)
        .map_err(|error| Error::internal(format!("it cannot be written: {error}")))?;
    Ok(json)
}

/// Writes compact JSON, and bytes as base64.
struct Base64Formatter;

/// Bytes that are encoded at once; a multiple of three, so that the pieces fit together.
const PIECE: usize = 3 * 4096;

impl Formatter for Base64Formatter {
    fn write_byte_array<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        value: &[u8],
    ) -> io::Result<()> {
        let mut text = [0; PIECE / 3 * 4];
        writer.write_all(b"\"")?;
        for piece in value.chunks(PIECE) {
            writer.write_all(base64_simd::STANDARD.encode(piece, text.as_mut_slice().as_out()))?;
        }
        writer.write_all(b"\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_bytes_read_back() {
        for length in [0, 1, 2, PIECE - 1, PIECE, 2 * PIECE + 1] {
            let bytes: Vec<u8> = (0..length).map(|place| place as u8).collect();
            let json = to_json(&InlineBytes::from(bytes.clone())).unwrap();
            let back: InlineBytes = serde_json::from_slice(&json).unwrap();
            assert_eq!(back.0, bytes, "{length}");
        }
    }

    #[test]
    fn both_alphabets_and_no_padding_are_read() {
        for text in ["-_8=", "+/8=", "-_8", "+/8"] {
            assert_eq!(&decode(text).unwrap()[..], [0xfb, 0xff], "{text}");
        }
        assert!(decode("a b").is_err());
    }
}
