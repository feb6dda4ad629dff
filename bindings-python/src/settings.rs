//! A configuration, as `regauth.Config` builds it.

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use regauth::tls::Roots;
use regauth::{Config, Host, Mode, Pair, PairKind};

use crate::convert::{self, bytes, enter, secret};
use crate::errors;
use crate::identity::Identity;

/// A configuration, as `regauth.Config` builds it.
#[pyclass(frozen, module = "regauth._core")]
pub struct Settings(pub Mutex<Config>);

impl Settings {
    /// The configuration of a `Settings`, or of what has a method `build` that gives one.
    pub fn of(given: &Bound<'_, PyAny>) -> PyResult<Config> {
        let built = match given.cast::<Self>() {
            Ok(settings) => settings.clone(),
            Err(_) => given.call_method0("build")?.cast_into::<Self>()?,
        };
        let config = enter(given.py(), &built.get().0, "configuration")?;
        Ok(config.clone())
    }

    fn edit(&self, py: Python<'_>, edit: impl FnOnce(&mut Config)) -> PyResult<()> {
        edit(&mut *enter(py, &self.0, "configuration")?);
        Ok(())
    }
}

/// The roots of an entry: PEM texts, added to the compiled-in ones unless `only_ca`; `None` where there are none.
pub fn roots(py: Python<'_>, ca: Vec<Bound<'_, PyAny>>, only_ca: bool) -> PyResult<Option<Roots>> {
    if ca.is_empty() {
        return if only_ca {
            Err(errors::config(py, "only_ca is set without a certificate authority", "Give ca."))
        } else {
            Ok(None)
        };
    }
    let mut roots = Roots::default();
    roots.webpki = !only_ca;
    roots.pem = ca.iter().map(|text| bytes(text).map(|text| Arc::from(text.as_slice()))).collect::<PyResult<_>>()?;
    Ok(Some(roots))
}

/// The entry out of Python's keywords.
fn host(py: Python<'_>, base: &Roots, options: &Bound<'_, PyDict>) -> PyResult<Host> {
    let mut host = Host::default();
    let (mut ca, mut only_ca) = (Vec::new(), false);
    for (name, value) in options {
        let name: String = name.extract()?;
        match name.as_str() {
            "identities" => {
                for identity in value.try_iter()? {
                    host.identities.push(identity?.cast::<Identity>()?.get().0.clone());
                }
            }
            "headers" => {
                for (name, value) in value.cast::<PyDict>()? {
                    host.headers.push((name.extract()?, Arc::new(secret(&value)?)));
                }
            }
            "ca" => ca = value.extract()?,
            "alpn" => host.alpn = value.extract::<Vec<String>>()?.into_iter().map(String::into_bytes).collect(),
            "only_ca" => only_ca = value.extract()?,
            "force" => host.force = value.extract()?,
            "try_pairs" => host.try_pairs = value.extract()?,
            "try_pairs_on_status" => host.try_pairs_on_status = value.extract()?,
            "skip_verify" => host.skip_verify = value.extract()?,
            "password_over_http" => host.password_over_http = value.extract()?,
            "password_unverified" => host.password_unverified = value.extract()?,
            "local" => host.local = value.extract()?,
            "wildcard_identity" => host.wildcard_identity = value.extract()?,
            _ => return Err(pyo3::exceptions::PyTypeError::new_err(format!("unexpected keyword argument {name:?}"))),
        }
    }
    host.roots = roots(py, ca, only_ca)?.map(|mut own| {
        if !only_ca {
            own.webpki = base.webpki;
            own.pem.extend(base.pem.iter().cloned());
        }
        own
    });
    Ok(host)
}

#[pymethods]
impl Settings {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// `base`: the PEM texts of the configuration as a whole, to which those of the entry are added.
    #[pyo3(signature = (origin, base, options, /))]
    fn host(
        &self,
        py: Python<'_>,
        origin: Option<&str>,
        base: Vec<Bound<'_, PyAny>>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let host = host(py, &roots(py, base, false)?.unwrap_or_default(), options)?;
        let origin = origin.map(|origin| convert::origin(py, origin)).transpose()?;
        self.edit(py, |config| {
            match origin {
                Some(origin) => config.host(origin, host),
                None => config.default_host(host),
            };
        })
    }

    /// Sets the roots.
    #[pyo3(signature = (pem, only_ca, /))]
    fn roots(&self, py: Python<'_>, pem: Vec<Bound<'_, PyAny>>, only_ca: bool) -> PyResult<()> {
        let roots = roots(py, pem, only_ca)?.unwrap_or_default();
        self.edit(py, |config| {
            config.roots(roots);
        })
    }

    /// Adds a pair.
    #[pyo3(signature = (registry, kind, other, identity, local, /))]
    fn pair(
        &self,
        py: Python<'_>,
        registry: &str,
        kind: &str,
        other: &str,
        identity: bool,
        local: bool,
    ) -> PyResult<()> {
        let kind = if kind == "token" { PairKind::Token } else { PairKind::Storage };
        let pair = Pair::new(convert::origin(py, registry)?, kind, convert::origin(py, other)?);
        self.edit(py, |config| {
            config.pair(pair.identity(identity).local(local));
        })
    }

    /// Sets credentials.
    #[pyo3(signature = (registry, user, password, refresh_token, bearer_token, /))]
    fn credentials(
        &self,
        py: Python<'_>,
        registry: &str,
        user: Option<String>,
        password: Option<&Bound<'_, PyAny>>,
        refresh_token: Option<&Bound<'_, PyAny>>,
        bearer_token: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let origin = convert::origin(py, registry)?;
        let found = convert::credentials(py, user, password, refresh_token, bearer_token)?
            .ok_or_else(|| errors::config(py, "no credentials are given", "Give user and password, or a token."))?;
        self.edit(py, |config| {
            config.credentials(origin, found);
        })
    }

    /// Has the program asked for credentials.
    #[pyo3(signature = (registry, /))]
    fn ask(&self, py: Python<'_>, registry: Option<&str>) -> PyResult<()> {
        let origin = registry.map(|registry| convert::origin(py, registry)).transpose()?;
        self.edit(py, |config| {
            match origin {
                Some(origin) => config.ask(origin),
                None => config.ask_for_all(true),
            };
        })
    }

    /// Sets an option.
    #[pyo3(signature = (name, on, /))]
    fn option(&self, py: Python<'_>, name: &str, on: bool) -> PyResult<()> {
        self.edit(py, |config| {
            match name {
                "any_https" => config.mode(if on { Mode::AnyHttps } else { Mode::Strict }),
                "password_post" => config.password_post(on),
                _ => config.offline_token(on),
            };
        })
    }
}
