//! Layer c: HTTP/1.1 (RFC 9112) on slices, and whole exchanges over the host's sockets.
//!
//! The parts are usable alone: [`Request`] writes a head, [`HeadReader`] reads one, [`Body`] finds the content in what
//! follows. None of them buffers content, and all of them give the same result however the bytes are cut.

mod body;
mod call;
mod connection;
mod exchange;
mod head;
mod link;
mod plain;
mod request;
mod sent;
mod transport;

use std::fmt;

pub use body::{Body, Collector, Part, Piece};
pub use exchange::{Do, Exchange, MAX_DISCARD};
pub use head::{Head, HeadReader};
pub use link::{Link, LinkKey, Target};
pub use request::{CHUNK_END, Framing, LAST_CHUNK, Request, application_field, chunk_head};
pub use sent::Sent;

/// The largest response head, in bytes with its line ends; Python's http.client allows as much for one line. Challenges
/// with many scopes are the long ones.
pub const MAX_HEAD: usize = 64 * 1024;
/// The most field lines in one head or trailer: the limit of hyper and of Python's http.client.
pub const MAX_FIELDS: usize = 100;
/// The most interim (1xx) responses before the final one: Go's net/http stopped at five too.
pub const MAX_INTERIM: u8 = 5;
/// The most bytes of chunk extensions in one body, all chunks together: hyper's limit.
pub const MAX_EXTENSIONS: usize = 16 * 1024;
/// The largest trailer section, in bytes: hyper's limit.
pub const MAX_TRAILERS: usize = 16 * 1024;

/// What is wrong with a message. The texts name the rule and hold nothing of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireError {
    /// Request: the method is no token (RFC 9110 section 9.1).
    Method,
    /// Request: the target is empty or holds a control character or a space (RFC 9112 section 3.2).
    Target,
    /// Request: the host is empty or is not visible ASCII (RFC 9112 section 3.2).
    Host,
    /// Request: a field name is no token (RFC 9110 section 5.1).
    FieldName,
    /// Request: a field value holds CR, LF, NUL or another control character (RFC 9110 section 5.5).
    FieldValue,
    /// Request: a credential field from the application; authentication is decided for each hop, in one place.
    CredentialField,
    /// Request: a field from the application that frames the message or rules the connection.
    FramingField,
    /// Response: it does not begin with `HTTP/1.0` or `HTTP/1.1` (RFC 9112 section 2.3).
    NotHttp,
    /// Response: the head breaks the grammar (RFC 9112 sections 4 and 5), an obsolete line folding included.
    Head,
    /// Response: the head is longer than [`MAX_HEAD`].
    HeadTooLong,
    /// Response: more than [`MAX_FIELDS`] fields in the head or the trailer.
    TooManyFields,
    /// Response: more than [`MAX_INTERIM`] interim responses.
    TooManyInterim,
    /// Response: 101, without a request to switch protocols (RFC 9110 section 15.2.2).
    Switched,
    /// Response: a Content-Length that is no decimal number of 64 bits (RFC 9110 section 8.6).
    Length,
    /// Response: Content-Length fields that differ (RFC 9112 section 6.3).
    LengthsDiffer,
    /// Response: both Content-Length and Transfer-Encoding (RFC 9112 section 6.3).
    LengthAndCoding,
    /// Response: a transfer coding other than `chunked` alone, or one in HTTP/1.0 (RFC 9112 section 6.1).
    Coding,
    /// Response: a chunk size that is no hexadecimal number of 64 bits, or its line breaks the grammar (RFC 9112
    /// section 7.1).
    ChunkSize,
    /// Response: chunk extensions longer than [`MAX_EXTENSIONS`].
    Extensions,
    /// Response: no CRLF after a chunk's data (RFC 9112 section 7.1).
    ChunkEnd,
    /// Response: the trailer section breaks the grammar or is longer than [`MAX_TRAILERS`] (RFC 9112 section 7.1.2).
    Trailer,
    /// Response: the connection ended before the message did (RFC 9112 section 8).
    Truncated,
    /// Response: longer than the limit of the [`Collector`].
    TooLong,
}

impl WireError {
    /// One clause without a subject's name, for the end of a sentence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "the method is no HTTP token",
            Self::Target => "the request target is empty or holds a control character or a space",
            Self::Host => "the host is empty or not visible ASCII",
            Self::FieldName => "a field name is no HTTP token",
            Self::FieldValue => "a field value holds a control character",
            Self::CredentialField => "Authorization, Cookie and Proxy-Authorization are not the application's to set",
            Self::FramingField => {
                "a field that frames the message or rules the connection is not the application's to set"
            }
            Self::NotHttp => "it does not begin with HTTP/1.0 or HTTP/1.1",
            Self::Head => "its head breaks the grammar",
            Self::HeadTooLong => "its head is longer than 64 KiB",
            Self::TooManyFields => "it has more than 100 fields",
            Self::TooManyInterim => "more than five interim responses came before it",
            Self::Switched => "101 came without a request to switch protocols",
            Self::Length => "its Content-Length is no decimal number",
            Self::LengthsDiffer => "its Content-Length fields differ",
            Self::LengthAndCoding => "it has both Content-Length and Transfer-Encoding",
            Self::Coding => "its transfer coding is not chunked alone, or comes with HTTP/1.0",
            Self::ChunkSize => "a chunk size is no hexadecimal number",
            Self::Extensions => "its chunk extensions are longer than 16 KiB",
            Self::ChunkEnd => "a chunk is longer than its size",
            Self::Trailer => "its trailer breaks the grammar or is longer than 16 KiB",
            Self::Truncated => "the connection ended before it was whole",
            Self::TooLong => "it is longer than the limit",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for WireError {}
