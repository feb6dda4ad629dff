//! As much HTTP/1.1 as seeding a registry and a token service need: one request a connection, plain.

use std::io::{BufRead as _, BufReader, Error, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The largest head or body that is read.
const LIMIT: u64 = 64 * 1024;

/// A request or an answer: its first line, its fields and its body.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The status of an answer, 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Reads one, with a body of `Content-Length`; an answer without one has the rest of the stream.
    pub(crate) fn read(stream: &TcpStream, answer: bool) -> Result<Self> {
        let mut reader = BufReader::new(stream.take(LIMIT));
        let mut line = || {
            let mut text = String::new();
            match reader.read_line(&mut text)? {
                0 => Err(Error::other("the connection ended, or the message is too large")),
                _ => Ok(text.trim_end().to_string()),
            }
        };
        let mut message = Self { first: line()?, fields: Vec::new(), body: Vec::new() };
        loop {
            let text = line()?;
            if text.is_empty() {
                break;
            }
            let (name, value) = text.split_once(':').ok_or_else(|| Error::other("a field without a colon"))?;
            message.fields.push((name.into(), value.trim().into()));
        }
        let length = message.field("content-length").map(str::parse::<u64>).transpose().map_err(Error::other)?;
        match length {
            Some(length) => _ = reader.take(length).read_to_end(&mut message.body)?,
            None if answer => _ = reader.read_to_end(&mut message.body)?,
            None => {}
        }
        Ok(message)
    }
}

/// Sends one request and reads its answer. `target` is a path, or a URL, of which the path is taken.
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Result<Message> {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    };
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    Message::read(&stream, true)
}
