//! What connections showed about client certificates.

use pyo3::prelude::*;
use regauth::tls::{Shown, Version};

use crate::convert;

/// What a TLS connection showed about client certificates.
#[pyclass(frozen, eq, module = "regauth")]
#[derive(Clone, PartialEq)]
pub struct Evidence(pub regauth::tls::Evidence);

pub fn version(name: &str) -> Option<Version> {
    match name {
        "1.2" => Some(Version::Tls12),
        "1.3" => Some(Version::Tls13),
        _ => None,
    }
}

#[pymethods]
impl Evidence {
    /// For programs whose TLS stack tells this much. `pair` and `next` are those of `Profile.choose`.
    #[new]
    #[pyo3(signature = (*, version=None, asked=false, label=None, pair=None, next=None, alert=None, finished=false,
        accepted=false, problem=None))]
    #[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn new(
        version: Option<&str>,
        asked: bool,
        label: Option<String>,
        pair: Option<usize>,
        next: Option<usize>,
        alert: Option<u8>,
        finished: bool,
        accepted: bool,
        problem: Option<(String, String)>,
    ) -> Self {
        let mut evidence = regauth::tls::Evidence::default();
        evidence.version = version.and_then(self::version);
        evidence.shown = match (asked, label) {
            (_, Some(label)) => Shown::Pair { label, issuer: String::new() },
            (true, None) => Shown::NoPair,
            (false, None) => Shown::NotAsked,
        };
        (evidence.pair, evidence.next) = (pair, next);
        (evidence.alert, evidence.finished, evidence.accepted) = (alert, finished, accepted);
        evidence.problem = problem;
        Self(evidence)
    }

    /// `1.2` or `1.3`.
    #[getter]
    fn version(&self) -> Option<&'static str> {
        self.0.version.map(|version| if version == Version::Tls12 { "1.2" } else { "1.3" })
    }

    /// The issuers that the server named, as RFC 4514 text.
    #[getter]
    fn hints(&self) -> Vec<String> {
        self.0.hints.clone()
    }

    /// Whether the server asked for a client certificate.
    #[getter]
    fn asked(&self) -> bool {
        self.0.asked()
    }

    /// `not-asked`, `no-pair`, `none-fits` or `pair`.
    #[getter]
    fn shown(&self) -> &'static str {
        match self.0.shown {
            Shown::NotAsked => "not-asked",
            Shown::NoPair => "no-pair",
            Shown::NoneFits(_) => "none-fits",
            _ => "pair",
        }
    }

    /// The label of the identity that was shown.
    #[getter]
    fn label(&self) -> Option<&str> {
        if let Shown::Pair { label, .. } = &self.0.shown { Some(label) } else { None }
    }

    /// The issuer of its leaf.
    #[getter]
    fn issuer(&self) -> Option<&str> {
        if let Shown::Pair { issuer, .. } = &self.0.shown { Some(issuer) } else { None }
    }

    /// For each identity why it does not fit.
    #[getter]
    fn why_none(&self) -> Vec<String> {
        if let Shown::NoneFits(lines) = &self.0.shown { lines.clone() } else { Vec::new() }
    }

    /// The index of what was shown in the profile's identities.
    #[getter]
    fn pair(&self) -> Option<usize> {
        self.0.pair
    }

    /// What speaks against it: it has expired, for one.
    #[getter]
    fn flaw(&self) -> Option<String> {
        self.0.flaw.map(|flaw| flaw.to_string())
    }

    /// Whether the session was resumed.
    #[getter]
    fn resumed(&self) -> bool {
        self.0.resumed
    }

    /// Whether the handshake came to its end on this side.
    #[getter]
    fn finished(&self) -> bool {
        self.0.finished
    }

    /// Whether application data came: only then the identity was accepted.
    #[getter]
    fn accepted(&self) -> bool {
        self.0.accepted
    }

    /// Whether the server asked after the handshake, which cannot be answered.
    #[getter]
    fn late(&self) -> bool {
        self.0.late
    }

    /// The fatal alert that the server sent, RFC 8446 section 6.
    #[getter]
    fn alert(&self) -> Option<u8> {
        self.0.alert
    }

    /// How the connection failed: what happened, and what to do.
    #[getter]
    fn problem(&self) -> Option<(String, String)> {
        self.0.problem.clone()
    }

    /// What a broken connection is to be reported as: `seen`, unless these facts say more about it.
    fn failure(&self, py: Python<'_>, seen: &str) -> PyResult<&'static str> {
        Ok(self.0.failure(convert::failure(py, seen)?).as_str())
    }

    fn __repr__(&self) -> String {
        let version = self.version().unwrap_or("unknown");
        format!("Evidence(version={version}, shown={}, accepted={})", self.shown(), self.0.accepted)
    }
}

/// What became of client authentication, in words: `required`, `rejected`, `probably-rejected`, `rejected-over-http`,
/// `asked-late` or `not-asked`.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Diagnosis {
    pub state: &'static str,
    pub what: String,
    pub remedy: String,
}

#[pymethods]
impl Diagnosis {
    fn __repr__(&self) -> String {
        format!("Diagnosis(state='{}', what={:?})", self.state, self.what)
    }
}

impl From<regauth::error::Diagnosis> for Diagnosis {
    fn from(found: regauth::error::Diagnosis) -> Self {
        Self { state: found.state.as_str(), what: found.what, remedy: found.remedy }
    }
}
