//! Bodies that the application sends: lengths, chunks, and answers that come before they are sent.

use regauth::wire::Exchange;
use regauth::{ErrorKind, Failure, Fault};

use super::hops::{known, registry, token};
use super::socket::{Reply, Request, Then, ending, reply, sized};
use super::world::{AUTH, BLOBS, Net, Outcome, PLAIN, REG, agent};

const URL: &str = "https://reg.example/v2/app/blobs/uploads/1";

fn blob(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// Answers once all is there, and tells what came.
fn count(request: &Request) -> Option<Reply> {
    request.whole.then(|| {
        assert!(request.body == blob(request.body.len()));
        let framing = request.field("content-length").map_or("chunked", |_| "length");
        reply(sized(202, "", &format!("{} {framing}", request.body.len()))).unwrap()
    })
}

fn upload(net: &mut Net, agent: &regauth::Agent, method: &str, url: &str, known: bool) -> Outcome {
    let mut exchange = Exchange::new(agent, agent.request(method, url).unwrap());
    exchange.header("Content-Type", b"application/octet-stream").unwrap();
    exchange.body_len(known.then_some(net.upload.len() as u64));
    net.run(&mut exchange)
}

#[test]
fn bodies_of_known_and_unknown_length() {
    for (length, piece) in [(0, 1), (1, 1), (5, 2), (70_000, usize::MAX), (1_000_000, 4096), (1_000_000, usize::MAX)] {
        for is_known in [true, false] {
            for (origin, url) in [(REG, URL), (PLAIN, "http://plain.example/v2/app/blobs/uploads/1")] {
                let mut net = Net::new();
                net.upload = blob(length);
                net.piece = piece;
                net.serve(origin, count);
                let framing = if is_known { "length" } else { "chunked" };
                upload(&mut net, &agent(|_| {}), "PATCH", url, is_known).ok(202, &format!("{length} {framing}"));
                assert_eq!((net.connections, net.pooled(), net.rewound), (1, 1, 0));
            }
        }
    }
}

#[test]
fn every_pace_uploads_the_same() {
    for pace in [1, 2, 3, 100, 1460] {
        for is_known in [true, false] {
            let mut net = Net::new();
            net.pace = pace;
            net.upload = blob(20_000);
            net.piece = 7000;
            net.serve(REG, count);
            let framing = if is_known { "length" } else { "chunked" };
            upload(&mut net, &agent(|_| {}), "PUT", URL, is_known).ok(202, &format!("20000 {framing}"));
        }
    }
}

#[test]
fn a_request_without_a_body_says_so() {
    let mut net = Net::new();
    net.serve(REG, |request| {
        reply(sized(202, "", &format!("{:?} {:?}", request.field("content-length"), request.field("content-type"))))
    });
    let agent = agent(|_| {});
    net.send(&agent, "POST", URL).ok(202, "Some(\"0\") None");
    net.send(&agent, "DELETE", URL).ok(202, "None None");
}

#[test]
fn the_token_is_got_first_and_the_body_sent_again() {
    for is_known in [true, false] {
        for eager in [false, true] {
            let mut net = Net::new();
            net.eager = eager;
            net.upload = blob(300_000);
            net.piece = 10_000;
            net.serve(REG, |request| match request.field("authorization") {
                Some("Bearer t0k") => count(request),
                _ if request.whole => registry("https://auth.example/token")(request),
                _ => None,
            });
            net.serve(AUTH, token);
            let agent = known(true);
            let framing = if is_known { "length" } else { "chunked" };
            upload(&mut net, &agent, "PATCH", URL, is_known).ok(202, &format!("300000 {framing}"));
            assert_eq!((net.rewound, net.connections), (1, 2), "the registry's connection was kept");
            // With the challenge and the token in memory nothing is sent twice.
            upload(&mut net, &agent, "PATCH", URL, is_known).ok(202, &format!("300000 {framing}"));
            assert_eq!(net.rewound, 1);
        }
    }
}

#[test]
fn an_answer_before_the_body_is_sent_is_heard() {
    // A server that answers at the head: it goes on to read, stops reading, or resets what comes.
    for then in [Then::Close, Then::Cut, Then::Deaf] {
        for (eager, is_known) in [(false, true), (true, true), (false, false), (true, false)] {
            for pace in [usize::MAX, 1000] {
                for (origin, url) in [(REG, URL), (PLAIN, "http://plain.example/v2/app/blobs/uploads/1")] {
                    let mut net = Net::new();
                    net.eager = eager;
                    net.pace = pace;
                    net.upload = blob(300_000);
                    net.piece = 10_000;
                    net.serve(origin, move |_| ending(sized(413, "", "too large"), then));
                    upload(&mut net, &agent(|_| {}), "PATCH", url, is_known).ok(413, "too large");
                    assert_eq!(net.connections, 1);
                    if eager || then == Then::Deaf {
                        assert_eq!(net.pooled(), 0, "the rest of the body was not sent");
                    }
                }
            }
        }
    }
}

#[test]
fn an_early_401_leads_to_a_token_and_a_second_connection() {
    for then in [Then::Close, Then::Cut, Then::Deaf] {
        for eager in [false, true] {
            let mut net = Net::new();
            net.eager = eager;
            net.upload = blob(300_000);
            net.piece = 10_000;
            let mut early = registry("https://auth.example/token");
            net.serve(REG, move |request| match request.field("authorization") {
                Some("Bearer t0k") => count(request),
                _ => {
                    let answer = String::from_utf8(early(request).unwrap().bytes).unwrap();
                    ending(answer.replacen("\r\n", "\r\nConnection: close\r\n", 1), then)
                }
            });
            net.serve(AUTH, token);
            upload(&mut net, &known(true), "PATCH", URL, true).ok(202, "300000 length");
            assert_eq!((net.connections, net.pooled()), (3, 2));
            assert!(net.rewound <= 1);
        }
    }
}

#[test]
fn a_body_that_cannot_be_read_twice_ends_the_exchange() {
    let mut net = Net::new();
    net.upload = blob(100);
    net.rewinds = false;
    net.serve(REG, |request| if request.whole { registry("https://auth.example/token")(request) } else { None });
    net.serve(AUTH, token);
    let error = upload(&mut net, &known(true), "PATCH", URL, true).error.unwrap();
    assert_eq!((error.fault(), net.rewound), (Fault::Local, 1));
    assert!(error.what().contains("cannot be read twice"), "{error}");
}

#[test]
fn a_redirect_takes_the_body_along_or_leaves_it() {
    for (status, method, content) in
        [(307, "PUT", "100 length Some(\"application/octet-stream\")"), (303, "GET", "0  None")]
    {
        let mut net = Net::new();
        net.upload = blob(100);
        net.serve(REG, move |request| {
            request.whole.then(|| {
                let location = "Location: https://blobs.example/up\r\n";
                reply(sized(status, location, "moved")).unwrap()
            })
        });
        net.serve(BLOBS, move |request| {
            if !request.whole {
                return None;
            }
            assert_eq!(request.method, method);
            let framing = request.field("content-length").map_or("", |_| "length");
            reply(sized(201, "", &format!("{} {framing} {:?}", request.body.len(), request.field("content-type"))))
        });
        let mut exchange_net = net;
        let outcome = upload(&mut exchange_net, &agent(|_| {}), "PUT", URL, true);
        outcome.ok(201, content);
        assert_eq!(exchange_net.rewound, usize::from(status == 307));
    }
}

#[test]
fn a_server_that_breaks_off_in_the_middle() {
    for then in [Then::Close, Then::Cut, Then::Reset, Then::Deaf] {
        let mut net = Net::new();
        net.upload = blob(300_000);
        net.piece = 10_000;
        net.serve(REG, move |request| if request.body.len() > 50_000 { ending("", then) } else { None });
        let error = upload(&mut net, &agent(|_| {}), "PATCH", URL, true).error.unwrap();
        let ErrorKind::Network { failure, evidence } = error.kind() else { panic!("{error}") };
        // The server had asked for a certificate, and in TLS 1.3 nothing tells a refusal from a break.
        let expected = if then == Then::Close { Failure::Reset } else { Failure::CertificateRequired };
        assert_eq!(*failure, expected, "{then:?}");
        assert!(evidence.as_ref().unwrap().finished);
    }
}

#[test]
fn more_or_less_than_was_announced_is_the_callers_fault() {
    for (announced, given, what) in [(5, 6, "longer"), (7, 6, "shorter"), (0, 1, "longer")] {
        let mut net = Net::new();
        net.upload = blob(given);
        net.serve(REG, |request| if request.whole { reply(sized(200, "", "")) } else { None });
        let agent = agent(|_| {});
        let mut exchange = Exchange::new(&agent, agent.request("PUT", URL).unwrap());
        exchange.body_len(Some(announced));
        let outcome = net.run(&mut exchange);
        if announced == 0 {
            // Nothing was asked for, so nothing was given.
            outcome.ok(200, "");
            continue;
        }
        let error = outcome.error.unwrap();
        assert_eq!(error.fault(), Fault::Local);
        assert!(error.what().contains(what), "{error}");
    }
}
