//! Somebody who is told of webhooks.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

/// What was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Json,
}

/// The status to answer with, by path and by how often that path was asked before.
type Mood = fn(&str, usize) -> u16;

/// Listens until it is dropped with its process.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    pub(crate) fn new(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self { address, told: Arc::default() };
        let told = Arc::clone(&receiver.told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                std::thread::spawn(move || while listen(&stream, &told, mood).is_some() {});
            }
        });
        receiver
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

/// Hears one message and answers.
fn listen(mut stream: &TcpStream, told: &Mutex<Vec<Told>>, mood: Mood) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, begin) = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 4);
        }
        read(stream, &mut bytes)?;
    };
    let path = head.split(' ').nth(1)?.to_owned();
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let headers: HashMap<String, String> =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    while bytes.len() < begin + length {
        read(stream, &mut bytes)?;
    }
    let body = serde_json::from_slice(&bytes[begin..begin + length]).ok()?;
    let status = {
        let mut told = told.lock().unwrap();
        let before = told.iter().filter(|known| known.path == path).count();
        told.push(Told { path: path.clone(), headers, body });
        mood(&path, before)
    };
    stream.write_all(format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()
}

fn read(mut stream: &TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 << 10];
    let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
    bytes.extend_from_slice(&piece[..count]);
    Some(())
}
