use regauth_proxy_tests::host::Host;

use crate::support::{CHALLENGE, CONFIGURATION, challenged, cold, done, pull, request, serve, status, token};

/// Four machines, fifteen requests each, cold: one token request, and everybody goes on with its token.
#[test]
fn one_token_request_for_all_workers() {
    let host = Host::default();
    let mut machines: Vec<_> = (0..4).map(|_| host.machine(CONFIGURATION).unwrap()).collect();
    let mut calls = Vec::new();
    for machine in &mut machines {
        for id in 10..25 {
            machine.request(id, pull(1), true);
        }
        for id in 10..25 {
            machine.response(id, challenged(CHALLENGE));
            machine.end(id);
            assert!(machine.request(id + 100, pull(2), true));
        }
        calls.extend(machine.calls());
    }
    assert_eq!(calls.len(), 1);
    machines[0].answer(&calls[0], Some((status("200"), &token("T", 300))));
    for machine in &mut machines {
        let waits = machine.state().resumed.is_empty();
        assert_eq!(machine.state().period, if waits { 5 } else { 1_000 });
        host.pass(5);
        machine.tick();
        let mut resumed = std::mem::take(&mut machine.state().resumed);
        resumed.sort_unstable();
        assert_eq!(resumed, (110..125).collect::<Vec<_>>());
        assert_eq!(machine.sent(110, "authorization").unwrap(), "Bearer T");
        assert_eq!(machine.state().period, 1_000, "the quick clock stops");
        assert!(machine.calls().is_empty());
    }
}

/// A token that came to another worker earlier is used, for what is left of its life and not for longer.
#[test]
fn a_worker_that_comes_late() {
    let host = Host::default();
    let mut first = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut first, 10);
    serve(&mut first, &call, 11, "T", 100);
    host.pass(70_000);
    let mut second = host.machine(CONFIGURATION).unwrap();
    second.request(10, pull(1), true);
    second.response(10, challenged(CHALLENGE));
    second.end(10);
    assert!(!second.request(11, pull(2), true), "no waiting at all");
    assert_eq!(second.sent(11, "authorization").unwrap(), "Bearer T");
    assert!(second.calls().is_empty());
    host.pass(31_000);
    assert!(second.request(12, pull(1), true), "its hundred seconds are over");
    let [call] = second.calls().try_into().unwrap();
    serve(&mut second, &call, 12, "T2", 100);
    // It was revoked: the shared answer has been used once and does not come back.
    host.pass(10_000);
    second.request(13, pull(1), true);
    second.response(13, challenged(CHALLENGE));
    assert_eq!(second.calls().len(), 1);
}

/// The worker that has sent the token request is gone for good: another takes over when its time is up.
#[test]
fn a_worker_that_dies() {
    let host = Host::default();
    let mut first = host.machine(CONFIGURATION).unwrap();
    let lost = cold(&mut first, 10);
    drop(first);
    let mut second = host.machine(CONFIGURATION).unwrap();
    second.request(10, pull(1), true);
    second.response(10, challenged(CHALLENGE));
    second.end(10);
    assert!(second.request(11, pull(2), true));
    for _ in 0..5 {
        host.pass(1_000);
        second.tick();
        assert!(second.calls().is_empty(), "it may still be under way");
    }
    host.pass(1_001);
    second.tick();
    let [call] = second.calls().try_into().unwrap();
    assert_eq!(call.field(":path"), lost.field(":path"));
    serve(&mut second, &call, 11, "T", 300);
}

/// Another configuration with the same name for its data is not served with these tokens.
#[test]
fn configurations_are_told_apart() {
    let host = Host::default();
    let mut first = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut first, 10);
    serve(&mut first, &call, 11, "T", 300);
    let other = CONFIGURATION.replace("\"cluster\"", "\"user\": \"u\", \"password\": \"p\", \"cluster\"");
    let mut second = host.machine(&other).unwrap();
    cold(&mut second, 10);
}

/// Names that clients choose do not grow what is kept: not the shared data, not the machine's memory.
#[test]
fn many_repositories() {
    let host = Host::default();
    let mut machine = host.machine(CONFIGURATION).unwrap();
    let call = cold(&mut machine, 10);
    serve(&mut machine, &call, 11, "T", 300);
    done(&mut machine, 11);
    let keys = host.shared.lock().unwrap().data.len();
    let filler = "x".repeat(1_000);
    let mut memory = 0;
    for n in 0..4_000_u32 {
        let id = 100 + n * 2;
        let path = format!("/v2/team/app-{n}/manifests/one");
        if !machine.request(id, request("GET", &path, 1), true) {
            // What was learnt has been learnt anew.
            machine.response(id, challenged(CHALLENGE));
            machine.end(id);
            machine.request(id + 1, request("GET", &path, 2), true);
        }
        for call in machine.calls() {
            machine.answer(&call, Some((status("200"), &token(&format!("{filler}{n}"), 300))));
        }
        for stream in [id, id + 1] {
            machine.end(stream);
        }
        if n == 2_500 {
            memory = machine.memory();
        }
    }
    println!("memory of the machine: {} KiB", machine.memory() >> 10);
    assert!(machine.memory() <= memory + (512 << 10), "{memory}");
    assert_eq!(host.shared.lock().unwrap().data.len(), keys);
    machine.state().resumed.clear();
}
