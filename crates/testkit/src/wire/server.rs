//! A server of HTTP/1.1 that answers as it is told, or breaks off, drips, or says nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use impasto_domain::{Error, Result};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The most bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A request as it arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrived {
    /// The method.
    pub method: String,
    /// The path, still encoded.
    pub path: String,
    /// The query.
    pub query: Vec<(String, String)>,
    /// The headers, with names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Arrived {
    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Json> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it should be.
    #[default]
    Whole,
    /// The connection is reset instead.
    Reset,
    /// Half of the body comes, and then the connection is closed.
    Cut,
    /// A byte now and then.
    Drip,
    /// Nothing comes.
    Silent,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, beside those of the framing.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it is given.
    pub manner: Manner,
}

impl Reply {
    /// JSON with a status.
    pub fn json(status: u16, body: &Json) -> Self {
        Self::of(status, "application/json", body.to_string().into_bytes())
    }

    /// Bytes of a media type with a status.
    pub fn of(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Self { status, headers, body, manner: Manner::Whole }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Is given in another way.
    #[must_use]
    pub fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

/// Who answers.
pub trait Wire: Send + Sync {
    /// Answers a request.
    fn answer(&self, arrived: &Arrived) -> Reply;

    /// Whether a new connection is reset before anything is read from it.
    fn resets_connection(&self) -> bool {
        false
    }
}

/// A server on a port of this machine; it ends when it is dropped.
pub struct Server {
    /// Its URL, without a slash at the end.
    pub url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Begins to serve what `wire` answers; it is told the URL first.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start<W: Wire + 'static>(make: impl FnOnce(&str) -> Arc<W>) -> Result<Self> {
        let failed = |error: std::io::Error| Error::internal(format!("a fake server: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let wire = make(&url);
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&arrived);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if wire.resets_connection() {
                    let _best_effort = stream.set_zero_linger();
                    continue;
                }
                let (wire, noted) = (Arc::clone(&wire), Arc::clone(&noted));
                tokio::spawn(async move {
                    let _whoever_asked_is_gone = converse(stream, &*wire, &noted).await;
                });
            }
        });
        Ok(Self { url, arrived, task })
    }

    /// Everything that arrived since this was last asked.
    pub fn take_arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut self.arrived.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything that arrived so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn converse(
    mut stream: TcpStream,
    wire: &dyn Wire,
    noted: &Mutex<Vec<Arrived>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(arrived) = read(&mut stream, &mut buffer).await? {
        let reply = wire.answer(&arrived);
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(arrived);
        let body = reply.body.as_slice();
        match reply.manner {
            Manner::Whole => {
                stream.write_all(&[&head(&reply), body].concat()).await?;
            }
            Manner::Reset => return stream.set_zero_linger(),
            Manner::Cut => {
                stream.write_all(&head(&reply)).await?;
                stream.write_all(body.get(..body.len() / 2).unwrap_or_default()).await?;
                return stream.flush().await;
            }
            Manner::Drip => {
                stream.write_all(&head(&reply)).await?;
                for byte in body.chunks(1) {
                    stream.write_all(byte).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Manner::Silent => std::future::pending().await,
        }
        stream.flush().await?;
    }
    Ok(())
}

fn head(reply: &Reply) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} So\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len()));
    head.into_bytes()
}

/// The next request; nothing when there are no more.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Arrived>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if buffer.len() > HEAD_BYTES_MAX || !more(stream, buffer).await? {
            return Ok(None);
        }
    };
    let rest = buffer.split_off(end + 4);
    let text = String::from_utf8_lossy(buffer).into_owned();
    *buffer = rest;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let mut arrived =
        Arrived { method, path: path.to_owned(), query: pairs, headers, body: Vec::new() };
    let length: usize =
        arrived.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if !more(stream, buffer).await? {
            return Ok(None);
        }
    }
    let rest = buffer.split_off(length);
    arrived.body = std::mem::replace(buffer, rest);
    Ok(Some(arrived))
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut piece = [0; 16 << 10];
    let count = stream.read(&mut piece).await?;
    buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
    Ok(count > 0)
}
