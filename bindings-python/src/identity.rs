//! Client identities, and signers written in Python.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regauth::tls::{SignError, Signer};

use crate::convert::bytes;
use crate::errors;

/// A client certificate chain, and a key that can sign.
#[pyclass(frozen, eq, module = "regauth")]
#[derive(Clone, PartialEq)]
pub struct Identity(pub regauth::Identity);

/// Calls `sign(scheme, message)` of Python.
struct PythonSigner {
    schemes: Vec<u16>,
    sign: Py<PyAny>,
}

impl Signer for PythonSigner {
    fn schemes(&self) -> &[u16] {
        &self.schemes
    }

    fn sign(&self, scheme: u16, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = Python::try_attach(|py| {
            let signed = self.sign.bind(py).call1((scheme, PyBytes::new(py, message)))?;
            bytes(&signed).map(|signature| signature.to_vec())
        });
        match signed {
            Some(signed) => signed.map_err(|error| SignError(error.to_string())),
            None => Err(SignError("the interpreter is going down".into())),
        }
    }
}

#[pymethods]
impl Identity {
    /// An identity from PEM: the chain with the leaf first, and its key, not encrypted; both may be in one text. Raises
    /// `ConfigError`.
    #[staticmethod]
    #[pyo3(signature = (chain, key=None, *, label="client certificate"))]
    fn from_pem(
        py: Python<'_>,
        chain: &Bound<'_, PyAny>,
        key: Option<&Bound<'_, PyAny>>,
        label: &str,
    ) -> PyResult<Self> {
        let (chain, key) = (bytes(chain)?, bytes(key.unwrap_or(chain))?);
        let made = regauth::Identity::from_pem(label, &chain, &key);
        made.map(Self).map_err(|error| errors::identity(py, &error))
    }

    /// An identity whose key is somewhere else: `sign(scheme, message)` gives the signature, by one of `schemes` (RFC
    /// 8446 section 4.2.3), once in each full handshake.
    #[staticmethod]
    #[pyo3(signature = (chain, sign, *, schemes, label="client certificate"))]
    fn with_signer(
        py: Python<'_>,
        chain: &Bound<'_, PyAny>,
        sign: Py<PyAny>,
        schemes: Vec<u16>,
        label: &str,
    ) -> PyResult<Self> {
        let signer = Arc::new(PythonSigner { schemes, sign });
        let made = regauth::Identity::with_signer(label, &bytes(chain)?, signer);
        made.map(Self).map_err(|error| errors::identity(py, &error))
    }

    /// The name of an identity that the program's own TLS holds; `fingerprint` is the SHA-256 of its leaf.
    #[staticmethod]
    #[pyo3(signature = (label, fingerprint=None))]
    fn named(py: Python<'_>, label: &str, fingerprint: Option<&[u8]>) -> PyResult<Self> {
        let print = <[u8; 32]>::try_from(fingerprint.unwrap_or(&[0; 32])).map_err(|_| {
            errors::config(py, "a fingerprint is 32 bytes", "Give the SHA-256 of the leaf certificate's DER.")
        })?;
        Ok(Self(regauth::Identity::named(label, print)))
    }

    /// The name it was configured under.
    #[getter]
    fn label(&self) -> &str {
        self.0.label()
    }

    /// SHA-256 of the leaf certificate's DER.
    #[getter]
    fn fingerprint<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.fingerprint())
    }

    /// The subject of the leaf, as RFC 4514 text.
    #[getter]
    fn subject(&self) -> String {
        self.0.subject_text()
    }

    /// The issuer of the leaf, as RFC 4514 text.
    #[getter]
    fn issuer(&self) -> String {
        self.0.issuer_text()
    }

    /// When the leaf becomes valid, Unix milliseconds.
    #[getter]
    fn not_before(&self) -> Option<u64> {
        self.0.not_before().map(|time| time.0)
    }

    /// The last moment at which it is valid, Unix milliseconds.
    #[getter]
    fn not_after(&self) -> Option<u64> {
        self.0.not_after().map(|time| time.0)
    }

    /// Chain and key as PEM for a TLS stack that loads files; `None` where the key is not here.
    fn _pem<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let (chain, key) = (self.0.chain_pem()?, self.0.key_pem()?);
        Some((PyBytes::new(py, chain), PyBytes::new(py, key.expose())))
    }

    fn __repr__(&self) -> String {
        format!("Identity(label={:?})", self.0.label())
    }
}
