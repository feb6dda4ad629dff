//! Scopes.

use std::ffi::c_char;

use regauth::{Scope, scope};

use crate::data::{Out, Space, regauth_status, text};
use crate::guard::guard_free;
use crate::numbers::*;

fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

/// The scopes that a request of the distribution specification needs, separated by spaces, the needed one first and mount
/// sources after it; `target` is path and query. Nothing (`*len` 0) where a token without a scope is needed. Any thread.
/// Errors: NULL, INPUT, SPACE, and NONE where the target is no registry API.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_scope_needed(
    method: *const c_char,
    method_len: usize,
    target: *const c_char,
    target_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let space = Space::new(buf, cap, len)?;
        let needed = scope::needed(text(method, method_len)?, text(target, target_len)?).ok_or(REGAUTH_NONE)?;
        Ok(space.put(joined(&needed).as_bytes())?)
    })
}

/// One list out of many: `scopes` are separated by spaces, in the order in which they became known. Any thread. Errors:
/// NULL, INPUT, SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_scope_merge(
    scopes: *const c_char,
    scopes_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let space = Space::new(buf, cap, len)?;
        let merged = scope::merge(&Scope::list(text(scopes, scopes_len)?));
        Ok(space.put(joined(&merged).as_bytes())?)
    })
}

/// Whether a token for `granted` serves `needed`, both separated by spaces: `*out` is 1 or 0. Any thread. Errors: NULL,
/// INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_scope_covers(
    granted: *const c_char,
    granted_len: usize,
    needed: *const c_char,
    needed_len: usize,
    out: *mut u32,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        let (granted, needed) = (text(granted, granted_len)?, text(needed, needed_len)?);
        out.put(scope::covers(&Scope::list(granted), &Scope::list(needed)).into());
        Ok(())
    })
}
