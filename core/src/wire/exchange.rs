//! A whole exchange over the host's sockets: a [`Flow`], TLS and HTTP/1.1.
//!
//! A host with blocking sockets and no pool, for a request without a body:
//!
//! ```no_run
//! use std::io::{Error, Read, Write};
//! use std::net::{TcpStream, ToSocketAddrs};
//! use std::task::Waker;
//!
//! use regauth::wire::{Do, Exchange};
//! use regauth::{Agent, Dial, Failure, Time};
//!
//! fn get(agent: &Agent, url: &str, clock: fn() -> Time, out: &mut impl Write) -> Result<(), Error> {
//!     let mut exchange = Exchange::new(agent, agent.request("GET", url).map_err(Error::other)?);
//!     let mut socket = None::<TcpStream>;
//!     loop {
//!         match (exchange.poll(clock(), Waker::noop()), &mut socket) {
//!             (Do::Connect(to), _) => {
//!                 let addresses = (to.origin.server_name(), to.origin.port()).to_socket_addrs()?;
//!                 socket = addresses
//!                     .filter(|address| exchange.dial(Dial::Ip(address.ip())).is_ok())
//!                     .find_map(|address| TcpStream::connect(address).ok());
//!                 match socket {
//!                     Some(_) => exchange.connected(clock(), None),
//!                     None => exchange.failed(clock(), Failure::Connect),
//!                 }
//!             }
//!             (Do::Write(bytes), Some(socket)) => match socket.write(bytes) {
//!                 Ok(n) => exchange.wrote(n),
//!                 Err(_) => exchange.failed(clock(), Failure::Reset),
//!             },
//!             (Do::Read, Some(socket)) => match socket.read(exchange.space()) {
//!                 Ok(n) => exchange.filled(n),
//!                 Err(_) => exchange.failed(clock(), Failure::Reset),
//!             },
//!             (Do::Head(_), _) => exchange.took_head(),
//!             (Do::Body(content), _) => {
//!                 let n = out.write(content)?;
//!                 exchange.took(n);
//!             }
//!             (Do::Credentials(_), _) => exchange.credentials(clock(), Ok(None)),
//!             (Do::Wait { .. }, _) => std::thread::yield_now(),
//!             (Do::Close, _) => {
//!                 socket = None;
//!                 exchange.closed();
//!             }
//!             (Do::Done, _) => return Ok(()),
//!             (Do::Failed(error), _) => return Err(Error::other(error.clone())),
//!             _ => unreachable!(),
//!         }
//!     }
//! }
//! ```

mod drive;

use std::fmt;
use std::task::Waker;

use super::call::Call;
use super::{Collector, Framing, Head, Link, Sent, Target, application_field};
use crate::client::{Agent, Dial, Flow, Found, HelperFailure, Query, Referrer, Step, Waiting};
use crate::error::{Error, ErrorKind, Failure};
use crate::secret::Secret;
use crate::time::Time;

/// The most content of an answer that nobody wants which is read so that its connection can be used again, in bytes. A
/// new connection costs more than this, and less than a blob.
pub const MAX_DISCARD: usize = 64 * 1024;

/// What the host does next. It borrows the exchange, so it cannot be kept past its answer. `Debug` prints how many bytes
/// there are, and not which: on plain http there is a token among them.
#[non_exhaustive]
pub enum Do<'a> {
    /// Connect, or take a link out of the pool; then [`Exchange::connected`], or [`Exchange::failed`].
    Connect(Target<'a>),
    /// Write some of these bytes; then [`Exchange::wrote`], or [`Exchange::failed`]. A host that can tell whether
    /// something came in reads that first, as with [`Do::Read`]: on a connection that has served a request before, what
    /// comes before a request is written is no answer to it, and afterwards nobody can know.
    Write(&'a [u8]),
    /// Read into [`Exchange::space`]; then [`Exchange::filled`], or [`Exchange::failed`]. A host that can read while it
    /// writes does the same whenever bytes come.
    Read,
    /// The application's body: the next bytes of it; then [`Exchange::body`].
    WantBody {
        /// It has to begin at its start once more: bytes of it were sent and the answer was that this has to be done
        /// again. If it cannot: [`Exchange::body_gone`].
        again: bool,
    },
    /// The head of the application's answer; then [`Exchange::took_head`].
    Head(&'a Head),
    /// Content of the application's answer, as it was decrypted; then [`Exchange::took`].
    Body(&'a [u8]),
    /// Look these up, or run the helper; then [`Exchange::credentials`].
    Credentials(&'a Query),
    /// Poll again when woken, or at `until`. There is nothing to read or to write.
    Wait {
        /// The time at which to poll at the latest.
        until: Time,
        /// What for.
        why: Waiting,
    },
    /// The exchange has no use for this socket any more. [`Exchange::take_link`] gives what is to be pooled with it; if
    /// that is nothing, close it. Then [`Exchange::closed`].
    Close,
    /// The answer is whole. [`Exchange::take_link`] gives what is to be pooled with the socket; if that is nothing,
    /// close it.
    Done,
    /// The exchange has failed and stays so. Close the socket.
    Failed(&'a Error),
}

impl fmt::Debug for Do<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(target) => f.debug_tuple("Connect").field(target).finish(),
            Self::Write(bytes) => f.debug_tuple("Write").field(&bytes.len()).finish(),
            Self::Read => f.write_str("Read"),
            Self::WantBody { again } => f.debug_struct("WantBody").field("again", again).finish(),
            Self::Head(head) => f.debug_tuple("Head").field(head).finish(),
            Self::Body(bytes) => f.debug_tuple("Body").field(&bytes.len()).finish(),
            Self::Credentials(query) => f.debug_tuple("Credentials").field(query).finish(),
            Self::Wait { until, why } => f.debug_struct("Wait").field("until", until).field("why", why).finish(),
            Self::Close => f.write_str("Close"),
            Self::Done => f.write_str("Done"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// One request of the application with all that belongs to it: token requests, redirects, connections.
///
/// `Send`, and used by one task. There is one socket at a time. [`Exchange::poll`] is idempotent; a call that does not
/// fit what was asked for latches an error, and after [`Do::Failed`] every call does nothing. Dropping it gives up what
/// it does for others.
pub struct Exchange {
    agent: Agent,
    flow: Flow,
    fields: Vec<(String, Secret)>,
    body: Framing,
    /// Bytes of the application's body were taken.
    begun: bool,
    /// They have to be given once more, from its start.
    again: bool,
    /// The application says that it can.
    rewinds: bool,
    stage: Stage,
    call: Option<Call>,
    live: Option<Link>,
    dialed: Option<Dial>,
    head: Option<Head>,
    /// What the flow was told as a failure, in better words.
    cause: Option<Error>,
    sent: Vec<Sent>,
    error: Option<Error>,
}

enum Stage {
    /// The flow is asked.
    Ask,
    /// There is a request, and perhaps a connection that can serve it.
    Route,
    /// The connection is of no more use, and says so.
    Leave,
    /// The socket is given back.
    Close,
    Connect,
    /// The request goes out, the head comes in.
    Talk,
    /// An answer that the flow wants whole.
    Collect(Head, Collector),
    /// An answer that nobody wants; how much of it may still come.
    Discard(usize),
    /// The head is the application's.
    Head,
    /// The content is the application's.
    Content,
    Done,
    Failed,
}

/// A [`Do`] that borrows nothing.
enum Act {
    Connect,
    Write,
    Read,
    WantBody,
    Head,
    Body,
    Credentials,
    Wait(Time, Waiting),
    Close,
    Done,
    Failed,
}

impl Exchange {
    /// An exchange for this flow, which is one of `agent`'s.
    pub fn new(agent: &Agent, flow: Flow) -> Self {
        Self {
            agent: agent.clone(),
            flow,
            fields: Vec::new(),
            body: Framing::None,
            begun: false,
            again: false,
            rewinds: false,
            stage: Stage::Ask,
            call: None,
            live: None,
            dialed: None,
            head: None,
            cause: None,
            sent: Vec::new(),
            error: None,
        }
    }

    /// Adds a field to the application's requests, before the first `poll`: `Accept`, `Range`, `Content-Type`. They go
    /// wherever a redirect leads, and not to token services.
    ///
    /// # Errors
    /// [`ErrorKind::Field`] for one that cannot be sent or is not the application's: see [`application_field`].
    pub fn header(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        application_field(name, value).map_err(|error| Error::new(ErrorKind::Field(error.as_str())))?;
        self.fields.push((name.into(), value.into()));
        Ok(())
    }

    /// Announces a body, before the first `poll`: its length in bytes, or `None` where that is not known and the body
    /// goes out in chunks.
    pub fn body_len(&mut self, length: Option<u64>) {
        self.body = length.map_or(Framing::Chunked, Framing::Length);
    }

    /// Says, before the first `poll`, that the body can begin at its start once more. Without this a request of whose body
    /// bytes were sent is not repeated with another identity
    /// ([`Host::try_pairs_on_status`](crate::Host::try_pairs_on_status)): the answer is the application's.
    pub fn body_rewinds(&mut self) {
        self.rewinds = true;
    }

    /// What to do next. Idempotent: the same value comes until it is answered, or until something new has come in.
    /// `waker` is woken when a [`Do::Wait`] for another exchange may be over.
    pub fn poll(&mut self, now: Time, waker: &Waker) -> Do<'_> {
        let act = loop {
            if let Some(act) = self.advance(now, waker) {
                break act;
            }
        };
        let lost = || Error::new(ErrorKind::Misuse("an exchange lost its way"));
        match act {
            Act::Connect => {
                if let Some(call) = &self.call {
                    let Call { origin, id, hop, fresh, .. } = call;
                    return Do::Connect(Target { origin, profile: *id, hop: *hop, pooled: !fresh });
                }
            }
            Act::Write | Act::Body => {
                if let Some(live) = &mut self.live {
                    let bytes = live.connection.bytes(now);
                    return if matches!(act, Act::Write) { Do::Write(bytes) } else { Do::Body(bytes) };
                }
            }
            Act::Head => {
                if let Some(head) = &self.head {
                    return Do::Head(head);
                }
            }
            // Neither changes until it is answered. A wait may be over at any time, by what another thread does.
            Act::Credentials | Act::Failed if self.error.is_none() => match self.flow.poll(now, waker) {
                Step::Credentials(query) => return Do::Credentials(query),
                Step::Failed(error) => return Do::Failed(error),
                _ => {}
            },
            Act::Credentials | Act::Failed => {}
            Act::Wait(until, why) => return Do::Wait { until, why },
            Act::Read => return Do::Read,
            Act::WantBody => return Do::WantBody { again: self.again },
            Act::Close => return Do::Close,
            Act::Done => return Do::Done,
        }
        self.stage = Stage::Failed;
        Do::Failed(self.error.get_or_insert_with(lost))
    }

    /// Asks whether this address may be used for the current [`Do::Connect`]. Ask for each address before it is used,
    /// and use that one: a name may resolve to another the next time. A refused address is skipped; when none is left:
    /// `failed(now, Failure::AddressRefused)`.
    ///
    /// # Errors
    /// The refusal, fault `Policy`. It is not latched.
    pub fn dial(&mut self, to: Dial) -> Result<(), Error> {
        if !matches!(self.stage, Stage::Connect) {
            return Err(Error::new(ErrorKind::Misuse("dial() without a Connect")));
        }
        self.flow.dial(to)?;
        self.dialed = Some(to);
        Ok(())
    }

    /// Answers [`Do::Connect`]: a new connection to what [`Exchange::dial`] allowed last, or a pooled one with its link.
    ///
    /// A link that turns out to be closed before a byte of the answer came is replaced once, where the request can be
    /// repeated: its method is idempotent (RFC 9110 section 9.2.2), it is a token request, or its head was not yet
    /// written to its end. So is one on which something comes that no request had asked for: see [`Do::Write`].
    pub fn connected(&mut self, now: Time, link: Option<Link>) {
        let (Stage::Connect, Some(call)) = (&self.stage, &mut self.call) else {
            return self.misuse("connected() without a Connect");
        };
        let mut link = match (link, self.dialed.take()) {
            (Some(link), _) if !call.fits(&link) => {
                return self.misuse("connected() with the link of another target");
            }
            (Some(link), _) => link,
            (None, None) => return self.misuse("connected() before dial() allowed an address"),
            (None, Some(dial)) => {
                call.renew(&self.agent);
                match call.connection(now) {
                    Ok(connection) => Link { key: call.key(dial), dial, skip: call.skip, connection },
                    Err(error) => return self.gave_up(now, error),
                }
            }
        };
        // What came while a link was idle is no answer to anything, and its address may not do for this request.
        let pooled = link.connection.was_used();
        if pooled && !(link.connection.is_quiet(now) && self.flow.dial(link.dial).is_ok()) {
            call.fresh = true;
            link.connection.close();
            self.live = Some(link);
            self.stage = Stage::Leave;
        } else {
            self.live = Some(link);
            self.begin(now);
        }
    }

    /// Where the host reads to: room for at least one TLS record, or nothing where no more is wanted, for now or at all. A
    /// host that reads only at [`Do::Read`] always finds room.
    pub fn space(&mut self) -> &mut [u8] {
        self.live.as_mut().map(|live| live.connection.space()).unwrap_or_default()
    }

    /// So many bytes were read into [`Exchange::space`]; 0 at the end of the stream.
    pub fn filled(&mut self, n: usize) {
        if let Some(live) = &mut self.live {
            live.connection.filled(n);
        }
    }

    /// So many bytes of [`Do::Write`] were written.
    pub fn wrote(&mut self, n: usize) {
        if let Some(live) = &mut self.live {
            live.connection.wrote(n);
        }
    }

    /// The head was looked at.
    pub fn took_head(&mut self) {
        match self.stage {
            Stage::Head => self.stage = Stage::Content,
            _ => self.misuse("took_head() without a Head"),
        }
    }

    /// So many bytes of [`Do::Body`] were used.
    pub fn took(&mut self, n: usize) {
        let took = match (&self.stage, &mut self.live) {
            (Stage::Content, Some(live)) => live.connection.took(n),
            _ => false,
        };
        if !took {
            self.misuse("took() of more than a Body");
        }
    }

    /// Answers [`Do::WantBody`] with the next bytes; `last`: none come behind these. Gives how many were taken: the
    /// others are the first of the next call, which is also the one to say `last` then.
    pub fn body(&mut self, content: &[u8], last: bool) -> usize {
        let (Stage::Talk, Some(live)) = (&self.stage, &mut self.live) else {
            self.misuse("body() without a WantBody");
            return 0;
        };
        match live.connection.body(content, last) {
            Ok(taken) => {
                self.again = false;
                self.begun |= taken > 0;
                taken
            }
            Err(what) => {
                self.misuse(what);
                0
            }
        }
    }

    /// Answers [`Do::WantBody`] where the body cannot begin at its start once more, or cannot be given at all.
    pub fn body_gone(&mut self) {
        self.latch(Error::new(ErrorKind::BodyGone));
    }

    /// Answers [`Do::Credentials`] with what the look-up found.
    pub fn credentials(&mut self, now: Time, found: Result<Option<Found>, HelperFailure>) {
        match self.stage {
            Stage::Ask => self.flow.credentials(now, found),
            _ => self.misuse("credentials() without a look-up"),
        }
    }

    /// Answers [`Do::Connect`], [`Do::Write`] or [`Do::Read`] with what went wrong. After a failed write the exchange
    /// reads on, unless that was a timeout: what the server said before it closed is worth more than that it did.
    pub fn failed(&mut self, now: Time, why: Failure) {
        match (&self.stage, &mut self.live) {
            (Stage::Connect, _) => {
                self.flow.failed(now, why, None);
                self.stage = Stage::Ask;
            }
            (Stage::Done | Stage::Failed, _) => {}
            (_, Some(live)) => live.connection.host_failed(now, why),
            (_, None) => self.misuse("failed() without a connection"),
        }
    }

    /// Answers [`Do::Close`]: the socket is closed or pooled.
    pub fn closed(&mut self) {
        match self.stage {
            Stage::Close => {
                self.live = None;
                self.stage = Stage::Route;
            }
            _ => self.misuse("closed() without a Close"),
        }
    }

    /// The connection's state, to be pooled with its socket: at [`Do::Close`] and after [`Do::Done`]. `None` where the
    /// connection cannot serve another request.
    pub fn take_link(&mut self) -> Option<Link> {
        if !matches!(self.stage, Stage::Close | Stage::Done) {
            return None;
        }
        let mut link = self.live.take().filter(|live| live.connection.is_reusable())?;
        link.connection.release();
        Some(link)
    }

    /// The requests that went out so far, in order, and what came of them.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// The head of the application's answer, once it is there.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The flow: what became of a mount, for one.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What a URL in the answer is followed with.
    pub fn referrer(&self) -> Referrer {
        self.flow.referrer()
    }

    /// Writes the transcript: every decision so far, without any secret.
    pub fn explain(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.flow.explain(out)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("flow", &self.flow).finish_non_exhaustive()
    }
}
