//! A token request, read: GET with Basic (distribution's token specification) and POST with a form (its OAuth 2 page,
//! RFC 6749), both with a client certificate or instead of one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::call::{Call, Reason};
use super::form::Parameters;
use super::issuer::IssuerConfig;
use super::peer::{Peer, Source};
use super::{MAX_REQUEST, MAX_SCOPE, MAX_SCOPES};
use crate::scope::{Scope, is_repository, merge};
use crate::secret::Secret;

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
    pub(super) post: bool,
}

impl Ask {
    pub(super) fn read(call: &Call<'_>, config: &IssuerConfig) -> Result<Self, Reason> {
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
        let service = service(parameters.one("service")?, &config.services)?;
        let scopes = scopes(parameters.all("scope"))?;
        let peer = call.peer.filter(|peer| config.trust_proxy || peer.source() == Source::Tls).cloned();
        Ok(Self { credential, service, scopes, peer, client_id, post })
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

fn service(asked: Option<&str>, services: &[String]) -> Result<String, Reason> {
    let found = match (asked, services) {
        (None, [only]) => Some(only),
        (Some(asked), services) => services.iter().find(|service| *service == asked),
        (None, _) => None,
    };
    found.cloned().ok_or(Reason::Service)
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
