//! A key that never leaves its token: SoftHSM by PKCS#11, and nginx as the judge.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a token is files, and the log is worth seeing")]

#[path = "diagnosis/client.rs"]
#[allow(dead_code, reason = "what another test needs")]
mod client;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use regauth::Identity;
use regauth::scope::Scope;
use regauth::server::{self, Call, Issuer, IssuerConfig, KeyRef, Reason, SigningKey, VerifyingKey};
use regauth::tls::{SignError, Signer};
use regauth_servers::{
    Ask, Front, ISSUER, Kind, Pki, Program, Record, Registry, SERVICE, Server, TempDir, Tls, entropy, have, now,
};
use sha2::{Digest as _, Sha256};

const PIN: &str = "123456";

/// Where Debian keeps the library, and Fedora and Alpine.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
];

/// ECDSA with SHA-256 on P-256, RFC 8446 section 4.2.3.
const SCHEMES: [u16; 1] = [0x0403];

/// A key in a token.
struct Token {
    session: Mutex<Session>,
    key: ObjectHandle,
    calls: AtomicUsize,
}

impl Signer for Token {
    fn schemes(&self) -> &[u16] {
        &SCHEMES
    }

    fn sign(&self, _: u16, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let session = self.session.lock().map_err(|_| SignError("the session is lost".into()))?;
        let signature = session.sign(&Mechanism::Ecdsa, self.key, &Sha256::digest(message));
        signature.map(|signature| der(&signature)).map_err(|error| SignError(error.to_string()))
    }
}

/// The two numbers that PKCS#11 gives, as TLS wants them: RFC 3279 section 2.2.3.
fn der(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let integer = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = number.first().is_none_or(|first| first & 0x80 != 0);
        let body = [if sign { &[0][..] } else { &[] }, &number].concat();
        [&[2, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

/// Makes a key in the token; gives it, and its public half as SubjectPublicKeyInfo.
fn generate(session: &Session) -> (ObjectHandle, Vec<u8>) {
    // The object identifier of P-256.
    let curve = vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let public = [Attribute::EcParams(curve), Attribute::Verify(true), Attribute::Token(true)];
    let private = [
        Attribute::Sign(true),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
    ];
    let (public, private) = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap();
    let found = session.get_attributes(public, &[AttributeType::EcPoint]).unwrap();
    let [Attribute::EcPoint(point)] = found.as_slice() else { panic!("{found:?}") };
    // The point stands in an OCTET STRING.
    let point = point.strip_prefix(&[4, 65]).unwrap();
    let mut spki = vec![0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    spki.extend([6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0]);
    spki.extend(point);
    (private, spki)
}

#[test]
fn a_key_in_a_token_signs_once_in_each_full_handshake() {
    if have(&[Program::SoftHsm, Program::Nginx, Program::Registry28]) {
        with_a_token("handshakes");
    }
}

#[test]
fn registries_take_tokens_that_a_key_in_a_token_has_signed() {
    if have(&[Program::SoftHsm, Program::Curl, Program::Registry28, Program::RegistryV3]) {
        with_a_token("tokens");
    }
}

/// The same, of a key that can sign tokens: of 128, one has a coordinate that starts with zeros, and is refused.
fn generate_for_tokens(session: &Session) -> (ObjectHandle, Vec<u8>, VerifyingKey) {
    loop {
        let (key, spki) = generate(session);
        let text = STANDARD.encode(&spki);
        let (first, rest) = text.split_at(64);
        let public = format!("-----BEGIN PUBLIC KEY-----\n{first}\n{rest}\n-----END PUBLIC KEY-----\n");
        match VerifyingKey::from_pem(&public) {
            Ok(verifying) => return (key, spki, verifying),
            Err(error) => assert_eq!(error, server::KeyError::Ambiguous),
        }
    }
}

/// Runs a test below in a process of its own, with a token of its own.
fn with_a_token(test: &str) {
    let directory = TempDir::new("token").unwrap();
    let config = directory.join("softhsm2.conf");
    fs::create_dir(directory.join("tokens")).unwrap();
    fs::write(&config, format!("directories.tokendir = {}\n", directory.join("tokens").display())).unwrap();
    let mut token = Program::SoftHsm.command().unwrap();
    token.env("SOFTHSM2_CONF", &config).args(["--init-token", "--free", "--label", "regauth"]);
    let output = token.args(["--so-pin", PIN, "--pin", PIN]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The library finds its configuration by the environment, which a process cannot safely change for itself.
    let mut inside = Command::new(std::env::current_exe().unwrap());
    inside.args(["--exact", test, "--ignored", "--nocapture"]).env("SOFTHSM2_CONF", &config);
    assert!(inside.status().unwrap().success());
}

/// A session with the token that [`with_a_token`] made, logged in.
fn session() -> Session {
    let library = LIBRARIES.into_iter().find(|path| Path::new(path).is_file()).unwrap();
    let pkcs11 = Pkcs11::new(library).unwrap();
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = pkcs11.get_slots_with_initialized_token().unwrap()[0];
    let session = pkcs11.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    session
}

/// The key of tokens is in the token, and so is another one: the issuer has only the first one's public half.
#[test]
#[ignore = "run by a test above, with a token of its own"]
fn tokens() {
    let session = session();
    let ((key, spki, verifying), (other, ..)) = (generate_for_tokens(&session), generate_for_tokens(&session));
    let directory = TempDir::new("elsewhere").unwrap();
    fs::create_dir(directory.join("pki")).unwrap();
    let mut pki = Pki::new(&directory.join("pki"), &SigningKey::generate(&entropy().unwrap()).unwrap()).unwrap();
    // What a registry has in its `rootcertbundle` is a certificate of the key.
    let certificate = pki.client_for(&spki, "tokens").unwrap();
    pki.tokens = directory.join("tokens.crt");
    fs::write(&pki.tokens, certificate).unwrap();
    let jwks = directory.join("jwks.json");
    fs::write(&jwks, verifying.jwks(&KeyRef::Kid("2026".into())).unwrap()).unwrap();
    let realm = "https://auth.example/token";
    for (kind, reference) in
        [(Kind::V2, KeyRef::Libtrust), (Kind::V3, KeyRef::Thumbprint), (Kind::V3, KeyRef::Kid("2026".into()))]
    {
        let registry = match reference {
            KeyRef::Kid(_) => Registry::with_jwks(&directory, &jwks, realm).unwrap(),
            _ => Registry::with_tokens(kind, &directory, &pki, realm).unwrap(),
        };
        let issuer = Issuer::new(IssuerConfig::new(ISSUER, &[SERVICE], verifying.clone(), reference)).unwrap();
        let ask = issuer.read(&Call::new("GET", "/token?scope=repository:demo/app:pull,push")).unwrap();
        let (who, may) = (server::Identity::new("robot").unwrap(), [Scope::repository("demo/app", "pull,push")]);
        let prepare = || issuer.prepare(&ask, &who, &may, now(), &entropy().unwrap()).unwrap();
        for form in [|fixed: &[u8]| fixed.to_vec(), der] {
            let unsigned = prepare();
            let signature = session.sign(&Mechanism::Ecdsa, key, &unsigned.digest()).unwrap();
            let reply = issuer.finish(&unsigned, &form(&signature));
            assert_eq!(reply.reason, Reason::Issued);
            let token = reply.token().unwrap();
            assert_eq!(registry.upload(token.expose_str().unwrap()).unwrap(), 202, "{kind:?}");
        }
        let unsigned = prepare();
        let wrong = session.sign(&Mechanism::Ecdsa, other, &unsigned.digest()).unwrap();
        let reply = issuer.finish(&unsigned, &wrong);
        assert_eq!((reply.status, reply.reason), (500, Reason::SignatureKey));
        assert!(reply.token().is_none());
    }
}

#[test]
#[ignore = "run by a test above, with a token of its own"]
fn handshakes() {
    let session = session();
    let (key, spki) = generate(&session);
    let secret = session.get_attribute_info(key, &[AttributeType::Value]).unwrap();
    assert!(matches!(secret.as_slice(), [AttributeInfo::Sensitive]), "the key can be read: {secret:?}");

    let directory = TempDir::new("signer").unwrap();
    let signing = SigningKey::generate(&entropy().unwrap()).unwrap();
    let pki = Pki::new(directory.path(), &signing).unwrap();
    let upstream = Registry::open(Kind::V2, &directory).unwrap();
    let certificate = pki.client_for(&spki, "hsm-bot").unwrap();
    let token = Arc::new(Token { session: Mutex::new(session), key, calls: AtomicUsize::new(0) });
    let identity = || Identity::with_signer("softhsm", certificate.as_bytes(), token.clone()).unwrap();
    let calls = || token.calls.swap(0, Ordering::SeqCst);

    for tls in [Tls::V12, Tls::V13] {
        let front = Front::start(Server::Nginx, Ask::Required, tls, &pki, upstream.address).unwrap();
        let origin = format!("https://localhost:{}", front.address.port());
        let url = format!("{origin}/v2/");
        let agent = client::agent(&pki, &origin, vec![identity()], |_| {});
        for resumed in [false, true, true] {
            let outcome = client::get(&agent, front.address, &url);
            assert_eq!(outcome.status, Some(200), "{}", outcome.said());
            assert_eq!(outcome.sent[0].evidence.as_ref().unwrap().resumed, resumed);
            assert_eq!(calls(), usize::from(!resumed), "{tls:?}");
        }
        let log = front.log(3);
        println!("nginx, {tls:?}:\n{log}");
        let records: Vec<_> = log.lines().filter_map(Record::parse).collect();
        for (record, resumed) in records.iter().zip([false, true, true]) {
            assert_eq!((record.verify.as_str(), record.dn.as_deref()), ("SUCCESS", Some("CN=hsm-bot")));
            assert_eq!((record.status, record.reused), (200, resumed));
        }
        assert_eq!(records.len(), 3);
    }

    // Whoever takes the token out reads it here.
    token.session.lock().unwrap().logout().unwrap();
    let front = Front::start(Server::Nginx, Ask::Required, Tls::V13, &pki, upstream.address).unwrap();
    let origin = format!("https://localhost:{}", front.address.port());
    let agent = client::agent(&pki, &origin, vec![identity()], |_| {});
    let outcome = client::get(&agent, front.address, &format!("{origin}/v2/"));
    println!("logged out: {}", outcome.said());
    assert_eq!(outcome.error.as_ref().unwrap().fault(), regauth::Fault::Local);
    assert!(outcome.said().starts_with("softhsm: the signer did not sign: "), "{}", outcome.said());
    assert!(outcome.said().ends_with("Check the token, agent or key service that holds the key."));
    assert_eq!(calls(), 1);
}
