//! Where an image is looked for.

use std::ffi::c_char;

use regauth::{Capability, Endpoint};

use crate::agent::regauth_agent;
use crate::data::{Out, Space, Struct, regauth_bytes, regauth_status, text, write};
use crate::guard::{Exclusive, exclusive, free, give, guard, guard_shared, peek};
use crate::numbers::*;
use crate::reference::regauth_reference;

/// Where to ask for an image, in order: mirrors, then the registry. Exclusive: one thread at a time.
pub struct regauth_endpoints(Exclusive<Vec<One>>);
exclusive!(regauth_endpoints, Vec<One>, |_state, said| drop(said));

pub(crate) struct One {
    endpoint: Endpoint,
    origin: String,
}

/// Manifests by digest, and blobs.
pub const REGAUTH_CAPABILITY_PULL: u32 = 1;
/// Which digest a tag stands for.
pub const REGAUTH_CAPABILITY_RESOLVE: u32 = 2;
/// Uploads.
pub const REGAUTH_CAPABILITY_PUSH: u32 = 4;
/// The manifests that refer to one.
pub const REGAUTH_CAPABILITY_REFERRERS: u32 = 8;

/// An endpoint to try. All bytes are lent by the endpoints, for as long as they are held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_endpoint {
    /// sizeof(regauth_endpoint), set by the caller.
    pub struct_size: usize,
    /// Scheme, host and port: the anchor of its requests.
    pub origin: regauth_bytes,
    /// The path of the API: "/v2", unless the configuration overrides it.
    pub root: regauth_bytes,
    /// The repository there.
    pub repository: regauth_bytes,
    /// The registry that a mirror is asked to stand for, as query parameter ns; none where that is not asked.
    pub ns: regauth_bytes,
    /// The file and key that it comes from; none where it comes from no file.
    pub provenance: regauth_bytes,
    /// REGAUTH_CAPABILITY_*, added up.
    pub capabilities: u32,
    /// The TLS profile of requests to it.
    pub profile: u32,
    /// Whether it is a mirror.
    pub mirror: u32,
    /// Always 0.
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_endpoint {}

fn from_capability(capability: Capability) -> u32 {
    match capability {
        Capability::Pull => REGAUTH_CAPABILITY_PULL,
        Capability::Resolve => REGAUTH_CAPABILITY_RESOLVE,
        Capability::Push => REGAUTH_CAPABILITY_PUSH,
        Capability::Referrers => REGAUTH_CAPABILITY_REFERRERS,
        _ => 0,
    }
}

/// The endpoints for an image that can do `want`, one of REGAUTH_CAPABILITY_*. Each is an anchor of its own; nothing of
/// the registry's goes to a mirror. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_agent_endpoints(
    agent: *const regauth_agent,
    image: *const regauth_reference,
    want: u32,
    out: *mut *mut regauth_endpoints,
) -> regauth_status {
    guard_shared(agent, std::ptr::null_mut(), |agent| {
        let out = Out::new(out)?;
        let image = &peek(image)?.reference;
        let want = Capability::ALL.into_iter().find(|known| from_capability(*known) == want).ok_or(REGAUTH_INPUT)?;
        let one = |endpoint: Endpoint| One { origin: endpoint.origin.to_string(), endpoint };
        out.put(give(agent.endpoints(image, want).into_iter().map(one).collect()));
        Ok(())
    })
}

/// An endpoint by its index. Errors: NULL, INPUT, and NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_endpoints_get(
    endpoints: *const regauth_endpoints,
    index: usize,
    out: *mut regauth_endpoint,
) -> regauth_status {
    guard(endpoints, |all| {
        let One { endpoint, origin } = all.get(index).ok_or(REGAUTH_NONE)?;
        let lend = |text: &str| regauth_bytes::lend(text.as_bytes());
        let told = regauth_endpoint {
            struct_size: 0,
            origin: lend(origin),
            root: lend(&endpoint.root),
            repository: lend(&endpoint.repository),
            ns: regauth_bytes::lend_text(endpoint.ns.as_deref()),
            provenance: regauth_bytes::lend_text(endpoint.provenance.as_deref()),
            capabilities: endpoint.capabilities.iter().fold(0, |all, one| all | from_capability(*one)),
            profile: endpoint.profile.0,
            mirror: endpoint.mirror.into(),
            reserved: 0,
        };
        Ok(write(out, &told)?)
    })
}

/// The URL of something in the repository of an endpoint: `rest` is "manifests/latest", "blobs/sha256:..". Errors: NULL,
/// INPUT, SPACE, and NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_endpoints_url(
    endpoints: *const regauth_endpoints,
    index: usize,
    rest: *const c_char,
    rest_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard(endpoints, |all| {
        let space = Space::new(buf, cap, len)?;
        let url = all.get(index).ok_or(REGAUTH_NONE)?.endpoint.url(text(rest, rest_len)?);
        Ok(space.put(url.as_bytes())?)
    })
}

/// Frees endpoints; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_endpoints_free(endpoints: *mut regauth_endpoints) {
    free(endpoints);
}
