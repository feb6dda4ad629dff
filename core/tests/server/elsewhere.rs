//! An issuer whose key is held elsewhere: the host signs, with a library that is not ours.

use p256::ecdsa::Signature;
use p256::pkcs8::EncodePrivateKey as _;
use regauth::server::*;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};

use crate::support::*;

/// ring's key pair of the same key.
fn ring(key: &SigningKey, form: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let key = p256_key(key).to_pkcs8_der().unwrap();
    EcdsaKeyPair::from_pkcs8(form, key.as_bytes(), &SystemRandom::new()).unwrap()
}

fn signed(key: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

fn elsewhere(reference: KeyRef) -> Issuer {
    Issuer::new(IssuerConfig::new(ISSUER, &[SERVICE], key().verifying(), reference)).unwrap()
}

fn ask(issuer: &Issuer) -> Ask {
    issuer.read(&Call::new("GET", "/token?scope=repository:a/b:pull,push")).unwrap()
}

fn prepared(issuer: &Issuer) -> Unsigned {
    issuer.prepare(&ask(issuer), &builder("b-1"), &scopes(&["repository:a/b:pull,push"]), NOW, &[9; 16]).unwrap()
}

fn passes(reply: &Reply) -> bool {
    let bearer = format!("Bearer {}", reply.token().unwrap().expose_str().unwrap());
    let fields = [bearer.as_str()];
    let call = Call::new("PUT", "/v2/a/b/manifests/latest").authorization(&fields);
    matches!(guard().check(&call, NOW), Verdict::Allow(_))
}

#[test]
fn both_ways_give_tokens_that_the_guard_accepts() {
    let pem = key().public_pem();
    for reference in [KeyRef::Thumbprint, KeyRef::Libtrust, KeyRef::Kid("2026".into())] {
        let held = Issuer::new(IssuerConfig::new(ISSUER, &[SERVICE], key(), reference.clone())).unwrap();
        let public = VerifyingKey::from_pem(&pem).unwrap();
        assert_eq!(public.jwks(&reference), key().jwks(&reference));
        let issuer = Issuer::new(IssuerConfig::new(ISSUER, &[SERVICE], public, reference)).unwrap();
        let target = "/token?scope=repository:a/b:pull,push";
        let form = b"grant_type=password&password=x&scope=repository:a/b:pull,push";
        let post = Call::new("POST", "/token").content_type("application/x-www-form-urlencoded").body(form);
        for (n, call) in [Call::new("GET", target), post].iter().cycle().take(40).enumerate() {
            let (ask, jti) = (issuer.read(call).unwrap(), [u8::try_from(n).unwrap(); 16]);
            let may = scopes(&["repository:a/b:pull,push"]);
            let inside = held.issue(&ask, &builder("b-1"), &may, NOW, &jti);
            let unsigned = issuer.prepare(&ask, &builder("b-1"), &may, NOW, &jti).unwrap();
            // The key in here signs what the host would: the answers are the same, to the byte.
            let token = inside.token().unwrap();
            let (input, _) = token.expose_str().unwrap().rsplit_once('.').unwrap();
            assert_eq!(unsigned.signing_input(), input.as_bytes());
            let own: Signature = p256::ecdsa::signature::Signer::sign(&p256_key(&key()), unsigned.signing_input());
            let finished = issuer.finish(&unsigned, &own.to_bytes());
            assert!(finished.body == inside.body && finished.headers == inside.headers);
            assert_eq!((finished.status, &finished.jti), (200, &inside.jti));
            for form in [&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_ASN1_SIGNING] {
                let signature = signed(&ring(&key(), form), unsigned.signing_input());
                let reply = issuer.finish(&unsigned, &signature);
                assert!(passes(&inside) && passes(&reply), "{:?} {signature:?}", reply.reason);
                assert_eq!(reply.reason, Reason::Issued);
            }
        }
    }
}

#[test]
fn a_signature_in_every_form() {
    let issuer = elsewhere(KeyRef::Thumbprint);
    let unsigned = prepared(&issuer);
    let one: Signature = p256::ecdsa::signature::Signer::sign(&p256_key(&key()), unsigned.signing_input());
    let (r, s) = one.split_scalars();
    let other = Signature::from_scalars(r, -*s).unwrap();
    assert!(one.normalize_s().is_some() != other.normalize_s().is_some(), "one of them has the high s");
    for signature in [one, other] {
        assert!(passes(&issuer.finish(&unsigned, &signature.to_bytes())));
        assert!(passes(&issuer.finish(&unsigned, signature.to_der().as_bytes())));
    }
    // What signs a digest signs the same.
    let digest = unsigned.digest();
    let signature: Signature =
        p256::ecdsa::signature::hazmat::PrehashSigner::sign_prehash(&p256_key(&key()), &digest).unwrap();
    assert_eq!(signature, one);
}

#[test]
fn a_token_that_no_registry_would_take_does_not_leave() {
    let issuer = elsewhere(KeyRef::Thumbprint);
    let unsigned = prepared(&issuer);
    let input = unsigned.signing_input();
    let fixed = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let good = signed(&ring(&key(), fixed), input);
    let der = signed(&ring(&key(), &ECDSA_P256_SHA256_ASN1_SIGNING), input);
    let other = SigningKey::generate(&[8; 32]).unwrap();
    let mut spoilt = good.clone();
    spoilt[40] ^= 1;
    let wrong = [
        ("another key", signed(&ring(&other, fixed), input), Reason::SignatureKey),
        ("a digest of the digest", signed(&ring(&key(), fixed), &unsigned.digest()), Reason::SignatureKey),
        ("another token", signed(&ring(&key(), fixed), &input[1..]), Reason::SignatureKey),
        ("a bit", spoilt, Reason::SignatureKey),
        ("r and s swapped", [&good[32..], &good[..32]].concat(), Reason::SignatureKey),
        ("nothing", Vec::new(), Reason::SignatureSyntax),
        ("a byte less", good[..63].to_vec(), Reason::SignatureSyntax),
        ("a byte more", [&good[..], &[0]].concat(), Reason::SignatureSyntax),
        ("r and s of zero", vec![0; 64], Reason::SignatureSyntax),
        ("DER and a byte more", [&der[..], &[0]].concat(), Reason::SignatureSyntax),
        ("DER cut short", der[..der.len() - 1].to_vec(), Reason::SignatureSyntax),
        ("a signature of P-384's length", vec![1; 96], Reason::SignatureSyntax),
    ];
    for (what, signature, reason) in wrong {
        let reply = issuer.finish(&unsigned, &signature);
        assert_eq!((reply.status, reply.reason, reply.token().is_none()), (500, reason, true), "{what}");
        assert_eq!(body(&reply)["error"], "server_error", "{what}");
        assert_eq!(reply.jti, None);
    }
    // Nothing is used up by it.
    assert!(passes(&issuer.finish(&unsigned, &good)));
}

#[test]
fn an_issuer_without_the_private_key_does_not_sign() {
    let issuer = elsewhere(KeyRef::Thumbprint);
    let reply = issuer.issue(&ask(&issuer), &builder("b-1"), &[], NOW, &[9; 16]);
    assert_eq!((reply.status, reply.reason), (500, Reason::KeyElsewhere));
    let refused = issuer.prepare(&ask(&issuer), &Identity::anonymous(), &[], NOW, &[9; 16]).unwrap_err();
    assert_eq!((refused.status, refused.reason), (401, Reason::NoCredentials));
    let x5c = IssuerConfig::new(ISSUER, &[SERVICE], key().verifying(), KeyRef::X5c(vec![vec![0; 200]]));
    assert_eq!(Issuer::new(x5c).unwrap_err(), SetupError::Key(KeyError::Chain));
    let text = format!("{issuer:?} {:?}", prepared(&issuer));
    assert!(!text.contains("PRIVATE"), "{text}");
}
