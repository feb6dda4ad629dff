//! Origins, URLs that a server named, and the addresses behind them.
//!
//! An origin is (scheme, host, effective port), RFC 6454. The host is written in one way only, so that two origins are
//! the same exactly when their texts are. Nothing is repaired: what some parser might read differently is an error.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The longest URL that is looked at, in bytes: the limit on a request line that servers in front of registries set.
pub const MAX_URL: usize = 8192;

/// The names of Docker Hub as a registry.
pub(crate) const HUB: [&str; 3] = ["registry-1.docker.io", "docker.io", "index.docker.io"];

/// `http` or `https`; nothing else is ever followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// `"http"` or `"https"`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Why a URL is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlFlaw {
    /// Longer than [`MAX_URL`] bytes.
    TooLong,
    /// A control character or a space, anywhere in it.
    Character,
    /// A scheme other than `http` and `https`, or none.
    Scheme,
    /// An `@` in the authority.
    UserInformation,
    /// No host, or one that is not made of ASCII labels.
    Host,
    /// A host whose last label is a number, and which is not an IPv4 address in four decimal parts.
    Ipv4,
    /// Brackets without an IPv6 address in them, or with a zone.
    Ipv6,
    /// A port that is not a number from 1 to 65535.
    Port,
}

impl fmt::Display for UrlFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "is longer than 8,192 bytes",
            Self::Character => "holds a control character or a space",
            Self::Scheme => "has a scheme other than http and https",
            Self::UserInformation => "holds user information",
            Self::Host => "has no host, or one that is not plain ASCII labels",
            Self::Ipv4 => "has a host that ends in a number and is no IPv4 address in four decimal parts",
            Self::Ipv6 => "has brackets round something that is no IPv6 address without a zone",
            Self::Port => "has a port that is no number from 1 to 65535",
        })
    }
}

/// Scheme, host and effective port, in normal form. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// As it prints: the default port is left out.
    text: Arc<str>,
    scheme: Scheme,
    /// Where the host ends in the text.
    end: usize,
    port: u16,
}

impl Origin {
    fn new(scheme: Scheme, host: &str, port: u16) -> Self {
        let mut text = [scheme.as_str(), "://", host].concat();
        let end = text.len();
        if port != scheme.default_port() {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Self { text: text.into(), scheme, end, port }
    }

    /// The origin of an absolute URL; path, query and fragment are ignored.
    pub fn parse(url: &str) -> Result<Self, UrlFlaw> {
        Url::parse(url).map(|url| url.origin)
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the scheme is `https`.
    pub const fn is_https(&self) -> bool {
        matches!(self.scheme, Scheme::Https)
    }

    /// The host in normal form: lower case, no trailing dot; IPv6 in brackets.
    pub fn host(&self) -> &str {
        self.text.get(self.start()..self.end).unwrap_or_default()
    }

    /// Where the host begins in the text.
    const fn start(&self) -> usize {
        self.scheme.as_str().len() + "://".len()
    }

    /// The host as TLS server name and for a resolver: IPv6 without brackets.
    pub fn server_name(&self) -> &str {
        self.host().trim_matches(['[', ']'])
    }

    /// The effective port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The host as an address, if it is a literal.
    pub fn literal(&self) -> Option<IpAddr> {
        self.server_name().parse().ok()
    }

    /// The class of the address that the host stands for, where the name alone tells: a literal is its own address,
    /// and `localhost` is loopback (RFC 6761 section 6.3).
    pub fn class(&self) -> Option<Class> {
        match self.literal() {
            Some(address) => Some(Class::of(address)),
            None if self.host() == "localhost" || self.host().ends_with(".localhost") => Some(Class::Loopback),
            None => None,
        }
    }

    /// Whether this is Docker Hub, under any of its names.
    pub(crate) fn is_hub(&self) -> bool {
        self.is_https() && self.port == 443 && HUB.contains(&self.host())
    }

    /// The same name, whatever the scheme: host, and the port as it is written.
    pub(crate) fn is_place_of(&self, other: &Self) -> bool {
        self.place() == other.place()
    }

    /// Host and port as they are written.
    fn place(&self) -> &str {
        self.text.get(self.start()..).unwrap_or_default()
    }

    /// As it prints; shared, so that it can be the key of a map.
    pub(crate) const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Host and, where it is not the default, port: the `Host` header field.
    pub fn authority(&self) -> String {
        self.place().to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An absolute URL without a fragment: the origin in normal form, the rest as it was written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    origin: Origin,
    rest: Box<str>,
}

impl Url {
    /// Reads an absolute URL, without trimming or decoding anything.
    pub fn parse(url: &str) -> Result<Self, UrlFlaw> {
        if url.len() > MAX_URL {
            return Err(UrlFlaw::TooLong);
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UrlFlaw::Character);
        }
        let (scheme, after) = url.split_once(':').ok_or(UrlFlaw::Scheme)?;
        let after = after.strip_prefix("//").ok_or(UrlFlaw::Scheme)?;
        let scheme = if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else {
            return Err(UrlFlaw::Scheme);
        };
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        if authority.contains('@') {
            return Err(UrlFlaw::UserInformation);
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(digits) => parse_port(digits)?,
            None => scheme.default_port(),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        Ok(Self { origin: Origin::new(scheme, &parse_host(host)?, port), rest: rest.into() })
    }

    /// Resolves a URL reference of a server against this URL (RFC 3986 section 5.2). An empty reference is no
    /// reference, which the caller has to see to.
    pub fn join(&self, reference: &str) -> Result<Self, UrlFlaw> {
        if has_scheme(reference) {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{}:{reference}", self.origin.scheme.as_str()));
        }
        let path = self.path();
        let whole = match reference.as_bytes().first() {
            Some(b'/') => format!("{}{reference}", self.origin),
            Some(b'?') => format!("{}{path}{reference}", self.origin),
            _ => {
                let folder = path.rfind('/').map_or("/", |at| path.get(..=at).unwrap_or("/"));
                let (named, query) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
                format!("{}{}{query}", self.origin, without_dots(&format!("{folder}{named}")))
            }
        };
        Self::parse(&whole)
    }

    /// The origin.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Path and query as written; may be empty or begin with `?`.
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// Path and query as a request target (RFC 9112 section 3.2.1): never empty.
    pub fn target(&self) -> String {
        if self.rest.starts_with('/') { self.rest.to_string() } else { format!("/{}", self.rest) }
    }

    /// The path as written, without the query.
    pub fn path(&self) -> &str {
        self.rest.split_once('?').map_or(&*self.rest, |(path, _)| path)
    }

    /// This URL with more query parameters; `query` begins with `?`, or is empty.
    pub(crate) fn with_query(&self, query: &str) -> Self {
        let more = match query.strip_prefix('?') {
            Some(parameters) if self.rest.ends_with('?') || self.rest.ends_with('&') => parameters.to_string(),
            Some(parameters) if self.rest.contains('?') => format!("&{parameters}"),
            _ => query.to_string(),
        };
        Self { origin: self.origin.clone(), rest: format!("{}{more}", self.rest).into() }
    }

    /// The URL without its query, for people: a query may hold a signature.
    pub fn redacted(&self) -> String {
        let mark = if self.rest.contains('?') { "?…" } else { "" };
        format!("{}{}{mark}", self.origin, self.path())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.rest)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Whether a reference begins with a scheme. `host:5000/x` does not: a digit after the colon makes it a host and port.
pub(crate) fn has_scheme(reference: &str) -> bool {
    let Some((scheme, after)) = reference.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !after.starts_with(|c: char| c.is_ascii_digit())
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Host and port; an empty port means the default one (RFC 3986 section 3.2.3).
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlFlaw> {
    let (host, port) = if authority.starts_with('[') {
        let (literal, after) = authority.split_at(authority.find(']').ok_or(UrlFlaw::Ipv6)? + 1);
        match after.strip_prefix(':') {
            Some(port) => (literal, port),
            None if after.is_empty() => (literal, ""),
            None => return Err(UrlFlaw::Ipv6),
        }
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    Ok((host, Some(port).filter(|port| !port.is_empty())))
}

/// A number, so `0443` is 443; decimal, and never cut to 16 bits.
fn parse_port(digits: &str) -> Result<u16, UrlFlaw> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UrlFlaw::Port);
    }
    digits.parse().ok().filter(|port| *port != 0).ok_or(UrlFlaw::Port)
}

fn parse_host(host: &str) -> Result<String, UrlFlaw> {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| UrlFlaw::Ipv6)?;
        return Ok(match address.to_ipv4_mapped() {
            Some(mapped) => mapped.to_string(),
            None => format!("[{address}]"),
        });
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let label_of_host =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !host.split('.').all(label_of_host) {
        return Err(UrlFlaw::Host);
    }
    let host = host.to_ascii_lowercase();
    if host.rsplit('.').next().is_some_and(is_number) {
        return host.parse::<Ipv4Addr>().map(|address| address.to_string()).map_err(|_| UrlFlaw::Ipv4);
    }
    Ok(host)
}

/// What inet_aton would read as a number: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

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
        let [first, second, third, ..] = v6.segments();
        if v6.is_unspecified() || v6.is_multicast() || first & 0xffc0 == 0xfe80 || METADATA_6.contains(&v6) {
            Self::Never
        } else if v6.is_loopback() {
            Self::Loopback
        } else if first & 0xfe00 == 0xfc00
            || first & 0xffc0 == 0xfec0 // site-local, RFC 3879
            || (first, second, third) == (0x64, 0xff9b, 1)
        // the NAT64 prefix for local use, RFC 8215
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
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_as_rfc_3986_says() {
        let base = Url::parse("https://reg.example/v2/app/blobs/x?q=1").unwrap();
        for (reference, whole) in [
            ("/data", "https://reg.example/data"),
            ("//other.example/data", "https://other.example/data"),
            ("?n=2", "https://reg.example/v2/app/blobs/x?n=2"),
            ("y", "https://reg.example/v2/app/blobs/y"),
            ("../y?a=/../b", "https://reg.example/v2/app/y?a=/../b"),
            ("./../../..", "https://reg.example/"),
            ("HTTP://Other.example./x#frag", "http://other.example/x"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), whole, "{reference}");
        }
        assert_eq!(base.join("javascript:alert(1)"), Err(UrlFlaw::Scheme));
        assert_eq!(base.join(" /x"), Err(UrlFlaw::Character));
    }

    #[test]
    fn a_query_is_not_shown() {
        let url = Url::parse("https://blobs.example/x?sig=feedface").unwrap();
        assert_eq!(url.redacted(), "https://blobs.example/x?…");
        assert_eq!(format!("{url:?}"), url.redacted());
        assert_eq!(Url::parse("https://blobs.example?a").unwrap().target(), "/?a");
    }

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
            ("64:ff9b:1::a9fe:a9fe", Class::Private),
            ("2002:7f00:1::", Class::Loopback),
            ("239.1.1.1", Class::Never),
            ("168.63.129.16", Class::Never),
            ("fd20:ce::254", Class::Never),
        ] {
            assert_eq!(Class::of(address.parse().unwrap()), class, "{address}");
        }
        assert_eq!(Origin::parse("https://a.localhost/").unwrap().class(), Some(Class::Loopback));
        assert_eq!(Origin::parse("https://localhost.example/").unwrap().class(), None);
    }
}
