//! Encryption is agreed on with those whose authority is believed, and is not given up again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use impasto_net::{Cause, Client, Grade, Message, NetError, NetOptions, Request, Stage};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::place::{Act, Names, Place, answer, options, say};

/// An authority of our own, which vouches for names.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut terms = CertificateParams::new(Vec::new()).unwrap();
        terms.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = terms.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(terms, key), pem }
    }

    fn vouch_for(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let terms = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = terms.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let terms = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(terms))
    }

    fn client(&self, folder: &Path) -> Client {
        let roots_file = folder.join("roots.pem");
        std::fs::write(&roots_file, &self.pem).unwrap();
        let options = NetOptions { roots_file: Some(roots_file), ..options() };
        Client::with_resolver(options, Names::new(&[&["127.0.0.1"]])).unwrap()
    }
}

/// Answers every encrypted request with these words.
async fn place(acceptor: TlsAcceptor, words: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(stream.read_u8().await.unwrap_or(b'\n'));
            }
            let _gone = stream.write_all(words.as_bytes()).await;
            let _gone = stream.shutdown().await;
        }
    });
    port
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

async fn get(client: &Client, url: &str) -> Result<String, NetError> {
    let request = Request::get(url, Grade::Foreign).unwrap();
    let bytes = client.send(request).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn only_who_is_vouched_for_by_a_believed_authority_is_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(), Authority::new());
    let client = ours.client(folder.path());
    let good = place(ours.vouch_for("good.test"), FINE.to_owned()).await;
    assert_eq!(get(&client, &format!("https://good.test:{good}/")).await.unwrap(), "fine");
    assert_eq!(get(&client, &format!("https://GOOD.test.:{good}/")).await.unwrap(), "fine");
    let by_address = place(ours.vouch_for("127.0.0.1"), FINE.to_owned()).await;
    assert_eq!(get(&client, &format!("https://127.0.0.1:{by_address}/")).await.unwrap(), "fine");
    let forged = place(other.vouch_for("good.test"), FINE.to_owned()).await;
    let plain = Place::always(vec![say("HTTP/1.1 400 Bad Request\r\n\r\n")]).await;
    let table = [
        (format!("https://other.test:{good}/"), Cause::Encryption),
        (format!("https://127.0.0.1:{good}/"), Cause::Encryption),
        (format!("https://good.test:{forged}/"), Cause::Encryption),
        (format!("https://good.test:{}/", plain.port()), Cause::Encryption),
    ];
    for (url, cause) in table {
        let error = get(&client, &url).await.unwrap_err();
        assert_eq!((error.cause, error.stage), (cause, Stage::NotSent), "{url}: {error}");
        assert!(!error.is_transient(), "{url}");
    }
}

#[tokio::test]
async fn who_goes_away_before_encryption_is_agreed_on_has_been_told_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let client = Authority::new().client(folder.path());
    for script in [vec![Act::Reset], vec![], vec![Act::Wait(Duration::from_millis(50))]] {
        let place = Place::always(script).await;
        let error = get(&client, &format!("https://a.test:{}/", place.port())).await.unwrap_err();
        assert_eq!((error.cause, error.stage), (Cause::NoConnection, Stage::NotSent), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_does_not_give_up_encryption() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    let client = ours.client(folder.path());
    let plain = Place::always(vec![Act::Hear, answer("plain")]).await;
    let to =
        |url: &str| format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n");
    let down = place(ours.vouch_for("a.test"), to(&plain.url("/"))).await;
    let error = get(&client, &format!("https://a.test:{down}/")).await.unwrap_err();
    assert_eq!((error.cause, error.stage), (Cause::Redirects, Stage::Answered(302)), "{error}");
    assert_eq!(plain.connections(), 0);
    // From plain to encrypted is fine.
    let end = place(ours.vouch_for("b.test"), FINE.to_owned()).await;
    let up = Place::always(vec![Act::Hear, say(&to(&format!("https://b.test:{end}/")))]).await;
    assert_eq!(get(&client, &up.url("/")).await.unwrap(), "fine");
}

#[tokio::test]
async fn a_websocket_is_encrypted_too() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    let acceptor = ours.vouch_for("a.test");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let frame = futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap();
        futures_util::SinkExt::send(&mut socket, frame).await.unwrap();
    });
    let request = Request::get(&format!("wss://a.test:{port}/"), Grade::Foreign).unwrap();
    let mut socket = ours.client(folder.path()).websocket(request).await.unwrap();
    socket.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap(), Some(Message::Text("hello".into())));
}

#[tokio::test]
async fn without_authorities_nobody_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    for content in [None, Some(""), Some("no certificate")] {
        let roots_file = folder.path().join("none.pem");
        if let Some(content) = content {
            std::fs::write(&roots_file, content).unwrap();
        }
        let place = Place::always(vec![Act::Hear]).await;
        let options = NetOptions { roots_file: Some(roots_file), ..options() };
        let client = Client::with_resolver(options, Names::new(&[&["127.0.0.1"]])).unwrap();
        let error = get(&client, &format!("https://a.test:{}/", place.port())).await.unwrap_err();
        assert_eq!((error.cause, error.stage), (Cause::Encryption, Stage::NotSent), "{error}");
    }
}
