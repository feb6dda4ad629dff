//! The end-points of the OCI distribution specification, read from a path: what clients and guards share.

use crate::scope::Actions;

/// Where a path leads. Nothing is decoded, and the parts are not checked for their grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/v2` and `/v2/` (end-1).
    Base,
    /// `/v2/_catalog`.
    Catalog,
    /// An end-point of one repository.
    Name { name: &'a str, end: End<'a> },
}

/// What follows the repository's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End<'a> {
    /// `blobs/uploads/`, with or without the last slash (end-4, end-11).
    Uploads,
    /// `blobs/uploads/<session>` (end-5, end-6, end-13, end-14).
    Session(&'a str),
    /// `manifests/<reference>` (end-3, end-7, end-9).
    Manifest(&'a str),
    /// `blobs/<digest>` (end-2, end-10).
    Blob(&'a str),
    /// `tags/list` (end-8).
    Tags,
    /// `referrers/<digest>` (end-12).
    Referrers(&'a str),
}

impl<'a> Route<'a> {
    /// Anchored at the right: the last segment that can be an end-point's keyword decides, so that a repository may be
    /// called `manifests` and a tag `blobs`.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        if path == "/v2" {
            return Some(Self::Base);
        }
        let inner = path.strip_prefix("/v2/")?;
        if inner.is_empty() {
            return Some(Self::Base);
        }
        if inner == "_catalog" {
            return Some(Self::Catalog);
        }
        let (before, last) = split_last(inner, b'/')?;
        let (front, keyword) = split_last(before, b'/').unwrap_or(("", before));
        let (name, end) = match (keyword, last) {
            ("blobs", "uploads") => (front, End::Uploads),
            ("uploads", "") => (front.strip_suffix("/blobs")?, End::Uploads),
            ("uploads", session) => (front.strip_suffix("/blobs")?, End::Session(session)),
            ("tags", "list") => (front, End::Tags),
            (_, "") => return None,
            ("manifests", reference) => (front, End::Manifest(reference)),
            ("blobs", digest) => (front, End::Blob(digest)),
            ("referrers", digest) => (front, End::Referrers(digest)),
            _ => return None,
        };
        Some(Self::Name { name, end })
    }

    /// The actions that this method needs here, none where any token will do; `None` where the method is none of the
    /// end-point's.
    pub(crate) fn actions(&self, method: &str) -> Option<Actions> {
        Some(match (self, method) {
            (Self::Base, "GET" | "HEAD") => Actions::NONE,
            (Self::Catalog, "GET" | "HEAD") => Actions::ALL,
            (Self::Name { end, .. }, method) => match (end, method) {
                (End::Uploads, "POST") | (End::Session(_), "PATCH" | "PUT" | "GET" | "HEAD" | "DELETE") => {
                    Actions::PUSH
                }
                (End::Manifest(_), "PUT") => Actions::PUSH,
                (End::Manifest(_) | End::Blob(_), "DELETE") => Actions::DELETE,
                (End::Manifest(_) | End::Blob(_) | End::Tags | End::Referrers(_), "GET" | "HEAD") => Actions::PULL,
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// What stands before and after the last of this ASCII character: a long name is searched many bytes at a step.
pub(crate) fn split_last(text: &str, at: u8) -> Option<(&str, &str)> {
    let (before, after) = text.split_at_checked(memchr::memrchr(at, text.as_bytes())?)?;
    Some((before, after.get(1..)?))
}

/// Decodes percent-encoding once, and `+` as a space where forms are read; `None` where it is broken or no UTF-8.
pub(crate) fn percent_decode(text: &str, form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if form => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
