//! What an exchange wants of its host's sockets: one class a kind, as `regauth.Do` lists them.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regauth::wire;

use crate::convert::enter;
use crate::errors;

/// What connections are pooled by: origin, profile, whether through a proxy.
pub type Key = (String, u32, bool);

pub fn key(key: &wire::LinkKey) -> Key {
    (key.origin.to_string(), key.profile.0, key.proxied)
}

/// Connect, or take a link of this `key` out of the pool; then `connected` or `failed`.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Connect {
    pub origin: String,
    pub host: String,
    pub port: u16,
    pub https: bool,
    pub profile: u32,
    pub hop: &'static str,
    pub pooled: bool,
}

#[pymethods]
impl Connect {
    /// What to look for in the pool: origin, profile, whether through a proxy.
    #[pyo3(signature = (proxied=false))]
    fn key(&self, proxied: bool) -> Key {
        (self.origin.clone(), self.profile, proxied)
    }

    fn __repr__(&self) -> String {
        format!("Connect(origin='{}', profile={}, hop='{}')", self.origin, self.profile, self.hop)
    }
}

impl From<wire::Target<'_>> for Connect {
    fn from(target: wire::Target<'_>) -> Self {
        Self {
            origin: target.origin.to_string(),
            host: target.origin.server_name().into(),
            port: target.origin.port(),
            https: target.origin.is_https(),
            profile: target.profile.0,
            hop: target.hop.as_str(),
            pooled: target.pooled,
        }
    }
}

/// Write some of these bytes; then `wrote` or `failed`.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Write {
    pub data: Py<PyBytes>,
}

/// Read up to `space()` bytes and give them to `filled`, nothing at the end of the stream; or `failed`.
#[pyclass(frozen, module = "regauth")]
pub struct Read {}

/// Content of the application's answer; then `took`. `Exchange.content` is the faster way.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Body {
    pub data: Py<PyBytes>,
}

/// The next bytes of the application's body; from its start where `again`.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct WantBody {
    pub again: bool,
}

/// This socket is of no more use here: pool it with `take_link`, or close it; then `closed`.
#[pyclass(frozen, module = "regauth")]
pub struct Close {}

macro_rules! named {
    ($($name:ident),*) => { $(
        #[pymethods]
        impl $name {
            fn __repr__(&self) -> &'static str {
                stringify!($name)
            }
        }
    )* };
}
named!(Write, Read, Body, WantBody, Close);

/// The state of an idle connection, to be pooled with its socket by its `key`.
#[pyclass(frozen, module = "regauth")]
pub struct Link {
    link: Mutex<Option<wire::Link>>,
    #[pyo3(get)]
    key: Key,
}

impl Link {
    pub fn of(link: wire::Link) -> Self {
        let key = key(link.key());
        Self { link: Mutex::new(Some(link)), key }
    }

    pub fn take(&self, py: Python<'_>) -> PyResult<wire::Link> {
        let link = enter(py, &self.link, "link")?.take();
        link.ok_or_else(|| errors::misuse(py, "the link was given to an exchange before"))
    }
}

#[pymethods]
impl Link {
    fn __repr__(&self) -> String {
        format!("Link(origin='{}', profile={})", self.key.0, self.key.1)
    }
}
