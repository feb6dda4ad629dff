//! From the model to a configuration.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic, Severity};
use super::model::{EndpointEntry, For, Given, HostEntry, Model};
use super::names;
use crate::client::{Config, Credentials, Host, Route, Rule, is_header};
use crate::origin::Origin;
use crate::tls::Roots;

impl Model {
    /// The configuration, and everything that was found on the way to it.
    ///
    /// Certificate authorities are added to [`Self::roots`]. Where an identity or credentials are configured and cannot be
    /// used, requests to that host fail; they never go out without. Nothing of a registry's goes to its mirrors.
    pub fn into_config(mut self) -> (Config, Vec<Diagnostic>) {
        let mut config = Config::default();
        config.roots(self.roots.clone());
        if let Some(mode) = self.mode {
            config.mode(mode);
        }
        config.password_post(self.password_post).offline_token(self.offline_token);
        for entry in &self.pairs {
            config.pair(entry.pair.clone());
        }
        for mut entry in merged(std::mem::take(&mut self.hosts)) {
            if let Some(why) = self.unread.as_ref().filter(|_| entry.identities.is_empty()) {
                entry.fail(why);
            }
            let origin = entry.origin.clone();
            let host = self.host(entry);
            match origin {
                Some(origin) => config.host(origin, host),
                None => config.default_host(host),
            };
        }
        self.routes(&mut config);
        self.rules(&mut config);
        (config, self.diagnostics)
    }

    fn host(&mut self, entry: HostEntry) -> Host {
        let mut headers = Vec::new();
        for (name, value) in entry.headers {
            if is_header(&name, value.expose()) {
                headers.push((name, value));
            } else {
                let what = format!("the header field {name:?} cannot be sent, and is left out");
                let remedy = "Use a token as the name and visible text as the value; what frames a message is its own, and credentials go into a credentials file.";
                self.say(Severity::Error, Code::BadHeader, &entry.place, what, remedy);
            }
        }
        let leave = entry.wildcard_identity == Some(true);
        // An identity that is shown to nobody need not be usable.
        let matters = entry.origin.is_some() || leave || entry.broken_document;
        let roots = (!entry.ca.is_empty()).then(|| {
            let ca = entry.ca.iter().map(|authority| Arc::clone(&authority.pem));
            if entry.ca_replaces == Some(true) {
                Roots { webpki: false, pem: ca.collect() }
            } else {
                Roots { webpki: self.roots.webpki, pem: self.roots.pem.iter().cloned().chain(ca).collect() }
            }
        });
        Host {
            identities: entry.identities.into_iter().map(|entry| entry.identity).collect(),
            headers,
            roots,
            force: entry.force == Some(true),
            try_pairs: entry.try_pairs == Some(true),
            try_pairs_on_status: entry.try_pairs_on_status == Some(true),
            skip_verify: entry.skip_verify == Some(true),
            alpn: entry.alpn,
            password_over_http: entry.password_over_http == Some(true),
            password_unverified: entry.password_unverified == Some(true),
            local: entry.local == Some(true),
            wildcard_identity: leave,
            dial_timeout: entry.dial_timeout,
            unusable: entry.unusable.filter(|_| matters),
            provenance: Some(entry.place.to_string()),
        }
    }

    fn routes(&self, config: &mut Config) {
        let mut done: HashSet<Option<&Origin>> = HashSet::new();
        for registry in &self.registries {
            // The first source holds as a whole: the order of its endpoints is what it is about.
            if done.insert(registry.name.as_ref()) {
                config.routes(registry.name.clone(), registry.endpoints.iter().map(route).collect());
            }
        }
    }

    fn rules(&self, config: &mut Config) {
        let ends = || self.registries.iter().flat_map(|registry| &registry.endpoints).filter(|end| !end.fallback);
        let plain: HashSet<&Origin> =
            ends().filter_map(|end| end.origin.as_ref()).filter(|origin| !origin.is_https()).collect();
        for entry in self.credentials_in_order() {
            let named = match &entry.registries {
                For::Registry(origin) => {
                    let http = names::over_http(origin).filter(|http| plain.contains(http));
                    std::iter::once(origin.clone()).chain(http).map(Rule::registry).collect()
                }
                For::Glob { .. } | For::All
                    if matches!(entry.given, Given::Credentials(_)) && !self.wildcard_password =>
                {
                    continue;
                }
                For::Glob { host, port } => vec![Rule::glob(host, *port)],
                For::All => vec![Rule::all()],
            };
            for rule in named {
                let layer = entry.source.saturating_mul(4).saturating_add(u32::from(entry.class)).saturating_add(1);
                let rule = rule.path(&entry.path).layer(layer).provenance(entry.place.to_string());
                match &entry.given {
                    Given::Credentials(credentials) => config.credentials_for(rule, copy(credentials)),
                    Given::Helper { name, url } => config.ask_helper(rule, name, url.clone()),
                    Given::Broken(what) => config.broken_credentials(rule, what),
                };
            }
        }
    }
}

/// What several sources say of one origin, and what of it is known already.
struct Merged {
    entry: HostEntry,
    headers: HashSet<String>,
    ca: HashSet<Arc<[u8]>>,
}

/// One entry for each origin: what an earlier source says holds, and a later one fills in what it leaves out.
pub(super) fn merged(hosts: Vec<HostEntry>) -> Vec<HostEntry> {
    let mut all: Vec<Merged> = Vec::new();
    let mut places: HashMap<Option<Origin>, usize> = HashMap::new();
    for entry in hosts {
        match places.get(&entry.origin).and_then(|at| all.get_mut(*at)) {
            Some(known) => merge(known, entry),
            None => {
                places.insert(entry.origin.clone(), all.len());
                let headers = entry.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
                let ca = entry.ca.iter().map(|one| Arc::clone(&one.pem)).collect();
                all.push(Merged { entry, headers, ca });
            }
        }
    }
    all.into_iter().map(|merged| merged.entry).collect()
}

fn merge(known: &mut Merged, later: HostEntry) {
    let Merged { entry: known, headers, ca } = known;
    if later.broken_document && !known.broken_document {
        known.unusable = later.unusable;
    } else if known.identities.is_empty() {
        known.unusable = known.unusable.take().or(later.unusable);
    }
    if known.identities.is_empty() {
        known.identities = later.identities;
    }
    known.broken_document |= later.broken_document;
    known.ca.extend(later.ca.into_iter().filter(|authority| ca.insert(Arc::clone(&authority.pem))));
    // Several values of one name stand together, in one source.
    let new = |(name, _): &(String, _)| !headers.contains(&name.to_ascii_lowercase());
    let more: Vec<_> = later.headers.into_iter().filter(new).collect();
    headers.extend(more.iter().map(|(name, _)| name.to_ascii_lowercase()));
    known.headers.extend(more);
    let fill = |mine: &mut Option<bool>, other: Option<bool>| *mine = mine.or(other);
    fill(&mut known.ca_replaces, later.ca_replaces);
    fill(&mut known.skip_verify, later.skip_verify);
    fill(&mut known.force, later.force);
    fill(&mut known.try_pairs, later.try_pairs);
    fill(&mut known.try_pairs_on_status, later.try_pairs_on_status);
    fill(&mut known.local, later.local);
    fill(&mut known.password_over_http, later.password_over_http);
    fill(&mut known.password_unverified, later.password_unverified);
    fill(&mut known.wildcard_identity, later.wildcard_identity);
    known.dial_timeout = known.dial_timeout.or(later.dial_timeout);
    if known.alpn.is_empty() {
        known.alpn = later.alpn;
    }
}

fn route(entry: &EndpointEntry) -> Route {
    Route {
        origin: entry.origin.clone(),
        root: entry.root.clone(),
        mirror: entry.mirror,
        capabilities: entry.capabilities.clone(),
        ns: entry.ns,
        rewrites: Arc::clone(&entry.rewrites),
        provenance: Some(entry.place.to_string()),
    }
}

fn copy(credentials: &Credentials) -> Credentials {
    match credentials {
        Credentials::Basic { user, password } => {
            Credentials::Basic { user: user.clone(), password: password.duplicate() }
        }
        Credentials::Refresh(token) => Credentials::Refresh(token.duplicate()),
        Credentials::Bearer(token) => Credentials::Bearer(token.duplicate()),
    }
}
