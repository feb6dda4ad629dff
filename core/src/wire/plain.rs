//! A connection without TLS, with the calls of one that has it.

use zeroize::Zeroizing;

/// Bytes of each direction that are held at once.
const BUFFER: usize = 64 * 1024;
/// Room that is offered at least: less would cost the host a system call for little.
const ROOM: usize = 16 * 1024;

/// The two buffers of a connection over plain http. They never grow, so nothing unwiped is left behind.
pub(super) struct Plain {
    incoming: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    outgoing: Zeroizing<Vec<u8>>,
    written: usize,
    closed: bool,
    /// Writing has failed.
    mute: bool,
}

impl Plain {
    pub(super) fn new() -> Self {
        Self {
            incoming: Zeroizing::new(vec![0; BUFFER]),
            start: 0,
            end: 0,
            outgoing: Zeroizing::new(Vec::with_capacity(BUFFER)),
            written: 0,
            closed: false,
            mute: false,
        }
    }

    /// What came in and was not taken.
    pub(super) fn received(&self) -> &[u8] {
        self.incoming.get(self.start..self.end).unwrap_or_default()
    }

    /// What is to be written.
    pub(super) fn pending(&self) -> &[u8] {
        self.outgoing.get(self.written..).unwrap_or_default()
    }

    /// Whether the stream ended.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Where the host reads to. Empty only if what came before was not taken.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if BUFFER - self.end < ROOM {
            self.incoming.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.incoming.get_mut(self.end..).unwrap_or_default()
    }

    pub(super) fn filled(&mut self, n: usize) {
        self.closed |= n == 0;
        self.end = self.end.saturating_add(n).min(BUFFER);
    }

    pub(super) fn took(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
    }

    /// False: so much was not there to be written.
    pub(super) fn wrote(&mut self, n: usize) -> bool {
        if n > self.pending().len() {
            return false;
        }
        self.written += n;
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
        true
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> usize {
        if self.mute {
            return 0;
        }
        let taken = bytes.len().min(BUFFER - self.outgoing.len());
        self.outgoing.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        taken
    }

    pub(super) fn write_failed(&mut self) {
        self.mute = true;
        self.outgoing.clear();
        self.written = 0;
    }
}
