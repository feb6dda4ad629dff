//! A TLS connection without a socket: bytes in, bytes out.
//!
//! ```text
//! loop {
//!     match tls.poll(now) {
//!         Tls::Write(bytes) => match socket.write(bytes) {
//!             Ok(n) => tls.wrote(n),
//!             Err(_) => tls.write_failed(),     // and read on: the reason is in what the server sent before
//!         },
//!         Tls::Plain(bytes) => { let n = use_up(bytes); tls.took(n) }
//!         Tls::Read => { let n = socket.read(tls.space()).unwrap_or(0); tls.filled(n) }
//!         Tls::Closed => break,
//!         Tls::Failed(error) => return Err(error.clone()),
//!     }
//! }
//! ```

use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{
    AppDataRecord, ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{HandshakeKind, ProtocolVersion};
use rustls_pki_types::ServerName;

use super::buffer::Buffer;
use super::config::{Clock, heard};
use super::sessions::{Link, Request};
use super::step::Tls;
use super::verify::tls_error;
use super::{Evidence, Profile, Shown, TlsError, Version};
use crate::error::Failure;
use crate::origin::Origin;
use crate::time::Time;

/// Room for the largest record there may be: 16 KiB, 2 KiB of expansion and the header, RFC 5246 section 6.2.3.
const RECORD: usize = 16_384 + 2048 + 5;
/// The input buffer: four full records, so that reading costs few calls, and mostly ends where a record does.
const INPUT: usize = 4 * (FRAGMENT + OVERHEAD);
/// The most ciphertext that may wait. A handshake message has at most 64 KiB, in records that may be small.
const MAX_INPUT: usize = 256 * 1024;
/// The most ciphertext that waits to be written before `send` takes no more.
const MAX_OUTPUT: usize = 64 * 1024;
/// What encryption adds to a record, rounded up.
const OVERHEAD: usize = 64;
/// The content type of an alert, RFC 8446 section 5.1.
const ALERT: u8 = 21;
/// The plain text of a record, RFC 8446 section 5.1.
const FRAGMENT: usize = 16 * 1024;

/// One TLS connection to one origin with one profile.
///
/// `Send`, and used by one task at a time. After [`Tls::Failed`] every call does nothing.
pub struct TlsClient {
    conn: UnbufferedClientConnection,
    profile: Profile,
    clock: Arc<Clock>,
    link: Arc<Link>,
    input: Buffer,
    output: Buffer,
    plain: Buffer,
    evidence: Evidence,
    error: Option<TlsError>,
    /// Whether rustls has not yet seen all of the input.
    pending: bool,
    /// Whether the handshake is over, so that bytes can be sent.
    ready: bool,
    /// The stream has ended.
    ended: bool,
    /// The server sent a close_notify.
    peer_closed: bool,
    /// `close` was called.
    closed: bool,
    /// Writing has failed.
    mute: bool,
}

/// What a call of rustls is made for.
enum Want<'a> {
    /// Stop at the first plain text that is not taken.
    Record(&'a mut dyn FnMut(&[u8]) -> usize),
    /// Go on to where bytes can be sent.
    Send(&'a [u8]),
    Close,
}

enum Next {
    Again,
    /// What was wanted is done.
    Met,
    /// There is not enough input for it.
    Stop,
    Fail(TlsError),
}

impl TlsClient {
    /// A connection to the host and port of `to`; its first bytes are there to be written.
    ///
    /// # Errors
    /// Local ones: roots, identities or a host name that cannot be used, `now` of 0.
    pub fn connect(profile: &Profile, to: &Origin, now: Time) -> Result<Self, TlsError> {
        Self::connect_after(profile, 0, to, now)
    }

    /// The same without the first `skip` identities: [`Evidence::next`] of an attempt that was rejected.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub fn connect_after(profile: &Profile, skip: usize, to: &Origin, now: Time) -> Result<Self, TlsError> {
        if now.0 == 0 {
            return Err(TlsError::NoTime);
        }
        let settings = profile.shared();
        let base = profile.configs.get(&settings, skip.min(settings.identities.len()))?;
        let host = to.server_name();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::ServerName(host.into()))?;
        let clock = Arc::new(Clock::default());
        clock.set(now);
        let link = Arc::new(base.link(host, to.port()));
        let config = base.config(Arc::clone(&clock), Arc::clone(&link));
        let conn = UnbufferedClientConnection::new(config, name).map_err(|error| tls_error(error, false))?;
        Ok(Self {
            conn,
            profile: profile.clone(),
            clock,
            link,
            input: Buffer::default(),
            output: Buffer::default(),
            plain: Buffer::default(),
            evidence: Evidence::default(),
            error: None,
            pending: true,
            ready: false,
            ended: false,
            peer_closed: false,
            closed: false,
            mute: false,
        })
    }

    /// What to do next.
    pub fn poll(&mut self, now: Time) -> Tls<'_> {
        self.poll_with(now, |_| 0)
    }

    /// The same for a host that uses plain text up on the spot: `take` is shown that of each record before it would be
    /// copied to be lent, and says how much of it, from the front, it used. The rest is lent as [`Tls::Plain`], and so is
    /// what came in during `send`.
    pub fn poll_with(&mut self, now: Time, mut take: impl FnMut(&[u8]) -> usize) -> Tls<'_> {
        self.clock.set(now);
        if self.plain.is_empty() && !self.closed {
            self.pump(Want::Record(&mut take));
            let stuck = self.plain.is_empty() && self.error.is_none();
            if stuck && self.ended && !self.peer_closed {
                self.cut_off();
            } else if stuck && self.is_full() {
                // Nothing of it could be used, so no more would help.
                self.error = Some(TlsError::Protocol("a handshake message in too many records".into()));
            }
        }
        if !self.plain.is_empty() {
            return Tls::Plain(self.plain.get());
        }
        if !self.output.is_empty() {
            return Tls::Write(self.output.get());
        }
        match &self.error {
            Some(error) => Tls::Failed(error),
            None if self.closed || self.peer_closed => Tls::Closed,
            None => Tls::Read,
        }
    }

    /// Room for what is read from the socket, at least one record. Empty once nothing more is wanted, and, for a host that
    /// reads ahead, while 256 KiB wait for what was lent to be taken: read on after that.
    pub fn space(&mut self) -> &mut [u8] {
        if self.is_over() || self.is_full() {
            return &mut [];
        }
        self.input.room(RECORD, INPUT)
    }

    /// So many bytes were read into [`Self::space`]; 0 at the end of the stream, or where reading failed.
    pub fn filled(&mut self, n: usize) {
        if self.is_over() {
            return;
        }
        if n == 0 {
            self.ended = true;
        } else if self.is_full() || !self.input.filled(n) {
            self.misuse("filled: more than there was space for");
        }
        self.pending = true;
    }

    /// So many bytes of [`Tls::Write`] were written.
    pub fn wrote(&mut self, n: usize) {
        if !self.output.take(n) {
            self.misuse("wrote: more than there was to write");
        }
    }

    /// Writing failed. What waits is dropped and nothing more is sent; reading goes on, because the alert that says
    /// why is often there already, behind the error of the write.
    pub fn write_failed(&mut self) {
        self.mute = true;
        self.output.clear();
    }

    /// So many bytes of [`Tls::Plain`] were used.
    pub fn took(&mut self, n: usize) {
        if !self.plain.take(n) {
            self.misuse("took: more than there was to take");
        }
    }

    /// Encrypts some of these bytes to be written, and says how many: none before the handshake is over, while 64 KiB
    /// wait to be written, and after the end.
    pub fn send(&mut self, plain: &[u8]) -> usize {
        if plain.is_empty() || !self.ready || self.mute || self.peer_closed || self.is_over() {
            return 0;
        }
        let taken = plain.len().min(MAX_OUTPUT.saturating_sub(self.output.len()));
        let Some(some) = plain.get(..taken).filter(|some| !some.is_empty()) else { return 0 };
        if self.pump(Want::Send(some)) { taken } else { 0 }
    }

    /// Ends the connection: a close_notify is written after what already waits, and nothing more is read. During the
    /// handshake nothing more is written either.
    pub fn close(&mut self) {
        if self.is_over() {
            return;
        }
        if self.ready && !self.mute {
            self.pump(Want::Close);
        } else {
            self.output.clear();
        }
        self.closed = true;
        self.plain.clear();
        self.release();
    }

    /// Gives the memory of empty buffers back: for a connection that is put aside.
    pub fn release(&mut self) {
        self.input.release();
        self.output.release();
        self.plain.release();
    }

    /// Whether the handshake is over, so that bytes can be sent. In TLS 1.3 that does not mean that the server has
    /// accepted: see [`Evidence::accepted`].
    pub fn ready(&self) -> bool {
        self.ready && !self.is_over()
    }

    /// The protocol that the server chose among [`Settings::alpn`](super::Settings::alpn), if it chose one.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.conn.alpn_protocol()
    }

    /// The facts about client certificates, as far as they are known.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The latched error, also while there is still something to write about it.
    pub fn error(&self) -> Option<&TlsError> {
        self.error.as_ref()
    }

    /// Whether ciphertext waits to be written.
    pub(crate) fn is_writing(&self) -> bool {
        !self.output.is_empty()
    }

    const fn is_full(&self) -> bool {
        self.input.len() > MAX_INPUT - RECORD
    }

    fn is_over(&self) -> bool {
        self.error.is_some() || self.closed
    }

    fn misuse(&mut self, what: &'static str) {
        if self.error.is_none() && !self.closed {
            self.error = Some(TlsError::Misuse(what));
            self.output.clear();
            self.plain.clear();
        }
    }

    /// Lets rustls see the input, all of it in every call, until it wants more or `want` is met; true if it is met.
    fn pump(&mut self, mut want: Want<'_>) -> bool {
        if self.error.is_some() || (matches!(want, Want::Record(_)) && !self.pending) {
            return false;
        }
        loop {
            // Nothing that came before the server's hello was understood.
            let first = self.evidence.version.is_none();
            let UnbufferedStatus { mut discard, state } = self.conn.process_tls_records(self.input.get_mut());
            let next = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut next = Next::Again;
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(AppDataRecord { discard: more, payload, .. }) => {
                                discard += more;
                                self.evidence.accepted |= !payload.is_empty();
                                // What waits to be taken comes before it.
                                let taken = match &mut want {
                                    Want::Record(take) if self.plain.is_empty() => take(payload),
                                    _ => 0,
                                };
                                self.plain.push(payload.get(taken..).unwrap_or_default());
                            }
                            Err(error) => next = Next::Fail(tls_error(error, false)),
                        }
                    }
                    if matches!((&want, &next), (Want::Record(_), Next::Again)) && !self.plain.is_empty() {
                        next = Next::Met;
                    }
                    next
                }
                Ok(ConnectionState::EncodeTlsData(chunk)) => {
                    let before = self.output.len();
                    let next = encode(chunk, &mut self.output);
                    // The only alert that rustls sends without an error refuses to renegotiate: a warning, TLS 1.2.
                    self.evidence.late |= self.output.get().get(before) == Some(&ALERT);
                    next
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    transmit.done();
                    Next::Again
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = true;
                    Next::Again
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    self.pending = false;
                    match &want {
                        Want::Record(_) => Next::Met,
                        Want::Send(plain) => encrypt(&mut traffic, plain, &mut self.output),
                        Want::Close => {
                            self.output.write(|room| traffic.queue_close_notify(room).map_err(required));
                            Next::Met
                        }
                    }
                }
                Ok(_) => {
                    self.pending = false;
                    Next::Stop
                }
                Err(error) => Next::Fail(tls_error(error, first)),
            };
            self.input.take(discard);
            self.learn();
            if self.mute {
                self.output.clear();
            }
            match next {
                Next::Again => {}
                Next::Met => return true,
                Next::Stop => return false,
                Next::Fail(error) => {
                    self.fail(error);
                    return false;
                }
            }
        }
    }

    /// Brings the evidence up to date after a call of rustls.
    fn learn(&mut self) {
        if !self.ready {
            let heard = heard();
            if let Some((label, why)) = heard.signer {
                self.error = Some(TlsError::Signer { label, why });
            }
            if let Some(request) = heard.request {
                self.adopt(&Arc::new(request));
            }
            self.evidence.version = self.conn.protocol_version().and_then(|version| match version {
                ProtocolVersion::TLSv1_2 => Some(Version::Tls12),
                ProtocolVersion::TLSv1_3 => Some(Version::Tls13),
                _ => None,
            });
            if self.conn.handshake_kind() == Some(HandshakeKind::Resumed) && !self.evidence.resumed {
                self.evidence.resumed = true;
                if let Some(first) = self.link.offered() {
                    self.adopt(&first);
                }
            }
            self.ready = !self.conn.is_handshaking();
            self.evidence.finished = self.ready;
        }
        self.link.commit();
    }

    fn adopt(&mut self, request: &Arc<Request>) {
        self.evidence.hints.clone_from(&request.hints);
        self.evidence.shown.clone_from(&request.shown);
        (self.evidence.pair, self.evidence.next) = (request.pair, request.next);
        self.evidence.flaw = self.profile.flaw(request.pair, self.clock.get());
        self.link.learned(request);
    }

    /// Latches an error, in the words that fit the evidence, and fetches the alert that rustls has for the server.
    fn fail(&mut self, error: TlsError) {
        let error = match error {
            TlsError::Alert(alert) => {
                // The server reads no more, and what waits to be written would only hide the alert.
                self.output.clear();
                self.evidence.alert = Some(alert);
                match self.evidence.failure(Failure::Tls) {
                    _ if self.evidence.late && !self.evidence.accepted => TlsError::LateRequest,
                    Failure::CertificateRequired => TlsError::CertificateRequired { alert },
                    Failure::CertificateRejected => TlsError::CertificateRejected { alert },
                    _ => TlsError::Alert(alert),
                }
            }
            other => other,
        };
        self.evidence.late |= error == TlsError::LateRequest;
        if matches!(error.failure(), Failure::CertificateRequired | Failure::CertificateRejected) {
            self.link.forget();
        }
        // A signer's error is known already, and rustls's is only its echo.
        let error = self.error.take().unwrap_or(error);
        self.evidence.problem = Some((error.what(), error.remedy().into()));
        self.error = Some(error);
        // While there is something to send, rustls gives that out before it looks at any input.
        while self.conn.wants_write() && !self.mute {
            let UnbufferedStatus { state, .. } = self.conn.process_tls_records(self.input.get_mut());
            let Ok(ConnectionState::EncodeTlsData(chunk)) = state else { break };
            encode(chunk, &mut self.output);
        }
        self.input.clear();
        self.input.release();
    }

    /// The stream ended and there was no close_notify.
    fn cut_off(&mut self) {
        self.output.clear();
        self.fail(if self.evidence.late && !self.evidence.accepted {
            TlsError::LateRequest
        } else if self.evidence.probably_rejected() {
            TlsError::ProbablyRejected { shown: matches!(self.evidence.shown, Shown::Pair { .. }) }
        } else {
            TlsError::Truncated { finished: self.evidence.finished }
        });
        self.output.clear();
    }
}

/// Puts a handshake record or an alert behind what waits to be written.
fn encode(mut chunk: EncodeTlsData<'_, ClientConnectionData>, output: &mut Buffer) -> Next {
    output.write(|room| {
        chunk.encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size, .. }) => Some(required_size),
            EncodeError::AlreadyEncoded => None,
        })
    });
    Next::Again
}

fn encrypt(traffic: &mut WriteTraffic<'_, ClientConnectionData>, plain: &[u8], output: &mut Buffer) -> Next {
    output.room(plain.len() + (plain.len() / FRAGMENT + 1) * OVERHEAD, 0);
    if output.write(|room| traffic.encrypt(plain, room).map_err(required)) {
        Next::Met
    } else {
        Next::Fail(TlsError::Protocol("the keys of this connection are used up".into()))
    }
}

fn required(error: EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size, .. }) => Some(required_size),
        EncryptError::EncryptExhausted => None,
    }
}
