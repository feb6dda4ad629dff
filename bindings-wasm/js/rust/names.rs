//! The words of the JavaScript interface for the core's enums.

use regauth::hop::Hop;
use regauth::{Capability, ErrorKind, Failure, Waiting};

pub(crate) fn hop(name: &str) -> Option<Hop> {
    [Hop::Registry, Hop::Token, Hop::Redirect, Hop::Upload, Hop::Layer, Hop::TokenRedirect]
        .into_iter()
        .find(|hop| hop.as_str() == name)
}

pub(crate) fn capability(name: &str) -> Option<Capability> {
    Capability::ALL.into_iter().find(|capability| capability.as_str() == name)
}

const FAILURES: [(&str, Failure); 8] = [
    ("connect", Failure::Connect),
    ("timeout", Failure::Timeout),
    ("reset", Failure::Reset),
    ("server-certificate", Failure::ServerCertificate),
    ("certificate-required", Failure::CertificateRequired),
    ("certificate-rejected", Failure::CertificateRejected),
    ("tls", Failure::Tls),
    ("address-refused", Failure::AddressRefused),
];

pub(crate) fn failure(name: &str) -> Option<Failure> {
    FAILURES.iter().find(|(known, _)| *known == name).map(|(_, failure)| *failure)
}

pub(crate) fn of_failure(failure: Failure) -> &'static str {
    FAILURES.iter().find(|(_, known)| *known == failure).map_or("other", |(name, _)| name)
}

pub(crate) const fn waiting(why: Waiting) -> &'static str {
    match why {
        Waiting::Token => "token",
        Waiting::Skew => "skew",
        Waiting::RetryAfter => "retry-after",
        Waiting::BackOff => "back-off",
        _ => "other",
    }
}

pub(crate) const fn kind(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Misuse(_) => "misuse",
        ErrorKind::Url(_) => "url",
        ErrorKind::Method => "method",
        ErrorKind::Header(_) => "header",
        ErrorKind::Field(_) => "field",
        ErrorKind::BodyGone => "body-gone",
        ErrorKind::UserHoldsColon => "user-holds-colon",
        ErrorKind::NoPassword { .. } => "no-password",
        ErrorKind::WrongKind { .. } => "wrong-kind",
        ErrorKind::Helper(_) => "helper",
        ErrorKind::Credentials(_) => "credentials",
        ErrorKind::Identity(_) => "identity",
        ErrorKind::Tls { .. } => "tls",
        ErrorKind::Realm { .. } => "realm",
        ErrorKind::Refused { .. } => "refused",
        ErrorKind::TooManyTokens => "too-many-tokens",
        ErrorKind::Protocol(_) => "protocol",
        ErrorKind::TokenRefused { .. } => "token-refused",
        ErrorKind::TokenLater { .. } => "token-later",
        ErrorKind::TokenMalformed(_) => "token-malformed",
        ErrorKind::TokenNowhere { .. } => "token-nowhere",
        ErrorKind::Network { .. } => "network",
        ErrorKind::Denied(_) => "denied",
        ErrorKind::Ask { .. } => "ask",
        ErrorKind::Address(_) => "address",
        _ => "other",
    }
}
