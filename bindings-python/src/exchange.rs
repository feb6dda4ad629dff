//! Layer c: a flow, TLS and HTTP/1.1 over the host's sockets.

use std::net::IpAddr;
use std::sync::Mutex;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use regauth::config::helper;
use regauth::wire::{self, Do};
use regauth::{Agent, HelperFailure};

use crate::agent::{self, Referrer};
use crate::answer::{Head, Sent};
use crate::convert::{self, bytes, enter, secret, time};
use crate::errors;
use crate::flow::{Flow, dial, explained, object};
use crate::parts::{Body, Close, Connect, Link, Read, WantBody, Write};
use crate::step;
use crate::wake::waker;

/// Layer c: a flow, TLS and HTTP/1.1 over the program's sockets, of which there is one at a time.
#[pyclass(frozen, module = "regauth")]
pub struct Exchange(Mutex<Option<wire::Exchange>>);

impl Exchange {
    fn with<R>(&self, py: Python<'_>, with: impl FnOnce(&mut wire::Exchange) -> R) -> PyResult<R> {
        let mut exchange = enter(py, &self.0, "exchange")?;
        exchange.as_mut().map(with).ok_or_else(|| gone(py))
    }
}

fn gone(py: Python<'_>) -> PyErr {
    errors::misuse(py, "the exchange is closed")
}

#[pymethods]
impl Exchange {
    #[new]
    #[pyo3(signature = (agent, flow, /))]
    fn new(py: Python<'_>, agent: &agent::Agent, flow: &Flow) -> PyResult<Self> {
        let agent: &Agent = &agent.0;
        Ok(Self(Mutex::new(Some(wire::Exchange::new(agent, flow.take(py)?)))))
    }

    /// Adds a field to the application's requests, before the first `poll`.
    #[pyo3(signature = (name, value, /))]
    fn header(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = bytes(value)?;
        self.with(py, |exchange| exchange.header(name, &value))?.map_err(|error| errors::raise(py, &error))
    }

    /// Announces a body: its length in bytes, or `None` for chunks.
    #[pyo3(signature = (length, /))]
    fn body_len(&self, py: Python<'_>, length: Option<u64>) -> PyResult<()> {
        self.with(py, |exchange| exchange.body_len(length))
    }

    /// Says that the body can begin at its start once more.
    fn body_rewinds(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, wire::Exchange::body_rewinds)
    }

    /// What to do next: one of `regauth.Do`; the same until it is answered. A failed exchange raises its error, each
    /// time.
    #[pyo3(signature = (wake=None, *, now=None))]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        wake: Option<Bound<'py, PyAny>>,
        now: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut exchange = enter(py, &self.0, "exchange")?;
        let exchange = exchange.as_mut().ok_or_else(|| gone(py))?;
        match exchange.poll(time(now), &waker(wake)) {
            Do::Connect(target) => object(py, Connect::from(target)),
            Do::Write(data) => object(py, Write { data: PyBytes::new(py, data).unbind() }),
            Do::Read => object(py, Read {}),
            Do::WantBody { again } => object(py, WantBody { again }),
            Do::Head(head) => object(py, Head(head.clone())),
            Do::Body(data) => object(py, Body { data: PyBytes::new(py, data).unbind() }),
            Do::Credentials(query) => object(py, step::Credentials::from(query)),
            Do::Wait { until, why } => object(py, step::Wait::new(until, why)),
            Do::Close => object(py, Close {}),
            Do::Failed(error) => Err(errors::raise(py, error)),
            _ => {
                let status = exchange.head().map(wire::Head::status).unwrap_or_default();
                object(py, step::Done { status, mount_denied: exchange.flow().mount_denied() })
            }
        }
    }

    /// As `Flow.dial`, for the current `Connect`.
    #[pyo3(signature = (address, /))]
    fn dial(&self, py: Python<'_>, address: Option<IpAddr>) -> PyResult<()> {
        self.with(py, |exchange| exchange.dial(dial(address)))?.map_err(|error| errors::raise(py, &error))
    }

    /// Answers `Connect`: a new connection to what `dial` allowed last, or a pooled one with its link.
    #[pyo3(signature = (link=None, *, now=None))]
    fn connected(&self, py: Python<'_>, link: Option<&Link>, now: Option<u64>) -> PyResult<()> {
        let link = link.map(|link| link.take(py)).transpose()?;
        self.with(py, |exchange| exchange.connected(time(now), link))
    }

    /// How many bytes [`Self::filled`] takes now.
    fn space(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |exchange| exchange.space().len())
    }

    /// So many bytes were read, at most `space()`; none at the end of the stream.
    #[pyo3(signature = (data, /))]
    fn filled(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = PyBuffer::<u8>::get(data)?;
        let length = data.item_count();
        let copied = self.with(py, |exchange| {
            let Some(space) = exchange.space().get_mut(..length) else { return Ok(false) };
            data.copy_to_slice(py, space)?;
            exchange.filled(length);
            Ok::<_, PyErr>(true)
        })??;
        if copied { Ok(()) } else { Err(errors::misuse(py, "more was read than there is space for")) }
    }

    /// So many bytes of `Write` were written.
    #[pyo3(signature = (n, /))]
    fn wrote(&self, py: Python<'_>, n: usize) -> PyResult<()> {
        self.with(py, |exchange| exchange.wrote(n))
    }

    /// The head was looked at.
    fn took_head(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, wire::Exchange::took_head)
    }

    /// So many bytes of `Body` were used.
    #[pyo3(signature = (n, /))]
    fn took(&self, py: Python<'_>, n: usize) -> PyResult<()> {
        self.with(py, |exchange| exchange.took(n))
    }

    /// All content that is there, as long as nothing has to be read or written for it; up to about `at_most` bytes.
    #[pyo3(signature = (at_most=1 << 20, /, *, now=None))]
    fn content<'py>(&self, py: Python<'py>, at_most: usize, now: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let now = time(now);
        let mut exchange = enter(py, &self.0, "exchange")?;
        let exchange = exchange.as_mut().ok_or_else(|| gone(py))?;
        // Decrypting is what takes long: other threads go on meanwhile.
        let gathered = py.detach(|| {
            let mut gathered = Vec::new();
            while gathered.len() < at_most
                && let Do::Body(data) = exchange.poll(now, std::task::Waker::noop())
            {
                let length = data.len();
                gathered.extend_from_slice(data);
                exchange.took(length);
            }
            gathered
        });
        Ok(PyBytes::new(py, &gathered))
    }

    /// Answers `WantBody`; `last`: none come behind these. Gives how many bytes were taken.
    #[pyo3(signature = (content, last, /))]
    fn body(&self, py: Python<'_>, content: &[u8], last: bool) -> PyResult<usize> {
        self.with(py, |exchange| exchange.body(content, last))
    }

    /// Answers `WantBody` where the body cannot begin at its start once more.
    fn body_gone(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, wire::Exchange::body_gone)
    }

    /// As `Flow.credentials`.
    #[pyo3(signature = (*, user=None, password=None, refresh_token=None, bearer_token=None, valid_until=None, now=None))]
    #[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn credentials(
        &self,
        py: Python<'_>,
        user: Option<String>,
        password: Option<&Bound<'_, PyAny>>,
        refresh_token: Option<&Bound<'_, PyAny>>,
        bearer_token: Option<&Bound<'_, PyAny>>,
        valid_until: Option<u64>,
        now: Option<u64>,
    ) -> PyResult<()> {
        let found = convert::credentials(py, user, password, refresh_token, bearer_token)?;
        let found = convert::found(py, found, valid_until)?;
        self.with(py, |exchange| exchange.credentials(time(now), Ok(found)))
    }

    /// As `Flow.helper`.
    #[pyo3(signature = (success, output, *, now=None))]
    fn helper(&self, py: Python<'_>, success: bool, output: &Bound<'_, PyAny>, now: Option<u64>) -> PyResult<()> {
        let found = helper::read(success, &secret(output)?);
        self.with(py, |exchange| exchange.credentials(time(now), found))
    }

    /// As `Flow.helper_failed`.
    #[pyo3(signature = (why, *, now=None))]
    fn helper_failed(&self, py: Python<'_>, why: String, now: Option<u64>) -> PyResult<()> {
        self.with(py, |exchange| exchange.credentials(time(now), Err(HelperFailure(why))))
    }

    /// Answers `Connect`, `Write` or `Read` with what went wrong; the names are those of `Flow.failed`.
    #[pyo3(signature = (why, *, now=None))]
    fn failed(&self, py: Python<'_>, why: &str, now: Option<u64>) -> PyResult<()> {
        let why = convert::failure(py, why)?;
        self.with(py, |exchange| exchange.failed(time(now), why))
    }

    /// Answers `Close`.
    fn closed(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, wire::Exchange::closed)
    }

    /// What is to be pooled with the socket, at `Close` and after `Done`; `None`: close it.
    fn take_link(&self, py: Python<'_>) -> PyResult<Option<Link>> {
        self.with(py, |exchange| exchange.take_link().map(Link::of))
    }

    /// The requests that went out so far, in order.
    #[getter]
    fn sent(&self, py: Python<'_>) -> PyResult<Vec<Sent>> {
        self.with(py, |exchange| exchange.sent().iter().map(Sent::from).collect())
    }

    /// The head of the application's answer, once it is there.
    #[getter]
    fn head(&self, py: Python<'_>) -> PyResult<Option<Head>> {
        self.with(py, |exchange| exchange.head().cloned().map(Head))
    }

    /// What a URL in the answer is followed with.
    fn referrer(&self, py: Python<'_>) -> PyResult<Referrer> {
        self.with(py, |exchange| Referrer(exchange.referrer()))
    }

    /// The transcript: every decision so far, without any secret.
    fn explain(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |exchange| explained(|text| exchange.explain(text)))
    }

    /// Gives up what it does for others. It is of no more use then.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        drop(enter(py, &self.0, "exchange")?.take());
        Ok(())
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> &'static str {
        "Exchange"
    }
}
