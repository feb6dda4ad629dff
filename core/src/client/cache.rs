//! What the flows of an agent share: remembered challenges, tokens, and who fetches them.
//!
//! Everything here is reached under one short lock. Wakers are handed out and called after it is released.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use super::credentials::{Credentials, Source};
use super::quick::Quick;
use super::shelf::Shelf;
use super::slot::{Gate, Slot, Turn};
use crate::origin::{Class, Origin, Url};
use crate::scope::{Actions, Scope, covers, is_repository};
use crate::secret::Secret;
use crate::time::Time;

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
    received: Time,
    life: u64,
    /// Whether it served a request: only then it is worth a renewal that nobody waits for.
    used: AtomicBool,
    /// The most that it was seen to be old, and what the clock has jumped back since its receipt, in milliseconds.
    seen: AtomicU64,
    jumped: AtomicU64,
}

/// Realms and services of one registry that are kept, each with its tokens: a server may name new ones with each answer.
const MAX_CHALLENGES: usize = 512;

/// Milliseconds that the readings of one clock may be apart, where threads read it and one of them is slow to use it.
const APART: u64 = 1_000;

impl Token {
    pub(crate) const fn new(header: Secret, asked: Arc<[Scope]>, received: Time, seconds: u64) -> Self {
        let (used, seen, jumped) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        Self { header, asked, received, life: seconds.saturating_mul(1000), used, seen, jumped }
    }

    /// The name of its slot.
    fn name(&self) -> Arc<[Scope]> {
        shared_key(&self.asked)
    }

    pub(crate) fn mark_used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_live(&self, now: Time) -> bool {
        self.age(now) < self.life
    }

    /// In the last tenth of its life, or past it.
    pub(crate) fn is_late(&self, now: Time) -> bool {
        self.age(now) >= self.life / 10 * 9
    }

    /// When the last fifth begins, if it serves requests: a background task renews before any of them has to.
    pub(crate) fn due(&self, now: Time) -> Option<Time> {
        let wanted = self.is_live(now) && self.used.load(Ordering::Relaxed);
        wanted.then(|| self.received.plus_millis(self.life / 10 * 8))
    }

    /// So fresh that a refusal is a matter of clocks.
    pub(crate) fn is_fresh(&self, now: Time) -> bool {
        self.age(now) <= 5_000
    }

    /// Milliseconds of its life that are over, all where it comes from the future. A clock that jumps back never lengthens
    /// the life: what was seen to be over stays so.
    fn age(&self, now: Time) -> u64 {
        if now.plus_millis(APART) < self.received {
            return self.life;
        }
        let age = now.since(self.received).saturating_add(self.jumped.load(Ordering::Relaxed));
        let seen = self.seen.load(Ordering::Relaxed);
        if age > seen {
            self.seen.store(age, Ordering::Relaxed);
        } else if age.saturating_add(APART) < seen {
            self.jumped.fetch_add(seen - age, Ordering::Relaxed);
        }
        age.max(seen)
    }
}

/// The tokens of one (realm, service, credential source, identity fingerprint).
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in flows that fetch: others may be taken out meanwhile.
    pub(crate) id: usize,
    pub(crate) realm: Url,
    pub(crate) service: Arc<[u8]>,
    pub(crate) source: Source,
    pub(crate) fingerprint: [u8; 32],
    slots: HashMap<Arc<[Scope]>, Slot, Quick>,
    /// Live tokens by repository, where the name is one of the OCI grammar; all others by resource.
    repositories: HashMap<Box<str>, Shelf, Quick>,
    others: HashMap<Box<str>, Shelf, Quick>,
    newest: Option<Arc<Token>>,
    prune_at: usize,
}

/// A set of scopes as a key: sorted, so that order does not matter.
pub(crate) fn key(scopes: &[Scope]) -> Arc<[Scope]> {
    let mut sorted: Arc<[Scope]> = scopes.into();
    Arc::make_mut(&mut sorted).sort_unstable();
    sorted
}

/// The same of scopes that are shared: mostly they are sorted, and shared once more.
pub(crate) fn shared_key(scopes: &Arc<[Scope]>) -> Arc<[Scope]> {
    if scopes.is_sorted() { Arc::clone(scopes) } else { key(scopes) }
}

/// The repository that a resource names.
fn repository(resource: &str) -> Option<&str> {
    resource.strip_prefix("repository:").filter(|name| is_repository(name))
}

impl Table {
    pub(crate) fn is_for(&self, realm: &Url, service: &[u8], source: &Source, fingerprint: [u8; 32]) -> bool {
        self.realm == *realm && *self.service == *service && self.source == *source && self.fingerprint == fingerprint
    }

    fn shelf(&self, resource: &str) -> Option<&Shelf> {
        match repository(resource) {
            Some(name) => self.repositories.get(name),
            None => self.others.get(resource),
        }
    }

    fn shelf_mut(&mut self, resource: &str) -> Option<&mut Shelf> {
        match repository(resource) {
            Some(name) => self.repositories.get_mut(name),
            None => self.others.get_mut(resource),
        }
    }

    /// The newest live token that covers these scopes.
    pub(crate) fn find(&self, now: Time, wanted: &[Scope]) -> Option<&Arc<Token>> {
        let Some(first) = wanted.first() else {
            return self.newest.as_ref().filter(|token| token.is_live(now));
        };
        self.shelf(first.resource())?.tokens().find(|token| token.is_live(now) && covers(&token.asked, wanted))
    }

    /// The same for one repository, without an allocation. A name that breaks the grammar has no tokens here.
    pub(crate) fn find_plain(&self, now: Time, name: &str, actions: Actions) -> Option<&Arc<Token>> {
        self.repositories.get(name)?.find(now, actions)
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
        let name = found.as_ref().map_or_else(|| key(wanted), |token| token.name());
        // Refusals take slots too, and clients of a proxy choose their names.
        if found.is_none() {
            self.prune_if_grown(now);
        }
        let entry = self.slots.entry(name);
        let name = Arc::clone(entry.key());
        entry.or_default().turn(flow, now, waker, name, found, parked)
    }

    /// Whether nobody fetches or waits here.
    fn is_idle(&self) -> bool {
        self.slots.values().all(Slot::is_idle)
    }

    /// The live token in a slot.
    pub(crate) fn held(&self, name: &[Scope]) -> Option<Arc<Token>> {
        self.slots.get(&key(name))?.token.clone()
    }

    /// Gives up a flow's duty or place in the queue of a slot.
    pub(crate) fn leave(&mut self, name: &Arc<[Scope]>, flow: u64) -> Vec<Waker> {
        self.slots.get_mut(name).map(|slot| slot.leave(flow)).unwrap_or_default()
    }

    pub(crate) fn slot(&mut self, name: &Arc<[Scope]>) -> &mut Slot {
        self.slots.entry(Arc::clone(name)).or_default()
    }

    /// Puts a token in its place, takes the one it replaces out, and ends the duty of the flow that fetched it. Those who
    /// have to be woken are returned.
    pub(crate) fn store(&mut self, now: Time, token: &Arc<Token>, flow: u64) -> Vec<Waker> {
        self.prune_if_grown(now);
        let (old, woken) = self.slots.entry(token.name()).or_default().store(token, flow);
        for scope in token.asked.iter() {
            let (resource, actions) = scope.parts().unwrap_or((scope.as_str(), ""));
            let (shelves, name) = match repository(resource) {
                Some(name) => (&mut self.repositories, name),
                None => (&mut self.others, resource),
            };
            // The one it replaces has the same scopes, so it is on the same shelves.
            let keep = |kept: &Arc<Token>| kept.is_live(now) && old.as_ref().is_none_or(|old| !Arc::ptr_eq(kept, old));
            match shelves.get_mut(name) {
                Some(shelf) => {
                    shelf.retain(keep);
                    shelf.put(Actions::of(actions), token);
                }
                None => {
                    shelves.entry(name.into()).or_default().put(Actions::of(actions), token);
                }
            }
        }
        self.newest = Some(Arc::clone(token));
        woken
    }

    /// Takes a refused token out, if it is still the one in its place.
    pub(crate) fn reject(&mut self, token: &Arc<Token>) {
        self.unshelve(token);
        if let Some(slot) = self.slots.get_mut(&token.name()) {
            slot.token.take_if(|kept| Arc::ptr_eq(kept, token));
        }
    }

    fn unshelve(&mut self, token: &Arc<Token>) {
        for scope in token.asked.iter() {
            if let Some(shelf) = self.shelf_mut(scope.resource()) {
                shelf.retain(|kept| !Arc::ptr_eq(kept, token));
            }
        }
        self.newest.take_if(|kept| Arc::ptr_eq(kept, token));
    }

    /// Forgets what has run out, so that a long life does not grow.
    fn prune_if_grown(&mut self, now: Time) {
        if self.slots.len() < self.prune_at {
            return;
        }
        self.slots.retain(|_, slot| slot.is_busy(now) || slot.token.as_ref().is_some_and(|token| token.is_live(now)));
        for shelves in [&mut self.repositories, &mut self.others] {
            shelves.retain(|_, shelf| {
                shelf.retain(|token| token.is_live(now));
                !shelf.is_empty()
            });
        }
        self.prune_at = (self.slots.len() * 2).max(64);
    }

    /// Adds the names of slots that are in use and whose token should be renewed; the time before which there are no more.
    fn due(&self, now: Time, names: &mut Vec<Arc<[Scope]>>) -> Time {
        let mut next = Time(u64::MAX);
        for (name, slot) in &self.slots {
            match slot.due(now) {
                Some(at) if at <= now => names.push(Arc::clone(name)),
                Some(at) => next = next.min(at),
                None => {}
            }
        }
        next
    }
}

/// A refresh token that a service returned, for its realm only; one grant at a time.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) realm: Url,
    pub(crate) source: Source,
    pub(crate) gate: Gate,
    pub(crate) stored: Option<Arc<Secret>>,
    /// The credentials that the first of them was given for: of others it is none.
    pub(crate) from: Option<Arc<Credentials>>,
}

/// The look-up of credentials by one helper, or by the host: one flow does it for all.
#[derive(Debug)]
pub(crate) struct Lookup {
    source: Source,
    pub(crate) gate: Gate,
    pub(crate) found: Option<(Arc<Credentials>, Option<Time>)>,
}

/// What is known of one registry.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) origin: Origin,
    /// The remembered challenge, and whether it stood on an answer that needed no credentials.
    pub(crate) memory: Option<(Memory, bool)>,
    pub(crate) class: Option<Class>,
    pub(crate) lookups: Vec<Lookup>,
    pub(crate) vaults: Vec<Vault>,
    pub(crate) tables: Vec<Table>,
    table_id: usize,
    /// The table that the warm path looks into; nothing where configuration or challenge changed since it was found.
    pub(crate) warm: Option<usize>,
}

impl Registry {
    fn new(origin: Origin) -> Self {
        Self {
            origin,
            memory: None,
            class: None,
            lookups: Vec::new(),
            vaults: Vec::new(),
            tables: Vec::new(),
            table_id: 0,
            warm: None,
        }
    }

    pub(crate) fn remember(&mut self, memory: Memory, optional: bool) {
        self.memory = Some((memory, optional));
        self.warm = None;
    }

    pub(crate) fn table(&mut self, realm: &Url, service: &Arc<[u8]>, source: &Source, fingerprint: [u8; 32]) -> usize {
        if let Some(table) = self.tables.iter().find(|table| table.is_for(realm, service, source, fingerprint)) {
            return table.id;
        }
        if self.tables.len() >= MAX_CHALLENGES
            && let Some(place) = self.tables.iter().position(Table::is_idle)
        {
            self.tables.remove(place);
            self.warm = None;
        }
        self.table_id += 1;
        self.tables.push(Table {
            id: self.table_id,
            realm: realm.clone(),
            service: Arc::clone(service),
            source: source.clone(),
            fingerprint,
            slots: HashMap::default(),
            repositories: HashMap::default(),
            others: HashMap::default(),
            newest: None,
            prune_at: 64,
        });
        self.table_id
    }

    /// The table of this id, unless it was taken out.
    pub(crate) fn table_of(&mut self, id: usize) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.id == id)
    }

    pub(crate) fn vault(&mut self, realm: &Url, source: &Source) -> usize {
        if let Some(place) = self.vaults.iter().position(|vault| vault.realm == *realm && vault.source == *source) {
            return place;
        }
        if self.vaults.len() >= MAX_CHALLENGES {
            self.vaults.retain(|vault| vault.stored.is_some() || !vault.gate.is_idle());
        }
        self.vaults.push(Vault {
            realm: realm.clone(),
            source: source.clone(),
            gate: Gate::default(),
            stored: None,
            from: None,
        });
        self.vaults.len() - 1
    }

    /// The look-up of one source; `None` for a source that needs none.
    pub(crate) fn lookup(&mut self, source: &Source) -> Option<&mut Lookup> {
        if !self.lookups.iter().any(|lookup| lookup.source == *source) {
            if !matches!(source, Source::Ask(_)) {
                return None;
            }
            self.lookups.push(Lookup { source: source.clone(), gate: Gate::default(), found: None });
        }
        self.lookups.iter_mut().find(|lookup| lookup.source == *source)
    }

    /// The looked-up credentials of a source, while they are valid.
    pub(crate) fn known(&self, source: &Source, now: Time) -> Option<&Arc<Credentials>> {
        let lookup = self.lookups.iter().find(|lookup| lookup.source == *source)?;
        let (credentials, until) = lookup.found.as_ref()?;
        until.is_none_or(|until| now < until).then_some(credentials)
    }

    /// Looked-up credentials are not used again.
    pub(crate) fn forget(&mut self) {
        self.lookups.iter_mut().for_each(|lookup| lookup.found = None);
    }
}

/// Whether the tokens of a table are those of the configuration of now, for these scopes.
pub(crate) type Current<'a> = &'a dyn Fn(&Origin, &Table, &[Scope]) -> bool;

/// Everything that is shared.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// By the origin's text, so that a URL in normal form is looked up without being parsed.
    pub(crate) registries: HashMap<Arc<str>, Registry, Quick>,
    /// Realms that do not understand POST.
    no_post: Vec<Url>,
    next_due: Time,
    /// What was due when all was looked through: registry, table and slot.
    renewals: Vec<(Origin, usize, Arc<[Scope]>)>,
}

impl Shared {
    pub(crate) fn registry(&mut self, origin: &Origin) -> &mut Registry {
        self.registries.entry(Arc::clone(origin.text())).or_insert_with(|| Registry::new(origin.clone()))
    }

    /// Whether this realm understands POST, as far as is known.
    pub(crate) fn takes_post(&self, realm: &Url) -> bool {
        !self.no_post.contains(realm)
    }

    pub(crate) fn remember_no_post(&mut self, realm: Url) {
        if self.takes_post(&realm) {
            if self.no_post.len() >= MAX_CHALLENGES {
                self.no_post.remove(0);
            }
            self.no_post.push(realm);
        }
    }

    /// The next renewal: registry, table and scopes. Only those are renewed that are `current`.
    pub(crate) fn due(&mut self, now: Time, current: Current<'_>) -> Option<(Origin, usize, Arc<[Scope]>)> {
        let found = self.renewal(now, current);
        // Looked through once a second at the most; a clock that jumped back does not put it off for longer.
        if found.is_some() || (now < self.next_due && self.next_due.since(now) <= 1000) {
            return found;
        }
        self.next_due = now.plus_seconds(1);
        for registry in self.registries.values() {
            for table in &registry.tables {
                let mut names = Vec::new();
                self.next_due = self.next_due.min(table.due(now, &mut names));
                self.renewals.extend(names.into_iter().map(|name| (registry.origin.clone(), table.id, name)));
            }
        }
        self.renewal(now, current)
    }

    /// The next of those that were found due and still are.
    fn renewal(&mut self, now: Time, current: Current<'_>) -> Option<(Origin, usize, Arc<[Scope]>)> {
        while let Some((origin, id, name)) = self.renewals.pop() {
            let registry = self.registries.get_mut(origin.text());
            let table = registry.and_then(|registry| registry.table_of(id)).map(|table| &*table);
            let slot = table.filter(|table| current(&origin, table, &name)).and_then(|table| table.slots.get(&name));
            if let Some(slot) = slot.filter(|slot| slot.due(now).is_some_and(|at| at <= now)) {
                let asked = slot.token.as_ref().map_or(name, |token| Arc::clone(&token.asked));
                return Some((origin, id, asked));
            }
        }
        None
    }
}
