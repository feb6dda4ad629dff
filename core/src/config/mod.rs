//! Importers of the configuration files that people have: names and bytes in, a [`Model`] out, and from that a
//! [`Config`] with [`Diagnostic`]s. No file is opened here.
//!
//! | format | call | `ca` |
//! |---|---|---|
//! | Docker `certs.d` | [`Importer::docker_certs`] | adds to the roots |
//! | podman, buildah, skopeo, CRI-O `certs.d` | [`Importer::containers_certs`] | adds |
//! | containerd `hosts.toml` | [`Importer::hosts`] | adds |
//! | BuildKit `buildkitd.toml` | [`Importer::buildkitd`] | adds |
//! | k3s, RKE2 `registries.yaml` | [`Importer::registries`] | adds |
//! | `regauth.toml` | [`Importer::regauth`] | adds; `only_ca = true` replaces |
//! | Docker `config.json`, `DOCKER_AUTH_CONFIG` | [`Importer::docker_config`], [`Importer::docker_auth_config`] | - |
//! | podman `auth.json` | [`Importer::auth_json`] | - |
//! | Kubernetes image pull secrets | [`Importer::kubernetes`] | - |
//!
//! What each of them loses of a registry that another can say stands in `docs/formats.md`.
//!
//! # The rules
//!
//! * One look-up with one answer. Sources hold in the order of their imports; within one, the exact registry, the longest
//!   path by whole segments, https URLs, http URLs, then the order of the file. Every answer has a [`Place`].
//! * An identity is never dropped in silence. One that cannot be used makes requests to its host fail
//!   ([`Host::unusable`](crate::Host::unusable)), and so does a document that does not parse: nothing is read in its place.
//! * Nothing of a registry's goes to its mirrors.
//! * A certificate or a password for a pattern of registries (`_default`, `*`, globs) is used only if `regauth.toml` says
//!   so by name.
//! * Limits: [`MAX_FILE`] bytes a file, [`MAX_ENTRIES`] entries a directory, 24 levels and 100,000 values a document.
//!
//! # `regauth.toml`
//!
//! None of the formats can say which token endpoint, or which storage, belongs to a registry. This file does, beside
//! them. Names of files are relative to it.
//!
//! ```toml
//! mode = "strict"             # or "any-https": credentials, never an identity, to any https token endpoint
//! password_post = false       # passwords go to token endpoints by POST first
//! offline_token = false       # token endpoints are asked for a refresh token
//! wildcard_password = false   # leave for credentials of a pattern of registries
//!
//! [[pair]]                    # a registry and one origin that belongs to it
//! registry = "https://reg.example"
//! token = "https://auth.example"      # or storage = "https://blobs.example"
//! identity = true             # lends the registry's certificate, where that origin has none of its own
//! local = true                # it may be at a more local address than the registry
//!
//! [host."https://auth.example"]
//! identity = [{ certificate = "token.crt", key = "token.key" }]   # in the order in which they are tried
//! ca = ["auth-ca.crt"]        # added to the roots; only_ca = true replaces them
//! header = { X-Tenant = "a" }
//! force = false               # show the first certificate whatever issuers the server names
//! try_pairs = false           # after a rejection try the next certificate
//! try_pairs_on_status = false # and after 403, 404 and 5xx
//! skip_verify = false
//! local = false
//! password_over_http = false
//! password_unverified = false
//! alpn = ["http/1.1"]
//! dial_timeout = "5s"
//!
//! [default]                   # the same fields, for registries without an entry of their own
//! wildcard_identity = false   # leave for its certificate
//!
//! [registry."reg.example:5000"]
//! http = true                 # plain http
//! mirrors = ["https://mirror.example", "https://cache.example/v2/proxy"]
//! only_mirrors = false        # never ask the registry itself
//! ```
//!
//! A table may stand on one line, as in the remedy of a refusal: `[[pair]] registry = "…", token = "…"`.
//!
//! Harbor: the token service is on the registry's own host, so no pair is needed, and blobs redirect to its object store
//! without any grant. Harbor behind a proxy that wants a certificate on a second name for tokens:
//!
//! ```
//! # let text = r#"
//! [[pair]]
//! registry = "https://harbor.example"
//! token = "https://core.harbor.example"
//! identity = true
//! local = true
//! # "#;
//! # let (_, found) = regauth::config::example(text);
//! # assert!(found.iter().all(|one| one.code == regauth::config::Code::UselessPair), "{found:?}");
//! ```
//!
//! GitLab: the registry's realm is `https://gitlab.example/jwt/auth`, on another host. (For GitLab.com that pair is built
//! in.)
//!
//! ```
//! # let text = r#"
//! [[pair]]
//! registry = "https://registry.gitlab.example"
//! token = "https://gitlab.example"
//! # "#;
//! # assert!(regauth::config::example(text).1.is_empty());
//! ```
//!
//! A split token service with its own certificate, and storage that wants the registry's:
//!
//! ```
//! # let text = r#"
//! [[pair]]
//! registry = "https://reg.example"
//! token = "https://auth.example"
//!
//! [[pair]]
//! registry = "https://reg.example"
//! storage = "https://blobs.example"
//! identity = true
//!
//! [host."https://auth.example"]
//! identity = { certificate = "auth/client.crt", key = "auth/client.key" }
//! ca = "auth/ca.crt"
//! # "#;
//! # let (config, found) = regauth::config::example(text);
//! # let _ = config;
//! # let missing = |one: &&regauth::config::Diagnostic| one.code == regauth::config::Code::Missing;
//! # assert_eq!(found.iter().filter(missing).count(), 3, "{found:?}");
//! ```

mod auth_json;
mod build;
mod buildkitd_toml;
mod certs_d;
mod diagnostic;
mod directory;
mod docker_config;
mod explain;
mod field;
pub mod helper;
mod hosts_toml;
mod kubernetes;
mod lint;
mod load;
mod model;
mod names;
mod regauth_toml;
mod registries_yaml;
mod tree;
mod yaml;

pub use crate::client::{Config, Host, Mode, Pair, PairKind};
pub use diagnostic::{Code, Diagnostic, Place, Severity};
pub use directory::{Directory, Entry, File, Files, MAX_ENTRIES, MAX_FILE};
pub use explain::Explanation;
pub use load::Importer;
pub use model::{
    Authority, CredentialEntry, EndpointEntry, For, Given, HostEntry, IdentityEntry, Model, PairEntry, Registry,
};

#[doc(hidden)]
pub fn example(text: &str) -> (Config, Vec<Diagnostic>) {
    let mut importer = Importer::new();
    importer.regauth(&File::new("regauth.toml", text));
    importer.finish().into_config()
}
