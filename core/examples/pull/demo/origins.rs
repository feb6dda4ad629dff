//! The three origins: a registry and a token service that require a client certificate, and a blob store that asks for
//! one, needs none, and writes down what it was shown.

use std::collections::HashSet;
use std::io::{Error, Read as _, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regauth::mint::{Ca, Issued, token_certificate};
use regauth::server::{Access, Claims, KeyRef, SigningKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;

use super::image::{Image, MANIFEST};
use super::server::{Reply, Request, Server, listen};
use crate::host::now;

pub(crate) const USER: &str = "robot";
pub(crate) const PASSWORD: &str = "s3cret";
pub(crate) const REPOSITORY: &str = "demo/app";
const SERVICE: &str = "demo-registry";
const ISSUER: &str = "demo-tokens";
/// The life of certificates and tokens, in seconds.
const LIFE: u64 = 600;

/// What the blob store was shown.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: AtomicUsize,
    pub(crate) certificates: AtomicUsize,
    pub(crate) authorizations: AtomicUsize,
    /// Requests for a part of a blob.
    pub(crate) ranges: AtomicUsize,
}

/// What goes wrong on purpose, for tests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Break off a blob's first answers after so many bytes.
    pub(crate) cut: Option<usize>,
    /// How many times.
    pub(crate) times: usize,
    /// Ranges are not known.
    pub(crate) no_ranges: bool,
}

/// The running origins, and what a client needs to know of them.
pub(crate) struct Origins {
    pub(crate) registry: Server,
    pub(crate) tokens: Server,
    pub(crate) blobs: Server,
    pub(crate) seen: Arc<Seen>,
    pub(crate) ca: String,
    pub(crate) client: Issued,
}

impl Origins {
    /// Starts them, with certificates for `names`.
    pub(crate) fn start(names: &[&str], host: &str, trouble: Trouble) -> Result<Self> {
        let ca = Ca::new(now(), LIFE, "regauth demo CA", &entropy()?).map_err(Error::other)?;
        let server = ca.server(names, now(), LIFE, &entropy()?).map_err(Error::other)?;
        let client = ca.client("builder-1", None, now(), LIFE, &entropy()?).map_err(Error::other)?;
        let image = Arc::new(Image::new());
        let (required, optional) = (tls(&ca, &server, true)?, tls(&ca, &server, false)?);
        let [registry, tokens, blobs] = [listen()?, listen()?, listen()?];
        let url = |address: std::net::SocketAddr| format!("https://{host}:{}", address.port());
        let issued = Arc::new(Mutex::new(HashSet::new()));
        let seen = Arc::new(Seen::default());
        let front = Registry {
            realm: format!("{}/token", url(tokens.1)),
            blobs: url(blobs.1),
            image: Arc::clone(&image),
            issued: Arc::clone(&issued),
        };
        let service = Tokens::new(issued)?;
        let store = Blobs { image, seen: Arc::clone(&seen), trouble, cuts: AtomicUsize::new(0) };
        Ok(Self {
            registry: Server::start(registry.0, Arc::clone(&required), Arc::new(move |r: &Request| front.answer(r)))?,
            tokens: Server::start(tokens.0, required, Arc::new(move |r: &Request| service.answer(r)))?,
            blobs: Server::start(blobs.0, optional, Arc::new(move |r: &Request| store.answer(r)))?,
            seen,
            ca: ca.cert_pem(),
            client,
        })
    }
}

/// A server's TLS; `required`: nobody without a certificate of the CA gets in.
fn tls(ca: &Ca, server: &Issued, required: bool) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.cert_der().to_vec())).map_err(Error::other)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
    let key = PrivateKeyDer::from_pem_slice(server.key_pem.expose()).map_err(Error::other)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_client_cert_verifier(verifier.build().map_err(Error::other)?)
        .with_single_cert(vec![CertificateDer::from(server.cert_der.clone())], key)
        .map_err(Error::other)?;
    Ok(Arc::new(config))
}

struct Registry {
    realm: String,
    blobs: String,
    image: Arc<Image>,
    issued: Arc<Mutex<HashSet<String>>>,
}

impl Registry {
    fn answer(&self, request: &Request) -> Reply {
        let token = request.field("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let known = |token: &str| self.issued.lock().unwrap_or_else(PoisonError::into_inner).contains(token);
        if !token.is_some_and(known) {
            let challenge =
                format!("Bearer realm=\"{}\",service=\"{SERVICE}\",scope=\"repository:{REPOSITORY}:pull\"", self.realm);
            return error(401, "UNAUTHORIZED").field("WWW-Authenticate", challenge);
        }
        let Some(rest) = request.path().strip_prefix(&format!("/v2/{REPOSITORY}/")) else {
            return error(404, "NAME_UNKNOWN");
        };
        match rest.split_once('/') {
            Some(("manifests", name)) if name == "latest" || name == self.image.digest.to_string() => {
                Reply::new(200, self.image.manifest.clone())
                    .field("Content-Type", MANIFEST)
                    .field("Docker-Content-Digest", self.image.digest.to_string())
            }
            Some(("blobs", digest)) if self.image.blob(digest).is_some() => {
                // As object stores do it: whoever has the URL may read the blob.
                Reply::new(307, "").field("Location", format!("{}/{digest}?signature=of-the-registry", self.blobs))
            }
            _ => error(404, "MANIFEST_UNKNOWN"),
        }
    }
}

struct Tokens {
    key: SigningKey,
    reference: KeyRef,
    issued: Arc<Mutex<HashSet<String>>>,
}

impl Tokens {
    fn new(issued: Arc<Mutex<HashSet<String>>>) -> Result<Self> {
        let key = SigningKey::generate(&entropy()?).map_err(Error::other)?;
        let certificate = token_certificate(&key, "regauth demo tokens", now(), LIFE, &entropy()?);
        let reference = KeyRef::X5c(vec![certificate.map_err(Error::other)?]);
        Ok(Self { key, reference, issued })
    }

    fn answer(&self, request: &Request) -> Reply {
        let right = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        if request.method != "GET" || request.path() != "/token" {
            return error(404, "NOT_FOUND");
        }
        if request.field("authorization") != Some(&format!("Basic {right}")) {
            return error(401, "UNAUTHORIZED").field("WWW-Authenticate", "Basic realm=\"demo\"");
        }
        let Some(token) = self.token() else { return error(500, "UNKNOWN") };
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone());
        Reply::new(200, json!({"token": token, "expires_in": LIFE}).to_string())
            .field("Content-Type", "application/json")
            .field("Cache-Control", "no-store")
    }

    fn token(&self) -> Option<String> {
        let mut claims = Claims::new(ISSUER, USER, SERVICE, now(), LIFE, &entropy().ok()?);
        claims.access =
            vec![Access { kind: "repository".into(), name: REPOSITORY.into(), actions: vec!["pull".into()] }];
        self.key.sign(&self.reference, &claims).ok()?.expose_str().map(str::to_string)
    }
}

struct Blobs {
    image: Arc<Image>,
    seen: Arc<Seen>,
    trouble: Trouble,
    cuts: AtomicUsize,
}

impl Blobs {
    fn answer(&self, request: &Request) -> Reply {
        self.seen.requests.fetch_add(1, Ordering::SeqCst);
        self.seen.certificates.fetch_add(usize::from(request.certificate), Ordering::SeqCst);
        self.seen.authorizations.fetch_add(usize::from(request.field("authorization").is_some()), Ordering::SeqCst);
        if !request.target.ends_with("?signature=of-the-registry") {
            return error(403, "DENIED");
        }
        let Some(blob) = self.image.blob(request.path().trim_start_matches('/')) else {
            return error(404, "BLOB_UNKNOWN");
        };
        let range = request.field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let start = range.and_then(|start| start.parse::<usize>().ok());
        self.seen.ranges.fetch_add(usize::from(start.is_some()), Ordering::SeqCst);
        let start = start.filter(|start| *start < blob.len() && !self.trouble.no_ranges);
        let mut reply = match start {
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
                Reply::new(206, blob.get(start..).unwrap_or_default()).field("Content-Range", range)
            }
            None => Reply::new(200, blob),
        };
        if let Some(cut) = self.trouble.cut.filter(|cut| *cut < reply.body.len())
            && self.cuts.fetch_add(1, Ordering::SeqCst) < self.trouble.times
        {
            reply.cut = Some(cut);
        }
        reply.field("Content-Type", "application/octet-stream")
    }
}

fn error(status: u16, code: &str) -> Reply {
    Reply::new(status, json!({"errors": [{"code": code, "message": ""}]}).to_string())
        .field("Content-Type", "application/json")
}

fn entropy<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
