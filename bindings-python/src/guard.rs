//! The guard of a registry, for the middleware in `regauth.guard`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regauth::server::{self, Call, GuardConfig, Peer, Source, Verdict, VerifyingKey};

use crate::convert::{bytes, time};
use crate::errors;

/// Decides about every request to a registry: whether its token allows it, and whether that token is the client's own.
#[pyclass(frozen, module = "regauth._core")]
pub struct Guard(server::Guard);

/// A request may pass; who asks, and what for.
#[pyclass(frozen, get_all, module = "regauth.guard")]
pub struct Pass {
    subject: String,
    needed: Vec<String>,
    jti: Option<String>,
    issued_at: Option<u64>,
    bound: bool,
}

#[pymethods]
impl Pass {
    fn __repr__(&self) -> String {
        format!("Pass(subject={:?}, needed={:?})", self.subject, self.needed)
    }
}

/// The answer to send instead of the registry's; `why` is for the log.
#[pyclass(frozen, get_all, module = "regauth.guard")]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Py<PyBytes>,
    why: String,
}

#[pymethods]
impl Reply {
    fn __repr__(&self) -> String {
        format!("Reply(status={}, why={:?})", self.status, self.why)
    }
}

/// What the guard says: one of the two, or nothing where the request is not the registry's.
#[derive(IntoPyObject)]
pub enum Said {
    Pass(Pass),
    Reply(Reply),
}

fn setup(py: Python<'_>, error: &dyn std::fmt::Display) -> PyErr {
    errors::config(py, &format!("the guard cannot be set up: {error}"), "See help(regauth.guard).")
}

#[pymethods]
impl Guard {
    /// `keys`: PEM texts of public keys, or DER certificates.
    #[new]
    #[pyo3(signature = (realm, service, issuer, keys, /, *, require_bound=false, max_life=3660, trust_proxy=false,
        insecure_realm=false))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "they are Python's keywords")]
    fn new(
        py: Python<'_>,
        realm: &str,
        service: &str,
        issuer: &str,
        keys: Vec<Bound<'_, PyAny>>,
        require_bound: bool,
        max_life: u64,
        trust_proxy: bool,
        insecure_realm: bool,
    ) -> PyResult<Self> {
        let mut verifying = Vec::new();
        for key in keys {
            let key = match key.extract::<&str>() {
                Ok(pem) => VerifyingKey::from_pem(pem),
                Err(_) => VerifyingKey::from_certificate(&bytes(&key)?),
            };
            verifying.push(key.map_err(|error| setup(py, &error))?);
        }
        let mut config = GuardConfig::new(realm, service, issuer, verifying);
        (config.require_bound, config.max_life) = (require_bound, max_life);
        (config.trust_proxy, config.insecure_realm) = (trust_proxy, insecure_realm);
        server::Guard::new(config).map(Self).map_err(|error| setup(py, &error))
    }

    /// Whether this request may pass: `target` as it was received, all values of `Authorization`, and the DER of the
    /// client certificate that the TLS stack, or with `proxied` a proxy, has verified. `None`: not the registry's.
    #[pyo3(signature = (method, target, authorization, /, *, content_type=None, peer=None, proxied=false, now=None))]
    #[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn check(
        &self,
        py: Python<'_>,
        method: &str,
        target: &str,
        authorization: Vec<String>,
        content_type: Option<&str>,
        peer: Option<&[u8]>,
        proxied: bool,
        now: Option<u64>,
    ) -> PyResult<Option<Said>> {
        let source = if proxied { Source::Proxy } else { Source::Tls };
        let peer = peer.map(|der| Peer::from_verified_der(der, source)).transpose();
        let peer = peer.map_err(|error| errors::config(py, &error.to_string(), "Give the leaf that was verified."))?;
        let values: Vec<&str> = authorization.iter().map(String::as_str).collect();
        let mut call = Call::new(method, target).authorization(&values);
        (call.content_type, call.peer) = (content_type, peer.as_ref());
        Ok(match self.0.check(&call, time(now)) {
            Verdict::Allow(pass) => Some(Said::Pass(Pass {
                subject: pass.subject,
                needed: pass.needed.iter().map(ToString::to_string).collect(),
                jti: pass.jti,
                issued_at: pass.issued_at.map(|at| at.0),
                bound: pass.bound,
            })),
            Verdict::Deny(reply) => Some(Said::Reply(Reply {
                status: reply.status,
                body: PyBytes::new(py, reply.body.expose()).unbind(),
                why: reply.reason.to_string(),
                headers: reply.headers,
            })),
            _ => None,
        })
    }

    fn __repr__(&self) -> &'static str {
        "Guard"
    }
}
