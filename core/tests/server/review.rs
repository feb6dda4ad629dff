//! The findings of a public review, <https://github.com/kernel/hypeman/pull/74>, as tests.

use regauth::Origin;
use regauth::server::*;

use crate::support::*;

#[test]
fn anonymous_push_to_cache() {
    for line in ["* cache/* pull,push", "anonymous cache/* pull,push", "* cache/** *"] {
        assert_eq!(Policy::parse(line).unwrap_err().what, Flaw::Anonymous, "{line}");
    }
    let policy = Policy::parse("* cache/* pull").unwrap();
    let who = Identity::anonymous();
    let issuer = issuer();
    let asked = issuer.read(&Call::new("GET", "/token?scope=repository:cache/x:pull,push")).unwrap();
    let reply = issuer.issue(&asked, &who, &policy.may(&who, &asked.scopes), NOW, &[9; 16]);
    assert_eq!(granted(&reply), ["repository:cache/x:pull"]);
    let token = reply.token().unwrap();
    let token = token.expose_str();
    allowed(ask(&guard(), "GET", "/v2/cache/x/manifests/latest", token, None));
    for (method, target) in [("PUT", "/v2/cache/x/manifests/latest"), ("POST", "/v2/cache/x/blobs/uploads/")] {
        assert_eq!(why(ask(&guard(), method, target, token, None)), (401, Reason::Scope));
        assert_eq!(why(ask(&guard(), method, target, None, None)), (401, Reason::NoToken));
    }
    let call = Call::new("PUT", "/v2/cache/x/manifests/latest");
    assert_eq!(why(guard().check_direct(&call, &who, &policy)), (403, Reason::Denied));
}

#[test]
fn registry_token_at_another_api() {
    let reply = issue(&issuer(), "scope=repository:a/b:pull,push", &builder("b-1"), &["repository:a/b:pull,push"]);
    let token = reply.token().unwrap();
    let api = Verifier::new(ISSUER, "api.example", vec![key().verifying()]).unwrap();
    assert_eq!(api.verify(token.expose_str().unwrap(), None, NOW), Err(Reason::TokenAudience));
    // Nor does the guard say anything about the API's paths, whatever token comes with them.
    let verdict = ask(&guard(), "POST", "/instances", token.expose_str(), None);
    assert!(matches!(verdict, Verdict::NotRegistry));
}

#[test]
fn challenge_on_a_non_registry_path() {
    for target in ["/instances", "/", "/healthz", "/v2beta/x", "/token"] {
        assert!(matches!(guard().check(&Call::new("GET", target), NOW), Verdict::NotRegistry), "{target}");
    }
    denied(guard().check(&Call::new("GET", "/v2/"), NOW));
}

#[test]
fn upper_case_scheme() {
    let guard = |realm: &str| Guard::new(GuardConfig::new(realm, SERVICE, ISSUER, vec![key().verifying()])).unwrap();
    for realm in ["HTTPS://reg.example/token", "Https://REG.example:443/token"] {
        let reply = denied(guard(realm).check(&Call::new("GET", "/v2/"), NOW));
        assert_eq!(
            reply.header("www-authenticate").unwrap(),
            format!("Bearer realm=\"{REALM}\",service=\"{SERVICE}\"")
        );
    }
    assert_eq!(Origin::parse("HTTPS://reg.example").unwrap(), Origin::parse("https://reg.example/").unwrap());
}
