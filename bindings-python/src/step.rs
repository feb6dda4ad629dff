//! What a flow wants: one class a kind, as `regauth.Step` lists them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regauth::{Outgoing, Query, Waiting, Want};

use crate::convert;

/// Send exactly this; then `answer` or `failed`. `headers` hold secrets. `profile` names the TLS profile to connect with;
/// `form` is the body of a token request; with `app_body` the body is the application's, `again` where it was asked for
/// before; with `at_most` all of the answer's body is wanted, or so many bytes and one.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Send {
    hop: &'static str,
    profile: u32,
    identity: Option<String>,
    method: String,
    url: String,
    origin: String,
    headers: Vec<(String, String)>,
    form: Option<Py<PyBytes>>,
    app_body: bool,
    again: bool,
    at_most: Option<usize>,
}

impl Send {
    pub fn new(py: Python<'_>, out: &Outgoing) -> Self {
        let (form, app_body, again) = match &out.body {
            regauth::Body::Form(form) => (Some(PyBytes::new(py, form.expose()).unbind()), false, false),
            regauth::Body::App { again } => (None, true, *again),
            _ => (None, false, false),
        };
        Self {
            hop: out.hop.as_str(),
            profile: out.tls.0,
            identity: out.identity.clone(),
            method: out.method.clone(),
            url: out.url.to_string(),
            origin: out.url.origin().to_string(),
            headers: out.headers.iter().map(|(name, value)| (name.clone(), convert::field(value.expose()))).collect(),
            form,
            app_body,
            again,
            at_most: if let Want::Whole { at_most } = out.answer { Some(at_most) } else { None },
        }
    }
}

#[pymethods]
impl Send {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("method", "url")
    }

    fn __repr__(&self) -> String {
        let identity = self.identity.as_deref().unwrap_or("none");
        let path = self.url.split('?').next().unwrap_or_default();
        format!("Send(hop='{}', method='{}', url='{path}', identity='{identity}')", self.hop, self.method)
    }
}

/// Look these up, or run the helper `docker-credential-NAME get` with `helper_url` on its standard input; then
/// `credentials`, `helper` or `helper_failed`.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Credentials {
    registry: String,
    helper: Option<String>,
    helper_url: Option<String>,
}

impl From<&Query> for Credentials {
    fn from(query: &Query) -> Self {
        Self {
            registry: query.registry.to_string(),
            helper: query.helper.as_ref().map(|helper| helper.name.clone()),
            helper_url: query.helper.as_ref().map(|helper| helper.url.clone()),
        }
    }
}

#[pymethods]
impl Credentials {
    fn __repr__(&self) -> String {
        let helper = self.helper.as_ref().map(|helper| format!(", helper='{helper}'")).unwrap_or_default();
        format!("Credentials(registry='{}'{helper})", self.registry)
    }
}

/// Poll again when woken, or at `until` (Unix milliseconds): for another flow's `token`, for `skew`, `retry-after` or
/// `back-off`.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Wait {
    until: u64,
    why: &'static str,
}

impl Wait {
    pub const fn new(until: regauth::Time, why: Waiting) -> Self {
        Self { until: until.0, why: why.as_str() }
    }
}

#[pymethods]
impl Wait {
    fn __repr__(&self) -> String {
        format!("Wait(until={}, why='{}')", self.until, self.why)
    }
}

/// The last answer is the application's. `mount_denied`: the registry denied a cross-repository mount; upload the blob
/// instead.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Done {
    pub status: u16,
    pub mount_denied: bool,
}

#[pymethods]
impl Done {
    fn __repr__(&self) -> String {
        format!("Done(status={})", self.status)
    }
}
