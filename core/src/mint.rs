//! Short-lived certificates: a CA held in memory, and the server and client certificates it issues.
//!
//! Made for PKIs that live as long as one build or one test. The CA's key is never written: drop the [`Ca`] when the
//! last certificate is issued. Time and entropy are arguments, so the same arguments give the same bytes. Keys are
//! P-256, certificates X.509 version 3 (RFC 5280) with one extended key usage each.

mod buildkitd;

use std::fmt;
use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::key::{KeyPair, derive, pem};
use crate::origin::is_number;
use crate::secret::Secret;
use crate::time::Time;

pub use buildkitd::{Bundle, buildkitd};

/// The longest life of a CA, in seconds: a day. There is no revocation here, a short life is what stands for it.
pub const MAX_TTL: u64 = 24 * 60 * 60;

/// How long before `now` a certificate begins to hold, in seconds: clocks that are a little behind accept it.
const BACKDATE: u64 = 5 * 60;

/// Why nothing was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MintError {
    /// The entropy gives no key: take 32 other bytes.
    Entropy,
    /// A life of no seconds, or a CA's of more than [`MAX_TTL`].
    Ttl,
    /// The CA has ended before, or begins after, the time that was asked for.
    OutsideCa,
    /// A common name of no or more than 64 characters (RFC 5280 appendix A.1), or with anything but printable ASCII.
    Name(String),
    /// Neither an IP address nor a host name; or no names at all.
    San(String),
    /// No absolute URI in ASCII.
    Uri(String),
    /// No public key on P-256, as SubjectPublicKeyInfo in DER.
    PublicKey,
    /// The encoder refused; the text is its own.
    Encode(String),
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entropy => f.write_str("the entropy gives no key; take 32 other random bytes"),
            Self::Ttl => {
                write!(f, "a certificate lives 1 s or more, and a CA {MAX_TTL} s at most; choose another life")
            }
            Self::OutsideCa => f.write_str("the CA is not valid at that time; make a new one"),
            Self::Name(name) => write!(f, "{name:?} is no common name; use 1 to 64 printable ASCII characters"),
            Self::San(name) => write!(f, "{name:?} is neither IP address nor host name; name what clients connect to"),
            Self::Uri(uri) => write!(f, "{uri:?} is no absolute URI; use one such as spiffe://example.org/builder/1"),
            Self::PublicKey => f.write_str("that is no P-256 public key; give its SubjectPublicKeyInfo as DER"),
            Self::Encode(text) => write!(f, "the certificate cannot be encoded: {text}"),
        }
    }
}

impl std::error::Error for MintError {}

/// A certificate authority in memory. `Debug` prints its name.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    name: String,
    der: Vec<u8>,
    not_before: u64,
    not_after: u64,
}

impl Ca {
    /// A CA that begins to hold 5 min before `now` and ends `ttl` seconds after it.
    ///
    /// `entropy` is 32 random bytes for this call alone. Eight characters made from it are appended to `name`: two CAs
    /// never share a subject, which verifiers would mix up.
    pub fn new(now: Time, ttl: u64, name: &str, entropy: &[u8; 32]) -> Result<Self, MintError> {
        if ttl > MAX_TTL {
            return Err(MintError::Ttl);
        }
        // With what is appended it would pass as one.
        if name.is_empty() {
            return Err(MintError::Name(name.into()));
        }
        let (not_before, not_after) = life(now, ttl)?;
        let id: String = derive(b"name", entropy).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{name} {id}");
        let key = KeyPair::generate(entropy).ok_or(MintError::Entropy)?;
        let mut params = params(&name, &key, not_before, not_after, entropy)?;
        // It issues leaves only.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let der = params.self_signed(&key).map_err(encode)?.der().to_vec();
        Ok(Self { issuer: Issuer::new(params, key), name, der, not_before, not_after })
    }

    /// Its subject's common name: the name given, a space and eight hexadecimal digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its certificate: PEM.
    pub fn cert_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// Its certificate: DER.
    pub fn cert_der(&self) -> &[u8] {
        &self.der
    }

    /// When it ends.
    pub fn not_after(&self) -> Time {
        Time(self.not_after.saturating_mul(1000))
    }

    /// A server's certificate for `names`: host names (a first label `*` is allowed) and IP addresses, which become IP
    /// SANs. Lives `ttl` seconds, at most as long as the CA. `entropy` is 32 random bytes for this call alone.
    pub fn server(&self, names: &[&str], now: Time, ttl: u64, entropy: &[u8; 32]) -> Result<Issued, MintError> {
        if names.is_empty() {
            return Err(MintError::San(String::new()));
        }
        let sans = names.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
        self.issue("server", sans, ExtendedKeyUsagePurpose::ServerAuth, now, ttl, entropy)
    }

    /// A client's certificate with the common name `label` and, if there is one, the URI SAN `uri`. Life and entropy as
    /// for [`server`](Self::server).
    pub fn client(
        &self,
        label: &str,
        uri: Option<&str>,
        now: Time,
        ttl: u64,
        entropy: &[u8; 32],
    ) -> Result<Issued, MintError> {
        let sans = uri.map(uri_san).transpose()?.into_iter().collect();
        self.issue(label, sans, ExtendedKeyUsagePurpose::ClientAuth, now, ttl, entropy)
    }

    /// A client's certificate, DER, for a key that is somewhere else: a token, a TPM, a key service. `key` is its public
    /// half on P-256, as SubjectPublicKeyInfo in DER; all else as for [`client`](Self::client). [`certificate_pem`] makes
    /// PEM of it.
    pub fn client_for(
        &self,
        key: &[u8],
        label: &str,
        uri: Option<&str>,
        now: Time,
        ttl: u64,
        entropy: &[u8; 32],
    ) -> Result<Vec<u8>, MintError> {
        let sans = uri.map(uri_san).transpose()?.into_iter().collect();
        let key = Public::read(key).ok_or(MintError::PublicKey)?;
        Ok(self.certify(&key, label, sans, ExtendedKeyUsagePurpose::ClientAuth, now, ttl, entropy)?.0)
    }

    /// The certificate of a health check, which is a client: a server's own certificate is refused as a client's by
    /// verifiers that look at its extended key usage. Life and entropy as for [`server`](Self::server).
    pub fn health_check(&self, now: Time, ttl: u64, entropy: &[u8; 32]) -> Result<Issued, MintError> {
        self.client("health-check", None, now, ttl, entropy)
    }

    fn issue(
        &self,
        name: &str,
        sans: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        now: Time,
        ttl: u64,
        entropy: &[u8; 32],
    ) -> Result<Issued, MintError> {
        let key = KeyPair::generate(entropy).ok_or(MintError::Entropy)?;
        let (cert_der, not_after) = self.certify(&key, name, sans, usage, now, ttl, entropy)?;
        Ok(Issued { cert_pem: pem("CERTIFICATE", &cert_der), cert_der, key_pem: key.pkcs8_pem(), not_after })
    }

    #[allow(clippy::too_many_arguments, reason = "what two public methods are given, one by one")]
    fn certify(
        &self,
        key: &impl PublicKeyData,
        name: &str,
        sans: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        now: Time,
        ttl: u64,
        entropy: &[u8; 32],
    ) -> Result<(Vec<u8>, Time), MintError> {
        let (not_before, not_after) = life(now, ttl)?;
        if now.0 / 1000 < self.not_before {
            return Err(MintError::OutsideCa);
        }
        // A leaf that outlives its CA says something that is not so.
        let (not_before, not_after) = (not_before.max(self.not_before), not_after.min(self.not_after));
        if not_before >= not_after || now.0 / 1000 >= not_after {
            return Err(MintError::OutsideCa);
        }
        let mut params = params(name, key, not_before, not_after, entropy)?;
        params.subject_alt_names = sans;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(key, &self.issuer).map_err(encode)?;
        Ok((certificate.der().to_vec(), Time(not_after.saturating_mul(1000))))
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A certificate and its key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The certificate alone, without its CA's: PEM.
    pub cert_pem: String,
    /// The same: DER.
    pub cert_der: Vec<u8>,
    /// Its key: PKCS#8, PEM. A file of it wants mode 0600.
    pub key_pem: Secret,
    /// When it ends.
    pub not_after: Time,
}

/// The certificate, DER, of the key that signs tokens: what goes into `x5c` and, as PEM, into a registry's
/// `rootcertbundle`.
///
/// It is its own issuer, as the bundle then trusts this key and no other: under a CA that issues identities too, every
/// one of those could sign tokens. Times and entropy as for [`Ca::new`], except that `ttl` has no upper limit.
#[cfg(feature = "server")]
pub fn token_certificate(
    key: &crate::server::SigningKey,
    name: &str,
    now: Time,
    ttl: u64,
    entropy: &[u8; 32],
) -> Result<Vec<u8>, MintError> {
    let (not_before, not_after) = life(now, ttl)?;
    let mut params = params(name, key.pair(), not_before, not_after, entropy)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params.self_signed(key.pair()).map_err(encode)?.der().to_vec())
}

/// A certificate as PEM, from DER.
pub fn certificate_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}

/// Begin and end in seconds.
fn life(now: Time, ttl: u64) -> Result<(u64, u64), MintError> {
    let now = now.0 / 1000;
    match now.checked_add(ttl) {
        Some(end) if ttl > 0 => Ok((now.saturating_sub(BACKDATE), end)),
        _ => Err(MintError::Ttl),
    }
}

/// What all certificates share.
fn params(
    name: &str,
    key: &impl PublicKeyData,
    not_before: u64,
    not_after: u64,
    entropy: &[u8; 32],
) -> Result<CertificateParams, MintError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if name.is_empty() || name.len() > 64 || !plain {
        return Err(MintError::Name(name.into()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = moment(not_before)?;
    params.not_after = moment(not_after)?;
    params.serial_number = Some(serial(entropy));
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    // RFC 7093 section 2, method 1, with the whole SubjectPublicKeyInfo.
    let id = Sha256::digest(key.subject_public_key_info()).iter().take(20).copied().collect();
    params.key_identifier_method = KeyIdMethod::PreSpecified(id);
    Ok(params)
}

fn moment(seconds: u64) -> Result<OffsetDateTime, MintError> {
    i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok()).ok_or(MintError::Ttl)
}

/// 16 bytes, positive (RFC 5280 section 4.1.2.2), and never shorter: the first byte is 0x40 to 0x7f.
fn serial(entropy: &[u8; 32]) -> SerialNumber {
    let mut bytes: Vec<u8> = derive(b"serial", entropy).iter().take(16).copied().collect();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    SerialNumber::from(bytes)
}

fn san(name: &str) -> Result<SanType, MintError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        // What clients connect to is IPv4, however it is written.
        return Ok(SanType::IpAddress(address.to_canonical()));
    }
    let wrong = || MintError::San(name.into());
    let host = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // A name whose last label is a number is an IPv4 address to a URL parser, and no verifier would match it.
    let number = host.rsplit('.').next().is_some_and(|last| is_number(&last.to_ascii_lowercase()));
    if name.len() > 253 || number || !host.split('.').all(label) {
        return Err(wrong());
    }
    Ok(SanType::DnsName(name.to_ascii_lowercase().try_into().map_err(|_| wrong())?))
}

fn uri_san(uri: &str) -> Result<SanType, MintError> {
    let wrong = || MintError::Uri(uri.into());
    let (scheme, rest) = uri.split_once(':').ok_or_else(wrong)?;
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !named || rest.is_empty() || uri.len() > 2048 || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong());
    }
    Ok(SanType::URI(uri.try_into().map_err(|_| wrong())?))
}

fn encode(error: rcgen::Error) -> MintError {
    MintError::Encode(error.to_string())
}

impl PublicKeyData for KeyPair {
    fn der_bytes(&self) -> &[u8] {
        self.point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.sign_der(message).ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// The public half of a key that is somewhere else: its uncompressed point.
struct Public(Vec<u8>);

impl Public {
    fn read(spki: &[u8]) -> Option<Self> {
        use p256::elliptic_curve::sec1::ToEncodedPoint as _;
        use p256::pkcs8::DecodePublicKey as _;
        let key = p256::PublicKey::from_public_key_der(spki).ok()?;
        Some(Self(key.to_encoded_point(false).as_bytes().to_vec()))
    }
}

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
#[path = "mint_tests.rs"]
mod tests;
