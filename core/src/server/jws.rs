//! Tokens as registries read them: JWS (RFC 7515), compact serialization, ES256 (RFC 7518 section 3.4) and nothing else.
//!
//! No key reference is understood by every registry, so it is an option ([`KeyRef`]). No clock is read and no
//! randomness is taken: signatures follow RFC 6979, so the same key, reference and claims give the same token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::peer::Peer;
use super::verify::VerifyingKey;
use crate::key::{KeyPair, pem};
use crate::secret::Secret;
use crate::time::Time;

/// Why a key or its reference cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyError {
    /// The entropy gave no key: take 32 other bytes.
    Entropy,
    /// Not an unencrypted PKCS#8 PEM block with a P-256 key.
    NotP256,
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

/// A P-256 key that signs tokens. `Debug` prints the thumbprint.
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// The key that 32 random bytes give: the same bytes, the same key.
    ///
    /// Chosen so that its thumbprint is the same with and without leading zeros in the coordinates.
    pub fn generate(entropy: &[u8; 32]) -> Result<Self, KeyError> {
        KeyPair::generate(entropy).map(Self).ok_or(KeyError::Entropy)
    }

    /// The key that [`private_pem`](Self::private_pem) wrote. A key whose thumbprint is ambiguous is refused.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = KeyPair::from_pkcs8_pem(pem).ok_or(KeyError::NotP256)?;
        if key.is_unambiguous() { Ok(Self(key)) } else { Err(KeyError::Ambiguous) }
    }

    /// The private key: PKCS#8, PEM.
    pub fn private_pem(&self) -> Secret {
        self.0.pkcs8_pem()
    }

    /// The public key: SubjectPublicKeyInfo, PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.0.spki_der())
    }

    /// The public half, to verify with.
    pub fn verifying(&self) -> VerifyingKey {
        VerifyingKey::own(&self.0)
    }

    /// SHA-256 thumbprint of the JWK (RFC 7638 section 3), base64url without padding: 43 characters.
    pub fn thumbprint(&self) -> String {
        thumbprint(self.0.coordinates())
    }

    /// The libtrust id: base32 of the first 30 bytes of SHA-256 over the SubjectPublicKeyInfo, in 12 groups of 4.
    pub fn libtrust_id(&self) -> String {
        libtrust_id(&self.0.spki_der())
    }

    /// A JWK set (RFC 7517 section 5) with this key, its `kid` as `key` says; an `x5c` reference gives the thumbprint.
    pub fn jwks(&self, key: &KeyRef) -> Result<String, KeyError> {
        let (x, y) = encoded(self.0.coordinates());
        let kid = self.kid(key)?.unwrap_or_else(|| self.thumbprint());
        let jwk = Jwk { kty: "EC", crv: "P-256", x, y, kid, usage: "sig", alg: "ES256" };
        serde_json::to_string(&Jwks { keys: [jwk] }).map_err(|_| KeyError::Encode)
    }

    /// The token: `header.claims.signature`, each base64url.
    pub fn sign(&self, key: &KeyRef, claims: &Claims) -> Result<Secret, KeyError> {
        let claims = serde_json::to_vec(claims).map_err(|_| KeyError::Encode)?;
        self.sign_json(key, &claims)
    }

    /// The token of claims that are JSON already; nothing about them is checked.
    pub fn sign_json(&self, key: &KeyRef, claims: &[u8]) -> Result<Secret, KeyError> {
        let x5c = match key {
            KeyRef::X5c(chain) => Some(self.x5c(chain)?),
            _ => None,
        };
        let header = Header { alg: "ES256", typ: "JWT", kid: self.kid(key)?, x5c };
        let header = serde_json::to_vec(&header).map_err(|_| KeyError::Encode)?;
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.0.sign_fixed(token.as_bytes()).ok_or(KeyError::Encode)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(Secret::from(token))
    }

    #[cfg(feature = "mint")]
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }

    fn kid(&self, key: &KeyRef) -> Result<Option<String>, KeyError> {
        match key {
            KeyRef::X5c(_) => Ok(None),
            KeyRef::Thumbprint => Ok(Some(self.thumbprint())),
            KeyRef::Libtrust => Ok(Some(self.libtrust_id())),
            KeyRef::Kid(kid) if !is_kid(kid) => Err(KeyError::Kid),
            KeyRef::Kid(kid) => Ok(Some(kid.clone())),
        }
    }

    fn x5c(&self, chain: &[Vec<u8>]) -> Result<Vec<String>, KeyError> {
        let spki = self.0.spki_der();
        let leaf = chain.first().ok_or(KeyError::Chain)?;
        // A certificate holds its SubjectPublicKeyInfo as it is. Finding it there is enough against a mix-up, and the
        // verifier, who does not trust us, looks properly.
        if !leaf.windows(spki.len()).any(|window| window == spki) {
            return Err(KeyError::Chain);
        }
        Ok(chain.iter().map(|der| STANDARD.encode(der)).collect())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.thumbprint()).finish()
    }
}

/// Whether this can be a `kid`: it is a look-up key at the verifier, in files and logs too, so short and plain.
pub(super) fn is_kid(kid: &str) -> bool {
    (1..=128).contains(&kid.len()) && kid.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// The RFC 7638 thumbprint of a key with these coordinates.
pub(super) fn thumbprint(coordinates: (&[u8], &[u8])) -> String {
    let (x, y) = encoded(coordinates);
    // Members in lexical order and no white space: section 3.3.
    let input = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(input))
}

fn encoded((x, y): (&[u8], &[u8])) -> (String, String) {
    (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
}

/// The libtrust id of a SubjectPublicKeyInfo, DER.
pub(super) fn libtrust_id(spki: &[u8]) -> String {
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
struct Header {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5c: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Jwks {
    keys: [Jwk; 1],
}

#[derive(Serialize)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
}

/// What a registry token says. Times are seconds since 1970 (RFC 7519 section 2, NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Claims {
    /// Who issued it: the registry's configured issuer, exactly.
    pub iss: String,
    /// Whom it was issued to. From the identity that was authenticated, never from the request.
    pub sub: String,
    /// The registry's configured service. One string: distribution 2.8 refuses a list.
    pub aud: String,
    /// Not from this second on.
    pub exp: u64,
    /// Not before this second.
    pub nbf: u64,
    /// When it was issued.
    pub iat: u64,
    /// The token's own name: 22 characters.
    pub jti: String,
    /// What it allows; nothing if it is empty.
    pub access: Vec<Access>,
    /// The client certificate that it is bound to (RFC 8705 section 3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl Claims {
    /// Claims that hold from 10 s before `now`, for clocks that are a little behind, to `ttl` seconds after it. `jti` is
    /// 16 random bytes.
    pub fn new(iss: &str, sub: &str, aud: &str, now: Time, ttl: u64, jti: &[u8; 16]) -> Self {
        let iat = now.0 / 1000;
        Self {
            iss: iss.into(),
            sub: sub.into(),
            aud: aud.into(),
            exp: iat.saturating_add(ttl),
            nbf: iat.saturating_sub(10),
            iat,
            jti: URL_SAFE_NO_PAD.encode(jti),
            access: Vec::new(),
            cnf: None,
        }
    }
}

/// One entry of `access`: a resource and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository's name, or `catalog`. Literal: registries know no wildcard here.
    pub name: String,
    /// `pull`, `push`, `delete` or `*`. Writing needs both `pull` and `push`.
    pub actions: Vec<String>,
}

/// `cnf`: the certificate that the client has to show with the token, as the SHA-256 of its DER (`x5t#S256`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    #[serde(rename = "x5t#S256", serialize_with = "text")]
    sha256: [u8; 32],
}

fn text<S: serde::Serializer>(sha256: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE_NO_PAD.encode(sha256))
}

impl Confirmation {
    /// Of this certificate.
    pub fn of(peer: &Peer) -> Self {
        Self { sha256: *peer.sha256() }
    }

    /// Whether it is this certificate's; takes the same time whatever differs.
    pub fn is(&self, peer: &Peer) -> bool {
        self.sha256.iter().zip(peer.sha256()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(|sha256| Self { sha256 })
    }
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
