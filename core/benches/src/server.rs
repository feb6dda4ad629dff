//! The server half: tokens signed and verified, ES256.

use std::hint::black_box;

use regauth::Scope;
use regauth::Time;
use regauth::server::{
    Access, Call, Claims, Guard, GuardConfig, Identity, Issuer, IssuerConfig, KeyRef, SigningKey, Verdict, Verifier,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::go::Go;
use crate::meter::cost;
use crate::table::{Group, other, ours};

const NOW: Time = Time(1_795_341_600_000);
const ISSUER: &str = "https://auth.example";
const SERVICE: &str = "registry.example";

pub(crate) fn tokens(go: &Go) {
    let key = SigningKey::generate(&[7; 32]).expect("a key");
    let mut claims = Claims::new(ISSUER, "robot", SERVICE, NOW, 300, &[9; 16]);
    let actions = vec!["pull".into(), "push".into()];
    claims.access.push(Access { kind: "repository".into(), name: "team/app".into(), actions });
    let token = key.sign(&KeyRef::Thumbprint, &claims).expect("a token");
    let token = token.expose_str().expect("text");
    let verifier = Verifier::new(ISSUER, SERVICE, vec![key.verifying()]).expect("a verifier");
    let config = GuardConfig::new("https://auth.example/token", SERVICE, ISSUER, vec![key.verifying()]);
    let guard = Guard::new(config).expect("a guard");
    let bearer = format!("Bearer {token}");

    let issuer =
        Issuer::new(IssuerConfig::new(ISSUER, &[SERVICE], key.clone(), KeyRef::Thumbprint)).expect("an issuer");
    let remote = IssuerConfig::new(ISSUER, &[SERVICE], key.verifying(), KeyRef::Thumbprint);
    let remote = Issuer::new(remote).expect("an issuer");
    let ask = issuer.read(&Call::new("GET", "/token?scope=repository:team/app:pull,push")).expect("good");
    let (who, jti) = (Identity::new("robot").expect("good"), [9; 16]);
    let may = [Scope::repository("team/app", "pull,push")];
    let random = SystemRandom::new();
    let theirs = ring(&key, &random);

    let sign = || cost(200, || _ = black_box(key.sign(&KeyRef::Thumbprint, black_box(&claims)).expect("a token")));
    let issue = || cost(200, || _ = black_box(issuer.issue(black_box(&ask), &who, &may, NOW, &jti)));
    let host = || {
        cost(200, || {
            let unsigned = remote.prepare(black_box(&ask), &who, &may, NOW, &jti).expect("granted");
            let signature = theirs.sign(&random, unsigned.signing_input()).expect("a signature");
            let reply = remote.finish(&unsigned, signature.as_ref());
            assert_eq!(reply.status, 200);
        })
    };
    let unchecked = || {
        cost(200, || {
            let unsigned = remote.prepare(black_box(&ask), &who, &may, NOW, &jti).expect("granted");
            _ = black_box(theirs.sign(&random, unsigned.signing_input()).expect("a signature"));
        })
    };
    // Go mixes random bytes into its nonce as ring does; with RFC 6979 ours comes from key and message alone.
    let golang = [("golang-jwt", "token sign 400")];
    for entry in [
        ours("regauth, RFC 6979: the token", sign),
        ours("regauth, RFC 6979: the whole answer", issue),
        ours("regauth, the host's ring signs: the whole answer", host),
        // `finish` verifies the signature, which golang-jwt does not.
        ours("regauth, the host's ring signs: before it is verified", unchecked),
    ] {
        let mut entries = vec![entry];
        entries.extend(go.entries(&golang));
        Group { title: "signing a token, ES256", unit: "ns", goal: "<= 0.8 of golang-jwt", entries }.print();
    }

    let verify = || cost(400, || _ = black_box(verifier.verify(black_box(token), None, NOW).expect("good")));
    let check = || {
        cost(400, || {
            let fields = [bearer.as_str()];
            let call = Call::new("GET", "/v2/team/app/manifests/1.2.3").authorization(&fields);
            assert!(matches!(guard.check(black_box(&call), NOW), Verdict::Allow(_)));
        })
    };
    let mut entries = vec![ours("regauth", verify), other("regauth, the whole check of a request", check)];
    entries.extend(go.entries(&[("golang-jwt", "token verify 400")]));
    Group { title: "verifying a token, ES256", unit: "ns", goal: "<= 0.8 of golang-jwt", entries }.print();
}

/// The key in the hands of ring.
fn ring(key: &SigningKey, random: &SystemRandom) -> EcdsaKeyPair {
    let pem = key.private_pem();
    let pem = rustls::pki_types::pem::PemObject::from_pem_slice(pem.expose()).expect("PKCS#8");
    let pem: rustls::pki_types::PrivatePkcs8KeyDer<'_> = pem;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pem.secret_pkcs8_der(), random).expect("the same key")
}
