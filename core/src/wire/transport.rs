//! What carries HTTP: TLS, or nothing round it.

use super::plain::Plain;
use crate::time::Time;
use crate::tls::{Evidence, Tls, TlsClient, TlsError};

/// A connection's bytes, with the calls of [`TlsClient`].
pub(super) enum Transport {
    Tls(Box<TlsClient>),
    Plain(Box<Plain>),
}

/// What the transport wants or has.
pub(super) enum Io<'a> {
    Write(&'a [u8]),
    Content(&'a [u8]),
    Read,
    Closed,
    Failed(&'a TlsError),
}

impl Transport {
    pub(super) fn plain() -> Self {
        Self::Plain(Box::new(Plain::new()))
    }

    pub(super) fn poll(&mut self, now: Time) -> Io<'_> {
        match self {
            Self::Tls(tls) => match tls.poll(now) {
                Tls::Write(bytes) => Io::Write(bytes),
                Tls::Plain(content) => Io::Content(content),
                Tls::Read => Io::Read,
                Tls::Closed => Io::Closed,
                Tls::Failed(error) => Io::Failed(error),
            },
            Self::Plain(plain) => match (plain.received(), plain.pending()) {
                // What came is looked at first: it may be an answer that makes writing on pointless.
                (content @ [_, ..], _) => Io::Content(content),
                ([], _) if plain.is_closed() => Io::Closed,
                ([], bytes @ [_, ..]) => Io::Write(bytes),
                ([], []) => Io::Read,
            },
        }
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        match self {
            Self::Tls(tls) => tls.space(),
            Self::Plain(plain) => plain.space(),
        }
    }

    pub(super) fn filled(&mut self, n: usize) {
        match self {
            Self::Tls(tls) => tls.filled(n),
            Self::Plain(plain) => plain.filled(n),
        }
    }

    /// False: so much was not there to be written. With TLS the connection fails by itself.
    pub(super) fn wrote(&mut self, n: usize) -> bool {
        match self {
            Self::Tls(tls) => {
                tls.wrote(n);
                true
            }
            Self::Plain(plain) => plain.wrote(n),
        }
    }

    /// Whether bytes wait to be written.
    pub(super) fn is_writing(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.is_writing(),
            Self::Plain(plain) => !plain.pending().is_empty(),
        }
    }

    pub(super) fn took(&mut self, n: usize) {
        match self {
            Self::Tls(tls) => tls.took(n),
            Self::Plain(plain) => plain.took(n),
        }
    }

    pub(super) fn send(&mut self, content: &[u8]) -> usize {
        match self {
            Self::Tls(tls) => tls.send(content),
            Self::Plain(plain) => plain.send(content),
        }
    }

    /// Says that nothing more will be sent, where there is a way to say it.
    pub(super) fn close(&mut self) {
        if let Self::Tls(tls) = self {
            tls.close();
        }
    }

    /// What waits to be written is of no use; reads go on.
    pub(super) fn write_failed(&mut self) {
        match self {
            Self::Tls(tls) => tls.write_failed(),
            Self::Plain(plain) => plain.write_failed(),
        }
    }

    /// Gives memory back, for a connection that is put aside.
    pub(super) fn release(&mut self) {
        if let Self::Tls(tls) = self {
            tls.release();
        }
    }

    pub(super) fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Tls(tls) => Some(tls.evidence()),
            Self::Plain(_) => None,
        }
    }
}
