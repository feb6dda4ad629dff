//! A connection with a server at its other end.

use std::sync::Arc;

use regauth::Failure;
use rustls::{ServerConfig, ServerConnection};

/// What a server has read of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// All of the body is there.
    pub(crate) whole: bool,
    /// The number of the connection, over all servers.
    pub(crate) connection: usize,
    /// The client showed a certificate.
    pub(crate) identified: bool,
    /// SHA-256 of it.
    pub(crate) fingerprint: Option<[u8; 32]>,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

/// What a server does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    /// A close_notify, and the end of the stream.
    Close,
    /// The end of the stream.
    Cut,
    /// A reset; what was sent before still arrives.
    Reset,
    /// It reads no more and resets what the client writes.
    Deaf,
}

/// An answer in its bytes.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

pub(crate) fn reply(bytes: impl Into<Vec<u8>>) -> Option<Reply> {
    Some(Reply { bytes: bytes.into(), then: Then::Keep })
}

pub(crate) fn ending(bytes: impl Into<Vec<u8>>, then: Then) -> Option<Reply> {
    Some(Reply { bytes: bytes.into(), then })
}

/// A response with a length.
pub(crate) fn sized(status: u16, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Called when the head is there, and once more when all is, until it gives an answer.
pub(crate) type Handler = Box<dyn FnMut(&Request) -> Option<Reply>>;

/// Both ends of a connection.
pub(crate) struct Socket {
    pub(crate) name: String,
    number: usize,
    tls: Option<ServerConnection>,
    /// Plain text that the server has read.
    inbox: Vec<u8>,
    /// Of that, a request whose head is there.
    request: Option<Request>,
    /// From the server, not yet read.
    pub(crate) down: Vec<u8>,
    pub(crate) end: Option<Then>,
    /// The client has read the end.
    pub(crate) over: bool,
    /// So many bytes get to the client, and then the end of the stream.
    pub(crate) cut: usize,
}

impl Socket {
    pub(crate) fn new(name: String, tls: Option<&Arc<ServerConfig>>, number: usize) -> Self {
        let tls = tls.map(|config| ServerConnection::new(Arc::clone(config)).unwrap());
        Self {
            name,
            number,
            tls,
            inbox: Vec::new(),
            request: None,
            down: Vec::new(),
            end: None,
            over: false,
            cut: usize::MAX,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.end {
            Some(Then::Reset | Then::Deaf) => return Err(Failure::Reset),
            Some(_) => return Ok(()),
            None => {}
        }
        let Some(tls) = &mut self.tls else {
            self.inbox.extend_from_slice(bytes);
            return Ok(());
        };
        let mut rest = bytes;
        while !rest.is_empty() && tls.read_tls(&mut rest).unwrap() > 0 {
            if tls.process_new_packets().is_err() {
                // The alert is behind the error that the client gets when it writes on.
                self.end = Some(Then::Deaf);
                break;
            }
            let mut plain = Vec::new();
            let _ = std::io::Read::read_to_end(&mut tls.reader(), &mut plain);
            self.inbox.extend_from_slice(&plain);
        }
        self.flush();
        Ok(())
    }

    pub(crate) fn read(&mut self, space: &mut [u8], pace: usize) -> Result<usize, Failure> {
        let n = self.down.len().min(space.len()).min(pace).min(self.cut);
        if n > 0 {
            self.cut -= n;
            space[..n].copy_from_slice(&self.down[..n]);
            self.down.drain(..n);
            return Ok(n);
        }
        if self.cut == 0 {
            self.end = Some(Then::Cut);
        }
        self.over = true;
        match self.end {
            Some(Then::Reset) => Err(Failure::Reset),
            Some(_) => Ok(0),
            None => panic!("{} would wait for ever", self.name),
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => {
                for part in bytes.chunks(16 * 1024) {
                    std::io::Write::write_all(&mut tls.writer(), part).unwrap();
                    while tls.wants_write() {
                        tls.write_tls(&mut self.down).unwrap();
                    }
                }
            }
            None => self.down.extend_from_slice(bytes),
        }
    }

    pub(crate) fn end(&mut self, then: Then) {
        if let (Then::Close, Some(tls)) = (then, &mut self.tls) {
            tls.send_close_notify();
        }
        self.flush();
        self.end = Some(then).filter(|then| *then != Then::Keep);
    }

    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.down).unwrap();
            }
        }
    }

    /// The server looks at what it has read.
    pub(crate) fn serve(&mut self, handler: &mut Handler, log: &mut Vec<String>) {
        while self.end.is_none() {
            let mut head_now = false;
            if self.request.is_none() {
                let Some(length) = self.inbox.windows(4).position(|end| end == b"\r\n\r\n") else { return };
                let head = String::from_utf8(self.inbox.drain(..length + 4).collect()).unwrap();
                self.request = Some(self.parse(&head));
                head_now = true;
            }
            let request = self.request.as_mut().unwrap();
            let before = (request.body.len(), request.whole);
            take_body(request, &mut self.inbox);
            let news = head_now || before != (request.body.len(), request.whole);
            if !news {
                return;
            }
            if head_now {
                log.push(format!("{} {}{} #{}", request.method, self.name, request.target, self.number));
            }
            let answer = handler(request);
            let whole = request.whole;
            if let Some(Reply { bytes, then }) = answer {
                self.request = None;
                self.say(&bytes);
                self.end(then);
                if !whole {
                    // What comes of the body is not looked at.
                    self.end = self.end.or(Some(Then::Cut));
                }
            } else if !whole {
                return;
            } else {
                panic!("{} has no answer", self.name);
            }
        }
    }

    fn parse(&self, head: &str) -> Request {
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next().unwrap().split(' ');
        let (method, target) = (first.next().unwrap().into(), first.next().unwrap().into());
        let fields = lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.into(), v.into())).collect();
        let leaf = self.tls.as_ref().and_then(|tls| tls.peer_certificates()?.first());
        let digest = leaf.map(|leaf| ring::digest::digest(&ring::digest::SHA256, leaf));
        let fingerprint = digest.map(|digest| digest.as_ref().try_into().unwrap());
        let identified = fingerprint.is_some();
        Request { method, target, fields, connection: self.number, identified, fingerprint, ..Request::default() }
    }
}

/// Moves what belongs to the request's body.
fn take_body(request: &mut Request, inbox: &mut Vec<u8>) {
    if request.field("transfer-encoding") == Some("chunked") {
        while !request.whole {
            let Some(end) = inbox.windows(2).position(|end| end == b"\r\n") else { return };
            let size = usize::from_str_radix(std::str::from_utf8(&inbox[..end]).unwrap(), 16).unwrap();
            if inbox.len() < end + 2 + size + 2 {
                return;
            }
            request.body.extend_from_slice(&inbox[end + 2..end + 2 + size]);
            assert_eq!(&inbox[end + 2 + size..end + 4 + size], b"\r\n");
            inbox.drain(..end + 4 + size);
            request.whole = size == 0;
        }
        return;
    }
    let length: usize = request.field("content-length").map_or(0, |length| length.parse().unwrap());
    let missing = length - request.body.len();
    request.body.extend(inbox.drain(..missing.min(inbox.len())));
    request.whole = request.body.len() == length;
}
