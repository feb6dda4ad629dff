//! The P-256 key pair that tokens and certificates are signed with, and the PEM armour round both.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
#[cfg(feature = "server")]
use p256::pkcs8::DecodePrivateKey as _;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A private key and its public point. ECDSA by RFC 6979: signing takes no randomness.
#[derive(Clone)]
pub(crate) struct KeyPair {
    key: SigningKey,
    point: [u8; 65],
}

impl KeyPair {
    /// The key that `entropy` gives: the same bytes, the same key.
    ///
    /// Candidates are tried until neither coordinate starts with a zero byte (one of 128 does). RFC 7518 section
    /// 6.2.1.2 keeps leading zeros, some verifiers drop them, and their RFC 7638 thumbprints then differ. `None` when
    /// 256 candidates in a row fail, which no entropy is expected to do.
    pub(crate) fn generate(entropy: &[u8; 32]) -> Option<Self> {
        (0..=u8::MAX).find_map(|counter| {
            let mut label = *b"p256-key-\0";
            if let Some(last) = label.last_mut() {
                *last = counter;
            }
            let scalar = derive(&label, entropy);
            let key = SigningKey::from_slice(scalar.as_slice()).ok()?;
            Self::new(key).filter(Self::is_unambiguous)
        })
    }

    /// The key of a PKCS#8 PEM block. `None` if it is not P-256, or not unencrypted PKCS#8.
    #[cfg(feature = "server")]
    pub(crate) fn from_pkcs8_pem(pem: &str) -> Option<Self> {
        Self::new(SigningKey::from_pkcs8_pem(pem).ok()?)
    }

    fn new(key: SigningKey) -> Option<Self> {
        let point = key.verifying_key().to_encoded_point(false).as_bytes().try_into().ok()?;
        Some(Self { key, point })
    }

    /// Whether thumbprints with and without leading zeros are the same.
    fn is_unambiguous(&self) -> bool {
        let (x, y) = self.coordinates();
        x.first() != Some(&0) && y.first() != Some(&0)
    }

    /// The uncompressed point (SEC 1 section 2.3.3): 4, then x and y of 32 bytes each.
    #[cfg(feature = "mint")]
    pub(crate) fn point(&self) -> &[u8] {
        &self.point
    }

    /// x and y, 32 bytes each.
    fn coordinates(&self) -> (&[u8], &[u8]) {
        self.point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default()
    }

    /// The public half.
    #[cfg(feature = "server")]
    pub(crate) fn verifying(&self) -> p256::ecdsa::VerifyingKey {
        *self.key.verifying_key()
    }

    /// PKCS#8 version 1 (RFC 5208) as PEM, the only form that every TLS stack reads. Empty if it could not be encoded.
    pub(crate) fn pkcs8_pem(&self) -> Secret {
        self.key.to_pkcs8_pem(LineEnding::LF).map(|pem| Secret::from(pem.as_str())).unwrap_or_default()
    }

    /// r and s, 32 bytes each (RFC 7518 section 3.4).
    #[cfg(feature = "server")]
    pub(crate) fn sign_fixed(&self, message: &[u8]) -> Option<[u8; 64]> {
        let signature: Signature = self.key.try_sign(message).ok()?;
        Some(signature.to_bytes().into())
    }

    /// The DER sequence of r and s (RFC 3279 section 2.2.3).
    #[cfg(feature = "mint")]
    pub(crate) fn sign_der(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature: Signature = self.key.try_sign(message).ok()?;
        Some(signature.to_der().as_bytes().to_vec())
    }
}

/// 32 bytes of `entropy` for one purpose: what is made for one label tells nothing about another's.
pub(crate) fn derive(label: &[u8], entropy: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::new().chain_update(b"regauth/").chain_update(label).chain_update(entropy).finalize().into())
}

/// A PEM block with lines of 64 characters (RFC 7468 section 2).
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    // 48 bytes are 64 characters.
    for line in der.chunks(48) {
        STANDARD.encode_string(line, &mut out);
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinate_with_a_leading_zero_is_passed_over() {
        // Found by counting: the first candidates of these have a zero at the start of x, and of y.
        for (n, in_x) in [(393u16, true), (381, false)] {
            let mut entropy = [0; 32];
            entropy[..2].copy_from_slice(&n.to_be_bytes());
            let scalar = derive(b"p256-key-\0", &entropy);
            let first = KeyPair::new(SigningKey::from_slice(scalar.as_slice()).unwrap()).unwrap();
            let (x, y) = first.coordinates();
            assert_eq!(if in_x { x[0] } else { y[0] }, 0);
            assert!(!first.is_unambiguous());

            let taken = KeyPair::generate(&entropy).unwrap();
            assert!(taken.is_unambiguous());
            assert_ne!(taken.point, first.point);

            #[cfg(feature = "server")]
            {
                use crate::server::{KeyError, SigningKey};
                let pem = first.pkcs8_pem();
                assert_eq!(SigningKey::from_pem(pem.expose_str().unwrap()).unwrap_err(), KeyError::Ambiguous);
            }
        }
    }

    #[test]
    fn pem_lines_have_64_characters() {
        let text = pem("X", &[0; 49]);
        assert_eq!(text, format!("-----BEGIN X-----\n{}\nAA==\n-----END X-----\n", "A".repeat(64)));
        assert_eq!(pem("X", b""), "-----BEGIN X-----\n-----END X-----\n");
    }
}
