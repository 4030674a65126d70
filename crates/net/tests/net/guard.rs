//! Nothing inside is reached, however it is named.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use impasto_net::{AddressClass, Cause, Client, Grade, NetOptions, Request, SystemResolver};
use proptest::prelude::*;

use crate::any::{check, check_address, is_inside};
use crate::place::{Act, Names, Place, answer, client, options, say};

async fn refused(client: &Client, url: &str, grade: Grade) {
    let request = Request::get(url, grade).unwrap();
    let error = client.send(request).await.map(|_| ()).unwrap_err();
    assert_eq!(error.cause, Cause::Refused, "{url}: {error}");
    assert!(error.is_unsent(), "{url}");
}

#[tokio::test]
async fn every_spelling_of_an_inner_address_is_refused() {
    let place = Place::always(vec![Act::Hear, answer("inside")]).await;
    let client = Client::new(NetOptions::default()).unwrap();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0177.0.0.0x1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７。０。０。１",
        "①②⑦.0.0.1",
        "localhost",
        "ｌocalhost",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "0",
        "[::]",
        "127.255.255.254",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
    ];
    for host in hosts {
        for grade in [Grade::Foreign, Grade::Trusted] {
            refused(&client, &format!("http://{host}:{}/", place.port()), grade).await;
            refused(&client, &format!("https://{host}:{}/", place.port()), grade).await;
        }
    }
    assert_eq!(place.connections(), 0);
}

#[tokio::test]
async fn a_websocket_goes_through_the_same_guard() {
    let client = Client::new(NetOptions::default()).unwrap();
    for url in ["ws://127.0.0.1:9/", "wss://0x7f.1:9/", "ws://localhost:9/"] {
        let request = Request::get(url, Grade::Foreign).unwrap();
        let error = client.websocket(request).await.map(|_| ()).unwrap_err();
        assert_eq!((error.cause, error.is_unsent()), (Cause::Refused, true), "{url}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_caught_where_it_is_dialled() {
    let outside = Place::always(vec![Act::Hear, answer("outside")]).await;
    let inside = Place::at("127.0.0.2", vec![vec![Act::Hear, answer("inside")]]).await;
    let names = Names::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = Client::with_resolver(options(), Arc::clone(&names) as _).unwrap();
    let url = format!("http://rebind.test:{}/", outside.port());
    let request = Request::get(&url, Grade::Foreign).unwrap();
    let mut response = client.send(request).await.unwrap();
    assert_eq!(response.bytes().await.unwrap(), "outside");
    // One question for one connection: there is no check whose answer is asked for again.
    assert_eq!(names.asked(), ["rebind.test"]);
    refused(&client, &format!("http://rebind.test:{}/", inside.port()), Grade::Foreign).await;
    assert_eq!(names.asked().len(), 2);
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn of_a_name_with_addresses_inside_and_outside_only_the_outer_are_tried() {
    let outside = Place::always(vec![Act::Hear, answer("outside")]).await;
    let client = client(options(), &["127.0.0.2", "169.254.169.254", "::1", "127.0.0.1"]);
    let url = format!("http://both.test:{}/", outside.port());
    let request = Request::get(&url, Grade::Foreign).unwrap();
    assert_eq!(client.send(request).await.unwrap().bytes().await.unwrap(), "outside");
}

#[tokio::test]
async fn a_connection_that_one_grade_may_have_is_not_lent_to_the_other() {
    let place = Place::always(vec![Act::Hear, answer("a"), Act::Hear, answer("b")]).await;
    let trusting = NetOptions { trusted_hosts: vec!["box.lan".into()], ..NetOptions::default() };
    let client = client(trusting, &["127.0.0.1"]);
    let url = format!("http://box.lan:{}/", place.port());
    let request = Request::get(&url, Grade::Trusted).unwrap();
    assert_eq!(client.send(request).await.unwrap().bytes().await.unwrap(), "a");
    refused(&client, &url, Grade::Foreign).await;
}

#[tokio::test]
async fn a_refusal_does_not_say_where_a_name_leads_inside() {
    let client = client(NetOptions::default(), &["10.77.3.9"]);
    let request = Request::get("http://db.corp/?key=hunter2", Grade::Foreign).unwrap();
    let error = impasto_domain::Error::from(client.send(request).await.unwrap_err());
    let told = format!("{error} {error:?}");
    assert!(told.contains("'db.corp'") && told.contains("private"), "{told}");
    assert!(!told.contains("10.77") && !told.contains("hunter2"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is said to be an address, the machine's own resolver included, nothing of this
    /// machine is reached.
    #[test]
    fn no_text_reaches_this_machine(
        host in "(0x|0|[0-9]{1,3}|\\[::|[0-9a-f:]{1,6}|127|1|\\.|%2e|。|ffff:|\\]|localhost){1,7}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::always(vec![Act::Hear, answer("inside")]).await;
            let inner = NetOptions { connect_timeout_ms: 300, ..NetOptions::default() };
            let client = Client::with_resolver(inner, Arc::new(Local(SystemResolver))).unwrap();
            let url = format!("http://{host}:{}/", place.port());
            if let Ok(request) = Request::get(&url, Grade::Foreign)
                && request.address_class() != Some(AddressClass::Public)
            {
                let _refused = client.send(request).await;
            }
            assert_eq!(place.connections(), 0, "{url}");
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a place that may be asked names as the next one, nothing else of this machine is reached.
    #[test]
    fn no_redirect_reaches_this_machine(
        scheme in "https?|wss?|//",
        host in "(0x|0|[0-9]{1,3}|\\[::|[0-9a-f:]{1,6}|127|1|\\.|%2e|。|ffff:|\\]|localhost|box.lan@|@){1,7}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let inside = Place::always(vec![Act::Hear, answer("inside")]).await;
            let separator = if scheme == "//" { "" } else { "://" };
            let target = format!("{scheme}{separator}{host}:{}/", inside.port());
            let spoken = format!("http://{host}:{}/", inside.port());
            let class = Request::get(&spoken, Grade::Foreign).ok().and_then(|to| to.address_class());
            if class == Some(AddressClass::Public) || !host.is_ascii() {
                return;
            }
            let moved = format!("HTTP/1.1 302 Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
            let asked = Place::always(vec![Act::Hear, say(&moved)]).await;
            // Every name leads to this machine, and one of them may, at one port.
            let foreign_hosts = vec![format!("box.lan:{}", asked.port())];
            let options = NetOptions { foreign_hosts, connect_timeout_ms: 300, ..NetOptions::default() };
            let client = client(options, &["127.0.0.1"]);
            let url = format!("http://box.lan:{}/", asked.port());
            let _refused = client.send(Request::get(&url, Grade::Foreign).unwrap()).await;
            assert_eq!((asked.connections(), inside.connections()), (1, 0), "{target}");
        });
    }
}

proptest! {
    /// An address that is called public is nothing else by the standard library's reckoning.
    #[test]
    fn no_text_makes_an_inner_address_public(
        text in "(https?|wss?)://[0-9a-fA-FxX.:%@\\[\\]。．①-⑨０-９ⓐ-ⓕ]{0,40}/?.{0,10}",
    ) {
        if let Ok(request) = Request::get(&text, Grade::Foreign)
            && request.address_class() == Some(AddressClass::Public)
        {
            let place = request.place();
            let host = place.parse::<SocketAddr>().map(|address| address.ip());
            let host = host.or_else(|_| place.trim_matches(['[', ']']).parse()).unwrap();
            prop_assert!(!is_inside(host), "{} is {}", text, host);
        }
    }

    #[test]
    fn no_inner_address_is_public(bits: u128, first in 0_u128..0x1_0000, is_short: bool) {
        let wide = IpAddr::from((bits >> 16 | first << 112).to_be_bytes());
        let address = if is_short { IpAddr::from((bits as u32).to_be_bytes()) } else { wide };
        check_address(address);
    }

    /// What the fuzz target checks, of inputs that are generated here.
    #[test]
    fn nothing_falls_over_any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..24),
        text in "(https?:|wss?:|//|@|[a-z]{1,4}|[0-9.:xX/\\[\\]%。①②⑦]|::|hunter2|\\PC){0,12}",
    ) {
        check(&bytes);
        check(text.as_bytes());
    }
}

/// Asks the machine about what looks like an address, and nobody about names.
struct Local(SystemResolver);

impl impasto_net::Resolve for Local {
    fn resolve(
        &self,
        host: String,
        port: u16,
    ) -> impasto_net::BoxFuture<'_, std::io::Result<Vec<IpAddr>>> {
        let is_name =
            host != "localhost" && host.chars().any(|char| !"0123456789abcdefx.".contains(char));
        match is_name {
            true => Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) }),
            false => self.0.resolve(host, port),
        }
    }
}
