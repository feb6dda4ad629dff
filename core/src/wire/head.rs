//! Response heads: found, checked and kept in one piece of memory.

use std::fmt;

use super::{MAX_FIELDS, MAX_HEAD, MAX_INTERIM, WireError};
use crate::client::Headers;

/// The status and the fields of a response.
///
/// `Debug` prints the status and the names: a value may be a signed URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    status: u16,
    /// 0 or 1: the minor version.
    minor: u8,
    /// Names and values, one after the other without anything between them.
    text: Box<[u8]>,
    /// For each field where in `text` its name and its value end.
    ends: Box<[(u32, u32)]>,
}

impl Head {
    /// The status code, 200 to 999; 1xx are never handed out.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// How many fields there are.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All fields in their order: the name as it was sent, and the value without whitespace round it. A field that was
    /// sent twice is there twice.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let name = self.text.get(start..name_end as usize).unwrap_or_default();
            let value = self.text.get(name_end as usize..value_end as usize).unwrap_or_default();
            start = value_end as usize;
            (std::str::from_utf8(name).unwrap_or_default(), value)
        })
    }

    /// The first value of a field, whatever the case of its name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All values of a field, whatever the case of its name.
    pub fn all<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s [u8]> {
        self.fields().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether the head is that of HTTP/1.0.
    pub(super) const fn is_http_1_0(&self) -> bool {
        self.minor == 0
    }

    /// Whether the server keeps the connection (RFC 9112 section 9.3): HTTP/1.1 unless it says `close`, HTTP/1.0 only
    /// where it says `keep-alive`.
    pub fn keeps_alive(&self) -> bool {
        let says = |word: &str| {
            let mut options = self.all("connection").flat_map(|value| value.split(|&b| b == b','));
            options.any(|option| option.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        };
        !says("close") && (self.minor == 1 || says("keep-alive"))
    }

    /// Parses a whole head, its empty line included.
    fn parse(block: &[u8]) -> Result<Self, WireError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(block) {
            Ok(httparse::Status::Complete(length)) if length == block.len() => {}
            Ok(_) => return Err(WireError::Head),
            Err(httparse::Error::TooManyHeaders) => return Err(WireError::TooManyFields),
            Err(httparse::Error::Version) => return Err(WireError::NotHttp),
            Err(_) => return Err(WireError::Head),
        }
        let (Some(status @ 100..), Some(minor)) = (response.code, response.version) else {
            return Err(WireError::Head);
        };
        let mut text = Vec::with_capacity(block.len());
        let mut ends = Vec::with_capacity(response.headers.len());
        // The limit on the head keeps every end within 32 bits.
        for field in response.headers.iter() {
            text.extend_from_slice(field.name.as_bytes());
            let name_end = text.len() as u32;
            text.extend_from_slice(field.value.trim_ascii());
            ends.push((name_end, text.len() as u32));
        }
        Ok(Self { status, minor, text: text.into(), ends: ends.into() })
    }
}

impl Headers for Head {
    fn each<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8])) {
        self.all(name).for_each(f);
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("Head").field("status", &self.status).field("fields", &names).finish_non_exhaustive()
    }
}

/// Finds the final response head in what has come so far.
#[derive(Clone, Debug, Default)]
pub struct HeadReader {
    /// How far the input was searched for the empty line, so that a head that comes byte by byte is read once.
    searched: usize,
    interim: u8,
    failed: Option<WireError>,
}

impl HeadReader {
    /// Before the first byte of a response.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on: `input` is everything that has come and was not consumed. Gives how many bytes are consumed now, and
    /// the final head where that is whole. Interim responses are consumed and not handed out.
    ///
    /// An error stays: every later call gives it again.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Head>), WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.advance(input).inspect_err(|&error| self.failed = Some(error))
    }

    fn advance(&mut self, input: &[u8]) -> Result<(usize, Option<Head>), WireError> {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let Some(block) = self.block(rest)? else { return Ok((consumed, None)) };
            self.searched = 0;
            consumed += block.len();
            let head = Head::parse(block)?;
            match head.status {
                101 => return Err(WireError::Switched),
                100..200 if self.interim == MAX_INTERIM => return Err(WireError::TooManyInterim),
                100..200 => self.interim += 1,
                _ => return Ok((consumed, Some(head))),
            }
        }
    }

    /// The head at the beginning of `input`, its empty line included, once that has come. A line may end in LF alone
    /// (RFC 9112 section 2.2).
    fn block<'a>(&mut self, input: &'a [u8]) -> Result<Option<&'a [u8]>, WireError> {
        // The first bytes tell, so that a server of another protocol is not waited for.
        if input.iter().zip(b"HTTP/1.").any(|(have, want)| have != want) {
            return Err(WireError::NotHttp);
        }
        let mut from = self.searched;
        while let Some(at) = input.get(from..).and_then(|rest| rest.iter().position(|&b| b == b'\n')) {
            let line_end = from + at;
            let length = match input.get(line_end + 1..).unwrap_or_default() {
                [b'\n', ..] => line_end + 2,
                [b'\r', b'\n', ..] => line_end + 3,
                [] | [b'\r'] => {
                    from = line_end;
                    break;
                }
                _ => {
                    from = line_end + 1;
                    continue;
                }
            };
            if length > MAX_HEAD {
                return Err(WireError::HeadTooLong);
            }
            return Ok(input.get(..length));
        }
        if input.len() > MAX_HEAD {
            return Err(WireError::HeadTooLong);
        }
        // Without a line end in sight the search goes on behind what was seen.
        self.searched = if input.get(from) == Some(&b'\n') { from } else { input.len() };
        Ok(None)
    }
}
