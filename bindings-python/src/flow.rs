//! Layer a: one request, from the first attempt to the answer that is the application's.

use std::net::IpAddr;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use pyo3::{BoundObject as _, IntoPyObject};
use regauth::config::helper;
use regauth::{Answer, Dial, HelperFailure, Redirects, Step};

use crate::agent::Referrer;
use crate::convert::{self, bytes, enter, secret, time};
use crate::errors;
use crate::evidence::Evidence;
use crate::profile::attempt;
use crate::step;
use crate::vocabulary::to_scope;
use crate::wake::waker;

/// One request, from the first attempt to the answer that is the application's. One task at a time; close it, or use
/// `with`.
#[pyclass(frozen, module = "regauth")]
pub struct Flow(Mutex<Option<regauth::Flow>>);

impl Flow {
    pub fn of(flow: regauth::Flow) -> Self {
        Self(Mutex::new(Some(flow)))
    }

    /// Takes the flow out, for an exchange.
    pub fn take(&self, py: Python<'_>) -> PyResult<regauth::Flow> {
        enter(py, &self.0, "flow")?.take().ok_or_else(|| gone(py))
    }

    fn with<R>(&self, py: Python<'_>, with: impl FnOnce(&mut regauth::Flow) -> R) -> PyResult<R> {
        let mut flow = enter(py, &self.0, "flow")?;
        flow.as_mut().map(with).ok_or_else(|| gone(py))
    }

    fn change(&self, py: Python<'_>, change: impl FnOnce(regauth::Flow) -> regauth::Flow) -> PyResult<()> {
        let mut flow = enter(py, &self.0, "flow")?;
        let changed = change(flow.take().ok_or_else(|| gone(py))?);
        *flow = Some(changed);
        Ok(())
    }
}

fn gone(py: Python<'_>) -> PyErr {
    errors::misuse(py, "the flow is closed, or belongs to an exchange")
}

/// Any object of Python.
pub fn object<'py, T: IntoPyObject<'py>>(py: Python<'py>, value: T) -> PyResult<Bound<'py, PyAny>>
where
    PyErr: From<T::Error>,
{
    Ok(value.into_pyobject(py)?.into_bound().into_any())
}

/// Header fields out of a mapping or of pairs, names and values `str` or `bytes`.
fn fields(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Vec<u8>)>> {
    let pairs = match headers.hasattr("items")? && headers.cast::<PyList>().is_err() {
        true => headers.call_method0("items")?,
        false => headers.clone(),
    };
    let field = |pair: Bound<'_, PyAny>| {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        // Of text the characters are the bytes, as HTTP libraries have it.
        let value = match value.extract::<&str>() {
            Ok(text) => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
            Err(_) => bytes(&value)?.to_vec(),
        };
        Ok((String::from_utf8_lossy(&bytes(&name)?).into_owned(), value))
    };
    pairs.try_iter()?.map(|pair| field(pair?)).collect()
}

/// An address, or `None` for a proxy.
pub fn dial(address: Option<IpAddr>) -> Dial {
    address.map_or(Dial::Proxied, Dial::Ip)
}

pub fn explained(explain: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = explain(&mut text);
    text
}

#[pymethods]
impl Flow {
    /// Adds a scope that the application knows it will need, before the first `poll`.
    #[pyo3(signature = (scope, /))]
    fn scope<'py>(slf: &Bound<'py, Self>, scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let scope = to_scope(scope)?;
        slf.get().change(slf.py(), |flow| flow.scope(scope))?;
        Ok(slf.clone())
    }

    /// The program's client follows redirects: one is the application's answer, and each further hop a flow of its own,
    /// by `Agent.referred`.
    fn host_redirects<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().change(slf.py(), |flow| flow.redirects(Redirects::Host))?;
        Ok(slf.clone())
    }

    /// What to do next: `Send`, `Credentials`, `Wait` or `Done`; the same until it is answered. A failed flow raises its
    /// error, each time. `wake` is called, from any thread, when a `Wait` may be over. `now` is Unix milliseconds; the
    /// system's clock where it is not given, here and elsewhere.
    #[pyo3(signature = (wake=None, *, now=None))]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        wake: Option<Bound<'py, PyAny>>,
        now: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut flow = enter(py, &self.0, "flow")?;
        let flow = flow.as_mut().ok_or_else(|| gone(py))?;
        match flow.poll(time(now), &waker(wake)) {
            Step::Send(out) => object(py, step::Send::new(py, out)),
            Step::Credentials(query) => object(py, step::Credentials::from(query)),
            Step::Wait { until, why } => object(py, step::Wait::new(until, why)),
            Step::Failed(error) => Err(errors::raise(py, error)),
            _ => {
                let status = flow.status().unwrap_or_default();
                object(py, step::Done { status, mount_denied: flow.mount_denied() })
            }
        }
    }

    /// Asks whether this address, or with `None` a proxy that resolves names, may be used for the current `Send`. Ask for
    /// each address before it is used, and use that one. Raises `PolicyDenied`.
    #[pyo3(signature = (address, /))]
    fn dial(&self, py: Python<'_>, address: Option<IpAddr>) -> PyResult<()> {
        self.with(py, |flow| flow.dial(dial(address)))?.map_err(|error| errors::raise(py, &error))
    }

    /// Answers `Send` with what the server said. `body` where the step has `at_most`; `url` where the client has followed
    /// redirects by itself.
    #[pyo3(signature = (status, headers, body=None, *, url=None, evidence=None, now=None))]
    #[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn answer(
        &self,
        py: Python<'_>,
        status: u16,
        headers: &Bound<'_, PyAny>,
        body: Option<&Bound<'_, PyAny>>,
        url: Option<&str>,
        evidence: Option<&Evidence>,
        now: Option<u64>,
    ) -> PyResult<()> {
        let headers = fields(headers)?;
        let body = body.map(bytes).transpose()?.unwrap_or_default();
        let answer = Answer::new(status, &headers).body(&body).url(url).tls(evidence.map(|evidence| &evidence.0));
        self.with(py, |flow| flow.answer(time(now), answer))
    }

    /// Answers `Credentials` with what was found; without arguments: nothing was.
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
        self.with(py, |flow| flow.credentials(time(now), Ok(found)))
    }

    /// Answers `Credentials` with what a helper printed, and whether it ended well.
    #[pyo3(signature = (success, output, *, now=None))]
    fn helper(&self, py: Python<'_>, success: bool, output: &Bound<'_, PyAny>, now: Option<u64>) -> PyResult<()> {
        let found = helper::read(success, &secret(output)?);
        self.with(py, |flow| flow.credentials(time(now), found))
    }

    /// Answers `Credentials`: the helper is missing, or crashed.
    #[pyo3(signature = (why, *, now=None))]
    fn helper_failed(&self, py: Python<'_>, why: String, now: Option<u64>) -> PyResult<()> {
        self.with(py, |flow| flow.credentials(time(now), Err(HelperFailure(why))))
    }

    /// Answers `Send` with what went wrong: `connect`, `timeout`, `reset`, `server-certificate`, `certificate-required`,
    /// `certificate-rejected`, `tls` or `address-refused`.
    #[pyo3(signature = (why, evidence=None, *, now=None))]
    fn failed(&self, py: Python<'_>, why: &str, evidence: Option<&Evidence>, now: Option<u64>) -> PyResult<()> {
        let why = convert::failure(py, why)?;
        self.with(py, |flow| flow.failed(time(now), why, evidence.map(|evidence| &evidence.0)))
    }

    /// Writes down that the program makes another attempt at the current `Send`, with the next identity: see
    /// `Profile.retry`.
    #[pyo3(signature = (evidence, ended, /))]
    fn retried(&self, py: Python<'_>, evidence: &Evidence, ended: &Bound<'_, PyAny>) -> PyResult<()> {
        let ended = attempt(ended)?;
        self.with(py, |flow| flow.retried(&evidence.0, ended))
    }

    /// What a URL in the answer is followed with.
    fn referrer(&self, py: Python<'_>) -> PyResult<Referrer> {
        self.with(py, |flow| Referrer(flow.referrer()))
    }

    /// The origin of the registry or mirror.
    #[getter]
    fn anchor(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |flow| flow.anchor().to_string())
    }

    /// The transcript: every decision so far, without any secret.
    fn explain(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |flow| explained(|text| flow.explain(text)))
    }

    /// Gives up what it does for others, who go on without it. It is of no more use then.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        drop(enter(py, &self.0, "flow")?.take());
        Ok(())
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let flow = self.0.try_lock();
        flow.map_or_else(
            |_| "Flow(in use)".into(),
            |flow| flow.as_ref().map_or("Flow(closed)".into(), |flow| format!("Flow(anchor='{}')", flow.anchor())),
        )
    }
}
