//! What credential helpers print.

use std::ffi::c_char;

use regauth::config::helper;
use regauth::{Found, HelperFailure, Secret, Time};

use crate::data::{bytes, regauth_status};
#[cfg(feature = "tls")]
use crate::exchange::regauth_exchange;
use crate::flow::regauth_flow;
use crate::guard::guard;

fn found(
    success: u32,
    output: *const c_char,
    output_len: usize,
) -> Result<Result<Option<Found>, HelperFailure>, regauth_status> {
    Ok(helper::read(success != 0, &Secret::from(bytes(output.cast(), output_len)?)))
}

/// Answers REGAUTH_STEP_CREDENTIALS that names a helper, with what it printed: run docker-credential-NAME get, without a
/// shell, with the URL on its standard input and no line end. `success` is whether it exited with 0. The output is copied
/// and wiped; take no more than 1 MiB of it, and set a time limit. Other flows may be woken. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_helper_output(
    flow: *mut regauth_flow,
    now: u64,
    success: u32,
    output: *const c_char,
    output_len: usize,
) -> regauth_status {
    guard(flow, |state| {
        let found = found(success, output, output_len)?;
        state.flow()?.credentials(Time(now), found);
        Ok(())
    })
}

/// Answers REGAUTH_DO_CREDENTIALS that names a helper; the same as regauth_flow_helper_output. Errors: NULL, INPUT.
#[cfg(feature = "tls")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_helper_output(
    exchange: *mut regauth_exchange,
    now: u64,
    success: u32,
    output: *const c_char,
    output_len: usize,
) -> regauth_status {
    guard(exchange, |state| {
        let found = found(success, output, output_len)?;
        state.exchange.credentials(Time(now), found);
        Ok(())
    })
}
