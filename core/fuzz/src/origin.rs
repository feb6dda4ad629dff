//! Origins and URLs: the text of one is the same one, relative references stay where they are, and another parser sees
//! the same origin in what goes out. Addresses: an IPv4 address has one class in all its spellings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regauth::origin::{Class, Origin, Url};

/// A URL, and after [`crate::FIELD`] a reference; the first 16 bytes are an address too.
pub fn run(data: &[u8]) {
    if let Some(octets) = data.first_chunk::<16>() {
        address(*octets);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (url, reference) = text.split_once(char::from(crate::FIELD)).unwrap_or((text, ""));
    let Ok(url) = Url::parse(url) else {
        assert!(Origin::parse(url).is_err());
        return;
    };
    check(&url);
    if let Ok(joined) = url.join(reference) {
        check(&joined);
        if !reference.contains(':') && !reference.starts_with("//") {
            assert_eq!(joined.origin(), url.origin(), "{reference:?} has no authority");
        }
    }
}

fn check(url: &Url) {
    let text = url.to_string();
    let origin = url.origin();
    // The normal form of an IPv6 address may be longer than what was written.
    if text.len() > regauth::origin::MAX_URL {
        return;
    }
    assert_eq!(Url::parse(&text).as_ref(), Ok(url));
    assert_eq!(Origin::parse(&origin.to_string()).as_ref(), Ok(origin));
    assert_eq!(Origin::parse(&format!("{}://{}", origin.scheme().as_str(), origin.authority())).as_ref(), Ok(origin));
    assert!(url.target().starts_with('/') && !url.rest().contains('#'));
    assert!(origin.host().bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    assert!(!url.redacted().contains('?') || url.rest().contains('?'));
    assert_eq!(origin.literal().map(Class::of).is_some(), origin.literal().is_some());
    if let Ok(other) = url::Url::parse(&text) {
        let port = other.port_or_known_default();
        let came = (other.scheme(), other.host_str(), port, other.username(), other.password());
        assert_eq!(came, (origin.scheme().as_str(), Some(origin.host()), Some(origin.port()), "", None), "{text}");
    }
}

fn address(octets: [u8; 16]) {
    let v6 = Ipv6Addr::from(octets);
    let class = Class::of(IpAddr::V6(v6));
    assert!(!v6.is_multicast() || class == Class::Never);
    let [a, b, c, d, ..] = octets;
    let v4 = Ipv4Addr::new(a, b, c, d);
    let of = Class::of(IpAddr::V4(v4));
    let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    for same in [
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
    ] {
        assert_eq!(Class::of(IpAddr::V6(same)), of, "{same} is {v4}");
    }
    // A literal says what its address is.
    let named = Origin::parse(&format!("https://[{v6}]")).expect("an address");
    assert_eq!(named.class(), Some(class), "{named}");
}
