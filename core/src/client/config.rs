//! What an agent is told once: hosts, pairs, credentials, modes.

use std::sync::Arc;

use super::credentials::{Asked, Credentials, HelperUrl, Source};
use super::endpoints::Route;
use super::rules::{Origins, Rule, Rules};
use crate::error::{Error, ErrorKind};
use crate::origin::Origin;
use crate::secret::Secret;
use crate::tls::profile::Settings;
use crate::tls::{Identity, Profile, Roots};

/// The host configuration of an origin: its TLS settings, its headers, and leave for what is refused otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Client identities, in the order in which they are tried.
    pub identities: Vec<Identity>,
    /// Header fields for every request to this origin as registry, mirror or paired host.
    pub headers: Vec<(String, Arc<Secret>)>,
    /// Roots for this origin; `None`: those of the configuration.
    pub roots: Option<Roots>,
    /// Show the first identity whatever the server's hints say.
    pub force: bool,
    /// After a TLS rejection try the next identity, where the request can be repeated.
    pub try_pairs: bool,
    /// The same after an answer that may be a refusal of the certificate: 403, 404, 5xx, as Docker's page on `certs.d`
    /// has it; see [`Profile::retry`]. The answer to the last one stands.
    pub try_pairs_on_status: bool,
    /// Do not check the server's certificate; independent of the identity. No password leaves with it, unless
    /// `password_unverified` is set.
    pub skip_verify: bool,
    /// ALPN protocol names; empty: the extension is not sent.
    pub alpn: Vec<Vec<u8>>,
    /// Leave for a password over plain http; loopback needs none.
    pub password_over_http: bool,
    /// Leave for a password to a server whose certificate is not checked.
    pub password_unverified: bool,
    /// Leave to be at an address that is more local than the registry's.
    pub local: bool,
    /// Of the default host only: leave for its identity to be shown to every registry.
    pub wildcard_identity: bool,
    /// Milliseconds for a connection to be made, where the configuration limits it; for the host's sockets to keep to.
    pub dial_timeout: Option<u64>,
    /// Why an identity that is configured for this origin cannot be used: one sentence. A request to it then fails, as
    /// it would otherwise go out without one.
    pub unusable: Option<String>,
    /// The file and key that the entry comes from, for `explain`.
    pub provenance: Option<String>,
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// RFC 9110 section 5.5, and bytes above 127 as they are.
pub(crate) fn is_value(value: &[u8]) -> bool {
    value.iter().all(|b| *b == b'\t' || (*b >= 0x20 && *b != 0x7f))
}

/// What the message itself is made of, and what rules one connection (RFC 9110 section 7.6.1).
pub(crate) const FRAMING: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-connection",
];

/// Whether a header field can be sent, and is the configuration's to set.
pub(crate) fn is_header(name: &str, value: &[u8]) -> bool {
    let taken = name.eq_ignore_ascii_case("authorization") || is_one_of(name, FRAMING);
    is_token(name) && is_value(value) && !taken
}

pub(crate) fn is_one_of(name: &str, list: &[&str]) -> bool {
    list.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// What a pair is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PairKind {
    /// The registry's credentials may go to this token endpoint.
    Token,
    /// The registry may redirect to this storage with a certificate.
    Storage,
}

/// One registry and one other origin that belongs to it. A pair and not an allow-list: who names the URL chooses the
/// request, so leave for one registry is no leave for another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// The registry.
    pub registry: Origin,
    /// The token endpoint or storage.
    pub other: Origin,
    /// Which of the two.
    pub kind: PairKind,
    /// Whether the registry's identity is lent to it, where it has none of its own.
    pub identity: bool,
    /// Leave to be at an address that is more local than the registry's.
    pub local: bool,
}

impl Pair {
    /// A pair that lends nothing.
    pub const fn new(registry: Origin, kind: PairKind, other: Origin) -> Self {
        Self { registry, other, kind, identity: false, local: false }
    }

    /// Lends the registry's identity.
    pub const fn identity(mut self, lend: bool) -> Self {
        self.identity = lend;
        self
    }

    /// Gives leave to be more local.
    pub const fn local(mut self, leave: bool) -> Self {
        self.local = leave;
        self
    }
}

/// What happens with credentials and a realm on a host that is not paired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Stop, and name the line to add.
    #[default]
    Strict,
    /// Send the credentials to any https realm, never an identity, and say so each time.
    AnyHttps,
}

/// Values by origin, sorted: a configuration is written once.
#[derive(Clone, Debug)]
pub(super) struct ByOrigin<T>(Vec<(Origin, T)>);

impl<T> Default for ByOrigin<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> ByOrigin<T> {
    fn place(&self, origin: &Origin) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.text().cmp(origin.text()))
    }

    pub(super) fn get(&self, origin: &Origin) -> Option<&T> {
        self.0.get(self.place(origin).ok()?).map(|(_, value)| value)
    }

    /// The value of an origin, made where there is none.
    pub(super) fn entry(&mut self, origin: Origin) -> &mut T {
        let place = self.place(&origin).unwrap_or_else(|place| {
            self.0.insert(place, (origin, T::default()));
            place
        });
        #[allow(clippy::indexing_slicing, reason = "found or made there")]
        &mut self.0[place].1
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

/// The configuration of an agent.
///
/// ```
/// use regauth::{Config, Credentials, Host, Origin, Pair, PairKind};
///
/// let registry = Origin::parse("https://reg.example").unwrap();
/// let token = Origin::parse("https://auth.example").unwrap();
/// let mut config = Config::default();
/// config.host(registry.clone(), Host::default());
/// config.pair(Pair::new(registry.clone(), PairKind::Token, token).identity(true));
/// config.credentials(registry, Credentials::Basic { user: "robot".into(), password: "s3cret".into() });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    hosts: ByOrigin<Host>,
    default_host: Option<Host>,
    roots: Roots,
    pairs: Vec<Pair>,
    rules: Rules,
    pub(super) routes: ByOrigin<Vec<Route>>,
    pub(super) default_routes: Option<Vec<Route>>,
    ask: bool,
    mode: Mode,
    password_post: bool,
    offline_token: bool,
}

impl Config {
    /// Sets the host entry of an origin, in the place of an earlier one.
    pub fn host(&mut self, origin: Origin, host: Host) -> &mut Self {
        *self.hosts.entry(origin) = host;
        self
    }

    /// Sets the entry for registries without one of their own: roots and headers, an identity only by name.
    pub fn default_host(&mut self, host: Host) -> &mut Self {
        self.default_host = Some(host);
        self
    }

    /// Sets the roots for origins whose entry has none.
    pub fn roots(&mut self, roots: Roots) -> &mut Self {
        self.roots = roots;
        self
    }

    /// Adds a pair.
    pub fn pair(&mut self, pair: Pair) -> &mut Self {
        self.pairs.push(pair);
        self
    }

    /// Sets the credentials of a registry, for all of its repositories.
    pub fn credentials(&mut self, registry: Origin, credentials: Credentials) -> &mut Self {
        self.rules.set(registry, Source::Configured(Arc::new(credentials)));
        self
    }

    /// The host looks up the credentials of this registry when they are needed.
    pub fn ask(&mut self, registry: Origin) -> &mut Self {
        self.rules.set(registry, Source::Ask(None));
        self
    }

    /// Adds credentials for what a rule says.
    pub fn credentials_for(&mut self, rule: Rule, credentials: Credentials) -> &mut Self {
        self.rules.add(rule, Source::Configured(Arc::new(credentials)));
        self
    }

    /// Where the rule holds, the host runs this credential helper when credentials are needed.
    pub fn ask_helper(&mut self, rule: Rule, name: &str, url: HelperUrl) -> &mut Self {
        self.rules.add(rule, Source::Ask(Some(Arc::new(Asked { name: name.into(), url }))));
        self
    }

    /// Where the rule holds, credentials are configured that cannot be read: a flow that needs them fails with this
    /// sentence, as it would otherwise go on anonymously.
    pub fn broken_credentials(&mut self, rule: Rule, what: &str) -> &mut Self {
        self.rules.add(rule, Source::Broken(what.into()));
        self
    }

    /// Where the credentials for a repository come from; `None`: there are none.
    pub fn credentials_of(&self, registry: &Origin, repository: &str) -> Option<Origins> {
        self.rules.origins(registry, repository)
    }

    /// The host entry that holds for an origin: its own, or the default one.
    pub fn host_of(&self, origin: &Origin) -> Option<&Host> {
        self.entry(origin)
    }

    /// The host looks up the credentials of every registry that has none here.
    pub fn ask_for_all(&mut self, ask: bool) -> &mut Self {
        self.ask = ask;
        self
    }

    /// Sets the mode for realms on hosts that are not paired.
    pub fn mode(&mut self, mode: Mode) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Sends passwords to token endpoints by POST first (OAuth 2), instead of GET with Basic.
    pub fn password_post(&mut self, post: bool) -> &mut Self {
        self.password_post = post;
        self
    }

    /// Asks token endpoints for a refresh token, which is then used in the place of the password. Some servers fail on
    /// it.
    pub fn offline_token(&mut self, ask: bool) -> &mut Self {
        self.offline_token = ask;
        self
    }

    /// What would only be found out on the wire: header fields that cannot be sent, or that are not the profile's.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let hosts = self.hosts.values().chain(&self.default_host);
        for (name, value) in hosts.flat_map(|host| &host.headers) {
            if !is_header(name, value.expose()) {
                return Err(Error::new(ErrorKind::Header(name.clone())));
            }
        }
        Ok(())
    }

    pub(crate) fn exact(&self, origin: &Origin) -> Option<&Host> {
        self.hosts.get(origin)
    }

    /// The entry that holds for an origin that the user chose.
    pub(crate) fn entry(&self, origin: &Origin) -> Option<&Host> {
        self.exact(origin).or(self.default_host.as_ref())
    }

    /// The identities that an entry may show: a default one only by name.
    pub(crate) fn identities(&self, origin: &Origin) -> &[Identity] {
        match (self.exact(origin), &self.default_host) {
            (Some(host), _) => &host.identities,
            (None, Some(host)) if host.wildcard_identity => &host.identities,
            _ => &[],
        }
    }

    pub(crate) fn find_pair(&self, registry: &Origin, kind: PairKind, other: &Origin) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.kind == kind && pair.registry == *registry && pair.other == *other)
    }

    pub(crate) fn source(&self, registry: &Origin, repository: Option<&str>) -> Source {
        match self.rules.source(registry, repository) {
            Some(source) => source.clone(),
            None if self.ask => Source::Ask(None),
            None => Source::None,
        }
    }

    /// Whether repositories of this registry differ in their credentials.
    pub(crate) fn has_paths(&self, registry: &Origin) -> bool {
        self.rules.has_paths(registry)
    }

    /// The file and key of these credentials.
    pub(crate) fn provenance(&self, registry: &Origin, repository: Option<&str>) -> Option<Arc<str>> {
        self.rules.provenance(registry, repository)
    }

    pub(crate) const fn any_https(&self) -> bool {
        matches!(self.mode, Mode::AnyHttps)
    }

    pub(crate) const fn posts_passwords(&self) -> bool {
        self.password_post
    }

    pub(crate) const fn wants_offline_token(&self) -> bool {
        self.offline_token
    }

    /// The TLS profile for `target`, or for all origins without an entry of their own, that shows the identities of
    /// `identity`'s entry.
    pub(crate) fn profile(&self, target: Option<&Origin>, identity: Option<&Origin>) -> Profile {
        let host = target.map_or(self.default_host.as_ref(), |origin| self.entry(origin));
        let whose = identity.and_then(|origin| self.entry(origin));
        Profile::new(Settings {
            roots: host.and_then(|host| host.roots.clone()).unwrap_or_else(|| self.roots.clone()),
            identities: identity.map(|origin| self.identities(origin).to_vec()).unwrap_or_default(),
            force: whose.is_some_and(|host| host.force),
            try_pairs: whose.is_some_and(|host| host.try_pairs),
            try_pairs_on_status: whose.is_some_and(|host| host.try_pairs_on_status),
            skip_verify: host.is_some_and(|host| host.skip_verify),
            alpn: host.map(|host| host.alpn.clone()).unwrap_or_default(),
            ..Settings::default()
        })
    }
}
