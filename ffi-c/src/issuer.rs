//! The server half: the token endpoint.

use std::sync::atomic::AtomicBool;

use regauth::server::{Ask, Bind, Credential, Issuer, IssuerConfig, Refuse, Reply, Unsigned};
use regauth::{Scope, Time};

use crate::data::{Out, Struct, bytes, read, regauth_bytes, regauth_status, write};
use crate::error::regauth_error;
use crate::guard::{Exclusive, counted, exclusive, free, give, guard, guard_free, guard_shared, peek, release};
use crate::numbers::*;
use crate::server::{joined, regauth_call, regauth_reply, reply, with_call};
use crate::signing::{reference, regauth_key_ref, regauth_signing_key};
use crate::subject::{array, regauth_policy, regauth_subject, setup, texts, who};

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

/// A token that lacks its signature. Exclusive: one thread at a time.
pub struct regauth_unsigned(Exclusive<Unsigned>);
exclusive!(regauth_unsigned, Unsigned, |_state, said| drop(said));

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

/// A token that lacks its signature. All bytes are lent by it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_unsigned_info {
    /// sizeof(regauth_unsigned_info), set by the caller.
    pub struct_size: usize,
    /// What to sign, with ECDSA on P-256 over SHA-256: the JWS Signing Input (RFC 7515 section 5.1).
    pub signing_input: regauth_bytes,
    /// SHA-256 of it, for a signer that takes a digest.
    pub digest: [u8; 32],
}

// SAFETY: numbers, bytes and pointers, the first is the size.
unsafe impl Struct for regauth_unsigned_info {}

/// An issuer, checked: that the reference fits its key too. The key may be freed after. On REGAUTH_OK `*out` is
/// the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_new(
    config: *const regauth_issuer_config,
    out: *mut *mut regauth_issuer,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let (out, given) = (Out::new(out)?, read(config)?);
        let key = peek(given.key)?.key.clone();
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
        let (jti, who, may) = (array(jti)?, who(subject)?, scopes(may, may_len)?);
        out.put(reply(issuer.issue(ask, &who, &may, Time(now), &jti)));
        Ok(())
    })
}

fn scopes(may: *const regauth_bytes, len: usize) -> Result<Vec<Scope>, regauth_status> {
    texts(may, len)?.into_iter().map(|one| Scope::new(one).ok_or(REGAUTH_INPUT)).collect()
}

/// regauth_issuer_issue up to the signature, which the host makes where the key is held; then regauth_issuer_finish, or
/// regauth_issuer_refuse where it cannot sign. On REGAUTH_OK exactly one of `*out` and `*refused` is not NULL, and the
/// caller's to free: the second is to be sent as it is. Any thread. Errors: NULL, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_prepare(
    issuer: *const regauth_issuer,
    ask: *mut regauth_ask,
    subject: *const regauth_subject,
    policy: *const regauth_policy,
    now: u64,
    jti: *const u8,
    out: *mut *mut regauth_unsigned,
    refused: *mut *mut regauth_reply,
) -> regauth_status {
    guard(ask, |Asked { ask, .. }| {
        let (issuer, policy) = (peek(issuer)?, peek(policy)?);
        let (out, refused) = (Out::new(out)?, Out::new(refused)?);
        let (jti, who) = (array(jti)?, who(subject)?);
        prepared(issuer.prepare(ask, &who, &policy.may(&who, &ask.scopes), Time(now), &jti), out, refused);
        Ok(())
    })
}

/// regauth_issuer_issue_scopes up to the signature, as regauth_issuer_prepare. Errors: NULL, INPUT for an empty text,
/// MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_prepare_scopes(
    issuer: *const regauth_issuer,
    ask: *mut regauth_ask,
    subject: *const regauth_subject,
    may: *const regauth_bytes,
    may_len: usize,
    now: u64,
    jti: *const u8,
    out: *mut *mut regauth_unsigned,
    refused: *mut *mut regauth_reply,
) -> regauth_status {
    guard(ask, |Asked { ask, .. }| {
        let (issuer, out, refused) = (peek(issuer)?, Out::new(out)?, Out::new(refused)?);
        let (jti, who, may) = (array(jti)?, who(subject)?, scopes(may, may_len)?);
        prepared(issuer.prepare(ask, &who, &may, Time(now), &jti), out, refused);
        Ok(())
    })
}

fn prepared(made: Result<Unsigned, Reply>, out: Out<*mut regauth_unsigned>, refused: Out<*mut regauth_reply>) {
    let (unsigned, answer) = match made {
        Ok(unsigned) => (give(unsigned), std::ptr::null_mut()),
        Err(answer) => (std::ptr::null_mut(), reply(answer)),
    };
    out.put(unsigned);
    refused.put(answer);
}

/// Says what to sign. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_unsigned_get(
    token: *mut regauth_unsigned,
    out: *mut regauth_unsigned_info,
) -> regauth_status {
    guard(token, |token| {
        let signing_input = regauth_bytes::lend(token.signing_input());
        Ok(write(out, &regauth_unsigned_info { struct_size: 0, signing_input, digest: token.digest() })?)
    })
}

/// The answer with the token that the host has signed: `signature` is DER, or r and s of 32 bytes each. It is verified: one
/// that the issuer's key has not made over the token gets 500, and the token does not leave. On REGAUTH_OK `*out` is the
/// caller's to free. Any thread. Errors: NULL, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issuer_finish(
    issuer: *const regauth_issuer,
    token: *mut regauth_unsigned,
    signature: *const u8,
    signature_len: usize,
    out: *mut *mut regauth_reply,
) -> regauth_status {
    guard(token, |token| {
        let (issuer, out) = (peek(issuer)?, Out::new(out)?);
        out.put(reply(issuer.finish(token, bytes(signature.cast(), signature_len)?)));
        Ok(())
    })
}

/// Frees a token that lacks its signature; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_unsigned_free(token: *mut regauth_unsigned) {
    free(token);
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
