//! How local an address is, whatever form it is written in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far away an address is, from far to near; `Never` is not for any hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Reachable from the whole internet.
    Public,
    /// RFC 1918, RFC 6598 (100.64/10) and unique local (fc00::/7).
    Private,
    /// 127/8 and ::1.
    Loopback,
    /// Link-local, the clouds' metadata services, multicast, unspecified and reserved.
    Never,
}

/// The addresses of the metadata services of AWS, GCP, Azure, Oracle and Alibaba that are not link-local.
const METADATA_4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

impl Class {
    /// The class of an address; an IPv4 address inside an IPv6 one counts as itself.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => match embedded(v6) {
                // A translator for local use (RFC 8215) is in the network at hand.
                Some(v4) if is_local_nat64(v6) => Self::of_v4(v4).max(Self::Private),
                Some(v4) => Self::of_v4(v4),
                None => Self::of_v6(v6),
            },
        }
    }

    fn of_v4(v4: Ipv4Addr) -> Self {
        let [a, b, _, _] = v4.octets();
        if v4.is_link_local() || v4.is_multicast() || a == 0 || a >= 240 || METADATA_4.contains(&v4) {
            Self::Never
        } else if v4.is_loopback() {
            Self::Loopback
        } else if v4.is_private() || (a == 100 && (64..128).contains(&b)) {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(v6: Ipv6Addr) -> Self {
        let [first, ..] = v6.segments();
        if v6.is_unspecified() || v6.is_multicast() || first & 0xffc0 == 0xfe80 || METADATA_6.contains(&v6) {
            Self::Never
        } else if v6.is_loopback() {
            Self::Loopback
        } else if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0
        // site-local, RFC 3879
        {
            Self::Private
        } else {
            Self::Public
        }
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped and compatible (RFC 4291 section 2.5.5), NAT64 (RFC 6052) and
/// 6to4 (RFC 3056).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        // Where it stands depends on the length of the prefix (RFC 6052 section 2.2): 48 bits, or 96.
        [0x64, 0xff9b, 1, high, middle, low, 0, 0] => Some(from(high, middle << 8 | low >> 8)),
        [0x64, 0xff9b, 1, .., high, low] => Some(from(high, low)),
        _ => None,
    }
}

fn is_local_nat64(v6: Ipv6Addr) -> bool {
    v6.segments().starts_with(&[0x64, 0xff9b, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_class() {
        for (address, class) in [
            ("192.0.2.1", Class::Public),
            ("100.63.255.255", Class::Public),
            ("100.64.0.1", Class::Private),
            ("172.31.0.1", Class::Private),
            ("172.32.0.1", Class::Public),
            ("127.255.0.1", Class::Loopback),
            ("::1", Class::Loopback),
            ("::", Class::Never),
            ("::7f00:1", Class::Loopback),
            ("fec0::1", Class::Private),
            ("64:ff9b:1::a9fe:a9fe", Class::Never),
            ("64:ff9b:1:a9fe:a9:fe00::", Class::Never),
            ("64:ff9b:1::7f00:1", Class::Loopback),
            ("64:ff9b:1::c000:201", Class::Private),
            ("64:ff9b:1:c000:2:100::", Class::Private),
            ("2002:7f00:1::", Class::Loopback),
            ("239.1.1.1", Class::Never),
            ("168.63.129.16", Class::Never),
            ("fd20:ce::254", Class::Never),
        ] {
            assert_eq!(Class::of(address.parse().unwrap()), class, "{address}");
        }
    }
}
