//! How the server reaches others: foreign files and webhooks, through the guarded client.
//!
//! Whatever comes here was written by a user or by somebody's answer, so it is all
//! [`Grade::Foreign`]: nothing inside is reached unless `[network]` of the settings allows it.
//!
//! Files lie in memory until they are taken in, so all of them together have a limit too.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use impasto_domain::{Error, ErrorKind, Result, Side};
use impasto_net::{
    BoxFuture, Cause, Client, Grade, Limits, NetError, NetOptions, Request, Stage, retry_after_ms,
};
use impasto_server::{Fetch, Fetched, Post, Posted};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of an answer to a webhook that are read, so that its connection can be used again.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// How long they are waited for: the answer's status is all that counts.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);
/// What a body is as long as nothing else is said.
const UNKNOWN_MEDIA: &str = "application/octet-stream";

/// Room is given in pieces of this size.
const ROOM_BYTES: usize = 64 << 10;

/// Reaches others through the guarded client.
pub(crate) struct Outside {
    client: Client,
    rooms: Arc<Semaphore>,
}

/// A file, and the room that it takes for as long as somebody has it.
struct Held {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Adds what fits into the room that there is.
    fn add(&mut self, piece: &[u8], rooms: &Arc<Semaphore>) -> Result<()> {
        let taken = self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = (self.bytes.len() + piece.len()).div_ceil(ROOM_BYTES).saturating_sub(taken);
        if wanted > 0 {
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            let more = Arc::clone(rooms).try_acquire_many_owned(wanted).map_err(|_| no_room())?;
            match &mut self.room {
                Some(room) => room.merge(more),
                None => self.room = Some(more),
            }
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Outside {
    /// With these limits and exceptions, and at most so many bytes of files in memory at once.
    pub(crate) fn new(options: NetOptions, held_bytes_max: u64) -> Result<Self> {
        let rooms = usize::try_from(held_bytes_max).unwrap_or(usize::MAX).div_ceil(ROOM_BYTES);
        let rooms = Arc::new(Semaphore::new(rooms.min(Semaphore::MAX_PERMITS)));
        Ok(Self { client: Client::new(options)?, rooms })
    }

    async fn file(&self, url: &str, bytes_max: u64) -> Result<Fetched> {
        let limits = Limits { body_bytes_max: bytes_max, ..self.client.options().limits };
        let request = Request::get(url, Grade::Foreign).map_err(useless)?.limits(limits);
        let mut response = self.client.send(request).await.map_err(useless)?;
        if !response.is_success() {
            return Err(no_file(&response.place(), response.status()));
        }
        let media_type = response.media_type();
        let mut held = Held { bytes: Vec::new(), room: None };
        while let Some(piece) = response.chunk().await.map_err(useless)? {
            held.add(&piece, &self.rooms)?;
        }
        Ok(Fetched { bytes: Bytes::from_owner(held), media_type })
    }

    async fn tell(&self, post: Post) -> Result<Posted> {
        let limits = Limits {
            total_ms: post.timeout_ms,
            body_bytes_max: ANSWER_BYTES_MAX,
            ..self.client.options().limits
        };
        let mut request = Request::post(&post.url, Grade::Foreign)?.limits(limits);
        request = request.body(UNKNOWN_MEDIA, post.body);
        for (name, value) in &post.headers {
            request = request.header(name, value)?;
        }
        let mut response = match self.client.send(request).await {
            Ok(response) => response,
            // The head came; that the body would be too large changes nothing.
            Err(NetError { stage: Stage::Answered(status), .. }) => {
                return Ok(Posted { status, retry_after_ms: None });
            }
            Err(error) => return Err(error.into()),
        };
        let _unimportant = tokio::time::timeout(ANSWER_TIMEOUT, response.bytes()).await;
        let retry_after_ms =
            response.header("retry-after").and_then(|text| retry_after_ms(text, SystemTime::now()));
        Ok(Posted { status: response.status(), retry_after_ms })
    }
}

impl Fetch for Outside {
    fn get(&self, url: String, bytes_max: u64) -> BoxFuture<'_, Result<Fetched>> {
        Box::pin(async move { self.file(&url, bytes_max).await })
    }

    fn check(&self, url: &str) -> Result<()> {
        Ok(self.client.check(&Request::post(url, Grade::Foreign)?)?)
    }

    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted>> {
        Box::pin(self.tell(post))
    }
}

/// A file that cannot be had. Where it lies was the caller's choice, so unless another time may be
/// better, it is for the caller to choose another.
fn useless(error: NetError) -> Error {
    let is_final = matches!(
        error.cause,
        Cause::NoAddress | Cause::Encryption | Cause::TooLarge | Cause::Redirects | Cause::Garbled
    );
    let mut told = Error::from(error);
    if is_final {
        told.kind = ErrorKind::InvalidInput;
        told.side = Side::Caller;
        told.retry = false;
    }
    if told.hint.is_none() {
        told = told.hint("upload the file instead, or give the address of another copy");
    }
    told
}

fn no_room() -> Error {
    Error::unavailable("too many files are being fetched at once")
        .hint("try again in a moment, or upload the file")
        .retryable()
}

fn no_file(place: &str, status: u16) -> Error {
    let message = format!("{place} gives no file: it answers with status {status}");
    match status {
        408 | 429 | 500.. => Error::unavailable(message).retryable(),
        _ => Error::invalid(message),
    }
    .hint("the address must give the file to anybody who asks; or upload the file instead")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Answers each connection with this text, and keeps what it was asked.
    async fn place(answer: String) -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let count = stream.read(&mut head).await.unwrap_or_default();
                head.truncate(count);
                kept.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                let _gone = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, asked)
    }

    fn open() -> Outside {
        let foreign_networks = vec!["127.0.0.1".parse().unwrap()];
        Outside::new(NetOptions { foreign_networks, ..NetOptions::default() }, 1 << 20).unwrap()
    }

    fn message(url: String) -> Post {
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("webhook-id".to_owned(), "msg_1".to_owned()),
        ];
        Post { url, headers, body: "{}".into(), timeout_ms: 2_000 }
    }

    const FILE: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: Image/PNG; x=y\r\ncontent-length: 4\r\n\r\nfile";

    #[tokio::test]
    async fn nothing_inside_is_reached_unless_the_settings_allow_it() {
        let (port, asked) = place(FILE.to_owned()).await;
        let closed = Outside::new(NetOptions::default(), 1 << 20).unwrap();
        for host in ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{host}:{port}/a.png");
            let error = closed.get(url.clone(), 100).await.unwrap_err();
            assert_eq!((error.kind, error.side), (ErrorKind::InvalidInput, Side::Caller), "{url}");
            assert!(error.message.contains("may not be reached"), "{error}");
            assert!(error.hint.unwrap().contains("foreign_hosts"), "{url}");
            assert!(closed.post(message(url)).await.is_err());
        }
        assert!(asked.lock().unwrap().is_empty());
        let file = open().get(format!("http://127.0.0.1:{port}/a.png"), 100).await.unwrap();
        assert_eq!(
            (&file.bytes[..], file.media_type.as_deref()),
            (&b"file"[..], Some("image/png"))
        );
    }

    #[test]
    fn an_address_that_says_that_it_is_inside_is_refused_before_it_is_asked() {
        let (closed, open) = (Outside::new(NetOptions::default(), 1).unwrap(), open());
        let check = |outside: &Outside, url: &str, good: bool| {
            let checked = outside.check(url);
            assert_eq!(checked.is_ok(), good, "{url}: {checked:?}");
        };
        for url in ["https://example.com/x", "http://8.8.8.8:8080/", "http://name.test/"] {
            check(&closed, url, true);
        }
        for url in [
            "http://127.0.0.1:45050/x",
            "http://169.254.169.254/latest",
            "http://10.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://2130706433/",
            "http://example.com:99999/",
            "http://user:pw@example.com/",
        ] {
            check(&closed, url, false);
        }
        check(&open, "http://127.0.0.1:45050/x", true);
        check(&open, "http://169.254.169.254/latest", false);
    }

    async fn check_file(answer: &str, bytes_max: u64, kind: ErrorKind, part: &str) {
        let (port, _) = place(answer.to_owned()).await;
        let error = open().get(format!("http://127.0.0.1:{port}/?key=hunter2"), bytes_max).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(part) && error.hint.is_some(), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(error.retry, kind == ErrorKind::Unavailable, "{error}");
    }

    #[tokio::test]
    async fn what_gives_no_file_says_whose_matter_that_is() {
        let status = |status| format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        check_file(FILE, 3, ErrorKind::InvalidInput, "the most is 3").await;
        check_file(&status(404), 9, ErrorKind::InvalidInput, "status 404").await;
        check_file(&status(403), 9, ErrorKind::InvalidInput, "status 403").await;
        check_file(&status(503), 9, ErrorKind::Unavailable, "status 503").await;
        check_file(&status(429), 9, ErrorKind::Unavailable, "status 429").await;
        check_file("nonsense\r\n\r\n", 9, ErrorKind::InvalidInput, "no way that can be read").await;
        let inward = "HTTP/1.1 302 X\r\nlocation: http://127.0.0.2/\r\ncontent-length: 0\r\n\r\n";
        check_file(inward, 9, ErrorKind::InvalidInput, "may not be reached").await;
        let down = open().get("http://127.0.0.1:1/".to_owned(), 9).await.unwrap_err();
        assert_eq!((down.kind, down.retry), (ErrorKind::Unavailable, true));
    }

    #[tokio::test]
    async fn files_that_somebody_holds_have_a_limit_together() {
        let half = "x".repeat(600 << 10);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{half}", half.len());
        let (port, _) = place(answer).await;
        let outside = open();
        let get = || outside.get(format!("http://127.0.0.1:{port}/"), 1 << 20);
        let first = get().await.unwrap();
        let error = get().await.unwrap_err();
        assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, true), "{error}");
        let part = first.bytes.slice(..1);
        drop(first);
        assert!(get().await.is_err(), "a part of it is still held");
        drop(part);
        assert_eq!(get().await.unwrap().bytes, half);
    }

    #[tokio::test]
    async fn what_a_receiver_wants_to_wait_is_told() {
        let check = async |wait: &str, expected: std::ops::RangeInclusive<u64>| {
            let head = "HTTP/1.1 503 X\r\ncontent-length: 0\r\n";
            let (port, _) = place(format!("{head}retry-after: {wait}\r\n\r\n")).await;
            let posted = open().post(message(format!("http://127.0.0.1:{port}/"))).await.unwrap();
            let wait_ms = posted.retry_after_ms.unwrap();
            assert!(expected.contains(&wait_ms), "{wait}: {wait_ms}");
        };
        check("7", 7_000..=7_000).await;
        let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
        check(&httpdate::fmt_http_date(in_an_hour), 3_500_000..=3_600_000).await;
    }

    #[tokio::test]
    async fn a_webhook_is_told_once_and_its_status_is_what_counts() {
        let large = 1 << 20;
        let table = [
            ("HTTP/1.1 204 X\r\n\r\n".to_owned(), 204),
            ("HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\nno".to_owned(), 500),
            ("HTTP/1.1 302 X\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_owned(), 302),
            (format!("HTTP/1.1 200 X\r\ncontent-length: {large}\r\n\r\n"), 200),
            ("HTTP/1.1 200 X\r\n\r\nno end".to_owned(), 200),
        ];
        for (answer, status) in table {
            let (port, asked) = place(answer).await;
            let url = format!("http://127.0.0.1:{port}/hook");
            let outside = open();
            let given = tokio::time::timeout(Duration::from_secs(2), outside.post(message(url)));
            assert_eq!(given.await.unwrap().unwrap().status, status);
            let asked = asked.lock().unwrap().concat();
            assert_eq!(asked.matches("POST /hook HTTP/1.1\r\n").count(), 1, "{asked}");
            assert_eq!(asked.matches("content-type: application/json\r\n").count(), 1, "{asked}");
            assert!(asked.contains("webhook-id: msg_1\r\n") && asked.ends_with("{}"), "{asked}");
        }
    }
}
