//! Request heads and the chunks of request bodies: bytes into the caller's `Vec`.

use std::fmt;
use std::io::Write as _;

use super::WireError;
use crate::client::{FRAMING, is_one_of, is_token, is_value};

/// How the body of a request is framed (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// No body; methods that anticipate one say `Content-Length: 0` (RFC 9110 section 8.6).
    None,
    /// That many bytes.
    Length(u64),
    /// A length that is not known in advance: `Transfer-Encoding: chunked`.
    Chunked,
}

/// The head of one request, without its other fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method, case-sensitive.
    pub method: &'a str,
    /// The request target in origin form: path and query, as they go out.
    pub target: &'a str,
    /// The `Host` field: host and, where it is not the default, port.
    pub host: &'a str,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether to say `Connection: close`. HTTP/1.1 needs no other word to keep a connection.
    pub close: bool,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        f.debug_struct("Request").field("method", &self.method).field("path", &path).finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// Appends the head to `out`: the request line, `Host`, `fields` in their order, framing. On an error nothing is
    /// written. Fields that the head makes itself, and others that rule the connection, are refused.
    ///
    /// `fields` is gone through twice: all of it is checked and measured first, so that `out` grows once and no earlier
    /// copy of a secret value stays behind in memory.
    pub fn write<'f, I>(&self, fields: I, out: &mut Vec<u8>) -> Result<(), WireError>
    where
        I: IntoIterator<Item = (&'f str, &'f [u8])> + Clone,
    {
        self.check()?;
        // The constant texts: request line and Host 21, Content-Length 38, Connection 19, the empty line 2.
        let mut size = self.method.len() + self.target.len() + self.host.len() + 80;
        for (name, value) in fields.clone() {
            check_field(name, value)?;
            if is_one_of(name, FRAMING) {
                return Err(WireError::FramingField);
            }
            size += name.len() + value.len() + 4;
        }
        out.reserve_exact(size);
        for part in [self.method, " ", self.target, " HTTP/1.1\r\nHost: ", self.host, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        for (name, value) in fields {
            for part in [name.as_bytes(), b": ", value, CHUNK_END] {
                out.extend_from_slice(part);
            }
        }
        match self.framing {
            Framing::None if matches!(self.method, "POST" | "PUT" | "PATCH") => {
                out.extend_from_slice(b"Content-Length: 0\r\n");
            }
            Framing::None => {}
            Framing::Length(length) => out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes()),
            Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        if self.close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(CHUNK_END);
        Ok(())
    }

    fn check(&self) -> Result<(), WireError> {
        if !is_token(self.method) {
            return Err(WireError::Method);
        }
        // Bytes above 127 stay as the server wrote them in its URL.
        if self.target.is_empty() || self.target.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(WireError::Target);
        }
        if self.host.is_empty() || !self.host.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(WireError::Host);
        }
        Ok(())
    }
}

/// Whether the application may set this field.
///
/// Refused are the credential fields (they are decided for each hop), those that [`Request`] makes itself, and those
/// that rule one connection (RFC 9110 section 7.6.1). Nothing is dropped in silence.
pub fn application_field(name: &str, value: &[u8]) -> Result<(), WireError> {
    check_field(name, value)?;
    if is_one_of(name, CREDENTIAL) {
        return Err(WireError::CredentialField);
    }
    if is_one_of(name, FRAMING) {
        return Err(WireError::FramingField);
    }
    Ok(())
}

/// Appends the line that begins a chunk of `length` bytes; the data and [`CHUNK_END`] follow it. Nothing for 0, since
/// that would be the last chunk.
pub fn chunk_head(length: usize, out: &mut Vec<u8>) {
    if length > 0 {
        _ = write!(out, "{length:x}\r\n");
    }
}

/// What stands after the data of a chunk (RFC 9112 section 7.1).
pub const CHUNK_END: &[u8] = b"\r\n";
/// The last chunk, and no trailer.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

const CREDENTIAL: &[&str] = &["authorization", "cookie", "proxy-authorization"];

fn check_field(name: &str, value: &[u8]) -> Result<(), WireError> {
    if !is_token(name) {
        return Err(WireError::FieldName);
    }
    if !is_value(value) {
        return Err(WireError::FieldValue);
    }
    Ok(())
}
