//! The keys that sign tokens, and how tokens name them.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::server::{IssuerKey, KeyRef, SigningKey, VerifyingKey};

use crate::data::{Out, Space, Struct, list, read, regauth_bytes, regauth_status, text, write};
use crate::error::regauth_error;
use crate::guard::{Stop, counted, guard_free, guard_quick, guard_shared, release};
use crate::numbers::*;
use crate::subject::{array, setup};

/// A P-256 key that signs tokens, or the public half of one that is held elsewhere. Shared: never changed, for any number of threads at once.
pub struct regauth_signing_key(Key, AtomicBool);
counted!(regauth_signing_key, Key);

pub(crate) struct Key {
    pub(crate) key: IssuerKey,
    private_pem: Option<regauth::Secret>,
    public_pem: String,
    thumbprint: String,
    libtrust_id: String,
}

/// `x5c`: the key's certificates, its own first (RFC 7515 section 4.1.6).
pub const REGAUTH_KEY_X5C: u32 = 1;
/// `kid` is the RFC 7638 thumbprint.
pub const REGAUTH_KEY_THUMBPRINT: u32 = 2;
/// `kid` is the libtrust id.
pub const REGAUTH_KEY_LIBTRUST: u32 = 3;
/// `kid` is a text of the host's.
pub const REGAUTH_KEY_KID: u32 = 4;

/// What is known of a key. All bytes are lent by the key, for as long as it is held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_signing_key_info {
    /// sizeof(regauth_signing_key_info), set by the caller.
    pub struct_size: usize,
    /// PKCS#8, PEM; `ptr` is NULL where the key is held elsewhere. Secret.
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

fn hold(key: impl Into<IssuerKey>) -> *mut regauth_signing_key {
    let key = key.into();
    let private_pem = match &key {
        IssuerKey::Held(key) => Some(key.private_pem()),
        _ => None,
    };
    let public = key.verifying();
    regauth_signing_key::new(Key {
        private_pem,
        public_pem: public.public_pem(),
        thumbprint: public.thumbprint(),
        libtrust_id: public.libtrust_id(),
        key,
    })
}

pub(crate) fn reference(given: *const regauth_key_ref) -> Result<KeyRef, Stop> {
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

/// The key whose private half is held elsewhere (PKCS#11, a TPM, a key service); `pem` is its public one,
/// SubjectPublicKeyInfo. An issuer of it cannot issue: see regauth_issuer_prepare. On REGAUTH_OK `*out` is the caller's to
/// free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_signing_key_from_public_pem(
    pem: *const c_char,
    pem_len: usize,
    out: *mut *mut regauth_signing_key,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        out.put(hold(VerifyingKey::from_pem(text(pem, pem_len)?).map_err(|error| setup(&error))?));
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
            private_pem: key.private_pem.as_ref().map_or(regauth_bytes::NONE, |pem| regauth_bytes::lend(pem.expose())),
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
        let jwks = key.key.verifying().jwks(&self::reference(reference)?).map_err(|error| setup(&error))?;
        Ok(space.put(jwks.as_bytes())?)
    })
}

/// Frees a key, and wipes it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_signing_key_free(key: *mut regauth_signing_key) {
    release(key);
}
