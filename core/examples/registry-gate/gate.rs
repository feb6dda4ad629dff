//! One request: to the token endpoint, or past the guard to the registry.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::SystemTime;

use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use regauth::Time;
use regauth::server::{
    Bind, Call, Credential, Guard, GuardConfig, Identity, Issuer, IssuerConfig, KeyRef, MAX_REQUEST, Peer, Policy,
    Refuse, Reply, SigningKey, Template, Verdict,
};

use crate::Error;
use crate::proxy;

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

/// The registry's service: the audience of its tokens, which no other API shares.
const SERVICE: &str = "registry-gate";

pub(crate) struct Gate {
    issuer: Issuer,
    guard: Guard,
    policy: Policy,
    builders: Template,
    registry: SocketAddr,
}

impl Gate {
    pub(crate) fn new(url: &str, policy: &str, bind: Bind, registry: SocketAddr) -> Result<Self, Error> {
        // A key for this process: tokens live five minutes, and a restart ends those of before.
        let key = SigningKey::generate(&random()?)?;
        let mut guard = GuardConfig::new(&format!("{url}/token"), SERVICE, url, vec![key.verifying()]);
        guard.require_bound = bind == Bind::Required;
        let mut issuer = IssuerConfig::new(url, &[SERVICE], key, KeyRef::Thumbprint);
        issuer.bind = bind;
        Ok(Self {
            issuer: Issuer::new(issuer)?,
            guard: Guard::new(guard)?,
            policy: Policy::parse(policy)?,
            builders: Template::parse("spiffe://example.org/tenant/{tenant}/builder/{build}", "builder")?,
            registry,
        })
    }

    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Option<&Peer>,
    ) -> Result<Response<Body>, Infallible> {
        let method = request.method().clone();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_string();
        let path = target.split('?').next().unwrap_or_default();
        let answer = match path {
            "/token" => self.token(request, &target, peer).await,
            "/healthz" => plain(StatusCode::OK, "good\n"),
            _ => self.registry(request, &target, peer).await,
        };
        let answer = answer.unwrap_or_else(|error| {
            eprintln!("{method} {path}: {error}");
            let mut answer = Response::new(full("bad gateway\n"));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        });
        println!("{method} {path} {}", answer.status().as_u16());
        Ok(answer)
    }

    async fn token(
        &self,
        request: Request<Incoming>,
        target: &str,
        peer: Option<&Peer>,
    ) -> Result<Response<Body>, Error> {
        let (head, body) = request.into_parts();
        // One byte more than is allowed, for the issuer to refuse.
        let body = match Limited::new(body, MAX_REQUEST + 1).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n"),
        };
        let fields = Fields::of(&head.headers);
        let authorization = fields.authorization();
        let mut call = fields.call(head.method.as_str(), target, &authorization).body(&body);
        call.peer = peer;
        reply(match self.issuer.read(&call) {
            Err(reply) => reply,
            Ok(ask) => match self.identity(&ask.credential, ask.peer.as_ref()) {
                Some(who) => self.issuer.issue(&ask, &who, &self.policy.may(&who, &ask.scopes), now()?, &random()?),
                None => self.issuer.refuse(&ask, Refuse::Credentials),
            },
        })
    }

    /// Who that is: a builder by its certificate, nobody without one. There are no passwords, so one that is sent is
    /// wrong, and a certificate that is no builder's is not anonymous.
    fn identity(&self, credential: &Credential, peer: Option<&Peer>) -> Option<Identity> {
        match (credential, peer) {
            (Credential::None, Some(peer)) => self.builders.identity(&peer.spiffe().ok()?),
            (Credential::None, None) => Some(Identity::anonymous()),
            _ => None,
        }
    }

    async fn registry(
        &self,
        request: Request<Incoming>,
        target: &str,
        peer: Option<&Peer>,
    ) -> Result<Response<Body>, Error> {
        let fields = Fields::of(request.headers());
        let authorization = fields.authorization();
        let mut call = fields.call(request.method().as_str(), target, &authorization);
        call.peer = peer;
        match self.guard.check(&call, now()?) {
            Verdict::Allow(pass) => {
                println!("{} may: {} by token {}", pass.subject, request.method(), pass.jti.unwrap_or_default());
                proxy::pass_on(request, target, self.registry).await
            }
            Verdict::Deny(denied) => {
                println!("refused: {} {}", denied.reason.as_str(), denied.jti.as_deref().unwrap_or_default());
                reply(denied)
            }
            // Here an API of its own would answer, with its own authentication.
            _ => plain(StatusCode::NOT_FOUND, "not found\n"),
        }
    }
}

/// The fields that a call is made of.
struct Fields {
    authorization: Vec<String>,
    content_type: Option<String>,
}

impl Fields {
    fn of(headers: &HeaderMap) -> Self {
        let all = |name: HeaderName| {
            let values = headers.get_all(name).into_iter();
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect::<Vec<_>>()
        };
        let types = all(CONTENT_TYPE);
        Self { authorization: all(AUTHORIZATION), content_type: (!types.is_empty()).then(|| types.join(", ")) }
    }

    fn authorization(&self) -> Vec<&str> {
        self.authorization.iter().map(String::as_str).collect()
    }

    fn call<'a>(&'a self, method: &'a str, target: &'a str, authorization: &'a [&'a str]) -> Call<'a> {
        let mut call = Call::new(method, target).authorization(authorization);
        call.content_type = self.content_type.as_deref();
        call
    }
}

fn reply(reply: Reply) -> Result<Response<Body>, Error> {
    let mut answer = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        answer = answer.header(*name, value);
    }
    Ok(answer.body(full(Bytes::copy_from_slice(reply.body.expose())))?)
}

fn plain(status: StatusCode, text: &'static str) -> Result<Response<Body>, Error> {
    Ok(Response::builder().status(status).body(full(text))?)
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

fn now() -> Result<Time, Error> {
    Ok(Time(u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
