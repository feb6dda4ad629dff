//! Flows of one agent in virtual time: many waiters, lost leaders, clocks that jump, hosts that misuse.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use regauth::{
    Agent, Answer, Config, Credentials, ErrorKind, Failure, Fault, Flow, Found, Hop, Host, Identity, Origin, Redirects,
    Step, Time,
};

const REGISTRY: &str = "https://reg.example";
const MANIFEST: &str = "https://reg.example/v2/app/manifests/1";
const CHALLENGE: &str = r#"Bearer realm="https://reg.example/token",service="reg",scope="repository:app:pull""#;
const NOW: Time = Time(1_795_341_600_000);

fn registry() -> Origin {
    Origin::parse(REGISTRY).unwrap()
}

fn config() -> Config {
    let mut config = Config::default();
    config.credentials(registry(), Credentials::Basic { user: "u".into(), password: "pw-canary".into() });
    config
}

fn agent() -> Agent {
    Agent::new(config()).unwrap()
}

fn answer(flow: &mut Flow, now: Time, status: u16, headers: &[(&str, &str)], body: &str) {
    flow.answer(now, Answer::new(status, &headers).body(body.as_bytes()));
}

fn grant(flow: &mut Flow, now: Time, token: &str, seconds: u64) {
    answer(flow, now, 200, &[], &format!(r#"{{"token":"{token}","expires_in":{seconds}}}"#));
}

/// Polls, and says which hop goes out.
fn hop(flow: &mut Flow, now: Time) -> Option<Hop> {
    match flow.poll(now, Waker::noop()) {
        Step::Send(out) => Some(out.hop),
        _ => None,
    }
}

/// All send their first request, bare; then all get the challenge.
fn challenge<'a>(flows: impl IntoIterator<Item = &'a mut Flow>, now: Time) {
    let mut sent: Vec<&mut Flow> = flows.into_iter().collect();
    for flow in &mut sent {
        assert_eq!(hop(flow, now), Some(Hop::Registry));
    }
    sent.into_iter().for_each(|flow| answer(flow, now, 401, &[("WWW-Authenticate", CHALLENGE)], ""));
}

/// An agent that has a token `T` for `app`, received at [`NOW`].
fn warm(seconds: u64) -> Agent {
    let agent = agent();
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    challenge([&mut flow], NOW);
    assert_eq!(hop(&mut flow, NOW), Some(Hop::Token));
    grant(&mut flow, NOW, "T", seconds);
    assert_eq!(hop(&mut flow, NOW), Some(Hop::Registry));
    answer(&mut flow, NOW, 200, &[], "");
    assert_eq!(flow.status(), Some(200));
    agent
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn ten_thousand_cold_flows_run_one_helper_and_one_token_request() {
    let mut config = Config::default();
    config.ask(registry());
    let agent = Agent::new(config).unwrap();
    let woken = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&woken));
    let many = if cfg!(miri) { 100 } else { 10_000 };
    let mut flows: Vec<Flow> = (0..many).map(|_| agent.request("GET", MANIFEST).unwrap()).collect();
    challenge(&mut flows, NOW);
    let (mut lookups, mut tokens) = (0, 0);
    for flow in &mut flows {
        match flow.poll(NOW, &waker) {
            Step::Credentials(_) => lookups += 1,
            Step::Wait { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let credentials = Credentials::Basic { user: "u".into(), password: "p".into() };
    flows[0].credentials(NOW, Ok(Some(Found { credentials, valid_until: None })));
    for flow in &mut flows {
        tokens += usize::from(matches!(flow.poll(NOW, &waker), Step::Send(_)));
    }
    grant(&mut flows[0], NOW, "T", 300);
    assert_eq!((lookups, tokens, woken.0.load(Ordering::Relaxed)), (1, 1, many - 1));
    assert!(flows.iter_mut().all(|flow| hop(flow, NOW) == Some(Hop::Registry)));
}

/// The leader is dropped after each of its steps; the next one that polls takes over, and there is never a second
/// request at the same time.
#[test]
fn a_leader_may_be_dropped_at_every_step() {
    for steps in 0..4 {
        let mut config = Config::default();
        config.ask(registry());
        let agent = Agent::new(config).unwrap();
        let mut leader = agent.request("GET", MANIFEST).unwrap();
        let mut next = agent.request("GET", MANIFEST).unwrap();
        challenge([&mut leader, &mut next], NOW);
        let found =
            || Found { credentials: Credentials::Basic { user: "u".into(), password: "p".into() }, valid_until: None };
        for step in 0..=steps {
            match step {
                0 => assert!(matches!(leader.poll(NOW, Waker::noop()), Step::Credentials(_))),
                1 => leader.credentials(NOW, Ok(Some(found()))),
                2 => assert_eq!(hop(&mut leader, NOW), Some(Hop::Token)),
                _ => answer(&mut leader, NOW, 307, &[("Location", "/other")], ""),
            }
        }
        let woken = Arc::new(Count::default());
        assert!(matches!(next.poll(NOW, &Waker::from(Arc::clone(&woken))), Step::Wait { .. }), "step {steps}");
        drop(leader);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "step {steps}");
        if matches!(next.poll(NOW, Waker::noop()), Step::Credentials(_)) {
            next.credentials(NOW, Ok(Some(found())));
        }
        assert_eq!(hop(&mut next, NOW), Some(Hop::Token), "step {steps}");
    }
}

#[test]
fn the_warm_path_says_what_a_flow_would_send() {
    let agent = warm(300);
    let mut out = b"> ".to_vec();
    assert!(agent.authorize(NOW, "GET", "https://reg.example/v2/app/blobs/sha256:00?x=1", &mut out));
    assert_eq!(out, b"> Bearer T");
    assert!(agent.authorize(NOW, "GET", "https://reg.example/v2/", &mut out), "any token for /v2/");
    let now = Time(NOW.0 + 280_000);
    for (method, url, now) in [
        ("GET", "https://reg.example/v2/other/manifests/1", NOW),
        ("PUT", MANIFEST, NOW),
        ("GET", "https://other.example/v2/app/manifests/1", NOW),
        ("GET", "https://reg.example.evil/v2/app/manifests/1", NOW),
        ("GET", "http://reg.example/v2/app/manifests/1", NOW),
        ("GET", "https://u@reg.example/v2/app/manifests/1", NOW),
        ("GET", MANIFEST, now),
        ("GET", MANIFEST, Time(NOW.0 - 1)),
    ] {
        let mut out = Vec::new();
        assert!(!agent.authorize(now, method, url, &mut out) && out.is_empty(), "{method} {url} {now:?}");
    }
}

#[test]
fn a_renewal_before_any_request_has_to_wait() {
    let agent = warm(300);
    assert!(agent.due(Time(NOW.0 + 200_000)).is_none());
    let at = Time(NOW.0 + 245_000);
    let mut renewal = agent.due(at).unwrap();
    assert_eq!(hop(&mut renewal, at), Some(Hop::Token));
    assert!(agent.due(Time(at.0 + 2000)).is_none(), "one renewal at a time");
    let mut other = agent.request("GET", MANIFEST).unwrap();
    assert_eq!(hop(&mut other, Time(NOW.0 + 274_000)), Some(Hop::Registry), "nobody waits for it");
    grant(&mut renewal, at, "T2", 300);
    assert!(matches!(renewal.poll(at, Waker::noop()), Step::Done));
    let mut out = Vec::new();
    assert!(agent.authorize(at, "GET", MANIFEST, &mut out));
    assert_eq!(out, b"Bearer T2");
    assert!(agent.due(Time(at.0 + 245_000)).is_some(), "it has served a request since");
    let mut failing = agent.due(Time(at.0 + 246_500)).unwrap();
    assert_eq!(hop(&mut failing, Time(at.0 + 246_500)), Some(Hop::Token));
    failing.failed(Time(at.0 + 246_500), Failure::Connect, None);
    assert!(matches!(failing.poll(Time(at.0 + 246_500), Waker::noop()), Step::Done), "the old one is still good");
}

#[test]
fn all_that_are_due_are_given_out_once_and_again_if_dropped() {
    let agent = warm(300);
    for name in ["one", "two", "three"] {
        let url = format!("https://reg.example/v2/{name}/manifests/1");
        let mut flow = agent.request("GET", &url).unwrap();
        assert_eq!(hop(&mut flow, NOW), Some(Hop::Token));
        grant(&mut flow, NOW, name, 300);
        assert!(agent.authorize(NOW, "GET", &url, &mut Vec::new()));
    }
    assert!(agent.authorize(NOW, "GET", MANIFEST, &mut Vec::new()));
    let at = Time(NOW.0 + 245_000);
    let renewals = || std::iter::from_fn(|| agent.due(at)).collect::<Vec<_>>();
    let mut flows = renewals();
    assert_eq!((flows.len(), renewals().len()), (4, 0));
    flows.iter_mut().for_each(|flow| assert_eq!(hop(flow, at), Some(Hop::Token)));
    let dropped = flows.pop();
    drop(dropped);
    let later = Time(at.0 + 1000);
    assert_eq!(std::iter::from_fn(|| agent.due(later)).count(), 1, "the others are under way");
    for now in [Time(u64::MAX), Time(0)] {
        assert!(agent.due(now).is_none(), "a token from the future or the past is none");
    }
}

#[test]
fn clocks_may_jump_by_ten_years() {
    const YEARS: u64 = 10 * 365 * 86_400_000;
    for now in [Time(NOW.0 + YEARS), Time(NOW.0 - YEARS)] {
        let agent = warm(300);
        let mut flow = agent.request("GET", MANIFEST).unwrap();
        assert_eq!(hop(&mut flow, now), Some(Hop::Token));
        grant(&mut flow, now, "T2", 300);
        let mut next = agent.request("GET", MANIFEST).unwrap();
        assert_eq!(hop(&mut next, Time(now.0 + 100_000)), Some(Hop::Registry));
        assert!(agent.due(Time(now.0 + 250_000)).is_some());
    }
}

/// A host may be slow between an answer and the next poll: what ran out meanwhile is fetched anew.
#[test]
fn a_token_that_ran_out_before_it_was_sent_is_not_sent() {
    let agent = agent();
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    challenge([&mut flow], NOW);
    assert_eq!(hop(&mut flow, NOW), Some(Hop::Token));
    grant(&mut flow, NOW, "T1", 60);
    let late = Time(NOW.0 + 60_000);
    assert_eq!(hop(&mut flow, late), Some(Hop::Token));
    grant(&mut flow, late, "T2", 3);
    assert_eq!(hop(&mut flow, late), Some(Hop::Registry));
    // Its clock may differ: a second later the same again, unless that has run out too.
    answer(&mut flow, late, 401, &[("WWW-Authenticate", CHALLENGE)], "");
    assert!(matches!(flow.poll(late, Waker::noop()), Step::Wait { .. }));
    let later = Time(late.0 + 3000);
    assert_eq!(hop(&mut flow, later), Some(Hop::Token));
    grant(&mut flow, later, "T3", 60);
    assert_eq!(hop(&mut flow, later), Some(Hop::Registry));
    // A redirect that the host goes on with after a minute.
    answer(&mut flow, later, 307, &[("Location", "/v2/app/blobs/x")], "");
    let last = Time(later.0 + 60_000);
    let mut other = agent.request("GET", MANIFEST).unwrap();
    assert_eq!(hop(&mut other, last), Some(Hop::Token));
    for _ in 0..2 {
        assert!(matches!(flow.poll(last, Waker::noop()), Step::Wait { .. }), "for the other one's");
    }
    drop(other);
    assert_eq!(hop(&mut flow, last), Some(Hop::Token));
}

/// A leader that answers after its time was over has a token all the same: nobody has to wait for the second one.
#[test]
fn a_late_success_wakes_everybody() {
    let agent = agent();
    let mut flows: Vec<Flow> = (0..3).map(|_| agent.request("GET", MANIFEST).unwrap()).collect();
    challenge(&mut flows, NOW);
    let late = Time(NOW.0 + 30_000);
    let woken = Arc::new(Count::default());
    assert_eq!(hop(&mut flows[0], NOW), Some(Hop::Token));
    assert_eq!(hop(&mut flows[1], late), Some(Hop::Token), "the lease has run out");
    assert!(matches!(flows[2].poll(late, &Waker::from(Arc::clone(&woken))), Step::Wait { .. }));
    grant(&mut flows[0], late, "T", 300);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert_eq!(hop(&mut flows[2], late), Some(Hop::Registry));
}

/// The losses before a success are not counted with those after it.
#[test]
fn one_that_waits_through_two_losses_after_a_success_gets_the_error() {
    let agent = agent();
    let mut flows: Vec<Flow> = (0..6).map(|_| agent.request("GET", MANIFEST).unwrap()).collect();
    challenge(&mut flows, NOW);
    let waits = |flow: &mut Flow, now| matches!(flow.poll(now, Waker::noop()), Step::Wait { .. });
    let lose = |flow: &mut Flow, now| {
        assert_eq!(hop(flow, now), Some(Hop::Token));
        flow.failed(now, Failure::Connect, None);
    };
    let mut now = NOW;
    lose(&mut flows[0], now);
    lose(&mut flows[1], now);
    now = Time(now.0 + 1000);
    assert_eq!(hop(&mut flows[2], now), Some(Hop::Token));
    assert!(waits(&mut flows[3], now), "since two losses");
    grant(&mut flows[2], now, "T", 1);
    now = Time(now.0 + 1000);
    assert_eq!(hop(&mut flows[4], now), Some(Hop::Token), "the token has run out before the fourth was polled");
    assert!(waits(&mut flows[3], now));
    lose(&mut flows[4], now);
    assert_eq!(hop(&mut flows[5], now), Some(Hop::Token));
    assert!(waits(&mut flows[3], now));
    lose(&mut flows[5], now);
    let Step::Failed(error) = flows[3].poll(now, Waker::noop()) else { panic!("no error") };
    assert_eq!(error.fault(), Fault::Network);
}

/// A host that follows redirects itself makes a flow for each: the grants end where the origin ends, and stay away.
#[test]
fn hosts_that_follow_redirects_themselves() {
    let mut config = config();
    let mut host = Host::default();
    host.identities.push(Identity::named("builder", [0; 32]));
    config.host(registry(), host);
    let agent = Agent::new(config).unwrap();
    let mut flow = agent.request("GET", MANIFEST).unwrap().redirects(Redirects::Host);
    assert_eq!(hop(&mut flow, NOW), Some(Hop::Registry));
    answer(&mut flow, NOW, 302, &[("Location", "/there")], "");
    assert_eq!(flow.status(), Some(302));
    let mut second = agent.referred(&flow.referrer(), Hop::Redirect, "GET", "/there").unwrap();
    let Step::Send(out) = second.poll(NOW, Waker::noop()) else { panic!("no request") };
    assert_eq!((out.url.to_string().as_str(), out.identity.as_deref()), ("https://reg.example/there", Some("builder")));
    answer(&mut second, NOW, 307, &[], "");
    let mut third = agent.referred(&second.referrer(), Hop::Redirect, "GET", "https://cdn.example/x").unwrap();
    let Step::Send(out) = third.poll(NOW, Waker::noop()) else { panic!("no request") };
    assert_eq!((out.identity.as_deref(), out.hop), (None, Hop::Redirect));
    answer(&mut third, NOW, 307, &[], "");
    let mut back = agent.referred(&third.referrer(), Hop::Redirect, "GET", MANIFEST).unwrap();
    let Step::Send(out) = back.poll(NOW, Waker::noop()) else { panic!("no request") };
    assert_eq!(out.identity, None, "it stays away");
    answer(&mut back, NOW, 401, &[("WWW-Authenticate", CHALLENGE)], "");
    assert_eq!(back.status(), Some(401), "nor is its challenge honoured");
    // The eleventh redirect is refused for them, too.
    let mut flow = agent.request("GET", MANIFEST).unwrap().redirects(Redirects::Host);
    for _ in 0..10 {
        assert!(hop(&mut flow, NOW).is_some());
        flow = agent.referred(&flow.referrer(), Hop::Redirect, "GET", "/again").unwrap().redirects(Redirects::Host);
    }
    assert!(hop(&mut flow, NOW).is_some(), "the tenth");
    let mut eleventh = agent.referred(&flow.referrer(), Hop::Redirect, "GET", "/again").unwrap();
    assert!(matches!(eleventh.poll(NOW, Waker::noop()), Step::Failed(error) if error.fault() == Fault::Policy));
}

/// A client that followed a redirect without asking gives the effective URL: the challenge is then not the registry's.
#[test]
fn an_effective_url_elsewhere_is_not_the_registrys_answer() {
    let agent = agent();
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    assert!(hop(&mut flow, NOW).is_some());
    let headers = [("WWW-Authenticate", CHALLENGE)];
    flow.answer(NOW, Answer::new(401, &headers).url(Some("https://evil.example/x")));
    assert_eq!(flow.status(), Some(401));
    let mut flow = agent.request("GET", MANIFEST).unwrap();
    challenge([&mut flow], NOW);
    assert_eq!(hop(&mut flow, NOW), Some(Hop::Token));
    let body = br#"{"token":"T"}"#;
    flow.answer(NOW, Answer::new(200, &headers).body(body).url(Some("https://evil.example/token")));
    let Step::Failed(error) = flow.poll(NOW, Waker::noop()) else { panic!("not refused") };
    assert_eq!((error.fault(), error.hop()), (Fault::Policy, Some(Hop::TokenRedirect)));
}

#[test]
fn misuse_is_an_error_of_the_caller_and_never_a_panic() {
    let agent = agent();
    let calls: [fn(&mut Flow); 3] = [
        |flow| flow.answer(NOW, Answer::new(200, &[("a", "b")])),
        |flow| flow.credentials(NOW, Ok(None)),
        |flow| flow.failed(NOW, Failure::Reset, None),
    ];
    for call in calls {
        let mut flow = agent.request("GET", MANIFEST).unwrap();
        call(&mut flow);
        for call in calls {
            call(&mut flow); // after a failure every call does nothing
        }
        let Step::Failed(error) = flow.poll(NOW, Waker::noop()) else { panic!("not failed") };
        assert_eq!(error.fault(), Fault::Local);
    }
    for (method, url) in [("", MANIFEST), ("G ET", MANIFEST), ("GET", "reg.example/v2/"), ("GET", "ftp://reg.example/")]
    {
        assert_eq!(agent.request(method, url).unwrap_err().fault(), Fault::Local, "{method} {url}");
    }
    let mut config = Config::default();
    let mut host = Host::default();
    host.headers.push(("X-Team".into(), Arc::new("7\r\nX-Evil: 1".into())));
    config.host(registry(), host);
    assert!(matches!(Agent::new(config).unwrap_err().kind(), ErrorKind::Header(name) if name == "X-Team"));
}

/// A flow keeps the policy it began with; those that begin later have the new one, and none of the old tokens.
#[test]
fn a_new_configuration_does_not_tear_flows() {
    let with = |label: &str, print: u8| {
        let mut config = config();
        let mut host = Host::default();
        host.identities.push(Identity::named(label, [print; 32]));
        config.host(registry(), host);
        config
    };
    let agent = Agent::new(with("old", 1)).unwrap();
    let mut old = agent.request("GET", MANIFEST).unwrap();
    challenge([&mut old], NOW);
    assert_eq!(hop(&mut old, NOW), Some(Hop::Token));
    grant(&mut old, NOW, "T1", 300);
    let Step::Send(out) = old.poll(NOW, Waker::noop()) else { panic!("no request") };
    let (id, identity) = (out.tls, out.identity.clone());
    agent.replace(with("new", 2)).unwrap();
    assert_eq!(identity.as_deref(), Some("old"));
    assert_eq!(agent.profile(id).unwrap().identity().as_deref(), Some("old"));
    let (newest, profile) = agent.newest(id).unwrap();
    assert_eq!(profile.identity().as_deref(), Some("new"), "a connection made now shows the new one");
    answer(&mut old, NOW, 200, &[], "");
    let mut new = agent.request("GET", MANIFEST).unwrap();
    let Step::Send(out) = new.poll(NOW, Waker::noop()) else { panic!("no request") };
    assert_eq!((out.hop, out.identity.as_deref()), (Hop::Token, Some("new")), "T1 belongs to the old certificate");
    assert_eq!(out.tls, newest);
    drop(old);
    agent.replace(with("newest", 3)).unwrap();
    assert!(agent.profile(id).is_none(), "nobody can use it any more");
}

/// Whatever servers answer, a flow ends within a bound and shows no secret.
#[test]
fn arbitrary_answers_end_within_a_bound() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let statuses = [200, 201, 301, 302, 303, 307, 308, 400, 401, 401, 401, 403, 404, 429, 500, 503];
    let challenges = [
        CHALLENGE,
        "Basic realm=x",
        "Bearer",
        "Negotiate abc==",
        r#"Bearer realm="/token",error="insufficient_scope",scope="aws""#,
        r#"Bearer realm="https://auth.example/token",error="invalid_token""#,
    ];
    let locations = ["/x", "https://cdn.example/x", "//reg.example/y", "http://reg.example/", ""];
    let bodies = [r#"{"token":"tok-canary","expires_in":7,"refresh_token":"ref-canary"}"#, "{}", "", "[]"];
    for round in 0..if cfg!(miri) { 10 } else { 3000 } {
        let agent = agent();
        let mut now = NOW;
        for _ in 0..3 {
            let method = ["GET", "POST", "HEAD", "PUT"][random(4)];
            let mut flow = agent.request(method, MANIFEST).unwrap();
            let mut requests = 0;
            loop {
                now = now.plus_millis(u64::try_from(random(4000)).unwrap());
                match flow.poll(now, Waker::noop()) {
                    Step::Send(_) => {
                        requests += 1;
                        assert!(requests < 120, "round {round} does not end");
                        let headers = [
                            ("WWW-Authenticate", challenges[random(challenges.len())]),
                            ("Location", locations[random(locations.len())]),
                            ("Retry-After", ["1", "99", "x"][random(3)]),
                        ];
                        let from = random(2);
                        let status = statuses[random(statuses.len())];
                        match random(20) {
                            0 => flow.failed(now, Failure::Reset, None),
                            _ => answer(&mut flow, now, status, &headers[from..], bodies[random(bodies.len())]),
                        }
                    }
                    Step::Wait { until, .. } => now = until,
                    Step::Credentials(_) => flow.credentials(now, Ok(None)),
                    _ => break,
                }
            }
            let mut transcript = format!("{flow:?} {agent:?}");
            flow.explain(&mut transcript).unwrap();
            assert!(!transcript.contains("canary") && !transcript.contains("dTpwdy1jYW5hcnk"), "{transcript}");
        }
    }
}

/// A renewal that nobody waits for is for tokens that serve requests, and with the credentials of now.
#[test]
fn what_nobody_uses_is_not_renewed_and_neither_is_what_was_replaced() {
    let agent = warm(300);
    let at = Time(NOW.0 + 245_000);
    let mut renewal = agent.due(at).unwrap();
    assert_eq!(hop(&mut renewal, at), Some(Hop::Token));
    grant(&mut renewal, at, "T2", 300);
    assert!(matches!(renewal.poll(at, Waker::noop()), Step::Done));
    assert!(agent.due(Time(at.0 + 250_000)).is_none(), "it has served no request");

    let agent = warm(300);
    let mut other = Config::default();
    other.credentials(registry(), Credentials::Basic { user: "u".into(), password: "new".into() });
    agent.replace(other).unwrap();
    assert!(agent.due(at).is_none(), "the old password is not sent again");
    agent.replace(config()).unwrap();
    assert!(agent.due(Time(at.0 + 2000)).is_some(), "it is back");
}
