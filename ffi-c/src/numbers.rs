//! The numbers that stand for enumerations. None crosses the border as a Rust enum: an unknown number is an input error.

use regauth::{ErrorKind, Failure, Fault, Hop, PairKind, Waiting};

use crate::data::regauth_status;

/// Done.
pub const REGAUTH_OK: regauth_status = 0;
/// A pointer is NULL that must not be.
pub const REGAUTH_NULL: regauth_status = 1;
/// The call does not fit the state of the object: out of order, from inside a callback, or after the object was used up.
pub const REGAUTH_MISUSE: regauth_status = 2;
/// A defect of the library, in this call or in an earlier one on the same object, which is of no more use: free it.
pub const REGAUTH_PANIC: regauth_status = 3;
/// An argument that is none: an unknown number or flag, text that is not UTF-8, a struct_size that cannot be.
pub const REGAUTH_INPUT: regauth_status = 4;
/// It failed; the object's error, or the error that was given out, says why.
pub const REGAUTH_FAILED: regauth_status = 5;
/// The buffer is too small; the length that is needed was given out, and nothing else.
pub const REGAUTH_SPACE: regauth_status = 6;
/// There is nothing to give: no error.
pub const REGAUTH_NONE: regauth_status = 7;

/// The registry API, as the caller asked.
pub const REGAUTH_HOP_REGISTRY: u32 = 1;
/// The token endpoint that the registry's challenge names.
pub const REGAUTH_HOP_TOKEN: u32 = 2;
/// A redirect of a registry request.
pub const REGAUTH_HOP_REDIRECT: u32 = 3;
/// The location of an upload session.
pub const REGAUTH_HOP_UPLOAD: u32 = 4;
/// A layer URL that a manifest names.
pub const REGAUTH_HOP_LAYER: u32 = 5;
/// A redirect of a token request.
pub const REGAUTH_HOP_TOKEN_REDIRECT: u32 = 6;

/// The caller or its configuration.
pub const REGAUTH_FAULT_LOCAL: u32 = 1;
/// The registry's answer.
pub const REGAUTH_FAULT_REGISTRY: u32 = 2;
/// The token service's answer.
pub const REGAUTH_FAULT_TOKEN_SERVICE: u32 = 3;
/// The connection: no answer came.
pub const REGAUTH_FAULT_NETWORK: u32 = 4;
/// The hop policy refused before anything was sent.
pub const REGAUTH_FAULT_POLICY: u32 = 5;

/// No connection: refused, no route, no name.
pub const REGAUTH_FAILURE_CONNECT: u32 = 1;
/// No answer within the host's limit.
pub const REGAUTH_FAILURE_TIMEOUT: u32 = 2;
/// Reset, or closed before the answer was whole.
pub const REGAUTH_FAILURE_RESET: u32 = 3;
/// The server's certificate was not accepted here.
pub const REGAUTH_FAILURE_SERVER_CERTIFICATE: u32 = 4;
/// The server requires a client certificate and got none.
pub const REGAUTH_FAILURE_CERTIFICATE_REQUIRED: u32 = 5;
/// The server refused the client certificate that was shown, or the handshake.
pub const REGAUTH_FAILURE_CERTIFICATE_REJECTED: u32 = 6;
/// Any other TLS error.
pub const REGAUTH_FAILURE_TLS: u32 = 7;
/// Every address of the host was refused by the dial function.
pub const REGAUTH_FAILURE_ADDRESS_REFUSED: u32 = 8;

/// Another flow fetches this token, or these credentials.
pub const REGAUTH_WAIT_TOKEN: u32 = 1;
/// A fresh token was refused: the clocks may differ.
pub const REGAUTH_WAIT_SKEW: u32 = 2;
/// The token service named a time.
pub const REGAUTH_WAIT_RETRY_AFTER: u32 = 3;
/// The token service could not be reached twice.
pub const REGAUTH_WAIT_BACK_OFF: u32 = 4;

/// The registry's credentials may go to this token endpoint.
pub const REGAUTH_PAIR_TOKEN: u32 = 1;
/// The registry may redirect to this storage.
pub const REGAUTH_PAIR_STORAGE: u32 = 2;

/// An error that is none of these.
pub const REGAUTH_ERROR_OTHER: u32 = 0;
/// Local: a call that does not fit the step that was asked for.
pub const REGAUTH_ERROR_MISUSE: u32 = 1;
/// Local: a URL.
pub const REGAUTH_ERROR_URL: u32 = 2;
/// Local: a method that is no HTTP token.
pub const REGAUTH_ERROR_METHOD: u32 = 3;
/// Local: a header field that cannot be sent, or that is not for the configuration to set.
pub const REGAUTH_ERROR_HEADER: u32 = 4;
/// Local: a user name with a colon.
pub const REGAUTH_ERROR_USER_COLON: u32 = 5;
/// Local: a user without a password, facing Basic.
pub const REGAUTH_ERROR_NO_PASSWORD: u32 = 6;
/// Local: credentials of a kind that this registry has no use for.
pub const REGAUTH_ERROR_WRONG_KIND: u32 = 7;
/// Local: the credential helper failed.
pub const REGAUTH_ERROR_HELPER: u32 = 8;
/// Local: a key, a certificate or a root that cannot be used.
pub const REGAUTH_ERROR_IDENTITY: u32 = 9;
/// Registry: a Bearer challenge without a usable realm.
pub const REGAUTH_ERROR_REALM: u32 = 10;
/// Registry: the credentials or the token that were sent are refused.
pub const REGAUTH_ERROR_REFUSED: u32 = 11;
/// Registry: five tokens, and none was accepted.
pub const REGAUTH_ERROR_TOO_MANY_TOKENS: u32 = 12;
/// Registry: an answer that is not HTTP, or breaks a limit.
pub const REGAUTH_ERROR_PROTOCOL: u32 = 13;
/// Token service: a refusal.
pub const REGAUTH_ERROR_TOKEN_REFUSED: u32 = 14;
/// Token service: come back later.
pub const REGAUTH_ERROR_TOKEN_LATER: u32 = 15;
/// Token service: a 200 that holds no token.
pub const REGAUTH_ERROR_TOKEN_MALFORMED: u32 = 16;
/// Token service: a redirect without a Location.
pub const REGAUTH_ERROR_TOKEN_NOWHERE: u32 = 17;
/// Network: no answer came.
pub const REGAUTH_ERROR_NETWORK: u32 = 18;
/// Policy: always refused.
pub const REGAUTH_ERROR_DENIED: u32 = 19;
/// Policy: refused until the configuration allows it.
pub const REGAUTH_ERROR_ASK: u32 = 20;
/// Policy: an address, or every address that was tried.
pub const REGAUTH_ERROR_ADDRESS: u32 = 21;
/// Local: a reference, a text that is no image name.
pub const REGAUTH_ERROR_REFERENCE: u32 = 22;
/// Network or local: a TLS connection of layer b.
pub const REGAUTH_ERROR_TLS: u32 = 23;
/// Local: a header field of the application that is not its to set, or cannot be sent.
pub const REGAUTH_ERROR_FIELD: u32 = 24;
/// Local: the request has to be sent again and its body cannot be read twice.
pub const REGAUTH_ERROR_BODY_GONE: u32 = 25;
/// Local: credentials are configured for this registry and cannot be read.
pub const REGAUTH_ERROR_CREDENTIALS: u32 = 26;
/// Local: a guard, an issuer or a certificate that cannot be made so.
pub const REGAUTH_ERROR_SETUP: u32 = 27;

pub(crate) fn hop(number: u32) -> Result<Hop, regauth_status> {
    Ok(match number {
        REGAUTH_HOP_REGISTRY => Hop::Registry,
        REGAUTH_HOP_TOKEN => Hop::Token,
        REGAUTH_HOP_REDIRECT => Hop::Redirect,
        REGAUTH_HOP_UPLOAD => Hop::Upload,
        REGAUTH_HOP_LAYER => Hop::Layer,
        REGAUTH_HOP_TOKEN_REDIRECT => Hop::TokenRedirect,
        _ => return Err(REGAUTH_INPUT),
    })
}

pub(crate) fn from_hop(hop: Hop) -> u32 {
    match hop {
        Hop::Registry => REGAUTH_HOP_REGISTRY,
        Hop::Token => REGAUTH_HOP_TOKEN,
        Hop::Redirect => REGAUTH_HOP_REDIRECT,
        Hop::Upload => REGAUTH_HOP_UPLOAD,
        Hop::Layer => REGAUTH_HOP_LAYER,
        Hop::TokenRedirect => REGAUTH_HOP_TOKEN_REDIRECT,
        _ => 0,
    }
}

pub(crate) fn from_fault(fault: Fault) -> u32 {
    match fault {
        Fault::Local => REGAUTH_FAULT_LOCAL,
        Fault::Registry => REGAUTH_FAULT_REGISTRY,
        Fault::TokenService => REGAUTH_FAULT_TOKEN_SERVICE,
        Fault::Network => REGAUTH_FAULT_NETWORK,
        Fault::Policy => REGAUTH_FAULT_POLICY,
        _ => 0,
    }
}

pub(crate) fn failure(number: u32) -> Result<Failure, regauth_status> {
    Ok(match number {
        REGAUTH_FAILURE_CONNECT => Failure::Connect,
        REGAUTH_FAILURE_TIMEOUT => Failure::Timeout,
        REGAUTH_FAILURE_RESET => Failure::Reset,
        REGAUTH_FAILURE_SERVER_CERTIFICATE => Failure::ServerCertificate,
        REGAUTH_FAILURE_CERTIFICATE_REQUIRED => Failure::CertificateRequired,
        REGAUTH_FAILURE_CERTIFICATE_REJECTED => Failure::CertificateRejected,
        REGAUTH_FAILURE_TLS => Failure::Tls,
        REGAUTH_FAILURE_ADDRESS_REFUSED => Failure::AddressRefused,
        _ => return Err(REGAUTH_INPUT),
    })
}

pub(crate) fn from_failure(failure: Failure) -> u32 {
    match failure {
        Failure::Connect => REGAUTH_FAILURE_CONNECT,
        Failure::Timeout => REGAUTH_FAILURE_TIMEOUT,
        Failure::Reset => REGAUTH_FAILURE_RESET,
        Failure::ServerCertificate => REGAUTH_FAILURE_SERVER_CERTIFICATE,
        Failure::CertificateRequired => REGAUTH_FAILURE_CERTIFICATE_REQUIRED,
        Failure::CertificateRejected => REGAUTH_FAILURE_CERTIFICATE_REJECTED,
        Failure::Tls => REGAUTH_FAILURE_TLS,
        Failure::AddressRefused => REGAUTH_FAILURE_ADDRESS_REFUSED,
        _ => 0,
    }
}

pub(crate) fn from_waiting(why: Waiting) -> u32 {
    match why {
        Waiting::Token => REGAUTH_WAIT_TOKEN,
        Waiting::Skew => REGAUTH_WAIT_SKEW,
        Waiting::RetryAfter => REGAUTH_WAIT_RETRY_AFTER,
        Waiting::BackOff => REGAUTH_WAIT_BACK_OFF,
        _ => 0,
    }
}

pub(crate) fn pair_kind(number: u32) -> Result<PairKind, regauth_status> {
    match number {
        REGAUTH_PAIR_TOKEN => Ok(PairKind::Token),
        REGAUTH_PAIR_STORAGE => Ok(PairKind::Storage),
        _ => Err(REGAUTH_INPUT),
    }
}

pub(crate) fn from_kind(kind: &ErrorKind) -> u32 {
    match kind {
        ErrorKind::Misuse(_) => REGAUTH_ERROR_MISUSE,
        ErrorKind::Url(_) => REGAUTH_ERROR_URL,
        ErrorKind::Method => REGAUTH_ERROR_METHOD,
        ErrorKind::Header(_) => REGAUTH_ERROR_HEADER,
        ErrorKind::Field(_) => REGAUTH_ERROR_FIELD,
        ErrorKind::BodyGone => REGAUTH_ERROR_BODY_GONE,
        ErrorKind::UserHoldsColon => REGAUTH_ERROR_USER_COLON,
        ErrorKind::NoPassword { .. } => REGAUTH_ERROR_NO_PASSWORD,
        ErrorKind::WrongKind { .. } => REGAUTH_ERROR_WRONG_KIND,
        ErrorKind::Helper(_) => REGAUTH_ERROR_HELPER,
        ErrorKind::Credentials(_) => REGAUTH_ERROR_CREDENTIALS,
        ErrorKind::Tls { .. } => REGAUTH_ERROR_TLS,
        ErrorKind::Identity(_) => REGAUTH_ERROR_IDENTITY,
        ErrorKind::Realm { .. } => REGAUTH_ERROR_REALM,
        ErrorKind::Refused { .. } => REGAUTH_ERROR_REFUSED,
        ErrorKind::TooManyTokens => REGAUTH_ERROR_TOO_MANY_TOKENS,
        ErrorKind::Protocol(_) => REGAUTH_ERROR_PROTOCOL,
        ErrorKind::TokenRefused { .. } => REGAUTH_ERROR_TOKEN_REFUSED,
        ErrorKind::TokenLater { .. } => REGAUTH_ERROR_TOKEN_LATER,
        ErrorKind::TokenMalformed(_) => REGAUTH_ERROR_TOKEN_MALFORMED,
        ErrorKind::TokenNowhere { .. } => REGAUTH_ERROR_TOKEN_NOWHERE,
        ErrorKind::Network { .. } => REGAUTH_ERROR_NETWORK,
        ErrorKind::Denied(_) => REGAUTH_ERROR_DENIED,
        ErrorKind::Ask { .. } => REGAUTH_ERROR_ASK,
        ErrorKind::Address(_) => REGAUTH_ERROR_ADDRESS,
        _ => REGAUTH_ERROR_OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_back() {
        for number in REGAUTH_HOP_REGISTRY..=REGAUTH_HOP_TOKEN_REDIRECT {
            assert_eq!(hop(number).map(from_hop), Ok(number));
        }
        for number in REGAUTH_FAILURE_CONNECT..=REGAUTH_FAILURE_ADDRESS_REFUSED {
            assert_eq!(failure(number).map(from_failure), Ok(number));
        }
        assert_eq!((hop(0), hop(7)), (Err(REGAUTH_INPUT), Err(REGAUTH_INPUT)));
        assert_eq!((failure(0), failure(9)), (Err(REGAUTH_INPUT), Err(REGAUTH_INPUT)));
        assert_eq!((pair_kind(0), pair_kind(3)), (Err(REGAUTH_INPUT), Err(REGAUTH_INPUT)));
    }
}
