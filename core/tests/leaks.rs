//! Whatever servers answer, nothing that is secret reaches an origin that it is not for: conversations at random, and a
//! judge that knows the table of the policy but not the library's way to it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test

use std::task::Waker;

use regauth::{
    Agent, Answer, Body, Config, Credentials, Flow, Found, Hop, Host, Identity, Mode, Origin, Outgoing, Pair, PairKind,
    Step, Time,
};

const ANCHOR: &str = "https://reg.example";
const OTHER_PORT: &str = "https://reg.example:8443";
const AUTH: &str = "https://auth.example";
const BLOBS: &str = "https://blobs.example";
/// Another registry, a host with an entry and no pair, one without an entry, and what nobody may go to.
const ELSEWHERE: [&str; 3] = ["https://reg2.example", "https://cdn.example", "https://evil.example"];
const NEVER: [&str; 4] =
    ["http://reg.example", "https://127.0.0.1:5000", "https://10.0.0.5", "https://[::ffff:169.254.169.254]"];
const CANARIES: [&str; 6] = ["pw-canary", "dTpwdy1jYW5hcnk=", "ref-canary", "tok-canary", "pre-canary", "head-canary"];

struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A URL reference, well-formed or not.
    fn reference(&mut self) -> String {
        let origins = [&[ANCHOR, ANCHOR, OTHER_PORT, AUTH, BLOBS, BLOBS], &ELSEWHERE[..], &NEVER[..]].concat();
        let origin = self.one(&origins);
        let host = origin.split_once("//").unwrap().1;
        match self.below(14) {
            0 => "/next".into(),
            1 => "next?a=1#b".into(),
            2 => format!("//{host}/x"),
            3 => format!("/\\{host}/x"),
            4 => origin.to_uppercase(),
            5 => format!("https://u:p@{host}/x"),
            6 => format!("{host}/x"),
            7 => format!("{origin}.:443/x"),
            8 => "#x".into(),
            9 => format!("{origin}?x=1"),
            _ => format!("{origin}/x"),
        }
    }
}

struct World {
    agent: Agent,
    any_https: bool,
    /// Requests; those with a token, with a password for the paired host, with the storage's identity.
    seen: [usize; 4],
}

fn world(random: &mut Random) -> World {
    let mut config = Config::default();
    let origin = |text: &str| Origin::parse(text).unwrap();
    for (text, label) in [
        (ANCHOR, "reg"),
        (AUTH, "auth"),
        (BLOBS, "blobs"),
        (ELSEWHERE[0], "reg2"),
        (ELSEWHERE[1], "cdn"),
        (NEVER[1], "local"),
    ] {
        let mut host = Host::default();
        host.identities.push(Identity::named(label, [0; 32]));
        host.headers.push(("X-Who".into(), std::sync::Arc::new(format!("head-canary-{label}").as_str().into())));
        config.host(origin(text), host);
    }
    config.pair(Pair::new(origin(ANCHOR), PairKind::Token, origin(AUTH)));
    config.pair(Pair::new(origin(ANCHOR), PairKind::Storage, origin(BLOBS)));
    config.credentials(origin(ELSEWHERE[0]), basic());
    match random.below(5) {
        0 => config.credentials(origin(ANCHOR), Credentials::Refresh("ref-canary".into())),
        1 => config.credentials(origin(ANCHOR), Credentials::Bearer("pre-canary".into())),
        2 => config.ask(origin(ANCHOR)),
        3 => &mut config,
        _ => config.credentials(origin(ANCHOR), basic()),
    };
    let any_https = random.below(4) == 0;
    config.mode(if any_https { Mode::AnyHttps } else { Mode::Strict });
    config.password_post(random.below(2) == 0).offline_token(random.below(2) == 0);
    World { agent: Agent::new(config).unwrap(), any_https, seen: [0; 4] }
}

fn basic() -> Credentials {
    Credentials::Basic { user: "u".into(), password: "pw-canary".into() }
}

/// Where a request has been since its start.
#[derive(Default)]
struct Been {
    origins: Vec<String>,
    /// It is nowhere that anybody knows.
    lost: bool,
    token: String,
}

/// What goes out, as far as it matters.
fn carried(out: &Outgoing) -> (Option<&'static str>, Option<&str>, Option<String>) {
    let secret = match (&out.body, out.header("authorization")) {
        (Body::Form(_), None) => Some("form"),
        (_, None) => None,
        (_, Some(value)) if value.expose().starts_with(b"Basic ") => Some("basic"),
        (_, Some(value)) if value.expose().starts_with(b"Bearer ") => Some("bearer"),
        _ => panic!("two proofs, or none that is known"),
    };
    let headers = out.header("x-who").map(|value| String::from_utf8(value.expose().to_vec()).unwrap());
    (secret, out.identity.as_deref(), headers)
}

fn judge(world: &mut World, start: Hop, out: &Outgoing, been: &mut Been) {
    let at = out.url.origin().to_string();
    assert!(!NEVER.iter().any(|never| Origin::parse(never).unwrap().to_string() == at), "{at}");
    let (secret, identity, headers) = carried(out);
    let all = (secret, identity, headers.as_deref());
    let now = [true, secret == Some("bearer"), at == AUTH && secret.is_some(), identity == Some("blobs")];
    world.seen.iter_mut().zip(now).for_each(|(count, now)| *count += usize::from(now));
    if out.hop.is_token() {
        assert!(out.hop == Hop::Token || been.token == at, "led from {} to {at}", been.token);
        let password = matches!(secret, None | Some("form" | "basic"));
        let fine = match at.as_str() {
            ANCHOR => password && identity == Some("reg") && headers.as_deref() == Some("head-canary-reg"),
            OTHER_PORT => password && identity == Some("reg") && headers.is_none(),
            AUTH => password && identity == Some("auth") && headers.as_deref() == Some("head-canary-auth"),
            _ => password && (secret.is_none() || world.any_https) && identity.is_none() && headers.is_none(),
        };
        assert!(fine, "token at {at}: {all:?}");
        been.token = at;
        return;
    }
    if out.hop == start {
        *been = Been::default();
    }
    let same = |origin: &str| been.origins.iter().all(|known| known == origin);
    let stayed = same(ANCHOR) && !been.lost && start != Hop::Layer;
    let stored = been.origins.iter().skip_while(|known| *known == ANCHOR).all(|known| known == BLOBS);
    if stayed && at == ANCHOR {
        assert!(secret != Some("form") && identity == Some("reg"), "{all:?}");
        assert_eq!(headers.as_deref(), Some("head-canary-reg"));
    } else if at == BLOBS && stored && !been.lost && start != Hop::Layer {
        assert_eq!(all, (None, Some("blobs"), Some("head-canary-blobs")), "{:?}", been.origins);
    } else {
        assert_eq!(all, (None, None, None), "{} at {at} after {:?}", out.hop, been.origins);
    }
    let body = out.hop == Hop::Redirect && !matches!(out.method.as_str(), "GET" | "HEAD");
    assert!(!body || start == Hop::Upload || been.origins.last() == Some(&at), "a body goes to {at}");
    been.origins.push(at);
}

fn answer(random: &mut Random, flow: &mut Flow, now: Time, been: &mut Been, token: bool) {
    let realm = random.reference();
    let error = random.one(&["", ",error=\"invalid_token\"", ",error=\"insufficient_scope\""]);
    let scope = random.one(&["repository:app:pull", "aws"]);
    let challenge = match random.below(4) {
        0 => "Basic realm=x".to_string(),
        1 => {
            let realm = random.one(&["/token", "https://auth.example/token"]);
            format!("Bearer realm=\"{realm}\",service=s,scope=\"{scope}\"{error}")
        }
        _ => format!("Bearer realm=\"{}\",scope=\"{scope}\"{error}", realm.replace('\\', "\\\\")),
    };
    let headers = [("WWW-Authenticate", challenge), ("Location", random.reference()), ("Retry-After", "1".into())];
    let statuses: &[u16] = if token {
        &[200, 200, 200, 200, 307, 307, 302, 401, 404, 503]
    } else {
        &[200, 401, 401, 401, 302, 303, 307, 307, 308, 403]
    };
    let status = statuses[random.below(statuses.len())];
    let mut reply =
        Answer::new(status, &headers).body(br#"{"token":"tok-canary","refresh_token":"ref-canary","expires_in":9}"#);
    let effective = random.reference();
    if random.below(12) == 0 {
        reply = reply.url(Some(&effective));
        if !token {
            match Origin::parse(&effective) {
                Ok(origin) => been.origins.push(origin.to_string()),
                Err(_) => been.lost = true,
            }
        }
    }
    flow.answer(now, reply);
}

fn is_hidden(text: &str) {
    let shown = CANARIES.iter().find(|canary| text.contains(**canary));
    assert!(shown.is_none(), "{shown:?} in {text}");
}

fn converse(random: &mut Random, world: &mut World, now: &mut Time) {
    let start = [Hop::Registry, Hop::Registry, Hop::Upload, Hop::Layer][random.below(4)];
    let method = random.one(&["GET", "HEAD", "PUT", "PATCH"]);
    let url = format!("{ANCHOR}/v2/app/manifests/{}", random.below(3));
    let mut flow = match start {
        Hop::Registry => world.agent.request(method, &url).unwrap(),
        hop => {
            let by = regauth::Referrer::registry(Origin::parse(ANCHOR).unwrap());
            let named = if random.below(2) == 0 { url } else { format!("{}/x", random.one(&[BLOBS, ELSEWHERE[1]])) };
            world.agent.referred(&by, hop, method, &named).unwrap()
        }
    };
    let (mut been, mut sent) = (Been::default(), 0);
    loop {
        *now = now.plus_millis(u64::try_from(random.below(3000)).unwrap());
        let step = flow.poll(*now, Waker::noop());
        is_hidden(&format!("{step:?}"));
        match step {
            Step::Send(out) => {
                sent += 1;
                assert!(sent < 150, "it does not end");
                judge(world, start, out, &mut been);
                let token = out.hop.is_token();
                answer(random, &mut flow, *now, &mut been, token);
            }
            Step::Credentials(_) => {
                let found = Found { credentials: basic(), valid_until: None };
                flow.credentials(*now, Ok((random.below(3) > 0).then_some(found)));
            }
            Step::Wait { until, .. } => *now = until,
            Step::Failed(error) => {
                is_hidden(&error.to_string());
                break;
            }
            _ => break,
        }
    }
    let mut transcript = String::new();
    flow.explain(&mut transcript).unwrap();
    is_hidden(&transcript);
}

#[test]
fn nothing_reaches_an_origin_that_it_is_not_for() {
    let mut random = Random(20_261_126);
    let mut seen = [0; 4];
    for _ in 0..if cfg!(miri) { 5 } else { 5_000 } {
        let mut world = world(&mut random);
        let mut now = Time(1_795_341_600_000);
        for _ in 0..6 {
            converse(&mut random, &mut world, &mut now);
        }
        seen.iter_mut().zip(world.seen).for_each(|(count, more)| *count += more);
    }
    assert!(cfg!(miri) || seen.iter().all(|count| *count >= 500), "{seen:?}");
}
