//! The head of an answer, what was sent, and what an answer says about certificates.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use regauth::wire;

use crate::convert::{bytes, field};
use crate::evidence::{Diagnosis, Evidence};

/// Status and header fields of a response; values are text whose characters are the bytes.
#[pyclass(frozen, module = "regauth")]
pub struct Head(pub wire::Head);

#[pymethods]
impl Head {
    /// The status.
    #[getter]
    fn status(&self) -> u16 {
        self.0.status()
    }

    /// All fields in their order.
    #[getter]
    fn fields(&self) -> Vec<(String, String)> {
        self.0.fields().map(|(name, value)| (name.to_string(), field(value))).collect()
    }

    /// The first value of a field, whatever the case of its name.
    #[pyo3(signature = (name, /))]
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(field)
    }

    /// All values of a field.
    #[pyo3(signature = (name, /))]
    fn all(&self, name: &str) -> Vec<String> {
        self.0.all(name).map(field).collect()
    }

    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.get(name).ok_or_else(|| PyKeyError::new_err(name.to_string()))
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    fn __repr__(&self) -> String {
        format!("Head(status={}, {} fields)", self.0.status(), self.0.len())
    }
}

/// One request that went out, and what came of it. It holds no secret; times are Unix milliseconds.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Sent {
    hop: &'static str,
    method: String,
    origin: String,
    path: String,
    url: String,
    identity: Option<String>,
    authorization: Option<&'static str>,
    reused: bool,
    begun: u64,
    ended: Option<u64>,
    status: Option<u16>,
    date: Option<String>,
    evidence: Option<Evidence>,
}

impl From<&wire::Sent> for Sent {
    fn from(sent: &wire::Sent) -> Self {
        Self {
            hop: sent.hop.as_str(),
            method: sent.method.clone(),
            origin: sent.url.origin().to_string(),
            path: sent.url.path().into(),
            url: sent.url.redacted(),
            identity: sent.identity.clone(),
            authorization: sent.authorization,
            reused: sent.reused,
            begun: sent.begun.0,
            ended: sent.ended.map(|ended| ended.0),
            status: sent.status,
            date: sent.date.clone(),
            evidence: sent.evidence.clone().map(Evidence),
        }
    }
}

#[pymethods]
impl Sent {
    fn __repr__(&self) -> String {
        let status = self.status.map_or("none".into(), |status| status.to_string());
        format!("Sent(hop='{}', {} {}, status={status})", self.hop, self.method, self.url)
    }
}

/// What an answer says about client certificates: `content_type` and the first 4 KiB of `body` are the answer's,
/// `identity` is what is configured for its connection.
#[pyfunction]
#[pyo3(signature = (status, content_type, body, identity, evidence))]
pub fn diagnose(
    status: u16,
    content_type: Option<&str>,
    body: &Bound<'_, PyAny>,
    identity: Option<&str>,
    evidence: Option<&Evidence>,
) -> PyResult<Option<Diagnosis>> {
    let kind = content_type.map(str::as_bytes);
    let body = bytes(body)?;
    let evidence = evidence.map(|evidence| &evidence.0);
    Ok(regauth::error::Diagnosis::of_answer(status, kind, &body, identity, evidence).map(Into::into))
}
