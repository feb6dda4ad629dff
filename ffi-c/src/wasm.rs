//! What a host of the WebAssembly module needs beside the ABI. Not in the header: C does not run there.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};
use std::task::{Wake, Waker};

use crate::data::{Out, regauth_status};
use crate::flow::regauth_flow;
use crate::guard::{guard, guard_free};
use crate::numbers::*;

/// Wide enough for every struct of the ABI.
const ALIGN: usize = 16;

/// `size` bytes for the host to write arguments to and to read results from, aligned for every struct; NULL where there
/// are none.
#[unsafe(no_mangle)]
pub extern "C" fn regauth_alloc(size: usize) -> *mut c_void {
    match Layout::from_size_align(size.max(1), ALIGN) {
        // SAFETY: the size is not 0.
        Ok(layout) => unsafe { alloc(layout) }.cast(),
        Err(_) => std::ptr::null_mut(),
    }
}

/// Frees what `regauth_alloc` gave for the same size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_dealloc(ptr: *mut c_void, size: usize) {
    if let (false, Ok(layout)) = (ptr.is_null(), Layout::from_size_align(size.max(1), ALIGN)) {
        // SAFETY: the host gives what it got from `regauth_alloc`, with its size.
        unsafe { dealloc(ptr.cast(), layout) };
    }
}

/// Flows that were woken and not told yet.
static WOKEN: Mutex<VecDeque<u64>> = Mutex::new(VecDeque::new());

struct Id(u64);

impl Wake for Id {
    fn wake(self: std::sync::Arc<Self>) {
        WOKEN.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.0);
    }
}

/// The waker of a flow puts `id` on a list, since the module imports nothing and so has nothing to call:
/// `regauth_woken`. Holds from the next poll on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_flow_wake_id(flow: *mut regauth_flow, id: u64) -> regauth_status {
    guard(flow, |state| {
        state.waker = Waker::from(std::sync::Arc::new(Id(id)));
        Ok(())
    })
}

/// Takes an id off that list; NONE when it is empty. To be asked until then after each call that may wake: answer,
/// credentials, helper_failed, failed and free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regauth_woken(out: *mut u64) -> regauth_status {
    guard_free(std::ptr::null_mut(), || {
        let out = Out::new(out)?;
        out.put(WOKEN.lock().unwrap_or_else(PoisonError::into_inner).pop_front().ok_or(REGAUTH_NONE)?);
        Ok(())
    })
}
