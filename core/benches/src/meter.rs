//! CPU time and allocations of this process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::time::{ClockId, clock_gettime};

static CALLS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts calls and the bytes that are live, then asks the system.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(size, Ordering::Relaxed);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Bytes that are live.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// What something costs once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// The figure that is compared: nanoseconds, bytes, requests.
    pub(crate) figure: f64,
    pub(crate) allocations: f64,
}

/// Does `work` so many times, and says what one of them costs in CPU time of the process.
pub(crate) fn cost(times: usize, mut work: impl FnMut()) -> Cost {
    let mut watch = Watch::default();
    watch.time(|| (0..times).for_each(|_| work()));
    watch.cost(times)
}

/// Adds up what is spent in several pieces.
#[derive(Default)]
pub(crate) struct Watch {
    nanoseconds: u64,
    allocations: usize,
}

impl Watch {
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (calls, start) = (CALLS.load(Ordering::Relaxed), now());
        let result = work();
        self.nanoseconds += now() - start;
        self.allocations += CALLS.load(Ordering::Relaxed) - calls;
        result
    }

    /// One of so many times.
    pub(crate) fn cost(&self, times: usize) -> Cost {
        let each = |sum: f64| sum / times as f64;
        Cost { figure: each(self.nanoseconds as f64), allocations: each(self.allocations as f64) }
    }
}

/// CPU time of the process, in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
