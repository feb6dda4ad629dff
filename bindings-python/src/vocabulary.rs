//! Names, challenges, scopes, token answers and the hop policy: pure functions.

use std::net::IpAddr;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use regauth::hop::{Chain, Decision, Question};
use regauth::origin::Class;
use regauth::token::NoGrant;
use regauth::{Url, challenge, scope, token};

use crate::convert::{self, bytes};
use crate::errors;
use crate::settings::Settings;

/// An image name, read: Docker's defaults, and the origin of the registry's API.
#[pyclass(frozen, eq, hash, module = "regauth")]
#[derive(PartialEq, Eq, Hash)]
pub struct Reference(pub regauth::Reference);

#[pymethods]
impl Reference {
    #[new]
    #[pyo3(signature = (name, /))]
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        regauth::Reference::parse(name)
            .map(Self)
            .map_err(|error| errors::config(py, &error.to_string(), "Name an image such as registry.example/app:1.2."))
    }

    /// Host and port, as the name has it.
    #[getter]
    fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The repository.
    #[getter]
    fn repository(&self) -> &str {
        self.0.repository()
    }

    /// The tag, `latest` where neither tag nor digest is given.
    #[getter]
    fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, where there is one.
    #[getter]
    fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// The digest, or else the tag: what a manifest is asked for by.
    #[getter]
    fn reference(&self) -> &str {
        self.0.reference()
    }

    /// The origin of the registry's API.
    #[getter]
    fn origin(&self) -> String {
        self.0.origin().to_string()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Reference('{}')", self.0)
    }
}

/// One scope, exactly as it goes into a token request.
#[pyclass(frozen, eq, hash, ord, module = "regauth")]
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub regauth::Scope);

#[pymethods]
impl Scope {
    #[new]
    #[pyo3(signature = (text, /))]
    fn new(py: Python<'_>, text: &str) -> PyResult<Self> {
        let scope = regauth::Scope::new(text).map(Self);
        scope.ok_or_else(|| errors::config(py, "the scope is empty", "Give a scope such as repository:app:pull."))
    }

    /// `repository:name:actions`.
    #[staticmethod]
    fn repository(name: &str, actions: &str) -> Self {
        Self(regauth::Scope::repository(name, actions))
    }

    /// Type, class and name; `None` where the scope does not parse.
    #[getter]
    fn resource(&self) -> Option<&str> {
        self.0.parts().map(|(resource, _)| resource)
    }

    /// The actions; `None` where the scope does not parse.
    #[getter]
    fn actions(&self) -> Option<Vec<&str>> {
        self.0.parts().map(|(_, actions)| actions.split(',').collect())
    }

    fn __str__(&self) -> &str {
        self.0.as_str()
    }

    fn __repr__(&self) -> String {
        format!("Scope('{}')", self.0)
    }
}

/// A scope, or its text.
pub fn to_scope(given: &Bound<'_, PyAny>) -> PyResult<regauth::Scope> {
    match given.cast::<Scope>() {
        Ok(scope) => Ok(scope.get().0.clone()),
        Err(_) => Scope::new(given.py(), &given.extract::<String>()?).map(|scope| scope.0),
    }
}

fn to_scopes(given: &Bound<'_, PyAny>) -> PyResult<Vec<regauth::Scope>> {
    given.try_iter()?.map(|one| to_scope(&one?)).collect()
}

/// The scopes that a request needs, by its method and its path with query; `None` where the path is no registry API.
#[pyfunction]
#[pyo3(signature = (method, target, /))]
pub fn needed_scopes(method: &str, target: &str) -> Option<Vec<Scope>> {
    Some(scope::needed(method, target)?.into_iter().map(Scope).collect())
}

/// One list out of many, in the order of first mention: actions of one resource are united.
#[pyfunction]
#[pyo3(signature = (scopes, /))]
pub fn merge_scopes(scopes: &Bound<'_, PyAny>) -> PyResult<Vec<Scope>> {
    Ok(scope::merge(&to_scopes(scopes)?).into_iter().map(Scope).collect())
}

/// Whether a token for `granted` serves `needed`.
#[pyfunction]
#[pyo3(signature = (granted, needed, /))]
pub fn covers(granted: &Bound<'_, PyAny>, needed: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(scope::covers(&to_scopes(granted)?, &to_scopes(needed)?))
}

/// One challenge of a `WWW-Authenticate` field; scheme and names in lower case.
#[pyclass(frozen, get_all, module = "regauth")]
pub struct Challenge {
    scheme: String,
    params: Py<PyDict>,
    token68: Option<String>,
}

#[pymethods]
impl Challenge {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let token68 = self.token68.as_ref().map(|_| ", token68=***").unwrap_or_default();
        Ok(format!("Challenge(scheme='{}', params={}{token68})", self.scheme, self.params.bind(py).repr()?))
    }
}

/// Where a field breaks the grammar, and what kind of flaw it is.
#[pyclass(frozen, get_all, eq, module = "regauth")]
#[derive(Clone, PartialEq)]
pub struct Flaw {
    field: usize,
    offset: usize,
    kind: &'static str,
}

#[pymethods]
impl Flaw {
    fn __repr__(&self) -> String {
        format!("Flaw(field={}, offset={}, kind='{}')", self.field, self.offset, self.kind)
    }
}

/// All challenges of an answer, in their order; `flaws` is empty where the fields follow the grammar.
#[pyclass(frozen, sequence, module = "regauth")]
pub struct Challenges {
    list: Vec<Py<Challenge>>,
    flaws: Vec<Flaw>,
}

#[pymethods]
impl Challenges {
    fn __len__(&self) -> usize {
        self.list.len()
    }

    fn __getitem__(&self, py: Python<'_>, index: isize) -> PyResult<Py<Challenge>> {
        let place = if index < 0 { self.list.len().checked_add_signed(index) } else { usize::try_from(index).ok() };
        let found = place.and_then(|place| self.list.get(place)).map(|one| one.clone_ref(py));
        found.ok_or_else(|| PyIndexError::new_err("there are fewer challenges"))
    }

    /// What is wrong with the fields: number of the field, byte offset, kind.
    #[getter]
    fn flaws(&self) -> Vec<Flaw> {
        self.flaws.clone()
    }

    fn __repr__(&self) -> String {
        format!("Challenges({} of them, {} flaws)", self.list.len(), self.flaws.len())
    }
}

/// Reads all `WWW-Authenticate` fields of an answer (RFC 9110 section 11.6.1). A bad field never fails the others.
#[pyfunction]
#[pyo3(signature = (fields, /))]
pub fn parse_challenges(py: Python<'_>, fields: &Bound<'_, PyAny>) -> PyResult<Challenges> {
    let fields = fields.try_iter()?.map(|field| bytes(&field?)).collect::<PyResult<Vec<_>>>()?;
    let all = challenge::parse(fields.iter().map(|field| field.as_slice()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let one = |challenge: &challenge::Challenge<'_>| {
        let params = PyDict::new(py);
        for param in challenge.params() {
            params.set_item(text(param.name()).to_ascii_lowercase(), text(&param.value()))?;
        }
        let scheme = text(challenge.scheme()).to_ascii_lowercase();
        Py::new(py, Challenge { scheme, params: params.unbind(), token68: challenge.token68().map(text) })
    };
    Ok(Challenges {
        list: all.challenges.iter().map(one).collect::<PyResult<_>>()?,
        flaws: all
            .flaws
            .iter()
            .map(|flaw| Flaw { field: flaw.field, offset: flaw.offset, kind: flaw.kind.as_str() })
            .collect(),
    })
}

/// The origin of a URL in normal form: scheme, host and port.
#[pyfunction]
#[pyo3(signature = (url, /))]
pub fn origin(py: Python<'_>, url: &str) -> PyResult<String> {
    convert::origin(py, url).map(|origin| origin.to_string())
}

/// What is wrong, the token, its life in seconds, and the refresh token.
type TokenAnswer<'py> = (Option<&'static str>, Option<Bound<'py, PyBytes>>, Option<u64>, Option<Bound<'py, PyBytes>>);

/// Reads an answer to a token request: what is wrong, the token, its life in seconds, the refresh token.
#[pyfunction]
#[pyo3(signature = (method, status, body, /))]
pub fn read_token_answer<'py>(method: &str, status: u16, body: &Bound<'py, PyAny>) -> PyResult<TokenAnswer<'py>> {
    let py = body.py();
    let why = match token::read(method, status, &bytes(body)?) {
        Ok(grant) => {
            let refresh = grant.refresh.map(|token| PyBytes::new(py, token.expose()));
            return Ok((None, Some(PyBytes::new(py, grant.token.expose())), Some(grant.life), refresh));
        }
        Err(NoGrant::Unsupported) => "unsupported-grant",
        Err(NoGrant::Refused(_)) => "refused",
        Err(_) => "malformed",
    };
    Ok((Some(why), None, None, None))
}

/// Decision, the origin that lends its identity, credential, bearer, the origin whose headers are sent, reason, line.
type Decided = (&'static str, Option<String>, bool, bool, Option<String>, String, Option<String>);

/// Asks the hop policy about one request: decision, the origin that lends its identity, whether a credential and a token
/// may be sent, the origin whose header fields are, the reason, and the line of configuration that would allow it.
#[pyfunction]
#[pyo3(signature = (config, registry, hop, target, /, *, chain=None, credentials=true, address=None, registry_address=None))]
#[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
pub fn decide(
    py: Python<'_>,
    config: &Bound<'_, PyAny>,
    registry: &str,
    hop: &str,
    target: &str,
    chain: Option<Vec<String>>,
    credentials: bool,
    address: Option<IpAddr>,
    registry_address: Option<IpAddr>,
) -> PyResult<Decided> {
    let config = Settings::of(config)?;
    let anchor = convert::origin(py, registry)?;
    let refused = |reason: String| ("deny", None, false, false, None, reason, None);
    let target = match Url::parse(target) {
        Ok(target) => target,
        Err(flaw) => return Ok(refused(format!("the URL {flaw}"))),
    };
    let mut visited = Chain::at(anchor.clone());
    if let Some(chain) = chain {
        visited.origins = chain.iter().map(|url| convert::origin(py, url)).collect::<PyResult<_>>()?;
        visited.redirects = visited.origins.len().saturating_sub(1);
    }
    let ask = Question {
        anchor: &anchor,
        hop: convert::hop(py, hop)?,
        target: &target,
        chain: &visited,
        credentials,
        anchor_class: registry_address.map(Class::of),
        address,
    };
    Ok(match regauth::hop::decide(&config, &ask) {
        Decision::Allow(grants) => (
            "allow",
            grants.identity.map(|origin| origin.to_string()),
            grants.credential,
            grants.bearer,
            grants.headers_of.map(|origin| origin.to_string()),
            grants.reason.to_string(),
            None,
        ),
        Decision::Ask { reason, line } => ("ask", None, false, false, None, reason.to_string(), Some(line)),
        Decision::Deny(reason) => refused(reason.to_string()),
        _ => refused("not decided".into()),
    })
}
