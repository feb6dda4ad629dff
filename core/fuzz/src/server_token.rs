//! Tokens: none that is not signed is ever good, and of those that are, what is read is what any reader of JSON reads.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey as _;
use regauth::Time;
use regauth::server::{Call, Claims, Guard, GuardConfig, KeyRef, Peer, Reason, SigningKey, Source, Verdict, Verifier};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(&[7; 32]).expect("a key"));

/// A guard for `https://auth.example` and `reg.example`.
pub static GUARD: LazyLock<Guard> = LazyLock::new(|| {
    let keys = vec![KEY.verifying()];
    Guard::new(GuardConfig::new("https://reg.example/token", "reg.example", "https://auth.example", keys))
        .expect("good")
});

/// Its verifier.
pub static VERIFIER: LazyLock<Verifier> =
    LazyLock::new(|| Verifier::new("https://auth.example", "reg.example", vec![KEY.verifying()]).expect("good"));

/// The same key in the hands of another library, which signs whatever it is given.
static SIGNER: LazyLock<p256::ecdsa::SigningKey> = LazyLock::new(|| {
    p256::ecdsa::SigningKey::from_pkcs8_pem(KEY.private_pem().expose_str().expect("PEM")).expect("a key")
});

const SECONDS: u64 = 1_800_000_000;
const CLAIMS: &str =
    r#"{"iss":"https://auth.example","sub":"s","aud":"reg.example","exp":1800000300,"iat":1800000000,"jti":"j"}"#;

/// A token that nobody has signed or a header to be signed, claims to be signed, and a certificate, separated by
/// [`crate::RECORD`].
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == crate::RECORD);
    let mut part = || parts.next().unwrap_or_default();
    let (token, claims, certificate) = (part(), part(), part());
    let now = Time(1_800_000_000_000);
    if let Ok(token) = std::str::from_utf8(token) {
        assert!(VERIFIER.verify(token, None, now).is_err(), "a forged token");
    }
    if let Ok(Members(members)) = serde_json::from_slice(token) {
        header(token, &members, now);
    }
    let peer = Peer::from_verified_der(certificate, Source::Tls).ok();
    if let Some(id) = peer.as_ref().and_then(|peer| peer.spiffe().ok()) {
        assert_eq!(peer.as_ref().map(Peer::uris), Some(&[id.to_string()][..]));
    }
    // Signing takes most of the time, and what is no object is not worth it.
    if !serde_json::from_slice::<Value>(claims).is_ok_and(|value| value.is_object()) {
        return;
    }
    let token = KEY.sign_json(&KeyRef::Thumbprint, claims).expect("a token");
    match VERIFIER.verify(token.expose_str().expect("text"), peer.as_ref(), now) {
        Ok(read) => {
            let value: Value = serde_json::from_slice(claims).expect("JSON");
            times(&value);
            // As one reads it who takes the first of two members, or does not look at case.
            let Members(members) = serde_json::from_slice(claims).expect("JSON");
            for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "cnf"] {
                assert!(members.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name)).count() <= 1, "{name}");
            }
            if let Some(cnf) = value.get("cnf") {
                let sha256 = URL_SAFE_NO_PAD.encode(peer.as_ref().expect("a certificate").sha256());
                assert_eq!(cnf["x5t#S256"], sha256);
            }
            guard(token.expose_str().expect("text"), &read, peer.as_ref(), now);
            assert!(value["iss"] == "https://auth.example" && value["aud"] == "reg.example");
            assert!(value["sub"] == read.sub && value["jti"] == read.jti);
            assert!(value["exp"] == read.exp && value["iat"] == read.iat);
            assert_eq!(value.get("cnf").is_some(), read.cnf.is_some());
            let entries = value.get("access").and_then(Value::as_array).map_or(0, Vec::len);
            assert_eq!(entries, read.access.len());
            for (at, access) in read.access.iter().enumerate() {
                let entry = &value["access"][at];
                assert!(entry["type"] == access.kind && entry["name"] == access.name);
                assert!(entry["actions"] == Value::from(access.actions.clone()));
            }
        }
        Err(reason) => assert!(
            !matches!(
                reason,
                Reason::TokenKey | Reason::TokenSignature | Reason::TokenAlgorithm | Reason::TokenCritical
            ),
            "{reason:?} of our own signature"
        ),
    }
}

/// A header that the right key has signed: good only if any reader finds the right algorithm and nothing critical in it.
fn header(header: &[u8], members: &[(String, Value)], now: Time) {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(CLAIMS));
    let signature: p256::ecdsa::Signature = SIGNER.sign(input.as_bytes());
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
    let all = |name: &str| -> Vec<&Value> {
        members.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    };
    match VERIFIER.verify(&token, None, now) {
        Ok(_) => {
            assert!(all("alg") == [&Value::from("ES256")] && all("crit").is_empty());
            assert!(all("typ").len() <= 1 && all("kid").len() <= 1 && all("x5c").len() <= 1);
            assert!(all("typ").iter().all(|typ| typ.as_str().is_some_and(|typ| typ.len() <= 6)));
            let known = |kid: &Value| *kid == KEY.thumbprint() || *kid == KEY.libtrust_id();
            assert!(all("kid").iter().all(|kid| known(kid)) && all("kid").len() + all("x5c").len() > 0);
        }
        Err(reason) => assert!(!matches!(reason, Reason::TokenSignature | Reason::TokenClaims), "{reason:?}"),
    }
}

/// No more than 30 s before its begin and after its end, and no longer than an hour.
fn times(claims: &Value) {
    let number = |name: &str| claims[name].as_u64();
    let (exp, iat) = (number("exp").expect("exp"), number("iat").expect("iat"));
    assert!(exp > SECONDS - 30 && iat <= SECONDS + 30 && number("nbf").is_none_or(|nbf| nbf <= SECONDS + 30));
    assert!(iat <= exp && exp - iat <= 3660);
}

/// The guard lets it pull and delete from the repositories that it names with these actions, and from no other.
fn guard(token: &str, claims: &Claims, peer: Option<&Peer>, now: Time) {
    let bearer = format!("Bearer {token}");
    let fields = [bearer.as_str()];
    for access in claims.access.iter().take(4) {
        for (method, action) in [("GET", "pull"), ("DELETE", "delete")] {
            let target = format!("/v2/{}/manifests/latest", access.name);
            let call = Call { peer, ..Call::new(method, &target).authorization(&fields) };
            let allows = claims.access.iter().any(|other| {
                let has = other.actions.iter().any(|have| have == action || have == "*");
                other.kind == "repository" && other.name == access.name && has
            });
            match GUARD.check(&call, now) {
                // A name that begins with `?` makes it `/v2/`.
                Verdict::Allow(pass) => {
                    assert!((allows || pass.needed.is_empty()) && pass.subject == claims.sub, "{target}")
                }
                Verdict::Deny(reply) => assert!(reply.status != 401 || !allows, "{target}"),
                _ => {}
            }
        }
    }
}

/// The members of an object in order, with all that are there twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
