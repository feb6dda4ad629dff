//! Configurations out of bytes, and what the rules say that they allow: written from the rules, not from the code, so
//! that the two can differ.

use std::net::IpAddr;
use std::sync::Arc;

use arbitrary::Arbitrary;
use regauth::origin::{Class, Origin};
use regauth::{Config, Credentials, Hop, Host, Identity, Mode, Pair, PairKind, Secret};

/// The word in every secret of a run. No input holds it, so wherever it turns up, a secret does.
pub const CANARY: &str = "CaNaRy";
/// The password.
pub const PASSWORD: &str = "CaNaRy-password";
/// `u:CaNaRy-password` in base64.
pub const BASIC: &str = "dTpDYU5hUnktcGFzc3dvcmQ=";

/// Whether a secret of a run is in it: the canary, or the password in base64, wherever that begins.
pub fn holds_secret(text: &[u8]) -> bool {
    crate::holds(text, CANARY.as_bytes()) || crate::holds(text, &BASIC.as_bytes()[..BASIC.len() - 3])
}

/// The origins of a run. Among them are a registry with everything beside it that is not quite it.
pub const ORIGINS: [&str; 16] = [
    "https://reg.example",
    "https://reg.example:5000",
    "http://reg.example",
    "http://reg.example:5000",
    "https://auth.example",
    "https://blobs.example",
    "https://registry-1.docker.io",
    "https://auth.docker.io",
    "https://registry.gitlab.com",
    "https://gitlab.com",
    "https://10.0.0.5:5000",
    "http://127.0.0.1:5000",
    "http://auth.example",
    "https://169.254.169.254",
    "https://[::1]:5000",
    "https://auth.docker.io:444",
];

/// A configuration, as bytes.
#[derive(Arbitrary, Clone, Debug)]
pub struct Setup {
    /// The registry's place in [`ORIGINS`].
    pub anchor: u8,
    credentials: u8,
    modes: u8,
    default: u8,
    hosts: [u8; 16],
    pairs: [[u8; 3]; 4],
}

/// Its length in bytes.
pub const SETUP: usize = 32;

// Bits of a host entry.
const ENTRY: u8 = 1;
const IDENTITY: u8 = 2;
const HEADERS: u8 = 4;
const LOCAL: u8 = 8;
const OVER_HTTP: u8 = 16;
const SKIP_VERIFY: u8 = 32;
const UNVERIFIED: u8 = 64;
const WILDCARD: u8 = 128;
// Bits of the modes.
const ANY_HTTPS: u8 = 1;
const PASSWORD_POST: u8 = 2;
const OFFLINE: u8 = 4;
// Bits of a pair.
const PAIR: u8 = 1;
const STORAGE: u8 = 2;
const LENDS: u8 = 4;
const PAIR_LOCAL: u8 = 8;

/// What kind of credentials the registry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    None,
    Basic,
    Refresh,
    Bearer,
    Ask,
    NoPassword,
    Colon,
}

/// An origin of [`ORIGINS`].
pub fn origin(place: u8) -> Origin {
    Origin::parse(ORIGINS[usize::from(place) % ORIGINS.len()]).expect("an origin")
}

/// Credentials with canaries in them.
pub fn credentials(kind: Kind) -> Option<Credentials> {
    let basic = |user: &str, password: &str| Credentials::Basic { user: user.into(), password: password.into() };
    match kind {
        Kind::None | Kind::Ask => None,
        Kind::Basic => Some(basic("u", PASSWORD)),
        Kind::Refresh => Some(Credentials::Refresh("CaNaRy-refresh-configured".into())),
        Kind::Bearer => Some(Credentials::Bearer("CaNaRy-preset".into())),
        Kind::NoPassword => Some(basic("u", "")),
        Kind::Colon => Some(basic("u:v", PASSWORD)),
    }
}

impl Kind {
    /// Out of a byte.
    pub fn of(byte: u8) -> Self {
        match byte % 8 {
            0 => Self::None,
            2 => Self::Refresh,
            3 => Self::Bearer,
            4 => Self::Ask,
            5 => Self::NoPassword,
            6 => Self::Colon,
            _ => Self::Basic,
        }
    }
}

impl Setup {
    /// The registry.
    pub fn anchor(&self) -> Origin {
        origin(self.anchor)
    }

    /// The kind of the anchor's credentials.
    pub fn kind(&self) -> Kind {
        Kind::of(self.credentials)
    }

    /// The configuration.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        for (place, bits) in self.hosts.iter().enumerate().filter(|(_, bits)| *bits & ENTRY != 0) {
            config.host(origin(place as u8), host(*bits & !WILDCARD, &place.to_string()));
        }
        if self.default & ENTRY != 0 {
            config.default_host(host(self.default, "default"));
        }
        for [registry, other, bits] in self.pairs.into_iter().filter(|pair| pair[2] & PAIR != 0) {
            let kind = if bits & STORAGE != 0 { PairKind::Storage } else { PairKind::Token };
            let pair = Pair::new(origin(registry), kind, origin(other));
            config.pair(pair.identity(bits & LENDS != 0).local(bits & PAIR_LOCAL != 0));
        }
        match (self.kind(), credentials(self.kind())) {
            (_, Some(found)) => config.credentials(self.anchor(), found),
            (Kind::Ask, None) => config.ask(self.anchor()),
            _ => &mut config,
        };
        config.mode(if self.modes & ANY_HTTPS != 0 { Mode::AnyHttps } else { Mode::Strict });
        config.password_post(self.modes & PASSWORD_POST != 0).offline_token(self.modes & OFFLINE != 0);
        config
    }

    fn exact(&self, of: &Origin) -> Option<(u8, String)> {
        let place = ORIGINS.iter().position(|text| *text == of.to_string())?;
        let bits = self.hosts[place];
        (bits & ENTRY != 0).then(|| (bits & !WILDCARD, place.to_string()))
    }

    /// The entry of an origin that the user chose: its bits, and the name that is in its identity and its headers.
    fn entry(&self, of: &Origin) -> Option<(u8, String)> {
        self.exact(of).or_else(|| (self.default & ENTRY != 0).then(|| (self.default, "default".into())))
    }

    /// The label of the identity that may be shown where the user chose this origin.
    pub fn identity(&self, of: &Origin) -> Option<String> {
        let (bits, name) = self.entry(of)?;
        let has = bits & IDENTITY != 0 && (name != "default" || bits & WILDCARD != 0);
        has.then(|| format!("identity-{name}"))
    }

    /// The same where there is a connection to show it on.
    fn shown(&self, of: &Origin, to: &Origin) -> Option<String> {
        self.identity(of).filter(|_| to.is_https())
    }

    /// The header value that may be sent where the user chose this origin.
    pub fn header(&self, of: &Origin) -> Option<String> {
        self.entry(of).filter(|(bits, _)| bits & HEADERS != 0).map(|(_, name)| header_value(&name))
    }

    fn own_identity(&self, of: &Origin) -> Option<String> {
        self.exact(of).and_then(|_| self.shown(of, of))
    }

    fn own_header(&self, of: &Origin) -> Option<String> {
        self.exact(of).and_then(|_| self.header(of))
    }

    /// The first pair for these two.
    fn pair(&self, registry: &Origin, other: &Origin, storage: bool) -> Option<u8> {
        let is = |pair: &&[u8; 3]| {
            pair[2] & PAIR != 0
                && (pair[2] & STORAGE != 0) == storage
                && origin(pair[0]) == *registry
                && origin(pair[1]) == *other
        };
        self.pairs.iter().find(is).map(|pair| pair[2])
    }

    /// Whether a password may go to this origin as far as the connection is concerned (D.6).
    pub fn password_may_leave(&self, to: &Origin) -> bool {
        let (exact, entry) = (self.exact(to).map_or(0, |(bits, _)| bits), self.entry(to).map_or(0, |(bits, _)| bits));
        if to.is_https() {
            entry & SKIP_VERIFY == 0 || exact & UNVERIFIED != 0
        } else {
            to.class() == Some(Class::Loopback) || exact & OVER_HTTP != 0
        }
    }

    /// Whether this origin may be at an address more local than the anchor's (D.5).
    pub fn has_leave(&self, hop: Hop, to: &Origin) -> bool {
        let pair = self.pair(&self.anchor(), to, !hop.is_token()).is_some_and(|bits| bits & PAIR_LOCAL != 0);
        self.exact(to).is_some_and(|(bits, _)| bits & LOCAL != 0) || (pair && hop != Hop::Layer)
    }

    /// What the table of D lets this request carry at the most.
    pub fn most(&self, hop: Hop, to: &Origin, visited: &[Origin], bare: bool) -> Most {
        let anchor = self.anchor();
        let nothing = Most::default();
        if hop.is_token() {
            let sends = Most { secret: self.password_may_leave(to), ..Most::default() };
            if *to == anchor {
                return Most { identity: self.shown(to, to), header: self.header(to), ..sends };
            }
            if to.host() == anchor.host() {
                return Most {
                    identity: self.own_identity(to).or_else(|| self.shown(&anchor, to)),
                    header: self.own_header(to),
                    ..sends
                };
            }
            if let Some(bits) = self.pair(&anchor, to, false) {
                return Most { secret: sends.secret, ..self.paired(bits, &anchor, to) };
            }
            let docker = ["registry-1.docker.io", "docker.io", "index.docker.io"].contains(&anchor.host())
                && to.host() == "auth.docker.io";
            let gitlab = anchor.host() == "registry.gitlab.com" && to.host() == "gitlab.com";
            let usual = |origin: &Origin| origin.is_https() && origin.port() == 443;
            let built_in = (docker || gitlab) && usual(&anchor) && usual(to);
            return if built_in || (self.modes & ANY_HTTPS != 0 && to.is_https()) { sends } else { nothing };
        }
        let crossed = bare || visited.iter().any(|origin| *origin != anchor);
        if hop == Hop::Layer || bare {
            return nothing;
        }
        if !crossed && *to == anchor {
            return Most {
                identity: self.shown(to, to),
                header: self.header(to),
                secret: self.password_may_leave(to),
                bearer: true,
            };
        }
        let mut left = visited.iter().skip_while(|origin| **origin == anchor);
        let once = left.all(|origin| origin == to);
        match self.pair(&anchor, to, true) {
            Some(bits) if once && *to != anchor && matches!(hop, Hop::Redirect | Hop::Upload) => {
                self.paired(bits, &anchor, to)
            }
            _ => nothing,
        }
    }

    fn paired(&self, bits: u8, anchor: &Origin, to: &Origin) -> Most {
        let lent = self.shown(anchor, to).filter(|_| bits & LENDS != 0);
        Most { identity: self.own_identity(to).or(lent), header: self.own_header(to), ..Most::default() }
    }

    /// Whether a request to this origin may exist at all, by scheme and by what its host is.
    pub fn may_exist(&self, hop: Hop, to: &Origin) -> bool {
        let anchor = self.anchor();
        let http = to.is_https() || (!anchor.is_https() && (!hop.is_token() || to.host() == anchor.host()));
        http && to.class() != Some(Class::Never)
    }

    /// Whether this address may be used, where the anchor was last at one of that class (D.5).
    pub fn may_be_at(&self, hop: Hop, to: &Origin, address: IpAddr, anchor_class: Option<Class>) -> bool {
        let class = Class::of(address);
        let anchor = anchor_class.or_else(|| self.anchor().class()).unwrap_or(Class::Public);
        let near = to.host() == self.anchor().host() || self.has_leave(hop, to);
        class != Class::Never && (class <= anchor || near)
    }
}

/// What a request may carry at the most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// The label of the identity.
    pub identity: Option<String>,
    /// The value of the host entry's header.
    pub header: Option<String>,
    /// A password or refresh token.
    pub secret: bool,
    /// A bearer token.
    pub bearer: bool,
}

fn header_value(name: &str) -> String {
    format!("{CANARY}-header-{name}")
}

fn host(bits: u8, name: &str) -> Host {
    let mut host = Host::default();
    if bits & IDENTITY != 0 {
        host.identities.push(Identity::named(format!("identity-{name}"), [bits; 32]));
    }
    if bits & HEADERS != 0 {
        host.headers.push(("X-Host".into(), Arc::new(Secret::from(header_value(name)))));
    }
    host.local = bits & LOCAL != 0;
    host.password_over_http = bits & OVER_HTTP != 0;
    host.skip_verify = bits & SKIP_VERIFY != 0;
    host.password_unverified = bits & UNVERIFIED != 0;
    host.wildcard_identity = bits & WILDCARD != 0;
    host
}
