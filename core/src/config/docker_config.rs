//! Docker's `config.json` and the variable `DOCKER_AUTH_CONFIG`, and what the formats derived from it share.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::diagnostic::{Code, Place, Severity};
use super::directory::File;
use super::field::Field;
use super::load::Importer;
use super::model::{CredentialEntry, For, Given};
use super::names;
use super::tree::{self, Node};
use crate::client::{Credentials, HelperUrl};
use crate::origin::Origin;
use crate::secret::Secret;

/// The fields of Docker's `config.json`; most are not about registries.
const TOP: [&str; 27] = [
    "auths",
    "credsStore",
    "credHelpers",
    "HttpHeaders",
    "psFormat",
    "imagesFormat",
    "networksFormat",
    "pluginsFormat",
    "volumesFormat",
    "statsFormat",
    "detachKeys",
    "servicesFormat",
    "tasksFormat",
    "secretFormat",
    "configFormat",
    "nodesFormat",
    "pruneFilters",
    "proxies",
    "currentContext",
    "cliPluginsExtraDirs",
    "plugins",
    "aliases",
    "features",
    "experimental",
    "serviceInspectFormat",
    "stackOrchestrator",
    "kubernetes",
];
/// Docker's key for Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
const ENTRY: [&str; 7] = ["auth", "username", "password", "email", "serveraddress", "identitytoken", "registrytoken"];

/// Who reads the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Docker,
    Variable,
    Podman,
    Kubernetes,
}

/// Which helpers a document names.
#[derive(Default)]
struct Helpers {
    of: HashMap<Origin, String>,
    /// The registries that the one for all is not for.
    none: HashSet<Origin>,
    all: Option<String>,
}

impl Helpers {
    /// The helper that is asked for a registry, and whose it is.
    fn asked(&self, key: &Key) -> Option<(&str, &'static str)> {
        let registry = key.registry()?;
        match self.of.get(registry) {
            Some(name) => Some((name, "this registry")),
            None => Some((self.all.as_deref().filter(|_| !self.none.contains(registry))?, "every registry")),
        }
    }
}

/// What one entry holds; empty: not there.
pub(super) struct Fields<'a> {
    pub(super) auth: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) identity_token: &'a str,
    pub(super) registry_token: &'a str,
}

impl Importer {
    /// Docker's `config.json`: a helper for the registry, the helper for all, and what the file holds, in this order.
    pub fn docker_config(&mut self, file: &File) {
        self.auths(file, Reader::Docker);
    }

    /// The value of `DOCKER_AUTH_CONFIG`; give it the variable's name. Import it before `config.json`.
    pub fn docker_auth_config(&mut self, file: &File) {
        self.auths(file, Reader::Variable);
    }

    pub(super) fn auths(&mut self, file: &File, reader: Reader) {
        self.sources += 1;
        match self.document(file, tree::json, Severity::Warning) {
            Ok(Some(root)) => self.auths_document(&Field::root(file, &root), reader),
            Ok(None) => {}
            Err(why) => self.broken_document(&Place::file(&*file.name), why),
        }
    }

    /// Credentials that cannot be read are not the same as none.
    pub(super) fn broken_document(&mut self, at: &Place, why: String) {
        self.credential(Key::of(For::All), 3, at, Given::Broken(why));
    }

    pub(super) fn auths_document(&mut self, root: &Field<'_>, reader: Reader) {
        if let Err(why) = self.want_table(root) {
            return self.broken_document(&root.at, why);
        }
        if reader == Reader::Kubernetes && root.node.find("auths").is_none() {
            // .dockercfg: the map itself.
            return self.auth_entries(root, reader, &Helpers::default());
        }
        for (name, field) in root.fields() {
            self.top_field(name, &field.at, reader);
        }
        self.spelt_twice(root, &TOP);
        let helpers = self.helpers(root, reader);
        if let Some(auths) = root.find("auths") {
            match self.want_table(&auths) {
                Ok(()) => self.auth_entries(&auths, reader, &helpers),
                Err(_) => self.broken_document(&auths.at, format!("{}: auths is no table", auths.at)),
            }
        }
        let source = self.sources;
        let of_file = |entry: &&mut CredentialEntry| {
            entry.source == source && matches!(&entry.registries, For::Registry(of) if helpers.none.contains(of))
        };
        self.model.credentials.iter_mut().filter(of_file).for_each(|entry| entry.class = entry.class.min(1));
    }

    /// Says where a field stands in two spellings, which are the same to readers in Go.
    fn spelt_twice(&mut self, table: &Field<'_>, known: &[&str]) {
        let mut seen = Vec::new();
        for (name, field) in table.fields() {
            let Some(is) = known.iter().find(|known| name.eq_ignore_ascii_case(known)) else { continue };
            if seen.contains(is) {
                let what = "the field stands in two spellings, and readers differ in which of them holds";
                self.warn(Code::DuplicateKey, &field.at, what, "Keep one of them.");
            }
            seen.push(is);
        }
    }

    fn top_field(&mut self, name: &str, at: &Place, reader: Reader) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let known = TOP.iter().any(|known| is(known));
        match reader {
            Reader::Docker if is("HttpHeaders") => {
                let what = "these go to the Docker daemon; they are not sent to registries";
                let remedy = "Name header fields for a registry in regauth.toml.";
                self.say(Severity::Info, Code::ReadersDiffer, at, what, remedy);
            }
            Reader::Podman if is("credsStore") => {
                let what = "podman does not read it, so it is not used";
                self.warn(Code::IgnoredKey, at, what, "Name the helper for each registry in credHelpers.");
            }
            Reader::Docker | Reader::Podman if known => {}
            Reader::Variable if is("auths") => {}
            Reader::Variable if known => {
                let what = "Docker ignores the whole variable for this field; here it is read";
                self.warn(Code::ReadersDiffer, at, what, "Keep auths with auth in each entry, and nothing else.");
            }
            Reader::Kubernetes if is("auths") || is("HttpHeaders") => {}
            Reader::Kubernetes if known => {
                let what = "the kubelet does not read it, so it is not used";
                self.warn(Code::IgnoredKey, at, what, "Put the credentials themselves into auths.");
            }
            _ => self.unknown_field(at, name, &TOP),
        }
    }

    /// `credHelpers` and `credsStore`.
    fn helpers(&mut self, root: &Field<'_>, reader: Reader) -> Helpers {
        let mut found = Helpers::default();
        if reader == Reader::Kubernetes {
            return found;
        }
        if let Some(helpers) = root.find("credHelpers") {
            if self.want_table(&helpers).is_err() {
                self.broken_document(&helpers.at, format!("{}: credHelpers is no table", helpers.at));
            }
            for (key, field) in helpers.fields() {
                let at = &field.at;
                let parsed = parse_key(key).filter(|key| key.path.is_empty());
                let Some((parsed, registry)) = parsed.and_then(|key| Some((key.clone(), key.registry()?.clone())))
                else {
                    self.error(Code::BadHost, at, "the key is no registry", "Write host or host:port.");
                    continue;
                };
                self.helper_key(key, &registry, at, reader);
                if field.node.is_null() || field.node.text() == Some("") {
                    // So that the helper for all is not asked: what the file holds comes first.
                    found.none.insert(registry);
                    continue;
                }
                let url = if reader == Reader::Podman { HelperUrl::Podman } else { HelperUrl::Docker };
                let given = match self.helper_name(&field) {
                    Ok(name) => {
                        found.of.entry(registry).or_insert_with(|| name.clone());
                        Given::Helper { name, url }
                    }
                    Err(why) => Given::Broken(why),
                };
                self.credential(parsed, 1, at, given);
            }
        }
        let store = root.find("credsStore").filter(|store| reader != Reader::Podman && store.node.text() != Some(""));
        if let Some(store) = store {
            match self.helper_name(&store) {
                Ok(name) => {
                    let given = Given::Helper { name: name.clone(), url: HelperUrl::Docker };
                    self.credential(Key::of(For::All), 2, &store.at, given);
                    found.all = Some(name);
                }
                Err(why) => self.broken_document(&store.at, why),
            }
        }
        found
    }

    /// Other readers look for a helper under one spelling of a registry.
    fn helper_key(&mut self, text: &str, registry: &Origin, at: &Place, reader: Reader) {
        let hub = if reader == Reader::Podman { "docker.io" } else { DOCKER_HUB };
        let missed = if registry.is_hub() { text != hub } else { text.contains("://") };
        if missed {
            let remedy = if registry.is_hub() { format!("Write {hub}.") } else { "Write host or host:port.".into() };
            let what = "other readers find no helper under this key; here it is used";
            self.warn(Code::IgnoredKey, at, what, &remedy);
        }
    }

    fn helper_name(&mut self, field: &Field<'_>) -> Result<String, String> {
        let name = field.node.text().filter(|name| super::helper::is_name(name));
        name.map(str::to_string).ok_or_else(|| {
            let what = "it is no name of a helper: letters, digits and . _ -";
            self.error(Code::WrongType, &field.at, what, "Write NAME for the program docker-credential-NAME.");
            format!("{}: no name of a helper", field.at)
        })
    }

    fn auth_entries(&mut self, auths: &Field<'_>, reader: Reader, helpers: &Helpers) {
        for (key, entry) in auths.fields() {
            let at = &entry.at;
            // What a login by the browser leaves behind; nobody looks for a registry under these.
            if key.starts_with(DOCKER_HUB) && key.ends_with("-token") {
                let what = "Docker's own tokens for Docker Hub's web API: no credentials of a registry";
                self.say(Severity::Info, Code::NotUsed, at, what, "Nothing has to be done.");
                continue;
            }
            let Some(parsed) = self.key_of(key, at, reader).filter(|_| !entry.node.is_null()) else { continue };
            if let Err(why) = self.want_table(&entry) {
                self.credential(parsed, 3, at, Given::Broken(why));
                continue;
            }
            if let Err(why) = self.entry_fields(&entry, reader) {
                self.credential(parsed, 3, at, Given::Broken(why));
                continue;
            }
            let text = |name| entry.node.find(name).and_then(Node::text).unwrap_or_default();
            let found = Fields {
                auth: text("auth"),
                user: text("username"),
                password: text("password"),
                identity_token: text("identitytoken"),
                registry_token: text("registrytoken"),
            };
            let holds = !found.auth.is_empty() || !found.password.is_empty() || !found.identity_token.is_empty();
            if let Some((name, whose)) = helpers.asked(&parsed).filter(|_| holds) {
                let what = format!("docker-credential-{name} is asked for {whose}, and what stands here is not used");
                let remedy = "Remove the helper, or log in again so that it knows the registry.";
                self.warn(Code::HelperInstead, at, &what, remedy);
            }
            self.given(parsed, at, &found);
        }
    }

    /// `Err`: what may hold credentials is of another type than text, which was said.
    fn entry_fields(&mut self, entry: &Field<'_>, reader: Reader) -> Result<(), String> {
        let mut good = Ok(());
        self.spelt_twice(entry, &ENTRY);
        for (name, field) in entry.fields() {
            if !ENTRY.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                self.unknown_field(&field.at, name, &ENTRY);
            } else if field.node.text().is_none() && !field.node.is_null() {
                let why = self.want(&field, "text", None::<()>);
                if !["email", "serveraddress"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
                    good = good.and(why);
                }
            } else if reader == Reader::Variable && !name.eq_ignore_ascii_case("auth") {
                let what = "Docker ignores the whole variable for this field; here it is read";
                self.warn(Code::ReadersDiffer, &field.at, what, "Keep auth in each entry, and nothing else.");
            } else if reader == Reader::Kubernetes && name.to_ascii_lowercase().ends_with("token") {
                let what = "the kubelet may not read it; here it is used";
                self.warn(Code::ReadersDiffer, &field.at, what, "Give user and password.");
            }
        }
        let has = |name| entry.node.find(name).and_then(Node::text).is_some();
        if reader == Reader::Podman && has("username") && !has("auth") {
            let what = "podman does not read username and password, only auth; here they are used";
            self.warn(Code::ReadersDiffer, &entry.at, what, "Log in again.");
        }
        if reader == Reader::Podman && has("identitytoken") && !has("auth") {
            let what = "podman uses an identity token only beside an auth; here it is used";
            self.warn(Code::ReadersDiffer, &entry.at, what, "Log in again.");
        }
        good
    }

    /// Which registries and repositories a key is for, and what to say of it.
    fn key_of(&mut self, text: &str, at: &Place, reader: Reader) -> Option<Key> {
        let kubernetes = reader == Reader::Kubernetes;
        let shorter = kubernetes.then(|| without_version(text)).flatten();
        let text = shorter.as_deref().unwrap_or(text);
        // Brackets may be those of an address.
        let parsed = parse_key(text).or_else(|| glob_key(text).filter(|_| kubernetes));
        let Some(key) = parsed else {
            let what = "the key is no registry: nothing is found under it";
            self.warn(Code::IgnoredKey, at, what, "Write host[:port], and a path where one is meant.");
            return None;
        };
        if !key.path.is_empty()
            && (matches!(reader, Reader::Docker | Reader::Variable)
                || (reader == Reader::Podman && text.contains("://")))
        {
            let what = "used for this path only; other readers use it for every repository of the host";
            self.warn(Code::PathScoped, at, what, "Write the host alone, if all of it is meant.");
        }
        // podman knows all of its names, and namespaces of one.
        let of_podman =
            key.path.is_empty() || !key.registry().is_some_and(Origin::is_hub) || text.starts_with("docker.io/");
        let missed = if reader == Reader::Podman { !of_podman } else { key.alias };
        if missed {
            let what = "other readers do not look for Docker Hub under this name; here it is one more name of it";
            self.warn(Code::ReadersDiffer, at, what, "Write https://index.docker.io/v1/, or docker.io before a path.");
        }
        Some(key)
    }

    /// Credentials out of one entry, with what is wrong with them.
    pub(super) fn given(&mut self, key: Key, at: &Place, fields: &Fields<'_>) {
        let add = |importer: &mut Self, class, given| importer.credential(key.clone(), class, at, given);
        if !fields.registry_token.is_empty() {
            add(self, 0, Given::Credentials(Arc::new(Credentials::Bearer(fields.registry_token.into()))));
        }
        let mut basic = None;
        if !fields.auth.is_empty() {
            match decode_auth(fields.auth) {
                Ok((user, password)) => {
                    let other = !fields.user.is_empty()
                        && (fields.user != user || fields.password.as_bytes() != password.expose());
                    if other {
                        let what = "auth holds, and username and password say something else";
                        self.warn(Code::SeveralCredentials, at, what, "Log in again.");
                    }
                    basic = Some((user, password));
                }
                Err(why) => {
                    let code = if why == EMPTY_USER { Code::EmptyUser } else { Code::BrokenCredentials };
                    self.error(code, at, why, "Log in again; other readers refuse the whole file for it.");
                    return add(self, 3, Given::Broken(format!("{at}: {why}")));
                }
            }
        } else if !fields.user.is_empty() || !fields.password.is_empty() {
            if fields.user.is_empty() {
                self.error(Code::EmptyUser, at, EMPTY_USER, "Name the user.");
                return add(self, 3, Given::Broken(format!("{at}: {EMPTY_USER}")));
            }
            basic = Some((fields.user.to_string(), Secret::from(fields.password)));
        }
        if !fields.identity_token.is_empty() {
            if basic.as_ref().is_some_and(|(_, password)| !password.is_empty()) {
                let what = "an identity token and a password: the token holds";
                self.warn(Code::SeveralCredentials, at, what, "Keep one of them.");
            }
            return add(self, 3, Given::Credentials(Arc::new(Credentials::Refresh(fields.identity_token.into()))));
        }
        let Some((user, password)) = basic else { return };
        if user == "<token>" {
            return add(self, 3, Given::Credentials(Arc::new(Credentials::Refresh(password))));
        }
        if password.is_empty() {
            let what = "a user without a password: other readers go on anonymously and do not say so";
            self.warn(Code::UserWithoutPassword, at, what, "Give the password, or the token as identitytoken.");
        }
        if user.contains(':') {
            let what = "the user name holds a colon, which Basic cannot carry";
            self.warn(Code::BrokenCredentials, at, what, "Use another user name.");
        }
        add(self, 3, Given::Credentials(Arc::new(Credentials::Basic { user, password })));
    }

    pub(super) fn credential(&mut self, key: Key, class: u8, at: &Place, given: Given) {
        let (Key { registries, path, rank, .. }, source, place) = (key, self.sources, at.clone());
        self.model.credentials.push(CredentialEntry { registries, path, given, source, rank, class, place });
    }
}

/// Which registries and repositories credentials are for, and how exact that is.
#[derive(Clone)]
pub(super) struct Key {
    registries: For,
    path: String,
    rank: u8,
    alias: bool,
}

impl Key {
    pub(super) const fn of(registries: For) -> Self {
        Self { registries, path: String::new(), rank: 0, alias: false }
    }

    const fn registry(&self) -> Option<&Origin> {
        if let For::Registry(registry) = &self.registries { Some(registry) } else { None }
    }
}

/// `host[:port][/path]` or a URL; the paths of old APIs are none.
fn parse_key(text: &str) -> Option<Key> {
    let (rest, mut rank) = match text.split_once("://") {
        None => (text, 0),
        Some(("https", rest)) => (rest, 1),
        Some(("http", rest)) => (rest, 2),
        Some(_) => return None,
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let origin: Origin = names::registry(host)?;
    let path = path.trim_matches('/');
    let path = if rank > 0 && matches!(path, "v1" | "v2") { "" } else { path };
    if path.contains(['@', ':', '?', '#', '*']) {
        return None;
    }
    if text == DOCKER_HUB {
        rank = 0;
    }
    let alias = origin.is_hub() && host.starts_with("registry-1.");
    Some(Key { registries: For::Registry(origin), path: path.into(), rank: if alias { 3 } else { rank }, alias })
}

/// A key without the version of the API before its path, which the kubelet takes away.
fn without_version(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    let (host, path) = rest.split_once('/')?;
    let path = path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/"))?;
    Some(format!("{scheme}{host}/{path}"))
}

fn glob_key(text: &str) -> Option<Key> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (host, None),
    };
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.*?[]^".contains(c);
    // Only labels of the host are patterns: a path that holds one is no prefix of any name.
    if host.is_empty() || host.len() > 255 || !host.chars().all(good) || path.contains(['*', '?', '[']) {
        return None;
    }
    let path = path.trim_matches('/').to_string();
    Some(Key { registries: For::Glob { host: host.into(), port }, path, rank: 0, alias: false })
}

const EMPTY_USER: &str = "the user name is empty";

/// User and password out of `auth`.
fn decode_auth(auth: &str) -> Result<(String, Secret), &'static str> {
    let plain = decode(auth).ok_or("auth is not base64")?;
    let text = std::str::from_utf8(&plain).map_err(|_| "auth is not UTF-8")?;
    let (user, password) = text.split_once(':').ok_or("auth holds no colon between user and password")?;
    if user.is_empty() {
        return Err(EMPTY_USER);
    }
    Ok((user.into(), password.trim_end_matches('\0').into()))
}

/// Base64 with padding as Go reads it: line ends are ignored, and so are the bits that the last letter has too many.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let clean: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
    BASE64.decode(clean.as_bytes()).ok().map(Zeroizing::new)
}
