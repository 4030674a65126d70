//! What holds of whatever is given as a URL, an address or a network: nothing falls over, no credential
//! is shown, and an address that is called public is nothing else by the standard library's reckoning,
//! which knows other ways. The fuzz target asks this file too.

use std::net::{IpAddr, SocketAddr};

use impasto_net::{AddressClass, Grade, Network, Request, classify};

/// Checks these bytes as an address and as text.
pub(crate) fn check(data: &[u8]) {
    if let Ok(bytes) = <[u8; 16]>::try_from(data) {
        check_address(IpAddr::from(bytes));
        check_address(IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]));
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
                address.into_iter().for_each(check_address);
            }
            Err(error) => {
                assert!(text.contains("hunter2") || !error.to_string().contains("hunter2"));
            }
        }
    }
}

/// An address that is called public is not inside.
pub(crate) fn check_address(address: IpAddr) {
    let is_public = classify(address) == AddressClass::Public;
    assert!(!is_inside(address) || !is_public, "{address}");
}

/// Whether the standard library takes an address for an inner one.
pub(crate) fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
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
    }
}
