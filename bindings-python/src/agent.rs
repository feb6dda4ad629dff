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

/// What the flows of one program share: configuration, tokens, remembered challenges. For any number of threads.
#[pyclass(frozen, module = "regauth")]
pub struct Agent(pub regauth::Agent);

/// Where a URL came from: the registry, and where the request for it has been.
#[pyclass(frozen, module = "regauth")]
pub struct Referrer(pub regauth::Referrer);

#[pymethods]
impl Referrer {
    /// For a registry whose answer is not at hand any more: a layer URL out of a stored manifest.
    #[staticmethod]
    #[pyo3(signature = (origin, /))]
    fn registry(py: Python<'_>, origin: &str) -> PyResult<Self> {
        Ok(Self(regauth::Referrer::registry(convert::origin(py, origin)?)))
    }

    fn __repr__(&self) -> &'static str {
        "Referrer"
    }
}

/// An endpoint to try for an image: a mirror, or the registry itself.
#[pyclass(frozen, module = "regauth")]
pub struct Endpoint(regauth::Endpoint);

#[pymethods]
impl Endpoint {
    /// The origin of its requests.
    #[getter]
    fn origin(&self) -> String {
        self.0.origin.to_string()
    }

    /// The path of the API, `/v2` by the specification.
    #[getter]
    fn root(&self) -> &str {
        &self.0.root
    }

    /// The repository there.
    #[getter]
    fn repository(&self) -> &str {
        &self.0.repository
    }

    /// Whether it is a mirror.
    #[getter]
    fn mirror(&self) -> bool {
        self.0.mirror
    }

    /// The registry that a mirror is asked to stand for.
    #[getter]
    fn ns(&self) -> Option<&str> {
        self.0.ns.as_deref()
    }

    /// The id of the TLS profile of requests to it.
    #[getter]
    fn profile(&self) -> u32 {
        self.0.profile.0
    }

    /// The file and key that it comes from.
    #[getter]
    fn provenance(&self) -> Option<&str> {
        self.0.provenance.as_deref()
    }

    /// The URL of something in the repository: `manifests/latest`, `blobs/sha256:…`.
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

    /// Replaces the configuration. A flow keeps the one it began with; new connections use the newest.
    #[pyo3(signature = (config, /))]
    fn replace(&self, config: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.replace(Settings::of(config)?).map_err(|error| errors::raise(config.py(), &error))
    }

    /// A flow for one request, anchored at the origin of its URL.
    #[pyo3(signature = (method, url, /))]
    fn request(&self, py: Python<'_>, method: &str, url: &str) -> PyResult<Flow> {
        self.0.request(method, url).map(Flow::of).map_err(|error| errors::raise(py, &error))
    }

    /// A flow for a URL that a server named: as `registry` or `upload` an upload location or the page of a list, as
    /// `layer` a layer URL of a manifest, as `redirect` a redirect where the program's client follows them.
    #[pyo3(signature = (by, hop, method, url, /))]
    fn referred(&self, py: Python<'_>, by: &Referrer, hop: &str, method: &str, url: &str) -> PyResult<Flow> {
        let flow = self.0.referred(&by.0, convert::hop(py, hop)?, method, url);
        flow.map(Flow::of).map_err(|error| errors::raise(py, &error))
    }

    /// The warm path: the whole `Authorization` value of this request, where nothing needs to be asked; else `None`, and
    /// a flow is to be made. It is a secret.
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

    /// A flow that renews a token which is in use and about to run out, for programs with a background task. Ask until it
    /// is `None`, once a second.
    #[pyo3(signature = (*, now=None))]
    fn due(&self, now: Option<u64>) -> Option<Flow> {
        self.0.due(time(now)).map(Flow::of)
    }

    /// The profile that an id names, for as long as a flow that was given it lives.
    #[pyo3(signature = (id, /))]
    fn profile(&self, id: u32) -> Option<Profile> {
        self.0.profile(ProfileId(id)).map(Profile)
    }

    /// The profile for a new connection, and its id, by which connections are pooled: that of the newest configuration.
    #[pyo3(signature = (id, /))]
    fn newest(&self, id: u32) -> Option<(u32, Profile)> {
        self.0.newest(ProfileId(id)).map(|(id, profile)| (id.0, Profile(profile)))
    }

    /// Where to ask for an image, in order: the mirrors that can do it, then the registry.
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

    /// Does nothing: an agent holds nothing that has to be closed. For `with`.
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
