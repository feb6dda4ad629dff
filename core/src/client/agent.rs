//! The agent: what all flows share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::cache::{Memory, Registry, Shared, Table};
use super::config::Config;
use super::flow::Flow;
use super::hop::{Chain, Hop};
use crate::error::Error;
use crate::origin::{Origin, Url};
use crate::scope::{self, Scope};
use crate::time::Time;
use crate::tls::{Profile, ProfileId};

/// What the flows of one program share: configuration, tokens, remembered challenges.
///
/// Cheap to clone, `Send` and `Sync`. Nothing is locked while a host does what a step says, nor while a waker is
/// called.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    config: Mutex<Arc<Config>>,
    shared: Mutex<Shared>,
    profiles: Mutex<Profiles>,
    flows: AtomicU64,
}

/// Which settings a profile is made of: the origin whose entry gives the TLS settings, and the one whose entry gives
/// the identity.
type Slot = (Option<Origin>, Option<Origin>);

#[derive(Default)]
struct Profiles {
    next: u32,
    known: Vec<Known>,
}

struct Known {
    id: ProfileId,
    config: Weak<Config>,
    slot: Slot,
    profile: Profile,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// An agent with this configuration.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        Ok(Self(Arc::new(Inner {
            config: Mutex::new(Arc::new(config)),
            shared: Mutex::default(),
            profiles: Mutex::default(),
            flows: AtomicU64::new(0),
        })))
    }

    /// Replaces the configuration: new certificates, new passwords. A flow keeps the one it began with; a connection
    /// made from now on uses the newest profile of its origin ([`Agent::newest`]).
    pub fn replace(&self, config: Config) -> Result<(), Error> {
        config.check()?;
        *lock(&self.0.config) = Arc::new(config);
        for registry in self.shared().registries.values_mut() {
            registry.forget();
            registry.warm = None;
        }
        lock(&self.0.profiles).known.retain(|known| known.config.strong_count() > 0);
        Ok(())
    }

    /// A flow for one request, anchored at the origin of its URL.
    pub fn request(&self, method: &str, url: &str) -> Result<Flow, Error> {
        let url = Url::parse(url).map_err(|flaw| Error::new(crate::ErrorKind::Url(flaw)))?;
        let anchor = url.origin().clone();
        Flow::new(self, Hop::Registry, method, Ok(url), anchor.clone(), Chain::at(anchor))
    }

    /// A flow for a URL that a server named: an upload location, a page of a list ([`Hop::Registry`]), a layer URL of a
    /// manifest, or a redirect where the host follows them itself. A URL that breaks the rules fails at the first
    /// `poll`, as policy.
    pub fn referred(&self, by: &Referrer, hop: Hop, method: &str, url: &str) -> Result<Flow, Error> {
        let url = by.base.as_ref().map_or_else(|| Url::parse(url), |base| base.join(url));
        let mut chain = by.chain.clone();
        if hop != Hop::Redirect {
            // A long session names many locations: that is no chain of redirects.
            chain.origins.dedup();
            chain.redirects = 0;
        }
        chain.bare |= hop == Hop::Layer;
        let flow = Flow::new(self, hop, method, url, by.anchor.clone(), chain)?;
        Ok(flow.of_upload(by.upload && hop == Hop::Redirect).in_repository(by.repository.clone()))
    }

    /// The warm path: appends the whole `Authorization` value for this request to `out` and returns true, where nothing
    /// needs to be asked: a token in the cache that is not about to run out. False: make a flow. Without an allocation
    /// for a URL in normal form and a plain request to a repository.
    pub fn authorize(&self, now: Time, method: &str, url: &str, out: &mut Vec<u8>) -> bool {
        self.authorize_with(now, method, url, |value| out.extend_from_slice(value)).is_some()
    }

    /// The same for a host with memory of its own: `copy` is called with the value, and what it gives comes back. The
    /// agent is locked meanwhile, so it copies and does nothing else.
    pub fn authorize_with<R>(&self, now: Time, method: &str, url: &str, copy: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let (origin, target) = split(url)?;
        let mut shared = self.shared();
        let registry = shared.registries.get_mut(origin)?;
        let path =
            memchr::memchr2(b'?', b'#', target.as_bytes()).map_or(target, |end| target.get(..end).unwrap_or(target));
        let plain = scope::plain(method, path);
        let needed = if plain.is_none() { scope::needed(method, target) } else { None };
        let place = registry.warm.or_else(|| {
            let name = plain.map(|(name, _)| name).or_else(|| scope::repository(needed.as_deref()?));
            self.warm(registry, name)
        });
        let table = registry.tables.get(place?)?;
        let found = match plain {
            Some((name, actions)) => table.find_plain(now, name, actions),
            None => needed.as_ref().and_then(|needed| table.find(now, needed)),
        };
        let token = found.filter(|token| !token.is_late(now))?;
        token.mark_used();
        Some(copy(token.header.expose()))
    }

    /// The table for what is configured and remembered now. The caller holds the lock on what is shared, so that a
    /// configuration that comes at the same time finds this there to be forgotten. It is kept where all repositories of
    /// the registry have the same credentials.
    fn warm(&self, registry: &mut Registry, repository: Option<&str>) -> Option<usize> {
        let Some((Memory::Bearer { realm, service }, _)) = &registry.memory else { return None };
        let config = self.config();
        if config.entry(&registry.origin).is_some_and(|host| host.unusable.is_some()) {
            return None;
        }
        let source = config.source(&registry.origin, repository);
        let print = fingerprint(&config, &registry.origin);
        let place = registry.tables.iter().position(|table| table.is_for(realm, service, &source, print));
        if !config.has_paths(&registry.origin) {
            registry.warm = place;
        }
        place
    }

    /// A flow that renews a token which is in use and in the last fifth of its life, for hosts with a background task:
    /// then no request has to wait for it. Ask until it is `None`, once a second.
    pub fn due(&self, now: Time) -> Option<Flow> {
        let config = self.config();
        // Tokens of an earlier configuration end with it: what it had is not sent again.
        let current = |origin: &Origin, table: &Table, scopes: &[Scope]| {
            let named = scopes.iter().map(|scope| scope::repository(std::slice::from_ref(scope)));
            table.fingerprint == fingerprint(&config, origin)
                && named.chain([None]).any(|repository| table.source == config.source(origin, repository))
        };
        let mut shared = self.shared();
        let (origin, table, scopes) = shared.due(now, &current)?;
        drop(shared);
        Flow::renewal(self, config, &origin, table, scopes)
    }

    /// The profile that an id names, for as long as a flow that was given it lives.
    pub fn profile(&self, id: ProfileId) -> Option<Profile> {
        lock(&self.0.profiles).find(id).map(|known| known.profile.clone())
    }

    /// The profile for a new connection: that of the newest configuration in the place of this one.
    pub fn newest(&self, id: ProfileId) -> Option<(ProfileId, Profile)> {
        let slot = lock(&self.0.profiles).find(id)?.slot.clone();
        Some(self.intern_slot(&self.config(), slot))
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.0.config))
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.0.shared)
    }

    pub(crate) fn next_flow(&self) -> u64 {
        self.0.flows.fetch_add(1, Ordering::Relaxed)
    }

    /// The profile for `target` with the identity of `identity`'s entry, and its id. All origins without an entry of
    /// their own share one: servers name as many as they like.
    pub(crate) fn intern(
        &self,
        config: &Arc<Config>,
        target: &Origin,
        identity: Option<&Origin>,
    ) -> (ProfileId, Profile) {
        let named = config.exact(target).is_some();
        self.intern_slot(config, (named.then(|| target.clone()), identity.cloned()))
    }

    fn intern_slot(&self, config: &Arc<Config>, slot: Slot) -> (ProfileId, Profile) {
        let mut profiles = lock(&self.0.profiles);
        // The address stays taken while the weak reference is kept, so it names this configuration only.
        let same = |known: &&Known| known.config.as_ptr() == Arc::as_ptr(config) && known.slot == slot;
        if let Some(known) = profiles.known.iter().find(same) {
            return (known.id, known.profile.clone());
        }
        let (id, profile) = (ProfileId(profiles.next), config.profile(slot.0.as_ref(), slot.1.as_ref()));
        profiles.next = profiles.next.wrapping_add(1);
        profiles.known.push(Known { id, config: Arc::downgrade(config), slot, profile: profile.clone() });
        (id, profile)
    }
}

impl Profiles {
    fn find(&self, id: ProfileId) -> Option<&Known> {
        self.known.iter().find(|known| known.id == id)
    }
}

/// Origin and target of a URL in normal form; of another one, nothing that is looked up is found.
fn split(url: &str) -> Option<(&str, &str)> {
    let scheme = if url.starts_with("https://") { 8 } else { 7 };
    let authority = memchr::memchr(b'/', url.as_bytes().get(scheme..)?);
    url.split_at_checked(authority.map_or(url.len(), |length| scheme + length))
}

/// The fingerprint of the identity that a registry sees: tokens of one certificate are not used with the next.
pub(crate) fn fingerprint(config: &Config, registry: &Origin) -> [u8; 32] {
    config.identities(registry).first().map_or([0; 32], crate::Identity::fingerprint)
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agent")
    }
}

/// Where a URL came from: the anchor of the request that was answered, and the origins it had been at.
#[derive(Clone, Debug)]
pub struct Referrer {
    pub(crate) anchor: Origin,
    pub(crate) chain: Chain,
    pub(crate) base: Option<Url>,
    pub(crate) repository: Option<Box<str>>,
    /// The request is a part of an upload.
    pub(crate) upload: bool,
}

impl Referrer {
    /// A registry, for a URL whose answer is not at hand any more: a layer URL out of a stored manifest.
    pub fn registry(origin: Origin) -> Self {
        Self { chain: Chain::at(origin.clone()), anchor: origin, base: None, repository: None, upload: false }
    }
}
