//! The token endpoint: what it is made of, and its answers, with a token or without.

use std::time::Duration;

use p256::pkcs8::der::DateTime;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::MAX_TOKEN;
use super::ask::Ask;
use super::call::{Call, Reason, Reply, SetupError, oci_error, quotable};
use super::claims::{Access, Claims, Confirmation};
use super::keys::{IssuerKey, KeyRef, SIGNATURE, signing_input, token};
use super::peer::Peer;
use super::policy::Identity;
use crate::scope::Scope;
use crate::time::Time;

/// Seconds that a token lives at the least: distribution's token specification has clients count on them.
const MIN_TTL: u64 = 60;
const MAX_TTL: u64 = 3600;

/// Whether tokens are bound to the client's certificate (RFC 8705 section 3).
///
/// A bound token is worth nothing without the certificate's key, where a guard checks it: distribution itself does
/// not. Binding needs clients that show one certificate to the token endpoint and to the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bind {
    /// Never.
    #[default]
    Off,
    /// Where the client has shown a certificate.
    IfPeer,
    /// Always: without a certificate there is no token.
    Required,
}

/// What an issuer is made of.
#[derive(Debug)]
pub struct IssuerConfig {
    /// The tokens' `iss`: what registries have as the issuer.
    pub issuer: String,
    /// The registries' services: a token's `aud` is one of them, never a text of the request.
    pub services: Vec<String>,
    /// The key that signs, or the public half of one that is elsewhere.
    pub key: IssuerKey,
    /// How tokens name it.
    pub reference: KeyRef,
    /// Seconds that a token lives, 60 to 3600: 300.
    pub ttl: u64,
    /// Whether tokens are bound to certificates.
    pub bind: Bind,
    /// Whether a certificate counts that a proxy has verified: see [`Verifier::trust_proxy`](super::Verifier::trust_proxy).
    pub trust_proxy: bool,
}

impl IssuerConfig {
    /// The four that have no default.
    pub fn new(issuer: &str, services: &[&str], key: impl Into<IssuerKey>, reference: KeyRef) -> Self {
        let (services, key) = (services.iter().map(|service| (*service).to_string()).collect(), key.into());
        Self { issuer: issuer.into(), services, key, reference, ttl: 300, bind: Bind::Off, trust_proxy: false }
    }
}

/// Issues tokens.
#[derive(Debug)]
pub struct Issuer {
    config: IssuerConfig,
    /// Of every token, base64url, with the dot after it.
    header: String,
}

/// A token that lacks its signature, and the answer that it goes into: [`Issuer::prepare`] makes one.
#[derive(Clone, Debug)]
pub struct Unsigned {
    input: String,
    jti: String,
    ttl: u64,
    issued_at: String,
    /// Of a POST, whose answer says it (RFC 6749 section 5.1).
    scope: Option<String>,
}

impl Unsigned {
    /// What the host signs with ECDSA on P-256 over SHA-256: the JWS Signing Input (RFC 7515 section 5.1), ASCII.
    pub fn signing_input(&self) -> &[u8] {
        self.input.as_bytes()
    }

    /// SHA-256 of it, for a signer that takes a digest, as CKM_ECDSA of PKCS#11 and most key services do.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.signing_input()).into()
    }

    fn signed(&self, signature: &[u8; 64]) -> Reply {
        let token = token(&self.input, signature);
        let token = token.expose_str().unwrap_or_default();
        let body = Body {
            access_token: token,
            expires_in: self.ttl,
            issued_at: &self.issued_at,
            scope: self.scope.as_deref(),
            token,
        };
        let mut reply = Reply::json(200, Reason::Issued, &body).with("Cache-Control", "no-store");
        reply.jti = Some(self.jti.clone());
        reply
    }
}

/// The answer to a token request, for clients of distribution's token specification and of OAuth 2.
#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    expires_in: u64,
    issued_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    token: &'a str,
}

/// Why the host issues nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refuse {
    /// Unknown user, wrong secret, no certificate: 401, the same answer for all of them.
    Credentials,
    /// Known, and not welcome: 403.
    Denied,
    /// Too many requests of this client: 429 and `Retry-After` in seconds.
    TooMany(u32),
    /// The host cannot tell now: 503 and `Retry-After` in seconds.
    Unavailable(u32),
}

impl Issuer {
    /// Checks the configuration, and that the reference fits the key.
    pub fn new(config: IssuerConfig) -> Result<Self, SetupError> {
        quotable("issuer", &config.issuer)?;
        if config.services.is_empty() {
            return Err(SetupError::Missing("service"));
        }
        for (at, service) in config.services.iter().enumerate() {
            quotable("service", service)?;
            if config.services.iter().take(at).any(|other| other == service) {
                return Err(SetupError::Repeated(service.clone()));
            }
        }
        if !(MIN_TTL..=MAX_TTL).contains(&config.ttl) {
            return Err(SetupError::Ttl);
        }
        Ok(Self { header: config.key.verifying().header(&config.reference)?, config })
    }

    /// Reads a token request: syntax, limits and the service. The reply of an error is to be sent as it is.
    ///
    /// Limits: [`MAX_REQUEST`](super::MAX_REQUEST) bytes, [`MAX_SCOPES`](super::MAX_SCOPES) scopes of
    /// [`MAX_SCOPE`](super::MAX_SCOPE) bytes; more is an error, never cut. A scope that cannot be granted (another type, no repository name) is left out, which is no error.
    pub fn read(&self, call: &Call<'_>) -> Result<Ask, Reply> {
        Ask::read(call, &self.config).map_err(|reason| self.refusal(reason, call.method == "POST"))
    }

    /// The answer with a token for what was asked for and `may` allows; `jti` is 16 random bytes.
    ///
    /// `may` can hold more than was asked for, or be what [`Policy::may`](super::Policy::may) says: the intersection is
    /// made here. `push` brings `pull` with it if that is allowed. An identity to which nothing is granted gets a token
    /// that allows nothing, and somebody anonymous 401. The token ends with `who` and with the certificate, if those
    /// end first; what would live less than 60 s is refused with 401. `expires_in` is what is really left.
    ///
    /// With a key that is [elsewhere](IssuerKey::Elsewhere) the answer is 500: see [`prepare`](Self::prepare).
    pub fn issue(&self, ask: &Ask, who: &Identity, may: &[Scope], now: Time, jti: &[u8; 16]) -> Reply {
        let IssuerKey::Held(key) = &self.config.key else { return self.refusal(Reason::KeyElsewhere, ask.post) };
        let signed = self.unsigned(ask, who, may, now, jti).and_then(|unsigned| {
            let signature = key.signature(&unsigned.input).ok_or(Reason::Sign)?;
            Ok(unsigned.signed(&signature))
        });
        signed.unwrap_or_else(|reason| self.refusal(reason, ask.post))
    }

    /// As [`issue`](Self::issue), up to the signature, which the host makes where it keeps the key; then
    /// [`finish`](Self::finish). Where the host cannot sign now, [`refuse`](Self::refuse) with
    /// [`Refuse::Unavailable`]. The reply of an error is to be sent as it is.
    pub fn prepare(
        &self,
        ask: &Ask,
        who: &Identity,
        may: &[Scope],
        now: Time,
        jti: &[u8; 16],
    ) -> Result<Unsigned, Reply> {
        self.unsigned(ask, who, may, now, jti).map_err(|reason| self.refusal(reason, ask.post))
    }

    /// The answer with the token that the host has signed: DER (RFC 3279 section 2.2.3), or r and s of 32 bytes each
    /// (RFC 7518 section 3.4), with either half of the order in s.
    ///
    /// The signature is verified. One that the configured key has not made over this signing input (another key of the
    /// service, a digest of the digest) gets 500 and [`Reason::SignatureKey`]: no registry would take that token. May be
    /// called again with another signature.
    pub fn finish(&self, unsigned: &Unsigned, signature: &[u8]) -> Reply {
        match self.config.key.verifying().accept(&unsigned.input, signature) {
            Ok(signature) => unsigned.signed(&signature),
            Err(reason) => self.refusal(reason, unsigned.scope.is_some()),
        }
    }

    fn unsigned(
        &self,
        ask: &Ask,
        who: &Identity,
        may: &[Scope],
        now: Time,
        jti: &[u8; 16],
    ) -> Result<Unsigned, Reason> {
        let access = intersect(&ask.scopes, may, who.is_anonymous());
        if who.is_anonymous() && access.is_empty() {
            return Err(Reason::NoCredentials);
        }
        // Whole seconds from a whole second, so that what clients are told is true.
        let start = now.0.div_ceil(1000);
        let ends = [who.valid_until(), ask.peer.as_ref().and_then(Peer::not_after)];
        let left = ends.iter().flatten().map(|end| (end.0 / 1000).saturating_sub(start));
        let ttl = left.fold(self.config.ttl, u64::min);
        if ttl < MIN_TTL {
            return Err(Reason::Ending);
        }
        let mut claims = Claims::new(&self.config.issuer, who.subject(), &ask.service, now, ttl, jti);
        claims.exp = start.saturating_add(ttl);
        claims.cnf = match (self.config.bind, &ask.peer) {
            (Bind::Off, _) | (Bind::IfPeer, None) => None,
            (Bind::Required, None) => return Err(Reason::TokenUnbound),
            (_, Some(peer)) => Some(Confirmation::of(peer)),
        };
        let scope = ask.post.then(|| access.iter().map(text).collect::<Vec<_>>().join(" "));
        claims.access = access;
        let json = serde_json::to_vec(&claims).map_err(|_| Reason::Sign)?;
        let input = signing_input(&self.header, &json);
        if input.len() + SIGNATURE > MAX_TOKEN {
            return Err(Reason::TooLarge);
        }
        let issued_at = DateTime::from_unix_duration(Duration::from_secs(claims.iat)).map_err(|_| Reason::Sign)?;
        Ok(Unsigned { input, jti: claims.jti, ttl, issued_at: issued_at.to_string(), scope })
    }

    /// The answer without a token.
    pub fn refuse(&self, ask: &Ask, why: Refuse) -> Reply {
        match why {
            Refuse::Credentials => self.refusal(Reason::Credentials, ask.post),
            Refuse::Denied => self.refusal(Reason::Denied, ask.post),
            Refuse::TooMany(seconds) => later(429, seconds),
            Refuse::Unavailable(seconds) => later(503, seconds),
        }
    }

    fn refusal(&self, reason: Reason, post: bool) -> Reply {
        let (status, error) = match reason {
            Reason::Method => (405, "invalid_request"),
            Reason::Grant => (400, "unsupported_grant_type"),
            Reason::Denied => (403, "access_denied"),
            Reason::Sign | Reason::KeyElsewhere | Reason::SignatureSyntax | Reason::SignatureKey => {
                (500, "server_error")
            }
            // 401 where RFC 6749 section 5.2 has 400: clients of registries try their other way, GET, only then.
            Reason::Credentials | Reason::NoCredentials | Reason::Ending | Reason::TokenUnbound | Reason::Scheme => {
                (401, if post { "invalid_grant" } else { "invalid_client" })
            }
            _ => (400, "invalid_request"),
        };
        let reply = refusal(status, reason, error);
        match status {
            // RFC 9110 section 15.5.2 wants a challenge, and Basic is what this endpoint takes.
            401 => {
                let label = self.config.services.first().map(String::as_str).unwrap_or_default();
                reply.with("WWW-Authenticate", format!("Basic realm=\"{label}\",charset=\"UTF-8\""))
            }
            405 => reply.with("Allow", "GET, POST"),
            _ => reply,
        }
    }
}

/// An answer that OAuth clients and registry clients both understand.
fn refusal(status: u16, reason: Reason, error: &str) -> Reply {
    let code = match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        429 => "TOOMANYREQUESTS",
        _ => "UNSUPPORTED",
    };
    let text = reason.to_string();
    let body: Value = json!({"error": error, "error_description": text, "errors": [oci_error(code, &text, None)]});
    Reply::json(status, reason, &body).with("Cache-Control", "no-store")
}

fn later(status: u16, seconds: u32) -> Reply {
    refusal(status, Reason::Later, "temporarily_unavailable").with("Retry-After", seconds.to_string())
}

/// What was asked for and may be had. `*` asks for all of it, and is granted as itself only where it is allowed so.
fn intersect(asked: &[Scope], may: &[Scope], anonymous: bool) -> Vec<Access> {
    let mut granted = Vec::new();
    for (resource, wanted) in asked.iter().filter_map(Scope::parts) {
        let Some((kind, name)) = resource.split_once(':') else { continue };
        let allowed: Vec<&str> = may
            .iter()
            .filter_map(Scope::parts)
            .filter(|(have, _)| *have == resource)
            .flat_map(|(_, actions)| actions.split(','))
            .collect();
        let wants = |action: &str| wanted.split(',').any(|want| want == action || want == "*");
        let has = |action: &str| allowed.iter().any(|have| *have == action || *have == "*");
        let actions: Vec<String> = if wanted.split(',').any(|want| want == "*") && allowed.contains(&"*") && !anonymous
        {
            vec!["*".into()]
        } else {
            ["pull", "push", "delete"]
                .into_iter()
                .filter(|action| has(action) && (wants(action) || (*action == "pull" && wants("push"))))
                .filter(|action| *action == "pull" || !anonymous)
                .map(str::to_string)
                .collect()
        };
        // The catalog names every repository, which is more than a pull.
        let hidden = anonymous && kind != "repository";
        if !actions.is_empty() && !hidden {
            granted.push(Access { kind: kind.into(), name: name.into(), actions });
        }
    }
    granted
}

fn text(access: &Access) -> String {
    format!("{}:{}:{}", access.kind, access.name, access.actions.join(","))
}
