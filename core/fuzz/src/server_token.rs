//! Tokens: none that is not signed is ever good, and of those that are, what is read is what any reader of JSON reads.

use std::sync::LazyLock;

use regauth::Time;
use regauth::server::{Guard, GuardConfig, KeyRef, Peer, Reason, SigningKey, Source, Verifier};
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

/// A token that nobody has signed, claims to be signed, and a certificate, separated by [`crate::RECORD`].
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == crate::RECORD);
    let mut part = || parts.next().unwrap_or_default();
    let (token, claims, certificate) = (part(), part(), part());
    let now = Time(1_800_000_000_000);
    if let Ok(token) = std::str::from_utf8(token) {
        assert!(VERIFIER.verify(token, None, now).is_err(), "a forged token");
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
