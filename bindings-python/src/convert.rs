//! Between Python's values and the library's.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::SystemTime;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use regauth::{Credentials, Failure, Found, Hop, Origin, Secret, Time};
use zeroize::Zeroizing;

use crate::errors;

/// The time that a caller gives in Unix milliseconds, or the system's.
#[allow(clippy::disallowed_methods, reason = "the binding reads the clock where its caller gives no time")]
#[inline]
pub fn time(now: Option<u64>) -> Time {
    Time(now.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}

/// What is behind a lock, if nobody else is at it.
pub fn enter<'a, T>(py: Python<'_>, state: &'a Mutex<T>, what: &str) -> PyResult<MutexGuard<'a, T>> {
    match state.try_lock() {
        Ok(state) => Ok(state),
        // A panic cannot leave it half-changed: the library latches its errors.
        Err(TryLockError::Poisoned(state)) => Ok(state.into_inner()),
        Err(TryLockError::WouldBlock) => Err(errors::misuse(
            py,
            &format!("the {what} is in use by another thread, or by the caller of this callback"),
        )),
    }
}

/// Bytes out of `bytes`, a `str` (UTF-8), or any other buffer.
pub fn bytes(given: &Bound<'_, PyAny>) -> PyResult<Zeroizing<Vec<u8>>> {
    if let Ok(text) = given.cast::<PyString>() {
        return Ok(Zeroizing::new(text.to_cow()?.as_bytes().to_vec()));
    }
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return Ok(Zeroizing::new(bytes.as_bytes().to_vec()));
    }
    Ok(Zeroizing::new(PyBuffer::<u8>::get(given)?.to_vec(given.py())?))
}

/// The same, wiped when it is not needed any more.
pub fn secret(given: &Bound<'_, PyAny>) -> PyResult<Secret> {
    Ok(Secret::from(bytes(given)?))
}

/// A header value as Python's HTTP libraries have it: text whose characters are the bytes (ISO 8859-1).
pub fn field(value: &[u8]) -> String {
    value.iter().map(|byte| char::from(*byte)).collect()
}

/// An origin out of a URL.
pub fn origin(py: Python<'_>, url: &str) -> PyResult<Origin> {
    Origin::parse(url).map_err(|flaw| errors::raise(py, &regauth::Error::new(regauth::ErrorKind::Url(flaw))))
}

pub fn hop(py: Python<'_>, name: &str) -> PyResult<Hop> {
    named(py, "hop", &Hop::ALL.map(|hop| (hop.as_str(), hop)), name)
}

pub fn failure(py: Python<'_>, name: &str) -> PyResult<Failure> {
    named(py, "failure", &Failure::ALL.map(|failure| (failure.as_str(), failure)), name)
}

fn named<T: Copy>(py: Python<'_>, what: &str, all: &[(&str, T)], name: &str) -> PyResult<T> {
    all.iter().find(|(known, _)| *known == name).map(|(_, one)| *one).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        errors::config(py, &format!("{name:?} is no {what}"), &format!("Name one of {}.", names.join(", ")))
    })
}

/// Credentials as a configuration has them; `None` where none of the arguments is given.
pub fn credentials(
    py: Python<'_>,
    user: Option<String>,
    password: Option<&Bound<'_, PyAny>>,
    refresh_token: Option<&Bound<'_, PyAny>>,
    bearer_token: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Credentials>> {
    Ok(match (user, password, refresh_token, bearer_token) {
        (None, None, None, None) => None,
        (Some(user), Some(password), None, None) => Some(Credentials::Basic { user, password: secret(password)? }),
        (None, None, Some(token), None) => Some(Credentials::Refresh(secret(token)?)),
        (None, None, None, Some(token)) => Some(Credentials::Bearer(secret(token)?)),
        _ => {
            let what = "credentials are user and password, or a refresh token, or a bearer token";
            return Err(errors::config(py, what, "Give one of the three kinds."));
        }
    })
}

/// What a look-up found.
pub fn found(py: Python<'_>, credentials: Option<Credentials>, valid_until: Option<u64>) -> PyResult<Option<Found>> {
    match (credentials, valid_until) {
        (None, Some(_)) => Err(errors::config(py, "valid_until is given without credentials", "Leave it out.")),
        (credentials, until) => Ok(credentials.map(|credentials| Found { credentials, valid_until: until.map(Time) })),
    }
}
