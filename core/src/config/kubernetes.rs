//! Kubernetes' image pull secrets.

use zeroize::Zeroizing;

use super::diagnostic::{Code, Place, Severity};
use super::directory::{Entry, File};
use super::docker_config::{Reader, decode};
use super::field::Field;
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
        let root = Field::root(file, &document.root);
        if root.node.find("kind").is_none() && document.more.is_empty() {
            self.sources += 1;
            return self.auths_document(&root, Reader::Kubernetes);
        }
        let mut found = false;
        for root in std::iter::once(&document.root).chain(&document.more) {
            let items = root.find("items").and_then(Node::list).filter(|_| kind(root).ends_with("List"));
            for secret in items.unwrap_or(std::slice::from_ref(root)) {
                // The items of a list of one kind, as the API gives them, do not repeat it.
                let is_secret = matches!((kind(secret), kind(root)), ("Secret", _) | ("", "SecretList"));
                found |= is_secret && self.secret_manifest(&Field::root(file, secret));
            }
        }
        if !found {
            let what = "there is no Secret with .dockerconfigjson or .dockercfg in it";
            self.warn(Code::Empty, &at, what, "Give the secret that imagePullSecrets names.");
        }
    }

    /// Whether it holds anything.
    fn secret_manifest(&mut self, root: &Field<'_>) -> bool {
        let mut found = false;
        for (group, encoded) in [("stringData", false), ("data", true)] {
            for name in [".dockerconfigjson", ".dockercfg"] {
                let Some(field) = root.find(group).and_then(|group| group.find(name)) else { continue };
                found = true;
                let at = &field.at;
                let wanted =
                    if name == ".dockercfg" { "kubernetes.io/dockercfg" } else { "kubernetes.io/dockerconfigjson" };
                if root.node.find("type").and_then(Node::text) != Some(wanted) {
                    let what = "the kubelet does not read it in a Secret of another type; here it is read";
                    self.warn(Code::ReadersDiffer, at, what, &format!("Write type: {wanted}."));
                }
                let bytes = match field.node.text() {
                    Some(text) if encoded => decode(text),
                    Some(text) => Some(Zeroizing::new(text.as_bytes().to_vec())),
                    None => None,
                };
                let Some(bytes) = bytes else {
                    self.sources += 1;
                    let what = "it is not base64";
                    let remedy = "Make the secret again (kubectl create secret docker-registry).";
                    self.error(Code::BrokenCredentials, at, what, remedy);
                    self.broken_document(at, format!("{at}: {what}"));
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
    node.find("kind").and_then(Node::text).unwrap_or_default()
}
