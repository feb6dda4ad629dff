//! containerd's host directories (`config_path`, `--hosts-dir`; also nerdctl, CRI and Docker's containerd store):
//! `hosts.toml`, or certificate files in Docker's layout where there is none.

use std::collections::BTreeMap;

use super::certs_d::Layout;
use super::diagnostic::{Code, Place, Severity};
use super::directory::{Directory, Entry, File};
use super::load::{Importer, Loaded, secret, texts};
use super::model::{EndpointEntry, HostEntry, Registry};
use super::names;
use super::tree::{self, Node};
use crate::client::{Capability, Rewrite};
use crate::origin::Origin;

/// The fields of the server at the top, and of each `[host."URL"]`.
const FIELDS: [&str; 9] =
    ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout", "rewrite", "proxy"];

/// In which place a spelling is looked for, the name, the path, what is there.
type Spelling<'a> = (u8, String, String, &'a Entry);

/// A document that containerd refuses as a whole, and then reads certificate files instead: here the registry fails.
pub(super) struct Refused(pub(super) String);

impl Importer {
    /// containerd's host directories in the order of `config_path`. In each one a registry is looked for as
    /// `host_port_`, `host:port` and `_default`; the first hit in the first directory that has one holds. `ca` adds to
    /// the roots.
    pub fn hosts(&mut self, roots: &[Directory]) {
        self.sources += 1;
        let mut taken: BTreeMap<Option<Origin>, String> = BTreeMap::new();
        let mut default: Option<String> = None;
        for root in roots {
            self.readable(root);
            // By registry, the spelling that is looked for first.
            let mut found: BTreeMap<Option<Origin>, Vec<Spelling<'_>>> = BTreeMap::new();
            for (name, path, entry) in self.registries_in(root) {
                match registry_of(&name) {
                    Some((registry, rank)) => {
                        found.entry(registry).or_default().push((rank, name.into_owned(), path, entry));
                    }
                    None => self.warn(
                        Code::BadHost,
                        &Place::file(path),
                        "its name is no host with an optional port",
                        "Name it host_port_ or host:port, like the registry in image names.",
                    ),
                }
            }
            let mut has_default = None;
            for (registry, mut spellings) in found {
                spellings.sort_by_key(|(rank, ..)| *rank);
                for (_, name, path, entry) in spellings {
                    let first = taken.get(&registry).or(default.as_ref());
                    if let Some(first) = first {
                        let what = format!("not read, as {first} is found first");
                        self.warn(Code::Shadowed, &Place::file(&*path), &what, "Remove one of them.");
                        continue;
                    }
                    taken.insert(registry.clone(), path.clone());
                    if registry.is_none() {
                        has_default = Some(path.clone());
                    }
                    match entry {
                        Entry::Directory(directory) if directory.unreadable.is_none() => {
                            self.host_directory(&name, directory);
                        }
                        Entry::File(_) => self.warn(
                            Code::NotDirectory,
                            &Place::file(&*path),
                            "a file where the directory of a registry should be",
                            "Make a directory of this name and put it in there.",
                        ),
                        Entry::Unreadable(_) | Entry::Directory(_) => {
                            if let Err(why) = self.entry(&path, Some(entry)) {
                                self.broken_host(registry.clone(), &Place::file(&*path), why);
                            }
                        }
                    }
                }
            }
            default = default.or(has_default);
        }
    }

    /// One registry's directory.
    pub(super) fn host_directory(&mut self, name: &str, directory: &Directory) {
        let Some((registry, _)) = registry_of(name) else { return };
        let path = directory.path("hosts.toml");
        let at = Place::file(&*path);
        let entry = match directory.entries.get("hosts.toml") {
            None => return self.fallback(registry, directory),
            Some(Entry::File(bytes)) if bytes.is_empty() => {
                let what = "it is empty, so that the certificate files beside it are read";
                self.warn(Code::Empty, &at, what, "Remove it, or write it again.");
                return self.fallback(registry, directory);
            }
            Some(Entry::File(bytes)) => Entry::File(bytes.duplicate()),
            Some(other) => {
                if let Err(why) = self.entry(&path, Some(other)) {
                    self.broken_host(registry, &at, why);
                }
                return;
            }
        };
        let root = match self.document(&File { name: path, entry }, tree::toml, Severity::Error) {
            Ok(Some(root)) => root,
            Ok(None) => Node { line: 1, value: tree::Value::Table(Vec::new()) },
            Err(why) => return self.broken_host(registry, &at, why),
        };
        if let Err(Refused(why)) = self.hosts_document(registry.clone(), directory, &at, &root) {
            self.broken_host(registry, &at, why);
        }
    }

    /// Nothing in the place of what cannot be read: requests to this registry fail.
    pub(super) fn broken_host(&mut self, registry: Option<Origin>, at: &Place, why: String) {
        let mut host = HostEntry::new(registry, at.clone());
        host.broken_document = true;
        host.fail(why);
        self.model.hosts.push(host);
    }

    fn fallback(&mut self, registry: Option<Origin>, directory: &Directory) {
        let at = Place::file(&*directory.name);
        let mut host = HostEntry::new(registry.clone(), at.clone());
        self.layout(directory, &mut host, Layout::Containerd);
        let endpoints = self.own_server(registry.as_ref(), &at);
        self.model.hosts.push(host);
        if endpoints.len() > 1 || endpoints.iter().any(|endpoint| endpoint.origin.is_some()) {
            self.model.registries.push(Registry { name: registry, endpoints, place: at });
        }
    }

    fn hosts_document(
        &mut self,
        registry: Option<Origin>,
        directory: &Directory,
        at: &Place,
        root: &Node,
    ) -> Result<(), Refused> {
        let mut known = vec!["server", "host"];
        known.extend(FIELDS);
        self.unknown(at, root, &known);
        self.proxy(at, root);
        let mut endpoints = Vec::new();
        let mut mirrors: Vec<(Origin, bool, Place)> = Vec::new();
        if let Some(hosts) = get(root, "host") {
            let tables = hosts.table().ok_or_else(|| self.refuse(&at.at("host", hosts.line), "a table", hosts))?;
            for (key, node) in tables {
                let at = at.at(format!("host.\"{}\"", key.text), key.line);
                if node.table().is_none() {
                    return Err(self.refuse(&at, "a table", node));
                }
                self.unknown(&at, node, &FIELDS);
                self.proxy(&at, node);
                let (made, host) = self.server(&key.text, directory, &at, node)?;
                mirrors.extend(host.origin.clone().map(|origin| (origin, host.has_tls(), at.clone())));
                self.model.hosts.push(host);
                endpoints.extend(made);
            }
        }
        let text = get(root, "server").map(|node| (node, node.text()));
        let (text, server_at) = match text {
            Some((node, Some(text))) => (text, at.at("server", node.line)),
            Some((node, None)) => return Err(self.refuse(&at.at("server", node.line), "text", node)),
            None => ("", at.clone()),
        };
        let host = if text.is_empty() {
            let mut host = HostEntry::new(registry.clone(), server_at.clone());
            let capabilities = self.fields(&mut host, directory, &server_at, root)?;
            let mut own = self.own_server(registry.as_ref(), &server_at);
            own.iter_mut().for_each(|own| own.capabilities.clone_from(&capabilities));
            endpoints.extend(own);
            host
        } else {
            let (mut made, host) = self.server(text, directory, &server_at, root)?;
            made.iter_mut().for_each(|endpoint| endpoint.mirror = false);
            endpoints.extend(made);
            host
        };
        let same = mirrors.iter().find(|(origin, tls, _)| *tls && Some(origin) == host.origin.as_ref());
        if let (Some((origin, _, place)), false) = (same, host.has_tls()) {
            let what = format!("its TLS settings hold for {origin} here; containerd does not use them for the server");
            let remedy = "Repeat ca, client and skip_verify above the first [host], for the server.";
            self.warn(Code::HostTlsNotForServer, place, &what, remedy);
        }
        self.model.hosts.push(host);
        // An endpoint that is the registry itself, by http perhaps, is no mirror of it.
        for endpoint in &mut endpoints {
            endpoint.mirror &= !is_registry(endpoint.origin.as_ref(), registry.as_ref());
        }
        self.model.registries.push(Registry { name: registry, endpoints, place: at.clone() });
        Ok(())
    }

    /// Newer versions of containerd have it; which way a connection takes is the host's part here.
    fn proxy(&mut self, at: &Place, node: &Node) {
        if let Some(value) = get(node, "proxy") {
            let key = if at.key.is_empty() { "proxy".to_string() } else { format!("{}.proxy", at.key) };
            let what = "the proxy is not taken from here: that of the program that makes the connection is used";
            self.warn(Code::NotUsed, &at.at(key, value.line), what, "Set HTTPS_PROXY and NO_PROXY for that program.");
        }
    }

    /// Where an image goes when no server is named: its own registry.
    fn own_server(&mut self, registry: Option<&Origin>, at: &Place) -> Vec<EndpointEntry> {
        let mut endpoints = vec![EndpointEntry::own(None, at.clone())];
        let Some(registry) = registry.filter(|registry| names::is_local(registry)) else { return endpoints };
        let http = names::over_http(registry);
        match (registry.port(), http) {
            (443, _) => {}
            (80, _) => {
                let http = Origin::parse(&format!("http://{}", registry.host())).ok();
                endpoints = vec![EndpointEntry::own(http, at.clone())];
            }
            (_, http) => {
                let mut last = EndpointEntry::own(http, at.clone());
                last.fallback = true;
                endpoints.push(last);
            }
        }
        self.say(
            Severity::Info,
            Code::ReadersDiffer,
            at,
            "containerd does not check certificates of a registry on this machine; here they are checked, and plain http comes last, without any grant",
            "Write server = \"http://…\" for plain http, or give the authority in ca.",
        );
        endpoints
    }

    /// The endpoints of one URL: two where containerd tries https before the http that is written.
    fn server(
        &mut self,
        text: &str,
        directory: &Directory,
        at: &Place,
        node: &Node,
    ) -> Result<(Vec<EndpointEntry>, HostEntry), Refused> {
        let Some((written, path)) = names::server(text, "https") else {
            self.error(
                Code::BadHost,
                at,
                "it is no URL of a server",
                "Write https://host[:port], and a path if it has one.",
            );
            return Err(Refused(format!("{at}: it is no URL of a server")));
        };
        let mut host = HostEntry::new(Some(written.clone()), at.clone());
        let capabilities = self.fields(&mut host, directory, at, node)?;
        let over = get(node, "override_path").and_then(Node::bool).unwrap_or(false);
        let root = if over || path.ends_with("/v2") { path } else { format!("{path}/v2") };
        let mut endpoint = EndpointEntry::mirror(written.clone(), root, at.clone());
        endpoint.capabilities = capabilities;
        endpoint.rewrites = self.rewrites(get(node, "rewrite"), at);
        let mut endpoints = vec![endpoint.clone()];
        if !written.is_https() && host.has_tls() {
            self.warn(
                Code::PlainHttp,
                at,
                "http with TLS settings: https is tried first, and plain http after it without any grant",
                "Write https://, or remove the TLS settings.",
            );
            let https = (written.port() != 80).then(|| format!("https://{}", written.authority()));
            if let Some(https) = https.and_then(|https| Origin::parse(&https).ok()) {
                host.origin = Some(https.clone());
                endpoint.origin = Some(https);
                endpoints.iter_mut().for_each(|last| last.fallback = true);
                endpoints.insert(0, endpoint);
            }
        }
        Ok((endpoints, host))
    }

    /// The fields that the server and each host have; gives the capabilities.
    fn fields(
        &mut self,
        host: &mut HostEntry,
        directory: &Directory,
        at: &Place,
        node: &Node,
    ) -> Result<Vec<Capability>, Refused> {
        let place = |name: &str, node: &Node| {
            let key =
                if at.key.is_empty() || at.key == "server" { name.to_string() } else { format!("{}.{name}", at.key) };
            at.at(key, node.line)
        };
        for name in ["skip_verify", "override_path"] {
            if let Some(value) = get(node, name) {
                let flag = value.bool().ok_or_else(|| self.refuse(&place(name, value), "a boolean", value))?;
                if name == "skip_verify" {
                    host.skip_verify = Some(flag);
                }
            }
        }
        if let Some(value) = get(node, "ca") {
            let files =
                texts(value).ok_or_else(|| self.refuse(&place("ca", value), "a file or a list of files", value))?;
            for (file, _) in files {
                let loaded = self.named(Some(directory), &directory.name, file);
                self.authority(host, loaded);
            }
        }
        if let Some(value) = get(node, "client") {
            self.client(host, directory, &place("client", value), value)?;
        }
        if let Some(headers) = get(node, "header") {
            let table = headers.table().ok_or_else(|| self.refuse(&place("header", headers), "a table", headers))?;
            for (key, value) in table {
                let values =
                    texts(value).ok_or_else(|| self.refuse(&place("header", value), "text or a list of it", value))?;
                host.headers.extend(values.into_iter().map(|(text, _)| (key.text.clone(), secret(text))));
            }
        }
        if let Some(value) = get(node, "dial_timeout") {
            match value.text().and_then(milliseconds) {
                Some(time) => host.dial_timeout = Some(time),
                None => return Err(self.refuse(&place("dial_timeout", value), "a duration such as \"5s\"", value)),
            }
        }
        let Some(value) = get(node, "capabilities") else { return Ok(Capability::ALL.to_vec()) };
        let names = value.list().ok_or_else(|| self.refuse(&place("capabilities", value), "a list", value))?;
        let mut capabilities = Vec::new();
        for name in names {
            let known = |text: &str| Capability::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text));
            let Some(capability) = name.text().and_then(known) else {
                let place = place("capabilities", name);
                let what = "a capability that containerd does not know, so that it refuses the file";
                self.error(Code::WrongType, &place, what, "Write pull, resolve, push or referrers.");
                return Err(Refused(format!("{place}: {what}")));
            };
            capabilities.push(capability);
        }
        Ok(if capabilities.is_empty() { Capability::ALL.to_vec() } else { capabilities })
    }

    /// The three forms: one file with certificate and key; a list of those; a list of pairs of files.
    fn client(&mut self, host: &mut HostEntry, directory: &Directory, at: &Place, value: &Node) -> Result<(), Refused> {
        let load = |importer: &mut Self, name: &str| importer.named(Some(directory), &directory.name, name);
        if let Some(file) = value.text() {
            let both = load(self, file);
            self.both(host, both, at);
            return Ok(());
        }
        let items = value.list().ok_or_else(|| self.refuse(at, "a file, a list of files or a list of pairs", value))?;
        if let [first, second] = items
            && let (Some(certificate), Some(key)) = (first.text(), second.text())
        {
            let (certificate, key) = (load(self, certificate), load(self, key));
            if let (Ok((_, chain)), Ok((_, secret))) = (&certificate, &key)
                && is_pair(chain.expose(), secret.expose())
            {
                let what = "two files that each have to hold a certificate and its key, and not a pair: containerd refuses them";
                self.error(Code::CombinedFiles, at, what, "Write client = [[\"certificate\", \"key\"]].");
                host.fail(format!("{at}: {what}"));
                return Ok(());
            }
            self.both(host, certificate, at);
            self.both(host, key, at);
            return Ok(());
        }
        for item in items {
            match (item.text(), item.list()) {
                (Some(file), _) => {
                    let both = load(self, file);
                    self.both(host, both, at);
                }
                (None, Some([certificate, key])) => {
                    let (Some(certificate), Some(key)) = (certificate.text(), key.text()) else {
                        return Err(self.refuse(at, "a pair of files", item));
                    };
                    let chain = load(self, certificate);
                    if key.is_empty() {
                        self.both(host, chain, at);
                    } else {
                        let key = load(self, key);
                        self.identity(host, chain, key, at);
                    }
                }
                _ => return Err(self.refuse(at, "a file or a pair of files", item)),
            }
        }
        Ok(())
    }

    /// A file that holds certificate and key.
    fn both(&mut self, host: &mut HostEntry, loaded: Loaded, at: &Place) {
        let key = match &loaded {
            Ok((name, bytes)) => Ok((name.clone(), bytes.duplicate())),
            Err(why) => Err(why.clone()),
        };
        self.identity(host, loaded, key, at);
    }

    pub(super) fn rewrites(&mut self, node: Option<&Node>, at: &Place) -> Vec<Rewrite> {
        let mut rewrites = Vec::new();
        let Some(node) = node else { return rewrites };
        let at = at.at(format!("{}.rewrite", at.key), node.line);
        let Some(table) = node.table() else {
            self.wrong_type(&at, "a table", node);
            return rewrites;
        };
        for (key, value) in table {
            let made = value.text().map(|replacement| Rewrite::new(&key.text, replacement));
            match made {
                Some(Ok(rewrite)) => rewrites.push(rewrite),
                Some(Err(why)) => {
                    let at = at.at(&*at.key, key.line);
                    self.error(Code::Rewrite, &at, &format!("the pattern cannot be used: {why}"), "Correct it.");
                }
                None => self.wrong_type(&at, "text", value),
            }
        }
        if rewrites.len() > 1 {
            let what = "more than one rewrite: other readers take them in no order; here the first that changes the name holds";
            self.warn(Code::Rewrite, &at, what, "Write patterns of which only one can match.");
        }
        rewrites
    }

    fn refuse(&mut self, at: &Place, wanted: &str, node: &Node) -> Refused {
        self.wrong_type(at, wanted, node);
        Refused(format!("{at}: {} where {wanted} should be", node.kind()))
    }
}

/// Whether an endpoint has the registry's own name, whatever its scheme.
pub(super) fn is_registry(endpoint: Option<&Origin>, registry: Option<&Origin>) -> bool {
    endpoint.zip(registry).map_or(endpoint.is_none() && registry.is_none(), |(one, other)| one.is_place_of(other))
}

/// A field by name; of several that differ in case only, the one as it is written here.
pub(super) fn get<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    node.table()?.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
}

/// A certificate without a key, and then a key without a certificate.
fn is_pair(first: &[u8], second: &[u8]) -> bool {
    let holds = |pem: &[u8], text: &str| pem.windows(text.len()).any(|window| window == text.as_bytes());
    let (certificate, key) = ("-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----");
    holds(first, certificate) && !holds(first, key) && holds(second, key) && !holds(second, certificate)
}

/// The registry of a directory's name, and in which place its spelling is looked for. `None` inside: all registries.
fn registry_of(name: &str) -> Option<(Option<Origin>, u8)> {
    if name == "_default" {
        return Some((None, 0));
    }
    // The last colon becomes `_`, and another `_` ends the name; an IPv6 literal without a port has its last colon too.
    if let Some((host, port)) = name.strip_suffix('_').and_then(|name| name.rsplit_once('_'))
        && let Some(origin) = names::registry(&format!("{host}:{port}"))
    {
        return Some((Some(origin), 0));
    }
    names::registry(name).map(|origin| (Some(origin), 1))
}

/// A duration as Go writes it (`1m30s`, `500ms`), in milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at_checked(unit)?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}
