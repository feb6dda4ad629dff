//! Flows that end in an error or a refusal: what becomes of those who wait, and what the transcript says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use regauth::error::Reason;
use regauth::tls::{Attempt, Evidence, Identity, Shown};
use regauth::{
    Agent, Answer, Config, Credentials, Dial, Error, ErrorKind, Failure, Fault, Flow, Found, HelperFailure, Hop, Host,
    Mode, Origin, Reference, Route, Rule, Step, Time,
};

const MANIFEST: &str = "https://reg.example/v2/app/manifests/1";
const UPLOAD: &str = "https://reg.example/v2/app/blobs/uploads/";
const CHALLENGE: &str = r#"Bearer realm="https://reg.example/token",service="reg""#;
const NOW: Time = Time(1_800_000_000_000);

fn registry() -> Origin {
    Origin::parse("https://reg.example").unwrap()
}

fn agent(change: impl FnOnce(&mut Config)) -> Agent {
    let mut config = Config::default();
    change(&mut config);
    Agent::new(config).unwrap()
}

fn password() -> Credentials {
    Credentials::Basic { user: "robot".into(), password: "s3cret".into() }
}

fn hop(flow: &mut Flow) -> Option<Hop> {
    match flow.poll(NOW, Waker::noop()) {
        Step::Send(out) => Some(out.hop),
        _ => None,
    }
}

fn answer(flow: &mut Flow, status: u16, name: &str, values: &[&[u8]]) {
    let headers: Vec<_> = values.iter().map(|value| (name, *value)).collect();
    flow.answer(NOW, Answer::new(status, &headers));
}

fn challenge(flow: &mut Flow, challenge: &[u8]) {
    assert_eq!(hop(flow), Some(Hop::Registry));
    answer(flow, 401, "WWW-Authenticate", &[challenge]);
}

fn grant(flow: &mut Flow, now: Time) {
    flow.answer(now, Answer::new(200, &[("a", "b")]).body(br#"{"token":"t0ken","expires_in":300}"#));
}

fn failed(flow: &mut Flow) -> Error {
    match flow.poll(NOW, Waker::noop()) {
        Step::Failed(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

fn transcript(flow: &Flow) -> String {
    let mut text = format!("{flow:?}\n");
    flow.explain(&mut text).unwrap();
    assert!(!text.contains("s3cret") && !text.contains("cm9ib3Q6") && !text.contains("t0ken"), "{text}");
    text
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Nobody goes on anonymously, and who waits for the same look-up is woken and told the same.
#[test]
fn a_helper_that_fails_is_everybodys_answer() {
    let agent = agent(|config| _ = config.ask_for_all(true));
    let mut first = agent.request("GET", MANIFEST).unwrap();
    let mut second = agent.request("GET", MANIFEST).unwrap();
    assert_eq!((hop(&mut first), hop(&mut second)), (Some(Hop::Registry), Some(Hop::Registry)));
    for flow in [&mut first, &mut second] {
        answer(flow, 401, "WWW-Authenticate", &[CHALLENGE.as_bytes()]);
    }
    let woken = Arc::new(Count::default());
    assert!(matches!(first.poll(NOW, Waker::noop()), Step::Credentials(query) if query.registry == registry()));
    assert!(matches!(second.poll(NOW, &Waker::from(Arc::clone(&woken))), Step::Wait { .. }));
    first.credentials(NOW, Err(HelperFailure("the keychain is locked".into())));
    let error = failed(&mut first);
    assert_eq!(error.kind(), &ErrorKind::Helper("the keychain is locked".into()));
    assert_eq!((error.fault(), woken.0.load(Ordering::Relaxed)), (Fault::Local, 1));
    assert_eq!(failed(&mut second), error);
    assert!(transcript(&first).contains("failed: the credential helper failed: the keychain is locked"));
    // Not for long: the user may have unlocked it.
    let mut later = agent.request("GET", MANIFEST).unwrap();
    assert!(matches!(later.poll(Time(NOW.0 + 2000), Waker::noop()), Step::Credentials(_)));
}

/// A token that still lives is used where its renewal fails, also before there is a request.
#[test]
fn a_helper_that_fails_for_a_renewal_leaves_the_old_token_in_use() {
    let agent = agent(|config| _ = config.ask_for_all(true));
    let mut first = agent.request("GET", MANIFEST).unwrap();
    challenge(&mut first, CHALLENGE.as_bytes());
    assert!(matches!(first.poll(NOW, Waker::noop()), Step::Credentials(_)));
    first.credentials(NOW, Ok(Some(Found { credentials: password(), valid_until: Some(NOW) })));
    assert_eq!(hop(&mut first), Some(Hop::Token));
    let headers: [(&str, &str); 0] = [];
    first.answer(NOW, Answer::new(200, &headers).body(br#"{"token":"T1","expires_in":300}"#));
    let mut second = agent.request("GET", MANIFEST).unwrap();
    let late = Time(NOW.0 + 280_000);
    assert!(matches!(second.poll(late, Waker::noop()), Step::Credentials(_)));
    second.credentials(late, Err(HelperFailure("the keychain is locked".into())));
    let Step::Send(out) = second.poll(late, Waker::noop()) else { panic!("{second:?}") };
    assert_eq!(out.header("authorization").unwrap().expose(), b"Bearer T1");
    // One that is found and cannot be sent is the same.
    let mut third = agent.request("GET", MANIFEST).unwrap();
    assert!(matches!(third.poll(late, Waker::noop()), Step::Credentials(_)));
    let credentials = Credentials::Basic { user: "a:b".into(), password: "p".into() };
    third.credentials(late, Ok(Some(Found { credentials, valid_until: None })));
    let Step::Send(out) = third.poll(late, Waker::noop()) else { panic!("{third:?}") };
    assert_eq!(out.header("authorization").unwrap().expose(), b"Bearer T1");
}

/// What a challenge says goes into a URL and a form: control characters and bytes that are no text are refused.
#[test]
fn challenges_that_are_not_used() {
    let auth = Origin::parse("https://auth.example").unwrap();
    for (parameters, origin) in [
        (&b"service=\"a\x01b\""[..], Some(&auth)),
        (b"service=s,scope=\"repository:app:pull\x7f\"", Some(&auth)),
        (b"service=s,scope=\"repository:\xff:pull\"", Some(&auth)),
    ] {
        let agent = agent(|config| _ = config.credentials(registry(), password()));
        let mut flow = agent.request("GET", MANIFEST).unwrap();
        let field = [&b"Bearer realm=\"https://auth.example/token\","[..], parameters].concat();
        challenge(&mut flow, &field);
        let error = failed(&mut flow);
        assert_eq!(error.kind(), &ErrorKind::Denied(Reason::Challenge), "{}", field.escape_ascii());
        assert_eq!((error.hop(), error.origin(), error.fault()), (Some(Hop::Token), origin, Fault::Policy));
    }
}

/// A realm that is no URL is named without what may be a secret: neither query nor user.
#[test]
fn a_realm_that_is_no_url_is_named() {
    for (realm, shown) in [
        ("Registry Realm", "Registry Realm"),
        ("auth.example/token?key=s3cret", "auth.example/token"),
        ("auth.example:5001/token#s3cret", "auth.example:5001/token"),
        ("robot:1s3cret@auth.example/token", "…@auth.example/token"),
    ] {
        let agent = agent(|config| _ = config.credentials(registry(), password()));
        let mut flow = agent.request("GET", MANIFEST).unwrap();
        challenge(&mut flow, format!("Bearer realm=\"{realm}\"").as_bytes());
        let error = failed(&mut flow);
        assert_eq!(error.kind(), &ErrorKind::Realm { realm: shown.into() });
        assert_eq!((error.hop(), error.fault()), (Some(Hop::Registry), Fault::Registry));
        transcript(&flow);
    }
}

#[test]
fn redirects_that_are_not_followed() {
    for values in [&[&b"/\xff"[..]][..], &[b"/a", b"/b"], &[b"", b"/b"]] {
        let mut flow = agent(|_| {}).request("GET", MANIFEST).unwrap();
        assert_eq!(hop(&mut flow), Some(Hop::Registry));
        answer(&mut flow, 307, "Location", values);
        let error = failed(&mut flow);
        assert_eq!(error.kind(), &ErrorKind::Denied(Reason::Location));
        assert_eq!(error.hop(), Some(Hop::Redirect));
    }
    // The same one twice is one; none at all is the application's answer.
    let mut flow = agent(|_| {}).request("GET", MANIFEST).unwrap();
    assert_eq!(hop(&mut flow), Some(Hop::Registry));
    answer(&mut flow, 307, "Location", &[b"/a", b"/a"]);
    assert_eq!(hop(&mut flow), Some(Hop::Redirect));
    answer(&mut flow, 307, "Location", &[b""]);
    assert!(matches!(flow.poll(NOW, Waker::noop()), Step::Done));
    assert_eq!(flow.status(), Some(307));
}

/// A refused mount is told from a refused upload: the blob can be uploaded instead.
#[test]
fn a_mount_that_is_denied() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for (method, query, status, denied) in [
        ("POST", format!("?mount={digest}&from=base"), 403, true),
        ("POST", format!("?mount={digest}&from=base"), 400, false),
        ("POST", format!("?mount={digest}&from=base"), 202, false),
        ("POST", String::new(), 403, false),
        ("GET", format!("?mount={digest}&from=base"), 403, false),
    ] {
        let mut flow = agent(|_| {}).request(method, &format!("{UPLOAD}{query}")).unwrap();
        assert_eq!(hop(&mut flow), Some(Hop::Registry));
        answer(&mut flow, status, "a", &[]);
        assert!(matches!(flow.poll(NOW, Waker::noop()), Step::Done));
        assert_eq!((flow.mount_denied(), flow.status()), (denied, Some(status)), "{method} {query}");
        let line = "  the mount is denied: upload the blob instead\n";
        assert_eq!(transcript(&flow).contains(line), denied);
        assert_eq!(flow.anchor(), &registry());
    }
}

/// No address is allowed in advance, and a refused one is in the transcript.
#[test]
fn addresses_are_asked_for_with_a_request() {
    let agent = agent(|_| {});
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    let early = flow.dial(Dial::Ip([198, 51, 100, 7].into())).unwrap_err();
    assert_eq!(early.fault(), Fault::Local);
    assert_eq!(hop(&mut flow), Some(Hop::Registry));
    let metadata = flow.dial(Dial::Ip([169, 254, 169, 254].into())).unwrap_err();
    assert_eq!(metadata.kind(), &ErrorKind::Address(Some([169, 254, 169, 254].into())));
    flow.dial(Dial::Ip([198, 51, 100, 7].into())).unwrap();
    flow.failed(NOW, Failure::AddressRefused, None);
    assert_eq!(failed(&mut flow).fault(), Fault::Policy);
    let text = transcript(&flow);
    assert!(text.contains("  address 169.254.169.254: refused\n  address 198.51.100.7\n"), "{text}");
}

/// Where credentials come from, and where they go, step by step.
#[test]
fn the_transcript_says_where_credentials_come_from() {
    let named = Rule::registry(registry()).provenance("config.json:2 (auths.reg.example)");
    let told = |agent: &Agent, found: Option<Credentials>, field: &str| {
        let mut flow = agent.request("GET", MANIFEST).unwrap();
        challenge(&mut flow, field.as_bytes());
        if let Step::Credentials(_) = flow.poll(NOW, Waker::noop()) {
            flow.credentials(NOW, Ok(found.map(|credentials| Found { credentials, valid_until: None })));
        }
        _ = hop(&mut flow);
        transcript(&flow)
    };
    let asks = || agent(|config| _ = config.ask_for_all(true));
    let elsewhere = r#"Bearer realm="https://auth.example/token",service="s""#;
    for (agent, found, field, line) in [
        (
            agent(|config| _ = config.credentials_for(named, password())),
            None,
            CHALLENGE,
            "  a password from config.json:2 (auths.reg.example)\n",
        ),
        (asks(), Some(password()), CHALLENGE, "  found a password of robot\n"),
        (asks(), Some(Credentials::Refresh("s3cret".into())), CHALLENGE, "  found a refresh token\n"),
        (asks(), None, CHALLENGE, "  the look-up found nothing: goes on anonymously\n"),
        (agent(|_| {}), None, "Basic realm=x", "  no credentials are configured: goes on anonymously\n"),
        (
            agent(|config| _ = config.mode(Mode::AnyHttps).credentials(registry(), password())),
            None,
            elsewhere,
            "  mode any-https: credentials go to a host that is not paired\n",
        ),
        (
            agent(|_| {}),
            None,
            "Bearer realm=\"/token\" service=s,scope=\"repository:app:pull",
            "  the challenge breaks the grammar in 2 places, the first at byte 22\n",
        ),
    ] {
        let text = told(&agent, found, field);
        assert!(text.contains(line), "{line}{text}");
    }
}

/// The next certificate is tried with leave, after a refusal, and if it would do; the transcript says so.
#[test]
fn the_next_certificate_is_tried_by_leave_only() {
    use Attempt::{Answered, Failed};
    let refused = Failed(Failure::CertificateRejected);
    let evidence = |accepted| {
        let mut evidence = Evidence::default();
        evidence.shown = Shown::Pair { label: "old.crt".into(), issuer: "CN=A".into() };
        (evidence.pair, evidence.next, evidence.accepted) = (Some(0), Some(1), accepted);
        evidence
    };
    for (pairs, on_status, accepted, ended, next) in [
        (true, false, false, refused, Some(1)),
        (true, false, false, Failed(Failure::CertificateRequired), Some(1)),
        (true, false, true, refused, None),
        (true, true, false, Failed(Failure::Timeout), None),
        (true, false, true, Answered(403), None),
        (false, true, true, Answered(403), Some(1)),
        (false, true, true, Answered(401), None),
        (false, true, true, Answered(200), None),
        (false, true, false, refused, None),
    ] {
        let agent = agent(|config| {
            let mut host = Host::default();
            host.identities = vec![Identity::named("old.crt", [1; 32]), Identity::named("new.crt", [2; 32])];
            (host.try_pairs, host.try_pairs_on_status) = (pairs, on_status);
            config.host(registry(), host);
        });
        let mut flow = agent.request("GET", MANIFEST).unwrap();
        let Step::Send(out) = flow.poll(NOW, Waker::noop()) else { panic!("nothing is sent") };
        let profile = agent.profile(out.tls).unwrap();
        assert_eq!(profile.retry(&evidence(accepted), ended), next, "{pairs} {on_status} {accepted} {ended:?}");
        flow.retried(&evidence(accepted), ended);
        let why = match ended {
            Answered(status) => format!("the answer is {status}"),
            _ => "TLS refused it".into(),
        };
        let line = format!("  old.crt was shown and {why}: the next certificate is tried\n");
        assert!(transcript(&flow).contains(&line));
    }
}

/// A renewal that fails costs nobody the token that is still good.
#[test]
fn a_renewal_that_fails_keeps_the_old_token() {
    let agent = agent(|config| _ = config.credentials(registry(), password()));
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    challenge(&mut flow, CHALLENGE.as_bytes());
    assert_eq!(hop(&mut flow), Some(Hop::Token));
    grant(&mut flow, NOW);
    assert_eq!(hop(&mut flow), Some(Hop::Registry));
    let near = Time(NOW.0 + 290_000);
    let mut renewal = agent.request("GET", MANIFEST).unwrap();
    assert!(matches!(renewal.poll(near, Waker::noop()), Step::Send(out) if out.hop == Hop::Token));
    renewal.failed(near, Failure::Timeout, None);
    let Step::Send(out) = renewal.poll(near, Waker::noop()) else { panic!("failed with a good token") };
    assert_eq!(out.header("Authorization").unwrap().expose(), b"Bearer t0ken");
    let text = transcript(&renewal);
    assert!(text.contains("  the renewal failed, the old token is still good\n"), "{text}");
}

/// The duty of a renewal in the background goes to a request that needs the token; then nothing is left to do.
#[test]
fn a_renewal_that_comes_too_late_is_done() {
    let agent = agent(|config| _ = config.credentials(registry(), password()));
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    challenge(&mut flow, CHALLENGE.as_bytes());
    assert_eq!(hop(&mut flow), Some(Hop::Token));
    grant(&mut flow, NOW);
    let near = Time(NOW.0 + 290_000);
    let mut renewal = agent.due(near).unwrap();
    let late = Time(near.0 + 60_000);
    let mut needs = agent.request("GET", MANIFEST).unwrap();
    assert!(matches!(needs.poll(late, Waker::noop()), Step::Send(out) if out.hop == Hop::Token), "the lease is over");
    assert!(matches!(renewal.poll(late, Waker::noop()), Step::Done));
    grant(&mut needs, late);
    assert!(matches!(needs.poll(late, Waker::noop()), Step::Send(out) if out.hop == Hop::Registry));
}

/// An API at another path does not name the repository in a way that is known, so the scope comes from the endpoint.
#[test]
fn an_endpoint_asks_for_what_its_method_needs() {
    let agent = || {
        agent(|config| {
            let mut route = Route::mirror(Origin::parse("https://m.example").unwrap());
            route.root = "/artifactory/docker".into();
            config.routes(Some(registry()), vec![route, Route::registry(None)]);
        })
    };
    let image = Reference::parse("reg.example/app").unwrap();
    assert!(agent().endpoints(&image, regauth::Capability::Push).iter().all(|endpoint| !endpoint.mirror));
    for (method, actions) in
        [("GET", "pull"), ("HEAD", "pull"), ("DELETE", "delete"), ("PUT", "pull,push"), ("POST", "pull,push")]
    {
        let agent = agent();
        let mirror = &agent.endpoints(&image, regauth::Capability::Pull)[0];
        let mut flow = mirror.request(&agent, method, "manifests/1").unwrap();
        let Step::Send(out) = flow.poll(NOW, Waker::noop()) else { panic!("nothing is sent") };
        assert_eq!(out.url.to_string(), "https://m.example/artifactory/docker/app/manifests/1");
        let realm = "Bearer realm=\"https://m.example/token\",service=s";
        answer(&mut flow, 401, "WWW-Authenticate", &[realm.as_bytes()]);
        let Step::Send(out) = flow.poll(NOW, Waker::noop()) else { panic!("no token request") };
        let scope = format!("scope=repository%3Aapp%3A{}", actions.replace(',', "%2C"));
        assert!(out.url.to_string().ends_with(&scope), "{} {scope}", out.url);
    }
}
