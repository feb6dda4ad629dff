//! Where an image is looked for: its mirrors in their order, then its registry. Where one fails, the next one is asked.

use std::sync::atomic::{AtomicBool, Ordering};

use regauth::{Agent, Capability, Endpoint, Reference};

use crate::failure::{Exit, Failure};
use crate::progress::Progress;

/// The endpoints of an image.
pub(crate) struct Places {
    places: Vec<Place>,
    image: String,
}

struct Place {
    endpoint: Endpoint,
    /// Nobody answers there: it is asked no more in this run.
    down: AtomicBool,
}

impl Places {
    /// Those that the agent's configuration gives.
    pub(crate) fn of(agent: &Agent, image: &Reference) -> Self {
        let place = |endpoint| Place { endpoint, down: AtomicBool::new(false) };
        let places = agent.all_endpoints(image).into_iter().map(place).collect();
        Self { places, image: image.to_string() }
    }

    /// Does something at the first endpoint that can do it. Where that fails, at the next one, as containerd and BuildKit
    /// do, and says so. `stop`: the result is of no use any more.
    pub(crate) fn first<T>(
        &self,
        want: Capability,
        progress: &Progress,
        stop: &AtomicBool,
        mut work: impl FnMut(&Endpoint) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let able = || self.places.iter().filter(|place| place.endpoint.capabilities.contains(&want));
        let up = || able().filter(|place| !place.down.load(Ordering::Relaxed));
        // Where all are down, the last one says why once more.
        let tried: Vec<&Place> =
            if up().next().is_some() { up().collect() } else { able().last().into_iter().collect() };
        let mut tried = tried.into_iter().peekable();
        while let Some(place) = tried.next() {
            let failure = match work(&place.endpoint) {
                Err(failure) if goes_on(&failure) && !stop.load(Ordering::Relaxed) => failure,
                result => return result,
            };
            place.down.fetch_or(failure.exit == Exit::Network, Ordering::Relaxed);
            let Some(next) = tried.peek() else { return Err(failure) };
            progress.say(&format!("{}: {failure} Asking {}.", place.endpoint.origin, next.endpoint.origin));
        }
        let what = format!("no endpoint of {} may be asked for it ({})", self.image, want.as_str());
        Err(Failure::new(Exit::Input, what, "Check the capabilities of its mirrors and of its server."))
    }
}

/// Whether another endpoint may do better. Content that is not what its digest says is no reason to pass over it.
const fn goes_on(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Network | Exit::Refused | Exit::Policy | Exit::Input)
}
