//! Servers and resolvers that do as they are told, and remember what was done to them.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use impasto_net::{BoxFuture, Client, NetOptions, Resolve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a place does with a connection, one after the other.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Reads the head of a request and its body, if its length was told.
    Hear,
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Sends these bytes one by one, this far apart.
    Drip(Vec<u8>, Duration),
    /// Waits.
    Wait(Duration),
    /// Goes away without a word; otherwise the connection is ended politely.
    Reset,
}

pub(crate) fn say(text: &str) -> Act {
    Act::Say(text.as_bytes().to_vec())
}

/// A whole answer.
pub(crate) fn answer(body: &str) -> Act {
    say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

/// A server that follows a script for each connection, and the last one for all that follow.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Place {
    pub(crate) async fn new(script: Vec<Vec<Act>>) -> Self {
        Self::at("127.0.0.1", script).await
    }

    /// One connection after the other follows this script.
    pub(crate) async fn always(script: Vec<Act>) -> Self {
        Self::new(vec![script]).await
    }

    pub(crate) async fn at(address: &str, script: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let place = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let heard = Arc::clone(&place.heard);
        let mut scripts = VecDeque::from(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = match scripts.len() {
                    1 => scripts[0].clone(),
                    _ => scripts.pop_front().unwrap(),
                };
                let heard = Arc::clone(&heard);
                let index = heard.lock().unwrap().len();
                heard.lock().unwrap().push(Vec::new());
                tokio::spawn(async move {
                    let note = |bytes: &[u8]| heard.lock().unwrap()[index].extend(bytes);
                    // A client that goes away ends the script.
                    let _ended = follow(stream, script, note).await;
                });
            }
        });
        place
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// What was heard on each connection.
    pub(crate) fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// How many requests began, on all connections together.
    pub(crate) fn requests(&self) -> usize {
        self.heard().iter().map(|heard| heard.matches(" HTTP/1.1\r\n").count()).sum()
    }
}

async fn follow(mut stream: TcpStream, script: Vec<Act>, note: impl Fn(&[u8])) -> io::Result<()> {
    for act in script {
        match act {
            Act::Hear => hear(&mut stream, &note).await?,
            Act::Say(bytes) => stream.write_all(&bytes).await?,
            Act::Drip(bytes, apart) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(apart).await;
                }
            }
            Act::Wait(time) => tokio::time::sleep(time).await,
            Act::Reset => {
                stream.set_zero_linger()?;
                return Ok(());
            }
        }
    }
    stream.shutdown().await?;
    // What still comes is heard too, so that the connection is not reset.
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    note(&rest);
    read.map(|_| ()).map_err(io::Error::from)
}

async fn hear(stream: &mut TcpStream, note: &impl Fn(&[u8])) -> io::Result<()> {
    let mut heard = Vec::new();
    loop {
        let head = heard.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = head {
            let head = String::from_utf8_lossy(&heard[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let is_whole = match length {
                Some(length) => heard.len() >= end + 4 + length.parse::<usize>().unwrap(),
                None if head.contains("transfer-encoding: chunked") => {
                    heard.ends_with(b"0\r\n\r\n")
                }
                None => true,
            };
            if is_whole {
                return Ok(());
            }
        }
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        note(&piece[..count]);
        heard.extend(&piece[..count]);
    }
}

/// Answers with one list of addresses after the other, and with the last one from then on.
pub(crate) struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve(&self, host: String, _port: u16) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host);
        let mut answers = self.answers.lock().unwrap();
        let next = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        };
        Box::pin(async move { Ok(next) })
    }
}

/// Options that let foreign URLs reach `127.0.0.1` and nothing else of this machine.
pub(crate) fn options() -> NetOptions {
    NetOptions { foreign_networks: vec!["127.0.0.1".parse().unwrap()], ..NetOptions::default() }
}

/// A client with these options, to which every name is at these addresses.
pub(crate) fn client(options: NetOptions, addresses: &[&str]) -> Client {
    Client::with_resolver(options, Names::new(&[addresses])).unwrap()
}

/// A client that reaches `127.0.0.1`.
pub(crate) fn open_client() -> Client {
    client(options(), &["127.0.0.1"])
}
