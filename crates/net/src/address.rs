//! What sort of address an address is.
//!
//! Only what is public without doubt is [`AddressClass::Public`]: an IPv6 address that carries an
//! IPv4 one is what the IPv4 one is, and whatever is set aside for a special purpose is reserved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What sort of address an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// Anybody's, on the open network.
    Public,
    /// This machine.
    Loopback,
    /// A private network.
    Private,
    /// Shared by the customers of one carrier.
    Shared,
    /// The same cable.
    LinkLocal,
    /// Where a cloud tells its machines their credentials.
    Metadata,
    /// Many at once.
    Multicast,
    /// Set aside: documentation, tests, tunnels, the future, nothing at all.
    Reserved,
}

impl AddressClass {
    /// The class in a word, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared by a carrier",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        }
    }
}

/// Addresses at which clouds serve metadata and credentials.
const METADATA_V4: [Ipv4Addr; 7] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// The class of an address.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => {
            let class = stands_for(v6).map_or_else(|| classify_v6(v6), classify_v4);
            match (class, tunnel_end(v6)) {
                (AddressClass::Public, Some(v4)) => classify_v4(v4),
                (class, _) => class,
            }
        }
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.octets() {
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [192, 168, ..] => AddressClass::Private,
        [172, second, ..] if second & 0xf0 == 16 => AddressClass::Private,
        [100, second, ..] if second & 0xc0 == 64 => AddressClass::Shared,
        [169, 254, ..] => AddressClass::LinkLocal,
        [224..=239, ..] => AddressClass::Multicast,
        [0, ..] | [240..=255, ..] => AddressClass::Reserved,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => AddressClass::Reserved,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn v4_of(high: u16, low: u16) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

/// The IPv4 address that an IPv6 address stands for by its prefix, in any of the ways that were ever
/// agreed on.
fn stands_for(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // Unspecified and loopback are IPv6's own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible, mapped, translated.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => v4_of(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4_of(high, low),
        // NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4_of(high, low),
        // 6to4.
        [0x2002, high, low, ..] => v4_of(high, low),
        _ => None,
    }
}

/// The IPv4 address of a tunnel's end, which ISATAP puts behind a fixed mark, whatever the prefix.
fn tunnel_end(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => v4_of(high, low),
        _ => None,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if METADATA_V6.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [first, ..] if first & 0xfe00 == 0xfc00 => AddressClass::Private,
        [first, ..] if first & 0xffc0 == 0xfe80 => AddressClass::LinkLocal,
        // Site-local, long given up and still routed inside some houses.
        [first, ..] if first & 0xffc0 == 0xfec0 => AddressClass::Private,
        [first, ..] if first & 0xff00 == 0xff00 => AddressClass::Multicast,
        // Protocol assignments (with Teredo, whose IPv4 address is not the one dialled).
        [0x2001, second, ..] if second < 0x200 => AddressClass::Reserved,
        [0x2001, 0xdb8, ..] => AddressClass::Reserved,
        [0x3fff, second, ..] if second < 0x1000 => AddressClass::Reserved,
        [first, ..] if first & 0xe000 == 0x2000 => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_class() {
        use AddressClass::{
            LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Shared,
        };
        // The two of Teredo have 192.0.2.45 and 127.0.0.1, inverted, as the client.
        let teredo = "2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:0:4136:e378:8000:63bf:80ff:fffe";
        let table = [
            (
                Public,
                "8.8.8.8 1.1.1.1 172.15.0.1 172.32.0.1 100.63.255.255 100.128.0.0 223.255.255.255 \
                 2606:4700::1111 2a00:1450:4001::200e 2606:4700::5efe:8.8.8.8 64:ff9b::8.8.8.8 \
                 2002:808:808::1 2001:200::1",
            ),
            (
                Loopback,
                "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 ::127.0.0.1 ::ffff:0:127.0.0.1 \
                 64:ff9b::127.0.0.1 2002:7f00:1:: 2606:4700::5efe:127.0.0.1 \
                 2002:808:808::5efe:127.0.0.1",
            ),
            (
                Private,
                "2606:4700::200:5efe:10.0.0.1 fd12:3456::5efe:8.8.8.8 10.0.0.1 172.16.0.1 \
                 172.31.255.255 192.168.1.1 fc00::1 fdff::1 fec0::1 ::ffff:10.1.2.3",
            ),
            (LinkLocal, "fe80::5efe:8.8.8.8 169.254.1.1 fe80::1 febf::1"),
            (
                Reserved,
                "2001:db8::5efe:8.8.8.8 0.0.0.0 0.1.2.3 :: 240.0.0.1 255.255.255.255 192.0.0.1 \
                 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 2001::1 \
                 2001:db8::1 2001:10::1 3fff::1 100::1 64:ff9b:1::1 5f00::1",
            ),
            (Shared, "100.64.0.1 100.127.255.255"),
            (
                Metadata,
                "169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.23 fd00:ec2::23 \
                 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42 100.100.100.200 192.0.0.192 \
                 168.63.129.16 fd00:ec2::254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe \
                 2002:a9fe:a9fe::1",
            ),
            (Multicast, "224.0.0.1 239.255.255.250 ff02::1"),
            (Reserved, teredo),
        ];
        for (class, addresses) in table {
            for text in addresses.split_whitespace() {
                assert_eq!(classify(text.parse().unwrap()), class, "{text}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_carries_an_address_is_what_it_carries(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            let class = classify(IpAddr::V4(inner));
            proptest::prop_assume!(bits > 1);
            let [a, b, c, d] = inner.octets();
            for outer in [
                inner.to_ipv6_mapped(),
                inner.to_ipv6_compatible(),
                format!("64:ff9b::{inner}").parse().unwrap(),
                format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1").parse().unwrap(),
            ] {
                proptest::prop_assert_eq!(classify(IpAddr::V6(outer)), class, "{}", outer);
            }
        }
    }
}
