//! What a request needs: a closed table of the end-points of the OCI distribution specification.
//!
//! Stricter than a client's [`scope::needed`](crate::scope::needed), which it shares the routes with: what a registry
//! behind the guard might read differently is refused, never repaired.

use super::readers::{self, decoded};
use crate::origin::MAX_URL;
use crate::reference::{is_digest, is_tag};
use crate::route::{End, Route, percent_decode};
use crate::scope::{Scope, is_repository};

/// What a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// The path is not below `/v2`, however it is read: not the registry's, and never to be answered with its challenge.
    NotRegistry,
    /// Any valid token (`/v2/`).
    Authenticated,
    /// A token for all of these: the request's own first, then the source of a mount.
    Scopes(Vec<Scope>),
    /// To be refused, whoever asks: 400 malformed, 404 no end-point, 405 not a method of this end-point.
    Reject(u16),
}

/// What this request needs.
///
/// `target` is path and query as received. `content_type` is the value of that field: a form in the body of an upload
/// is refused with 400, as a registry may read `from` in it. `from` counts with every method, because some registries
/// do not look at the method either.
pub fn need(method: &str, target: &str, content_type: Option<&str>) -> Need {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if !readers::lead_to_registry(path) {
        return Need::NotRegistry;
    }
    match scopes(method, target, path, query, content_type) {
        Ok(scopes) if scopes.is_empty() => Need::Authenticated,
        Ok(scopes) => Need::Scopes(scopes),
        Err(status) => Need::Reject(status),
    }
}

fn scopes(
    method: &str,
    target: &str,
    path: &str,
    query: Option<&str>,
    content_type: Option<&str>,
) -> Result<Vec<Scope>, u16> {
    if !matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE") {
        return Err(405);
    }
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'\\' | b';');
    if target.len() > MAX_URL || !target.bytes().all(plain) {
        return Err(400);
    }
    let colons;
    let path = if path.contains('%') {
        // Clients escape the colon of a digest. Nothing else needs escaping, and a decoder behind might split there.
        colons = path.replace("%3A", ":").replace("%3a", ":");
        &colons
    } else {
        path
    };
    let dots = |segment: &str| matches!(segment, "." | "..");
    if path.contains('%') || path.contains("//") || path.split('/').any(dots) {
        return Err(400);
    }
    let route = Route::of(path).ok_or(404u16)?;
    if let Route::Name { name, end } = route {
        let good = match end {
            End::Uploads | End::Tags => true,
            End::Session(session) => is_session(session),
            End::Manifest(reference) => is_tag(reference) || is_digest(reference),
            End::Blob(digest) | End::Referrers(digest) => is_digest(digest),
        };
        if !good || !is_repository(name) {
            return Err(400);
        }
    }
    let actions = route.actions(method).ok_or(405u16)?;
    let from = source(query.unwrap_or_default())?;
    let writes = matches!(method, "POST" | "PUT" | "PATCH");
    if writes && content_type.is_some_and(is_form) {
        return Err(400);
    }
    Ok(match route {
        Route::Base => Vec::new(),
        Route::Catalog => vec![Scope::catalog()],
        Route::Name { name, .. } => {
            let mut scopes = vec![Scope::repository(name, actions.text())];
            scopes.extend(from.filter(|from| from != name).map(|from| Scope::repository(&from, "pull")));
            scopes
        }
    })
}

/// An upload session's name, as distribution's routes have it.
fn is_session(session: &str) -> bool {
    session.len() <= 255 && session.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'='))
}

/// The parameters of which there can be one only, however the registry takes the first or the last of two.
const SINGLE: [&str; 6] = ["from", "mount", "digest", "n", "last", "artifactType"];

/// Which of them some reader takes this name for: without regard to case and white space, or as an entry of a list.
fn single(name: &str) -> Option<usize> {
    let name = name.split('[').next().unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || c == '+');
    SINGLE.iter().position(|single| single.eq_ignore_ascii_case(name))
}

/// The repository to mount from, if the query names one.
fn source(query: &str) -> Result<Option<String>, u16> {
    let mut from = None;
    let mut seen = 0u8;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| percent_decode(text, true).filter(|text| !text.contains(char::is_control)).ok_or(400u16);
        let (name, value) = (decode(name)?, decode(value)?);
        if let Some(at) = single(&name) {
            // Another spelling is another parameter here, and perhaps the same one behind.
            if seen & (1 << at) != 0 || !SINGLE.contains(&name.as_str()) {
                return Err(400);
            }
            seen |= 1 << at;
        }
        match name.as_str() {
            "mount" if !value.is_empty() && !is_digest(&value) => return Err(400),
            "from" if !value.is_empty() => {
                if !is_repository(&value) {
                    return Err(400);
                }
                from = Some(value);
            }
            _ => {}
        }
    }
    // Who decodes the query before splitting it, or splits it elsewhere too, finds no more of them.
    let names = decoded(query);
    let names = names.split(['&', ';', '?', '#']).map(|pair| pair.split('=').next().unwrap_or_default());
    if names.filter(|name| single(name).is_some()).count() != seen.count_ones() as usize {
        return Err(400);
    }
    Ok(from)
}

/// Whether a registry may read parameters out of such a body.
fn is_form(content_type: &str) -> bool {
    let content_type = content_type.to_ascii_lowercase();
    content_type.contains("x-www-form-urlencoded") || content_type.contains("multipart/")
}
