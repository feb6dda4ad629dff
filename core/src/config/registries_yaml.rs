//! `registries.yaml` of k3s and RKE2. `ca_file` adds to the roots.

use super::diagnostic::{Code, Place, Severity};
use super::directory::File;
use super::docker_config::Fields;
use super::hosts_toml::get;
use super::load::{Importer, texts};
use super::model::{EndpointEntry, For, HostEntry, Registry};
use super::names;
use super::tree::{self, Node};
use crate::origin::Origin;

impl Importer {
    /// `registries.yaml` of k3s and RKE2. Settings of a host are looked for under its name, Docker Hub's under
    /// `docker.io` too, and then under `*`; those of `*` are not for an identity or a password unless `regauth.toml` says
    /// so.
    pub fn registries(&mut self, file: &File) {
        self.sources += 1;
        let at = Place::file(&*file.name);
        let root = match self.document(file, tree::yaml, Severity::Error) {
            Ok(Some(root)) => root,
            Ok(None) => return,
            Err(why) => return self.broken_host(None, &at, why),
        };
        if root.table().is_none() {
            self.wrong_type(&at, "a table", &root);
            return self.broken_host(None, &at, format!("{at}: it is no table"));
        }
        self.unknown(&at, &root, &["mirrors", "configs"]);
        let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (name, of_mirrors) in [("configs", false), ("mirrors", true)] {
            let Some(node) = get(&root, name) else { continue };
            let at = at.at(name, node.line);
            let Some(tables) = node.table() else {
                if !matches!(node.value, tree::Value::Null) {
                    self.wrong_type(&at, "a table", node);
                }
                continue;
            };
            for (key, node) in tables {
                let at = at.at(format!("{name}.\"{}\"", key.text), key.line);
                let registry = if key.text == "*" { None } else { names::registry(&key.text) };
                if registry.is_none() && key.text != "*" {
                    let what = "the key is no host with an optional port: k3s finds nothing under it";
                    self.error(Code::IgnoredKey, &at, what, "Write host or host:port, without scheme and path.");
                    continue;
                }
                if node.table().is_none() {
                    if !matches!(node.value, tree::Value::Null) {
                        self.wrong_type(&at, "a table", node);
                    }
                } else if of_mirrors {
                    self.k3s_mirrors(registry, &at, node);
                } else {
                    self.k3s_config(registry, &at, node, folder);
                }
            }
        }
    }

    fn k3s_config(&mut self, registry: Option<Origin>, at: &Place, node: &Node, folder: &str) {
        self.unknown(at, node, &["auth", "tls"]);
        if let Some(auth) = get(node, "auth").filter(|auth| auth.table().is_some()) {
            let at = at.at(format!("{}.auth", at.key), auth.line);
            self.unknown(&at, auth, &["username", "password", "auth", "identity_token"]);
            let text = |name| get(auth, name).and_then(Node::text).unwrap_or_default();
            let fields = Fields {
                auth: text("auth"),
                user: text("username"),
                password: text("password"),
                identity_token: text("identity_token"),
                registry_token: "",
            };
            let registries = registry.clone().map_or(For::All, For::Registry);
            self.given(registries, String::new(), 0, &at, &fields);
        }
        let mut host = HostEntry::new(registry, at.clone());
        if let Some(tls) = get(node, "tls").filter(|tls| tls.table().is_some()) {
            let at = at.at(format!("{}.tls", at.key), tls.line);
            self.unknown(&at, tls, &["ca_file", "cert_file", "key_file", "insecure_skip_verify"]);
            let text = |name| get(tls, name).and_then(Node::text).filter(|text| !text.is_empty());
            if let Some(value) = get(tls, "insecure_skip_verify") {
                match value.bool() {
                    Some(skip) => host.skip_verify = Some(skip),
                    None => self.wrong_type(&at, "a boolean", value),
                }
            }
            if let Some(file) = text("ca_file") {
                let loaded = self.named(None, folder, file);
                self.authority(&mut host, loaded);
            }
            match (text("cert_file"), text("key_file")) {
                (Some(certificate), Some(key)) => {
                    let certificate = self.named(None, folder, certificate);
                    let key = self.named(None, folder, key);
                    self.identity(&mut host, certificate, key, &at);
                }
                (None, None) => {}
                (certificate, _) => self.half(&mut host, certificate.is_some(), &at),
            }
        }
        self.model.hosts.push(host);
    }

    fn k3s_mirrors(&mut self, registry: Option<Origin>, at: &Place, node: &Node) {
        self.unknown(at, node, &["endpoint", "rewrite"]);
        let rewrites = self.rewrites(get(node, "rewrite"), at);
        let mut endpoints: Vec<EndpointEntry> = Vec::new();
        let listed = get(node, "endpoint");
        let list = listed.map(|node| (node.line, texts(node)));
        let (line, items) = match list {
            Some((line, Some(items))) => (line, items),
            Some((_, None)) => {
                if let Some(node) = listed {
                    self.wrong_type(at, "a list of URLs", node);
                }
                (at.line.unwrap_or(1), Vec::new())
            }
            None => (at.line.unwrap_or(1), Vec::new()),
        };
        let at = at.at(format!("{}.endpoint", at.key), line);
        for (text, line) in items {
            let at = at.at(&*at.key, line);
            let Some((origin, root)) = endpoint(text) else {
                self.error(Code::BadHost, &at, "it is no URL, and k3s leaves it out", "Write https://host[:port].");
                continue;
            };
            let mut mirror = EndpointEntry::mirror(origin, root, at.clone());
            mirror.mirror = mirror.origin != registry || mirror.root != "/v2";
            mirror.rewrites.clone_from(&rewrites);
            if endpoints.iter().any(|known| known.origin == mirror.origin && known.root == mirror.root) {
                self.warn(Code::DuplicateKey, &at, "the same endpoint twice: k3s leaves the second out", "Remove it.");
                continue;
            }
            endpoints.push(mirror);
        }
        // The registry itself comes last, also where it is listed as the last endpoint.
        match endpoints.last_mut() {
            Some(last) if !last.mirror => last.capabilities = crate::client::Capability::ALL.to_vec(),
            _ => endpoints.push(EndpointEntry::own(None, at.clone())),
        }
        self.model.registries.push(Registry { name: registry, endpoints, place: at });
    }
}

/// An endpoint's origin and API root: a path other than `/v2` replaces it.
fn endpoint(text: &str) -> Option<(Origin, String)> {
    let (guess, _) = names::server(text, "https")?;
    let odd = names::is_local(&guess) && guess.port() != 443;
    let (origin, path) = names::server(text, if odd { "http" } else { "https" })?;
    Some((origin, if path.is_empty() { "/v2".into() } else { path }))
}
