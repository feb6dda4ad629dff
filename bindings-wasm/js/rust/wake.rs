//! Wakers. A JavaScript callback is not `Send`, so a waker puts the number of its flow on a list, which the package
//! empties in a microtask.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use wasm_bindgen::prelude::wasm_bindgen;

static WOKEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static NEXT: AtomicU32 = AtomicU32::new(1);

struct Number(u32);

impl Wake for Number {
    fn wake(self: Arc<Self>) {
        WOKEN.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

/// A number, and the waker that puts it on the list.
pub(crate) fn waker() -> (u32, Waker) {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    (number, Waker::from(Arc::new(Number(number))))
}

/// Empties the list.
#[wasm_bindgen]
pub fn take_woken() -> Vec<u32> {
    std::mem::take(&mut *WOKEN.lock().unwrap_or_else(PoisonError::into_inner))
}
