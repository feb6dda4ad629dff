//! containerd's host directories (`config_path`, `--hosts-dir`; also nerdctl, CRI and Docker's containerd store):
//! `hosts.toml`, or certificate files in Docker's layout where there is none.

use std::collections::BTreeMap;

use super::certs_d::Layout;
use super::diagnostic::{Code, Place, Severity};
use super::directory::{Directory, Entry, File};
use super::field::{Base, Field};
use super::load::{Importer, Loaded};
use super::model::{EndpointEntry, HostEntry, Registry};
use super::names;
use super::tree::{self, Node};
use crate::client::{Capability, Rewrite};
use crate::origin::Origin;

/// The fields of the server at the top, and of each `[host."URL"]`.
const FIELDS: [&str; 9] =
    ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout", "rewrite", "proxy"];

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
            let mut found = Vec::new();
            for (name, path, entry) in self.registries_in(root) {
                match registry_of(&name) {
                    Some((registry, rank)) => found.push((registry, rank, name, path, entry)),
                    None => self.warn(
                        Code::BadHost,
                        &Place::file(path),
                        "its name is no host with an optional port",
                        "Name it host_port_ or host:port, like the registry in image names.",
                    ),
                }
            }
            // Of one registry, the spelling that is looked for first.
            found.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
            for (registry, _, name, path, entry) in found {
                if let Some(first) = taken.get(&registry).or(default.as_ref()) {
                    let what = format!("not read, as {first} is found first");
                    self.warn(Code::Shadowed, &Place::file(&*path), &what, "Remove one of them.");
                    continue;
                }
                taken.insert(registry.clone(), path.clone());
                if let Some(directory) = self.registry_directory(registry, &path, entry) {
                    self.host_directory(&name, directory);
                }
            }
            default = taken.get(&None).cloned();
        }
    }

    pub(super) fn host_directory(&mut self, name: &str, directory: &Directory) {
        let Some((registry, _)) = registry_of(name) else { return };
        if let Some(registry) = &registry {
            self.name_of_hub(registry, name, &Place::file(&*directory.name));
        }
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
        let file = File { name: path, entry };
        let read = self.document(&file, tree::toml, Severity::Error).and_then(|root| {
            let root = root.unwrap_or(Node { line: 1, value: tree::Value::Table(Vec::new()) });
            self.hosts_document(registry.clone(), directory, &Field::root(&file, &root))
        });
        if let Err(why) = read {
            self.broken_host(registry, &at, why);
        }
    }

    /// Nothing in the place of what cannot be read: requests to this registry fail.
    pub(super) fn broken_host(&mut self, registry: Option<Origin>, at: &Place, why: String) {
        self.model.hosts.push(HostEntry::broken(registry, at, why));
    }

    /// The same of a source that may have named a certificate for any registry: those without one in another source fail.
    pub(super) fn broken_source(&mut self, at: &Place, why: String) {
        self.model.unread.get_or_insert_with(|| why.clone());
        self.broken_host(None, at, why);
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

    /// `Err`: containerd refuses the whole document, and then reads certificate files instead. Here the registry fails.
    fn hosts_document(
        &mut self,
        registry: Option<Origin>,
        directory: &Directory,
        root: &Field<'_>,
    ) -> Result<(), String> {
        let base = Base::inside(directory);
        let mut known = vec!["server", "host"];
        known.extend(FIELDS);
        self.unknown(root, &known);
        self.proxy(root);
        let mut endpoints = Vec::new();
        let mut mirrors: Vec<(Origin, bool, Place)> = Vec::new();
        if let Some(hosts) = root.get("host") {
            self.want(&hosts, "a table", hosts.node.table())?;
            for (url, table) in hosts.entries() {
                self.want(&table, "a table", table.node.table())?;
                self.unknown(&table, &FIELDS);
                self.proxy(&table);
                let (made, host) = self.server(url, base, &table.at, &table)?;
                mirrors.extend(host.origin.clone().map(|origin| (origin, host.has_tls(), table.at.clone())));
                self.model.hosts.push(host);
                endpoints.extend(made);
            }
        }
        let server = root.get("server");
        let at = server.as_ref().map_or(&root.at, |server| &server.at);
        let url = server.as_ref().map(|server| self.want(server, "text", server.node.text())).transpose()?;
        let host = if let Some(url) = url.filter(|url| !url.is_empty()) {
            let (mut made, host) = self.server(url, base, at, root)?;
            made.iter_mut().for_each(|endpoint| endpoint.mirror = false);
            endpoints.extend(made);
            host
        } else {
            let mut host = HostEntry::new(registry.clone(), at.clone());
            let capabilities = self.fields(&mut host, base, root)?;
            let mut own = self.own_server(registry.as_ref(), at);
            own.iter_mut().for_each(|own| own.capabilities.clone_from(&capabilities));
            endpoints.extend(own);
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
        self.model.registries.push(Registry { name: registry, endpoints, place: root.at.clone() });
        Ok(())
    }

    /// Newer versions of containerd have it; which way a connection takes is the host's part here.
    fn proxy(&mut self, table: &Field<'_>) {
        if let Some(field) = table.get("proxy") {
            let what = "the proxy is not taken from here: that of the program that makes the connection is used";
            self.warn(Code::NotUsed, &field.at, what, "Set HTTPS_PROXY and NO_PROXY for that program.");
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

    /// The endpoints of one URL, which is written at `at`: two where containerd tries https before http.
    fn server(
        &mut self,
        text: &str,
        base: Base<'_>,
        at: &Place,
        table: &Field<'_>,
    ) -> Result<(Vec<EndpointEntry>, HostEntry), String> {
        let Some((written, path)) = names::server(text, "https") else {
            let what = "it is no URL of a server";
            self.error(Code::BadHost, at, what, "Write https://host[:port], and a path if it has one.");
            return Err(format!("{at}: {what}"));
        };
        let mut host = HostEntry::new(Some(written.clone()), at.clone());
        let capabilities = self.fields(&mut host, base, table)?;
        let over = table.node.get("override_path").and_then(Node::bool).unwrap_or(false);
        let root = if over || path.ends_with("/v2") { path } else { format!("{path}/v2") };
        let mut endpoint = EndpointEntry::mirror(written.clone(), root, at.clone());
        endpoint.capabilities = capabilities;
        endpoint.rewrites = self.rewrites(table).into();
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
    fn fields(&mut self, host: &mut HostEntry, base: Base<'_>, table: &Field<'_>) -> Result<Vec<Capability>, String> {
        host.skip_verify = self.want_flag(table, "skip_verify", "a boolean")?;
        self.want_flag(table, "override_path", "a boolean")?;
        if let Some(ca) = table.get("ca") {
            let files = self.want(&ca, "a file or a list of files", ca.texts())?;
            self.authorities(host, base, &files);
        }
        if let Some(client) = table.get("client") {
            self.client(host, base, &client)?;
        }
        if let Some(header) = table.get("header") {
            self.want(&header, "a table", header.node.table())?;
            for (key, node) in header.node.table().unwrap_or_default() {
                self.header(host, &key.text, &Field { node, at: header.at.line(node.line) })?;
            }
        }
        if let Some(time) = table.get("dial_timeout").filter(|time| time.node.text() != Some("")) {
            // For Go none is no limit.
            let limit = self.want(&time, DURATION, time.node.text().and_then(milliseconds))?;
            host.dial_timeout = Some(limit).filter(|limit| *limit > 0);
        }
        let Some(field) = table.get("capabilities") else { return Ok(Capability::ALL.to_vec()) };
        let mut capabilities = Vec::new();
        for name in self.want(&field, "a list", field.items())? {
            let known = |text: &str| Capability::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text));
            let Some(capability) = name.node.text().and_then(known) else {
                let what = "a capability that containerd does not know, so that it refuses the file";
                self.error(Code::WrongType, &name.at, what, "Write pull, resolve, push or referrers.");
                return Err(format!("{}: {what}", name.at));
            };
            capabilities.push(capability);
        }
        Ok(if capabilities.is_empty() { Capability::ALL.to_vec() } else { capabilities })
    }

    /// The three forms: one file with certificate and key; a list of those; a list of pairs of files.
    fn client(&mut self, host: &mut HostEntry, base: Base<'_>, field: &Field<'_>) -> Result<(), String> {
        let at = &field.at;
        if let Some(file) = field.node.text() {
            let both = self.named(base, file);
            self.both(host, both, at);
            return Ok(());
        }
        let items = self.want(field, "a file, a list of files or a list of pairs", field.node.list())?;
        if let [first, second] = items
            && let (Some(certificate), Some(key)) = (first.text(), second.text())
        {
            let (certificate, key) = (self.named(base, certificate), self.named(base, key));
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
            let wrong = Field { node: item, at: at.clone() };
            match (item.text(), item.list()) {
                (Some(file), _) => {
                    let both = self.named(base, file);
                    self.both(host, both, at);
                }
                (None, Some([certificate, key])) => {
                    let pair = self.want(&wrong, "a pair of files", certificate.text().zip(key.text()))?;
                    let chain = self.named(base, pair.0);
                    if pair.1.is_empty() {
                        self.both(host, chain, at);
                    } else {
                        let key = self.named(base, pair.1);
                        self.identity(host, chain, key, at);
                    }
                }
                _ => self.want(&wrong, "a file or a pair of files", None)?,
            }
        }
        Ok(())
    }

    /// A file that holds certificate and key.
    pub(super) fn both(&mut self, host: &mut HostEntry, loaded: Loaded, at: &Place) {
        let key = match &loaded {
            Ok((name, bytes)) => Ok((name.clone(), bytes.duplicate())),
            Err(why) => Err(why.clone()),
        };
        self.identity(host, loaded, key, at);
    }

    pub(super) fn rewrites(&mut self, table: &Field<'_>) -> Vec<Rewrite> {
        let mut rewrites = Vec::new();
        let Some(field) = table.get("rewrite") else { return rewrites };
        let Ok(table) = self.want(&field, "a table", field.node.table()) else { return rewrites };
        for (key, node) in table {
            let value = Field { node, at: field.at.line(key.line) };
            let Ok(replacement) = self.want(&value, "text", node.text()) else { continue };
            match Rewrite::new(&key.text, replacement) {
                Ok(rewrite) => rewrites.push(rewrite),
                Err(why) => {
                    let what = format!("the pattern cannot be used: {why}");
                    self.error(Code::Rewrite, &value.at, &what, "Correct it.");
                }
            }
        }
        if rewrites.len() > 1 {
            let what = "more than one rewrite: other readers take them in no order; here the first that changes the name holds";
            self.warn(Code::Rewrite, &field.at, what, "Write patterns of which only one can match.");
        }
        rewrites
    }
}

/// Whether an endpoint has the registry's own name, whatever its scheme.
pub(super) fn is_registry(endpoint: Option<&Origin>, registry: Option<&Origin>) -> bool {
    endpoint.zip(registry).map_or(endpoint.is_none() && registry.is_none(), |(one, other)| one.is_place_of(other))
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

/// What [`milliseconds`] reads.
pub(super) const DURATION: &str = "a duration such as \"5s\"";

/// A duration as Go writes it (`1m30s`, `500ms`, `1.5h`), in milliseconds; a part of one counts as one.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if matches!(rest, "" | "0") {
        return (rest == "0").then_some(0);
    }
    let mut nanoseconds = 0u128;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| c != '.' && !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len()));
        let factor: u128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok().map(u128::from) };
        // More digits are less than a nanosecond of an hour.
        let part = part.get(..part.len().min(13)).filter(|_| !number.trim_matches('.').is_empty())?;
        let below = u32::try_from(part.len()).ok().map(|length| 10u128.pow(length))?;
        nanoseconds += digits(whole)? * factor + digits(part)? * factor / below;
        rest = after;
    }
    u64::try_from(nanoseconds.div_ceil(1_000_000)).ok()
}
