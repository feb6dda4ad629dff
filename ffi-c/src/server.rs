//! The server half: the guard of a registry, and what requests and replies are.

use std::sync::atomic::AtomicBool;

use regauth::server::{Call, Guard, GuardConfig, KeyError, Reply, Verdict, VerifyingKey};
use regauth::{Scope, Secret, Time};

use crate::data::{Out, Struct, list, read, regauth_bytes, regauth_header, regauth_status, start, write};
use crate::error::regauth_error;
use crate::guard::{Exclusive, Stop, counted, exclusive, free, give, guard, guard_free, guard_shared, peek, release};
use crate::numbers::*;
use crate::subject::{optional, regauth_peer, regauth_policy, regauth_subject, setup, texts, who};

/// Decides about every request to a registry. Shared: never changed, for any number of threads at once.
pub struct regauth_guard(Guard, AtomicBool);
counted!(regauth_guard, Guard);

/// What to do with a request, or the answer of a token endpoint. Exclusive: one thread at a time.
pub struct regauth_reply(Exclusive<State>);
exclusive!(regauth_reply, State, |_state, said| drop(said));

/// The request is none for the registry: there is nothing to say, and no challenge to send.
pub const REGAUTH_VERDICT_NOT_REGISTRY: u32 = 1;
/// Pass the request on to the registry.
pub const REGAUTH_VERDICT_ALLOW: u32 = 2;
/// Send this answer.
pub const REGAUTH_VERDICT_SEND: u32 = 3;

/// A request, as the host's HTTP server read it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_call {
    /// sizeof(regauth_call), set by the caller.
    pub struct_size: usize,
    /// The method, byte for byte.
    pub method: regauth_bytes,
    /// The request target as it was received: path and query, neither decoded nor cleaned.
    pub target: regauth_bytes,
    /// The values of all Authorization fields, one each.
    pub authorization: *const regauth_bytes,
    /// How many.
    pub authorization_len: usize,
    /// The value of Content-Type; `ptr` is NULL where there is none.
    pub content_type: regauth_bytes,
    /// The body of a token request; the guard does not look at it.
    pub body: regauth_bytes,
    /// The verified client certificate; NULL where there is none.
    pub peer: *const regauth_peer,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_call {}

/// A key that verifies tokens: give one of `public_pem` and `certificate_der`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_trusted_key {
    /// SubjectPublicKeyInfo, PEM.
    pub public_pem: regauth_bytes,
    /// The certificate that a registry has in its rootcertbundle, DER. Only its key is read.
    pub certificate_der: regauth_bytes,
    /// One more `kid` for it; none for its RFC 7638 thumbprint and its libtrust id alone.
    pub kid: regauth_bytes,
}

/// What a guard is made of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_guard_config {
    /// sizeof(regauth_guard_config), set by the caller.
    pub struct_size: usize,
    /// The token endpoint's absolute URL.
    pub realm: regauth_bytes,
    /// The registry's service, which tokens have as their audience.
    pub service: regauth_bytes,
    /// The issuer of its tokens.
    pub issuer: regauth_bytes,
    /// The keys that verify them.
    pub keys: *const regauth_trusted_key,
    /// How many.
    pub keys_len: usize,
    /// The longest life of a token that is believed, in seconds; 0 for 3660.
    pub max_life: u64,
    /// Whether every token has to be bound to a client certificate (RFC 8705 section 3).
    pub require_bound: u32,
    /// Whether a certificate counts that a proxy has verified. Only where every way to the host goes through that proxy.
    pub trust_proxy: u32,
    /// Whether the realm may be plain http where it is not loopback.
    pub insecure_realm: u32,
    /// Always 0.
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_guard_config {}

/// What to do with a request. All bytes are lent by the reply.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_reply_info {
    /// sizeof(regauth_reply_info), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_VERDICT_*.
    pub verdict: u32,
    /// SEND: the status.
    pub status: u32,
    /// SEND: the header fields; Content-Length is the host's.
    pub headers: *const regauth_header,
    /// How many.
    pub headers_len: usize,
    /// SEND: the body, which may hold a token: secret.
    pub body: regauth_bytes,
    /// SEND: why, a short name for the log, such as "token-expired".
    pub reason: regauth_bytes,
    /// The token's jti, for a log or a list of revoked ones; `ptr` is NULL where there is none.
    pub jti: regauth_bytes,
    /// ALLOW: the token's sub; empty for an anonymous client.
    pub subject: regauth_bytes,
    /// ALLOW: the scopes that the request needed, a space between each.
    pub needed: regauth_bytes,
    /// ALLOW: when the token was issued, in Unix milliseconds; 0 without a token.
    pub issued_at: u64,
    /// ALLOW: whether the token is bound to the client's certificate.
    pub bound: u32,
    /// Always 0.
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_reply_info {}

/// A verdict, in memory that can be lent.
#[derive(Default)]
pub(crate) struct State {
    verdict: u32,
    status: u16,
    headers: Vec<(&'static str, String)>,
    lent: Vec<regauth_header>,
    body: Secret,
    reason: &'static str,
    jti: Option<String>,
    subject: String,
    needed: String,
    issued_at: u64,
    bound: bool,
}

/// Scopes as they are written in a token request, a space between each.
pub(crate) fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

/// Gives a reply to C.
pub(crate) fn reply(reply: Reply) -> *mut regauth_reply {
    give(State {
        verdict: REGAUTH_VERDICT_SEND,
        status: reply.status,
        reason: reply.reason.as_str(),
        headers: reply.headers,
        body: reply.body,
        jti: reply.jti,
        ..State::default()
    })
}

fn verdict(verdict: Verdict) -> *mut regauth_reply {
    match verdict {
        Verdict::Deny(denied) => reply(denied),
        Verdict::Allow(pass) => give(State {
            verdict: REGAUTH_VERDICT_ALLOW,
            subject: pass.subject,
            needed: joined(&pass.needed),
            jti: pass.jti,
            issued_at: pass.issued_at.map_or(0, |at| at.0),
            bound: pass.bound,
            ..State::default()
        }),
        // A verdict of a later version lets nothing pass either.
        _ => give(State { verdict: REGAUTH_VERDICT_NOT_REGISTRY, ..State::default() }),
    }
}

/// Calls `body` with a request of C.
pub(crate) fn with_call<T>(call: *const regauth_call, body: impl FnOnce(&Call<'_>) -> T) -> Result<T, regauth_status> {
    let given = read(call)?;
    let authorization = texts(given.authorization, given.authorization_len)?;
    let call = Call {
        method: given.method.read_text()?,
        target: given.target.read_text()?,
        authorization: &authorization,
        content_type: optional(given.content_type)?,
        body: given.body.read()?,
        peer: if given.peer.is_null() { None } else { Some(&peek(given.peer)?.peer) },
    };
    Ok(body(&call))
}

fn trusted(given: &regauth_trusted_key) -> Result<VerifyingKey, Stop> {
    let refused = |error: KeyError| setup(&error);
    let (pem, der) = (given.public_pem.read_text()?, given.certificate_der.read()?);
    let key = match (pem.is_empty(), der.is_empty()) {
        (false, true) => VerifyingKey::from_pem(pem).map_err(refused)?,
        (true, false) => VerifyingKey::from_certificate(der).map_err(refused)?,
        _ => return Err(REGAUTH_INPUT.into()),
    };
    match given.kid.read_text()? {
        "" => Ok(key),
        kid => key.named(kid).map_err(refused),
    }
}

/// A guard; nothing of its challenge is ever taken from a request. On REGAUTH_OK `*out` is the caller's to free. Any
/// thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_guard_new(
    config: *const regauth_guard_config,
    out: *mut *mut regauth_guard,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let (out, given) = (Out::new(out)?, read(config)?);
        let keys = list(given.keys, given.keys_len)?.iter().map(trusted).collect::<Result<_, _>>()?;
        let (realm, service, issuer) =
            (given.realm.read_text()?, given.service.read_text()?, given.issuer.read_text()?);
        let mut config = GuardConfig::new(realm, service, issuer, keys);
        if given.max_life != 0 {
            config.max_life = given.max_life;
        }
        config.require_bound = given.require_bound != 0;
        config.trust_proxy = given.trust_proxy != 0;
        config.insecure_realm = given.insecure_realm != 0;
        out.put(regauth_guard::new(Guard::new(config).map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// Whether a request may pass, by its token, at `now` in Unix milliseconds. On REGAUTH_OK `*out` is the caller's to free.
/// Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_guard_check(
    guard: *const regauth_guard,
    call: *const regauth_call,
    now: u64,
    out: *mut *mut regauth_reply,
) -> regauth_status {
    guard_shared(guard, std::ptr::null_mut(), |guard| {
        let out = Out::new(out)?;
        out.put(verdict(with_call(call, |call| guard.check(call, Time(now)))?));
        Ok(())
    })
}

/// Whether somebody whom the host has authenticated without a token may pass, by a policy alone. On REGAUTH_OK `*out` is
/// the caller's to free. Any thread. Errors: NULL, INPUT, MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_guard_check_direct(
    guard: *const regauth_guard,
    call: *const regauth_call,
    subject: *const regauth_subject,
    policy: *const regauth_policy,
    out: *mut *mut regauth_reply,
) -> regauth_status {
    guard_shared(guard, std::ptr::null_mut(), |guard| {
        let (out, policy) = (Out::new(out)?, peek(policy)?);
        let who = who(subject)?;
        out.put(verdict(with_call(call, |call| guard.check_direct(call, &who, policy))?));
        Ok(())
    })
}

/// Frees a guard; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_guard_free(guard: *mut regauth_guard) {
    release(guard);
}

/// Says what to do with a request. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_reply_get(reply: *mut regauth_reply, out: *mut regauth_reply_info) -> regauth_status {
    guard(reply, |state| {
        state.lent = state.headers.iter().map(|(name, value)| regauth_header::lend(name, value.as_bytes())).collect();
        let info = regauth_reply_info {
            struct_size: 0,
            verdict: state.verdict,
            status: state.status.into(),
            headers: start(&state.lent),
            headers_len: state.lent.len(),
            body: regauth_bytes::lend(state.body.expose()),
            reason: regauth_bytes::lend(state.reason.as_bytes()),
            jti: regauth_bytes::lend_text(state.jti.as_deref()),
            subject: regauth_bytes::lend(state.subject.as_bytes()),
            needed: regauth_bytes::lend(state.needed.as_bytes()),
            issued_at: state.issued_at,
            bound: state.bound.into(),
            reserved: 0,
        };
        Ok(write(out, &info)?)
    })
}

/// Frees a reply, and wipes its body; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_reply_free(reply: *mut regauth_reply) {
    free(reply);
}
