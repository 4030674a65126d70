//! A provider that answers every POST with a picture: small, large, or small after two seconds, as the
//! body says by the name of the model; or with speech, piece by piece.

use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of the picture behind the base64.
const SMALL_BYTES: usize = 768;
const LARGE_BYTES: usize = 786_432;
/// How long the slow model takes.
const SLOW: Duration = Duration::from_secs(2);

/// How speech comes: so many pieces of so many bytes, one at once and the others so long after another.
const SPEECH_PIECES: usize = 4;
const SPEECH_BYTES: usize = 2_048;
const SPEECH_PAUSE: Duration = Duration::from_millis(10);
/// The head of a frame of MP3.
pub(crate) const MP3: [u8; 4] = [0xff, 0xfb, 0x90, 0x64];

static SMALL: LazyLock<Arc<[u8]>> = LazyLock::new(|| answer(SMALL_BYTES));
static LARGE: LazyLock<Arc<[u8]>> = LazyLock::new(|| answer(LARGE_BYTES));

fn answer(bytes: usize) -> Arc<[u8]> {
    let picture: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
    let body = format!(r#"{{"created":1,"data":[{{"b64_json":"{}"}}]}}"#, STANDARD.encode(picture));
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat().into()
}

/// Serves for ever.
pub(crate) async fn serve(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    loop {
        if let Ok((connection, _)) = listener.accept().await {
            let _ignored = connection.set_nodelay(true);
            tokio::spawn(converse(connection));
        }
    }
}

async fn converse(mut connection: TcpStream) {
    let mut gathered = Vec::new();
    while let Some(request) = next(&mut connection, &mut gathered).await {
        let has = |word: &str| request.windows(word.len()).any(|window| window == word.as_bytes());
        if has("\"slow\"") {
            tokio::time::sleep(SLOW).await;
        }
        if has("\"speech\"") {
            if speak(&mut connection).await.is_err() {
                return;
            }
            continue;
        }
        let answer = if has("\"large\"") { &*LARGE } else { &*SMALL };
        if connection.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Speech as a server gives it that is still making it.
async fn speak(connection: &mut TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut first = head.as_bytes().to_vec();
    for number in 0..SPEECH_PIECES {
        first.extend_from_slice(format!("{SPEECH_BYTES:x}\r\n").as_bytes());
        let end = first.len() + SPEECH_BYTES;
        first.extend_from_slice(&MP3);
        first.extend_from_slice(stamp().as_bytes());
        first.resize(end, number as u8);
        first.extend_from_slice(b"\r\n");
        connection.write_all(&first).await?;
        first.clear();
        tokio::time::sleep(SPEECH_PAUSE).await;
    }
    connection.write_all(b"0\r\n\r\n").await
}

/// The next request, head and body.
async fn next(connection: &mut TcpStream, gathered: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut piece = [0; 16_384];
    loop {
        if let Some(end) = gathered.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&gathered[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            let whole = end + 4 + length;
            if gathered.len() >= whole {
                return Some(gathered.drain(..whole).collect());
            }
        }
        match connection.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => gathered.extend_from_slice(&piece[..read]),
        }
    }
}

/// What stands before the time at which something was sent.
const SENT: &str = "sent at ";
const SENT_DIGITS: usize = 20;

/// The time now, as it is put into what is sent: in nanoseconds since 1970.
fn stamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{SENT}{:0SENT_DIGITS$}", now.as_nanos())
}

/// How long ago what is first in these bytes was sent.
pub(crate) fn since_sent(bytes: &[u8]) -> Option<Duration> {
    let at = bytes.windows(SENT.len()).position(|window| window == SENT.as_bytes())? + SENT.len();
    let digits = std::str::from_utf8(bytes.get(at..at + SENT_DIGITS)?).ok()?;
    let sent = UNIX_EPOCH + Duration::from_nanos(digits.parse().ok()?);
    SystemTime::now().duration_since(sent).ok()
}
