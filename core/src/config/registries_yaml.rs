//! `registries.yaml` of k3s and RKE2. `ca_file` adds to the roots.

use super::diagnostic::{Code, Place, Severity};
use super::directory::File;
use super::docker_config::Fields;
use super::hosts_toml::{get, is_registry};
use super::load::{Importer, texts};
use super::model::{EndpointEntry, For, Given, HostEntry, Registry};
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
                if !node.is_null() {
                    self.wrong_type(&at, "a table", node);
                    if !of_mirrors {
                        self.broken_host(None, &at, format!("{at}: it is no table"));
                    }
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
                    if !node.is_null() {
                        self.wrong_type(&at, "a table", node);
                        if !of_mirrors {
                            self.broken_host(registry, &at, format!("{at}: it is no table"));
                        }
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
        let section =
            |name: &str| present(node, name).map(|node| (at.at(format!("{}.{name}", at.key), node.line), node));
        if let Some((at, auth)) = section("auth") {
            self.k3s_auth(registry.clone(), &at, auth);
        }
        let mut host = HostEntry::new(registry, at.clone());
        if let Some((at, tls)) = section("tls") {
            self.k3s_tls(&mut host, &at, tls, folder);
        }
        self.model.hosts.push(host);
    }

    fn k3s_auth(&mut self, registry: Option<Origin>, at: &Place, auth: &Node) {
        let registries = registry.map_or(For::All, For::Registry);
        let names = ["username", "password", "auth", "identity_token"];
        let Some([user, password, auth, identity_token]) = self.text_fields(at, auth, names, &[]) else {
            let why = Given::Broken(format!("{at}: a value of another type than text"));
            return self.credential(registries, String::new(), 0, 3, at, why);
        };
        let [user, password, auth, identity_token] =
            [user, password, auth, identity_token].map(Option::unwrap_or_default);
        let fields = Fields { auth, user, password, identity_token, registry_token: "" };
        self.given(registries, String::new(), 0, at, &fields);
    }

    fn k3s_tls(&mut self, host: &mut HostEntry, at: &Place, tls: &Node, folder: &str) {
        const SKIP: &str = "insecure_skip_verify";
        let names = ["ca_file", "cert_file", "key_file"];
        let Some([ca, certificate, key]) = self.text_fields(at, tls, names, &[SKIP]) else {
            return host.fail(format!("{at}: a value of another type than its field"));
        };
        if let Some(value) = present(tls, SKIP) {
            match value.bool() {
                Some(skip) => host.skip_verify = Some(skip),
                None => self.wrong_type(at, "a boolean", value),
            }
        }
        if let Some(file) = ca {
            let loaded = self.named(None, folder, file);
            self.authority(host, loaded);
        }
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let certificate = self.named(None, folder, certificate);
                let key = self.named(None, folder, key);
                self.identity(host, certificate, key, at);
            }
            (None, None) => {}
            (certificate, _) => self.half(host, certificate.is_some(), at),
        }
    }

    /// Text fields of a table. `None` where it is no table or one of them is no text, which was said.
    fn text_fields<'a, const N: usize>(
        &mut self,
        at: &Place,
        table: &'a Node,
        names: [&str; N],
        more: &[&str],
    ) -> Option<[Option<&'a str>; N]> {
        if table.table().is_none() {
            self.wrong_type(at, "a table", table);
            return None;
        }
        let known: Vec<&str> = names.iter().chain(more).copied().collect();
        self.unknown(at, table, &known);
        let mut good = true;
        let values = names.map(|name| {
            let value = present(table, name)?;
            if value.text().is_none() {
                good = false;
                self.wrong_type(&at.at(format!("{}.{name}", at.key), value.line), "text", value);
            }
            value.text().filter(|text| !text.is_empty())
        });
        good.then_some(values)
    }

    fn k3s_mirrors(&mut self, registry: Option<Origin>, at: &Place, node: &Node) {
        self.unknown(at, node, &["endpoint", "rewrite"]);
        let rewrites = self.rewrites(present(node, "rewrite"), at);
        let mut endpoints: Vec<EndpointEntry> = Vec::new();
        let listed = present(node, "endpoint");
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
            mirror.mirror = !is_registry(mirror.origin.as_ref(), registry.as_ref()) || mirror.root != "/v2";
            mirror.rewrites.clone_from(&rewrites);
            if endpoints.iter().any(|known| known.origin == mirror.origin && known.root == mirror.root) {
                self.warn(Code::DuplicateKey, &at, "the same endpoint twice: k3s leaves the second out", "Remove it.");
                continue;
            }
            endpoints.push(mirror);
        }
        // The registry itself comes last, also where it is listed as the last endpoint.
        match endpoints.last_mut() {
            Some(last) if !last.mirror && last.origin == registry => {
                last.capabilities = crate::client::Capability::ALL.to_vec()
            }
            _ => endpoints.push(EndpointEntry::own(None, at.clone())),
        }
        self.model.registries.push(Registry { name: registry, endpoints, place: at });
    }
}

/// A field that is there and not null.
fn present<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    get(node, name).filter(|value| !value.is_null())
}

/// An endpoint's origin and API root: a path other than `/v2` replaces it.
fn endpoint(text: &str) -> Option<(Origin, String)> {
    let (guess, _) = names::server(text, "https")?;
    let odd = names::is_local(&guess) && guess.port() != 443;
    let (origin, path) = names::server(text, if odd { "http" } else { "https" })?;
    Some((origin, if path.is_empty() { "/v2".into() } else { path }))
}
