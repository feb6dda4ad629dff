//! BuildKit's `buildkitd.toml`: the `[registry."host"]` tables. `ca` adds to the roots.

use std::collections::BTreeMap;

use super::certs_d::Layout;
use super::diagnostic::{Code, Severity};
use super::directory::File;
use super::field::{Base, Field};
use super::load::Importer;
use super::model::{EndpointEntry, HostEntry, Registry};
use super::names;
use super::tree::{self, Node};
use crate::origin::Origin;

const TOP: [&str; 18] = [
    "registry",
    "debug",
    "trace",
    "root",
    "insecure-entitlements",
    "log",
    "dns",
    "grpc",
    "otel",
    "cdi",
    "worker",
    "history",
    "frontend",
    "system",
    "provenanceEnvDir",
    "proxyNetwork",
    "ghacache",
    "cni",
];
const FIELDS: [&str; 6] = ["mirrors", "http", "insecure", "ca", "keypair", "tlsconfigdir"];

const LOCAL: &str = "BuildKit takes plain http for a registry on this machine, and so is done here";

/// Where a host is reached: one origin, or https and then http, which is a fallback.
type Reach = Vec<(Origin, bool)>;

impl Importer {
    /// BuildKit's `buildkitd.toml`. Each `[registry."host"]` holds for the host as registry and as mirror of others.
    pub fn buildkitd(&mut self, file: &File) {
        let Some(root) = self.source(file, tree::toml) else { return };
        let (root, base) = (Field::root(file, &root), Base::beside(file));
        self.unknown(&root, &TOP);
        let Some(registries) = root.get("registry") else { return };
        if self.want_table(&registries).is_err() {
            return self.broken_source(&registries.at, format!("{}: it is no table", registries.at));
        }
        // First what each host is, as mirrors are hosts too.
        let mut reach: BTreeMap<Origin, Reach> = BTreeMap::new();
        let mut tables = Vec::new();
        for (key, table) in registries.entries() {
            let Some(origin) = names::registry(key) else {
                self.error(
                    Code::BadHost,
                    &table.at,
                    "the key is no host with an optional port",
                    "Write the registry as in image names.",
                );
                continue;
            };
            if let Err(why) = self.want_table(&table) {
                self.broken_host(Some(origin), &table.at, why);
                continue;
            }
            self.unknown(&table, &FIELDS);
            self.name_of_hub(&origin, key, &table.at);
            let found = self.buildkit_host(origin.clone(), &table, base);
            reach.insert(origin.clone(), found);
            tables.push((origin, table));
        }
        for (origin, table) in tables {
            let mut endpoints = self.buildkit_mirrors(&table, &reach);
            endpoints.retain(|mirror| mirror.origin.as_ref() != Some(&origin));
            for (own, fallback) in reach.get(&origin).into_iter().flatten() {
                let own = EndpointEntry::own(Some(own.clone()), table.at.clone());
                endpoints.push(EndpointEntry { fallback: *fallback, ..own });
            }
            self.model.registries.push(Registry { name: Some(origin), endpoints, place: table.at });
        }
    }

    fn buildkit_mirrors(&mut self, table: &Field<'_>, reach: &BTreeMap<Origin, Reach>) -> Vec<EndpointEntry> {
        let mut endpoints = Vec::new();
        let mirrors = table.get("mirrors").map(|mirrors| self.want(&mirrors, "a list of hosts", mirrors.texts()));
        for (text, at) in mirrors.and_then(Result::ok).unwrap_or_default() {
            let (host, path) = text.split_once('/').unwrap_or((text, ""));
            let Some(origin) = names::registry(host).filter(|_| !text.contains("://")) else {
                let remedy =
                    "Write host[:port][/path] without a scheme; http = true in the mirror's own table makes it http.";
                self.error(Code::BadHost, &at, "it is no host with an optional path", remedy);
                continue;
            };
            let path = path.trim_matches('/');
            let root = if path.is_empty() { "/v2".to_string() } else { format!("/v2/{path}") };
            let alone = || match names::over_http(&origin).filter(|_| names::is_local(&origin)) {
                Some(plain) => {
                    self.say(
                        Severity::Info,
                        Code::PlainHttp,
                        &at,
                        LOCAL,
                        "Give it a table with http = false for https.",
                    );
                    vec![(plain, false)]
                }
                None => vec![(origin.clone(), false)],
            };
            for (origin, fallback) in reach.get(&origin).cloned().unwrap_or_else(alone) {
                let mirror = EndpointEntry::mirror(origin, root.clone(), at.clone());
                endpoints.push(EndpointEntry { fallback, ..mirror });
            }
        }
        endpoints
    }

    fn buildkit_host(&mut self, origin: Origin, table: &Field<'_>, base: Base<'_>) -> Reach {
        let at = &table.at;
        let mut host = HostEntry::new(Some(origin.clone()), at.clone());
        let http = self.want_flag(table, "http", "a boolean").unwrap_or_default();
        let insecure = self.want_flag(table, "insecure", "a boolean").unwrap_or_default() == Some(true);
        host.skip_verify = insecure.then_some(true);
        self.buildkit_tls(&mut host, table, base);
        let configured = !host.identities.is_empty() || !host.ca.is_empty() || host.unusable.is_some();
        let local = http.is_none() && names::is_local(&origin);
        let mut origins = vec![(origin.clone(), false)];
        match names::over_http(&origin) {
            Some(plain) if insecure && (http == Some(true) || local) => origins.push((plain, true)),
            Some(plain) if http == Some(true) || (local && !configured) => {
                if configured {
                    self.error(
                        Code::InsecureDropsIdentity,
                        at,
                        "http = true: neither ca nor keypair is used, here or in BuildKit",
                        "Write http = false, or remove them.",
                    );
                } else if local {
                    self.say(Severity::Info, Code::PlainHttp, at, LOCAL, "Write http = false for https.");
                }
                origins = vec![(plain, false)];
            }
            _ if local && configured => self.warn(
                Code::InsecureDropsIdentity,
                at,
                "BuildKit takes plain http for a registry on this machine, without ca and keypair; here it is https with them",
                "Write http = false.",
            ),
            _ => {}
        }
        if let Some((plain, _)) = origins.iter().find(|(one, fallback)| !one.is_https() && !fallback) {
            // The entry is that of the origin that is used.
            host.identities.clear();
            host.unusable = None;
            host.origin = Some(plain.clone());
        }
        self.model.hosts.push(host);
        origins
    }

    fn buildkit_tls(&mut self, host: &mut HostEntry, table: &Field<'_>, base: Base<'_>) {
        if let Some(ca) = table.get("ca")
            && let Ok(files) = self.want(&ca, "a list of files", ca.items().and_then(|_| ca.texts()))
        {
            self.authorities(host, base, &files);
        }
        if let Some(field) = table.get("tlsconfigdir") {
            match self.want(&field, "a list of directories", field.items().and_then(|_| field.texts())) {
                Ok(names) => {
                    for (name, _) in names {
                        self.named_directory(&base.path(name), host, Layout::BuildKit);
                    }
                }
                Err(_) => host.fail(format!("{}: no list of directories", field.at)),
            }
        }
        let Some(field) = table.get("keypair") else { return };
        let Ok(pairs) = self.want(&field, "a list of tables", field.items()) else {
            return host.fail(format!("{}: no list of tables", field.at));
        };
        for pair in pairs {
            self.unknown(&pair, &["key", "cert"]);
            let file = |name| pair.node.get(name).and_then(Node::text).filter(|text| !text.is_empty());
            self.pair(host, base, (file("cert"), file("key")), &pair.at);
        }
    }
}
