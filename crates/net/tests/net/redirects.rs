//! Redirects are followed through the guard, without what was meant for one place alone.

use impasto_net::{Cause, Grade, NetError, NetOptions, Request, Response, Stage};

use crate::place::{Act, Place, answer, client, open_client, options, say};

fn to(status: u16, target: &str) -> Act {
    say(&format!("HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"))
}

async fn redirecting(target: &str) -> Place {
    Place::always(vec![Act::Hear, to(302, target)]).await
}

async fn get(url: &str) -> Result<Response, NetError> {
    open_client().send(Request::get(url, Grade::Foreign).unwrap()).await
}

#[tokio::test]
async fn a_redirect_inside_is_refused() {
    let inside = Place::at("127.0.0.2", vec![vec![Act::Hear, answer("inside")]]).await;
    for host in ["127.0.0.2", "0x7f.2", "2130706434", "[::ffff:127.0.0.2]"] {
        let place = redirecting(&format!("http://{host}:{}/", inside.port())).await;
        let error = get(&place.url("/")).await.unwrap_err();
        assert_eq!(error.cause, Cause::Refused, "{host}: {error}");
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn what_an_answer_names_is_foreign_also_if_the_operator_trusts_who_answers() {
    let inside = Place::always(vec![Act::Hear, answer("inside")]).await;
    let place = redirecting(&format!("http://other.lan:{}/", inside.port())).await;
    let trusted_hosts = vec!["box.lan".into(), "other.lan".into()];
    let client = client(NetOptions { trusted_hosts, ..NetOptions::default() }, &["127.0.0.1"]);
    let url = format!("http://box.lan:{}/", place.port());
    let error = client.send(Request::get(&url, Grade::Trusted).unwrap()).await.unwrap_err();
    assert_eq!(error.cause, Cause::Refused);
    assert_eq!((place.connections(), inside.connections()), (1, 0));
}

#[tokio::test]
async fn only_so_many_redirects_are_followed() {
    let place = redirecting("/again").await;
    let error = get(&place.url("/")).await.unwrap_err();
    assert_eq!((error.cause, error.stage), (Cause::Redirects, Stage::Answered(302)));
    assert_eq!(place.requests(), 1 + options().redirects_max as usize);
}

#[tokio::test]
async fn a_redirect_to_what_is_not_spoken_is_an_error() {
    for target in ["file:///etc/passwd", "ftp://a.test/", "http://", "http://u:hunter2@a.test/"] {
        let place = redirecting(target).await;
        let error = get(&place.url("/")).await.unwrap_err();
        assert_eq!(error.cause, Cause::Redirects, "{target}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

async fn headers_after(same: bool) -> String {
    let end = Place::always(vec![Act::Hear, answer("end")]).await;
    let first = match same {
        true => {
            Place::new(vec![vec![Act::Hear, to(307, "/end")], vec![Act::Hear, answer("end")]]).await
        }
        false => redirecting(&end.url("/end")).await,
    };
    let request = Request::get(&first.url("/"), Grade::Foreign).unwrap();
    let request = request.header("authorization", "Bearer hunter2").unwrap();
    let request = request.header("x-api-key", "hunter2").unwrap();
    let request = request.header("cookie", "a=hunter2").unwrap();
    let mut response = open_client().send(request).await.unwrap();
    assert_eq!(response.bytes().await.unwrap(), "end");
    let heard = if same { first.heard() } else { end.heard() };
    heard.into_iter().next_back().unwrap()
}

#[tokio::test]
async fn a_credential_stays_where_it_was_meant_to_go() {
    let same = headers_after(true).await;
    assert!(same.contains("Bearer hunter2") && same.contains("x-api-key"), "{same}");
    let other = headers_after(false).await;
    assert!(other.contains("GET /end") && !other.contains("hunter2"), "{other}");
}

#[tokio::test]
async fn a_request_that_does_something_is_not_sent_elsewhere() {
    for status in [301, 302, 303, 307, 308] {
        let end = Place::always(vec![Act::Hear, answer("end")]).await;
        let place = Place::always(vec![Act::Hear, to(status, &end.url("/"))]).await;
        let request = Request::post(&place.url("/"), Grade::Foreign).unwrap();
        let response = open_client().send(request.body("text/plain", "x")).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(end.connections(), 0);
    }
}

#[tokio::test]
async fn what_is_no_redirect_is_the_answer() {
    let table = [
        "HTTP/1.1 304 Not Modified\r\nlocation: /x\r\n\r\n",
        "HTTP/1.1 300 Choices\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 201 Created\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n",
    ];
    for text in table {
        let place = Place::always(vec![Act::Hear, say(text)]).await;
        let status = get(&place.url("/")).await.unwrap().status();
        assert_eq!(status.to_string(), text[9..12], "{text}");
        assert_eq!(place.requests(), 1);
    }
}
