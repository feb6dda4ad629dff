//! Errors as C sees them.

use regauth::error::Diagnosis;
use regauth::{Error, ErrorKind};

use crate::attempt::from_state;
use crate::data::{Struct, regauth_bytes, regauth_status, write};
use crate::guard::{Exclusive, exclusive, free, give, guard};
use crate::numbers::*;

/// An error that a call without an object of its own gave out.
pub struct regauth_error(Exclusive<Said>);
exclusive!(regauth_error, Said, |state, said| *state = said);

/// What there is to say about an error. All bytes are text, without secrets, and lent by the object that was asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_error_info {
    /// sizeof(regauth_error_info), set by the caller.
    pub struct_size: usize,
    /// REGAUTH_FAULT_*: who has to act.
    pub fault: u32,
    /// REGAUTH_HOP_*: where it failed; 0 where that was no hop.
    pub hop: u32,
    /// REGAUTH_ERROR_*: what happened.
    pub kind: u32,
    /// REGAUTH_FAILURE_* for REGAUTH_ERROR_NETWORK and REGAUTH_ERROR_TLS.
    pub failure: u32,
    /// The status of the answer, where one was the cause.
    pub http_status: u32,
    /// REGAUTH_CERTIFICATE_*: what became of client authentication, where the error has to do with it.
    pub certificates: u32,
    /// REGAUTH_ERROR_TOKEN_LATER: when to try again, in Unix milliseconds; 0 where nobody said.
    pub retry_at: u64,
    /// The origin of the hop.
    pub origin: regauth_bytes,
    /// One sentence: what happened.
    pub what: regauth_bytes,
    /// One sentence: what to do about it.
    pub remedy: regauth_bytes,
    /// REGAUTH_ERROR_ASK: the exact configuration line that would allow it.
    pub line: regauth_bytes,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_error_info {}

/// What an error says, in memory that can be lent.
#[derive(Clone, Default)]
pub(crate) struct Said {
    pub(crate) fault: u32,
    pub(crate) hop: u32,
    pub(crate) kind: u32,
    pub(crate) failure: u32,
    pub(crate) http_status: u32,
    pub(crate) certificates: u32,
    pub(crate) retry_at: u64,
    pub(crate) origin: String,
    pub(crate) what: String,
    pub(crate) remedy: String,
    pub(crate) line: String,
}

impl Said {
    /// An error of the caller that is none of the core's [`Error`].
    pub(crate) fn local(kind: u32, what: String, remedy: &str) -> Self {
        Self { fault: REGAUTH_FAULT_LOCAL, kind, what, remedy: remedy.into(), ..Self::default() }
    }

    pub(crate) fn tell(&self, out: *mut regauth_error_info) -> Result<(), regauth_status> {
        let lend =
            |text: &String| if text.is_empty() { regauth_bytes::NONE } else { regauth_bytes::lend_text(Some(text)) };
        let info = regauth_error_info {
            struct_size: 0,
            fault: self.fault,
            hop: self.hop,
            kind: self.kind,
            failure: self.failure,
            http_status: self.http_status,
            certificates: self.certificates,
            retry_at: self.retry_at,
            origin: lend(&self.origin),
            what: lend(&self.what),
            remedy: lend(&self.remedy),
            line: lend(&self.line),
        };
        write(out, &info)
    }
}

impl From<&Error> for Said {
    fn from(error: &Error) -> Self {
        let mut said = Self {
            fault: from_fault(error.fault()),
            hop: error.hop().map_or(0, from_hop),
            kind: from_kind(error.kind()),
            origin: error.origin().map(ToString::to_string).unwrap_or_default(),
            what: error.what(),
            remedy: error.remedy(),
            ..Self::default()
        };
        match error.kind() {
            ErrorKind::Network { failure, evidence } => {
                said.failure = from_failure(*failure);
                said.certificates = Diagnosis::of_failure(*failure, evidence.as_deref())
                    .map_or(0, |diagnosis| from_state(diagnosis.state));
            }
            ErrorKind::Ask { line, .. } => said.line.clone_from(line),
            ErrorKind::TokenRefused { status, certificates, .. } => {
                said.http_status = u32::from(*status);
                said.certificates = certificates.as_ref().map_or(0, |diagnosis| from_state(diagnosis.state));
            }
            ErrorKind::Refused { status, .. } | ErrorKind::TokenNowhere { status } => {
                said.http_status = u32::from(*status)
            }
            ErrorKind::TokenLater { status, retry_at } => {
                said.http_status = u32::from(*status);
                said.retry_at = retry_at.map_or(0, |at| at.0);
            }
            _ => {}
        }
        said
    }
}

/// Gives an error to C, which frees it; nothing where C does not want it.
pub(crate) fn hand_out(error: *mut *mut regauth_error, said: Said) {
    if !error.is_null() {
        let object = give(said);
        // SAFETY: not NULL, and C says that it may be written to.
        unsafe { error.write(object) };
    }
}

/// The error that an object keeps: the one that it has failed with, or else that of the last call.
#[derive(Default)]
pub(crate) struct Last {
    said: Option<Said>,
    latched: bool,
}

impl Last {
    /// A call was refused, and the object goes on.
    pub(crate) fn refused(&mut self, said: Said) {
        if !self.latched {
            self.said = Some(said);
        }
    }

    /// The object has failed for good. Its text is made once, so that it stays where it is.
    pub(crate) fn failed(&mut self, said: impl FnOnce() -> Said) {
        if !self.latched {
            self.said = Some(said());
            self.latched = true;
        }
    }

    pub(crate) fn tell(&self, out: *mut regauth_error_info) -> crate::guard::Outcome {
        Ok(self.said.as_ref().ok_or(REGAUTH_NONE)?.tell(out)?)
    }
}

/// Says what an error is. The bytes in `out` are lent by the error. One thread at a time for one error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_error_get(
    error: *const regauth_error,
    out: *mut regauth_error_info,
) -> regauth_status {
    guard(error, |said| Ok(said.tell(out)?))
}

/// Frees an error; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_error_free(error: *mut regauth_error) {
    free(error);
}
