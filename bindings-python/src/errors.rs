//! The library's errors as Python's exceptions, which are classes of `regauth.errors`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use regauth::error::CertificateState;
use regauth::tls::{IdentityError, Shown, TlsError};
use regauth::{Error, ErrorKind, Failure, Fault};

use crate::evidence::Evidence;

/// `regauth.errors`.
fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(MODULE.get_or_try_init(py, || py.import("regauth.errors").map(Bound::unbind))?.bind(py))
}

/// An exception of this class, with what is known of it.
fn make(py: Python<'_>, class: &str, what: &str, remedy: &str, more: &Bound<'_, PyDict>) -> PyErr {
    let made = module(py).and_then(|module| module.getattr(class)?.call((what, remedy), Some(more)));
    made.map_or_else(|error| error, PyErr::from_value)
}

fn bare(py: Python<'_>, class: &str, what: &str, remedy: &str) -> PyErr {
    make(py, class, what, remedy, &PyDict::new(py))
}

pub fn config(py: Python<'_>, what: &str, remedy: &str) -> PyErr {
    bare(py, "ConfigError", what, remedy)
}

pub fn misuse(py: Python<'_>, what: &str) -> PyErr {
    bare(py, "MisuseError", what, "Use each object in one task at a time, and answer each step once.")
}

pub fn identity(py: Python<'_>, error: &IdentityError) -> PyErr {
    config(py, &error.what(), error.remedy())
}

/// An error of layer b, which knows no hop.
pub fn tls(py: Python<'_>, error: &TlsError, evidence: Evidence) -> PyErr {
    let class = match error.failure() {
        _ if error.is_local() => "ConfigError",
        Failure::CertificateRequired => "CertificateRequired",
        Failure::CertificateRejected => "CertificateRejected",
        _ => "NetworkError",
    };
    let more = PyDict::new(py);
    let set = more.set_item("evidence", evidence).and_then(|()| more.set_item("failure", error.failure().as_str()));
    set.map_or_else(|error| error, |()| make(py, class, &error.what(), error.remedy(), &more))
}

/// The class for an error.
fn class(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Misuse(_) => "MisuseError",
        ErrorKind::TokenLater { .. } => "TryLater",
        ErrorKind::Realm { .. }
        | ErrorKind::Protocol(_)
        | ErrorKind::TokenMalformed(_)
        | ErrorKind::TokenNowhere { .. } => "ProtocolError",
        ErrorKind::NoPassword { .. } | ErrorKind::WrongKind { .. } => "AuthRefused",
        ErrorKind::Network { failure: Failure::CertificateRequired, .. } => "CertificateRequired",
        ErrorKind::Network { failure: Failure::CertificateRejected, .. } => "CertificateRejected",
        ErrorKind::TokenRefused { certificates: Some(found), .. } => match found.state {
            CertificateState::NotAsked => "AuthRefused",
            CertificateState::Required | CertificateState::AskedLate => "CertificateRequired",
            _ if found.evidence.as_ref().is_some_and(|evidence| !matches!(evidence.shown, Shown::Pair { .. })) => {
                "CertificateRequired"
            }
            _ => "CertificateRejected",
        },
        _ => match error.fault() {
            Fault::Policy => "PolicyDenied",
            Fault::Registry | Fault::TokenService => "AuthRefused",
            Fault::Network => "NetworkError",
            _ => "ConfigError",
        },
    }
}

/// The exception for an error.
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let more = || -> PyResult<Bound<'_, PyDict>> {
        let more = PyDict::new(py);
        more.set_item("fault", error.fault().as_str())?;
        more.set_item("hop", error.hop().map(regauth::Hop::as_str))?;
        more.set_item("origin", error.origin().map(ToString::to_string))?;
        match error.kind() {
            ErrorKind::Network { failure, evidence } => {
                more.set_item("failure", failure.as_str())?;
                more.set_item("evidence", evidence.as_deref().cloned().map(Evidence))?;
            }
            ErrorKind::Address(_) => more.set_item("failure", Failure::AddressRefused.as_str())?,
            ErrorKind::TokenRefused { status, code, certificates, .. } => {
                more.set_item("status", *status)?;
                more.set_item("code", *code)?;
                let evidence = certificates.as_ref().and_then(|found| found.evidence.clone());
                more.set_item("evidence", evidence.map(Evidence))?;
            }
            ErrorKind::Refused { status, .. } => more.set_item("status", *status)?,
            ErrorKind::TokenLater { status, retry_at } => {
                more.set_item("status", *status)?;
                more.set_item("retry_at", retry_at.map(|at| at.0))?;
            }
            ErrorKind::Ask { line, .. } => more.set_item("line", line)?,
            _ => {}
        }
        Ok(more)
    };
    match more() {
        Ok(more) => make(py, class(error), &error.what(), &error.remedy(), &more),
        Err(error) => error,
    }
}
