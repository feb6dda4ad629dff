//! How other programs read the target of a request: each differently, all of them simply.

use std::collections::BTreeSet;

/// What a reader does to a path before it looks where that leads.
#[derive(Clone, Copy)]
struct Reader {
    /// So often, everything.
    decodes: usize,
    /// A backslash is a slash.
    backslash: bool,
    /// Parameters are no part of a segment.
    parameters: bool,
    /// The path ends at `#`, `?` and NUL.
    ends: bool,
    /// Tabs and ends of lines are no part of it.
    strips: bool,
    /// What stands behind two slashes is the host.
    host: bool,
    /// Empty segments do not count.
    merges: bool,
}

/// What this target's path is to many readers, to those who read what one of them has passed on, and to WHATWG's parser
/// as a path and as a reference.
pub fn paths(target: &str) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    if target.len() > 300 {
        return found;
    }
    let path = target.split('?').next().unwrap_or_default();
    let odd = |chars: &[char]| if path.contains('%') || path.contains(chars) { 2 } else { 1 };
    let both = |count: usize| (0..count).map(|n| n == 1);
    for decodes in 0..if path.contains('%') { 3 } else { 1 } {
        for backslash in both(odd(&['\\'])) {
            for parameters in both(odd(&[';'])) {
                for ends in both(odd(&['#', '\0'])) {
                    for strips in both(odd(&['\t', '\r', '\n'])) {
                        for (host, merges) in [(false, false), (false, true), (true, false), (true, true)] {
                            let reader = Reader { decodes, backslash, parameters, ends, strips, host, merges };
                            let once = reader.read(path.as_bytes());
                            found.insert(reader.read(&once));
                            found.insert(once);
                        }
                    }
                }
            }
        }
    }
    // Behind a host as text, and as a reference: without a slash it is relative, but the root of a server has no folder.
    let whole = url::Url::parse(&format!("http://reg.example{target}")).ok().filter(|_| target.starts_with('/'));
    let bases = ["http://reg.example", "https://reg.example"].map(|base| url::Url::parse(base).expect("a URL"));
    let joined = bases.iter().filter_map(|base| base.join(target).ok());
    let http = |url: &url::Url| matches!(url.scheme(), "http" | "https");
    found.extend(whole.into_iter().chain(joined).filter(http).map(|url| url.path().as_bytes().to_vec()));
    found
}

/// Whether this path is the registry's.
pub fn is_registry(path: &[u8]) -> bool {
    path == b"/v2" || path.starts_with(b"/v2/")
}

/// What readers take for the source of a mount: those who decode before they split, and those who do not.
pub fn sources(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut query = query.as_bytes().to_vec();
    for _ in 0..3 {
        for (name, value) in url::form_urlencoded::parse(&query) {
            let name = name.split('[').next().unwrap_or_default().trim().to_ascii_lowercase();
            if name == "from" && !value.is_empty() {
                found.insert(value.into_owned());
            }
        }
        query = decoded(&query);
    }
    found
}

impl Reader {
    fn read(self, path: &[u8]) -> Vec<u8> {
        let mut path = path.to_vec();
        for _ in 0..self.decodes {
            path = decoded(&path);
        }
        if self.strips {
            path.retain(|byte| !matches!(byte, b'\t' | b'\r' | b'\n'));
        }
        if self.ends {
            path.truncate(path.iter().position(|byte| matches!(byte, b'#' | b'?' | 0)).unwrap_or(path.len()));
        }
        if self.backslash {
            path.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
        }
        if self.host {
            if let Some(at) = path.iter().position(|byte| !byte.is_ascii_alphanumeric()).filter(|at| *at > 0)
                && path[at..].starts_with(b"://")
            {
                path.drain(..=at);
            }
            if path.starts_with(b"//") {
                let end = path[2..].iter().position(|byte| *byte == b'/').map_or(path.len(), |end| end + 2);
                path.drain(..end);
            }
        }
        let mut kept: Vec<&[u8]> = Vec::new();
        let segments = path.strip_prefix(b"/").unwrap_or(&path).split(|byte| *byte == b'/');
        for segment in segments {
            let end = segment.iter().position(|byte| *byte == b';' && self.parameters).unwrap_or(segment.len());
            match &segment[..end] {
                b"." => {}
                b"" if self.merges => {}
                b".." => _ = kept.pop(),
                name => kept.push(name),
            }
        }
        let mut out = Vec::new();
        for segment in kept {
            out.push(b'/');
            out.extend_from_slice(segment);
        }
        if out.is_empty() || (path.ends_with(b"/") && self.merges) {
            out.push(b'/');
        }
        out
    }
}

/// Percent-decoded once; what is no escape stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}
