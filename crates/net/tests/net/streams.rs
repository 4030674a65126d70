//! Bodies that are streamed, forms, events, WebSockets; and what a request looks like on the wire.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use impasto_net::{
    Body, Cause, Grade, Limits, Message, Multipart, NetError, Request, Stage, WebSocket,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::place::{Act, Place, answer, open_client, say};

fn post(place: &Place) -> Request {
    Request::post(&place.url("/up?a=b"), Grade::Foreign).unwrap()
}

async fn heard(place: &Place, request: Request) -> String {
    open_client().send(request).await.unwrap().bytes().await.unwrap();
    place.heard().concat()
}

#[tokio::test]
async fn a_request_is_what_it_should_be_on_the_wire() {
    let place = Place::always(vec![Act::Hear, answer("")]).await;
    let request = post(&place).body("application/json", "{}");
    let request = request.header("content-length", "99").unwrap();
    let request = request.header("transfer-encoding", "chunked").unwrap();
    let request = request.header("host", "inside.test").unwrap();
    let request = request.header("x-key", "one").unwrap().header("x-key", "two").unwrap();
    let mut lines: Vec<String> = heard(&place, request).await.lines().map(Into::into).collect();
    assert_eq!(lines.remove(0), "POST /up?a=b HTTP/1.1");
    let port = place.port();
    let host = format!("host: 127.0.0.1:{port}");
    let agent = format!("user-agent: impasto/{}", env!("CARGO_PKG_VERSION"));
    let wanted = [
        "",
        "content-length: 2",
        "content-type: application/json",
        host.as_str(),
        agent.as_str(),
        "x-key: two",
        "{}",
    ];
    lines.sort();
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn an_empty_body_that_is_sent_says_so() {
    let place = Place::always(vec![Act::Hear, answer("")]).await;
    assert!(heard(&place, post(&place)).await.contains("content-length: 0\r\n"));
    let place = Place::always(vec![Act::Hear, answer("")]).await;
    let get = Request::get(&place.url("/"), Grade::Foreign).unwrap();
    assert!(!heard(&place, get).await.contains("content-length"));
}

#[tokio::test]
async fn a_form_with_a_large_file_arrives_whole() {
    let place = Place::always(vec![Act::Hear, answer("fine")]).await;
    let file = Bytes::from("0123456789".repeat(300_000));
    let form =
        Multipart::new().text("model", "a").file("image", "a.png", "image/png", file.clone());
    let heard = heard(&place, post(&place).multipart(form)).await;
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let boundary = head.split_once("boundary=").unwrap().1.lines().next().unwrap();
    let length = format!("content-length: {}\r\n", body.len());
    assert!(format!("{head}\r\n").contains(&length), "{head}");
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    let [before, model, image, after] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    assert_eq!((*before, *after), ("", "--\r\n"));
    assert_eq!(*model, "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n");
    let (part_head, content) = image.split_once("\r\n\r\n").unwrap();
    assert!(part_head.ends_with("filename=\"a.png\"\r\nContent-Type: image/png"), "{part_head}");
    assert_eq!(content.strip_suffix("\r\n").unwrap().as_bytes(), file);
}

#[tokio::test]
async fn a_body_is_sent_as_it_comes() {
    let place = Place::always(vec![Act::Hear, answer("fine")]).await;
    let (sender, body) = Body::streamed();
    let request = post(&place).body("audio/mpeg", body);
    let sending = tokio::spawn(async move { open_client().send(request).await.unwrap().status() });
    for piece in ["one", "", "two"] {
        assert!(sender.send(piece.into()).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(place.heard().concat().ends_with(&format!("{piece}\r\n")) || piece.is_empty());
    }
    assert!(sender.finish().await);
    assert_eq!(sending.await.unwrap(), 200);
    assert!(place.heard().concat().ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn events_come_as_they_are_sent_also_if_a_letter_is_cut_in_two() {
    let (head, text) =
        ("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", "data: é🎨\n\n");
    let drip = Act::Drip(text.as_bytes().to_vec(), Duration::from_millis(5));
    let pause = Act::Wait(Duration::from_millis(500));
    let place =
        Place::always(vec![Act::Hear, say(head), drip, pause, say("event: end\ndata\n\n")]).await;
    let request = Request::get(&place.url("/"), Grade::Foreign).unwrap();
    let response = open_client().send(request).await.unwrap();
    assert_eq!(response.media_type().as_deref(), Some("text/event-stream"));
    let mut events = response.events();
    let next = tokio::time::timeout(Duration::from_millis(400), events.next());
    assert_eq!(next.await.expect("before the end of the stream").unwrap().unwrap().data, "é🎨");
    let last = events.next().await.unwrap().unwrap();
    assert_eq!((last.event.as_str(), last.data.as_str()), ("end", ""));
    assert_eq!(events.next().await.unwrap(), None);
}

#[tokio::test]
async fn events_have_the_limits_of_a_body() {
    let endless = "data: x\n\n".repeat(1_000);
    let place =
        Place::always(vec![Act::Hear, say(&format!("HTTP/1.1 200 OK\r\n\r\n{endless}"))]).await;
    let limits = Limits { body_bytes_max: 4_000, ..Limits::default() };
    let request = Request::get(&place.url("/"), Grade::Foreign).unwrap().limits(limits);
    let mut events = open_client().send(request).await.unwrap().events();
    let error = loop {
        match events.next().await {
            Ok(event) => assert!(event.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!((error.cause, error.stage), (Cause::TooLarge, Stage::Answered(200)));
}

/// Says everything back; closes when it hears `bye`, and falls silent when it hears `hush`.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(say_back(stream));
        }
    });
    port
}

async fn say_back(stream: TcpStream) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Some(Ok(frame)) = socket.next().await {
        match frame {
            Frame::Text(text) if text.as_str() == "bye" => {
                let _gone = socket.close(None).await;
            }
            Frame::Text(text) if text.as_str() == "hush" => {}
            Frame::Text(_) | Frame::Binary(_) => {
                let _gone = socket.send(Frame::Ping(Bytes::from_static(b"?"))).await;
                let _gone = socket.send(frame).await;
            }
            _ => {}
        }
    }
}

async fn open(port: u16, limits: Limits) -> Result<WebSocket, NetError> {
    let url = format!("ws://127.0.0.1:{port}/socket");
    let request = Request::get(&url, Grade::Foreign).unwrap().limits(limits);
    open_client().websocket(request).await
}

#[tokio::test]
async fn a_websocket_carries_text_and_bytes_both_ways() {
    let mut socket = open(echo().await, Limits::default()).await.unwrap();
    let large = Message::Binary(Bytes::from(vec![7; 1 << 20]));
    for message in [Message::Text("é".into()), Message::Binary(Bytes::new()), large] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap(), Some(message));
    }
    socket.send(Message::Text("bye".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_websocket_has_limits() {
    let limits = Limits { body_bytes_max: 10, idle_ms: 100, ..Limits::default() };
    let port = echo().await;
    let mut socket = open(port, limits).await.unwrap();
    socket.send(Message::Text("hush".into())).await.unwrap();
    let error = socket.next().await.unwrap_err();
    assert_eq!((error.cause, error.stage), (Cause::TooSlow, Stage::Answered(101)));
    let mut socket = open(port, limits).await.unwrap();
    socket.send(Message::Text("0123456789a".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap_err().cause, Cause::TooLarge);
    let mut socket = open(port, limits).await.unwrap();
    for wanted in [Ok(Some(Message::Text("012345".into()))), Err(Cause::TooLarge)] {
        socket.send(Message::Text("012345".into())).await.unwrap();
        assert_eq!(socket.next().await.map_err(|error| error.cause), wanted);
    }
}

#[tokio::test]
async fn who_opens_no_websocket_says_why() {
    let refusal = say("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    let table = [
        (vec![Act::Hear, refusal], Stage::Answered(401)),
        (vec![Act::Hear, Act::Reset], Stage::Unanswered),
        (vec![Act::Hear, Act::Wait(Duration::from_secs(5))], Stage::Unanswered),
    ];
    for (script, stage) in table {
        let place = Place::always(script).await;
        let limits = Limits { total_ms: 300, ..Limits::default() };
        let error = open(place.port(), limits).await.unwrap_err();
        assert_eq!(error.stage, stage, "{error}");
    }
}
