//! Pooled connections: whose they may be, and what happens when they are stale.

use std::task::Waker;

use regauth::wire::{Do, Exchange};
use regauth::{Dial, ErrorKind, Failure, Fault};

use super::socket::{Reply, Request, Then, reply, sized};
use super::world::{AUTH, NOW, Net, PLAIN, REG, agent, origin, with_identity};

const URL: &str = "https://reg.example/v2/app/blobs/sha256:0";

fn blob(request: &Request) -> Option<Reply> {
    request.whole.then(|| reply(sized(200, "", &format!("{} by {}", request.body.len(), request.connection))).unwrap())
}

#[test]
fn a_request_goes_out_when_the_handshake_ends_in_silence() {
    // A full handshake of TLS 1.2 ends with bytes of the server, to which the client has nothing to answer.
    for pace in [usize::MAX, 100, 1] {
        let mut net = Net::new();
        net.pace = pace;
        net.serve_older(REG, blob);
        let agent = agent(|config| _ = config.host(origin(REG), with_identity()));
        net.get(&agent, URL).ok(200, "0 by 0");
        net.get(&agent, URL).ok(200, "0 by 0");
    }
}

#[test]
fn a_stale_link_is_replaced_once() {
    for then in [Then::Close, Then::Cut, Then::Reset, Then::Deaf] {
        for method in ["GET", "PUT", "DELETE", "HEAD"] {
            let mut net = Net::new();
            net.serve(REG, |request| if request.method == "HEAD" { reply(sized(200, "", "")) } else { blob(request) });
            let agent = agent(|_| {});
            net.get(&agent, URL).ok(200, "0 by 0");
            net.end_idle(then);
            net.upload = vec![7; 100_000];
            let mut exchange = Exchange::new(&agent, agent.request(method, URL).unwrap());
            let length = if method == "PUT" { 100_000 } else { 0 };
            exchange.body_len(Some(length));
            let outcome = net.run(&mut exchange);
            let content = if method == "HEAD" { String::new() } else { format!("{length} by 1") };
            outcome.ok(200, &content);
            assert_eq!((net.connections, net.pooled()), (2, 1), "{then:?} {method}");
            assert!(net.rewound <= 1);
        }
    }
}

#[test]
fn a_stale_link_of_a_request_that_cannot_be_repeated_is_an_error() {
    for method in ["POST", "PATCH"] {
        let mut net = Net::new();
        net.serve(REG, blob);
        let agent = agent(|_| {});
        net.get(&agent, URL).ok(200, "0 by 0");
        net.end_idle(Then::Close);
        let error = net.send(&agent, method, URL).error.unwrap();
        assert!(matches!(error.kind(), ErrorKind::Network { failure: Failure::Reset, .. }), "{error}");
        assert_eq!(net.connections, 1);
        // Where not a byte could be written, the server has not seen it.
        net.get(&agent, URL).ok(200, "0 by 1");
        net.end_idle(Then::Deaf);
        net.send(&agent, method, URL).ok(200, "0 by 2");
    }
}

#[test]
fn a_link_that_is_seen_to_be_closed_is_replaced_for_every_request() {
    for then in [Then::Close, Then::Cut, Then::Reset] {
        let mut net = Net::new();
        net.eager = true;
        net.serve(REG, blob);
        let agent = agent(|_| {});
        net.get(&agent, URL).ok(200, "0 by 0");
        net.end_idle(then);
        net.send(&agent, "POST", URL).ok(200, "0 by 1");
    }
}

#[test]
fn a_second_break_is_an_error() {
    let mut net = Net::new();
    let mut count = 0;
    net.serve(REG, move |request| {
        count += 1;
        if count == 1 { blob(request) } else { Some(Reply { bytes: Vec::new(), then: Then::Close }) }
    });
    let agent = agent(|_| {});
    net.get(&agent, URL).ok(200, "0 by 0");
    let error = net.get(&agent, URL).error.unwrap();
    assert!(matches!(error.kind(), ErrorKind::Network { failure: Failure::Reset, .. }), "{error}");
    assert_eq!(net.connections, 2);
}

#[test]
fn what_comes_on_an_idle_link_is_no_answer() {
    let unasked = sized(200, "", "evil");
    let goodbye = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    for said in [unasked.as_str(), goodbye, "x"] {
        for eager in [false, true] {
            let mut net = Net::new();
            net.eager = eager;
            net.serve(REG, blob);
            let agent = agent(|_| {});
            net.get(&agent, URL).ok(200, "0 by 0");
            net.say_idle(said);
            let outcome = net.get(&agent, URL);
            if said == goodbye || eager {
                outcome.ok(200, "0 by 1");
            } else if said == "x" {
                assert_eq!(outcome.error.unwrap().fault(), Fault::Registry);
            }
        }
    }
}

#[test]
fn what_comes_while_a_head_is_written_is_no_answer() {
    // Neither can a server have acted on half a head: the request goes out once more, whatever its method.
    for url in [URL, "http://plain.example/v2/app/blobs/sha256:0"] {
        for method in ["GET", "POST"] {
            for after in [1, 20] {
                for unasked in [sized(200, "", "evil"), "HTTP/1.1 200 X\r\nContent-Le".into(), "x".into()] {
                    let mut net = Net::new();
                    (net.eager, net.pace) = (true, 7);
                    net.serve(REG, blob);
                    net.serve(PLAIN, blob);
                    let agent = agent(|_| {});
                    net.get(&agent, url).ok(200, "0 by 0");
                    net.unasked = Some((after, unasked));
                    net.upload = vec![7; 50];
                    let mut exchange = Exchange::new(&agent, agent.request(method, url).unwrap());
                    let length = if method == "POST" { 50 } else { 0 };
                    exchange.body_len(Some(length));
                    net.run(&mut exchange).ok(200, &format!("{length} by 1"));
                    assert_eq!((net.unasked.is_none(), net.connections, net.pooled()), (true, 2, 1));
                }
            }
        }
    }
}

#[test]
fn what_comes_behind_an_answer_is_never_the_next_one() {
    // With the answer or after it, piece by piece or not: the same, for a host that reads before it writes.
    for unasked in [sized(200, "", "evil"), "HTTP/1.1 200 X\r\nContent-Le".into(), "x".into()] {
        for pace in [usize::MAX, 100, 7, 1] {
            let mut net = Net::new();
            (net.eager, net.pace) = (true, pace);
            let after = unasked.clone();
            let challenge = format!("{}{after}", sized(401, "WWW-Authenticate: Bearer realm=\"/token\"\r\n", "no"));
            net.serve(PLAIN, move |request| match (request.target.split('?').next(), request.field("authorization")) {
                (Some("/token"), _) => reply(format!("{}{after}", sized(200, "", r#"{"token":"T"}"#))),
                (_, None) => reply(challenge.clone()),
                _ => reply(sized(200, "", &format!("blob by {}", request.connection))),
            });
            let agent = agent(|_| {});
            net.get(&agent, "http://plain.example/v2/app/blobs/sha256:0").ok(200, "blob by 2");
            assert_eq!(net.connections, 3, "{pace}");
        }
    }
}

#[test]
fn a_link_serves_only_what_it_was_made_for() {
    let mut net = Net::new();
    net.serve(REG, blob);
    net.serve(AUTH, blob);
    let bare = agent(|_| {});
    let shown = agent(|config| {
        config.host(origin(REG), with_identity());
        config.host(origin(AUTH), with_identity());
    });
    net.get(&shown, URL).ok(200, "0 by 0");
    let link = net.take_pooled();
    assert!(!format!("{link:?}").contains("first"));
    // The same origin without the certificate, another origin with it.
    for (agent, url) in [(&shown, "https://auth.example/v2/"), (&shown, "https://reg.example:444/v2/")] {
        let mut exchange = Exchange::new(agent, agent.request("GET", url).unwrap());
        let Do::Connect(target) = exchange.poll(NOW, Waker::noop()) else { panic!("no Connect") };
        assert_ne!(target.key(false), *link.key());
        assert!(target.pooled);
        let mut other = Net::new();
        other.serve(REG, blob);
        other.get(agent, URL).ok(200, "0 by 0");
        exchange.connected(NOW, Some(other.take_pooled()));
        let Do::Failed(error) = exchange.poll(NOW, Waker::noop()) else { panic!("not refused") };
        assert_eq!(error.fault(), Fault::Local);
    }
    // After a rotation connections are made anew.
    let mut exchange = Exchange::new(&bare, bare.request("GET", URL).unwrap());
    let Do::Connect(target) = exchange.poll(NOW, Waker::noop()) else { panic!("no Connect") };
    let before = target.key(false);
    assert_ne!(target.key(true), before);
    let mut config = regauth::Config::default();
    config.host(origin(REG), with_identity());
    bare.replace(config).unwrap();
    let mut exchange = Exchange::new(&bare, bare.request("GET", URL).unwrap());
    let Do::Connect(target) = exchange.poll(NOW, Waker::noop()) else { panic!("no Connect") };
    assert_ne!(target.key(false), before);
}

#[test]
fn addresses_are_asked_for() {
    let agent = agent(|_| {});
    let mut exchange = Exchange::new(&agent, agent.request("GET", URL).unwrap());
    assert_eq!(exchange.dial(Dial::Proxied).unwrap_err().fault(), Fault::Local, "before anything is to be sent");
    assert!(matches!(exchange.poll(NOW, Waker::noop()), Do::Connect(_)));
    let refused = exchange.dial(Dial::Ip([169, 254, 169, 254].into())).unwrap_err();
    assert_eq!(refused.fault(), Fault::Policy);
    assert!(matches!(exchange.poll(NOW, Waker::noop()), Do::Connect(_)), "the next address may do");
    exchange.failed(NOW, Failure::AddressRefused);
    let Do::Failed(error) = exchange.poll(NOW, Waker::noop()) else { panic!("not failed") };
    assert_eq!(error.fault(), Fault::Policy);
}

#[test]
fn a_timeout_is_a_timeout() {
    let agent = agent(|_| {});
    // While it connects, writes (twice: a failed write would be read after) and reads.
    for writes in [0, 1, 2] {
        let mut exchange = Exchange::new(&agent, agent.request("GET", URL).unwrap());
        assert!(matches!(exchange.poll(NOW, Waker::noop()), Do::Connect(_)));
        if writes > 0 {
            exchange.dial(Dial::Ip([198, 51, 100, 7].into())).unwrap();
            exchange.connected(NOW, None);
            let Do::Write(bytes) = exchange.poll(NOW, Waker::noop()) else { panic!("no hello") };
            let n = bytes.len();
            if writes > 1 {
                exchange.wrote(n);
                assert!(matches!(exchange.poll(NOW, Waker::noop()), Do::Read));
            }
        }
        exchange.failed(NOW, Failure::Timeout);
        let Do::Failed(error) = exchange.poll(NOW, Waker::noop()) else { panic!("not failed") };
        assert!(matches!(error.kind(), ErrorKind::Network { failure: Failure::Timeout, .. }), "{error}");
    }
}

#[test]
fn every_call_of_a_socket_may_fail() {
    for failure in [Failure::Reset, Failure::Timeout, Failure::Connect] {
        for eager in [false, true] {
            let (mut calls, mut passed) = (0, 0);
            loop {
                let mut net = Net::new();
                net.eager = eager;
                net.pace = 500;
                net.fail = Some((calls, failure));
                net.serve(REG, super::hops::registry("https://auth.example/token"));
                net.serve(AUTH, super::hops::token);
                let outcome = net.get(&super::hops::known(true), "https://reg.example/v2/app/manifests/1");
                if net.fail.is_some() {
                    outcome.ok(200, "blob");
                    break;
                }
                match &outcome.error {
                    // What was only to be discarded, or a link that had been used, is done without.
                    None => {
                        outcome.ok(200, "blob");
                        passed += 1;
                    }
                    Some(error) => assert_eq!(error.fault(), Fault::Network, "{calls}: {error}"),
                }
                calls += 1;
            }
            assert!(calls > 5 && passed < calls / 2, "{calls} {passed}");
        }
    }
}
