//! Another attempt with the next identity, and what an answer says about client certificates: for hosts with a TLS stack of
//! their own.

use std::ffi::{c_char, c_void};

use regauth::error::{CertificateState, Diagnosis};
use regauth::tls::Attempt;

use crate::data::{Out, bytes, regauth_status, text};
use crate::error::{Said, hand_out, regauth_error};
use crate::evidence::{evidence, regauth_evidence};
use crate::flow::regauth_flow;
use crate::guard::{guard, guard_free, guard_quick};
use crate::numbers::*;
use crate::profile::regauth_profile;

/// The server requires a client certificate and was shown none.
pub const REGAUTH_CERTIFICATE_REQUIRED: u32 = 1;
/// The server refused the certificate that it was shown.
pub const REGAUTH_CERTIFICATE_REJECTED: u32 = 2;
/// The connection broke right after a TLS 1.3 handshake in which the server asked for a certificate.
pub const REGAUTH_CERTIFICATE_PROBABLY_REJECTED: u32 = 3;
/// The handshake went well, and the server's answer is about the certificate.
pub const REGAUTH_CERTIFICATE_REJECTED_OVER_HTTP: u32 = 4;
/// The server asks for a certificate after the handshake, which cannot be done.
pub const REGAUTH_CERTIFICATE_ASKED_LATE: u32 = 5;
/// An identity is configured and the server did not ask for any.
pub const REGAUTH_CERTIFICATE_NOT_ASKED: u32 = 6;

pub(crate) fn from_state(state: CertificateState) -> u32 {
    match state {
        CertificateState::Required => REGAUTH_CERTIFICATE_REQUIRED,
        CertificateState::Rejected { .. } => REGAUTH_CERTIFICATE_REJECTED,
        CertificateState::ProbablyRejected => REGAUTH_CERTIFICATE_PROBABLY_REJECTED,
        CertificateState::RejectedOverHttp { .. } => REGAUTH_CERTIFICATE_REJECTED_OVER_HTTP,
        CertificateState::AskedLate => REGAUTH_CERTIFICATE_ASKED_LATE,
        CertificateState::NotAsked => REGAUTH_CERTIFICATE_NOT_ASKED,
        _ => 0,
    }
}

/// How an attempt ended: one of the two is 0.
fn attempt(why: u32, status: u32) -> Result<Attempt, regauth_status> {
    match (why, status) {
        (why, 0) => failure(why).map(Attempt::Failed),
        (0, status) => u16::try_from(status).map(Attempt::Answered).map_err(|_| REGAUTH_INPUT),
        _ => Err(REGAUTH_INPUT),
    }
}

/// Whether to make another attempt with the next identity, after one that showed `tls` and ended with a failure (one of
/// REGAUTH_FAILURE_*, `status` 0) or an answer (`why` 0): `*skip` is how many identities to leave out then. Whether the
/// request can be repeated is for the caller to know; another attempt takes a new connection that resumes no session. Any
/// thread. Errors: NULL, INPUT, and NONE where the end stands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_profile_retry(
    profile: *const regauth_profile,
    tls: *const regauth_evidence,
    why: u32,
    status: u32,
    skip: *mut usize,
) -> regauth_status {
    guard_quick(profile, |profile| {
        let skip = Out::new(skip)?;
        let tls = evidence(tls)?.ok_or(REGAUTH_NULL)?;
        skip.put(profile.retry(&tls, attempt(why, status)?).ok_or(REGAUTH_NONE)?);
        Ok(())
    })
}

/// Writes into the transcript that the host answers the current REGAUTH_STEP_SEND by such an attempt. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_retried(
    flow: *mut regauth_flow,
    tls: *const regauth_evidence,
    why: u32,
    status: u32,
) -> regauth_status {
    guard(flow, |state| {
        let tls = evidence(tls)?.ok_or(REGAUTH_NULL)?;
        state.flow()?.retried(&tls, attempt(why, status)?);
        Ok(())
    })
}

/// What an answer says about client certificates, as an error with `certificates` set: `content_type` and `body` are the
/// answer's, of the body as much as there is of its first 4 KiB; `identity` is the label of what is configured for the
/// connection, or empty; `tls` is NULL for plain http. On REGAUTH_OK `*out` is the caller's to free. Any thread. Errors:
/// NULL, INPUT, and NONE where it has nothing to do with client certificates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_diagnose(
    status: u32,
    content_type: *const c_char,
    content_type_len: usize,
    body: *const c_void,
    body_len: usize,
    identity: *const c_char,
    identity_len: usize,
    tls: *const regauth_evidence,
    out: *mut *mut regauth_error,
) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        if out.is_null() {
            return Err(REGAUTH_NULL.into());
        }
        let status = u16::try_from(status).map_err(|_| REGAUTH_INPUT)?;
        let kind = Some(bytes(content_type.cast(), content_type_len)?).filter(|kind| !kind.is_empty());
        let identity = Some(text(identity, identity_len)?).filter(|label| !label.is_empty());
        let tls = evidence(tls)?;
        let diagnosis =
            Diagnosis::of_answer(status, kind, bytes(body, body_len)?, identity, tls.as_ref()).ok_or(REGAUTH_NONE)?;
        hand_out(
            out,
            Said {
                certificates: from_state(diagnosis.state),
                http_status: status.into(),
                what: diagnosis.what,
                remedy: diagnosis.remedy,
                ..Said::default()
            },
        );
        Ok(())
    })
}
