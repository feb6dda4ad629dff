//! The configuration of an agent.

use std::ffi::c_char;
use std::sync::Arc;

use regauth::tls::Roots;
use regauth::{Config, Credentials, Host, Identity, Mode, Origin, Pair, Secret};

use crate::data::{Out, Struct, bytes, list, read, regauth_bytes, regauth_header, regauth_status, text};
use crate::error::{Last, regauth_error_info};
use crate::guard::{Exclusive, exclusive, free, give, guard, guard_free, peek};
use crate::identity::regauth_identity;
use crate::numbers::*;

/// What an agent is told: hosts, pairs, credentials, options. Exclusive: one thread at a time.
pub struct regauth_config(Exclusive<State>);
exclusive!(regauth_config, State, |state, said| state.error.refused(said));

#[derive(Default)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) error: Last,
}

/// Show the first identity whatever the server's hints say.
pub const REGAUTH_HOST_FORCE: u32 = 1;
/// After a TLS rejection try the next identity, where the request can be repeated.
pub const REGAUTH_HOST_TRY_PAIRS: u32 = 2;
/// Do not check the server's certificate. No password leaves with it, unless REGAUTH_HOST_PASSWORD_UNVERIFIED is set.
pub const REGAUTH_HOST_SKIP_VERIFY: u32 = 4;
/// Leave for a password over plain http; loopback needs none.
pub const REGAUTH_HOST_PASSWORD_OVER_HTTP: u32 = 8;
/// Leave for a password to a server whose certificate is not checked.
pub const REGAUTH_HOST_PASSWORD_UNVERIFIED: u32 = 16;
/// Leave to be at an address that is more local than the registry's.
pub const REGAUTH_HOST_LOCAL: u32 = 32;
/// Of the default host only: leave for its identity to be shown to every registry.
pub const REGAUTH_HOST_WILDCARD_IDENTITY: u32 = 64;

/// The same after an answer that may be a refusal of the certificate: 403, 404, 5xx. The answer to the last one stands.
pub const REGAUTH_HOST_TRY_PAIRS_ON_STATUS: u32 = 128;

/// The roots of the configuration; for a configuration and a profile: the compiled-in ones.
pub const REGAUTH_ROOTS_INHERIT: u32 = 0;
/// The compiled-in roots, and those given.
pub const REGAUTH_ROOTS_WEBPKI: u32 = 1;
/// Only those given.
pub const REGAUTH_ROOTS_PEM: u32 = 2;

/// Lend the registry's identity to the other origin, where that has none of its own.
pub const REGAUTH_PAIR_IDENTITY: u32 = 1;
/// Leave to be at an address that is more local than the registry's.
pub const REGAUTH_PAIR_LOCAL: u32 = 2;

/// The host looks up the credentials of every registry that has none in the configuration.
pub const REGAUTH_OPTION_ASK_FOR_ALL: u32 = 1;
/// Credentials go to any https realm, never an identity.
pub const REGAUTH_OPTION_ANY_HTTPS: u32 = 2;
/// Passwords go to token endpoints by POST first (OAuth 2), instead of GET with Basic.
pub const REGAUTH_OPTION_PASSWORD_POST: u32 = 3;
/// Ask token endpoints for a refresh token, which is then used in the place of the password.
pub const REGAUTH_OPTION_OFFLINE_TOKEN: u32 = 4;

/// No credentials.
pub const REGAUTH_CREDENTIALS_NONE: u32 = 0;
/// User and password.
pub const REGAUTH_CREDENTIALS_BASIC: u32 = 1;
/// A refresh token (Docker's identitytoken).
pub const REGAUTH_CREDENTIALS_REFRESH: u32 = 2;
/// A bearer token that is sent as it is (Docker's registrytoken).
pub const REGAUTH_CREDENTIALS_BEARER: u32 = 3;

/// The host configuration of an origin, given by C.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_host {
    /// sizeof(regauth_host), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_HOST_*, added up.
    pub flags: u32,
    /// REGAUTH_ROOTS_*.
    pub roots: u32,
    /// PEM texts of certificate authorities, each with one or more.
    pub roots_pem: *const regauth_bytes,
    /// How many.
    pub roots_pem_len: usize,
    /// Client identities in the order in which they are tried.
    pub identities: *const *const regauth_identity,
    /// How many.
    pub identities_len: usize,
    /// Header fields for every request to this origin as registry, mirror or paired host; never Authorization.
    pub headers: *const regauth_header,
    /// How many.
    pub headers_len: usize,
    /// ALPN protocol names; none: the extension is not sent.
    pub alpn: *const regauth_bytes,
    /// How many.
    pub alpn_len: usize,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_host {}

pub(crate) fn roots(mode: u32, pem: *const regauth_bytes, len: usize) -> Result<Option<Roots>, regauth_status> {
    let pem: Vec<Arc<[u8]>> =
        list(pem, len)?.iter().map(|text| text.read().map(Arc::from)).collect::<Result<_, _>>()?;
    let mut roots = Roots::default();
    roots.webpki = match mode {
        REGAUTH_ROOTS_INHERIT if pem.is_empty() => return Ok(None),
        REGAUTH_ROOTS_WEBPKI => true,
        REGAUTH_ROOTS_PEM => false,
        _ => return Err(REGAUTH_INPUT),
    };
    roots.pem = pem;
    Ok(Some(roots))
}

pub(crate) fn identities(ptr: *const *const regauth_identity, len: usize) -> Result<Vec<Identity>, regauth_status> {
    list(ptr, len)?.iter().map(|identity| peek(*identity).cloned()).collect()
}

pub(crate) fn texts(ptr: *const regauth_bytes, len: usize) -> Result<Vec<Vec<u8>>, regauth_status> {
    list(ptr, len)?.iter().map(|text| text.read().map(<[u8]>::to_vec)).collect()
}

fn host(given: *const regauth_host) -> Result<Host, regauth_status> {
    let given = read(given)?;
    if given.flags >= REGAUTH_HOST_TRY_PAIRS_ON_STATUS << 1 {
        return Err(REGAUTH_INPUT);
    }
    let has = |flag| given.flags & flag != 0;
    let mut host = Host::default();
    host.identities = identities(given.identities, given.identities_len)?;
    for field in list(given.headers, given.headers_len)? {
        host.headers.push((field.name.read_text()?.to_string(), Arc::new(Secret::from(field.value.read()?))));
    }
    host.roots = roots(given.roots, given.roots_pem, given.roots_pem_len)?;
    host.alpn = texts(given.alpn, given.alpn_len)?;
    host.force = has(REGAUTH_HOST_FORCE);
    host.try_pairs = has(REGAUTH_HOST_TRY_PAIRS);
    host.try_pairs_on_status = has(REGAUTH_HOST_TRY_PAIRS_ON_STATUS);
    host.skip_verify = has(REGAUTH_HOST_SKIP_VERIFY);
    host.password_over_http = has(REGAUTH_HOST_PASSWORD_OVER_HTTP);
    host.password_unverified = has(REGAUTH_HOST_PASSWORD_UNVERIFIED);
    host.local = has(REGAUTH_HOST_LOCAL);
    host.wildcard_identity = has(REGAUTH_HOST_WILDCARD_IDENTITY);
    Ok(host)
}

/// Credentials out of their kind and their texts; `None` for REGAUTH_CREDENTIALS_NONE.
pub(crate) fn credentials(
    kind: u32,
    user: *const c_char,
    user_len: usize,
    secret: *const c_char,
    secret_len: usize,
) -> Result<Option<Credentials>, regauth_status> {
    let (user, secret) = (text(user, user_len)?, bytes(secret.cast(), secret_len)?);
    Ok(match kind {
        REGAUTH_CREDENTIALS_NONE => None,
        REGAUTH_CREDENTIALS_BASIC => Some(Credentials::Basic { user: user.into(), password: secret.into() }),
        REGAUTH_CREDENTIALS_REFRESH => Some(Credentials::Refresh(secret.into())),
        REGAUTH_CREDENTIALS_BEARER => Some(Credentials::Bearer(secret.into())),
        _ => return Err(REGAUTH_INPUT),
    })
}

/// An empty configuration. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_new(out: *mut *mut regauth_config) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        Out::new(out)?.put(give(State::default()));
        Ok(())
    })
}

/// Sets the host entry of an origin, in the place of an earlier one. `origin` is a URL such as "https://reg.example:5000".
/// Everything in `host` is copied; identities are counted. Errors: NULL, INPUT, and FAILED for a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_host(
    config: *mut regauth_config,
    origin: *const c_char,
    origin_len: usize,
    host: *const regauth_host,
) -> regauth_status {
    guard(config, |state| {
        let host = self::host(host)?;
        state.config.host(Origin::parse(text(origin, origin_len)?)?, host);
        Ok(())
    })
}

/// Sets the entry for registries without one of their own: roots and headers; identities only with
/// REGAUTH_HOST_WILDCARD_IDENTITY. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_default_host(
    config: *mut regauth_config,
    host: *const regauth_host,
) -> regauth_status {
    guard(config, |state| {
        state.config.default_host(self::host(host)?);
        Ok(())
    })
}

/// Sets the certificate authorities for origins whose entry has none: `mode` is one of REGAUTH_ROOTS_*, `pem` are copied.
/// Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_roots(
    config: *mut regauth_config,
    mode: u32,
    pem: *const regauth_bytes,
    pem_len: usize,
) -> regauth_status {
    guard(config, |state| {
        state.config.roots(roots(mode, pem, pem_len)?.unwrap_or_default());
        Ok(())
    })
}

/// Pairs a registry with another origin: `kind` is one of REGAUTH_PAIR_TOKEN and REGAUTH_PAIR_STORAGE, `flags` are
/// REGAUTH_PAIR_IDENTITY and REGAUTH_PAIR_LOCAL. Errors: NULL, INPUT, and FAILED for a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_pair(
    config: *mut regauth_config,
    registry: *const c_char,
    registry_len: usize,
    kind: u32,
    other: *const c_char,
    other_len: usize,
    flags: u32,
) -> regauth_status {
    guard(config, |state| {
        if flags & !(REGAUTH_PAIR_IDENTITY | REGAUTH_PAIR_LOCAL) != 0 {
            return Err(REGAUTH_INPUT.into());
        }
        let kind = pair_kind(kind)?;
        let (registry, other) = (text(registry, registry_len)?, text(other, other_len)?);
        let pair = Pair::new(Origin::parse(registry)?, kind, Origin::parse(other)?);
        state.config.pair(pair.identity(flags & REGAUTH_PAIR_IDENTITY != 0).local(flags & REGAUTH_PAIR_LOCAL != 0));
        Ok(())
    })
}

/// Sets the credentials of a registry: `kind` is one of REGAUTH_CREDENTIALS_BASIC, _REFRESH and _BEARER; the user is
/// looked at for BASIC only. They are copied and wiped when they are not needed any more. Errors: NULL, INPUT, and FAILED
/// for a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_credentials(
    config: *mut regauth_config,
    registry: *const c_char,
    registry_len: usize,
    kind: u32,
    user: *const c_char,
    user_len: usize,
    secret: *const c_char,
    secret_len: usize,
) -> regauth_status {
    guard(config, |state| {
        let found = credentials(kind, user, user_len, secret, secret_len)?.ok_or(REGAUTH_INPUT)?;
        state.config.credentials(Origin::parse(text(registry, registry_len)?)?, found);
        Ok(())
    })
}

/// The host looks up the credentials of this registry when they are needed: REGAUTH_STEP_CREDENTIALS. Errors: NULL,
/// INPUT, and FAILED for a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_ask(
    config: *mut regauth_config,
    registry: *const c_char,
    registry_len: usize,
) -> regauth_status {
    guard(config, |state| {
        state.config.ask(Origin::parse(text(registry, registry_len)?)?);
        Ok(())
    })
}

/// Sets an option, one of REGAUTH_OPTION_*, to 0 or 1; all are 0 before. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_option(config: *mut regauth_config, option: u32, value: u32) -> regauth_status {
    guard(config, |state| {
        let on = match value {
            0 => false,
            1 => true,
            _ => return Err(REGAUTH_INPUT.into()),
        };
        match option {
            REGAUTH_OPTION_ASK_FOR_ALL => state.config.ask_for_all(on),
            REGAUTH_OPTION_ANY_HTTPS => state.config.mode(if on { Mode::AnyHttps } else { Mode::Strict }),
            REGAUTH_OPTION_PASSWORD_POST => state.config.password_post(on),
            REGAUTH_OPTION_OFFLINE_TOKEN => state.config.offline_token(on),
            _ => return Err(REGAUTH_INPUT.into()),
        };
        Ok(())
    })
}

/// Says why the last call with this configuration, an agent's included, gave REGAUTH_FAILED. The bytes are lent by the
/// configuration. Errors: NULL, INPUT, and NONE where no call did.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_error(
    config: *const regauth_config,
    out: *mut regauth_error_info,
) -> regauth_status {
    guard(config, |state| state.error.tell(out))
}

/// Frees a configuration; NULL is fine. Agents made of it go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_config_free(config: *mut regauth_config) {
    free(config);
}
