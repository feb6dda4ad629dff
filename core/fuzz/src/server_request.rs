//! Requests to a registry and to a token endpoint: what is passed by is no registry's to other readers either, what is
//! needed belongs to the path as all of them read it, and no more is granted than was asked for and allowed.

use std::sync::LazyLock;

use regauth::scope::{Scope, covers};
use regauth::server::{Call, Identity, Issuer, IssuerConfig, KeyRef, MAX_SCOPES, Need, SigningKey, Verdict, need};
use regauth::{Reference, Time};

use crate::readers;

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let key = SigningKey::generate(&[7; 32]).expect("a key");
    Issuer::new(IssuerConfig::new("https://auth.example", &["reg.example"], key, KeyRef::Thumbprint)).expect("good")
});

/// Method, target, content type, authorization and body, separated by [`crate::FIELD`].
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(5, |byte| *byte == crate::FIELD);
    let mut text = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (method, target, content_type, authorization) = (text(), text(), text(), text());
    let body = parts.next().unwrap_or_default();
    registry(method, target, content_type);
    token(&Call {
        content_type: Some(content_type),
        ..Call::new(method, target).authorization(&[authorization]).body(body)
    });
    token(&Call { content_type: Some(content_type), ..Call::new(method, target).body(body) });
}

fn registry(method: &str, target: &str, content_type: &str) {
    let call = Call::new(method, target).content_type(content_type);
    let verdict = crate::server_token::GUARD.check(&call, Time(0));
    match need(method, target, Some(content_type)) {
        Need::NotRegistry => {
            assert!(matches!(verdict, Verdict::NotRegistry));
            for path in readers::paths(target) {
                assert!(!readers::is_registry(&path), "{target:?} is {:?}", String::from_utf8_lossy(&path));
            }
        }
        Need::Reject(status) => {
            assert!(matches!(status, 400 | 404 | 405));
            assert!(matches!(verdict, Verdict::Deny(reply) if reply.status == status));
        }
        needed => {
            let Verdict::Deny(reply) = verdict else { panic!("{needed:?} and no token") };
            let challenge = reply.header("www-authenticate").expect("a challenge");
            assert!(reply.status == 401 && challenge.starts_with("Bearer realm=\"https://reg.example/token\""));
            assert!(challenge.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
            if let Need::Scopes(scopes) = needed {
                path(method, target, &scopes);
                for scope in &scopes {
                    assert!(challenge.contains(scope.as_str()), "{challenge}");
                    let (resource, _) = scope.parts().expect("a scope");
                    let name = resource.strip_prefix("repository:").unwrap_or("catalog");
                    assert!(Reference::parse(&format!("reg.example/{name}")).is_ok(), "{name}");
                }
            }
        }
    }
}

/// The first scope's name is what stands behind `/v2/` for every reader, its actions are the method's, and who reads a
/// source of a mount in the query finds it among the scopes.
fn path(method: &str, target: &str, scopes: &[Scope]) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some((name, actions)) = scopes[0].as_str().strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'))
    else {
        assert_eq!((scopes[0].as_str(), path), ("registry:catalog:*", "/v2/_catalog"));
        return;
    };
    for path in readers::paths(target) {
        let path = String::from_utf8(path).expect("ASCII");
        assert!(path.starts_with(&format!("/v2/{name}/")), "{name} for {path}");
    }
    let session = path.rsplit_once("/blobs/uploads/").is_some_and(|(_, id)| !id.contains('/') && !id.is_empty());
    assert_eq!(
        actions,
        match method {
            "GET" | "HEAD" if !session => "pull",
            "DELETE" if !session => "delete",
            _ => "pull,push",
        }
    );
    for source in readers::sources(query) {
        let source = format!("repository:{source}:pull");
        assert!(
            scopes[0].as_str().starts_with(&source) || scopes.iter().any(|scope| scope.as_str() == source),
            "{source}"
        );
    }
}

fn token(call: &Call<'_>) {
    let ask = match ISSUER.read(call) {
        Ok(ask) => ask,
        Err(reply) => {
            assert!(matches!(reply.status, 400 | 401 | 405) && reply.token().is_none());
            return;
        }
    };
    assert!(ask.service == "reg.example" && ask.scopes.len() <= MAX_SCOPES);
    if ask.scopes.is_empty() {
        // Signing takes most of the time.
        return;
    }
    let who = Identity::new("x").expect("an identity");
    // Everything that was asked for, less deleting; and somebody anonymous, to whom all of it is offered.
    let allowed = |actions: &str| -> Vec<Scope> {
        let resource = |scope: &Scope| scope.parts().map(|(resource, _)| format!("{resource}:{actions}"));
        ask.scopes.iter().filter_map(resource).filter_map(|text| Scope::new(&text)).collect()
    };
    for (who, may, most) in [(who, "pull,push", "pull,push"), (Identity::anonymous(), "*", "pull")] {
        let reply = ISSUER.issue(&ask, &who, &allowed(may), Time(1_800_000_000_000), &[9; 16]);
        if reply.status != 200 {
            assert!(matches!(reply.status, 400 | 401) && reply.token().is_none());
            continue;
        }
        let token = reply.token().expect("a token");
        let claims = crate::server_token::VERIFIER
            .verify(token.expose_str().expect("text"), None, Time(1_800_000_000_000))
            .expect("our own token");
        assert!(claims.aud == "reg.example" && claims.sub == who.subject());
        for access in &claims.access {
            let scope = format!("{}:{}:{}", access.kind, access.name, access.actions.join(","));
            let scope = [Scope::new(&scope).expect("a scope")];
            assert!(covers(&allowed(most), &scope), "{scope:?}");
            assert!(access.actions.iter().all(|action| asks(
                call,
                &format!("{}:{}", access.kind, access.name),
                action
            )));
        }
    }
}

/// Whether the text of the request has a scope of this resource with this action, as WHATWG's parser reads forms.
fn asks(call: &Call<'_>, resource: &str, action: &str) -> bool {
    let query = call.target.split_once('?').map_or("", |(_, query)| query);
    let form = if call.method == "GET" { query.as_bytes() } else { call.body };
    url::form_urlencoded::parse(form).filter(|(name, _)| name == "scope").any(|(_, value)| {
        value.split(' ').any(|scope| {
            let Some((have, actions)) = scope.rsplit_once(':') else { return false };
            let have = match (have.find('('), have.find("):")) {
                (Some(open), Some(close)) if open < close => format!("{}{}", &have[..open], &have[close + 1..]),
                _ => have.to_string(),
            };
            let wants = |action: &str| actions.split(',').any(|have| have == action || have == "*");
            have == resource && (wants(action) || (action == "pull" && wants("push")))
        })
    })
}
