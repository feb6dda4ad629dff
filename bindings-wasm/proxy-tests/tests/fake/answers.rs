use regauth_proxy_tests::host::{Host, fields};

use crate::support::{CHALLENGE, CONFIGURATION, challenged, cold, done, pull, reply, request, serve, status};

/// A `Location` at the registry, as it sees itself, becomes one at this proxy; others stay.
#[test]
fn locations() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let table = [
        ("POST", "202", "http://reg.example:443/v2/a/blobs/uploads/1?_state=x", "/v2/a/blobs/uploads/1?_state=x"),
        ("POST", "202", "https://REG.example/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/1"),
        ("PUT", "201", "HTTPS://reg.example:443/v2/a", "/v2/a"),
        ("GET", "204", "http://reg.example/v2/a", "/v2/a"),
        ("GET", "307", "https://blobs.example/x?sig=1", "https://blobs.example/x?sig=1"),
        ("GET", "307", "https://reg.example.evil/x", "https://reg.example.evil/x"),
        ("GET", "307", "https://reg.example:444/x", "https://reg.example:444/x"),
        ("GET", "307", "https://reg.example@evil/x", "https://reg.example@evil/x"),
        ("GET", "307", "https://reg.example", "https://reg.example"),
        ("PATCH", "202", "/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/1"),
        ("GET", "200", "https://reg.example/v2/a", "https://reg.example/v2/a"),
    ];
    for (id, (method, status, from, to)) in (10..).zip(table) {
        machine.request(id, request(method, "/v2/a/blobs/uploads/", 1), true);
        machine.response(id, fields(&[(":status", status), ("location", from)]));
        assert_eq!(machine.got(id, "location").unwrap(), to, "{method} {status}");
        machine.end(id);
    }
}

/// The client's own credentials never reach the registry; where they are let pass, the answer is the client's too.
#[test]
fn the_clients_authorization() {
    let own = |attempt| {
        let mut own = pull(attempt);
        own.push((b"authorization".to_vec(), b"Basic bXk6b3du".to_vec()));
        own
    };
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    assert!(!machine.request(10, own(1), true));
    assert_eq!(machine.sent(10, "authorization"), None);

    let pass = CONFIGURATION.replacen('{', "{\"authorization\": \"pass\", ", 1);
    let mut machine = host.machine(&pass).unwrap();
    let call = cold(&mut machine, 20);
    serve(&mut machine, &call, 21, "T", 300);
    assert!(!machine.request(30, own(1), true));
    assert_eq!(machine.sent(30, "authorization").unwrap(), "Basic bXk6b3du");
    machine.response(30, challenged(CHALLENGE));
    assert_eq!(machine.got(30, "www-authenticate").unwrap(), CHALLENGE);
}

/// A 401 that no attempt follows is an error of the proxy's, in the form of the specification.
#[test]
fn the_last_401() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    // No challenge that could be answered.
    for (id, challenge) in [(10, "Negotiate"), (11, "Basic realm=\"x\""), (12, "")] {
        machine.request(id, pull(1), true);
        assert!(machine.response(id, challenged(challenge)));
        let (stream, status, code, _) = reply(&mut machine);
        assert_eq!((stream, status, code.as_str()), (id, 403, "DENIED"));
    }
    // No attempt left.
    machine.request(20, pull(4), true);
    assert!(machine.response(20, challenged(CHALLENGE)));
    assert_eq!(reply(&mut machine).1, 503);
    // Before the router there is none at all.
    let downstream = CONFIGURATION.replacen('{', "{\"placement\": \"downstream\", ", 1);
    let mut machine = host.machine(&downstream).unwrap();
    machine.request(30, pull(1), true);
    let [probe] = machine.calls().try_into().unwrap();
    machine.answer(&probe, Some((challenged(CHALLENGE), b"")));
    let [call] = machine.calls().try_into().unwrap();
    serve(&mut machine, &call, 30, "T", 300);
    host.pass(10_000);
    assert!(machine.response(30, challenged(CHALLENGE)));
    assert_eq!(reply(&mut machine).1, 503);
}

/// What goes wrong at the token endpoint, and what the client is told.
#[test]
fn token_endpoints_that_fail() {
    let late = "upstream request timeout";
    let unreached =
        "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
    let alert = format!(
        "{unreached}, transport failure reason: TLS_error:|268436576:SSL \
         routines:OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED:TLS_error_end"
    );
    /// Status and body, or nothing.
    type Said<'a> = Option<(&'a str, &'a str)>;
    let table: [(Said<'_>, u32, &str); 9] = [
        (None, 502, "the connection broke"),
        (Some(("504", late)), 504, "no answer in time"),
        (Some(("503", unreached)), 502, "no connection"),
        (Some(("503", &alert)), 502, "requires a client certificate"),
        (Some(("503", "busy")), 503, "answered 503"),
        (Some(("401", "{}")), 403, "refused with 401"),
        (Some(("200", "{\"token\": \"a b\"}")), 502, "cannot be sent"),
        (Some(("200", "no JSON")), 502, "not one JSON object"),
        (Some(("200", "{\"token\": \"a\\r\\nx: y\"}")), 502, "cannot be sent"),
    ];
    for (answer, expected, words) in table {
        let host = Host::default();
        let mut machine = host.machine(CONFIGURATION).unwrap();
        let mut call = cold(&mut machine, 10);
        let answer = answer.map(|(code, body)| (status(code), body.as_bytes()));
        machine.answer(&call, answer.clone());
        // The network's failures are tried a second time.
        if let Some(second) = machine.calls().pop() {
            call = second;
            machine.answer(&call, answer.clone());
        }
        if machine.state().replies.is_empty() {
            // It waits for its next turn, as long as a request may wait.
            for _ in 0..40 {
                host.pass(500);
                machine.tick();
            }
        }
        let (stream, status, _, message) = reply(&mut machine);
        assert_eq!((stream, status), (11, expected), "{message}");
        assert!(message.contains(words), "{words}: {message}");
        assert!(machine.state().resumed.is_empty());
    }
}

/// A request does not wait for longer than it is configured to.
#[test]
fn an_answer_that_never_comes() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    cold(&mut machine, 10);
    host.pass(14_000);
    machine.tick();
    assert!(machine.state().replies.is_empty());
    host.pass(1_500);
    machine.tick();
    assert_eq!(reply(&mut machine).1, 504);
}

/// What is counted is told once a tick.
#[test]
fn counters() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    serve(&mut machine, &call, 11, "T", 300);
    done(&mut machine, 11);
    for id in 12..15 {
        machine.request(id, pull(1), true);
        done(&mut machine, id);
    }
    host.pass(1_000);
    machine.tick();
    let counters: Vec<_> = machine.state().counters.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(
        counters,
        [
            ("regauth.cache_hits", 3),
            ("regauth.token_calls", 1),
            ("regauth.token_shared", 0),
            ("regauth.refusals", 0),
            ("regauth.errors", 0)
        ]
    );
}
