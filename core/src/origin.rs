//! Origins, URLs that a server named, and the addresses behind them.
//!
//! An origin is (scheme, host, effective port), RFC 6454. The host is written in one way only, so that two origins are
//! the same exactly when their texts are. Nothing is repaired: what some parser might read differently is an error.

mod class;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use class::Class;

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

    /// Resolves a URL reference of a server against this URL (RFC 3986 section 5.2). An empty one is this URL.
    pub fn join(&self, reference: &str) -> Result<Self, UrlFlaw> {
        // A colon in the first segment ends a scheme, whatever follows it (RFC 3986 section 4.2).
        if reference.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':')) {
            return Self::parse(reference);
        }
        // Browsers read a backslash as a slash, and so the host behind it.
        if reference.strip_prefix('/').unwrap_or(reference).starts_with('\\') {
            return Err(UrlFlaw::Host);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{}:{reference}", self.origin.scheme.as_str()));
        }
        let path = self.path();
        let whole = match reference.as_bytes().first() {
            Some(b'/') => format!("{}{reference}", self.origin),
            Some(b'?') => format!("{}{path}{reference}", self.origin),
            Some(b'#') | None => format!("{self}{reference}"),
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

/// Whether a realm begins with a scheme. `host:5000/x` does not: a digit after the colon makes it a host and port.
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
pub(crate) fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
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
            ("#frag", "https://reg.example/v2/app/blobs/x?q=1"),
            ("", "https://reg.example/v2/app/blobs/x?q=1"),
            ("./sha256:1", "https://reg.example/v2/app/blobs/sha256:1"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), whole, "{reference}");
        }
        for scheme in ["javascript:alert(1)", "data:1", "reg.example:5000/x", "sha256:1", "://evil.example/x"] {
            assert_eq!(base.join(scheme), Err(UrlFlaw::Scheme), "{scheme}");
        }
        for backslash in ["\\\\evil.example/x", "/\\evil.example/x", "\\x", "//evil.example\\x/"] {
            assert_eq!(base.join(backslash), Err(UrlFlaw::Host), "{backslash}");
        }
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
    fn a_name_may_tell_the_class() {
        assert_eq!(Origin::parse("https://a.localhost/").unwrap().class(), Some(Class::Loopback));
        assert_eq!(Origin::parse("https://localhost.example/").unwrap().class(), None);
    }
}
