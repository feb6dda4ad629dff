//! A host with blocking sockets: one request, and what is known of client certificates after it.

use std::io::{Error as IoError, ErrorKind as IoErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::task::Waker;
use std::time::Duration;

use regauth::error::{CertificateState, Diagnosis};
use regauth::tls::Roots;
use regauth::wire::{Do, Exchange, Sent};
use regauth::{Agent, Config, Dial, Error, Failure, Host, Identity, Origin};
use regauth_servers::{Pair, Pki, now};

/// What came of a request.
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<Error>,
    pub(crate) diagnosis: Option<Diagnosis>,
    pub(crate) sent: Vec<Sent>,
}

impl Outcome {
    pub(crate) fn state(&self) -> Option<CertificateState> {
        self.diagnosis.as_ref().map(|diagnosis| diagnosis.state)
    }

    /// What the user reads.
    pub(crate) fn said(&self) -> String {
        match (&self.error, &self.diagnosis) {
            (Some(error), _) => error.to_string(),
            (None, Some(Diagnosis { what, remedy, .. })) => format!("{what}. {remedy}"),
            (None, None) => format!("{}", self.status.unwrap_or_default()),
        }
    }
}

/// An identity out of files, with the file's name as its label.
pub(crate) fn identity(pair: &Pair) -> Identity {
    let read = |path| std::fs::read(path).unwrap();
    let label = pair.cert.file_name().unwrap().to_string_lossy();
    Identity::from_pem(label, &read(&pair.cert), &read(&pair.key)).unwrap()
}

/// An agent with these identities for one origin.
pub(crate) fn agent(pki: &Pki, origin: &str, identities: Vec<Identity>, edit: impl FnOnce(&mut Host)) -> Agent {
    let mut roots = Roots::default();
    roots.webpki = false;
    roots.pem = vec![std::fs::read(&pki.ca).unwrap().into()];
    let mut host = Host::default();
    host.identities = identities;
    edit(&mut host);
    let mut config = Config::default();
    config.roots(roots);
    config.host(Origin::parse(origin).unwrap(), host);
    Agent::new(config).unwrap()
}

/// One `GET`; every connection goes to `address`, whatever the name.
pub(crate) fn get(agent: &Agent, address: SocketAddr, url: &str) -> Outcome {
    let mut exchange = Exchange::new(agent, agent.request("GET", url).unwrap());
    let mut socket = None::<TcpStream>;
    let mut body = Vec::new();
    let error = loop {
        match exchange.poll(now(), Waker::noop()) {
            Do::Connect(_) => {
                exchange.dial(Dial::Ip(address.ip())).unwrap();
                let stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                socket = Some(stream);
                exchange.connected(now(), None);
            }
            Do::Write(bytes) => match socket.as_mut().unwrap().write(bytes) {
                Ok(n) => exchange.wrote(n),
                Err(error) => exchange.failed(now(), lost(&error)),
            },
            Do::Read => match socket.as_mut().unwrap().read(exchange.space()) {
                Ok(n) => exchange.filled(n),
                Err(error) => exchange.failed(now(), lost(&error)),
            },
            Do::Head(_) => exchange.took_head(),
            Do::Body(content) => {
                body.extend_from_slice(content);
                let n = content.len();
                exchange.took(n);
            }
            Do::Close => {
                socket = None;
                exchange.closed();
            }
            Do::Done => break None,
            Do::Failed(error) => break Some(error.clone()),
            other => panic!("{other:?}"),
        }
    };
    let sent = exchange.sent().to_vec();
    let status = exchange.head().filter(|_| error.is_none()).map(regauth::wire::Head::status);
    let diagnosis = match (&error, status, sent.last()) {
        (Some(error), ..) => error.diagnosis(),
        (None, Some(status), Some(last)) => {
            let kind = exchange.head().and_then(|head| head.get("content-type"));
            Diagnosis::of_answer(status, kind, &body, last.identity.as_deref(), last.evidence.as_ref())
        }
        _ => None,
    };
    Outcome { status, error, diagnosis, sent }
}

fn lost(error: &IoError) -> Failure {
    match error.kind() {
        IoErrorKind::WouldBlock | IoErrorKind::TimedOut => Failure::Timeout,
        _ => Failure::Reset,
    }
}
