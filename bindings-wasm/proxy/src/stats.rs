//! Counters, told to the proxy once a tick: a request that is served from the cache makes no host call for them.

use crate::abi;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    /// Requests that got their token without asking anybody.
    Hit = 0,
    /// Token requests that were sent.
    Token = 1,
    /// Answers of another worker's token request that were used.
    Shared = 2,
    /// Requests that were answered by 4xx here.
    Refused = 3,
    /// Requests that were answered by 5xx here.
    Error = 4,
}

const NAMES: [&str; 5] =
    ["regauth.cache_hits", "regauth.token_calls", "regauth.token_shared", "regauth.refusals", "regauth.errors"];

#[derive(Debug, Default)]
pub(crate) struct Stats([(Option<u32>, u32); NAMES.len()]);

impl Stats {
    pub(crate) fn define() -> Self {
        Self(NAMES.map(|name| (abi::counter(name).ok(), 0)))
    }

    pub(crate) fn add(&mut self, count: Count) {
        if let Some((_, pending)) = self.0.get_mut(count as usize) {
            *pending = pending.saturating_add(1);
        }
    }

    /// Tells the proxy what was counted since the last time.
    pub(crate) fn tell(&mut self) {
        for (counter, pending) in &mut self.0 {
            if let (Some(counter), 1..) = (*counter, *pending)
                && abi::count(counter, *pending).is_ok()
            {
                *pending = 0;
            }
        }
    }
}
