//! What a served URL may reach.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Place;

/// A server of the binary, ended when it is dropped.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn new(place: &Place, settings: &str) -> Self {
        let settings = place.write("settings.toml", settings);
        let settings = settings.to_str().unwrap();
        let arguments = ["--json", "serve", "--listen", "127.0.0.1:0", "--config", settings];
        let mut command = place.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Self { child, address }
    }

    /// Pads the picture at an address: the status of the answer, and what it says.
    fn pad(&self, url: &str) -> (u16, Value) {
        let body =
            json!({ "task": "pad-image", "input": { "image": url, "margin": 1 } }).to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!(
            "POST /v1/runs HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Gives a picture to everybody who asks, and counts them.
fn pictures() -> (u16, Arc<AtomicUsize>) {
    let picture = include_bytes!("../../../../samples/coffee.png");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::Relaxed);
            let _heard = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n",
                picture.len()
            );
            let _gone = stream.write_all(&[head.as_bytes(), picture].concat());
        }
    });
    (port, asked)
}

#[test]
fn a_url_of_a_user_reaches_this_machine_only_where_the_settings_allow_it() {
    let (port, asked) = pictures();
    let place = Place::new();
    let closed = Serving::new(&place, "");
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let (status, problem) = closed.pad(&format!("http://{host}:{port}/coffee.png"));
        assert_eq!(status, 400, "{host}: {problem}");
        let told = problem.to_string();
        assert!(told.contains("may not be reached") && told.contains("foreign_hosts"), "{told}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    drop(closed);
    let open = Serving::new(&place, "[network]\nforeign_hosts = ['localhost']\n");
    let (status, run) = open.pad(&format!("http://localhost:{port}/coffee.png"));
    assert_eq!((status, run["status"].as_str()), (200, Some("succeeded")), "{run}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Only what is named.
    assert_eq!(open.pad(&format!("http://127.0.0.1:{port}/coffee.png")).0, 400);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
