//! What carries HTTP: TLS, or nothing round it.

use crate::time::Time;
use crate::tls::{Evidence, Tls, TlsClient};

/// A connection's bytes, with the calls of [`TlsClient`].
pub(super) trait Transport: Send {
    fn poll(&mut self, now: Time) -> Tls<'_>;
    fn space(&mut self) -> &mut [u8];
    fn filled(&mut self, n: usize);
    fn wrote(&mut self, n: usize);
    fn write_failed(&mut self);
    fn took(&mut self, n: usize);
    fn send(&mut self, content: &[u8]) -> usize;
    /// Says that nothing more will be sent, where there is a way to say it.
    fn close(&mut self);
    fn release(&mut self);
    fn is_writing(&self) -> bool;
    fn evidence(&self) -> Option<&Evidence>;
}

impl Transport for TlsClient {
    fn poll(&mut self, now: Time) -> Tls<'_> {
        self.poll(now)
    }

    fn space(&mut self) -> &mut [u8] {
        self.space()
    }

    fn filled(&mut self, n: usize) {
        self.filled(n);
    }

    fn wrote(&mut self, n: usize) {
        self.wrote(n);
    }

    fn write_failed(&mut self) {
        self.write_failed();
    }

    fn took(&mut self, n: usize) {
        self.took(n);
    }

    fn send(&mut self, content: &[u8]) -> usize {
        self.send(content)
    }

    fn close(&mut self) {
        self.close();
    }

    fn release(&mut self) {
        self.release();
    }

    fn is_writing(&self) -> bool {
        self.is_writing()
    }

    fn evidence(&self) -> Option<&Evidence> {
        Some(self.evidence())
    }
}
