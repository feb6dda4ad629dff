//! Layer b: TLS, bytes in and bytes out.

use std::ffi::{c_char, c_void};

use regauth::tls::{Tls, TlsClient, TlsError};
use regauth::{Origin, Time};

use crate::data::{Out, Struct, bytes, regauth_bytes, regauth_status, size_of_struct, text, write};
use crate::error::{Last, Said, regauth_error, regauth_error_info};
use crate::evidence::{self, regauth_evidence};
use crate::guard::{Exclusive, exclusive, free, give, guard, guard_shared};
use crate::numbers::*;
use crate::profile::regauth_profile;

/// One TLS connection to one origin with one profile. Exclusive: one call at a time, from any thread.
pub struct regauth_tls(Exclusive<State>);
exclusive!(regauth_tls, State, |state, said| state.error.refused(said));

pub(crate) struct State {
    tls: TlsClient,
    lent: evidence::Lent,
    error: Last,
}

/// Write some of these bytes to the socket; then regauth_tls_wrote or regauth_tls_write_failed.
pub const REGAUTH_TLS_WRITE: u32 = 1;
/// Take some of these decrypted bytes; then regauth_tls_took.
pub const REGAUTH_TLS_PLAIN: u32 = 2;
/// Read from the socket into regauth_tls_space, then regauth_tls_filled; or send something.
pub const REGAUTH_TLS_READ: u32 = 3;
/// The server closed the connection in the proper way, or regauth_tls_close is done.
pub const REGAUTH_TLS_CLOSED: u32 = 4;
/// The connection failed, and what there was to write about it has been written: regauth_tls_error.
pub const REGAUTH_TLS_FAILED: u32 = 5;

/// What a TLS connection wants.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_tls_step {
    /// sizeof(regauth_tls_step), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_TLS_WRITE to REGAUTH_TLS_FAILED.
    pub kind: u32,
    /// Whether the handshake is over, so that bytes can be sent. In TLS 1.3 that does not mean that the server has
    /// accepted: REGAUTH_EVIDENCE_ACCEPTED.
    pub ready: u32,
    /// WRITE, PLAIN: the bytes, lent by the connection.
    pub bytes: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_tls_step {}

/// Room for what is read from a socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_space {
    /// Where it begins.
    pub ptr: *mut c_void,
    /// How much there is; 0 where nothing more is wanted, for now or at all.
    pub len: usize,
}

impl regauth_space {
    pub(crate) fn lend(space: &mut [u8]) -> Self {
        Self { ptr: space.as_mut_ptr().cast(), len: space.len() }
    }
}

fn said(error: &TlsError) -> Said {
    Said {
        fault: if error.is_local() { REGAUTH_FAULT_LOCAL } else { REGAUTH_FAULT_NETWORK },
        kind: REGAUTH_ERROR_TLS,
        failure: from_failure(error.failure()),
        what: error.what(),
        remedy: error.remedy().to_string(),
        ..Said::default()
    }
}

/// A connection to the host and port of `origin`, a URL; its first bytes are there to be written. `skip` identities of the
/// profile are left out: 0, or `next` - 1 of the evidence of an attempt that was rejected. `now` is Unix milliseconds. On
/// REGAUTH_OK `*out` is the caller's to free. Any thread. `error` may be NULL. Errors: NULL, INPUT, and FAILED for a URL,
/// roots or identities that cannot be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_connect(
    profile: *const regauth_profile,
    skip: usize,
    origin: *const c_char,
    origin_len: usize,
    now: u64,
    out: *mut *mut regauth_tls,
    error: *mut *mut regauth_error,
) -> regauth_status {
    guard_shared(profile, error, |profile| {
        let out = Out::new(out)?;
        let to = Origin::parse(text(origin, origin_len)?)?;
        let tls = TlsClient::connect_after(profile, skip, &to, Time(now)).map_err(|error| said(&error))?;
        out.put(give(State { tls, lent: evidence::Lent::default(), error: Last::default() }));
        Ok(())
    })
}

/// Says what the connection wants; the same until a call answers it or brings something new. `now` is Unix milliseconds.
/// Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_poll(
    tls: *mut regauth_tls,
    now: u64,
    out: *mut regauth_tls_step,
) -> regauth_status {
    guard(tls, |state| {
        size_of_struct(out)?;
        let (kind, bytes) = match state.tls.poll(Time(now)) {
            Tls::Write(bytes) => (REGAUTH_TLS_WRITE, regauth_bytes::lend(bytes)),
            Tls::Plain(bytes) => (REGAUTH_TLS_PLAIN, regauth_bytes::lend(bytes)),
            Tls::Closed => (REGAUTH_TLS_CLOSED, regauth_bytes::NONE),
            Tls::Failed(error) => {
                state.error.failed(|| said(error));
                (REGAUTH_TLS_FAILED, regauth_bytes::NONE)
            }
            _ => (REGAUTH_TLS_READ, regauth_bytes::NONE),
        };
        let ready = state.tls.ready().into();
        Ok(write(out, &regauth_tls_step { struct_size: 0, kind, ready, bytes })?)
    })
}

/// Room for what is read from the socket, at least one record, lent until the next call. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_space(tls: *mut regauth_tls, out: *mut regauth_space) -> regauth_status {
    guard(tls, |state| {
        Out::new(out)?.put(regauth_space::lend(state.tls.space()));
        Ok(())
    })
}

/// So many bytes were read into the space; 0 at the end of the stream, or where reading failed. More than there was ends
/// the connection. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_filled(tls: *mut regauth_tls, n: usize) -> regauth_status {
    guard(tls, |state| {
        state.tls.filled(n);
        Ok(())
    })
}

/// So many bytes of REGAUTH_TLS_WRITE were written. More than there were ends the connection. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_wrote(tls: *mut regauth_tls, n: usize) -> regauth_status {
    guard(tls, |state| {
        state.tls.wrote(n);
        Ok(())
    })
}

/// Writing failed: nothing more is sent, and reading goes on, because the alert that says why is often there already.
/// Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_write_failed(tls: *mut regauth_tls) -> regauth_status {
    guard(tls, |state| {
        state.tls.write_failed();
        Ok(())
    })
}

/// So many bytes of REGAUTH_TLS_PLAIN were used. More than there were ends the connection. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_took(tls: *mut regauth_tls, n: usize) -> regauth_status {
    guard(tls, |state| {
        state.tls.took(n);
        Ok(())
    })
}

/// Encrypts some of these bytes to be written; `*taken` says how many: none before the handshake is over, while 64 KiB wait
/// to be written, and after the end. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_send(
    tls: *mut regauth_tls,
    plain: *const c_void,
    plain_len: usize,
    taken: *mut usize,
) -> regauth_status {
    guard(tls, |state| {
        let taken = Out::new(taken)?;
        taken.put(state.tls.send(bytes(plain, plain_len)?));
        Ok(())
    })
}

/// Ends the connection: a close_notify is written after what already waits, and nothing more is read. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_close(tls: *mut regauth_tls) -> regauth_status {
    guard(tls, |state| {
        state.tls.close();
        Ok(())
    })
}

/// Gives the memory of empty buffers back: for a connection that is put aside. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_release(tls: *mut regauth_tls) -> regauth_status {
    guard(tls, |state| {
        state.tls.release();
        Ok(())
    })
}

/// The protocol that the server chose among the profile's ALPN names, lent by the connection. Errors: NULL, and NONE where
/// it chose none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_alpn(tls: *mut regauth_tls, out: *mut regauth_bytes) -> regauth_status {
    guard(tls, |state| {
        let out = Out::new(out)?;
        out.put(regauth_bytes::lend(state.tls.alpn().ok_or(REGAUTH_NONE)?));
        Ok(())
    })
}

/// The facts about client certificates, as far as they are known; lent by the connection. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_evidence(tls: *mut regauth_tls, out: *mut regauth_evidence) -> regauth_status {
    guard(tls, |state| Ok(write(out, &state.lent.tell(state.tls.evidence()))?))
}

/// Says why the connection has failed, after REGAUTH_TLS_FAILED. The bytes are lent by the connection. Errors: NULL, INPUT,
/// and NONE where it has not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_error(tls: *const regauth_tls, out: *mut regauth_error_info) -> regauth_status {
    guard(tls, |state| state.error.tell(out))
}

/// Frees a connection; NULL is fine. The socket is the host's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_tls_free(tls: *mut regauth_tls) {
    free(tls);
}
