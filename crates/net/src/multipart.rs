//! Forms with files.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::HeaderValue;

use crate::Body;

/// A form with fields and files, in the order in which they are added.
pub struct Multipart {
    boundary: String,
    pieces: Vec<Bytes>,
}

impl Default for Multipart {
    fn default() -> Self {
        Self::new()
    }
}

impl Multipart {
    /// An empty form. Its boundary cannot be guessed, so no content can end its part.
    pub fn new() -> Self {
        let draw = || RandomState::new().hash_one(0);
        Self::with_boundary(format!("impasto-{:016x}{:016x}", draw(), draw()))
    }

    fn with_boundary(boundary: String) -> Self {
        Self { boundary, pieces: Vec::new() }
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.part(name, None, Bytes::copy_from_slice(value.as_bytes()))
    }

    /// Adds a file. The bytes are not copied.
    #[must_use]
    pub fn file(self, name: &str, file_name: &str, media_type: &str, bytes: Bytes) -> Self {
        self.part(name, Some((file_name, media_type)), bytes)
    }

    fn part(mut self, name: &str, file: Option<(&str, &str)>, bytes: Bytes) -> Self {
        let mut head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{}\"",
            self.boundary,
            quoted(name)
        );
        if let Some((file_name, media_type)) = file {
            let media_type: String = media_type.chars().filter(|char| !char.is_control()).collect();
            let _infallible =
                write!(head, "; filename=\"{}\"\r\nContent-Type: {media_type}", quoted(file_name));
        }
        head.push_str("\r\n\r\n");
        self.pieces.extend([Bytes::from(head), bytes, Bytes::from_static(b"\r\n")]);
        self
    }

    pub(crate) fn content_type(&self) -> HeaderValue {
        let text = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("multipart/form-data"))
    }

    pub(crate) fn into_body(mut self) -> Body {
        self.pieces.push(Bytes::from(format!("--{}--\r\n", self.boundary)));
        Body::of(self.pieces)
    }
}

/// A name as browsers write it: without what would end the quotation or the line.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            '"' => quoted.push_str("%22"),
            '\r' => quoted.push_str("%0D"),
            '\n' => quoted.push_str("%0A"),
            char if char.is_control() => {}
            char => quoted.push(char),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_reads_as_it_was_meant() {
        let form = Multipart::with_boundary("B".to_owned()).text("a\"b", "1\r\n2").file(
            "f",
            "x\r\n.png",
            "image/png",
            Bytes::from_static(b"\x89PNG"),
        );
        assert_eq!(form.content_type(), "multipart/form-data; boundary=B");
        let text: Vec<u8> = [form.pieces.concat(), b"--B--\r\n".to_vec()].concat();
        assert_eq!(
            String::from_utf8_lossy(&text),
            "--B\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\n1\r\n2\r\n\
             --B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x%0D%0A.png\"\r\n\
             Content-Type: image/png\r\n\r\n\u{fffd}PNG\r\n--B--\r\n"
        );
    }
}
