//! Wakers that call Python.

use std::sync::Arc;
use std::task::{Wake, Waker};

use pyo3::prelude::*;

struct Callback(Py<PyAny>);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // None where the interpreter is going down, and then nobody waits any more.
        let _ = Python::try_attach(|py| {
            if let Err(error) = self.0.call0(py) {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

/// A waker that calls `wake`, if there is one.
pub fn waker(wake: Option<Bound<'_, PyAny>>) -> Waker {
    wake.map_or_else(|| Waker::noop().clone(), |wake| Waker::from(Arc::new(Callback(wake.unbind()))))
}
