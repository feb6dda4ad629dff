//! A registry's guard, its token service and builders with certificates, all in virtual time.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey as _;
use regauth::Time;
use regauth::mint::Ca;
use regauth::scope::Scope;
use regauth::server::*;
use serde_json::{Value, json};

pub(crate) const NOW: Time = Time(1_800_000_000_000);
pub(crate) const SECONDS: u64 = 1_800_000_000;
pub(crate) const REALM: &str = "https://reg.example/token";
pub(crate) const SERVICE: &str = "reg.example";
pub(crate) const ISSUER: &str = "https://auth.example";
pub(crate) const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(&[7; 32]).unwrap()
}

pub(crate) fn config() -> GuardConfig {
    GuardConfig::new(REALM, SERVICE, ISSUER, vec![key().verifying().named("2026").unwrap()])
}

pub(crate) fn guard() -> Guard {
    Guard::new(config()).unwrap()
}

pub(crate) fn issuer_config() -> IssuerConfig {
    IssuerConfig::new(ISSUER, &[SERVICE], key(), KeyRef::Thumbprint)
}

pub(crate) fn issuer() -> Issuer {
    Issuer::new(issuer_config()).unwrap()
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(ISSUER, SERVICE, vec![key().verifying()]).unwrap()
}

/// Claims that are good for `repository:a/b:pull,push`.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "b-1", "aud": SERVICE, "jti": "j", "iat": SECONDS, "nbf": SECONDS - 10,
        "exp": SECONDS + 300, "access": [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}],
    })
}

/// The claims with these members put in their place.
pub(crate) fn with(more: Value) -> Value {
    let mut claims = claims();
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// The header of a good token.
pub(crate) fn header() -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": key().thumbprint()})
}

/// The key in the hands of a library that is not ours.
pub(crate) fn p256_key(key: &SigningKey) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_pkcs8_pem(key.private_pem().expose_str().unwrap()).unwrap()
}

/// A token of this text, signed by `key` whatever it says.
pub(crate) fn forge(header: &str, claims: &str, key: &SigningKey) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature: p256::ecdsa::Signature = p256_key(key).sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// A token of the right key with this header and these claims.
pub(crate) fn token(header: &Value, claims: &Value) -> String {
    forge(&header.to_string(), &claims.to_string(), &key())
}

pub(crate) fn good() -> String {
    token(&header(), &claims())
}

/// What the guard says about a GET of a manifest of `a/b` with this token.
pub(crate) fn pull(token: &str) -> Verdict {
    ask(&guard(), "GET", "/v2/a/b/manifests/latest", Some(token), None)
}

pub(crate) fn ask(guard: &Guard, method: &str, target: &str, token: Option<&str>, peer: Option<&Peer>) -> Verdict {
    let bearer = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
    let fields = [bearer.as_str()];
    let mut call = Call::new(method, target);
    if token.is_some() {
        call = call.authorization(&fields);
    }
    if let Some(peer) = peer {
        call = call.peer(peer);
    }
    guard.check(&call, NOW)
}

/// The reply of a refusal, which holds what every one has to.
pub(crate) fn denied(verdict: Verdict) -> Reply {
    let Verdict::Deny(reply) = verdict else { panic!("{verdict:?}") };
    if reply.status == 401 {
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(&format!("Bearer realm=\"{REALM}\",service=\"{SERVICE}\"")), "{challenge}");
    } else {
        assert_eq!(reply.header("www-authenticate"), None);
    }
    reply
}

/// Status and reason of a refusal.
pub(crate) fn why(verdict: Verdict) -> (u16, Reason) {
    let reply = denied(verdict);
    (reply.status, reply.reason)
}

#[track_caller]
pub(crate) fn refused(token: &str, reason: Reason) {
    let reply = denied(pull(token));
    assert_eq!((reply.status, reply.reason), (401, reason));
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.ends_with(r#",scope="repository:a/b:pull",error="invalid_token""#), "{challenge}");
}

#[track_caller]
pub(crate) fn allowed(verdict: Verdict) -> Pass {
    match verdict {
        Verdict::Allow(pass) => pass,
        other => panic!("{other:?}"),
    }
}

/// A builder's certificate, DER, with this URI.
pub(crate) fn certificate(uri: &str) -> Vec<u8> {
    let ca = Ca::new(NOW, 3600, "builders", &[1; 32]).unwrap();
    ca.client("builder", Some(uri), NOW, 1800, &[2; 32]).unwrap().cert_der
}

pub(crate) fn peer(build: &str) -> Peer {
    let der = certificate(&format!("spiffe://example.org/tenant/t1/builder/{build}"));
    Peer::from_verified_der(&der, Source::Tls).unwrap()
}

/// The issuer's answer to a GET with this query, for somebody with these permissions.
pub(crate) fn issue(issuer: &Issuer, query: &str, who: &Identity, may: &[&str]) -> Reply {
    let target = format!("/token?{query}");
    let ask = issuer.read(&Call::new("GET", &target)).unwrap();
    issuer.issue(&ask, who, &scopes(may), NOW, &[9; 16])
}

pub(crate) fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| Scope::new(text).unwrap()).collect()
}

/// The claims of an issued token.
#[track_caller]
pub(crate) fn claims_of(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{:?}", reply.reason);
    let token = reply.token().unwrap();
    let claims = token.expose_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// What an issued token allows, as scopes.
#[track_caller]
pub(crate) fn granted(reply: &Reply) -> Vec<String> {
    let claims = claims_of(reply);
    let entry = |entry: &Value| {
        let actions: Vec<&str> = entry["actions"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        format!("{}:{}:{}", entry["type"].as_str().unwrap(), entry["name"].as_str().unwrap(), actions.join(","))
    };
    claims["access"].as_array().unwrap().iter().map(entry).collect()
}

pub(crate) fn body(reply: &Reply) -> Value {
    serde_json::from_slice(reply.body.expose()).unwrap()
}

/// What `read` says about a request that it refuses.
#[track_caller]
pub(crate) fn unread(call: &Call<'_>) -> (u16, Reason) {
    let reply = issuer().read(call).unwrap_err();
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let body = body(&reply);
    assert!(body["error"].is_string() && body["errors"][0]["code"].is_string(), "{body}");
    (reply.status, reply.reason)
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

pub(crate) fn builder(build: &str) -> Identity {
    let who = Identity::new(build).unwrap().role("builder").unwrap();
    who.bind("build", build).unwrap().bind("tenant", "t1").unwrap()
}
