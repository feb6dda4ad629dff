//! Idle connections, for the host's pool.

use regauth::wire::Link;

use crate::data::{Struct, regauth_bytes, regauth_status, write};
use crate::guard::{Exclusive, exclusive, free, give, guard};

/// The state of an idle connection, to be pooled together with its socket. Exclusive: one thread at a time.
pub struct regauth_link(Exclusive<State>);
exclusive!(regauth_link, State, |_state, said| drop(said));

pub(crate) struct State {
    pub(crate) link: Link,
    origin: String,
}

pub(crate) fn pooled(link: Link) -> *mut regauth_link {
    let origin = link.key().origin.to_string();
    give(State { link, origin })
}

/// What a connection is pooled by: it serves a REGAUTH_DO_CONNECT with the same origin and profile, through a proxy or not
/// as before.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_link_info {
    /// sizeof(regauth_link_info), set by the caller.
    pub struct_size: usize,
    /// Scheme, host and port, lent by the link.
    pub origin: regauth_bytes,
    /// The TLS profile.
    pub profile: u32,
    /// Whether it goes through a proxy.
    pub proxied: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_link_info {}

/// Says what a connection is pooled by. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_link_get(link: *const regauth_link, out: *mut regauth_link_info) -> regauth_status {
    guard(link, |state| {
        let key = state.link.key();
        let info = regauth_link_info {
            struct_size: 0,
            origin: regauth_bytes::lend(state.origin.as_bytes()),
            profile: key.profile.0,
            proxied: key.proxied.into(),
        };
        Ok(write(out, &info)?)
    })
}

/// Frees a link; NULL is fine. Its socket is of no more use then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_link_free(link: *mut regauth_link) {
    free(link);
}
