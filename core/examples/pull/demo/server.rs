//! A TLS server on a port of loopback: as much HTTP/1.1 as three small origins need.

use std::io::{Error, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The largest request head.
const MAX_HEAD: usize = 16 * 1024;

/// A request, and what its connection showed.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    fields: Vec<(String, String)>,
    /// A client certificate was shown, in this handshake or in the one that it was resumed from.
    pub(crate) certificate: bool,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// An answer.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    pub(crate) cut: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub(crate) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server. Dropping it ends its accepting thread; connections end with their clients.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// How many connections there were.
    pub(crate) connections: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// A port, before it is known what is served there: URLs of the others go into the answers of each.
pub(crate) fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Server {
    pub(crate) fn start(listener: TcpListener, tls: Arc<ServerConfig>, handler: Arc<Handler>) -> Result<Self> {
        let address = listener.local_addr()?;
        let (stop, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&connections));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let (tls, handler) = (Arc::clone(&tls), Arc::clone(&handler));
                // Whoever hangs up early is not our trouble.
                thread::spawn(move || _ = serve(stream, tls, &*handler));
            }
        });
        Ok(Self { address, stop, connections, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        _ = TcpStream::connect(self.address);
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, handler: &Handler) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(tls).map_err(Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut input = Vec::new();
    while let Some(mut request) = read(&mut stream, &mut input)? {
        request.certificate = stream.conn.peer_certificates().is_some();
        let reply = handler(&request);
        let mut head = format!("HTTP/1.1 {} \r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if let Some(cut) = reply.cut {
            stream.write_all(reply.body.get(..cut).unwrap_or_default())?;
            return stream.flush();
        }
        stream.write_all(&reply.body)?;
        stream.flush()?;
    }
    stream.conn.send_close_notify();
    stream.flush()
}

/// The next request, which has no body; `None` at the end of the connection.
fn read(stream: &mut StreamOwned<ServerConnection, TcpStream>, input: &mut Vec<u8>) -> Result<Option<Request>> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Request::new(&mut fields);
        if let httparse::Status::Complete(length) =
            head.parse(input).map_err(|error| Error::other(error.to_string()))?
        {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let request = Request {
                method: head.method.unwrap_or_default().into(),
                target: head.path.unwrap_or_default().into(),
                fields: head.headers.iter().map(|field| (field.name.to_string(), text(field.value))).collect(),
                certificate: false,
            };
            input.drain(..length);
            return Ok(Some(request));
        }
        if input.len() > MAX_HEAD {
            return Err(Error::other("a head that is too long"));
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes)? {
            0 => return Ok(None),
            n => input.extend_from_slice(bytes.get(..n).unwrap_or_default()),
        }
    }
}
