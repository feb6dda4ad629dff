//! Wakers that call C.

use std::ffi::c_void;
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Called when a wait may be over, from whichever thread ended it and perhaps more than once. It must not call the
/// library and must not block: set a flag, write to a pipe, signal a condition variable.
pub type regauth_wake_fn = Option<unsafe extern "C" fn(arg: *mut c_void)>;

/// Called once when the library has no more use for the argument of a callback, from any thread, perhaps after the
/// object was freed. It must not call the library.
pub type regauth_drop_fn = Option<unsafe extern "C" fn(arg: *mut c_void)>;

/// The argument of a callback, with the function that ends it.
pub(crate) struct Argument {
    pub(crate) arg: *mut c_void,
    drop: regauth_drop_fn,
}

// SAFETY: the header says that callbacks are called from any thread, so their argument may go to any.
unsafe impl Send for Argument {}
// SAFETY: as for Send; the library itself never looks behind the pointer.
unsafe impl Sync for Argument {}

impl Argument {
    pub(crate) fn new(arg: *mut c_void, drop: regauth_drop_fn) -> Self {
        Self { arg, drop }
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: a function of C with the argument that belongs to it, for the only time.
            unsafe { drop(self.arg) };
        }
    }
}

struct Call {
    wake: unsafe extern "C" fn(arg: *mut c_void),
    argument: Argument,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // SAFETY: a function of C with the argument that belongs to it, which has not been dropped.
        unsafe { (self.wake)(self.argument.arg) };
    }
}

/// A waker that calls `wake`, or nothing where that is NULL. The argument is dropped with the last copy of the waker.
pub(crate) fn waker(wake: regauth_wake_fn, argument: Argument) -> Waker {
    match wake {
        Some(wake) => Waker::from(Arc::new(Call { wake, argument })),
        None => Waker::noop().clone(),
    }
}
