//! Server-sent events, as they come.

use bytes::BytesMut;

use crate::{NetError, Response};

/// The most bytes of one event.
const EVENT_BYTES_MAX: usize = 32 << 20;

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What sort of event it is; `message` if it does not say.
    pub event: String,
    /// What it says.
    pub data: String,
    /// Its id, which stays until another one is given.
    pub id: String,
}

/// The events of an answer, one after the other.
pub struct Events {
    response: Response,
    reader: Reader,
}

impl Events {
    pub(crate) fn new(response: Response) -> Self {
        Self { response, reader: Reader::default() }
    }

    /// The next event; `None` when the stream has ended.
    ///
    /// # Errors
    /// As [`Response::chunk`], and an event that is too large.
    pub async fn next(&mut self) -> Result<Option<Event>, NetError> {
        loop {
            if let Some(event) = self.reader.next() {
                return Ok(Some(event));
            }
            if self.reader.buffer.len() + self.reader.data.len() > EVENT_BYTES_MAX {
                return Err(self.response.garbled("sends an event that is too large"));
            }
            match self.response.chunk().await? {
                Some(bytes) => self.reader.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// Takes lines apart. Lines end with CR LF, LF or CR; a lone CR at the end of what has come so far
/// waits for what follows it.
#[derive(Default)]
struct Reader {
    buffer: BytesMut,
    /// How far the buffer has been looked through for the end of a line.
    seen: usize,
    began: bool,
    event: String,
    data: String,
    has_data: bool,
    id: String,
}

impl Reader {
    fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.line()?;
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Some(event);
                }
            } else {
                self.field(&line);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let unseen = self.buffer.get(self.seen..).unwrap_or_default();
        let Some(place) = unseen.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.seen = self.buffer.len();
            return None;
        };
        let end = self.seen + place;
        let after = match (self.buffer.get(end), self.buffer.get(end + 1)) {
            (Some(b'\r'), None) => {
                self.seen = end;
                return None;
            }
            (Some(b'\r'), Some(b'\n')) => end + 2,
            _ => end + 1,
        };
        let line = self.buffer.split_to(after);
        self.seen = 0;
        let text = String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned();
        let first = !std::mem::replace(&mut self.began, true);
        Some(match text.strip_prefix('\u{feff}') {
            Some(rest) if first => rest.to_owned(),
            _ => text,
        })
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Event> {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(Event { event, data, id: self.id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String, String)> {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for piece in pieces {
            reader.buffer.extend_from_slice(piece);
            while let Some(Event { event, data, id }) = reader.next() {
                events.push((event, data, id));
            }
        }
        events
    }

    fn check(text: &str, wanted: &[(&str, &str, &str)]) {
        let wanted: Vec<_> =
            wanted.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect();
        assert_eq!(read(&[text.as_bytes()]), wanted, "{text:?}");
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        // A carriage return at the very end waits for what follows.
        if !text.ends_with('\r') {
            assert_eq!(read(&bytes), wanted, "byte by byte: {text:?}");
        }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        check("data: a\n\n", &[("message", "a", "")]);
        check("\u{feff}data:a\r\n\r\n", &[("message", "a", "")]);
        check("data: a\rdata: b\r\rdata\n\n", &[("message", "a\nb", ""), ("message", "", "")]);
        check(
            "event: x\nid: 7\ndata:  two \n\n: note\n\ndata: b\n\n",
            &[("x", " two ", "7"), ("message", "b", "7")],
        );
        check("event: x\n\ndata: cut", &[]);
    }

    proptest::proptest! {
        #[test]
        fn how_it_is_cut_does_not_matter(text in "(data|event|id|:|\r|\n|é| |x){0,40}", cut in 0_usize..80) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let (head, tail) = bytes.split_at(cut);
            proptest::prop_assert_eq!(read(&[bytes]), read(&[head, tail]));
        }
    }
}
