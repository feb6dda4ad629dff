//! A TLS profile: one immutable set of roots, pairs and options.

use std::sync::Arc;

use super::Identity;

/// Names one [`Profile`] of an agent. Connections are pooled by it: one that showed a certificate never serves a
/// request that may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(pub u32);

/// Which certificate authorities a server's certificate is checked against; all that are given are added up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Roots {
    /// The roots of `webpki-roots`, compiled in.
    pub webpki: bool,
    /// PEM texts, each of one or more certificates: a registry's own authority, the system's bundle.
    pub pem: Vec<Arc<[u8]>>,
}

impl Default for Roots {
    fn default() -> Self {
        Self { webpki: true, pem: Vec::new() }
    }
}

/// What a TLS connection is made with.
///
/// Cheap to clone, and the same for its whole life: rotation makes a new one.
#[derive(Clone, Debug)]
pub struct Profile(Arc<Settings>);

/// The settings of a [`Profile`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Certificate authorities for the server's certificate.
    pub roots: Roots,
    /// Client identities in the order in which they are tried. Empty: none is shown.
    pub identities: Vec<Identity>,
    /// Show the first identity whatever the server's hints say.
    pub force: bool,
    /// After a TLS rejection try the next identity, where the request can be repeated.
    pub try_pairs: bool,
    /// Do not check the server's certificate. No password leaves unless that is allowed by name.
    pub skip_verify: bool,
    /// ALPN protocol names in the order of preference; empty: the extension is not sent.
    pub alpn: Vec<Vec<u8>>,
}

impl Profile {
    /// A profile with these settings.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0
    }

    /// Labels of the identities, joined by `, `; `None` where there is none.
    pub fn identity(&self) -> Option<String> {
        if self.0.identities.is_empty() {
            return None;
        }
        Some(self.0.identities.iter().map(Identity::label).collect::<Vec<_>>().join(", "))
    }
}
