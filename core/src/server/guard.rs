//! The guard of a registry: what may pass, and the challenge for what may not.

use serde_json::{Value, json};

use super::call::{Call, Reason, Reply, SetupError, oci_error, quotable};
use super::claims::Access;
use super::keys::VerifyingKey;
use super::need::{Need, need};
use super::policy::{Identity, Policy};
use super::verify::Verifier;
use crate::origin::{Class, Url};
use crate::scope::{self, Scope};
use crate::time::Time;

/// What a guard is made of. All of it is configuration: nothing of a challenge is ever taken from the request.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// The token endpoint's absolute URL.
    pub realm: String,
    /// The registry's service, which tokens have as their audience.
    pub service: String,
    /// The issuer of its tokens.
    pub issuer: String,
    /// The keys that verify them.
    pub keys: Vec<VerifyingKey>,
    /// Whether every token has to be bound to a client certificate.
    pub require_bound: bool,
    /// The longest life of a token that is believed, in seconds: 3660.
    pub max_life: u64,
    /// Whether a certificate counts that a proxy has verified: see [`Verifier::trust_proxy`].
    pub trust_proxy: bool,
    /// Whether the realm may be plain http where it is not loopback.
    pub insecure_realm: bool,
}

impl GuardConfig {
    /// The four that have no default.
    pub fn new(realm: &str, service: &str, issuer: &str, keys: Vec<VerifyingKey>) -> Self {
        Self {
            realm: realm.into(),
            service: service.into(),
            issuer: issuer.into(),
            keys,
            require_bound: false,
            max_life: 3660,
            trust_proxy: false,
            insecure_realm: false,
        }
    }
}

/// Decides about every request to a registry.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `Bearer realm="..",service=".."`.
    challenge: String,
    verifier: Verifier,
}

/// What to do with a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It is not the registry's: the guard has nothing to say, and its challenge must not be sent.
    NotRegistry,
    /// Pass it on to the registry.
    Allow(Pass),
    /// Send this answer instead.
    Deny(Reply),
}

/// Why a request may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// The token's `sub`: empty for an anonymous client.
    pub subject: String,
    /// What the request needed; empty for `/v2/`.
    pub needed: Vec<Scope>,
    /// The token's own name, for a log or a list of revoked ones. Two texts of one token share it (ECDSA signatures can
    /// be rewritten), so never list tokens by their bytes. `None` without a token.
    pub jti: Option<String>,
    /// When the token was issued, to the second: a repository made after that is not the one it was issued for.
    pub issued_at: Option<Time>,
    /// Whether the token is bound to the client's certificate.
    pub bound: bool,
}

impl Guard {
    /// Checks the configuration.
    pub fn new(config: GuardConfig) -> Result<Self, SetupError> {
        let realm = Url::parse(&config.realm).map_err(SetupError::Realm)?;
        if !realm.origin().is_https() && realm.origin().class() != Some(Class::Loopback) && !config.insecure_realm {
            return Err(SetupError::InsecureRealm);
        }
        let realm = quotable("realm", &realm.to_string())?;
        let service = quotable("service", &config.service)?;
        let verifier = Verifier::new(&config.issuer, &config.service, config.keys)?
            .max_life(config.max_life)
            .require_bound(config.require_bound)
            .trust_proxy(config.trust_proxy);
        Ok(Self { challenge: format!("Bearer realm=\"{realm}\",service=\"{service}\""), verifier })
    }

    /// Whether this request may pass.
    ///
    /// First what it needs ([`need`]); then exactly one `Authorization`, else 400; then the token, in the order of
    /// [`Verifier::verify`]; then its scopes. A refused token gets 401 with `error="invalid_token"`, a good one that
    /// does not allow the request 401 with `error="insufficient_scope"` and all scopes that are needed, both with the
    /// whole challenge (distribution's token specification; RFC 6750 section 3.1 has 403 for the latter, which clients
    /// of registries do not answer with a new token).
    pub fn check(&self, call: &Call<'_>, now: Time) -> Verdict {
        let needed = match needed(call) {
            Ok(needed) => needed,
            Err(verdict) => return verdict,
        };
        let deny = |reason, error: &str, jti| Verdict::Deny(self.unauthorized(call, &needed, reason, error, jti));
        let value = match call.authorization {
            [] => return deny(Reason::NoToken, "", None),
            [value] => value,
            _ => return Verdict::Deny(refusal(call, 400, Reason::Authorization, None)),
        };
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => token,
            _ => return deny(Reason::Scheme, "", None),
        };
        let claims = match self.verifier.claims(token, call.peer, now) {
            Ok(claims) => claims,
            Err((reason, jti)) => return deny(reason, "invalid_token", jti),
        };
        if !needed.iter().all(|need| allows(&claims.access, need)) {
            return deny(Reason::Scope, "insufficient_scope", Some(claims.jti));
        }
        Verdict::Allow(Pass {
            subject: claims.sub,
            needed,
            jti: Some(claims.jti),
            issued_at: Some(Time(0).plus_seconds(claims.iat)),
            bound: claims.cnf.is_some(),
        })
    }

    /// Whether an identity that the host has authenticated without a token may pass, by its certificate alone.
    /// `Authorization` is not looked at, and what is refused gets 403 and no challenge, as no token would help.
    pub fn check_direct(&self, call: &Call<'_>, who: &Identity, policy: &Policy) -> Verdict {
        let needed = match needed(call) {
            Ok(needed) => needed,
            Err(verdict) => return verdict,
        };
        let pulls = |need: &Scope| need.parts().is_some_and(|(_, actions)| actions == "pull");
        if !scope::covers(&policy.may(who, &needed), &needed) || (who.is_anonymous() && !needed.iter().all(pulls)) {
            return Verdict::Deny(refusal(call, 403, Reason::Denied, Some(detail(&needed))));
        }
        Verdict::Allow(Pass { subject: who.subject().into(), needed, jti: None, issued_at: None, bound: false })
    }

    fn unauthorized(
        &self,
        call: &Call<'_>,
        needed: &[Scope],
        reason: Reason,
        error: &str,
        jti: Option<String>,
    ) -> Reply {
        let mut challenge = self.challenge.clone();
        for (at, scope) in needed.iter().enumerate() {
            challenge.push_str(if at == 0 { ",scope=\"" } else { " " });
            challenge.push_str(scope.as_str());
        }
        if !needed.is_empty() {
            challenge.push('"');
        }
        if !error.is_empty() {
            challenge.push_str(",error=\"");
            challenge.push_str(error);
            challenge.push('"');
        }
        let mut reply = refusal(call, 401, reason, Some(detail(needed))).with("WWW-Authenticate", challenge);
        reply.jti = jti;
        reply
    }
}

/// What the request needs, or what is to be said without looking at its token.
fn needed(call: &Call<'_>) -> Result<Vec<Scope>, Verdict> {
    match need(call.method, call.target, call.content_type) {
        Need::NotRegistry => Err(Verdict::NotRegistry),
        Need::Authenticated => Ok(Vec::new()),
        Need::Scopes(scopes) => Ok(scopes),
        Need::Reject(status) => {
            let reason = match status {
                404 => Reason::Route,
                405 => Reason::Method,
                _ => Reason::Target,
            };
            Err(Verdict::Deny(refusal(call, status, reason, None)))
        }
    }
}

/// Whether a token's entries allow all actions of a scope. Types and names are compared whole and byte for byte; `*` is
/// special as an action only.
fn allows(access: &[Access], need: &Scope) -> bool {
    let Some((resource, actions)) = need.parts() else { return false };
    let Some((kind, name)) = resource.split_once(':') else { return false };
    actions.split(',').all(|action| {
        access
            .iter()
            .filter(|entry| entry.kind == kind && entry.name == name)
            .any(|entry| entry.actions.iter().any(|granted| granted == action || granted == "*"))
    })
}

/// The detail of distribution's errors: one entry an action.
fn detail(needed: &[Scope]) -> Value {
    let entries = needed.iter().filter_map(Scope::parts).flat_map(|(resource, actions)| {
        let (kind, name) = resource.split_once(':').unwrap_or((resource, ""));
        actions.split(',').map(move |action| json!({"Type": kind, "Name": name, "Action": action}))
    });
    entries.collect::<Vec<_>>().into()
}

/// An answer as the OCI distribution specification has them.
fn refusal(call: &Call<'_>, status: u16, reason: Reason, detail: Option<Value>) -> Reply {
    let code = match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        _ => "UNSUPPORTED",
    };
    let body = json!({"errors": [oci_error(code, &reason.to_string(), detail)]});
    let mut reply = Reply::json(status, reason, &body).with("Docker-Distribution-Api-Version", "registry/2.0");
    if call.method == "HEAD" {
        reply.body = Default::default();
    }
    reply
}
