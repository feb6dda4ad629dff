//! The agent: what all flows share.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::tls::ProfileId;
use regauth::{Agent, Origin, Referrer, Time};

use crate::config::regauth_config;
use crate::data::{Out, Space, regauth_status, text};
use crate::error::regauth_error;
use crate::flow::{regauth_flow, start};
use crate::guard::{counted, guard, guard_free, guard_quick, guard_shared, peek, release, retain};
use crate::numbers::*;
use crate::profile::regauth_profile;

/// Configuration, tokens and remembered challenges of one program. Shared: counted, for any number of threads at once.
pub struct regauth_agent(Agent, AtomicBool);
counted!(regauth_agent, Agent);

/// Where a URL came from: the registry, and where the request for it has been. Shared: counted, never changed, for any
/// number of threads at once.
pub struct regauth_referrer(Referrer, AtomicBool);
counted!(regauth_referrer, Referrer);

/// An agent with this configuration, which is copied. On REGAUTH_OK `*out` is the caller's to free. FAILED: the text is
/// the configuration's (regauth_config_error). Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_new(
    config: *mut regauth_config,
    out: *mut *mut regauth_agent,
) -> regauth_status {
    guard(config, |state| {
        let out = Out::new(out)?;
        out.put(regauth_agent::new(Agent::new(state.config.clone())?));
        Ok(())
    })
}

/// Replaces the configuration: new certificates, new passwords. A flow keeps the one it began with; a connection made
/// from now on uses the newest profile of its origin (regauth_agent_newest). FAILED: nothing was replaced, the text is
/// the configuration's. The agent may be in use on any thread, the configuration on this one only. Errors: NULL, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_replace(
    agent: *mut regauth_agent,
    config: *mut regauth_config,
) -> regauth_status {
    guard_shared(agent, std::ptr::null_mut(), |agent| {
        match guard(config, |state| Ok(agent.replace(state.config.clone())?)) {
            REGAUTH_OK => Ok(()),
            status => Err(status.into()),
        }
    })
}

/// Counts one more holder and gives the same agent. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_retain(agent: *mut regauth_agent) -> *mut regauth_agent {
    retain(agent)
}

/// Gives up one count; NULL is fine. Flows go on without it. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_free(agent: *mut regauth_agent) {
    release(agent);
}

/// The warm path: the whole Authorization value of this request, where nothing needs to be asked. Without an allocation
/// for a URL in normal form and a plain request to a repository.
///
/// REGAUTH_OK: `*len` bytes are in `buf`, a secret. REGAUTH_NONE: make a flow. REGAUTH_SPACE: `*len` bytes are needed,
/// and nothing was written. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_authorize(
    agent: *const regauth_agent,
    now: u64,
    method: *const c_char,
    method_len: usize,
    url: *const c_char,
    url_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard_quick(agent, |agent| {
        let space = Space::new(buf, cap, len)?;
        let (method, url) = (text(method, method_len)?, text(url, url_len)?);
        let put = agent.authorize_with(Time(now), method, url, |value| space.put(value)).ok_or(REGAUTH_NONE)?;
        Ok(put?)
    })
}

/// A flow for one request, anchored at the origin of its URL. On REGAUTH_OK `*out` is the caller's to free. Any thread.
/// `error` may be NULL. Errors: NULL, INPUT, and FAILED for a method or a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_request(
    agent: *const regauth_agent,
    method: *const c_char,
    method_len: usize,
    url: *const c_char,
    url_len: usize,
    out: *mut *mut regauth_flow,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(agent, error, |agent| {
        let out = Out::new(out)?;
        out.put(start(agent.request(text(method, method_len)?, text(url, url_len)?)?));
        Ok(())
    })
}

/// A flow for a URL that a server named: an upload location or a page of a list (REGAUTH_HOP_REGISTRY or _UPLOAD), a
/// layer URL of a manifest (_LAYER), a redirect where the host follows them itself (_REDIRECT). A URL that breaks the
/// rules fails at the first poll, as policy. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be
/// NULL. Errors: NULL, INPUT, and FAILED for a method that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_referred(
    agent: *const regauth_agent,
    by: *const regauth_referrer,
    hop: u32,
    method: *const c_char,
    method_len: usize,
    url: *const c_char,
    url_len: usize,
    out: *mut *mut regauth_flow,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(agent, error, |agent| {
        let out = Out::new(out)?;
        let (by, hop) = (peek(by)?, crate::numbers::hop(hop)?);
        out.put(start(agent.referred(by, hop, text(method, method_len)?, text(url, url_len)?)?));
        Ok(())
    })
}

/// A flow that renews a token which is in use and about to run out, for hosts with a background task; ask until it is
/// NONE, once a second. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, and NONE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_due(
    agent: *const regauth_agent,
    now: u64,
    out: *mut *mut regauth_flow,
) -> regauth_status {
    guard_shared(agent, std::ptr::null_mut(), |agent| {
        let out = Out::new(out)?;
        out.put(start(agent.due(Time(now)).ok_or(REGAUTH_NONE)?));
        Ok(())
    })
}

/// The profile that an id names, for as long as a flow that was given it lives. On REGAUTH_OK `*out` is the caller's to
/// free. Any thread. Errors: NULL, and NONE for an id that names nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_profile(
    agent: *const regauth_agent,
    id: u32,
    out: *mut *mut regauth_profile,
) -> regauth_status {
    guard_shared(agent, std::ptr::null_mut(), |agent| {
        let out = Out::new(out)?;
        out.put(regauth_profile::new(agent.profile(ProfileId(id)).ok_or(REGAUTH_NONE)?));
        Ok(())
    })
}

/// The profile for a new connection: that of the newest configuration in the place of this one, and its id, by which the
/// connection is pooled. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, and NONE for an id that
/// names nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_newest(
    agent: *const regauth_agent,
    id: u32,
    newest: *mut u32,
    out: *mut *mut regauth_profile,
) -> regauth_status {
    guard_shared(agent, std::ptr::null_mut(), |agent| {
        let (newest, out) = (Out::new(newest)?, Out::new(out)?);
        let (id, profile) = agent.newest(ProfileId(id)).ok_or(REGAUTH_NONE)?;
        newest.put(id.0);
        out.put(regauth_profile::new(profile));
        Ok(())
    })
}

/// A referrer for a registry whose answer is not at hand any more: for a layer URL out of a stored manifest. On
/// REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, and FAILED for a URL
/// that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_referrer_registry(
    origin: *const c_char,
    origin_len: usize,
    out: *mut *mut regauth_referrer,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        out.put(regauth_referrer::new(Referrer::registry(Origin::parse(text(origin, origin_len)?)?)));
        Ok(())
    })
}

/// Counts one more holder and gives the same referrer. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_referrer_retain(referrer: *mut regauth_referrer) -> *mut regauth_referrer {
    retain(referrer)
}

/// Gives up one count; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_referrer_free(referrer: *mut regauth_referrer) {
    release(referrer);
}
