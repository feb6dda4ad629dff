//! `regauth.toml`: what no other format can say. See the documentation of [`super`] for examples.

use super::diagnostic::{Code, Place, Severity};
use super::directory::File;
use super::hosts_toml::{get, milliseconds};
use super::load::{Importer, secret, texts};
use super::model::{EndpointEntry, HostEntry, PairEntry, Registry};
use super::names;
use super::tree::{self, Document, Flaw, Node, Value};
use crate::client::{Mode, Pair, PairKind};
use crate::origin::Origin;

const TOP: [&str; 8] =
    ["mode", "password_post", "offline_token", "wildcard_password", "pair", "host", "default", "registry"];
const PAIR: [&str; 5] = ["registry", "token", "storage", "identity", "local"];
const HOST: [&str; 12] = [
    "identity",
    "ca",
    "only_ca",
    "header",
    "force",
    "try_pairs",
    "try_pairs_on_status",
    "skip_verify",
    "local",
    "password_over_http",
    "password_unverified",
    "dial_timeout",
];
const ALPN: &str = "alpn";

impl Importer {
    /// `regauth.toml`. What it says of a host holds before what any other source says of it, whenever it is imported;
    /// what it leaves out is filled in by them.
    pub fn regauth(&mut self, file: &File) {
        self.sources += 1;
        let at = Place::file(&*file.name);
        let root = match self.document(file, read, Severity::Error) {
            Ok(Some(root)) => root,
            Ok(None) => return,
            Err(why) => return self.broken_host(None, &at, why),
        };
        self.unknown(&at, &root, &TOP);
        let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        match get(&root, "mode").map(|node| (node, node.text())) {
            None => {}
            Some((_, Some("strict"))) => self.model.mode = Some(Mode::Strict),
            Some((_, Some("any-https"))) => self.model.mode = Some(Mode::AnyHttps),
            Some((node, _)) => self.wrong_type(&at.at("mode", node.line), "\"strict\" or \"any-https\"", node),
        }
        self.model.password_post |= self.flag(&root, "password_post", &at) == Some(true);
        self.model.offline_token |= self.flag(&root, "offline_token", &at) == Some(true);
        self.model.wildcard_password |= self.flag(&root, "wildcard_password", &at) == Some(true);
        self.pairs(&root, &at);
        if let Some(node) = get(&root, "host").filter(|node| node.table().is_none()) {
            let at = at.at("host", node.line);
            self.broken_host(None, &at, format!("{at}: host is no table"));
        }
        let mut hosts = Vec::new();
        for (key, node) in self.tables(&root, "host", &at) {
            let at = at.at(format!("host.\"{}\"", key.text), key.line);
            // Exactly as the hop policy names origins, so that the line of a refusal can be pasted.
            let Some(origin) = origin(&key.text) else {
                self.error(Code::BadHost, &at, "the key is no origin", "Write https://host[:port].");
                continue;
            };
            hosts.push(self.own_host(Some(origin), &at, node, folder));
        }
        if let Some(node) = get(&root, "default") {
            hosts.push(self.own_host(None, &at.at("default", node.line), node, folder));
        }
        // Before all others: this file completes and corrects them.
        hosts.append(&mut self.model.hosts);
        self.model.hosts = hosts;
        let mut registries = Vec::new();
        for (key, node) in self.tables(&root, "registry", &at) {
            let at = at.at(format!("registry.\"{}\"", key.text), key.line);
            match names::registry(&key.text) {
                Some(name) => registries.push(self.own_registry(name, &at, node)),
                None => self.error(Code::BadHost, &at, "the key is no registry", "Write host or host:port."),
            }
        }
        registries.append(&mut self.model.registries);
        self.model.registries = registries;
    }

    fn tables<'a>(&mut self, root: &'a Node, name: &str, at: &Place) -> &'a [(tree::Key, Node)] {
        let Some(node) = get(root, name) else { return &[] };
        if node.table().is_none() {
            self.wrong_type(&at.at(name, node.line), "a table", node);
        }
        node.table().unwrap_or_default()
    }

    fn flag(&mut self, node: &Node, name: &str, at: &Place) -> Option<bool> {
        let value = get(node, name)?;
        let found = value.bool();
        if found.is_none() {
            let key = if at.key.is_empty() { name.to_string() } else { format!("{}.{name}", at.key) };
            self.wrong_type(&at.at(key, value.line), "true or false", value);
        }
        found
    }

    fn pairs(&mut self, root: &Node, at: &Place) {
        let Some(list) = get(root, "pair") else { return };
        let Some(items) = list.list() else {
            return self.wrong_type(&at.at("pair", list.line), "[[pair]] tables", list);
        };
        for item in items {
            let at = at.at("pair", item.line);
            self.unknown(&at, item, &PAIR);
            let named = |importer: &mut Self, name: &str| {
                let node = get(item, name)?;
                let found = node.text().and_then(origin);
                if found.is_none() {
                    let place = at.at(format!("pair.{name}"), node.line);
                    importer.error(Code::BadHost, &place, "it is no origin", "Write https://host[:port].");
                }
                found
            };
            let registry = named(self, "registry");
            let (token, storage) = (named(self, "token"), named(self, "storage"));
            let (identity, local) = (self.flag(item, "identity", &at), self.flag(item, "local", &at));
            let others = [(PairKind::Token, token), (PairKind::Storage, storage)];
            let Some(registry) = registry.filter(|_| others.iter().any(|(_, other)| other.is_some())) else {
                self.error(Code::UselessPair, &at, "a pair is a registry and a token or storage origin", "Name both.");
                continue;
            };
            for (kind, other) in others {
                let Some(other) = other else { continue };
                if other == registry {
                    self.warn(Code::UselessPair, &at, "a registry needs no pair with itself", "Remove the pair.");
                }
                let pair = Pair::new(registry.clone(), kind, other)
                    .identity(identity == Some(true))
                    .local(local == Some(true));
                self.model.pairs.push(PairEntry { pair, place: at.clone() });
            }
        }
    }

    fn own_host(&mut self, origin: Option<Origin>, at: &Place, node: &Node, folder: &str) -> HostEntry {
        let default = origin.is_none();
        let mut host = HostEntry::new(origin, at.clone());
        if node.table().is_none() {
            self.wrong_type(at, "a table", node);
            // With `wildcard_identity`, for all that is known.
            host.broken_document = true;
            host.fail(format!("{at}: it is no table"));
            return host;
        }
        let mut known: Vec<&str> = HOST.iter().copied().chain([ALPN]).collect();
        if default {
            known.push("wildcard_identity");
            host.wildcard_identity = self.flag(node, "wildcard_identity", at);
        }
        self.unknown(at, node, &known);
        host.ca_replaces = self.flag(node, "only_ca", at);
        host.force = self.flag(node, "force", at);
        host.try_pairs = self.flag(node, "try_pairs", at);
        host.try_pairs_on_status = self.flag(node, "try_pairs_on_status", at);
        host.skip_verify = self.flag(node, "skip_verify", at);
        host.local = self.flag(node, "local", at);
        host.password_over_http = self.flag(node, "password_over_http", at);
        host.password_unverified = self.flag(node, "password_unverified", at);
        let place = |name: &str, node: &Node| at.at(format!("{}.{name}", at.key), node.line);
        if let Some(value) = get(node, "dial_timeout") {
            host.dial_timeout = value.text().and_then(milliseconds);
            if host.dial_timeout.is_none() {
                self.wrong_type(&place("dial_timeout", value), "a duration such as \"5s\"", value);
            }
        }
        if let Some(value) = get(node, ALPN) {
            match texts(value) {
                Some(names) => host.alpn = names.into_iter().map(|(name, _)| name.as_bytes().to_vec()).collect(),
                None => self.wrong_type(&place(ALPN, value), "a list of names", value),
            }
        }
        if let Some(value) = get(node, "ca") {
            match texts(value) {
                Some(files) => {
                    for (name, _) in files {
                        let loaded = self.named(None, folder, name);
                        self.authority(&mut host, loaded);
                    }
                }
                None => self.wrong_type(&place("ca", value), "a file or a list of files", value),
            }
        }
        if let Some(value) = get(node, "header") {
            if value.table().is_none() {
                self.wrong_type(&place("header", value), "a table", value);
            }
            for (key, value) in value.table().unwrap_or_default() {
                match texts(value) {
                    Some(values) => {
                        host.headers.extend(values.iter().map(|(text, _)| (key.text.clone(), secret(text))))
                    }
                    None => self.wrong_type(&place("header", value), "text or a list of it", value),
                }
            }
        }
        if let Some(value) = get(node, "identity") {
            self.own_identities(&mut host, &place("identity", value), value, folder);
        }
        host
    }

    /// One table with `certificate` and `key`, or a list of them.
    fn own_identities(&mut self, host: &mut HostEntry, at: &Place, value: &Node, folder: &str) {
        let one = std::slice::from_ref(value);
        let items = if value.table().is_some() { one } else { value.list().unwrap_or(one) };
        for item in items {
            let at = at.at(&*at.key, item.line);
            if item.table().is_none() {
                self.wrong_type(&at, "a table with certificate and key", item);
                host.fail(format!("{at}: no table with certificate and key"));
                continue;
            }
            self.unknown(&at, item, &["certificate", "key"]);
            let file = |name| get(item, name).and_then(Node::text).filter(|text| !text.is_empty());
            match (file("certificate"), file("key")) {
                (Some(certificate), Some(key)) => {
                    let certificate = self.named(None, folder, certificate);
                    let key = self.named(None, folder, key);
                    self.identity(host, certificate, key, &at);
                }
                (certificate, _) => self.half(host, certificate.is_some(), &at),
            }
        }
    }

    fn own_registry(&mut self, name: Origin, at: &Place, node: &Node) -> Registry {
        if node.table().is_none() {
            self.wrong_type(at, "a table", node);
        }
        self.unknown(at, node, &["http", "mirrors", "only_mirrors"]);
        let http = self.flag(node, "http", at) == Some(true);
        let only = self.flag(node, "only_mirrors", at) == Some(true);
        let mut endpoints = Vec::new();
        if let Some(value) = get(node, "mirrors") {
            let at = at.at(format!("{}.mirrors", at.key), value.line);
            match texts(value) {
                None => self.wrong_type(&at, "a list of URLs", value),
                Some(items) => {
                    for (text, line) in items {
                        let at = at.at(&*at.key, line);
                        match names::server(text, "https") {
                            Some((origin, path)) => {
                                let root = if path.is_empty() { "/v2".into() } else { path };
                                endpoints.push(EndpointEntry::mirror(origin, root, at));
                            }
                            None => self.error(
                                Code::BadHost,
                                &at,
                                "it is no URL of a mirror",
                                "Write https://host[:port][/path].",
                            ),
                        }
                    }
                }
            }
        }
        if !only {
            let own = if http { names::over_http(&name) } else { None };
            endpoints.push(EndpointEntry::own(own, at.clone()));
        }
        Registry { name: Some(name), endpoints, place: at.clone() }
    }
}

/// An origin and nothing after it.
fn origin(text: &str) -> Option<Origin> {
    let (origin, path) = names::server(text, "https").filter(|_| text.contains("://"))?;
    path.is_empty().then_some(origin)
}

/// TOML, and tables on one line (`[[pair]] registry = "…", token = "…"`): the form in which a refusal names the line to
/// add, so that it can be pasted.
fn read(text: &str) -> Result<Document, Flaw> {
    let mut plain = String::with_capacity(text.len());
    let mut lines: Vec<u32> = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        for part in parts(line) {
            plain.push_str(part);
            plain.push('\n');
            lines.push(number);
        }
    }
    let real =
        |line: u32| usize::try_from(line).ok().and_then(|at| lines.get(at.checked_sub(1)?)).copied().unwrap_or(line);
    match tree::toml(&plain) {
        Ok(mut document) => {
            renumber(&mut document.root, &real);
            document.twice.iter_mut().for_each(|key| key.line = real(key.line));
            Ok(document)
        }
        Err(flaw) => Err(Flaw { line: flaw.line.map(real), ..flaw }),
    }
}

/// A table's header and what follows it on the same line, cut at commas; any other line as it is.
fn parts(line: &str) -> Vec<&str> {
    let Some(end) = line.starts_with('[').then(|| header(line)).flatten() else { return vec![line] };
    let (head, rest) = line.split_at(end);
    if !rest.trim_start().starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '"') {
        return vec![line];
    }
    let mut parts = vec![head];
    let (mut start, mut quoted, mut depth) = (0usize, false, 0usize);
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                parts.extend(rest.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(rest.get(start..));
    parts
}

/// Where a table's header ends.
fn header(line: &str) -> Option<usize> {
    let mut quoted = false;
    let close = line.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b']' && !quoted
    })?;
    let end = close + if line.starts_with("[[") { 2 } else { 1 };
    line.is_char_boundary(end).then_some(end)
}

fn renumber(node: &mut Node, real: &impl Fn(u32) -> u32) {
    node.line = real(node.line);
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| renumber(item, real)),
        Value::Table(entries) => entries.iter_mut().for_each(|(key, node)| {
            key.line = real(key.line);
            renumber(node, real);
        }),
        _ => {}
    }
}
