//! Credentials, and the look-up of those that the host keeps.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::ErrorKind;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::time::Time;

/// What a registry is told about the user. `Debug` shows the user and nothing else.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// User and password. An empty password is none: the user is then anonymous for a token, and that is said.
    Basic {
        /// The user name, UTF-8.
        user: String,
        /// The password, UTF-8.
        password: Secret,
    },
    /// A refresh token (Docker's `identitytoken`): goes to the token endpoint by POST, and nowhere else.
    Refresh(Secret),
    /// A bearer token that is sent as it is (Docker's `registrytoken`).
    Bearer(Secret),
}

impl Credentials {
    /// What they are, for people.
    pub(crate) const fn describe(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "a password",
            Self::Refresh(_) => "a refresh token",
            Self::Bearer(_) => "a bearer token",
        }
    }

    /// The user's name, where there is one.
    pub(crate) fn user(&self) -> Option<&str> {
        if let Self::Basic { user, .. } = self { Some(user) } else { None }
    }

    /// The `Authorization` value of a preset bearer token.
    pub(crate) fn preset(&self) -> Option<Secret> {
        if let Self::Bearer(token) = self { Some(bearer(token.expose())) } else { None }
    }

    /// Whether there is something to send to a token endpoint.
    pub(crate) fn for_token(&self) -> bool {
        match self {
            Self::Basic { password, .. } => !password.is_empty(),
            Self::Refresh(secret) => !secret.is_empty(),
            Self::Bearer(_) => false,
        }
    }

    /// The `Authorization` value for Basic (RFC 7617), or why there is none.
    pub(crate) fn basic(&self) -> Result<Secret, ErrorKind> {
        match self {
            Self::Basic { user, .. } if user.contains(':') => Err(ErrorKind::UserHoldsColon),
            Self::Basic { user, password } if password.is_empty() => Err(ErrorKind::NoPassword { user: user.clone() }),
            Self::Basic { user, password } => {
                let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.expose().len()));
                plain.extend_from_slice(user.as_bytes());
                plain.push(b':');
                plain.extend_from_slice(password.expose());
                let mut value = String::with_capacity(6 + plain.len().div_ceil(3) * 4);
                value.push_str("Basic ");
                STANDARD.encode_string(&*plain, &mut value);
                Ok(value.into())
            }
            Self::Refresh(_) | Self::Bearer(_) => Err(ErrorKind::WrongKind { have: self.describe() }),
        }
    }
}

/// `Bearer` and the token, in a buffer that does not grow.
pub(crate) fn bearer(token: &[u8]) -> Secret {
    let mut value = zeroize::Zeroizing::new(Vec::with_capacity(7 + token.len()));
    value.extend_from_slice(b"Bearer ");
    value.extend_from_slice(token);
    value.into()
}

/// What the host's look-up found.
#[derive(Debug)]
pub struct Found {
    /// The credentials.
    pub credentials: Credentials,
    /// Until when they are kept; `None`: until they are refused or the configuration is replaced.
    pub valid_until: Option<Time>,
}

/// A look-up that did not work: the helper is missing, crashed or printed something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperFailure(pub String);

impl fmt::Display for HelperFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to look up. It names the registry, never the host of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// The registry's origin.
    pub registry: Origin,
    /// The helper to run, where the configuration names one; else the look-up is the host's own.
    pub helper: Option<Helper>,
}

/// A credential helper to run: the program `docker-credential-NAME get`, with the URL on its standard input and nothing
/// else. `config::helper` reads what it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Helper {
    /// The name, without `docker-credential-`. It comes from a configuration file: run no path.
    pub name: String,
    /// What goes to its standard input.
    pub url: String,
}

/// Which URL a helper is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelperUrl {
    /// As Docker asks: `host[:port]`, and `https://index.docker.io/v1/` for Docker Hub.
    Docker,
    /// As podman asks: `host[:port]`, and `docker.io` for Docker Hub.
    Podman,
    /// This one.
    Fixed(String),
}

/// A helper by name, before it is known for which registry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) url: HelperUrl,
}

impl Asked {
    pub(crate) fn helper(&self, registry: &Origin) -> Helper {
        let url = match &self.url {
            HelperUrl::Fixed(url) => url.clone(),
            HelperUrl::Docker if registry.is_hub() => "https://index.docker.io/v1/".into(),
            HelperUrl::Podman if registry.is_hub() => "docker.io".into(),
            HelperUrl::Docker | HelperUrl::Podman => registry.authority(),
        };
        Helper { name: self.name.clone(), url }
    }
}

/// Where the credentials of a registry come from; a part of the cache key, so that the tokens of one never serve the
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    None,
    Configured(Arc<Credentials>),
    Ask(Option<Arc<Asked>>),
    /// Something is configured that cannot be read, which is never the same as nothing.
    Broken(Arc<str>),
}
