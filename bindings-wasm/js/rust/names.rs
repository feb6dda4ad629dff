//! The words of the JavaScript interface for the core's enums.

use regauth::hop::Hop;
use regauth::{Capability, ErrorKind, Failure};

pub(crate) fn hop(name: &str) -> Option<Hop> {
    Hop::ALL.into_iter().find(|hop| hop.as_str() == name)
}

pub(crate) fn capability(name: &str) -> Option<Capability> {
    Capability::ALL.into_iter().find(|capability| capability.as_str() == name)
}

pub(crate) fn failure(name: &str) -> Option<Failure> {
    Failure::ALL.into_iter().find(|failure| failure.as_str() == name)
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
