//! Attacks with a token: forged, borrowed, stretched or stolen. The numbers are those of the list in `main.rs`'s
//! folder: 1 to 8, 10 to 12, 18 to 21, 41, 43, 44, 47 and 50.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use regauth::Time;
use regauth::mint::{Ca, token_certificate};
use regauth::server::*;
use serde_json::json;

use crate::support::*;

#[test]
fn attack_01_alg_none() {
    for alg in ["none", "None", "NONE", "", "ES384", "es256"] {
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string()),
            URL_SAFE_NO_PAD.encode(claims().to_string())
        );
        refused(&unsigned, Reason::TokenSyntax);
        let mut header = header();
        header["alg"] = alg.into();
        refused(&token(&header, &claims()), Reason::TokenAlgorithm);
    }
    let mut header = header();
    header.as_object_mut().unwrap().remove("alg");
    refused(&token(&header, &claims()), Reason::TokenAlgorithm);
}

#[test]
fn attack_02_public_key_as_hmac_secret() {
    // HMAC-SHA256 (RFC 2104) with the published key as the secret.
    use sha2::{Digest as _, Sha256};
    let secret = Sha256::digest(key().public_pem());
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": key().thumbprint()}).to_string()),
        URL_SAFE_NO_PAD.encode(claims().to_string())
    );
    let pad = |with: u8| secret.iter().map(|b| b ^ with).chain(std::iter::repeat_n(with, 32)).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(&signed).finalize();
    let mac = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    refused(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)), Reason::TokenSyntax);
    // As long as a signature of ES256 is.
    refused(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode([mac, mac].concat())), Reason::TokenAlgorithm);
}

#[test]
fn attack_03_key_in_the_header() {
    let own = SigningKey::generate(&[66; 32]).unwrap();
    let jwk: serde_json::Value = serde_json::from_str(&own.jwks(&KeyRef::Thumbprint).unwrap()).unwrap();
    for kid in [key().thumbprint(), own.thumbprint()] {
        let header = json!({"alg": "ES256", "kid": kid, "jwk": jwk["keys"][0], "jku": "https://evil.example/jwks",
                            "x5u": "https://evil.example/x"});
        let reason = if kid == key().thumbprint() { Reason::TokenSignature } else { Reason::TokenKey };
        refused(&forge(&header.to_string(), &claims().to_string(), &own), reason);
    }
    // A good token that has one is as good as without: it is not looked at.
    let mut header = header();
    header["jwk"] = jwk["keys"][0].clone();
    allowed(pull(&token(&header, &claims())));
}

#[test]
fn attack_04_x5c_of_any_certificate() {
    // A certificate under the CA of the builders, whose own key the attacker has.
    let own = SigningKey::generate(&[66; 32]).unwrap();
    let ca = Ca::new(NOW, 3600, "builders", &[1; 32]).unwrap();
    let other = token_certificate(&own, "evil", NOW, 3600, &[3; 32]).unwrap();
    for chain in [vec![other.clone()], vec![other, ca.cert_der().to_vec()]] {
        let chain: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        let header = json!({"alg": "ES256", "x5c": chain});
        refused(&forge(&header.to_string(), &claims().to_string(), &own), Reason::TokenKey);
    }
    // The right certificate is public, and does not help without its key; nor does one that only holds the key's bytes
    // somewhere.
    let right = token_certificate(&key(), "tokens", NOW, 3600, &[4; 32]).unwrap();
    let header = json!({"alg": "ES256", "x5c": [STANDARD.encode(&right)]});
    refused(&forge(&header.to_string(), &claims().to_string(), &own), Reason::TokenSignature);
    allowed(pull(&token(&header, &claims())));
    let both = json!({"alg": "ES256", "kid": "unknown", "x5c": [STANDARD.encode(&right)]});
    refused(&token(&both, &claims()), Reason::TokenKey);
    for x5c in [json!([]), json!([STANDARD.encode(b"no certificate")]), json!(["%%"])] {
        refused(&token(&json!({"alg": "ES256", "x5c": x5c}), &claims()), Reason::TokenKey);
    }
}

#[test]
fn attack_05_kid_as_a_path_or_a_query() {
    for kid in ["../../etc/passwd", "' OR 1=1 --", "", "*", "2026 ", "2026\u{0}", &"k".repeat(4000)] {
        let mut header = header();
        header["kid"] = kid.into();
        refused(&token(&header, &claims()), Reason::TokenKey);
    }
    assert_eq!(key().verifying().named("a\u{0}").unwrap_err(), KeyError::Kid);
    for kid in [key().thumbprint(), key().libtrust_id(), "2026".into()] {
        let mut header = header();
        header["kid"] = kid.into();
        allowed(pull(&token(&header, &claims())));
    }
}

#[test]
fn attack_06_two_keys_of_one_kid() {
    let other = SigningKey::generate(&[8; 32]).unwrap().verifying();
    let keys = |a: VerifyingKey, b: VerifyingKey| Verifier::new(ISSUER, SERVICE, vec![a, b]).map(|_| ());
    let twice = keys(key().verifying().named("k").unwrap(), other.clone().named("k").unwrap());
    assert_eq!(twice, Err(SetupError::Repeated("k".into())));
    assert!(keys(key().verifying(), key().verifying()).is_err());
    assert!(keys(key().verifying(), other.clone().named(&key().thumbprint()).unwrap()).is_err());
    assert_eq!(keys(key().verifying(), other), Ok(()));
    // No reference at all chooses no key, not even the only one.
    refused(&token(&json!({"alg": "ES256"}), &claims()), Reason::TokenKey);
}

#[test]
fn attack_07_crit_ignored() {
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!(null)] {
        let mut header = header();
        header["crit"] = crit;
        header["b64"] = false.into();
        refused(&token(&header, &claims()), Reason::TokenCritical);
    }
    let mut header = header();
    header["typ"] = "dpop+jwt".into();
    refused(&token(&header, &claims()), Reason::TokenCritical);
}

#[test]
fn attack_08_repeated_or_recased_members() {
    let good = claims().to_string();
    let insert = |text: &str| format!("{{{text},{}", &good[1..]);
    for more in [
        r#""aud":"evil""#,
        r#""AUD":"evil""#,
        r#""\u0061ud":"evil""#,
        r#""Exp":1"#,
        r#""aCCess":[]"#,
        r#""x":1,"x":2"#,
        r#""cnf":null"#,
        r#""CNF":{}"#,
    ] {
        refused(&forge(&header().to_string(), &insert(more), &key()), Reason::TokenClaims);
    }
    allowed(pull(&forge(&header().to_string(), &insert(r#""x":{"x":1,"aud":2}"#), &key())));
    for entry in
        [r#"{"type":"repository","name":"a","name":"b","actions":[]}"#, r#"{"type":"x","Name":"b","actions":[]}"#]
    {
        let text = with(json!({"access": "HERE"})).to_string().replace("\"HERE\"", &format!("[{entry}]"));
        refused(&forge(&header().to_string(), &text, &key()), Reason::TokenClaims);
    }
    for header in [r#"{"alg":"none","alg":"ES256","kid":"2026"}"#, r#"{"alg":"ES256","ALG":"none","kid":"2026"}"#] {
        refused(&forge(header, &good, &key()), Reason::TokenSyntax);
    }
    for broken in [format!("{good} x"), format!("{good}{good}"), "[]".into(), good[..good.len() - 1].into(), "".into()]
    {
        refused(&forge(&header().to_string(), &broken, &key()), Reason::TokenClaims);
    }
    // One text for one token: no padding, no other alphabet, no bits left over, no white space.
    let good = crate::support::good();
    for other in
        [format!("{good}="), good.replacen('.', "..", 1), format!("{good}."), format!(" {good}"), format!("{good}\n")]
    {
        refused(&other, Reason::TokenSyntax);
    }
    let (front, last) = good.split_at(good.len() - 1);
    let stray = front.to_string() + if last == "A" { "B" } else { "x" };
    assert!(matches!(why(pull(&stray)).1, Reason::TokenSyntax | Reason::TokenSignature));
}

#[test]
fn attack_10_token_of_another_service() {
    for aud in [json!("other.example"), json!(""), json!("reg.example "), json!("REG.example")] {
        refused(&token(&header(), &with(json!({"aud": aud}))), Reason::TokenAudience);
    }
    for iss in ["https://auth.example/", "https://evil.example", ""] {
        refused(&token(&header(), &with(json!({"iss": iss}))), Reason::TokenIssuer);
    }
    for wrong in
        [json!({"aud": [SERVICE]}), json!({"aud": null}), json!({"iss": 1}), json!({"sub": null}), json!({"jti": []})]
    {
        refused(&token(&header(), &with(wrong)), Reason::TokenClaims);
    }
}

#[test]
fn attack_11_registry_token_at_the_api() {
    // The API verifies with a list of what is allowed: its own audience, and better its own key.
    let token = good();
    let own_audience = Verifier::new(ISSUER, "api.example", vec![key().verifying()]).unwrap();
    assert_eq!(own_audience.verify(&token, None, NOW), Err(Reason::TokenAudience));
    let own_key = SigningKey::generate(&[8; 32]).unwrap().verifying();
    let own_key = Verifier::new(ISSUER, "api.example", vec![own_key]).unwrap();
    assert_eq!(own_key.verify(&token, None, NOW), Err(Reason::TokenKey));
    assert!(verifier().verify(&token, None, NOW).is_ok());
}

#[test]
fn attack_12_api_token_at_the_registry() {
    let user = with(json!({"aud": "api.example", "sub": "admin", "permissions": ["*"]}));
    refused(&token(&header(), &user), Reason::TokenAudience);
    // Nor is any valid token a pass: without access there is none, as opposed to all of it.
    for claims in [with(json!({"sub": "admin", "permissions": ["*"], "access": []})), {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove("access");
        claims
    }] {
        assert_eq!(why(pull(&token(&header(), &claims))), (401, Reason::Scope));
    }
}

#[test]
fn attack_19_wildcard_names() {
    for name in ["*", "a/*", "a", "a/**", "a/", "", ".*"] {
        let access = json!({"access": [{"type": "repository", "name": name, "actions": ["*"]}]});
        assert_eq!(why(pull(&token(&header(), &with(access)))), (401, Reason::Scope), "{name}");
    }
}

#[test]
fn attack_20_project_wide_widening() {
    let token = good();
    for name in ["a", "a/b/c", "a/bc", "a/c", "b"] {
        let target = format!("/v2/{name}/manifests/latest");
        assert_eq!(why(ask(&guard(), "GET", &target, Some(&token), None)), (401, Reason::Scope), "{name}");
    }
    // And no action brings another.
    let target = format!("/v2/a/b/blobs/{DIGEST}");
    assert_eq!(why(ask(&guard(), "DELETE", &target, Some(&token), None)), (401, Reason::Scope));
    let push = json!({"access": [{"type": "repository", "name": "a/b", "actions": ["push"]}]});
    let push = crate::support::token(&header(), &with(push));
    let reply = denied(ask(&guard(), "PUT", "/v2/a/b/manifests/latest", Some(&push), None));
    assert_eq!(
        reply.header("www-authenticate").unwrap(),
        format!(
            r#"Bearer realm="{REALM}",service="{SERVICE}",scope="repository:a/b:pull,push",error="insufficient_scope""#
        )
    );
}

#[test]
fn attack_21_class_of_a_type() {
    let access = |kind: &str| json!({"access": [{"type": kind, "name": "a/b", "actions": ["pull"]}]});
    for kind in ["repository(plugin)", "Repository", "registry", "repository "] {
        assert_eq!(why(pull(&token(&header(), &with(access(kind))))), (401, Reason::Scope), "{kind}");
    }
    // The issuer drops the class and keeps the permission, no more.
    let reply = issue(&issuer(), "scope=repository(plugin):a/b:pull,push", &builder("x"), &["repository:a/b:pull"]);
    assert_eq!(granted(&reply), ["repository:a/b:pull"]);
}

#[test]
fn attack_41_clocks() {
    let leeway = LEEWAY;
    let at = |claims: serde_json::Value| pull(&token(&header(), &claims));
    for (exp, fine) in [(SECONDS + 1 - leeway, true), (SECONDS - leeway, false), (0, false)] {
        let claims = with(json!({"exp": exp, "iat": SECONDS - 600, "nbf": 0}));
        assert_eq!(matches!(at(claims), Verdict::Allow(_)), fine, "exp {exp}");
    }
    for name in ["nbf", "iat"] {
        allowed(at(with(json!({name: SECONDS + leeway}))));
        refused(&token(&header(), &with(json!({name: SECONDS + leeway + 1}))), Reason::TokenEarly);
    }
    for exp in [json!(null), json!("soon"), json!(-1), json!(SECONDS as f64 + 0.5), json!(1e300)] {
        refused(&token(&header(), &with(json!({"exp": exp}))), Reason::TokenClaims);
    }
    // A life that nobody issues, the largest number included.
    for exp in [SECONDS + 3661, u64::MAX] {
        refused(&token(&header(), &with(json!({"exp": exp}))), Reason::TokenLife);
    }
    refused(&token(&header(), &with(json!({"exp": SECONDS + 5, "iat": SECONDS + 6}))), Reason::TokenLife);
    // The issuer's own begins a little before now.
    assert_eq!(claims_of(&issue(&issuer(), "", &builder("x"), &[]))["nbf"], SECONDS - 10);
}

#[test]
fn attack_43_token_outlives_the_repository() {
    // The host knows when a repository was made; what was issued before that was issued for another one.
    let pass = allowed(pull(&good()));
    assert_eq!(pass.issued_at, Some(NOW));
    let made_again = Time(NOW.0 + 5000);
    assert!(pass.issued_at.unwrap() < made_again);
}

#[test]
fn attack_44_stolen_token() {
    let (mine, thief) = (peer("b-1"), peer("b-2"));
    let config = IssuerConfig { bind: Bind::IfPeer, ..issuer_config() };
    let issuer = Issuer::new(config).unwrap();
    let call = Call::new("GET", "/token?scope=repository:a/b:pull,push").peer(&mine);
    let asked = issuer.read(&call).unwrap();
    let reply = issuer.issue(&asked, &builder("b-1"), &scopes(&["repository:a/b:pull,push"]), NOW, &[9; 16]);
    let x5t = URL_SAFE_NO_PAD.encode(mine.sha256());
    assert_eq!(claims_of(&reply)["cnf"], json!({"x5t#S256": x5t}));
    let token = reply.token().unwrap();
    let token = token.expose_str().unwrap();
    let at = |peer: Option<&Peer>| ask(&guard(), "PUT", "/v2/a/b/manifests/latest", Some(token), peer);
    let pass = allowed(at(Some(&mine)));
    assert!(pass.bound);
    let reply = denied(at(Some(&thief)));
    assert_eq!((reply.status, reply.reason), (401, Reason::TokenCertificate));
    assert_eq!(reply.jti, pass.jti, "a log can say which token is abroad");
    assert_eq!(why(at(None)), (401, Reason::TokenCertificate));
    // Where binding is required, one without it is no use; and what cannot be understood is not unbound.
    let strict = Guard::new(GuardConfig { require_bound: true, ..config_of_guard() }).unwrap();
    assert_eq!(why(ask(&strict, "GET", "/v2/", Some(&good()), Some(&mine))), (401, Reason::TokenUnbound));
    for cnf in [json!({}), json!({"jkt": x5t}), json!({"x5t#S256": "AAAA"}), json!({"x5t#S256": format!("{x5t}=")})] {
        refused(&crate::support::token(&header(), &with(json!({"cnf": cnf}))), Reason::TokenClaims);
    }
    let required = Issuer::new(IssuerConfig { bind: Bind::Required, ..issuer_config() }).unwrap();
    let reply = issue(&required, "scope=repository:a/b:pull", &builder("b-1"), &["repository:a/b:pull"]);
    assert_eq!((reply.status, reply.reason), (401, Reason::TokenUnbound));
}

fn config_of_guard() -> GuardConfig {
    config()
}

#[test]
fn attack_47_signature_rewritten() {
    // (r, n - s) verifies too: another text of the same token, with the same name.
    let token = good();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let (r, s) = signature.split_scalars();
    let rewritten = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    let other = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(rewritten.to_bytes()));
    assert_ne!(token, other);
    assert_eq!(allowed(pull(&token)).jti, allowed(pull(&other)).jti);
}

#[test]
fn attack_50_confusion_of_certificates() {
    let uri = "spiffe://example.org/tenant/t1/builder/b-1";
    let one = certificate(uri);
    assert_eq!(Peer::from_verified_der(&one, Source::Tls).unwrap().spiffe().unwrap().to_string(), uri);
    // The same length with two URIs in the place of one.
    let at = one.windows(uri.len()).position(|window| window == uri.as_bytes()).unwrap();
    let mut two = one.clone();
    let second = b"spiffe://example.org/x";
    let first = uri.len() - 2 - second.len();
    two[at - 1] = first as u8;
    two[at + first] = 0x86;
    two[at + first + 1] = second.len() as u8;
    two[at + first + 2..at + uri.len()].copy_from_slice(second);
    let two = Peer::from_verified_der(&two, Source::Tls).unwrap();
    assert_eq!((two.uris().len(), two.spiffe()), (2, Err(PeerError::Uris(2))));
    // An authority's certificate is nobody's own; a common name is no identity.
    let ca = Ca::new(NOW, 3600, "builders", &[1; 32]).unwrap();
    assert_eq!(Peer::from_verified_der(ca.cert_der(), Source::Tls).unwrap().spiffe(), Err(PeerError::Authority));
    let named = ca.client("spiffe://example.org/admin", None, NOW, 600, &[5; 32]).unwrap();
    let named = Peer::from_verified_der(&named.cert_der, Source::Tls).unwrap();
    assert_eq!((named.common_name(), named.spiffe()), (Some("spiffe://example.org/admin"), Err(PeerError::Uris(0))));
    for wrong in [
        "spiffe://Example.org/a",
        "spiffe://example.org:8080/a",
        "spiffe://u@example.org/a",
        "spiffe://example.org/a?x",
        "spiffe://example.org/a#x",
        "spiffe://example.org/%61",
        "spiffe://example.org/a/../b",
        "spiffe://example.org/a//b",
        "spiffe://example.org/a/",
        "spiffe:///a",
        "SPIFFE://example.org/a",
        "https://example.org/a",
        " spiffe://example.org/a",
    ] {
        assert_eq!(SpiffeId::parse(wrong), None, "{wrong}");
    }
    for end in 0..one.len() {
        assert_eq!(Peer::from_verified_der(&one[..end], Source::Tls), Err(PeerError::Certificate), "{end}");
    }
    let longer = [&one[..], b"\0"].concat();
    assert_eq!(Peer::from_verified_der(&longer, Source::Tls), Err(PeerError::Certificate));
}
