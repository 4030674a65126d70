//! What a listener hears: server-sent events, read as they come.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value as Json;

use crate::client::{self, connect, picture, request, submit, wait_for};
use crate::harness::{Place, Setup};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: Json,
}

/// A stream of events.
pub(crate) struct Events {
    stream: TcpStream,
    bytes: Vec<u8>,
    text: String,
}

impl Events {
    /// Listens to a run from the event after `last`.
    pub(crate) fn of(address: SocketAddr, run: &str, last: Option<&str>) -> io::Result<Self> {
        let headers: Vec<_> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        let path = format!("/v1/runs/{run}/events");
        Self::begin(address, &request("GET", &path, &headers, b""))
    }

    /// Listens to what a request is answered with.
    pub(crate) fn begin(address: SocketAddr, request: &[u8]) -> io::Result<Self> {
        let mut stream = connect(address)?;
        stream.write_all(request)?;
        let mut events = Self { stream, bytes: Vec::new(), text: String::new() };
        let end = loop {
            if let Some(end) = events.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            events.read()?;
        };
        let head = String::from_utf8_lossy(&events.bytes[..end]).into_owned();
        if !head.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(head));
        }
        events.bytes.drain(..end + 4);
        Ok(events)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        let count = self.stream.read(&mut piece)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.extend_from_slice(&piece[..count]);
        Ok(())
    }

    /// Takes whole chunks; answers whether the last one came.
    fn take_chunks(&mut self) -> bool {
        while let Some(line) = self.bytes.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.bytes[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                return true;
            }
            let end = line + 2 + size;
            if self.bytes.len() < end + 2 {
                return false;
            }
            self.text.push_str(std::str::from_utf8(&self.bytes[line + 2..end]).unwrap());
            self.bytes.drain(..end + 2);
        }
        false
    }

    /// The next event; none at the orderly end, an error if the connection breaks.
    pub(crate) fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(event) = event(&block) {
                    return Ok(Some(event));
                }
                continue;
            }
            let is_last = self.take_chunks();
            match (self.text.contains("\n\n"), is_last) {
                (true, _) => {}
                (false, true) => return Ok(None),
                (false, false) => self.read()?,
            }
        }
    }

    /// Everything up to the orderly end.
    pub(crate) fn all(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().unwrap() {
            events.push(event);
        }
        events
    }
}

fn event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data")?).unwrap();
    Some(Event { id: field("id"), name: field("event")?, data })
}

/// Checks that what is kept was heard once and in order: 1, 2, … and the end.
pub(crate) fn check_whole(events: &[Event]) {
    let ids: Vec<&str> = events.iter().filter_map(|event| event.id.as_deref()).collect();
    let last = ids.len() - 1;
    for (at, id) in ids.iter().enumerate() {
        let expected = if at == last { format!("{last}.end") } else { (at + 1).to_string() };
        assert_eq!(**id, expected, "{ids:?}");
    }
}

#[test]
fn a_listener_that_comes_again_misses_nothing() {
    let place = Place::new(Setup::default());
    let server = place.serve();
    let run = submit(server.address, &[], &picture(1));
    let whole = Events::of(server.address, &run, None).unwrap().all();
    check_whole(&whole);
    let kept: Vec<&Event> = whole.iter().filter(|event| event.id.is_some()).collect();
    let names: Vec<&str> = kept.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["queued", "decided", "started", "cost", "done"]);
    for (at, heard) in kept[..kept.len() - 1].iter().enumerate() {
        let rest = Events::of(server.address, &run, heard.id.as_deref()).unwrap().all();
        let rest: Vec<&Event> = rest.iter().filter(|event| event.id.is_some()).collect();
        let ids =
            |events: &[&Event]| events.iter().map(|event| event.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&rest), ids(&kept[at + 1..]), "after {:?}", heard.id);
    }
    let last = kept.last().unwrap().id.as_deref().unwrap();
    let path = format!("/v1/runs/{run}/events");
    let again = client::ask(server.address, "GET", &path, &[("last-event-id", last)], b"").unwrap();
    assert_eq!(
        (again.status, again.body.len()),
        (204, 0),
        "whoever heard the end need not come again"
    );
    wait_for(server.address, &run, "succeeded");
}
