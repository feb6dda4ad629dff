//! Connections that wait for their next request, by (origin, profile, proxy).

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use regauth::wire::{Link, LinkKey};

/// How long a request waits for a connection that is in use before it makes another one: an answer from close by is
/// there sooner, and a handshake costs more.
const GRACE: Duration = Duration::from_millis(50);
/// How long it waits where no connection of the kind has had an answer yet: the next one resumes the session of the
/// first, which that has to get first.
const FIRST: Duration = Duration::from_secs(3);
/// Servers close idle connections after 60 s and more; some proxies sooner.
const IDLE: Duration = Duration::from_secs(20);

/// The pool, shared by all threads.
#[derive(Default)]
pub(crate) struct Pool {
    slots: Mutex<HashMap<LinkKey, Slot>>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    idle: Vec<(Link, TcpStream, Instant)>,
    busy: usize,
    answered: bool,
}

/// A socket in use; counted until it is dropped or put back.
pub(crate) struct Socket<'p> {
    pub(crate) stream: TcpStream,
    lease: Lease<'p>,
}

/// The right to have one connection.
pub(crate) struct Lease<'p> {
    pool: &'p Pool,
    key: LinkKey,
}

/// What a request gets.
pub(crate) enum Turn<'p> {
    Pooled(Box<Link>, Socket<'p>),
    New(Lease<'p>),
}

impl Pool {
    fn slots(&self) -> MutexGuard<'_, HashMap<LinkKey, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pooled connection, or after a while leave to make one.
    pub(crate) fn take(&self, key: &LinkKey, pooled: bool) -> Turn<'_> {
        let begun = Instant::now();
        let mut slots = self.slots();
        loop {
            let slot = slots.entry(key.clone()).or_default();
            slot.idle.retain(|(_, _, since)| since.elapsed() < IDLE);
            if pooled && let Some((link, stream, _)) = slot.idle.pop() {
                slot.busy += 1;
                return Turn::Pooled(Box::new(link), Socket { stream, lease: Lease { pool: self, key: key.clone() } });
            }
            let limit = if slot.answered { GRACE } else { FIRST };
            let left = limit.saturating_sub(begun.elapsed());
            if !pooled || slot.busy == 0 || left.is_zero() {
                slot.busy += 1;
                return Turn::New(Lease { pool: self, key: key.clone() });
            }
            slots = self.changed.wait_timeout(slots, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<'p> Lease<'p> {
    pub(crate) fn socket(self, stream: TcpStream) -> Socket<'p> {
        Socket { stream, lease: self }
    }

    fn edit(&self, edit: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.pool.slots().get_mut(&self.key) {
            edit(slot);
        }
        self.pool.changed.notify_all();
    }
}

impl Socket<'_> {
    /// An answer came on it.
    pub(crate) fn answered(&self) {
        self.lease.edit(|slot| slot.answered = true);
    }

    /// Puts it aside for the next request.
    pub(crate) fn keep(self, link: Link) {
        let Self { stream, lease } = self;
        lease.edit(|slot| {
            slot.answered = true;
            slot.idle.push((link, stream, Instant::now()));
        });
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.edit(|slot| slot.busy = slot.busy.saturating_sub(1));
    }
}
