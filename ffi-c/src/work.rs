//! What an exchange says next, in memory that can be lent.

use std::fmt::Write as _;

use regauth::wire::{Do, Head, Sent, Target};

use crate::data::{Struct, regauth_bytes, regauth_header, start};
use crate::numbers::*;

/// Connect, or take a link out of the pool; then regauth_exchange_connected or regauth_exchange_failed.
pub const REGAUTH_DO_CONNECT: u32 = 1;
/// Write some of these bytes; then regauth_exchange_wrote or regauth_exchange_failed.
pub const REGAUTH_DO_WRITE: u32 = 2;
/// Read into regauth_exchange_space; then regauth_exchange_filled or regauth_exchange_failed. A host that can read while
/// it writes does the same whenever bytes come.
pub const REGAUTH_DO_READ: u32 = 3;
/// The application's body: the next bytes of it; then regauth_exchange_body.
pub const REGAUTH_DO_WANT_BODY: u32 = 4;
/// The head of the application's answer; then regauth_exchange_took_head.
pub const REGAUTH_DO_HEAD: u32 = 5;
/// Content of the application's answer; then regauth_exchange_took.
pub const REGAUTH_DO_BODY: u32 = 6;
/// Look these up, or run the helper; then regauth_exchange_credentials or regauth_exchange_helper_failed.
pub const REGAUTH_DO_CREDENTIALS: u32 = 7;
/// Poll again when woken, or at `until`. There is nothing to read or to write.
pub const REGAUTH_DO_WAIT: u32 = 8;
/// The exchange has no use for this socket any more: regauth_exchange_take_link gives what is to be pooled with it; if
/// that is nothing, close it. Then regauth_exchange_closed.
pub const REGAUTH_DO_CLOSE: u32 = 9;
/// The answer is whole. regauth_exchange_take_link gives what is to be pooled with the socket; if that is nothing, close
/// it.
pub const REGAUTH_DO_DONE: u32 = 10;
/// The exchange has failed and stays so: regauth_exchange_error. Close the socket.
pub const REGAUTH_DO_FAILED: u32 = 11;

/// What to do next. All bytes are lent by the exchange, until the next call on it that takes it without const.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_do {
    /// sizeof(regauth_do), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_DO_*. Fields of other kinds are 0.
    pub kind: u32,
    /// CONNECT: REGAUTH_HOP_*.
    pub hop: u32,
    /// CONNECT: scheme, host and port.
    pub origin: regauth_bytes,
    /// CONNECT: the host, for a resolver: IPv6 without brackets. The exchange speaks TLS itself.
    pub host: regauth_bytes,
    /// CONNECT: the port.
    pub port: u32,
    /// CONNECT: the TLS profile, for the pool.
    pub profile: u32,
    /// CONNECT: whether a pooled link will do.
    pub pooled: u32,
    /// WANT_BODY: it has to begin at its start once more; if it cannot, regauth_exchange_body_gone.
    pub again: u32,
    /// WRITE, BODY: the bytes.
    pub bytes: regauth_bytes,
    /// HEAD, DONE: the status of the application's answer.
    pub status: u32,
    /// DONE: whether the registry denied a cross-repository mount: no failed push, upload the blob instead.
    pub mount_denied: u32,
    /// HEAD: the header fields in their order; one that was sent twice is there twice.
    pub headers: *const regauth_header,
    /// HEAD: how many.
    pub headers_len: usize,
    /// CREDENTIALS: the registry's origin.
    pub registry: regauth_bytes,
    /// CREDENTIALS: the helper to run, docker-credential-NAME, where the configuration names one; else the look-up is
    /// the host's own. No path: it comes from a configuration file.
    pub helper: regauth_bytes,
    /// CREDENTIALS: what goes to the helper's standard input.
    pub helper_url: regauth_bytes,
    /// WAIT: when to poll at the latest, in Unix milliseconds.
    pub until: u64,
    /// WAIT: REGAUTH_WAIT_*.
    pub why: u32,
    /// Always 0.
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_do {}

/// One request that went out, and what came of it. All bytes are lent by the exchange, until the next call on it that
/// takes it without const.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_sent {
    /// sizeof(regauth_sent), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_HOP_*.
    pub hop: u32,
    /// The status of its answer; 0 where none came.
    pub status: u32,
    /// Its method.
    pub method: regauth_bytes,
    /// Where to, without the query, which may hold a signature.
    pub url: regauth_bytes,
    /// The labels of the identities that its connection may show; none where it may show none.
    pub identity: regauth_bytes,
    /// The scheme of its Authorization; none where it had none.
    pub authorization: regauth_bytes,
    /// Whether the connection had served an earlier request.
    pub reused: u32,
    /// Always 0.
    pub reserved: u32,
    /// When it began, in Unix milliseconds.
    pub begun: u64,
    /// When the answer's head was there, later when all of it was, or when it failed; 0 before.
    pub ended: u64,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_sent {}

/// What is lent and the exchange itself has in another form.
#[derive(Default)]
pub(crate) struct Lent {
    origin: String,
    headers: Vec<regauth_header>,
    url: String,
}

impl Lent {
    /// A thing to do in C's words. What only the flow knows of its end is left to the caller.
    pub(crate) fn tell(&mut self, work: &Do<'_>) -> regauth_do {
        let none = regauth_do::zeroed();
        match work {
            Do::Connect(target) => self.connect(target, none),
            Do::Write(bytes) => regauth_do { kind: REGAUTH_DO_WRITE, bytes: regauth_bytes::lend(bytes), ..none },
            Do::Read => regauth_do { kind: REGAUTH_DO_READ, ..none },
            Do::WantBody { again } => regauth_do { kind: REGAUTH_DO_WANT_BODY, again: (*again).into(), ..none },
            Do::Head(head) => self.head(head, none),
            Do::Body(bytes) => regauth_do { kind: REGAUTH_DO_BODY, bytes: regauth_bytes::lend(bytes), ..none },
            Do::Credentials(query) => {
                self.origin = query.registry.to_string();
                regauth_do {
                    kind: REGAUTH_DO_CREDENTIALS,
                    registry: regauth_bytes::lend(self.origin.as_bytes()),
                    helper: regauth_bytes::lend_text(query.helper.as_ref().map(|helper| helper.name.as_str())),
                    helper_url: regauth_bytes::lend_text(query.helper.as_ref().map(|helper| helper.url.as_str())),
                    ..none
                }
            }
            Do::Wait { until, why } => {
                regauth_do { kind: REGAUTH_DO_WAIT, until: until.0, why: from_waiting(*why), ..none }
            }
            Do::Close => regauth_do { kind: REGAUTH_DO_CLOSE, ..none },
            Do::Done => regauth_do { kind: REGAUTH_DO_DONE, ..none },
            _ => regauth_do { kind: REGAUTH_DO_FAILED, ..none },
        }
    }

    fn connect(&mut self, target: &Target<'_>, none: regauth_do) -> regauth_do {
        self.origin.clear();
        // Writing to a String does not fail.
        let _ = write!(self.origin, "{}", target.origin);
        regauth_do {
            kind: REGAUTH_DO_CONNECT,
            hop: from_hop(target.hop),
            origin: regauth_bytes::lend(self.origin.as_bytes()),
            host: regauth_bytes::lend(target.origin.server_name().as_bytes()),
            port: target.origin.port().into(),
            profile: target.profile.0,
            pooled: target.pooled.into(),
            ..none
        }
    }

    fn head(&mut self, head: &Head, none: regauth_do) -> regauth_do {
        self.headers.clear();
        self.headers.extend(head.fields().map(|(name, value)| regauth_header::lend(name, value)));
        regauth_do {
            kind: REGAUTH_DO_HEAD,
            status: head.status().into(),
            headers: start(&self.headers),
            headers_len: self.headers.len(),
            ..none
        }
    }

    pub(crate) fn sent(&mut self, sent: &Sent) -> regauth_sent {
        self.url = sent.url.redacted();
        regauth_sent {
            struct_size: 0,
            hop: from_hop(sent.hop),
            status: sent.status.unwrap_or_default().into(),
            method: regauth_bytes::lend(sent.method.as_bytes()),
            url: regauth_bytes::lend(self.url.as_bytes()),
            identity: regauth_bytes::lend_text(sent.identity.as_deref()),
            authorization: regauth_bytes::lend_text(sent.authorization),
            reused: sent.reused.into(),
            reserved: 0,
            begun: sent.begun.0,
            ended: sent.ended.map_or(0, |at| at.0),
        }
    }
}
