//! Answers of the plugin's own: errors in the form of the distribution specification (error codes).

use regauth::error::ErrorKind;
use regauth::{Error, Failure, Fault};

use crate::abi;

/// An answer to a client.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    message: String,
    retry: bool,
}

impl Reply {
    /// What a latched error is to the client of a proxy.
    pub(crate) fn of(error: &Error) -> Self {
        let status = match (error.kind(), error.fault()) {
            (ErrorKind::Network { failure: Failure::Timeout, .. }, _) => 504,
            (ErrorKind::TokenLater { .. }, _) => 503,
            (ErrorKind::TokenRefused { status: 400..500, .. } | ErrorKind::Refused { .. }, _) | (_, Fault::Policy) => {
                403
            }
            _ => 502,
        };
        Self { status, message: error.to_string(), retry: status == 503 }
    }

    /// The registry answered 401 and there is nothing to answer it with.
    pub(crate) fn refused() -> Self {
        let message = "the registry answered 401 and names no challenge that the proxy can answer. Check what its \
                       certificate and its credentials are allowed to do there.";
        Self { status: 403, message: message.into(), retry: false }
    }

    /// The registry answered 401 and the request cannot be sent again from here.
    pub(crate) fn again() -> Self {
        let message = "the registry refused the token and the request cannot be sent again by the proxy. Try again.";
        Self { status: 503, message: message.into(), retry: true }
    }

    /// A request waited for too long.
    pub(crate) fn late() -> Self {
        let message = "there was no token in time. Check that the proxy reaches the token endpoint.";
        Self { status: 504, message: message.into(), retry: false }
    }

    /// More requests wait for tokens than there is room for.
    pub(crate) fn full() -> Self {
        Self { status: 503, message: "too many requests wait for tokens. Try again.".into(), retry: true }
    }

    /// A realm that the configuration does not name, or a request that cannot be read.
    pub(crate) fn of_text(status: u16, message: String) -> Self {
        Self { status, message, retry: false }
    }

    /// One line for the log.
    pub(crate) fn text(&self) -> &str {
        &self.message
    }

    /// Sends it to the stream of the effective context.
    pub(crate) fn send(&self) -> abi::Result<()> {
        let code = match self.status {
            400 => "UNSUPPORTED",
            403 => "DENIED",
            _ => "UNAVAILABLE",
        };
        let message = quoted(&format!("regauth: {}", self.message));
        let body = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":{message}}}]}}");
        let mut fields: Vec<(&str, &[u8])> = vec![("content-type", b"application/json")];
        if self.retry {
            fields.push(("retry-after", b"1"));
        }
        abi::reply(self.status, "regauth", &fields, body.as_bytes())
    }
}

/// A JSON string (RFC 8259 section 7).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            // The messages are one line of text; what is not is left out.
            _ if character.is_control() => out.push(' '),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}
