//! Names, addresses and sockets: what a target becomes.

use std::io::{Error, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use regauth::wire::Exchange;
use regauth::{Dial, Failure as Lost, Origin};

use crate::failure::reason;
use crate::proxy::Proxy;

/// For one address to accept a connection, where the host's entry does not say.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// How long is waited.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// For one address to accept a connection.
    pub(crate) connect: Duration,
    /// For bytes to come or go.
    pub(crate) bytes: Duration,
}

/// Why there is no connection.
pub(crate) struct NoSocket {
    pub(crate) lost: Lost,
    /// The reason in a clause, for people.
    pub(crate) detail: String,
    /// The policy's refusal, where it was that.
    pub(crate) refused: Option<regauth::Error>,
}

/// Connects to the target of the exchange, by the addresses that its policy allows.
pub(crate) fn connect(
    exchange: &mut Exchange,
    origin: &Origin,
    proxy: Option<&Proxy>,
    limits: Limits,
) -> Result<TcpStream, NoSocket> {
    let stream = match proxy {
        Some(proxy) => through(exchange, origin, proxy, limits)?,
        None => direct(exchange, origin, limits)?,
    };
    // Requests are small and wait for nothing.
    _ = stream.set_nodelay(true);
    Ok(stream)
}

fn direct(exchange: &mut Exchange, origin: &Origin, limits: Limits) -> Result<TcpStream, NoSocket> {
    let addresses = (origin.server_name(), origin.port()).to_socket_addrs().map_err(|error| NoSocket {
        lost: Lost::Connect,
        detail: format!("{} does not resolve: {}", origin.host(), reason(&error)),
        refused: None,
    })?;
    let (mut refused, mut last) = (None, None);
    for address in addresses {
        if let Err(error) = exchange.dial(Dial::Ip(address.ip())) {
            refused = Some(error);
            continue;
        }
        match TcpStream::connect_timeout(&address, limits.connect).and_then(|stream| limited(stream, limits.bytes)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some((address, error)),
        }
    }
    Err(match (last, refused) {
        (Some((address, error)), _) => NoSocket {
            lost: if is_timeout(&error) { Lost::Timeout } else { Lost::Connect },
            detail: format!("{address}: {}", reason(&error)),
            refused: None,
        },
        (None, Some(error)) => NoSocket { lost: Lost::AddressRefused, detail: String::new(), refused: Some(error) },
        (None, None) => {
            NoSocket { lost: Lost::Connect, detail: format!("{} has no address", origin.host()), refused: None }
        }
    })
}

fn through(exchange: &mut Exchange, origin: &Origin, proxy: &Proxy, limits: Limits) -> Result<TcpStream, NoSocket> {
    exchange.dial(Dial::Proxied).map_err(|error| NoSocket {
        lost: Lost::AddressRefused,
        detail: String::new(),
        refused: Some(error),
    })?;
    let name = format!("the proxy {}:{}", proxy.host, proxy.port);
    let attempt = || {
        let mut last = Error::new(ErrorKind::NotFound, "it has no address");
        for address in (proxy.host.as_str(), proxy.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, limits.connect).and_then(|stream| limited(stream, limits.bytes))
            {
                Ok(mut stream) => return proxy.tunnel(&mut stream, origin).map(|()| stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    attempt().map_err(|error| NoSocket {
        lost: if is_timeout(&error) { Lost::Timeout } else { Lost::Connect },
        detail: format!("{name}: {}", reason(&error)),
        refused: None,
    })
}

fn limited(stream: TcpStream, timeout: Duration) -> Result<TcpStream, Error> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

/// Whether something came in, or the end of the stream, that was not read.
pub(crate) fn arrived(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut first));
    let blocks = stream.set_nonblocking(false).is_ok();
    blocks && !peeked.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted))
}

fn is_timeout(error: &Error) -> bool {
    // A socket's own limit is WouldBlock on Unix, TimedOut elsewhere.
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// A broken socket, in the library's words.
pub(crate) fn lost(error: &Error) -> Lost {
    if is_timeout(error) { Lost::Timeout } else { Lost::Reset }
}
