//! The forms in which certificates and keys come, and what is wrong with them.

use std::sync::Arc;

use rcgen::KeyPair;
use regauth::time::Time;
use regauth::tls::{Identity, IdentityFlaw, SignError, Signer, TlsError};
use rustls::version::{TLS12, TLS13};

use crate::world::{Ask, Authority, Leaf, NOW, Pace, Setup, WORLD, exchange, profile, self_signed};

const RSA_PKCS1: &str = include_str!("keys/rsa-pkcs1.pem");
const RSA_PKCS8: &str = include_str!("keys/rsa-pkcs8.pem");
const P256_SEC1: &str = include_str!("keys/p256-sec1.pem");
const P256_PKCS8: &str = include_str!("keys/p256-pkcs8.pem");
const ENCRYPTED_PKCS8: &str = include_str!("keys/encrypted-pkcs8.pem");
const ENCRYPTED_RFC1421: &str = include_str!("keys/encrypted-rfc1421.pem");
const P521: &str = include_str!("keys/p521.pem");
const P521_CERT: &str = include_str!("keys/p521-cert.pem");

fn flaw(chain: &str, key: &str) -> IdentityFlaw {
    let error = Identity::from_pem("client.pem", chain.as_bytes(), key.as_bytes()).unwrap_err();
    assert!(error.what().starts_with("client.pem: "), "{error}");
    assert!(!error.remedy().is_empty());
    error.flaw
}

#[test]
fn keys_of_every_form_and_kind_sign() {
    let rsa = WORLD.ca.client_with("rsa", KeyPair::from_pem(RSA_PKCS8).unwrap());
    let p256 = WORLD.ca.client_with("p256", KeyPair::from_pem(P256_PKCS8).unwrap());
    let generated = |algorithm| WORLD.ca.client_with("generated", KeyPair::generate_for(algorithm).unwrap());
    let p384 = generated(&rcgen::PKCS_ECDSA_P384_SHA384);
    let ed25519 = generated(&rcgen::PKCS_ED25519);
    for (leaf, key) in [
        (&rsa, RSA_PKCS1),
        (&rsa, RSA_PKCS8),
        (&p256, P256_SEC1),
        (&p256, P256_PKCS8),
        (&p384, &p384.key.serialize_pem()),
        (&ed25519, &ed25519.key.serialize_pem()),
    ] {
        let identity = Identity::from_pem("client.pem", leaf.pem.as_bytes(), key.as_bytes()).unwrap();
        for version in [&TLS12, &TLS13] {
            let outcome = exchange(&profile(&[&identity]), &Setup::new(version, Ask::Required).config(), Pace::Whole);
            assert_eq!((outcome.end, outcome.certificates), (Ok(()), 1), "{version:?} {key}");
        }
    }
}

#[test]
fn a_useless_identity_says_why() {
    let leaf = WORLD.ca.client("client");
    let key = leaf.key.serialize_pem();
    let other = WORLD.ca.client("other");
    let both = format!("{}{}", other.pem, leaf.pem);
    let broken = leaf.pem.replace("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nAII");
    assert_eq!(flaw("", &key), IdentityFlaw::NoCertificate);
    assert_eq!(flaw(&key, &key), IdentityFlaw::NoCertificate);
    assert_eq!(flaw(&broken, &key), IdentityFlaw::Certificate(1));
    assert_eq!(flaw(&format!("{}{broken}", leaf.pem), &key), IdentityFlaw::Certificate(2));
    assert_eq!(flaw(&leaf.pem, ""), IdentityFlaw::NoKey);
    assert_eq!(flaw(&leaf.pem, &leaf.pem), IdentityFlaw::NoKey);
    assert_eq!(flaw(&leaf.pem, &key.replace("PRIVATE KEY-----\nM", "PRIVATE KEY-----\n*")), IdentityFlaw::Key);
    assert_eq!(flaw(&leaf.pem, ENCRYPTED_PKCS8), IdentityFlaw::EncryptedKey);
    assert_eq!(flaw(&leaf.pem, ENCRYPTED_RFC1421), IdentityFlaw::EncryptedKey);
    assert_eq!(flaw(P521_CERT, P521), IdentityFlaw::UnsupportedKey("ECDSA P-521".into()));
    let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    assert_eq!(flaw(&leaf.pem, openssh), IdentityFlaw::UnsupportedKey("OPENSSH".into()));
    assert_eq!(flaw(&leaf.pem, P256_SEC1), IdentityFlaw::KeyMismatch { belongs_to: None });
    assert_eq!(flaw(&both, &key), IdentityFlaw::KeyMismatch { belongs_to: Some(2) });
    let encrypted = Identity::from_pem("k", leaf.pem.as_bytes(), ENCRYPTED_PKCS8.as_bytes()).unwrap_err();
    assert!(encrypted.remedy().contains("openssl pkey -in"));
}

#[test]
fn an_identity_tells_what_it_is() {
    let leaf = WORLD.ca.client("me");
    let combined = format!("{}{}", leaf.key.serialize_pem(), leaf.pem);
    let identity = Identity::from_pem("both.pem", combined.as_bytes(), combined.as_bytes()).unwrap();
    assert_eq!(identity.subject_text(), "CN=me");
    assert_eq!(identity.issuer_text(), "CN=Right CA");
    assert_eq!(identity.not_before(), Some(Time(1_735_689_600_000)));
    assert_eq!(identity.not_after(), Some(Time(1_893_456_000_000)));
    assert!(identity.allows_client_auth());
    assert_eq!(identity.issuers().len(), 1);
    assert_eq!(identity.chain_pem(), Some(combined.as_bytes()));
    assert_eq!(identity.key_pem().unwrap().expose(), combined.as_bytes());
    assert_eq!(format!("{identity:?}"), "Identity { label: \"both.pem\", .. }");
    assert_ne!(identity.fingerprint(), [0; 32]);
    let server = WORLD.ca.server("x.example", (2025, 2030)).identity("server.pem");
    assert!(!server.allows_client_auth());
    let named = Identity::named("elsewhere", [7; 32]);
    assert!(named.issuers().is_empty() && named.chain_pem().is_none() && named.key_pem().is_none());
    let error = regauth::tls::TlsClient::connect(&profile(&[&named]), &crate::world::origin(), NOW).err().unwrap();
    assert_eq!(error, TlsError::NamedOnly("elsewhere".into()));
}

#[test]
fn a_self_signed_certificate_is_offered() {
    let leaf = self_signed("me", None);
    let identity = leaf.identity("client.cert");
    let mut setup = Setup::new(&TLS13, Ask::Optional);
    setup.hints = Some(Vec::new());
    let outcome = exchange(&profile(&[&identity]), &setup.config(), Pace::Whole);
    assert_eq!(outcome.evidence.pair, Some(0));
    // It got there; this server does not know it.
    assert!(matches!(outcome.server_error, Some(rustls::Error::InvalidCertificate(_))), "{:?}", outcome.server_error);
}

struct Token {
    key: ring::signature::EcdsaKeyPair,
    calls: std::sync::Mutex<u32>,
    works: bool,
}

impl Token {
    fn of(leaf: &Leaf, works: bool) -> Arc<Self> {
        let key = ring::signature::EcdsaKeyPair::from_pkcs8(
            &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &leaf.key.serialize_der(),
            &ring::rand::SystemRandom::new(),
        );
        Arc::new(Self { key: key.unwrap(), calls: Default::default(), works })
    }
}

impl Signer for Token {
    fn schemes(&self) -> &[u16] {
        &[0x0403]
    }

    fn sign(&self, scheme: u16, message: &[u8]) -> Result<Vec<u8>, SignError> {
        assert_eq!(scheme, 0x0403);
        *self.calls.lock().unwrap() += 1;
        // A key service is itself behind TLS: a connection inside the connection, which must not be mixed up with it.
        let inner = exchange(&profile(&[]), &Setup::new(&TLS13, Ask::Optional).config(), Pace::Whole);
        assert_eq!(inner.end, Ok(()));
        let signed = self.key.sign(&ring::rand::SystemRandom::new(), message);
        if self.works { Ok(signed.unwrap().as_ref().to_vec()) } else { Err(SignError("the token is locked".into())) }
    }
}

#[test]
fn a_signer_is_called_once_for_each_full_handshake() {
    for version in [&TLS12, &TLS13] {
        let authority = Authority::new("Token CA");
        let leaf = authority.client("token");
        let token = Token::of(&leaf, true);
        let identity = Identity::with_signer("token", leaf.pem.as_bytes(), token.clone()).unwrap();
        assert!(identity.key_pem().is_none());
        let mut setup = Setup::new(version, Ask::Required);
        setup.roots = vec![authority.der.clone()];
        let (profile, server) = (profile(&[&identity]), setup.config());
        for resumed in [false, true, true] {
            let outcome = exchange(&profile, &server, Pace::Whole);
            assert_eq!((outcome.end, outcome.evidence.resumed, outcome.evidence.pair), (Ok(()), resumed, Some(0)));
            assert_eq!(*token.calls.lock().unwrap(), 1);
        }

        let broken = Token::of(&leaf, false);
        let identity = Identity::with_signer("token", leaf.pem.as_bytes(), broken).unwrap();
        let outcome = exchange(&crate::world::profile(&[&identity]), &server, Pace::Whole);
        let why = SignError("the token is locked".into());
        assert_eq!(outcome.end, Err(TlsError::Signer { label: "token".into(), why }));
    }
}
