//! The token endpoint: GET with Basic (distribution's token specification) and POST with a form (its OAuth 2 page, RFC
//! 6749), both with a client certificate or instead of one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::der::DateTime;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::call::{Call, Reason, Reply, SetupError, oci_error, quotable};
use super::form::Parameters;
use super::jws::{Access, Claims, Confirmation, KeyRef, SigningKey};
use super::peer::{Peer, Source};
use super::policy::Identity;
use super::{MAX_REQUEST, MAX_SCOPE, MAX_SCOPES, MAX_TOKEN};
use crate::scope::{Scope, is_repository, merge};
use crate::secret::Secret;
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
    /// The key that signs.
    pub key: SigningKey,
    /// How tokens name it.
    pub reference: KeyRef,
    /// Seconds that a token lives, 60 to 3600: 300.
    pub ttl: u64,
    /// Whether tokens are bound to certificates.
    pub bind: Bind,
    /// Whether a certificate counts that a proxy has verified: see [`Verifier::trust_proxy`](super::Verifier).
    pub trust_proxy: bool,
}

impl IssuerConfig {
    /// The four that have no default.
    pub fn new(issuer: &str, services: &[&str], key: SigningKey, reference: KeyRef) -> Self {
        let services = services.iter().map(|service| (*service).to_string()).collect();
        Self { issuer: issuer.into(), services, key, reference, ttl: 300, bind: Bind::Off, trust_proxy: false }
    }
}

/// Issues tokens.
#[derive(Debug)]
pub struct Issuer(IssuerConfig);

/// What the client proves itself with, beside its certificate. `Debug` hides the secret.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// Nothing.
    None,
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user; may be empty.
        user: String,
        /// The password.
        secret: Secret,
    },
    /// The form's `username` and `password` (RFC 6749 section 4.3.2).
    Password {
        /// The user; may be empty.
        user: String,
        /// The password.
        secret: Secret,
    },
    /// The form's `refresh_token` (RFC 6749 section 6). None is ever issued here: it is a secret that the host knows.
    Refresh {
        /// The token.
        secret: Secret,
    },
}

impl Credential {
    /// The user, where there is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Basic { user, .. } | Self::Password { user, .. } => Some(user),
            Self::None | Self::Refresh { .. } => None,
        }
    }

    /// The secret.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::Basic { secret, .. } | Self::Password { secret, .. } | Self::Refresh { secret } => Some(secret),
        }
    }

    /// SHA-256 of the secret. To look up a random secret of 128 bits or more by: then only hashes are kept, and a
    /// look-up tells nothing by the time it takes. A password that a person chose wants a slow hash instead.
    pub fn secret_sha256(&self) -> Option<[u8; 32]> {
        self.secret().map(|secret| Sha256::digest(secret.expose()).into())
    }
}

/// A token request, read. The host authenticates `credential`, `peer` or both, and says who it is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ask {
    /// What the client proves itself with. Where there is a `peer` too, decide which of them counts, or that they have
    /// to agree: one that silently goes before the other is a hole.
    pub credential: Credential,
    /// Which of the configured services the token is for.
    pub service: String,
    /// The scopes asked for that can be granted at all: `repository:name:actions` and `registry:catalog:*`, one a
    /// resource, without a class (`repository(plugin)` is `repository`).
    pub scopes: Vec<Scope>,
    /// The verified client certificate, unless it comes from a proxy that is not trusted.
    pub peer: Option<Peer>,
    /// What software asks, as it says itself: for a log, nothing else.
    pub client_id: Option<String>,
    post: bool,
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
    /// Checks the configuration, and that the key can sign with its reference.
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
        config.key.sign_json(&config.reference, b"{}")?;
        Ok(Self(config))
    }

    /// Reads a token request: syntax, limits and the service. The reply of an error is to be sent as it is.
    ///
    /// Limits: [`MAX_REQUEST`] bytes, [`MAX_SCOPES`] scopes of [`MAX_SCOPE`] bytes; more is an error, never cut. A
    /// scope that cannot be granted (another type, no repository name) is left out, which is no error.
    pub fn read(&self, call: &Call<'_>) -> Result<Ask, Reply> {
        self.read_ask(call).map_err(|reason| self.refusal(reason, call.method == "POST"))
    }

    fn read_ask(&self, call: &Call<'_>) -> Result<Ask, Reason> {
        let authorization: usize = call.authorization.iter().map(|value| value.len()).sum();
        if call.target.len() + call.body.len() + authorization > MAX_REQUEST {
            return Err(Reason::TooLarge);
        }
        let query = call.target.split_once('?').map_or("", |(_, query)| query);
        let query = Parameters::read(query)?;
        let post = match call.method {
            "GET" => false,
            "POST" => true,
            _ => return Err(Reason::Method),
        };
        let basic = match call.authorization {
            [] => Credential::None,
            [value] => basic(value)?,
            _ => return Err(Reason::Authorization),
        };
        let (parameters, credential) = if post {
            let form = form(call)?;
            // A server behind might read the query first; and a second credential would be a second identity.
            if query.has(&KNOWN) || basic != Credential::None {
                return Err(Reason::Parameter);
            }
            let credential = grant(&form)?;
            (form, credential)
        } else {
            // Secrets in a URL end up in logs: never take one, so that nobody gets used to it.
            if query.has(&["grant_type", "username", "password", "refresh_token"]) {
                return Err(Reason::Parameter);
            }
            (query, basic)
        };
        for name in KNOWN.iter().filter(|name| post || **name != "scope") {
            parameters.one(name)?;
        }
        let account = parameters.one("account")?;
        if account.zip(credential.user()).is_some_and(|(account, user)| account != user) {
            return Err(Reason::Account);
        }
        let client_id = parameters.one("client_id")?.map(str::to_string);
        let service = self.service(parameters.one("service")?)?;
        let scopes = scopes(parameters.all("scope"))?;
        let peer = call.peer.filter(|peer| self.0.trust_proxy || peer.source() == Source::Tls).cloned();
        Ok(Ask { credential, service, scopes, peer, client_id, post })
    }

    fn service(&self, asked: Option<&str>) -> Result<String, Reason> {
        let found = match (asked, self.0.services.as_slice()) {
            (None, [only]) => Some(only),
            (Some(asked), services) => services.iter().find(|service| *service == asked),
            (None, _) => None,
        };
        found.cloned().ok_or(Reason::Service)
    }

    /// The answer with a token for what was asked for and `may` allows; `jti` is 16 random bytes.
    ///
    /// `may` can hold more than was asked for, or be what [`Policy::may`](super::Policy::may) says: the intersection is
    /// made here. `push` brings `pull` with it if that is allowed. An identity to which nothing is granted gets a token
    /// that allows nothing, and somebody anonymous 401. The token ends with `who` and with the certificate, if those
    /// end first; what would live less than 60 s is refused with 401. `expires_in` is what is really left.
    pub fn issue(&self, ask: &Ask, who: &Identity, may: &[Scope], now: Time, jti: &[u8; 16]) -> Reply {
        self.answer(ask, who, may, now, jti).unwrap_or_else(|reason| self.refusal(reason, ask.post))
    }

    fn answer(&self, ask: &Ask, who: &Identity, may: &[Scope], now: Time, jti: &[u8; 16]) -> Result<Reply, Reason> {
        let access = intersect(&ask.scopes, may, who.is_anonymous());
        if who.is_anonymous() && access.is_empty() {
            return Err(Reason::NoCredentials);
        }
        // Whole seconds from a whole second, so that what clients are told is true.
        let start = now.0.div_ceil(1000);
        let ends = [who.valid_until(), ask.peer.as_ref().and_then(Peer::not_after)];
        let left = ends.iter().flatten().map(|end| (end.0 / 1000).saturating_sub(start));
        let ttl = left.fold(self.0.ttl, u64::min);
        if ttl < MIN_TTL {
            return Err(Reason::Ending);
        }
        let mut claims = Claims::new(&self.0.issuer, who.subject(), &ask.service, now, ttl, jti);
        claims.exp = start.saturating_add(ttl);
        claims.cnf = match (self.0.bind, &ask.peer) {
            (Bind::Off, _) | (Bind::IfPeer, None) => None,
            (Bind::Required, None) => return Err(Reason::TokenUnbound),
            (_, Some(peer)) => Some(Confirmation::of(peer)),
        };
        let scope = access.iter().map(text).collect::<Vec<_>>().join(" ");
        claims.access = access;
        let token = self.0.key.sign(&self.0.reference, &claims).map_err(|_| Reason::Sign)?;
        let token = token.expose_str().filter(|token| token.len() <= MAX_TOKEN).ok_or(Reason::TooLarge)?;
        let issued_at =
            DateTime::from_unix_duration(core::time::Duration::from_secs(claims.iat)).map_err(|_| Reason::Sign)?;
        let mut body = json!({"token": token, "access_token": token, "expires_in": ttl,
                              "issued_at": issued_at.to_string()});
        if let (true, Some(members)) = (ask.post, body.as_object_mut()) {
            members.insert("scope".into(), scope.into());
        }
        let mut reply = Reply::json(200, Reason::Issued, &body).with("Cache-Control", "no-store");
        reply.jti = Some(claims.jti);
        Ok(reply)
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
            Reason::Sign => (500, "server_error"),
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
                let label = self.0.services.first().map(String::as_str).unwrap_or_default();
                reply.with("WWW-Authenticate", format!("Basic realm=\"{label}\",charset=\"UTF-8\""))
            }
            405 => reply.with("Allow", "GET, POST"),
            _ => reply,
        }
    }
}

/// All parameters that mean something, of which there can be one each; `scope` alone is repeated in a GET.
const KNOWN: [&str; 10] = [
    "service",
    "scope",
    "account",
    "client_id",
    "offline_token",
    "grant_type",
    "username",
    "password",
    "refresh_token",
    "access_type",
];

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

/// The form in the body of a POST.
fn form(call: &Call<'_>) -> Result<Parameters, Reason> {
    let media = call.content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    if !media.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Reason::Form);
    }
    Parameters::read(std::str::from_utf8(call.body).map_err(|_| Reason::Parameter)?)
}

/// The credential of a form.
fn grant(form: &Parameters) -> Result<Credential, Reason> {
    let secret = |name| form.one(name)?.map(Secret::from).ok_or(Reason::Parameter);
    match form.one("grant_type")? {
        Some("password") if !form.has(&["refresh_token"]) => {
            let user = form.one("username")?.unwrap_or_default().to_string();
            Ok(Credential::Password { user, secret: secret("password")? })
        }
        Some("refresh_token") if !form.has(&["username", "password"]) => {
            Ok(Credential::Refresh { secret: secret("refresh_token")? })
        }
        Some("password" | "refresh_token") => Err(Reason::Parameter),
        _ => Err(Reason::Grant),
    }
}

/// `Basic` and user, colon, password in base64 (RFC 7617 section 2). Any other scheme is no credential here, a bearer
/// token least of all.
fn basic(value: &str) -> Result<Credential, Reason> {
    let encoded = match value.split_once(' ') {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("Basic") => encoded,
        _ => return Err(Reason::Scheme),
    };
    let pair = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| Reason::Credentials)?);
    let pair = std::str::from_utf8(&pair).map_err(|_| Reason::Credentials)?;
    match pair.split_once(':') {
        Some((user, secret)) if !pair.contains(char::is_control) => {
            Ok(Credential::Basic { user: user.into(), secret: Secret::from(secret) })
        }
        _ => Err(Reason::Credentials),
    }
}

/// The scopes that can be granted, merged.
fn scopes<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<Scope>, Reason> {
    let mut all = Vec::new();
    for text in values.flat_map(|value| value.split(' ')).filter(|text| !text.is_empty()) {
        if all.len() == MAX_SCOPES || text.len() > MAX_SCOPE {
            return Err(Reason::TooLarge);
        }
        all.push(text);
    }
    let known: Vec<Scope> = all.into_iter().filter_map(grantable).collect();
    Ok(merge(&known))
}

fn grantable(text: &str) -> Option<Scope> {
    let scope = Scope::new(text)?;
    let (resource, actions) = scope.parts()?;
    let (kind, name) = resource.split_once(':')?;
    let kind = kind.split('(').next().unwrap_or_default();
    let good = match kind {
        "repository" => is_repository(name),
        "registry" => name == "catalog",
        _ => false,
    };
    if good { Scope::new(&format!("{kind}:{name}:{actions}")) } else { None }
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
