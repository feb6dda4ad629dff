//! Header values: `fetch` has strings of one character a byte (ByteString), the core has bytes.

use regauth::Secret;

/// The bytes of such a string; `None` where a character is no byte.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// The string of these bytes.
pub(crate) fn string(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

pub(crate) fn shown(secret: &Secret) -> String {
    string(secret.expose())
}

/// Pairs out of a flat list: name, value, name, value.
pub(crate) fn pairs(flat: Vec<String>) -> Option<Vec<(String, Vec<u8>)>> {
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    let mut flat = flat.into_iter();
    while let Some(name) = flat.next() {
        pairs.push((name, bytes(&flat.next()?)?));
    }
    Some(pairs)
}
