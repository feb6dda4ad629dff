//! Image names, by distribution's grammar and with Docker's defaults.

use std::fmt;

use crate::origin::Origin;
use crate::scope::is_repository;

/// An image name: `[domain/]repository[:tag][@digest]`.
///
/// ```
/// let name = regauth::Reference::parse("alpine").unwrap();
/// assert_eq!(name.to_string(), "docker.io/library/alpine:latest");
/// assert_eq!(name.origin().to_string(), "https://registry-1.docker.io");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    domain: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
    origin: Origin,
}

/// Why a name is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Empty, or without a repository.
    Empty,
    /// It begins with a scheme; the name that was meant is given.
    Scheme(String),
    /// The domain is no host with an optional port.
    Domain(String),
    /// The repository is not lower-case components with single separators, or too long.
    Repository(String),
    /// The tag is not up to 128 letters, digits, `_`, `.` and `-`, the first of them no `.` or `-`.
    Tag(String),
    /// The digest is no `sha256:`, `sha384:` or `sha512:` with as many lower-case hexadecimal digits.
    Digest(String),
    /// 64 hexadecimal digits are the id of an image, not a name.
    ImageId,
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, what) = match self {
            Self::Empty => return f.write_str("the image name is empty or has no repository"),
            Self::Scheme(meant) => {
                return write!(f, "an image name has no scheme: {} is meant", meant.escape_default());
            }
            Self::ImageId => return f.write_str("64 hexadecimal digits are the id of an image, not a name"),
            Self::Domain(name) => (name, "host with an optional port"),
            Self::Repository(name) => {
                (name, "repository: lower-case components, one of . _ __ - between their parts, 255 bytes")
            }
            Self::Tag(name) => (name, "tag: up to 128 letters, digits and _ . -, the first no . or -"),
            Self::Digest(name) => (name, "digest: sha256, sha384 or sha512 and lower-case hexadecimal"),
        };
        write!(f, "\"{}\" is no {what}", name.escape_default())
    }
}

impl std::error::Error for ReferenceError {}

impl Reference {
    /// Reads a name; nothing is trimmed.
    pub fn parse(name: &str) -> Result<Self, ReferenceError> {
        if let Some(at) = name.as_bytes().windows(3).position(|bytes| bytes == b"://") {
            let meant = name.get(at + 3..).unwrap_or_default();
            // User information of a URL is no part of a name, and may be a password.
            let rest = meant.rsplit_once('@').filter(|(_, digest)| is_digest(digest)).map_or(meant, |(rest, _)| rest);
            let start = rest.rfind('@').map_or(0, |at| at + 1);
            return Err(ReferenceError::Scheme(meant.get(start..).unwrap_or_default().to_string()));
        }
        if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
            return Err(ReferenceError::ImageId);
        }
        let (rest, digest) = match name.split_once('@') {
            Some((rest, digest)) => (rest, Some(check_digest(digest)?)),
            None => (name, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((before, tag)) if !tag.contains('/') => (before, Some(check_tag(tag)?)),
            _ => (rest, None),
        };
        let (domain, path) = split_domain(rest);
        let domain = if domain == "index.docker.io" { "docker.io" } else { domain };
        if path.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let repository =
            if domain == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.to_string() };
        if !is_repository(&repository) {
            return Err(ReferenceError::Repository(repository));
        }
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_string()));
        Ok(Self { origin: origin_of(domain)?, domain: domain.to_string(), repository, tag, digest })
    }

    /// The domain with its port, as written; `docker.io` where none was.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository: `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` where neither tag nor digest was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What the manifest is asked for by: the digest if there is one, else the tag.
    pub fn reference(&self) -> &str {
        self.digest().or_else(|| self.tag()).unwrap_or("latest")
    }

    /// The origin of the registry's API: https, unless the configuration says otherwise.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// The first component is a domain if it holds `.` or `:`, is `localhost`, or has an upper-case letter.
fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first.is_empty()
                || first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => ("docker.io", name),
    }
}

fn origin_of(domain: &str) -> Result<Origin, ReferenceError> {
    let bad = || ReferenceError::Domain(domain.to_string());
    if domain == "docker.io" {
        return Origin::parse("https://registry-1.docker.io").map_err(|_| bad());
    }
    let literal = domain.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if literal.is_some_and(|(inner, _)| inner.contains('.')) {
        return Err(bad()); // an IPv6 literal is hexadecimal digits and colons in this grammar
    }
    let host = if literal.is_some() { "" } else { domain.split(':').next().unwrap_or_default() };
    let label = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !host.split('.').all(label) || host.ends_with('.') || domain.ends_with(':') || domain.contains(['/', '?', '#']) {
        return Err(bad());
    }
    Origin::parse(&format!("https://{domain}")).map_err(|_| bad())
}

fn check_tag(tag: &str) -> Result<String, ReferenceError> {
    if is_tag(tag) { Ok(tag.to_string()) } else { Err(ReferenceError::Tag(tag.to_string())) }
}

/// Up to 128 letters, digits, `_`, `.` and `-`, the first of them no `.` or `-`.
pub(crate) fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn check_digest(digest: &str) -> Result<String, ReferenceError> {
    if is_digest(digest) { Ok(digest.to_string()) } else { Err(ReferenceError::Digest(digest.to_string())) }
}

/// `sha256:`, `sha384:` or `sha512:` and as many lower-case hexadecimal digits.
pub(crate) fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == length && hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    })
}
