//! The objects that C holds, and the one way into them.
//!
//! An object is either exclusive (a flow: one call at a time) or shared (an agent: counted, any number of threads). Every
//! call passes [`guard`], [`guard_shared`] or [`guard_free`]: NULL, a call from inside of a callback on the same object
//! and a panic end there, as a status.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::data::regauth_status;
use crate::error::{Said, hand_out, regauth_error};
use crate::numbers::*;

/// Why a call did not do what it was asked for.
pub(crate) enum Stop {
    /// The status says all.
    Status(regauth_status),
    /// The text is kept by the object, or given out.
    Error(Box<Said>),
}

impl From<regauth_status> for Stop {
    fn from(status: regauth_status) -> Self {
        Self::Status(status)
    }
}

impl From<Said> for Stop {
    fn from(said: Said) -> Self {
        Self::Error(Box::new(said))
    }
}

impl From<regauth::Error> for Stop {
    fn from(error: regauth::Error) -> Self {
        Said::from(&error).into()
    }
}

impl From<regauth::origin::UrlFlaw> for Stop {
    fn from(flaw: regauth::origin::UrlFlaw) -> Self {
        regauth::Error::new(regauth::ErrorKind::Url(flaw)).into()
    }
}

pub(crate) type Outcome = Result<(), Stop>;

const IDLE: u8 = 0;
/// A call is inside.
const BUSY: u8 = 1;
/// Freed while a call was inside: the call frees it when it leaves.
const DOOMED: u8 = 2;
/// A call panicked.
const POISONED: u8 = 3;

/// What an exclusive object holds.
pub(crate) struct Exclusive<S> {
    state: AtomicU8,
    inside: UnsafeCell<S>,
}

/// An exclusive object.
pub(crate) trait Object: Sized {
    /// What it holds.
    type State;
    /// Wraps it up.
    fn wrap(inside: Exclusive<Self::State>) -> Self;
    /// The wrapped.
    fn exclusive(&self) -> &Exclusive<Self::State>;
    /// Keeps the error of a call, for the object's error function.
    fn keep(state: &mut Self::State, said: Said);
}

/// Gives a new object to C.
pub(crate) fn give<O: Object>(state: O::State) -> *mut O {
    let inside = Exclusive { state: AtomicU8::new(IDLE), inside: UnsafeCell::new(state) };
    Box::into_raw(Box::new(O::wrap(inside)))
}

/// Calls `body` with what the object holds.
pub(crate) fn guard<O: Object>(object: *const O, body: impl FnOnce(&mut O::State) -> Outcome) -> regauth_status {
    // SAFETY: C gives NULL or an object that was made by `give` and not freed.
    let Some(cell) = (unsafe { object.as_ref() }).map(O::exclusive) else { return REGAUTH_NULL };
    match cell.state.compare_exchange(IDLE, BUSY, Ordering::Acquire, Ordering::Relaxed) {
        Ok(_) => {}
        Err(POISONED) => return REGAUTH_PANIC,
        Err(_) => return REGAUTH_MISUSE,
    }
    // SAFETY: only the one who has set BUSY comes here, so this is the only reference.
    let state = unsafe { &mut *cell.inside.get() };
    let result = catch_unwind(AssertUnwindSafe(|| match body(state) {
        Ok(()) => REGAUTH_OK,
        Err(Stop::Status(status)) => status,
        Err(Stop::Error(said)) => {
            O::keep(state, *said);
            REGAUTH_FAILED
        }
    }));
    let next = if result.is_ok() { IDLE } else { POISONED };
    if cell.state.compare_exchange(BUSY, next, Ordering::Release, Ordering::Acquire).is_err() {
        unmake(object.cast_mut());
    }
    result.unwrap_or(REGAUTH_PANIC)
}

/// Frees an object; later, if a call is inside of it.
pub(crate) fn free<O: Object>(object: *mut O) {
    // SAFETY: as in `guard`.
    let Some(cell) = (unsafe { object.as_ref() }).map(O::exclusive) else { return };
    if !matches!(cell.state.swap(DOOMED, Ordering::AcqRel), BUSY | DOOMED) {
        unmake(object);
    }
}

/// Takes what an object holds and frees the object; `None` where a call is inside of it.
#[cfg_attr(not(any(feature = "tls", feature = "config")), allow(dead_code, reason = "layer c takes flows"))]
pub(crate) fn consume<O: Object>(object: *mut O) -> Result<O::State, regauth_status> {
    // SAFETY: as in `guard`.
    let cell = (unsafe { object.as_ref() }).map(O::exclusive).ok_or(REGAUTH_NULL)?;
    match cell.state.swap(DOOMED, Ordering::AcqRel) {
        BUSY | DOOMED => Err(REGAUTH_MISUSE),
        POISONED => {
            unmake(object);
            Err(REGAUTH_PANIC)
        }
        _ => {
            // SAFETY: it is idle and now doomed, so nobody else reads what it holds.
            let state = unsafe { std::ptr::read(cell.inside.get()) };
            // SAFETY: it was made by `give`. What it holds was moved out and is not dropped a second time.
            drop(unsafe { Box::from_raw(object.cast::<std::mem::ManuallyDrop<O>>()) });
            Ok(state)
        }
    }
}

fn unmake<O: Object>(object: *mut O) {
    // A flow that is dropped wakes others, and with an agent a signer's drop function may be called.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: it was made by `give`, and is idle or left by the only call that was inside.
        drop(unsafe { Box::from_raw(object) });
    }));
}

/// A shared object, which C holds as an `Arc`.
pub(crate) trait Counted: Sized {
    /// What it holds.
    type Value;
    /// The wrapped.
    fn value(&self) -> &Self::Value;
    /// Set by a panic.
    fn poisoned(&self) -> &AtomicBool;
}

/// Gives a shared object to C.
pub(crate) fn give_shared<C: Counted>(object: C) -> *mut C {
    Arc::into_raw(Arc::new(object)).cast_mut()
}

/// Counts one more holder.
pub(crate) fn retain<C: Counted>(object: *mut C) -> *mut C {
    if !object.is_null() {
        // SAFETY: C gives an object that was made by `give_shared` and that it holds.
        unsafe { Arc::increment_strong_count(object) };
    }
    object
}

/// Counts one holder less.
pub(crate) fn release<C: Counted>(object: *mut C) {
    if !object.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: as in `retain`; C gives up one of its counts.
            drop(unsafe { Arc::from_raw(object) });
        }));
    }
}

/// Calls `body` with what the shared object holds, which stays until the call is over even if a callback releases it.
/// An error is given out as an object where `error` is not NULL.
pub(crate) fn guard_shared<C: Counted>(
    object: *const C,
    error: *mut *mut regauth_error,
    body: impl FnOnce(&C::Value) -> Outcome,
) -> regauth_status {
    if object.is_null() {
        return REGAUTH_NULL;
    }
    // SAFETY: as in `retain`; the count goes up first, and down with the Arc.
    let held = unsafe {
        Arc::increment_strong_count(object);
        Arc::from_raw(object)
    };
    let status = inside(&*held, error, body);
    // The last count may be this one, and a drop function that panics is none of the caller's business.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(held)));
    status
}

/// The same for a body that calls nothing back, so that nobody can release the object meanwhile.
pub(crate) fn guard_quick<C: Counted>(object: *const C, body: impl FnOnce(&C::Value) -> Outcome) -> regauth_status {
    // SAFETY: C gives NULL or an object that was made by `give_shared` and that it holds.
    match unsafe { object.as_ref() } {
        Some(object) => inside(object, std::ptr::null_mut(), body),
        None => REGAUTH_NULL,
    }
}

fn inside<C: Counted>(
    object: &C,
    error: *mut *mut regauth_error,
    body: impl FnOnce(&C::Value) -> Outcome,
) -> regauth_status {
    if object.poisoned().load(Ordering::Relaxed) {
        return REGAUTH_PANIC;
    }
    let status = guard_free(error, || body(object.value()));
    if status == REGAUTH_PANIC {
        object.poisoned().store(true, Ordering::Relaxed);
    }
    status
}

/// Calls a body that has no object.
pub(crate) fn guard_free(error: *mut *mut regauth_error, body: impl FnOnce() -> Outcome) -> regauth_status {
    catch_unwind(AssertUnwindSafe(|| match body() {
        Ok(()) => REGAUTH_OK,
        Err(Stop::Status(status)) => status,
        Err(Stop::Error(said)) => {
            hand_out(error, *said);
            REGAUTH_FAILED
        }
    }))
    .unwrap_or(REGAUTH_PANIC)
}

/// The object of what C lends, without a count of its own.
pub(crate) fn peek<'a, C: Counted + 'a>(object: *const C) -> Result<&'a C::Value, regauth_status> {
    // SAFETY: as in `guard_quick`; the caller uses it within its own call.
    unsafe { object.as_ref() }.map(C::value).ok_or(REGAUTH_NULL)
}

/// Makes a type an exclusive object.
macro_rules! exclusive {
    ($name:ident, $state:ty, |$kept:ident, $said:ident| $keep:expr) => {
        impl crate::guard::Object for $name {
            type State = $state;
            fn wrap(inside: crate::guard::Exclusive<$state>) -> Self {
                Self(inside)
            }
            fn exclusive(&self) -> &crate::guard::Exclusive<$state> {
                &self.0
            }
            fn keep($kept: &mut $state, $said: crate::error::Said) {
                $keep;
            }
        }
    };
}
pub(crate) use exclusive;

/// Makes a type a shared object.
macro_rules! counted {
    ($name:ident, $value:ty) => {
        impl $name {
            #[allow(dead_code, reason = "not every shared object is made in one place")]
            pub(crate) fn new(value: $value) -> *mut Self {
                crate::guard::give_shared(Self(value, Default::default()))
            }
        }
        impl crate::guard::Counted for $name {
            type Value = $value;
            fn value(&self) -> &$value {
                &self.0
            }
            fn poisoned(&self) -> &std::sync::atomic::AtomicBool {
                &self.1
            }
        }
    };
}
pub(crate) use counted;

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
