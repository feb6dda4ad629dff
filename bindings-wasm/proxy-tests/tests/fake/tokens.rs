use regauth_proxy_tests::host::{Host, fields};

use crate::support::{CHALLENGE, CONFIGURATION, challenged, cold, done, pull, reply, request, serve, status, token};

/// What it costs when nothing needs to be asked: four calls of the host, one of them for the answer.
#[test]
fn a_cached_request_is_four_host_calls() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    serve(&mut machine, &call, 11, "T", 300);
    done(&mut machine, 11);
    machine.state().count.clear();
    assert!(!machine.request(12, pull(1), true));
    done(&mut machine, 12);
    assert_eq!(machine.sent(12, "authorization"), None, "the stream is gone");
    let count: Vec<_> = machine.state().count.clone().into_iter().collect();
    println!("host calls of a cached request: {count:?}");
    assert_eq!(count, [("field", 1), ("fields", 1), ("replace", 1), ("time", 1)]);
}

#[test]
fn the_token_request_is_the_roots_and_goes_to_its_cluster() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    assert_eq!((call.context, call.cluster.as_str(), call.timeout), (1, "tokens", 5_000));
    assert_eq!(call.field(":authority").unwrap(), "auth.example");
    assert_eq!(call.field(":path").unwrap(), "/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull");
    assert_eq!((call.field(":method").unwrap().as_str(), call.field("authorization")), ("GET", None));
}

#[test]
fn credentials_of_the_configuration_go_to_the_token_endpoint_alone() {
    let host = Host::default();
    let configuration =
        CONFIGURATION.replace("\"cluster\"", "\"user\": \"robot\", \"password\": \"s3cret\", \"cluster\"");
    let mut machine = host.machine(&configuration).unwrap();
    let call = cold(&mut machine, 10);
    assert_eq!(call.field("authorization").unwrap(), "Basic cm9ib3Q6czNjcmV0");
    serve(&mut machine, &call, 11, "T", 300);
    assert!(!machine.state().log.iter().any(|line| line.contains("s3cret") || line.contains("cm9ib3Q")));
}

/// In the last fifth of its life a token that is in use is renewed by the clock, and no request waits. Once it is over
/// and could not be renewed, one does.
#[test]
fn early_renewal_and_expiry() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    serve(&mut machine, &call, 11, "T1", 100);
    done(&mut machine, 11);
    host.pass(60_000);
    machine.request(12, pull(1), true);
    done(&mut machine, 12);
    machine.tick();
    assert!(machine.calls().is_empty());
    host.pass(21_000);
    machine.tick();
    let [renewal] = machine.calls().try_into().unwrap();
    assert!(!machine.request(13, pull(1), true), "the old one still serves");
    assert_eq!(machine.sent(13, "authorization").unwrap(), "Bearer T1");
    machine.answer(&renewal, Some((status("200"), &token("T2", 100))));
    machine.request(14, pull(1), true);
    assert_eq!(machine.sent(14, "authorization").unwrap(), "Bearer T2");
    host.pass(100_000);
    assert!(machine.request(15, pull(1), true), "it has run out");
    let [call] = machine.calls().try_into().unwrap();
    serve(&mut machine, &call, 15, "T3", 100);
}

#[test]
fn a_revoked_token_is_fetched_again_and_a_small_one_widened() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    serve(&mut machine, &call, 11, "T1", 300);
    done(&mut machine, 11);
    host.pass(10_000);
    machine.request(12, pull(1), true);
    machine.response(12, challenged(&format!("{CHALLENGE},error=\"invalid_token\"")));
    machine.end(12);
    let [call] = machine.calls().try_into().unwrap();
    assert!(machine.request(13, pull(2), true), "the stale field of the first attempt does not count");
    serve(&mut machine, &call, 13, "T2", 300);
    // The registry wants more than the path says.
    let more = CHALLENGE.replace("app:pull\"", "app:pull repository:base/os:pull\",error=\"insufficient_scope\"");
    machine.response(13, challenged(&more));
    machine.end(13);
    let [call] = machine.calls().try_into().unwrap();
    let path = call.field(":path").unwrap();
    assert!(path.contains("repository%3Abase%2Fos%3Apull") && path.contains("team%2Fapp"), "{path}");
    assert!(machine.request(14, pull(3), true));
    serve(&mut machine, &call, 14, "T3", 300);
    assert!(machine.state().replies.is_empty());
}

/// Two waiters in one machine, one request; the first goes away, the other is served.
#[test]
fn a_client_that_goes_while_it_waits() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    assert!(machine.request(12, pull(1), true));
    machine.end(11);
    assert!(machine.calls().is_empty());
    serve(&mut machine, &call, 12, "T", 300);
    assert!(machine.state().resumed.is_empty(), "nobody else");
}

#[test]
fn a_realm_that_is_not_listed_is_refused_until_the_registry_names_another() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    machine.request(10, pull(1), true);
    assert!(machine.response(10, challenged(r#"Bearer realm="https://evil.example/token",service="reg""#)));
    let (stream, status, code, message) = reply(&mut machine);
    assert_eq!((stream, status, code.as_str()), (10, 403, "DENIED"));
    assert!(message.contains("https://evil.example") && message.contains("realms"), "{message}");
    assert!(machine.calls().is_empty());
    machine.end(10);
    cold(&mut machine, 20);
}

/// With a body, or before the router, nothing can be sent twice: the challenge is asked for by a request of the plugin's.
#[test]
fn a_probe_where_a_request_cannot_be_repeated() {
    let host = Host::default();
    let downstream = CONFIGURATION.replacen('{', "{\"placement\": \"downstream\", ", 1);
    for (configuration, is_whole) in [(CONFIGURATION, false), (downstream.as_str(), true)] {
        host.shared.lock().unwrap().data.clear();
        let mut machine = host.machine(configuration).unwrap();
        assert!(machine.request(10, pull(1), is_whole));
        let [probe] = machine.calls().try_into().unwrap();
        assert_eq!((probe.cluster.as_str(), probe.field(":path").unwrap().as_str()), ("registry", "/v2/"));
        machine.answer(&probe, Some((challenged(CHALLENGE), b"")));
        let [call] = machine.calls().try_into().unwrap();
        assert!(call.field(":path").unwrap().contains("team%2Fapp"));
        serve(&mut machine, &call, 10, "T", 300);
        done(&mut machine, 10);
        // A registry that asks for nothing.
        host.shared.lock().unwrap().data.clear();
        let mut machine = host.machine(configuration).unwrap();
        assert!(machine.request(10, pull(1), is_whole));
        let [probe] = machine.calls().try_into().unwrap();
        machine.answer(&probe, Some((status("200"), b"")));
        assert_eq!(machine.state().resumed.pop(), Some(10));
        assert_eq!(machine.sent(10, "authorization"), None);
    }
}

#[test]
fn what_is_not_the_registrys_is_left_alone() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    serve(&mut machine, &call, 11, "T", 300);
    let other = fields(&[
        (":method", "GET"),
        (":path", "/v2/team/app/manifests/one"),
        (":authority", "other.example"),
        ("authorization", "Basic x"),
    ]);
    assert!(!machine.request(12, other, true));
    assert_eq!(machine.sent(12, "authorization").unwrap(), "Basic x", "another host's");
    let mut page = request("GET", "/v2x", 1);
    page.push((b"authorization".to_vec(), b"Basic x".to_vec()));
    assert!(!machine.request(13, page, true));
    assert_eq!(machine.sent(13, "authorization"), None, "the registry's host, and no token for it");
}
