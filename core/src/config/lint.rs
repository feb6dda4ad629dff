//! What can only be seen of a certificate, or of all sources together.

use std::collections::{BTreeMap, HashMap};

use super::diagnostic::{Code, Place, Severity};
use super::load::Importer;
use super::model::{For, Given, Model};
use super::names;
use crate::origin::Origin;
use crate::tls::Identity;

/// What is wrong with a certificate that can be shown all the same: whether it matters is for the server to say.
#[cfg(feature = "pem")]
pub(super) fn identity(importer: &mut Importer, identity: &Identity) {
    let at = Place::file(identity.label());
    if let Some(now) = importer.now {
        if let Some(end) = identity.not_after().filter(|end| *end < now) {
            let days = now.since(end) / 86_400_000;
            let what = format!("the client certificate expired {days} days ago; it is shown all the same");
            importer.error(Code::Expired, &at, &what, "Get a new one from its issuer.");
        }
        if identity.not_before().is_some_and(|start| start > now) {
            let what = "the client certificate is not valid yet; it is shown all the same";
            importer.error(Code::NotYetValid, &at, what, "Check this machine's clock, and wait.");
        }
    }
    if !identity.allows_client_auth() {
        let what = "its extended key usage leaves out client authentication; most servers refuse it";
        importer.error(Code::NotForClients, &at, what, "Get one with the extended key usage clientAuth.");
    }
}

#[cfg(not(feature = "pem"))]
pub(super) const fn identity(_: &mut Importer, _: &Identity) {}

/// After all sources were read.
pub(super) fn whole(model: &mut Model) {
    wildcards(model);
    several_keys(model);
    conflicts(model);
    cycles(model);
    pairs(model);
    let (code, remedy) = (Code::NoEndpoint, "Name a mirror or the registry itself.");
    for registry in model.registries.clone().iter().filter(|registry| registry.endpoints.is_empty()) {
        model.say(Severity::Error, code, &registry.place, "nothing is left to ask for this registry", remedy);
    }
}

fn wildcards(model: &mut Model) {
    let leave = model.hosts.iter().any(|host| host.origin.is_none() && host.wildcard_identity == Some(true));
    let shown: Vec<Place> = model
        .hosts
        .iter()
        .filter(|host| host.origin.is_none() && !host.identities.is_empty() && !leave)
        .map(|host| host.place.clone())
        .collect();
    for place in shown {
        let what = "a client certificate for every registry: it is not shown to any";
        let remedy = "Name the registry, or write wildcard_identity = true under [default] in regauth.toml.";
        model.say(Severity::Warning, Code::WildcardIdentity, &place, what, remedy);
    }
    if model.wildcard_password {
        return;
    }
    let wide = |registries: &For, given: &Given| {
        matches!(given, Given::Credentials(_)) && !matches!(registries, For::Registry(_))
    };
    let held: Vec<Place> = model
        .credentials
        .iter()
        .filter(|entry| wide(&entry.registries, &entry.given))
        .map(|entry| entry.place.clone())
        .collect();
    for place in held {
        let what = "credentials for a pattern of registries: they are not sent to any";
        let remedy = "Name the registry, or write wildcard_password = true in regauth.toml.";
        model.say(Severity::Warning, Code::WildcardPassword, &place, what, remedy);
    }
}

fn several_keys(model: &mut Model) {
    let mut order: Vec<usize> = (0..model.credentials.len()).collect();
    order.sort_by_key(|at| model.credentials.get(*at).map(|entry| (entry.source, entry.class, entry.rank)));
    let mut first: HashMap<(u32, u8, String, String), Place> = HashMap::new();
    let mut found = Vec::new();
    for entry in order.into_iter().filter_map(|at| model.credentials.get(at)) {
        let For::Registry(origin) = &entry.registries else { continue };
        let name = (entry.source, entry.class, origin.to_string(), entry.path.clone());
        match first.get(&name) {
            Some(holds) => found.push((entry.place.clone(), holds.clone())),
            None => drop(first.insert(name, entry.place.clone())),
        }
    }
    for (place, holds) in found {
        let what = format!("another key for the same registry; {holds} holds");
        model.say(Severity::Warning, Code::SeveralKeys, &place, what, "Keep one of them.");
    }
}

/// Two sources, or two places of one, that give an origin different certificates.
fn conflicts(model: &mut Model) {
    let mut first: HashMap<Option<&Origin>, (&Place, Vec<[u8; 32]>)> = HashMap::new();
    let mut found = Vec::new();
    for host in model.hosts.iter().filter(|host| !host.identities.is_empty()) {
        let prints: Vec<[u8; 32]> = host.identities.iter().map(|entry| entry.identity.fingerprint()).collect();
        match first.get(&host.origin.as_ref()) {
            Some((place, known)) if *known != prints => found.push((host.place.clone(), (*place).clone())),
            Some(_) => {}
            None => drop(first.insert(host.origin.as_ref(), (&host.place, prints))),
        }
    }
    let mut routes: HashMap<Option<&Origin>, &super::model::Registry> = HashMap::new();
    for registry in &model.registries {
        let name = registry.name.as_ref();
        let lists = |one: &super::model::Registry| {
            one.endpoints
                .iter()
                .map(|end| (end.origin.clone().or_else(|| one.name.clone()), end.root.clone()))
                .collect::<Vec<_>>()
        };
        match routes.get(&name) {
            Some(known) if lists(known) != lists(registry) => found.push((registry.place.clone(), known.place.clone())),
            Some(_) => {}
            None => drop(routes.insert(name, registry)),
        }
    }
    for (place, holds) in found {
        let what = format!("it says something else than {holds}, which holds");
        model.say(Severity::Warning, Code::Conflict, &place, what, "Make them agree, or leave one out.");
    }
}

/// Mirrors that lead back: each is a registry with mirrors of its own. Nothing is followed here, so nothing loops; a
/// reader or a pull-through cache that does follow them would.
fn cycles(model: &mut Model) {
    let mut edges: BTreeMap<Origin, Vec<Origin>> = BTreeMap::new();
    for registry in &model.registries {
        let Some(name) = &registry.name else { continue };
        let to = registry.endpoints.iter().filter(|end| end.mirror).filter_map(|end| end.origin.clone());
        edges.entry(name.clone()).or_default().extend(to.filter(|to| to != name).take(64));
    }
    let mut found = Vec::new();
    for registry in model.registries.iter().take(1000) {
        let Some(start) = &registry.name else { continue };
        let mut seen: Vec<&Origin> = Vec::new();
        let mut open: Vec<&Origin> = edges.get(start).map(|to| to.iter().collect()).unwrap_or_default();
        while let Some(here) = open.pop() {
            if here == start {
                found.push((registry.place.clone(), names::name(start)));
                break;
            }
            if seen.len() < 1000 && !seen.contains(&here) {
                seen.push(here);
                open.extend(edges.get(here).map(Vec::as_slice).unwrap_or_default());
            }
        }
    }
    for (place, name) in found {
        let what = format!("the mirrors of {name} have mirrors that lead back to it");
        model.say(
            Severity::Warning,
            Code::CyclicMirrors,
            &place,
            what,
            "Remove one of them; only mirrors of the registry that is asked for are used.",
        );
    }
}

fn pairs(model: &mut Model) {
    let has = |origin: &Origin| {
        model.hosts.iter().any(|host| {
            host.origin.as_ref() == Some(origin) && (!host.identities.is_empty() || host.unusable.is_some())
        })
    };
    let useless: Vec<(Place, String)> = model
        .pairs
        .iter()
        .filter(|entry| entry.pair.identity && !has(&entry.pair.registry))
        .map(|entry| (entry.place.clone(), entry.pair.registry.to_string()))
        .collect();
    for (place, registry) in useless {
        let what = format!("identity = true lends the certificate of {registry}, which has none");
        model.say(Severity::Warning, Code::UselessPair, &place, what, "Configure its certificate, or remove identity.");
    }
}
