//! What a TLS connection asks its host to do.

use std::fmt;

#[cfg(doc)]
use super::TlsClient;
use super::TlsError;

/// What the connection wants. The same until a call answers it or brings something new. `Debug` prints how many bytes
/// there are, and not which.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tls<'a> {
    /// Write some of these bytes to the socket, then call [`TlsClient::wrote`], or [`TlsClient::write_failed`].
    Write(&'a [u8]),
    /// Take some of these decrypted bytes, then call [`TlsClient::took`]. Comes before `Write`: a server that answers
    /// early and reads no more is heard.
    Plain(&'a [u8]),
    /// Read from the socket into [`TlsClient::space`], then call [`TlsClient::filled`]; or send something.
    Read,
    /// The server closed the connection in the proper way, or `close` is done.
    Closed,
    /// The connection failed; what there was to write about it has been written.
    Failed(&'a TlsError),
}

impl fmt::Debug for Tls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(bytes) => f.debug_tuple("Write").field(&bytes.len()).finish(),
            Self::Plain(bytes) => f.debug_tuple("Plain").field(&bytes.len()).finish(),
            Self::Read => f.write_str("Read"),
            Self::Closed => f.write_str("Closed"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}
