//! Layer b: TLS, bytes in, bytes out.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use regauth::tls;

use crate::convert::{self, bytes, enter, field, time};
use crate::errors;
use crate::evidence::Evidence;
use crate::profile::Profile;

/// Layer b: one TLS connection to one origin with one profile, bytes in and bytes out. One task at a time.
#[pyclass(frozen, module = "regauth")]
pub struct TlsClient(Mutex<tls::TlsClient>);

impl TlsClient {
    fn with<R>(&self, py: Python<'_>, with: impl FnOnce(&mut tls::TlsClient) -> R) -> PyResult<R> {
        Ok(with(&mut *enter(py, &self.0, "connection")?))
    }
}

#[pymethods]
impl TlsClient {
    #[new]
    #[pyo3(signature = (profile, origin, /, *, skip=0, now=None))]
    fn new(py: Python<'_>, profile: &Profile, origin: &str, skip: usize, now: Option<u64>) -> PyResult<Self> {
        let to = convert::origin(py, origin)?;
        match tls::TlsClient::connect_after(&profile.0, skip, &to, time(now)) {
            Ok(client) => Ok(Self(Mutex::new(client))),
            Err(error) => Err(errors::tls(py, &error, Evidence(tls::Evidence::default()))),
        }
    }

    /// `"write"`, `"plain"`, `"read"` or `"closed"`: what comes next.
    #[pyo3(signature = (*, now=None))]
    fn poll(&self, py: Python<'_>, now: Option<u64>) -> PyResult<&'static str> {
        let mut client = enter(py, &self.0, "connection")?;
        match client.poll(time(now)) {
            tls::Tls::Write(_) => return Ok("write"),
            tls::Tls::Plain(_) => return Ok("plain"),
            tls::Tls::Read => return Ok("read"),
            tls::Tls::Closed => return Ok("closed"),
            _ => {}
        }
        let evidence = Evidence(client.evidence().clone());
        Err(client
            .error()
            .map_or_else(|| errors::misuse(py, "the connection has failed"), |error| errors::tls(py, error, evidence)))
    }

    /// All that waits to be written; it counts as written.
    #[pyo3(signature = (*, now=None))]
    fn outgoing<'py>(&self, py: Python<'py>, now: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let mut client = enter(py, &self.0, "connection")?;
        let mut all = Vec::new();
        while let tls::Tls::Write(data) = client.poll(time(now)) {
            let length = data.len();
            all.extend_from_slice(data);
            client.wrote(length);
        }
        Ok(PyBytes::new(py, &all))
    }

    /// All that was decrypted; it counts as taken.
    #[pyo3(signature = (*, now=None))]
    fn plain<'py>(&self, py: Python<'py>, now: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let mut client = enter(py, &self.0, "connection")?;
        let mut all = Vec::new();
        while let tls::Tls::Plain(data) = client.poll(time(now)) {
            let length = data.len();
            all.extend_from_slice(data);
            client.took(length);
        }
        Ok(PyBytes::new(py, &all))
    }

    /// How many bytes `filled` takes now.
    fn space(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |client| client.space().len())
    }

    /// What was read from the socket, nothing at its end; how many bytes were taken.
    #[pyo3(signature = (data, /))]
    fn filled(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = bytes(data)?;
        self.with(py, |client| {
            let space = client.space();
            let length = data.len().min(space.len());
            for (to, from) in space.iter_mut().zip(data.iter()) {
                *to = *from;
            }
            if length > 0 || data.is_empty() {
                client.filled(length);
            }
            length
        })
    }

    /// Encrypts some of these bytes, and says how many: none before the handshake is over.
    #[pyo3(signature = (plain, /))]
    fn send(&self, py: Python<'_>, plain: &Bound<'_, PyAny>) -> PyResult<usize> {
        let plain = bytes(plain)?;
        self.with(py, |client| client.send(&plain))
    }

    /// Writing has failed; what the server said is still read.
    fn write_failed(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, tls::TlsClient::write_failed)
    }

    /// Ends the connection: a close_notify is written, and nothing more is read.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, tls::TlsClient::close)
    }

    /// Whether the handshake is over, so that bytes can be sent.
    #[getter]
    fn ready(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |client| client.ready())
    }

    /// The protocol that the server chose, if it chose one.
    #[getter]
    fn alpn(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.with(py, |client| client.alpn().map(field))
    }

    /// The facts about client certificates, as far as they are known.
    #[getter]
    fn evidence(&self, py: Python<'_>) -> PyResult<Evidence> {
        self.with(py, |client| Evidence(client.evidence().clone()))
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> &'static str {
        "TlsClient"
    }
}
