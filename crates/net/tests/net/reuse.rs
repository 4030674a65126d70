//! Connections are used again, and only what was surely not sent is sent again.

use std::time::Duration;

use impasto_net::{Client, Grade, NetOptions, Request, Stage};

use crate::place::{Act, Place, answer, client, open_client, options};

fn get(place: &Place) -> Request {
    Request::get(&place.url("/"), Grade::Foreign).unwrap()
}

fn post(place: &Place) -> Request {
    Request::post(&place.url("/"), Grade::Foreign).unwrap().body("text/plain", "do it")
}

async fn read(client: &Client, request: Request) -> String {
    let bytes = client.send(request).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn twice() -> Vec<Act> {
    vec![Act::Hear, answer("one"), Act::Hear, answer("two")]
}

#[tokio::test]
async fn a_connection_is_used_again_when_its_answer_was_read() {
    let place = Place::always(twice()).await;
    let client = open_client();
    assert_eq!(read(&client, get(&place)).await, "one");
    assert_eq!(read(&client, post(&place)).await, "two");
    assert_eq!(place.connections(), 1);
}

#[tokio::test]
async fn a_connection_with_an_answer_that_nobody_read_is_not() {
    let place = Place::always(twice()).await;
    let client = open_client();
    drop(client.send(get(&place)).await.unwrap());
    assert_eq!(read(&client, get(&place)).await, "one");
    assert_eq!(place.connections(), 2);
}

#[tokio::test]
async fn nor_is_one_on_which_more_came_than_was_told() {
    let more = Act::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\noneHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil".to_vec());
    let place = Place::new(vec![vec![Act::Hear, more, Act::Hear], twice()]).await;
    let client = open_client();
    assert_eq!(read(&client, get(&place)).await, "one");
    assert_eq!(read(&client, get(&place)).await, "one");
    assert_eq!(place.connections(), 2);
}

#[tokio::test]
async fn one_that_was_closed_meanwhile_costs_nothing() {
    let place = Place::new(vec![vec![Act::Hear, answer("one")], twice()]).await;
    let client = open_client();
    assert_eq!(read(&client, get(&place)).await, "one");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(read(&client, post(&place)).await, "one");
    assert_eq!((place.connections(), place.requests()), (2, 2));
}

#[tokio::test]
async fn what_was_heard_on_one_connection_is_not_said_on_another() {
    for end in [vec![Act::Reset], vec![]] {
        let heard = [vec![Act::Hear, answer("one"), Act::Hear], end].concat();
        let place = Place::new(vec![heard, twice()]).await;
        let client = open_client();
        assert_eq!(read(&client, get(&place)).await, "one");
        let error = client.send(post(&place)).await.unwrap_err();
        assert_eq!(error.stage, Stage::Unanswered);
        assert_eq!((place.connections(), place.requests()), (1, 2));
    }
}

#[tokio::test]
async fn what_must_not_be_lost_takes_no_connection_that_may_be_closing() {
    let place = Place::always(twice()).await;
    let options = NetOptions { idle_connection_for_post_ms: 20, ..options() };
    let client = client(options, &["127.0.0.1"]);
    assert_eq!(read(&client, get(&place)).await, "one");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(read(&client, post(&place)).await, "one");
    assert_eq!(place.connections(), 2);
    assert_eq!(read(&client, get(&place)).await, "two");
    assert_eq!(place.connections(), 2);
}

#[tokio::test]
async fn only_so_many_are_kept() {
    let options = NetOptions { idle_connections_max: 1, ..options() };
    let client = client(options, &["127.0.0.1"]);
    let (first, second) = (Place::always(twice()).await, Place::always(twice()).await);
    assert_eq!(read(&client, get(&first)).await, "one");
    assert_eq!(read(&client, get(&second)).await, "one");
    assert_eq!(read(&client, get(&first)).await, "two");
    assert_eq!(read(&client, get(&second)).await, "one");
    assert_eq!((first.connections(), second.connections()), (1, 2));
}

#[tokio::test]
async fn what_was_redirected_and_forgotten_is_closed() {
    let gone =
        Act::Say(b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 9\r\n\r\n".to_vec());
    let place = Place::new(vec![vec![Act::Hear, gone, Act::Hear], twice()]).await;
    assert_eq!(read(&open_client(), get(&place)).await, "one");
    assert_eq!(place.connections(), 2);
}
