//! Whatever text is given as a URL: nothing falls over, no credential is shown, and an address that
//! is called public is nothing else by the standard library's reckoning, which knows other ways.
//!
//! `cargo +nightly fuzz run guard`

#![no_main]

use std::net::{IpAddr, SocketAddr};

use impasto_net::{AddressClass, Grade, Network, Request, classify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(bytes) = <[u8; 16]>::try_from(data) {
        check(IpAddr::from(bytes));
        check(IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
    for url in [text.to_owned(), format!("http://{text}/"), format!("https://a:hunter2@{text}/")] {
        match Request::get(&url, Grade::Foreign) {
            Ok(request) => {
                let place = request.place();
                let address = place.parse::<SocketAddr>().map(|address| address.ip());
                let address = address.or_else(|_| place.trim_matches(['[', ']']).parse());
                let address: Option<IpAddr> = address.ok();
                assert_eq!(request.address_class(), address.map(classify), "{url}");
                address.into_iter().for_each(check);
            }
            Err(error) => {
                assert!(text.contains("hunter2") || !error.to_string().contains("hunter2"))
            }
        }
    }
});

fn check(address: IpAddr) {
    let is_inside = match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.is_unspecified()
        }
    };
    assert!(!is_inside || classify(address) != AddressClass::Public, "{address}");
}
