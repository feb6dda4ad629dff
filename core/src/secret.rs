//! Passwords, tokens and header values that must not be seen.

use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

/// Bytes that are wiped when they are dropped and print as `***`.
///
/// There is no `Clone`, no `Display` and no serialization; compare with `==`, which takes the same time whatever
/// differs. Copies that the host makes (its buffers, TLS records, strings of another language) are not ours to wipe.
#[derive(Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes, for the one place that has to send them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether there is nothing in it. An empty password is no password.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A second one with the same bytes; by name, so that no derive makes copies.
    pub fn duplicate(&self) -> Self {
        Self::from(self.expose())
    }

    /// Adds bytes, up to `most` in all. What grows is moved first: a `Vec` would leave what it held behind, unwiped.
    #[cfg(feature = "tls")]
    pub(crate) fn push(&mut self, bytes: &[u8], most: usize) {
        let length = self.0.len().saturating_add(bytes.len());
        if length > self.0.capacity() {
            let mut larger = Vec::with_capacity(length.saturating_mul(2).min(most));
            larger.extend_from_slice(&self.0);
            wipe(&mut std::mem::replace(&mut self.0, larger));
        }
        self.0.extend_from_slice(bytes);
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Wipes and empties a `Vec` as two slices, many bytes at a step: it wipes itself byte by byte.
pub(crate) fn wipe(bytes: &mut Vec<u8>) {
    bytes.as_mut_slice().zeroize();
    bytes.spare_capacity_mut().zeroize();
    bytes.clear();
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(std::mem::take(&mut *bytes))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    }
}

impl Eq for Secret {}
