//! Whom a host has authenticated: verified certificates, subjects, and what a policy lets them do.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::Time;
use regauth::server::{Identity, Peer, Policy, Source, Template};

use crate::data::{Out, Struct, bytes, list, regauth_bytes, regauth_status, text, write};
use crate::error::{Said, regauth_error};
use crate::guard::{Exclusive, Stop, counted, exclusive, free, give, guard, guard_free, guard_quick, peek, release};
use crate::numbers::*;

/// A client certificate that the host's TLS stack has verified. Shared: counted, never changed, for any number of threads
/// at once.
pub struct regauth_peer(Seen, AtomicBool);
counted!(regauth_peer, Seen);

pub(crate) struct Seen {
    pub(crate) peer: Peer,
    spiffe: Option<String>,
}

/// Whom the host has authenticated: what it says, nothing of the request. Exclusive: one thread at a time.
pub struct regauth_subject(Exclusive<Identity>);
exclusive!(regauth_subject, Identity, |_state, said| drop(said));

/// A pattern that makes a subject of a SPIFFE id. Shared: never changed, for any number of threads at once.
pub struct regauth_template(Template, AtomicBool);
counted!(regauth_template, Template);

/// Who may do what. Shared: never changed, for any number of threads at once.
pub struct regauth_policy(Policy, AtomicBool);
counted!(regauth_policy, Policy);

/// The TLS stack of this host has verified the certificate, on this connection.
pub const REGAUTH_SOURCE_TLS: u32 = 1;
/// A proxy has, and says so in a header field; it counts only where `trust_proxy` is set.
pub const REGAUTH_SOURCE_PROXY: u32 = 2;

/// What is known of a verified certificate. All bytes are lent by the peer, for as long as it is held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_peer_info {
    /// sizeof(regauth_peer_info), set by the caller.
    pub struct_size: usize,
    /// SHA-256 of its DER: what tokens are bound to.
    pub sha256: [u8; 32],
    /// When it ends, in Unix milliseconds; 0 where that is not known.
    pub not_after: u64,
    /// Its SPIFFE id; `ptr` is NULL where it has none.
    pub spiffe: regauth_bytes,
    /// Its subject's only common name, which nothing here takes for an identity; `ptr` is NULL where there is none.
    pub common_name: regauth_bytes,
}

// SAFETY: numbers, bytes and pointers, the first is the size.
unsafe impl Struct for regauth_peer_info {}

/// An error of the server half or of the mint: what happened, a semicolon, what to do.
pub(crate) fn setup(error: &impl ToString) -> Stop {
    let text = error.to_string();
    let (what, remedy) = text.split_once("; ").unwrap_or((&text, ""));
    Said::local(REGAUTH_ERROR_SETUP, what.into(), remedy).into()
}

/// As many bytes as an array has, from C.
pub(crate) fn array<const N: usize>(ptr: *const u8) -> Result<[u8; N], regauth_status> {
    let given = bytes(ptr.cast(), N)?;
    given.try_into().map_err(|_| REGAUTH_INPUT)
}

/// Texts, from C.
pub(crate) fn texts<'a>(ptr: *const regauth_bytes, len: usize) -> Result<Vec<&'a str>, regauth_status> {
    list(ptr, len)?.iter().map(|one| one.read_text()).collect()
}

/// Text that may be none, from C.
pub(crate) fn optional<'a>(text: regauth_bytes) -> Result<Option<&'a str>, regauth_status> {
    if text.ptr.is_null() { Ok(None) } else { text.read_text().map(Some) }
}

/// A certificate from its leaf's DER, of a chain that was verified: one that was merely asked for proves nothing.
/// `source` is one of REGAUTH_SOURCE_*. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL.
/// Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_peer_from_verified_der(
    leaf: *const c_char,
    leaf_len: usize,
    source: u32,
    out: *mut *mut regauth_peer,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        let source = match source {
            REGAUTH_SOURCE_TLS => Source::Tls,
            REGAUTH_SOURCE_PROXY => Source::Proxy,
            _ => return Err(REGAUTH_INPUT.into()),
        };
        let peer = Peer::from_verified_der(bytes(leaf.cast(), leaf_len)?, source).map_err(|error| setup(&error))?;
        let spiffe = peer.spiffe().ok().map(|id| id.to_string());
        out.put(regauth_peer::new(Seen { peer, spiffe }));
        Ok(())
    })
}

/// A certificate of which a proxy passes on only the SHA-256 of its DER, 32 bytes. On REGAUTH_OK `*out` is the caller's to
/// free. Any thread. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_peer_from_proxy_sha256(
    sha256: *const u8,
    out: *mut *mut regauth_peer,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        out.put(regauth_peer::new(Seen { peer: Peer::from_proxy_sha256(array(sha256)?), spiffe: None }));
        Ok(())
    })
}

/// Says what is known of a certificate. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_peer_get(peer: *const regauth_peer, out: *mut regauth_peer_info) -> regauth_status {
    guard_quick(peer, |Seen { peer, spiffe }| {
        let info = regauth_peer_info {
            struct_size: 0,
            sha256: *peer.sha256(),
            not_after: peer.not_after().map_or(0, |at| at.0),
            spiffe: regauth_bytes::lend_text(spiffe.as_deref()),
            common_name: regauth_bytes::lend_text(peer.common_name()),
        };
        Ok(write(out, &info)?)
    })
}

/// Frees a peer; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_peer_free(peer: *mut regauth_peer) {
    release(peer);
}

/// Somebody, by the sub of tokens; or nobody, whom no more than pull is ever granted, if it is empty. On REGAUTH_OK `*out`
/// is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_subject_new(
    subject: *const c_char,
    subject_len: usize,
    out: *mut *mut regauth_subject,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        let who = match text(subject, subject_len)? {
            "" => Identity::anonymous(),
            subject => Identity::new(subject).map_err(|error| setup(&error))?,
        };
        out.put(give(who));
        Ok(())
    })
}

/// Gives it a role, which lines of a policy begin with. Errors: NULL, INPUT for a word that is no role.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_subject_role(
    subject: *mut regauth_subject,
    role: *const c_char,
    role_len: usize,
) -> regauth_status {
    guard(subject, |who| {
        *who = who.clone().role(text(role, role_len)?).map_err(|_| REGAUTH_INPUT)?;
        Ok(())
    })
}

/// Gives it a value for a placeholder of a policy: one component of a repository name. Errors: NULL, INPUT for anything
/// else, and for a placeholder that has a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_subject_bind(
    subject: *mut regauth_subject,
    placeholder: *const c_char,
    placeholder_len: usize,
    value: *const c_char,
    value_len: usize,
) -> regauth_status {
    guard(subject, |who| {
        let (placeholder, value) = (text(placeholder, placeholder_len)?, text(value, value_len)?);
        *who = who.clone().bind(placeholder, value).map_err(|_| REGAUTH_INPUT)?;
        Ok(())
    })
}

/// Tokens for it end no later than this, in Unix milliseconds. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_subject_until(subject: *mut regauth_subject, time: u64) -> regauth_status {
    guard(subject, |who| {
        *who = who.clone().until(Time(time));
        Ok(())
    })
}

/// Frees a subject; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_subject_free(subject: *mut regauth_subject) {
    free(subject);
}

/// Reads a template, such as `spiffe://example.org/tenant/{tenant}/builder/{build}`; whoever fits has this role. On
/// REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_template_parse(
    template: *const c_char,
    template_len: usize,
    role: *const c_char,
    role_len: usize,
    out: *mut *mut regauth_template,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        let template = Template::parse(text(template, template_len)?, text(role, role_len)?);
        out.put(regauth_template::new(template.map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// The subject of a certificate's SPIFFE id. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, and
/// NONE where the certificate has no SPIFFE id or that does not fit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_template_subject(
    template: *const regauth_template,
    peer: *const regauth_peer,
    out: *mut *mut regauth_subject,
) -> regauth_status {
    guard_quick(template, |template| {
        let out = Out::new(out)?;
        let id = peek(peer)?.peer.spiffe().map_err(|_| REGAUTH_NONE)?;
        out.put(give(template.identity(&id).ok_or(REGAUTH_NONE)?));
        Ok(())
    })
}

/// Frees a template; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_template_free(template: *mut regauth_template) {
    release(template);
}

/// Reads a policy: lines of role, repositories and actions, of which the first that fits decides; what fits none is
/// denied. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL, and names the line. Errors: NULL,
/// INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_policy_parse(
    lines: *const c_char,
    lines_len: usize,
    out: *mut *mut regauth_policy,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        out.put(regauth_policy::new(Policy::parse(text(lines, lines_len)?).map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// Frees a policy; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_policy_free(policy: *mut regauth_policy) {
    release(policy);
}

/// A copy of a subject of C.
pub(crate) fn who(subject: *const regauth_subject) -> Result<Identity, regauth_status> {
    let mut copy = Identity::anonymous();
    match guard(subject, |who| {
        copy.clone_from(who);
        Ok(())
    }) {
        REGAUTH_OK => Ok(copy),
        status => Err(status),
    }
}
