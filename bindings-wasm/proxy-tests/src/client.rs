//! A client without credentials: HTTP/1.1 in plain text, one request a connection.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<String> {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Begins a request: a connection on which it has been sent.
pub fn begin(to: SocketAddr, method: &str, path: &str, fields: &[u8], body: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    // In one piece: who answers at the head and closes before the body comes resets the connection, and the answer is lost.
    let mut out =
        format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n")
            .into_bytes();
    for part in [fields, b"\r\n", body] {
        out.extend_from_slice(part);
    }
    stream.write_all(&out)?;
    Ok(stream)
}

/// Sends a request and reads its answer. `fields` are whole lines.
pub fn send(to: SocketAddr, method: &str, path: &str, fields: &[u8], body: &[u8]) -> Result<Answer> {
    read(begin(to, method, path, fields, body)?)
}

/// The same for a `GET`.
pub fn get(to: SocketAddr, path: &str) -> Result<Answer> {
    // Without a length, so that there is no body at all.
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n")?;
    read(stream)
}

/// Reads an answer to the end of the connection.
pub fn read(stream: TcpStream) -> Result<Answer> {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let first = String::from_utf8_lossy(&line).into_owned();
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {first:?}")))?;
    let mut fields = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\r\n").unwrap_or(&line);
        if text.is_empty() {
            break;
        }
        let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        let value = text.get(colon + 1..).unwrap_or_default().trim_ascii();
        fields.push((String::from_utf8_lossy(&text[..colon]).into_owned(), value.to_vec()));
    }
    let mut body = Vec::new();
    let chunked = fields.iter().any(|(n, v)| n.eq_ignore_ascii_case("transfer-encoding") && v == b"chunked");
    if chunked {
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            let size =
                usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).map_err(std::io::Error::other)?;
            let from = body.len();
            body.resize(from + size, 0);
            reader.read_exact(&mut body[from..])?;
            reader.read_until(b'\n', &mut line)?;
            if size == 0 {
                break;
            }
        }
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(Answer { status, fields, body })
}
