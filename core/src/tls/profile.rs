//! A TLS profile: one immutable set of roots, pairs and options.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "tls")]
use super::Flaw;
use super::{Evidence, Identity, Shown, Version};
use crate::error::Failure;
#[cfg(feature = "tls")]
use crate::time::Time;

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
#[derive(Clone)]
pub struct Profile {
    settings: Arc<Settings>,
    #[cfg(feature = "tls")]
    pub(crate) configs: Arc<super::config::Configs>,
}

/// The cryptography of a connection, where more than one is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Feature `ring`.
    Ring,
    /// Feature `aws-lc-rs`.
    AwsLcRs,
}

/// The settings of a [`Profile`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Certificate authorities for the server's certificate.
    pub roots: Roots,
    /// Client identities in the order in which they are tried. Empty: none is shown.
    pub identities: Vec<Identity>,
    /// Show the first identity whose key can sign for the server, whatever its hints say.
    pub force: bool,
    /// After a TLS rejection try the next identity, where the request can be repeated.
    pub try_pairs: bool,
    /// The same after an answer that may be a refusal of the certificate: 403, 404, 5xx; see [`Profile::retry`].
    pub try_pairs_on_status: bool,
    /// Do not check the server's certificate. No password leaves unless that is allowed by name.
    pub skip_verify: bool,
    /// ALPN protocol names in the order of preference; empty: the extension is not sent.
    pub alpn: Vec<Vec<u8>>,
    /// The oldest version that is offered; `None`: TLS 1.2.
    pub min_version: Option<Version>,
    /// The newest version that is offered; `None`: TLS 1.3.
    pub max_version: Option<Version>,
    /// The cryptography; `None`: ring where it is compiled in, else the one that is.
    pub provider: Option<Provider>,
}

/// The answer to a CertificateRequest: which identity to show, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Choice {
    /// The identity to show, as an index into [`Settings::identities`].
    pub pair: Option<usize>,
    /// The next identity that would do: where to begin if the server refuses this one, by [`Profile::retry`].
    pub next: Option<usize>,
    /// The same for [`Evidence`]: the pair, or for each one why not.
    pub shown: Shown,
}

/// How an attempt with one identity ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attempt {
    /// The connection broke; [`Evidence::failure`] finds the word for it.
    Failed(Failure),
    /// The server answered with this status.
    Answered(u16),
}

impl Attempt {
    /// Whether a status may be the refusal of a certificate, in the words of Docker's page on `certs.d`: "403, 404, 5xx,
    /// etc.". 495 and 496 are nginx's own; 400 is what it makes of them for the client.
    const fn may_refuse(status: u16) -> bool {
        matches!(status, 400 | 403 | 404 | 495 | 496 | 500..=599)
    }
}

impl Settings {
    /// Chooses among the identities from number `skip` on, in configured order, by what a server asked for.
    pub(crate) fn choose<H: AsRef<[u8]>>(&self, skip: usize, hints: &[H], schemes: &[u16]) -> Choice {
        // What cannot sign is shown by no force.
        let hints = if self.force { &[] } else { hints };
        let candidates = || self.identities.iter().enumerate().skip(skip);
        let mut fits = candidates().filter(|(_, identity)| why_not(identity, hints, schemes).is_none());
        let (pair, next) = (fits.next(), fits.next());
        let shown = match pair {
            Some((_, identity)) => Shown::Pair { label: identity.label().into(), issuer: issuer_text(identity) },
            None if self.identities.is_empty() => Shown::NoPair,
            None => {
                Shown::NoneFits(candidates().filter_map(|(_, identity)| why_not(identity, hints, schemes)).collect())
            }
        };
        let index = |found: Option<(usize, &Identity)>| found.map(|(index, _)| index);
        let tries = self.try_pairs || self.try_pairs_on_status;
        Choice { pair: index(pair), next: index(next).filter(|_| tries), shown }
    }
}

#[cfg(feature = "pem")]
fn issuer_text(identity: &Identity) -> String {
    identity.issuer_text()
}

#[cfg(not(feature = "pem"))]
fn issuer_text(_: &Identity) -> String {
    String::new()
}

/// Why an identity does not fit what the server asked for: one line. One of which only the name is known fits everything.
#[cfg(feature = "pem")]
fn why_not<H: AsRef<[u8]>>(identity: &Identity, hints: &[H], schemes: &[u16]) -> Option<String> {
    if identity.schemes().is_some_and(|own| !own.iter().any(|scheme| schemes.contains(scheme))) {
        return Some(format!("{}: the server takes no signature scheme of its key", identity.label()));
    }
    let issuers = identity.issuers();
    let named = |issuer: &Vec<u8>| hints.iter().any(|hint| hint.as_ref() == issuer.as_slice());
    if hints.is_empty() || issuers.is_empty() || issuers.iter().any(named) {
        return None;
    }
    Some(format!("{} was issued by {}", identity.label(), identity.issuer_text()))
}

#[cfg(not(feature = "pem"))]
fn why_not<H: AsRef<[u8]>>(_: &Identity, _: &[H], _: &[u16]) -> Option<String> {
    None
}

impl Profile {
    /// A profile with these settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            #[cfg(feature = "tls")]
            configs: Arc::default(),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    #[cfg(feature = "tls")]
    pub(crate) fn shared(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// Labels of the identities, joined by `, `; `None` where there is none.
    pub fn identity(&self) -> Option<String> {
        if self.settings.identities.is_empty() {
            return None;
        }
        Some(self.settings.identities.iter().map(Identity::label).collect::<Vec<_>>().join(", "))
    }

    /// What to answer to a CertificateRequest, for hosts with a TLS stack of their own.
    ///
    /// Identities are taken in configured order, from number `skip` on: 0, or the `next` of the last attempt.
    /// `hints` are the DER names of certificate_authorities: an identity fits where any certificate of its chain was
    /// issued by one of them, and every one fits where there are none. `schemes` are the SignatureScheme numbers of
    /// the request; in TLS 1.3 without those of PKCS#1, which sign certificates only (RFC 8446 section 4.2.3).
    pub fn choose<H: AsRef<[u8]>>(&self, skip: usize, hints: &[H], schemes: &[u16]) -> Choice {
        self.settings.choose(skip, hints, schemes)
    }

    /// Where to begin in the identities for another attempt, as `skip` of [`Profile::choose`] or of a connection; `None`
    /// where the end of this one stands: neither a rejection nor a status that may be one, no other identity that would
    /// do, or no leave to try it.
    ///
    /// It counts up, so that there are at most as many attempts as identities. The answer of the last one stands. Whether
    /// the request can be repeated is for the caller to know; another attempt takes a new connection that does not resume
    /// a session of this one, since a session keeps the identity of its first handshake.
    pub fn retry(&self, evidence: &Evidence, ended: Attempt) -> Option<usize> {
        evidence.next.filter(|next| evidence.pair.is_some_and(|pair| pair < *next) && self.is_refusal(evidence, ended))
    }

    /// Whether this end may be the refusal of an identity that was shown, and there is leave to try another.
    pub(crate) fn is_refusal(&self, evidence: &Evidence, ended: Attempt) -> bool {
        let leave = match ended {
            Attempt::Failed(Failure::CertificateRequired | Failure::CertificateRejected) => {
                self.settings.try_pairs && !evidence.accepted
            }
            Attempt::Failed(_) => false,
            Attempt::Answered(status) => self.settings.try_pairs_on_status && Attempt::may_refuse(status),
        };
        leave && evidence.pair.is_some()
    }

    /// What speaks against the identity of this number, at this time.
    #[cfg(feature = "tls")]
    pub(crate) fn flaw(&self, pair: Option<usize>, now: Time) -> Option<Flaw> {
        self.settings.identities.get(pair?)?.flaws(Some(now)).next()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Profile").field(&self.settings).finish()
    }
}
