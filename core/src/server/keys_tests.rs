use serde_json::{Value, json};

use super::*;
use crate::Time;
use crate::server::Access;

fn key() -> SigningKey {
    SigningKey::generate(&[7; 32]).unwrap()
}

fn claims() -> Claims {
    let mut claims =
        Claims::new("https://auth.example", "robot", "registry.example", Time(1_800_000_000_500), 300, &[9; 16]);
    claims.access.push(Access {
        kind: "repository".into(),
        name: "a/b".into(),
        actions: vec!["pull".into(), "push".into()],
    });
    claims
}

fn part(token: &str, index: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()
}

fn json_part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&part(token, index)).unwrap()
}

#[test]
fn a_token_verifies_with_the_exported_key() {
    let key = key();
    let token = key.sign(&KeyRef::Thumbprint, &claims()).unwrap();
    let token = token.expose_str().unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert_eq!(json_part(token, 0), json!({"alg": "ES256", "typ": "JWT", "kid": key.thumbprint()}));
    assert_eq!(
        json_part(token, 1),
        json!({
            "iss": "https://auth.example", "sub": "robot", "aud": "registry.example",
            "exp": 1_800_000_300u64, "nbf": 1_799_999_990u64, "iat": 1_800_000_000u64,
            "jti": "CQkJCQkJCQkJCQkJCQkJCQ",
            "access": [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}],
        })
    );
    let public = p256::ecdsa::VerifyingKey::from_public_key_pem(&key.public_pem()).unwrap();
    let signature = Signature::from_slice(&part(token, 2)).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    let other = format!("{signed}A");
    public.verify(other.as_bytes(), &signature).unwrap_err();
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let [a, b] = [key(), key()];
    assert_eq!(a.private_pem(), b.private_pem());
    assert_eq!(a.sign(&KeyRef::Libtrust, &claims()), b.sign(&KeyRef::Libtrust, &claims()));
    // Keys are kept as entropy somewhere: what it gives must not change from one release to the next.
    assert_eq!(a.thumbprint(), "XaRdhwy1aR7KfctrmYZfOk3ygwonFgCZr_ij1b1vmgc");
    assert_eq!(a.libtrust_id(), "YKOS:RCEP:CI5R:BDGM:FSYH:VS3X:XUHH:DSAF:AIWV:EZZO:YA3F:LYRW");
    assert_ne!(a.thumbprint(), SigningKey::generate(&[8; 32]).unwrap().thumbprint());
}

#[test]
fn a_key_survives_its_pem() {
    let key = key();
    let pem = key.private_pem();
    let pem = pem.expose_str().unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "PKCS#8");
    assert_eq!(SigningKey::from_pem(pem).unwrap().thumbprint(), key.thumbprint());
    for bad in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &key.public_pem()] {
        assert_eq!(SigningKey::from_pem(bad).unwrap_err(), KeyError::NotP256);
    }
    assert_eq!(format!("{key:?}"), format!("SigningKey({:?})", key.thumbprint()));
}

#[test]
fn a_jwk_set_says_the_kid_that_tokens_carry() {
    let key = key();
    for (reference, kid) in [
        (KeyRef::Thumbprint, key.thumbprint()),
        (KeyRef::Libtrust, key.libtrust_id()),
        (KeyRef::Kid("2026-11".into()), "2026-11".into()),
        (KeyRef::X5c(Vec::new()), key.thumbprint()),
    ] {
        let set: Value = serde_json::from_str(&key.jwks(&reference).unwrap()).unwrap();
        assert_eq!(set["keys"].as_array().unwrap().len(), 1);
        let jwk = &set["keys"][0];
        assert_eq!([&jwk["kty"], &jwk["crv"], &jwk["use"], &jwk["alg"]], ["EC", "P-256", "sig", "ES256"]);
        assert_eq!(jwk["kid"], kid);
        assert_eq!(URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap().len(), 32);
        assert!(jwk.get("d").is_none(), "no private part");
    }
}

#[test]
fn libtrust_ids_are_twelve_groups_of_four() {
    let id = key().libtrust_id();
    assert_eq!(id.len(), 59);
    assert!(id.split(':').all(|group| group.len() == 4 && group.bytes().all(|b| BASE32.contains(&b))), "{id}");
    assert_eq!(id.split(':').count(), 12);
}

#[test]
fn a_reference_that_verifiers_could_not_use_is_refused() {
    let key = key();
    let sign = |reference: KeyRef| key.sign(&reference, &claims()).map(|_| ());
    assert_eq!(sign(KeyRef::X5c(Vec::new())), Err(KeyError::Chain));
    assert_eq!(sign(KeyRef::X5c(vec![b"of another key".to_vec()])), Err(KeyError::Chain));
    for kid in ["", "a\nb", "ü", &"k".repeat(129)] {
        assert_eq!(sign(KeyRef::Kid(kid.into())), Err(KeyError::Kid), "{kid:?}");
    }
    assert_eq!(sign(KeyRef::Kid("k".repeat(128))), Ok(()));
}

#[test]
fn x5c_is_plain_base64_of_each_certificate() {
    let key = key();
    let leaf = [b"..", &key.public.spki[..], b".."].concat();
    let token = key.sign(&KeyRef::X5c(vec![leaf.clone(), vec![0xfb, 0xff]]), &claims()).unwrap();
    let header = json_part(token.expose_str().unwrap(), 0);
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "x5c": [STANDARD.encode(leaf), "+/8="]}));
}

#[test]
fn every_implementation_says_the_same() {
    let mut good = 0;
    for n in 0..24u8 {
        let pair = KeyPair::generate(&[n; 32]).unwrap();
        let key = VerifyingKey::new(pair.verifying()).unwrap();
        let message = vec![n; usize::from(n) * 9];
        let signed = pair.sign_fixed(&message).unwrap();
        let (r, s) = Signature::from_slice(&signed).unwrap().split_scalars();
        // Both halves of the curve's order are good (RFC 7518 section 3.4 asks for neither).
        let mirrored = Signature::from_scalars(r, -*s).unwrap().to_bytes();
        let mut cases = vec![(message.clone(), signed), (message.clone(), mirrored.into())];
        for at in [0, 31, 32, 63] {
            let mut spoilt = signed;
            spoilt[at] ^= 1 << (n % 8);
            cases.push((message.clone(), spoilt));
        }
        let mut swapped = signed;
        swapped.rotate_left(32);
        cases.push((message.clone(), swapped));
        cases.push(([&*message, b"x"].concat(), signed));
        for (message, signature) in cases {
            let Ok(signature) = Signature::from_slice(&signature) else { continue };
            let expected = key.key.verify(&message, &signature).is_ok();
            assert_eq!(key.holds(&message, &signature), expected);
            good += u32::from(expected);
        }
    }
    assert_eq!(good, 2 * 24);
}
