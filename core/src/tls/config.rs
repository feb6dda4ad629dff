//! One rustls configuration for each profile and attempt, made when it is first used.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, Signer as RustlsSigner, SigningKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, Error, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::pem::{Held, IdentityError, IdentityFlaw, Key, SignError, Signer, read_key};
use super::sessions::{Link, Request, Sessions};
use super::verify::Verifier;
use super::x509::{KeyKind, name_text};
use super::{Provider, Settings, TlsError, Version};
use crate::time::Time;

/// The configurations of one profile, by the number of identities that are left out.
#[derive(Default)]
pub(crate) struct Configs(Mutex<Vec<(usize, Arc<Base>)>>);

/// What the connections of one profile and attempt share. Verifier and resolver have to be the same objects for a
/// session to be resumed; clock and session store are each connection's own, which is how a number that the host
/// passes in and the server's port get to where rustls asks for neither.
pub(crate) struct Base {
    config: ClientConfig,
    sessions: Arc<Sessions>,
}

impl Configs {
    pub(crate) fn get(&self, settings: &Arc<Settings>, skip: usize) -> Result<Arc<Base>, TlsError> {
        // Held while the first one is made: who else wants it would only make another.
        let mut configs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, base)) = configs.iter().find(|(of, _)| *of == skip) {
            return Ok(Arc::clone(base));
        }
        let made = Arc::new(Base::new(settings, skip)?);
        configs.push((skip, Arc::clone(&made)));
        Ok(made)
    }
}

impl Base {
    fn new(settings: &Arc<Settings>, skip: usize) -> Result<Self, TlsError> {
        let provider = Arc::new(provider(settings.provider).ok_or(TlsError::NoProvider)?);
        let verifier = Verifier::new(&settings.roots, settings.skip_verify, &provider)?;
        let resolver = Resolver::new(settings, skip, &provider)?;
        if settings.alpn.iter().any(|name| name.is_empty() || name.len() > 255) {
            return Err(TlsError::Alpn);
        }
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(Clock::default()))
            .with_protocol_versions(&versions(settings)?)
            .map_err(|_| TlsError::NoProvider)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(resolver));
        config.alpn_protocols.clone_from(&settings.alpn);
        // Early data can be replayed, and would go out before the server has asked for a certificate.
        config.enable_early_data = false;
        Ok(Self { config, sessions: Arc::default() })
    }

    pub(crate) fn link(&self, host: &str, port: u16) -> Link {
        Link::new(Arc::clone(&self.sessions), host, port)
    }

    pub(crate) fn config(&self, clock: Arc<Clock>, link: Arc<Link>) -> Arc<ClientConfig> {
        let mut config = self.config.clone();
        config.time_provider = clock;
        config.resumption = Resumption::store(link);
        Arc::new(config)
    }
}

fn versions(settings: &Settings) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let oldest = settings.min_version.unwrap_or(Version::Tls12);
    let newest = settings.max_version.unwrap_or(Version::Tls13);
    let versions: Vec<_> = [(Version::Tls13, &rustls::version::TLS13), (Version::Tls12, &rustls::version::TLS12)]
        .into_iter()
        .filter(|(version, _)| oldest <= *version && *version <= newest)
        .map(|(_, rustls)| rustls)
        .collect();
    if versions.is_empty() { Err(TlsError::NoVersion) } else { Ok(versions) }
}

/// The cryptography asked for; never the one of the process, which is not ours to choose.
fn provider(named: Option<Provider>) -> Option<CryptoProvider> {
    let found = chosen(named);
    // WebAssembly has no instructions for AES: ChaCha20 is three times as fast there, so it is offered first.
    #[cfg(target_family = "wasm")]
    let found = found.map(|mut provider| {
        use rustls::CipherSuite as Suite;
        let slow = |suite: Suite| {
            !matches!(
                suite,
                Suite::TLS13_CHACHA20_POLY1305_SHA256
                    | Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                    | Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            )
        };
        provider.cipher_suites.sort_by_key(|suite| slow(suite.suite()));
        provider
    });
    found
}

fn chosen(named: Option<Provider>) -> Option<CryptoProvider> {
    match named {
        #[cfg(feature = "ring")]
        None | Some(Provider::Ring) => Some(rustls::crypto::ring::default_provider()),
        #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
        None => Some(rustls::crypto::aws_lc_rs::default_provider()),
        #[cfg(feature = "aws-lc-rs")]
        Some(Provider::AwsLcRs) => Some(rustls::crypto::aws_lc_rs::default_provider()),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

/// The public key (SubjectPublicKeyInfo) that belongs to a private one; `kind` is what it should be, for the error.
pub(crate) fn public_key(key: &PrivateKeyDer<'_>, kind: &str) -> Result<Vec<u8>, IdentityFlaw> {
    let provider = provider(None).ok_or(IdentityFlaw::NoProvider)?;
    let key = load(&provider, key.clone_key(), kind)?;
    let spki = key.public_key().ok_or_else(|| IdentityFlaw::UnsupportedKey(kind.into()))?;
    Ok(spki.to_vec())
}

fn load(
    provider: &CryptoProvider,
    key: PrivateKeyDer<'static>,
    kind: &str,
) -> Result<Arc<dyn SigningKey>, IdentityFlaw> {
    provider.key_provider.load_private_key(key).map_err(|_| IdentityFlaw::UnsupportedKey(kind.into()))
}

/// The clock of one connection: the last time that the host passed in.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn set(&self, now: Time) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        match self.get() {
            // Not 1970: a host that has no time has to say so, or every certificate would be from the future.
            Time(0) => None,
            Time(millis) => Some(UnixTime::since_unix_epoch(Duration::from_millis(millis))),
        }
    }
}

/// What was asked and done during one call of rustls.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) request: Option<Request>,
    pub(crate) signer: Option<(String, SignError)>,
}

thread_local! {
    // The resolver is shared by all connections of a profile and is not told for which one it is asked. Every call of
    // rustls is synchronous, so what was written since its beginning belongs to the connection that made it.
    static HEARD: RefCell<Heard> = RefCell::default();
}

/// Takes what was heard since it was last taken, on this thread.
pub(crate) fn heard() -> Heard {
    HEARD.with(|heard| heard.try_borrow_mut().map(|mut heard| std::mem::take(&mut *heard)).unwrap_or_default())
}

fn hear(edit: impl FnOnce(&mut Heard)) {
    HEARD.with(|heard| {
        if let Ok(mut heard) = heard.try_borrow_mut() {
            edit(&mut heard);
        }
    });
}

/// Answers CertificateRequests by the rules of [`Settings::choose`] and writes down what it did.
struct Resolver {
    settings: Arc<Settings>,
    skip: usize,
    /// For each identity; those that are skipped have none.
    keys: Vec<Option<Arc<CertifiedKey>>>,
}

impl Resolver {
    fn new(settings: &Arc<Settings>, skip: usize, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let keys = settings.identities.iter().enumerate().map(|(index, identity)| {
            if index < skip {
                return Ok(None);
            }
            let held = identity.held().ok_or_else(|| TlsError::NamedOnly(identity.label().into()))?;
            let key = signing_key(held, identity.label(), provider)
                .map_err(|flaw| TlsError::Identity(IdentityError { label: identity.label().into(), flaw }))?;
            let chain = held.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
            Ok(Some(Arc::new(CertifiedKey::new(chain, key))))
        });
        Ok(Self { settings: Arc::clone(settings), skip, keys: keys.collect::<Result<_, TlsError>>()? })
    }
}

fn signing_key(held: &Held, label: &str, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, IdentityFlaw> {
    match &held.key {
        Key::Pem(pem) => load(provider, read_key(pem.expose())?, held.leaf.key.text()),
        Key::Signer(signer) => {
            let algorithm = match held.leaf.key {
                KeyKind::Rsa => SignatureAlgorithm::RSA,
                KeyKind::Ed25519 => SignatureAlgorithm::ED25519,
                _ => SignatureAlgorithm::ECDSA,
            };
            Ok(Arc::new(External { label: label.into(), signer: Arc::clone(signer), algorithm }))
        }
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let numbers: Vec<u16> = schemes.iter().map(|scheme| u16::from(*scheme)).collect();
        let choice = self.settings.choose(self.skip, hints, &numbers);
        let hints = hints.iter().map(|hint| name_text(hint)).collect();
        let request = Request { hints, shown: choice.shown, pair: choice.pair, next: choice.next };
        hear(|heard| heard.request = Some(request));
        self.keys.get(choice.pair?)?.clone()
    }

    fn has_certs(&self) -> bool {
        // Always heard, so that evidence says what was asked for even where nothing is configured.
        true
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("identities", &self.settings.identities).finish_non_exhaustive()
    }
}

/// A [`Signer`] as rustls wants it: a key, and that key with the scheme that was chosen.
#[derive(Clone)]
struct External {
    label: Arc<str>,
    signer: Arc<dyn Signer>,
    algorithm: SignatureAlgorithm,
}

impl SigningKey for External {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn RustlsSigner>> {
        let mut schemes = self.signer.schemes().iter().map(|scheme| SignatureScheme::from(*scheme));
        let scheme = schemes.find(|scheme| offered.contains(scheme))?;
        Some(Box::new(ExternalSigner { key: self.clone(), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External").field("label", &self.label).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct ExternalSigner {
    key: External,
    scheme: SignatureScheme,
}

impl RustlsSigner for ExternalSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        // A signer may make connections of its own, to a key service, on this very thread.
        let outer = heard();
        let signed = self.key.signer.sign(u16::from(self.scheme), message);
        hear(|heard| *heard = outer);
        signed.map_err(|why| {
            let text = why.0.clone();
            hear(|heard| heard.signer = Some((self.key.label.to_string(), why)));
            Error::General(text)
        })
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
