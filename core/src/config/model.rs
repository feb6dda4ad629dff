//! What all formats are read into.

use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::client::{Capability, Credentials, HelperUrl, Mode, Pair, Rewrite};
use crate::origin::Origin;
use crate::secret::Secret;
use crate::tls::{Identity, Roots};

/// Everything that was imported. Several sources of one origin are added up when it is made a configuration: what an
/// earlier one says holds, and a later one fills in what it leaves out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Model {
    /// Host entries, in the order in which they were read.
    pub hosts: Vec<HostEntry>,
    /// Registries with endpoints of their own.
    pub registries: Vec<Registry>,
    /// Credentials and helpers, those of one source together.
    pub credentials: Vec<CredentialEntry>,
    /// Pairs.
    pub pairs: Vec<PairEntry>,
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
    /// The base that certificate authorities are added to: `webpki-roots`, and what the host hands in of the system's.
    pub roots: Roots,
    /// The mode for realms on hosts that are not paired, where a source sets it.
    pub mode: Option<Mode>,
    /// Passwords go to token endpoints by POST.
    pub password_post: bool,
    /// Token endpoints are asked for a refresh token.
    pub offline_token: bool,
    /// Leave, by name, for passwords that are configured for a pattern of registries.
    pub wildcard_password: bool,
    /// Why a source could not be read that may have named a certificate for any registry.
    pub(crate) unread: Option<String>,
}

/// What one source says of an origin.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HostEntry {
    /// The origin; `None`: every registry without an entry of its own.
    pub origin: Option<Origin>,
    /// Client certificates, in the order in which they are tried.
    pub identities: Vec<IdentityEntry>,
    /// Certificate authorities for the server's certificate.
    pub ca: Vec<Authority>,
    /// Whether `ca` replaces the roots; else it is added to them. No format but `regauth.toml` can say so.
    pub ca_replaces: Option<bool>,
    /// Header fields.
    pub headers: Vec<(String, Arc<Secret>)>,
    /// The server's certificate is not checked.
    pub skip_verify: Option<bool>,
    /// See [`Host::force`](crate::Host::force).
    pub force: Option<bool>,
    /// See [`Host::try_pairs`](crate::Host::try_pairs).
    pub try_pairs: Option<bool>,
    /// See [`Host::try_pairs_on_status`](crate::Host::try_pairs_on_status).
    pub try_pairs_on_status: Option<bool>,
    /// See [`Host::local`](crate::Host::local).
    pub local: Option<bool>,
    /// See [`Host::password_over_http`](crate::Host::password_over_http).
    pub password_over_http: Option<bool>,
    /// See [`Host::password_unverified`](crate::Host::password_unverified).
    pub password_unverified: Option<bool>,
    /// Of the default entry only: leave, by name, for its identity.
    pub wildcard_identity: Option<bool>,
    /// Milliseconds for a connection to be made. The host's sockets are to keep to it.
    pub dial_timeout: Option<u64>,
    /// ALPN protocol names.
    pub alpn: Vec<Vec<u8>>,
    /// Why an identity that is configured here cannot be used: a request then fails.
    pub unusable: Option<String>,
    /// The whole document could not be read, so that nothing is known of the registry.
    pub(crate) broken_document: bool,
    /// Where it stands.
    pub place: Place,
}

impl HostEntry {
    pub(crate) fn new(origin: Option<Origin>, place: Place) -> Self {
        Self { origin, place, ..Self::default() }
    }

    /// The document that says it cannot be read, so that nothing is known of the registry: a request to it fails.
    pub(crate) fn broken(origin: Option<Origin>, at: &Place, why: String) -> Self {
        Self { broken_document: true, unusable: Some(why), ..Self::new(origin, at.clone()) }
    }

    /// Whether it says something that matters for TLS.
    pub(crate) fn has_tls(&self) -> bool {
        !self.identities.is_empty() || !self.ca.is_empty() || self.skip_verify.is_some() || self.unusable.is_some()
    }

    /// The first reason stands.
    pub(crate) fn fail(&mut self, why: impl Into<String>) {
        self.unusable.get_or_insert_with(|| why.into());
    }
}

/// A client certificate and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityEntry {
    /// The identity; its label is the certificate's file.
    pub identity: Identity,
    /// The certificate's file.
    pub certificate: String,
    /// The key's file, which may be the same.
    pub key: String,
    /// Where it is named.
    pub place: Place,
}

/// A file of certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authority {
    /// The file.
    pub file: String,
    /// PEM, one or more certificates.
    pub pem: Arc<[u8]>,
}

/// A registry whose endpoints are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registry {
    /// The origin of its name, https; `None`: every registry without an entry of its own.
    pub name: Option<Origin>,
    /// In the order in which they are tried.
    pub endpoints: Vec<EndpointEntry>,
    /// Where it stands.
    pub place: Place,
}

/// A mirror, or the registry itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointEntry {
    /// Where; `None`: the registry's own origin.
    pub origin: Option<Origin>,
    /// The path of the API, without `/` at its end.
    pub root: String,
    /// Whether it is a mirror.
    pub mirror: bool,
    /// Whether it is only tried because the one before may not speak TLS: nothing of the registry's goes to it.
    pub fallback: bool,
    /// What it can be asked for.
    pub capabilities: Vec<Capability>,
    /// Whether requests name the registry in `ns`.
    pub ns: bool,
    /// Changes of the repository's name.
    pub rewrites: Arc<[Rewrite]>,
    /// Where it stands.
    pub place: Place,
}

impl EndpointEntry {
    pub(crate) fn own(origin: Option<Origin>, place: Place) -> Self {
        Self {
            origin,
            root: "/v2".into(),
            mirror: false,
            fallback: false,
            capabilities: Capability::ALL.to_vec(),
            ns: false,
            rewrites: Arc::default(),
            place,
        }
    }

    pub(crate) fn mirror(origin: Origin, root: String, place: Place) -> Self {
        let capabilities = vec![Capability::Pull, Capability::Resolve];
        Self { root, mirror: true, capabilities, ns: true, ..Self::own(Some(origin), place) }
    }
}

/// Which registries some credentials are for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum For {
    /// One registry, by the https origin of its name.
    Registry(Origin),
    /// Those whose host matches label by label, with this port or the default one.
    Glob {
        /// The pattern.
        host: String,
        /// The port.
        port: Option<u16>,
    },
    /// Every registry.
    All,
}

/// Credentials, or where they are looked up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Given {
    /// These.
    Credentials(Arc<Credentials>),
    /// A helper is asked.
    Helper {
        /// Its name.
        name: String,
        /// For which URL.
        url: HelperUrl,
    },
    /// Something is configured and cannot be read: one sentence.
    Broken(String),
}

/// Credentials of one source for one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CredentialEntry {
    /// Which registries.
    pub registries: For,
    /// Which repositories, by the segments that their names begin with; empty: all.
    pub path: String,
    /// What.
    pub given: Given,
    /// The number of the source: an earlier one holds, however exact a later one is.
    pub source: u32,
    /// Within the source and one path: 0 the exact name, 1 an https URL, 2 an http URL.
    pub rank: u8,
    /// Within the source: 0 a preset bearer token, 1 a helper for a registry, 2 the helper for all, 3 the rest.
    pub class: u8,
    /// Where it stands.
    pub place: Place,
}

/// A pair and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairEntry {
    /// The pair.
    pub pair: Pair,
    /// Where.
    pub place: Place,
}

impl Model {
    pub(crate) fn say(
        &mut self,
        severity: Severity,
        code: Code,
        place: &Place,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        // A hostile file could make one for each of its bytes.
        if self.diagnostics.len() < 10_000 {
            let found = Diagnostic { severity, code, place: place.clone(), what: what.into(), remedy: remedy.into() };
            self.diagnostics.push(found);
        }
    }

    /// The credentials, those first that hold.
    pub(super) fn credentials_in_order(&self) -> Vec<&CredentialEntry> {
        let mut entries: Vec<&CredentialEntry> = self.credentials.iter().collect();
        entries.sort_by_key(|entry| (entry.source, entry.class, entry.rank));
        entries
    }

    /// Whether anything is configured that cannot be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}
