//! Image names and origins.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::{Origin, Reference};

use crate::data::{Out, Space, Struct, regauth_bytes, regauth_status, text, write};
use crate::error::{Said, regauth_error};
use crate::guard::{counted, guard_free, guard_quick, release};
use crate::numbers::*;

/// An image name. Shared: never changed, for any number of threads at once.
pub struct regauth_reference(Named, AtomicBool);
counted!(regauth_reference, Named);

pub(crate) struct Named {
    pub(crate) reference: Reference,
    origin: String,
}

/// The parts of an image name. All bytes are lent by the reference, for as long as it is held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_reference_info {
    /// sizeof(regauth_reference_info), set by the caller.
    pub struct_size: usize,
    /// The origin of the registry's API.
    pub origin: regauth_bytes,
    /// The domain, such as "docker.io".
    pub domain: regauth_bytes,
    /// The repository, such as "library/alpine".
    pub repository: regauth_bytes,
    /// The tag; `ptr` is NULL where there is none.
    pub tag: regauth_bytes,
    /// The digest; `ptr` is NULL where there is none.
    pub digest: regauth_bytes,
    /// What to ask for: the digest, or else the tag.
    pub reference: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_reference_info {}

/// Reads an image name, `[domain/]repository[:tag][@digest]`, with Docker's defaults. On REGAUTH_OK `*out` is the caller's
/// to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_reference_parse(
    name: *const c_char,
    name_len: usize,
    out: *mut *mut regauth_reference,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        let reference = Reference::parse(text(name, name_len)?).map_err(|error| {
            Said::local(REGAUTH_ERROR_REFERENCE, error.to_string(), "Give an image name such as reg.example/app:1.")
        })?;
        let origin = reference.origin().to_string();
        out.put(regauth_reference::new(Named { reference, origin }));
        Ok(())
    })
}

/// Gives the parts of an image name. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_reference_get(
    reference: *const regauth_reference,
    out: *mut regauth_reference_info,
) -> regauth_status {
    guard_quick(reference, |Named { reference, origin }| {
        let lend = |text: &str| regauth_bytes::lend(text.as_bytes());
        let info = regauth_reference_info {
            struct_size: 0,
            origin: lend(origin),
            domain: lend(reference.domain()),
            repository: lend(reference.repository()),
            tag: regauth_bytes::lend_text(reference.tag()),
            digest: regauth_bytes::lend_text(reference.digest()),
            reference: lend(reference.reference()),
        };
        Ok(write(out, &info)?)
    })
}

/// Frees a reference; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_reference_free(reference: *mut regauth_reference) {
    release(reference);
}

/// The origin of a URL in normal form: "https://reg.example:5000". Any thread. `error` may be NULL. Errors: NULL, INPUT,
/// SPACE, and FAILED for a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_origin_parse(
    url: *const c_char,
    url_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let space = Space::new(buf, cap, len)?;
        Ok(space.put(Origin::parse(text(url, url_len)?)?.to_string().as_bytes())?)
    })
}
