//! Clients that are slow, broken or hostile: each gets an answer or a closed connection, and everybody
//! else is served meanwhile.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{
    PATIENCE, Reply, ask, connect, get, parse, picture, reply, request, submit, wait_for,
};
use crate::harness::{Place, Server, Setup};

/// Times that a test can wait for.
const HASTY: &str = "\
[server]
header_timeout_ms = 1200
body_idle_timeout_ms = 1200
body_bytes_max = 1000000
";

fn hasty() -> (Place, Server) {
    let place = Place::new(Setup { settings: HASTY.into(), ..Setup::default() });
    let server = place.serve();
    (place, server)
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Sends these bytes and gives the answer, or none if the connection was closed without one.
fn send(address: SocketAddr, bytes: &[u8]) -> Option<Reply> {
    let mut stream = connect(address).unwrap();
    // A server that has seen enough closes before everything is written.
    let _closed = stream.write_all(bytes);
    read(&mut stream)
}

fn read(stream: &mut TcpStream) -> Option<Reply> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return parse(&bytes),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) => {
                let stuck = matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
                assert!(
                    !stuck,
                    "neither an answer nor an end: {}",
                    String::from_utf8_lossy(&bytes)
                );
                return parse(&bytes);
            }
        }
    }
}

/// Expects this status, as a problem.
fn check(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
}

#[test]
fn bodies_that_make_no_sense_are_refused_by_name() {
    let (_place, mut server) = hasty();
    let address = server.address;
    let post = |kind: (&str, &str), body: &[u8]| {
        send(address, &request("POST", "/v1/runs", &[kind], body))
    };
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    let mut invalid = picture(1).to_string().into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'm').unwrap();
    invalid[at] = 0xff;
    let unknown = br#"{"task": "text-to-image", "inptu": {}}"#;
    for body in [
        &b""[..],
        b"{",
        b"nul",
        b"[]",
        b"\"\"",
        b"\0\0",
        b"{}{}",
        b"{\"task\": 1}",
        unknown,
        &invalid,
        &deep("["),
        &deep("{\"a\":"),
        b"{\"task\":\"text-to-image\",\"input\":{\"prompt\":\"\\ud800\"}}",
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let reply = post(JSON, body).unwrap_or_else(|| panic!("no answer to {shown}"));
        check(&reply, 400, "invalid_input");
    }
    let nested = format!(
        "{{\"task\":\"text-to-image\",\"input\":{{\"prompt\":{}1{}}}}}",
        "[".repeat(100),
        "]".repeat(100)
    );
    check(&post(JSON, nested.as_bytes()).unwrap(), 400, "invalid_input");
    let good = picture(1).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "json", "text/json; x"] {
        let reply = post(("content-type", kind), good.as_bytes()).unwrap();
        check(&reply, 415, "unsupported_media_type");
    }
    let numbers = r#"{"task":"text-to-image","input":{"prompt":"a","width":1e400}}"#;
    check(&post(JSON, numbers.as_bytes()).unwrap(), 400, "invalid_input");
    server.check_well();
}

/// Where each face takes calls.
const FACES: &[&str] = &[
    "/fal/run/impasto/sketch-scene",
    "/fal/queue/impasto/sketch-scene",
    "/fal/rest/storage/upload/initiate",
    "/replicate/v1/predictions",
    "/replicate/v1/models/impasto/sketch-scene/predictions",
    "/replicate/v1/files",
    "/openai/v1/images/generations",
    "/openai/v1/images/edits",
    "/openai/v1/audio/speech",
    "/openai/v1/audio/transcriptions",
    "/openai/v1/videos",
    "/gemini/v1beta/models/sketch-scene:generateContent",
    "/gemini/v1beta/models/sketch-scene:streamGenerateContent",
    "/gemini/v1beta/models/sketch-scene:predict",
    "/gemini/v1beta/models/sketch-scene:predictLongRunning",
    "/gemini/upload/v1beta/files",
    "/elevenlabs/v1/text-to-speech/plain",
    "/elevenlabs/v1/text-to-speech/plain/stream",
    "/elevenlabs/v1/text-to-speech/plain/with-timestamps",
    "/elevenlabs/v1/music",
    "/elevenlabs/v1/sound-generation",
    "/mcp",
];

#[test]
fn every_face_refuses_what_makes_no_sense() {
    let (_place, mut server) = hasty();
    let form = "multipart/form-data; boundary=x";
    let deep = "[".repeat(100_000);
    let part = "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nauto\r\n";
    let bodies: &[(&str, &[u8])] = &[
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b"null"),
        ("application/json", b"[]"),
        ("application/json", b"{\"prompt\": \"\xff\"}"),
        ("application/json", b"{\"prompt\": 7, \"input\": 7, \"model\": [], \"contents\": 7}"),
        ("application/json", b"{\"model\": \"nonesuch\", \"prompt\": \"x\", \"input\": {}}"),
        ("application/json", deep.as_bytes()),
        ("text/plain", b"{}"),
        ("", b"{}"),
        (form, b""),
        (form, b"--y--"),
        (form, part.as_bytes()),
        ("multipart/form-data", part.as_bytes()),
        ("application/x-www-form-urlencoded", b"a=%ff&a=b"),
        ("application/msgpack", b"\xdf\xff\xff\xff\xff"),
    ];
    for path in FACES {
        for (kind, body) in bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let headers = [("content-type", *kind), ("accept", "*/*")];
            let reply = send(server.address, &request("POST", path, &headers, body));
            let reply = reply.unwrap_or_else(|| panic!("{path} {kind} {shown}: no answer"));
            let told = format!("{path} {kind} {shown}: {} {}", reply.status, reply.text());
            assert!((200..500).contains(&reply.status), "{told}");
            assert!(reply.status < 300 || !reply.body.is_empty(), "{told}");
        }
        let said = [JSON, ("content-length", "2147483648"), ("expect", "100-continue")];
        let reply = send(server.address, &request("POST", path, &said, b"")).unwrap();
        assert!((400..500).contains(&reply.status), "{path}: {} {}", reply.status, reply.text());
    }
    server.check_well();
}

#[test]
fn requests_that_are_none_get_an_answer_or_an_end() {
    let (_place, mut server) = hasty();
    let address = server.address;
    let check = |bytes: &[u8], expected: &[u16]| {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        match send(address, bytes) {
            Some(reply) => assert!(expected.contains(&reply.status), "{shown}: {}", reply.head),
            None => assert!(expected.contains(&0), "{shown}: no answer"),
        }
    };
    let line =
        |line: &str| format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n").into_bytes();
    check(b"\r\n\r\n\r\n", &[0, 400]);
    check(b"hello\r\n\r\n", &[0, 400]);
    check(&[0; 300], &[0, 400]);
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[0]);
    check(b"PRI * HTTP/2.0\r\n\r\nnonsense\r\n\r\n", &[0]);
    check(&line("GET /health HTTP/9.9"), &[0, 400, 505]);
    check(&line("GET /health"), &[0, 400]);
    check(&line("GET  /health HTTP/1.1"), &[0, 400]);
    check(&line("BREW /health HTTP/1.1"), &[405]);
    check(&line("PATCH /v1/runs HTTP/1.1"), &[405]);
    check(&line("DELETE /v1/runs HTTP/1.1"), &[405]);
    check(&line("OPTIONS * HTTP/1.1"), &[404, 405]);
    check(&line("TRACE / HTTP/1.1"), &[404, 405]);
    check(&line("CONNECT example.org:443 HTTP/1.1"), &[0, 400, 404, 405]);
    check(&line("GET http://example.org/health HTTP/1.1"), &[200, 404]);
    check(&line("GET //health HTTP/1.1"), &[404]);
    check(&line("GET /v1/../health HTTP/1.1"), &[404]);
    check(&line("GET /v1/runs/%ff%fe HTTP/1.1"), &[400, 404]);
    check(&line("GET /v1/runs/%00 HTTP/1.1"), &[400, 404]);
    check(&line("GET /v1/runs/..%2f..%2fetc HTTP/1.1"), &[400, 404]);
    check(&line(&format!("GET /{} HTTP/1.1", "a".repeat(60_000))), &[404, 414, 431]);
    check(&line(&format!("GET /{} HTTP/1.1", "a".repeat(1_000_000))), &[0, 400, 414, 431]);
    check(&line(&format!("GET /health HTTP/1.1\r\nx: {}", "a".repeat(1_000_000))), &[0, 400, 431]);
    let many: String = (0..5_000).map(|number| format!("\r\nx-{number}: y")).collect();
    check(&line(&format!("GET /health HTTP/1.1{many}")), &[0, 400, 431]);
    check(&line("GET /health HTTP/1.1\r\ncontent-length: -1"), &[0, 400]);
    check(&line("GET /health HTTP/1.1\r\ncontent-length: 99999999999999999999"), &[0, 400]);
    check(&line("GET /health HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2"), &[0, 400]);
    check(&line("POST /v1/runs HTTP/1.1\r\ntransfer-encoding: cow"), &[0, 400, 415, 501]);
    let smuggled = "POST /v1/runs HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked";
    check(
        &[line(smuggled), b"0\r\n\r\nGET /health HTTP/1.1\r\n\r\n".to_vec()].concat(),
        &[0, 400, 415],
    );
    let chunked =
        "POST /v1/runs HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked";
    for chunk in ["zz\r\n", "ffffffffffffffffff\r\n", "5\r\nabcdefg\r\n", "-1\r\n"] {
        check(&[line(chunked), chunk.into()].concat(), &[0, 400]);
    }
    server.check_well();
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_has_come() {
    let (_place, mut server) = hasty();
    let address = server.address;
    let before = server.memory_bytes();
    let two_gibibytes = (2_u64 << 30).to_string();
    let began = Instant::now();
    for path in ["/v1/runs", "/v1/assets", "/v1/plan"] {
        let said = [JSON, ("content-length", two_gibibytes.as_str()), ("expect", "100-continue")];
        let reply = send(address, &request("POST", path, &said, b"")).unwrap();
        check(&reply, 413, "too_large");
        let written = pour(address, &request("POST", path, &said[..2], b""), &[b' '; 64 << 10]);
        assert!(written.0 < 64 << 20, "{path}: {} bytes were taken", written.0);
        let chunked = [JSON, ("transfer-encoding", "chunked")];
        let chunk = [b"10000\r\n".as_slice(), &[b' '; 64 << 10], b"\r\n"].concat();
        let (written, reply) = pour(address, &request("POST", path, &chunked, b""), &chunk);
        assert!(path == "/v1/assets" || written < 64 << 20, "{path}: {written} bytes were taken");
        if let Some(reply) = reply {
            check(&reply, 413, "too_large");
        }
    }
    println!("nine bodies of 2 GiB were refused within {:?}", began.elapsed());
    server.check_well();
    let grown =
        server.memory_bytes().zip(before).map(|(after, before)| after.saturating_sub(before));
    assert!(grown.is_none_or(|grown| grown < 64 << 20), "{grown:?}");
}

/// Writes the pieces of a body, 2 GiB at most, until the server has had enough. Answers how much it
/// took, and what it said.
fn pour(address: SocketAddr, head: &[u8], piece: &[u8]) -> (usize, Option<Reply>) {
    let mut stream = connect(address).unwrap();
    stream.write_all(head).unwrap();
    let mut written = 0;
    while written < 2 << 30 && stream.write_all(piece).is_ok() {
        written += piece.len();
    }
    (written, read(&mut stream))
}

#[test]
fn whoever_drips_is_cut_off_and_hinders_nobody() {
    let (_place, mut server) = hasty();
    let address = server.address;
    let head = request("GET", "/health", &[], b"");
    let whole = request("POST", "/v1/runs", &[JSON], picture(1).to_string().as_bytes());
    let begun = head.len() / 2;
    // Half a head, half a body, nothing at all; each is held open.
    let mut slow: Vec<TcpStream> = Vec::new();
    let second = b"PRI * HTTP/2.0\r\n\r\n";
    for part in [&head[..begun], &whole[..whole.len() - 20], b"", b"G", b"PR", b"PRI", second] {
        for _ in 0..20 {
            let mut stream = connect(address).unwrap();
            stream.write_all(part).unwrap();
            slow.push(stream);
        }
    }
    let began = Instant::now();
    assert_eq!(get(address, "/health").status, 200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for (number, stream) in slow.iter_mut().enumerate() {
        let reply = read(stream);
        if (20..40).contains(&number) {
            check(&reply.unwrap(), 408, "request_timeout");
        } else {
            assert!(reply.is_none_or(|reply| matches!(reply.status, 400 | 408)), "{number}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // A byte now and then keeps a head open no longer than its time.
    let mut dripping = connect(address).unwrap();
    let began = Instant::now();
    while dripping.write_all(b"x").is_ok() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.check_well();
}

#[test]
fn a_slow_body_that_moves_is_waited_for() {
    let (_place, mut server) = hasty();
    let body = picture(1).to_string();
    let head =
        request("POST", "/v1/runs", &[JSON, ("content-length", &body.len().to_string())], b"");
    let mut stream = connect(server.address).unwrap();
    stream.write_all(&head).unwrap();
    for piece in body.as_bytes().chunks(body.len() / 4) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(350));
    }
    assert_eq!(reply(&mut stream).unwrap().json()["status"], "succeeded");
    server.check_well();
}

#[test]
fn half_closed_and_broken_connections_leave_nothing_behind() {
    let place = Place::new(Setup {
        settings: HASTY.into(),
        misbehave: Some("latency_ms=300".into()),
        concurrency: Some(64),
        ..Setup::default()
    });
    let mut server = place.serve();
    let address = server.address;
    // Whoever closes its own half still gets its answer.
    let mut half = connect(address).unwrap();
    half.write_all(&request("GET", "/health", &[], b"")).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert!(read(&mut half).is_none_or(|reply| reply.status == 200));
    let mut early = connect(address).unwrap();
    early
        .write_all(&request("POST", "/v1/runs", &[JSON, ("content-length", "500")], b"{"))
        .unwrap();
    early.shutdown(Shutdown::Write).unwrap();
    assert!(read(&mut early).is_none_or(|reply| reply.status == 400));
    // Whoever goes while its run is under way: the run goes on and ends.
    for number in 0..20 {
        let wish = picture(number).to_string();
        let headers = [JSON, ("accept", if number % 2 == 0 { "text/event-stream" } else { "*/*" })];
        let mut stream = connect(address).unwrap();
        stream.write_all(&request("POST", "/v1/runs", &headers, wish.as_bytes())).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        drop(stream);
    }
    let began = Instant::now();
    let runs = loop {
        let runs = get(address, "/v1/runs?limit=100").json()["runs"].as_array().unwrap().clone();
        if runs.iter().all(|run| run["status"] == "succeeded") {
            break runs;
        }
        assert!(began.elapsed() < PATIENCE, "{runs:?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    println!("{} of 20 requests whose client went were runs; all have ended", runs.len());
    // The places of those who went are free.
    for number in 100..104 {
        submit(address, &[], &picture(number));
    }
    let figures = get(address, "/metrics").text();
    assert!(figures.contains("impasto_event_listeners 0"), "{figures}");
    server.check_well();
}

#[test]
fn whoever_never_reads_costs_little_and_hinders_nobody() {
    let place = Place::new(Setup {
        settings: "[server]\ncalls_max = 8\n".into(),
        misbehave: Some("latency_ms=200".into()),
        ..Setup::default()
    });
    let mut server = place.serve();
    let address = server.address;
    let large = get(address, "/openapi.json").body.len();
    let before = server.memory_bytes();
    // Far more is asked for than there is room for on the way; nothing of it is read.
    let (asking, times) = (24, 400);
    let keep = [("connection", "keep-alive")];
    let many = request("GET", "/openapi.json", &keep, b"").repeat(times);
    let mut deaf: Vec<TcpStream> = Vec::new();
    for _ in 0..asking {
        let mut stream = connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let _as_much_as_goes = stream.write(&many);
        deaf.push(stream);
    }
    // The same with runs: one waits for an answer, one listens to what happens.
    for number in 0..2 {
        let wish = picture(number).to_string();
        let headers = [JSON, ("accept", if number == 0 { "text/event-stream" } else { "*/*" })];
        let mut stream = connect(address).unwrap();
        stream.write_all(&request("POST", "/v1/runs", &headers, wish.as_bytes())).unwrap();
        deaf.push(stream);
    }
    for number in 10..14 {
        let run = submit(address, &[], &picture(number));
        wait_for(address, &run, "succeeded");
    }
    let ended = || {
        let runs = get(address, "/v1/runs").json()["runs"].as_array().unwrap().clone();
        runs.len() == 6 && runs.iter().all(|run| run["status"] == "succeeded")
    };
    let began = Instant::now();
    while !ended() {
        assert!(began.elapsed() < PATIENCE, "{}", get(address, "/v1/runs").text());
        std::thread::sleep(Duration::from_millis(20));
    }
    server.check_well();
    let grown = server.memory_bytes().zip(before).map(|(now, before)| now.saturating_sub(before));
    println!("{} clients never read {} bytes each: {grown:?} bytes", deaf.len(), large * times);
    assert!(grown.is_none_or(|grown| grown < (large * times * asking / 4) as u64), "{grown:?}");
    drop(deaf);
    server.check_well();
}

#[test]
fn there_is_room_for_so_many_connections_and_calls_and_no_more() {
    let place = Place::new(Setup {
        settings: "[server]\nconnections_max = 30\ncalls_max = 4\nheader_timeout_ms = 1000\n"
            .into(),
        misbehave: Some("latency_ms=1500".into()),
        concurrency: Some(64),
        ..Setup::default()
    });
    let mut server = place.serve();
    let address = server.address;
    let asking: Vec<_> = (0..4)
        .map(|number| {
            let body = picture(number).to_string();
            std::thread::spawn(move || ask(address, "POST", "/v1/runs", &[JSON], body.as_bytes()))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let busy =
        ask(address, "POST", "/v1/runs", &[JSON], picture(4).to_string().as_bytes()).unwrap();
    check(&busy, 503, "unavailable");
    assert_eq!(busy.header("retry-after"), Some("1"));
    assert_eq!(get(address, "/v1/runs").status, 200, "whoever only looks has a place");
    assert_eq!(get(address, "/health").status, 200, "a busy server is well");
    for asked in asking {
        assert_eq!(asked.join().unwrap().unwrap().status, 200);
    }
    // Those who hold connections and say nothing are cut off; then there is room again.
    let idle: Vec<TcpStream> = (0..60).map(|_| connect(address).unwrap()).collect();
    let began = Instant::now();
    assert_eq!(get(address, "/v1/runs").status, 200);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(idle);
    server.check_well();
}
