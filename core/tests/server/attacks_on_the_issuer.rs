//! Attacks on the token endpoint: 9, 13 to 18, 22 to 24, 42, 45, 46, 48 and 49.

use regauth::Time;
use regauth::server::*;

use crate::support::*;

const FORM: &str = "application/x-www-form-urlencoded";

fn get(query: &str) -> String {
    format!("/token?{query}")
}

fn post(body: &str) -> Call<'_> {
    Call::new("POST", "/token").content_type(FORM).body(body.as_bytes())
}

fn policy() -> Policy {
    Policy::parse(
        "builder  builds/{build}      pull,push\n\
         builder  cache/global/**     pull\n\
         builder  cache/{tenant}/**   pull,push  # its own\n\
         admin    registry:catalog    *\n\
         *        library/*           pull",
    )
    .unwrap()
}

/// What the policy lets somebody have of what it asks for.
#[track_caller]
fn has(who: &Identity, asked: &str) -> Vec<String> {
    let target = get(&format!("scope={asked}"));
    let issuer = issuer();
    let ask = issuer.read(&Call::new("GET", &target)).unwrap();
    granted(&issuer.issue(&ask, who, &policy().may(who, &ask.scopes), NOW, &[9; 16]))
}

#[test]
fn attack_09_audience_of_the_request() {
    for service in ["evil.example", "reg.example.", "REG.EXAMPLE", "reg.example%20", "*"] {
        let target = get(&format!("service={service}"));
        assert_eq!(unread(&Call::new("GET", &target)), (400, Reason::Service), "{service}");
    }
    assert_eq!(claims_of(&issue(&issuer(), "service=reg.example", &builder("x"), &[]))["aud"], SERVICE);
    assert_eq!(claims_of(&issue(&issuer(), "", &builder("x"), &[]))["aud"], SERVICE, "the only one");
    let two = IssuerConfig::new(ISSUER, &["one", "two"], key(), KeyRef::Thumbprint);
    let two = Issuer::new(two).unwrap();
    assert_eq!(two.read(&Call::new("GET", "/token")).unwrap_err().reason, Reason::Service);
    assert_eq!(two.read(&Call::new("GET", "/token?service=two")).unwrap().service, "two");
}

#[test]
fn attack_13_subject_of_the_request() {
    let basic = basic("alice", "s3cret");
    let fields = [basic.as_str()];
    let call = |target: &'static str| Call::new("GET", target).authorization(&fields);
    assert_eq!(unread(&call("/token?account=root")), (400, Reason::Account));
    let ask = issuer().read(&call("/token?account=alice")).unwrap();
    assert_eq!(ask.credential.user(), Some("alice"));
    let reply = issuer().issue(&ask, &builder("b-7"), &[], NOW, &[9; 16]);
    assert_eq!(claims_of(&reply)["sub"], "b-7", "who was authenticated, whatever was asked");
    assert_eq!(unread(&post("grant_type=password&username=alice&password=x&account=root")), (400, Reason::Account));
}

#[test]
fn attack_14_anonymous_push() {
    for line in
        ["anonymous cache/** pull,push", "* cache/** push", "* ** *", "anonymous registry:catalog *", "* a delete"]
    {
        assert_eq!(Policy::parse(line).unwrap_err().what, Flaw::Anonymous, "{line}");
    }
    // A host that hands in more is held to it too.
    let all = ["repository:a/b:*", "registry:catalog:*"];
    let reply = issue(&issuer(), "scope=repository:a/b:pull,push,delete", &Identity::anonymous(), &all);
    assert_eq!(granted(&reply), ["repository:a/b:pull"]);
    assert_eq!(claims_of(&reply)["sub"], "");
    for asked in ["repository:a/b:push,delete", "registry:catalog:*", ""] {
        let asked = format!("scope={asked}");
        let reply = issue(&issuer(), &asked, &Identity::anonymous(), &["registry:catalog:*", "repository:x:*"]);
        assert_eq!((reply.status, reply.reason), (401, Reason::NoCredentials), "{asked}");
        assert!(reply.header("www-authenticate").unwrap().starts_with("Basic realm="));
    }
}

#[test]
fn attack_15_cache_poisoning() {
    let who = builder("b-1");
    assert_eq!(has(&who, "repository:cache/t1/x:pull,push"), ["repository:cache/t1/x:pull,push"]);
    assert_eq!(has(&who, "repository:cache/global/x:pull,push"), ["repository:cache/global/x:pull"]);
    assert!(has(&who, "repository:cache/t2/x:pull,push").is_empty());
    assert!(has(&who, "repository:cache/t1:pull,push").is_empty(), "** is one or more");
    // A tenant called `global` meets the line before its own.
    let global = Identity::new("x").unwrap().role("builder").unwrap().bind("tenant", "global").unwrap();
    assert_eq!(has(&global, "repository:cache/global/x:pull,push"), ["repository:cache/global/x:pull"]);
}

#[test]
fn attack_16_grants_from_the_tenants_input() {
    // A placeholder takes the identity's value and no other, and that value cannot name more than one component.
    let who = builder("b-1");
    for asked in ["builds/b-2", "builds/{build}", "builds/b-1/x", "builds"] {
        assert!(has(&who, &format!("repository:{asked}:pull")).is_empty(), "{asked}");
    }
    for value in ["*", "**", "a/b", "..", "", "B-1", "a b", "{tenant}", "a%2fb", "a/"] {
        let refused = Identity::new("x").unwrap().bind("build", value);
        assert_eq!(refused.unwrap_err(), IdentityError::Value("build".into()), "{value}");
    }
    assert!(Identity::new("x").unwrap().bind("a", "1").unwrap().bind("a", "2").is_err());
    let unbound = Identity::new("x").unwrap().role("builder").unwrap();
    assert!(has(&unbound, "repository:builds/b-1:pull").is_empty());
}

#[test]
fn attack_17_name_as_the_secret() {
    // The capability travels as a credential, is looked up by its hash, and never gets into a token, a reply or a log.
    let capability = "6f1e0c0b7a5d4e3f2a1b0c9d8e7f6a5b";
    let basic = basic("", capability);
    let fields = [basic.as_str()];
    let call = Call::new("GET", "/token?scope=repository:builds/b-1:pull").authorization(&fields);
    let ask = issuer().read(&call).unwrap();
    use sha2::{Digest as _, Sha256};
    assert_eq!(ask.credential.secret_sha256(), Some(Sha256::digest(capability).into()));
    let until = Time(NOW.0 + 90_000);
    let reply =
        issuer().issue(&ask, &builder("b-1").until(until), &scopes(&["repository:builds/b-1:pull"]), NOW, &[9; 16]);
    assert_eq!(claims_of(&reply)["exp"], SECONDS + 90, "no longer than the capability");
    let all = format!("{call:?} {ask:?} {} {reply:?}", claims_of(&reply));
    assert!(!all.contains(capability) && !all.contains(&basic[6..]), "{all}");
}

#[test]
fn attack_18_escalation_by_star() {
    let may = ["repository:a/b:pull,push"];
    let ask = |scope: &str, may: &[&str]| granted(&issue(&issuer(), &format!("scope={scope}"), &builder("x"), may));
    assert_eq!(ask("repository:a/b:*", &may), ["repository:a/b:pull,push"], "all that it may");
    assert_eq!(ask("repository:a/b:*,pull", &["repository:a/b:*"]), ["repository:a/b:*"], "only where it is allowed");
    assert_eq!(ask("repository:a/b:pull", &["repository:a/b:*"]), ["repository:a/b:pull"]);
    assert_eq!(ask("repository:a/b:admin,pull", &["repository:a/b:*"]), ["repository:a/b:pull"], "known actions only");
    assert!(ask("repository:*:*", &["repository:*:*", "repository:a/b:*"]).is_empty());
    assert!(ask("*", &["*"]).is_empty());
    assert_eq!(ask("repository:a/b:push", &may), ["repository:a/b:pull,push"], "push alone is no use");
    assert!(has(&builder("b-1"), "registry:catalog:*").is_empty());
    let admin = Identity::new("x").unwrap().role("admin").unwrap();
    assert_eq!(has(&admin, "registry:catalog:*"), ["registry:catalog:*"]);
}

#[test]
fn attack_22_unanchored_scope_grammar() {
    let may = ["repository:a/b:pull,push", "registry:catalog:*"];
    for scope in [
        "xrepository:a/b:pull",
        "repository:a/b:pull:x",
        "repository:a/b:pull%0Arepository:a/b:push",
        "repository::a/b:pull",
        "repository:A/b:pull",
        "repository:reg.example/../a/b:pull",
        "repository:a/b",
        "repository(:a/b:pull",
        "repository:a/b:",
        "registry:Catalog:*",
        "aws",
    ] {
        let target = get(&format!("scope={scope}"));
        match issuer().read(&Call::new("GET", &target)) {
            Ok(ask) => assert!(ask.scopes.is_empty(), "{scope}: {:?}", ask.scopes),
            Err(reply) => assert_eq!((reply.status, reply.reason), (400, Reason::Parameter), "{scope}"),
        }
    }
    // A port's colon belongs to the name, which then is none.
    assert!(granted(&issue(&issuer(), "scope=repository:reg.example:5000/a:pull", &builder("x"), &may)).is_empty());
}

#[test]
fn attack_23_huge_requests() {
    let scopes = |count: usize| (0..count).map(|n| format!("scope=repository:r{n}:pull")).collect::<Vec<_>>().join("&");
    let target = get(&scopes(MAX_SCOPES));
    assert_eq!(issuer().read(&Call::new("GET", &target)).unwrap().scopes.len(), MAX_SCOPES);
    let target = get(&scopes(MAX_SCOPES + 1));
    assert_eq!(unread(&Call::new("GET", &target)), (400, Reason::TooLarge), "never cut");
    let target = get(&format!("scope=repository:{}:pull", "a/".repeat(300)));
    assert_eq!(unread(&Call::new("GET", &target)), (400, Reason::TooLarge));
    let body = format!("grant_type=password&password={}", "x".repeat(MAX_REQUEST));
    assert_eq!(unread(&post(&body)), (400, Reason::TooLarge));
    // At the guard: a token of 8 KiB at the most.
    let long = with(serde_json::json!({"x": "y".repeat(MAX_TOKEN)}));
    refused(&token(&header(), &long), Reason::TokenSyntax);
    let many = with(serde_json::Value::Object((0..70).map(|n| (format!("x{n}"), 1.into())).collect()));
    refused(&token(&header(), &many), Reason::TokenClaims);
    let deep = format!("{{\"x\":{}{}", "[".repeat(2000), "]".repeat(2000) + "}");
    refused(&forge(&header().to_string(), &deep, &key()), Reason::TokenClaims);
}

#[test]
fn attack_24_repeated_parameters() {
    for query in [
        "service=reg.example&service=evil",
        "account=a&account=b",
        "client_id=a&client_id=b",
        "service=reg.example&%73ervice=x",
    ] {
        let target = get(query);
        assert_eq!(unread(&Call::new("GET", &target)), (400, Reason::Parameter), "{query}");
    }
    for body in [
        "grant_type=password&grant_type=refresh_token&password=x",
        "grant_type=password&password=x&password=y",
        "grant_type=password&username=a&password=x&scope=a&scope=b",
        "grant_type=password&username=a&password=x&refresh_token=y",
        "grant_type=refresh_token&refresh_token=x&username=a",
        "grant_type=password&username=a",
        "grant_type=password&username=a&password=%zz",
        "grant_type=password&username=a;password=x",
    ] {
        assert_eq!(unread(&post(body)), (400, Reason::Parameter), "{body}");
    }
    // In two places, or with two credentials, or a secret in the URL.
    let body = "grant_type=password&username=a&password=x";
    let twice = Call::new("POST", "/token?service=reg.example").content_type(FORM).body(body.as_bytes());
    assert_eq!(unread(&twice), (400, Reason::Parameter));
    let basic = basic("a", "x");
    assert_eq!(unread(&post(body).authorization(&[&basic])), (400, Reason::Parameter));
    assert_eq!(unread(&Call::new("GET", "/token?username=a&password=x")), (400, Reason::Parameter));
    assert_eq!(unread(&Call::new("GET", "/token").authorization(&[&basic, &basic])), (400, Reason::Authorization));
}

#[test]
fn attack_42_life_larger_than_the_tokens() {
    for (millis, until, left) in [(0, None, 300), (999, None, 300), (1, Some(61_500), 60), (0, Some(60_000), 60)] {
        let now = Time(NOW.0 + millis);
        let mut who = builder("x");
        if let Some(until) = until {
            who = who.until(Time(NOW.0 + until));
        }
        let ask = issuer().read(&Call::new("GET", "/token")).unwrap();
        let reply = issuer().issue(&ask, &who, &[], now, &[9; 16]);
        let expires_in = body(&reply)["expires_in"].as_u64().unwrap();
        assert_eq!(expires_in, left);
        let exp = claims_of(&reply)["exp"].as_u64().unwrap();
        assert!(exp * 1000 >= now.0 + expires_in * 1000, "what is said is left");
        assert!(until.is_none_or(|until| exp * 1000 <= NOW.0 + until), "and no more than the identity has");
    }
    for until in [0, 59_999] {
        let reply = issue(&issuer(), "", &builder("x").until(Time(NOW.0 + until)), &[]);
        assert_eq!((reply.status, reply.reason), (401, Reason::Ending));
    }
    // A certificate's end counts as well.
    let ask = issuer().read(&Call::new("GET", "/token").peer(&peer("b-1"))).unwrap();
    let end = ask.peer.as_ref().and_then(Peer::not_after).unwrap();
    let reply = issuer().issue(&ask, &builder("x"), &[], Time(end.0 - 90_000), &[9; 16]);
    assert_eq!(body(&reply)["expires_in"], 90);
    for ttl in [0, 59, 3601, u64::MAX] {
        assert_eq!(Issuer::new(IssuerConfig { ttl, ..issuer_config() }).unwrap_err(), SetupError::Ttl);
    }
}

#[test]
fn attack_45_timing_and_enumeration() {
    // One answer for an unknown user, a wrong secret and no certificate.
    let answers: Vec<_> = [basic("alice", "wrong"), basic("nobody", "x")]
        .iter()
        .map(|basic| {
            let ask = issuer().read(&Call::new("GET", "/token").authorization(&[basic])).unwrap();
            let reply = issuer().refuse(&ask, Refuse::Credentials);
            (reply.status, reply.headers.clone(), body(&reply))
        })
        .collect();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, 401);
    // Secrets and thumbprints are compared whole (`Secret`'s and `Confirmation`'s own comparisons), and a random
    // secret is looked up by its hash.
    let ask = issuer().read(&Call::new("GET", "/token").authorization(&[&basic("a", "x")])).unwrap();
    assert_eq!(ask.credential.secret(), Some(&regauth::Secret::from("x")));
    assert!(Confirmation::of(&peer("b-1")).is(&peer("b-1")) && !Confirmation::of(&peer("b-1")).is(&peer("b-2")));
}

#[test]
fn attack_46_secrets_in_logs() {
    let basic = basic("alice", "hunter22");
    let fields = [basic.as_str()];
    let call = Call::new("GET", "/token?scope=repository:a/b:pull&client_id=x").authorization(&fields);
    let ask = issuer().read(&call).unwrap();
    let reply = issuer().issue(&ask, &builder("b-1"), &scopes(&["repository:a/b:pull"]), NOW, &[9; 16]);
    let token = reply.token().unwrap();
    let body = "grant_type=refresh_token&refresh_token=hunter23";
    let form = issuer().read(&post(body)).unwrap();
    let refused = denied(pull("eyJhunter24"));
    let log = format!("{call:?}{ask:?}{reply:?}{token:?}{form:?}{:?}{refused:?}{}", post(body), refused.reason);
    for secret in ["hunter", "aHVudGVy", token.expose_str().unwrap(), &basic[6..], "eyJ"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(!String::from_utf8_lossy(refused.body.expose()).contains("eyJ"));
    assert_eq!((refused.reason.as_str(), reply.jti.as_deref()), ("token-syntax", Some("CQkJCQkJCQkJCQkJCQkJCQ")));
}

#[test]
fn attack_48_refresh_token_as_an_eternal_bearer() {
    // None is issued, whoever asks for one; one that comes is a secret for the host to check.
    for query in ["offline_token=true", "access_type=offline&offline_token=true"] {
        let reply = issue(&issuer(), query, &builder("x"), &[]);
        assert!(reply.status == 200 && body(&reply).get("refresh_token").is_none());
    }
    let issuer = issuer();
    let ask = issuer.read(&post("grant_type=refresh_token&refresh_token=r&access_type=offline&client_id=c")).unwrap();
    assert_eq!(ask.credential, Credential::Refresh { secret: "r".into() });
    let reply = issuer.issue(&ask, &builder("x"), &[], NOW, &[9; 16]);
    assert!(body(&reply).get("refresh_token").is_none());
    assert_eq!(body(&reply)["scope"], "", "RFC 6749 section 5.1 wants it where it differs");
    assert_eq!(unread(&post("grant_type=authorization_code&code=x")), (400, Reason::Grant));
    let bearer = format!("Bearer {}", good());
    assert_eq!(unread(&Call::new("GET", "/token").authorization(&[&bearer])), (401, Reason::Scheme));
}

#[test]
fn attack_49_side_effects() {
    // The issuer is a function: the same arguments, the same bytes, and nothing to remember.
    let once = || issue(&issuer(), "scope=repository:new/one:pull,push", &builder("x"), &["repository:new/one:*"]);
    assert_eq!(once().body, once().body);
    let issuer = issuer();
    let first = issue(&issuer, "scope=repository:a:pull", &builder("x"), &["repository:a:*"]);
    issue(&issuer, "scope=repository:b:pull,push", &builder("y"), &["repository:b:*"]);
    assert_eq!(issue(&issuer, "scope=repository:a:pull", &builder("x"), &["repository:a:*"]).body, first.body);
    assert_eq!(unread(&Call::new("DELETE", "/token")), (405, Reason::Method));
}
