//! Response bodies: where the content stands in what comes, without copying it.

use std::ops::Range;

use super::{Head, MAX_EXTENSIONS, MAX_FIELDS, MAX_TRAILERS, WireError};
use crate::secret::Secret;

/// Finds the content of one response (RFC 9112 section 6.3).
///
/// Chunk extensions and trailers are checked, counted and dropped. A content coding is not looked at.
#[derive(Clone, Debug)]
pub struct Body {
    state: State,
    keep_alive: bool,
    /// Bytes of chunk extensions so far.
    extensions: usize,
    /// Bytes and lines of the trailer section so far.
    trailer: usize,
    lines: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    /// In a chunk size; how many digits it has.
    Size(u64, u8),
    /// Behind a chunk size, up to the CR.
    Extension(u64, Blank),
    /// Between CR and LF of a chunk-size line.
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a trailer line.
    Line,
    /// In the name of a trailer field.
    Name,
    /// In its value.
    Value,
    /// Between CR and LF of a trailer line.
    ValueLf,
    /// Between CR and LF of the empty line.
    EndLf,
    End,
    Failed(WireError),
}

/// Whether a chunk size is followed by whitespace only so far, or by an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blank {
    Only,
    Not,
}

/// What [`Body::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// What they were.
    pub part: Part,
}

/// What stands in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Content: this range of the input, never empty. It ends where the consumed bytes end.
    Data(Range<usize>),
    /// The input is used up: give what comes next.
    More,
    /// The response is whole. Bytes behind the consumed ones were not asked for: the connection is not to be used again.
    End,
}

impl Body {
    /// The body of the response `head` to a request with this method. Never to CONNECT, whose tunnel is the host's.
    pub fn new(method: &str, head: &Head) -> Result<Self, WireError> {
        let mut keep_alive = head.keeps_alive();
        let state = if method == "HEAD" || matches!(head.status(), 204 | 304) {
            State::End
        } else if head.get("transfer-encoding").is_some() {
            if head.get("content-length").is_some() {
                return Err(WireError::LengthAndCoding);
            }
            // Nothing else can come: no request says TE. Two lines of it are two codings.
            let mut codings = head.all("transfer-encoding");
            let chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
            if !chunked || codings.next().is_some() || head.is_http_1_0() {
                return Err(WireError::Coding);
            }
            State::Size(0, 0)
        } else {
            match content_length(head)? {
                Some(0) => State::End,
                Some(length) => State::Length(length),
                None => {
                    keep_alive = false;
                    State::UntilClose
                }
            }
        };
        Ok(Self { state, keep_alive, extensions: 0, trailer: 0, lines: 0 })
    }

    /// Reads on: `input` is what has come and was not consumed. A call that gives [`Part::Data`] is followed by one
    /// with what stands behind it, an empty slice too: the end may not need a further byte.
    ///
    /// An error stays: every later call gives it again.
    pub fn next(&mut self, input: &[u8]) -> Result<Piece, WireError> {
        let mut at = 0;
        loop {
            let left = match &mut self.state {
                State::End => return Ok(Piece { consumed: at, part: Part::End }),
                State::Failed(error) => return Err(*error),
                State::Length(left) | State::Data(left) => Some(left),
                State::UntilClose => None,
                _ => {
                    let Some(&byte) = input.get(at) else {
                        return Ok(Piece { consumed: at, part: Part::More });
                    };
                    at += 1;
                    match self.after(byte) {
                        Ok(state) => self.state = state,
                        Err(error) => self.state = State::Failed(error),
                    }
                    continue;
                }
            };
            let here = input.len() - at;
            if here == 0 {
                return Ok(Piece { consumed: at, part: Part::More });
            }
            let mut take = here;
            if let Some(left) = left {
                take = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                *left -= take as u64;
            }
            match self.state {
                State::Length(0) => self.state = State::End,
                State::Data(0) => self.state = State::DataCr,
                _ => {}
            }
            return Ok(Piece { consumed: at + take, part: Part::Data(at..at + take) });
        }
    }

    /// The connection ended. An error where the response is not whole; a body without a length is whole now.
    pub fn close(&mut self) -> Result<(), WireError> {
        self.state = match self.state {
            State::End | State::UntilClose => State::End,
            State::Failed(error) => State::Failed(error),
            _ => State::Failed(WireError::Truncated),
        };
        match self.state {
            State::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the response is whole.
    pub const fn is_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// How many bytes of content are to come, where that is known.
    pub const fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// Whether the connection can serve another request: the response is whole, the server keeps the connection, and
    /// the end of the response was not the end of the connection.
    pub const fn keeps_alive(&self) -> bool {
        self.keep_alive && self.is_end()
    }

    /// Whether the connection can serve another request once the response is whole.
    pub(super) const fn may_keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The state after one byte of the chunked coding's own (RFC 9112 section 7.1). Line ends are CRLF and nothing
    /// else: a byte that others might read as a line end is an error, so that all read the same chunks.
    fn after(&mut self, byte: u8) -> Result<State, WireError> {
        if let State::Line | State::Name | State::Value | State::ValueLf | State::EndLf = self.state {
            self.trailer += 1;
            if self.trailer > MAX_TRAILERS {
                return Err(WireError::Trailer);
            }
        }
        Ok(match (self.state, byte) {
            // Sixteen digits are 64 bits; more would overflow, or be zeros without an end.
            (State::Size(size, digits @ ..16), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size((size << 4) | u64::from(digit), digits + 1)
            }
            (State::Size(size, 1..) | State::Extension(size, _), b'\r') => State::SizeLf(size),
            (State::Size(size, 1..), b' ' | b'\t') => self.extension(size, Blank::Only)?,
            (State::Size(size, 1..), b';') => self.extension(size, Blank::Not)?,
            (State::Extension(size, Blank::Only), b' ' | b'\t') => self.extension(size, Blank::Only)?,
            (State::Extension(size, Blank::Only), b';') => self.extension(size, Blank::Not)?,
            (State::Extension(size, Blank::Not), b'\t' | b' '..=b'~' | 0x80..) => self.extension(size, Blank::Not)?,
            (State::SizeLf(0), b'\n') => State::Line,
            (State::SizeLf(size), b'\n') => State::Data(size),
            (State::Size(..) | State::Extension(..) | State::SizeLf(_), _) => return Err(WireError::ChunkSize),

            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0, 0),
            (State::DataCr | State::DataLf, _) => return Err(WireError::ChunkEnd),

            (State::Line, b'\r') => State::EndLf,
            (State::Line, b':') => return Err(WireError::Trailer),
            (State::Line, b'!'..=b'~') => {
                self.lines += 1;
                if self.lines > MAX_FIELDS {
                    return Err(WireError::TooManyFields);
                }
                State::Name
            }
            (State::Name, b':') => State::Value,
            (State::Name, b'!'..=b'~') => State::Name,
            (State::Value, b'\r') => State::ValueLf,
            (State::Value, b'\t' | b' '..=b'~' | 0x80..) => State::Value,
            (State::ValueLf, b'\n') => State::Line,
            (State::EndLf, b'\n') => State::End,
            (State::Line | State::Name | State::Value | State::ValueLf | State::EndLf, _) => {
                return Err(WireError::Trailer);
            }
            // The states of content and those that last do not come here.
            (other, _) => other,
        })
    }

    fn extension(&mut self, size: u64, blank: Blank) -> Result<State, WireError> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS { Err(WireError::Extensions) } else { Ok(State::Extension(size, blank)) }
    }
}

/// All Content-Length values of all lines have to be one number: repeated ones may be alike, as some servers and proxies
/// make them (RFC 9110 section 8.6).
fn content_length(head: &Head) -> Result<Option<u64>, WireError> {
    let mut length = None;
    for value in head.all("content-length").flat_map(|line| line.split(|&b| b == b',')) {
        let digits = std::str::from_utf8(value.trim_ascii()).unwrap_or_default();
        // `parse` would take a sign.
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(WireError::Length);
        }
        let number: u64 = digits.parse().map_err(|_| WireError::Length)?;
        if length.replace(number).is_some_and(|other| other != number) {
            return Err(WireError::LengthsDiffer);
        }
    }
    Ok(length)
}

/// Content put together up to a limit, in memory that is wiped: token answers hold secrets.
#[derive(Debug)]
pub struct Collector {
    limit: usize,
    content: Secret,
}

impl Collector {
    /// Before the first byte of `body`. An error at once where its length is known and over `limit`, in bytes.
    pub fn new(limit: usize, body: &Body) -> Result<Self, WireError> {
        let length = usize::try_from(body.left().unwrap_or(0)).unwrap_or(usize::MAX);
        if length > limit {
            return Err(WireError::TooLong);
        }
        Ok(Self { limit, content: Secret::from(Vec::with_capacity(length)) })
    }

    /// Takes content in.
    pub fn push(&mut self, content: &[u8]) -> Result<(), WireError> {
        let length = self.content().len().saturating_add(content.len());
        if length > self.limit {
            return Err(WireError::TooLong);
        }
        self.content.push(content, self.limit);
        Ok(())
    }

    /// The limit, in bytes.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// What was put together.
    pub fn content(&self) -> &[u8] {
        self.content.expose()
    }
}
