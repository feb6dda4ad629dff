//! Layer c: a flow over sockets that the host gives, with TLS and HTTP/1.1 in between.

use std::ffi::{c_char, c_void};
use std::task::Waker;

use regauth::wire::{Do, Exchange};
use regauth::{Dial, HelperFailure, Time};

use crate::agent::{regauth_agent, regauth_referrer};
use crate::config::credentials;
use crate::data::{Out, Space, bytes, regauth_status, size_of_struct, text, write};
use crate::error::{Last, Said, regauth_error_info};
use crate::evidence::{self, regauth_evidence};
use crate::flow::{address, found, regauth_flow};
use crate::guard::{Exclusive, consume, exclusive, free, give, guard, guard_shared};
use crate::link::{pooled, regauth_link};
use crate::numbers::*;
use crate::tls::regauth_space;
use crate::wake::{Argument, regauth_drop_fn, regauth_wake_fn, waker};
use crate::work::{self, REGAUTH_DO_DONE, regauth_do, regauth_sent};

/// One request of the application with all that belongs to it: token requests, redirects, connections. There is one socket
/// at a time, and it is the host's. Exclusive: one call at a time, from any thread.
pub struct regauth_exchange(Exclusive<State>);
exclusive!(regauth_exchange, State, |state, said| state.error.refused(said));

pub(crate) struct State {
    pub(crate) exchange: Exchange,
    waker: Waker,
    lent: work::Lent,
    evidence: evidence::Lent,
    error: Last,
}

/// The length of a body that is not known in advance, for regauth_exchange_body_len.
pub const REGAUTH_CHUNKED: u64 = u64::MAX;

/// An exchange for this flow of this agent. It takes the flow and its waker, also on an error: the pointer is of no more
/// use. On REGAUTH_OK `*out` is the caller's to free. Errors: NULL, PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_new(
    agent: *const regauth_agent,
    flow: *mut regauth_flow,
    out: *mut *mut regauth_exchange,
) -> regauth_status {
    let taken = consume(flow);
    guard_shared(agent, std::ptr::null_mut(), |agent| {
        let out = Out::new(out)?;
        let (flow, waker) = taken?.into_flow();
        out.put(give(State {
            exchange: Exchange::new(agent, flow.ok_or(REGAUTH_MISUSE)?),
            waker,
            lent: work::Lent::default(),
            evidence: evidence::Lent::default(),
            error: Last::default(),
        }));
        Ok(())
    })
}

/// Adds a field to the application's requests, before the first poll: Accept, Range, Content-Type. They go wherever a
/// redirect leads, and not to token services. FAILED for a field that cannot be sent or is not the application's to set;
/// the exchange goes on without it. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_header(
    exchange: *mut regauth_exchange,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
) -> regauth_status {
    guard(exchange, |state| Ok(state.exchange.header(text(name, name_len)?, bytes(value.cast(), value_len)?)?))
}

/// Announces a body, before the first poll: its length in bytes, or REGAUTH_CHUNKED. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_body_len(exchange: *mut regauth_exchange, length: u64) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.body_len((length != REGAUTH_CHUNKED).then_some(length));
        Ok(())
    })
}

/// Says, before the first poll, that the body can begin at its start once more. Without this a request of whose body bytes
/// were sent is not repeated with another identity (REGAUTH_HOST_TRY_PAIRS_ON_STATUS). Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_body_rewinds(exchange: *mut regauth_exchange) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.body_rewinds();
        Ok(())
    })
}

/// Sets what is called when a wait may be over; the same as regauth_flow_on_wake. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_on_wake(
    exchange: *mut regauth_exchange,
    wake: regauth_wake_fn,
    arg: *mut c_void,
    drop: regauth_drop_fn,
) -> regauth_status {
    let argument = Argument::new(arg, drop);
    guard(exchange, |state| {
        state.waker = waker(wake, argument);
        Ok(())
    })
}

/// Says what to do next. The same until it is answered or something new has come in; calling again does no harm. `now` is
/// Unix milliseconds. Other exchanges may be woken. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_poll(
    exchange: *mut regauth_exchange,
    now: u64,
    out: *mut regauth_do,
) -> regauth_status {
    guard(exchange, |state| {
        size_of_struct(out)?;
        let State { exchange, waker, lent, error, .. } = state;
        let work = exchange.poll(Time(now), waker);
        let mut told = lent.tell(&work);
        if let Do::Failed(why) = work {
            error.failed(|| Said::from(why));
        }
        if told.kind == REGAUTH_DO_DONE {
            told.status = exchange.head().map_or(0, |head| head.status().into());
            told.mount_denied = exchange.flow().mount_denied().into();
        }
        Ok(write(out, &told)?)
    })
}

/// Asks whether this address, 4 or 16 bytes in network order, may be used for the current REGAUTH_DO_CONNECT. Ask for each
/// address before it is used, and use that one. FAILED: skip it; when none is left, regauth_exchange_failed with
/// REGAUTH_FAILURE_ADDRESS_REFUSED. Errors: NULL, INPUT, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_dial(
    exchange: *mut regauth_exchange,
    address: *const c_void,
    address_len: usize,
) -> regauth_status {
    guard(exchange, |state| Ok(state.exchange.dial(self::address(address, address_len)?)?))
}

/// The same for a proxy that resolves the name, of which the host makes the tunnel. Errors: NULL, FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_dial_proxied(exchange: *mut regauth_exchange) -> regauth_status {
    guard(exchange, |state| Ok(state.exchange.dial(Dial::Proxied)?))
}

/// Answers REGAUTH_DO_CONNECT: `link` is NULL for a new connection to the address that was allowed last; or it is that of
/// a pooled one, which is taken, also on an error. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_connected(
    exchange: *mut regauth_exchange,
    now: u64,
    link: *mut regauth_link,
) -> regauth_status {
    let taken = if link.is_null() { Ok(None) } else { consume(link).map(Some) };
    guard(exchange, |state| {
        state.exchange.connected(Time(now), taken?.map(|taken| taken.link));
        Ok(())
    })
}

/// Room for what is read from the socket, lent until the next call. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_space(
    exchange: *mut regauth_exchange,
    out: *mut regauth_space,
) -> regauth_status {
    guard(exchange, |state| {
        Out::new(out)?.put(regauth_space::lend(state.exchange.space()));
        Ok(())
    })
}

/// So many bytes were read into the space; 0 at the end of the stream. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_filled(exchange: *mut regauth_exchange, n: usize) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.filled(n);
        Ok(())
    })
}

/// So many bytes of REGAUTH_DO_WRITE were written. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_wrote(exchange: *mut regauth_exchange, n: usize) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.wrote(n);
        Ok(())
    })
}

/// Answers REGAUTH_DO_HEAD: the head was looked at. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_took_head(exchange: *mut regauth_exchange) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.took_head();
        Ok(())
    })
}

/// So many bytes of REGAUTH_DO_BODY were used. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_took(exchange: *mut regauth_exchange, n: usize) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.took(n);
        Ok(())
    })
}

/// Answers REGAUTH_DO_WANT_BODY with the next bytes; `last` is 1 where none come behind these. `*taken` says how many were
/// taken: the others are the first of the next call, which is also the one to say `last` then. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_body(
    exchange: *mut regauth_exchange,
    content: *const c_void,
    content_len: usize,
    last: u32,
    taken: *mut usize,
) -> regauth_status {
    guard(exchange, |state| {
        let (taken, content) = (Out::new(taken)?, bytes(content, content_len)?);
        taken.put(state.exchange.body(content, last != 0));
        Ok(())
    })
}

/// Answers REGAUTH_DO_WANT_BODY where the body cannot begin at its start once more, and ends the exchange. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_body_gone(exchange: *mut regauth_exchange) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.body_gone();
        Ok(())
    })
}

/// Answers REGAUTH_DO_CREDENTIALS; the same as regauth_flow_credentials. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_credentials(
    exchange: *mut regauth_exchange,
    now: u64,
    kind: u32,
    user: *const c_char,
    user_len: usize,
    secret: *const c_char,
    secret_len: usize,
    valid_until: u64,
) -> regauth_status {
    guard(exchange, |state| {
        let found = found(credentials(kind, user, user_len, secret, secret_len)?, valid_until);
        state.exchange.credentials(Time(now), Ok(found));
        Ok(())
    })
}

/// Answers REGAUTH_DO_CREDENTIALS where the look-up did not work, and ends the exchange; `why` is one sentence without
/// secrets. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_helper_failed(
    exchange: *mut regauth_exchange,
    now: u64,
    why: *const c_char,
    why_len: usize,
) -> regauth_status {
    guard(exchange, |state| {
        let why = HelperFailure(text(why, why_len)?.into());
        state.exchange.credentials(Time(now), Err(why));
        Ok(())
    })
}

/// Answers CONNECT, WRITE or READ with what went wrong, one of REGAUTH_FAILURE_*. After a failed write the exchange reads
/// on, unless that was a timeout. Errors: NULL, INPUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_failed(
    exchange: *mut regauth_exchange,
    now: u64,
    why: u32,
) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.failed(Time(now), failure(why)?);
        Ok(())
    })
}

/// Answers REGAUTH_DO_CLOSE: the socket is closed or pooled. Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_closed(exchange: *mut regauth_exchange) -> regauth_status {
    guard(exchange, |state| {
        state.exchange.closed();
        Ok(())
    })
}

/// The connection's state, to be pooled with its socket: at REGAUTH_DO_CLOSE and after REGAUTH_DO_DONE. On REGAUTH_OK `*out`
/// is the caller's to free, or to give to regauth_exchange_connected. Errors: NULL, and NONE where the connection cannot
/// serve another request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_take_link(
    exchange: *mut regauth_exchange,
    out: *mut *mut regauth_link,
) -> regauth_status {
    guard(exchange, |state| {
        let out = Out::new(out)?;
        out.put(pooled(state.exchange.take_link().ok_or(REGAUTH_NONE)?));
        Ok(())
    })
}

/// A request that went out, by its index, and what came of it; `tls` may be NULL, and gets what the connection showed, or
/// zeros for plain http. Errors: NULL, INPUT, and NONE for an index that is too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_sent(
    exchange: *mut regauth_exchange,
    index: usize,
    out: *mut regauth_sent,
    tls: *mut regauth_evidence,
) -> regauth_status {
    guard(exchange, |state| {
        let State { exchange, lent, evidence, .. } = state;
        let sent = exchange.sent().get(index).ok_or(REGAUTH_NONE)?;
        if !tls.is_null() {
            write(tls, &sent.evidence.as_ref().map_or_else(evidence::nothing, |seen| evidence.tell(seen)))?;
        }
        Ok(write(out, &lent.sent(sent))?)
    })
}

/// Says why the exchange has failed, after REGAUTH_DO_FAILED; before that, why the last header or address was refused. The
/// bytes are lent by the exchange. Errors: NULL, INPUT, and NONE where nothing failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_error(
    exchange: *const regauth_exchange,
    out: *mut regauth_error_info,
) -> regauth_status {
    guard(exchange, |state| state.error.tell(out))
}

/// Copies the transcript, every decision so far without any secret; the same as regauth_flow_explain. Errors: NULL, SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_explain(
    exchange: *const regauth_exchange,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> regauth_status {
    guard(exchange, |state| {
        let space = Space::new(buf, cap, len)?;
        let mut transcript = String::new();
        // Writing to a String does not fail.
        let _ = state.exchange.explain(&mut transcript);
        Ok(space.put(transcript.as_bytes())?)
    })
}

/// What a URL in the answer is followed with (regauth_agent_referred). On REGAUTH_OK `*out` is the caller's to free.
/// Errors: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_referrer(
    exchange: *const regauth_exchange,
    out: *mut *mut regauth_referrer,
) -> regauth_status {
    guard(exchange, |state| {
        let out = Out::new(out)?;
        out.put(regauth_referrer::new(state.exchange.referrer()));
        Ok(())
    })
}

/// Frees an exchange; NULL is fine. What it was doing for others passes to one of them, who is woken. The socket is the
/// host's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_exchange_free(exchange: *mut regauth_exchange) {
    free(exchange);
}
