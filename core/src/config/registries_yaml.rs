//! `registries.yaml` of k3s and RKE2. `ca_file` adds to the roots.

use std::collections::HashSet;
use std::sync::Arc;

use super::diagnostic::Code;
use super::directory::File;
use super::docker_config::{Fields, Key};
use super::field::{Base, Field};
use super::hosts_toml::is_registry;
use super::load::Importer;
use super::model::{EndpointEntry, For, Given, HostEntry, Registry};
use super::names;
use super::tree;
use crate::client::Rewrite;
use crate::origin::Origin;

impl Importer {
    /// `registries.yaml` of k3s and RKE2. Settings of a host are looked for under its name, Docker Hub's under
    /// `docker.io` too, and then under `*`; those of `*` are not for an identity or a password unless `regauth.toml` says
    /// so.
    pub fn registries(&mut self, file: &File) {
        let Some(root) = self.source(file, tree::yaml) else { return };
        let (root, base) = (Field::root(file, &root), Base::beside(file));
        if let Err(why) = self.want_table(&root) {
            return self.broken_source(&root.at, why);
        }
        self.unknown(&root, &["mirrors", "configs"]);
        for (name, of_mirrors) in [("configs", false), ("mirrors", true)] {
            let Some(tables) = root.get(name) else { continue };
            if let Err(why) = self.want_table(&tables)
                && !of_mirrors
            {
                self.broken_source(&tables.at, why);
            }
            for (key, table) in tables.entries() {
                let registry = if key == "*" { None } else { names::registry(key) };
                if registry.is_none() && key != "*" {
                    let what = "the key is no host with an optional port: k3s finds nothing under it";
                    self.error(Code::IgnoredKey, &table.at, what, "Write host or host:port, without scheme and path.");
                } else if self.k3s_table(&table, registry.as_ref(), of_mirrors) {
                    match of_mirrors {
                        true => self.k3s_mirrors(registry, &table),
                        false => self.k3s_config(registry, &table, base),
                    }
                }
            }
        }
    }

    /// Whether it is a table. Where it is something else, a certificate in it may be lost.
    fn k3s_table(&mut self, field: &Field<'_>, registry: Option<&Origin>, of_mirrors: bool) -> bool {
        if field.node.is_null() {
            return false;
        }
        let table = self.want_table(field);
        let good = table.is_ok();
        if let Err(why) = table
            && !of_mirrors
        {
            self.broken_host(registry.cloned(), &field.at, why);
        }
        good
    }

    fn k3s_config(&mut self, registry: Option<Origin>, table: &Field<'_>, base: Base<'_>) {
        self.unknown(table, &["auth", "tls"]);
        if let Some(auth) = table.get("auth") {
            self.k3s_auth(registry.clone(), &auth);
        }
        let mut host = HostEntry::new(registry, table.at.clone());
        if let Some(tls) = table.get("tls") {
            self.k3s_tls(&mut host, &tls, base);
        }
        self.model.hosts.push(host);
    }

    fn k3s_auth(&mut self, registry: Option<Origin>, auth: &Field<'_>) {
        let at = &auth.at;
        let key = Key::of(registry.map_or(For::All, For::Registry));
        let names = ["username", "password", "auth", "identity_token"];
        let Some([user, password, auth, identity_token]) = self.text_fields(auth, names, &[]) else {
            let why = Given::Broken(format!("{at}: a value of another type than text"));
            return self.credential(key, 3, at, why);
        };
        let [user, password, auth, identity_token] =
            [user, password, auth, identity_token].map(Option::unwrap_or_default);
        let fields = Fields { auth, user, password, identity_token, registry_token: "" };
        self.given(key, at, &fields);
    }

    fn k3s_tls(&mut self, host: &mut HostEntry, tls: &Field<'_>, base: Base<'_>) {
        const SKIP: &str = "insecure_skip_verify";
        let names = ["ca_file", "cert_file", "key_file"];
        let Some([ca, certificate, key]) = self.text_fields(tls, names, &[SKIP]) else {
            return host.fail(format!("{}: a value of another type than its field", tls.at));
        };
        host.skip_verify = self.want_flag(tls, SKIP, "a boolean").unwrap_or_default();
        if let Some(file) = ca {
            let loaded = self.named(base, file);
            self.authority(host, loaded);
        }
        if certificate.is_some() || key.is_some() {
            self.pair(host, base, (certificate, key), &tls.at);
        }
    }

    /// Text fields of a table. `None` where it is no table or one of them is no text, which was said.
    fn text_fields<'a, const N: usize>(
        &mut self,
        table: &Field<'a>,
        names: [&str; N],
        more: &[&str],
    ) -> Option<[Option<&'a str>; N]> {
        self.want_table(table).ok()?;
        let known: Vec<&str> = names.iter().chain(more).copied().collect();
        self.unknown(table, &known);
        let mut good = true;
        let values = names.map(|name| {
            let field = table.get(name)?;
            let value = self.want(&field, "text", field.node.text());
            good &= value.is_ok();
            value.ok().filter(|text| !text.is_empty())
        });
        good.then_some(values)
    }

    fn k3s_mirrors(&mut self, registry: Option<Origin>, table: &Field<'_>) {
        self.unknown(table, &["endpoint", "rewrite"]);
        let rewrites: Arc<[Rewrite]> = self.rewrites(table).into();
        let mut endpoints: Vec<EndpointEntry> = Vec::new();
        let mut known = HashSet::new();
        let listed = table.get("endpoint");
        let items = listed.as_ref().map(|listed| self.want(listed, "a list of URLs", listed.texts()));
        let place = listed.map_or_else(|| table.at.field("endpoint", table.at.line.unwrap_or(1)), |listed| listed.at);
        for (text, at) in items.and_then(Result::ok).unwrap_or_default() {
            let Some((origin, root)) = endpoint(text) else {
                self.error(Code::BadHost, &at, "it is no URL, and k3s leaves it out", "Write https://host[:port].");
                continue;
            };
            let mut mirror = EndpointEntry::mirror(origin, root, at.clone());
            mirror.mirror = !is_registry(mirror.origin.as_ref(), registry.as_ref()) || mirror.root != "/v2";
            mirror.rewrites = Arc::clone(&rewrites);
            if !known.insert((mirror.origin.clone(), mirror.root.clone())) {
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
            _ => endpoints.push(EndpointEntry::own(None, place.clone())),
        }
        self.model.registries.push(Registry { name: registry, endpoints, place });
    }
}

/// An endpoint's origin and API root: a path other than `/v2` replaces it.
fn endpoint(text: &str) -> Option<(Origin, String)> {
    let (guess, _) = names::server(text, "https")?;
    let odd = names::is_local(&guess) && guess.port() != 443;
    let (origin, path) = names::server(text, if odd { "http" } else { "https" })?;
    Some((origin, if path.is_empty() { "/v2".into() } else { path }))
}
