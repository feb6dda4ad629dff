//! A connection without TLS, with the calls of one that has it.

use super::transport::Transport;
use crate::time::Time;
use crate::tls::{Buffer, Evidence, Tls, TlsError};

/// Bytes of each direction that are held at once.
const BUFFER: usize = 64 * 1024;
/// Room that is offered at least: less would cost the host a system call for little.
const ROOM: usize = 16 * 1024;

/// The two buffers of a connection over plain http.
#[derive(Default)]
pub(super) struct Plain {
    input: Buffer,
    output: Buffer,
    /// The stream ended.
    ended: bool,
    /// Writing has failed.
    mute: bool,
    error: Option<TlsError>,
}

impl Plain {
    fn check(&mut self, fits: bool, what: &'static str) {
        if !fits {
            self.error.get_or_insert(TlsError::Misuse(what));
        }
    }
}

impl Transport for Plain {
    fn poll(&mut self, _: Time) -> Tls<'_> {
        match &self.error {
            Some(error) => Tls::Failed(error),
            // What came is looked at first: it may be an answer that makes writing on pointless.
            None if !self.input.is_empty() => Tls::Plain(self.input.get()),
            None if self.ended => Tls::Closed,
            None if !self.output.is_empty() => Tls::Write(self.output.get()),
            None => Tls::Read,
        }
    }

    /// Empty only if what came before was not taken.
    fn space(&mut self) -> &mut [u8] {
        if self.input.len() > BUFFER - ROOM {
            return &mut [];
        }
        self.input.room(ROOM, BUFFER)
    }

    fn filled(&mut self, n: usize) {
        self.ended |= n == 0;
        let fits = self.input.filled(n);
        self.check(fits, "filled: more than there was space for");
    }

    fn wrote(&mut self, n: usize) {
        let fits = self.output.take(n);
        self.check(fits, "wrote: more than there was to write");
    }

    fn write_failed(&mut self) {
        self.mute = true;
        self.output.clear();
    }

    fn took(&mut self, n: usize) {
        let fits = self.input.take(n);
        self.check(fits, "took: more than there was to take");
    }

    fn send(&mut self, content: &[u8]) -> usize {
        let taken = if self.mute { 0 } else { content.len().min(BUFFER - self.output.len()) };
        self.output.room(taken, BUFFER);
        self.output.push(content.get(..taken).unwrap_or_default());
        taken
    }

    fn close(&mut self) {}

    fn release(&mut self) {
        self.input.release();
        self.output.release();
    }

    fn is_writing(&self) -> bool {
        !self.output.is_empty()
    }

    fn evidence(&self) -> Option<&Evidence> {
        None
    }
}
