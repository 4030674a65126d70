//! Which addresses a request may reach.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::{AddressClass, classify};
use crate::request::Grade;
use crate::{Cause, NetError, NetOptions};

/// A block of addresses, written `10.0.0.0/8`; an address alone is a block of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    fn one(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether the block has this address. A mapped IPv4 address is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is not a network; write one as 10.0.0.0/8 or fd00::/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let whole = Self::one(address.parse().map_err(|_| bad())?);
        match prefix.map(str::parse) {
            None => Ok(whole),
            Some(Ok(prefix)) if prefix <= whole.prefix => Ok(Self { prefix, ..whole }),
            Some(_) => Err(bad()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The addresses among `found` that a request of this grade to `host:port` may reach.
pub(crate) fn admit(
    options: &NetOptions,
    grade: Grade,
    (host, port): (&str, u16),
    found: &[IpAddr],
) -> Result<Vec<IpAddr>, NetError> {
    let (hosts, networks, list) = match grade {
        Grade::Trusted => (&options.trusted_hosts, &options.trusted_networks, "trusted"),
        Grade::Foreign => (&options.foreign_hosts, &options.foreign_networks, "foreign"),
    };
    let host = host.trim_end_matches('.');
    let named = hosts.iter().any(|entry| is_named(entry, host, port));
    let admitted = |address: &IpAddr| {
        let listed = || networks.iter().any(|network| network.contains(*address));
        match classify(*address) {
            AddressClass::Public => true,
            AddressClass::Loopback | AddressClass::Private | AddressClass::Shared => {
                named || listed()
            }
            // Who opens a whole network seldom means the credentials of the machine.
            AddressClass::Metadata => networks.contains(&Network::one((*address).to_canonical())),
            AddressClass::LinkLocal | AddressClass::Multicast | AddressClass::Reserved => listed(),
        }
    };
    let addresses: Vec<IpAddr> = found.iter().copied().filter(admitted).collect();
    match (addresses.is_empty(), found.first()) {
        (false, _) => Ok(addresses),
        (true, None) => Err(NetError::unsent(Cause::NoAddress, format!("'{host}' has no address"))),
        (true, Some(first)) => {
            // Which address a name has inside is nobody's business outside.
            let class = classify(*first).as_str();
            let message = format!("'{host}' may not be reached: its address is {class}");
            let hint = format!(
                "an operator can allow it with `{list}_hosts` or `{list}_networks` in [network] of \
                 the settings"
            );
            Err(NetError::unsent(Cause::Refused, message).hint(hint))
        }
    }
}

/// Whether an entry of a list of hosts, `name` or `name:port`, names this place.
fn is_named(entry: &str, host: &str, port: u16) -> bool {
    let bare =
        |text: &str| text.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let wanted = bare(host);
    if bare(entry) == wanted {
        return true;
    }
    let parts =
        entry.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']'));
    parts.is_some_and(|(name, digits)| bare(name) == wanted && digits.parse() == Ok(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        options: &NetOptions,
        grade: Grade,
        host: &str,
        addresses: &[&str],
        admitted: &[&str],
    ) {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let found: Vec<IpAddr> = parse(addresses);
        let wanted: Vec<IpAddr> = parse(admitted);
        let (host, port) = host.rsplit_once(':').unwrap();
        let given = admit(options, grade, (host, port.parse().unwrap()), &found);
        match given {
            Ok(given) => assert_eq!(given, wanted, "{host}"),
            Err(error) => {
                assert!(wanted.is_empty(), "{host}: {error}");
                assert!(error.is_unsent(), "{host}");
            }
        }
    }

    #[test]
    fn only_what_is_public_or_allowed_is_reached() {
        let closed = NetOptions::default();
        check(&closed, Grade::Trusted, "a.test:80", &["127.0.0.1"], &[]);
        check(&closed, Grade::Foreign, "a.test:80", &["127.0.0.1", "8.8.8.8"], &["8.8.8.8"]);
        check(&closed, Grade::Foreign, "a.test:80", &[], &[]);
        let open = NetOptions {
            trusted_hosts: vec!["LocalHost:8188".into(), "box.lan".into(), "[::1]:90".into()],
            foreign_networks: vec!["10.1.0.0/16".parse().unwrap()],
            ..NetOptions::default()
        };
        check(
            &open,
            Grade::Trusted,
            "localhost:8188",
            &["127.0.0.1", "::1"],
            &["127.0.0.1", "::1"],
        );
        check(&open, Grade::Trusted, "localhost.:8188", &["127.0.0.1"], &["127.0.0.1"]);
        check(&open, Grade::Trusted, "localhost:8189", &["127.0.0.1"], &[]);
        check(&open, Grade::Trusted, "::1:90", &["::1"], &["::1"]);
        check(&open, Grade::Trusted, "box.lan:1", &["192.168.0.9"], &["192.168.0.9"]);
        check(&open, Grade::Trusted, "box.lan:1", &["169.254.169.254"], &[]);
        check(&open, Grade::Trusted, "box.lan.evil.test:1", &["192.168.0.9"], &[]);
        check(&open, Grade::Foreign, "localhost:8188", &["127.0.0.1"], &[]);
        check(&open, Grade::Foreign, "x:1", &["10.1.2.3", "10.2.0.1"], &["10.1.2.3"]);
        check(&open, Grade::Foreign, "x:1", &["::ffff:10.1.2.3"], &["::ffff:10.1.2.3"]);
        check(&open, Grade::Trusted, "x:1", &["10.1.2.3"], &[]);
    }

    #[test]
    fn credentials_of_a_machine_are_reached_only_by_naming_their_address() {
        let (v4, v6) = ("169.254.169.254", "fd00:ec2::254");
        let with = |networks: &[&str]| NetOptions {
            foreign_hosts: vec![v4.into(), v6.into(), "x".into()],
            foreign_networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            ..NetOptions::default()
        };
        let wide = with(&["0.0.0.0/0", "::/0"]);
        check(&wide, Grade::Foreign, "x:80", &[v4, v6, "::ffff:169.254.169.254"], &[]);
        check(&wide, Grade::Foreign, "x:80", &["64:ff9b::a9fe:a9fe"], &[]);
        check(
            &wide,
            Grade::Foreign,
            "x:80",
            &["169.254.1.1", "fd00::1"],
            &["169.254.1.1", "fd00::1"],
        );
        let named = with(&[v4, v6]);
        check(&named, Grade::Foreign, "x:80", &[v4, v6], &[v4, v6]);
        check(&named, Grade::Trusted, "x:80", &[v4, v6], &[]);
    }

    #[test]
    fn networks_read_back() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("9.9.9.9".parse().unwrap()));
        for text in ["10.0.0.0/33", "::/129", "10.0.0/8", "", "10.0.0.0/", "a/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
