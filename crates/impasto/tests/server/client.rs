//! A client that can be made to do what no library lets one do: plain bytes over a connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value as Json, json};

/// How long anything is waited for before a server counts as stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The code of the problem that it tells.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request as bytes. It asks for the connection to be closed, unless a header says otherwise.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
    for (name, value) in headers {
        bytes += &format!("{name}: {value}\r\n");
    }
    if !has("connection") {
        bytes += "connection: close\r\n";
    }
    if !has("content-length") && !has("transfer-encoding") && (!body.is_empty() || method == "POST")
    {
        bytes += &format!("content-length: {}\r\n", body.len());
    }
    let mut bytes = (bytes + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads an answer up to the end of the connection.
pub(crate) fn reply(stream: &mut TcpStream) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    // What came before a reset counts: it may be the whole answer.
    parse(&bytes).ok_or_else(|| ended.err().unwrap_or(io::ErrorKind::UnexpectedEof.into()))
}

/// The last answer in these bytes (those before it are interim ones), if it is whole.
pub(crate) fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    if status < 200 {
        return parse(rest);
    }
    let mut reply = Reply { status, head, body: Vec::new() };
    reply.body = match (reply.header("content-length"), reply.header("transfer-encoding")) {
        (Some(length), _) => rest.get(..length.parse().ok()?)?.to_vec(),
        (None, Some(_)) => unchunked(rest)?,
        (None, None) => rest.to_vec(),
    };
    Some(reply)
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(line + 2..line + 2 + length)?);
        bytes = bytes.get(line + 2 + length + 2..)?;
    }
}

/// Asks and reads the answer.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Reply> {
    let mut stream = connect(address)?;
    stream.write_all(&request(method, path, headers, body))?;
    reply(&mut stream)
}

/// Asks for something and expects an answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    ask(address, "GET", path, &[], b"").unwrap()
}

/// Posts JSON and expects an answer.
pub(crate) fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &Json,
) -> Reply {
    let headers = [&[("content-type", "application/json")], headers].concat();
    ask(address, "POST", path, &headers, body.to_string().as_bytes()).unwrap()
}

/// A run of a small picture. Another number is another picture.
pub(crate) fn picture(number: u64) -> Json {
    let input = json!({ "prompt": "a red mug", "width": 64, "height": 64, "seed": number });
    json!({ "task": "text-to-image", "input": input })
}

/// Submits without waiting, and gives the run's id.
pub(crate) fn submit(address: SocketAddr, headers: &[(&str, &str)], body: &Json) -> String {
    let headers = [&[("prefer", "respond-async")], headers].concat();
    let reply = post(address, "/v1/runs", &headers, body);
    assert!(matches!(reply.status, 200 | 202), "{} {}", reply.status, reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

pub(crate) fn run(address: SocketAddr, id: &str) -> Json {
    let reply = get(address, &format!("/v1/runs/{id}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Waits until a run stands as `wanted`, and gives it.
pub(crate) fn wait_for(address: SocketAddr, id: &str, wanted: &str) -> Json {
    let began = std::time::Instant::now();
    loop {
        let seen = run(address, id);
        if seen["status"] == wanted {
            return seen;
        }
        let over = ["succeeded", "failed", "cancelled"].iter().any(|end| seen["status"] == *end);
        assert!(!over && began.elapsed() < PATIENCE, "{wanted} is waited for: {seen}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
