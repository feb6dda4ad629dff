//! The gate's certificates: made here, for a day, by the mint.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use regauth::Time;
use regauth::mint::{Ca, Issued};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::Error;
use crate::gate::random;

/// Seconds.
const DAY: u64 = 24 * 3600;

pub(crate) struct Pki {
    ca: Ca,
    server: Issued,
    /// Where each builder's files are.
    pub(crate) builders: Vec<PathBuf>,
}

impl Pki {
    /// Makes all of it and writes what builders need: `ca.crt`, `client.cert` and `client.key`, the names of Docker's
    /// certs.d.
    pub(crate) fn make(names: &[String], builders: &[String], directory: &Path) -> Result<Self, Error> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let now = Time(u64::try_from(since.as_millis())?);
        let ca = Ca::new(now, DAY, "registry-gate", &random()?)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let server = ca.server(&names, now, DAY, &random()?)?;
        let mut folders = Vec::new();
        for builder in builders {
            let (tenant, build) = builder.split_once('/').ok_or("a builder is written TENANT/BUILD")?;
            let uri = format!("spiffe://example.org/tenant/{tenant}/builder/{build}");
            let client = ca.client("builder", Some(&uri), now, DAY, &random()?)?;
            let folder = directory.join(build);
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            write(&folder.join("ca.crt"), ca.cert_pem().as_bytes())?;
            write(&folder.join("client.cert"), client.cert_pem.as_bytes())?;
            write(&folder.join("client.key"), client.key_pem.expose())?;
            folders.push(fs::canonicalize(folder)?);
        }
        Ok(Self { ca, server, builders: folders })
    }

    /// TLS with a client certificate of this CA: required, unless clients without one are let in. One that is shown is
    /// verified either way.
    pub(crate) fn server(&self, anonymous: bool) -> Result<ServerConfig, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.ca.cert_der().to_vec()))?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = if anonymous { verifier.allow_unauthenticated() } else { verifier }.build()?;
        let key = PrivateKeyDer::from_pem_slice(self.server.key_pem.expose())?;
        let chain = vec![CertificateDer::from(self.server.cert_der.clone())];
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(bytes)?)
}
