//! An error says what the other side may know.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use impasto_net::{
    Body, BoxFuture, Cause, Client, Grade, Limits, NetError, NetOptions, Request, Resolve, Stage,
};

use crate::place::{Act, Place, answer, open_client, options, say};

fn post(url: &str) -> Request {
    Request::post(url, Grade::Foreign).unwrap().body("text/plain", "do it")
}

async fn check(script: Vec<Act>, cause: Cause, stage: Stage) {
    let shown = format!("{script:?}");
    let place = Place::always(script).await;
    let error = post_to_the_end(&place.url("/")).await.unwrap_err();
    assert_eq!((error.cause, error.stage), (cause, stage), "{shown}: {error}");
    assert_eq!(place.requests(), 1, "{shown}");
}

async fn post_to_the_end(url: &str) -> Result<(), NetError> {
    open_client().send(post(url)).await?.bytes().await.map(|_| ())
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_sent() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = post_to_the_end(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!((error.cause, error.stage), (Cause::NoConnection, Stage::NotSent));
    assert!(error.is_transient());
}

#[tokio::test]
async fn what_was_heard_is_in_doubt_until_it_is_answered() {
    let (broken, garbled) = (Cause::Broken, Cause::Garbled);
    let answered = Stage::Answered(200);
    check(vec![Act::Hear, Act::Reset], broken, Stage::Unanswered).await;
    check(vec![Act::Hear], broken, Stage::Unanswered).await;
    check(vec![Act::Hear, say("HTTP/1.1 200"), Act::Reset], broken, Stage::Unanswered).await;
    check(vec![Act::Hear, say("SSH-2.0-OpenSSH\r\n\r\n")], garbled, Stage::Unanswered).await;
    let part = say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart");
    check(vec![Act::Hear, part.clone(), Act::Reset], broken, answered).await;
    check(vec![Act::Hear, part], broken, answered).await;
}

#[tokio::test]
async fn a_name_that_cannot_be_found_leaves_nothing_sent() {
    struct Nobody(Option<Duration>);
    impl Resolve for Nobody {
        fn resolve(&self, _: String, _: u16) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
            Box::pin(async move {
                match self.0 {
                    Some(time) => tokio::time::sleep(time).await,
                    None => return Ok(Vec::new()),
                }
                Err(io::ErrorKind::NotFound.into())
            })
        }
    }
    let table = [
        (None, Cause::NoAddress),
        (Some(Duration::ZERO), Cause::NoAddress),
        (Some(Duration::from_secs(60)), Cause::TooSlow),
    ];
    for (time, cause) in table {
        let options = NetOptions { connect_timeout_ms: 200, ..options() };
        let client = Client::with_resolver(options, Arc::new(Nobody(time))).unwrap();
        let error = client.send(post("http://a.test/")).await.unwrap_err();
        assert_eq!((error.cause, error.stage), (cause, Stage::NotSent), "{time:?}");
    }
}

#[tokio::test]
async fn the_limit_of_the_whole_bounds_connecting_as_well() {
    struct Never;
    impl Resolve for Never {
        fn resolve(&self, _: String, _: u16) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let client = Client::with_resolver(options(), Arc::new(Never)).unwrap();
    let limits = Limits { total_ms: 100, ..Limits::default() };
    let began = std::time::Instant::now();
    let error = client.send(post("http://a.test/").limits(limits)).await.unwrap_err();
    assert_eq!((error.cause, error.stage), (Cause::TooSlow, Stage::NotSent));
    assert!(began.elapsed() < Duration::from_secs(2));
}

/// A time limit runs out just when a request is given to a connection that waits for it. What is
/// called unsent then was not heard, and is not heard later.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_called_unsent_is_never_heard() {
    let place =
        Place::always(vec![Act::Hear, answer("a"), Act::Hear, answer("b"), Act::Hear, answer("c")])
            .await;
    let client = open_client();
    let (mut unsent, mut sent) = (Vec::new(), 0);
    for round in 0..4_000_u32 {
        let path = format!("/round-{round}-");
        let limits = Limits { total_ms: u64::from(round % 2) * 5_000, ..Limits::default() };
        match client.send(post(&place.url(&path)).limits(limits)).await {
            Ok(mut response) => {
                sent += 1;
                let _late = response.bytes().await;
            }
            Err(error) if error.is_unsent() => unsent.push(path),
            Err(_) => sent += 1,
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let heard = place.heard().concat();
    let lied: Vec<_> = unsent.iter().filter(|path| heard.contains(path.as_str())).collect();
    assert!(lied.is_empty(), "{lied:?}");
    assert!(!unsent.is_empty() && sent > 0, "{} {sent}", unsent.len());
}

#[tokio::test]
async fn a_body_that_is_broken_off_is_no_shorter_body() {
    let place = Place::always(vec![Act::Hear, answer("fine")]).await;
    let (sender, body) = Body::streamed();
    let request = Request::post(&place.url("/"), Grade::Foreign).unwrap();
    let request = request.body("text/plain", body);
    let sending = tokio::spawn(async move { open_client().send(request).await });
    assert!(sender.send("half".into()).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(sender);
    let error = sending.await.unwrap().unwrap_err();
    assert_eq!(error.stage, Stage::Unanswered, "{error}");
    let heard = place.heard().concat();
    assert!(heard.contains("half") && !heard.contains("\r\n0\r\n"), "{heard}");
}
