//! Attacks with the shape of a request: 25 to 40.

use regauth::server::*;

use crate::support::*;

fn needs(method: &str, target: &str) -> Need {
    need(method, target, None)
}

fn scoped(list: &[&str]) -> Need {
    Need::Scopes(scopes(list))
}

const MOUNT: &str =
    "/v2/a/blobs/uploads/?mount=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn attack_24_repeated_parameters_of_an_upload() {
    for query in ["&from=m&from=n", "&from=m&%66rom=n", "&mount=x", "&digest=x&digest=y", "&From=m", "&FROM=m&from=n"] {
        assert_eq!(needs("POST", &format!("{MOUNT}{query}")), Need::Reject(400), "{query}");
    }
}

#[test]
fn attack_25_mount_in_the_body() {
    for form in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded; charset=x",
        "multipart/form-data; boundary=x",
    ] {
        assert_eq!(need("POST", "/v2/a/blobs/uploads/", Some(form)), Need::Reject(400), "{form}");
    }
    for fine in [None, Some("application/octet-stream")] {
        assert_eq!(need("POST", "/v2/a/blobs/uploads/", fine), scoped(&["repository:a:pull,push"]));
    }
}

#[test]
fn attack_26_mount_without_pull_on_the_source() {
    let target = format!("{MOUNT}&from=m/n");
    assert_eq!(needs("POST", &target), scoped(&["repository:a:pull,push", "repository:m/n:pull"]));
    let only = serde_json::json!({"access": [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]});
    let reply = denied(ask(&guard(), "POST", &target, Some(&token(&header(), &with(only))), None));
    assert!(
        reply.header("www-authenticate").unwrap().contains(r#"scope="repository:a:pull,push repository:m/n:pull""#)
    );
    assert_eq!(reply.reason, Reason::Scope);
    for from in ["M/N", "m//n", "..", "m%252fn", "m n", "m%00", "reg.example:5000/m"] {
        assert_eq!(needs("POST", &format!("{MOUNT}&from={from}")), Need::Reject(400), "{from}");
    }
    // Whatever the method: some registries read it with every one.
    assert_eq!(needs("GET", "/v2/a/tags/list?from=m"), scoped(&["repository:a:pull", "repository:m:pull"]));
}

#[test]
fn attack_27_mount_without_a_source() {
    // A registry may look for the blob anywhere; for the guard it is an upload.
    for target in [MOUNT.to_string(), format!("{MOUNT}&from="), format!("{MOUNT}&from=a")] {
        assert_eq!(needs("POST", &target), scoped(&["repository:a:pull,push"]), "{target}");
    }
    assert_eq!(needs("POST", "/v2/a/blobs/uploads/?mount=latest"), Need::Reject(400));
}

#[test]
fn attack_28_path_traversal() {
    for target in [
        "/v2/a/../b/manifests/x",
        "/v2/./a/manifests/x",
        "/v2//a/manifests/x",
        "/v2/a/manifests/..",
        "/v2/..",
        "//v2/a/manifests/x",
        "/./v2/",
        "/x/../v2/a/manifests/x",
        "/v2\\a\\manifests\\x",
        "\\v2\\a\\manifests\\x",
        "/v2/a/b/blobs/uploads/..",
    ] {
        assert_eq!(needs("GET", target), Need::Reject(400), "{target}");
    }
}

#[test]
fn attack_29_encoding() {
    for target in [
        "/v2/a%2Fb/manifests/x",
        "/v2/a/%2e%2e/b/manifests/x",
        "/v2/a%252Fb/manifests/x",
        "/v2/%61/manifests/x",
        "/v2/a/manifests/x%00",
        "/v2/a/manifests/x%",
        "/%76%32/a/manifests/x",
        "/%2576%2532/a/manifests/x",
        "/v2%2fa/manifests/x",
        "/%2fv2/a/manifests/x",
        "/%2525252525252525252525252525252576x",
    ] {
        assert_eq!(needs("GET", target), Need::Reject(400), "{target}");
    }
    let digest = DIGEST.replace(':', "%3A");
    for digest in [digest.clone(), digest.to_ascii_lowercase()] {
        assert_eq!(needs("GET", &format!("/v2/a/blobs/{digest}")), scoped(&["repository:a:pull"]));
    }
}

#[test]
fn attack_30_case_unicode_and_parameters() {
    for name in ["Builds/b1", "bUilds", "bäume", "b\u{200b}", "a;x=1", "a,b", "a:b", "a@b", "a~b", "a+b", "a\u{2215}b"]
    {
        assert_eq!(needs("GET", &format!("/v2/{name}/manifests/x")), Need::Reject(400), "{name}");
    }
    let long = format!("/v2/{}/manifests/x", "a".repeat(256));
    assert_eq!(needs("GET", &long), Need::Reject(400));
    assert_eq!(needs("GET", &format!("/v2/a/manifests/x?{}", "x".repeat(9000))), Need::Reject(400));
    for target in ["/v2;x/a/manifests/x", "/v2#/a", "/v2/a/manifests/x#y", "/v2/a/manifests/x?a;b", "/v2/a /tags/list"]
    {
        assert_eq!(needs("GET", target), Need::Reject(400), "{target}");
    }
}

#[test]
fn attack_31_names_that_look_like_end_points() {
    for name in ["manifests", "blobs/uploads", "tags", "tags/list", "a/manifests/b", "uploads", "referrers/x", "v2"] {
        let pull = scoped(&[&format!("repository:{name}:pull")]);
        let push = scoped(&[&format!("repository:{name}:pull,push")]);
        assert_eq!(needs("GET", &format!("/v2/{name}/manifests/latest")), pull);
        assert_eq!(needs("GET", &format!("/v2/{name}/tags/list")), pull);
        assert_eq!(needs("POST", &format!("/v2/{name}/blobs/uploads/")), push);
        assert_eq!(needs("PATCH", &format!("/v2/{name}/blobs/uploads/7f")), push);
    }
    for target in
        ["/v2/a/uploads/7f", "/v2/blobs/uploads/7f/x", "/v2/_catalog/", "/v2/a", "/v2/a/manifests/", "/v2/a/tags/all"]
    {
        assert!(matches!(needs("GET", target), Need::Reject(400 | 404)), "{target}");
    }
}

#[test]
fn attack_32_methods() {
    for method in ["OPTIONS", "PURGE", "TRACE", "CONNECT", "get", "Get", "", "GET ", "PROPFIND", "LINK"] {
        for target in ["/v2/", "/v2/a/manifests/x", "/v2/a/other"] {
            assert_eq!(needs(method, target), Need::Reject(405), "{method} {target}");
        }
    }
    for (method, target) in
        [("POST", "/v2/"), ("PUT", "/v2/a/tags/list"), ("DELETE", "/v2/_catalog"), ("PATCH", "/v2/a/manifests/x")]
    {
        assert_eq!(needs(method, target), Need::Reject(405), "{method} {target}");
        let reply = denied(ask(&guard(), method, target, Some(&good()), None));
        assert_eq!((reply.status, reply.reason), (405, Reason::Method));
    }
    // A header that overrides the method has no way in: `Call` has none.
}

#[test]
fn attack_33_two_authorization_fields() {
    let bearer = format!("Bearer {}", good());
    let none = "Basic Zm9vOmJhcg==";
    for fields in [[bearer.as_str(), none], [none, bearer.as_str()], [bearer.as_str(), bearer.as_str()]] {
        let call = Call::new("GET", "/v2/a/b/manifests/x").authorization(&fields);
        assert_eq!(why(guard().check(&call, NOW)), (400, Reason::Authorization));
    }
    let token = good();
    for (value, reason) in [
        (format!("Bearer  {token}"), Reason::TokenSyntax),
        (format!("Bearer\t{token}"), Reason::Scheme),
        (format!("Bearer{token}"), Reason::Scheme),
        (format!("Bearer {token}, Basic x"), Reason::TokenSyntax),
        (none.into(), Reason::Scheme),
        (token.clone(), Reason::Scheme),
        ("Bearer".into(), Reason::Scheme),
        ("Bearer ".into(), Reason::TokenSyntax),
    ] {
        let fields = [value.as_str()];
        let call = Call::new("GET", "/v2/a/b/manifests/x").authorization(&fields);
        assert_eq!(why(guard().check(&call, NOW)), (401, reason), "{value:?}");
    }
    let lower = format!("bEARER {token}");
    allowed(guard().check(&Call::new("GET", "/v2/a/b/manifests/x").authorization(&[&lower]), NOW));
}

#[test]
fn attack_34_injection_into_the_challenge() {
    for bad in ["x\"y", "x\\y", "x\r\ny", "", "ü", "x\u{0}"] {
        let service = GuardConfig::new(REALM, bad, ISSUER, vec![key().verifying()]);
        assert_eq!(Guard::new(service).unwrap_err(), SetupError::Text("service"), "{bad:?}");
        let issuer = IssuerConfig::new(ISSUER, &[bad], key(), KeyRef::Thumbprint);
        assert_eq!(Issuer::new(issuer).unwrap_err(), SetupError::Text("service"), "{bad:?}");
    }
    for bad in ["https://reg.example/\"x", "https://reg.example/\\x"] {
        let realm = GuardConfig::new(bad, SERVICE, ISSUER, vec![key().verifying()]);
        assert_eq!(Guard::new(realm).unwrap_err(), SetupError::Text("realm"), "{bad}");
    }
    // What is in the target gets into a challenge only after it has been checked.
    for target in ["/v2/a\"b/manifests/x", "/v2/a/manifests/x\r\nX: y", "/v2/a/manifests/x?from=\"m"] {
        assert_eq!(why(guard().check(&Call::new("GET", target), NOW)), (400, Reason::Target), "{target}");
    }
}

#[test]
fn attack_35_realm_from_the_host_field() {
    // `Call` has neither `Host` nor `X-Forwarded-*`: the realm is the configured one, and absolute.
    let reply = denied(guard().check(&Call::new("GET", "/v2/"), NOW));
    assert_eq!(reply.header("www-authenticate").unwrap(), format!("Bearer realm=\"{REALM}\",service=\"{SERVICE}\""));
    for realm in ["/token", "//reg.example/token", "reg.example/token", "", "https:///token", "ftp://reg.example/token"]
    {
        let config = GuardConfig::new(realm, SERVICE, ISSUER, vec![key().verifying()]);
        assert!(matches!(Guard::new(config), Err(SetupError::Realm(_))), "{realm}");
    }
}

#[test]
fn attack_36_realm_over_plain_http() {
    let config = |realm: &str| GuardConfig::new(realm, SERVICE, ISSUER, vec![key().verifying()]);
    for realm in ["http://reg.example/token", "HTTP://10.0.0.1/token", "http://localhost.example/token"] {
        assert_eq!(Guard::new(config(realm)).unwrap_err(), SetupError::InsecureRealm, "{realm}");
    }
    for realm in ["http://127.0.0.1:5001/token", "http://localhost/token", "http://[::1]/token"] {
        assert!(Guard::new(config(realm)).is_ok(), "{realm}");
    }
    let named = GuardConfig { insecure_realm: true, ..config("http://reg.example/token") };
    assert!(Guard::new(named).is_ok());
}

#[test]
fn attack_37_challenge_beside_the_registry() {
    for target in
        ["/", "/api/builds", "/v1/", "/v2x", "/V2/", "/token?scope=/v2/", "/x/v2/", "*", "/api?next=/v2/", "/v22/a"]
    {
        assert_eq!(needs("GET", target), Need::NotRegistry, "{target}");
        let verdict = ask(&guard(), "GET", target, Some("garbage"), None);
        assert!(matches!(verdict, Verdict::NotRegistry), "{target}: {verdict:?}");
    }
    // But what is the registry's to any reader is not passed by.
    for target in [
        "http://reg.example/v2/a/manifests/x",
        "/;/v2/a/manifests/x",
        "/v2%00/a",
        "/%09/v2/",
        "v2/a/manifests/x",
        // A fragment, or a query once decoded, ends the path: what stands behind does not lead out of it.
        "/./v2/#/..",
        "/./v2/%23/..",
        "/./v2/%3f/../..",
        "/x/../v2/a/manifests/x/#/../../../..",
        // With a base, a browser's parser takes the first segment for the host.
        "//reg.example/v2/a/manifests/x",
        "/\\reg.example/v2/a/manifests/x",
        "http:/reg.example/v2/a/manifests/x",
        "http:///v2/a/manifests/x",
    ] {
        assert!(matches!(needs("GET", target), Need::Reject(_)), "{target}");
    }
    for target in ["/api/v2/a%20b", "/api//v2/a", "/api/x/../v2/a", "http://reg.example/api/v2/"] {
        assert_eq!(needs("GET", target), Need::NotRegistry, "{target}");
    }
}

#[test]
fn attack_38_trust_by_address() {
    // Nothing of a request says where it comes from, so nothing can depend on it: a call is these six values.
    let Call { method, target, authorization, content_type, body, peer } = Call::new("GET", "/v2/a/b/manifests/x");
    let call = Call { method, target, authorization, content_type, body, peer };
    assert_eq!(why(guard().check(&call, NOW)), (401, Reason::NoToken));
}

#[test]
fn attack_39_forged_certificate_fields_at_a_proxy() {
    let der = certificate("spiffe://example.org/tenant/t1/builder/b-1");
    let forged = Peer::from_verified_der(&der, Source::Proxy).unwrap();
    let real = peer("b-1");
    assert_eq!(forged.sha256(), real.sha256());
    let x5t = serde_json::to_value(Confirmation::of(&real)).unwrap();
    let bound = token(&header(), &with(serde_json::json!({"cnf": x5t})));
    let at = |guard: &Guard, peer: &Peer| ask(guard, "GET", "/v2/a/b/manifests/x", Some(&bound), Some(peer));
    allowed(at(&guard(), &real));
    assert_eq!(why(at(&guard(), &forged)), (401, Reason::TokenCertificate), "a proxy's word counts only by name");
    let behind = Guard::new(GuardConfig { trust_proxy: true, ..config() }).unwrap();
    allowed(at(&behind, &forged));
    allowed(at(&behind, &Peer::from_proxy_sha256(*real.sha256())));
    // The issuer hides such a certificate from the host, too.
    let call = Call::new("GET", "/token").peer(&forged);
    assert_eq!(issuer().read(&call).unwrap().peer, None);
    let behind = Issuer::new(IssuerConfig { trust_proxy: true, ..issuer_config() }).unwrap();
    assert_eq!(behind.read(&call).unwrap().peer.map(|peer| peer.source()), Some(Source::Proxy));
}

#[test]
fn attack_40_certificate_that_nobody_verified() {
    // There is no way to hand one in that does not say "verified"; what is no certificate is refused, and a request
    // without one has no identity to bind to.
    assert_eq!(Peer::from_verified_der(b"", Source::Tls), Err(PeerError::Certificate));
    let config = IssuerConfig { bind: Bind::Required, ..issuer_config() };
    let reply = issue(&Issuer::new(config).unwrap(), "scope=repository:a:pull", &builder("x"), &["repository:a:pull"]);
    assert_eq!((reply.status, reply.reason), (401, Reason::TokenUnbound));
}
