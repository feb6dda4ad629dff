//! Identities for layers b and c, and for hosts whose TLS stack takes PEM.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use regauth::Identity;
use regauth::tls::{IdentityError, SignError, Signer};

use crate::data::{Out, bytes, list, regauth_status, text};
use crate::error::{Said, regauth_error};
use crate::guard::{Stop, guard_free};
use crate::identity::regauth_identity;
use crate::numbers::*;
use crate::wake::{Argument, regauth_drop_fn};

/// Signs `message`, which is not hashed yet, by one of the schemes that were given: writes at most `cap` bytes to
/// `signature` and their number to `len`, and returns 0; anything else ends the handshake. Called once in each full
/// handshake, from the thread that polls the connection, and perhaps from several at once. It must not call the library.
pub type regauth_sign_fn = Option<
    unsafe extern "C" fn(
        arg: *mut c_void,
        scheme: u16,
        message: *const c_void,
        message_len: usize,
        signature: *mut c_void,
        cap: usize,
        len: *mut usize,
    ) -> i32,
>;

/// The longest signature: RSA with 8,192 bits has 1,024 bytes, and OpenSSL makes no larger keys than 16,384.
const SIGNATURE: usize = 2048;

type Sign = unsafe extern "C" fn(*mut c_void, u16, *const c_void, usize, *mut c_void, usize, *mut usize) -> i32;

struct Callback {
    sign: Sign,
    argument: Argument,
    schemes: Vec<u16>,
}

impl Signer for Callback {
    fn schemes(&self) -> &[u16] {
        &self.schemes
    }

    fn sign(&self, scheme: u16, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut signature = vec![0_u8; SIGNATURE];
        let mut len = 0;
        // SAFETY: a function of C with the argument that belongs to it; message and space are as long as it is told.
        let came = unsafe {
            (self.sign)(
                self.argument.arg,
                scheme,
                message.as_ptr().cast(),
                message.len(),
                signature.as_mut_ptr().cast(),
                signature.len(),
                &raw mut len,
            )
        };
        if came != 0 {
            return Err(SignError(format!("the sign function gave {came}")));
        }
        if len == 0 || len > signature.len() {
            return Err(SignError(format!("the sign function gave a signature of {len} bytes")));
        }
        signature.truncate(len);
        Ok(signature)
    }
}

fn refused(error: IdentityError) -> Stop {
    Said::local(REGAUTH_ERROR_IDENTITY, error.what(), error.remedy()).into()
}

/// An identity from PEM: the chain with the leaf first, and its key as PKCS#8, PKCS#1 or SEC1, not encrypted; both may be
/// in one text, which is then given twice. Everything is copied, the key wiped when it is not needed any more. `label`
/// stands for it in every text. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors:
/// NULL, INPUT, and FAILED for whatever would make the identity useless in a handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_identity_from_pem(
    label: *const c_char,
    label_len: usize,
    chain: *const c_char,
    chain_len: usize,
    key: *const c_char,
    key_len: usize,
    out: *mut *mut regauth_identity,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        let (chain, key) = (bytes(chain.cast(), chain_len)?, bytes(key.cast(), key_len)?);
        out.put(regauth_identity::new(Identity::from_pem(text(label, label_len)?, chain, key).map_err(refused)?));
        Ok(())
    })
}

/// An identity whose key is somewhere else. `schemes` are the SignatureScheme numbers (RFC 8446 section 4.2.3) that `sign`
/// can make, best first. The library takes `arg` also on an error: `drop`, which may be NULL, is called once, when
/// `sign` will not be called any more. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL.
/// Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_identity_with_signer(
    label: *const c_char,
    label_len: usize,
    chain: *const c_char,
    chain_len: usize,
    schemes: *const u16,
    schemes_len: usize,
    sign: regauth_sign_fn,
    arg: *mut c_void,
    drop: regauth_drop_fn,
    out: *mut *mut regauth_identity,
    error: *mut *mut regauth_error,
) -> regauth_status {
    let argument = Argument::new(arg, drop);
    guard_free(error, || {
        let (out, sign) = (Out::new(out)?, sign.ok_or(REGAUTH_NULL)?);
        let schemes = list(schemes, schemes_len)?.to_vec();
        if schemes.is_empty() {
            return Err(REGAUTH_INPUT.into());
        }
        let signer = Arc::new(Callback { sign, argument, schemes });
        let chain = bytes(chain.cast(), chain_len)?;
        let identity = Identity::with_signer(text(label, label_len)?, chain, signer).map_err(refused)?;
        out.put(regauth_identity::new(identity));
        Ok(())
    })
}

/// The key of a chain that was given alone.
struct Elsewhere(Vec<u16>);

impl Signer for Elsewhere {
    fn schemes(&self) -> &[u16] {
        &self.0
    }

    fn sign(&self, _: u16, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError("its key is in another TLS stack".into()))
    }
}

/// An identity whose key the host's own TLS stack holds, which so needs no `sign`: the certificates are there for the
/// choice (regauth_profile_choose), and `schemes` are the SignatureScheme numbers (RFC 8446 section 4.2.3) that the key can
/// make, best first. In a handshake of layer b it fails. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error`
/// may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_identity_from_chain(
    label: *const c_char,
    label_len: usize,
    chain: *const c_char,
    chain_len: usize,
    schemes: *const u16,
    schemes_len: usize,
    out: *mut *mut regauth_identity,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        let schemes = list(schemes, schemes_len)?.to_vec();
        if schemes.is_empty() {
            return Err(REGAUTH_INPUT.into());
        }
        let chain = bytes(chain.cast(), chain_len)?;
        let identity = Identity::with_signer(text(label, label_len)?, chain, Arc::new(Elsewhere(schemes)));
        out.put(regauth_identity::new(identity.map_err(refused)?));
        Ok(())
    })
}
