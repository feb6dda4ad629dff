//! What is meant to work.

use regauth::Time;
use regauth::mint::token_certificate;
use regauth::server::*;
use serde_json::json;

use crate::support::*;

#[test]
fn every_reply_is_complete() {
    let reply = denied(guard().check(&Call::new("GET", "/v2/a/b/manifests/x"), NOW));
    assert_eq!(reply.header("Docker-Distribution-Api-Version"), Some("registry/2.0"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        body(&reply),
        json!({"errors": [{"code": "UNAUTHORIZED", "message": Reason::NoToken.to_string(),
                           "detail": [{"Type": "repository", "Name": "a/b", "Action": "pull"}]}]})
    );
    let head = denied(guard().check(&Call::new("HEAD", "/v2/a/b/manifests/x"), NOW));
    assert!(head.body.is_empty() && head.header("www-authenticate").is_some());
    for (method, target, status, code) in [
        ("GET", "/v2/a/other", 404, "UNSUPPORTED"),
        ("PUT", "/v2/", 405, "UNSUPPORTED"),
        ("GET", "/v2/A/tags/list", 400, "UNSUPPORTED"),
    ] {
        let reply = denied(guard().check(&Call::new(method, target), NOW));
        assert_eq!((reply.status, body(&reply)["errors"][0]["code"].as_str()), (status, Some(code)));
    }
}

#[test]
fn every_end_point_of_the_specification() {
    let name = |actions: &str| Need::Scopes(scopes(&[&format!("repository:a/b:{actions}")]));
    let upload = "/v2/a/b/blobs/uploads/";
    for (method, target, wants) in [
        ("GET", "/v2/".to_string(), Need::Authenticated),
        ("HEAD", "/v2".into(), Need::Authenticated),
        ("GET", format!("/v2/a/b/blobs/{DIGEST}"), name("pull")),
        ("HEAD", format!("/v2/a/b/blobs/{DIGEST}"), name("pull")),
        ("GET", "/v2/a/b/manifests/latest".into(), name("pull")),
        ("POST", upload.into(), name("pull,push")),
        ("POST", format!("{upload}?digest={DIGEST}"), name("pull,push")),
        ("PATCH", format!("{upload}7f"), name("pull,push")),
        ("PUT", format!("{upload}7f?digest={DIGEST}&_state=a-_b%3D"), name("pull,push")),
        ("PUT", "/v2/a/b/manifests/latest".into(), name("pull,push")),
        ("PUT", format!("/v2/a/b/manifests/{DIGEST}?tag=x&tag=y"), name("pull,push")),
        ("GET", "/v2/a/b/tags/list?n=10&last=x".into(), name("pull")),
        ("DELETE", "/v2/a/b/manifests/latest".into(), name("delete")),
        ("DELETE", format!("/v2/a/b/blobs/{DIGEST}"), name("delete")),
        ("GET", format!("/v2/a/b/referrers/{DIGEST}?artifactType=x%2Fy"), name("pull")),
        ("GET", format!("{upload}7f"), name("pull,push")),
        ("DELETE", format!("{upload}7f"), name("pull,push")),
        ("GET", "/v2/_catalog?n=5".into(), Need::Scopes(scopes(&["registry:catalog:*"]))),
    ] {
        assert_eq!(need(method, &target, None), wants, "{method} {target}");
    }
}

#[test]
fn all_four_ways_to_ask_get_the_same_token() {
    let issuer = issuer();
    let basic = basic("alice", "s3cr:t");
    let fields = [basic.as_str()];
    let who = builder("b-1");
    let asks = [
        Call::new("GET", "/token?service=reg.example&scope=repository:a/b:pull&scope=repository:c:push")
            .authorization(&fields),
        Call::new("GET", "/token?service=reg.example&scope=repository:a/b:pull%20repository:c:push"),
        Call::new("POST", "/token").content_type("application/x-www-form-urlencoded; charset=UTF-8").body(
            b"grant_type=password&username=alice&password=s3cr%3At&service=reg.example&scope=repository:a/b:pull+repository:c:push",
        ),
        Call::new("POST", "/token?x=y").content_type("application/x-www-form-urlencoded").body(
            b"grant_type=refresh_token&refresh_token=r&service=reg.example&scope=repository:a/b:pull+repository:c:push",
        ),
    ];
    let may = scopes(&["repository:a/b:pull,push", "repository:c:pull,push", "repository:d:pull"]);
    for call in asks {
        let ask = issuer.read(&call).unwrap();
        let reply = issuer.issue(&ask, &who, &may, NOW, &[9; 16]);
        assert_eq!(granted(&reply), ["repository:a/b:pull", "repository:c:pull,push"]);
        let body = body(&reply);
        assert_eq!(body["token"], body["access_token"]);
        assert_eq!((&body["expires_in"], &body["issued_at"]), (&json!(300), &json!("2027-01-15T08:00:00Z")));
        let post = call.method == "POST";
        assert_eq!(body.get("scope"), post.then(|| json!("repository:a/b:pull repository:c:pull,push")).as_ref());
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let with_basic = issuer.read(&asks[0]).unwrap();
    assert_eq!(with_basic.credential, Credential::Basic { user: "alice".into(), secret: "s3cr:t".into() });
    let with_form = issuer.read(&asks[2]).unwrap();
    assert_eq!(with_form.credential, Credential::Password { user: "alice".into(), secret: "s3cr:t".into() });
}

#[test]
fn refusals_that_clients_understand() {
    let issuer = issuer();
    let get = issuer.read(&Call::new("GET", "/token")).unwrap();
    let form = b"grant_type=password&password=x";
    let post = issuer.read(&Call::new("POST", "/token").content_type("application/x-www-form-urlencoded").body(form));
    let post = post.unwrap();
    for (ask, why, status, error) in [
        (&get, Refuse::Credentials, 401, "invalid_client"),
        (&post, Refuse::Credentials, 401, "invalid_grant"),
        (&get, Refuse::Denied, 403, "access_denied"),
        (&get, Refuse::TooMany(7), 429, "temporarily_unavailable"),
        (&post, Refuse::Unavailable(7), 503, "temporarily_unavailable"),
    ] {
        let reply = issuer.refuse(ask, why);
        assert_eq!((reply.status, body(&reply)["error"].as_str()), (status, Some(error)));
        assert_eq!(reply.header("retry-after"), (status == 429 || status == 503).then_some("7"));
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
    }
    let json = Call::new("POST", "/token").content_type("application/json").body(b"{}");
    assert_eq!(unread(&json), (400, Reason::Form));
    assert_eq!(issuer.read(&Call::new("PUT", "/token")).unwrap_err().header("allow"), Some("GET, POST"));
}

#[test]
fn an_identity_is_read_from_a_spiffe_id() {
    let template = Template::parse("spiffe://example.org/tenant/{tenant}/builder/{build}", "builder").unwrap();
    let id = |text: &str| SpiffeId::parse(text).unwrap();
    let who = template.identity(&peer("b-1").spiffe().unwrap()).unwrap();
    assert_eq!(who.subject(), "spiffe://example.org/tenant/t1/builder/b-1");
    let policy = Policy::parse("builder {tenant}/{build} pull,push").unwrap();
    assert_eq!(
        policy.may(&who, &scopes(&["repository:t1/b-1:pull", "repository:t1/b-2:pull"])),
        scopes(&["repository:t1/b-1:pull,push"])
    );
    for other in [
        "spiffe://example.com/tenant/t1/builder/b-1",
        "spiffe://example.org/tenant/t1/builder",
        "spiffe://example.org/tenant/t1/builder/b-1/x",
        "spiffe://example.org/user/t1/builder/b-1",
        "spiffe://example.org/tenant/T1/builder/b-1",
    ] {
        assert_eq!(template.identity(&id(other)), None, "{other}");
    }
    for wrong in [
        "https://example.org/{x}",
        "spiffe://{x}/y",
        "spiffe://example.org",
        "spiffe://example.org/**",
        "spiffe://example.org/a{x}",
    ] {
        assert!(Template::parse(wrong, "builder").is_err(), "{wrong}");
    }
    assert!(Template::parse("spiffe://example.org/a", "anonymous").is_err());
}

#[test]
fn policies_say_which_line_is_wrong() {
    for (line, what) in [
        ("builder a", Flaw::Words),
        ("builder a pull push", Flaw::Words),
        ("bu!lder a pull", Flaw::Role),
        ("builder a/**/b pull", Flaw::Pattern),
        ("builder A pull", Flaw::Pattern),
        ("builder a-* pull", Flaw::Pattern),
        ("builder {a/b} pull", Flaw::Pattern),
        ("builder /a pull", Flaw::Pattern),
        ("builder a read", Flaw::Actions),
        ("builder a pull,", Flaw::Actions),
        ("builder a none,pull", Flaw::Actions),
        ("builder a push", Flaw::PushAlone),
        ("* a pull,push", Flaw::Anonymous),
    ] {
        let text = format!("# first\n\n{line}");
        assert_eq!(Policy::parse(&text), Err(PolicyError { line: 3, what }), "{line}");
    }
    // The first line that fits decides.
    let policy = Policy::parse("* secret/** none\n* ** pull\nbuilder secret/x pull,push").unwrap();
    let who = builder("b-1");
    assert_eq!(
        policy.may(&who, &scopes(&["repository:secret/x:pull", "repository:x:push"])),
        scopes(&["repository:x:pull"])
    );
    assert!(Policy::default().may(&who, &scopes(&["repository:x:pull"])).is_empty());
}

#[test]
fn a_certificate_alone_opens_a_guard_without_tokens() {
    let policy = Policy::parse("builder builds/{build} pull,push\nanonymous library/* pull").unwrap();
    let who = builder("b-1");
    let call = |method, target| guard().check_direct(&Call::new(method, target), &who, &policy);
    assert_eq!(allowed(call("PUT", "/v2/builds/b-1/manifests/x")).subject, "b-1");
    allowed(call("GET", "/v2/"));
    assert_eq!(why(call("PUT", "/v2/builds/b-2/manifests/x")), (403, Reason::Denied));
    assert_eq!(why(call("DELETE", "/v2/builds/b-1/manifests/x")), (403, Reason::Denied));
    assert!(matches!(call("GET", "/api"), Verdict::NotRegistry));
    let nobody = Identity::anonymous();
    allowed(guard().check_direct(&Call::new("GET", "/v2/library/x/manifests/y"), &nobody, &policy));
}

#[test]
fn a_public_key_comes_as_pem_or_in_a_certificate() {
    let der = token_certificate(&key(), "tokens", NOW, 3600, &[4; 32]).unwrap();
    let pem = VerifyingKey::from_pem(&key().public_pem()).unwrap();
    assert_eq!(pem.public_pem(), key().public_pem());
    for key in [pem, VerifyingKey::from_certificate(&der).unwrap()] {
        let verifier = Verifier::new(ISSUER, SERVICE, vec![key]).unwrap();
        assert_eq!(verifier.verify(&good(), None, NOW).unwrap().sub, "b-1");
    }
    assert_eq!(VerifyingKey::from_pem("x").unwrap_err(), KeyError::NotPublic);
    assert_eq!(VerifyingKey::from_certificate(&der[1..]).unwrap_err(), KeyError::NotPublic);
    // What the issuer signs by x5c verifies too.
    let config = IssuerConfig::new(ISSUER, &[SERVICE], key(), KeyRef::X5c(vec![der]));
    let reply = issue(&Issuer::new(config).unwrap(), "", &builder("x"), &[]);
    let token = reply.token().unwrap();
    allowed(ask(&guard(), "GET", "/v2/", token.expose_str(), None));
    let wrong = IssuerConfig::new(ISSUER, &[SERVICE], key(), KeyRef::X5c(vec![]));
    assert_eq!(Issuer::new(wrong).unwrap_err(), SetupError::Key(KeyError::Chain));
}

#[test]
fn keys_are_rotated_by_having_both() {
    let old = SigningKey::generate(&[8; 32]).unwrap();
    let keys = vec![key().verifying(), old.verifying()];
    let guard = Guard::new(GuardConfig::new(REALM, SERVICE, ISSUER, keys)).unwrap();
    let of_old = forge(&json!({"alg": "ES256", "kid": old.thumbprint()}).to_string(), &claims().to_string(), &old);
    allowed(ask(&guard, "GET", "/v2/", Some(&of_old), None));
    allowed(ask(&guard, "GET", "/v2/", Some(&good()), None));
    let mixed = forge(&header().to_string(), &claims().to_string(), &old);
    assert_eq!(why(ask(&guard, "GET", "/v2/", Some(&mixed), None)), (401, Reason::TokenSignature));
    assert!(matches!(ask(&guard, "GET", "/v2/", Some(&of_old), None), Verdict::Allow(_)));
    assert_eq!(guard_at(&guard, Time(0)), (401, Reason::TokenEarly));
}

fn guard_at(guard: &Guard, now: Time) -> (u16, Reason) {
    let bearer = format!("Bearer {}", good());
    why(guard.check(&Call::new("GET", "/v2/").authorization(&[&bearer]), now))
}
