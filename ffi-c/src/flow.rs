//! A flow: one request, from the first attempt to the answer that is the application's.

use std::ffi::{c_char, c_void};
use std::net::IpAddr;
use std::task::Waker;

use regauth::{Answer, Dial, Error, Flow, Found, Headers, HelperFailure, Redirects, Scope, Time};

use crate::agent::regauth_referrer;
use crate::config::credentials;
use crate::data::{
    Out, Space, Struct, bytes, list, read, regauth_bytes, regauth_header, regauth_status, size_of_struct, text, write,
};
use crate::error::{Last, Said, regauth_error_info};
use crate::evidence::{evidence, regauth_evidence};
use crate::guard::{Exclusive, exclusive, free, give, guard};
use crate::numbers::*;
use crate::step::{self, REGAUTH_STEP_DONE, regauth_step};
use crate::wake::{Argument, regauth_drop_fn, regauth_wake_fn, waker};

/// One request of the application. Exclusive: one call at a time, from any thread.
pub struct regauth_flow(Exclusive<State>);
exclusive!(regauth_flow, State, |state, said| state.error.refused(said));

pub(crate) struct State {
    /// `None` only where a call panicked, and then nobody comes in any more.
    flow: Option<Flow>,
    pub(crate) waker: Waker,
    lent: step::Lent,
    error: Last,
}

impl State {
    pub(crate) fn flow(&mut self) -> Result<&mut Flow, regauth_status> {
        self.flow.as_mut().ok_or(REGAUTH_MISUSE)
    }

    fn change(&mut self, change: impl FnOnce(Flow) -> Flow) -> Result<(), regauth_status> {
        self.flow = Some(change(self.flow.take().ok_or(REGAUTH_MISUSE)?));
        Ok(())
    }

    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "layer c takes it"))]
    pub(crate) fn into_flow(self) -> (Option<Flow>, Waker) {
        (self.flow, self.waker)
    }
}

/// A flow for C.
pub(crate) fn start(flow: Flow) -> *mut regauth_flow {
    give(State { flow: Some(flow), waker: Waker::noop().clone(), lent: step::Lent::default(), error: Last::default() })
}

/// The flow follows redirects.
pub const REGAUTH_REDIRECTS_CORE: u32 = 0;
/// The host's client does: a redirect is the application's answer, and each further hop a flow of its own, made by
/// regauth_agent_referred.
pub const REGAUTH_REDIRECTS_HOST: u32 = 1;

/// A server's answer, given by C.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct regauth_answer {
    /// sizeof(regauth_answer), set by the caller.
    pub struct_size: usize,
    /// The status.
    pub status: u32,
    /// Always 0.
    pub reserved: u32,
    /// The header fields, in their order; one that was sent twice is there twice.
    pub headers: *const regauth_header,
    /// How many.
    pub headers_len: usize,
    /// The body, where the step wanted it.
    pub body: regauth_bytes,
    /// The effective URL, where the host's client has followed redirects by itself; none otherwise.
    pub url: regauth_bytes,
    /// What the TLS connection showed; NULL where that is not known.
    pub tls: *const regauth_evidence,
}

// SAFETY: numbers and pointers, the first is the size.
unsafe impl Struct for regauth_answer {}

/// Header fields of C whose pointers have been looked at.
struct Fields<'a>(&'a [regauth_header]);

impl<'a> Fields<'a> {
    fn new(fields: &'a [regauth_header]) -> Result<Self, regauth_status> {
        for field in fields {
            field.name.read()?;
            field.value.read()?;
        }
        Ok(Self(fields))
    }
}

impl Headers for Fields<'_> {
    fn each<'a>(&'a self, name: &str, f: &mut dyn FnMut(&'a [u8])) {
        for field in self.0 {
            if let (Ok(known), Ok(value)) = (field.name.read(), field.value.read())
                && known.eq_ignore_ascii_case(name.as_bytes())
            {
                f(value);
            }
        }
    }
}

/// An address in network order.
pub(crate) fn address(ip: *const c_void, len: usize) -> Result<Dial, regauth_status> {
    let ip = bytes(ip, len)?;
    let four = <[u8; 4]>::try_from(ip).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(ip).map(IpAddr::from)).map(Dial::Ip).map_err(|_| REGAUTH_INPUT)
}

/// Adds a scope that the application knows it will need, before the first poll. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_scope(
    flow: *mut regauth_flow,
    scope: *const c_char,
    scope_len: usize,
) -> regauth_status {
    guard(flow, |state| {
        let scope = Scope::new(text(scope, scope_len)?).ok_or(REGAUTH_INPUT)?;
        Ok(state.change(|flow| flow.scope(scope))?)
    })
}

/// Says who follows redirects, before the first poll: REGAUTH_REDIRECTS_*. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_redirects(flow: *mut regauth_flow, who: u32) -> regauth_status {
    guard(flow, |state| {
        let who = match who {
            REGAUTH_REDIRECTS_CORE => Redirects::Core,
            REGAUTH_REDIRECTS_HOST => Redirects::Host,
            _ => return Err(REGAUTH_INPUT.into()),
        };
        Ok(state.change(|flow| flow.redirects(who))?)
    })
}

/// Sets what is called when a wait may be over, in the place of an earlier one; holds from the next poll on. The library
/// takes `arg` also on an error: `drop`, which may be NULL, is called once, when no thread will call `wake` any more. That
/// may be after the flow was freed. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_on_wake(
    flow: *mut regauth_flow,
    wake: regauth_wake_fn,
    arg: *mut c_void,
    drop: regauth_drop_fn,
) -> regauth_status {
    let argument = Argument::new(arg, drop);
    guard(flow, |state| {
        state.waker = waker(wake, argument);
        Ok(())
    })
}

/// Says what to do next. The same until it is answered, and calling again does no harm. `now` is Unix milliseconds.
/// Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_poll(
    flow: *mut regauth_flow,
    now: u64,
    out: *mut regauth_step,
) -> regauth_status {
    guard(flow, |state| {
        size_of_struct(out)?;
        let State { flow, waker, lent, error } = state;
        let flow = flow.as_mut().ok_or(REGAUTH_MISUSE)?;
        let step = flow.poll(Time(now), waker);
        let mut told = lent.tell(&step);
        if let regauth::Step::Failed(why) = step {
            error.failed(|| Said::from(why));
        }
        if told.kind == REGAUTH_STEP_DONE {
            told.status = flow.status().unwrap_or_default().into();
            told.mount_denied = flow.mount_denied().into();
        }
        Ok(write(out, &told)?)
    })
}

fn dial(flow: *mut regauth_flow, to: impl FnOnce() -> Result<Dial, regauth_status>) -> regauth_status {
    guard(flow, |state| {
        let to = to()?;
        let refused: Result<(), Error> = state.flow()?.dial(to);
        Ok(refused?)
    })
}

/// Asks whether this address, 4 or 16 bytes in network order, may be used for the request of the current step. Ask for
/// each address before it is used, and use that one: a name may resolve to another the next time. FAILED: skip it; when
/// none is left, regauth_flow_failed with REGAUTH_FAILURE_ADDRESS_REFUSED. The flow goes on. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_dial(
    flow: *mut regauth_flow,
    address: *const c_void,
    address_len: usize,
) -> regauth_status {
    dial(flow, || self::address(address, address_len))
}

/// The same for a proxy that resolves the name. Errors: NULL, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_dial_proxied(flow: *mut regauth_flow) -> regauth_status {
    dial(flow, || Ok(Dial::Proxied))
}

/// Answers REGAUTH_STEP_SEND with what the server said; everything in `answer` is borrowed for the call. An answer that
/// was not asked for ends the flow with REGAUTH_ERROR_MISUSE. Other flows may be woken. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_answer(
    flow: *mut regauth_flow,
    now: u64,
    answer: *const regauth_answer,
) -> regauth_status {
    guard(flow, |state| {
        let given = read(answer)?;
        let status = u16::try_from(given.status).map_err(|_| REGAUTH_INPUT)?;
        let fields = Fields::new(list(given.headers, given.headers_len)?)?;
        let url = if given.url.len == 0 { None } else { Some(given.url.read_text()?) };
        let tls = evidence(given.tls)?;
        let answer = Answer::new(status, &fields).body(given.body.read()?).url(url).tls(tls.as_ref());
        state.flow()?.answer(Time(now), answer);
        Ok(())
    })
}

/// Answers REGAUTH_STEP_CREDENTIALS: `kind` is one of REGAUTH_CREDENTIALS_*, NONE where nothing was found; they are kept
/// until `valid_until` in Unix milliseconds, or 0: until they are refused or the configuration is replaced. They are
/// copied. Other flows may be woken. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_credentials(
    flow: *mut regauth_flow,
    now: u64,
    kind: u32,
    user: *const c_char,
    user_len: usize,
    secret: *const c_char,
    secret_len: usize,
    valid_until: u64,
) -> regauth_status {
    guard(flow, |state| {
        let found = found(credentials(kind, user, user_len, secret, secret_len)?, valid_until);
        state.flow()?.credentials(Time(now), Ok(found));
        Ok(())
    })
}

/// What a look-up found, for the core.
pub(crate) fn found(credentials: Option<regauth::Credentials>, valid_until: u64) -> Option<Found> {
    let valid_until = (valid_until != 0).then_some(Time(valid_until));
    credentials.map(|credentials| Found { credentials, valid_until })
}

/// Answers REGAUTH_STEP_CREDENTIALS where the look-up did not work, and ends the flow; `why` is one sentence without
/// secrets. Other flows may be woken. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_helper_failed(
    flow: *mut regauth_flow,
    now: u64,
    why: *const c_char,
    why_len: usize,
) -> regauth_status {
    guard(flow, |state| {
        let why = HelperFailure(text(why, why_len)?.into());
        state.flow()?.credentials(Time(now), Err(why));
        Ok(())
    })
}

/// Answers REGAUTH_STEP_SEND with what went wrong: `why` is one of REGAUTH_FAILURE_*, `tls` what the connection showed or
/// NULL. Other flows may be woken. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_failed(
    flow: *mut regauth_flow,
    now: u64,
    why: u32,
    tls: *const regauth_evidence,
) -> regauth_status {
    guard(flow, |state| {
        let (why, tls) = (failure(why)?, evidence(tls)?);
        state.flow()?.failed(Time(now), why, tls.as_ref());
        Ok(())
    })
}

/// Says why the flow has failed, after REGAUTH_STEP_FAILED; before that, why the last dial was refused. The bytes are lent
/// by the flow. Errors: NULL, INPUT, and NONE where nothing failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_error(flow: *const regauth_flow, out: *mut regauth_error_info) -> regauth_status {
    guard(flow, |state| state.error.tell(out))
}

/// Copies the transcript, every decision so far without any secret, into `buf`; `*len` is its length in bytes. SPACE:
/// `*len` bytes are needed, and nothing was written. Errors: NULL, SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_explain(
    flow: *const regauth_flow,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard(flow, |state| {
        let space = Space::new(buf, cap, len)?;
        let mut transcript = String::new();
        // Writing to a String does not fail.
        let _ = state.flow()?.explain(&mut transcript);
        Ok(space.put(transcript.as_bytes())?)
    })
}

/// What a URL in the answer is followed with (regauth_agent_referred). On REGAUTH_OK `*out` is the caller's to free.
/// Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_referrer(
    flow: *const regauth_flow,
    out: *mut *mut regauth_referrer,
) -> regauth_status {
    guard(flow, |state| {
        let out = Out::new(out)?;
        out.put(regauth_referrer::new(state.flow()?.referrer()));
        Ok(())
    })
}

/// Frees a flow; NULL is fine. What it was doing for others passes to one of them, who is woken. From inside of a callback
/// during a call on the same flow it is freed when that call is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_free(flow: *mut regauth_flow) {
    free(flow);
}
