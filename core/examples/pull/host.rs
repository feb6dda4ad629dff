//! The host's side of an exchange: one loop, which answers each value with what it asks for.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use regauth::error::CertificateState;
use regauth::wire::{Do, Exchange, Head, Sent};
use regauth::{Agent, Config, ErrorKind as Kind, Failure as Lost, Origin, Time};

use crate::failure::{Failure, certificate_todo};
use crate::helper;
use crate::net;
use crate::pool::{Pool, Socket, Turn};
use crate::proxy::Proxies;
use crate::table::{Row, clause};

/// For the head of an answer, token request and redirects included, however slowly its bytes come.
const HEAD_LIMIT: Duration = Duration::from_secs(120);

/// What all pulls share.
pub(crate) struct Host {
    pub(crate) agent: Agent,
    pub(crate) timeout: Duration,
    pub(crate) explain: bool,
    config: Config,
    proxies: Proxies,
    pool: Pool,
    rows: Mutex<Vec<Row>>,
    transcripts: Mutex<String>,
}

/// Where an answer goes.
pub(crate) trait Sink {
    /// The head of the application's answer.
    fn head(&mut self, head: &Head) -> Result<(), Failure>;
    /// The next bytes of its content.
    fn body(&mut self, bytes: &[u8]) -> Result<(), Failure>;
}

/// How an exchange ended.
pub(crate) enum End {
    /// The answer is whole; what its connection showed.
    Whole(Option<Box<Row>>),
    /// The connection broke; before or in the answer's content.
    Broken(Failure),
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Wakes the thread that waits for another's token.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Host {
    pub(crate) fn new(config: Config, proxies: Proxies, timeout: Duration, explain: bool) -> Result<Self, Failure> {
        Ok(Self {
            agent: Agent::new(config.clone()).map_err(|error| Failure::of(&error, None))?,
            config,
            timeout,
            explain,
            proxies,
            pool: Pool::default(),
            rows: Mutex::default(),
            transcripts: Mutex::default(),
        })
    }

    /// The rows so far, in the order in which their requests began.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        rows.sort_by_key(|row| (row.pull, row.begun));
        rows
    }

    /// The transcripts so far.
    pub(crate) fn transcripts(&self) -> String {
        self.transcripts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs an exchange to its end.
    pub(crate) fn run(&self, pull: u32, mut exchange: Exchange, sink: &mut dyn Sink) -> Result<End, Failure> {
        let result = self.drive(&mut exchange, sink);
        let rows = self.rows_of(pull, &exchange);
        let last = rows.last().cloned();
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).extend(rows);
        if self.explain {
            let mut transcripts = self.transcripts.lock().unwrap_or_else(PoisonError::into_inner);
            _ = exchange.explain(&mut *transcripts);
        }
        match result {
            Ok(()) => Ok(End::Whole(last.map(Box::new))),
            Err(Stop::Sink(failure)) => Err(failure),
            Err(Stop::Exchange(error, detail)) => {
                let failure = explained(&error, detail, last.as_ref());
                let broken =
                    matches!(error.kind(), Kind::Network { failure: Lost::Reset | Lost::Timeout | Lost::Connect, .. });
                if broken { Ok(End::Broken(failure)) } else { Err(failure) }
            }
        }
    }

    fn rows_of(&self, pull: u32, exchange: &Exchange) -> Vec<Row> {
        let row = |sent: &Sent| Row {
            pull,
            hop: sent.hop,
            method: sent.method.clone(),
            origin: sent.url.origin().to_string(),
            path: sent.url.path().to_string(),
            configured: sent.identity.clone(),
            evidence: sent.evidence.clone(),
            authorization: sent.authorization,
            reused: sent.reused,
            status: sent.status,
            begun: sent.begun.0,
            millis: sent.ended.unwrap_or(sent.begun).since(sent.begun),
        };
        exchange.sent().iter().map(row).collect()
    }

    /// For a connection to be made, and for its bytes.
    fn limits(&self, origin: &Origin) -> net::Limits {
        let configured = self.config.host_of(origin).and_then(|host| host.dial_timeout);
        let connect = configured.map_or(net::CONNECT, Duration::from_millis);
        net::Limits { connect: connect.max(Duration::from_millis(1)), bytes: self.timeout }
    }

    fn drive(&self, exchange: &mut Exchange, sink: &mut dyn Sink) -> Result<(), Stop> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut socket: Option<Socket<'_>> = None;
        let mut detail = None;
        let (begun, mut headed, mut looked) = (Instant::now(), false, false);
        loop {
            let now = now();
            match exchange.poll(now, &waker) {
                Do::Connect(target) => {
                    let (origin, pooled) = (target.origin.clone(), target.pooled);
                    let proxy = self.proxies.of(&origin);
                    let key = target.key(proxy.is_some());
                    match self.pool.take(&key, pooled) {
                        Turn::Pooled(link, kept) => {
                            socket = Some(kept);
                            // It may have waited.
                            exchange.connected(self::now(), Some(*link));
                        }
                        Turn::New(lease) => match net::connect(exchange, &origin, proxy, self.limits(&origin)) {
                            Ok(stream) => {
                                socket = Some(lease.socket(stream));
                                exchange.connected(self::now(), None);
                            }
                            Err(no) => {
                                if let Some(refused) = no.refused {
                                    return Err(Stop::Exchange(refused, None));
                                }
                                detail = Some(no.detail).filter(|detail| !detail.is_empty());
                                exchange.failed(self::now(), no.lost);
                            }
                        },
                    }
                }
                // What came before a request is written is no answer to it. Looked at once before each write: a connection
                // that is being left reads no more.
                Do::Write(_) if !looked && socket.as_ref().is_some_and(|socket| net::arrived(&socket.stream)) => {
                    looked = true;
                    read(exchange, &mut socket, now);
                }
                Do::Write(bytes) => match stream(&mut socket).and_then(|stream| stream.write(bytes)) {
                    Ok(0) => exchange.failed(now, Lost::Reset),
                    Ok(n) => {
                        looked = false;
                        exchange.wrote(n);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => exchange.failed(now, net::lost(&error)),
                },
                Do::Read if !headed && begun.elapsed() > HEAD_LIMIT => exchange.failed(now, Lost::Timeout),
                Do::Read => read(exchange, &mut socket, now),
                Do::Head(head) => {
                    headed = true;
                    let length =
                        head.get("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
                    if let Some(socket) = &mut socket {
                        socket.answered(length);
                    }
                    sink.head(head).map_err(Stop::Sink)?;
                    exchange.took_head();
                }
                Do::Body(bytes) => {
                    let length = bytes.len();
                    sink.body(bytes).map_err(Stop::Sink)?;
                    exchange.took(length);
                }
                Do::Wait { until, .. } => thread::park_timeout(Duration::from_millis(until.since(now).min(30_000))),
                Do::Close => {
                    keep(exchange, socket.take());
                    exchange.closed();
                }
                Do::Done => {
                    keep(exchange, socket.take());
                    return Ok(());
                }
                Do::Failed(error) => return Err(Stop::Exchange(error.clone(), detail)),
                Do::Credentials(query) => {
                    let found = helper::look_up(query);
                    exchange.credentials(self::now(), found);
                }
                // Nothing is uploaded.
                _ => exchange.failed(now, Lost::Connect),
            }
        }
    }
}

/// Why the loop was left.
enum Stop {
    Sink(Failure),
    Exchange(regauth::Error, Option<String>),
}

fn stream<'s>(socket: &'s mut Option<Socket<'_>>) -> std::io::Result<&'s mut TcpStream> {
    socket.as_mut().map(|socket| &mut socket.stream).ok_or_else(|| ErrorKind::NotConnected.into())
}

fn read(exchange: &mut Exchange, socket: &mut Option<Socket<'_>>, now: Time) {
    let space = exchange.space();
    if space.is_empty() {
        return;
    }
    match stream(socket).and_then(|stream| stream.read(space)) {
        Ok(n) => exchange.filled(n),
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(error) => exchange.failed(now, net::lost(&error)),
    }
}

fn keep(exchange: &mut Exchange, socket: Option<Socket<'_>>) {
    if let (Some(link), Some(socket)) = (exchange.take_link(), socket) {
        socket.keep(link);
    }
}

/// The error, with what the connection says about certificates where a token service refused.
fn explained(error: &regauth::Error, detail: Option<String>, last: Option<&Row>) -> Failure {
    let row = last.filter(|row| error.origin().map(Origin::to_string).as_deref() == Some(&row.origin));
    let mut failure = Failure::of(error, detail.as_deref());
    let (Kind::TokenRefused { certificates, .. }, Some(row)) = (error.kind(), row) else { return failure };
    match certificates {
        Some(found) if found.state == CertificateState::NotAsked => {}
        Some(found) => failure.todo = certificate_todo(found, row.evidence.as_ref(), row.hop, &row.origin),
        None if row.authorization.is_some() && row.status == Some(401) => {}
        None => failure.what.extend(clause(row).map(|text| format!("; {text}"))),
    }
    failure
}
