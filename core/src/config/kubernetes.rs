//! Kubernetes' image pull secrets.

use zeroize::Zeroizing;

use super::diagnostic::{Code, Place, Severity};
use super::directory::{Entry, File};
use super::docker_config::{Reader, decode, field};
use super::load::Importer;
use super::tree::{self, Node};
use crate::secret::Secret;

impl Importer {
    /// Kubernetes' image pull secrets: the JSON of `.dockerconfigjson` or `.dockercfg` itself, or manifests in JSON or YAML
    /// with Secrets that hold it, one or more, other kinds among them. Keys may hold a path, whose components are compared
    /// whole, and shell patterns, each for one label of the host: those are not used unless `regauth.toml` says
    /// `wildcard_password = true`.
    pub fn kubernetes(&mut self, file: &File) {
        let json = matches!(&file.entry, Entry::File(bytes) if bytes.expose().trim_ascii_start().starts_with(b"{"));
        let read = if json { tree::json } else { tree::yaml };
        let at = Place::file(&*file.name);
        let document = match self.documents(file, read, Severity::Warning) {
            Ok(None) => return,
            Ok(Some(document)) => document,
            Err(why) => {
                self.sources += 1;
                return self.broken_document(&at, why);
            }
        };
        if field(&document.root, "kind").is_none() && document.more.is_empty() {
            self.sources += 1;
            return self.auths_document(&document.root, &at, Reader::Kubernetes);
        }
        let mut found = false;
        for root in std::iter::once(&document.root).chain(&document.more) {
            let items = field(root, "items").and_then(Node::list).filter(|_| kind(root).ends_with("List"));
            for secret in items.unwrap_or(std::slice::from_ref(root)) {
                found |= kind(secret) == "Secret" && self.secret_manifest(&at, secret);
            }
        }
        if !found {
            let what = "there is no Secret with .dockerconfigjson or .dockercfg in it";
            self.warn(Code::Empty, &at, what, "Give the secret that imagePullSecrets names.");
        }
    }

    /// Whether it holds anything.
    fn secret_manifest(&mut self, at: &Place, root: &Node) -> bool {
        let mut found = false;
        for (group, encoded) in [("stringData", false), ("data", true)] {
            for name in [".dockerconfigjson", ".dockercfg"] {
                let value = field(root, group).and_then(|node| field(node, name));
                let Some(node) = value.filter(|node| !node.is_null()) else { continue };
                found = true;
                let at = at.at(format!("{group}.{name}"), node.line);
                let bytes = match node.text() {
                    Some(text) if encoded => decode(text),
                    Some(text) => Some(Zeroizing::new(text.as_bytes().to_vec())),
                    None => None,
                };
                let Some(bytes) = bytes else {
                    self.sources += 1;
                    let what = "it is not base64";
                    self.error(
                        Code::BrokenCredentials,
                        &at,
                        what,
                        "Make the secret again (kubectl create secret docker-registry).",
                    );
                    self.broken_document(&at, format!("{at}: {what}"));
                    continue;
                };
                let inner = File::new(format!("{}#{name}", at.file), Secret::from(bytes));
                self.auths(&inner, Reader::Kubernetes);
            }
        }
        found
    }
}

fn kind(node: &Node) -> &str {
    field(node, "kind").and_then(Node::text).unwrap_or_default()
}
