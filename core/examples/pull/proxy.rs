//! Proxies from the environment, as Go's programs read it, and the tunnel through one.

use std::io::{Error, Read, Result, Write};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regauth::origin::Class;
use regauth::{Origin, Secret, Url};

use crate::failure::{Exit, Failure};

/// The longest answer to a CONNECT.
const MAX_ANSWER: usize = 16 * 1024;

/// Which origins are reached through which proxy.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    none: Vec<String>,
}

/// A proxy that is spoken to by plain http.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    authorization: Option<Secret>,
}

impl Proxies {
    /// `get` reads a variable of the environment; lower case comes first, as curl has it.
    pub(crate) fn new(get: impl Fn(&str) -> Option<String>) -> std::result::Result<Self, Failure> {
        let of = |name: &str| {
            let value = get(&name.to_lowercase()).or_else(|| get(name)).filter(|value| !value.is_empty());
            value.map(|value| Proxy::parse(&value).map_err(|flaw| wrong(name, &flaw))).transpose()
        };
        // A CGI program's HTTP_PROXY is what its client sent as Proxy.
        let cgi = get("REQUEST_METHOD").is_some();
        let list = get("no_proxy").or_else(|| get("NO_PROXY")).unwrap_or_default();
        Ok(Self {
            https: of("HTTPS_PROXY")?,
            http: if cgi { None } else { of("HTTP_PROXY")? },
            none: list.split(',').map(|entry| entry.trim().to_lowercase()).filter(|entry| !entry.is_empty()).collect(),
        })
    }

    /// The proxy for this origin. What is on this machine needs none.
    pub(crate) fn of(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = if origin.is_https() { &self.https } else { &self.http };
        let local = origin.class() == Some(Class::Loopback);
        proxy.as_ref().filter(|_| !local && !self.none.iter().any(|entry| excludes(entry, origin)))
    }
}

/// One entry of NO_PROXY: `*`, an address, a network (192.0.2.0/24), a name with all below it, `.name` for those below
/// it alone; each with an optional port.
fn excludes(entry: &str, origin: &Origin) -> bool {
    if entry == "*" {
        return true;
    }
    let host = origin.server_name();
    if let Some((network, bits)) = entry.split_once('/') {
        return match (network.parse(), bits.parse(), origin.literal()) {
            (Ok(network), Ok(bits), Some(address)) => is_within(address, network, bits),
            _ => false,
        };
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port.parse::<u16>().ok()),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port != origin.port()) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(below) => host.strip_suffix(below).is_some_and(|rest| rest.ends_with('.')),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, all) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    bits <= all && (bits == 0 || (address ^ network) >> (all - bits) == 0)
}

fn wrong(name: &str, flaw: &str) -> Failure {
    // The value may hold a password.
    Failure::new(Exit::Input, format!("the proxy in {name} {flaw}"), "Give one such as http://proxy.example:3128.")
}

impl Proxy {
    fn parse(value: &str) -> std::result::Result<Self, String> {
        let value = if value.contains("://") { value.to_string() } else { format!("http://{value}") };
        let (scheme, rest) = value.split_once("://").unwrap_or_default();
        let end = rest.find('/').unwrap_or(rest.len());
        let (user, authority) = rest.get(..end).unwrap_or_default().rsplit_once('@').unwrap_or(("", rest));
        let url = Url::parse(&format!("{scheme}://{authority}")).map_err(|flaw| flaw.to_string())?;
        if url.origin().is_https() {
            return Err("is reached by https, which this program does not do".into());
        }
        let authorization = (!user.is_empty()).then(|| {
            let plain = decode(user);
            Secret::from(format!("Basic {}", STANDARD.encode(&*plain)))
        });
        Ok(Self { host: url.origin().server_name().into(), port: url.origin().port(), authorization })
    }

    /// Asks for a tunnel. What comes behind is the target's.
    pub(crate) fn tunnel(&self, stream: &mut (impl Read + Write), to: &Origin) -> Result<()> {
        let target = format!("{}:{}", to.host(), to.port());
        let mut head = zeroize::Zeroizing::new(Vec::with_capacity(8 * 1024));
        head.extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
        if let Some(value) = &self.authorization {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(value.expose());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head)?;
        // One byte at a time: what follows the head belongs to the tunnel.
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 || answer.len() == MAX_ANSWER {
                return Err(Error::other("the proxy's answer to CONNECT is no HTTP"));
            }
            answer.extend_from_slice(&byte);
        }
        let line = String::from_utf8_lossy(answer.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).unwrap_or_default();
        match status.as_bytes() {
            [b'2', _, _] => Ok(()),
            [b'1'..=b'9', _, _] => Err(Error::other(format!("the proxy answered CONNECT with {status}"))),
            _ => Err(Error::other("the proxy's answer to CONNECT is no HTTP")),
        }
    }
}

/// Percent-decoding of user information.
fn decode(text: &str) -> zeroize::Zeroizing<Vec<u8>> {
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, more @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |b: &u8| char::from(*b).to_digit(16).unwrap_or_default();
                bytes.push(u8::try_from(digit(high) * 16 + digit(low)).unwrap_or_default());
                rest = more;
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_string());
        let proxies = Proxies::new(get).unwrap();
        proxies.of(&Origin::parse(url).unwrap()).map(|proxy| format!("{}:{}", proxy.host, proxy.port))
    }

    #[test]
    fn the_environment_is_read_as_go_reads_it() {
        let both = [("HTTPS_PROXY", "http://p.example:3128"), ("http_proxy", "q.example")];
        assert_eq!(of(&both, "https://reg.example").as_deref(), Some("p.example:3128"));
        assert_eq!(of(&both, "http://reg.example").as_deref(), Some("q.example:80"));
        assert_eq!(of(&both, "https://127.0.0.1:5000"), None);
        assert_eq!(of(&both, "https://localhost"), None);
        let cgi = [("HTTP_PROXY", "q.example"), ("REQUEST_METHOD", "GET")];
        assert_eq!(of(&cgi, "http://reg.example"), None);
        for (list, url, proxied) in [
            ("*", "https://reg.example", false),
            ("reg.example", "https://reg.example", false),
            ("example", "https://reg.example", false),
            (".reg.example", "https://reg.example", true),
            (".example", "https://reg.example", false),
            ("*.example", "https://reg.example", false),
            ("g.example", "https://reg.example", true),
            ("reg.example:5000", "https://reg.example", true),
            ("reg.example:5000", "https://reg.example:5000", false),
            ("a, REG.example ,b", "https://reg.example", false),
            ("192.0.2.0/24", "https://192.0.2.7", false),
            ("192.0.2.0/24", "https://192.0.3.7", true),
            ("2001:db8::1", "https://[2001:db8::1]", false),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", false),
            ("192.0.2.0/99", "https://192.0.2.7", true),
        ] {
            let proxy = of(&[("HTTPS_PROXY", "http://p.example:3128"), ("NO_PROXY", list)], url);
            assert_eq!(proxy.is_some(), proxied, "{list} {url}");
        }
    }

    #[test]
    fn a_wrong_proxy_is_said_without_its_value() {
        for value in ["https://p.example", "http://me:hunter2@", "socks5://p.example", "http://p.example:99999"] {
            let failure = Proxies::new(|name| (name == "HTTPS_PROXY").then(|| value.to_string())).unwrap_err();
            assert!(failure.exit == Exit::Input && !failure.to_string().contains("hunter2"), "{failure}");
        }
    }

    #[test]
    fn a_tunnel_takes_only_its_own_bytes() {
        struct Pipe(std::io::Cursor<Vec<u8>>, Vec<u8>);
        impl Read for Pipe {
            fn read(&mut self, into: &mut [u8]) -> Result<usize> {
                self.0.read(into)
            }
        }
        impl Write for Pipe {
            fn write(&mut self, from: &[u8]) -> Result<usize> {
                self.1.write(from)
            }
            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        let proxy = Proxy::parse("http://me:a%3Ab@p.example:3128/").unwrap();
        let to = Origin::parse("https://[2001:db8::1]:5000").unwrap();
        let ask = |answer: &str| {
            let mut pipe = Pipe(std::io::Cursor::new(answer.into()), Vec::new());
            let result = proxy.tunnel(&mut pipe, &to).map_err(|error| error.to_string());
            let mut rest = String::new();
            pipe.0.read_to_string(&mut rest).unwrap();
            (result, rest, String::from_utf8(pipe.1).unwrap())
        };
        let (result, rest, sent) = ask("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nTLS");
        assert_eq!((result, rest.as_str()), (Ok(()), "TLS"));
        let value = STANDARD.encode("me:a:b");
        assert_eq!(
            sent,
            format!(
                "CONNECT [2001:db8::1]:5000 HTTP/1.1\r\nHost: [2001:db8::1]:5000\r\nProxy-Authorization: Basic \
                 {value}\r\n\r\n"
            )
        );
        assert_eq!(ask("HTTP/1.1 403 No\r\n\r\n").0, Err("the proxy answered CONNECT with 403".into()));
        assert!(ask("SSH-2.0-x\r\n\r\n").0.is_err() && ask("HTTP/1.1 200").0.is_err());
    }
}
