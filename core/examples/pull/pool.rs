//! Connections that wait for their next request, by (origin, profile, proxy).

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use regauth::wire::{Link, LinkKey};

/// How long a request waits for a connection that is in use before it makes another one, unless all of them are known to
/// be in use for long: an answer from close by is there sooner, and a handshake costs more.
const GRACE: Duration = Duration::from_millis(50);
/// How long it waits where no connection of the kind has had an answer yet: the next one resumes the session of the
/// first, which that has to get first.
const FIRST: Duration = Duration::from_secs(3);
/// What is worth waiting for to the end, in bytes of content.
const SHORT: u64 = 64 * 1024;
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
    /// Those of the busy ones that will be so for long.
    long: usize,
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
    long: bool,
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
                return Turn::Pooled(
                    Box::new(link),
                    Socket { stream, lease: Lease { pool: self, key: key.clone(), long: false } },
                );
            }
            let limit = match slot {
                Slot { answered: false, .. } => FIRST,
                Slot { busy, long, .. } if busy == long => Duration::ZERO,
                _ => GRACE,
            };
            let left = limit.saturating_sub(begun.elapsed());
            if !pooled || slot.busy == 0 || left.is_zero() {
                slot.busy += 1;
                return Turn::New(Lease { pool: self, key: key.clone(), long: false });
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
    /// The head of an answer came on it, with so much content behind it, if that is known.
    pub(crate) fn answered(&mut self, length: Option<u64>) {
        let long = !self.lease.long && length.is_none_or(|length| length > SHORT);
        self.lease.long |= long;
        self.lease.edit(|slot| {
            slot.answered = true;
            slot.long += usize::from(long);
        });
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
        self.edit(|slot| {
            slot.busy = slot.busy.saturating_sub(1);
            slot.long = slot.long.saturating_sub(usize::from(self.long));
        });
    }
}
