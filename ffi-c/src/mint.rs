//! Short-lived certificates.

use std::ffi::c_char;
use std::sync::atomic::AtomicBool;

use regauth::mint::{self, Bundle, Ca, Issued};
use regauth::server::IssuerKey;
use regauth::{Secret, Time};

use crate::data::{Out, Space, Struct, bytes, regauth_bytes, regauth_status, text, write};
use crate::error::regauth_error;
use crate::guard::{Exclusive, counted, exclusive, free, give, guard, guard_free, guard_quick, guard_shared, release};
use crate::numbers::*;
use crate::subject::{array, setup, texts};

/// A certificate authority in memory. Shared: never changed, for any number of threads at once.
pub struct regauth_ca(Authority, AtomicBool);
counted!(regauth_ca, Authority);

pub(crate) struct Authority {
    ca: Ca,
    pem: String,
}

/// A certificate and perhaps its key. Exclusive: one thread at a time.
pub struct regauth_issued(Exclusive<Certificate>);
exclusive!(regauth_issued, Certificate, |_state, said| drop(said));

pub(crate) struct Certificate {
    pem: String,
    der: Vec<u8>,
    key: Option<Secret>,
    not_after: u64,
}

/// All files of one buildkitd and its clients. Exclusive: one thread at a time.
pub struct regauth_bundle(Exclusive<Files>);
exclusive!(regauth_bundle, Files, |_state, said| drop(said));

pub(crate) struct Files {
    bundle: Bundle,
    commands: Vec<(&'static str, String)>,
}

/// A certificate. All bytes are lent by the object that was asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_issued_info {
    /// sizeof(regauth_issued_info), set by the caller.
    pub struct_size: usize,
    /// The certificate alone, PEM.
    pub cert_pem: regauth_bytes,
    /// The same, DER.
    pub cert_der: regauth_bytes,
    /// Its key: PKCS#8, PEM; `ptr` is NULL where that is somewhere else. Secret: a file of it wants mode 0600.
    pub key_pem: regauth_bytes,
    /// When it ends, in Unix milliseconds.
    pub not_after: u64,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_issued_info {}

/// A name and what belongs to it. All bytes are lent by the bundle.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_named {
    /// sizeof(regauth_named), set by the caller.
    pub struct_size: usize,
    /// A file's name, or what a command is for.
    pub name: regauth_bytes,
    /// The file's contents, which are secret for names that end in ".key"; or the command, for a POSIX shell.
    pub contents: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_named {}

fn hold(issued: Issued) -> *mut regauth_issued {
    give(Certificate {
        pem: issued.cert_pem,
        der: issued.cert_der,
        key: Some(issued.key_pem),
        not_after: issued.not_after.0,
    })
}

fn uri<'a>(ptr: *const c_char, len: usize) -> Result<Option<&'a str>, regauth_status> {
    Ok(Some(text(ptr, len)?).filter(|uri| !uri.is_empty()))
}

/// A CA that begins to hold 5 min before `now`, in Unix milliseconds, and ends `ttl` seconds after it, a day at most.
/// `entropy` is 32 random bytes for this call alone. Its key is in memory only. On REGAUTH_OK `*out` is the caller's to
/// free. Any thread. `error` may be NULL. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ca_new(
    now: u64,
    ttl: u64,
    name: *const c_char,
    name_len: usize,
    entropy: *const u8,
    out: *mut *mut regauth_ca,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let out = Out::new(out)?;
        let ca = Ca::new(Time(now), ttl, text(name, name_len)?, &array(entropy)?).map_err(|error| setup(&error))?;
        out.put(regauth_ca::new(Authority { pem: ca.cert_pem(), ca }));
        Ok(())
    })
}

/// Gives the CA's own certificate, for as long as the CA is held; it has no `key_pem`. Any thread. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ca_get(ca: *const regauth_ca, out: *mut regauth_issued_info) -> regauth_status {
    guard_quick(ca, |Authority { ca, pem }| {
        let info = regauth_issued_info {
            struct_size: 0,
            cert_pem: regauth_bytes::lend(pem.as_bytes()),
            cert_der: regauth_bytes::lend(ca.cert_der()),
            key_pem: regauth_bytes::NONE,
            not_after: ca.not_after().0,
        };
        Ok(write(out, &info)?)
    })
}

/// A server's certificate for these host names and IP addresses. Lives `ttl` seconds, at most as long as the CA; `now` and
/// `entropy` as for regauth_ca_new. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors:
/// NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ca_server(
    ca: *const regauth_ca,
    names: *const regauth_bytes,
    names_len: usize,
    now: u64,
    ttl: u64,
    entropy: *const u8,
    out: *mut *mut regauth_issued,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(ca, error, |Authority { ca, .. }| {
        let (out, names) = (Out::new(out)?, texts(names, names_len)?);
        out.put(hold(ca.server(&names, Time(now), ttl, &array(entropy)?).map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// A client's certificate with the common name `label` and, unless it is empty, the URI SAN `uri`. All else as for
/// regauth_ca_server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ca_client(
    ca: *const regauth_ca,
    label: *const c_char,
    label_len: usize,
    uri: *const c_char,
    uri_len: usize,
    now: u64,
    ttl: u64,
    entropy: *const u8,
    out: *mut *mut regauth_issued,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(ca, error, |Authority { ca, .. }| {
        let (out, label, uri) = (Out::new(out)?, text(label, label_len)?, self::uri(uri, uri_len)?);
        out.put(hold(ca.client(label, uri, Time(now), ttl, &array(entropy)?).map_err(|error| setup(&error))?));
        Ok(())
    })
}

/// The same for a key that is somewhere else: `key` is its public half on P-256, SubjectPublicKeyInfo in DER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ca_client_for(
    ca: *const regauth_ca,
    key: *const c_char,
    key_len: usize,
    label: *const c_char,
    label_len: usize,
    uri: *const c_char,
    uri_len: usize,
    now: u64,
    ttl: u64,
    entropy: *const u8,
    out: *mut *mut regauth_issued,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(ca, error, |Authority { ca, .. }| {
        let (out, key) = (Out::new(out)?, bytes(key.cast(), key_len)?);
        let (label, uri) = (text(label, label_len)?, self::uri(uri, uri_len)?);
        let der = ca.client_for(key, label, uri, Time(now), ttl, &array(entropy)?).map_err(|error| setup(&error))?;
        let end = (now / 1000).saturating_add(ttl).saturating_mul(1000).min(ca.not_after().0);
        out.put(give(Certificate { pem: mint::certificate_pem(&der), der, key: None, not_after: end }));
        Ok(())
    })
}

/// Frees a CA, and wipes its key; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_ca_free(ca: *mut regauth_ca) {
    release(ca);
}

/// Gives a certificate. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issued_get(
    issued: *const regauth_issued,
    out: *mut regauth_issued_info,
) -> regauth_status {
    guard(issued, |state| {
        let info = regauth_issued_info {
            struct_size: 0,
            cert_pem: regauth_bytes::lend(state.pem.as_bytes()),
            cert_der: regauth_bytes::lend(&state.der),
            key_pem: state.key.as_ref().map_or(regauth_bytes::NONE, |key| regauth_bytes::lend(key.expose())),
            not_after: state.not_after,
        };
        Ok(write(out, &info)?)
    })
}

/// Frees a certificate, and wipes its key; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_issued_free(issued: *mut regauth_issued) {
    free(issued);
}

/// The certificate of a key that signs tokens, DER: what goes into x5c and, as PEM, into a registry's rootcertbundle. It
/// is its own issuer. Times and entropy as for regauth_ca_new, except that `ttl` has no upper limit. Any thread. `error` may
/// be NULL. Errors: NULL, INPUT where the key is held elsewhere too, SPACE, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_token_certificate(
    key: *const crate::signing::regauth_signing_key,
    name: *const c_char,
    name_len: usize,
    now: u64,
    ttl: u64,
    entropy: *const u8,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(key, error, |key| {
        let space = Space::new(buf, cap, len)?;
        let IssuerKey::Held(key) = &key.key else { return Err(REGAUTH_INPUT.into()) };
        let der = mint::token_certificate(key, text(name, name_len)?, Time(now), ttl, &array(entropy)?);
        Ok(space.put(&der.map_err(|error| setup(&error))?)?)
    })
}

/// A certificate as PEM, from DER. Any thread. Errors: NULL, SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_certificate_pem(
    der: *const c_char,
    der_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let space = Space::new(buf, cap, len)?;
        Ok(space.put(mint::certificate_pem(bytes(der.cast(), der_len)?).as_bytes())?)
    })
}

/// The certificates of one buildkitd for clients that connect to `names`, which all live `ttl` seconds: CA, server, client
/// with `uri` as its URI SAN unless that is empty, and health check. The CA's key is dropped. `now` and `entropy` as for
/// regauth_ca_new. On REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT,
/// FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_bundle_buildkitd(
    names: *const regauth_bytes,
    names_len: usize,
    uri: *const c_char,
    uri_len: usize,
    now: u64,
    ttl: u64,
    entropy: *const u8,
    out: *mut *mut regauth_bundle,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(error, || {
        let (out, names, uri) = (Out::new(out)?, texts(names, names_len)?, self::uri(uri, uri_len)?);
        let bundle = mint::buildkitd(&names, uri, Time(now), ttl, &array(entropy)?).map_err(|error| setup(&error))?;
        out.put(give(Files { bundle, commands: Vec::new() }));
        Ok(())
    })
}

/// A file by its index, to be written with mode 0600 into a directory with mode 0700. Errors: NULL, INPUT, and NONE for an
/// index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_bundle_file(
    bundle: *const regauth_bundle,
    index: usize,
    out: *mut regauth_named,
) -> regauth_status {
    guard(bundle, |state| {
        let (name, contents) = state.bundle.files.get(index).ok_or(REGAUTH_NONE)?;
        let named = regauth_named {
            struct_size: 0,
            name: regauth_bytes::lend(name.as_bytes()),
            contents: regauth_bytes::lend(contents.expose()),
        };
        Ok(write(out, &named)?)
    })
}

/// A command by its index that uses the files; `directory` is where they are, as an absolute path, `port` the one that
/// buildkitd listens on. Errors: NULL, INPUT, and NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_bundle_command(
    bundle: *mut regauth_bundle,
    directory: *const c_char,
    directory_len: usize,
    port: u16,
    index: usize,
    out: *mut regauth_named,
) -> regauth_status {
    guard(bundle, |state| {
        state.commands = state.bundle.commands(text(directory, directory_len)?, port);
        let (name, command) = state.commands.get(index).ok_or(REGAUTH_NONE)?;
        let named = regauth_named {
            struct_size: 0,
            name: regauth_bytes::lend(name.as_bytes()),
            contents: regauth_bytes::lend(command.as_bytes()),
        };
        Ok(write(out, &named)?)
    })
}

/// Frees a bundle, and wipes its keys; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_bundle_free(bundle: *mut regauth_bundle) {
    free(bundle);
}
