//! Client identities.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::Identity;

use crate::data::{Out, Struct, bytes, regauth_bytes, regauth_status, text, write};
use crate::guard::{counted, guard_free, guard_quick, release, retain};

/// A client certificate and its key, or the name of one that the host's own TLS stack holds. Shared: counted, never
/// changed, for any number of threads at once.
pub struct regauth_identity(Identity, AtomicBool);
counted!(regauth_identity, Identity);

/// What is known of an identity. All bytes are lent by the identity, for as long as it is held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_identity_info {
    /// sizeof(regauth_identity_info), set by the caller.
    pub struct_size: usize,
    /// The name that it was given.
    pub label: regauth_bytes,
    /// SHA-256 of the leaf certificate.
    pub fingerprint: [u8; 32],
    /// The first moment at which the leaf is valid, in Unix milliseconds; 0 where that is not known.
    pub not_before: u64,
    /// The last one.
    pub not_after: u64,
    /// Whether the leaf's extended key usage allows client authentication; 1 where it has none or is not known.
    pub client_auth: u32,
    /// Always 0.
    pub reserved: u32,
    /// The certificates as they were given, PEM; none where only the name is known.
    pub chain_pem: regauth_bytes,
    /// The key as it was given, PEM; none for a signer and where only the name is known. Secret.
    pub key_pem: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_identity_info {}

/// The name of an identity that the host's own TLS stack holds. `fingerprint` is the SHA-256 of its leaf, 32 bytes, or
/// NULL where it is not known; it keeps tokens of one certificate apart from those of the next.
///
/// On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_identity_named(
    label: *const c_char,
    label_len: usize,
    fingerprint: *const u8,
    out: *mut *mut regauth_identity,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        let mut print = [0; 32];
        if !fingerprint.is_null() {
            print.copy_from_slice(bytes(fingerprint.cast(), 32)?);
        }
        out.put(regauth_identity::new(Identity::named(text(label, label_len)?, print)));
        Ok(())
    })
}

/// Says what is known of an identity. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_identity_get(
    identity: *const regauth_identity,
    out: *mut regauth_identity_info,
) -> regauth_status {
    guard_quick(identity, |identity| {
        let mut info = regauth_identity_info {
            label: regauth_bytes::lend(identity.label().as_bytes()),
            fingerprint: identity.fingerprint(),
            client_auth: 1,
            ..regauth_identity_info::zeroed()
        };
        more(identity, &mut info);
        Ok(write(out, &info)?)
    })
}

#[cfg(feature = "pem")]
fn more(identity: &Identity, info: &mut regauth_identity_info) {
    info.not_before = identity.not_before().map_or(0, |at| at.0);
    info.not_after = identity.not_after().map_or(0, |at| at.0);
    info.client_auth = identity.allows_client_auth().into();
    info.chain_pem = identity.chain_pem().map_or(regauth_bytes::NONE, regauth_bytes::lend);
    info.key_pem = identity.key_pem().map_or(regauth_bytes::NONE, |key| regauth_bytes::lend(key.expose()));
}

#[cfg(not(feature = "pem"))]
fn more(_: &Identity, _: &mut regauth_identity_info) {}

/// Counts one more holder and gives the same identity. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_identity_retain(identity: *mut regauth_identity) -> *mut regauth_identity {
    retain(identity)
}

/// Gives up one count; NULL is fine. Configurations and agents keep what they need. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_identity_free(identity: *mut regauth_identity) {
    release(identity);
}
