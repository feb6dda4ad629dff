//! Kubernetes' image pull secrets.

use zeroize::Zeroizing;

use super::diagnostic::{Code, Place, Severity};
use super::directory::{Entry, File};
use super::docker_config::{Reader, decode, field};
use super::load::Importer;
use super::tree::{self, Node};
use crate::secret::Secret;

impl Importer {
    /// Kubernetes' image pull secrets: the JSON of `.dockerconfigjson` or `.dockercfg` itself, or a Secret manifest in
    /// JSON or YAML that holds it. Keys may hold a path, whose components are compared whole, and shell patterns, each for
    /// one label of the host: those are not used unless `regauth.toml` says `wildcard_password = true`.
    pub fn kubernetes(&mut self, file: &File) {
        let json = matches!(&file.entry, Entry::File(bytes) if bytes.expose().trim_ascii_start().starts_with(b"{"));
        let read = if json { tree::json } else { tree::yaml };
        let at = Place::file(&*file.name);
        match self.document(file, read, Severity::Warning) {
            Ok(None) => {}
            Err(why) => {
                self.sources += 1;
                self.broken_document(&at, why);
            }
            Ok(Some(root)) if field(&root, "kind").and_then(Node::text) == Some("Secret") => {
                self.secret_manifest(&at, &root);
            }
            Ok(Some(root)) => {
                self.sources += 1;
                self.auths_document(&root, &at, Reader::Kubernetes);
            }
        }
    }

    fn secret_manifest(&mut self, at: &Place, root: &Node) {
        let mut found = false;
        for (group, encoded) in [("stringData", false), ("data", true)] {
            for name in [".dockerconfigjson", ".dockercfg"] {
                let value = field(root, group).and_then(|node| field(node, name));
                let Some((node, text)) = value.and_then(|node| Some((node, node.text()?))) else { continue };
                found = true;
                let at = at.at(format!("{group}.{name}"), node.line);
                let bytes = if encoded { decode(text) } else { Some(Zeroizing::new(text.as_bytes().to_vec())) };
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
        if !found {
            let what = "a Secret without .dockerconfigjson and .dockercfg";
            self.warn(Code::Empty, at, what, "Give the secret that imagePullSecrets names.");
        }
    }
}
