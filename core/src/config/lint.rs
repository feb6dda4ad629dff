//! What can only be seen of a certificate, or of all sources together.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::diagnostic::{Code, Place, Severity};
use super::load::Importer;
use super::model::{For, Given, HostEntry, Model, PairEntry, Registry};
use super::names;
use crate::origin::Origin;
use crate::tls::Identity;

/// Mirrors that are looked at for cycles: a thousand registries with a hundred each.
const MAX_STEPS: usize = 100_000;

/// What is wrong with a certificate that can be shown all the same: whether it matters is for the server to say.
#[cfg(feature = "pem")]
pub(super) fn identity(importer: &mut Importer, identity: &Identity) {
    use crate::tls::Flaw;
    let at = Place::file(identity.label());
    for flaw in identity.flaws(importer.now) {
        let (code, what, remedy) = match flaw {
            Flaw::Expired { .. } => {
                (Code::Expired, format!("{flaw}; it is shown all the same"), "Get a new one from its issuer.")
            }
            Flaw::NotYetValid { .. } => (
                Code::NotYetValid,
                format!("{flaw}; it is shown all the same"),
                "Check this machine's clock, and wait.",
            ),
            Flaw::NotForClients => {
                let what = "its extended key usage leaves out client authentication; most servers refuse it".into();
                (Code::NotForClients, what, "Get one with the extended key usage clientAuth.")
            }
        };
        importer.error(code, &at, &what, remedy);
    }
}

#[cfg(not(feature = "pem"))]
pub(super) const fn identity(_: &mut Importer, _: &Identity) {}

/// After all sources were read.
pub(super) fn whole(model: &mut Model) {
    let mut found = Vec::new();
    wildcards(model, &mut found);
    several_keys(model, &mut found);
    conflicts(model, &mut found);
    cycles(model, &mut found);
    pairs(model, &mut found);
    for registry in model.registries.iter().filter(|registry| registry.endpoints.is_empty()) {
        let what = "nothing is left to ask for this registry".to_string();
        let remedy = "Name a mirror or the registry itself.";
        found.push((Severity::Error, Code::NoEndpoint, registry.place.clone(), what, remedy));
    }
    for (severity, code, place, what, remedy) in found {
        model.say(severity, code, &place, what, remedy);
    }
}

type Found = Vec<(Severity, Code, Place, String, &'static str)>;

fn warn(found: &mut Found, code: Code, place: &Place, what: impl Into<String>, remedy: &'static str) {
    found.push((Severity::Warning, code, place.clone(), what.into(), remedy));
}

fn wildcards(model: &Model, found: &mut Found) {
    let defaults = model.hosts.iter().filter(|host| host.origin.is_none());
    if !defaults.clone().any(|host| host.wildcard_identity == Some(true)) {
        for host in defaults.filter(|host| !host.identities.is_empty()) {
            let what = "a client certificate for every registry: it is not shown to any";
            let remedy = "Name the registry, or write wildcard_identity = true under [default] in regauth.toml.";
            warn(found, Code::WildcardIdentity, &host.place, what, remedy);
        }
    }
    for entry in model.credentials.iter().filter(|_| !model.wildcard_password) {
        if matches!(entry.given, Given::Credentials(_)) && !matches!(entry.registries, For::Registry(_)) {
            let what = "credentials for a pattern of registries: they are not sent to any";
            let remedy = "Name the registry, or write wildcard_password = true in regauth.toml.";
            warn(found, Code::WildcardPassword, &entry.place, what, remedy);
        }
    }
}

fn several_keys(model: &Model, found: &mut Found) {
    let mut first: HashMap<(u32, u8, &Origin, &str), &Place> = HashMap::new();
    for entry in model.credentials_in_order() {
        let For::Registry(origin) = &entry.registries else { continue };
        match first.entry((entry.source, entry.class, origin, &entry.path)) {
            Entry::Occupied(holds) => {
                let what = format!("another key for the same registry; {} holds", holds.get());
                warn(found, Code::SeveralKeys, &entry.place, what, "Keep one of them.");
            }
            Entry::Vacant(new) => _ = new.insert(&entry.place),
        }
    }
}

/// Two sources, or two places of one, that say different things of an origin or a registry: certificates or endpoints.
fn conflicts(model: &Model, found: &mut Found) {
    let prints =
        |host: &HostEntry| -> Vec<_> { host.identities.iter().map(|one| one.identity.fingerprint()).collect() };
    let shown = model.hosts.iter().filter(|host| !host.identities.is_empty());
    differ(shown.map(|host| (&host.origin, &host.place, prints(host))), found);
    let ends = |one: &Registry| -> Vec<_> {
        one.endpoints.iter().map(|end| (end.origin.clone().or_else(|| one.name.clone()), end.root.clone())).collect()
    };
    differ(model.registries.iter().map(|one| (&one.name, &one.place, ends(one))), found);
}

fn differ<'a, T: PartialEq>(said: impl Iterator<Item = (&'a Option<Origin>, &'a Place, T)>, found: &mut Found) {
    let mut first: HashMap<&Option<Origin>, (&Place, T)> = HashMap::new();
    for (of, place, says) in said {
        match first.entry(of) {
            Entry::Occupied(known) if known.get().1 != says => {
                let what = format!("it says something else than {}, which holds", known.get().0);
                warn(found, Code::Conflict, place, what, "Make them agree, or leave one out.");
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(new) => _ = new.insert((place, says)),
        }
    }
}

/// Mirrors that lead back: each is a registry with mirrors of its own. Nothing is followed here, so nothing loops; a
/// reader or a pull-through cache that does follow them would.
///
/// The search begins anew at each registry, so that all of it has one limit.
fn cycles(model: &Model, found: &mut Found) {
    let mut edges: BTreeMap<&Origin, Vec<&Origin>> = BTreeMap::new();
    for registry in &model.registries {
        let Some(name) = &registry.name else { continue };
        let to = registry.endpoints.iter().filter(|end| end.mirror).filter_map(|end| end.origin.as_ref());
        edges.entry(name).or_default().extend(to.filter(|to| *to != name).take(64));
    }
    let mut steps = MAX_STEPS;
    for registry in &model.registries {
        let Some(start) = &registry.name else { continue };
        let mut seen: HashSet<&Origin> = HashSet::new();
        let mut open = edges.get(start).cloned().unwrap_or_default();
        while let Some(here) = open.pop() {
            if steps == 0 {
                return;
            }
            steps -= 1;
            if here == start {
                let what = format!("the mirrors of {} have mirrors that lead back to it", names::name(start));
                let remedy = "Remove one of them; only mirrors of the registry that is asked for are used.";
                warn(found, Code::CyclicMirrors, &registry.place, what, remedy);
                break;
            }
            if seen.insert(here) {
                open.extend(edges.get(here).into_iter().flatten());
            }
        }
    }
}

fn pairs(model: &Model, found: &mut Found) {
    let lends = model.hosts.iter().filter(|host| !host.identities.is_empty() || host.unusable.is_some());
    let lends: HashSet<&Origin> = lends.filter_map(|host| host.origin.as_ref()).collect();
    for PairEntry { pair, place } in model.pairs.iter().filter(|entry| entry.pair.identity) {
        if !lends.contains(&pair.registry) {
            let what = format!("identity = true lends the certificate of {}, which has none", pair.registry);
            warn(found, Code::UselessPair, place, what, "Configure its certificate, or remove identity.");
        }
    }
}
