//! The P-256 keys of tokens: how tokens name them, how they sign (ES256, RFC 7518 section 3.4) and verify.
//!
//! No key reference is understood by every registry, so it is an option ([`KeyRef`]). No clock is read and no
//! randomness is taken: signatures follow RFC 6979, so the same key, reference and claims give the same token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::Signature;
#[cfg(any(test, not(all(feature = "ring", not(target_family = "wasm")))))]
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::call::Reason;
use super::claims::Claims;
use super::peer::spki_of;
use crate::key::{KeyPair, pem};
use crate::secret::Secret;

/// Why a key or its reference cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyError {
    /// The entropy gave no key: take 32 other bytes.
    Entropy,
    /// Not an unencrypted PKCS#8 PEM block with a P-256 key.
    NotP256,
    /// Not the public half of a P-256 key, as PEM, or in a certificate as DER.
    NotPublic,
    /// A coordinate starts with a zero byte, so verifiers disagree about the thumbprint.
    Ambiguous,
    /// The first certificate of `x5c` is not one of this key, or there is none.
    Chain,
    /// A `kid` of no or over 128 bytes, or with anything but printable ASCII in it.
    Kid,
    /// The claims or the header cannot be encoded.
    Encode,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entropy => "the entropy gives no key; take 32 other random bytes",
            Self::NotP256 => "the key is no unencrypted PKCS#8 PEM block of a P-256 key; make one with this library",
            Self::NotPublic => {
                "that is no public key on P-256; give its SubjectPublicKeyInfo as PEM, or a DER certificate"
            }
            Self::Ambiguous => "verifiers would disagree about this key's thumbprint; generate another key",
            Self::Chain => "the first x5c certificate does not hold this key; give the chain with the key's own first",
            Self::Kid => "a kid has 1 to 128 printable ASCII characters; choose another",
            Self::Encode => "the token cannot be encoded; check its claims",
        })
    }
}

impl std::error::Error for KeyError {}

/// How a token names the key that verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRef {
    /// `x5c` (RFC 7515 section 4.1.6): DER certificates, the key's own first. What distribution 2.8 and 3.1 both take
    /// when they have the root in `rootcertbundle`; one that has only `jwks` refuses every token with an `x5c`.
    X5c(Vec<Vec<u8>>),
    /// `kid` is the RFC 7638 thumbprint: distribution 3.1 with the key's own certificate in `rootcertbundle`, or `jwks`.
    Thumbprint,
    /// `kid` is the libtrust id: distribution 2.8 with the key's own certificate in `rootcertbundle`.
    Libtrust,
    /// `kid` is this text: what the verifier's `jwks` says.
    Kid(String),
}

/// A P-256 key that verifies tokens, and the names by which tokens may refer to it.
///
/// Those are always its RFC 7638 thumbprint, its libtrust id and an `x5c` whose first certificate holds it; a `kid` of
/// another kind is added by [`named`](Self::named).
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    key: p256::ecdsa::VerifyingKey,
    pub(super) spki: Vec<u8>,
    thumbprint: String,
    libtrust_id: String,
    named: Vec<String>,
}

impl VerifyingKey {
    /// The key in a PEM block `PUBLIC KEY` (SubjectPublicKeyInfo). One whose thumbprint is ambiguous is refused.
    pub fn from_pem(public: &str) -> Result<Self, KeyError> {
        Self::new(p256::ecdsa::VerifyingKey::from_public_key_pem(public).map_err(|_| KeyError::NotPublic)?)
    }

    /// The key of a certificate, DER: of the one that a registry has in its `rootcertbundle`. Only the key is read.
    pub fn from_certificate(der: &[u8]) -> Result<Self, KeyError> {
        let spki = spki_of(der).ok_or(KeyError::NotPublic)?;
        Self::new(p256::ecdsa::VerifyingKey::from_public_key_der(&spki).map_err(|_| KeyError::NotPublic)?)
    }

    fn new(key: p256::ecdsa::VerifyingKey) -> Result<Self, KeyError> {
        let (x, y) = coordinates(&key);
        if x.first() == Some(&0) || y.first() == Some(&0) {
            return Err(KeyError::Ambiguous);
        }
        let spki = key.to_public_key_der().map_err(|_| KeyError::NotPublic)?.as_bytes().to_vec();
        Ok(Self { key, thumbprint: thumbprint(&x, &y), libtrust_id: libtrust_id(&spki), spki, named: Vec::new() })
    }

    /// The same key under one more `kid`: 1 to 128 printable ASCII characters, compared byte for byte.
    pub fn named(mut self, kid: &str) -> Result<Self, KeyError> {
        if !is_kid(kid) {
            return Err(KeyError::Kid);
        }
        self.named.push(kid.into());
        Ok(self)
    }

    /// The key: SubjectPublicKeyInfo, PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// SHA-256 thumbprint of the JWK (RFC 7638 section 3), base64url without padding: 43 characters.
    pub fn thumbprint(&self) -> String {
        self.thumbprint.clone()
    }

    /// The libtrust id: base32 of the first 30 bytes of SHA-256 over the SubjectPublicKeyInfo, in 12 groups of 4.
    pub fn libtrust_id(&self) -> String {
        self.libtrust_id.clone()
    }

    /// A JWK set (RFC 7517 section 5) with this key, its `kid` as `key` says; an `x5c` reference gives the thumbprint.
    pub fn jwks(&self, key: &KeyRef) -> Result<String, KeyError> {
        let (x, y) = coordinates(&self.key);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        let kid = self.kid(key)?.unwrap_or(&self.thumbprint);
        let jwk = Jwk { kty: "EC", crv: "P-256", x, y, kid, usage: "sig", alg: "ES256" };
        serde_json::to_string(&Jwks { keys: [jwk] }).map_err(|_| KeyError::Encode)
    }

    /// All that a `kid` may be.
    pub(super) fn kids(&self) -> impl Iterator<Item = &String> {
        [&self.thumbprint, &self.libtrust_id].into_iter().chain(&self.named)
    }

    fn kid<'a>(&'a self, key: &'a KeyRef) -> Result<Option<&'a str>, KeyError> {
        match key {
            KeyRef::X5c(_) => Ok(None),
            KeyRef::Thumbprint => Ok(Some(&self.thumbprint)),
            KeyRef::Libtrust => Ok(Some(&self.libtrust_id)),
            KeyRef::Kid(kid) if !is_kid(kid) => Err(KeyError::Kid),
            KeyRef::Kid(kid) => Ok(Some(kid)),
        }
    }

    fn x5c(&self, chain: &[Vec<u8>]) -> Result<Vec<String>, KeyError> {
        let leaf = chain.first().ok_or(KeyError::Chain)?;
        // A certificate holds its SubjectPublicKeyInfo as it is. Finding it there is enough against a mix-up, and the
        // verifier, who does not trust us, looks properly.
        if !leaf.windows(self.spki.len()).any(|window| window == self.spki) {
            return Err(KeyError::Chain);
        }
        Ok(chain.iter().map(|der| STANDARD.encode(der)).collect())
    }

    /// What every token begins with that names this key so: its header, base64url, and a dot.
    pub(super) fn header(&self, key: &KeyRef) -> Result<String, KeyError> {
        let x5c = match key {
            KeyRef::X5c(chain) => Some(self.x5c(chain)?),
            _ => None,
        };
        let header = Header { alg: "ES256", typ: "JWT", kid: self.kid(key)?, x5c };
        let header = serde_json::to_vec(&header).map_err(|_| KeyError::Encode)?;
        Ok(URL_SAFE_NO_PAD.encode(header) + ".")
    }

    /// The signature of the message that somebody else says this key has made: DER, or r and s.
    pub(super) fn accept(&self, message: &str, signature: &[u8]) -> Result<[u8; 64], Reason> {
        // A DER sequence of 64 bytes is unlikely, and can be read as both.
        let read = [Signature::from_slice(signature), Signature::from_der(signature)];
        let read: Vec<Signature> = read.into_iter().flatten().collect();
        if read.is_empty() {
            return Err(Reason::SignatureSyntax);
        }
        let good = read.iter().find(|signature| self.holds(message.as_bytes(), signature));
        good.map(|signature| signature.to_bytes().into()).ok_or(Reason::SignatureKey)
    }

    /// Whether this key made the signature of the message. ring, where it is there, says the same several times faster.
    #[cfg(all(feature = "ring", not(target_family = "wasm")))]
    pub(super) fn holds(&self, message: &[u8], signature: &Signature) -> bool {
        use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
        let point = self.key.to_encoded_point(false);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &signature.to_bytes()).is_ok()
    }

    #[cfg(not(all(feature = "ring", not(target_family = "wasm"))))]
    pub(super) fn holds(&self, message: &[u8], signature: &Signature) -> bool {
        self.key.verify(message, signature).is_ok()
    }
}

/// A P-256 key that signs tokens. `Debug` prints the thumbprint.
#[derive(Clone)]
pub struct SigningKey {
    pair: KeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// The key that 32 random bytes give: the same bytes, the same key.
    ///
    /// Chosen so that its thumbprint is the same with and without leading zeros in the coordinates.
    pub fn generate(entropy: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(KeyPair::generate(entropy).ok_or(KeyError::Entropy)?)
    }

    /// The key that [`private_pem`](Self::private_pem) wrote. A key whose thumbprint is ambiguous is refused.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::new(KeyPair::from_pkcs8_pem(pem).ok_or(KeyError::NotP256)?)
    }

    fn new(pair: KeyPair) -> Result<Self, KeyError> {
        Ok(Self { public: VerifyingKey::new(pair.verifying())?, pair })
    }

    /// The private key: PKCS#8, PEM.
    pub fn private_pem(&self) -> Secret {
        self.pair.pkcs8_pem()
    }

    /// The public key: SubjectPublicKeyInfo, PEM.
    pub fn public_pem(&self) -> String {
        self.public.public_pem()
    }

    /// The public half, to verify with.
    pub fn verifying(&self) -> VerifyingKey {
        self.public.clone()
    }

    /// As [`VerifyingKey::thumbprint`].
    pub fn thumbprint(&self) -> String {
        self.public.thumbprint()
    }

    /// As [`VerifyingKey::libtrust_id`].
    pub fn libtrust_id(&self) -> String {
        self.public.libtrust_id()
    }

    /// As [`VerifyingKey::jwks`].
    pub fn jwks(&self, key: &KeyRef) -> Result<String, KeyError> {
        self.public.jwks(key)
    }

    /// The token: `header.claims.signature`, each base64url.
    pub fn sign(&self, key: &KeyRef, claims: &Claims) -> Result<Secret, KeyError> {
        let claims = serde_json::to_vec(claims).map_err(|_| KeyError::Encode)?;
        self.sign_json(key, &claims)
    }

    /// The token of claims that are JSON already; nothing about them is checked.
    pub fn sign_json(&self, key: &KeyRef, claims: &[u8]) -> Result<Secret, KeyError> {
        let input = signing_input(&self.public.header(key)?, claims);
        let signature = self.signature(&input).ok_or(KeyError::Encode)?;
        Ok(token(&input, &signature))
    }

    pub(super) fn signature(&self, input: &str) -> Option<[u8; 64]> {
        self.pair.sign_fixed(input.as_bytes())
    }

    #[cfg(feature = "mint")]
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.thumbprint()).finish()
    }
}

/// The key of an issuer's tokens, by where its private half is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum IssuerKey {
    /// Here: [`Issuer::issue`](super::Issuer::issue) signs with it.
    Held(SigningKey),
    /// Elsewhere, and this is the public half: PKCS#11, a TPM, a key service, a library of the host's. The host signs
    /// between [`Issuer::prepare`](super::Issuer::prepare) and [`Issuer::finish`](super::Issuer::finish).
    ///
    /// ```
    /// # use regauth::server::{Call, Identity, Issuer, IssuerConfig, KeyRef, SigningKey, VerifyingKey};
    /// # let here = SigningKey::generate(&[7; 32])?;
    /// # let (public_pem, now) = (here.public_pem(), regauth::Time(1_800_000_000_000));
    /// # let key_service = |input: &[u8]| Err::<Vec<u8>, ()>(());
    /// let key = VerifyingKey::from_pem(&public_pem)?;
    /// let issuer = Issuer::new(IssuerConfig::new("https://reg.example", &["reg.example"], key, KeyRef::Thumbprint))?;
    /// # let ask = issuer.read(&Call::new("GET", "/token")).unwrap();
    /// # let (who, may) = (Identity::new("b-1")?, []);
    /// let reply = match issuer.prepare(&ask, &who, &may, now, &[9; 16]) {
    ///     Ok(unsigned) => match key_service(unsigned.signing_input()) {
    ///         Ok(signature) => issuer.finish(&unsigned, &signature),
    ///         Err(_) => issuer.refuse(&ask, regauth::server::Refuse::Unavailable(5)),
    ///     },
    ///     Err(refusal) => refusal,
    /// };
    /// # assert_eq!(reply.status, 503);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Elsewhere(VerifyingKey),
}

impl IssuerKey {
    /// The public half.
    pub const fn verifying(&self) -> &VerifyingKey {
        match self {
            Self::Held(key) => &key.public,
            Self::Elsewhere(key) => key,
        }
    }
}

impl From<SigningKey> for IssuerKey {
    fn from(key: SigningKey) -> Self {
        Self::Held(key)
    }
}

impl From<VerifyingKey> for IssuerKey {
    fn from(key: VerifyingKey) -> Self {
        Self::Elsewhere(key)
    }
}

/// How many characters a dot and a signature add.
pub(super) const SIGNATURE: usize = 87;

/// What is signed (RFC 7515 section 5.1): `header`, which ends with a dot, and the claims, base64url.
pub(super) fn signing_input(header: &str, claims: &[u8]) -> String {
    let mut input = String::with_capacity(header.len() + claims.len().div_ceil(3) * 4);
    input.push_str(header);
    URL_SAFE_NO_PAD.encode_string(claims, &mut input);
    input
}

/// What was signed, with its signature.
pub(super) fn token(input: &str, signature: &[u8; 64]) -> Secret {
    let mut token = String::with_capacity(input.len() + SIGNATURE);
    token.push_str(input);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Secret::from(token)
}

/// Whether this can be a `kid`: it is a look-up key at the verifier, in files and logs too, so short and plain.
fn is_kid(kid: &str) -> bool {
    (1..=128).contains(&kid.len()) && kid.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// x and y, 32 bytes each.
fn coordinates(key: &p256::ecdsa::VerifyingKey) -> (Vec<u8>, Vec<u8>) {
    let point = key.to_encoded_point(false);
    let [x, y] = [point.x(), point.y()].map(|coordinate| coordinate.map(|bytes| bytes.to_vec()).unwrap_or_default());
    (x, y)
}

/// The RFC 7638 thumbprint of a key with these coordinates.
fn thumbprint(x: &[u8], y: &[u8]) -> String {
    let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
    // Members in lexical order and no white space: section 3.3.
    let input = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(input))
}

/// The libtrust id of a SubjectPublicKeyInfo, DER.
fn libtrust_id(spki: &[u8]) -> String {
    let digest = Sha256::digest(spki);
    let mut out = String::with_capacity(59);
    // Five bytes are eight characters, so 30 bytes need no padding.
    for (index, chunk) in digest.get(..30).unwrap_or_default().chunks(5).enumerate() {
        let word = chunk.iter().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
        for group in 0..2 {
            if index + group > 0 {
                out.push(':');
            }
            for at in 0..4 {
                let value = (word >> (35 - 5 * (4 * group + at))) & 31;
                out.push(char::from(BASE32.get(value as usize).copied().unwrap_or(b'A')));
            }
        }
    }
    out
}

/// RFC 4648 section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5c: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Jwks<'a> {
    keys: [Jwk<'a>; 1],
}

#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    kid: &'a str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
