//! A registry and its token service, in memory. What a request needs is worked out here anew: a judge that used the
//! library's own rules would agree with its mistakes.

use std::collections::{HashMap, HashSet};

use regauth::Time;

/// What a server sees of a request.
pub(crate) struct Request {
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// What the servers counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) refused: usize,
    pub(crate) mounted: usize,
    /// One for each token request: how many scopes it asked for.
    pub(crate) tokens: Vec<usize>,
}

struct Issued {
    allowed: HashSet<(String, String)>,
    until: Time,
}

pub(crate) struct Server {
    /// The host of the registry, and the URL that its challenge names.
    pub(crate) registry: String,
    pub(crate) realm: String,
    /// Seconds that a token for this scope lives.
    pub(crate) life: fn(&str) -> u64,
    pub(crate) seen: Seen,
    issued: HashMap<String, Issued>,
    number: usize,
}

impl Server {
    pub(crate) fn new(registry: &str, realm: &str) -> Self {
        Self {
            registry: registry.into(),
            realm: realm.into(),
            life: |_| 300,
            seen: Seen::default(),
            issued: HashMap::new(),
            number: 0,
        }
    }

    /// All tokens so far are refused from now on.
    pub(crate) fn revoke(&mut self) {
        self.issued.clear();
    }

    pub(crate) fn answer(&mut self, now: Time, request: &Request) -> Reply {
        self.seen.requests += 1;
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        if self.realm == format!("https://{}{path}", request.host) {
            return self.token(now, query, request.authorization.as_deref());
        }
        assert_eq!(request.host, self.registry, "nothing else is asked");
        let needed = needed(&request.method, path);
        let bearer = request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
        let token = bearer.and_then(|token| self.issued.get(token)).filter(|token| now < token.until);
        let Some(token) = token.filter(|token| needed.is_subset(&token.allowed)) else {
            self.seen.refused += 1;
            let error = if bearer.is_some() { ",error=\"invalid_token\"" } else { "" };
            let scope: Vec<String> = needed.iter().map(|(name, _)| name.clone()).take(1).collect();
            let actions = if request.method == "GET" { "pull" } else { "pull,push" };
            let challenge = format!(
                "Bearer realm=\"{}\",service=\"reg\",scope=\"repository:{}:{actions}\"{error}",
                self.realm, scope[0]
            );
            return Reply { status: 401, headers: vec![("WWW-Authenticate", challenge)], body: "{}".into() };
        };
        let status = match request.method.as_str() {
            "GET" => 200,
            "POST" => {
                let from = query.split('&').find_map(|pair| pair.strip_prefix("from=")).unwrap_or_default();
                let may_mount = token.allowed.contains(&(from.into(), "pull".into()));
                self.seen.mounted += usize::from(may_mount);
                if may_mount { 201 } else { 202 }
            }
            _ => 201,
        };
        Reply { status, headers: Vec::new(), body: String::new() }
    }

    fn token(&mut self, now: Time, query: &str, authorization: Option<&str>) -> Reply {
        assert_eq!(authorization, Some("Basic dTpw"), "the password of this registry");
        let scopes: Vec<String> = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("scope="))
            .map(|scope| scope.replace("%3A", ":").replace("%2C", ",").replace("%2F", "/"))
            .collect();
        self.seen.tokens.push(scopes.len());
        let life = (self.life)(&scopes[0]);
        let mut allowed = HashSet::new();
        for scope in scopes {
            let mut parts = scope.split(':');
            let (kind, name, actions) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
            assert_eq!((kind, parts.next()), (Some("repository"), None), "{scope}");
            allowed.extend(actions.split(',').map(|action| (name.to_string(), action.to_string())));
        }
        self.number += 1;
        let token = format!("token-{}", self.number);
        self.issued.insert(token.clone(), Issued { allowed, until: now.plus_seconds(life) });
        let body = format!(r#"{{"token":"{token}","expires_in":{life}}}"#);
        Reply { status: 200, headers: Vec::new(), body }
    }
}

/// Repository and action: to read needs `pull`, all else `push` too.
fn needed(method: &str, path: &str) -> HashSet<(String, String)> {
    let rest = path.strip_prefix("/v2/").unwrap();
    let end = rest.find("/manifests/").or_else(|| rest.find("/blobs/")).unwrap();
    let actions: &[&str] = if method == "GET" { &["pull"] } else { &["pull", "push"] };
    actions.iter().map(|action| (rest[..end].to_string(), (*action).to_string())).collect()
}
