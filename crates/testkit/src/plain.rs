//! Requests of HTTP/1.1 as they come over a plain connection, for tests whose server is a thread.

use std::io::{BufRead, BufReader, Read, Result};
use std::net::TcpStream;

/// The next request: its head as it came, and its body, which is as long as the head says. An end of the
/// connection ends the head, too.
///
/// # Errors
/// The length is no number, or the connection ends before the body does.
pub fn read_request(stream: &TcpStream) -> Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().map_err(std::io::Error::other)?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}
