//! TLS profiles: what a connection is made with.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regauth::tls::{Attempt, Settings, Version};

use crate::convert;
use crate::errors;
use crate::evidence::{Evidence, version};
use crate::identity::Identity;
use crate::settings::roots;

/// One immutable set of roots, identities and options that a TLS connection is made with.
#[pyclass(frozen, module = "regauth")]
#[derive(Clone)]
pub struct Profile(pub regauth::tls::Profile);

/// Which identity to show, and where to begin if the server refuses it: indexes into `Profile.identities`.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Choice {
    pair: Option<usize>,
    next: Option<usize>,
}

fn named_version(py: Python<'_>, name: Option<&str>) -> PyResult<Option<Version>> {
    name.map(|name| {
        version(name).ok_or_else(|| errors::config(py, &format!("{name:?} is no version"), "Name 1.2 or 1.3."))
    })
    .transpose()
}

/// How an attempt with one identity ended: the name of a failure, or a status.
pub fn attempt(ended: &Bound<'_, PyAny>) -> PyResult<Attempt> {
    match ended.extract::<u16>() {
        Ok(status) => Ok(Attempt::Answered(status)),
        Err(_) => Ok(Attempt::Failed(convert::failure(ended.py(), &ended.extract::<String>()?)?)),
    }
}

#[pymethods]
impl Profile {
    #[new]
    #[pyo3(signature = (*, identities=vec![], ca=vec![], only_ca=false, force=false, try_pairs=false,
        try_pairs_on_status=false, skip_verify=false, alpn=vec![], min_version=None, max_version=None))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "they are Python's keywords")]
    fn new(
        py: Python<'_>,
        identities: Vec<Bound<'_, Identity>>,
        ca: Vec<Bound<'_, PyAny>>,
        only_ca: bool,
        force: bool,
        try_pairs: bool,
        try_pairs_on_status: bool,
        skip_verify: bool,
        alpn: Vec<String>,
        min_version: Option<&str>,
        max_version: Option<&str>,
    ) -> PyResult<Self> {
        let mut settings = Settings::default();
        settings.roots = roots(py, ca, only_ca)?.unwrap_or_default();
        settings.identities = identities.iter().map(|identity| identity.get().0.clone()).collect();
        (settings.force, settings.skip_verify) = (force, skip_verify);
        (settings.try_pairs, settings.try_pairs_on_status) = (try_pairs, try_pairs_on_status);
        settings.alpn = alpn.into_iter().map(String::into_bytes).collect();
        settings.min_version = named_version(py, min_version)?;
        settings.max_version = named_version(py, max_version)?;
        Ok(Self(regauth::tls::Profile::new(settings)))
    }

    /// Client identities in the order in which they are tried.
    #[getter]
    fn identities(&self) -> Vec<Identity> {
        self.0.settings().identities.iter().cloned().map(Identity).collect()
    }

    /// Whether the compiled-in roots hold.
    #[getter]
    fn webpki(&self) -> bool {
        self.0.settings().roots.webpki
    }

    /// PEM texts of certificate authorities.
    #[getter]
    fn ca<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.settings().roots.pem.iter().map(|pem| PyBytes::new(py, pem)).collect()
    }

    /// Whether the first identity is shown whatever the server names.
    #[getter]
    fn force(&self) -> bool {
        self.0.settings().force
    }

    /// Whether the server's certificate is not checked.
    #[getter]
    fn skip_verify(&self) -> bool {
        self.0.settings().skip_verify
    }

    /// ALPN protocol names.
    #[getter]
    fn alpn(&self) -> Vec<String> {
        self.0.settings().alpn.iter().map(|name| convert::field(name)).collect()
    }

    /// What to answer to a CertificateRequest: `hints` are the DER names of its authorities, `schemes` its signature
    /// schemes.
    #[pyo3(signature = (hints, schemes, *, skip=0))]
    fn choose(&self, hints: Vec<Vec<u8>>, schemes: Vec<u16>, skip: usize) -> Choice {
        let choice = self.0.choose(skip, &hints, &schemes);
        Choice { pair: choice.pair, next: choice.next }
    }

    /// Where to begin in the identities for another attempt, as `skip` of `choose`; `None` where the end of this one
    /// stands. `ended`: the name of a failure, or a status.
    #[pyo3(signature = (evidence, ended))]
    fn retry(&self, evidence: &Evidence, ended: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        Ok(self.0.retry(&evidence.0, attempt(ended)?))
    }

    fn __repr__(&self) -> String {
        format!("Profile(identities=[{}])", self.0.identity().unwrap_or_default())
    }
}
