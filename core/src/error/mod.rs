//! Errors: who is at fault, on which hop, what happened and what to do.

mod diagnosis;
mod hop;
mod network;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::origin::{Origin, UrlFlaw};
use crate::time::Time;
use crate::tls::Evidence;

#[cfg(feature = "tls")]
pub(crate) use diagnosis::WHOLE_HOST;
pub use diagnosis::{CertificateState, Diagnosis};
pub use hop::{Hop, Reason};

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The caller or its configuration.
    Local,
    /// The registry's answer.
    Registry,
    /// The token service's answer.
    TokenService,
    /// The connection: no answer came.
    Network,
    /// The hop policy refused before anything was sent.
    Policy,
}

impl Fault {
    /// `local`, `registry`, `token-service`, `network` or `policy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Registry => "registry",
            Self::TokenService => "token-service",
            Self::Network => "network",
            Self::Policy => "policy",
        }
    }
}

/// How a connection failed, in the host's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// No connection: refused, no route, no name.
    Connect,
    /// No answer within the host's limit.
    Timeout,
    /// Reset, or closed before the answer was whole.
    Reset,
    /// The server's certificate was not accepted here.
    ServerCertificate,
    /// The server said, or lets conclude, that it requires a client certificate and got none.
    CertificateRequired,
    /// The server refused the client certificate that was shown, or the handshake.
    CertificateRejected,
    /// Any other TLS error.
    Tls,
    /// `dial` refused every address of the host.
    AddressRefused,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Timeout,
        Self::Reset,
        Self::ServerCertificate,
        Self::CertificateRequired,
        Self::CertificateRejected,
        Self::Tls,
        Self::AddressRefused,
    ];

    /// `connect`, `timeout`, `reset`, `server-certificate`, `certificate-required`, `certificate-rejected`, `tls` or
    /// `address-refused`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::ServerCertificate => "server-certificate",
            Self::CertificateRequired => "certificate-required",
            Self::CertificateRejected => "certificate-rejected",
            Self::Tls => "tls",
            Self::AddressRefused => "address-refused",
        }
    }
}

/// What happened. Matched in tests and by bindings; the texts come from [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Local: a call that does not fit the step that was asked for.
    Misuse(&'static str),
    /// Local: the URL that the caller gave.
    Url(UrlFlaw),
    /// Local: the method that the caller gave is no token (RFC 9110 section 9.1).
    Method,
    /// Local: a header field of a host entry that cannot be sent, or that is not for the configuration to set.
    Header(String),
    /// Local: a header field of the application that cannot be sent, or that is not the application's to set.
    Field(&'static str),
    /// Local: the request has to be sent again, and the application cannot read its body a second time.
    BodyGone,
    /// Local: a user name with a colon cannot be sent by Basic (RFC 7617 section 2).
    UserHoldsColon,
    /// Local: a user without a password, facing Basic.
    NoPassword {
        /// The user name.
        user: String,
    },
    /// Local: the credentials are of a kind that this registry has no use for.
    WrongKind {
        /// What is configured: a refresh token or a bearer token.
        have: &'static str,
    },
    /// Local: the credential helper failed.
    Helper(String),
    /// Local: credentials are configured for this registry and cannot be read.
    Credentials(String),
    /// Local: a key, a certificate or a root that cannot be used.
    Identity(String),
    /// Local: TLS cannot be spoken with what is configured, or a signer did not sign.
    Tls {
        /// One sentence: what happened.
        what: String,
        /// One sentence: what to do about it.
        remedy: &'static str,
    },
    /// Registry: a Bearer challenge without a usable realm, and nothing else to use.
    Realm {
        /// The realm as text, empty where there was none.
        realm: String,
    },
    /// Registry: the credentials or the token that were sent are refused.
    Refused {
        /// What was sent: a password, a preset bearer token, a token.
        sent: &'static str,
        /// The answer's status.
        status: u16,
    },
    /// Registry: five token requests, and none of the tokens was accepted.
    TooManyTokens,
    /// Registry: an answer that is not HTTP, or breaks a limit.
    Protocol(&'static str),
    /// Token service: a refusal.
    TokenRefused {
        /// The answer's status.
        status: u16,
        /// The OAuth error code (RFC 6749 section 5.2), where the answer had one of the known ones.
        code: Option<&'static str>,
        /// The status of the POST before it, where both ways were tried.
        first: Option<u16>,
        /// What the answer says about client certificates.
        certificates: Option<Box<Diagnosis>>,
    },
    /// Token service: come back later.
    TokenLater {
        /// 429 or 503.
        status: u16,
        /// When, if it said so.
        retry_at: Option<Time>,
    },
    /// Token service: a 200 that holds no token.
    TokenMalformed(&'static str),
    /// Token service: a redirect without a Location.
    TokenNowhere {
        /// The answer's status.
        status: u16,
    },
    /// Network: no answer came.
    Network {
        /// What the host saw.
        failure: Failure,
        /// What the TLS connection showed, where there was one.
        evidence: Option<Box<Evidence>>,
    },
    /// Policy: always refused.
    Denied(Reason),
    /// Policy: refused until the configuration allows it.
    Ask {
        /// Why.
        reason: Reason,
        /// The exact configuration line that would allow it.
        line: String,
    },
    /// Policy: an address, or every address that was tried.
    Address(Option<IpAddr>),
}

/// A latched error: after it every call on the same object does nothing. Cheap to clone: all who wait for one token get
/// the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    hop: Option<Hop>,
    origin: Option<Origin>,
}

impl Error {
    /// An error that belongs to no hop.
    pub fn new(kind: ErrorKind) -> Self {
        Self(Arc::new(Inner { kind, hop: None, origin: None }))
    }

    /// An error of one hop.
    pub fn at(kind: ErrorKind, hop: Hop, origin: Option<Origin>) -> Self {
        Self(Arc::new(Inner { kind, hop: Some(hop), origin }))
    }

    /// What happened.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What it says about client certificates, where it does.
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        match &self.0.kind {
            ErrorKind::Network { failure, evidence } => Diagnosis::of_failure(*failure, evidence.as_deref()),
            ErrorKind::TokenRefused { certificates, .. } => certificates.as_deref().cloned(),
            _ => None,
        }
    }

    /// The hop that failed, if it was one.
    pub fn hop(&self) -> Option<Hop> {
        self.0.hop
    }

    /// The origin of that hop, where its URL could be read.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_ref()
    }

    /// Who has to act.
    pub fn fault(&self) -> Fault {
        match &self.0.kind {
            ErrorKind::Misuse(_)
            | ErrorKind::Url(_)
            | ErrorKind::Method
            | ErrorKind::Header(_)
            | ErrorKind::Field(_)
            | ErrorKind::BodyGone
            | ErrorKind::UserHoldsColon
            | ErrorKind::NoPassword { .. }
            | ErrorKind::WrongKind { .. }
            | ErrorKind::Helper(_)
            | ErrorKind::Credentials(_)
            | ErrorKind::Identity(_)
            | ErrorKind::Tls { .. } => Fault::Local,
            ErrorKind::Realm { .. } | ErrorKind::Refused { .. } | ErrorKind::TooManyTokens | ErrorKind::Protocol(_) => {
                if matches!(self.0.hop, Some(Hop::Token | Hop::TokenRedirect)) {
                    Fault::TokenService
                } else {
                    Fault::Registry
                }
            }
            ErrorKind::TokenRefused { .. }
            | ErrorKind::TokenLater { .. }
            | ErrorKind::TokenMalformed(_)
            | ErrorKind::TokenNowhere { .. } => Fault::TokenService,
            ErrorKind::Network { .. } => Fault::Network,
            ErrorKind::Denied(_) | ErrorKind::Ask { .. } | ErrorKind::Address(_) => Fault::Policy,
        }
    }

    /// One sentence: what happened, on which hop. No secret, no query, no text of a server's body.
    pub fn what(&self) -> String {
        let place = match (self.0.hop, &self.0.origin) {
            (Some(hop), Some(origin)) => format!(" ({} at {origin})", hop.as_str()),
            (Some(hop), None) => format!(" ({})", hop.as_str()),
            (None, _) => String::new(),
        };
        let what = match &self.0.kind {
            ErrorKind::Misuse(what) => format!("the library was called out of order: {what}"),
            ErrorKind::Url(flaw) => format!("the URL {flaw}"),
            ErrorKind::Method => "the method is no HTTP token".into(),
            ErrorKind::Header(name) => {
                format!("the header field \"{}\" of a host entry cannot be sent", name.escape_default())
            }
            ErrorKind::Field(what) => format!("a header field of the application is refused: {what}"),
            ErrorKind::BodyGone => "the request has to be sent again and its body cannot be read twice".into(),
            ErrorKind::UserHoldsColon => "the user name holds a colon, which Basic cannot carry".into(),
            ErrorKind::NoPassword { user } => format!("the registry wants a password and {user} has none"),
            ErrorKind::WrongKind { have } => format!("the registry wants a password and the configuration has {have}"),
            ErrorKind::Helper(text) => format!("the credential helper failed: {text}"),
            ErrorKind::Credentials(text) | ErrorKind::Identity(text) => text.clone(),
            ErrorKind::Tls { what, .. } => what.clone(),
            ErrorKind::Realm { realm } if realm.is_empty() => "the Bearer challenge has no realm".into(),
            ErrorKind::Realm { realm } => {
                format!("the realm \"{}\" of the Bearer challenge is no URL", realm.escape_default())
            }
            ErrorKind::Refused { sent, status } => format!("{sent} was sent and refused with {status}"),
            ErrorKind::TooManyTokens => "five tokens were fetched and each was refused".into(),
            ErrorKind::Protocol(what) => format!("the answer breaks HTTP/1.1: {what}"),
            ErrorKind::TokenRefused { status, code, first, certificates } => {
                let code = code.map(|code| format!(" {code}")).unwrap_or_default();
                let more = certificates.as_ref().map(|more| format!("; {}", more.what)).unwrap_or_default();
                match first {
                    Some(first) => {
                        format!("the token service answered POST with {first} and GET with {status}{code}{more}")
                    }
                    None => format!("the token service refused with {status}{code}{more}"),
                }
            }
            ErrorKind::TokenLater { status, retry_at: Some(at) } => {
                format!(
                    "the token service answered {status} and wants to be asked again at {} (Unix seconds)",
                    at.0 / 1000
                )
            }
            ErrorKind::TokenLater { status, .. } => format!("the token service answered {status}"),
            ErrorKind::TokenMalformed(what) => format!("the token service's answer holds no usable token: {what}"),
            ErrorKind::TokenNowhere { status } => format!("the token service answered {status} without a Location"),
            ErrorKind::Network { failure, evidence } => network::what(*failure, evidence.as_deref()),
            ErrorKind::Denied(reason) | ErrorKind::Ask { reason, .. } => format!("refused by policy: {reason}"),
            ErrorKind::Address(Some(address)) => {
                format!("refused by policy: the address {address} is not for this hop")
            }
            ErrorKind::Address(None) => "refused by policy: no address of this host is allowed for this hop".into(),
        };
        format!("{what}{place}")
    }

    /// One sentence: what to do about it.
    pub fn remedy(&self) -> String {
        match &self.0.kind {
            ErrorKind::Misuse(_) => "Answer each step with the call that its documentation names.".into(),
            ErrorKind::Url(_) => "Give an absolute http or https URL.".into(),
            ErrorKind::Method => "Give a method such as GET.".into(),
            ErrorKind::Header(_) => {
                "Use a token as the name, visible text as the value, and credentials for Authorization.".into()
            }
            ErrorKind::Field(_) => "Leave framing and credentials to the library, and send visible text.".into(),
            ErrorKind::BodyGone => "Send the body from something that can be rewound, or ask for a token first.".into(),
            ErrorKind::UserHoldsColon => "Use a user name without a colon, or ask for POST (password_post).".into(),
            ErrorKind::NoPassword { .. } => "Configure a password, or an identity token, for this registry.".into(),
            ErrorKind::WrongKind { .. } => "Configure user and password for this registry.".into(),
            ErrorKind::Helper(_) => "Run the helper by hand with the registry's name on its standard input.".into(),
            ErrorKind::Credentials(_) => "Correct the file, or log in to the registry again.".into(),
            ErrorKind::Tls { remedy, .. } => (*remedy).into(),
            ErrorKind::Identity(_) => {
                "Give a PEM certificate chain and the unencrypted PEM key that belongs to its first certificate.".into()
            }
            ErrorKind::Realm { .. } => "Set the token URL in the registry's configuration (auth.token.realm).".into(),
            ErrorKind::Refused { .. } => {
                "Check the credentials, and what they are allowed to do on this repository.".into()
            }
            ErrorKind::TooManyTokens => {
                "Check that the registry trusts the token service's key and that their clocks agree.".into()
            }
            ErrorKind::Protocol(_) => "Check what stands between this client and the server, a proxy for one.".into(),
            ErrorKind::TokenRefused { certificates: Some(more), .. } if more.state != CertificateState::NotAsked => {
                more.remedy.clone()
            }
            ErrorKind::TokenRefused { .. } => {
                "Check user and password, or the refresh token, for this registry.".into()
            }
            ErrorKind::TokenLater { .. } => "Try again later.".into(),
            ErrorKind::TokenMalformed(_) | ErrorKind::TokenNowhere { .. } => {
                "Check that the realm of the registry's challenge is its token endpoint.".into()
            }
            ErrorKind::Network { failure, evidence } => network::remedy(*failure, evidence.as_deref()),
            ErrorKind::Denied(reason) => reason.remedy().into(),
            ErrorKind::Ask { line, .. } => format!("If you trust it, add to the configuration: {line}"),
            ErrorKind::Address(_) => {
                "If this address is meant, give leave to it: local = true on the pair or the host entry.".into()
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what(), self.remedy())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
