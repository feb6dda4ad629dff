//! The server half: the token endpoint and its key.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::server::{Ask, Bind, Credential, Issuer, IssuerConfig, KeyRef, Refuse, SigningKey};
use regauth::{Scope, Time};

use crate::data::{Out, Space, Struct, list, read, regauth_bytes, regauth_status, text, write};
use crate::error::regauth_error;
use crate::guard::{
    Exclusive, Stop, counted, exclusive, free, give, guard, guard_free, guard_quick, guard_shared, peek, release,
};
use crate::numbers::*;
use crate::server::{joined, regauth_call, regauth_reply, reply, with_call};
use crate::subject::{array, regauth_policy, regauth_subject, setup, texts, who};

/// A P-256 key that signs tokens. Shared: never changed, for any number of threads at once.
pub struct regauth_signing_key(Key, AtomicBool);
counted!(regauth_signing_key, Key);

pub(crate) struct Key {
    pub(crate) key: SigningKey,
    private_pem: regauth::Secret,
    public_pem: String,
    thumbprint: String,
    libtrust_id: String,
}

/// Issues tokens. Shared: never changed, for any number of threads at once.
pub struct regauth_issuer(Issuer, AtomicBool);
counted!(regauth_issuer, Issuer);

/// A token request that was read. Exclusive: one thread at a time.
pub struct regauth_ask(Exclusive<Asked>);
exclusive!(regauth_ask, Asked, |_state, said| drop(said));

pub(crate) struct Asked {
    ask: Ask,
    scopes: String,
}

/// `x5c`: the key's certificates, its own first (RFC 7515 section 4.1.6).
pub const REGAUTH_KEY_X5C: u32 = 1;
/// `kid` is the RFC 7638 thumbprint.
pub const REGAUTH_KEY_THUMBPRINT: u32 = 2;
/// `kid` is the libtrust id.
pub const REGAUTH_KEY_LIBTRUST: u32 = 3;
/// `kid` is a text of the host's.
pub const REGAUTH_KEY_KID: u32 = 4;

/// Tokens are bound to no certificate.
pub const REGAUTH_BIND_OFF: u32 = 0;
/// Tokens are bound where the client has shown a certificate (RFC 8705 section 3).
pub const REGAUTH_BIND_IF_PEER: u32 = 1;
/// Without a certificate there is no token.
pub const REGAUTH_BIND_REQUIRED: u32 = 2;

/// The client proves itself with nothing but perhaps its certificate.
pub const REGAUTH_CREDENTIAL_NONE: u32 = 0;
/// `Authorization: Basic` (RFC 7617).
pub const REGAUTH_CREDENTIAL_BASIC: u32 = 1;
/// The form's username and password (RFC 6749 section 4.3.2).
pub const REGAUTH_CREDENTIAL_PASSWORD: u32 = 2;
/// The form's refresh_token (RFC 6749 section 6).
pub const REGAUTH_CREDENTIAL_REFRESH: u32 = 3;

/// Unknown user, wrong secret, no certificate: 401, the same answer for all of them.
pub const REGAUTH_REFUSE_CREDENTIALS: u32 = 1;
/// Known, and not welcome: 403.
pub const REGAUTH_REFUSE_DENIED: u32 = 2;
/// Too many requests of this client: 429.
pub const REGAUTH_REFUSE_TOO_MANY: u32 = 3;
/// The host cannot tell now: 503.
pub const REGAUTH_REFUSE_UNAVAILABLE: u32 = 4;

/// What is known of a key. All bytes are lent by the key, for as long as it is held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_signing_key_info {
    /// sizeof(regauth_signing_key_info), set by the caller.
    pub struct_size: usize,
    /// PKCS#8, PEM. Secret.
    pub private_pem: regauth_bytes,
    /// SubjectPublicKeyInfo, PEM.
    pub public_pem: regauth_bytes,
    /// SHA-256 thumbprint of the JWK (RFC 7638 section 3), base64url.
    pub thumbprint: regauth_bytes,
    /// The libtrust id.
    pub libtrust_id: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_signing_key_info {}

/// How tokens name the key that verifies them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_key_ref {
    /// sizeof(regauth_key_ref), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_KEY_*.
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
    /// KID: the text.
    pub kid: regauth_bytes,
    /// X5C: certificates, DER, the key's own first.
    pub chain: *const regauth_bytes,
    /// How many.
    pub chain_len: usize,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_key_ref {}

/// What an issuer is made of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_issuer_config {
    /// sizeof(regauth_issuer_config), set by the caller.
    pub struct_size: usize,
    /// The tokens' iss: what registries have as the issuer.
    pub issuer: regauth_bytes,
    /// The registries' services; a token's aud is one of them.
    pub services: *const regauth_bytes,
    /// How many.
    pub services_len: usize,
    /// The key that signs.
    pub key: *const regauth_signing_key,
    /// How tokens name it.
    pub reference: *const regauth_key_ref,
    /// Seconds that a token lives, 60 to 3600; 0 for 300.
    pub ttl: u64,
    /// REGAUTH_BIND_*.
    pub bind: u32,
    /// Whether a certificate counts that a proxy has verified. Only where every way to the host goes through that proxy.
    pub trust_proxy: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_issuer_config {}

/// A token request. All bytes are lent by it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_ask_info {
    /// sizeof(regauth_ask_info), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_CREDENTIAL_*: what the client proves itself with, beside its certificate.
    pub credential: u32,
    /// Whether it has shown a certificate that counts. Where there is a credential too, decide which of them counts, or
    /// that they have to agree.
    pub has_peer: u32,
    /// The user; `ptr` is NULL where there is none.
    pub user: regauth_bytes,
    /// The password or token; `ptr` is NULL where there is none. Secret.
    pub secret: regauth_bytes,
    /// SHA-256 of the secret, to look up a random one by; zeros where there is none.
    pub secret_sha256: [u8; 32],
    /// Which of the configured services the token is for.
    pub service: regauth_bytes,
    /// The scopes asked for that can be granted at all, a space between each.
    pub scopes: regauth_bytes,
    /// What software asks, as it says itself, for a log; `ptr` is NULL where it does not say.
    pub client_id: regauth_bytes,
}

// SAFETY: numbers, bytes and pointers, the first is the size.
unsafe impl Struct for regauth_ask_info {}

fn hold(key: SigningKey) -> *mut regauth_signing_key {
    regauth_signing_key::new(Key {
        private_pem: key.private_pem(),
        public_pem: key.public_pem(),
        thumbprint: key.thumbprint(),
        libtrust_id: key.libtrust_id(),
        key,
    })
}

fn reference(given: *const regauth_key_ref) -> Result<KeyRef, Stop> {
    let given = read(given)?;
    Ok(match given.kind {
        REGAUTH_KEY_X5C => {
            let chain = list(given.chain, given.chain_len)?;
            KeyRef::X5c(chain.iter().map(|one| one.read().map(<[u8]>::to_vec)).collect::<Result<_, _>>()?)
        }
        REGAUTH_KEY_THUMBPRINT => KeyRef::Thumbprint,
        REGAUTH_KEY_LIBTRUST => KeyRef::Libtrust,
        REGAUTH_KEY_KID => KeyRef::Kid(given.kid.read_text()?.into()),
        _ => return Err(REGAUTH_INPUT.into()),
    })
}

/// The key that 32 random bytes give: the same bytes, the same key. On REGAUTH_OK `*out` is the caller's to free. Any
/// thread. `error` may be NULL. Errors: NULL, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_signing_key_generate(
    entropy: *const u8,
    out: *mut *mut regauth_signing_key,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        out.put(hold(SigningKey::generate(&array(entropy)?).map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// The key that an earlier one's `private_pem` says. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may
/// be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_signing_key_from_pem(
    pem: *const c_char,
    pem_len: usize,
    out: *mut *mut regauth_signing_key,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        out.put(hold(SigningKey::from_pem(text(pem, pem_len)?).map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// Says what is known of a key. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_signing_key_get(
    key: *const regauth_signing_key,
    out: *mut regauth_signing_key_info,
) -> regauth_status {
    guard_quick(key, |key| {
        let info = regauth_signing_key_info {
            struct_size: 0,
            private_pem: regauth_bytes::lend(key.private_pem.expose()),
            public_pem: regauth_bytes::lend(key.public_pem.as_bytes()),
            thumbprint: regauth_bytes::lend(key.thumbprint.as_bytes()),
            libtrust_id: regauth_bytes::lend(key.libtrust_id.as_bytes()),
        };
        Ok(write(out, &info)?)
    })
}

/// A JWK set (RFC 7517 section 5) with this key, its kid as `reference` says. Any thread. `error` may be NULL. Errors: NULL,
/// INPUT, SPACE, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_signing_key_jwks(
    key: *const regauth_signing_key,
    reference: *const regauth_key_ref,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(key, error, |key| {
        let space = Space::new(buf, cap, len)?;
        let jwks = key.key.jwks(&self::reference(reference)?).map_err(|error| setup(&error))?;
        Ok(space.put(jwks.as_bytes())?)
    })
}

/// Frees a key, and wipes it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_signing_key_free(key: *mut regauth_signing_key) {
    release(key);
}

/// An issuer, checked: that its key can sign with its reference too. The key may be freed after. On REGAUTH_OK `*out` is
/// the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_new(
    config: *const regauth_issuer_config,
    out: *mut *mut regauth_issuer,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let (out, given) = (Out::new(out)?, read(config)?);
        let pem = peek(given.key)?.private_pem.expose_str().unwrap_or_default();
        let key = SigningKey::from_pem(pem).map_err(|error| setup(&error))?;
        let services = texts(given.services, given.services_len)?;
        let mut config = IssuerConfig::new(given.issuer.read_text()?, &services, key, reference(given.reference)?);
        if given.ttl != 0 {
            config.ttl = given.ttl;
        }
        config.bind = match given.bind {
            REGAUTH_BIND_OFF => Bind::Off,
            REGAUTH_BIND_IF_PEER => Bind::IfPeer,
            REGAUTH_BIND_REQUIRED => Bind::Required,
            _ => return Err(REGAUTH_INPUT.into()),
        };
        config.trust_proxy = given.trust_proxy != 0;
        out.put(regauth_issuer::new(Issuer::new(config).map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// Reads a token request. On REGAUTH_OK exactly one of `*ask` and `*refused` is not NULL, and the caller's to free: the
/// second is to be sent as it is. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_read(
    issuer: *const regauth_issuer,
    call: *const regauth_call,
    ask: *mut *mut regauth_ask,
    refused: *mut *mut regauth_reply,
) -> regauth_status {
    guard_shared(issuer, std::ptr::null_mut(), |issuer| {
        let (asked, refused) = (Out::new(ask)?, Out::new(refused)?);
        match with_call(call, |call| issuer.read(call))? {
            Ok(ask) => {
                asked.put(give(Asked { scopes: joined(&ask.scopes), ask }));
                refused.put(std::ptr::null_mut());
            }
            Err(answer) => {
                asked.put(std::ptr::null_mut());
                refused.put(reply(answer));
            }
        }
        Ok(())
    })
}

/// Says what was asked for. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ask_get(ask: *mut regauth_ask, out: *mut regauth_ask_info) -> regauth_status {
    guard(ask, |Asked { ask, scopes }| {
        let credential = &ask.credential;
        let info = regauth_ask_info {
            struct_size: 0,
            credential: match credential {
                Credential::Basic { .. } => REGAUTH_CREDENTIAL_BASIC,
                Credential::Password { .. } => REGAUTH_CREDENTIAL_PASSWORD,
                Credential::Refresh { .. } => REGAUTH_CREDENTIAL_REFRESH,
                _ => REGAUTH_CREDENTIAL_NONE,
            },
            has_peer: ask.peer.is_some().into(),
            user: regauth_bytes::lend_text(credential.user()),
            secret: credential.secret().map_or(regauth_bytes::NONE, |secret| regauth_bytes::lend(secret.expose())),
            secret_sha256: credential.secret_sha256().unwrap_or_default(),
            service: regauth_bytes::lend(ask.service.as_bytes()),
            scopes: regauth_bytes::lend(scopes.as_bytes()),
            client_id: regauth_bytes::lend_text(ask.client_id.as_deref()),
        };
        Ok(write(out, &info)?)
    })
}

/// The answer with a token for what was asked for, at `now` in Unix milliseconds, and what `policy` lets `subject` do;
/// `jti` is 16 random bytes. On REGAUTH_OK `*out` is the caller's to free, and may be a refusal. Any thread. Errors: NULL,
/// MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_issue(
    issuer: *const regauth_issuer,
    ask: *mut regauth_ask,
    subject: *const regauth_subject,
    policy: *const regauth_policy,
    now: u64,
    jti: *const u8,
    out: *mut *mut regauth_reply,
) -> regauth_status {
    guard(ask, |Asked { ask, .. }| {
        let (issuer, policy) = (peek(issuer)?, peek(policy)?);
        let (out, jti, who) = (Out::new(out)?, array(jti)?, who(subject)?);
        out.put(reply(issuer.issue(ask, &who, &policy.may(&who, &ask.scopes), Time(now), &jti)));
        Ok(())
    })
}

/// The same where the host has a policy of its own: `may` are the scopes that `subject` may have, whatever was asked for.
/// Errors: NULL, INPUT for an empty text, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_issue_scopes(
    issuer: *const regauth_issuer,
    ask: *mut regauth_ask,
    subject: *const regauth_subject,
    may: *const regauth_bytes,
    may_len: usize,
    now: u64,
    jti: *const u8,
    out: *mut *mut regauth_reply,
) -> regauth_status {
    guard(ask, |Asked { ask, .. }| {
        let (issuer, out) = (peek(issuer)?, Out::new(out)?);
        let (jti, who) = (array(jti)?, who(subject)?);
        let may = texts(may, may_len)?.into_iter().map(|one| Scope::new(one).ok_or(REGAUTH_INPUT));
        let may = may.collect::<Result<Vec<_>, _>>()?;
        out.put(reply(issuer.issue(ask, &who, &may, Time(now), &jti)));
        Ok(())
    })
}

/// The answer without a token: `why` is one of REGAUTH_REFUSE_*, `seconds` the Retry-After of the last two. On REGAUTH_OK
/// `*out` is the caller's to free. Any thread. Errors: NULL, INPUT, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_refuse(
    issuer: *const regauth_issuer,
    ask: *mut regauth_ask,
    why: u32,
    seconds: u32,
    out: *mut *mut regauth_reply,
) -> regauth_status {
    guard(ask, |Asked { ask, .. }| {
        let (issuer, out) = (peek(issuer)?, Out::new(out)?);
        let why = match why {
            REGAUTH_REFUSE_CREDENTIALS => Refuse::Credentials,
            REGAUTH_REFUSE_DENIED => Refuse::Denied,
            REGAUTH_REFUSE_TOO_MANY => Refuse::TooMany(seconds),
            REGAUTH_REFUSE_UNAVAILABLE => Refuse::Unavailable(seconds),
            _ => return Err(REGAUTH_INPUT.into()),
        };
        out.put(reply(issuer.refuse(ask, why)));
        Ok(())
    })
}

/// Frees a token request, and wipes its secret; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ask_free(ask: *mut regauth_ask) {
    free(ask);
}

/// Frees an issuer; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_free(issuer: *mut regauth_issuer) {
    release(issuer);
}
