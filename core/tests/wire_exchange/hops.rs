//! Token requests, redirects, identities: which request goes where, and on which connection.

use std::task::Waker;

use regauth::wire::{Do, Exchange};
use regauth::{Agent, Credentials, ErrorKind, Failure, Fault, Found, Hop, Pair, PairKind};

use super::socket::{Reply, Request, Then, ending, reply, sized};
use super::world::{AUTH, BLOBS, NOW, Net, PLAIN, REG, WORLD, agent, origin, with_identity};

fn password() -> Credentials {
    Credentials::Basic { user: "u".into(), password: "p".into() }
}

fn challenge(realm: &str) -> String {
    format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:app:pull\"\r\n")
}

/// A registry that wants a token from this realm, and is the realm itself under `/token`.
pub(crate) fn registry(realm: &'static str) -> impl FnMut(&Request) -> Option<Reply> {
    move |request| {
        if request.target.starts_with("/token") {
            return token(request);
        }
        match request.field("authorization") {
            Some("Bearer t0k") => reply(sized(200, "X-A: 1\r\n", "blob")),
            _ => reply(sized(401, &challenge(realm), "{\"errors\":[]}")),
        }
    }
}

pub(crate) fn token(request: &Request) -> Option<Reply> {
    assert_eq!(request.field("authorization"), Some("Basic dTpw"));
    reply(sized(200, "", r#"{"token":"t0k"}"#))
}

pub(crate) fn known(realm_elsewhere: bool) -> Agent {
    agent(|config| {
        config.credentials(origin(REG), password());
        if realm_elsewhere {
            config.pair(Pair::new(origin(REG), PairKind::Token, origin(AUTH)));
        }
    })
}

#[test]
fn a_pull_with_its_token_is_one_connection() {
    for pace in [usize::MAX, 1, 7] {
        let mut net = Net::new();
        net.pace = pace;
        net.serve(REG, registry("https://reg.example/token"));
        net.get(&known(false), "https://reg.example/v2/app/manifests/1").ok(200, "blob");
        assert_eq!(
            net.log,
            [
                "GET https://reg.example/v2/app/manifests/1 #0",
                "GET https://reg.example/token?service=s&scope=repository%3Aapp%3Apull #0",
                "GET https://reg.example/v2/app/manifests/1 #0",
            ]
        );
        assert_eq!((net.connections, net.pooled()), (1, 1));
    }
}

#[test]
fn every_pace_gives_the_same() {
    let mut whole = None;
    for pace in (1..40).chain([100, 1000, 5000]) {
        let mut net = Net::new();
        net.pace = pace;
        net.serve(REG, registry("https://auth.example/token"));
        net.serve(AUTH, token);
        let outcome = net.get(&known(true), "https://reg.example/v2/app/manifests/1");
        outcome.ok(200, "blob");
        let seen = (outcome, net.log);
        assert_eq!(*whole.get_or_insert_with(|| (seen.0.status, seen.1.clone())), (seen.0.status, seen.1));
    }
}

#[test]
fn with_a_token_service_elsewhere_each_has_one_connection() {
    let mut net = Net::new();
    net.serve(REG, registry("https://auth.example/token"));
    net.serve(AUTH, token);
    let agent = known(true);
    net.get(&agent, "https://reg.example/v2/app/manifests/1").ok(200, "blob");
    assert_eq!(
        net.log,
        [
            "GET https://reg.example/v2/app/manifests/1 #0",
            "GET https://auth.example/token?service=s&scope=repository%3Aapp%3Apull #1",
            // The registry's connection was pooled meanwhile.
            "warm https://reg.example",
            "GET https://reg.example/v2/app/manifests/1 #0",
        ]
    );
    assert_eq!((net.connections, net.pooled()), (2, 2));
    net.log.clear();
    net.get(&agent, "https://reg.example/v2/app/manifests/2").ok(200, "blob");
    assert_eq!(net.log, ["warm https://reg.example", "GET https://reg.example/v2/app/manifests/2 #0"]);
}

#[test]
fn credentials_are_looked_up() {
    let mut net = Net::new();
    net.serve(REG, registry("https://reg.example/token"));
    net.found = Some(Found { credentials: password(), valid_until: None });
    let agent = agent(|config| {
        config.ask(origin(REG));
    });
    let mut exchange = Exchange::new(&agent, agent.request("GET", "https://reg.example/v2/app/manifests/1").unwrap());
    net.run(&mut exchange).ok(200, "blob");
    assert_eq!(net.connections, 1);
    // What was sent is known by its scheme, never by its value.
    let sent: Vec<_> = exchange.sent().iter().map(|sent| (sent.hop, sent.status, sent.authorization)).collect();
    assert_eq!(
        sent,
        [
            (Hop::Registry, Some(401), None),
            (Hop::Token, Some(200), Some("Basic")),
            (Hop::Registry, Some(200), Some("Bearer"))
        ]
    );
}

#[test]
fn a_redirect_carries_nothing_and_shows_no_certificate() {
    let mut net = Net::new();
    net.serve(REG, |request| {
        assert!(request.identified);
        match request.field("authorization") {
            None => reply(sized(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", "")),
            Some(_) => reply(sized(307, "Location: https://blobs.example/b?sig=1\r\n", "<a>moved</a>")),
        }
    });
    net.serve(BLOBS, |request| {
        assert!(!request.identified);
        assert_eq!((request.field("authorization"), request.field("x-team")), (None, None));
        assert_eq!((request.field("range"), request.field("host")), (Some("bytes=0-"), Some("blobs.example")));
        reply(sized(206, "", "blob"))
    });
    let agent = agent(|config| {
        let mut host = with_identity();
        host.headers.push(("X-Team".into(), std::sync::Arc::new("7".into())));
        config.host(origin(REG), host).credentials(origin(REG), password());
    });
    let mut exchange =
        Exchange::new(&agent, agent.request("GET", "https://reg.example/v2/app/blobs/sha256:0").unwrap());
    exchange.header("Range", b"bytes=0-").unwrap();
    net.run(&mut exchange).ok(206, "blob");
    assert_eq!((net.connections, net.pooled()), (2, 2));
    let mut text = String::new();
    exchange.explain(&mut text).unwrap();
    assert!(text.contains("redirect") && !text.contains("sig=1"), "{text}");
}

#[test]
fn an_identity_is_shown_on_every_hop_that_may_have_it() {
    let mut net = Net::new();
    net.serve(REG, |request| {
        assert!(request.identified, "{}", request.target);
        registry("https://auth.example/token")(request)
    });
    net.serve(AUTH, |request| {
        assert!(request.identified);
        token(request)
    });
    let agent = agent(|config| {
        config.host(origin(REG), with_identity()).credentials(origin(REG), password());
        config.pair(Pair::new(origin(REG), PairKind::Token, origin(AUTH)).identity(true));
    });
    net.get(&agent, "https://reg.example/v2/app/manifests/1").ok(200, "blob");
}

#[test]
fn back_from_elsewhere_nothing_is_shown_and_no_connection_shared() {
    let mut net = Net::new();
    net.serve(REG, |request| match &*request.target {
        "/v2/app/blobs/x" => {
            assert!(request.identified);
            reply(sized(307, "Location: https://blobs.example/b\r\n", ""))
        }
        _ => {
            assert!(!request.identified);
            reply(sized(200, "", "blob"))
        }
    });
    net.serve(BLOBS, |_| reply(sized(307, "Location: https://reg.example/back\r\n", "")));
    let agent = agent(|config| {
        config.host(origin(REG), with_identity());
    });
    for connections in [3, 3] {
        net.get(&agent, "https://reg.example/v2/app/blobs/x").ok(200, "blob");
        assert_eq!((net.connections, net.pooled()), (connections, 3));
    }
}

#[test]
fn the_next_identity_is_tried_where_the_first_is_rejected() {
    let send = |try_pairs: bool, method: &str| {
        let mut net = Net::new();
        net.serve_picky(REG, |request| {
            assert!(request.identified);
            reply(sized(200, "", if request.method == "HEAD" { "" } else { "blob" }))
        });
        let agent = agent(|config| {
            let mut host = with_identity();
            host.identities.push(WORLD.second.clone());
            host.try_pairs = try_pairs;
            config.host(origin(REG), host);
        });
        let outcome = net.send(&agent, method, "https://reg.example/v2/app/manifests/1");
        (outcome, net.connections)
    };
    let (outcome, connections) = send(true, "GET");
    outcome.ok(200, "blob");
    assert_eq!(connections, 2);
    for (try_pairs, method) in [(false, "GET"), (true, "POST")] {
        let (outcome, connections) = send(try_pairs, method);
        let error = outcome.error.unwrap();
        let ErrorKind::Network { failure, evidence } = error.kind() else { panic!("{error}") };
        assert_eq!((*failure, evidence.as_ref().unwrap().alert), (Failure::CertificateRejected, Some(48)));
        assert_eq!(connections, 1);
    }
}

#[test]
fn a_missing_certificate_is_named_even_behind_a_failed_write() {
    for upload in [0, 1_000_000] {
        for eager in [false, true] {
            let mut net = Net::new();
            net.eager = eager;
            net.upload = vec![7; upload];
            net.serve_picky(REG, |_| panic!("no request gets through"));
            let agent = agent(|_| {});
            let flow = agent.request("PUT", "https://reg.example/v2/app/blobs/uploads/1").unwrap();
            let mut exchange = Exchange::new(&agent, flow);
            exchange.body_len(Some(upload as u64));
            let error = net.run(&mut exchange).error.unwrap();
            let ErrorKind::Network { failure, evidence } = error.kind() else { panic!("{error}") };
            assert_eq!((*failure, evidence.as_ref().unwrap().alert), (Failure::CertificateRequired, Some(116)));
            assert_eq!((error.fault(), error.hop()), (Fault::Network, Some(Hop::Registry)));
        }
    }
}

#[test]
fn plain_http_is_spoken_without_tls() {
    for pace in [usize::MAX, 1] {
        let mut net = Net::new();
        net.pace = pace;
        net.serve(PLAIN, |request| {
            assert_eq!(request.field("host"), Some("plain.example"));
            reply(sized(200, "", &format!("at {}", request.target)))
        });
        let agent = agent(|_| {});
        net.get(&agent, "http://plain.example/v2/").ok(200, "at /v2/");
        net.get(&agent, "http://plain.example").ok(200, "at /");
        assert_eq!((net.connections, net.pooled()), (1, 1));
    }
}

#[test]
fn endless_redirects_end() {
    let mut net = Net::new();
    let mut count = 0;
    net.serve(REG, move |_| {
        count += 1;
        reply(sized(302, &format!("Location: /v2/{count}\r\n"), "moved"))
    });
    let outcome = net.get(&agent(|_| {}), "https://reg.example/v2/0");
    let error = outcome.error.unwrap();
    assert_eq!((error.fault(), error.hop()), (Fault::Policy, Some(Hop::Redirect)));
    assert_eq!((net.log.len(), net.connections), (11, 1));
}

#[test]
fn nobody_there() {
    let outcome = Net::new().get(&agent(|_| {}), "https://reg.example/v2/");
    let error = outcome.error.unwrap();
    assert_eq!(error.kind(), &ErrorKind::Network { failure: Failure::Connect, evidence: None });
}

#[test]
fn a_wait_is_a_wait() {
    let mut net = Net::new();
    net.serve(REG, registry("https://auth.example/token"));
    let mut answers = 0;
    net.serve(AUTH, move |request| {
        answers += 1;
        if answers == 1 {
            return ending(sized(503, "Retry-After: 2\r\nConnection: close\r\n", "later"), Then::Close);
        }
        token(request)
    });
    net.get(&known(true), "https://reg.example/v2/app/manifests/1").ok(200, "blob");
    assert_eq!(net.now, NOW.plus_seconds(2));
}

#[test]
fn a_token_that_another_exchange_fetches_is_waited_for() {
    let mut net = Net::new();
    net.serve(REG, registry("https://reg.example/token"));
    let agent = known(false);
    net.get(&agent, "https://reg.example/v2/app/manifests/1").ok(200, "blob");
    // The challenge is remembered, and the token of another repository has to be fetched: by the first who asks.
    let url = "https://reg.example/v2/other/manifests/1";
    let mut first = Exchange::new(&agent, agent.request("GET", url).unwrap());
    let mut second = Exchange::new(&agent, agent.request("GET", url).unwrap());
    assert!(matches!(first.poll(NOW, Waker::noop()), Do::Connect(target) if target.hop == Hop::Token));
    assert!(matches!(second.poll(NOW, Waker::noop()), Do::Wait { .. }));
    assert!(second.space().is_empty());
    net.run(&mut first).ok(200, "blob");
    net.log.clear();
    net.run(&mut second).ok(200, "blob");
    assert_eq!(net.log, ["warm https://reg.example", "GET https://reg.example/v2/other/manifests/1 #0"]);
}

#[test]
fn a_connection_that_ends_anywhere_is_an_error_or_makes_no_difference() {
    for (name, url, step) in [(PLAIN, "http://plain.example/v2/", 1), (REG, "https://reg.example/v2/", 11)] {
        let mut cut = 0;
        loop {
            let mut net = Net::new();
            net.cut = cut;
            let mut count = 0;
            net.serve(name, move |_| {
                count += 1;
                match count {
                    1 => reply(sized(307, "Location: /v2/x\r\n", "moved")),
                    _ => reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nblob\r\n0\r\n\r\n"),
                }
            });
            let outcome = net.get(&agent(|_| {}), url);
            match &outcome.error {
                // The second request may be repeated on a new connection.
                None => outcome.ok(200, "blob"),
                Some(error) => assert_eq!(error.fault(), Fault::Network, "{cut}: {error}"),
            }
            if net.pooled() == 1 && net.connections == 1 && outcome.error.is_none() {
                break;
            }
            cut += step;
        }
        assert!(cut > 100, "{cut}");
    }
}
