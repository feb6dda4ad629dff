//! Docker's `certs.d`, and that of podman, buildah, skopeo and CRI-O: a directory for each registry, with certificate
//! authorities (`*.crt`, added to the roots) and client certificates (`NAME.cert` with `NAME.key`).

use std::collections::HashMap;
use std::sync::Arc;

use super::diagnostic::{Code, Place};
use super::directory::{Directory, Entry, MAX_ENTRIES};
use super::load::Importer;
use super::model::HostEntry;
use super::names;
use crate::origin::Origin;

/// Who reads the files: they differ in what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// A certificate and a key without the other are errors.
    Docker,
    /// A certificate without a key holds its key; a key without a certificate is ignored.
    Containerd,
    /// A certificate without a key is an error; a key without a certificate is ignored.
    BuildKit,
}

impl Importer {
    /// Docker's `certs.d`: `/etc/docker/certs.d`, one directory for each `host[:port]`. `ca` files add to the roots.
    ///
    /// With the containerd image store Docker reads `hosts.toml` in there too, and so does this; Docker Hub's own
    /// directory is read by neither.
    pub fn docker_certs(&mut self, root: &Directory) {
        self.sources += 1;
        self.readable(root);
        for (name, path, entry) in self.registries_in(root) {
            let (name, at) = (&*name, Place::file(&*path));
            let registry = names::registry(name).filter(|_| name != "_default");
            if registry.is_none() && name != "_default" {
                self.no_registry(&at);
                continue;
            }
            let Some(directory) = self.registry_directory(registry.clone(), &path, entry) else { continue };
            let has_hosts = directory.entries.contains_key("hosts.toml");
            if has_hosts {
                self.warn(
                    Code::ReadersDiffer,
                    &Place::file(directory.path("hosts.toml")),
                    "Docker reads this file only with the containerd image store, and then not the certificate files",
                    "Say the same in both.",
                );
                self.host_directory(name, directory);
            }
            let Some(origin) = registry else {
                if !has_hosts && !directory.entries.is_empty() {
                    let what = "Docker reads this directory only with the containerd image store";
                    self.warn(Code::ReadersDiffer, &at, what, "Name the registries that it is for.");
                    self.host_directory(name, directory);
                }
                continue;
            };
            if origin.is_hub() {
                if !directory.entries.keys().any(|name| name.ends_with(".crt") || name.ends_with(".cert")) {
                    continue;
                }
                self.warn(
                    Code::ReadersDiffer,
                    &at,
                    "Docker reads no certificates for Docker Hub itself; these are not used",
                    "Name the mirror that they are for, or give them in regauth.toml.",
                );
                continue;
            }
            let mut host = HostEntry::new(Some(origin), at);
            self.layout(directory, &mut host, Layout::Docker);
            self.model.hosts.push(host);
        }
    }

    /// The `certs.d` directories of podman, buildah, skopeo and CRI-O, in their search order:
    /// `$HOME/.config/containers/certs.d`, `/etc/containers/certs.d`, `/etc/docker/certs.d`. For each registry the first
    /// directory that exists holds, an empty one too. `ca` files add to the roots.
    pub fn containers_certs(&mut self, roots: &[Directory]) {
        self.sources += 1;
        let mut taken: HashMap<String, String> = HashMap::new();
        for root in roots {
            self.readable(root);
            for (name, path, entry) in self.registries_in(root) {
                let (name, at) = (&*name, Place::file(&*path));
                if let Some(first) = taken.get(name) {
                    let what = format!("not read, as {first} exists, and directories are not merged");
                    self.warn(Code::Shadowed, &at, &what, "Put all files of a registry into the first directory.");
                    continue;
                }
                taken.insert(name.into(), path.clone());
                let Some(origin) = names::registry(name) else {
                    self.no_registry(&at);
                    continue;
                };
                let Some(directory) = self.registry_directory(Some(origin.clone()), &path, entry) else { continue };
                self.name_of_hub(&origin, name, &at);
                let mut host = HostEntry::new(Some(origin), at);
                self.layout(directory, &mut host, Layout::Docker);
                self.model.hosts.push(host);
            }
        }
    }

    /// A directory of which nothing is known could hold an identity for any registry: all of them fail.
    pub(super) fn readable(&mut self, root: &Directory) {
        let Some(why) = &root.unreadable else { return };
        let at = Place::file(&*root.name);
        let what = format!("it cannot be read: {why}");
        self.error(Code::Unreadable, &at, &what, "Make it readable for the user that this program runs as.");
        self.broken_source(&at, format!("{}: {what}", root.name));
    }

    /// A registry by a name under which other readers do not look for Docker Hub.
    pub(super) fn name_of_hub(&mut self, registry: &Origin, name: &str, at: &Place) {
        if registry.is_hub() && !name.starts_with("docker.io") {
            let what = "other readers look for Docker Hub under docker.io only; here this is one more name of it";
            self.warn(Code::ReadersDiffer, at, what, "Name it docker.io.");
        }
    }

    fn no_registry(&mut self, at: &Place) {
        let what = "its name is no host with an optional port";
        self.warn(Code::BadHost, at, what, "Name it like the registry in image names: host or host:port.");
    }

    /// The directory of one registry. Where there is something else, or it cannot be read, requests to the registry fail.
    pub(super) fn registry_directory<'a>(
        &mut self,
        registry: Option<Origin>,
        path: &str,
        entry: &'a Entry,
    ) -> Option<&'a Directory> {
        let wrong = (
            "a file where the directory of a registry should be",
            "Make a directory of this name and put it in there.",
        );
        let found = self.directory(path, Some(entry), wrong);
        found.map_err(|why| self.broken_host(registry, &Place::file(path), why)).ok()
    }

    /// The certificate files of one directory, in the order of their names' bytes.
    pub(super) fn layout(&mut self, directory: &Directory, host: &mut HostEntry, layout: Layout) {
        for (name, entry) in directory.entries.iter().take(MAX_ENTRIES) {
            let path = directory.path(name);
            let at = Place::file(&*path);
            match name.rsplit_once('.') {
                Some((_, "crt")) => {
                    if layout == Layout::Containerd && matches!(entry, Entry::Directory(_)) {
                        continue;
                    }
                    let loaded = self.entry(&path, Some(entry));
                    self.authority(host, loaded);
                }
                Some((base, "cert")) => self.certificate(directory, host, layout, base, (&path, entry)),
                Some((base, "key")) if !directory.entries.contains_key(&format!("{base}.cert")) => {
                    let what = format!("{base}.cert, which it belongs to, is missing");
                    let remedy =
                        "Add the certificate under this name; authorities end in .crt, client certificates in .cert.";
                    if layout == Layout::Docker {
                        self.error(Code::KeyWithoutCertificate, &at, &what, remedy);
                        host.fail(format!("{path}: {what}"));
                    } else {
                        self.warn(Code::KeyWithoutCertificate, &at, &what, remedy);
                    }
                }
                Some((_, "key")) => {}
                Some((_, other)) if ["pem", "cer", "p12", "pfx"].contains(&other) || is_shouted(other) => {
                    self.warn(
                        Code::IgnoredKey,
                        &at,
                        "not read: only names that end in .crt, .cert and .key are",
                        "Name authorities NAME.crt, client certificates NAME.cert and their keys NAME.key.",
                    );
                }
                _ => {}
            }
        }
    }

    fn certificate(
        &mut self,
        directory: &Directory,
        host: &mut HostEntry,
        layout: Layout,
        base: &str,
        (path, entry): (&str, &Entry),
    ) {
        let key_name = format!("{base}.key");
        let key_path = directory.path(&key_name);
        let at = Place::file(path);
        let certificate = self.entry(path, Some(entry));
        let key = match directory.entries.get(&key_name) {
            Some(key) => self.entry(&key_path, Some(key)),
            None if layout == Layout::Containerd => return self.both(host, certificate, &at),
            None => {
                let what = format!("{key_name}, the key of this client certificate, is missing");
                let remedy = "Add the key under this name; authorities end in .crt, client certificates in .cert.";
                self.error(Code::CertificateWithoutKey, &at, &what, remedy);
                Err(format!("{path}: {what}"))
            }
        };
        self.identity(host, certificate, key, &at);
    }
}

fn is_shouted(extension: &str) -> bool {
    ["crt", "cert", "key"].iter().any(|known| extension.eq_ignore_ascii_case(known) && extension != *known)
}

impl Importer {
    /// A directory in Docker's layout that another file names.
    pub(super) fn named_directory(&mut self, name: &str, host: &mut HostEntry, layout: Layout) {
        let files = Arc::clone(&self.files);
        match self.directory(
            name,
            files.get(name),
            ("a file where a directory should be", "Name the directory it is in."),
        ) {
            Ok(directory) => self.layout(directory, host, layout),
            Err(why) => host.fail(why),
        }
    }
}
