//! What a TLS connection showed about client certificates: plain data, so that hosts with a TLS stack of their own can
//! fill it in too.

use std::fmt;

use crate::error::Failure;

/// The protocol version of a connection; older ones are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

/// What the client answered to a CertificateRequest, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shown {
    /// The server did not ask, so nothing was shown.
    #[default]
    NotAsked,
    /// The server asked and the profile has no pair.
    NoPair,
    /// The server asked and no pair fits: by issuer or by signature scheme. One line for each pair, with its file or
    /// label and its issuer, or the reason.
    NoneFits(Vec<String>),
    /// The pair with this label, whose leaf was issued by `issuer`.
    Pair {
        /// The label of the identity, as configured.
        label: String,
        /// The issuer of its leaf, as RFC 4514 text.
        issuer: String,
    },
}

/// What speaks against a certificate, by what it says of itself. It is shown all the same: this machine's clock may be the
/// one that is wrong, and whether it matters is for the server to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// It has expired.
    Expired {
        /// So many seconds ago.
        ago: u64,
    },
    /// It is not valid yet.
    NotYetValid {
        /// In so many seconds it is.
        ahead: u64,
    },
    /// Its extended key usage does not allow clients.
    NotForClients,
}

impl fmt::Display for Flaw {
    /// One clause about a certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = |seconds: u64| match seconds {
            0..7200 => format!("{} min", seconds / 60),
            7200..172_800 => format!("{} h", seconds / 3600),
            _ => format!("{} days", seconds / 86_400),
        };
        match self {
            Self::Expired { ago } => write!(f, "it has expired {} ago", about(*ago)),
            Self::NotYetValid { ahead } => write!(f, "it is valid only in {}", about(*ahead)),
            Self::NotForClients => f.write_str("its extended key usage does not allow clients"),
        }
    }
}

impl Flaw {
    /// One sentence: what to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Expired { .. } => "Renew the client certificate, or check this machine's clock.",
            Self::NotYetValid { .. } => "Check this machine's clock, and from when the client certificate is valid.",
            Self::NotForClients => {
                "Use a client certificate whose extended key usage has clientAuth, or that has no such extension."
            }
        }
    }
}

/// The facts of one connection; kept until it closes, and with the session for those resumed from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Evidence {
    /// The version, once the server's hello was read.
    pub version: Option<Version>,
    /// The issuers that the server named in its CertificateRequest, as RFC 4514 text; empty when it named none.
    pub hints: Vec<String>,
    /// What was shown. Of a resumed connection: what its first handshake showed.
    pub shown: Shown,
    /// The index of what was shown in the profile's identities.
    pub pair: Option<usize>,
    /// What speaks against it.
    pub flaw: Option<Flaw>,
    /// The next identity that would do: `None` where no other one fits, or neither `try_pairs` nor
    /// `try_pairs_on_status` is set. When it is tried: [`Profile::retry`](super::Profile::retry).
    pub next: Option<usize>,
    /// Whether the session was resumed, so that the server saw the certificate of the first handshake.
    pub resumed: bool,
    /// Whether the handshake came to its end on this side. In TLS 1.3 that does not mean that the server accepted.
    pub finished: bool,
    /// Whether application data came from the server: only then the identity was accepted.
    pub accepted: bool,
    /// Whether the server asked for a certificate (or at least for a new handshake) after the handshake: TLS 1.2
    /// renegotiation or TLS 1.3 post-handshake authentication, neither of which can be answered.
    pub late: bool,
    /// The fatal alert that the server sent, RFC 8446 section 6.
    pub alert: Option<u8>,
    /// How the connection failed, in the words of the TLS stack: what happened, and what to do.
    pub problem: Option<(String, String)>,
}

impl Evidence {
    /// Whether the server asked for a client certificate, in this handshake or in the one that it was resumed from.
    pub fn asked(&self) -> bool {
        self.shown != Shown::NotAsked
    }

    /// Whether a connection that broke without an alert was probably refused for its client certificate: the
    /// server had asked, the handshake came to its end, and no byte of an answer came. Only in TLS 1.3: in TLS 1.2
    /// the server's Finished says that it accepted.
    pub fn probably_rejected(&self) -> bool {
        self.version == Some(Version::Tls13) && self.asked() && self.finished && !self.accepted && self.alert.is_none()
    }

    /// What a broken connection is to be reported as: `seen`, unless these facts say more about it.
    ///
    /// Alerts are those of RFC 8446 section 6: servers written in Go send 42, and others 40, where 116 is meant.
    pub fn failure(&self, seen: Failure) -> Failure {
        let shown = matches!(self.shown, Shown::Pair { .. });
        match self.alert {
            Some(116) => Failure::CertificateRequired,
            Some(40 | 42) if self.asked() && !shown && !self.accepted => Failure::CertificateRequired,
            Some(40 | 42..=46 | 48 | 49 | 51) if self.asked() && !self.accepted => Failure::CertificateRejected,
            _ if self.late && !self.accepted => Failure::CertificateRequired,
            Some(_) => Failure::Tls,
            None if seen != Failure::Reset || !self.probably_rejected() => seen,
            None if shown => Failure::CertificateRejected,
            None => Failure::CertificateRequired,
        }
    }
}
