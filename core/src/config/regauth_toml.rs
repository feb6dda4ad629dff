//! `regauth.toml`: what no other format can say. See the documentation of [`super`] for examples.

use super::diagnostic::Code;
use super::directory::File;
use super::field::{Base, Field};
use super::hosts_toml::{DURATION, milliseconds};
use super::load::Importer;
use super::model::{EndpointEntry, HostEntry, PairEntry, Registry};
use super::names;
use super::tree::{self, Document, Flaw, Node};
use crate::client::{Mode, Pair, PairKind};
use crate::origin::Origin;

const TOP: [&str; 8] =
    ["mode", "password_post", "offline_token", "wildcard_password", "pair", "host", "default", "registry"];
const PAIR: [&str; 5] = ["registry", "token", "storage", "identity", "local"];
const HOST: [&str; 13] = [
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
    "alpn",
];

/// What earlier files of this format have said: of two the first holds.
#[derive(Debug, Default)]
pub(super) struct Own {
    hosts: usize,
    registries: usize,
    flags: [Option<bool>; 3],
}

impl Importer {
    /// `regauth.toml`. What it says of a host holds before what any other source says of it, whenever it is imported;
    /// what it leaves out is filled in by them.
    pub fn regauth(&mut self, file: &File) {
        let Some(root) = self.source(file, read) else { return };
        let (root, base) = (Field::root(file, &root), Base::beside(file));
        self.unknown(&root, &TOP);
        if let Some(mode) = root.get("mode") {
            match mode.node.text() {
                Some("strict") => _ = self.model.mode.get_or_insert(Mode::Strict),
                Some("any-https") => _ = self.model.mode.get_or_insert(Mode::AnyHttps),
                _ => drop(self.want(&mode, "\"strict\" or \"any-https\"", None::<()>)),
            }
        }
        for (at, name) in ["password_post", "offline_token", "wildcard_password"].into_iter().enumerate() {
            let said = self.flag(&root, name);
            if let Some(known) = self.own.flags.get_mut(at) {
                *known = known.or(said);
            }
        }
        let [password_post, offline_token, wildcard_password] = self.own.flags.map(|said| said == Some(true));
        self.model.password_post = password_post;
        self.model.offline_token = offline_token;
        self.model.wildcard_password = wildcard_password;
        self.pairs(&root);
        let mut hosts = Vec::new();
        if let Some(field) = root.get("host") {
            if self.want_table(&field).is_err() {
                self.broken_source(&field.at, format!("{}: it is no table", field.at));
            }
            for (name, host) in field.entries() {
                // Exactly as the hop policy names origins, so that the line of a refusal can be pasted.
                match origin(name) {
                    Some(origin) => hosts.push(self.own_host(Some(origin), &host, base)),
                    None => {
                        let what = "the key is no origin";
                        self.error(Code::BadHost, &host.at, what, "Write https://host[:port].");
                        let meant = names::server(name, "https").filter(|_| host.node.get("identity").is_some());
                        if let Some((meant, _)) = meant {
                            self.broken_host(Some(meant), &host.at, format!("{}: {what}", host.at));
                        }
                    }
                }
            }
        }
        if let Some(default) = root.get("default") {
            hosts.push(self.own_host(None, &default, base));
        }
        // Before all others: this file completes and corrects them.
        let (from, count) = (self.own.hosts, hosts.len());
        self.model.hosts.splice(from..from, hosts);
        self.own.hosts += count;
        let mut registries = Vec::new();
        if let Some(field) = root.get("registry") {
            let _ = self.want_table(&field);
            for (name, registry) in field.entries() {
                match names::registry(name) {
                    Some(name) => registries.push(self.own_registry(name, &registry)),
                    None => {
                        self.error(Code::BadHost, &registry.at, "the key is no registry", "Write host or host:port.");
                    }
                }
            }
        }
        let (from, count) = (self.own.registries, registries.len());
        self.model.registries.splice(from..from, registries);
        self.own.registries += count;
    }

    fn flag(&mut self, table: &Field<'_>, name: &str) -> Option<bool> {
        self.want_flag(table, name, "true or false").unwrap_or_default()
    }

    fn pairs(&mut self, root: &Field<'_>) {
        let Some(list) = root.get("pair") else { return };
        let Ok(items) = self.want(&list, "[[pair]] tables", list.items()) else { return };
        for item in items {
            let at = &item.at;
            self.unknown(&item, &PAIR);
            let named = |importer: &mut Self, name: &str| {
                let field = item.get(name)?;
                let found = field.node.text().and_then(origin);
                if found.is_none() {
                    importer.error(Code::BadHost, &field.at, "it is no origin", "Write https://host[:port].");
                }
                found
            };
            let registry = named(self, "registry");
            let others = [(PairKind::Token, named(self, "token")), (PairKind::Storage, named(self, "storage"))];
            let (identity, local) = (self.flag(&item, "identity"), self.flag(&item, "local"));
            let Some(registry) = registry.filter(|_| others.iter().any(|(_, other)| other.is_some())) else {
                self.error(Code::UselessPair, at, "a pair is a registry and a token or storage origin", "Name both.");
                continue;
            };
            for (kind, other) in others {
                let Some(other) = other else { continue };
                if other == registry {
                    self.warn(Code::UselessPair, at, "a registry needs no pair with itself", "Remove the pair.");
                }
                let pair = Pair::new(registry.clone(), kind, other)
                    .identity(identity == Some(true))
                    .local(local == Some(true));
                self.model.pairs.push(PairEntry { pair, place: at.clone() });
            }
        }
    }

    fn own_host(&mut self, origin: Option<Origin>, table: &Field<'_>, base: Base<'_>) -> HostEntry {
        let default = origin.is_none();
        if let Err(why) = self.want_table(table) {
            // With `wildcard_identity`, for all that is known.
            return HostEntry::broken(origin, &table.at, why);
        }
        let mut host = HostEntry::new(origin, table.at.clone());
        let mut known = HOST.to_vec();
        if default {
            known.push("wildcard_identity");
            host.wildcard_identity = self.flag(table, "wildcard_identity");
        }
        self.unknown(table, &known);
        host.ca_replaces = self.flag(table, "only_ca");
        host.force = self.flag(table, "force");
        host.try_pairs = self.flag(table, "try_pairs");
        host.try_pairs_on_status = self.flag(table, "try_pairs_on_status");
        host.skip_verify = self.flag(table, "skip_verify");
        host.local = self.flag(table, "local");
        host.password_over_http = self.flag(table, "password_over_http");
        host.password_unverified = self.flag(table, "password_unverified");
        if let Some(time) = table.get("dial_timeout") {
            host.dial_timeout = self.want(&time, DURATION, time.node.text().and_then(milliseconds)).ok();
        }
        if let Some(names) = table.get("alpn")
            && let Ok(names) = self.want(&names, "a list of names", names.texts())
        {
            host.alpn = names.into_iter().map(|(name, _)| name.as_bytes().to_vec()).collect();
        }
        if let Some(ca) = table.get("ca")
            && let Ok(files) = self.want(&ca, "a file or a list of files", ca.texts())
        {
            self.authorities(&mut host, base, &files);
        }
        if let Some(header) = table.get("header") {
            let _ = self.want_table(&header);
            for (key, node) in header.node.table().unwrap_or_default() {
                let _ = self.header(&mut host, &key.text, &Field { node, at: header.at.clone() });
            }
        }
        if let Some(identity) = table.get("identity") {
            self.own_identities(&mut host, &identity, base);
        }
        host
    }

    /// One table with `certificate` and `key`, or a list of them.
    fn own_identities(&mut self, host: &mut HostEntry, field: &Field<'_>, base: Base<'_>) {
        let items = field.items().map_or_else(|| vec![field.clone()], Iterator::collect);
        for item in items {
            if self.want(&item, "a table with certificate and key", item.node.table()).is_err() {
                host.fail(format!("{}: no table with certificate and key", item.at));
                continue;
            }
            self.unknown(&item, &["certificate", "key"]);
            let file = |name| item.node.get(name).and_then(Node::text).filter(|text| !text.is_empty());
            self.pair(host, base, (file("certificate"), file("key")), &item.at);
        }
    }

    fn own_registry(&mut self, name: Origin, table: &Field<'_>) -> Registry {
        let _ = self.want_table(table);
        self.unknown(table, &["http", "mirrors", "only_mirrors"]);
        let http = self.flag(table, "http") == Some(true);
        let only = self.flag(table, "only_mirrors") == Some(true);
        let mut endpoints = Vec::new();
        let mirrors = table.get("mirrors").map(|mirrors| self.want(&mirrors, "a list of URLs", mirrors.texts()));
        for (text, at) in mirrors.and_then(Result::ok).unwrap_or_default() {
            let Some((origin, path)) = names::server(text, "https") else {
                self.error(Code::BadHost, &at, "it is no URL of a mirror", "Write https://host[:port][/path].");
                continue;
            };
            let root = if path.is_empty() { "/v2".into() } else { path };
            endpoints.push(EndpointEntry::mirror(origin, root, at));
        }
        if !only {
            let own = if http { names::over_http(&name) } else { None };
            endpoints.push(EndpointEntry::own(own, table.at.clone()));
        }
        Registry { name: Some(name), endpoints, place: table.at.clone() }
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
    let mut numbers = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        for part in parts(line) {
            plain.push_str(part);
            plain.push('\n');
            numbers.push(number);
        }
    }
    tree::toml_lines(&plain, numbers)
}

/// A table's header and what follows it on the same line, cut at commas; any other line as it is.
fn parts(line: &str) -> Vec<&str> {
    let table = line.trim_start();
    let Some(end) = table.starts_with('[').then(|| header(table)).flatten() else { return vec![line] };
    let (head, rest) = table.split_at(end);
    if !rest.trim_start().starts_with(|c: char| c.is_ascii_alphanumeric() || "_\"'".contains(c)) {
        return vec![line];
    }
    let mut parts = vec![head];
    let (mut start, mut depth) = (0usize, 0usize);
    for (at, byte) in bare(rest) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
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
    let (close, _) = bare(line).find(|(_, byte)| *byte == b']')?;
    let end = close + if line.starts_with("[[") { 2 } else { 1 };
    line.is_char_boundary(end).then_some(end)
}

/// The bytes that stand outside of quotes and before a comment.
fn bare(line: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut quote, mut escaped) = (None, false);
    let bytes = line.bytes().enumerate().map_while(move |(at, byte)| {
        let outside = quote.is_none();
        match (quote, byte) {
            (None, b'#') => return None,
            (None, b'"' | b'\'') => quote = Some(byte),
            _ if escaped => escaped = false,
            (Some(b'"'), b'\\') => escaped = true,
            (Some(open), _) if byte == open => quote = None,
            _ => {}
        }
        Some(outside.then_some((at, byte)))
    });
    bytes.flatten()
}
