//! What ends a TLS connection.

use std::fmt;

use super::identity::{IdentityError, SignError};
use crate::error::{Failure, WHOLE_HOST};
use crate::time::Time;

/// What ended a TLS connection, or kept it from being made. Latched: it does not change any more.
///
/// Which issuers the server named and what was shown is in [`Evidence`](super::Evidence).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// Local: a PEM text of the roots, by its index, that holds no certificate which can be an authority.
    Roots(usize),
    /// Local: neither the compiled-in roots nor any others are configured.
    NoRoots,
    /// Local: the cryptography that the profile names, or any, is not compiled in.
    NoProvider,
    /// Local: the oldest version that is allowed is newer than the newest.
    NoVersion,
    /// Local: the ALPN names are empty or longer than 255 bytes.
    Alpn,
    /// Local: the host is neither a DNS name nor an address.
    ServerName(String),
    /// Local: the time was given as 0.
    NoTime,
    /// Local: an identity of the profile cannot be used.
    Identity(IdentityError),
    /// Local: an identity of which only the name is known cannot be used by this TLS stack.
    NamedOnly(String),
    /// Local: the signer of this identity did not sign.
    Signer {
        /// The label of the identity.
        label: String,
        /// What the signer said.
        why: SignError,
    },
    /// Local: a call that does not fit what was lent, or room that was never given.
    Misuse(&'static str),
    /// The server's certificate is not accepted.
    Server(ServerFlaw),
    /// The server speaks no version of TLS that is offered.
    NoCommonVersion,
    /// The server and this client have no cipher suite, group or signature scheme in common.
    Incompatible(String),
    /// The server requires a client certificate and was shown none.
    CertificateRequired {
        /// The alert that said so, RFC 8446 section 6.
        alert: u8,
    },
    /// The server refused the client certificate that was shown, or what was shown in the first handshake.
    CertificateRejected {
        /// The alert that said so, RFC 8446 section 6.
        alert: u8,
    },
    /// The connection broke right after a TLS 1.3 handshake in which the server asked for a certificate.
    ProbablyRejected {
        /// Whether one was shown.
        shown: bool,
    },
    /// The server asks for a certificate after the handshake, which cannot be done.
    LateRequest,
    /// Any other fatal alert of the server, RFC 8446 section 6.
    Alert(u8),
    /// The stream ended without a close_notify: what was received may be cut short.
    Truncated {
        /// Whether the handshake had come to its end.
        finished: bool,
    },
    /// What the server sent is no TLS at all.
    NotTls,
    /// The server breaks the protocol.
    Protocol(String),
}

/// Why a server's certificate is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerFlaw {
    /// No root of the profile has issued it.
    Untrusted,
    /// It has expired.
    Expired {
        /// Its last valid moment, where that is known.
        not_after: Option<Time>,
    },
    /// It is not valid yet.
    NotYetValid,
    /// It is made out to other names.
    WrongName {
        /// Those names.
        presented: Vec<String>,
    },
    /// It is not meant for servers.
    Purpose,
    /// It cannot be read, or its signature is wrong.
    Broken(String),
}

impl TlsError {
    /// The same in the words that every layer shares.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Server(_) => Failure::ServerCertificate,
            Self::CertificateRequired { .. } | Self::ProbablyRejected { shown: false } | Self::LateRequest => {
                Failure::CertificateRequired
            }
            Self::CertificateRejected { .. } | Self::ProbablyRejected { shown: true } => Failure::CertificateRejected,
            Self::Truncated { .. } => Failure::Reset,
            _ => Failure::Tls,
        }
    }

    /// Whether the caller or its configuration is at fault, so that no other server would do better.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Roots(_)
                | Self::NoRoots
                | Self::NoProvider
                | Self::NoVersion
                | Self::Alpn
                | Self::ServerName(_)
                | Self::NoTime
                | Self::Identity(_)
                | Self::NamedOnly(_)
                | Self::Signer { .. }
                | Self::Misuse(_)
        )
    }

    /// One sentence: what happened.
    pub fn what(&self) -> String {
        match self {
            Self::Roots(index) => format!("PEM text {index} of the roots holds no usable certificate authority"),
            Self::NoRoots => "there is no certificate authority to check the server against".into(),
            Self::NoProvider => "the cryptography asked for is not compiled in".into(),
            Self::NoVersion => "the oldest TLS version allowed is newer than the newest".into(),
            Self::Alpn => "an ALPN name is empty or longer than 255 bytes".into(),
            Self::ServerName(name) => format!("{name:?} is no DNS name and no address"),
            Self::NoTime => "the time was given as 0, and certificates cannot be checked without it".into(),
            Self::Identity(error) => error.what(),
            Self::NamedOnly(label) => format!("{label}: only the name of this identity is known, not its key"),
            Self::Signer { label, why } => format!("{label}: the signer did not sign: {}", why.0),
            Self::Misuse(what) => format!("the connection was called out of order: {what}"),
            Self::Server(flaw) => flaw.to_string(),
            Self::NoCommonVersion => "the server speaks no TLS version that is offered".into(),
            Self::Incompatible(what) => format!("the server and this client have too little in common: {what}"),
            Self::CertificateRequired { alert } => {
                format!("the server requires a client certificate and none was shown (alert {alert})")
            }
            Self::CertificateRejected { alert } => {
                format!("the server refused the client certificate: {} (alert {alert})", alert_text(*alert))
            }
            Self::ProbablyRejected { shown: true } => {
                "the server asked for a client certificate and broke the connection right after it was shown".into()
            }
            Self::ProbablyRejected { shown: false } => {
                "the server asked for a client certificate, got none and broke the connection".into()
            }
            Self::LateRequest => "the server asks for a client certificate after the handshake (TLS 1.2 \
                                  renegotiation or TLS 1.3 post-handshake authentication), which cannot be done"
                .into(),
            Self::Alert(alert) => format!("the server ended TLS: {} (alert {alert})", alert_text(*alert)),
            Self::Truncated { finished: false } => "the connection ended during the TLS handshake".into(),
            Self::Truncated { finished: true } => "the connection ended without a close_notify".into(),
            Self::NotTls => "what the server sent is no TLS".into(),
            Self::Protocol(what) => format!("the server breaks the TLS protocol: {what}"),
        }
    }

    /// One sentence: what to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Roots(_) => "Give certificate authorities as PEM.",
            Self::NoRoots => "Give the certificate authority of the server (ca), or allow the compiled-in ones.",
            Self::NoProvider => "Build with the feature ring or aws-lc-rs, and name one that is compiled in.",
            Self::NoVersion => "Make min_version at most max_version.",
            Self::Alpn => "Give ALPN names such as http/1.1.",
            Self::ServerName(_) => "Give a host name or an address.",
            Self::NoTime => "Give the time in Unix milliseconds with every call.",
            Self::Identity(error) => error.remedy(),
            Self::NamedOnly(_) => "Make the identity from PEM, or with a signer.",
            Self::Signer { .. } => "Check the token, agent or key service that holds the key.",
            Self::Misuse(_) => "Answer each value with the call that its documentation names.",
            Self::Server(flaw) => flaw.remedy(),
            Self::NoCommonVersion | Self::Incompatible(_) => {
                "Let the server offer TLS 1.2 or 1.3 with current ciphers."
            }
            Self::CertificateRequired { .. } | Self::CertificateRejected { .. } | Self::ProbablyRejected { .. } => {
                self.failure().remedy()
            }
            Self::LateRequest => WHOLE_HOST,
            Self::Alert(_) | Self::Protocol(_) => "Check what the server's log says about this connection.",
            Self::Truncated { .. } => "Check that the server runs, and what stands between it and this client.",
            Self::NotTls => "Check that the port speaks TLS, or use http for it.",
        }
    }
}

impl ServerFlaw {
    const fn remedy(&self) -> &'static str {
        match self {
            Self::Untrusted => Failure::ServerCertificate.remedy(),
            Self::Expired { .. } => "Renew the server's certificate, and check this machine's clock.",
            Self::NotYetValid => "Check this machine's clock, and the server's certificate.",
            Self::WrongName { .. } => {
                "Use a name that the certificate holds, or give the server a certificate with this name."
            }
            Self::Purpose => "Use a certificate for the server whose extended key usage allows servers.",
            Self::Broken(_) => "Replace the server's certificate.",
        }
    }
}

impl fmt::Display for ServerFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted => f.write_str("the server's certificate is issued by nobody who is trusted here"),
            Self::Expired { not_after: Some(at) } => {
                write!(f, "the server's certificate has expired at {} (Unix seconds)", at.0 / 1000)
            }
            Self::Expired { not_after: None } => f.write_str("the server's certificate has expired"),
            Self::NotYetValid => f.write_str("the server's certificate is not valid yet"),
            Self::WrongName { presented } if presented.is_empty() => {
                f.write_str("the server's certificate is made out to another name")
            }
            Self::WrongName { presented } => {
                write!(f, "the server's certificate is made out to {}", presented.join(", "))
            }
            Self::Purpose => f.write_str("the server's certificate is not meant for servers"),
            Self::Broken(what) => write!(f, "the server's certificate cannot be used: {what}"),
        }
    }
}

/// The name of an alert in words.
fn alert_text(alert: u8) -> &'static str {
    match alert {
        10 => "unexpected message",
        20 => "bad record",
        22 => "record overflow",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown certificate authority",
        49 => "access denied",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        86 => "inappropriate fallback",
        90 => "user canceled",
        109 => "missing extension",
        110 => "unsupported extension",
        112 => "unrecognized name",
        115 => "unknown PSK identity",
        116 => "certificate required",
        120 => "no application protocol",
        _ => "alert without a name here",
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what(), self.remedy())
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
