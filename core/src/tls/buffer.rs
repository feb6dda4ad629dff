//! Bytes between a cursor that reads and one that writes.

use zeroize::Zeroize as _;

/// A queue of bytes in one piece. Memory is given back by [`Buffer::release`] only.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Nothing was ever written beyond this.
    high: usize,
}

impl Buffer {
    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) const fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn get(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or(&[])
    }

    pub(crate) fn get_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or(&mut [])
    }

    /// Room for at least `n` more bytes, and for `whole` in total where memory has to be taken anyway.
    pub(crate) fn room(&mut self, n: usize, whole: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < n {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
            if self.bytes.len() - self.end < n {
                self.grow((self.end + n).max(whole));
            }
        }
        self.spare()
    }

    /// A bigger one, and the old one wiped: the reallocation of a `Vec` would leave plain text behind.
    fn grow(&mut self, size: usize) {
        let mut bytes = vec![0; size];
        if let Some(front) = bytes.get_mut(..self.end) {
            front.copy_from_slice(self.bytes.get(..self.end).unwrap_or(&[]));
        }
        self.wipe();
        self.bytes = bytes;
        self.high = self.end;
    }

    /// Tokens pass through here. Byte by byte, as wiping has to be, so only what was used.
    fn wipe(&mut self) {
        if let Some(used) = self.bytes.get_mut(..self.high) {
            used.zeroize();
        }
    }

    /// The room that is there.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or(&mut [])
    }

    /// Of the room, `n` bytes were filled; false where there were fewer.
    pub(crate) const fn filled(&mut self, n: usize) -> bool {
        let fits = n <= self.bytes.len() - self.end;
        if fits {
            self.end += n;
            if self.end > self.high {
                self.high = self.end;
            }
        }
        fits
    }

    /// Lets `write` fill some of the room; where it fails, it says how much it needs, or that it cannot be helped:
    /// false.
    pub(crate) fn write(&mut self, mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>) -> bool {
        for _ in 0..2 {
            match write(self.spare()) {
                Ok(n) => return self.filled(n),
                Err(Some(required)) => _ = self.room(required, 0),
                Err(None) => return false,
            }
        }
        false
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len(), 0).get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.filled(bytes.len());
        }
    }

    /// The first `n` bytes are done with; false where there were fewer.
    pub(crate) const fn take(&mut self, n: usize) -> bool {
        let fits = n <= self.len();
        if fits {
            self.start += n;
        }
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        fits
    }

    pub(crate) const fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Wipes the memory and gives it back, if nothing is in it.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.wipe();
            *self = Self::default();
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.wipe();
    }
}
