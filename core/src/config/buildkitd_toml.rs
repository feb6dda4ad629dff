//! BuildKit's `buildkitd.toml`: the `[registry."host"]` tables. `ca` adds to the roots.

use std::collections::BTreeMap;

use super::certs_d::Layout;
use super::diagnostic::{Code, Place, Severity};
use super::directory::File;
use super::hosts_toml::get;
use super::load::{Importer, texts};
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

/// Where a host is reached: one origin, or https and then http.
#[derive(Clone)]
struct Reach {
    origins: Vec<(Origin, bool)>,
}

impl Importer {
    /// BuildKit's `buildkitd.toml`. Each `[registry."host"]` holds for the host as registry and as mirror of others.
    pub fn buildkitd(&mut self, file: &File) {
        self.sources += 1;
        let at = Place::file(&*file.name);
        let root = match self.document(file, tree::toml, Severity::Error) {
            Ok(Some(root)) => root,
            Ok(None) => return,
            Err(why) => return self.broken_host(None, &at, why),
        };
        self.unknown(&at, &root, &TOP);
        let Some(registries) = get(&root, "registry") else { return };
        let Some(tables) = registries.table() else {
            self.wrong_type(&at.at("registry", registries.line), "a table", registries);
            return self.broken_host(None, &at, format!("{at}: registry is no table"));
        };
        let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        // First what each host is, as mirrors are hosts too.
        let mut reach: BTreeMap<Origin, Reach> = BTreeMap::new();
        for (key, node) in tables {
            let at = at.at(format!("registry.\"{}\"", key.text), key.line);
            let Some(origin) = names::registry(&key.text) else {
                self.error(
                    Code::BadHost,
                    &at,
                    "the key is no host with an optional port",
                    "Write the registry as in image names.",
                );
                continue;
            };
            if node.table().is_none() {
                self.wrong_type(&at, "a table", node);
                self.broken_host(Some(origin), &at, format!("{at}: it is no table"));
                continue;
            }
            self.unknown(&at, node, &FIELDS);
            let found = self.buildkit_host(origin.clone(), &at, node, folder);
            reach.insert(origin, found);
        }
        for (key, node) in tables {
            let at = at.at(format!("registry.\"{}\"", key.text), key.line);
            let Some(origin) = names::registry(&key.text).filter(|origin| reach.contains_key(origin)) else { continue };
            let mut endpoints = self.buildkit_mirrors(&at, node, &reach);
            endpoints.retain(|mirror| mirror.origin.as_ref() != Some(&origin));
            if let Some(own) = reach.get(&origin) {
                endpoints.extend(own.origins.iter().map(|(origin, fallback)| {
                    let mut own = EndpointEntry::own(Some(origin.clone()), at.clone());
                    own.fallback = *fallback;
                    own
                }));
            }
            self.model.registries.push(Registry { name: Some(origin), endpoints, place: at });
        }
    }

    fn buildkit_mirrors(&mut self, at: &Place, node: &Node, reach: &BTreeMap<Origin, Reach>) -> Vec<EndpointEntry> {
        let mut endpoints = Vec::new();
        let Some(mirrors) = get(node, "mirrors") else { return endpoints };
        let at = at.at(format!("{}.mirrors", at.key), mirrors.line);
        let Some(mirrors) = texts(mirrors) else {
            self.wrong_type(&at, "a list of hosts", mirrors);
            return endpoints;
        };
        for (text, line) in mirrors {
            let at = at.at(&*at.key, line);
            let (host, path) = text.split_once('/').unwrap_or((text, ""));
            let Some(origin) = names::registry(host).filter(|_| !text.contains("://")) else {
                let remedy =
                    "Write host[:port][/path] without a scheme; http = true in the mirror's own table makes it http.";
                self.error(Code::BadHost, &at, "it is no host with an optional path", remedy);
                continue;
            };
            let path = path.trim_matches('/');
            let root = if path.is_empty() { "/v2".to_string() } else { format!("/v2/{path}") };
            let local = Reach { origins: vec![(origin.clone(), false)] };
            for (origin, fallback) in &reach.get(&origin).unwrap_or(&local).origins {
                let mut mirror = EndpointEntry::mirror(origin.clone(), root.clone(), at.clone());
                mirror.fallback = *fallback;
                endpoints.push(mirror);
            }
        }
        endpoints
    }

    fn buildkit_host(&mut self, origin: Origin, at: &Place, node: &Node, folder: &str) -> Reach {
        let mut host = HostEntry::new(Some(origin.clone()), at.clone());
        let flag = |importer: &mut Self, name: &str| {
            let value = get(node, name)?;
            if value.bool().is_none() {
                importer.wrong_type(&at.at(format!("{}.{name}", at.key), value.line), "a boolean", value);
            }
            value.bool()
        };
        let (http, insecure) = (flag(self, "http"), flag(self, "insecure").unwrap_or(false));
        host.skip_verify = insecure.then_some(true);
        self.buildkit_tls(&mut host, at, node, folder);
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
                    let what = "BuildKit takes plain http for a registry on this machine, and so is done here";
                    self.say(Severity::Info, Code::PlainHttp, at, what, "Write http = false for https.");
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
        if origins.iter().any(|(one, fallback)| !one.is_https() && !fallback) {
            // The entry is that of the origin that is used.
            host.identities.clear();
            host.unusable = None;
            host.origin = origins.first().map(|(one, _)| one.clone());
        }
        self.model.hosts.push(host);
        Reach { origins }
    }

    fn buildkit_tls(&mut self, host: &mut HostEntry, at: &Place, node: &Node, folder: &str) {
        if let Some(value) = get(node, "ca") {
            let at = at.at(format!("{}.ca", at.key), value.line);
            match value.list().and_then(|_| texts(value)) {
                Some(files) => {
                    for (name, _) in files {
                        let loaded = self.named(None, folder, name);
                        self.authority(host, loaded);
                    }
                }
                None => self.wrong_type(&at, "a list of files", value),
            }
        }
        if let Some(value) = get(node, "tlsconfigdir") {
            let at = at.at(format!("{}.tlsconfigdir", at.key), value.line);
            match value.list().and_then(|_| texts(value)) {
                Some(names) => {
                    for (name, _) in names {
                        let name = if name.starts_with('/') || folder.is_empty() {
                            name.into()
                        } else {
                            format!("{folder}/{name}")
                        };
                        self.named_directory(&name, host, Layout::BuildKit);
                    }
                }
                None => {
                    self.wrong_type(&at, "a list of directories", value);
                    host.fail(format!("{at}: no list of directories"));
                }
            }
        }
        let Some(value) = get(node, "keypair") else { return };
        let at = at.at(format!("{}.keypair", at.key), value.line);
        let Some(pairs) = value.list() else {
            self.wrong_type(&at, "a list of tables", value);
            return host.fail(format!("{at}: no list of tables"));
        };
        for pair in pairs {
            let at = at.at(&*at.key, pair.line);
            self.unknown(&at, pair, &["key", "cert"]);
            let file = |name| get(pair, name).and_then(Node::text).filter(|text| !text.is_empty());
            match (file("cert"), file("key")) {
                (Some(certificate), Some(key)) => {
                    let certificate = self.named(None, folder, certificate);
                    let key = self.named(None, folder, key);
                    self.identity(host, certificate, key, &at);
                }
                (certificate, _) => self.half(host, certificate.is_some(), &at),
            }
        }
    }

    /// One half of a pair.
    pub(super) fn half(&mut self, host: &mut HostEntry, has_certificate: bool, at: &Place) {
        let (code, what) = if has_certificate {
            (Code::CertificateWithoutKey, "a client certificate without its key")
        } else {
            (Code::KeyWithoutCertificate, "a key without its client certificate")
        };
        self.error(code, at, what, "Name both files.");
        host.fail(format!("{at}: {what}"));
    }
}
