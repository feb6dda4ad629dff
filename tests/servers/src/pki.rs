//! The certificates of one world, made by `mint` and written where programs read them.

use std::fs::{self, File};
use std::io::{Error, Read as _, Result, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use regauth::mint::{Ca, Issued, certificate_pem, token_certificate};
use regauth::server::SigningKey;
use regauth::time::Time;

const HOUR: u64 = 3600;

/// Files of one certificate and its key: PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// The key: PKCS#8.
    pub key: PathBuf,
}

/// All certificates of one world. Host names are `localhost` and 127.0.0.1 to 127.0.0.3.
#[derive(Debug)]
pub struct Pki {
    /// The CA that issued `server` and all clients but `wrong`.
    pub ca: PathBuf,
    /// The common name of that CA.
    pub ca_name: String,
    /// The one certificate of all servers.
    pub server: Pair,
    /// `CN=buildbot-1`.
    pub client: Pair,
    /// `CN=token-bot`: an identity for the token service alone.
    pub token_client: Pair,
    /// `CN=buildbot-1`, ended five hours ago.
    pub expired: Pair,
    /// Another CA.
    pub wrong_ca: PathBuf,
    /// `CN=buildbot-1` of that other CA.
    pub wrong: Pair,
    /// The certificate of the key that signs tokens: `rootcertbundle`.
    pub tokens: PathBuf,
    /// The same, DER: `x5c`.
    pub tokens_der: Vec<u8>,
    authority: Ca,
}

impl Pki {
    /// Makes all of it in `directory`, which exists.
    pub fn new(directory: &Path, signing: &SigningKey) -> Result<Self> {
        let now = now();
        // In the middle of its life, so that a certificate of it can have ended.
        let ca =
            mint(Ca::new(Time(now.0.saturating_sub(12 * HOUR * 1000)), 24 * HOUR, "regauth test CA", &entropy()?))?;
        let past = Time(now.0.saturating_sub(6 * HOUR * 1000));
        let wrong = mint(Ca::new(now, HOUR, "regauth wrong CA", &entropy()?))?;
        let names = ["localhost", "127.0.0.1", "127.0.0.2", "127.0.0.3"];
        let client = |ca: &Ca, label: &str, at| mint(ca.client(label, None, at, HOUR, &entropy()?));
        let tokens_der = mint(token_certificate(signing, "regauth test tokens", now, HOUR, &entropy()?))?;
        Ok(Self {
            ca: file(directory, "ca.crt", ca.cert_pem().as_bytes())?,
            ca_name: ca.name().into(),
            server: pair(directory, "server", &mint(ca.server(&names, now, HOUR, &entropy()?))?)?,
            client: pair(directory, "client", &client(&ca, "buildbot-1", now)?)?,
            token_client: pair(directory, "token-client", &client(&ca, "token-bot", now)?)?,
            expired: pair(directory, "expired", &client(&ca, "buildbot-1", past)?)?,
            wrong_ca: file(directory, "wrong-ca.crt", wrong.cert_pem().as_bytes())?,
            wrong: pair(directory, "wrong", &client(&wrong, "buildbot-1", now)?)?,
            tokens: file(directory, "tokens.crt", certificate_pem(&tokens_der).as_bytes())?,
            tokens_der,
            authority: ca,
        })
    }

    /// Puts the certificate of another signing key in the place of `tokens` and `tokens_der`.
    pub(crate) fn trust(&mut self, signing: &SigningKey) -> Result<()> {
        self.tokens_der = mint(token_certificate(signing, "regauth test tokens", now(), HOUR, &entropy()?))?;
        fs::write(&self.tokens, certificate_pem(&self.tokens_der))
    }

    /// A client's certificate of the CA, PEM, for a key of which only the public half (SubjectPublicKeyInfo, DER) is
    /// here.
    pub fn client_for(&self, key: &[u8], label: &str) -> Result<String> {
        let der = mint(self.authority.client_for(key, label, None, now(), HOUR, &entropy()?))?;
        Ok(certificate_pem(&der))
    }
}

fn mint<T, E: std::error::Error + Send + Sync + 'static>(made: std::result::Result<T, E>) -> Result<T> {
    made.map_err(Error::other)
}

fn pair(directory: &Path, name: &str, issued: &Issued) -> Result<Pair> {
    Ok(Pair {
        cert: file(directory, &format!("{name}.crt"), issued.cert_pem.as_bytes())?,
        key: file(directory, &format!("{name}.key"), issued.key_pem.expose())?,
    })
}

fn file(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(bytes)?;
    Ok(path)
}

/// Random bytes.
pub fn entropy<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
