//! The agent: what all flows of a program share.

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use regauth::Capability;
use regauth::tls::ProfileId;

use crate::convert::{self, time};
use crate::errors;
use crate::flow::Flow;
use crate::profile::Profile;
use crate::settings::Settings;
use crate::vocabulary::Reference;

#[pyclass(frozen, module = "regauth")]
pub struct Agent(pub regauth::Agent);

#[pyclass(frozen, module = "regauth")]
pub struct Referrer(pub regauth::Referrer);

#[pymethods]
impl Referrer {
    #[staticmethod]
    #[pyo3(signature = (origin, /))]
    fn registry(py: Python<'_>, origin: &str) -> PyResult<Self> {
        Ok(Self(regauth::Referrer::registry(convert::origin(py, origin)?)))
    }

    fn __repr__(&self) -> &'static str {
        "Referrer"
    }
}

#[pyclass(frozen, module = "regauth")]
pub struct Endpoint(regauth::Endpoint);

#[pymethods]
impl Endpoint {
    #[getter]
    fn origin(&self) -> String {
        self.0.origin.to_string()
    }

    #[getter]
    fn root(&self) -> &str {
        &self.0.root
    }

    #[getter]
    fn repository(&self) -> &str {
        &self.0.repository
    }

    #[getter]
    fn mirror(&self) -> bool {
        self.0.mirror
    }

    #[getter]
    fn ns(&self) -> Option<&str> {
        self.0.ns.as_deref()
    }

    #[getter]
    fn profile(&self) -> u32 {
        self.0.profile.0
    }

    #[getter]
    fn provenance(&self) -> Option<&str> {
        self.0.provenance.as_deref()
    }

    #[pyo3(signature = (rest, /))]
    fn url(&self, rest: &str) -> String {
        self.0.url(rest)
    }

    fn __repr__(&self) -> String {
        format!("Endpoint(origin='{}', mirror={})", self.0.origin, if self.0.mirror { "True" } else { "False" })
    }
}

#[pymethods]
impl Agent {
    #[new]
    #[pyo3(signature = (config, /))]
    fn new(config: &Bound<'_, PyAny>) -> PyResult<Self> {
        let agent = regauth::Agent::new(Settings::of(config)?);
        agent.map(Self).map_err(|error| errors::raise(config.py(), &error))
    }

    #[pyo3(signature = (config, /))]
    fn replace(&self, config: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.replace(Settings::of(config)?).map_err(|error| errors::raise(config.py(), &error))
    }

    #[pyo3(signature = (method, url, /))]
    fn request(&self, py: Python<'_>, method: &str, url: &str) -> PyResult<Flow> {
        self.0.request(method, url).map(Flow::of).map_err(|error| errors::raise(py, &error))
    }

    #[pyo3(signature = (by, hop, method, url, /))]
    fn referred(&self, py: Python<'_>, by: &Referrer, hop: &str, method: &str, url: &str) -> PyResult<Flow> {
        let flow = self.0.referred(&by.0, convert::hop(py, hop)?, method, url);
        flow.map(Flow::of).map_err(|error| errors::raise(py, &error))
    }

    #[pyo3(signature = (method, url, now=None, /))]
    fn authorize<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        url: &str,
        now: Option<u64>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        self.0.authorize_with(time(now), method, url, |value| PyString::from_bytes(py, value)).transpose()
    }

    #[pyo3(signature = (*, now=None))]
    fn due(&self, now: Option<u64>) -> Option<Flow> {
        self.0.due(time(now)).map(Flow::of)
    }

    #[pyo3(signature = (id, /))]
    fn profile(&self, id: u32) -> Option<Profile> {
        self.0.profile(ProfileId(id)).map(Profile)
    }

    #[pyo3(signature = (id, /))]
    fn newest(&self, id: u32) -> Option<(u32, Profile)> {
        self.0.newest(ProfileId(id)).map(|(id, profile)| (id.0, Profile(profile)))
    }

    #[pyo3(signature = (image, want="pull", /))]
    fn endpoints(&self, py: Python<'_>, image: &Bound<'_, PyAny>, want: &str) -> PyResult<Vec<Endpoint>> {
        let want = Capability::ALL.into_iter().find(|known| known.as_str() == want).ok_or_else(|| {
            let names = Capability::ALL.map(Capability::as_str).join(", ");
            errors::config(py, &format!("{want:?} is nothing an endpoint does"), &format!("Name one of {names}."))
        })?;
        let named;
        let image = match image.cast::<Reference>() {
            Ok(image) => &image.get().0,
            Err(_) => {
                named = py.get_type::<Reference>().call1((image,))?.cast_into::<Reference>()?;
                &named.get().0
            }
        };
        Ok(self.0.endpoints(image, want).into_iter().map(Endpoint).collect())
    }

    fn close(&self) {}

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {}

    fn __repr__(&self) -> &'static str {
        "Agent"
    }
}
