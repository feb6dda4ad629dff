//! Several identities: the next one after a status, where that is asked for.

use std::cell::RefCell;
use std::rc::Rc;

use regauth::tls::{Attempt, Evidence, Identity, Profile, Shown};
use regauth::wire::Exchange;
use regauth::{Agent, Credentials, ErrorKind};

use super::socket::{Reply, Request, Then, ending, reply, sized};
use super::world::{Net, Outcome, REG, WORLD, agent, origin};

const URL: &str = "https://reg.example/v2/app/manifests/1";

/// Which of these showed itself, as its number in the profile.
fn number(request: &Request) -> Option<usize> {
    let all = [&WORLD.identity, &WORLD.second, &WORLD.third];
    all.iter().position(|identity| Some(identity.fingerprint()) == request.fingerprint)
}

fn with(identities: &[&Identity], on_status: bool) -> Agent {
    agent(|config| {
        let mut host = regauth::Host::default();
        host.identities = identities.iter().copied().cloned().collect();
        host.try_pairs_on_status = on_status;
        config.host(origin(REG), host);
        config.credentials(origin(REG), Credentials::Basic { user: "robot".into(), password: "s3cret".into() });
    })
}

fn two(on_status: bool) -> Agent {
    with(&[&WORLD.identity, &WORLD.second], on_status)
}

/// A server that asks for a certificate, takes any and decides by it; with a log of who came.
fn lenient(net: &mut Net, mut answer: impl FnMut(Option<usize>, &Request) -> Option<Reply> + 'static) -> Log {
    let log = Log::default();
    let seen = Rc::clone(&log);
    net.serve_with(REG, WORLD.lenient.clone(), move |request| {
        let who = number(request);
        let answer = answer(who, request);
        if answer.is_some() {
            seen.borrow_mut().push(who.unwrap());
        }
        answer
    });
    log
}

type Log = Rc<RefCell<Vec<usize>>>;

/// 403 with a page for all but one.
fn only(one: usize) -> impl FnMut(Option<usize>, &Request) -> Option<Reply> {
    move |who, _| match who {
        Some(who) if who == one => reply(sized(200, "", "blob")),
        _ => reply(sized(403, "Content-Type: text/html\r\n", "<h1>Forbidden</h1>")),
    }
}

#[test]
fn after_a_status_the_next_is_shown_where_that_is_asked_for() {
    let mut net = Net::new();
    let log = lenient(&mut net, only(1));
    net.get(&two(false), URL).ok(403, "<h1>Forbidden</h1>");
    assert_eq!((log.borrow().as_slice(), net.connections), (&[0][..], 1));

    let mut net = Net::new();
    let log = lenient(&mut net, only(1));
    let agent = two(true);
    let mut exchange = Exchange::new(&agent, agent.request("GET", URL).unwrap());
    net.run(&mut exchange).ok(200, "blob");
    assert_eq!((log.borrow().as_slice(), net.connections), (&[0, 1][..], 2));
    let seen: Vec<_> = exchange.sent().iter().map(|sent| (sent.status, shown(sent.evidence.as_ref()))).collect();
    assert_eq!(seen, [(Some(403), Some(("first", 0, false))), (Some(200), Some(("second", 1, false)))]);
    let mut text = String::new();
    exchange.explain(&mut text).unwrap();
    assert!(text.contains("  first was shown and the answer is 403: the next certificate is tried\n"), "{text}");
    // The connection that was refused is closed, and the other one is kept.
    assert_eq!(net.pooled(), 1);
    net.get(&agent, URL).ok(200, "blob");
    assert_eq!((log.borrow().as_slice(), net.connections), (&[0, 1, 1][..], 2));
}

fn shown(evidence: Option<&Evidence>) -> Option<(&str, usize, bool)> {
    let evidence = evidence?;
    let Shown::Pair { label, .. } = &evidence.shown else { return None };
    Some((label, evidence.pair?, evidence.resumed))
}

#[test]
fn a_refused_session_is_never_resumed_for_the_next() {
    let mut net = Net::new();
    lenient(&mut net, |who, _| match who {
        Some(1) => ending(sized(200, "Connection: close\r\n", "blob"), Then::Close),
        _ => ending(sized(403, "Connection: close\r\n", ""), Then::Close),
    });
    let agent = two(true);
    for resumed in [false, true] {
        let mut exchange = Exchange::new(&agent, agent.request("GET", URL).unwrap());
        net.run(&mut exchange).ok(200, "blob");
        let seen: Vec<_> = exchange.sent().iter().filter_map(|sent| shown(sent.evidence.as_ref())).collect();
        // Each resumes its own, and says so.
        assert_eq!(seen, [("first", 0, resumed), ("second", 1, resumed)]);
    }
}

#[test]
fn which_statuses_may_be_a_refusal() {
    let html = "Content-Type: text/html\r\n";
    let json = "Content-Type: application/vnd.x+json; charset=utf-8\r\n";
    for (status, fields, again) in [
        (403, json, true),
        (404, json, true),
        (500, "", true),
        (503, "", true),
        (599, "", true),
        (495, html, true),
        (496, html, true),
        (400, html, true),
        (400, "", true),
        (400, json, false),
        (200, "", false),
        (401, "", false),
        (409, json, false),
        (410, json, false),
        (421, html, false),
        (429, json, false),
    ] {
        let mut net = Net::new();
        let log = lenient(&mut net, move |who, _| match who {
            Some(0) => reply(sized(status, fields, "x")),
            _ => reply(sized(200, "", "blob")),
        });
        let outcome = net.get(&two(true), URL);
        outcome.ok(if again { 200 } else { status }, if again { "blob" } else { "x" });
        assert_eq!(log.borrow().len(), if again { 2 } else { 1 }, "{status}");
    }
}

#[test]
fn there_are_as_many_attempts_as_identities_and_the_last_answer_stands() {
    let mut net = Net::new();
    let log = lenient(&mut net, |who, _| reply(sized(500 + who.unwrap() as u16, "", &format!("{who:?}"))));
    let agent = with(&[&WORLD.identity, &WORLD.second, &WORLD.third], true);
    net.get(&agent, URL).ok(502, "Some(2)");
    assert_eq!((log.borrow().as_slice(), net.connections), (&[0, 1, 2][..], 3));
}

#[test]
fn a_kept_connection_does_not_hide_the_first_identity() {
    let mut net = Net::new();
    let log = lenient(&mut net, |who, request| {
        let wanted = if request.target.starts_with("/v2/app/") { 0 } else { 1 };
        if who == Some(wanted) { reply(sized(200, "", "blob")) } else { reply(sized(404, "", "no")) }
    });
    let agent = two(true);
    let other = "https://reg.example/v2/other/manifests/1";
    for (url, status, seen) in [
        (URL, 200, &[0][..]),
        (other, 200, &[0, 1]),
        (other, 200, &[1]),
        // That of the kept connection, and then from the start.
        (URL, 200, &[1, 0]),
    ] {
        log.borrow_mut().clear();
        assert_eq!(net.get(&agent, url).status, Some(status));
        assert_eq!(log.borrow().as_slice(), seen, "{url}");
    }
    // What nobody may have: one attempt for each identity, and one for the connection that was kept.
    let mut net = Net::new();
    let log = lenient(&mut net, |who, request| {
        let good = who == Some(1) && request.target.starts_with("/v2/app/");
        if good { reply(sized(200, "", "blob")) } else { reply(sized(404, "", "no")) }
    });
    let agent = two(true);
    net.get(&agent, URL).ok(200, "blob");
    log.borrow_mut().clear();
    net.get(&agent, other).ok(404, "no");
    assert_eq!(log.borrow().as_slice(), [1, 0, 1]);
}

#[test]
fn only_what_can_be_repeated_is() {
    // Method, length of the body, the status of the first identity, whether the body rewinds, whether it goes on.
    for (method, length, status, rewinds, again) in [
        ("GET", None, 500, false, true),
        ("HEAD", None, 404, false, true),
        ("POST", None, 403, false, true),
        ("POST", None, 500, false, false),
        ("PUT", Some(5), 403, true, true),
        ("PUT", Some(5), 500, true, true),
        ("PUT", Some(5), 403, false, false),
        ("PUT", Some(0), 403, false, true),
        ("PATCH", Some(5), 404, true, true),
        ("PATCH", Some(5), 503, true, false),
    ] {
        let mut net = Net::new();
        net.upload = vec![7; length.unwrap_or_default() as usize];
        let log = lenient(&mut net, move |who, request| {
            if !request.whole {
                return None;
            }
            assert_eq!(request.body.len() as u64, length.unwrap_or_default());
            reply(sized(if who == Some(0) { status } else { 201 }, "", ""))
        });
        let agent = two(true);
        let mut exchange = Exchange::new(&agent, agent.request(method, URL).unwrap());
        if let Some(length) = length {
            exchange.body_len(Some(length));
        }
        if rewinds {
            exchange.body_rewinds();
        }
        let case = format!("{method} {length:?} {status} {rewinds}");
        let outcome = net.run(&mut exchange);
        assert_eq!(outcome.error, None, "{case}");
        assert_eq!(outcome.status, Some(if again { 201 } else { status }), "{case}");
        assert_eq!(log.borrow().len(), if again { 2 } else { 1 }, "{case}");
        let with_body = again && length.is_some_and(|length| length > 0);
        assert_eq!(net.rewound, usize::from(with_body), "{case}");
    }
}

/// A registry and its token service on one host: 401 without a token, and tokens for one identity only.
fn tokens(status: u16, post: bool) -> (Outcome, Vec<String>) {
    let mut net = Net::new();
    let log = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&log);
    net.serve_with(REG, WORLD.lenient.clone(), move |request| {
        if !request.whole {
            return None;
        }
        let path = request.target.split('?').next().unwrap_or_default();
        seen.borrow_mut().push(format!("{} {path} {}", request.method, number(request).unwrap()));
        if path == "/token" {
            return match number(request) {
                Some(1) => reply(sized(200, "Content-Type: application/json\r\n", "{\"token\": \"T\"}")),
                _ => reply(sized(status, "Content-Type: text/html\r\n", "<h1>no</h1>")),
            };
        }
        match request.field("authorization") {
            Some("Bearer T") => reply(sized(200, "", "blob")),
            _ => reply(sized(401, "WWW-Authenticate: Bearer realm=\"/token\",service=s\r\n", "")),
        }
    });
    let agent = agent(|config| {
        let mut host = regauth::Host::default();
        host.identities = vec![WORLD.identity.clone(), WORLD.second.clone()];
        host.try_pairs_on_status = true;
        config.host(origin(REG), host);
        config.password_post(post);
        config.credentials(origin(REG), Credentials::Basic { user: "robot".into(), password: "s3cret".into() });
    });
    let outcome = net.get(&agent, URL);
    let log = log.borrow().clone();
    (outcome, log)
}

#[test]
fn token_requests_are_repeated_too() {
    for (post, method) in [(false, "GET"), (true, "POST")] {
        for status in [403, 404, 500, 400] {
            let (outcome, log) = tokens(status, post);
            outcome.ok(200, "blob");
            assert_eq!(
                log,
                [
                    "GET /v2/app/manifests/1 0".to_string(),
                    format!("{method} /token 0"),
                    format!("{method} /token 1"),
                    "GET /v2/app/manifests/1 1".to_string()
                ]
            );
        }
    }
    let (outcome, log) = tokens(401, false);
    let error = outcome.error.unwrap();
    assert!(matches!(error.kind(), ErrorKind::TokenRefused { status: 401, .. }), "{error}");
    assert_eq!(log.len(), 2);
}

#[test]
fn a_host_with_tls_of_its_own_goes_on_by_the_same_rules() {
    let settings = |edit: fn(&mut regauth::tls::Settings)| {
        let mut settings = regauth::tls::Settings::default();
        settings.identities = vec![WORLD.identity.clone(), WORLD.second.clone(), WORLD.third.clone()];
        edit(&mut settings);
        Profile::new(settings)
    };
    let profiles = [
        settings(|_| {}),
        settings(|settings| settings.try_pairs = true),
        settings(|settings| settings.try_pairs_on_status = true),
    ];
    // What such a host does: choose, write down what came of it, ask where to go on.
    let attempts = |profile: &Profile, hints: &[Vec<u8>], ended: Attempt| {
        let (mut skip, mut shown) = (0, Vec::new());
        loop {
            let choice = profile.choose(skip, hints, &[0x0403]);
            let mut evidence = Evidence::default();
            (evidence.shown, evidence.pair, evidence.next) = (choice.shown, choice.pair, choice.next);
            shown.push(choice.pair);
            match profile.retry(&evidence, ended) {
                Some(next) => skip = next,
                None => return shown,
            }
        }
    };
    let rejected = Attempt::Failed(regauth::Failure::CertificateRejected);
    let reset = Attempt::Failed(regauth::Failure::Reset);
    let picky = WORLD.second.issuers().to_vec();
    for (ended, hints, expected) in [
        (rejected, &[][..], [&[Some(0)][..], &[Some(0), Some(1), Some(2)], &[Some(0)]]),
        (rejected, &picky, [&[Some(1)], &[Some(1), Some(2)], &[Some(1)]]),
        (Attempt::Answered(403), &[], [&[Some(0)], &[Some(0)], &[Some(0), Some(1), Some(2)]]),
        (Attempt::Answered(503), &picky, [&[Some(1)], &[Some(1)], &[Some(1), Some(2)]]),
        (Attempt::Answered(401), &[], [&[Some(0)]; 3]),
        (reset, &[], [&[Some(0)]; 3]),
    ] {
        for (profile, expected) in profiles.iter().zip(expected) {
            assert_eq!(attempts(profile, hints, ended), expected, "{ended:?}");
        }
    }
    // Nothing fits: none was shown, so there is nothing that another one could do better.
    let nobody = [b"nobody".to_vec()];
    assert_eq!(attempts(&profiles[2], &nobody, Attempt::Answered(403)), [None]);
}
