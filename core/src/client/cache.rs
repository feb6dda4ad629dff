//! What the flows of an agent share: remembered challenges, tokens, and who fetches them.
//!
//! Everything here is reached under one short lock. Wakers are handed out and called after it is released.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use super::credentials::{Credentials, Source, bearer};
use crate::error::Error;
use crate::origin::{Class, Origin, Url};
use crate::scope::{Scope, covers};
use crate::secret::Secret;
use crate::time::Time;

/// Milliseconds after which the duty of a flow that does not answer goes to the next one that polls: the usual limit of
/// one request.
pub(crate) const LEASE: u64 = 30_000;
/// Milliseconds for which a refusal of a token service is everybody's answer.
const SHARED_REFUSAL: u64 = 1_000;
/// No `Retry-After` keeps new flows away for longer, in milliseconds.
const MAX_SHARED_REFUSAL: u64 = 600_000;

/// What is remembered of a challenge: scheme, realm and service, nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Basic,
    Bearer { realm: Url, service: Arc<[u8]> },
}

/// A token, and what it was asked for.
#[derive(Debug)]
pub(crate) struct Token {
    /// The whole header value, `Bearer` and the token.
    pub(crate) header: Secret,
    pub(crate) asked: Arc<[Scope]>,
    /// The same, sorted: the name of its slot.
    name: Arc<[Scope]>,
    received: Time,
    life: u64,
    /// Whether it served a request: only then it is worth a renewal that nobody waits for.
    used: AtomicBool,
}

impl Token {
    pub(crate) fn new(token: &Secret, asked: Arc<[Scope]>, received: Time, seconds: u64) -> Self {
        let (name, life) = (key(&asked), seconds.saturating_mul(1000));
        Self { header: bearer(token), asked, name, received, life, used: AtomicBool::new(false) }
    }

    pub(crate) fn mark_used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// A token from the future is not trusted: the clock jumped back, and its life would be longer.
    pub(crate) fn is_live(&self, now: Time) -> bool {
        now >= self.received && now.since(self.received) < self.life
    }

    /// In the last tenth of its life, or past it.
    pub(crate) fn is_late(&self, now: Time) -> bool {
        self.used(now) >= self.life / 10 * 9
    }

    /// In the last fifth: a background task renews before any request has to.
    fn is_due(&self, now: Time) -> bool {
        self.used(now) >= self.life / 10 * 8
    }

    /// So fresh that a refusal is a matter of clocks.
    pub(crate) fn is_fresh(&self, now: Time) -> bool {
        self.used(now) <= 5_000
    }

    fn used(&self, now: Time) -> u64 {
        if now < self.received { self.life } else { now.since(self.received) }
    }
}

/// One who acts, and those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    holder: Option<(u64, Time)>,
    waiters: BTreeMap<u64, Waker>,
}

impl Gate {
    /// Takes the duty if nobody has it or its time is over; otherwise the waker is parked, and the time given at which
    /// the duty is free at the latest.
    pub(crate) fn enter(&mut self, flow: u64, now: Time, waker: &Waker) -> Result<(), Time> {
        match self.holder {
            Some((holder, until)) if holder != flow && now < until => {
                match self.waiters.get_mut(&flow) {
                    Some(parked) => parked.clone_from(waker),
                    None => drop(self.waiters.insert(flow, waker.clone())),
                }
                Err(until)
            }
            _ => {
                self.waiters.remove(&flow);
                self.holder = Some((flow, now.plus_millis(LEASE)));
                Ok(())
            }
        }
    }

    pub(crate) fn extend(&mut self, flow: u64, until: Time) {
        if let Some((holder, end)) = &mut self.holder
            && *holder == flow
        {
            *end = until.plus_millis(LEASE);
        }
    }

    pub(crate) fn is_held_by(&self, flow: u64) -> bool {
        self.holder.is_some_and(|(holder, _)| holder == flow)
    }

    fn is_held(&self, now: Time) -> bool {
        self.holder.is_some_and(|(_, until)| now < until)
    }

    /// Gives up the duty, or the waiting; those who have to be woken are returned.
    pub(crate) fn leave(&mut self, flow: u64) -> Vec<Waker> {
        self.waiters.remove(&flow);
        if !self.is_held_by(flow) {
            return Vec::new();
        }
        self.holder = None;
        std::mem::take(&mut self.waiters).into_values().collect()
    }
}

/// One set of scopes: whether somebody fetches its token, and what came of the last attempt.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) gate: Gate,
    token: Option<Arc<Token>>,
    refused: Option<(Error, Time)>,
    /// Attempts that the network swallowed, one after the other.
    lost: u32,
    lost_error: Option<Error>,
    not_before: Time,
}

/// What a flow that needs a token is told.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Send with this one.
    Use(Arc<Token>),
    /// Fetch it: the duty is this flow's. The old token is still good where there is one.
    Fetch(Option<Arc<Token>>),
    /// Somebody fetches it; so many attempts were lost before.
    Wait(Time, u32),
    /// The network failed twice; wait before the next attempt.
    BackOff(Time),
    /// The answer of the one who fetched it.
    Fail(Error),
}

/// The tokens of one (realm, service, credential source, identity fingerprint).
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) realm: Url,
    pub(crate) service: Arc<[u8]>,
    pub(crate) source: Source,
    pub(crate) fingerprint: [u8; 32],
    slots: HashMap<Arc<[Scope]>, Slot>,
    /// Live tokens by repository name; all others by resource. The newest last.
    repositories: HashMap<Box<str>, Vec<Arc<Token>>>,
    others: HashMap<Box<str>, Vec<Arc<Token>>>,
    newest: Option<Arc<Token>>,
    prune_at: usize,
}

/// A set of scopes as a key: sorted, so that order does not matter.
pub(crate) fn key(scopes: &[Scope]) -> Arc<[Scope]> {
    let mut sorted = scopes.to_vec();
    sorted.sort_unstable();
    sorted.into()
}

impl Table {
    pub(crate) fn is_for(&self, realm: &Url, service: &[u8], source: &Source, fingerprint: [u8; 32]) -> bool {
        self.realm == *realm && *self.service == *service && self.source == *source && self.fingerprint == fingerprint
    }

    fn shelf(&mut self, scope: &Scope) -> &mut Vec<Arc<Token>> {
        let resource = scope.resource();
        match resource.strip_prefix("repository:") {
            Some(name) => self.repositories.entry(name.into()).or_default(),
            None => self.others.entry(resource.into()).or_default(),
        }
    }

    /// The newest live token that covers these scopes.
    pub(crate) fn find(&self, now: Time, wanted: &[Scope]) -> Option<&Arc<Token>> {
        let Some(first) = wanted.first() else {
            return self.newest.as_ref().filter(|token| token.is_live(now));
        };
        let resource = first.resource();
        let shelf = match resource.strip_prefix("repository:") {
            Some(name) => self.repositories.get(name),
            None => self.others.get(resource),
        };
        shelf?.iter().rev().find(|token| token.is_live(now) && covers(&token.asked, wanted))
    }

    /// The same for one repository and its actions, without an allocation.
    pub(crate) fn find_plain(&self, now: Time, name: &str, actions: &str) -> Option<&Arc<Token>> {
        let serves = |token: &Token| {
            actions.split(',').all(|needed| {
                token.asked.iter().filter_map(Scope::parts).any(|(resource, granted)| {
                    resource.strip_prefix("repository:") == Some(name)
                        && granted.split(',').any(|action| action == needed || action == "*")
                })
            })
        };
        self.repositories.get(name)?.iter().rev().find(|token| token.is_live(now) && serves(token))
    }

    /// What to do for these scopes. `rejected` is a token that the registry refused; `parked` says that this flow waits here
    /// already, since so many attempts were lost.
    pub(crate) fn turn(
        &mut self,
        flow: u64,
        now: Time,
        waker: &Waker,
        wanted: &[Scope],
        rejected: Option<&Arc<Token>>,
        parked: Option<u32>,
    ) -> Turn {
        let found =
            self.find(now, wanted).filter(|token| !rejected.is_some_and(|old| Arc::ptr_eq(old, token))).cloned();
        let name = found.as_ref().map_or_else(|| key(wanted), |token| Arc::clone(&token.name));
        let slot = self.slots.entry(name).or_default();
        if let Some(token) = found {
            // One flow renews in the last tenth, the others go on with the old one.
            let busy = slot.gate.is_held(now) && !slot.gate.is_held_by(flow);
            if !token.is_late(now) || busy || now < slot.not_before {
                slot.gate.waiters.remove(&flow);
                return Turn::Use(token);
            }
            return match slot.gate.enter(flow, now, waker) {
                Ok(()) => Turn::Fetch(Some(token)),
                Err(_) => Turn::Use(token),
            };
        }
        if let Some((error, until)) = &slot.refused
            && now < *until
        {
            return Turn::Fail(error.clone());
        }
        if let (Some(before), Some(error)) = (parked, &slot.lost_error)
            && slot.lost >= 2
            && slot.lost > before
        {
            return Turn::Fail(error.clone());
        }
        if now < slot.not_before && !slot.gate.is_held_by(flow) {
            return Turn::BackOff(slot.not_before);
        }
        match slot.gate.enter(flow, now, waker) {
            Ok(()) => Turn::Fetch(None),
            Err(until) => Turn::Wait(until, slot.lost),
        }
    }

    /// The live token in a slot.
    pub(crate) fn held(&self, name: &[Scope]) -> Option<Arc<Token>> {
        self.slots.get(&key(name))?.token.clone()
    }

    /// Gives up a flow's duty or place in the queue of a slot.
    pub(crate) fn leave(&mut self, name: &Arc<[Scope]>, flow: u64) -> Vec<Waker> {
        self.slots.get_mut(name).map(|slot| slot.gate.leave(flow)).unwrap_or_default()
    }

    pub(crate) fn slot(&mut self, name: &Arc<[Scope]>) -> &mut Slot {
        self.slots.entry(Arc::clone(name)).or_default()
    }

    /// Puts a token in its place, and takes the one it replaces out.
    pub(crate) fn store(&mut self, now: Time, token: &Arc<Token>) {
        if self.slots.len() >= self.prune_at {
            self.prune(now);
        }
        let slot = self.slot(&token.name);
        (slot.refused, slot.lost, slot.lost_error, slot.not_before) = (None, 0, None, Time(0));
        if let Some(old) = slot.token.replace(Arc::clone(token)) {
            self.unshelve(&old);
        }
        for scope in token.asked.iter() {
            let shelf = self.shelf(scope);
            shelf.retain(|old| old.is_live(now) && !Arc::ptr_eq(old, token));
            shelf.push(Arc::clone(token));
        }
        self.newest = Some(Arc::clone(token));
    }

    /// Takes a refused token out, if it is still the one in its place.
    pub(crate) fn reject(&mut self, token: &Arc<Token>) {
        self.unshelve(token);
        if let Some(slot) = self.slots.get_mut(&token.name) {
            slot.token.take_if(|kept| Arc::ptr_eq(kept, token));
        }
    }

    fn unshelve(&mut self, token: &Arc<Token>) {
        for scope in token.asked.iter() {
            self.shelf(scope).retain(|kept| !Arc::ptr_eq(kept, token));
        }
        self.newest.take_if(|kept| Arc::ptr_eq(kept, token));
    }

    /// Forgets what has run out, so that a long life does not grow.
    fn prune(&mut self, now: Time) {
        self.slots.retain(|_, slot| {
            let idle = slot.gate.holder.is_none() && slot.gate.waiters.is_empty();
            !idle || now < slot.not_before || slot.token.as_ref().is_some_and(|token| token.is_live(now))
        });
        for shelves in [&mut self.repositories, &mut self.others] {
            shelves.retain(|_, shelf| {
                shelf.retain(|token| token.is_live(now));
                !shelf.is_empty()
            });
        }
        self.prune_at = (self.slots.len() * 2).max(64);
    }

    /// A set of scopes that is in use and whose token should be renewed, and the time before which there is none.
    fn due(&self, now: Time) -> Result<Arc<[Scope]>, Time> {
        let mut next = Time(u64::MAX);
        for slot in self.slots.values().filter(|slot| !slot.gate.is_held(now)) {
            let wanted = |token: &&Arc<Token>| token.is_live(now) && token.used.load(Ordering::Relaxed);
            let Some(token) = slot.token.as_ref().filter(wanted) else { continue };
            if token.is_due(now) && now >= slot.not_before {
                return Ok(Arc::clone(&token.asked));
            }
            next = next.min(token.received.plus_millis(token.life / 10 * 8).max(slot.not_before));
        }
        Err(next)
    }
}

impl Slot {
    /// The token service refused: everybody's answer for a while.
    pub(crate) fn refuse(&mut self, now: Time, error: Error, retry_at: Option<Time>) {
        let until = retry_at.unwrap_or(now).max(now.plus_millis(SHARED_REFUSAL));
        self.refused = Some((error, until.min(now.plus_millis(MAX_SHARED_REFUSAL))));
    }

    /// The network swallowed an attempt. After two, those who wait get the error and new ones back off: 1 s, 2 s, up to
    /// 30 s.
    pub(crate) fn lose(&mut self, now: Time, error: Error) {
        self.lost += 1;
        self.lost_error = Some(error);
        if self.lost >= 2 {
            self.not_before = now.plus_seconds((1 << (self.lost - 2).min(5)).min(30));
        }
    }
}

/// A refresh token that a service returned, for its realm only; one grant at a time.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) realm: Url,
    pub(crate) source: Source,
    pub(crate) gate: Gate,
    pub(crate) stored: Option<Arc<Secret>>,
}

/// What is known of one registry.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) origin: Origin,
    /// The remembered challenge, and whether it stood on an answer that needed no credentials.
    pub(crate) memory: Option<(Memory, bool)>,
    pub(crate) class: Option<Class>,
    pub(crate) found: Option<(Arc<Credentials>, Option<Time>)>,
    pub(crate) lookup: Gate,
    pub(crate) vaults: Vec<Vault>,
    pub(crate) tables: Vec<Table>,
}

impl Registry {
    fn new(origin: Origin) -> Self {
        Self {
            origin,
            memory: None,
            class: None,
            found: None,
            lookup: Gate::default(),
            vaults: Vec::new(),
            tables: Vec::new(),
        }
    }

    pub(crate) fn table(&mut self, realm: &Url, service: &Arc<[u8]>, source: &Source, fingerprint: [u8; 32]) -> usize {
        if let Some(place) = self.tables.iter().position(|table| table.is_for(realm, service, source, fingerprint)) {
            return place;
        }
        self.tables.push(Table {
            realm: realm.clone(),
            service: Arc::clone(service),
            source: source.clone(),
            fingerprint,
            slots: HashMap::new(),
            repositories: HashMap::new(),
            others: HashMap::new(),
            newest: None,
            prune_at: 64,
        });
        self.tables.len() - 1
    }

    pub(crate) fn vault(&mut self, realm: &Url, source: &Source) -> usize {
        if let Some(place) = self.vaults.iter().position(|vault| vault.realm == *realm && vault.source == *source) {
            return place;
        }
        self.vaults.push(Vault { realm: realm.clone(), source: source.clone(), gate: Gate::default(), stored: None });
        self.vaults.len() - 1
    }

    /// The looked-up credentials, while they are valid.
    pub(crate) fn known(&self, now: Time) -> Option<&Arc<Credentials>> {
        let (credentials, until) = self.found.as_ref()?;
        until.is_none_or(|until| now < until).then_some(credentials)
    }
}

/// Everything that is shared.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// By the origin's text, so that a URL in normal form is looked up without being parsed.
    pub(crate) registries: HashMap<Box<str>, Registry>,
    /// Realms that do not understand POST.
    pub(crate) no_post: HashSet<Url>,
    next_due: Time,
}

impl Shared {
    pub(crate) fn registry(&mut self, origin: &Origin) -> &mut Registry {
        self.registries.entry(origin.to_string().into()).or_insert_with(|| Registry::new(origin.clone()))
    }

    /// The next renewal: registry, table and scopes.
    pub(crate) fn due(&mut self, now: Time) -> Option<(Origin, usize, Arc<[Scope]>)> {
        // Looked through once a second at the most; a clock that jumped back does not put it off for longer.
        if now < self.next_due && self.next_due.since(now) <= 1000 {
            return None;
        }
        let mut soonest = Time(u64::MAX);
        for registry in self.registries.values() {
            for (place, table) in registry.tables.iter().enumerate() {
                match table.due(now) {
                    Ok(scopes) => return Some((registry.origin.clone(), place, scopes)),
                    Err(at) => soonest = soonest.min(at),
                }
            }
        }
        self.next_due = soonest.min(now.plus_seconds(1));
        None
    }
}
