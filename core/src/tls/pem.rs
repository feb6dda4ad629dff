//! Identities that are given as PEM, or as PEM and a signer.

use std::fmt;
use std::sync::Arc;

#[cfg(any(feature = "tls", feature = "config"))]
use super::Flaw;
use super::Identity;
use super::x509::{Facts, name_text};
use crate::secret::Secret;
use crate::time::Time;

/// What is kept of an identity that was given with its certificates.
pub(crate) struct Held {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) leaf: Facts,
    pub(crate) key: Key,
    issuers: Vec<Vec<u8>>,
    chain_pem: Box<[u8]>,
}

pub(crate) enum Key {
    Pem(Secret),
    Signer(Arc<dyn Signer>),
}

impl Identity {
    /// An identity from PEM: the chain with the leaf first, and its key as PKCS#8, PKCS#1 or SEC1, not encrypted. Both
    /// may be in one text, which is then given twice.
    ///
    /// # Errors
    /// Whatever would make the identity useless in a handshake; without the feature `tls` not that the key belongs to
    /// another certificate. An expired leaf and one that is not meant for clients
    /// are no errors: see [`Self::not_after`] and [`Self::allows_client_auth`].
    pub fn from_pem(label: impl Into<String>, chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, IdentityError> {
        let label = label.into();
        let made = read_chain(chain_pem).and_then(|chain| {
            check_key(&chain, key_pem)?;
            Ok(Held::new(chain, chain_pem, Key::Pem(key_pem.into())))
        });
        Self::finish(label, made)
    }

    /// An identity whose key is somewhere else: a token, an agent, a key service. Whether the key belongs to the leaf
    /// only the server can find out.
    ///
    /// # Errors
    /// As for [`Self::from_pem`], as far as it concerns the chain.
    pub fn with_signer(
        label: impl Into<String>,
        chain_pem: &[u8],
        signer: Arc<dyn Signer>,
    ) -> Result<Self, IdentityError> {
        let made = read_chain(chain_pem).map(|chain| Held::new(chain, chain_pem, Key::Signer(signer)));
        Self::finish(label.into(), made)
    }

    fn finish(label: String, made: Result<Held, IdentityFlaw>) -> Result<Self, IdentityError> {
        use sha2::Digest as _;
        match made {
            Ok(held) => {
                let leaf = held.chain.first().map(Vec::as_slice).unwrap_or_default();
                Ok(Self::holding(label, sha2::Sha256::digest(leaf).into(), held))
            }
            Err(flaw) => Err(IdentityError { label, flaw }),
        }
    }

    /// The issuers of all certificates of the chain, leaf first, as DER names: what a server's hints are compared
    /// with. Empty where only the name is known.
    pub fn issuers(&self) -> &[Vec<u8>] {
        self.held().map_or(&[], |held| &held.issuers)
    }

    /// The issuer of the leaf as RFC 4514 text, empty where it is not known.
    pub fn issuer_text(&self) -> String {
        self.held().map(|held| name_text(&held.leaf.issuer)).unwrap_or_default()
    }

    /// The subject of the leaf as RFC 4514 text, empty where it is not known.
    pub fn subject_text(&self) -> String {
        self.held().map(|held| name_text(&held.leaf.subject)).unwrap_or_default()
    }

    /// When the leaf becomes valid, where that is known.
    pub fn not_before(&self) -> Option<Time> {
        self.held().map(|held| held.leaf.not_before)
    }

    /// The last moment at which the leaf is valid, where that is known.
    pub fn not_after(&self) -> Option<Time> {
        self.held().map(|held| held.leaf.not_after)
    }

    /// Whether the leaf's extended key usage allows client authentication (RFC 5280 section 4.2.1.12); true where it
    /// has none or is not known. Shown all the same: whether it matters is for the server to say.
    pub fn allows_client_auth(&self) -> bool {
        self.held().is_none_or(|held| held.leaf.client_auth)
    }

    /// What speaks against the leaf; without a time only what always does.
    #[cfg(any(feature = "tls", feature = "config"))]
    pub(crate) fn flaws(&self, now: Option<Time>) -> impl Iterator<Item = Flaw> {
        let (end, begin) = (self.not_after().zip(now), self.not_before().zip(now));
        let expired = end.filter(|(end, now)| end < now).map(|(end, now)| Flaw::Expired { ago: now.since(end) / 1000 });
        let early = begin.filter(|(begin, now)| begin > now);
        let early = early.map(|(begin, now)| Flaw::NotYetValid { ahead: begin.since(now) / 1000 });
        let purpose = (!self.allows_client_auth()).then_some(Flaw::NotForClients);
        [expired, early, purpose].into_iter().flatten()
    }

    /// The certificates as they were given, for a TLS stack of the host's own.
    pub fn chain_pem(&self) -> Option<&[u8]> {
        self.held().map(|held| &*held.chain_pem)
    }

    /// The key as it was given; `None` for a signer and where only the name is known.
    pub fn key_pem(&self) -> Option<&Secret> {
        match &self.held()?.key {
            Key::Pem(text) => Some(text),
            Key::Signer(_) => None,
        }
    }

    /// The signature schemes that the key can make, best first; RFC 8446 section 4.2.3.
    pub(crate) fn schemes(&self) -> Option<&[u16]> {
        self.held().map(|held| match &held.key {
            Key::Pem(_) => held.leaf.key.schemes(),
            Key::Signer(signer) => signer.schemes(),
        })
    }
}

impl Held {
    fn new(chain: Chain, pem: &[u8], key: Key) -> Self {
        let issuers = std::iter::once(&chain.leaf).chain(&chain.rest).map(|facts| facts.issuer.clone()).collect();
        Self { chain: chain.der, leaf: chain.leaf, key, issuers, chain_pem: pem.into() }
    }
}

/// A key that is not in memory: PKCS#11, a TPM, an agent, a key service.
///
/// Called synchronously, once in each full handshake and never for a resumed one. Where it may block for long, poll
/// the connection on a thread that may.
pub trait Signer: Send + Sync {
    /// The SignatureScheme numbers (RFC 8446 section 4.2.3) that the key can make, best first.
    fn schemes(&self) -> &[u16];

    /// Signs the message (which is not hashed yet) by one of these schemes.
    ///
    /// # Errors
    /// Whatever kept the key from signing; it ends the handshake.
    fn sign(&self, scheme: u16, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Why a [`Signer`] did not sign: one sentence without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignError(pub String);

/// An identity that cannot be used, with the label it was configured under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityError {
    /// The name it was configured under: a label or a file.
    pub label: String,
    /// What is wrong with it.
    pub flaw: IdentityFlaw,
}

/// What is wrong with an identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityFlaw {
    /// No PEM certificate in the chain.
    NoCertificate,
    /// A certificate that cannot be read: its place in the chain, the leaf being 1.
    Certificate(usize),
    /// No PEM key.
    NoKey,
    /// The key is encrypted.
    EncryptedKey,
    /// The key's PEM is broken.
    Key,
    /// A key of a kind that cannot be used: what the leaf says it is, or the format's name.
    UnsupportedKey(String),
    /// The key does not belong to the leaf.
    KeyMismatch {
        /// The place of the certificate in the chain to which it does belong.
        belongs_to: Option<usize>,
    },
    /// No cryptography is compiled in, so that the key cannot be looked at.
    NoProvider,
}

impl IdentityError {
    /// One sentence: what is wrong.
    pub fn what(&self) -> String {
        let label = &self.label;
        match &self.flaw {
            IdentityFlaw::NoCertificate => format!("{label}: there is no PEM certificate in it"),
            IdentityFlaw::Certificate(at) => format!("{label}: certificate {at} of the chain cannot be read"),
            IdentityFlaw::NoKey => format!("{label}: there is no PEM key in it"),
            IdentityFlaw::EncryptedKey => format!("{label}: the key is encrypted"),
            IdentityFlaw::Key => format!("{label}: the PEM of the key is broken"),
            IdentityFlaw::UnsupportedKey(kind) => format!("{label}: the {kind} key cannot be used"),
            IdentityFlaw::KeyMismatch { belongs_to: None } => {
                format!("{label}: the key does not belong to the first certificate")
            }
            IdentityFlaw::KeyMismatch { belongs_to: Some(at) } => {
                format!("{label}: the key belongs to certificate {at}, not to the first")
            }
            IdentityFlaw::NoProvider => format!("{label}: no cryptography is compiled in to read the key with"),
        }
    }

    /// One sentence: what to do about it.
    pub fn remedy(&self) -> &'static str {
        match self.flaw {
            IdentityFlaw::NoCertificate | IdentityFlaw::Certificate(_) => {
                "Give the chain as PEM, leaf first (openssl x509 -inform der -in FILE -out FILE.pem makes PEM of DER)."
            }
            IdentityFlaw::NoKey | IdentityFlaw::Key => {
                "Give the PEM key that belongs to the certificate, as PKCS#8, PKCS#1 or SEC1."
            }
            IdentityFlaw::EncryptedKey => "Decrypt it: openssl pkey -in KEY -out DECRYPTED-KEY.",
            IdentityFlaw::UnsupportedKey(_) => {
                "Use an RSA key of 2,048 bits or more, ECDSA P-256 or P-384, or Ed25519, as PKCS#8, PKCS#1 or SEC1."
            }
            IdentityFlaw::KeyMismatch { belongs_to: None } => {
                "Give the key whose public half the certificate holds (openssl pkey -in KEY -pubout shows it)."
            }
            IdentityFlaw::KeyMismatch { belongs_to: Some(_) } => "Put the certificate of the key first.",
            IdentityFlaw::NoProvider => "Build with the feature ring or aws-lc-rs.",
        }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what(), self.remedy())
    }
}

impl std::error::Error for IdentityError {}

struct Chain {
    der: Vec<Vec<u8>>,
    leaf: Facts,
    rest: Vec<Facts>,
}

fn read_chain(pem: &[u8]) -> Result<Chain, IdentityFlaw> {
    let (der, facts): (Vec<_>, Vec<_>) = certificates(pem).map_err(IdentityFlaw::Certificate)?.into_iter().unzip();
    let mut facts = facts.into_iter();
    let leaf = facts.next().ok_or(IdentityFlaw::NoCertificate)?;
    Ok(Chain { der, leaf, rest: facts.collect() })
}

/// The certificates of a PEM text as DER, and what they say; `Err`: the place of one that cannot be read, from 1.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<(Vec<u8>, Facts)>, usize> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    let all = (1_usize..).zip(CertificateDer::pem_slice_iter(pem));
    all.map(|(at, certificate)| {
        let der = certificate.map_err(|_| at)?;
        Ok((der.to_vec(), Facts::read(&der).ok_or(at)?))
    })
    .collect()
}

/// Whether the key belongs to the leaf. Without a TLS of our own that is left to the host's, which has to read the key
/// anyway.
#[cfg(not(feature = "tls"))]
fn check_key(_: &Chain, pem: &[u8]) -> Result<(), IdentityFlaw> {
    read_key(pem).map(|_| ())
}

#[cfg(feature = "tls")]
fn check_key(chain: &Chain, pem: &[u8]) -> Result<(), IdentityFlaw> {
    let spki = super::config::public_key(&read_key(pem)?, chain.leaf.key.text())?;
    let (_, key) = super::x509::public_key(&spki).ok_or(IdentityFlaw::Key)?;
    if chain.leaf.public_key == key {
        return Ok(());
    }
    let belongs_to = chain.rest.iter().position(|facts| facts.public_key == key).map(|at| at + 2);
    Err(IdentityFlaw::KeyMismatch { belongs_to })
}

/// The first key of a PEM text.
pub(crate) fn read_key(pem: &[u8]) -> Result<rustls_pki_types::PrivateKeyDer<'static>, IdentityFlaw> {
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::{Error, PemObject as _};

    let find = |text: &str, pem: &[u8]| pem.windows(text.len()).position(|window| window == text.as_bytes());
    let begin = "PRIVATE KEY-----";
    let (head, rest) = pem.split_at(find(begin, pem).map_or(pem.len(), |at| at + begin.len()));
    let block = rest.get(..find("-----END", rest).unwrap_or(rest.len())).unwrap_or_default();
    let is = |format: &str| head.ends_with(format!("-----BEGIN {format} {begin}").as_bytes());
    // Headers of RFC 1421 are the old form of encryption and would only make the base64 look broken.
    if is("ENCRYPTED") || (find("Proc-Type:", block).is_some() && find("ENCRYPTED", block).is_some()) {
        return Err(IdentityFlaw::EncryptedKey);
    }
    for format in ["OPENSSH", "DSA"] {
        if is(format) {
            return Err(IdentityFlaw::UnsupportedKey(format.into()));
        }
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Error::NoItemsFound => IdentityFlaw::NoKey,
        _ => IdentityFlaw::Key,
    })
}
