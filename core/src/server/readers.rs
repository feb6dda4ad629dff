//! What other programs that read a path take it for: proxies, frameworks, and registries that clean it up in their own
//! way. Whatever leads to `/v2` for one of them is the registry's.

use std::borrow::Cow;

use crate::origin::MAX_URL;
use crate::route::percent_decode;

/// How often a path can be decoded before it is taken for the worst.
const ROUNDS: usize = 4;

/// Whether this path leads to `/v2`, or below it, for some reader.
///
/// Readers differ in how often they decode, before or after dots are taken away; in whether a backslash is a slash, and
/// whether `;`, `#`, `?`, a control character or white space ends a segment; in whether empty segments count; and in what
/// they take for the host. All look at case (RFC 9110 section 4.2.3).
pub(super) fn lead_to_registry(path: &str) -> bool {
    let first = path.strip_prefix('/').map(|rest| rest.split('/').next().unwrap_or_default());
    if first == Some("v2") {
        return true;
    }
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'%' | b'\\' | b';' | b'#');
    let dots = |segment: &str| matches!(segment, "." | "..");
    if first.is_some() && path.bytes().all(plain) && !path.contains("//") && !path.split('/').any(dots) {
        return false;
    }
    // Of the forms of a target (RFC 9112 section 3.2) only the absolute one begins otherwise and has escapes.
    let rootless = first.is_none();
    let absolute = |scheme: &str| path.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let none = rootless && !path.bytes().all(plain) && !absolute("http://") && !absolute("https://");
    // Nobody needs a path that is longer; do not spend time on it.
    none || path.len() > MAX_URL || Place { rootless, ..Place::default() }.read(path, 0).found
}

/// Decoded until nothing is left to decode, or [`ROUNDS`] times.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        match decoded_once(&text) {
            Some(next) => text = Cow::Owned(next),
            None => break,
        }
    }
    text
}

/// Where the readers are. As they are in different places, it is the one nearest to the root.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Whether what stands before the first slash has been read.
    begun: bool,
    /// Whether that is something, so that there can be a scheme.
    rootless: bool,
    /// How many segments there are at least.
    depth: usize,
    /// How many of them are no path but the host for some reader.
    host: usize,
    /// Whether `v2` was the first segment of the path.
    found: bool,
}

impl Place {
    /// After these segments, for those who have decoded so often.
    fn read(self, text: &str, rounds: usize) -> Self {
        text.split('/').fold(self, |at, segment| if at.found { at } else { at.segment(segment, rounds) })
    }

    /// After what is one segment, or several to others.
    fn segment(self, text: &str, rounds: usize) -> Self {
        let mut after = self.name(text);
        if text.contains('\\') {
            after = after.or(self.read(&text.replace('\\', "/"), rounds));
        }
        if let Some(decoded) = decoded_once(text) {
            after = after.or(if rounds < ROUNDS { self.read(&decoded, rounds + 1) } else { self.anywhere() });
        }
        if is_overlong(text) { self.anywhere() } else { after }
    }

    /// After what is one segment.
    fn name(self, text: &str) -> Self {
        let stripped: String = text.chars().filter(|c| !is_blank(*c)).collect();
        // WHATWG's parser takes away these three, and what reads after it may end at another.
        let joined = text.replace(['\t', '\r', '\n'], "");
        let mut after = self.step(cut(text)).or(self.step(cut(&stripped))).or(self.step(cut(&joined)));
        if self.begun && self.depth < self.host && !text.bytes().all(in_host) {
            // For some the host ends there, and the path begins.
            return self.anywhere();
        }
        if self.rootless && self.depth <= self.host {
            // An IPv6 address and a port have eight; with many more, reading behind each of them takes long.
            if stripped.matches(':').count() > 16 {
                return self.anywhere();
            }
            let behind = stripped.match_indices(':').filter_map(|(at, _)| stripped.get(at + 1..));
            let host = self.host.max(self.depth + 1);
            after = behind.fold(after, |after, rest| after.or(Self { host, ..self }.step(cut(rest))));
        }
        after
    }

    fn step(self, name: &str) -> Self {
        let at = Self { begun: true, ..self };
        match name {
            // Behind two slashes, some take the first segment for the host; what they pass on may begin with two again.
            "" if self.begun && self.depth <= self.host => Self { host: self.host.max(self.depth + 1), ..at },
            "" | "." => at,
            ".." => Self { depth: self.depth.saturating_sub(1), ..at },
            // Whatever comes behind it: for another reader the path ends before that.
            "v2" if self.depth <= self.host => self.anywhere(),
            _ => Self { depth: self.depth + 1, ..at },
        }
    }

    /// Some are here and some are there.
    fn or(self, other: Self) -> Self {
        Self {
            begun: true,
            rootless: self.rootless,
            depth: self.depth.min(other.depth),
            host: self.host.max(other.host),
            found: self.found || other.found,
        }
    }

    /// What may be at the registry.
    const fn anywhere(self) -> Self {
        Self { found: true, ..self }
    }
}

fn in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'@' | b'[' | b']')
}

fn is_blank(c: char) -> bool {
    c.is_control() || c.is_whitespace()
}

/// Up to what ends a segment for some.
fn cut(text: &str) -> &str {
    text.split(|c| matches!(c, ';' | '#' | '?') || is_blank(c)).next().unwrap_or_default()
}

/// Each escape of an ASCII character, decoded once; the others stay. `None` if there is none.
fn decoded_once(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut any = false;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after.get(..2).and_then(|digits| percent_decode(&format!("%{digits}"), false)) {
            Some(text) => {
                out.push_str(&text);
                rest = after.get(2..).unwrap_or_default();
                any = true;
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    any.then_some(out)
}

/// Whether there is an escape that only some decode, and to ASCII: UTF-8 that is longer than it has to be (RFC 3629
/// section 10), or four digits behind a `u`. No URL has them.
fn is_overlong(text: &str) -> bool {
    const PREFIXES: [&str; 6] = ["c0", "c1", "e0%8", "e0%9", "f0%8", "u"];
    let text = text.to_ascii_lowercase();
    let mut escapes = text.match_indices('%').filter_map(|(at, _)| text.get(at + 1..));
    escapes.any(|escape| PREFIXES.iter().any(|prefix| escape.starts_with(prefix)))
}
