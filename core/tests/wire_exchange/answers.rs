//! Answers of every shape, and those that break the rules.

use regauth::wire::{Do, Exchange};
use regauth::{Error, ErrorKind, Failure, Fault, Hop};

use super::hops::known;
use super::socket::{Reply, Then, ending, reply, sized};
use super::world::{AUTH, NOW, Net, Outcome, PLAIN, REG, agent, origin, with_identity};

const URL: &str = "https://reg.example/v2/app/blobs/sha256:0";

/// What a GET comes to when this is the answer; the connections, and how many of them are kept.
fn answered(method: &str, answer: &[u8], then: Then, pace: usize) -> (Outcome, usize) {
    let answer = answer.to_vec();
    let mut net = Net::new();
    net.pace = pace;
    net.serve(REG, move |_| Some(Reply { bytes: answer.clone(), then }));
    let outcome = net.send(&agent(|_| {}), method, URL);
    assert_eq!(net.connections, 1);
    (outcome, net.pooled())
}

#[test]
fn answers_of_every_shape() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nblob\r\n3;x\r\n -2\r\n0\r\nT: 1\r\n\r\n";
    // (method, answer, what the server does then, status, content, kept)
    let rows: &[(&str, &str, Then, u16, &str, usize)] = &[
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblob", Then::Keep, 200, "blob", 1),
        ("GET", chunked, Then::Keep, 200, "blob -2", 1),
        ("GET", "HTTP/1.1 200 OK\r\n\r\nblob", Then::Close, 200, "blob", 0),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nblob", Then::Close, 200, "blob", 0),
        ("GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nblob", Then::Cut, 200, "blob", 0),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", Then::Keep, 204, "", 1),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", Then::Keep, 304, "", 1),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", Then::Keep, 200, "", 1),
        ("HEAD", "HTTP/1.1 404 Not Found\r\n\r\n", Then::Keep, 404, "", 1),
        (
            "GET",
            "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 404 N\r\nContent-Length: 2\r\n\r\nno",
            Then::Keep,
            404,
            "no",
            1,
        ),
        // Bytes behind the answer.
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblobX", Then::Keep, 200, "blob", 0),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblob", Then::Keep, 200, "", 0),
        // Ended at once: not to be pooled.
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblob", Then::Reset, 200, "blob", 1),
    ];
    for (method, answer, then, status, content, kept) in rows {
        for pace in [usize::MAX, 1] {
            let (outcome, pooled) = answered(method, answer.as_bytes(), *then, pace);
            outcome.ok(*status, content);
            if pace == usize::MAX || *then == Then::Keep && *kept == 1 {
                assert_eq!(pooled, *kept, "{answer}");
            }
        }
    }
}

fn broken(error: &Error) -> Option<Failure> {
    match error.kind() {
        ErrorKind::Network { failure, .. } => Some(*failure),
        _ => None,
    }
}

#[test]
fn answers_that_end_too_early() {
    let rows: &[(&str, Then, Option<u16>)] = &[
        ("", Then::Close, None),
        ("", Then::Cut, None),
        ("", Then::Reset, None),
        ("HTTP/1.1 20", Then::Close, None),
        ("HTTP/1.1 100 C\r\n\r\n", Then::Close, None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nblob", Then::Close, Some(200)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nblob", Then::Cut, Some(200)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nblob", Then::Reset, Some(200)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nblob\r\n", Then::Close, Some(200)),
        // Without a close_notify anybody may have cut it.
        ("HTTP/1.1 200 OK\r\n\r\nblob", Then::Cut, Some(200)),
        ("HTTP/1.1 200 OK\r\n\r\nblob", Then::Reset, Some(200)),
    ];
    for (answer, then, status) in rows {
        for pace in [usize::MAX, 1] {
            let (outcome, pooled) = answered("GET", answer.as_bytes(), *then, pace);
            let error = outcome.error.unwrap();
            assert_eq!((outcome.status, pooled), (*status, 0), "{answer}");
            assert_eq!(error.fault(), Fault::Network, "{answer} {error}");
            assert_eq!(error.hop(), Some(Hop::Registry));
            // In TLS 1.3 a server that asked for a certificate and breaks off without a word has probably refused.
            let silent = answer.is_empty() && *then != Then::Close;
            let expected = if silent { Failure::CertificateRequired } else { Failure::Reset };
            assert_eq!(broken(&error), Some(expected), "{answer} {then:?}");
        }
    }
}

#[test]
fn a_plain_connection_that_is_reset_does_not_end_a_body() {
    for (then, whole) in [(Then::Cut, true), (Then::Reset, false)] {
        let mut net = Net::new();
        net.serve(PLAIN, move |_| ending("HTTP/1.1 200 OK\r\n\r\nblob", then));
        let outcome = net.get(&agent(|_| {}), "http://plain.example/v2/");
        assert_eq!((outcome.content.as_slice(), outcome.error.is_none()), (&b"blob"[..], whole));
    }
}

#[test]
fn answers_that_break_the_rules() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(70_000));
    let rows: &[(&str, &str)] = &[
        ("SSH-2.0-x\r\n", "it does not begin with HTTP/1.0 or HTTP/1.1"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 came without a request to switch protocols"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "its Content-Length fields differ"),
        (&many, "it has more than 100 fields"),
        (&long, "its head is longer than 64 KiB"),
    ];
    for (answer, what) in rows {
        let (outcome, pooled) = answered("GET", answer.as_bytes(), Then::Keep, usize::MAX);
        let error = outcome.error.unwrap();
        assert_eq!((outcome.status, pooled), (None, 0));
        assert_eq!((error.kind(), error.fault()), (&ErrorKind::Protocol(what), Fault::Registry));
    }
    let (outcome, _) =
        answered("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", Then::Keep, usize::MAX);
    let error = outcome.error.unwrap();
    assert_eq!(outcome.status, Some(200));
    assert_eq!(error.kind(), &ErrorKind::Protocol("a chunk size is no hexadecimal number"));
}

#[test]
fn a_large_blob_is_lent_piece_by_piece() {
    let blob: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    for chunked in [false, true] {
        let mut answer = b"HTTP/1.1 200 OK\r\n".to_vec();
        if chunked {
            answer.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for part in blob.chunks(10_007) {
                answer.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                answer.extend_from_slice(part);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\n\r\n");
        } else {
            answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", blob.len()).as_bytes());
            answer.extend_from_slice(&blob);
        }
        for pace in [usize::MAX, 1460] {
            let (outcome, pooled) = answered("GET", &answer, Then::Keep, pace);
            assert_eq!((outcome.error, outcome.status, pooled), (None, Some(200), 1));
            assert!(outcome.content == blob);
        }
    }
}

/// What a pull comes to when this is what the token service answers.
fn with_token_answer(answer: String, then: Then) -> (Outcome, Net) {
    let mut net = Net::new();
    net.serve(REG, super::hops::registry("https://auth.example/token"));
    net.serve(AUTH, move |_| ending(answer.clone(), then));
    let outcome = net.get(&known(true), "https://reg.example/v2/app/manifests/1");
    (outcome, net)
}

#[test]
fn token_answers_are_put_together_up_to_their_limit() {
    let json = r#"{"token":"t0k"}"#;
    for answer in [
        format!("HTTP/1.1 200 OK\r\n\r\n{json}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{json}\r\n0\r\n\r\n"),
        sized(200, "", &format!("{json}{}", " ".repeat(1024 * 1024 - json.len()))),
    ] {
        with_token_answer(answer, Then::Close).0.ok(200, "blob");
    }
    let filler = "x".repeat(2 * 1024 * 1024);
    for (answer, then) in [
        // The server would go on for long: nothing of it is waited for.
        ("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n".to_string(), Then::Keep),
        (format!("HTTP/1.1 200 OK\r\n\r\n{filler}"), Then::Keep),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n{filler}"), Then::Keep),
    ] {
        let (outcome, _) = with_token_answer(answer, then);
        let error = outcome.error.unwrap();
        assert_eq!((error.fault(), error.hop()), (Fault::TokenService, Some(Hop::Token)));
        assert_eq!(error.kind(), &ErrorKind::TokenMalformed("it is longer than 1 MiB"));
    }
    let (outcome, _) = with_token_answer(format!("HTTP/1.1 403 Forbidden\r\n\r\n{filler}"), Then::Keep);
    let error = outcome.error.unwrap();
    assert!(matches!(error.kind(), ErrorKind::TokenRefused { status: 403, .. }), "{error}");
}

#[test]
fn token_answers_that_break_are_the_token_services() {
    for then in [Then::Close, Then::Cut, Then::Reset] {
        let (outcome, _) = with_token_answer("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".into(), then);
        let error = outcome.error.unwrap();
        assert_eq!((broken(&error), error.hop()), (Some(Failure::Reset), Some(Hop::Token)));
    }
    let (outcome, _) = with_token_answer("HTTP/2 200 OK\r\n\r\n".into(), Then::Keep);
    let error = outcome.error.unwrap();
    assert_eq!((error.fault(), error.hop()), (Fault::TokenService, Some(Hop::Token)));
}

#[test]
fn content_that_nobody_wants_is_read_only_if_it_is_short() {
    let challenge = "WWW-Authenticate: Bearer realm=\"https://reg.example/token\"\r\n";
    let long = "x".repeat(70_000);
    for (answer, then, connections) in [
        (sized(401, challenge, &"x".repeat(60_000)), Then::Keep, 1),
        (sized(401, challenge, &long), Then::Keep, 2),
        (format!("HTTP/1.1 401 U\r\n{challenge}Content-Length: 99999999\r\n\r\n"), Then::Keep, 2),
        (format!("HTTP/1.1 401 U\r\n{challenge}Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"), Then::Keep, 1),
        (format!("HTTP/1.1 401 U\r\n{challenge}Transfer-Encoding: chunked\r\n\r\n11170\r\n{long}\r\n"), Then::Keep, 2),
        (format!("HTTP/1.1 401 U\r\n{challenge}Transfer-Encoding: chunked\r\n\r\n-\r\n"), Then::Keep, 2),
        (sized(401, &format!("{challenge}Connection: close\r\n"), "no"), Then::Close, 2),
        (format!("HTTP/1.1 401 U\r\n{challenge}\r\nno"), Then::Close, 2),
        (format!("HTTP/1.1 401 U\r\n{challenge}Content-Length: 9\r\n\r\nno"), Then::Cut, 2),
    ] {
        let mut net = Net::new();
        let mut registry = super::hops::registry("https://reg.example/token");
        net.serve(REG, move |request| match request.field("authorization") {
            None => ending(answer.clone(), then),
            Some(_) => registry(request),
        });
        net.get(&known(false), "https://reg.example/v2/app/manifests/1").ok(200, "blob");
        assert_eq!(net.connections, connections);
    }
}

#[test]
fn the_same_comes_until_it_is_answered() {
    let mut net = Net::new();
    net.serve(REG, |_| reply(sized(200, "A: b\r\n", "blob")));
    let agent = agent(|_| {});
    let mut exchange = Exchange::new(&agent, agent.request("GET", URL).unwrap());
    net.run(&mut exchange).ok(200, "blob");
    assert_eq!(exchange.head().unwrap().get("a"), Some(&b"b"[..]));
    for _ in 0..3 {
        assert!(matches!(exchange.poll(NOW, std::task::Waker::noop()), Do::Done));
    }
    assert!(exchange.take_link().is_none(), "it was taken");
}

#[test]
fn calls_out_of_order_latch_an_error() {
    let waker = std::task::Waker::noop();
    let agent = agent(|_| {});
    let calls: [fn(&mut Exchange); 8] = [
        |exchange| exchange.connected(NOW, None),
        |exchange| exchange.took_head(),
        |exchange| exchange.took(1),
        |exchange| assert_eq!(exchange.body(b"x", true), 0),
        |exchange| exchange.body_gone(),
        |exchange| exchange.closed(),
        |exchange| exchange.credentials(NOW, Ok(None)),
        |exchange| exchange.dial(regauth::Dial::Proxied).unwrap(),
    ];
    for (index, call) in calls.into_iter().enumerate() {
        let mut exchange = Exchange::new(&agent, agent.request("GET", URL).unwrap());
        assert!(matches!(exchange.poll(NOW, waker), Do::Connect(_)));
        call(&mut exchange);
        match exchange.poll(NOW, waker) {
            Do::Failed(error) => assert_eq!(error.fault(), Fault::Local),
            Do::Connect(_) if index == 7 => continue,
            other => panic!("{index}: {other:?}"),
        }
        // And then nothing does anything.
        for call in calls.into_iter().take(7) {
            call(&mut exchange);
        }
        exchange.failed(NOW, Failure::Reset);
        exchange.filled(1);
        exchange.wrote(1);
        assert!(exchange.space().is_empty());
        assert!(exchange.take_link().is_none());
        assert!(matches!(exchange.poll(NOW, waker), Do::Failed(_)));
    }
}

#[test]
fn more_than_was_lent_cannot_be_written() {
    let waker = std::task::Waker::noop();
    for url in [URL, "http://plain.example/v2/app/blobs/sha256:0"] {
        let agent = agent(|_| {});
        let mut exchange = Exchange::new(&agent, agent.request("GET", url).unwrap());
        assert!(matches!(exchange.poll(NOW, waker), Do::Connect(_)));
        exchange.dial(regauth::Dial::Ip([198, 51, 100, 7].into())).unwrap();
        exchange.connected(NOW, None);
        let Do::Write(bytes) = exchange.poll(NOW, waker) else { panic!("nothing to write") };
        let more = bytes.len() + 1;
        assert_eq!(format!("{:?}", exchange.poll(NOW, waker)), format!("Write({})", more - 1), "how many, not which");
        exchange.wrote(more);
        let Do::Failed(error) = exchange.poll(NOW, waker) else { panic!("not failed") };
        assert_eq!(error.fault(), Fault::Local);
        assert_eq!(format!("{exchange:?}").matches("Exchange").count(), 1);
    }
}

/// A flow of another agent has profiles of that one: nothing goes out by guess.
#[test]
fn a_flow_of_another_agent_is_refused() {
    let (one, other) = (agent(|_| {}), agent(|config| _ = config.host(origin(REG), with_identity())));
    let mut net = Net::new();
    net.serve(REG, |_| reply(sized(200, "", "blob")));
    let error = net.run(&mut Exchange::new(&one, other.request("GET", URL).unwrap())).error.unwrap();
    assert_eq!((error.fault(), net.connections), (Fault::Local, 0), "{error}");
}

/// Over plain http too, with a host that reads far ahead of what the application takes.
#[test]
fn a_host_may_read_ahead() {
    let blob: String = (0..400_000).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    for (origin, url) in [(REG, URL), (PLAIN, "http://plain.example/v2/app/blobs/sha256:0")] {
        for pace in [usize::MAX, 30_000, 777] {
            let mut net = Net::new();
            (net.eager, net.pace) = (true, pace);
            let answer = sized(200, "", &blob);
            net.serve(origin, move |_| reply(answer.clone()));
            net.get(&agent(|_| {}), url).ok(200, &blob);
        }
    }
}

#[test]
fn more_than_was_lent_cannot_be_taken() {
    let mut net = Net::new();
    net.serve(REG, |_| reply(sized(200, "", "blob")));
    net.greedy = true;
    let error = net.get(&agent(|_| {}), URL).error.unwrap();
    assert_eq!(error.fault(), Fault::Local);
}

#[test]
fn an_exchange_may_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Exchange>();
    is_send::<regauth::wire::Link>();
}

#[test]
fn fields_that_are_not_the_applications_are_refused() {
    let agent = agent(|_| {});
    let mut exchange = Exchange::new(&agent, agent.request("GET", URL).unwrap());
    for (name, value) in [("Authorization", "Basic x"), ("Host", "x"), ("A", "b\r\nC: d"), ("A b", "c")] {
        assert_eq!(exchange.header(name, value.as_bytes()).unwrap_err().fault(), Fault::Local, "{name}");
    }
}
