//! One connection: a request out and its response in, and then the next.

use zeroize::Zeroizing;

use super::transport::Transport;
use super::{Body, CHUNK_END, Framing, Head, HeadReader, LAST_CHUNK, Part, WireError, chunk_head};
use crate::error::{ErrorKind, Failure};
use crate::secret::wipe;
use crate::time::Time;
use crate::tls::{Evidence, Tls, TlsError};

/// The most content in one chunk of an upload, in bytes: with its framing it fills one TLS record.
const CHUNK: usize = 16 * 1024 - 16;

pub(super) struct Connection {
    transport: Box<dyn Transport>,
    /// The request's head and form, later the chunk in work: to be sent before anything else.
    out: Zeroizing<Vec<u8>>,
    sent: usize,
    /// What is to come of the application's body.
    upload: Framing,
    reading: Reading,
    /// The method of the request: it says whether the response has content.
    method: String,
    /// How much of what the transport shows is content that is lent out.
    lent: usize,
    /// The application's bytes found no room: the host has to read or write before they do.
    blocked: bool,
    /// A byte of this response came.
    heard: bool,
    /// The request's head was written to its end: only what comes after that can be an answer to it.
    asked: bool,
    /// A response was read on this connection before.
    used: bool,
    /// Writing failed, or is of no use any more. Reads go on: the reason may still come.
    deaf: Option<Failure>,
    /// Reading failed.
    lost: Option<Failure>,
    /// It cannot serve another request.
    broken: bool,
}

enum Reading {
    Idle,
    Head { reader: HeadReader, begun: Vec<u8> },
    Body(Body),
}

/// What the connection came to; the bytes of `Write` and `Content` are shown by [`Connection::bytes`].
pub(super) enum Event {
    Write,
    Read,
    /// The head was sent: the application's body is next.
    WantBody,
    /// The final head: given once.
    Head(Head),
    Content,
    End,
    Failed(Broken),
}

/// Why there is no whole response.
pub(super) enum Broken {
    /// The transport, or the host's socket.
    Transport(Failure),
    /// The message, the configuration of TLS, or a call of the host.
    Error(ErrorKind),
}

impl From<WireError> for Broken {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated => Self::Transport(Failure::Reset),
            error => Self::Error(ErrorKind::Protocol(error.as_str())),
        }
    }
}

impl Connection {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            out: Zeroizing::default(),
            sent: 0,
            upload: Framing::None,
            reading: Reading::Idle,
            method: String::new(),
            lent: 0,
            blocked: false,
            heard: false,
            asked: false,
            used: false,
            deaf: None,
            lost: None,
            broken: false,
        }
    }

    /// Begins a request: `bytes` are its head and what the core itself sends as content, `framing` that of the
    /// application's body behind it. Only for a connection that is new or [reusable](Self::is_reusable).
    pub(super) fn start(&mut self, method: &str, bytes: [&[u8]; 2], framing: Framing) {
        self.out = Zeroizing::new(bytes.concat());
        self.sent = 0;
        self.upload = if framing == Framing::Length(0) { Framing::None } else { framing };
        self.reading = Reading::Head { reader: HeadReader::new(), begun: Vec::new() };
        self.method = method.into();
        (self.lent, self.blocked, self.heard, self.asked) = (0, false, false, false);
    }

    /// Goes on as far as it can without the host.
    pub(super) fn step(&mut self, now: Time) -> Event {
        // What comes on a connection that was idle, before the server can have read the request's head, is no answer to
        // it. On a new one it may say why it wants no request at all.
        let waits = matches!(self.reading, Reading::Head { .. });
        if waits && self.used && !self.asked && !self.is_silent(now) {
            return self.fail(Broken::Transport(Failure::Reset));
        }
        loop {
            if !self.out.is_empty() {
                // What came may end the handshake without a byte to answer, as a full one of TLS 1.2 does: only then
                // can the request go out.
                _ = self.transport.poll(now);
            }
            self.flush();
            let wants_body = self.wants_body();
            let io = self.transport.poll(now);
            match (&mut self.reading, io) {
                (_, Tls::Write(_)) => return Event::Write,
                (Reading::Idle, Tls::Plain(_)) => {
                    self.broken = true;
                    return Event::End;
                }
                (Reading::Head { reader, begun }, Tls::Plain(bytes)) => {
                    self.heard = true;
                    let shown = bytes.len();
                    match read_head(reader, begun, bytes) {
                        Ok((taken, head)) => {
                            self.transport.took(taken);
                            let Some(head) = head else { continue };
                            return self.head(head);
                        }
                        Err(error) => {
                            self.transport.took(shown);
                            return self.fail(error.into());
                        }
                    }
                }
                (Reading::Body(_), Tls::Plain(_)) if self.lent > 0 => return Event::Content,
                (Reading::Body(body), Tls::Plain(bytes)) => {
                    let found = body.next(bytes);
                    match found.map(|piece| (piece.consumed, piece.part)) {
                        Ok((_, Part::Data(range))) => {
                            self.transport.took(range.start);
                            self.lent = range.len();
                            return Event::Content;
                        }
                        Ok((consumed, Part::More)) => self.transport.took(consumed),
                        Ok((consumed, Part::End)) => {
                            self.transport.took(consumed);
                            return self.end(now);
                        }
                        Err(error) => return self.fail(error.into()),
                    }
                }
                (Reading::Body(body), io) if body.is_end() => {
                    let gone = !matches!(io, Tls::Read);
                    self.broken |= gone;
                    return self.end(now);
                }
                (_, Tls::Read) if wants_body => return Event::WantBody,
                (_, Tls::Read) => return Event::Read,
                (_, Tls::Closed) => return self.closed(None),
                (_, Tls::Failed(error)) if error.is_local() => {
                    let kind = match error {
                        TlsError::Misuse(what) => ErrorKind::Misuse(what),
                        error => ErrorKind::Tls { what: error.what(), remedy: error.remedy() },
                    };
                    return self.fail(Broken::Error(kind));
                }
                (_, Tls::Failed(error)) => {
                    let failure = error.failure();
                    return self.closed(Some(failure));
                }
            }
        }
    }

    /// The bytes that the last [`Event`] spoke of.
    pub(super) fn bytes(&mut self, now: Time) -> &[u8] {
        let lent = self.lent;
        match self.transport.poll(now) {
            Tls::Plain(bytes) => bytes.get(..lent).unwrap_or(bytes),
            Tls::Write(bytes) => bytes,
            _ => &[],
        }
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        self.transport.space()
    }

    pub(super) fn filled(&mut self, n: usize) {
        self.blocked = false;
        self.transport.filled(n);
    }

    pub(super) fn wrote(&mut self, n: usize) {
        self.blocked = false;
        self.transport.wrote(n);
        self.asked |= n > 0 && self.out.is_empty() && !self.transport.is_writing();
    }

    /// Content that was lent is done with. False: so much was not lent.
    pub(super) fn took(&mut self, n: usize) -> bool {
        let Some(left) = self.lent.checked_sub(n) else { return false };
        self.lent = left;
        self.transport.took(n);
        true
    }

    /// Takes bytes of the application's body, as many as there is room for; `last`: none come behind these.
    pub(super) fn body(&mut self, content: &[u8], last: bool) -> Result<usize, &'static str> {
        self.flush();
        let taken = match self.upload {
            Framing::None if content.is_empty() => return Ok(0),
            Framing::None => return Err("the body is longer than was announced"),
            Framing::Length(left) if content.len() as u64 > left => {
                return Err("the body is longer than was announced");
            }
            Framing::Length(left) if last && (content.len() as u64) < left => {
                return Err("the body is shorter than was announced");
            }
            // Not behind a head that is not yet written.
            Framing::Length(_) | Framing::Chunked if !self.out.is_empty() || !self.asked => 0,
            Framing::Length(left) => {
                let taken = self.transport.send(content);
                let left = left.saturating_sub(taken as u64);
                self.upload = if left == 0 { Framing::None } else { Framing::Length(left) };
                taken
            }
            Framing::Chunked => {
                let taken = content.len().min(CHUNK);
                // One buffer for the chunk and its framing, so that it is one record.
                if taken > 0 {
                    chunk_head(taken, &mut self.out);
                    self.out.extend_from_slice(content.get(..taken).unwrap_or_default());
                    self.out.extend_from_slice(CHUNK_END);
                }
                if last && taken == content.len() {
                    self.out.extend_from_slice(LAST_CHUNK);
                    self.upload = Framing::None;
                }
                self.flush();
                taken
            }
        };
        self.blocked = taken == 0 && !content.is_empty();
        Ok(taken)
    }

    /// The host's socket failed. Where it failed to write, reads go on: the server may have said why.
    pub(super) fn host_failed(&mut self, now: Time, failure: Failure) {
        self.broken = true;
        let writes = self.deaf.is_none() && matches!(self.transport.poll(now), Tls::Write(_));
        if writes && failure != Failure::Timeout {
            self.stop_writing(failure);
        } else {
            self.lost = Some(failure);
            self.transport.filled(0);
        }
    }

    /// Whether another request may follow: what came before is whole and nothing came behind it.
    pub(super) fn is_reusable(&self) -> bool {
        let idle = matches!(self.reading, Reading::Idle);
        idle && !self.broken && self.deaf.is_none() && self.out.is_empty()
    }

    /// Whether nothing came in while it was idle.
    pub(super) fn is_quiet(&mut self, now: Time) -> bool {
        self.broken |= !self.is_silent(now);
        self.is_reusable()
    }

    fn is_silent(&mut self, now: Time) -> bool {
        matches!(self.transport.poll(now), Tls::Read | Tls::Write(_))
    }

    /// Whether the rest of the response is worth reading, so that the connection can be used again: it can, and no more
    /// than `most` bytes are to come as far as that is known.
    pub(super) fn is_worth_reading(&self, most: usize) -> bool {
        let short = |body: &Body| body.may_keep_alive() && body.left().is_none_or(|left| left <= most as u64);
        !self.broken && self.reading().is_some_and(short)
    }

    /// The rest of the response is not read.
    pub(super) const fn give_up(&mut self) {
        self.broken = true;
    }

    /// Whether nothing has come yet for this request on a connection that had served others: the server may have closed
    /// it before it saw the request.
    pub(super) const fn may_be_stale(&self) -> bool {
        self.used && !self.heard
    }

    /// Whether the server can have read this request's head, and acted on it.
    pub(super) const fn was_asked(&self) -> bool {
        self.asked
    }

    /// Whether an earlier request was answered on this connection.
    pub(super) const fn was_used(&self) -> bool {
        self.used
    }

    /// The body that is being read.
    pub(super) const fn reading(&self) -> Option<&Body> {
        match &self.reading {
            Reading::Body(body) => Some(body),
            _ => None,
        }
    }

    pub(super) fn evidence(&self) -> Option<&Evidence> {
        self.transport.evidence()
    }

    /// Says goodbye; bytes may have to be written after it.
    pub(super) fn close(&mut self) {
        self.broken = true;
        self.reading = Reading::Idle;
        wipe(&mut self.out);
        self.transport.close();
    }

    /// Whether goodbye is still to be written.
    pub(super) fn is_closing(&mut self, now: Time) -> bool {
        self.deaf.is_none() && matches!(self.transport.poll(now), Tls::Write(_))
    }

    /// Gives memory back, before it is put aside.
    pub(super) fn release(&mut self) {
        self.transport.release();
    }

    fn flush(&mut self) {
        if self.deaf.is_some() {
            self.sent = self.out.len();
        }
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.transport.send(rest) {
                0 => return,
                taken => self.sent += taken,
            }
        }
        if !self.out.is_empty() {
            wipe(&mut self.out);
            self.sent = 0;
        }
    }

    fn stop_writing(&mut self, failure: Failure) {
        self.deaf = self.deaf.or(Some(failure));
        self.transport.write_failed();
    }

    fn wants_body(&self) -> bool {
        let open = self.upload != Framing::None;
        let unanswered = matches!(self.reading, Reading::Head { .. });
        open && unanswered && self.out.is_empty() && !self.blocked && self.deaf.is_none()
    }

    fn head(&mut self, head: Head) -> Event {
        if self.upload != Framing::None || !self.out.is_empty() {
            // The server answers before it has the request. It does not want the rest, and without that the connection
            // is of no further use.
            self.broken = true;
            self.stop_writing(Failure::Reset);
        }
        match Body::new(&self.method, &head) {
            Ok(body) => {
                self.reading = Reading::Body(body);
                Event::Head(head)
            }
            Err(error) => self.fail(error.into()),
        }
    }

    fn end(&mut self, now: Time) -> Event {
        let keeps = self.reading().is_some_and(Body::keeps_alive);
        // Bytes that nobody asked for would be read as the next response.
        self.broken |= !keeps || !self.is_silent(now);
        self.used = true;
        self.reading = Reading::Idle;
        Event::End
    }

    /// The stream ended: properly, or with what TLS makes of it.
    fn closed(&mut self, tls: Option<Failure>) -> Event {
        self.broken = true;
        let lost = self.lost.filter(|lost| *lost != Failure::Reset);
        match &mut self.reading {
            Reading::Idle => Event::End,
            Reading::Body(_) if lost.is_some() => self.fail(Broken::Transport(lost.unwrap_or(Failure::Reset))),
            Reading::Body(body) if tls.is_none() && self.lost.is_none() => match body.close() {
                Ok(()) => {
                    self.reading = Reading::Idle;
                    Event::End
                }
                Err(error) => self.fail(error.into()),
            },
            // A body up to the end of the connection is not ended by a failure.
            Reading::Body(_) => self.fail(WireError::Truncated.into()),
            Reading::Head { .. } => self.fail(Broken::Transport(lost.or(tls).or(self.deaf).unwrap_or(Failure::Reset))),
        }
    }

    fn fail(&mut self, broken: Broken) -> Event {
        self.broken = true;
        Event::Failed(broken)
    }
}

/// Reads a head whose beginning may have been put by; gives how much of `bytes` belongs to it.
fn read_head(reader: &mut HeadReader, begun: &mut Vec<u8>, bytes: &[u8]) -> Result<(usize, Option<Head>), WireError> {
    let before = begun.len();
    if before == 0 {
        let (consumed, head) = reader.read(bytes)?;
        if head.is_some() {
            return Ok((consumed, head));
        }
        begun.extend_from_slice(bytes.get(consumed..).unwrap_or_default());
        return Ok((bytes.len(), None));
    }
    begun.extend_from_slice(bytes);
    let (consumed, head) = reader.read(begun)?;
    if head.is_some() {
        begun.clear();
        return Ok((consumed.saturating_sub(before), head));
    }
    begun.drain(..consumed);
    Ok((bytes.len(), None))
}
